/* Prices and numbers: what was read is written, and read again the same. */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned decimals = size > 0 ? data[0] % 90 : 0;
	char *text = size > 0 ? fuzz_text(data + 1, size - 1) : NULL;
	struct x402_u256 value;
	struct x402_u256 again;

	if (!text)
		return 0;
	if (x402_price_parse(text, decimals, &value) == X402_OK) {
		char out[200];

		must(x402_price_format(&value, decimals, out, sizeof(out)) > 0);
		must(x402_price_parse(out, decimals, &again) == X402_OK);
		must(x402_u256_cmp(&value, &again) == 0);
	}
	if (x402_u256_from_dec(text, &value) == X402_OK) {
		char out[X402_U256_DEC_SIZE];

		x402_u256_to_dec(&value, out);
		must(strcmp(out, text) == 0);
	}
	free(text);
	return 0;
}
