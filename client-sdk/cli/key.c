/*
 * key.c: where the payer's key comes from. Never from the command line, which
 * every process can read. A file that others may read is refused; variables
 * are wiped once they have been read, so that children do not inherit them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* A key is 66 characters; this leaves room for line ends and comments. */
#define KEY_FILE_MAX_BYTES 1024

static int parse(const char *source, char *text, struct x402_secret *ret_key)
{
	text[strcspn(text, "\r\n")] = '\0';
	size_t len = strlen(text);
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		text[--len] = '\0';
	enum x402_err err = x402_secret_parse(text, ret_key);
	/* The text is not repeated: it may be most of a key. */
	if (err)
		return cli_error(CLI_CONFIG, "invalid_key",
			"%s: expected 64 hex digits of a secp256k1 key",
			source);
	return CLI_OK;
}

/* private_bits: mode bits that must not be set. ret_text is the caller's to
 * wipe. */
static int read_key_file(const char *path, mode_t private_bits,
	char ret_text[KEY_FILE_MAX_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return cli_error(CLI_CONFIG, "key_file", "%s: %s", path,
			strerror(errno));
	struct stat st;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return cli_error(CLI_CONFIG, "key_file",
			"%s: expected a regular file", path);
	}
	if (st.st_mode & private_bits) {
		close(fd);
		return cli_error(CLI_CONFIG, "key_file",
			"%s: mode %03o lets others read the key; chmod 600",
			path, (unsigned)(st.st_mode & 0777));
	}
	ssize_t got = read(fd, ret_text, KEY_FILE_MAX_BYTES - 1);
	close(fd);
	if (got < 0 || st.st_size >= KEY_FILE_MAX_BYTES)
		return cli_error(CLI_CONFIG, "key_file",
			"%s: expected a key, got something else", path);
	ret_text[got] = '\0';
	return CLI_OK;
}

static int load_file(
	const char *path, mode_t private_bits, struct x402_secret *ret_key)
{
	char text[KEY_FILE_MAX_BYTES] = {0};
	int exit = read_key_file(path, private_bits, text);
	if (!exit)
		exit = parse(path, text, ret_key);
	x402_wipe(text, sizeof(text));
	return exit;
}

static int load_variable(const char *name, struct x402_secret *ret_key)
{
	char *text = getenv(name);
	int exit = parse(name, text, ret_key);
	x402_wipe(text, strlen(text));
	unsetenv(name);
	return exit;
}

static int load_credential(
	const char *name, struct x402_secret *ret_key, bool *ret_found)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	if (!directory)
		return CLI_OK;
	struct x402_buf buf = {0};
	x402_buf_printf(&buf, "%s/%s", directory, name);
	char *path = x402_buf_take_str(&buf);
	int exit = CLI_OK;
	if (path && access(path, F_OK) == 0) {
		*ret_found = true;
		/* systemd grants by ACL, which shows as group bits. */
		exit = load_file(path, S_IRWXO, ret_key);
	}
	free(path);
	return exit;
}

int cli_key_load(struct x402_secret *ret_key, bool *ret_found)
{
	static const char *const names[] = {
		"X402_PRIVATE_KEY", "EVM_PRIVATE_KEY"};
	static const char *const files[] = {
		"X402_PRIVATE_KEY_FILE", "EVM_PRIVATE_KEY_FILE"};
	*ret_found = true;
	for (size_t i = 0; i < 2; i++) {
		const char *value = getenv(names[i]);
		const char *path = getenv(files[i]);
		if (value && *value)
			return load_variable(names[i], ret_key);
		if (path && *path)
			return load_file(path, S_IRWXG | S_IRWXO, ret_key);
	}
	*ret_found = false;
	for (size_t i = 0; i < 2; i++) {
		int exit = load_credential(names[i], ret_key, ret_found);
		if (exit || *ret_found)
			return exit;
	}
	return CLI_OK;
}

/* ---- Solana. ---- */

static int parse_svm(
	const char *source, const char *text, struct cli_payer *payer)
{
	if (x402_locked_new(sizeof(struct x402_svm_secret), &payer->svm_key))
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	if (x402_svm_secret_parse(
		    text, (struct x402_svm_secret *)payer->svm_key.ptr)) {
		x402_locked_clear(&payer->svm_key);
		return cli_error(CLI_CONFIG, "invalid_key",
			"%s: expected a Solana key: 64 numbers as in id.json, "
			"or their base58",
			source);
	}
	return CLI_OK;
}

/* Opened at once: the client asks a node about its mint before it signs. */
static int open_svm_wallet(struct cli_payer *payer, const char *name)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_locked text = {0};
	struct x402_locked password = {0};
	char *path = NULL;
	enum x402_err err = x402_wallet_path(name, &path);
	if (!err)
		err = x402_secret_file_read(path, X402_SECRET_OWNER_ONLY,
			X402_KEYSTORE_MAX_BYTES, &info, &text);
	free(path);
	int exit = CLI_OK;
	if (!err)
		exit = cli_password(payer->flags.password,
			"password of the Solana wallet: ", false, &password);
	if (!err && !exit)
		err = x402_locked_new(
			sizeof(struct x402_svm_secret), &payer->svm_key);
	if (!err && !exit)
		err = x402_keystore_open_solana(x402_locked_span(&text),
			x402_locked_span(&password), &info,
			(struct x402_svm_secret *)payer->svm_key.ptr);
	x402_locked_clear(&password);
	x402_locked_clear(&text);
	if (err)
		x402_locked_clear(&payer->svm_key);
	return err ? cli_error(CLI_CONFIG, "wallet", "%s",
			     info.text[0] ? info.text : x402_err_text(err))
		   : exit;
}

int cli_svm_key_read(struct cli_payer *payer)
{
	char *value = getenv("SVM_PRIVATE_KEY");
	const char *path = getenv("SVM_PRIVATE_KEY_FILE");
	char text[KEY_FILE_MAX_BYTES] = {0};
	int exit = CLI_OK;
	if (value && *value) {
		exit = parse_svm("SVM_PRIVATE_KEY", value, payer);
		x402_wipe(value, strlen(value));
		unsetenv("SVM_PRIVATE_KEY");
	} else if (path && *path) {
		exit = read_key_file(path, S_IRWXG | S_IRWXO, text);
		if (!exit)
			exit = parse_svm(path, text, payer);
		x402_wipe(text, sizeof(text));
	}
	const char *wallet = getenv("X402_SVM_WALLET");
	if (!exit && !payer->svm_key.ptr && wallet && *wallet)
		exit = open_svm_wallet(payer, wallet);
	return exit;
}

int cli_svm_key_load(struct cli_payer *payer)
{
	int exit = cli_svm_key_read(payer);
	payer->svm_rpc_url = getenv("SVM_RPC_URL");
	if (!exit && payer->svm_key.ptr &&
		(!payer->svm_rpc_url || !*payer->svm_rpc_url))
		exit = cli_error(CLI_CONFIG, "svm_rpc_url",
			"a Solana key needs a node to ask: set SVM_RPC_URL");
	return exit;
}
