/*
 * Multicall3: an answer's results lie inside it, and calls made of the input
 * can be taken apart again into the same.
 */
#include "fuzz_house.h"

#define CALLS_MAX 8

static void read_answer(const uint8_t *data, size_t size)
{
	struct x402_multicall_result results[CALLS_MAX];

	for (size_t n = 0; n <= CALLS_MAX; n++) {
		if (x402_multicall_aggregate3_read(
			    x402_span(data, size), results, n) != X402_OK)
			continue;
		for (size_t i = 0; i < n; i++) {
			must(results[i].data.ptr >= data);
			must(results[i].data.ptr + results[i].data.len <=
				data + size);
		}
	}
}

/* Of each call: a length byte, a flag byte, so many bytes. */
static size_t make_calls(const uint8_t *data, size_t size,
	struct x402_multicall_call calls[CALLS_MAX])
{
	size_t n = 0;

	while (size >= 2 && n < CALLS_MAX) {
		size_t len = data[0];
		struct x402_multicall_call *call = &calls[n++];

		memset(call, 0, sizeof(*call));
		memset(call->target.bytes, data[1], 20);
		call->allow_failure = data[1] & 1;
		data += 2;
		size -= 2;
		len = len < size ? len : size;
		call->calldata = x402_span(data, len);
		data += len;
		size -= len;
	}
	return n;
}

static size_t must_read_offset(struct x402_span data, size_t index)
{
	struct x402_u256 value;
	uint64_t offset;

	must(x402_abi_read_u256(data, index, &value) == X402_OK);
	must(x402_u256_to_u64(&value, &offset) && offset <= data.len);
	return (size_t)offset;
}

static void must_be_call(
	struct x402_span element, const struct x402_multicall_call *call)
{
	struct x402_address target;
	struct x402_span bytes;
	bool allow_failure;

	must(x402_abi_read_address(element, 0, &target) == X402_OK);
	must(x402_address_equal(&target, &call->target));
	must(x402_abi_read_bool(element, 1, &allow_failure) == X402_OK);
	must(allow_failure == call->allow_failure);
	must(x402_abi_read_bytes(element, 2, &bytes) == X402_OK);
	must(bytes.len == call->calldata.len);
	must(bytes.len == 0 ||
		memcmp(bytes.ptr, call->calldata.ptr, bytes.len) == 0);
}

static void take_apart(const struct x402_multicall_call *calls, size_t n)
{
	struct x402_buf buf = {0};
	struct x402_span array;

	x402_multicall_aggregate3_calldata(calls, n, &buf);
	if (!buf.failed) {
		must(buf.len % 32 == 4);
		array = x402_span(buf.ptr + 4, buf.len - 4);
		must(must_read_offset(array, 0) == 32);
		must(must_read_offset(array, 1) == n);
		array = x402_span(array.ptr + 64, array.len - 64);
		for (size_t i = 0; i < n; i++) {
			size_t offset = must_read_offset(array, i);

			must_be_call(x402_span(array.ptr + offset,
					     array.len - offset),
				&calls[i]);
		}
	}
	x402_buf_clear(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_multicall_call calls[CALLS_MAX];

	read_answer(data, size);
	take_apart(calls, make_calls(data, size, calls));
	return 0;
}
