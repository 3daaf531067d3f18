/*
 * Selling to those who show a transaction: references that are ours and
 * nobody else's, the headers of the older habit, and what is asked of the
 * facilitator. What is counted in the end is content given away.
 */
#include "gate_house.h"

#include "x402/proof.h"

static const uint8_t secret[32] = {42};
static const struct x402_provider_price proof_price[] = {{.scheme = "proof",
	.network = "eip155:84532",
	.pay_to = PAY_TO,
	.price = "$0.01"}};
static const struct x402_provider_price both_prices[] = {
	{.network = "eip155:84532", .pay_to = PAY_TO, .price = "$0.01"},
	{.scheme = "proof",
		.network = "eip155:84532",
		.pay_to = PAY_TO,
		.price = "$0.02"}};
static const struct x402_provider_price unbound_price[] = {{.scheme = "proof",
	.network = "eip155:84532",
	.pay_to = PAY_TO,
	.price = "$0.01",
	.unbound_proofs = true}};
static const struct x402_provider_route proof_routes[] = {
	{.pattern = "GET /shown/*", .prices = proof_price, .prices_len = 1},
	{.pattern = "GET /both", .prices = both_prices, .prices_len = 2},
	{.pattern = "GET /loose", .prices = unbound_price, .prices_len = 1},
	{.pattern = "GET /plain", .prices = &house_cent, .prices_len = 1},
	{.pattern = "GET /declared",
		.prices = proof_price,
		.prices_len = 1,
		.extensions_json = "{\"bazaar\":{\"info\":{\"n\":1}}}"},
};

static struct x402_provider_options proof_options(void)
{
	struct x402_provider_options options = house_options();

	options.routes = proof_routes;
	options.routes_len = ARRAY_LEN(proof_routes);
	options.secret32 = secret;
	return options;
}

static void open_proof(struct house *house)
{
	struct x402_provider_options options = proof_options();

	house_open_with(house, &options);
}

static const char *const habit[] = {"X-Payment-Address", "X-Payment-Amount",
	"X-Payment-Network", "X-Payment-Contract", "X-Accept-Payment"};

/* Ask, and answer the offer at index with the proof of transaction tx. */
struct shown {
	char *payment; /* PAYMENT-SIGNATURE */
	char header[X402_PROOF_HEADER_SIZE];
	uint8_t reference32[32];
};

static void show(struct house *house, const char *target, size_t index,
	uint8_t tx, struct shown *ret)
{
	struct x402_payment_required required;
	struct x402_create_options options = {.now_unix_s = NOW,
		.payer = house->payer,
		.sign = house_sign,
		.user = house};
	uint8_t hash32[32];
	struct x402_json *inner;
	struct x402_payment_payload payload;
	struct x402_proof_payload proof;
	struct x402_proof_terms terms;

	memset(hash32, tx, 32);
	assert_int_equal(house_get(house, target), X402_GATE_ANSWER);
	assert_int_equal(house->decision.status, 402);
	house_challenge(house, &required);
	options.transaction32 = hash32;
	options.resource = required.resource.url;
	assert_int_equal(x402_create_payload(&required.accepts[index], &options,
				 NULL, &inner),
		X402_OK);
	assert_int_equal(x402_payment_payload_build(
				 &required, index, inner, NULL, &payload),
		X402_OK);
	assert_int_equal(
		x402_payment_payload_encode(&payload, &ret->payment), X402_OK);
	assert_int_equal(
		x402_proof_terms_read(&required.accepts[index], NULL, &terms),
		X402_OK);
	memcpy(ret->reference32, terms.reference32, 32);
	assert_int_equal(x402_proof_payload_read(inner, NULL, &proof), X402_OK);
	x402_proof_header_format(terms.reference32, &proof, ret->header);
	x402_payment_payload_clear(&payload);
	x402_json_unref(inner);
	x402_payment_required_clear(&required);
}

static enum x402_gate_action send_header(
	struct house *house, const char *target, const char *value)
{
	return house_begin(house,
		&(struct house_request){.target = target,
			.names = {"x-payment-proof"},
			.values = {value}});
}

/* ---- The challenge. ---- */

static void test_gate_proof_challenge_speaks_both_ways(void **state)
{
	struct x402_payment_required required;
	struct house house;
	char expected[128];
	int64_t issued = 0;
	bool bound = false;

	(void)state;
	open_proof(&house);
	assert_int_equal(house_get(&house, "/shown/a"), X402_GATE_ANSWER);
	house_challenge(&house, &required);
	assert_string_equal(required.accepts[0].scheme, "proof");
	assert_true(x402_json_int64(
		x402_json_get(required.accepts[0].extra, "issuedAt"), &issued));
	assert_int_equal(issued, NOW);
	assert_true(x402_json_bool(
		x402_json_get(required.accepts[0].extra, "bound"), &bound));
	assert_true(bound);
	snprintf(expected, sizeof(expected), "proof; reference=%s; bound=1",
		x402_json_get_string(required.accepts[0].extra, "reference"));
	assert_string_equal(
		decision_header(&house.decision, "X-Accept-Payment"), expected);
	assert_string_equal(
		decision_header(&house.decision, "X-Payment-Address"), PAY_TO);
	assert_string_equal(
		decision_header(&house.decision, "X-Payment-Amount"), "10000");
	assert_string_equal(
		decision_header(&house.decision, "X-Payment-Network"),
		"eip155:84532");
	assert_string_equal(
		decision_header(&house.decision, "X-Payment-Contract"),
		"0x036CbD53842c5426634e7929541eC2318f3dCF7e");
	assert_non_null(strstr(
		decision_header(&house.decision, "Vary"), "X-Payment-Proof"));
	x402_payment_required_clear(&required);
	/* Off unless a route asks for it. */
	assert_int_equal(house_get(&house, "/plain"), X402_GATE_ANSWER);
	for (size_t i = 0; i < ARRAY_LEN(habit); i++)
		assert_null(decision_header(&house.decision, habit[i]));
	assert_null(strstr(
		decision_header(&house.decision, "Vary"), "X-Payment-Proof"));
	house_close(&house);
}

static void test_gate_proof_references_never_come_twice(void **state)
{
	struct house first;
	struct house second;
	struct shown shown[4];

	(void)state;
	open_proof(&first);
	open_proof(&second); /* another process with the same secret */
	show(&first, "/shown/a", 0, 1, &shown[0]);
	show(&first, "/shown/a", 0, 1, &shown[1]);
	show(&second, "/shown/a", 0, 1, &shown[2]);
	show(&second, "/shown/a", 0, 1, &shown[3]);
	for (size_t i = 0; i < 4; i++)
		for (size_t j = i + 1; j < 4; j++)
			assert_memory_not_equal(
				shown[i].reference32, shown[j].reference32, 32);
	/* ... which knows the other's. */
	assert_int_equal(house_send(&second, "/shown/a", shown[0].payment),
		X402_GATE_ASK);
	for (size_t i = 0; i < 4; i++)
		free(shown[i].payment);
	house_close(&first);
	house_close(&second);
}

/* ---- What is ours. ---- */

static void assert_asked(struct house *house, uint8_t tx, const char *amount)
{
	struct x402_json *json;
	const struct x402_json *payload;
	const struct x402_json *terms;
	char hash[67] = "0x";

	for (size_t i = 0; i < 32; i++)
		snprintf(hash + 2 + 2 * i, 3, "%02x", tx);
	assert_int_equal(house->decision.action, X402_GATE_ASK);
	assert_int_equal(
		x402_json_parse(house->decision.ask.body, NULL, NULL, &json),
		X402_OK);
	payload = x402_json_get(json, "paymentPayload");
	terms = x402_json_get(json, "paymentRequirements");
	assert_string_equal(x402_json_get_string(terms, "scheme"), "proof");
	assert_string_equal(x402_json_get_string(terms, "amount"), amount);
	assert_string_equal(
		x402_json_get_string(
			x402_json_get(payload, "payload"), "transaction"),
		hash);
	assert_true(x402_json_equal(x402_json_get(terms, "extra"),
		x402_json_get(x402_json_get(payload, "accepted"), "extra")));
	x402_json_unref(json);
}

static void test_gate_proof_is_asked_and_delivered_once(void **state)
{
	struct x402_settle_response response;
	struct house house;
	struct shown shown;

	(void)state;
	open_proof(&house);
	show(&house, "/both", 1, 7, &shown);
	house_send(&house, "/both", shown.payment);
	assert_asked(&house, 7, "20000");
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	/* Another challenge, the same transaction: not even asked. */
	free(shown.payment);
	show(&house, "/shown/b", 0, 7, &shown);
	assert_int_equal(house_send(&house, "/shown/b", shown.payment),
		X402_GATE_ANSWER);
	house_receipt(&house, X402_HEADER_PAYMENT_RESPONSE, &response);
	assert_false(response.success);
	assert_string_equal(response.error_reason, "duplicate_settlement");
	x402_settle_response_clear(&response);
	free(shown.payment);
	house_close(&house);
}

static void test_gate_proof_header_is_the_same_payment(void **state)
{
	struct house house;
	struct shown shown;

	(void)state;
	open_proof(&house);
	show(&house, "/both", 1, 9, &shown);
	send_header(&house, "/both", shown.header);
	assert_asked(&house, 9, "20000");
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	free(shown.payment);
	/* A habit knows of no extensions to echo. */
	show(&house, "/declared", 0, 10, &shown);
	send_header(&house, "/declared", shown.header);
	assert_asked(&house, 10, "10000");
	free(shown.payment);
	house_close(&house);
}

static void test_gate_proof_reference_of_another_is_refused(void **state)
{
	struct x402_provider_options options = proof_options();
	static const uint8_t other_secret[32] = {43};
	struct house house;
	struct house other;
	struct shown shown;

	(void)state;
	open_proof(&house);
	options.secret32 = other_secret;
	house_open_with(&other, &options);
	/* Another shop's. */
	show(&other, "/shown/a", 0, 1, &shown);
	assert_int_equal(house_send(&house, "/shown/a", shown.payment),
		X402_GATE_ANSWER);
	assert_challenge_error(&house, "No matching payment requirements");
	assert_int_equal(send_header(&house, "/shown/a", shown.header),
		X402_GATE_ANSWER);
	assert_challenge_error(&house, "No matching payment requirements");
	free(shown.payment);
	/* Of another page, which may cost less. */
	show(&house, "/shown/cheap", 0, 1, &shown);
	assert_int_equal(house_send(&house, "/shown/dear", shown.payment),
		X402_GATE_ANSWER);
	assert_challenge_error(&house, "No matching payment requirements");
	assert_int_equal(send_header(&house, "/shown/dear", shown.header),
		X402_GATE_ANSWER);
	assert_challenge_error(&house, "No matching payment requirements");
	free(shown.payment);
	house_close(&house);
	house_close(&other);
}

/* An older challenge would let an older transaction pay. */
static void test_gate_proof_time_of_a_challenge_cannot_be_moved(void **state)
{
	struct house house;
	struct shown shown;
	char header[X402_PROOF_HEADER_SIZE];

	(void)state;
	open_proof(&house);
	show(&house, "/shown/a", 0, 1, &shown);
	for (size_t at = 0; at < 64; at++) {
		char *digit;

		memcpy(header, shown.header, sizeof(header));
		digit = strstr(header, "reference=0x") +
			strlen("reference=0x") + at;
		*digit = *digit == '0' ? '1' : '0';
		assert_int_equal(send_header(&house, "/shown/a", header),
			X402_GATE_ANSWER);
		assert_challenge_error(
			&house, "No matching payment requirements");
	}
	free(shown.payment);
	house_close(&house);
}

static void test_gate_proof_signature_is_checked_here(void **state)
{
	struct house house;
	struct shown shown;
	char *cut;

	(void)state;
	open_proof(&house);
	show(&house, "/shown/a", 0, 1, &shown);
	shown.header[2] ^= 1; /* another hash: '0' is '1' now */
	assert_int_equal(send_header(&house, "/shown/a", shown.header),
		X402_GATE_ANSWER);
	assert_challenge_error(&house, "invalid_proof_signature");
	/* Without its signature. */
	cut = strstr(shown.header, "; payer=");
	*cut = '\0';
	assert_int_equal(send_header(&house, "/shown/a", shown.header),
		X402_GATE_ANSWER);
	assert_challenge_error(&house, "invalid_proof_signature");
	free(shown.payment);
	/* Where the route says so, and only there. */
	show(&house, "/loose", 0, 3, &shown);
	*strstr(shown.header, "; payer=") = '\0';
	send_header(&house, "/loose", shown.header);
	assert_asked(&house, 3, "10000");
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	free(shown.payment);
	house_close(&house);
}

static void test_gate_proof_that_is_not_final_is_not_given_away(void **state)
{
	struct house house;
	struct shown shown;

	(void)state;
	open_proof(&house);
	show(&house, "/shown/a", 0, 5, &shown);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(house_send(&house, "/shown/a", shown.payment),
			X402_GATE_ASK);
		assert_int_equal(house_answer(&house, 200,
					 "{\"isValid\":false,\"invalidReason\":"
					 "\"proof_transaction_not_final\"}"),
			X402_GATE_ANSWER);
		assert_challenge_error(&house, "proof_transaction_not_final");
	}
	/* The very same bytes, later. */
	house_send(&house, "/shown/a", shown.payment);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	free(shown.payment);
	house_close(&house);
}

static void test_gate_proof_smuggled_headers_are_refused(void **state)
{
	struct house house;
	struct shown shown;
	struct house_request request = {.target = "/shown/a"};

	(void)state;
	open_proof(&house);
	show(&house, "/shown/a", 0, 1, &shown);
	request.names[0] = request.names[1] = "X-Payment-Proof";
	request.values[0] = request.values[1] = shown.header;
	assert_int_equal(house_begin(&house, &request), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 400);
	request.names[1] = X402_HEADER_PAYMENT_SIGNATURE;
	request.values[1] = shown.payment;
	assert_int_equal(house_begin(&house, &request), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 400);
	request.names[1] = "Connection";
	request.values[1] = "close, x-payment-proof";
	assert_int_equal(house_begin(&house, &request), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 400);
	/* What cannot be read is no payment. */
	assert_int_equal(
		send_header(&house, "/shown/a", "0x12"), X402_GATE_ANSWER);
	assert_challenge_error(&house, "Payment required");
	/* A route that takes none. */
	assert_int_equal(
		send_header(&house, "/plain", shown.header), X402_GATE_ANSWER);
	assert_challenge_error(&house, "No matching payment requirements");
	free(shown.payment);
	house_close(&house);
}

static void test_gate_proof_options_that_lose_money_are_refused(void **state)
{
	struct x402_provider_options options = proof_options();
	struct x402_provider_price price = proof_price[0];
	struct x402_provider_route route = {
		.pattern = "GET /", .prices = &price, .prices_len = 1};
	struct x402_provider *provider = NULL;
	struct x402_errinfo info;

	(void)state;
	options.secret32 = NULL;
	assert_int_equal(x402_provider_new(&options, &info, &provider),
		X402_ERR_INVALID_ARGUMENT);
	assert_string_equal(info.field, "secret32");
	options = proof_options();
	options.routes = &route;
	options.routes_len = 1;
	route.settle = X402_PROVIDER_SETTLE_RESERVE;
	assert_int_equal(x402_provider_new(&options, &info, &provider),
		X402_ERR_INVALID_ARGUMENT);
	route.settle = X402_PROVIDER_SETTLE_BEFORE;
	assert_int_equal(
		x402_provider_new(&options, &info, &provider), X402_OK);
	x402_provider_free(provider);
	price.scheme = "exact";
	price.unbound_proofs = true;
	assert_int_equal(x402_provider_new(&options, &info, &provider),
		X402_ERR_INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate_proof_challenge_speaks_both_ways),
		cmocka_unit_test(test_gate_proof_references_never_come_twice),
		cmocka_unit_test(test_gate_proof_is_asked_and_delivered_once),
		cmocka_unit_test(test_gate_proof_header_is_the_same_payment),
		cmocka_unit_test(
			test_gate_proof_reference_of_another_is_refused),
		cmocka_unit_test(
			test_gate_proof_time_of_a_challenge_cannot_be_moved),
		cmocka_unit_test(test_gate_proof_signature_is_checked_here),
		cmocka_unit_test(
			test_gate_proof_that_is_not_final_is_not_given_away),
		cmocka_unit_test(test_gate_proof_smuggled_headers_are_refused),
		cmocka_unit_test(
			test_gate_proof_options_that_lose_money_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
