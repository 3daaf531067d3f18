/*
 * abi.h: Solidity ABI coding: what our own calls and answers need.
 *
 * Writing: append words and dynamic tails to a struct x402_buf. Reading: a
 * bounds-checked reader over returned data; offsets and lengths from the
 * chain are never trusted.
 * Thread rule: pure functions.
 */
#ifndef X402_ABI_H
#define X402_ABI_H

#include "x402/amount.h"
#include "x402/evm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* First four bytes of keccak256(signature). */
X402_API void x402_abi_selector(
	const char *signature, uint8_t ret_selector4[4]);

X402_API void x402_abi_add_selector(
	struct x402_buf *buf, const uint8_t selector4[4]);
X402_API void x402_abi_add_u256(
	struct x402_buf *buf, const struct x402_u256 *value);
X402_API void x402_abi_add_u64(struct x402_buf *buf, uint64_t value);
X402_API void x402_abi_add_address(
	struct x402_buf *buf, const struct x402_address *address);
X402_API void x402_abi_add_word(struct x402_buf *buf, const uint8_t word32[32]);
/* The tail of a dynamic bytes: length word, bytes, zero padding. */
X402_API void x402_abi_add_bytes_tail(
	struct x402_buf *buf, struct x402_span bytes);

/* Word number index of data. SYNTAX when data is too short. */
X402_API X402_MUST_USE enum x402_err x402_abi_read_word(
	struct x402_span data, size_t index, uint8_t ret_word32[32]);
X402_API X402_MUST_USE enum x402_err x402_abi_read_u256(
	struct x402_span data, size_t index, struct x402_u256 *ret_value);
/* SYNTAX also when the upper 12 bytes are not zero. */
X402_API X402_MUST_USE enum x402_err x402_abi_read_address(
	struct x402_span data, size_t index, struct x402_address *ret_address);
/* SYNTAX unless the word is 0 or 1. */
X402_API X402_MUST_USE enum x402_err x402_abi_read_bool(
	struct x402_span data, size_t index, bool *ret_value);
/*
 * A dynamic bytes or string whose offset stands in word index, relative to
 * the start of data. The span points into data. SYNTAX if out of bounds.
 */
X402_API X402_MUST_USE enum x402_err x402_abi_read_bytes(
	struct x402_span data, size_t index, struct x402_span *ret_bytes);

/* Multicall3 (protocol.md 2.5), whose address is the same on every chain. */
X402_API const struct x402_address *x402_multicall3(void);
struct x402_multicall_call {
	struct x402_address target;
	struct x402_span calldata;
	bool allow_failure;
};
struct x402_multicall_result {
	bool success;
	struct x402_span data; /* into the answer */
};
/* At most this many calls in one request of ours. */
#define X402_MULTICALL_MAX 1024
X402_API void x402_multicall_aggregate3_calldata(
	const struct x402_multicall_call *calls, size_t calls_len,
	struct x402_buf *buf);
/*
 * The index-th call of such calldata; its calldata points into the input.
 * NOT_FOUND behind the last one; SYNTAX where it is no call of aggregate3.
 */
X402_API X402_MUST_USE enum x402_err x402_multicall_aggregate3_call(
	struct x402_span calldata, size_t index,
	struct x402_multicall_call *ret_call);
/* SYNTAX unless the answer holds exactly results_len well-formed results. */
X402_API X402_MUST_USE enum x402_err x402_multicall_aggregate3_read(
	struct x402_span answer, struct x402_multicall_result *ret_results,
	size_t results_len);

/*
 * A revert's text for a person and for the rules of F-054: the string of
 * Error(string), the name of a custom error from the table in 2.5, else the
 * selector in hex. Control characters are replaced. Always NUL-terminated.
 */
X402_API void x402_abi_revert_text(
	struct x402_span revert_data, char *ret_text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
