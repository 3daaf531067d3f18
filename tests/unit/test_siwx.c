/*
 * Signing in with the wallet that paid: the text is signed here with libx402's
 * own key functions; the reference's client does it in
 * tests/system/provider_extensions.test.mjs.
 */
#include "memory_house.h"
#include "siwx_p.h"

static const struct x402_provider_route routes[] = {
	{.pattern = "GET /a/[slug]",
		.prices = &house_cent,
		.prices_len = 1,
		.siwx_s = 1000},
	{.pattern = "GET /none", .prices = &house_cent, .prices_len = 1},
};

static void open_shop(struct house *house)
{
	struct x402_provider_options options = {
		.public_origin = "https://shop.example",
		.routes = routes,
		.routes_len = ARRAY_LEN(routes),
	};

	house_open_with(house, &options);
}

/* payer: what the facilitator says it was. */
static void buy_as(struct house *house, const char *target, const char *payer)
{
	char *payment = house_pay(house, target);
	char settled[256];

	snprintf(settled, sizeof(settled),
		"{\"success\":true,\"transaction\":\"" TX
		"\",\"network\":\"eip155:84532\",\"payer\":\"%s\"}",
		payer);
	house_send(house, target, payment);
	house_answer(house, 200, HOUSE_VALID);
	house_handled(house, 200);
	assert_int_equal(house_answer(house, 200, settled), X402_GATE_DELIVER);
	x402_gate_delivered(house->gate);
	free(payment);
}

static void buy(struct house *house, const char *target)
{
	buy_as(house, target, house->payer_text);
}

struct change {
	const char *domain;
	const char *uri;
	const char *chain;
	const char *address;
	bool other_nonce;
};

static void sign_text(struct house *house, const char *text, char out[133])
{
	struct x402_buf whole = {0};
	struct x402_buf hex = {0};
	uint8_t hash32[32];
	uint8_t sig65[65];

	x402_buf_printf(&whole, "%cEthereum Signed Message:\n%zu%s", 0x19,
		strlen(text), text);
	x402_keccak256(x402_buf_span(&whole), hash32);
	assert_int_equal(
		x402_sign_digest(house->secp, hash32, &house->secret, sig65),
		X402_OK);
	x402_hex_encode_0x(x402_span(sig65, 65), &hex);
	snprintf(out, 133, "%.*s", (int)hex.len, (char *)hex.ptr);
	x402_buf_clear(&hex);
	x402_buf_clear(&whole);
}

/* A proof for the challenge that target gives at a time; caller frees. */
static char *prove(struct house *house, const char *target, uint64_t now,
	const struct change *change)
{
	struct x402_payment_required required;
	const struct x402_json *info;
	struct x402_json *proof = x402_json_new_object();
	struct x402_buf text = {0};
	const char *chain = change->chain ? change->chain : "eip155:84532";
	const char *nonce;
	char *header = NULL;
	char signature[133];
	char *message;

	assert_int_equal(
		house_begin(house,
			&(struct house_request){.target = target, .now = now}),
		X402_GATE_ANSWER);
	house_challenge(house, &required);
	info = x402_json_get(
		x402_json_get(required.extensions, "sign-in-with-x"), "info");
	assert_non_null(info);
	nonce = change->other_nonce ? "00000000000000000000000000000000"
				    : x402_json_get_string(info, "nonce");
	x402_buf_printf(&text,
		"%s wants you to sign in with your Ethereum account:\n%s\n\n"
		"%s\n\nURI: %s\nVersion: 1\nChain ID: %s\nNonce: %s\n"
		"Issued At: %s\nExpiration Time: %s\nResources:\n- %s",
		change->domain ? change->domain
			       : x402_json_get_string(info, "domain"),
		house->payer_text, x402_json_get_string(info, "statement"),
		change->uri ? change->uri : x402_json_get_string(info, "uri"),
		chain + 7, nonce, x402_json_get_string(info, "issuedAt"),
		x402_json_get_string(info, "expirationTime"),
		x402_json_get_string(info, "uri"));
	message = x402_buf_take_str(&text);
	sign_text(house, message, signature);
	free(message);
	assert_int_equal(x402_json_set_string(proof, "nonce", nonce), X402_OK);
	assert_int_equal(
		x402_json_set_string(proof, "chainId", chain), X402_OK);
	assert_int_equal(
		x402_json_set_string(proof, "address",
			change->address ? change->address : house->payer_text),
		X402_OK);
	assert_int_equal(
		x402_json_set_string(proof, "signature", signature), X402_OK);
	assert_int_equal(x402_header_encode(proof, &header), X402_OK);
	x402_json_unref(proof);
	x402_payment_required_clear(&required);
	return header;
}

static enum x402_gate_action come(struct house *house, const char *target,
	const char *proof, uint64_t now)
{
	return house_begin(house,
		&(struct house_request){.target = target,
			.names = {"Sign-In-With-X"},
			.values = {proof},
			.now = now});
}

static void test_siwx_opens_what_was_paid_once(void **state)
{
	struct house house;
	char *proof;

	(void)state;
	open_shop(&house);
	buy(&house, "/a/one");
	proof = prove(&house, "/a/one", NOW + 10, &(struct change){0});
	assert_int_equal(
		come(&house, "/a/one", proof, NOW + 20), X402_GATE_PASS);
	assert_int_equal(
		x402_gate_access_of(house.gate), X402_GATE_ACCESS_SIGNED_IN);
	assert_string_equal(x402_gate_payer(house.gate), house.payer_text);
	/* A proof that was seen is worth nothing any more. */
	assert_int_equal(
		come(&house, "/a/one", proof, NOW + 21), X402_GATE_ANSWER);
	free(proof);
	house_close(&house);
}

static void test_siwx_is_for_who_has_paid_and_what(void **state)
{
	struct house house;
	char *proof;

	(void)state;
	open_shop(&house);
	proof = prove(&house, "/a/one", NOW, &(struct change){0});
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_ANSWER);
	free(proof);
	buy(&house, "/a/one");
	proof = prove(&house, "/a/two", NOW, &(struct change){0});
	assert_int_equal(come(&house, "/a/two", proof, NOW), X402_GATE_ANSWER);
	/* Nor is it a proof for another page. */
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_ANSWER);
	free(proof);
	/* Long ago. */
	proof = prove(&house, "/a/one", NOW + 1001, &(struct change){0});
	assert_int_equal(
		come(&house, "/a/one", proof, NOW + 1001), X402_GATE_ANSWER);
	free(proof);
	house_close(&house);
}

static void test_siwx_refuses_what_it_did_not_say(void **state)
{
	static const struct change changes[] = {{.domain = "evil.example"},
		{.uri = "https://evil.example/"}, {.chain = "eip155:1"},
		{.chain = "solana:84532"}, {.address = PAY_TO},
		{.address = "0x"}, {.other_nonce = true}};
	struct house house;

	(void)state;
	open_shop(&house);
	buy(&house, "/a/one");
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		char *proof = prove(&house, "/a/one", NOW, &changes[i]);

		if (come(&house, "/a/one", proof, NOW) != X402_GATE_ANSWER)
			fail_msg("change %zu", i);
		free(proof);
	}
	house_close(&house);
}

static void test_siwx_ends_with_its_time(void **state)
{
	struct house house;
	char *proof;

	(void)state;
	open_shop(&house);
	buy(&house, "/a/one");
	proof = prove(&house, "/a/one", NOW, &(struct change){0});
	assert_int_equal(
		come(&house, "/a/one", proof, NOW + 301), X402_GATE_ANSWER);
	/* Nor before it began: another machine's clock, or a trick. */
	assert_int_equal(
		come(&house, "/a/one", proof, NOW - 1), X402_GATE_ANSWER);
	assert_int_equal(
		come(&house, "/a/one", proof, NOW + 300), X402_GATE_PASS);
	free(proof);
	house_close(&house);
}

static void test_siwx_nonsense_is_unpaid(void **state)
{
	static const char *const bad[] = {
		"", "e30=", "bm90IGpzb24=", "%%%", "W10="};
	struct house house;

	(void)state;
	open_shop(&house);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(
			come(&house, "/a/one", bad[i], NOW), X402_GATE_ANSWER);
		assert_int_equal(house.decision.status, 402);
	}
	house_close(&house);
}

/* Wallets' pages write the address as the wallet gave it; the text is the one
 * that was signed all the same. */
static void test_siwx_address_in_any_spelling(void **state)
{
	struct house house;
	char lower[X402_ADDRESS_TEXT_SIZE];
	char *proof;

	(void)state;
	open_shop(&house);
	buy(&house, "/a/one");
	for (size_t i = 0; i < sizeof(lower); i++) {
		char c = house.payer_text[i];

		lower[i] = c >= 'A' && c <= 'F' ? (char)(c + 32) : c;
	}
	/* In the proof alone, as the reference's client may. */
	proof = prove(
		&house, "/a/one", NOW, &(struct change){.address = lower});
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_PASS);
	assert_string_equal(x402_gate_payer(house.gate), house.payer_text);
	free(proof);
	/* In the text as well. */
	memcpy(house.payer_text, lower, sizeof(lower));
	proof = prove(&house, "/a/one", NOW, &(struct change){0});
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_PASS);
	assert_string_not_equal(x402_gate_payer(house.gate), lower);
	/* Once, however it is spelled. */
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_ANSWER);
	free(proof);
	house_close(&house);
}

/* ---- Contract wallets. ---- */

#define WALLET "0x5FbDB2315678afecb367f032d93F642f64180aa3"

#define WORD_OF(start)                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x" start \
	"00000000000000000000000000000000000000000000000000000000\"}"

static const struct x402_provider_rpc rpcs[] = {
	{"eip155:84532", "https://rpc.example/base"}};

static void open_with_rpc(struct house *house)
{
	struct x402_provider_options options = {
		.public_origin = "https://shop.example",
		.routes = routes,
		.routes_len = ARRAY_LEN(routes),
		.rpcs = rpcs,
		.rpcs_len = 1,
	};

	house_open_with(house, &options);
}

/* A contract's address, under a signature that no key of its own made. */
static const struct change contract = {.address = WALLET};

static void pretend_paid(struct house *house)
{
	struct x402_address payer = house->payer;

	assert_int_equal(x402_address_parse(WALLET, &house->payer), X402_OK);
	buy_as(house, "/a/one", WALLET);
	house->payer = payer;
}

static void test_siwx_contract_wallet_is_asked(void **state)
{
	struct house house;
	char *proof;

	(void)state;
	open_with_rpc(&house);
	pretend_paid(&house);
	proof = prove(&house, "/a/one", NOW, &contract);
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_ASK);
	assert_string_equal(house.decision.ask.url, "https://rpc.example/base");
	/* isValidSignature(bytes32,bytes), of 65 bytes, to the wallet. */
	assert_non_null(strstr((const char *)house.decision.ask.body.ptr,
		"\"to\":\"" WALLET "\",\"data\":\"0x1626ba7e"));
	assert_int_equal(
		house_answer(&house, 200, WORD_OF("1626ba7e")), X402_GATE_PASS);
	assert_int_equal(
		x402_gate_access_of(house.gate), X402_GATE_ACCESS_SIGNED_IN);
	assert_string_equal(x402_gate_payer(house.gate), WALLET);
	/* One question for one challenge. */
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_ANSWER);
	assert_challenge_error(&house, "invalid_siwx_nonce");
	free(proof);
	house_close(&house);
}

static void test_siwx_contract_wallet_that_says_no(void **state)
{
	static const struct {
		unsigned status;
		const char *body;
		const char *reason;
	} rows[] = {{200, WORD_OF("ffffffff"), "invalid_siwx_signature"},
		{200, WORD_OF("1626ba7f"), "invalid_siwx_signature"},
		{200, "{\"result\":\"0x\"}", "invalid_siwx_verifier_error"},
		{200, "{\"result\":\"0x1626ba7e\"}",
			"invalid_siwx_verifier_error"},
		{200, "{\"error\":{\"code\":3}}",
			"invalid_siwx_verifier_error"},
		{500, WORD_OF("1626ba7e"), "invalid_siwx_verifier_error"},
		{200, "<html>", "invalid_siwx_verifier_error"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct house house;
		char *proof;

		open_with_rpc(&house);
		pretend_paid(&house);
		proof = prove(&house, "/a/one", NOW, &contract);
		assert_int_equal(
			come(&house, "/a/one", proof, NOW), X402_GATE_ASK);
		assert_int_equal(
			house_answer(&house, rows[i].status, rows[i].body),
			X402_GATE_ANSWER);
		assert_challenge_error(&house, rows[i].reason);
		assert_string_equal(x402_gate_payer(house.gate), "");
		free(proof);
		house_close(&house);
	}
}

/* It says yes, but has not paid. */
static void test_siwx_contract_wallet_pays_first(void **state)
{
	struct house house;
	char *proof;

	(void)state;
	open_with_rpc(&house);
	proof = prove(&house, "/a/one", NOW, &contract);
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_ASK);
	assert_int_equal(house_answer(&house, 200, WORD_OF("1626ba7e")),
		X402_GATE_ANSWER);
	assert_challenge_error(&house, "Payment required");
	free(proof);
	house_close(&house);
}

/* Without an endpoint it is told so, and nobody is asked. */
static void test_siwx_contract_wallet_without_endpoint_is_refused(void **state)
{
	struct x402_payment_required required;
	struct house house;
	char *proof;

	(void)state;
	open_shop(&house);
	proof = prove(&house, "/a/one", NOW, &contract);
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_ANSWER);
	house_challenge(&house, &required);
	assert_non_null(strstr(required.error, "contract wallet cannot"));
	x402_payment_required_clear(&required);
	free(proof);
	house_close(&house);
}

static void test_siwx_options_are_checked(void **state)
{
	static const struct x402_provider_rpc bad[] = {
		{"base", "https://rpc.example"}, {"eip155:1", "rpc.example"},
		{"eip155:1", NULL}, {NULL, "https://rpc.example"},
		{"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
			"https://rpc.example"}};
	struct x402_provider_options options = {
		.trust_host = true, .routes = routes, .routes_len = 2};
	struct x402_provider *provider = NULL;
	struct x402_errinfo info = {{0}, {0}};

	(void)state;
	/* A text with a stranger's Host in it would be signed elsewhere. */
	assert_int_equal(x402_provider_new(&options, &info, &provider),
		X402_ERR_INVALID_ARGUMENT);
	assert_string_equal(info.field, "public_origin");
	options.public_origin = "https://shop.example";
	options.rpcs_len = 1;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		options.rpcs = &bad[i];
		assert_int_equal(x402_provider_new(&options, &info, &provider),
			X402_ERR_INVALID_ARGUMENT);
		assert_string_equal(info.field, "rpcs");
	}
}

/* ---- Solana. ---- */

#define SOLANA "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"

static const struct x402_provider_price svm_cent = {.network = SOLANA,
	.pay_to = "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4",
	.price = "$0.01",
	.extra_json = "{\"feePayer\":"
		      "\"EwWqGE4ZFKLofuestmU4LDdK7XM1N4ALgdZccwYugwGd\"}"};
static const struct x402_provider_route svm_routes[] = {
	{.pattern = "GET /a/[slug]",
		.prices = &svm_cent,
		.prices_len = 1,
		.siwx_s = 1000}};

struct svm_proof {
	const char *chain;        /* in the proof */
	const char *signed_chain; /* in the text, as all below */
	const char *domain;
	const char *uri;
	const char *nonce; /* in both */
	const char *issued;
	const char *expires;
	const char *account;
	bool other_key;
	bool other_text;
	bool cut;
	bool in_hex;
};

static const char *or_said(
	const char *changed, const struct x402_json *info, const char *key)
{
	return changed ? changed : x402_json_get_string(info, key);
}

static char *prove_svm(struct house *house,
	const struct x402_svm_secret *secret, const struct svm_proof *how)
{
	struct x402_payment_required required;
	const struct x402_json *extension;
	const struct x402_json *info;
	const struct x402_json *chains;
	struct x402_json *proof = x402_json_new_object();
	struct x402_buf text = {0};
	struct x402_pubkey key;
	char address[X402_PUBKEY_TEXT_SIZE];
	char signature[2 * X402_SVM_SIGNATURE_TEXT_SIZE];
	uint8_t sig64[64];
	char *header = NULL;
	const char *nonce;

	assert_int_equal(house_get(house, "/a/one"), X402_GATE_ANSWER);
	house_challenge(house, &required);
	extension = x402_json_get(required.extensions, "sign-in-with-x");
	info = x402_json_get(extension, "info");
	chains = x402_json_get(extension, "supportedChains");
	assert_string_equal(
		x402_json_get_string(x402_json_at(chains, 0), "chainId"),
		SOLANA);
	assert_string_equal(
		x402_json_get_string(x402_json_at(chains, 0), "type"),
		"ed25519");
	memcpy(key.bytes, secret->seed_and_key64 + 32, 32);
	if (how->other_key)
		key.bytes[0] ^= 1;
	x402_pubkey_format(&key, address);
	nonce = or_said(how->nonce, info, "nonce");
	x402_buf_printf(&text,
		"%s wants you to sign in with your %s account:\n%s\n\n"
		"%s\n\nURI: %s\nVersion: 1\nChain ID: %s\nNonce: %s\n"
		"Issued At: %s\nExpiration Time: %s\nResources:\n- %s%s",
		or_said(how->domain, info, "domain"),
		how->account ? how->account : "Solana", address,
		x402_json_get_string(info, "statement"),
		or_said(how->uri, info, "uri"),
		how->signed_chain ? how->signed_chain : &SOLANA[7], nonce,
		or_said(how->issued, info, "issuedAt"),
		or_said(how->expires, info, "expirationTime"),
		x402_json_get_string(info, "uri"), how->other_text ? "." : "");
	assert_int_equal(x402_ed25519_sign(secret, x402_buf_span(&text), sig64),
		X402_OK);
	x402_buf_clear(&text);
	x402_base58_encode(sig64, how->cut ? 63 : 64, signature);
	if (how->in_hex) {
		struct x402_buf hex = {0};

		x402_hex_encode_0x(x402_span(sig64, 64), &hex);
		snprintf(signature, sizeof(signature), "%.*s", (int)hex.len,
			(char *)hex.ptr);
		x402_buf_clear(&hex);
	}
	assert_int_equal(x402_json_set_string(proof, "nonce", nonce), X402_OK);
	assert_int_equal(x402_json_set_string(proof, "chainId",
				 how->chain ? how->chain : SOLANA),
		X402_OK);
	assert_int_equal(
		x402_json_set_string(proof, "address", address), X402_OK);
	assert_int_equal(
		x402_json_set_string(proof, "signature", signature), X402_OK);
	assert_int_equal(x402_header_encode(proof, &header), X402_OK);
	x402_json_unref(proof);
	x402_payment_required_clear(&required);
	return header;
}

/* A memory in which everybody has paid for everything. */
static bool everybody_paid(void *user, const struct x402_gate *gate,
	const char *payer, const uint8_t scope16[16], uint64_t since_unix_s)
{
	(void)gate;
	(void)scope16;
	assert_int_equal(since_unix_s, NOW - 1000);
	snprintf(user, X402_PUBKEY_TEXT_SIZE, "%s", payer);
	return true;
}

static void test_siwx_solana_by_its_key(void **state)
{
	static const struct svm_proof rows[] = {{.chain = NULL},
		{.other_key = true}, {.other_text = true}, {.cut = true},
		{.chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"},
		{.signed_chain = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"},
		{.chain = "eip155:84532"}, {.account = "Ethereum"},
		{.domain = "evil.example"}, {.uri = "https://evil.example/"},
		{.nonce = "00000000000000000000000000000000"}, {.nonce = ""},
		{.issued = "2026-11-21T05:30:00.000Z"},
		{.expires = "2999-01-01T00:00:00.000Z"}, {.in_hex = true}};
	static const uint8_t secret32[32] = {9};
	static const uint8_t seed32[32] = {1};
	char payer[X402_PUBKEY_TEXT_SIZE] = "";
	const struct x402_provider_memory memory = {.claim = memory_claim,
		.asking = memory_asking,
		.settled = memory_settled,
		.end = memory_end,
		.has_paid = everybody_paid,
		.user = payer,
		.secret32 = secret32};
	struct x402_provider_options options = {
		.public_origin = "https://shop.example",
		.routes = svm_routes,
		.routes_len = 1,
		.memory = &memory,
	};
	struct x402_svm_secret secret;
	struct house house;

	(void)state;
	memory_says = X402_CLAIM_FULL;
	assert_int_equal(x402_svm_secret_from_seed(seed32, &secret), X402_OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *proof;

		house_open_with(&house, &options);
		proof = prove_svm(&house, &secret, &rows[i]);
		if (come(&house, "/a/one", proof, NOW) !=
			(i == 0 ? X402_GATE_PASS : X402_GATE_ANSWER))
			fail_msg("row %zu", i);
		if (i == 0)
			assert_string_equal(x402_gate_payer(house.gate), payer);
		free(proof);
		house_close(&house);
	}
	/* Neither before nor after its time; once in it, and once only. */
	struct svm_proof good = {.chain = NULL};
	char *proof;
	house_open_with(&house, &options);
	proof = prove_svm(&house, &secret, &good);
	assert_int_equal(
		come(&house, "/a/one", proof, NOW + 301), X402_GATE_ANSWER);
	assert_challenge_error(&house, "invalid_siwx_nonce");
	assert_int_equal(
		come(&house, "/a/one", proof, NOW - 1), X402_GATE_ANSWER);
	assert_int_equal(come(&house, "/a/two", proof, NOW), X402_GATE_ANSWER);
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_PASS);
	assert_int_equal(come(&house, "/a/one", proof, NOW), X402_GATE_ANSWER);
	assert_challenge_error(&house, "invalid_siwx_nonce");
	free(proof);
	house_close(&house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siwx_opens_what_was_paid_once),
		cmocka_unit_test(test_siwx_is_for_who_has_paid_and_what),
		cmocka_unit_test(test_siwx_refuses_what_it_did_not_say),
		cmocka_unit_test(test_siwx_ends_with_its_time),
		cmocka_unit_test(test_siwx_nonsense_is_unpaid),
		cmocka_unit_test(test_siwx_contract_wallet_is_asked),
		cmocka_unit_test(test_siwx_contract_wallet_that_says_no),
		cmocka_unit_test(test_siwx_contract_wallet_pays_first),
		cmocka_unit_test(
			test_siwx_contract_wallet_without_endpoint_is_refused),
		cmocka_unit_test(test_siwx_options_are_checked),
		cmocka_unit_test(test_siwx_solana_by_its_key),
		cmocka_unit_test(test_siwx_address_in_any_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
