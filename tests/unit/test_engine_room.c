/*
 * No more in flight than the next blocks have room for: what is beyond that
 * waits in the journal. Payments of 100,000 gas in the scripted world of
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

/* ---- What is left of a block, in batches of 90,000 each and 60,000. ---- */

static struct world *begin_batches(
	uint64_t batch_gas, uint64_t block_gas, struct told *told, size_t len)
{
	struct world *w = world_new();

	world_allow_batches(w);
	w->config.batch_max_gas = batch_gas;
	w->mining = false;
	w->gas_limit = block_gas;
	world_boot(w);
	world_run(w, 400);
	for (unsigned i = 0; i < len; i++)
		world_settle(w, (struct asking){.payment = i, .wait_ms = 60000},
			&told[i]);
	world_run(w, 1000);
	return w;
}

static void test_room_that_is_left_takes_a_smaller_batch(void **state)
{
	struct told told[11];
	struct world *w = begin_batches(420000, 1100000, told, 11);

	(void)state;
	assert_int_equal(w->txs_len, 3);
	assert_int_equal(w->txs[0].payments_len, 4);
	assert_int_equal(w->txs[1].payments_len, 4);
	assert_int_equal(w->txs[2].payments_len, 2);
	assert_true(w->txs[2].gas_limit <= 1100000 - 2 * 420000);
	/* In their order: the last waits for the next block. */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(told[i].times, 0);
	world_mine(w);
	world_run(w, 1000);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(told[i].times, 1);
	assert_int_equal(told[10].times, 0);
	w->mining = true;
	world_run(w, 3000);
	for (unsigned i = 0; i < 11; i++) {
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
		assert_int_equal(w->payments[i].transfers, 1);
	}
	assert_true(fac_engine_is_idle(w->engine));
	world_free(w);
}

static void test_room_for_one_of_a_batch_is_left_alone(void **state)
{
	struct told told[11];
	struct world *w = begin_batches(420000, 1050000, told, 11);

	(void)state;
	assert_int_equal(w->txs_len, 2);
	world_free(w);
}

/* Two of twelve: each would pay for too much of a transaction. */
static void test_room_for_less_than_a_quarter_is_left_alone(void **state)
{
	struct told told[36];
	struct world *w = begin_batches(1140000, 2520000, told, 36);

	(void)state;
	assert_int_equal(w->txs_len, 2);
	assert_int_equal(w->txs[0].payments_len, 12);
	assert_int_equal(w->txs[1].payments_len, 12);
	world_mine(w);
	world_run(w, 1000);
	assert_int_equal(w->txs_len, 3);
	assert_int_equal(w->txs[2].payments_len, 12);
	world_free(w);
}

static void test_room_for_a_quarter_is_taken(void **state)
{
	struct told told[36];
	struct world *w = begin_batches(1140000, 2610000, told, 36);

	(void)state;
	assert_int_equal(w->txs_len, 3);
	assert_int_equal(w->txs[2].payments_len, 3);
	world_free(w);
}

static void test_room_of_two_signers_is_filled_on_both(void **state)
{
	struct told told[20];
	struct world *w = world_new();
	size_t small = 0;

	(void)state;
	world_allow_batches(w);
	w->keys_len = 2;
	w->config.batch_max_gas = 420000;
	w->mining = false;
	w->gas_limit = 1100000;
	world_boot(w);
	world_run(w, 400);
	for (unsigned i = 0; i < 20; i++)
		world_settle(w, (struct asking){.payment = i, .wait_ms = 60000},
			&told[i]);
	world_run(w, 1000);
	assert_int_equal(w->txs_len, 6);
	for (size_t i = 0; i < w->txs_len; i++)
		small += w->txs[i].payments_len == 2;
	assert_int_equal(small, 2);
	w->mining = true;
	world_run(w, 3000);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(w->payments[i].transfers, 1);
	assert_true(fac_engine_is_idle(w->engine));
	world_free(w);
}

/* How soon blocks come is known, and none is made any more. */
static struct world *begin_with_blocks(uint64_t batch_gas, uint64_t block_gas)
{
	struct world *w = begin_batches(batch_gas, block_gas, NULL, 0);

	w->mining = true;
	world_run(w, 5000);
	w->mining = false;
	return w;
}

/*
 * Of a limit of 420,000 a batch uses 170,000, and 25 thousandths more are
 * reckoned with. By their limits four would leave nothing of a block.
 */
static void test_room_is_by_gas_and_not_by_limit(void **state)
{
	struct told told[40];
	struct world *w = begin_with_blocks(420000, 1100000);

	(void)state;
	w->gas_each = 34000;
	for (unsigned i = 0; i < 40; i++)
		world_settle(w, (struct asking){.payment = i, .wait_ms = 60000},
			&told[i]);
	world_run(w, 1000);
	assert_int_equal(w->txs_len, 5);
	world_mine(w);
	world_run(w, 1000);
	/* Four are full; what they leave is filled by parts. */
	assert_int_equal(w->txs_len, 5 + 6);
	assert_int_equal(w->txs[8].payments_len, 4);
	assert_int_equal(w->txs[9].payments_len, 3);
	assert_int_equal(w->txs[10].payments_len, 1);
	world_free(w);
}

/* The block may be made before we have heard of the one before it. */
static void test_room_of_the_block_after_the_next_is_for_full_batches(
	void **state)
{
	struct told told[40];
	struct world *w = begin_with_blocks(420000, 1100000);

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		world_settle(w, (struct asking){.payment = i, .wait_ms = 60000},
			&told[i]);
	world_run(w, 1000);
	/* Five ask for no more than two blocks have; the rest waits. */
	assert_int_equal(w->txs_len, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(w->txs[i].payments_len, 4);
	w->mining = true;
	world_run(w, 6000);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
		assert_int_equal(w->payments[i].transfers, 1);
	}
	assert_true(fac_engine_is_idle(w->engine));
	world_free(w);
}

/* There it would be late, and look stuck: its fee would be raised for it. */
static void test_room_of_the_block_after_the_next_is_none_where_blocks_are_slow(
	void **state)
{
	struct told told[40];
	struct world *w = begin_batches(420000, 1100000, NULL, 0);

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		world_mine(w);
		world_run(w, 12000);
	}
	for (unsigned i = 0; i < 40; i++)
		world_settle(w, (struct asking){.payment = i, .wait_ms = 60000},
			&told[i]);
	world_run(w, 1000);
	/* Two, and a part. */
	assert_int_equal(w->txs_len, 3);
	world_free(w);
}

static bool is_dry(const struct world *w)
{
	struct fac_engine_stats stats;

	fac_engine_stats(w->engine, &stats);
	return stats.lines[0].lanes[0].dry;
}

/* Who can pay for a block's worth at a time is not called dry for more. */
static void test_room_that_cannot_be_paid_for_yet_is_not_missed(void **state)
{
	struct told told[40];
	struct world *w = begin_with_blocks(420000, 1100000);

	(void)state;
	w->mining = true;
	world_settle(w, (struct asking){.payment = 0, .wait_ms = 60000}, told);
	world_run(w, 2000);
	assert_int_equal(w->txs_len, 1);
	w->mining = false;
	w->balance = 1700000 * w->txs[0].max_fee;
	world_run(w, 60000);
	for (unsigned i = 1; i < 40; i++)
		world_settle(w, (struct asking){.payment = i, .wait_ms = 60000},
			&told[i]);
	world_run(w, 1000);
	/* Four batches could be paid for, and five have room. */
	assert_int_equal(w->txs_len, 1 + 4);
	assert_false(is_dry(w));
	w->mining = true;
	for (unsigned i = 0; i < 100; i++) {
		world_run(w, 100);
		assert_false(is_dry(w));
	}
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(w->payments[i].transfers, 1);
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
		cmocka_unit_test(test_room_that_is_left_takes_a_smaller_batch),
		cmocka_unit_test(test_room_for_one_of_a_batch_is_left_alone),
		cmocka_unit_test(
			test_room_for_less_than_a_quarter_is_left_alone),
		cmocka_unit_test(test_room_for_a_quarter_is_taken),
		cmocka_unit_test(test_room_of_two_signers_is_filled_on_both),
		cmocka_unit_test(test_room_is_by_gas_and_not_by_limit),
		cmocka_unit_test(
			test_room_of_the_block_after_the_next_is_for_full_batches),
		cmocka_unit_test(
			test_room_of_the_block_after_the_next_is_none_where_blocks_are_slow),
		cmocka_unit_test(
			test_room_that_cannot_be_paid_for_yet_is_not_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
