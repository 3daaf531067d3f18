/*
 * mcp.h: the MCP server inside `x402 mcp`: JSON-RPC in, JSON-RPC out, whatever
 * carries it; and the tools, which are commands of the table.
 *
 * No tool can raise a limit: what the server was started with is the most that
 * any call may spend, and arguments of a call only lower it.
 */
#ifndef X402_MCP_H
#define X402_MCP_H

#include "call.h"

/* A request with a body to send; beyond it is no tool call. */
#define MCP_MESSAGE_MAX_BYTES ((size_t)4 * 1024 * 1024)
/* What fetch hands to a model: more would not fit into its context. */
#define MCP_BODY_MAX_BYTES ((size_t)1024 * 1024)

/*
 * What all calls of a server share. Set once, before the first message; each
 * call works on a copy of flags.
 */
struct mcp_server {
	struct cli_call flags; /* limits and payer of the command line */
	struct cli_payer payer;
};
extern struct mcp_server mcp_server;

/* Calls that run at once; more wait. A model asks for a handful at a time. */
#define MCP_CALLS_MAX 8

/*
 * Answer one message. NULL: there is nothing to answer (a notification, a
 * response). Several threads may answer at once.
 */
char *mcp_answer(struct x402_span message);
/* Does this message call a tool? That takes its time; all else does not. */
bool mcp_is_call(struct x402_span message);

/* The value of tools/list. NULL when memory is out. */
struct x402_json *mcp_tools_list(void);
/*
 * The result of a call. NULL: there is no such tool, or the arguments are not
 * its own; info then says what was expected.
 */
struct x402_json *mcp_tools_call(const char *name,
	const struct x402_json *arguments, struct x402_errinfo *info);

/*
 * The server's limit for a payment, or what a call asks for where that is
 * less. False with the error reported.
 */
bool mcp_lower_limit(struct cli_call *call, const char *text);

/* Carriers. Both return an exit code. */
int mcp_stdio_run(void);
int mcp_http_run(unsigned port);

#endif
