/*
 * The signer's kinds of payments: each is made by the library as a client makes
 * it, asked for as a client asks, and signed by the core after it has read the
 * terms itself. Then every term is broken alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client_p.h"
#include "scratch_house.h"
#include "signer_payment_p.h"
#include "svm_house.h"
#include "x402/encoding.h"
#include "x402/signer.h"

#define KEY   "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
#define USDC  "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define PAYEE "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define OTHER "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
#define NOW   1795239000u

struct bench {
	char directory[48];
	struct x402_signer *key;
	struct x402_signer_core *core;
	char *body; /* the last that was asked with */
	char *answer;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct x402_secret key;
	struct x402_svm_secret svm = svm_secret(2);

	(void)snprintf(bench->directory, sizeof(bench->directory), "%s",
		"/tmp/x402-signer-kinds-XXXXXX");
	assert_non_null(mkdtemp(bench->directory));
	assert_int_equal(x402_secret_parse(KEY, &key), X402_OK);
	assert_int_equal(x402_signer_from_key(&key, &bench->key), X402_OK);
	assert_int_equal(x402_signer_add_svm_key(bench->key, &svm), X402_OK);
	assert_int_equal(
		x402_signer_add_svm_key(bench->key, &svm), X402_ERR_CONFLICT);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	x402_signer_core_free(bench->core);
	x402_signer_free(bench->key);
	free(bench->body);
	free(bench->answer);
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

	x402_signer_core_free(bench->core);
	assert_int_equal(
		x402_signer_core_new(&options, NULL, &bench->core), X402_OK);
}

/* ---- Asking. ---- */

static char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	struct x402_buf buf = {0};

	if (!at)
		fail_msg("%s is not in %s", from, text);
	x402_buf_add(&buf, x402_span(text, (size_t)(at - text)));
	x402_buf_add_str(&buf, to);
	x402_buf_add_str(&buf, at + strlen(from));
	return x402_buf_take_str(&buf);
}

/* The answer to a body, kept until the next. */
static const char *ask_core(struct bench *bench, const char *body)
{
	struct x402_json *line = x402_json_new_object();
	struct x402_buf answer = {0};

	assert_int_equal(x402_json_set_string(line, "op", "sign"), X402_OK);
	assert_int_equal(x402_json_set_string(line, "body", body), X402_OK);
	char *text = x402_json_dump(line);
	x402_json_unref(line);
	x402_signer_core_answer(bench->core, x402_span_str(text), NOW, &answer);
	free(text);
	free(bench->answer);
	bench->answer = x402_buf_take_str(&answer);
	assert_non_null(bench->answer);
	return bench->answer;
}

static bool is_signed(const char *answer)
{
	bool ok = strstr(answer, "\"ok\":true") != NULL;

	assert_int_equal(ok, strstr(answer, "\"signature\":\"0x") != NULL);
	return ok;
}

/* A client's callback whose process is the core. */
static enum x402_err sign_by_core(struct bench *bench,
	const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	struct x402_json *answer = NULL;

	free(bench->body);
	bench->body = NULL;
	assert_int_equal(
		x402__signer_body(signing, NULL, &bench->body), X402_OK);
	const char *text = ask_core(bench, bench->body);
	if (!is_signed(text))
		return X402_ERR_POLICY;
	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &answer),
		X402_OK);
	assert_int_equal(
		x402_hex_decode(x402_json_get_string(answer, "signature"),
			ret_signature),
		X402_OK);
	x402_json_unref(answer);
	return X402_OK;
}

struct payment {
	struct bench *bench;
	struct x402_client_signing signing;
	struct x402_payment_requirements offer;
	bool fits; /* what was signed is by the wallet, over the library's own
		    */
};

static enum x402_err sign(void *user, const struct x402_signable *signable,
	struct x402_buf *ret_signature)
{
	struct payment *payment = user;
	struct x402_address who;

	payment->signing.signable = signable;
	payment->signing.digest32 = signable->digest32;
	enum x402_err err = sign_by_core(
		payment->bench, &payment->signing, ret_signature);
	if (err)
		return err;
	if (payment->signing.family == X402_FAMILY_SVM) {
		payment->fits = x402_ed25519_verify(ret_signature->ptr,
			signable->svm_message,
			&x402_signer_svm_client(payment->bench->key)->address);
		return X402_OK;
	}
	payment->fits = ret_signature->len == 65 &&
		!x402_recover_address(
			signable->digest32, ret_signature->ptr, &who) &&
		x402_address_equal(&who,
			&x402_signer_client(payment->bench->key)->address);
	return X402_OK;
}

static void read_offer(const char *text, struct payment *payment)
{
	struct x402_json *json = NULL;

	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	assert_int_equal(x402_payment_requirements_read(
				 json, X402_V2, NULL, &payment->offer),
		X402_OK);
	x402_json_unref(json);
	payment->signing.url = "https://shop.example/a";
	payment->signing.offer = &payment->offer;
}

#define EVM_OFFER(scheme, extra)                                        \
	"{\"scheme\":\"" scheme "\",\"network\":\"eip155:84532\","      \
	"\"amount\":\"1000\",\"asset\":\"" USDC "\",\"payTo\":\"" PAYEE \
	"\",\"maxTimeoutSeconds\":300,\"extra\":{\"name\":\"USDC\","    \
	"\"version\":\"2\"" extra "}}"
#define EIP3009 EVM_OFFER("exact", "")
#define PERMIT2 EVM_OFFER("exact", ",\"assetTransferMethod\":\"permit2\"")
#define UPTO                                            \
	EVM_OFFER("upto",                               \
		",\"assetTransferMethod\":\"permit2\"," \
		"\"facilitatorAddress\":\"" OTHER "\"")
#define SOLANA                                                              \
	"{\"scheme\":\"exact\",\"network\":\"" SVM_NETWORK "\",\"amount\":" \
	"\"1000\",\"asset\":\"" SVM_USDC "\",\"payTo\":\"" SVM_PAYEE "\","  \
	"\"maxTimeoutSeconds\":60,\"extra\":{\"feePayer\":\"" SVM_SPONSOR   \
	"\"}}"

/* Make a payment for an offer; its body stays in the bench. */
static enum x402_err pay(struct bench *bench, const char *offer, bool permit)
{
	struct payment payment = {.bench = bench};
	struct x402_create_options create = {.now_unix_s = NOW,
		.nonce32 = {7, [31] = 9},
		.sign = sign,
		.user = &payment};
	struct x402_json *made = NULL;
	struct x402_u256 nonce = x402_u256_from_u64(3);

	read_offer(offer, &payment);
	if (strstr(offer, "solana:")) {
		payment.signing.family = X402_FAMILY_SVM;
		create.has_svm = true;
		create.svm_payer = x402_signer_svm_client(bench->key)->address;
		create.svm_mint = (struct x402_svm_mint){
			x402_svm_token_program, 6};
		memset(create.svm_blockhash32, 5, 32);
	} else {
		payment.signing.family = X402_FAMILY_EVM;
		create.payer = x402_signer_client(bench->key)->address;
	}
	enum x402_err err = permit
		? x402_create_permit2612(
			  &payment.offer, &create, &nonce, NULL, &made)
		: x402_create_payload(&payment.offer, &create, NULL, &made);
	assert_true(err || payment.fits);
	x402_json_unref(made);
	x402_payment_requirements_clear(&payment.offer);
	return err;
}

/* ---- Every kind is signed. ---- */

static void test_kinds_are_signed_as_the_client_makes_them(void **state)
{
	struct bench *bench = *state;
	static const struct {
		const char *offer, *kind, *payee;
		bool permit;
	} cases[] = {{EIP3009, "eip3009", PAYEE, false},
		{PERMIT2, "permit2", PAYEE, false},
		{UPTO, "permit2", PAYEE, false},
		{PERMIT2, "eip2612", NULL, true},
		{SOLANA, "solana", SVM_PAYEE, false}};

	make_core(bench, &(struct x402_session_scope){.max_usd_micros = 1000});
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char word[96];

		assert_int_equal(
			pay(bench, cases[i].offer, cases[i].permit), X402_OK);
		(void)snprintf(
			word, sizeof(word), "\"kind\":\"%s\"", cases[i].kind);
		assert_non_null(strstr(bench->answer, word));
		assert_non_null(strstr(bench->answer, "\"amount\":\"1000\""));
		(void)snprintf(word, sizeof(word), "\"payTo\":\"%s\"",
			cases[i].payee ? cases[i].payee : "");
		assert_int_equal(strstr(bench->answer, word) != NULL,
			cases[i].payee != NULL);
	}
	make_core(bench, &(struct x402_session_scope){.max_usd_micros = 999});
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(pay(bench, cases[i].offer, cases[i].permit),
			X402_ERR_POLICY);
		assert_non_null(strstr(bench->answer, "cap for one payment"));
	}
}

static void test_kinds_count_money_once_and_permits_never(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.total_usd_micros = 4000};

	make_core(bench, &policy);
	assert_int_equal(pay(bench, PERMIT2, false), X402_OK);
	assert_int_equal(pay(bench, PERMIT2, false), X402_OK); /* the same */
	assert_int_equal(pay(bench, PERMIT2, true), X402_OK);
	assert_int_equal(pay(bench, UPTO, false), X402_OK);
	assert_int_equal(pay(bench, SOLANA, false), X402_OK);
	assert_int_equal(pay(bench, SOLANA, false), X402_OK); /* the same */
	assert_int_equal(pay(bench, EIP3009, false), X402_OK);
	/* 4,000 are used: a permit takes nothing, anything else does. */
	assert_int_equal(pay(bench, PERMIT2, true), X402_OK);
	char *dear = replaced(EIP3009, "\"1000\"", "\"1001\"");
	assert_int_equal(pay(bench, dear, false), X402_ERR_POLICY);
	assert_non_null(strstr(bench->answer, "4000 of 4000"));
	free(dear);
}

static void test_kinds_are_held_to_the_payees(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.max_usd_micros = 1000};

	assert_int_equal(x402_session_scope_payee(&policy, OTHER), X402_OK);
	make_core(bench, &policy);
	assert_int_equal(pay(bench, PERMIT2, false), X402_ERR_POLICY);
	assert_non_null(strstr(bench->answer, "payee"));
	assert_int_equal(pay(bench, SOLANA, false), X402_ERR_POLICY);
	assert_non_null(strstr(bench->answer, "payee"));
	assert_int_equal(pay(bench, PERMIT2, true), X402_OK); /* to nobody */
	assert_int_equal(x402_session_scope_payee(&policy, SVM_PAYEE), X402_OK);
	make_core(bench, &policy);
	assert_int_equal(pay(bench, SOLANA, false), X402_OK);
	assert_int_equal(pay(bench, EIP3009, false), X402_ERR_POLICY);
	assert_int_equal(
		x402_session_scope_payee(&policy, "nobody"), X402_ERR_SYNTAX);
}

/* ---- Every term is looked at. ---- */

static void assert_breaks(
	struct bench *bench, const char *from, const char *to, const char *word)
{
	char *body = replaced(bench->body, from, to);
	const char *answer = ask_core(bench, body);

	if (is_signed(answer) || !strstr(answer, word))
		fail_msg(
			"%s for %s: expected %s in %s", to, from, word, answer);
	free(body);
}

static void test_permit2_refuses_what_it_does_not_understand(void **state)
{
	struct bench *bench = *state;

	make_core(bench, &(struct x402_session_scope){.max_usd_micros = 1000});
	assert_int_equal(pay(bench, UPTO, false), X402_OK);
	assert_breaks(bench, "permit2", "permit3", "kind");
	assert_breaks(bench, "\"upto\"", "\"batch\"", "scheme");
	assert_breaks(bench, "84532", "0", "chainId");
	assert_breaks(bench, "\"facilitator\"", "\"nobody\"", "facilitator");
	assert_breaks(bench, "\"deadline\":\"1795239300\"",
		"\"deadline\":\"1795242601\"", "seconds from now");
	assert_breaks(bench, "\"deadline\":\"1795239300\"",
		"\"deadline\":\"1795239000\"", "seconds from now");
	assert_breaks(bench, "\"amount\":\"1000\"", "\"amount\":\"1001\"",
		"cap for one payment");
	assert_breaks(bench, "\"amount\":\"1000\"", "\"amount\":\"0x3e8\"",
		"message");
	assert_breaks(bench, "\"token\":\"0x036cbd", "\"token\":\"0x136cbd",
		"worth of this asset");
	assert_breaks(bench, "\"from\":\"0x3c44", "\"from\":\"0x4c44",
		"not this signer's wallet");
}

static void test_permit_is_for_the_contract_and_the_owner(void **state)
{
	struct bench *bench = *state;

	make_core(bench, &(struct x402_session_scope){.max_usd_micros = 1000});
	assert_int_equal(pay(bench, PERMIT2, true), X402_OK);
	assert_null(strstr(bench->body, "spender"));
	assert_breaks(bench, "\"owner\":\"0x3c44", "\"owner\":\"0x4c44",
		"not this signer's wallet");
	assert_breaks(bench, "\"value\":\"1000\"", "\"value\":\"1001\"",
		"cap for one payment");
	assert_breaks(bench, "\"verifyingContract\":\"0x036cbd",
		"\"verifyingContract\":\"0x136cbd", "worth of this asset");
	assert_breaks(bench, "\"deadline\":\"1795239300\"",
		"\"deadline\":\"115792089237316195423570985008687907853"
		"269984665640564039457584007913129639935\"",
		"message");
	assert_breaks(bench, "\"nonce\"", "\"once\"", "message");
	/* A spender that is said is not heard. */
	char *body = replaced(bench->body, "\"nonce\"",
		"\"spender\":\"" OTHER "\",\"nonce\"");
	char *before = strdup(ask_core(bench, bench->body));
	assert_string_equal(ask_core(bench, body), before);
	free(before);
	free(body);
}

/* The message in a body of Solana, and one with another in its place. */
static void message_of(const struct bench *bench, struct x402_buf *ret_bytes)
{
	struct x402_json *body = NULL;

	assert_int_equal(
		x402_json_parse(x402_span_str(bench->body), NULL, NULL, &body),
		X402_OK);
	assert_int_equal(x402_base64_decode(x402_span_str(x402_json_get_string(
						    body, "message")),
				 ret_bytes),
		X402_OK);
	x402_json_unref(body);
}

static const char *ask_message(struct bench *bench, struct x402_span message)
{
	struct x402_json *body = NULL;
	struct x402_buf text = {0};

	assert_int_equal(
		x402_json_parse(x402_span_str(bench->body), NULL, NULL, &body),
		X402_OK);
	x402_base64_encode(message, &text);
	char *base64 = x402_buf_take_str(&text);
	assert_int_equal(
		x402_json_set_string(body, "message", base64), X402_OK);
	free(base64);
	char *changed = x402_json_dump(body);
	x402_json_unref(body);
	const char *answer = ask_core(bench, changed);
	free(changed);
	return answer;
}

/* Where the template has things, of its 8 keys: see transfer.c. */
#define KEYS_AT      5
#define BLOCKHASH_AT (KEYS_AT + 8 * 32)
#define UNITS_AT     (BLOCKHASH_AT + 32 + 1 + 4)
#define PRICE_AT     (UNITS_AT + 4 + 4)
#define AMOUNT_AT    (PRICE_AT + 8 + 8)
#define MEMO_AT      (AMOUNT_AT + 8 + 1 + 3)

/* May this byte of the message be anything? */
static bool is_free(size_t at)
{
	return at < KEYS_AT + 32 ? at >= KEYS_AT /* who pays the fee */
		: at >= BLOCKHASH_AT && at < BLOCKHASH_AT + 32 ? true
		: at >= UNITS_AT && at < UNITS_AT + 4          ? true
		: at >= PRICE_AT && at < PRICE_AT + 8          ? true
		: at == AMOUNT_AT + 8 ? true /* decimals: the mint knows */
				      : at >= MEMO_AT && at < MEMO_AT + 32;
}

static void test_solana_signs_no_byte_that_it_did_not_read(void **state)
{
	struct bench *bench = *state;
	struct x402_buf message = {0};
	unsigned signed_ = 0;

	make_core(bench, &(struct x402_session_scope){.max_usd_micros = 1000});
	assert_int_equal(pay(bench, SOLANA, false), X402_OK);
	message_of(bench, &message);
	for (size_t at = 0; at < message.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			message.ptr[at] ^= (uint8_t)(1u << bit);
			bool ok = is_signed(
				ask_message(bench, x402_buf_span(&message)));
			bool amount = at >= AMOUNT_AT && at < AMOUNT_AT + 8;
			/* Of the amount's bits those that make it less. */
			if (ok && !is_free(at) && !amount)
				fail_msg("byte %zu bit %u", at, bit);
			if (ok && amount)
				assert_null(strstr(
					bench->answer, "\"amount\":\"1000\""));
			signed_ += ok;
			message.ptr[at] ^= (uint8_t)(1u << bit);
		}
	}
	/* The fee payer, the blockhash, units, price and memo at least. */
	assert_true(signed_ > 8 * (32 + 32 + 32));
	x402_buf_add_byte(&message, 0);
	assert_false(is_signed(ask_message(bench, x402_buf_span(&message))));
	message.len -= 2;
	assert_false(is_signed(ask_message(bench, x402_buf_span(&message))));
	x402_buf_clear(&message);
}

static void test_solana_pays_whom_it_says(void **state)
{
	struct bench *bench = *state;

	make_core(bench, &(struct x402_session_scope){.max_usd_micros = 1000});
	assert_int_equal(pay(bench, SOLANA, false), X402_OK);
	assert_breaks(bench, SVM_PAYEE, SVM_SPONSOR, "payTo");
	assert_breaks(bench, SVM_NETWORK, "eip155:84532", "network");
	assert_breaks(bench, SVM_NETWORK,
		"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
		"worth of this asset");
	assert_breaks(bench, "\"message\":\"", "\"message\":\"A", "base64");
}

static void test_solana_needs_its_key(void **state)
{
	struct bench *bench = *state;
	struct x402_signer_core_options options = {
		.wallet = x402_signer_client(bench->key),
		.state_directory = bench->directory};

	make_core(bench, &(struct x402_session_scope){.max_usd_micros = 1000});
	assert_int_equal(pay(bench, SOLANA, false), X402_OK);
	x402_signer_core_free(bench->core);
	assert_int_equal(
		x402_signer_core_new(&options, NULL, &bench->core), X402_OK);
	assert_false(is_signed(ask_core(bench, bench->body)));
	assert_non_null(strstr(bench->answer, "no key of Solana"));
}

static void test_kinds_sign_no_transactions(void **state)
{
	static const enum x402_signable_kind kinds[] = {
		X402_SIGNABLE_PROOF, X402_SIGNABLE_TRANSFER};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct x402_signable signable = {.kind = kinds[i]};
		struct x402_client_signing signing = {
			.url = "https://shop.example/", .signable = &signable};
		char *body = NULL;
		assert_int_equal(x402__signer_body(&signing, NULL, &body),
			X402_ERR_UNSUPPORTED);
		assert_null(body);
	}
}

#define HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds_sign_no_transactions),
		HOUSE(test_kinds_are_signed_as_the_client_makes_them),
		HOUSE(test_kinds_count_money_once_and_permits_never),
		HOUSE(test_kinds_are_held_to_the_payees),
		HOUSE(test_permit2_refuses_what_it_does_not_understand),
		HOUSE(test_permit_is_for_the_contract_and_the_owner),
		HOUSE(test_solana_signs_no_byte_that_it_did_not_read),
		HOUSE(test_solana_pays_whom_it_says),
		HOUSE(test_solana_needs_its_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
