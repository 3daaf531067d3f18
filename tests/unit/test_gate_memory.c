/*
 * The gate with a memory of the program's own (provider_memory.h): which verb
 * is called when, what each of its answers leads to, and that nothing is asked
 * to settle that could not be written down.
 */
#include "gate_house.h"

#define RECEIPT "eyJzdWNjZXNzIjp0cnVlfQ=="

/* One line for all that was called, and what is to be answered. */
struct recorder {
	char calls[256];
	enum x402_claim claim;
	bool refuses;
	const char *receipt;
	struct x402_claim_key key;
	uint8_t secret32[32];
};

static void note(void *user, const char *what)
{
	struct recorder *recorder = user;
	size_t len = strlen(recorder->calls);

	snprintf(recorder->calls + len, sizeof(recorder->calls) - len, "%s ",
		what);
}

static enum x402_claim on_claim(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, uint64_t expires_unix_s,
	uint64_t now_unix_s, char **ret_receipt)
{
	struct recorder *recorder = user;

	note(user, "claim");
	assert_string_equal(x402_gate_amount(gate), "10000");
	assert_string_equal(x402_gate_network(gate), "eip155:84532");
	assert_string_equal(
		x402_gate_url(gate), "https://shop.example/articles/a");
	assert_true(expires_unix_s > now_unix_s);
	assert_int_equal(now_unix_s, NOW);
	recorder->key = *key;
	*ret_receipt = recorder->receipt ? strdup(recorder->receipt) : NULL;
	return recorder->claim;
}

static bool on_asking(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key)
{
	struct recorder *recorder = user;

	note(user, "asking");
	assert_string_not_equal(x402_gate_payer(gate), "");
	assert_memory_equal(key, &recorder->key, sizeof(*key));
	return !recorder->refuses;
}

static void on_settled(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, const char *receipt)
{
	(void)key;
	note(user, "settled");
	assert_string_equal(x402_gate_transaction(gate), TX);
	assert_non_null(receipt);
}

static void on_end(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, enum x402_claim_end end,
	const char *receipt)
{
	static const char *const names[] = {
		"forget", "unknown", "paid", "spent"};

	(void)gate;
	(void)key;
	(void)receipt;
	note(user, names[end]);
}

static struct x402_provider_memory memory_of(struct recorder *recorder)
{
	return (struct x402_provider_memory){
		.claim = on_claim,
		.asking = on_asking,
		.settled = on_settled,
		.end = on_end,
		.user = recorder,
		.secret32 = recorder->secret32,
	};
}

static void open_with(struct house *house, struct recorder *recorder)
{
	struct x402_provider_memory memory = memory_of(recorder);
	struct x402_provider_options options = house_options();

	options.memory = &memory;
	house_open_with(house, &options);
}

static enum x402_gate_action settle_answer(struct house *house)
{
	return house_answer(house, 200, HOUSE_SETTLED);
}

static const char *header_of(
	const struct x402_gate_header *headers, size_t len, const char *name)
{
	for (size_t i = 0; i < len; i++)
		if (strcmp(headers[i].name, name) == 0)
			return headers[i].value;
	fail_msg("no header %s", name);
	return NULL;
}

static enum x402_gate_action begin(struct house *house)
{
	char *payment = house_pay(house, "/articles/a");
	enum x402_gate_action action = house_send(
		house, "/articles/a", payment);

	free(payment);
	return action;
}

static void test_memory_hears_of_each_step_in_order(void **state)
{
	struct recorder recorder = {.claim = X402_CLAIM_NEW};
	struct house house;

	(void)state;
	open_with(&house, &recorder);
	assert_int_equal(begin(&house), X402_GATE_ASK);
	assert_string_equal(recorder.calls, "claim ");
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_string_equal(recorder.calls, "claim ");
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_string_equal(recorder.calls, "claim asking ");
	assert_int_equal(settle_answer(&house), X402_GATE_DELIVER);
	assert_string_equal(recorder.calls, "claim asking settled ");
	x402_gate_delivered(house.gate);
	assert_string_equal(recorder.calls, "claim asking settled spent ");
	house_close(&house);
	assert_string_equal(recorder.calls, "claim asking settled spent ");
}

static void test_memory_keeps_what_was_not_delivered(void **state)
{
	struct recorder recorder = {.claim = X402_CLAIM_NEW};
	struct house house;

	(void)state;
	open_with(&house, &recorder);
	assert_int_equal(begin(&house), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_int_equal(settle_answer(&house), X402_GATE_DELIVER);
	house_close(&house);
	assert_string_equal(recorder.calls, "claim asking settled paid ");
}

static void test_memory_that_cannot_write_stops_the_money(void **state)
{
	struct recorder recorder = {.claim = X402_CLAIM_NEW, .refuses = true};
	struct house house;

	(void)state;
	open_with(&house, &recorder);
	assert_int_equal(begin(&house), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_WITHHOLD);
	assert_int_equal(house.decision.status, 503);
	assert_string_equal(recorder.calls, "claim asking forget ");
	house_close(&house);
}

static void test_memory_refused_settlement_is_forgotten(void **state)
{
	struct recorder recorder = {.claim = X402_CLAIM_NEW};
	struct house house;

	(void)state;
	open_with(&house, &recorder);
	assert_int_equal(begin(&house), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_int_equal(
		house_transport(&house, X402_ERR_TIMEOUT), X402_GATE_WITHHOLD);
	assert_string_equal(recorder.calls, "claim asking unknown ");
	house_close(&house);
}

static void test_memory_unknown_claim_settles_before_the_handler(void **state)
{
	struct recorder recorder = {.claim = X402_CLAIM_UNKNOWN};
	struct house house;

	(void)state;
	open_with(&house, &recorder);
	assert_int_equal(begin(&house), X402_GATE_ASK);
	assert_string_equal(
		house.decision.ask.url, "https://facilitator.example/f/settle");
	assert_string_equal(recorder.calls, "claim asking ");
	assert_int_equal(settle_answer(&house), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 500), X402_GATE_DELIVER);
	assert_string_equal(recorder.calls, "claim asking settled paid ");
	house_close(&house);
}

static void test_memory_unknown_claim_unwritten_stays_unknown(void **state)
{
	struct recorder recorder = {
		.claim = X402_CLAIM_UNKNOWN, .refuses = true};
	struct house house;

	(void)state;
	open_with(&house, &recorder);
	assert_int_equal(begin(&house), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 503);
	assert_string_equal(recorder.calls, "claim asking unknown ");
	house_close(&house);
}

static void test_memory_paid_claim_only_runs_the_handler(void **state)
{
	struct recorder recorder = {
		.claim = X402_CLAIM_PAID, .receipt = RECEIPT};
	struct house house;

	(void)state;
	open_with(&house, &recorder);
	assert_int_equal(begin(&house), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&house, 200), X402_GATE_DELIVER);
	assert_string_equal(
		header_of(house.decision.headers, house.decision.headers_len,
			"PAYMENT-RESPONSE"),
		RECEIPT);
	x402_gate_delivered(house.gate);
	assert_string_equal(recorder.calls, "claim spent ");
	house_close(&house);
}

static void test_memory_refusals_give_nothing(void **state)
{
	static const struct {
		enum x402_claim claim;
		unsigned status;
	} rows[] = {{X402_CLAIM_BUSY, 402}, {X402_CLAIM_SPENT, 402},
		{X402_CLAIM_FULL, 503}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct recorder recorder = {.claim = rows[i].claim};
		struct house house;

		open_with(&house, &recorder);
		assert_int_equal(begin(&house), X402_GATE_ANSWER);
		assert_int_equal(house.decision.status, rows[i].status);
		assert_string_equal(recorder.calls, "claim ");
		house_close(&house);
	}
}

/* Our own repetition is known to the facilitator by the shared secret. */
static void test_memory_secret_makes_the_same_key_everywhere(void **state)
{
	struct recorder recorder = {.claim = X402_CLAIM_UNKNOWN};
	struct house houses[2];
	const char *keys[2];
	char *payment;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		open_with(&houses[i], &recorder);
	payment = house_pay(&houses[0], "/articles/a");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(house_send(&houses[i], "/articles/a", payment),
			X402_GATE_ASK);
		keys[i] = header_of(houses[i].decision.ask.headers,
			houses[i].decision.ask.headers_len, "Idempotency-Key");
	}
	assert_string_equal(keys[0], keys[1]);
	free(payment);
	for (size_t i = 0; i < 2; i++)
		house_close(&houses[i]);
}

static void test_memory_with_a_verb_missing_is_refused(void **state)
{
	struct recorder recorder = {.claim = X402_CLAIM_NEW};
	struct x402_provider_memory memory = memory_of(&recorder);
	struct x402_provider_options options = house_options();
	struct x402_provider *provider = NULL;
	struct x402_errinfo info = {{0}, {0}};

	(void)state;
	memory.asking = NULL;
	options.memory = &memory;
	assert_int_equal(x402_provider_new(&options, &info, &provider),
		X402_ERR_INVALID_ARGUMENT);
	assert_string_equal(info.field, "memory");
	assert_null(provider);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_hears_of_each_step_in_order),
		cmocka_unit_test(test_memory_keeps_what_was_not_delivered),
		cmocka_unit_test(test_memory_that_cannot_write_stops_the_money),
		cmocka_unit_test(test_memory_refused_settlement_is_forgotten),
		cmocka_unit_test(
			test_memory_unknown_claim_settles_before_the_handler),
		cmocka_unit_test(
			test_memory_unknown_claim_unwritten_stays_unknown),
		cmocka_unit_test(test_memory_paid_claim_only_runs_the_handler),
		cmocka_unit_test(test_memory_refusals_give_nothing),
		cmocka_unit_test(
			test_memory_secret_makes_the_same_key_everywhere),
		cmocka_unit_test(test_memory_with_a_verb_missing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
