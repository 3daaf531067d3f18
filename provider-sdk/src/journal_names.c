/*
 * journal_names.c: the names that buyers gave to their purchases (E-PI), and
 * the responses that they bought, in the journal's file.
 *
 * A name is written without waiting for the disk: the write that says that its
 * payment is asked to settle comes right behind it, is waited for, and goes
 * through the same log.
 */
#include "journal_p.h"

static sqlite3_stmt *verb(struct x402_provider_journal *journal,
	enum x402__journal_verb which, const uint8_t name32[32])
{
	sqlite3_stmt *stmt = journal->verbs[which];

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	sqlite3_bind_blob(stmt, 1, name32, 32, SQLITE_STATIC);
	return stmt;
}

static int64_t time_of(uint64_t unix_s)
{
	return unix_s > INT64_MAX ? INT64_MAX : (int64_t)unix_s;
}

static bool read_32(sqlite3_stmt *stmt, int column, uint8_t ret_hash32[32])
{
	if (sqlite3_column_bytes(stmt, column) != 32)
		return false;
	memcpy(ret_hash32, sqlite3_column_blob(stmt, column), 32);
	return true;
}

/* With the lock held. */
static bool find_locked(struct x402_provider_journal *journal,
	const uint8_t name32[32], uint64_t now_unix_s,
	struct x402_claim_name *ret_name, struct x402_buf *ret_response)
{
	sqlite3_stmt *stmt = verb(journal, X402__JOURNAL_NAME_FIND, name32);
	bool found;

	sqlite3_bind_int64(stmt, 2, time_of(now_unix_s));
	found = sqlite3_step(stmt) == SQLITE_ROW;
	if (found) {
		memcpy(ret_name->name32, name32, 32);
		found = read_32(stmt, 0, ret_name->terms32) &&
			read_32(stmt, 1, ret_name->payment32) &&
			read_32(stmt, 2, ret_name->request32);
		ret_name->until_unix_s = (uint64_t)sqlite3_column_int64(
			stmt, 3);
		if (ret_response)
			x402_buf_add(ret_response,
				x402_span(sqlite3_column_blob(stmt, 4),
					(size_t)sqlite3_column_bytes(stmt, 4)));
	}
	sqlite3_reset(stmt);
	return found;
}

static bool on_find(void *user, const struct x402_gate *gate,
	const uint8_t name32[32], uint64_t now_unix_s,
	struct x402_claim_name *ret_name, struct x402_buf *ret_response)
{
	struct x402_provider_journal *journal = user;
	bool found;

	(void)gate;
	pthread_mutex_lock(&journal->lock);
	found = find_locked(
		journal, name32, now_unix_s, ret_name, ret_response);
	pthread_mutex_unlock(&journal->lock);
	return found;
}

static bool on_take(void *user, const struct x402_gate *gate,
	const struct x402_claim_name *name, uint64_t now_unix_s)
{
	struct x402_provider_journal *journal = user;
	struct x402_claim_name have = {.until_unix_s = 0};
	sqlite3_stmt *stmt;
	bool taken;

	(void)gate;
	pthread_mutex_lock(&journal->lock);
	if (find_locked(journal, name->name32, now_unix_s, &have, NULL)) {
		taken = memcmp(have.payment32, name->payment32, 32) == 0;
	} else {
		stmt = verb(journal, X402__JOURNAL_NAME_TAKE, name->name32);
		sqlite3_bind_blob(stmt, 2, name->terms32, 32, SQLITE_STATIC);
		sqlite3_bind_blob(stmt, 3, name->payment32, 32, SQLITE_STATIC);
		sqlite3_bind_blob(stmt, 4, name->request32, 32, SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 5, time_of(name->until_unix_s));
		sqlite3_bind_int64(stmt, 6, time_of(now_unix_s));
		taken = x402__journal_done_soon(journal, stmt) &&
			sqlite3_changes(journal->db) == 1;
	}
	pthread_mutex_unlock(&journal->lock);
	return taken;
}

static void on_keep(void *user, const struct x402_gate *gate,
	const uint8_t name32[32], struct x402_span response)
{
	struct x402_provider_journal *journal = user;
	sqlite3_stmt *stmt;

	(void)gate;
	pthread_mutex_lock(&journal->lock);
	stmt = verb(journal, X402__JOURNAL_NAME_KEEP, name32);
	sqlite3_bind_blob64(stmt, 2, response.ptr, response.len, SQLITE_STATIC);
	/* A disk that is full keeps nothing: the buyer is told that his payment
	 * is spent, as without replay. */
	(void)x402__journal_done_soon(journal, stmt);
	pthread_mutex_unlock(&journal->lock);
}

static void on_drop(
	void *user, const struct x402_gate *gate, const uint8_t name32[32])
{
	struct x402_provider_journal *journal = user;

	(void)gate;
	pthread_mutex_lock(&journal->lock);
	(void)x402__journal_done_soon(
		journal, verb(journal, X402__JOURNAL_NAME_DROP, name32));
	pthread_mutex_unlock(&journal->lock);
}

void x402__journal_add_names(struct x402_provider_memory *memory)
{
	memory->name_take = on_take;
	memory->name_find = on_find;
	memory->name_keep = on_keep;
	memory->name_drop = on_drop;
}
