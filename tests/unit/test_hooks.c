/*
 * Web hooks: the message to the byte, and delivery with the store, the
 * receivers and the clock played at their seams.
 */
#include "cmocka_house.h"

#include "api/api.h"
#include "chain/http_p.h"
#include "ops/hooks.h"

#include <sodium.h>
#include <stdio.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define POSTS  64

static struct {
	/* The store. */
	unsigned takes;
	uint32_t limit;
	struct fac_store_to take_to;
	uint64_t done[POSTS];
	size_t done_len;
	struct {
		uint64_t sequence;
		uint64_t delay_ms;
		bool dead;
		char error[FAC_MESSAGE_SIZE];
	} failed[POSTS];
	size_t failed_len;
	/* The receivers. */
	struct {
		char url[64];
		char body[2048];
		char headers[FAC_HTTP_HEADERS_MAX][160];
		size_t answer_max;
		void (*done)(void *user, const struct fac_http_answer *answer);
		void *user;
	} posts[POSTS];
	size_t posts_len;
	/* The clock. */
	void (*tick)(void *arg);
	void *tick_arg;
	bool soon; /* asked to be woken at once */
} world;

static struct fac_hook_secret secret;
static struct fac_config_hook config[2];
static char urls[2][24] = {"http://a.example/", "http://b.example/"};
static struct fac_hooks *hooks;

/* ---- The seams. ---- */

void fac_store_outbox_take(struct fac_store *store, uint32_t limit,
	uint64_t lease_ms, struct fac_store_to to)
{
	(void)store;
	/* A delivery that still runs must not be due again. */
	assert_true(lease_ms > 10000);
	world.takes++;
	world.limit = limit;
	world.take_to = to;
}

static void recorded(struct fac_store_to to)
{
	struct fac_store_reply reply = {0};

	to.done(to.user, &reply);
}

void fac_store_outbox_done(
	struct fac_store *store, uint64_t sequence, struct fac_store_to to)
{
	(void)store;
	world.done[world.done_len++] = sequence;
	recorded(to);
}

void fac_store_outbox_fail(struct fac_store *store,
	const struct fac_outbox_failure *failure, struct fac_store_to to)
{
	(void)store;
	world.failed[world.failed_len].sequence = failure->sequence;
	world.failed[world.failed_len].delay_ms = failure->delay_ms;
	world.failed[world.failed_len].dead = failure->dead;
	snprintf(world.failed[world.failed_len++].error, FAC_MESSAGE_SIZE, "%s",
		failure->error);
	recorded(to);
}

enum x402_err fac_http_new(struct fac_loop *loop, struct fac_http **ret_http)
{
	(void)loop;
	*ret_http = (struct fac_http *)&world;
	return X402_OK;
}

static void answer(size_t index, const struct fac_http_answer *answer)
{
	void (*done)(void *, const struct fac_http_answer *) =
		world.posts[index].done;

	assert_non_null(done);
	world.posts[index].done = NULL;
	done(world.posts[index].user, answer);
}

void fac_http_free(struct fac_http *http)
{
	struct fac_http_answer cancelled = {.cancelled = true, .error = ""};

	(void)http;
	for (size_t i = 0; i < world.posts_len; i++)
		if (world.posts[i].done)
			answer(i, &cancelled);
}

struct fac_http_post *fac_http_send(struct fac_http *http,
	const struct fac_http_request *request,
	void (*done)(void *user, const struct fac_http_answer *answer),
	void *user)
{
	size_t n = world.posts_len++;

	(void)http;
	assert_true(n < POSTS);
	snprintf(world.posts[n].url, sizeof(world.posts[n].url), "%s",
		request->url);
	snprintf(world.posts[n].body, sizeof(world.posts[n].body), "%.*s",
		(int)request->body.len, (const char *)request->body.ptr);
	for (size_t i = 0; i < FAC_HTTP_HEADERS_MAX && request->headers[i]; i++)
		snprintf(world.posts[n].headers[i],
			sizeof(world.posts[n].headers[i]), "%s",
			request->headers[i]);
	world.posts[n].answer_max = request->answer_max;
	world.posts[n].done = done;
	world.posts[n].user = user;
	return (struct fac_http_post *)&world.posts[n];
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
	assert_true(repeat_ms > 0);
	world.soon = !delay_ms;
}

void fac_timer_stop(struct fac_timer *timer)
{
	(void)timer;
}

void fac_timer_free(struct fac_timer *timer)
{
	(void)timer;
}

uint64_t fac_unix_ms(void)
{
	return 1700000000999;
}

void fac_iso_time(uint64_t unix_ms, char ret_text[FAC_ISO_TIME_SIZE])
{
	snprintf(ret_text, FAC_ISO_TIME_SIZE, "at %llu",
		(unsigned long long)unix_ms);
}

/* ---- The world. ---- */

static int setup(void **state)
{
	struct fac_hooks_options options = {.hooks = config, .hooks_len = 2};

	(void)state;
	memset(&world, 0, sizeof(world));
	secret.len = strlen(SECRET);
	memcpy(secret.bytes, SECRET, secret.len);
	for (size_t i = 0; i < 2; i++) {
		snprintf(config[i].name, sizeof(config[i].name), "%s",
			i ? "second" : "first");
		config[i].url = urls[i];
		config[i].secret = &secret;
		config[i].events = 1u << FAC_PAYMENT_SETTLED |
			1u << FAC_PAYMENT_REVERTED;
	}
	assert_int_equal(fac_hooks_start(&options, &hooks), X402_OK);
	assert_true(world.soon);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fac_hooks_free(hooks);
	for (size_t i = 0; i < world.posts_len; i++)
		assert_null(world.posts[i].done);
	return 0;
}

static struct fac_payment a_payment(void)
{
	struct fac_payment payment = {0};

	memcpy(payment.id, "00112233445566778899aabbccddeeff", 33);
	memcpy(payment.network, "eip155:84532", 13);
	memcpy(payment.transaction, "0xabc", 6);
	memset(payment.proof.from.bytes, 0x11, 20);
	memset(payment.proof.to.bytes, 0x22, 20);
	memset(payment.proof.asset.bytes, 0x33, 20);
	payment.proof.value = x402_u256_from_u64(10000);
	return payment;
}

static struct fac_outbox_row a_row(uint64_t sequence, const char *hook)
{
	struct fac_outbox_row row = {.sequence = sequence,
		.state = FAC_PAYMENT_SETTLED,
		.at_ms = 5,
		.tries = 1};

	snprintf(row.hook, sizeof(row.hook), "%s", hook);
	return row;
}

/* The clock ticks, and the store gives these rows. */
static void give(const struct fac_outbox_row *rows, size_t len)
{
	struct fac_payment payments[POSTS];
	struct fac_store_reply reply = {
		.payments = payments, .outbox = rows, .outbox_len = len};
	unsigned takes = world.takes;

	for (size_t i = 0; i < len; i++)
		payments[i] = a_payment();
	world.soon = false;
	world.tick(world.tick_arg);
	assert_int_equal(world.takes, takes + 1);
	world.take_to.done(world.take_to.user, &reply);
}

static void give_one(uint64_t sequence, const char *hook)
{
	struct fac_outbox_row row = a_row(sequence, hook);

	give(&row, 1);
}

static void say(size_t index, long status)
{
	struct fac_http_answer said = {.status = status, .error = ""};

	answer(index, &said);
}

static struct fac_hook_stats stats_of(size_t index)
{
	struct fac_hook_stats stats[FAC_HOOKS_MAX];

	assert_int_equal(fac_hooks_stats(hooks, stats), 2);
	return stats[index];
}

/* ---- The message. ---- */

static void message_is_what_the_manual_says(void **state)
{
	struct fac_payment payment = a_payment();
	struct fac_outbox_row row = a_row(7, "first");
	char *body = fac_hook_body(&row, &payment);

	(void)state;
	assert_string_equal(body,
		"{\"id\":\"00112233445566778899aabbccddeeff-settled-5\","
		"\"type\":\"payment.settled\",\"createdAt\":\"at 5\","
		"\"data\":{"
		"\"paymentId\":\"00112233445566778899aabbccddeeff\","
		"\"state\":\"settled\",\"network\":\"eip155:84532\","
		"\"transaction\":\"0xabc\","
		"\"payer\":\"0x1111111111111111111111111111111111111111\","
		"\"payTo\":\"0x2222222222222222222222222222222222222222\","
		"\"asset\":\"0x3333333333333333333333333333333333333333\","
		"\"amount\":\"10000\"}}");
	free(body);
	row.state = FAC_PAYMENT_REVERTED;
	payment.reason = X402_REASON_DUPLICATE_SETTLEMENT;
	body = fac_hook_body(&row, &payment);
	assert_non_null(strstr(body, "\"type\":\"payment.reverted\""));
	assert_non_null(strstr(body,
		"\"amount\":\"10000\",\"reason\":\"duplicate_settlement\"}}"));
	free(body);
}

/* From Python: hmac.new(key, b"1700000000.{}", "sha256"). */
static void signature_is_hmac_sha256_of_time_and_body(void **state)
{
	char text[FAC_HOOK_SIGNATURE_SIZE];
	char other[FAC_HOOK_SIGNATURE_SIZE];

	(void)state;
	fac_hook_sign(&secret, "1700000000", "{}", text);
	assert_string_equal(text,
		"sha256="
		"417adf36b901772f658597a76d329694e335e65fc0849d7715c3ca33406309"
		"b5");
	fac_hook_sign(&secret, "1700000001", "{}", other);
	assert_string_not_equal(text, other);
	fac_hook_sign(&secret, "1700000000", "{ }", other);
	assert_string_not_equal(text, other);
	secret.bytes[0] ^= 1;
	fac_hook_sign(&secret, "1700000000", "{}", other);
	assert_string_not_equal(text, other);
	secret.bytes[0] ^= 1;
}

static void delay_doubles_up_to_an_hour_less_a_part(void **state)
{
	static const uint64_t longest[] = {5000, 5000, 10000, 20000, 40000,
		80000, 160000, 320000, 640000, 1280000, 2560000, 3600000,
		3600000};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(longest); i++) {
		assert_int_equal(fac_hook_delay_ms(i, 0), longest[i]);
		for (uint32_t j = 1; j < 1000; j++) {
			uint64_t ms = fac_hook_delay_ms(i, j * 4294967u);
			assert_in_range(ms, longest[i] / 2, longest[i]);
		}
	}
	assert_int_equal(fac_hook_delay_ms(UINT32_MAX, 0), 3600000);
}

/* ---- Delivery. ---- */

static void delivered_row_is_done(void **state)
{
	(void)state;
	give_one(7, "second");
	assert_int_equal(world.posts_len, 1);
	assert_string_equal(world.posts[0].url, "http://b.example/");
	assert_string_equal(
		world.posts[0].headers[0], "X-X402-Timestamp: 1700000000");
	assert_int_equal(strncmp(world.posts[0].headers[1],
				 "X-X402-Signature: sha256=", 25),
		0);
	assert_string_equal(world.posts[0].headers[2],
		"X-X402-Delivery: 00112233445566778899aabbccddeeff-settled-5");
	assert_true(world.posts[0].answer_max <= 65536);
	assert_int_equal(world.done_len, 0); /* not before the answer */
	say(0, 204);
	assert_int_equal(world.done[0], 7);
	assert_int_equal(world.failed_len, 0);
	assert_int_equal(stats_of(1).delivered, 1);
	assert_int_equal(stats_of(0).delivered, 0);
}

static void every_other_answer_is_a_failure(void **state)
{
	static const long statuses[] = {199, 300, 301, 302, 404, 500};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		give_one(i, "first");
		say(i, statuses[i]);
		assert_int_equal(world.failed_len, i + 1);
		assert_int_equal(world.failed[i].sequence, i);
		assert_false(world.failed[i].dead);
		assert_in_range(world.failed[i].delay_ms, 2500, 5000);
	}
	assert_string_equal(world.failed[4].error, "answered 404");
	assert_int_equal(world.done_len, 0);
	assert_int_equal(stats_of(0).failed, ARRAY_LEN(statuses));
}

static void receiver_that_does_not_answer_is_a_failure(void **state)
{
	struct fac_http_answer none = {.error = "Timeout was reached"};

	(void)state;
	give_one(1, "first");
	answer(0, &none);
	assert_string_equal(world.failed[0].error, "Timeout was reached");
}

static void receiver_may_ask_for_more_time(void **state)
{
	struct fac_http_answer later = {
		.status = 429, .retry_after_s = 600, .error = ""};

	(void)state;
	give_one(1, "first");
	answer(0, &later);
	assert_int_equal(world.failed[0].delay_ms, 600000);
}

static void last_try_is_dead(void **state)
{
	struct fac_outbox_row row = a_row(1, "first");

	(void)state;
	row.tries = FAC_HOOK_TRIES_MAX - 1;
	give(&row, 1);
	say(0, 500);
	assert_false(world.failed[0].dead);
	row.tries = FAC_HOOK_TRIES_MAX;
	give(&row, 1);
	say(1, 500);
	assert_true(world.failed[1].dead);
	assert_int_equal(stats_of(0).dead, 1);
}

static void unwanted_event_is_done_without_a_post(void **state)
{
	struct fac_outbox_row row = a_row(1, "first");

	(void)state;
	row.state = FAC_PAYMENT_EXPIRED;
	give(&row, 1);
	assert_int_equal(world.posts_len, 0);
	assert_int_equal(world.done[0], 1);
}

static void unknown_hook_is_kept_for_who_knows_it(void **state)
{
	(void)state;
	give_one(1, "third");
	assert_int_equal(world.posts_len, 0);
	assert_int_equal(world.done_len, 0);
	assert_int_equal(world.failed_len, 1);
	assert_false(world.failed[0].dead);
}

static void failing_receiver_is_tried_one_row_at_a_time(void **state)
{
	struct fac_outbox_row rows[] = {
		a_row(10, "first"), a_row(11, "first"), a_row(12, "second")};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		give_one(i, "first");
		say(i, 500);
	}
	give(rows, 3);
	/* One of the first's, and the second is not held up. */
	assert_int_equal(world.posts_len, 5);
	assert_int_equal(world.failed_len, 4);
	assert_int_equal(world.failed[3].sequence, 11);
	assert_int_equal(stats_of(0).skipped, 1);
	say(3, 200);
	say(4, 200);
	assert_true(world.soon); /* what was put off may go */
	give(rows, 2);
	assert_int_equal(world.posts_len, 7);
	say(5, 200);
	say(6, 200);
}

static void flight_is_bounded(void **state)
{
	struct fac_outbox_row rows[POSTS];
	unsigned takes;

	(void)state;
	world.tick(world.tick_arg);
	uint32_t limit = world.limit;
	assert_in_range(limit, 1, POSTS);
	/* While the store owes rows it is not asked again. */
	takes = world.takes;
	world.tick(world.tick_arg);
	assert_int_equal(world.takes, takes);
	struct fac_store_reply none = {0};
	world.take_to.done(world.take_to.user, &none);
	for (uint32_t i = 0; i < limit; i++)
		rows[i] = a_row(i, "first");
	give(rows, limit);
	takes = world.takes;
	world.tick(world.tick_arg);
	assert_int_equal(world.takes, takes); /* full */
	say(0, 200);
	assert_true(world.soon);
	world.tick(world.tick_arg);
	assert_int_equal(world.limit, 1);
	world.take_to.done(world.take_to.user, &none);
	for (uint32_t i = 1; i < limit; i++)
		say(i, 200);
	assert_int_equal(world.done_len, limit);
}

static void store_that_fails_is_asked_again(void **state)
{
	struct fac_store_reply bad = {.err = X402_ERR_STORE};
	unsigned takes;

	(void)state;
	world.tick(world.tick_arg);
	world.take_to.done(world.take_to.user, &bad);
	takes = world.takes;
	world.tick(world.tick_arg);
	assert_int_equal(world.takes, takes + 1);
	world.take_to.done(world.take_to.user, &bad);
	assert_int_equal(world.posts_len, 0);
}

static void stop_leaves_rows_to_their_lease(void **state)
{
	struct fac_outbox_row row = a_row(2, "first");
	struct fac_payment payment = a_payment();
	struct fac_store_reply late = {
		.payments = &payment, .outbox = &row, .outbox_len = 1};

	(void)state;
	give_one(1, "first");
	world.tick(world.tick_arg);
	fac_hooks_stop(hooks);
	assert_int_equal(world.done_len + world.failed_len, 0);
	world.take_to.done(world.take_to.user, &late);
	assert_int_equal(world.posts_len, 1);
	unsigned takes = world.takes;
	world.tick(world.tick_arg);
	assert_int_equal(world.takes, takes);
}

#define HOOK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOOK_TEST(message_is_what_the_manual_says),
		HOOK_TEST(signature_is_hmac_sha256_of_time_and_body),
		HOOK_TEST(delay_doubles_up_to_an_hour_less_a_part),
		HOOK_TEST(delivered_row_is_done),
		HOOK_TEST(every_other_answer_is_a_failure),
		HOOK_TEST(receiver_that_does_not_answer_is_a_failure),
		HOOK_TEST(receiver_may_ask_for_more_time),
		HOOK_TEST(last_try_is_dead),
		HOOK_TEST(unwanted_event_is_done_without_a_post),
		HOOK_TEST(unknown_hook_is_kept_for_who_knows_it),
		HOOK_TEST(failing_receiver_is_tried_one_row_at_a_time),
		HOOK_TEST(flight_is_bounded),
		HOOK_TEST(store_that_fails_is_asked_again),
		HOOK_TEST(stop_leaves_rows_to_their_lease),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
