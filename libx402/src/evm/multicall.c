/*
 * Multicall3 aggregate3: an array of (address, bool, bytes) in, an array of
 * (bool, bytes) out. Both arrays hold dynamic tuples, so each element has an
 * offset that is relative to the start of the offsets.
 */
#include "x402/abi.h"

static const struct x402_address contract = {
	{0xca, 0x11, 0xbd, 0xe0, 0x59, 0x77, 0xb3, 0x63, 0x11, 0x67, 0x02, 0x88,
		0x62, 0xbe, 0x2a, 0x17, 0x39, 0x76, 0xca, 0x11}};
static const uint8_t selector_aggregate3[4] = {0x82, 0xad, 0x56, 0xcb};

const struct x402_address *x402_multicall3(void)
{
	return &contract;
}

static size_t padded(size_t len)
{
	return (len + 31) / 32 * 32;
}

/* An element: target, flag, offset of the bytes, length, padded bytes. */
static size_t call_size(const struct x402_multicall_call *call)
{
	return 4 * 32 + padded(call->calldata.len);
}

void x402_multicall_aggregate3_calldata(const struct x402_multicall_call *calls,
	size_t calls_len, struct x402_buf *buf)
{
	size_t offset = 32 * calls_len;
	size_t size = 4 + 2 * 32 + offset;

	for (size_t i = 0; i < calls_len; i++)
		size += call_size(&calls[i]);
	x402_buf_reserve(buf, size);
	x402_abi_add_selector(buf, selector_aggregate3);
	x402_abi_add_u64(buf, 32);
	x402_abi_add_u64(buf, calls_len);
	for (size_t i = 0; i < calls_len; i++) {
		x402_abi_add_u64(buf, offset);
		offset += call_size(&calls[i]);
	}
	for (size_t i = 0; i < calls_len; i++) {
		x402_abi_add_address(buf, &calls[i].target);
		x402_abi_add_u64(buf, calls[i].allow_failure);
		x402_abi_add_u64(buf, 3 * 32);
		x402_abi_add_bytes_tail(buf, calls[i].calldata);
	}
}

/* data from the offset in word index on; the offset must lie within. */
static enum x402_err follow(
	struct x402_span data, size_t index, struct x402_span *ret_rest)
{
	struct x402_u256 value;
	uint64_t offset;
	enum x402_err err = x402_abi_read_u256(data, index, &value);

	if (err)
		return err;
	if (!x402_u256_to_u64(&value, &offset) || offset > data.len)
		return X402_ERR_SYNTAX;
	*ret_rest = x402_span(data.ptr + offset, data.len - (size_t)offset);
	return X402_OK;
}

/* The array whose offset stands first: its length, and its elements. */
static enum x402_err read_array(struct x402_span data, uint64_t *ret_len,
	struct x402_span *ret_elements)
{
	struct x402_span array;
	struct x402_u256 count;
	enum x402_err err = follow(data, 0, &array);

	if (!err)
		err = x402_abi_read_u256(array, 0, &count);
	if (err)
		return err;
	if (!x402_u256_to_u64(&count, ret_len))
		return X402_ERR_SYNTAX;
	*ret_elements = x402_span(array.ptr + 32, array.len - 32);
	return X402_OK;
}

enum x402_err x402_multicall_aggregate3_call(struct x402_span calldata,
	size_t index, struct x402_multicall_call *ret_call)
{
	struct x402_multicall_call call;
	struct x402_span array;
	struct x402_span element;
	uint64_t n;
	enum x402_err err;

	if (calldata.len < 4 || memcmp(calldata.ptr, selector_aggregate3, 4))
		return X402_ERR_SYNTAX;
	err = read_array(
		x402_span(calldata.ptr + 4, calldata.len - 4), &n, &array);
	if (!err && index >= n)
		return X402_ERR_NOT_FOUND;
	if (!err)
		err = follow(array, index, &element);
	if (!err)
		err = x402_abi_read_address(element, 0, &call.target);
	if (!err)
		err = x402_abi_read_bool(element, 1, &call.allow_failure);
	if (!err)
		err = x402_abi_read_bytes(element, 2, &call.calldata);
	if (!err)
		*ret_call = call;
	return err;
}

enum x402_err x402_multicall_aggregate3_read(struct x402_span answer,
	struct x402_multicall_result *ret_results, size_t results_len)
{
	struct x402_span array;
	uint64_t n;
	enum x402_err err = read_array(answer, &n, &array);

	if (err)
		return err;
	if (n != results_len)
		return X402_ERR_SYNTAX;
	for (size_t i = 0; i < results_len && !err; i++) {
		struct x402_span element;

		err = follow(array, i, &element);
		if (!err)
			err = x402_abi_read_bool(
				element, 0, &ret_results[i].success);
		if (!err)
			err = x402_abi_read_bytes(
				element, 1, &ret_results[i].data);
	}
	return err;
}
