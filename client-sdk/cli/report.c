/*
 * report.c: all that goes to stderr, in two forms. For people, a few lines of
 * text; on a pipe or under an agent, one JSON line, so that a program can tell
 * what happened to the money: charged is "no" only when no authorization left
 * this process, and "yes" only with a receipt that fits.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* An agent's variable that is set and not empty; a name may be a prefix. */
static bool is_agent(const char *entry)
{
	static const char *const names[] = {"AGENT=", "CLAUDECODE=",
		"CLAUDE_CODE=", "CODEX", "CURSOR_TRACE_ID="};
	const char *value = strchr(entry, '=');
	if (!value || !value[1])
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(entry, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

bool cli_wants_json(int fd)
{
	if (!isatty(fd))
		return true;
	for (char **entry = environ; *entry; entry++)
		if (is_agent(*entry))
			return true;
	return false;
}

/* ---- Text for people. ---- */

/*
 * The bytes at text that a terminal obeys instead of showing: C0, DEL, C1, and
 * the marks that turn the direction of what follows (U+202A to 202E, 2066 to
 * 2069). 0: the next byte is harmless.
 */
static size_t control_at(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	if (c[0] < 0x20 || c[0] == 0x7f)
		return 1;
	if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
		return 2;
	if (c[0] == 0xe2 &&
		((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
			(c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)))
		return 3;
	return 0;
}

void cli_show(FILE *out, const char *text)
{
	while (text && *text) {
		size_t control = control_at(text);
		(void)fputc(control ? '?' : *text, out);
		text += control ? control : 1;
	}
}

/* ---- Building a line. ---- */

void cli_put(struct x402_json *line, const char *key, const char *text)
{
	/* A member that memory is short for is left out: what is said is
	 * still true. */
	if (!text || !*text || x402_json_set_string(line, key, text))
		return;
}

void cli_put_bool(struct x402_json *line, const char *key, bool value)
{
	if (x402_json_set_bool(line, key, value))
		return;
}

void cli_put_int(struct x402_json *line, const char *key, int64_t value)
{
	if (x402_json_set_int(line, key, value))
		return;
}

/* For the MCP server: errors become answers there, each of its own call. */
static _Thread_local bool keeping;
static _Thread_local struct x402_json *kept;

void cli_errors_keep(void)
{
	x402_json_unref(kept);
	kept = NULL;
	keeping = true;
}

struct x402_json *cli_errors_take(void)
{
	struct x402_json *last = kept;
	kept = NULL;
	keeping = false;
	return last;
}

static void print_take(struct x402_json *line)
{
	if (keeping) {
		x402_json_unref(kept);
		kept = line;
		return;
	}
	char *text = x402_json_dump(line);
	fprintf(stderr, "%s\n", text ? text : "{\"code\":\"internal_error\"}");
	free(text);
	x402_json_unref(line);
}

static int report_error(
	enum cli_exit exit, const char *code, const char *text, bool retryable)
{
	if (!keeping && !cli_wants_json(STDERR_FILENO)) {
		fputs("x402: ", stderr);
		cli_show(stderr, text);
		fputc('\n', stderr);
		return (int)exit;
	}
	struct x402_json *line = x402_json_new_object();
	cli_put(line, "code", code);
	cli_put(line, "message", text);
	cli_put_bool(line, "retryable", retryable);
	cli_put(line, "charged", "no");
	print_take(line);
	return (int)exit;
}

int cli_error(enum cli_exit exit, const char *code, const char *fmt, ...)
{
	char text[1024]; /* a list of transfers is the longest */
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return report_error(exit, code, text, false);
}

int cli_error_retryable(enum cli_exit exit, const char *code, const char *text)
{
	return report_error(exit, code, text, true);
}

void cli_warn(const char *fmt, ...)
{
	if (keeping || cli_wants_json(STDERR_FILENO))
		return; /* one line, and it is not this one */
	va_list args;
	va_start(args, fmt);
	fputs("x402: warning: ", stderr);
	(void)vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

/* ---- What happened, in words. ---- */

enum cli_exit cli_exit_of(const struct x402_client_response *response)
{
	enum x402_client_outcome outcome = response->payment.outcome;
	bool open = outcome == X402_CLIENT_OUTCOME_UNKNOWN ||
		outcome == X402_CLIENT_OUTCOME_PENDING;
	switch (response->cause) {
	case X402_CLIENT_CAUSE_NONE:
		return CLI_OK;
	case X402_CLIENT_CAUSE_TRANSPORT:
		return open ? CLI_UNKNOWN : CLI_NETWORK;
	case X402_CLIENT_CAUSE_TIMEOUT:
		return open ? CLI_UNKNOWN : CLI_TIMEOUT;
	case X402_CLIENT_CAUSE_CANCELLED:
		return CLI_INTERRUPTED;
	case X402_CLIENT_CAUSE_BAD_REQUEST:
		return CLI_USAGE;
	case X402_CLIENT_CAUSE_TOO_LARGE:
	case X402_CLIENT_CAUSE_INTERNAL:
		return open ? CLI_UNKNOWN : CLI_GENERAL;
	case X402_CLIENT_CAUSE_CHALLENGE:
	case X402_CLIENT_CAUSE_NO_OFFER:
	case X402_CLIENT_CAUSE_SIGNER:
		return CLI_GENERAL;
	case X402_CLIENT_CAUSE_AUTH_ONLY:
		return CLI_AUTH;
	case X402_CLIENT_CAUSE_OVER_LIMIT:
	case X402_CLIENT_CAUSE_BUDGET:
	case X402_CLIENT_CAUSE_FUNDS:
		return CLI_FUNDS;
	case X402_CLIENT_CAUSE_UNRESOLVED:
	case X402_CLIENT_CAUSE_BUSY:
		return CLI_UNKNOWN;
	case X402_CLIENT_CAUSE_CIRCUIT:
		return CLI_NETWORK;
	case X402_CLIENT_CAUSE_ALREADY_PAID:
	case X402_CLIENT_CAUSE_CONFLICT:
	case X402_CLIENT_CAUSE_JOURNAL:
	case X402_CLIENT_CAUSE_QUEUE_FULL:
		return CLI_GENERAL;
	case X402_CLIENT_CAUSE_LOOP:
	case X402_CLIENT_CAUSE_PRIVATE_ADDRESS:
	case X402_CLIENT_CAUSE_PAUSED:
	case X402_CLIENT_CAUSE_REDIRECT:
	case X402_CLIENT_CAUSE_UNKNOWN_ASSET:
	case X402_CLIENT_CAUSE_POLICY:
	case X402_CLIENT_CAUSE_ORIGIN:
	case X402_CLIENT_CAUSE_INSECURE:
		return CLI_POLICY;
	case X402_CLIENT_CAUSE_NO_SIGNER:
		return CLI_CONFIG;
	case X402_CLIENT_CAUSE_DECLINED:
		return CLI_CANCELLED;
	case X402_CLIENT_CAUSE_PERMIT2:
	case X402_CLIENT_CAUSE_REFUSED:
		return CLI_REFUSED;
	case X402_CLIENT_CAUSE_PRICE_CHANGED:
		return CLI_PRICE_CHANGED;
	case X402_CLIENT_CAUSE_PENDING:
	case X402_CLIENT_CAUSE_UNPROVEN:
		return CLI_UNKNOWN;
	case X402_CLIENT_CAUSE_COUNT:
		break;
	}
	return CLI_GENERAL;
}

static const char *charged(const struct x402_client_payment *payment)
{
	switch (payment->outcome) {
	case X402_CLIENT_OUTCOME_NONE:
		return "no";
	case X402_CLIENT_OUTCOME_PAID:
		return "yes";
	case X402_CLIENT_OUTCOME_REFUSED: /* the server's word, no proof */
	case X402_CLIENT_OUTCOME_PENDING:
	case X402_CLIENT_OUTCOME_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

static bool is_retryable(const struct x402_client_response *response)
{
	return response->payment.outcome == X402_CLIENT_OUTCOME_NONE &&
		(response->cause == X402_CLIENT_CAUSE_TRANSPORT ||
			response->cause == X402_CLIENT_CAUSE_TIMEOUT);
}

static const char *next_step(const struct x402_client_response *response)
{
	enum x402_client_cause cause = response->cause;
	switch (response->payment.outcome) {
	case X402_CLIENT_OUTCOME_UNKNOWN:
	case X402_CLIENT_OUTCOME_PENDING:
		return "run the same command again, or x402 resume: the same "
		       "payment is presented and can be charged once";
	case X402_CLIENT_OUTCOME_REFUSED:
		return "the server holds the authorization until it expires; "
		       "x402 resume proves what became of it";
	case X402_CLIENT_OUTCOME_PAID:
		return "paid, but the response is incomplete: run the same "
		       "command again, it presents the same payment";
	case X402_CLIENT_OUTCOME_NONE:
		break;
	}
	if (is_retryable(response))
		return "nothing was paid: try again";
	if (cause == X402_CLIENT_CAUSE_OVER_LIMIT)
		return "raise --max-amount if the price is right";
	if (cause == X402_CLIENT_CAUSE_NO_SIGNER)
		return "x402 wallet new default makes a wallet; or set "
		       "EVM_PRIVATE_KEY_FILE";
	if (cause == X402_CLIENT_CAUSE_ORIGIN)
		return "ask the other origin itself, or --allow-other-origin";
	if (cause == X402_CLIENT_CAUSE_INSECURE)
		return "use https, or --allow-http";
	if (cause == X402_CLIENT_CAUSE_UNKNOWN_ASSET)
		return "to allow it: --network, --asset and --max-amount "
		       "NUMBERatomic";
	if (cause == X402_CLIENT_CAUSE_AUTH_ONLY)
		return "--sign-in, with the wallet that the site knows";
	if (cause == X402_CLIENT_CAUSE_BUDGET)
		return "x402 budget shows what is used up";
	if (cause == X402_CLIENT_CAUSE_UNRESOLVED)
		return "x402 resume finds out what became of it";
	if (cause == X402_CLIENT_CAUSE_PERMIT2)
		return "approve Permit2 for the asset once, on chain";
	return "nothing was paid";
}

void cli_format_price(
	const struct x402_client_payment *payment, char *ret_text, size_t size)
{
	/* x402_price_format() says that 160 bytes always suffice. */
	char number[160];
	struct x402_u256 atomic;
	const struct x402_default_asset *asset = x402_known_asset(
		payment->network, payment->asset);
	if (asset && !x402_u256_from_dec(payment->amount, &atomic) &&
		x402_price_format(
			&atomic, asset->decimals, number, sizeof(number)))
		(void)snprintf(ret_text, size, "%s%s %s", asset->usd ? "$" : "",
			number, asset->symbol);
	else
		(void)snprintf(ret_text, size, "%s atomic units of %s",
			payment->amount, payment->asset);
}

void cli_put_terms(
	struct x402_json *line, const struct x402_client_payment *payment)
{
	char price[256];
	if (!payment->amount[0])
		return;
	cli_format_price(payment, price, sizeof(price));
	cli_put(line, "price", price);
	cli_put(line, "amount", payment->amount);
	cli_put(line, "asset", payment->asset);
	cli_put(line, "payee", payment->pay_to);
	cli_put(line, "network", payment->network);
	cli_put(line, "scheme", payment->scheme);
}

/* The header to present again, as -H takes it. */
static char *payment_header(const struct x402_client_payment *payment)
{
	struct x402_buf buf = {0};
	if (!payment->attempted || !payment->header_text)
		return NULL;
	x402_buf_printf(
		&buf, "%s: %s", payment->header_name, payment->header_text);
	return x402_buf_take_str(&buf);
}

struct x402_json *cli_error_json(const struct x402_client_response *response)
{
	const struct x402_client_payment *payment = &response->payment;
	struct x402_json *line = x402_json_new_object();
	cli_put(line, "code", x402_client_cause_name(response->cause));
	cli_put(line, "message", response->error.text);
	cli_put(line, "field", response->error.field);
	cli_put_bool(line, "retryable", is_retryable(response));
	cli_put(line, "charged", charged(payment));
	cli_put(line, "outcome", x402_client_outcome_name(payment->outcome));
	cli_put(line, "reason", payment->reason);
	if (payment->purchase)
		cli_put_int(line, "paymentId", payment->purchase);
	cli_put(line, "transaction", payment->transaction);
	cli_put(line, "next", next_step(response));
	if (response->status)
		cli_put_int(line, "status", response->status);
	cli_put(line, "url", response->url);
	cli_put_terms(line, payment);
	if (payment->attempted) {
		cli_put(line, "payer", payment->payer);
		cli_put(line, "receipt",
			x402_client_receipt_name(payment->receipt));
		if (payment->valid_before_unix_s)
			cli_put_int(line, "validBefore",
				(int64_t)payment->valid_before_unix_s);
		char *header = payment_header(payment);
		cli_put(line, "paymentHeader", header);
		free(header);
	}
	return line;
}

static void print_terms(const struct x402_client_payment *payment)
{
	char price[256];
	if (!payment->amount[0])
		return;
	cli_format_price(payment, price, sizeof(price));
	fprintf(stderr, "  price        %s\n  payee        %s\n", price,
		payment->pay_to);
	fprintf(stderr, "  network      %s\n", payment->network);
}

static void print_if(const char *label, const char *text)
{
	if (!text || !*text)
		return;
	fprintf(stderr, "  %-12s ", label);
	cli_show(stderr, text);
	fputc('\n', stderr);
}

void cli_report_error(const struct x402_client_response *response)
{
	const struct x402_client_payment *payment = &response->payment;
	if (cli_wants_json(STDERR_FILENO)) {
		print_take(cli_error_json(response));
		return;
	}
	fprintf(stderr, "x402: %s\n", x402_client_cause_text(response->cause));
	if (strcmp(response->error.text,
		    x402_client_cause_text(response->cause)) != 0)
		print_if("because", response->error.text);
	print_if("server says", payment->reason);
	print_terms(payment);
	print_if("charged", charged(payment));
	print_if("transaction", payment->transaction);
	print_if("next", next_step(response));
	if (payment->outcome == X402_CLIENT_OUTCOME_UNKNOWN ||
		payment->outcome == X402_CLIENT_OUTCOME_PENDING) {
		char *header = payment_header(payment);
		print_if("the header", header);
		free(header);
	}
}

struct x402_json *cli_receipt_json(const struct x402_client_response *response)
{
	const struct x402_client_payment *payment = &response->payment;
	struct x402_json *line = x402_json_new_object();
	cli_put(line, "outcome", x402_client_outcome_name(payment->outcome));
	cli_put(line, "charged", charged(payment));
	if (payment->purchase)
		cli_put_int(line, "paymentId", payment->purchase);
	cli_put_terms(line, payment);
	cli_put(line, "transaction", payment->transaction);
	cli_put(line, "payer", payment->payer);
	cli_put(line, "url", response->url);
	cli_put_int(line, "status", response->status);
	return line;
}

void cli_report_receipt(const struct x402_client_response *response)
{
	const struct x402_client_payment *payment = &response->payment;
	if (cli_wants_json(STDERR_FILENO)) {
		print_take(cli_receipt_json(response));
		return;
	}
	fputs("paid\n", stderr);
	print_terms(payment);
	print_if("transaction", payment->transaction);
	print_if("payer", payment->payer);
}

void cli_report_quote(const struct x402_client_response *response)
{
	const struct x402_client_payment *payment = &response->payment;
	bool priced = payment->amount[0] != '\0';
	if (cli_wants_json(STDERR_FILENO)) {
		struct x402_json *line = x402_json_new_object();
		cli_put_bool(line, "dryRun", true);
		cli_put_bool(line, "wouldPay", priced);
		cli_put(line, "charged", "no");
		cli_put_terms(line, payment);
		cli_put(line, "url", response->url);
		cli_put_int(line, "status", response->status);
		print_take(line);
		return;
	}
	if (priced)
		fputs("would pay\n", stderr);
	else
		fprintf(stderr, "would pay nothing (status %ld)\n",
			response->status);
	print_terms(payment);
}

/* ---- Answers. ---- */

static void print_scalar(const struct x402_json *value)
{
	int64_t number;
	bool truth;
	if (x402_json_string(value))
		cli_show(stdout, x402_json_string(value));
	else if (x402_json_int64(value, &number))
		printf("%lld", (long long)number);
	else if (x402_json_bool(value, &truth))
		fputs(truth ? "yes" : "no", stdout);
	else
		fputs("-", stdout);
}

static bool is_scalar(const struct x402_json *value)
{
	enum x402_json_type type = x402_json_type(value);
	return type != X402_JSON_ARRAY && type != X402_JSON_OBJECT;
}

/* A name may be a stranger's too. */
static void print_key(int indent, const char *key)
{
	printf("%*s", indent, "");
	cli_show(stdout, key);
	printf("%*s", strlen(key) < 14 ? (int)(15 - strlen(key)) : 1, "");
}

/* Members by name, indented by how deep they lie. Bounded by the reader's and
 * the builders' depth. */
static void print_value(const struct x402_json *value, int indent)
{
	void *iter = NULL;
	const char *key;
	const struct x402_json *member;
	if (is_scalar(value)) {
		printf("%*s", indent, "");
		print_scalar(value);
		putchar('\n');
		return;
	}
	for (size_t i = 0; x402_json_type(value) == X402_JSON_ARRAY &&
		i < x402_json_size(value);
		i++) {
		print_value(x402_json_at(value, i), indent);
		if (!is_scalar(x402_json_at(value, i)))
			putchar('\n');
	}
	while (x402_json_next(value, &iter, &key, &member)) {
		if (is_scalar(member)) {
			print_key(indent, key);
			print_scalar(member);
			putchar('\n');
		} else if (x402_json_size(member) > 0) {
			print_key(indent, key);
			putchar('\n');
			print_value(member, indent + 2);
		}
	}
}

void cli_print_answer(const struct x402_json *answer)
{
	if (!cli_wants_json(STDOUT_FILENO)) {
		print_value(answer, 0);
		return;
	}
	char *text = x402_json_dump(answer);
	printf("%s\n", text ? text : "{\"code\":\"internal_error\"}");
	free(text);
}
