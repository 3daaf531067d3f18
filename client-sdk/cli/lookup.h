/*
 * lookup.h: questions to services that cost nothing: JSON over HTTP, without
 * a key, so that no answer can make the client pay.
 */
#ifndef X402_CLI_LOOKUP_H
#define X402_CLI_LOOKUP_H

#include "cli.h"

/*
 * GET, or POST when there is a body. *ret_json is NULL when the answer is no
 * JSON. CLI_OK whatever the status; else the error is reported.
 */
int cli_lookup(const char *url, const char *body, long *ret_status,
	struct x402_json **ret_json);
/* JSON-RPC: the result, owned by the caller. */
int cli_rpc(const char *url, const char *method, const char *params,
	struct x402_json **ret_result);

#endif
