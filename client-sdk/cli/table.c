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
		{'F', "form", "NAME=CONTENT",                                 \
			"a part of a form, sent by POST; @FILE sends the "    \
			"file, <FILE its text",                               \
			CLI_SEVERAL},                                         \
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
			"cap for all payments of this session "          \
			"(X402_SESSION_ID, else this process); default " \
			"1usd"},                                         \
		{CLI_KEY_NETWORK, "network", "NETWORK",                  \
			"pay on this network only (may be repeated)",    \
			CLI_SEVERAL},                                    \
		{CLI_KEY_ASSET, "asset", "ASSET",                        \
			"pay with this asset only: symbol or address"},  \
		{CLI_KEY_PUBLIC_ONLY, "public-only", NULL,               \
			"connect to public addresses only"},             \
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

/* It tells a site who asks: whoever wants that says so. */
#define SIGN_IN_OPTION                                                        \
	{                                                                     \
		CLI_KEY_SIGN_IN, "sign-in", NULL,                             \
			"sign in where a site offers it, and pay only where " \
			"that is not enough"                                  \
	}

/* Flags that name a purchase in the journal. */
#define PURCHASE_OPTIONS                                                    \
	{CLI_KEY_TASK, "task", "NAME", "count the cost under this name",    \
		CLI_TOOL},                                                  \
	{                                                                   \
		CLI_KEY_ID, "id", "ID",                                     \
			"the purchase's name: it is bought once, whatever " \
			"happens",                                          \
			CLI_TOOL                                            \
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
	SIGN_IN_OPTION,
	PURCHASE_OPTIONS,
	{CLI_KEY_BUY_AGAIN, "buy-again", NULL,
		"sign anew though an earlier payment may still be charged"},
	{CLI_KEY_SEND_TRANSFERS, "send-transfers", NULL,
		"pay also by a transfer of our own that is shown; needs "
		"EVM_RPC_URL"},
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
	{CLI_KEY_SIGN_IN, "sign-in", NULL,
		"sign in to sites, too; needs --host"},
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
	{CLI_KEY_SIGN_IN, "sign-in", NULL, "sign in to sites, too"},
	SCOPE_OPTIONS,
	HELP,
};

static const struct cli_option history_options[] = {
	{CLI_KEY_LIMIT, "limit", "N", "how many, newest first; default 20",
		CLI_TOOL},
	{CLI_KEY_HOST, "host", "HOST", "of this host only", CLI_TOOL},
	{CLI_KEY_TASK, "task", "NAME", "of this task only", CLI_TOOL},
	{CLI_KEY_OPEN, "open", NULL, "those that are not settled yet",
		CLI_TOOL},
	{CLI_KEY_FORM, "format", "FORM", "csv or ndjson, oldest first, all"},
	HELP,
};

static const struct cli_option budget_set_options[] = {
	{CLI_KEY_MAX_SPEND, "max-spend", "AMOUNT",
		"5usd, '$5', or 50000atomic with --asset"},
	{CLI_KEY_MAX_COUNT, "max-count", "N", "how many payments"},
	{CLI_KEY_PER, "per", "WINDOW",
		"hour, day, session or total; default day"},
	{CLI_KEY_HOST, "host", "HOST",
		"for this host; each: for each by "
		"itself"},
	{CLI_KEY_PAYEE, "payee", "ADDRESS", "for this payee; or each"},
	{CLI_KEY_ASSET, "asset", "NETWORK/ADDRESS", "for this asset; or each"},
	HELP,
};

static const struct cli_option balance_options[] = {
	{CLI_KEY_RPC, "rpc-url", "URL", "the chain to ask; else EVM_RPC_URL"},
	{CLI_KEY_WALLET, "wallet", "NAME", "of this wallet"},
	{CLI_KEY_SIGNER, "signer", "SOCKET", "of this signer's wallet"},
	{CLI_KEY_PASSWORD_FILE, "password-file", "FILE",
		"where the wallet's password is"},
	HELP,
};

static const struct cli_option search_options[] = {
	{CLI_KEY_FACILITATOR, "facilitator", "URL",
		"whose catalogue; else FACILITATOR_URL"},
	{CLI_KEY_NETWORK, "network", "NETWORK", "payable on this network",
		CLI_TOOL},
	{CLI_KEY_LIMIT, "limit", "N", "how many; default 20", CLI_TOOL},
	HELP,
};

static const struct cli_option doctor_options[] = {
	{CLI_KEY_PAY, "pay", NULL, "buy once, and look at the receipt"},
	{CLI_KEY_FACILITATOR, "facilitator", "URL",
		"does it serve the offers? else FACILITATOR_URL"},
	{CLI_KEY_RPC, "rpc-url", "URL", "is the asset there? else EVM_RPC_URL"},
	PAYER_OPTIONS,
	HELP,
};

static const struct cli_option resume_options[] = {
	{'o', "output", "DIRECTORY",
		"show the payment to the server again, keep its answer here"},
	{CLI_KEY_FACILITATOR, "facilitator", "URL",
		"one to ask and to believe; else FACILITATOR_URL"},
	{CLI_KEY_RPC, "rpc-url", "URL",
		"the EVM chain to ask; else EVM_RPC_URL; SVM_RPC_URL besides"},
	{CLI_KEY_BLOCK, "block", "TAG",
		"prove at this block; default finalized"},
	HELP,
};

static const struct cli_option refund_options[] = {
	{CLI_KEY_AMOUNT, "amount", "AMOUNT",
		"how much: 0.05usd or 50000atomic; default all that came"},
	{CLI_KEY_PAYER, "payer", "ADDRESS",
		"whose payment, where the transaction has several"},
	{CLI_KEY_NTH, "nth", "N",
		"the N-th of its transfers to this wallet, from 1"},
	{CLI_KEY_DRY_RUN, "dry-run", NULL,
		"say what would be given back; sign nothing"},
	{CLI_KEY_FACILITATOR, "facilitator", "URL",
		"who sends it; else FACILITATOR_URL"},
	{CLI_KEY_RPC, "rpc-url", "URL",
		"a node of the payment's chain; else EVM_RPC_URL"},
	{CLI_KEY_BLOCK, "block", "TAG",
		"how deep the payment must lie; default finalized"},
	{'H', "header", "LINE", "add a header, such as Authorization",
		CLI_SEVERAL},
	{'m', "max-time", "SECONDS", "deadline for all of it"},
	{CLI_KEY_MAX_AMOUNT, "max-amount", "AMOUNT",
		"cap for the refund: 0.05usd, '$0.05', or 50000atomic, which "
		"allows any token; default 1usd"},
	{CLI_KEY_MAX_SPEND, "max-spend", "AMOUNT",
		"cap for all payments of this session (X402_SESSION_ID, else "
		"this process); default 1usd"},
	{CLI_KEY_ALLOW_HTTP, "allow-http", NULL,
		"facilitator and node over plain HTTP, not only on loopback"},
	PAYER_OPTIONS,
	HELP,
};

static const struct cli_option crawl_options[] = {
	{'o', "output", "DIRECTORY", "where the bodies go, by hash of the URL"},
	{CLI_KEY_CONCURRENCY, "concurrency", "N",
		"how many at a time; default 16"},
	{CLI_KEY_TASK, "task", "NAME",
		"count the cost under this name; it buys each URL once"},
	{CLI_KEY_METRICS, "metrics-port", "N",
		"Prometheus' counters on this port of 127.0.0.1; 0: a free "
		"one"},
	{'k', "insecure", NULL, "do not check TLS certificates"},
	{'m', "max-time", "SECONDS", "deadline for each URL"},
	{'L', "location", NULL, "follow redirects (before paying only)"},
	{'A', "user-agent", "NAME", "what to call ourselves"},
	{CLI_KEY_RETRY, "retry", "N", "attempts again while unpaid"},
	LIMIT_OPTIONS,
	PAYER_OPTIONS,
	SIGN_IN_OPTION,
	HELP,
};

static const struct cli_option mcp_options[] = {
	{CLI_KEY_HTTP, "http", NULL,
		"streamable HTTP on the loopback interface, with a token"},
	{CLI_KEY_PORT, "port", "N", "its port; default: a free one"},
	LIMIT_OPTIONS,
	PAYER_OPTIONS,
	SIGN_IN_OPTION,
	HELP,
};

static const struct cli_option mcp_call_options[] = {
	{CLI_KEY_TOOL_NAME, "tool", "NAME", "which tool", CLI_TOOL},
	{CLI_KEY_ARGUMENTS, "arguments", "JSON", "its arguments, an object",
		CLI_TOOL},
	{'H', "header", "LINE", "add a header, such as Authorization",
		CLI_SEVERAL},
	{'m', "max-time", "SECONDS", "deadline for all of it"},
	LIMIT_OPTIONS,
	PAYER_OPTIONS,
	PURCHASE_OPTIONS,
	{CLI_KEY_DRY_RUN, "dry-run", NULL,
		"say what would be paid; sign nothing", CLI_TOOL},
	HELP,
};

static const struct cli_option mcp_install_options[] = {
	{CLI_KEY_CLIENT, "client", "NAME",
		"claude-code, claude-desktop, cursor, gemini or codex"},
	{CLI_KEY_PRINT, "print", NULL, "only show what would be added"},
	LIMIT_OPTIONS,
	PAYER_OPTIONS,
	SIGN_IN_OPTION,
	HELP,
};

static const struct cli_option help_options[] = {HELP};

/* ---- Tools: what a model is told. ---- */

static const struct cli_tool fetch_tool = {"fetch", "Fetch a URL, and pay",
	"Send an HTTP request and return the answer. If the server wants a "
	"payment (402) within the user's limits, pay it. This spends money.",
	.destructive = true, .open_world = true};
static const struct cli_tool call_tool = {"call_tool",
	"Call another server's tool, and pay",
	"Call a tool of another MCP server over HTTP. If the tool has a price "
	"within the user's limits, pay it. This spends money.",
	.destructive = true, .open_world = true};
static const struct cli_tool inspect_tool = {"inspect", "What a URL costs",
	"Ask for a URL's price and terms without paying.", .read_only = true,
	.idempotent = true, .open_world = true};
static const struct cli_tool search_tool = {"search", "Search paid resources",
	"Search a facilitator's catalogue of paid resources by words.",
	.read_only = true, .idempotent = true, .open_world = true};
static const struct cli_tool discover_tool = {"discover",
	"What an origin sells",
	"Read an origin's own list of paid resources and their prices.",
	.read_only = true, .idempotent = true, .open_world = true};
static const struct cli_tool balance_tool = {"balance", "The payer's balance",
	"What the paying address holds, by asset, as its chain says.",
	.read_only = true, .idempotent = true, .open_world = true};
static const struct cli_tool budget_tool = {"budget", "Budgets and their use",
	"The user's limits, and how much of each is used and left. They "
	"cannot be changed here.",
	.read_only = true, .idempotent = true};
static const struct cli_tool status_tool = {"payment_status",
	"What became of a payment",
	"A payment by its paymentId, or by the id it was made under.",
	.read_only = true, .idempotent = true};
static const struct cli_tool history_tool = {"history", "Payments so far",
	"The latest payments, what they cost and what became of them.",
	.read_only = true, .idempotent = true};

const struct cli_command cli_commands[] = {
	{"get", "fetch", "URL", "fetch a URL, and pay for it if it has a price",
		get_options, cli_get_run, cli_fetch, "url", &fetch_tool},
	{"inspect", NULL, "URL", "show what a URL costs; pay nothing",
		inspect_options, cli_inspect_run, cli_inspect, "url",
		&inspect_tool},
	{"doctor", NULL, "URL", "check a paid URL from end to end",
		doctor_options, cli_doctor_run},
	{"crawl", NULL, "LIST", "fetch a list of URLs inside one budget",
		crawl_options, cli_crawl_run},
	{"search", NULL, "[WORDS]", "search a facilitator's catalogue",
		search_options, NULL, cli_search, "words", &search_tool},
	{"discover", NULL, "ORIGIN", "what an origin says that it sells",
		help_options, NULL, cli_discover, "origin", &discover_tool},
	{"wallet new", NULL, "NAME", "make a wallet: an encrypted keystore",
		wallet_new_options, NULL, cli_wallet_new},
	{"wallet import", NULL, "NAME", "make a wallet of a key that exists",
		wallet_import_options, NULL, cli_wallet_import},
	{"wallet list", NULL, "", "names and addresses of the wallets",
		help_options, NULL, cli_wallet_list},
	{"wallet address", NULL, "[NAME]", "the address of a wallet",
		wallet_new_options, NULL, cli_wallet_address},
	{"wallet export", NULL, "NAME",
		"the keystore of a wallet, for geth and foundry",
		wallet_export_options, NULL, cli_wallet_export},
	{"balance", NULL, "[ADDRESS]", "what the payer holds on a chain",
		balance_options, NULL, cli_balance, "address", &balance_tool},
	{"budget", NULL, "", "the limits of all processes, and their use",
		help_options, NULL, cli_budget, NULL, &budget_tool},
	{"budget set", NULL, "", "limit what may be spent", budget_set_options,
		NULL, cli_budget_set},
	{"budget remove", NULL, "", "remove such a limit", budget_set_options,
		NULL, cli_budget_remove},
	{"history", NULL, "", "what was bought, and what became of it",
		history_options, NULL, cli_history, NULL, &history_tool},
	{"status", NULL, "ID", "one payment", help_options, NULL, cli_status,
		"id", &status_tool},
	{"resume", NULL, "", "find out what became of open payments",
		resume_options, NULL, cli_resume},
	{"refund", NULL, "TRANSACTION",
		"give a payment back that this wallet was paid", refund_options,
		NULL, cli_refund},
	{"session new", NULL, "", "issue a session key to an agent",
		session_new_options, NULL, cli_session_new},
	{"session show", NULL, "FILE", "what a session may do, and has done",
		help_options, NULL, cli_session_show},
	{"session revoke", NULL, "FILE", "end a session now", help_options,
		NULL, cli_session_revoke},
	{"signer", NULL, "", "keep a wallet's key and sign for other processes",
		signer_options, cli_signer_run},
	{"mcp", NULL, "", "serve the tools to a model, by MCP", mcp_options,
		cli_mcp_run},
	{"mcp call", NULL, "URL",
		"call a tool of an MCP server, and pay for it",
		mcp_call_options, NULL, cli_mcp_call, "url", &call_tool},
	{"mcp install", NULL, "", "add that server to an MCP client",
		mcp_install_options, NULL, cli_mcp_install},
	{"dev", NULL, "", "a sandbox: chain, token, keys, facilitator, site",
		help_options, cli_dev_run},
	{"completion", NULL, "SHELL", "completion for bash or zsh",
		help_options, cli_completion_run},
	{NULL, NULL, NULL, NULL, NULL, NULL},
};
