/*
 * The engine's frame: making it, callers and their deadlines, and the tick that
 * does what is due. The payments in work are job.c's.
 *
 *   1. fac_engine_settle    take the request
 *   2. fac_waiter_start     is the payment in work? else reserve it (durable)
 *   3. fac_job_reserve      ours: to the lanes; not ours: answer by its row
 *   4. batch.c, lane.c      choose company, sign, journal, broadcast
 *   5. reconcile.c          receipt, end (durable)
 *   6. answer.c             credit (durable), answer
 *
 * Answers are handed out by the tick only, so that no caller is called back
 * inside its own call and no list changes while it is walked.
 */
#include "core/engine_p.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Past a deadline: until the store has said what is there, nobody knows
 * whether an earlier request was sent (R3). It answers in moments.
 */
#define STORE_GRACE_MS 2000
/* Reserved, signed, mined, credited: each waits for the store. */
#define STORE_STEPS 4
/* Less than this is what any disk may take. */
#define STORE_LAG_LEAST_MS 500
/*
 * Solana: a blockhash lives for a minute or two, and messages with a durable
 * nonce are refused. So long after its reservation nobody can land a message
 * any more, and what is remembered of it may be forgotten when it has ended.
 */
#define SVM_DEAD_S  3600
#define MAX_WAITERS 20000

/* ---- Small things that all files use. ---- */

uint64_t fac_engine_now(const struct fac_engine *engine)
{
	return engine->ports.now_ms(engine->ports.user);
}

uint64_t fac_engine_wall(const struct fac_engine *engine)
{
	return engine->ports.wall_ms ? engine->ports.wall_ms(engine->ports.user)
				     : fac_engine_now(engine);
}

void fac_engine_wake(struct fac_engine *engine, uint64_t delay_ms)
{
	if (!engine->ended)
		engine->ports.wake(engine->ports.user, delay_ms);
}

void fac_engine_note(
	struct fac_engine *engine, bool warning, const char *fmt, ...)
{
	char text[512];
	va_list args;

	if (!engine->ports.note)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	engine->ports.note(engine->ports.user, warning, text);
}

void *fac_must_calloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		abort();
	return memory;
}

uint64_t fac_backoff(struct fac_engine *engine, uint64_t *backoff_ms,
	uint64_t min_ms, uint64_t max_ms)
{
	*backoff_ms = *backoff_ms ? *backoff_ms * 2 : min_ms;
	if (*backoff_ms > max_ms)
		*backoff_ms = max_ms;
	return fac_engine_now(engine) + *backoff_ms;
}

void fac_job_retry_at(struct fac_job *job, uint64_t at_ms)
{
	job->retry_ms = at_ms;
	if (at_ms < job->engine->retry_ms)
		job->engine->retry_ms = at_ms;
}

void fac_job_retry(struct fac_job *job, uint64_t min_ms, uint64_t max_ms)
{
	fac_job_retry_at(job,
		fac_backoff(job->engine, &job->backoff_ms, min_ms, max_ms));
}

struct fac_line *fac_engine_line(struct fac_engine *engine, const char *caip2)
{
	for (size_t i = 0; i < engine->lines_len; i++)
		if (strcmp(engine->lines[i].config.network.caip2, caip2) == 0)
			return &engine->lines[i];
	return NULL;
}

void fac_hash_text(const uint8_t hash32[32], char ret_text[FAC_HASH_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	*ret_text++ = '0';
	*ret_text++ = 'x';
	for (size_t i = 0; i < 32; i++) {
		*ret_text++ = digits[hash32[i] >> 4];
		*ret_text++ = digits[hash32[i] & 15];
	}
	*ret_text = '\0';
}

/* ---- The store. ---- */

void fac_engine_store(struct fac_engine *engine, struct fac_verb *verb,
	fac_store_done *done, void *arg)
{
	engine->owed++;
	engine->ports.store(engine->ports.user, verb, done, arg);
}

void fac_job_store(
	struct fac_job *job, struct fac_verb *verb, fac_store_done *done)
{
	job->busy++;
	fac_engine_store(job->engine, verb, done, job);
}

void fac_tx_store(
	struct fac_tx *tx, struct fac_verb *verb, fac_store_done *done)
{
	tx->busy++;
	fac_engine_store(tx->line->engine, verb, done, tx);
}

/* ---- 2. A caller begins. ---- */

void fac_waiter_free(struct fac_waiter *waiter)
{
	fac_payment_clear(&waiter->asked);
	free(waiter->answer);
	free(waiter);
}

static void on_recalled(void *arg, const struct fac_store_reply *reply)
{
	struct fac_waiter *waiter = arg;
	struct fac_job *job;

	waiter->busy--;
	waiter->engine->owed--;
	if (waiter->answered) {
		if (!waiter->done) /* told already: only we kept it */
			fac_waiter_free(waiter);
		return;
	}
	if (reply->err == X402_ERR_NOT_FOUND) {
		fac_answer(
			waiter, FAC_SETTLE_UNKNOWN, X402_REASON_NONE, "", NULL);
		return;
	}
	if (reply->err || !reply->payments_len) {
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR,
			"the store did not answer; ask again", NULL);
		return;
	}
	job = fac_job_find(waiter->engine, reply->payments[0].key32);
	if (job)
		fac_answer_attach(waiter, job);
	else
		fac_answer_row(waiter, &reply->payments[0]);
}

static void recall(struct fac_waiter *waiter)
{
	const struct fac_payment *asked = &waiter->asked;
	bool has_idempotency = asked->idempotency_key[0];
	struct fac_payment_query query = {
		.key32 = waiter->has_key32 ? asked->key32 : NULL,
		.payload_hash32 = asked->payload_hash32,
		.idempotency_scope = has_idempotency ? asked->idempotency_scope
						     : NULL,
		.idempotency_key = has_idempotency ? asked->idempotency_key
						   : NULL,
	};

	waiter->busy++;
	fac_engine_store(waiter->engine, fac_verb_payment_get(query),
		on_recalled, waiter);
}

/*
 * A payment takes some steps of the store, one after the other. Where these
 * would take longer than its caller waits, each step would be done for nobody,
 * and then undone; the more callers come again, the longer the others wait.
 */
static bool comes_too_late(const struct fac_waiter *waiter)
{
	struct fac_engine *engine = waiter->engine;
	uint64_t now = fac_engine_now(engine);
	uint64_t lag_ms = engine->ports.store_lag_ms
		? engine->ports.store_lag_ms(engine->ports.user)
		: 0;

	return waiter->deadline_ms > now && lag_ms > STORE_LAG_LEAST_MS &&
		lag_ms > (waiter->deadline_ms - now) / STORE_STEPS;
}

void fac_waiter_start(struct fac_waiter *waiter)
{
	struct fac_engine *engine = waiter->engine;
	struct fac_job *job = NULL;
	struct fac_line *line;
	struct fac_payment payment;
	struct fac_spend_limits limits;

	if (waiter->has_plan || waiter->has_key32)
		job = fac_job_find(engine, waiter->asked.key32);
	if (job) {
		fac_answer_attach(waiter, job);
		return;
	}
	/* An earlier one may have been sent: nothing is said of that (R3). */
	if (comes_too_late(waiter)) {
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR,
			"the journal has more to do than time allows; ask "
			"again",
			NULL);
		return;
	}
	if (!waiter->has_plan) {
		recall(waiter);
		return;
	}
	if (waiter->paid) {
		fac_grant_start(waiter);
		return;
	}
	line = fac_engine_line(engine, waiter->asked.network);
	fac_payment_copy(&waiter->asked, &payment);
	memcpy(payment.owner, engine->owner, sizeof(payment.owner));
	if (fac_svm_is(line) && !fac_svm_cosign(line, &payment)) {
		fac_payment_clear(&payment);
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR,
			"its fee payer is no signer here; nothing was sent",
			NULL);
		return;
	}
	if (!fac_cost_begin(line, &payment)) {
		fac_payment_clear(&payment);
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR,
			"its gas would cost more than is allowed for one "
			"payment; nothing was sent",
			NULL);
		return;
	}
	limits = fac_cost_limits(line, &payment);
	job = fac_job_new(line, &payment, FAC_JOB_RESERVING);
	fac_answer_join(waiter, job);
	fac_lane_expect(line);
	fac_job_reserve(job, &limits);
}

/* ---- 1. A request comes in. ---- */

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

/*
 * 48 bits of milliseconds, so that the store's index of them grows at its
 * end, and 80 random bits, so that nobody guesses one.
 */
static void make_id(struct fac_engine *engine, char ret_id[FAC_PAYMENT_ID_SIZE])
{
	uint64_t now = fac_engine_now(engine);
	uint8_t id[(FAC_PAYMENT_ID_SIZE - 1) / 2];

	for (size_t i = 0; i < 6; i++)
		id[i] = (uint8_t)(now >> (40 - 8 * i));
	engine->ports.random(engine->ports.user, id + 6, sizeof(id) - 6);
	fac_payment_id_text(id, ret_id);
}

/* Takes the plan's buffers. */
static void take_plan(
	struct fac_waiter *waiter, struct fac_settle_request *request)
{
	struct fac_engine *engine = waiter->engine;
	struct fac_payment *asked = &waiter->asked;
	struct x402_settle_plan *plan = &request->plan;
	make_id(engine, asked->id);
	memcpy(asked->key32, plan->key.bytes, 32);
	copy_text(asked->network, sizeof(asked->network), plan->network.caip2);
	asked->proof = x402_settle_plan_proof(plan);
	asked->valid_before_unix_s = plan->valid_before_unix_s;
	/* Known to nobody, and surely over by then: see SVM_DEAD_S. */
	if (plan->network.family == X402_FAMILY_SVM)
		asked->valid_before_unix_s = fac_engine_wall(engine) / 1000 +
			SVM_DEAD_S;
	asked->call_to = plan->call_to;
	asked->calldata = plan->calldata;
	asked->state_calldata = plan->state_calldata;
	plan->calldata = (struct x402_buf){0};
	plan->state_calldata = (struct x402_buf){0};
	asked->gas_limit = plan->gas_limit;
	asked->may_share = plan->may_share;
	memcpy(asked->references, plan->svm.references,
		sizeof(asked->references));
	asked->references_len = plan->svm.references_len;
	waiter->paid = plan->paid;
	if (plan->paid) {
		fac_hash_text(plan->nonce32, asked->transaction);
		asked->block_number = plan->paid_block_number;
	}
	x402_settle_plan_clear(plan);
}

static struct fac_waiter *new_waiter(
	struct fac_engine *engine, struct fac_settle_request *request)
{
	struct fac_waiter *waiter = fac_must_calloc(1, sizeof(*waiter));
	struct fac_payment *asked = &waiter->asked;

	waiter->engine = engine;
	waiter->ticket = ++engine->next_ticket;
	waiter->deadline_ms = request->deadline_unix_ms;
	if (waiter->deadline_ms < engine->deadline_ms)
		engine->deadline_ms = waiter->deadline_ms;
	waiter->slot = &engine->waiters;
	waiter->next = engine->waiters;
	if (waiter->next)
		waiter->next->slot = &waiter->next;
	engine->waiters = waiter;
	engine->waiters_len++;
	memcpy(asked->fingerprint32, request->fingerprint32, 32);
	memcpy(asked->payload_hash32, request->payload_hash32, 32);
	copy_text(asked->caller, sizeof(asked->caller), request->caller);
	if (request->idempotency_scope && request->idempotency_key) {
		copy_text(asked->idempotency_scope,
			sizeof(asked->idempotency_scope),
			request->idempotency_scope);
		copy_text(asked->idempotency_key,
			sizeof(asked->idempotency_key),
			request->idempotency_key);
		waiter->may_repeat = request->may_repeat;
	}
	asked->x402_version = request->x402_version;
	copy_text(asked->scheme, sizeof(asked->scheme), request->scheme);
	copy_text(asked->wire_network, sizeof(asked->wire_network),
		request->wire_network);
	waiter->has_plan = request->has_plan;
	if (request->has_plan) {
		take_plan(waiter, request);
	} else if (request->key32) {
		waiter->has_key32 = true;
		memcpy(asked->key32, request->key32, 32);
	}
	return waiter;
}

uint64_t fac_engine_settle(struct fac_engine *engine,
	struct fac_settle_request *request,
	void (*done)(void *user, const struct fac_settle_result *result),
	void *user)
{
	struct fac_waiter *waiter = new_waiter(engine, request);
	const struct fac_line *line = NULL;

	waiter->done = done;
	waiter->user = user;
	if (waiter->has_plan)
		line = fac_engine_line(engine, waiter->asked.network);
	fac_engine_wake(engine, 0);
	/* An earlier one may have been sent: nothing is said of that (R3). */
	if (engine->waiters_len > engine->max_waiters)
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR,
			"too many callers wait here; ask again", NULL);
	else if (waiter->has_plan && !line)
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_INVALID_NETWORK,
			"this network is not settled here", NULL);
	else if (line && !fac_svm_is(line) &&
		waiter->asked.gas_limit > line->config.max_gas_limit)
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR,
			"the payment needs more gas than is allowed here",
			NULL);
	else
		fac_waiter_start(waiter);
	return waiter->ticket;
}

void fac_engine_leave(struct fac_engine *engine, uint64_t ticket)
{
	for (struct fac_waiter *w = engine->waiters; w; w = w->next)
		if (w->ticket == ticket)
			w->deadline_ms = 0;
	engine->deadline_ms = 0;
	fac_engine_wake(engine, 0);
}

/* ---- Deadlines. ---- */

/* The caller's time is over. What it is told depends on how far we are. */
static void expire(struct fac_waiter *waiter)
{
	struct fac_job *job = waiter->job;

	if (waiter->granting)
		return;
	if (!job || job->phase == FAC_JOB_RESERVING) {
		if (fac_engine_now(waiter->engine) <
			waiter->deadline_ms + STORE_GRACE_MS)
			return;
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR,
			"the deadline came before the store answered; ask "
			"again",
			NULL);
		if (job)
			fac_answer_succeed(job);
		return;
	}
	/* Its success is on the way to being its own: moments. */
	if (job->crediting)
		return;
	fac_answer_unfinished(waiter, "the deadline came first");
	fac_answer_succeed(job);
	if (job->waiters)
		return;
	if (job->phase == FAC_JOB_FOREIGN)
		fac_job_end(job);
	/* Nobody waits and nothing is signed: give it up (F-060). */
	else if (job->phase == FAC_JOB_QUEUED && !job->payment.transaction[0])
		fac_job_release(job, "the caller's deadline came first");
}

static void expire_all(struct fac_engine *engine)
{
	uint64_t now = fac_engine_now(engine);
	uint64_t first = UINT64_MAX;

	/* Thousands wait, and a tick comes with each of their requests. */
	if (now < engine->deadline_ms)
		return;
	for (struct fac_waiter *w = engine->waiters; w;) {
		struct fac_waiter *next = w->next; /* answering unlinks */
		/* One that may not be told yet is asked after again. */
		uint64_t due = w->deadline_ms > now ? w->deadline_ms : now + 1;

		if (due < first)
			first = due;
		if (w->deadline_ms <= now)
			expire(w);
		w = next;
	}
	engine->deadline_ms = first;
}

/* What they waited for is over, and nothing was told of it. */
static void begin_anew(struct fac_engine *engine)
{
	struct fac_waiter *waiter;

	while ((waiter = engine->anew)) {
		fac_answer_detach(waiter);
		fac_waiter_start(waiter);
	}
}

/* A callback may settle anew; what it adds is not answered yet. */
static void deliver(struct fac_engine *engine)
{
	while (engine->ready) {
		struct fac_waiter *waiter = engine->ready;
		void (*done)(void *user, const struct fac_settle_result *) =
			waiter->done;

		engine->ready = waiter->next;
		if (!engine->ready)
			engine->ready_last = &engine->ready;
		waiter->result.answer = waiter->answer;
		waiter->done = NULL;
		fac_crash_point("before_answer");
		done(waiter->user, &waiter->result);
		if (!waiter->busy)
			fac_waiter_free(waiter);
	}
}

/* ---- The tick. ---- */

static void retry_jobs(struct fac_engine *engine)
{
	uint64_t now = fac_engine_now(engine);

	if (now < engine->retry_ms)
		return;
	engine->retry_ms = UINT64_MAX;
	for (struct fac_job *job = engine->jobs; job;) {
		struct fac_job *next = job->next;

		if (job->retry_ms > now && job->retry_ms < engine->retry_ms)
			engine->retry_ms = job->retry_ms;
		if (job->retry_ms && job->retry_ms <= now) {
			job->retry_ms = 0;
			if (job->phase == FAC_JOB_RELEASING)
				fac_job_release(job, "released late");
			else if (job->phase == FAC_JOB_FINISHING)
				fac_reconcile_finish(job);
			else if (job->phase == FAC_JOB_CHECKING)
				fac_prove_check(job);
			else if (job->phase == FAC_JOB_FOREIGN)
				fac_share_repeat(job);
			else if (job->phase == FAC_JOB_CREDITING)
				fac_answer_credit_again(job);
		}
		job = next;
	}
}

static bool has_work(const struct fac_engine *engine)
{
	if (engine->waiters || engine->ready || engine->jobs)
		return true;
	for (size_t i = 0; i < engine->lines_len; i++)
		for (const struct fac_tx *tx = engine->lines[i].txs; tx;
			tx = tx->next)
			if (!tx->recorded)
				return true;
	return false;
}

void fac_engine_tick(struct fac_engine *engine)
{
	fac_share_beat(engine);
	for (size_t i = 0; i < engine->lines_len; i++)
		fac_recover_tick(&engine->lines[i]);
	retry_jobs(engine);
	for (size_t i = 0; i < engine->lines_len; i++) {
		struct fac_line *line = &engine->lines[i];

		fac_share_tick(line);
		fac_batch_tick(line);
		fac_lane_tick(line);
		fac_raise_tick(line);
		fac_reconcile_tick(line);
		fac_prove_tick(line);
		fac_watch_tick(line);
	}
	expire_all(engine);
	begin_anew(engine);
	deliver(engine);
	fac_engine_wake(engine,
		has_work(engine) || !fac_engine_lanes_are_ready(engine)
			? FAC_TICK_MS
			: FAC_IDLE_TICK_MS);
}

bool fac_engine_is_idle(const struct fac_engine *engine)
{
	return !engine->owed && !has_work(engine);
}

/* ---- Making and ending. ---- */

enum x402_err fac_engine_new(const struct fac_engine_options *options,
	struct fac_engine **ret_engine)
{
	struct fac_engine *engine;
	enum x402_err err = X402_OK;

	if (!options->chains_len ||
		options->chains_len > FAC_ENGINE_CHAINS_MAX ||
		!options->owner || !*options->owner ||
		strlen(options->owner) >= FAC_OWNER_SIZE)
		return X402_ERR_INVALID_ARGUMENT;
	engine = fac_must_calloc(1, sizeof(*engine));
	engine->ports = options->ports;
	engine->secp = options->secp;
	engine->shared = options->shared;
	engine->max_waiters = options->max_waiters ? options->max_waiters
						   : MAX_WAITERS;
	copy_text(engine->owner, sizeof(engine->owner), options->owner);
	engine->started_ms = fac_engine_now(engine);
	engine->ready_last = &engine->ready;
	engine->lines = fac_must_calloc(
		options->chains_len, sizeof(*engine->lines));
	engine->lines_len = options->chains_len;
	for (size_t i = 0; i < options->chains_len && !err; i++)
		err = fac_line_init(engine, i, &options->chains[i]);
	if (err) {
		free(engine->lines);
		free(engine);
		return err;
	}
	fac_engine_wake(engine, 0);
	*ret_engine = engine;
	return X402_OK;
}

void fac_engine_free(struct fac_engine *engine)
{
	if (!engine)
		return;
	engine->ended = true;
	while (engine->waiters)
		fac_answer_unfinished(
			engine->waiters, "the daemon is stopping");
	deliver(engine);
	for (size_t i = 0; i < engine->lines_len; i++) {
		fac_reconcile_clear(&engine->lines[i]);
		while (engine->lines[i].txs) {
			struct fac_tx *tx = engine->lines[i].txs;

			engine->lines[i].txs = tx->next;
			x402_buf_clear(&tx->raising.raw);
			fac_transaction_clear(&tx->transaction);
			free(tx->jobs);
			free(tx);
		}
	}
	while (engine->jobs)
		fac_job_free(engine->jobs);
	free(engine->lines);
	free(engine);
}
