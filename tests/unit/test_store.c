/*
 * The store's contract, sentence by sentence of store.h, on SQLite and, where
 * X402_TEST_POSTGRES holds a URI, on PostgreSQL: what is unique, which steps
 * are refused.
 */
#include "store_house.h"

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- Reserving. ---- */

static void test_store_reserve_keeps_every_field(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	const struct heard *heard;
	const struct fac_payment *got;

	snprintf(payment.idempotency_scope, 8, "scope");
	snprintf(payment.idempotency_key, 8, "key");
	memset(payment.proof.value.limb, 0xff,
		sizeof(payment.proof.value.limb));
	heard = reserve(f, &payment);
	got = &heard->payments[0];
	assert_int_equal(heard->reply.err, X402_OK);
	assert_true(heard->reply.claimed);
	assert_int_equal(got->state, FAC_PAYMENT_RESERVED);
	assert_memory_equal(got->key32, payment.key32, 32);
	assert_memory_equal(got->fingerprint32, payment.fingerprint32, 32);
	assert_memory_equal(got->payload_hash32, payment.payload_hash32, 32);
	assert_memory_equal(&got->proof, &payment.proof, sizeof(got->proof));
	assert_string_equal(got->id, payment.id);
	assert_string_equal(got->network, NETWORK);
	assert_string_equal(got->wire_network, "base-sepolia");
	assert_string_equal(got->idempotency_scope, "scope");
	assert_string_equal(got->idempotency_key, "key");
	assert_string_equal(got->caller, "10.0.0.1");
	assert_string_equal(got->owner, ME);
	assert_string_equal(got->transaction, "");
	assert_int_equal(got->calldata.len, 3);
	assert_memory_equal(got->calldata.ptr, payment.calldata.ptr, 3);
	assert_int_equal(got->gas_limit, 100000);
	assert_int_equal(got->cost_gwei, 100);
	assert_true(got->may_share);
	assert_true(got->created_ms > 0);
	/* Clamped, never wrapped: it must not look expired. */
	assert_true(got->valid_before_unix_s == INT64_MAX);
}

static void test_store_second_reservation_meets_the_row(void **state)
{
	struct fixture *f = *state;
	struct fac_payment other = payment_of(1);
	const struct heard *heard;

	reserve_index(f, 1);
	snprintf(other.id, sizeof(other.id), "%032x", 99);
	memset(other.fingerprint32, 9, 32);
	heard = reserve(f, &other);
	assert_int_equal(heard->reply.err, X402_OK);
	assert_false(heard->reply.claimed);
	assert_int_equal(heard->reply.payments_len, 1);
	assert_int_equal(heard->payments[0].fingerprint32[0], 0x81);
}

static void test_store_idempotency_key_of_another_is_conflict(void **state)
{
	struct fixture *f = *state;
	struct fac_payment first = payment_of(1);
	struct fac_payment second = payment_of(2);
	const struct heard *heard;

	snprintf(first.idempotency_scope, 8, "s");
	snprintf(first.idempotency_key, 8, "k");
	snprintf(second.idempotency_scope, 8, "s");
	snprintf(second.idempotency_key, 8, "k");
	assert_true(reserve(f, &first)->reply.claimed);
	heard = reserve(f, &second);
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_false(heard->reply.claimed);
	assert_int_equal(heard->payments[0].key32[0], 1);
	/* The same payment with another fingerprint is another question. */
	memset(first.fingerprint32, 7, 32);
	assert_int_equal(reserve(f, &first)->reply.err, X402_ERR_CONFLICT);
	/* Another caller's key of the same name is another key. */
	snprintf(second.idempotency_scope, 8, "t");
	assert_true(reserve(f, &second)->reply.claimed);
}

static void test_store_released_payment_may_come_again(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	const struct heard *heard;

	snprintf(payment.idempotency_scope, 8, "s");
	snprintf(payment.idempotency_key, 8, "k");
	assert_true(reserve(f, &payment)->reply.claimed);
	/* Not by another instance. */
	assert_int_equal(err_of(f, fac_verb_release(key_of(1), OTHER, "no")),
		X402_ERR_CONFLICT);
	heard = ask(f, fac_verb_release(key_of(1), ME, "gave up"));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_int_equal(heard->payments[0].state, FAC_PAYMENT_CANCELLED);
	memset(payment.fingerprint32, 7, 32);
	heard = reserve(f, &payment);
	assert_true(heard->reply.claimed);
	assert_int_equal(heard->payments[0].fingerprint32[0], 7);
	/* History shows all of it. */
	heard = ask(f,
		fac_verb_payment_get(
			(struct fac_payment_query){.id = payment.id}));
	assert_int_equal(heard->reply.events_len, 3);
	assert_int_equal(heard->events[0].state, FAC_PAYMENT_RESERVED);
	assert_int_equal(heard->events[1].state, FAC_PAYMENT_CANCELLED);
	assert_string_equal(heard->events[1].note, "gave up");
	assert_int_equal(heard->events[2].state, FAC_PAYMENT_RESERVED);
	assert_int_equal(err_of(f, fac_verb_release(key_of(9), ME, "")),
		X402_ERR_NOT_FOUND);
}

static void test_store_text_cut_inside_a_letter_is_kept(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_EXPIRED, 0);

	reserve_index(f, 1);
	snprintf(end.message, sizeof(end.message), "broken \xe2\x82 \xff");
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_EXPIRED);
}

static void test_store_ceiling_refuses_and_counts_back(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payments[4];
	struct fac_spend_limits payer = {.payer_gwei = 100};
	struct fac_spend_limits total = {.total_gwei = 250};
	struct fac_store_end end = end_of(3, FAC_PAYMENT_EXPIRED, 0);
	const struct heard *heard;

	for (uint8_t i = 0; i < 4; i++)
		payments[i] = payment_of((uint8_t)(i + 1));
	memset(payments[1].proof.from.bytes, 1, 20); /* the first one's payer */
	assert_true(
		ask(f, fac_verb_reserve(&payments[0], &payer))->reply.claimed);
	heard = ask(f, fac_verb_reserve(&payments[1], &payer));
	assert_int_equal(heard->reply.err, X402_ERR_POLICY);
	assert_false(heard->reply.claimed);
	assert_non_null(strstr(heard->reply.message, "payer"));
	assert_non_null(strstr(heard->reply.message, "100 gwei a day"));
	/* Nothing was claimed. */
	assert_int_equal(
		err_of(f,
			fac_verb_payment_get((struct fac_payment_query){
				.key32 = key_of(2)})),
		X402_ERR_NOT_FOUND);
	assert_true(
		ask(f, fac_verb_reserve(&payments[2], &total))->reply.claimed);
	assert_int_equal(err_of(f, fac_verb_reserve(&payments[3], &total)),
		X402_ERR_POLICY);
	/* What it really cost makes room again; so does a release. */
	end.cost_gwei = 40;
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	assert_true(
		ask(f, fac_verb_reserve(&payments[3], &total))->reply.claimed);
	assert_int_equal(
		err_of(f, fac_verb_release(key_of(1), ME, "")), X402_OK);
	assert_true(
		ask(f, fac_verb_reserve(&payments[1], &payer))->reply.claimed);
}

static void test_store_hand_over_makes_it_anybodys(void **state)
{
	struct fixture *f = *state;
	const struct heard *heard;

	reserve_index(f, 1);
	assert_int_equal(err_of(f, fac_verb_hand_over(key_of(1), OTHER)),
		X402_ERR_CONFLICT);
	assert_int_equal(err_of(f, fac_verb_hand_over(key_of(1), ME)), X402_OK);
	heard = ask(f, fac_verb_take_over(NETWORK, OTHER, 10));
	assert_int_equal(heard->reply.payments_len, 1);
	assert_int_equal(err_of(f, fac_verb_hand_over(key_of(1), ME)),
		X402_ERR_CONFLICT);
	assert_int_equal(err_of(f, fac_verb_hand_over(key_of(2), ME)),
		X402_ERR_NOT_FOUND);
}

static void test_store_takes_over_from_the_dead_only(void **state)
{
	struct fixture *f = *state;
	const struct heard *heard;

	assert_int_equal(err_of(f, fac_verb_heartbeat(ME, LONG_MS)), X402_OK);
	for (uint8_t i = 1; i <= 3; i++)
		reserve_index(f, i);
	heard = ask(f, fac_verb_take_over(NETWORK, OTHER, 10));
	assert_int_equal(heard->reply.payments_len, 0);
	assert_int_equal(err_of(f, fac_verb_heartbeat(ME, 0)), X402_OK);
	heard = ask(f, fac_verb_take_over("eip155:1", OTHER, 10));
	assert_int_equal(heard->reply.payments_len, 0);
	/* Oldest first, and no more than asked. */
	heard = ask(f, fac_verb_take_over(NETWORK, OTHER, 2));
	assert_int_equal(heard->reply.payments_len, 2);
	assert_int_equal(heard->payments[0].key32[0], 1);
	assert_int_equal(heard->payments[1].key32[0], 2);
	assert_int_equal(err_of(f, fac_verb_release(key_of(1), ME, "")),
		X402_ERR_CONFLICT);
	assert_int_equal(
		err_of(f, fac_verb_release(key_of(1), OTHER, "")), X402_OK);
}

/* ---- Journal. ---- */

static void test_store_walks_a_payment_to_its_end(void **state)
{
	struct fixture *f = *state;
	static const enum fac_payment_state walk[] = {FAC_PAYMENT_RESERVED,
		FAC_PAYMENT_SIGNED, FAC_PAYMENT_BROADCAST, FAC_PAYMENT_SETTLED};
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xab);
	const struct heard *heard;

	sign(f, 0xab, 1, 1);
	assert_int_equal(
		err_of(f, fac_verb_mark_broadcast(key_of(0xab))), X402_OK);
	heard = ask(f, mined(0xab, 0xab, &end, 1));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_int_equal(heard->reply.payments_len, 1);
	assert_int_equal(heard->payments[0].state, FAC_PAYMENT_SETTLED);
	heard = ask(f,
		fac_verb_payment_get((struct fac_payment_query){
			.transaction32 = key_of(0xab)}));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_string_equal(heard->payments[0].transaction, end.transaction);
	assert_int_equal(heard->payments[0].block_number, 12);
	assert_int_equal(heard->reply.events_len, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(heard->events[i].state, walk[i]);
	assert_int_equal(err_of(f, final(0xab)), X402_OK);
	assert_int_equal(err_of(f, final(0xab)), X402_OK);
	/* What only a resend needs is gone. */
	heard = ask(f,
		fac_verb_payment_get(
			(struct fac_payment_query){.key32 = key_of(1)}));
	assert_int_equal(heard->payments[0].calldata.len, 0);
}

static void test_store_journal_needs_the_present_lease(void **state)
{
	struct fixture *f = *state;
	struct fac_store_lease old = lease_of(
		ME, ask(f, acquire(ME, 0))->reply.number);
	struct fac_store_lease present;
	const struct heard *heard;

	reserve_index(f, 1);
	heard = ask(f, acquire(OTHER, LONG_MS));
	assert_true(heard->reply.claimed);
	assert_true(heard->reply.number > old.token);
	heard = ask(f, journal(&old, 0xa1, 0, 1, 1));
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_true(heard->reply.fenced);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_RESERVED);
	/* The lease is the present one, the payment another's. */
	present = lease_of(OTHER, heard->reply.number);
	present.token = ask(f, acquire(OTHER, LONG_MS))->reply.number;
	heard = ask(f, journal(&present, 0xa1, 0, 1, 1));
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_false(heard->reply.fenced);
}

static void test_store_lane_is_held_and_renewed(void **state)
{
	struct fixture *f = *state;
	uint64_t token = ask(f, acquire(ME, LONG_MS))->reply.number;
	struct fac_store_lease lease = lease_of(ME, token);
	const struct heard *heard;

	heard = ask(f, acquire(OTHER, LONG_MS));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_false(heard->reply.claimed);
	heard = ask(f, acquire(ME, 0)); /* runs out at once */
	assert_int_equal(heard->reply.number, token);
	heard = ask(f, acquire(ME, LONG_MS)); /* late, and nobody took it */
	assert_true(heard->reply.claimed);
	assert_int_equal(heard->reply.number, token);
	/* Only its holder gives it back. */
	lease.owner = OTHER;
	assert_int_equal(err_of(f, fac_verb_lane_release(&lease)), X402_OK);
	assert_false(ask(f, acquire(OTHER, LONG_MS))->reply.claimed);
	lease.owner = ME;
	assert_int_equal(err_of(f, fac_verb_lane_release(&lease)), X402_OK);
	heard = ask(f, acquire(OTHER, LONG_MS));
	assert_true(heard->reply.claimed);
	assert_true(heard->reply.number > token);
}

static void test_store_nonce_has_one_live_transaction(void **state)
{
	struct fixture *f = *state;
	struct fac_store_lease lease = sign(f, 0xa1, 1, 1);

	reserve_index(f, 2);
	/* A repeat after a reply that got lost. */
	assert_int_equal(err_of(f, journal(&lease, 0xa1, 0, 1, 1)), X402_OK);
	assert_int_equal(
		err_of(f, journal(&lease, 0xa2, 0, 2, 1)), X402_ERR_CONFLICT);
	assert_int_equal(state_of(f, 2), FAC_PAYMENT_RESERVED);
	assert_int_equal(err_of(f, replaced(0xa1)), X402_OK);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_REPLACED);
	assert_int_equal(err_of(f, journal(&lease, 0xa2, 0, 2, 1)), X402_OK);
	/* Replaced is signed anew, on another nonce. */
	assert_int_equal(err_of(f, journal(&lease, 0xa3, 1, 1, 1)), X402_OK);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SIGNED);
	/* The first one's end is not this one's. */
	assert_int_equal(err_of(f, replaced(0xa1)), X402_OK);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SIGNED);
}

static void test_store_batch_is_signed_whole_or_not(void **state)
{
	struct fixture *f = *state;
	struct fac_store_lease lease = sign(f, 0xa1, 1, 1);

	reserve_index(f, 2);
	/* 1 is signed already; 3 is unknown. */
	assert_int_equal(
		err_of(f, journal(&lease, 0xa2, 1, 1, 2)), X402_ERR_CONFLICT);
	assert_int_equal(
		err_of(f, journal(&lease, 0xa2, 1, 2, 2)), X402_ERR_CONFLICT);
	assert_int_equal(state_of(f, 2), FAC_PAYMENT_RESERVED);
	assert_int_equal(err_of(f, journal(&lease, 0xa2, 1, 2, 1)), X402_OK);
	/* A gap is filled by one that pays nothing. */
	assert_int_equal(err_of(f, journal(&lease, 0xa4, 2, 0, 0)), X402_OK);
}

static void test_store_attempts_follow_the_same_rule(void **state)
{
	struct fixture *f = *state;
	struct fac_store_lease lease = sign(f, 0xa1, 1, 2);
	struct fac_store_lease stale = lease_of(ME, lease.token + 1);
	struct fac_attempt attempt = attempt_of(0xb1);
	const struct heard *heard;

	heard = ask(
		f, fac_verb_journal_attempt(key_of(0xa1), &attempt, &stale));
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_true(heard->reply.fenced);
	for (int i = 0; i < 2; i++)
		assert_int_equal(err_of(f,
					 fac_verb_journal_attempt(key_of(0xa1),
						 &attempt, &lease)),
			X402_OK);
	heard = ask(f,
		fac_verb_payment_get((struct fac_payment_query){
			.transaction32 = key_of(0xb1)}));
	assert_int_equal(heard->payments[0].key32[0], 1);
	assert_memory_equal(heard->payments[0].transaction, "0xb1b1", 6);
	for (uint8_t i = 2; i < FAC_ATTEMPTS_MAX; i++) {
		attempt = attempt_of((uint8_t)(0xb0 + i));
		assert_int_equal(err_of(f,
					 fac_verb_journal_attempt(key_of(0xa1),
						 &attempt, &lease)),
			X402_OK);
	}
	attempt = attempt_of(0xbf);
	assert_int_equal(err_of(f,
				 fac_verb_journal_attempt(
					 key_of(0xa1), &attempt, &lease)),
		X402_ERR_CONFLICT);
	assert_int_equal(err_of(f,
				 fac_verb_journal_attempt(
					 key_of(0xee), &attempt, &lease)),
		X402_ERR_CONFLICT);
}

static void test_store_mined_takes_no_more_attempts(void **state)
{
	struct fixture *f = *state;
	struct fac_store_lease lease = sign(f, 0xa1, 1, 1);
	struct fac_attempt attempt = attempt_of(0xb1);

	assert_int_equal(err_of(f, mined(0xa1, 0xa1, NULL, 0)), X402_OK);
	assert_int_equal(err_of(f,
				 fac_verb_journal_attempt(
					 key_of(0xa1), &attempt, &lease)),
		X402_ERR_CONFLICT);
	assert_int_equal(err_of(f, replaced(0xa1)), X402_ERR_CONFLICT);
	assert_int_equal(
		err_of(f, mined(0xee, 0xee, NULL, 0)), X402_ERR_NOT_FOUND);
	assert_int_equal(err_of(f, fac_verb_mark_broadcast(key_of(0xee))),
		X402_ERR_NOT_FOUND);
}

static void test_store_signed_payment_cannot_be_released(void **state)
{
	struct fixture *f = *state;

	sign(f, 0xa1, 1, 1);
	assert_int_equal(err_of(f, fac_verb_release(key_of(1), ME, "")),
		X402_ERR_CONFLICT);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SIGNED);
}

/* ---- Ends. ---- */

static void test_store_table_permits_exactly_these_steps(void **state)
{
	static const struct {
		enum fac_payment_state from;
		enum fac_payment_state to;
	} never[] = {/* R3: what was signed is never simply given up. */
		{FAC_PAYMENT_SIGNED, FAC_PAYMENT_CANCELLED},
		{FAC_PAYMENT_BROADCAST, FAC_PAYMENT_CANCELLED},
		{FAC_PAYMENT_REPLACED, FAC_PAYMENT_CANCELLED},
		/* R2: an end is not reserved again. */
		{FAC_PAYMENT_SETTLED, FAC_PAYMENT_RESERVED},
		{FAC_PAYMENT_EXPIRED, FAC_PAYMENT_SIGNED},
		{FAC_PAYMENT_REVERTED, FAC_PAYMENT_SIGNED},
		{FAC_PAYMENT_STATE_COUNT, FAC_PAYMENT_SETTLED}};
	unsigned permitted = 0;

	(void)state;
	for (int from = 0; from < FAC_PAYMENT_STATE_COUNT; from++)
		for (int to = 0; to < FAC_PAYMENT_STATE_COUNT; to++)
			permitted += fac_payment_may_follow(
				(enum fac_payment_state)from,
				(enum fac_payment_state)to);
	assert_int_equal(permitted, 23);
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		assert_false(
			fac_payment_may_follow(never[i].from, never[i].to));
}

static void test_store_end_is_kept(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end reverted = end_of(1, FAC_PAYMENT_REVERTED, 0xa1);
	struct fac_store_end expired = end_of(1, FAC_PAYMENT_EXPIRED, 0xa1);
	struct fac_store_end back = end_of(1, FAC_PAYMENT_BROADCAST, 0xa1);
	struct fac_store_end nobody = end_of(9, FAC_PAYMENT_SETTLED, 0);
	const struct heard *heard;

	sign(f, 0xa1, 1, 1);
	heard = ask(f, finish(&reverted));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_int_equal(
		heard->payments[0].reason, X402_REASON_EVM_TRANSACTION_FAILED);
	assert_string_equal(heard->payments[0].message, "why");
	assert_int_equal(err_of(f, finish(&reverted)), X402_OK);
	heard = ask(f, finish(&expired));
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_int_equal(heard->payments[0].state, FAC_PAYMENT_REVERTED);
	/* Back to work by mark_dropped only. */
	assert_int_equal(err_of(f, finish(&back)), X402_ERR_CONFLICT);
	assert_int_equal(err_of(f, finish(&nobody)), X402_ERR_NOT_FOUND);
	/* It came to light that its money had moved. */
	reverted.state = FAC_PAYMENT_SETTLED;
	assert_int_equal(err_of(f, finish(&reverted)), X402_OK);
}

static void test_store_late_broadcast_leaves_an_end_alone(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xcc);

	sign(f, 0xa1, 1, 1);
	/* Somebody else landed it while our bytes were on their way. */
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	assert_int_equal(
		err_of(f, fac_verb_mark_broadcast(key_of(0xa1))), X402_OK);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SETTLED);
	/* And it is found by that somebody's hash. */
	assert_int_equal(
		err_of(f,
			fac_verb_payment_get((struct fac_payment_query){
				.transaction32 = key_of(0xcc)})),
		X402_OK);
}

static void test_store_mined_ends_in_order_and_alone(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end ends[3];
	const struct heard *heard;

	sign(f, 0xa1, 1, 3);
	ends[0] = end_of(1, FAC_PAYMENT_EXPIRED, 0xa1);
	assert_int_equal(err_of(f, finish(&ends[0])), X402_OK);
	ends[0] = end_of(3, FAC_PAYMENT_SETTLED, 0xa1);
	ends[1] = end_of(1, FAC_PAYMENT_REVERTED, 0xa1); /* refused */
	ends[2] = end_of(2, FAC_PAYMENT_REPLACED, 0xa1);
	heard = ask(f, mined(0xa1, 0xa1, ends, 3));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_int_equal(heard->reply.payments_len, 3);
	assert_int_equal(heard->payments[0].key32[0], 3);
	assert_int_equal(heard->payments[0].state, FAC_PAYMENT_SETTLED);
	assert_int_equal(heard->payments[1].state, FAC_PAYMENT_EXPIRED);
	assert_int_equal(heard->payments[2].state, FAC_PAYMENT_REPLACED);
}

static void test_store_reorg_takes_back_its_own_ends(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end ends[2] = {end_of(1, FAC_PAYMENT_SETTLED, 0xa1),
		end_of(2, FAC_PAYMENT_REVERTED, 0xa1)};
	struct fac_store_end foreign = end_of(3, FAC_PAYMENT_SETTLED, 0xcc);
	const struct heard *heard;

	sign(f, 0xa1, 1, 3);
	assert_int_equal(err_of(f, finish(&foreign)), X402_OK);
	assert_int_equal(err_of(f, mined(0xa1, 0xa1, ends, 2)), X402_OK);
	assert_true(ask(f, fac_verb_credit(key_of(1), "{}"))->reply.claimed);
	heard = ask(f, dropped(0xa1));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_int_equal(heard->reply.payments_len, 2);
	assert_int_equal(heard->payments[0].state, FAC_PAYMENT_BROADCAST);
	assert_true(heard->payments[0].credited);
	assert_int_equal(state_of(f, 3), FAC_PAYMENT_SETTLED);
	assert_int_equal(err_of(f, dropped(0xa1)), X402_ERR_CONFLICT);
	assert_int_equal(err_of(f, final(0xa1)), X402_ERR_CONFLICT);
	/* And it is mined again, and credited no second time. */
	assert_int_equal(err_of(f, mined(0xa1, 0xa1, ends, 2)), X402_OK);
	assert_false(ask(f, fac_verb_credit(key_of(1), "x"))->reply.claimed);
}

static void test_store_success_is_credited_once(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);
	const struct heard *heard;

	sign(f, 0xa1, 1, 1);
	assert_int_equal(
		err_of(f, fac_verb_credit(key_of(1), "{}")), X402_ERR_CONFLICT);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	heard = ask(f, fac_verb_credit(key_of(1), "{\"n\":1}"));
	assert_true(heard->reply.claimed);
	heard = ask(f, fac_verb_credit(key_of(1), "{\"n\":2}"));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_false(heard->reply.claimed);
	assert_string_equal(heard->payments[0].answer, "{\"n\":1}");
	assert_int_equal(err_of(f, fac_verb_credit(key_of(9), "{}")),
		X402_ERR_NOT_FOUND);
}

/* ---- Taking up again. ---- */

static void test_store_lane_comes_back_whole(void **state)
{
	struct fixture *f = *state;
	struct fac_store_lease lease = sign(f, 0xa1, 1, 2);
	struct x402_address signer = signer_address();
	struct fac_attempt attempt = attempt_of(0xb1);
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);
	const struct heard *heard;

	assert_int_equal(err_of(f,
				 fac_verb_journal_attempt(
					 key_of(0xa1), &attempt, &lease)),
		X402_OK);
	assert_int_equal(err_of(f, journal(&lease, 0xa2, 1, 0, 0)), X402_OK);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	heard = ask(f, fac_verb_load_lane(NETWORK, &signer, OTHER));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_int_equal(heard->reply.transactions_len, 2);
	assert_int_equal(heard->transactions[0].attempts_len, 2);
	assert_memory_equal(heard->transactions[0].id32, key_of(0xa1), 32);
	assert_memory_equal(
		heard->transactions[0].attempts[1].hash32, key_of(0xb1), 32);
	assert_int_equal(heard->transactions[0].attempts[1].raw.len, 3);
	assert_int_equal(
		x402_u256_cmp(&attempt.max_fee_per_gas,
			&heard->transactions[0].attempts[1].max_fee_per_gas),
		0);
	assert_int_equal(heard->transactions[0].keys_len, 2);
	assert_memory_equal(heard->transactions[0].keys32[1], key_of(2), 32);
	assert_int_equal(heard->transactions[1].keys_len, 0);
	assert_int_equal(heard->reply.payments_len, 2);
	/* The new holder's, unless they have ended. */
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(heard->payments[i].owner,
			heard->payments[i].state == FAC_PAYMENT_SETTLED
				? ME
				: OTHER);
	heard = ask(f, fac_verb_next_nonce_floor(NETWORK, &signer));
	assert_int_equal(heard->reply.number, 2);
	heard = ask(f, fac_verb_next_nonce_floor("eip155:1", &signer));
	assert_int_equal(heard->reply.number, 0);
}

static void test_store_revives_from_a_nonce_on(void **state)
{
	struct fixture *f = *state;
	struct fac_store_lease lease = sign(f, 0xa1, 1, 1);
	struct x402_address signer = signer_address();
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);
	const struct heard *heard;

	assert_int_equal(err_of(f, journal(&lease, 0xa2, 1, 0, 0)), X402_OK);
	assert_int_equal(err_of(f, journal(&lease, 0xa3, 2, 0, 0)), X402_OK);
	assert_int_equal(err_of(f, mined(0xa1, 0xa1, &end, 1)), X402_OK);
	assert_int_equal(err_of(f, mined(0xa2, 0xa2, NULL, 0)), X402_OK);
	assert_int_equal(err_of(f, final(0xa1)), X402_OK);
	heard = ask(f, fac_verb_revive(NETWORK, &signer, 0));
	assert_int_equal(heard->reply.transactions_len, 2);
	assert_int_equal(heard->transactions[0].nonce, 0);
	assert_int_equal(
		heard->transactions[0].state, FAC_TRANSACTION_BROADCAST);
	assert_int_equal(heard->transactions[0].keys_len, 1);
	assert_int_equal(heard->transactions[0].attempts[0].raw.len, 3);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SETTLED);
	heard = ask(f, fac_verb_revive(NETWORK, &signer, 0));
	assert_int_equal(heard->reply.transactions_len, 0);
}

static void test_store_payment_is_found_by_each_name(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	const struct fac_payment_query found[] = {{.id = payment.id},
		{.key32 = payment.key32},
		{.payload_hash32 = payment.payload_hash32},
		{.idempotency_scope = "s", .idempotency_key = "k"},
		/* A miss is followed by the next member. */
		{.id = "nonsense",
			.transaction32 = payment.key32,
			.payload_hash32 = payment.payload_hash32}};
	const struct fac_payment_query missed[] = {{.id = "x"}, {0},
		{.key32 = payment.fingerprint32},
		{.transaction32 = payment.key32}, {.idempotency_key = "k"},
		{.idempotency_scope = "t", .idempotency_key = "k"}};

	snprintf(payment.idempotency_scope, 8, "s");
	snprintf(payment.idempotency_key, 8, "k");
	assert_true(reserve(f, &payment)->reply.claimed);
	for (size_t i = 0; i < ARRAY_LEN(found); i++) {
		const struct heard *heard = ask(
			f, fac_verb_payment_get(found[i]));

		assert_int_equal(heard->reply.err, X402_OK);
		assert_int_equal(heard->reply.events_len, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(missed); i++)
		assert_int_equal(err_of(f, fac_verb_payment_get(missed[i])),
			X402_ERR_NOT_FOUND);
}

static const struct CMUnitTest contract[] = {
	STORE_TEST(test_store_reserve_keeps_every_field),
	STORE_TEST(test_store_second_reservation_meets_the_row),
	STORE_TEST(test_store_idempotency_key_of_another_is_conflict),
	STORE_TEST(test_store_released_payment_may_come_again),
	STORE_TEST(test_store_text_cut_inside_a_letter_is_kept),
	STORE_TEST(test_store_ceiling_refuses_and_counts_back),
	STORE_TEST(test_store_hand_over_makes_it_anybodys),
	STORE_TEST(test_store_takes_over_from_the_dead_only),
	STORE_TEST(test_store_walks_a_payment_to_its_end),
	STORE_TEST(test_store_journal_needs_the_present_lease),
	STORE_TEST(test_store_lane_is_held_and_renewed),
	STORE_TEST(test_store_nonce_has_one_live_transaction),
	STORE_TEST(test_store_batch_is_signed_whole_or_not),
	STORE_TEST(test_store_attempts_follow_the_same_rule),
	STORE_TEST(test_store_mined_takes_no_more_attempts),
	STORE_TEST(test_store_signed_payment_cannot_be_released),
	STORE_TEST(test_store_table_permits_exactly_these_steps),
	STORE_TEST(test_store_end_is_kept),
	STORE_TEST(test_store_late_broadcast_leaves_an_end_alone),
	STORE_TEST(test_store_mined_ends_in_order_and_alone),
	STORE_TEST(test_store_reorg_takes_back_its_own_ends),
	STORE_TEST(test_store_success_is_credited_once),
	STORE_TEST(test_store_lane_comes_back_whole),
	STORE_TEST(test_store_revives_from_a_nonce_on),
	STORE_TEST(test_store_payment_is_found_by_each_name),
};

int main(void)
{
	return cmocka_run_group_tests(contract, NULL, NULL);
}
