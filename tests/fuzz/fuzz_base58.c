/* Base58: a text that is read is the only text of its bytes. */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	char again[X402_SVM_SIGNATURE_TEXT_SIZE];
	struct x402_svm_secret secret;
	struct x402_pubkey key;
	uint8_t signature[64];

	if (!text)
		return 0;
	if (x402_pubkey_parse(text, &key) == X402_OK) {
		x402_pubkey_format(&key, again);
		must(strcmp(again, text) == 0);
	}
	if (x402_base58_decode(text, signature, 64) == X402_OK) {
		x402_base58_encode(signature, 64, again);
		must(strcmp(again, text) == 0);
	}
	/* A wallet's key is taken only with its own public half. */
	if (x402_svm_secret_parse(text, &secret) == X402_OK) {
		key = x402_svm_secret_pubkey(&secret);
		must(x402_ed25519_sign(&secret, x402_span(data, size),
			     signature) == X402_OK);
		must(x402_ed25519_verify(
			signature, x402_span(data, size), &key));
	}
	free(text);
	return 0;
}
