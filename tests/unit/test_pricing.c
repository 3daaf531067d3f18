/*
 * Prices that depend on the request or change while payments are in flight,
 * when the money moves, and which facilitator is asked. What must not happen:
 * a cheap quote that buys the dear thing, a second facilitator that settles
 * what the first may have settled, a payment lost to a new price.
 */
#include "gate_house.h"
#include "gate_p.h"

static bool by_query(void *user, const struct x402_gate *gate, char *ret_price)
{
	const char *now = *(const char **)user;

	if (strcmp(x402_gate_query(gate), "broken") == 0)
		return false;
	snprintf(ret_price, X402_PROVIDER_PRICE_SIZE, "%s",
		strcmp(x402_gate_query(gate), "large") == 0 ? "$5" : now);
	return true;
}

/* A cent a word that is asked about. */
static bool by_body(void *user, const struct x402_gate *gate, char *ret_price)
{
	(void)user;
	snprintf(ret_price, X402_PROVIDER_PRICE_SIZE, "$%zu",
		x402_gate_body(gate).len);
	return x402_gate_body(gate).len > 0;
}

static const char *by_query_now = "$0.03";
static const struct x402_provider_price no_price = {
	.network = "eip155:84532", .pay_to = PAY_TO};
static const struct x402_provider_price own_asset = {.network = "eip155:84532",
	.pay_to = PAY_TO,
	.asset = "0x5FbDB2315678afecb367f032d93F642f64180aa3",
	.decimals = 18,
	.extra_json = "{\"name\":\"Own\",\"version\":\"1\"}"};
/* Nobody knows its decimals, so only its own units can be said. */
static const struct x402_provider_price coin = {.network = "eip155:84532",
	.pay_to = PAY_TO,
	.amount = "1",
	.asset = "0x5FbDB2315678afecb367f032d93F642f64180aa3",
	.extra_json = "{\"name\":\"Own\",\"version\":\"1\"}"};
static const struct x402_provider_param_price sizes[] = {
	{"small", "$0.01"}, {"large", "$0.5"}};
static const struct x402_provider_route routes[] = {
	{.pattern = "GET /fixed", .prices = &house_cent, .prices_len = 1},
	{.pattern = "GET /sized/[size]",
		.prices = &house_cent,
		.prices_len = 1,
		.price_param = "size",
		.param_prices = sizes,
		.param_prices_len = 2},
	{.pattern = "GET /called",
		.prices = &no_price,
		.prices_len = 1,
		.price = by_query,
		.price_user = &by_query_now,
		.quote_s = 60},
	{.pattern = "GET /said",
		.prices = &no_price,
		.prices_len = 1,
		.price_at_request = true},
	{.pattern = "GET /before",
		.prices = &house_cent,
		.prices_len = 1,
		.settle = X402_PROVIDER_SETTLE_BEFORE},
	{.pattern = "GET /reserve",
		.prices = &house_cent,
		.prices_len = 1,
		.settle = X402_PROVIDER_SETTLE_RESERVE},
	{.pattern = "POST /weighed/[x]",
		.prices = &no_price,
		.prices_len = 1,
		.price = by_body,
		.price_by_body = true},
	{.pattern = "POST /quoted",
		.prices = &no_price,
		.prices_len = 1,
		.price_at_request = true,
		.quote_s = 60},
	{.pattern = "GET /own",
		.prices = &own_asset,
		.prices_len = 1,
		.price_at_request = true},
	{.pattern = "GET /coined",
		.prices = &coin,
		.prices_len = 1,
		.price_at_request = true},
};

static const struct x402_provider_facilitator two[] = {
	{"https://one.example", "Bearer one"},
	{"https://two.example", "Bearer two"}};

static void open_priced(struct house *house, size_t facilitators)
{
	struct x402_provider_options options = {
		.public_origin = "https://shop.example",
		.routes = routes,
		.routes_len = ARRAY_LEN(routes),
		.facilitators = two,
		.facilitators_len = facilitators,
	};

	by_query_now = "$0.03";
	house_open_with(house, &options);
}

/* What the last challenge asks for. */
static void assert_amount(struct house *house, const char *amount)
{
	struct x402_payment_required required;

	assert_int_equal(house->decision.status, 402);
	house_challenge(house, &required);
	assert_string_equal(required.accepts[0].amount, amount);
	x402_payment_required_clear(&required);
}

static enum x402_gate_action begin_with(struct house *house, const char *target,
	const char *payment, const char *const prices[2], uint64_t now)
{
	struct house_request from = {.target = target,
		.names = {payment ? X402_HEADER_PAYMENT_SIGNATURE : NULL},
		.values = {payment}};
	struct x402_gate_request request = {
		.method = "GET",
		.target = x402_span_str(target),
		.header = house_header,
		.header_user = &from,
		.now_unix_s = now,
		.price = prices[0],
		.old_price = prices[1],
	};

	x402_gate_free(house->gate);
	assert_int_equal(x402_gate_new(house->provider, &house->gate), X402_OK);
	x402_gate_begin(house->gate, &request, &house->decision);
	return house->decision.action;
}

static enum x402_gate_action begin_at(struct house *house, const char *target,
	const char *payment, const char *price, uint64_t now)
{
	const char *const prices[2] = {price, NULL};

	return begin_with(house, target, payment, prices, now);
}

static void test_price_by_parameter(void **state)
{
	struct house house;
	char *small;

	(void)state;
	open_priced(&house, 0);
	house_get(&house, "/sized/large");
	assert_amount(&house, "500000");
	house_get(&house, "/sized/other");
	assert_amount(&house, "10000");
	/* The small one's payment does not buy the large one. */
	small = house_pay(&house, "/sized/small");
	assert_int_equal(
		house_send(&house, "/sized/large", small), X402_GATE_ANSWER);
	assert_amount(&house, "500000");
	assert_int_equal(
		house_send(&house, "/sized/small", small), X402_GATE_ASK);
	free(small);
	house_close(&house);
}

static void test_price_by_callback_and_its_quote(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	open_priced(&house, 0);
	house_get(&house, "/called?broken");
	assert_int_equal(house.decision.status, 500);
	payment = house_pay(&house, "/called?a");
	by_query_now = "$0.04";
	assert_int_equal(
		house_send(&house, "/called?b", payment), X402_GATE_ANSWER);
	assert_amount(&house, "40000");
	assert_int_equal(
		house_send(&house, "/called?large", payment), X402_GATE_ANSWER);
	assert_int_equal(begin_at(&house, "/called?a", payment, NULL, NOW + 61),
		X402_GATE_ANSWER);
	assert_int_equal(begin_at(&house, "/called?a", payment, NULL, NOW + 60),
		X402_GATE_ASK);
	free(payment);
	house_close(&house);
}

static void test_price_said_with_the_request(void **state)
{
	struct house house;

	(void)state;
	open_priced(&house, 0);
	begin_at(&house, "/said", NULL, "$0.07", NOW);
	assert_amount(&house, "70000");
	begin_at(&house, "/own", NULL, "$0.07", NOW);
	assert_amount(&house, "70000000000000000");
	/* Closed without one, and with one that is none. */
	begin_at(&house, "/said", NULL, NULL, NOW);
	assert_int_equal(house.decision.status, 500);
	begin_at(&house, "/said", NULL, "", NOW);
	assert_int_equal(house.decision.status, 500);
	begin_at(&house, "/said", NULL, "$0", NOW);
	assert_int_equal(house.decision.status, 500);
	begin_at(&house, "/said", NULL, "-1", NOW);
	assert_int_equal(house.decision.status, 500);
	/* Where the route has a price nobody else says one. */
	begin_at(&house, "/fixed", NULL, "$0.0001", NOW);
	assert_amount(&house, "10000");
	house_close(&house);
}

static void test_price_said_in_atomic_units(void **state)
{
	struct house house;

	(void)state;
	open_priced(&house, 0);
	begin_at(&house, "/own", NULL, "12345atomic", NOW);
	assert_amount(&house, "12345");
	begin_at(&house, "/coined", NULL, "77atomic", NOW);
	assert_amount(&house, "77");
	for (size_t i = 0; i < 6; i++) {
		static const char *const bad[] = {"0atomic", "atomic",
			"-1atomic", "1.5atomic", "12345 atomic",
			"1atomicatomic"};

		begin_at(&house, "/own", NULL, bad[i], NOW);
		assert_int_equal(house.decision.status, 500);
	}
	/* Which dollars would those be? */
	begin_at(&house, "/coined", NULL, "$1", NOW);
	assert_int_equal(house.decision.status, 500);
	house_close(&house);
}

static char *pay_said(
	struct house *house, const char *target, const char *price)
{
	struct x402_payment_required required;
	char *payment;

	begin_at(house, target, NULL, price, NOW);
	house_challenge(house, &required);
	payment = house_pay_offer(house, &required, 0);
	x402_payment_required_clear(&required);
	return payment;
}

static void test_old_price_said_with_the_request(void **state)
{
	static const char *const both[2] = {"$0.09", "$0.07"};
	static const char *const nonsense[2] = {"$0.09", "cheap"};
	struct house house;
	char *old;

	(void)state;
	open_priced(&house, 0);
	old = pay_said(&house, "/said", "$0.07");
	/* Nobody is told the old price, and it is taken where it is said. */
	begin_with(&house, "/said", NULL, both, NOW);
	assert_amount(&house, "90000");
	assert_int_equal(
		begin_with(&house, "/said", old, both, NOW), X402_GATE_ASK);
	x402_gate_free(house.gate);
	house.gate = NULL;
	assert_int_equal(
		begin_at(&house, "/said", old, "$0.09", NOW), X402_GATE_ANSWER);
	assert_amount(&house, "90000");
	assert_int_equal(begin_with(&house, "/said", old, nonsense, NOW),
		X402_GATE_ANSWER);
	/* It opens nothing that has a price of its own. */
	assert_int_equal(
		begin_with(&house, "/fixed", old, both, NOW), X402_GATE_ANSWER);
	free(old);
	house_close(&house);
}

/* Settled and not delivered; then the price changes twice. */
static void test_said_price_that_was_paid_is_remembered(void **state)
{
	struct house house;
	char *paid;

	(void)state;
	open_priced(&house, 0);
	paid = pay_said(&house, "/said", "$0.07");
	assert_int_equal(
		begin_at(&house, "/said", paid, "$0.07", NOW), X402_GATE_ASK);
	house_answer(&house, 200, HOUSE_VALID);
	house_handled(&house, 200);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	x402_gate_free(house.gate);
	house.gate = NULL;
	assert_int_equal(begin_at(&house, "/said", paid, "$5", NOW),
		X402_GATE_RUN_HANDLER);
	free(paid);
	house_close(&house);
}

static void test_set_price_has_a_grace(void **state)
{
	struct house house;
	char *old;

	(void)state;
	open_priced(&house, 0);
	old = house_pay(&house, "/fixed");
	assert_int_equal(x402_provider_set_price(
				 house.provider, 0, "$0.02", NOW, 30, NULL),
		X402_OK);
	house_get(&house, "/fixed");
	assert_amount(&house, "20000");
	assert_int_equal(begin_at(&house, "/fixed", old, NULL, NOW + 31),
		X402_GATE_ANSWER);
	assert_amount(&house, "20000");
	assert_int_equal(
		begin_at(&house, "/fixed", old, NULL, NOW + 30), X402_GATE_ASK);
	assert_non_null(strstr((const char *)house.decision.ask.body.ptr,
		"\"amount\":\"10000\""));
	/* Without a grace the old price ends at once. */
	assert_int_equal(x402_provider_set_price(
				 house.provider, 0, "$0.03", NOW, 0, NULL),
		X402_OK);
	assert_int_equal(house_send(&house, "/fixed", old), X402_GATE_ANSWER);
	free(old);
	house_close(&house);
}

static void test_set_price_refuses_and_keeps(void **state)
{
	static const char *const bad[] = {
		"", "free", "$0", "-$1", "1e3", "$0.0000000001"};
	struct house house;

	(void)state;
	open_priced(&house, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(x402_provider_set_price(house.provider, 0,
					 bad[i], NOW, 0, NULL),
			X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(
		x402_provider_set_price(house.provider, 99, "$1", NOW, 0, NULL),
		X402_ERR_INVALID_ARGUMENT);
	house_get(&house, "/fixed");
	assert_amount(&house, "10000");
	house_close(&house);
}

static void test_set_price_does_not_take_what_is_paid(void **state)
{
	struct house house;
	char *paid;

	(void)state;
	open_priced(&house, 0);
	paid = house_pay(&house, "/fixed");
	assert_int_equal(house_send(&house, "/fixed", paid), X402_GATE_ASK);
	house_answer(&house, 200, HOUSE_VALID);
	house_handled(&house, 200);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	/* Settled, never delivered; the gate is dropped by the next begin. */
	assert_int_equal(x402_provider_set_price(
				 house.provider, 0, "$0.02", NOW, 0, NULL),
		X402_OK);
	assert_int_equal(
		house_send(&house, "/fixed", paid), X402_GATE_RUN_HANDLER);
	free(paid);
	house_close(&house);
}

/* ---- When the money moves. ---- */

static void test_before_settles_and_then_serves(void **state)
{
	struct house house;
	struct x402_payment_required required;
	char *payment;

	(void)state;
	open_priced(&house, 0);
	house_get(&house, "/before");
	house_challenge(&house, &required);
	assert_string_equal(
		x402_json_get_string(required.accepts[0].extra, "paymentFlow"),
		"upfront");
	x402_payment_required_clear(&required);
	payment = house_pay(&house, "/before");
	assert_int_equal(house_send(&house, "/before", payment), X402_GATE_ASK);
	assert_string_equal(
		house.decision.ask.url, "https://x402.org/facilitator/settle");
	assert_int_equal(house_answer(&house, 200, HOUSE_SETTLED),
		X402_GATE_RUN_HANDLER);
	/* P-150: the handler's failure leaves with the receipt... */
	assert_int_equal(house_handled(&house, 500), X402_GATE_DELIVER);
	assert_non_null(
		decision_header(&house.decision, X402_HEADER_PAYMENT_RESPONSE));
	/* ... and what was paid is still owed. */
	assert_int_equal(
		house_send(&house, "/before", payment), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_DELIVER);
	x402_gate_delivered(house.gate);
	assert_int_equal(
		house_send(&house, "/before", payment), X402_GATE_ANSWER);
	free(payment);
	house_close(&house);
}

static void test_before_runs_nothing_unsettled(void **state)
{
	static const char *const answers[] = {HOUSE_PENDING, "{}", "<html>",
		("{\"success\":false,\"errorReason\":\"insufficient_funds\","
		 "\"transaction\":\"\",\"network\":\"eip155:84532\"}")};
	struct house house;

	(void)state;
	open_priced(&house, 0);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		char *payment = house_pay(&house, "/before");
		enum x402_gate_action action;

		house_send(&house, "/before", payment);
		action = house_answer(&house, 200, answers[i]);
		if (action == X402_GATE_ASK)
			action = house_answer(&house, 200, answers[i]);
		assert_int_equal(action, X402_GATE_ANSWER);
		free(payment);
	}
	house_close(&house);
}

static void test_reserve_needs_a_hold(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	open_priced(&house, 0);
	payment = house_pay(&house, "/reserve");
	assert_int_equal(
		house_send(&house, "/reserve", payment), X402_GATE_ASK);
	assert_string_equal(
		ask_header(&house.decision.ask, "X402-Hold"), "300");
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 502);
	house_send(&house, "/reserve", payment);
	assert_int_equal(house_answer(&house, 200,
				 "{\"isValid\":true,\"heldUntil\":"
				 "\"2026-11-21T00:00:00Z\"}"),
		X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_null(ask_header(&house.decision.ask, "X402-Hold"));
	free(payment);
	house_close(&house);
}

/* ---- Several facilitators. ---- */

static void test_verify_goes_on_to_the_next(void **state)
{
	static const char *const odd[] = {"<html>", "{}",
		("{\"isValid\":false,\"invalidReason\":"
		 "\"unexpected_verify_error\"}")};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct house house;
		char *payment;

		open_priced(&house, 2);
		payment = house_pay(&house, "/fixed");
		house_send(&house, "/fixed", payment);
		assert_string_equal(
			house.decision.ask.url, "https://one.example/verify");
		assert_int_equal(
			house_answer(&house, 500, odd[i]), X402_GATE_ASK);
		assert_string_equal(
			house.decision.ask.url, "https://two.example/verify");
		assert_string_equal(
			ask_header(&house.decision.ask, "Authorization"),
			"Bearer two");
		house_answer(&house, 200, HOUSE_VALID);
		assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
		assert_string_equal(
			house.decision.ask.url, "https://two.example/settle");
		free(payment);
		house_close(&house);
	}
}

static void test_verify_ends_when_all_are_down(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	open_priced(&house, 2);
	payment = house_pay(&house, "/fixed");
	house_send(&house, "/fixed", payment);
	assert_int_equal(
		house_transport(&house, X402_ERR_TIMEOUT), X402_GATE_ASK);
	assert_int_equal(
		house_transport(&house, X402_ERR_NETWORK), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 502);
	/* An honest no is no reason to ask another. */
	house_send(&house, "/fixed", payment);
	assert_int_equal(house_answer(&house, 200,
				 "{\"isValid\":false,\"invalidReason\":"
				 "\"insufficient_funds\"}"),
		X402_GATE_ANSWER);
	assert_challenge_error(&house, "insufficient_funds");
	free(payment);
	house_close(&house);
}

static void test_settle_is_never_asked_of_another(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	open_priced(&house, 2);
	payment = house_pay(&house, "/fixed");
	house_send(&house, "/fixed", payment);
	house_answer(&house, 200, HOUSE_VALID);
	house_handled(&house, 200);
	assert_int_equal(
		house_transport(&house, X402_ERR_TIMEOUT), X402_GATE_WITHHOLD);
	/* It is shunned now; but this payment is its own. */
	assert_int_equal(house_send(&house, "/fixed", payment), X402_GATE_ASK);
	assert_string_equal(
		house.decision.ask.url, "https://one.example/settle");
	assert_int_equal(
		house_transport(&house, X402_ERR_NETWORK), X402_GATE_ANSWER);
	free(payment);
	payment = house_pay(&house, "/fixed");
	house_send(&house, "/fixed", payment);
	assert_string_equal(
		house.decision.ask.url, "https://two.example/verify");
	free(payment);
	house_close(&house);
}

/* ---- What is charged. ---- */

static void test_charge_amount(void **state)
{
	static const struct {
		const char *scheme;
		const char *asked;
		const char *charged; /* NULL: refused */
	} rows[] = {{"upto", NULL, "1000000"}, {"upto", "0", "0"},
		{"upto", "1000000", "1000000"}, {"upto", "1000001", NULL},
		{"upto", "50%", "500000"}, {"upto", "33.33%", "333300"},
		{"upto", "100%", "1000000"}, {"upto", "100.01%", NULL},
		{"upto", "33.333%", NULL}, {"upto", "%", NULL},
		{"upto", "$50%", NULL}, {"upto", "-1%", NULL},
		{"upto", "$0.05", "50000"}, {"upto", "$1.01", NULL},
		{"upto", "0.05", NULL}, {"upto", "", NULL},
		{"upto", "1e3", NULL}, {"exact", NULL, "1000000"},
		{"exact", "1000000", "1000000"}, {"exact", "1", NULL},
		{"exact", "50%", NULL}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct x402_payment_requirements offer = {
			.scheme = rows[i].scheme, .amount = "1000000"};
		char amount[X402_U256_DEC_SIZE];
		bool good = x402__charge_amount(
			&offer, 6, rows[i].asked, amount);

		if (good != (rows[i].charged != NULL) ||
			(good && strcmp(amount, rows[i].charged) != 0))
			fail_msg("%s %s", rows[i].scheme, rows[i].asked);
	}
}

static void test_read_override(void **state)
{
	char amount[X402_PROVIDER_PRICE_SIZE];

	(void)state;
	x402_gate_read_override("{\"amount\":\"50%\"}", amount);
	assert_string_equal(amount, "50%");
	x402_gate_read_override("{\"amount\":5}", amount);
	assert_string_equal(amount, "");
	x402_gate_read_override("50%", amount);
	assert_string_equal(amount, "");
}

static void test_exact_charges_no_other_amount(void **state)
{
	struct house house;
	char *payment;
	struct x402_gate_handler_result result = {
		.status = 200, .amount = "1", .now_unix_s = NOW};

	(void)state;
	open_priced(&house, 0);
	payment = house_pay(&house, "/fixed");
	house_send(&house, "/fixed", payment);
	house_answer(&house, 200, HOUSE_VALID);
	x402_gate_on_handler(house.gate, &result, &house.decision);
	assert_int_equal(house.decision.action, X402_GATE_WITHHOLD);
	assert_int_equal(house.decision.status, 500);
	free(payment);
	house_close(&house);
}

/* ---- Who asks, and under which name we are known. ---- */

static void test_origin_from_our_proxy_only(void **state)
{
	static const char *const proxies[] = {"10.0.0.0/8"};
	struct x402_provider_options options = {.routes = routes,
		.routes_len = 1,
		.trusted_proxies = proxies,
		.trusted_proxies_len = 1};
	struct house_request from = {
		.names = {"Host", "X-Forwarded-Host", "X-Forwarded-Proto",
			"X-Forwarded-For"},
		.values = {"evil.example", "shop.example", "https",
			"203.0.113.9"}};
	struct x402_gate_request request = {.method = "GET",
		.target = x402_span_str("/fixed"),
		.header = house_header,
		.header_user = &from,
		.now_unix_s = NOW,
		.peer = "10.1.2.3"};
	struct x402_payment_required required;
	struct house house;

	(void)state;
	house_open_with(&house, &options);
	assert_int_equal(x402_gate_new(house.provider, &house.gate), X402_OK);
	x402_gate_begin(house.gate, &request, &house.decision);
	house_challenge(&house, &required);
	assert_string_equal(
		required.resource.url, "https://shop.example/fixed");
	assert_string_equal(x402_gate_client(house.gate), "203.0.113.9");
	x402_payment_required_clear(&required);
	x402_gate_free(house.gate);
	/* The same words from anybody else. */
	request.peer = "203.0.113.50";
	assert_int_equal(x402_gate_new(house.provider, &house.gate), X402_OK);
	x402_gate_begin(house.gate, &request, &house.decision);
	assert_int_equal(house.decision.status, 400);
	assert_string_equal(x402_gate_client(house.gate), "203.0.113.50");
	house_close(&house);
}

/* Paths match in any case, so a price must too. */
static void test_price_by_parameter_in_any_case(void **state)
{
	struct house house;

	(void)state;
	open_priced(&house, 0);
	house_get(&house, "/sized/LARGE");
	assert_amount(&house, "500000");
	house_get(&house, "/Sized/Large");
	assert_amount(&house, "500000");
	house_get(&house, "/sized/larg");
	assert_amount(&house, "10000");
	house_close(&house);
}

/* A callback may weigh the body: what was paid for one does not buy another. */
static void test_price_by_body(void **state)
{
	struct house_request request = {
		.method = "POST", .target = "/weighed/a", .body = "xx"};
	struct x402_payment_required required;
	struct house house;
	char *payment;

	(void)state;
	open_priced(&house, 0);
	house_begin(&house, &request);
	assert_amount(&house, "2000000");
	house_challenge(&house, &required);
	payment = house_pay_offer(&house, &required, 0);
	x402_payment_required_clear(&required);
	/* Nobody keeps it for later. */
	assert_int_equal(x402_gate_body(house.gate).len, 0);
	request.names[0] = X402_HEADER_PAYMENT_SIGNATURE;
	request.values[0] = payment;
	request.body = "xxx";
	assert_int_equal(house_begin(&house, &request), X402_GATE_ANSWER);
	assert_amount(&house, "3000000");
	request.body = NULL;
	house_begin(&house, &request);
	assert_int_equal(house.decision.status, 500);
	request.body = "yy";
	assert_int_equal(house_begin(&house, &request), X402_GATE_ASK);
	free(payment);
	house_close(&house);
}

/* An adapter waits for the body of those alone. */
static void test_prices_body_says_which(void **state)
{
	static const struct {
		const char *method;
		const char *target;
		bool yes;
	} rows[] = {{"POST", "/weighed/a", true},
		{"POST", "/weighed/a?b", true}, {"POST", "/Weighed/%61", true},
		{"PUT", "/weighed/a", true}, {"POST", "/weighed", false},
		{"POST", "/quoted", false}, {"GET", "/called", false},
		{"POST", "/none", false}, {"POST", "%", false},
		{"POST", "", false}};
	struct house house;

	(void)state;
	open_priced(&house, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (x402_provider_prices_body(house.provider, rows[i].method,
			    x402_span_str(rows[i].target)) != rows[i].yes)
			fail_msg("%s %s", rows[i].method, rows[i].target);
	house_close(&house);
}

/* The caller may have made the price from the body. */
static void test_quote_is_for_its_body(void **state)
{
	static const char *const bodies[] = {"small", "large"};
	struct x402_payment_required required;
	struct house house;
	char *payment = NULL;

	(void)state;
	open_priced(&house, 0);
	for (size_t i = 0; i < 2; i++) {
		struct house_request from = {.target = "/quoted",
			.names = {payment ? X402_HEADER_PAYMENT_SIGNATURE
					  : NULL},
			.values = {payment}};
		struct x402_gate_request request = {.method = "POST",
			.target = x402_span_str("/quoted"),
			.header = house_header,
			.header_user = &from,
			.body = x402_span_str(bodies[i]),
			.now_unix_s = NOW,
			.price = i ? "$5" : "$0.01"};

		x402_gate_free(house.gate);
		assert_int_equal(
			x402_gate_new(house.provider, &house.gate), X402_OK);
		x402_gate_begin(house.gate, &request, &house.decision);
		assert_int_equal(house.decision.action, X402_GATE_ANSWER);
		house_challenge(&house, &required);
		assert_string_equal(
			required.accepts[0].amount, i ? "5000000" : "10000");
		if (!payment)
			payment = house_pay_offer(&house, &required, 0);
		x402_payment_required_clear(&required);
	}
	free(payment);
	house_close(&house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_price_by_parameter),
		cmocka_unit_test(test_price_by_callback_and_its_quote),
		cmocka_unit_test(test_price_said_with_the_request),
		cmocka_unit_test(test_price_said_in_atomic_units),
		cmocka_unit_test(test_old_price_said_with_the_request),
		cmocka_unit_test(test_said_price_that_was_paid_is_remembered),
		cmocka_unit_test(test_set_price_has_a_grace),
		cmocka_unit_test(test_set_price_refuses_and_keeps),
		cmocka_unit_test(test_set_price_does_not_take_what_is_paid),
		cmocka_unit_test(test_before_settles_and_then_serves),
		cmocka_unit_test(test_before_runs_nothing_unsettled),
		cmocka_unit_test(test_reserve_needs_a_hold),
		cmocka_unit_test(test_verify_goes_on_to_the_next),
		cmocka_unit_test(test_verify_ends_when_all_are_down),
		cmocka_unit_test(test_settle_is_never_asked_of_another),
		cmocka_unit_test(test_charge_amount),
		cmocka_unit_test(test_read_override),
		cmocka_unit_test(test_exact_charges_no_other_amount),
		cmocka_unit_test(test_origin_from_our_proxy_only),
		cmocka_unit_test(test_price_by_parameter_in_any_case),
		cmocka_unit_test(test_quote_is_for_its_body),
		cmocka_unit_test(test_price_by_body),
		cmocka_unit_test(test_prices_body_says_which),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
