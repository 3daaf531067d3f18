/*
 * get.c: `x402 get URL`.
 *
 *   1. parse, load the key                    cli_walk, cli_call_perform
 *   2. open the output: a body that was paid for must have somewhere to go
 *   3. perform                                libx402-client
 *   4. body to stdout or the file, then the receipt or the error to stderr
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"

struct get {
	struct cli_call call;
	const struct cli_command *command;
	const char *output; /* NULL or "-": stdout */
	char *remote_name;
	const char *dump;
	FILE *out;
	FILE *dump_file;
	bool created; /* the output was not there before */
	bool remote;
	bool include;
	bool fail;
	bool silent;
	bool dry_run;
	bool help;
};

static bool take(void *user, int key, const char *value)
{
	struct get *get = user;
	switch (key) {
	case 'I':
		get->call.request.head = true;
		return true;
	case 'f':
		get->fail = true;
		return true;
	case 'o':
		get->output = value;
		return true;
	case 'O':
		get->remote = true;
		return true;
	case 'i':
		get->include = true;
		return true;
	case 'D':
		get->dump = value;
		return true;
	case 's':
		get->silent = true;
		return true;
	case 'S':
		return true;
	case 'h':
		get->help = true;
		return true;
	case CLI_KEY_DRY_RUN:
		get->dry_run = true;
		return true;
	case CLI_KEY_CONFIRM:
		get->call.confirm = true;
		return true;
	case CLI_KEY_YES:
		get->call.yes = true;
		return true;
	default: /* the flags that verbs share */
		return cli_call_take(&get->call, key, value) == CLI_TAKEN;
	}
}

static bool operand(void *user, const char *value)
{
	struct get *get = user;
	return cli_call_operand(&get->call, value);
}

/* ---- 2. Where the body goes. ---- */

/* -O: the last part of the URL's path, never a path itself. */
static bool name_remote(struct get *get)
{
	const char *url = get->call.request.url;
	const char *host = url ? strstr(url, "://") : NULL;
	host = host ? host + 3 : url;
	const char *path = host ? strchr(host, '/') : NULL;
	size_t len = path ? strcspn(path, "?#") : 0;
	size_t start = len;
	while (start > 0 && path[start - 1] != '/')
		start--;
	get->remote_name = len > start ? strndup(path + start, len - start)
				       : NULL;
	if (!get->remote_name || strcmp(get->remote_name, ".") == 0 ||
		strcmp(get->remote_name, "..") == 0) {
		(void)cli_error(
			CLI_USAGE, "usage", "-O: the URL has no file name");
		return false;
	}
	get->output = get->remote_name;
	return true;
}

static bool open_output(struct get *get)
{
	get->out = stdout;
	if (!get->output || strcmp(get->output, "-") == 0)
		return true;
	int fd = open(
		get->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	get->created = fd >= 0;
	if (fd < 0 && errno == EEXIST) /* kept as it is until there is a body */
		fd = open(get->output, O_WRONLY | O_CLOEXEC);
	get->out = fd >= 0 ? fdopen(fd, "wb") : NULL;
	if (get->out)
		return true;
	(void)cli_error(
		CLI_USAGE, "output", "%s: %s", get->output, strerror(errno));
	if (fd >= 0)
		close(fd);
	return false;
}

static bool open_dump(struct get *get)
{
	if (!get->dump)
		return true;
	get->dump_file = strcmp(get->dump, "-") == 0 ? stdout
						     : fopen(get->dump, "wb");
	if (!get->dump_file)
		(void)cli_error(CLI_USAGE, "output", "%s: %s", get->dump,
			strerror(errno));
	return get->dump_file != NULL;
}

/* ---- 4. Writing. ---- */

static void write_headers(
	const struct x402_client_response *response, FILE *out)
{
	fprintf(out, "HTTP %ld\r\n", response->status);
	for (size_t i = 0; i < response->headers_len; i++)
		fprintf(out, "%s: %s\r\n", response->headers[i].name,
			response->headers[i].value);
	fputs("\r\n", out);
}

/* False when the body could not be written whole. */
static bool write_response(
	struct get *get, const struct x402_client_response *response)
{
	if (get->dump_file)
		write_headers(response, get->dump_file);
	if (get->include || get->call.request.head)
		write_headers(response, get->out);
	size_t len = response->body.len;
	bool ok = len == 0 ||
		fwrite(response->body.ptr, 1, len, get->out) == len;
	ok = fflush(get->out) == 0 && ok;
	if (ok && get->out != stdout) {
		off_t end = ftello(get->out);
		/* Pipes and devices have no length to cut. */
		if (end >= 0 && ftruncate(fileno(get->out), end) &&
			errno != EINVAL)
			ok = false;
	}
	if (get->dump_file && fflush(get->dump_file) != 0)
		ok = false;
	return ok;
}

static int finish(struct get *get, struct x402_client_response *response)
{
	enum cli_exit exit = cli_exit_of(response);
	bool http_error = response->status >= 400;
	if (get->dry_run && exit == CLI_OK) {
		cli_report_quote(response);
		return CLI_OK;
	}
	/* What the caller's limits refused has no body worth having; what the
	 * server answered to a payment is shown. */
	bool answered = response->status != 0 &&
		(exit == CLI_OK || response->payment.presented ||
			response->cause == X402_CLIENT_CAUSE_PERMIT2);
	bool written = true;
	if (answered && !(get->fail && http_error))
		written = write_response(get, response);
	else if (get->created)
		(void)unlink(get->output);
	if (exit != CLI_OK)
		cli_report_error(response);
	else if (response->payment.attempted && !get->silent)
		cli_report_receipt(response);
	if (!written)
		return cli_error(CLI_GENERAL, "output",
			"the body could not be written whole");
	if (exit != CLI_OK || !get->fail || !http_error)
		return (int)exit;
	/* The receipt of a payment says it with the money. */
	return response->payment.attempted
		? CLI_HTTP_ERROR
		: cli_error(CLI_HTTP_ERROR, "http_error",
			  "the server answered %ld", response->status);
}

static int run(struct get *get)
{
	if (get->remote && !get->dry_run && !name_remote(get))
		return CLI_USAGE;
	if (!get->dry_run && (!open_output(get) || !open_dump(get)))
		return CLI_USAGE;
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	int exit = cli_call_perform(
		&get->call, !get->dry_run, get->dry_run, &response);
	if (exit == CLI_OK)
		exit = finish(get, &response);
	else if (get->created)
		(void)unlink(get->output);
	x402_client_response_clear(&response);
	return exit;
}

int cli_get_run(const struct cli_command *command, int argc, char **argv)
{
	struct get get = {.command = command};
	struct cli_walk walk = {.command = command,
		.take = take,
		.operand = operand,
		.user = &get};
	int exit = cli_walk(&walk, argc, argv);
	if (exit == CLI_OK && get.help)
		cli_help(command, stdout);
	else if (exit == CLI_OK)
		exit = run(&get);
	if (get.out && get.out != stdout)
		(void)fclose(get.out);
	if (get.dump_file && get.dump_file != stdout)
		(void)fclose(get.dump_file);
	free(get.remote_name);
	cli_call_clear(&get.call);
	return exit;
}
