/*
 * signer.c: `x402 signer`: keeps a wallet's key in this process and signs for
 * others over a unix socket, within its own policy. One line of JSON on
 * stderr for each answer.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "scope.h"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static bool should_stop(void *user)
{
	(void)user;
	return stopped != 0;
}

static void on_ready(void *user)
{
	printf("listening socket=%s\n", (const char *)user);
	(void)fflush(stdout);
}

/* The answer without its signature: a log is read by more than a socket. */
static void on_answer(void *user, int pid, unsigned uid, const char *line)
{
	struct x402_json *answer = NULL;
	(void)user;
	if (x402_json_parse(x402_span_str(line), NULL, NULL, &answer))
		return;
	x402_json_remove(answer, "signature");
	cli_put_int(answer, "pid", pid);
	cli_put_int(answer, "uid", (int64_t)uid);
	cli_put_int(answer, "time", (int64_t)time(NULL));
	char *text = x402_json_dump(answer);
	if (text)
		fprintf(stderr, "%s\n", text);
	free(text);
	x402_json_unref(answer);
}

static char *default_socket(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct x402_buf path = {0};
	if (!runtime || !*runtime)
		return NULL;
	x402_buf_printf(&path, "%s/x402-signer.sock", runtime);
	return x402_buf_take_str(&path);
}

static bool read_uids(
	const struct cli_args *args, unsigned *uids, size_t *ret_len)
{
	for (size_t i = 0; i < args->given_len; i++) {
		uint64_t uid;
		if (args->given[i].key != CLI_KEY_ALLOW_UID)
			continue;
		if (!cli_number("--allow-uid", args->given[i].value,
			    UINT32_MAX - 1, &uid))
			return false;
		uids[(*ret_len)++] = (unsigned)uid;
	}
	return true;
}

static int serve(const struct cli_args *args, const char *path,
	struct x402_signer *wallet,
	const struct x402_signer_core_options *core_options)
{
	unsigned uids[CLI_ARGS_MAX];
	struct x402_errinfo info = {{0}, {0}};
	struct x402_signer_core_options options = *core_options;
	struct x402_signer_serve_options serving = {.path = path,
		.uids = uids,
		.should_stop = should_stop,
		.on_answer = on_answer,
		.on_ready = on_ready,
		.user = (void *)path};
	if (!read_uids(args, uids, &serving.uids_len))
		return CLI_USAGE;
	options.wallet = x402_signer_client(wallet);
	options.svm_wallet = x402_signer_svm_client(wallet);
	enum x402_err err = x402_signer_core_new(
		&options, &info, &serving.core);
	if (!err)
		err = x402_signer_serve(&serving, &info);
	x402_signer_core_free(serving.core);
	if (err)
		return cli_error(CLI_CONFIG, "signer", "%s",
			info.text[0] ? info.text : x402_err_text(err));
	return CLI_OK;
}

/* The key of Solana, where there is one: no node is asked from here. */
static int add_svm_key(const struct cli_args *args, struct x402_signer *wallet)
{
	struct cli_payer payer = {
		.flags = {.password = cli_arg(args, CLI_KEY_PASSWORD_FILE)}};
	int exit = cli_svm_key_read(&payer);
	if (!exit && payer.svm_key.ptr &&
		x402_signer_add_svm_key(wallet,
			(const struct x402_svm_secret *)payer.svm_key.ptr))
		exit = cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	cli_payer_clear(&payer);
	return exit;
}

static int run(const struct cli_args *args, const char *path)
{
	struct x402_signer_core_options options = {
		.sessions_only = cli_has(args, CLI_KEY_SESSIONS_ONLY)};
	struct x402_secret key = {{0}};
	struct x402_signer *wallet = NULL;
	char *state = NULL;
	const char *validity = cli_arg(args, CLI_KEY_MAX_VALIDITY);
	if (validity &&
		!cli_duration(
			"--max-validity", validity, &options.max_validity_s))
		return CLI_USAGE;
	int exit = cli_scope_read(args, &options.policy);
	if (!exit)
		exit = cli_wallet_open(args, &key);
	if (!exit && x402_signer_from_key(&key, &wallet))
		exit = cli_error(CLI_CONFIG, "invalid_key",
			"the key is not one of secp256k1");
	x402_secret_clear(&key);
	if (!exit)
		exit = add_svm_key(args, wallet);
	if (!exit && x402_session_state_directory(&state))
		exit = cli_error(CLI_CONFIG, "signer",
			"set X402_STATE_DIR or HOME: payments are counted "
			"there");
	options.state_directory = state;
	if (!exit)
		exit = serve(args, path, wallet, &options);
	x402_signer_free(wallet);
	free(state);
	return exit;
}

int cli_signer_run(const struct cli_command *command, int argc, char **argv)
{
	struct cli_args args;
	struct sigaction action = {.sa_handler = on_signal};
	int exit = cli_args_parse(command, argc, argv, &args);
	if (exit)
		return exit;
	if (cli_has(&args, 'h')) {
		cli_help(command, stdout);
		return CLI_OK;
	}
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	const char *given = cli_arg(&args, CLI_KEY_SOCKET);
	char *path = given ? strdup(given) : default_socket();
	if (!path)
		return cli_error(CLI_CONFIG, "signer",
			"give --socket PATH, or set XDG_RUNTIME_DIR");
	exit = run(&args, path);
	free(path);
	return exit;
}
