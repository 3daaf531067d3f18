/*
 * Payments through Permit2 and a proxy: what exact and upto share.
 *   permit2.c         verification: plan and judge (F-070 to F-073, F-078)
 *   permit2_approval.c  an approval that came along (F-074)
 *   permit2_settle.c  settlement: the plan, and a gift's
 *   permit2_create.c  the payer's side (C-060 to C-062)
 *   exact_permit2.c, upto_evm.c  the two rows of the table
 */
#ifndef X402_PERMIT2_P_H
#define X402_PERMIT2_P_H

#include "evm_p.h"

/*
 * Absolute gas ceilings (R4). On the devnet a settlement through the proxy
 * took 80,500, to a payee that had none of the token 97,300, and with a permit
 * sent along 113,800; tokens behind proxies of their own take more. The
 * reference sends 300,000 (F-071). A contract wallet runs its own code inside
 * Permit2's check.
 */
#define X402__PERMIT2_GAS_EOA      ((uint64_t)300000)
#define X402__PERMIT2_GAS_CONTRACT ((uint64_t)500000)
#define X402__PERMIT2_GAS_PERMIT   ((uint64_t)120000)

enum x402__permit2_round {
	X402__PERMIT2_EOA,      /* code(payer, proxy, asset), simulate */
	X402__PERMIT2_CODE,     /* code(payer) alone: no ECDSA match */
	X402__PERMIT2_CONTRACT, /* isValidSignature, code, simulate */
	X402__PERMIT2_DEPLOY,   /* code, simulate behind the factory */
	X402__PERMIT2_DIAGNOSE, /* F-072 */
	X402__PERMIT2_APPROVAL  /* nonce, balance, simulated approve */
};

/*
 * An approval that takes more gas is no common token's; the reference's client
 * signs 70,000.
 */
#define X402__PERMIT2_APPROVAL_GAS_MAX ((uint64_t)150000)
/* What its bytes cost before the token runs; nodes take no less. */
#define X402__PERMIT2_APPROVAL_GAS_MIN ((uint64_t)25000)
/* The gas of a gift: chains that count their data's price in it want more. */
#define X402__PERMIT2_GIFT_GAS ((uint64_t)100000)

/* What tells the two schemes apart, besides the kind of their payload. */
struct x402__permit2_rules {
	enum x402_permit2_kind kind;
	const char *name;
	enum x402_reason wrong_scheme;
	enum x402_reason wrong_network;
	/* Terms of its own, after the payee's; false when refused. */
	bool (*check)(struct x402_verify_plan *plan);
};

struct x402__permit2 {
	struct x402__evm evm; /* first: see evm_p.h */
	const struct x402__permit2_rules *rules;
	/* Its signature is in evm until the call is made. */
	struct x402_permit2_payload payload;
	enum x402_phase phase;
	/* upto: what is taken; exact: all that was permitted. */
	struct x402_u256 taken;
	bool has_permit2612;
	struct x402_permit2612 permit2612;
	bool has_approval;
	struct x402_approval approval;
	bool began_again;          /* its nonce was found used */
	bool tried_again;          /* nothing explained a revert */
	struct x402_u256 gift_wei; /* the most that is given for it */
	/* F-078: who may send; or what the offer said. */
	const struct x402_address *signers; /* borrowed while planning */
	size_t signers_len;
	const char *facilitator_text; /* extra.facilitatorAddress; borrowed */
};

enum x402_err x402__permit2_verify_plan(
	const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	const struct x402__permit2_rules *rules, struct x402_verify_plan *plan);
enum x402_err x402__permit2_verify_judge(struct x402_verify_plan *plan,
	const struct x402_chain_answer *answers, size_t answers_len);
void x402__permit2_verify_clear(struct x402_verify_plan *plan);
enum x402_err x402__permit2_settle_plan(const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan);
enum x402_err x402__permit2_create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, enum x402_permit2_kind kind,
	struct x402_errinfo *info, struct x402_json **ret_payload);

/* The first round: as if nothing was asked yet. */
enum x402_err x402__permit2_ask_as_eoa(struct x402_verify_plan *plan);

/* ---- permit2_approval.c ---- */

/* F-074, offline: false when refused. *ret_err is NOMEM or OK. */
bool x402__permit2_read_approval(const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *plan, enum x402_err *ret_err);
/* Nothing but the allowance is missing: would the approval help? */
enum x402_err x402__permit2_ask_approval(struct x402_verify_plan *plan);
enum x402_err x402__permit2_judge_approval(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers);

/* The call that settles, and its ceiling of gas. */
void x402__permit2_call(struct x402__permit2 *state,
	struct x402_address *ret_to, struct x402_buf *calldata);
uint64_t x402__permit2_gas(const struct x402__permit2 *state);

#endif
