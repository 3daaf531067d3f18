/*
 * Verbs that wait together share a commit, but not their failures. On SQLite
 * and, where X402_TEST_POSTGRES holds a URI, on PostgreSQL.
 */
#include "store_house.h"

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_store_failing_neighbours_do_not_sink_a_group(void **state)
{
	struct fixture *f = *state;
	struct fac_payment bad = payment_of(2);
	struct fac_payment payments[3] = {
		payment_of(1), payment_of(3), payment_of(4)};
	struct heard *good[3];
	struct heard *sunk;
	struct heard *absent;

	/* An id that is another payment's: no outcome that is expected. */
	snprintf(bad.id, sizeof(bad.id), "%032x", 1);
	good[0] = submit(f, f->store, fac_verb_reserve(&payments[0], NULL));
	sunk = submit(f, f->store, fac_verb_reserve(&bad, NULL));
	good[1] = submit(f, f->store, fac_verb_reserve(&payments[1], NULL));
	absent = submit(f, f->store, fac_verb_credit(key_of(9), "{}"));
	good[2] = submit(f, f->store, fac_verb_reserve(&payments[2], NULL));
	wait_all(f);
	assert_int_equal(sunk->reply.err, X402_ERR_STORE);
	assert_false(sunk->reply.claimed);
	assert_int_equal(absent->reply.err, X402_ERR_NOT_FOUND);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(good[i]->reply.err, X402_OK);
		assert_true(good[i]->reply.claimed);
		assert_int_equal(good[i]->reply.payments_len, 1);
	}
}

static void test_store_verb_that_fails_half_way_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct fac_store_lease lease = sign(f, 0xa1, 1, 1);
	struct fac_payment payments[3] = {
		payment_of(2), payment_of(4), payment_of(5)};
	struct heard *before;
	struct heard *half;
	struct heard *after;

	assert_int_equal(
		err_of(f, fac_verb_reserve(&payments[0], NULL)), X402_OK);
	/* The transaction and the link of 2 are written; nobody knows 3. */
	before = submit(f, f->store, fac_verb_reserve(&payments[1], NULL));
	half = submit(f, f->store, journal(&lease, 0xa2, 1, 2, 2));
	after = submit(f, f->store, fac_verb_reserve(&payments[2], NULL));
	wait_all(f);
	assert_int_equal(half->reply.err, X402_ERR_CONFLICT);
	assert_true(before->reply.claimed);
	assert_int_equal(before->reply.payments_len, 1);
	assert_true(after->reply.claimed);
	assert_int_equal(state_of(f, 2), FAC_PAYMENT_RESERVED);
	assert_int_equal(state_of(f, 4), FAC_PAYMENT_RESERVED);
	assert_int_equal(state_of(f, 5), FAC_PAYMENT_RESERVED);
	assert_int_equal(err_of(f, journal(&lease, 0xa2, 1, 2, 1)), X402_OK);
	assert_int_equal(state_of(f, 2), FAC_PAYMENT_SIGNED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_store_failing_neighbours_do_not_sink_a_group),
		STORE_TEST(test_store_verb_that_fails_half_way_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
