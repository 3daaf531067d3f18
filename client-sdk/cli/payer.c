/*
 * payer.c: who pays. A key in the environment, a wallet of the directory, or
 * a process behind a socket: each ends as one of the library's signers.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "cli.h"

#define DEFAULT_WALLET "default"

const struct cli_payer *cli_process_payer;
const struct x402_budget *cli_process_budget;

/* ---- Passwords. ---- */

/* The terminal's settings come back also when reading fails; an interrupt
 * ends the read, and the caller goes on to the end. */
bool cli_ask_secret(const char *prompt, struct x402_locked *ret_text)
{
	struct termios before;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return false;
	bool ok = tcgetattr(fd, &before) == 0 &&
		!x402_locked_new(X402_PASSWORD_MAX_BYTES + 1, ret_text);
	struct termios silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	if (ok)
		ok = tcsetattr(fd, TCSAFLUSH, &silent) == 0;
	if (ok && write(fd, prompt, strlen(prompt)) >= 0) {
		ssize_t got = read(fd, ret_text->ptr, ret_text->size);
		ok = got > 0;
		ret_text->len = got > 0 ? (size_t)got : 0;
		if (ok && ret_text->ptr[ret_text->len - 1] == '\n')
			ret_text->len--;
		(void)tcsetattr(fd, TCSAFLUSH, &before);
		ok = write(fd, "\n", 1) == 1 && ok;
	}
	close(fd);
	if (!ok)
		x402_locked_clear(ret_text);
	return ok;
}

/* What an editor adds at the end is no part of a password. */
static void cut_line_end(struct x402_locked *text)
{
	while (text->len &&
		(text->ptr[text->len - 1] == '\n' ||
			text->ptr[text->len - 1] == '\r'))
		text->len--;
}

static int password_file(
	const char *path, enum x402_secret_mode mode, struct x402_locked *ret)
{
	struct x402_errinfo info = {{0}, {0}};
	if (x402_secret_file_read(
		    path, mode, X402_PASSWORD_MAX_BYTES, &info, ret))
		return cli_error(CLI_CONFIG, "password_file", "%s", info.text);
	cut_line_end(ret);
	return CLI_OK;
}

static int password_variable(struct x402_locked *ret)
{
	char *text = getenv("X402_PASSWORD");
	size_t len = strlen(text);
	if (len > X402_PASSWORD_MAX_BYTES || x402_locked_new(len + 1, ret))
		return cli_error(
			CLI_CONFIG, "password", "X402_PASSWORD is too long");
	memcpy(ret->ptr, text, len);
	ret->len = len;
	x402_wipe(text, len);
	/* It is empty now; with threads about, the list stays as it is. */
	if (!cli_process_payer)
		unsetenv("X402_PASSWORD");
	return CLI_OK;
}

static int ask_password(const char *prompt, bool twice, struct x402_locked *ret)
{
	struct x402_locked again = {0};
	if (!cli_ask_secret(prompt, ret))
		return cli_error(CLI_CONFIG, "password",
			"no password: give --password-file or "
			"X402_PASSWORD_FILE, or use a terminal");
	if (!twice)
		return CLI_OK;
	bool same = cli_ask_secret("again: ", &again) &&
		again.len == ret->len &&
		x402_equal_ct(again.ptr, ret->ptr, ret->len);
	x402_locked_clear(&again);
	if (same)
		return CLI_OK;
	x402_locked_clear(ret);
	return cli_error(
		CLI_CONFIG, "password", "the two passwords are not the same");
}

int cli_password(const char *file, const char *prompt, bool twice,
	struct x402_locked *ret_password)
{
	const char *named = getenv("X402_PASSWORD_FILE");
	const char *value = getenv("X402_PASSWORD");
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	struct x402_buf path = {0};
	if (file)
		return password_file(
			file, X402_SECRET_OWNER_ONLY, ret_password);
	if (value && *value)
		return password_variable(ret_password);
	if (named && *named)
		return password_file(
			named, X402_SECRET_OWNER_ONLY, ret_password);
	x402_buf_printf(&path, "%s/X402_PASSWORD",
		credentials ? credentials : "/nonexistent");
	char *credential = x402_buf_take_str(&path);
	int exit = credential && access(credential, F_OK) == 0
		? password_file(
			  credential, X402_SECRET_OWNER_AND_GROUP, ret_password)
		: ask_password(prompt, twice, ret_password);
	free(credential);
	return exit;
}

static enum x402_err wallet_password(
	void *user, struct x402_locked *ret_password)
{
	const struct cli_payer *payer = user;
	return cli_password(payer->flags.password,
		       "password of the wallet: ", false, ret_password)
		? X402_ERR_KEY
		: X402_OK;
}

/* ---- The payer. ---- */

static int from_key(struct cli_payer *payer)
{
	struct x402_secret key = {{0}};
	bool found = false;
	int exit = cli_key_load(&key, &found);
	if (!exit && found && x402_signer_from_key(&key, &payer->signer))
		exit = cli_error(CLI_CONFIG, "invalid_key",
			"the key is not one of secp256k1");
	x402_secret_clear(&key);
	return exit;
}

static int from_socket(struct cli_payer *payer, const char *path)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_signer_socket_options options = {
		.path = path, .session_path = payer->flags.session};
	if (!options.session_path || !*options.session_path)
		options.session_path = getenv("X402_SESSION");
	if (x402_signer_from_socket(&options, &info, &payer->signer))
		return cli_error(CLI_CONFIG, "signer", "%s",
			info.text[0] ? info.text : "the signer is unusable");
	return CLI_OK;
}

/* payer stays where it is: the signer asks it for the password. */
static int from_wallet(struct cli_payer *payer, const char *name)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_signer_keystore_options options = {
		.password = wallet_password, .user = payer};
	char *path = NULL;
	if (x402_wallet_path(name, &path))
		return cli_error(CLI_CONFIG, "wallet",
			"\"%s\" is no name of a wallet", name);
	options.path = path;
	enum x402_err err = x402_signer_from_keystore(
		&options, &info, &payer->signer);
	free(path);
	if (err)
		return cli_error(
			err == X402_ERR_NOT_FOUND ? CLI_NOT_FOUND : CLI_CONFIG,
			"wallet", "%s",
			info.text[0] ? info.text : x402_err_text(err));
	return CLI_OK;
}

static bool has_default_wallet(void)
{
	char *path = NULL;
	bool found = !x402_wallet_path(DEFAULT_WALLET, &path) &&
		access(path, F_OK) == 0;
	free(path);
	return found;
}

static int find_payer(
	const struct cli_payer_flags *flags, struct cli_payer *ret_payer)
{
	const char *signer = getenv("X402_SIGNER");
	const char *wallet = getenv("X402_WALLET");
	*ret_payer = (struct cli_payer){.flags = *flags};
	int svm = cli_svm_key_load(ret_payer);
	if (svm)
		return svm;
	if (flags->signer)
		return from_socket(ret_payer, flags->signer);
	if (flags->wallet)
		return from_wallet(ret_payer, flags->wallet);
	int exit = from_key(ret_payer);
	if (exit || ret_payer->signer)
		return exit;
	if (signer && *signer)
		return from_socket(ret_payer, signer);
	if (wallet && *wallet)
		return from_wallet(ret_payer, wallet);
	if (has_default_wallet())
		return from_wallet(ret_payer, DEFAULT_WALLET);
	return CLI_OK;
}

/* A signer is of one thread at a time (x402/signer.h). */
static pthread_mutex_t signing = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local char reason[256];

static void keep_reason(const struct cli_payer *payer)
{
	(void)snprintf(reason, sizeof(reason), "%s",
		x402_signer_reason(payer->signer));
}

static enum x402_err sign_alone(void *user,
	const struct x402_client_signing *signing_,
	struct x402_buf *ret_signature)
{
	const struct cli_payer *payer = user;
	const struct x402_client_signer *signer = x402_signer_client(
		payer->signer);
	(void)pthread_mutex_lock(&signing);
	enum x402_err err = signer->sign(signer->user, signing_, ret_signature);
	keep_reason(payer);
	(void)pthread_mutex_unlock(&signing);
	return err;
}

static enum x402_err sign_text_alone(
	void *user, const char *text, struct x402_buf *ret_signature)
{
	const struct cli_payer *payer = user;
	const struct x402_client_signer *signer = x402_signer_client(
		payer->signer);
	(void)pthread_mutex_lock(&signing);
	enum x402_err err = signer->sign_text(
		signer->user, text, ret_signature);
	keep_reason(payer);
	(void)pthread_mutex_unlock(&signing);
	return err;
}

static enum x402_err sign_svm_alone(void *user,
	const struct x402_client_signing *signing_,
	struct x402_buf *ret_signature)
{
	const struct cli_payer *payer = user;
	const struct x402_client_svm_signer *signer = x402_signer_svm_client(
		payer->signer);
	(void)pthread_mutex_lock(&signing);
	enum x402_err err = signer->sign(signer->user, signing_, ret_signature);
	keep_reason(payer);
	(void)pthread_mutex_unlock(&signing);
	return err;
}

static enum x402_err sign_svm_text_alone(
	void *user, const char *text, struct x402_buf *ret_signature)
{
	const struct cli_payer *payer = user;
	const struct x402_client_svm_signer *signer = x402_signer_svm_client(
		payer->signer);
	(void)pthread_mutex_lock(&signing);
	enum x402_err err = signer->sign_text(
		signer->user, text, ret_signature);
	keep_reason(payer);
	(void)pthread_mutex_unlock(&signing);
	return err;
}

const struct x402_client_signer *cli_payer_signer(struct cli_payer *payer)
{
	return payer->signer ? &payer->guarded : NULL;
}

const char *cli_payer_reason(void)
{
	return reason;
}

/* Filled once, before there is a second thread. */
static void guard(struct cli_payer *payer)
{
	if (!payer->signer)
		return;
	const struct x402_client_signer *signer = x402_signer_client(
		payer->signer);
	payer->guarded = (struct x402_client_signer){.address = signer->address,
		.sign = sign_alone,
		.sign_text = signer->sign_text ? sign_text_alone : NULL,
		.user = payer};
	const struct x402_client_svm_signer *svm = x402_signer_svm_client(
		payer->signer);
	if (svm)
		payer->guarded_svm = (struct x402_client_svm_signer){
			.address = svm->address,
			.sign = sign_svm_alone,
			.sign_text = svm->sign_text ? sign_svm_text_alone
						    : NULL,
			.user = payer};
}

int cli_payer_load(
	const struct cli_payer_flags *flags, struct cli_payer *ret_payer)
{
	int exit = find_payer(flags, ret_payer);
	if (!exit)
		guard(ret_payer);
	return exit;
}

void cli_payer_svm(struct cli_payer *payer, struct x402_client_options *options)
{
	const char *node = payer->svm_rpc_url;
	options->svm_key = NULL;
	options->svm_signer = NULL;
	/* The signer's key without a node: offers on Solana are passed over. */
	if (!node || !*node)
		return;
	if (payer->svm_key.ptr)
		options->svm_key =
			(const struct x402_svm_secret *)payer->svm_key.ptr;
	else if (payer->guarded_svm.sign)
		options->svm_signer = &payer->guarded_svm;
	options->svm_rpc_url = node;
}

void cli_payer_clear(struct cli_payer *payer)
{
	x402_signer_free(payer->signer);
	payer->signer = NULL;
	x402_locked_clear(&payer->svm_key);
}
