/*
 * Solana's keys: base58, the curve and associated token accounts against
 * tests/vectors/svm, wallets in both their texts, and mints with extensions.
 */
#include <stdio.h>

#include "cmocka_house.h"
#include "x402/scheme.h"
#include "x402/svm.h"

#define TEXT_MAX (512 * 1024)
#define USDC     "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"

static char *read_vectors(const char *name)
{
	const char *root = getenv("X402_VECTORS_DIR");
	char *text = calloc(1, TEXT_MAX);
	char path[4096];
	FILE *file;

	assert_non_null(root);
	assert_non_null(text);
	snprintf(path, sizeof(path), "%s/svm/%s", root, name);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_in_range(fread(text, 1, TEXT_MAX - 1, file), 1, TEXT_MAX - 2);
	(void)fclose(file); /* only read */
	return text;
}

static struct x402_pubkey key_of(const char *text)
{
	struct x402_pubkey key;

	assert_int_equal(x402_pubkey_parse(text, &key), X402_OK);
	return key;
}

/* ---- Base58. ---- */

static void test_base58_known_keys_come_back(void **state)
{
	static const char *const texts[] = {"11111111111111111111111111111111",
		USDC, "ComputeBudget111111111111111111111111111111",
		"JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct x402_pubkey key = key_of(texts[i]);
		char again[X402_PUBKEY_TEXT_SIZE];

		x402_pubkey_format(&key, again);
		assert_string_equal(again, texts[i]);
	}
}

static void test_base58_other_texts_are_refused(void **state)
{
	static const char *const texts[] = {NULL, "", "1",
		/* 31 and 33 bytes */
		"1111111111111111111111111111111",
		"111111111111111111111111111111111",
		/* digits that are none */
		"0zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
		"OzMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
		"IzMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
		"lzMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
		" 4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
		"4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU ",
		/* a zero byte too many in front */
		"14zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
		/* 2^256 */
		"JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFH",
		"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"};
	struct x402_pubkey key = {{7}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(
			x402_pubkey_parse(texts[i], &key), X402_ERR_SYNTAX);
	assert_int_equal(key.bytes[0], 7);
}

/* ---- The curve, accounts. ---- */

static void test_curve_says_what_the_runtime_says(void **state)
{
	char *text = read_vectors("curve-vectors.txt");
	char *line = text;
	size_t lines = 0;

	(void)state;
	while (*line) {
		struct x402_pubkey key;
		char hex[67] = "0x";
		char class[64];
		int on_curve;

		assert_int_equal(
			sscanf(line, "%63s %64s %d", class, hex + 2, &on_curve),
			3);
		hex_fixed(hex, key.bytes, 32);
		if (x402_pubkey_on_curve(&key) != (on_curve == 1))
			fail_msg("%s %s", class, hex);
		lines++;
		line = strchr(line, '\n') + 1;
	}
	assert_int_equal(lines, 3890);
	free(text);
}

static void test_ata_matches_the_vectors(void **state)
{
	char *text = read_vectors("ata-vectors.json");
	struct x402_json *list = NULL;

	(void)state;
	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &list),
		X402_OK);
	assert_int_equal(x402_json_size(list), 100);
	for (size_t i = 0; i < 100; i++) {
		const struct x402_json *row = x402_json_at(list, i);
		struct x402_pubkey owner = key_of(
			x402_json_get_string(row, "owner"));
		struct x402_pubkey program = key_of(
			x402_json_get_string(row, "tokenProgram"));
		struct x402_pubkey mint = key_of(
			x402_json_get_string(row, "mint"));
		struct x402_pubkey ata;
		char ata_text[X402_PUBKEY_TEXT_SIZE];
		int64_t expected;
		uint8_t bump;

		assert_true(
			x402_json_int64(x402_json_get(row, "bump"), &expected));
		assert_true(x402_svm_ata(&owner, &program, &mint, &ata, &bump));
		x402_pubkey_format(&ata, ata_text);
		assert_string_equal(ata_text, x402_json_get_string(row, "ata"));
		assert_int_equal(bump, expected);
	}
	x402_json_unref(list);
	free(text);
}

/* ---- Wallets. ---- */

#define NUMBERS(last)                                                       \
	"[2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2," \
	"129,57,119,14,168,125,23,95,86,163,84,102,195,76,126,204,203,141," \
	"138,145,180,238,55,162,93,246,15,91,143,201,179," last

static void test_secret_both_texts_are_one_key(void **state)
{
	uint8_t seed[32];
	struct x402_svm_secret made;
	struct x402_svm_secret read;
	struct x402_pubkey key;
	char text[X402_SVM_SIGNATURE_TEXT_SIZE];

	(void)state;
	memset(seed, 2, sizeof(seed));
	assert_int_equal(x402_svm_secret_from_seed(seed, &made), X402_OK);
	key = x402_svm_secret_pubkey(&made);
	x402_pubkey_format(&key, text);
	assert_string_equal(
		text, "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu");
	assert_int_equal(
		x402_svm_secret_parse(NUMBERS(" 148 ]\n"), &read), X402_OK);
	assert_memory_equal(&read, &made, sizeof(made));
	x402_base58_encode(made.seed_and_key64, 64, text);
	memset(&read, 0, sizeof(read));
	assert_int_equal(x402_svm_secret_parse(text, &read), X402_OK);
	assert_memory_equal(&read, &made, sizeof(made));
	x402_svm_secret_clear(&read);
	x402_svm_secret_clear(NULL);
	assert_int_equal(read.seed_and_key64[0], 0);
}

static void test_secret_other_texts_are_refused(void **state)
{
	static const char *const texts[] = {NULL, "", "[]", "[1,2,3]",
		NUMBERS("148"), NUMBERS("148,1]"), NUMBERS("256]"),
		NUMBERS("-1]"), NUMBERS("1.5]"), NUMBERS("0148148]"),
		NUMBERS("148]x"), NUMBERS("]"), USDC,
		"0x0202020202020202020202020202020202020202020202020202020202"};
	struct x402_svm_secret secret;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(x402_svm_secret_parse(texts[i], &secret),
			X402_ERR_SYNTAX);
	/* A public half of another key: signing with it would leak the seed. */
	assert_int_equal(
		x402_svm_secret_parse(NUMBERS("149]"), &secret), X402_ERR_KEY);
}

static void test_signature_of_another_is_none(void **state)
{
	uint8_t seed[32] = {5};
	uint8_t sig[64];
	struct x402_svm_secret secret;
	struct x402_pubkey key;
	struct x402_pubkey small = {{1}}; /* the neutral element */

	(void)state;
	assert_int_equal(x402_svm_secret_from_seed(seed, &secret), X402_OK);
	key = x402_svm_secret_pubkey(&secret);
	assert_int_equal(
		x402_ed25519_sign(&secret, x402_span_str("pay"), sig), X402_OK);
	assert_true(x402_ed25519_verify(sig, x402_span_str("pay"), &key));
	assert_false(x402_ed25519_verify(sig, x402_span_str("paz"), &key));
	sig[0] ^= 1;
	assert_false(x402_ed25519_verify(sig, x402_span_str("pay"), &key));
	sig[0] ^= 1;
	sig[63] |= 0xe0; /* s above the order: a second encoding */
	assert_false(x402_ed25519_verify(sig, x402_span_str("pay"), &key));
	/* A key of small order would sign everything with R = 1, s = 0. */
	memset(sig, 0, sizeof(sig));
	sig[0] = 1;
	assert_false(x402_ed25519_verify(sig, x402_span_str("pay"), &small));
}

/* ---- Mints. ---- */

/* A mint of Token-2022 with one extension. */
static size_t mint_with(uint8_t data[512], unsigned type, size_t len)
{
	memset(data, 0, 512);
	data[44] = 6;
	data[45] = 1;
	data[165] = 1;
	data[166] = (uint8_t)type;
	data[168] = (uint8_t)len;
	return 170 + len;
}

static enum x402_err read_mint(
	const struct x402_pubkey *owner, const uint8_t *data, size_t len)
{
	struct x402_svm_mint mint = {.decimals = 99};
	enum x402_err err = x402_svm_mint_read(
		owner, x402_span(data, len), &mint);

	assert_int_equal(mint.decimals, err ? 99 : 6);
	return err;
}

static void test_mint_of_both_programs_is_read(void **state)
{
	uint8_t data[512];
	size_t len = mint_with(data, 1, 108);

	(void)state;
	assert_int_equal(read_mint(&x402_svm_token_program, data, 82), X402_OK);
	assert_int_equal(
		read_mint(&x402_svm_token_2022_program, data, 82), X402_OK);
	/* A fee of nothing, an unset hook, an extension of another kind. */
	assert_int_equal(
		read_mint(&x402_svm_token_2022_program, data, len), X402_OK);
	len = mint_with(data, 14, 64);
	assert_int_equal(
		read_mint(&x402_svm_token_2022_program, data, len), X402_OK);
	len = mint_with(data, 12, 32);
	assert_int_equal(
		read_mint(&x402_svm_token_2022_program, data, len), X402_OK);
}

/* demands.md 29 */
static void test_mint_that_keeps_a_fee_is_refused(void **state)
{
	uint8_t data[512];
	size_t len = mint_with(data, 1, 108);

	(void)state;
	data[170 + 72 + 16] = 1;
	assert_int_equal(read_mint(&x402_svm_token_2022_program, data, len),
		X402_ERR_POLICY);
	data[170 + 72 + 16] = 0;
	data[170 + 90 + 17] = 1; /* from a later epoch on */
	assert_int_equal(read_mint(&x402_svm_token_2022_program, data, len),
		X402_ERR_POLICY);
	len = mint_with(data, 14, 64);
	data[170 + 32] = 9;
	assert_int_equal(read_mint(&x402_svm_token_2022_program, data, len),
		X402_ERR_POLICY);
}

static void test_mint_that_is_none_is_refused(void **state)
{
	uint8_t data[512];
	size_t len = mint_with(data, 1, 107); /* not a fee config */

	(void)state;
	assert_int_equal(read_mint(&x402_svm_token_2022_program, data, len),
		X402_ERR_SCHEMA);
	assert_int_equal(
		read_mint(&x402_svm_token_program, data, len), X402_ERR_SCHEMA);
	assert_int_equal(
		read_mint(&x402_svm_memo_program, data, 82), X402_ERR_SCHEMA);
	assert_int_equal(read_mint(&x402_svm_token_2022_program, data, 81),
		X402_ERR_SCHEMA);
	/* The extension reaches past the end. */
	len = mint_with(data, 1, 108);
	assert_int_equal(read_mint(&x402_svm_token_2022_program, data, len - 1),
		X402_ERR_SCHEMA);
	data[165] = 2; /* a token account */
	assert_int_equal(read_mint(&x402_svm_token_2022_program, data, len),
		X402_ERR_SCHEMA);
	data[45] = 0; /* never initialized */
	assert_int_equal(
		read_mint(&x402_svm_token_program, data, 82), X402_ERR_SCHEMA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base58_known_keys_come_back),
		cmocka_unit_test(test_base58_other_texts_are_refused),
		cmocka_unit_test(test_curve_says_what_the_runtime_says),
		cmocka_unit_test(test_ata_matches_the_vectors),
		cmocka_unit_test(test_secret_both_texts_are_one_key),
		cmocka_unit_test(test_secret_other_texts_are_refused),
		cmocka_unit_test(test_signature_of_another_is_none),
		cmocka_unit_test(test_mint_of_both_programs_is_read),
		cmocka_unit_test(test_mint_that_keeps_a_fee_is_refused),
		cmocka_unit_test(test_mint_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
