/*
 * Keystore files, as far as no password is needed: what is read is bounded,
 * and a file that says an address says a whole one.
 */
#include "fuzz_house.h"
#include "x402/wallet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_keystore_info keystore = {0};
	struct x402_errinfo info = {{0}, {0}};
	enum x402_err err = x402_keystore_describe(
		x402_span(data, size), &info, &keystore);

	if (err && err != X402_ERR_NOMEM)
		must(info.text[0] != '\0');
	if (!err)
		must(size <= X402_KEYSTORE_MAX_BYTES);
	return 0;
}
