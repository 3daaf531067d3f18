/*
 * What a node's answer proves about an authorization. A wrong "dead" would
 * sign a second time, so everything that cannot be read is no proof.
 */
#include "cmocka_house.h"
#include "operate_p.h"
#include "prove_p.h"

#define VALID_BEFORE UINT64_C(0x68000000)
#define USED \
	"0x0000000000000000000000000000000000000000000000000000000000000001"
#define UNUSED \
	"0x0000000000000000000000000000000000000000000000000000000000000000"
#define ANSWERS(state, time)                                            \
	"[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"" state "\"},"     \
	"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"number\":\"0x5\"," \
	"\"timestamp\":\"" time "\"}}]"

static enum x402_client_proof judge(const char *text)
{
	struct x402__prove_terms terms = {.valid_before_unix_s = VALID_BEFORE};
	struct x402_json *json = NULL;
	enum x402_client_proof proof;

	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	proof = x402__prove_judge(json, &terms);
	x402_json_unref(json);
	return proof;
}

static void test_prove_used_is_paid_whenever(void **state)
{
	(void)state;
	assert_int_equal(judge(ANSWERS(USED, "0x1")), X402_CLIENT_PROOF_PAID);
	assert_int_equal(
		judge(ANSWERS(USED, "0x69000000")), X402_CLIENT_PROOF_PAID);
}

static void test_prove_unused_is_dead_from_its_end_on(void **state)
{
	(void)state;
	assert_int_equal(
		judge(ANSWERS(UNUSED, "0x67ffffff")), X402_CLIENT_PROOF_NONE);
	assert_int_equal(
		judge(ANSWERS(UNUSED, "0x68000000")), X402_CLIENT_PROOF_DEAD);
}

static void test_prove_order_of_the_batch_does_not_matter(void **state)
{
	(void)state;
	assert_int_equal(
		judge("[{\"id\":2,\"result\":{\"timestamp\":\"0x69000000\"}},"
		      "{\"id\":1,\"result\":\"" UNUSED "\"}]"),
		X402_CLIENT_PROOF_DEAD);
}

static void test_prove_unreadable_answers_prove_nothing(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{}",
		"[]",
		"null",
		"[1,2]",
		ANSWERS("0x", "0x69000000"),
		ANSWERS("0x0", "0x69000000"),
		/* Not a bool: some other function answered. */
		ANSWERS("0x000000000000000000000000000000000000000000000000000"
			"0000000000002",
			"0x69000000"),
		ANSWERS("0x100000000000000000000000000000000000000000000000000"
			"0000000000000",
			"0x69000000"),
		ANSWERS(UNUSED, ""),
		ANSWERS(UNUSED, "1761607680"),
		ANSWERS(UNUSED, "0xzz"),
		ANSWERS(UNUSED, "0x11111111111111111"),
		"[{\"id\":1,\"error\":{\"code\":-32000}},"
		"{\"id\":2,\"result\":{\"timestamp\":\"0x69000000\"}}]",
		"[{\"id\":1,\"result\":\"" UNUSED "\"}]",
		"[{\"id\":1,\"result\":\"" UNUSED "\"},"
		"{\"id\":2,\"result\":null}]",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(judge(texts[i]), X402_CLIENT_PROOF_NONE);
}

/* Permit2: a bit of a word, and the deadline's own second still counts. */
static enum x402_client_proof judge_permit2(const char *text, uint64_t nonce)
{
	struct x402__prove_terms terms = {.is_permit2 = true,
		.nonce = x402_u256_from_u64(nonce),
		.valid_before_unix_s = VALID_BEFORE};
	struct x402_json *json = NULL;
	enum x402_client_proof proof;

	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	proof = x402__prove_judge(json, &terms);
	x402_json_unref(json);
	return proof;
}

static void test_prove_permit2_reads_its_own_bit(void **state)
{
	(void)state;
	static const char third[] = ANSWERS(
		"0x0000000000000000000000000000000000000000000000000000000000"
		"000008",
		"0x69000000");

	assert_int_equal(judge_permit2(third, 3), X402_CLIENT_PROOF_PAID);
	assert_int_equal(judge_permit2(third, 0x103), X402_CLIENT_PROOF_PAID);
	assert_int_equal(judge_permit2(third, 2), X402_CLIENT_PROOF_DEAD);
	assert_int_equal(judge_permit2(ANSWERS("0x08", "0x69000000"), 3),
		X402_CLIENT_PROOF_NONE);
}

static void test_prove_permit2_lives_through_its_last_second(void **state)
{
	(void)state;
	assert_int_equal(judge_permit2(ANSWERS(UNUSED, "0x68000000"), 3),
		X402_CLIENT_PROOF_NONE);
	assert_int_equal(judge_permit2(ANSWERS(UNUSED, "0x68000001"), 3),
		X402_CLIENT_PROOF_DEAD);
	assert_int_equal(
		judge_permit2(ANSWERS(UNUSED, ""), 3), X402_CLIENT_PROOF_NONE);
}

static void test_ask_who_does_not_answer_is_left_alone(void **state)
{
	(void)state;
	static struct x402__breaker breaker;
	struct x402__asker asker;
	struct x402_json *json = NULL;

	assert_int_equal(x402__asker_init(&breaker, &asker), X402_OK);
	for (int i = 0; i < 3; i++) {
		assert_true(x402__breaker_allows(
			&breaker, "http://127.0.0.1:1", x402__now_ms()));
		assert_int_equal(x402__ask(&asker, "http://127.0.0.1:1/a/b",
					 NULL, &json),
			X402_ERR_NETWORK);
	}
	assert_false(x402__breaker_allows(
		&breaker, "http://127.0.0.1:1", x402__now_ms()));
	assert_true(x402__breaker_allows(
		&breaker, "http://127.0.0.1:2", x402__now_ms()));
	assert_null(json);
	x402__asker_clear(&asker);
}

/* ---- A transfer of our own, whose nonce is 7. ---- */

#define HASH \
	"0xabababababababababababababababababababababababababababababababab"
#define FATE(receipt, count, tagged)                                       \
	"[{\"id\":1,\"result\":" receipt "},{\"id\":2,\"result\":\"" count \
	"\"},{\"id\":3,\"result\":{\"number\":\"" tagged "\"}}]"
#define RECEIPT(hash, status, block)                             \
	"{\"transactionHash\":\"" hash "\",\"status\":\"" status \
	"\",\"blockNumber\":\"" block "\"}"

static enum x402_client_proof fate(const char *text)
{
	struct x402_json *json = NULL;
	enum x402_client_proof proof;

	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	proof = x402__prove_transfer_judge(json, HASH, 7);
	x402_json_unref(json);
	return proof;
}

static void test_prove_transfer_goes_by_the_block_that_stays(void **state)
{
	(void)state;
	assert_int_equal(
		fate(FATE(RECEIPT(HASH, "0x1", "0x10"), "0x8", "0x10")),
		X402_CLIENT_PROOF_PAID);
	/* Mined, and not for good. */
	assert_int_equal(
		fate(FATE(RECEIPT(HASH, "0x1", "0x11"), "0x7", "0x10")),
		X402_CLIENT_PROOF_NONE);
	assert_int_equal(
		fate(FATE(RECEIPT(HASH, "0x0", "0x11"), "0x7", "0x10")),
		X402_CLIENT_PROOF_NONE);
	assert_int_equal(
		fate(FATE(RECEIPT(HASH, "0x0", "0x10"), "0x8", "0x10")),
		X402_CLIENT_PROOF_DEAD);
	/* Its nonce went to another, or is still to be used. */
	assert_int_equal(
		fate(FATE("null", "0x8", "0x10")), X402_CLIENT_PROOF_DEAD);
	assert_int_equal(
		fate(FATE("null", "0x7", "0x10")), X402_CLIENT_PROOF_NONE);
}

static void test_prove_transfer_unreadable_answers_prove_nothing(void **state)
{
	static const char *const texts[] = {"[]", "{}",
		/* No answer about the receipt is not "no receipt". */
		"[{\"id\":1,\"error\":{}},{\"id\":2,\"result\":\"0x8\"},"
		"{\"id\":3,\"result\":{\"number\":\"0x10\"}}]",
		FATE("null", "many", "0x10"), FATE("null", "0x8", ""),
		FATE(RECEIPT(USED, "0x1", "0x10"), "0x8", "0x10"),
		FATE(RECEIPT(HASH, "yes", "0x10"), "0x8", "0x10"),
		FATE("{}", "0x8", "0x10"), FATE("7", "0x8", "0x10")};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(fate(texts[i]), X402_CLIENT_PROOF_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prove_used_is_paid_whenever),
		cmocka_unit_test(test_prove_unused_is_dead_from_its_end_on),
		cmocka_unit_test(test_prove_order_of_the_batch_does_not_matter),
		cmocka_unit_test(test_prove_unreadable_answers_prove_nothing),
		cmocka_unit_test(test_prove_permit2_reads_its_own_bit),
		cmocka_unit_test(
			test_prove_permit2_lives_through_its_last_second),
		cmocka_unit_test(
			test_prove_transfer_goes_by_the_block_that_stays),
		cmocka_unit_test(
			test_prove_transfer_unreadable_answers_prove_nothing),
		cmocka_unit_test(test_ask_who_does_not_answer_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
