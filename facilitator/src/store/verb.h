/*
 * verb.h: the store's verbs as values, so that they can be built in one
 * place, queued, and run by either backend. A builder copies what it is
 * given; whoever takes a verb frees it.
 *
 * store.h says what each verb means, under the same name and with the same
 * arguments.
 *
 * Not for: calling the store from api/ and run/: store.h is shorter there.
 * Thread rule: plain values; one thread at a time.
 */
#ifndef FAC_STORE_VERB_H
#define FAC_STORE_VERB_H

#include "store/store.h"

#define FAC_VERB_MAP(X)     \
	X(RESERVE)          \
	X(RELEASE)          \
	X(HAND_OVER)        \
	X(TAKE_OVER)        \
	X(HEARTBEAT)        \
	X(FINISH)           \
	X(CREDIT)           \
	X(GRANT)            \
	X(PAYMENT_GET)      \
	X(HOLD)             \
	X(HOLD_GET)         \
	X(LANE_ACQUIRE)     \
	X(LANE_RELEASE)     \
	X(JOURNAL_SIGNED)   \
	X(JOURNAL_ATTEMPT)  \
	X(MARK_BROADCAST)   \
	X(MARK_REPLACED)    \
	X(MARK_MINED)       \
	X(MARK_FINAL)       \
	X(MARK_DROPPED)     \
	X(REVIVE)           \
	X(LOAD_LANE)        \
	X(NEXT_NONCE_FLOOR) \
	X(OUTBOX_TAKE)      \
	X(OUTBOX_DONE)      \
	X(OUTBOX_FAIL)      \
	X(OUTBOX_DEAD)      \
	X(OUTBOX_REVIVE)    \
	X(RESOURCE_PUT)     \
	X(RESOURCE_LIST)    \
	X(HEALTH)           \
	X(FORGET_CLAIMS)    \
	X(RETIRE)

enum fac_verb_kind {
	FAC_VERB_NONE,
#define FAC__VERB_ENUM(name) FAC_VERB_##name,
	FAC_VERB_MAP(FAC__VERB_ENUM) FAC_VERB_COUNT
#undef FAC__VERB_ENUM
};

/* Indexes of texts. */
enum {
	FAC_TEXT_NOTE =
		0, /* release: note; credit, grant: answer; outbox: error */
	FAC_TEXT_ID = 0, /* payment_get */
	FAC_TEXT_SCOPE,
	FAC_TEXT_KEY,
	FAC_TEXT_TYPE = 0, /* resource_list */
	FAC_TEXT_PAY_TO,
	FAC_TEXT_SCHEME,
	FAC_TEXT_NETWORK,
	FAC_TEXT_EXTENSION,
	FAC_TEXTS
};

struct fac_verb {
	struct fac_verb *next; /* the queue's */
	enum fac_verb_kind kind;
	struct fac_store_to to;
	uint64_t queued_ms;
	bool browsing; /* no money waits for it: see queue.h */
	/* Asked: the members that its kind speaks of. */
	struct fac_payment payment;
	struct fac_spend_limits limits;
	struct fac_transaction transaction;
	struct fac_attempt attempt;
	struct fac_store_mined mined;
	struct fac_store_end *ends;
	size_t ends_len;
	struct fac_store_hold hold;
	struct fac_resource *resource;
	uint8_t key32[32]; /* of a payment, or id32 of a transaction */
	uint8_t transaction32[32];
	uint8_t payload_hash32[32];
	uint8_t claim32[32]; /* of a credit */
	bool has_claim32;
	bool has_key32;
	bool has_transaction32;
	bool has_payload_hash32;
	uint8_t reference32[32];
	bool has_reference32;
	/* The lease, or its parts. */
	char network[X402_NETWORK_SIZE];
	struct x402_address signer;
	char owner[FAC_OWNER_SIZE];
	uint64_t token;
	uint64_t number; /* nonce, sequence, unix seconds */
	uint64_t ms;     /* ttl, lease, delay */
	uint32_t limit;
	uint64_t offset;
	bool dead;
	char *texts[FAC_TEXTS];
	/* Answered: the arrays behind reply. */
	struct fac_store_reply reply;
	struct fac_payment *payments;
	struct fac_transaction *transactions;
	struct fac_payment_event *events;
	struct fac_resource *resources;
	struct fac_outbox_row *outbox;
};

/* NULL allowed. */
void fac_verb_free(struct fac_verb *verb);
/* The reply with its arrays in place; dies with the verb. */
const struct fac_store_reply *fac_verb_reply(struct fac_verb *verb);
/* Back to before it was run: for a group that is run again. */
void fac_verb_reset(struct fac_verb *verb);

/* For backends: room for one more row, zeroed; it counts at once. */
struct fac_payment *fac_verb_add_payment(struct fac_verb *verb);
struct fac_transaction *fac_verb_add_transaction(struct fac_verb *verb);
struct fac_payment_event *fac_verb_add_event(struct fac_verb *verb);
struct fac_resource *fac_verb_add_resource(struct fac_verb *verb);
struct fac_outbox_row *fac_verb_add_outbox(struct fac_verb *verb);

/* Queue a verb that was built: taken. */
void fac_store_submit(
	struct fac_store *store, struct fac_verb *verb, struct fac_store_to to);

/* ---- Builders: see store.h. ---- */

struct fac_verb *fac_verb_reserve(const struct fac_payment *payment,
	const struct fac_spend_limits *limits);
struct fac_verb *fac_verb_release(
	const uint8_t key32[32], const char *owner, const char *note);
struct fac_verb *fac_verb_hand_over(const uint8_t key32[32], const char *owner);
struct fac_verb *fac_verb_take_over(
	const char *network, const char *owner, uint32_t limit);
struct fac_verb *fac_verb_heartbeat(const char *owner, uint64_t ttl_ms);
struct fac_verb *fac_verb_finish(
	const struct fac_store_end *end, const char *owner);
struct fac_verb *fac_verb_credit(const uint8_t key32[32], const char *answer);
/* The same, and claimed again by the same random claim32: see store.h. */
struct fac_verb *fac_verb_credit_claim(
	const uint8_t key32[32], const char *answer, const uint8_t claim32[32]);
struct fac_verb *fac_verb_grant(
	const struct fac_payment *payment, const char *answer);
struct fac_verb *fac_verb_payment_get(struct fac_payment_query query);
struct fac_verb *fac_verb_hold(const struct fac_store_hold *hold);
struct fac_verb *fac_verb_hold_get(const uint8_t key32[32]);
struct fac_verb *fac_verb_lane_acquire(const char *network,
	const struct x402_address *signer, const char *owner, uint64_t ttl_ms);
struct fac_verb *fac_verb_lane_release(const struct fac_store_lease *lease);
struct fac_verb *fac_verb_journal_signed(
	const struct fac_transaction *transaction,
	const struct fac_store_lease *lease);
struct fac_verb *fac_verb_journal_attempt(const uint8_t id32[32],
	const struct fac_attempt *attempt, const struct fac_store_lease *lease);
struct fac_verb *fac_verb_mark_broadcast(const uint8_t id32[32]);
struct fac_verb *fac_verb_mark_replaced(
	const uint8_t id32[32], const struct fac_store_lease *lease);
struct fac_verb *fac_verb_mark_mined(const struct fac_store_mined *mined,
	struct fac_store_ends ends, const struct fac_store_lease *lease);
struct fac_verb *fac_verb_mark_final(
	const uint8_t id32[32], const struct fac_store_lease *lease);
struct fac_verb *fac_verb_mark_dropped(const uint8_t id32[32],
	const uint8_t block_hash32[32], const struct fac_store_lease *lease);
struct fac_verb *fac_verb_revive(
	const char *network, const struct x402_address *signer, uint64_t nonce);
struct fac_verb *fac_verb_load_lane(const char *network,
	const struct x402_address *signer, const char *owner);
struct fac_verb *fac_verb_next_nonce_floor(
	const char *network, const struct x402_address *signer);
struct fac_verb *fac_verb_outbox_take(uint32_t limit, uint64_t lease_ms);
struct fac_verb *fac_verb_outbox_done(uint64_t sequence);
struct fac_verb *fac_verb_outbox_fail(const struct fac_outbox_failure *failure);
struct fac_verb *fac_verb_outbox_dead(uint32_t limit);
struct fac_verb *fac_verb_outbox_revive(uint64_t sequence);
struct fac_verb *fac_verb_resource_put(const struct fac_resource *resource);
struct fac_verb *fac_verb_resource_list(const struct fac_resource_query *query);
struct fac_verb *fac_verb_health(void);
struct fac_verb *fac_verb_forget_claims(
	uint64_t dead_before_unix_s, uint32_t limit);
struct fac_verb *fac_verb_retire(uint64_t dead_before_unix_s, uint32_t limit);

#endif
