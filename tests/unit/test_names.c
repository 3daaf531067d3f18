/*
 * Names of purchases in memory: one payment each, for a time, within bounds.
 */
#include "cmocka_house.h"
#include "names_p.h"

#define NOW ((uint64_t)1795240000)

static struct x402_claim_name name_of(uint8_t name, uint8_t payment)
{
	struct x402_claim_name value = {.until_unix_s = NOW + 100};

	value.name32[0] = name;
	value.payment32[0] = payment;
	return value;
}

static bool take(
	struct x402__names *names, uint8_t name, uint8_t payment, uint64_t now)
{
	struct x402_claim_name value = name_of(name, payment);

	value.until_unix_s = now + 100;
	return x402__names_take(names, &value, now);
}

/* What is kept under a name; -1 when there is none. */
static int kept(struct x402__names *names, uint8_t name, uint64_t now)
{
	struct x402_claim_name value = name_of(name, 0);
	struct x402_claim_name found;
	struct x402_buf response = {0};
	bool have = x402__names_find(
		names, value.name32, now, &found, &response);
	int len = have ? (int)response.len : -1;

	x402_buf_clear(&response);
	return len;
}

static void keep(struct x402__names *names, uint8_t name, size_t len)
{
	struct x402_claim_name value = name_of(name, 0);
	uint8_t *bytes = calloc(1, len);

	x402__names_keep(names, value.name32, x402_span(bytes, len));
	free(bytes);
}

static void test_names_are_one_payments(void **state)
{
	struct x402__names *names = x402__names_new(10, 100);
	struct x402_claim_name value = name_of(1, 0);

	(void)state;
	assert_true(take(names, 1, 1, NOW));
	assert_true(take(names, 1, 1, NOW));
	assert_false(take(names, 1, 2, NOW));
	assert_true(take(names, 2, 2, NOW));
	assert_int_equal(kept(names, 3, NOW), -1);
	x402__names_drop(names, value.name32);
	assert_int_equal(kept(names, 1, NOW), -1);
	assert_true(take(names, 1, 2, NOW));
	x402__names_free(names);
}

static void test_names_end_with_their_time(void **state)
{
	struct x402__names *names = x402__names_new(10, 100);

	(void)state;
	assert_true(take(names, 1, 1, NOW));
	assert_false(take(names, 1, 2, NOW + 100));
	assert_true(take(names, 1, 2, NOW + 101));
	x402__names_free(names);
}

static void test_names_are_bounded(void **state)
{
	struct x402__names *names = x402__names_new(2, 100);

	(void)state;
	assert_true(take(names, 1, 1, NOW));
	assert_true(take(names, 2, 1, NOW));
	assert_false(take(names, 3, 1, NOW));
	/* Room by time, and not by forgetting. */
	assert_int_equal(kept(names, 1, NOW), 0);
	assert_true(take(names, 3, 1, NOW + 101));
	x402__names_free(names);
}

static void test_names_responses_are_bounded_and_first(void **state)
{
	struct x402__names *names = x402__names_new(10, 100);

	(void)state;
	assert_true(take(names, 1, 1, NOW));
	assert_true(take(names, 2, 1, NOW));
	keep(names, 1, 60);
	assert_int_equal(kept(names, 1, NOW), 60);
	keep(names, 1, 10);
	assert_int_equal(kept(names, 1, NOW), 60);
	keep(names, 2, 41);
	assert_int_equal(kept(names, 2, NOW), 0);
	keep(names, 2, 40);
	assert_int_equal(kept(names, 2, NOW), 40);
	/* Nobody's. */
	keep(names, 9, 1);
	assert_int_equal(kept(names, 9, NOW), -1);
	/* What ends makes room. */
	assert_true(take(names, 1, 1, NOW + 101));
	keep(names, 1, 60);
	assert_int_equal(kept(names, 1, NOW + 101), 60);
	x402__names_free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_one_payments),
		cmocka_unit_test(test_names_end_with_their_time),
		cmocka_unit_test(test_names_are_bounded),
		cmocka_unit_test(test_names_responses_are_bounded_and_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
