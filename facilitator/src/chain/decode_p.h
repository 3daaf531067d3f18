/*
 * decode_p.h: what JSON-RPC answers mean. Pure, strict: an answer that cannot
 * be true is refused, and the caller makes a fault of it. Private to chain/.
 */
#ifndef FAC_CHAIN_DECODE_P_H
#define FAC_CHAIN_DECODE_P_H

#include "chain/rpc_p.h"

/* Answers nest: batch, answer, receipt, logs, log, topics. */
#define FAC_ANSWER_DEPTH_MAX 16

/* One JSON-RPC answer; false when it has neither result nor error. */
X402_MUST_USE bool fac_decode_answer(
	const struct x402_json *json, struct fac_rpc_answer *ret_answer);

/* An error by which an endpoint speaks of itself, not of the chain. */
enum fac_trouble {
	FAC_TROUBLE_NONE,
	FAC_TROUBLE_LAG, /* it does not have the block yet */
	FAC_TROUBLE_RATE /* it wants to be asked less */
};
enum fac_trouble fac_decode_trouble(const struct fac_rpc_answer *answer);

/* "0x" and 1 to 64 hex digits. */
X402_MUST_USE bool fac_decode_quantity(
	const struct x402_json *json, struct x402_u256 *ret_value);
X402_MUST_USE bool fac_decode_u64(
	const struct x402_json *json, uint64_t *ret_value);
X402_MUST_USE bool fac_decode_block(
	const struct x402_json *json, struct fac_chain_block *ret_block);
/* The hashes of a block's transactions, 32 bytes each; what is none is left
 * out. */
void fac_decode_transactions(
	const struct x402_json *json, struct x402_buf *ret_hashes);
/* The median of eth_feeHistory's rewards. */
X402_MUST_USE bool fac_decode_fee_history(
	const struct x402_json *json, struct x402_u256 *ret_priority);

/*
 * Answer of eth_call or eth_getCode; bytes are appended to storage, and the
 * span is set when all answers are in.
 */
enum x402_answer_status fac_decode_read(
	const struct fac_rpc_answer *answer, struct x402_buf *ret_bytes);

/* Answer of eth_getTransactionCount or eth_getBalance: one word. */
enum x402_answer_status fac_decode_number(
	const struct fac_rpc_answer *answer, struct x402_buf *ret_bytes);

void fac_decode_send(const struct fac_rpc_answer *answer,
	const uint8_t hash32[32], struct fac_send_outcome *ret_outcome);

/* Logs in one receipt: a full multicall has a few hundred. */
#define FAC_RECEIPT_LOGS_MAX 4096
struct fac_receipt_storage {
	struct x402_log *logs;
	struct x402_buf data;
};
/* Fills *ret_receipt; clear the storage always. */
void fac_decode_receipt(const struct fac_rpc_answer *answer,
	const uint8_t hash32[32], struct fac_receipt_storage *storage,
	struct fac_chain_receipt *ret_receipt);
/* At most FAC_CHAIN_LOGS_MAX of them, each one that query asks for. */
enum x402_err fac_decode_logs(const struct fac_rpc_answer *answer,
	const struct fac_chain_logs_query *query,
	struct fac_chain_log *ret_logs, size_t *ret_logs_len);
/* input points into storage, which the caller clears. */
enum x402_err fac_decode_sent(const struct fac_rpc_answer *answer,
	const uint8_t hash32[32], struct x402_buf *storage,
	struct fac_chain_sent *ret_sent);
void fac_receipt_storage_clear(struct fac_receipt_storage *storage);

#endif
