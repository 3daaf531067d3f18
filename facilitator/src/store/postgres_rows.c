/*
 * What verbs read from PostgreSQL's answers. Columns come in binary: numbers
 * big-endian, text and bytes as they are. Most statements answer with rows of
 * the type x402_answer: an outcome, and beside it a payment or NULLs.
 */
#include "store/postgres_verbs_p.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

/* Columns of x402_answer, in its order. */
enum {
	OUTCOME,
	CLAIMED,
	FENCED,
	NUMBER,
	WORDS,
	KEY,
	ID,
	NETWORK,
	WIRE_NETWORK,
	ASSET,
	PAYER,
	PAY_TO,
	AMOUNT,
	NONCE,
	VALID_BEFORE,
	SCHEME,
	VERSION,
	FINGERPRINT,
	PAYLOAD_HASH,
	IDEM_SCOPE,
	IDEM_KEY,
	CALLER,
	OWNER,
	CALL_TO,
	CALLDATA,
	STATE_CALLDATA,
	GAS_LIMIT,
	MAY_SHARE,
	COST_GWEI,
	STATE,
	REASON,
	MESSAGE,
	TRANSACTION_HASH,
	BLOCK_NUMBER,
	CREDITED,
	ANSWER,
	CREATED_MS,
	UPDATED_MS,
	ANSWER_COLUMNS
};

/* A result and which of its rows. */
struct at {
	const PGresult *result;
	int row;
};

/* ---- Columns. ---- */

static void get_text(struct at at, int column, char *ret_text, size_t size)
{
	snprintf(ret_text, size, "%s",
		PQgetvalue(at.result, at.row, column)); /* "" for NULL */
}

static bool get_fixed(struct at at, int column, uint8_t *ret_bytes, size_t len)
{
	if (PQgetisnull(at.result, at.row, column) ||
		(size_t)PQgetlength(at.result, at.row, column) != len)
		return false;
	memcpy(ret_bytes, PQgetvalue(at.result, at.row, column), len);
	return true;
}

static uint64_t get_u64(struct at at, int column)
{
	uint64_t number = 0;

	if (!get_fixed(at, column, (uint8_t *)&number, 8))
		return 0;
	number = be64toh(number);
	return number > INT64_MAX ? 0 : number;
}

static bool get_bool(struct at at, int column)
{
	uint8_t byte = 0;

	return get_fixed(at, column, &byte, 1) && byte;
}

static char *get_dup(struct at at, int column)
{
	char *copy;

	if (PQgetisnull(at.result, at.row, column))
		return NULL;
	copy = strdup(PQgetvalue(at.result, at.row, column));
	if (!copy)
		abort();
	return copy;
}

static void get_buf(struct at at, int column, struct x402_buf *ret_buf)
{
	*ret_buf = (struct x402_buf){0};
	x402_buf_add(ret_buf,
		x402_span(
			(const uint8_t *)PQgetvalue(at.result, at.row, column),
			(size_t)PQgetlength(at.result, at.row, column)));
	if (ret_buf->failed)
		abort();
}

static bool get_u256(struct at at, int column, struct x402_u256 *ret_value)
{
	return x402_u256_from_dec(PQgetvalue(at.result, at.row, column),
		       ret_value) == X402_OK;
}

/* ---- Payments. ---- */

static void read_hash(struct at at, struct fac_payment *payment)
{
	static const char digits[] = "0123456789abcdef";
	char *text = payment->transaction;
	uint8_t hash32[32];

	if (!get_fixed(at, TRANSACTION_HASH, hash32, 32))
		return;
	*text++ = '0';
	*text++ = 'x';
	for (size_t i = 0; i < 32; i++) {
		*text++ = digits[hash32[i] >> 4];
		*text++ = digits[hash32[i] & 15];
	}
	*text = '\0';
}

static void read_terms(struct at at, struct fac_payment *payment)
{
	get_text(at, NETWORK, payment->network, sizeof(payment->network));
	get_text(at, WIRE_NETWORK, payment->wire_network,
		sizeof(payment->wire_network));
	payment->valid_before_unix_s = get_u64(at, VALID_BEFORE);
	get_text(at, SCHEME, payment->scheme, sizeof(payment->scheme));
	payment->x402_version = (int)get_u64(at, VERSION);
	get_text(at, IDEM_SCOPE, payment->idempotency_scope,
		sizeof(payment->idempotency_scope));
	get_text(at, IDEM_KEY, payment->idempotency_key,
		sizeof(payment->idempotency_key));
	get_text(at, CALLER, payment->caller, sizeof(payment->caller));
	get_text(at, OWNER, payment->owner, sizeof(payment->owner));
	get_buf(at, CALLDATA, &payment->calldata);
	get_buf(at, STATE_CALLDATA, &payment->state_calldata);
	payment->gas_limit = get_u64(at, GAS_LIMIT);
	payment->may_share = get_bool(at, MAY_SHARE);
	payment->cost_gwei = get_u64(at, COST_GWEI);
}

static void read_fate(struct at at, struct fac_payment *payment)
{
	char reason[128];

	get_text(at, REASON, reason, sizeof(reason));
	if (!reason[0] || !x402_reason_from_wire(reason, &payment->reason))
		payment->reason = X402_REASON_NONE;
	get_text(at, MESSAGE, payment->message, sizeof(payment->message));
	read_hash(at, payment);
	payment->block_number = get_u64(at, BLOCK_NUMBER);
	payment->credited = get_bool(at, CREDITED);
	payment->answer = get_dup(at, ANSWER);
	payment->created_ms = get_u64(at, CREATED_MS);
	payment->updated_ms = get_u64(at, UPDATED_MS);
}

static bool get_party(struct at at, int column, enum fac_party party,
	struct x402_settle_proof *proof)
{
	return !PQgetisnull(at.result, at.row, column) &&
		fac_proof_set_party(proof, party,
			x402_span(PQgetvalue(at.result, at.row, column),
				(size_t)PQgetlength(
					at.result, at.row, column)));
}

static enum x402_err add_payment(struct fac_verb *verb, struct at at)
{
	struct fac_payment *payment = fac_verb_add_payment(verb);
	uint8_t id16[16];
	char state[16];

	get_text(at, STATE, state, sizeof(state));
	if (!get_fixed(at, KEY, payment->key32, 32) ||
		!get_fixed(at, ID, id16, 16) ||
		!get_party(at, ASSET, FAC_PARTY_ASSET, &payment->proof) ||
		!get_party(at, PAYER, FAC_PARTY_PAYER, &payment->proof) ||
		!get_party(at, PAY_TO, FAC_PARTY_PAY_TO, &payment->proof) ||
		!get_fixed(at, NONCE, payment->proof.nonce32, 32) ||
		!get_fixed(at, FINGERPRINT, payment->fingerprint32, 32) ||
		!get_fixed(at, PAYLOAD_HASH, payment->payload_hash32, 32) ||
		!get_fixed(at, CALL_TO, payment->call_to.bytes, 20) ||
		!get_u256(at, AMOUNT, &payment->proof.value) ||
		!fac_payment_state_parse(state, &payment->state))
		return X402_ERR_STORE;
	fac_payment_id_text(id16, payment->id);
	read_terms(at, payment);
	x402_settle_proof_set_call(&payment->proof, &payment->call_to,
		x402_buf_span(&payment->state_calldata));
	read_fate(at, payment);
	return X402_OK;
}

static bool outcome_err(const char *outcome, enum x402_err *ret_err)
{
	static const struct {
		const char *name;
		enum x402_err err;
	} outcomes[] = {{"ok", X402_OK}, {"conflict", X402_ERR_CONFLICT},
		{"not_found", X402_ERR_NOT_FOUND}, {"policy", X402_ERR_POLICY}};

	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		if (strcmp(outcomes[i].name, outcome) == 0) {
			*ret_err = outcomes[i].err;
			return true;
		}
	}
	return false;
}

static enum x402_err read_answer(struct fac_verb *verb, const PGresult *result)
{
	struct at at = {result, 0};
	enum x402_err outcome;
	enum x402_err err = X402_OK;
	char text[16];

	if (PQntuples(result) < 1 || PQnfields(result) < ANSWER_COLUMNS)
		return X402_ERR_STORE;
	get_text(at, OUTCOME, text, sizeof(text));
	if (!outcome_err(text, &outcome))
		return X402_ERR_STORE;
	verb->reply.claimed = get_bool(at, CLAIMED) && !outcome;
	verb->reply.fenced = get_bool(at, FENCED);
	verb->reply.number = get_u64(at, NUMBER);
	get_text(at, WORDS, verb->reply.message, sizeof(verb->reply.message));
	for (; at.row < PQntuples(result) && !err; at.row++)
		if (!PQgetisnull(result, at.row, KEY))
			err = add_payment(verb, at);
	return err ? err : outcome;
}

/*
 * The second half of a grant. It must agree with the first: what was reserved
 * is granted, and what was not is left alone.
 */
static enum x402_err read_granted(struct fac_verb *verb, const PGresult *result)
{
	enum x402_err reserved = verb->reply.err;
	bool claimed = verb->reply.claimed;
	struct at at = {result, 0};

	if (PQntuples(result) != 1 || PQnfields(result) < ANSWER_COLUMNS ||
		get_bool(at, CLAIMED) != claimed)
		return X402_ERR_STORE;
	if (!claimed)
		return reserved;
	fac_verb_reset(verb);
	return read_answer(verb, result);
}

/* Rows of a statement that has no outcome of its own. */
static enum x402_err read_payments(
	struct fac_verb *verb, const PGresult *result)
{
	enum x402_err err = X402_OK;

	if (PQnfields(result) < ANSWER_COLUMNS)
		return X402_ERR_STORE;
	for (int row = 0; row < PQntuples(result) && !err; row++)
		err = add_payment(verb, (struct at){result, row});
	return err;
}

static enum x402_err read_events(struct fac_verb *verb, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct at at = {result, row};
		struct fac_payment_event *event = fac_verb_add_event(verb);
		char state[16];

		get_text(at, 0, state, sizeof(state));
		if (!fac_payment_state_parse(state, &event->state))
			return X402_ERR_STORE;
		event->at_ms = get_u64(at, 1);
		get_text(at, 2, event->note, sizeof(event->note));
	}
	return verb->reply.err;
}

/* ---- Transactions. ---- */

/* Columns of FAC_POSTGRES_TRANSACTION. */
enum {
	TX_SEQUENCE,
	TX_ID,
	TX_NETWORK,
	TX_SIGNER,
	TX_NONCE,
	TX_STATE,
	TX_MINED_HASH,
	TX_BLOCK_HASH,
	TX_BLOCK_NUMBER,
	TX_CREATED_MS,
	TX_HASH,
	TX_RAW,
	TX_MAX_FEE,
	TX_MAX_PRIORITY,
	TX_ATTEMPT_MS
};

static enum x402_err read_transaction(
	struct fac_transaction *transaction, struct at at)
{
	char state[16];

	get_text(at, TX_NETWORK, transaction->network,
		sizeof(transaction->network));
	transaction->nonce = get_u64(at, TX_NONCE);
	get_text(at, TX_STATE, state, sizeof(state));
	(void)get_fixed(at, TX_MINED_HASH, transaction->mined_hash32, 32);
	(void)get_fixed(at, TX_BLOCK_HASH, transaction->block_hash32, 32);
	transaction->block_number = get_u64(at, TX_BLOCK_NUMBER);
	transaction->created_ms = get_u64(at, TX_CREATED_MS);
	return get_fixed(at, TX_ID, transaction->id32, 32) &&
			get_fixed(
				at, TX_SIGNER, transaction->signer.bytes, 20) &&
			fac_transaction_state_parse(state, &transaction->state)
		? X402_OK
		: X402_ERR_STORE;
}

static enum x402_err read_attempt(
	struct fac_transaction *transaction, struct at at)
{
	struct fac_attempt *attempt =
		&transaction->attempts[transaction->attempts_len];

	if (transaction->attempts_len == FAC_ATTEMPTS_MAX ||
		!get_fixed(at, TX_HASH, attempt->hash32, 32) ||
		!get_u256(at, TX_MAX_FEE, &attempt->max_fee_per_gas) ||
		!get_u256(at, TX_MAX_PRIORITY,
			&attempt->max_priority_fee_per_gas))
		return X402_ERR_STORE;
	get_buf(at, TX_RAW, &attempt->raw);
	attempt->created_ms = get_u64(at, TX_ATTEMPT_MS);
	transaction->attempts_len++;
	return X402_OK;
}

/* A row for each attempt, those of one transaction together. */
static enum x402_err read_transactions(
	struct fac_verb *verb, const PGresult *result)
{
	struct fac_transaction *transaction = NULL;
	enum x402_err err = X402_OK;

	for (int row = 0; row < PQntuples(result) && !err; row++) {
		struct at at = {result, row};

		if (row == 0 ||
			get_u64(at, TX_SEQUENCE) !=
				get_u64((struct at){result, row - 1},
					TX_SEQUENCE)) {
			transaction = fac_verb_add_transaction(verb);
			err = read_transaction(transaction, at);
		}
		if (!err)
			err = read_attempt(transaction, at);
	}
	return err;
}

/* Ids and keys, in the order of the transactions. */
static enum x402_err read_keys(struct fac_verb *verb, const PGresult *result)
{
	int rows = PQntuples(result);
	int row = 0;

	for (size_t i = 0; i < verb->reply.transactions_len; i++) {
		struct fac_transaction *transaction = &verb->transactions[i];
		uint8_t id32[32];
		int first = row;

		while (row < rows &&
			get_fixed((struct at){result, row}, 0, id32, 32) &&
			memcmp(id32, transaction->id32, 32) == 0)
			row++;
		if (row == first)
			continue;
		transaction->keys32 = calloc((size_t)(row - first), 32);
		if (!transaction->keys32)
			abort();
		transaction->keys_len = (size_t)(row - first);
		for (int at = first; at < row; at++)
			if (!get_fixed((struct at){result, at}, 1,
				    transaction->keys32[at - first], 32))
				return X402_ERR_STORE;
	}
	return row == rows ? X402_OK : X402_ERR_STORE;
}

static enum x402_err read_lane(
	struct fac_verb *verb, unsigned index, const PGresult *result)
{
	if (index == 0)
		return X402_OK; /* the owners, no rows */
	if (index == 1)
		return read_transactions(verb, result);
	return index == 2 ? read_keys(verb, result)
			  : read_payments(verb, result);
}

static enum x402_err read_revived(
	struct fac_verb *verb, unsigned index, const PGresult *result)
{
	if (index < 2)
		return index == 0 ? read_transactions(verb, result)
				  : read_keys(verb, result);
	/* They were read as what they were. */
	for (size_t i = 0; i < verb->reply.transactions_len; i++)
		verb->transactions[i].state = FAC_TRANSACTION_BROADCAST;
	return X402_OK;
}

/* ---- The rest. ---- */

static enum x402_err read_number(struct at at, uint64_t *ret_number)
{
	if (PQntuples(at.result) != 1)
		return X402_ERR_STORE;
	*ret_number = get_u64(at, 0);
	return X402_OK;
}

static enum x402_err read_outbox(struct fac_verb *verb, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++) {
		struct fac_outbox_row *row = fac_verb_add_outbox(verb);
		struct at at = {result, i};
		char state[16];

		row->sequence = get_u64(at, ANSWER_COLUMNS);
		get_text(at, ANSWER_COLUMNS + 1, row->hook, sizeof(row->hook));
		get_text(at, ANSWER_COLUMNS + 2, state, sizeof(state));
		row->at_ms = get_u64(at, ANSWER_COLUMNS + 3);
		row->tries = (uint32_t)get_u64(at, ANSWER_COLUMNS + 4);
		row->dead = get_bool(at, ANSWER_COLUMNS + 5);
		get_text(
			at, ANSWER_COLUMNS + 6, row->error, sizeof(row->error));
		if (!fac_payment_state_parse(state, &row->state))
			return X402_ERR_STORE;
	}
	return read_payments(verb, result);
}

static enum x402_err read_resources(
	struct fac_verb *verb, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct fac_resource *resource = fac_verb_add_resource(verb);
		struct at at = {result, row};

		resource->key = get_dup(at, 0);
		resource->url = get_dup(at, 1);
		resource->type = get_dup(at, 2);
		resource->x402_version = (int)get_u64(at, 3);
		resource->accepts_json = get_dup(at, 4);
		resource->extensions_json = get_dup(at, 5);
		resource->metadata_json = get_dup(at, 6);
		resource->settled = get_bool(at, 7);
		resource->updated_ms = get_u64(at, 8);
	}
	return X402_OK;
}

static enum x402_err read_one(
	struct fac_verb *verb, unsigned index, const PGresult *result)
{
	struct at at = {result, 0};

	switch (verb->kind) {
	case FAC_VERB_RESERVE:
		/* The second one's has no outcome: it ran. */
		return index == 0 ? read_answer(verb, result) : verb->reply.err;
	case FAC_VERB_RELEASE:
	case FAC_VERB_HAND_OVER:
	case FAC_VERB_TAKE_OVER:
	case FAC_VERB_FINISH:
	case FAC_VERB_CREDIT:
	case FAC_VERB_HOLD:
	case FAC_VERB_HOLD_GET:
	case FAC_VERB_LANE_ACQUIRE:
	case FAC_VERB_JOURNAL_SIGNED:
	case FAC_VERB_JOURNAL_ATTEMPT:
	case FAC_VERB_MARK_BROADCAST:
	case FAC_VERB_MARK_REPLACED:
	case FAC_VERB_MARK_MINED:
	case FAC_VERB_MARK_FINAL:
	case FAC_VERB_MARK_DROPPED:
	case FAC_VERB_OUTBOX_REVIVE:
	case FAC_VERB_RESOURCE_PUT:
	case FAC_VERB_FORGET_CLAIMS:
	case FAC_VERB_RETIRE:
		return read_answer(verb, result);
	case FAC_VERB_GRANT:
		return index == 0 ? read_answer(verb, result)
				  : read_granted(verb, result);
	case FAC_VERB_PAYMENT_GET:
		return index == 0 ? read_answer(verb, result)
				  : read_events(verb, result);
	case FAC_VERB_LOAD_LANE:
		return read_lane(verb, index, result);
	case FAC_VERB_REVIVE:
		return read_revived(verb, index, result);
	case FAC_VERB_NEXT_NONCE_FLOOR:
		return read_number(at, &verb->reply.number);
	case FAC_VERB_OUTBOX_TAKE:
	case FAC_VERB_OUTBOX_DEAD:
		return read_outbox(verb, result);
	case FAC_VERB_RESOURCE_LIST:
		return index == 0 ? read_number(at, &verb->reply.total)
				  : read_resources(verb, result);
	case FAC_VERB_HEARTBEAT:
	case FAC_VERB_LANE_RELEASE:
	case FAC_VERB_OUTBOX_DONE:
	case FAC_VERB_OUTBOX_FAIL:
	case FAC_VERB_HEALTH:
		return X402_OK; /* it ran, and gives no rows */
	case FAC_VERB_NONE:
	case FAC_VERB_COUNT:
		break;
	}
	return X402_ERR_STORE;
}

void fac_postgres_read(
	struct fac_verb *verb, unsigned index, const PGresult *result)
{
	if (verb->reply.err == X402_ERR_STORE)
		return; /* an earlier statement's answer was not ours */
	verb->reply.err = read_one(verb, index, result);
}
