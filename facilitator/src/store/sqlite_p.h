/*
 * sqlite_p.h: the store on one SQLite file. Private to store/ and its tests;
 * the only rooms where SQL is written.
 *
 * Thread rule: the store's thread, once it runs.
 */
#ifndef FAC_STORE_SQLITE_P_H
#define FAC_STORE_SQLITE_P_H

#include "store/verb.h"

#include <sqlite3.h>

/*
 * Payments in a bucket of the index of payloads, as a power of two. Larger:
 * more pages are written at random places; smaller: a question about a hash
 * looks into more buckets.
 */
#define FAC_PAYLOAD_SHIFT      14
#define FAC_PAYLOAD_SHIFT_TEXT "14"

/* More distinct statements than the verbs have. */
#define FAC_SQLITE_STATEMENTS_MAX 128

struct fac_sqlite {
	sqlite3 *sqlite;
	int lock_fd; /* held while the daemon runs: one daemon per file */
	char hooks[FAC_HOOKS_MAX][FAC_HOOK_NAME_MAX];
	size_t hooks_len;
	struct {
		const char *sql; /* by address: verbs use literals */
		sqlite3_stmt *stmt;
	} statements[FAC_SQLITE_STATEMENTS_MAX];
	size_t statements_len;
};

/* See fac_store_open. */
X402_MUST_USE enum x402_err fac_sqlite_open(
	const struct fac_store_options *options, struct x402_errinfo *info,
	struct fac_sqlite *ret_db);
void fac_sqlite_close(struct fac_sqlite *db);
/*
 * Run a list of verbs in one transaction and commit: each has its reply then.
 * False: nothing of it is durable, and each says STORE.
 */
bool fac_sqlite_run_group(struct fac_sqlite *db, struct fac_verb *verbs);
/* One verb in a transaction of its own. */
void fac_sqlite_run(struct fac_sqlite *db, struct fac_verb *verb);

/* ---- What the verbs share. ---- */

/* A literal's prepared statement, reset and without bindings; NULL: STORE. */
sqlite3_stmt *fac_sqlite_prepare(struct fac_sqlite *db, const char *sql);
void fac_sqlite_bind_text(sqlite3_stmt *stmt, int index, const char *text);
void fac_sqlite_bind_bytes(
	sqlite3_stmt *stmt, int index, struct x402_span bytes);
void fac_sqlite_bind_u64(sqlite3_stmt *stmt, int index, uint64_t value);
/*
 * Prepare and bind in one go: a letter of format for each argument, from ?1
 * on: t text (NULL: SQL NULL), k 32 bytes, a an address, s a struct x402_span,
 * i uint64_t. NULL: STORE.
 */
sqlite3_stmt *fac_sqlite_bound(
	struct fac_sqlite *db, const char *sql, const char *format, ...);
/* Next row. STORE, or CONFLICT for a violated constraint. */
X402_MUST_USE enum x402_err fac_sqlite_row(sqlite3_stmt *stmt, bool *ret_row);
/* One row at most is wanted: NOT_FOUND. fac_sqlite_done when it was read. */
X402_MUST_USE enum x402_err fac_sqlite_one(sqlite3_stmt *stmt);
void fac_sqlite_done(sqlite3_stmt *stmt);
/* OK when stmt has a row; else NOT_FOUND, or as above. */
X402_MUST_USE enum x402_err fac_sqlite_exists(sqlite3_stmt *stmt);
/* Run a statement that gives no rows. Errors of fac_sqlite_row. */
X402_MUST_USE enum x402_err fac_sqlite_exec(sqlite3_stmt *stmt);
X402_MUST_USE enum x402_err fac_sqlite_script(
	struct fac_sqlite *db, const char *sql);

/* Columns; text is copied up to size, bytes must have exactly len. */
void fac_sqlite_text(
	sqlite3_stmt *stmt, int column, char *ret_text, size_t size);
/* Borrowed until the next step of stmt; empty for NULL. */
struct x402_span fac_sqlite_span(sqlite3_stmt *stmt, int column);
bool fac_sqlite_fixed(
	sqlite3_stmt *stmt, int column, uint8_t *ret_bytes, size_t len);
/* A heap copy; NULL for SQL NULL. Out of memory aborts. */
char *fac_sqlite_dup(sqlite3_stmt *stmt, int column);
void fac_sqlite_buf(sqlite3_stmt *stmt, int column, struct x402_buf *ret_buf);
uint64_t fac_sqlite_u64(sqlite3_stmt *stmt, int column);

/*
 * Numbers of rows, 8 bytes each: what is being walked on must not change, so
 * they are read first. Out of memory aborts.
 */
void fac_sqlite_add_number(struct x402_buf *numbers, uint64_t number);
uint64_t fac_sqlite_number_at(const struct x402_buf *numbers, size_t at);

/* Unix milliseconds. */
uint64_t fac_sqlite_now_ms(void);

/* ---- sqlite_payments.c ---- */

/* The columns that fac_sqlite_add_payment reads. */
#define FAC_PAYMENT_COLUMNS                                              \
	" key, id, network, wire_network, asset, payer, pay_to, amount," \
	" nonce, valid_before, scheme, x402_version, fingerprint,"       \
	" payload_hash, idem_scope, idem_key, caller, owner, call_to,"   \
	" calldata, state_calldata, gas_limit, may_share, cost_gwei,"    \
	" state, reason, message, transaction_hash, block_number,"       \
	" credited, answer, created_ms, updated_ms "
#define FAC_PAYMENT_COLUMNS_LEN 33
/* A condition on payments: whose key ?1 is. */
#define FAC_PAYMENT_OF_KEY \
	" sequence = (SELECT payment FROM claims WHERE key = ?1) "
/* Another: word for word that of the index payments_unsettled. */
#define FAC_UNSETTLED                                 \
	" (state = 'reserved' OR state = 'signed' OR" \
	" state = 'broadcast' OR state = 'replaced') "
X402_MUST_USE enum x402_err fac_sqlite_add_payment(
	sqlite3_stmt *stmt, struct fac_verb *verb);
/* Replace the reply's payments by the first row of stmt. NOT_FOUND. */
X402_MUST_USE enum x402_err fac_sqlite_load_first(
	sqlite3_stmt *stmt, struct fac_verb *verb);
/* Replace the reply's payments by that of key32. NOT_FOUND. */
X402_MUST_USE enum x402_err fac_sqlite_load_payment(
	struct fac_sqlite *db, const uint8_t key32[32], struct fac_verb *verb);
/* ... by that number, which works also when its claim was forgotten. */
X402_MUST_USE enum x402_err fac_sqlite_load_sequence(
	struct fac_sqlite *db, uint64_t sequence, struct fac_verb *verb);
X402_MUST_USE enum x402_err fac_sqlite_load_by_idempotency(
	struct fac_sqlite *db, const char *scope, const char *key,
	struct fac_verb *verb);
/* Internal number and state of a payment. NOT_FOUND. */
X402_MUST_USE enum x402_err fac_sqlite_find_payment(struct fac_sqlite *db,
	const uint8_t key32[32], uint64_t *ret_sequence,
	enum fac_payment_state *ret_state);
/* Step a payment and write its history; CONFLICT if not permitted. */
X402_MUST_USE enum x402_err fac_sqlite_step(struct fac_sqlite *db,
	uint64_t sequence, enum fac_payment_state from,
	enum fac_payment_state to, const char *note);
/* Its history alone: for verbs that write state with other columns. */
X402_MUST_USE enum x402_err fac_sqlite_event(struct fac_sqlite *db,
	uint64_t sequence, enum fac_payment_state state, const char *note);
/*
 * One end; adds the row as it is afterwards to the reply. CONFLICT: that stays
 * as it was.
 */
X402_MUST_USE enum x402_err fac_sqlite_end(struct fac_sqlite *db,
	const struct fac_store_end *end, const char *owner,
	struct fac_verb *verb);

enum x402_err fac_sqlite_reserve(struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_release(struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_hand_over(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_take_over(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_finish(struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_credit(struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_grant(struct fac_sqlite *db, struct fac_verb *verb);

/* ---- sqlite_get.c ---- */
enum x402_err fac_sqlite_payment_get(
	struct fac_sqlite *db, struct fac_verb *verb);

/* ---- sqlite_transactions.c ---- */
enum x402_err fac_sqlite_journal_signed(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_journal_attempt(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_mark_broadcast(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_mark_replaced(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_mark_mined(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_mark_final(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_mark_dropped(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_revive(struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_load_lane(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_next_nonce_floor(
	struct fac_sqlite *db, struct fac_verb *verb);

/* ---- sqlite_house.c: leases, holds, spending, outbox, retention ---- */
enum x402_err fac_sqlite_heartbeat(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_lane_acquire(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_lane_release(
	struct fac_sqlite *db, struct fac_verb *verb);
/* OK when the lease is the present one; else CONFLICT and reply.fenced. */
X402_MUST_USE enum x402_err fac_sqlite_check_lease(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_hold(struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_hold_get(struct fac_sqlite *db, struct fac_verb *verb);
/* F4. POLICY with reply.message; *ret_day 0 when nothing is counted. */
X402_MUST_USE enum x402_err fac_sqlite_spend(
	struct fac_sqlite *db, struct fac_verb *verb, uint64_t *ret_day);
/* Count a payment's cost anew; nothing when it was never counted. */
X402_MUST_USE enum x402_err fac_sqlite_spend_anew(
	struct fac_sqlite *db, uint64_t sequence, uint64_t cost_gwei);
X402_MUST_USE enum x402_err fac_sqlite_post(
	struct fac_sqlite *db, uint64_t payment, enum fac_payment_state state);
enum x402_err fac_sqlite_outbox_take(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_outbox_done(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_outbox_fail(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_outbox_dead(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_outbox_revive(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_forget_claims(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_retire(struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_health(struct fac_sqlite *db, struct fac_verb *verb);

/* ---- sqlite_resources.c ---- */
enum x402_err fac_sqlite_resource_put(
	struct fac_sqlite *db, struct fac_verb *verb);
enum x402_err fac_sqlite_resource_list(
	struct fac_sqlite *db, struct fac_verb *verb);

#endif
