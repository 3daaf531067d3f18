/*
 * approval.h: an ERC-20 approval for Permit2 that a payer signed and did not
 * send (erc20ApprovalGasSponsoring, C-065, F-074): a whole transaction of its
 * own account, which a facilitator broadcasts before it settles.
 *
 * Not for: judging one; that is the scheme's (scheme.h).
 * Thread rule: pure functions.
 */
#ifndef X402_APPROVAL_H
#define X402_APPROVAL_H

#include "x402/json.h"
#include "x402/transaction.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Larger is no approve(): its calldata has 68 bytes. */
#define X402_APPROVAL_RAW_MAX 512

struct x402_approval {
	/* What the payer says of it: nothing of this is believed. */
	struct x402_address from;
	struct x402_address token;
	struct x402_address spender;
	struct x402_u256 amount;
	/* The signed transaction; owned. */
	struct x402_buf raw;
	/* What the transaction is: x402_approval_decode fills it in. */
	struct x402_foreign_transaction transaction; /* points into raw */
};

/*
 * Read extensions.erc20ApprovalGasSponsoring.info as a payer filled it in.
 * NOT_FOUND when the payer added nothing to what the server declared; SCHEMA,
 * SYNTAX, RANGE, TOO_LARGE with info set; NOMEM. Clear what it gives.
 */
X402_API X402_MUST_USE enum x402_err x402_approval_read(
	const struct x402_json *extensions, struct x402_errinfo *info,
	struct x402_approval *ret_approval);
/* Errors of x402_transaction_decode_foreign. Its signer is not recovered. */
X402_API X402_MUST_USE enum x402_err x402_approval_decode(
	struct x402_approval *approval);
/* The members that a payer adds to that info (C-065). NOMEM. */
X402_API X402_MUST_USE enum x402_err x402_approval_to_json(
	const struct x402_approval *approval, struct x402_json **ret_info);
X402_API void x402_approval_clear(struct x402_approval *approval);

/* approve(spender, amount). Appends to buf; check buf->failed. */
X402_API void x402_approval_calldata(const struct x402_address *spender,
	const struct x402_u256 *amount, struct x402_buf *buf);
/* Read such calldata. NOT_FOUND: another call; SYNTAX: cut, or too long. */
X402_API X402_MUST_USE enum x402_err x402_approval_calldata_read(
	struct x402_span calldata, struct x402_address *ret_spender,
	struct x402_u256 *ret_amount);
/*
 * What the account must have for it, wei: gas at the highest price, and the
 * value. RANGE when that is no 256-bit number.
 */
X402_API X402_MUST_USE enum x402_err x402_approval_cost(
	const struct x402_approval *approval, struct x402_u256 *ret_wei);

#ifdef __cplusplus
}
#endif
#endif
