/*
 * refund_p.h: the pure half of giving back, private: which transfer of a
 * receipt it is, and the nonce that it is given back under.
 */
#ifndef X402_CLIENT_REFUND_P_H
#define X402_CLIENT_REFUND_P_H

#include "x402/refund.h"

struct x402__refund_ask {
	uint8_t hash32[32];
	struct x402_address us;
	struct x402_address payer;
	bool has_payer;
	size_t nth; /* from 1; 0: the only one */
};

/* One transfer to us. */
struct x402__refund_transfer {
	struct x402_address asset;
	struct x402_address from;
	struct x402_u256 value;
	/* Its number, from 0, among the receipt's transfers to us of the same
	 * token, payer and value: other logs cannot shift it. */
	uint64_t twin;
	uint64_t block;
};

/*
 * Read what eth_getTransactionReceipt has answered. NOT_FOUND, POLICY,
 * INVALID_ARGUMENT, CHAIN as x402_client_refund() says, with ret_text.
 */
X402_MUST_USE enum x402_err x402__refund_choose(const struct x402_json *receipt,
	const struct x402__refund_ask *ask,
	char ret_text[X402_CLIENT_REFUND_TEXT_SIZE],
	struct x402__refund_transfer *ret_transfer);

/*
 * keccak256 of "x402 refund 1", chain id (32 bytes), asset (20), transaction
 * (32), payer (20), us (20), value received (32) and twin (32). NOMEM.
 */
X402_MUST_USE enum x402_err x402__refund_nonce(uint64_t chain_id,
	const struct x402__refund_ask *ask,
	const struct x402__refund_transfer *transfer, uint8_t ret_nonce32[32]);

/* A string that the ABI returned: 1 to 64 printable bytes of ASCII. */
#define X402__REFUND_NAME_SIZE 65
X402_MUST_USE bool x402__refund_read_name(
	const char *hex, char ret_name[X402__REFUND_NAME_SIZE]);

/*
 * How much: what was asked for, or all. INVALID_ARGUMENT: more than came,
 * nothing, or dollars of an asset that nobody can reckon in them.
 */
X402_MUST_USE enum x402_err x402__refund_amount(const char *network,
	const struct x402__refund_transfer *transfer,
	const struct x402_client_refund_options *options,
	char ret_text[X402_CLIENT_REFUND_TEXT_SIZE],
	struct x402_u256 *ret_amount);

/*
 * Into options (a copy of the client's): a token that has no known value in
 * dollars, and no entry of the caller's own, may be given back up to
 * max_unpriced (NULL: not). Nothing else is widened. *ret_list (NULL: none) is
 * what options then borrow; free() it after them. NOMEM.
 */
X402_MUST_USE enum x402_err x402__refund_allow(
	struct x402_client_options *options,
	const struct x402_u256 *max_unpriced, const char *network,
	const char *asset, struct x402_amount **ret_list);

#endif
