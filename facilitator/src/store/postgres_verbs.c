/*
 * What each verb says to PostgreSQL: prepared statements with parameters.
 * Numbers and bytes travel in binary, text as text; nothing is ever pasted
 * into SQL. Sending copies, so parameters live on the stack.
 */
#include "store/postgres_verbs_p.h"
#include "x402/encoding.h"
#include "x402/evm.h"

#include <ctype.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME(name, sql) #name,
const char *const fac_postgres_names[FAC_POSTGRES_COUNT] = {
	FAC_POSTGRES_MAP(NAME)};
#undef NAME
#define SQL(name, sql) sql,
const char *const fac_postgres_sql[FAC_POSTGRES_COUNT] = {
	FAC_POSTGRES_MAP(SQL)};
#undef SQL

/* The longest list of parameters, that of RESERVE, is 28. */
#define PARAMS_MAX 32

struct params {
	int len;
	const char *values[PARAMS_MAX];
	int lengths[PARAMS_MAX];
	int formats[PARAMS_MAX];
	uint64_t numbers[PARAMS_MAX];
	char *owned[PARAMS_MAX];
	uint8_t id16[16]; /* of a payment_get */
};

static void add(
	struct params *params, const void *value, size_t len, int format)
{
	if (params->len >= PARAMS_MAX)
		abort(); /* a mistake in this file */
	params->values[params->len] = value;
	params->lengths[params->len] = (int)len;
	params->formats[params->len++] = format;
}

/* Bytes of a well-formed UTF-8 sequence at text; 0: it is none. */
static size_t utf8_len(const unsigned char *text)
{
	size_t len = text[0] < 0x80 ? 1
		: text[0] >= 0xf0   ? 4
		: text[0] >= 0xe0   ? 3
				    : 2;

	if (len > 1 && (text[0] < 0xc2 || text[0] > 0xf4))
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, a surrogate, past the last code point. */
	if ((text[0] == 0xe0 && text[1] < 0xa0) ||
		(text[0] == 0xed && text[1] > 0x9f) ||
		(text[0] == 0xf0 && text[1] < 0x90) ||
		(text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return len;
}

/*
 * The server refuses text that is no UTF-8, and a message may have been cut
 * in the middle of a letter: an end of a payment must not fail for that.
 */
static void scrub(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at;) {
		size_t len = utf8_len(at);

		if (!len)
			*at = '?';
		at += len ? len : 1;
	}
}

/* NULL: SQL NULL. */
static void add_text(struct params *params, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		abort();
	if (copy)
		scrub(copy);
	if (params->len < PARAMS_MAX)
		params->owned[params->len] = copy;
	add(params, copy, 0, 0);
}

static void add_taken(struct params *params, struct x402_buf *text)
{
	char *taken = x402_buf_take_str(text);

	if (!taken)
		abort();
	scrub(taken);
	if (params->len < PARAMS_MAX)
		params->owned[params->len] = taken;
	add(params, taken, 0, 0);
}

static void add_span(struct params *params, struct x402_span bytes)
{
	add(params, bytes.ptr ? (const void *)bytes.ptr : "", bytes.len, 1);
}

static void add_bytes(struct params *params, const uint8_t *bytes, size_t len)
{
	add(params, bytes, len, 1);
}

static void add_optional32(
	struct params *params, bool given, const uint8_t bytes32[32])
{
	add(params, given ? bytes32 : NULL, given ? 32 : 0, 1);
}

/* Larger values are clamped, which only validBefore can reach. */
static void add_u64(struct params *params, uint64_t value)
{
	uint64_t *place = &params->numbers[params->len % PARAMS_MAX];

	*place = htobe64(value > INT64_MAX ? INT64_MAX : value);
	add(params, place, 8, 1);
}

static void add_bool(struct params *params, bool value)
{
	add(params, value ? "\1" : "\0", 1, 1);
}

static void add_amount(struct params *params, const struct x402_u256 *value)
{
	char text[X402_U256_DEC_SIZE];

	x402_u256_to_dec(value, text);
	add_text(params, text);
}

/* ---- Arrays, in text: {"a","b"}. ---- */

static void array_text(struct x402_buf *array, const char *text)
{
	x402_buf_add_str(array, array->len ? ",\"" : "{\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			x402_buf_add_byte(array, '\\');
		x402_buf_add_byte(array, (uint8_t)*text);
	}
	x402_buf_add_byte(array, '"');
}

static void array_u64(struct x402_buf *array, uint64_t value)
{
	char text[24];

	/* FAC_COST_KEEP, the only one so large, is -1 there. */
	if (value == FAC_COST_KEEP)
		snprintf(text, sizeof(text), "-1");
	else
		snprintf(text, sizeof(text), "%llu",
			(unsigned long long)(value > INT64_MAX ? INT64_MAX
							       : value));
	array_text(array, text);
}

static void add_array(struct params *params, struct x402_buf *array)
{
	x402_buf_add_str(array, array->len ? "}" : "{}");
	add_taken(params, array);
}

/* The one table of core/payment.c, as 'from>to'. */
static void add_steps(struct params *params)
{
	struct x402_buf array = {0};

	for (unsigned from = 0; from < FAC_PAYMENT_STATE_COUNT; from++) {
		for (unsigned to = 0; to < FAC_PAYMENT_STATE_COUNT; to++) {
			char pair[40];

			if (!fac_payment_may_follow(
				    (enum fac_payment_state)from,
				    (enum fac_payment_state)to))
				continue;
			snprintf(pair, sizeof(pair), "%s>%s",
				fac_payment_state_text(
					(enum fac_payment_state)from),
				fac_payment_state_text(
					(enum fac_payment_state)to));
			array_text(&array, pair);
		}
	}
	add_array(params, &array);
}

static void add_hooks(
	struct params *params, const char *const *hooks, size_t hooks_len)
{
	struct x402_buf array = {0};

	for (size_t i = 0; i < hooks_len; i++)
		array_text(&array, hooks[i]);
	add_array(params, &array);
}

/* ---- Sending. ---- */

/* Takes what params own. */
static bool send(PGconn *conn, enum fac_postgres_statement statement,
	struct params *params)
{
	int sent = PQsendQueryPrepared(conn, fac_postgres_names[statement],
		params->len, params->values, params->lengths, params->formats,
		1);

	for (int i = 0; i < params->len; i++)
		free(params->owned[i]);
	memset(params, 0, sizeof(*params));
	return sent;
}

bool fac_postgres_send_plain(
	PGconn *conn, enum fac_postgres_statement statement)
{
	struct params params = {0};

	return send(conn, statement, &params);
}

static bool send_reserve(PGconn *conn, const struct fac_verb *verb)
{
	const struct fac_payment *payment = &verb->payment;
	const struct x402_settle_proof *proof = &payment->proof;
	bool has_key = payment->idempotency_key[0];
	struct params p = {0};
	uint8_t id16[16] = {0};

	/* The engine makes ids; one that is none fails as a doubled one. */
	(void)!fac_payment_id_bytes(payment->id, id16);
	add_bytes(&p, payment->key32, 32);
	add_bytes(&p, id16, 16);
	add_text(&p, payment->network);
	add_text(&p, payment->wire_network);
	add_span(&p, fac_proof_party(proof, FAC_PARTY_ASSET));
	add_span(&p, fac_proof_party(proof, FAC_PARTY_PAYER));
	add_span(&p, fac_proof_party(proof, FAC_PARTY_PAY_TO));
	add_amount(&p, &proof->value);
	add_bytes(&p, proof->nonce32, 32);
	add_u64(&p, payment->valid_before_unix_s);
	add_text(&p, payment->scheme);
	add_u64(&p, (uint64_t)payment->x402_version);
	add_bytes(&p, payment->fingerprint32, 32);
	add_bytes(&p, payment->payload_hash32, 32);
	add_text(&p, has_key ? payment->idempotency_scope : NULL);
	add_text(&p, has_key ? payment->idempotency_key : NULL);
	add_text(&p, payment->caller);
	add_text(&p, payment->owner);
	add_bytes(&p, payment->call_to.bytes, 20);
	add_span(&p, x402_buf_span(&payment->calldata));
	add_span(&p, x402_buf_span(&payment->state_calldata));
	add_u64(&p, payment->gas_limit);
	add_bool(&p, payment->may_share);
	add_u64(&p, payment->cost_gwei);
	add_u64(&p, verb->limits.payer_gwei);
	add_u64(&p, verb->limits.caller_gwei);
	add_u64(&p, verb->limits.total_gwei);
	add_steps(&p);
	return send(conn, FAC_POSTGRES_RESERVE, &p);
}

static bool send_references(PGconn *conn, const struct fac_verb *verb)
{
	const struct fac_payment *payment = &verb->payment;
	struct params p = {0};

	if (!payment->references_len)
		return true;
	(void)!fac_payment_id_bytes(payment->id, p.id16);
	add_bytes(&p, p.id16, 16);
	add_span(&p,
		x402_span(payment->references[0].bytes,
			payment->references_len * 32));
	return send(conn, FAC_POSTGRES_REFER, &p);
}

/* Both in this group's one transaction, like all of a verb's statements. */
static bool send_grant(PGconn *conn, const struct fac_verb *verb,
	const char *const *hooks, size_t hooks_len)
{
	const struct fac_store_end *end = &verb->ends[0];
	struct params p = {0};

	if (!send_reserve(conn, verb))
		return false;
	(void)!fac_payment_id_bytes(verb->payment.id, p.id16);
	add_bytes(&p, verb->key32, 32);
	add_bytes(&p, p.id16, 16);
	add_text(&p, verb->owner);
	add_text(&p, end->transaction);
	add_u64(&p, end->block_number);
	add_text(&p, verb->texts[FAC_TEXT_NOTE]);
	add_hooks(&p, hooks, hooks_len);
	add_steps(&p);
	return send(conn, FAC_POSTGRES_GRANT, &p);
}

static void add_find(struct params *p, const struct fac_verb *verb)
{
	const char *id = verb->texts[FAC_TEXT_ID];
	/* A text that is no id finds nothing, and the next member is tried. */
	bool is_id = id && fac_payment_id_bytes(id, p->id16);

	add(p, is_id ? p->id16 : NULL, is_id ? 16 : 0, 1);
	add_optional32(p, verb->has_key32, verb->key32);
	add_optional32(p, verb->has_transaction32, verb->transaction32);
	add_optional32(p, verb->has_payload_hash32, verb->payload_hash32);
	add_text(p, verb->texts[FAC_TEXT_SCOPE]);
	add_text(p, verb->texts[FAC_TEXT_KEY]);
}

static bool send_get(PGconn *conn, const struct fac_verb *verb)
{
	struct params p = {0};

	if (verb->has_reference32) {
		add_bytes(&p, verb->reference32, 32);
		if (!send(conn, FAC_POSTGRES_REFERENCE_GET, &p))
			return false;
		add_bytes(&p, verb->reference32, 32);
		return send(conn, FAC_POSTGRES_REFERENCE_EVENTS, &p);
	}
	add_find(&p, verb);
	if (!send(conn, FAC_POSTGRES_PAYMENT_GET, &p))
		return false;
	add_find(&p, verb);
	return send(conn, FAC_POSTGRES_PAYMENT_EVENTS, &p);
}

static bool send_hold(PGconn *conn, const struct fac_store_hold *hold)
{
	struct params p = {0};

	add_bytes(&p, hold->key32, 32);
	add_text(&p, hold->network);
	add_bytes(&p, hold->asset.bytes, 20);
	add_bytes(&p, hold->payer.bytes, 20);
	add_amount(&p, &hold->amount);
	add_amount(&p, &hold->balance);
	add_u64(&p, hold->until_ms);
	return send(conn, FAC_POSTGRES_HOLD, &p);
}

static void add_lease(struct params *p, const struct fac_verb *verb)
{
	add_text(p, verb->network);
	add_bytes(p, verb->signer.bytes, 20);
	add_text(p, verb->owner);
	add_u64(p, verb->token);
}

static bool send_signed(PGconn *conn, const struct fac_verb *verb)
{
	const struct fac_transaction *transaction = &verb->transaction;
	const struct fac_attempt *attempt = &transaction->attempts[0];
	struct params p = {0};

	add_bytes(&p, transaction->id32, 32);
	add_lease(&p, verb);
	add_u64(&p, transaction->nonce);
	add_u64(&p, transaction->created_ms);
	add_span(&p, x402_buf_span(&attempt->raw));
	add_amount(&p, &attempt->max_fee_per_gas);
	add_amount(&p, &attempt->max_priority_fee_per_gas);
	add_u64(&p, attempt->created_ms);
	add_span(&p,
		x402_span((const uint8_t *)transaction->keys32,
			transaction->keys_len * 32));
	add_steps(&p);
	return send(conn, FAC_POSTGRES_JOURNAL_SIGNED, &p);
}

static bool send_attempt(PGconn *conn, const struct fac_verb *verb)
{
	const struct fac_attempt *attempt = &verb->attempt;
	struct params p = {0};

	add_bytes(&p, verb->key32, 32);
	add_lease(&p, verb);
	add_bytes(&p, attempt->hash32, 32);
	add_span(&p, x402_buf_span(&attempt->raw));
	add_amount(&p, &attempt->max_fee_per_gas);
	add_amount(&p, &attempt->max_priority_fee_per_gas);
	add_u64(&p, attempt->created_ms);
	add_u64(&p, FAC_ATTEMPTS_MAX);
	return send(conn, FAC_POSTGRES_JOURNAL_ATTEMPT, &p);
}

static bool send_finish(PGconn *conn, const struct fac_verb *verb,
	const char *const *hooks, size_t hooks_len)
{
	const struct fac_store_end *end = &verb->ends[0];
	struct params p = {0};
	char cost[24];

	add_bytes(&p, end->key32, 32);
	add_text(&p, verb->owner);
	add_bytes(&p, end->of32, 32);
	add_text(&p, fac_payment_state_text(end->state));
	add_text(&p, x402_reason_wire(end->reason));
	add_text(&p, end->message);
	add_text(&p, end->transaction);
	add_u64(&p, end->block_number);
	snprintf(cost, sizeof(cost), "%lld",
		end->cost_gwei == FAC_COST_KEEP ? -1LL
			: end->cost_gwei > INT64_MAX
			? (long long)INT64_MAX
			: (long long)end->cost_gwei);
	add_text(&p, cost);
	add_hooks(&p, hooks, fac_payment_is_final(end->state) ? hooks_len : 0);
	add_steps(&p);
	return send(conn, FAC_POSTGRES_FINISH, &p);
}

static bool send_mined(PGconn *conn, const struct fac_verb *verb,
	const char *const *hooks, size_t hooks_len)
{
	const struct fac_store_mined *mined = &verb->mined;
	struct x402_buf keys = {0}, states = {0}, reasons = {0};
	struct x402_buf messages = {0}, hashes = {0}, blocks = {0}, costs = {0};
	struct params p = {0};
	bool sent;

	for (size_t i = 0; i < verb->ends_len; i++) {
		const struct fac_store_end *end = &verb->ends[i];

		x402_buf_add(&keys, x402_span(end->key32, 32));
		array_text(&states, fac_payment_state_text(end->state));
		array_text(&reasons, x402_reason_wire(end->reason));
		array_text(&messages, end->message);
		array_text(&hashes, end->transaction);
		array_u64(&blocks, end->block_number);
		array_u64(&costs, end->cost_gwei);
	}
	if (keys.failed)
		abort();
	add_bytes(&p, verb->key32, 32);
	add_lease(&p, verb);
	add_bytes(&p, mined->hash32, 32);
	add_u64(&p, mined->block_number);
	add_bytes(&p, mined->block_hash32, 32);
	add_span(&p, x402_buf_span(&keys));
	add_array(&p, &states);
	add_array(&p, &reasons);
	add_array(&p, &messages);
	add_array(&p, &hashes);
	add_array(&p, &blocks);
	add_array(&p, &costs);
	add_hooks(&p, hooks, hooks_len);
	add_steps(&p);
	sent = send(conn, FAC_POSTGRES_MARK_MINED, &p);
	x402_buf_clear(&keys);
	return sent;
}

/* id32, the lease and, where a payment steps, the table. */
static bool send_mark(PGconn *conn, enum fac_postgres_statement statement,
	const struct fac_verb *verb)
{
	struct params p = {0};

	add_bytes(&p, verb->key32, 32);
	add_lease(&p, verb);
	if (statement == FAC_POSTGRES_MARK_DROPPED)
		add_bytes(&p, verb->mined.block_hash32, 32);
	if (statement != FAC_POSTGRES_MARK_FINAL)
		add_steps(&p);
	return send(conn, statement, &p);
}

static bool send_lane(PGconn *conn, enum fac_postgres_statement statement,
	const struct fac_verb *verb)
{
	struct params p = {0};

	add_text(&p, verb->network);
	add_bytes(&p, verb->signer.bytes, 20);
	if (statement == FAC_POSTGRES_LANE_OWN ||
		statement == FAC_POSTGRES_LANE_ACQUIRE)
		add_text(&p, verb->owner);
	if (statement == FAC_POSTGRES_LANE_ACQUIRE)
		add_u64(&p, verb->ms);
	return send(conn, statement, &p);
}

static bool send_load_lane(PGconn *conn, const struct fac_verb *verb)
{
	return send_lane(conn, FAC_POSTGRES_LANE_OWN, verb) &&
		send_lane(conn, FAC_POSTGRES_LANE_TRANSACTIONS, verb) &&
		send_lane(conn, FAC_POSTGRES_LANE_KEYS, verb) &&
		send_lane(conn, FAC_POSTGRES_LANE_PAYMENTS, verb);
}

static bool send_revive(PGconn *conn, const struct fac_verb *verb)
{
	static const enum fac_postgres_statement order[] = {
		FAC_POSTGRES_REVIVE_TRANSACTIONS, FAC_POSTGRES_REVIVE_KEYS,
		FAC_POSTGRES_REVIVE};
	bool sent = true;

	for (size_t i = 0; i < 3 && sent; i++) {
		struct params p = {0};

		add_text(&p, verb->network);
		add_bytes(&p, verb->signer.bytes, 20);
		add_u64(&p, verb->number);
		add_u64(&p, FAC_STORE_REVIVE_MAX);
		sent = send(conn, order[i], &p);
	}
	return sent;
}

/* EVM addresses are looked up without case; others are exact. */
static void fold(const char *text, char ret_text[X402_ASSET_SIZE])
{
	bool evm = strncmp(text, "0x", 2) == 0;
	size_t i = 0;

	for (; text[i] && i + 1 < X402_ASSET_SIZE; i++)
		ret_text[i] = evm ? (char)tolower((unsigned char)text[i])
				  : text[i];
	ret_text[i] = '\0';
}

static bool send_resource(PGconn *conn, const struct fac_resource *resource)
{
	struct x402_buf schemes = {0}, networks = {0}, pay_tos = {0};
	struct x402_buf names = {0};
	struct params p = {0};
	char folded[X402_ASSET_SIZE];
	uint8_t hash32[32];

	for (size_t i = 0; i < resource->offers_len; i++) {
		array_text(&schemes, resource->offers[i].scheme);
		array_text(&networks, resource->offers[i].network);
		fold(resource->offers[i].pay_to, folded);
		array_text(&pay_tos, folded);
	}
	for (size_t i = 0; i < resource->extension_names_len; i++)
		array_text(&names, resource->extension_names[i]);
	x402_keccak256(x402_span_str(resource->key), hash32);
	add_text(&p, resource->key);
	add_bytes(&p, hash32, 32);
	add_text(&p, resource->url);
	add_text(&p, resource->type);
	add_u64(&p, (uint64_t)resource->x402_version);
	add_text(&p, resource->accepts_json);
	add_text(&p, resource->extensions_json);
	add_text(&p, resource->metadata_json);
	add_bool(&p, resource->settled);
	add_array(&p, &schemes);
	add_array(&p, &networks);
	add_array(&p, &pay_tos);
	add_array(&p, &names);
	return send(conn, FAC_POSTGRES_RESOURCE_PUT, &p);
}

static void add_filter(struct params *p, const struct fac_verb *verb)
{
	const char *pay_to = verb->texts[FAC_TEXT_PAY_TO];
	char folded[X402_ASSET_SIZE];

	add_text(p, verb->texts[FAC_TEXT_TYPE]);
	if (pay_to)
		fold(pay_to, folded);
	add_text(p, pay_to ? folded : NULL);
	add_text(p, verb->texts[FAC_TEXT_SCHEME]);
	add_text(p, verb->texts[FAC_TEXT_NETWORK]);
	add_text(p, verb->texts[FAC_TEXT_EXTENSION]);
}

static bool send_list(PGconn *conn, const struct fac_verb *verb)
{
	struct params p = {0};

	add_filter(&p, verb);
	if (!send(conn, FAC_POSTGRES_RESOURCE_COUNT, &p))
		return false;
	add_filter(&p, verb);
	add_u64(&p, verb->limit);
	add_u64(&p, verb->offset);
	return send(conn, FAC_POSTGRES_RESOURCE_LIST, &p);
}

static bool send_outbox_fail(PGconn *conn, const struct fac_verb *verb)
{
	struct params p = {0};

	add_u64(&p, verb->number);
	add_u64(&p, verb->ms);
	add_bool(&p, verb->dead);
	add_text(&p, verb->texts[FAC_TEXT_NOTE]);
	return send(conn, FAC_POSTGRES_OUTBOX_FAIL, &p);
}

static bool send_credit(PGconn *conn, const struct fac_verb *verb)
{
	struct params p = {0};

	add_bytes(&p, verb->key32, 32);
	add_text(&p, verb->texts[FAC_TEXT_NOTE]);
	add_optional32(&p, verb->has_claim32, verb->claim32);
	return send(conn, FAC_POSTGRES_CREDIT, &p);
}

/* Verbs with a few plain parameters, named by the letters of format. */
static bool send_few(PGconn *conn, enum fac_postgres_statement statement,
	const struct fac_verb *verb, const char *format)
{
	struct params p = {0};

	for (; *format; format++) {
		if (*format == 'k')
			add_bytes(&p, verb->key32, 32);
		else if (*format == 'w')
			add_text(&p, verb->network);
		else if (*format == 'o')
			add_text(&p, verb->owner);
		else if (*format == 't')
			add_text(&p, verb->texts[FAC_TEXT_NOTE]);
		else if (*format == 's')
			add_steps(&p);
		else if (*format == 'l')
			add_u64(&p, verb->limit);
		else if (*format == 'm')
			add_u64(&p, verb->ms);
		else
			add_u64(&p, verb->number);
	}
	return send(conn, statement, &p);
}

static bool send_lane_release(PGconn *conn, const struct fac_verb *verb)
{
	struct params p = {0};

	add_lease(&p, verb);
	return send(conn, FAC_POSTGRES_LANE_RELEASE, &p);
}

bool fac_postgres_is_reading(enum fac_verb_kind kind)
{
	return kind == FAC_VERB_PAYMENT_GET || kind == FAC_VERB_HOLD_GET ||
		kind == FAC_VERB_RESOURCE_LIST ||
		kind == FAC_VERB_OUTBOX_DEAD || kind == FAC_VERB_HEALTH ||
		kind == FAC_VERB_NEXT_NONCE_FLOOR;
}

unsigned fac_postgres_statements(const struct fac_verb *verb)
{
	enum fac_verb_kind kind = verb->kind;

	if (kind == FAC_VERB_RESERVE)
		return verb->payment.references_len ? 2 : 1;
	return kind == FAC_VERB_LOAD_LANE ? 4
		: kind == FAC_VERB_REVIVE ? 3
		: kind == FAC_VERB_PAYMENT_GET ||
			kind == FAC_VERB_RESOURCE_LIST || kind == FAC_VERB_GRANT
		? 2
		: 1;
}

bool fac_postgres_send(PGconn *conn, const struct fac_verb *verb,
	const char *const *hooks, size_t hooks_len)
{
	switch (verb->kind) {
	case FAC_VERB_RESERVE:
		return send_reserve(conn, verb) && send_references(conn, verb);
	case FAC_VERB_RELEASE:
		return send_few(conn, FAC_POSTGRES_RELEASE, verb, "kots");
	case FAC_VERB_HAND_OVER:
		return send_few(conn, FAC_POSTGRES_HAND_OVER, verb, "ko");
	case FAC_VERB_TAKE_OVER:
		return send_few(conn, FAC_POSTGRES_TAKE_OVER, verb, "wol");
	case FAC_VERB_HEARTBEAT:
		return send_few(conn, FAC_POSTGRES_HEARTBEAT, verb, "om");
	case FAC_VERB_FINISH:
		return send_finish(conn, verb, hooks, hooks_len);
	case FAC_VERB_CREDIT:
		return send_credit(conn, verb);
	case FAC_VERB_GRANT:
		return send_grant(conn, verb, hooks, hooks_len);
	case FAC_VERB_PAYMENT_GET:
		return send_get(conn, verb);
	case FAC_VERB_HOLD:
		return send_hold(conn, &verb->hold);
	case FAC_VERB_HOLD_GET:
		return send_few(conn, FAC_POSTGRES_HOLD_GET, verb, "k");
	case FAC_VERB_LANE_ACQUIRE:
		return send_lane(conn, FAC_POSTGRES_LANE_ACQUIRE, verb);
	case FAC_VERB_LANE_RELEASE:
		return send_lane_release(conn, verb);
	case FAC_VERB_JOURNAL_SIGNED:
		return send_signed(conn, verb);
	case FAC_VERB_JOURNAL_ATTEMPT:
		return send_attempt(conn, verb);
	case FAC_VERB_MARK_BROADCAST:
		return send_few(conn, FAC_POSTGRES_MARK_BROADCAST, verb, "ks");
	case FAC_VERB_MARK_REPLACED:
		return send_mark(conn, FAC_POSTGRES_MARK_REPLACED, verb);
	case FAC_VERB_MARK_MINED:
		return send_mined(conn, verb, hooks, hooks_len);
	case FAC_VERB_MARK_FINAL:
		return send_mark(conn, FAC_POSTGRES_MARK_FINAL, verb);
	case FAC_VERB_MARK_DROPPED:
		return send_mark(conn, FAC_POSTGRES_MARK_DROPPED, verb);
	case FAC_VERB_REVIVE:
		return send_revive(conn, verb);
	case FAC_VERB_LOAD_LANE:
		return send_load_lane(conn, verb);
	case FAC_VERB_NEXT_NONCE_FLOOR:
		return send_lane(conn, FAC_POSTGRES_NEXT_NONCE_FLOOR, verb);
	case FAC_VERB_OUTBOX_TAKE:
		return send_few(conn, FAC_POSTGRES_OUTBOX_TAKE, verb, "lm");
	case FAC_VERB_OUTBOX_DONE:
		return send_few(conn, FAC_POSTGRES_OUTBOX_DONE, verb, "n");
	case FAC_VERB_OUTBOX_FAIL:
		return send_outbox_fail(conn, verb);
	case FAC_VERB_OUTBOX_DEAD:
		return send_few(conn, FAC_POSTGRES_OUTBOX_DEAD, verb, "l");
	case FAC_VERB_OUTBOX_REVIVE:
		return send_few(conn, FAC_POSTGRES_OUTBOX_REVIVE, verb, "n");
	case FAC_VERB_RESOURCE_PUT:
		return send_resource(conn, verb->resource);
	case FAC_VERB_RESOURCE_LIST:
		return send_list(conn, verb);
	case FAC_VERB_HEALTH:
		return fac_postgres_send_plain(conn, FAC_POSTGRES_HEALTH);
	case FAC_VERB_FORGET_CLAIMS:
		return send_few(conn, FAC_POSTGRES_FORGET_CLAIMS, verb, "nl");
	case FAC_VERB_RETIRE:
		return send_few(conn, FAC_POSTGRES_RETIRE, verb, "nl");
	case FAC_VERB_NONE:
	case FAC_VERB_COUNT:
		break;
	}
	return false;
}
