/*
 * Budgets: each scope and window holds to the atomic unit, money comes back
 * when it is proven unspent, and processes that share a file share the limit.
 */
#include "journal_house.h"

#include <sys/wait.h>

/* A fresh request each time, so that only the budgets can refuse. */
static enum x402_client_cause try_buy(struct house *house)
{
	static unsigned serial;
	char url[64];
	struct x402__journal_grant grant;

	snprintf(url, sizeof(url), "https://shop.example/%u", serial++);
	house->ask.url = url;
	grant = reserve(house);
	if (grant.verdict == X402__JOURNAL_SIGN)
		assert_int_equal(
			sign_in(house->journal, grant.number, &house->terms),
			X402_OK);
	return grant.cause;
}

static void limit(struct house *house, struct x402_budget budget)
{
	assert_int_equal(
		x402_journal_budget_set(house->journal, &budget), X402_OK);
}

#define PAYS    assert_int_equal(try_buy(house), X402_CLIENT_CAUSE_NONE)
#define REFUSES assert_int_equal(try_buy(house), X402_CLIENT_CAUSE_BUDGET)

static void test_budget_total_holds_to_the_unit(void **state)
{
	struct house *house = *state;

	limit(house,
		(struct x402_budget){
			.window = X402_BUDGET_TOTAL, .max_usd_micros = 2999});
	PAYS;
	PAYS;
	REFUSES;
	limit(house,
		(struct x402_budget){
			.window = X402_BUDGET_TOTAL, .max_usd_micros = 3000});
	PAYS;
	REFUSES;
	assert_int_equal(spent(house), 3000);
}

static void test_budget_count_is_a_limit_of_its_own(void **state)
{
	struct house *house = *state;

	limit(house,
		(struct x402_budget){
			.window = X402_BUDGET_DAY, .max_count = 1});
	PAYS;
	REFUSES;
}

static void test_budget_hour_and_day_move_on(void **state)
{
	struct house *house = *state;

	play_clock(house->journal, "boot");
	house_elapsed_ms = 1000;
	limit(house,
		(struct x402_budget){
			.window = X402_BUDGET_HOUR, .max_usd_micros = 1000});
	limit(house,
		(struct x402_budget){
			.window = X402_BUDGET_DAY, .max_usd_micros = 2000});
	PAYS;
	house_elapsed_ms += 59 * 60000;
	REFUSES;
	house_elapsed_ms += 3 * 60000;
	PAYS;
	house_elapsed_ms += 68 * 60000;
	REFUSES;
	house_elapsed_ms += UINT64_C(26) * 3600000;
	PAYS;
}

static void test_budget_each_host_has_its_own(void **state)
{
	struct house *house = *state;

	limit(house,
		(struct x402_budget){.scope = X402_BUDGET_HOST,
			.window = X402_BUDGET_TOTAL,
			.max_usd_micros = 1000});
	PAYS;
	REFUSES;
	house->ask.host = "other.example";
	PAYS;
	REFUSES;
}

static void test_budget_one_host_leaves_others(void **state)
{
	struct house *house = *state;

	limit(house,
		(struct x402_budget){.scope = X402_BUDGET_HOST,
			.subject = "SHOP.example",
			.window = X402_BUDGET_TOTAL,
			.max_usd_micros = 999});
	REFUSES;
	house->ask.host = "other.example";
	PAYS;
}

static void test_budget_payee_whatever_its_case(void **state)
{
	struct house *house = *state;

	limit(house,
		(struct x402_budget){.scope = X402_BUDGET_PAYEE,
			.subject = PAYEE,
			.window = X402_BUDGET_TOTAL,
			.max_usd_micros = 1000});
	PAYS;
	snprintf(house->terms.pay_to, sizeof(house->terms.pay_to),
		"0x90f79bf6eb2c4f870365e785982e1f101e93b906");
	REFUSES;
	snprintf(house->terms.pay_to, sizeof(house->terms.pay_to), PAYER);
	PAYS;
}

static void test_budget_asset_in_its_own_units(void **state)
{
	struct house *house = *state;

	limit(house,
		(struct x402_budget){.scope = X402_BUDGET_ASSET,
			.subject = "eip155:84532/" USDC,
			.window = X402_BUDGET_TOTAL,
			.max_atomic = "1999"});
	PAYS;
	REFUSES;
	snprintf(house->terms.amount, sizeof(house->terms.amount), "999");
	PAYS;
	/* 2^256 - 1 neither overflows nor passes. */
	snprintf(house->terms.amount, sizeof(house->terms.amount),
		"1157920892373161954235709850086879078532699846656405640394575"
		"84007913129639935");
	REFUSES;
}

static void test_budget_dollars_refuse_an_unknown_asset(void **state)
{
	struct house *house = *state;

	snprintf(house->terms.asset, sizeof(house->terms.asset), OTHER);
	PAYS;
	limit(house,
		(struct x402_budget){
			.window = X402_BUDGET_DAY, .max_usd_micros = 1000000});
	REFUSES;
	limit(house,
		(struct x402_budget){.scope = X402_BUDGET_ASSET,
			.subject = "eip155:84532/" OTHER,
			.window = X402_BUDGET_DAY,
			.max_atomic = "2000"});
	PAYS;
	REFUSES;
}

static void test_budget_session_counts_one_session(void **state)
{
	struct house *house = *state;

	limit(house,
		(struct x402_budget){
			.window = X402_BUDGET_SESSION, .max_usd_micros = 1000});
	/* Without a session nobody could count it. */
	REFUSES;
	house->ask.session = "a";
	PAYS;
	REFUSES;
	house->ask.session = "b";
	PAYS;
}

static void test_budget_of_the_process_binds_too(void **state)
{
	struct house *house = *state;
	struct x402_budget own = {
		.window = X402_BUDGET_TOTAL, .max_usd_micros = 1000};

	house->ask.budgets = &own;
	house->ask.budgets_len = 1;
	PAYS;
	REFUSES;
	house->ask.budgets_len = 0;
	PAYS;
}

static void test_budget_upto_counts_what_was_taken(void **state)
{
	struct house *house = *state;
	int64_t number;

	snprintf(house->terms.scheme, sizeof(house->terms.scheme), "upto");
	number = buy(house);
	assert_int_equal(spent(house), 1000);
	snprintf(house->terms.charged, sizeof(house->terms.charged), "400");
	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_PAID, 200, true),
		X402_OK);
	assert_int_equal(spent(house), 400);
}

/* Nobody can take more than was signed, whatever a receipt says. */
static void test_budget_upto_counts_no_more_than_was_signed(void **state)
{
	struct house *house = *state;
	int64_t number;

	snprintf(house->terms.scheme, sizeof(house->terms.scheme), "upto");
	number = buy(house);
	snprintf(house->terms.charged, sizeof(house->terms.charged), "1001");
	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_PAID, 200, true),
		X402_OK);
	assert_int_equal(spent(house), 1000);
}

static void test_budget_exact_counts_what_was_signed(void **state)
{
	struct house *house = *state;
	int64_t number = buy(house);

	/* A receipt that says less does not make it less. */
	snprintf(house->terms.charged, sizeof(house->terms.charged), "1");
	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_PAID, 200, true),
		X402_OK);
	assert_int_equal(spent(house), 1000);
}

static void test_budget_refusal_reserves_nothing(void **state)
{
	struct house *house = *state;
	struct x402_cost cost;

	house->ask.correlation = "task";
	PAYS;
	limit(house,
		(struct x402_budget){
			.window = X402_BUDGET_TOTAL, .max_usd_micros = 1000});
	REFUSES;
	assert_int_equal(spent(house), 1000);
	assert_int_equal(
		x402_journal_cost(house->journal, "task", &cost), X402_OK);
	assert_int_equal(cost.usd_micros, 1000);
	assert_int_equal(cost.count, 1);
	assert_int_equal(
		x402_journal_cost(house->journal, "nobody", &cost), X402_OK);
	assert_int_equal(cost.count, 0);
}

static void test_budget_that_limits_nothing_is_invalid(void **state)
{
	struct house *house = *state;
	const struct x402_budget bad[] = {
		{.window = X402_BUDGET_DAY},
		{.window = X402_BUDGET_DAY, .max_atomic = "5"},
		{.scope = X402_BUDGET_ASSET,
			.window = X402_BUDGET_DAY,
			.max_atomic = "5"},
		{.scope = X402_BUDGET_ASSET,
			.subject = "eip155:1/" USDC,
			.window = X402_BUDGET_DAY,
			.max_atomic = "05"},
		{.scope = X402_BUDGET_HOST,
			.window = X402_BUDGET_SESSION,
			.max_count = 1},
		{.window = (enum x402_budget_window)9, .max_count = 1},
		{.window = X402_BUDGET_DAY, .max_usd_micros = UINT64_MAX},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			x402_journal_budget_set(house->journal, &bad[i]),
			X402_ERR_INVALID_ARGUMENT);
}

static void test_budget_remove_needs_one(void **state)
{
	struct house *house = *state;
	struct x402_budget budget = {
		.window = X402_BUDGET_DAY, .max_usd_micros = 1};

	assert_int_equal(x402_journal_budget_remove(house->journal, &budget),
		X402_ERR_NOT_FOUND);
	limit(house, budget);
	REFUSES;
	assert_int_equal(
		x402_journal_budget_remove(house->journal, &budget), X402_OK);
	PAYS;
}

#define PROCESSES 4
#define TRIES     40

/* Buy as much as the budget lets, in a process of its own. */
static void buy_in_child(struct house *house, int child)
{
	struct x402_journal *journal = open_at(house->path);

	for (int i = 0; i < TRIES; i++) {
		char url[64];
		struct x402__journal_grant grant;

		snprintf(url, sizeof(url), "https://shop.example/%d/%d", child,
			i);
		house->ask.url = url;
		grant = reserve_in(journal, &house->ask);
		if (grant.verdict == X402__JOURNAL_SIGN &&
			sign_in(journal, grant.number, &house->terms))
			_exit(1);
	}
	_exit(0);
}

static void test_budget_many_processes_share_one(void **state)
{
	struct house *house = *state;
	pid_t children[PROCESSES];

	limit(house,
		(struct x402_budget){
			.window = X402_BUDGET_HOUR, .max_usd_micros = 25000});
	fflush(NULL);
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0)
			buy_in_child(house, i);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status = 1;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	/* 160 wanted, 25 fit: all of them, and not one more. */
	assert_int_equal(spent(house), 25000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_budget_total_holds_to_the_unit),
		TEST(test_budget_count_is_a_limit_of_its_own),
		TEST(test_budget_hour_and_day_move_on),
		TEST(test_budget_each_host_has_its_own),
		TEST(test_budget_one_host_leaves_others),
		TEST(test_budget_payee_whatever_its_case),
		TEST(test_budget_asset_in_its_own_units),
		TEST(test_budget_dollars_refuse_an_unknown_asset),
		TEST(test_budget_session_counts_one_session),
		TEST(test_budget_of_the_process_binds_too),
		TEST(test_budget_upto_counts_what_was_taken),
		TEST(test_budget_upto_counts_no_more_than_was_signed),
		TEST(test_budget_exact_counts_what_was_signed),
		TEST(test_budget_refusal_reserves_nothing),
		TEST(test_budget_that_limits_nothing_is_invalid),
		TEST(test_budget_remove_needs_one),
		TEST(test_budget_many_processes_share_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
