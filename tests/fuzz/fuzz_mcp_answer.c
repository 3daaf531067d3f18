/*
 * A tool's answer, as JSON or as a stream of events: what is taken for an
 * answer is one, and the first event that has one is found.
 */
#include "fuzz_house.h"
#include "mcp_call_p.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int stream = 0; stream < 2; stream++) {
		struct x402_json *answer = x402__mcp_answer(
			x402_span(data, size), stream != 0);

		if (answer)
			must(x402_json_has(answer, "result") ||
				x402_json_has(answer, "error"));
		x402_json_unref(answer);
	}
	return 0;
}
