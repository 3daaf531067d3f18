/* Base64: one byte string has one text. */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_buf bytes = {0};
	struct x402_buf text = {0};

	if (x402_base64_decode(x402_span(data, size), &bytes) == X402_OK) {
		x402_base64_encode(x402_buf_span(&bytes), &text);
		must(text.len == size);
		must(size == 0 || memcmp(text.ptr, data, size) == 0);
	}
	x402_buf_clear(&bytes);
	x402_buf_clear(&text);
	x402_base64_encode(x402_span(data, size), &text);
	must(x402_base64_decode(x402_buf_span(&text), &bytes) == X402_OK);
	must(bytes.len == size);
	x402_buf_clear(&bytes);
	x402_buf_clear(&text);
	return 0;
}
