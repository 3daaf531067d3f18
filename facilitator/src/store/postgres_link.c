/*
 * One connection: made without blocking beyond a deadline, told how to behave
 * (durable commits, timeouts), brought to this schema, and put into pipeline
 * mode with every statement prepared.
 *
 * What is said about a failure comes from the server or from libpq's
 * connection errors, which name host and user. What libpq says about a URI
 * that it cannot read may quote the URI, password and all: that is withheld.
 */
#include "store/postgres_link_p.h"
#include "store/postgres_verbs_p.h"

#include "postgres_0001.h"
#include "postgres_0002.h"
#include "postgres_0003.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SCHEMA_VERSION 3
/* A session that another's step has ended is made anew: one step, one end. */
#define SESSIONS_MAX 3

/*
 * synchronous_commit: an OK must mean durable (R1), whatever the role's
 * default is. The timeouts free what a daemon holds that was stopped in the
 * middle; a group waits for other writers no longer than lock_timeout.
 *
 * Every statement finds its rows by an index. Plans are kept for the life of
 * a session, and one made while a table was empty would walk all of it when
 * it has millions of rows: so the planner is not asked.
 */
#define SESSION                                      \
	"SET synchronous_commit = on;"               \
	"SET default_transaction_isolation = "       \
	"'read committed';"                          \
	"SET statement_timeout = '8s';"              \
	"SET lock_timeout = '3s';"                   \
	"SET idle_in_transaction_session_timeout = " \
	"'5s';"                                      \
	"SET tcp_user_timeout = '10s';"              \
	"SET client_min_messages = warning;"         \
	"SET enable_seqscan = off;"                  \
	"SET enable_hashjoin = off;"                 \
	"SET enable_mergejoin = off;"                \
	"SET plan_cache_mode = force_generic_plan;"  \
	"SET jit = off;"                             \
	"SET standard_conforming_strings = on"

uint64_t fac_postgres_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

enum x402_err fac_postgres_link_init(
	struct fac_postgres_link *link, const char *uri)
{
	*link = (struct fac_postgres_link){.uri = strdup(uri),
		.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	if (link->uri && link->stop_fd >= 0)
		return X402_OK;
	fac_postgres_link_clear(link);
	return X402_ERR_NOMEM;
}

void fac_postgres_link_clear(struct fac_postgres_link *link)
{
	fac_postgres_disconnect(link);
	if (link->uri)
		explicit_bzero(link->uri, strlen(link->uri));
	free(link->uri);
	link->uri = NULL;
	if (link->stop_fd >= 0)
		close(link->stop_fd);
	link->stop_fd = -1;
}

void fac_postgres_link_stop(struct fac_postgres_link *link)
{
	uint64_t one = 1;

	/* Fails only when it was said 2^64 times before. */
	(void)!write(link->stop_fd, &one, sizeof(one));
}

bool fac_postgres_link_is_stopped(const struct fac_postgres_link *link)
{
	struct pollfd fd = {.fd = link->stop_fd, .events = POLLIN};

	return poll(&fd, 1, 0) > 0;
}

void fac_postgres_disconnect(struct fac_postgres_link *link)
{
	PQfinish(link->conn);
	link->conn = NULL;
}

/* ---- Waiting. ---- */

bool fac_postgres_pause(struct fac_postgres_link *link, uint64_t ms)
{
	struct pollfd fd = {.fd = link->stop_fd, .events = POLLIN};

	return poll(&fd, 1, (int)ms) > 0;
}

/*
 * Until the connection's socket is ready or the deadline. The socket is asked
 * for anew each time: it may change while libpq tries several addresses.
 */
static bool wait_socket(PGconn *conn, short events, uint64_t deadline_ms)
{
	struct pollfd fd = {.fd = PQsocket(conn), .events = events};
	uint64_t now = fac_postgres_clock_ms();

	if (fd.fd < 0 || now >= deadline_ms)
		return false;
	return poll(&fd, 1, (int)(deadline_ms - now)) >= 0 &&
		fac_postgres_clock_ms() < deadline_ms;
}

bool fac_postgres_wait(struct fac_postgres_link *link, uint64_t deadline_ms)
{
	PGconn *conn = link->conn;

	for (;;) {
		int unsent = PQflush(conn);

		/* An error may have left an answer to read: look for it. */
		if (unsent >= 0 && !PQisBusy(conn))
			return true;
		if (!wait_socket(conn, POLLIN | (unsent > 0 ? POLLOUT : 0),
			    deadline_ms))
			return false;
		/* What arrived before the end is read before the end. */
		if (!PQconsumeInput(conn))
			return !PQisBusy(conn);
	}
}

bool fac_postgres_is_alive(struct fac_postgres_link *link)
{
	struct pollfd fd = {.events = POLLIN};

	if (!link->conn || PQstatus(link->conn) != CONNECTION_OK)
		return false;
	fd.fd = PQsocket(link->conn);
	/* Nobody asked: what can be read is a farewell. */
	if (poll(&fd, 1, 0) > 0)
		(void)!PQconsumeInput(link->conn);
	return PQstatus(link->conn) == CONNECTION_OK;
}

/* ---- Connecting. ---- */

static enum x402_err fail(
	PGconn *conn, const char *what, struct x402_errinfo *info)
{
	char text[200];
	size_t len;

	snprintf(text, sizeof(text), "%s",
		conn ? PQerrorMessage(conn) : "out of memory");
	/* One line. */
	for (char *at = text; *at; at++)
		if (*at == '\n' || *at == '\r')
			*at = ' ';
	for (len = strlen(text); len && text[len - 1] == ' '; len--)
		text[len - 1] = '\0';
	x402_errinfo_set(info, "store", "postgresql: %s: %s", what, text);
	return X402_ERR_STORE;
}

/* One simple query; the result is the caller's, NULL: it failed. */
static PGresult *query(PGconn *conn, const char *sql, uint64_t deadline_ms)
{
	struct fac_postgres_link link = {.conn = conn};
	PGresult *last = NULL;
	PGresult *result;

	if (!PQsendQuery(conn, sql))
		return NULL;
	for (;;) {
		if (!fac_postgres_wait(&link, deadline_ms)) {
			PQclear(last);
			return NULL;
		}
		result = PQgetResult(conn);
		if (!result)
			break;
		/* The first that failed is the one that says why. */
		if (last && PQresultStatus(last) == PGRES_FATAL_ERROR) {
			PQclear(result);
			continue;
		}
		PQclear(last);
		last = result;
	}
	if (last && PQresultStatus(last) != PGRES_FATAL_ERROR)
		return last;
	PQclear(last);
	return NULL;
}

static bool run(PGconn *conn, const char *sql, uint64_t deadline_ms)
{
	PGresult *result = query(conn, sql, deadline_ms);

	PQclear(result);
	return result != NULL;
}

/* The first field as a number; false: the query failed. */
static bool ask(
	PGconn *conn, const char *sql, uint64_t deadline_ms, long *ret_number)
{
	PGresult *result = query(conn, sql, deadline_ms);

	if (!result)
		return false;
	*ret_number = PQntuples(result) == 1
		? strtol(PQgetvalue(result, 0, 0), NULL, 10)
		: 0;
	PQclear(result);
	return true;
}

/* Text is UTF-8 everywhere in this daemon. */
static enum x402_err check_server(
	PGconn *conn, uint64_t deadline_ms, struct x402_errinfo *info)
{
	const char *encoding = PQparameterStatus(conn, "server_encoding");

	if (!encoding || strcmp(encoding, "UTF8") != 0) {
		x402_errinfo_set(info, "store",
			"postgresql: the database's encoding is %.40s; it must "
			"be UTF8",
			encoding ? encoding : "unknown");
		return X402_ERR_STORE;
	}
	if (!run(conn, SESSION, deadline_ms))
		return fail(conn, "cannot prepare the session", info);
	return X402_OK;
}

/*
 * Under an advisory lock, so that two daemons that start together do not both
 * draw the schema. The lock is this one transaction's, and is waited for as
 * long as the caller waits.
 */
static bool read_version(PGconn *conn, uint64_t deadline_ms, long *ret_version)
{
	uint64_t now = fac_postgres_clock_ms();
	unsigned left = deadline_ms > now ? (unsigned)(deadline_ms - now) : 1;
	char sql[400];

	snprintf(sql, sizeof(sql),
		"BEGIN; SET LOCAL lock_timeout = %u;"
		" SET LOCAL statement_timeout = %u;"
		" SELECT pg_advisory_xact_lock(2014317493,"
		" hashtext(current_schema())); CREATE TABLE IF NOT EXISTS"
		" schema_version (version bigint PRIMARY KEY,"
		" applied_at timestamptz NOT NULL DEFAULT now())",
		left, left);
	return run(conn, sql, deadline_ms) &&
		ask(conn,
			"SELECT coalesce(max(version), 0) FROM schema_version",
			deadline_ms, ret_version);
}

/*
 * Daemons that were started before the schema changed know it as it was: their
 * sessions end, and they refuse the newer schema when they connect again.
 */
static bool end_older(PGconn *conn, uint64_t deadline_ms)
{
	return run(conn,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
		" WHERE application_name = current_setting('application_name')"
		" AND datname = current_database() AND usename = current_user"
		" AND pid <> pg_backend_pid()",
		deadline_ms);
}

static enum x402_err migrate(
	PGconn *conn, uint64_t deadline_ms, struct x402_errinfo *info)
{
	static const char *const steps[SCHEMA_VERSION] = {
		fac_postgres_0001, fac_postgres_0002, fac_postgres_0003};
	bool is_older;
	long version = 0;
	char sql[96];

	if (!read_version(conn, deadline_ms, &version))
		return fail(conn, "cannot read the schema", info);
	if (version > SCHEMA_VERSION) {
		x402_errinfo_set(info, "store",
			"postgresql: schema %ld was written by a newer "
			"facilitator; this one knows up to %d",
			version, SCHEMA_VERSION);
		return X402_ERR_VERSION;
	}
	is_older = version > 0 && version < SCHEMA_VERSION;
	/* Not while an older daemon is in the middle of a group. */
	if (is_older &&
		!run(conn, fac_postgres_sql[FAC_POSTGRES_GATE], deadline_ms))
		return fail(conn, "cannot write the schema", info);
	for (; version < SCHEMA_VERSION; version++) {
		snprintf(sql, sizeof(sql),
			"INSERT INTO schema_version (version) VALUES (%ld)",
			version + 1);
		if (!run(conn, steps[version], deadline_ms) ||
			!run(conn, sql, deadline_ms))
			return fail(conn, "cannot write the schema", info);
	}
	if ((is_older && !end_older(conn, deadline_ms)) ||
		!run(conn, "COMMIT", deadline_ms))
		return fail(conn, "cannot write the schema", info);
	return X402_OK;
}

/* All statements, in one go. */
static enum x402_err prepare(struct fac_postgres_link *link,
	uint64_t deadline_ms, struct x402_errinfo *info)
{
	PGconn *conn = link->conn;
	enum x402_err err = X402_OK;
	unsigned ends = 0;

	if (PQsetnonblocking(conn, 1) || !PQenterPipelineMode(conn))
		return fail(conn, "cannot enter pipeline mode", info);
	for (unsigned i = 0; i < FAC_POSTGRES_COUNT; i++)
		if (!PQsendPrepare(conn, fac_postgres_names[i],
			    fac_postgres_sql[i], 0, NULL))
			return fail(conn, "cannot prepare", info);
	if (!PQpipelineSync(conn))
		return fail(conn, "cannot prepare", info);
	for (bool done = false; !done;) {
		PGresult *result;

		if (!fac_postgres_wait(link, deadline_ms))
			return fail(conn, "no answer", info);
		result = PQgetResult(conn);
		if (!result && ++ends > 2 * FAC_POSTGRES_COUNT)
			return fail(conn, "no answer", info);
		if (PQresultStatus(result) == PGRES_FATAL_ERROR && result &&
			!err)
			err = fail(conn, "cannot prepare", info);
		done = result && PQresultStatus(result) == PGRES_PIPELINE_SYNC;
		PQclear(result);
	}
	return err;
}

static enum x402_err start(struct fac_postgres_link *link, uint64_t deadline_ms,
	struct x402_errinfo *info)
{
	static const char *const names[] = {
		"dbname", "fallback_application_name", "client_encoding", NULL};
	const char *values[] = {link->uri, "x402-facilitator", "UTF8", NULL};
	PQconninfoOption *options = PQconninfoParse(link->uri, NULL);
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	if (!options) {
		x402_errinfo_set(info, "store",
			"postgresql: the URI cannot be read; expected "
			"postgresql://user@host:port/database?sslmode=...");
		return X402_ERR_STORE;
	}
	PQconninfoFree(options);
	link->conn = PQconnectStartParams(names, values, 1);
	if (!link->conn || PQstatus(link->conn) == CONNECTION_BAD)
		return fail(link->conn, "cannot connect", info);
	while (status != PGRES_POLLING_OK) {
		if (!wait_socket(link->conn,
			    status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
			    deadline_ms)) {
			x402_errinfo_set(info, "store",
				"postgresql: cannot connect: no answer");
			return X402_ERR_STORE;
		}
		status = PQconnectPoll(link->conn);
		if (status == PGRES_POLLING_FAILED)
			return fail(link->conn, "cannot connect", info);
	}
	return X402_OK;
}

static void ignore_notice(void *arg, const PGresult *result)
{
	(void)arg; /* nothing to be told on stderr */
	(void)result;
}

static enum x402_err ready(struct fac_postgres_link *link, uint64_t deadline_ms,
	struct x402_errinfo *info)
{
	enum x402_err err;

	(void)PQsetNoticeReceiver(link->conn, ignore_notice, NULL);
	err = check_server(link->conn, deadline_ms, info);
	if (!err)
		err = migrate(link->conn, deadline_ms, info);
	if (!err)
		err = prepare(link, deadline_ms, info);
	return err;
}

enum x402_err fac_postgres_connect(struct fac_postgres_link *link,
	uint64_t deadline_ms, struct x402_errinfo *info)
{
	enum x402_err err = X402_ERR_STORE;
	bool ended = true;

	for (unsigned i = 0; ended && i < SESSIONS_MAX; i++) {
		fac_postgres_disconnect(link);
		err = start(link, deadline_ms, info);
		if (err)
			break;
		err = ready(link, deadline_ms, info);
		/* By one who took it for an older daemon's (end_older)? */
		ended = err && PQstatus(link->conn) == CONNECTION_BAD;
	}
	if (err)
		fac_postgres_disconnect(link);
	return err;
}
