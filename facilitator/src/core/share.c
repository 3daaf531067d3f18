/*
 * Work that passes between instances, by way of the store that they share:
 *
 *   fac_share_beat    this instance lives; one that does not beat is dead
 *   hand over         a reservation that we have no lane for is anybody's
 *   take over         what is anybody's, or a dead instance's: a reservation
 *                     that was handed over is signed here; one whose caller
 *                     died with its instance is given up, for nothing of it
 *                     was sent (R1)
 *   fac_share_watch   our callers wait for a payment that others work on
 *
 * A lone daemon goes the same ways: what its last run left is taken over.
 */
#include "core/engine_p.h"

#include <stdlib.h>

#define WATCH_MS 200
#define TAKE_MS  250
#define TAKE_MAX 200
/* A lone daemon finds only what an instance of another name left. */
#define TAKE_ALONE_MS 5000
#define RETRY_MS      1000
/* Without a lane for so long a payment is handed over. */
#define HAND_OVER_MS 150

/* ---- Alive. ---- */

static void on_beat(void *arg, const struct fac_store_reply *reply)
{
	struct fac_engine *engine = arg;

	engine->owed--;
	engine->beating = false;
	engine->next_beat_ms = fac_engine_now(engine) +
		(reply->err ? RETRY_MS : FAC_LEASE_RENEW_MS);
	if (!reply->err)
		engine->alive = true;
}

void fac_share_beat(struct fac_engine *engine)
{
	if (engine->beating || engine->retiring ||
		fac_engine_now(engine) < engine->next_beat_ms)
		return;
	engine->beating = true;
	fac_engine_store(engine,
		fac_verb_heartbeat(engine->owner, FAC_LEASE_MS), on_beat,
		engine);
}

/* ---- Watching. ---- */

bool fac_share_is_own(const struct fac_job *job)
{
	const struct fac_payment *payment = &job->payment;

	return (payment->state == FAC_PAYMENT_RESERVED ||
		       payment->state == FAC_PAYMENT_REPLACED) &&
		strcmp(payment->owner, job->engine->owner) == 0;
}

void fac_share_watch(struct fac_job *job)
{
	fac_tx_drop_job(job);
	if (!job->waiters) {
		fac_job_end(job);
		return;
	}
	job->phase = FAC_JOB_FOREIGN;
	fac_job_retry_at(job, fac_engine_now(job->engine) + WATCH_MS);
}

static bool is_ours_in_work(const struct fac_job *job)
{
	const struct fac_payment *payment = &job->payment;

	return (payment->state == FAC_PAYMENT_SIGNED ||
		       payment->state == FAC_PAYMENT_BROADCAST) &&
		strcmp(payment->owner, job->engine->owner) == 0;
}

/* Its transaction is ours: follow it, whoever lost sight of whom. */
static void find_work(struct fac_job *job)
{
	for (struct fac_tx *tx = job->line->txs; tx; tx = tx->next) {
		const struct fac_transaction *transaction = &tx->transaction;

		for (size_t i = 0; i < transaction->keys_len; i++) {
			if (tx->dead || tx->jobs[i] ||
				!fac_recover_is_of(
					&job->payment, transaction) ||
				memcmp(transaction->keys32[i],
					job->payment.key32, 32) != 0)
				continue;
			fac_tx_add_job(tx, i, job);
			job->phase = FAC_JOB_IN_FLIGHT;
			job->retry_ms = 0;
			if (tx->mined)
				fac_recover_check_open(job);
			return;
		}
	}
	/* Its lane is not loaded yet. */
	fac_share_watch(job);
}

static void on_watched(void *arg, const struct fac_store_reply *reply)
{
	struct fac_job *job = arg;

	if (!fac_job_returned(job) || job->phase != FAC_JOB_FOREIGN)
		return;
	if (reply->err == X402_ERR_NOT_FOUND) {
		fac_job_restart_callers(job);
		return;
	}
	if (reply->err || !reply->payments_len) {
		fac_share_watch(job);
		return;
	}
	fac_job_set_payment(job, &reply->payments[0]);
	if (fac_share_is_own(job))
		fac_lane_enqueue(job);
	else if (is_ours_in_work(job))
		find_work(job);
	else if (job->payment.state == FAC_PAYMENT_CANCELLED)
		fac_job_restart_callers(job);
	else if (fac_payment_is_final(job->payment.state))
		fac_answer_end(job);
	else
		fac_share_watch(job);
}

void fac_share_repeat(struct fac_job *job)
{
	struct fac_payment_query query = {.key32 = job->payment.key32};

	fac_job_store(job, fac_verb_payment_get(query), on_watched);
}

/* ---- Handing over. ---- */

static void on_handed_over(void *arg, const struct fac_store_reply *reply)
{
	struct fac_job *job = arg;

	if (!fac_job_returned(job) || job->phase != FAC_JOB_FOREIGN)
		return;
	if (reply->err == X402_ERR_STORE)
		fac_lane_enqueue(job);
	else
		fac_share_watch(job);
}

static bool has_lane(const struct fac_line *line)
{
	for (size_t i = 0; i < line->config.signers_len; i++)
		if (line->lanes[i].step != FAC_LANE_LEASING)
			return true;
	return false;
}

/* A payment that is bound to its sender needs the very lane. */
static bool has_lane_for(const struct fac_job *job)
{
	const struct fac_line *line = job->line;
	struct x402_address sender;

	if (fac_payment_sender(&job->payment, &sender))
		return has_lane(line);
	for (size_t i = 0; i < line->config.signers_len; i++)
		if (x402_address_equal(&line->lanes[i].address, &sender))
			return line->lanes[i].step != FAC_LANE_LEASING;
	return false;
}

static void hand_over_all(struct fac_line *line, uint64_t now)
{
	struct fac_job *next;

	for (struct fac_job *job = line->queued; job; job = next) {
		next = job->next_queued;
		if (job->queued_ms + HAND_OVER_MS > now || has_lane_for(job))
			continue;
		fac_lane_dequeue(job);
		job->phase = FAC_JOB_FOREIGN;
		fac_job_store(job,
			fac_verb_hand_over(
				job->payment.key32, line->engine->owner),
			on_handed_over);
	}
}

/* ---- Taking over. ---- */

static void take(struct fac_line *line, const struct fac_payment *row)
{
	struct fac_engine *engine = line->engine;
	struct fac_job *job = fac_job_find(engine, row->key32);
	bool handed_over = !row->owner[0];
	struct fac_payment copy;

	if (job && job->phase != FAC_JOB_FOREIGN)
		return; /* ours, and in work */
	if (!job) {
		fac_payment_copy(row, &copy);
		job = fac_job_new(line, &copy, FAC_JOB_FOREIGN);
	} else {
		fac_job_set_payment(job, row);
	}
	job->retry_ms = 0;
	memcpy(job->payment.owner, engine->owner, sizeof(engine->owner));
	if (handed_over || job->waiters || row->state == FAC_PAYMENT_REPLACED)
		fac_lane_enqueue(job);
	else
		fac_job_release(job, "found unsigned; its caller is gone");
}

static void on_taken(void *arg, const struct fac_store_reply *reply)
{
	struct fac_line *line = arg;
	struct fac_engine *engine = line->engine;
	uint64_t now = fac_engine_now(engine);

	engine->owed--;
	line->taking = false;
	line->next_take_ms = now +
		(reply->err                      ? RETRY_MS
				: engine->shared ? TAKE_MS
						 : TAKE_ALONE_MS);
	for (size_t i = 0; i < reply->payments_len; i++)
		take(line, &reply->payments[i]);
}

void fac_share_tick(struct fac_line *line)
{
	struct fac_engine *engine = line->engine;
	uint64_t now = fac_engine_now(engine);
	bool has = has_lane(line);

	if (engine->ended || engine->retiring || !engine->alive)
		return;
	if (engine->shared)
		hand_over_all(line, now);
	if (line->taking || now < line->next_take_ms || !has)
		return;
	line->taking = true;
	fac_engine_store(engine,
		fac_verb_take_over(
			line->config.network.caip2, engine->owner, TAKE_MAX),
		on_taken, line);
}
