/*
 * The endpoints with every room behind them played by this file: what is
 * asked of the chain, the engine and the store, and what is answered when
 * they answer, fail, or stop. Requests are given and answers taken at the
 * seam of net/http_server.h. What test_api.c and test_discovery.c share.
 */
#ifndef API_HOUSE_H
#define API_HOUSE_H

#include "cmocka_house.h"
#include "no_sponsor_house.h"

#include "api/watch.h"
#include "net/http_server.h"

#include <stdio.h>
#include <strings.h>

/* ---- The rooms, played. ---- */

static struct {
	struct http_request http;
	struct http_header headers[4];
	unsigned open;
	void (*gone)(void *user);
	void *gone_user;
	/* The answer. */
	int status;
	char headers_text[4096];
	char body[65536];

	/* Chain. */
	unsigned reads;
	struct x402_chain_read read[X402_PLAN_READS_MAX];
	size_t read_len;
	struct x402_address sender;
	void (*read_done)(void *, enum x402_err,
		const struct x402_chain_answer *, size_t);
	void *read_user;

	/* Engine. */
	unsigned settles;
	unsigned recalls;
	unsigned leaves;
	bool has_key32;
	bool may_repeat;
	char scope[FAC_IDEMPOTENCY_SIZE];
	char key[FAC_IDEMPOTENCY_SIZE];
	uint8_t fingerprint32[32];
	uint64_t deadline_unix_ms;
	void (*settle_done)(void *, const struct fac_settle_result *);
	void *settle_user;

	/* Store. */
	struct fac_store_to store_to;
	unsigned healths;
	unsigned lists;
	struct fac_store_to list_to[160];
	unsigned puts;
	bool put_settled;
	struct fac_resource_query query;
	char query_id[80];
	struct fac_store_hold hold;

	uint64_t now_ms;
} world;

struct http_exchange {
	int unused;
};
static struct http_exchange exchange;

const char *http_exchange_peer(const struct http_exchange *ignored)
{
	(void)ignored;
	return "192.0.2.1";
}

const struct http_request *http_exchange_request(const struct http_exchange *ex)
{
	(void)ex;
	return &world.http;
}

void http_exchange_drop_body(struct http_exchange *ignored)
{
	(void)ignored;
	world.http.body = NULL; /* whoever reads it now is wrong */
}

void http_exchange_on_cancelled(
	struct http_exchange *ex, void (*on_cancelled)(void *user), void *user)
{
	(void)ex;
	world.gone = on_cancelled;
	world.gone_user = user;
}

void http_exchange_reply(
	struct http_exchange *ex, const struct http_response *response)
{
	(void)ex;
	assert_true(world.open); /* one answer for each request */
	world.open--;
	assert_false(response->spoiled);
	world.status = response->status;
	snprintf(world.headers_text, sizeof(world.headers_text), "%.*s",
		(int)response->headers.len, response->headers.ptr);
	snprintf(world.body, sizeof(world.body), "%.*s",
		(int)response->body_len, (const char *)response->body);
}

/* Nothing here streams; test_payment_status.c does. */
bool http_exchange_stream_start(
	struct http_exchange *ex, const struct http_response *head)
{
	(void)ex;
	(void)head;
	fail_msg("a stream began");
	return false;
}

bool http_exchange_stream_write(
	struct http_exchange *ex, const void *data, size_t len)
{
	(void)ex;
	(void)data;
	(void)len;
	return false;
}

void http_exchange_stream_end(struct http_exchange *ex)
{
	(void)ex;
}

struct fac_step fac_watch_begin(struct fac_request *request,
	const struct fac_watch_options *options,
	const struct fac_store_reply *reply)
{
	(void)options;
	(void)reply;
	return fac_fail(request, 503, "nobody waits here");
}

const char *http_request_header(
	const struct http_request *request, const char *name, bool *ret_doubled)
{
	const char *found = NULL;

	for (size_t i = 0; i < request->headers_len; i++)
		if (!strcasecmp(request->headers[i].name, name)) {
			if (found)
				*ret_doubled = true;
			found = request->headers[i].value;
		}
	return found;
}

uint64_t fac_loop_now_ms(const struct fac_loop *loop)
{
	(void)loop;
	return world.now_ms;
}

/* What the loop runs before its turn ends. */
static struct fac_stage *first_stage;

void fac_loop_stage(struct fac_loop *loop, struct fac_stage *stage,
	void (*fn)(void *arg), void *arg)
{
	struct fac_stage **last = &first_stage;

	(void)loop;
	*stage = (struct fac_stage){NULL, fn, arg};
	while (*last)
		last = &(*last)->next;
	*last = stage;
}

static inline void end_turn(void)
{
	struct fac_stage *stage;

	while ((stage = first_stage)) {
		first_stage = stage->next;
		stage->fn(stage->arg);
	}
}

uint64_t fac_steady_unix_ms(void)
{
	return fac_unix_ms();
}

void fac_chain_read(struct fac_chain *chain,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user)
{
	(void)chain;
	world.reads++;
	memcpy(world.read, options->reads,
		options->reads_len * sizeof(*options->reads));
	world.read_len = options->reads_len;
	world.sender = options->sender;
	world.read_done = done;
	world.read_user = user;
}

uint64_t fac_settler_settle(struct fac_settler *settler,
	struct fac_settle_request *request, struct fac_loop *reply_to,
	void (*done)(void *user, const struct fac_settle_result *result),
	void *user)
{
	(void)settler;
	(void)reply_to;
	world.settles += request->has_plan;
	world.recalls += !request->has_plan;
	world.has_key32 = request->key32;
	world.may_repeat = request->may_repeat;
	snprintf(world.scope, sizeof(world.scope), "%s",
		request->idempotency_scope ? request->idempotency_scope : "");
	snprintf(world.key, sizeof(world.key), "%s",
		request->idempotency_key ? request->idempotency_key : "");
	memcpy(world.fingerprint32, request->fingerprint32, 32);
	world.deadline_unix_ms = request->deadline_unix_ms;
	world.settle_done = done;
	world.settle_user = user;
	if (request->has_plan)
		x402_settle_plan_clear(&request->plan);
	return 77;
}

void fac_settler_leave(struct fac_settler *settler, uint64_t ticket)
{
	(void)settler;
	assert_int_equal(ticket, 77);
	world.leaves++;
}

void fac_settler_stats(struct fac_settler *settler, struct fac_loop *reply_to,
	void (*done)(void *user, const struct fac_engine_stats *stats),
	void *user)
{
	struct fac_engine_stats stats = {.recovered = true, .in_flight = 3};

	(void)settler;
	(void)reply_to;
	done(user, &stats);
}

void fac_store_resource_put(struct fac_store *store,
	const struct fac_resource *resource, struct fac_store_to to)
{
	(void)store;
	world.puts++;
	world.put_settled = resource->settled;
	world.store_to = to;
}

void fac_store_resource_list(struct fac_store *store,
	const struct fac_resource_query *query, struct fac_store_to to)
{
	(void)store;
	world.query = *query;
	world.store_to = to;
	assert_true(world.lists < ARRAY_LEN(world.list_to));
	world.list_to[world.lists++] = to;
}

void fac_store_payment_get(struct fac_store *store,
	struct fac_payment_query query, struct fac_store_to to)
{
	(void)store;
	snprintf(world.query_id, sizeof(world.query_id), "%s",
		query.id ? query.id : "");
	world.store_to = to;
}

void fac_store_hold(struct fac_store *store, const struct fac_store_hold *hold,
	struct fac_store_to to)
{
	(void)store;
	world.hold = *hold;
	world.store_to = to;
}

void fac_store_health(struct fac_store *store, struct fac_store_to to)
{
	(void)store;
	world.healths++;
	world.store_to = to;
}

/* ---- Asking. ---- */

static struct fac_app app;
static struct fac_chain_status status;

static inline int setup(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	memset(&app, 0, sizeof(app));
	world.now_ms = 1000000;
	snprintf(app.settings.cors_origin, sizeof(app.settings.cors_origin),
		"%s", "*");
	app.settings.response_deadline_ms = 25000;
	app.settings.verify_deadline_ms = 10000;
	app.settings.discovery_post = true;
	app.chains_len = 1;
	app.chains[0].status = &status;
	app.chains[0].signers_len = 1;
	app.chains[0].confirmations = 3;
	memset(app.chains[0].signers[0].bytes, 0x51, 20);
	atomic_store(&status.health, FAC_CHAIN_USABLE);
	return x402_network_parse("eip155:84532", &app.chains[0].network);
}

static inline int teardown(void **state)
{
	(void)state;
	/* Whatever happened, every request was answered and freed. */
	assert_false(world.open);
	assert_int_equal(app.open_requests, 0);
	return 0;
}

static inline void ask(const char *method, const char *path, const char *body)
{
	static char path_only[512];
	const char *query = strchr(path, '?');

	snprintf(path_only, sizeof(path_only), "%.*s", (int)strcspn(path, "?"),
		path);
	world.http.method = method;
	world.http.target = path;
	world.http.path = path_only;
	world.http.query = query ? query + 1 : NULL;
	world.http.headers = world.headers;
	world.http.body = (const uint8_t *)body;
	world.http.body_len = body ? strlen(body) : 0;
	world.open++;
	world.status = 0;
	world.body[0] = '\0';
	fac_api_dispatch(&app, &exchange);
	end_turn();
}

static inline void header(const char *name, const char *value)
{
	world.headers[world.http.headers_len++] = (struct http_header){
		name, value};
}

static inline void assert_body_has(const char *text)
{
	if (!strstr(world.body, text))
		fail_msg("expected %s in %s", text, world.body);
}

static inline void assert_header(const char *text)
{
	if (!strstr(world.headers_text, text))
		fail_msg("expected %s in %s", text, world.headers_text);
}

/* ---- What is asked. ---- */

#define REQUIREMENTS                                                \
	"{\"scheme\":\"exact\",\"network\":\"eip155:84532\","       \
	"\"amount\":\"10000\",\"asset\":"                           \
	"\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\",\"payTo\":" \
	"\"0x90F79bf6EB2c4f870365E785982E1f101E93b906\","           \
	"\"maxTimeoutSeconds\":300,\"extra\":{\"name\":\"USDC\","   \
	"\"version\":\"2\"}}"
#define BAZAAR                                                       \
	"\"extensions\":{\"bazaar\":{\"info\":{\"input\":{\"type\":" \
	"\"http\",\"method\":\"GET\"}},\"schema\":{\"type\":\"object\"}}}"

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
