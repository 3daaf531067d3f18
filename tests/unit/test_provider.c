/* The options of a provider: what could make a sale go wrong is refused at
 * start, with the place and the protocol's word for it (P-104). */
#include "gate_house.h"

/* A price list of one route with one price, to be spoiled. */
struct list {
	struct x402_provider_price price;
	struct x402_provider_route route;
	struct x402_provider_options options;
};

static void list_init(struct list *list)
{
	memset(list, 0, sizeof(*list));
	list->price = house_cent;
	list->route.pattern = "GET /a";
	list->route.prices = &list->price;
	list->route.prices_len = 1;
	list->options.public_origin = "https://shop.example";
	list->options.routes = &list->route;
	list->options.routes_len = 1;
}

static void assert_refused(
	const struct list *list, const char *field, const char *text)
{
	struct x402_provider *provider = NULL;
	struct x402_errinfo info = {{0}, {0}};

	assert_int_equal(x402_provider_new(&list->options, &info, &provider),
		X402_ERR_INVALID_ARGUMENT);
	assert_null(provider);
	assert_string_equal(info.field, field);
	if (!strstr(info.text, text))
		fail_msg("expected '%s', got '%s'", text, info.text);
}

static void assert_taken(const struct list *list)
{
	struct x402_provider *provider = NULL;
	struct x402_errinfo info = {{0}, {0}};

	if (x402_provider_new(&list->options, &info, &provider) != X402_OK)
		fail_msg("%s: %s", info.field, info.text);
	x402_provider_free(provider);
}

static void test_provider_defaults_need_an_origin_only(void **state)
{
	struct list list;
	struct house house;

	(void)state;
	list_init(&list);
	assert_taken(&list);
	house_open_with(&house, &list.options);
	{
		char *payment = house_pay(&house, "/a");

		assert_int_equal(
			house_send(&house, "/a", payment), X402_GATE_ASK);
		assert_string_equal(house.decision.ask.url,
			"https://x402.org/facilitator/verify");
		assert_int_equal(house.decision.ask.timeout_ms, 30000);
		free(payment);
	}
	house_close(&house);
}

static void test_provider_bad_urls_are_refused(void **state)
{
	static const char *const bad[] = {"", "shop.example",
		"ftp://shop.example", "https://", "https:///x", "http://u@h",
		"https://shop example", "https://h\r\nX: y", "HTTPS//x"};
	struct list list;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		list_init(&list);
		list.options.public_origin = bad[i];
		assert_refused(&list, "public_origin", "expected");
		list_init(&list);
		list.options.facilitator_url = bad[i];
		assert_refused(&list, "facilitator_url", "missing_facilitator");
	}
	list_init(&list);
	list.options.public_origin = "https://shop.example/path";
	assert_refused(&list, "public_origin", "nothing after it");
	list.options.public_origin = NULL;
	assert_refused(&list, "public_origin", "trust_host");
	list.options.trust_host = true;
	assert_taken(&list);
	list_init(&list);
	list.options.facilitator_url = "https://f.example/x?y";
	assert_refused(&list, "facilitator_url", "missing_facilitator");
	list_init(&list);
	list.options.facilitator_authorization = "Bearer a\r\nX: y";
	assert_refused(&list, "facilitator_authorization", "line breaks");
	list_init(&list);
	list.options.cors_origin = "*\n";
	assert_refused(&list, "cors_origin", "expected");
}

static void test_provider_bad_routes_are_refused(void **state)
{
	struct list list;

	(void)state;
	list_init(&list);
	list.options.routes_len = 0;
	assert_refused(&list, "routes", "at least one");
	list_init(&list);
	list.options.routes_len = X402_PROVIDER_ROUTES_MAX + 1;
	assert_refused(&list, "routes", "more routes");
	list_init(&list);
	list.route.pattern = "GET a";
	assert_refused(&list, "routes[0]", "expected a path");
	list_init(&list);
	list.route.pattern = NULL;
	assert_refused(&list, "routes[0]", "expected a pattern");
	list_init(&list);
	list.route.extensions_json = "[]";
	assert_refused(&list, "routes[0]", "JSON object");
	list.route.extensions_json = "{\"a\":1,\"a\":2}";
	assert_refused(&list, "routes[0]", "JSON object");
	list_init(&list);
	list.route.description = "\xff";
	assert_refused(&list, "routes[0]", "UTF-8");
	list_init(&list);
	list.route.prices_len = X402_ACCEPTS_MAX + 1;
	assert_refused(&list, "routes[0]", "more prices");
	list_init(&list);
	list.route.v1 = true;
	list.price.network = "eip155:31337";
	list.price.price = NULL;
	list.price.amount = "1";
	list.price.asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
	list.price.extra_json = "{\"name\":\"T\",\"version\":\"1\"}";
	assert_refused(&list, "routes[0]", "v1 name");
	list.route.v1 = false;
	assert_taken(&list);
}

static void test_provider_challenge_must_fit_a_header(void **state)
{
	static char text[X402_HEADER_MAX_BYTES];
	struct list list;

	(void)state;
	list_init(&list);
	memset(text, 'd', sizeof(text) - 1);
	list.route.description = text;
	assert_refused(&list, "routes[0]", "exceeds");
}

static void test_provider_bad_prices_are_refused(void **state)
{
	static const struct {
		struct x402_provider_price price;
		const char *text;
	} rows[] = {
		{{.network = NULL, .pay_to = PAY_TO, .price = "$1"}, "CAIP-2"},
		{{.network = "base", .pay_to = PAY_TO, .price = "$1"},
			"CAIP-2"},
		{{.network = "eip155:84532", .price = "$1"}, "pay_to"},
		{{.network = "eip155:84532", .pay_to = "0x12", .price = "$1"},
			"checksum"},
		{{.network = "eip155:84532",
			 .pay_to = "0x90f79bf6EB2c4f870365E785982E1f101E93b906",
			 .price = "$1"},
			"checksum"},
		{{.network = "eip155:84532",
			 .pay_to = "0x0000000000000000000000000000000000000000",
			 .price = "$1"},
			"zero address"},
		{{.network = "eip155:84532", .pay_to = PAY_TO},
			"either price or amount"},
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .price = "$1",
			 .amount = "1"},
			"either price or amount"},
		{{.network = "eip155:84532", .pay_to = PAY_TO, .price = "1e3"},
			"price"},
		{{.network = "eip155:84532", .pay_to = PAY_TO, .price = "-1"},
			"price"},
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .price = "$0.0000001"},
			"price"},
		{{.network = "eip155:31337", .pay_to = PAY_TO, .price = "$1"},
			"price"},
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .amount = "0",
			 .asset = PAY_TO},
			"positive"},
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .amount = "1.5",
			 .asset = PAY_TO},
			"positive"},
		{{.network = "eip155:84532", .pay_to = PAY_TO, .amount = "1"},
			"asset"},
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .amount = "1",
			 .asset = "usdc"},
			"asset"},
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .amount = "1",
			 .asset = PAY_TO},
			"EIP-712 domain"},
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .price = "$1",
			 .max_timeout_seconds = -1},
			"max_timeout_seconds"},
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .price = "$1",
			 .extra_json = "7"},
			"JSON object"},
		{{.scheme = "lottery",
			 .network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .price = "$1"},
			"missing_scheme"},
		{{.network = "cosmos:hub-4",
			 .pay_to = PAY_TO,
			 .amount = "1",
			 .asset = PAY_TO},
			""},
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .price = "$1",
			 .extra_json = "{\"paymentFlow\":\"escrow\"}"},
			"unsupported_payment_flow"},
	};
	struct list list;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		list_init(&list);
		list.price = rows[i].price;
		assert_refused(&list, "routes[0].prices[0]", rows[i].text);
	}
}

static void test_provider_method_must_be_one_that_can_be_settled(void **state)
{
	static const struct {
		struct x402_provider_price price;
		const char *text;
	} rows[] = {
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .price = "$1",
			 .extra_json = "{\"assetTransferMethod\":\"erc9999\"}"},
			"unsupported_asset_transfer_method"},
		/* Whom should the payer delegate to? */
		{{.network = "eip155:84532",
			 .pay_to = PAY_TO,
			 .price = "$1",
			 .extra_json = "{\"assetTransferMethod\":\"erc7710\"}"},
			"missing_facilitator"},
	};
	struct list list;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		list_init(&list);
		list.price = rows[i].price;
		assert_refused(&list, "routes[0].prices[0]", rows[i].text);
	}
}

static void test_provider_explicit_asset_reaches_the_offer(void **state)
{
	struct x402_payment_required required;
	struct house house;
	struct list list;

	(void)state;
	list_init(&list);
	list.price = (struct x402_provider_price){
		.network = "eip155:84532",
		.pay_to = PAY_TO,
		.amount = "123",
		.asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
		.extra_json = "{\"name\":\"T\",\"version\":\"9\"}",
		.max_timeout_seconds = 60,
	};
	house_open_with(&house, &list.options);
	house_get(&house, "/a");
	house_challenge(&house, &required);
	assert_string_equal(required.accepts[0].amount, "123");
	assert_int_equal(required.accepts[0].max_timeout_seconds, 60);
	assert_string_equal(
		x402_json_get_string(required.accepts[0].extra, "version"),
		"9");
	x402_payment_required_clear(&required);
	house_close(&house);

	/* extra is laid over what a price brings along */
	list.price.amount = list.price.asset = NULL;
	list.price.price = "$0.5";
	list.price.extra_json = "{\"tier\":1}";
	house_open_with(&house, &list.options);
	house_get(&house, "/a");
	house_challenge(&house, &required);
	assert_string_equal(required.accepts[0].amount, "500000");
	assert_string_equal(
		x402_json_get_string(required.accepts[0].extra, "name"),
		"USDC");
	assert_true(x402_json_has(required.accepts[0].extra, "tier"));
	x402_payment_required_clear(&required);
	house_close(&house);
}

static void test_provider_free_takes_null(void **state)
{
	(void)state;
	x402_provider_free(NULL);
	x402_gate_free(NULL);
}

/* A facilitator that holds nothing there would be a 502 for every buyer. */
static void test_provider_cannot_reserve_on_solana(void **state)
{
	static const struct x402_provider_price price = {
		.network = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
		.pay_to = "GyGKxMyg1p9SsHfm15MkNUu1u9TN2JtTspcdmrtGUdse",
		.price = "$0.01",
		.extra_json = "{\"feePayer\":"
			      "\"AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9"
			      "\"}"};
	struct x402_provider_route route = {
		.pattern = "GET /a", .prices = &price, .prices_len = 1};
	struct x402_provider_options options = {
		.public_origin = "https://shop.example",
		.routes = &route,
		.routes_len = 1};
	struct x402_errinfo info = {{0}, {0}};
	struct x402_provider *provider = NULL;

	(void)state;
	assert_int_equal(
		x402_provider_new(&options, &info, &provider), X402_OK);
	x402_provider_free(provider);
	route.settle = X402_PROVIDER_SETTLE_RESERVE;
	assert_int_equal(x402_provider_new(&options, &info, &provider),
		X402_ERR_INVALID_ARGUMENT);
	assert_string_equal(info.field, "routes[0].prices[0]");
	assert_non_null(strstr(info.text, "unsupported_payment_flow"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_provider_defaults_need_an_origin_only),
		cmocka_unit_test(test_provider_bad_urls_are_refused),
		cmocka_unit_test(test_provider_bad_routes_are_refused),
		cmocka_unit_test(test_provider_challenge_must_fit_a_header),
		cmocka_unit_test(test_provider_bad_prices_are_refused),
		cmocka_unit_test(
			test_provider_method_must_be_one_that_can_be_settled),
		cmocka_unit_test(
			test_provider_explicit_asset_reaches_the_offer),
		cmocka_unit_test(test_provider_free_takes_null),
		cmocka_unit_test(test_provider_cannot_reserve_on_solana),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
