/*
 * The verbs of signed transactions: the journal that R1 speaks of, what
 * became of each, and what a lane has to take up again.
 */
#include "store/sqlite_p.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * The payments whose newest transaction is ?1, by their numbers: payments has
 * no index on tx, and reading all of it would hold the one writer for seconds.
 */
#define PAYMENTS_OF_TX                                           \
	" sequence IN (SELECT payment FROM transaction_payments" \
	" WHERE tx = ?1) AND tx = ?1 "

struct row {
	uint64_t sequence;
	enum fac_transaction_state state;
};

static enum x402_err find(
	struct fac_sqlite *db, const uint8_t id32[32], struct row *ret_row)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT sequence, state FROM transactions WHERE id = ?1", "k",
		id32);
	enum x402_err err = fac_sqlite_one(stmt);
	char text[16];

	if (err)
		return err;
	ret_row->sequence = fac_sqlite_u64(stmt, 0);
	fac_sqlite_text(stmt, 1, text, sizeof(text));
	fac_sqlite_done(stmt);
	return fac_transaction_state_parse(text, &ret_row->state)
		? X402_OK
		: X402_ERR_STORE;
}

/* For verbs that only the lane's holder may do: CONFLICT and fenced. */
static enum x402_err find_ours(
	struct fac_sqlite *db, struct fac_verb *verb, struct row *ret_row)
{
	enum x402_err err = find(db, verb->key32, ret_row);

	return err ? err : fac_sqlite_check_lease(db, verb);
}

static enum x402_err write_state(struct fac_sqlite *db, uint64_t sequence,
	enum fac_transaction_state state)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE transactions SET state = ?2 WHERE sequence = ?1", "it",
		sequence, fac_transaction_state_text(state)));
}

/* ---- Journal. ---- */

static enum x402_err write_attempt(struct fac_sqlite *db, uint64_t sequence,
	const struct fac_attempt *attempt)
{
	char max_fee[X402_U256_DEC_SIZE];
	char priority[X402_U256_DEC_SIZE];

	x402_u256_to_dec(&attempt->max_fee_per_gas, max_fee);
	x402_u256_to_dec(&attempt->max_priority_fee_per_gas, priority);
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"INSERT INTO attempts (hash, tx, raw, max_fee, max_priority,"
		" created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		"kistti", attempt->hash32, sequence,
		x402_buf_span(&attempt->raw), max_fee, priority,
		attempt->created_ms));
}

static enum x402_err write_transaction(struct fac_sqlite *db,
	const struct fac_transaction *transaction, uint64_t *ret_sequence)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"INSERT INTO transactions (id, network, signer, nonce, state,"
		" created_ms) VALUES (?1, ?2, ?3, ?4, 'signed', ?5)"
		" RETURNING sequence",
		"ktaii", transaction->id32, transaction->network,
		transaction->signer.bytes, transaction->nonce,
		transaction->created_ms);
	enum x402_err err = fac_sqlite_one(stmt);

	if (err)
		return err;
	*ret_sequence = fac_sqlite_u64(stmt, 0);
	err = fac_sqlite_exec(stmt);
	return err
		? err
		: write_attempt(db, *ret_sequence, &transaction->attempts[0]);
}

/* CONFLICT: it is in no state to be signed, or another instance's. */
static enum x402_err link_payment(struct fac_sqlite *db, struct fac_verb *verb,
	uint64_t sequence, size_t position)
{
	const struct fac_transaction *transaction = &verb->transaction;
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT sequence, state FROM payments WHERE" FAC_PAYMENT_OF_KEY
		"AND owner = ?2",
		"kt", transaction->keys32[position], verb->owner);
	enum fac_payment_state state;
	enum x402_err err = fac_sqlite_one(stmt);
	uint64_t payment;
	char text[16];

	if (err)
		return err == X402_ERR_NOT_FOUND ? X402_ERR_CONFLICT : err;
	payment = fac_sqlite_u64(stmt, 0);
	fac_sqlite_text(stmt, 1, text, sizeof(text));
	fac_sqlite_done(stmt);
	if (!fac_payment_state_parse(text, &state))
		return X402_ERR_STORE;
	if (!fac_payment_may_follow(state, FAC_PAYMENT_SIGNED))
		return X402_ERR_CONFLICT;
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"INSERT INTO transaction_payments (tx, position, payment)"
		" VALUES (?1, ?2, ?3)",
		"iii", sequence, (uint64_t)position, payment));
}

/* The history of all payments that this is the newest transaction of. */
static enum x402_err write_events(struct fac_sqlite *db, uint64_t sequence,
	enum fac_payment_state state, const char *note)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"INSERT INTO payment_events (payment, state, at_ms, note)"
		" SELECT l.payment, ?2, ?3, ?4 FROM transaction_payments AS l"
		" JOIN payments AS p ON p.sequence = l.payment"
		" WHERE l.tx = ?1 AND p.tx = ?1 ORDER BY l.position",
		"itit", sequence, fac_payment_state_text(state),
		fac_sqlite_now_ms(), note));
}

/* CONFLICT: one of them is in it twice. */
static enum x402_err sign_linked(struct fac_sqlite *db, uint64_t sequence,
	const struct fac_transaction *transaction)
{
	enum x402_err err = fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE payments SET state = 'signed', updated_ms = ?2,"
		" tx = ?1, transaction_hash = ?3 WHERE sequence IN"
		" (SELECT payment FROM transaction_payments WHERE tx = ?1)",
		"iik", sequence, fac_sqlite_now_ms(), transaction->id32));

	if (err)
		return err;
	if ((size_t)sqlite3_changes(db->sqlite) != transaction->keys_len)
		return X402_ERR_CONFLICT;
	return write_events(db, sequence, FAC_PAYMENT_SIGNED, "");
}

enum x402_err fac_sqlite_journal_signed(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	const struct fac_transaction *transaction = &verb->transaction;
	struct row row;
	uint64_t sequence;
	enum x402_err err = find(db, transaction->id32, &row);

	/* Journalled before: a repeat after a reply that got lost. */
	if (err != X402_ERR_NOT_FOUND)
		return err;
	err = fac_sqlite_check_lease(db, verb);
	if (!err)
		err = write_transaction(db, transaction, &sequence);
	for (size_t i = 0; i < transaction->keys_len && !err; i++)
		err = link_payment(db, verb, sequence, i);
	return err ? err : sign_linked(db, sequence, transaction);
}

enum x402_err fac_sqlite_journal_attempt(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	const struct fac_attempt *attempt = &verb->attempt;
	sqlite3_stmt *stmt;
	struct row row;
	uint64_t attempts;
	enum x402_err err = find(db, verb->key32, &row);

	if (err)
		return err == X402_ERR_NOT_FOUND ? X402_ERR_CONFLICT : err;
	err = fac_sqlite_exists(fac_sqlite_bound(db,
		"SELECT 1 FROM attempts WHERE hash = ?1 AND tx = ?2", "ki",
		attempt->hash32, row.sequence));
	if (err != X402_ERR_NOT_FOUND)
		return err; /* journalled before */
	err = fac_sqlite_check_lease(db, verb);
	if (err)
		return err;
	stmt = fac_sqlite_bound(db,
		"SELECT count(*) FROM attempts WHERE tx = ?1", "i",
		row.sequence);
	err = fac_sqlite_one(stmt);
	if (err)
		return err;
	attempts = fac_sqlite_u64(stmt, 0);
	fac_sqlite_done(stmt);
	if (attempts >= FAC_ATTEMPTS_MAX ||
		(row.state != FAC_TRANSACTION_SIGNED &&
			row.state != FAC_TRANSACTION_BROADCAST))
		return X402_ERR_CONFLICT;
	err = write_attempt(db, row.sequence, attempt);
	return err ? err
		   : fac_sqlite_exec(fac_sqlite_bound(db,
			     "UPDATE payments SET transaction_hash = ?2"
			     " WHERE" PAYMENTS_OF_TX "AND state IN"
			     " ('signed', 'broadcast')",
			     "ik", row.sequence, attempt->hash32));
}

/* ---- What became of it. ---- */

/*
 * The payments whose newest transaction this is, number and state as 8 bytes
 * each: a list, because stepping them changes what a cursor walks on.
 */
static enum x402_err read_payments(
	struct fac_sqlite *db, uint64_t sequence, struct x402_buf *ret_numbers)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT p.sequence, p.state FROM transaction_payments AS l"
		" JOIN payments AS p ON p.sequence = l.payment"
		" WHERE l.tx = ?1 AND p.tx = ?1 ORDER BY l.position",
		"i", sequence);
	enum fac_payment_state state;
	enum x402_err err;
	bool row = true;
	char text[16];

	while (!(err = fac_sqlite_row(stmt, &row)) && row) {
		fac_sqlite_text(stmt, 1, text, sizeof(text));
		if (!fac_payment_state_parse(text, &state)) {
			fac_sqlite_done(stmt);
			return X402_ERR_STORE;
		}
		fac_sqlite_add_number(ret_numbers, fac_sqlite_u64(stmt, 0));
		fac_sqlite_add_number(ret_numbers, (uint64_t)state);
	}
	return err;
}

static enum fac_payment_state state_at(
	const struct x402_buf *numbers, size_t at)
{
	return (enum fac_payment_state)fac_sqlite_number_at(numbers, at + 8);
}

static bool may_step(enum fac_payment_state from, enum fac_payment_state to)
{
	return !fac_payment_is_final(from) && fac_payment_may_follow(from, to);
}

static bool may_all_step(
	const struct x402_buf *numbers, enum fac_payment_state to)
{
	for (size_t at = 0; at < numbers->len; at += 16)
		if (!may_step(state_at(numbers, at), to))
			return false;
	return true;
}

/* All payments whose newest transaction this is, at once. */
static enum x402_err step_all(struct fac_sqlite *db, uint64_t sequence,
	enum fac_payment_state to, const char *note)
{
	enum x402_err err = fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE payments SET state = ?2, updated_ms = ?3"
		" WHERE" PAYMENTS_OF_TX,
		"iti", sequence, fac_payment_state_text(to),
		fac_sqlite_now_ms()));

	return err ? err : write_events(db, sequence, to, note);
}

/*
 * Step those payments that may take the step; the others stay, and so do
 * those that have ended: only a reorg takes an end back, and this is none.
 */
static enum x402_err step_payments(struct fac_sqlite *db, uint64_t sequence,
	enum fac_payment_state to, const char *note)
{
	struct x402_buf numbers = {0};
	enum x402_err err = read_payments(db, sequence, &numbers);
	bool all = !err && may_all_step(&numbers, to);

	if (all)
		err = step_all(db, sequence, to, note);
	for (size_t at = 0; at < numbers.len && !err && !all; at += 16) {
		enum fac_payment_state from = state_at(&numbers, at);

		if (may_step(from, to))
			err = fac_sqlite_step(db,
				fac_sqlite_number_at(&numbers, at), from, to,
				note);
	}
	x402_buf_clear(&numbers);
	return err;
}

enum x402_err fac_sqlite_mark_broadcast(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	struct row row;
	enum x402_err err = find(db, verb->key32, &row);

	/* Mined meanwhile, or said before. */
	if (err || row.state != FAC_TRANSACTION_SIGNED)
		return err;
	err = write_state(db, row.sequence, FAC_TRANSACTION_BROADCAST);
	return err ? err
		   : step_payments(db, row.sequence, FAC_PAYMENT_BROADCAST, "");
}

enum x402_err fac_sqlite_mark_replaced(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	struct row row;
	enum x402_err err = find_ours(db, verb, &row);

	if (err)
		return err;
	if (row.state == FAC_TRANSACTION_MINED ||
		row.state == FAC_TRANSACTION_FINAL)
		return X402_ERR_CONFLICT;
	if (row.state == FAC_TRANSACTION_REPLACED)
		return X402_OK;
	err = write_state(db, row.sequence, FAC_TRANSACTION_REPLACED);
	return err ? err
		   : step_payments(db, row.sequence, FAC_PAYMENT_REPLACED,
			     "another transaction took the nonce");
}

enum x402_err fac_sqlite_mark_mined(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	const struct fac_store_mined *mined = &verb->mined;
	struct row row;
	enum x402_err err = find_ours(db, verb, &row);

	if (err)
		return err;
	if (row.state == FAC_TRANSACTION_REPLACED)
		return X402_ERR_CONFLICT;
	if (row.state != FAC_TRANSACTION_FINAL)
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"UPDATE transactions SET state = 'mined',"
			" mined_hash = ?2, block_hash = ?3, block_number = ?4"
			" WHERE sequence = ?1",
			"ikki", row.sequence, mined->hash32,
			mined->block_hash32, mined->block_number));
	for (size_t i = 0; i < verb->ends_len && !err; i++) {
		err = fac_sqlite_end(db, &verb->ends[i], verb->owner, verb);
		if (err == X402_ERR_CONFLICT)
			err = X402_OK; /* its row stays as it is */
	}
	return err;
}

/*
 * Nobody sends it again: what only a resend needs goes. A delegation's state is
 * no question, but says what it is, and a Solana transaction is told by the
 * signature that its bytes begin with (fac_payment_transaction_text).
 */
static enum x402_err forget_calls(struct fac_sqlite *db, uint64_t sequence)
{
	enum x402_err err = fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE payments SET calldata = CASE WHEN length(payer) = 32"
		" THEN substr(calldata, 1, 65) ELSE x'' END, state_calldata ="
		" CASE WHEN substr(state_calldata, 1, 4) = x'cef6d209'"
		" THEN state_calldata ELSE x'' END"
		" WHERE" PAYMENTS_OF_TX "AND state IN ('settled',"
		" 'provisioned', 'reverted', 'expired')",
		"i", sequence));

	if (err)
		return err;
	/* The mined one's bytes stay: revive wants them. */
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE attempts SET raw = x'' WHERE tx = ?1 AND hash <>"
		" (SELECT mined_hash FROM transactions WHERE sequence = ?1)",
		"i", sequence));
}

enum x402_err fac_sqlite_mark_final(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	struct row row;
	enum x402_err err = find_ours(db, verb, &row);

	if (err || row.state == FAC_TRANSACTION_FINAL)
		return err;
	if (row.state != FAC_TRANSACTION_MINED)
		return X402_ERR_CONFLICT;
	err = write_state(db, row.sequence, FAC_TRANSACTION_FINAL);
	return err ? err : forget_calls(db, row.sequence);
}

/*
 * It was long dead when its transaction was revived: what works on it finds
 * it by its key. CONFLICT when another has that key by now.
 */
static enum x402_err claim_again(
	struct fac_sqlite *db, const uint8_t key32[32], uint64_t payment)
{
	enum x402_err err = fac_sqlite_exec(fac_sqlite_bound(db,
		"INSERT INTO claims (key, payment, look_s)"
		" SELECT key, sequence, valid_before FROM payments"
		" WHERE sequence = ?1 ON CONFLICT (key) DO NOTHING",
		"i", payment));

	if (!err)
		err = fac_sqlite_exists(fac_sqlite_bound(db,
			"SELECT 1 FROM claims WHERE key = ?1 AND payment = ?2",
			"ki", key32, payment));
	return err == X402_ERR_NOT_FOUND ? X402_ERR_CONFLICT : err;
}

/* A payment whose end was this transaction's doing goes back to work. */
static enum x402_err take_back(struct fac_sqlite *db, struct fac_verb *verb,
	uint64_t payment, const struct x402_buf *own_hashes)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT key, state, transaction_hash FROM payments"
		" WHERE sequence = ?1",
		"i", payment);
	enum x402_err err = fac_sqlite_one(stmt);
	enum fac_payment_state state;
	struct fac_verb one = {0};
	uint8_t key32[32];
	uint8_t hash32[32] = {0};
	bool own = false;
	char text[16];

	if (err)
		return err;
	fac_sqlite_text(stmt, 1, text, sizeof(text));
	if (!fac_sqlite_fixed(stmt, 0, key32, 32) ||
		!fac_payment_state_parse(text, &state))
		err = X402_ERR_STORE;
	(void)fac_sqlite_fixed(stmt, 2, hash32, 32);
	fac_sqlite_done(stmt);
	for (size_t at = 0; at < own_hashes->len; at += 32)
		own |= memcmp(own_hashes->ptr + at, hash32, 32) == 0;
	if (err || !own ||
		(state != FAC_PAYMENT_SETTLED && state != FAC_PAYMENT_REVERTED))
		return err;
	err = claim_again(db, key32, payment);
	if (err)
		return err == X402_ERR_CONFLICT ? X402_OK : err;
	err = fac_sqlite_step(db, payment, state, FAC_PAYMENT_BROADCAST,
		"a reorg took its block away");
	if (!err)
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"UPDATE payments SET block_number = 0, reason = '',"
			" message = '', owner = ?2 WHERE sequence = ?1",
			"it", payment, verb->owner));
	if (!err)
		err = fac_sqlite_load_payment(db, key32, &one);
	if (!err)
		*fac_verb_add_payment(verb) = one.payments[0];
	free(one.payments);
	return err;
}

static enum x402_err read_hashes(
	struct fac_sqlite *db, uint64_t sequence, struct x402_buf *ret_hashes)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(
		db, "SELECT hash FROM attempts WHERE tx = ?1", "i", sequence);
	enum x402_err err;
	uint8_t hash32[32];
	bool row = true;

	while (!(err = fac_sqlite_row(stmt, &row)) && row) {
		if (!fac_sqlite_fixed(stmt, 0, hash32, 32))
			return X402_ERR_STORE;
		x402_buf_add(ret_hashes, x402_span(hash32, 32));
	}
	if (ret_hashes->failed)
		abort();
	return err;
}

enum x402_err fac_sqlite_mark_dropped(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	struct x402_buf numbers = {0};
	struct x402_buf hashes = {0};
	struct row row;
	enum x402_err err = find_ours(db, verb, &row);

	if (err)
		return err;
	if (row.state != FAC_TRANSACTION_MINED)
		return X402_ERR_CONFLICT;
	/* By now it is in another block: nothing fell of what is written. */
	err = fac_sqlite_exists(fac_sqlite_bound(db,
		"SELECT 1 FROM transactions WHERE sequence = ?1"
		" AND block_hash = ?2",
		"ik", row.sequence, verb->mined.block_hash32));
	if (err)
		return err == X402_ERR_NOT_FOUND ? X402_ERR_CONFLICT : err;
	err = fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE transactions SET state = 'broadcast', mined_hash ="
		" NULL, block_hash = NULL, block_number = 0"
		" WHERE sequence = ?1",
		"i", row.sequence));
	if (!err)
		err = read_hashes(db, row.sequence, &hashes);
	if (!err)
		err = read_payments(db, row.sequence, &numbers);
	for (size_t at = 0; at < numbers.len && !err; at += 16)
		err = take_back(
			db, verb, fac_sqlite_number_at(&numbers, at), &hashes);
	x402_buf_clear(&numbers);
	x402_buf_clear(&hashes);
	return err;
}

/* ---- Taking up again. ---- */

static enum x402_err add_attempts(struct fac_sqlite *db, uint64_t sequence,
	struct fac_transaction *transaction)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT hash, raw, max_fee, max_priority, created_ms"
		" FROM attempts WHERE tx = ?1 ORDER BY sequence",
		"i", sequence);
	enum x402_err err;
	bool row = true;

	while (!(err = fac_sqlite_row(stmt, &row)) && row) {
		struct fac_attempt *attempt =
			&transaction->attempts[transaction->attempts_len];
		char fee[X402_U256_DEC_SIZE];
		char priority[X402_U256_DEC_SIZE];

		fac_sqlite_text(stmt, 2, fee, sizeof(fee));
		fac_sqlite_text(stmt, 3, priority, sizeof(priority));
		if (transaction->attempts_len == FAC_ATTEMPTS_MAX ||
			!fac_sqlite_fixed(stmt, 0, attempt->hash32, 32) ||
			x402_u256_from_dec(fee, &attempt->max_fee_per_gas) ||
			x402_u256_from_dec(
				priority, &attempt->max_priority_fee_per_gas))
			return X402_ERR_STORE;
		fac_sqlite_buf(stmt, 1, &attempt->raw);
		attempt->created_ms = fac_sqlite_u64(stmt, 4);
		transaction->attempts_len++;
	}
	return err || transaction->attempts_len ? err : X402_ERR_STORE;
}

static enum x402_err add_keys(struct fac_sqlite *db, uint64_t sequence,
	struct fac_transaction *transaction)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT p.key FROM transaction_payments AS l"
		" JOIN payments AS p ON p.sequence = l.payment"
		" WHERE l.tx = ?1 ORDER BY l.position",
		"i", sequence);
	struct x402_buf keys = {0};
	enum x402_err err;
	uint8_t key32[32];
	bool row = true;

	while (!(err = fac_sqlite_row(stmt, &row)) && row) {
		if (!fac_sqlite_fixed(stmt, 0, key32, 32)) {
			x402_buf_clear(&keys);
			return X402_ERR_STORE;
		}
		x402_buf_add(&keys, x402_span(key32, 32));
	}
	if (keys.failed)
		abort();
	transaction->keys32 = (uint8_t(*)[32])keys.ptr;
	transaction->keys_len = keys.len / 32;
	return err;
}

#define TRANSACTION_COLUMNS                                         \
	" sequence, id, network, signer, nonce, state, mined_hash," \
	" block_hash, block_number, created_ms "

static enum x402_err add_transaction(sqlite3_stmt *stmt, struct fac_verb *verb,
	struct x402_buf *ret_sequences)
{
	struct fac_transaction *transaction = fac_verb_add_transaction(verb);
	char text[16];

	fac_sqlite_text(
		stmt, 2, transaction->network, sizeof(transaction->network));
	transaction->nonce = fac_sqlite_u64(stmt, 4);
	fac_sqlite_text(stmt, 5, text, sizeof(text));
	(void)fac_sqlite_fixed(stmt, 6, transaction->mined_hash32, 32);
	(void)fac_sqlite_fixed(stmt, 7, transaction->block_hash32, 32);
	transaction->block_number = fac_sqlite_u64(stmt, 8);
	transaction->created_ms = fac_sqlite_u64(stmt, 9);
	fac_sqlite_add_number(ret_sequences, fac_sqlite_u64(stmt, 0));
	return fac_sqlite_fixed(stmt, 1, transaction->id32, 32) &&
			fac_sqlite_fixed(
				stmt, 3, transaction->signer.bytes, 20) &&
			fac_transaction_state_parse(text, &transaction->state)
		? X402_OK
		: X402_ERR_STORE;
}

/* All rows of stmt, with their attempts and keys. */
static enum x402_err add_transactions(struct fac_sqlite *db, sqlite3_stmt *stmt,
	struct fac_verb *verb, struct x402_buf *ret_sequences)
{
	enum x402_err err = X402_OK;
	bool row = true;

	while (!err && !(err = fac_sqlite_row(stmt, &row)) && row)
		err = add_transaction(stmt, verb, ret_sequences);
	for (size_t i = 0; i < verb->reply.transactions_len && !err; i++) {
		uint64_t sequence = fac_sqlite_number_at(ret_sequences, i * 8);

		err = add_attempts(db, sequence, &verb->transactions[i]);
		if (!err)
			err = add_keys(db, sequence, &verb->transactions[i]);
	}
	return err;
}

static enum x402_err add_payments(
	struct fac_sqlite *db, uint64_t sequence, struct fac_verb *verb)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT" FAC_PAYMENT_COLUMNS
		"FROM payments WHERE" PAYMENTS_OF_TX,
		"i", sequence);
	enum x402_err err = X402_OK;
	bool row = true;

	while (!err && !(err = fac_sqlite_row(stmt, &row)) && row)
		err = fac_sqlite_add_payment(stmt, verb);
	return err;
}

enum x402_err fac_sqlite_load_lane(struct fac_sqlite *db, struct fac_verb *verb)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT" TRANSACTION_COLUMNS
		"FROM transactions WHERE network = ?1 AND signer = ?2"
		" AND state IN ('signed', 'broadcast', 'mined')"
		" ORDER BY nonce",
		"ta", verb->network, verb->signer.bytes);
	struct x402_buf sequences = {0};
	enum x402_err err = add_transactions(db, stmt, verb, &sequences);

	for (size_t at = 0; at < sequences.len && !err; at += 8) {
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"UPDATE payments SET owner = ?2 WHERE" PAYMENTS_OF_TX
			"AND state IN ('signed', 'broadcast', 'replaced')",
			"it", fac_sqlite_number_at(&sequences, at),
			verb->owner));
		if (!err)
			err = add_payments(
				db, fac_sqlite_number_at(&sequences, at), verb);
	}
	x402_buf_clear(&sequences);
	return err;
}

enum x402_err fac_sqlite_revive(struct fac_sqlite *db, struct fac_verb *verb)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT" TRANSACTION_COLUMNS
		"FROM transactions WHERE network = ?1 AND signer = ?2"
		" AND nonce >= ?3 AND state IN ('mined', 'final')"
		" ORDER BY nonce LIMIT ?4",
		"taii", verb->network, verb->signer.bytes, verb->number,
		(uint64_t)FAC_STORE_REVIVE_MAX);
	struct x402_buf sequences = {0};
	enum x402_err err = add_transactions(db, stmt, verb, &sequences);

	for (size_t at = 0; at < sequences.len && !err; at += 8) {
		verb->transactions[at / 8].state = FAC_TRANSACTION_BROADCAST;
		err = write_state(db, fac_sqlite_number_at(&sequences, at),
			FAC_TRANSACTION_BROADCAST);
	}
	x402_buf_clear(&sequences);
	return err;
}

enum x402_err fac_sqlite_next_nonce_floor(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT coalesce(max(nonce) + 1, 0) FROM transactions"
		" WHERE network = ?1 AND signer = ?2",
		"ta", verb->network, verb->signer.bytes);
	enum x402_err err = fac_sqlite_one(stmt);

	if (err)
		return err;
	verb->reply.number = fac_sqlite_u64(stmt, 0);
	fac_sqlite_done(stmt);
	return X402_OK;
}
