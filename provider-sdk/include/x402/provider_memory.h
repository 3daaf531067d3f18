/*
 * provider_memory.h: who remembers payments. A provider has a memory of its
 * own (x402_provider_options.payments_max), which is the process's and ends
 * with it. A server of many processes, or one that must know after a crash
 * what was paid and not delivered, gives it another: these four verbs.
 *
 * In the order in which the gate calls them for one payment:
 *
 *   claim     before anybody is asked about it
 *   asking    before it is sent to /settle: from here on money may move
 *   settled   the facilitator has proven that the money moved
 *   end       the request is over, or its content has left
 *
 * Between claim and end a claim is busy. Its holder may die in between; who
 * implements the verbs says then what the next claim is: NEW before asking,
 * UNKNOWN after it, PAID after settled.
 *
 * Not for: settling. The facilitator and the chain settle a payment once; a
 * memory keeps one payment from being served twice or for nothing.
 *
 * Thread rule: called inside gate functions, by any thread that runs a gate.
 */
#ifndef X402_PROVIDER_MEMORY_H
#define X402_PROVIDER_MEMORY_H

#include "x402/x402.h"

#ifdef __cplusplus
extern "C" {
#endif

struct x402_gate;

/* As X402_PROVIDER_PRICE_SIZE. */
#define X402_CLAIM_PRICE_SIZE 96

/* What a request with this payment may do. */
enum x402_claim {
	X402_CLAIM_NEW,     /* first sight: verify, handler, settle */
	X402_CLAIM_UNKNOWN, /* asked to settle before; ask again first */
	X402_CLAIM_PAID,    /* settled, never delivered: only the handler */
	X402_CLAIM_BUSY,    /* another request holds it right now */
	X402_CLAIM_SPENT,   /* settled and delivered, or for another request */
	X402_CLAIM_FULL     /* no room; nothing may begin */
};

/* How a claim of the first three kinds ends. */
enum x402_claim_end {
	/* Nothing was asked to be settled, or it was refused for good. */
	X402_CLAIM_END_FORGET,
	X402_CLAIM_END_UNKNOWN, /* asked to settle; nobody knows */
	X402_CLAIM_END_PAID,    /* settled; the content has not left */
	X402_CLAIM_END_SPENT    /* settled and delivered */
};

struct x402_claim_key {
	/* Which payment: network, asset, payer, nonce, hashed. */
	uint8_t payment32[32];
	/* For which request, with which bytes, hashed. */
	uint8_t request32[32];
};

/* How a payment is asked to settle. Who repeats it repeats just that: another
 * facilitator, or another amount, could settle it twice. */
struct x402_claim_note {
	uint32_t facilitator; /* index into the options' list */
	/* Atomic units that are charged. */
	char amount[X402_U256_DEC_SIZE];
	/* The price that the offer was made from; "" as the options list it. */
	char price[X402_CLAIM_PRICE_SIZE];
	/* What who pays may come back to by signing in (has_paid); zeros where
	 * that is nothing. */
	uint8_t scope16[16];
};

/* A buyer's name for a purchase (E-PI), and the payment that has it. */
struct x402_claim_name {
	uint8_t name32[32];    /* of this route and payer, hashed */
	uint8_t terms32[32];   /* what is bought, on which terms, hashed */
	uint8_t payment32[32]; /* as in the key */
	uint8_t request32[32];
	uint64_t until_unix_s; /* do not forget it before */
};

/*
 * Required members all but recall, has_paid, those that count and those about
 * names, of which two there are all or none. The gate answers
 * x402_gate_payer(), _amount(), _asset(), _network(), _url() and, from asking
 * on, _note() in each of them.
 */
struct x402_provider_memory {
	/*
	 * Claim a payment for a request, atomically across all who share the
	 * memory. A busy payment, or one for another request, is never
	 * granted. expires_unix_s: when nobody can settle it any more; do not
	 * forget it before. *ret_receipt is set for PAID, and for SPENT by the
	 * same request, to a copy of the receipt, else to NULL; the gate frees
	 * it with free().
	 */
	enum x402_claim (*claim)(void *user, const struct x402_gate *gate,
		const struct x402_claim_key *key, uint64_t expires_unix_s,
		uint64_t now_unix_s, char **ret_receipt);
	/*
	 * False when it cannot be written down: the request then ends with
	 * 503 before money moves. Called again when the gate asks once more.
	 */
	bool (*asking)(void *user, const struct x402_gate *gate,
		const struct x402_claim_key *key);
	/*
	 * Optional, but required where there are several facilitators: what
	 * x402_gate_note() said when this payment for this same request was
	 * asking; false when that is not known. Without it a payment whose
	 * outcome is unknown is repeated with the amount that is offered now.
	 */
	bool (*recall)(void *user, const struct x402_gate *gate,
		const struct x402_claim_key *key,
		struct x402_claim_note *ret_note);
	/*
	 * Optional: has this address had a payment settled, since a time,
	 * whose note said scope16? For who signs in.
	 */
	bool (*has_paid)(void *user, const struct x402_gate *gate,
		const char *payer, const uint8_t scope16[16],
		uint64_t since_unix_s);
	/*
	 * Optional, all three or none: small counts under a key, which end by
	 * themselves (uses of a pass, free requests of a day, proofs that were
	 * seen). Without them each process counts for itself, and what is good
	 * once is good once in each of them.
	 *
	 * count: one more, until a time that the first one sets; atomically
	 * across all who share the memory. False, and nothing is counted, when
	 * there are limit already or there is no room. counted: is there a
	 * living count? uncount: forget it.
	 */
	bool (*count)(void *user, const uint8_t key32[32], uint32_t limit,
		uint64_t until_unix_s, uint64_t now_unix_s);
	bool (*counted)(
		void *user, const uint8_t key32[32], uint64_t now_unix_s);
	void (*uncount)(
		void *user, const uint8_t key32[32], uint64_t now_unix_s);
	/*
	 * Names of purchases. Without these, names are counted where the memory
	 * counts, and keep no responses (replay_s is refused); else they are
	 * the process's own.
	 *
	 * Give a payment its name, before it is asked to settle: true when it
	 * is now, or was already, this payment's; false when it is another's,
	 * or cannot be written down.
	 */
	bool (*name_take)(void *user, const struct x402_gate *gate,
		const struct x402_claim_name *name, uint64_t now_unix_s);
	/* Whose is it? False: nobody's. *ret_response, empty before, is added
	 * what name_keep was given, where it was. */
	bool (*name_find)(void *user, const struct x402_gate *gate,
		const uint8_t name32[32], uint64_t now_unix_s,
		struct x402_claim_name *ret_name,
		struct x402_buf *ret_response);
	/* The response that was bought, when the money has moved and before it
	 * leaves. A memory without room for it drops it. */
	void (*name_keep)(void *user, const struct x402_gate *gate,
		const uint8_t name32[32], struct x402_span response);
	/* The payment was refused for good: the name is free again. */
	void (*name_drop)(void *user, const struct x402_gate *gate,
		const uint8_t name32[32]);
	void (*settled)(void *user, const struct x402_gate *gate,
		const struct x402_claim_key *key, const char *receipt);
	/* receipt may be NULL. */
	void (*end)(void *user, const struct x402_gate *gate,
		const struct x402_claim_key *key, enum x402_claim_end end,
		const char *receipt);
	void *user;
	/*
	 * 32 random bytes that all who share the memory have in common, for as
	 * long as it lasts: they make the Idempotency-Key, by which the
	 * facilitator knows that a settlement is ours. Copied.
	 */
	const uint8_t *secret32;
};

#ifdef __cplusplus
}
#endif
#endif
