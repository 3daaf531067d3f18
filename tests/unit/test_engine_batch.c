/*
 * Rare paths of the engine, against the scripted world of engine_house.h:
 * blocks that fall while a payment is in doubt, a journal that knows better
 * than memory, deadlines inside a claim, and two engines over one store.
 */
#include "engine_house.h"

static void sql(struct world *w, const char *text)
{
	assert_int_equal(
		sqlite3_exec(w->db.sqlite, text, NULL, NULL, NULL), SQLITE_OK);
}

/* Two payments in one transaction that waits in the mempool. */
static void begin_pair(struct world *w, struct told told[2])
{
	world_allow_batches(w);
	w->mining = false;
	world_boot(w);
	world_run(w, 200);
	for (unsigned i = 0; i < 2; i++)
		world_settle(w, (struct asking){.payment = i, .wait_ms = 60000},
			&told[i]);
	world_run(w, 400);
	assert_int_equal(w->txs_len, 1);
	assert_int_equal(w->txs[0].payments_len, 2);
}

/* ---- How long company is waited for. ---- */

/* Forty in flight make the next one wait 400 ms, below the window. */
static struct world *begin_forty(struct told told[40])
{
	struct world *w = world_new();

	world_allow_batches(w);
	w->config.batch_window_ms = 1000;
	w->mining = false;
	world_boot(w);
	world_run(w, 400);
	for (unsigned i = 0; i < 40; i++)
		world_settle(w, (struct asking){.payment = i, .wait_ms = 60000},
			&told[i]);
	world_run(w, 40);
	/* Nothing was on its way, so nobody waited. */
	assert_int_equal(w->txs_len, 1);
	assert_int_equal(w->txs[0].payments_len, 40);
	return w;
}

static void test_batch_waits_the_longer_the_more_is_in_flight(void **state)
{
	struct told told[42];
	struct world *w = begin_forty(told);

	(void)state;
	world_settle(w, (struct asking){.payment = 40}, &told[40]);
	world_run(w, 300);
	assert_int_equal(w->txs_len, 1);
	world_settle(w, (struct asking){.payment = 41}, &told[41]);
	world_run(w, 200);
	/* The first has waited long enough, and takes the other along. */
	assert_int_equal(w->txs_len, 2);
	assert_int_equal(w->txs[1].payments_len, 2);
	world_free(w);
}

static void test_batch_never_waits_for_longer_than_the_window(void **state)
{
	struct told told[41];
	struct world *w = begin_forty(told);

	(void)state;
	world_crash(w);
	w->config.batch_window_ms = 100;
	world_boot(w);
	world_run(w, 400);
	world_settle(w, (struct asking){.payment = 40}, &told[40]);
	world_run(w, 60);
	assert_int_equal(w->txs_len, 1);
	world_run(w, 80);
	assert_int_equal(w->txs_len, 2);
	world_free(w);
}

static void test_batch_does_not_wait_when_an_end_is_near(void **state)
{
	struct told told[41];
	struct world *w = begin_forty(told);

	(void)state;
	w->payments[40].valid_before = w->now_ms / 1000 + 10;
	world_settle(w, (struct asking){.payment = 40}, &told[40]);
	world_run(w, 60);
	assert_int_equal(w->txs_len, 2);
	world_free(w);
}

/* ---- What our own transactions did is never called another's. ---- */

static void test_batch_lying_receipt_without_the_flag_is_no_end(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.credit_preempted = false;
	w->lies_logs = true;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 30000}, &told);
	world_run(w, 3000);
	assert_int_equal(told.times, 0);
	w->lies_logs = false;
	world_run(w, 5000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

static void test_batch_pays_after_a_reorg_what_went_alone(void **state)
{
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	w->config.credit_preempted = false;
	w->payments[1].fails_in_company = true;
	begin_pair(w, told);
	world_mine(w);
	world_run(w, 2000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->txs_len, 2);
	/* In another block it does not fail in company any more. */
	w->payments[1].fails_in_company = false;
	world_reorg(w, 1, false);
	w->mining = true;
	world_run(w, 6000);
	assert_int_equal(w->payments[1].transfers, 1);
	assert_int_equal(told[1].times, 1);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(world_state(w, 1), FAC_PAYMENT_SETTLED);
	world_free(w);
}

static void test_batch_refused_one_is_settled_when_the_thief_falls(void **state)
{
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	w->config.credit_preempted = false;
	begin_pair(w, told);
	world_preempt(w, 1);
	w->base_fee = UINT32_MAX; /* the stranger's lands alone */
	world_mine(w);
	w->base_fee = 10;
	world_mine(w);
	world_run(w, 8000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_REFUSED);
	world_reorg(w, 2, false);
	w->txs[1].gone = true;
	w->mining = true;
	world_run(w, 6000);
	assert_int_equal(w->payments[1].transfers, 1);
	assert_int_equal(world_state(w, 1), FAC_PAYMENT_SETTLED);
	world_settle(w, (struct asking){.payment = 1}, &told[1]);
	world_run(w, 1000);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* ---- The journal knows better. ---- */

static void test_batch_mined_though_its_row_says_replaced_settles(void **state)
{
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	begin_pair(w, told);
	/* A proof whose answer got lost, and which a reorg made untrue. */
	sql(w,
		"UPDATE transactions SET state = 'replaced';"
		"UPDATE payments SET state = 'replaced'");
	w->mining = true;
	world_run(w, 4000);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
		assert_int_equal(w->payments[i].transfers, 1);
	}
	world_run(w, 4000);
	assert_true(fac_engine_is_idle(w->engine));
	world_free(w);
}

static void test_batch_revived_behind_our_back_is_followed_again(void **state)
{
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	w->config.proof_depth = 50;
	begin_pair(w, told);
	w->mining = true;
	world_run(w, 1000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	/* What revive writes for all above a nonce, also those in memory. */
	sql(w, "UPDATE transactions SET state = 'broadcast'");
	w->mining = false;
	world_reorg(w, w->head - w->txs[0].block + 1, true);
	w->mining = true;
	world_run(w, 15000);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(w->payments[i].transfers, 1);
	assert_int_equal(
		world_count(w, "SELECT sum(credited) FROM payments"), 2);
	world_free(w);
}

/* ---- A claim under way belongs to its caller. ---- */

static void test_batch_deadline_inside_a_claim_loses_no_success(void **state)
{
	struct world *w = world_new();
	struct told told;
	struct told again;

	(void)state;
	w->config.confirmations = FAC_CONFIRM_SUBMITTED;
	w->mining = false;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	while (!w->first || !w->first->verb ||
		w->first->verb->kind != FAC_VERB_CREDIT) {
		w->now_ms += 20;
		fac_engine_tick(w->engine);
		while (w->first &&
			!(w->first->verb &&
				w->first->verb->kind == FAC_VERB_CREDIT))
			world_step(w);
	}
	w->now_ms += 20000;
	fac_engine_tick(w->engine);
	world_run(w, 1000);
	world_settle(w, (struct asking){.recall = true}, &again);
	world_run(w, 1000);
	assert_int_equal((told.result.outcome == FAC_SETTLE_SETTLED) +
			(again.result.outcome == FAC_SETTLE_SETTLED),
		1);
	world_free(w);
}

/* ---- Two engines, one store. ---- */

/* Another instance over the same store and chain; w keeps the first. */
static struct fac_engine *boot_second(struct world *w)
{
	struct fac_engine *first = w->engine;
	struct fac_engine *second;

	w->owner = "second";
	world_boot(w);
	second = w->engine;
	w->engine = first;
	w->owner = "local";
	return second;
}

static void run_both(struct world *w, struct fac_engine *second, uint64_t ms)
{
	for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
		fac_engine_tick(second);
		world_run(w, 20);
		fac_engine_tick(second);
	}
}

static void free_both(struct world *w, struct fac_engine *second)
{
	world_drop_events(w);
	fac_engine_free(second);
	world_free(w);
}

/* The second takes over: the first has not renewed for too long. */
static void expire_first(struct world *w)
{
	sql(w, "UPDATE lanes SET until_ms = 0");
}

static void settle_at(struct world *w, struct fac_engine *engine,
	struct asking asking, struct told *told)
{
	struct fac_engine *first = w->engine;

	w->engine = engine;
	world_settle(w, asking, told);
	w->engine = first;
}

static void test_batch_two_engines_never_sign_one_nonce_twice(void **state)
{
	struct world *w = world_new();
	struct fac_engine *second;
	struct told told[2][8];
	unsigned refused = 0;

	(void)state;
	w->shared = true;
	world_allow_batches(w);
	world_boot(w);
	second = boot_second(w);
	run_both(w, second, 400);
	for (unsigned i = 0; i < 8; i++) {
		settle_at(w, w->engine, (struct asking){.payment = i},
			&told[0][i]);
		settle_at(
			w, second, (struct asking){.payment = i}, &told[1][i]);
		run_both(w, second, 40);
		if (i == 3)
			expire_first(w);
	}
	run_both(w, second, 12000);
	for (unsigned i = 0; i < 8; i++) {
		unsigned successes = 0;

		for (unsigned at = 0; at < 2; at++) {
			assert_int_equal(told[at][i].times, 1);
			successes += told[at][i].result.outcome ==
				FAC_SETTLE_SETTLED;
			refused += told[at][i].result.outcome ==
				FAC_SETTLE_REFUSED;
		}
		assert_int_equal(successes, 1);
		assert_int_equal(w->payments[i].transfers, 1);
	}
	assert_int_equal(refused, 0);
	assert_int_equal(world_count(w,
				 "SELECT count(*) - count(DISTINCT nonce)"
				 " FROM transactions"),
		0);
	free_both(w, second);
}

static void test_batch_lease_lost_in_flight_waits_for_the_other(void **state)
{
	struct world *w = world_new();
	struct fac_engine *second;
	struct told told[3];

	(void)state;
	w->shared = true;
	begin_pair(w, told);
	expire_first(w);
	second = boot_second(w);
	/* The second alone lives: it leases the lane and adopts the bytes. */
	for (unsigned i = 0; i < 20; i++) {
		w->now_ms += 20;
		fac_engine_tick(second);
		while (world_step(w))
			;
	}
	assert_int_equal(world_count(w,
				 "SELECT count(*) FROM lanes WHERE owner ="
				 " 'second'"),
		1);
	/* The first does not know yet; its journal is fenced. */
	world_settle(
		w, (struct asking){.payment = 2, .wait_ms = 60000}, &told[2]);
	run_both(w, second, 1000);
	w->mining = true;
	run_both(w, second, 6000);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
		assert_int_equal(w->payments[i].transfers, 1);
	}
	assert_int_equal(w->txs_len, 2);
	free_both(w, second);
}

static void test_batch_stale_check_of_a_lost_lane_ends_nothing(void **state)
{
	struct world *w = world_new();
	struct fac_engine *second;
	struct event *held = NULL;
	struct told told[2];

	(void)state;
	w->shared = true;
	w->payments[1].fails_in_company = true;
	begin_pair(w, told);
	world_mine(w);
	/* The answer to the first one's check is slow. */
	while (!held) {
		w->now_ms += 20;
		fac_engine_tick(w->engine);
		while (w->first && !held) {
			if (w->first->run == run_call &&
				w->first->raw.len == 1) {
				held = w->first;
				w->first = held->next;
				if (!w->first)
					w->last = &w->first;
			} else {
				world_step(w);
			}
		}
	}
	expire_first(w);
	second = boot_second(w);
	for (unsigned i = 0; i < 100; i++) {
		w->now_ms += 20;
		fac_engine_tick(second);
		while (world_step(w))
			;
	}
	assert_int_equal(w->txs_len, 2); /* alone, by the second */
	/* The first learns that it lost the lane, and then the answer. */
	run_both(w, second, 5000);
	held->run(held);
	event_free(held);
	run_both(w, second, 1000);
	assert_int_equal(told[1].times, 0);
	assert_int_equal(world_state(w, 1), FAC_PAYMENT_BROADCAST);
	w->mining = true;
	run_both(w, second, 4000);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->payments[1].transfers, 1);
	free_both(w, second);
}

/* ---- Crashes. ---- */

static void test_batch_survives_crashes_around_a_reorg(void **state)
{
	bool crashed = true;

	(void)state;
	for (unsigned at = 0; crashed; at++) {
		struct world *w = world_new();
		struct told told[3];
		unsigned successes = 0;

		w->payments[1].fails_in_company = true;
		begin_pair(w, told);
		world_mine(w);
		world_run(w, 300);
		world_reorg(w, 1, at % 2);
		w->mining = true;
		crashed = world_run_until_event(w, 2000, at);
		for (unsigned i = 0; i < 2; i++)
			successes += told[i].times &&
				told[i].result.outcome == FAC_SETTLE_SETTLED;
		world_crash(w);
		world_boot(w);
		world_run(w, 4000);
		for (unsigned i = 0; i < 2; i++) {
			world_settle(
				w, (struct asking){.payment = i}, &told[2]);
			world_run(w, 2500);
			successes += told[2].result.outcome ==
				FAC_SETTLE_SETTLED;
			assert_int_equal(w->payments[i].transfers, 1);
			assert_int_equal(
				world_state(w, i), FAC_PAYMENT_SETTLED);
		}
		assert_in_range(successes, 0, 2);
		assert_int_equal(
			world_count(w, "SELECT sum(credited) FROM payments"),
			2);
		for (size_t i = 0; i < w->txs_len; i++)
			assert_true(w->txs[i].mined);
		assert_true(fac_engine_is_idle(w->engine));
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_batch_waits_the_longer_the_more_is_in_flight),
		cmocka_unit_test(
			test_batch_never_waits_for_longer_than_the_window),
		cmocka_unit_test(test_batch_does_not_wait_when_an_end_is_near),
		cmocka_unit_test(
			test_batch_lying_receipt_without_the_flag_is_no_end),
		cmocka_unit_test(test_batch_pays_after_a_reorg_what_went_alone),
		cmocka_unit_test(
			test_batch_refused_one_is_settled_when_the_thief_falls),
		cmocka_unit_test(
			test_batch_mined_though_its_row_says_replaced_settles),
		cmocka_unit_test(
			test_batch_revived_behind_our_back_is_followed_again),
		cmocka_unit_test(
			test_batch_deadline_inside_a_claim_loses_no_success),
		cmocka_unit_test(
			test_batch_two_engines_never_sign_one_nonce_twice),
		cmocka_unit_test(
			test_batch_lease_lost_in_flight_waits_for_the_other),
		cmocka_unit_test(
			test_batch_stale_check_of_a_lost_lane_ends_nothing),
		cmocka_unit_test(test_batch_survives_crashes_around_a_reorg),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
