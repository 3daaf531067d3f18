/*
 * The gate, decision by decision. What is counted in the end is content given
 * away: in every test that ends badly, no decision but ANSWER or WITHHOLD.
 */
#include "gate_house.h"

/* ---- Without a payment. ---- */

static void test_gate_free_path_passes(void **state)
{
	struct house house;

	(void)state;
	house_open(&house);
	assert_int_equal(house_get(&house, "/"), X402_GATE_PASS);
	assert_int_equal(house_get(&house, "/articles"), X402_GATE_PASS);
	assert_int_equal(house_get(&house, "/paid/free"), X402_GATE_PASS);
	assert_int_equal(house_get(&house, "/both"), X402_GATE_PASS);
	house_close(&house);
}

static void test_gate_unpaid_gets_the_reference_challenge(void **state)
{
	struct house house;
	struct x402_json *json;
	char *text;

	(void)state;
	house_open(&house);
	assert_int_equal(
		house_get(&house, "/articles/a?x=\"1"), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 402);
	assert_body(&house, "{}");
	assert_string_equal(
		decision_header(&house.decision, "Cache-Control"), "no-store");
	assert_string_equal(decision_header(&house.decision, "Content-Type"),
		"application/json");
	assert_non_null(decision_header(&house.decision, "Vary"));
	assert_null(decision_header(
		&house.decision, "Access-Control-Allow-Origin"));
	assert_int_equal(x402_header_decode(
				 x402_span_str(decision_header(&house.decision,
					 X402_HEADER_PAYMENT_REQUIRED)),
				 NULL, &json),
		X402_OK);
	text = x402_json_dump(json);
	assert_string_equal(text,
		"{\"x402Version\":2,\"error\":\"Payment required\","
		"\"resource\":{\"url\":\"https://shop.example/articles/a"
		"?x=\\\"1\",\"description\":\"An article\","
		"\"mimeType\":\"text/html\"},\"accepts\":[{"
		"\"scheme\":\"exact\",\"network\":\"eip155:84532\","
		"\"amount\":\"10000\",\"asset\":"
		"\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\",\"payTo\":"
		"\"" PAY_TO "\",\"maxTimeoutSeconds\":300,"
		"\"extra\":{\"name\":\"USDC\",\"version\":\"2\"}}]}");
	free(text);
	x402_json_unref(json);
	house_close(&house);
}

static void test_gate_v1_route_offers_both_versions(void **state)
{
	struct house house;
	struct x402_payment_required v1;
	struct x402_payment_required v2;
	struct x402_json *json;

	(void)state;
	house_open(&house);
	assert_int_equal(house_get(&house, "/v1"), X402_GATE_ANSWER);
	house_challenge(&house, &v2);
	assert_int_equal(v2.x402_version, X402_V2);
	assert_int_equal(
		x402_json_parse(house.decision.body, NULL, NULL, &json),
		X402_OK);
	assert_int_equal(x402_payment_required_read(json, NULL, &v1), X402_OK);
	assert_int_equal(v1.x402_version, X402_V1);
	assert_string_equal(v1.error, "X-PAYMENT header is required");
	assert_string_equal(v1.accepts[0].network, "base-sepolia");
	assert_string_equal(v1.accepts[0].amount, "10000");
	assert_string_equal(v1.accepts[0].resource, "https://shop.example/v1");
	x402_json_unref(json);
	x402_payment_required_clear(&v1);
	x402_payment_required_clear(&v2);
	house_close(&house);
}

static void test_gate_any_method_on_a_priced_path_is_gated(void **state)
{
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT",
		"DELETE", "OPTIONS", "TRACE", "PATCH", "BREW", "get", "X"};
	struct house house;

	(void)state;
	house_open(&house);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct house_request request = {.method = methods[i],
			.target = "/articles/a",
			.names = {"X-HTTP-Method-Override", "Origin",
				"Access-Control-Request-Method"},
			.values = {"OPTIONS", "https://a.example", "GET"}};

		assert_int_equal(
			house_begin(&house, &request), X402_GATE_ANSWER);
		assert_int_equal(house.decision.status, 402);
		assert_int_equal(x402_gate_method_matches(house.gate), i < 2);
	}
	/* A method that is free by name stays free; a third one is not. */
	assert_int_equal(house_begin(&house,
				 &(struct house_request){
					 .method = "POST", .target = "/both"}),
		X402_GATE_ANSWER);
	assert_int_equal(house_begin(&house,
				 &(struct house_request){
					 .method = "PUT", .target = "/both"}),
		X402_GATE_ANSWER);
	house_close(&house);
}

static void test_gate_ambiguous_path_is_400(void **state)
{
	static const char *const targets[] = {"/articles%2fa", "/x%2f..%2fv1",
		"/%2576%31", "/v1;a", "/v1%00", "/v1%0a", "\\v1", "*", "",
		"/paid/..%2ftwo", "/articles/..%2f..%2ftwo", "/%zz"};
	struct house house;

	(void)state;
	house_open(&house);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		if (house_get(&house, targets[i]) != X402_GATE_ANSWER ||
			house.decision.status != 400)
			fail_msg("%s: action %d, status %u", targets[i],
				house.decision.action, house.decision.status);
	}
	house_close(&house);
}

static void test_gate_preflight_gives_nothing_but_leave(void **state)
{
	struct x402_provider_options options = house_options();
	struct house_request request = {.method = "OPTIONS",
		.target = "/articles/a",
		.names = {"Origin", "Access-Control-Request-Method"},
		.values = {"https://a.example", "GET"}};
	struct house house;

	(void)state;
	options.cors_origin = "*";
	house_open_with(&house, &options);
	assert_int_equal(house_begin(&house, &request), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 204);
	assert_non_null(strstr(decision_header(&house.decision,
				       "Access-Control-Allow-Headers"),
		"PAYMENT-SIGNATURE"));
	/* Without its headers it is a method like any other. */
	request.names[1] = NULL;
	assert_int_equal(house_begin(&house, &request), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 402);
	assert_non_null(strstr(decision_header(&house.decision,
				       "Access-Control-Expose-Headers"),
		"PAYMENT-REQUIRED"));
	house_close(&house);
}

static void test_gate_host_counts_only_when_trusted(void **state)
{
	struct x402_provider_options options = house_options();
	struct house_request request = {.target = "/two",
		.names = {"Host"},
		.values = {"evil.example"}};
	struct x402_payment_required required;
	struct house house;

	(void)state;
	house_open(&house);
	house_begin(&house, &request);
	house_challenge(&house, &required);
	assert_string_equal(required.resource.url, "https://shop.example/two");
	x402_payment_required_clear(&required);
	house_close(&house);

	options.public_origin = NULL;
	options.trust_host = true;
	house_open_with(&house, &options);
	request.values[0] = "127.0.0.1:8080";
	house_begin(&house, &request);
	house_challenge(&house, &required);
	assert_string_equal(required.resource.url, "http://127.0.0.1:8080/two");
	x402_payment_required_clear(&required);
	request.values[0] = "a/b@c";
	house_begin(&house, &request);
	assert_int_equal(house.decision.status, 400);
	request.names[0] = NULL;
	house_begin(&house, &request);
	assert_int_equal(house.decision.status, 400);
	house_close(&house);
}

/* ---- A payment that is bad by itself: nobody is asked. ---- */

static void test_gate_unreadable_payment_is_no_payment(void **state)
{
	static const char *const payments[] = {"", "x",
		"e30=", "W10=", "bnVsbA==", "eyJ4NDAyVmVyc2lvbiI6Mn0=", "{}",
		"=", "e30"};
	struct house house;

	(void)state;
	house_open(&house);
	for (size_t i = 0; i < ARRAY_LEN(payments); i++) {
		assert_int_equal(house_send(&house, "/two", payments[i]),
			X402_GATE_ANSWER);
		assert_int_equal(house.decision.status, 402);
	}
	house_close(&house);
}

static void test_gate_oversized_payment_is_no_payment(void **state)
{
	struct house house;
	char *payment = malloc(X402_HEADER_MAX_BYTES + 5);

	(void)state;
	house_open(&house);
	memset(payment, 'A', X402_HEADER_MAX_BYTES + 4);
	payment[X402_HEADER_MAX_BYTES + 4] = '\0';
	assert_int_equal(house_send(&house, "/two", payment), X402_GATE_ANSWER);
	assert_challenge_error(&house, "Payment required");
	free(payment);
	house_close(&house);
}

static void test_gate_smuggled_payment_is_400(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/v1");
	{
		const struct house_request rows[] = {
			{.target = "/v1",
				.names = {"PAYMENT-SIGNATURE",
					"payment-signature"},
				.values = {payment, payment}},
			{.target = "/v1",
				.names = {"PAYMENT-SIGNATURE", "X-PAYMENT"},
				.values = {payment, payment}},
			{.target = "/v1",
				.names = {"X-PAYMENT", "x-payment"},
				.values = {payment, ""}},
			{.target = "/v1",
				.names = {"PAYMENT-SIGNATURE", "Connection"},
				.values = {payment,
					"close, Payment-Signature"}},
			{.target = "/v1",
				.names = {"PAYMENT-SIGNATURE", "Connection",
					"Connection"},
				.values = {payment, "close",
					"payment-signature"}},
		};

		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			assert_int_equal(house_begin(&house, &rows[i]),
				X402_GATE_ANSWER);
			assert_int_equal(house.decision.status, 400);
		}
	}
	free(payment);
	house_close(&house);
}

static void test_gate_versions_do_not_mix(void **state)
{
	struct house_request request = {
		.target = "/v1", .names = {"X-PAYMENT"}};
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/v1");
	request.values[0] = payment;
	assert_int_equal(house_begin(&house, &request), X402_GATE_ANSWER);
	assert_challenge_error(&house, "invalid_x402_version");
	/* A route that does not sell to v1 does not read its header. */
	request.target = "/two";
	assert_int_equal(house_begin(&house, &request), X402_GATE_ANSWER);
	assert_challenge_error(&house, "Payment required");
	free(payment);
	house_close(&house);
}

static void test_gate_payment_for_other_terms_is_refused(void **state)
{
	struct house house;
	struct x402_payment_required required;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	/* another price */
	assert_int_equal(house_send(&house, "/two", payment), X402_GATE_ANSWER);
	assert_challenge_error(&house, "No matching payment requirements");
	/* the same price, another resource */
	assert_int_equal(
		house_send(&house, "/articles/b", payment), X402_GATE_ANSWER);
	assert_challenge_error(&house, "No matching payment requirements");
	assert_int_equal(house_send(&house, "/articles/a?x=1", payment),
		X402_GATE_ANSWER);
	free(payment);

	/* one field changed by the client */
	house_get(&house, "/articles/a");
	house_challenge(&house, &required);
	required.accepts[0].amount = "1";
	x402_json_unref(required.accepts[0].json);
	required.accepts[0].json = NULL;
	payment = house_pay_offer(&house, &required, 0);
	x402_payment_required_clear(&required);
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ANSWER);
	assert_challenge_error(&house, "No matching payment requirements");
	free(payment);
	house_close(&house);
}

/* Replace text within the JSON of a header. */
static char *edited(const char *payment, const char *from, const char *to)
{
	struct x402_buf json = {0};
	struct x402_buf out = {0};
	struct x402_buf text = {0};
	char *all;
	char *at;

	assert_int_equal(
		x402_base64_decode(x402_span_str(payment), &json), X402_OK);
	all = x402_buf_take_str(&json);
	at = strstr(all, from);
	assert_non_null(at);
	x402_buf_add(&out, x402_span(all, (size_t)(at - all)));
	x402_buf_add_str(&out, to);
	x402_buf_add_str(&out, at + strlen(from));
	x402_base64_encode(x402_buf_span(&out), &text);
	x402_buf_clear(&out);
	free(all);
	return x402_buf_take_str(&text);
}

static void test_gate_bad_authorization_is_refused_offline(void **state)
{
	static const struct {
		const char *amount;
		const char *pay_to;
		uint64_t signed_at;
		const char *error;
	} rows[] = {
		{"9999", PAY_TO, NOW,
			"invalid_exact_evm_payload_authorization_value_"
			"mismatch"},
		{"10001", PAY_TO, NOW,
			"invalid_exact_evm_payload_authorization_value_"
			"mismatch"},
		{"10000", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", NOW,
			"invalid_exact_evm_recipient_mismatch"},
		{"10000", PAY_TO, NOW - 299,
			"invalid_exact_evm_payload_authorization_valid_before"},
		{"10000", PAY_TO, NOW + 601,
			"invalid_exact_evm_payload_authorization_valid_after"},
	};
	struct x402_payment_required required;
	struct house house;
	char *payment;
	char *other;

	(void)state;
	house_open(&house);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct x402_payment_requirements terms;

		house_get(&house, "/articles/a");
		house_challenge(&house, &required);
		terms = required.accepts[0];
		terms.amount = rows[i].amount;
		terms.pay_to = rows[i].pay_to;
		payment = house_pay_terms(
			&house, &required, 0, &terms, rows[i].signed_at);
		assert_int_equal(house_send(&house, "/articles/a", payment),
			X402_GATE_ANSWER);
		assert_challenge_error(&house, rows[i].error);
		free(payment);
		x402_payment_required_clear(&required);
	}
	/* P-154: another way to transfer than the one that is offered */
	payment = house_pay(&house, "/articles/a");
	other = edited(
		payment, "\"authorization\"", "\"permit2Authorization\"");
	assert_int_equal(
		house_send(&house, "/articles/a", other), X402_GATE_ANSWER);
	assert_challenge_error(&house, "unsupported_payload_type");
	free(other);
	free(payment);
	house_close(&house);
}

static void test_gate_extension_must_be_echoed(void **state)
{
	static const struct {
		const char *from;
		const char *to;
		enum x402_gate_action action;
	} rows[] = {
		{"\"n\":[1,2]", "\"n\":[1,2]", X402_GATE_ASK},
		{"\"n\":[1,2]", "\"n\":[1,2],\"more\":1", X402_GATE_ASK},
		{"\"n\":[1,2]", "\"n\":[1,2,3]", X402_GATE_ANSWER},
		{"\"n\":[1,2]", "\"m\":1", X402_GATE_ANSWER},
		{"\"method\":\"GET\"", "\"method\":\"PUT\"", X402_GATE_ANSWER},
		{"\"bazaar\"", "\"bazar\"", X402_GATE_ANSWER},
		{"\"info\"", "\"inf\"", X402_GATE_ANSWER},
		{"\"extensions\"", "\"extension\"", X402_GATE_ANSWER},
	};
	struct house house;

	(void)state;
	house_open(&house);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *payment = house_pay(&house, "/listed");
		char *sent = edited(payment, rows[i].from, rows[i].to);

		assert_int_equal(
			house_send(&house, "/listed", sent), rows[i].action);
		if (rows[i].action == X402_GATE_ANSWER)
			assert_challenge_error(
				&house, "extension_echo_mismatch");
		free(sent);
		free(payment);
	}
	house_close(&house);
}

/* ---- A good payment. ---- */

static void test_gate_paid_request_runs_settles_delivers(void **state)
{
	struct x402_settle_response receipt;
	struct x402_span slug;
	struct house house;
	char *payment;
	char key[65];

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	assert_int_equal(
		house_send(&house, "/Articles//a", payment), X402_GATE_ANSWER);
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ASK);
	assert_string_equal(
		house.decision.ask.url, "https://facilitator.example/f/verify");
	assert_string_equal(house.decision.ask.method, "POST");
	assert_string_equal(ask_header(&house.decision.ask, "Authorization"),
		"Bearer s3cret");
	assert_null(ask_header(&house.decision.ask, "Idempotency-Key"));
	assert_true(x402_gate_param(house.gate, "slug", &slug));
	assert_int_equal(slug.len, 1);
	assert_string_equal(x402_gate_payer(house.gate), house.payer_text);
	assert_string_equal(x402_gate_amount(house.gate), "10000");

	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_string_equal(
		house.decision.ask.url, "https://facilitator.example/f/settle");
	snprintf(key, sizeof(key), "%s",
		ask_header(&house.decision.ask, "Idempotency-Key"));
	assert_int_equal(strlen(key), 64);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	house_receipt(&house, X402_HEADER_PAYMENT_RESPONSE, &receipt);
	assert_true(receipt.success);
	assert_string_equal(receipt.transaction, TX);
	x402_settle_response_clear(&receipt);
	assert_string_equal(
		decision_header(&house.decision, "Cache-Control"), "private");
	assert_string_equal(x402_gate_transaction(house.gate), TX);
	x402_gate_delivered(house.gate);
	free(payment);
	house_close(&house);
}

/* What is asked are our terms and the client's payment, as in the capture. */
static void test_gate_asks_as_the_reference_does(void **state)
{
	struct x402_facilitator_request request;
	struct x402_json *json;
	struct house house;
	char *payment;
	void *iter = NULL;
	const char *key;
	const struct x402_json *value;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ASK);
	assert_int_equal(
		x402_json_parse(house.decision.ask.body, NULL, NULL, &json),
		X402_OK);
	assert_true(x402_json_next(json, &iter, &key, &value));
	assert_string_equal(key, "x402Version");
	assert_true(x402_json_next(json, &iter, &key, &value));
	assert_string_equal(key, "paymentPayload");
	assert_true(x402_json_next(json, &iter, &key, &value));
	assert_string_equal(key, "paymentRequirements");
	assert_false(x402_json_next(json, &iter, &key, &value));
	assert_int_equal(
		x402_facilitator_request_read(json, NULL, &request), X402_OK);
	assert_string_equal(request.requirements.amount, "10000");
	assert_string_equal(request.requirements.pay_to, PAY_TO);
	assert_true(x402_requirements_match(
		&request.requirements, &request.payload));
	x402_facilitator_request_clear(&request);
	x402_json_unref(json);
	free(payment);
	house_close(&house);
}

static char *house_pay_v1(struct house *house)
{
	struct x402_payment_required required;
	struct x402_json *json;
	char *payment;

	house_get(house, "/v1");
	assert_int_equal(
		x402_json_parse(house->decision.body, NULL, NULL, &json),
		X402_OK);
	assert_int_equal(
		x402_payment_required_read(json, NULL, &required), X402_OK);
	payment = house_pay_offer(house, &required, 0);
	x402_payment_required_clear(&required);
	x402_json_unref(json);
	return payment;
}

static void test_gate_v1_payment_goes_all_the_way(void **state)
{
	struct house_request request = {
		.target = "/v1", .names = {"x-payment"}};
	struct x402_settle_response receipt;
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	for (int i = 0; i < 2; i++) {
		payment = house_pay_v1(&house);
		request.values[0] = payment;
		assert_int_equal(house_begin(&house, &request), X402_GATE_ASK);
		assert_non_null(
			strstr((const char *)house.decision.ask.body.ptr,
				"\"maxAmountRequired\":\"10000\""));
		assert_int_equal(house_answer(&house, 200, HOUSE_VALID),
			X402_GATE_RUN_HANDLER);
		assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
		/* A v1 facilitator says the name, others the CAIP-2 id. */
		assert_int_equal(
			house_answer(&house, 200,
				i ? HOUSE_SETTLED
				  : "{\"success\":true,\"transaction\":\"" TX
				    "\",\"network\":\"base-sepolia\"}"),
			X402_GATE_DELIVER);
		house_receipt(&house, X402_HEADER_X_PAYMENT_RESPONSE, &receipt);
		assert_true(receipt.success);
		x402_settle_response_clear(&receipt);
		assert_null(decision_header(
			&house.decision, X402_HEADER_PAYMENT_RESPONSE));
		free(payment);
	}
	house_close(&house);
}

static void test_gate_second_offer_is_taken(void **state)
{
	struct x402_payment_required required;
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	house_get(&house, "/two");
	house_challenge(&house, &required);
	assert_int_equal(required.accepts_len, 2);
	payment = house_pay_offer(&house, &required, 1);
	x402_payment_required_clear(&required);
	assert_int_equal(house_send(&house, "/two", payment), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	free(payment);
	house_close(&house);
}

/* P-130 */
static void test_gate_deliver_keeps_shared_caches_out(void **state)
{
	static const struct {
		const char *from;
		const char *to;
	} rows[] = {
		{NULL, "private"},
		{"", "private"},
		{"public", "private"},
		{"public, max-age=60", "max-age=60, private"},
		{"s-maxage=60, max-age=5", "max-age=5, private"},
		{"S-MaxAge = 1, Public ,immutable", "immutable, private"},
		{"no-store", "no-store"},
		{"private, max-age=1", "private, max-age=1"},
		{"publicity", "publicity, private"},
		{"no-cache=\"a, public\"", "private, no-store"},
		{",,,", "private"},
	};
	struct house house;

	(void)state;
	house_open(&house);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *payment = house_pay(&house, "/articles/a");
		struct x402_gate_handler_result result = {.status = 200,
			.cache_control = rows[i].from,
			.now_unix_s = NOW};

		house_send(&house, "/articles/a", payment);
		house_answer(&house, 200, HOUSE_VALID);
		x402_gate_on_handler(house.gate, &result, &house.decision);
		assert_int_equal(house_answer(&house, 200, HOUSE_SETTLED),
			X402_GATE_DELIVER);
		assert_string_equal(
			decision_header(&house.decision, "Cache-Control"),
			rows[i].to);
		free(payment);
	}
	house_close(&house);
}

/* P-129 */
static void test_gate_failed_handler_is_not_settled(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	house_open(&house);
	payment = house_pay(&house, "/articles/a");
	for (unsigned status = 400; status < 600; status += 100) {
		assert_int_equal(house_send(&house, "/articles/a", payment),
			X402_GATE_ASK);
		house_answer(&house, 200, HOUSE_VALID);
		assert_int_equal(
			house_handled(&house, status), X402_GATE_DELIVER);
		assert_null(decision_header(
			&house.decision, X402_HEADER_PAYMENT_RESPONSE));
	}
	/* A handler that died has nothing to deliver. */
	house_send(&house, "/articles/a", payment);
	house_answer(&house, 200, HOUSE_VALID);
	assert_int_equal(house_handled(&house, 0), X402_GATE_WITHHOLD);
	assert_int_equal(house.decision.status, 500);
	/* And the same payment is still good. */
	assert_int_equal(
		house_send(&house, "/articles/a", payment), X402_GATE_ASK);
	free(payment);
	house_close(&house);
}

static const char *refuse_hook(void *user, const struct x402_gate *gate)
{
	(void)gate;
	return user;
}

static void test_gate_hooks_abort_with_403(void **state)
{
	struct house house;

	(void)state;
	for (int which = 0; which < 3; which++) {
		struct x402_provider_options options = house_options();
		char *payment;

		options.hooks.user = (void *)(uintptr_t) "not today";
		options.hooks.before_verify = which == 0 ? refuse_hook : NULL;
		options.hooks.after_verify = which == 1 ? refuse_hook : NULL;
		options.hooks.before_settle = which == 2 ? refuse_hook : NULL;
		house_open_with(&house, &options);
		payment = house_pay(&house, "/articles/a");
		house_send(&house, "/articles/a", payment);
		if (which > 0)
			house_answer(&house, 200, HOUSE_VALID);
		if (which > 1)
			house_handled(&house, 200);
		assert_int_equal(house.decision.action,
			which == 2 ? X402_GATE_WITHHOLD : X402_GATE_ANSWER);
		assert_int_equal(house.decision.status, 403);
		assert_body(&house, "{\"error\":\"not today\"}");
		free(payment);
		house_close(&house);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate_free_path_passes),
		cmocka_unit_test(test_gate_unpaid_gets_the_reference_challenge),
		cmocka_unit_test(test_gate_v1_route_offers_both_versions),
		cmocka_unit_test(
			test_gate_any_method_on_a_priced_path_is_gated),
		cmocka_unit_test(test_gate_ambiguous_path_is_400),
		cmocka_unit_test(test_gate_preflight_gives_nothing_but_leave),
		cmocka_unit_test(test_gate_host_counts_only_when_trusted),
		cmocka_unit_test(test_gate_unreadable_payment_is_no_payment),
		cmocka_unit_test(test_gate_oversized_payment_is_no_payment),
		cmocka_unit_test(test_gate_smuggled_payment_is_400),
		cmocka_unit_test(test_gate_versions_do_not_mix),
		cmocka_unit_test(test_gate_payment_for_other_terms_is_refused),
		cmocka_unit_test(
			test_gate_bad_authorization_is_refused_offline),
		cmocka_unit_test(test_gate_extension_must_be_echoed),
		cmocka_unit_test(test_gate_paid_request_runs_settles_delivers),
		cmocka_unit_test(test_gate_asks_as_the_reference_does),
		cmocka_unit_test(test_gate_v1_payment_goes_all_the_way),
		cmocka_unit_test(test_gate_second_offer_is_taken),
		cmocka_unit_test(test_gate_deliver_keeps_shared_caches_out),
		cmocka_unit_test(test_gate_failed_handler_is_not_settled),
		cmocka_unit_test(test_gate_hooks_abort_with_403),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
