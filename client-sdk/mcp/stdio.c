/*
 * stdio.c: `x402 mcp`: the server on standard input and output, one message on
 * each line, as MCP clients start it. Calls of tools run on threads of their
 * own, so that one that waits for its settlement holds up no other. And what
 * both carriers need at their start: the limits and the payer.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mcp.h"

#define READ_BYTES ((size_t)64 * 1024)
/* Without --max-spend; the same as for one payment. */
#define SPEND_DEFAULT_USD_MICROS X402_DEFAULT_MAX_USD_MICROS

/* ---- Calls, each on a thread of its own. ---- */

/* A place for a call; its thread is joined before the place is used again. */
struct call {
	pthread_t thread;
	bool taken;
	bool ended;
	struct x402_buf message;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* a call has */
	struct call places[MCP_CALLS_MAX];
	bool broken; /* nobody takes answers any more */
} calls = {
	.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

/* One line, whole: answers of several calls must not mix. */
static void write_line(const char *text)
{
	(void)pthread_mutex_lock(&calls.lock);
	if (fputs(text, stdout) < 0 || fputc('\n', stdout) == EOF ||
		fflush(stdout) != 0)
		calls.broken = true;
	(void)pthread_mutex_unlock(&calls.lock);
}

static void answer(struct x402_span message)
{
	char *text = mcp_answer(message);
	if (text)
		write_line(text);
	free(text);
}

static void *run_call(void *user)
{
	struct call *call = user;
	answer(x402_buf_span(&call->message));
	(void)pthread_mutex_lock(&calls.lock);
	call->ended = true;
	(void)pthread_cond_signal(&calls.ended);
	(void)pthread_mutex_unlock(&calls.lock);
	return NULL;
}

/* Under the lock: a place where nothing runs, or NULL. */
static struct call *find_place(void)
{
	for (size_t i = 0; i < MCP_CALLS_MAX; i++)
		if (!calls.places[i].taken || calls.places[i].ended)
			return &calls.places[i];
	return NULL;
}

static void leave(struct call *call)
{
	if (call->taken)
		(void)pthread_join(call->thread, NULL);
	x402_buf_clear(&call->message);
	call->taken = call->ended = false;
}

/* Only the thread that reads takes and leaves places. */
static struct call *wait_for_place(void)
{
	struct call *place;
	(void)pthread_mutex_lock(&calls.lock);
	while (!(place = find_place()))
		(void)pthread_cond_wait(&calls.ended, &calls.lock);
	(void)pthread_mutex_unlock(&calls.lock);
	leave(place);
	return place;
}

static void wait_for_calls(void)
{
	for (size_t i = 0; i < MCP_CALLS_MAX; i++)
		leave(&calls.places[i]);
}

/* False: there is no thread for it. */
static bool start_call(struct x402_span message)
{
	struct call *call = wait_for_place();
	sigset_t signals;
	sigset_t before;
	x402_buf_add(&call->message, message);
	if (call->message.failed)
		return false;
	/* Signals are for the thread that reads: they end its read. */
	(void)sigfillset(&signals);
	(void)pthread_sigmask(SIG_BLOCK, &signals, &before);
	call->taken = pthread_create(&call->thread, NULL, run_call, call) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return call->taken;
}

/* ---- Lines. ---- */

static void take_line(struct x402_span line)
{
	if (line.len && !(mcp_is_call(line) && start_call(line)))
		answer(line);
}

/* Every whole line; what is left stays in the buffer. */
static bool take_lines(struct x402_buf *in)
{
	for (;;) {
		uint8_t *end = in->len ? memchr(in->ptr, '\n', in->len) : NULL;
		if (!end)
			return in->len <= MCP_MESSAGE_MAX_BYTES;
		size_t len = (size_t)(end - in->ptr);
		take_line(x402_span(in->ptr, len));
		memmove(in->ptr, end + 1, in->len - len - 1);
		in->len -= len + 1;
	}
}

static bool is_broken(void)
{
	(void)pthread_mutex_lock(&calls.lock);
	bool broken = calls.broken;
	(void)pthread_mutex_unlock(&calls.lock);
	return broken;
}

/* The end of the input ends no call: what it has paid for is answered. */
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
		ok = !in.failed && take_lines(&in) && !is_broken();
	}
	wait_for_calls();
	free(chunk);
	x402_buf_clear(&in);
	if (!ok || is_broken())
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
	(void)cli_session_id(); /* one for all calls, made before they are two
				 */
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
