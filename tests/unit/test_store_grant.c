/*
 * Transactions that have paid already, used up and granted in one commit. On
 * SQLite and, where X402_TEST_POSTGRES holds a URI, on PostgreSQL.
 */
#include "store_house.h"

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Payment index, paid by the transaction whose bytes are hash. */
static struct fac_payment shown(uint8_t index, uint8_t hash)
{
	struct fac_payment payment = payment_of(index);

	memset(payment.proof.nonce32, hash, 32);
	snprintf(payment.scheme, sizeof(payment.scheme), "proof");
	payment.calldata = (struct x402_buf){0};
	payment.valid_before_unix_s = 5000;
	payment.cost_gwei = 0;
	payment.block_number = 77;
	snprintf(payment.transaction, sizeof(payment.transaction), "0x");
	for (size_t i = 0; i < 32; i++)
		snprintf(payment.transaction + 2 + 2 * i, 3, "%02x", hash);
	return payment;
}

static const struct heard *grant(struct fixture *f,
	const struct fac_payment *payment, const char *answer)
{
	return ask(f, fac_verb_grant(payment, answer));
}

static void test_store_grant_is_settled_and_credited_at_once(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = shown(1, 0xa1);
	const struct heard *heard = grant(f, &payment, "{\"n\":1}");
	uint8_t hash32[32];

	assert_int_equal(heard->reply.err, X402_OK);
	assert_true(heard->reply.claimed);
	assert_int_equal(heard->reply.payments_len, 1);
	assert_int_equal(heard->payments[0].state, FAC_PAYMENT_SETTLED);
	assert_true(heard->payments[0].credited);
	assert_string_equal(heard->payments[0].answer, "{\"n\":1}");
	assert_string_equal(
		heard->payments[0].transaction, payment.transaction);
	assert_int_equal(heard->payments[0].block_number, 77);
	assert_string_equal(heard->payments[0].id, payment.id);
	memset(hash32, 0xa1, 32);
	heard = ask(f,
		fac_verb_payment_get(
			(struct fac_payment_query){.transaction32 = hash32}));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_int_equal(heard->reply.events_len, 2);
	assert_int_equal(heard->events[1].state, FAC_PAYMENT_SETTLED);
	/* The hooks hear of it like of any other. */
	heard = ask(f, fac_verb_outbox_take(8, LONG_MS));
	assert_int_equal(heard->reply.outbox_len, 2);
	assert_int_equal(heard->outbox[0].state, FAC_PAYMENT_SETTLED);
}

static void test_store_second_grant_meets_the_first(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = shown(1, 0xa1);
	const struct heard *heard;

	assert_true(grant(f, &payment, "first")->reply.claimed);
	/* Another request, reference and shop: the key is the same. */
	snprintf(payment.id, sizeof(payment.id), "%032x", 99);
	memset(payment.fingerprint32, 0x77, 32);
	heard = grant(f, &payment, "second");
	assert_int_equal(heard->reply.err, X402_OK);
	assert_false(heard->reply.claimed);
	assert_string_equal(heard->payments[0].answer, "first");
	assert_string_not_equal(heard->payments[0].id, payment.id);
	assert_int_equal(
		ask(f, fac_verb_outbox_take(8, LONG_MS))->reply.outbox_len, 2);
	/* The same row again finds itself, for a caller that was not told. */
	payment = shown(1, 0xa1);
	heard = grant(f, &payment, "third");
	assert_false(heard->reply.claimed);
	assert_string_equal(heard->payments[0].id, payment.id);
	assert_string_equal(heard->payments[0].answer, "first");
}

static void test_store_grants_of_one_commit_are_one(void **state)
{
	struct fixture *f = *state;
	struct heard *heards[8];
	unsigned claimed = 0;

	for (uint8_t i = 0; i < 8; i++) {
		struct fac_payment payment = shown(1, 0xa1);

		snprintf(payment.id, sizeof(payment.id), "%032x", 50 + i);
		heards[i] = submit(f, f->store, fac_verb_grant(&payment, "x"));
	}
	wait_all(f);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(heards[i]->reply.err, X402_OK);
		claimed += heards[i]->reply.claimed;
	}
	assert_int_equal(claimed, 1);
}

/* Two instances: on PostgreSQL they share the UNIQUE key. */
static void test_store_grants_of_two_instances_are_one(void **state)
{
	struct fixture *f = *state;
	struct heard *heards[8];
	unsigned claimed = 0;

	if (!postgres_uri())
		return; /* SQLite's file is one daemon's */
	f->second = open_store(f);
	for (uint8_t i = 0; i < 8; i++) {
		struct fac_payment payment = shown(1, 0xa1);

		snprintf(payment.id, sizeof(payment.id), "%032x", 50 + i);
		heards[i] = submit(f, i % 2 ? f->second : f->store,
			fac_verb_grant(&payment, "x"));
	}
	wait_all(f);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(heards[i]->reply.err, X402_OK);
		claimed += heards[i]->reply.claimed;
	}
	assert_int_equal(claimed, 1);
}

/* What is being settled in another way is not ended by a grant. */
static void test_store_grant_leaves_a_strangers_reservation_alone(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = shown(1, 0xa1);
	const struct heard *heard;

	reserve_index(f, 1);
	snprintf(payment.id, sizeof(payment.id), "%032x", 99);
	heard = grant(f, &payment, "mine");
	assert_int_equal(heard->reply.err, X402_OK);
	assert_false(heard->reply.claimed);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_RESERVED);
}

static void test_store_grant_keeps_idempotency_keys_apart(void **state)
{
	struct fixture *f = *state;
	struct fac_payment first = shown(1, 0xa1);
	struct fac_payment second = shown(2, 0xa2);
	const struct heard *heard;

	snprintf(first.idempotency_scope, sizeof(first.idempotency_scope), "s");
	snprintf(first.idempotency_key, sizeof(first.idempotency_key), "k");
	memcpy(second.idempotency_scope, first.idempotency_scope, 2);
	memcpy(second.idempotency_key, first.idempotency_key, 2);
	assert_true(grant(f, &first, "one")->reply.claimed);
	heard = grant(f, &second, "two");
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_false(heard->reply.claimed);
	assert_int_equal(
		ask(f,
			fac_verb_payment_get(
				(struct fac_payment_query){.key32 = key_of(2)}))
			->reply.err,
		X402_ERR_NOT_FOUND);
}

/* What could have been forgotten is never granted anew (X402_PROOF_LIFE_S). */
static void test_store_grant_of_the_forgotten_past_is_refused(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = shown(1, 0xa1);
	const struct heard *heard;

	assert_true(grant(f, &payment, "first")->reply.claimed);
	assert_int_equal(err_of(f, fac_verb_forget_claims(5000, 100)), X402_OK);
	assert_false(grant(f, &payment, "again")->reply.claimed);
	assert_int_equal(
		ask(f, fac_verb_forget_claims(5001, 100))->reply.number, 1);
	snprintf(payment.id, sizeof(payment.id), "%032x", 99);
	heard = grant(f, &payment, "again");
	assert_int_equal(heard->reply.err, X402_ERR_POLICY);
	assert_false(heard->reply.claimed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_store_grant_is_settled_and_credited_at_once),
		STORE_TEST(test_store_second_grant_meets_the_first),
		STORE_TEST(test_store_grants_of_one_commit_are_one),
		STORE_TEST(test_store_grants_of_two_instances_are_one),
		STORE_TEST(
			test_store_grant_leaves_a_strangers_reservation_alone),
		STORE_TEST(test_store_grant_keeps_idempotency_keys_apart),
		STORE_TEST(test_store_grant_of_the_forgotten_past_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
