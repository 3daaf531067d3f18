/*
 * install.c: `x402 mcp install --client NAME`: adds the server to the
 * configuration of an MCP client. What else is in the file stays; a copy of it
 * as it was is kept beside it, and a file that cannot be read as what it
 * should be is left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mcp.h"

/* Some clients keep their history in the same file. */
#define CONFIG_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define CONFIG_MAX_DEPTH 64
#define TOML_HEAD        "[mcp_servers.x402]"

enum form { FORM_JSON, FORM_TOML };

static const struct target {
	const char *name;
	const char *path; /* below the home directory */
	enum form form;
	const char *next; /* what to do afterwards */
} targets[] = {
	{"claude-code", ".claude.json", FORM_JSON, "restart claude"},
	{"claude-desktop", ".config/Claude/claude_desktop_config.json",
		FORM_JSON, "restart Claude"},
	{"cursor", ".cursor/mcp.json", FORM_JSON, "restart Cursor"},
	{"gemini", ".gemini/settings.json", FORM_JSON, "restart gemini"},
	{"codex", ".codex/config.toml", FORM_TOML, "restart codex"},
};

static const struct target *find_target(const char *name)
{
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (name && strcmp(name, targets[i].name) == 0)
			return &targets[i];
	return NULL;
}

/* ---- What is written. ---- */

/* The server's own arguments: the limits and the payer, as they were given. */
static struct x402_json *server_args(const struct cli_args *args)
{
	struct x402_json *list = x402_json_new_array();
	char name[64];
	bool ok = list &&
		!x402_json_append_take(list, x402_json_new_string("mcp"));
	for (size_t i = 0; ok && i < args->given_len; i++) {
		int key = args->given[i].key;
		const struct cli_option *o = args->command->options;
		while (o->name && o->key != key)
			o++;
		if (key == CLI_KEY_CLIENT || key == CLI_KEY_PRINT || !o->name)
			continue;
		(void)snprintf(name, sizeof(name), "--%s", o->name);
		ok = !x402_json_append_take(list, x402_json_new_string(name));
		if (ok && o->argument)
			ok = !x402_json_append_take(list,
				x402_json_new_string(args->given[i].value));
	}
	if (ok)
		return list;
	x402_json_unref(list);
	return NULL;
}

static char *own_path(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (len <= 0)
		return strdup("x402");
	path[len] = '\0';
	return strdup(path);
}

static struct x402_json *server_entry(const struct cli_args *args)
{
	struct x402_json *entry = x402_json_new_object();
	char *command = own_path();
	cli_put(entry, "type", "stdio");
	cli_put(entry, "command", command);
	free(command);
	if (!x402_json_set_take(entry, "args", server_args(args)))
		return entry;
	x402_json_unref(entry);
	return NULL;
}

/* Two spaces for each level, as these files are by hand. Bounded by the
 * reader's depth. */
static void pretty(
	const struct x402_json *value, unsigned depth, struct x402_buf *out)
{
	bool object = x402_json_type(value) == X402_JSON_OBJECT;
	bool first = true;
	void *iter = NULL;
	const char *key;
	const struct x402_json *member;
	if ((!object && x402_json_type(value) != X402_JSON_ARRAY) ||
		x402_json_size(value) == 0) {
		char *text = x402_json_dump(value);
		out->failed = out->failed || !text;
		x402_buf_add_str(out, text ? text : "");
		free(text);
		return;
	}
	x402_buf_add_str(out, object ? "{" : "[");
	for (size_t i = 0; i < x402_json_size(value); i++) {
		x402_buf_printf(out, "%s\n%*s", first ? "" : ",",
			(int)(2 * depth + 2), "");
		first = false;
		if (object) {
			(void)x402_json_next(value, &iter, &key, &member);
			struct x402_json *name = x402_json_new_string(key);
			char *text = name ? x402_json_dump(name) : NULL;
			out->failed = out->failed || !text;
			x402_buf_printf(out, "%s: ", text ? text : "");
			free(text);
			x402_json_unref(name);
		} else {
			member = x402_json_at(value, i);
		}
		pretty(member, depth + 1, out);
	}
	x402_buf_printf(
		out, "\n%*s%s", (int)(2 * depth), "", object ? "}" : "]");
}

static int merge_json(struct x402_span old, const struct cli_args *args,
	const char *path, struct x402_buf *ret_text)
{
	struct x402_json_limits limits = {
		.max_bytes = CONFIG_MAX_BYTES, .max_depth = CONFIG_MAX_DEPTH};
	struct x402_errinfo info = {{0}, {0}};
	struct x402_json *config = NULL;
	struct x402_json *servers = NULL;
	if (old.len == 0)
		config = x402_json_new_object();
	else if (x402_json_parse(old, &limits, &info, &config))
		return cli_error(CLI_CONFIG, "config",
			"%s: left alone, it is no plain JSON (%s); add this "
			"yourself: x402 mcp install --print",
			path, info.text);
	const struct x402_json *present = x402_json_get(config, "mcpServers");
	bool ok = x402_json_type(config) == X402_JSON_OBJECT &&
		(!present || x402_json_type(present) == X402_JSON_OBJECT);
	if (ok) {
		servers = present ? x402_json_copy(present)
				  : x402_json_new_object();
		enum x402_err err = x402_json_set_take(
			servers, "x402", server_entry(args));
		enum x402_err taken = x402_json_set_take(
			config, "mcpServers", servers);
		ok = !err && !taken;
		pretty(config, 0, ret_text);
		x402_buf_add_str(ret_text, "\n");
	}
	x402_json_unref(config);
	if (ok && !ret_text->failed)
		return CLI_OK;
	return cli_error(CLI_CONFIG, "config",
		"%s: left alone, its mcpServers is not an object", path);
}

/* JSON's strings and lists of strings are TOML's. */
static void toml_table(const struct x402_json *entry, struct x402_buf *out)
{
	static const char *const keys[] = {"command", "args"};
	x402_buf_add_str(out, TOML_HEAD "\n");
	for (size_t i = 0; i < 2; i++) {
		char *text = x402_json_dump(x402_json_get(entry, keys[i]));
		out->failed = out->failed || !text;
		x402_buf_printf(out, "%s = %s\n", keys[i], text ? text : "");
		free(text);
	}
}

/* A line that begins another table. */
static bool begins_table(const char *line, size_t len)
{
	while (len && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	return len && *line == '[';
}

static bool is_own_table(const char *line, size_t len)
{
	while (len && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	return len >= strlen(TOML_HEAD) &&
		strncmp(line, TOML_HEAD, strlen(TOML_HEAD)) == 0;
}

/* Every line but those of our own table, and ours behind them. */
static int merge_toml(struct x402_span old, const struct cli_args *args,
	const char *path, struct x402_buf *ret_text)
{
	struct x402_json *entry = server_entry(args);
	const char *at = (const char *)old.ptr;
	const char *end = at + old.len;
	bool skipping = false;
	if (old.len &&
		(memchr(at, '\0', old.len) || strstr(at, "\"\"\"") ||
			strstr(at, "'''"))) {
		x402_json_unref(entry);
		return cli_error(CLI_CONFIG, "config",
			"%s: left alone, it has texts of several lines; add "
			"this yourself: x402 mcp install --print",
			path);
	}
	while (old.len && at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = stop ? (size_t)(stop + 1 - at)
				  : (size_t)(end - at);
		if (begins_table(at, len))
			skipping = is_own_table(at, len);
		if (!skipping)
			x402_buf_add(ret_text, x402_span(at, len));
		at += len;
	}
	if (ret_text->len && ret_text->ptr[ret_text->len - 1] != '\n')
		x402_buf_add_str(ret_text, "\n");
	toml_table(entry, ret_text);
	x402_json_unref(entry);
	if (!ret_text->failed)
		return CLI_OK;
	return cli_error(CLI_GENERAL, "internal_error", "out of memory");
}

/* ---- The file. ---- */

/* NUL behind the text, for the scan above. */
static int read_config(
	const char *path, struct x402_buf *ret_text, mode_t *ret_mode)
{
	struct stat st;
	char chunk[16384];
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	*ret_mode = 0600;
	if (fd < 0 && errno == ENOENT)
		return CLI_OK;
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		return cli_error(CLI_CONFIG, "config",
			"%s: expected a file that can be read", path);
	}
	*ret_mode = st.st_mode & 0777;
	while ((got = read(fd, chunk, sizeof(chunk))) > 0 &&
		ret_text->len <= CONFIG_MAX_BYTES)
		x402_buf_add(ret_text, x402_span(chunk, (size_t)got));
	close(fd);
	x402_buf_add_byte(ret_text, '\0');
	if (ret_text->failed || got < 0 || ret_text->len > CONFIG_MAX_BYTES)
		return cli_error(CLI_CONFIG, "config",
			"%s: cannot be read, or is too large", path);
	ret_text->len--;
	return CLI_OK;
}

static bool write_file(const char *path, mode_t mode, struct x402_span text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	size_t done = 0;
	if (fd < 0)
		return false;
	while (done < text.len) {
		ssize_t put = write(fd, text.ptr + done, text.len - done);
		if (put < 0 && errno != EINTR)
			break;
		done += put > 0 ? (size_t)put : 0;
	}
	bool ok = done == text.len && fsync(fd) == 0;
	return close(fd) == 0 && ok;
}

static char *join(const char *a, const char *b)
{
	struct x402_buf buf = {0};
	x402_buf_printf(&buf, "%s%s", a, b);
	return x402_buf_take_str(&buf);
}

/* A link stays one: what it leads to is replaced. */
static int replace(const char *path, mode_t mode, struct x402_span old,
	struct x402_span text)
{
	struct x402_errinfo info = {{0}, {0}};
	char *real = realpath(path, NULL);
	char *target = real ? real : strdup(path);
	char *backup = target ? join(target, ".before-x402") : NULL;
	char *fresh = target ? join(target, ".x402-new") : NULL;
	char *slash = target ? strrchr(target, '/') : NULL;
	bool ok = backup && fresh && slash;
	if (ok && !real) {
		*slash = '\0';
		ok = !x402_wallet_directory_make(target, &info);
		*slash = '/';
	}
	if (ok && old.len)
		ok = write_file(backup, mode, old);
	ok = ok && write_file(fresh, mode, text) && rename(fresh, target) == 0;
	int exit = ok
		? CLI_OK
		: cli_error(CLI_CONFIG, "config", "%s: cannot be written (%s)",
			  path, strerror(errno));
	free(backup);
	free(fresh);
	free(target);
	return exit;
}

static int print_entry(const struct cli_args *args)
{
	struct x402_json *entry = server_entry(args);
	struct x402_buf out = {0};
	if (entry)
		pretty(entry, 0, &out);
	x402_json_unref(entry);
	char *text = x402_buf_take_str(&out);
	if (!text)
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	puts(text);
	free(text);
	return CLI_OK;
}

static int install(const struct target *target, const char *path,
	const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_buf old = {0};
	struct x402_buf text = {0};
	mode_t mode;
	int exit = read_config(path, &old, &mode);
	if (!exit && target->form == FORM_JSON)
		exit = merge_json(x402_buf_span(&old), args, path, &text);
	else if (!exit)
		exit = merge_toml(x402_buf_span(&old), args, path, &text);
	if (!exit)
		exit = replace(
			path, mode, x402_buf_span(&old), x402_buf_span(&text));
	x402_buf_clear(&old);
	x402_buf_clear(&text);
	if (exit)
		return exit;
	struct x402_json *answer = x402_json_new_object();
	cli_put(answer, "client", target->name);
	cli_put(answer, "file", path);
	cli_put(answer, "next", target->next);
	*ret_answer = answer;
	return answer
		? CLI_OK
		: cli_error(CLI_GENERAL, "internal_error", "out of memory");
}

int cli_mcp_install(const struct cli_args *args, struct x402_json **ret_answer)
{
	const struct target *target = find_target(
		cli_arg(args, CLI_KEY_CLIENT));
	const char *home = getenv("HOME");
	if (args->operands_len)
		return cli_error(CLI_USAGE, "usage",
			"mcp install: unexpected \"%s\"", args->operands[0]);
	if (cli_has(args, CLI_KEY_PRINT))
		return print_entry(args);
	if (!target)
		return cli_error(CLI_USAGE, "usage",
			"--client: expected claude-code, claude-desktop, "
			"cursor, gemini or codex");
	if (!home || home[0] != '/')
		return cli_error(CLI_CONFIG, "config", "HOME is not set");
	struct x402_buf buf = {0};
	x402_buf_printf(&buf, "%s/%s", home, target->path);
	char *path = x402_buf_take_str(&buf);
	int exit = path
		? install(target, path, args, ret_answer)
		: cli_error(CLI_GENERAL, "internal_error", "out of memory");
	free(path);
	return exit;
}
