/*
 * engine.h: the settlement engine: every lane, and the reconciler.
 *
 * It reserves, signs, journals, broadcasts, follows receipts and answers, in
 * that order, and keeps R1 to R4. It performs no I/O itself: the store, the
 * chains, the clock and randomness are ports, so a test can drive it with
 * recorded answers and stop it between any two steps.
 *
 * The daemon does not call this from its workers: run/settler.h puts it on
 * its own thread and carries requests over.
 *
 * Not for: verification. A settle plan comes from a payment that was verified
 * in the same breath (F-012).
 *
 * Thread rule: one thread. Port callbacks must come on that thread, never
 * inside the port call that they answer.
 */
#ifndef FAC_CORE_ENGINE_H
#define FAC_CORE_ENGINE_H

#include "chain/chain.h"
#include "core/payment.h"
#include "store/store.h"

struct fac_engine;

/* What a caller of /settle is told. */
enum fac_settle_outcome {
	FAC_SETTLE_SETTLED,   /* success, credited to this caller */
	FAC_SETTLE_REFUSED,   /* terminal: reason, and hash where mined */
	FAC_SETTLE_PENDING,   /* on its way: the hash is not empty (F-060) */
	FAC_SETTLE_DUPLICATE, /* duplicate_settlement */
	FAC_SETTLE_CONFLICT,  /* idempotency key, other request: HTTP 409 */
	FAC_SETTLE_FAULT,     /* unexpected_settle_error: nothing was sent */
	FAC_SETTLE_UNKNOWN    /* recall only: no such payment here */
};

struct fac_settle_result {
	enum fac_settle_outcome outcome;
	enum x402_reason reason; /* NONE only for SETTLED and UNKNOWN */
	char message[FAC_MESSAGE_SIZE];
	char transaction[FAC_HASH_TEXT_SIZE]; /* or "" */
	char payer[X402_ADDRESS_TEXT_SIZE];   /* or "" */
	char payment_id[FAC_PAYMENT_ID_SIZE]; /* or "" */
	char wire_network[FAC_WIRE_NETWORK_SIZE];
	/*
	 * SETTLED: the body of the answer, L-005, as it is stored. Send these
	 * bytes: a repeat under the same idempotency key gets them again.
	 */
	const char *answer;
};

/* One /settle. Text is copied. */
struct fac_settle_request {
	/*
	 * Taken (fac_engine_settle clears it) from a verified payment, or
	 * with has_plan false: recall. A repeated /settle cannot be verified
	 * again, because its own first run used the authorization; so ask by
	 * recall first, and verify only when that says UNKNOWN. Recall finds
	 * a payment by fingerprint, by idempotency key, or by key32.
	 */
	bool has_plan;
	struct x402_settle_plan plan;
	/* Recall: Optional, NULL; borrowed for the call. */
	const uint8_t *key32;
	/* Required: hash of the whole request, as sorted JSON. */
	uint8_t fingerprint32[32];
	/* Both or none. scope names the caller, key is what it sent. */
	const char *idempotency_scope;
	const char *idempotency_key;
	/*
	 * The key came from the caller itself, not from the payer: a success
	 * may be repeated under it. Else it only finds conflicts.
	 */
	bool may_repeat;
	int x402_version;
	const char *scheme;
	/* The network as the caller spelled it. Required with a plan. */
	const char *wire_network;
	/* Required: unix ms at which the caller must have an answer. */
	uint64_t deadline_unix_ms;
};

/*
 * What one settle call costs in trust: the keys it may use, and ceilings that
 * no request can move (R4).
 */
#define FAC_ENGINE_SIGNERS_MAX 16
#define FAC_ENGINE_CHAINS_MAX  32
struct fac_engine_chain {
	struct x402_network network;
	/* Required. Keys borrowed: locked memory that outlives the engine. */
	const struct x402_secret *const *signers;
	size_t signers_len;
	/* Optional wei; zero: 500 gwei and 100 gwei. */
	struct x402_u256 max_fee_per_gas;
	struct x402_u256 max_priority_fee_per_gas;
	/* Optional; 0: 1,000,000. A plan that asks for more is refused. */
	uint64_t max_gas_limit;
	/* Optional; 0 or 1: the first receipt settles. */
	uint32_t confirmations;
	/* Optional; 0: 12. Blocks under the head for negative proofs. */
	uint32_t proof_depth;
	/* Optional; 0: 64. Transactions of one signer that may wait. */
	uint32_t lane_limit;
};

/*
 * The world. Each asynchronous port answers exactly once, later. chain is the
 * index into fac_engine_options.chains.
 */
struct fac_engine_ports {
	void *user;
	uint64_t (*now_ms)(void *user); /* unix ms, never backwards */
	void (*random)(void *user, uint8_t *bytes, size_t len);
	/*
	 * Call fac_engine_tick in delay_ms, or sooner: of several wishes the
	 * soonest counts.
	 */
	void (*wake)(void *user, uint64_t delay_ms);
	/* Optional: one line for the log. warning: somebody should look. */
	void (*note)(void *user, bool warning, const char *text);

	/* Store; semantics of store/store.h. */
	void (*reserve)(void *user, const struct fac_payment *payment,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	void (*release)(void *user, const uint8_t key32[32], const char *note,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	void (*journal_signed)(void *user,
		const struct fac_transaction *transaction,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	void (*mark_broadcast)(void *user, const uint8_t hash32[32],
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	void (*mark_replaced)(void *user, const uint8_t hash32[32],
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	void (*mark_mined)(void *user, const uint8_t hash32[32],
		uint64_t block_number,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	void (*finish)(void *user, const struct fac_store_end *end,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	void (*credit)(void *user, const uint8_t key32[32], const char *answer,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	void (*load_unfinished)(void *user, const char *network,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	void (*next_nonce_floor)(void *user, const char *network,
		const struct x402_address *signer,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	/* Optional. */
	void (*revive)(void *user, const char *network,
		const struct x402_address *signer, uint64_t nonce,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);
	void (*payment_get)(void *user, struct fac_payment_query query,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);

	/* Chains; semantics of chain/chain.h. */
	void (*send_raw)(void *user, size_t chain, struct x402_span raw,
		const uint8_t hash32[32],
		void (*done)(void *arg, const struct fac_send_outcome *outcome),
		void *arg);
	void (*receipts)(void *user, size_t chain,
		const uint8_t (*hashes32)[32], size_t hashes_len,
		void (*done)(void *arg,
			const struct fac_chain_receipt *receipts,
			size_t receipts_len),
		void *arg);
	void (*nonce)(void *user, size_t chain,
		const struct fac_nonce_query *query,
		void (*done)(void *arg, enum x402_err err, uint64_t nonce),
		void *arg);
	void (*block)(void *user, size_t chain, uint64_t number,
		void (*done)(void *arg, enum x402_err err,
			const struct fac_chain_block *block),
		void *arg);
	void (*fees)(void *user, size_t chain,
		void (*done)(void *arg, enum x402_err err,
			const struct fac_chain_fees *fees),
		void *arg);
	void (*call)(void *user, size_t chain, const struct x402_address *to,
		struct x402_span calldata, uint64_t block,
		void (*done)(void *arg, const struct x402_chain_answer *answer),
		void *arg);
};

struct fac_engine_options {
	/* Required, copied. */
	const struct fac_engine_chain *chains;
	size_t chains_len;
	/* Required, copied; user must outlive the engine. */
	struct fac_engine_ports ports;
	/* Required; must outlive the engine. */
	const struct x402_secp256k1 *secp;
};

/* INVALID_ARGUMENT, KEY, CRYPTO. Recovery starts at the first tick. */
X402_MUST_USE enum x402_err fac_engine_new(
	const struct fac_engine_options *options,
	struct fac_engine **ret_engine);
/*
 * Callers that wait are answered: PENDING with their hash where something is
 * signed, else FAULT. No port answer may come afterwards. NULL allowed.
 */
void fac_engine_free(struct fac_engine *engine);

/*
 * Settle, or recall. Takes request->plan. done runs once, later; result is
 * borrowed. Returns a ticket for fac_engine_leave, never 0.
 */
uint64_t fac_engine_settle(struct fac_engine *engine,
	struct fac_settle_request *request,
	void (*done)(void *user, const struct fac_settle_result *result),
	void *user);
/*
 * The caller of this ticket has gone: do not credit the success to nobody.
 * Its done runs with PENDING or FAULT. A ticket already answered is ignored.
 */
void fac_engine_leave(struct fac_engine *engine, uint64_t ticket);
/* Do what is due; the wake port says when. */
void fac_engine_tick(struct fac_engine *engine);

/* For health and metrics. */
struct fac_engine_stats {
	bool recovered;     /* the journal was read, all chains asked */
	uint64_t in_flight; /* transactions without a receipt */
	uint64_t waiting;   /* callers */
	uint64_t oldest_ms; /* age of the oldest transaction in flight */
};
struct fac_engine_stats fac_engine_stats(const struct fac_engine *engine);
/* Nothing is reserved, queued or in flight, and no port owes an answer. */
bool fac_engine_is_idle(const struct fac_engine *engine);

#endif
