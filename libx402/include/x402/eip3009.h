/*
 * eip3009.h: transfer with authorization, as values, digest and calldata.
 *
 * Not for: judging a payment; that is the scheme's (scheme.h).
 * Thread rule: pure functions.
 */
#ifndef X402_EIP3009_H
#define X402_EIP3009_H

#include "x402/amount.h"
#include "x402/evm.h"
#include "x402/json.h"

#ifdef __cplusplus
extern "C" {
#endif

struct x402_eip3009_authorization {
	struct x402_address from;
	struct x402_address to;
	struct x402_u256 value;
	struct x402_u256 valid_after;  /* unix seconds */
	struct x402_u256 valid_before; /* unix seconds */
	uint8_t nonce32[32];
};

/* Contract signatures are bounded: a 6492 wrapper with initcode fits. */
#define X402_SIGNATURE_MAX_BYTES 8192

/* L-012: {"signature", "authorization": {...}}. signature is owned. */
struct x402_eip3009_payload {
	struct x402_eip3009_authorization authorization;
	struct x402_buf signature;
};

/*
 * Read a payload; numbers are decimal strings, nonce 0x + 64 hex. SCHEMA,
 * SYNTAX, RANGE, TOO_LARGE with info->field below "payload.".
 */
X402_API X402_MUST_USE enum x402_err x402_eip3009_payload_read(
	const struct x402_json *json, struct x402_errinfo *info,
	struct x402_eip3009_payload *ret_payload);
X402_API X402_MUST_USE enum x402_err x402_eip3009_payload_to_json(
	const struct x402_eip3009_payload *payload,
	struct x402_json **ret_json);
X402_API void x402_eip3009_payload_clear(struct x402_eip3009_payload *payload);

/* hashStruct of TransferWithAuthorization, and the digest to sign. */
X402_API void x402_eip3009_struct_hash(
	const struct x402_eip3009_authorization *authorization,
	uint8_t ret_hash32[32]);
X402_API void x402_eip3009_digest(
	const struct x402_eip3009_authorization *authorization,
	const uint8_t domain_separator32[32], uint8_t ret_hash32[32]);

/*
 * Calldata of transferWithAuthorization: the (v,r,s) overload for a 65-byte
 * signature, the (bytes) overload for any other length (F-040). Appends to
 * buf; check buf->failed.
 */
X402_API void x402_eip3009_transfer_calldata(
	const struct x402_eip3009_authorization *authorization,
	struct x402_span signature, struct x402_buf *buf);
/* Calldata of authorizationState(authorizer, nonce). */
X402_API void x402_eip3009_state_calldata(const struct x402_address *authorizer,
	const uint8_t nonce32[32], struct x402_buf *buf);

#ifdef __cplusplus
}
#endif
#endif
