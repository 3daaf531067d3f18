/*
 * db_p.h: one SQLite connection as the store's verbs see it. Private to
 * store/, and the only rooms where SQL is written.
 *
 * Thread rule: the store's thread, once it runs.
 */
#ifndef FAC_STORE_DB_P_H
#define FAC_STORE_DB_P_H

#include "store/store.h"

#include <sqlite3.h>

/* More distinct statements than the verbs have. */
#define FAC_DB_STATEMENTS_MAX 64

struct fac_db {
	sqlite3 *sqlite;
	int lock_fd; /* held while the daemon runs: one daemon per file */
	struct {
		const char *sql; /* by address: verbs use literals */
		sqlite3_stmt *stmt;
	} statements[FAC_DB_STATEMENTS_MAX];
	size_t statements_len;
};

/* See fac_store_open. */
X402_MUST_USE enum x402_err fac_db_open(
	const char *path, struct x402_errinfo *info, struct fac_db *ret_db);
void fac_db_close(struct fac_db *db);

/* A literal's prepared statement, reset and without bindings; NULL: STORE. */
sqlite3_stmt *fac_db_prepare(struct fac_db *db, const char *sql);
/* Bind in the order of the letters: t text, b bytes, i integer (uint64_t). */
void fac_db_bind_text(sqlite3_stmt *stmt, int index, const char *text);
void fac_db_bind_bytes(sqlite3_stmt *stmt, int index, struct x402_span bytes);
void fac_db_bind_u64(sqlite3_stmt *stmt, int index, uint64_t value);
/* Next row. STORE, or CONFLICT for a violated constraint. */
X402_MUST_USE enum x402_err fac_db_row(
	struct fac_db *db, sqlite3_stmt *stmt, bool *ret_row);
/* Run a statement that gives no rows. Errors of fac_db_row. */
X402_MUST_USE enum x402_err fac_db_run(struct fac_db *db, sqlite3_stmt *stmt);
X402_MUST_USE enum x402_err fac_db_exec(struct fac_db *db, const char *sql);

/* Columns; text is copied up to size, bytes must have exactly len. */
void fac_db_text(sqlite3_stmt *stmt, int column, char *ret_text, size_t size);
bool fac_db_fixed(
	sqlite3_stmt *stmt, int column, uint8_t *ret_bytes, size_t len);
/* A heap copy; NULL for SQL NULL. Out of memory aborts. */
char *fac_db_dup(sqlite3_stmt *stmt, int column);
void fac_db_buf(sqlite3_stmt *stmt, int column, struct x402_buf *ret_buf);
uint64_t fac_db_u64(sqlite3_stmt *stmt, int column);

/* Unix milliseconds. */
uint64_t fac_db_now_ms(void);

/* What a verb was asked, and what it answers. */
struct fac_store_job {
	struct fac_store_job *next;
	enum x402_err (*run)(struct fac_db *db, struct fac_store_job *job);
	struct fac_store_to to;
	/* Asked. */
	struct fac_payment payment;
	struct fac_transaction transaction;
	struct fac_store_end end;
	struct fac_resource *resource;
	uint8_t key32[32];
	uint64_t number;
	char *texts[8]; /* copies of what the verb names */
	bool has_key32;
	bool has_fingerprint32;
	uint8_t fingerprint32[32];
	uint32_t limit;
	uint64_t offset;
	/* Answered: the arrays behind reply. */
	struct fac_store_reply reply;
	struct fac_payment *payments;
	struct fac_transaction *transactions;
	struct fac_payment_event *events;
	struct fac_resource *resources;
};

/* The verbs, in payments.c, transactions.c and resources.c. */
enum x402_err fac_db_reserve(struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_release(struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_finish(struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_credit(struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_payment_get(struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_journal_signed(
	struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_mark_broadcast(
	struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_mark_replaced(
	struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_mark_mined(struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_load_unfinished(
	struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_next_nonce_floor(
	struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_revive(struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_resource_put(struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_resource_list(
	struct fac_db *db, struct fac_store_job *job);
enum x402_err fac_db_health(struct fac_db *db, struct fac_store_job *job);

/* Shared by the verbs. Indexes of texts for payment_get. */
enum { FAC_JOB_ID, FAC_JOB_TRANSACTION, FAC_JOB_SCOPE, FAC_JOB_IDEMPOTENCY };
/* Read a payment by key into the reply. NOT_FOUND. */
X402_MUST_USE enum x402_err fac_db_load_payment(
	struct fac_db *db, const uint8_t key32[32], struct fac_store_job *job);
/* Step a payment and write its history; CONFLICT if not permitted. */
X402_MUST_USE enum x402_err fac_db_step_payment(struct fac_db *db,
	const uint8_t key32[32], enum fac_payment_state to, const char *note);
X402_MUST_USE enum x402_err fac_db_payment_state(struct fac_db *db,
	const uint8_t key32[32], enum fac_payment_state *ret_state);
/* Append the row that stmt (columns of FAC_PAYMENT_COLUMNS) stands on. */
X402_MUST_USE enum x402_err fac_db_add_payment(
	sqlite3_stmt *stmt, struct fac_store_job *job);

#define FAC_PAYMENT_COLUMNS                                              \
	" key, id, network, wire_network, asset, payer, pay_to, amount," \
	" nonce, valid_before, scheme, x402_version, fingerprint,"       \
	" idem_scope, idem_key, call_to, calldata, state_calldata,"      \
	" gas_limit, state, reason, message, transaction_hash,"          \
	" block_number, credited, answer, created_ms, updated_ms "

#endif
