/*
 * evm.h: addresses and keccak-256.
 *
 * Keccak-256 here is the original padding that Ethereum uses, not SHA3-256.
 * Thread rule: pure functions; a struct x402_keccak belongs to one thread.
 */
#ifndef X402_EVM_H
#define X402_EVM_H

#include "x402/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Hash of a whole input. */
X402_API void x402_keccak256(struct x402_span bytes, uint8_t ret_hash32[32]);

/* The same in pieces. */
struct x402_keccak {
	uint64_t state[25];
	uint8_t block[136];
	size_t fill;
};
X402_API void x402_keccak_init(struct x402_keccak *keccak);
X402_API void x402_keccak_update(
	struct x402_keccak *keccak, struct x402_span bytes);
/* keccak is used up afterwards; init it again. */
X402_API void x402_keccak_final(
	struct x402_keccak *keccak, uint8_t ret_hash32[32]);

struct x402_address {
	uint8_t bytes[20];
};
#define X402_ADDRESS_TEXT_SIZE 43 /* 0x, 40 digits, NUL */

/*
 * "0x" and 40 hex digits of any case (L-033: no checksum demanded, as the
 * reference compares without case). SYNTAX otherwise. NULL text: SYNTAX.
 */
X402_API X402_MUST_USE enum x402_err x402_address_parse(
	const char *text, struct x402_address *ret_address);
/*
 * The same, but mixed case must be a right EIP-55 checksum: for addresses
 * that a person typed, where a typing error sends money to nobody.
 */
X402_API X402_MUST_USE enum x402_err x402_address_parse_checked(
	const char *text, struct x402_address *ret_address);
/* EIP-55 text. */
X402_API void x402_address_format(const struct x402_address *address,
	char ret_text[X402_ADDRESS_TEXT_SIZE]);
/*
 * Texts of addresses that come again and again: a payer, and the shop that it
 * buys from. Zero it at first; it belongs to one thread at a time.
 */
#define X402_ADDRESS_CACHE_MAX 8
struct x402_address_cache {
	struct {
		struct x402_address address;
		char text[X402_ADDRESS_TEXT_SIZE]; /* "" while unused */
	} entries[X402_ADDRESS_CACHE_MAX];
	size_t next; /* to be replaced */
};
/* The same text as above. cache may be NULL. */
X402_API void x402_address_format_cached(struct x402_address_cache *cache,
	const struct x402_address *address,
	char ret_text[X402_ADDRESS_TEXT_SIZE]);
X402_API bool x402_address_equal(
	const struct x402_address *a, const struct x402_address *b);
X402_API bool x402_address_is_zero(const struct x402_address *address);

#ifdef __cplusplus
}
#endif
#endif
