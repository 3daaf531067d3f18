/*
 * Signing in at a site (E-SIWX), the buyer's side: which account, what text,
 * and what is never signed. Signatures are checked here by libx402; a site
 * that judges them by the reference's code is in tests/svm/interop.test.mjs
 * and tests/interop/hostile.test.mjs.
 */
#include "cmocka_house.h"

#include "client_p.h"
#include "sign_in_p.h"
#include "x402/session.h"

#define HOST   "shop.example"
#define EVM    "eip155:84532"
#define SOLANA "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"

struct bench {
	struct x402__keyring *evm_keyring;
	struct x402__keyring *svm_keyring;
	struct x402_client_signer evm;
	struct x402_client_svm_signer svm;
	struct x402__http_url url;
	char address[X402_PUBKEY_TEXT_SIZE];
};

static int set_up(void **state)
{
	static const uint8_t seed32[32] = {7};
	struct bench *bench = calloc(1, sizeof(*bench));
	struct x402_secret key;
	struct x402_svm_secret svm_key;

	*state = bench;
	if (!bench || !x402__random_init() ||
		x402_secret_parse("0x5de4111afa1a4b94908f83103eb1f1706367c2e68c"
				  "a870fc3fb9a804cdab365a",
			&key) ||
		x402__keyring_new(&key, &bench->evm_keyring, &bench->evm) ||
		x402_svm_secret_from_seed(seed32, &svm_key) ||
		x402__svm_keyring_new(
			&svm_key, &bench->svm_keyring, &bench->svm) ||
		x402__http_url_parse("https://" HOST "/a?b", &bench->url))
		return -1;
	x402_pubkey_format(&bench->svm.address, bench->address);
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	x402__keyring_free(bench->evm_keyring);
	x402__keyring_free(bench->svm_keyring);
	x402__http_url_clear(&bench->url);
	free(bench);
	return 0;
}

#define CHAIN(id, type) "{\"chainId\":\"" id "\",\"type\":\"" type "\"}"
#define TIMES           "\"issuedAt\":\"2026-11-21T05:30:00.000Z\""
#define PLACE           "\"domain\":\"" HOST "\",\"uri\":\"https://" HOST "/a\","
#define REST            "\"version\":\"1\",\"nonce\":\"0123456789abcdef\"," TIMES

/* What the site asks for, and what the buyer does about it. */
static enum x402_err answer(const struct x402__sign_in_ask *who,
	const char *details, const char *chains, struct x402_json **ret_proof)
{
	struct x402_payment_required required = {0};
	struct x402__sign_in_ask ask = *who;
	struct x402_errinfo info = {{0}, {0}};
	struct x402_json *json = NULL;
	struct x402_buf text = {0};
	char *header = NULL;

	x402_buf_printf(&text,
		"{\"extensions\":{\"sign-in-with-x\":{\"info\":{%s},"
		"\"supportedChains\":[%s]}}}",
		details, chains);
	assert_int_equal(
		x402_json_parse(x402_buf_span(&text), NULL, NULL, &json),
		X402_OK);
	required.json = json;
	ask.required = &required;
	enum x402_err err = x402__sign_in(&ask, &info, &header);
	if (!err)
		assert_int_equal(x402_header_decode(x402_span_str(header), NULL,
					 ret_proof),
			X402_OK);
	else
		assert_null(header);
	free(header);
	x402_buf_clear(&text);
	x402_json_unref(json);
	return err;
}

static void assert_field(
	const struct x402_json *proof, const char *key, const char *value)
{
	const char *got = x402_json_get_string(proof, key);

	assert_non_null(got);
	assert_string_equal(got, value);
}

static void assert_signed_by_svm(const struct bench *bench,
	const struct x402_json *proof, const char *text)
{
	uint8_t sig64[64];

	assert_int_equal(
		x402_base58_decode(x402_json_get_string(proof, "signature"),
			sig64, sizeof(sig64)),
		X402_OK);
	assert_true(x402_ed25519_verify(
		sig64, x402_span_str(text), &bench->svm.address));
}

static void test_sign_in_solana_signs_the_text_of_its_twin(void **state)
{
	struct bench *bench = *state;
	struct x402__sign_in_ask who = {
		.url = &bench->url, .svm_signer = &bench->svm};
	struct x402_json *proof = NULL;
	struct x402_buf text = {0};
	char *written;

	assert_int_equal(
		answer(&who,
			PLACE REST
			",\"statement\":\"Come in\",\"expirationTime\":"
			"\"2026-11-21T05:35:00.000Z\",\"requestId\":\"r\","
			"\"resources\":[\"https://" HOST "/a\"]",
			"{\"chainId\":\"" SOLANA "\",\"type\":\"ed25519\","
			"\"signatureScheme\":\"siws\"}",
			&proof),
		X402_OK);
	x402_buf_printf(&text,
		HOST " wants you to sign in with your Solana account:\n%s\n\n"
		     "Come in\n\nURI: https://" HOST "/a\nVersion: 1\n"
		     "Chain ID: %s\nNonce: 0123456789abcdef\n"
		     "Issued At: 2026-11-21T05:30:00.000Z\n"
		     "Expiration Time: 2026-11-21T05:35:00.000Z\n"
		     "Request ID: r\nResources:\n- https://" HOST "/a",
		bench->address, &SOLANA[7]);
	written = x402_buf_take_str(&text);
	assert_signed_by_svm(bench, proof, written);
	assert_field(proof, "address", bench->address);
	assert_field(proof, "chainId", SOLANA);
	assert_field(proof, "type", "ed25519");
	assert_field(proof, "signatureScheme", "siws");
	assert_field(proof, "nonce", "0123456789abcdef");
	assert_field(proof, "statement", "Come in");
	free(written);
	x402_json_unref(proof);
}

static void test_sign_in_without_statement_leaves_its_lines_out(void **state)
{
	struct bench *bench = *state;
	struct x402__sign_in_ask who = {
		.url = &bench->url, .svm_signer = &bench->svm};
	struct x402_json *proof = NULL;
	struct x402_buf text = {0};
	char *written;

	assert_int_equal(
		answer(&who, PLACE REST, CHAIN(SOLANA, "ed25519"), &proof),
		X402_OK);
	x402_buf_printf(&text,
		HOST " wants you to sign in with your Solana account:\n%s\n\n"
		     "URI: https://" HOST "/a\nVersion: 1\nChain ID: %s\n"
		     "Nonce: 0123456789abcdef\n"
		     "Issued At: 2026-11-21T05:30:00.000Z",
		bench->address, &SOLANA[7]);
	written = x402_buf_take_str(&text);
	assert_signed_by_svm(bench, proof, written);
	assert_false(x402_json_has(proof, "signatureScheme"));
	free(written);
	x402_json_unref(proof);
}

static void test_sign_in_is_by_the_account_that_would_pay(void **state)
{
	struct bench *bench = *state;
	static const struct {
		const char *chains;
		const char *network;
		const char *signs;
	} rows[] = {
		{CHAIN(EVM, "eip191") "," CHAIN(SOLANA, "ed25519"), SOLANA,
			SOLANA},
		{CHAIN(SOLANA, "ed25519") "," CHAIN(EVM, "eip191"), EVM, EVM},
		{CHAIN("eip155:1", "eip191") "," CHAIN(EVM, "eip191"), EVM,
			EVM},
		/* It would pay elsewhere, or nowhere: as the site has it. */
		{CHAIN(EVM, "eip191") "," CHAIN(SOLANA, "ed25519"),
			"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", EVM},
		{CHAIN(SOLANA, "ed25519") "," CHAIN(EVM, "eip191"), NULL,
			SOLANA},
		/* Not one that cannot sign so. */
		{CHAIN(SOLANA, "eip191") "," CHAIN(EVM, "eip191"), SOLANA, EVM},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct x402__sign_in_ask who = {.url = &bench->url,
			.signer = &bench->evm,
			.svm_signer = &bench->svm,
			.network = rows[i].network};
		struct x402_json *proof = NULL;

		assert_int_equal(
			answer(&who, PLACE REST, rows[i].chains, &proof),
			X402_OK);
		assert_field(proof, "chainId", rows[i].signs);
		assert_field(proof, "type",
			strncmp(rows[i].signs, "solana:", 7) == 0 ? "ed25519"
								  : "eip191");
		x402_json_unref(proof);
	}
}

static enum x402_err never(
	void *user, const char *text, struct x402_buf *ret_signature)
{
	(void)user;
	(void)text;
	(void)ret_signature;
	fail_msg("something was signed");
	return X402_ERR_INTERNAL;
}

static void test_sign_in_without_an_account_is_none(void **state)
{
	struct bench *bench = *state;
	struct x402_client_svm_signer mute = bench->svm;
	static const char *const chains[] = {"", CHAIN(EVM, "eip191"),
		CHAIN(SOLANA, "eip191"), CHAIN("solana:", "ed25519"),
		CHAIN("solana:a b", "ed25519"), CHAIN("solana", "ed25519"),
		CHAIN("bip122:000000000019d6689c085ae165831e93", "ed25519"),
		"{\"chainId\":\"" SOLANA "\"}", "{\"type\":\"ed25519\"}",
		"{\"chainId\":\"" SOLANA "\",\"type\":\"ed25519\","
		"\"signatureScheme\":\"eip191\"}"};

	bench->svm.sign_text = never;
	mute.sign_text = NULL;
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		struct x402__sign_in_ask who = {
			.url = &bench->url, .svm_signer = &bench->svm};
		struct x402_json *proof = NULL;

		assert_int_equal(answer(&who, PLACE REST, chains[i], &proof),
			X402_ERR_NOT_FOUND);
	}
	struct x402__sign_in_ask silent = {
		.url = &bench->url, .svm_signer = &mute};
	struct x402__sign_in_ask nobody = {.url = &bench->url};
	struct x402_json *proof = NULL;
	assert_int_equal(
		answer(&silent, PLACE REST, CHAIN(SOLANA, "ed25519"), &proof),
		X402_ERR_NOT_FOUND);
	assert_int_equal(
		answer(&nobody, PLACE REST, CHAIN(SOLANA, "ed25519"), &proof),
		X402_ERR_NOT_FOUND);
}

static void test_sign_in_for_another_site_is_never_signed(void **state)
{
	struct bench *bench = *state;
	struct x402__sign_in_ask who = {
		.url = &bench->url, .svm_signer = &bench->svm};
	static const struct {
		const char *details;
		enum x402_err err;
	} rows[] = {
		{"\"domain\":\"bank.example\",\"uri\":\"https://" HOST
		 "/a\"," REST,
			X402_ERR_POLICY},
		{"\"domain\":\"" HOST
		 "\",\"uri\":\"https://bank.example/\"," REST,
			X402_ERR_POLICY},
		{"\"domain\":\"" HOST ":8443\",\"uri\":\"https://" HOST
		 "/a\"," REST,
			X402_ERR_POLICY},
		{"\"domain\":\"" HOST "\",\"uri\":\"https://" HOST
		 "@bank.example/\"," REST,
			X402_ERR_POLICY},
		{"\"domain\":\"" HOST "\"," REST, X402_ERR_SCHEMA},
		{"\"uri\":\"https://" HOST "/a\"," REST, X402_ERR_SCHEMA},
	};

	bench->svm.sign_text = never;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct x402_json *proof = NULL;
		enum x402_err err = answer(&who, rows[i].details,
			CHAIN(SOLANA, "ed25519"), &proof);

		if (err != rows[i].err)
			fail_msg("row %zu: %d", i, err);
	}
}

static void test_sign_in_with_a_line_of_its_own_is_never_signed(void **state)
{
	struct bench *bench = *state;
	struct x402__sign_in_ask who = {
		.url = &bench->url, .svm_signer = &bench->svm};
	static const char *const rows[] = {
		PLACE "\"version\":\"2\",\"nonce\":\"01234567\"," TIMES,
		PLACE "\"version\":\"1\"," TIMES,
		PLACE "\"version\":\"1\",\"nonce\":\"01234567\"",
		PLACE "\"version\":\"1\",\"nonce\":\"\"," TIMES,
		PLACE REST
		",\"statement\":\"a\\n\\nURI: https://bank.example\"",
		PLACE REST ",\"requestId\":\"a\\nNonce: 1\"",
		PLACE REST ",\"expirationTime\":\"a\\nb\"",
		PLACE REST ",\"notBefore\":\"a\\rb\"",
		PLACE REST ",\"resources\":[\"a\\n- b\"]",
		PLACE REST ",\"resources\":[1]",
	};

	bench->svm.sign_text = never;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct x402_json *proof = NULL;
		enum x402_err err = answer(
			&who, rows[i], CHAIN(SOLANA, "ed25519"), &proof);

		if (err != X402_ERR_SCHEMA)
			fail_msg("row %zu: %d", i, err);
	}
}

static enum x402_err too_short(
	void *user, const char *text, struct x402_buf *ret_signature)
{
	uint8_t bytes[63] = {1};

	(void)user;
	(void)text;
	x402_buf_add(ret_signature, x402_span(bytes, sizeof(bytes)));
	return X402_OK;
}

static void test_sign_in_of_another_length_is_not_sent(void **state)
{
	struct bench *bench = *state;
	struct x402__sign_in_ask who = {
		.url = &bench->url, .svm_signer = &bench->svm};
	struct x402_json *proof = NULL;

	bench->svm.sign_text = too_short;
	assert_int_equal(
		answer(&who, PLACE REST, CHAIN(SOLANA, "ed25519"), &proof),
		X402_ERR_CRYPTO);
}

static void test_key_of_solana_signs_no_transaction_as_a_text(void **state)
{
	struct bench *bench = *state;
	struct x402_buf signature = {0};
	/* A legacy message, a version, an off-chain message, nothing. */
	static const char *const rows[] = {
		"\x01\x02\x03", "\x80\x01", "\xffsolana offchain", "", " a"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(bench->svm.sign_text(
					 bench->svm.user, rows[i], &signature),
			X402_ERR_SYNTAX);
	assert_int_equal(signature.len, 0);
}

#define HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOUSE(test_sign_in_solana_signs_the_text_of_its_twin),
		HOUSE(test_sign_in_without_statement_leaves_its_lines_out),
		HOUSE(test_sign_in_is_by_the_account_that_would_pay),
		HOUSE(test_sign_in_without_an_account_is_none),
		HOUSE(test_sign_in_for_another_site_is_never_signed),
		HOUSE(test_sign_in_with_a_line_of_its_own_is_never_signed),
		HOUSE(test_sign_in_of_another_length_is_not_sent),
		HOUSE(test_key_of_solana_signs_no_transaction_as_a_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
