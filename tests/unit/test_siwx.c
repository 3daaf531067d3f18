/*
 * Signing in with the wallet that paid: the text is signed here with libx402's
 * own key functions; the reference's client does it in
 * tests/system/provider_extensions.test.mjs.
 */
#include "gate_house.h"
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

static void buy(struct house *house, const char *target)
{
	char *payment = house_pay(house, target);

	house_send(house, target, payment);
	house_answer(house, 200, HOUSE_VALID);
	house_handled(house, 200);
	assert_int_equal(
		house_answer(house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	x402_gate_delivered(house->gate);
	free(payment);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siwx_opens_what_was_paid_once),
		cmocka_unit_test(test_siwx_is_for_who_has_paid_and_what),
		cmocka_unit_test(test_siwx_refuses_what_it_did_not_say),
		cmocka_unit_test(test_siwx_ends_with_its_time),
		cmocka_unit_test(test_siwx_nonsense_is_unpaid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
