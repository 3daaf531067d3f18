/*
 * The verbs of signed transactions: the journal that R1 speaks of, what
 * became of each, and what a restarted daemon has to take up again.
 */
#include "store/db_p.h"
#include "x402/encoding.h"

#include <stdio.h>
#include <stdlib.h>

static enum x402_err read_state(struct fac_db *db, const uint8_t hash32[32],
	enum fac_transaction_state *ret_state)
{
	sqlite3_stmt *stmt = fac_db_prepare(
		db, "SELECT state FROM transactions WHERE hash = ?1");
	enum x402_err err;
	char text[16];
	bool row;

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(hash32, 32));
	err = fac_db_row(db, stmt, &row);
	if (err)
		return err;
	if (!row)
		return X402_ERR_NOT_FOUND;
	fac_db_text(stmt, 0, text, sizeof(text));
	(void)sqlite3_reset(stmt);
	return fac_transaction_state_parse(text, ret_state) ? X402_OK
							    : X402_ERR_STORE;
}

static enum x402_err write_state(struct fac_db *db, const uint8_t hash32[32],
	enum fac_transaction_state state, uint64_t block_number)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"UPDATE transactions SET state = ?2, block_number = ?3"
		" WHERE hash = ?1");

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(hash32, 32));
	fac_db_bind_text(stmt, 2, fac_transaction_state_text(state));
	fac_db_bind_u64(stmt, 3, block_number);
	return fac_db_run(db, stmt);
}

/* ---- Journal. ---- */

static enum x402_err write_transaction(
	struct fac_db *db, const struct fac_transaction *transaction)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"INSERT INTO transactions (hash, network, signer, nonce, raw,"
		" state, max_fee, max_priority, created_ms)"
		" VALUES (?1, ?2, ?3, ?4, ?5, 'signed', ?6, ?7, ?8)");
	char fee[X402_U256_DEC_SIZE];

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(transaction->hash32, 32));
	fac_db_bind_text(stmt, 2, transaction->network);
	fac_db_bind_bytes(stmt, 3, x402_span(transaction->signer.bytes, 20));
	fac_db_bind_u64(stmt, 4, transaction->nonce);
	fac_db_bind_bytes(stmt, 5, x402_buf_span(&transaction->raw));
	x402_u256_to_dec(&transaction->max_fee_per_gas, fee);
	fac_db_bind_text(stmt, 6, fee);
	x402_u256_to_dec(&transaction->max_priority_fee_per_gas, fee);
	fac_db_bind_text(stmt, 7, fee);
	fac_db_bind_u64(stmt, 8, transaction->created_ms);
	return fac_db_run(db, stmt);
}

static enum x402_err link_payment(
	struct fac_db *db, const uint8_t hash32[32], const uint8_t key32[32])
{
	enum x402_err err = fac_db_step_payment(
		db, key32, FAC_PAYMENT_SIGNED, "");
	struct x402_buf hash = {0};
	sqlite3_stmt *stmt;

	if (err)
		return err == X402_ERR_NOT_FOUND ? X402_ERR_CONFLICT : err;
	stmt = fac_db_prepare(db,
		"INSERT INTO transaction_payments"
		" (transaction_hash, payment_key) VALUES (?1, ?2)");
	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(hash32, 32));
	fac_db_bind_bytes(stmt, 2, x402_span(key32, 32));
	err = fac_db_run(db, stmt);
	stmt = fac_db_prepare(
		db, "UPDATE payments SET transaction_hash = ?2 WHERE key = ?1");
	if (err || !stmt)
		return err ? err : X402_ERR_STORE;
	x402_hex_encode_0x(x402_span(hash32, 32), &hash);
	x402_buf_add_byte(&hash, 0);
	if (hash.failed)
		abort();
	fac_db_bind_bytes(stmt, 1, x402_span(key32, 32));
	fac_db_bind_text(stmt, 2, (const char *)hash.ptr);
	err = fac_db_run(db, stmt);
	x402_buf_clear(&hash);
	return err;
}

enum x402_err fac_db_journal_signed(
	struct fac_db *db, struct fac_store_job *job)
{
	const struct fac_transaction *transaction = &job->transaction;
	enum fac_transaction_state state;
	enum x402_err err = read_state(db, transaction->hash32, &state);

	/* Journalled before: a repeat after a reply that got lost. */
	if (err != X402_ERR_NOT_FOUND)
		return err;
	err = write_transaction(db, transaction);
	for (size_t i = 0; i < transaction->keys_len && !err; i++)
		err = link_payment(
			db, transaction->hash32, transaction->keys32[i]);
	return err;
}

/* ---- What became of it. ---- */

/* The keys of a transaction's payments, appended to ret_keys. */
static enum x402_err read_keys(
	struct fac_db *db, const uint8_t hash32[32], struct x402_buf *ret_keys)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"SELECT payment_key FROM transaction_payments"
		" WHERE transaction_hash = ?1");
	enum x402_err err;
	uint8_t key32[32];
	bool row;

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(hash32, 32));
	while (!(err = fac_db_row(db, stmt, &row)) && row) {
		if (!fac_db_fixed(stmt, 0, key32, 32))
			return X402_ERR_STORE;
		x402_buf_add(ret_keys, x402_span(key32, 32));
	}
	if (ret_keys->failed)
		abort();
	return err;
}

/* Step those payments that may take the step; the others stay. */
static enum x402_err step_payments(struct fac_db *db, const uint8_t hash32[32],
	enum fac_payment_state to, const char *note)
{
	struct x402_buf keys = {0};
	enum x402_err err = read_keys(db, hash32, &keys);

	for (size_t at = 0; at < keys.len && !err; at += 32) {
		err = fac_db_step_payment(db, keys.ptr + at, to, note);
		if (err == X402_ERR_CONFLICT)
			err = X402_OK;
	}
	x402_buf_clear(&keys);
	return err;
}

enum x402_err fac_db_mark_broadcast(
	struct fac_db *db, struct fac_store_job *job)
{
	enum fac_transaction_state state;
	enum x402_err err = read_state(db, job->key32, &state);

	if (err)
		return err;
	/* Mined meanwhile, or said before. */
	if (state != FAC_TRANSACTION_SIGNED)
		return X402_OK;
	err = write_state(db, job->key32, FAC_TRANSACTION_BROADCAST, 0);
	return err ? err
		   : step_payments(db, job->key32, FAC_PAYMENT_BROADCAST, "");
}

enum x402_err fac_db_mark_replaced(struct fac_db *db, struct fac_store_job *job)
{
	enum fac_transaction_state state;
	enum x402_err err = read_state(db, job->key32, &state);

	if (err)
		return err;
	if (state == FAC_TRANSACTION_MINED)
		return X402_ERR_CONFLICT;
	if (state == FAC_TRANSACTION_REPLACED)
		return X402_OK;
	err = write_state(db, job->key32, FAC_TRANSACTION_REPLACED, 0);
	return err ? err
		   : step_payments(db, job->key32, FAC_PAYMENT_REPLACED,
			     "another transaction took the nonce");
}

enum x402_err fac_db_mark_mined(struct fac_db *db, struct fac_store_job *job)
{
	enum fac_transaction_state state;
	enum x402_err err = read_state(db, job->key32, &state);

	if (err)
		return err;
	if (state == FAC_TRANSACTION_REPLACED)
		return X402_ERR_CONFLICT;
	return write_state(db, job->key32, FAC_TRANSACTION_MINED, job->number);
}

/* ---- Taking up again. ---- */

static enum x402_err add_transaction(
	struct fac_db *db, sqlite3_stmt *stmt, struct fac_store_job *job)
{
	size_t len = job->reply.transactions_len;
	struct fac_transaction *grown = realloc(
		job->transactions, (len + 1) * sizeof(*grown));
	struct fac_transaction *transaction;
	struct x402_buf keys = {0};
	char text[X402_U256_DEC_SIZE];
	enum x402_err err;

	if (!grown)
		abort();
	job->transactions = grown;
	transaction = &grown[len];
	memset(transaction, 0, sizeof(*transaction));
	fac_db_text(
		stmt, 1, transaction->network, sizeof(transaction->network));
	transaction->nonce = fac_db_u64(stmt, 3);
	fac_db_text(stmt, 5, text, sizeof(text));
	if (!fac_db_fixed(stmt, 0, transaction->hash32, 32) ||
		!fac_db_fixed(stmt, 2, transaction->signer.bytes, 20) ||
		!fac_transaction_state_parse(text, &transaction->state))
		return X402_ERR_STORE;
	fac_db_text(stmt, 6, text, sizeof(text));
	if (x402_u256_from_dec(text, &transaction->max_fee_per_gas))
		return X402_ERR_STORE;
	fac_db_text(stmt, 7, text, sizeof(text));
	if (x402_u256_from_dec(text, &transaction->max_priority_fee_per_gas))
		return X402_ERR_STORE;
	transaction->created_ms = fac_db_u64(stmt, 8);
	err = read_keys(db, transaction->hash32, &keys);
	if (err) {
		x402_buf_clear(&keys);
		return err;
	}
	fac_db_buf(stmt, 4, &transaction->raw);
	transaction->keys32 = (uint8_t(*)[32])keys.ptr;
	transaction->keys_len = keys.len / 32;
	job->reply.transactions_len = len + 1;
	return X402_OK;
}

static enum x402_err load_payments(struct fac_db *db, struct fac_store_job *job)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"SELECT" FAC_PAYMENT_COLUMNS
		"FROM payments WHERE network = ?1 AND state IN"
		" ('reserved', 'signed', 'broadcast', 'replaced')"
		" ORDER BY created_ms");
	enum x402_err err;
	bool row;

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_text(stmt, 1, job->texts[0]);
	while (!(err = fac_db_row(db, stmt, &row)) && row) {
		err = fac_db_add_payment(stmt, job);
		if (err)
			break;
	}
	return err;
}

enum x402_err fac_db_load_unfinished(
	struct fac_db *db, struct fac_store_job *job)
{
	enum x402_err err = load_payments(db, job);
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"SELECT hash, network, signer, nonce, raw, state, max_fee,"
		" max_priority, created_ms FROM transactions"
		" WHERE network = ?1 AND state IN ('signed', 'broadcast')"
		" ORDER BY signer, nonce");
	bool row;

	if (err || !stmt)
		return err ? err : X402_ERR_STORE;
	fac_db_bind_text(stmt, 1, job->texts[0]);
	while (!(err = fac_db_row(db, stmt, &row)) && row) {
		err = add_transaction(db, stmt, job);
		if (err)
			break;
	}
	return err;
}

enum x402_err fac_db_revive(struct fac_db *db, struct fac_store_job *job)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"SELECT hash, network, signer, nonce, raw, state, max_fee,"
		" max_priority, created_ms FROM transactions"
		" WHERE network = ?1 AND signer = ?2 AND nonce >= ?3"
		" AND state = 'mined' ORDER BY nonce LIMIT ?4");
	enum x402_err err;
	bool row;

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_text(stmt, 1, job->texts[0]);
	fac_db_bind_bytes(
		stmt, 2, x402_span(job->transaction.signer.bytes, 20));
	fac_db_bind_u64(stmt, 3, job->number);
	fac_db_bind_u64(stmt, 4, FAC_STORE_REVIVE_MAX);
	while (!(err = fac_db_row(db, stmt, &row)) && row) {
		err = add_transaction(db, stmt, job);
		if (err)
			break;
	}
	for (size_t i = 0; i < job->reply.transactions_len && !err; i++)
		err = write_state(db, job->transactions[i].hash32,
			FAC_TRANSACTION_BROADCAST, 0);
	return err;
}

enum x402_err fac_db_next_nonce_floor(
	struct fac_db *db, struct fac_store_job *job)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"SELECT coalesce(max(nonce) + 1, 0) FROM transactions"
		" WHERE network = ?1 AND signer = ?2");
	enum x402_err err;
	bool row;

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_text(stmt, 1, job->texts[0]);
	fac_db_bind_bytes(
		stmt, 2, x402_span(job->transaction.signer.bytes, 20));
	err = fac_db_row(db, stmt, &row);
	if (err || !row)
		return X402_ERR_STORE;
	job->reply.number = fac_db_u64(stmt, 0);
	(void)sqlite3_reset(stmt); /* one row was wanted */
	return X402_OK;
}
