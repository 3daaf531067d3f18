/*
 * Sign-ins by a signer process: what of a text is signed, for whom, and that a
 * session goes where its wallet has sent it. The other end, a site that checks
 * the proofs by the reference's code, is tests/interop/hostile.test.mjs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_house.h"
#include "scratch_house.h"
#include "signer_sign_in_p.h"
#include "x402/encoding.h"
#include "x402/signer.h"

#define KEY   "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
#define PAYER "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
/* 2026-11-21T05:30:00Z */
#define NOW 1795239000u

#define HEAD                                                    \
	"shop.example wants you to sign in with your Ethereum " \
	"account:\n" PAYER "\n\n"
#define FIELDS                                                             \
	"\nURI: https://shop.example/login\nVersion: 1\nChain ID: 84532\n" \
	"Nonce: 0123456789abcdef\nIssued At: 2026-11-21T05:29:58.250Z"
static const char plain[] = HEAD FIELDS;
static const char whole[] = HEAD
	"To read what you bought\n" FIELDS
	"\nExpiration Time: 2026-11-21T05:35:00Z\nNot Before: x\nRequest ID: 7"
	"\nResources:\n- https://shop.example/a\n- ipfs://b";

struct bench {
	char directory[40];
	struct x402_signer *key;
	struct x402_signer_core *core;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct x402_secret key;
	(void)snprintf(bench->directory, sizeof(bench->directory), "%s",
		"/tmp/x402-sign-in-XXXXXX");
	*state = bench;
	return !mkdtemp(bench->directory) || x402_secret_parse(KEY, &key) ||
			x402_signer_from_key(&key, &bench->key)
		? -1
		: 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	x402_signer_core_free(bench->core);
	x402_signer_free(bench->key);
	scratch_remove_tree(bench->directory);
	free(bench);
	return 0;
}

static void make_core(
	struct bench *bench, const struct x402_session_scope *policy)
{
	struct x402_signer_core_options options = {
		.wallet = x402_signer_client(bench->key),
		.svm_wallet = x402_signer_svm_client(bench->key),
		.policy = *policy,
		.state_directory = bench->directory};
	assert_int_equal(
		x402_signer_core_new(&options, NULL, &bench->core), X402_OK);
}

/* ---- Lines. ---- */

static struct x402_json *with(
	struct x402_json *json, const char *key, const char *text)
{
	assert_int_equal(x402_json_set_string(json, key, text), X402_OK);
	return json;
}

static struct x402_json *answer_to(
	struct bench *bench, struct x402_json *line_taken)
{
	struct x402_buf buf = {0};
	struct x402_json *answer = NULL;
	char *text = x402_json_dump(line_taken);
	x402_signer_core_answer(bench->core, x402_span_str(text), NOW, &buf);
	assert_int_equal(
		x402_json_parse(x402_buf_span(&buf), NULL, NULL, &answer),
		X402_OK);
	x402_buf_clear(&buf);
	free(text);
	x402_json_unref(line_taken);
	return answer;
}

static struct x402_json *line_of(const char *text)
{
	struct x402_json *body = with(x402_json_new_object(), "text", text);
	char *dumped = x402_json_dump(body);
	struct x402_json *line = with(
		with(x402_json_new_object(), "op", "sign-in"), "body", dumped);
	free(dumped);
	x402_json_unref(body);
	return line;
}

static void assert_refused_by(struct x402_json *answer_taken, const char *word)
{
	const char *message = x402_json_get_string(answer_taken, "message");
	assert_false(x402_json_has(answer_taken, "signature"));
	assert_non_null(message);
	if (!strstr(message, word))
		fail_msg("expected \"%s\", got \"%s\"", word, message);
	x402_json_unref(answer_taken);
}

static void assert_signed(struct x402_json *answer_taken, const char *text)
{
	uint8_t sig65[65];
	uint8_t digest32[32];
	struct x402_address who;
	char address[X402_ADDRESS_TEXT_SIZE];
	x402_session_text_digest("", x402_span_str(text), digest32);
	assert_int_equal(
		x402_hex_decode_fixed(
			x402_json_get_string(answer_taken, "signature"), sig65,
			sizeof(sig65)),
		X402_OK);
	assert_int_equal(x402_recover_address(digest32, sig65, &who), X402_OK);
	x402_address_format(&who, address);
	assert_string_equal(address, PAYER);
	assert_string_equal(
		x402_json_get_string(answer_taken, "kind"), "sign-in");
	assert_string_equal(
		x402_json_get_string(answer_taken, "domain"), "shop.example");
	x402_json_unref(answer_taken);
}

/* ---- Texts. ---- */

static void test_sign_in_is_signed_where_the_policy_has_it(void **state)
{
	struct x402_session_scope policy = {.sign_in = true};
	make_core(*state, &policy);
	assert_signed(answer_to(*state, line_of(plain)), plain);
	assert_signed(answer_to(*state, line_of(whole)), whole);
}

static void test_sign_in_without_leave_is_refused(void **state)
{
	struct x402_session_scope policy = {.max_usd_micros = 1000};
	make_core(*state, &policy);
	assert_refused_by(
		answer_to(*state, line_of(plain)), "not in the scope");
}

static void test_sign_in_outside_the_policy_is_refused(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope hosts = {.sign_in = true};
	struct x402_session_scope networks = {.sign_in = true};
	struct x402_session_scope over = {
		.sign_in = true, .expires_unix_s = NOW};
	assert_int_equal(
		x402_session_scope_host(&hosts, "other.example"), X402_OK);
	assert_int_equal(
		x402_session_scope_network(&networks, "eip155:8453"), X402_OK);
	make_core(bench, &hosts);
	assert_refused_by(answer_to(bench, line_of(plain)), "this host");
	x402_signer_core_free(bench->core);
	make_core(bench, &networks);
	assert_refused_by(answer_to(bench, line_of(plain)), "this network");
	x402_signer_core_free(bench->core);
	make_core(bench, &over);
	assert_refused_by(answer_to(bench, line_of(plain)), "expired");
}

static void test_text_that_is_no_sign_in_is_refused(void **state)
{
	static const struct {
		const char *text;
		const char *word;
	} cases[] = {
		{"", "wants you"},
		{"Send me all", "wants you"},
		{"x402 session grant 1\n{\"id\":\"1\"}", "wants you"},
		{"shop.example wants you to sign in with your Solana account:"
		 "\n" PAYER "\n\n" FIELDS,
			"wallet"},
		{" wants you to sign in with your Ethereum account:\n" PAYER
		 "\n\n" FIELDS,
			"wants you"},
		{"a\"b wants you to sign in with your Ethereum account:\n" PAYER
		 "\n\n" FIELDS,
			"wants you"},
		{"shop.example wants you to sign in with your Ethereum "
		 "account:"
		 "\n0x90F79bf6EB2c4f870365E785982E1f101E93b906\n\n" FIELDS,
			"wallet"},
		{HEAD "\nx", "URI"},
		{HEAD "a statement" FIELDS, "statement"},
		{HEAD "one\ntwo\n" FIELDS, "statement"},
		{HEAD "URI: https://bank.example/\n" FIELDS, "statement"},
		{HEAD FIELDS "\n", "last line"},
		{HEAD "bell \a\n" FIELDS, "control"},
		{HEAD FIELDS "\nURI: https://bank.example/", "nothing more"},
		{HEAD FIELDS "\nRequest ID: 1\nNot Before: 2", "nothing more"},
		{HEAD FIELDS "\nResources:\n- a\nb", "resources"},
		{HEAD "\nURI: https://bank.example/\nVersion: 1\nChain ID: 1\n"
		      "Nonce: 1\nIssued At: 2026-11-21T05:29:58Z",
			"not at its domain"},
		{HEAD "\nURI: https://shop.example@bank.example/\nVersion: 1\n"
		      "Chain ID: 1\nNonce: 1\nIssued At: 2026-11-21T05:29:58Z",
			"not at its domain"},
		{HEAD "\nURI: https://shop.example/\nVersion: 2\nChain ID: 1\n"
		      "Nonce: 1\nIssued At: 2026-11-21T05:29:58Z",
			"Version"},
		{HEAD "\nURI: https://shop.example/\nVersion: 1\nChain ID: x\n"
		      "Nonce: 1\nIssued At: 2026-11-21T05:29:58Z",
			"Chain ID"},
		{HEAD "\nURI: https://shop.example/\nVersion: 1\nChain ID: 1\n"
		      "Issued At: 2026-11-21T05:29:58Z",
			"Nonce"},
	};
	struct x402_session_scope policy = {.sign_in = true};
	make_core(*state, &policy);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused_by(answer_to(*state, line_of(cases[i].text)),
			cases[i].word);
}

/* ---- An account of Solana. ---- */

static struct x402_pubkey add_svm_key(struct bench *bench)
{
	static const uint8_t seed32[32] = {5};
	struct x402_svm_secret key;
	assert_int_equal(x402_svm_secret_from_seed(seed32, &key), X402_OK);
	assert_int_equal(x402_signer_add_svm_key(bench->key, &key), X402_OK);
	return x402_svm_secret_pubkey(&key);
}

/* What it would be asked to sign; caller frees. */
static char *svm_text(
	const struct x402_pubkey *account, const char *kind, const char *chain)
{
	struct x402_buf text = {0};
	char address[X402_PUBKEY_TEXT_SIZE];
	x402_pubkey_format(account, address);
	x402_buf_printf(&text,
		"shop.example wants you to sign in with your %s account:\n%s\n"
		"\nURI: https://shop.example/login\nVersion: 1\nChain ID: %s\n"
		"Nonce: 0123456789abcdef\nIssued At: 2026-11-21T05:29:58Z",
		kind, address, chain);
	return x402_buf_take_str(&text);
}

#define DEVNET "EtWTRABZaYq6iMfeYKouRu166VU2xqa1"

static void test_sign_in_by_solana_is_signed_by_its_key(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.sign_in = true};
	struct x402_pubkey account = add_svm_key(bench);
	char *text = svm_text(&account, "Solana", DEVNET);
	uint8_t sig64[64];
	assert_int_equal(
		x402_session_scope_network(&policy, "solana:" DEVNET), X402_OK);
	make_core(bench, &policy);
	struct x402_json *answer = answer_to(bench, line_of(text));
	assert_int_equal(
		x402_hex_decode_fixed(x402_json_get_string(answer, "signature"),
			sig64, sizeof(sig64)),
		X402_OK);
	assert_true(x402_ed25519_verify(sig64, x402_span_str(text), &account));
	assert_string_equal(
		x402_json_get_string(answer, "network"), "solana:" DEVNET);
	x402_json_unref(answer);
	/* The account of Ethereum stays on its own chains. */
	assert_refused_by(answer_to(bench, line_of(plain)), "this network");
	free(text);
}

/* What stands between the account and the URI. */
static char *svm_text_with(
	const struct x402_pubkey *account, const char *statement)
{
	struct x402_buf text = {0};
	char *plain_text = svm_text(account, "Solana", DEVNET);
	const char *uri = strstr(plain_text, "URI: ");
	x402_buf_printf(&text, "%.*s%s%s", (int)(uri - plain_text), plain_text,
		statement, uri);
	free(plain_text);
	return x402_buf_take_str(&text);
}

static void test_sign_in_by_solana_with_a_statement(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.sign_in = true};
	struct x402_pubkey account = add_svm_key(bench);
	static const struct {
		const char *statement;
		const char *word; /* NULL: signed */
	} rows[] = {{"To read what you bought\n\n", NULL},
		/* EIP-4361's empty line, which its twin has not. */
		{"\n", "statement"}, {"\n\n", "statement"},
		{"one\ntwo\n\n", "statement"}, {"one\n", "statement"},
		{"URI: https://bank.example/\n\n", "Version"},
		{"URI: https://bank.example/\n", "Version"}};
	make_core(bench, &policy);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = svm_text_with(&account, rows[i].statement);
		struct x402_json *answer = answer_to(bench, line_of(text));
		if (rows[i].word) {
			assert_refused_by(answer, rows[i].word);
		} else {
			assert_true(x402_json_has(answer, "signature"));
			x402_json_unref(answer);
		}
		free(text);
	}
}

static void test_sign_in_by_solana_is_for_its_own_account(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.sign_in = true};
	struct x402_pubkey other = {{1}};
	char *without = svm_text(&other, "Solana", DEVNET);
	make_core(bench, &policy);
	assert_refused_by(answer_to(bench, line_of(without)), "wallet");
	free(without);
	x402_signer_core_free(bench->core);
	struct x402_pubkey account = add_svm_key(bench);
	make_core(bench, &policy);
	static const struct {
		bool own;
		const char *kind;
		const char *chain;
		const char *word;
	} rows[] = {{false, "Solana", DEVNET, "wallet"},
		{true, "Ethereum", "1", "wallet"},
		{true, "Bitcoin", DEVNET, "wants you"},
		{true, "Solana", "a b", "Chain ID"},
		{true, "Solana", DEVNET "1", "Chain ID"},
		{true, "Solana", "*", "Chain ID"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = svm_text(rows[i].own ? &account : &other,
			rows[i].kind, rows[i].chain);
		assert_refused_by(
			answer_to(bench, line_of(text)), rows[i].word);
		free(text);
	}
}

static void try_time(void **state, const char *time, const char *word)
{
	struct x402_buf text = {0};
	x402_buf_add_str(&text,
		HEAD "\nURI: https://shop.example/\nVersion: 1\nChain ID: 1\n"
		     "Nonce: 1\nIssued At: ");
	x402_buf_add_str(&text, time);
	char *written = x402_buf_take_str(&text);
	struct x402_json *answer = answer_to(*state, line_of(written));
	if (word)
		assert_refused_by(answer, word);
	else
		assert_signed(answer, written);
	free(written);
}

static void test_time_is_read_strictly_and_not_ahead(void **state)
{
	struct x402_session_scope policy = {.sign_in = true};
	make_core(*state, &policy);
	try_time(state, "2026-11-21T05:34:59Z", NULL);
	try_time(state, "2026-11-21T05:35:00+00:00", NULL);
	try_time(state, "2026-11-21T05:35:01Z", "not come yet");
	try_time(state, "2099-01-01T00:00:00Z", "not come yet");
	try_time(state, "2026-11-21T05:30:00", "time in UTC");
	try_time(state, "2026-11-21T05:30:00+01:00", "time in UTC");
	try_time(state, "2026-11-21T05:30:00.Z", "time in UTC");
	try_time(state, "2026-11-21T05:30:00.5xZ", "time in UTC");
	try_time(state, "2026-02-30T05:30:00Z", "time in UTC");
	try_time(state, "2026-11-21T25:30:00Z", "time in UTC");
	try_time(state, "2026-11-21 05:30:00Z", "time in UTC");
	try_time(state, "today", "time in UTC");
}

/* ---- Sessions. ---- */

static struct x402_session_grant grant_for(const char *host, bool sign_in)
{
	struct x402_session_grant grant = {.issued_unix_s = NOW - 1,
		.scope = {.expires_unix_s = NOW + 1000,
			.total_usd_micros = 1000,
			.sign_in = sign_in}};
	if (host)
		assert_int_equal(
			x402_session_scope_host(&grant.scope, host), X402_OK);
	return grant;
}

/* The line of an agent: its grant, and its key's word for the body. */
static struct x402_json *line_of_session(
	struct x402_session_grant *grant, const char *text)
{
	struct x402_secret wallet;
	struct x402_secret key;
	struct x402_session_grant read;
	struct x402_locked file = {0};
	struct x402_json *json = NULL;
	struct x402_secp256k1 *secp = NULL;
	struct x402_buf hex = {0};
	uint8_t seed32[32] = {1};
	uint8_t digest32[32];
	uint8_t sig65[65];
	assert_int_equal(x402_secret_parse(KEY, &wallet), X402_OK);
	assert_int_equal(x402_session_issue(&wallet, grant, &file), X402_OK);
	assert_int_equal(x402_session_file_read(x402_locked_span(&file), NULL,
				 &read, &json, &key),
		X402_OK);
	assert_true(read.scope.sign_in == grant->scope.sign_in);
	struct x402_json *body = with(
		with(x402_json_new_object(), "text", text), "session",
		grant->id);
	char *dumped = x402_json_dump(body);
	x402_session_text_digest(
		"x402 signer request 1\n", x402_span_str(dumped), digest32);
	assert_int_equal(x402_secp256k1_new(seed32, &secp), X402_OK);
	assert_int_equal(
		x402_sign_digest(secp, digest32, &key, sig65), X402_OK);
	x402_secp256k1_free(secp);
	x402_hex_encode_0x(x402_span(sig65, 65), &hex);
	char *signature = x402_buf_take_str(&hex);
	struct x402_json *line = with(
		with(with(x402_json_new_object(), "op", "sign-in"), "body",
			dumped),
		"signature", signature);
	assert_int_equal(x402_json_set_take(line, "grant", json), X402_OK);
	free(signature);
	free(dumped);
	x402_json_unref(body);
	x402_locked_clear(&file);
	return line;
}

static void test_session_signs_in_where_it_was_sent(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.sign_in = true};
	struct x402_session_grant here = grant_for("shop.example", true);
	struct x402_session_grant there = grant_for("*.other.example", true);
	struct x402_session_grant never = grant_for("shop.example", false);
	make_core(bench, &policy);
	assert_signed(answer_to(bench, line_of_session(&here, plain)), plain);
	assert_refused_by(
		answer_to(bench, line_of_session(&there, plain)), "this host");
	assert_refused_by(answer_to(bench, line_of_session(&never, plain)),
		"not in the scope");
	here.scope.expires_unix_s = NOW;
	assert_refused_by(
		answer_to(bench, line_of_session(&here, plain)), "expired");
}

static void test_session_does_not_widen_the_policy(void **state)
{
	struct x402_session_scope policy = {.max_usd_micros = 1000};
	struct x402_session_grant here = grant_for("shop.example", true);
	make_core(*state, &policy);
	assert_refused_by(answer_to(*state, line_of_session(&here, plain)),
		"not in the scope");
}

static void test_session_that_was_revoked_signs_in_no_more(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.sign_in = true};
	struct x402_session_grant here = grant_for("shop.example", true);
	struct x402_session_ledger *ledger = NULL;
	struct x402_json *line = line_of_session(&here, plain);
	char *path = NULL;
	make_core(bench, &policy);
	assert_int_equal(x402_session_ledger_path(bench->directory,
				 &here.wallet, here.id, NULL, &path),
		X402_OK);
	assert_int_equal(
		x402_session_ledger_open(path, NULL, &ledger), X402_OK);
	assert_int_equal(x402_session_ledger_revoke(ledger, NULL), X402_OK);
	x402_session_ledger_free(ledger);
	free(path);
	assert_refused_by(answer_to(bench, line), "revoked");
}

static void test_session_with_another_text_than_was_signed_is_refused(
	void **state)
{
	struct x402_session_scope policy = {.sign_in = true};
	struct x402_session_grant here = grant_for("shop.example", true);
	struct x402_json *line = line_of_session(&here, plain);
	struct x402_json *body = with(
		with(x402_json_new_object(), "text", whole), "session",
		here.id);
	char *dumped = x402_json_dump(body);
	make_core(*state, &policy);
	assert_refused_by(answer_to(*state, with(line, "body", dumped)),
		"not signed by the session's key");
	free(dumped);
	x402_json_unref(body);
}

static void test_grant_to_sign_in_anywhere_is_not_issued(void **state)
{
	struct x402_session_grant anywhere = grant_for(NULL, true);
	struct x402_locked file = {0};
	struct x402_secret wallet;
	(void)state;
	assert_int_equal(x402_secret_parse(KEY, &wallet), X402_OK);
	assert_int_equal(
		x402_session_issue(&wallet, &anywhere, &file), X402_ERR_RANGE);
}

#define HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOUSE(test_sign_in_is_signed_where_the_policy_has_it),
		HOUSE(test_sign_in_without_leave_is_refused),
		HOUSE(test_sign_in_outside_the_policy_is_refused),
		HOUSE(test_text_that_is_no_sign_in_is_refused),
		HOUSE(test_sign_in_by_solana_is_signed_by_its_key),
		HOUSE(test_sign_in_by_solana_with_a_statement),
		HOUSE(test_sign_in_by_solana_is_for_its_own_account),
		HOUSE(test_time_is_read_strictly_and_not_ahead),
		HOUSE(test_session_signs_in_where_it_was_sent),
		HOUSE(test_session_does_not_widen_the_policy),
		HOUSE(test_session_that_was_revoked_signs_in_no_more),
		HOUSE(test_session_with_another_text_than_was_signed_is_refused),
		HOUSE(test_grant_to_sign_in_anywhere_is_not_issued),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
