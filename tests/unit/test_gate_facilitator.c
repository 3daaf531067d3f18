/*
 * The facilitator lies, stammers or is silent (demands.md 36), and payments
 * come again (37, F2). A table of what it says and what the buyer then gets;
 * the handler's response leaves for none of them.
 */
#include "gate_house.h"

struct said {
	unsigned status;
	const char *body;
	unsigned expected; /* HTTP status to the buyer */
};

static void test_gate_verify_anything_but_a_yes_stays_closed(void **state)
{
	static const struct said rows[] = {
		/* a no, in any dress */
		{200, "{\"isValid\":false,\"invalidReason\":\"x\"}", 402},
		{200, "{\"isValid\":false}", 402},
		{400, "{\"isValid\":false,\"invalidReason\":\"x\"}", 402},
		{500,
			"{\"isValid\":false,\"invalidReason\":"
			"\"unexpected_verify_error\"}",
			402},
		{200,
			"{\"isValid\":false,\"invalidReason\":"
			"\"permit2_allowance_required\"}",
			412},
		/* a yes that is none */
		{500, HOUSE_VALID, 502},
		{404, HOUSE_VALID, 502},
		{201, "{\"isValid\":true,\"invalidReason\":\"but\"}", 502},
		{200,
			"{\"isValid\":true,\"payer\":"
			"\"0x90F79bf6EB2c4f870365E785982E1f101E93b906\"}",
			502},
		{200, "{\"isValid\":true,\"payer\":\"me\"}", 502},
		{200, "{\"isValid\":\"true\"}", 502},
		{200, "{\"isValid\":1}", 502},
		{200, "{\"isValid\":null}", 502},
		{200, "{\"isvalid\":true}", 502},
		{200, "{\"isValid\":[true]}", 502},
		{200, "{\"isValid\":false,\"isValid\":true}", 502},
		{200, "{\"success\":true}", 502},
		/* nothing that can be read */
		{200, "", 502},
		{204, "", 502},
		{200, "{}", 502},
		{200, "[]", 502},
		{200, "true", 502},
		{200, "null", 502},
		{200, "\"isValid\"", 502},
		{200, "{\"isValid\":true", 502},
		{200, "{\"isValid\":true}x", 502},
		{200, "<html>isValid: true</html>", 502},
		{200, "\xef\xbb\xbf{\"isValid\":true}", 502},
		{500, "oops", 502},
		{429, "{\"error\":\"slow down\"}", 502},
		{301, HOUSE_VALID, 502},
		{302, HOUSE_VALID, 502},
		{303, HOUSE_VALID, 502},
		{304, HOUSE_VALID, 502},
		{307, HOUSE_VALID, 502},
		{308, HOUSE_VALID, 502},
		{0, HOUSE_VALID, 502},
	};
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(house_send(&house, "/articles/a", payment),
			X402_GATE_ASK);
		if (house_answer(&house, rows[i].status, rows[i].body) !=
				X402_GATE_ANSWER ||
			house.decision.status != rows[i].expected)
			fail_msg("%u %s: action %d, status %u", rows[i].status,
				rows[i].body, house.decision.action,
				house.decision.status);
	}
	/* All that has harmed nobody: the payment is still good. */
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	free(payment);
	house_close(&house);
}

static void test_gate_verify_transport_fault_is_502(void **state)
{
	static const enum x402_err faults[] = {X402_ERR_NETWORK,
		X402_ERR_TIMEOUT, X402_ERR_TOO_LARGE, X402_ERR_NOMEM,
		X402_ERR_CANCELLED};
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		assert_int_equal(house_send(&house, "/articles/a", payment),
			X402_GATE_ASK);
		assert_int_equal(
			house_transport(&house, faults[i]), X402_GATE_ANSWER);
		assert_int_equal(house.decision.status, 502);
		assert_string_equal(
			decision_header(&house.decision, "Cache-Control"),
			"no-store");
	}
	free(payment);
	house_close(&house);
}

static void test_gate_reason_is_escaped_and_bounded(void **state)
{
	struct x402_payment_required required;
	char body[2000];
	char longest[1000];
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/v1");
	house_send(&house, "/v1", payment);
	house_answer(&house, 200,
		"{\"isValid\":false,\"invalidReason\":"
		"\"<script>\\\"\\r\\nX: y\"}");
	house_challenge(&house, &required);
	assert_string_equal(required.error, "<script>\"\r\nX: y");
	x402_payment_required_clear(&required);
	assert_null(
		memchr(house.decision.body.ptr, '\n', house.decision.body.len));

	memset(longest, 'r', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	snprintf(body, sizeof(body),
		"{\"isValid\":false,\"invalidReason\":\"%s\"}", longest);
	house_send(&house, "/v1", payment);
	house_answer(&house, 200, body);
	assert_challenge_error(&house, "unexpected_verify_error");
	free(payment);
	house_close(&house);
}

/* Bring a request to where its settlement is asked for. */
static void to_settlement(struct house *house, const char *payment)
{
	assert_int_equal(
		house_send(house, "/articles/a", payment), X402_GATE_ASK);
	assert_int_equal(
		house_answer(house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(house, 200), X402_GATE_ASK);
}

#define SUCCESS(members) "{\"success\":true" members "}"
#define ON_SEPOLIA       ",\"network\":\"eip155:84532\""
#define WITH_TX          ",\"transaction\":\"" TX "\""

static void test_gate_settle_anything_but_proof_is_withheld(void **state)
{
	static const struct said rows[] = {
		/* a no */
		{200,
			"{\"success\":false,\"errorReason\":"
			"\"insufficient_funds\",\"transaction\":\"\","
			"\"network\":\"eip155:84532\"}",
			402},
		{200,
			"{\"success\":false,\"transaction\":\"\","
			"\"network\":\"eip155:84532\"}",
			402},
		{409,
			"{\"success\":false,\"errorReason\":"
			"\"duplicate_settlement\",\"transaction\":\"\","
			"\"network\":\"eip155:84532\"}",
			402},
		/* a yes that proves nothing */
		{200, SUCCESS(""), 502},
		{200, SUCCESS(ON_SEPOLIA), 502},
		{200, SUCCESS(ON_SEPOLIA ",\"transaction\":\"\""), 502},
		{200, SUCCESS(ON_SEPOLIA ",\"transaction\":null"), 502},
		{200, SUCCESS(ON_SEPOLIA ",\"transaction\":7"), 502},
		{200, SUCCESS(WITH_TX), 502},
		{200, SUCCESS(WITH_TX ",\"network\":\"eip155:8453\""), 502},
		{200, SUCCESS(WITH_TX ",\"network\":\"base-sepolia\""), 502},
		{200, SUCCESS(WITH_TX ",\"network\":\"\""), 502},
		{200, SUCCESS(WITH_TX ON_SEPOLIA ",\"payer\":\"" PAY_TO "\""),
			502},
		{200, SUCCESS(WITH_TX ON_SEPOLIA ",\"payer\":\"0x\""), 502},
		{200, SUCCESS(WITH_TX ON_SEPOLIA ",\"amount\":\"1\""), 502},
		{200,
			SUCCESS(WITH_TX ON_SEPOLIA
				",\"errorReason\":\"settlement_pending\""),
			502},
		{202, "{\"success\":\"true\"" WITH_TX ON_SEPOLIA "}", 502},
		{500, SUCCESS(WITH_TX ON_SEPOLIA), 502},
		{402, SUCCESS(WITH_TX ON_SEPOLIA), 502},
		{302, SUCCESS(WITH_TX ON_SEPOLIA), 502},
		/* nonsense */
		{200, "", 502},
		{200, "{}", 502},
		{200, "{\"isValid\":true}", 502},
		{200, "<html>", 502},
		{200,
			"{\"success\":true,\"success\":false" WITH_TX ON_SEPOLIA
			"}",
			502},
		{503, "busy", 502},
	};
	struct house house;

	(void)state;
	house_open(&house);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *payment = house_pay(&house, "/articles/a");

		to_settlement(&house, payment);
		if (house_answer(&house, rows[i].status, rows[i].body) !=
				X402_GATE_WITHHOLD ||
			house.decision.status != rows[i].expected)
			fail_msg("%u %s: action %d, status %u", rows[i].status,
				rows[i].body, house.decision.action,
				house.decision.status);
		free(payment);
	}
	house_close(&house);
}

/* P-141 */
static void test_gate_settle_refused_gives_the_receipt(void **state)
{
	struct x402_settle_response receipt;
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	to_settlement(&house, payment);
	assert_int_equal(house_answer(&house, 200,
				 "{\"success\":false,\"errorReason\":"
				 "\"insufficient_funds\",\"transaction\":\"\","
				 "\"network\":\"eip155:84532\"}"),
		X402_GATE_WITHHOLD);
	assert_int_equal(house.decision.status, 402);
	assert_body(&house, "{}");
	assert_null(
		decision_header(&house.decision, X402_HEADER_PAYMENT_REQUIRED));
	house_receipt(&house, X402_HEADER_PAYMENT_RESPONSE, &receipt);
	assert_false(receipt.success);
	assert_string_equal(receipt.error_reason, "insufficient_funds");
	x402_settle_response_clear(&receipt);
	/* Final: verified anew when it comes again. */
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ASK);
	assert_non_null(strstr(house.decision.ask.url, "/verify"));
	free(payment);
	house_close(&house);
}

static void test_gate_huge_receipt_is_cut_to_its_words(void **state)
{
	struct x402_settle_response receipt;
	struct x402_buf body = {0};
	struct house house;
	char *payment;
	char *text;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	to_settlement(&house, payment);
	x402_buf_add_str(&body,
		"{\"success\":true" WITH_TX ON_SEPOLIA ",\"extra\":{\"a\":\"");
	for (size_t i = 0; i < X402_HEADER_MAX_BYTES; i++)
		x402_buf_add_byte(&body, 'a');
	x402_buf_add_str(&body, "\"}}");
	text = x402_buf_take_str(&body);
	assert_int_equal(house_answer(&house, 200, text), X402_GATE_DELIVER);
	house_receipt(&house, X402_HEADER_PAYMENT_RESPONSE, &receipt);
	assert_true(receipt.success);
	assert_string_equal(receipt.transaction, TX);
	assert_null(receipt.extra);
	x402_settle_response_clear(&receipt);
	free(text);
	free(payment);
	house_close(&house);
}

/* P-160 */
static void test_gate_pending_is_asked_once_more(void **state)
{
	struct x402_settle_response receipt;
	struct house house;
	char *payment;
	char *body;
	char key[65];

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	to_settlement(&house, payment);
	body = strdup((const char *)house.decision.ask.body.ptr);
	snprintf(key, sizeof(key), "%s",
		ask_header(&house.decision.ask, "Idempotency-Key"));
	assert_int_equal(
		house_answer(&house, 200, HOUSE_PENDING), X402_GATE_ASK);
	assert_string_equal((const char *)house.decision.ask.body.ptr, body);
	assert_string_equal(
		ask_header(&house.decision.ask, "Idempotency-Key"), key);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_PENDING), X402_GATE_WITHHOLD);
	assert_int_equal(house.decision.status, 402);
	house_receipt(&house, X402_HEADER_PAYMENT_RESPONSE, &receipt);
	assert_string_equal(receipt.error_reason, "settlement_pending");
	assert_string_equal(receipt.transaction, TX);
	x402_settle_response_clear(&receipt);

	/* The same payment again: settle first, under the same key, and only
	 * then the handler, whose response goes out at once. */
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ASK);
	assert_non_null(strstr(house.decision.ask.url, "/settle"));
	assert_string_equal(
		ask_header(&house.decision.ask, "Idempotency-Key"), key);
	assert_int_equal(house_answer(&house, 200, HOUSE_SETTLED),
		X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_DELIVER);
	house_receipt(&house, X402_HEADER_PAYMENT_RESPONSE, &receipt);
	assert_true(receipt.success);
	x402_settle_response_clear(&receipt);
	free(body);
	free(payment);
	house_close(&house);
}

static void test_gate_pending_then_settled_delivers(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	to_settlement(&house, payment);
	house_answer(&house, 200, HOUSE_PENDING);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	free(payment);
	house_close(&house);
}

static void test_gate_pending_without_transaction_is_502(void **state)
{
	static const char pending[] =
		"{\"success\":false,\"errorReason\":\"settlement_pending\","
		"\"transaction\":\"\",\"network\":\"eip155:84532\"}";
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	to_settlement(&house, payment);
	assert_int_equal(house_answer(&house, 200, pending), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, pending), X402_GATE_WITHHOLD);
	assert_int_equal(house.decision.status, 502);
	free(payment);
	house_close(&house);
}

/* P-161 */
static void test_gate_settle_timeout_is_reconciled_by_the_retry(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	to_settlement(&house, payment);
	assert_int_equal(
		house_transport(&house, X402_ERR_TIMEOUT), X402_GATE_WITHHOLD);
	assert_int_equal(house.decision.status, 502);
	assert_null(
		decision_header(&house.decision, X402_HEADER_PAYMENT_REQUIRED));
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ASK);
	assert_non_null(strstr(house.decision.ask.url, "/settle"));
	/* Still nothing: closed, and still to be reconciled. */
	assert_int_equal(
		house_transport(&house, X402_ERR_TIMEOUT), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 502);
	house_send(&house, "/articles/a", payment);
	assert_int_equal(house_answer(&house, 200, HOUSE_SETTLED),
		X402_GATE_RUN_HANDLER);
	/* The money has moved; the handler fails (P-150); it may come again. */
	assert_int_equal(house_handled(&house, 500), X402_GATE_DELIVER);
	assert_non_null(
		decision_header(&house.decision, X402_HEADER_PAYMENT_RESPONSE));
	assert_int_equal(house_send(&house, "/articles/a", payment),
		X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_DELIVER);
	x402_gate_delivered(house.gate);
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ANSWER);
	free(payment);
	house_close(&house);
}

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

/* ---- Redirects, P-101. ---- */

static enum x402_gate_action redirect(
	struct house *house, unsigned status, const char *location)
{
	struct x402_gate_facilitator_answer answer = {
		.status = status,
		.location = x402_span_str(location),
		.now_unix_s = NOW,
	};

	x402_gate_on_facilitator(house->gate, &answer, &house->decision);
	return house->decision.action;
}

static void test_gate_moved_facilitator_is_followed(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	house_send(&house, "/articles/a", payment);
	assert_int_equal(redirect(&house, 308, "/g/verify"), X402_GATE_ASK);
	assert_string_equal(
		house.decision.ask.url, "https://facilitator.example/g/verify");
	assert_non_null(ask_header(&house.decision.ask, "Authorization"));
	assert_int_equal(redirect(&house, 307, "https://www.example/verify"),
		X402_GATE_ASK);
	assert_string_equal(
		house.decision.ask.url, "https://www.example/verify");
	/* Our credentials stay at home. */
	assert_null(ask_header(&house.decision.ask, "Authorization"));
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_string_equal(
		house.decision.ask.url, "https://facilitator.example/f/settle");
	free(payment);
	house_close(&house);
}

static void test_gate_bad_redirects_are_502(void **state)
{
	static const struct {
		unsigned status;
		const char *location;
	} rows[] = {
		{308, NULL},
		{308, ""},
		{308, "http://facilitator.example/verify"},
		{308, "//other.example/verify"},
		{308, "verify"},
		{308, "javascript:1"},
		{308, "https://"},
		{308, "https://u@other.example/"},
		{308, "https://other.example/\r\nX: y"},
		{301, "https://facilitator.example/verify"},
		{302, "https://facilitator.example/verify"},
		{303, "https://facilitator.example/verify"},
		{300, "https://facilitator.example/verify"},
	};
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		house_send(&house, "/articles/a", payment);
		if (redirect(&house, rows[i].status, rows[i].location) !=
				X402_GATE_ANSWER ||
			house.decision.status != 502)
			fail_msg("%u %s", rows[i].status, rows[i].location);
	}
	/* round and round */
	house_send(&house, "/articles/a", payment);
	assert_int_equal(redirect(&house, 308, "/a"), X402_GATE_ASK);
	assert_int_equal(redirect(&house, 308, "/b"), X402_GATE_ASK);
	assert_int_equal(redirect(&house, 308, "/a"), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 502);
	free(payment);
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
			test_gate_verify_anything_but_a_yes_stays_closed),
		cmocka_unit_test(test_gate_verify_transport_fault_is_502),
		cmocka_unit_test(test_gate_reason_is_escaped_and_bounded),
		cmocka_unit_test(
			test_gate_settle_anything_but_proof_is_withheld),
		cmocka_unit_test(test_gate_settle_refused_gives_the_receipt),
		cmocka_unit_test(test_gate_huge_receipt_is_cut_to_its_words),
		cmocka_unit_test(test_gate_pending_is_asked_once_more),
		cmocka_unit_test(test_gate_pending_then_settled_delivers),
		cmocka_unit_test(test_gate_pending_without_transaction_is_502),
		cmocka_unit_test(
			test_gate_settle_timeout_is_reconciled_by_the_retry),
		cmocka_unit_test(
			test_gate_payment_in_flight_is_not_granted_twice),
		cmocka_unit_test(test_gate_delivered_payment_is_spent),
		cmocka_unit_test(test_gate_undelivered_payment_is_served_once),
		cmocka_unit_test(test_gate_copied_authorization_buys_nothing),
		cmocka_unit_test(test_gate_no_room_for_payments_is_503),
		cmocka_unit_test(test_gate_moved_facilitator_is_followed),
		cmocka_unit_test(test_gate_bad_redirects_are_502),
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
