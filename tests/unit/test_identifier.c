/*
 * payment-identifier: one name, one payment. What must not happen: a second
 * authorization under a name that was charged already is charged, too.
 */
#include "gate_house.h"

#define ID "purchase-0001-abcdef"

static const struct x402_provider_route routes[] = {
	{.pattern = "GET /must",
		.prices = &house_cent,
		.prices_len = 1,
		.identifier = X402_PROVIDER_IDENTIFIER_REQUIRED},
	{.pattern = "GET /may",
		.prices = &house_cent,
		.prices_len = 1,
		.identifier = X402_PROVIDER_IDENTIFIER_OPTIONAL},
};

static void open_shop(struct house *house)
{
	struct x402_provider_options options = house_options();

	options.routes = routes;
	options.routes_len = ARRAY_LEN(routes);
	house_open_with(house, &options);
}

/* A fresh payment under a name (NULL: none); caller frees. */
static char *pay_as(struct house *house, const char *target, const char *id)
{
	char *plain = house_pay(house, target);
	struct x402_json *json = NULL;
	struct x402_json *extensions;
	struct x402_json *extension;
	struct x402_json *info;
	char *text = NULL;

	assert_int_equal(
		x402_header_decode(x402_span_str(plain), NULL, &json), X402_OK);
	extensions = x402_json_copy(x402_json_get(json, "extensions"));
	extension = x402_json_copy(
		x402_json_get(extensions, "payment-identifier"));
	info = x402_json_copy(x402_json_get(extension, "info"));
	assert_non_null(info);
	assert_int_equal(x402_json_set_string(info, "id", id), X402_OK);
	assert_int_equal(x402_json_set_take(extension, "info", info), X402_OK);
	assert_int_equal(
		x402_json_set_take(extensions, "payment-identifier", extension),
		X402_OK);
	assert_int_equal(
		x402_json_set_take(json, "extensions", extensions), X402_OK);
	assert_int_equal(x402_header_encode(json, &text), X402_OK);
	x402_json_unref(json);
	free(plain);
	return text;
}

static void settle(struct house *house, const char *target, const char *payment)
{
	assert_int_equal(house_send(house, target, payment), X402_GATE_ASK);
	house_answer(house, 200, HOUSE_VALID);
	assert_int_equal(house_handled(house, 200), X402_GATE_ASK);
	assert_int_equal(
		house_answer(house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	x402_gate_delivered(house->gate);
}

static void test_identifier_must_be_there_and_right(void **state)
{
	static const char *const bad[] = {NULL, "", "short", "fifteen-letters",
		"with spaces in the name", "with/slashes/in/the/name"};
	struct house house;
	char *payment;

	(void)state;
	open_shop(&house);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		payment = pay_as(&house, "/must", bad[i]);
		house_send(&house, "/must", payment);
		assert_int_equal(house.decision.status, 400);
		free(payment);
	}
	payment = pay_as(&house, "/may", NULL);
	assert_int_equal(house_send(&house, "/may", payment), X402_GATE_ASK);
	free(payment);
	payment = pay_as(&house, "/may", "short");
	house_send(&house, "/may", payment);
	assert_int_equal(house.decision.status, 400);
	free(payment);
	house_close(&house);
}

static void test_identifier_is_one_payments(void **state)
{
	struct house house;
	char *first;
	char *second;

	(void)state;
	open_shop(&house);
	first = pay_as(&house, "/must", ID);
	settle(&house, "/must", first);
	second = pay_as(&house, "/must", ID);
	assert_int_equal(house_send(&house, "/must", second), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 409);
	/* The first itself is told what became of it. */
	house_send(&house, "/must", first);
	assert_int_equal(house.decision.status, 402);
	assert_non_null(
		decision_header(&house.decision, X402_HEADER_PAYMENT_RESPONSE));
	free(second);
	/* Another name is another purchase, and so is another route. */
	second = pay_as(&house, "/must", ID "-2");
	assert_int_equal(house_send(&house, "/must", second), X402_GATE_ASK);
	free(second);
	second = pay_as(&house, "/may", ID);
	assert_int_equal(house_send(&house, "/may", second), X402_GATE_ASK);
	free(second);
	free(first);
	house_close(&house);
}

static void test_identifier_of_two_at_once_charges_one(void **state)
{
	struct house house;
	struct x402_gate *first_gate;
	struct x402_gate_decision first_decision;
	char *first;
	char *second;

	(void)state;
	open_shop(&house);
	first = pay_as(&house, "/must", ID);
	second = pay_as(&house, "/must", ID);
	house_send(&house, "/must", first);
	house_answer(&house, 200, HOUSE_VALID);
	first_gate = house.gate;
	first_decision = house.decision;
	house.gate = NULL;
	assert_int_equal(first_decision.action, X402_GATE_RUN_HANDLER);
	/* Verified both; only one gets to settle. */
	house_send(&house, "/must", second);
	house_answer(&house, 200, HOUSE_VALID);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	x402_gate_on_handler(first_gate,
		&(struct x402_gate_handler_result){
			.status = 200, .now_unix_s = NOW},
		&first_decision);
	assert_int_equal(first_decision.action, X402_GATE_WITHHOLD);
	assert_int_equal(first_decision.status, 409);
	x402_gate_free(first_gate);
	free(first);
	free(second);
	house_close(&house);
}

static void test_identifier_pending_is_asked_again_under_its_name(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	open_shop(&house);
	payment = pay_as(&house, "/must", ID);
	house_send(&house, "/must", payment);
	house_answer(&house, 200, HOUSE_VALID);
	house_handled(&house, 200);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_PENDING), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_PENDING), X402_GATE_WITHHOLD);
	assert_int_equal(house_send(&house, "/must", payment), X402_GATE_ASK);
	assert_int_equal(house_answer(&house, 200, HOUSE_SETTLED),
		X402_GATE_RUN_HANDLER);
	free(payment);
	house_close(&house);
}

static void test_identifier_refused_is_free_again(void **state)
{
	struct house house;
	char *first;
	char *second;

	(void)state;
	open_shop(&house);
	first = pay_as(&house, "/must", ID);
	house_send(&house, "/must", first);
	house_answer(&house, 200, HOUSE_VALID);
	house_handled(&house, 200);
	house_answer(&house, 200,
		"{\"success\":false,\"errorReason\":\"insufficient_funds\","
		"\"transaction\":\"\",\"network\":\"eip155:84532\"}");
	second = pay_as(&house, "/must", ID);
	settle(&house, "/must", second);
	free(first);
	free(second);
	house_close(&house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identifier_must_be_there_and_right),
		cmocka_unit_test(test_identifier_is_one_payments),
		cmocka_unit_test(test_identifier_refused_is_free_again),
		cmocka_unit_test(test_identifier_of_two_at_once_charges_one),
		cmocka_unit_test(
			test_identifier_pending_is_asked_again_under_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
