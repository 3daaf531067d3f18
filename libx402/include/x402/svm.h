/*
 * svm.h: Solana's keys: base58, Ed25519, and associated token accounts.
 *
 * Ed25519 is libsodium's: signing is deterministic, and verification refuses
 * keys of small order and second encodings of a signature.
 *
 * Not for: transactions, see svm_transaction.h; payments, see scheme.h.
 * Thread rule: pure functions, constant tables.
 */
#ifndef X402_SVM_H
#define X402_SVM_H

#include "x402/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An account, a program, a mint, a blockhash: 32 bytes, base58 in text. */
struct x402_pubkey {
	uint8_t bytes[32];
};
#define X402_PUBKEY_TEXT_SIZE        45 /* 44 digits and NUL */
#define X402_SVM_SIGNATURE_TEXT_SIZE 89 /* of 64 bytes */

/*
 * Base58 of exactly len bytes, which are at most 64. SYNTAX for NULL, a digit
 * that is none, and text of more or fewer bytes; the output is then untouched.
 */
X402_API X402_MUST_USE enum x402_err x402_base58_decode(
	const char *text, uint8_t *ret_bytes, size_t len);
/*
 * At most 64 bytes. ret_text needs X402_SVM_SIGNATURE_TEXT_SIZE bytes for 64,
 * X402_PUBKEY_TEXT_SIZE for 32.
 */
X402_API void x402_base58_encode(
	const uint8_t *bytes, size_t len, char *ret_text);

/* SYNTAX unless text is base58 of 32 bytes. NULL text: SYNTAX. */
X402_API X402_MUST_USE enum x402_err x402_pubkey_parse(
	const char *text, struct x402_pubkey *ret_key);
X402_API void x402_pubkey_format(
	const struct x402_pubkey *key, char ret_text[X402_PUBKEY_TEXT_SIZE]);
X402_API bool x402_pubkey_equal(
	const struct x402_pubkey *a, const struct x402_pubkey *b);
X402_API bool x402_pubkey_is_zero(const struct x402_pubkey *key);

/* protocol.md 2.6 */
X402_API extern const struct x402_pubkey x402_svm_token_program;
X402_API extern const struct x402_pubkey x402_svm_token_2022_program;
X402_API extern const struct x402_pubkey x402_svm_compute_budget_program;
X402_API extern const struct x402_pubkey x402_svm_memo_program;
X402_API extern const struct x402_pubkey x402_svm_lighthouse_program;
X402_API extern const struct x402_pubkey x402_svm_ata_program;

/*
 * Is there a point of the curve with these bytes, as the runtime decides it
 * for addresses derived by programs?
 */
X402_API bool x402_pubkey_on_curve(const struct x402_pubkey *key);
/*
 * The associated token account of owner for mint, under that token program,
 * and its bump. False when no bump gives one: no such owner is known.
 */
X402_API X402_MUST_USE bool x402_svm_ata(const struct x402_pubkey *owner,
	const struct x402_pubkey *token_program, const struct x402_pubkey *mint,
	struct x402_pubkey *ret_ata, uint8_t *ret_bump);

X402_API void x402_sha256(struct x402_span bytes, uint8_t ret_hash32[32]);

/* True when sig64 is key's signature of message. Public data only. */
X402_API X402_MUST_USE bool x402_ed25519_verify(const uint8_t sig64[64],
	struct x402_span message, const struct x402_pubkey *key);

/* A private key. Keep it in locked memory where you can (R10). */
struct x402_svm_secret {
	uint8_t seed_and_key64[64]; /* as in id.json: seed, public key */
};
X402_API void x402_svm_secret_clear(struct x402_svm_secret *secret);
/*
 * A wallet's key in one of its two texts: a JSON array of 64 numbers, as
 * solana-keygen writes id.json, or base58 of those 64 bytes. White space
 * around it is allowed. SYNTAX for any other text, KEY when the public half
 * is not the one of the seed: signing with such a key would leak it. The text
 * is the caller's to wipe.
 */
X402_API X402_MUST_USE enum x402_err x402_svm_secret_parse(
	const char *text, struct x402_svm_secret *ret_secret);
/* From a bare seed. CRYPTO. */
X402_API X402_MUST_USE enum x402_err x402_svm_secret_from_seed(
	const uint8_t seed32[32], struct x402_svm_secret *ret_secret);
X402_API struct x402_pubkey x402_svm_secret_pubkey(
	const struct x402_svm_secret *secret);
/* Output zeroed on failure. CRYPTO. */
X402_API X402_MUST_USE enum x402_err x402_ed25519_sign(
	const struct x402_svm_secret *secret, struct x402_span message,
	uint8_t ret_sig64[64]);

#ifdef __cplusplus
}
#endif
#endif
