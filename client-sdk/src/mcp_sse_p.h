/*
 * mcp_sse_p.h: the older transport of MCP (M-09): answers come on an event
 * stream that stays open, messages go to an address that the stream names
 * first. Private.
 */
#ifndef X402_CLIENT_MCP_SSE_P_H
#define X402_CLIENT_MCP_SSE_P_H

#include "client_p.h"

struct x402__mcp_stream; /* opaque: one session */

struct x402__mcp_stream_options {
	const struct x402_client_options *client;
	const char *url; /* of the stream */
	const struct x402_client_header *headers;
	size_t headers_len;
	const char *initialize; /* the two messages that begin a session */
	const char *initialized;
	int64_t deadline_ms;
};

/*
 * Open the stream and begin a session; all is borrowed for the call. NETWORK
 * when it is none or does not answer, POLICY when it names another origin for
 * its messages, CANCELLED, TIMEOUT, NOMEM.
 */
X402_MUST_USE enum x402_err x402__mcp_stream_new(
	const struct x402__mcp_stream_options *options,
	struct x402__mcp_stream **ret_stream);
void x402__mcp_stream_free(struct x402__mcp_stream *stream);
/* Where messages go. */
const char *x402__mcp_stream_endpoint(const struct x402__mcp_stream *stream);
/* It has come to its end: nothing more is heard. */
bool x402__mcp_stream_has_ended(const struct x402__mcp_stream *stream);
/* The next answer to id; NULL when none comes in time. */
struct x402_json *x402__mcp_stream_answer(
	struct x402__mcp_stream *stream, int64_t id, int64_t deadline_ms);

/* One event at the front of text, for tests: false, none is whole. */
struct x402__sse_event {
	size_t len;           /* of text, with the empty line behind it */
	char name[16];        /* "" when it has none, or a longer one */
	struct x402_buf data; /* owned */
};
X402_MUST_USE bool x402__sse_take(
	struct x402_span text, struct x402__sse_event *ret_event);

#endif
