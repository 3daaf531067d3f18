/*
 * transaction.h: RLP, and EIP-1559 transactions.
 *
 * Thread rule: pure functions.
 */
#ifndef X402_TRANSACTION_H
#define X402_TRANSACTION_H

#include "x402/amount.h"
#include "x402/evm.h"
#include "x402/sign.h"

#ifdef __cplusplus
extern "C" {
#endif

/* RLP writing: items of a list are written first, then wrapped. */
X402_API void x402_rlp_add_bytes(struct x402_buf *buf, struct x402_span bytes);
X402_API void x402_rlp_add_u64(struct x402_buf *buf, uint64_t value);
X402_API void x402_rlp_add_u256(
	struct x402_buf *buf, const struct x402_u256 *value);
/* Append the list whose encoded items are given. */
X402_API void x402_rlp_add_list(struct x402_buf *buf, struct x402_span items);

/*
 * RLP reading: take the next item off input. Canonical form only (shortest
 * lengths, no single byte below 0x80 in long form); SYNTAX otherwise. For a
 * list, ret_item spans its items. input is advanced only on success.
 */
X402_API X402_MUST_USE enum x402_err x402_rlp_next(
	struct x402_span *input, bool *ret_is_list, struct x402_span *ret_item);
/* An integer item: no leading zero, at most 8 or 32 bytes. */
X402_API X402_MUST_USE enum x402_err x402_rlp_read_u64(
	struct x402_span item, uint64_t *ret_value);
X402_API X402_MUST_USE enum x402_err x402_rlp_read_u256(
	struct x402_span item, struct x402_u256 *ret_value);

/* EIP-1559 (type 2), without access list. data is borrowed. */
struct x402_transaction {
	uint64_t chain_id;
	uint64_t nonce;
	struct x402_u256 max_priority_fee_per_gas; /* wei */
	struct x402_u256 max_fee_per_gas;          /* wei */
	uint64_t gas_limit;
	struct x402_address to; /* no contract creation here */
	struct x402_u256 value; /* wei */
	struct x402_span data;
};

/* The hash to sign. NOMEM. */
X402_API X402_MUST_USE enum x402_err x402_transaction_signing_hash(
	const struct x402_transaction *tx, uint8_t ret_hash32[32]);
/*
 * Sign, and give the raw bytes to broadcast and the transaction's hash.
 * Journal both before broadcasting (R1): after a broadcast they are the only
 * way to find out what happened to the money. NOMEM, KEY, CRYPTO.
 */
X402_API X402_MUST_USE enum x402_err x402_transaction_sign(
	const struct x402_secp256k1 *secp, const struct x402_transaction *tx,
	const struct x402_secret *key, struct x402_buf *ret_raw,
	uint8_t ret_hash32[32]);
/*
 * The same with a signature that somebody else made over the signing hash: 65
 * bytes, v 27 or 28. Broadcast it and it is spent. INVALID_ARGUMENT, NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_transaction_encode(
	const struct x402_transaction *tx, const uint8_t sig65[65],
	struct x402_buf *ret_raw, uint8_t ret_hash32[32]);
/*
 * Decode raw type-2 bytes (empty access list only) and recover the sender.
 * data points into raw. SYNTAX, UNSUPPORTED (another type), CRYPTO.
 */
X402_API X402_MUST_USE enum x402_err x402_transaction_decode(
	struct x402_span raw, struct x402_transaction *ret_tx,
	struct x402_address *ret_sender, uint8_t ret_hash32[32]);

/* A stranger's transaction, of any form that nodes take for a plain call. */
struct x402_foreign_transaction {
	/* data points into raw; both fees are the gas price of older forms */
	struct x402_transaction plain;
	uint8_t sig65[65];
	uint8_t signing_hash32[32];
	uint8_t hash32[32];
};
/*
 * Decode EIP-1559, EIP-2930 and legacy bytes. Who signed it, if anybody, says
 * x402_recover_address(signing_hash32, sig65). SYNTAX; UNSUPPORTED for another
 * type, an access list, a contract's creation, and a legacy one that is good
 * on every chain (no EIP-155); NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_transaction_decode_foreign(
	struct x402_span raw, struct x402_foreign_transaction *ret_foreign);

#ifdef __cplusplus
}
#endif
#endif
