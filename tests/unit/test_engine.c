/*
 * The engine against a scripted world (engine_house.h): what a caller is
 * told, that money moves once, that no nonce is left behind, and that a crash
 * between any two steps changes none of it.
 */
#include "engine_house.h"

/* ---- One payment. ---- */

static void test_engine_settles_and_credits(void **state)
{
	struct world *w = world_new();
	struct told told;
	struct fac_payment row;

	(void)state;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 2000);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(strlen(told.result.transaction), 66);
	assert_non_null(strstr(told.answer, "\"success\":true"));
	assert_non_null(strstr(told.answer, told.result.transaction));
	assert_int_equal(w->payments[0].transfers, 1);
	world_row(w, 0, &row);
	assert_int_equal(row.state, FAC_PAYMENT_SETTLED);
	assert_true(row.credited);
	assert_string_equal(row.answer, told.answer);
	assert_string_equal(row.transaction, told.result.transaction);
	fac_payment_clear(&row);
	assert_true(fac_engine_is_idle(w->engine));
	world_free(w);
}

static void test_engine_confirmations_are_waited_for(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.confirmations = 3;
	w->mining = false;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 500);
	world_mine(w);
	world_mine(w);
	world_run(w, 3000);
	assert_int_equal(told.times, 0);
	world_mine(w);
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

static void test_engine_unknown_network_is_fault(void **state)
{
	struct world *w = world_new();
	struct told told;
	struct x402_network other;

	(void)state;
	world_boot(w);
	other = w->config.network;
	snprintf(w->config.network.caip2, sizeof(other.caip2), "eip155:1");
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 100);
	assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
	assert_int_equal(told.result.reason, X402_REASON_INVALID_NETWORK);
	assert_int_equal(w->txs_len, 0);
	world_free(w);
}

static void test_engine_gas_above_ceiling_sends_nothing(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.max_gas_limit = 99999;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 1000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
	assert_int_equal(w->txs_len, 0);
	world_free(w);
}

static void test_engine_fee_above_ceiling_sends_nothing(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->config.max_fee_per_gas = x402_u256_from_u64(100);
	w->base_fee = 101;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 3000}, &told);
	world_run(w, 5000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
	assert_string_equal(told.result.transaction, "");
	assert_non_null(strstr(told.result.message, "ceiling"));
	assert_int_equal(w->txs_len, 0);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_CANCELLED);
	/* Nothing happened, so the same payment may come again. */
	w->base_fee = 50;
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 5000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

static void test_engine_two_signers_share_the_work(void **state)
{
	struct world *w = world_new();
	struct told told[6];
	struct x402_address first;
	unsigned by_first = 0;

	(void)state;
	w->keys_len = 2;
	world_boot(w);
	world_run(w, 100); /* both lanes know their nonces */
	for (unsigned i = 0; i < 6; i++)
		world_settle(w, (struct asking){.payment = i}, &told[i]);
	world_run(w, 3000);
	assert_int_equal(
		x402_secret_address(w->secp, &w->keys[0], &first), X402_OK);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
		by_first += x402_address_equal(&w->txs[i].sender, &first);
	}
	assert_int_equal(by_first, 3);
	world_free(w);
}

static void test_engine_sends_many_before_the_first_is_mined(void **state)
{
	struct world *w = world_new();
	struct told told[10];

	(void)state;
	w->mining = false;
	world_boot(w);
	for (unsigned i = 0; i < 10; i++)
		world_settle(w, (struct asking){.payment = i}, &told[i]);
	world_run(w, 200);
	assert_int_equal(w->txs_len, 10);
	world_mine(w);
	world_run(w, 1000);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* ---- Ends without money. ---- */

static void test_engine_used_by_another_is_refused(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	w->payments[0].used = true;
	for (unsigned i = 0; i < 2; i++) {
		world_settle(w, (struct asking){0}, &told);
		world_run(w, 8000); /* logs are asked for again and again */
		assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
		assert_int_equal(
			told.result.reason, X402_REASON_EVM_NONCE_ALREADY_USED);
		assert_int_equal(strlen(told.result.transaction), 66);
	}
	assert_int_equal(w->txs_len, 1);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_REVERTED);
	world_free(w);
}

static void test_engine_missing_log_is_refused(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->moves_none = true; /* the nonce is used, and nothing moves */
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 2000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(
		told.result.reason, X402_REASON_EVM_TRANSFER_EVENT_MISMATCH);
	assert_int_equal(strlen(told.result.transaction), 66);
	world_free(w);
}

static void test_engine_expiry_is_proven_before_it_is_said(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->mining = false;
	w->payments[0].valid_before = WORLD_START_S + 20;
	w->send_status = FAC_SEND_UNDERPRICED; /* no node takes it */
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 1000}, &told);
	world_run(w, 2000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	/* Our clock alone proves nothing. */
	world_run(w, 60000);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_SIGNED);
	/* Nor does a head at the edge: it must be some blocks deep. */
	for (unsigned i = 0; i < 22; i++)
		world_mine(w);
	world_run(w, 10000);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_SIGNED);
	world_mine(w);
	world_run(w, 10000);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_EXPIRED);
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 500);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(told.result.reason, X402_REASON_EVM_VALID_BEFORE);
	world_free(w);
}

/* ---- Faults of the store. ---- */

static void test_engine_store_down_sends_nothing(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	world_run(w, 100);
	w->store_faults = 1;
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 1000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
	assert_int_equal(
		told.result.reason, X402_REASON_UNEXPECTED_SETTLE_ERROR);
	assert_int_equal(w->txs_len, 0);
	world_free(w);
}

static void test_engine_journal_down_sends_nothing(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	world_run(w, 100);
	w->store_faults = 1000;
	w->fault_verb = FAC_VERB_JOURNAL_SIGNED;
	world_settle(w, (struct asking){.wait_ms = 1000}, &told);
	world_run(w, 6000);
	assert_int_equal(told.times, 1);
	/* Its bytes may be durable for all we know: R3. */
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	assert_int_equal(strlen(told.result.transaction), 66);
	assert_int_equal(w->txs_len, 0);
	/* The same bytes go out once the journal has them. */
	w->store_faults = 0;
	world_run(w, 5000);
	assert_int_equal(w->txs_len, 1);
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 2000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->txs[0].nonce, 0);
	world_free(w);
}

static void test_engine_journal_fault_leaves_no_gap(void **state)
{
	struct world *w = world_new();
	struct told told[3];

	(void)state;
	w->mining = false;
	world_boot(w);
	world_run(w, 100);
	w->store_faults = 1;
	w->fault_verb = FAC_VERB_JOURNAL_SIGNED;
	/* The first one's write fails, and its caller has no time left. */
	world_settle(w, (struct asking){.wait_ms = 90}, &told[0]);
	for (unsigned i = 1; i < 3; i++)
		world_settle(w, (struct asking){.payment = i}, &told[i]);
	world_run(w, 3000);
	w->mining = true;
	world_run(w, 3000);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(told[2].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(chain_nonce(w, &w->txs[0].sender, w->head), 3);
	world_free(w);
}

static void test_engine_finish_fault_is_repeated(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	w->store_faults = 5;
	w->fault_verb = FAC_VERB_MARK_MINED;
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 9000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* ---- Faults of the chain. ---- */

static void test_engine_lost_answer_to_broadcast_is_no_failure(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->send_faults = 3;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->payments[0].transfers, 1);
	world_free(w);
}

static void test_engine_receipt_fault_is_no_verdict(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->receipt_faults = 1000;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 2000}, &told);
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	w->receipt_faults = 0;
	world_settle(w, (struct asking){.recall = true}, &told);
	world_run(w, 5000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

static void test_engine_dry_signer_keeps_its_nonce(void **state)
{
	struct world *w = world_new();
	struct told first;
	struct told second;

	(void)state;
	w->send_status = FAC_SEND_INSUFFICIENT_FUNDS;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 2000}, &first);
	world_run(w, 500);
	/* Behind a nonce that nobody takes nothing more is signed. */
	world_settle(
		w, (struct asking){.payment = 1, .wait_ms = 2000}, &second);
	world_run(w, 3000);
	assert_int_equal(first.result.outcome, FAC_SETTLE_PENDING);
	assert_int_equal(second.result.outcome, FAC_SETTLE_FAULT);
	assert_int_equal(world_state(w, 1), FAC_PAYMENT_CANCELLED);
	w->send_status = -1;
	world_settle(w, (struct asking){0}, &first);
	world_settle(w, (struct asking){.payment = 1}, &second);
	world_run(w, 9500);
	assert_int_equal(first.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(second.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

static void test_engine_rejected_bytes_give_way_after_proof(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->payments[0].valid_before = WORLD_START_S + 20;
	w->send_status = FAC_SEND_REJECTED;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 1000}, &told);
	world_run(w, 30000);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_EXPIRED);
	w->send_status = -1;
	world_run(w, 9000);
	world_settle(w, (struct asking){.payment = 1}, &told);
	world_run(w, 9000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->payments[0].transfers, 0);
	world_free(w);
}

static void test_engine_stolen_nonce_is_signed_anew(void **state)
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
	assert_int_equal(w->payments[0].transfers, 1);
	assert_int_equal(world_count(w,
				 "SELECT count(*) FROM transactions"
				 " WHERE state = 'replaced'"),
		1);
	assert_int_equal(world_count(w,
				 "SELECT nonce FROM transactions"
				 " WHERE state IN ('mined', 'final')"),
		1);
	world_free(w);
}

static void test_engine_stolen_nonce_and_used_is_not_signed_anew(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	world_run(w, 100);
	world_steal_nonce(w, 0);
	world_mine(w);
	w->payments[0].used = true;
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 30000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(
		told.result.reason, X402_REASON_EVM_NONCE_ALREADY_USED);
	assert_int_equal(
		world_count(w, "SELECT count(*) FROM transactions"), 1);
	world_free(w);
}

static void test_engine_dead_chain_at_start_recovers(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->chain_faults = 5;
	world_boot(w);
	world_settle(w, (struct asking){.wait_ms = 60000}, &told);
	world_run(w, 20000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* ---- Crashes. ---- */

/* What must hold whatever happened, once the world has come to rest. */
static void check_rest(struct world *w, unsigned payments)
{
	assert_true(fac_engine_is_idle(w->engine));
	for (unsigned i = 0; i < payments; i++) {
		struct fac_payment row;

		assert_in_range(w->payments[i].transfers, 0, 1);
		if (!world_count(w, "SELECT count(*) FROM payments"))
			continue;
		world_row(w, i, &row);
		/* The journal and the chain agree. */
		assert_int_equal(row.state,
			w->payments[i].transfers ? FAC_PAYMENT_SETTLED
						 : FAC_PAYMENT_CANCELLED);
		assert_int_equal(row.credited, row.answer != NULL);
		fac_payment_clear(&row);
	}
	/* Nothing waits behind a gap. */
	for (size_t i = 0; i < w->txs_len; i++)
		assert_true(w->txs[i].mined);
}

static void settle_again(struct world *w, unsigned payments, unsigned successes)
{
	for (unsigned i = 0; i < payments; i++) {
		struct told told;

		world_settle(w, (struct asking){.payment = i}, &told);
		world_run(w, 3000);
		assert_int_equal(told.times, 1);
		successes += told.result.outcome == FAC_SETTLE_SETTLED;
		assert_int_equal(w->payments[i].transfers, 1);
	}
	/* Each was credited once at most; a crash can eat an answer. */
	assert_in_range(successes, 0, payments);
	assert_int_equal(
		world_count(w, "SELECT sum(credited) FROM payments"), payments);
}

static void test_engine_survives_a_crash_between_any_two_steps(void **state)
{
	bool crashed = true;

	(void)state;
	for (unsigned at = 0; crashed; at++) {
		struct world *w = world_new();
		struct told told[3];
		unsigned successes = 0;

		world_boot(w);
		for (unsigned i = 0; i < 3; i++)
			world_settle(
				w, (struct asking){.payment = i}, &told[i]);
		crashed = world_run_until_event(w, 4000, at);
		for (unsigned i = 0; i < 3; i++)
			successes += told[i].times &&
				told[i].result.outcome == FAC_SETTLE_SETTLED;
		world_crash(w);
		world_boot(w);
		world_run(w, 4000);
		if (world_count(w, "SELECT count(*) FROM payments") == 3)
			check_rest(w, 3);
		settle_again(w, 3, successes);
		check_rest(w, 3);
		world_free(w);
	}
}

static void test_engine_survives_a_crash_during_recovery(void **state)
{
	(void)state;
	for (unsigned first = 8; first < 44; first += 3) {
		bool crashed = true;

		for (unsigned at = 0; crashed; at++) {
			struct world *w = world_new();
			struct told told[2];

			world_boot(w);
			for (unsigned i = 0; i < 2; i++)
				world_settle(w, (struct asking){.payment = i},
					&told[i]);
			world_run_until_event(w, 4000, first);
			world_crash(w);
			world_boot(w);
			crashed = world_run_until_event(w, 1500, at);
			world_crash(w);
			world_boot(w);
			world_run(w, 4000);
			settle_again(w, 2, 0);
			check_rest(w, 2);
			world_free(w);
		}
	}
}

static void test_engine_rebroadcasts_the_same_bytes_after_a_crash(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->mining = false;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 500);
	assert_int_equal(w->txs_len, 1);
	world_crash(w);
	w->txs_len = 0; /* and the mempool forgot it */
	world_boot(w);
	world_run(w, 500);
	assert_int_equal(w->txs_len, 1);
	w->mining = true;
	world_run(w, 3000);
	assert_int_equal(w->payments[0].transfers, 1);
	assert_int_equal(world_state(w, 0), FAC_PAYMENT_SETTLED);
	assert_int_equal(
		world_count(w, "SELECT count(*) FROM transactions"), 1);
	world_free(w);
}

static void test_engine_free_tells_callers_the_truth(void **state)
{
	struct world *w = world_new();
	struct told sent;
	struct told unsent;

	(void)state;
	w->mining = false;
	world_boot(w);
	world_settle(w, (struct asking){0}, &sent);
	world_run(w, 500);
	world_settle(w, (struct asking){.payment = 1}, &unsent);
	world_crash(w);
	assert_int_equal(sent.result.outcome, FAC_SETTLE_PENDING);
	assert_int_equal(strlen(sent.result.transaction), 66);
	assert_int_equal(unsent.result.outcome, FAC_SETTLE_FAULT);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_settles_and_credits),
		cmocka_unit_test(test_engine_confirmations_are_waited_for),
		cmocka_unit_test(test_engine_unknown_network_is_fault),
		cmocka_unit_test(test_engine_gas_above_ceiling_sends_nothing),
		cmocka_unit_test(test_engine_fee_above_ceiling_sends_nothing),
		cmocka_unit_test(test_engine_two_signers_share_the_work),
		cmocka_unit_test(
			test_engine_sends_many_before_the_first_is_mined),
		cmocka_unit_test(test_engine_used_by_another_is_refused),
		cmocka_unit_test(test_engine_missing_log_is_refused),
		cmocka_unit_test(
			test_engine_expiry_is_proven_before_it_is_said),
		cmocka_unit_test(test_engine_store_down_sends_nothing),
		cmocka_unit_test(test_engine_journal_down_sends_nothing),
		cmocka_unit_test(test_engine_journal_fault_leaves_no_gap),
		cmocka_unit_test(test_engine_finish_fault_is_repeated),
		cmocka_unit_test(
			test_engine_lost_answer_to_broadcast_is_no_failure),
		cmocka_unit_test(test_engine_receipt_fault_is_no_verdict),
		cmocka_unit_test(test_engine_dry_signer_keeps_its_nonce),
		cmocka_unit_test(
			test_engine_rejected_bytes_give_way_after_proof),
		cmocka_unit_test(test_engine_stolen_nonce_is_signed_anew),
		cmocka_unit_test(
			test_engine_stolen_nonce_and_used_is_not_signed_anew),
		cmocka_unit_test(test_engine_dead_chain_at_start_recovers),
		cmocka_unit_test(
			test_engine_survives_a_crash_between_any_two_steps),
		cmocka_unit_test(test_engine_survives_a_crash_during_recovery),
		cmocka_unit_test(
			test_engine_rebroadcasts_the_same_bytes_after_a_crash),
		cmocka_unit_test(test_engine_free_tells_callers_the_truth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
