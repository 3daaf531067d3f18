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
#include "store/verb.h"

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
	char transaction[FAC_TRANSACTION_TEXT_SIZE]; /* or "" */
	char payer[X402_ACCOUNT_TEXT_SIZE];          /* or "" */
	char payment_id[FAC_PAYMENT_ID_SIZE];        /* or "" */
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
	/* Required: hash of its paymentPayload alone. */
	uint8_t payload_hash32[32];
	/* Both or none. scope names the caller, key is what it sent. */
	const char *idempotency_scope;
	const char *idempotency_key;
	/*
	 * The key came from the caller itself, not from the payer: a success
	 * may be repeated under it. Else it only finds conflicts.
	 */
	bool may_repeat;
	/* Optional: who asks, for the ceilings of a caller. */
	const char *caller;
	int x402_version;
	const char *scheme;
	/* The network as the caller spelled it. Required with a plan. */
	const char *wire_network;
	/* Required: when the caller must have an answer, by now_ms. */
	uint64_t deadline_unix_ms;
};

#define FAC_ENGINE_SIGNERS_MAX 16
#define FAC_ENGINE_CHAINS_MAX  32
/* Tokens of one chain that may share transactions. */
#define FAC_ENGINE_TOKENS_MAX 32

/* When a payment counts as settled: so many blocks, or one of these. */
#define FAC_CONFIRM_SUBMITTED 0u /* a node took it: may still fail */
#define FAC_CONFIRM_SAFE      (UINT32_MAX - 1)
#define FAC_CONFIRM_FINALIZED UINT32_MAX

/* The caller of every gift, so that they are counted together. */
#define FAC_GIFT_CALLER "gifts"
/* ... and of payments in tokens that nobody here knows. */
#define FAC_OTHERS_CALLER "other tokens"

/*
 * What one settle call costs in trust: the keys it may use, and ceilings that
 * no request can move (R4).
 */
struct fac_engine_chain {
	struct x402_network network;
	/* Required. Keys borrowed: locked memory that outlives the engine. */
	const struct x402_secret *const *signers;
	/*
	 * Solana: in their place, the keys that pay fees. A lane there has no
	 * nonces: a payer's message is its own number, and gas is lamports.
	 */
	const struct x402_svm_secret *const *svm_signers;
	size_t signers_len; /* of whichever */
	/* Optional wei; zero: 500 gwei and 100 gwei. */
	struct x402_u256 max_fee_per_gas;
	struct x402_u256 max_priority_fee_per_gas;
	/* Optional; 0: 1,000,000. A plan that asks for more is refused. */
	uint64_t max_gas_limit;
	/* Required: see FAC_CONFIRM_...; 1: the first receipt settles. */
	uint32_t confirmations;
	/*
	 * Optional; 0: 12. Blocks under the head at which a block counts as
	 * final, for negative proofs and for the end of watching.
	 */
	uint32_t proof_depth;
	/*
	 * Optional; 0: 64, on Solana 256. Transactions of one signer that may
	 * wait; there, those of the last 20 seconds.
	 */
	uint32_t lane_limit;
	/* Tokens that may share a transaction; nothing else is batched. */
	struct x402_address tokens[FAC_ENGINE_TOKENS_MAX];
	size_t tokens_len;
	/* Optional; 0: FAC_BATCH_MAX. 1 turns batching off. */
	uint32_t batch_max;
	/* Optional; 0: 200 ms. The longest wait for company under load. */
	uint32_t batch_window_ms;
	/* Optional; 0: 90,000. Ceiling of one payment inside a batch. */
	uint64_t batch_payment_gas;
	/*
	 * Optional; 0: 16,000,000. Never more than half a block, than 2^24,
	 * and than costs half a coin of the chain.
	 */
	uint64_t batch_max_gas;
	/*
	 * Optional; 0: no ceiling. Calls of an endpoint in a second: looking
	 * for blocks takes no more than half of them.
	 */
	uint32_t rps;
	/* Optional; 0: 20,000. Raise the fee of what sticks so long. */
	uint32_t stuck_ms;
	/* Optional; 0: no ceiling. Gas of one payment, in gwei. */
	uint64_t max_payment_cost_gwei;
	struct fac_spend_limits limits; /* of one day */
	/*
	 * Optional; 0: none but those. Of one day, for payments in tokens that
	 * are neither in tokens nor known to libx402: all of them together, in
	 * place of their callers' accounts.
	 */
	uint64_t daily_others_gwei;
	/*
	 * The same for gifts of gas (F-075); caller: all of them together,
	 * who are asked for by FAC_GIFT_CALLER.
	 */
	struct fac_spend_limits gift_limits;
	/*
	 * demands.md 5: a payment that somebody else landed after our
	 * reservation is credited once. false: it is refused.
	 */
	bool credit_preempted;
};

/*
 * The world. Each asynchronous port answers exactly once, later. chain is the
 * index into fac_engine_options.chains.
 */
struct fac_engine_ports {
	void *user;
	/*
	 * Near to unix ms, never backwards, whatever becomes of the time of
	 * day: deadlines, waits and leases go by it.
	 */
	uint64_t (*now_ms)(void *user);
	/*
	 * Optional; NULL: now_ms. The time of day in unix ms, which may be set
	 * at any moment: validBefore and blocks' times are held against it.
	 */
	uint64_t (*wall_ms)(void *user);
	void (*random)(void *user, uint8_t *bytes, size_t len);
	/*
	 * Call fac_engine_tick in delay_ms, or sooner: of several wishes the
	 * soonest counts.
	 */
	void (*wake)(void *user, uint64_t delay_ms);
	/* Optional: one line for the log. warning: somebody should look. */
	void (*note)(void *user, bool warning, const char *text);

	/* The store: takes verb (store/verb.h). */
	void (*store)(void *user, struct fac_verb *verb,
		void (*done)(void *arg, const struct fac_store_reply *reply),
		void *arg);

	/* Optional: how long what waits for the store has waited. */
	uint64_t (*store_lag_ms)(void *user);

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
	void (*balance)(void *user, size_t chain,
		const struct x402_address *address,
		void (*done)(void *arg, enum x402_err err,
			const struct x402_u256 *wei),
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
	void (*sent)(void *user, size_t chain, const uint8_t hash32[32],
		void (*done)(void *arg, enum x402_err err,
			const struct fac_chain_sent *sent),
		void *arg);
	void (*logs)(void *user, size_t chain,
		const struct fac_chain_logs_query *query,
		void (*done)(void *arg, enum x402_err err,
			const struct fac_chain_log *logs, size_t logs_len),
		void *arg);
	/*
	 * Solana's, Required where such a chain is: in place of receipts and
	 * balance; nonce, fees, call and logs are not asked there.
	 */
	void (*signatures)(void *user, size_t chain,
		const uint8_t (*signatures64)[64], size_t signatures_len,
		void (*done)(void *arg,
			const struct fac_chain_receipt *receipts,
			size_t receipts_len),
		void *arg);
	/* One, and with NONE how far back that is a proof. */
	void (*signature)(void *user, size_t chain,
		const uint8_t signature64[64],
		void (*done)(void *arg,
			const struct fac_chain_receipt *receipts,
			size_t receipts_len),
		void *arg);
	void (*svm_balance)(void *user, size_t chain,
		const struct x402_pubkey *key,
		void (*done)(void *arg, enum x402_err err,
			const struct x402_u256 *wei),
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
	/*
	 * Required: this instance's name in the store, below FAC_OWNER_SIZE.
	 * Two daemons that run at once must not have the same.
	 */
	const char *owner;
	/* fac_store_is_shared: work may pass between instances. */
	bool shared;
	/*
	 * Optional; 0: 20,000. Callers that may wait at once: more would be
	 * told of nothing in time, and hold up the lanes.
	 */
	size_t max_waiters;
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

/* ---- For health and metrics. ---- */

/* Upper bounds of the batch buckets; the last one has none. */
#define FAC_BATCH_BUCKETS 8
#define FAC_BATCH_BUCKET_BOUNDS          \
	{                                \
		1, 2, 5, 10, 20, 50, 100 \
	}
#define FAC_SETTLE_OUTCOMES (FAC_SETTLE_UNKNOWN + 1)

struct fac_lane_stats {
	char signer[X402_ACCOUNT_TEXT_SIZE];
	bool ready;  /* may sign */
	bool leased; /* this instance has it */
	bool dry;    /* cannot pay for the gas of another transaction */
	uint64_t in_flight;
	uint64_t oldest_ms;
	bool balance_known;
	struct x402_u256 balance_wei;
	/* At the rate of spending since the start; UINT64_MAX: nothing spent */
	uint64_t runway_hours;
};
struct fac_line_stats {
	char network[X402_NETWORK_SIZE];
	uint64_t head;        /* 0: not heard of yet */
	uint64_t head_age_ms; /* since it was heard that it changed */
	uint64_t queued;
	uint64_t in_flight;
	uint64_t unfinal; /* mined, may fall out of the chain yet */
	struct x402_u256 base_fee_wei;
	struct fac_lane_stats lanes[FAC_ENGINE_SIGNERS_MAX];
	size_t lanes_len;
};
struct fac_engine_stats {
	bool recovered;     /* every lane here was read and may sign */
	uint64_t in_flight; /* transactions without a receipt */
	uint64_t waiting;   /* callers */
	uint64_t oldest_ms; /* age of the oldest transaction in flight */
	/* Since the start. */
	uint64_t ends[FAC_PAYMENT_STATE_COUNT];
	uint64_t outcomes[FAC_SETTLE_OUTCOMES];
	uint64_t batch_sizes[FAC_BATCH_BUCKETS];
	uint64_t batches;
	uint64_t batched_payments;
	uint64_t gas_used; /* by transactions that paid gas_payments */
	uint64_t gas_payments;
	uint64_t cost_gwei; /* of that gas */
	uint64_t fee_raises;
	uint64_t over_ceiling;     /* refused: their gas costs too much */
	uint64_t reorged;          /* transactions that lost their block */
	uint64_t preempted;        /* landed by others, credited here */
	uint64_t nonces_taken;     /* of our signers, by somebody else */
	uint64_t credited_dropped; /* told success, and then it failed */
	struct fac_line_stats lines[FAC_ENGINE_CHAINS_MAX];
	size_t lines_len;
};
void fac_engine_stats(
	const struct fac_engine *engine, struct fac_engine_stats *ret_stats);
/* Nothing is reserved, queued or in flight, and no port owes an answer. */
bool fac_engine_is_idle(const struct fac_engine *engine);
/*
 * Give the leases back, for others to go on; nothing is signed afterwards.
 * done runs once the store has answered, or could not.
 */
void fac_engine_release_lanes(
	struct fac_engine *engine, void (*done)(void *user), void *user);

#endif
