/*
 * Strangers share a batch of reads with everybody else: what they bring about
 * must cost nobody else an answer, and no endpoint its place in the pool.
 */
#include "chain_house.h"

/* Their contracts answer what they like. */
#define STRANGER "0x00000000000000000000000000000000000000bb"
#define TOO_MUCH 90000

static bool say_too_much(struct endpoint *endpoint, const char *method,
	const struct x402_json *params, struct x402_buf *ret_says)
{
	(void)endpoint;
	if (strcmp(method, "eth_getBalance") != 0 ||
		strcmp(x402_json_string(x402_json_at(params, 0)), STRANGER) !=
			0)
		return false;
	x402_buf_add_str(ret_says, "\"result\":\"0x");
	for (size_t i = 0; i < TOO_MUCH; i++)
		x402_buf_add_byte(ret_says, '0');
	x402_buf_add_byte(ret_says, '"');
	return true;
}

static void ask_balance_of(struct balance *seen, const char *who)
{
	struct x402_address address;

	hex_fixed(who, address.bytes, 20);
	fac_chain_balance(seen->bench->chain, &address, 0, on_balance, seen);
}

static void test_pool_strangers_answers_spoil_nobody_elses(void **state)
{
	struct fac_chain_options options = FAC_CHAIN_OPTIONS_INIT;
	struct bench *bench;
	struct balance good[9];
	struct balance bad[2];

	(void)state;
	options.answer_max_bytes = 65536;
	bench = balance_bench(2, &options);
	for (size_t i = 0; i < 2; i++)
		bench->endpoints[i].say = say_too_much;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		good[i].bench = bench;
		ask_balance(&good[i], 0);
		if (i % 4 == 3) {
			bad[i / 4].bench = bench;
			ask_balance_of(&bad[i / 4], STRANGER);
		}
	}
	wait_for(bench, ARRAY_LEN(good) + ARRAY_LEN(bad));
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(good[i].err, X402_OK);
		assert_int_equal(good[i].wei, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(bad[i].err, X402_ERR_CHAIN);
	/* Nobody rests for what a stranger did. */
	assert_int_equal(bench->warnings, 0);
	for (size_t i = 0; i < 2; i++)
		assert_false(
			fac_chain_stats(bench->chain).endpoints[i].resting);
	assert_int_equal(balance_of(bench), 1);
	close_bench(bench);
}

static void test_pool_hurried_callers_spoil_nobody_elses(void **state)
{
	struct bench *bench = balance_bench(1, NULL);
	struct balance hurried = {.bench = bench};
	struct balance patient = {.bench = bench};

	(void)state;
	bench->endpoints[0].hold = true;
	ask_balance(&hurried, 100);
	ask_balance(&patient, 0);
	wait_for(bench, 1);
	assert_int_equal(hurried.err, X402_ERR_CHAIN);
	assert_false(fac_chain_stats(bench->chain).endpoints[0].resting);
	let_go(&bench->endpoints[0]);
	wait_for(bench, 1);
	assert_int_equal(patient.err, X402_OK);
	assert_int_equal(patient.wei, 1);
	assert_int_equal(bench->warnings, 0);
	close_bench(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_pool_strangers_answers_spoil_nobody_elses),
		cmocka_unit_test(test_pool_hurried_callers_spoil_nobody_elses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
