/*
 * dev.c: `x402 dev`: a sandbox on this machine: a local chain with a token and
 * funded keys, a facilitator, and a site that sells. It says where everything
 * is, and ends all of it when it is interrupted.
 *
 * The chain is tests/devnet of the source tree, run by node: X402_DEV_DIR names
 * it where the tree is somewhere else than it was built.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"

/* The chain compiles its contracts at the first start. */
#define START_TIMEOUT_MS 120000
#define CHILDREN_MAX     3
#define LINE_MAX_BYTES   ((size_t)256 * 1024)

struct child {
	pid_t pid;
	int out;
};

struct dev {
	struct child children[CHILDREN_MAX];
	size_t len;
	char journal[PATH_MAX];
	struct x402_json *chain;
	char *facilitator;
	char *site;
};

/* ---- Children. ---- */

/* In the child: env is "NAME=value" pairs beside our own environment. */
static void become(char *const *argv, char *const *env, int out)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)setpgid(0, 0); /* Ctrl-C is for us to hand on */
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(out, STDERR_FILENO); /* the daemon's log says where */
	for (; env && *env; env++)
		(void)putenv(*env);
	(void)execvp(argv[0], argv);
	_exit(127);
}

static bool start_child(struct dev *dev, char *const *argv, char *const *env)
{
	int ends[2];
	if (dev->len >= CHILDREN_MAX || pipe2(ends, O_CLOEXEC))
		return false;
	pid_t pid = fork();
	if (pid == 0)
		become(argv, env, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return false;
	}
	dev->children[dev->len++] = (struct child){pid, ends[0]};
	return true;
}

/* The first whole line with this in it; NULL: it ended, or took too long. */
static char *wait_line(const struct child *child, const char *word)
{
	struct x402_buf buf = {0};
	char chunk[4096];
	for (int waited = 0; waited < START_TIMEOUT_MS && !cli_interrupted();) {
		struct pollfd poll_ = {.fd = child->out, .events = POLLIN};
		if (poll(&poll_, 1, 200) <= 0) {
			waited += 200;
			continue;
		}
		ssize_t got = read(child->out, chunk, sizeof(chunk));
		if (got <= 0 || buf.len > LINE_MAX_BYTES)
			break;
		x402_buf_add(&buf, x402_span(chunk, (size_t)got));
		x402_buf_add_byte(&buf, '\0');
		if (buf.failed)
			break;
		buf.len--;
		char *text = (char *)buf.ptr;
		char *at = strstr(text, word);
		if (at && strchr(at, '\n'))
			return x402_buf_take_str(&buf);
	}
	x402_buf_clear(&buf);
	return NULL;
}

static void stop_children(struct dev *dev)
{
	while (dev->len) {
		struct child *child = &dev->children[--dev->len];
		(void)kill(child->pid, SIGTERM);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		close(child->out);
	}
}

/* ---- Where things are. ---- */

/* The build tree's program, else one of the PATH. */
static char *program(const char *below_build, const char *name)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	struct x402_buf buf = {0};
	path[len > 0 ? len : 0] = '\0';
	char *slash = strrchr(path, '/');
	if (slash) {
		*slash = '\0';
		x402_buf_printf(&buf, "%s/../%s", path, below_build);
		char *built = x402_buf_take_str(&buf);
		if (built && access(built, X_OK) == 0)
			return built;
		free(built);
	}
	return strdup(name);
}

static char *devnet_script(void)
{
	const char *directory = getenv("X402_DEV_DIR");
	struct x402_buf buf = {0};
	x402_buf_printf(&buf, "%s/devnet.mjs",
		directory && *directory ? directory : X402_DEVNET_DIR);
	return x402_buf_take_str(&buf);
}

static char *pair(const char *name, const char *value)
{
	struct x402_buf buf = {0};
	x402_buf_printf(&buf, "%s=%s", name, value ? value : "");
	return x402_buf_take_str(&buf);
}

/* "url=http://..." in a program's first line. */
static char *url_in(const char *line)
{
	const char *at = line ? strstr(line, "url=http") : NULL;
	return at ? strndup(at + 4, strcspn(at + 4, " \r\n")) : NULL;
}

static const char *account(
	const struct dev *dev, const char *who, const char *key)
{
	return x402_json_get_string(
		x402_json_get(x402_json_get(dev->chain, "accounts"), who), key);
}

/* ---- The three. ---- */

static int start_chain(struct dev *dev)
{
	char *script = devnet_script();
	if (!script || access(script, R_OK)) {
		int exit = cli_error(CLI_CONFIG, "dev",
			"%s: expected the source tree's tests/devnet; set "
			"X402_DEV_DIR",
			script ? script : "?");
		free(script);
		return exit;
	}
	char node[] = "node";
	char *const argv[] = {node, script, NULL};
	bool ok = start_child(dev, argv, NULL);
	char *line = ok ? wait_line(&dev->children[dev->len - 1], "rpcUrl")
			: NULL;
	free(script);
	ok = line &&
		!x402_json_parse(x402_span_str(line), NULL, NULL, &dev->chain);
	free(line);
	if (ok)
		return CLI_OK;
	return cli_error(CLI_CONFIG, "dev",
		"the local chain did not start: is node there, and `npm ci` "
		"run in tests/devnet?");
}

static int start_server(struct dev *dev, const char *below_build,
	const char *name, char *const *env, char **ret_url)
{
	char *path = program(below_build, name);
	char *const argv[] = {path, NULL};
	bool ok = path && start_child(dev, argv, env);
	char *line = ok ? wait_line(&dev->children[dev->len - 1], "url=http")
			: NULL;
	*ret_url = url_in(line);
	free(line);
	free(path);
	if (*ret_url)
		return CLI_OK;
	return cli_error(CLI_CONFIG, "dev", "%s did not start", name);
}

static int start_facilitator(struct dev *dev, const char *directory)
{
	struct x402_buf buf = {0};
	x402_buf_printf(&buf, "%s/facilitator.sqlite", directory);
	char *store = x402_buf_take_str(&buf);
	char *env[] = {strdup("PORT=0"),
		pair("EVM_RPC_URL", x402_json_get_string(dev->chain, "rpcUrl")),
		pair("EVM_PRIVATE_KEY",
			account(dev, "facilitator", "privateKey")),
		pair("X402_STORE", store), NULL};
	int exit = start_server(dev, "facilitator/x402-facilitator",
		"x402-facilitator", env, &dev->facilitator);
	for (size_t i = 0; env[i]; i++)
		free(env[i]);
	free(store);
	return exit;
}

static int start_site(struct dev *dev)
{
	char *env[] = {strdup("PORT=0"),
		pair("FACILITATOR_URL", dev->facilitator),
		pair("PAY_TO", account(dev, "payee", "address")),
		pair("X402_NETWORK",
			x402_json_get_string(dev->chain, "network")),
		NULL};
	int exit = start_server(dev, "examples/content-site",
		"x402-content-site", env, &dev->site);
	for (size_t i = 0; env[i]; i++)
		free(env[i]);
	return exit;
}

/* ---- What is said. ---- */

/* Keys of the development seed: anvil prints them to everybody. */
static struct x402_json *describe(const struct dev *dev)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_json *env = x402_json_new_object();
	cli_put(json, "rpcUrl", x402_json_get_string(dev->chain, "rpcUrl"));
	cli_put(json, "network", x402_json_get_string(dev->chain, "network"));
	cli_put(json, "token", x402_json_get_string(dev->chain, "token"));
	cli_put(json, "facilitator", dev->facilitator);
	cli_put(json, "site", dev->site);
	cli_put(json, "payer", account(dev, "payer", "address"));
	cli_put(json, "payee", account(dev, "payee", "address"));
	cli_put(env, "EVM_PRIVATE_KEY", account(dev, "payer", "privateKey"));
	cli_put(env, "EVM_RPC_URL", x402_json_get_string(dev->chain, "rpcUrl"));
	cli_put(env, "FACILITATOR_URL", dev->facilitator);
	cli_put(env, "X402_JOURNAL", dev->journal);
	if (x402_json_set_take(json, "environment", env))
		cli_put(json, "environment", "out of memory");
	return json;
}

static void say(const struct dev *dev)
{
	struct x402_json *json = describe(dev);
	const struct x402_json *env = x402_json_get(json, "environment");
	void *iter = NULL;
	const char *name;
	const struct x402_json *value;
	if (cli_wants_json(STDOUT_FILENO)) {
		cli_print_answer(json);
	} else {
		puts("# development keys: never use them anywhere else");
		while (x402_json_next(env, &iter, &name, &value))
			printf("export %s=%s\n", name, x402_json_string(value));
		printf("x402 get %s\n\nCtrl-C ends it.\n", dev->site);
	}
	(void)fflush(stdout);
	x402_json_unref(json);
}

/* Until we are told to end, or one of them has. */
static int stay(const struct dev *dev)
{
	while (!cli_interrupted()) {
		for (size_t i = 0; i < dev->len; i++)
			if (waitpid(dev->children[i].pid, NULL, WNOHANG) != 0)
				return cli_error(CLI_GENERAL, "dev",
					"a part of the sandbox has ended");
		struct pollfd fds[CHILDREN_MAX];
		char chunk[4096];
		for (size_t i = 0; i < dev->len; i++)
			fds[i] = (struct pollfd){
				.fd = dev->children[i].out, .events = POLLIN};
		if (poll(fds, dev->len, 200) <= 0)
			continue;
		for (size_t i = 0; i < dev->len; i++)
			if (fds[i].revents & POLLIN &&
				read(fds[i].fd, chunk, sizeof(chunk)) < 0)
				return CLI_GENERAL;
	}
	return CLI_OK;
}

/* What the daemon and the journal keep there; no directories. */
static void remove_directory(const char *directory)
{
	struct dirent **entries = NULL;
	char path[PATH_MAX];
	int count = scandir(directory, &entries, NULL, NULL);
	for (int i = 0; i < count; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", directory,
			entries[i]->d_name);
		(void)unlink(path);
		free(entries[i]);
	}
	free(entries);
	(void)rmdir(directory);
}

int cli_dev_run(const struct cli_command *command, int argc, char **argv)
{
	struct cli_args args;
	struct dev dev = {.len = 0};
	char directory[] = "/tmp/x402-dev-XXXXXX";
	int exit = cli_args_parse(command, argc, argv, &args);
	if (exit)
		return exit;
	if (cli_has(&args, 'h')) {
		cli_help(command, stdout);
		return CLI_OK;
	}
	if (!mkdtemp(directory))
		return cli_error(
			CLI_CONFIG, "dev", "/tmp: %s", strerror(errno));
	(void)snprintf(dev.journal, sizeof(dev.journal), "%s/journal.sqlite",
		directory);
	cli_catch_signals();
	exit = start_chain(&dev);
	if (!exit)
		exit = start_facilitator(&dev, directory);
	if (!exit)
		exit = start_site(&dev);
	if (!exit) {
		say(&dev);
		exit = stay(&dev);
	}
	stop_children(&dev);
	remove_directory(directory);
	x402_json_unref(dev.chain);
	free(dev.facilitator);
	free(dev.site);
	return exit;
}
