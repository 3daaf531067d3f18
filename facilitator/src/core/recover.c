/*
 * Taking the journal up at start.
 *
 *   1. load        unfinished payments and transactions of this chain
 *   2. adopt       reserved: nothing was sent (R1), release it
 *                  signed or broadcast: send the same bytes again, follow
 *                  replaced: its bytes are dead, sign it anew
 *   3. ask_floor   per lane: one past the highest journalled nonce
 *   4. ask_chain   ... and the chain's pending nonce: the greater is next
 *   5. revive      what was mined but the chain does not count: a reorg
 *                  dropped it, so the same bytes are sent again
 *   6. open_lane   nonces in between without bytes are gaps to be filled
 *
 * Callers wait until step 2 is done for every chain, so that nobody reserves
 * what the journal already knows. Steps 3 to 6 may wait for a dead RPC, and
 * are taken again when a lane turns out to be stuck behind a missing nonce.
 */
#include "core/engine_p.h"

#include <stdlib.h>

#define RETRY_MS 1000

/* ---- 3 to 6. Lanes. ---- */

static bool has_bytes(const struct fac_lane *lane, uint64_t nonce)
{
	for (const struct fac_tx *tx = lane->line->txs; tx; tx = tx->next)
		if (tx->lane == lane && !tx->dead &&
			tx->transaction.nonce == nonce)
			return true;
	return false;
}

static void open_lane(struct fac_lane *lane)
{
	uint64_t pending = lane->pending;

	lane->free_len = 0;
	for (uint64_t nonce = pending; nonce < lane->floor; nonce++) {
		if (lane->free_len == FAC_LANE_MAX)
			break;
		if (!has_bytes(lane, nonce))
			lane->free_nonces[lane->free_len++] = nonce;
	}
	lane->free_since_ms = fac_engine_now(lane->line->engine);
	lane->next_nonce = lane->floor > pending ? lane->floor : pending;
	lane->ready = true;
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
	fac_transaction_copy(transaction, &copy);
	copy.state = FAC_TRANSACTION_BROADCAST;
	tx = fac_tx_new(lane->line, lane, NULL, &copy);
	tx->journalled = true;
	tx->marked_broadcast = true;
	tx->sent = true;
}

static void on_revived(void *arg, const struct fac_store_reply *reply)
{
	struct fac_lane *lane = arg;
	struct fac_engine *engine = lane->line->engine;

	engine->owed--;
	lane->asking = false;
	for (size_t i = 0; !reply->err && i < reply->transactions_len; i++)
		revive(lane, &reply->transactions[i]);
	if (!reply->err && reply->transactions_len)
		fac_engine_note(engine, true,
			"%s: %zu mined transactions from nonce %llu on are "
			"not in the chain; sending them again",
			lane->line->config.network.caip2,
			reply->transactions_len,
			(unsigned long long)lane->pending);
	/* There may be more: what follows waits until these are mined. */
	if (reply->err || reply->transactions_len == FAC_STORE_REVIVE_MAX)
		lane->retry_ms = fac_engine_now(engine) + RETRY_MS;
	else
		open_lane(lane);
}

static void on_pending(void *arg, enum x402_err err, uint64_t nonce)
{
	struct fac_lane *lane = arg;
	struct fac_engine *engine = lane->line->engine;

	lane->pending = nonce;
	if (!err && nonce < lane->floor && engine->ports.revive) {
		engine->ports.revive(engine->ports.user,
			lane->line->config.network.caip2, &lane->address, nonce,
			on_revived, lane);
		return;
	}
	engine->owed--;
	lane->asking = false;
	if (err)
		lane->retry_ms = fac_engine_now(engine) + RETRY_MS;
	else
		open_lane(lane);
}

static void on_floor(void *arg, const struct fac_store_reply *reply)
{
	struct fac_lane *lane = arg;
	struct fac_engine *engine = lane->line->engine;
	struct fac_nonce_query query = {
		.address = lane->address, .tag = FAC_NONCE_PENDING};

	if (reply->err) {
		engine->owed--;
		lane->asking = false;
		lane->retry_ms = fac_engine_now(engine) + RETRY_MS;
		return;
	}
	lane->floor = reply->number;
	engine->ports.nonce(engine->ports.user, lane->line->index, &query,
		on_pending, lane);
}

static void ask_floor(struct fac_lane *lane)
{
	struct fac_engine *engine = lane->line->engine;

	lane->asking = true;
	engine->owed++;
	engine->ports.next_nonce_floor(engine->ports.user,
		lane->line->config.network.caip2, &lane->address, on_floor,
		lane);
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

	lane->line->engine->owed--;
	lane->asking = false;
	if (err || !lane->ready || nonce >= lane->next_nonce ||
		has_bytes(lane, nonce) || is_free(lane, nonce))
		return;
	/* Nobody will send this one: take steps 3 to 6 again. */
	lane->ready = false;
	lane->retry_ms = 0;
}

void fac_recover_check_gap(struct fac_lane *lane)
{
	struct fac_engine *engine = lane->line->engine;
	struct fac_nonce_query query = {
		.address = lane->address, .tag = FAC_NONCE_LATEST};

	if (!lane->ready || lane->asking)
		return;
	lane->asking = true;
	engine->owed++;
	engine->ports.nonce(engine->ports.user, lane->line->index, &query,
		on_next_nonce, lane);
}

/* ---- 2. Adoption. ---- */

static struct fac_lane *lane_of(
	struct fac_line *line, const struct x402_address *signer)
{
	for (size_t i = 0; i < line->config.signers_len; i++)
		if (x402_address_equal(&line->lanes[i].address, signer))
			return &line->lanes[i];
	return NULL;
}

static void adopt_transaction(
	struct fac_line *line, const struct fac_transaction *transaction)
{
	struct fac_transaction copy;
	struct fac_job *job = NULL;
	struct fac_tx *tx;

	fac_transaction_copy(transaction, &copy);
	if (copy.keys_len)
		job = fac_job_find(line->engine, copy.keys32[0]);
	tx = fac_tx_new(line, lane_of(line, &transaction->signer), job, &copy);
	tx->journalled = true;
	tx->marked_broadcast = transaction->state == FAC_TRANSACTION_BROADCAST;
	/* It may be mined already: the first poll asks. */
	tx->sent = true;
}

static void adopt_payment(
	struct fac_line *line, const struct fac_payment *payment)
{
	struct fac_payment copy;

	fac_payment_copy(payment, &copy);
	(void)fac_job_new(line, &copy, FAC_JOB_IN_FLIGHT);
}

/* After the transactions, which find their payments by key. */
static void resume(struct fac_job *job)
{
	switch (job->payment.state) {
	case FAC_PAYMENT_RESERVED:
		fac_job_release(job, "found unsigned at start");
		return;
	case FAC_PAYMENT_REPLACED:
		fac_lane_enqueue(job);
		return;
	case FAC_PAYMENT_SIGNED:
	case FAC_PAYMENT_BROADCAST:
		if (job->tx)
			return;
		fac_engine_note(job->engine, true,
			"payment %s has no transaction in the journal",
			job->payment.id);
		fac_job_end(job);
		return;
	case FAC_PAYMENT_SETTLED:
	case FAC_PAYMENT_PROVISIONED:
	case FAC_PAYMENT_REVERTED:
	case FAC_PAYMENT_EXPIRED:
	case FAC_PAYMENT_CANCELLED:
	case FAC_PAYMENT_STATE_COUNT:
		fac_job_end(job);
		return;
	}
}

static void on_unfinished(void *arg, const struct fac_store_reply *reply)
{
	struct fac_line *line = arg;
	struct fac_engine *engine = line->engine;

	engine->owed--;
	line->loading = false;
	if (reply->err) {
		line->retry_ms = fac_engine_now(engine) + RETRY_MS;
		return;
	}
	line->loaded = true;
	for (size_t i = 0; i < reply->payments_len; i++)
		adopt_payment(line, &reply->payments[i]);
	for (size_t i = 0; i < reply->transactions_len; i++)
		adopt_transaction(line, &reply->transactions[i]);
	for (struct fac_job *job = engine->jobs; job;) {
		struct fac_job *next = job->next;

		if (job->line == line)
			resume(job);
		job = next;
	}
	if (reply->payments_len || reply->transactions_len)
		fac_engine_note(engine, false,
			"%s: %zu unfinished payments, %zu transactions taken "
			"up from the journal",
			line->config.network.caip2, reply->payments_len,
			reply->transactions_len);
	fac_engine_wake(engine, 0);
}

/* ---- 1. ---- */

void fac_recover_tick(struct fac_line *line)
{
	struct fac_engine *engine = line->engine;
	uint64_t now = fac_engine_now(engine);

	if (!line->loaded) {
		if (line->loading || now < line->retry_ms)
			return;
		line->loading = true;
		engine->owed++;
		engine->ports.load_unfinished(engine->ports.user,
			line->config.network.caip2, on_unfinished, line);
		return;
	}
	for (size_t i = 0; i < line->config.signers_len; i++) {
		struct fac_lane *lane = &line->lanes[i];

		if (!lane->ready && !lane->asking && now >= lane->retry_ms)
			ask_floor(lane);
	}
}
