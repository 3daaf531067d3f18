/* The circuit breaker and the health check, by a clock of the test's. */
#include "cmocka_house.h"

#include "upstream_state.h"

static struct gw_upstream_state state_of(uint32_t failures, uint32_t probes)
{
	struct gw_upstream_options options = GW_UPSTREAM_OPTIONS_INIT;
	struct gw_upstream_state state;

	options.failures = failures;
	options.open_ms = 100;
	options.open_max_ms = 500;
	options.probes = probes;
	gw_upstream_init(&options, 0, &state);
	return state;
}

static struct gw_upstream_ticket begun(
	struct gw_upstream_state *state, uint64_t now_ms)
{
	struct gw_upstream_ticket ticket = {0};
	uint32_t retry_ms;

	assert_true(gw_upstream_begin(state, now_ms, &ticket, &retry_ms));
	return ticket;
}

static uint32_t refused(struct gw_upstream_state *state, uint64_t now_ms)
{
	struct gw_upstream_ticket ticket;
	uint32_t retry_ms = 0;

	assert_false(gw_upstream_may(state, now_ms, &retry_ms));
	assert_false(gw_upstream_begin(state, now_ms, &ticket, &retry_ms));
	assert_true(retry_ms > 0);
	return retry_ms;
}

static void one(struct gw_upstream_state *state,
	enum gw_upstream_outcome outcome, uint64_t now_ms)
{
	struct gw_upstream_ticket ticket = begun(state, now_ms);

	gw_upstream_end(state, &ticket, outcome, now_ms);
}

static void failures_in_a_row_open_it(void **unused)
{
	struct gw_upstream_state state = state_of(3, 1);

	(void)unused;
	one(&state, GW_UPSTREAM_BAD, 1);
	one(&state, GW_UPSTREAM_BAD, 2);
	assert_int_equal(state.breaker, GW_BREAKER_CLOSED);
	one(&state, GW_UPSTREAM_BAD, 3);
	assert_int_equal(state.breaker, GW_BREAKER_OPEN);
	assert_int_equal(refused(&state, 3), 100);
	assert_int_equal(refused(&state, 53), 50);
	assert_int_equal(refused(&state, 102), 1);
	assert_int_equal(state.opened, 1);
}

static void a_good_one_starts_the_count_anew(void **unused)
{
	struct gw_upstream_state state = state_of(2, 1);

	(void)unused;
	for (uint64_t t = 0; t < 100; t += 2) {
		one(&state, GW_UPSTREAM_BAD, t);
		one(&state, GW_UPSTREAM_GOOD, t + 1);
	}
	assert_int_equal(state.breaker, GW_BREAKER_CLOSED);
}

/* A client that leaves must neither open it nor hide a failure. */
static void neutral_ends_say_nothing(void **unused)
{
	struct gw_upstream_state state = state_of(2, 1);

	(void)unused;
	for (int i = 0; i < 100; i++)
		one(&state, GW_UPSTREAM_NEUTRAL, 1);
	one(&state, GW_UPSTREAM_BAD, 1);
	one(&state, GW_UPSTREAM_NEUTRAL, 1);
	one(&state, GW_UPSTREAM_BAD, 1);
	assert_int_equal(state.breaker, GW_BREAKER_OPEN);
}

static void no_failures_wanted_never_opens(void **unused)
{
	struct gw_upstream_state state = state_of(0, 1);

	(void)unused;
	for (int i = 0; i < 1000; i++)
		one(&state, GW_UPSTREAM_BAD, 1);
	assert_int_equal(state.breaker, GW_BREAKER_CLOSED);
}

static void after_the_pause_one_probe_goes(void **unused)
{
	struct gw_upstream_state state = state_of(1, 1);
	struct gw_upstream_ticket probe;

	(void)unused;
	one(&state, GW_UPSTREAM_BAD, 0);
	probe = begun(&state, 100);
	assert_true(probe.probe);
	assert_int_equal(state.breaker, GW_BREAKER_HALF_OPEN);
	(void)refused(&state, 100);
	(void)refused(&state, 100000);
	gw_upstream_end(&state, &probe, GW_UPSTREAM_GOOD, 120);
	assert_int_equal(state.breaker, GW_BREAKER_CLOSED);
	(void)begun(&state, 120);
	(void)begun(&state, 120);
}

static void a_probe_that_fails_opens_it_for_longer(void **unused)
{
	struct gw_upstream_state state = state_of(1, 1);
	static const uint32_t pauses[] = {100, 200, 400, 500, 500};
	uint64_t now = 0;

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
		one(&state, GW_UPSTREAM_BAD, now);
		assert_int_equal(state.breaker, GW_BREAKER_OPEN);
		assert_int_equal(refused(&state, now), pauses[i]);
		now += pauses[i];
	}
	/* Once it was good, the first pause is short again. */
	one(&state, GW_UPSTREAM_GOOD, now);
	one(&state, GW_UPSTREAM_BAD, now);
	assert_int_equal(refused(&state, now), 100);
}

static void a_probe_whose_client_left_gives_its_place_back(void **unused)
{
	struct gw_upstream_state state = state_of(1, 1);

	(void)unused;
	one(&state, GW_UPSTREAM_BAD, 0);
	one(&state, GW_UPSTREAM_NEUTRAL, 100);
	assert_int_equal(state.breaker, GW_BREAKER_HALF_OPEN);
	one(&state, GW_UPSTREAM_GOOD, 101);
	assert_int_equal(state.breaker, GW_BREAKER_CLOSED);
}

static void all_probes_must_be_good(void **unused)
{
	struct gw_upstream_state state = state_of(1, 3);
	struct gw_upstream_ticket tickets[3];

	(void)unused;
	one(&state, GW_UPSTREAM_BAD, 0);
	for (size_t i = 0; i < 3; i++)
		tickets[i] = begun(&state, 100);
	(void)refused(&state, 100);
	gw_upstream_end(&state, &tickets[0], GW_UPSTREAM_GOOD, 101);
	/* One that was good makes no room for a fourth. */
	(void)refused(&state, 101);
	gw_upstream_end(&state, &tickets[1], GW_UPSTREAM_GOOD, 101);
	assert_int_equal(state.breaker, GW_BREAKER_HALF_OPEN);
	gw_upstream_end(&state, &tickets[2], GW_UPSTREAM_BAD, 102);
	assert_int_equal(state.breaker, GW_BREAKER_OPEN);
}

static void late_ends_of_another_phase_are_not_heard(void **unused)
{
	struct gw_upstream_state state = state_of(1, 1);
	struct gw_upstream_ticket slow = begun(&state, 0);
	struct gw_upstream_ticket slower = begun(&state, 0);
	struct gw_upstream_ticket probe;

	(void)unused;
	one(&state, GW_UPSTREAM_BAD, 0);
	probe = begun(&state, 100);
	/* Neither may a good one close it... */
	gw_upstream_end(&state, &slow, GW_UPSTREAM_GOOD, 101);
	assert_int_equal(state.breaker, GW_BREAKER_HALF_OPEN);
	gw_upstream_end(&state, &probe, GW_UPSTREAM_GOOD, 102);
	/* ...nor a bad one open it. */
	gw_upstream_end(&state, &slower, GW_UPSTREAM_BAD, 103);
	assert_int_equal(state.breaker, GW_BREAKER_CLOSED);
}

static struct gw_upstream_state checked_state(void)
{
	struct gw_upstream_options options = GW_UPSTREAM_OPTIONS_INIT;
	struct gw_upstream_state state;

	options.health_interval_ms = 50;
	options.health_rise = 2;
	options.health_fall = 3;
	gw_upstream_init(&options, 0, &state);
	return state;
}

static void check(struct gw_upstream_state *state, bool good, uint64_t now_ms)
{
	assert_true(gw_upstream_check_due(state, now_ms));
	assert_false(gw_upstream_check_due(state, now_ms));
	gw_upstream_checked(state, good, now_ms);
}

static void checks_in_a_row_take_it_down_and_up(void **unused)
{
	struct gw_upstream_state state = checked_state();

	(void)unused;
	check(&state, false, 0);
	check(&state, false, 50);
	assert_true(state.up);
	check(&state, true, 100);
	check(&state, false, 150);
	check(&state, false, 200);
	assert_true(state.up);
	(void)begun(&state, 200);
	check(&state, false, 250);
	assert_false(state.up);
	assert_int_equal(refused(&state, 260), 40);
	check(&state, true, 300);
	check(&state, false, 350);
	check(&state, true, 400);
	assert_false(state.up);
	check(&state, true, 450);
	assert_true(state.up);
	(void)begun(&state, 450);
}

static void checks_come_one_at_a_time(void **unused)
{
	struct gw_upstream_state state = checked_state();

	(void)unused;
	assert_true(gw_upstream_check_due(&state, 0));
	/* It hangs: no second one. */
	assert_false(gw_upstream_check_due(&state, 1000));
	gw_upstream_checked(&state, false, 1000);
	assert_true(gw_upstream_check_due(&state, 1000));
}

static void without_interval_nothing_is_checked(void **unused)
{
	struct gw_upstream_state state = state_of(1, 1);

	(void)unused;
	assert_false(gw_upstream_check_due(&state, 0));
	assert_false(gw_upstream_check_due(&state, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_in_a_row_open_it),
		cmocka_unit_test(a_good_one_starts_the_count_anew),
		cmocka_unit_test(neutral_ends_say_nothing),
		cmocka_unit_test(no_failures_wanted_never_opens),
		cmocka_unit_test(after_the_pause_one_probe_goes),
		cmocka_unit_test(a_probe_that_fails_opens_it_for_longer),
		cmocka_unit_test(
			a_probe_whose_client_left_gives_its_place_back),
		cmocka_unit_test(all_probes_must_be_good),
		cmocka_unit_test(late_ends_of_another_phase_are_not_heard),
		cmocka_unit_test(checks_in_a_row_take_it_down_and_up),
		cmocka_unit_test(checks_come_one_at_a_time),
		cmocka_unit_test(without_interval_nothing_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
