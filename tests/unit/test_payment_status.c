/*
 * GET /payments/{id}: by id and hash, as a long poll, and as a stream of
 * events. net/, the store and the clock are played at their seams; a test
 * gives the store's answers and turns the clock.
 */
#include "cmocka_house.h"

#include "api/watch.h"
#include "net/http_server.h"

#include <stdio.h>
#include <strings.h>

#define ID          "0123456789abcdef0123456789abcdef"
#define TX          "0x" ID ID
#define CLIENTS_MAX (FAC_WATCH_MAX + 2)

/* One client's connection, with one request. */
struct http_exchange {
	struct http_request http;
	struct http_header headers[2];
	char path[256];
	bool open;
	bool streaming;
	bool deaf; /* nobody reads on */
	void (*gone)(void *user);
	void *gone_user;
	int status;
	char head[1024];
	char body[8192];
};

static struct {
	struct http_exchange clients[CLIENTS_MAX];
	size_t clients_len;
	uint64_t now_ms;
	struct {
		struct fac_store_to to;
		char query[FAC_HASH_TEXT_SIZE];
	} asked[CLIENTS_MAX];
	size_t asked_len;
	void (*tick)(void *arg);
	void *tick_arg;
	bool ticking;
} world;

static struct fac_app app;

/* ---- The seams. ---- */

static const char *peer = "192.0.2.1";

const char *http_exchange_peer(const struct http_exchange *ignored)
{
	(void)ignored;
	return peer;
}

const struct http_request *http_exchange_request(const struct http_exchange *ex)
{
	return &ex->http;
}

void http_exchange_on_cancelled(
	struct http_exchange *ex, void (*on_cancelled)(void *user), void *user)
{
	ex->gone = on_cancelled;
	ex->gone_user = user;
}

static void keep_head(
	struct http_exchange *ex, const struct http_response *response)
{
	assert_false(response->spoiled);
	ex->status = response->status;
	snprintf(ex->head, sizeof(ex->head), "%.*s", (int)response->headers.len,
		response->headers.ptr);
}

void http_exchange_reply(
	struct http_exchange *ex, const struct http_response *response)
{
	assert_true(ex->open && !ex->streaming); /* one answer */
	ex->open = false;
	keep_head(ex, response);
	snprintf(ex->body, sizeof(ex->body), "%.*s", (int)response->body_len,
		response->body_len ? (const char *)response->body : "");
}

bool http_exchange_stream_start(
	struct http_exchange *ex, const struct http_response *head)
{
	assert_true(ex->open && !ex->streaming);
	ex->streaming = true;
	keep_head(ex, head);
	return !ex->deaf;
}

bool http_exchange_stream_write(
	struct http_exchange *ex, const void *data, size_t len)
{
	size_t had = strlen(ex->body);

	assert_true(ex->open && ex->streaming);
	if (ex->deaf)
		return false;
	snprintf(ex->body + had, sizeof(ex->body) - had, "%.*s", (int)len,
		(const char *)data);
	return true;
}

void http_exchange_stream_end(struct http_exchange *ex)
{
	assert_true(ex->open && ex->streaming);
	ex->open = false;
}

const char *http_request_header(
	const struct http_request *request, const char *name, bool *ret_doubled)
{
	(void)ret_doubled;
	for (size_t i = 0; i < request->headers_len; i++)
		if (!strcasecmp(request->headers[i].name, name))
			return request->headers[i].value;
	return NULL;
}

void http_exchange_drop_body(struct http_exchange *ex)
{
	(void)ex;
	fail(); /* a GET has none */
}

void fac_loop_stage(struct fac_loop *loop, struct fac_stage *stage,
	void (*fn)(void *arg), void *arg)
{
	(void)loop;
	(void)stage;
	(void)fn;
	(void)arg;
	fail(); /* nothing is judged here */
}

uint64_t fac_loop_now_ms(const struct fac_loop *loop)
{
	(void)loop;
	return world.now_ms;
}

enum x402_err fac_timer_new(struct fac_loop *loop, void (*fn)(void *arg),
	void *arg, struct fac_timer **ret_timer)
{
	(void)loop;
	world.tick = fn;
	world.tick_arg = arg;
	*ret_timer = (struct fac_timer *)&world;
	return X402_OK;
}

void fac_timer_start(
	struct fac_timer *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
	(void)timer;
	assert_true(delay_ms <= repeat_ms);
	world.ticking = true;
}

void fac_timer_stop(struct fac_timer *timer)
{
	(void)timer;
	world.ticking = false;
}

void fac_timer_free(struct fac_timer *timer)
{
	(void)timer;
	world.ticking = false;
}

void fac_store_payment_get(struct fac_store *store,
	struct fac_payment_query query, struct fac_store_to to)
{
	(void)store;
	assert_true(world.asked_len < CLIENTS_MAX);
	world.asked[world.asked_len].to = to;
	char *text = world.asked[world.asked_len++].query;
	const uint8_t *hash32 = query.transaction32 ? query.transaction32
						    : query.payload_hash32;

	if (query.id)
		snprintf(text, FAC_HASH_TEXT_SIZE, "%s", query.id);
	if (query.transaction32)
		text += snprintf(text, FAC_HASH_TEXT_SIZE, "0x");
	for (size_t i = 0; hash32 && i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", hash32[i]);
}

/* The other endpoints are not asked here. */
#define NOT_HERE(name)                                     \
	struct fac_step name(struct fac_request *request)  \
	{                                                  \
		return fac_fail(request, 501, "not here"); \
	}
NOT_HERE(fac_api_verify)
NOT_HERE(fac_api_settle)
NOT_HERE(fac_api_supported)
NOT_HERE(fac_api_health)
NOT_HERE(fac_api_discovery_list)
NOT_HERE(fac_api_discovery_post)

/* ---- Asking and answering. ---- */

static int setup(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	memset(&app, 0, sizeof(app));
	world.now_ms = 1000000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fac_watch_free(&app);
	/* Whatever happened, every request was answered and freed. */
	assert_int_equal(app.open_requests, 0);
	for (size_t i = 0; i < world.clients_len; i++)
		assert_false(world.clients[i].open);
	return 0;
}

/* header NULL, or a name followed by its value. */
static struct http_exchange *ask(
	const char *path, const char *name, const char *value)
{
	struct http_exchange *ex = &world.clients[world.clients_len++];
	const char *query = strchr(path, '?');

	assert_true(world.clients_len <= CLIENTS_MAX);
	snprintf(ex->path, sizeof(ex->path), "%.*s", (int)strcspn(path, "?"),
		path);
	ex->http.method = "GET";
	ex->http.target = path;
	ex->http.path = ex->path;
	ex->http.query = query ? query + 1 : NULL;
	ex->http.headers = ex->headers;
	if (name)
		ex->headers[ex->http.headers_len++] = (struct http_header){
			name, value};
	ex->open = true;
	fac_api_dispatch(&app, ex);
	return ex;
}

/* A history that begins with reserved and has len states. */
static void answer_store(size_t len, const enum fac_payment_state *states)
{
	struct fac_payment payment = {.scheme = "exact", .x402_version = 2};
	struct fac_payment_event events[8] = {0};
	struct fac_store_reply reply = {.payments = &payment,
		.payments_len = 1,
		.events = events,
		.events_len = len};
	struct fac_store_to asked[CLIENTS_MAX];
	size_t asked_len = world.asked_len;

	memcpy(payment.id, ID, sizeof(ID));
	memcpy(payment.network, "eip155:84532", sizeof("eip155:84532"));
	for (size_t i = 0; i < len; i++)
		events[i] = (struct fac_payment_event){
			.state = states[i], .at_ms = 1000 * i};
	payment.state = states[len - 1];
	if (len > 1)
		memcpy(payment.transaction, TX, sizeof(TX));
	for (size_t i = 0; i < asked_len; i++)
		asked[i] = world.asked[i].to;
	world.asked_len = 0;
	for (size_t i = 0; i < asked_len; i++)
		asked[i].done(asked[i].user, &reply);
}

static void fail_store(enum x402_err err)
{
	struct fac_store_reply reply = {.err = err};
	struct fac_store_to to = world.asked[0].to;

	assert_int_equal(world.asked_len, 1);
	world.asked_len = 0;
	to.done(to.user, &reply);
}

static void turn(uint64_t ms)
{
	world.now_ms += ms;
	if (world.ticking)
		world.tick(world.tick_arg);
}

static void leave(struct http_exchange *ex)
{
	void (*gone)(void *user) = ex->gone;

	ex->gone = NULL;
	ex->deaf = true;
	gone(ex->gone_user);
}

static const enum fac_payment_state RUN[] = {FAC_PAYMENT_RESERVED,
	FAC_PAYMENT_SIGNED, FAC_PAYMENT_BROADCAST, FAC_PAYMENT_SETTLED};

/* ---- One look. ---- */

static void lookup_takes_ids_and_hashes_of_any_case(void **state)
{
	struct http_exchange *ex;

	(void)state;
	ex = ask("/payments/0123456789ABCDEF0123456789abcdef", NULL, NULL);
	assert_string_equal(world.asked[0].query, ID);
	answer_store(4, RUN);
	assert_int_equal(ex->status, 200);
	assert_non_null(strstr(ex->body, "\"state\":\"settled\""));
	assert_non_null(strstr(ex->body, "\"final\":true"));
	assert_non_null(strstr(ex->body, "\"history\":[{"));
	ex = ask("/payments/" TX, NULL, NULL);
	assert_string_equal(world.asked[0].query, TX);
	fail_store(X402_ERR_NOT_FOUND);
	assert_int_equal(ex->status, 404);
	/* Without 0x: SHA-256 of a paymentPayload. */
	ex = ask(
		"/payments/" ID "0123456789ABCDEF0123456789abcdef", NULL, NULL);
	assert_string_equal(world.asked[0].query, ID ID);
	answer_store(4, RUN);
	assert_int_equal(ex->status, 200);
	ex = ask("/payments/" TX, NULL, NULL);
	fail_store(X402_ERR_STORE);
	assert_int_equal(ex->status, 503);
}

static void lookup_of_a_batch_names_all_of_it(void **state)
{
	static const char *const parts[] = {"\"state\":\"reverted\"",
		"\"payments\":[{\"paymentId\":\"aa", "},{\"paymentId\":\"bb",
		"\"state\":\"settled\""};
	struct fac_payment payments[2] = {
		{.id = "aa", .state = FAC_PAYMENT_REVERTED},
		{.id = "bb", .state = FAC_PAYMENT_SETTLED}};
	struct fac_payment_event event = {.state = FAC_PAYMENT_REVERTED};
	struct fac_store_reply reply = {.payments = payments,
		.payments_len = 2,
		.events = &event,
		.events_len = 1};
	struct http_exchange *ex = ask("/payments/" TX, NULL, NULL);
	const char *at = ex->body;
	struct fac_store_to to = world.asked[0].to;

	(void)state;
	world.asked_len = 0;
	to.done(to.user, &reply);
	assert_int_equal(ex->status, 200);
	/* The first one's history, then both. */
	assert_memory_equal(ex->body, "{\"paymentId\":\"aa", 16);
	assert_non_null(strstr(ex->body, "\"history\":[{"));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		at = strstr(at, parts[i]);
		assert_non_null(at);
	}
	/* A payment by itself has no list. */
	ex = ask("/payments/" TX, NULL, NULL);
	answer_store(4, RUN);
	assert_null(strstr(ex->body, "\"payments\""));
}

static void lookup_refuses_what_is_no_question(void **state)
{
	static const char *const wrong[] = {"/payments/", "/payments/1",
		"/payments/" ID "0", "/payments/0x" ID, "/payments/" TX "0",
		"/payments/zz23456789abcdef0123456789abcdef",
		"/payments/" ID "/", "/payments/" ID "/event",
		"/payments/" ID "/events/", "/payments/" ID "?wait=0",
		"/payments/" ID "?wait=61", "/payments/" ID "?wait=-1",
		"/payments/" ID "?wait=1.5",
		"/payments/" ID "?wait=", "/payments/" ID "?wait=1&wait=2",
		"/payments/" ID "?wait=1&state=gone",
		"/payments/" ID "?wait=99999999999999999999999"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct http_exchange *ex = ask(wrong[i], NULL, NULL);
		if (ex->status != 400)
			print_error("%s\n", wrong[i]);
		assert_int_equal(ex->status, 400);
	}
	assert_int_equal(world.asked_len, 0);
}

/* ---- Long poll. ---- */

static void poll_answers_at_once_what_has_ended(void **state)
{
	struct http_exchange *ex = ask("/payments/" ID "?wait=60", NULL, NULL);

	(void)state;
	answer_store(4, RUN);
	assert_int_equal(ex->status, 200);
	assert_false(world.ticking);
}

static void poll_answers_at_once_when_the_state_differs(void **state)
{
	struct http_exchange *ex = ask(
		"/payments/" ID "?wait=60&state=reserved", NULL, NULL);

	(void)state;
	answer_store(2, RUN);
	assert_int_equal(ex->status, 200);
	assert_non_null(strstr(ex->body, "\"state\":\"signed\""));
}

static void poll_waits_for_the_next_state(void **state)
{
	struct http_exchange *ex = ask("/payments/" ID "?wait=60", NULL, NULL);

	(void)state;
	answer_store(2, RUN);
	assert_true(ex->open);
	turn(FAC_WATCH_EVERY_MS);
	assert_string_equal(world.asked[0].query, ID);
	/* The store is slow: it is not asked twice. */
	turn(FAC_WATCH_EVERY_MS);
	assert_int_equal(world.asked_len, 1);
	answer_store(2, RUN);
	assert_true(ex->open);
	turn(FAC_WATCH_EVERY_MS);
	answer_store(3, RUN);
	assert_false(ex->open);
	assert_non_null(strstr(ex->body, "\"state\":\"broadcast\""));
	turn(FAC_WATCH_EVERY_MS);
	assert_false(world.ticking);
	assert_int_equal(world.asked_len, 0);
}

static void poll_tells_the_present_state_at_its_end(void **state)
{
	struct http_exchange *ex = ask("/payments/" ID "?wait=2", NULL, NULL);

	(void)state;
	answer_store(2, RUN);
	turn(1999);
	answer_store(2, RUN);
	assert_true(ex->open);
	turn(1);
	answer_store(2, RUN);
	assert_int_equal(ex->status, 200);
	assert_non_null(strstr(ex->body, "\"state\":\"signed\""));
}

static void poll_outlives_a_store_that_fails_once(void **state)
{
	struct http_exchange *ex = ask("/payments/" ID "?wait=2", NULL, NULL);

	(void)state;
	answer_store(2, RUN);
	turn(FAC_WATCH_EVERY_MS);
	fail_store(X402_ERR_STORE);
	assert_true(ex->open);
	turn(2000);
	fail_store(X402_ERR_STORE);
	assert_int_equal(ex->status, 503);
}

static void poll_of_a_client_that_left_is_forgotten(void **state)
{
	struct http_exchange *stays = ask(
		"/payments/" ID "?wait=60", NULL, NULL);
	struct http_exchange *goes = ask(
		"/payments/" ID "?wait=60", NULL, NULL);
	struct http_exchange *early = ask(
		"/payments/" ID "?wait=60", NULL, NULL);

	(void)state;
	leave(early); /* while the store is asked */
	answer_store(2, RUN);
	assert_false(early->open);
	turn(FAC_WATCH_EVERY_MS);
	assert_int_equal(world.asked_len, 1); /* one read for both */
	leave(goes);
	assert_false(goes->open);
	assert_true(stays->open);
	leave(stays);
	/* Nobody waits, but the store still owes an answer. */
	answer_store(3, RUN);
	turn(FAC_WATCH_EVERY_MS);
	assert_false(world.ticking);
}

static void drain_answers_polls_at_once(void **state)
{
	struct http_exchange *ex = ask("/payments/" ID "?wait=60", NULL, NULL);
	struct http_exchange *late;

	(void)state;
	answer_store(2, RUN);
	app.draining = true;
	fac_watch_hurry(&app);
	turn(0);
	answer_store(2, RUN);
	assert_int_equal(ex->status, 200);
	late = ask("/payments/" ID "?wait=60", NULL, NULL);
	answer_store(2, RUN);
	assert_int_equal(late->status, 200);
}

static void drain_without_anybody_waiting_is_nothing(void **state)
{
	(void)state;
	fac_watch_hurry(&app);
	assert_false(world.ticking);
}

static void stop_asks_the_store_no_more(void **state)
{
	struct http_exchange *ex = ask("/payments/" ID "?wait=60", NULL, NULL);

	(void)state;
	answer_store(2, RUN);
	app.stopping = true;
	turn(FAC_WATCH_EVERY_MS);
	assert_int_equal(world.asked_len, 0);
	leave(ex);
}

/* ---- Events. ---- */

static void events_tell_each_state_and_end_with_the_last(void **state)
{
	struct http_exchange *ex = ask("/payments/" ID "/events", NULL, NULL);
	char *second;

	(void)state;
	answer_store(2, RUN);
	assert_int_equal(ex->status, 200);
	assert_non_null(strstr(ex->head, "Content-Type: text/event-stream"));
	assert_non_null(strstr(ex->head, "Cache-Control: no-store"));
	assert_true(strstr(ex->body,
			    "id: 0\ndata: {\"paymentId\":\"" ID
			    "\",\"state\":\"reserved\",\"final\":"
			    "false,") == ex->body);
	second = strstr(ex->body, "\n\nid: 1\ndata: {");
	assert_non_null(second);
	assert_non_null(strstr(second, "\"transaction\":\"" TX "\""));
	turn(FAC_WATCH_EVERY_MS);
	answer_store(4, RUN);
	assert_false(ex->open);
	assert_non_null(strstr(ex->body, "\n\nid: 3\ndata: {"));
	assert_non_null(
		strstr(ex->body, "\"state\":\"settled\",\"final\":true"));
}

static void events_by_accept_header_go_on_behind_the_last_seen(void **state)
{
	struct http_exchange *ex = &world.clients[0];

	(void)state;
	ex->headers[0] = (struct http_header){"Accept", "text/event-stream"};
	ex->http.headers_len = 1;
	ask("/payments/" TX, "Last-Event-ID", "1");
	answer_store(3, RUN);
	assert_true(strstr(ex->body, "id: 2\n") == ex->body);
	turn(FAC_WATCH_EVERY_MS);
	answer_store(4, RUN);
	assert_false(ex->open);
}

static void events_that_were_all_seen_are_204(void **state)
{
	struct http_exchange *ex = ask(
		"/payments/" ID "/events", "Last-Event-ID", "3");

	(void)state;
	answer_store(4, RUN);
	assert_int_equal(ex->status, 204);
	assert_false(ex->streaming);
}

static void events_after_a_strange_id_begin_at_the_start(void **state)
{
	static const char *const strange[] = {"", "x", "-1", "1e3",
		"99999999999999999999999999", "18446744073709551615"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(strange); i++) {
		struct http_exchange *ex = ask(
			"/payments/" ID "/events", "Last-Event-ID", strange[i]);
		answer_store(4, RUN);
		assert_true(strstr(ex->body, "id: 0\n") == ex->body);
		assert_false(ex->open);
	}
}

static void events_keep_a_quiet_stream_alive_for_a_while(void **state)
{
	struct http_exchange *ex = ask("/payments/" ID "/events", NULL, NULL);

	(void)state;
	answer_store(1, RUN);
	turn(FAC_WATCH_KEEP_ALIVE_MS - 1);
	answer_store(1, RUN);
	assert_null(strstr(ex->body, "\n\n:\n\n"));
	turn(1);
	answer_store(1, RUN);
	assert_non_null(strstr(ex->body, "\n\n:\n\n"));
	turn(FAC_WATCH_STREAM_MS);
	answer_store(1, RUN);
	assert_false(ex->open);
}

static void events_for_a_reader_that_is_cut_off_end(void **state)
{
	struct http_exchange *ex = ask("/payments/" ID "/events", NULL, NULL);
	struct http_exchange *deaf = ask("/payments/" ID "/events", NULL, NULL);
	struct http_exchange *gone = ask("/payments/" ID "/events", NULL, NULL);

	(void)state;
	deaf->deaf = true; /* HEAD, or gone already */
	answer_store(1, RUN);
	assert_false(deaf->open);
	assert_string_equal(deaf->body, "");
	leave(gone);
	assert_false(gone->open);
	ex->deaf = true; /* too slow: the next write says so */
	turn(FAC_WATCH_EVERY_MS);
	answer_store(2, RUN);
	assert_false(ex->open);
}

/* ---- Limits. ---- */

static void watchers_above_the_limit_are_told_to_come_again(void **state)
{
	struct http_exchange *last = NULL;

	(void)state;
	for (size_t i = 0; i <= FAC_WATCH_MAX; i++) {
		last = ask("/payments/" ID "?wait=60", NULL, NULL);
		answer_store(2, RUN);
	}
	assert_int_equal(last->status, 503);
	assert_non_null(strstr(last->head, "Retry-After: "));
	assert_true(world.clients[0].open);
	turn(FAC_WATCH_EVERY_MS);
	assert_int_equal(world.asked_len, 1); /* one read for all */
	answer_store(3, RUN);
	assert_false(world.clients[0].open);
	assert_false(world.clients[FAC_WATCH_MAX - 1].open);
	/* There is room again. */
	last = ask("/payments/" ID "?wait=60", NULL, NULL);
	answer_store(3, RUN);
	assert_true(last->open);
	leave(last);
}

#define STATUS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Whoever has one address of IPv6 has 2^64 of them, for ceilings. */
static void caller_of_ipv6_is_a_network(void **state)
{
	(void)state;
	static const struct {
		const char *peer;
		const char *caller;
	} cases[] = {{"192.0.2.7", "192.0.2.7"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"2001:db8:1:2::9", "2001:db8:1:2::/64"},
		{"2001:db8:1:3::9", "2001:db8:1:3::/64"},
		{"::ffff:192.0.2.7", "::ffff:192.0.2.7"}, {"unix", "unix"},
		{"", ""}};
	const struct fac_request request = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char caller[FAC_CALLER_SIZE];
		peer = cases[i].peer;
		fac_request_caller(&request, caller);
		assert_string_equal(caller, cases[i].caller);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATUS_TEST(lookup_takes_ids_and_hashes_of_any_case),
		STATUS_TEST(lookup_of_a_batch_names_all_of_it),
		STATUS_TEST(lookup_refuses_what_is_no_question),
		STATUS_TEST(poll_answers_at_once_what_has_ended),
		STATUS_TEST(poll_answers_at_once_when_the_state_differs),
		STATUS_TEST(poll_waits_for_the_next_state),
		STATUS_TEST(poll_tells_the_present_state_at_its_end),
		STATUS_TEST(poll_outlives_a_store_that_fails_once),
		STATUS_TEST(poll_of_a_client_that_left_is_forgotten),
		cmocka_unit_test(caller_of_ipv6_is_a_network),
		STATUS_TEST(drain_answers_polls_at_once),
		STATUS_TEST(drain_without_anybody_waiting_is_nothing),
		STATUS_TEST(stop_asks_the_store_no_more),
		STATUS_TEST(events_tell_each_state_and_end_with_the_last),
		STATUS_TEST(events_by_accept_header_go_on_behind_the_last_seen),
		STATUS_TEST(events_that_were_all_seen_are_204),
		STATUS_TEST(events_after_a_strange_id_begin_at_the_start),
		STATUS_TEST(events_keep_a_quiet_stream_alive_for_a_while),
		STATUS_TEST(events_for_a_reader_that_is_cut_off_end),
		STATUS_TEST(watchers_above_the_limit_are_told_to_come_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
