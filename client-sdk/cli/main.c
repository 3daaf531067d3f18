/*
 * main.c: the `x402` command. Finds the verb in the table (commands.c) and
 * runs it; get.c and inspect.c are the verbs.
 */
#include <string.h>
#include <sys/resource.h>

#include "cli.h"

static int help(int argc, char **argv)
{
	if (argc < 2) {
		cli_help_all(stdout);
		return CLI_OK;
	}
	const struct cli_command *command = cli_command_find(argv[1]);
	if (!command)
		return cli_error(
			CLI_USAGE, "usage", "unknown command %s", argv[1]);
	cli_help(command, stdout);
	return CLI_OK;
}

int main(int argc, char **argv)
{
	/* R10: a key must not end up in a core dump. */
	struct rlimit none = {0, 0};
	(void)setrlimit(RLIMIT_CORE, &none);
	if (argc < 2) {
		cli_help_all(stderr);
		return CLI_USAGE;
	}
	const char *verb = argv[1];
	if (strcmp(verb, "--version") == 0 || strcmp(verb, "-V") == 0) {
		puts("x402 " X402_VERSION);
		return CLI_OK;
	}
	if (strcmp(verb, "help") == 0 || strcmp(verb, "--help") == 0 ||
		strcmp(verb, "-h") == 0)
		return help(argc - 1, argv + 1);
	const struct cli_command *command = cli_command_find(verb);
	if (!command)
		return cli_error(CLI_USAGE, "usage",
			"unknown command %s (see x402 help)", verb);
	return command->run(command, argc - 1, argv + 1);
}
