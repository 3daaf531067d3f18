/*
 * Ceilings of what gas may cost in a day, for tokens that nobody here knows
 * beside those that are known. Against the scripted world of engine_house.h,
 * where receipts say 100,000 gas at a gwei, and the token of all payments is
 * unknown unless world_allow_batches names it.
 */
#include "engine_house.h"

#define EACH_GWEI UINT64_C(100001)

static enum fac_settle_outcome settle(
	struct world *w, unsigned payment, struct told *told)
{
	world_settle(w, (struct asking){.payment = payment}, told);
	world_run(w, 2000);
	assert_int_equal(told->times, 1);
	return told->result.outcome;
}

static uint64_t over_ceiling(const struct world *w)
{
	struct fac_engine_stats stats;

	fac_engine_stats(w->engine, &stats);
	return stats.over_ceiling;
}

static struct world *begin(uint64_t others_gwei)
{
	struct world *w = world_new();

	w->config.daily_others_gwei = others_gwei;
	world_boot(w);
	world_run(w, 1000); /* the fees are known */
	return w;
}

static void test_cost_of_other_tokens_has_one_ceiling(void **state)
{
	struct world *w = begin(2 * EACH_GWEI);
	struct told told;

	(void)state;
	/* Each has a payer of its own. */
	assert_int_equal(settle(w, 0, &told), FAC_SETTLE_SETTLED);
	assert_int_equal(settle(w, 1, &told), FAC_SETTLE_SETTLED);
	assert_true(over_ceiling(w) == 0);
	assert_int_equal(settle(w, 2, &told), FAC_SETTLE_FAULT);
	assert_int_equal(w->txs_len, 2);
	assert_true(over_ceiling(w) == 1);
	world_free(w);
}

static void test_cost_ceiling_says_what_it_is_and_where_to_lift_it(void **state)
{
	struct world *w = begin(EACH_GWEI);
	struct told told;
	unsigned notes;

	(void)state;
	assert_int_equal(settle(w, 0, &told), FAC_SETTLE_SETTLED);
	notes = w->notes;
	assert_int_equal(settle(w, 1, &told), FAC_SETTLE_FAULT);
	assert_int_equal(
		told.result.reason, X402_REASON_UNEXPECTED_SETTLE_ERROR);
	assert_non_null(strstr(told.result.message, "daily_other_tokens_gwei"));
	assert_non_null(strstr(told.result.message,
		"its ceiling of 100001 gwei a day: 100001 spent"));
	assert_non_null(strstr(told.result.message, "nothing was sent"));
	assert_int_equal(w->notes, notes + 1);
	assert_non_null(strstr(w->note, "daily_other_tokens_gwei"));
	/* Who floods it fills no log, but is counted. */
	for (unsigned i = 2; i < 5; i++)
		assert_int_equal(settle(w, i, &told), FAC_SETTLE_FAULT);
	assert_int_equal(w->notes, notes + 1);
	assert_true(over_ceiling(w) == 4);
	world_free(w);
}

static void test_cost_of_known_tokens_is_none_of_theirs(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.daily_others_gwei = 1;
	world_allow_batches(w);
	world_boot(w);
	world_run(w, 1000);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(settle(w, i, &told), FAC_SETTLE_SETTLED);
	assert_int_equal(world_count(w,
				 "SELECT count(*) FROM payments"
				 " WHERE caller = 'other tokens'"),
		0);
	world_free(w);
}

static void test_cost_of_other_tokens_without_a_ceiling_has_none(void **state)
{
	struct world *w = begin(0);
	struct told told;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(settle(w, i, &told), FAC_SETTLE_SETTLED);
	assert_int_equal(world_count(w, "SELECT count(*) FROM spending"), 0);
	world_free(w);
}

static void test_cost_ceilings_of_callers_and_the_chain_hold_too(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.daily_others_gwei = 100 * EACH_GWEI;
	w->config.limits.caller_gwei = EACH_GWEI;
	world_boot(w);
	world_run(w, 1000);
	assert_int_equal(settle(w, 0, &told), FAC_SETTLE_SETTLED);
	assert_int_equal(settle(w, 1, &told), FAC_SETTLE_FAULT);
	world_free(w);
	w = world_new();
	w->config.daily_others_gwei = 100 * EACH_GWEI;
	w->config.limits.total_gwei = EACH_GWEI;
	world_boot(w);
	world_run(w, 1000);
	assert_int_equal(settle(w, 0, &told), FAC_SETTLE_SETTLED);
	assert_int_equal(settle(w, 1, &told), FAC_SETTLE_FAULT);
	assert_non_null(strstr(told.result.message, "this chain"));
	assert_true(over_ceiling(w) == 1);
	world_free(w);
}

/* What was given up is not spent; a crash forgets nothing of what was. */
static void test_cost_is_counted_once_and_across_a_crash(void **state)
{
	struct world *w = begin(2 * EACH_GWEI);
	struct told told;

	(void)state;
	assert_int_equal(settle(w, 0, &told), FAC_SETTLE_SETTLED);
	world_crash(w);
	world_boot(w);
	world_run(w, 1000);
	assert_int_equal(settle(w, 0, &told), FAC_SETTLE_DUPLICATE);
	assert_int_equal(settle(w, 1, &told), FAC_SETTLE_SETTLED);
	assert_int_equal(settle(w, 2, &told), FAC_SETTLE_FAULT);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cost_of_other_tokens_has_one_ceiling),
		cmocka_unit_test(
			test_cost_ceiling_says_what_it_is_and_where_to_lift_it),
		cmocka_unit_test(test_cost_of_known_tokens_is_none_of_theirs),
		cmocka_unit_test(
			test_cost_of_other_tokens_without_a_ceiling_has_none),
		cmocka_unit_test(
			test_cost_ceilings_of_callers_and_the_chain_hold_too),
		cmocka_unit_test(test_cost_is_counted_once_and_across_a_crash),
	};

	return cmocka_run_group_tests_name("engine_cost", tests, NULL, NULL);
}
