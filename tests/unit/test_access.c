/*
 * Who may pass without paying: passes and free requests. A pass must be worth
 * nothing elsewhere, later, changed by a bit, or more often than it says.
 */
#include "gate_house.h"
#include "gate_p.h"

static const struct x402_provider_price upto = {.scheme = "upto",
	.network = "eip155:84532",
	.pay_to = PAY_TO,
	.price = "$0.01",
	.extra_json = "{\"facilitatorAddress\":\"" PAY_TO "\"}"};
static const struct x402_provider_route routes[] = {
	{.pattern = "GET /a/[slug]",
		.prices = &house_cent,
		.prices_len = 1,
		.pass_s = 100},
	{.pattern = "GET /route/*",
		.prices = &house_cent,
		.prices_len = 1,
		.pass_s = 100,
		.pass_uses = 2,
		.pass_scope = X402_PROVIDER_SCOPE_ROUTE},
	{.pattern = "GET /site/one",
		.prices = &house_cent,
		.prices_len = 1,
		.pass_s = 100,
		.pass_scope = X402_PROVIDER_SCOPE_SITE},
	{.pattern = "GET /site/two",
		.prices = &house_cent,
		.prices_len = 1,
		.pass_s = 100,
		.pass_scope = X402_PROVIDER_SCOPE_SITE},
	{.pattern = "GET /quota",
		.prices = &house_cent,
		.prices_len = 1,
		.free_per_day = 2},
	{.pattern = "GET /none", .prices = &house_cent, .prices_len = 1},
	{.pattern = "GET /before",
		.prices = &house_cent,
		.prices_len = 1,
		.settle = X402_PROVIDER_SETTLE_BEFORE,
		.pass_s = 100},
	{.pattern = "GET /methods",
		.prices = &house_cent,
		.prices_len = 1,
		.pass_s = 100},
	{.pattern = "POST /methods",
		.prices = house_two,
		.prices_len = 2,
		.pass_s = 100},
	{.pattern = "GET /upto",
		.prices = &upto,
		.prices_len = 1,
		.pass_s = 100},
};
static const uint8_t secret[32] = {1, 2, 3};

static void open_shop(struct house *house, const char *origin, uint32_t epoch)
{
	struct x402_provider_options options = {
		.public_origin = origin,
		.routes = routes,
		.routes_len = ARRAY_LEN(routes),
		.secret32 = secret,
		.pass_epoch = epoch,
	};

	house_open_with(house, &options);
}

/* Buy, and give the pass that came along; NULL when there was none. */
static char *buy(struct house *house, const char *target, unsigned status)
{
	char *payment = house_pay(house, target);
	const char *pass;

	assert_int_equal(house_send(house, target, payment), X402_GATE_ASK);
	free(payment);
	assert_int_equal(house_answer(house, 200,
				 strstr(house->decision.ask.url, "/settle")
					 ? HOUSE_SETTLED
					 : HOUSE_VALID),
		X402_GATE_RUN_HANDLER);
	if (house_handled(house, status) == X402_GATE_ASK)
		assert_int_equal(house_answer(house, 200, HOUSE_SETTLED),
			X402_GATE_DELIVER);
	pass = decision_header(&house->decision, "X402-Pass");
	return pass ? strdup(pass) : NULL;
}

static enum x402_gate_action with_header(struct house *house,
	const char *target, const char *name, const char *value, uint64_t now)
{
	return house_begin(house,
		&(struct house_request){.target = target,
			.names = {name},
			.values = {value},
			.now = now});
}

static void test_pass_opens_what_was_paid(void **state)
{
	struct house house;
	char *pass;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	pass = buy(&house, "/a/one?x=1", 200);
	assert_non_null(pass);
	assert_int_equal(
		with_header(&house, "/a/one?x=1", "X402-Pass", pass, NOW + 100),
		X402_GATE_PASS);
	assert_int_equal(
		x402_gate_access_of(house.gate), X402_GATE_ACCESS_PASS);
	assert_string_equal(x402_gate_payer(house.gate), house.payer_text);
	assert_string_equal(decision_header(&house.decision, "Cache-Control"),
		"private, no-store");
	/* Not later, not elsewhere, not where passes mean something else. */
	with_header(&house, "/a/one?x=1", "X402-Pass", pass, NOW + 101);
	assert_int_equal(house.decision.status, 402);
	with_header(&house, "/a/one?x=2", "X402-Pass", pass, NOW);
	assert_int_equal(house.decision.status, 402);
	with_header(&house, "/a/two?x=1", "X402-Pass", pass, NOW);
	assert_int_equal(house.decision.status, 402);
	with_header(&house, "/site/one", "X402-Pass", pass, NOW);
	assert_int_equal(house.decision.status, 402);
	with_header(&house, "/none", "X402-Pass", pass, NOW);
	assert_int_equal(house.decision.status, 402);
	free(pass);
	house_close(&house);
}

static void test_pass_as_cookie(void **state)
{
	struct house house;
	char *cookie;
	char *pass;
	char line[1024];

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	pass = buy(&house, "/a/one", 200);
	cookie = strdup(decision_header(&house.decision, "Set-Cookie"));
	assert_non_null(strstr(cookie, "; HttpOnly; SameSite=Lax; Secure"));
	*strchr(cookie, ';') = '\0';
	assert_int_equal(with_header(&house, "/a/one", "Cookie", cookie, NOW),
		X402_GATE_PASS);
	/* Among others, and behind one that was stolen from nowhere. */
	snprintf(line, sizeof(line), "a=b; %.*sx; =;; %s;c",
		(int)(strchr(cookie, '=') - cookie + 1), cookie, cookie);
	assert_int_equal(with_header(&house, "/a/one", "Cookie", line, NOW),
		X402_GATE_PASS);
	with_header(&house, "/a/two", "Cookie", cookie, NOW);
	assert_int_equal(house.decision.status, 402);
	free(cookie);
	free(pass);
	house_close(&house);
}

static void test_pass_changed_anywhere_is_none(void **state)
{
	struct house house;
	char *pass;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	pass = buy(&house, "/a/one", 200);
	for (size_t i = 0; i < strlen(pass); i++) {
		char was = pass[i];

		pass[i] = was == '0' ? '1' : '0';
		with_header(&house, "/a/one", "X402-Pass", pass, NOW);
		if (house.decision.status != 402)
			fail_msg("digit %zu", i);
		pass[i] = was;
	}
	pass[strlen(pass) - 1] = '\0';
	with_header(&house, "/a/one", "X402-Pass", pass, NOW);
	assert_int_equal(house.decision.status, 402);
	with_header(&house, "/a/one", "X402-Pass", "", NOW);
	assert_int_equal(house.decision.status, 402);
	free(pass);
	house_close(&house);
}

static void test_pass_of_another_shop_or_epoch_is_none(void **state)
{
	struct house house;
	char *pass;

	(void)state;
	open_shop(&house, "https://shop.example", 1);
	pass = buy(&house, "/a/one", 200);
	house_close(&house);
	/* The same secret, so a restart keeps it good... */
	open_shop(&house, "https://shop.example", 1);
	assert_int_equal(with_header(&house, "/a/one", "X402-Pass", pass, NOW),
		X402_GATE_PASS);
	house_close(&house);
	/* ... but not at another origin, nor after it was called in. */
	open_shop(&house, "https://other.example", 1);
	with_header(&house, "/a/one", "X402-Pass", pass, NOW);
	assert_int_equal(house.decision.status, 402);
	house_close(&house);
	open_shop(&house, "https://shop.example", 2);
	with_header(&house, "/a/one", "X402-Pass", pass, NOW);
	assert_int_equal(house.decision.status, 402);
	house_close(&house);
	free(pass);
}

static void test_pass_of_uses_is_used_up(void **state)
{
	struct house house;
	char *pass;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	pass = buy(&house, "/route/a", 200);
	assert_int_equal(
		with_header(&house, "/route/b", "X402-Pass", pass, NOW),
		X402_GATE_PASS);
	assert_int_equal(
		with_header(&house, "/route/c/d", "X402-Pass", pass, NOW),
		X402_GATE_PASS);
	with_header(&house, "/route/a", "X402-Pass", pass, NOW);
	assert_int_equal(house.decision.status, 402);
	free(pass);
	house_close(&house);
}

static void test_pass_of_the_site_opens_its_routes_only(void **state)
{
	struct house house;
	char *pass;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	pass = buy(&house, "/site/one", 200);
	assert_int_equal(
		with_header(&house, "/site/two", "X402-Pass", pass, NOW),
		X402_GATE_PASS);
	with_header(&house, "/a/one", "X402-Pass", pass, NOW);
	assert_int_equal(house.decision.status, 402);
	with_header(&house, "/route/a", "X402-Pass", pass, NOW);
	assert_int_equal(house.decision.status, 402);
	free(pass);
	house_close(&house);
}

static void test_pass_is_for_what_was_served(void **state)
{
	struct house house;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	assert_null(buy(&house, "/a/one", 404));
	assert_null(buy(&house, "/none", 200));
	/* The money has moved, the handler failed: the payment itself is what
	 * is owed, not a pass for more. */
	assert_null(buy(&house, "/before", 500));
	house_close(&house);
}

static void test_payment_beside_a_pass_is_a_payment(void **state)
{
	struct house house;
	char *payment;
	char *pass;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	pass = buy(&house, "/a/one", 200);
	payment = house_pay(&house, "/a/one");
	assert_int_equal(house_begin(&house,
				 &(struct house_request){.target = "/a/one",
					 .names = {"X402-Pass",
						 X402_HEADER_PAYMENT_SIGNATURE},
					 .values = {pass, payment}}),
		X402_GATE_ASK);
	free(payment);
	free(pass);
	house_close(&house);
}

/* ---- Free requests. ---- */

static enum x402_gate_action from_peer(
	struct house *house, const char *peer, uint64_t now)
{
	struct house_request none = {.target = "/quota"};
	struct x402_gate_request request = {.method = "GET",
		.target = x402_span_str("/quota"),
		.header = house_header,
		.header_user = &none,
		.now_unix_s = now,
		.peer = peer};

	x402_gate_free(house->gate);
	assert_int_equal(x402_gate_new(house->provider, &house->gate), X402_OK);
	x402_gate_begin(house->gate, &request, &house->decision);
	return house->decision.action;
}

static void test_quota_is_by_address_and_day(void **state)
{
	struct house house;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	assert_int_equal(from_peer(&house, "192.0.2.1", NOW), X402_GATE_PASS);
	assert_int_equal(
		x402_gate_access_of(house.gate), X402_GATE_ACCESS_QUOTA);
	assert_int_equal(from_peer(&house, "192.0.2.1", NOW), X402_GATE_PASS);
	assert_int_equal(from_peer(&house, "192.0.2.1", NOW), X402_GATE_ANSWER);
	assert_int_equal(from_peer(&house, "192.0.2.2", NOW), X402_GATE_PASS);
	assert_int_equal(
		from_peer(&house, "192.0.2.1", NOW + 86400), X402_GATE_PASS);
	/* A network of IPv6 addresses is one customer. */
	assert_int_equal(
		from_peer(&house, "2001:db8:1:2::1", NOW), X402_GATE_PASS);
	assert_int_equal(
		from_peer(&house, "2001:db8:1:2:ffff::2", NOW), X402_GATE_PASS);
	assert_int_equal(from_peer(&house, "2001:db8:1:2:3:4:5:6", NOW),
		X402_GATE_ANSWER);
	/* Nobody in particular gets nothing for free. */
	assert_int_equal(from_peer(&house, NULL, NOW), X402_GATE_ANSWER);
	assert_int_equal(from_peer(&house, "unix", NOW), X402_GATE_ANSWER);
	house_close(&house);
}

static void test_counters_are_bounded(void **state)
{
	struct x402__counters *counters = x402__counters_new(NULL);
	size_t taken = 0;
	uint8_t key32[32] = {0};

	(void)state;
	/* All behind one place: as many as are probed. */
	for (uint8_t i = 0; i < 100; i++) {
		key32[31] = i;
		taken += x402__counters_take(counters, key32, 1, NOW + 9, NOW);
	}
	assert_int_equal(taken, 16);
	key32[31] = 99;
	assert_false(x402__counters_take(counters, key32, 1, NOW + 9, NOW + 9));
	assert_true(
		x402__counters_take(counters, key32, 1, NOW + 99, NOW + 10));
	assert_false(
		x402__counters_take(counters, key32, 1, NOW + 99, NOW + 10));
	x402__counters_free(counters);
}

/* A memory that counts for many: each call is noted, none is granted. */
struct elsewhere {
	int counts;
	int looks;
	int drops;
	uint32_t limit;
};

static bool count_elsewhere(void *user, const uint8_t key32[32], uint32_t limit,
	uint64_t until_unix_s, uint64_t now_unix_s)
{
	struct elsewhere *elsewhere = user;

	(void)key32;
	assert_true(until_unix_s > now_unix_s);
	elsewhere->limit = limit;
	elsewhere->counts++;
	return false;
}

static bool look_elsewhere(
	void *user, const uint8_t key32[32], uint64_t now_unix_s)
{
	struct elsewhere *elsewhere = user;

	(void)key32;
	(void)now_unix_s;
	elsewhere->looks++;
	return false;
}

static void drop_elsewhere(
	void *user, const uint8_t key32[32], uint64_t now_unix_s)
{
	struct elsewhere *elsewhere = user;

	(void)key32;
	(void)now_unix_s;
	elsewhere->drops++;
}

static void test_counters_of_a_memory_are_the_memorys(void **state)
{
	struct elsewhere elsewhere = {0};
	const struct x402_provider_memory memory = {.count = count_elsewhere,
		.counted = look_elsewhere,
		.uncount = drop_elsewhere,
		.user = &elsewhere};
	struct x402__counters *counters = x402__counters_new(&memory);
	const uint8_t key32[32] = {1};

	(void)state;
	assert_false(x402__counters_take(counters, key32, 7, NOW + 9, NOW));
	assert_false(x402__counters_have(counters, key32, NOW));
	x402__counters_drop(counters, key32, NOW);
	assert_int_equal(elsewhere.counts, 1);
	assert_int_equal(elsewhere.limit, 7);
	assert_int_equal(elsewhere.looks, 1);
	assert_int_equal(elsewhere.drops, 1);
	x402__counters_free(counters);
}

static void test_counters_drop_forgets_its_own_only(void **state)
{
	struct x402__counters *counters = x402__counters_new(NULL);
	const uint8_t one32[32] = {0, [31] = 1};
	const uint8_t two32[32] = {0, [31] = 2};

	(void)state;
	assert_true(x402__counters_take(counters, one32, 1, NOW + 9, NOW));
	x402__counters_drop(counters, two32, NOW);
	assert_true(x402__counters_have(counters, one32, NOW));
	assert_false(x402__counters_have(counters, two32, NOW));
	x402__counters_drop(counters, one32, NOW);
	assert_false(x402__counters_have(counters, one32, NOW));
	assert_true(x402__counters_take(counters, one32, 1, NOW + 9, NOW));
	x402__counters_free(counters);
}

/* The same path by another method is another route, at another price. */
static void test_pass_is_for_its_route(void **state)
{
	struct house house;
	char *pass;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	pass = buy(&house, "/methods", 200);
	assert_int_equal(
		with_header(&house, "/methods", "X402-Pass", pass, NOW),
		X402_GATE_PASS);
	assert_int_equal(house_begin(&house,
				 &(struct house_request){.method = "POST",
					 .target = "/methods",
					 .names = {"X402-Pass"},
					 .values = {pass}}),
		X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 402);
	free(pass);
	house_close(&house);
}

/* upto may cost nothing: then it opens nothing later either. */
static void test_pass_is_not_for_nothing(void **state)
{
	struct x402_gate_handler_result result = {
		.status = 200, .amount = "0", .now_unix_s = NOW};
	struct house house;
	char *payment;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	for (int i = 0; i < 2; i++) {
		payment = house_pay(&house, "/upto");
		assert_int_equal(
			house_send(&house, "/upto", payment), X402_GATE_ASK);
		house_answer(&house, 200, HOUSE_VALID);
		x402_gate_on_handler(house.gate, &result, &house.decision);
		assert_int_equal(house_answer(&house, 200,
					 i ? HOUSE_SETTLED
					   : "{\"success\":true,\"transaction\""
					     ":\"\",\"network\":"
					     "\"eip155:84532\"}"),
			X402_GATE_DELIVER);
		assert_int_equal(
			decision_header(&house.decision, "X402-Pass") != NULL,
			i);
		free(payment);
		result.amount = "1";
	}
	house_close(&house);
}

/* P-150: whoever's money has moved gets the receipt. */
static void test_handler_that_threw_after_settling_gives_the_receipt(
	void **state)
{
	struct house house;
	char *payment;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	payment = house_pay(&house, "/before");
	house_send(&house, "/before", payment);
	assert_int_equal(house_answer(&house, 200, HOUSE_SETTLED),
		X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 0), X402_GATE_WITHHOLD);
	assert_int_equal(house.decision.status, 500);
	assert_non_null(
		decision_header(&house.decision, X402_HEADER_PAYMENT_RESPONSE));
	/* And it is told its transaction again, and served, next time. */
	assert_int_equal(
		house_send(&house, "/before", payment), X402_GATE_RUN_HANDLER);
	assert_string_equal(x402_gate_transaction(house.gate), TX);
	free(payment);
	house_close(&house);
}

/* However its text is cut: a prefix that ends in zeros is written short. */
static void test_quota_of_a_short_network_is_one(void **state)
{
	static const char *const same[] = {"2001:db8::a:b:c:d", "2001:db8::1",
		"2001:db8::ffff:0:0:9", "2001:db8:0:0:1::"};
	struct house house;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		assert_int_equal(from_peer(&house, same[i], NOW),
			i < 2 ? X402_GATE_PASS : X402_GATE_ANSWER);
	assert_int_equal(
		from_peer(&house, "2001:db8:0:1::1", NOW), X402_GATE_PASS);
	house_close(&house);
}

/* Strangers who fill one table take nothing from those who have paid. */
static void test_pass_of_uses_is_not_crowded_out(void **state)
{
	struct house house;
	struct x402__counters *counters;
	uint8_t key32[32] = {0};
	uint8_t pass8[8];
	char *pass;

	(void)state;
	open_shop(&house, "https://shop.example", 0);
	pass = buy(&house, "/route/one", 200);
	counters = house.provider->counters;
	/* Everywhere that the pass's count could be. */
	memcpy(pass8, house.gate->key.payment32, 8);
	for (uint64_t i = 0; i < 64; i++) {
		uint64_t at;

		memcpy(&at, pass8, sizeof(at));
		at = at + i - 16;
		memcpy(key32, &at, sizeof(at));
		for (key32[31] = 1; key32[31] < 20; key32[31]++)
			(void)x402__counters_take(
				counters, key32, 1, NOW + 99, NOW);
	}
	assert_int_equal(
		with_header(&house, "/route/two", "X402-Pass", pass, NOW),
		X402_GATE_PASS);
	free(pass);
	house_close(&house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pass_opens_what_was_paid),
		cmocka_unit_test(test_pass_as_cookie),
		cmocka_unit_test(test_pass_changed_anywhere_is_none),
		cmocka_unit_test(test_pass_of_another_shop_or_epoch_is_none),
		cmocka_unit_test(test_pass_of_uses_is_used_up),
		cmocka_unit_test(test_pass_of_the_site_opens_its_routes_only),
		cmocka_unit_test(test_pass_is_for_what_was_served),
		cmocka_unit_test(test_payment_beside_a_pass_is_a_payment),
		cmocka_unit_test(test_quota_is_by_address_and_day),
		cmocka_unit_test(test_counters_are_bounded),
		cmocka_unit_test(test_counters_of_a_memory_are_the_memorys),
		cmocka_unit_test(test_counters_drop_forgets_its_own_only),
		cmocka_unit_test(test_pass_is_for_its_route),
		cmocka_unit_test(test_pass_is_not_for_nothing),
		cmocka_unit_test(
			test_handler_that_threw_after_settling_gives_the_receipt),
		cmocka_unit_test(test_quota_of_a_short_network_is_one),
		cmocka_unit_test(test_pass_of_uses_is_not_crowded_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
