/*
 * cli.h: what the files of the `x402` command share: its exit codes, the
 * command table's types, and how it speaks on stderr.
 */
#ifndef X402_CLI_H
#define X402_CLI_H

#include <stdio.h>

#include "x402/client.h"

/* Frozen: scripts and agents branch on these (docs/client.md). */
enum cli_exit {
	CLI_OK = 0,
	CLI_GENERAL = 1,
	CLI_USAGE = 2,
	CLI_CONFIG = 3,
	CLI_NETWORK = 4,
	CLI_REFUSED = 5,
	CLI_FUNDS = 6, /* or above the limit */
	CLI_CANCELLED = 7,
	CLI_AUTH = 8,
	CLI_NOT_FOUND = 9,
	CLI_TIMEOUT = 10,
	CLI_UNKNOWN = 11, /* or pending */
	CLI_POLICY = 12,
	CLI_PRICE_CHANGED = 13,
	CLI_HTTP_ERROR = 22, /* -f, as curl */
	CLI_INTERRUPTED = 130
};

/* ---- The command table: help and parsing come from it. ---- */

struct cli_option {
	int key;              /* a letter, or a number above 255 */
	const char *name;     /* long name */
	const char *argument; /* NULL: a flag */
	const char *help;
};

struct cli_command {
	const char *name;
	const char *alias; /* NULL: none */
	const char *arguments;
	const char *summary;
	const struct cli_option *options; /* ends with name NULL */
	int (*run)(const struct cli_command *command, int argc, char **argv);
};

/* Ends with name NULL. */
extern const struct cli_command cli_commands[];
const struct cli_command *cli_command_find(const char *name);
void cli_help_all(FILE *out);
void cli_help(const struct cli_command *command, FILE *out);

/*
 * Walk the arguments by the command's table: options go to take(), which
 * returns false when a value is no good (it has said why); the rest are
 * operands. CLI_OK, or CLI_USAGE with the error already reported.
 */
struct cli_walk {
	const struct cli_command *command;
	bool (*take)(void *user, int key, const char *value);
	bool (*operand)(void *user, const char *value);
	void *user;
};
int cli_walk(const struct cli_walk *walk, int argc, char **argv);

/* ---- stderr and exit codes. ---- */

/* JSON on a pipe or under an agent, text on a terminal (fd 1 or 2). */
bool cli_wants_json(int fd);
/* An error that is not about a response. Returns exit for `return`. */
int cli_error(enum cli_exit exit, const char *code, const char *fmt, ...)
	X402_PRINTF(3, 4);
void cli_warn(const char *fmt, ...) X402_PRINTF(1, 2);
/* Which code a call ends with. */
enum cli_exit cli_exit_of(const struct x402_client_response *response);
/* Report a response that did not end well. */
void cli_report_error(const struct x402_client_response *response);
/* Report what was paid. */
void cli_report_receipt(const struct x402_client_response *response);
/* Report what would be paid. */
void cli_report_quote(const struct x402_client_response *response);
/* "$0.01 USDC", or atomic units and address of an asset we do not know. */
void cli_format_price(
	const struct x402_client_payment *payment, char *ret_text, size_t size);

/* Members of a JSON line; NULL and "" are left out. */
void cli_put(struct x402_json *line, const char *key, const char *text);
void cli_put_bool(struct x402_json *line, const char *key, bool value);
void cli_put_int(struct x402_json *line, const char *key, int64_t value);
/* price, amount, asset, payee, network, scheme. */
void cli_put_terms(
	struct x402_json *line, const struct x402_client_payment *payment);

/* ---- Money. ---- */

struct cli_limit {
	uint64_t usd_micros;
	bool has_atomic;
	struct x402_u256 units; /* when has_atomic */
};
/*
 * `0.05usd`, `$0.05` or `50000atomic`. A bare number is SYNTAX: nobody knows
 * whether 5 is dollars or units.
 */
X402_MUST_USE enum x402_err cli_limit_parse(
	const char *text, struct cli_limit *ret_limit);

/* ---- Keys. ---- */

/*
 * Find the payer's key: X402_PRIVATE_KEY, EVM_PRIVATE_KEY, each also as
 * _FILE, then $CREDENTIALS_DIRECTORY. CLI_OK with *ret_found; CLI_CONFIG with
 * the error reported. The caller wipes *ret_key.
 */
int cli_key_load(struct x402_secret *ret_key, bool *ret_found);

/* ---- The request, in curl's words. ---- */

struct cli_request {
	const char *url;
	const char *method;
	struct x402_client_header *headers; /* strings owned */
	size_t headers_len;
	struct x402_buf data;
	bool has_data;
	bool json;
	bool head;
	bool query; /* -G */
	const char *user;
	/* What is sent. */
	char *final_url;
};
X402_MUST_USE bool cli_request_header(
	struct cli_request *request, const char *line);
X402_MUST_USE bool cli_request_data(
	struct cli_request *request, const char *value, int key);
/* Fill ret_request, borrowing. False with the error reported. */
X402_MUST_USE bool cli_request_finish(
	struct cli_request *request, struct x402_client_request *ret_request);
void cli_request_clear(struct cli_request *request);

/* Keys of long options without a letter. */
enum cli_key {
	CLI_KEY_JSON = 256,
	CLI_KEY_DATA_RAW,
	CLI_KEY_DATA_BINARY,
	CLI_KEY_RETRY,
	CLI_KEY_CONNECT_TIMEOUT,
	CLI_KEY_MAX_AMOUNT,
	CLI_KEY_DRY_RUN,
	CLI_KEY_CONFIRM,
	CLI_KEY_YES,
	CLI_KEY_NETWORK,
	CLI_KEY_ASSET,
	CLI_KEY_ALLOW_HTTP,
	CLI_KEY_ALLOW_OTHER_ORIGIN
};

int cli_get_run(const struct cli_command *command, int argc, char **argv);
int cli_inspect_run(const struct cli_command *command, int argc, char **argv);

#endif
