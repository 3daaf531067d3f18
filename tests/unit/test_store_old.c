/*
 * Journals that older daemons left (tests/unit/journals): what is in them goes
 * on, and their schema becomes the one that is made from nothing. With
 * X402_TEST_POSTGRES also: who may open one at the same time, and what happens
 * to an older daemon that has it open.
 */
#include "store_house.h"

#include <pthread.h>

/* Tests and versions: the version is each test's initial state. */
#define OLD_TEST(name, version)                                          \
	{                                                                \
#name " of version " version, name, old_setup, teardown, \
			(void *)(version)                                \
	}
#define OLD_TESTS(name) OLD_TEST(name, "1"), OLD_TEST(name, "2")

/* The longest that a state is waited for. */
#define PATIENCE_MS 30000

/* ---- Making one. ---- */

static void exec_part(const struct fixture *f, const char *part)
{
	char *sql = journals_read(postgres_uri() ? "postgres" : "sqlite", part);

	if (postgres_uri())
		postgres_exec(f, sql);
	else
		sqlite_house_exec(f->path, sql);
	free(sql);
}

static int old_setup(void **state)
{
	const char *version = *state;
	struct fixture *f;
	char sql[128];

	setup(state);
	f = *state;
	fac_store_close(f->store);
	f->store = NULL;
	if (postgres_uri()) {
		snprintf(sql, sizeof(sql),
			"DROP SCHEMA %s CASCADE; CREATE SCHEMA %s", f->schema,
			f->schema);
		postgres_exec(f, sql);
	} else {
		scratch_remove(f->path);
	}
	exec_part(f, version);
	exec_part(f, "rows");
	return 0;
}

static struct fac_payment mortal(uint8_t index)
{
	struct fac_payment payment = payment_of(index);

	payment.valid_before_unix_s = 4102444800;
	return payment;
}

/* ---- What is there. ---- */

static void test_store_old_payments_are_where_they_were(void **state)
{
	static const enum fac_payment_state states[] = {FAC_PAYMENT_BROADCAST,
		FAC_PAYMENT_RESERVED, FAC_PAYMENT_SETTLED, FAC_PAYMENT_SETTLED,
		FAC_PAYMENT_CANCELLED};
	struct fixture *f = *state;
	struct fac_payment payment;

	f->store = open_store(f);
	for (uint8_t i = 0; i < ARRAY_LEN(states); i++)
		assert_int_equal(state_of(f, (uint8_t)(i + 1)), states[i]);
	/* Nobody claims one a second time, but what was given up. */
	for (uint8_t i = 1; i <= ARRAY_LEN(states); i++) {
		payment = mortal(i);
		assert_int_equal(reserve(f, &payment)->reply.claimed, i == 5);
	}
	/* The caller's own key of payment 3. */
	payment = mortal(6);
	snprintf(payment.idempotency_scope, sizeof(payment.idempotency_scope),
		"shop");
	snprintf(payment.idempotency_key, sizeof(payment.idempotency_key),
		"order-3");
	assert_int_equal(reserve(f, &payment)->reply.err, X402_ERR_CONFLICT);
}

static void test_store_old_success_is_told_once(void **state)
{
	struct fixture *f = *state;
	const struct heard *heard;
	uint8_t claims[2][32];

	memset(claims[0], 0xc0, 32);
	memset(claims[1], 0xc1, 32);
	f->store = open_store(f);
	/* Told by the older daemon, which noted no claim. */
	heard = ask(f, fac_verb_credit_claim(key_of(3), "again", claims[0]));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_false(heard->reply.claimed);
	assert_string_equal(heard->payments[0].answer, "{\"success\":true}");
	/* Not told yet: one gets it, also when its reply got lost. */
	for (unsigned i = 0; i < 4; i++) {
		heard = ask(f,
			fac_verb_credit_claim(
				key_of(4), "first", claims[i / 2]));
		assert_int_equal(heard->reply.err, X402_OK);
		assert_int_equal(heard->reply.claimed, i < 2);
		assert_string_equal(heard->payments[0].answer, "first");
	}
	assert_false(ask(f, fac_verb_credit(key_of(4), "x"))->reply.claimed);
}

static void test_store_old_lane_is_taken_up(void **state)
{
	static const uint8_t raw[] = {0x02, 0x00, 0xff};
	struct fixture *f = *state;
	struct x402_address signer = signer_address();
	const struct heard *heard;

	f->store = open_store(f);
	heard = ask(f, acquire(OTHER, LONG_MS));
	assert_true(heard->reply.claimed);
	assert_int_equal(heard->reply.number, 2); /* the lease's next token */
	heard = ask(f, fac_verb_load_lane(NETWORK, &signer, OTHER));
	assert_int_equal(heard->reply.transactions_len, 2);
	assert_memory_equal(heard->transactions[0].id32, key_of(0xa1), 32);
	assert_memory_equal(heard->transactions[0].keys32[0], key_of(1), 32);
	assert_int_equal(heard->transactions[0].attempts_len, 1);
	assert_memory_equal(
		heard->transactions[0].attempts[0].raw.ptr, raw, sizeof(raw));
	assert_memory_equal(heard->transactions[1].id32, key_of(0xa3), 32);
	heard = ask(f, fac_verb_next_nonce_floor(NETWORK, &signer));
	assert_int_equal(heard->reply.number, 2);
}

static void test_store_old_rest_is_kept(void **state)
{
	struct fac_resource_query query = {.limit = 1};
	struct fixture *f = *state;
	uint8_t reference[32];
	struct fac_payment payment = mortal(7);

	f->store = open_store(f);
	assert_int_equal(
		ask(f, fac_verb_outbox_take(9, LONG_MS))->reply.outbox_len, 4);
	assert_true(ask(f, fac_verb_hold_get(key_of(9)))->reply.number > 0);
	assert_int_equal(
		ask(f, fac_verb_resource_list(&query))->reply.total, 1);
	/* What came later works on it. */
	memset(reference, 0x5e, 32);
	memcpy(payment.references[0].bytes, reference, 32);
	payment.references_len = 1;
	assert_true(reserve(f, &payment)->reply.claimed);
	assert_int_equal(
		err_of(f,
			fac_verb_payment_get((struct fac_payment_query){
				.reference32 = reference})),
		X402_OK);
}

/* ---- The schema. ---- */

static const char sqlite_shape[] =
	"SELECT group_concat(line, char(10)) FROM (SELECT line FROM ("
	"SELECT t.name || ' ' || c.name || ' ' || c.type || ' ' || "
	"c.\"notnull\""
	" || ' ' || ifnull(c.dflt_value, '') || ' ' || (c.pk > 0) AS line"
	" FROM sqlite_master AS t, pragma_table_info(t.name) AS c"
	" WHERE t.type = 'table'"
	" UNION ALL SELECT name || ' ' || replace(sql, ' ', '')"
	" FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
	" UNION ALL SELECT 'version ' || user_version FROM pragma_user_version)"
	" ORDER BY line)";

static const char postgres_shape[] =
	"SELECT string_agg(replace(line, current_schema() || '.', ''), E'\\n'"
	" ORDER BY line) FROM ("
	"SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable,"
	" column_default, is_identity) AS line"
	" FROM information_schema.columns"
	" WHERE table_schema = current_schema()"
	" UNION ALL SELECT indexdef FROM pg_indexes"
	" WHERE schemaname = current_schema()"
	" UNION ALL SELECT conrelid::regclass || ' '"
	" || pg_get_constraintdef(oid) FROM pg_constraint"
	" WHERE connamespace = current_schema()::regnamespace"
	" UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc"
	" WHERE pronamespace = current_schema()::regnamespace"
	" UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class"
	" WHERE relnamespace = current_schema()::regnamespace"
	" AND relkind = 'v'"
	" UNION ALL SELECT 'version ' || version FROM schema_version) AS s";

/* A session of the test's own, told apart by its name. */
static PGconn *session(const struct fixture *f, const char *name)
{
	PGconn *conn = PQconnectdb(postgres_uri());
	char sql[128];

	snprintf(sql, sizeof(sql),
		"SET search_path = %s; SET application_name = '%s'", f->schema,
		name);
	PQclear(PQexec(conn, sql));
	assert_int_equal(PQstatus(conn), CONNECTION_OK);
	return conn;
}

/* A query's one field; free() it. */
static char *postgres_text(const struct fixture *f, const char *sql)
{
	PGconn *conn = session(f, "test");
	PGresult *result = PQexec(conn, sql);
	char *text;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(conn));
	text = strdup(PQgetvalue(result, 0, 0));
	assert_non_null(text);
	PQclear(result);
	PQfinish(conn);
	return text;
}

static char *sqlite_text(const char *path, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db;
	char *text;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	text = strdup((const char *)sqlite3_column_text(stmt, 0));
	assert_non_null(text);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return text;
}

static char *shape_of(const struct fixture *f)
{
	return postgres_uri() ? postgres_text(f, postgres_shape)
			      : sqlite_text(f->path, sqlite_shape);
}

/* So an edit of a step that was released shows: here it has not run. */
static void test_store_old_schema_becomes_the_present_one(void **state)
{
	struct fixture *f = *state;
	char *old = shape_of(f);
	void *other = NULL;
	char *upgraded;
	char *fresh;

	f->store = open_store(f);
	upgraded = shape_of(f);
	setup(&other);
	fresh = shape_of(other);
	teardown(&other);
	assert_string_not_equal(old, fresh);
	assert_string_equal(upgraded, fresh);
	free(old);
	free(upgraded);
	free(fresh);
}

/* ---- Several daemons, on PostgreSQL. ---- */

static void wait_for(const struct fixture *f, const char *sql, const char *text)
{
	for (unsigned waited = 0;; waited += 5) {
		char *now = postgres_text(f, sql);
		bool same = strcmp(now, text) == 0;

		if (!same && waited >= PATIENCE_MS)
			fail_msg("%s: %s, not %s", sql, now, text);
		free(now);
		if (same)
			return;
		usleep(5000);
	}
}

/* How many sessions wait for one of the store's two advisory locks. */
#define WAITERS(lock)                                         \
	"SELECT count(*) FROM pg_locks WHERE NOT granted AND" \
	" locktype = 'advisory' AND classid = " lock
#define VERSIONS                                                 \
	"SELECT string_agg(version::text, ',' ORDER BY version)" \
	" FROM schema_version"

static PGconn *hold(const struct fixture *f, const char *lock)
{
	PGconn *conn = session(f, "test");
	char sql[128];

	snprintf(sql, sizeof(sql),
		"BEGIN; SELECT pg_advisory_xact_lock(%s,"
		" hashtext(current_schema()))",
		lock);
	PQclear(PQexec(conn, sql));
	assert_int_equal(PQtransactionStatus(conn), PQTRANS_INTRANS);
	return conn;
}

struct opening {
	const struct fixture *fixture;
	struct fac_store *store;
	enum x402_err err;
	struct x402_errinfo info;
	pthread_t thread;
};

static void *open_it(void *user)
{
	struct opening *opening = user;
	struct fac_store_options options = {opening->fixture->path};

	opening->err = fac_store_open(
		&options, &opening->info, &opening->store);
	return NULL;
}

static void begin_opening(const struct fixture *f, struct opening *opening)
{
	*opening = (struct opening){.fixture = f};
	assert_int_equal(
		pthread_create(&opening->thread, NULL, open_it, opening), 0);
}

static void end_opening(struct opening *opening)
{
	assert_int_equal(pthread_join(opening->thread, NULL), 0);
	if (opening->err)
		fail_msg("%s", opening->info.text);
}

/* Each of them is at the lock when it is let go. */
static void test_store_old_is_upgraded_once_by_three(void **state)
{
	struct fixture *f = *state;
	PGconn *held = hold(f, "2014317493");
	struct fac_payment payment = mortal(8);
	struct opening openings[3];
	unsigned claimed = 0;

	for (unsigned i = 0; i < 3; i++)
		begin_opening(f, &openings[i]);
	wait_for(f, WAITERS("2014317493"), "3");
	PQfinish(held);
	for (unsigned i = 0; i < 3; i++)
		end_opening(&openings[i]);
	wait_for(f, VERSIONS, "1,2,3");
	for (unsigned i = 0; i < 3; i++) {
		claimed += ask_of(
			f, openings[i].store, fac_verb_reserve(&payment, NULL))
				   ->reply.claimed;
		fac_store_close(openings[i].store);
	}
	assert_int_equal(claimed, 1);
}

static void test_store_old_is_not_upgraded_within_a_group(void **state)
{
	struct fixture *f = *state;
	PGconn *group = hold(f, "2014317492");
	struct opening opening;
	char *versions;

	begin_opening(f, &opening);
	wait_for(f, WAITERS("2014317492"), "1");
	versions = postgres_text(f, VERSIONS);
	assert_null(strchr(versions, '3'));
	free(versions);
	PQfinish(group);
	end_opening(&opening);
	wait_for(f, VERSIONS, "1,2,3");
	fac_store_close(opening.store);
}

static bool is_ended(PGconn *conn)
{
	PQclear(PQexec(conn, "SELECT 1"));
	return PQstatus(conn) == CONNECTION_BAD;
}

/* It would read rows that it does not know; it is told when it comes back. */
static void test_store_old_daemon_is_cut_off_once(void **state)
{
	struct fixture *f = *state;
	PGconn *older = session(f, "x402-facilitator");
	PGconn *other = session(f, "somebody");

	f->store = open_store(f);
	for (unsigned waited = 0; !is_ended(older); waited += 5) {
		assert_true(waited < PATIENCE_MS);
		usleep(5000);
	}
	PQfinish(older);
	/* Whoever opens it as it is now ends nobody. */
	older = session(f, "x402-facilitator");
	f->second = open_store(f);
	assert_false(is_ended(older));
	assert_false(is_ended(other));
	PQfinish(older);
	PQfinish(other);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		OLD_TESTS(test_store_old_payments_are_where_they_were),
		OLD_TESTS(test_store_old_success_is_told_once),
		OLD_TESTS(test_store_old_lane_is_taken_up),
		OLD_TESTS(test_store_old_rest_is_kept),
		OLD_TESTS(test_store_old_schema_becomes_the_present_one),
	};
	static const struct CMUnitTest shared[] = {
		OLD_TESTS(test_store_old_is_upgraded_once_by_three),
		OLD_TESTS(test_store_old_is_not_upgraded_within_a_group),
		OLD_TESTS(test_store_old_daemon_is_cut_off_once),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed || !postgres_uri()
		? failed
		: cmocka_run_group_tests(shared, NULL, NULL);
}
