/*
 * eip712.h: typed-data hashing, for types known at compile time.
 *
 * Not for: reading typed data from JSON. A scheme knows its types, and hashes
 * its own struct (eip3009.h).
 * Thread rule: pure functions; a cache belongs to one thread at a time.
 */
#ifndef X402_EIP712_H
#define X402_EIP712_H

#include "x402/evm.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A signing domain. Absent members are left out of the type string as well
 * (Permit2 has no version, offers have no contract). Strings are hashed as
 * UTF-8 bytes.
 */
struct x402_eip712_domain {
	const char *name;    /* Required */
	const char *version; /* Optional: NULL leaves it out */
	uint64_t chain_id;   /* Required */
	const struct x402_address *verifying_contract; /* Optional */
};

X402_API void x402_eip712_domain_separator(
	const struct x402_eip712_domain *domain, uint8_t ret_hash32[32]);

/*
 * Separators that were computed before, in the caller's memory: a facilitator
 * sees the same few tokens all day, and five of the eleven hashes of a
 * verification go into the separator. Begin with zeros; nothing to clear.
 */
/* As many tokens as one daemon is paid in, and then some. */
#define X402_EIP712_CACHE_MAX 16
/* Longer names and versions are computed each time. */
#define X402_EIP712_CACHE_TEXT_SIZE 48
struct x402_eip712_cache {
	struct {
		char name[X402_EIP712_CACHE_TEXT_SIZE];
		char version[X402_EIP712_CACHE_TEXT_SIZE];
		uint64_t chain_id;
		struct x402_address verifying_contract;
		uint8_t separator32[32];
		bool used;
	} entries[X402_EIP712_CACHE_MAX];
	size_t next; /* to be replaced */
};
/* The same answer as above. cache may be NULL. */
X402_API void x402_eip712_domain_separator_cached(
	struct x402_eip712_cache *cache,
	const struct x402_eip712_domain *domain, uint8_t ret_hash32[32]);
/* keccak256(0x19 0x01 || domain separator || struct hash). */
X402_API void x402_eip712_digest(const uint8_t domain_separator32[32],
	const uint8_t struct_hash32[32], uint8_t ret_hash32[32]);

#ifdef __cplusplus
}
#endif
#endif
