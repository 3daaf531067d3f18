/*
 * call.c: from flags to a client. The limits of the flags are the limits of
 * the library; nothing here decides about a payment except the asset filter,
 * which knows symbols, and the question on the terminal (--confirm).
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "call.h"

/* A body larger than this is for a tool that writes while it reads. */
#define BODY_MAX_BYTES ((size_t)256 * 1024 * 1024)

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	if (interrupted < 2)
		interrupted++;
}

/* A crawl ends what is under way; the second signal ends that too. */
static bool is_interrupted_twice(void *user)
{
	(void)user;
	return interrupted > 1;
}

bool cli_interrupted(void)
{
	return interrupted != 0;
}

void cli_interrupt(void)
{
	interrupted = 1;
}

static bool is_interrupted(void *user)
{
	(void)user;
	return interrupted != 0;
}

/* "2", "0.5": seconds to milliseconds, without a float. */
static bool parse_seconds(const char *text, long *ret_ms)
{
	struct x402_u256 ms;
	uint64_t value;
	if (text[0] == '$' || x402_price_parse(text, 3, &ms) ||
		!x402_u256_to_u64(&ms, &value) || value == 0 ||
		value > (uint64_t)24 * 3600 * 1000)
		return false;
	*ret_ms = (long)value;
	return true;
}

static bool parse_count(const char *text, unsigned *ret_count)
{
	char *end = NULL;
	unsigned long value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || value > 100)
		return false;
	*ret_count = (unsigned)value;
	return true;
}

static enum cli_taken reject(
	const char *option, const char *expected, const char *value)
{
	(void)cli_error(CLI_USAGE, "usage", "%s: expected %s, got \"%s\"",
		option, expected, value);
	return CLI_REJECTED;
}

static enum cli_taken take_network(struct cli_call *call, const char *value)
{
	const char *caip2 = x402_network_from_v1_name(value);
	if (!caip2)
		caip2 = value;
	if (!strchr(caip2, ':') ||
		call->options.networks_len >= CLI_NETWORKS_MAX)
		return reject("--network",
			"a network such as eip155:8453 or base", value);
	call->networks[call->options.networks_len++] = caip2;
	return CLI_TAKEN;
}

static enum cli_taken take_spend(struct cli_call *call, const char *value)
{
	struct cli_limit limit;
	if (cli_limit_parse(value, &limit) || limit.has_atomic)
		return reject("--max-spend", "0.05usd or '$0.05'", value);
	call->max_spend_usd_micros = limit.usd_micros;
	return CLI_TAKEN;
}

static enum cli_taken take_payer(
	struct cli_call *call, int key, const char *value)
{
	switch (key) {
	case CLI_KEY_WALLET:
		call->payer.wallet = value;
		return CLI_TAKEN;
	case CLI_KEY_SIGNER:
		call->payer.signer = value;
		return CLI_TAKEN;
	case CLI_KEY_SESSION:
		call->payer.session = value;
		return CLI_TAKEN;
	case CLI_KEY_PASSWORD_FILE:
		call->payer.password = value;
		return CLI_TAKEN;
	case CLI_KEY_TASK:
		call->task = value;
		return CLI_TAKEN;
	case CLI_KEY_ID:
		call->id = value;
		return CLI_TAKEN;
	case CLI_KEY_BUY_AGAIN:
		call->buy_again = true;
		return CLI_TAKEN;
	default: /* a letter, not one of our enums */
		return CLI_NOT_MINE;
	}
}

static enum cli_taken take_money(
	struct cli_call *call, int key, const char *value)
{
	switch (key) {
	case CLI_KEY_MAX_AMOUNT:
		if (cli_limit_parse(value, &call->limit))
			return reject("--max-amount",
				"0.05usd, '$0.05' or 50000atomic", value);
		return CLI_TAKEN;
	case CLI_KEY_MAX_SPEND:
		return take_spend(call, value);
	case CLI_KEY_NETWORK:
		return take_network(call, value);
	case CLI_KEY_ASSET:
		call->asset = value;
		return CLI_TAKEN;
	case CLI_KEY_PUBLIC_ONLY:
		call->options.public_only = true;
		return CLI_TAKEN;
	case CLI_KEY_SEND_TRANSFERS:
		call->send_transfers = true;
		return CLI_TAKEN;
	case CLI_KEY_SIGN_IN:
		call->options.sign_in = true;
		return CLI_TAKEN;
	case CLI_KEY_ALLOW_HTTP:
		call->options.allow_http = true;
		return CLI_TAKEN;
	case CLI_KEY_ALLOW_OTHER_ORIGIN:
		call->options.allow_other_origin = true;
		return CLI_TAKEN;
	default:
		return take_payer(call, key, value);
	}
}

static enum cli_taken take_transport(
	struct cli_call *call, int key, const char *value)
{
	struct x402_client_options *options = &call->options;
	switch (key) {
	case 'L':
		options->max_redirects = X402_CLIENT_REDIRECTS;
		return CLI_TAKEN;
	case 'm':
		return parse_seconds(value, &options->timeout_ms)
			? CLI_TAKEN
			: reject("-m", "seconds", value);
	case CLI_KEY_CONNECT_TIMEOUT:
		return parse_seconds(value, &options->connect_timeout_ms)
			? CLI_TAKEN
			: reject("--connect-timeout", "seconds", value);
	case 'k':
		options->insecure_tls = true;
		return CLI_TAKEN;
	case 'A':
		options->user_agent = value;
		return CLI_TAKEN;
	case CLI_KEY_RETRY:
		return parse_count(value, &options->retries)
			? CLI_TAKEN
			: reject("--retry", "a number up to 100", value);
	default:
		return take_money(call, key, value);
	}
}

enum cli_taken cli_call_take(struct cli_call *call, int key, const char *value)
{
	struct cli_request *request = &call->request;
	switch (key) {
	case 'X':
		request->method = value;
		return CLI_TAKEN;
	case 'H':
		return cli_request_header(request, value) ? CLI_TAKEN
							  : CLI_REJECTED;
	case 'd':
	case CLI_KEY_DATA_RAW:
	case CLI_KEY_DATA_BINARY:
	case CLI_KEY_JSON:
		return cli_request_data(request, value, key) ? CLI_TAKEN
							     : CLI_REJECTED;
	case 'F':
		return cli_request_form(request, value) ? CLI_TAKEN
							: CLI_REJECTED;
	case 'G':
		request->query = true;
		return CLI_TAKEN;
	case 'u':
		request->user = value;
		return CLI_TAKEN;
	default:
		return take_transport(call, key, value);
	}
}

bool cli_call_operand(void *user, const char *value)
{
	struct cli_call *call = user;
	if (call->request.url) {
		(void)cli_error(CLI_USAGE, "usage",
			"one URL at a time, got \"%s\" too", value);
		return false;
	}
	call->request.url = value;
	return true;
}

/* ---- What may be paid. ---- */

static bool admit(void *user, const struct x402_payment_required *required,
	const struct x402_payment_requirements *offer)
{
	const struct cli_call *call = user;
	(void)required;
	if (!call->asset || strcasecmp(call->asset, offer->asset) == 0)
		return true;
	const char *caip2 = x402_payment_requirements_caip2(offer);
	const struct x402_default_asset *known =
		caip2 ? x402_known_asset(caip2, offer->asset) : NULL;
	return known && strcasecmp(known->symbol, call->asset) == 0;
}

/* C-031: an unknown asset needs all three: where, which, and how much. */
static void allow_asset(struct cli_call *call)
{
	struct x402_client_options *options = &call->options;
	struct x402_asset_id asset;
	if (!call->asset || !call->limit.has_atomic ||
		options->networks_len != 1 ||
		x402_asset_id_init(call->networks[0], call->asset, &asset))
		return;
	call->allowed = x402_amount_init(&call->limit.units, &asset);
	options->allowed_assets = &call->allowed;
	options->allowed_assets_len = 1;
}

static enum x402_client_decision ask(void *user,
	const struct x402_client_quote *quote,
	struct x402_client_headers *extra)
{
	const struct cli_call *call = user;
	(void)extra;
	if (!call->confirm || call->yes || !quote->offer)
		return X402_CLIENT_PROCEED;
	FILE *tty = fopen("/dev/tty", "r+");
	if (!tty)
		return X402_CLIENT_DECLINE; /* nobody there to say yes */
	char price[256];
	cli_format_price(quote->payment, price, sizeof(price));
	fprintf(tty, "pay %s to %s on %s for ", price, quote->payment->pay_to,
		quote->payment->network);
	cli_show(tty, quote->url);
	fputs("? [y/N] ", tty);
	(void)fflush(tty);
	int answer = fgetc(tty);
	(void)fclose(tty);
	return answer == 'y' || answer == 'Y' ? X402_CLIENT_PROCEED
					      : X402_CLIENT_DECLINE;
}

static void set_options(struct cli_call *call)
{
	struct x402_client_options *options = &call->options;
	options->networks = call->networks;
	options->max_usd_micros = call->limit.usd_micros;
	if (call->limit.has_atomic)
		options->max_atomic = &call->limit.units;
	if (call->has_lowered)
		options->max_atomic = &call->lowered_units;
	options->policy = admit;
	options->on_payment_required = ask;
	options->is_cancelled = is_interrupted;
	options->user = call;
	options->max_body_bytes = call->body_max_bytes ? call->body_max_bytes
						       : BODY_MAX_BYTES;
	if (!options->max_redirects)
		options->max_redirects = -1; /* as curl without -L */
	options->breaker_failures = -1;      /* --retry says how often */
	allow_asset(call);
}

/* No SA_RESTART: a wait is to end, and the flow says what is open. */
static bool own_signals;

void cli_own_signals(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	own_signals = true;
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

void cli_catch_signals(void)
{
	if (own_signals)
		return;
	struct sigaction action = {.sa_handler = on_signal};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	/* A closed stdout must not eat the receipt. */
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

/*
 * Without --max-spend: a dollar, or the one payment that was allowed to cost
 * more. A cap in atomic units may be of an asset that has no worth in dollars.
 */
static uint64_t max_spend(const struct cli_call *call)
{
	uint64_t most = call->limit.usd_micros;
	if (call->max_spend_usd_micros)
		return call->max_spend_usd_micros;
	if (call->limit.has_atomic)
		return 0;
	return most > X402_DEFAULT_MAX_USD_MICROS ? most
						  : X402_DEFAULT_MAX_USD_MICROS;
}

/*
 * Every payment is written down before it leaves: without the journal there is
 * none. --max-spend is a budget of this session in it.
 */
static int open_journal(
	struct cli_call *call, struct x402_journal **ret_journal)
{
	struct x402_client_options *options = &call->options;
	int exit = cli_journal_open(ret_journal);
	if (exit)
		return exit;
	options->journal = *ret_journal;
	options->correlation = call->task;
	options->session = cli_session_id();
	uint64_t most = max_spend(call);
	if (most) {
		call->budget = (struct x402_budget){.scope = X402_BUDGET_ALL,
			.window = X402_BUDGET_SESSION,
			.max_usd_micros = most};
		options->budgets = &call->budget;
		options->budgets_len = 1;
	}
	return CLI_OK;
}

int cli_call_client(struct cli_call *call, struct cli_payer *payer,
	struct x402_journal **ret_journal, struct x402_client **ret_client)
{
	set_options(call);
	call->options.is_cancelled = is_interrupted_twice;
	int exit = open_journal(call, ret_journal);
	if (exit)
		return exit;
	cli_payer_svm(payer, &call->options);
	call->options.signer = cli_payer_signer(payer);
	call->options.evm_rpc_url = getenv("EVM_RPC_URL");
	enum x402_err err = x402_client_new(&call->options, ret_client);
	call->options.svm_key = NULL;
	call->options.svm_signer = NULL;
	if (err)
		return cli_error(CLI_GENERAL, "internal_error", "%s",
			x402_err_text(err));
	cli_catch_signals();
	return CLI_OK;
}

static int perform(struct cli_call *call, struct cli_payer *payer,
	const struct x402_client_request *request,
	struct x402_client_response *response)
{
	struct x402_client *client = NULL;
	call->options.signer = cli_payer_signer(payer);
	call->options.evm_rpc_url = getenv("EVM_RPC_URL");
	if (call->send_transfers && !call->options.evm_rpc_url)
		return cli_error(CLI_USAGE, "usage",
			"--send-transfers: expected EVM_RPC_URL, a node to "
			"send them to");
	/* A dry run has no journal, and pays nothing. */
	call->options.send_transfers = call->send_transfers &&
		call->options.journal;
	cli_payer_svm(payer, &call->options);
	enum x402_err err = x402_client_new(&call->options, &client);
	call->options.svm_key = NULL;
	call->options.svm_signer = NULL;
	call->options.signer = NULL;
	if (err)
		return cli_error(CLI_GENERAL, "internal_error", "%s",
			x402_err_text(err));
	cli_catch_signals();
	/* The response's cause says the same and more. */
	err = x402_client_fetch(client, request, response);
	(void)err;
	/* A signer says more about a refusal than the library knows. */
	if ((response->cause == X402_CLIENT_CAUSE_SIGNER ||
		    response->cause == X402_CLIENT_CAUSE_AUTH_ONLY) &&
		payer->signer && cli_payer_reason()[0])
		(void)snprintf(response->error.text,
			sizeof(response->error.text), "%s", cli_payer_reason());
	x402_client_free(client);
	return CLI_OK;
}

int cli_call_perform(struct cli_call *call, bool with_key, bool dry_run,
	struct x402_client_response *response)
{
	struct x402_client_request request;
	if (!cli_request_finish(&call->request, &request))
		return CLI_USAGE;
	request.dry_run = dry_run;
	request.purchase_id = call->id;
	request.once = call->id != NULL;
	request.buy_again = call->buy_again;
	set_options(call);
	if (call->options.insecure_tls)
		cli_warn("-k: whoever is in the middle can take the payment");
	struct cli_payer own = {.signer = NULL};
	struct cli_payer *payer = call->shared_payer ? call->shared_payer
						     : &own;
	struct x402_journal *journal = NULL;
	int exit = CLI_OK;
	if (with_key && !call->shared_payer)
		exit = cli_payer_load(&call->payer, &own);
	if (!exit && with_key && (payer->signer || payer->svm_key.ptr))
		exit = open_journal(call, &journal);
	if (!exit)
		exit = perform(call, payer, &request, response);
	call->options.journal = NULL;
	x402_journal_close(journal);
	cli_payer_clear(&own);
	return exit;
}

void cli_call_clear(struct cli_call *call)
{
	cli_request_clear(&call->request);
}
