/*
 * What becomes of a transaction after it was sent, against the scripted world
 * of engine_house.h: fees that rise, blocks that fall, strangers who land our
 * payments, signers that run dry, and how deep is deep enough.
 */
#include "engine_house.h"

/* ---- Company. ---- */

static void test_fate_company_is_judged_one_by_one(void **state)
{
	struct world *w = world_new();
	struct told told[6];

	(void)state;
	world_allow_batches(w);
	w->payments[3].fails_in_company = true;
	w->payments[4].fails = true;
	w->mining = false;
	world_boot(w);
	world_run(w, 200);
	for (unsigned i = 0; i < 6; i++)
		world_settle(w, (struct asking){.payment = i}, &told[i]);
	world_run(w, 400);
	assert_int_equal(w->txs_len, 1);
	assert_int_equal(w->txs[0].payments_len, 6);
	w->mining = true;
	world_run(w, 6000);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(told[i].result.outcome,
			i == 4 ? FAC_SETTLE_REFUSED : FAC_SETTLE_SETTLED);
	/* The others paid in the first one; one went once more, alone... */
	assert_int_equal(w->txs_len, 2);
	assert_false(w->txs[1].batch);
	assert_int_equal(w->txs[1].payments[0], 3);
	/* ... and the other would have failed alone, too. */
	assert_int_equal(w->simulations, 2);
	assert_int_equal(w->payments[3].transfers, 1);
	assert_int_equal(w->payments[4].transfers, 0);
	world_free(w);
}

static void test_fate_strange_tokens_and_wallets_go_alone(void **state)
{
	struct world *w = world_new();
	struct told told[4];

	(void)state;
	world_allow_batches(w);
	w->mining = false;
	world_boot(w);
	world_run(w, 200);
	for (unsigned i = 0; i < 4; i++)
		world_settle(w, (struct asking){.payment = i, .alone = i < 2},
			&told[i]);
	world_run(w, 400);
	assert_int_equal(w->txs_len, 3); /* two alone, two together */
	world_free(w);
	w = world_new();
	w->has_multicall = true; /* and no token is allowed */
	w->mining = false;
	world_boot(w);
	world_run(w, 200);
	for (unsigned i = 0; i < 4; i++)
		world_settle(w, (struct asking){.payment = i}, &told[i]);
	world_run(w, 400);
	assert_int_equal(w->txs_len, 4);
	world_free(w);
}

/* ---- Fees. ---- */

static void test_fate_stuck_transaction_is_raised_and_pays_once(void **state)
{
	struct world *w = world_new();
	struct fac_engine_stats stats;
	struct told told;

	(void)state;
	world_boot(w);
	world_run(w, 200);
	w->mining = false;
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 300);
	assert_int_equal(w->txs_len, 1);
	/* Three times what it was: twice is what we gave. */
	w->base_fee = 30;
	w->mining = true;
	world_run(w, 8000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->txs_len, 2);
	assert_int_equal(w->txs[1].nonce, w->txs[0].nonce);
	assert_true(w->txs[0].gone);
	assert_int_equal(w->payments[0].transfers, 1);
	fac_engine_stats(w->engine, &stats);
	assert_int_equal(stats.fee_raises, 1);
	world_free(w);
}

static void test_fate_ceiling_ends_the_raising(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.max_fee_per_gas = x402_u256_from_u64(22);
	world_boot(w);
	world_run(w, 200);
	w->mining = false;
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 300);
	w->base_fee = 30;
	w->mining = true;
	world_run(w, 20000);
	assert_int_equal(told.times, 0);
	assert_int_equal(w->txs_len, 1); /* nothing above the ceiling */
	w->base_fee = 10;
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* ---- Forgetful mempools. ---- */

static void test_fate_forgotten_transaction_is_sent_again_in_blocks(
	void **state)
{
	struct world *w = world_new();
	struct told told[4];

	(void)state;
	world_boot(w);
	world_run(w, 200);
	w->mining = false;
	for (unsigned i = 0; i < 4; i++) {
		world_settle(w, (struct asking){.payment = i, .wait_ms = 60000},
			&told[i]);
		world_run(w, 300);
	}
	assert_int_equal(w->txs_len, 4);
	w->txs[0] = w->txs[3]; /* all but the highest nonce are forgotten */
	w->txs_len = 1;
	w->mining = true;
	world_run(w, 600); /* six blocks: all at once, not one after another */
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
		assert_int_equal(w->payments[i].transfers, 1);
	}
	world_free(w);
}

static void test_fate_low_fee_is_not_sent_again_for_each_block(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.max_fee_per_gas = x402_u256_from_u64(22);
	world_boot(w);
	world_run(w, 200);
	w->mining = false;
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 300);
	w->base_fee = 30;
	w->mining = true;
	w->sends = 0;
	world_run(w, 12000);
	assert_in_range(w->sends, 1, 6);
	world_free(w);
}

/* ---- Reorgs. ---- */

static void reorg_after_success(bool lost)
{
	struct world *w = world_new();
	struct fac_engine_stats stats;
	struct told told;

	w->config.proof_depth = 20;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 600);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	w->mining = false;
	world_reorg(w, w->head - w->txs[0].block + 1, lost);
	world_run(w, 3000);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_BROADCAST);
	/* Told once, and never again. */
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 500);
	assert_int_equal(told.result.outcome, FAC_SETTLE_DUPLICATE);
	w->mining = true;
	world_run(w, 6000);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_SETTLED);
	assert_int_equal(w->payments[0].transfers, 1);
	assert_int_equal(w->txs_len, 1); /* the same bytes */
	fac_engine_stats(w->engine, &stats);
	assert_int_equal(stats.reorged, 1);
	assert_int_equal(stats.credited_dropped, 0);
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 500);
	assert_int_equal(told.result.outcome, FAC_SETTLE_DUPLICATE);
	world_free(w);
}

static void test_fate_reorg_puts_a_settled_payment_back_to_work(void **state)
{
	(void)state;
	reorg_after_success(false);
	reorg_after_success(true); /* and the mempool forgot it */
}

static void test_fate_reorg_across_a_crash_is_followed(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.proof_depth = 20;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 600);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_crash(w);
	world_reorg(w, w->head - w->txs[0].block + 1, true);
	world_boot(w);
	world_run(w, 8000);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_SETTLED);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

/* ---- Callers who come while the journal is being read. ---- */

static void test_fate_caller_amid_recovery_meets_its_payment(void **state)
{
	(void)state;
	for (unsigned events = 0; events < 24; events++) {
		struct world *w = world_new();
		struct told told;

		w->mining = false;
		world_boot(w);
		world_settle(w, (struct asking){0}, &told);
		world_run(w, 400);
		assert_int_equal(w->txs_len, 1);
		world_crash(w);
		world_boot(w);
		(void)world_run_until_event(w, 200, events);
		world_settle(w, (struct asking){0}, &told);
		w->mining = true;
		world_run(w, 6000);
		assert_int_equal(told.times, 1);
		assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
		assert_int_equal(world_state(w, 0), FAC_PAYMENT_SETTLED);
		assert_int_equal(w->txs_len, 1);
		world_free(w);
	}
}

/* ---- Strangers. ---- */

static void test_fate_landed_by_a_stranger_is_credited_once(void **state)
{
	struct world *w = world_new();
	struct fac_engine_stats stats;
	struct told told;

	(void)state;
	w->mining = false;
	world_boot(w);
	world_run(w, 200);
	world_preempt(w, 0); /* before ours, in the same block */
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 300);
	w->mining = true;
	world_run(w, 6000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_non_null(strstr(told.result.transaction, "0x00dddd"));
	assert_int_equal(w->payments[0].transfers, 1);
	fac_engine_stats(w->engine, &stats);
	assert_int_equal(stats.preempted, 1);
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 500);
	assert_int_equal(told.result.outcome, FAC_SETTLE_DUPLICATE);
	world_free(w);
}

static void test_fate_landed_before_our_reservation_is_refused(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->mining = false;
	world_boot(w);
	world_run(w, 200);
	world_preempt(w, 0);
	world_mine(w);
	w->now_ms += 60000; /* long ago, by both clocks */
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 300);
	w->mining = true;
	world_run(w, 9000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(
		told.result.reason, X402_REASON_EVM_NONCE_ALREADY_USED);
	world_free(w);
}

static void test_fate_without_the_flag_a_stranger_is_not_credited(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.credit_preempted = false;
	w->mining = false;
	world_boot(w);
	world_run(w, 200);
	world_preempt(w, 0);
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 300);
	w->mining = true;
	world_run(w, 6000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	world_free(w);
}

static uint64_t nonces_taken(const struct world *w)
{
	struct fac_engine_stats stats;

	fac_engine_stats(w->engine, &stats);
	return stats.nonces_taken;
}

/* Another daemon has sent with our key while we were away. */
static void test_fate_nonces_taken_while_away_are_told_loudly(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_crash(w);
	world_steal_nonce(w, 1);
	world_steal_nonce(w, 2);
	world_mine(w);
	world_boot(w);
	world_run(w, 20000);
	assert_int_equal(nonces_taken(w), 2);
	assert_non_null(strstr(w->note, "somebody else sends with its key"));
	assert_non_null(strstr(w->note, "nonces 1 to 2"));
	world_settle(w, (struct asking){.payment = 1, .wait_ms = 60000}, &told);
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	/* Told once, and its own next nonce is no stranger's. */
	assert_int_equal(nonces_taken(w), 2);
	assert_int_equal(
		world_count(w, "SELECT max(nonce) FROM transactions"), 3);
	world_free(w);
}

static void test_fate_nonce_taken_in_flight_is_told_loudly(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	world_run(w, 100);
	world_steal_nonce(w, 0);
	world_mine(w);
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 30000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(nonces_taken(w), 1);
	assert_non_null(strstr(w->note, "nonces 0 to 0"));
	world_free(w);
}

static void test_fate_keys_past_is_no_strangers(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_steal_nonce(w, 0);
	world_mine(w);
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(nonces_taken(w), 0);
	assert_null(strstr(w->note, "somebody else"));
	world_free(w);
}

static void test_fate_own_nonces_after_a_crash_are_no_strangers(void **state)
{
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 60000}, &told[0]);
	world_run(w, 3000);
	w->mining = false;
	world_settle(
		w, (struct asking){.payment = 1, .wait_ms = 60000}, &told[1]);
	world_run(w, 1000);
	assert_int_equal(w->txs_len, 2);
	/* One mined, one in the mempool, and the chain counts both. */
	world_crash(w);
	world_boot(w);
	world_run(w, 3000);
	w->mining = true;
	world_run(w, 3000);
	assert_int_equal(w->payments[1].transfers, 1);
	assert_int_equal(nonces_taken(w), 0);
	world_free(w);
}

/* A receipt that contradicts the chain's state proves nothing. */
static void test_fate_lying_receipt_ends_nothing(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->lies_logs = true;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 10000);
	assert_int_equal(told.times, 0);
	w->lies_logs = false;
	world_run(w, 5000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* ---- Signers, depth. ---- */

static void test_fate_dry_signer_leaves_and_comes_back(void **state)
{
	struct world *w = world_new();
	struct fac_engine_stats stats;
	struct told told;

	(void)state;
	w->balance = 1000;
	world_boot(w);
	world_run(w, 500);
	world_settle(w, (struct asking){.wait_ms = 3000}, &told);
	world_run(w, 5000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
	assert_non_null(strstr(told.result.message, "pay for the gas"));
	assert_int_equal(w->txs_len, 0);
	fac_engine_stats(w->engine, &stats);
	assert_true(stats.lines[0].lanes[0].dry);
	w->balance = UINT64_C(1000000000000000000);
	world_run(w, 4000);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 2000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	fac_engine_stats(w->engine, &stats);
	assert_false(stats.lines[0].lanes[0].dry);
	world_free(w);
}

static void test_fate_submitted_is_told_before_it_is_mined(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.confirmations = FAC_CONFIRM_SUBMITTED;
	w->mining = false;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 600);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_BROADCAST);
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 300);
	assert_int_equal(told.result.outcome, FAC_SETTLE_DUPLICATE);
	w->mining = true;
	world_run(w, 2000);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_SETTLED);
	world_free(w);
}

static void test_fate_safe_and_final_blocks_are_waited_for(void **state)
{
	static const uint32_t wanted[] = {
		FAC_CONFIRM_SAFE, FAC_CONFIRM_FINALIZED};
	static const uint64_t behind[] = {4, 8};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = world_new();
		struct told told;

		w->config.confirmations = wanted[i];
		w->config.proof_depth = 30;
		w->mining = false;
		for (unsigned block = 0; block < 20; block++)
			world_mine(w);
		world_boot(w);
		world_settle(w, (struct asking){.wait_ms = 60000}, &told);
		world_run(w, 500);
		for (uint64_t block = 0; block < behind[i]; block++)
			world_mine(w);
		world_run(w, 4000);
		assert_int_equal(told.times, 0);
		world_mine(w);
		world_run(w, 4000);
		assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
		world_free(w);
	}
}

/* As many blocks, as far apart as they say. */
static void run_blocks(struct world *w, unsigned blocks)
{
	while (blocks--) {
		world_run(w, 1000);
		world_mine(w);
	}
}

/*
 * The same nonce, signed anew with a later validBefore, after the first was
 * paid, told and forgotten: a chain that verified it was far behind. Our own
 * old transaction is no proof for it.
 */
static void pay_forgotten_nonce(bool clock_behind)
{
	struct world *w = world_new();
	uint64_t ends_s = w->payments[0].valid_before;
	struct fac_verb *verb;
	struct told told;

	w->mining = false;
	world_boot(w);
	world_settle(w, (struct asking){.payment = 0}, &told);
	run_blocks(w, 20); /* final, and no matter of clocks */
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	verb = fac_verb_forget_claims(ends_s + 1, 10);
	fac_sqlite_run(&w->db, verb);
	fac_verb_free(verb);
	assert_int_equal(world_count(w, "SELECT count(*) FROM claims"), 0);
	w->payments[0].valid_before = ends_s + 1000;
	if (clock_behind) {
		/* Started anew with a clock from before it was paid. */
		world_crash(w);
		w->now_ms = (WORLD_START_S - 60) * 1000;
		world_boot(w);
	}
	world_settle(w,
		(struct asking){
			.payment = 0, .fingerprint = 9, .wait_ms = 60000},
		&told);
	run_blocks(w, 20);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(
		told.result.reason, X402_REASON_EVM_NONCE_ALREADY_USED);
	assert_int_equal(w->payments[0].transfers, 1);
	assert_int_equal(
		world_count(w, "SELECT sum(credited) FROM payments"), 1);
	world_free(w);
}

static void test_fate_forgotten_nonce_is_not_credited_again(void **state)
{
	(void)state;
	pay_forgotten_nonce(false);
	pay_forgotten_nonce(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fate_company_is_judged_one_by_one),
		cmocka_unit_test(test_fate_strange_tokens_and_wallets_go_alone),
		cmocka_unit_test(
			test_fate_stuck_transaction_is_raised_and_pays_once),
		cmocka_unit_test(test_fate_ceiling_ends_the_raising),
		cmocka_unit_test(
			test_fate_reorg_puts_a_settled_payment_back_to_work),
		cmocka_unit_test(test_fate_reorg_across_a_crash_is_followed),
		cmocka_unit_test(
			test_fate_caller_amid_recovery_meets_its_payment),
		cmocka_unit_test(
			test_fate_nonces_taken_while_away_are_told_loudly),
		cmocka_unit_test(
			test_fate_nonce_taken_in_flight_is_told_loudly),
		cmocka_unit_test(test_fate_keys_past_is_no_strangers),
		cmocka_unit_test(
			test_fate_own_nonces_after_a_crash_are_no_strangers),
		cmocka_unit_test(
			test_fate_landed_by_a_stranger_is_credited_once),
		cmocka_unit_test(
			test_fate_landed_before_our_reservation_is_refused),
		cmocka_unit_test(
			test_fate_without_the_flag_a_stranger_is_not_credited),
		cmocka_unit_test(test_fate_lying_receipt_ends_nothing),
		cmocka_unit_test(test_fate_dry_signer_leaves_and_comes_back),
		cmocka_unit_test(
			test_fate_forgotten_transaction_is_sent_again_in_blocks),
		cmocka_unit_test(
			test_fate_low_fee_is_not_sent_again_for_each_block),
		cmocka_unit_test(
			test_fate_submitted_is_told_before_it_is_mined),
		cmocka_unit_test(
			test_fate_forgotten_nonce_is_not_credited_again),
		cmocka_unit_test(
			test_fate_safe_and_final_blocks_are_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
