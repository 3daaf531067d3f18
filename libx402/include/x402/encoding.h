/*
 * encoding.h: hex and base64, strict.
 *
 * Not for: base58 and base64url, which live with the schemes that need them.
 * Thread rule: pure functions.
 */
#ifndef X402_ENCODING_H
#define X402_ENCODING_H

#include "x402/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Append lower-case hex without a prefix. */
X402_API void x402_hex_encode(struct x402_span bytes, struct x402_buf *buf);
/* Append "0x" and lower-case hex. */
X402_API void x402_hex_encode_0x(struct x402_span bytes, struct x402_buf *buf);

/*
 * Decode hex of either case into buf. A "0x" prefix is required.
 * X402_ERR_SYNTAX: NULL, no prefix, odd length, or a non-hex digit. NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_hex_decode(
	const char *text, struct x402_buf *ret_buf);

/*
 * Decode "0x" and exactly 2*len hex digits into out.
 * X402_ERR_SYNTAX when NULL, or the length or a digit is off; out is then
 * untouched.
 */
X402_API X402_MUST_USE enum x402_err x402_hex_decode_fixed(
	const char *text, uint8_t *ret_bytes, size_t len);

/* Append RFC 4648 section 4 base64 with padding (x402 L-030). */
X402_API void x402_base64_encode(struct x402_span bytes, struct x402_buf *buf);

/*
 * Strict decoding (x402 L-031): only the standard alphabet, length a multiple
 * of four, padding where it belongs, unused bits zero, no white space. So one
 * byte string has one encoding. X402_ERR_SYNTAX, NOMEM.
 * Reference clients emit exactly this form.
 */
X402_API X402_MUST_USE enum x402_err x402_base64_decode(
	struct x402_span text, struct x402_buf *ret_buf);

#ifdef __cplusplus
}
#endif
#endif
