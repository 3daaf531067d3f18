/*
 * What only the SQLite store has to hold: one daemon per file, an OK that
 * survives kill -9, and a file that is none of ours, damaged or locked.
 */
#include "store_house.h"

#include "store/sqlite_p.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static enum x402_err reopen(struct fixture *f, struct x402_errinfo *info)
{
	struct fac_store_options options = {f->path};

	*info = (struct x402_errinfo){"", ""};
	fac_store_close(f->store);
	f->store = NULL;
	return fac_store_open(&options, info, &f->store);
}

static void test_store_sqlite_ok_survives_a_kill(void **state)
{
	struct fixture *f = *state;
	struct x402_address signer = signer_address();
	const struct heard *heard;
	pid_t child;
	int status;

	fac_store_close(f->store);
	f->store = NULL;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct fixture inside = {0};

		memcpy(inside.path, f->path, sizeof(inside.path));
		if (fac_loop_new(&inside.loop))
			_exit(1);
		inside.store = open_store(&inside);
		sign(&inside, 0xa1, 1, 1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	f->store = open_store(f);
	heard = ask(f, fac_verb_load_lane(NETWORK, &signer, OTHER));
	assert_int_equal(heard->reply.transactions_len, 1);
	assert_memory_equal(heard->transactions[0].keys32[0], key_of(1), 32);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SIGNED);
}

static void test_store_sqlite_second_daemon_is_refused(void **state)
{
	struct fixture *f = *state;
	struct fac_store_options options = {f->path};
	struct x402_errinfo info = {"", ""};
	struct fac_store *second = NULL;

	assert_int_equal(
		fac_store_open(&options, &info, &second), X402_ERR_STORE);
	assert_null(second);
	assert_non_null(strstr(info.text, "another facilitator"));
	assert_false(fac_store_is_shared(f->store));
}

static void test_store_sqlite_that_cannot_be_opened_is_refused(void **state)
{
	struct fac_store_options options = {"/nonexistent/x402.sqlite"};
	struct x402_errinfo info = {"", ""};
	struct fac_store *store = NULL;

	(void)state;
	assert_int_equal(
		fac_store_open(&options, &info, &store), X402_ERR_STORE);
	assert_null(store);
	assert_non_null(strstr(info.text, "/nonexistent"));
}

static void test_store_sqlite_of_a_newer_daemon_is_refused(void **state)
{
	struct fixture *f = *state;
	struct x402_errinfo info;

	sqlite_house_exec(f->path, "PRAGMA user_version = 999");
	assert_int_equal(reopen(f, &info), X402_ERR_VERSION);
	assert_non_null(strstr(info.text, "999"));
	/* The lock was given back. */
	sqlite_house_exec(f->path, "PRAGMA user_version = 5");
	assert_int_equal(reopen(f, &info), X402_OK);
}

static void test_store_sqlite_that_is_no_database_is_refused(void **state)
{
	struct fixture *f = *state;
	struct x402_errinfo info;
	int fd;

	fac_store_close(f->store);
	f->store = NULL;
	scratch_remove(f->path);
	fd = open(f->path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(write(fd, "not a database, sorry\n", 22), 22);
	close(fd);
	assert_int_equal(reopen(f, &info), X402_ERR_STORE);
}

/* Another program that changes rows: the store must not pay by them. */
static void test_store_sqlite_row_that_cannot_be_is_no_payment(void **state)
{
	struct fixture *f = *state;

	reserve_index(f, 1);
	sqlite_house_exec(f->path, "UPDATE payments SET amount = '-5'");
	assert_int_equal(
		err_of(f, fac_verb_take_over(NETWORK, ME, 9)), X402_ERR_STORE);
	assert_int_equal(
		err_of(f,
			fac_verb_payment_get((struct fac_payment_query){
				.key32 = key_of(1)})),
		X402_ERR_STORE);
}

/* Whoever cannot write says so, and goes on when it can again. */
/* Whoever reads it has authorizations, and what repeats a success. */
static void test_store_sqlite_files_are_their_owners_alone(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);

	/* The fixture's is a copy: one that the store makes itself. */
	fac_store_close(f->store);
	scratch_remove(f->path);
	f->store = open_store(f);
	assert_int_equal(err_of(f, fac_verb_reserve(&payment, NULL)), X402_OK);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		char name[300];
		struct stat st;

		snprintf(name, sizeof(name), "%s%s", f->path, ends[i]);
		assert_int_equal(stat(name, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void test_store_sqlite_locked_by_another_fails_closed(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	const struct heard *heard;
	sqlite3 *blocker;

	/* Somebody holds the write lock for longer than we wait. */
	assert_int_equal(sqlite3_open(f->path, &blocker), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(blocker, "BEGIN IMMEDIATE", NULL, NULL, NULL),
		SQLITE_OK);
	heard = reserve(f, &payment);
	assert_int_equal(heard->reply.err, X402_ERR_STORE);
	assert_false(heard->reply.claimed);
	assert_int_equal(fac_store_stats(f->store).failures, 1);
	sqlite3_exec(blocker, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(blocker);
	reserve_index(f, 1);
}

/* Steps through rows of payments that no index chose. */
static atomic_int payments_scanned;
static atomic_int retire_steps;

static int on_statement(unsigned what, void *user, void *stmt, void *took)
{
	(void)what;
	(void)user;
	(void)took;
	if (strstr(sqlite3_sql(stmt), "UPDATE payments") ||
		strstr(sqlite3_sql(stmt), "FROM payments"))
		atomic_fetch_add(&payments_scanned,
			sqlite3_stmt_status(
				stmt, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1));
	if (strstr(sqlite3_sql(stmt), "INTO gone"))
		atomic_fetch_add(&retire_steps,
			sqlite3_stmt_status(
				stmt, SQLITE_STMTSTATUS_VM_STEP, 1));
	return 0;
}

static int watch_statements(
	sqlite3 *db, char **ret_error, const struct sqlite3_api_routines *api)
{
	(void)ret_error;
	(void)api;
	return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, on_statement, NULL);
}

/* With millions of old payments one scan holds everybody for seconds. */
static void test_store_sqlite_life_of_a_payment_scans_no_payments(void **state)
{
	struct fixture *f = *state;
	struct x402_errinfo info;
	struct x402_address signer = signer_address();
	struct fac_attempt attempt = attempt_of(0xa2);
	struct fac_store_lease lease;
	struct fac_store_end ends[2] = {end_of(1, FAC_PAYMENT_SETTLED, 0xa1),
		end_of(2, FAC_PAYMENT_SETTLED, 0xa1)};

	sqlite3_auto_extension((void (*)(void))watch_statements);
	assert_int_equal(reopen(f, &info), X402_OK);
	sqlite3_reset_auto_extension();
	atomic_store(&payments_scanned, 0);
	for (uint8_t i = 3; i < 8; i++)
		reserve_index(f, i);
	lease = sign(f, 0xa1, 1, 2);
	assert_int_equal(err_of(f,
				 fac_verb_journal_attempt(
					 key_of(0xa1), &attempt, &lease)),
		X402_OK);
	assert_int_equal(
		err_of(f, fac_verb_mark_broadcast(key_of(0xa1))), X402_OK);
	assert_int_equal(
		err_of(f, fac_verb_load_lane(NETWORK, &signer, ME)), X402_OK);
	assert_int_equal(err_of(f, mined(0xa1, 0xa1, ends, 2)), X402_OK);
	assert_int_equal(err_of(f, final(0xa1)), X402_OK);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_SETTLED);
	assert_int_equal(atomic_load(&payments_scanned), 0);
}

/* However many there are whose payments are kept. */
static void test_store_sqlite_retiring_looks_at_few_transactions(void **state)
{
	struct fixture *f = *state;
	struct x402_errinfo info;

	reserve_index(f, 1);
	sqlite_house_exec(f->path,
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1"
		" FROM n WHERE i < 5000) INSERT INTO transactions (id,"
		" network, signer, nonce, state, created_ms)"
		" SELECT randomblob(32), 'n', x'00', i, 'final', 1 FROM n;"
		"INSERT INTO transaction_payments SELECT sequence, 0,"
		" (SELECT sequence FROM payments) FROM transactions");
	sqlite3_auto_extension((void (*)(void))watch_statements);
	assert_int_equal(reopen(f, &info), X402_OK);
	sqlite3_reset_auto_extension();
	atomic_store(&retire_steps, 0);
	assert_int_equal(err_of(f, fac_verb_retire(1, 100)), X402_OK);
	/* Some twenty steps for each of four hundred. */
	assert_in_range(atomic_load(&retire_steps), 400, 16000);
}

static int count_tables(void *user, int len, char **texts, char **names)
{
	unsigned *count = user;

	(void)len;
	(void)names;
	*count += strcmp(texts[1], "OpenEphemeral") == 0;
	return 0;
}

static int want_ok(void *user, int len, char **texts, char **names)
{
	(void)user;
	(void)len;
	(void)names;
	assert_string_equal(texts[0], "ok");
	return 0;
}

/* SQLite would, for lists after IN, at each row that it writes. */
static void test_store_sqlite_checks_of_a_payment_make_no_tables(void **state)
{
	static const char *const steps[] = {
		"EXPLAIN UPDATE payments SET state = 'signed' WHERE sequence = "
		"1",
		"EXPLAIN INSERT INTO payments SELECT * FROM payments"};
	struct fixture *f = *state;
	unsigned tables[2] = {0};
	sqlite3 *db;

	reserve_index(f, 1);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(sqlite3_exec(db, steps[i], count_tables,
					 &tables[i], NULL),
			SQLITE_OK);
	assert_int_equal(tables[0], 0);
	/* One for reading what it writes. */
	assert_int_equal(tables[1], 1);
	/* The schema's text was changed in place, and means what it meant. */
	assert_int_equal(
		sqlite3_exec(db, "PRAGMA integrity_check", want_ok, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db,
			"UPDATE payments SET state = 'nothing of the kind'",
			NULL, NULL, NULL),
		SQLITE_CONSTRAINT);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_store_sqlite_ok_survives_a_kill),
		STORE_TEST(test_store_sqlite_second_daemon_is_refused),
		STORE_TEST(test_store_sqlite_that_cannot_be_opened_is_refused),
		STORE_TEST(test_store_sqlite_of_a_newer_daemon_is_refused),
		STORE_TEST(test_store_sqlite_that_is_no_database_is_refused),
		STORE_TEST(test_store_sqlite_row_that_cannot_be_is_no_payment),
		STORE_TEST(test_store_sqlite_files_are_their_owners_alone),
		STORE_TEST(test_store_sqlite_locked_by_another_fails_closed),
		STORE_TEST(
			test_store_sqlite_life_of_a_payment_scans_no_payments),
		STORE_TEST(
			test_store_sqlite_retiring_looks_at_few_transactions),
		STORE_TEST(
			test_store_sqlite_checks_of_a_payment_make_no_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
