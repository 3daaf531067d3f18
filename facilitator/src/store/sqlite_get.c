/*
 * Finding a payment, of whatever age, by each of its names.
 */
#include "store/sqlite_p.h"

#include <stdlib.h>

static enum x402_err load_events(
	struct fac_sqlite *db, struct fac_verb *verb, const uint8_t id16[16])
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT state, at_ms, note FROM payment_events WHERE payment ="
		" (SELECT sequence FROM payments WHERE id = ?1)"
		" ORDER BY sequence",
		"s", x402_span(id16, 16));
	enum x402_err err;
	bool row = true;

	while (!(err = fac_sqlite_row(stmt, &row)) && row) {
		struct fac_payment_event *event = fac_verb_add_event(verb);
		char state[16];

		fac_sqlite_text(stmt, 0, state, sizeof(state));
		if (!fac_payment_state_parse(state, &event->state))
			return X402_ERR_STORE;
		event->at_ms = fac_sqlite_u64(stmt, 1);
		fac_sqlite_text(stmt, 2, event->note, sizeof(event->note));
	}
	return err;
}

static enum x402_err load_by_id(struct fac_sqlite *db, struct fac_verb *verb)
{
	uint8_t id16[16];

	if (!fac_payment_id_bytes(verb->texts[FAC_TEXT_ID], id16))
		return X402_ERR_NOT_FOUND;
	return fac_sqlite_load_first(fac_sqlite_bound(db,
					     "SELECT" FAC_PAYMENT_COLUMNS
					     "FROM payments WHERE id = ?1",
					     "s", x402_span(id16, 16)),
		verb);
}

/* All rows of stmt, or NOT_FOUND. */
static enum x402_err load_all(sqlite3_stmt *stmt, struct fac_verb *verb)
{
	enum x402_err err = X402_OK;
	bool row = true;

	while (!err && !(err = fac_sqlite_row(stmt, &row)) && row)
		err = fac_sqlite_add_payment(stmt, verb);
	return err || verb->reply.payments_len ? err : X402_ERR_NOT_FOUND;
}

/* All of a batch: one of ours, or a stranger's that paid some of ours. */
static enum x402_err load_by_transaction(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	enum x402_err err = load_all(
		fac_sqlite_bound(db,
			"SELECT" FAC_PAYMENT_COLUMNS
			"FROM transaction_payments AS l"
			" JOIN payments ON sequence = l.payment"
			" WHERE l.tx = (SELECT tx FROM attempts"
			"  WHERE hash = ?1) ORDER BY l.position",
			"k", verb->transaction32),
		verb);

	if (err != X402_ERR_NOT_FOUND)
		return err;
	return load_all(
		fac_sqlite_bound(db,
			"SELECT" FAC_PAYMENT_COLUMNS
			"FROM payments WHERE other_hash = ?1"
			" ORDER BY sequence LIMIT ?2",
			"ki", verb->transaction32, (uint64_t)FAC_BATCH_MAX),
		verb);
}

static enum x402_err ends_of(
	struct fac_sqlite *db, uint64_t *ret_first, uint64_t *ret_last)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT (SELECT min(sequence) FROM payments),"
		" (SELECT max(sequence) FROM payments)",
		"");
	enum x402_err err = fac_sqlite_one(stmt);

	if (err)
		return err;
	*ret_first = fac_sqlite_u64(stmt, 0);
	*ret_last = fac_sqlite_u64(stmt, 1);
	fac_sqlite_done(stmt);
	return X402_OK;
}

/*
 * The newest that has this hash. One look into the index for each bucket,
 * newest first: 306 of them for five million payments.
 */
static enum x402_err load_by_payload(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	uint64_t first = 0;
	uint64_t last = 0;
	enum x402_err err = ends_of(db, &first, &last);

	if (err)
		return err;
	err = X402_ERR_NOT_FOUND;
	for (uint64_t bucket = last >> FAC_PAYLOAD_SHIFT;
		err == X402_ERR_NOT_FOUND &&
		bucket + 1 > first >> FAC_PAYLOAD_SHIFT;
		bucket--)
		err = fac_sqlite_load_first(
			fac_sqlite_bound(db,
				"SELECT" FAC_PAYMENT_COLUMNS
				"FROM payments WHERE"
				" sequence >> " FAC_PAYLOAD_SHIFT_TEXT " = ?1"
				" AND substr(payload_hash, 1, 8) ="
				" substr(?2, 1, 8) AND payload_hash = ?2"
				" ORDER BY sequence DESC LIMIT 1",
				"ik", bucket, verb->payload_hash32),
			verb);
	return err;
}

static enum x402_err load_by_reference(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	return fac_sqlite_load_first(
		fac_sqlite_bound(db,
			"SELECT" FAC_PAYMENT_COLUMNS
			"FROM payments WHERE sequence ="
			" (SELECT max(payment) FROM payment_references"
			"  WHERE reference = ?1)",
			"k", verb->reference32),
		verb);
}

enum x402_err fac_sqlite_payment_get(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	enum x402_err err = X402_ERR_NOT_FOUND;
	uint8_t id16[16];

	if (verb->texts[FAC_TEXT_ID])
		err = load_by_id(db, verb);
	if (err == X402_ERR_NOT_FOUND && verb->has_key32)
		err = fac_sqlite_load_payment(db, verb->key32, verb);
	if (err == X402_ERR_NOT_FOUND && verb->has_transaction32)
		err = load_by_transaction(db, verb);
	if (err == X402_ERR_NOT_FOUND && verb->has_payload_hash32)
		err = load_by_payload(db, verb);
	if (err == X402_ERR_NOT_FOUND && verb->texts[FAC_TEXT_SCOPE] &&
		verb->texts[FAC_TEXT_KEY])
		err = fac_sqlite_load_by_idempotency(db,
			verb->texts[FAC_TEXT_SCOPE], verb->texts[FAC_TEXT_KEY],
			verb);
	if (err == X402_ERR_NOT_FOUND && verb->has_reference32)
		err = load_by_reference(db, verb);
	if (err)
		return err;
	return fac_payment_id_bytes(verb->payments[0].id, id16)
		? load_events(db, verb, id16)
		: X402_ERR_STORE;
}
