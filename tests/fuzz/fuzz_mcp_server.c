/*
 * The MCP server's door: whatever a model, or a page behind it, writes into a
 * message. Network and journal are played here, and hold the promise that no
 * tool can raise a limit: every client that is made has the server's own
 * limits or less, its session's budget, its payer and public addresses only.
 *
 * These definitions go before the client library's own, for the command is
 * linked to the shared one.
 */
#include "fuzz_house.h"
#include "mcp.h"
#include "x402/mcp.h"

#define MOST_USD_MICROS 2000

static struct x402_client_options made;

enum x402_err x402_client_new(const struct x402_client_options *options,
	struct x402_client **ret_client)
{
	static char client;

	made = *options;
	*ret_client = (struct x402_client *)(void *)&client;
	return X402_OK;
}

void x402_client_free(struct x402_client *client)
{
	must(client != NULL);
}

/* With a key only inside all limits; without one, nothing can be paid. */
static void check(bool dry_run)
{
	if (!made.signer && !made.key && !made.svm_key && !made.svm_signer)
		return;
	must(made.max_usd_micros > 0 && made.max_usd_micros <= MOST_USD_MICROS);
	must(made.allowed_assets_len == 0);
	must(made.networks_len == 1);
	must(made.public_only && !made.allow_http && !made.insecure_tls &&
		!made.allow_other_origin);
	if (dry_run)
		return;
	must(made.budgets_len == 1 &&
		made.budgets[0].max_usd_micros == MOST_USD_MICROS &&
		made.budgets[0].window == X402_BUDGET_SESSION);
	must(made.journal != NULL && made.session && *made.session);
}

enum x402_err x402_client_fetch(struct x402_client *client,
	const struct x402_client_request *request,
	struct x402_client_response *response)
{
	must(client && request->url);
	check(request->dry_run);
	must(!request->buy_again);
	/* Half of what comes back is text and half is not. */
	response->status = 200;
	x402_buf_add_str(&response->body,
		strlen(request->url) & 1 ? "text" : "\xff\xfe");
	return response->body.failed ? X402_ERR_NOMEM : X402_OK;
}

enum x402_err x402_client_mcp_call(struct x402_client *client,
	const struct x402_client_mcp_call *call,
	struct x402_client_response *response, struct x402_json **ret_result)
{
	must(client && call->url && call->tool);
	check(call->dry_run);
	response->status = 200;
	*ret_result = x402_json_new_object();
	return *ret_result ? X402_OK : X402_ERR_NOMEM;
}

enum x402_err x402_journal_open(const struct x402_journal_options *options,
	struct x402_errinfo *info, struct x402_journal **ret_journal)
{
	static char journal;

	(void)options;
	(void)info;
	*ret_journal = (struct x402_journal *)(void *)&journal;
	return X402_OK;
}

void x402_journal_close(struct x402_journal *journal)
{
	(void)journal;
}

enum x402_err x402_journal_list(struct x402_journal *journal,
	const struct x402_journal_filter *filter,
	bool (*each)(void *user, const struct x402_purchase *purchase),
	void *user)
{
	must(journal && filter && each && user);
	return X402_OK;
}

enum x402_err x402_journal_get(struct x402_journal *journal, int64_t number,
	struct x402_purchase *ret_purchase)
{
	must(journal && ret_purchase && number >= 0);
	return X402_ERR_NOT_FOUND;
}

enum x402_err x402_journal_budgets(struct x402_journal *journal,
	const char *session,
	bool (*each)(void *user, const struct x402_budget_use *use), void *user)
{
	(void)session;
	must(journal && each && user);
	return X402_OK;
}

enum x402_err x402_journal_budget_used(struct x402_journal *journal,
	const struct x402_budget *budget, const char *session,
	struct x402_budget_use *ret_use)
{
	must(journal && budget && session);
	*ret_use = (struct x402_budget_use){.budget = *budget};
	return X402_OK;
}

static void set_up(void)
{
	static struct x402_budget budget = {.scope = X402_BUDGET_ALL,
		.window = X402_BUDGET_SESSION,
		.max_usd_micros = MOST_USD_MICROS};
	struct x402_secret key = {{[31] = 1}};

	(void)unsetenv("EVM_RPC_URL");
	must(x402_signer_from_key(&key, &mcp_server.payer.signer) == X402_OK);
	mcp_server.payer.guarded = *x402_signer_client(mcp_server.payer.signer);
	mcp_server.flags.limit.usd_micros = MOST_USD_MICROS;
	mcp_server.flags.max_spend_usd_micros = MOST_USD_MICROS;
	must(cli_call_take(&mcp_server.flags, CLI_KEY_NETWORK,
		     "eip155:84532") == CLI_TAKEN);
	must(cli_call_take(&mcp_server.flags, CLI_KEY_ASSET,
		     "0x036CbD53842c5426634e7929541eC2318f3dCF7e") ==
		CLI_TAKEN);
	must(cli_call_take(&mcp_server.flags, CLI_KEY_PUBLIC_ONLY, NULL) ==
		CLI_TAKEN);
	cli_process_payer = &mcp_server.payer;
	cli_process_budget = &budget;
	cli_process_public_only = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_json *json = NULL;

	if (!cli_process_payer)
		set_up();
	bool call = mcp_is_call(x402_span(data, size));
	char *answer = mcp_answer(x402_span(data, size));
	if (call)
		must(x402_json_parse(x402_span(data, size), NULL, NULL,
			     &json) == X402_OK);
	x402_json_unref(json);
	json = NULL;
	if (answer) {
		must(x402_json_parse(x402_span_str(answer), NULL, NULL,
			     &json) == X402_OK);
		must(x402_json_has(json, "result") !=
			x402_json_has(json, "error"));
		must(!strchr(answer, '\n'));
	}
	x402_json_unref(json);
	free(answer);
	return 0;
}
