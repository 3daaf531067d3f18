/*
 * Headers: every way to be no header, the size cap, and that what was read is
 * written back byte for byte. The captured headers are in test_vectors_wire.
 */
#include "payment_house.h"
#include "x402/codec.h"

static char *base64_of(const char *text)
{
	struct x402_buf buf = {0};
	char *plain = double_quoted(text);
	char *coded;

	x402_base64_encode(x402_span_str(plain), &buf);
	coded = x402_buf_take_str(&buf);
	free(plain);
	return coded;
}

static void test_header_goes_round(void **state)
{
	char *header = base64_of("{'x402Version':2,'accepts':[{" OFFER_V2
				 "}],'unknown':'\xc3\xa9'}");
	struct x402_payment_required required;
	char *again = NULL;

	(void)state;
	assert_int_equal(x402_payment_required_decode(
				 x402_span_str(header), NULL, &required),
		X402_OK);
	assert_int_equal(
		x402_payment_required_encode(&required, &again), X402_OK);
	assert_string_equal(header, again);
	x402_payment_required_clear(&required);
	free(header);
	free(again);
}

static void test_header_decode_refuses(void **state)
{
	static const char *const cases[] = {"", "{}", "====", "e30", "e30\n",
		"e3 0=", "e30=e30=", "e30-", "ew==", /* { */
		"e30gfQ==",                          /* {} } */
		"eyJhIjoxLCJhIjoyfQ==" /* a twice */};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *json = NULL;
		struct x402_errinfo info = {"", ""};

		assert_int_equal(x402_header_decode(
					 x402_span_str(cases[i]), &info, &json),
			X402_ERR_SYNTAX);
		assert_null(json);
		assert_true(strlen(info.text) > 0);
	}
}

static void test_header_decode_cap_is_exact(void **state)
{
	struct x402_buf plain = {0};
	struct x402_buf text = {0};
	struct x402_json *json = NULL;

	(void)state;
	/* A JSON string that fills the cap: 3/4 of it, quotes included. */
	x402_buf_add_byte(&plain, '"');
	while (plain.len < X402_HEADER_MAX_BYTES / 4 * 3 - 1)
		x402_buf_add_byte(&plain, 'a');
	x402_buf_add_byte(&plain, '"');
	x402_base64_encode(x402_buf_span(&plain), &text);
	assert_int_equal(text.len, X402_HEADER_MAX_BYTES);
	assert_int_equal(
		x402_header_decode(x402_buf_span(&text), NULL, &json), X402_OK);
	x402_json_unref(json);
	x402_buf_add_str(&text, "AAAA");
	assert_int_equal(x402_header_decode(x402_buf_span(&text), NULL, &json),
		X402_ERR_TOO_LARGE);
	x402_buf_clear(&plain);
	x402_buf_clear(&text);
}

static void test_header_encode_caps_too(void **state)
{
	char *big = calloc(1, X402_HEADER_MAX_BYTES + 1);
	struct x402_json *json;
	char *text = NULL;

	(void)state;
	memset(big, 'a', X402_HEADER_MAX_BYTES);
	json = x402_json_new_string(big);
	assert_int_equal(x402_header_encode(json, &text), X402_ERR_TOO_LARGE);
	assert_null(text);
	x402_json_unref(json);
	free(big);
}

static void test_typed_decode_refuses_other_objects(void **state)
{
	char *header = base64_of("{'x402Version':2}");
	struct x402_payment_required required;
	struct x402_payment_payload payload;
	struct x402_settle_response response;
	struct x402_span text = x402_span_str(header);

	(void)state;
	assert_int_equal(x402_payment_required_decode(text, NULL, &required),
		X402_ERR_SCHEMA);
	assert_int_equal(x402_payment_payload_decode(text, NULL, &payload),
		X402_ERR_SCHEMA);
	assert_int_equal(x402_settle_response_decode(text, NULL, &response),
		X402_ERR_SCHEMA);
	free(header);
}

static void test_settle_response_encodes_hand_built(void **state)
{
	struct x402_settle_response response = {
		.success = true, .transaction = "0x01", .network = "eip155:1"};
	char *expected = base64_of("{'success':true,'transaction':'0x01',"
				   "'network':'eip155:1'}");
	char *text = NULL;

	(void)state;
	assert_int_equal(
		x402_settle_response_encode(&response, &text), X402_OK);
	assert_string_equal(text, expected);
	free(expected);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_goes_round),
		cmocka_unit_test(test_header_decode_refuses),
		cmocka_unit_test(test_header_decode_cap_is_exact),
		cmocka_unit_test(test_header_encode_caps_too),
		cmocka_unit_test(test_typed_decode_refuses_other_objects),
		cmocka_unit_test(test_settle_response_encodes_hand_built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
