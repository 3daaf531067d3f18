/*
 * No more in flight than a block has room for: what a full block leaves over
 * is forgotten by some nodes. Payments of 100,000 gas in the scripted world of
 * engine_house.h.
 */
#include "engine_house.h"

#define PAYMENTS 5

static void settle_all(struct world *w, struct told told[PAYMENTS])
{
	world_boot(w);
	world_run(w, 400);
	for (unsigned i = 0; i < PAYMENTS; i++)
		world_settle(w, (struct asking){.payment = i, .wait_ms = 60000},
			&told[i]);
	world_run(w, 400);
}

static void assert_all_settled(struct world *w, struct told told[PAYMENTS])
{
	for (unsigned i = 0; i < PAYMENTS; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
		assert_int_equal(w->payments[i].transfers, 1);
	}
	assert_true(fac_engine_is_idle(w->engine));
}

static void test_room_is_one_blocks_and_the_next_block_makes_more(void **state)
{
	struct world *w = world_new();
	struct told told[PAYMENTS];

	(void)state;
	w->mining = false;
	w->gas_limit = 250000;
	settle_all(w, told);
	assert_int_equal(w->txs_len, 2);
	world_mine(w);
	world_run(w, 400);
	assert_int_equal(w->txs_len, 4);
	world_mine(w);
	world_run(w, 400);
	assert_int_equal(w->txs_len, 5);
	world_mine(w);
	world_run(w, 1000);
	assert_all_settled(w, told);
	world_free(w);
}

static void test_room_too_small_for_any_lets_one_go_at_a_time(void **state)
{
	struct world *w = world_new();
	struct told told[PAYMENTS];

	(void)state;
	w->mining = false;
	w->gas_limit = 50000;
	settle_all(w, told);
	for (unsigned i = 1; i <= PAYMENTS; i++) {
		assert_int_equal(w->txs_len, i);
		world_mine(w);
		world_run(w, 400);
	}
	world_run(w, 1000);
	assert_all_settled(w, told);
	world_free(w);
}

static void test_room_is_free_before_confirmations_are_there(void **state)
{
	struct world *w = world_new();
	struct told told[PAYMENTS];

	(void)state;
	w->mining = false;
	w->gas_limit = 250000;
	w->config.confirmations = 6;
	settle_all(w, told);
	for (unsigned i = 0; i < 2; i++) {
		world_mine(w);
		world_run(w, 400);
	}
	assert_int_equal(w->txs_len, PAYMENTS);
	for (unsigned i = 0; i < PAYMENTS; i++)
		assert_int_equal(told[i].times, 0);
	w->mining = true;
	world_run(w, 3000);
	assert_all_settled(w, told);
	world_free(w);
}

static void test_room_is_free_before_receipts_come(void **state)
{
	struct world *w = world_new();
	struct told told[PAYMENTS];

	(void)state;
	w->mining = false;
	w->names = true;
	w->gas_limit = 250000;
	settle_all(w, told);
	w->receipt_faults = 1000;
	for (unsigned i = 0; i < 2; i++) {
		world_mine(w);
		world_run(w, 400);
	}
	assert_int_equal(w->txs_len, PAYMENTS);
	/* Named in a block, but no receipt: nobody is told anything. */
	for (unsigned i = 0; i < PAYMENTS; i++)
		assert_int_equal(told[i].times, 0);
	w->receipt_faults = 0;
	w->mining = true;
	world_run(w, 3000);
	assert_all_settled(w, told);
	world_free(w);
}

static void test_room_of_one_signer_is_not_anothers(void **state)
{
	struct world *w = world_new();
	struct told told[PAYMENTS];

	(void)state;
	w->keys_len = 2;
	w->mining = false;
	w->gas_limit = 250000;
	settle_all(w, told);
	assert_int_equal(w->txs_len, 4);
	w->mining = true;
	world_run(w, 3000);
	assert_all_settled(w, told);
	world_free(w);
}

static void test_room_after_a_reorg_is_as_before(void **state)
{
	struct world *w = world_new();
	struct told told[PAYMENTS];

	(void)state;
	w->mining = false;
	w->gas_limit = 250000;
	settle_all(w, told);
	world_mine(w);
	world_run(w, 400);
	world_reorg(w, 1, true);
	w->mining = true;
	world_run(w, 20000);
	for (unsigned i = 0; i < PAYMENTS; i++)
		assert_int_equal(w->payments[i].transfers, 1);
	assert_true(fac_engine_is_idle(w->engine));
	world_free(w);
}

static void test_room_that_never_comes_refuses_who_is_late(void **state)
{
	struct world *w = world_new();
	struct told told[PAYMENTS];

	(void)state;
	w->mining = false;
	w->gas_limit = 250000;
	w->payments[2].valid_before = WORLD_START_S + 30;
	settle_all(w, told);
	world_run(w, 30000);
	assert_int_equal(told[2].times, 1);
	assert_int_equal(told[2].result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(told[3].times, 0);
	/* Fees were raised, but no third nonce was taken. */
	assert_int_equal(
		world_count(w, "SELECT count(*) FROM transactions"), 2);
	world_free(w);
}

/* Nodes refuse transactions of 128 KiB. */
static void test_room_in_a_transaction_is_its_bytes_too(void **state)
{
	struct world *w = world_new();
	struct told told[PAYMENTS];

	(void)state;
	world_allow_batches(w);
	w->mining = false;
	world_boot(w);
	world_run(w, 400);
	for (unsigned i = 0; i < PAYMENTS; i++)
		world_settle(w,
			(struct asking){.payment = i,
				.wait_ms = 60000,
				.more_bytes = 40000},
			&told[i]);
	world_run(w, 1000);
	assert_int_equal(w->txs_len, 3);
	assert_int_equal(w->txs[0].payments_len, 2);
	assert_int_equal(w->txs[1].payments_len, 2);
	assert_int_equal(w->txs[2].payments_len, 1);
	w->mining = true;
	world_run(w, 3000);
	assert_all_settled(w, told);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_room_is_one_blocks_and_the_next_block_makes_more),
		cmocka_unit_test(
			test_room_too_small_for_any_lets_one_go_at_a_time),
		cmocka_unit_test(
			test_room_is_free_before_confirmations_are_there),
		cmocka_unit_test(test_room_is_free_before_receipts_come),
		cmocka_unit_test(test_room_of_one_signer_is_not_anothers),
		cmocka_unit_test(test_room_after_a_reorg_is_as_before),
		cmocka_unit_test(
			test_room_that_never_comes_refuses_who_is_late),
		cmocka_unit_test(test_room_in_a_transaction_is_its_bytes_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
