/*
 * mcp.h: calling tools of other MCP servers, and paying for those that have a
 * price (protocol.md, M-01 to M-07, M-09).
 *
 * The server speaks streamable HTTP, or the older transport: an event stream,
 * and posts to where it says, within its origin. Whether the tool is paid for
 * follows the same rules as a URL's: one authorization for one call, limits,
 * the journal, and the same authorization again after a lost reply.
 *
 * Not for: servers on standard input and output; those are of this machine.
 * Thread rule: as in client.h.
 */
#ifndef X402_MCP_CALL_H
#define X402_MCP_CALL_H

#include "x402/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a server may answer to one message. */
#define X402_CLIENT_MCP_ANSWER_BYTES ((size_t)8 * 1024 * 1024)

struct x402_client_mcp_call {
	const char *url;  /* Required: the server's endpoint */
	const char *tool; /* Required */
	/* Optional: an object; borrowed. */
	const struct x402_json *arguments;
	/* Optional: such as Authorization; borrowed. */
	const struct x402_client_header *headers;
	size_t headers_len;
	/* As in struct x402_client_request. */
	const char *purchase_id;
	bool once;
	bool dry_run;
};

/*
 * Begin a session, call the tool, pay for it if need be. As
 * x402_client_fetch(): look at response->payment whatever comes back. The
 * tool's result (with its isError, a tool's own word) is *ret_result, owned by
 * the caller; NULL when none came: SCHEMA, and response->error says what the
 * server said, when nothing else is wrong. A dry run leaves the price in
 * response->payment.
 */
X402_API X402_MUST_USE enum x402_err x402_client_mcp_call(
	struct x402_client *client, const struct x402_client_mcp_call *call,
	struct x402_client_response *response, struct x402_json **ret_result);

#ifdef __cplusplus
}
#endif
#endif
