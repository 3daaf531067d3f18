/*
 * wallet.c: `x402 wallet new|import|list|address|export`. A key is never
 * printed: what leaves is an address, a keystore under its password, or a new
 * file that only its owner may read.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* A keystore, or a key in hex with what an editor adds. */
#define IMPORT_MAX_BYTES X402_KEYSTORE_MAX_BYTES

static int fail(enum x402_err err, const struct x402_errinfo *info)
{
	enum cli_exit exit = CLI_CONFIG;
	if (err == X402_ERR_NOT_FOUND)
		exit = CLI_NOT_FOUND;
	if (err == X402_ERR_NOMEM || err == X402_ERR_INTERNAL)
		exit = CLI_GENERAL;
	return cli_error(exit, "wallet", "%s",
		info->text[0] ? info->text : x402_err_text(err));
}

/* An error that an answer could not be built. */
static int finish(struct x402_json *answer, struct x402_json **ret_answer)
{
	if (!answer)
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	*ret_answer = answer;
	return CLI_OK;
}

static struct x402_json *describe(
	const char *name, const char *path, const char *address)
{
	struct x402_json *json = x402_json_new_object();
	cli_put(json, "name", name);
	cli_put(json, "address", address);
	cli_put(json, "file", path);
	return json;
}

/* ---- new, import ---- */

/* A key of either kind. */
struct any_key {
	bool solana;
	struct x402_secret evm;
	struct x402_svm_secret svm;
};

static enum x402_err key_address(
	const struct any_key *key, char ret_address[64])
{
	struct x402_address address;
	if (key->solana) {
		struct x402_pubkey pubkey = x402_svm_secret_pubkey(&key->svm);
		x402_pubkey_format(&pubkey, ret_address);
		return X402_OK;
	}
	enum x402_err err = x402_wallet_address(&key->evm, &address);
	if (!err)
		x402_address_format(&address, ret_address);
	return err;
}

static enum x402_err seal_any(const struct any_key *key,
	struct x402_span password, char **ret_json, char ret_address[64])
{
	enum x402_err err = key_address(key, ret_address);
	if (err)
		return err;
	return key->solana
		? x402_keystore_seal_solana(&key->svm, password, NULL, ret_json)
		: x402_keystore_seal(&key->evm, password, NULL, ret_json);
}

static int seal(const char *name, const struct any_key *key,
	const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_locked password = {0};
	char address[64] = "";
	char *directory = NULL;
	char *path = NULL;
	char *text = NULL;
	/* The name of a new wallet is no path. */
	if (!x402_wallet_name_valid(name))
		return cli_error(CLI_USAGE, "usage",
			"expected a name of letters, digits, '-', '_' and '.', "
			"got \"%s\"",
			name);
	enum x402_err err = x402_wallet_path(name, &path);
	if (!err && access(path, F_OK) == 0) {
		int exit = cli_error(CLI_CONFIG, "wallet",
			"%s: exists; a key is not written over another", path);
		free(path);
		return exit;
	}
	int exit = err
		? CLI_OK
		: cli_password(cli_arg(args, CLI_KEY_PASSWORD_FILE),
			  "password for the new wallet: ", true, &password);
	if (exit) {
		free(path);
		return exit;
	}
	if (!err)
		err = seal_any(
			key, x402_locked_span(&password), &text, address);
	x402_locked_clear(&password);
	if (!err)
		err = x402_wallet_directory(&directory);
	if (!err)
		err = x402_wallet_directory_make(directory, &info);
	if (!err)
		err = x402_secret_file_write(path, x402_span_str(text), &info);
	exit = err ? fail(err, &info)
		   : finish(describe(name, path, address), ret_answer);
	free(directory);
	free(path);
	free(text);
	return exit;
}

int cli_wallet_new(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_errinfo info = {{0}, {0}};
	struct any_key key = {.solana = false};
	const char *name = cli_operand(args, "name");
	if (!name)
		return CLI_USAGE;
	enum x402_err err = x402_wallet_generate(&key.evm);
	if (err)
		return fail(err, &info);
	int exit = seal(name, &key, args, ret_answer);
	x402_secret_clear(&key.evm);
	return exit;
}

static int read_stdin(struct x402_locked *ret_text)
{
	if (x402_locked_new(IMPORT_MAX_BYTES + 1, ret_text))
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	while (ret_text->len < ret_text->size) {
		ssize_t got = read(STDIN_FILENO, ret_text->ptr + ret_text->len,
			ret_text->size - ret_text->len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		ret_text->len += (size_t)got;
	}
	if (ret_text->len <= IMPORT_MAX_BYTES)
		return CLI_OK;
	x402_locked_clear(ret_text);
	return cli_error(CLI_CONFIG, "wallet",
		"stdin: expected a key, got something larger");
}

static int read_source(const char *from, struct x402_locked *ret_text)
{
	struct x402_errinfo info = {{0}, {0}};
	if (from && strcmp(from, "-") == 0)
		return read_stdin(ret_text);
	if (!from)
		return cli_ask_secret("key in hex: ", ret_text)
			? CLI_OK
			: cli_error(CLI_CONFIG, "wallet",
				  "no key: give --from FILE, or use a "
				  "terminal");
	enum x402_err err = x402_secret_file_read(from, X402_SECRET_OWNER_ONLY,
		IMPORT_MAX_BYTES, &info, ret_text);
	return err ? fail(err, &info) : CLI_OK;
}

/* Sealed under the same password afterwards; so it is asked for once. */
static int open_keystore(const struct x402_locked *text,
	const struct cli_args *args, struct any_key *ret_key)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_keystore_info keystore = {0};
	struct x402_locked password = {0};
	enum x402_err err = x402_keystore_describe(
		x402_locked_span(text), &info, &keystore);
	if (err)
		return fail(err, &info);
	int exit = cli_password(cli_arg(args, CLI_KEY_PASSWORD_FILE),
		"password of the keystore: ", false, &password);
	if (exit)
		return exit;
	ret_key->solana = keystore.solana_address[0] != '\0';
	err = ret_key->solana
		? x402_keystore_open_solana(x402_locked_span(text),
			  x402_locked_span(&password), &info, &ret_key->svm)
		: x402_keystore_open(x402_locked_span(text),
			  x402_locked_span(&password), &info, &ret_key->evm);
	x402_locked_clear(&password);
	return err ? fail(err, &info) : CLI_OK;
}

static void clear_key(struct any_key *key)
{
	x402_secret_clear(&key->evm);
	x402_svm_secret_clear(&key->svm);
}

static int parse_key(struct x402_locked *text, struct any_key *ret_key)
{
	struct x402_locked copy = {0};
	while (text->len &&
		strchr(" \t\r\n", (char)text->ptr[text->len - 1]) != NULL)
		text->len--;
	if (x402_locked_new(text->len + 1, &copy))
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	memcpy(copy.ptr, text->ptr, text->len);
	copy.ptr[text->len] = '\0';
	enum x402_err err = x402_secret_parse(
		(const char *)copy.ptr, &ret_key->evm);
	if (err) {
		err = x402_svm_secret_parse(
			(const char *)copy.ptr, &ret_key->svm);
		ret_key->solana = !err;
	}
	x402_locked_clear(&copy);
	/* The text is not repeated: it may be most of a key. */
	if (err)
		return cli_error(CLI_CONFIG, "invalid_key",
			"expected 64 hex digits of a secp256k1 key, a "
			"keystore, or a key of Solana (id.json or base58)");
	return CLI_OK;
}

int cli_wallet_import(
	const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_locked text = {0};
	struct any_key key = {.solana = false};
	const char *name = cli_operand(args, "name");
	if (!name)
		return CLI_USAGE;
	int exit = read_source(cli_arg(args, CLI_KEY_FROM), &text);
	if (exit)
		return exit;
	if (text.len && text.ptr[0] == '{')
		exit = open_keystore(&text, args, &key);
	else
		exit = parse_key(&text, &key);
	x402_locked_clear(&text);
	if (!exit)
		exit = seal(name, &key, args, ret_answer);
	clear_key(&key);
	return exit;
}

/* ---- list, address, export ---- */

static enum x402_err describe_file(const char *path, struct x402_errinfo *info,
	struct x402_keystore_info *ret_info)
{
	struct x402_locked text = {0};
	enum x402_err err = x402_secret_file_read(path, X402_SECRET_OWNER_ONLY,
		X402_KEYSTORE_MAX_BYTES, info, &text);
	if (!err)
		err = x402_keystore_describe(
			x402_locked_span(&text), info, ret_info);
	x402_locked_clear(&text);
	return err;
}

static struct x402_json *list_one(const char *name)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_keystore_info keystore = {0};
	char *path = NULL;
	if (x402_wallet_path(name, &path))
		return NULL;
	char text[X402_ADDRESS_TEXT_SIZE] = "";
	enum x402_err err = describe_file(path, &info, &keystore);
	if (!err && keystore.has_address)
		x402_address_format(&keystore.address, text);
	struct x402_json *json = describe(name, path,
		!err && keystore.solana_address[0] ? keystore.solana_address
						   : text);
	if (err)
		cli_put(json, "problem",
			info.text[0] ? info.text : x402_err_text(err));
	free(path);
	return json;
}

static int is_wallet(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return len > 5 && entry->d_name[0] != '.' &&
		strcmp(entry->d_name + len - 5, ".json") == 0;
}

int cli_wallet_list(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_json *list = x402_json_new_array();
	struct dirent **entries = NULL;
	char *directory = NULL;
	(void)args;
	int count = x402_wallet_directory(&directory)
		? 0
		: scandir(directory, &entries, is_wallet, alphasort);
	bool ok = list != NULL;
	for (int i = 0; i < count; i++) {
		entries[i]->d_name[strlen(entries[i]->d_name) - 5] = '\0';
		if (ok && x402_wallet_name_valid(entries[i]->d_name))
			ok = !x402_json_append_take(
				list, list_one(entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	free(directory);
	if (!ok) {
		x402_json_unref(list);
		list = NULL;
	}
	return finish(list, ret_answer);
}

/* The file of a wallet, wherever it lies. */
static enum x402_err read_wallet(const char *name, struct x402_errinfo *info,
	struct x402_locked *ret_text)
{
	char *path = NULL;
	enum x402_err err = x402_wallet_path(name, &path);
	if (!err)
		err = x402_secret_file_read(path, X402_SECRET_OWNER_ONLY,
			X402_KEYSTORE_MAX_BYTES, info, ret_text);
	free(path);
	return err;
}

/* "" for a wallet of another kind, and one that cannot be read. */
static void read_solana_address(
	const char *name, char ret_text[X402_PUBKEY_TEXT_SIZE])
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_keystore_info keystore = {0};
	struct x402_locked text = {0};
	if (!read_wallet(name, &info, &text) &&
		!x402_keystore_describe(
			x402_locked_span(&text), &info, &keystore))
		memcpy(ret_text, keystore.solana_address,
			X402_PUBKEY_TEXT_SIZE);
	x402_locked_clear(&text);
}

int cli_wallet_address(
	const struct cli_args *args, struct x402_json **ret_answer)
{
	struct cli_payer_flags flags = {
		.password = cli_arg(args, CLI_KEY_PASSWORD_FILE)};
	struct cli_payer payer;
	char solana[X402_PUBKEY_TEXT_SIZE] = "";
	if (args->operands_len > 0)
		flags.wallet = cli_operand(args, "name");
	if (args->operands_len > 0 && !flags.wallet)
		return CLI_USAGE;
	if (flags.wallet)
		read_solana_address(flags.wallet, solana);
	if (solana[0])
		return finish(describe(flags.wallet, NULL, solana), ret_answer);
	int exit = cli_payer_load(&flags, &payer);
	if (!exit && !payer.signer)
		exit = cli_error(CLI_CONFIG, "no_key",
			"there is no key: x402 wallet new default makes one");
	if (!exit) {
		char text[X402_ADDRESS_TEXT_SIZE];
		x402_address_format(
			&x402_signer_client(payer.signer)->address, text);
		exit = finish(describe(flags.wallet, NULL, text), ret_answer);
	}
	cli_payer_clear(&payer);
	return exit;
}

/* "0x" and hex, or the list of numbers that solana-keygen writes. */
static enum x402_err write_key(
	const struct any_key *key, struct x402_locked *ret_text)
{
	static const char digits[] = "0123456789abcdef";
	enum x402_err err = x402_locked_new(5 * 64 + 3, ret_text);
	if (err)
		return err;
	char *text = (char *)ret_text->ptr;
	size_t len = 0;
	if (!key->solana) {
		text[len++] = '0';
		text[len++] = 'x';
	}
	for (size_t i = 0; !key->solana && i < 32; i++) {
		text[len++] = digits[key->evm.bytes[i] >> 4];
		text[len++] = digits[key->evm.bytes[i] & 15];
	}
	for (size_t i = 0; key->solana && i < 64; i++) {
		unsigned byte = key->svm.seed_and_key64[i];
		text[len++] = i ? ',' : '[';
		if (byte >= 100)
			text[len++] = digits[byte / 100];
		if (byte >= 10)
			text[len++] = digits[byte / 10 % 10];
		text[len++] = digits[byte % 10];
	}
	if (key->solana)
		text[len++] = ']';
	text[len++] = '\n';
	ret_text->len = len;
	return X402_OK;
}

static int write_plain(const struct x402_locked *text,
	const struct cli_args *args, const char *output)
{
	struct x402_errinfo info = {{0}, {0}};
	struct any_key key = {.solana = false};
	struct x402_locked plain = {0};
	int exit = open_keystore(text, args, &key);
	if (exit)
		return exit;
	enum x402_err err = write_key(&key, &plain);
	if (!err)
		err = x402_secret_file_write(
			output, x402_locked_span(&plain), &info);
	clear_key(&key);
	x402_locked_clear(&plain);
	return err ? fail(err, &info) : CLI_OK;
}

static int export_to_file(const struct x402_locked *text,
	const struct cli_args *args, const char *name, const char *output,
	struct x402_json **ret_answer)
{
	struct x402_errinfo info = {{0}, {0}};
	int exit = CLI_OK;
	if (cli_has(args, CLI_KEY_PLAIN)) {
		exit = write_plain(text, args, output);
	} else {
		enum x402_err err = x402_secret_file_write(
			output, x402_locked_span(text), &info);
		exit = err ? fail(err, &info) : CLI_OK;
	}
	return exit ? exit : finish(describe(name, output, NULL), ret_answer);
}

int cli_wallet_export(
	const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_locked text = {0};
	const char *name = cli_operand(args, "name");
	const char *output = cli_arg(args, 'o');
	if (!name)
		return CLI_USAGE;
	if (cli_has(args, CLI_KEY_PLAIN) && !output)
		return cli_error(CLI_USAGE, "usage",
			"--plain needs -o FILE: a key is never printed");
	enum x402_err err = read_wallet(name, &info, &text);
	if (err)
		return fail(err, &info);
	int exit = CLI_OK;
	if (output)
		exit = export_to_file(&text, args, name, output, ret_answer);
	else if (fwrite(text.ptr, 1, text.len, stdout) != text.len)
		exit = cli_error(CLI_GENERAL, "output",
			"the keystore could not be written whole");
	x402_locked_clear(&text);
	return exit;
}
