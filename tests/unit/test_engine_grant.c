/*
 * Transactions that have paid already, through the engine: one caller is told
 * of success, whatever the store does in between and whoever comes at once.
 */
#include "engine_house.h"

#define PAID_HASH 0xa7

/* Show the paid transaction, as a request of this fingerprint. */
static uint64_t show(struct world *w, uint8_t fingerprint, const char *key,
	struct told *told)
{
	struct x402_settle_proof proof;
	struct fac_settle_request request = {.has_plan = true,
		.x402_version = 2,
		.scheme = "proof",
		.wire_network = WORLD_NETWORK,
		.idempotency_scope = key ? "caller" : NULL,
		.idempotency_key = key,
		.may_repeat = key,
		.deadline_unix_ms = w->now_ms + 10000};
	struct x402_settle_plan *plan = &request.plan;

	memset(told, 0, sizeof(*told));
	payment_proof(0, &proof);
	memset(request.fingerprint32, fingerprint, 32);
	memset(request.payload_hash32, fingerprint, 32);
	memset(plan->key.bytes, 0x40, 32);
	plan->network = w->config.network;
	plan->amount = proof.value;
	plan->payer = proof.from;
	plan->pay_to = proof.to;
	memset(plan->nonce32, PAID_HASH, 32);
	plan->asset_address = proof.asset;
	plan->call_to = proof.asset;
	plan->valid_before_unix_s = WORLD_START_S + 600;
	plan->paid = true;
	plan->paid_block_number = 5;
	return fac_engine_settle(w->engine, &request, on_told, told);
}

static int rows(struct world *w)
{
	return world_count(w, "SELECT count(*) FROM payments");
}

static void test_grant_is_told_once_and_sends_nothing(void **state)
{
	struct world *w = world_new();
	struct told first;
	struct told second;

	(void)state;
	world_boot(w);
	show(w, 1, NULL, &first);
	world_run(w, 1000);
	assert_int_equal(first.times, 1);
	assert_int_equal(first.result.outcome, FAC_SETTLE_SETTLED);
	assert_non_null(strstr(first.result.transaction, "0xa7a7"));
	assert_non_null(strstr(first.answer, "\"success\":true"));
	assert_non_null(strstr(first.answer, "0xa7a7"));
	assert_int_equal(w->sends, 0);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_SETTLED);
	/* Again, and for something else. */
	show(w, 1, NULL, &second);
	world_run(w, 1000);
	assert_int_equal(second.result.outcome, FAC_SETTLE_DUPLICATE);
	show(w, 2, NULL, &second);
	world_run(w, 1000);
	assert_int_equal(second.result.outcome, FAC_SETTLE_DUPLICATE);
	assert_int_equal(
		second.result.reason, X402_REASON_DUPLICATE_SETTLEMENT);
	assert_int_equal(rows(w), 1);
	world_free(w);
}

static void test_grant_of_many_at_once_is_one(void **state)
{
	struct world *w = world_new();
	struct told told[20];
	unsigned settled = 0;
	unsigned duplicates = 0;

	(void)state;
	world_boot(w);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		show(w, (uint8_t)(1 + i % 2), NULL, &told[i]);
	world_run(w, 1000);
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		assert_int_equal(told[i].times, 1);
		settled += told[i].result.outcome == FAC_SETTLE_SETTLED;
		duplicates += told[i].result.outcome == FAC_SETTLE_DUPLICATE;
	}
	assert_int_equal(settled, 1);
	assert_int_equal(duplicates, ARRAY_LEN(told) - 1);
	world_free(w);
}

/* Its own key: the same bytes again. Another request's: a conflict. */
static void test_grant_is_repeated_under_its_key(void **state)
{
	struct world *w = world_new();
	struct told first;
	struct told second;

	(void)state;
	world_boot(w);
	show(w, 1, "k", &first);
	world_run(w, 1000);
	show(w, 1, "k", &second);
	world_run(w, 1000);
	assert_int_equal(second.result.outcome, FAC_SETTLE_SETTLED);
	assert_string_equal(second.answer, first.answer);
	show(w, 2, "k", &second);
	world_run(w, 1000);
	assert_int_equal(second.result.outcome, FAC_SETTLE_CONFLICT);
	world_free(w);
}

/*
 * The commit is durable and its answer is lost: the row's id says that it was
 * this caller's after all. Without it the payer has paid for nothing.
 */
static void test_grant_whose_commit_was_not_heard_of_is_told(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	w->store_faults = 2;
	w->fault_verb = FAC_VERB_GRANT;
	w->fault_is_durable = true;
	show(w, 1, NULL, &told);
	world_run(w, 1000);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(rows(w), 1);
	world_free(w);
}

static void test_grant_that_no_store_takes_is_a_fault(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	w->store_faults = 1000;
	w->fault_verb = FAC_VERB_GRANT;
	show(w, 1, NULL, &told);
	world_run(w, 1000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
	assert_int_equal(rows(w), 0);
	/* The same transaction is still good. */
	w->store_faults = 0;
	show(w, 1, NULL, &told);
	world_run(w, 1000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* A caller that leaves is not told of a fault while the commit is under way. */
static void test_grant_waits_for_the_store_past_a_deadline(void **state)
{
	struct world *w = world_new();
	struct told told;
	uint64_t ticket;

	(void)state;
	world_boot(w);
	world_run(w, 100);
	ticket = show(w, 1, NULL, &told);
	fac_engine_leave(w->engine, ticket);
	w->now_ms += 60000;
	fac_engine_tick(w->engine);
	assert_int_equal(told.times, 0);
	world_run(w, 1000);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* kill -9 after any number of events: never two grants, never a lost one. */
static void test_grant_survives_a_crash_anywhere(void **state)
{
	(void)state;
	for (unsigned events = 0; events < 12; events++) {
		struct world *w = world_new();
		struct told before;
		struct told after;
		bool crashed;

		world_boot(w);
		world_run(w, 100);
		show(w, 1, "k", &before);
		crashed = world_run_until_event(w, 1000, events);
		world_crash(w);
		w->owner = "another";
		world_boot(w);
		show(w, 1, "k", &after);
		world_run(w, 1000);
		assert_int_equal(after.times, 1);
		assert_int_equal(after.result.outcome, FAC_SETTLE_SETTLED);
		if (before.times && before.result.outcome == FAC_SETTLE_SETTLED)
			assert_string_equal(before.answer, after.answer);
		assert_int_equal(rows(w), 1);
		show(w, 2, NULL, &after);
		world_run(w, 1000);
		assert_int_equal(after.result.outcome, FAC_SETTLE_DUPLICATE);
		world_free(w);
		if (!crashed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grant_is_told_once_and_sends_nothing),
		cmocka_unit_test(test_grant_of_many_at_once_is_one),
		cmocka_unit_test(test_grant_is_repeated_under_its_key),
		cmocka_unit_test(
			test_grant_whose_commit_was_not_heard_of_is_told),
		cmocka_unit_test(test_grant_that_no_store_takes_is_a_fault),
		cmocka_unit_test(
			test_grant_waits_for_the_store_past_a_deadline),
		cmocka_unit_test(test_grant_survives_a_crash_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
