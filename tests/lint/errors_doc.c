/*
 * Writes docs/errors.md from the two tables in x402/error.h, so that page and
 * code cannot drift: the lint suite compares them. To renew the page:
 *   ninja -C build errors-doc && build/tests/lint/errors-doc > docs/errors.md
 */
#include <stdio.h>

#include "x402/error.h"

static const char *blame_text(enum x402_blame blame)
{
	switch (blame) {
	case X402_BLAME_NOBODY:
		return "-";
	case X402_BLAME_CALLER:
		return "caller";
	case X402_BLAME_PEER:
		return "peer";
	case X402_BLAME_PAYER:
		return "payer";
	case X402_BLAME_CHAIN:
		return "chain";
	case X402_BLAME_US:
		return "us";
	}
	return "?";
}

static const enum x402_err errors[] = {
#define ENTRY(code, number, http, blame, retry, text) X402_ERR_##code,
	X402_ERROR_MAP(ENTRY)
#undef ENTRY
};

int main(void)
{
	printf("# Codes\n\n"
	       "Written from `libx402/include/x402/error.h`; do not edit.\n\n"
	       "## What a verdict says about a payment\n\n"
	       "The string stands in `invalidReason`, `errorReason` or "
	       "`error`.\n\n"
	       "| String | Meaning | Blame | Retry |\n|---|---|---|---|\n");
	for (int i = 1; i < X402_REASON_COUNT; i++) {
		enum x402_reason reason = (enum x402_reason)i;
		printf("| `%s` | %s | %s | `%s` |\n", x402_reason_wire(reason),
			x402_reason_text(reason),
			blame_text(x402_reason_blame(reason)),
			x402_retry_wire(x402_reason_retry(reason)));
	}
	printf("\n## What a library call fails with\n\n"
	       "A failure means that nothing was decided.\n\n"
	       "| Code | Number | Meaning | HTTP | Blame | Retry |\n"
	       "|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		enum x402_err err = errors[i];
		printf("| `%s` | %d | %s | %d | %s | `%s` |\n",
			x402_err_name(err), (int)err, x402_err_text(err),
			x402_err_http_status(err),
			blame_text(x402_err_blame(err)),
			x402_retry_wire(x402_err_retry(err)));
	}
	return 0;
}
