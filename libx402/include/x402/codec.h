/*
 * codec.h: the protocol's objects as HTTP header values and bodies
 * (protocol.md 2.1): compact JSON in standard padded base64.
 *
 * Not for: HTTP itself. Callers bring header values in and take them out.
 * Thread rule: pure functions.
 */
#ifndef X402_CODEC_H
#define X402_CODEC_H

#include "x402/payment.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Header names; compare without case. */
#define X402_HEADER_PAYMENT_REQUIRED  "PAYMENT-REQUIRED"
#define X402_HEADER_PAYMENT_SIGNATURE "PAYMENT-SIGNATURE"
#define X402_HEADER_PAYMENT_RESPONSE  "PAYMENT-RESPONSE"
#define X402_HEADER_X_PAYMENT         "X-PAYMENT"
/* A transaction that paid already: proof.h. */
#define X402_HEADER_X_PAYMENT_PROOF     "X-Payment-Proof"
#define X402_HEADER_X_PAYMENT_RESPONSE  "X-PAYMENT-RESPONSE"
#define X402_HEADER_EXTENSION_RESPONSES "EXTENSION-RESPONSES"

/*
 * Cap on a payment header's base64 text (L-022): twice the usual 8 KiB, since
 * an offer with sponsoring and a bazaar schema exceeds that.
 */
#define X402_HEADER_MAX_BYTES ((size_t)16 * 1024)

/*
 * Header text to JSON. SYNTAX for bad base64 or JSON, TOO_LARGE above the
 * cap. info may be NULL. Caller owns *ret_json.
 */
X402_API X402_MUST_USE enum x402_err x402_header_decode(struct x402_span text,
	struct x402_errinfo *info, struct x402_json **ret_json);
/* JSON to header text; NUL-terminated, caller frees. NOMEM, TOO_LARGE. */
X402_API X402_MUST_USE enum x402_err x402_header_encode(
	const struct x402_json *json, char **ret_text);

/* Decode and read in one step. Errors of both. */
X402_API X402_MUST_USE enum x402_err x402_payment_required_decode(
	struct x402_span text, struct x402_errinfo *info,
	struct x402_payment_required *ret_required);
X402_API X402_MUST_USE enum x402_err x402_payment_payload_decode(
	struct x402_span text, struct x402_errinfo *info,
	struct x402_payment_payload *ret_payload);
X402_API X402_MUST_USE enum x402_err x402_settle_response_decode(
	struct x402_span text, struct x402_errinfo *info,
	struct x402_settle_response *ret_response);

/* Build and encode in one step; caller frees *ret_text. */
X402_API X402_MUST_USE enum x402_err x402_payment_required_encode(
	const struct x402_payment_required *required, char **ret_text);
X402_API X402_MUST_USE enum x402_err x402_payment_payload_encode(
	const struct x402_payment_payload *payload, char **ret_text);
X402_API X402_MUST_USE enum x402_err x402_settle_response_encode(
	const struct x402_settle_response *response, char **ret_text);

#ifdef __cplusplus
}
#endif
#endif
