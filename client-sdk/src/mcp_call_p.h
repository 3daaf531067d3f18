/*
 * mcp_call_p.h: what a server's answer to tools/call is read with, private.
 */
#ifndef X402_CLIENT_MCP_CALL_P_H
#define X402_CLIENT_MCP_CALL_P_H

#include "x402/json.h"

/*
 * The first JSON-RPC response in a body: the body itself, or the data of an
 * event of a stream. NULL when there is none. The caller owns it.
 */
struct x402_json *x402__mcp_answer(struct x402_span body, bool stream);

#endif
