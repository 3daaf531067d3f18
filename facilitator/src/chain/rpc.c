/*
 * Calls of one loop turn become one batch; a batch goes to the first endpoint
 * that is not resting, and on a transport fault to the next, until its
 * deadline. An endpoint that failed rests for a moment, one that said
 * Retry-After for as long as it said.
 *
 * A transport fault is: no HTTP answer, a status other than 200, or a body
 * that is not the JSON-RPC answer to our request as a whole. A single call
 * that is missing from a good answer, or malformed in it, is a fault of that
 * call only, and is not retried: the endpoint has spoken.
 */
#include "chain/rpc_p.h"
#include "chain/http_p.h"
#include "run/loop.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

/* Calls in one POST: what public endpoints take. */
#define BATCH_MAX 100
/* Bytes in one POST: some endpoints refuse more than 1 MiB. */
#define BATCH_BYTES_MAX    ((size_t)512 * 1024)
#define DEFAULT_TIMEOUT_MS 10000
/* A failed endpoint is passed over for so long while others are there. */
#define REST_MS 2000
/* Answers nest: batch, answer, receipt, logs, log, topics. */
#define ANSWER_DEPTH_MAX 16

struct call {
	struct call *next;
	uint64_t id;
	const char *method; /* literal */
	struct x402_buf params;
	uint64_t deadline_ms;
	bool answered;
	void (*done)(void *user, const struct fac_rpc_answer *answer);
	void *user;
};

struct endpoint {
	char *url;
	char host[80]; /* for people: no path, query or user */
	uint64_t rest_until_ms;
	bool asked; /* it said Retry-After: do not come sooner */
	struct fac_chain_endpoint_stats stats;
};

struct batch {
	struct batch *next;
	struct batch **slot;
	struct fac_rpc *rpc;
	struct call *calls;
	size_t calls_len;
	struct x402_buf body;
	uint64_t deadline_ms;
	int only;        /* this endpoint alone, or -1 */
	size_t endpoint; /* under way now */
	uint64_t posted_ms;
	unsigned tried;         /* bits of endpoints */
	bool posted;            /* http owes an answer */
	struct fac_timer *wait; /* made when every endpoint rests */
};

struct fac_rpc {
	struct fac_loop *loop;
	struct fac_http *http;
	struct endpoint endpoints[FAC_CHAIN_URLS_MAX];
	size_t endpoints_len;
	uint32_t timeout_ms;
	void (*warn)(void *user, const char *text);
	void *user;
	struct fac_timer *flush;
	struct call *queued;
	struct call **queued_last;
	struct batch *batches;
	uint64_t next_id;
};

static void send_batch(struct batch *batch);

/* ---- Answers. ---- */

static void answer_call(struct call *call, const struct fac_rpc_answer *answer)
{
	if (call->answered)
		return;
	call->answered = true;
	call->done(call->user, answer);
}

static void free_calls(struct call *call)
{
	while (call) {
		struct call *next = call->next;

		x402_buf_clear(&call->params);
		free(call);
		call = next;
	}
}

/* Whoever has no answer yet gets this one, and the batch is over. */
static void end_batch(struct batch *batch, enum fac_rpc_status status)
{
	struct fac_rpc_answer answer = {.status = status, .message = ""};

	*batch->slot = batch->next;
	if (batch->next)
		batch->next->slot = batch->slot;
	for (struct call *call = batch->calls; call; call = call->next)
		answer_call(call, &answer);
	free_calls(batch->calls);
	fac_timer_free(batch->wait);
	x402_buf_clear(&batch->body);
	free(batch);
}

static void warn_endpoint(
	struct fac_rpc *rpc, size_t index, const char *what, long status)
{
	char text[256];

	if (!rpc->warn)
		return;
	if (status)
		snprintf(text, sizeof(text),
			"rpc endpoint %zu (%s): HTTP %ld%s", index + 1,
			rpc->endpoints[index].host, status, what);
	else
		snprintf(text, sizeof(text), "rpc endpoint %zu (%s): %.120s",
			index + 1, rpc->endpoints[index].host, what);
	rpc->warn(rpc->user, text);
}

/* False when it is no answer at all: neither result nor error. */
static bool read_answer(
	const struct x402_json *json, struct fac_rpc_answer *ret_answer)
{
	const struct x402_json *error = x402_json_get(json, "error");
	struct fac_rpc_answer answer = {.message = ""};

	if (error) {
		const char *message = x402_json_get_string(error, "message");

		if (x402_json_type(error) != X402_JSON_OBJECT)
			return false;
		answer.status = FAC_RPC_ERROR;
		(void)x402_json_int64(
			x402_json_get(error, "code"), &answer.code);
		answer.message = message ? message : "";
		answer.data = x402_json_get(error, "data");
	} else if (x402_json_has(json, "result")) {
		answer.status = FAC_RPC_RESULT;
		answer.result = x402_json_get(json, "result");
	} else {
		return false;
	}
	*ret_answer = answer;
	return true;
}

static struct call *find_call(struct batch *batch, const struct x402_json *json)
{
	int64_t id;

	if (!x402_json_int64(x402_json_get(json, "id"), &id) || id < 0)
		return NULL;
	for (struct call *call = batch->calls; call; call = call->next)
		if (call->id == (uint64_t)id)
			return call;
	return NULL;
}

static bool take_one(struct batch *batch, const struct x402_json *json)
{
	struct call *call = find_call(batch, json);
	struct fac_rpc_answer answer;

	if (!call || !read_answer(json, &answer))
		return false;
	if (answer.status == FAC_RPC_ERROR)
		batch->rpc->endpoints[batch->endpoint].stats.rpc_errors++;
	answer_call(call, &answer);
	return true;
}

/* False: not a JSON-RPC answer to this batch, so another may be asked. */
static bool take_answers(struct batch *batch, struct x402_span body)
{
	struct x402_json_limits limits = {
		FAC_HTTP_ANSWER_MAX, ANSWER_DEPTH_MAX};
	struct x402_json *json;
	bool any = false;

	if (x402_json_parse(body, &limits, NULL, &json))
		return false;
	if (x402_json_type(json) == X402_JSON_OBJECT)
		any = take_one(batch, json);
	else if (x402_json_type(json) == X402_JSON_ARRAY)
		for (size_t i = 0; i < x402_json_size(json); i++)
			any |= take_one(batch, x402_json_at(json, i));
	x402_json_unref(json);
	return any;
}

/* ---- Sending. ---- */

static void rest_endpoint(struct batch *batch, const struct fac_http_answer *a)
{
	struct fac_rpc *rpc = batch->rpc;
	struct endpoint *endpoint = &rpc->endpoints[batch->endpoint];
	uint64_t rest_ms = REST_MS;

	endpoint->stats.transport_faults++;
	if (a->status == 429)
		endpoint->stats.http_429++;
	endpoint->asked = (a->status == 429 || a->status == 503) &&
		a->retry_after_s > 0;
	if (endpoint->asked) {
		rest_ms = (uint64_t)a->retry_after_s * 1000;
		/* It may be asked again when its time has come. */
		batch->tried &= ~(1u << batch->endpoint);
	}
	endpoint->rest_until_ms = fac_loop_now_ms(rpc->loop) + rest_ms;
	warn_endpoint(rpc, batch->endpoint,
		a->status == 200 ? ", not a JSON-RPC answer" : a->error,
		a->status);
}

static void count_latency(struct fac_chain_endpoint_stats *stats, uint64_t ms)
{
	static const uint64_t bounds[] = FAC_CHAIN_LATENCY_BOUNDS_MS;
	size_t bucket = 0;

	while (bucket + 1 < FAC_CHAIN_LATENCY_BUCKETS && ms > bounds[bucket])
		bucket++;
	stats->latency[bucket]++;
	stats->latency_sum_ms += ms;
	stats->latency_count++;
}

static void on_post(void *user, const struct fac_http_answer *answer)
{
	struct batch *batch = user;
	struct fac_rpc *rpc = batch->rpc;

	batch->posted = false;
	if (answer->cancelled) {
		end_batch(batch, FAC_RPC_CANCELLED);
		return;
	}
	if (answer->status)
		count_latency(&rpc->endpoints[batch->endpoint].stats,
			fac_loop_now_ms(rpc->loop) - batch->posted_ms);
	if (answer->status == 200 && take_answers(batch, answer->body)) {
		end_batch(batch, FAC_RPC_FAULT);
		return;
	}
	rest_endpoint(batch, answer);
	if (batch->only >= 0)
		end_batch(batch, FAC_RPC_FAULT);
	else
		send_batch(batch);
}

static void on_wait(void *arg)
{
	send_batch(arg);
}

/*
 * The first untried endpoint that does not rest; else the one that is up
 * soonest. One that merely failed may be tried before its rest is over when
 * nobody else is left; one that said Retry-After may not.
 */
static bool choose_endpoint(struct batch *batch, uint64_t now_ms,
	size_t *ret_index, uint64_t *ret_wait_ms)
{
	const struct fac_rpc *rpc = batch->rpc;
	uint64_t best = UINT64_MAX;

	for (size_t i = 0; i < rpc->endpoints_len; i++) {
		const struct endpoint *endpoint = &rpc->endpoints[i];
		uint64_t until = endpoint->rest_until_ms;
		uint64_t rank = until <= now_ms ? 0 : until;

		if (batch->only >= 0 ? (size_t)batch->only != i
				     : (batch->tried >> i) & 1)
			continue;
		if (rank && !endpoint->asked)
			rank = 1;
		if (rank >= best)
			continue;
		best = rank;
		*ret_index = i;
		*ret_wait_ms = rank > 1 && batch->only < 0 ? until - now_ms : 0;
	}
	return best != UINT64_MAX;
}

static void wait_for_endpoint(struct batch *batch, uint64_t wait_ms)
{
	if (!batch->wait &&
		fac_timer_new(batch->rpc->loop, on_wait, batch, &batch->wait))
		abort();
	fac_timer_start(batch->wait, wait_ms, 0);
}

static void send_batch(struct batch *batch)
{
	struct fac_rpc *rpc = batch->rpc;
	uint64_t now_ms = fac_loop_now_ms(rpc->loop);
	uint64_t left_ms =
		batch->deadline_ms > now_ms ? batch->deadline_ms - now_ms : 0;
	uint64_t wait_ms = 0;
	size_t others = rpc->endpoints_len -
		(size_t)__builtin_popcount(batch->tried);

	if (!left_ms ||
		!choose_endpoint(batch, now_ms, &batch->endpoint, &wait_ms)) {
		end_batch(batch, FAC_RPC_FAULT);
		return;
	}
	if (wait_ms) {
		/* Everyone asked us to wait: do so while there is time. */
		wait_for_endpoint(batch, wait_ms < left_ms ? wait_ms : left_ms);
		return;
	}
	batch->tried |= 1u << batch->endpoint;
	/* Leave time for another endpoint when this one hangs. */
	if (batch->only < 0 && others > 1)
		left_ms = left_ms / 2 + 1;
	batch->posted = true;
	batch->posted_ms = now_ms;
	rpc->endpoints[batch->endpoint].stats.requests++;
	fac_http_post(rpc->http, rpc->endpoints[batch->endpoint].url,
		x402_buf_span(&batch->body), (uint32_t)left_ms, on_post, batch);
}

static void write_call(struct x402_buf *body, const struct call *call)
{
	x402_buf_printf(body,
		"{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\","
		"\"params\":",
		(unsigned long long)call->id, call->method);
	x402_buf_add(body, x402_buf_span(&call->params));
	x402_buf_add_byte(body, '}');
}

/* Takes calls. A lone call is no array: some endpoints know no batches. */
static void start_batch(struct fac_rpc *rpc, struct call *calls, int only)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		abort();
	batch->rpc = rpc;
	batch->calls = calls;
	batch->only = only;
	batch->deadline_ms = UINT64_MAX;
	batch->slot = &rpc->batches;
	batch->next = rpc->batches;
	if (batch->next)
		batch->next->slot = &batch->next;
	rpc->batches = batch;
	if (calls->next)
		x402_buf_add_byte(&batch->body, '[');
	for (struct call *call = calls; call; call = call->next) {
		if (call != calls)
			x402_buf_add_byte(&batch->body, ',');
		write_call(&batch->body, call);
		if (call->deadline_ms < batch->deadline_ms)
			batch->deadline_ms = call->deadline_ms;
	}
	if (calls->next)
		x402_buf_add_byte(&batch->body, ']');
	if (batch->body.failed)
		abort();
	send_batch(batch);
}

static void on_flush(void *arg)
{
	struct fac_rpc *rpc = arg;

	while (rpc->queued) {
		struct call *first = rpc->queued;
		struct call *last = first;
		size_t bytes = first->params.len;

		for (size_t n = 1; last->next && n < BATCH_MAX; n++) {
			bytes += last->next->params.len;
			if (bytes > BATCH_BYTES_MAX)
				break;
			last = last->next;
		}
		rpc->queued = last->next;
		last->next = NULL;
		if (!rpc->queued)
			rpc->queued_last = &rpc->queued;
		start_batch(rpc, first, -1);
	}
}

static struct call *new_call(struct fac_rpc *rpc, const char *method,
	struct x402_buf *params, uint32_t timeout_ms)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call || params->failed)
		abort();
	call->id = ++rpc->next_id;
	call->method = method;
	call->params = *params;
	*params = (struct x402_buf){0};
	call->deadline_ms = fac_loop_now_ms(rpc->loop) +
		(timeout_ms ? timeout_ms : rpc->timeout_ms);
	return call;
}

void fac_rpc_call(struct fac_rpc *rpc, const char *method,
	struct x402_buf *params, uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_rpc_answer *answer),
	void *user)
{
	struct call *call = new_call(rpc, method, params, timeout_ms);

	call->done = done;
	call->user = user;
	/* Timers run before sockets: the whole turn is in by then. */
	if (!rpc->queued)
		fac_timer_start(rpc->flush, 0, 0);
	*rpc->queued_last = call;
	rpc->queued_last = &call->next;
}

struct fac_chain_stats fac_rpc_stats(const struct fac_rpc *rpc)
{
	struct fac_chain_stats stats = {.endpoints_len = rpc->endpoints_len};
	uint64_t now_ms = fac_loop_now_ms(rpc->loop);

	for (size_t i = 0; i < rpc->endpoints_len; i++) {
		const struct endpoint *endpoint = &rpc->endpoints[i];

		stats.endpoints[i] = endpoint->stats;
		snprintf(stats.endpoints[i].host,
			sizeof(stats.endpoints[i].host), "%s", endpoint->host);
		stats.endpoints[i].resting = endpoint->rest_until_ms > now_ms;
	}
	return stats;
}

size_t fac_rpc_endpoints(const struct fac_rpc *rpc)
{
	return rpc->endpoints_len;
}

void fac_rpc_call_endpoint(struct fac_rpc *rpc, size_t endpoint,
	const char *method, uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_rpc_answer *answer),
	void *user)
{
	struct x402_buf params = {0};
	struct call *call;

	x402_buf_add_str(&params, "[]");
	call = new_call(rpc, method, &params, timeout_ms);
	call->done = done;
	call->user = user;
	start_batch(rpc, call, (int)endpoint);
}

/* ---- Making and ending. ---- */

/* Scheme and host only: paths and users hold the secrets of RPC URLs. */
static enum x402_err add_endpoint(struct fac_rpc *rpc, const char *url)
{
	struct endpoint *endpoint = &rpc->endpoints[rpc->endpoints_len];
	CURLU *parts = curl_url();
	char *scheme = NULL;
	char *host = NULL;
	enum x402_err err = X402_ERR_POLICY;

	if (!parts)
		return X402_ERR_NOMEM;
	if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) ==
			CURLUE_OK &&
		curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0)) {
		snprintf(endpoint->host, sizeof(endpoint->host), "%s", host);
		endpoint->url = strdup(url);
		err = endpoint->url ? X402_OK : X402_ERR_NOMEM;
	}
	if (!err)
		rpc->endpoints_len++;
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(parts);
	return err;
}

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
	rpc->timeout_ms = options->timeout_ms ? options->timeout_ms
					      : DEFAULT_TIMEOUT_MS;
	rpc->warn = options->warn;
	rpc->user = options->user;
	rpc->queued_last = &rpc->queued;
	for (size_t i = 0; i < options->rpc_urls_len && !err; i++)
		err = add_endpoint(rpc, options->rpc_urls[i]);
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
	struct fac_rpc_answer cancelled = {
		.status = FAC_RPC_CANCELLED, .message = ""};

	if (!rpc)
		return;
	fac_timer_free(rpc->flush);
	fac_http_free(rpc->http); /* ends the batches that were posted */
	while (rpc->batches)
		end_batch(rpc->batches, FAC_RPC_CANCELLED);
	for (struct call *call = rpc->queued; call; call = call->next)
		answer_call(call, &cancelled);
	free_calls(rpc->queued);
	for (size_t i = 0; i < rpc->endpoints_len; i++) {
		x402_wipe(rpc->endpoints[i].url, strlen(rpc->endpoints[i].url));
		free(rpc->endpoints[i].url);
	}
	free(rpc);
}
