/*
 * Building verbs, and their end. Every builder copies what it is given, so a
 * verb can wait in a queue and be run twice. Memory that is out ends the
 * process (style.md 5).
 */
#include "store/verb.h"

#include <stdio.h>
#include <stdlib.h>

static struct fac_verb *new_verb(enum fac_verb_kind kind)
{
	struct fac_verb *verb = calloc(1, sizeof(*verb));

	if (!verb)
		abort();
	verb->kind = kind;
	return verb;
}

static char *copy_text(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		abort();
	return copy;
}

static void set_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

/* ---- Ends. ---- */

static void clear_answers(struct fac_verb *verb)
{
	for (size_t i = 0; i < verb->reply.payments_len; i++)
		fac_payment_clear(&verb->payments[i]);
	for (size_t i = 0; i < verb->reply.transactions_len; i++)
		fac_transaction_clear(&verb->transactions[i]);
	for (size_t i = 0; i < verb->reply.resources_len; i++)
		fac_resource_clear(&verb->resources[i]);
	free(verb->payments);
	free(verb->transactions);
	free(verb->events);
	free(verb->resources);
	free(verb->outbox);
	verb->payments = NULL;
	verb->transactions = NULL;
	verb->events = NULL;
	verb->resources = NULL;
	verb->outbox = NULL;
}

void fac_verb_reset(struct fac_verb *verb)
{
	clear_answers(verb);
	verb->reply = (struct fac_store_reply){0};
}

void fac_verb_free(struct fac_verb *verb)
{
	if (!verb)
		return;
	clear_answers(verb);
	fac_payment_clear(&verb->payment);
	fac_transaction_clear(&verb->transaction);
	x402_buf_clear(&verb->attempt.raw);
	free(verb->ends);
	if (verb->resource) {
		fac_resource_clear(verb->resource);
		free(verb->resource);
	}
	for (size_t i = 0; i < FAC_TEXTS; i++)
		free(verb->texts[i]);
	free(verb);
}

const struct fac_store_reply *fac_verb_reply(struct fac_verb *verb)
{
	verb->reply.payments = verb->payments;
	verb->reply.transactions = verb->transactions;
	verb->reply.events = verb->events;
	verb->reply.resources = verb->resources;
	verb->reply.outbox = verb->outbox;
	return &verb->reply;
}

/* ---- Rows of an answer. ---- */

/* Capacity doubles at each power of two. */
static void *grow(void *rows, size_t *len, size_t size)
{
	if ((*len & (*len - 1)) == 0) {
		rows = realloc(rows, (*len ? *len * 2 : 1) * size);
		if (!rows)
			abort();
	}
	memset((char *)rows + *len * size, 0, size);
	(*len)++;
	return rows;
}

struct fac_payment *fac_verb_add_payment(struct fac_verb *verb)
{
	size_t *len = &verb->reply.payments_len;

	verb->payments = grow(verb->payments, len, sizeof(*verb->payments));
	return &verb->payments[*len - 1];
}

struct fac_transaction *fac_verb_add_transaction(struct fac_verb *verb)
{
	size_t *len = &verb->reply.transactions_len;

	verb->transactions = grow(
		verb->transactions, len, sizeof(*verb->transactions));
	return &verb->transactions[*len - 1];
}

struct fac_payment_event *fac_verb_add_event(struct fac_verb *verb)
{
	size_t *len = &verb->reply.events_len;

	verb->events = grow(verb->events, len, sizeof(*verb->events));
	return &verb->events[*len - 1];
}

struct fac_resource *fac_verb_add_resource(struct fac_verb *verb)
{
	size_t *len = &verb->reply.resources_len;

	verb->resources = grow(verb->resources, len, sizeof(*verb->resources));
	return &verb->resources[*len - 1];
}

struct fac_outbox_row *fac_verb_add_outbox(struct fac_verb *verb)
{
	size_t *len = &verb->reply.outbox_len;

	verb->outbox = grow(verb->outbox, len, sizeof(*verb->outbox));
	return &verb->outbox[*len - 1];
}

/* ---- Payments. ---- */

struct fac_verb *fac_verb_reserve(const struct fac_payment *payment,
	const struct fac_spend_limits *limits)
{
	struct fac_verb *verb = new_verb(FAC_VERB_RESERVE);

	fac_payment_copy(payment, &verb->payment);
	if (limits)
		verb->limits = *limits;
	return verb;
}

static struct fac_verb *about(enum fac_verb_kind kind, const uint8_t key32[32])
{
	struct fac_verb *verb = new_verb(kind);

	memcpy(verb->key32, key32, 32);
	verb->has_key32 = true;
	return verb;
}

struct fac_verb *fac_verb_release(
	const uint8_t key32[32], const char *owner, const char *note)
{
	struct fac_verb *verb = about(FAC_VERB_RELEASE, key32);

	set_text(verb->owner, sizeof(verb->owner), owner);
	verb->texts[FAC_TEXT_NOTE] = copy_text(note);
	return verb;
}

struct fac_verb *fac_verb_hand_over(const uint8_t key32[32], const char *owner)
{
	struct fac_verb *verb = about(FAC_VERB_HAND_OVER, key32);

	set_text(verb->owner, sizeof(verb->owner), owner);
	return verb;
}

struct fac_verb *fac_verb_take_over(
	const char *network, const char *owner, uint32_t limit)
{
	struct fac_verb *verb = new_verb(FAC_VERB_TAKE_OVER);

	set_text(verb->network, sizeof(verb->network), network);
	set_text(verb->owner, sizeof(verb->owner), owner);
	verb->limit = limit;
	return verb;
}

struct fac_verb *fac_verb_heartbeat(const char *owner, uint64_t ttl_ms)
{
	struct fac_verb *verb = new_verb(FAC_VERB_HEARTBEAT);

	set_text(verb->owner, sizeof(verb->owner), owner);
	verb->ms = ttl_ms;
	return verb;
}

static void copy_ends(struct fac_verb *verb, struct fac_store_ends ends)
{
	verb->ends = calloc(ends.len ? ends.len : 1, sizeof(*ends.ends));
	if (!verb->ends)
		abort();
	if (ends.len)
		memcpy(verb->ends, ends.ends, ends.len * sizeof(*ends.ends));
	verb->ends_len = ends.len;
}

struct fac_verb *fac_verb_finish(
	const struct fac_store_end *end, const char *owner)
{
	struct fac_verb *verb = about(FAC_VERB_FINISH, end->key32);

	copy_ends(verb, (struct fac_store_ends){end, 1});
	set_text(verb->owner, sizeof(verb->owner), owner);
	return verb;
}

struct fac_verb *fac_verb_credit(const uint8_t key32[32], const char *answer)
{
	struct fac_verb *verb = about(FAC_VERB_CREDIT, key32);

	verb->texts[FAC_TEXT_NOTE] = copy_text(answer);
	return verb;
}

struct fac_verb *fac_verb_credit_claim(
	const uint8_t key32[32], const char *answer, const uint8_t claim32[32])
{
	struct fac_verb *verb = fac_verb_credit(key32, answer);

	memcpy(verb->claim32, claim32, 32);
	verb->has_claim32 = true;
	return verb;
}

struct fac_verb *fac_verb_grant(
	const struct fac_payment *payment, const char *answer)
{
	struct fac_verb *verb = about(FAC_VERB_GRANT, payment->key32);
	struct fac_store_end end = {.state = FAC_PAYMENT_SETTLED,
		.block_number = payment->block_number};

	fac_payment_copy(payment, &verb->payment);
	set_text(verb->owner, sizeof(verb->owner), payment->owner);
	memcpy(end.key32, payment->key32, 32);
	memcpy(end.transaction, payment->transaction, sizeof(end.transaction));
	copy_ends(verb, (struct fac_store_ends){&end, 1});
	verb->texts[FAC_TEXT_NOTE] = copy_text(answer);
	return verb;
}

static bool copy32(const uint8_t *from, uint8_t to[32])
{
	if (from)
		memcpy(to, from, 32);
	return from;
}

struct fac_verb *fac_verb_payment_get(struct fac_payment_query query)
{
	struct fac_verb *verb = new_verb(FAC_VERB_PAYMENT_GET);

	verb->texts[FAC_TEXT_ID] = copy_text(query.id);
	verb->texts[FAC_TEXT_SCOPE] = copy_text(query.idempotency_scope);
	verb->texts[FAC_TEXT_KEY] = copy_text(query.idempotency_key);
	verb->has_key32 = copy32(query.key32, verb->key32);
	verb->has_transaction32 = copy32(
		query.transaction32, verb->transaction32);
	verb->has_payload_hash32 = copy32(
		query.payload_hash32, verb->payload_hash32);
	verb->has_reference32 = copy32(query.reference32, verb->reference32);
	return verb;
}

struct fac_verb *fac_verb_hold(const struct fac_store_hold *hold)
{
	struct fac_verb *verb = about(FAC_VERB_HOLD, hold->key32);

	verb->hold = *hold;
	return verb;
}

struct fac_verb *fac_verb_hold_get(const uint8_t key32[32])
{
	return about(FAC_VERB_HOLD_GET, key32);
}

/* ---- Transactions. ---- */

static void set_lane(struct fac_verb *verb, const char *network,
	const struct x402_address *signer, const char *owner)
{
	set_text(verb->network, sizeof(verb->network), network);
	verb->signer = *signer;
	set_text(verb->owner, sizeof(verb->owner), owner);
}

static void set_lease(
	struct fac_verb *verb, const struct fac_store_lease *lease)
{
	set_lane(verb, lease->network, &lease->signer, lease->owner);
	verb->token = lease->token;
}

struct fac_verb *fac_verb_lane_acquire(const char *network,
	const struct x402_address *signer, const char *owner, uint64_t ttl_ms)
{
	struct fac_verb *verb = new_verb(FAC_VERB_LANE_ACQUIRE);

	set_lane(verb, network, signer, owner);
	verb->ms = ttl_ms;
	return verb;
}

struct fac_verb *fac_verb_lane_release(const struct fac_store_lease *lease)
{
	struct fac_verb *verb = new_verb(FAC_VERB_LANE_RELEASE);

	set_lease(verb, lease);
	return verb;
}

struct fac_verb *fac_verb_journal_signed(
	const struct fac_transaction *transaction,
	const struct fac_store_lease *lease)
{
	struct fac_verb *verb = about(
		FAC_VERB_JOURNAL_SIGNED, transaction->id32);

	fac_transaction_copy(transaction, &verb->transaction);
	set_lease(verb, lease);
	return verb;
}

struct fac_verb *fac_verb_journal_attempt(const uint8_t id32[32],
	const struct fac_attempt *attempt, const struct fac_store_lease *lease)
{
	struct fac_verb *verb = about(FAC_VERB_JOURNAL_ATTEMPT, id32);

	verb->attempt = *attempt;
	verb->attempt.raw = (struct x402_buf){0};
	x402_buf_add(&verb->attempt.raw, x402_buf_span(&attempt->raw));
	if (verb->attempt.raw.failed)
		abort();
	set_lease(verb, lease);
	return verb;
}

struct fac_verb *fac_verb_mark_broadcast(const uint8_t id32[32])
{
	return about(FAC_VERB_MARK_BROADCAST, id32);
}

struct fac_verb *fac_verb_mark_replaced(
	const uint8_t id32[32], const struct fac_store_lease *lease)
{
	struct fac_verb *verb = about(FAC_VERB_MARK_REPLACED, id32);

	set_lease(verb, lease);
	return verb;
}

struct fac_verb *fac_verb_mark_mined(const struct fac_store_mined *mined,
	struct fac_store_ends ends, const struct fac_store_lease *lease)
{
	struct fac_verb *verb = about(FAC_VERB_MARK_MINED, mined->id32);

	verb->mined = *mined;
	copy_ends(verb, ends);
	for (size_t i = 0; i < ends.len; i++)
		memcpy(verb->ends[i].of32, mined->id32, 32);
	set_lease(verb, lease);
	return verb;
}

struct fac_verb *fac_verb_mark_final(
	const uint8_t id32[32], const struct fac_store_lease *lease)
{
	struct fac_verb *verb = about(FAC_VERB_MARK_FINAL, id32);

	set_lease(verb, lease);
	return verb;
}

struct fac_verb *fac_verb_mark_dropped(const uint8_t id32[32],
	const uint8_t block_hash32[32], const struct fac_store_lease *lease)
{
	struct fac_verb *verb = about(FAC_VERB_MARK_DROPPED, id32);

	memcpy(verb->mined.block_hash32, block_hash32, 32);
	set_lease(verb, lease);
	return verb;
}

struct fac_verb *fac_verb_revive(
	const char *network, const struct x402_address *signer, uint64_t nonce)
{
	struct fac_verb *verb = new_verb(FAC_VERB_REVIVE);

	set_lane(verb, network, signer, "");
	verb->number = nonce;
	return verb;
}

struct fac_verb *fac_verb_load_lane(const char *network,
	const struct x402_address *signer, const char *owner)
{
	struct fac_verb *verb = new_verb(FAC_VERB_LOAD_LANE);

	set_lane(verb, network, signer, owner);
	return verb;
}

struct fac_verb *fac_verb_next_nonce_floor(
	const char *network, const struct x402_address *signer)
{
	struct fac_verb *verb = new_verb(FAC_VERB_NEXT_NONCE_FLOOR);

	set_lane(verb, network, signer, "");
	return verb;
}

/* ---- Outbox. ---- */

struct fac_verb *fac_verb_outbox_take(uint32_t limit, uint64_t lease_ms)
{
	struct fac_verb *verb = new_verb(FAC_VERB_OUTBOX_TAKE);

	verb->limit = limit;
	verb->ms = lease_ms;
	return verb;
}

static struct fac_verb *numbered(enum fac_verb_kind kind, uint64_t number)
{
	struct fac_verb *verb = new_verb(kind);

	verb->number = number;
	return verb;
}

struct fac_verb *fac_verb_outbox_done(uint64_t sequence)
{
	return numbered(FAC_VERB_OUTBOX_DONE, sequence);
}

struct fac_verb *fac_verb_outbox_fail(const struct fac_outbox_failure *failure)
{
	struct fac_verb *verb = numbered(
		FAC_VERB_OUTBOX_FAIL, failure->sequence);

	verb->ms = failure->delay_ms;
	verb->dead = failure->dead;
	verb->texts[FAC_TEXT_NOTE] = copy_text(failure->error);
	return verb;
}

struct fac_verb *fac_verb_outbox_dead(uint32_t limit)
{
	struct fac_verb *verb = new_verb(FAC_VERB_OUTBOX_DEAD);

	verb->limit = limit;
	return verb;
}

struct fac_verb *fac_verb_outbox_revive(uint64_t sequence)
{
	return numbered(FAC_VERB_OUTBOX_REVIVE, sequence);
}

/* ---- Catalogue, house. ---- */

struct fac_verb *fac_verb_resource_put(const struct fac_resource *resource)
{
	struct fac_verb *verb = new_verb(FAC_VERB_RESOURCE_PUT);
	struct fac_resource *copy = malloc(sizeof(*copy));

	if (!copy)
		abort();
	*copy = *resource;
	copy->key = copy_text(resource->key);
	copy->url = copy_text(resource->url);
	copy->type = copy_text(resource->type);
	copy->accepts_json = copy_text(resource->accepts_json);
	copy->extensions_json = copy_text(resource->extensions_json);
	copy->metadata_json = copy_text(resource->metadata_json);
	verb->resource = copy;
	return verb;
}

struct fac_verb *fac_verb_resource_list(const struct fac_resource_query *query)
{
	struct fac_verb *verb = new_verb(FAC_VERB_RESOURCE_LIST);

	verb->texts[FAC_TEXT_TYPE] = copy_text(query->type);
	verb->texts[FAC_TEXT_PAY_TO] = copy_text(query->pay_to);
	verb->texts[FAC_TEXT_SCHEME] = copy_text(query->scheme);
	verb->texts[FAC_TEXT_NETWORK] = copy_text(query->network);
	verb->texts[FAC_TEXT_EXTENSION] = copy_text(query->extension);
	verb->limit = query->limit;
	verb->offset = query->offset;
	return verb;
}

struct fac_verb *fac_verb_health(void)
{
	return new_verb(FAC_VERB_HEALTH);
}

struct fac_verb *fac_verb_forget_claims(
	uint64_t dead_before_unix_s, uint32_t limit)
{
	struct fac_verb *verb = numbered(
		FAC_VERB_FORGET_CLAIMS, dead_before_unix_s);

	verb->limit = limit;
	return verb;
}

struct fac_verb *fac_verb_retire(uint64_t dead_before_unix_s, uint32_t limit)
{
	struct fac_verb *verb = numbered(FAC_VERB_RETIRE, dead_before_unix_s);

	verb->limit = limit;
	return verb;
}
