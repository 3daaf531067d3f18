/*
 * remote.c: `x402 mcp call URL`, and the tool call_tool: tools of other MCP
 * servers, paid for by the same limits as URLs.
 */
#include <stdlib.h>
#include <string.h>

#include "mcp.h"
#include "x402/mcp.h"

static int read_arguments(
	const struct cli_args *args, struct x402_json **ret_arguments)
{
	const char *text = cli_arg(args, CLI_KEY_ARGUMENTS);
	struct x402_errinfo info = {{0}, {0}};
	if (!text)
		return CLI_OK;
	if (x402_json_parse(x402_span_str(text), NULL, &info, ret_arguments) ||
		x402_json_type(*ret_arguments) != X402_JSON_OBJECT)
		return cli_error(CLI_USAGE, "usage",
			"arguments: expected an object as JSON, got \"%.100s\"",
			text);
	return CLI_OK;
}

/* What a payment cost, beside what the tool said. */
static struct x402_json *describe(const struct x402_client_response *response,
	struct x402_json *result_taken)
{
	struct x402_json *answer = x402_json_new_object();
	if (result_taken && x402_json_set_take(answer, "result", result_taken))
		cli_put(answer, "result", "out of memory");
	if (response->payment.attempted &&
		x402_json_set_take(
			answer, "payment", cli_receipt_json(response)))
		cli_put(answer, "payment", "out of memory");
	return answer;
}

static int perform(struct cli_call *call, struct cli_payer *payer,
	const struct x402_client_mcp_call *asked,
	struct x402_client_response *response, struct x402_json **ret_answer)
{
	struct x402_journal *journal = NULL;
	struct x402_client *client = NULL;
	struct x402_json *result = NULL;
	int exit = cli_call_client(call, payer, &journal, &client);
	if (!exit) {
		enum x402_err err = x402_client_mcp_call(
			client, asked, response, &result);
		exit = (int)cli_exit_of(response);
		if (!exit && err)
			exit = cli_error(CLI_GENERAL, "tool_failed", "%s",
				response->error.text);
		else if (exit)
			cli_report_error(response);
		else if (asked->dry_run)
			*ret_answer = cli_inspect_json(response);
	}
	if (!*ret_answer && (!exit || response->payment.attempted))
		*ret_answer = describe(response, result);
	else
		x402_json_unref(result);
	x402_client_free(client);
	x402_journal_close(journal);
	call->options.journal = NULL;
	call->options.signer = NULL;
	return exit;
}

static int take(const struct cli_args *args, struct cli_call *call)
{
	for (size_t i = 0; i < args->given_len; i++) {
		int key = args->given[i].key;
		if (key == CLI_KEY_TOOL_NAME || key == CLI_KEY_ARGUMENTS ||
			key == CLI_KEY_DRY_RUN)
			continue;
		if (key == CLI_KEY_MAX_AMOUNT && cli_process_payer) {
			if (!mcp_lower_limit(call, args->given[i].value))
				return CLI_USAGE;
			continue;
		}
		if (cli_call_take(call, key, args->given[i].value) != CLI_TAKEN)
			return CLI_USAGE;
	}
	return CLI_OK;
}

int cli_mcp_call(const struct cli_args *args, struct x402_json **ret_answer)
{
	/* In the server limits and payer are its own. */
	struct cli_call call = {.max_spend_usd_micros = 0};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct cli_payer own = {.signer = NULL};
	struct x402_json *arguments = NULL;
	if (cli_process_payer)
		call = mcp_server.flags;
	const char *url = cli_operand(args, "URL");
	const char *tool = cli_arg(args, CLI_KEY_TOOL_NAME);
	int exit = url ? take(args, &call) : CLI_USAGE;
	if (!exit && !tool)
		exit = cli_error(
			CLI_USAGE, "usage", "mcp call: expected --tool NAME");
	if (!exit)
		exit = read_arguments(args, &arguments);
	if (!exit && !cli_process_payer)
		exit = cli_payer_load(&call.payer, &own);
	struct x402_client_mcp_call asked = {.url = url,
		.tool = tool,
		.arguments = arguments,
		.headers = call.request.headers,
		.headers_len = call.request.headers_len,
		.purchase_id = call.id,
		.once = call.id != NULL,
		.dry_run = cli_has(args, CLI_KEY_DRY_RUN)};
	if (!exit)
		exit = perform(&call,
			cli_process_payer ? &mcp_server.payer : &own, &asked,
			&response, ret_answer);
	x402_client_response_clear(&response);
	x402_json_unref(arguments);
	cli_payer_clear(&own);
	cli_call_clear(&call);
	return exit;
}
