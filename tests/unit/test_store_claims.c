/*
 * When an authorization may be forgotten, and that nobody can claim it anew
 * then. On SQLite and, where X402_TEST_POSTGRES holds a URI, on PostgreSQL.
 */
#include "store_house.h"

#include <sqlite3.h>

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* validBefore of the payments here, and a time when they are dead. */
#define ENDS_S 1000
#define DEAD_S 1500
/* A claim that cannot go is looked at again after so long. */
#define AGAIN_S 3600

static struct fac_payment mortal(uint8_t index)
{
	struct fac_payment payment = payment_of(index);

	payment.valid_before_unix_s = ENDS_S;
	return payment;
}

static const struct heard *by_key(struct fixture *f, uint8_t index)
{
	return ask(f,
		fac_verb_payment_get(
			(struct fac_payment_query){.key32 = key_of(index)}));
}

static bool is_claimed(struct fixture *f, uint8_t index)
{
	return !by_key(f, index)->reply.err;
}

static const struct heard *forget(struct fixture *f, uint64_t dead_s)
{
	const struct heard *heard = ask(f, fac_verb_forget_claims(dead_s, 100));

	assert_int_equal(heard->reply.err, X402_OK);
	return heard;
}

/* Number 1, settled by 0xa1 on nonce 0; final, told. */
static struct fac_store_lease settle(
	struct fixture *f, const struct fac_payment *payment)
{
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);
	struct fac_store_lease lease = lease_of(
		ME, ask(f, acquire(ME, LONG_MS))->reply.number);

	assert_true(reserve(f, payment)->reply.claimed);
	assert_int_equal(err_of(f, journal(&lease, 0xa1, 0, 1, 1)), X402_OK);
	assert_int_equal(err_of(f, mined(0xa1, 0xa1, &end, 1)), X402_OK);
	assert_true(ask(f, fac_verb_credit(key_of(1), "{}"))->reply.claimed);
	assert_int_equal(err_of(f, final(0xa1)), X402_OK);
	return lease;
}

static struct fac_store_lease settle_one(struct fixture *f)
{
	struct fac_payment payment = mortal(1);

	return settle(f, &payment);
}

/* Solana's parties have 32 bytes. */
static void test_store_keeps_a_payment_of_solana(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	struct x402_settle_parties parties;
	const struct fac_payment *got;

	payment.proof.family = X402_FAMILY_SVM;
	memset(payment.proof.svm_asset.bytes, 0xa1, 32);
	memset(payment.proof.svm_from.bytes, 0xb2, 32);
	memset(payment.proof.svm_to.bytes, 0xc3, 32);
	got = reserve(f, &payment)->payments;
	assert_int_equal(got->proof.family, X402_FAMILY_SVM);
	assert_memory_equal(
		&got->proof.svm_asset, &payment.proof.svm_asset, 32);
	assert_memory_equal(&got->proof.svm_to, &payment.proof.svm_to, 32);
	parties = x402_settle_proof_parties(&got->proof);
	assert_string_equal(
		parties.payer, "D2ZcUbtpG5sKq7XLeB4YnpNnTGSptKCxTddoNeydzJQq");
}

/* The bytes are forgotten when it is final, but for what names it. */
static void test_store_keeps_the_signature_of_solana(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xab);
	struct fac_store_lease lease = lease_of(
		ME, ask(f, acquire(ME, LONG_MS))->reply.number);
	char before[FAC_TRANSACTION_TEXT_SIZE];
	char after[FAC_TRANSACTION_TEXT_SIZE];
	const struct heard *heard;
	uint8_t raw[300];

	memset(raw, 0xd4, sizeof(raw));
	payment.proof.family = X402_FAMILY_SVM;
	memset(payment.proof.svm_from.bytes, 0xb2, 32);
	payment.calldata = (struct x402_buf){.ptr = raw, .len = sizeof(raw)};
	reserve(f, &payment);
	assert_int_equal(err_of(f, journal(&lease, 0xab, 1, 1, 1)), X402_OK);
	heard = ask(f, mined(0xab, 0xab, &end, 1));
	assert_int_equal(heard->reply.err, X402_OK);
	fac_payment_transaction_text(&heard->payments[0], before);
	assert_true(strlen(before) > 80);
	assert_int_equal(err_of(f, final(0xab)), X402_OK);
	heard = ask(f,
		fac_verb_payment_get(
			(struct fac_payment_query){.key32 = key_of(1)}));
	assert_int_equal(heard->payments[0].calldata.len, 65);
	fac_payment_transaction_text(&heard->payments[0], after);
	assert_string_equal(before, after);
}

/* Solana Pay: a seller knows its reference, and nothing else. */
static void test_store_payment_is_found_by_its_reference(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	struct fac_payment other = payment_of(2);
	uint8_t reference[32];
	const struct fac_payment_query query = {.reference32 = reference};
	const struct heard *heard;

	memset(reference, 0x77, 32);
	memset(payment.references[0].bytes, 0x66, 32);
	memset(payment.references[1].bytes, 0x77, 32);
	memset(payment.references[2].bytes, 0x77, 32); /* twice is once */
	payment.references_len = 3;
	assert_int_equal(
		err_of(f, fac_verb_payment_get(query)), X402_ERR_NOT_FOUND);
	assert_true(reserve(f, &payment)->reply.claimed);
	heard = ask(f, fac_verb_payment_get(query));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_string_equal(heard->payments[0].id, payment.id);
	assert_int_equal(heard->reply.events_len, 1);
	/* Whoever did not get the key has no references either. */
	snprintf(payment.id, sizeof(payment.id), "%032x", 99);
	memset(payment.references[0].bytes, 0x55, 32);
	assert_false(reserve(f, &payment)->reply.claimed);
	memset(reference, 0x55, 32);
	assert_int_equal(
		err_of(f, fac_verb_payment_get(query)), X402_ERR_NOT_FOUND);
	/* The newest of several. */
	memset(reference, 0x66, 32);
	memset(other.references[0].bytes, 0x66, 32);
	other.references_len = 1;
	assert_true(reserve(f, &other)->reply.claimed);
	heard = ask(f, fac_verb_payment_get(query));
	assert_string_equal(heard->payments[0].id, other.id);
}

static void test_store_dead_claim_is_forgotten_and_its_row_is_found(
	void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = mortal(1);
	uint8_t hash32[32];
	const struct fac_payment_query queries[] = {{.id = payment.id},
		{.transaction32 = hash32},
		{.payload_hash32 = payment.payload_hash32}};

	memset(hash32, 0xa1, 32);
	settle_one(f);
	assert_int_equal(forget(f, ENDS_S)->reply.number, 0);
	assert_true(is_claimed(f, 1));
	assert_int_equal(forget(f, DEAD_S)->reply.number, 1);
	assert_false(is_claimed(f, 1));
	assert_int_equal(forget(f, DEAD_S)->reply.number, 0);
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		const struct heard *heard = ask(
			f, fac_verb_payment_get(queries[i]));

		assert_int_equal(heard->reply.err, X402_OK);
		assert_memory_equal(heard->payments[0].key32, key_of(1), 32);
		assert_int_equal(heard->payments[0].state, FAC_PAYMENT_SETTLED);
		assert_int_equal(heard->reply.events_len, 3);
	}
}

static void test_store_dead_authorization_is_never_claimed(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = mortal(1);
	struct fac_payment unseen = mortal(2);
	const struct heard *heard;

	settle_one(f);
	heard = reserve(f, &payment);
	assert_int_equal(heard->reply.err, X402_OK);
	assert_false(heard->reply.claimed);
	forget(f, DEAD_S);
	snprintf(payment.id, sizeof(payment.id), "%032x", 77);
	heard = reserve(f, &payment);
	assert_int_equal(heard->reply.err, X402_ERR_POLICY);
	assert_false(heard->reply.claimed);
	assert_non_null(strstr(heard->reply.message, "validBefore"));
	/* Nor one that was never here: who knows. */
	assert_int_equal(reserve(f, &unseen)->reply.err, X402_ERR_POLICY);
	/* A clock that goes back does not open the door again. */
	forget(f, 10);
	assert_int_equal(reserve(f, &payment)->reply.err, X402_ERR_POLICY);
	unseen.valid_before_unix_s = DEAD_S;
	assert_true(reserve(f, &unseen)->reply.claimed);
}

/* After a reply that got lost; nobody else is told that it has it. */
static void test_store_success_is_claimed_again_by_the_same_claim(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0);
	const uint8_t claims[2][32] = {{1}, {2}};
	const struct heard *heard;

	assert_true(reserve(f, &payment)->reply.claimed);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	for (unsigned i = 0; i < 2; i++) {
		heard = ask(f,
			fac_verb_credit_claim(
				key_of(1), "{\"n\":1}", claims[0]));
		assert_true(heard->reply.claimed);
		assert_string_equal(heard->payments[0].answer, "{\"n\":1}");
	}
	heard = ask(
		f, fac_verb_credit_claim(key_of(1), "{\"n\":2}", claims[1]));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_false(heard->reply.claimed);
	assert_string_equal(heard->payments[0].answer, "{\"n\":1}");
	assert_false(ask(f, fac_verb_credit(key_of(1), "{}"))->reply.claimed);
}

static void test_store_success_without_a_claim_is_claimed_once(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0);
	const uint8_t claim32[32] = {0};

	assert_true(reserve(f, &payment)->reply.claimed);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	assert_true(ask(f, fac_verb_credit(key_of(1), "{}"))->reply.claimed);
	assert_false(ask(f, fac_verb_credit(key_of(1), "{}"))->reply.claimed);
	assert_false(ask(f, fac_verb_credit_claim(key_of(1), "{}", claim32))
			     ->reply.claimed);
}

/* A clock that was years ahead for a moment. */
static void test_store_clock_ahead_shuts_no_door(void **state)
{
	const uint64_t ahead_s = UINT64_C(1) << 40;
	struct fixture *f = *state;
	struct fac_payment payment = mortal(1);
	struct fac_payment next = mortal(2);

	settle_one(f);
	assert_int_equal(forget(f, ahead_s)->reply.number, 1);
	assert_int_equal(reserve(f, &payment)->reply.err, X402_ERR_POLICY);
	next.valid_before_unix_s = ENDS_S + 1;
	assert_true(reserve(f, &next)->reply.claimed);
	/* The same for what is retired. */
	assert_int_equal(ask(f, fac_verb_retire(ahead_s, 10))->reply.number, 1);
	assert_int_equal(reserve(f, &payment)->reply.err, X402_ERR_POLICY);
	next = mortal(3);
	next.valid_before_unix_s = ENDS_S + 1;
	assert_true(reserve(f, &next)->reply.claimed);
}

/* Nor does one that was never claimed, retired with its row. */
static void test_store_retired_row_shuts_the_door_behind_it(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = mortal(1);
	struct fac_store_end end = end_of(1, FAC_PAYMENT_EXPIRED, 0);

	assert_true(reserve(f, &payment)->reply.claimed);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	assert_int_equal(ask(f, fac_verb_retire(DEAD_S, 10))->reply.number, 1);
	assert_int_equal(reserve(f, &payment)->reply.err, X402_ERR_POLICY);
	payment.valid_before_unix_s = ENDS_S + 1;
	assert_true(reserve(f, &payment)->reply.claimed);
}

/* A delegation: its row goes in time, and its key is nobody's for ever. */
static void test_store_endless_claim_outlives_its_row(void **state)
{
	static const uint64_t far_s = 4000000000;
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	struct fac_payment other = mortal(2);

	payment.valid_before_unix_s = UINT64_MAX;
	settle(f, &payment);
	assert_int_equal(forget(f, far_s)->reply.number, 0);
	assert_true(is_claimed(f, 1));
	/* Not before the days that the operator keeps it. */
	assert_int_equal(ask(f, fac_verb_retire(DEAD_S, 10))->reply.number, 0);
	assert_int_equal(ask(f, fac_verb_retire(far_s, 10))->reply.number, 1);
	assert_false(is_claimed(f, 1));
	/* No door is shut for others, and none of them takes its place. */
	assert_true(reserve(f, &other)->reply.claimed);
	assert_false(is_claimed(f, 1));
	for (int i = 0; i < 2; i++) {
		const struct heard *heard = reserve(f, &payment);

		assert_int_equal(heard->reply.err, X402_ERR_POLICY);
		assert_false(heard->reply.claimed);
		forget(f, far_s);
	}
}

static void test_store_endless_one_given_up_may_come_again(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);

	payment.valid_before_unix_s = UINT64_MAX;
	assert_true(reserve(f, &payment)->reply.claimed);
	assert_int_equal(
		err_of(f, fac_verb_release(key_of(1), ME, "left")), X402_OK);
	/* The first to ask may have named another as the payer. */
	memset(payment.proof.from.bytes, 0x99, 20);
	assert_true(reserve(f, &payment)->reply.claimed);
	assert_memory_equal(by_key(f, 1)->payments[0].proof.from.bytes,
		payment.proof.from.bytes, 20);
	assert_int_equal(
		err_of(f, fac_verb_release(key_of(1), ME, "left")), X402_OK);
	forget(f, 4000000000);
	assert_true(reserve(f, &payment)->reply.claimed);
}

/* Whoever asks and leaves, again and again, makes no history without end. */
static void test_store_history_of_a_cancelled_row_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);

	for (unsigned i = 0; i < 60; i++) {
		assert_true(reserve(f, &payment)->reply.claimed);
		assert_int_equal(
			err_of(f, fac_verb_release(key_of(1), ME, "left")),
			X402_OK);
	}
	assert_true(reserve(f, &payment)->reply.claimed);
	assert_in_range(by_key(f, 1)->reply.events_len, 3,
		FAC_CANCELLED_EVENTS_MAX + 1);
}

/* SQL of a test's own, past the store. */
static void both_exec(
	const struct fixture *f, const char *sqlite, const char *postgres)
{
	sqlite3 *db;

	if (postgres_uri()) {
		postgres_exec(f, postgres);
		return;
	}
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sqlite, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

#define EE20     "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
#define SQL_0120 "0101010101010101010101010101010101010101"

/* Each has to be added up for the next one, by the thread of all payments. */
static void test_store_holds_of_one_payer_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct fac_store_hold hold = {.network = NETWORK,
		.amount = x402_u256_from_u64(1),
		.balance = x402_u256_from_u64(1000000),
		.until_ms = INT64_MAX};
	const struct heard *heard;

	memset(hold.key32, 5, 32);
	memset(hold.asset.bytes, 0xee, 20);
	memset(hold.payer.bytes, 1, 20);
	both_exec(f,
		"WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1"
		" FROM n WHERE i < 1099) INSERT INTO holds (key, network,"
		" asset, payer, amount, made_ms, until_ms)"
		" SELECT CAST(i AS BLOB), '" NETWORK "', x'" EE20
		"', x'" SQL_0120 "', '1', 1, 1 << 60 FROM n",
		"INSERT INTO holds (key, network, asset, payer, amount,"
		" made_ms, until_ms) SELECT int8send(i), '" NETWORK "',"
		" '\\x" EE20 "', '\\x" SQL_0120 "', 1, 1, 1::bigint << 60"
		" FROM generate_series(100, 1099) AS i");
	/* A thousand are added up; the next one is one too many. */
	assert_true(ask(f, fac_verb_hold(&hold))->reply.claimed);
	memset(hold.key32, 6, 32);
	heard = ask(f, fac_verb_hold(&hold));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_false(heard->reply.claimed);
	assert_non_null(strstr(heard->reply.message, "too many"));
	memset(hold.payer.bytes, 2, 20);
	assert_true(ask(f, fac_verb_hold(&hold))->reply.claimed);
}

static void test_store_same_nonce_with_a_later_end_is_another_row(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = mortal(1);
	struct fac_store_end end = end_of(1, FAC_PAYMENT_EXPIRED, 0);
	const struct heard *heard;

	assert_true(reserve(f, &payment)->reply.claimed);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	forget(f, DEAD_S);
	payment.valid_before_unix_s = 9000;
	snprintf(payment.id, sizeof(payment.id), "%032x", 77);
	heard = reserve(f, &payment);
	assert_true(heard->reply.claimed);
	assert_string_equal(heard->payments[0].id, payment.id);
	assert_int_equal(by_key(f, 1)->payments[0].state, FAC_PAYMENT_RESERVED);
	/* The newest of a payload. */
	heard = ask(f,
		fac_verb_payment_get((struct fac_payment_query){
			.payload_hash32 = payment.payload_hash32}));
	assert_string_equal(heard->payments[0].id, payment.id);
	assert_int_equal(heard->reply.events_len, 1);
}

static void test_store_living_claims_are_kept(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payments[3] = {mortal(1), mortal(2), mortal(3)};
	struct fac_store_end ends[2] = {end_of(2, FAC_PAYMENT_SETTLED, 0xa1),
		end_of(3, FAC_PAYMENT_REVERTED, 0xa1)};
	struct fac_store_lease lease = lease_of(
		ME, ask(f, acquire(ME, LONG_MS))->reply.number);

	for (size_t i = 0; i < 3; i++)
		assert_true(reserve(f, &payments[i])->reply.claimed);
	assert_int_equal(err_of(f, journal(&lease, 0xa1, 0, 2, 2)), X402_OK);
	assert_int_equal(err_of(f, mined(0xa1, 0xa1, ends, 2)), X402_OK);
	/* 1 has not ended; the block of 2 and 3 may fall. */
	assert_int_equal(forget(f, DEAD_S)->reply.number, 3);
	for (uint8_t i = 1; i <= 3; i++)
		assert_true(is_claimed(f, i));
	/* They do not stand in the way of others for an hour. */
	assert_int_equal(forget(f, DEAD_S)->reply.number, 0);
	assert_int_equal(err_of(f, final(0xa1)), X402_OK);
	assert_int_equal(forget(f, DEAD_S + AGAIN_S + 1)->reply.number, 3);
	/* Nobody was told of 2. */
	assert_true(is_claimed(f, 1));
	assert_true(is_claimed(f, 2));
	assert_false(is_claimed(f, 3));
	assert_true(ask(f, fac_verb_credit(key_of(2), "{}"))->reply.claimed);
	forget(f, DEAD_S + 2 * AGAIN_S + 2);
	assert_false(is_claimed(f, 2));
}

static void test_store_claims_go_a_few_at_a_time(void **state)
{
	struct fixture *f = *state;

	for (uint8_t i = 1; i <= 3; i++) {
		struct fac_payment payment = mortal(i);
		struct fac_store_end end = end_of(i, FAC_PAYMENT_EXPIRED, 0);

		payment.valid_before_unix_s = ENDS_S + i;
		assert_true(reserve(f, &payment)->reply.claimed);
		assert_int_equal(err_of(f, finish(&end)), X402_OK);
	}
	assert_int_equal(
		ask(f, fac_verb_forget_claims(DEAD_S, 2))->reply.number, 2);
	assert_false(is_claimed(f, 2));
	assert_true(is_claimed(f, 3));
}

static void test_store_given_up_claim_takes_its_new_end(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = mortal(1);
	struct fac_store_end end = end_of(1, FAC_PAYMENT_EXPIRED, 0);

	assert_true(reserve(f, &payment)->reply.claimed);
	assert_int_equal(
		err_of(f, fac_verb_release(key_of(1), ME, "")), X402_OK);
	payment.valid_before_unix_s = 9000;
	assert_true(reserve(f, &payment)->reply.claimed);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	assert_int_equal(forget(f, DEAD_S)->reply.number, 0);
	assert_true(is_claimed(f, 1));
	assert_int_equal(forget(f, 9001)->reply.number, 1);
	assert_false(is_claimed(f, 1));
}

/* Payment 1 is forgotten; then the chain forgets its block. */
static void revive_and_mine(struct fixture *f)
{
	struct x402_address signer = signer_address();

	forget(f, DEAD_S);
	assert_int_equal(ask(f, fac_verb_revive(NETWORK, &signer, 0))
				 ->reply.transactions_len,
		1);
	assert_int_equal(err_of(f, mined(0xa1, 0xa1, NULL, 0)), X402_OK);
}

static void test_store_revived_payment_is_claimed_again(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);
	const struct heard *heard;

	settle_one(f);
	revive_and_mine(f);
	heard = ask(f, dropped(0xa1));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_int_equal(heard->reply.payments_len, 1);
	assert_int_equal(
		by_key(f, 1)->payments[0].state, FAC_PAYMENT_BROADCAST);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	/* And its success was told. */
	assert_false(ask(f, fac_verb_credit(key_of(1), "{}"))->reply.claimed);
}

static void test_store_revived_payment_leaves_another_its_key(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = mortal(1);
	const struct heard *heard;

	settle_one(f);
	revive_and_mine(f);
	payment.valid_before_unix_s = 9000;
	snprintf(payment.id, sizeof(payment.id), "%032x", 77);
	assert_true(reserve(f, &payment)->reply.claimed);
	heard = ask(f, dropped(0xa1));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_int_equal(heard->reply.payments_len, 0);
	assert_string_equal(by_key(f, 1)->payments[0].id, payment.id);
}

static void test_store_retired_payment_leaves_no_claim(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = mortal(1);

	settle_one(f);
	assert_int_equal(ask(f, fac_verb_retire(DEAD_S, 10))->reply.number, 1);
	assert_false(is_claimed(f, 1));
	assert_int_equal(forget(f, DEAD_S)->reply.number, 0);
	assert_int_equal(reserve(f, &payment)->reply.err, X402_ERR_POLICY);
}

/* Numbers go on far from here, as if many payments lay between. */
static void skip_numbers(const struct fixture *f)
{
	sqlite3 *db;

	if (postgres_uri()) {
		postgres_exec(f,
			"ALTER TABLE payments ALTER COLUMN sequence"
			" RESTART WITH 300000");
		return;
	}
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				 "UPDATE payments SET sequence = 300000"
				 " WHERE sequence = 2",
				 NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
}

static void test_store_payload_is_found_in_any_bucket(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payments[3] = {
		payment_of(1), payment_of(2), payment_of(3)};
	uint8_t unknown32[32];

	/* Alike in what the index holds of it. */
	memset(payments[2].payload_hash32, 0x41, 8);
	memcpy(unknown32, payments[0].payload_hash32, 32);
	unknown32[31] ^= 1;
	assert_true(reserve(f, &payments[0])->reply.claimed);
	assert_true(reserve(f, &payments[1])->reply.claimed);
	skip_numbers(f);
	assert_true(reserve(f, &payments[2])->reply.claimed);
	for (size_t i = 0; i < 3; i++) {
		const struct heard *heard = ask(f,
			fac_verb_payment_get((struct fac_payment_query){
				.payload_hash32 = payments[i].payload_hash32}));

		assert_int_equal(heard->reply.err, X402_OK);
		assert_string_equal(heard->payments[0].id, payments[i].id);
	}
	assert_int_equal(
		err_of(f,
			fac_verb_payment_get((struct fac_payment_query){
				.payload_hash32 = unknown32})),
		X402_ERR_NOT_FOUND);
}

static void test_store_empty_journal_knows_no_payload(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		err_of(f,
			fac_verb_payment_get((struct fac_payment_query){
				.payload_hash32 = key_of(1)})),
		X402_ERR_NOT_FOUND);
}

/* ---- A batch by its hash. ---- */

static void test_store_transaction_names_all_of_its_batch(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end other = end_of(3, FAC_PAYMENT_SETTLED, 0xcc);
	uint8_t hash32[32];
	const struct heard *heard;

	sign(f, 0xa1, 1, 3);
	memset(hash32, 0xa1, 32);
	heard = ask(f,
		fac_verb_payment_get(
			(struct fac_payment_query){.transaction32 = hash32}));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_int_equal(heard->reply.payments_len, 3);
	for (uint8_t i = 0; i < 3; i++)
		assert_int_equal(heard->payments[i].key32[0], i + 1);
	/* The history is the first one's. */
	assert_int_equal(heard->reply.events_len, 2);
	/* A stranger's transaction names those that it paid. */
	assert_int_equal(err_of(f, finish(&other)), X402_OK);
	memset(hash32, 0xcc, 32);
	heard = ask(f,
		fac_verb_payment_get(
			(struct fac_payment_query){.transaction32 = hash32}));
	assert_int_equal(heard->reply.payments_len, 1);
	assert_int_equal(heard->payments[0].key32[0], 3);
	assert_int_equal(heard->reply.events_len, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_store_keeps_a_payment_of_solana),
		STORE_TEST(test_store_keeps_the_signature_of_solana),
		STORE_TEST(test_store_payment_is_found_by_its_reference),
		STORE_TEST(
			test_store_dead_claim_is_forgotten_and_its_row_is_found),
		STORE_TEST(
			test_store_success_is_claimed_again_by_the_same_claim),
		STORE_TEST(test_store_success_without_a_claim_is_claimed_once),
		STORE_TEST(test_store_clock_ahead_shuts_no_door),
		STORE_TEST(test_store_retired_row_shuts_the_door_behind_it),
		STORE_TEST(test_store_endless_claim_outlives_its_row),
		STORE_TEST(test_store_endless_one_given_up_may_come_again),
		STORE_TEST(test_store_history_of_a_cancelled_row_is_bounded),
		STORE_TEST(test_store_holds_of_one_payer_are_bounded),
		STORE_TEST(test_store_dead_authorization_is_never_claimed),
		STORE_TEST(
			test_store_same_nonce_with_a_later_end_is_another_row),
		STORE_TEST(test_store_living_claims_are_kept),
		STORE_TEST(test_store_claims_go_a_few_at_a_time),
		STORE_TEST(test_store_given_up_claim_takes_its_new_end),
		STORE_TEST(test_store_revived_payment_is_claimed_again),
		STORE_TEST(test_store_revived_payment_leaves_another_its_key),
		STORE_TEST(test_store_retired_payment_leaves_no_claim),
		STORE_TEST(test_store_payload_is_found_in_any_bucket),
		STORE_TEST(test_store_empty_journal_knows_no_payload),
		STORE_TEST(test_store_transaction_names_all_of_its_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
