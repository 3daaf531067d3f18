/*
 * main.c: the `x402` command. Finds the verb in the table (table.c) and runs
 * it; each verb has a file of its own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cli.h"

#if defined(__has_feature) /* clang says it in another way than gcc */
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

static int help(int argc, char **argv)
{
	int words = 0;
	if (argc < 2) {
		cli_help_all(stdout);
		return CLI_OK;
	}
	const struct cli_command *command = cli_command_find(
		argc - 1, argv + 1, &words);
	if (!command)
		return cli_error(
			CLI_USAGE, "usage", "unknown command %s", argv[1]);
	cli_help(command, stdout);
	return CLI_OK;
}

static int schema(void)
{
	struct x402_json *json = cli_schema();
	char *text = json ? x402_json_dump(json) : NULL;
	x402_json_unref(json);
	if (!text)
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	puts(text);
	free(text);
	return CLI_OK;
}

/* What is no verb. -1: it is one. */
static int no_verb(const char *word, int argc, char **argv)
{
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		puts("x402 " X402_VERSION);
		return CLI_OK;
	}
	if (strcmp(word, "--schema") == 0)
		return schema();
	if (strcmp(word, "--man") == 0) {
		cli_man(stdout);
		return CLI_OK;
	}
	if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 ||
		strcmp(word, "-h") == 0)
		return help(argc - 1, argv + 1);
	return -1;
}

/* "wallet" alone, or with a word that is none of its own. */
static int unknown(const char *word)
{
	struct x402_buf known = {0};
	size_t len = strlen(word);
	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (strncmp(c->name, word, len) == 0 && c->name[len] == ' ')
			x402_buf_printf(&known, "%s%s", known.len ? ", " : "",
				c->name + len + 1);
	char *list = known.len ? x402_buf_take_str(&known) : NULL;
	int exit = list
		? cli_error(CLI_USAGE, "usage",
			  "%s: expected one of %s (see x402 help)", word, list)
		: cli_error(CLI_USAGE, "usage",
			  "unknown command %s (see x402 help)", word);
	free(list);
	return exit;
}

int main(int argc, char **argv)
{
	/* R10: a key must not end up in a core dump, nor be read by another
	 * process of this user. */
	struct rlimit none = {0, 0};
	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* its leak check traces the process */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	if (argc < 2) {
		cli_help_all(stderr);
		return CLI_USAGE;
	}
	int exit = no_verb(argv[1], argc, argv);
	if (exit >= 0)
		return exit;
	int words = 0;
	const struct cli_command *command = cli_command_find(
		argc - 1, argv + 1, &words);
	if (!command)
		return unknown(argv[1]);
	return cli_command_run(command, argc - words, argv + words);
}
