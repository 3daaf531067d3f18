/*
 * Groups of verbs on PostgreSQL. One group is one pipeline that ends in one
 * sync, which is one implicit transaction: one round trip and one fsync.
 *
 *   1. connect       unless the connection stands; for so long as the first
 *                    verb of the group may wait
 *   2. send_group    the writers' lock, then the statements of every verb
 *   3. read_group    answers into replies; they count when the sync came back
 *   4. run_chunk     decides: done; rolled back for sure, so again or one by
 *                    one; or lost, and then nobody knows: STORE
 *
 * Writers take one advisory lock for the length of a group, so that groups of
 * several daemons run one after the other and what a statement saw still
 * holds when it writes. Groups that only read do not wait for it.
 *
 * A daemon that is stopped in the middle of sending would keep that lock:
 * after lock_timeout the others end its session (unstick). Its group was not
 * committed, and it is told so.
 */
#include "store/postgres_p.h"
#include "store/postgres_link_p.h"
#include "store/postgres_verbs_p.h"

#include <stdio.h>
#include <stdlib.h>

/* Verbs in one transaction: bounds how long others wait for the lock. */
#define CHUNK_MAX 128
/* A verb waits so long for a server that is away. */
#define AWAY_MS 5000
/*
 * However long a group waited before: one attempt to connect gets this. On a
 * machine that is behind with everything a session takes more than a second to
 * make, and attempts that were cut short each time would never end.
 */
#define ATTEMPT_MS 6000
/* Another may be bringing the journal up to date: it is waited for. */
#define OPEN_MS 30000
/* No answer for so long: given up. Longer than the server's timeouts. */
#define SILENCE_MS 12000
/* ... when the store closes. */
#define CLOSING_MS 3000
#define TRIES_MAX  4
/* Backoff between attempts to connect. */
#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 800

struct fac_postgres {
	struct fac_postgres_link link;
	bool gave_up; /* to connect, in this group */
	char hooks[FAC_HOOKS_MAX][FAC_HOOK_NAME_MAX];
	const char *hook_names[FAC_HOOKS_MAX];
	size_t hooks_len;
};

enum outcome {
	DONE,
	AGAIN,  /* rolled back; it may do better next time */
	FAILED, /* rolled back: a verb's fault */
	LOST    /* nobody knows */
};

enum x402_err fac_postgres_open(const struct fac_store_options *options,
	struct x402_errinfo *info, struct fac_postgres **ret_postgres)
{
	struct fac_postgres *postgres = calloc(1, sizeof(*postgres));
	enum x402_err err;

	if (!postgres)
		return X402_ERR_NOMEM;
	postgres->hooks_len = options->hooks_len;
	for (size_t i = 0; i < options->hooks_len; i++) {
		snprintf(postgres->hooks[i], sizeof(postgres->hooks[i]), "%s",
			options->hooks[i]);
		postgres->hook_names[i] = postgres->hooks[i];
	}
	err = fac_postgres_link_init(&postgres->link, options->path);
	if (err) {
		free(postgres);
		return err;
	}
	err = fac_postgres_connect(
		&postgres->link, fac_postgres_clock_ms() + OPEN_MS, info);
	if (err) {
		fac_postgres_close(postgres);
		return err;
	}
	*ret_postgres = postgres;
	return X402_OK;
}

void fac_postgres_close(struct fac_postgres *postgres)
{
	if (!postgres)
		return;
	fac_postgres_link_clear(&postgres->link);
	free(postgres);
}

void fac_postgres_stop(struct fac_postgres *postgres)
{
	fac_postgres_link_stop(&postgres->link);
}

/* ---- 1. Connecting. ---- */

static bool connect_until(struct fac_postgres *postgres, uint64_t deadline_ms)
{
	uint64_t pause = PAUSE_MIN_MS;

	for (;;) {
		struct x402_errinfo info;
		uint64_t attempt = fac_postgres_clock_ms() + ATTEMPT_MS;

		if (attempt < deadline_ms)
			attempt = deadline_ms;
		if (!fac_postgres_connect(&postgres->link, attempt, &info))
			return true;
		if (fac_postgres_clock_ms() + pause >= deadline_ms ||
			fac_postgres_pause(&postgres->link, pause))
			return false;
		pause = pause * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause * 2;
	}
}

/* ---- 2. Sending. ---- */

/* How many verbs from first on make one transaction. */
static unsigned chunk_len(const struct fac_verb *first)
{
	unsigned len = 0;

	for (; first && len < CHUNK_MAX; first = first->next)
		len++;
	return len;
}

static bool is_reading(const struct fac_verb *verb, unsigned len)
{
	for (; len; verb = verb->next, len--)
		if (!fac_postgres_is_reading(verb->kind))
			return false;
	return true;
}

static bool send_group(struct fac_postgres *postgres,
	const struct fac_verb *verb, unsigned len, bool gate)
{
	PGconn *conn = postgres->link.conn;

	if (gate && !fac_postgres_send_plain(conn, FAC_POSTGRES_GATE))
		return false;
	for (; len; verb = verb->next, len--)
		if (!fac_postgres_send(conn, verb, postgres->hook_names,
			    postgres->hooks_len))
			return false;
	return PQpipelineSync(conn);
}

/* ---- 3. Reading. ---- */

/* What a failed statement says about its transaction. */
static enum outcome judge_error(const PGresult *result)
{
	/* Deadlock, serialization, lock and statement timeouts, shutdowns. */
	static const char *const again[] = {"40001", "40P01", "55P03", "57014",
		"57P01", "57P02", "57P03", "25P03"};
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	/* libpq's own words: the connection broke. */
	if (!state)
		return LOST;
	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		if (strcmp(state, again[i]) == 0)
			return AGAIN;
	return FAILED;
}

/* The next result that is one; NULL: the connection is lost or silent. */
static PGresult *next_result(struct fac_postgres *postgres)
{
	uint64_t silence = fac_postgres_link_is_stopped(&postgres->link)
		? CLOSING_MS
		: SILENCE_MS;

	/* Between two results libpq gives one NULL. */
	for (int i = 0; i < 2; i++) {
		PGresult *result;

		if (!fac_postgres_wait(
			    &postgres->link, fac_postgres_clock_ms() + silence))
			return NULL;
		result = PQgetResult(postgres->link.conn);
		if (result)
			return result;
	}
	return NULL;
}

/* One statement's answer; verb NULL: the lock's. */
static enum outcome read_statement(
	struct fac_postgres *postgres, struct fac_verb *verb, unsigned index)
{
	PGresult *result = next_result(postgres);
	enum outcome outcome = DONE;

	if (!result)
		return LOST;
	switch (PQresultStatus(result)) {
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
		if (verb)
			fac_postgres_read(verb, index, result);
		break;
	case PGRES_FATAL_ERROR:
		outcome = judge_error(result);
		break;
	case PGRES_PIPELINE_ABORTED: /* read_group knows why already */
		outcome = FAILED;
		break;
	case PGRES_EMPTY_QUERY:
	case PGRES_COPY_OUT:
	case PGRES_COPY_IN:
	case PGRES_BAD_RESPONSE:
	case PGRES_NONFATAL_ERROR:
	case PGRES_COPY_BOTH:
	case PGRES_SINGLE_TUPLE:
	case PGRES_PIPELINE_SYNC:
		outcome = LOST; /* out of step: nothing can be believed */
		break;
	}
	PQclear(result);
	return outcome;
}

/* The sync came back: what was sent before it is committed. */
static enum outcome read_sync(struct fac_postgres *postgres)
{
	PGresult *result = next_result(postgres);
	enum outcome outcome = LOST;

	if (result && PQresultStatus(result) == PGRES_PIPELINE_SYNC)
		outcome = DONE;
	else if (result && PQresultStatus(result) == PGRES_FATAL_ERROR)
		outcome = judge_error(result) == AGAIN ? LOST : FAILED;
	PQclear(result);
	return outcome;
}

static enum outcome read_group(struct fac_postgres *postgres,
	struct fac_verb *verb, unsigned len, bool gate)
{
	enum outcome outcome = gate ? read_statement(postgres, NULL, 0) : DONE;
	enum outcome end;

	for (; len && outcome != LOST; verb = verb->next, len--) {
		unsigned statements = fac_postgres_statements(verb);

		for (unsigned i = 0; i < statements && outcome != LOST; i++) {
			enum outcome one = read_statement(
				postgres, outcome ? NULL : verb, i);

			if (outcome == DONE)
				outcome = one;
			/*
			 * After a farewell nothing more comes: its words are
			 * the last ones, and they say rolled back.
			 */
			else if (one == LOST)
				return outcome;
		}
	}
	if (outcome == LOST)
		return LOST;
	end = read_sync(postgres);
	return outcome == DONE ? end : outcome;
}

/* ---- 4. Deciding. ---- */

static void reset_group(struct fac_verb *verb, unsigned len, enum x402_err err)
{
	for (; len; verb = verb->next, len--) {
		fac_verb_reset(verb);
		verb->reply.err = err;
	}
}

/*
 * End sessions of daemons that have been stopped in the middle of a group:
 * the server has waited for their socket for two seconds.
 */
static void unstick(struct fac_postgres *postgres)
{
	PGconn *conn = postgres->link.conn;

	if (!conn ||
		!PQsendQueryParams(conn,
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
			" WHERE application_name = current_setting("
			"'application_name') AND datname = current_database()"
			" AND usename = current_user AND pid <> "
			"pg_backend_pid()"
			" AND wait_event IN ('ClientRead', 'ClientWrite')"
			" AND xact_start < clock_timestamp()"
			" - interval '2 seconds'",
			0, NULL, NULL, NULL, NULL, 0) ||
		!PQpipelineSync(conn) ||
		read_statement(postgres, NULL, 0) == LOST ||
		read_sync(postgres) != DONE)
		fac_postgres_disconnect(&postgres->link);
}

static enum outcome attempt(
	struct fac_postgres *postgres, struct fac_verb *verb, unsigned len)
{
	bool gate = !is_reading(verb, len);
	enum outcome outcome;

	reset_group(verb, len, X402_OK);
	/* Nothing is committed before the sync, and it was not sent. */
	if (!send_group(postgres, verb, len, gate)) {
		fac_postgres_disconnect(&postgres->link);
		return AGAIN;
	}
	outcome = read_group(postgres, verb, len, gate);
	if (outcome == LOST || PQstatus(postgres->link.conn) != CONNECTION_OK ||
		(outcome != DONE &&
			PQtransactionStatus(postgres->link.conn) !=
				PQTRANS_IDLE))
		fac_postgres_disconnect(&postgres->link);
	return outcome;
}

static bool run_chunk(
	struct fac_postgres *postgres, struct fac_verb *verb, unsigned len)
{
	uint64_t deadline_ms = verb->queued_ms + AWAY_MS;
	enum outcome outcome = AGAIN;

	for (unsigned tries = 0; outcome == AGAIN && tries < TRIES_MAX;
		tries++) {
		/* Once more at least; and no more when it has waited. */
		if (tries > 1 && fac_postgres_clock_ms() > deadline_ms)
			break;
		if (!fac_postgres_is_alive(&postgres->link)) {
			/* One attempt is enough for all that are late. */
			if (postgres->gave_up &&
				fac_postgres_clock_ms() > deadline_ms)
				break;
			postgres->gave_up = !connect_until(
				postgres, deadline_ms);
			if (postgres->gave_up)
				break;
		}
		outcome = attempt(postgres, verb, len);
		if (outcome == AGAIN)
			unstick(postgres);
	}
	if (outcome == DONE)
		return true;
	reset_group(verb, len, X402_ERR_STORE);
	if (outcome != FAILED || len == 1)
		return false;
	/* One of them spoils it for the others: find out which. */
	outcome = DONE;
	for (; len; verb = verb->next, len--)
		if (!run_chunk(postgres, verb, 1))
			outcome = FAILED;
	return outcome == DONE;
}

bool fac_postgres_run_group(
	struct fac_postgres *postgres, struct fac_verb *verbs)
{
	bool committed = true;

	postgres->gave_up = false;
	while (verbs) {
		unsigned len = chunk_len(verbs);

		committed &= run_chunk(postgres, verbs, len);
		for (; len; len--)
			verbs = verbs->next;
	}
	return committed;
}
