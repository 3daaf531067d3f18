/*
 * The facilitator lies, stammers or is silent (demands.md 36). A table of what
 * it says and what the buyer then gets; the handler's response leaves for none
 * of them. Payments that come again: test_gate_again.c.
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
		cmocka_unit_test(test_gate_moved_facilitator_is_followed),
		cmocka_unit_test(test_gate_bad_redirects_are_502),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
