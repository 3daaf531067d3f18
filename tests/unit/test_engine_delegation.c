/*
 * Payments by delegation (ERC-7710, F-07A) in the engine: alone, by the one
 * signer that they are bound to, and never signed for a second nonce, for in
 * this world each redemption moves money anew. Against the scripted world of
 * engine_house.h.
 */
#include "engine_house.h"

static uint64_t redeem(struct world *w, struct told *told)
{
	return world_settle(
		w, (struct asking){.delegation = true, .alone = true}, told);
}

static void test_delegation_goes_alone_from_its_delegate(void **state)
{
	struct world *w = world_new();
	struct told told[8];
	struct x402_address delegate;

	(void)state;
	w->keys_len = 2;
	world_allow_batches(w);
	world_boot(w);
	world_run(w, 1000);
	for (unsigned i = 0; i < 8; i++)
		world_settle(w,
			(struct asking){.payment = i,
				.delegation = i % 2,
				.alone = i % 2,
				.delegate = 1},
			&told[i]);
	world_run(w, 3000);
	assert_int_equal(
		x402_secret_address(w->secp, &w->keys[1], &delegate), X402_OK);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
		assert_int_equal(w->payments[i].transfers, 1);
	}
	for (size_t i = 0; i < w->txs_len; i++) {
		const struct world_tx *tx = &w->txs[i];

		if (!(tx->payments[0] % 2))
			continue;
		assert_int_equal(tx->payments_len, 1);
		assert_true(x402_address_equal(&tx->sender, &delegate));
		assert_int_equal(tx->to.bytes[0], 0xbb);
	}
	world_free(w);
}

static void test_second_payment_with_it_is_refused(void **state)
{
	struct world *w = world_new();
	struct told told[3];

	(void)state;
	world_boot(w);
	redeem(w, &told[0]);
	world_settle(w,
		(struct asking){
			.delegation = true, .alone = true, .fingerprint = 7},
		&told[1]);
	world_run(w, 3000);
	world_settle(w,
		(struct asking){
			.delegation = true, .alone = true, .fingerprint = 8},
		&told[2]);
	world_run(w, 3000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_DUPLICATE);
	assert_int_equal(told[2].result.outcome, FAC_SETTLE_DUPLICATE);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

/* Killed between every two steps, it is redeemed once. */
static void test_delegation_survives_a_kill_and_is_redeemed_once(void **state)
{
	unsigned kills = 0;

	(void)state;
	for (unsigned at = 0; at < 40; at++) {
		struct world *w = world_new();
		struct told told;

		world_boot(w);
		redeem(w, &told);
		if (!world_run_until_event(w, 3000, at)) {
			world_free(w);
			continue;
		}
		kills++;
		world_crash(w);
		world_boot(w);
		world_run(w, 500);
		redeem(w, &told);
		world_run(w, 4000);
		assert_int_equal(told.times, 1);
		assert_true(told.result.outcome == FAC_SETTLE_SETTLED ||
			told.result.outcome == FAC_SETTLE_DUPLICATE);
		assert_int_equal(w->payments[0].transfers, 1);
		world_free(w);
	}
	assert_true(kills > 10);
}

static void test_one_that_sticks_is_raised_on_its_nonce(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->mining = false;
	w->config.stuck_ms = 1000;
	world_boot(w);
	redeem(w, &told);
	world_run(w, 4000);
	assert_true(w->txs_len > 1);
	for (size_t i = 0; i < w->txs_len; i++)
		assert_true(w->txs[i].nonce == w->txs[0].nonce);
	w->mining = true;
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

/* Proven: its bytes never land. For another nonce it is not signed. */
static void test_lost_nonce_ends_it(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->mining = false;
	world_boot(w);
	world_settle(w,
		(struct asking){
			.delegation = true, .alone = true, .wait_ms = 100000},
		&told);
	world_run(w, 500);
	assert_int_equal(w->txs_len, 1);
	w->txs[0].gone = true;
	world_steal_nonce(w, w->txs[0].nonce);
	w->mining = true;
	world_run(w, 60000);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(
		told.result.reason, X402_REASON_EVM_TRANSACTION_FAILED);
	assert_int_equal(w->payments[0].transfers, 0);
	assert_int_equal(w->txs_len, 2);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_EXPIRED);
	/* Nor later, whoever asks. */
	redeem(w, &told);
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(w->txs_len, 2);
	world_free(w);
}

/* The same, killed between every two steps of the proof. */
static void test_lost_nonce_ends_it_whenever_it_is_killed(void **state)
{
	unsigned kills = 0;

	(void)state;
	for (unsigned at = 0; at < 12; at++) {
		struct world *w = world_new();
		struct told told;

		w->mining = false;
		world_boot(w);
		redeem(w, &told);
		world_run(w, 500);
		w->txs[0].gone = true;
		world_steal_nonce(w, w->txs[0].nonce);
		w->mining = true;
		/* Until it is doubted; the proof's steps follow. */
		while (world_state(w, 0) != FAC_PAYMENT_REPLACED &&
			world_state(w, 0) != FAC_PAYMENT_EXPIRED)
			world_run_until_event(w, 1000, 1);
		if (at && !world_run_until_event(w, 2000, at)) {
			world_free(w);
			continue;
		}
		kills++;
		world_crash(w);
		world_boot(w);
		world_run(w, 10000);
		redeem(w, &told);
		world_run(w, 10000);
		assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
		assert_int_equal(w->txs_len, 2);
		assert_int_equal(w->payments[0].transfers, 0);
		assert_int_equal(world_state(w, 0), FAC_PAYMENT_EXPIRED);
		world_free(w);
	}
	assert_true(kills > 3);
}

static void test_manager_that_moves_nothing_has_not_paid(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->moves_none = true;
	world_boot(w);
	redeem(w, &told);
	world_run(w, 5000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(
		told.result.reason, X402_REASON_EVM_TRANSFER_EVENT_MISMATCH);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_REVERTED);
	assert_int_equal(w->txs_len, 1);
	world_free(w);
}

static void test_revoked_on_the_way_reverts_and_is_not_sent_again(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->payments[0].fails = true;
	world_boot(w);
	redeem(w, &told);
	world_run(w, 5000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(
		told.result.reason, X402_REASON_EVM_TRANSACTION_FAILED);
	assert_true(told.result.transaction[0] != '\0');
	assert_int_equal(w->txs_len, 1);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_REVERTED);
	world_free(w);
}

/* Its end is what its receipt says, also to whoever reads it after a crash. */
static void test_unpaid_one_keeps_its_reason_whenever_it_is_killed(void **state)
{
	unsigned kills = 0;

	(void)state;
	for (unsigned at = 0; at < 60; at++) {
		struct world *w = world_new();
		struct told told;

		w->moves_none = at % 2;
		w->payments[0].fails = !w->moves_none;
		world_boot(w);
		redeem(w, &told);
		if (!world_run_until_event(w, 5000, at / 2)) {
			world_free(w);
			continue;
		}
		kills++;
		world_crash(w);
		world_boot(w);
		world_run(w, 500);
		redeem(w, &told);
		world_run(w, 10000);
		assert_int_equal(told.times, 1);
		assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
		assert_int_equal(told.result.reason,
			w->moves_none ? X402_REASON_EVM_TRANSFER_EVENT_MISMATCH
				      : X402_REASON_EVM_TRANSACTION_FAILED);
		assert_int_equal(world_state(w, 0), FAC_PAYMENT_REVERTED);
		assert_int_equal(w->txs_len, 1);
		world_free(w);
	}
	assert_true(kills > 20);
}

/* The receipt goes while it is read: it comes back with its transaction. */
static void test_reorg_under_an_unpaid_one(void **state)
{
	unsigned reorgs = 0;

	(void)state;
	for (unsigned at = 1; at < 30; at++) {
		struct world *w = world_new();
		struct told told;

		w->payments[0].fails = true;
		world_boot(w);
		redeem(w, &told);
		while (!w->txs_len || !w->txs[0].mined)
			world_run_until_event(w, 1000, 1);
		(void)world_run_until_event(w, 1000, at);
		/* Final already: nothing takes it away. */
		if (w->head - w->txs[0].block >= w->config.proof_depth) {
			world_free(w);
			continue;
		}
		reorgs++;
		/* The delegation is good after all in the other branch. */
		world_reorg(w, w->head - w->txs[0].block + 1, at % 2);
		w->payments[0].fails = false;
		world_run(w, 60000);
		assert_int_equal(told.times, 1);
		assert_int_equal(w->payments[0].transfers, 1);
		assert_int_equal(world_state(w, 0), FAC_PAYMENT_SETTLED);
		assert_int_equal(w->txs_len, 1);
		world_free(w);
	}
	assert_true(reorgs > 5);
}

/* Out of a block and in again: the same bytes, and one transfer. */
static void test_reorg_takes_the_same_bytes_back_to_work(void **state)
{
	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		struct world *w = world_new();
		struct told told;

		world_boot(w);
		redeem(w, &told);
		while (!told.times)
			world_run(w, 20);
		assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
		world_reorg(w, 1, lost);
		assert_int_equal(w->payments[0].transfers, 0);
		world_run(w, 5000);
		assert_int_equal(w->payments[0].transfers, 1);
		assert_int_equal(w->txs_len, 1);
		assert_int_equal(world_state(w, 0), FAC_PAYMENT_SETTLED);
		world_free(w);
	}
}

static void test_time_to_be_sent_ends(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	/* Nobody can send while the base fee is above the ceiling. */
	w->config.max_fee_per_gas = x402_u256_from_u64(5);
	w->config.max_priority_fee_per_gas = x402_u256_from_u64(1);
	world_boot(w);
	world_settle(w,
		(struct asking){.delegation = true,
			.alone = true,
			.send_within_s = 3,
			.wait_ms = 60000},
		&told);
	world_run(w, 2000);
	assert_int_equal(told.times, 0);
	world_run(w, 3000);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	w->base_fee = 1;
	world_run(w, 5000);
	assert_int_equal(w->sends, 0);
	/* It was never sent, so its payer may try again. */
	redeem(w, &told);
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

/* "submitted" is a promise of the payer's, who can take this one back. */
static void test_submitted_is_not_enough(void **state)
{
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	w->config.confirmations = FAC_CONFIRM_SUBMITTED;
	w->mining = false;
	world_boot(w);
	redeem(w, &told[0]);
	world_settle(w, (struct asking){.payment = 1}, &told[1]);
	world_run(w, 2000);
	assert_int_equal(told[0].times, 0);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_SETTLED);
	w->mining = true;
	world_run(w, 2000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* Years after, and finally mined: still the same context. */
static void test_it_is_never_forgotten(void **state)
{
	static const uint64_t far_s = WORLD_START_S * 1000;
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	world_boot(w);
	redeem(w, &told[0]);
	world_settle(w, (struct asking){.payment = 1}, &told[1]);
	world_run(w, 20000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	for (int i = 0; i < 2; i++) {
		struct fac_verb *verb = i ? fac_verb_retire(far_s, 100)
					  : fac_verb_forget_claims(far_s, 100);

		fac_sqlite_run(&w->db, verb);
		assert_int_equal(fac_verb_reply(verb)->err, X402_OK);
		fac_verb_free(verb);
	}
	/* The other is gone, and the row of this one; not its claim. */
	assert_int_equal(world_count(w, "SELECT count(*) FROM claims"), 1);
	assert_int_equal(world_count(w, "SELECT count(*) FROM payments"), 0);
	world_settle(w,
		(struct asking){
			.delegation = true, .alone = true, .fingerprint = 9},
		&told[0]);
	world_run(w, 3000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_FAULT);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

/* What a resend needs is dropped when it is final; what it is stays known. */
static void test_final_one_is_still_known_for_what_it_is(void **state)
{
	struct world *w = world_new();
	struct fac_payment row;
	struct told told;

	(void)state;
	world_boot(w);
	redeem(w, &told);
	world_run(w, 20000);
	world_row(w, 0, &row);
	assert_int_equal(row.calldata.len, 0);
	assert_true(x402_settle_proof_is_delegation(&row.proof));
	fac_payment_clear(&row);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delegation_goes_alone_from_its_delegate),
		cmocka_unit_test(test_second_payment_with_it_is_refused),
		cmocka_unit_test(
			test_delegation_survives_a_kill_and_is_redeemed_once),
		cmocka_unit_test(test_one_that_sticks_is_raised_on_its_nonce),
		cmocka_unit_test(test_lost_nonce_ends_it),
		cmocka_unit_test(test_lost_nonce_ends_it_whenever_it_is_killed),
		cmocka_unit_test(test_manager_that_moves_nothing_has_not_paid),
		cmocka_unit_test(
			test_revoked_on_the_way_reverts_and_is_not_sent_again),
		cmocka_unit_test(
			test_unpaid_one_keeps_its_reason_whenever_it_is_killed),
		cmocka_unit_test(test_reorg_under_an_unpaid_one),
		cmocka_unit_test(test_reorg_takes_the_same_bytes_back_to_work),
		cmocka_unit_test(test_time_to_be_sent_ends),
		cmocka_unit_test(test_submitted_is_not_enough),
		cmocka_unit_test(test_it_is_never_forgotten),
		cmocka_unit_test(test_final_one_is_still_known_for_what_it_is),
	};

	return cmocka_run_group_tests_name(
		"engine_delegation", tests, NULL, NULL);
}
