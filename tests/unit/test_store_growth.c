/*
 * What strangers may write without paying for it is bounded: reservations that
 * are given up, entries of the catalogue that nobody proved. On SQLite and,
 * where X402_TEST_POSTGRES holds a URI, on PostgreSQL.
 */
#include "store_house.h"

#include <sqlite3.h>
#include <time.h>

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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

static uint64_t unix_s(void)
{
	return (uint64_t)time(NULL);
}

static enum x402_err find(struct fixture *f, const char *id)
{
	return err_of(
		f, fac_verb_payment_get((struct fac_payment_query){.id = id}));
}

/* ---- Asked and left. ---- */

static void test_store_given_up_row_is_forgotten_whatever_its_end(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payments[2] = {payment_of(1), payment_of(2)};
	uint64_t now_s = unix_s();

	for (size_t i = 0; i < 2; i++) {
		/* In a hundred years. */
		payments[i].valid_before_unix_s = now_s + UINT64_C(3153600000);
		assert_true(reserve(f, &payments[i])->reply.claimed);
	}
	assert_int_equal(
		err_of(f, fac_verb_release(key_of(1), ME, "left")), X402_OK);
	/* Whoever asked may look it up for a while. */
	ask(f, fac_verb_forget_claims(now_s + FAC_CANCELLED_KEEP_S - 60, 10));
	assert_int_equal(find(f, payments[0].id), X402_OK);
	ask(f, fac_verb_forget_claims(now_s + FAC_CANCELLED_KEEP_S + 60, 10));
	assert_int_equal(find(f, payments[0].id), X402_ERR_NOT_FOUND);
	assert_int_equal(find(f, payments[1].id), X402_OK);
	/* Nothing of it was sent, so it may come again. */
	assert_true(reserve(f, &payments[0])->reply.claimed);
}

static void test_store_row_that_was_claimed_again_is_kept(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	uint64_t now_s = unix_s();

	payment.valid_before_unix_s = now_s + 86400;
	assert_true(reserve(f, &payment)->reply.claimed);
	assert_int_equal(
		err_of(f, fac_verb_release(key_of(1), ME, "left")), X402_OK);
	assert_true(reserve(f, &payment)->reply.claimed);
	ask(f, fac_verb_forget_claims(now_s + FAC_CANCELLED_KEEP_S + 60, 10));
	assert_int_equal(find(f, payment.id), X402_OK);
	assert_false(reserve(f, &payment)->reply.claimed);
}

/* ---- The catalogue. ---- */

static const struct heard *put(struct fixture *f, const char *url, bool settled)
{
	struct fac_resource resource = {.key = (char *)url,
		.url = (char *)url,
		.type = (char *)"http",
		.x402_version = 2,
		.accepts_json = (char *)"[]",
		.settled = settled};

	return ask(f, fac_verb_resource_put(&resource));
}

static uint64_t total(struct fixture *f)
{
	struct fac_resource_query query = {.limit = 1};

	return ask(f, fac_verb_resource_list(&query))->reply.total;
}

static void test_store_unproven_entries_make_room_and_proven_stay(void **state)
{
	struct fixture *f = *state;

	assert_true(put(f, "https://proven", true)->reply.claimed);
	both_exec(f,
		"UPDATE resources SET updated_ms = 1;"
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1"
		" FROM n WHERE i < 5000) INSERT INTO resources (key, url,"
		" type, x402_version, accepts, updated_ms) SELECT 'k' || i,"
		" 'u', 'http', 2, '[]', i + 1 FROM n",
		"UPDATE resources SET updated_ms = 1;"
		"INSERT INTO resources (key, key_hash, url, type,"
		" x402_version, accepts, updated_ms) SELECT 'k' || i,"
		" decode(repeat('00', 24), 'hex') || int8send(i), 'u', 'http',"
		" 2, '[]', i + 1 FROM generate_series(1, 5000) AS i");
	assert_int_equal(total(f), 5001);
	for (unsigned i = 0; i < 3; i++) {
		char url[32];

		snprintf(url, sizeof(url), "https://new/%u", i);
		assert_true(put(f, url, false)->reply.claimed);
		assert_int_equal(total(f), FAC_RESOURCES_UNPROVEN_MAX + 1);
	}
	/* The newest are known, and so is the proven one. */
	assert_false(put(f, "https://new/0", false)->reply.claimed);
	assert_false(put(f, "https://proven", false)->reply.claimed);
	/* One that is proven takes no room of the others. */
	assert_true(put(f, "https://other", true)->reply.claimed);
	assert_int_equal(total(f), FAC_RESOURCES_UNPROVEN_MAX + 2);
}

/* Before there was a bound: they go with the new ones, never all at once. */
static void test_store_unproven_entries_without_bound_go_in_turn(void **state)
{
	struct fixture *f = *state;
	unsigned expected = 5400;

	both_exec(f,
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1"
		" FROM n WHERE i < 5400) INSERT INTO resources (key, url,"
		" type, x402_version, accepts, updated_ms) SELECT 'k' || i,"
		" 'u', 'http', 2, '[]', i FROM n",
		"INSERT INTO resources (key, key_hash, url, type,"
		" x402_version, accepts, updated_ms) SELECT 'k' || i,"
		" decode(repeat('00', 24), 'hex') || int8send(i), 'u', 'http',"
		" 2, '[]', i FROM generate_series(1, 5400) AS i");
	for (unsigned i = 0; i < 3; i++) {
		char url[32];

		snprintf(url, sizeof(url), "https://new/%u", i);
		assert_true(put(f, url, false)->reply.claimed);
		expected = expected + 1 - FAC_RESOURCES_FORGET_MAX;
		if (expected < FAC_RESOURCES_UNPROVEN_MAX)
			expected = FAC_RESOURCES_UNPROVEN_MAX;
		assert_int_equal(total(f), expected);
	}
	assert_false(put(f, "https://new/0", false)->reply.claimed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(
			test_store_given_up_row_is_forgotten_whatever_its_end),
		STORE_TEST(test_store_row_that_was_claimed_again_is_kept),
		STORE_TEST(
			test_store_unproven_entries_make_room_and_proven_stay),
		STORE_TEST(
			test_store_unproven_entries_without_bound_go_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
