/*
 * session.c: `x402 session new|show|revoke`: keys for agents, issued by a
 * wallet and bounded by it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scope.h"

#define DEFAULT_LIFE_S 86400

static int fail(enum x402_err err, const struct x402_errinfo *info)
{
	return cli_error(err == X402_ERR_NOT_FOUND ? CLI_NOT_FOUND : CLI_CONFIG,
		"session", "%s",
		info->text[0] ? info->text : x402_err_text(err));
}

int cli_scope_read(
	const struct cli_args *args, struct x402_session_scope *scope)
{
	struct cli_limit limit;
	const char *amount = cli_arg(args, CLI_KEY_MAX_AMOUNT);
	const char *spend = cli_arg(args, CLI_KEY_MAX_SPEND);
	const char *count = cli_arg(args, CLI_KEY_MAX_COUNT);
	if (cli_limit_parse(amount ? amount : "1usd", &limit) ||
		limit.has_atomic)
		return cli_error(CLI_USAGE, "usage",
			"--max-amount: expected dollars such as 0.05usd, got "
			"\"%s\"",
			amount);
	scope->max_usd_micros = limit.usd_micros;
	if (cli_limit_parse(spend ? spend : "1usd", &limit) || limit.has_atomic)
		return cli_error(CLI_USAGE, "usage",
			"--max-spend: expected dollars such as 5usd, got "
			"\"%s\"",
			spend);
	scope->total_usd_micros = limit.usd_micros;
	scope->sign_in = cli_has(args, CLI_KEY_SIGN_IN);
	if (count &&
		!cli_number(
			"--max-count", count, 1000000000, &scope->max_count))
		return CLI_USAGE;
	for (size_t i = 0; i < args->given_len; i++) {
		const char *value = args->given[i].value;
		enum x402_err err = X402_OK;
		if (args->given[i].key == CLI_KEY_HOST)
			err = x402_session_scope_host(scope, value);
		else if (args->given[i].key == CLI_KEY_NETWORK)
			err = x402_session_scope_network(scope, value);
		else if (args->given[i].key == CLI_KEY_PAYEE)
			err = x402_session_scope_payee(scope, value);
		if (err)
			return cli_error(CLI_USAGE, "usage",
				"\"%s\" cannot be a host, network or payee",
				value);
	}
	return CLI_OK;
}

static bool put_strings(struct x402_json *json, const char *key,
	const char *items, size_t size, size_t len)
{
	struct x402_json *list = x402_json_new_array();
	bool ok = list != NULL;
	for (size_t i = 0; ok && i < len; i++)
		ok = !x402_json_append_take(
			list, x402_json_new_string(items + i * size));
	return !x402_json_set_take(json, key, list) && ok;
}

/* Left out where any will do. */
static bool put_payees(
	struct x402_json *json, const struct x402_session_scope *scope)
{
	char texts[2 * X402_SESSION_LIST_MAX][X402_PUBKEY_TEXT_SIZE];
	size_t len = 0;
	for (size_t i = 0; i < scope->payees_len; i++)
		x402_address_format(&scope->payees[i], texts[len++]);
	for (size_t i = 0; i < scope->svm_payees_len; i++)
		x402_pubkey_format(&scope->svm_payees[i], texts[len++]);
	return !len ||
		put_strings(
			json, "payees", texts[0], X402_PUBKEY_TEXT_SIZE, len);
}

static void put_usd(struct x402_json *json, const char *key, uint64_t micros)
{
	char number[160];
	char text[170];
	struct x402_u256 value = x402_u256_from_u64(micros);
	if (!x402_price_format(&value, 6, number, sizeof(number)))
		return;
	(void)snprintf(text, sizeof(text), "$%s", number);
	cli_put(json, key, text);
}

static struct x402_json *describe(const struct x402_session_grant *grant)
{
	const struct x402_session_scope *scope = &grant->scope;
	struct x402_json *json = x402_json_new_object();
	char address[X402_ADDRESS_TEXT_SIZE];
	cli_put(json, "id", grant->id);
	x402_address_format(&grant->wallet, address);
	cli_put(json, "wallet", address);
	x402_address_format(&grant->key, address);
	cli_put(json, "key", address);
	cli_put_int(json, "expires", (int64_t)scope->expires_unix_s);
	put_usd(json, "maxAmount", scope->max_usd_micros);
	put_usd(json, "maxSpend", scope->total_usd_micros);
	if (scope->max_count)
		cli_put_int(json, "maxCount", (int64_t)scope->max_count);
	if (scope->sign_in)
		cli_put_bool(json, "signIn", true);
	if (put_payees(json, scope) &&
		put_strings(json, "hosts", scope->hosts[0],
			X402_SESSION_HOST_SIZE, scope->hosts_len) &&
		put_strings(json, "networks", scope->networks[0],
			X402_NETWORK_SIZE, scope->networks_len))
		return json;
	x402_json_unref(json);
	return NULL;
}

static int finish(struct x402_json *answer, struct x402_json **ret_answer)
{
	if (!answer)
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	*ret_answer = answer;
	return CLI_OK;
}

int cli_wallet_open(const struct cli_args *args, struct x402_secret *ret_key)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_locked text = {0};
	struct x402_locked password = {0};
	char *path = NULL;
	const char *name = cli_arg(args, CLI_KEY_WALLET);
	bool found = false;
	if (!name) {
		int exit = cli_key_load(ret_key, &found);
		if (exit || found)
			return exit;
		name = getenv("X402_WALLET");
	}
	if (!name || !*name)
		name = "default";
	enum x402_err err = x402_wallet_path(name, &path);
	if (err)
		return cli_error(CLI_CONFIG, "wallet",
			"\"%s\" is no name of a wallet", name);
	err = x402_secret_file_read(path, X402_SECRET_OWNER_ONLY,
		X402_KEYSTORE_MAX_BYTES, &info, &text);
	free(path);
	int exit = err ? fail(err, &info)
		       : cli_password(cli_arg(args, CLI_KEY_PASSWORD_FILE),
				 "password of the wallet: ", false, &password);
	if (!exit) {
		err = x402_keystore_open(x402_locked_span(&text),
			x402_locked_span(&password), &info, ret_key);
		exit = err ? fail(err, &info) : CLI_OK;
	}
	x402_locked_clear(&password);
	x402_locked_clear(&text);
	return exit;
}

int cli_session_new(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_session_grant grant = {
		.issued_unix_s = (uint64_t)time(NULL)};
	struct x402_errinfo info = {{0}, {0}};
	struct x402_secret wallet = {{0}};
	struct x402_locked file = {0};
	const char *output = cli_arg(args, 'o');
	const char *expires = cli_arg(args, CLI_KEY_EXPIRES);
	uint64_t life_s = DEFAULT_LIFE_S;
	if (!output || args->operands_len)
		return cli_error(CLI_USAGE, "usage",
			"session new: expected -o FILE and options");
	if (expires && !cli_duration("--expires", expires, &life_s))
		return CLI_USAGE;
	int exit = cli_scope_read(args, &grant.scope);
	grant.scope.expires_unix_s = grant.issued_unix_s + life_s;
	if (!exit && grant.scope.sign_in && !grant.scope.hosts_len)
		return cli_error(CLI_USAGE, "usage",
			"--sign-in: expected --host NAME beside it: an agent "
			"that may sign in anywhere is you to everybody");
	if (!exit)
		exit = cli_wallet_open(args, &wallet);
	if (exit)
		return exit;
	enum x402_err err = x402_session_issue(&wallet, &grant, &file);
	x402_secret_clear(&wallet);
	if (!err)
		err = x402_secret_file_write(
			output, x402_locked_span(&file), &info);
	x402_locked_clear(&file);
	return err ? fail(err, &info) : finish(describe(&grant), ret_answer);
}

/* The file's grant and the ledger that its signer keeps. */
static int open_session(const struct cli_args *args,
	struct x402_session_grant *grant,
	struct x402_session_ledger **ret_ledger)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_locked text = {0};
	struct x402_secret key = {{0}};
	struct x402_json *json = NULL;
	char *path = NULL;
	const char *file = cli_operand(args, "file");
	if (!file)
		return CLI_USAGE;
	enum x402_err err = x402_secret_file_read(file, X402_SECRET_OWNER_ONLY,
		X402_SESSION_MAX_BYTES, &info, &text);
	if (!err)
		err = x402_session_file_read(
			x402_locked_span(&text), &info, grant, &json, &key);
	x402_secret_clear(&key);
	x402_locked_clear(&text);
	x402_json_unref(json);
	if (!err)
		err = x402_session_ledger_path(
			NULL, &grant->wallet, grant->id, &info, &path);
	if (!err)
		err = x402_session_ledger_open(path, &info, ret_ledger);
	free(path);
	return err ? fail(err, &info) : CLI_OK;
}

int cli_session_show(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_session_grant grant;
	struct x402_session_ledger *ledger = NULL;
	struct x402_session_usage usage = {0};
	struct x402_errinfo info = {{0}, {0}};
	int exit = open_session(args, &grant, &ledger);
	if (exit)
		return exit;
	enum x402_err err = x402_session_ledger_usage(ledger, &info, &usage);
	x402_session_ledger_free(ledger);
	if (err)
		return fail(err, &info);
	struct x402_json *answer = describe(&grant);
	cli_put_int(answer, "payments", (int64_t)usage.count);
	put_usd(answer, "spent", usage.usd_micros);
	cli_put_bool(answer, "revoked", usage.revoked);
	cli_put_bool(answer, "expired",
		(uint64_t)time(NULL) >= grant.scope.expires_unix_s);
	return finish(answer, ret_answer);
}

int cli_session_revoke(
	const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_session_grant grant;
	struct x402_session_ledger *ledger = NULL;
	struct x402_errinfo info = {{0}, {0}};
	int exit = open_session(args, &grant, &ledger);
	if (exit)
		return exit;
	enum x402_err err = x402_session_ledger_revoke(ledger, &info);
	x402_session_ledger_free(ledger);
	if (err)
		return fail(err, &info);
	struct x402_json *answer = describe(&grant);
	cli_put_bool(answer, "revoked", true);
	return finish(answer, ret_answer);
}
