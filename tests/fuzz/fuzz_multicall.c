/*
 * Multicall3: an answer's results and a calldata's calls lie inside them, and
 * calls made of the input can be taken apart again into the same.
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

static void read_calls(const uint8_t *data, size_t size)
{
	struct x402_multicall_call call;

	for (size_t i = 0; i <= CALLS_MAX; i++) {
		if (x402_multicall_aggregate3_call(
			    x402_span(data, size), i, &call) != X402_OK)
			continue;
		must(call.calldata.ptr >= data);
		must(call.calldata.ptr + call.calldata.len <= data + size);
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

static void take_apart(const struct x402_multicall_call *calls, size_t n)
{
	struct x402_multicall_call call;
	struct x402_buf buf = {0};

	x402_multicall_aggregate3_calldata(calls, n, &buf);
	for (size_t i = 0; i < n && !buf.failed; i++) {
		must(x402_multicall_aggregate3_call(
			     x402_buf_span(&buf), i, &call) == X402_OK);
		must(x402_address_equal(&call.target, &calls[i].target));
		must(call.allow_failure == calls[i].allow_failure);
		must(call.calldata.len == calls[i].calldata.len);
		must(call.calldata.len == 0 ||
			memcmp(call.calldata.ptr, calls[i].calldata.ptr,
				call.calldata.len) == 0);
	}
	if (!buf.failed)
		must(x402_multicall_aggregate3_call(x402_buf_span(&buf), n,
			     &call) == X402_ERR_NOT_FOUND);
	x402_buf_clear(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_multicall_call calls[CALLS_MAX];

	read_answer(data, size);
	read_calls(data, size);
	take_apart(calls, make_calls(data, size, calls));
	return 0;
}
