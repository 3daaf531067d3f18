/*
 * network.h: networks by CAIP-2 id and v1 name, and their default assets
 * (protocol.md section 8).
 *
 * Not for: networks an operator adds by configuration; callers look in their
 * own table first and here second.
 * Thread rule: constant tables.
 */
#ifndef X402_NETWORK_H
#define X402_NETWORK_H

#include "x402/amount.h"

#ifdef __cplusplus
extern "C" {
#endif

enum x402_family {
	X402_FAMILY_EVM,  /* eip155 */
	X402_FAMILY_SVM,  /* solana */
	X402_FAMILY_OTHER /* syntactically CAIP-2, nothing we settle on */
};

struct x402_network {
	enum x402_family family;
	uint64_t chain_id;             /* EVM only, else 0 */
	char caip2[X402_NETWORK_SIZE]; /* "eip155:84532" */
};

/*
 * Parse a CAIP-2 id: namespace [-a-z0-9]{3,8}, ':', reference
 * [-_a-zA-Z0-9]{1,32}; for eip155 a decimal chain id below 2^64 without
 * leading zero. SYNTAX otherwise. Patterns ("eip155:*") are not networks.
 */
X402_API X402_MUST_USE enum x402_err x402_network_parse(
	const char *caip2, struct x402_network *ret_network);

/*
 * v1 name to CAIP-2 and back, from the official table of section 8.1.
 * NULL when there is none. NULL argument gives NULL.
 */
X402_API const char *x402_network_from_v1_name(const char *name);
X402_API const char *x402_network_to_v1_name(const char *caip2);

/*
 * Does a concrete network match a pattern such as "eip155:*" (x402 L-034)?
 * An exact string matches itself.
 */
X402_API bool x402_network_matches(const char *pattern, const char *caip2);

enum x402_transfer_method {
	X402_TRANSFER_EIP3009,
	X402_TRANSFER_PERMIT2,
	X402_TRANSFER_SPL
};

/* One row of sections 8.2 (official) and 8.3 (unofficial). */
struct x402_default_asset {
	const char *network; /* CAIP-2 */
	const char *address; /* EIP-55 or base58 */
	const char *symbol;  /* "USDC" */
	const char *name;    /* EIP-712 domain name, NULL where none */
	const char *version; /* EIP-712 domain version, NULL where none */
	unsigned decimals;
	enum x402_transfer_method method;
	bool eip2612;
	bool official; /* listed by the reference: C-031 trusts it */
	bool usd;      /* counts as dollars for the cap of C-030 */
};

/* The default asset "$0.01" means on this network; NULL if there is none. */
X402_API const struct x402_default_asset *x402_default_asset_of(
	const char *caip2);
/* A known asset by network and address (EVM: any case); NULL if unknown. */
X402_API const struct x402_default_asset *x402_known_asset(
	const char *caip2, const char *address);
/* Walk the table: NULL past the end. */
X402_API const struct x402_default_asset *x402_known_asset_at(size_t index);

#ifdef __cplusplus
}
#endif
#endif
