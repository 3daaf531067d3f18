/*
 * stdio.c: `x402 mcp`: the server on standard input and output, one message on
 * each line, as MCP clients start it. And what both carriers need at their
 * start: the limits and the payer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mcp.h"

#define READ_BYTES ((size_t)64 * 1024)
/* Without --max-spend; the same as for one payment. */
#define SPEND_DEFAULT_USD_MICROS X402_DEFAULT_MAX_USD_MICROS

static bool write_line(const char *text)
{
	return fputs(text, stdout) >= 0 && fputc('\n', stdout) != EOF &&
		fflush(stdout) == 0;
}

/* Every whole line; what is left stays in the buffer. */
static bool answer_lines(struct x402_buf *in)
{
	for (;;) {
		uint8_t *end = in->len ? memchr(in->ptr, '\n', in->len) : NULL;
		if (!end)
			return in->len <= MCP_MESSAGE_MAX_BYTES;
		size_t len = (size_t)(end - in->ptr);
		char *answer = len ? mcp_answer(x402_span(in->ptr, len)) : NULL;
		bool ok = !answer || write_line(answer);
		free(answer);
		if (!ok)
			return false;
		memmove(in->ptr, end + 1, in->len - len - 1);
		in->len -= len + 1;
	}
}

int mcp_stdio_run(void)
{
	struct x402_buf in = {0};
	uint8_t *chunk = malloc(READ_BYTES);
	bool ok = chunk != NULL;
	cli_catch_signals();
	while (ok && !cli_interrupted()) {
		ssize_t got = read(STDIN_FILENO, chunk, READ_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		x402_buf_add(&in, x402_span(chunk, (size_t)got));
		ok = !in.failed && answer_lines(&in);
	}
	free(chunk);
	x402_buf_clear(&in);
	if (!ok)
		return cli_error(CLI_GENERAL, "mcp",
			"a message was too long, or the client has gone");
	return cli_interrupted() ? CLI_INTERRUPTED : CLI_OK;
}

/* ---- The start. ---- */

struct start {
	const struct cli_command *command;
	bool help;
	bool http;
	uint64_t port;
};

static bool take(void *user, int key, const char *value)
{
	struct start *start = user;
	switch (key) {
	case 'h':
		start->help = true;
		return true;
	case CLI_KEY_HTTP:
		start->http = true;
		return true;
	case CLI_KEY_PORT:
		start->http = true;
		return cli_number("--port", value, 65535, &start->port);
	default: /* the limits and the payer */
		return cli_call_take(&mcp_server.flags, key, value) ==
			CLI_TAKEN;
	}
}

static bool operand(void *user, const char *value)
{
	(void)user;
	(void)cli_error(CLI_USAGE, "usage", "mcp: unexpected \"%s\"", value);
	return false;
}

int cli_mcp_run(const struct cli_command *command, int argc, char **argv)
{
	struct start start = {.command = command};
	struct cli_walk walk = {.command = command,
		.take = take,
		.operand = operand,
		.user = &start};
	int exit = cli_walk(&walk, argc, argv);
	if (exit == CLI_OK && start.help) {
		cli_help(command, stdout);
		return CLI_OK;
	}
	if (!mcp_server.flags.max_spend_usd_micros)
		mcp_server.flags.max_spend_usd_micros =
			SPEND_DEFAULT_USD_MICROS;
	if (exit == CLI_OK)
		exit = cli_payer_load(
			&mcp_server.flags.payer, &mcp_server.payer);
	struct x402_budget budget = {.scope = X402_BUDGET_ALL,
		.window = X402_BUDGET_SESSION,
		.max_usd_micros = mcp_server.flags.max_spend_usd_micros};
	cli_process_payer = &mcp_server.payer;
	cli_process_budget = &budget;
	cli_process_public_only = mcp_server.flags.options.public_only;
	if (exit == CLI_OK)
		exit = start.http ? mcp_http_run((unsigned)start.port)
				  : mcp_stdio_run();
	cli_process_budget = NULL;
	cli_payer_clear(&mcp_server.payer);
	return exit;
}
