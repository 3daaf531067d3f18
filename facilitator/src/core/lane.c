/*
 * Lanes: one signer on one chain hands out its nonces in order, while many
 * transactions are under way.
 *
 *   1. fac_lane_enqueue     a durable reservation wants a lane
 *   2. fac_lane_dispatch    who goes together (batch.c)? fees known? the lane
 *                           with the least in flight that can pay the gas
 *   3. sign_batch           next nonce, our template, our ceilings (R4)
 *   4. fac_lane_journal     raw bytes and hash become durable (R1)
 *   5. fac_lane_journalled  broadcast; mark_broadcast when a node took it
 *   6. fac_lane_tick        send again what is not taken; fill gaps
 *
 * A nonce is never left behind. A journal write that the lease forbids gives
 * it back, and a later payment, or a transaction that does nothing, takes it.
 * Bytes that were journalled are sent until the nonce is spent, whatever a
 * node said of them: it may have kept a copy.
 */
#include "core/engine_p.h"
#include "x402/transaction.h"

#include <stdio.h>
#include <stdlib.h>

/* Fees older than this are asked anew. */
#define FEES_LIFETIME_MS 2000
#define FEES_RETRY_MS    500
/* A signer's balance is asked so often, sooner while it is dry. */
#define BALANCE_MS       10000
#define BALANCE_RETRY_MS 2000
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
#define SVM_REBROADCAST_MS 2000
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

	if (fac_svm_is(lane->line))
		return; /* of that message alone */
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

const struct fac_attempt *fac_tx_newest(const struct fac_tx *tx)
{
	return &tx->transaction.attempts[tx->transaction.attempts_len - 1];
}

struct fac_tx *fac_tx_new(struct fac_line *line, struct fac_lane *lane,
	struct fac_transaction *transaction)
{
	struct fac_tx *tx = fac_must_calloc(1, sizeof(*tx));

	tx->line = line;
	tx->lane = lane;
	tx->transaction = *transaction;
	memset(transaction, 0, sizeof(*transaction));
	tx->jobs = fac_must_calloc(
		tx->transaction.keys_len, sizeof(struct fac_job *));
	tx->slot = &line->txs;
	tx->next = line->txs;
	if (tx->next)
		tx->next->slot = &tx->next;
	line->txs = tx;
	if (lane)
		lane->in_flight++;
	line->payments_in_flight += tx->transaction.keys_len;
	return tx;
}

void fac_tx_add_job(struct fac_tx *tx, size_t index, struct fac_job *job)
{
	tx->jobs[index] = job;
	tx->jobs_live++;
	job->tx = tx;
	job->index = index;
	memcpy(job->of32, tx->transaction.id32, 32);
	job->late = false;
}

void fac_tx_drop_job(struct fac_job *job)
{
	struct fac_tx *tx = job->tx;

	if (!tx)
		return;
	tx->jobs[job->index] = NULL;
	tx->jobs_live--;
	job->tx = NULL;
}

void fac_tx_set_blocked(struct fac_tx *tx, bool blocked)
{
	if (tx->lane && blocked && !tx->blocked)
		tx->lane->blocked++;
	if (tx->lane && !blocked && tx->blocked)
		tx->lane->blocked--;
	tx->blocked = blocked;
}

/* Nodes want the balance to cover all that waits, at its highest price. */
void fac_tx_commit(struct fac_tx *tx)
{
	struct fac_lane *lane = tx->lane;
	struct x402_u256 cost = {{0}};

	if (!lane)
		return;
	/* Sums of what was added before: they cannot fail. */
	(void)!x402_u256_sub(
		&lane->committed, &tx->committed, &lane->committed);
	if (!tx->dead && !tx->mined &&
		(!x402_u256_mul_u64(&fac_tx_newest(tx)->max_fee_per_gas,
			 tx->gas_limit, &cost) ||
			!x402_u256_add(
				&lane->committed, &cost, &lane->committed)))
		cost = (struct x402_u256){{0}};
	tx->committed = cost;
}

void fac_tx_set_mined(struct fac_tx *tx, bool mined)
{
	if (tx->mined == mined)
		return;
	tx->mined = mined;
	if (mined)
		fac_tx_set_blocked(tx, false);
	if (tx->lane)
		tx->lane->in_flight += mined ? -1u : 1u;
	if (mined)
		tx->line->payments_in_flight -= tx->transaction.keys_len;
	else
		tx->line->payments_in_flight += tx->transaction.keys_len;
	fac_tx_commit(tx);
}

static void free_tx(struct fac_tx *tx)
{
	*tx->slot = tx->next;
	if (tx->next)
		tx->next->slot = tx->slot;
	fac_transaction_clear(&tx->transaction);
	free(tx->jobs);
	free(tx);
}

void fac_tx_end(struct fac_tx *tx, bool give_back)
{
	if (tx->dead)
		return;
	fac_tx_set_blocked(tx, false);
	tx->dead = true;
	x402_buf_clear(&tx->raising.raw);
	fac_tx_commit(tx);
	if (!tx->mined) {
		tx->line->payments_in_flight -= tx->transaction.keys_len;
		if (tx->lane)
			tx->lane->in_flight--;
	}
	if (tx->lane && give_back)
		give_nonce_back(tx->lane, tx->transaction.nonce);
	for (size_t i = 0; i < tx->transaction.keys_len; i++)
		if (tx->jobs[i])
			fac_tx_drop_job(tx->jobs[i]);
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

/* ---- 1. The queue. ---- */

void fac_lane_enqueue(struct fac_job *job)
{
	struct fac_line *line = job->line;

	job->phase = FAC_JOB_QUEUED;
	job->late = false;
	job->queued_ms = fac_engine_now(job->engine);
	job->next_queued = NULL;
	*line->queued_last = job;
	line->queued_last = &job->next_queued;
	line->queued_len++;
	/* The tick dispatches: all that comes in this turn may go together. */
	fac_engine_wake(line->engine, 0);
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
	line->queued_len--;
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

static void say_why(struct fac_line *line, const char *why)
{
	for (struct fac_job *job = line->queued; job; job = job->next_queued)
		snprintf(job->trouble, sizeof(job->trouble), "%s", why);
}

void fac_lane_note_trouble(struct fac_line *line, const char *why)
{
	struct fac_engine *engine = line->engine;
	uint64_t now = fac_engine_now(engine);

	say_why(line, why);
	if (line->noted_ms && now - line->noted_ms < NOTE_EVERY_MS)
		return;
	line->noted_ms = now;
	fac_engine_note(
		engine, true, "%s: %s", line->config.network.caip2, why);
}

bool fac_lane_fees(struct fac_line *line, struct x402_u256 *ret_max_fee,
	struct x402_u256 *ret_priority)
{
	if (!fees_are_known(line)) {
		if (!line->fees_at_ms)
			say_why(line, "the chain's fees are unknown");
		return false;
	}
	if (choose_fees(line, ret_max_fee, ret_priority))
		return true;
	fac_lane_note_trouble(
		line, "the chain's base fee is above our ceiling");
	return false;
}

bool fac_lane_is_ours(const struct fac_lane *lane)
{
	return lane->step == FAC_LANE_READY && !lane->line->engine->retiring &&
		fac_engine_now(lane->line->engine) < lane->lease_until_ms;
}

struct fac_store_lease fac_lane_lease(const struct fac_lane *lane)
{
	return (struct fac_store_lease){
		.network = lane->line->config.network.caip2,
		.signer = lane->address,
		.owner = lane->line->engine->owner,
		.token = lane->token};
}

/* Its balance covers this one too, as far as is known. */
static bool can_pay(const struct fac_lane *lane, const struct x402_u256 *cost)
{
	struct x402_u256 sum;

	return !lane->balance_known ||
		(x402_u256_add(&lane->committed, cost, &sum) &&
			x402_u256_cmp(&sum, &lane->balance) <= 0);
}

static void set_dry(struct fac_lane *lane, bool dry)
{
	if (lane->dry == dry)
		return;
	lane->dry = dry;
	if (dry)
		lane->balance_ms = 0; /* it may have been funded */
	fac_engine_note(lane->line->engine, dry,
		dry ? "%s: signer %s cannot pay for gas any more"
		    : "%s: signer %s can pay for gas again",
		lane->line->config.network.caip2, lane->text);
}

bool fac_lane_is_fit(
	struct fac_lane *lane, const struct x402_u256 *cost, const char **why)
{
	if (!fac_lane_is_ours(lane))
		return false;
	if (lane->in_flight >= lane->line->config.lane_limit) {
		*why = "every signer is busy";
		return false;
	}
	/* Behind a nonce that no node takes nothing can land. */
	if (lane->blocked && !lane->free_len && !fac_svm_is(lane->line)) {
		*why = lane->trouble;
		return false;
	}
	if (!can_pay(lane, cost)) {
		lane->wanted = *cost;
		set_dry(lane, true);
		*why = "no signer can pay for the gas";
		return false;
	}
	return true;
}

bool fac_lane_takes(
	const struct fac_line *line, const struct x402_address *signer)
{
	for (size_t i = 0; i < line->config.signers_len; i++) {
		const struct fac_lane *lane = &line->lanes[i];

		if (x402_address_equal(&lane->address, signer))
			return fac_lane_is_ours(lane) && !lane->dry &&
				lane->in_flight < line->config.lane_limit &&
				(!lane->blocked || lane->free_len);
	}
	return false;
}

/* The one with the least in flight; or why there is none. */
static struct fac_lane *choose_lane(struct fac_line *line,
	const struct fac_batch *batch, const struct x402_u256 *max_fee)
{
	struct fac_lane *best = NULL;
	const char *why = "no signer is leased here";
	struct x402_u256 cost;
	struct x402_address sender;
	bool is_bound = fac_batch_sender(batch, &sender);

	if (!x402_u256_mul_u64(max_fee, batch->gas_limit, &cost))
		return NULL;
	for (size_t i = 0; i < line->config.signers_len; i++) {
		struct fac_lane *lane = &line->lanes[i];

		if ((is_bound &&
			    !x402_address_equal(&lane->address, &sender)) ||
			!fac_lane_is_fit(lane, &cost, &why))
			continue;
		if (!best || lane->in_flight < best->in_flight)
			best = lane;
	}
	if (!best)
		fac_lane_note_trouble(line, why);
	return best;
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
		.created_ms = fac_engine_now(engine),
		.attempts_len = 1};
	struct fac_attempt *attempt = &done.attempts[0];
	enum x402_err err;

	attempt->max_fee_per_gas = unsigned_tx->max_fee_per_gas;
	attempt->max_priority_fee_per_gas =
		unsigned_tx->max_priority_fee_per_gas;
	attempt->created_ms = done.created_ms;
	unsigned_tx->chain_id = line->config.network.chain_id;
	memcpy(done.network, line->config.network.caip2, sizeof(done.network));
	err = x402_transaction_sign(engine->secp, unsigned_tx, lane->key,
		&attempt->raw, attempt->hash32);
	if (err)
		return err;
	memcpy(done.id32, attempt->hash32, 32);
	*ret_signed = done;
	return X402_OK;
}

static struct fac_tx *make_tx(struct fac_lane *lane,
	const struct fac_batch *batch, struct fac_transaction *transaction)
{
	struct fac_tx *tx;

	transaction->keys32 = fac_must_calloc(batch->len, 32);
	transaction->keys_len = batch->len;
	for (size_t i = 0; i < batch->len; i++)
		memcpy(transaction->keys32[i], batch->jobs[i]->payment.key32,
			32);
	tx = fac_tx_new(lane->line, lane, transaction);
	tx->gas_limit = batch->gas_limit;
	fac_tx_commit(tx);
	for (size_t i = 0; i < batch->len; i++) {
		struct fac_job *job = batch->jobs[i];

		fac_lane_dequeue(job);
		job->phase = FAC_JOB_JOURNALLING;
		job->trouble[0] = '\0';
		fac_tx_add_job(tx, i, job);
	}
	return tx;
}

void fac_lane_begin(struct fac_lane *lane, const struct fac_batch *batch,
	struct fac_transaction *transaction)
{
	fac_batch_count(lane->line->engine, batch->len);
	fac_lane_journal(make_tx(lane, batch, transaction));
}

/* False: this lane cannot go on. */
static bool sign_batch(struct fac_lane *lane, const struct fac_batch *batch,
	const struct x402_u256 *max_fee, const struct x402_u256 *priority)
{
	struct x402_buf data = {0};
	struct x402_transaction plain = {.nonce = take_nonce(lane),
		.max_priority_fee_per_gas = *priority,
		.max_fee_per_gas = *max_fee,
		.gas_limit = batch->gas_limit};
	struct fac_transaction transaction;
	enum x402_err err;

	fac_batch_call(batch, &plain.to, &data);
	plain.data = x402_buf_span(&data);
	err = sign(lane, &plain, &transaction);
	x402_buf_clear(&data);
	if (err) {
		give_nonce_back(lane, plain.nonce);
		fac_lane_note_trouble(lane->line, "signing failed");
		return false;
	}
	fac_lane_begin(lane, batch, &transaction);
	return true;
}

static void refuse_late(struct fac_job *job)
{
	/* Its bytes were sent once, so others may land what is in them. */
	if (job->payment.state == FAC_PAYMENT_REPLACED) {
		fac_lane_dequeue(job);
		fac_prove_late(job);
		return;
	}
	fac_answer_all(job, FAC_SETTLE_REFUSED,
		x402_settle_proof_reason(
			&job->payment.proof, X402_FATE_EXPIRED),
		"it expired before it could be sent");
	fac_job_release(job, "expired before it was sent");
}

void fac_lane_dispatch(struct fac_line *line)
{
	if (fac_svm_is(line)) {
		fac_svm_dispatch(line);
		return;
	}
	while (line->queued && !line->engine->ended) {
		struct fac_batch batch;
		struct fac_lane *lane;
		struct x402_u256 max_fee;
		struct x402_u256 priority;
		uint64_t wait_ms = 0;

		if (fac_reconcile_is_late(line->queued)) {
			refuse_late(line->queued);
			continue;
		}
		if (!fac_lane_fees(line, &max_fee, &priority))
			return;
		if (!fac_batch_choose(line, &batch, &wait_ms)) {
			fac_engine_wake(line->engine, wait_ms);
			return;
		}
		lane = choose_lane(line, &batch, &max_fee);
		if (!lane || !sign_batch(lane, &batch, &max_fee, &priority))
			return;
	}
}

/* ---- 4. The journal. ---- */

/* Nothing of it can be durable: its payments look for another lane. */
static void give_up(struct fac_tx *tx, bool give_back)
{
	for (size_t i = 0; i < tx->transaction.keys_len; i++) {
		struct fac_job *job = tx->jobs[i];

		if (!job)
			continue;
		fac_tx_drop_job(job);
		/* One of them may be at fault: not in company again. */
		if (tx->transaction.keys_len > 1)
			job->alone = true;
		if (++job->journal_tries < JOURNAL_TRIES_MAX)
			fac_lane_enqueue(job);
		else if (job->payment.state == FAC_PAYMENT_REPLACED)
			fac_prove_late(job);
		else
			fac_job_release(job, "the journal refused it");
	}
	fac_tx_end(tx, give_back);
}

/* Refused: the lease is another's, or the nonce, or one of the payments. */
static void meet_conflict(
	struct fac_tx *tx, const struct fac_store_reply *reply)
{
	struct fac_lane *lane = tx->lane;

	if (reply->fenced) {
		give_up(tx, false);
		fac_recover_fenced(lane);
		return;
	}
	fac_engine_note(tx->line->engine, true,
		"%s: the journal refused nonce %llu",
		tx->line->config.network.caip2,
		(unsigned long long)tx->transaction.nonce);
	give_up(tx, false);
	/* Read the journal again before the next nonce. */
	lane->step = FAC_LANE_ASKING;
	lane->retry_ms = 0;
}

static void on_journalled(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	if (!reply->err) {
		fac_crash_point("after_journal");
		fac_lane_journalled(tx);
		return;
	}
	if (reply->err == X402_ERR_CONFLICT) {
		meet_conflict(tx, reply);
		return;
	}
	/* Perhaps durable, perhaps not: the same bytes again. */
	for (size_t i = 0; i < tx->transaction.keys_len; i++)
		if (tx->jobs[i])
			snprintf(tx->jobs[i]->trouble,
				sizeof(tx->jobs[i]->trouble),
				"the journal could not be written");
	tx->retry_ms = fac_backoff(tx->line->engine, &tx->backoff_ms,
		JOURNAL_MIN_MS, JOURNAL_MAX_MS);
}

void fac_lane_journal(struct fac_tx *tx)
{
	struct fac_store_lease lease = fac_lane_lease(tx->lane);

	tx->retry_ms = 0;
	fac_crash_point("before_journal");
	fac_tx_store(tx, fac_verb_journal_signed(&tx->transaction, &lease),
		on_journalled);
}

/* ---- 5. Broadcast. ---- */

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
		if (tx->line->config.confirmations == FAC_CONFIRM_SUBMITTED)
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
		tx->next_send_ms = now +
			(fac_svm_is(tx->line) ? SVM_REBROADCAST_MS
					      : REBROADCAST_MS);
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
	case FAC_SEND_INSUFFICIENT_FUNDS:
	case FAC_SEND_UNDERPRICED:
	case FAC_SEND_REJECTED:
		if (outcome->status == FAC_SEND_INSUFFICIENT_FUNDS && tx->lane)
			set_dry(tx->lane, true);
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

void fac_lane_journalled(struct fac_tx *tx)
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

/* ---- 6. What is due. ---- */

/* A transfer of nothing to ourselves: the only other template we sign. */
static void fill_gap(struct fac_lane *lane)
{
	struct fac_line *line = lane->line;
	struct x402_transaction plain = {
		.gas_limit = FILLER_GAS, .to = lane->address};
	struct fac_transaction transaction;
	struct fac_tx *tx;

	if (!fac_lane_fees(line, &plain.max_fee_per_gas,
		    &plain.max_priority_fee_per_gas))
		return;
	plain.nonce = take_nonce(lane);
	if (sign(lane, &plain, &transaction)) {
		give_nonce_back(lane, plain.nonce);
		return;
	}
	fac_engine_note(line->engine, true, "%s: filling the gap at nonce %llu",
		line->config.network.caip2, (unsigned long long)plain.nonce);
	tx = fac_tx_new(line, lane, &transaction);
	tx->gas_limit = plain.gas_limit;
	fac_tx_commit(tx);
	fac_lane_journal(tx);
}

static void on_balance(
	void *arg, enum x402_err err, const struct x402_u256 *wei)
{
	struct fac_lane *lane = arg;
	struct fac_engine *engine = lane->line->engine;
	uint64_t now = fac_engine_now(engine);

	engine->owed--;
	lane->asking_balance = false;
	lane->balance_ms = now + BALANCE_RETRY_MS;
	if (err)
		return;
	lane->balance = *wei;
	lane->balance_known = true;
	if (!lane->dry) {
		lane->balance_ms = now + BALANCE_MS;
		return;
	}
	/* Only when it covers what it could not: no coming and going. */
	if (can_pay(lane, &lane->wanted))
		set_dry(lane, false);
	fac_lane_dispatch(lane->line);
}

static void ask_balance(struct fac_lane *lane)
{
	struct fac_engine *engine = lane->line->engine;

	lane->asking_balance = true;
	engine->owed++;
	if (fac_svm_is(lane->line))
		engine->ports.svm_balance(engine->ports.user, lane->line->index,
			&lane->svm_pubkey, on_balance, lane);
	else
		engine->ports.balance(engine->ports.user, lane->line->index,
			&lane->address, on_balance, lane);
}

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
	return tx->lane == lane && !tx->dead && !tx->mined && !tx->replaced;
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

void fac_lane_tick(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	fac_lane_dispatch(line);
	for (struct fac_tx *tx = line->txs; tx;) {
		struct fac_tx *next = tx->next;

		tick_tx(tx, now);
		tx = next;
	}
	for (size_t i = 0; i < line->config.signers_len; i++) {
		struct fac_lane *lane = &line->lanes[i];

		if (!lane->asking_balance && now >= lane->balance_ms &&
			lane->step == FAC_LANE_READY)
			ask_balance(lane);
		if (line->head_known && lane->in_flight &&
			fac_lane_is_ours(lane))
			remind_of_oldest(lane);
		/* A payment would have used it in dispatch. */
		if (fac_lane_is_ours(lane) && lane->free_len &&
			lane->in_flight && now - lane->free_since_ms >= GAP_MS)
			fill_gap(lane);
	}
}
