/*
 * keyring.c: the built-in signer. The key is copied into memory that libsodium
 * keeps out of swap and between guard pages (R10), and wiped when the client
 * goes. Nothing here prints or returns it.
 */
#include "client_p.h"

#include <sodium.h>
#include <stdlib.h>

#include "x402/session.h"

struct x402__keyring {
	struct x402_secret *secret; /* sodium_malloc */
	struct x402_secp256k1 *secp;
	struct x402_svm_secret *svm_secret; /* sodium_malloc; then no other */
};

bool x402__random_init(void)
{
	return sodium_init() >= 0;
}

void x402__random(uint8_t *ret_bytes, size_t len)
{
	randombytes_buf(ret_bytes, len);
}

static enum x402_err sign(void *user, const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	const struct x402__keyring *keyring = user;
	uint8_t sig65[65];
	if (signing->family != X402_FAMILY_EVM)
		return X402_ERR_UNSUPPORTED;
	enum x402_err err = x402_sign_digest(
		keyring->secp, signing->digest32, keyring->secret, sig65);
	if (err)
		return err;
	x402_buf_add(ret_signature, x402_span(sig65, sizeof(sig65)));
	return ret_signature->failed ? X402_ERR_NOMEM : X402_OK;
}

/* EIP-191: the prefix keeps a text from being a transaction. */
static enum x402_err sign_text(
	void *user, const char *text, struct x402_buf *ret_signature)
{
	const struct x402__keyring *keyring = user;
	uint8_t hash32[32];
	uint8_t sig65[65];
	x402_session_text_digest("", x402_span_str(text), hash32);
	enum x402_err err = x402_sign_digest(
		keyring->secp, hash32, keyring->secret, sig65);
	if (err)
		return err;
	x402_buf_add(ret_signature, x402_span(sig65, sizeof(sig65)));
	return ret_signature->failed ? X402_ERR_NOMEM : X402_OK;
}

enum x402_err x402__keyring_new(const struct x402_secret *key,
	struct x402__keyring **ret_keyring,
	struct x402_client_signer *ret_signer)
{
	struct x402__keyring *keyring = calloc(1, sizeof(*keyring));
	if (!keyring)
		return X402_ERR_NOMEM;
	uint8_t seed32[32];
	x402__random(seed32, sizeof(seed32));
	enum x402_err err = x402_secp256k1_new(seed32, &keyring->secp);
	x402_wipe(seed32, sizeof(seed32));
	struct x402_client_signer signer = {
		.sign = sign, .sign_text = sign_text, .user = keyring};
	if (!err) {
		keyring->secret = sodium_malloc(sizeof(*keyring->secret));
		if (!keyring->secret)
			err = X402_ERR_NOMEM;
	}
	if (!err) {
		*keyring->secret = *key;
		err = x402_secret_address(
			keyring->secp, keyring->secret, &signer.address);
	}
	if (err) {
		x402__keyring_free(keyring);
		return err;
	}
	*ret_keyring = keyring;
	*ret_signer = signer;
	return X402_OK;
}

static enum x402_err sign_svm(void *user,
	const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	const struct x402__keyring *keyring = user;
	uint8_t sig64[64];
	if (signing->family != X402_FAMILY_SVM)
		return X402_ERR_UNSUPPORTED;
	enum x402_err err = x402_ed25519_sign(
		keyring->svm_secret, signing->signable->svm_message, sig64);
	if (err)
		return err;
	x402_buf_add(ret_signature, x402_span(sig64, sizeof(sig64)));
	return ret_signature->failed ? X402_ERR_NOMEM : X402_OK;
}

/*
 * A transaction begins with how many have to sign it, or has the top bit set;
 * one of 33 signers would be larger than any. So what begins with a printable
 * character can never be one, though nothing is put in front of it.
 */
static bool is_text(const char *text)
{
	return text[0] > ' ' && text[0] < 0x7f;
}

static enum x402_err sign_svm_text(
	void *user, const char *text, struct x402_buf *ret_signature)
{
	const struct x402__keyring *keyring = user;
	uint8_t sig64[64];
	if (!is_text(text))
		return X402_ERR_SYNTAX;
	enum x402_err err = x402_ed25519_sign(
		keyring->svm_secret, x402_span_str(text), sig64);
	if (err)
		return err;
	x402_buf_add(ret_signature, x402_span(sig64, sizeof(sig64)));
	return ret_signature->failed ? X402_ERR_NOMEM : X402_OK;
}

enum x402_err x402__svm_keyring_new(const struct x402_svm_secret *key,
	struct x402__keyring **ret_keyring,
	struct x402_client_svm_signer *ret_signer)
{
	struct x402__keyring *keyring = calloc(1, sizeof(*keyring));
	if (!keyring)
		return X402_ERR_NOMEM;
	keyring->svm_secret = sodium_malloc(sizeof(*keyring->svm_secret));
	if (!keyring->svm_secret) {
		x402__keyring_free(keyring);
		return X402_ERR_NOMEM;
	}
	*keyring->svm_secret = *key;
	*ret_signer = (struct x402_client_svm_signer){
		.address = x402_svm_secret_pubkey(key),
		.sign = sign_svm,
		.sign_text = sign_svm_text,
		.user = keyring};
	*ret_keyring = keyring;
	return X402_OK;
}

void x402__keyring_free(struct x402__keyring *keyring)
{
	if (!keyring)
		return;
	sodium_free(keyring->secret); /* wipes; takes NULL */
	sodium_free(keyring->svm_secret);
	x402_secp256k1_free(keyring->secp);
	free(keyring);
}
