/*
 * delegation.h: transfers by delegation (ERC-7710, L-014), as values and
 * calldata. The payer's account has delegated to the facilitator; a delegation
 * manager checks that and makes the account call transfer(payTo, amount).
 *
 * What the delegation permits stands in permissionContext, whose form is the
 * manager's own. Nothing here reads it, so nothing here can say that it permits
 * this payment and no other: whoever reads a context that permits more can
 * spend the rest of it. Make one for each payment, limited to one call of
 * transfer with this payee and this amount.
 *
 * Not for: judging a payment; that is the scheme's (scheme.h).
 * Thread rule: pure functions.
 */
#ifndef X402_DELEGATION_H
#define X402_DELEGATION_H

#include "x402/amount.h"
#include "x402/evm.h"
#include "x402/json.h"
#include "x402/network.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Bytes of a permissionContext: a chain of five delegations with four caveats
 * each takes 7,500. In hex and base64 it still fits into the 32 KiB of request
 * headers that our servers read.
 */
#define X402_PERMISSION_CONTEXT_MAX 8192

/* {"delegationManager", "permissionContext", "delegator"}; context is owned. */
struct x402_delegation_payload {
	struct x402_address manager;
	struct x402_address delegator; /* the payer */
	struct x402_buf context;       /* never empty */
};

/*
 * Read a payload. SCHEMA, SYNTAX, TOO_LARGE with info->field below "payload.";
 * NOMEM. Clear what it gives.
 */
X402_API X402_MUST_USE enum x402_err x402_delegation_payload_read(
	const struct x402_json *json, struct x402_errinfo *info,
	struct x402_delegation_payload *ret_payload);
/* The members; the caller owns *ret_json. NOMEM. */
X402_API X402_MUST_USE enum x402_err x402_delegation_payload_to_json(
	const struct x402_delegation_payload *payload,
	struct x402_json **ret_json);
X402_API void x402_delegation_payload_clear(
	struct x402_delegation_payload *payload);

/*
 * What a payer's wallet is to permit, and no more: one call of the asset's
 * transfer(pay_to, amount), made by delegate, before that time. Whoever gets
 * hold of a context that permits more can spend it, and it is public once it
 * is mined: bind all of these by caveats. salt32 is random, and makes two
 * delegations of the same terms two.
 */
struct x402_delegation_terms {
	struct x402_network network;
	struct x402_address asset;
	struct x402_address pay_to;
	struct x402_u256 amount;
	struct x402_address delegate; /* of extra.facilitatorAddress */
	uint64_t valid_before_unix_s;
	uint8_t salt32[32];
};

/*
 * F-07A: redeemDelegations of the manager, with one context, the mode of a
 * single call that must not fail, and transfer(to, amount) of the asset as
 * that call. Only the account that the context names as its delegate may send
 * it. Appends to buf; check buf->failed.
 */
X402_API void x402_delegation_redeem_calldata(
	const struct x402_delegation_payload *payload,
	const struct x402_address *asset, const struct x402_address *to,
	const struct x402_u256 *amount, struct x402_buf *buf);

#ifdef __cplusplus
}
#endif
#endif
