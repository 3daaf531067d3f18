/*
 * What a stranger's contract says when it reverts: at any size of the text it
 * is ended, clean, and the beginning of the text at full size.
 */
#include "fuzz_house.h"

static void must_be_clean(const char *text)
{
	for (; *text; text++)
		must(*text >= 0x20 && *text < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_span input = x402_span(data, size);
	enum x402_reason reason;
	char full[512];
	char cut[40];

	memset(full, 0x55, sizeof(full));
	x402_abi_revert_text(input, full, sizeof(full));
	must(memchr(full, '\0', sizeof(full)) != NULL);
	must_be_clean(full);
	/* Without a selector there is nothing to say. */
	must(size >= 4 || full[0] == '\0');
	for (size_t n = 0; n < sizeof(cut); n++) {
		memset(cut, 0x55, sizeof(cut));
		x402_abi_revert_text(input, cut, n);
		for (size_t i = n; i < sizeof(cut); i++)
			must(cut[i] == 0x55);
		if (n == 0)
			continue;
		must(strlen(cut) < n);
		must(strncmp(cut, full, strlen(cut)) == 0);
		must(strlen(cut) == n - 1 || strlen(cut) == strlen(full));
	}
	reason = x402_settle_revert_reason(input);
	must(reason != X402_REASON_NONE);
	/* A used nonce may mean that the money moved: not said lightly. */
	if (reason == X402_REASON_EVM_NONCE_ALREADY_USED)
		must(size >= 4 + 2 * 32);
	return 0;
}
