/*
 * commands.c: the one table of what `x402` can do. Parsing and help are made
 * from it, so a flag that is parsed is a flag that is documented.
 *
 * Letters are curl's, with curl's meaning; words that curl has not are ours.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Flags that say how to ask. */
#define REQUEST_OPTIONS                                                        \
	{'X', "request", "METHOD", "method to use"},                           \
		{'H', "header", "LINE",                                        \
			"add a header; \"Name:\" drops one, @FILE reads "      \
			"them"},                                               \
		{'d', "data", "DATA",                                          \
			"send as a form by POST; @FILE reads it, - is stdin"}, \
		{CLI_KEY_DATA_RAW, "data-raw", "DATA",                         \
			"the same, @ means nothing"},                          \
		{CLI_KEY_DATA_BINARY, "data-binary", "DATA",                   \
			"the same, line breaks are kept"},                     \
		{CLI_KEY_JSON, "json", "DATA",                                 \
			"send as JSON by POST, and accept JSON"},              \
		{'G', "get", NULL, "put the data into the query instead"},     \
		{'L', "location", NULL,                                        \
			"follow redirects (before paying only)"},              \
		{'m', "max-time", "SECONDS", "deadline for all of it"},        \
		{CLI_KEY_CONNECT_TIMEOUT, "connect-timeout", "SECONDS",        \
			"deadline for a connection"},                          \
		{'k', "insecure", NULL, "do not check TLS certificates"},      \
		{'u', "user", "NAME:PASSWORD", "basic authentication"},        \
		{'A', "user-agent", "NAME", "what to call ourselves"},         \
	{                                                                      \
		CLI_KEY_RETRY, "retry", "N", "attempts again while unpaid"     \
	}

/* Flags that say what may be paid. */
#define MONEY_OPTIONS                                                   \
	{CLI_KEY_MAX_AMOUNT, "max-amount", "AMOUNT",                    \
		"cap: 0.05usd, '$0.05' or 50000atomic; default 1usd"},  \
		{CLI_KEY_NETWORK, "network", "NETWORK",                 \
			"pay on this network only (may be repeated)"},  \
		{CLI_KEY_ASSET, "asset", "ASSET",                       \
			"pay with this asset only: symbol or address"}, \
		{CLI_KEY_ALLOW_HTTP, "allow-http", NULL,                \
			"pay over plain HTTP, not only to loopback"},   \
	{                                                               \
		CLI_KEY_ALLOW_OTHER_ORIGIN, "allow-other-origin", NULL, \
			"pay for or at another origin than was asked"   \
	}

static const struct cli_option get_options[] = {
	REQUEST_OPTIONS,
	{'I', "head", NULL, "headers only"},
	{'f', "fail", NULL, "no body and exit 22 on an HTTP error"},
	{'o', "output", "FILE", "write the body to FILE"},
	{'O', "remote-name", NULL, "write it to the name in the URL"},
	{'i', "include", NULL, "write the headers before the body"},
	{'D', "dump-header", "FILE", "write the headers to FILE"},
	{'s', "silent", NULL, "no receipt on stderr"},
	{'S', "show-error", NULL, "accepted: errors are always shown"},
	MONEY_OPTIONS,
	{CLI_KEY_DRY_RUN, "dry-run", NULL,
		"say what would be paid; sign nothing"},
	{CLI_KEY_CONFIRM, "confirm", NULL, "ask on the terminal first"},
	{CLI_KEY_YES, "yes", NULL, "do not ask"},
	{'h', "help", NULL, "this text"},
	{0, NULL, NULL, NULL},
};

static const struct cli_option inspect_options[] = {
	REQUEST_OPTIONS,
	MONEY_OPTIONS,
	{'h', "help", NULL, "this text"},
	{0, NULL, NULL, NULL},
};

const struct cli_command cli_commands[] = {
	{"get", "fetch", "URL", "fetch a URL, and pay for it if it has a price",
		get_options, cli_get_run},
	{"inspect", NULL, "URL", "show what a URL costs; pay nothing",
		inspect_options, cli_inspect_run},
	{NULL, NULL, NULL, NULL, NULL, NULL},
};

const struct cli_command *cli_command_find(const char *name)
{
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		if (strcmp(c->name, name) == 0 ||
			(c->alias && strcmp(c->alias, name) == 0))
			return c;
	}
	return NULL;
}

/* ---- Help. ---- */

void cli_help_all(FILE *out)
{
	fputs("usage: x402 COMMAND [OPTIONS] ...\n\ncommands:\n", out);
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		char left[40];
		(void)snprintf(left, sizeof(left), "%s%s%s %s", c->name,
			c->alias ? "|" : "", c->alias ? c->alias : "",
			c->arguments);
		fprintf(out, "  %-22s %s\n", left, c->summary);
	}
	fputs("  help [COMMAND]         what a command takes\n"
	      "  --version              which version this is\n\n"
	      "The key that pays: X402_PRIVATE_KEY or EVM_PRIVATE_KEY, or a "
	      "file named by\nX402_PRIVATE_KEY_FILE or EVM_PRIVATE_KEY_FILE. "
	      "The default limit is 1 USD per payment.\n",
		out);
}

void cli_help(const struct cli_command *command, FILE *out)
{
	fprintf(out, "usage: x402 %s [OPTIONS] %s\n%s.\n\noptions:\n",
		command->name, command->arguments, command->summary);
	for (const struct cli_option *o = command->options; o->name; o++) {
		char left[48];
		char letter[8] = "    ";
		if (o->key < 256)
			(void)snprintf(
				letter, sizeof(letter), "-%c, ", (char)o->key);
		(void)snprintf(left, sizeof(left), "%s--%s%s%s", letter,
			o->name, o->argument ? " " : "",
			o->argument ? o->argument : "");
		fprintf(out, "  %-34s %s\n", left, o->help);
	}
}

/* ---- Parsing. ---- */

/* More options than any command has; a table that outgrows it is cut by
 * nothing: the lookup below would refuse to start. */
#define OPTIONS_MAX 64

static bool make_getopt(const struct cli_command *command,
	char letters[2 * OPTIONS_MAX + 2], struct option longs[OPTIONS_MAX])
{
	size_t n = 0;
	size_t at = 0;
	letters[at++] = ':'; /* tell a missing value from an unknown option */
	for (const struct cli_option *o = command->options; o->name; o++) {
		if (n + 1 >= OPTIONS_MAX)
			return false;
		longs[n++] = (struct option){o->name,
			o->argument ? required_argument : no_argument, NULL,
			o->key};
		if (o->key >= 256)
			continue;
		letters[at++] = (char)o->key;
		if (o->argument)
			letters[at++] = ':';
	}
	letters[at] = '\0';
	longs[n] = (struct option){0};
	return true;
}

int cli_walk(const struct cli_walk *walk, int argc, char **argv)
{
	char letters[2 * OPTIONS_MAX + 2];
	struct option longs[OPTIONS_MAX];
	if (!make_getopt(walk->command, letters, longs))
		return cli_error(
			CLI_GENERAL, "internal_error", "option table too long");
	opterr = 0; /* errors are said in our form */
	optind = 1;
	int key;
	while ((key = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (key == '?')
			return cli_error(CLI_USAGE, "usage",
				"unknown option %s (see x402 help %s)",
				argv[optind - 1], walk->command->name);
		if (key == ':')
			return cli_error(CLI_USAGE, "usage",
				"option %s needs a value", argv[optind - 1]);
		if (!walk->take(walk->user, key, optarg))
			return CLI_USAGE;
	}
	for (; optind < argc; optind++)
		if (!walk->operand(walk->user, argv[optind]))
			return CLI_USAGE;
	return CLI_OK;
}
