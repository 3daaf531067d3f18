/*
 * ABI coding: what our calls are made of, and a reader that believes no offset
 * or length from the chain.
 */
#include "cmocka_house.h"
#include "x402/abi.h"

static void test_selectors_equal_golden(void **state)
{
	static const struct {
		const char *signature;
		const char *selector;
	} cases[] = {
		{"balanceOf(address)", "0x70a08231"},
		{"authorizationState(address,bytes32)", "0xe94a0102"},
		{"isValidSignature(bytes32,bytes)", "0x1626ba7e"},
		{"aggregate3((address,bool,bytes)[])", "0x82ad56cb"},
	};
	uint8_t selector[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		x402_abi_selector(cases[i].signature, selector);
		assert_hex(selector, 4, cases[i].selector);
	}
}

static void test_words_are_read_as_written(void **state)
{
	struct x402_address address = {{1, 2, 3}};
	struct x402_address same;
	struct x402_buf buf = {0};
	struct x402_u256 value;
	struct x402_span bytes;
	bool flag;

	(void)state;
	x402_abi_add_u64(&buf, 3 * 32);
	x402_abi_add_address(&buf, &address);
	x402_abi_add_u64(&buf, 1);
	x402_abi_add_bytes_tail(&buf, x402_span_str("hello"));
	assert_int_equal(buf.len, 5 * 32);
	assert_int_equal(
		x402_abi_read_address(x402_buf_span(&buf), 1, &same), X402_OK);
	assert_true(x402_address_equal(&address, &same));
	assert_int_equal(
		x402_abi_read_bool(x402_buf_span(&buf), 2, &flag), X402_OK);
	assert_true(flag);
	assert_int_equal(
		x402_abi_read_bytes(x402_buf_span(&buf), 0, &bytes), X402_OK);
	assert_int_equal(bytes.len, 5);
	assert_memory_equal(bytes.ptr, "hello", 5);
	assert_int_equal(x402_abi_read_u256(x402_buf_span(&buf), 5, &value),
		X402_ERR_SYNTAX);
	x402_buf_clear(&buf);
}

#define WORD_ZERO \
	"0000000000000000000000000000000000000000000000000000000000000000"
#define WORD(low) \
	"00000000000000000000000000000000000000000000000000000000000000" low
/* 2^64 - 32: fits into 64 bits, and a header more does not. */
#define WORD_2_64_LESS_32 \
	"000000000000000000000000000000000000000000000000ffffffffffffffe0"
#define WORD_MAX \
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static void test_hostile_answers_are_refused(void **state)
{
	static const char *const bad_bytes[] = {
		"0x", "0x00", "0x" WORD("20"), /* nothing behind the offset */
		"0x" WORD("40") WORD_ZERO,     /* offset at the end */
		"0x" WORD("41") WORD_ZERO,     /* offset beyond the end */
		"0x" WORD_2_64_LESS_32 WORD_ZERO, /* it would wrap round */
		"0x" WORD("20") WORD_2_64_LESS_32,
		"0x" WORD("20") WORD("01"), /* length beyond the end */
		"0x" WORD_MAX WORD("01"),   /* offset near 2^256 */
		"0x" WORD("20") WORD_MAX,   /* length near 2^256 */
		"0x" WORD("21")
			WORD_ZERO WORD_MAX, /* unaligned, into a length */
	};
	struct x402_span bytes;
	struct x402_address address;
	bool flag;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_bytes); i++) {
		struct x402_buf data = {0};

		assert_int_equal(x402_hex_decode(bad_bytes[i], &data), X402_OK);
		assert_int_equal(
			x402_abi_read_bytes(x402_buf_span(&data), 0, &bytes),
			X402_ERR_SYNTAX);
		x402_buf_clear(&data);
	}
	{
		struct x402_buf data = {0};

		assert_int_equal(
			x402_hex_decode("0x" WORD("02") WORD_MAX, &data),
			X402_OK);
		assert_int_equal(
			x402_abi_read_bool(x402_buf_span(&data), 0, &flag),
			X402_ERR_SYNTAX);
		assert_int_equal(x402_abi_read_address(
					 x402_buf_span(&data), 1, &address),
			X402_ERR_SYNTAX);
		x402_buf_clear(&data);
	}
}

static void test_revert_text_is_clean_and_bounded(void **state)
{
	struct x402_buf data = {0};
	static const uint8_t error_selector[4] = {0x08, 0xc3, 0x79, 0xa0};
	char text[16];

	(void)state;
	x402_abi_add_selector(&data, error_selector);
	x402_abi_add_u64(&data, 32);
	x402_abi_add_bytes_tail(
		&data, x402_span_str("bad\r\nnews \x1b[31m that is long"));
	x402_abi_revert_text(x402_buf_span(&data), text, sizeof(text));
	assert_string_equal(text, "bad??news ?[31m");
	x402_abi_revert_text(x402_span(data.ptr, 5), text, sizeof(text));
	assert_string_equal(text, "0x08c379a0");
	x402_abi_revert_text(x402_span(NULL, 0), text, sizeof(text));
	assert_string_equal(text, "");
	x402_buf_clear(&data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selectors_equal_golden),
		cmocka_unit_test(test_words_are_read_as_written),
		cmocka_unit_test(test_hostile_answers_are_refused),
		cmocka_unit_test(test_revert_text_is_clean_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
