/*
 * inspect.c: `x402 inspect URL`: what a URL costs and which offer `x402 get`
 * would take with the same flags. Signs nothing and needs no key. The answer
 * is what was asked for, so it goes to stdout.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"

struct inspect {
	struct cli_call call;
	bool help;
};

static bool take(void *user, int key, const char *value)
{
	struct inspect *inspect = user;
	if (key == 'h') {
		inspect->help = true;
		return true;
	}
	return cli_call_take(&inspect->call, key, value) == CLI_TAKEN;
}

static bool operand(void *user, const char *value)
{
	struct inspect *inspect = user;
	return cli_call_operand(&inspect->call, value);
}

struct x402_json *cli_inspect_json(const struct x402_client_response *response)
{
	struct x402_json *out = x402_json_new_object();
	cli_put_int(out, "status", response->status);
	cli_put(out, "url", response->url);
	cli_put_bool(out, "wouldPay",
		response->challenge &&
			response->cause == X402_CLIENT_CAUSE_NONE);
	cli_put(out, "code", x402_client_cause_name(response->cause));
	cli_put(out, "message", response->error.text);
	cli_put_terms(out, &response->payment);
	if (response->challenge &&
		x402_json_set_take(
			out, "challenge", x402_json_ref(response->challenge)))
		cli_put(out, "challenge", "out of memory");
	return out;
}

static void print_json(const struct x402_client_response *response)
{
	struct x402_json *out = cli_inspect_json(response);
	char *text = x402_json_dump(out);
	printf("%s\n", text ? text : "{\"code\":\"internal_error\"}");
	free(text);
	x402_json_unref(out);
}

static void print_offers(const struct x402_client_response *response)
{
	struct x402_payment_required required = {0};
	if (x402_payment_required_read(response->challenge, NULL, &required))
		return;
	for (size_t i = 0; i < required.accepts_len; i++) {
		struct x402_client_payment terms = {0};
		char price[256];
		x402_client_payment_terms(&required.accepts[i], &terms);
		cli_format_price(&terms, price, sizeof(price));
		printf("  offer %zu      %s, %s on %s, to %s\n", i + 1, price,
			terms.scheme, terms.network, terms.pay_to);
	}
	x402_payment_required_clear(&required);
}

static void print_refusal(const struct x402_client_response *response)
{
	printf("  would not be paid: ");
	cli_show(stdout, response->error.text);
	putchar('\n');
}

static void print_text(const struct x402_client_response *response)
{
	cli_show(stdout, response->url);
	printf("\n  status       %ld\n", response->status);
	if (response->challenge)
		print_offers(response);
	if (response->cause != X402_CLIENT_CAUSE_NONE)
		print_refusal(response);
	else if (response->challenge)
		printf("  would be paid within the limits\n");
	else
		printf("  no price\n");
}

int cli_inspect_run(const struct cli_command *command, int argc, char **argv)
{
	struct inspect inspect = {.help = false};
	struct cli_walk walk = {.command = command,
		.take = take,
		.operand = operand,
		.user = &inspect};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	int exit = cli_walk(&walk, argc, argv);
	if (exit == CLI_OK && inspect.help) {
		cli_help(command, stdout);
	} else if (exit == CLI_OK) {
		exit = cli_call_perform(&inspect.call, false, true, &response);
		if (exit == CLI_OK && response.status == 0) {
			exit = (int)cli_exit_of(&response);
			cli_report_error(&response);
		} else if (exit == CLI_OK && cli_wants_json(STDOUT_FILENO)) {
			print_json(&response);
		} else if (exit == CLI_OK) {
			print_text(&response);
		}
	}
	x402_client_response_clear(&response);
	cli_call_clear(&inspect.call);
	return exit;
}
