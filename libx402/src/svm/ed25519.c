/*
 * Ed25519 keys of Solana wallets: reading their two texts, signing, and the
 * check of a payer's signature, which is made here and never left to a node.
 */
#include <sodium.h>

#include "x402/svm.h"

/* 64 numbers of three digits with commas and spaces, and room. */
#define SECRET_TEXT_MAX 1024

bool x402_ed25519_verify(const uint8_t sig64[64], struct x402_span message,
	const struct x402_pubkey *key)
{
	return crypto_sign_verify_detached(
		       sig64, message.ptr, message.len, key->bytes) == 0;
}

void x402_svm_secret_clear(struct x402_svm_secret *secret)
{
	if (secret)
		x402_wipe(secret, sizeof(*secret));
}

enum x402_err x402_svm_secret_from_seed(
	const uint8_t seed32[32], struct x402_svm_secret *ret_secret)
{
	uint8_t public_key[32];

	if (crypto_sign_seed_keypair(
		    public_key, ret_secret->seed_and_key64, seed32) == 0)
		return X402_OK;
	x402_svm_secret_clear(ret_secret);
	return X402_ERR_CRYPTO;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_space(const char *at)
{
	while (is_space(*at))
		at++;
	return at;
}

/* "[1,2,...]" of 64 bytes, and nothing behind it. */
static bool read_numbers(const char *at, uint8_t bytes[64])
{
	if (*at++ != '[')
		return false;
	for (size_t i = 0; i < 64; i++) {
		unsigned value = 0;
		size_t len = 0;

		at = skip_space(at);
		for (; *at >= '0' && *at <= '9' && len < 4; at++, len++)
			value = value * 10 + (unsigned)(*at - '0');
		if (len == 0 || value > 255)
			return false;
		bytes[i] = (uint8_t)value;
		at = skip_space(at);
		if (*at++ != (i == 63 ? ']' : ','))
			return false;
	}
	return *skip_space(at) == '\0';
}

static bool read_base58(const char *at, uint8_t bytes[64])
{
	char text[X402_SVM_SIGNATURE_TEXT_SIZE] = {0};
	size_t len = strlen(at);
	bool ok;

	while (len > 0 && is_space(at[len - 1]))
		len--;
	if (len >= sizeof(text))
		return false;
	memcpy(text, at, len);
	ok = x402_base58_decode(text, bytes, 64) == X402_OK;
	x402_wipe(text, sizeof(text));
	return ok;
}

enum x402_err x402_svm_secret_parse(
	const char *text, struct x402_svm_secret *ret_secret)
{
	struct x402_svm_secret made;
	uint8_t bytes[64];
	enum x402_err err = X402_ERR_SYNTAX;

	if (!text || strlen(text) > SECRET_TEXT_MAX)
		return X402_ERR_SYNTAX;
	text = skip_space(text);
	if (*text == '[' ? read_numbers(text, bytes) : read_base58(text, bytes))
		err = x402_svm_secret_from_seed(bytes, &made);
	if (!err && !x402_equal_ct(made.seed_and_key64, bytes, 64))
		err = X402_ERR_KEY;
	if (!err)
		*ret_secret = made;
	x402_wipe(bytes, sizeof(bytes));
	x402_svm_secret_clear(&made);
	return err;
}

struct x402_pubkey x402_svm_secret_pubkey(const struct x402_svm_secret *secret)
{
	struct x402_pubkey key;

	memcpy(key.bytes, secret->seed_and_key64 + 32, 32);
	return key;
}

enum x402_err x402_ed25519_sign(const struct x402_svm_secret *secret,
	struct x402_span message, uint8_t ret_sig64[64])
{
	if (crypto_sign_detached(ret_sig64, NULL, message.ptr, message.len,
		    secret->seed_and_key64) == 0)
		return X402_OK;
	memset(ret_sig64, 0, 64);
	return X402_ERR_CRYPTO;
}
