/*
 * A lane from the lease to the first nonce, at start and whenever it is lost.
 *
 *   1. lease       only one instance signs for a signer; the fencing token
 *                  goes with every journal entry
 *   2. load        unfinished transactions and payments of this signer:
 *                  signed or broadcast are sent again, the same bytes;
 *                  mined are watched
 *   3. ask_floor   one past the highest journalled nonce
 *   4. ask_chain   ... and the chain's pending nonce: the greater is next
 *   5. revive      what was mined but the chain does not count: a reorg
 *                  dropped it, so the same bytes are sent again
 *   6. open_lane   nonces in between without bytes are gaps to be filled
 *
 * Steps 3 to 6 may wait for a dead RPC, and are taken again when a lane turns
 * out to be stuck behind a missing nonce. A lease that ran out, or went to
 * another instance, stops the lane: what it had signed is adopted by the
 * other, byte for byte, and the same bytes sent twice are one transaction.
 */
#include "core/engine_p.h"

#include <stdlib.h>

#define RETRY_MS 1000
/* Stop signing so long before the lease ends by the store's clock. */
#define LEASE_MARGIN_MS 2000

/* ---- 3 to 6. Nonces. ---- */

/*
 * A copy of what can be sent. When a transaction was final, the journal kept
 * the bytes of the attempt that was mined, and of the others the hashes alone.
 */
static void copy_attempts(
	const struct fac_transaction *from, struct fac_transaction *ret_copy)
{
	size_t kept = 0;

	fac_transaction_copy(from, ret_copy);
	for (size_t i = 0; i < ret_copy->attempts_len; i++)
		if (ret_copy->attempts[i].raw.len)
			ret_copy->attempts[kept++] = ret_copy->attempts[i];
		else
			x402_buf_clear(&ret_copy->attempts[i].raw);
	/* At least that one: a transaction has an attempt. */
	ret_copy->attempts_len = kept ? kept : 1;
}

static bool has_bytes(const struct fac_lane *lane, uint64_t nonce)
{
	for (const struct fac_tx *tx = lane->line->txs; tx; tx = tx->next)
		if (tx->lane == lane && !tx->dead &&
			tx->transaction.nonce == nonce)
			return true;
	return false;
}

/* One past the highest that we know to be ours. */
static uint64_t next_own_nonce(const struct fac_lane *lane)
{
	uint64_t next = lane->floor;

	/* Bytes that are not durable yet, or were not when we asked. */
	for (const struct fac_tx *tx = lane->line->txs; tx; tx = tx->next)
		if (tx->lane == lane && !tx->dead &&
			tx->transaction.nonce >= next)
			next = tx->transaction.nonce + 1;
	return next;
}

void fac_recover_note_taken(struct fac_lane *lane, uint64_t from, uint64_t to)
{
	struct fac_engine *engine = lane->line->engine;

	engine->stats.nonces_taken += to - from;
	fac_engine_note(engine, true,
		"%s: nonces %llu to %llu of signer %s are taken, and not by "
		"this journal: somebody else sends with its key (give each "
		"facilitator a key of its own, or all with this key one "
		"store), or the journal is an old copy",
		lane->line->config.network.caip2, (unsigned long long)from,
		(unsigned long long)to - 1, lane->text);
}

/*
 * Two journals with one key: each takes nonces that the other counts on. What
 * a key did before its first day here is no sign of it.
 */
static void look_for_strangers(struct fac_lane *lane, uint64_t own)
{
	uint64_t from = own > lane->strange ? own : lane->strange;

	if (lane->pending <= from)
		return;
	lane->strange = lane->pending;
	if (own)
		fac_recover_note_taken(lane, from, lane->pending);
	else
		fac_engine_note(lane->line->engine, false,
			"%s: signer %s has sent %llu transactions that this "
			"journal does not know",
			lane->line->config.network.caip2, lane->text,
			(unsigned long long)lane->pending);
}

static void open_lane(struct fac_lane *lane)
{
	uint64_t pending = lane->pending;
	uint64_t own = next_own_nonce(lane);
	uint64_t next = own > pending ? own : pending;

	look_for_strangers(lane, own);
	lane->free_len = 0;
	for (uint64_t nonce = pending; nonce < next; nonce++) {
		if (lane->free_len == FAC_LANE_MAX)
			break;
		if (!has_bytes(lane, nonce))
			lane->free_nonces[lane->free_len++] = nonce;
	}
	lane->free_since_ms = fac_engine_now(lane->line->engine);
	lane->next_nonce = next;
	lane->step = FAC_LANE_READY;
	lane->line->crowded = false;
	fac_lane_dispatch(lane->line);
}

/* Their payments have ended; only the nonces have to be spent again. */
static void revive(
	struct fac_lane *lane, const struct fac_transaction *transaction)
{
	struct fac_transaction copy;
	struct fac_tx *tx;

	if (has_bytes(lane, transaction->nonce))
		return;
	copy_attempts(transaction, &copy);
	copy.state = FAC_TRANSACTION_BROADCAST;
	tx = fac_tx_new(lane->line, lane, &copy);
	tx->journalled = true;
	tx->marked_broadcast = true;
	tx->sent = true;
	fac_tx_commit_adopted(tx);
}

/* The answer of a step: false when the lane was lost meanwhile. */
static bool step_returned(struct fac_lane *lane, enum fac_lane_step step)
{
	lane->line->engine->owed--;
	lane->asking = false;
	return lane->step == step;
}

static void retry(struct fac_lane *lane)
{
	lane->retry_ms = fac_engine_now(lane->line->engine) + RETRY_MS;
}

static void on_revived(void *arg, const struct fac_store_reply *reply)
{
	struct fac_lane *lane = arg;

	if (!step_returned(lane, FAC_LANE_ASKING))
		return;
	for (size_t i = 0; !reply->err && i < reply->transactions_len; i++)
		revive(lane, &reply->transactions[i]);
	if (!reply->err && reply->transactions_len)
		fac_engine_note(lane->line->engine, true,
			"%s: %zu mined transactions from nonce %llu on are "
			"not in the chain; sending them again",
			lane->line->config.network.caip2,
			reply->transactions_len,
			(unsigned long long)lane->pending);
	/* There may be more: what follows waits until these are mined. */
	if (reply->err || reply->transactions_len == FAC_STORE_REVIVE_MAX)
		retry(lane);
	else
		open_lane(lane);
}

/* All of its journalled nonces below are in work: nothing was forgotten. */
static bool is_covered(const struct fac_lane *lane, uint64_t nonce)
{
	for (; nonce < lane->floor; nonce++)
		if (!has_bytes(lane, nonce))
			return false;
	return true;
}

static void on_pending(void *arg, enum x402_err err, uint64_t nonce)
{
	struct fac_lane *lane = arg;

	if (!step_returned(lane, FAC_LANE_ASKING))
		return;
	lane->pending = nonce;
	if (err) {
		retry(lane);
	} else if (is_covered(lane, nonce)) {
		open_lane(lane);
	} else {
		lane->asking = true;
		fac_engine_store(lane->line->engine,
			fac_verb_revive(lane->line->config.network.caip2,
				&lane->address, nonce),
			on_revived, lane);
	}
}

static void on_floor(void *arg, const struct fac_store_reply *reply)
{
	struct fac_lane *lane = arg;
	struct fac_engine *engine = lane->line->engine;
	struct fac_nonce_query query = {
		.address = lane->address, .tag = FAC_NONCE_PENDING};

	if (!step_returned(lane, FAC_LANE_ASKING))
		return;
	if (reply->err) {
		retry(lane);
		return;
	}
	lane->floor = reply->number;
	lane->asking = true;
	engine->owed++;
	engine->ports.nonce(engine->ports.user, lane->line->index, &query,
		on_pending, lane);
}

static bool is_free(const struct fac_lane *lane, uint64_t nonce)
{
	for (size_t i = 0; i < lane->free_len; i++)
		if (lane->free_nonces[i] == nonce)
			return true;
	return false;
}

static void on_next_nonce(void *arg, enum x402_err err, uint64_t nonce)
{
	struct fac_lane *lane = arg;

	if (!step_returned(lane, FAC_LANE_READY))
		return;
	if (err || nonce >= lane->next_nonce || has_bytes(lane, nonce) ||
		is_free(lane, nonce))
		return;
	/* Nobody will send this one: take steps 3 to 6 again. */
	lane->step = FAC_LANE_ASKING;
	lane->retry_ms = 0;
}

void fac_recover_check_gap(struct fac_lane *lane)
{
	struct fac_engine *engine = lane->line->engine;
	struct fac_nonce_query query = {
		.address = lane->address, .tag = FAC_NONCE_LATEST};

	if (lane->step != FAC_LANE_READY || lane->asking)
		return;
	lane->asking = true;
	engine->owed++;
	engine->ports.nonce(engine->ports.user, lane->line->index, &query,
		on_next_nonce, lane);
}

/* ---- 2. Adoption. ---- */

/* Its row speaks of these bytes, and not of a later transaction. */
bool fac_recover_is_of(const struct fac_payment *row,
	const struct fac_transaction *transaction)
{
	char text[FAC_HASH_TEXT_SIZE];

	for (size_t i = 0; i < transaction->attempts_len; i++) {
		fac_hash_text(transaction->attempts[i].hash32, text);
		if (strcmp(text, row->transaction) == 0)
			return true;
	}
	return false;
}

static struct fac_job *adopt_payment(
	struct fac_line *line, const struct fac_payment *row)
{
	struct fac_job *job = fac_job_find(line->engine, row->key32);
	struct fac_payment copy;

	if (job && job->tx)
		return NULL;
	if (job) {
		if (job->phase == FAC_JOB_QUEUED)
			fac_lane_dequeue(job);
		fac_job_set_payment(job, row);
		job->retry_ms = 0;
		job->phase = FAC_JOB_IN_FLIGHT;
		return job;
	}
	fac_payment_copy(row, &copy);
	return fac_job_new(line, &copy, FAC_JOB_IN_FLIGHT);
}

static void adopt_payments(
	struct fac_tx *tx, const struct fac_store_reply *reply)
{
	const struct fac_transaction *transaction = &tx->transaction;

	for (size_t i = 0; i < transaction->keys_len; i++) {
		const uint8_t *key32 = transaction->keys32[i];
		const struct fac_payment *row = NULL;
		struct fac_job *job = NULL;

		for (size_t at = 0; at < reply->payments_len && !row; at++)
			if (memcmp(reply->payments[at].key32, key32, 32) == 0)
				row = &reply->payments[at];
		if (row &&
			(row->state == FAC_PAYMENT_SIGNED ||
				row->state == FAC_PAYMENT_BROADCAST) &&
			fac_recover_is_of(row, transaction))
			job = adopt_payment(tx->line, row);
		if (job)
			fac_tx_add_job(tx, i, job);
	}
}

void fac_recover_check_open(struct fac_job *job)
{
	job->mined_block = job->tx->transaction.block_number;
	fac_reconcile_set_end(job, FAC_PAYMENT_REVERTED,
		x402_settle_proof_reason(&job->payment.proof, X402_FATE_FAILED),
		"the transaction was mined without paying it");
	fac_prove_check(job);
}

/* Mined, and the end of some payments is still open. */
static void check_open_payments(struct fac_tx *tx)
{
	for (size_t i = 0; i < tx->transaction.keys_len; i++) {
		struct fac_job *job = tx->jobs[i];

		if (job)
			fac_recover_check_open(job);
	}
}

static void adopt_transaction(struct fac_lane *lane,
	const struct fac_transaction *transaction,
	const struct fac_store_reply *reply)
{
	struct fac_transaction copy;
	struct fac_tx *tx;

	if (has_bytes(lane, transaction->nonce))
		return;
	copy_attempts(transaction, &copy);
	tx = fac_tx_new(lane->line, lane, &copy);
	tx->journalled = true;
	tx->marked_broadcast = transaction->state != FAC_TRANSACTION_SIGNED;
	/* It may be mined already: the first poll asks. */
	tx->sent = true;
	adopt_payments(tx, reply);
	fac_tx_commit_adopted(tx);
	if (transaction->state != FAC_TRANSACTION_MINED)
		return;
	fac_tx_set_mined(tx, true);
	tx->recorded = true;
	check_open_payments(tx);
}

static void on_loaded(void *arg, const struct fac_store_reply *reply)
{
	struct fac_lane *lane = arg;
	struct fac_engine *engine = lane->line->engine;

	if (!step_returned(lane, FAC_LANE_LOADING))
		return;
	if (reply->err) {
		retry(lane);
		return;
	}
	for (size_t i = 0; i < reply->transactions_len; i++)
		adopt_transaction(lane, &reply->transactions[i], reply);
	if (reply->transactions_len)
		fac_engine_note(engine, false,
			"%s: %zu transactions with %zu payments taken up from "
			"the journal",
			lane->line->config.network.caip2,
			reply->transactions_len, reply->payments_len);
	lane->step = FAC_LANE_ASKING;
	lane->line->receipts_due = true;
	lane->line->next_poll_ms = 0;
	fac_engine_wake(engine, 0);
}

/* ---- 1. The lease. ---- */

void fac_recover_lose(struct fac_lane *lane, const char *why)
{
	struct fac_line *line = lane->line;

	fac_engine_note(line->engine, true, "%s: signer %s is lost: %s",
		line->config.network.caip2, lane->text, why);
	lane->step = FAC_LANE_LEASING;
	lane->lease_until_ms = 0;
	lane->free_len = 0;
	retry(lane);
	for (struct fac_tx *tx = line->txs; tx;) {
		struct fac_tx *next = tx->next;

		if (tx->lane != lane || tx->dead) {
			tx = next;
			continue;
		}
		for (size_t i = 0; i < tx->transaction.keys_len; i++)
			if (tx->jobs[i])
				fac_share_watch(tx->jobs[i]);
		fac_tx_end(tx, false);
		tx = next;
	}
}

void fac_recover_fenced(struct fac_lane *lane)
{
	/* Given back by ourselves, at the end: no news. */
	if (!lane->line->engine->retiring)
		fac_recover_lose(lane, "its lease went to another instance");
}

static void take_lease(
	struct fac_lane *lane, const struct fac_store_reply *reply)
{
	lane->lease_until_ms = lane->asked_ms + FAC_LEASE_MS - LEASE_MARGIN_MS;
	lane->renew_ms = lane->asked_ms + FAC_LEASE_RENEW_MS;
	lane->token = reply->number;
}

static void on_leased(void *arg, const struct fac_store_reply *reply)
{
	struct fac_lane *lane = arg;

	if (!step_returned(lane, FAC_LANE_LEASING))
		return;
	if (reply->err || !reply->claimed) {
		retry(lane);
		return;
	}
	take_lease(lane, reply);
	lane->step = FAC_LANE_LOADING;
	fac_engine_wake(lane->line->engine, 0);
}

static void on_renewed(void *arg, const struct fac_store_reply *reply)
{
	struct fac_lane *lane = arg;
	struct fac_engine *engine = lane->line->engine;

	engine->owed--;
	lane->renewing = false;
	if (lane->step == FAC_LANE_LEASING)
		return; /* lost meanwhile */
	if (reply->err)
		lane->renew_ms = fac_engine_now(engine) + RETRY_MS;
	else if (!reply->claimed || reply->number != lane->token)
		fac_recover_lose(lane, "another instance leased it");
	else
		take_lease(lane, reply);
}

static void ask_lease(struct fac_lane *lane, fac_store_done *done)
{
	struct fac_engine *engine = lane->line->engine;

	lane->asked_ms = fac_engine_now(engine);
	fac_engine_store(engine,
		fac_verb_lane_acquire(lane->line->config.network.caip2,
			&lane->address, engine->owner, FAC_LEASE_MS),
		done, lane);
}

/* ---- What is due. ---- */

static void take_step(struct fac_lane *lane)
{
	struct fac_engine *engine = lane->line->engine;
	const char *network = lane->line->config.network.caip2;

	switch (lane->step) {
	case FAC_LANE_LEASING:
		lane->asking = true;
		ask_lease(lane, on_leased);
		return;
	case FAC_LANE_LOADING:
		lane->asking = true;
		fac_engine_store(engine,
			fac_verb_load_lane(
				network, &lane->address, engine->owner),
			on_loaded, lane);
		return;
	case FAC_LANE_ASKING:
		if (fac_svm_is(lane->line)) {
			/* Messages number themselves. */
			lane->step = FAC_LANE_READY;
			lane->line->crowded = false;
			fac_lane_dispatch(lane->line);
			return;
		}
		lane->asking = true;
		fac_engine_store(engine,
			fac_verb_next_nonce_floor(network, &lane->address),
			on_floor, lane);
		return;
	case FAC_LANE_READY:
		return;
	}
}

void fac_recover_tick(struct fac_line *line)
{
	struct fac_engine *engine = line->engine;
	uint64_t now = fac_engine_now(engine);

	if (!engine->alive || engine->retiring)
		return;
	for (size_t i = 0; i < line->config.signers_len; i++) {
		struct fac_lane *lane = &line->lanes[i];

		if (!lane->asking && now >= lane->retry_ms)
			take_step(lane);
		if (lane->step == FAC_LANE_LEASING || lane->renewing ||
			now < lane->renew_ms)
			continue;
		lane->renewing = true;
		ask_lease(lane, on_renewed);
	}
}

/* ---- Leaving. ---- */

struct leaving {
	struct fac_engine *engine;
	size_t left;
	void (*done)(void *user);
	void *user;
};

static void left_one(struct leaving *leaving)
{
	if (--leaving->left)
		return;
	leaving->done(leaving->user);
	free(leaving);
}

static void on_lane_released(void *arg, const struct fac_store_reply *reply)
{
	struct leaving *leaving = arg;

	(void)reply; /* it runs out by itself */
	leaving->engine->owed--;
	left_one(leaving);
}

void fac_engine_release_lanes(
	struct fac_engine *engine, void (*done)(void *user), void *user)
{
	struct leaving *leaving = fac_must_calloc(1, sizeof(*leaving));

	*leaving = (struct leaving){engine, 1, done, user};
	engine->retiring = true;
	for (size_t i = 0; i < engine->lines_len; i++) {
		struct fac_line *line = &engine->lines[i];

		for (size_t at = 0; at < line->config.signers_len; at++) {
			struct fac_store_lease lease = fac_lane_lease(
				&line->lanes[at]);

			if (line->lanes[at].step == FAC_LANE_LEASING)
				continue;
			leaving->left++;
			fac_engine_store(engine, fac_verb_lane_release(&lease),
				on_lane_released, leaving);
		}
	}
	left_one(leaving);
}
