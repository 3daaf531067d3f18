/*
 * The verbs of one payment: reserve, release, finish, credit, get; and the
 * one function that steps a payment from state to state, which asks the table
 * in core/payment.c and refuses what it does not permit.
 */
#include "store/db_p.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Rows. ---- */

static void read_terms(sqlite3_stmt *stmt, struct fac_payment *payment)
{
	payment->valid_before_unix_s = fac_db_u64(stmt, 9);
	fac_db_text(stmt, 10, payment->scheme, sizeof(payment->scheme));
	payment->x402_version = (int)fac_db_u64(stmt, 11);
	fac_db_text(stmt, 13, payment->idempotency_scope,
		sizeof(payment->idempotency_scope));
	fac_db_text(stmt, 14, payment->idempotency_key,
		sizeof(payment->idempotency_key));
	fac_db_buf(stmt, 16, &payment->calldata);
	fac_db_buf(stmt, 17, &payment->state_calldata);
	payment->gas_limit = fac_db_u64(stmt, 18);
}

static void read_fate(sqlite3_stmt *stmt, struct fac_payment *payment)
{
	char reason[128];

	fac_db_text(stmt, 20, reason, sizeof(reason));
	if (!reason[0] || !x402_reason_from_wire(reason, &payment->reason))
		payment->reason = X402_REASON_NONE;
	fac_db_text(stmt, 21, payment->message, sizeof(payment->message));
	fac_db_text(
		stmt, 22, payment->transaction, sizeof(payment->transaction));
	payment->block_number = fac_db_u64(stmt, 23);
	payment->credited = fac_db_u64(stmt, 24) != 0;
	payment->answer = fac_db_dup(stmt, 25);
	payment->created_ms = fac_db_u64(stmt, 26);
	payment->updated_ms = fac_db_u64(stmt, 27);
}

/* STORE for a row that cannot be ours: a damaged file must not pay. */
enum x402_err fac_db_add_payment(sqlite3_stmt *stmt, struct fac_store_job *job)
{
	size_t len = job->reply.payments_len;
	struct fac_payment *grown = realloc(
		job->payments, (len + 1) * sizeof(*grown));
	struct fac_payment *payment;
	char amount[X402_U256_DEC_SIZE];
	char state[16];

	if (!grown)
		abort();
	job->payments = grown;
	payment = &grown[len];
	memset(payment, 0, sizeof(*payment));
	fac_db_text(stmt, 1, payment->id, sizeof(payment->id));
	fac_db_text(stmt, 2, payment->network, sizeof(payment->network));
	fac_db_text(
		stmt, 3, payment->wire_network, sizeof(payment->wire_network));
	fac_db_text(stmt, 7, amount, sizeof(amount));
	fac_db_text(stmt, 19, state, sizeof(state));
	if (!fac_db_fixed(stmt, 0, payment->key32, 32) ||
		!fac_db_fixed(stmt, 4, payment->proof.asset.bytes, 20) ||
		!fac_db_fixed(stmt, 5, payment->proof.from.bytes, 20) ||
		!fac_db_fixed(stmt, 6, payment->proof.to.bytes, 20) ||
		!fac_db_fixed(stmt, 8, payment->proof.nonce32, 32) ||
		!fac_db_fixed(stmt, 12, payment->fingerprint32, 32) ||
		!fac_db_fixed(stmt, 15, payment->call_to.bytes, 20) ||
		!fac_payment_state_parse(state, &payment->state) ||
		x402_u256_from_dec(amount, &payment->proof.value))
		return X402_ERR_STORE;
	read_terms(stmt, payment);
	read_fate(stmt, payment);
	job->reply.payments_len = len + 1;
	return X402_OK;
}

/* The first row of stmt into the reply, replacing what is there. */
static enum x402_err load_first(
	struct fac_db *db, sqlite3_stmt *stmt, struct fac_store_job *job)
{
	bool row;
	enum x402_err err = fac_db_row(db, stmt, &row);

	if (err)
		return err;
	if (!row)
		return X402_ERR_NOT_FOUND;
	for (size_t i = 0; i < job->reply.payments_len; i++)
		fac_payment_clear(&job->payments[i]);
	job->reply.payments_len = 0;
	err = fac_db_add_payment(stmt, job);
	(void)sqlite3_reset(stmt); /* one row was wanted */
	return err;
}

enum x402_err fac_db_load_payment(
	struct fac_db *db, const uint8_t key32[32], struct fac_store_job *job)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"SELECT" FAC_PAYMENT_COLUMNS "FROM payments WHERE key = ?1");

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(key32, 32));
	return load_first(db, stmt, job);
}

static enum x402_err load_by_idempotency(struct fac_db *db, const char *scope,
	const char *key, struct fac_store_job *job)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"SELECT" FAC_PAYMENT_COLUMNS
		"FROM payments WHERE idem_scope = ?1 AND idem_key = ?2");

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_text(stmt, 1, scope);
	fac_db_bind_text(stmt, 2, key);
	return load_first(db, stmt, job);
}

enum x402_err fac_db_payment_state(struct fac_db *db, const uint8_t key32[32],
	enum fac_payment_state *ret_state)
{
	sqlite3_stmt *stmt = fac_db_prepare(
		db, "SELECT state FROM payments WHERE key = ?1");
	enum x402_err err;
	char text[16];
	bool row;

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(key32, 32));
	err = fac_db_row(db, stmt, &row);
	if (err)
		return err;
	if (!row)
		return X402_ERR_NOT_FOUND;
	fac_db_text(stmt, 0, text, sizeof(text));
	(void)sqlite3_reset(stmt);
	return fac_payment_state_parse(text, ret_state) ? X402_OK
							: X402_ERR_STORE;
}

/* ---- Steps. ---- */

static enum x402_err write_event(struct fac_db *db, const uint8_t key32[32],
	enum fac_payment_state state, const char *note)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"INSERT INTO payment_events (payment_key, state, at_ms, note)"
		" VALUES (?1, ?2, ?3, ?4)");

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(key32, 32));
	fac_db_bind_text(stmt, 2, fac_payment_state_text(state));
	fac_db_bind_u64(stmt, 3, fac_db_now_ms());
	fac_db_bind_text(stmt, 4, note ? note : "");
	return fac_db_run(db, stmt);
}

enum x402_err fac_db_step_payment(struct fac_db *db, const uint8_t key32[32],
	enum fac_payment_state to, const char *note)
{
	enum fac_payment_state from;
	sqlite3_stmt *stmt;
	enum x402_err err = fac_db_payment_state(db, key32, &from);

	if (err)
		return err;
	if (!fac_payment_may_follow(from, to))
		return X402_ERR_CONFLICT;
	stmt = fac_db_prepare(db,
		"UPDATE payments SET state = ?2, updated_ms = ?3"
		" WHERE key = ?1");
	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(key32, 32));
	fac_db_bind_text(stmt, 2, fac_payment_state_text(to));
	fac_db_bind_u64(stmt, 3, fac_db_now_ms());
	err = fac_db_run(db, stmt);
	return err ? err : write_event(db, key32, to, note);
}

/* ---- Verbs. ---- */

static void bind_terms(sqlite3_stmt *stmt, const struct fac_payment *payment)
{
	char amount[X402_U256_DEC_SIZE];
	const struct x402_settle_proof *proof = &payment->proof;

	x402_u256_to_dec(&proof->value, amount);
	fac_db_bind_bytes(stmt, 1, x402_span(payment->key32, 32));
	fac_db_bind_text(stmt, 2, payment->id);
	fac_db_bind_text(stmt, 3, payment->network);
	fac_db_bind_text(stmt, 4, payment->wire_network);
	fac_db_bind_bytes(stmt, 5, x402_span(proof->asset.bytes, 20));
	fac_db_bind_bytes(stmt, 6, x402_span(proof->from.bytes, 20));
	fac_db_bind_bytes(stmt, 7, x402_span(proof->to.bytes, 20));
	fac_db_bind_text(stmt, 8, amount);
	fac_db_bind_bytes(stmt, 9, x402_span(proof->nonce32, 32));
	fac_db_bind_u64(stmt, 10, payment->valid_before_unix_s);
	fac_db_bind_text(stmt, 11, payment->scheme);
	fac_db_bind_u64(stmt, 12, (uint64_t)payment->x402_version);
	fac_db_bind_bytes(stmt, 13, x402_span(payment->fingerprint32, 32));
	if (payment->idempotency_key[0]) {
		fac_db_bind_text(stmt, 14, payment->idempotency_scope);
		fac_db_bind_text(stmt, 15, payment->idempotency_key);
	}
	fac_db_bind_bytes(stmt, 16, x402_span(payment->call_to.bytes, 20));
	fac_db_bind_bytes(stmt, 17, x402_buf_span(&payment->calldata));
	fac_db_bind_bytes(stmt, 18, x402_buf_span(&payment->state_calldata));
	fac_db_bind_u64(stmt, 19, payment->gas_limit);
	fac_db_bind_u64(stmt, 20, fac_db_now_ms());
}

/*
 * Insert, or take a cancelled row over: its id and history stay, everything
 * that the new caller said replaces the old.
 */
static enum x402_err write_reservation(
	struct fac_db *db, const struct fac_payment *payment)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"INSERT INTO payments (key, id, network, wire_network, asset,"
		" payer, pay_to, amount, nonce, valid_before, scheme,"
		" x402_version, fingerprint, idem_scope, idem_key, call_to,"
		" calldata, state_calldata, gas_limit, state, created_ms,"
		" updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
		" ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, 'reserved',"
		" ?20, ?20) ON CONFLICT (key) DO UPDATE SET"
		" wire_network = excluded.wire_network,"
		" pay_to = excluded.pay_to, amount = excluded.amount,"
		" valid_before = excluded.valid_before,"
		" scheme = excluded.scheme,"
		" x402_version = excluded.x402_version,"
		" fingerprint = excluded.fingerprint,"
		" idem_scope = excluded.idem_scope,"
		" idem_key = excluded.idem_key, call_to = excluded.call_to,"
		" calldata = excluded.calldata,"
		" state_calldata = excluded.state_calldata,"
		" gas_limit = excluded.gas_limit, state = 'reserved',"
		" reason = '', message = '', transaction_hash = '',"
		" block_number = 0, updated_ms = excluded.updated_ms");
	enum x402_err err;

	if (!stmt)
		return X402_ERR_STORE;
	bind_terms(stmt, payment);
	err = fac_db_run(db, stmt);
	return err ? err
		   : write_event(db, payment->key32, FAC_PAYMENT_RESERVED, "");
}

/* Its key belongs to another payment, or to another question about it. */
static bool is_key_taken(
	const struct fac_payment *asked, const struct fac_payment *there)
{
	return memcmp(asked->key32, there->key32, 32) != 0 ||
		memcmp(asked->fingerprint32, there->fingerprint32, 32) != 0;
}

enum x402_err fac_db_reserve(struct fac_db *db, struct fac_store_job *job)
{
	const struct fac_payment *payment = &job->payment;
	enum x402_err err;

	if (payment->idempotency_key[0]) {
		err = load_by_idempotency(db, payment->idempotency_scope,
			payment->idempotency_key, job);
		if (!err && is_key_taken(payment, &job->payments[0]))
			return X402_ERR_CONFLICT;
		if (err && err != X402_ERR_NOT_FOUND)
			return err;
	}
	err = fac_db_load_payment(db, payment->key32, job);
	if (!err &&
		!fac_payment_may_follow(
			job->payments[0].state, FAC_PAYMENT_RESERVED))
		return X402_OK;
	if (err && err != X402_ERR_NOT_FOUND)
		return err;
	err = write_reservation(db, payment);
	if (err)
		return err == X402_ERR_CONFLICT ? X402_ERR_STORE : err;
	job->reply.claimed = true;
	return fac_db_load_payment(db, payment->key32, job);
}

enum x402_err fac_db_release(struct fac_db *db, struct fac_store_job *job)
{
	enum x402_err err = fac_db_step_payment(
		db, job->key32, FAC_PAYMENT_CANCELLED, job->texts[0]);
	sqlite3_stmt *stmt;

	if (err) {
		/* Show which row it is; the first error is the answer. */
		(void)!fac_db_load_payment(db, job->key32, job);
		return err;
	}
	/* Nothing happened under this key, so it may be used again. */
	stmt = fac_db_prepare(db,
		"UPDATE payments SET idem_scope = NULL, idem_key = NULL"
		" WHERE key = ?1");
	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(job->key32, 32));
	err = fac_db_run(db, stmt);
	return err ? err : fac_db_load_payment(db, job->key32, job);
}

static enum x402_err write_end(
	struct fac_db *db, const struct fac_store_end *end)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"UPDATE payments SET reason = ?2, message = ?3,"
		" transaction_hash = CASE WHEN ?4 = '' THEN transaction_hash"
		" ELSE ?4 END, block_number = ?5 WHERE key = ?1");

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(end->key32, 32));
	fac_db_bind_text(stmt, 2, x402_reason_wire(end->reason));
	fac_db_bind_text(stmt, 3, end->message);
	fac_db_bind_text(stmt, 4, end->transaction);
	fac_db_bind_u64(stmt, 5, end->block_number);
	return fac_db_run(db, stmt);
}

enum x402_err fac_db_finish(struct fac_db *db, struct fac_store_job *job)
{
	const struct fac_store_end *end = &job->end;
	enum x402_err err = fac_db_load_payment(db, end->key32, job);

	if (err)
		return err;
	/* The same end twice, after a crash between journal and answer. */
	if (job->payments[0].state == end->state)
		return X402_OK;
	err = fac_db_step_payment(db, end->key32, end->state, end->message);
	if (!err)
		err = write_end(db, end);
	return err ? err : fac_db_load_payment(db, end->key32, job);
}

enum x402_err fac_db_credit(struct fac_db *db, struct fac_store_job *job)
{
	sqlite3_stmt *stmt;
	enum x402_err err = fac_db_load_payment(db, job->key32, job);
	enum fac_payment_state state;

	if (err)
		return err;
	state = job->payments[0].state;
	if (state != FAC_PAYMENT_SETTLED && state != FAC_PAYMENT_PROVISIONED)
		return X402_ERR_CONFLICT;
	if (job->payments[0].credited)
		return X402_OK;
	stmt = fac_db_prepare(db,
		"UPDATE payments SET credited = 1, answer = ?2,"
		" updated_ms = ?3 WHERE key = ?1 AND credited = 0");
	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(job->key32, 32));
	fac_db_bind_text(stmt, 2, job->texts[0]);
	fac_db_bind_u64(stmt, 3, fac_db_now_ms());
	err = fac_db_run(db, stmt);
	if (err)
		return err;
	job->reply.claimed = true;
	return fac_db_load_payment(db, job->key32, job);
}

static enum x402_err load_events(struct fac_db *db, struct fac_store_job *job)
{
	sqlite3_stmt *stmt = fac_db_prepare(db,
		"SELECT state, at_ms, note FROM payment_events"
		" WHERE payment_key = ?1 ORDER BY sequence");
	enum x402_err err = X402_OK;
	bool row = true;

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_bytes(stmt, 1, x402_span(job->payments[0].key32, 32));
	while (!(err = fac_db_row(db, stmt, &row)) && row) {
		size_t len = job->reply.events_len;
		struct fac_payment_event *grown = realloc(
			job->events, (len + 1) * sizeof(*grown));
		char state[16];

		if (!grown)
			abort();
		job->events = grown;
		fac_db_text(stmt, 0, state, sizeof(state));
		if (!fac_payment_state_parse(state, &grown[len].state))
			return X402_ERR_STORE;
		grown[len].at_ms = fac_db_u64(stmt, 1);
		fac_db_text(stmt, 2, grown[len].note, sizeof(grown[len].note));
		job->reply.events_len = len + 1;
	}
	return err;
}

/* By one text or bytes column. */
static enum x402_err load_by(struct fac_db *db, const char *sql,
	const char *text, const uint8_t *bytes32, struct fac_store_job *job)
{
	sqlite3_stmt *stmt = fac_db_prepare(db, sql);

	if (!stmt)
		return X402_ERR_STORE;
	if (text)
		fac_db_bind_text(stmt, 1, text);
	else
		fac_db_bind_bytes(stmt, 1, x402_span(bytes32, 32));
	return load_first(db, stmt, job);
}

enum x402_err fac_db_payment_get(struct fac_db *db, struct fac_store_job *job)
{
	enum x402_err err = X402_ERR_NOT_FOUND;

	if (job->texts[FAC_JOB_ID])
		err = load_by(db,
			"SELECT" FAC_PAYMENT_COLUMNS
			"FROM payments WHERE id = ?1",
			job->texts[FAC_JOB_ID], NULL, job);
	if (err == X402_ERR_NOT_FOUND && job->has_key32)
		err = fac_db_load_payment(db, job->key32, job);
	if (err == X402_ERR_NOT_FOUND && job->texts[FAC_JOB_TRANSACTION])
		err = load_by(db,
			"SELECT" FAC_PAYMENT_COLUMNS
			"FROM payments WHERE transaction_hash = lower(?1)"
			" AND transaction_hash <> ''",
			job->texts[FAC_JOB_TRANSACTION], NULL, job);
	if (err == X402_ERR_NOT_FOUND && job->has_fingerprint32)
		err = load_by(db,
			"SELECT" FAC_PAYMENT_COLUMNS
			"FROM payments WHERE fingerprint = ?1",
			NULL, job->fingerprint32, job);
	if (err == X402_ERR_NOT_FOUND && job->texts[FAC_JOB_SCOPE] &&
		job->texts[FAC_JOB_IDEMPOTENCY])
		err = load_by_idempotency(db, job->texts[FAC_JOB_SCOPE],
			job->texts[FAC_JOB_IDEMPOTENCY], job);
	return err ? err : load_events(db, job);
}
