/*
 * The duplicate rule (core/answer.c, demands.md section 5): who is told of a
 * payment that others ask for, too, at once, later, or in the place of one who
 * left; in the scripted world of engine_house.h.
 */
#include "engine_house.h"

static void test_engine_second_while_first_waits_is_duplicate(void **state)
{
	struct world *w = world_new();
	struct told first;
	struct told second;
	struct told other;

	(void)state;
	world_boot(w);
	world_settle(w, (struct asking){0}, &first);
	world_settle(w, (struct asking){0}, &second);
	world_settle(w, (struct asking){.fingerprint = 3}, &other);
	world_run(w, 2000);
	assert_int_equal(first.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(second.result.outcome, FAC_SETTLE_DUPLICATE);
	assert_int_equal(other.result.outcome, FAC_SETTLE_DUPLICATE);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

/*
 * The first caller's connection was closed before anything was signed, and its
 * second request overtook the news: its own first one is no other's claim.
 */
static void test_engine_rival_takes_the_place_of_one_who_left(void **state)
{
	(void)state;
	/* At once; while it is reserved; and when it waits for a lane. */
	for (unsigned at = 0; at < 12; at++) {
		struct world *w = world_new();
		struct told first;
		struct told second;
		uint64_t ticket;

		world_boot(w);
		if (at > 4) /* no lane signs while it cannot be known */
			w->mining = false;
		ticket = world_settle(w, (struct asking){0}, &first);
		(void)world_run_until_event(w, 200, at % 6);
		world_settle(w, (struct asking){0}, &second);
		(void)world_run_until_event(w, 200, at % 3);
		fac_engine_leave(w->engine, ticket);
		w->mining = true;
		world_run(w, 4000);
		assert_int_equal(first.times, 1);
		assert_int_equal(second.times, 1);
		assert_int_equal(second.result.outcome,
			first.result.outcome == FAC_SETTLE_SETTLED
				? FAC_SETTLE_DUPLICATE
				: FAC_SETTLE_SETTLED);
		assert_int_equal(w->payments[0].transfers, 1);
		world_free(w);
	}
}

static void test_engine_rivals_follow_one_after_the_other(void **state)
{
	struct world *w = world_new();
	struct told told[4];
	uint64_t tickets[4];

	(void)state;
	w->mining = false;
	world_boot(w);
	for (unsigned i = 0; i < 4; i++) {
		tickets[i] = world_settle(w, (struct asking){0}, &told[i]);
		world_run(w, 100);
	}
	/* One who is no claimant leaves, then those who are. */
	fac_engine_leave(w->engine, tickets[1]);
	world_run(w, 100);
	fac_engine_leave(w->engine, tickets[0]);
	world_run(w, 100);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_PENDING);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_DUPLICATE);
	assert_int_equal(told[2].times + told[3].times, 0);
	w->mining = true;
	world_run(w, 2000);
	assert_int_equal(told[2].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(told[3].result.outcome, FAC_SETTLE_DUPLICATE);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

/* Who waits behind another is not told "ask again" of what is claimed. */
static void test_engine_rival_at_its_deadline_is_duplicate(void **state)
{
	struct world *w = world_new();
	struct told first;
	struct told second;

	(void)state;
	w->mining = false;
	world_boot(w);
	world_settle(w, (struct asking){0}, &first);
	world_settle(w, (struct asking){.wait_ms = 500}, &second);
	world_run(w, 1000);
	assert_int_equal(first.times, 0);
	assert_int_equal(second.result.outcome, FAC_SETTLE_DUPLICATE);
	w->mining = true;
	world_run(w, 2000);
	assert_int_equal(first.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* ... but of what nobody claims any more it is. */
static void test_engine_rival_of_one_who_left_may_ask_again(void **state)
{
	struct world *w = world_new();
	struct told first;
	struct told second;
	uint64_t ticket;

	(void)state;
	w->mining = false;
	world_boot(w);
	ticket = world_settle(w, (struct asking){0}, &first);
	world_settle(w, (struct asking){.wait_ms = 1000}, &second);
	world_run(w, 500);
	fac_engine_leave(w->engine, ticket);
	world_run(w, 1000);
	assert_int_equal(second.result.outcome, FAC_SETTLE_PENDING);
	w->mining = true;
	world_run(w, 2000);
	world_settle(w, (struct asking){0}, &second);
	world_run(w, 500);
	assert_int_equal(second.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

static void test_engine_rivals_are_few(void **state)
{
	struct world *w = world_new();
	struct told told[20];
	unsigned duplicates = 0;

	(void)state;
	w->mining = false;
	world_boot(w);
	for (unsigned i = 0; i < 20; i++)
		world_settle(w, (struct asking){0}, &told[i]);
	world_run(w, 500);
	for (unsigned i = 0; i < 20; i++)
		duplicates += told[i].times &&
			told[i].result.outcome == FAC_SETTLE_DUPLICATE;
	assert_int_equal(duplicates, 11);
	w->mining = true;
	world_run(w, 2000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	for (unsigned i = 1; i < 20; i++)
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_DUPLICATE);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

/* It ends without money: they are told why, as the first one was. */
static void test_engine_rivals_share_a_refusal(void **state)
{
	struct world *w = world_new();
	struct told told[3];

	(void)state;
	world_boot(w);
	w->payments[0].used = true;
	for (unsigned i = 0; i < 3; i++)
		world_settle(w, (struct asking){.wait_ms = 60000}, &told[i]);
	world_run(w, 30000);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_REFUSED);
		assert_int_equal(told[i].result.reason,
			X402_REASON_EVM_NONCE_ALREADY_USED);
	}
	assert_int_equal(w->txs_len, 1);
	world_free(w);
}

static void test_engine_same_idempotency_key_joins(void **state)
{
	struct world *w = world_new();
	struct told told[3];

	(void)state;
	world_boot(w);
	for (unsigned i = 0; i < 2; i++)
		world_settle(w, (struct asking){.key = "k"}, &told[i]);
	world_run(w, 2000);
	/* ... and gets the same bytes later. */
	world_settle(w, (struct asking){.key = "k"}, &told[2]);
	world_run(w, 1000);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
		assert_string_equal(told[i].answer, told[0].answer);
	}
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

static void test_engine_idempotency_key_for_another_request_is_conflict(
	void **state)
{
	struct world *w = world_new();
	struct told first;
	struct told second;

	(void)state;
	world_boot(w);
	world_settle(w, (struct asking){.key = "k"}, &first);
	world_settle(w, (struct asking){.payment = 1, .key = "k"}, &second);
	world_run(w, 2000);
	assert_int_equal(first.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(second.result.outcome, FAC_SETTLE_CONFLICT);
	world_settle(w, (struct asking){.key = "k", .fingerprint = 9}, &second);
	world_run(w, 2000);
	assert_int_equal(second.result.outcome, FAC_SETTLE_CONFLICT);
	assert_int_equal(w->payments[1].transfers, 0);
	world_free(w);
}

static void test_engine_repeat_after_credit_is_duplicate(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 2000);
	for (unsigned recall = 0; recall < 2; recall++) {
		world_settle(w, (struct asking){.recall = recall}, &told);
		world_run(w, 1000);
		assert_int_equal(told.result.outcome, FAC_SETTLE_DUPLICATE);
	}
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

static void test_engine_recall_of_nothing_is_unknown(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 100);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_UNKNOWN);
	world_free(w);
}

static void test_engine_pending_then_success_exactly_once(void **state)
{
	struct world *w = world_new();
	struct told told;
	char hash[FAC_HASH_TEXT_SIZE];

	(void)state;
	w->mining = false;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 1000}, &told);
	world_run(w, 1500);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	assert_int_equal(told.result.reason, X402_REASON_SETTLEMENT_PENDING);
	memcpy(hash, told.result.transaction, sizeof(hash));
	assert_int_equal(strlen(hash), 66);
	/* It lands while nobody waits: the next caller claims it. */
	w->mining = true;
	world_run(w, 3000);
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 500);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_string_equal(told.result.transaction, hash);
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 500);
	assert_int_equal(told.result.outcome, FAC_SETTLE_DUPLICATE);
	assert_int_equal(w->txs_len, 1);
	world_free(w);
}

static void test_engine_second_waits_when_first_is_answered(void **state)
{
	struct world *w = world_new();
	struct told first;
	struct told second;

	(void)state;
	w->mining = false;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 500}, &first);
	world_run(w, 1000);
	world_settle(w, (struct asking){0}, &second);
	world_run(w, 1000);
	assert_int_equal(second.times, 0);
	w->mining = true;
	world_run(w, 2000);
	assert_int_equal(first.result.outcome, FAC_SETTLE_PENDING);
	assert_int_equal(second.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->txs_len, 1);
	world_free(w);
}

static void test_engine_success_is_not_credited_to_one_who_left(void **state)
{
	struct world *w = world_new();
	struct told told;
	uint64_t ticket;

	(void)state;
	w->mining = false;
	world_boot(w);
	ticket = world_settle(w, (struct asking){0}, &told);
	world_run(w, 500);
	fac_engine_leave(w->engine, ticket);
	w->mining = true;
	world_run(w, 2000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 500);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_engine_second_while_first_waits_is_duplicate),
		cmocka_unit_test(
			test_engine_rival_takes_the_place_of_one_who_left),
		cmocka_unit_test(test_engine_rivals_follow_one_after_the_other),
		cmocka_unit_test(
			test_engine_rival_at_its_deadline_is_duplicate),
		cmocka_unit_test(
			test_engine_rival_of_one_who_left_may_ask_again),
		cmocka_unit_test(test_engine_rivals_are_few),
		cmocka_unit_test(test_engine_rivals_share_a_refusal),
		cmocka_unit_test(test_engine_same_idempotency_key_joins),
		cmocka_unit_test(
			test_engine_idempotency_key_for_another_request_is_conflict),
		cmocka_unit_test(test_engine_repeat_after_credit_is_duplicate),
		cmocka_unit_test(test_engine_recall_of_nothing_is_unknown),
		cmocka_unit_test(test_engine_pending_then_success_exactly_once),
		cmocka_unit_test(
			test_engine_second_waits_when_first_is_answered),
		cmocka_unit_test(
			test_engine_success_is_not_credited_to_one_who_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
