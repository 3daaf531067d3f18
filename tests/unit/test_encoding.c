/*
 * Hex and base64: the vectors of RFC 4648, every length against itself, and
 * every second spelling of the same bytes refused.
 */
#include "cmocka_house.h"

#include <ctype.h>

static void test_base64_rfc_vectors(void **state)
{
	static const struct {
		const char *plain;
		const char *coded;
	} cases[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}, {"\xfb\xff", "+/8="}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_buf buf = {0};
		char *text;

		x402_base64_encode(x402_span_str(cases[i].plain), &buf);
		text = x402_buf_take_str(&buf);
		assert_string_equal(text, cases[i].coded);
		free(text);
		assert_int_equal(
			x402_base64_decode(x402_span_str(cases[i].coded), &buf),
			X402_OK);
		assert_int_equal(buf.len, strlen(cases[i].plain));
		assert_memory_equal(buf.len ? (void *)buf.ptr : (void *)"",
			cases[i].plain, buf.len);
		x402_buf_clear(&buf);
	}
}

static void test_base64_every_length_comes_back(void **state)
{
	uint8_t bytes[70];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + 200);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct x402_buf text = {0};
		struct x402_buf back = {0};

		x402_base64_encode(x402_span(bytes, n), &text);
		assert_int_equal(
			x402_base64_decode(x402_buf_span(&text), &back),
			X402_OK);
		assert_int_equal(back.len, n);
		if (n)
			assert_memory_equal(back.ptr, bytes, n);
		x402_buf_clear(&text);
		x402_buf_clear(&back);
	}
}

static void test_base64_refuses_second_spellings(void **state)
{
	static const char *const cases[] = {"Z", "Zg", "Zg=", "Zg===", "=",
		"==", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm=v",
		"Z===", "Zm9v\n", "Zm9v ", " Zm9v", "Zm\n9", "Zm9-", "Zm9_",
		"Zm 9v", "Zm9v====", "\xff\xff\xff\xff", "Zg==\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_buf buf = {0};

		assert_int_equal(
			x402_base64_decode(x402_span_str(cases[i]), &buf),
			X402_ERR_SYNTAX);
		assert_null(buf.ptr);
	}
}

static void test_base64_refuses_nul_inside(void **state)
{
	struct x402_buf buf = {0};

	(void)state;
	assert_int_equal(x402_base64_decode(x402_span("Zm9\0", 4), &buf),
		X402_ERR_SYNTAX);
}

static void test_hex_decode_takes_both_cases(void **state)
{
	struct x402_buf buf = {0};

	(void)state;
	assert_int_equal(x402_hex_decode("0xaBcDef09", &buf), X402_OK);
	assert_int_equal(buf.len, 4);
	assert_memory_equal(buf.ptr, "\xab\xcd\xef\x09", 4);
	assert_int_equal(x402_hex_decode("0x", &buf), X402_OK);
	assert_int_equal(buf.len, 0);
	x402_buf_clear(&buf);
}

static void test_hex_encode_is_lower_case(void **state)
{
	struct x402_buf buf = {0};
	char *text;

	(void)state;
	x402_hex_encode_0x(x402_span("\xab\x01", 2), &buf);
	x402_hex_encode(x402_span("\xf0", 1), &buf);
	text = x402_buf_take_str(&buf);
	assert_string_equal(text, "0xab01f0");
	free(text);
}

static void test_hex_decode_refuses(void **state)
{
	static const char *const cases[] = {"", "0", "x", "00", "ab", "0X00",
		"0x0", "0x000", "0xg0", "0x0g", "0x 0", "0x00 ", " 0x00",
		"0x-1", "0x0x", "0x\xc3\xa9"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_buf buf = {0};

		assert_int_equal(
			x402_hex_decode(cases[i], &buf), X402_ERR_SYNTAX);
		assert_null(buf.ptr);
	}
}

static int value_of(int c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static void test_hex_decode_fixed_wants_exact_length(void **state)
{
	uint8_t out[2] = {7, 7};

	(void)state;
	assert_int_equal(x402_hex_decode_fixed("0x0102", out, 2), X402_OK);
	assert_int_equal(out[1], 2);
	assert_int_equal(
		x402_hex_decode_fixed("0x010", out, 2), X402_ERR_SYNTAX);
	assert_int_equal(
		x402_hex_decode_fixed("0x010203", out, 2), X402_ERR_SYNTAX);
	assert_int_equal(
		x402_hex_decode_fixed("010203", out, 2), X402_ERR_SYNTAX);
	assert_int_equal(x402_hex_decode_fixed("0x", out, 2), X402_ERR_SYNTAX);
	assert_int_equal(x402_hex_decode_fixed("", out, 2), X402_ERR_SYNTAX);
	assert_int_equal(x402_hex_decode_fixed(NULL, out, 2), X402_ERR_SYNTAX);
	assert_int_equal(
		x402_hex_decode_fixed("0xff0g", out, 2), X402_ERR_SYNTAX);
	/* Untouched by all of these. */
	assert_int_equal(out[0], 1);
	assert_int_equal(out[1], 2);
}

/* Of every length that has a way of its own, each byte at each place. */
static void test_hex_decode_looks_at_every_digit(void **state)
{
	static const size_t lens[] = {1, 7, 8, 9, 15, 16, 20, 32, 65, 66, 100};
	char text[2 + 2 * 100 + 1] = "0x";
	uint8_t out[100];

	(void)state;
	for (size_t l = 0; l < sizeof(lens) / sizeof(lens[0]); l++) {
		size_t len = lens[l];

		memset(text + 2, '5', 2 * len);
		text[2 + 2 * len] = '\0';
		for (size_t at = 0; at < 2 * len; at++) {
			for (int c = 1; c < 256; c++) {
				enum x402_err err;

				text[2 + at] = (char)c;
				memset(out, 0xee, sizeof(out));
				err = x402_hex_decode_fixed(text, out, len);
				assert_int_equal(err,
					isxdigit(c) ? X402_OK
						    : X402_ERR_SYNTAX);
				assert_int_equal(out[at / 2],
					err ? 0xee
						: at % 2
						? 0x50 | value_of(c)
						: value_of(c) << 4 | 5);
			}
			text[2 + at] = '5';
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64_rfc_vectors),
		cmocka_unit_test(test_base64_every_length_comes_back),
		cmocka_unit_test(test_base64_refuses_second_spellings),
		cmocka_unit_test(test_base64_refuses_nul_inside),
		cmocka_unit_test(test_hex_decode_takes_both_cases),
		cmocka_unit_test(test_hex_encode_is_lower_case),
		cmocka_unit_test(test_hex_decode_refuses),
		cmocka_unit_test(test_hex_decode_fixed_wants_exact_length),
		cmocka_unit_test(test_hex_decode_looks_at_every_digit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
