/*
 * svm_p.h: Solana's side of chain.h, and what its answers mean. The verbs are
 * those of chain.h on a chain of that family. Decoding is pure and strict: an
 * answer that cannot be true is a fault. Private to chain/.
 */
#ifndef FAC_CHAIN_SVM_P_H
#define FAC_CHAIN_SVM_P_H

#include "chain/rpc_p.h"

/* ---- svm_decode.c ---- */
/* A JSON number from 0 up. */
X402_MUST_USE bool fac_svm_decode_u64(
	const struct x402_json *json, uint64_t *ret_value);
/* getLatestBlockhash: number, hash32 and height. */
X402_MUST_USE bool fac_svm_decode_latest(
	const struct x402_json *json, struct fac_chain_block *ret_block);
/* getEpochInfo: number and height. */
X402_MUST_USE bool fac_svm_decode_epoch(
	const struct x402_json *json, struct fac_chain_block *ret_block);
/* getSignatureStatuses of so many; all FAULT when the answer is none. */
void fac_svm_decode_statuses(const struct fac_rpc_answer *answer,
	const uint8_t (*signatures64)[64], struct fac_chain_receipt *ret,
	size_t len);
/* sendTransaction: said is the first signature of what was sent. */
void fac_svm_decode_send(const struct fac_rpc_answer *answer,
	const uint8_t signature64[64], struct fac_send_outcome *ret_outcome);
/* simulateTransaction, getAccountInfo: bytes are appended to ret_bytes. */
enum x402_answer_status fac_svm_decode_simulation(
	const struct fac_rpc_answer *answer, struct x402_buf *ret_bytes);
enum x402_answer_status fac_svm_decode_account(
	const struct fac_rpc_answer *answer, struct x402_buf *ret_bytes);

/* ---- svm.c ---- */
void fac_svm_check(struct fac_rpc *rpc, const char *genesis,
	uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err, uint64_t chain_id),
	void *user);
void fac_svm_read(struct fac_rpc *rpc,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user);
void fac_svm_head(struct fac_rpc *rpc, uint64_t number, uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_block *block),
	void *user);
void fac_svm_signature(struct fac_rpc *rpc, const uint8_t signature64[64],
	uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *user);
/* The params of getSignatureStatuses, in the whole history of a node. */
void fac_svm_status_params(const uint8_t (*signatures64)[64],
	size_t signatures_len, struct x402_buf *params);
/* The params of sendTransaction; raw stays the caller's. */
void fac_svm_send_params(struct x402_span raw, struct x402_buf *params);

#endif
