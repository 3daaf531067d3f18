/*
 * Lanes: one signer on one chain hands out its nonces in order, while many
 * transactions are under way.
 *
 *   1. fac_lane_enqueue     a durable reservation wants a lane
 *   2. fac_lane_dispatch    who goes together (batch.c)? fees known? the lane
 *                           with the least in flight that can pay the gas
 *   3. sign_batch           next nonce, our template, our ceilings (R4)
 *   4. fac_lane_journal     raw bytes and hash become durable (R1)
 *                           and are sent (broadcast.c)
 *   5. fac_lane_tick        what is due: balances, gaps, sending again
 *
 * A nonce is never left behind. A journal write that the lease forbids gives
 * it back, and a later payment, or a transaction that does nothing, takes it.
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
/* A gap below waiting transactions is filled after so long without use. */
#define GAP_MS 1000
/* Gas of a transfer of nothing. */
#define FILLER_GAS     21000
#define JOURNAL_MIN_MS 100
#define JOURNAL_MAX_MS 2000
/* Other bytes hold our nonces: something is wrong, do not spin. */
#define JOURNAL_TRIES_MAX 3
/* All of a lane: some hold no place of it any more, and are in memory. */
#define FOLLOWED_MAX 1024
/* Look for late ones so often: far less than FAC_LATE_S leaves them. */
#define LATE_LOOK_MS 100
/* Complain about the same thing once in a while. */
#define NOTE_EVERY_MS 10000
/*
 * Thousandths of their limits that batches may use more than usual: on the
 * devnet those of two blocks differed by 12.
 */
#define USED_SPARE_PERMILLE 25
/* Blocks that full batches are sent for. */
#define FULL_BLOCKS 2
/* What used so much of a block says something; one small one does not. */
#define SAMPLE_PART 8

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
	if (fac_reconcile_is_late(job))
		line->next_late_ms = 0; /* it is refused at once */
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

void fac_lane_expect(struct fac_line *line)
{
	if (!fac_svm_is(line))
		(void)fees_are_known(line);
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

void fac_lane_warn(struct fac_line *line, const char *why)
{
	struct fac_engine *engine = line->engine;
	uint64_t now = fac_engine_now(engine);

	if (line->noted_ms && now - line->noted_ms < NOTE_EVERY_MS)
		return;
	line->noted_ms = now;
	fac_engine_note(
		engine, true, "%s: %s", line->config.network.caip2, why);
}

void fac_lane_note_trouble(struct fac_line *line, const char *why)
{
	say_why(line, why);
	fac_lane_warn(line, why);
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

void fac_lane_set_dry(struct fac_lane *lane, bool dry)
{
	if (lane->dry == dry)
		return;
	lane->dry = dry;
	lane->line->crowded = false;
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
	if (lane->in_flight >= lane->line->config.lane_limit + lane->overdue ||
		lane->in_flight >= FOLLOWED_MAX) {
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
		fac_lane_set_dry(lane, true);
		*why = "no signer can pay for the gas";
		return false;
	}
	return true;
}

/*
 * Of their limits, as transactions did of late; all of it until receipts tell.
 * A little more than that: one that does not fit costs its lane a block.
 */
static uint64_t used_permille(const struct fac_line *line)
{
	uint64_t permille;

	if (!line->gas_asked ||
		line->gas_asked < line->head.gas_limit / SAMPLE_PART)
		return 1000;
	permille = line->gas_used * 1000 / line->gas_asked +
		USED_SPARE_PERMILLE;
	return permille < 1000 ? permille : 1000;
}

/*
 * How much gas may one more ask for, to stand in the next blocks beside what is
 * in flight already? What they have no room for waits in the journal, where no
 * mempool forgets it. With nothing in flight anything may try.
 *
 * A node takes a transaction into a block while its limit fits into what the
 * others have not used. Full batches are sent for the block after the next one,
 * too: where blocks are quick it may come before we have heard of the next.
 * What is smaller is sent for the next one only, since anvil, filling a block,
 * drops what would fit by its size and not by its nonce.
 */
static uint64_t room_of(const struct fac_lane *lane, bool full)
{
	const struct fac_line *line = lane->line;
	uint64_t block = line->head_known ? line->head.gas_limit : 0;
	uint64_t used = lane->gas_in_flight / 1000 * used_permille(line);

	if (!block || !lane->in_flight)
		return UINT64_MAX;
	/* Else it would be late there, or look stuck. */
	if (full && line->block_ms &&
		line->block_ms * FULL_BLOCKS <= FAC_LATE_S * UINT64_C(1000))
		block *= FULL_BLOCKS;
	return used < block ? block - used : 0;
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

/*
 * The one with the least in flight; or why there is none. *room: the most gas
 * that a block has left on a lane that is too crowded for this batch.
 */
static struct fac_lane *choose_lane(struct fac_line *line,
	const struct fac_batch *batch, const struct x402_u256 *max_fee,
	uint64_t *room)
{
	struct fac_lane *best = NULL;
	const char *why = "no signer is leased here";
	struct x402_u256 cost;
	struct x402_u256 value = fac_batch_value(batch);
	struct x402_address sender;
	bool is_bound = fac_batch_sender(batch, &sender);
	bool crowded = false;

	*room = 0;
	if (!x402_u256_mul_u64(max_fee, batch->gas_limit, &cost) ||
		!x402_u256_add(&cost, &value, &cost))
		return NULL;
	for (size_t i = 0; i < line->config.signers_len; i++) {
		struct fac_lane *lane = &line->lanes[i];
		uint64_t its_room = room_of(lane, batch->full);

		if (is_bound && !x402_address_equal(&lane->address, &sender))
			continue;
		/* What it cannot pay for before a block, it need not. */
		if (room_of(lane, false) < batch->gas_limit &&
			!can_pay(lane, &cost))
			its_room = 0;
		else if (!fac_lane_is_fit(lane, &cost, &why))
			continue;
		if (its_room < batch->gas_limit) {
			crowded = true;
			its_room = room_of(lane, false);
			*room = its_room > *room ? its_room : *room;
			continue;
		}
		if (!best || lane->in_flight < best->in_flight)
			best = lane;
	}
	/* A block makes room: that is no trouble, and until then all wait. */
	line->crowded = !best && crowded;
	if (!best && !crowded)
		fac_lane_note_trouble(line, why);
	return best;
}

/* A smaller batch takes what the others leave of the next block. */
static struct fac_lane *find_lane(struct fac_line *line,
	struct fac_batch *batch, const struct x402_u256 *max_fee)
{
	uint64_t room;
	struct fac_lane *lane = choose_lane(line, batch, max_fee, &room);

	if (!lane && line->crowded && fac_batch_fit(batch, room))
		lane = choose_lane(line, batch, max_fee, &room);
	return lane;
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
	tx->value = fac_batch_value(batch);
	tx->since_slot = lane->line->head_known ? lane->line->head.number : 0;
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
	struct x402_transaction plain = {.nonce = fac_lane_take_nonce(lane),
		.max_priority_fee_per_gas = *priority,
		.max_fee_per_gas = *max_fee,
		.gas_limit = batch->gas_limit,
		.value = fac_batch_value(batch)};
	struct fac_transaction transaction;
	enum x402_err err;

	fac_batch_call(batch, &plain.to, &data);
	plain.data = x402_buf_span(&data);
	err = sign(lane, &plain, &transaction);
	x402_buf_clear(&data);
	if (err) {
		fac_lane_give_nonce_back(lane, plain.nonce);
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

/* Wherever in the queue: one that goes alone overtakes the others. */
static void refuse_all_late(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);
	struct fac_job *next;

	/* Thousands may wait, and each answer of a port dispatches. */
	if (now < line->next_late_ms)
		return;
	line->next_late_ms = now + LATE_LOOK_MS;
	for (struct fac_job *job = line->queued; job; job = next) {
		next = job->next_queued;
		if (fac_reconcile_is_late(job))
			refuse_late(job);
	}
}

void fac_lane_dispatch(struct fac_line *line)
{
	if (fac_svm_is(line)) {
		fac_svm_dispatch(line);
		return;
	}
	if (!line->engine->ended)
		refuse_all_late(line);
	while (line->queued && !line->engine->ended) {
		struct fac_batch batch;
		struct fac_lane *lane;
		struct x402_u256 max_fee;
		struct x402_u256 priority;
		uint64_t wait_ms = 0;

		if (line->crowded)
			return;
		if (!fac_lane_fees(line, &max_fee, &priority))
			return;
		if (!fac_batch_choose(line, &max_fee, &batch, &wait_ms)) {
			fac_engine_wake(line->engine, wait_ms);
			return;
		}
		lane = find_lane(line, &batch, &max_fee);
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
		fac_broadcast_begin(tx);
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

/* ---- 5. What is due. ---- */

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
	plain.nonce = fac_lane_take_nonce(lane);
	if (sign(lane, &plain, &transaction)) {
		fac_lane_give_nonce_back(lane, plain.nonce);
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
		fac_lane_set_dry(lane, false);
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

void fac_lane_tick(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	/* What a payment, or a gift, may cost is asked before it is queued. */
	if (!line->fees_at_ms && !fac_svm_is(line))
		(void)!fees_are_known(line);
	fac_lane_dispatch(line);
	fac_broadcast_tick(line);
	for (size_t i = 0; i < line->config.signers_len; i++) {
		struct fac_lane *lane = &line->lanes[i];

		if (!lane->asking_balance && now >= lane->balance_ms &&
			lane->step == FAC_LANE_READY)
			ask_balance(lane);
		/* A payment would have used it in dispatch. */
		if (fac_lane_is_ours(lane) && lane->free_len &&
			lane->in_flight && now - lane->free_since_ms >= GAP_MS)
			fill_gap(lane);
	}
}
