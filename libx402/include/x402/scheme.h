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

#include "x402/approval.h"
#include "x402/delegation.h"
#include "x402/eip3009.h"
#include "x402/eip712.h"
#include "x402/network.h"
#include "x402/payment.h"
#include "x402/permit2.h"
#include "x402/proof.h"
#include "x402/sign.h"
#include "x402/svm.h"
#include "x402/transaction.h"

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
	X402_READ_CALL, /* eth_call(from, to, data) */
	/* eth_getTransactionCount(to), eth_getBalance(to): one word. */
	X402_READ_NONCE,
	X402_READ_BALANCE,
	/* getAccountInfo(account): the owner's 32 bytes and the data. An
	 * account that does not exist is REVERTED. */
	X402_READ_SVM_ACCOUNT,
	/* simulateTransaction(data): the wire bytes as they are, signatures
	 * unchecked, blockhash kept. REVERTED with the error as JSON text. */
	X402_READ_SVM_SIMULATE,
	/*
	 * The transaction whose hash is data, with its receipt and its block,
	 * as struct x402_mined, whose head is the newest block, or with
	 * finalized the newest that the chain calls so. The only read of its
	 * round.
	 */
	X402_READ_MINED
};

/* One chain read, always at the latest block. */
struct x402_chain_read {
	enum x402_read_kind kind;
	struct x402_address to;
	/* Call: simulate as this sender; needs_sender false lets the caller
	 * coalesce the read into a multicall (msg.sender does not matter). */
	bool needs_sender;
	/* With needs_sender: this sender, and no other; else the caller's. */
	bool has_sender;
	struct x402_address sender;
	struct x402_span data; /* owned by the plan */
	uint64_t gas;          /* cap for the call; 0: the node's default */
	struct x402_pubkey account; /* X402_READ_SVM_ACCOUNT */
	bool finalized;             /* X402_READ_MINED */
	/*
	 * With needs_sender: all it does is to move a known token from
	 * transfer_from to transfer_to, whoever sends it. So the caller may try
	 * it beside others of its kind in one Multicall3 call, unless one of
	 * those pays its payer: what passes there passes alone. What fails
	 * there is to be tried alone.
	 */
	bool may_share;
	struct x402_address transfer_from;
	struct x402_address transfer_to;
};

enum x402_answer_status {
	X402_ANSWER_OK,
	X402_ANSWER_REVERTED, /* data is the revert data */
	X402_ANSWER_FAULT     /* transport, timeout, nonsense: no verdict */
};
struct x402_chain_answer {
	enum x402_answer_status status;
	struct x402_span data; /* borrowed until judge returns */
	/* X402_READ_MINED, where status is OK; borrowed like data. */
	const struct x402_mined *mined;
};

/* Reads in one round; the longest list today is the diagnosis of F-041. */
#define X402_PLAN_READS_MAX 8

struct x402_verify_plan {
	bool decided;
	struct x402_verdict verdict; /* meaningful when decided */
	/*
	 * Of a valid verdict; NULL: it can be settled as it is. Else it is
	 * valid once this approval of the payer's is mined: broadcast it, and
	 * then verify anew (F-075). Owned by the plan. There is no settle plan
	 * before.
	 */
	const struct x402_approval *approval;
	/*
	 * Valid means that it was paid before it was shown (proof): whether it
	 * was shown before is the caller's to know, by x402_verify_plan_key.
	 */
	bool paid;
	/*
	 * Valid, and it might be once more after it was paid: nothing on the
	 * chain need tell that a delegation was redeemed (F-07A). Whether it
	 * was is the caller's to know, by x402_verify_plan_key.
	 */
	bool may_repeat;
	/* These three are private to the scheme. */
	const struct x402_scheme *scheme;
	unsigned round;
	void *state;
	/*
	 * What to ask next, for the caller to read. Large, so last: only the
	 * first reads_len are set.
	 */
	size_t reads_len;
	struct x402_chain_read reads[X402_PLAN_READS_MAX];
};

/*
 * What the verdict is for. They differ for upto alone: /verify asks whether
 * the maximum could be taken, /settle names what is to be taken.
 */
enum x402_phase { X402_PHASE_VERIFY, X402_PHASE_SETTLE };

struct x402_verify_options {
	/* Required: unix seconds. */
	uint64_t now_unix_s;
	/* Optional: X402_PHASE_VERIFY. */
	enum x402_phase phase;
	/*
	 * Optional: the accounts that can send, for payments that are bound
	 * to their sender (F-078). NULL: not known here, so that the payment
	 * is held against extra.facilitatorAddress instead.
	 */
	const struct x402_address *signers;
	size_t signers_len;
	/* Optional: the factories of F-034; NULL denies all. */
	const struct x402_address *factories_6492;
	size_t factories_6492_len;
	/*
	 * Optional: the delegation managers that may be called (F-07A); NULL
	 * denies all. any_delegation_manager: for a caller that will not send,
	 * and leaves it to who will.
	 */
	const struct x402_address *delegation_managers;
	size_t delegation_managers_len;
	bool any_delegation_manager;
	/* Optional: all the gas that one may take; 0: the default below. */
	uint64_t delegation_gas;
	/*
	 * Optional: an approval that came with a Permit2 payment will be sent
	 * (F-071), and its payer given up to so much for its gas; borrowed for
	 * the call. NULL: what came is not looked at.
	 */
	const struct x402_u256 *approval_gift_wei;
	/*
	 * Optional: the facilitator's own builder code (builder_code.h). A
	 * payment on EVM that names codes is settled with all of them behind
	 * its calldata, alone. NULL: none is.
	 */
	const char *builder_code;
	/* Optional: borrowed for the call; makes the next ones quicker. */
	struct x402_eip712_cache *domains;
	/*
	 * Solana, Optional: the keys that this facilitator pays fees with
	 * (F-092). NULL: any, for a caller that will not co-sign.
	 */
	const struct x402_pubkey *fee_payers;
	size_t fee_payers_len;
	/* Solana, Optional; 0: the defaults below. What a sponsor may cost. */
	uint32_t max_compute_units;
	uint64_t max_priority_lamports;
	/*
	 * Proofs of transactions, Optional. A caller that uses them up should
	 * say BOUND: with ANY, whoever can ask it to settle can use up a
	 * stranger's hash.
	 */
	enum x402_proof_policy {
		X402_PROOFS_ANY, /* as the offer says */
		X402_PROOFS_BOUND,
		X402_PROOFS_OFF
	} proofs;
	/* Blocks on top of the transaction's that make it final; 0: below. */
	uint32_t proof_depth;
	/* In their place: the chain's own word. */
	bool proof_finalized;
};
#define X402_PROOF_DEPTH ((uint32_t)12)
/* What one redemption may take: see docs/facilitator.md for what some took. */
#define X402_DELEGATION_GAS ((uint64_t)500000)
/* A transfer takes 6,000 to 40,000; assertions of a wallet as much again. */
#define X402_SVM_MAX_COMPUTE_UNITS ((uint32_t)400000)
/* F-095: micro-lamports for each unit. */
#define X402_SVM_MAX_MICRO_LAMPORTS ((uint64_t)5000000)
/*
 * Units times price. The two ceilings alone would let one payment cost its
 * sponsor 2,000,000 lamports.
 */
#define X402_SVM_MAX_PRIORITY_LAMPORTS ((uint64_t)100000)

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

/* A transaction in a block, as it was sent and what came of it. */
struct x402_mined {
	bool found; /* false: in no block yet, and the rest is zero */
	struct x402_address from;
	struct x402_address to; /* zero: it made a contract */
	struct x402_span input;
	struct x402_receipt receipt;
	uint64_t timestamp_unix_s; /* of its block, which is canonical */
	uint64_t head_number;      /* as the read asked for it */
};

/*
 * What makes two payments the same one (F2): UNIQUE in the store. 32 bytes
 * that stand for (family, network, asset, payer, nonce).
 */
struct x402_settle_key {
	uint8_t bytes[32];
};

/* Kept of one payment; what is behind them is only read on chain. */
#define X402_SVM_REFERENCES_MAX 4

struct x402_settle_plan {
	struct x402_settle_key key;
	struct x402_network network;
	struct x402_asset_id asset;
	struct x402_u256 amount;
	struct x402_address payer;
	struct x402_address pay_to;
	uint8_t nonce32[32];
	uint64_t valid_before_unix_s; /* after this it can never settle */
	/*
	 * upto that takes nothing (F-079): a success without a transaction.
	 * There is no call then, and nothing is spent.
	 */
	bool nothing_to_send;
	/*
	 * proof: the transaction nonce32 has paid already, in that block, and
	 * it is final. Nothing is sent; its key is to be used up in the same
	 * commit that grants.
	 */
	bool paid;
	uint64_t paid_block_number;
	struct x402_address asset_address;
	/*
	 * The one call to send: no value goes with it, but for a gift
	 * (x402_settle_plan_gift): asset_address is zero, and amount the value.
	 */
	struct x402_address call_to;
	struct x402_buf calldata; /* owned */
	uint64_t gas_limit;       /* absolute ceiling for this call (R4) */
	bool may_share;           /* may travel in a multicall with others */
	/*
	 * Tells whether it was used after a lost broadcast; owned. Ask the
	 * address of x402_settle_proof_state_at. By delegation: no question,
	 * but what x402_settle_sender and x402_settle_send_before read.
	 */
	struct x402_buf state_calldata;
	/*
	 * Solana: calldata is the payer's transaction, whose first signature
	 * is empty: fee_payer's, over the message of nonce32's SHA-256.
	 * gas_limit is its whole fee in lamports. The addresses above are
	 * zero. Its blockhash ends it, by height and not by time: what is
	 * remembered of it may go after valid_before_unix_s only once its
	 * transaction is final and that height has passed.
	 */
	struct x402_svm_parties {
		struct x402_pubkey mint;
		struct x402_pubkey payer;
		struct x402_pubkey pay_to;
		struct x402_pubkey fee_payer;
		/* Solana Pay: keys by which sellers find what paid them. */
		struct x402_pubkey references[X402_SVM_REFERENCES_MAX];
		size_t references_len;
	} svm;
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
 * F-075: wei for a payer whose approval wants gas, as a settlement: one for
 * each (network, payer) until valid_before, whose receipt alone proves it. It
 * gives money away: hold wei against a ceiling, and the payer's payment must
 * have verified. NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_settle_plan_gift(
	const struct x402_network *network, const struct x402_address *payer,
	const struct x402_u256 *wei, uint64_t valid_before_unix_s,
	struct x402_settle_plan *ret_plan);

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
	/* SVM: the addresses above are zero, and these count. */
	enum x402_family family;
	struct x402_pubkey svm_asset;
	struct x402_pubkey svm_from;
	struct x402_pubkey svm_to;
	/* x402_settle_proof_set_call: what kind of payment this is. */
	struct x402_address call_to;
	bool delegation;
};
/* What the chain's own coin is moved by: the value of a gift, else zero. */
X402_API struct x402_u256 x402_settle_proof_value(
	const struct x402_settle_proof *proof);
#define X402_ACCOUNT_TEXT_SIZE X402_ASSET_SIZE
/* The parties of a proof as text: EIP-55 or base58. */
struct x402_settle_parties {
	char asset[X402_ACCOUNT_TEXT_SIZE];
	char payer[X402_ACCOUNT_TEXT_SIZE];
	char pay_to[X402_ACCOUNT_TEXT_SIZE];
};
X402_API struct x402_settle_parties x402_settle_proof_parties(
	const struct x402_settle_proof *proof);
/* The payer alone: a checksum takes a hash, and most answers name only him. */
X402_API void x402_settle_proof_payer(const struct x402_settle_proof *proof,
	char ret_text[X402_ACCOUNT_TEXT_SIZE]);
X402_API struct x402_settle_proof x402_settle_plan_proof(
	const struct x402_settle_plan *plan);
/*
 * To make a proof of stored parts. call_to becomes what spends the payment: the
 * asset, a proxy or a manager, also where a Multicall3 call deploys the payer's
 * wallet in front of it.
 */
X402_API void x402_settle_proof_set_call(struct x402_settle_proof *proof,
	const struct x402_address *call_to, struct x402_span state_calldata);
/*
 * Permit2 says nothing of the nonce in its logs: such a payment is proven by
 * its terms alone. Two of one payer must not share a transaction, or one
 * Transfer might prove both; an EIP-3009 payment of the same payer neither.
 */
X402_API bool x402_settle_proof_is_permit2(
	const struct x402_settle_proof *proof);
/*
 * By delegation (F-07A): alone in its transaction, and proven by its one
 * Transfer. No question tells whether it was redeemed, so once it was signed it
 * is never signed for another nonce; and whoever else redeems its context,
 * that is not credited.
 */
X402_API bool x402_settle_proof_is_delegation(
	const struct x402_settle_proof *proof);
/* Who must send the call, if it is bound to one: NOT_FOUND if it is not. */
X402_API X402_MUST_USE enum x402_err x402_settle_sender(
	const struct x402_address *call_to, struct x402_span calldata,
	struct x402_span state_calldata, struct x402_address *ret_sender);
/* After this it must not be signed any more; UINT64_MAX: validBefore says. */
X402_API uint64_t x402_settle_send_before(struct x402_span state_calldata);
/* Where state_calldata goes, and what the answer says. SYNTAX. */
X402_API struct x402_address x402_settle_proof_state_at(
	const struct x402_settle_proof *proof);
X402_API X402_MUST_USE enum x402_err x402_settle_proof_state_read(
	const struct x402_settle_proof *proof, struct x402_span answer,
	bool *ret_used);
/*
 * Permit2: does this transaction's own call spend the payment's nonce on its
 * terms? Only a call of the proxy itself is believed, whose success means that
 * it did; behind another contract a call may have failed unseen, and another's
 * Transfer would pass for this one's. ours: the transaction is by one of our
 * own signers, whose batches keep such payments apart.
 */
X402_API bool x402_settle_proof_spent_by(const struct x402_settle_proof *proof,
	const struct x402_address *to, struct x402_span input, bool ours);
/* The scheme's words for the ways in which a settlement ends badly. */
enum x402_settle_fate {
	X402_FATE_FAILED,  /* mined and reverted */
	X402_FATE_USED,    /* its nonce was used or cancelled by another */
	X402_FATE_EXPIRED, /* its time is over */
	X402_FATE_UNPAID   /* mined, and the terms are not in the logs */
};
X402_API enum x402_reason x402_settle_proof_reason(
	const struct x402_settle_proof *proof, enum x402_settle_fate fate);

/*
 * F-055, F-056: valid only for a successful receipt that holds a
 * Transfer(from, to, value) of the asset: for Permit2 and a delegation exactly
 * one, for the latter without any AuthorizationUsed of the payer's; for
 * EIP-3009 the one next to AuthorizationUsed of this nonce, so that it proves
 * no other nonce that the same transaction used up. Otherwise the reason.
 */
X402_API void x402_settle_judge(const struct x402_settle_proof *proof,
	const struct x402_receipt *receipt, struct x402_verdict *ret_verdict);

/*
 * The topics of the log that the asset emits when the authorization is spent,
 * whoever sends it: AuthorizationUsed(payer, nonce), and for Permit2, which
 * has none, Transfer(payer, payee).
 */
X402_API void x402_settle_proof_topics(
	const struct x402_settle_proof *proof, uint8_t ret_topics[3][32]);

/* F-054: what a revert means. */
X402_API enum x402_reason x402_settle_revert_reason(
	struct x402_span revert_data);
/* The same for Permit2 and its proxies (F-076); NONE for an unknown one. */
X402_API enum x402_reason x402_permit2_revert_reason(
	struct x402_span revert_data);

/* ---- The payer's side (C-050 to C-054, C-070 to C-076). ---- */

/* C-071: what the mint's account says of itself. */
struct x402_svm_mint {
	struct x402_pubkey token_program;
	uint8_t decimals;
};
/*
 * Read it from the owner and the data of the mint's account. SCHEMA when it
 * is no initialized mint of a token program; POLICY for a mint that keeps a
 * fee of each transfer or runs a program of its own in it.
 */
X402_API X402_MUST_USE enum x402_err x402_svm_mint_read(
	const struct x402_pubkey *owner, struct x402_span data,
	struct x402_svm_mint *ret_mint);

/*
 * What a signature is asked for, so that a signer can read what it signs, hash
 * it anew and refuse: a bare digest may be anything. Members that are not of
 * the kind are NULL or empty; all are borrowed for the call.
 */
enum x402_signable_kind {
	X402_SIGNABLE_EIP3009, /* TransferWithAuthorization of a token */
	X402_SIGNABLE_PERMIT2, /* PermitWitnessTransferFrom of Permit2 */
	X402_SIGNABLE_EIP2612, /* Permit of a token, for Permit2 */
	/* A transaction: approve of a token, for Permit2 (C-065) */
	X402_SIGNABLE_APPROVAL,
	X402_SIGNABLE_SVM,   /* a Solana message: 64 bytes by Ed25519 */
	X402_SIGNABLE_PROOF, /* TransactionProof of a transfer that was sent */
	X402_SIGNABLE_TRANSFER /* a transaction: a token's plain transfer */
};
struct x402_signable {
	enum x402_signable_kind kind;
	/* EVM: the EIP-712 digest of what follows, or a signing hash. */
	uint8_t digest32[32];
	const struct x402_eip712_domain *domain;
	const struct x402_eip3009_authorization *eip3009;
	/* Solana: the message itself is signed, not a digest. */
	struct x402_span svm_message;
	const struct x402_permit2_authorization *permit2;
	const struct x402_permit2612 *eip2612;
	/* Sent, it costs the payer gas: at most its limit at its price. */
	const struct x402_transaction *approval;
	const struct x402_proof_terms *proof;
	const struct x402_transaction *transfer;
};

/* What payments of one payer have in common. Zero it at first; it belongs to
 * one thread at a time. */
struct x402_create_cache {
	struct x402_eip712_cache domains;
	struct x402_address_cache addresses;
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
	/*
	 * Solana, all Required there: the payer; its mint; the blockhash that
	 * getLatestBlockhash gave (C-074: extra.recentBlockhash goes before
	 * it). nonce32 becomes the memo where the offer has none.
	 */
	bool has_svm;
	/* Optional: borrowed for the call; makes the next ones quicker. */
	struct x402_create_cache *cache;
	struct x402_pubkey svm_payer;
	struct x402_svm_mint svm_mint;
	uint8_t svm_blockhash32[32];
	/*
	 * proof, Required there: the hash of the transfer that was sent, and
	 * resource.url of the challenge (NULL: it has none).
	 */
	const uint8_t *transaction32;
	const char *resource;
	/*
	 * By delegation (ERC-7710), Required there: have a wallet delegate for
	 * these terms and no more, and give its context, which is then owned
	 * by the caller; sign and payer are not asked. user is the same.
	 */
	enum x402_err (*delegate)(void *user,
		const struct x402_delegation_terms *terms,
		struct x402_delegation_payload *ret_payload);
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

/*
 * C-064: an EIP-2612 permit for what the offer costs, so that a payer without
 * an allowance for Permit2 can pay by it. nonce: nonces(payer) of the token,
 * now. Gives {"eip2612GasSponsoring": {"info": ...}} for the client's
 * extensions of x402_payment_payload_build; the caller owns it. Only for
 * offers by Permit2 whose server declared the extension. Errors as above.
 */
X402_API X402_MUST_USE enum x402_err x402_create_permit2612(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options,
	const struct x402_u256 *nonce, struct x402_errinfo *info,
	struct x402_json **ret_extensions);

/* C-065: what a node says of the payer's account and of gas. */
struct x402_approval_facts {
	uint64_t nonce; /* eth_getTransactionCount(payer), now */
	/* Optional wei; zero: 1 gwei and 0.1 gwei. */
	struct x402_u256 max_fee_per_gas;
	struct x402_u256 max_priority_fee_per_gas;
};
/* As the reference: twice what tokens take. */
#define X402_APPROVAL_GAS ((uint64_t)70000)
/*
 * C-065: an approve(Permit2, all) of the offer's token, signed and not sent,
 * for a payer who has no gas and whose token has no permit. It stays good
 * until the payer's account does something else. Gives
 * {"erc20ApprovalGasSponsoring": {"info": ...}}; otherwise as above.
 */
X402_API X402_MUST_USE enum x402_err x402_create_approval(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options,
	const struct x402_approval_facts *facts, struct x402_errinfo *info,
	struct x402_json **ret_extensions);

/* ---- The table. ---- */

struct x402_scheme {
	const char *name; /* "exact" */
	enum x402_family family;
	const char *network_pattern; /* "eip155:*" */
	/*
	 * Rows of one name and network differ in these two (L-016, L-062): the
	 * member that tells their payload from the others', and the
	 * assetTransferMethod that asks for them. The first row of a name is
	 * what an offer without a method means.
	 */
	const char *payload_member;
	const char *method;
	bool v2_only;
	/* The payer sends the transfer itself, and then shows it. */
	bool shows_transfer;
	/* A wallet delegates to the facilitator, and gives what it made. */
	bool delegates;
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
/*
 * The row that pays for an offer: by scheme, network, version and
 * extra.assetTransferMethod; NULL if none.
 */
X402_API const struct x402_scheme *x402_scheme_for_offer(
	const struct x402_payment_requirements *offer);
/* Walk the table: NULL past the end. */
X402_API const struct x402_scheme *x402_scheme_at(size_t index);

#ifdef __cplusplus
}
#endif
#endif
