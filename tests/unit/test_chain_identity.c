/*
 * An endpoint of another chain, that was configured by mistake or took the
 * place of a good one: nothing that it says about payments is believed. Its
 * nonces would leave a lane behind a gap, and an authorization that its chain
 * has never seen looks unspent.
 */
#include "chain_house.h"

#define CHAIN_ID 84532

struct told {
	struct bench *bench;
	enum x402_err err;
	uint64_t nonce;
};

static void on_nonce(void *user, enum x402_err err, uint64_t nonce)
{
	struct told *told = user;

	told->err = err;
	told->nonce = nonce;
	came(told->bench);
}

static struct told nonce_of(struct bench *bench)
{
	struct fac_nonce_query query = {.tag = FAC_NONCE_PENDING};
	struct told told = {.bench = bench};

	fac_chain_nonce(bench->chain, &query, 3000, on_nonce, &told);
	wait_for(bench, 1);
	return told;
}

/* Each says which chain it is of, and how many transactions it counts. */
static struct bench *open_with(
	size_t endpoints_len, const char *const *ids, const char *const *nonces)
{
	struct fac_chain_options options = FAC_CHAIN_OPTIONS_INIT;
	struct bench *bench = new_bench(endpoints_len);

	for (size_t i = 0; i < endpoints_len; i++) {
		rule(&bench->endpoints[i], "eth_chainId", ids[i]);
		rule(&bench->endpoints[i], "eth_getTransactionCount",
			nonces[i]);
		rule(&bench->endpoints[i], "eth_blockNumber",
			"\"result\":\"0x64\"");
	}
	options.chain_id = CHAIN_ID;
	open_chain(bench, &options);
	return bench;
}

#define OURS    "\"result\":\"0x14a34\""
#define ANOTHER "\"result\":\"0x1\""

static void test_identity_another_chain_is_never_believed(void **state)
{
	static const char *const ids[] = {ANOTHER};
	static const char *const nonces[] = {"\"result\":\"0x1388\""};
	struct bench *bench = open_with(1, ids, nonces);

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(nonce_of(bench).err, X402_ERR_CHAIN);
	assert_non_null(strstr(bench->warning, "another chain"));
	assert_null(
		strstr(bench->endpoints[0].methods, "eth_getTransactionCount"));
	close_bench(bench);
}

static void test_identity_another_chain_is_no_place_to_fail_over_to(
	void **state)
{
	static const char *const ids[] = {OURS, ANOTHER, OURS};
	static const char *const nonces[] = {"\"result\":\"0x7\"",
		"\"result\":\"0x1388\"", "\"result\":\"0x8\""};
	struct bench *bench = open_with(3, ids, nonces);

	(void)state;
	assert_int_equal(nonce_of(bench).nonce, 7);
	bench->endpoints[0].status = 502;
	assert_int_equal(nonce_of(bench).nonce, 8);
	bench->endpoints[2].status = 502;
	assert_int_equal(nonce_of(bench).err, X402_ERR_CHAIN);
	assert_true(fac_chain_stats(bench->chain).endpoints[1].resting);
	/* Its blocks make nobody look late. */
	assert_int_equal(fac_chain_stats(bench->chain).endpoints[0].lag, 0);
	close_bench(bench);
}

/* A name may lead elsewhere when its host is back. */
static void test_identity_is_asked_again_after_a_fault(void **state)
{
	static const char *const ids[] = {OURS};
	static const char *const nonces[] = {"\"result\":\"0x7\""};
	struct bench *bench = open_with(1, ids, nonces);

	(void)state;
	assert_int_equal(nonce_of(bench).nonce, 7);
	bench->endpoints[0].status = 502;
	assert_int_equal(nonce_of(bench).err, X402_ERR_CHAIN);
	bench->endpoints[0].status = 200;
	rule(&bench->endpoints[0], "eth_chainId", ANOTHER);
	rule(&bench->endpoints[0], "eth_getTransactionCount",
		"\"result\":\"0x1388\"");
	assert_int_equal(nonce_of(bench).err, X402_ERR_CHAIN);
	close_bench(bench);
}

static void test_identity_is_asked_once_of_one_that_is_right(void **state)
{
	static const char *const ids[] = {OURS};
	static const char *const nonces[] = {"\"result\":\"0x7\""};
	struct bench *bench = open_with(1, ids, nonces);
	const char *methods = bench->endpoints[0].methods;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(nonce_of(bench).nonce, 7);
	assert_string_equal(methods,
		"eth_chainId,eth_getTransactionCount,"
		"eth_getTransactionCount,eth_getTransactionCount,");
	assert_int_equal(bench->warnings, 0);
	close_bench(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity_another_chain_is_never_believed),
		cmocka_unit_test(
			test_identity_another_chain_is_no_place_to_fail_over_to),
		cmocka_unit_test(test_identity_is_asked_again_after_a_fault),
		cmocka_unit_test(
			test_identity_is_asked_once_of_one_that_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
