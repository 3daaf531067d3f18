/*
 * Payments by delegation (ERC-7710) at the gate: what is offered, what is
 * refused without asking anybody, and that one context buys one request.
 */
#include "gate_house.h"

#define DELEGATE "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
#define MANAGER  "0xdb9B1e94B5b69Df7e401DDbedE43491141047dB3"
#define PAYER    "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"

static const struct x402_provider_price by_delegation = {
	.network = "eip155:84532",
	.pay_to = PAY_TO,
	.price = "$0.01",
	.extra_json = "{\"assetTransferMethod\":\"erc7710\","
		      "\"facilitatorAddress\":\"" DELEGATE "\"}"};
static const struct x402_provider_price plain = {
	.network = "eip155:84532", .pay_to = PAY_TO, .price = "$0.01"};
static const struct x402_provider_route routes[] = {
	{.pattern = "GET /by/*", .prices = &by_delegation, .prices_len = 1},
	{.pattern = "GET /plain", .prices = &plain, .prices_len = 1},
};

static void open_shop(struct house *house)
{
	struct x402_provider_options options = house_options();

	options.routes = routes;
	options.routes_len = ARRAY_LEN(routes);
	house_open_with(house, &options);
}

/* Answer a route's offer with a payload. Caller frees the text. */
static char *pay_with(
	struct house *house, const char *target, const char *payload_json)
{
	struct x402_payment_required required;
	struct x402_payment_payload payload;
	struct x402_json *json = NULL;
	char *text = NULL;

	assert_int_equal(house_get(house, target), X402_GATE_ANSWER);
	house_challenge(house, &required);
	assert_int_equal(
		x402_json_parse(x402_span_str(payload_json), NULL, NULL, &json),
		X402_OK);
	assert_int_equal(
		x402_payment_payload_build(&required, 0, json, NULL, &payload),
		X402_OK);
	assert_int_equal(x402_payment_payload_encode(&payload, &text), X402_OK);
	x402_payment_payload_clear(&payload);
	x402_payment_required_clear(&required);
	x402_json_unref(json);
	return text;
}

#define PAYLOAD(context)                                       \
	"{\"delegationManager\":\"" MANAGER                    \
	"\",\"permissionContext\":\"" context "\",\"delegator" \
	"\":\"" PAYER "\"}"

static void test_offer_names_the_delegate(void **state)
{
	struct x402_payment_required required;
	struct house house;

	(void)state;
	open_shop(&house);
	assert_int_equal(house_get(&house, "/by/a"), X402_GATE_ANSWER);
	house_challenge(&house, &required);
	assert_string_equal(x402_json_get_string(required.accepts[0].extra,
				    "facilitatorAddress"),
		DELEGATE);
	assert_string_equal(x402_json_get_string(required.accepts[0].extra,
				    "assetTransferMethod"),
		"erc7710");
	x402_payment_required_clear(&required);
	house_close(&house);
}

/* Which manager is called is the facilitator's to say, so it is asked. */
static void test_context_buys_one_request(void **state)
{
	struct house house;
	char *payment;
	char *other;

	(void)state;
	open_shop(&house);
	payment = pay_with(&house, "/by/a", PAYLOAD("0x0011"));
	assert_int_equal(house_send(&house, "/by/a", payment), X402_GATE_ASK);
	assert_string_equal(
		house.decision.ask.url, "https://facilitator.example/f/verify");
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	/* The same context for another page. */
	other = pay_with(&house, "/by/b", PAYLOAD("0x0011"));
	assert_int_equal(house_send(&house, "/by/b", other), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 402);
	free(other);
	/* Another one is another payment. */
	other = pay_with(&house, "/by/b", PAYLOAD("0x0012"));
	assert_int_equal(house_send(&house, "/by/b", other), X402_GATE_ASK);
	free(other);
	free(payment);
	house_close(&house);
}

static void test_refused_without_asking(void **state)
{
	static const struct {
		const char *payload;
		const char *error;
	} rows[] = {
		{PAYLOAD("0x"), "invalid_payload"},
		{PAYLOAD("0x0"), "invalid_payload"},
		{PAYLOAD("here"), "invalid_payload"},
		{"{\"delegationManager\":\"" MANAGER "\"}", "invalid_payload"},
		{"{\"delegationManager\":\"0x12\",\"permissionContext\":"
		 "\"0x00\",\"delegator\":\"" PAYER "\"}",
			"invalid_payload"},
		{"{\"delegationManager\":\"" MANAGER
		 "\",\"permissionContext\":\"0x00\",\"delegator\":\"" PAYER
		 "\",\"authorization\":{}}",
			"unsupported_payload_type"},
		{"{\"permissionContext\":\"0x00\"}",
			"unsupported_payload_type"},
		{"{\"signature\":\"0x\",\"authorization\":{}}",
			"unsupported_payload_type"},
	};
	struct house house;

	(void)state;
	open_shop(&house);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *payment = pay_with(&house, "/by/a", rows[i].payload);

		assert_int_equal(
			house_send(&house, "/by/a", payment), X402_GATE_ANSWER);
		assert_challenge_error(&house, rows[i].error);
		free(payment);
	}
	house_close(&house);
}

/* P-154: what the offer does not name is not taken. */
static void test_route_that_did_not_ask_for_it_takes_none(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	open_shop(&house);
	payment = pay_with(&house, "/plain", PAYLOAD("0x0011"));
	assert_int_equal(
		house_send(&house, "/plain", payment), X402_GATE_ANSWER);
	assert_challenge_error(&house, "unsupported_payload_type");
	free(payment);
	house_close(&house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offer_names_the_delegate),
		cmocka_unit_test(test_context_buys_one_request),
		cmocka_unit_test(test_refused_without_asking),
		cmocka_unit_test(test_route_that_did_not_ask_for_it_takes_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
