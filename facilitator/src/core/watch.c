/*
 * Mined, but not final: a block may fall out of the chain again.
 *
 *   1. fac_watch_tick   at a new head: the blocks that our transactions are
 *                       in, one question for each block
 *   2. on_block         the same hash? deep enough: FINAL (durable)
 *   3. drop             another hash: the transaction goes back to work, and
 *                       so do the payments that it had ended (durable)
 *   4. on_dropped       its bytes are sent again; the reconciler follows it
 *
 * A payment that was answered with success stays credited: nobody gets it a
 * second time, and the engine works on until its money moved again.
 */
#include "core/engine_p.h"

#include <stdlib.h>

/* Blocks that are asked for at one head; the others at the next. */
#define BLOCKS_MAX 32

struct watch {
	struct fac_line *line;
	uint64_t number;
	uint64_t head;
};

/* ---- 4. Back to work. ---- */

static void take_back(struct fac_tx *tx, const struct fac_payment *row)
{
	struct fac_engine *engine = tx->line->engine;
	struct fac_job *job = fac_job_find(engine, row->key32);
	struct fac_payment copy;
	size_t i = 0;

	while (i < tx->transaction.keys_len &&
		memcmp(tx->transaction.keys32[i], row->key32, 32) != 0)
		i++;
	if (i == tx->transaction.keys_len || (job && job->tx))
		return;
	if (job) {
		if (job->phase == FAC_JOB_QUEUED)
			fac_lane_dequeue(job);
		fac_job_set_payment(job, row);
		job->phase = FAC_JOB_IN_FLIGHT;
		job->retry_ms = 0;
	} else {
		fac_payment_copy(row, &copy);
		job = fac_job_new(tx->line, &copy, FAC_JOB_IN_FLIGHT);
	}
	fac_tx_add_job(tx, i, job);
}

/*
 * The journal has it in flight: it was revived (recover.c), or dropped by
 * another instance. Only the journal knows its payments, so read it again.
 */
static void reload(struct fac_tx *tx)
{
	struct fac_lane *lane = tx->lane;

	if (lane->asking || lane->step != FAC_LANE_READY)
		return; /* the next head comes here again */
	lane->step = FAC_LANE_LOADING;
	lane->retry_ms = 0;
	fac_tx_end(tx, false);
}

static void on_dropped(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;
	struct fac_engine *engine = tx->line->engine;

	tx->dropping = false;
	if (!fac_tx_returned(tx))
		return;
	if (reply->fenced)
		fac_recover_fenced(tx->lane);
	else if (reply->err == X402_ERR_CONFLICT)
		reload(tx);
	if (reply->err)
		return; /* the next head finds it again */
	fac_crash_point("after_drop");
	tx->landed = false;
	fac_tx_set_mined(tx, false);
	tx->recorded = false;
	tx->suspect = false;
	tx->transaction.state = FAC_TRANSACTION_BROADCAST;
	tx->next_send_ms = 0;
	engine->stats.reorged++;
	for (size_t i = 0; i < reply->payments_len; i++)
		take_back(tx, &reply->payments[i]);
	tx->line->receipts_due = true;
	fac_engine_wake(engine, 0);
}

/* ---- 3. ---- */

void fac_watch_drop(struct fac_tx *tx)
{
	struct fac_engine *engine = tx->line->engine;
	struct fac_store_lease lease = fac_lane_lease(tx->lane);

	fac_engine_note(engine, true,
		"%s: a reorg took block %llu away, and nonce %llu with it; "
		"following it again",
		tx->line->config.network.caip2,
		(unsigned long long)tx->transaction.block_number,
		(unsigned long long)tx->transaction.nonce);
	tx->dropping = true;
	fac_crash_point("before_drop");
	fac_tx_store(tx,
		fac_verb_mark_dropped(tx->transaction.id32,
			tx->transaction.block_hash32, &lease),
		on_dropped);
}

/* ---- 2. ---- */

static void on_final(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;

	tx->finishing = false;
	if (!fac_tx_returned(tx))
		return;
	if (!reply->err)
		fac_tx_end(tx, false);
	else if (reply->fenced)
		fac_recover_fenced(tx->lane);
	else if (reply->err == X402_ERR_CONFLICT)
		reload(tx);
}

void fac_watch_finish(struct fac_tx *tx)
{
	struct fac_store_lease lease = fac_lane_lease(tx->lane);

	tx->finishing = true;
	fac_tx_store(tx, fac_verb_mark_final(tx->transaction.id32, &lease),
		on_final);
}

bool fac_watch_is_watched(const struct fac_tx *tx)
{
	return !tx->dead && tx->recorded && !tx->dropping && !tx->finishing &&
		!tx->jobs_live;
}

static void compare(
	struct fac_tx *tx, const struct fac_chain_block *block, uint64_t head)
{
	const struct fac_transaction *transaction = &tx->transaction;

	if (memcmp(block->hash32, transaction->block_hash32, 32) != 0) {
		fac_watch_drop(tx);
		return;
	}
	if (head < transaction->block_number + tx->line->config.proof_depth)
		return;
	fac_watch_finish(tx);
}

static void on_block(
	void *arg, enum x402_err err, const struct fac_chain_block *block)
{
	struct watch *watch = arg;
	struct fac_line *line = watch->line;

	line->engine->owed--;
	line->watching--;
	for (struct fac_tx *tx = line->txs; tx && !err;) {
		struct fac_tx *next = tx->next;

		if (fac_watch_is_watched(tx) &&
			tx->transaction.block_number == watch->number)
			compare(tx, block, watch->head);
		tx = next;
	}
	free(watch);
}

/* ---- 1. ---- */

static void ask_block(struct fac_line *line, uint64_t number)
{
	struct fac_engine *engine = line->engine;
	struct watch *watch = fac_must_calloc(1, sizeof(*watch));

	*watch = (struct watch){line, number, line->head.number};
	line->watching++;
	engine->owed++;
	engine->ports.block(
		engine->ports.user, line->index, number, on_block, watch);
}

static bool is_asked(const uint64_t *numbers, size_t len, uint64_t number)
{
	for (size_t i = 0; i < len; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

void fac_watch_tick(struct fac_line *line)
{
	uint64_t numbers[BLOCKS_MAX];
	size_t len = 0;

	if (!line->head_known || line->watching ||
		memcmp(line->watched_head32, line->head.hash32, 32) == 0)
		return;
	memcpy(line->watched_head32, line->head.hash32, 32);
	if (fac_svm_is(line)) {
		fac_svm_watch(line);
		return;
	}
	/* A head below its block: the node lags, or the block is gone. */
	for (struct fac_tx *tx = line->txs; tx && len < BLOCKS_MAX;
		tx = tx->next) {
		uint64_t number = tx->transaction.block_number;

		if (!fac_watch_is_watched(tx) || number > line->head.number ||
			is_asked(numbers, len, number))
			continue;
		numbers[len++] = number;
		ask_block(line, number);
	}
}
