/*
 * commands.c: finding a command in the table (table.c) and reading its
 * arguments by it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Does `name` consist of the words at argv? How many, or 0. */
static int match_words(const char *name, int argc, char *const *argv)
{
	int words = 0;
	while (*name) {
		size_t len = strcspn(name, " ");
		if (words >= argc || strlen(argv[words]) != len ||
			strncmp(argv[words], name, len) != 0)
			return 0;
		words++;
		name += len;
		name += *name == ' ';
	}
	return words;
}

const struct cli_command *cli_command_find(
	int argc, char *const *argv, int *ret_words)
{
	const struct cli_command *found = NULL;
	*ret_words = 0;
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		int words = match_words(c->name, argc, argv);
		if (!words && c->alias)
			words = match_words(c->alias, argc, argv);
		if (words > *ret_words) {
			found = c;
			*ret_words = words;
		}
	}
	return found;
}

static bool wants_help(int argc, char *const *argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 ||
			strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

/* argv[0] is the command's last word. */
int cli_command_run(const struct cli_command *command, int argc, char **argv)
{
	struct cli_args args;
	struct x402_json *answer = NULL;
	if (command->run)
		return command->run(command, argc, argv);
	if (wants_help(argc, argv)) {
		cli_help(command, stdout);
		return CLI_OK;
	}
	int exit = cli_args_parse(command, argc, argv, &args);
	if (exit == CLI_OK)
		exit = command->produce(&args, &answer);
	if (answer)
		cli_print_answer(answer);
	x402_json_unref(answer);
	return exit;
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

/* A key as any wallet writes it: hex, or Solana's base58. */
static bool is_key(const char *text)
{
	uint8_t bytes[64];
	bool hex = strncmp(text, "0x", 2) == 0;
	const char *digits = hex ? text + 2 : text;
	if (strlen(digits) == 64 &&
		strspn(digits, "0123456789abcdefABCDEF") == 64)
		return true;
	return strlen(text) > 80 && !x402_base58_decode(text, bytes, 64);
}

/* Where a name or a file is meant, and a key is given by mistake. */
static bool names_wallet(const struct cli_command *command, int key)
{
	switch (key) {
	case CLI_KEY_WALLET:
	case CLI_KEY_SIGNER:
	case CLI_KEY_SESSION:
	case CLI_KEY_PASSWORD_FILE:
	case CLI_KEY_FROM:
	case CLI_KEY_PAYEE:
	case CLI_KEY_PAYER:
		return true;
	case 0: /* an operand */
		return strncmp(command->name, "wallet ", 7) == 0 ||
			strcmp(command->name, "balance") == 0;
	default: /* a letter, not one of our enums */
		return false;
	}
}

/*
 * R10: a key in argv is read by every user of the machine, and the shell keeps
 * it. It is not repeated, and a list of processes shows it no longer.
 */
static bool refuse_key(const struct cli_command *command, int key, char *value)
{
	if (!value || !names_wallet(command, key) || !is_key(value))
		return false;
	memset(value, 'x', strlen(value));
	(void)cli_error(CLI_USAGE, "usage",
		"this is a key, and a command line is no place for one: others "
		"may have read it by now, so move what it holds. Expected a "
		"name or a file; x402 wallet import asks for a key on the "
		"terminal");
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
		if (refuse_key(walk->command, key, optarg) ||
			!walk->take(walk->user, key, optarg))
			return CLI_USAGE;
	}
	for (; optind < argc; optind++)
		if (refuse_key(walk->command, 0, argv[optind]) ||
			!walk->operand(walk->user, argv[optind]))
			return CLI_USAGE;
	return CLI_OK;
}

/* ---- Collected arguments. ---- */

bool cli_args_add(struct cli_args *args, int key, const char *value)
{
	if (args->given_len >= CLI_ARGS_MAX) {
		(void)cli_error(CLI_USAGE, "usage", "too many options");
		return false;
	}
	args->given[args->given_len].key = key;
	args->given[args->given_len++].value = value;
	return true;
}

static bool collect(void *user, int key, const char *value)
{
	return cli_args_add(user, key, value);
}

static bool collect_operand(void *user, const char *value)
{
	struct cli_args *args = user;
	if (args->operands_len >= CLI_ARGS_MAX) {
		(void)cli_error(CLI_USAGE, "usage", "too many arguments");
		return false;
	}
	args->operands[args->operands_len++] = value;
	return true;
}

int cli_args_parse(const struct cli_command *command, int argc, char **argv,
	struct cli_args *ret_args)
{
	struct cli_walk walk = {.command = command,
		.take = collect,
		.operand = collect_operand,
		.user = ret_args};
	*ret_args = (struct cli_args){.command = command};
	return cli_walk(&walk, argc, argv);
}

const char *cli_arg(const struct cli_args *args, int key)
{
	for (size_t i = args->given_len; i-- > 0;)
		if (args->given[i].key == key)
			return args->given[i].value;
	return NULL;
}

bool cli_has(const struct cli_args *args, int key)
{
	for (size_t i = 0; i < args->given_len; i++)
		if (args->given[i].key == key)
			return true;
	return false;
}

const char *cli_operand(const struct cli_args *args, const char *what)
{
	if (args->operands_len == 1 && args->operands[0][0])
		return args->operands[0];
	(void)cli_error(CLI_USAGE, "usage", "%s: expected one %s, got %zu",
		args->command->name, what, args->operands_len);
	return NULL;
}

bool cli_number(
	const char *option, const char *text, uint64_t max, uint64_t *ret_value)
{
	char *end = NULL;
	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value < 1 ||
		value > max) {
		(void)cli_error(CLI_USAGE, "usage",
			"%s: expected a number from 1 to %llu, got \"%s\"",
			option, (unsigned long long)max, text);
		return false;
	}
	*ret_value = value;
	return true;
}

bool cli_duration(const char *option, const char *text, uint64_t *ret_s)
{
	static const struct {
		char unit;
		uint64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	/* Ten years: what is longer is a mistake. */
	const uint64_t max_s = (uint64_t)10 * 366 * 86400;
	char *end = NULL;
	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	uint64_t unit = *end ? 0 : 1;
	for (size_t i = 0; i < 4; i++)
		if (end[0] == units[i].unit && !end[1])
			unit = units[i].s;
	if (text[0] < '0' || text[0] > '9' || errno || !unit || value < 1 ||
		value > max_s / unit) {
		(void)cli_error(CLI_USAGE, "usage",
			"%s: expected a time such as 90s, 15m, 12h or 30d, got "
			"\"%s\"",
			option, text);
		return false;
	}
	*ret_s = value * unit;
	return true;
}
