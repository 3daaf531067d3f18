/*
 * Keystores: those that other tools wrote open, ours open again, and whatever
 * is wrong with a file or a password is said and yields no key.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cmocka_house.h"
#include "x402/json.h"
#include "x402/wallet.h"

#define KEY_HEX \
	"5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
#define ADDRESS  "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
#define PASSWORD "correct horse"

static char *fixture(const char *name)
{
	char path[512];
	const char *directory = getenv("X402_VECTORS_DIR");
	static char text[8192];

	assert_non_null(directory);
	(void)snprintf(path, sizeof(path), "%s/keystore/%s", directory, name);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[len] = '\0';
	return text;
}

static enum x402_err open_text(const char *text, const char *password,
	struct x402_errinfo *info, struct x402_secret *ret_secret)
{
	return x402_keystore_open(
		x402_span_str(text), x402_span_str(password), info, ret_secret);
}

static void assert_opens(const char *name)
{
	struct x402_secret want;
	struct x402_secret got;
	struct x402_errinfo info = {{0}, {0}};

	assert_int_equal(x402_secret_parse(KEY_HEX, &want), X402_OK);
	assert_int_equal(
		open_text(fixture(name), PASSWORD, &info, &got), X402_OK);
	assert_memory_equal(got.bytes, want.bytes, 32);
}

static void test_open_cast_file_gives_its_key(void **state)
{
	(void)state;
	assert_opens("cast-1.7.1.json");
}

static void test_open_geth_work_factors_give_the_key(void **state)
{
	(void)state;
	assert_opens("geth-light-by-ethers-6.json");
	assert_opens("geth-standard-by-ethers-6.json");
}

static void test_open_pbkdf2_gives_the_key(void **state)
{
	(void)state;
	assert_opens("pbkdf2-by-node.json");
}

static void test_describe_needs_no_password(void **state)
{
	(void)state;
	struct x402_keystore_info keystore = {0};
	char text[X402_ADDRESS_TEXT_SIZE];

	assert_int_equal(
		x402_keystore_describe(
			x402_span_str(fixture("geth-light-by-ethers-6.json")),
			NULL, &keystore),
		X402_OK);
	assert_true(keystore.has_address);
	x402_address_format(&keystore.address, text);
	assert_string_equal(text, ADDRESS);
	assert_int_equal(x402_keystore_describe(
				 x402_span_str(fixture("cast-1.7.1.json")),
				 NULL, &keystore),
		X402_OK);
	assert_false(keystore.has_address);
}

static void test_seal_opens_again_with_its_password_only(void **state)
{
	(void)state;
	static const uint8_t zero[32];
	struct x402_keystore_options quick = {.scrypt_log2_n = 12};
	struct x402_secret key;
	struct x402_secret got;
	struct x402_errinfo info = {{0}, {0}};
	char *one = NULL;
	char *two = NULL;

	assert_int_equal(x402_secret_parse(KEY_HEX, &key), X402_OK);
	assert_int_equal(x402_keystore_seal(&key, x402_span_str("p\xc3\xa4ss"),
				 &quick, &one),
		X402_OK);
	assert_int_equal(x402_keystore_seal(&key, x402_span_str("p\xc3\xa4ss"),
				 &quick, &two),
		X402_OK);
	/* Salt and counter are fresh each time. */
	assert_string_not_equal(one, two);
	assert_null(strstr(one, KEY_HEX));
	assert_int_equal(open_text(one, "p\xc3\xa4ss", &info, &got), X402_OK);
	assert_memory_equal(got.bytes, key.bytes, 32);
	assert_int_equal(open_text(one, "pass", &info, &got), X402_ERR_CRYPTO);
	assert_non_null(strstr(info.text, "wrong password"));
	assert_memory_equal(got.bytes, zero, 32);
	assert_int_equal(open_text(one, "", &info, &got), X402_ERR_CRYPTO);
	free(one);
	free(two);
}

static void test_seal_bad_work_factor_makes_none(void **state)
{
	(void)state;
	struct x402_keystore_options low = {.scrypt_log2_n = 11};
	struct x402_keystore_options high = {.scrypt_log2_n = 20};
	struct x402_secret key;
	struct x402_secret zero = {{0}};
	char *text = NULL;

	assert_int_equal(x402_secret_parse(KEY_HEX, &key), X402_OK);
	assert_int_equal(
		x402_keystore_seal(&key, x402_span_str("x"), &low, &text),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(
		x402_keystore_seal(&key, x402_span_str("x"), &high, &text),
		X402_ERR_INVALID_ARGUMENT);
	low.scrypt_log2_n = 12;
	assert_int_equal(
		x402_keystore_seal(&zero, x402_span_str("x"), &low, &text),
		X402_ERR_KEY);
	assert_null(text);
}

static void test_open_truncated_anywhere_is_an_error(void **state)
{
	(void)state;
	struct x402_secret got;
	char *text = fixture("cast-1.7.1.json");

	for (size_t len = 0; len + 1 < strlen(text); len++)
		assert_int_not_equal(
			x402_keystore_describe(x402_span(text, len), NULL,
				&(struct x402_keystore_info){0}),
			X402_OK);
	assert_int_equal(x402_keystore_open(x402_span(text, 100),
				 x402_span_str(PASSWORD), NULL, &got),
		X402_ERR_SYNTAX);
}

/* The fixture with one text in place of another. */
static char *with(const char *from, const char *to)
{
	char *text = fixture("pbkdf2-by-node.json");
	static char changed[8192];
	char *at = strstr(text, from);

	assert_non_null(at);
	(void)snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text),
		text, to, at + strlen(from));
	return changed;
}

static void assert_refused(const char *text, enum x402_err want)
{
	static const uint8_t zero[32];
	struct x402_secret got = {{1}};
	struct x402_errinfo info = {{0}, {0}};

	assert_int_equal(open_text(text, PASSWORD, &info, &got), want);
	assert_memory_equal(got.bytes, zero, 32);
	assert_true(info.text[0] != '\0');
}

static void test_open_other_form_is_refused_by_name(void **state)
{
	(void)state;
	assert_refused(
		with("\"version\":3", "\"version\":1"), X402_ERR_VERSION);
	assert_refused(
		with("aes-128-ctr", "aes-128-cbc"), X402_ERR_UNSUPPORTED);
	assert_refused(
		with("\"pbkdf2\"", "\"argon2id\""), X402_ERR_UNSUPPORTED);
	assert_refused(
		with("hmac-sha256", "hmac-sha512"), X402_ERR_UNSUPPORTED);
	assert_refused(
		with("\"dklen\":32", "\"dklen\":16"), X402_ERR_UNSUPPORTED);
	assert_refused(with("\"mac\":\"", "\"mac\":\"00"), X402_ERR_SCHEMA);
	assert_refused(with("\"crypto\"", "\"other\""), X402_ERR_SCHEMA);
	assert_refused("[]", X402_ERR_VERSION);
}

static void test_open_unbounded_work_is_refused(void **state)
{
	(void)state;
	assert_refused(with("\"c\":10240", "\"c\":10000001"), X402_ERR_RANGE);
	assert_refused(with("\"c\":10240", "\"c\":0"), X402_ERR_RANGE);
	/* 2^23 * 8: a gigabyte. */
	char text[1024];
	static const char *const params[] = {"\"n\":1048576,\"r\":8,\"p\":1",
		"\"n\":262144,\"r\":8,\"p\":17", "\"n\":262143,\"r\":8,\"p\":1",
		"\"n\":1,\"r\":8,\"p\":1", "\"n\":262144,\"r\":0,\"p\":1",
		"\"n\":-8,\"r\":8,\"p\":1"};
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		(void)snprintf(text, sizeof(text),
			"{\"version\":3,\"crypto\":{\"cipher\":\"aes-128-ctr\","
			"\"kdf\":\"scrypt\",\"kdfparams\":{\"dklen\":32,"
			"\"salt\":\"00\",%s}}}",
			params[i]);
		assert_refused(text, X402_ERR_RANGE);
	}
}

static void test_open_key_of_another_address_is_a_conflict(void **state)
{
	(void)state;
	assert_refused(with("\"version\":3",
			       "\"address\":"
			       "\"90f79bf6eb2c4f870365e785982e1f101e93b906\","
			       "\"version\":3"),
		X402_ERR_CONFLICT);
}

static void test_solana_seal_opens_as_solana_only(void **state)
{
	(void)state;
	struct x402_keystore_options quick = {.scrypt_log2_n = 12};
	struct x402_keystore_info keystore = {0};
	struct x402_errinfo info = {{0}, {0}};
	struct x402_svm_secret key;
	struct x402_svm_secret got;
	struct x402_secret evm;
	static const uint8_t seed32[32] = {1, 2, 3};
	char address[X402_PUBKEY_TEXT_SIZE];
	char *text = NULL;

	assert_int_equal(x402_svm_secret_from_seed(seed32, &key), X402_OK);
	struct x402_pubkey pubkey = x402_svm_secret_pubkey(&key);
	x402_pubkey_format(&pubkey, address);
	assert_int_equal(x402_keystore_seal_solana(
				 &key, x402_span_str("p"), &quick, &text),
		X402_OK);
	/* No tool of Ethereum takes it for its own. */
	assert_null(strstr(text, "\"version\""));
	assert_int_equal(
		x402_keystore_describe(x402_span_str(text), &info, &keystore),
		X402_OK);
	assert_string_equal(keystore.solana_address, address);
	assert_false(keystore.has_address);
	assert_int_equal(x402_keystore_open_solana(x402_span_str(text),
				 x402_span_str("p"), &info, &got),
		X402_OK);
	assert_memory_equal(&got, &key, sizeof(key));
	assert_int_equal(x402_keystore_open_solana(x402_span_str(text),
				 x402_span_str("q"), &info, &got),
		X402_ERR_CRYPTO);
	assert_int_equal(
		open_text(text, "p", &info, &evm), X402_ERR_UNSUPPORTED);
	assert_int_equal(x402_keystore_open_solana(
				 x402_span_str(fixture("cast-1.7.1.json")),
				 x402_span_str(PASSWORD), &info, &got),
		X402_ERR_UNSUPPORTED);
	/* Another address than the seed's: one digit of base58 for another. */
	char *at = strstr(text, address);
	assert_non_null(at);
	at[5] = at[5] == 'A' ? 'B' : 'A';
	assert_int_equal(x402_keystore_open_solana(x402_span_str(text),
				 x402_span_str("p"), &info, &got),
		X402_ERR_CONFLICT);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_cast_file_gives_its_key),
		cmocka_unit_test(test_open_geth_work_factors_give_the_key),
		cmocka_unit_test(test_open_pbkdf2_gives_the_key),
		cmocka_unit_test(test_describe_needs_no_password),
		cmocka_unit_test(test_seal_opens_again_with_its_password_only),
		cmocka_unit_test(test_seal_bad_work_factor_makes_none),
		cmocka_unit_test(test_open_truncated_anywhere_is_an_error),
		cmocka_unit_test(test_open_other_form_is_refused_by_name),
		cmocka_unit_test(test_open_unbounded_work_is_refused),
		cmocka_unit_test(
			test_open_key_of_another_address_is_a_conflict),
		cmocka_unit_test(test_solana_seal_opens_as_solana_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
