/*
 * What an instance may still write after it was paused past its lease: of
 * what another has taken over or signed anew, nothing. On SQLite and, where
 * X402_TEST_POSTGRES holds a URI, on PostgreSQL.
 */
#include "store_house.h"

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A lease of OTHER's, after ME's was let run out. */
static struct fac_store_lease take_lane(struct fixture *f)
{
	assert_true(ask(f, acquire(ME, 0))->reply.claimed);
	return lease_of(OTHER, ask(f, acquire(OTHER, LONG_MS))->reply.number);
}

/* OTHER takes the lane and what is in it. */
static struct fac_store_lease adopt_lane(struct fixture *f)
{
	struct fac_store_lease lease = take_lane(f);
	struct x402_address signer = signer_address();

	assert_int_equal(err_of(f, fac_verb_load_lane(NETWORK, &signer, OTHER)),
		X402_OK);
	return lease;
}

/*
 * ME signed payment 1 in 0xa1 and was paused; OTHER proved it replaced and
 * signed it anew in 0xa2.
 */
static struct fac_store_lease sign_anew(struct fixture *f)
{
	struct fac_store_lease lease;

	sign(f, 0xa1, 1, 1);
	lease = adopt_lane(f);
	assert_int_equal(
		err_of(f, fac_verb_mark_replaced(key_of(0xa1), &lease)),
		X402_OK);
	assert_int_equal(
		err_of(f, fac_verb_take_over(NETWORK, OTHER, 10)), X402_OK);
	assert_int_equal(err_of(f, journal(&lease, 0xa2, 1, 1, 1)), X402_OK);
	return lease;
}

static void test_store_old_end_of_a_lost_payment_is_refused(void **state)
{
	static const enum fac_payment_state ends[] = {FAC_PAYMENT_REPLACED,
		FAC_PAYMENT_REVERTED, FAC_PAYMENT_EXPIRED};
	struct fixture *f = *state;

	sign_anew(f);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct fac_store_end end = end_of(1, ends[i], 0xa1);
		const struct heard *heard = ask(f, finish(&end));

		assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
		assert_int_equal(heard->payments[0].state, FAC_PAYMENT_SIGNED);
		assert_memory_equal(
			heard->payments[0].transaction, "0xa2a2", 6);
		/* Nor by a slip of its new owner. */
		assert_int_equal(err_of(f, fac_verb_finish(&end, OTHER)),
			X402_ERR_CONFLICT);
	}
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SIGNED);
}

static void test_store_end_of_the_present_transaction_is_taken(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_REVERTED, 0xa2);

	sign_anew(f);
	assert_int_equal(
		err_of(f, finish(&end)), X402_ERR_CONFLICT); /* ME's no more */
	assert_int_equal(err_of(f, fac_verb_finish(&end, OTHER)), X402_OK);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_REVERTED);
}

static void test_store_money_moved_by_an_older_transaction_counts(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);

	sign_anew(f);
	assert_int_equal(err_of(f, finish(&end)), X402_ERR_CONFLICT);
	assert_int_equal(err_of(f, fac_verb_finish(&end, OTHER)), X402_OK);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SETTLED);
}

static void test_store_end_that_was_never_signed_needs_no_transaction(
	void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_EXPIRED, 0);

	sign(f, 0xa1, 1, 1);
	/* Of none, but it has one. */
	assert_int_equal(err_of(f, finish(&end)), X402_ERR_CONFLICT);
	reserve_index(f, 2);
	end = end_of(2, FAC_PAYMENT_EXPIRED, 0xa1);
	/* Of one, but it has none. */
	assert_int_equal(err_of(f, finish(&end)), X402_ERR_CONFLICT);
	end = end_of(2, FAC_PAYMENT_EXPIRED, 0);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
}

static void test_store_same_end_twice_is_no_conflict_for_anybody(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_REVERTED, 0xa1);

	sign(f, 0xa1, 1, 1);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	assert_int_equal(err_of(f, fac_verb_finish(&end, OTHER)), X402_OK);
}

static void test_store_marks_need_the_present_lease(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);
	const struct heard *heard;

	sign(f, 0xa1, 1, 1);
	adopt_lane(f);
	heard = ask(f, mined(0xa1, 0xa1, &end, 1));
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_true(heard->reply.fenced);
	heard = ask(f, replaced(0xa1));
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_true(heard->reply.fenced);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SIGNED);
}

static void test_store_settled_block_is_dropped_by_its_holder_only(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);
	struct fac_store_lease lease;
	const struct heard *heard;

	sign(f, 0xa1, 1, 1);
	assert_int_equal(err_of(f, mined(0xa1, 0xa1, &end, 1)), X402_OK);
	lease = adopt_lane(f);
	heard = ask(f, dropped(0xa1));
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_true(heard->reply.fenced);
	heard = ask(f, final(0xa1));
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_true(heard->reply.fenced);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SETTLED);
	heard = ask(
		f, fac_verb_mark_dropped(key_of(0xa1), key_of(0xb0), &lease));
	assert_int_equal(heard->reply.err, X402_OK);
	/* It is whoever works on it now that ends it. */
	assert_string_equal(heard->payments[0].owner, OTHER);
	assert_int_equal(err_of(f, fac_verb_finish(&end, OTHER)), X402_OK);
}

static void test_store_another_block_is_not_dropped(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);
	struct fac_store_lease lease = sign(f, 0xa1, 1, 1);
	const struct heard *heard;

	assert_int_equal(err_of(f, mined(0xa1, 0xa1, &end, 1)), X402_OK);
	heard = ask(
		f, fac_verb_mark_dropped(key_of(0xa1), key_of(0xb1), &lease));
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_false(heard->reply.fenced);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SETTLED);
	heard = ask(
		f, fac_verb_mark_dropped(key_of(0xee), key_of(0xb0), &lease));
	assert_int_equal(heard->reply.err, X402_ERR_NOT_FOUND);
	assert_int_equal(err_of(f, dropped(0xa1)), X402_OK);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_BROADCAST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_store_old_end_of_a_lost_payment_is_refused),
		STORE_TEST(test_store_end_of_the_present_transaction_is_taken),
		STORE_TEST(
			test_store_money_moved_by_an_older_transaction_counts),
		STORE_TEST(
			test_store_end_that_was_never_signed_needs_no_transaction),
		STORE_TEST(
			test_store_same_end_twice_is_no_conflict_for_anybody),
		STORE_TEST(test_store_marks_need_the_present_lease),
		STORE_TEST(
			test_store_settled_block_is_dropped_by_its_holder_only),
		STORE_TEST(test_store_another_block_is_not_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
