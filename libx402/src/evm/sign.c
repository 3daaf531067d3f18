/*
 * secp256k1 for EVM: keys, recoverable signatures, recovery. The curve is
 * libsecp256k1's; ours are the checks around it that it leaves to callers
 * (high s, zero r and s, the recovery id) and the mapping to addresses.
 */
#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <stdlib.h>

#include "x402/encoding.h"
#include "x402/sign.h"

struct x402_secp256k1 {
	secp256k1_context *context;
};

/* Half the group order: s above it is the second form of a signature. */
static const uint8_t half_order[32] = {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57, 0x6e,
	0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20,
	0xa0};

void x402_secret_clear(struct x402_secret *secret)
{
	if (secret)
		x402_wipe(secret->bytes, sizeof(secret->bytes));
}

static enum x402_err secret_decode(
	const char *text, struct x402_secret *ret_secret)
{
	char prefixed[2 + 64 + 1] = "0x";
	size_t len = strlen(text);
	enum x402_err err;

	if (len == 66)
		return x402_hex_decode_fixed(
			text, ret_secret->bytes, sizeof(ret_secret->bytes));
	if (len != 64)
		return X402_ERR_SYNTAX;
	memcpy(prefixed + 2, text, 64);
	err = x402_hex_decode_fixed(
		prefixed, ret_secret->bytes, sizeof(ret_secret->bytes));
	x402_wipe(prefixed, sizeof(prefixed));
	return err;
}

enum x402_err x402_secret_parse(
	const char *text, struct x402_secret *ret_secret)
{
	struct x402_secret secret;
	enum x402_err err;

	if (!text)
		return X402_ERR_SYNTAX;
	err = secret_decode(text, &secret);
	if (err)
		return err;
	if (!secp256k1_ec_seckey_verify(secp256k1_context_static, secret.bytes))
		err = X402_ERR_KEY;
	else
		*ret_secret = secret;
	x402_secret_clear(&secret);
	return err;
}

enum x402_err x402_secp256k1_new(
	const uint8_t seed32[32], struct x402_secp256k1 **ret_secp)
{
	struct x402_secp256k1 *secp = malloc(sizeof(*secp));

	if (!secp)
		return X402_ERR_NOMEM;
	secp->context = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
	if (!secp->context) {
		free(secp);
		return X402_ERR_NOMEM;
	}
	if (!secp256k1_context_randomize(secp->context, seed32)) {
		x402_secp256k1_free(secp);
		return X402_ERR_CRYPTO;
	}
	*ret_secp = secp;
	return X402_OK;
}

void x402_secp256k1_free(struct x402_secp256k1 *secp)
{
	if (!secp)
		return;
	secp256k1_context_destroy(secp->context);
	free(secp);
}

/* keccak256 of the uncompressed point without its 0x04; the last 20 bytes. */
static void address_of(
	const secp256k1_pubkey *pubkey, struct x402_address *ret_address)
{
	uint8_t point[65];
	uint8_t hash[32];
	size_t len = sizeof(point);

	(void)secp256k1_ec_pubkey_serialize(secp256k1_context_static, point,
		&len, pubkey, SECP256K1_EC_UNCOMPRESSED); /* cannot fail */
	x402_keccak256(x402_span(point + 1, 64), hash);
	memcpy(ret_address->bytes, hash + 12, 20);
}

enum x402_err x402_secret_address(const struct x402_secp256k1 *secp,
	const struct x402_secret *secret, struct x402_address *ret_address)
{
	secp256k1_pubkey pubkey;

	if (!secp256k1_ec_pubkey_create(secp->context, &pubkey, secret->bytes))
		return X402_ERR_KEY;
	address_of(&pubkey, ret_address);
	return X402_OK;
}

enum x402_err x402_sign_digest(const struct x402_secp256k1 *secp,
	const uint8_t hash32[32], const struct x402_secret *secret,
	uint8_t ret_sig65[65])
{
	secp256k1_ecdsa_recoverable_signature signature;
	int recovery_id = 0;

	memset(ret_sig65, 0, 65);
	if (!secp256k1_ecdsa_sign_recoverable(secp->context, &signature, hash32,
		    secret->bytes, NULL, NULL))
		return X402_ERR_KEY;
	(void)secp256k1_ecdsa_recoverable_signature_serialize_compact(
		secp->context, ret_sig65, &recovery_id, &signature);
	/* Ids 2 and 3 need r above the group order: no key finds one. */
	if (recovery_id > 1) {
		memset(ret_sig65, 0, 65);
		return X402_ERR_CRYPTO;
	}
	ret_sig65[64] = (uint8_t)(27 + recovery_id);
	return X402_OK;
}

static bool is_zero32(const uint8_t *p)
{
	uint8_t any = 0;

	for (int i = 0; i < 32; i++)
		any |= p[i];
	return any == 0;
}

enum x402_err x402_recover_address(const uint8_t hash32[32],
	const uint8_t sig65[65], struct x402_address *ret_address)
{
	secp256k1_ecdsa_recoverable_signature signature;
	secp256k1_pubkey pubkey;
	uint8_t v = sig65[64];
	int recovery_id = v >= 27 ? v - 27 : v;

	/* An id above 3 would reach libsecp256k1's aborting callback. */
	if (recovery_id != 0 && recovery_id != 1)
		return X402_ERR_CRYPTO;
	if (is_zero32(sig65) || is_zero32(sig65 + 32) ||
		memcmp(sig65 + 32, half_order, 32) > 0)
		return X402_ERR_CRYPTO;
	if (!secp256k1_ecdsa_recoverable_signature_parse_compact(
		    secp256k1_context_static, &signature, sig65, recovery_id))
		return X402_ERR_CRYPTO;
	if (!secp256k1_ecdsa_recover(
		    secp256k1_context_static, &pubkey, &signature, hash32))
		return X402_ERR_CRYPTO;
	address_of(&pubkey, ret_address);
	return X402_OK;
}
