/* How soon to look: facilitator/src/core/pace.c, as arithmetic. */
#include "cmocka_house.h"

#include "core/pace.h"

#define MOST UINT64_C(1000)

static void test_pace_knows_nothing_at_first_and_tries_early(void **state)
{
	struct fac_pace pace = {0};

	(void)state;
	assert_in_range(fac_pace_first(&pace), 1, FAC_PACE_STEP_MS - 1);
	assert_false(fac_pace_is_quick(&pace));
}

static void test_pace_of_first_looks_that_find_comes_down_to_none(void **state)
{
	struct fac_pace pace = {0};

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		fac_pace_found(&pace, 1, 5, MOST);
	assert_true(fac_pace_first(&pace) == 0);
	assert_true(fac_pace_is_quick(&pace));
}

static void test_pace_of_a_slow_chain_is_not_moved_by_chance(void **state)
{
	struct fac_pace pace = {.known = true, .first_ms = 250};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		fac_pace_found(&pace, 1, 250, 250);
		fac_pace_found(&pace, 1, 250, 250);
		assert_true(fac_pace_first(&pace) == 250);
		fac_pace_found(&pace, 4, 700, 250);
	}
	for (unsigned i = 0; i < 3; i++)
		fac_pace_found(&pace, 1, 250, 250);
	assert_true(fac_pace_is_quick(&pace));
}

static void test_pace_just_missed_is_what_it_took(void **state)
{
	struct fac_pace pace = {.known = true, .first_ms = 0};

	(void)state;
	fac_pace_found(&pace, 2, 3, MOST);
	assert_true(fac_pace_first(&pace) == 3);
	assert_true(fac_pace_is_quick(&pace));
}

static void test_pace_of_a_slow_block_goes_back_at_once_and_then_grows(
	void **state)
{
	struct fac_pace pace = {.known = true, .first_ms = 0};

	(void)state;
	fac_pace_found(&pace, 9, 1500, MOST);
	assert_in_range(fac_pace_first(&pace), FAC_PACE_STEP_MS, MOST);
	assert_false(fac_pace_is_quick(&pace));
	for (unsigned i = 0; i < 40; i++)
		fac_pace_found(&pace, 9, 1500, MOST);
	assert_true(fac_pace_first(&pace) == MOST);
	/* No later than the most, even where that has become less. */
	fac_pace_found(&pace, 9, 1500, 10);
	assert_true(fac_pace_first(&pace) == FAC_PACE_STEP_MS);
}

static void test_pace_of_later_looks_doubles_and_then_grows_slowly(void **state)
{
	(void)state;
	assert_true(fac_pace_next(0, MOST) == 1);
	assert_true(fac_pace_next(1, MOST) == 2);
	assert_true(fac_pace_next(90, MOST) == FAC_PACE_STEP_MS);
	assert_true(fac_pace_next(FAC_PACE_STEP_MS, MOST) == 125);
	assert_true(fac_pace_next(990, MOST) == MOST);
	assert_true(fac_pace_next(64, 25) == 25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_pace_knows_nothing_at_first_and_tries_early),
		cmocka_unit_test(
			test_pace_of_first_looks_that_find_comes_down_to_none),
		cmocka_unit_test(
			test_pace_of_a_slow_chain_is_not_moved_by_chance),
		cmocka_unit_test(test_pace_just_missed_is_what_it_took),
		cmocka_unit_test(
			test_pace_of_a_slow_block_goes_back_at_once_and_then_grows),
		cmocka_unit_test(
			test_pace_of_later_looks_doubles_and_then_grows_slowly),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
