/* Hex, addresses and private keys. */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct x402_address address;
	struct x402_secret secret;
	struct x402_buf bytes = {0};

	if (!text)
		return 0;
	if (x402_hex_decode(text, &bytes) == X402_OK)
		must(2 * bytes.len + 2 == strlen(text));
	x402_buf_clear(&bytes);
	if (x402_address_parse(text, &address) == X402_OK) {
		char again[X402_ADDRESS_TEXT_SIZE];
		struct x402_address same;

		x402_address_format(&address, again);
		must(x402_address_parse_checked(again, &same) == X402_OK);
		must(x402_address_equal(&address, &same));
	}
	if (x402_secret_parse(text, &secret) == X402_OK)
		x402_secret_clear(&secret);
	free(text);
	return 0;
}
