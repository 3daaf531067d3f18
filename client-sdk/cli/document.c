/*
 * document.c: what is made from the command table for people, shells and
 * programs: help, the man page, completions, the schema.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char environment_text[] =
	"The key that pays: X402_PRIVATE_KEY or EVM_PRIVATE_KEY, or a file "
	"named by\nX402_PRIVATE_KEY_FILE or EVM_PRIVATE_KEY_FILE; or "
	"X402_SIGNER, X402_WALLET,\nor the wallet named default. The limits "
	"are 1 USD unless flags say otherwise.\n";

/* ---- Help. ---- */

void cli_help_all(FILE *out)
{
	fputs("usage: x402 COMMAND [OPTIONS] ...\n\ncommands:\n", out);
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		char left[48];
		(void)snprintf(left, sizeof(left), "%s%s%s %s", c->name,
			c->alias ? "|" : "", c->alias ? c->alias : "",
			c->arguments);
		fprintf(out, "  %-24s %s\n", left, c->summary);
	}
	fputs("  help [COMMAND]           what a command takes\n"
	      "  --schema                 all of this as JSON\n"
	      "  --version                which version this is\n\n",
		out);
	fputs(environment_text, out);
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

/* ---- The man page. ---- */

/* A leading dot or quote is a request to roff, a backslash everywhere, and a
 * hyphen may become a dash. */
static void man_text(const char *text, FILE *out)
{
	if (text[0] == '.' || text[0] == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

static void man_command(const struct cli_command *c, FILE *out)
{
	fputs(".SS \"x402 ", out);
	man_text(c->name, out);
	if (c->alias) {
		fputs(" | ", out);
		man_text(c->alias, out);
	}
	fputs(" [OPTIONS] ", out);
	man_text(c->arguments, out);
	fputs("\"\n", out);
	man_text(c->summary, out);
	fputs(".\n", out);
	for (const struct cli_option *o = c->options; o->name; o++) {
		fputs(".TP\n.B ", out);
		if (o->key < 256)
			fprintf(out, "\\-%c, ", (char)o->key);
		fputs("\\-\\-", out);
		man_text(o->name, out);
		if (o->argument)
			fprintf(out, " \\fI%s\\fR", o->argument);
		fputc('\n', out);
		man_text(o->help, out);
		fputc('\n', out);
	}
}

void cli_man(FILE *out)
{
	fputs(".TH X402 1 \"\" \"x402 " X402_VERSION "\" \"User Commands\"\n"
	      ".SH NAME\nx402 \\- HTTP requests that pay for themselves\n"
	      ".SH SYNOPSIS\n.B x402\n\\fICOMMAND\\fR [\\fIOPTIONS\\fR] ...\n"
	      ".SH DESCRIPTION\n"
	      "A request to a priced URL is answered with 402 and an offer. "
	      "The command checks\nthe offer against your limits, signs one "
	      "authorization, sends the request again\nwith it, and says what "
	      "became of the money. Standard output is the body and\nnothing "
	      "else; all else is on standard error, as text on a terminal and "
	      "as one\nline of JSON otherwise.\n.PP\n",
		out);
	fputs(environment_text, out);
	fputs(".SH COMMANDS\n", out);
	for (const struct cli_command *c = cli_commands; c->name; c++)
		man_command(c, out);
	fputs(".SH EXIT STATUS\n", out);
	for (const struct cli_exit_name *e = cli_exits; e->text; e++)
		fprintf(out, ".TP\n%d\n%s\n", (int)e->code, e->text);
	fputs(".SH SEE ALSO\n.BR curl (1),\n.BR x402\\-facilitator (8)\n", out);
}

const struct cli_exit_name cli_exits[] = {
	{CLI_OK, "ok", "done, whatever the HTTP status"},
	{CLI_GENERAL, "general", "malformed challenge, disk full, other"},
	{CLI_USAGE, "usage", "usage"},
	{CLI_CONFIG, "config", "configuration: key, password, file mode"},
	{CLI_NETWORK, "network", "network"},
	{CLI_REFUSED, "refused", "the server refused the payment"},
	{CLI_FUNDS, "funds", "not enough funds, or above the limit"},
	{CLI_CANCELLED, "cancelled", "you declined"},
	{CLI_AUTH, "auth", "the server wants a sign\\-in"},
	{CLI_NOT_FOUND, "not_found", "not found"},
	{CLI_TIMEOUT, "timeout", "timeout, nothing paid"},
	{CLI_UNKNOWN, "unknown", "paid, outcome pending or unknown"},
	{CLI_POLICY, "policy", "refused by policy"},
	{CLI_PRICE_CHANGED, "price_changed", "the price changed"},
	{CLI_HTTP_ERROR, "http_error", "HTTP error, with \\-f"},
	{CLI_INTERRUPTED, "interrupted", "interrupted"},
	{CLI_OK, NULL, NULL},
};

/* ---- Completion. ---- */

static bool is_file(const struct cli_option *o)
{
	return o->argument &&
		(strcmp(o->argument, "FILE") == 0 ||
			strcmp(o->argument, "SOCKET") == 0 ||
			strcmp(o->argument, "PATH") == 0);
}

static void words_of(const struct cli_command *c, FILE *out)
{
	for (const struct cli_option *o = c->options; o->name; o++)
		fprintf(out, " --%s", o->name);
}

static void file_options(FILE *out)
{
	/* Doubled names do no harm in a pattern. */
	bool first = true;
	for (const struct cli_command *c = cli_commands; c->name; c++)
		for (const struct cli_option *o = c->options; o->name; o++)
			if (is_file(o)) {
				fprintf(out, "%s--%s", first ? "" : "|",
					o->name);
				first = false;
			}
}

static void bash(FILE *out)
{
	fputs("# bash completion of x402: source it, or put it into\n"
	      "# ~/.local/share/bash-completion/completions/x402\n"
	      "_x402() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words\n"
	      "\tlocal prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tcase $prev in ",
		out);
	file_options(out);
	fputs(")\n\t\tCOMPREPLY=($(compgen -f -- \"$cur\")); return;; esac\n"
	      "\tcase \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n",
		out);
	/* Two words first: "wallet new" is not "wallet". */
	for (int two = 1; two >= 0; two--)
		for (const struct cli_command *c = cli_commands; c->name; c++) {
			if ((strchr(c->name, ' ') != NULL) != (two != 0))
				continue;
			fprintf(out, "\t\"%s\"%s) words=\"", c->name,
				two ? "" : "\\ *");
			words_of(c, out);
			fputs("\";;\n", out);
		}
	fputs("\t*) words=\"", out);
	for (const struct cli_command *c = cli_commands; c->name; c++)
		fprintf(out, " %s", c->name);
	fputs(" help\";;\n\tesac\n"
	      "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	      "}\ncomplete -o default -F _x402 x402\n",
		out);
}

/* Square brackets, colons and quotes mean something to _arguments. */
static void zsh_text(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else if (strchr("[]:\\", *text))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

static void zsh_option(const struct cli_option *o, FILE *out)
{
	fprintf(out, " '*--%s[", o->name);
	zsh_text(o->help, out);
	fputc(']', out);
	if (o->argument) {
		fputc(':', out);
		zsh_text(o->argument, out);
		fputs(is_file(o) ? ":_files" : ":", out);
	}
	fputc('\'', out);
}

static void zsh(FILE *out)
{
	fputs("#compdef x402\n_x402() {\n\tlocal -a commands\n\tcommands=(\n",
		out);
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		fprintf(out, "\t\t'%.*s:", (int)strcspn(c->name, " "), c->name);
		zsh_text(c->summary, out);
		fputs("'\n", out);
	}
	fputs("\t)\n\tif (( CURRENT == 2 )); then\n"
	      "\t\t_describe command commands; return\n\tfi\n"
	      "\tcase \"${words[2]} ${words[3]}\" in\n",
		out);
	for (int two = 1; two >= 0; two--)
		for (const struct cli_command *c = cli_commands; c->name; c++) {
			if ((strchr(c->name, ' ') != NULL) != (two != 0))
				continue;
			fprintf(out, "\t\"%s\"%s) _arguments", c->name,
				two ? "" : "\\ *");
			for (const struct cli_option *o = c->options; o->name;
				o++)
				zsh_option(o, out);
			fputs(" '*: :_default';;\n", out);
		}
	fputs("\t*) _default;;\n\tesac\n}\n_x402 \"$@\"\n", out);
}

bool cli_completion(const char *shell, FILE *out)
{
	if (strcmp(shell, "bash") == 0)
		bash(out);
	else if (strcmp(shell, "zsh") == 0)
		zsh(out);
	else
		return false;
	return true;
}

int cli_completion_run(const struct cli_command *command, int argc, char **argv)
{
	struct cli_args args;
	int exit = cli_args_parse(command, argc, argv, &args);
	if (exit)
		return exit;
	if (cli_has(&args, 'h')) {
		cli_help(command, stdout);
		return CLI_OK;
	}
	const char *shell = cli_operand(&args, "shell");
	if (!shell)
		return CLI_USAGE;
	if (!cli_completion(shell, stdout))
		return cli_error(CLI_USAGE, "usage",
			"expected bash or zsh, got \"%s\"", shell);
	return CLI_OK;
}

/* ---- Schemas. ---- */

static struct x402_json *option_schema(const struct cli_option *o)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_json *items = NULL;
	if (o->flags & CLI_SEVERAL) {
		items = x402_json_new_object();
		cli_put(items, "type", "string");
		cli_put(json, "type", "array");
		if (x402_json_set_take(json, "items", items))
			goto fail;
	} else {
		cli_put(json, "type", o->argument ? "string" : "boolean");
	}
	cli_put(json, "description", o->help);
	return json;
fail:
	x402_json_unref(json);
	return NULL;
}

/* Tools name their arguments with underscores, as most do. */
static void property_name(const char *name, char *ret_text, size_t size)
{
	size_t i = 0;
	for (; name[i] && i + 1 < size; i++)
		ret_text[i] = name[i] == '-' ? '_' : name[i];
	ret_text[i] = '\0';
}

static bool add_operand(const struct cli_command *command,
	struct x402_json *properties, struct x402_json *required)
{
	struct x402_json *operand = x402_json_new_object();
	bool optional = command->arguments[0] == '[';
	cli_put(operand, "type", "string");
	cli_put(operand, "description", command->arguments);
	if (x402_json_set_take(properties, command->operand, operand))
		return false;
	return optional ||
		!x402_json_append_take(
			required, x402_json_new_string(command->operand));
}

struct x402_json *cli_tool_schema(const struct cli_command *command)
{
	struct x402_json *schema = x402_json_new_object();
	struct x402_json *properties = x402_json_new_object();
	struct x402_json *required = x402_json_new_array();
	bool ok = schema && properties && required;
	char name[64];
	if (ok && command->operand)
		ok = add_operand(command, properties, required);
	for (const struct cli_option *o = command->options; ok && o->name;
		o++) {
		if (!(o->flags & CLI_TOOL))
			continue;
		property_name(o->name, name, sizeof(name));
		ok = !x402_json_set_take(properties, name, option_schema(o));
	}
	cli_put(schema, "type", "object");
	if (x402_json_set_take(schema, "properties", properties) ||
		x402_json_set_take(schema, "required", required))
		ok = false;
	cli_put_bool(schema, "additionalProperties", false);
	if (ok)
		return schema;
	x402_json_unref(schema);
	return NULL;
}

static struct x402_json *option_json(const struct cli_option *o)
{
	struct x402_json *json = x402_json_new_object();
	char letter[2] = {(char)o->key, '\0'};
	cli_put(json, "name", o->name);
	if (o->key < 256)
		cli_put(json, "letter", letter);
	cli_put(json, "argument", o->argument);
	cli_put_bool(json, "repeatable", (o->flags & CLI_SEVERAL) != 0);
	cli_put(json, "help", o->help);
	return json;
}

static struct x402_json *command_json(const struct cli_command *c)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_json *options = x402_json_new_array();
	cli_put(json, "name", c->name);
	cli_put(json, "alias", c->alias);
	cli_put(json, "arguments", c->arguments);
	cli_put(json, "summary", c->summary);
	bool ok = options != NULL;
	for (const struct cli_option *o = c->options; ok && o->name; o++)
		ok = !x402_json_append_take(options, option_json(o));
	if (x402_json_set_take(json, "options", options))
		ok = false;
	if (ok && c->tool) {
		cli_put(json, "tool", c->tool->name);
		ok = !x402_json_set_take(
			json, "inputSchema", cli_tool_schema(c));
	}
	if (ok)
		return json;
	x402_json_unref(json);
	return NULL;
}

struct x402_json *cli_schema(void)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_json *commands = x402_json_new_array();
	struct x402_json *exits = x402_json_new_object();
	bool ok = json && commands && exits;
	cli_put(json, "name", "x402");
	cli_put(json, "version", X402_VERSION);
	for (const struct cli_command *c = cli_commands; ok && c->name; c++)
		ok = !x402_json_append_take(commands, command_json(c));
	for (const struct cli_exit_name *e = cli_exits; ok && e->text; e++)
		cli_put_int(exits, e->name, (int64_t)e->code);
	if (x402_json_set_take(json, "commands", commands) ||
		x402_json_set_take(json, "exitCodes", exits))
		ok = false;
	if (ok)
		return json;
	x402_json_unref(json);
	return NULL;
}
