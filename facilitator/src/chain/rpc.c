/*
 * Calls of one loop turn become one batch; a batch goes to the endpoint that
 * pool.c chooses, and on a fault of the endpoint to the next, until its
 * deadline.
 *
 * 1. fac_rpc_call writes the call into the open batch.
 * 2. on_flush, at the end of the turn: send_batch posts it (post_batch), or
 *    waits when every endpoint asked us to, or when this one has not said yet
 *    which chain it serves (ask_identities).
 * 3. on_timer, when no answer came for long: the same batch goes to a second
 *    endpoint that is well. The first good answer wins.
 * 4. on_post: take_answers answers the calls. What is left over goes to the
 *    next endpoint, or ends as a fault.
 *
 * A fault of the endpoint is: no HTTP answer, a status other than 200, a body
 * that answers none of our calls, a call that it left out, and an error by
 * which it speaks of itself (fac_decode_trouble). Every other error is the
 * chain's word: final, and never asked elsewhere.
 *
 * What a stranger can bring about is no fault of the endpoint, or strangers
 * could take all of them away: that answers are too large together, for their
 * contracts may answer anything (split), and that a caller has little time
 * (HURRIED_MS).
 */
#include "chain/rpc_p.h"
#include "chain/decode_p.h"
#include "chain/http_p.h"
#include "chain/params_p.h"
#include "chain/pool_p.h"
#include "chain/svm_p.h"
#include "run/loop.h"

#include <stdio.h>
#include <stdlib.h>

/* Calls in one POST: what public endpoints take. */
#define BATCH_MAX 100
/* Bytes in one POST: some endpoints refuse more than 1 MiB. */
#define BATCH_BYTES_MAX    ((size_t)512 * 1024)
#define DEFAULT_TIMEOUT_MS 10000
/*
 * Calls with less time travel by themselves: a batch ends with the first
 * deadline in it. That they were not answered in time says nothing of the
 * endpoint.
 */
#define HURRIED_MS 1500
/* An endpoint that is slower at telling its head is no good one. */
#define HEAD_TIMEOUT_MS 2000
#define HEAD_LAG_MAX    3
/* Slots of 400 ms, which nodes hear of in bursts. */
#define SLOT_LAG_MAX 25
/* The batches of reads, which may go anywhere. */
#define ANYWHERE FAC_CHAIN_URLS_MAX

struct call {
	size_t at; /* its text in the body */
	size_t len;
	bool answered;
	void (*done)(void *user, const struct fac_rpc_answer *answer);
	void *user;
};

struct attempt {
	struct batch *batch;
	struct fac_http_post *post; /* NULL: not under way */
	size_t endpoint;
	uint64_t since_ms;
	bool hurried; /* it was given less than HURRIED_MS */
	bool hedge;
};

struct batch {
	struct batch *next;
	struct batch **slot; /* NULL while it is queued */
	struct fac_rpc *rpc;
	struct call *calls;
	size_t calls_len;
	size_t calls_cap;
	size_t unanswered;
	uint64_t first_id; /* of calls[0]; the others follow */
	struct x402_buf body;
	uint64_t deadline_ms;
	size_t only;    /* this endpoint alone, or ANYWHERE */
	unsigned tried; /* bits of endpoints */
	size_t awaits;  /* the word of this endpoint, or ANYWHERE */
	struct attempt attempts[2];
	struct fac_timer *timer; /* to wait or to hedge; made when needed */
};

struct fac_rpc {
	struct fac_loop *loop;
	struct fac_http *http;
	struct fac_pool pool;
	bool is_svm;
	uint32_t timeout_ms;
	size_t answer_max_bytes;
	void (*warn)(void *user, const char *text);
	void *user;
	struct fac_timer *flush;
	struct batch *queued;
	struct batch **queued_last;
	/* By only, and whether they are hurried; of the queued. */
	struct batch *open[FAC_CHAIN_URLS_MAX + 1][2];
	struct batch *batches;
	uint64_t next_id;
	struct head_ask {
		struct fac_rpc *rpc;
		size_t endpoint;
	} heads[FAC_CHAIN_URLS_MAX], identities[FAC_CHAIN_URLS_MAX];
	uint64_t chain_id; /* that endpoints must serve; 0: any */
};

static void send_batch(struct batch *batch);
static void on_post(void *user, const struct fac_http_answer *answer);

/* ---- Answers. ---- */

static void answer_call(struct batch *batch, struct call *call,
	const struct fac_rpc_answer *answer)
{
	if (call->answered)
		return;
	call->answered = true;
	batch->unanswered--;
	call->done(call->user, answer);
}

static void free_batch(struct batch *batch)
{
	fac_timer_free(batch->timer);
	x402_buf_clear(&batch->body);
	free(batch->calls);
	free(batch);
}

/* An attempt that nobody waits for any more. */
static void drop_attempt(struct attempt *attempt)
{
	struct fac_rpc *rpc;

	if (!attempt->post)
		return;
	rpc = attempt->batch->rpc;
	fac_http_cancel(attempt->post);
	attempt->post = NULL;
	/* Or the slow ones would be missing in its 95th percentile. */
	fac_pool_was_slow(&rpc->pool, attempt->endpoint,
		fac_loop_now_ms(rpc->loop) - attempt->since_ms);
}

/* Whoever has no answer yet gets this one, and the batch is over. */
static void end_batch(struct batch *batch, enum fac_rpc_status status)
{
	struct fac_rpc_answer answer = {.status = status, .message = ""};

	if (batch->slot) {
		*batch->slot = batch->next;
		if (batch->next)
			batch->next->slot = batch->slot;
	}
	for (size_t i = 0; i < 2; i++)
		drop_attempt(&batch->attempts[i]);
	for (size_t i = 0; i < batch->calls_len; i++)
		answer_call(batch, &batch->calls[i], &answer);
	free_batch(batch);
}

static void warn_endpoint(
	struct fac_rpc *rpc, size_t index, const char *what, long status)
{
	const char *host = rpc->pool.endpoints[index].stats.host;
	char text[256];

	if (!rpc->warn)
		return;
	if (status)
		snprintf(text, sizeof(text),
			"rpc endpoint %zu (%s): HTTP %ld%.80s", index + 1, host,
			status, what);
	else
		snprintf(text, sizeof(text), "rpc endpoint %zu (%s): %.120s",
			index + 1, host, what);
	rpc->warn(rpc->user, text);
}

/* Somebody else may still answer what this attempt does not. */
static bool others_are_left(const struct attempt *attempt)
{
	const struct batch *batch = attempt->batch;
	unsigned all = (1u << batch->rpc->pool.len) - 1;

	return batch->only == ANYWHERE &&
		(batch->tried != all || batch->attempts[0].post ||
			batch->attempts[1].post);
}

/* False: no answer to a call of ours. */
static bool take_one(struct attempt *attempt, const struct x402_json *json,
	enum fac_trouble *trouble)
{
	struct batch *batch = attempt->batch;
	struct fac_pool *pool = &batch->rpc->pool;
	struct fac_rpc_answer answer;
	enum fac_trouble its;
	int64_t id;

	if (!x402_json_int64(x402_json_get(json, "id"), &id) ||
		(uint64_t)id - batch->first_id >= batch->calls_len ||
		!fac_decode_answer(json, &answer))
		return false;
	answer.endpoint = attempt->endpoint;
	if (answer.status == FAC_RPC_ERROR)
		pool->endpoints[attempt->endpoint].stats.rpc_errors++;
	its = fac_decode_trouble(&answer);
	if (its > *trouble)
		*trouble = its;
	/* The last one's word stands: it is all that there is to tell. */
	if (its == FAC_TROUBLE_NONE || !others_are_left(attempt))
		answer_call(batch,
			&batch->calls[(uint64_t)id - batch->first_id], &answer);
	return true;
}

/* False: not a JSON-RPC answer to this batch. */
static bool take_answers(struct attempt *attempt, struct x402_span body,
	enum fac_trouble *ret_trouble)
{
	struct x402_json_limits limits = {
		FAC_HTTP_ANSWER_MAX, FAC_ANSWER_DEPTH_MAX};
	struct x402_json *json;
	bool any = false;

	if (x402_json_parse(body, &limits, NULL, &json))
		return false;
	if (x402_json_type(json) == X402_JSON_OBJECT)
		any = take_one(attempt, json, ret_trouble);
	else if (x402_json_type(json) == X402_JSON_ARRAY)
		for (size_t i = 0; i < x402_json_size(json); i++)
			any |= take_one(
				attempt, x402_json_at(json, i), ret_trouble);
	x402_json_unref(json);
	return any;
}

/* ---- Sending. ---- */

static void on_timer(void *arg);
static void ask_identities(struct fac_rpc *rpc, size_t index);

static void start_timer(struct batch *batch, uint64_t delay_ms)
{
	if (!batch->timer &&
		fac_timer_new(batch->rpc->loop, on_timer, batch, &batch->timer))
		abort();
	fac_timer_start(batch->timer, delay_ms, 0);
}

/* A lone call is no array: some endpoints know no batches. */
static struct x402_span text_of(const struct batch *batch)
{
	if (batch->calls_len == 1)
		return x402_span(batch->body.ptr + batch->calls[0].at,
			batch->calls[0].len);
	return x402_buf_span(&batch->body);
}

static void post_batch(
	struct batch *batch, size_t endpoint, uint64_t timeout_ms, bool hedge)
{
	struct fac_rpc *rpc = batch->rpc;
	struct attempt *attempt = &batch->attempts[0];
	uint64_t now_ms = fac_loop_now_ms(rpc->loop);
	struct fac_http_request request = {
		.url = rpc->pool.endpoints[endpoint].url,
		.body = text_of(batch),
		.timeout_ms = (uint32_t)timeout_ms,
		.answer_max = rpc->answer_max_bytes};

	if (attempt->post)
		attempt++;
	batch->tried |= 1u << endpoint;
	fac_pool_posted(&rpc->pool, endpoint, batch->unanswered, now_ms);
	*attempt = (struct attempt){.batch = batch,
		.endpoint = endpoint,
		.since_ms = now_ms,
		.hurried = timeout_ms < HURRIED_MS,
		.hedge = hedge};
	attempt->post = fac_http_send(rpc->http, &request, on_post, attempt);
}

static uint64_t left_ms_of(const struct batch *batch)
{
	uint64_t now_ms = fac_loop_now_ms(batch->rpc->loop);

	return batch->deadline_ms > now_ms ? batch->deadline_ms - now_ms : 0;
}

static void send_batch(struct batch *batch)
{
	struct fac_pool *pool = &batch->rpc->pool;
	uint64_t now_ms = fac_loop_now_ms(batch->rpc->loop);
	uint64_t left_ms = left_ms_of(batch);
	uint64_t wait_ms = 0;
	uint64_t hedge_ms;
	size_t endpoint = batch->only;

	if (endpoint != ANYWHERE)
		wait_ms = fac_pool_wait_ms(pool, endpoint, now_ms);
	else if (!fac_pool_choose(pool, batch->tried, FAC_POOL_READ, now_ms,
			 &endpoint, &wait_ms))
		left_ms = 0;
	if (!left_ms) {
		end_batch(batch, FAC_RPC_FAULT);
		return;
	}
	if (wait_ms) {
		/* Everyone asked us to wait: do so while there is time. */
		start_timer(batch, wait_ms < left_ms ? wait_ms : left_ms);
		return;
	}
	if (batch->only != ANYWHERE) {
		post_batch(batch, endpoint, left_ms, false);
		return;
	}
	/* Leave time for another endpoint when this one hangs. */
	if ((batch->tried | 1u << endpoint) != (1u << pool->len) - 1)
		left_ms = left_ms / 2 + 1;
	if (!fac_pool_is_ours(pool, endpoint)) {
		batch->awaits = endpoint;
		start_timer(batch, left_ms);
		ask_identities(batch->rpc, endpoint);
		return;
	}
	post_batch(batch, endpoint, left_ms, false);
	hedge_ms = fac_pool_hedge_ms(pool, endpoint);
	if (hedge_ms && hedge_ms < left_ms)
		start_timer(batch, hedge_ms);
}

static void hedge_batch(struct batch *batch)
{
	struct fac_pool *pool = &batch->rpc->pool;
	uint64_t left_ms = left_ms_of(batch);
	uint64_t wait_ms;
	size_t endpoint;

	if (!left_ms ||
		!fac_pool_choose(pool, batch->tried, FAC_POOL_HEDGE,
			fac_loop_now_ms(batch->rpc->loop), &endpoint, &wait_ms))
		return;
	pool->endpoints[endpoint].stats.hedges_sent++;
	post_batch(batch, endpoint, left_ms, true);
}

static void on_timer(void *arg)
{
	struct batch *batch = arg;

	if (batch->awaits != ANYWHERE) {
		/* It has not said which chain it serves: the next one. */
		batch->tried |= 1u << batch->awaits;
		batch->awaits = ANYWHERE;
	}
	if (!batch->attempts[0].post && !batch->attempts[1].post)
		send_batch(batch);
	else if (!batch->attempts[0].post || !batch->attempts[1].post)
		hedge_batch(batch);
}

/* ---- What came back. ---- */

/* The text of the calls that are still without an answer. */
static void gather_unanswered(struct batch *batch)
{
	struct x402_buf body = {0};
	size_t kept = 0;

	x402_buf_add_byte(&body, '[');
	for (size_t i = 0; i < batch->calls_len; i++) {
		struct call *call = &batch->calls[i];

		if (call->answered)
			continue;
		if (kept++)
			x402_buf_add_byte(&body, ',');
		x402_buf_add(&body,
			x402_span(batch->body.ptr + call->at, call->len));
	}
	x402_buf_add_byte(&body, ']');
	if (body.failed)
		abort();
	/* The ids stay, so the calls stay where they are; texts move. */
	for (size_t i = 0, at = 1; i < batch->calls_len; i++) {
		if (batch->calls[i].answered)
			continue;
		batch->calls[i].at = at;
		at += batch->calls[i].len + 1;
	}
	x402_buf_clear(&batch->body);
	batch->body = body;
}

static void keep_unanswered(struct batch *batch)
{
	if (batch->unanswered < batch->calls_len)
		gather_unanswered(batch);
}

static void judge_endpoint(struct attempt *attempt,
	const struct fac_http_answer *answer, bool good,
	enum fac_trouble trouble)
{
	struct fac_rpc *rpc = attempt->batch->rpc;
	uint64_t now_ms = fac_loop_now_ms(rpc->loop);
	long status = answer->status;
	const char *why = answer->error;

	if (answer->too_large || (answer->timed_out && attempt->hurried))
		return;
	if (good && trouble != FAC_TROUBLE_RATE) {
		fac_pool_well(&rpc->pool, attempt->endpoint);
		return;
	}
	if (good) {
		status = 429;
		why = ", said in a JSON-RPC error";
	} else if (status == 200) {
		why = ", not a JSON-RPC answer";
	}
	if (fac_pool_fault(&rpc->pool, attempt->endpoint, status,
		    answer->retry_after_s, now_ms))
		warn_endpoint(rpc, attempt->endpoint, why, status);
	/* It may be asked again when its time has come. */
	if (rpc->pool.endpoints[attempt->endpoint].asked)
		attempt->batch->tried &= ~(1u << attempt->endpoint);
}

static struct batch *new_batch(struct fac_rpc *rpc, size_t only);
static void put_to_work(struct batch *batch);

/* The calls from one on and before another, with what is known of them. */
static void split_off(const struct batch *batch, size_t from, size_t to)
{
	struct batch *part = new_batch(batch->rpc, batch->only);

	part->first_id = batch->first_id + from;
	part->deadline_ms = batch->deadline_ms;
	part->calls_len = part->calls_cap = to - from;
	part->calls = calloc(part->calls_len, sizeof(*part->calls));
	if (!part->calls)
		abort();
	memcpy(part->calls, batch->calls + from,
		part->calls_len * sizeof(*part->calls));
	for (size_t i = 0; i < part->calls_len; i++)
		part->unanswered += !part->calls[i].answered;
	x402_buf_add(&part->body, x402_buf_span(&batch->body));
	/* What is not its own is left out, answered or not. */
	gather_unanswered(part);
	put_to_work(part);
}

/*
 * The answers were too large together. In halves, those of strangers whose
 * contracts say too much are found out, and the others have theirs. False:
 * there is one alone.
 */
static bool split(struct batch *batch)
{
	size_t half = batch->unanswered / 2;
	size_t middle = 0;

	if (!half)
		return false;
	for (size_t seen = 0; seen < half; middle++)
		seen += !batch->calls[middle].answered;
	split_off(batch, 0, middle);
	split_off(batch, middle, batch->calls_len);
	/* Nothing is owed here any more. */
	for (size_t i = 0; i < batch->calls_len; i++)
		batch->calls[i].answered = true;
	batch->unanswered = 0;
	end_batch(batch, FAC_RPC_FAULT);
	return true;
}

static void on_post(void *user, const struct fac_http_answer *answer)
{
	struct attempt *attempt = user;
	struct batch *batch = attempt->batch;
	struct fac_rpc *rpc = batch->rpc;
	enum fac_trouble trouble = FAC_TROUBLE_NONE;
	bool good = false;

	attempt->post = NULL;
	if (answer->cancelled) {
		end_batch(batch, FAC_RPC_CANCELLED);
		return;
	}
	if (answer->status)
		fac_pool_took(&rpc->pool, attempt->endpoint,
			fac_loop_now_ms(rpc->loop) - attempt->since_ms);
	if (answer->status == 200)
		good = take_answers(attempt, answer->body, &trouble);
	judge_endpoint(attempt, answer, good, trouble);
	if (answer->too_large && split(batch))
		return;
	if (!batch->unanswered) {
		if (attempt->hedge)
			rpc->pool.endpoints[attempt->endpoint]
				.stats.hedges_won++;
		end_batch(batch, FAC_RPC_FAULT);
	} else if (batch->only != ANYWHERE) {
		end_batch(batch, FAC_RPC_FAULT);
	} else if (!batch->attempts[0].post && !batch->attempts[1].post) {
		keep_unanswered(batch);
		send_batch(batch);
	}
}

/* ---- Heads, so that the pool knows who lags. ---- */

static void on_head(void *user, const struct fac_rpc_answer *answer)
{
	struct head_ask *ask = user;
	uint64_t head = 0;

	if (answer->status == FAC_RPC_RESULT &&
		!(ask->rpc->is_svm ? fac_svm_decode_u64(answer->result, &head)
				   : fac_decode_u64(answer->result, &head)))
		head = 0;
	fac_pool_round_told(&ask->rpc->pool, ask->endpoint, head);
}

static struct batch *add_batch(struct fac_rpc *rpc, size_t only);
static void add_call(
	struct batch *batch, const struct fac_rpc_question *question);

/* In a POST of their own: the reads' answer must not wait for the slowest. */
static void ask_heads(struct fac_rpc *rpc)
{
	unsigned asks = fac_pool_round(&rpc->pool, fac_loop_now_ms(rpc->loop));

	for (size_t i = 0; i < rpc->pool.len; i++) {
		struct fac_rpc_question question = {
			.method = rpc->is_svm ? "getSlot" : "eth_blockNumber",
			.params = x402_span_str("[]"),
			.timeout_ms = HEAD_TIMEOUT_MS,
			.done = on_head,
			.user = &rpc->heads[i]};

		if (!((asks >> i) & 1))
			continue;
		rpc->heads[i].rpc = rpc;
		rpc->heads[i].endpoint = i;
		add_call(add_batch(rpc, i), &question);
	}
}

/* ---- Which chain they serve. ---- */

/* Those that waited for its word go on, here or elsewhere. */
static void wake_batches(struct fac_rpc *rpc, size_t endpoint, bool is_told)
{
	struct batch *next;

	for (struct batch *batch = rpc->batches; batch; batch = next) {
		next = batch->next;
		if (batch->awaits != endpoint)
			continue;
		batch->awaits = ANYWHERE;
		/* Its silence is a fault like any other: see judge_endpoint. */
		if (!is_told && !rpc->pool.endpoints[endpoint].asked)
			batch->tried |= 1u << endpoint;
		fac_timer_start(batch->timer, 0, 0);
	}
}

static void on_identity(void *user, const struct fac_rpc_answer *answer)
{
	struct head_ask *ask = user;
	struct fac_rpc *rpc = ask->rpc;
	enum fac_identity identity = FAC_IDENTITY_UNKNOWN;
	uint64_t id;

	if (answer->status == FAC_RPC_CANCELLED)
		return;
	if (answer->status == FAC_RPC_RESULT &&
		fac_decode_u64(answer->result, &id))
		identity = id == rpc->chain_id ? FAC_IDENTITY_OURS
					       : FAC_IDENTITY_OTHER;
	if (identity == FAC_IDENTITY_OTHER)
		warn_endpoint(rpc, ask->endpoint,
			"it serves another chain and is not asked", 0);
	fac_pool_identified(&rpc->pool, ask->endpoint, identity,
		fac_loop_now_ms(rpc->loop));
	wake_batches(rpc, ask->endpoint, identity != FAC_IDENTITY_UNKNOWN);
}

static void ask_identities(struct fac_rpc *rpc, size_t index)
{
	unsigned asks = fac_pool_identify(
		&rpc->pool, index, fac_loop_now_ms(rpc->loop));

	for (size_t i = 0; i < rpc->pool.len; i++) {
		struct fac_rpc_question question = {.method = "eth_chainId",
			.params = x402_span_str("[]"),
			.done = on_identity,
			.user = &rpc->identities[i]};

		if (!((asks >> i) & 1))
			continue;
		rpc->identities[i] = (struct head_ask){rpc, i};
		fac_rpc_call_endpoint(rpc, i, &question);
	}
}

/* ---- Queueing. ---- */

static struct batch *new_batch(struct fac_rpc *rpc, size_t only)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		abort();
	batch->rpc = rpc;
	batch->only = only;
	batch->awaits = ANYWHERE;
	batch->deadline_ms = UINT64_MAX;
	return batch;
}

static struct batch *add_batch(struct fac_rpc *rpc, size_t only)
{
	struct batch *batch = new_batch(rpc, only);

	batch->first_id = rpc->next_id;
	rpc->next_id += BATCH_MAX;
	x402_buf_add_byte(&batch->body, '[');
	*rpc->queued_last = batch;
	rpc->queued_last = &batch->next;
	return batch;
}

static void add_call(
	struct batch *batch, const struct fac_rpc_question *question)
{
	struct fac_rpc *rpc = batch->rpc;
	uint64_t deadline_ms = fac_loop_now_ms(rpc->loop) +
		fac_rpc_timeout_ms(rpc, question->timeout_ms);
	struct call *call;

	if (batch->calls_len == batch->calls_cap) {
		batch->calls_cap = batch->calls_cap ? 4 * batch->calls_cap : 4;
		batch->calls = realloc(
			batch->calls, batch->calls_cap * sizeof(*batch->calls));
		if (!batch->calls)
			abort();
	}
	if (batch->calls_len)
		x402_buf_add_byte(&batch->body, ',');
	call = &batch->calls[batch->calls_len];
	*call = (struct call){.at = batch->body.len,
		.done = question->done,
		.user = question->user};
	x402_buf_add_str(&batch->body, "{\"jsonrpc\":\"2.0\",\"id\":");
	fac_params_number(&batch->body, batch->first_id + batch->calls_len);
	x402_buf_add_str(&batch->body, ",\"method\":\"");
	x402_buf_add_str(&batch->body, question->method);
	x402_buf_add_str(&batch->body, "\",\"params\":");
	x402_buf_add(&batch->body, question->params);
	x402_buf_add_byte(&batch->body, '}');
	call->len = batch->body.len - call->at;
	batch->calls_len++;
	batch->unanswered++;
	if (deadline_ms < batch->deadline_ms)
		batch->deadline_ms = deadline_ms;
}

static void put_to_work(struct batch *batch)
{
	struct fac_rpc *rpc = batch->rpc;

	if (batch->body.failed)
		abort();
	batch->slot = &rpc->batches;
	batch->next = rpc->batches;
	if (batch->next)
		batch->next->slot = &batch->next;
	rpc->batches = batch;
	send_batch(batch);
}

static void on_flush(void *arg)
{
	struct fac_rpc *rpc = arg;
	struct batch *batch;

	ask_heads(rpc);
	/* In the same turn, so that the first reads wait for one answer. */
	ask_identities(rpc, ANYWHERE);
	memset(rpc->open, 0, sizeof(rpc->open));
	batch = rpc->queued;
	rpc->queued = NULL;
	rpc->queued_last = &rpc->queued;
	while (batch) {
		struct batch *next = batch->next;

		x402_buf_add_byte(&batch->body, ']');
		put_to_work(batch);
		batch = next;
	}
}

static void queue_call(struct fac_rpc *rpc, size_t only,
	const struct fac_rpc_question *question)
{
	bool hurried = fac_rpc_timeout_ms(rpc, question->timeout_ms) <
		HURRIED_MS;
	struct batch **open = &rpc->open[only][hurried];

	/* Timers run before sockets: the whole turn is in by then. */
	if (!rpc->queued)
		fac_timer_start(rpc->flush, 0, 0);
	if (!*open || (*open)->calls_len == BATCH_MAX ||
		(*open)->body.len + question->params.len > BATCH_BYTES_MAX)
		*open = add_batch(rpc, only);
	add_call(*open, question);
}

void fac_rpc_call(struct fac_rpc *rpc, const struct fac_rpc_question *question)
{
	queue_call(rpc, ANYWHERE, question);
}

void fac_rpc_call_endpoint(struct fac_rpc *rpc, size_t endpoint,
	const struct fac_rpc_question *question)
{
	queue_call(rpc, endpoint, question);
}

uint32_t fac_rpc_timeout_ms(const struct fac_rpc *rpc, uint32_t timeout_ms)
{
	return timeout_ms ? timeout_ms : rpc->timeout_ms;
}

size_t fac_rpc_endpoints(const struct fac_rpc *rpc)
{
	return rpc->pool.len;
}

struct fac_chain_stats fac_rpc_stats(const struct fac_rpc *rpc)
{
	struct fac_chain_stats stats = {.endpoints_len = rpc->pool.len};
	uint64_t now_ms = fac_loop_now_ms(rpc->loop);

	for (size_t i = 0; i < rpc->pool.len; i++) {
		const struct fac_endpoint *endpoint = &rpc->pool.endpoints[i];

		stats.endpoints[i] = endpoint->stats;
		stats.endpoints[i].resting = endpoint->faults ||
			endpoint->identity == FAC_IDENTITY_OTHER ||
			endpoint->rest_until_ms > now_ms;
	}
	return stats;
}

/* ---- Making and ending. ---- */

enum x402_err fac_rpc_new(
	const struct fac_chain_options *options, struct fac_rpc **ret_rpc)
{
	struct fac_rpc *rpc;
	enum x402_err err = X402_OK;

	if (!options->rpc_urls_len ||
		options->rpc_urls_len > FAC_CHAIN_URLS_MAX)
		return X402_ERR_INVALID_ARGUMENT;
	rpc = calloc(1, sizeof(*rpc));
	if (!rpc)
		return X402_ERR_NOMEM;
	rpc->loop = options->loop;
	rpc->is_svm = options->svm_genesis != NULL;
	rpc->chain_id = options->chain_id;
	rpc->pool.identified = options->chain_id && !rpc->is_svm;
	rpc->timeout_ms = options->timeout_ms ? options->timeout_ms
					      : DEFAULT_TIMEOUT_MS;
	rpc->answer_max_bytes = options->answer_max_bytes;
	rpc->warn = options->warn;
	rpc->user = options->user;
	rpc->next_id = 1;
	rpc->queued_last = &rpc->queued;
	rpc->pool.head_lag_max = options->head_lag_max ? options->head_lag_max
		: rpc->is_svm                          ? SLOT_LAG_MAX
						       : HEAD_LAG_MAX;
	rpc->pool.hedge_ms = options->hedge_ms;
	rpc->pool.rps = options->rps;
	for (size_t i = 0; i < options->rpc_urls_len && !err; i++)
		err = fac_pool_add(&rpc->pool, options->rpc_urls[i]);
	if (!err)
		err = fac_http_new(rpc->loop, &rpc->http);
	if (!err)
		err = fac_timer_new(rpc->loop, on_flush, rpc, &rpc->flush);
	if (err) {
		fac_rpc_free(rpc);
		return err;
	}
	*ret_rpc = rpc;
	return X402_OK;
}

void fac_rpc_free(struct fac_rpc *rpc)
{
	if (!rpc)
		return;
	fac_timer_free(rpc->flush);
	fac_http_free(rpc->http); /* ends the batches that were posted */
	while (rpc->batches)
		end_batch(rpc->batches, FAC_RPC_CANCELLED);
	while (rpc->queued) {
		struct batch *batch = rpc->queued;

		rpc->queued = batch->next;
		end_batch(batch, FAC_RPC_CANCELLED);
	}
	fac_pool_clear(&rpc->pool);
	free(rpc);
}
