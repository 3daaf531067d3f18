/*
 * payment-identifier: one name, one payment. What must not happen: a second
 * authorization under a name that was charged already is charged, too.
 */
#include "counters_p.h"
#include "memory_house.h"

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
	{.pattern = "GET /kept",
		.prices = &house_cent,
		.prices_len = 1,
		.identifier = X402_PROVIDER_IDENTIFIER_OPTIONAL,
		.replay_s = 3600},
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

/* ---- Solana. ---- */

#define SOLANA "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"

static const struct x402_provider_price svm_cent = {.network = SOLANA,
	.pay_to = "GyGKxMyg1p9SsHfm15MkNUu1u9TN2JtTspcdmrtGUdse",
	.price = "$0.01",
	.extra_json = "{\"feePayer\":"
		      "\"AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9\"}"};
static const struct x402_provider_route svm_routes[] = {{.pattern = "GET /must",
	.prices = &svm_cent,
	.prices_len = 1,
	.identifier = X402_PROVIDER_IDENTIFIER_REQUIRED}};

static enum x402_err sign_svm(void *user, const struct x402_signable *signable,
	struct x402_buf *ret_signature)
{
	uint8_t sig64[64];
	enum x402_err err = x402_ed25519_sign(
		user, signable->svm_message, sig64);

	x402_buf_add(ret_signature, x402_span(sig64, 64));
	return err;
}

/* A payment of one of two wallets under ID; caller frees. */
static char *pay_svm(struct house *house, uint8_t wallet)
{
	static const char id[] = "{\"payment-identifier\":{\"info\":{"
				 "\"required\":true,\"id\":\"" ID "\"}}}";
	const uint8_t seed32[32] = {wallet};
	struct x402_svm_secret secret;
	struct x402_create_options options = {.now_unix_s = NOW,
		.sign = sign_svm,
		.user = &secret,
		.has_svm = true,
		.svm_mint = {x402_svm_token_program, 6}};
	struct x402_payment_required required;
	struct x402_payment_payload payload;
	struct x402_json *scheme_payload;
	struct x402_json *json = NULL;
	struct x402_json *extensions;
	char *plain = NULL;
	char *text = NULL;

	assert_int_equal(x402_svm_secret_from_seed(seed32, &secret), X402_OK);
	memcpy(options.svm_payer.bytes, secret.seed_and_key64 + 32, 32);
	memset(options.nonce32, wallet, 32);
	memset(options.svm_blockhash32, 0xb1, 32);
	assert_int_equal(house_get(house, "/must"), X402_GATE_ANSWER);
	house_challenge(house, &required);
	assert_int_equal(x402_create_payload(&required.accepts[0], &options,
				 NULL, &scheme_payload),
		X402_OK);
	assert_int_equal(x402_payment_payload_build(
				 &required, 0, scheme_payload, NULL, &payload),
		X402_OK);
	assert_int_equal(
		x402_payment_payload_encode(&payload, &plain), X402_OK);
	assert_int_equal(
		x402_header_decode(x402_span_str(plain), NULL, &json), X402_OK);
	assert_int_equal(
		x402_json_parse(x402_span_str(id), NULL, NULL, &extensions),
		X402_OK);
	assert_int_equal(
		x402_json_set_take(json, "extensions", extensions), X402_OK);
	assert_int_equal(x402_header_encode(json, &text), X402_OK);
	x402_json_unref(json);
	x402_payment_payload_clear(&payload);
	x402_json_unref(scheme_payload);
	x402_payment_required_clear(&required);
	free(plain);
	return text;
}

/* Whoever takes a name takes it from nobody else. */
static void test_identifier_on_solana_is_its_payers(void **state)
{
	struct x402_provider_options options = house_options();
	struct house house;
	char *first;
	char *second;

	(void)state;
	options.routes = svm_routes;
	options.routes_len = 1;
	house_open_with(&house, &options);
	first = pay_svm(&house, 1);
	second = pay_svm(&house, 2);
	assert_int_equal(house_send(&house, "/must", first), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_int_equal(house_send(&house, "/must", second), X402_GATE_ASK);
	free(first);
	free(second);
	house_close(&house);
}

/* ---- A memory that counts for several processes, and knows no names. ---- */

static struct x402__counter places[X402__COUNTERS_MAX];

static bool count(void *user, const uint8_t key32[32], uint32_t limit,
	uint64_t until_unix_s, uint64_t now_unix_s)
{
	return x402__counter_take(user, key32, limit, until_unix_s, now_unix_s);
}
static bool counted(void *user, const uint8_t key32[32], uint64_t now_unix_s)
{
	return x402__counter_have(user, key32, now_unix_s);
}
static void uncount(void *user, const uint8_t key32[32], uint64_t now_unix_s)
{
	x402__counter_drop(user, key32, now_unix_s);
}

static const uint8_t secret32[32] = {5};
static const struct x402_provider_memory counting = {.claim = memory_claim,
	.asking = memory_asking,
	.settled = memory_settled,
	.end = memory_end,
	.count = count,
	.counted = counted,
	.uncount = uncount,
	.user = places,
	.secret32 = secret32};

/* Two processes: a name that is taken in the one is taken in the other. */
static void test_identifier_is_counted_for_all(void **state)
{
	struct x402_provider_options options = house_options();
	struct house one;
	struct house other;
	char *first;
	char *second;

	(void)state;
	options.routes = routes;
	options.routes_len = 2;
	options.memory = &counting;
	house_open_with(&one, &options);
	house_open_with(&other, &options);
	other.nonce = 100;
	first = pay_as(&one, "/must", ID);
	second = pay_as(&other, "/must", ID);
	house_send(&one, "/must", first);
	house_answer(&one, 200, HOUSE_VALID);
	assert_int_equal(house_handled(&one, 200), X402_GATE_ASK);
	house_send(&other, "/must", second);
	assert_int_equal(other.decision.status, 409);
	/* Its own payment, in whichever of them. */
	assert_int_equal(house_send(&other, "/must", first), X402_GATE_ASK);
	/* Refused: free again for all. */
	house_answer(&one, 200,
		"{\"success\":false,\"errorReason\":\"insufficient_funds\","
		"\"transaction\":\"\",\"network\":\"eip155:84532\"}");
	assert_int_equal(house_send(&other, "/must", second), X402_GATE_ASK);
	free(first);
	free(second);
	house_close(&one);
	house_close(&other);
}

/* What it cannot do is said at once. */
static void test_replay_needs_a_memory_of_names(void **state)
{
	struct x402_provider_options options = house_options();
	struct x402_provider *provider = NULL;
	struct x402_errinfo info = {{0}, {0}};

	(void)state;
	options.routes = routes;
	options.routes_len = ARRAY_LEN(routes);
	options.memory = &counting;
	assert_int_equal(x402_provider_new(&options, &info, &provider),
		X402_ERR_INVALID_ARGUMENT);
	assert_string_equal(info.field, "memory");
}

/* ---- The first response again. ---- */

static const struct x402_gate_header article_headers[] = {
	{"Content-Type", "text/plain"}, {"Set-Cookie", "a=b"},
	{"ETag", "\"1\""}, {"X-Other", "x"}};

/* Buy under a name, with a response of some size. */
static void sell(
	struct house *house, const char *payment, const char *body, size_t len)
{
	struct x402_gate_handler_result result = {
		.status = 203,
		.now_unix_s = NOW,
		.has_body = true,
		.body = x402_span(body, len),
		.headers = article_headers,
		.headers_len = ARRAY_LEN(article_headers),
	};

	assert_int_equal(house_send(house, "/kept", payment), X402_GATE_ASK);
	assert_int_equal(
		house_answer(house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	x402_gate_on_handler(house->gate, &result, &house->decision);
	assert_int_equal(house->decision.action, X402_GATE_ASK);
	assert_int_equal(
		house_answer(house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	x402_gate_delivered(house->gate);
}

static enum x402_gate_action send_at(
	struct house *house, const char *payment, uint64_t now)
{
	return house_begin(house,
		&(struct house_request){.target = "/kept",
			.names = {"PAYMENT-SIGNATURE"},
			.values = {payment},
			.now = now});
}

static void assert_replayed(struct house *house, const char *body)
{
	struct x402_settle_response receipt;

	assert_int_equal(house->decision.action, X402_GATE_ANSWER);
	assert_int_equal(house->decision.status, 203);
	assert_body(house, body);
	assert_string_equal(decision_header(&house->decision, "Content-Type"),
		"text/plain");
	assert_string_equal(decision_header(&house->decision, "ETag"), "\"1\"");
	assert_null(decision_header(&house->decision, "Set-Cookie"));
	assert_null(decision_header(&house->decision, "X-Other"));
	assert_non_null(strstr(
		decision_header(&house->decision, "Cache-Control"), "private"));
	house_receipt(house, X402_HEADER_PAYMENT_RESPONSE, &receipt);
	assert_true(receipt.success);
	assert_string_equal(receipt.transaction, TX);
	x402_settle_response_clear(&receipt);
}

static void test_replay_of_the_same_and_of_a_new_signature(void **state)
{
	struct house house;
	char *first;
	char *second;

	(void)state;
	open_shop(&house);
	first = pay_as(&house, "/kept", ID);
	sell(&house, first, "bought", 6);
	send_at(&house, first, NOW);
	assert_replayed(&house, "bought");
	second = pay_as(&house, "/kept", ID);
	send_at(&house, second, NOW);
	assert_replayed(&house, "bought");
	/* Also when the time of the authorization is over, the response's is
	 * not. */
	send_at(&house, first, NOW + 3600);
	assert_replayed(&house, "bought");
	/* And no longer than it says. */
	send_at(&house, first, NOW + 3601);
	assert_int_equal(house.decision.status, 402);
	free(second);
	free(first);
	house_close(&house);
}

/* A name is no key: the purchase and the wallet must be the same. */
static void test_replay_is_not_for_others(void **state)
{
	struct house house;
	struct house thief;
	char *first;
	char *second;

	(void)state;
	open_shop(&house);
	first = pay_as(&house, "/kept", ID);
	sell(&house, first, "bought", 6);
	/* Another query of the same route: another purchase. */
	second = pay_as(&house, "/kept?x=1", ID);
	house_begin(&house,
		&(struct house_request){.target = "/kept?x=1",
			.names = {"PAYMENT-SIGNATURE"},
			.values = {second}});
	assert_int_equal(house.decision.status, 409);
	free(second);
	/* The name and payer of somebody else, signed by a key that is not
	 * his: a contract's, for all that we know. */
	open_shop(&thief);
	assert_int_equal(
		x402_secret_parse("0x7c852118294e51e653712a81e05800f419141751be"
				  "58f605c371e15141b007a6",
			&house.secret),
		X402_OK);
	second = pay_as(&house, "/kept", ID);
	send_at(&house, second, NOW);
	assert_int_equal(house.decision.status, 409);
	free(second);
	/* A payer of his own has names of his own. */
	assert_int_equal(
		x402_secret_address(house.secp, &house.secret, &house.payer),
		X402_OK);
	second = pay_as(&house, "/kept", ID);
	assert_int_equal(send_at(&house, second, NOW), X402_GATE_ASK);
	free(second);
	house_close(&thief);
	free(first);
	house_close(&house);
}

static void test_replay_keeps_what_is_small_and_was_paid(void **state)
{
	struct house house;
	char *large = calloc(1, X402_GATE_REPLAY_BODY_MAX + 1);
	char *first;

	(void)state;
	open_shop(&house);
	first = pay_as(&house, "/kept", ID);
	sell(&house, first, large, X402_GATE_REPLAY_BODY_MAX + 1);
	send_at(&house, first, NOW);
	assert_int_equal(house.decision.status, 402);
	free(first);
	/* Refused: nothing was bought, nothing is sent again. */
	first = pay_as(&house, "/kept", ID "2");
	house_send(&house, "/kept", first);
	house_answer(&house, 200, HOUSE_VALID);
	house_handled(&house, 200);
	house_answer(&house, 200,
		"{\"success\":false,\"errorReason\":\"insufficient_funds\","
		"\"transaction\":\"\",\"network\":\"eip155:84532\"}");
	assert_int_equal(send_at(&house, first, NOW), X402_GATE_ASK);
	free(first);
	free(large);
	house_close(&house);
}

/* Under names only, and a name for it must be wanted. */
static void test_replay_needs_names(void **state)
{
	struct x402_provider_route route = {.pattern = "GET /x",
		.prices = &house_cent,
		.prices_len = 1,
		.replay_s = 60};
	struct x402_provider_options options = house_options();
	struct x402_provider *provider = NULL;

	(void)state;
	options.routes = &route;
	options.routes_len = 1;
	assert_int_equal(x402_provider_new(&options, NULL, &provider),
		X402_ERR_INVALID_ARGUMENT);
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
		cmocka_unit_test(
			test_replay_of_the_same_and_of_a_new_signature),
		cmocka_unit_test(test_replay_is_not_for_others),
		cmocka_unit_test(test_replay_keeps_what_is_small_and_was_paid),
		cmocka_unit_test(test_identifier_on_solana_is_its_payers),
		cmocka_unit_test(test_identifier_is_counted_for_all),
		cmocka_unit_test(test_replay_needs_a_memory_of_names),
		cmocka_unit_test(test_replay_needs_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
