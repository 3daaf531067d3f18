/*
 * Opening the file safely, and the few SQLite calls that all verbs share.
 *
 * Two daemons on one file would each hand out the same nonces, so the file
 * has a lock beside it (PATH.lock), held until the process ends however it
 * ends. synchronous=FULL makes COMMIT an fsync: what the engine calls durable
 * is durable (R1).
 */
#include "store/sqlite_p.h"
#include "store/sqlite_migrations_p.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* Another program may read the file; wait so long for its lock. */
#define BUSY_TIMEOUT_MS 5000

static enum x402_err take_lock(
	const char *path, struct x402_errinfo *info, int *ret_fd)
{
	char name[4096];
	int fd;

	if (snprintf(name, sizeof(name), "%s.lock", path) >=
		(int)sizeof(name)) {
		x402_errinfo_set(info, "store", "path is too long");
		return X402_ERR_STORE;
	}
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		x402_errinfo_set(info, "store", "cannot open %.180s: %m", name);
		return X402_ERR_STORE;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		x402_errinfo_set(info, "store",
			"%.180s is locked: another facilitator uses this store",
			name);
		close(fd);
		return X402_ERR_STORE;
	}
	*ret_fd = fd;
	return X402_OK;
}

/* The number that a query gives; -1: it failed. */
static int read_int(struct fac_sqlite *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int number = -1;

	if (sqlite3_prepare_v2(db->sqlite, sql, -1, &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		number = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return number;
}

/* One step and its number, in one transaction. */
static enum x402_err take_step(struct fac_sqlite *db, int version)
{
	const struct fac_migration *step = &fac_migrations[version];
	char set[64];
	int has = 0;

	snprintf(set, sizeof(set), "PRAGMA user_version = %d", version + 1);
	if (fac_sqlite_script(db, "BEGIN IMMEDIATE"))
		return X402_ERR_STORE;
	if (step->unless)
		has = read_int(db, step->unless);
	return has < 0 || (!has && fac_sqlite_script(db, step->sql)) ||
			fac_sqlite_script(db, set) ||
			fac_sqlite_script(db, "COMMIT")
		? X402_ERR_STORE
		: X402_OK;
}

static enum x402_err migrate(struct fac_sqlite *db, struct x402_errinfo *info)
{
	int version = read_int(db, "PRAGMA user_version");

	if (version < 0)
		return X402_ERR_STORE;
	if (version > FAC_MIGRATIONS_COUNT) {
		x402_errinfo_set(info, "store",
			"schema %d was written by a newer facilitator; this "
			"one knows up to %d",
			version, FAC_MIGRATIONS_COUNT);
		return X402_ERR_VERSION;
	}
	for (; version < FAC_MIGRATIONS_COUNT; version++)
		if (take_step(db, version))
			return X402_ERR_STORE;
	return X402_OK;
}

/*
 * SQLite would make it readable for all. It holds authorizations before they
 * are spent, and what has its holder told a success again. One that is there
 * keeps its mode, and the files beside it take theirs from it.
 */
static void make_private(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0) /* else SQLite says why */
		close(fd);
}

static enum x402_err open_file(
	struct fac_sqlite *db, const char *path, struct x402_errinfo *info)
{
	enum x402_err err;

	make_private(path);
	if (sqlite3_open_v2(path, &db->sqlite,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
			    SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK)
		return X402_ERR_STORE;
	(void)sqlite3_busy_timeout(db->sqlite, BUSY_TIMEOUT_MS);
	(void)sqlite3_extended_result_codes(db->sqlite, 1);
	/* Some systems' SQLite would not let a migration change a CHECK. */
	(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	err = fac_sqlite_script(db,
		"PRAGMA mmap_size = 4294967296;"
		"PRAGMA cache_size = -8192;"
		/* Savepoints need no file: a crash undoes them all. */
		"PRAGMA temp_store = MEMORY;"
		"PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = FULL;"
		"PRAGMA foreign_keys = ON;"
		"PRAGMA trusted_schema = OFF;");
	return err ? err : migrate(db, info);
}

/*
 * Statistics of memory take a lock at each malloc, and nobody reads them.
 * Refused when SQLite is in use already, which costs only time.
 */
static void configure(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

enum x402_err fac_sqlite_open(const struct fac_store_options *options,
	struct x402_errinfo *info, struct fac_sqlite *ret_db)
{
	struct fac_sqlite db = {.lock_fd = -1, .hooks_len = options->hooks_len};
	static pthread_once_t configured = PTHREAD_ONCE_INIT;
	enum x402_err err;

	(void)pthread_once(&configured, configure);
	for (size_t i = 0; i < options->hooks_len; i++)
		snprintf(db.hooks[i], sizeof(db.hooks[i]), "%s",
			options->hooks[i]);
	err = take_lock(options->path, info, &db.lock_fd);
	if (err)
		return err;
	err = open_file(&db, options->path, info);
	if (err) {
		if (err == X402_ERR_STORE)
			x402_errinfo_set(info, "store", "%.150s: %.80s",
				options->path,
				db.sqlite ? sqlite3_errmsg(db.sqlite)
					  : "out of memory");
		fac_sqlite_close(&db);
		return err;
	}
	*ret_db = db;
	return X402_OK;
}

void fac_sqlite_close(struct fac_sqlite *db)
{
	for (size_t i = 0; i < db->statements_len; i++)
		sqlite3_finalize(db->statements[i].stmt);
	sqlite3_close(db->sqlite);
	if (db->lock_fd >= 0)
		close(db->lock_fd);
	memset(db, 0, sizeof(*db));
	db->lock_fd = -1;
}

sqlite3_stmt *fac_sqlite_prepare(struct fac_sqlite *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	for (size_t i = 0; i < db->statements_len; i++) {
		if (db->statements[i].sql == sql) {
			stmt = db->statements[i].stmt;
			/* Repeats the last step's error; it was looked at. */
			(void)sqlite3_reset(stmt);
			(void)sqlite3_clear_bindings(stmt);
			return stmt;
		}
	}
	if (db->statements_len == FAC_SQLITE_STATEMENTS_MAX)
		return NULL;
	if (sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT,
		    &stmt, NULL) != SQLITE_OK)
		return NULL;
	db->statements[db->statements_len].sql = sql;
	db->statements[db->statements_len++].stmt = stmt;
	return stmt;
}

/*
 * Binding fails only when memory is out or the index is wrong; the statement
 * then lacks a NOT NULL value and its step fails.
 */
void fac_sqlite_bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
	if (text)
		(void)sqlite3_bind_text(
			stmt, index, text, -1, SQLITE_TRANSIENT);
}

void fac_sqlite_bind_bytes(
	sqlite3_stmt *stmt, int index, struct x402_span bytes)
{
	(void)sqlite3_bind_blob(stmt, index, bytes.ptr ? bytes.ptr : (void *)"",
		(int)bytes.len, SQLITE_TRANSIENT);
}

void fac_sqlite_bind_u64(sqlite3_stmt *stmt, int index, uint64_t value)
{
	(void)sqlite3_bind_int64(stmt, index,
		value > INT64_MAX ? INT64_MAX : (sqlite3_int64)value);
}

sqlite3_stmt *fac_sqlite_bound(
	struct fac_sqlite *db, const char *sql, const char *format, ...)
{
	sqlite3_stmt *stmt = fac_sqlite_prepare(db, sql);
	va_list args;

	if (!stmt)
		return NULL;
	va_start(args, format);
	for (int i = 1; *format; i++, format++) {
		if (*format == 't')
			fac_sqlite_bind_text(
				stmt, i, va_arg(args, const char *));
		else if (*format == 'i')
			fac_sqlite_bind_u64(stmt, i, va_arg(args, uint64_t));
		else if (*format == 's')
			fac_sqlite_bind_bytes(
				stmt, i, va_arg(args, struct x402_span));
		else
			fac_sqlite_bind_bytes(stmt, i,
				x402_span(va_arg(args, const uint8_t *),
					*format == 'a' ? 20 : 32));
	}
	va_end(args);
	return stmt;
}

enum x402_err fac_sqlite_row(sqlite3_stmt *stmt, bool *ret_row)
{
	int code;

	if (!stmt)
		return X402_ERR_STORE;
	code = sqlite3_step(stmt);
	if (code == SQLITE_ROW || code == SQLITE_DONE) {
		*ret_row = code == SQLITE_ROW;
		/* A finished statement must not hold its read lock. */
		if (code == SQLITE_DONE)
			(void)sqlite3_reset(stmt);
		return X402_OK;
	}
	(void)sqlite3_reset(stmt);
	return (code & 0xff) == SQLITE_CONSTRAINT ? X402_ERR_CONFLICT
						  : X402_ERR_STORE;
}

enum x402_err fac_sqlite_one(sqlite3_stmt *stmt)
{
	bool row = false;
	enum x402_err err = fac_sqlite_row(stmt, &row);

	return err || row ? err : X402_ERR_NOT_FOUND;
}

void fac_sqlite_done(sqlite3_stmt *stmt)
{
	/* Repeats the last step's error; it was looked at. */
	(void)sqlite3_reset(stmt);
}

enum x402_err fac_sqlite_exists(sqlite3_stmt *stmt)
{
	enum x402_err err = fac_sqlite_one(stmt);

	if (!err)
		fac_sqlite_done(stmt);
	return err;
}

enum x402_err fac_sqlite_exec(sqlite3_stmt *stmt)
{
	bool row = true;
	enum x402_err err = X402_OK;

	while (row && !err)
		err = fac_sqlite_row(stmt, &row);
	return err;
}

enum x402_err fac_sqlite_script(struct fac_sqlite *db, const char *sql)
{
	return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK
		? X402_OK
		: X402_ERR_STORE;
}

void fac_sqlite_text(
	sqlite3_stmt *stmt, int column, char *ret_text, size_t size)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);
	size_t len = text ? (size_t)sqlite3_column_bytes(stmt, column) : 0;

	len = len < size ? len : size - 1;
	if (len > 0)
		memcpy(ret_text, text, len);
	ret_text[len] = 0;
}

bool fac_sqlite_fixed(
	sqlite3_stmt *stmt, int column, uint8_t *ret_bytes, size_t len)
{
	const void *bytes = sqlite3_column_blob(stmt, column);

	if (!bytes || (size_t)sqlite3_column_bytes(stmt, column) != len)
		return false;
	memcpy(ret_bytes, bytes, len);
	return true;
}

struct x402_span fac_sqlite_span(sqlite3_stmt *stmt, int column)
{
	const void *bytes = sqlite3_column_blob(stmt, column);

	return x402_span(
		bytes, bytes ? (size_t)sqlite3_column_bytes(stmt, column) : 0);
}

char *fac_sqlite_dup(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);
	char *copy;

	if (!text)
		return NULL;
	copy = strdup((const char *)text);
	if (!copy)
		abort();
	return copy;
}

void fac_sqlite_buf(sqlite3_stmt *stmt, int column, struct x402_buf *ret_buf)
{
	const void *bytes = sqlite3_column_blob(stmt, column);
	int len = sqlite3_column_bytes(stmt, column);

	*ret_buf = (struct x402_buf){0};
	x402_buf_add(ret_buf, x402_span(bytes, bytes ? (size_t)len : 0));
	if (ret_buf->failed)
		abort();
}

uint64_t fac_sqlite_u64(sqlite3_stmt *stmt, int column)
{
	sqlite3_int64 value = sqlite3_column_int64(stmt, column);

	return value < 0 ? 0 : (uint64_t)value;
}

void fac_sqlite_add_number(struct x402_buf *numbers, uint64_t number)
{
	x402_buf_add(
		numbers, x402_span((const uint8_t *)&number, sizeof(number)));
	if (numbers->failed)
		abort();
}

uint64_t fac_sqlite_number_at(const struct x402_buf *numbers, size_t at)
{
	uint64_t number;

	memcpy(&number, numbers->ptr + at, sizeof(number));
	return number;
}

uint64_t fac_sqlite_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- Running verbs. ---- */

static enum x402_err dispatch(struct fac_sqlite *db, struct fac_verb *verb)
{
	switch (verb->kind) {
	case FAC_VERB_RESERVE:
		return fac_sqlite_reserve(db, verb);
	case FAC_VERB_RELEASE:
		return fac_sqlite_release(db, verb);
	case FAC_VERB_HAND_OVER:
		return fac_sqlite_hand_over(db, verb);
	case FAC_VERB_TAKE_OVER:
		return fac_sqlite_take_over(db, verb);
	case FAC_VERB_HEARTBEAT:
		return fac_sqlite_heartbeat(db, verb);
	case FAC_VERB_FINISH:
		return fac_sqlite_finish(db, verb);
	case FAC_VERB_CREDIT:
		return fac_sqlite_credit(db, verb);
	case FAC_VERB_GRANT:
		return fac_sqlite_grant(db, verb);
	case FAC_VERB_PAYMENT_GET:
		return fac_sqlite_payment_get(db, verb);
	case FAC_VERB_HOLD:
		return fac_sqlite_hold(db, verb);
	case FAC_VERB_HOLD_GET:
		return fac_sqlite_hold_get(db, verb);
	case FAC_VERB_LANE_ACQUIRE:
		return fac_sqlite_lane_acquire(db, verb);
	case FAC_VERB_LANE_RELEASE:
		return fac_sqlite_lane_release(db, verb);
	case FAC_VERB_JOURNAL_SIGNED:
		return fac_sqlite_journal_signed(db, verb);
	case FAC_VERB_JOURNAL_ATTEMPT:
		return fac_sqlite_journal_attempt(db, verb);
	case FAC_VERB_MARK_BROADCAST:
		return fac_sqlite_mark_broadcast(db, verb);
	case FAC_VERB_MARK_REPLACED:
		return fac_sqlite_mark_replaced(db, verb);
	case FAC_VERB_MARK_MINED:
		return fac_sqlite_mark_mined(db, verb);
	case FAC_VERB_MARK_FINAL:
		return fac_sqlite_mark_final(db, verb);
	case FAC_VERB_MARK_DROPPED:
		return fac_sqlite_mark_dropped(db, verb);
	case FAC_VERB_REVIVE:
		return fac_sqlite_revive(db, verb);
	case FAC_VERB_LOAD_LANE:
		return fac_sqlite_load_lane(db, verb);
	case FAC_VERB_NEXT_NONCE_FLOOR:
		return fac_sqlite_next_nonce_floor(db, verb);
	case FAC_VERB_OUTBOX_TAKE:
		return fac_sqlite_outbox_take(db, verb);
	case FAC_VERB_OUTBOX_DONE:
		return fac_sqlite_outbox_done(db, verb);
	case FAC_VERB_OUTBOX_FAIL:
		return fac_sqlite_outbox_fail(db, verb);
	case FAC_VERB_OUTBOX_DEAD:
		return fac_sqlite_outbox_dead(db, verb);
	case FAC_VERB_OUTBOX_REVIVE:
		return fac_sqlite_outbox_revive(db, verb);
	case FAC_VERB_RESOURCE_PUT:
		return fac_sqlite_resource_put(db, verb);
	case FAC_VERB_RESOURCE_LIST:
		return fac_sqlite_resource_list(db, verb);
	case FAC_VERB_HEALTH:
		return fac_sqlite_health(db, verb);
	case FAC_VERB_FORGET_CLAIMS:
		return fac_sqlite_forget_claims(db, verb);
	case FAC_VERB_RETIRE:
		return fac_sqlite_retire(db, verb);
	case FAC_VERB_NONE:
	case FAC_VERB_COUNT:
		break;
	}
	return X402_ERR_STORE;
}

/* How a group's transaction stands. */
enum group {
	GROUP_ALIVE,
	GROUP_SPOILED, /* a verb failed and left something written */
	GROUP_DEAD,    /* SQLite gave it up: disk full, I/O error */
};

static void keep_outcome(struct fac_verb *verb, enum x402_err err)
{
	verb->reply.err = err;
	if (err)
		verb->reply.claimed = false;
}

/* A verb that failed before it wrote leaves nothing to take back. */
static enum group run_plain(struct fac_sqlite *db, struct fac_verb *verb)
{
	int changes = sqlite3_total_changes(db->sqlite);
	enum x402_err err = dispatch(db, verb);

	keep_outcome(verb, err);
	if (sqlite3_get_autocommit(db->sqlite))
		return GROUP_DEAD;
	return err && sqlite3_total_changes(db->sqlite) != changes
		? GROUP_SPOILED
		: GROUP_ALIVE;
}

static enum group run_in_savepoint(struct fac_sqlite *db, struct fac_verb *verb)
{
	enum x402_err err = fac_sqlite_script(db, "SAVEPOINT verb");

	if (!err) {
		err = dispatch(db, verb);
		/* What the verb read stays in the reply. */
		if (err && fac_sqlite_script(db, "ROLLBACK TO verb"))
			return GROUP_DEAD;
		if (fac_sqlite_script(db, "RELEASE verb"))
			err = X402_ERR_STORE;
	}
	keep_outcome(verb, err);
	return sqlite3_get_autocommit(db->sqlite) ? GROUP_DEAD : GROUP_ALIVE;
}

static enum group run_all(struct fac_sqlite *db, struct fac_verb *verbs,
	enum group (*run)(struct fac_sqlite *db, struct fac_verb *verb))
{
	enum group group = fac_sqlite_script(db, "BEGIN IMMEDIATE")
		? GROUP_DEAD
		: GROUP_ALIVE;

	for (struct fac_verb *verb = verbs; verb && group == GROUP_ALIVE;
		verb = verb->next)
		group = run(db, verb);
	if (group == GROUP_ALIVE && fac_sqlite_script(db, "COMMIT"))
		group = GROUP_DEAD;
	/* Should this fail too, the next BEGIN fails, and so do its verbs. */
	if (group != GROUP_ALIVE && !sqlite3_get_autocommit(db->sqlite))
		(void)!fac_sqlite_script(db, "ROLLBACK");
	return group;
}

static void reset_all(struct fac_verb *verbs)
{
	for (struct fac_verb *verb = verbs; verb; verb = verb->next)
		fac_verb_reset(verb);
}

/*
 * A savepoint copies each page that its verb touches, so a group goes without
 * at first. Only when a verb fails in the middle of its writes, which takes a
 * race, it is run again with a savepoint around each.
 */
bool fac_sqlite_run_group(struct fac_sqlite *db, struct fac_verb *verbs)
{
	enum group group = run_all(db, verbs, run_plain);

	if (group == GROUP_SPOILED) {
		reset_all(verbs);
		group = run_all(db, verbs, run_in_savepoint);
	}
	if (group == GROUP_ALIVE)
		return true;
	/* Nothing of this group is durable: fail closed, all of it. */
	reset_all(verbs);
	for (struct fac_verb *verb = verbs; verb; verb = verb->next)
		verb->reply.err = X402_ERR_STORE;
	return false;
}

void fac_sqlite_run(struct fac_sqlite *db, struct fac_verb *verb)
{
	verb->next = NULL;
	(void)!fac_sqlite_run_group(db, verb);
}
