/*
 * Mints of the two token programs, and the extensions of Token-2022 by which
 * a transfer does not bring what it says: a fee that is kept back, or a
 * program of the issuer's that runs inside it.
 */
#include "x402/scheme.h"

/* The fixed part of a mint: authority, supply, decimals, state, freezer. */
#define MINT_SIZE   82
#define DECIMALS_AT 44
#define STATE_AT    45
/* Token-2022 pads a mint to an account's size, then says what it is. */
#define KIND_AT       165
#define KIND_MINT     1
#define EXTENSIONS_AT 166
/* Extension types. */
#define TRANSFER_FEE_CONFIG 1
#define TRANSFER_HOOK       14
/* Of a fee config: two authorities, what was withheld; two fees. */
#define FEE_CONFIG_SIZE 108
#define OLDER_FEE_AT    72
#define NEWER_FEE_AT    90
#define BASIS_POINTS_AT 16
/* Of a hook: its authority, its program. */
#define HOOK_SIZE       64
#define HOOK_PROGRAM_AT 32

static unsigned le16(const uint8_t *at)
{
	return at[0] | (unsigned)at[1] << 8;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

static enum x402_err check_extension(unsigned type, struct x402_span data)
{
	switch (type) {
	case TRANSFER_FEE_CONFIG:
		if (data.len != FEE_CONFIG_SIZE)
			return X402_ERR_SCHEMA;
		/* The newer one counts from an epoch on: neither may be. */
		if (le16(data.ptr + OLDER_FEE_AT + BASIS_POINTS_AT) ||
			le16(data.ptr + NEWER_FEE_AT + BASIS_POINTS_AT))
			return X402_ERR_POLICY;
		return X402_OK;
	case TRANSFER_HOOK:
		if (data.len != HOOK_SIZE)
			return X402_ERR_SCHEMA;
		return is_zero(data.ptr + HOOK_PROGRAM_AT, 32)
			? X402_OK
			: X402_ERR_POLICY;
	default:
		return X402_OK; /* a number of Solana's: it moves no money */
	}
}

static enum x402_err check_extensions(struct x402_span data)
{
	if (data.len == MINT_SIZE)
		return X402_OK;
	if (data.len < EXTENSIONS_AT || data.ptr[KIND_AT] != KIND_MINT)
		return X402_ERR_SCHEMA;
	for (size_t at = EXTENSIONS_AT; at + 4 <= data.len;) {
		unsigned type = le16(data.ptr + at);
		size_t len = le16(data.ptr + at + 2);
		enum x402_err err;

		if (type == 0)
			return X402_OK; /* what follows was never written */
		at += 4;
		if (len > data.len - at)
			return X402_ERR_SCHEMA;
		err = check_extension(type, x402_span(data.ptr + at, len));
		if (err)
			return err;
		at += len;
	}
	return X402_OK;
}

enum x402_err x402_svm_mint_read(const struct x402_pubkey *owner,
	struct x402_span data, struct x402_svm_mint *ret_mint)
{
	bool plain = x402_pubkey_equal(owner, &x402_svm_token_program);
	enum x402_err err = X402_OK;

	if (!plain && !x402_pubkey_equal(owner, &x402_svm_token_2022_program))
		return X402_ERR_SCHEMA;
	if (data.len < MINT_SIZE || (plain && data.len != MINT_SIZE) ||
		data.ptr[STATE_AT] != 1)
		return X402_ERR_SCHEMA;
	if (!plain)
		err = check_extensions(data);
	if (err)
		return err;
	ret_mint->token_program = *owner;
	ret_mint->decimals = data.ptr[DECIMALS_AT];
	return X402_OK;
}
