/*
 * Broadcast: bytes that are durable go to the nodes, and again, until their
 * nonce is spent, whatever a node said of them: it may have kept a copy.
 *
 *   fac_broadcast_begin    the journal holds the bytes: first sending
 *   on_sent                what the node said, and when to ask next
 *   fac_broadcast_tick     what is due again, and what blocks passed over
 */
#include "core/engine_p.h"

#include <stdio.h>

/* Send again what was taken but is not mined: mempools forget. */
#define REBROADCAST_MS 15000
/*
 * ...and at once when so many blocks came without the one that all others of
 * its lane wait for; twice as many the next time: it may be the fee. anvil
 * was seen to forget those that a full block has no room for.
 */
#define PATIENCE_BLOCKS 2
#define SEND_MIN_MS     250
#define SEND_MAX_MS     8000
/* Solana has no mempool: leaders come and go every 1.6 seconds. */
#define SVM_REBROADCAST_MS         2000
#define SVM_OVERDUE_REBROADCAST_MS 10000

static void on_marked(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	/* Not durable: only the state lags; the next send marks again. */
	tx->marked_broadcast = !reply->err;
	for (size_t i = 0; i < tx->transaction.keys_len && !reply->err; i++) {
		struct fac_job *job = tx->jobs[i];

		if (!job || job->payment.state != FAC_PAYMENT_SIGNED)
			continue;
		job->payment.state = FAC_PAYMENT_BROADCAST;
		/* A payer can take a delegation back until it is mined. */
		if (tx->line->config.confirmations == FAC_CONFIRM_SUBMITTED &&
			!x402_settle_proof_is_delegation(&job->payment.proof))
			fac_answer_submitted(job);
	}
}

static void mark_broadcast(struct fac_tx *tx)
{
	if (tx->marked_broadcast)
		return;
	tx->marked_broadcast = true;
	fac_tx_store(
		tx, fac_verb_mark_broadcast(tx->transaction.id32), on_marked);
}

static void note_blocked(
	struct fac_tx *tx, const struct fac_send_outcome *outcome)
{
	struct fac_lane *lane = tx->lane;

	if (!tx->blocked || (lane && !lane->trouble[0]))
		fac_engine_note(tx->line->engine, true,
			"%s: nonce %llu is not taken: %s",
			tx->line->config.network.caip2,
			(unsigned long long)tx->transaction.nonce,
			outcome->message);
	if (lane)
		snprintf(lane->trouble, sizeof(lane->trouble), "%s",
			outcome->message);
}

static uint64_t rebroadcast_ms(const struct fac_tx *tx)
{
	if (fac_svm_is_overdue(tx))
		return SVM_OVERDUE_REBROADCAST_MS;
	return fac_svm_is(tx->line) ? SVM_REBROADCAST_MS : REBROADCAST_MS;
}

static void on_sent(void *arg, const struct fac_send_outcome *outcome)
{
	struct fac_tx *tx = arg;
	struct fac_engine *engine = tx->line->engine;
	uint64_t now = fac_engine_now(engine);

	fac_crash_point("after_broadcast");
	tx->sending = false;
	if (!fac_tx_returned(tx) || tx->mined)
		return;
	tx->status = outcome->status;
	switch (outcome->status) {
	case FAC_SEND_ACCEPTED:
	case FAC_SEND_ALREADY_KNOWN:
		fac_tx_set_blocked(tx, false);
		tx->backoff_ms = 0;
		tx->next_send_ms = now + rebroadcast_ms(tx);
		if (tx->marked_broadcast)
			fac_reconcile_soon(tx->line);
		else
			fac_reconcile_taken(tx);
		mark_broadcast(tx);
		break;
	case FAC_SEND_NONCE_TOO_LOW:
		/* Ours is mined, or another's: the reconciler finds out. */
		fac_tx_set_blocked(tx, false);
		tx->suspect = true;
		tx->next_send_ms = now + REBROADCAST_MS;
		fac_reconcile_soon(tx->line);
		break;
	case FAC_SEND_INSUFFICIENT_FUNDS:
	case FAC_SEND_UNDERPRICED:
	case FAC_SEND_REJECTED:
		if (outcome->status == FAC_SEND_INSUFFICIENT_FUNDS && tx->lane)
			fac_lane_set_dry(tx->lane, true);
		note_blocked(tx, outcome);
		fac_tx_set_blocked(tx, true);
		tx->next_send_ms = fac_backoff(
			engine, &tx->backoff_ms, SEND_MIN_MS, SEND_MAX_MS);
		break;
	case FAC_SEND_FAULT:
		tx->next_send_ms = fac_backoff(
			engine, &tx->backoff_ms, SEND_MIN_MS, SEND_MAX_MS);
		fac_reconcile_soon(tx->line);
		break;
	}
	fac_lane_dispatch(tx->line);
}

static void send(struct fac_tx *tx)
{
	struct fac_engine *engine = tx->line->engine;
	const struct fac_attempt *attempt = fac_tx_newest(tx);

	tx->sending = true;
	tx->sent = true;
	tx->sent_head = tx->line->head_known ? tx->line->head.number
					     : UINT64_MAX;
	tx->busy++;
	engine->owed++;
	fac_crash_point("before_broadcast");
	engine->ports.send_raw(engine->ports.user, tx->line->index,
		x402_buf_span(&attempt->raw), attempt->hash32, on_sent, tx);
}

void fac_broadcast_begin(struct fac_tx *tx)
{
	tx->journalled = true;
	tx->backoff_ms = 0;
	for (size_t i = 0; i < tx->transaction.keys_len; i++) {
		struct fac_job *job = tx->jobs[i];

		if (!job)
			continue;
		if (job->phase == FAC_JOB_JOURNALLING) {
			job->phase = FAC_JOB_IN_FLIGHT;
			job->payment.state = FAC_PAYMENT_SIGNED;
		}
		job->backoff_ms = 0;
		job->trouble[0] = '\0';
		fac_hash_text(
			fac_tx_newest(tx)->hash32, job->payment.transaction);
	}
	send(tx);
}

/* ---- Again. ---- */

static void tick_tx(struct fac_tx *tx, uint64_t now)
{
	if (tx->dead || tx->mined || tx->replaced)
		return;
	if (tx->journalled && !tx->sending && now >= tx->next_send_ms)
		send(tx);
	else if (!tx->journalled && tx->lane && tx->retry_ms &&
		now >= tx->retry_ms)
		fac_lane_journal(tx);
}

static bool is_waited_for(const struct fac_tx *tx, const struct fac_lane *lane)
{
	return tx->lane == lane && !tx->dead && !tx->mined && !tx->replaced &&
		!fac_svm_is_overdue(tx);
}

/* The first that is not mined: the nonces above it cannot be. */
static struct fac_tx *find_oldest(const struct fac_lane *lane)
{
	struct fac_tx *oldest = NULL;

	for (struct fac_tx *tx = lane->line->txs; tx; tx = tx->next)
		if (is_waited_for(tx, lane) &&
			(!oldest ||
				tx->transaction.nonce <
					oldest->transaction.nonce))
			oldest = tx;
	return oldest;
}

static bool was_sent(const struct fac_tx *tx)
{
	return tx->journalled && tx->sent && !tx->sending && !tx->blocked;
}

/* Whoever forgot the oldest may have forgotten more: a block ran full. */
static void send_all_again(struct fac_lane *lane)
{
	for (struct fac_tx *tx = lane->line->txs; tx; tx = tx->next)
		if (is_waited_for(tx, lane) && was_sent(tx))
			send(tx);
}

static void remind_of_oldest(struct fac_lane *lane)
{
	struct fac_tx *tx = find_oldest(lane);
	uint64_t head = lane->line->head.number;

	if (!tx || !was_sent(tx))
		return;
	if (!tx->patience_blocks)
		tx->patience_blocks = PATIENCE_BLOCKS;
	if (tx->sent_head > head) /* not known then, or a reorg */
		tx->sent_head = head;
	if (head - tx->sent_head < tx->patience_blocks)
		return;
	tx->patience_blocks *= 2;
	send_all_again(lane);
}

void fac_broadcast_tick(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	for (struct fac_tx *tx = line->txs; tx;) {
		struct fac_tx *next = tx->next;

		tick_tx(tx, now);
		tx = next;
	}
	for (size_t i = 0; i < line->config.signers_len; i++) {
		struct fac_lane *lane = &line->lanes[i];

		if (line->head_known && lane->in_flight &&
			fac_lane_is_ours(lane))
			remind_of_oldest(lane);
	}
}
