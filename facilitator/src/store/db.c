/*
 * Opening the file safely, and the few SQLite calls that all verbs share.
 *
 * Two daemons on one file would each hand out the same nonces, so the file
 * has a lock beside it (PATH.lock), held until the process ends however it
 * ends. synchronous=FULL makes COMMIT an fsync: what the engine calls durable
 * is durable (R1).
 */
#include "store/db_p.h"
#include "store/migrations_p.h"

#include <fcntl.h>
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

static enum x402_err migrate(struct fac_db *db, struct x402_errinfo *info)
{
	sqlite3_stmt *stmt = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(db->sqlite, "PRAGMA user_version", -1, &stmt,
		    NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		version = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	if (version < 0)
		return X402_ERR_STORE;
	if (version > FAC_MIGRATIONS_COUNT) {
		x402_errinfo_set(info, "store",
			"schema %d was written by a newer facilitator; this "
			"one knows up to %d",
			version, FAC_MIGRATIONS_COUNT);
		return X402_ERR_VERSION;
	}
	for (; version < FAC_MIGRATIONS_COUNT; version++) {
		char set[64];

		snprintf(set, sizeof(set), "PRAGMA user_version = %d",
			version + 1);
		if (fac_db_exec(db, "BEGIN IMMEDIATE") ||
			fac_db_exec(db, fac_migrations[version]) ||
			fac_db_exec(db, set) || fac_db_exec(db, "COMMIT"))
			return X402_ERR_STORE;
	}
	return X402_OK;
}

static enum x402_err open_file(
	struct fac_db *db, const char *path, struct x402_errinfo *info)
{
	enum x402_err err;

	if (sqlite3_open_v2(path, &db->sqlite,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
			    SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK)
		return X402_ERR_STORE;
	(void)sqlite3_busy_timeout(db->sqlite, BUSY_TIMEOUT_MS);
	(void)sqlite3_extended_result_codes(db->sqlite, 1);
	err = fac_db_exec(db,
		"PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = FULL;"
		"PRAGMA foreign_keys = ON;"
		"PRAGMA trusted_schema = OFF;");
	return err ? err : migrate(db, info);
}

enum x402_err fac_db_open(
	const char *path, struct x402_errinfo *info, struct fac_db *ret_db)
{
	struct fac_db db = {.lock_fd = -1};
	enum x402_err err = take_lock(path, info, &db.lock_fd);

	if (err)
		return err;
	err = open_file(&db, path, info);
	if (err) {
		if (err == X402_ERR_STORE)
			x402_errinfo_set(info, "store", "%.150s: %.80s", path,
				db.sqlite ? sqlite3_errmsg(db.sqlite)
					  : "out of memory");
		fac_db_close(&db);
		return err;
	}
	*ret_db = db;
	return X402_OK;
}

void fac_db_close(struct fac_db *db)
{
	for (size_t i = 0; i < db->statements_len; i++)
		sqlite3_finalize(db->statements[i].stmt);
	sqlite3_close(db->sqlite);
	if (db->lock_fd >= 0)
		close(db->lock_fd);
	memset(db, 0, sizeof(*db));
	db->lock_fd = -1;
}

sqlite3_stmt *fac_db_prepare(struct fac_db *db, const char *sql)
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
	if (db->statements_len == FAC_DB_STATEMENTS_MAX)
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
void fac_db_bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
	if (text)
		(void)sqlite3_bind_text(
			stmt, index, text, -1, SQLITE_TRANSIENT);
}

void fac_db_bind_bytes(sqlite3_stmt *stmt, int index, struct x402_span bytes)
{
	(void)sqlite3_bind_blob(stmt, index, bytes.ptr ? bytes.ptr : (void *)"",
		(int)bytes.len, SQLITE_TRANSIENT);
}

void fac_db_bind_u64(sqlite3_stmt *stmt, int index, uint64_t value)
{
	(void)sqlite3_bind_int64(stmt, index,
		value > INT64_MAX ? INT64_MAX : (sqlite3_int64)value);
}

enum x402_err fac_db_row(struct fac_db *db, sqlite3_stmt *stmt, bool *ret_row)
{
	int code;

	(void)db;
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

enum x402_err fac_db_run(struct fac_db *db, sqlite3_stmt *stmt)
{
	bool row = true;
	enum x402_err err = X402_OK;

	while (row && !err)
		err = fac_db_row(db, stmt, &row);
	return err;
}

enum x402_err fac_db_exec(struct fac_db *db, const char *sql)
{
	return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK
		? X402_OK
		: X402_ERR_STORE;
}

void fac_db_text(sqlite3_stmt *stmt, int column, char *ret_text, size_t size)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	snprintf(ret_text, size, "%s", text ? (const char *)text : "");
}

bool fac_db_fixed(
	sqlite3_stmt *stmt, int column, uint8_t *ret_bytes, size_t len)
{
	const void *bytes = sqlite3_column_blob(stmt, column);

	if (!bytes || (size_t)sqlite3_column_bytes(stmt, column) != len)
		return false;
	memcpy(ret_bytes, bytes, len);
	return true;
}

char *fac_db_dup(sqlite3_stmt *stmt, int column)
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

void fac_db_buf(sqlite3_stmt *stmt, int column, struct x402_buf *ret_buf)
{
	const void *bytes = sqlite3_column_blob(stmt, column);
	int len = sqlite3_column_bytes(stmt, column);

	*ret_buf = (struct x402_buf){0};
	x402_buf_add(ret_buf, x402_span(bytes, bytes ? (size_t)len : 0));
	if (ret_buf->failed)
		abort();
}

uint64_t fac_db_u64(sqlite3_stmt *stmt, int column)
{
	sqlite3_int64 value = sqlite3_column_int64(stmt, column);

	return value < 0 ? 0 : (uint64_t)value;
}

uint64_t fac_db_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
