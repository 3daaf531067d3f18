/*
 * Payments in work: how they are found by their key, how long they live, and
 * their rows' first step and last: the reservation, and giving it up while
 * nothing is signed.
 *
 *   fac_job_new -> fac_job_reserve -> on_reserved -> the lanes, or its row
 *   fac_job_release -> on_released -> its callers begin anew, by the tick
 */
#include "core/engine_p.h"

#include "x402/encoding.h"

#include <assert.h>
#include <stdlib.h>

/* ---- Payments in work. ---- */

static struct fac_job **bucket_of(
	struct fac_engine *engine, const uint8_t key32[32])
{
	/* A hash already; the first bytes are as good as any. */
	unsigned index = (key32[0] | (unsigned)key32[1] << 8) % FAC_JOB_BUCKETS;

	return &engine->buckets[index];
}

struct fac_job *fac_job_find(struct fac_engine *engine, const uint8_t key32[32])
{
	struct fac_job *job = *bucket_of(engine, key32);

	while (job &&
		(job->phase == FAC_JOB_DONE ||
			memcmp(job->payment.key32, key32, 32) != 0))
		job = job->next_in_bucket;
	return job;
}

/* Its row names the newest transaction, where no memory of it does. */
static void set_of(struct fac_job *job)
{
	if (job->tx)
		return;
	if (!job->payment.transaction[0] ||
		x402_hex_decode_fixed(job->payment.transaction, job->of32, 32))
		memset(job->of32, 0, 32);
}

struct fac_job *fac_job_new(struct fac_line *line, struct fac_payment *payment,
	enum fac_job_phase phase)
{
	struct fac_engine *engine = line->engine;
	struct fac_job *job = fac_must_calloc(1, sizeof(*job));
	struct fac_job **bucket = bucket_of(engine, payment->key32);

	job->engine = engine;
	job->line = line;
	job->payment = *payment;
	set_of(job);
	memset(payment, 0, sizeof(*payment));
	job->phase = phase;
	job->next_in_bucket = *bucket;
	*bucket = job;
	job->slot = &engine->jobs;
	job->next = engine->jobs;
	if (job->next)
		job->next->slot = &job->next;
	engine->jobs = job;
	return job;
}

void fac_job_free(struct fac_job *job)
{
	struct fac_job **at = bucket_of(job->engine, job->payment.key32);

	while (*at != job)
		at = &(*at)->next_in_bucket;
	*at = job->next_in_bucket;
	*job->slot = job->next;
	if (job->next)
		job->next->slot = job->slot;
	fac_payment_clear(&job->payment);
	free(job);
}

void fac_job_end(struct fac_job *job)
{
	if (job->phase == FAC_JOB_QUEUED)
		fac_lane_dequeue(job);
	job->phase = FAC_JOB_DONE;
	job->retry_ms = 0;
	fac_tx_drop_job(job);
	/* Its row tells them the rest; or there is none any more. */
	fac_answer_anew(job->engine, &job->rivals);
	if (!job->busy && !job->waiters)
		fac_job_free(job);
}

bool fac_job_returned(struct fac_job *job)
{
	job->busy--;
	job->engine->owed--;
	if (job->phase == FAC_JOB_DONE && !job->busy && !job->waiters) {
		fac_job_free(job);
		return false;
	}
	return job->phase != FAC_JOB_DONE;
}

void fac_job_set_payment(struct fac_job *job, const struct fac_payment *payment)
{
	struct fac_payment copy;

	assert(memcmp(payment->key32, job->payment.key32, 32) == 0);
	fac_payment_copy(payment, &copy);
	fac_payment_clear(&job->payment);
	job->payment = copy;
	set_of(job);
}

/* ---- Giving up a reservation (nothing was signed). ---- */

void fac_job_restart_callers(struct fac_job *job)
{
	fac_answer_anew(job->engine, &job->waiters);
	fac_job_end(job);
}

/* Not ours to release: another instance took it up meanwhile. */
static void meet_other(struct fac_job *job, const struct fac_store_reply *reply)
{
	if (!job->waiters) {
		fac_job_end(job);
		return;
	}
	if (reply->payments_len && job->engine->shared) {
		fac_job_set_payment(job, &reply->payments[0]);
		fac_share_watch(job);
		return;
	}
	fac_engine_note(job->engine, true,
		"payment %s cannot be released: its row says %s",
		job->payment.id,
		reply->payments_len
			? fac_payment_state_text(reply->payments[0].state)
			: "nothing");
	fac_answer_all(job, FAC_SETTLE_FAULT,
		X402_REASON_UNEXPECTED_SETTLE_ERROR,
		"the payment's row is in another state");
	fac_job_end(job);
}

static void on_released(void *arg, const struct fac_store_reply *reply)
{
	struct fac_job *job = arg;

	if (!fac_job_returned(job))
		return;
	if (reply->err == X402_ERR_CONFLICT) {
		meet_other(job, reply);
		return;
	}
	if (reply->err && reply->err != X402_ERR_NOT_FOUND) {
		fac_job_retry(job, FAC_RETRY_MIN_MS, FAC_RETRY_MAX_MS);
		return;
	}
	fac_job_restart_callers(job);
}

void fac_job_release(struct fac_job *job, const char *note)
{
	if (job->phase == FAC_JOB_QUEUED)
		fac_lane_dequeue(job);
	job->phase = FAC_JOB_RELEASING;
	job->retry_ms = 0;
	fac_job_store(job,
		fac_verb_release(job->payment.key32, job->engine->owner, note),
		on_released);
}

/* ---- Reservation. ---- */

static bool is_awaited(const struct fac_job *job)
{
	uint64_t now = fac_engine_now(job->engine);

	for (const struct fac_waiter *w = job->waiters; w; w = w->next_of_list)
		if (w->deadline_ms > now)
			return true;
	return false;
}

static void take_reservation(
	struct fac_job *job, const struct fac_store_reply *reply)
{
	fac_job_set_payment(job, &reply->payments[0]);
	/* By the clock that prove.c asks; the store's may be another's. */
	job->payment.created_ms = fac_engine_wall(job->engine);
	fac_crash_point("after_reserve");
	if (is_awaited(job)) {
		fac_lane_enqueue(job);
		return;
	}
	/* Everybody left meanwhile: do not spend what nobody waits for. */
	fac_answer_all(job, FAC_SETTLE_FAULT,
		X402_REASON_UNEXPECTED_SETTLE_ERROR,
		"the deadline came first; nothing was sent");
	fac_job_release(job, "the caller left before it was signed");
}

/* The key was there already; each caller meets what is there. */
static void meet_row(struct fac_job *job, const struct fac_payment *payment)
{
	struct fac_waiter *waiter = job->waiters;

	job->waiters = NULL;
	fac_job_end(job);
	while (waiter) {
		struct fac_waiter *next = waiter->next_of_list;

		waiter->job = NULL;
		waiter->list = NULL;
		waiter->next_of_list = NULL;
		fac_answer_row(waiter, payment);
		waiter = next;
	}
}

/*
 * While the store answered, its lane was loaded: the row was there, and is in
 * work now. Its callers meet it by the same rule as any others.
 */
static void meet_adopted(struct fac_job *job)
{
	struct fac_waiter *lists[2] = {job->waiters, job->rivals};

	job->waiters = NULL;
	job->rivals = NULL;
	for (size_t i = 0; i < 2; i++) {
		struct fac_waiter *waiter = lists[i];

		while (waiter) {
			struct fac_waiter *next = waiter->next_of_list;

			waiter->list = NULL;
			waiter->next_of_list = NULL;
			fac_answer_attach(waiter, job);
			waiter = next;
		}
	}
}

static void on_reserved(void *arg, const struct fac_store_reply *reply)
{
	struct fac_job *job = arg;

	if (!fac_job_returned(job))
		return;
	if (job->phase != FAC_JOB_RESERVING) {
		meet_adopted(job);
		return;
	}
	if (!reply->err && reply->claimed && reply->payments_len) {
		take_reservation(job, reply);
	} else if (!reply->err && reply->payments_len) {
		meet_row(job, &reply->payments[0]);
	} else if (reply->err == X402_ERR_CONFLICT) {
		fac_answer_all(job, FAC_SETTLE_CONFLICT,
			X402_REASON_DUPLICATE_SETTLEMENT,
			"this idempotency key was used for another request");
		fac_job_end(job);
	} else if (reply->err == X402_ERR_POLICY) {
		char why[FAC_MESSAGE_SIZE];

		fac_cost_refused(job, reply->message, why);
		fac_answer_all(job, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR, why);
		fac_job_end(job);
	} else {
		/*
		 * Fail closed before money moves (F11). Perhaps it is durable
		 * all the same: nobody else may take it up while we live.
		 */
		fac_answer_all(job, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR,
			"the payment could not be recorded; nothing was sent");
		fac_job_release(job, "its reservation was not confirmed");
	}
}

void fac_job_reserve(struct fac_job *job, const struct fac_spend_limits *limits)
{
	fac_crash_point("before_reserve");
	fac_job_store(
		job, fac_verb_reserve(&job->payment, limits), on_reserved);
}
