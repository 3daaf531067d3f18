/*
 * The reconciler: what became of the transactions in flight.
 *
 *   1. poll             one request: the head, and receipts of all in flight
 *   2. take_receipt     deep enough? judge by the payment's own logs (F-055)
 *   3. fac_reconcile_finish   the end becomes durable, then the tx MINED
 *   4. on_finished      answer (answer.c)
 *
 * and, where no receipt comes, the negative proof, one question after
 * another at a block proof_depth under the head:
 *
 *   probe -> on_probe_block -> on_probe_nonce -> on_probe_state
 *         -> on_probe_state_now -> on_probe_receipt -> conclude
 *
 * The receipt is asked last: when the nonce or the authorization was spent
 * deep in the chain by our own transaction, its receipt is there by then.
 */
#include "core/engine_p.h"
#include "x402/abi.h"

#include <stdio.h>
#include <stdlib.h>

#define POLL_MIN_MS 100
#define POLL_MAX_MS 2000
/* Doubt a transaction that has no receipt for so long. */
#define DOUBT_MS      30000
#define PROBE_MS      2000
#define FINISH_MIN_MS 100
#define FINISH_MAX_MS 5000
/* F-036: less than this before validBefore nothing new is sent. */
#define LATE_S 6

/* ---- Ends. ---- */

static void on_mined(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	if (reply->err == X402_ERR_STORE)
		tx->retry_ms = fac_backoff(tx->line->engine, &tx->backoff_ms,
			FINISH_MIN_MS, FINISH_MAX_MS);
	else
		fac_tx_end(tx, false);
}

/* Only after its payment's end is durable: recovery polls it until then. */
static void mark_mined(struct fac_tx *tx)
{
	struct fac_engine *engine = tx->line->engine;

	tx->retry_ms = 0;
	tx->busy++;
	engine->owed++;
	engine->ports.mark_mined(engine->ports.user, tx->transaction.hash32,
		tx->block_number, on_mined, tx);
}

static void on_finished(void *arg, const struct fac_store_reply *reply)
{
	struct fac_job *job = arg;
	struct fac_tx *tx = job->tx;

	if (!fac_job_returned(job))
		return;
	if ((reply->err && reply->err != X402_ERR_CONFLICT) ||
		!reply->payments_len) {
		job->retry_ms = fac_backoff(job->engine, &job->backoff_ms,
			FINISH_MIN_MS, FINISH_MAX_MS);
		return;
	}
	fac_crash_point("after_finish");
	fac_job_set_payment(job, &reply->payments[0]);
	fac_engine_note(job->engine, false, "payment %s %s transaction %s%s%s",
		job->payment.id, fac_payment_state_text(job->payment.state),
		job->payment.transaction, job->payment.reason ? " reason " : "",
		x402_reason_wire(job->payment.reason));
	if (tx) {
		tx->job = NULL;
		job->tx = NULL;
		if (tx->mined)
			mark_mined(tx);
	}
	fac_answer_end(job);
}

void fac_reconcile_finish(struct fac_job *job)
{
	struct fac_engine *engine = job->engine;

	job->retry_ms = 0;
	job->phase = FAC_JOB_FINISHING;
	job->busy++;
	engine->owed++;
	fac_crash_point("before_finish");
	engine->ports.finish(engine->ports.user, &job->end, on_finished, job);
}

static void prepare_end(struct fac_job *job, enum fac_payment_state state,
	enum x402_reason reason, const char *message)
{
	struct fac_store_end *end = &job->end;

	*end = (struct fac_store_end){.state = state, .reason = reason};
	memcpy(end->key32, job->payment.key32, 32);
	snprintf(end->message, sizeof(end->message), "%s", message);
	memcpy(end->transaction, job->payment.transaction,
		sizeof(end->transaction));
	if (job->tx)
		end->block_number = job->tx->block_number;
}

/* ---- 2. Receipts. ---- */

static bool read_used(const struct x402_chain_answer *answer, bool *ret_used)
{
	return answer->status == X402_ANSWER_OK &&
		x402_abi_read_bool(answer->data, 0, ret_used) == X402_OK;
}

/* It reverted: because the authorization was used by somebody else? */
static void on_reverted_state(void *arg, const struct x402_chain_answer *answer)
{
	struct fac_job *job = arg;
	bool used;

	if (!fac_job_returned(job))
		return;
	if (read_used(answer, &used) && used) {
		job->end.reason = X402_REASON_EVM_NONCE_ALREADY_USED;
		snprintf(job->end.message, sizeof(job->end.message),
			"our transaction reverted: the authorization was used "
			"or cancelled by another");
	}
	fac_reconcile_finish(job);
}

static void judge(struct fac_tx *tx, const struct x402_receipt *receipt)
{
	struct fac_job *job = tx->job;
	struct fac_engine *engine = tx->line->engine;
	struct x402_verdict verdict;

	x402_settle_judge(&job->payment.proof, receipt, &verdict);
	prepare_end(job,
		verdict.valid ? FAC_PAYMENT_SETTLED : FAC_PAYMENT_REVERTED,
		verdict.reason, verdict.message);
	if (receipt->success) {
		fac_reconcile_finish(job);
		return;
	}
	job->phase = FAC_JOB_FINISHING;
	job->busy++;
	engine->owed++;
	engine->ports.call(engine->ports.user, tx->line->index,
		&job->payment.call_to,
		x402_buf_span(&job->payment.state_calldata), FAC_CHAIN_LATEST,
		on_reverted_state, job);
}

static bool is_deep_enough(
	const struct fac_line *line, const struct x402_receipt *receipt)
{
	uint32_t wanted = line->config.confirmations;

	if (wanted <= 1)
		return true;
	return line->head_known &&
		line->head.number >= receipt->block_number + wanted - 1;
}

static void take_receipt(struct fac_tx *tx, const struct x402_receipt *receipt)
{
	if (tx->mined || tx->replaced || !is_deep_enough(tx->line, receipt))
		return;
	/* Its end is being written: by a proof that came first. */
	if (tx->job && tx->job->phase != FAC_JOB_IN_FLIGHT)
		return;
	tx->mined = true;
	tx->block_number = receipt->block_number;
	fac_tx_set_blocked(tx, false);
	if (tx->job)
		judge(tx, receipt);
	else
		mark_mined(tx);
}

/* ---- 1. The poll. ---- */

struct fac_poll {
	struct fac_poll *next;
	struct fac_poll **slot;
	struct fac_line *line;
	size_t len;
	struct fac_tx *txs[FAC_CHAIN_RECEIPTS_MAX];
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

static void poll_returned(struct fac_line *line)
{
	struct fac_engine *engine = line->engine;

	engine->owed--;
	if (--line->polling)
		return;
	line->poll_interval_ms += line->poll_interval_ms / 2;
	if (line->poll_interval_ms > POLL_MAX_MS)
		line->poll_interval_ms = POLL_MAX_MS;
	line->next_poll_ms = fac_engine_now(engine) + line->poll_interval_ms;
}

static void on_receipts(void *arg, const struct fac_chain_receipt *receipts,
	size_t receipts_len)
{
	struct fac_poll *poll = arg;

	for (size_t i = 0; i < poll->len; i++) {
		struct fac_tx *tx = poll->txs[i];

		poll->line->engine->owed++; /* fac_tx_returned takes one */
		if (!fac_tx_returned(tx))
			continue;
		if (i < receipts_len && receipts[i].status == FAC_RECEIPT_FOUND)
			take_receipt(tx, &receipts[i].receipt);
	}
	poll_returned(poll->line);
	fac_lane_dispatch(poll->line);
	free_poll(poll);
}

static void on_head(
	void *arg, enum x402_err err, const struct fac_chain_block *block)
{
	struct fac_line *line = arg;

	if (!err) {
		line->head = *block;
		line->head_known = true;
	}
	poll_returned(line);
}

static void ask_receipts(struct fac_line *line, struct fac_poll *poll)
{
	struct fac_engine *engine = line->engine;
	uint8_t hashes[FAC_CHAIN_RECEIPTS_MAX][32];

	for (size_t i = 0; i < poll->len; i++)
		memcpy(hashes[i], poll->txs[i]->transaction.hash32, 32);
	line->polling++;
	engine->owed++;
	engine->ports.receipts(engine->ports.user, line->index,
		(const uint8_t(*)[32])hashes, poll->len, on_receipts, poll);
}

static void start_poll(struct fac_line *line)
{
	struct fac_engine *engine = line->engine;
	struct fac_poll *poll = NULL;

	for (struct fac_tx *tx = line->txs; tx; tx = tx->next) {
		if (!tx->sent || tx->dead || tx->mined || tx->replaced)
			continue;
		if (!poll)
			poll = new_poll(line);
		tx->busy++;
		poll->txs[poll->len++] = tx;
		if (poll->len == FAC_CHAIN_RECEIPTS_MAX) {
			ask_receipts(line, poll);
			poll = NULL;
		}
	}
	if (poll)
		ask_receipts(line, poll);
	if (!line->polling)
		return;
	line->polling++;
	engine->owed++;
	engine->ports.block(engine->ports.user, line->index, FAC_CHAIN_LATEST,
		on_head, line);
}

void fac_reconcile_soon(struct fac_line *line)
{
	uint64_t soon = fac_engine_now(line->engine) + POLL_MIN_MS;

	line->poll_interval_ms = POLL_MIN_MS;
	if (line->next_poll_ms > soon)
		line->next_poll_ms = soon;
}

/* ---- Negative proof. ---- */

static void end_probe(struct fac_tx *tx)
{
	tx->probing = false;
	tx->next_probe_ms = fac_engine_now(tx->line->engine) + PROBE_MS;
}

static void on_replaced(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;
	struct fac_job *job = tx->job;

	if (!fac_tx_returned(tx))
		return;
	if (reply->err == X402_ERR_STORE) {
		tx->retry_ms = fac_backoff(tx->line->engine, &tx->backoff_ms,
			FINISH_MIN_MS, FINISH_MAX_MS);
		return;
	}
	if (reply->err) {
		/* The journal knows better: it was mined. */
		tx->replaced = false;
		return;
	}
	/* Its nonce is spent by another; ours can never land. */
	fac_tx_end(tx, false);
	if (!job)
		return;
	job->payment.state = FAC_PAYMENT_REPLACED;
	fac_lane_enqueue(job);
}

static void mark_replaced(struct fac_tx *tx)
{
	struct fac_engine *engine = tx->line->engine;

	tx->replaced = true;
	tx->retry_ms = 0;
	tx->busy++;
	engine->owed++;
	fac_engine_note(engine, true, "%s: another transaction took nonce %llu",
		tx->line->config.network.caip2,
		(unsigned long long)tx->transaction.nonce);
	engine->ports.mark_replaced(
		engine->ports.user, tx->transaction.hash32, on_replaced, tx);
}

/* All questions are answered and there is no receipt. */
static void conclude(struct fac_tx *tx)
{
	struct fac_job *job = tx->job;
	bool spent = tx->probe_nonce > tx->transaction.nonce;
	uint64_t at = tx->probe_block.timestamp_unix_s;

	if (!spent && tx->lane)
		fac_recover_check_gap(tx->lane);
	if (!job) {
		/* Nothing depends on it any more. */
		if (spent)
			mark_replaced(tx);
		return;
	}
	if (job->phase != FAC_JOB_IN_FLIGHT)
		return;
	if (tx->probe_used) {
		prepare_end(job, FAC_PAYMENT_EXPIRED,
			X402_REASON_EVM_NONCE_ALREADY_USED,
			"the authorization was used or cancelled by another "
			"transaction");
		fac_reconcile_finish(job);
	} else if (at >= job->payment.valid_before_unix_s) {
		prepare_end(job, FAC_PAYMENT_EXPIRED,
			X402_REASON_EVM_VALID_BEFORE,
			"it did not land before validBefore, and never can");
		fac_reconcile_finish(job);
	} else if (spent && !tx->probe_used_now) {
		mark_replaced(tx);
	}
}

static void on_probe_receipt(void *arg,
	const struct fac_chain_receipt *receipts, size_t receipts_len)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	end_probe(tx);
	if (tx->mined || receipts_len != 1)
		return;
	switch (receipts[0].status) {
	case FAC_RECEIPT_FOUND:
		take_receipt(tx, &receipts[0].receipt);
		return;
	case FAC_RECEIPT_NONE:
		conclude(tx);
		return;
	case FAC_RECEIPT_FAULT:
		return;
	}
}

static void ask_probe_receipt(struct fac_tx *tx)
{
	struct fac_engine *engine = tx->line->engine;
	uint8_t hash[1][32];

	memcpy(hash[0], tx->transaction.hash32, 32);
	tx->busy++;
	engine->owed++;
	engine->ports.receipts(engine->ports.user, tx->line->index,
		(const uint8_t(*)[32])hash, 1, on_probe_receipt, tx);
}

static void on_probe_state_now(
	void *arg, const struct x402_chain_answer *answer)
{
	struct fac_tx *tx = arg;
	bool used;

	if (!fac_tx_returned(tx))
		return;
	if (!read_used(answer, &used)) {
		end_probe(tx);
		return;
	}
	/* Used, but not deep yet: neither dead nor to be signed anew. */
	tx->probe_used_now = used;
	ask_probe_receipt(tx);
}

static void ask_state(struct fac_tx *tx, uint64_t block,
	void (*done)(void *arg, const struct x402_chain_answer *answer))
{
	struct fac_engine *engine = tx->line->engine;

	tx->busy++;
	engine->owed++;
	engine->ports.call(engine->ports.user, tx->line->index,
		&tx->job->payment.call_to,
		x402_buf_span(&tx->job->payment.state_calldata), block, done,
		tx);
}

static void on_probe_state(void *arg, const struct x402_chain_answer *answer)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	if (!tx->job || !read_used(answer, &tx->probe_used)) {
		end_probe(tx);
		return;
	}
	ask_state(tx, FAC_CHAIN_LATEST, on_probe_state_now);
}

static void on_probe_nonce(void *arg, enum x402_err err, uint64_t nonce)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	if (err) {
		end_probe(tx);
		return;
	}
	tx->probe_nonce = nonce;
	if (tx->job)
		ask_state(tx, tx->probe_block.number, on_probe_state);
	else
		ask_probe_receipt(tx);
}

static void on_probe_block(
	void *arg, enum x402_err err, const struct fac_chain_block *block)
{
	struct fac_tx *tx = arg;
	struct fac_engine *engine = tx->line->engine;
	struct fac_nonce_query query = {
		.address = tx->transaction.signer, .tag = FAC_NONCE_AT_BLOCK};

	if (!fac_tx_returned(tx))
		return;
	if (err) {
		end_probe(tx);
		return;
	}
	tx->probe_block = *block;
	query.block = block->number;
	tx->busy++;
	engine->owed++;
	engine->ports.nonce(engine->ports.user, tx->line->index, &query,
		on_probe_nonce, tx);
}

static void probe(struct fac_tx *tx)
{
	struct fac_line *line = tx->line;
	struct fac_engine *engine = line->engine;
	uint32_t depth = line->config.proof_depth;
	uint64_t number = line->head.number > depth ? line->head.number - depth
						    : 0;

	tx->probing = true;
	tx->probe_used = false;
	tx->probe_used_now = false;
	tx->busy++;
	engine->owed++;
	engine->ports.block(
		engine->ports.user, line->index, number, on_probe_block, tx);
}

static bool is_doubtful(const struct fac_tx *tx, uint64_t now_ms)
{
	uint64_t since = tx->transaction.created_ms;

	if (tx->suspect || (now_ms > since && now_ms - since > DOUBT_MS))
		return true;
	return tx->job && tx->job->payment.valid_before_unix_s <= now_ms / 1000;
}

/*
 * A node refuses these bytes and their payment is over, proven: they move no
 * money whenever they land. Then the nonce may be given to other bytes.
 */
static bool is_refused_for_good(const struct fac_tx *tx)
{
	return !tx->job && tx->blocked && tx->status == FAC_SEND_REJECTED &&
		tx->transaction.keys_len;
}

static void on_forgotten(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	if (reply->err)
		tx->replaced = false; /* tried again by the next tick */
	else
		fac_tx_end(tx, true);
}

static void forget(struct fac_tx *tx)
{
	struct fac_engine *engine = tx->line->engine;

	tx->replaced = true;
	tx->busy++;
	engine->owed++;
	engine->ports.mark_replaced(
		engine->ports.user, tx->transaction.hash32, on_forgotten, tx);
}

/* ---- The tick. ---- */

bool fac_reconcile_is_late(const struct fac_job *job)
{
	uint64_t now_s = fac_engine_now(job->engine) / 1000;

	return job->payment.valid_before_unix_s < now_s + LATE_S;
}

void fac_reconcile_tick(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	if (!line->polling && now >= line->next_poll_ms) {
		if (!line->poll_interval_ms)
			line->poll_interval_ms = POLL_MIN_MS;
		start_poll(line);
	}
	for (struct fac_tx *tx = line->txs; tx;) {
		struct fac_tx *next = tx->next;

		if (tx->dead || !tx->journalled) {
			tx = next;
			continue;
		}
		if (tx->retry_ms && now >= tx->retry_ms) {
			if (tx->mined)
				mark_mined(tx);
			else if (tx->replaced)
				mark_replaced(tx);
		} else if (!tx->mined && !tx->replaced && !tx->probing &&
			line->head_known && now >= tx->next_probe_ms &&
			is_doubtful(tx, now)) {
			probe(tx);
		} else if (!tx->mined && !tx->replaced && !tx->probing &&
			!tx->busy && is_refused_for_good(tx)) {
			forget(tx);
		}
		tx = next;
	}
}
