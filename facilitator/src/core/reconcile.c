/*
 * The reconciler: what became of the transactions in flight. One for each
 * chain.
 *
 *   1. poll             the head; the safe or final block if that is awaited
 *   2. ask_receipts     at a new head: every attempt of all in flight
 *   3. fac_reconcile_take   deep enough? judge each payment by its own logs
 *                           (F-055); those that were not paid: prove.c
 *   4. fac_reconcile_record     MINED and the ends become durable together
 *   5. on_recorded      answer (answer.c); watch until final (watch.c)
 *
 * Where no receipt comes, prove.c looks for the reason.
 */
#include "core/engine_p.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * With something in flight the pauses grow (pace.h) up to the most, or to this
 * part of the time between blocks: what was seen late leaves the next block
 * empty. Where blocks come so fast that this part is below the step a quarter
 * has to do, and nobody is asked more often than the least.
 */
#define POLL_MIN_MS          10
#define POLL_MAX_MS          1000
#define POLLS_PER_BLOCK      8
#define POLLS_PER_FAST_BLOCK 4
/* Of what an operator lets an endpoint be asked, looking may take a half. */
#define CALLS_PER_POLL 2
/* Nothing in flight: the head is asked for readiness and for reorgs only. */
#define POLL_WATCH_MS 1000
#define POLL_IDLE_MS  4000
/* Ask for receipts now and then though the head does not move. */
#define RECEIPTS_MS   2000
#define FINISH_MIN_MS 100
#define FINISH_MAX_MS 5000
#define GWEI          UINT64_C(1000000000)
/* What transactions use is remembered for so many blocks full of them. */
#define LATE_BLOCKS 4

/* ---- Ends. ---- */

void fac_reconcile_set_end(struct fac_job *job, enum fac_payment_state state,
	enum x402_reason reason, const char *message)
{
	struct fac_store_end *end = &job->end;

	*end = (struct fac_store_end){.state = state,
		.reason = reason,
		.cost_gwei = job->cost_gwei ? job->cost_gwei : FAC_COST_KEEP};
	memcpy(end->key32, job->payment.key32, 32);
	memcpy(end->of32, job->of32, 32);
	snprintf(end->message, sizeof(end->message), "%s", message);
	memcpy(end->transaction, job->payment.transaction,
		sizeof(end->transaction));
	end->block_number = job->mined_block;
}

static void end_job(struct fac_job *job, const struct fac_payment *row)
{
	struct fac_engine *engine = job->engine;

	fac_job_set_payment(job, row);
	fac_tx_drop_job(job);
	/* Another instance has gone on with it: its end is not ours to tell. */
	if (!fac_payment_is_final(row->state) && !fac_share_is_own(job)) {
		fac_share_watch(job);
		return;
	}
	if (row->state == FAC_PAYMENT_REPLACED) {
		job->alone = true;
		job->cost_gwei = 0;
		fac_lane_enqueue(job);
		return;
	}
	engine->stats.ends[row->state]++;
	fac_engine_note(engine, false, "payment %s %s transaction %s%s%s",
		row->id, fac_payment_state_text(row->state), row->transaction,
		row->reason ? " reason " : "", x402_reason_wire(row->reason));
	fac_answer_end(job);
}

static void on_finished(void *arg, const struct fac_store_reply *reply)
{
	struct fac_job *job = arg;

	/*
	 * Its end may have come another way meanwhile, with its transaction's:
	 * it waits for a lane again, and must not be queued a second time.
	 */
	if (!fac_job_returned(job) || job->phase != FAC_JOB_FINISHING)
		return;
	if ((reply->err && reply->err != X402_ERR_CONFLICT) ||
		!reply->payments_len) {
		fac_job_retry(job, FINISH_MIN_MS, FINISH_MAX_MS);
		return;
	}
	fac_crash_point("after_finish");
	end_job(job, &reply->payments[0]);
}

void fac_reconcile_finish(struct fac_job *job)
{
	job->retry_ms = 0;
	job->phase = FAC_JOB_FINISHING;
	fac_crash_point("before_finish");
	fac_job_store(job, fac_verb_finish(&job->end, job->engine->owner),
		on_finished);
}

/* ---- 4 and 5. Mined, durably. ---- */

static void on_recorded(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;
	struct fac_engine *engine = tx->line->engine;

	tx->recording = false;
	if (!fac_tx_returned(tx))
		return;
	if (reply->err == X402_ERR_STORE) {
		tx->retry_ms = fac_backoff(
			engine, &tx->backoff_ms, FINISH_MIN_MS, FINISH_MAX_MS);
		return;
	}
	if (reply->fenced) {
		/* The other has adopted it, and judges it anew. */
		fac_recover_fenced(tx->lane);
		return;
	}
	if (reply->err) {
		/* Marked REPLACED: by a proof that a reorg made untrue. */
		fac_engine_note(engine, true,
			"%s: nonce %llu is mined, but its row forbids it",
			tx->line->config.network.caip2,
			(unsigned long long)tx->transaction.nonce);
	}
	fac_crash_point("after_mined");
	tx->recorded = true;
	tx->transaction.state = FAC_TRANSACTION_MINED;
	for (size_t i = 0; i < reply->payments_len; i++) {
		const struct fac_payment *row = &reply->payments[i];
		struct fac_job *job = fac_job_find(engine, row->key32);

		if (job && job->tx == tx && job->phase == FAC_JOB_FINISHING)
			end_job(job, row);
	}
	/* Their ends were not written with it: each by itself. */
	for (size_t i = 0; reply->err && i < tx->transaction.keys_len; i++)
		if (tx->jobs[i] && tx->jobs[i]->phase == FAC_JOB_FINISHING)
			fac_reconcile_finish(tx->jobs[i]);
}

void fac_reconcile_record(struct fac_tx *tx)
{
	struct fac_store_mined mined = {
		.block_number = tx->transaction.block_number};
	struct fac_store_lease lease = fac_lane_lease(tx->lane);
	struct fac_store_end *ends = fac_must_calloc(
		tx->transaction.keys_len, sizeof(*ends));
	size_t len = 0;

	memcpy(mined.id32, tx->transaction.id32, 32);
	memcpy(mined.hash32, tx->transaction.mined_hash32, 32);
	memcpy(mined.block_hash32, tx->transaction.block_hash32, 32);
	for (size_t i = 0; i < tx->transaction.keys_len; i++)
		if (tx->jobs[i] && tx->jobs[i]->phase == FAC_JOB_FINISHING)
			ends[len++] = tx->jobs[i]->end;
	tx->retry_ms = 0;
	tx->recording = true;
	fac_crash_point("before_mined");
	fac_tx_store(tx,
		fac_verb_mark_mined(
			&mined, (struct fac_store_ends){ends, len}, &lease),
		on_recorded);
	free(ends);
}

/* ---- 3. Receipts. ---- */

bool fac_reconcile_is_deep(const struct fac_line *line, uint64_t block_number)
{
	uint32_t wanted = line->config.confirmations;

	if (wanted == FAC_CONFIRM_SAFE || wanted == FAC_CONFIRM_FINALIZED)
		return line->tagged && line->tagged >= block_number;
	if (wanted <= 1)
		return true;
	return line->head_known &&
		line->head.number >= block_number + wanted - 1;
}

/* Rounded up; each payment's share of what the gas cost. */
static uint64_t share_gwei(
	const struct fac_tx *tx, const struct fac_chain_receipt *found)
{
	struct x402_u256 wei;
	uint64_t gwei;

	if (fac_svm_is(tx->line)) {
		gwei = tx->gas_limit; /* lamports: a fee is never less */
	} else if (!x402_u256_mul_u64(&found->effective_gas_price,
			   found->receipt.gas_used, &wei) ||
		!x402_u256_div_u64(&wei, GWEI, &wei, NULL) ||
		!x402_u256_to_u64(&wei, &gwei) || gwei > INT64_MAX / 2) {
		return 0;
	}
	if (tx->lane)
		tx->lane->spent_gwei += gwei;
	tx->line->engine->stats.cost_gwei += gwei;
	return gwei /
		(tx->transaction.keys_len ? tx->transaction.keys_len : 1) +
		1;
}

/*
 * Inner calls that ran out are swallowed: the sum of ceilings was too low. Or
 * a payer's wallet burned all of it, so what was doubted is believed again
 * when a batch gets by with half; else one payer could make batches small for
 * ever.
 */
static void doubt_gas(struct fac_tx *tx, uint64_t gas_used, bool unpaid)
{
	struct fac_line *line = tx->line;
	uint64_t usual = line->config.batch_payment_gas;

	if (tx->transaction.keys_len < 2 || !tx->gas_limit)
		return;
	if (!unpaid && gas_used < tx->gas_limit / 2 &&
		line->batch_payment_gas > usual)
		line->batch_payment_gas -=
			(line->batch_payment_gas - usual + 1) / 2;
	if (!unpaid || gas_used < tx->gas_limit / 10 * 9)
		return;
	line->batch_payment_gas += line->batch_payment_gas / 2;
	if (line->batch_payment_gas > line->config.max_gas_limit)
		line->batch_payment_gas = line->config.max_gas_limit;
	fac_engine_note(line->engine, true,
		"%s: a batch ran out of gas; %llu for each payment from now on",
		line->config.network.caip2,
		(unsigned long long)line->batch_payment_gas);
}

/* True: paid. False: its end is prepared, should nothing better be found. */
static bool judge(struct fac_job *job, const struct x402_receipt *receipt)
{
	struct x402_verdict verdict;

	x402_settle_judge(&job->payment.proof, receipt, &verdict);
	fac_reconcile_set_end(job,
		verdict.valid ? FAC_PAYMENT_SETTLED : FAC_PAYMENT_REVERTED,
		verdict.reason, verdict.message);
	return verdict.valid;
}

/* What was given stays spent, beside its gas. */
static uint64_t gift_gwei(const struct fac_job *job)
{
	struct x402_u256 value = x402_settle_proof_value(&job->payment.proof);
	uint64_t gwei;

	if (!x402_u256_div_u64(&value, GWEI, &value, NULL) ||
		!x402_u256_to_u64(&value, &gwei) || gwei > INT64_MAX / 4)
		return 0;
	return gwei;
}

static void take_receipt(
	struct fac_tx *tx, const struct fac_chain_receipt *found)
{
	struct fac_transaction *transaction = &tx->transaction;
	const struct x402_receipt *receipt = &found->receipt;
	uint64_t cost_gwei = share_gwei(tx, found);
	bool unpaid = false;

	memcpy(transaction->mined_hash32, receipt->transaction_hash32, 32);
	memcpy(transaction->block_hash32, found->block_hash32, 32);
	transaction->block_number = receipt->block_number;
	for (size_t i = 0; i < transaction->keys_len; i++) {
		struct fac_job *job = tx->jobs[i];

		if (!job || job->phase != FAC_JOB_IN_FLIGHT)
			continue;
		job->cost_gwei = cost_gwei ? cost_gwei + gift_gwei(job) : 0;
		job->mined_block = receipt->block_number;
		fac_hash_text(
			receipt->transaction_hash32, job->payment.transaction);
		if (judge(job, receipt)) {
			job->phase = FAC_JOB_FINISHING;
		} else {
			unpaid = true;
			job->phase = FAC_JOB_CHECKING;
		}
	}
	tx->line->engine->stats.gas_used += receipt->gas_used;
	tx->line->engine->stats.gas_payments += transaction->keys_len;
	doubt_gas(tx, receipt->gas_used, unpaid);
}

/* What is in a block takes no room in the next one. */
static void note_landed(struct fac_tx *tx)
{
	if (tx->landed)
		return;
	tx->landed = true;
	fac_tx_commit(tx);
}

/*
 * By gas, not by transaction: small batches use another share than large ones,
 * and a block is filled by these.
 */
static void learn_gas(struct fac_tx *tx, uint64_t gas_used)
{
	struct fac_line *line = tx->line;
	uint64_t late = line->head_known ? LATE_BLOCKS * line->head.gas_limit
					 : UINT64_MAX;

	if (tx->measured)
		return;
	tx->measured = true;
	line->gas_asked += tx->gas_limit;
	line->gas_used += gas_used < tx->gas_limit ? gas_used : tx->gas_limit;
	if (line->gas_asked > late) {
		line->gas_asked /= 2;
		line->gas_used /= 2;
	}
}

void fac_reconcile_take(
	struct fac_tx *tx, const struct fac_chain_receipt *found)
{
	if (tx->dead || tx->mined || tx->replaced)
		return;
	note_landed(tx);
	learn_gas(tx, found->receipt.gas_used);
	if (!fac_reconcile_is_deep(tx->line, found->receipt.block_number))
		return;
	take_receipt(tx, found);
	fac_tx_set_mined(tx, true);
	fac_reconcile_record(tx);
	/* The others do not wait for those that were not paid. */
	for (size_t i = 0; i < tx->transaction.keys_len; i++)
		if (tx->jobs[i] && tx->jobs[i]->phase == FAC_JOB_CHECKING)
			fac_prove_check(tx->jobs[i]);
}

/* ---- 2. Asking. ---- */

struct fac_poll {
	struct fac_poll *next;
	struct fac_poll **slot;
	struct fac_line *line;
	size_t len;
	struct fac_tx *txs[FAC_CHAIN_RECEIPTS_MAX];
	uint8_t hashes32[FAC_CHAIN_RECEIPTS_MAX][32];
	uint8_t signatures64[FAC_CHAIN_RECEIPTS_MAX][64]; /* Solana */
};

static struct fac_poll *new_poll(struct fac_line *line)
{
	struct fac_poll *poll = fac_must_calloc(1, sizeof(*poll));

	poll->line = line;
	poll->slot = &line->polls;
	poll->next = line->polls;
	if (poll->next)
		poll->next->slot = &poll->next;
	line->polls = poll;
	return poll;
}

static void free_poll(struct fac_poll *poll)
{
	*poll->slot = poll->next;
	if (poll->next)
		poll->next->slot = poll->slot;
	free(poll);
}

void fac_reconcile_clear(struct fac_line *line)
{
	while (line->polls)
		free_poll(line->polls);
}

/* Ticks come in time for what is due between two of them. */
static void wake_for_poll(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	if (!line->polling && line->next_poll_ms < now + FAC_TICK_MS)
		fac_engine_wake(line->engine,
			line->next_poll_ms > now ? line->next_poll_ms - now
						 : 0);
}

static void poll_returned(struct fac_line *line)
{
	line->engine->owed--;
	line->polling--;
	wake_for_poll(line);
}

/* Heads say how long blocks take; while none comes it is at least so long. */
static uint64_t longest_pause(const struct fac_line *line)
{
	uint64_t since_ms = fac_engine_now(line->engine) - line->head_ms;
	uint64_t block_ms = line->block_ms;
	uint64_t part;

	if (!block_ms)
		return POLL_MAX_MS;
	if (block_ms < since_ms)
		block_ms = since_ms;
	part = block_ms / POLLS_PER_BLOCK;
	if (part > POLL_MAX_MS)
		return POLL_MAX_MS;
	if (part >= FAC_PACE_STEP_MS)
		return part;
	part = block_ms / POLLS_PER_FAST_BLOCK;
	if (part > FAC_PACE_STEP_MS)
		return FAC_PACE_STEP_MS;
	return part > POLL_MIN_MS ? part : POLL_MIN_MS;
}

/* The one that waited longest for its block says how soon to look. */
static void learn_pace(
	const struct fac_poll *poll, const struct fac_chain_receipt *receipts)
{
	struct fac_line *line = poll->line;
	uint64_t now = fac_engine_now(line->engine);
	const struct fac_tx *oldest = NULL;

	for (size_t i = 0; i < poll->len; i++) {
		const struct fac_tx *tx = poll->txs[i];

		if (receipts[i].status == FAC_RECEIPT_FOUND && tx->taken_ms &&
			(!oldest || tx->taken_ms < oldest->taken_ms))
			oldest = tx;
	}
	if (oldest)
		fac_pace_found(&line->pace, oldest->looks,
			now - oldest->taken_ms, longest_pause(line));
	for (size_t i = 0; i < poll->len; i++)
		if (receipts[i].status == FAC_RECEIPT_FOUND)
			poll->txs[i]->taken_ms = 0;
}

static void on_receipts(void *arg, const struct fac_chain_receipt *receipts,
	size_t receipts_len)
{
	struct fac_poll *poll = arg;

	if (receipts_len == poll->len)
		learn_pace(poll, receipts);
	for (size_t i = 0; i < poll->len; i++) {
		struct fac_tx *tx = poll->txs[i];

		poll->line->engine->owed++; /* fac_tx_returned takes one */
		if (!fac_tx_returned(tx))
			continue;
		if (i < receipts_len && receipts[i].status == FAC_RECEIPT_FOUND)
			fac_reconcile_take(tx, &receipts[i]);
	}
	poll_returned(poll->line);
	fac_lane_dispatch(poll->line);
	free_poll(poll);
}

static void send_poll(struct fac_poll *poll)
{
	struct fac_line *line = poll->line;
	struct fac_engine *engine = line->engine;

	line->polling++;
	engine->owed++;
	if (fac_svm_is(line)) {
		engine->ports.signatures(engine->ports.user, line->index,
			(const uint8_t(*)[64])poll->signatures64, poll->len,
			on_receipts, poll);
		return;
	}
	engine->ports.receipts(engine->ports.user, line->index,
		(const uint8_t(*)[32])poll->hashes32, poll->len, on_receipts,
		poll);
}

static void ask_receipts(struct fac_line *line)
{
	struct fac_poll *poll = NULL;

	for (struct fac_tx *tx = line->txs; tx; tx = tx->next) {
		if (!tx->sent || tx->dead || tx->mined || tx->replaced)
			continue;
		tx->looks++;
		for (size_t i = 0; i < tx->transaction.attempts_len; i++) {
			if (!poll)
				poll = new_poll(line);
			tx->busy++;
			poll->txs[poll->len] = tx;
			if (fac_svm_is(line))
				memcpy(poll->signatures64[poll->len],
					tx->transaction.attempts[i].raw.ptr + 1,
					64);
			memcpy(poll->hashes32[poll->len++],
				tx->transaction.attempts[i].hash32, 32);
			if (poll->len < FAC_CHAIN_RECEIPTS_MAX)
				continue;
			send_poll(poll);
			poll = NULL;
		}
	}
	if (poll)
		send_poll(poll);
}

/* ---- 1. The poll. ---- */

/* Of late, in our time; a chain that stood still says nothing of it. */
static void learn_cadence(
	struct fac_line *line, const struct fac_chain_block *block)
{
	uint64_t since_ms = fac_engine_now(line->engine) - line->head_ms;
	uint64_t each_ms;

	if (!line->head_known || block->number <= line->head.number)
		return;
	each_ms = since_ms / (block->number - line->head.number);
	line->block_ms = line->block_ms ? (3 * line->block_ms + each_ms) / 4
					: each_ms;
}

static bool is_among(
	const struct fac_tx *tx, const struct fac_chain_block *block)
{
	for (size_t i = 0; i < block->transactions_len; i++)
		for (size_t at = 0; at < tx->transaction.attempts_len; at++)
			if (memcmp(block->transactions32[i],
				    tx->transaction.attempts[at].hash32,
				    32) == 0)
				return true;
	return false;
}

/*
 * A block names what is in it, so that the next ones can be sent while the
 * receipts are on their way. It decides nothing else: an endpoint that lies
 * here makes us send early.
 */
static void look_into(
	struct fac_line *line, const struct fac_chain_block *block)
{
	for (struct fac_tx *tx = line->txs; tx; tx = tx->next)
		if (tx->sent && !tx->dead && !tx->mined && is_among(tx, block))
			note_landed(tx);
	fac_lane_dispatch(line);
}

static void ask_due_receipts(struct fac_line *line)
{
	line->receipts_due = false;
	line->receipts_ms = fac_engine_now(line->engine);
	ask_receipts(line);
}

static void take_head(
	struct fac_line *line, const struct fac_chain_block *block)
{
	uint64_t now = fac_engine_now(line->engine);
	bool fresh = !line->head_known ||
		memcmp(line->head.hash32, block->hash32, 32) != 0;

	learn_cadence(line, block);
	if (!line->head_known) {
		line->first_head = block->number;
		line->first_head_unix_s = block->timestamp_unix_s;
	}
	if (fresh) {
		line->head_ms = now;
		line->receipts_due = true;
	}
	if (block->gas_limit != line->head.gas_limit)
		line->crowded = false;
	line->head = *block;
	line->head.transactions32 = NULL;
	line->head.transactions_len = 0;
	line->head_known = true;
	if (fresh && block->transactions_len)
		look_into(line, block);
	if (fac_svm_is(line))
		fac_svm_note_head(line);
	/* What fees are made of comes with every head. */
	line->fees.base_fee_per_gas = block->base_fee_per_gas;
	if (now - line->receipts_ms >= RECEIPTS_MS)
		line->receipts_due = true;
	if (!line->receipts_due)
		return;
	ask_due_receipts(line);
}

static void on_tagged(
	void *arg, enum x402_err err, const struct fac_chain_block *block)
{
	struct fac_line *line = arg;

	poll_returned(line);
	if (err || block->number <= line->tagged)
		return;
	line->tagged = block->number;
	line->receipts_due = true;
}

static void on_head(
	void *arg, enum x402_err err, const struct fac_chain_block *block)
{
	struct fac_line *line = arg;

	poll_returned(line);
	if (!err)
		take_head(line, block);
}

/* Pauses between polls that an operator's ceiling allows (rpc_rps). */
static uint64_t shortest_pause(const struct fac_line *line)
{
	uint32_t rps = line->config.rps;

	return rps ? 2 * 1000 * CALLS_PER_POLL / rps : 0;
}

static uint64_t next_interval(struct fac_line *line)
{
	bool watched = false;

	for (const struct fac_tx *tx = line->txs; tx; tx = tx->next) {
		watched |= tx->mined;
		if (tx->mined || !tx->sent)
			continue;
		line->poll_interval_ms = fac_pace_next(
			line->poll_interval_ms, longest_pause(line));
		return line->poll_interval_ms > shortest_pause(line)
			? line->poll_interval_ms
			: shortest_pause(line);
	}
	line->poll_interval_ms = FAC_PACE_STEP_MS;
	return watched ? POLL_WATCH_MS : POLL_IDLE_MS;
}

static void poll(struct fac_line *line)
{
	struct fac_engine *engine = line->engine;
	uint32_t wanted = line->config.confirmations;

	line->next_poll_ms = fac_engine_now(engine) + next_interval(line);
	line->poll_asked_ms = fac_engine_now(engine);
	/* Where all is mined at once: with the head, not after it. */
	if (line->receipts_due && fac_pace_is_quick(&line->pace))
		ask_due_receipts(line);
	line->polling++;
	engine->owed++;
	engine->ports.block(engine->ports.user, line->index, FAC_CHAIN_LATEST,
		on_head, line);
	if (wanted != FAC_CONFIRM_SAFE && wanted != FAC_CONFIRM_FINALIZED)
		return;
	line->polling++;
	engine->owed++;
	engine->ports.block(engine->ports.user, line->index,
		wanted == FAC_CONFIRM_SAFE ? FAC_CHAIN_SAFE
					   : FAC_CHAIN_FINALIZED,
		on_tagged, line);
}

static void poll_in(struct fac_line *line, uint64_t pause_ms)
{
	uint64_t soon = fac_engine_now(line->engine) + pause_ms;
	uint64_t least = line->poll_asked_ms + shortest_pause(line);

	if (soon < least)
		soon = least;
	line->poll_interval_ms = pause_ms;
	/* It may be in a block that we have seen already. */
	line->receipts_due = true;
	if (line->next_poll_ms > soon)
		line->next_poll_ms = soon;
	wake_for_poll(line);
}

void fac_reconcile_soon(struct fac_line *line)
{
	poll_in(line, FAC_PACE_STEP_MS);
}

void fac_reconcile_taken(struct fac_tx *tx)
{
	tx->taken_ms = fac_engine_now(tx->line->engine);
	tx->looks = 0;
	poll_in(tx->line, fac_pace_first(&tx->line->pace));
}

bool fac_reconcile_is_late(const struct fac_job *job)
{
	const struct fac_payment *payment = &job->payment;
	uint64_t now_s = fac_engine_wall(job->engine) / 1000;

	/* F-07A: what was signed once is not signed for another nonce. */
	if (payment->state == FAC_PAYMENT_REPLACED &&
		x402_settle_proof_is_delegation(&payment->proof))
		return true;
	return payment->valid_before_unix_s < now_s + FAC_LATE_S ||
		x402_settle_send_before(
			x402_buf_span(&payment->state_calldata)) <= now_s;
}

void fac_reconcile_tick(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	if (!line->polling && now >= line->next_poll_ms)
		poll(line);
	wake_for_poll(line);
	for (struct fac_tx *tx = line->txs; tx;) {
		struct fac_tx *next = tx->next;

		if (!tx->dead && tx->mined && !tx->recorded && tx->retry_ms &&
			now >= tx->retry_ms)
			fac_reconcile_record(tx);
		tx = next;
	}
}
