/*
 * protocol.c: the Model Context Protocol as far as a server of tools needs it:
 * initialize, ping, tools/list, tools/call. Bytes in, a text out; no I/O but
 * what the tools do.
 */
#include <stdlib.h>
#include <string.h>

#include "mcp.h"

/* JSON-RPC 2.0. */
#define PARSE_ERROR      (-32700)
#define INVALID_REQUEST  (-32600)
#define METHOD_NOT_FOUND (-32601)
#define INVALID_PARAMS   (-32602)
#define INTERNAL_ERROR   (-32603)

/* Newest first: what a client does not know is answered with the first. */
static const char *const versions[] = {
	"2025-06-18", "2025-03-26", "2024-11-05"};

static const char instructions[] =
	"Pays for HTTP resources with x402 within the limits that the user set "
	"when the server was started; no tool can raise them. Use inspect to "
	"learn a price before fetch, and history or payment_status to see what "
	"was paid. A result with charged \"unknown\" may have cost money: call "
	"fetch with the same arguments again, which presents the same payment, "
	"rather than another request.";

static char *answer_of(const struct x402_json *id, const char *key,
	struct x402_json *value_taken)
{
	struct x402_json *answer = x402_json_new_object();
	bool ok = answer && value_taken;
	cli_put(answer, "jsonrpc", "2.0");
	if (x402_json_set_take(answer, "id",
		    id ? x402_json_ref(id) : x402_json_new_null()))
		ok = false;
	if (x402_json_set_take(answer, key, value_taken))
		ok = false;
	char *text = ok ? x402_json_dump(answer) : NULL;
	x402_json_unref(answer);
	if (!text)
		text = strdup("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{"
			      "\"code\":-32603,\"message\":\"out of "
			      "memory\"}}");
	return text;
}

static char *refuse(const struct x402_json *id, int code, const char *message)
{
	struct x402_json *error = x402_json_new_object();
	cli_put_int(error, "code", code);
	cli_put(error, "message", message);
	return answer_of(id, "error", error);
}

static struct x402_json *server_info(void)
{
	struct x402_json *info = x402_json_new_object();
	cli_put(info, "name", "x402");
	cli_put(info, "title", "x402 payments");
	cli_put(info, "version", X402_VERSION);
	return info;
}

static char *initialize(
	const struct x402_json *id, const struct x402_json *params)
{
	const char *asked = x402_json_get_string(params, "protocolVersion");
	const char *version = versions[0];
	struct x402_json *result = x402_json_new_object();
	struct x402_json *capabilities = x402_json_new_object();
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (asked && strcmp(asked, versions[i]) == 0)
			version = versions[i];
	bool ok = result && capabilities &&
		!x402_json_set_take(
			capabilities, "tools", x402_json_new_object());
	cli_put(result, "protocolVersion", version);
	if (x402_json_set_take(result, "capabilities", capabilities) ||
		x402_json_set_take(result, "serverInfo", server_info()))
		ok = false;
	cli_put(result, "instructions", instructions);
	if (ok)
		return answer_of(id, "result", result);
	x402_json_unref(result);
	return refuse(id, INTERNAL_ERROR, "out of memory");
}

static char *call_tool(
	const struct x402_json *id, const struct x402_json *params)
{
	struct x402_errinfo info = {{0}, {0}};
	const char *name = x402_json_get_string(params, "name");
	if (!name)
		return refuse(id, INVALID_PARAMS, "expected a tool's name");
	struct x402_json *result = mcp_tools_call(
		name, x402_json_get(params, "arguments"), &info);
	if (!result)
		return refuse(id, INVALID_PARAMS,
			info.text[0] ? info.text : "out of memory");
	return answer_of(id, "result", result);
}

static char *dispatch(const char *method, const struct x402_json *id,
	const struct x402_json *params)
{
	if (strcmp(method, "initialize") == 0)
		return initialize(id, params);
	if (strcmp(method, "ping") == 0)
		return answer_of(id, "result", x402_json_new_object());
	if (strcmp(method, "tools/list") == 0)
		return answer_of(id, "result", mcp_tools_list());
	if (strcmp(method, "tools/call") == 0)
		return call_tool(id, params);
	return refuse(id, METHOD_NOT_FOUND, "this server has tools only");
}

static bool is_id(const struct x402_json *id)
{
	enum x402_json_type type = x402_json_type(id);
	return type == X402_JSON_STRING || type == X402_JSON_INTEGER;
}

bool mcp_is_call(struct x402_span message)
{
	struct x402_json_limits limits = {.max_bytes = MCP_MESSAGE_MAX_BYTES};
	struct x402_json *json = NULL;
	if (x402_json_parse(message, &limits, NULL, &json))
		return false;
	const char *method = x402_json_get_string(json, "method");
	bool call = method && strcmp(method, "tools/call") == 0;
	x402_json_unref(json);
	return call;
}

char *mcp_answer(struct x402_span message)
{
	struct x402_json_limits limits = {.max_bytes = MCP_MESSAGE_MAX_BYTES};
	struct x402_json *json = NULL;
	char *answer = NULL;
	if (x402_json_parse(message, &limits, NULL, &json))
		return refuse(NULL, PARSE_ERROR, "this is no JSON");
	const char *version = x402_json_get_string(json, "jsonrpc");
	const char *method = x402_json_get_string(json, "method");
	const struct x402_json *id = x402_json_get(json, "id");
	bool response = x402_json_has(json, "result") ||
		x402_json_has(json, "error");
	if (!version || strcmp(version, "2.0") != 0 || (!method && !response) ||
		(id && !is_id(id)))
		answer = refuse(is_id(id) ? id : NULL, INVALID_REQUEST,
			"expected a JSON-RPC 2.0 request");
	else if (method && id)
		answer = dispatch(method, id, x402_json_get(json, "params"));
	x402_json_unref(json);
	return answer;
}
