/*
 * Keys, signing and recovery. The hostile half: every way to write one
 * signature twice, and every input that libsecp256k1 would abort on.
 */
#include "cmocka_house.h"
#include "x402/sign.h"

/* The first development key of anvil. */
static const char key_text[] =
	"0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
static const char order[] =
	"0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

static struct x402_secp256k1 *secp;
static struct x402_secret key;
static struct x402_address signer;
static uint8_t hash[32] = {1, 2, 3};
static uint8_t sig[65];

static int setup(void **state)
{
	uint8_t seed[32] = {9};

	(void)state;
	if (x402_secp256k1_new(seed, &secp) != X402_OK ||
		x402_secret_parse(key_text, &key) != X402_OK ||
		x402_secret_address(secp, &key, &signer) != X402_OK ||
		x402_sign_digest(secp, hash, &key, sig) != X402_OK)
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	x402_secret_clear(&key);
	x402_secp256k1_free(secp);
	return 0;
}

static void test_secret_gives_known_address(void **state)
{
	char text[X402_ADDRESS_TEXT_SIZE];

	(void)state;
	x402_address_format(&signer, text);
	assert_string_equal(text, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
}

static void test_secret_parse_refuses(void **state)
{
	static const struct {
		const char *text;
		enum x402_err err;
	} cases[] = {
		{"", X402_ERR_SYNTAX},
		{"0x", X402_ERR_SYNTAX},
		{"0x00000000000000000000000000000000000000000000000000000000000"
		 "00000",
			X402_ERR_KEY},
		{order, X402_ERR_KEY},
		{"ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2f"
		 "f8",
			X402_ERR_SYNTAX},
		{"zc0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2f"
		 "f80",
			X402_ERR_SYNTAX},
	};
	struct x402_secret secret;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(x402_secret_parse(cases[i].text, &secret),
			cases[i].err);
	assert_int_equal(x402_secret_parse(NULL, &secret), X402_ERR_SYNTAX);
	assert_int_equal(x402_secret_parse(key_text + 2, &secret), X402_OK);
}

static void test_secret_clear_wipes(void **state)
{
	static const uint8_t zeros[32];
	struct x402_secret secret = key;

	(void)state;
	x402_secret_clear(&secret);
	assert_memory_equal(secret.bytes, zeros, 32);
	x402_secret_clear(NULL);
}

static void test_sign_recovers_to_signer(void **state)
{
	(void)state;
	for (int i = 0; i < 64; i++) {
		struct x402_address recovered;
		uint8_t message[32] = {(uint8_t)i, 7};
		uint8_t out[65];

		assert_int_equal(
			x402_sign_digest(secp, message, &key, out), X402_OK);
		assert_true(out[64] == 27 || out[64] == 28);
		assert_int_equal(x402_recover_address(message, out, &recovered),
			X402_OK);
		assert_true(x402_address_equal(&recovered, &signer));
	}
}

static void test_sign_bad_key_zeroes_output(void **state)
{
	static const uint8_t zeros[65];
	struct x402_secret zero = {{0}};
	uint8_t out[65];

	(void)state;
	memset(out, 0xff, sizeof(out));
	assert_int_equal(
		x402_sign_digest(secp, hash, &zero, out), X402_ERR_KEY);
	assert_memory_equal(out, zeros, 65);
}

static void test_recover_accepts_parity_as_v(void **state)
{
	struct x402_address recovered;
	uint8_t copy[65];

	(void)state;
	memcpy(copy, sig, 65);
	copy[64] = (uint8_t)(copy[64] - 27);
	assert_int_equal(x402_recover_address(hash, copy, &recovered), X402_OK);
	assert_true(x402_address_equal(&recovered, &signer));
}

static void test_recover_refuses_other_v(void **state)
{
	struct x402_address recovered;
	uint8_t copy[65];

	(void)state;
	memcpy(copy, sig, 65);
	for (int v = 2; v < 256; v++) {
		if (v == 27 || v == 28)
			continue;
		copy[64] = (uint8_t)v;
		assert_int_equal(x402_recover_address(hash, copy, &recovered),
			X402_ERR_CRYPTO);
	}
}

/* n - s is the same signature once more, with the other parity. */
static void test_recover_refuses_high_s(void **state)
{
	struct x402_address recovered;
	uint8_t copy[65];
	uint8_t n[32];
	int borrow = 0;

	(void)state;
	hex_fixed(order, n, 32);
	memcpy(copy, sig, 65);
	for (int i = 31; i >= 0; i--) {
		int digit = n[i] - copy[32 + i] - borrow;

		borrow = digit < 0;
		copy[32 + i] = (uint8_t)digit;
	}
	copy[64] = copy[64] == 27 ? 28 : 27;
	assert_int_equal(
		x402_recover_address(hash, copy, &recovered), X402_ERR_CRYPTO);
}

static void test_recover_refuses_r_and_s_out_of_range(void **state)
{
	struct x402_address recovered;
	uint8_t copy[65];

	(void)state;
	for (int part = 0; part < 2; part++) {
		memcpy(copy, sig, 65);
		memset(copy + 32 * part, 0, 32);
		assert_int_equal(x402_recover_address(hash, copy, &recovered),
			X402_ERR_CRYPTO);
		hex_fixed(order, copy + 32 * part, 32);
		assert_int_equal(x402_recover_address(hash, copy, &recovered),
			X402_ERR_CRYPTO);
		memset(copy + 32 * part, 0xff, 32);
		assert_int_equal(x402_recover_address(hash, copy, &recovered),
			X402_ERR_CRYPTO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret_gives_known_address),
		cmocka_unit_test(test_secret_parse_refuses),
		cmocka_unit_test(test_secret_clear_wipes),
		cmocka_unit_test(test_sign_recovers_to_signer),
		cmocka_unit_test(test_sign_bad_key_zeroes_output),
		cmocka_unit_test(test_recover_accepts_parity_as_v),
		cmocka_unit_test(test_recover_refuses_other_v),
		cmocka_unit_test(test_recover_refuses_high_s),
		cmocka_unit_test(test_recover_refuses_r_and_s_out_of_range),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
