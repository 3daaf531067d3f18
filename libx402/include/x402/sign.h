/*
 * sign.h: secp256k1 keys, signing and recovery.
 *
 * Secrets live in struct x402_secret only; clear wipes it. Nothing here
 * prints a key. Signing uses RFC 6979 nonces and yields low s.
 *
 * Thread rule: one struct x402_secp256k1 may be shared by threads for
 * signing once it has been made.
 */
#ifndef X402_SIGN_H
#define X402_SIGN_H

#include "x402/evm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A private key. Keep it in locked memory where you can (R10). */
struct x402_secret {
	uint8_t bytes[32];
};
X402_API void x402_secret_clear(struct x402_secret *secret);
/*
 * "0x" + 64 hex or 64 hex. SYNTAX for another form, KEY for zero or a value
 * not below the group order. The text is the caller's to wipe.
 */
X402_API X402_MUST_USE enum x402_err x402_secret_parse(
	const char *text, struct x402_secret *ret_secret);

struct x402_secp256k1; /* signing context, opaque */
/*
 * seed32: fresh random bytes that blind the context against side channels;
 * they do not influence signatures. NOMEM, CRYPTO. Free with _free.
 */
X402_API X402_MUST_USE enum x402_err x402_secp256k1_new(
	const uint8_t seed32[32], struct x402_secp256k1 **ret_secp);
X402_API void x402_secp256k1_free(struct x402_secp256k1 *secp);

X402_API X402_MUST_USE enum x402_err x402_secret_address(
	const struct x402_secp256k1 *secp, const struct x402_secret *secret,
	struct x402_address *ret_address);

/* r || s || v with v 27 or 28 (C-053). Output zeroed on failure. KEY. */
X402_API X402_MUST_USE enum x402_err x402_sign_digest(
	const struct x402_secp256k1 *secp, const uint8_t hash32[32],
	const struct x402_secret *secret, uint8_t ret_sig65[65]);

/*
 * Recover the signer's address. Refuses (CRYPTO) r or s zero or out of range,
 * high s (two encodings of one signature would exist), v not in
 * {27, 28, 0, 1}, and a recovered point at infinity.
 */
X402_API X402_MUST_USE enum x402_err x402_recover_address(
	const uint8_t hash32[32], const uint8_t sig65[65],
	struct x402_address *ret_address);

#ifdef __cplusplus
}
#endif
#endif
