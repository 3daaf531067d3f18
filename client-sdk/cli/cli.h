/*
 * cli.h: what the files of the `x402` command share: its exit codes, the
 * command table's types, and how it speaks on stderr.
 */
#ifndef X402_CLI_H
#define X402_CLI_H

#include <stdio.h>

#include "x402/client.h"
#include "x402/journal.h"
#include "x402/signer.h"

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

struct cli_exit_name {
	enum cli_exit code;
	const char *name; /* for programs */
	const char *text; /* for people, in roff; NULL ends the list */
};
extern const struct cli_exit_name cli_exits[];

/* ---- The command table: parsing, help, man page, completion, the schema and
 * the tools of the MCP server come from it. ---- */

enum cli_option_flag {
	CLI_TOOL = 1,   /* also an argument of the command's MCP tool */
	CLI_SEVERAL = 2 /* may be given more than once */
};

struct cli_option {
	int key;              /* a letter, or a number above 255 */
	const char *name;     /* long name */
	const char *argument; /* NULL: a flag */
	const char *help;
	unsigned flags; /* of enum cli_option_flag */
};

/* What an MCP client is told of a tool beside its arguments. */
struct cli_tool {
	const char *name;
	const char *title;
	const char *description;
	bool read_only;
	bool destructive;
	bool idempotent;
	bool open_world;
};

struct cli_args;

struct cli_command {
	const char *name;  /* one word, or two: "wallet new" */
	const char *alias; /* NULL: none */
	const char *arguments;
	const char *summary;
	const struct cli_option *options; /* ends with name NULL */
	/* One of the two. produce makes the answer as JSON: for stdout, or
	 * for an MCP client. */
	int (*run)(const struct cli_command *command, int argc, char **argv);
	int (*produce)(
		const struct cli_args *args, struct x402_json **ret_answer);
	/* The operand's name as an argument of the tool; NULL: none. */
	const char *operand;
	const struct cli_tool *tool; /* NULL: no tool */
};

/* Ends with name NULL. */
extern const struct cli_command cli_commands[];
/* By the words at argv; *ret_words says how many were the name. */
const struct cli_command *cli_command_find(
	int argc, char *const *argv, int *ret_words);
int cli_command_run(const struct cli_command *command, int argc, char **argv);

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

/* The same, collected, for commands that look things up by key. */
#define CLI_ARGS_MAX 128
struct cli_args {
	const struct cli_command *command;
	struct {
		int key;
		const char *value; /* borrowed from argv or the tool's call */
	} given[CLI_ARGS_MAX];
	size_t given_len;
	const char *operands[CLI_ARGS_MAX];
	size_t operands_len;
};
int cli_args_parse(const struct cli_command *command, int argc, char **argv,
	struct cli_args *ret_args);
bool cli_args_add(struct cli_args *args, int key, const char *value);
/* The last value of an option; NULL when it was not given. */
const char *cli_arg(const struct cli_args *args, int key);
bool cli_has(const struct cli_args *args, int key);
/* The one operand. NULL with the error reported when there is not one. */
const char *cli_operand(const struct cli_args *args, const char *what);
/* 1 to max. False with the error reported. */
bool cli_number(const char *option, const char *text, uint64_t max,
	uint64_t *ret_value);
/* "90", "15m", "12h", "30d": seconds. False with the error reported. */
bool cli_duration(const char *option, const char *text, uint64_t *ret_s);

/* ---- Documents made from the table. ---- */

void cli_help_all(FILE *out);
void cli_help(const struct cli_command *command, FILE *out);
void cli_man(FILE *out);
/* "bash" or "zsh". False for another. */
bool cli_completion(const char *shell, FILE *out);
/* All commands with their options as JSON; NULL when memory is out. */
struct x402_json *cli_schema(void);
/* JSON Schema of a tool's arguments. */
struct x402_json *cli_tool_schema(const struct cli_command *command);

/* ---- stderr and exit codes. ---- */

/* JSON on a pipe or under an agent, text on a terminal (fd 1 or 2). */
bool cli_wants_json(int fd);
/* An error that is not about a response. Returns exit for `return`. */
int cli_error(enum cli_exit exit, const char *code, const char *fmt, ...)
	X402_PRINTF(3, 4);
/* The same, where the same command may simply be given again later. */
int cli_error_retryable(enum cli_exit exit, const char *code, const char *text);
void cli_warn(const char *fmt, ...) X402_PRINTF(1, 2);
/* What may be a stranger's text, without what a terminal would obey. */
void cli_show(FILE *out, const char *text);
/*
 * Between the two calls errors of this thread are kept instead of printed; the
 * second gives the last one as JSON (NULL: there was none). For the MCP server.
 */
void cli_errors_keep(void);
struct x402_json *cli_errors_take(void);
/* The error of a response as JSON, as it would be printed. */
struct x402_json *cli_error_json(const struct x402_client_response *response);
struct x402_json *cli_receipt_json(const struct x402_client_response *response);
/* An answer to stdout: JSON on a pipe or under an agent, else text. */
void cli_print_answer(const struct x402_json *answer);
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

/* ---- Who pays. ---- */

/*
 * Find the payer's key: X402_PRIVATE_KEY, EVM_PRIVATE_KEY, each also as
 * _FILE, then $CREDENTIALS_DIRECTORY. CLI_OK with *ret_found; CLI_CONFIG with
 * the error reported. The caller wipes *ret_key.
 */
int cli_key_load(struct x402_secret *ret_key, bool *ret_found);

/* Flags that say who pays; NULL: the environment, then the default. */
struct cli_payer_flags {
	const char *wallet;   /* --wallet, else X402_WALLET */
	const char *signer;   /* --signer, else X402_SIGNER */
	const char *session;  /* --session, else X402_SESSION */
	const char *password; /* --password-file */
};
struct cli_payer {
	struct cli_payer_flags flags;
	struct x402_signer *signer; /* NULL: nobody */
	/* What cli_payer_signer() hands out: one signature at a time. */
	struct x402_client_signer guarded;
	struct x402_client_svm_signer guarded_svm;
	/* Beside it: SVM_PRIVATE_KEY, and SVM_RPC_URL to ask. */
	struct x402_locked svm_key; /* a struct x402_svm_secret; or empty */
	const char *svm_rpc_url;
};
/* Fills the part of Solana. CLI_CONFIG with the error reported. */
int cli_svm_key_load(struct cli_payer *payer);
/* The key alone, for who asks no node. */
int cli_svm_key_read(struct cli_payer *payer);
/*
 * Into a client's options: who pays on Solana, a key or the signer. The key's
 * pointer must be taken out again after x402_client_new().
 */
void cli_payer_svm(
	struct cli_payer *payer, struct x402_client_options *options);
/*
 * First of: --signer or --wallet, a key in the environment, X402_SIGNER,
 * X402_WALLET, the wallet named "default". CLI_OK also when there is none of
 * them (signer NULL); CLI_CONFIG with the error reported.
 */
int cli_payer_load(
	const struct cli_payer_flags *flags, struct cli_payer *ret_payer);
void cli_payer_clear(struct cli_payer *payer);
/*
 * For x402_client_options.signer; NULL: nobody. Several threads may use it at
 * once: they sign one after the other.
 */
const struct x402_client_signer *cli_payer_signer(struct cli_payer *payer);
/* Why this thread's last signature was refused; "" when it was not. */
const char *cli_payer_reason(void);
/*
 * A process that serves many calls: the payer and the limit of all of them.
 * NULL in a command that does one thing.
 */
extern const struct cli_payer *cli_process_payer;
extern const struct x402_budget *cli_process_budget;
/* And: connect to public addresses only, wherever a call's URL leads. */
extern bool cli_process_public_only;
/*
 * The password of a wallet: --password-file, X402_PASSWORD(_FILE), a
 * credential, else asked on the terminal, twice for a new one. CLI_OK or
 * CLI_CONFIG with the error reported.
 */
int cli_password(const char *file, const char *prompt, bool twice,
	struct x402_locked *ret_password);
/* The user's journal. CLI_CONFIG with the error reported. */
int cli_journal_open(struct x402_journal **ret_journal);
/* X402_SESSION_ID, else one made for this process. */
const char *cli_session_id(void);
/* One line from the terminal without echo. */
bool cli_ask_secret(const char *prompt, struct x402_locked *ret_text);

/* ---- The request, in curl's words. ---- */

struct cli_request {
	const char *url;
	const char *method;
	struct x402_client_header *headers; /* strings owned */
	size_t headers_len;
	struct x402_buf data;
	struct x402_buf *parts; /* of a form; each owned */
	size_t parts_len;
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
/* -F: one more part of a form. */
X402_MUST_USE bool cli_request_form(
	struct cli_request *request, const char *value);
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
	CLI_KEY_ALLOW_OTHER_ORIGIN,
	CLI_KEY_MAX_SPEND,
	CLI_KEY_WALLET,
	CLI_KEY_SIGNER,
	CLI_KEY_SESSION,
	CLI_KEY_PASSWORD_FILE,
	CLI_KEY_FROM,
	CLI_KEY_PLAIN,
	CLI_KEY_EXPIRES,
	CLI_KEY_MAX_COUNT,
	CLI_KEY_HOST,
	CLI_KEY_PAYEE,
	CLI_KEY_SOCKET,
	CLI_KEY_SESSIONS_ONLY,
	CLI_KEY_ALLOW_UID,
	CLI_KEY_FACILITATOR,
	CLI_KEY_RPC,
	CLI_KEY_LIMIT,
	CLI_KEY_TYPE,
	CLI_KEY_PORT,
	CLI_KEY_CLIENT,
	CLI_KEY_PRINT,
	CLI_KEY_PAY,
	CLI_KEY_MAX_VALIDITY,
	CLI_KEY_TASK,
	CLI_KEY_ID,
	CLI_KEY_BUY_AGAIN,
	CLI_KEY_OPEN,
	CLI_KEY_FORM,
	CLI_KEY_PER,
	CLI_KEY_FORGET,
	CLI_KEY_PAY_TO,
	CLI_KEY_SCHEME,
	CLI_KEY_HTTP,
	CLI_KEY_BLOCK,
	CLI_KEY_CONCURRENCY,
	CLI_KEY_TOOL_NAME,
	CLI_KEY_ARGUMENTS,
	CLI_KEY_PUBLIC_ONLY,
	CLI_KEY_SEND_TRANSFERS,
	CLI_KEY_SIGN_IN,
	CLI_KEY_METRICS,
	CLI_KEY_AMOUNT,
	CLI_KEY_PAYER,
	CLI_KEY_NTH
};

int cli_get_run(const struct cli_command *command, int argc, char **argv);
int cli_inspect_run(const struct cli_command *command, int argc, char **argv);
int cli_wallet_new(const struct cli_args *args, struct x402_json **ret_answer);
int cli_wallet_import(
	const struct cli_args *args, struct x402_json **ret_answer);
int cli_wallet_list(const struct cli_args *args, struct x402_json **ret_answer);
int cli_wallet_address(
	const struct cli_args *args, struct x402_json **ret_answer);
int cli_wallet_export(
	const struct cli_args *args, struct x402_json **ret_answer);
int cli_session_new(const struct cli_args *args, struct x402_json **ret_answer);
int cli_session_show(
	const struct cli_args *args, struct x402_json **ret_answer);
int cli_session_revoke(
	const struct cli_args *args, struct x402_json **ret_answer);
int cli_history(const struct cli_args *args, struct x402_json **ret_answer);
int cli_resume(const struct cli_args *args, struct x402_json **ret_answer);
int cli_refund(const struct cli_args *args, struct x402_json **ret_answer);
int cli_doctor_run(const struct cli_command *command, int argc, char **argv);
int cli_dev_run(const struct cli_command *command, int argc, char **argv);
int cli_crawl_run(const struct cli_command *command, int argc, char **argv);
int cli_status(const struct cli_args *args, struct x402_json **ret_answer);
int cli_budget(const struct cli_args *args, struct x402_json **ret_answer);
int cli_budget_set(const struct cli_args *args, struct x402_json **ret_answer);
int cli_budget_remove(
	const struct cli_args *args, struct x402_json **ret_answer);
int cli_balance(const struct cli_args *args, struct x402_json **ret_answer);
int cli_search(const struct cli_args *args, struct x402_json **ret_answer);
int cli_discover(const struct cli_args *args, struct x402_json **ret_answer);
int cli_inspect(const struct cli_args *args, struct x402_json **ret_answer);
int cli_fetch(const struct cli_args *args, struct x402_json **ret_answer);
int cli_mcp_run(const struct cli_command *command, int argc, char **argv);
int cli_mcp_call(const struct cli_args *args, struct x402_json **ret_answer);
int cli_mcp_install(const struct cli_args *args, struct x402_json **ret_answer);
int cli_signer_run(const struct cli_command *command, int argc, char **argv);
int cli_completion_run(
	const struct cli_command *command, int argc, char **argv);

#endif
