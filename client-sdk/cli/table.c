/*
 * table.c: the one table of what `x402` can do. Parsing, help, the man page,
 * completion, --schema and the tools of the MCP server are made from it, so
 * what is parsed is what is documented.
 *
 * Letters are curl's, with curl's meaning; words that curl has not are ours.
 */
#include "cli.h"

#define HELP                              \
	{'h', "help", NULL, "this text"}, \
	{                                 \
		0, NULL, NULL, NULL       \
	}

/* Flags that say how to ask. */
#define REQUEST_OPTIONS                                                       \
	{'X', "request", "METHOD", "method to use", CLI_TOOL},                \
		{'H', "header", "LINE",                                       \
			"add a header; \"Name:\" drops one, @FILE reads "     \
			"them",                                               \
			CLI_TOOL | CLI_SEVERAL},                              \
		{'d', "data", "DATA",                                         \
			"send as a form by POST; @FILE reads it, - is stdin", \
			CLI_TOOL},                                            \
		{CLI_KEY_DATA_RAW, "data-raw", "DATA",                        \
			"the same, @ means nothing"},                         \
		{CLI_KEY_DATA_BINARY, "data-binary", "DATA",                  \
			"the same, line breaks are kept"},                    \
		{CLI_KEY_JSON, "json", "DATA",                                \
			"send as JSON by POST, and accept JSON", CLI_TOOL},   \
		{'G', "get", NULL, "put the data into the query instead"},    \
		{'L', "location", NULL,                                       \
			"follow redirects (before paying only)"},             \
		{'m', "max-time", "SECONDS", "deadline for all of it"},       \
		{CLI_KEY_CONNECT_TIMEOUT, "connect-timeout", "SECONDS",       \
			"deadline for a connection"},                         \
		{'k', "insecure", NULL, "do not check TLS certificates"},     \
		{'u', "user", "NAME:PASSWORD", "basic authentication"},       \
		{'A', "user-agent", "NAME", "what to call ourselves"},        \
	{                                                                     \
		CLI_KEY_RETRY, "retry", "N", "attempts again while unpaid"    \
	}

/* Flags that say what may be paid. */
#define LIMIT_OPTIONS                                                    \
	{CLI_KEY_MAX_AMOUNT, "max-amount", "AMOUNT",                     \
		"cap for a payment: 0.05usd, '$0.05' or 50000atomic; "   \
		"default 1usd",                                          \
		CLI_TOOL},                                               \
		{CLI_KEY_MAX_SPEND, "max-spend", "AMOUNT",               \
			"cap for all payments of this process; default " \
			"1usd"},                                         \
		{CLI_KEY_NETWORK, "network", "NETWORK",                  \
			"pay on this network only (may be repeated)",    \
			CLI_SEVERAL},                                    \
		{CLI_KEY_ASSET, "asset", "ASSET",                        \
			"pay with this asset only: symbol or address"},  \
		{CLI_KEY_ALLOW_HTTP, "allow-http", NULL,                 \
			"pay over plain HTTP, not only to loopback"},    \
	{                                                                \
		CLI_KEY_ALLOW_OTHER_ORIGIN, "allow-other-origin", NULL,  \
			"pay for or at another origin than was asked"    \
	}

/* Flags that say who pays. */
#define PAYER_OPTIONS                                                         \
	{CLI_KEY_WALLET, "wallet", "NAME", "pay from this wallet (or file)"}, \
		{CLI_KEY_PASSWORD_FILE, "password-file", "FILE",              \
			"where the wallet's password is"},                    \
		{CLI_KEY_SIGNER, "signer", "SOCKET",                          \
			"let the process behind this socket sign"},           \
	{                                                                     \
		CLI_KEY_SESSION, "session", "FILE",                           \
			"the session key to show to the signer"               \
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
	LIMIT_OPTIONS,
	PAYER_OPTIONS,
	{CLI_KEY_DRY_RUN, "dry-run", NULL,
		"say what would be paid; sign nothing", CLI_TOOL},
	{CLI_KEY_CONFIRM, "confirm", NULL, "ask on the terminal first"},
	{CLI_KEY_YES, "yes", NULL, "do not ask"},
	HELP,
};

static const struct cli_option inspect_options[] = {
	REQUEST_OPTIONS,
	LIMIT_OPTIONS,
	HELP,
};

static const struct cli_option wallet_new_options[] = {
	{CLI_KEY_PASSWORD_FILE, "password-file", "FILE",
		"where the new wallet's password is"},
	HELP,
};

static const struct cli_option wallet_import_options[] = {
	{CLI_KEY_FROM, "from", "FILE",
		"a keystore, or a key in hex; - is stdin; default: asked for"},
	{CLI_KEY_PASSWORD_FILE, "password-file", "FILE",
		"where the wallet's password is"},
	HELP,
};

static const struct cli_option wallet_export_options[] = {
	{'o', "output", "FILE", "write it to a new file, mode 600"},
	{CLI_KEY_PLAIN, "plain", NULL,
		"the bare key instead of the keystore; needs -o"},
	{CLI_KEY_PASSWORD_FILE, "password-file", "FILE",
		"where the wallet's password is"},
	HELP,
};

static const struct cli_option help_only[] = {HELP};

/* What a session or a signer may do. */
#define SCOPE_OPTIONS                                                        \
	{CLI_KEY_MAX_AMOUNT, "max-amount", "AMOUNT",                         \
		"cap for a payment; default 1usd"},                          \
		{CLI_KEY_MAX_SPEND, "max-spend", "AMOUNT",                   \
			"cap for all payments together; default 1usd"},      \
		{CLI_KEY_MAX_COUNT, "max-count", "N", "how many payments"},  \
		{CLI_KEY_HOST, "host", "NAME",                               \
			"pay this host only; *.NAME for what is below it",   \
			CLI_SEVERAL},                                        \
		{CLI_KEY_NETWORK, "network", "NETWORK",                      \
			"pay on this network only", CLI_SEVERAL},            \
		{CLI_KEY_PAYEE, "payee", "ADDRESS", "pay this address only", \
			CLI_SEVERAL},                                        \
		{CLI_KEY_WALLET, "wallet", "NAME", "the wallet that pays"},  \
	{                                                                    \
		CLI_KEY_PASSWORD_FILE, "password-file", "FILE",              \
			"where the wallet's password is"                     \
	}

static const struct cli_option session_new_options[] = {
	{'o', "output", "FILE", "the new file for the agent, mode 600"},
	{CLI_KEY_EXPIRES, "expires", "TIME",
		"how long it is good for: 90s, 15m, 12h, 30d; default 1d"},
	SCOPE_OPTIONS,
	HELP,
};

static const struct cli_option signer_options[] = {
	{CLI_KEY_SOCKET, "socket", "PATH",
		"where to listen; default $XDG_RUNTIME_DIR/x402-signer.sock"},
	{CLI_KEY_SESSIONS_ONLY, "sessions-only", NULL,
		"sign for session keys only"},
	{CLI_KEY_ALLOW_UID, "allow-uid", "UID", "let this user connect too",
		CLI_SEVERAL},
	{CLI_KEY_MAX_VALIDITY, "max-validity", "TIME",
		"longest life of an authorization; default 1h"},
	SCOPE_OPTIONS,
	HELP,
};

static const struct cli_option completion_options[] = {
	HELP,
};

const struct cli_command cli_commands[] = {
	{"get", "fetch", "URL", "fetch a URL, and pay for it if it has a price",
		get_options, cli_get_run},
	{"inspect", NULL, "URL", "show what a URL costs; pay nothing",
		inspect_options, cli_inspect_run},
	{"wallet new", NULL, "NAME", "make a wallet: an encrypted keystore",
		wallet_new_options, NULL, cli_wallet_new},
	{"wallet import", NULL, "NAME", "make a wallet of a key that exists",
		wallet_import_options, NULL, cli_wallet_import},
	{"wallet list", NULL, "", "names and addresses of the wallets",
		help_only, NULL, cli_wallet_list},
	{"wallet address", NULL, "[NAME]", "the address of a wallet",
		wallet_new_options, NULL, cli_wallet_address},
	{"wallet export", NULL, "NAME",
		"the keystore of a wallet, for geth and foundry",
		wallet_export_options, NULL, cli_wallet_export},
	{"session new", NULL, "", "issue a session key to an agent",
		session_new_options, NULL, cli_session_new},
	{"session show", NULL, "FILE", "what a session may do, and has done",
		help_only, NULL, cli_session_show},
	{"session revoke", NULL, "FILE", "end a session now", help_only, NULL,
		cli_session_revoke},
	{"signer", NULL, "", "keep a wallet's key and sign for other processes",
		signer_options, cli_signer_run},
	{"completion", NULL, "SHELL", "completion for bash or zsh",
		completion_options, cli_completion_run},
	{NULL, NULL, NULL, NULL, NULL, NULL},
};
