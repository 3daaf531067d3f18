/*
 * Lanes: one signer on one chain hands out its nonces in order, while many
 * transactions are under way.
 *
 *   1. fac_lane_enqueue     a durable reservation wants a lane
 *   2. fac_lane_dispatch    fees known? the lane with the least in flight
 *   3. sign_payment         next nonce, our template, our ceilings (R4)
 *   4. fac_lane_journal     raw bytes and hash become durable (R1)
 *   5. fac_lane_journalled  broadcast; mark_broadcast when a node took it
 *   6. fac_lane_tick        send again what is not taken; fill gaps
 *
 * A nonce is never left behind. A journal write that failed gives it back,
 * and a later payment, or a transaction that does nothing, takes it. Bytes
 * that were journalled are sent until the nonce is spent, whatever a node
 * said of them: it may have kept a copy.
 */
#include "core/engine_p.h"
#include "x402/transaction.h"

#include <stdio.h>
#include <stdlib.h>

/* Fees older than this are asked anew. */
#define FEES_LIFETIME_MS 2000
#define FEES_RETRY_MS    500
/* Send again what was taken but is not mined: mempools forget. */
#define REBROADCAST_MS 15000
#define SEND_MIN_MS    250
#define SEND_MAX_MS    8000
/* A gap below waiting transactions is filled after so long without use. */
#define GAP_MS 1000
/* Gas of a transfer of nothing. */
#define FILLER_GAS     21000
#define JOURNAL_MIN_MS 100
#define JOURNAL_MAX_MS 2000
/* Other bytes hold our nonces: something is wrong, do not spin. */
#define JOURNAL_TRIES_MAX 3
/* Complain about the same thing once in a while. */
#define NOTE_EVERY_MS 10000

/* ---- Nonces. ---- */

static uint64_t take_nonce(struct fac_lane *lane)
{
	size_t least = 0;
	uint64_t nonce;

	if (!lane->free_len)
		return lane->next_nonce++;
	for (size_t i = 1; i < lane->free_len; i++)
		if (lane->free_nonces[i] < lane->free_nonces[least])
			least = i;
	nonce = lane->free_nonces[least];
	lane->free_nonces[least] = lane->free_nonces[--lane->free_len];
	return nonce;
}

static void give_nonce_back(struct fac_lane *lane, uint64_t nonce)
{
	bool again = true;

	if (nonce + 1 != lane->next_nonce) {
		/* At most lane_limit nonces are out, so there is room. */
		if (lane->free_len < FAC_LANE_MAX)
			lane->free_nonces[lane->free_len++] = nonce;
		lane->free_since_ms = fac_engine_now(lane->line->engine);
		return;
	}
	lane->next_nonce--;
	/* Those right below are at the top now. */
	while (again) {
		again = false;
		for (size_t i = 0; i < lane->free_len; i++) {
			if (lane->free_nonces[i] + 1 != lane->next_nonce)
				continue;
			lane->free_nonces[i] =
				lane->free_nonces[--lane->free_len];
			lane->next_nonce--;
			again = true;
			break;
		}
	}
}

/* ---- Transactions in memory. ---- */

struct fac_tx *fac_tx_new(struct fac_line *line, struct fac_lane *lane,
	struct fac_job *job, struct fac_transaction *transaction)
{
	struct fac_tx *tx = fac_must_calloc(1, sizeof(*tx));

	tx->line = line;
	tx->lane = lane;
	tx->job = job;
	tx->transaction = *transaction;
	memset(transaction, 0, sizeof(*transaction));
	tx->slot = &line->txs;
	tx->next = line->txs;
	if (tx->next)
		tx->next->slot = &tx->next;
	line->txs = tx;
	if (lane)
		lane->in_flight++;
	if (job)
		job->tx = tx;
	return tx;
}

void fac_tx_set_blocked(struct fac_tx *tx, bool blocked)
{
	if (tx->lane && blocked && !tx->blocked)
		tx->lane->blocked++;
	if (tx->lane && !blocked && tx->blocked)
		tx->lane->blocked--;
	tx->blocked = blocked;
}

static void free_tx(struct fac_tx *tx)
{
	*tx->slot = tx->next;
	if (tx->next)
		tx->next->slot = tx->slot;
	fac_transaction_clear(&tx->transaction);
	free(tx);
}

void fac_tx_end(struct fac_tx *tx, bool give_back)
{
	if (tx->dead)
		return;
	fac_tx_set_blocked(tx, false);
	tx->dead = true;
	if (tx->lane) {
		tx->lane->in_flight--;
		if (give_back)
			give_nonce_back(tx->lane, tx->transaction.nonce);
	}
	if (tx->job) {
		tx->job->tx = NULL;
		tx->job = NULL;
	}
	if (!tx->busy)
		free_tx(tx);
}

bool fac_tx_returned(struct fac_tx *tx)
{
	tx->busy--;
	tx->line->engine->owed--;
	if (tx->dead && !tx->busy) {
		free_tx(tx);
		return false;
	}
	return !tx->dead;
}

void fac_tx_hash_text(
	const struct fac_tx *tx, char ret_text[FAC_HASH_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	*ret_text++ = '0';
	*ret_text++ = 'x';
	for (size_t i = 0; i < 32; i++) {
		*ret_text++ = digits[tx->transaction.hash32[i] >> 4];
		*ret_text++ = digits[tx->transaction.hash32[i] & 15];
	}
	*ret_text = '\0';
}

/* ---- 1. The queue. ---- */

void fac_lane_enqueue(struct fac_job *job)
{
	struct fac_line *line = job->line;

	job->phase = FAC_JOB_QUEUED;
	job->next_queued = NULL;
	*line->queued_last = job;
	line->queued_last = &job->next_queued;
	fac_lane_dispatch(line);
}

void fac_lane_dequeue(struct fac_job *job)
{
	struct fac_line *line = job->line;
	struct fac_job **at = &line->queued;

	while (*at && *at != job)
		at = &(*at)->next_queued;
	if (!*at)
		return;
	*at = job->next_queued;
	job->next_queued = NULL;
	if (!*at)
		line->queued_last = at;
}

/* ---- 2. Which lane, at what price. ---- */

static void on_fees(
	void *arg, enum x402_err err, const struct fac_chain_fees *fees)
{
	struct fac_line *line = arg;
	struct fac_engine *engine = line->engine;

	engine->owed--;
	line->asking_fees = false;
	if (err) {
		line->fees_retry_ms = fac_engine_now(engine) + FEES_RETRY_MS;
		return;
	}
	line->fees = *fees;
	line->fees_at_ms = fac_engine_now(engine);
	fac_lane_dispatch(line);
}

static bool fees_are_known(struct fac_line *line)
{
	struct fac_engine *engine = line->engine;
	uint64_t now = fac_engine_now(engine);

	if (line->fees_at_ms && now - line->fees_at_ms < FEES_LIFETIME_MS)
		return true;
	if (line->asking_fees || now < line->fees_retry_ms)
		return false;
	line->asking_fees = true;
	engine->owed++;
	engine->ports.fees(engine->ports.user, line->index, on_fees, line);
	return false;
}

static struct x402_u256 least_of(
	const struct x402_u256 *a, const struct x402_u256 *b)
{
	return x402_u256_cmp(a, b) < 0 ? *a : *b;
}

/* False: the chain asks for more than the operator allows. */
static bool choose_fees(struct fac_line *line, struct x402_u256 *ret_max_fee,
	struct x402_u256 *ret_priority)
{
	const struct x402_u256 *base = &line->fees.base_fee_per_gas;
	const struct x402_u256 *cap = &line->config.max_fee_per_gas;
	struct x402_u256 priority = least_of(
		&line->fees.max_priority_fee_per_gas,
		&line->config.max_priority_fee_per_gas);
	struct x402_u256 fee;

	/* Twice the base: it may rise for six blocks before we stick. */
	if (!x402_u256_mul_u64(base, 2, &fee) ||
		!x402_u256_add(&fee, &priority, &fee))
		fee = *cap;
	fee = least_of(&fee, cap);
	if (x402_u256_cmp(&fee, base) < 0)
		return false;
	*ret_priority = least_of(&priority, &fee);
	*ret_max_fee = fee;
	return true;
}

static struct fac_lane *choose_lane(struct fac_line *line)
{
	struct fac_lane *best = NULL;

	for (size_t i = 0; i < line->config.signers_len; i++) {
		struct fac_lane *lane = &line->lanes[i];

		if (!lane->ready || lane->in_flight >= line->config.lane_limit)
			continue;
		/* Behind a nonce that no node takes nothing can land. */
		if (lane->blocked && !lane->free_len)
			continue;
		if (!best || lane->in_flight < best->in_flight)
			best = lane;
	}
	return best;
}

static void say_why(struct fac_line *line, const char *why)
{
	for (struct fac_job *job = line->queued; job; job = job->next_queued)
		snprintf(job->trouble, sizeof(job->trouble), "%s", why);
}

static void note_trouble(struct fac_line *line, const char *why)
{
	struct fac_engine *engine = line->engine;
	uint64_t now = fac_engine_now(engine);

	say_why(line, why);
	if (line->fees_noted_ms && now - line->fees_noted_ms < NOTE_EVERY_MS)
		return;
	line->fees_noted_ms = now;
	fac_engine_note(
		engine, true, "%s: %s", line->config.network.caip2, why);
}

/* ---- 3. Signing. ---- */

static enum x402_err sign(struct fac_lane *lane,
	struct x402_transaction *unsigned_tx,
	struct fac_transaction *ret_signed)
{
	struct fac_line *line = lane->line;
	struct fac_engine *engine = line->engine;
	struct fac_transaction done = {.signer = lane->address,
		.nonce = unsigned_tx->nonce,
		.max_fee_per_gas = unsigned_tx->max_fee_per_gas,
		.max_priority_fee_per_gas =
			unsigned_tx->max_priority_fee_per_gas,
		.created_ms = fac_engine_now(engine)};
	enum x402_err err;

	unsigned_tx->chain_id = line->config.network.chain_id;
	memcpy(done.network, line->config.network.caip2, sizeof(done.network));
	err = x402_transaction_sign(
		engine->secp, unsigned_tx, lane->key, &done.raw, done.hash32);
	if (!err)
		*ret_signed = done;
	return err;
}

/* False: this lane cannot go on. */
static bool sign_payment(struct fac_lane *lane, struct fac_job *job,
	const struct x402_u256 *max_fee, const struct x402_u256 *priority)
{
	struct x402_transaction plain = {.nonce = take_nonce(lane),
		.max_priority_fee_per_gas = *priority,
		.max_fee_per_gas = *max_fee,
		.gas_limit = job->payment.gas_limit,
		.to = job->payment.call_to,
		.data = x402_buf_span(&job->payment.calldata)};
	struct fac_transaction transaction;
	struct fac_tx *tx;

	if (sign(lane, &plain, &transaction)) {
		give_nonce_back(lane, plain.nonce);
		note_trouble(lane->line, "signing failed");
		return false;
	}
	transaction.keys32 = fac_must_calloc(1, 32);
	memcpy(transaction.keys32[0], job->payment.key32, 32);
	transaction.keys_len = 1;
	fac_lane_dequeue(job);
	job->phase = FAC_JOB_JOURNALLING;
	job->trouble[0] = '\0';
	tx = fac_tx_new(lane->line, lane, job, &transaction);
	fac_lane_journal(tx);
	return true;
}

void fac_lane_dispatch(struct fac_line *line)
{
	while (line->queued && !line->engine->ended) {
		struct fac_job *job = line->queued;
		struct fac_lane *lane;
		struct x402_u256 max_fee;
		struct x402_u256 priority;

		if (fac_reconcile_is_late(job)) {
			fac_answer_all(job, FAC_SETTLE_REFUSED,
				X402_REASON_EVM_VALID_BEFORE,
				"it expired before it could be sent");
			fac_job_release(job, "expired before it was sent");
			continue;
		}
		if (!fees_are_known(line)) {
			if (!line->fees_at_ms)
				say_why(line, "the chain's fees are unknown");
			return;
		}
		if (!choose_fees(line, &max_fee, &priority)) {
			note_trouble(line,
				"the chain's base fee is above our ceiling");
			return;
		}
		lane = choose_lane(line);
		if (!lane) {
			const struct fac_lane *first = &line->lanes[0];

			if (first->blocked)
				note_trouble(line, first->trouble);
			else
				say_why(line, "every signer is busy");
			return;
		}
		if (!sign_payment(lane, job, &max_fee, &priority))
			return;
	}
}

/* ---- 4. The journal. ---- */

/* Another row holds our nonce: read the floor again, take another. */
static void resign(struct fac_tx *tx)
{
	struct fac_job *job = tx->job;
	struct fac_lane *lane = tx->lane;
	bool again = job && ++job->journal_tries < JOURNAL_TRIES_MAX;

	fac_engine_note(tx->line->engine, true,
		"%s: nonce %llu is journalled already",
		tx->line->config.network.caip2,
		(unsigned long long)tx->transaction.nonce);
	lane->ready = false;
	fac_tx_end(tx, false);
	if (!job)
		return;
	if (again)
		fac_lane_enqueue(job);
	else
		fac_job_release(job, "the journal refused it");
}

static void on_journalled(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;
	struct fac_engine *engine = tx->line->engine;
	struct fac_job *job = tx->job;

	if (!fac_tx_returned(tx))
		return;
	if (!reply->err) {
		fac_crash_point("after_journal");
		fac_lane_journalled(tx);
		return;
	}
	if (reply->err == X402_ERR_CONFLICT) {
		resign(tx);
		return;
	}
	/* Perhaps durable, perhaps not: the same bytes again, or release. */
	if (!job) {
		tx->retry_ms = fac_backoff(engine, &tx->backoff_ms,
			JOURNAL_MIN_MS, JOURNAL_MAX_MS);
		return;
	}
	snprintf(job->trouble, sizeof(job->trouble),
		"the journal could not be written");
	job->retry_ms = fac_backoff(
		engine, &job->backoff_ms, JOURNAL_MIN_MS, JOURNAL_MAX_MS);
	if (!job->waiters)
		fac_job_release(job, "the journal could not be written");
}

void fac_lane_journal(struct fac_tx *tx)
{
	struct fac_engine *engine = tx->line->engine;

	tx->busy++;
	tx->retry_ms = 0;
	engine->owed++;
	fac_crash_point("before_journal");
	engine->ports.journal_signed(
		engine->ports.user, &tx->transaction, on_journalled, tx);
}

/* ---- 5. Broadcast. ---- */

static void on_marked(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	/* Not durable: only the state lags; the next send marks again. */
	tx->marked_broadcast = !reply->err;
	if (!reply->err && tx->job &&
		tx->job->payment.state == FAC_PAYMENT_SIGNED)
		tx->job->payment.state = FAC_PAYMENT_BROADCAST;
}

static void mark_broadcast(struct fac_tx *tx)
{
	struct fac_engine *engine = tx->line->engine;

	if (tx->marked_broadcast)
		return;
	tx->marked_broadcast = true;
	tx->busy++;
	engine->owed++;
	engine->ports.mark_broadcast(
		engine->ports.user, tx->transaction.hash32, on_marked, tx);
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
		tx->next_send_ms = now + REBROADCAST_MS;
		mark_broadcast(tx);
		fac_reconcile_soon(tx->line);
		break;
	case FAC_SEND_NONCE_TOO_LOW:
		/* Ours is mined, or another's: the reconciler finds out. */
		fac_tx_set_blocked(tx, false);
		tx->suspect = true;
		tx->next_send_ms = now + REBROADCAST_MS;
		fac_reconcile_soon(tx->line);
		break;
	case FAC_SEND_UNDERPRICED:
	case FAC_SEND_INSUFFICIENT_FUNDS:
	case FAC_SEND_REJECTED:
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

	tx->sending = true;
	tx->sent = true;
	tx->busy++;
	engine->owed++;
	fac_crash_point("before_broadcast");
	engine->ports.send_raw(engine->ports.user, tx->line->index,
		x402_buf_span(&tx->transaction.raw), tx->transaction.hash32,
		on_sent, tx);
}

void fac_lane_journalled(struct fac_tx *tx)
{
	struct fac_job *job = tx->job;

	tx->journalled = true;
	tx->backoff_ms = 0;
	if (job) {
		job->phase = FAC_JOB_IN_FLIGHT;
		job->payment.state = FAC_PAYMENT_SIGNED;
		job->retry_ms = 0;
		job->backoff_ms = 0;
		fac_tx_hash_text(tx, job->payment.transaction);
	}
	send(tx);
}

/* ---- 6. What is due. ---- */

/* A transfer of nothing to ourselves: the only other template we sign. */
static void fill_gap(struct fac_lane *lane)
{
	struct fac_line *line = lane->line;
	struct x402_transaction plain = {
		.gas_limit = FILLER_GAS, .to = lane->address};
	struct fac_transaction transaction;

	if (!fees_are_known(line) ||
		!choose_fees(line, &plain.max_fee_per_gas,
			&plain.max_priority_fee_per_gas))
		return;
	plain.nonce = take_nonce(lane);
	if (sign(lane, &plain, &transaction)) {
		give_nonce_back(lane, plain.nonce);
		return;
	}
	fac_engine_note(line->engine, true, "%s: filling the gap at nonce %llu",
		line->config.network.caip2, (unsigned long long)plain.nonce);
	fac_lane_journal(fac_tx_new(line, lane, NULL, &transaction));
}

void fac_lane_tick(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	fac_lane_dispatch(line);
	for (struct fac_tx *tx = line->txs; tx;) {
		struct fac_tx *next = tx->next;

		if (tx->dead || tx->mined || tx->replaced) {
			tx = next;
			continue;
		}
		if (tx->journalled && !tx->sending && now >= tx->next_send_ms)
			send(tx);
		else if (!tx->journalled && !tx->job && tx->retry_ms &&
			now >= tx->retry_ms)
			fac_lane_journal(tx);
		tx = next;
	}
	for (size_t i = 0; i < line->config.signers_len; i++) {
		struct fac_lane *lane = &line->lanes[i];

		/* A payment would have used it in dispatch. */
		if (lane->ready && lane->free_len && lane->in_flight &&
			now - lane->free_since_ms >= GAP_MS)
			fill_gap(lane);
	}
}
