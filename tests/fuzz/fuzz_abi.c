/* ABI answers: no offset or length leads out of the input. */
#include "fuzz_house.h"

static void must_be_inside(
	const uint8_t *data, size_t size, struct x402_span part)
{
	must(part.len <= size);
	must(part.len == 0 ||
		(part.ptr >= data && part.ptr + part.len <= data + size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_span input = x402_span(data, size);
	struct x402_multicall_result results[4];
	struct x402_address address;
	struct x402_u256 value;
	struct x402_span bytes;
	char text[64];
	bool flag;

	for (size_t i = 0; i < 4; i++) {
		if (x402_abi_read_bytes(input, i, &bytes) == X402_OK)
			must_be_inside(data, size, bytes);
		if (x402_abi_read_bool(input, i, &flag) == X402_OK)
			must(x402_abi_read_u256(input, i, &value) == X402_OK);
		if (x402_abi_read_address(input, i, &address) == X402_OK)
			must(x402_abi_read_u256(input, i, &value) == X402_OK);
	}
	for (size_t n = 1; n <= 4; n++) {
		if (x402_multicall_aggregate3_read(input, results, n) !=
			X402_OK)
			continue;
		for (size_t i = 0; i < n; i++)
			must_be_inside(data, size, results[i].data);
	}
	x402_abi_revert_text(input, text, sizeof(text));
	must(memchr(text, '\0', sizeof(text)) != NULL);
	for (const char *p = text; *p; p++)
		must(*p >= 0x20 && *p < 0x7f);
	(void)x402_settle_revert_reason(input);
	return 0;
}
