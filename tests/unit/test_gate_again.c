/*
 * A payment comes again (37, F2): in flight, delivered, or of unknown fate; and
 * a program that calls the gate out of turn. One payment is delivered once, and
 * what is not known is never taken for a no.
 */
#include "gate_house.h"

/* ---- The same payment again. ---- */

static void test_gate_payment_in_flight_is_not_granted_twice(void **state)
{
	struct x402_settle_response receipt;
	struct x402_gate *first;
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	to_settlement(&house, payment);
	first = house.gate;
	house.gate = NULL;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(house_send(&house, "/articles/a", payment),
			X402_GATE_ANSWER);
		assert_int_equal(house.decision.status, 402);
		/* no new offer: it would be paid a second time */
		assert_null(decision_header(
			&house.decision, X402_HEADER_PAYMENT_REQUIRED));
		house_receipt(&house, X402_HEADER_PAYMENT_RESPONSE, &receipt);
		assert_string_equal(
			receipt.error_reason, "duplicate_settlement");
		x402_settle_response_clear(&receipt);
	}
	x402_gate_free(first);
	free(payment);
	house_close(&house);
}

static void test_gate_delivered_payment_is_spent(void **state)
{
	struct x402_settle_response receipt;
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	to_settlement(&house, payment);
	house_answer(&house, 200, HOUSE_SETTLED);
	x402_gate_delivered(house.gate);
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ANSWER);
	house_receipt(&house, X402_HEADER_PAYMENT_RESPONSE, &receipt);
	assert_false(receipt.success);
	assert_string_equal(receipt.error_reason, "duplicate_settlement");
	/* told what became of the money */
	assert_string_equal(receipt.transaction, TX);
	x402_settle_response_clear(&receipt);
	free(payment);
	house_close(&house);
}

static void test_gate_undelivered_payment_is_served_once(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	to_settlement(&house, payment);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	/* the client is gone: the gate is dropped without delivered() */
	x402_gate_free(house.gate);
	house.gate = NULL;
	/* not for another request */
	assert_int_equal(
		house_begin(&house,
			&(struct house_request){.target = "/articles/a",
				.method = "HEAD",
				.names = {"PAYMENT-SIGNATURE"},
				.values = {payment}}),
		X402_GATE_ANSWER);
	assert_int_equal(
		house_begin(&house,
			&(struct house_request){.target = "/articles/a",
				.body = "x",
				.names = {"PAYMENT-SIGNATURE"},
				.values = {payment}}),
		X402_GATE_ANSWER);
	/* for this one, without asking anybody */
	assert_int_equal(house_send(&house, "/articles/a", payment),
		X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_DELIVER);
	assert_non_null(
		decision_header(&house.decision, X402_HEADER_PAYMENT_RESPONSE));
	x402_gate_delivered(house.gate);
	/* and no more */
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ANSWER);
	free(payment);
	house_close(&house);
}

/* The authorization of a payment is public once it is on chain; a copy of it
 * with another signature buys nothing, whatever state it is in. */
static void test_gate_copied_authorization_buys_nothing(void **state)
{
	struct x402_buf json = {0};
	struct x402_buf out = {0};
	struct house house;
	char *payment;
	char *forged;
	char *text;
	char *at;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	assert_int_equal(
		x402_base64_decode(x402_span_str(payment), &json), X402_OK);
	text = x402_buf_take_str(&json);
	at = strstr(text, "\"signature\":\"0x");
	assert_non_null(at);
	at[15] = at[15] == '1' ? '2' : '1';
	x402_base64_encode(x402_span_str(text), &out);
	forged = x402_buf_take_str(&out);

	to_settlement(&house, payment);
	house_transport(&house, X402_ERR_TIMEOUT);
	assert_int_equal(
		house_send(&house, "/articles/a", forged), X402_GATE_ANSWER);
	house_send(&house, "/articles/a", payment);
	house_answer(&house, 200, HOUSE_SETTLED);
	x402_gate_free(house.gate);
	house.gate = NULL;
	assert_int_equal(
		house_send(&house, "/articles/a", forged), X402_GATE_ANSWER);
	assert_int_equal(house_send(&house, "/articles/a", payment),
		X402_GATE_RUN_HANDLER);
	free(text);
	free(forged);
	free(payment);
	house_close(&house);
}

static void test_gate_no_room_for_payments_is_503(void **state)
{
	struct x402_provider_options options = house_options();
	struct x402_gate *first;
	struct house house;
	char *one;
	char *two;

	(void)state;
	options.payments_max = 1;
	house_open_with(&house, &options);
	one = house_pay(&house, "/articles/a");
	two = house_pay(&house, "/articles/a");
	assert_int_equal(house_send(&house, "/articles/a", one), X402_GATE_ASK);
	first = house.gate;
	house.gate = NULL;
	assert_int_equal(
		house_send(&house, "/articles/a", two), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 503);
	x402_gate_free(first);
	assert_int_equal(house_send(&house, "/articles/a", two), X402_GATE_ASK);
	free(one);
	free(two);
	house_close(&house);
}

/* ---- A program that calls out of turn. ---- */

static void test_gate_out_of_turn_is_closed(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_ANSWER);
	house_get(&house, "/articles/a");
	assert_int_equal(house_handled(&house, 200), X402_GATE_ANSWER);
	house_send(&house, "/articles/a", payment);
	/* the handler before verification */
	assert_int_equal(house_handled(&house, 200), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 500);
	/* a settlement's answer where verification was asked */
	house_send(&house, "/articles/a", payment);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 502);
	free(payment);
	house_close(&house);
}

/* A no to the second question says nothing about the first: its own first try
 * may be what the facilitator calls a duplicate. */
static void test_gate_refused_after_unknown_stays_unknown(void **state)
{
	static const char *const reasons[] = {"duplicate_settlement",
		"insufficient_funds", "invalid_exact_evm_nonce_already_used"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reasons) * 2; i++) {
		bool pending = i % 2;
		struct house house;
		char *payment;
		char refusal[256];

		snprintf(refusal, sizeof(refusal),
			"{\"success\":false,\"errorReason\":\"%s\","
			"\"transaction\":\"\",\"network\":\"eip155:84532\"}",
			reasons[i / 2]);
		house_open(&house);
		payment = house_pay(&house, "/articles/a");
		to_settlement(&house, payment);
		if (pending) {
			house_answer(&house, 200, HOUSE_PENDING);
		} else {
			house_transport(&house, X402_ERR_TIMEOUT);
			house_send(&house, "/articles/a", payment);
		}
		house_answer(&house, 200, refusal);
		assert_int_equal(house.decision.status, 402);
		/* Still owed an answer: settled first, when it comes again. */
		assert_int_equal(house_send(&house, "/articles/a", payment),
			X402_GATE_ASK);
		assert_non_null(strstr(house.decision.ask.url, "/settle"));
		assert_int_equal(house_answer(&house, 200, HOUSE_SETTLED),
			X402_GATE_RUN_HANDLER);
		free(payment);
		house_close(&house);
	}
}

/* ... while a no to the only question is one. */
static void test_gate_refused_at_once_is_verified_anew(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	to_settlement(&house, payment);
	house_answer(&house, 200,
		"{\"success\":false,\"errorReason\":\"insufficient_funds\","
		"\"transaction\":\"\",\"network\":\"eip155:84532\"}");
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ASK);
	assert_non_null(strstr(house.decision.ask.url, "/verify"));
	free(payment);
	house_close(&house);
}

static void unsent(struct house *house, enum x402_err err)
{
	struct x402_gate_facilitator_answer answer = {
		.transport = err, .now_unix_s = NOW, .unsent = true};

	x402_gate_on_facilitator(house->gate, &answer, &house->decision);
}

static void moved(struct house *house, unsigned status)
{
	struct x402_gate_facilitator_answer answer = {.status = status,
		.location = x402_span_str("https://facilitator.example/g/"),
		.now_unix_s = NOW};

	x402_gate_on_facilitator(house->gate, &answer, &house->decision);
}

/* A stranger whose payments reach nobody is not to be remembered. */
static void test_gate_settle_that_was_not_heard_is_verified_anew(void **state)
{
	static const struct {
		enum x402_err transport; /* X402_OK: 429 with the body */
		const char *body;
	} rows[] = {{X402_ERR_NETWORK, NULL}, {X402_ERR_TIMEOUT, NULL},
		{X402_ERR_NOMEM, NULL}, {X402_ERR_STORE, NULL}, {X402_OK, ""},
		{X402_OK, "<html>slow down</html>"},
		{X402_OK, "{\"error\":\"slow down\"}"}};
	struct house house;

	(void)state;
	house_open(&house);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *payment = house_pay(&house, "/articles/a");

		to_settlement(&house, payment);
		if (rows[i].transport)
			unsent(&house, rows[i].transport);
		else
			house_answer(&house, 429, rows[i].body);
		assert_int_equal(house.decision.action, X402_GATE_WITHHOLD);
		assert_int_equal(house.decision.status, 502);
		to_settlement(&house, payment);
		free(payment);
	}
	house_close(&house);
}

/* ... but what may have been heard before is. */
static void test_gate_unheard_after_doubt_stays_unknown(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		struct house house;
		char *payment;

		house_open(&house);
		payment = house_pay(&house, "/articles/a");
		to_settlement(&house, payment);
		switch (i) {
		case 0:
			house_answer(&house, 200, HOUSE_PENDING);
			unsent(&house, X402_ERR_NETWORK);
			break;
		case 1:
			house_transport(&house, X402_ERR_TIMEOUT);
			house_send(&house, "/articles/a", payment);
			unsent(&house, X402_ERR_NETWORK);
			break;
		case 2:
			house_transport(&house, X402_ERR_TIMEOUT);
			house_send(&house, "/articles/a", payment);
			house_answer(&house, 429, "");
			break;
		case 3:
			moved(&house, 307);
			unsent(&house, X402_ERR_NETWORK);
			break;
		case 4: /* it says two things: neither is believed */
			house_answer(&house, 429, HOUSE_SETTLED);
			break;
		case 5:
			house_answer(&house, 503, "");
			break;
		}
		assert_int_equal(house.decision.status, 502);
		assert_int_equal(house_send(&house, "/articles/a", payment),
			X402_GATE_ASK);
		assert_non_null(strstr(house.decision.ask.url, "/settle"));
		free(payment);
		house_close(&house);
	}
}

/*
 * One authorization for us and another one for the next server (L-016): the
 * payment that is claimed would not be the one that is settled, and a new claim
 * would be had for each made-up second one. The scheme refuses it; this is that
 * the gate asks the scheme.
 */
static void test_gate_two_authorizations_are_none(void **state)
{
	struct house house;
	struct x402_json *json = NULL;
	struct x402_json *payload;
	struct x402_json *second;
	char *payment;
	char *both = NULL;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	assert_int_equal(
		x402_header_decode(x402_span_str(payment), NULL, &json),
		X402_OK);
	assert_int_equal(
		x402_json_parse(
			x402_span_str(
				"{\"permitted\":{\"token\":"
				"\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\""
				","
				"\"amount\":\"10000\"},\"from\":"
				"\"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC\""
				","
				"\"spender\":\"0x402085c248EeA27D92E8b30b2C58ed"
				"07f9E20001\",\"nonce\":\"7\",\"deadline\":"
				"\"1795240060\",\"witness\":{\"to\":\"" PAY_TO
				"\",\"validAfter\":\"0\"}}"),
			NULL, NULL, &second),
		X402_OK);
	payload = x402_json_copy(x402_json_get(json, "payload"));
	assert_int_equal(
		x402_json_set_take(payload, "permit2Authorization", second),
		X402_OK);
	assert_int_equal(x402_json_set_take(json, "payload", payload), X402_OK);
	assert_int_equal(x402_header_encode(json, &both), X402_OK);
	assert_int_equal(
		house_send(&house, "/articles/a", both), X402_GATE_ANSWER);
	assert_challenge_error(&house, "unsupported_payload_type");
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ASK);
	x402_json_unref(json);
	free(both);
	free(payment);
	house_close(&house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_gate_payment_in_flight_is_not_granted_twice),
		cmocka_unit_test(test_gate_delivered_payment_is_spent),
		cmocka_unit_test(test_gate_undelivered_payment_is_served_once),
		cmocka_unit_test(test_gate_copied_authorization_buys_nothing),
		cmocka_unit_test(test_gate_no_room_for_payments_is_503),
		cmocka_unit_test(test_gate_out_of_turn_is_closed),
		cmocka_unit_test(test_gate_refused_after_unknown_stays_unknown),
		cmocka_unit_test(test_gate_refused_at_once_is_verified_anew),
		cmocka_unit_test(
			test_gate_settle_that_was_not_heard_is_verified_anew),
		cmocka_unit_test(test_gate_unheard_after_doubt_stays_unknown),
		cmocka_unit_test(test_gate_two_authorizations_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
