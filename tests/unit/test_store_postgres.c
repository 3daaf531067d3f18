/*
 * What only the PostgreSQL store has to hold: two daemons on one database, a
 * connection that breaks, a daemon that is stopped in the middle, and a
 * password that nobody is shown. Run by tests/support/with_postgres.sh.
 */
#include "store_house.h"

#define STORE_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_two, teardown)

static int setup_two(void **state)
{
	struct fixture *f;

	setup(state);
	f = *state;
	f->second = open_store(f);
	return 0;
}

/* A session of the test's own, told apart by its name. */
static PGconn *session(const struct fixture *f, const char *name)
{
	char sql[128];
	PGconn *conn = PQconnectdb(postgres_uri());

	snprintf(sql, sizeof(sql),
		"SET search_path = %s; SET application_name = '%s'", f->schema,
		name);
	PQclear(PQexec(conn, sql));
	assert_int_equal(PQstatus(conn), CONNECTION_OK);
	return conn;
}

/* Hold what every writing group of this schema waits for. */
static PGconn *hold_gate(const struct fixture *f, const char *name)
{
	PGconn *conn = session(f, name);
	PGresult *result = PQexec(conn,
		"BEGIN; SELECT pg_advisory_xact_lock(2014317492,"
		" hashtext(current_schema()))");

	assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
	PQclear(result);
	return conn;
}

static void end_sessions(const struct fixture *f)
{
	postgres_exec(f,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
		" WHERE application_name = 'x402-facilitator'");
}

static void nap(unsigned ms)
{
	usleep(ms * 1000);
}

/* ---- Two daemons. ---- */

static void test_store_postgres_each_payment_is_claimed_once(void **state)
{
	struct fixture *f = *state;
	struct heard *heards[100];
	unsigned claimed = 0;

	assert_true(fac_store_is_shared(f->store));
	/* Both ask for 25 payments, twice, in opposite orders. */
	for (unsigned i = 0; i < 50; i++) {
		struct fac_payment up = payment_of((uint8_t)(1 + i % 25));
		struct fac_payment down = payment_of((uint8_t)(25 - i % 25));

		snprintf(down.owner, sizeof(down.owner), OTHER);
		heards[2 * i] = submit(
			f, f->store, fac_verb_reserve(&up, NULL));
		heards[2 * i + 1] = submit(
			f, f->second, fac_verb_reserve(&down, NULL));
	}
	wait_all(f);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(heards[i]->reply.err, X402_OK);
		assert_int_equal(heards[i]->reply.payments_len, 1);
		claimed += heards[i]->reply.claimed;
	}
	assert_int_equal(claimed, 25);
}

static void test_store_postgres_each_success_is_credited_once(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);
	struct heard *heards[40];
	unsigned claimed = 0;

	sign(f, 0xa1, 1, 1);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	for (unsigned i = 0; i < 40; i++)
		heards[i] = submit(f, i % 2 ? f->store : f->second,
			fac_verb_credit(key_of(1), i % 2 ? "one" : "two"));
	wait_all(f);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(heards[i]->reply.err, X402_OK);
		claimed += heards[i]->reply.claimed;
		assert_string_equal(heards[i]->payments[0].answer,
			heards[0]->payments[0].answer);
	}
	assert_int_equal(claimed, 1);
}

static void test_store_postgres_lane_changes_hands(void **state)
{
	struct fixture *f = *state;
	struct fac_store_lease old = sign(f, 0xa1, 1, 1);
	struct x402_address signer = signer_address();
	struct fac_attempt attempt = attempt_of(0xb1);
	struct fac_store_lease present;
	const struct heard *heard;

	assert_false(
		ask_of(f, f->second, acquire(OTHER, LONG_MS))->reply.claimed);
	assert_true(ask(f, acquire(ME, 0))->reply.claimed); /* runs out */
	heard = ask_of(f, f->second, acquire(OTHER, LONG_MS));
	assert_true(heard->reply.claimed);
	assert_true(heard->reply.number > old.token);
	present = lease_of(OTHER, heard->reply.number);
	/* The new holder adopts the bytes... */
	heard = ask_of(
		f, f->second, fac_verb_load_lane(NETWORK, &signer, OTHER));
	assert_int_equal(heard->reply.transactions_len, 1);
	assert_memory_equal(heard->transactions[0].id32, key_of(0xa1), 32);
	assert_string_equal(heard->payments[0].owner, OTHER);
	/* ... and the old one signs no more. */
	reserve_index(f, 2);
	heard = ask(f, journal(&old, 0xa2, 1, 2, 1));
	assert_int_equal(heard->reply.err, X402_ERR_CONFLICT);
	assert_true(heard->reply.fenced);
	heard = ask(f, fac_verb_journal_attempt(key_of(0xa1), &attempt, &old));
	assert_true(heard->reply.fenced);
	assert_false(ask(f, acquire(ME, LONG_MS))->reply.claimed);
	heard = ask_of(f, f->second,
		fac_verb_journal_attempt(key_of(0xa1), &attempt, &present));
	assert_int_equal(heard->reply.err, X402_OK);
}

static void test_store_postgres_the_dead_are_inherited(void **state)
{
	struct fixture *f = *state;
	const struct heard *heard;

	assert_int_equal(err_of(f, fac_verb_heartbeat(ME, LONG_MS)), X402_OK);
	reserve_index(f, 1);
	heard = ask_of(f, f->second, fac_verb_take_over(NETWORK, OTHER, 9));
	assert_int_equal(heard->reply.payments_len, 0);
	/* Its last one is over at once. */
	assert_int_equal(err_of(f, fac_verb_heartbeat(ME, 0)), X402_OK);
	heard = ask_of(f, f->second, fac_verb_take_over(NETWORK, OTHER, 9));
	assert_int_equal(heard->reply.payments_len, 1);
	/* It was only slow: the payment is another's now. */
	assert_int_equal(err_of(f, fac_verb_release(key_of(1), ME, "")),
		X402_ERR_CONFLICT);
}

static void test_store_postgres_each_letter_is_taken_once(void **state)
{
	struct fixture *f = *state;
	struct heard *heards[8];
	size_t taken = 0;

	for (uint8_t i = 1; i <= 8; i++) {
		struct fac_store_end end = end_of(i, FAC_PAYMENT_EXPIRED, 0);

		reserve_index(f, i);
		assert_int_equal(err_of(f, finish(&end)), X402_OK);
	}
	for (unsigned i = 0; i < 8; i++)
		heards[i] = submit(f, i % 2 ? f->store : f->second,
			fac_verb_outbox_take(5, LONG_MS));
	wait_all(f);
	for (unsigned i = 0; i < 8; i++)
		taken += heards[i]->reply.outbox_len;
	assert_int_equal(taken, 16); /* two hooks */
}

static struct fac_verb *hold_100(uint8_t index)
{
	struct fac_store_hold hold = {.network = NETWORK,
		.amount = x402_u256_from_u64(100),
		.balance = x402_u256_from_u64(350),
		.until_ms = INT64_MAX};

	memset(hold.key32, index, 32);
	return fac_verb_hold(&hold);
}

static void test_store_postgres_promises_are_summed_over_both(void **state)
{
	struct fixture *f = *state;
	struct fac_spend_limits limits = {.total_gwei = 350};
	struct heard *holds[10];
	struct heard *reserves[10];
	unsigned held = 0;
	unsigned reserved = 0;

	for (uint8_t i = 0; i < 10; i++) {
		struct fac_payment payment = payment_of((uint8_t)(100 + i));
		struct fac_store *store = i % 2 ? f->store : f->second;

		holds[i] = submit(f, store, hold_100((uint8_t)(i + 1)));
		reserves[i] = submit(
			f, store, fac_verb_reserve(&payment, &limits));
	}
	wait_all(f);
	for (unsigned i = 0; i < 10; i++) {
		held += holds[i]->reply.claimed;
		reserved += reserves[i]->reply.claimed;
		assert_int_equal(reserves[i]->reply.err,
			reserves[i]->reply.claimed ? X402_OK : X402_ERR_POLICY);
	}
	assert_int_equal(held, 3);
	assert_int_equal(reserved, 3); /* of 100 gwei each */
}

/* ---- Connections. ---- */

static void test_store_postgres_ended_session_is_made_anew(void **state)
{
	struct fixture *f = *state;

	reserve_index(f, 1);
	end_sessions(f);
	nap(50);
	reserve_index(f, 2);
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_RESERVED);
}

static void test_store_postgres_group_that_was_cut_off_runs_again(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	PGconn *gate = hold_gate(f, "test");
	struct heard *heard = submit(
		f, f->store, fac_verb_reserve(&payment, NULL));

	nap(200); /* it waits at the gate */
	end_sessions(f);
	nap(100);
	PQfinish(gate);
	wait_all(f);
	assert_int_equal(heard->reply.err, X402_OK);
	assert_true(heard->reply.claimed);
	assert_int_equal(heard->reply.payments_len, 1);
}

/* A daemon was stopped in the middle of its group: the others go on. */
static void test_store_postgres_stopped_daemon_is_cut_off(void **state)
{
	struct fixture *f = *state;
	PGconn *stopped = hold_gate(f, "x402-facilitator");

	reserve_index(f, 1);
	PQclear(PQexec(stopped, "COMMIT"));
	assert_int_equal(PQstatus(stopped), CONNECTION_BAD);
	PQfinish(stopped);
}

/* Readers do not wait for writers. */
static void test_store_postgres_reading_passes_the_gate(void **state)
{
	struct fixture *f = *state;
	PGconn *gate;

	reserve_index(f, 1);
	gate = hold_gate(f, "test");
	assert_int_equal(state_of(f, 1), FAC_PAYMENT_RESERVED);
	PQfinish(gate);
}

static PGconn *close_database(const struct fixture *f)
{
	char uri[256];
	PGconn *conn;

	/* The same server, another database. */
	snprintf(uri, sizeof(uri), "%.*stemplate1",
		(int)(strrchr(postgres_uri(), '/') - postgres_uri() + 1),
		postgres_uri());
	end_sessions(f);
	conn = PQconnectdb(uri);
	PQclear(PQexec(
		conn, "ALTER DATABASE postgres ALLOW_CONNECTIONS false"));
	PQclear(PQexec(conn,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
		" WHERE datname = 'postgres'"));
	return conn;
}

static void open_database(PGconn *conn)
{
	PQclear(PQexec(conn, "ALTER DATABASE postgres ALLOW_CONNECTIONS true"));
	PQfinish(conn);
}

static void test_store_postgres_verbs_wait_for_the_server(void **state)
{
	struct fixture *f = *state;
	PGconn *conn = close_database(f);
	struct fac_payment payment = payment_of(1);
	struct heard *heard = submit(
		f, f->store, fac_verb_reserve(&payment, NULL));

	nap(500);
	open_database(conn);
	wait_all(f);
	assert_int_equal(heard->reply.err, X402_OK);
	assert_true(heard->reply.claimed);
}

static void test_store_postgres_away_too_long_fails_closed(void **state)
{
	struct fixture *f = *state;
	PGconn *conn = close_database(f);
	struct fac_payment payment = payment_of(1);
	const struct heard *heard = reserve(f, &payment);

	assert_int_equal(heard->reply.err, X402_ERR_STORE);
	assert_false(heard->reply.claimed);
	assert_int_equal(heard->reply.payments_len, 0);
	assert_int_equal(fac_store_stats(f->store).failures, 1);
	open_database(conn);
	reserve_index(f, 1);
}

/* Until one more answer came. */
static void wait_one(struct fixture *f)
{
	unsigned others = f->waiting - 1;

	f->waiting = 1;
	fac_loop_run(f->loop);
	f->waiting = others;
}

/*
 * On a machine that is behind with everything a session takes longer to make
 * than what is late may wait; who comes next is late as well, and so on.
 */
static void test_store_postgres_late_verbs_wait_for_a_slow_server(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payments[2] = {payment_of(1), payment_of(2)};
	PGconn *slow = session(f, "test");
	struct heard *first;
	struct heard *second;

	/* What each new session waits for. */
	PQclear(PQexec(slow,
		"BEGIN; SELECT pg_advisory_xact_lock(2014317493,"
		" hashtext(current_schema()))"));
	end_sessions(f);
	first = submit(f, f->store, fac_verb_reserve(&payments[0], NULL));
	while (fac_store_stats(f->store).queued)
		nap(1);
	second = submit(f, f->store, fac_verb_reserve(&payments[1], NULL));
	wait_one(f);
	assert_int_equal(first->reply.err, X402_ERR_STORE);
	nap(1500);
	PQfinish(slow);
	wait_all(f);
	assert_int_equal(second->reply.err, X402_OK);
	assert_true(second->reply.claimed);
}

/* ---- Opening. ---- */

static enum x402_err open_uri(const char *uri, char text[512])
{
	struct fac_store_options options = {uri};
	struct x402_errinfo info = {"", ""};
	struct fac_store *store = NULL;
	enum x402_err err = fac_store_open(&options, &info, &store);

	assert_true(err || store);
	fac_store_close(store);
	snprintf(text, 512, "%s", info.text);
	return err;
}

static void test_store_postgres_password_is_never_shown(void **state)
{
	static const char *const uris[] = {
		"postgresql://me:hunter2@127.0.0.1:1/x",
		"postgresql://me:hunter2@[::1/x",
		"postgresql://me:hunter2@127.0.0.1:1/x?hunter2=1",
		"postgres://me:hunter2@127.0.0.1:99999999/x",
		"postgresql://me:hunter2%zz@127.0.0.1/x"};
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
		assert_int_equal(open_uri(uris[i], text), X402_ERR_STORE);
		assert_non_null(strstr(text, "postgresql"));
		assert_null(strstr(text, "hunter2"));
	}
}

static void test_store_postgres_of_a_newer_daemon_is_refused(void **state)
{
	struct fixture *f = *state;
	char text[512];

	postgres_exec(f, "INSERT INTO schema_version (version) VALUES (999)");
	assert_int_equal(open_uri(f->path, text), X402_ERR_VERSION);
	assert_non_null(strstr(text, "999"));
	postgres_exec(f, "DELETE FROM schema_version WHERE version = 999");
	assert_int_equal(open_uri(f->path, text), X402_OK);
}

/* Another program that changes rows: the store must not pay by them. */
static void test_store_postgres_row_that_cannot_be_is_no_payment(void **state)
{
	struct fixture *f = *state;

	reserve_index(f, 1);
	postgres_exec(f, "UPDATE payments SET amount = -5");
	assert_int_equal(
		err_of(f, fac_verb_take_over(NETWORK, ME, 9)), X402_ERR_STORE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_store_postgres_each_payment_is_claimed_once),
		STORE_TEST(test_store_postgres_each_success_is_credited_once),
		STORE_TEST(test_store_postgres_lane_changes_hands),
		STORE_TEST(test_store_postgres_the_dead_are_inherited),
		STORE_TEST(test_store_postgres_each_letter_is_taken_once),
		STORE_TEST(test_store_postgres_promises_are_summed_over_both),
		STORE_TEST(test_store_postgres_ended_session_is_made_anew),
		STORE_TEST(
			test_store_postgres_group_that_was_cut_off_runs_again),
		STORE_TEST(test_store_postgres_stopped_daemon_is_cut_off),
		STORE_TEST(test_store_postgres_reading_passes_the_gate),
		STORE_TEST(test_store_postgres_verbs_wait_for_the_server),
		STORE_TEST(test_store_postgres_away_too_long_fails_closed),
		STORE_TEST(
			test_store_postgres_late_verbs_wait_for_a_slow_server),
		STORE_TEST(test_store_postgres_password_is_never_shown),
		STORE_TEST(test_store_postgres_of_a_newer_daemon_is_refused),
		STORE_TEST(
			test_store_postgres_row_that_cannot_be_is_no_payment),
	};

	if (!postgres_uri())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
