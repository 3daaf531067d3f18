/*
 * journal_sqlite.c: the memory of payments in an SQLite file.
 *
 * What is only held (claimed, nobody asked yet) is in a table in memory and
 * dies with the process, as it should. What was asked to settle is in the file:
 *
 *   claim     read; hold in memory
 *   asking    insert, durable          -> UNKNOWN
 *   settled   update, durable          -> OWED
 *   end       SPENT: update            -> DELIVERED, not waited for: when it
 *             is lost in a crash the buyer may read once more, no more
 *             FORGET: delete; else: only let go
 *
 * Names of purchases are in the same file (journal_names.c).
 *
 * The write-ahead log with synchronous FULL makes a commit durable. A second
 * process is kept out by a lock on a file beside, so that readers are not.
 */
#include "journal_p.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define APPLICATION_ID 0x78343032 /* "x402" */
#define VERSION        3
/* A report reads while the shop writes; neither takes long. */
#define BUSY_TIMEOUT_MS 5000

#define NAMES                                                            \
	"CREATE TABLE names(name BLOB PRIMARY KEY, terms BLOB NOT NULL," \
	" payment BLOB NOT NULL, request BLOB NOT NULL,"                 \
	" until INTEGER NOT NULL, response BLOB) STRICT;"                \
	"CREATE INDEX names_by_until ON names(until);"                   \
	"CREATE INDEX names_by_payment ON names(payment);"

/* Of one state in the order of asking; the last number of each is at hand. */
#define BY_STATE "CREATE INDEX payments_by_state ON payments(state, number);"

static const char schema[] =
	"CREATE TABLE payments(payment BLOB PRIMARY KEY, request BLOB NOT NULL,"
	" state INTEGER NOT NULL, asked INTEGER NOT NULL,"
	" settled INTEGER NOT NULL DEFAULT 0, expires INTEGER NOT NULL,"
	" route TEXT NOT NULL, url TEXT NOT NULL, network TEXT NOT NULL,"
	" asset TEXT NOT NULL, amount TEXT NOT NULL, payer TEXT NOT NULL,"
	" tx TEXT NOT NULL DEFAULT '', receipt TEXT,"
	" facilitator INTEGER NOT NULL, price TEXT NOT NULL, scope BLOB,"
	" number INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;" BY_STATE
	"CREATE INDEX payments_by_payer ON payments(payer, settled);"
	"CREATE INDEX payments_by_settled ON payments(settled);"
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB) STRICT;" NAMES;

/* From version 1, which did not know what a payment had been for: who signs in
 * has paid since. */
static const char from_1[] =
	"BEGIN; ALTER TABLE payments ADD COLUMN scope BLOB;" NAMES
	"PRAGMA user_version = 2; COMMIT";

/* From version 2, which knew the order of its payments to the second. */
static const char from_2[] =
	"BEGIN; ALTER TABLE payments"
	" ADD COLUMN number INTEGER NOT NULL DEFAULT 0;"
	"UPDATE payments SET number = o.n FROM (SELECT payment AS p,"
	" row_number() OVER (ORDER BY asked, settled, payment) AS n"
	" FROM payments) AS o WHERE o.p = payment;"
	"DROP INDEX payments_by_state;" BY_STATE
	"PRAGMA user_version = 3; COMMIT";

static const char last_number[] =
	"SELECT max("
	"ifnull((SELECT max(number) FROM payments WHERE state = 1), 0),"
	"ifnull((SELECT max(number) FROM payments WHERE state = 2), 0),"
	"ifnull((SELECT max(number) FROM payments WHERE state = 3), 0),"
	"ifnull((SELECT max(number) FROM payments WHERE state = 4), 0))";

static const char *const verbs[X402__JOURNAL_VERBS] = {
	[X402__JOURNAL_HOLDS] = "SELECT 1 FROM held.claims WHERE payment = ?1",
	[X402__JOURNAL_HOLD] =
		"INSERT INTO held.claims(payment, request, expires)"
		" VALUES(?1, ?2, ?3)",
	[X402__JOURNAL_LOOK] = "SELECT state, request = ?2, receipt"
			       " FROM payments WHERE payment = ?1",
	/* Asking again keeps what is known. */
	[X402__JOURNAL_ASKING] =
		"INSERT INTO payments(payment, request, state, asked, expires,"
		" route, url, network, asset, amount, payer, facilitator, "
		"price, scope, number)"
		" VALUES(?1, ?2, 1, ?3, (SELECT expires FROM held.claims"
		" WHERE payment = ?1), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
		" ?13)"
		" ON CONFLICT(payment) DO NOTHING",
	[X402__JOURNAL_SETTLED] = "UPDATE payments SET state = 2, settled = ?2,"
				  " receipt = ?3, tx = ?4 WHERE payment = ?1",
	[X402__JOURNAL_SPENT] =
		"UPDATE payments SET state = 3 WHERE payment = ?1",
	[X402__JOURNAL_FORGET] = "DELETE FROM payments WHERE payment = ?1",
	[X402__JOURNAL_LET_GO] = "DELETE FROM held.claims WHERE payment = ?1",
	[X402__JOURNAL_RECALL] =
		"SELECT facilitator, amount, price FROM payments"
		" WHERE payment = ?1 AND request = ?2",
	[X402__JOURNAL_HAS_PAID] =
		"SELECT 1 FROM payments WHERE payer = ?1 AND settled >= ?2"
		" AND state IN (2, 3) AND scope = ?3 LIMIT 1",
	/* One payment's, or one whose time is over. */
	[X402__JOURNAL_NAME_TAKE] =
		"INSERT INTO names(name, terms, payment, request, until)"
		" VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(name) DO UPDATE"
		" SET terms = ?2, payment = ?3, request = ?4, until = ?5,"
		" response = NULL WHERE until < ?6",
	[X402__JOURNAL_NAME_FIND] =
		"SELECT terms, payment, request, until, response FROM names"
		" WHERE name = ?1 AND until >= ?2",
	[X402__JOURNAL_NAME_KEEP] = "UPDATE names SET response = ?2"
				    " WHERE name = ?1 AND response IS NULL",
	[X402__JOURNAL_NAME_DROP] = "DELETE FROM names WHERE name = ?1",
};

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

enum x402_err x402__journal_err(int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
		return X402_OK;
	return rc == SQLITE_NOMEM ? X402_ERR_NOMEM : X402_ERR_STORE;
}

/* ---- The verbs. All with the lock held. ---- */

/* A verb's statement with the payment as its first parameter. */
static sqlite3_stmt *verb(struct x402_provider_journal *journal,
	enum x402__journal_verb which, const struct x402_claim_key *key)
{
	sqlite3_stmt *stmt = journal->verbs[which];

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	sqlite3_bind_blob(stmt, 1, key->payment32, 32, SQLITE_STATIC);
	return stmt;
}

static void bind_request(sqlite3_stmt *stmt, const struct x402_claim_key *key)
{
	sqlite3_bind_blob(stmt, 2, key->request32, 32, SQLITE_STATIC);
}

static void bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
	sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
}

bool x402__journal_done(sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	sqlite3_reset(stmt);
	return rc == SQLITE_DONE;
}

bool x402__journal_done_soon(
	struct x402_provider_journal *journal, sqlite3_stmt *stmt)
{
	bool done;

	/* Every commit is one of this kind then. */
	if (journal->log_fd >= 0)
		return x402__journal_done(stmt);
	sqlite3_exec(
		journal->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
	done = x402__journal_done(stmt);
	sqlite3_exec(
		journal->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	return done;
}

/* What a row that is there says to a new claim. */
static enum x402_claim claim_row(sqlite3_stmt *stmt, char **ret_receipt)
{
	int state = sqlite3_column_int(stmt, 0);
	bool same = sqlite3_column_int(stmt, 1) == 1;
	const char *receipt = (const char *)sqlite3_column_text(stmt, 2);

	/* One payment buys one request (attack 37). */
	if (!same)
		return X402_CLAIM_SPENT;
	if (receipt)
		*ret_receipt = strdup(receipt);
	switch (state) {
	case X402_JOURNAL_UNKNOWN:
		return X402_CLAIM_UNKNOWN;
	case X402_JOURNAL_OWED:
		/* Without its receipt the buyer could not be told. */
		return *ret_receipt ? X402_CLAIM_PAID : X402_CLAIM_FULL;
	}
	return X402_CLAIM_SPENT;
}

static enum x402_claim claim_locked(struct x402_provider_journal *journal,
	const struct x402_claim_key *key, uint64_t expires_unix_s,
	char **ret_receipt)
{
	enum x402_claim claim = X402_CLAIM_NEW;
	sqlite3_stmt *stmt = verb(journal, X402__JOURNAL_HOLDS, key);
	int rc = sqlite3_step(stmt);

	sqlite3_reset(stmt);
	if (rc != SQLITE_DONE)
		return rc == SQLITE_ROW ? X402_CLAIM_BUSY : X402_CLAIM_FULL;
	stmt = verb(journal, X402__JOURNAL_LOOK, key);
	bind_request(stmt, key);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		claim = claim_row(stmt, ret_receipt);
	else if (rc != SQLITE_DONE)
		claim = X402_CLAIM_FULL; /* closed */
	sqlite3_reset(stmt);
	if (claim == X402_CLAIM_SPENT || claim == X402_CLAIM_FULL)
		return claim;
	stmt = verb(journal, X402__JOURNAL_HOLD, key);
	bind_request(stmt, key);
	sqlite3_bind_int64(stmt, 3,
		expires_unix_s > INT64_MAX ? INT64_MAX
					   : (int64_t)expires_unix_s);
	return x402__journal_done(stmt) ? claim : X402_CLAIM_FULL;
}

static enum x402_claim on_claim(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, uint64_t expires_unix_s,
	uint64_t now_unix_s, char **ret_receipt)
{
	struct x402_provider_journal *journal = user;
	enum x402_claim claim;

	(void)gate;
	(void)now_unix_s;
	*ret_receipt = NULL;
	pthread_mutex_lock(&journal->lock);
	claim = claim_locked(journal, key, expires_unix_s, ret_receipt);
	pthread_mutex_unlock(&journal->lock);
	if (claim == X402_CLAIM_FULL) {
		free(*ret_receipt);
		*ret_receipt = NULL;
	}
	return claim;
}

static bool on_asking(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key)
{
	struct x402_provider_journal *journal = user;
	struct x402_claim_note note;
	sqlite3_stmt *stmt;
	bool written;

	x402_gate_note(gate, &note);
	pthread_mutex_lock(&journal->lock);
	stmt = verb(journal, X402__JOURNAL_ASKING, key);
	bind_request(stmt, key);
	sqlite3_bind_int64(stmt, 3, (int64_t)now_s());
	bind_text(stmt, 4, x402_gate_pattern(gate));
	bind_text(stmt, 5, x402_gate_url(gate));
	bind_text(stmt, 6, x402_gate_network(gate));
	bind_text(stmt, 7, x402_gate_asset(gate));
	bind_text(stmt, 8, note.amount);
	bind_text(stmt, 9, x402_gate_payer(gate));
	sqlite3_bind_int64(stmt, 10, note.facilitator);
	bind_text(stmt, 11, note.price);
	sqlite3_bind_blob(stmt, 12, note.scope16, 16, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 13, ++journal->number);
	written = x402__journal_done(stmt);
	journal->asked += written;
	pthread_mutex_unlock(&journal->lock);
	return written;
}

static bool on_recall(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, struct x402_claim_note *ret_note)
{
	struct x402_provider_journal *journal = user;
	sqlite3_stmt *stmt;
	bool found;

	(void)gate;
	memset(ret_note, 0, sizeof(*ret_note));
	pthread_mutex_lock(&journal->lock);
	stmt = verb(journal, X402__JOURNAL_RECALL, key);
	bind_request(stmt, key);
	found = sqlite3_step(stmt) == SQLITE_ROW;
	if (found) {
		const char *amount = (const char *)sqlite3_column_text(stmt, 1);
		const char *price = (const char *)sqlite3_column_text(stmt, 2);

		ret_note->facilitator = (uint32_t)sqlite3_column_int64(stmt, 0);
		found = amount && price &&
			strlen(amount) < sizeof(ret_note->amount) &&
			strlen(price) < sizeof(ret_note->price);
		if (found) {
			memcpy(ret_note->amount, amount, strlen(amount));
			memcpy(ret_note->price, price, strlen(price));
		}
	}
	sqlite3_reset(stmt);
	pthread_mutex_unlock(&journal->lock);
	return found;
}

static void on_settled(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, const char *receipt)
{
	struct x402_provider_journal *journal = user;
	sqlite3_stmt *stmt;

	pthread_mutex_lock(&journal->lock);
	stmt = verb(journal, X402__JOURNAL_SETTLED, key);
	sqlite3_bind_int64(stmt, 2, (int64_t)now_s());
	bind_text(stmt, 3, receipt);
	bind_text(stmt, 4, x402_gate_transaction(gate));
	/* A disk that fails here leaves UNKNOWN: the buyer who comes back is
	 * settled again, which the facilitator answers from its own record. */
	(void)x402__journal_done(stmt);
	pthread_mutex_unlock(&journal->lock);
}

static void on_end(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, enum x402_claim_end end,
	const char *receipt)
{
	struct x402_provider_journal *journal = user;

	(void)gate;
	(void)receipt;
	pthread_mutex_lock(&journal->lock);
	if (end == X402_CLAIM_END_SPENT) {
		(void)x402__journal_done_soon(
			journal, verb(journal, X402__JOURNAL_SPENT, key));
	} else if (end == X402_CLAIM_END_FORGET) {
		(void)x402__journal_done(
			verb(journal, X402__JOURNAL_FORGET, key));
	}
	(void)x402__journal_done(verb(journal, X402__JOURNAL_LET_GO, key));
	pthread_mutex_unlock(&journal->lock);
}

static bool on_has_paid(void *user, const struct x402_gate *gate,
	const char *payer, const uint8_t scope16[16], uint64_t since_unix_s)
{
	struct x402_provider_journal *journal = user;
	sqlite3_stmt *stmt = journal->verbs[X402__JOURNAL_HAS_PAID];
	bool found;

	(void)gate;
	pthread_mutex_lock(&journal->lock);
	sqlite3_reset(stmt);
	bind_text(stmt, 1, payer);
	/* Never what was only asked for: settled is 0 then. */
	sqlite3_bind_int64(stmt, 2, since_unix_s ? (int64_t)since_unix_s : 1);
	sqlite3_bind_blob(stmt, 3, scope16, 16, SQLITE_STATIC);
	found = sqlite3_step(stmt) == SQLITE_ROW;
	sqlite3_reset(stmt);
	pthread_mutex_unlock(&journal->lock);
	return found;
}

/* ---- Opening. ---- */

static enum x402_err fail(struct x402_provider_journal *journal,
	struct x402_errinfo *info, const char *what)
{
	x402_errinfo_set(info, "journal", "%s: %s", what,
		journal->db ? sqlite3_errmsg(journal->db) : "out of memory");
	return X402_ERR_STORE;
}

/* Alone, and for its owner only. */
static enum x402_err take_lock(struct x402_provider_journal *journal,
	const char *path, struct x402_errinfo *info)
{
	struct stat status;
	char *name = NULL;
	int fd;

	if (asprintf(&name, "%s.lock", path) < 0)
		return X402_ERR_NOMEM;
	journal->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	free(name);
	if (journal->lock_fd < 0 ||
		flock(journal->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		x402_errinfo_set(info, "journal", "%s",
			errno == EWOULDBLOCK ? "another process has it open"
					     : strerror(errno));
		return X402_ERR_STORE;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &status) != 0) {
		x402_errinfo_set(info, "journal", "%s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return X402_ERR_STORE;
	}
	close(fd);
	/* Who reads the secret in it makes passes of his own. */
	if (status.st_mode & (S_IRWXG | S_IRWXO)) {
		x402_errinfo_set(info, "journal",
			"others may read it: expected mode 0600, has %04o",
			(unsigned)status.st_mode & 07777);
		return X402_ERR_STORE;
	}
	return X402_OK;
}

/* -1: it could not be read. */
static int64_t read_int(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static enum x402_err create_tables(
	struct x402_provider_journal *journal, struct x402_errinfo *info)
{
	sqlite3_stmt *stmt = NULL;
	uint8_t secret32[32];
	char stamp[128];
	int rc;

	if (getrandom(secret32, sizeof(secret32), 0) != sizeof(secret32))
		return X402_ERR_INTERNAL;
	snprintf(stamp, sizeof(stamp),
		"PRAGMA application_id = %d; PRAGMA user_version = %d",
		APPLICATION_ID, VERSION);
	rc = sqlite3_exec(journal->db, "BEGIN", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(journal->db, schema, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(journal->db,
			"INSERT INTO meta VALUES('secret', ?1)", -1, &stmt,
			NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_blob(stmt, 1, secret32, 32, SQLITE_STATIC);
		rc = sqlite3_step(stmt) == SQLITE_DONE ? SQLITE_OK
						       : SQLITE_ERROR;
	}
	sqlite3_finalize(stmt);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(journal->db, stamp, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(journal->db, "COMMIT", NULL, NULL, NULL);
	x402_wipe(secret32, sizeof(secret32));
	return rc == SQLITE_OK ? X402_OK : fail(journal, info, "creating");
}

/* What is missing in a file of an earlier version; reports do without. */
static enum x402_err upgrade(struct x402_provider_journal *journal,
	int64_t version, struct x402_errinfo *info)
{
	static const char *const steps[VERSION] = {
		[1] = from_1,
		[2] = from_2,
	};

	for (int64_t at = version; at < VERSION; at++)
		if (sqlite3_exec(journal->db, steps[at], NULL, NULL, NULL) !=
			SQLITE_OK)
			return fail(journal, info, "upgrading");
	journal->numbered = true;
	return X402_OK;
}

static enum x402_err check_kind(struct x402_provider_journal *journal,
	bool read_only, struct x402_errinfo *info)
{
	int64_t id = read_int(journal->db, "PRAGMA application_id");
	int64_t version = read_int(journal->db, "PRAGMA user_version");
	int64_t tables = read_int(
		journal->db, "SELECT count(*) FROM sqlite_master");

	if (id == 0 && version == 0 && tables == 0 && !read_only) {
		journal->numbered = true;
		return create_tables(journal, info);
	}
	if (id == APPLICATION_ID && version >= 1 && version <= VERSION) {
		if (!read_only)
			return upgrade(journal, version, info);
		journal->numbered = version == VERSION;
		return X402_OK;
	}
	x402_errinfo_set(info, "journal",
		id == APPLICATION_ID ? "its version is %d, expected %d"
				     : "not a journal of payments",
		(int)version, VERSION);
	return X402_ERR_STORE;
}

static enum x402_err read_secret(
	struct x402_provider_journal *journal, struct x402_errinfo *info)
{
	sqlite3_stmt *stmt = NULL;
	bool found = sqlite3_prepare_v2(journal->db,
			     "SELECT value FROM meta WHERE name = 'secret'", -1,
			     &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW &&
		sqlite3_column_bytes(stmt, 0) == 32;

	if (found)
		memcpy(journal->secret32, sqlite3_column_blob(stmt, 0), 32);
	sqlite3_finalize(stmt);
	return found ? X402_OK : fail(journal, info, "reading its secret");
}

static enum x402_err prepare(
	struct x402_provider_journal *journal, struct x402_errinfo *info)
{
	static const char claims[] =
		"ATTACH ':memory:' AS held;"
		"CREATE TABLE held.claims(payment BLOB PRIMARY KEY,"
		" request BLOB, expires INTEGER) WITHOUT ROWID";

	if (sqlite3_exec(journal->db, claims, NULL, NULL, NULL) != SQLITE_OK)
		return fail(journal, info, "claims");
	for (size_t i = 0; i < X402__JOURNAL_VERBS; i++)
		if (sqlite3_prepare_v3(journal->db, verbs[i], -1,
			    SQLITE_PREPARE_PERSISTENT, &journal->verbs[i],
			    NULL) != SQLITE_OK)
			return fail(journal, info, "preparing");
	journal->memory = (struct x402_provider_memory){
		.claim = on_claim,
		.asking = on_asking,
		.recall = on_recall,
		.has_paid = on_has_paid,
		.settled = on_settled,
		.end = on_end,
		.user = journal,
		.secret32 = journal->secret32,
	};
	x402__journal_add_names(&journal->memory);
	journal->number = read_int(journal->db, last_number);
	if (journal->number < 0)
		return fail(journal, info, "reading its last number");
	return read_secret(journal, info);
}

static enum x402_err open_db(struct x402_provider_journal *journal,
	const char *path, bool read_only, struct x402_errinfo *info)
{
	int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	enum x402_err err;

	if (sqlite3_open_v2(path, &journal->db, flags, NULL) != SQLITE_OK)
		return fail(journal, info, path);
	sqlite3_busy_timeout(journal->db, BUSY_TIMEOUT_MS);
	if (!read_only &&
		sqlite3_exec(journal->db,
			"PRAGMA journal_mode = WAL;"
			"PRAGMA synchronous = FULL",
			NULL, NULL, NULL) != SQLITE_OK)
		return fail(journal, info, path);
	err = check_kind(journal, read_only, info);
	if (err == X402_OK && !read_only)
		err = prepare(journal, info);
	return err;
}

enum x402_err x402_provider_journal_open(const char *path, bool read_only,
	struct x402_errinfo *info, struct x402_provider_journal **ret_journal)
{
	struct x402_provider_journal *journal = calloc(1, sizeof(*journal));
	enum x402_err err = X402_OK;

	if (!journal)
		return X402_ERR_NOMEM;
	journal->lock_fd = -1;
	journal->log_fd = -1;
	pthread_mutex_init(&journal->lock, NULL); /* never fails on Linux */
	if (!read_only)
		err = take_lock(journal, path, info);
	if (err == X402_OK)
		err = open_db(journal, path, read_only, info);
	if (err != X402_OK) {
		x402_provider_journal_close(journal);
		return err;
	}
	*ret_journal = journal;
	return X402_OK;
}

void x402_provider_journal_close(struct x402_provider_journal *journal)
{
	if (!journal)
		return;
	for (size_t i = 0; i < X402__JOURNAL_VERBS; i++)
		sqlite3_finalize(journal->verbs[i]);
	sqlite3_close(journal->db);
	if (journal->log_fd >= 0)
		close(journal->log_fd);
	if (journal->lock_fd >= 0)
		close(journal->lock_fd);
	pthread_mutex_destroy(&journal->lock);
	x402_wipe(journal->secret32, sizeof(journal->secret32));
	free(journal);
}

const struct x402_provider_memory *x402_provider_journal_memory(
	const struct x402_provider_journal *journal)
{
	return journal->memory.claim ? &journal->memory : NULL;
}
