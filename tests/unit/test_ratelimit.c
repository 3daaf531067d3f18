/* The rate limit: a window that slides, and a table that nobody can flood to
 * be forgotten. */
#include "cmocka_house.h"

#include <stdio.h>

#include "ratelimit.h"

static struct gw_rate *rate_of(
	uint32_t requests, uint32_t window_ms, size_t keys)
{
	struct gw_rate_options options = {.requests = requests,
		.window_ms = window_ms,
		.keys_max = keys,
		.secret32 = {7}};
	struct gw_rate *rate = NULL;

	assert_int_equal(gw_rate_new(&options, &rate), X402_OK);
	return rate;
}

static bool take(struct gw_rate *rate, const char *key, uint64_t now_ms)
{
	uint32_t retry_ms = 0;

	return gw_rate_take(rate, x402_span_str(key), now_ms, &retry_ms);
}

static uint32_t refused(struct gw_rate *rate, const char *key, uint64_t now_ms)
{
	uint32_t retry_ms = 0;

	assert_false(gw_rate_take(rate, x402_span_str(key), now_ms, &retry_ms));
	assert_true(retry_ms > 0);
	return retry_ms;
}

static void options_out_of_range_are_refused(void **state)
{
	static const struct gw_rate_options bad[] = {
		{.requests = 0, .window_ms = 1000},
		{.requests = GW_RATE_REQUESTS_MAX + 1u, .window_ms = 1000},
		{.requests = 1, .window_ms = 0},
		{.requests = 1, .window_ms = GW_RATE_WINDOW_MAX_MS + 1u},
		{.requests = 1,
			.window_ms = 1,
			.keys_max = GW_RATE_KEYS_MAX + 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct gw_rate *rate = NULL;

		assert_int_equal(
			gw_rate_new(&bad[i], &rate), X402_ERR_INVALID_ARGUMENT);
	}
}

static void requests_up_to_the_limit_pass(void **state)
{
	struct gw_rate *rate = rate_of(3, 1000, 0);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(take(rate, "a", 5000));
	assert_false(take(rate, "a", 5999));
	/* Another one has a limit of its own. */
	assert_true(take(rate, "b", 5999));
	gw_rate_free(rate);
}

static void refused_requests_do_not_count(void **state)
{
	struct gw_rate *rate = rate_of(2, 1000, 0);

	(void)state;
	assert_true(take(rate, "a", 1000));
	assert_true(take(rate, "a", 1000));
	for (int i = 0; i < 1000; i++)
		assert_false(take(rate, "a", 1500));
	assert_true(take(rate, "a", 3000));
	gw_rate_free(rate);
}

/* Any window of that length, wherever it begins, holds no more. */
static void no_window_holds_more_than_the_limit(void **state)
{
	enum { LIMIT = 20, WINDOW = 1000, STEPS = 4000 };
	static bool granted[STEPS];
	struct gw_rate *rate = rate_of(LIMIT, WINDOW, 0);
	size_t total = 0;

	(void)state;
	/* Bursts at the ends of windows, where fixed windows give twice. */
	for (size_t t = 0; t < STEPS; t++) {
		granted[t] = (t % 1000 > 900 || t % 1000 < 100) &&
			take(rate, "a", t);
		total += granted[t];
	}
	for (size_t from = 0; from + WINDOW < STEPS; from++) {
		size_t sum = 0;

		for (size_t t = from; t < from + WINDOW; t++)
			sum += granted[t];
		/* The share of the window before is taken as spread evenly;
		 * a burst at its end is seen as a little less than it is. */
		if (sum > LIMIT + LIMIT / 4)
			fail_msg("%zu from %zu", sum, from);
	}
	assert_true(total > 2 * LIMIT);
	gw_rate_free(rate);
}

static void retry_says_when_one_fits(void **state)
{
	static const struct {
		uint32_t limit;
		uint64_t first;
		uint64_t ask;
	} rows[] = {{1, 0, 0}, {1, 500, 999}, {2, 100, 100}, {5, 999, 1001},
		{5, 0, 1500}, {100, 50, 60}, {7, 1999, 2000}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct gw_rate *rate = rate_of(rows[i].limit, 1000, 0);
		uint64_t now = rows[i].ask;
		uint32_t wait;

		for (uint32_t n = 0; n < rows[i].limit; n++)
			assert_true(take(rate, "a", rows[i].first));
		while (take(rate, "a", now))
			continue;
		wait = refused(rate, "a", now);
		assert_true(wait <= 2000);
		/* Not before, and then. */
		if (wait > 1)
			assert_false(take(rate, "a", now + wait - 1));
		if (!take(rate, "a", now + wait))
			fail_msg("row %zu: after %u", i, wait);
		gw_rate_free(rate);
	}
}

static void clock_that_steps_back_gives_nothing(void **state)
{
	struct gw_rate *rate = rate_of(1, 1000, 0);

	(void)state;
	assert_true(take(rate, "a", 100000));
	assert_false(take(rate, "a", 5));
	assert_false(take(rate, "a", 0));
	assert_false(take(rate, "a", 100500));
	gw_rate_free(rate);
}

/* Who has used up his limit floods the table with other names. */
static void flood_of_names_does_not_reset_a_limit(void **state)
{
	struct gw_rate *rate = rate_of(5, 60000, 8);
	char name[32];

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(take(rate, "attacker", 1000));
	assert_false(take(rate, "attacker", 1000));
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		(void)take(rate, name, 1001);
		if (take(rate, "attacker", 1001))
			fail_msg("after %d", i);
	}
	/* Also while the window slides, until his own requests are old. */
	for (uint64_t t = 1002; t < 60000; t += 500) {
		snprintf(name, sizeof(name), "m%u", (unsigned)t);
		(void)take(rate, name, t);
		assert_false(take(rate, "attacker", t));
	}
	gw_rate_free(rate);
}

/* Two names of one attacker take turns; together no more than the table's
 * places times the limit can ever pass in a window. */
static void forgotten_names_come_back_with_their_count(void **state)
{
	struct gw_rate *rate = rate_of(4, 60000, 8);
	unsigned granted[16] = {0};
	char name[32];

	(void)state;
	for (int round = 0; round < 200; round++)
		for (unsigned n = 0; n < 16; n++) {
			snprintf(name, sizeof(name), "n%u", n);
			granted[n] += take(rate, name, 1000);
		}
	for (unsigned n = 0; n < 16; n++)
		if (granted[n] > 4)
			fail_msg("n%u: %u", n, granted[n]);
	gw_rate_free(rate);
}

static void flood_passes_with_its_window(void **state)
{
	struct gw_rate *rate = rate_of(2, 1000, 8);
	char name[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		(void)take(rate, name, 100);
	}
	assert_false(take(rate, "newcomer", 100));
	assert_true(take(rate, "newcomer", 2100));
	gw_rate_free(rate);
}

static void a_key_may_hold_any_bytes(void **state)
{
	struct gw_rate *rate = rate_of(1, 1000, 0);
	uint32_t retry_ms;

	(void)state;
	assert_true(gw_rate_take(rate, x402_span("a\0b", 3), 0, &retry_ms));
	assert_false(gw_rate_take(rate, x402_span("a\0b", 3), 0, &retry_ms));
	assert_true(gw_rate_take(rate, x402_span("a\0c", 3), 0, &retry_ms));
	assert_true(gw_rate_take(rate, x402_span("a", 1), 0, &retry_ms));
	assert_true(gw_rate_take(rate, x402_span(NULL, 0), 0, &retry_ms));
	gw_rate_free(rate);
}

static void addresses_count_by_customer(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool same;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "::192.0.2.1", false},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"2001:DB8:1:2::1", "2001:db8:1:2::1", true},
	};
	static const char *const bad[] = {
		"", "unix", "192.0.2", "192.0.2.256", "::g", "192.0.2.1 "};
	uint8_t a[GW_RATE_ADDRESS_SIZE];
	uint8_t b[GW_RATE_ADDRESS_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(gw_rate_address(rows[i].a, a));
		assert_true(gw_rate_address(rows[i].b, b));
		if ((memcmp(a, b, sizeof(a)) == 0) != rows[i].same)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(gw_rate_address(bad[i], a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_out_of_range_are_refused),
		cmocka_unit_test(requests_up_to_the_limit_pass),
		cmocka_unit_test(refused_requests_do_not_count),
		cmocka_unit_test(no_window_holds_more_than_the_limit),
		cmocka_unit_test(retry_says_when_one_fits),
		cmocka_unit_test(clock_that_steps_back_gives_nothing),
		cmocka_unit_test(flood_of_names_does_not_reset_a_limit),
		cmocka_unit_test(forgotten_names_come_back_with_their_count),
		cmocka_unit_test(flood_passes_with_its_window),
		cmocka_unit_test(a_key_may_hold_any_bytes),
		cmocka_unit_test(addresses_count_by_customer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
