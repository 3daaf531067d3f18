/*
 * The golden values of EVM (tests/vectors/evm/golden.json), which two other
 * implementations agree on: what we hash, select, name and sign comes to the
 * same. Types that we do not pay with are hashed all the same: keccak is the
 * only thing they need.
 */
#include <stdio.h>

#include "cmocka_house.h"
#include "x402/abi.h"
#include "x402/eip3009.h"
#include "x402/eip712.h"
#include "x402/permit2.h"
#include "x402/sign.h"

/* The file has 21 KB. */
#define GOLDEN_MAX_BYTES (256 * 1024)

static struct x402_json *golden;

static int setup(void **state)
{
	const char *root = getenv("X402_VECTORS_DIR");
	static char text[GOLDEN_MAX_BYTES];
	char path[4096];
	FILE *file;
	size_t len;

	(void)state;
	if (!root)
		return -1;
	snprintf(path, sizeof(path), "%s/evm/golden.json", root);
	file = fopen(path, "rb");
	if (!file)
		return -1;
	len = fread(text, 1, sizeof(text), file);
	(void)fclose(file); /* only read */
	return x402_json_parse(x402_span(text, len), NULL, NULL, &golden) ==
			X402_OK
		? 0
		: -1;
}

static int teardown(void **state)
{
	(void)state;
	x402_json_unref(golden);
	return 0;
}

/* Runs check on every member of a section, which must have so many. */
static void each_member(const char *section, size_t expected,
	void (*check)(const char *key, const struct x402_json *value))
{
	const struct x402_json *object = x402_json_get(golden, section);
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;
	size_t n = 0;

	while (x402_json_next(object, &iter, &key, &value)) {
		print_message("%s: %s\n", section, key);
		check(key, value);
		n++;
	}
	assert_int_equal(n, expected);
}

static const char *text_of(const struct x402_json *object, const char *key)
{
	const char *text = x402_json_get_string(object, key);

	assert_non_null(text);
	return text;
}

static void check_type(const char *name, const struct x402_json *value)
{
	(void)name;
	assert_keccak(text_of(value, "type"), text_of(value, "hash"));
}

static void test_type_hashes_are_golden(void **state)
{
	(void)state;
	each_member("typeHashes", 25, check_type);
}

static void check_selector(const char *signature, const struct x402_json *value)
{
	uint8_t selector[4];

	x402_abi_selector(signature, selector);
	assert_hex(selector, 4, x402_json_string(value));
}

static void test_selectors_are_golden(void **state)
{
	(void)state;
	each_member("selectors", 23, check_selector);
	each_member("errors", 18, check_selector);
}

static void check_topic(const char *signature, const struct x402_json *value)
{
	assert_keccak(signature, x402_json_string(value));
}

static void test_topics_are_golden(void **state)
{
	(void)state;
	each_member("topics", 2, check_topic);
}

/* Every custom error of the table has its name in our texts. */
static void check_error_name(
	const char *signature, const struct x402_json *value)
{
	uint8_t selector[4];
	char text[128];

	hex_fixed(x402_json_string(value), selector, 4);
	x402_abi_revert_text(x402_span(selector, 4), text, sizeof(text));
	/* A string that is not there leaves the selector. */
	if (strcmp(signature, "Error(string)") == 0)
		assert_string_equal(text, x402_json_string(value));
	else
		assert_string_equal(text, signature);
}

static void test_custom_errors_have_their_names(void **state)
{
	(void)state;
	each_member("errors", 18, check_error_name);
}

static void separator_of(const struct x402_json *json, uint8_t ret_hash32[32])
{
	const char *contract = x402_json_get_string(json, "verifyingContract");
	struct x402_address address;
	struct x402_eip712_domain domain = {.name = text_of(json, "name"),
		.version = x402_json_get_string(json, "version")};
	int64_t chain_id = 0;

	assert_true(x402_json_int64(x402_json_get(json, "chainId"), &chain_id));
	domain.chain_id = (uint64_t)chain_id;
	if (contract) {
		assert_int_equal(x402_address_parse_checked(contract, &address),
			X402_OK);
		domain.verifying_contract = &address;
	}
	x402_eip712_domain_separator(&domain, ret_hash32);
}

static void check_separator(const char *name, const struct x402_json *value)
{
	uint8_t hash[32];

	(void)name;
	separator_of(value, hash);
	assert_hex(hash, 32, text_of(value, "separator"));
}

static void test_domain_separators_are_golden(void **state)
{
	(void)state;
	each_member("domainSeparators", 16, check_separator);
}

static struct x402_u256 number_of(
	const struct x402_json *object, const char *key)
{
	struct x402_u256 value;

	assert_int_equal(
		x402_u256_from_dec(text_of(object, key), &value), X402_OK);
	return value;
}

static struct x402_eip3009_authorization authorization_of(
	const struct x402_json *message)
{
	struct x402_eip3009_authorization auth;

	hex_fixed(text_of(message, "from"), auth.from.bytes, 20);
	hex_fixed(text_of(message, "to"), auth.to.bytes, 20);
	auth.value = number_of(message, "value");
	auth.valid_after = number_of(message, "validAfter");
	auth.valid_before = number_of(message, "validBefore");
	hex_fixed(text_of(message, "nonce"), auth.nonce32, 32);
	return auth;
}

static int transfers;
static int digests;
static int signatures;
static int permits;

static void check_transfer(
	const struct x402_json *vector, const uint8_t separator[32])
{
	struct x402_eip3009_authorization auth = authorization_of(
		x402_json_get(vector, "message"));
	uint8_t hash[32];
	uint8_t other[32];

	transfers++;
	x402_eip3009_struct_hash(&auth, hash);
	assert_hex(hash, 32, text_of(vector, "structHash"));
	x402_eip3009_digest(&auth, separator, hash);
	assert_hex(hash, 32, text_of(vector, "digest"));
	/* One unit more is another payment. */
	auth.value.limb[0]++;
	x402_eip3009_digest(&auth, separator, other);
	assert_memory_not_equal(hash, other, 32);
}

/* The captured message under the names that a payload has. */
static void check_permit(const struct x402_json *vector)
{
	const struct x402_json *message = x402_json_get(vector, "message");
	bool upto = x402_json_has(
		x402_json_get(message, "witness"), "facilitator");
	struct x402_permit2_payload payload;
	struct x402_json *json = x402_json_new_object();
	struct x402_json *copy = x402_json_copy(message);
	uint8_t hash[32];
	uint8_t other[32];

	permits++;
	assert_int_equal(
		x402_json_set_string(copy, "from", text_of(vector, "recovers")),
		X402_OK);
	assert_int_equal(x402_json_set_take(json, "permit2Authorization", copy),
		X402_OK);
	assert_int_equal(x402_json_set_string(json, "signature",
				 text_of(vector, "signature")),
		X402_OK);
	assert_int_equal(x402_permit2_payload_read(json,
				 upto ? X402_PERMIT2_UPTO : X402_PERMIT2_EXACT,
				 NULL, &payload),
		X402_OK);
	x402_permit2_struct_hash(&payload.authorization, hash);
	assert_hex(hash, 32, text_of(vector, "structHash"));
	x402_permit2_digest(&payload.authorization, 84532, hash);
	assert_hex(hash, 32, text_of(vector, "digest"));
	/* Another payee is another payment, and another chain too. */
	x402_permit2_digest(&payload.authorization, 8453, other);
	assert_memory_not_equal(hash, other, 32);
	payload.authorization.to.bytes[19] ^= 1;
	x402_permit2_digest(&payload.authorization, 84532, other);
	assert_memory_not_equal(hash, other, 32);
	x402_permit2_payload_clear(&payload);
	x402_json_unref(json);
}

static void check_recovery(const struct x402_json *vector)
{
	struct x402_address signer;
	struct x402_address expected;
	uint8_t digest[32];
	uint8_t sig[65];

	if (!x402_json_get(vector, "signature"))
		return;
	signatures++;
	hex_fixed(text_of(vector, "digest"), digest, 32);
	hex_fixed(text_of(vector, "signature"), sig, 65);
	hex_fixed(text_of(vector, "recovers"), expected.bytes, 20);
	assert_int_equal(x402_recover_address(digest, sig, &signer), X402_OK);
	assert_true(x402_address_equal(&signer, &expected));
	/* The same bytes under another digest are somebody else's. */
	digest[31] ^= 1;
	if (x402_recover_address(digest, sig, &signer) == X402_OK)
		assert_false(x402_address_equal(&signer, &expected));
}

/* Whatever the struct, the digest is made of its hash and the domain's. */
static void check_vector(const char *name, const struct x402_json *vector)
{
	uint8_t separator[32];
	uint8_t struct_hash[32];
	uint8_t digest[32];

	(void)name;
	if (!x402_json_get(vector, "digest"))
		return;
	digests++;
	separator_of(x402_json_get(vector, "domain"), separator);
	assert_hex(separator, 32, text_of(vector, "domainSeparator"));
	hex_fixed(text_of(vector, "structHash"), struct_hash, 32);
	x402_eip712_digest(separator, struct_hash, digest);
	assert_hex(digest, 32, text_of(vector, "digest"));
	if (strcmp(text_of(vector, "primaryType"),
		    "TransferWithAuthorization") == 0)
		check_transfer(vector, separator);
	else if (strcmp(text_of(vector, "primaryType"),
			 "PermitWitnessTransferFrom") == 0 &&
		x402_json_get(vector, "signature"))
		check_permit(vector);
	check_recovery(vector);
}

static void test_digests_and_signers_are_golden(void **state)
{
	(void)state;
	digests = transfers = signatures = 0;
	each_member("vectors", 7, check_vector);
	assert_int_equal(digests, 4);
	assert_int_equal(transfers, 1);
	assert_int_equal(signatures, 1);
	each_member("captured", 3, check_vector);
	assert_int_equal(digests, 7);
	assert_int_equal(transfers, 2);
	assert_int_equal(signatures, 4);
	assert_int_equal(permits, 2);
}

/* RFC 6979 and low s: our signature is the captured one, byte for byte. */
static void check_signing(const char *name, const struct x402_json *vector)
{
	uint8_t seed[32] = {9};
	struct x402_secp256k1 *secp = NULL;
	struct x402_secret key;
	struct x402_address address;
	uint8_t digest[32];
	uint8_t sig[65];
	char text[X402_ADDRESS_TEXT_SIZE];

	(void)name;
	assert_int_equal(x402_secp256k1_new(seed, &secp), X402_OK);
	assert_int_equal(x402_secret_parse(text_of(vector, "privateKey"), &key),
		X402_OK);
	assert_int_equal(x402_secret_address(secp, &key, &address), X402_OK);
	x402_address_format(&address, text);
	assert_string_equal(text, text_of(vector, "recovers"));
	hex_fixed(text_of(vector, "digest"), digest, 32);
	assert_int_equal(x402_sign_digest(secp, digest, &key, sig), X402_OK);
	assert_hex(sig, 65, text_of(vector, "signature"));
	sig[64] ^= 7; /* 27 and 28 change places: another point */
	if (x402_recover_address(digest, sig, &address) == X402_OK) {
		x402_address_format(&address, text);
		assert_string_not_equal(text, text_of(vector, "recovers"));
	}
	x402_secret_clear(&key);
	x402_secp256k1_free(secp);
}

static void test_captured_signatures_are_ours(void **state)
{
	(void)state;
	each_member("captured", 3, check_signing);
}

/* The captured payment's calldata: each word where the token reads it. */
static void test_captured_transfer_has_its_calldata(void **state)
{
	const struct x402_json *vector = x402_json_get(
		x402_json_get(golden, "captured"), "eip3009");
	struct x402_eip3009_authorization auth = authorization_of(
		x402_json_get(vector, "message"));
	struct x402_buf buf = {0};
	uint8_t sig[65];

	(void)state;
	hex_fixed(text_of(vector, "signature"), sig, 65);
	x402_eip3009_transfer_calldata(&auth, x402_span(sig, 65), &buf);
	assert_int_equal(buf.len, 4 + 9 * 32);
	assert_hex(buf.ptr, 4, "0xe3ee160e");
	assert_memory_equal(buf.ptr + 4 + 12, auth.from.bytes, 20);
	assert_memory_equal(buf.ptr + 4 + 32 + 12, auth.to.bytes, 20);
	assert_memory_equal(buf.ptr + 4 + 5 * 32, auth.nonce32, 32);
	assert_int_equal(buf.ptr[4 + 6 * 32 + 31], sig[64]);
	assert_memory_equal(buf.ptr + 4 + 7 * 32, sig, 64);
	x402_buf_clear(&buf);
	/* Any other length is a contract's (F-040). */
	x402_eip3009_transfer_calldata(&auth, x402_span(sig, 64), &buf);
	assert_hex(buf.ptr, 4, "0xcf092995");
	assert_int_equal(buf.len, 4 + 7 * 32 + 32 + 64);
	x402_buf_clear(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_type_hashes_are_golden),
		cmocka_unit_test(test_selectors_are_golden),
		cmocka_unit_test(test_topics_are_golden),
		cmocka_unit_test(test_custom_errors_have_their_names),
		cmocka_unit_test(test_domain_separators_are_golden),
		cmocka_unit_test(test_digests_and_signers_are_golden),
		cmocka_unit_test(test_captured_signatures_are_ours),
		cmocka_unit_test(test_captured_transfer_has_its_calldata),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
