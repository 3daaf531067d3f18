/*
 * EIP-3009 payloads, digests and calldata. The signed example of the
 * published specification recovers to its own `from`, and the captured
 * payment of the reference client is reproduced byte for byte.
 */
#include "cmocka_house.h"
#include "x402/eip3009.h"
#include "x402/eip712.h"
#include "x402/sign.h"

#define FROM "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
#define TO   "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define NONCE \
	"0x3e44ec2b5e187020ed9741d3666713eb40f1ef15d4de339bf005d508d9f25c81"
#define SIGNATURE                                                              \
	"0xa9cfd6168a3af3eb76dc605a50c3ac9d43c75fd72f81e4f20a950c4eb75c4eda75" \
	"aa032284cb69664cea911de34115ef4c1a92e474720b46afeb56264f5be9cb1c"
#define PAYLOAD                                                              \
	"{\"authorization\":{\"from\":\"" FROM "\",\"to\":\"" TO             \
	"\",\"value\":\"1000\",\"validAfter\":\"0\",\"validBefore\":"        \
	"\"1795239456\",\"nonce\":\"" NONCE "\"},\"signature\":\"" SIGNATURE \
	"\"}"

static struct x402_json *parse(const char *text)
{
	struct x402_json *json = NULL;

	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	return json;
}

static void read_payload(
	const char *text, struct x402_eip3009_payload *ret_payload)
{
	struct x402_json *json = parse(text);

	assert_int_equal(
		x402_eip3009_payload_read(json, NULL, ret_payload), X402_OK);
	x402_json_unref(json);
}

static void usdc_digest(const struct x402_eip3009_authorization *authorization,
	uint8_t ret_digest[32])
{
	struct x402_address token;
	struct x402_eip712_domain domain = {.name = "USDC",
		.version = "2",
		.chain_id = 84532,
		.verifying_contract = &token};
	uint8_t separator[32];

	hex_fixed(
		"0x036CbD53842c5426634e7929541eC2318f3dCF7e", token.bytes, 20);
	x402_eip712_domain_separator(&domain, separator);
	x402_eip3009_digest(authorization, separator, ret_digest);
}

static void test_digest_equals_captured_one(void **state)
{
	struct x402_eip3009_payload payload;
	struct x402_address signer;
	uint8_t hash[32];

	(void)state;
	read_payload(PAYLOAD, &payload);
	x402_eip3009_struct_hash(&payload.authorization, hash);
	assert_hex(hash, 32,
		"0x0e3c49187dabe29ae0c644a44451d0b9e40de1147b8262fbda6ad14ff78c"
		"bc45");
	usdc_digest(&payload.authorization, hash);
	assert_hex(hash, 32,
		"0x82af54ae238de69a01238cbb879d1845ca0cd4ad041c787d27bd8fe67ac0"
		"e97f");
	assert_int_equal(payload.signature.len, 65);
	assert_int_equal(
		x402_recover_address(hash, payload.signature.ptr, &signer),
		X402_OK);
	assert_true(x402_address_equal(&signer, &payload.authorization.from));
	x402_eip3009_payload_clear(&payload);
}

static void test_signature_equals_captured_one(void **state)
{
	struct x402_eip3009_payload payload;
	struct x402_secp256k1 *secp;
	struct x402_secret key;
	uint8_t seed[32] = {0};
	uint8_t digest[32];
	uint8_t sig[65];

	(void)state;
	read_payload(PAYLOAD, &payload);
	usdc_digest(&payload.authorization, digest);
	assert_int_equal(x402_secp256k1_new(seed, &secp), X402_OK);
	assert_int_equal(
		x402_secret_parse("0x5de4111afa1a4b94908f83103eb1f1706367c2e68c"
				  "a870fc3fb9a804cdab365a",
			&key),
		X402_OK);
	assert_int_equal(x402_sign_digest(secp, digest, &key, sig), X402_OK);
	assert_memory_equal(sig, payload.signature.ptr, 65);
	x402_secp256k1_free(secp);
	x402_eip3009_payload_clear(&payload);
}

static void test_digest_equals_specification_example(void **state)
{
	struct x402_eip3009_payload payload;
	uint8_t digest[32];

	(void)state;
	read_payload(
		"{\"authorization\":{\"from\":"
		"\"0x857b06519E91e3A54538791bDbb0E22373e36b66\",\"to\":"
		"\"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\",\"value\":"
		"\"10000\",\"validAfter\":\"1740672089\",\"validBefore\":"
		"\"1740672154\",\"nonce\":"
		"\"0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a446"
		"2f13480\"},\"signature\":\"0x\"}",
		&payload);
	usdc_digest(&payload.authorization, digest);
	assert_hex(digest, 32,
		"0xf256992871671abcb27ff92885a7afa46218724e5fc0bac35d050115aa1d"
		"22e6");
	x402_eip3009_payload_clear(&payload);
}

static void test_payload_written_as_read(void **state)
{
	struct x402_eip3009_payload payload;
	struct x402_json *json = NULL;
	char *text;

	(void)state;
	read_payload(PAYLOAD, &payload);
	assert_int_equal(
		x402_eip3009_payload_to_json(&payload, &json), X402_OK);
	text = x402_json_dump(json);
	assert_string_equal(text, PAYLOAD);
	free(text);
	x402_json_unref(json);
	x402_eip3009_payload_clear(&payload);
}

static void test_payload_refuses_bad_fields(void **state)
{
	static const struct {
		const char *field;
		const char *value; /* as JSON; NULL leaves it out */
		enum x402_err err;
	} cases[] = {
		{"from", NULL, X402_ERR_SCHEMA},
		{"from", "1", X402_ERR_SCHEMA},
		{"from", "\"0x12\"", X402_ERR_SYNTAX},
		{"to", "null", X402_ERR_SCHEMA},
		{"value", "1000", X402_ERR_SCHEMA},
		{"value", "\"-1\"", X402_ERR_SYNTAX},
		{"value", "\"1e3\"", X402_ERR_SYNTAX},
		{"value", "\"0x3e8\"", X402_ERR_SYNTAX},
		{"value", "\" 1000\"", X402_ERR_SYNTAX},
		{"value", "\"01000\"", X402_ERR_SYNTAX},
		{"value", "\"\"", X402_ERR_SYNTAX},
		{"value",
			"\"1157920892373161954235709850086879078532699846656405"
			"64039457584007913129639936\"",
			X402_ERR_OVERFLOW},
		{"validAfter", "\"now\"", X402_ERR_SYNTAX},
		{"validBefore", "[]", X402_ERR_SCHEMA},
		{"nonce", "\"0x00\"", X402_ERR_SYNTAX},
		{"nonce", NULL, X402_ERR_SCHEMA},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *json = parse(PAYLOAD);
		struct x402_json *authorization =
			(struct x402_json *)(uintptr_t)x402_json_get(
				json, "authorization");
		struct x402_eip3009_payload payload;
		struct x402_errinfo info = {{0}, {0}};

		x402_json_remove(authorization, cases[i].field);
		if (cases[i].value) {
			struct x402_json *value = NULL;

			assert_int_equal(
				x402_json_parse(x402_span_str(cases[i].value),
					NULL, NULL, &value),
				X402_OK);
			assert_int_equal(x402_json_set_take(authorization,
						 cases[i].field, value),
				X402_OK);
		}
		assert_int_equal(
			x402_eip3009_payload_read(json, &info, &payload),
			cases[i].err);
		assert_non_null(strstr(info.field, cases[i].field));
		assert_true(strlen(info.text) > 0);
		x402_json_unref(json);
	}
}

static void test_payload_refuses_bad_signatures(void **state)
{
	static const char *const bad[] = {
		"1", "\"a9cf\"", "\"0xa9c\"", "\"0xzz\"", "null"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402_json *json = parse(PAYLOAD);
		struct x402_json *value = NULL;
		struct x402_eip3009_payload payload;

		assert_int_equal(x402_json_parse(x402_span_str(bad[i]), NULL,
					 NULL, &value),
			X402_OK);
		assert_int_equal(
			x402_json_set_take(json, "signature", value), X402_OK);
		assert_int_not_equal(
			x402_eip3009_payload_read(json, NULL, &payload),
			X402_OK);
		x402_json_unref(json);
	}
}

static void test_calldata_chooses_overload_by_length(void **state)
{
	struct x402_eip3009_payload payload;
	struct x402_buf calldata = {0};
	uint8_t contract_signature[70] = {1};

	(void)state;
	read_payload(PAYLOAD, &payload);
	x402_eip3009_transfer_calldata(&payload.authorization,
		x402_buf_span(&payload.signature), &calldata);
	assert_false(calldata.failed);
	assert_int_equal(calldata.len, 4 + 9 * 32);
	assert_hex(calldata.ptr, 4, "0xe3ee160e");
	/* v, r, s stand at the end */
	assert_int_equal(calldata.ptr[4 + 7 * 32 - 1], 0x1c);
	assert_memory_equal(
		calldata.ptr + 4 + 7 * 32, payload.signature.ptr, 64);
	x402_buf_clear(&calldata);
	x402_eip3009_transfer_calldata(&payload.authorization,
		x402_span(contract_signature, sizeof(contract_signature)),
		&calldata);
	assert_hex(calldata.ptr, 4, "0xcf092995");
	assert_int_equal(calldata.len, 4 + 7 * 32 + 32 + 96);
	x402_buf_clear(&calldata);
	x402_eip3009_payload_clear(&payload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digest_equals_captured_one),
		cmocka_unit_test(test_signature_equals_captured_one),
		cmocka_unit_test(test_digest_equals_specification_example),
		cmocka_unit_test(test_payload_written_as_read),
		cmocka_unit_test(test_payload_refuses_bad_fields),
		cmocka_unit_test(test_payload_refuses_bad_signatures),
		cmocka_unit_test(test_calldata_chooses_overload_by_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
