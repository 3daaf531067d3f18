/*
 * What one payer, a slow store or a deep reorg may do to all the others, in
 * the scripted world of engine_house.h: answers that come twice, gas that is
 * burned, balances that are promised again and again, transactions that no
 * node would take.
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

static void step_all(struct world *w)
{
	while (world_step(w))
		;
}

static bool is_queued(const struct world *w, enum fac_verb_kind kind)
{
	for (const struct event *e = w->first; e; e = e->next)
		if (e->verb && e->verb->kind == kind)
			return true;
	return false;
}

/* Ask for the payments from first on, and sign them together. */
static void begin_together(
	struct world *w, struct told *told, unsigned first, unsigned len)
{
	for (unsigned i = first; i < first + len; i++)
		world_settle(w, (struct asking){.payment = i, .wait_ms = 90000},
			&told[i]);
	world_run(w, 400);
}

static struct world *world_with_company(void)
{
	struct world *w = world_new();

	world_allow_batches(w);
	w->mining = false;
	return w;
}

/* ---- A store that is slow. ---- */

/* Stops before the first question about a payment's authorization. */
static struct event *hold_check(struct world *w)
{
	struct event *held = NULL;

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
	return held;
}

/*
 * The transaction's end and that of a payment in it could not be written, and
 * are asked for again while the store takes its time: the payment's end is
 * answered twice, and it must not be queued twice.
 */
static void test_abuse_end_that_is_answered_twice_is_signed_once(void **state)
{
	struct world *w = world_with_company();
	struct event *held;
	struct told told[2];

	(void)state;
	w->payments[1].fails_in_company = true;
	world_boot(w);
	world_run(w, 200);
	begin_together(w, told, 0, 2);
	assert_int_equal(w->txs_len, 1);
	world_mine(w);
	w->fault_verb = FAC_VERB_MARK_MINED;
	w->store_faults = 1;
	held = hold_check(w);
	step_all(w);
	assert_int_equal(w->store_faults, 0);
	w->now_ms += 20;
	fac_engine_tick(w->engine);
	w->fault_verb = FAC_VERB_FINISH;
	w->store_faults = 1;
	held->run(held);
	event_free(held);
	step_all(w);
	assert_int_equal(w->store_faults, 0);
	for (unsigned i = 0; i < 20 && !is_queued(w, FAC_VERB_FINISH); i++) {
		w->now_ms += 20;
		fac_engine_tick(w->engine);
	}
	assert_true(is_queued(w, FAC_VERB_MARK_MINED));
	assert_true(is_queued(w, FAC_VERB_FINISH));
	step_all(w);
	w->mining = true;
	world_run(w, 4000);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
		assert_int_equal(w->payments[i].transfers, 1);
	}
	assert_int_equal(w->txs_len, 2);
	assert_true(fac_engine_is_idle(w->engine));
	world_free(w);
}

/* PostgreSQL may commit and die before it says so. */
static void test_abuse_success_whose_record_is_in_doubt_is_told(void **state)
{
	struct world *w = world_new();
	struct told told;
	struct told again;

	(void)state;
	world_boot(w);
	w->fault_verb = FAC_VERB_CREDIT;
	w->store_faults = 2;
	w->fault_is_durable = true;
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 3000);
	assert_int_equal(w->store_faults, 0);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	/* And nobody is told a second time. */
	world_settle(w, (struct asking){.recall = true}, &again);
	world_run(w, 1000);
	assert_int_equal(again.result.outcome, FAC_SETTLE_DUPLICATE);
	world_free(w);
}

static void test_abuse_success_that_cannot_be_recorded_is_told_later(
	void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	w->fault_verb = FAC_VERB_CREDIT;
	w->store_faults = 1000;
	world_settle(w, (struct asking){.wait_ms = 3000}, &told);
	world_run(w, 4000);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	assert_int_equal(strlen(told.result.transaction), 66);
	assert_true(fac_engine_is_idle(w->engine));
	w->store_faults = 0;
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 1000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* ---- What nodes would not take. ---- */

#define MANY 60

static void begin_many(struct world *w, struct told *told)
{
	w->gas_limit = 150000000; /* half of it is no ceiling */
	w->balance = UINT64_C(10000000000000000000);
	w->config.batch_payment_gas = 400000;
	w->config.batch_max_gas = 100000000;
	world_boot(w);
	world_run(w, 200);
	for (unsigned i = 0; i < MANY; i++)
		world_settle(w,
			(struct asking){.payment = i,
				.wait_ms = 90000,
				.gas_limit = 400000},
			&told[i]);
	world_run(w, 1000);
}

static void test_abuse_batch_is_never_above_the_gas_of_a_transaction(
	void **state)
{
	struct world *w = world_with_company();
	struct told told[MANY];

	(void)state;
	begin_many(w, told);
	assert_int_equal(w->txs_len, 2);
	for (size_t i = 0; i < w->txs_len; i++)
		assert_in_range(w->txs[i].gas_limit, 1, 1 << 24);
	assert_int_equal(w->txs[0].payments_len + w->txs[1].payments_len, MANY);
	world_free(w);
}

static void test_abuse_batch_never_costs_more_than_half_a_coin(void **state)
{
	struct world *w = world_with_company();
	struct told told[MANY];
	size_t payments = 0;

	(void)state;
	w->base_fee = UINT64_C(50000000000); /* 50 gwei, so 100 are bid */
	begin_many(w, told);
	for (size_t i = 0; i < w->txs_len; i++) {
		/* Gas of half a coin at 100 gwei. */
		assert_in_range(w->txs[i].gas_limit, 1, 5000000);
		payments += w->txs[i].payments_len;
	}
	assert_int_equal(payments, MANY);
	world_free(w);
}

/* ---- One that is late behind one that is not. ---- */

static void test_abuse_late_payment_in_the_queue_is_not_sent(void **state)
{
	struct world *w = world_with_company();
	struct told told[2];

	(void)state;
	w->config.max_fee_per_gas = x402_u256_from_u64(22);
	w->payments[1].valid_before = WORLD_START_S + 20;
	world_boot(w);
	world_run(w, 200);
	w->base_fee = 1000;
	run_blocks(w, 3);
	world_settle(
		w, (struct asking){.payment = 0, .wait_ms = 90000}, &told[0]);
	/* Alone, so that it would go before the other. */
	world_settle(w,
		(struct asking){.payment = 1, .wait_ms = 90000, .alone = true},
		&told[1]);
	run_blocks(w, 30);
	w->base_fee = 10;
	run_blocks(w, 6);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(told[1].result.reason, X402_REASON_EVM_VALID_BEFORE);
	assert_int_equal(world_state(w, 1), FAC_PAYMENT_CANCELLED);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->txs_len, 1);
	world_free(w);
}

/* ---- More promised than there is. ---- */

static void test_abuse_what_would_fail_alone_is_sent_once(void **state)
{
	struct world *w = world_with_company();
	struct told told[8];

	(void)state;
	/* A payer with the balance for two of them. */
	for (unsigned i = 2; i < 8; i++)
		w->payments[i].fails = true;
	world_boot(w);
	world_run(w, 200);
	begin_together(w, told, 0, 8);
	assert_int_equal(w->txs_len, 1);
	run_blocks(w, 8);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].result.outcome,
			i < 2 ? FAC_SETTLE_SETTLED : FAC_SETTLE_REFUSED);
		/* R3: with the hash of what failed. */
		assert_int_equal(strlen(told[i].result.transaction), 66);
	}
	assert_int_equal(w->simulations, 6);
	assert_int_equal(w->txs_len, 1);
	world_free(w);
}

static void test_abuse_unanswered_simulation_ends_nothing(void **state)
{
	struct world *w = world_with_company();
	struct told told[2];

	(void)state;
	w->payments[1].fails_in_company = true;
	world_boot(w);
	world_run(w, 200);
	begin_together(w, told, 0, 2);
	world_mine(w);
	for (unsigned i = 0; i < 10000 &&
		(!w->first || w->first->run != run_call ||
			w->first->raw.len != 2);
		i++) {
		if (!world_step(w)) {
			w->now_ms += 20;
			fac_engine_tick(w->engine);
		}
	}
	w->chain_faults = 1;
	step_all(w);
	assert_int_equal(w->chain_faults, 0);
	assert_int_equal(world_state(w, 1), FAC_PAYMENT_BROADCAST);
	w->mining = true;
	world_run(w, 3000);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->payments[1].transfers, 1);
	world_free(w);
}

/* ---- More callers than can be told. ---- */

static void test_abuse_one_caller_too_many_is_told_to_come_again(void **state)
{
	struct world *w = world_with_company();
	struct told told[5];

	(void)state;
	w->max_waiters = 3;
	world_boot(w);
	world_run(w, 200);
	begin_together(w, told, 0, 5);
	for (unsigned i = 3; i < 5; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_FAULT);
		/* It may have been here before: R3. */
		assert_null(strstr(told[i].result.message, "nothing was sent"));
	}
	w->mining = true;
	world_run(w, 2000);
	/* There is room again. */
	world_settle(w, (struct asking){.payment = 4}, &told[4]);
	world_run(w, 2000);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(told[i].result.outcome,
			i == 3 ? FAC_SETTLE_FAULT : FAC_SETTLE_SETTLED);
	world_free(w);
}

/* ---- What may be spent (F4). ---- */

static void test_abuse_costly_payment_is_refused_until_gas_is_cheap(
	void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.max_payment_cost_gwei = 1000;
	w->base_fee = UINT64_C(20000000); /* 2,000 gwei for 100,000 gas */
	world_boot(w);
	world_run(w, 500);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 500);
	assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
	assert_non_null(strstr(told.result.message, "nothing was sent"));
	assert_int_equal(world_count(w, "SELECT count(*) FROM payments"), 0);
	w->base_fee = 10;
	world_run(w, 5000);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 2000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

static void test_abuse_day_that_is_spent_sends_nothing_more(void **state)
{
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	/* Receipts say 100,000 gas at a gwei. */
	w->config.limits.total_gwei = 100000;
	world_boot(w);
	world_run(w, 500);
	world_settle(w, (struct asking){.payment = 0}, &told[0]);
	world_run(w, 2000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	world_settle(w, (struct asking){.payment = 1}, &told[1]);
	world_run(w, 2000);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_FAULT);
	assert_non_null(strstr(told[1].result.message,
		"ceiling of 100000 gwei a day: 100001 spent"));
	assert_int_equal(w->payments[1].transfers, 0);
	assert_int_equal(w->txs_len, 1);
	world_free(w);
}

/* ---- Gas that somebody burned. ---- */

static uint64_t gas_of_pair(struct world *w, struct told *told, unsigned first)
{
	begin_together(w, told, first, 2);
	assert_int_equal(w->txs[w->txs_len - 1].payments_len, 2);
	return w->txs[w->txs_len - 1].gas_limit;
}

static void test_abuse_burned_gas_is_not_held_against_all(void **state)
{
	struct world *w = world_with_company();
	struct told told[40];
	uint64_t usual;

	(void)state;
	w->config.batch_payment_gas = 90000;
	w->gas_each = 20000;
	w->payments[1].fails = true;
	world_boot(w);
	world_run(w, 200);
	w->burns_gas = true;
	for (unsigned i = 0; i < 40; i++)
		w->payments[i].valid_before = WORLD_START_S + 6000;
	usual = 60000 + 2 * 90000;
	/* A payer burns all of it: the next one has more... */
	assert_int_equal(gas_of_pair(w, told, 0), usual);
	run_blocks(w, 6);
	w->burns_gas = false;
	assert_true(gas_of_pair(w, told, 2) > usual);
	run_blocks(w, 4);
	/* ... and after a while as much as before. */
	for (unsigned i = 4; i < 38; i += 2) {
		(void)gas_of_pair(w, told, i);
		run_blocks(w, 4);
	}
	assert_int_equal(gas_of_pair(w, told, 38), usual);
	world_free(w);
}

/* ---- Deeper than final. ---- */

static void test_abuse_deep_reorg_sends_the_bytes_that_are_left(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->mining = false;
	world_boot(w);
	world_run(w, 200);
	world_settle(w, (struct asking){.wait_ms = 90000}, &told);
	world_run(w, 300);
	/* Raised; no node takes that, and the first attempt lands. */
	w->base_fee = 30;
	w->send_status = FAC_SEND_UNDERPRICED;
	run_blocks(w, 5);
	assert_true(world_count(w, "SELECT count(*) FROM attempts") > 1);
	w->base_fee = 10;
	run_blocks(w, 10);
	w->send_status = -1;
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(world_count(w,
				 "SELECT count(*) FROM transactions"
				 " WHERE state = 'final'"),
		1);
	world_crash(w);
	world_reorg(w, w->head - w->txs[0].block + 1, true);
	for (unsigned at = 0; at < 2; at++) {
		/* Revived, and once more from the journal. */
		world_boot(w);
		world_run(w, 2000);
		world_crash(w);
	}
	world_boot(w);
	run_blocks(w, 12);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

/*
 * What would be done after its caller has left is not begun: each of its steps
 * would be undone again, and keep others waiting until they leave too.
 */
static void test_abuse_what_the_store_is_too_late_for_is_not_begun(void **state)
{
	static const struct {
		uint64_t lag_ms;
		uint64_t wait_ms;
		bool refused;
	} cases[] = {{10000, 25000, true}, {6300, 25000, true},
		{6200, 25000, false}, {600, 2000, true}, {500, 1000, false},
		{0, 1000, false}};
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	world_run(w, 400);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		w->store_lag_ms = cases[i].lag_ms;
		world_settle(w,
			(struct asking){
				.payment = i, .wait_ms = cases[i].wait_ms},
			&told);
		assert_int_equal(
			is_queued(w, FAC_VERB_RESERVE), !cases[i].refused);
		w->store_lag_ms = 0;
		world_run(w, 1000);
		if (!cases[i].refused) {
			assert_int_equal(
				told.result.outcome, FAC_SETTLE_SETTLED);
			continue;
		}
		assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
		assert_non_null(strstr(told.result.message, "ask again"));
		/* The same bytes, when it has caught up. */
		world_settle(w, (struct asking){.payment = i}, &told);
		world_run(w, 1000);
		assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	}
	world_free(w);
}

/* Whoever waits for what is under way already costs the store nothing. */
static void test_abuse_late_store_keeps_nobody_from_work_under_way(void **state)
{
	struct world *w = world_new();
	struct told first;
	struct told again;

	(void)state;
	w->mining = false;
	world_boot(w);
	world_run(w, 400);
	world_settle(w, (struct asking){.wait_ms = 1500}, &first);
	world_run(w, 2000);
	assert_int_equal(first.result.outcome, FAC_SETTLE_PENDING);
	w->store_lag_ms = 60000;
	world_settle(w, (struct asking){.wait_ms = 5000}, &again);
	w->mining = true;
	world_run(w, 1000);
	assert_int_equal(again.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_abuse_end_that_is_answered_twice_is_signed_once),
		cmocka_unit_test(
			test_abuse_success_whose_record_is_in_doubt_is_told),
		cmocka_unit_test(
			test_abuse_success_that_cannot_be_recorded_is_told_later),
		cmocka_unit_test(
			test_abuse_batch_is_never_above_the_gas_of_a_transaction),
		cmocka_unit_test(
			test_abuse_batch_never_costs_more_than_half_a_coin),
		cmocka_unit_test(
			test_abuse_late_payment_in_the_queue_is_not_sent),
		cmocka_unit_test(test_abuse_what_would_fail_alone_is_sent_once),
		cmocka_unit_test(test_abuse_unanswered_simulation_ends_nothing),
		cmocka_unit_test(
			test_abuse_one_caller_too_many_is_told_to_come_again),
		cmocka_unit_test(
			test_abuse_what_the_store_is_too_late_for_is_not_begun),
		cmocka_unit_test(
			test_abuse_late_store_keeps_nobody_from_work_under_way),
		cmocka_unit_test(
			test_abuse_costly_payment_is_refused_until_gas_is_cheap),
		cmocka_unit_test(
			test_abuse_day_that_is_spent_sends_nothing_more),
		cmocka_unit_test(test_abuse_burned_gas_is_not_held_against_all),
		cmocka_unit_test(
			test_abuse_deep_reorg_sends_the_bytes_that_are_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
