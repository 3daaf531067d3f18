/*
 * Multicall3: calls equal what viem 2.57.1 encodes, answers are read as it
 * encodes them, and an answer that points outside itself gives nothing.
 */
#include "cmocka_house.h"
#include "x402/abi.h"

/* A word with only its lowest byte. */
#define WORD(low) \
	"00000000000000000000000000000000000000000000000000000000000000" low
#define WORD_MAX \
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
/* 2^256 - 32: added to an offset of 32 it would come to the start. */
#define WORD_MINUS_32 \
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
/* 2^64 - 32: the same for an addition in 64 bits. */
#define WORD_2_64_LESS_32 \
	"000000000000000000000000000000000000000000000000ffffffffffffffe0"
#define WORD_2_64 \
	"0000000000000000000000000000000000000000000000010000000000000000"

#define CALLS                                                              \
	"0x82ad56cb"                                                       \
	"0000000000000000000000000000000000000000000000000000000000000020" \
	"0000000000000000000000000000000000000000000000000000000000000003" \
	"0000000000000000000000000000000000000000000000000000000000000060" \
	"00000000000000000000000000000000000000000000000000000000000000e0" \
	"0000000000000000000000000000000000000000000000000000000000000180" \
	"000000000000000000000000036cbd53842c5426634e7929541ec2318f3dcf7e" \
	"0000000000000000000000000000000000000000000000000000000000000001" \
	"0000000000000000000000000000000000000000000000000000000000000060" \
	"0000000000000000000000000000000000000000000000000000000000000000" \
	"000000000000000000000000f39fd6e51aad88f6f4ce6ab8827279cfffb92266" \
	"0000000000000000000000000000000000000000000000000000000000000000" \
	"0000000000000000000000000000000000000000000000000000000000000060" \
	"0000000000000000000000000000000000000000000000000000000000000004" \
	"70a0823100000000000000000000000000000000000000000000000000000000" \
	"000000000000000000000000036cbd53842c5426634e7929541ec2318f3dcf7e" \
	"0000000000000000000000000000000000000000000000000000000000000001" \
	"0000000000000000000000000000000000000000000000000000000000000060" \
	"0000000000000000000000000000000000000000000000000000000000000020" \
	"abababababababababababababababababababababababababababababababab"
#define NO_CALLS                                                           \
	"0x82ad56cb"                                                       \
	"0000000000000000000000000000000000000000000000000000000000000020" \
	"0000000000000000000000000000000000000000000000000000000000000000"
#define RESULTS                                                            \
	"0x"                                                               \
	"0000000000000000000000000000000000000000000000000000000000000020" \
	"0000000000000000000000000000000000000000000000000000000000000003" \
	"0000000000000000000000000000000000000000000000000000000000000060" \
	"00000000000000000000000000000000000000000000000000000000000000c0" \
	"0000000000000000000000000000000000000000000000000000000000000160" \
	"0000000000000000000000000000000000000000000000000000000000000001" \
	"0000000000000000000000000000000000000000000000000000000000000040" \
	"0000000000000000000000000000000000000000000000000000000000000000" \
	"0000000000000000000000000000000000000000000000000000000000000000" \
	"0000000000000000000000000000000000000000000000000000000000000040" \
	"0000000000000000000000000000000000000000000000000000000000000021" \
	"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd" \
	"cd00000000000000000000000000000000000000000000000000000000000000" \
	"0000000000000000000000000000000000000000000000000000000000000001" \
	"0000000000000000000000000000000000000000000000000000000000000040" \
	"0000000000000000000000000000000000000000000000000000000000000020" \
	"0000000000000000000000000000000000000000000000000000000000000001"
#define NO_RESULTS                                                         \
	"0x"                                                               \
	"0000000000000000000000000000000000000000000000000000000000000020" \
	"0000000000000000000000000000000000000000000000000000000000000000"

static void test_calldata_equals_another_implementation(void **state)
{
	static const uint8_t balance_of[] = {0x70, 0xa0, 0x82, 0x31};
	uint8_t word[32];
	struct x402_multicall_call calls[3] = {{.allow_failure = true},
		{.calldata = x402_span(balance_of, 4)},
		{.calldata = x402_span(word, 32), .allow_failure = true}};
	struct x402_buf buf = {0};

	(void)state;
	memset(word, 0xab, sizeof(word));
	hex_fixed("0x036CbD53842c5426634e7929541eC2318f3dCF7e",
		calls[0].target.bytes, 20);
	hex_fixed("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
		calls[1].target.bytes, 20);
	calls[2].target = calls[0].target;
	x402_multicall_aggregate3_calldata(calls, 3, &buf);
	assert_hex(buf.ptr, buf.len, CALLS);
	x402_buf_clear(&buf);
	x402_multicall_aggregate3_calldata(NULL, 0, &buf);
	assert_hex(buf.ptr, buf.len, NO_CALLS);
	x402_buf_clear(&buf);
}

static void test_most_calls_have_their_offsets(void **state)
{
	static struct x402_multicall_call calls[X402_MULTICALL_MAX];
	static const uint8_t data[100];
	struct x402_buf buf = {0};
	struct x402_span offsets;

	(void)state;
	for (size_t i = 0; i < X402_MULTICALL_MAX; i++) {
		calls[i].target.bytes[0] = (uint8_t)i;
		calls[i].calldata = x402_span(data, i % 100);
	}
	x402_multicall_aggregate3_calldata(calls, X402_MULTICALL_MAX, &buf);
	assert_false(buf.failed);
	/* Behind the selector, the array's offset and its length. */
	offsets = x402_span(buf.ptr + 4 + 64, buf.len - 4 - 64);
	for (size_t i = 0; i < X402_MULTICALL_MAX; i++) {
		struct x402_address target;
		struct x402_u256 value;
		struct x402_span element;
		struct x402_span bytes;
		uint64_t offset = 0;

		assert_int_equal(
			x402_abi_read_u256(offsets, i, &value), X402_OK);
		assert_true(x402_u256_to_u64(&value, &offset));
		assert_in_range(offset, 0, offsets.len);
		element = x402_span(
			offsets.ptr + offset, offsets.len - (size_t)offset);
		assert_int_equal(
			x402_abi_read_address(element, 0, &target), X402_OK);
		assert_true(x402_address_equal(&target, &calls[i].target));
		assert_int_equal(
			x402_abi_read_bytes(element, 2, &bytes), X402_OK);
		assert_int_equal(bytes.len, i % 100);
	}
	x402_buf_clear(&buf);
}

static void test_results_are_read_as_encoded(void **state)
{
	struct x402_multicall_result results[3];
	struct x402_buf answer = {0};

	(void)state;
	assert_int_equal(x402_hex_decode(RESULTS, &answer), X402_OK);
	assert_int_equal(x402_multicall_aggregate3_read(
				 x402_buf_span(&answer), results, 3),
		X402_OK);
	assert_true(results[0].success);
	assert_int_equal(results[0].data.len, 0);
	assert_false(results[1].success);
	assert_int_equal(results[1].data.len, 33);
	assert_int_equal(results[1].data.ptr[32], 0xcd);
	assert_true(results[2].success);
	assert_hex(results[2].data.ptr, results[2].data.len, "0x" WORD("01"));
	x402_buf_clear(&answer);
	assert_int_equal(x402_hex_decode(NO_RESULTS, &answer), X402_OK);
	assert_int_equal(x402_multicall_aggregate3_read(
				 x402_buf_span(&answer), results, 0),
		X402_OK);
	x402_buf_clear(&answer);
}

static void test_another_count_is_refused(void **state)
{
	struct x402_multicall_result results[8];
	struct x402_buf answer = {0};

	(void)state;
	assert_int_equal(x402_hex_decode(RESULTS, &answer), X402_OK);
	for (size_t n = 0; n < ARRAY_LEN(results); n++) {
		if (n != 3)
			assert_int_equal(
				x402_multicall_aggregate3_read(
					x402_buf_span(&answer), results, n),
				X402_ERR_SYNTAX);
	}
	x402_buf_clear(&answer);
}

static void test_answer_cut_anywhere_is_refused(void **state)
{
	struct x402_multicall_result results[3];
	struct x402_buf answer = {0};

	(void)state;
	assert_int_equal(x402_hex_decode(RESULTS, &answer), X402_OK);
	for (size_t len = 0; len < answer.len; len++)
		assert_int_equal(
			x402_multicall_aggregate3_read(
				x402_span(answer.ptr, len), results, 3),
			X402_ERR_SYNTAX);
	x402_buf_clear(&answer);
}

/* One result each; one word of it is a lie. */
static void test_hostile_answers_are_refused(void **state)
{
	static const char *const bad[] = {
		/* The array: beyond the end, near 2^256, above 2^64. */
		"0x" WORD("21"),
		"0x" WORD_MAX WORD("01") WORD("20") WORD("01") WORD("40")
			WORD("00"),
		"0x" WORD_2_64 WORD("01") WORD("20") WORD("01") WORD("40")
			WORD("00"),
		/* The count. */
		"0x" WORD("20") WORD_MAX WORD("20") WORD("01") WORD("40")
			WORD("00"),
		"0x" WORD("20") WORD_2_64 WORD("20") WORD("01") WORD("40")
			WORD("00"),
		/* The element. */
		"0x" WORD("20") WORD("01") WORD_MINUS_32 WORD("01") WORD("40")
			WORD("00"),
		"0x" WORD("20") WORD("01") WORD("81") WORD("01") WORD("40")
			WORD("00"),
		"0x" WORD("20") WORD("01") WORD("80") WORD("01") WORD("40")
			WORD("00"),
		/* The flag. */
		"0x" WORD("20") WORD("01") WORD("20") WORD("02") WORD("40")
			WORD("00"),
		"0x" WORD("20") WORD("01") WORD("20") WORD_MAX WORD("40")
			WORD("00"),
		/* The bytes. */
		"0x" WORD("20") WORD("01") WORD("20") WORD("01") WORD("60")
			WORD("00"),
		"0x" WORD("20") WORD("01") WORD("20") WORD("01")
			WORD_MINUS_32 WORD("00"),
		"0x" WORD("20") WORD("01") WORD("20") WORD("01") WORD("41")
			WORD("00"),
		"0x" WORD("20") WORD("01") WORD("20") WORD("01") WORD("61")
			WORD("00"),
		"0x" WORD("20") WORD("01") WORD("20") WORD("01")
			WORD_2_64_LESS_32 WORD("00"),
		/* Their length. */
		"0x" WORD("20") WORD("01") WORD("20") WORD("01") WORD("40")
			WORD("01"),
		"0x" WORD("20") WORD("01") WORD("20") WORD("01") WORD("40")
			WORD_MAX,
		"0x" WORD("20") WORD("01") WORD("20") WORD("01") WORD("40")
			WORD_2_64,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402_multicall_result result;
		struct x402_buf answer = {0};

		assert_int_equal(x402_hex_decode(bad[i], &answer), X402_OK);
		assert_int_equal(x402_multicall_aggregate3_read(
					 x402_buf_span(&answer), &result, 1),
			X402_ERR_SYNTAX);
		x402_buf_clear(&answer);
	}
}

/*
 * A chain may answer so that elements lie on one another. That is odd and
 * harmless: both results are inside the answer.
 */
static void test_overlapping_results_stay_inside(void **state)
{
	struct x402_multicall_result results[2];
	struct x402_buf answer = {0};

	(void)state;
	assert_int_equal(
		x402_hex_decode("0x" WORD("20") WORD("02") WORD("40") WORD("40")
					WORD("01") WORD("40") WORD("00"),
			&answer),
		X402_OK);
	assert_int_equal(x402_multicall_aggregate3_read(
				 x402_buf_span(&answer), results, 2),
		X402_OK);
	for (size_t i = 0; i < 2; i++) {
		assert_true(results[i].success);
		assert_int_equal(results[i].data.len, 0);
		assert_true(results[i].data.ptr == answer.ptr + answer.len);
	}
	x402_buf_clear(&answer);
}

static enum x402_err call_of(
	const char *hex, size_t index, struct x402_multicall_call *ret_call)
{
	struct x402_buf calldata = {0};
	enum x402_err err;

	assert_int_equal(x402_hex_decode(hex, &calldata), X402_OK);
	err = x402_multicall_aggregate3_call(
		x402_buf_span(&calldata), index, ret_call);
	/* Only what does not point into the calldata is looked at. */
	x402_buf_clear(&calldata);
	return err;
}

static void test_calls_are_read_as_encoded(void **state)
{
	static const uint8_t token[2] = {0x03, 0x6c};
	struct x402_multicall_call call;

	(void)state;
	assert_int_equal(call_of(CALLS, 0, &call), X402_OK);
	assert_memory_equal(call.target.bytes, token, 2);
	assert_true(call.allow_failure);
	assert_int_equal(call.calldata.len, 0);
	assert_int_equal(call_of(CALLS, 1, &call), X402_OK);
	assert_false(call.allow_failure);
	assert_int_equal(call.calldata.len, 4);
	assert_int_equal(call_of(CALLS, 2, &call), X402_OK);
	assert_int_equal(call.calldata.len, 32);
	assert_int_equal(call_of(CALLS, 3, &call), X402_ERR_NOT_FOUND);
	assert_int_equal(call_of(NO_CALLS, 0, &call), X402_ERR_NOT_FOUND);
}

static void test_hostile_calls_are_refused(void **state)
{
	static const char *const bad[] = {"0x", "0x82ad56", "0x82ad56cb",
		"0x82ad56ca" WORD("20") WORD("00"),
		"0x82ad56cb" WORD("40") WORD("00"),
		"0x82ad56cb" WORD_MINUS_32 WORD("01"),
		"0x82ad56cb" WORD("20") WORD_2_64,
		"0x82ad56cb" WORD("20") WORD("01"),
		"0x82ad56cb" WORD("20") WORD("01") WORD_2_64_LESS_32,
		/* A target of 32 bytes, a flag of 2, bytes that end outside. */
		"0x82ad56cb" WORD("20") WORD("01") WORD("20")
			WORD_MAX WORD("00") WORD("60") WORD("00"),
		"0x82ad56cb" WORD("20") WORD("01") WORD("20") WORD("01")
			WORD("02") WORD("60") WORD("00"),
		"0x82ad56cb" WORD("20") WORD("01") WORD("20") WORD("01")
			WORD("01") WORD("60") WORD("01"),
		"0x82ad56cb" WORD("20") WORD("01") WORD("20") WORD("01")
			WORD("01") WORD_2_64_LESS_32 WORD("00")};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402_multicall_call call;

		assert_int_equal(call_of(bad[i], 0, &call), X402_ERR_SYNTAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calldata_equals_another_implementation),
		cmocka_unit_test(test_most_calls_have_their_offsets),
		cmocka_unit_test(test_results_are_read_as_encoded),
		cmocka_unit_test(test_another_count_is_refused),
		cmocka_unit_test(test_answer_cut_anywhere_is_refused),
		cmocka_unit_test(test_hostile_answers_are_refused),
		cmocka_unit_test(test_overlapping_results_stay_inside),
		cmocka_unit_test(test_calls_are_read_as_encoded),
		cmocka_unit_test(test_hostile_calls_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
