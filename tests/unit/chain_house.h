/*
 * A chain's JSON-RPC endpoints on the test's own loop: real HTTP servers
 * whose answers the test scripts, one rule for each method.
 */
#ifndef CHAIN_HOUSE_H
#define CHAIN_HOUSE_H

#include "cmocka_house.h"

#include "chain/chain.h"
#include "net/http_server.h"
#include "run/loop.h"
#include "x402/json.h"

#include <stdio.h>

#define RULES_MAX     16
#define ENDPOINTS_MAX 4
#define HELD_MAX      16
#define PAYER         "0x00000000000000000000000000000000000000aa"
#define ASSET         "0x00000000000000000000000000000000000000cc"
/* An error of the node's. */
#define SAYS(message) "\"error\":{\"code\":-32000,\"message\":\"" message "\"}"

struct bench;

struct endpoint {
	struct bench *bench;
	struct http_server *server;
	char url[64];
	/* Of every answer, unless 0: then the connection just waits. */
	int status;
	const char *retry_after;
	const char *raw; /* a body as it is, in place of the rules */
	bool hold;       /* keep what comes until let_go */
	struct {
		const char *method;
		/* "\"result\":..." or "\"error\":{...}"; "" leaves it out. */
		const char *says;
	} rules[RULES_MAX];
	/* Or by hand: true when it wrote the fragment. */
	bool (*say)(struct endpoint *endpoint, const char *method,
		const struct x402_json *params, struct x402_buf *ret_says);
	unsigned posts;
	unsigned calls;
	unsigned heads;     /* eth_blockNumber asked by the pool itself */
	char methods[4096]; /* every method asked, each with a comma */
	char last[65536];   /* the last body */
	struct http_exchange *held[HELD_MAX];
	unsigned held_len;
};

struct bench {
	struct fac_loop *loop;
	struct fac_chain *chain;
	struct endpoint endpoints[ENDPOINTS_MAX];
	size_t endpoints_len;
	unsigned waiting; /* callbacks that are still to come */
	unsigned warnings;
	char warning[256];
	struct fac_timer *late; /* a test that hangs ends with a failure */
	bool too_late;
};

static inline const char *rule_of(
	const struct endpoint *endpoint, const char *method)
{
	for (size_t i = 0; i < RULES_MAX && endpoint->rules[i].method; i++)
		if (strcmp(endpoint->rules[i].method, method) == 0)
			return endpoint->rules[i].says;
	return NULL;
}

/* Set or replace what the endpoint says to a method. */
static inline void rule(
	struct endpoint *endpoint, const char *method, const char *says)
{
	size_t i = 0;

	while (i < RULES_MAX && endpoint->rules[i].method &&
		strcmp(endpoint->rules[i].method, method) != 0)
		i++;
	assert_true(i < RULES_MAX);
	endpoint->rules[i].method = method;
	endpoint->rules[i].says = says;
}

static inline void answer_one(struct endpoint *endpoint,
	const struct x402_json *call, struct x402_buf *body)
{
	const char *method = x402_json_get_string(call, "method");
	const char *says;
	struct x402_buf own = {0};
	int64_t id = 0;

	assert_non_null(method);
	assert_true(x402_json_int64(x402_json_get(call, "id"), &id));
	says = rule_of(endpoint, method);
	if (strcmp(method, "eth_blockNumber") == 0) {
		endpoint->heads++;
	} else {
		endpoint->calls++;
		strncat(endpoint->methods, method,
			sizeof(endpoint->methods) - strlen(endpoint->methods) -
				1);
		strncat(endpoint->methods, ",",
			sizeof(endpoint->methods) - strlen(endpoint->methods) -
				1);
	}
	if (endpoint->say &&
		endpoint->say(endpoint, method, x402_json_get(call, "params"),
			&own)) {
		x402_buf_add_byte(&own, 0);
		says = (const char *)own.ptr;
	}
	if (!says)
		says = "\"result\":null";
	if (*says) {
		if (body->len && body->ptr[body->len - 1] != '[')
			x402_buf_add_byte(body, ',');
		x402_buf_printf(body, "{\"jsonrpc\":\"2.0\",\"id\":%lld,",
			(long long)id);
		x402_buf_add_str(body, says);
		x402_buf_add_byte(body, '}');
	}
	x402_buf_clear(&own);
}

static inline void answer_exchange(
	struct endpoint *endpoint, struct http_exchange *exchange)
{
	const struct http_request *request = http_exchange_request(exchange);
	struct x402_json_limits limits = {1 << 20, 16};
	struct http_response response;
	struct x402_json *json;
	struct x402_buf body = {0};

	http_response_init(&response, endpoint->status);
	assert_int_equal(
		x402_json_parse(x402_span(request->body, request->body_len),
			&limits, NULL, &json),
		X402_OK);
	if (x402_json_type(json) == X402_JSON_ARRAY) {
		x402_buf_add_byte(&body, '[');
		for (size_t i = 0; i < x402_json_size(json); i++)
			answer_one(endpoint, x402_json_at(json, i), &body);
		x402_buf_add_byte(&body, ']');
	} else {
		answer_one(endpoint, json, &body);
	}
	if (endpoint->retry_after)
		http_response_header(
			&response, "retry-after", endpoint->retry_after);
	if (endpoint->raw)
		http_response_body(
			&response, endpoint->raw, strlen(endpoint->raw));
	else
		http_response_body(&response, body.ptr, body.len);
	http_exchange_reply(exchange, &response);
	http_response_clear(&response);
	x402_buf_clear(&body);
	x402_json_unref(json);
}

static inline void on_endpoint(void *user, struct http_exchange *exchange)
{
	struct endpoint *endpoint = user;
	const struct http_request *request = http_exchange_request(exchange);
	size_t len = request->body_len;

	endpoint->posts++;
	if (len >= sizeof(endpoint->last))
		len = sizeof(endpoint->last) - 1;
	memcpy(endpoint->last, request->body, len);
	endpoint->last[len] = '\0';
	if (endpoint->hold && endpoint->held_len < HELD_MAX)
		endpoint->held[endpoint->held_len++] = exchange;
	else
		answer_exchange(endpoint, exchange);
}

static inline void let_go(struct endpoint *endpoint)
{
	endpoint->hold = false;
	for (unsigned i = 0; i < endpoint->held_len; i++)
		answer_exchange(endpoint, endpoint->held[i]);
	endpoint->held_len = 0;
}

static inline void on_bench_warn(void *user, const char *text)
{
	struct bench *bench = user;

	bench->warnings++;
	snprintf(bench->warning, sizeof(bench->warning), "%s", text);
}

static inline void on_too_late(void *arg)
{
	struct bench *bench = arg;

	bench->too_late = true;
	fac_loop_stop(bench->loop);
}

/* Endpoints only; open_chain follows when they are scripted. */
static inline struct bench *new_bench(size_t endpoints_len)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	assert_int_equal(fac_loop_new(&bench->loop), X402_OK);
	assert_int_equal(
		fac_timer_new(bench->loop, on_too_late, bench, &bench->late),
		X402_OK);
	bench->endpoints_len = endpoints_len;
	for (size_t i = 0; i < endpoints_len; i++) {
		struct endpoint *endpoint = &bench->endpoints[i];
		struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;

		endpoint->bench = bench;
		endpoint->status = 200;
		options.loop = fac_loop_uv(bench->loop);
		options.host = "127.0.0.1";
		options.on_request = on_endpoint;
		options.user = endpoint;
		assert_int_equal(
			http_server_start(&options, &endpoint->server), 0);
		snprintf(endpoint->url, sizeof(endpoint->url),
			"http://user:secret@127.0.0.1:%u/key",
			http_server_port(endpoint->server));
	}
	return bench;
}

static inline void open_chain(
	struct bench *bench, const struct fac_chain_options *wanted)
{
	struct fac_chain_options options = wanted
		? *wanted
		: (struct fac_chain_options)FAC_CHAIN_OPTIONS_INIT;
	const char *urls[ENDPOINTS_MAX];

	for (size_t i = 0; i < bench->endpoints_len; i++)
		urls[i] = bench->endpoints[i].url;
	/* On a machine that stalls every endpoint is slow for a while. */
	if (!options.hedge_ms)
		options.hedge_ms = -1;
	options.loop = bench->loop;
	options.rpc_urls = urls;
	options.rpc_urls_len = bench->endpoints_len;
	options.warn = on_bench_warn;
	options.user = bench;
	assert_int_equal(fac_chain_new(&options, &bench->chain), X402_OK);
}

static inline struct bench *open_bench(size_t endpoints_len)
{
	struct bench *bench = new_bench(endpoints_len);

	open_chain(bench, NULL);
	return bench;
}

/* In a done callback. */
static inline void came(struct bench *bench)
{
	assert_true(bench->waiting > 0);
	if (--bench->waiting == 0)
		fac_loop_stop(bench->loop);
}

/* Until that many callbacks came. */
static inline void wait_for(struct bench *bench, unsigned callbacks)
{
	bench->waiting += callbacks;
	fac_timer_start(bench->late, 20000, 0);
	fac_loop_run(bench->loop);
	fac_timer_stop(bench->late);
	assert_false(bench->too_late);
}

static inline void on_slept(void *arg)
{
	fac_loop_stop(arg);
}

/* Let the loop turn for a while. */
static inline void turn_for(struct bench *bench, uint64_t ms)
{
	struct fac_timer *timer;

	assert_int_equal(
		fac_timer_new(bench->loop, on_slept, bench->loop, &timer),
		X402_OK);
	fac_timer_start(timer, ms, 0);
	fac_loop_run(bench->loop);
	fac_timer_free(timer);
}

/* Until each endpoint has been asked for its head and has said it. */
static inline void turn_until_heads(struct bench *bench)
{
	for (size_t i = 0; i < bench->endpoints_len;) {
		struct fac_chain_stats stats = fac_chain_stats(bench->chain);

		if (stats.endpoints[i].head)
			i++;
		else
			turn_for(bench, 5);
	}
}

/* Until every endpoint has heard that many calls. */
static inline void turn_until_called(struct bench *bench, unsigned calls)
{
	for (size_t i = 0; i < bench->endpoints_len;) {
		if (bench->endpoints[i].calls >= calls)
			i++;
		else
			turn_for(bench, 5);
	}
}

static inline void close_bench(struct bench *bench)
{
	fac_chain_free(bench->chain);
	for (size_t i = 0; i < bench->endpoints_len; i++) {
		struct endpoint *endpoint = &bench->endpoints[i];

		let_go(endpoint);
		http_server_free(endpoint->server);
	}
	fac_timer_free(bench->late);
	fac_loop_free(bench->loop);
	free(bench);
}

/* ---- One number, the simplest read. ---- */

struct balance {
	struct bench *bench;
	enum x402_err err;
	uint64_t wei;
};

static inline void on_balance(
	void *user, enum x402_err err, const struct x402_u256 *balance)
{
	struct balance *seen = user;

	seen->err = err;
	seen->wei = 0;
	(void)!x402_u256_to_u64(balance, &seen->wei);
	came(seen->bench);
}

static inline void ask_balance(struct balance *seen, uint32_t timeout_ms)
{
	struct x402_address address;

	hex_fixed(PAYER, address.bytes, 20);
	fac_chain_balance(
		seen->bench->chain, &address, timeout_ms, on_balance, seen);
}

static inline uint64_t balance_of(struct bench *bench)
{
	struct balance seen = {.bench = bench};

	ask_balance(&seen, 0);
	wait_for(bench, 1);
	assert_int_equal(seen.err, X402_OK);
	return seen.wei;
}

/* Endpoint n says n to a balance. */
static inline struct bench *balance_bench(
	size_t endpoints_len, const struct fac_chain_options *options)
{
	static const char *const says[] = {"\"result\":\"0x1\"",
		"\"result\":\"0x2\"", "\"result\":\"0x3\""};
	struct bench *bench = new_bench(endpoints_len);

	for (size_t i = 0; i < endpoints_len; i++) {
		rule(&bench->endpoints[i], "eth_getBalance", says[i]);
		rule(&bench->endpoints[i], "eth_blockNumber",
			"\"result\":\"0x64\"");
	}
	open_chain(bench, options);
	return bench;
}

/* ---- Reads. ---- */

struct read_seen {
	struct bench *bench;
	enum x402_err err;
	size_t len;
	enum x402_answer_status status[X402_PLAN_READS_MAX];
	uint8_t last_byte[X402_PLAN_READS_MAX];
	size_t data_len[X402_PLAN_READS_MAX];
};

static inline void on_read(void *user, enum x402_err err,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	struct read_seen *seen = user;

	seen->err = err;
	seen->len = answers_len;
	for (size_t i = 0; i < answers_len; i++) {
		seen->status[i] = answers[i].status;
		seen->data_len[i] = answers[i].data.len;
		seen->last_byte[i] = answers[i].data.len
			? answers[i].data.ptr[answers[i].data.len - 1]
			: 0;
	}
	came(seen->bench);
}

static inline struct x402_chain_read code_of(const char *address)
{
	struct x402_chain_read read = {.kind = X402_READ_CODE};

	hex_fixed(address, read.to.bytes, 20);
	return read;
}

static inline struct x402_chain_read call_to(
	const char *address, const uint8_t *data)
{
	struct x402_chain_read read = {.kind = X402_READ_CALL};

	hex_fixed(address, read.to.bytes, 20);
	read.data = x402_span(data, 4);
	return read;
}

static inline void ask_reads(
	struct read_seen *seen, const struct x402_chain_read *reads, size_t len)
{
	struct fac_chain_read_options options = FAC_CHAIN_READ_INIT;
	struct x402_address asset;

	hex_fixed(ASSET, asset.bytes, 20);
	options.reads = reads;
	options.reads_len = len;
	options.cacheable = &asset;
	fac_chain_read(seen->bench->chain, &options, on_read, seen);
}

static const uint8_t name_data[]
	__attribute__((unused)) = {0x06, 0xfd, 0xde, 0x03};
static const uint8_t one_data[] __attribute__((unused)) = {1, 1, 1, 1};
static const uint8_t two_data[] __attribute__((unused)) = {2, 2, 2, 2};

#endif
