/*
 * scheme.h: one shape for every way to pay: plan, then judge.
 *
 * A scheme performs no I/O. Verification alternates between the scheme and
 * its caller:
 *
 *   x402_verify_plan()  all offline checks; decides, or lists chain reads
 *   (caller performs plan->reads, fills one answer for each)
 *   x402_verify_judge() decides, or lists the reads of a next round
 *   ... until plan->decided
 *
 * Settlement is the same: x402_settle_plan() gives the one transaction to
 * send and the logs that prove it, x402_settle_judge() reads the receipt.
 *
 * A chain fault is never a verdict: an answer with status FAULT makes judge
 * return X402_ERR_CHAIN and the plan stays where it was.
 *
 * Clients use x402_create_payload() for the other side of the same scheme.
 *
 * Not for: which transaction nonce or fee to use; that is the engine's.
 * Thread rule: a plan belongs to one thread at a time. Schemes are constant.
 * Where next: src/scheme/exact_evm.c.
 */
#ifndef X402_SCHEME_H
#define X402_SCHEME_H

#include "x402/eip3009.h"
#include "x402/eip712.h"
#include "x402/network.h"
#include "x402/payment.h"
#include "x402/sign.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What verification decided. valid == (reason == X402_REASON_NONE). */
struct x402_verdict {
	bool valid;
	enum x402_reason reason;
	char payer[64];    /* "" while unknown */
	char message[256]; /* expected and actual, for a person; may be "" */
};

enum x402_read_kind {
	X402_READ_CODE, /* eth_getCode(to) */
	X402_READ_CALL  /* eth_call(from, to, data) */
};

/* One chain read, always at the latest block. */
struct x402_chain_read {
	enum x402_read_kind kind;
	struct x402_address to;
	/* Call: simulate as this sender; needs_sender false lets the caller
	 * coalesce the read into a multicall (msg.sender does not matter). */
	bool needs_sender;
	struct x402_span data; /* owned by the plan */
	uint64_t gas;          /* cap for the call; 0: the node's default */
};

enum x402_answer_status {
	X402_ANSWER_OK,
	X402_ANSWER_REVERTED, /* data is the revert data */
	X402_ANSWER_FAULT     /* transport, timeout, nonsense: no verdict */
};
struct x402_chain_answer {
	enum x402_answer_status status;
	struct x402_span data; /* borrowed until judge returns */
};

/* Reads in one round; the longest list today is the diagnosis of F-041. */
#define X402_PLAN_READS_MAX 8

struct x402_verify_plan {
	bool decided;
	struct x402_verdict verdict; /* meaningful when decided */
	struct x402_chain_read reads[X402_PLAN_READS_MAX];
	size_t reads_len;
	/* Private to the scheme from here on. */
	const struct x402_scheme *scheme;
	unsigned round;
	void *state;
};

struct x402_verify_options {
	/* Required: unix seconds. */
	uint64_t now_unix_s;
	/* Optional: the factories of F-034; NULL denies all. */
	const struct x402_address *factories_6492;
	size_t factories_6492_len;
	/* Optional: borrowed for the call; makes the next ones quicker. */
	struct x402_eip712_cache *domains;
};

/*
 * Step 1. request is borrowed for the life of the plan. X402_OK also for a
 * refused payment (plan->verdict says so). NOMEM; UNSUPPORTED never: an
 * unknown scheme or network is the verdict of F-005. Clear the plan always.
 */
X402_API X402_MUST_USE enum x402_err x402_verify_plan(
	const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *ret_plan);
/*
 * Step 2. answers in the order of plan->reads. CHAIN when an answer that is
 * needed is a fault; ask again and call again.
 */
X402_API X402_MUST_USE enum x402_err x402_verify_judge(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers,
	size_t answers_len);
X402_API void x402_verify_plan_clear(struct x402_verify_plan *plan);

/* A log that must be in the receipt, emitted by address. */
struct x402_log {
	struct x402_address address;
	uint8_t topics[4][32];
	size_t topics_len;
	struct x402_span data;
};

struct x402_receipt {
	uint8_t transaction_hash32[32];
	bool success;
	uint64_t block_number;
	uint64_t gas_used;
	const struct x402_log *logs; /* borrowed */
	size_t logs_len;
};

/*
 * What makes two payments the same one (F2): UNIQUE in the store. 32 bytes
 * that stand for (family, network, asset, payer, nonce).
 */
struct x402_settle_key {
	uint8_t bytes[32];
};

struct x402_settle_plan {
	struct x402_settle_key key;
	struct x402_network network;
	struct x402_asset_id asset;
	struct x402_u256 amount;
	struct x402_address payer;
	struct x402_address pay_to;
	uint8_t nonce32[32];
	uint64_t valid_before_unix_s; /* after this it can never settle */
	/* The one call to send: no value goes with it. */
	struct x402_address call_to;
	struct x402_buf calldata; /* owned */
	uint64_t gas_limit;       /* absolute ceiling for this call (R4) */
	bool may_share;           /* may travel in a multicall with others */
	/* Reads that tell whether it was used after a lost broadcast. */
	struct x402_buf state_calldata; /* owned; to call_to */
};

/*
 * Plan the transaction of a payment whose verify plan said valid. NOMEM;
 * INVALID_ARGUMENT when the verdict is not a valid one: never settle what was
 * not verified in the same breath (F-012).
 */
X402_API X402_MUST_USE enum x402_err x402_settle_plan(
	const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan);
X402_API void x402_settle_plan_clear(struct x402_settle_plan *plan);

/*
 * The settle key of a payment that verified, or that was refused because its
 * nonce is used: the daemon's own first run may have used it, and the key
 * finds that run. INVALID_ARGUMENT for any other plan; NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_verify_plan_key(
	const struct x402_verify_plan *plan, struct x402_settle_key *ret_key);

/*
 * What must be known to judge a receipt, small enough to be stored with the
 * payment, so that a restarted daemon can judge without the request.
 */
struct x402_settle_proof {
	struct x402_address asset;
	struct x402_address from;
	struct x402_address to;
	struct x402_u256 value;
	uint8_t nonce32[32];
};
X402_API struct x402_settle_proof x402_settle_plan_proof(
	const struct x402_settle_plan *plan);

/*
 * F-055, F-056: valid only for a successful receipt that holds exactly one
 * Transfer(from, to, value) of the asset together with AuthorizationUsed of
 * this nonce. Otherwise the reason.
 */
X402_API void x402_settle_judge(const struct x402_settle_proof *proof,
	const struct x402_receipt *receipt, struct x402_verdict *ret_verdict);

/*
 * The topics of the log that spends the authorization, whoever sends it:
 * AuthorizationUsed(payer, nonce), emitted by proof->asset.
 */
X402_API void x402_settle_proof_topics(
	const struct x402_settle_proof *proof, uint8_t ret_topics[3][32]);

/* F-054: what a revert means. */
X402_API enum x402_reason x402_settle_revert_reason(
	struct x402_span revert_data);

/* ---- The payer's side (C-050 to C-054). ---- */

/*
 * What a signature is asked for, so that a signer can read what it signs, hash
 * it anew and refuse: a bare digest may be anything. Members that are not of
 * the kind are NULL or empty; all are borrowed for the call.
 */
enum x402_signable_kind {
	X402_SIGNABLE_EIP3009 /* TransferWithAuthorization of a token */
};
struct x402_signable {
	enum x402_signable_kind kind;
	/* EVM: the EIP-712 digest of what follows. */
	uint8_t digest32[32];
	const struct x402_eip712_domain *domain;
	const struct x402_eip3009_authorization *eip3009;
};

struct x402_create_options {
	/* Required. */
	uint64_t now_unix_s;
	/* Required: 32 bytes from the OS's generator, never used before. */
	uint8_t nonce32[32];
	/* Required: the payer. */
	struct x402_address payer;
	/*
	 * Required: sign signable->digest32. Return X402_OK and up to
	 * X402_SIGNATURE_MAX_BYTES in ret_signature.
	 */
	enum x402_err (*sign)(void *user, const struct x402_signable *signable,
		struct x402_buf *ret_signature);
	void *user;
};

/*
 * Make the scheme payload for one offer. The authorization is worth money the
 * moment it exists: journal it before it leaves the process. SCHEMA when
 * extra.name or extra.version is missing (C-050), UNSUPPORTED for a scheme or
 * network without one, else the signer's error. Caller owns *ret_payload.
 */
X402_API X402_MUST_USE enum x402_err x402_create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_json **ret_payload);

/* ---- The table. ---- */

struct x402_scheme {
	const char *name; /* "exact" */
	enum x402_family family;
	const char *network_pattern; /* "eip155:*" */
	enum x402_err (*verify_plan)(
		const struct x402_facilitator_request *request,
		const struct x402_verify_options *options,
		struct x402_verify_plan *plan);
	enum x402_err (*verify_judge)(struct x402_verify_plan *plan,
		const struct x402_chain_answer *answers, size_t answers_len);
	void (*verify_clear)(struct x402_verify_plan *plan);
	enum x402_err (*settle_plan)(const struct x402_verify_plan *verified,
		struct x402_settle_plan *ret_plan);
	enum x402_err (*create_payload)(
		const struct x402_payment_requirements *offer,
		const struct x402_create_options *options,
		struct x402_errinfo *info, struct x402_json **ret_payload);
	/* L-064: which flows it can do, as bits 1 << enum x402_payment_flow. */
	unsigned flows;
};

/* By scheme name and concrete CAIP-2 network; NULL if none. */
X402_API const struct x402_scheme *x402_scheme_find(
	const char *scheme, const char *caip2);
/* Walk the table: NULL past the end. */
X402_API const struct x402_scheme *x402_scheme_at(size_t index);

#ifdef __cplusplus
}
#endif
#endif
