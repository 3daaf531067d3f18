/*
 * Money: a number of atomic units and the asset that they are units of. The
 * only file that touches the fields of struct x402_amount (a lint holds it).
 */
#include "x402/amount.h"
#include "x402/evm.h"
#include "x402/network.h"

/* Base58 without a checksum; a Solana key is 32 to 44 digits of it. */
static bool is_base58(const char *text)
{
	size_t n = 0;

	for (; text[n]; n++) {
		char c = text[n];
		bool digit = c >= '1' && c <= '9';
		bool upper = c >= 'A' && c <= 'Z' && c != 'I' && c != 'O';
		bool lower = c >= 'a' && c <= 'z' && c != 'l';

		if (!digit && !upper && !lower)
			return false;
	}
	return n >= 32 && n <= 44;
}

static enum x402_err copy_text(const char *text, char *ret_text, size_t size)
{
	size_t len = strlen(text);

	if (len == 0)
		return X402_ERR_SYNTAX;
	if (len >= size)
		return X402_ERR_RANGE;
	memset(ret_text, 0, size);
	memcpy(ret_text, text, len);
	return X402_OK;
}

enum x402_err x402_asset_id_init(const char *network, const char *address,
	struct x402_asset_id *ret_asset)
{
	struct x402_asset_id asset = {{0}, {0}};
	struct x402_address evm;
	struct x402_network parsed;
	enum x402_err err;

	if (strlen(network) >= sizeof(asset.network) ||
		strlen(address) >= sizeof(asset.address))
		return X402_ERR_RANGE;
	err = x402_network_parse(network, &parsed);
	if (!err)
		err = copy_text(network, asset.network, sizeof(asset.network));
	if (err)
		return err;
	switch (parsed.family) {
	case X402_FAMILY_EVM:
		err = x402_address_parse(address, &evm);
		if (!err)
			x402_address_format(&evm, asset.address);
		break;
	case X402_FAMILY_SVM:
		err = is_base58(address) ? copy_text(address, asset.address,
						   sizeof(asset.address))
					 : X402_ERR_SYNTAX;
		break;
	case X402_FAMILY_OTHER:
		err = copy_text(address, asset.address, sizeof(asset.address));
		break;
	}
	if (!err)
		*ret_asset = asset;
	return err;
}

bool x402_asset_id_equal(
	const struct x402_asset_id *a, const struct x402_asset_id *b)
{
	return strcmp(a->network, b->network) == 0 &&
		strcmp(a->address, b->address) == 0;
}

struct x402_amount x402_amount_init(
	const struct x402_u256 *atomic, const struct x402_asset_id *asset)
{
	struct x402_amount amount = {.atomic = *atomic, .asset = *asset};

	return amount;
}

enum x402_err x402_amount_from_atomic(const char *text,
	const struct x402_asset_id *asset, struct x402_amount *ret_amount)
{
	struct x402_u256 atomic;
	enum x402_err err = x402_u256_from_dec(text, &atomic);

	if (!err)
		*ret_amount = x402_amount_init(&atomic, asset);
	return err;
}

void x402_amount_to_atomic(
	const struct x402_amount *amount, char ret_text[X402_U256_DEC_SIZE])
{
	x402_u256_to_dec(&amount->atomic, ret_text);
}

struct x402_u256 x402_amount_value(const struct x402_amount *amount)
{
	return amount->atomic;
}

const struct x402_asset_id *x402_amount_asset(const struct x402_amount *amount)
{
	return &amount->asset;
}

bool x402_amount_add(const struct x402_amount *a, const struct x402_amount *b,
	struct x402_amount *ret_sum)
{
	struct x402_u256 sum;

	if (!x402_asset_id_equal(&a->asset, &b->asset) ||
		!x402_u256_add(&a->atomic, &b->atomic, &sum))
		return false;
	*ret_sum = x402_amount_init(&sum, &a->asset);
	return true;
}

bool x402_amount_sub(const struct x402_amount *a, const struct x402_amount *b,
	struct x402_amount *ret_difference)
{
	struct x402_u256 difference;

	if (!x402_asset_id_equal(&a->asset, &b->asset) ||
		!x402_u256_sub(&a->atomic, &b->atomic, &difference))
		return false;
	*ret_difference = x402_amount_init(&difference, &a->asset);
	return true;
}

bool x402_amount_cmp(const struct x402_amount *a, const struct x402_amount *b,
	int *ret_order)
{
	if (!x402_asset_id_equal(&a->asset, &b->asset))
		return false;
	*ret_order = x402_u256_cmp(&a->atomic, &b->atomic);
	return true;
}
