/*
 * The verbs of one payment: reserve, release, pass on, finish, credit; and the
 * one function that steps a payment from state to state, which asks the table
 * in core/payment.c and refuses what it does not permit.
 *
 * A key finds its payment through claims, as long as its authorization could
 * be spent. sqlite_get.c finds the others.
 */
#include "store/sqlite_p.h"
#include "x402/encoding.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Rows. ---- */

static void read_terms(sqlite3_stmt *stmt, struct fac_payment *payment)
{
	payment->valid_before_unix_s = fac_sqlite_u64(stmt, 9);
	fac_sqlite_text(stmt, 10, payment->scheme, sizeof(payment->scheme));
	payment->x402_version = (int)fac_sqlite_u64(stmt, 11);
	fac_sqlite_text(stmt, 14, payment->idempotency_scope,
		sizeof(payment->idempotency_scope));
	fac_sqlite_text(stmt, 15, payment->idempotency_key,
		sizeof(payment->idempotency_key));
	fac_sqlite_text(stmt, 16, payment->caller, sizeof(payment->caller));
	fac_sqlite_text(stmt, 17, payment->owner, sizeof(payment->owner));
	fac_sqlite_buf(stmt, 19, &payment->calldata);
	fac_sqlite_buf(stmt, 20, &payment->state_calldata);
	payment->gas_limit = fac_sqlite_u64(stmt, 21);
	payment->may_share = fac_sqlite_u64(stmt, 22) != 0;
	payment->cost_gwei = fac_sqlite_u64(stmt, 23);
}

static void hash_text(const uint8_t *bytes32, char *ret_text)
{
	struct x402_buf text = {0};

	x402_hex_encode_0x(x402_span(bytes32, 32), &text);
	x402_buf_add_byte(&text, 0);
	if (text.failed)
		abort();
	memcpy(ret_text, text.ptr, FAC_HASH_TEXT_SIZE);
	x402_buf_clear(&text);
}

static void read_fate(sqlite3_stmt *stmt, struct fac_payment *payment)
{
	char reason[128];
	uint8_t hash32[32];

	fac_sqlite_text(stmt, 25, reason, sizeof(reason));
	if (!reason[0] || !x402_reason_from_wire(reason, &payment->reason))
		payment->reason = X402_REASON_NONE;
	fac_sqlite_text(stmt, 26, payment->message, sizeof(payment->message));
	if (fac_sqlite_fixed(stmt, 27, hash32, 32))
		hash_text(hash32, payment->transaction);
	payment->block_number = fac_sqlite_u64(stmt, 28);
	payment->credited = fac_sqlite_u64(stmt, 29) != 0;
	payment->answer = fac_sqlite_dup(stmt, 30);
	payment->created_ms = fac_sqlite_u64(stmt, 31);
	payment->updated_ms = fac_sqlite_u64(stmt, 32);
}

/* STORE for a row that cannot be ours: a damaged file must not pay. */
enum x402_err fac_sqlite_add_payment(sqlite3_stmt *stmt, struct fac_verb *verb)
{
	struct fac_payment *payment = fac_verb_add_payment(verb);
	char amount[X402_U256_DEC_SIZE];
	char state[16];
	uint8_t id16[16];

	fac_sqlite_text(stmt, 2, payment->network, sizeof(payment->network));
	fac_sqlite_text(
		stmt, 3, payment->wire_network, sizeof(payment->wire_network));
	fac_sqlite_text(stmt, 7, amount, sizeof(amount));
	fac_sqlite_text(stmt, 24, state, sizeof(state));
	if (!fac_sqlite_fixed(stmt, 0, payment->key32, 32) ||
		!fac_sqlite_fixed(stmt, 1, id16, 16) ||
		!fac_proof_set_party(&payment->proof, FAC_PARTY_ASSET,
			fac_sqlite_span(stmt, 4)) ||
		!fac_proof_set_party(&payment->proof, FAC_PARTY_PAYER,
			fac_sqlite_span(stmt, 5)) ||
		!fac_proof_set_party(&payment->proof, FAC_PARTY_PAY_TO,
			fac_sqlite_span(stmt, 6)) ||
		!fac_sqlite_fixed(stmt, 8, payment->proof.nonce32, 32) ||
		!fac_sqlite_fixed(stmt, 12, payment->fingerprint32, 32) ||
		!fac_sqlite_fixed(stmt, 13, payment->payload_hash32, 32) ||
		!fac_sqlite_fixed(stmt, 18, payment->call_to.bytes, 20) ||
		!fac_payment_state_parse(state, &payment->state) ||
		x402_u256_from_dec(amount, &payment->proof.value))
		return X402_ERR_STORE;
	fac_payment_id_text(id16, payment->id);
	read_terms(stmt, payment);
	x402_settle_proof_set_call(&payment->proof, &payment->call_to,
		x402_buf_span(&payment->state_calldata));
	read_fate(stmt, payment);
	return X402_OK;
}

static void forget_payments(struct fac_verb *verb)
{
	for (size_t i = 0; i < verb->reply.payments_len; i++)
		fac_payment_clear(&verb->payments[i]);
	verb->reply.payments_len = 0;
	free(verb->payments);
	verb->payments = NULL;
}

enum x402_err fac_sqlite_load_first(sqlite3_stmt *stmt, struct fac_verb *verb)
{
	enum x402_err err = fac_sqlite_one(stmt);

	if (err)
		return err;
	forget_payments(verb);
	err = fac_sqlite_add_payment(stmt, verb);
	fac_sqlite_done(stmt);
	return err;
}

enum x402_err fac_sqlite_load_payment(
	struct fac_sqlite *db, const uint8_t key32[32], struct fac_verb *verb)
{
	return fac_sqlite_load_first(
		fac_sqlite_bound(db,
			"SELECT" FAC_PAYMENT_COLUMNS
			"FROM payments WHERE" FAC_PAYMENT_OF_KEY,
			"k", key32),
		verb);
}

enum x402_err fac_sqlite_load_sequence(
	struct fac_sqlite *db, uint64_t sequence, struct fac_verb *verb)
{
	return fac_sqlite_load_first(
		fac_sqlite_bound(db,
			"SELECT" FAC_PAYMENT_COLUMNS
			"FROM payments WHERE sequence = ?1",
			"i", sequence),
		verb);
}

enum x402_err fac_sqlite_load_by_idempotency(struct fac_sqlite *db,
	const char *scope, const char *key, struct fac_verb *verb)
{
	return fac_sqlite_load_first(
		fac_sqlite_bound(db,
			"SELECT" FAC_PAYMENT_COLUMNS
			"FROM payments WHERE idem_scope = ?1 AND idem_key = ?2",
			"tt", scope, key),
		verb);
}

enum x402_err fac_sqlite_find_payment(struct fac_sqlite *db,
	const uint8_t key32[32], uint64_t *ret_sequence,
	enum fac_payment_state *ret_state)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT sequence, state FROM payments WHERE" FAC_PAYMENT_OF_KEY,
		"k", key32);
	enum x402_err err = fac_sqlite_one(stmt);
	char text[16];

	if (err)
		return err;
	*ret_sequence = fac_sqlite_u64(stmt, 0);
	fac_sqlite_text(stmt, 1, text, sizeof(text));
	fac_sqlite_done(stmt);
	return fac_payment_state_parse(text, ret_state) ? X402_OK
							: X402_ERR_STORE;
}

/* ---- Steps. ---- */

enum x402_err fac_sqlite_event(struct fac_sqlite *db, uint64_t sequence,
	enum fac_payment_state state, const char *note)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"INSERT INTO payment_events (payment, state, at_ms, note)"
		" VALUES (?1, ?2, ?3, ?4)",
		"itit", sequence, fac_payment_state_text(state),
		fac_sqlite_now_ms(), note ? note : ""));
}

enum x402_err fac_sqlite_step(struct fac_sqlite *db, uint64_t sequence,
	enum fac_payment_state from, enum fac_payment_state to,
	const char *note)
{
	enum x402_err err;

	if (!fac_payment_may_follow(from, to))
		return X402_ERR_CONFLICT;
	err = fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE payments SET state = ?2, updated_ms = ?3"
		" WHERE sequence = ?1",
		"iti", sequence, fac_payment_state_text(to),
		fac_sqlite_now_ms()));
	return err ? err : fac_sqlite_event(db, sequence, to, note);
}

/* ---- Reserving. ---- */

/* As it is bound, and read again. */
static uint64_t clamped(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : value;
}

static void bind_terms(sqlite3_stmt *stmt, const struct fac_payment *payment,
	uint64_t spend_day, uint64_t now_ms)
{
	char amount[X402_U256_DEC_SIZE];
	uint8_t id16[16] = {0};
	const struct x402_settle_proof *proof = &payment->proof;

	x402_u256_to_dec(&proof->value, amount);
	/* The engine makes ids; one that is none fails as a doubled one. */
	(void)!fac_payment_id_bytes(payment->id, id16);
	fac_sqlite_bind_bytes(stmt, 1, x402_span(payment->key32, 32));
	fac_sqlite_bind_bytes(stmt, 2, x402_span(id16, 16));
	fac_sqlite_bind_text(stmt, 3, payment->network);
	fac_sqlite_bind_text(stmt, 4, payment->wire_network);
	fac_sqlite_bind_bytes(stmt, 5, fac_proof_party(proof, FAC_PARTY_ASSET));
	fac_sqlite_bind_bytes(stmt, 6, fac_proof_party(proof, FAC_PARTY_PAYER));
	fac_sqlite_bind_bytes(
		stmt, 7, fac_proof_party(proof, FAC_PARTY_PAY_TO));
	fac_sqlite_bind_text(stmt, 8, amount);
	fac_sqlite_bind_bytes(stmt, 9, x402_span(proof->nonce32, 32));
	fac_sqlite_bind_u64(stmt, 10, payment->valid_before_unix_s);
	fac_sqlite_bind_text(stmt, 11, payment->scheme);
	fac_sqlite_bind_u64(stmt, 12, (uint64_t)payment->x402_version);
	fac_sqlite_bind_bytes(stmt, 13, x402_span(payment->fingerprint32, 32));
	fac_sqlite_bind_bytes(stmt, 14, x402_span(payment->payload_hash32, 32));
	if (payment->idempotency_key[0]) {
		fac_sqlite_bind_text(stmt, 15, payment->idempotency_scope);
		fac_sqlite_bind_text(stmt, 16, payment->idempotency_key);
	}
	fac_sqlite_bind_text(stmt, 17, payment->caller);
	fac_sqlite_bind_text(stmt, 18, payment->owner);
	fac_sqlite_bind_bytes(stmt, 19, x402_span(payment->call_to.bytes, 20));
	fac_sqlite_bind_bytes(stmt, 20, x402_buf_span(&payment->calldata));
	fac_sqlite_bind_bytes(
		stmt, 21, x402_buf_span(&payment->state_calldata));
	fac_sqlite_bind_u64(stmt, 22, payment->gas_limit);
	fac_sqlite_bind_u64(stmt, 23, payment->may_share);
	fac_sqlite_bind_u64(stmt, 24, payment->cost_gwei);
	if (spend_day)
		fac_sqlite_bind_u64(stmt, 25, spend_day);
	fac_sqlite_bind_u64(stmt, 26, now_ms);
}

static enum x402_err insert_references(struct fac_sqlite *db,
	const struct fac_payment *payment, uint64_t sequence)
{
	enum x402_err err = X402_OK;

	/* The same one twice is once. */
	for (size_t i = 0; i < payment->references_len && !err; i++)
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"INSERT OR IGNORE INTO payment_references"
			" (reference, payment) VALUES (?1, ?2)",
			"ki", payment->references[i].bytes, sequence));
	return err;
}

/* The reply is what was written, without reading it. */
static void show_inserted(struct fac_verb *verb, uint64_t now_ms)
{
	struct fac_payment *row = fac_verb_add_payment(verb);

	fac_payment_copy(&verb->payment, row);
	row->valid_before_unix_s = clamped(row->valid_before_unix_s);
	row->references_len = 0;
	row->state = FAC_PAYMENT_RESERVED;
	row->reason = X402_REASON_NONE;
	row->message[0] = '\0';
	row->transaction[0] = '\0';
	row->block_number = 0;
	row->credited = false;
	free(row->answer);
	row->answer = NULL;
	row->created_ms = now_ms;
	row->updated_ms = now_ms;
}

static enum x402_err insert_payment(
	struct fac_sqlite *db, struct fac_verb *verb, uint64_t spend_day)
{
	const struct fac_payment *payment = &verb->payment;
	uint64_t now_ms = fac_sqlite_now_ms();
	sqlite3_stmt *stmt = fac_sqlite_prepare(db,
		"INSERT INTO payments (key, id, network, wire_network, asset,"
		" payer, pay_to, amount, nonce, valid_before, scheme,"
		" x402_version, fingerprint, payload_hash, idem_scope,"
		" idem_key, caller, owner, call_to, calldata, state_calldata,"
		" gas_limit, may_share, cost_gwei, spend_day, state,"
		" created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
		" ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,"
		" ?20, ?21, ?22, ?23, ?24, ?25, 'reserved', ?26, ?26)");
	uint64_t sequence;
	enum x402_err err;

	if (!stmt)
		return X402_ERR_STORE;
	bind_terms(stmt, payment, spend_day, now_ms);
	err = fac_sqlite_exec(stmt);
	sequence = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
	if (!err)
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"INSERT INTO claims (key, payment, look_s)"
			" VALUES (?1, ?2, ?3)",
			"kii", payment->key32, sequence,
			payment->valid_before_unix_s));
	if (!err)
		err = insert_references(db, payment, sequence);
	if (!err)
		err = fac_sqlite_event(db, sequence, FAC_PAYMENT_RESERVED, "");
	if (!err)
		show_inserted(verb, now_ms);
	return err;
}

/*
 * Whoever asks and leaves, again and again, makes the history of its payment
 * no longer than this.
 */
static enum x402_err forget_events(struct fac_sqlite *db, uint64_t sequence)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"DELETE FROM payment_events WHERE payment = ?1 AND sequence <="
		" (SELECT sequence FROM payment_events WHERE payment = ?1"
		"  ORDER BY sequence DESC LIMIT 1 OFFSET ?2)",
		"ii", sequence, (uint64_t)FAC_CANCELLED_EVENTS_MAX));
}

/* A cancelled row: its id and history stay, the rest is said anew. */
static enum x402_err update_payment(struct fac_sqlite *db, uint64_t sequence,
	const struct fac_payment *payment, uint64_t spend_day)
{
	/*
	 * ?1 to ?3 and ?9 are what a key is made of, and the id. By delegation
	 * the payer is not: the first to ask may have named another.
	 */
	sqlite3_stmt *stmt = fac_sqlite_prepare(db,
		"UPDATE payments SET wire_network = ?4, asset = ?5,"
		" payer = ?6, pay_to = ?7, amount = ?8, valid_before = ?10, "
		"scheme = ?11,"
		" x402_version = ?12, fingerprint = ?13, payload_hash = ?14,"
		" idem_scope = ?15, idem_key = ?16, caller = ?17, owner = ?18,"
		" call_to = ?19, calldata = ?20, state_calldata = ?21,"
		" gas_limit = ?22, may_share = ?23, cost_gwei = ?24,"
		" spend_day = ?25, state = 'reserved', reason = '',"
		" message = '', transaction_hash = NULL, tx = NULL,"
		" block_number = 0, created_ms = ?26, updated_ms = ?26"
		" WHERE sequence = ?27");
	enum x402_err err;

	if (!stmt)
		return X402_ERR_STORE;
	bind_terms(stmt, payment, spend_day, fac_sqlite_now_ms());
	fac_sqlite_bind_u64(stmt, 27, sequence);
	err = fac_sqlite_exec(stmt);
	if (!err)
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"UPDATE claims SET look_s = ?2 WHERE key = ?1", "ki",
			payment->key32, payment->valid_before_unix_s));
	if (!err)
		err = forget_events(db, sequence);
	return err ? err
		   : fac_sqlite_event(db, sequence, FAC_PAYMENT_RESERVED, "");
}

/* What the store knows of a key that is to be reserved. */
struct standing {
	bool is_claimed;
	uint64_t sequence; /* 0: no row has the key, or it was retired */
	enum fac_payment_state state;
	uint64_t forgotten_s;
};

static enum x402_err find_standing(struct fac_sqlite *db,
	const uint8_t key32[32], struct standing *ret_standing)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT h.forgotten_s, c.payment IS NOT NULL,"
		" coalesce(p.sequence, 0), p.state FROM heartbeat AS h"
		" LEFT JOIN claims AS c ON c.key = ?1"
		" LEFT JOIN payments AS p ON p.sequence = c.payment"
		" WHERE h.one = 1",
		"k", key32);
	enum x402_err err = fac_sqlite_one(stmt);
	char state[16];

	if (err) /* the heartbeat is always there */
		return X402_ERR_STORE;
	*ret_standing = (struct standing){
		.forgotten_s = fac_sqlite_u64(stmt, 0),
		.is_claimed = fac_sqlite_u64(stmt, 1) != 0,
		.sequence = fac_sqlite_u64(stmt, 2)};
	fac_sqlite_text(stmt, 3, state, sizeof(state));
	fac_sqlite_done(stmt);
	return !ret_standing->sequence ||
			fac_payment_state_parse(state, &ret_standing->state)
		? X402_OK
		: X402_ERR_STORE;
}

/* POLICY with a message: what is dead or was retired is claimed all the same.
 */
static enum x402_err check_standing(
	const struct standing *standing, struct fac_verb *verb)
{
	const char *why = NULL;

	/* Claims of authorizations that old were forgotten: fail closed. */
	if (standing->forgotten_s > verb->payment.valid_before_unix_s)
		why = "its validBefore is long past; nothing was sent";
	/* Its row was retired; it has no end of its own. */
	else if (standing->is_claimed && !standing->sequence)
		why = "it was used here before, long ago; nothing was sent";
	if (!why)
		return X402_OK;
	snprintf(verb->reply.message, sizeof(verb->reply.message), "%s", why);
	return X402_ERR_POLICY;
}

/* Its key belongs to another payment, or to another question about it. */
static bool is_key_taken(
	const struct fac_payment *asked, const struct fac_payment *there)
{
	return memcmp(asked->key32, there->key32, 32) != 0 ||
		memcmp(asked->fingerprint32, there->fingerprint32, 32) != 0;
}

enum x402_err fac_sqlite_reserve(struct fac_sqlite *db, struct fac_verb *verb)
{
	const struct fac_payment *payment = &verb->payment;
	struct standing standing;
	uint64_t spend_day = 0;
	enum x402_err err;

	if (payment->idempotency_key[0]) {
		err = fac_sqlite_load_by_idempotency(db,
			payment->idempotency_scope, payment->idempotency_key,
			verb);
		if (!err && is_key_taken(payment, &verb->payments[0]))
			return X402_ERR_CONFLICT;
		if (err && err != X402_ERR_NOT_FOUND)
			return err;
	}
	err = find_standing(db, payment->key32, &standing);
	if (err)
		return err;
	if (standing.sequence &&
		!fac_payment_may_follow(standing.state, FAC_PAYMENT_RESERVED))
		return fac_sqlite_load_payment(db, payment->key32, verb);
	err = check_standing(&standing, verb);
	if (!err)
		err = fac_sqlite_spend(db, verb, &spend_day);
	if (err)
		return err;
	forget_payments(verb);
	err = fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE holds SET used = 1 WHERE key = ?1 AND used = 0", "k",
		payment->key32));
	if (!err && standing.sequence)
		err = update_payment(db, standing.sequence, payment, spend_day);
	else if (!err)
		err = insert_payment(db, verb, spend_day);
	if (!err && standing.sequence)
		err = fac_sqlite_load_payment(db, payment->key32, verb);
	if (err)
		return err == X402_ERR_CONFLICT ? X402_ERR_STORE : err;
	verb->reply.claimed = true;
	return X402_OK;
}

/* ---- Giving up and passing on. ---- */

/* CONFLICT when it is another instance's; the reply shows the row. */
static enum x402_err find_own(struct fac_sqlite *db, struct fac_verb *verb,
	uint64_t *ret_sequence, enum fac_payment_state *ret_state)
{
	enum x402_err err = fac_sqlite_load_payment(db, verb->key32, verb);

	if (err)
		return err;
	if (strcmp(verb->payments[0].owner, verb->owner) != 0)
		return X402_ERR_CONFLICT;
	return fac_sqlite_find_payment(
		db, verb->key32, ret_sequence, ret_state);
}

enum x402_err fac_sqlite_release(struct fac_sqlite *db, struct fac_verb *verb)
{
	uint64_t sequence;
	enum fac_payment_state state;
	enum x402_err err = find_own(db, verb, &sequence, &state);

	if (!err)
		err = fac_sqlite_step(db, sequence, state,
			FAC_PAYMENT_CANCELLED, verb->texts[FAC_TEXT_NOTE]);
	if (!err)
		err = fac_sqlite_spend_anew(db, sequence, 0);
	/* Nothing happened under this key, so it may be used again. */
	if (!err)
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"UPDATE payments SET idem_scope = NULL,"
			" idem_key = NULL WHERE sequence = ?1",
			"i", sequence));
	if (!err)
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"UPDATE claims SET look_s = ?2 WHERE key = ?1", "ki",
			verb->key32,
			fac_sqlite_now_ms() / 1000 + FAC_CANCELLED_KEEP_S));
	return err ? err : fac_sqlite_load_payment(db, verb->key32, verb);
}

enum x402_err fac_sqlite_hand_over(struct fac_sqlite *db, struct fac_verb *verb)
{
	uint64_t sequence;
	enum fac_payment_state state;
	enum x402_err err = find_own(db, verb, &sequence, &state);

	if (err)
		return err;
	if (state != FAC_PAYMENT_RESERVED && state != FAC_PAYMENT_REPLACED)
		return X402_ERR_CONFLICT;
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE payments SET owner = '' WHERE sequence = ?1", "i",
		sequence));
}

enum x402_err fac_sqlite_take_over(struct fac_sqlite *db, struct fac_verb *verb)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT" FAC_PAYMENT_COLUMNS "FROM payments WHERE network = ?1"
		" AND state IN ('reserved', 'replaced')"
		" AND (owner = '' OR owner = ?2 OR owner NOT IN"
		"  (SELECT owner FROM instances WHERE until_ms > ?3))"
		" ORDER BY sequence LIMIT ?4",
		"ttii", verb->network, verb->owner, fac_sqlite_now_ms(),
		(uint64_t)verb->limit);
	enum x402_err err = X402_OK;
	bool row = true;

	while (!err && !(err = fac_sqlite_row(stmt, &row)) && row)
		err = fac_sqlite_add_payment(stmt, verb);
	for (size_t i = 0; i < verb->reply.payments_len && !err; i++)
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"UPDATE payments SET owner = ?2 "
			"WHERE" FAC_PAYMENT_OF_KEY,
			"kt", verb->payments[i].key32, verb->owner));
	return err;
}

/* ---- Ends. ---- */

/* What an end asks of the row that it ends, beside the payment itself. */
struct ending {
	uint64_t sequence;
	bool is_of;      /* of the transaction that this end speaks of */
	bool is_limited; /* its cost counts somewhere */
};

/* Adds the payment to the reply. */
static enum x402_err load_ending(struct fac_sqlite *db,
	const struct fac_store_end *end, struct fac_verb *verb,
	struct ending *ret_ending)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT" FAC_PAYMENT_COLUMNS ", sequence, coalesce(tx, 0),"
		" coalesce((SELECT a.tx FROM attempts AS a"
		" WHERE a.hash = ?2), 0), spend_day IS NOT NULL"
		" FROM payments WHERE" FAC_PAYMENT_OF_KEY,
		"kk", end->key32, end->of32);
	enum x402_err err = fac_sqlite_one(stmt);

	if (err)
		return err;
	*ret_ending = (struct ending){
		.sequence = fac_sqlite_u64(stmt, FAC_PAYMENT_COLUMNS_LEN),
		.is_of = fac_sqlite_u64(stmt, FAC_PAYMENT_COLUMNS_LEN + 1) ==
			fac_sqlite_u64(stmt, FAC_PAYMENT_COLUMNS_LEN + 2),
		.is_limited = fac_sqlite_u64(
				      stmt, FAC_PAYMENT_COLUMNS_LEN + 3) != 0,
	};
	err = fac_sqlite_add_payment(stmt, verb);
	fac_sqlite_done(stmt);
	return err;
}

/* Writes it to the row and to the payment that was read from there. */
static enum x402_err write_end(struct fac_sqlite *db, uint64_t sequence,
	const struct fac_store_end *end, struct fac_payment *payment)
{
	uint8_t hash32[32];
	sqlite3_stmt *stmt;

	payment->state = end->state;
	payment->updated_ms = fac_sqlite_now_ms();
	payment->reason = end->reason;
	memcpy(payment->message, end->message, sizeof(payment->message));
	payment->block_number = end->block_number;
	if (end->cost_gwei != FAC_COST_KEEP)
		payment->cost_gwei = end->cost_gwei;
	/* A hash that is none of ours is somebody else's. */
	stmt = fac_sqlite_bound(db,
		"UPDATE payments SET state = ?2, updated_ms = ?3, reason = ?4,"
		" message = ?5, block_number = ?6, cost_gwei = ?7,"
		" transaction_hash = coalesce(?8, transaction_hash),"
		" other_hash = CASE WHEN ?8 IS NULL THEN other_hash"
		" WHEN EXISTS (SELECT 1 FROM attempts WHERE hash = ?8)"
		" THEN NULL ELSE ?8 END WHERE sequence = ?1",
		"itittii", sequence, fac_payment_state_text(payment->state),
		payment->updated_ms, x402_reason_wire(payment->reason),
		payment->message, payment->block_number, payment->cost_gwei);
	if (!stmt)
		return X402_ERR_STORE;
	if (end->transaction[0]) {
		if (x402_hex_decode_fixed(end->transaction, hash32, 32))
			return X402_ERR_STORE;
		fac_sqlite_bind_bytes(stmt, 8, x402_span(hash32, 32));
		hash_text(hash32, payment->transaction);
	}
	return fac_sqlite_exec(stmt);
}

/* All of an end but whether it may be: see fac_sqlite_end. */
static enum x402_err apply_end(struct fac_sqlite *db,
	const struct ending *ending, const struct fac_store_end *end,
	struct fac_payment *payment)
{
	uint64_t sequence = ending->sequence;
	bool replaced = end->state == FAC_PAYMENT_REPLACED;
	enum x402_err err = X402_OK;

	if (end->cost_gwei != FAC_COST_KEEP && (ending->is_limited || replaced))
		err = fac_sqlite_spend_anew(db, sequence, end->cost_gwei);
	if (err)
		return err;
	/* The next transaction tells reason, message and hash. */
	if (replaced)
		return fac_sqlite_step(
			db, sequence, payment->state, end->state, end->message);
	err = write_end(db, sequence, end, payment);
	if (!err)
		err = fac_sqlite_event(db, sequence, end->state, end->message);
	if (!err && fac_payment_is_final(end->state))
		err = fac_sqlite_post(db, sequence, end->state);
	return err;
}

/* The owner's own, and of its present transaction: see fac_store_finish. */
enum x402_err fac_sqlite_end(struct fac_sqlite *db,
	const struct fac_store_end *end, const char *owner,
	struct fac_verb *verb)
{
	struct ending ending;
	struct fac_payment *payment;
	enum x402_err err = load_ending(db, end, verb, &ending);

	if (err)
		return err;
	payment = &verb->payments[verb->reply.payments_len - 1];
	/* The same end twice, after a crash between journal and answer. */
	if (payment->state == end->state)
		return X402_OK;
	/* Back to BROADCAST goes by mark_dropped only. */
	if (end->state == FAC_PAYMENT_BROADCAST ||
		strcmp(payment->owner, owner) != 0 ||
		(!ending.is_of && end->state != FAC_PAYMENT_SETTLED) ||
		!fac_payment_may_follow(payment->state, end->state))
		return X402_ERR_CONFLICT;
	err = apply_end(db, &ending, end, payment);
	if (err)
		/* Half of it may stand: no row that stayed as it is. */
		return err == X402_ERR_CONFLICT ? X402_ERR_STORE : err;
	if (end->state != FAC_PAYMENT_REPLACED)
		return X402_OK;
	/* What that wrote, it wrote elsewhere. */
	verb->reply.payments_len--;
	fac_payment_clear(payment);
	return load_ending(db, end, verb, &ending);
}

enum x402_err fac_sqlite_finish(struct fac_sqlite *db, struct fac_verb *verb)
{
	return fac_sqlite_end(db, &verb->ends[0], verb->owner, verb);
}

/* Again, after a reply that got lost? */
static enum x402_err claimed_before(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	enum x402_err err = X402_ERR_NOT_FOUND;

	if (verb->has_claim32)
		err = fac_sqlite_exists(fac_sqlite_bound(db,
			"SELECT 1 FROM payments WHERE" FAC_PAYMENT_OF_KEY
			"AND claim = ?2",
			"kk", verb->key32, verb->claim32));
	verb->reply.claimed = !err;
	return err == X402_ERR_NOT_FOUND ? X402_OK : err;
}

enum x402_err fac_sqlite_credit(struct fac_sqlite *db, struct fac_verb *verb)
{
	const char *answer = verb->texts[FAC_TEXT_NOTE];
	uint64_t now_ms = fac_sqlite_now_ms();
	enum x402_err err = fac_sqlite_load_payment(db, verb->key32, verb);
	struct fac_payment *payment;

	if (err)
		return err;
	payment = &verb->payments[0];
	/* BROADCAST: where the operator counts what was submitted. */
	if (payment->state != FAC_PAYMENT_SETTLED &&
		payment->state != FAC_PAYMENT_PROVISIONED &&
		payment->state != FAC_PAYMENT_BROADCAST)
		return X402_ERR_CONFLICT;
	if (payment->credited)
		return claimed_before(db, verb);
	err = fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE payments SET credited = 1, answer = ?2,"
		" updated_ms = ?3, claim = ?4 WHERE" FAC_PAYMENT_OF_KEY
		"AND credited = 0",
		"ktis", verb->key32, answer, now_ms,
		x402_span(verb->claim32, verb->has_claim32 ? 32 : 0)));
	if (err)
		return err;
	verb->reply.claimed = true;
	payment->credited = true;
	payment->updated_ms = now_ms;
	free(payment->answer);
	payment->answer = answer ? strdup(answer) : NULL;
	if (answer && !payment->answer)
		abort();
	return X402_OK;
}

/* A verb that fails half way is taken back whole, so the three are one. */
enum x402_err fac_sqlite_grant(struct fac_sqlite *db, struct fac_verb *verb)
{
	enum x402_err err = fac_sqlite_reserve(db, verb);

	if (err || !verb->reply.claimed)
		return err;
	err = fac_sqlite_end(db, &verb->ends[0], verb->owner, verb);
	if (!err)
		err = fac_sqlite_credit(db, verb);
	/* Nobody had the row before us, so nobody has the answer. */
	return err == X402_ERR_CONFLICT || err == X402_ERR_NOT_FOUND
		? X402_ERR_STORE
		: err;
}
