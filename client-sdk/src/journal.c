/*
 * journal.c: opening the journal safely, and the few SQLite calls that all of
 * its verbs share.
 *
 * The file is private to its user, since an authorization in it is worth
 * money to its payee. Many processes share it: WAL lets readers be, one BEGIN
 * IMMEDIATE at a time writes. A commit is an fsync only where money moves
 * next (the authorization itself): what a power cut takes of the rest leaves
 * a purchase open, never paid twice.
 */
#include "journal_p.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Longest path that is taken: PATH_MAX of Linux. */
#define PATH_SIZE 4096
/* Another process writes for milliseconds; a stalled disk for seconds. */
#define BUSY_TIMEOUT_MS 5000
#define BUSY_STEP_MS    10

static const char schema[] =
	"CREATE TABLE purchases ("
	" number INTEGER PRIMARY KEY AUTOINCREMENT,"
	" key BLOB NOT NULL,"
	" request BLOB NOT NULL,"
	" live INTEGER NOT NULL,"
	" state INTEGER NOT NULL,"
	" id TEXT NOT NULL,"
	" session TEXT NOT NULL,"
	" correlation TEXT NOT NULL,"
	" method TEXT NOT NULL,"
	" url TEXT NOT NULL,"
	" host TEXT NOT NULL,"
	" version INTEGER NOT NULL,"
	" scheme TEXT NOT NULL,"
	" network TEXT NOT NULL,"
	" asset TEXT NOT NULL,"
	" amount TEXT NOT NULL,"
	" charged TEXT NOT NULL DEFAULT '',"
	" usd INTEGER NOT NULL,"
	" pay_to TEXT NOT NULL,"
	" payer TEXT NOT NULL,"
	" valid_before INTEGER NOT NULL DEFAULT 0,"
	" header_name TEXT NOT NULL DEFAULT '',"
	" header_text TEXT NOT NULL DEFAULT '',"
	" said TEXT NOT NULL DEFAULT '',"
	" reason TEXT NOT NULL DEFAULT '',"
	" tx TEXT NOT NULL DEFAULT '',"
	" receipt TEXT NOT NULL DEFAULT '',"
	" status INTEGER NOT NULL DEFAULT 0,"
	" presented INTEGER NOT NULL DEFAULT 0,"
	" delivered INTEGER NOT NULL DEFAULT 0,"
	" created INTEGER NOT NULL,"
	" updated INTEGER NOT NULL,"
	" holder TEXT NOT NULL,"
	" held_until INTEGER NOT NULL"
	") STRICT;"
	/* One open purchase for each name: the rule that SQLite keeps. */
	"CREATE UNIQUE INDEX purchases_live ON purchases(key) WHERE live = 1;"
	"CREATE INDEX purchases_key ON purchases(key, number);"
	"CREATE INDEX purchases_request ON purchases(request, number);"
	"CREATE INDEX purchases_open ON purchases(state, number)"
	" WHERE state IN (0, 1, 3);"
	"CREATE INDEX purchases_id ON purchases(id) WHERE id <> '';"
	"CREATE TABLE spent ("
	" scope INTEGER NOT NULL,"
	" subject TEXT NOT NULL,"
	" grain INTEGER NOT NULL,"
	" bucket INTEGER NOT NULL,"
	" usd INTEGER NOT NULL,"
	" atomic TEXT NOT NULL,"
	" count INTEGER NOT NULL,"
	" PRIMARY KEY (scope, subject, grain, bucket)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE budgets ("
	" scope INTEGER NOT NULL,"
	" subject TEXT NOT NULL,"
	" span INTEGER NOT NULL,"
	" usd INTEGER NOT NULL,"
	" atomic TEXT NOT NULL,"
	" count INTEGER NOT NULL,"
	" PRIMARY KEY (scope, subject, span)"
	") STRICT, WITHOUT ROWID;"
	"PRAGMA user_version = 1;";

/* By which clock a purchase was counted: journal_clock.c. 0: by the wall's. */
static const char counted[] =
	"ALTER TABLE purchases ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE clock ("
	" one INTEGER PRIMARY KEY CHECK (one = 1),"
	" boot TEXT NOT NULL,"
	" elapsed INTEGER NOT NULL,"
	" wall INTEGER NOT NULL,"
	" counted INTEGER NOT NULL"
	") STRICT;"
	"PRAGMA user_version = 2;";

static const char *const migrations[] = {schema, counted};
#define MIGRATIONS_COUNT (int)(sizeof(migrations) / sizeof(migrations[0]))

/* ---- Statements. ---- */

static enum x402_err fail(struct x402_journal *journal)
{
	snprintf(journal->error, sizeof(journal->error), "%s",
		sqlite3_errmsg(journal->sqlite));
	return X402_ERR_STORE;
}

static enum x402_err script(struct x402_journal *journal, const char *sql)
{
	return sqlite3_exec(journal->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK
		? X402_OK
		: fail(journal);
}

sqlite3_stmt *x402__journal_prepare(
	struct x402_journal *journal, const char *sql)
{
	for (size_t i = 0; i < journal->statements_len; i++) {
		if (journal->statements[i].sql == sql) {
			sqlite3_stmt *stmt = journal->statements[i].stmt;
			/* Repeats the last step's error; it was looked at. */
			(void)sqlite3_reset(stmt);
			(void)sqlite3_clear_bindings(stmt);
			return stmt;
		}
	}
	sqlite3_stmt *stmt = NULL;
	if (journal->statements_len == X402__JOURNAL_STATEMENTS_MAX ||
		sqlite3_prepare_v3(journal->sqlite, sql, -1,
			SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
		(void)fail(journal);
		return NULL;
	}
	journal->statements[journal->statements_len].sql = sql;
	journal->statements[journal->statements_len++].stmt = stmt;
	return stmt;
}

/*
 * Binding fails only when memory is out; the statement then lacks a NOT NULL
 * value and its step fails.
 */
sqlite3_stmt *x402__journal_bound(
	struct x402_journal *journal, const char *sql, const char *format, ...)
{
	sqlite3_stmt *stmt = x402__journal_prepare(journal, sql);
	if (!stmt)
		return NULL;
	va_list args;
	va_start(args, format);
	for (int i = 1; *format; i++, format++) {
		if (*format == 't') {
			const char *text = va_arg(args, const char *);
			(void)sqlite3_bind_text(stmt, i, text ? text : "", -1,
				SQLITE_TRANSIENT);
		} else if (*format == 'i') {
			(void)sqlite3_bind_int64(
				stmt, i, va_arg(args, int64_t));
		} else {
			(void)sqlite3_bind_blob(stmt, i,
				va_arg(args, const uint8_t *), 32,
				SQLITE_TRANSIENT);
		}
	}
	va_end(args);
	return stmt;
}

enum x402_err x402__journal_row(
	struct x402_journal *journal, sqlite3_stmt *stmt, bool *ret_row)
{
	if (!stmt)
		return X402_ERR_STORE;
	int code = sqlite3_step(stmt);
	if (code == SQLITE_ROW || code == SQLITE_DONE) {
		*ret_row = code == SQLITE_ROW;
		/* A finished statement must not hold its read lock. */
		if (code == SQLITE_DONE)
			(void)sqlite3_reset(stmt);
		return X402_OK;
	}
	(void)fail(journal);
	(void)sqlite3_reset(stmt);
	return (code & 0xff) == SQLITE_CONSTRAINT ? X402_ERR_CONFLICT
						  : X402_ERR_STORE;
}

enum x402_err x402__journal_run(
	struct x402_journal *journal, sqlite3_stmt *stmt)
{
	bool row = false;
	enum x402_err err = x402__journal_row(journal, stmt, &row);
	if (!err && row) {
		(void)sqlite3_reset(stmt);
		return X402_ERR_INTERNAL;
	}
	return err;
}

void x402__journal_done(sqlite3_stmt *stmt)
{
	/* Repeats the last step's error; it was looked at. */
	(void)sqlite3_reset(stmt);
}

const char *x402__journal_text(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);
	return text ? (const char *)text : "";
}

enum x402_err x402__journal_begin(struct x402_journal *journal, bool durable)
{
	journal->error[0] = '\0';
	journal->pending_len = 0;
	/* Outside of a transaction only; a pragma each time would cost. */
	if (durable != journal->durable) {
		enum x402_err err = script(journal,
			durable ? "PRAGMA synchronous = FULL"
				: "PRAGMA synchronous = NORMAL");
		if (err)
			return err;
		journal->durable = durable;
	}
	return script(journal, "BEGIN IMMEDIATE");
}

enum x402_err x402__journal_end(struct x402_journal *journal, enum x402_err err)
{
	if (!err)
		err = x402__budget_flush(journal);
	journal->pending_len = 0;
	if (!err)
		err = script(journal, "COMMIT");
	if (err) {
		char kept[sizeof(journal->error)];
		snprintf(kept, sizeof(kept), "%s", journal->error);
		/* Fails where SQLite has rolled back by itself. */
		(void)script(journal, "ROLLBACK");
		snprintf(journal->error, sizeof(journal->error), "%s", kept);
	}
	return err;
}

const char *x402_journal_error(const struct x402_journal *journal)
{
	return journal->error;
}

/* ---- Opening. ---- */

static enum x402_err migrate(
	struct x402_journal *journal, struct x402_errinfo *info)
{
	enum x402_err err = script(journal, "BEGIN IMMEDIATE");
	if (err)
		return err;
	sqlite3_stmt *stmt = NULL;
	int version = -1;
	if (sqlite3_prepare_v2(journal->sqlite, "PRAGMA user_version", -1,
		    &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		version = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	if (version < 0)
		err = fail(journal);
	if (version > MIGRATIONS_COUNT) {
		x402_errinfo_set(info, "journal",
			"schema %d was written by a newer program; this one "
			"knows up to %d",
			version, MIGRATIONS_COUNT);
		err = X402_ERR_VERSION;
	}
	for (; !err && version < MIGRATIONS_COUNT; version++)
		err = script(journal, migrations[version]);
	return x402__journal_end(journal, err);
}

/* mkdir -p of what stands before the last slash, for this user alone. */
static bool make_parents(const char *path)
{
	char part[PATH_SIZE];
	snprintf(part, sizeof(part), "%s", path);
	for (char *at = part + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		if (mkdir(part, 0700) && errno != EEXIST)
			return false;
		*at = '/';
	}
	return true;
}

static enum x402_err default_path(
	struct x402_errinfo *info, char ret_path[PATH_SIZE])
{
	const char *path = getenv("X402_JOURNAL");
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	int len = -1;
	if (path && *path)
		len = snprintf(ret_path, PATH_SIZE, "%s", path);
	else if (data && data[0] == '/')
		len = snprintf(
			ret_path, PATH_SIZE, "%s/x402/journal.sqlite", data);
	else if (home && home[0] == '/')
		len = snprintf(ret_path, PATH_SIZE,
			"%s/.local/share/x402/journal.sqlite", home);
	if (len > 0 && len < PATH_SIZE)
		return X402_OK;
	x402_errinfo_set(info, "journal",
		"no place for it: X402_JOURNAL, XDG_DATA_HOME or HOME");
	return X402_ERR_STORE;
}

/*
 * Beside the file SQLite reads "-wal" and "-shm": whoever may write into the
 * directory could have put them there, and with them another history.
 */
static bool is_open_to_others(const char *path)
{
	char directory[PATH_SIZE];
	struct stat st;
	snprintf(directory, sizeof(directory), "%s", path);
	char *slash = strrchr(directory, '/');
	if (slash)
		slash[slash == directory] = '\0';
	return stat(slash ? directory : ".", &st) == 0 &&
		(st.st_mode & S_IWOTH);
}

/* The file exists, is a file, ours, and nobody else's to read. */
static enum x402_err make_private(const char *path, struct x402_errinfo *info)
{
	if (!make_parents(path)) {
		x402_errinfo_set(
			info, "journal", "cannot create %.180s: %m", path);
		return X402_ERR_STORE;
	}
	if (is_open_to_others(path)) {
		x402_errinfo_set(info, "journal",
			"%.180s: everybody may write into its directory", path);
		return X402_ERR_POLICY;
	}
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat stat;
	if (fd < 0 || fstat(fd, &stat)) {
		x402_errinfo_set(
			info, "journal", "cannot open %.180s: %m", path);
		if (fd >= 0)
			close(fd);
		return X402_ERR_STORE;
	}
	close(fd);
	if (!S_ISREG(stat.st_mode) || stat.st_uid != geteuid() ||
		(stat.st_mode & 077)) {
		x402_errinfo_set(info, "journal",
			"%.180s: expected a file of this user with mode 0600, "
			"got mode %04o",
			path, stat.st_mode & 07777);
		return X402_ERR_POLICY;
	}
	return X402_OK;
}

/*
 * SQLite does not wait for its turn when two processes make a new file one
 * with a log: the busy timeout is not asked there.
 */
static enum x402_err use_log(struct x402_journal *journal, int timeout_ms)
{
	for (int waited_ms = 0;; waited_ms += BUSY_STEP_MS) {
		int code = sqlite3_exec(journal->sqlite,
			"PRAGMA journal_mode = WAL", NULL, NULL, NULL);
		if (code == SQLITE_OK)
			return X402_OK;
		if ((code & 0xff) != SQLITE_BUSY || waited_ms >= timeout_ms)
			return fail(journal);
		(void)sqlite3_sleep(BUSY_STEP_MS);
	}
}

static enum x402_err open_file(struct x402_journal *journal, const char *path,
	unsigned busy_timeout_ms)
{
	int timeout_ms = busy_timeout_ms > 600000 ? 600000
		: busy_timeout_ms                 ? (int)busy_timeout_ms
						  : BUSY_TIMEOUT_MS;
	if (sqlite3_open_v2(path, &journal->sqlite,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK)
		return journal->sqlite ? fail(journal) : X402_ERR_NOMEM;
	(void)sqlite3_busy_timeout(journal->sqlite, timeout_ms);
	(void)sqlite3_extended_result_codes(journal->sqlite, 1);
	journal->durable = true;
	enum x402_err err = use_log(journal, timeout_ms);
	return err ? err
		   : script(journal,
			     "PRAGMA synchronous = FULL;"
			     "PRAGMA trusted_schema = OFF;");
}

static bool read_line(const char *path, char *ret_text, size_t size)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	bool ok = fgets(ret_text, (int)size, file) != NULL;
	(void)fclose(file);
	if (ok)
		ret_text[strcspn(ret_text, "\n")] = '\0';
	return ok;
}

/* "" where nobody says. */
static void boot_name(char *ret_text, size_t size)
{
	if (!read_line("/proc/sys/kernel/random/boot_id", ret_text, size))
		ret_text[0] = '\0';
}

enum x402_err x402_journal_open(const struct x402_journal_options *options,
	struct x402_errinfo *info, struct x402_journal **ret_journal)
{
	struct x402_journal_options out = X402_JOURNAL_OPTIONS_INIT;
	char path[PATH_SIZE];
	if (options)
		out = *options;
	enum x402_err err = X402_OK;
	if (!out.path)
		err = default_path(info, path);
	else if (snprintf(path, sizeof(path), "%s", out.path) >= PATH_SIZE ||
		!path[0])
		err = X402_ERR_INVALID_ARGUMENT;
	if (!err)
		err = make_private(path, info);
	if (err)
		return err;
	if (!x402__random_init())
		return X402_ERR_INTERNAL;
	struct x402_journal *journal = calloc(1, sizeof(*journal));
	if (!journal)
		return X402_ERR_NOMEM;
	x402__holder_name(journal->holder, sizeof(journal->holder));
	boot_name(journal->boot, sizeof(journal->boot));
	journal->elapsed_ms = x402__elapsed_ms;
	err = open_file(journal, path, out.busy_timeout_ms);
	if (!err)
		err = migrate(journal, info);
	if (err) {
		if (err == X402_ERR_STORE)
			x402_errinfo_set(info, "journal", "%.150s: %.80s", path,
				journal->error);
		x402_journal_close(journal);
		return err;
	}
	*ret_journal = journal;
	return X402_OK;
}

void x402_journal_close(struct x402_journal *journal)
{
	if (!journal)
		return;
	for (size_t i = 0; i < journal->statements_len; i++)
		sqlite3_finalize(journal->statements[i].stmt);
	sqlite3_close(journal->sqlite);
	free(journal->pending);
	free(journal);
}

/* ---- Who works on a purchase. ---- */

/*
 * When a process began, in clock ticks since boot: its number alone is used
 * again by another one. Field 22 of stat; the name in field 2 may hold
 * anything, so count from its closing parenthesis.
 */
static bool start_time(long pid, unsigned long long *ret_ticks)
{
	char path[64];
	char text[1024];
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (!read_line(path, text, sizeof(text)))
		return false;
	char *at = strrchr(text, ')');
	/* A zombie does nothing any more; it waits for its parent. */
	if (!at || strncmp(at, ") Z", 3) == 0)
		return false;
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return false;
	*ret_ticks = strtoull(at + 1, NULL, 10);
	return true;
}

/* Pids mean something within one boot and one pid namespace. */
static void place_name(char *ret_text, size_t size)
{
	char boot[64] = "";
	char space[64] = "";
	boot_name(boot, sizeof(boot));
	ssize_t len = readlink("/proc/self/ns/pid", space, sizeof(space) - 1);
	space[len > 0 ? len : 0] = '\0';
	snprintf(ret_text, size, "%.40s/%.30s", boot, space);
}

void x402__holder_name(char *ret_text, size_t size)
{
	char place[80];
	unsigned long long ticks = 0;
	uint8_t handle[4]; /* two handles of one process are two holders */
	place_name(place, sizeof(place));
	if (!start_time((long)getpid(), &ticks))
		ticks = 0;
	x402__random(handle, sizeof(handle));
	snprintf(ret_text, size, "%s %ld %llu %02x%02x%02x%02x", place,
		(long)getpid(), ticks, handle[0], handle[1], handle[2],
		handle[3]);
}

bool x402__holder_is_alive(
	const char *holder, uint64_t until_unix_ms, uint64_t now_unix_ms)
{
	char place[80];
	if (!*holder || now_unix_ms >= until_unix_ms)
		return false;
	place_name(place, sizeof(place));
	size_t len = strlen(place);
	/* Elsewhere: nobody here can tell, so its time has to pass. */
	if (strncmp(holder, place, len) != 0 || holder[len] != ' ')
		return true;
	char *end = NULL;
	long pid = strtol(holder + len, &end, 10);
	unsigned long long began = strtoull(end, NULL, 10);
	unsigned long long ticks = 0;
	return start_time(pid, &ticks) && ticks == began;
}
