/*
 * permit2.h: transfers through Permit2 and the x402 proxies, as values, digests
 * and calldata. The payer signs for a proxy (the spender), which hands the
 * witness to Permit2, so that nobody can send the money elsewhere.
 *
 *   exact  the whole permitted amount; whoever sends it
 *   upto   at most the permitted amount; sent by witness.facilitator alone
 *
 * Not for: judging a payment; that is the scheme's (scheme.h).
 * Thread rule: pure functions.
 */
#ifndef X402_PERMIT2_H
#define X402_PERMIT2_H

#include "x402/amount.h"
#include "x402/evm.h"
#include "x402/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum x402_permit2_kind { X402_PERMIT2_EXACT, X402_PERMIT2_UPTO };

/* protocol.md 2.2: Permit2, and the proxy of a kind; the same on all chains. */
X402_API const struct x402_address *x402_permit2_contract(void);
X402_API const struct x402_address *x402_permit2_proxy(
	enum x402_permit2_kind kind);

struct x402_permit2_authorization {
	enum x402_permit2_kind kind;
	struct x402_address from;
	struct x402_address token;
	struct x402_u256 amount; /* permitted */
	struct x402_address spender;
	struct x402_u256 nonce;    /* unordered: a bit of nonceBitmap */
	struct x402_u256 deadline; /* unix seconds */
	struct x402_address to;    /* witness.to */
	struct x402_address facilitator;
	struct x402_u256 valid_after; /* unix seconds */
};

/* L-013: {"signature", "permit2Authorization": {...}}. signature is owned. */
struct x402_permit2_payload {
	struct x402_permit2_authorization authorization;
	struct x402_buf signature;
};

/*
 * Read a payload of one kind; witness.facilitator is read for upto only.
 * nonce may be decimal or 0x hex. SCHEMA, SYNTAX, RANGE, TOO_LARGE with
 * info->field below "payload.". Clear what it gives.
 */
X402_API X402_MUST_USE enum x402_err x402_permit2_payload_read(
	const struct x402_json *json, enum x402_permit2_kind kind,
	struct x402_errinfo *info, struct x402_permit2_payload *ret_payload);
X402_API X402_MUST_USE enum x402_err x402_permit2_payload_to_json(
	const struct x402_permit2_payload *payload,
	struct x402_json **ret_json);
X402_API void x402_permit2_payload_clear(struct x402_permit2_payload *payload);

/* hashStruct of PermitWitnessTransferFrom, and the digest to sign (C-062). */
X402_API void x402_permit2_struct_hash(
	const struct x402_permit2_authorization *authorization,
	uint8_t ret_hash32[32]);
X402_API void x402_permit2_digest(
	const struct x402_permit2_authorization *authorization,
	uint64_t chain_id, uint8_t ret_hash32[32]);

/*
 * An EIP-2612 permit for Permit2 to take the token, sent along (E-2612). The
 * proxy wants value equal to the permitted amount and swallows a permit that
 * fails.
 */
struct x402_permit2612 {
	struct x402_address owner;
	struct x402_address token;
	struct x402_address spender;
	struct x402_u256 value;
	struct x402_u256 nonce;    /* nonces(owner) of the token */
	struct x402_u256 deadline; /* unix seconds */
	uint8_t sig65[65];         /* v 27 or 28 */
};
/*
 * Read extensions.eip2612GasSponsoring.info as a payer filled it in. NOT_FOUND
 * when the payer added nothing to what the server declared; SCHEMA, SYNTAX,
 * RANGE with info set.
 */
X402_API X402_MUST_USE enum x402_err x402_permit2612_read(
	const struct x402_json *extensions, struct x402_errinfo *info,
	struct x402_permit2612 *ret_permit);
/* The members that a payer adds to that info (C-064). NOMEM. */
X402_API X402_MUST_USE enum x402_err x402_permit2612_to_json(
	const struct x402_permit2612 *permit, struct x402_json **ret_info);
/* The digest of the permit under the token's domain separator. */
X402_API void x402_permit2612_digest(const struct x402_permit2612 *permit,
	const uint8_t domain_separator32[32], uint8_t ret_hash32[32]);

/*
 * What a server declares so that payers without an allowance can pay (E-2612,
 * E-20): a JSON object for the challenge's extensions; constant. Declare only
 * what the facilitator lists in the extensions of GET /supported, on routes
 * paid through Permit2. NULL for neither.
 */
X402_API const char *x402_sponsoring_declaration(bool permits, bool approvals);

/*
 * Calldata of the proxy: settle, or settleWithPermit when permit is not NULL.
 * amount is what upto takes; exact ignores it. Appends to buf; check
 * buf->failed.
 */
X402_API void x402_permit2_settle_calldata(
	const struct x402_permit2_payload *payload,
	const struct x402_u256 *amount, const struct x402_permit2612 *permit,
	struct x402_buf *buf);
/*
 * The words of such calldata from the permit on: behind an EIP-2612 permit,
 * where it has one. NOT_FOUND for any other call; SYNTAX when cut.
 */
X402_API X402_MUST_USE enum x402_err x402_permit2_settle_words(
	enum x402_permit2_kind kind, struct x402_span calldata,
	struct x402_span *ret_words);
/*
 * Who must send calldata that x402_permit2_settle_calldata made for upto:
 * witness.facilitator. NOT_FOUND for any other call; SYNTAX when cut.
 */
X402_API X402_MUST_USE enum x402_err x402_permit2_sender(
	const struct x402_address *call_to, struct x402_span calldata,
	struct x402_address *ret_sender);

/* Calldata of Permit2.nonceBitmap(owner, nonce >> 8). */
X402_API void x402_permit2_state_calldata(const struct x402_address *owner,
	const struct x402_u256 *nonce, struct x402_buf *buf);
/* Is the nonce's bit set in the answer? SYNTAX. */
X402_API X402_MUST_USE enum x402_err x402_permit2_state_read(
	struct x402_span answer, const struct x402_u256 *nonce, bool *ret_used);

#ifdef __cplusplus
}
#endif
#endif
