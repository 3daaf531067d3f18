/*
 * amount.h: 256-bit integers and money.
 *
 * struct x402_u256 is a plain number (nonces, times, gas). struct x402_amount
 * is money: a number of atomic units together with its asset. Arithmetic on
 * amounts fails on overflow and when the assets differ, and its result must
 * be looked at. There is no float here, and decimals appear only when text is
 * read or written.
 *
 * Not for: what an asset is worth in another; there is no exchange here.
 * Thread rule: plain values, pure functions.
 */
#ifndef X402_AMOUNT_H
#define X402_AMOUNT_H

#include "x402/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Little-endian limbs: limb[0] is the least significant. */
struct x402_u256 {
	uint64_t limb[4];
};

/* Longest decimal text of a uint256, and its NUL. */
#define X402_U256_DEC_SIZE 79

X402_API struct x402_u256 x402_u256_from_u64(uint64_t value);
X402_API struct x402_u256 x402_u256_from_be32(const uint8_t be[32]);
X402_API void x402_u256_to_be32(
	const struct x402_u256 *value, uint8_t ret_be[32]);
/* False when it does not fit into 64 bits. */
X402_API X402_MUST_USE bool x402_u256_to_u64(
	const struct x402_u256 *value, uint64_t *ret_value);
/*
 * Digits only (x402 L-021): no sign, space, exponent, hex, empty text or
 * leading zero ("0" itself is fine).
 * SYNTAX, or OVERFLOW above 2^256-1.
 */
X402_API X402_MUST_USE enum x402_err x402_u256_from_dec(
	const char *text, struct x402_u256 *ret_value);
X402_API void x402_u256_to_dec(
	const struct x402_u256 *value, char ret_text[X402_U256_DEC_SIZE]);
/* Like strcmp: negative, 0, positive. */
X402_API int x402_u256_cmp(
	const struct x402_u256 *a, const struct x402_u256 *b);
X402_API bool x402_u256_is_zero(const struct x402_u256 *value);
/* False on overflow or underflow; ret_sum may alias an input. */
X402_API X402_MUST_USE bool x402_u256_add(const struct x402_u256 *a,
	const struct x402_u256 *b, struct x402_u256 *ret_sum);
X402_API X402_MUST_USE bool x402_u256_sub(const struct x402_u256 *a,
	const struct x402_u256 *b, struct x402_u256 *ret_difference);
X402_API X402_MUST_USE bool x402_u256_mul_u64(
	const struct x402_u256 *a, uint64_t b, struct x402_u256 *ret_product);
/* Floor division. False when b is 0. ret_rest may be NULL. */
X402_API X402_MUST_USE bool x402_u256_div_u64(const struct x402_u256 *a,
	uint64_t b, struct x402_u256 *ret_quotient, uint64_t *ret_rest);

/*
 * What the units of an amount are: CAIP-2 network and address as text.
 * EVM addresses are stored in EIP-55 form, so equal assets are equal bytes.
 */
#define X402_NETWORK_SIZE 48 /* CAIP-2: 8 + 1 + 32, and room */
#define X402_ASSET_SIZE   48 /* 0x + 40, or base58 of 32 bytes */
struct x402_asset_id {
	char network[X402_NETWORK_SIZE];
	char address[X402_ASSET_SIZE];
};

/*
 * Fill an asset id; EVM addresses are normalised to EIP-55 whatever their
 * case. SYNTAX for a network that is not CAIP-2 or an address that cannot be
 * one on that network; RANGE when too long.
 */
X402_API X402_MUST_USE enum x402_err x402_asset_id_init(const char *network,
	const char *address, struct x402_asset_id *ret_asset);
X402_API bool x402_asset_id_equal(
	const struct x402_asset_id *a, const struct x402_asset_id *b);

/*
 * Money. Only amount.c reads or writes the fields (a lint holds this); others
 * use the functions below.
 */
struct x402_amount {
	struct x402_u256 atomic;
	struct x402_asset_id asset;
};

X402_API struct x402_amount x402_amount_init(
	const struct x402_u256 *atomic, const struct x402_asset_id *asset);
/* From the wire's decimal string. Errors as x402_u256_from_dec. */
X402_API X402_MUST_USE enum x402_err x402_amount_from_atomic(const char *text,
	const struct x402_asset_id *asset, struct x402_amount *ret_amount);
X402_API void x402_amount_to_atomic(
	const struct x402_amount *amount, char ret_text[X402_U256_DEC_SIZE]);
X402_API struct x402_u256 x402_amount_value(const struct x402_amount *amount);
X402_API const struct x402_asset_id *x402_amount_asset(
	const struct x402_amount *amount);
/* False: overflow, underflow, or different assets. Output untouched then. */
X402_API X402_MUST_USE bool x402_amount_add(const struct x402_amount *a,
	const struct x402_amount *b, struct x402_amount *ret_sum);
X402_API X402_MUST_USE bool x402_amount_sub(const struct x402_amount *a,
	const struct x402_amount *b, struct x402_amount *ret_difference);
/* False when the assets differ; *ret_order is as strcmp's otherwise. */
X402_API X402_MUST_USE bool x402_amount_cmp(const struct x402_amount *a,
	const struct x402_amount *b, int *ret_order);

/*
 * A price as people write it (x402 L-035): "$0.001", "0.001", "1". Digits
 * beyond the asset's decimals are cut off, never rounded up; a price that is
 * not zero but becomes zero is RANGE. No exponent, sign or grouping: SYNTAX.
 * Decimals above 77 are RANGE. OVERFLOW when it exceeds 256 bits.
 */
X402_API X402_MUST_USE enum x402_err x402_price_parse(
	const char *text, unsigned decimals, struct x402_u256 *ret_atomic);

/*
 * Write atomic units as a decimal with the asset's decimals, without trailing
 * zeros ("0.001"). Returns bytes written without NUL, 0 if size is too small.
 * 160 bytes always suffice.
 */
X402_API size_t x402_price_format(const struct x402_u256 *atomic,
	unsigned decimals, char *ret_text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
