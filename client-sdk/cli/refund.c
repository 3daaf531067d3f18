/*
 * refund.c: `x402 refund TRANSACTION`: gives back a payment that this wallet
 * was paid, once at most. The flags of limits and payer are those of `get`;
 * what is given back, and to whom, the chain says and no flag can.
 */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "x402/refund.h"

struct refund {
	struct cli_call call;
	struct cli_limit amount;
	struct x402_client_refund_options options;
	struct x402_client_refunded refunded;
	struct x402_client_response response;
};

/* ---- Flags. ---- */

static bool take_amount(struct refund *refund, const char *value)
{
	if (cli_limit_parse(value, &refund->amount)) {
		(void)cli_error(CLI_USAGE, "usage",
			"--amount: expected 0.05usd, '$0.05' or 50000atomic, "
			"got \"%s\"",
			value);
		return false;
	}
	if (refund->amount.has_atomic)
		refund->options.amount = &refund->amount.units;
	else
		refund->options.amount_usd_micros = refund->amount.usd_micros;
	return true;
}

static bool take(struct refund *refund, int key, const char *value)
{
	uint64_t nth = 0;
	switch (key) {
	case CLI_KEY_AMOUNT:
		return take_amount(refund, value);
	case CLI_KEY_PAYER:
		refund->options.payer = value;
		return true;
	case CLI_KEY_NTH:
		if (!cli_number("--nth", value, 100000, &nth))
			return false;
		refund->options.nth = (size_t)nth;
		return true;
	case CLI_KEY_DRY_RUN:
		refund->options.dry_run = true;
		return true;
	case CLI_KEY_FACILITATOR:
		refund->options.facilitator_url = value;
		return true;
	case CLI_KEY_RPC:
		refund->options.rpc_url = value;
		return true;
	case CLI_KEY_BLOCK:
		refund->options.block_tag = value;
		return true;
	default: /* the flags that verbs share */
		return cli_call_take(&refund->call, key, value) == CLI_TAKEN;
	}
}

static const char *or_environment(const char *flag, const char *name)
{
	const char *value = flag ? flag : getenv(name);
	return value && *value ? value : NULL;
}

static int read_flags(struct refund *refund, const struct cli_args *args)
{
	struct x402_client_refund_options *options = &refund->options;
	options->transaction = cli_operand(args, "transaction");
	if (!options->transaction)
		return CLI_USAGE;
	for (size_t i = 0; i < args->given_len; i++)
		if (!take(refund, args->given[i].key, args->given[i].value))
			return CLI_USAGE;
	options->facilitator_url = or_environment(
		options->facilitator_url, "FACILITATOR_URL");
	options->rpc_url = or_environment(options->rpc_url, "EVM_RPC_URL");
	options->headers = refund->call.request.headers;
	options->headers_len = refund->call.request.headers_len;
	if (refund->call.limit.has_atomic)
		options->max_unpriced = &refund->call.limit.units;
	if (!options->facilitator_url)
		return cli_error(CLI_CONFIG, "facilitator",
			"expected --facilitator URL or FACILITATOR_URL: who "
			"sends the refund");
	if (!options->rpc_url)
		return cli_error(CLI_CONFIG, "rpc_url",
			"expected --rpc-url URL or EVM_RPC_URL: a node of the "
			"chain that the payment is on");
	return CLI_OK;
}

/* ---- What came of it. ---- */

/* Before anything was signed: the payment itself was not in order. */
static int report_unjudged(enum x402_err err, const char *text)
{
	static const struct {
		enum x402_err err;
		enum cli_exit exit;
		const char *code;
	} rows[] = {
		{X402_ERR_INVALID_ARGUMENT, CLI_USAGE, "usage"},
		{X402_ERR_KEY, CLI_CONFIG, "no_key"},
		{X402_ERR_NETWORK, CLI_NETWORK, "network_error"},
		{X402_ERR_CHAIN, CLI_NETWORK, "chain_error"},
		{X402_ERR_NOT_FOUND, CLI_NOT_FOUND, "not_found"},
		{X402_ERR_POLICY, CLI_REFUSED, "payment_failed"},
		{X402_ERR_UNSUPPORTED, CLI_REFUSED, "not_refundable"},
	};
	/* Nothing was signed, and time alone mends it. */
	if (err == X402_ERR_TIMEOUT)
		return cli_error_retryable(
			CLI_NOT_FOUND, "payment_not_final", text);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].err == err)
			return cli_error(
				rows[i].exit, rows[i].code, "%s", text);
	return cli_error(CLI_GENERAL, "internal_error", "%s",
		*text ? text : x402_err_text(err));
}

static struct x402_json *describe(const struct refund *refund)
{
	const struct x402_client_refunded *refunded = &refund->refunded;
	const struct x402_client_payment *payment = &refund->response.payment;
	struct x402_json *answer = x402_json_new_object();
	char price[256];
	cli_put_bool(answer, "alreadyRefunded", refunded->already);
	if (refund->options.dry_run)
		cli_put_bool(answer, "dryRun", true);
	cli_put(answer, "network", refunded->network);
	cli_put(answer, "transaction", payment->transaction);
	cli_put(answer, "payer", refunded->payer);
	cli_put(answer, "asset", refunded->asset);
	/* What was signed, by this call or one before it. */
	cli_put(answer, "amount",
		payment->amount[0] ? payment->amount : refunded->amount);
	if (payment->amount[0]) {
		cli_format_price(payment, price, sizeof(price));
		cli_put(answer, "price", price);
	}
	cli_put(answer, "received", refunded->received);
	cli_put(answer, "of", refunded->of);
	if (payment->purchase)
		cli_put_int(answer, "paymentId", payment->purchase);
	return answer;
}

static int report(struct refund *refund, struct x402_json **ret_answer)
{
	struct x402_client_response *response = &refund->response;
	enum cli_exit exit = cli_exit_of(response);
	/* It is no article that was paid for: nobody can say that it came. */
	if (response->cause == X402_CLIENT_CAUSE_ALREADY_PAID)
		exit = CLI_UNKNOWN;
	/* A signer says more about a refusal than the library knows. */
	if (response->cause == X402_CLIENT_CAUSE_SIGNER &&
		cli_payer_reason()[0])
		(void)snprintf(response->error.text,
			sizeof(response->error.text), "%s", cli_payer_reason());
	if (response->cause == X402_CLIENT_CAUSE_NONE && !response->challenge)
		return cli_error(
			response->status == 200 ? CLI_REFUSED : CLI_NETWORK,
			"facilitator", "%s", response->error.text);
	if (exit != CLI_OK) {
		cli_report_error(response);
		return (int)exit;
	}
	*ret_answer = describe(refund);
	return CLI_OK;
}

static int perform(struct refund *refund, struct cli_payer *payer,
	struct x402_json **ret_answer)
{
	struct x402_journal *journal = NULL;
	struct x402_client *client = NULL;
	int exit = cli_call_client(&refund->call, payer, &journal, &client);
	if (!exit) {
		enum x402_err err = x402_client_refund(client, &refund->options,
			&refund->refunded, &refund->response);
		if (refund->refunded.already)
			*ret_answer = describe(refund);
		else if (!refund->refunded.judged)
			exit = report_unjudged(err, refund->refunded.text);
		else
			exit = report(refund, ret_answer);
	}
	x402_client_free(client);
	x402_journal_close(journal);
	refund->call.options.journal = NULL;
	refund->call.options.signer = NULL;
	return exit;
}

int cli_refund(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct refund refund = {.options = X402_CLIENT_REFUND_OPTIONS_INIT};
	struct cli_payer payer = {.signer = NULL};
	int exit = read_flags(&refund, args);
	if (!exit)
		exit = cli_payer_load(&refund.call.payer, &payer);
	if (!exit && !payer.signer)
		exit = cli_error(CLI_CONFIG, "no_key",
			"there is no wallet to give anything back from: "
			"--wallet, or EVM_PRIVATE_KEY_FILE");
	if (!exit)
		exit = perform(&refund, &payer, ret_answer);
	x402_client_response_clear(&refund.response);
	cli_payer_clear(&payer);
	cli_call_clear(&refund.call);
	return exit;
}
