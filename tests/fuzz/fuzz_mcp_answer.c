/*
 * A tool's answer, as JSON or as a stream of events: what is taken for an
 * answer is one, and the first event that has one is found.
 */
#include "fuzz_house.h"
#include "mcp_call_p.h"
#include "mcp_sse_p.h"

/* Event by event: each is within the bytes, and all of it is passed over. */
static void take_events(const uint8_t *data, size_t size)
{
	struct x402__sse_event event;
	size_t at = 0;

	while (x402__sse_take(x402_span(data + at, size - at), &event)) {
		must(event.len > 0 && event.len <= size - at);
		must(event.data.len < event.len);
		must(memchr(event.name, '\0', sizeof(event.name)) != NULL);
		x402_buf_clear(&event.data);
		at += event.len;
	}
}

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
	take_events(data, size);
	return 0;
}
