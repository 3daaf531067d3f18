/*
 * Too late: what may be said of a payment whose validBefore comes before its
 * end, in the scripted world of engine_house.h; and what a store that fails
 * at the wrong moment leaves behind.
 */
#include "engine_house.h"

/* As many blocks, as far apart as they say. */
static void run_blocks(struct world *w, unsigned blocks)
{
	while (blocks--) {
		world_run(w, 1000);
		world_mine(w);
	}
}

static void sql(struct world *w, const char *text)
{
	if (sqlite3_exec(w->db.sqlite, text, NULL, NULL, NULL))
		fail_msg("%s: %s", text, sqlite3_errmsg(w->db.sqlite));
}

/* ---- The proof that nothing landed. ---- */

static void test_late_node_that_lags_proves_no_expiry(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->mining = false;
	w->payments[0].valid_before = WORLD_START_S + 20;
	w->send_status = FAC_SEND_UNDERPRICED; /* no node takes ours */
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 90000}, &told);
	run_blocks(w, 5);
	world_preempt(w, 0); /* a stranger lands it in time */
	run_blocks(w, 5);
	/* State is asked of a node that has not seen it. */
	w->call_lag = 30;
	run_blocks(w, 30);
	assert_int_equal(told.times, 0);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_SIGNED);
	w->call_lag = 0;
	run_blocks(w, 5);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_non_null(strstr(told.result.transaction, "0x00dddd"));
	world_free(w);
}

/*
 * Permit2 takes the second of its deadline: with a block of that second deep
 * in the chain, the next one may have the same and pay.
 */
static void end_at_its_second(bool permit2)
{
	struct world *w = world_new();
	struct told told;

	w->mining = false;
	w->payments[0].valid_before = WORLD_START_S + 20;
	w->send_status = FAC_SEND_UNDERPRICED;
	world_boot(w);
	world_settle(w,
		(struct asking){
			.wait_ms = 90000, .alone = true, .permit2 = permit2},
		&told);
	while (w->head < 20 + w->config.proof_depth)
		run_blocks(w, 1);
	world_run(w, 8000);
	assert_int_equal(told.times, permit2 ? 0 : 1);
	run_blocks(w, 1);
	world_run(w, 8000);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(told.result.reason,
		permit2 ? X402_REASON_PERMIT2_DEADLINE_EXPIRED
			: X402_REASON_EVM_VALID_BEFORE);
	world_free(w);
}

static void test_late_permit2_lives_through_its_last_second(void **state)
{
	(void)state;
	end_at_its_second(true);
	end_at_its_second(false);
}

/*
 * Payment 0 was signed; another took its nonce. It cannot be signed anew, for
 * the chain asks for more than the ceiling, until it is too late.
 */
static void wait_until_late(struct world *w, struct told *told)
{
	w->mining = false;
	w->payments[0].valid_before = WORLD_START_S + 60;
	world_boot(w);
	world_run(w, 100);
	world_steal_nonce(w, 0);
	world_mine(w);
	world_settle(w, (struct asking){.wait_ms = 200000}, told);
	run_blocks(w, 1);
	w->base_fee = 1000;
	run_blocks(w, 40);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_REPLACED);
	assert_int_equal(told->times, 0);
}

static struct world *world_with_ceiling(void)
{
	struct world *w = world_new();

	w->config.max_fee_per_gas = x402_u256_from_u64(22);
	return w;
}

static void test_late_replaced_payment_that_a_stranger_lands_is_settled(
	void **state)
{
	struct world *w = world_with_ceiling();
	struct told told;

	(void)state;
	wait_until_late(w, &told);
	run_blocks(w, 14); /* we would sign nothing any more */
	world_preempt(w, 0);
	run_blocks(w, 30);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_non_null(strstr(told.result.transaction, "0x00dddd"));
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

static void test_late_replaced_payment_is_refused_when_it_is_over(void **state)
{
	struct world *w = world_with_ceiling();
	struct told told;

	(void)state;
	wait_until_late(w, &told);
	/* Over by the head, and not yet deep. */
	run_blocks(w, 19);
	assert_int_equal(told.times, 0);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_REPLACED);
	run_blocks(w, 10);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(told.result.reason, X402_REASON_EVM_VALID_BEFORE);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_EXPIRED);
	world_free(w);
}

static void test_late_replaced_payment_ends_after_a_crash_too(void **state)
{
	struct world *w = world_with_ceiling();
	struct told told;

	(void)state;
	wait_until_late(w, &told);
	world_crash(w);
	sql(w,
		"UPDATE instances SET until_ms = 0;"
		"UPDATE lanes SET until_ms = 0");
	w->owner = "another";
	world_boot(w);
	run_blocks(w, 45);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_EXPIRED);
	world_free(w);
}

/* ---- What must not be given to two. ---- */

static void test_late_nonce_that_is_not_durable_is_kept(void **state)
{
	struct world *w = world_new();
	struct told told[3];

	(void)state;
	w->mining = false;
	world_boot(w);
	world_run(w, 100);
	w->store_faults = 1;
	w->fault_verb = FAC_VERB_JOURNAL_SIGNED;
	/* Its write fails, and is repeated later. */
	world_settle(w, (struct asking){.payment = 0, .wait_ms = 90}, &told[0]);
	world_settle(w, (struct asking){.payment = 1}, &told[1]);
	while (w->txs_len == 0 &&
		world_count(w,
			"SELECT count(*) FROM payments"
			" WHERE state = 'reserved'") < 2)
		world_step(w);
	/* The journal refuses the second: nonces are counted again. */
	sql(w,
		"UPDATE payments SET owner = 'x' WHERE key = (SELECT max(key)"
		" FROM payments)");
	world_run(w, 60);
	sql(w, "UPDATE payments SET owner = 'local'");
	world_settle(w, (struct asking){.payment = 2}, &told[2]);
	world_run(w, 3000);
	w->mining = true;
	world_run(w, 6000);
	/* The hash that the first was told is the one that paid. */
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_PENDING);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_SETTLED);
	assert_int_equal(told[2].result.outcome, FAC_SETTLE_SETTLED);
	{
		struct fac_payment row;

		world_row(w, 0, &row);
		assert_string_equal(
			row.transaction, told[0].result.transaction);
		fac_payment_clear(&row);
	}
	world_free(w);
}

static void test_late_reservation_that_was_durable_is_given_up(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	/* No lane is ours, so nothing is taken over here. */
	w->shared = true;
	world_boot(w);
	world_run(w, 100);
	sql(w, "UPDATE lanes SET owner = 'x', until_ms = 1 << 60");
	world_run(w, 6000);
	w->store_faults = 1;
	w->fault_verb = FAC_VERB_RESERVE;
	w->fault_is_durable = true;
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 100);
	assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
	assert_non_null(strstr(told.result.message, "nothing was sent"));
	world_run(w, 2000);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_CANCELLED);
	assert_int_equal(w->txs_len, 0);
	world_free(w);
}

/* ---- Ending in the middle. ---- */

static void test_late_end_while_fees_are_raised_leaks_nothing(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	world_run(w, 200);
	w->mining = false;
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 300);
	w->base_fee = 30;
	w->store_faults = 1000;
	w->fault_verb = FAC_VERB_JOURNAL_ATTEMPT;
	world_mine(w);
	world_run(w, 8000);
	assert_true(w->store_faults < 1000); /* it is being raised */
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_node_that_lags_proves_no_expiry),
		cmocka_unit_test(
			test_late_permit2_lives_through_its_last_second),
		cmocka_unit_test(
			test_late_replaced_payment_that_a_stranger_lands_is_settled),
		cmocka_unit_test(
			test_late_replaced_payment_is_refused_when_it_is_over),
		cmocka_unit_test(
			test_late_replaced_payment_ends_after_a_crash_too),
		cmocka_unit_test(test_late_nonce_that_is_not_durable_is_kept),
		cmocka_unit_test(
			test_late_reservation_that_was_durable_is_given_up),
		cmocka_unit_test(
			test_late_end_while_fees_are_raised_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
