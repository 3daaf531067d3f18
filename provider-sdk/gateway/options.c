/*
 * options.c: argp collects what was typed, gw_options_config() lays it over the
 * file or the environment. Nothing is checked here that gw_config_check() sees
 * as well.
 */
#include "options.h"

#include "gateway_config_p.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A price list of thousands of routes fits. */
#define FILE_MAX_BYTES ((size_t)1024 * 1024)
/* A client secret or a key, and some. */
#define SECRET_MAX_BYTES ((size_t)64 * 1024)

/* Base Sepolia: nobody sells for real money by accident. */
#define NETWORK_DEFAULT "eip155:84532"

enum {
	KEY_UPSTREAM = 256,
	KEY_LISTEN,
	KEY_ADMIN,
	KEY_PRICE,
	KEY_PAY_TO,
	KEY_NETWORK,
	KEY_SETTLE,
	KEY_FREE,
	KEY_FACILITATOR,
	KEY_ORIGIN,
	KEY_TRUST,
	KEY_JOURNAL,
	KEY_CERTIFICATE,
	KEY_TLS_KEY,
	KEY_QUIET
};

/* The C library looks for it by name, so it must not be hidden. */
X402_API const char *argp_program_version = "x402-gateway " X402_VERSION;

static const struct argp_option argp_options[] = {
	{"upstream", KEY_UPSTREAM, "URL", 0,
		"Where the content comes from: http://127.0.0.1:9000", 1},
	{"price", KEY_PRICE, "PRICE", 0,
		"What every path costs that is not free: '$0.01'", 1},
	{"pay-to", KEY_PAY_TO, "ADDRESS", 0, "Who is paid", 1},
	{"free", KEY_FREE, "PATTERN", 0,
		"A path that costs nothing: /, '/css/*', 'GET /about'; may be "
		"repeated",
		1},
	{"network", KEY_NETWORK, "NETWORK", 0,
		"Where it is paid: eip155:84532 (default), eip155:8453, ...",
		1},
	{"facilitator", KEY_FACILITATOR, "URL", 0,
		"Who verifies and settles; may be repeated, in order", 1},
	{"settle", KEY_SETTLE, "WHEN", 0,
		"after (default), before or reserve: when the money moves", 1},
	{"listen", KEY_LISTEN, "ADDRESS", 0,
		"host:port or :port; default 127.0.0.1:8402", 2},
	{"public-origin", KEY_ORIGIN, "ORIGIN", 0,
		"What buyers see before the path: https://shop.example", 2},
	{"trust-proxy", KEY_TRUST, "NETWORK", 0,
		"X-Forwarded-* of these peers count: 10.0.0.0/8; may be "
		"repeated",
		2},
	{"tls-cert", KEY_CERTIFICATE, "FILE", 0, "PEM chain; with --tls-key",
		2},
	{"tls-key", KEY_TLS_KEY, "FILE", 0, "PEM key, mode 0600", 2},
	{"journal", KEY_JOURNAL, "FILE", 0,
		"Remember payments in this file, so that what is paid and not "
		"delivered outlives a crash",
		3},
	{"admin", KEY_ADMIN, "ADDRESS", 0,
		"/livez /healthz /readyz /metrics; default: none", 3},
	{"quiet", KEY_QUIET, NULL, 0, "No line for each request", 3},
	{"config", 'c', "FILE", 0, "Read this configuration file", 4},
	{"check", 't', NULL, 0,
		"Check the configuration and exit: 0 good, 1 not", 4},
	{"check-config", 't', NULL, OPTION_ALIAS, NULL, 4},
	{0},
};

static bool add(const char **list, size_t *len, size_t max, const char *value)
{
	if (*len == max)
		return false;
	list[(*len)++] = value;
	return true;
}

/* The plain ones: where an option's text goes. */
static const char **place(struct gw_options *options, int key)
{
	switch (key) {
	case 'c':
		return &options->config_path;
	case KEY_UPSTREAM:
		return &options->upstream;
	case KEY_LISTEN:
		return &options->listen;
	case KEY_ADMIN:
		return &options->admin;
	case KEY_PRICE:
		return &options->price;
	case KEY_PAY_TO:
		return &options->pay_to;
	case KEY_NETWORK:
		return &options->network;
	case KEY_SETTLE:
		return &options->settle;
	case KEY_ORIGIN:
		return &options->public_origin;
	case KEY_JOURNAL:
		return &options->journal;
	case KEY_CERTIFICATE:
		return &options->tls_certificate;
	case KEY_TLS_KEY:
		return &options->tls_key;
	default:
		return NULL;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct gw_options *options = state->input;
	const char **text = place(options, key);
	bool room = true;

	if (text) {
		*text = arg;
		return 0;
	}
	switch (key) {
	case 't':
		options->check = true;
		break;
	case KEY_QUIET:
		options->quiet = true;
		break;
	case KEY_FACILITATOR:
		room = add(options->facilitators, &options->facilitators_len,
			X402_PROVIDER_FACILITATORS_MAX, arg);
		break;
	case KEY_FREE:
		room = add(options->free, &options->free_len,
			GW_OPTIONS_REPEATED_MAX, arg);
		break;
	case KEY_TRUST:
		room = add(options->trusted, &options->trusted_len,
			GW_OPTIONS_REPEATED_MAX, arg);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument: %s", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (!room)
		argp_error(state, "too many options of one kind: use a file");
	return 0;
}

static const struct argp argp = {argp_options, parse_option, NULL,
	"Sell what an HTTP server has, from in front of it, with x402.\v"
	"In one line:\n\n"
	"  x402-gateway --upstream http://127.0.0.1:9000 --listen :8402 "
	"--price '$0.01' --pay-to 0x...\n\n"
	"Without -c the environment is read as well: X402_UPSTREAM, "
	"X402_PRICE, X402_PAY_TO (PAY_TO, EVM_ADDRESS), X402_NETWORK, "
	"FACILITATOR_URL, X402_LISTEN (or PORT), X402_PUBLIC_ORIGIN, "
	"X402_JOURNAL, X402_ADMIN_LISTEN, X402_TLS_CERTIFICATE, X402_TLS_KEY, "
	"X402_SETTLE. "
	"HUP reads the file again, TERM drains, QUIT stops.\n\n"
	"Exit codes: 0 ended as asked, 1 configuration, 2 usage, 3 journal, "
	"5 cannot listen, 6 internal.",
	NULL, NULL, NULL};

void gw_options_parse(int argc, char **argv, struct gw_options *ret_options)
{
	argp_err_exit_status = 2;
	memset(ret_options, 0, sizeof(*ret_options));
	argp_parse(&argp, argc, argv, 0, NULL, ret_options);
}

/* ---- Files. ---- */

/* From malloc and NUL-terminated; NULL with info. */
static char *read_file(
	const char *path, size_t max, bool secret, struct x402_errinfo *info)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	size_t len = 0;
	struct stat st;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, &st)) {
		x402_errinfo_set(info, "", "%.120s: %s", path, strerror(errno));
	} else if (secret && (st.st_mode & 077)) {
		x402_errinfo_set(info, "",
			"%.120s: expected a file that only its owner can read "
			"(mode 0600)",
			path);
	} else {
		text = malloc(max + 1);
	}
	while (text && len <= max && n > 0) {
		n = read(fd, text + len, max + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	if (text && n == 0 && len <= max && !memchr(text, 0, len)) {
		text[len] = '\0';
		return text;
	}
	if (text) {
		x402_errinfo_set(info, "",
			"%.120s: expected text of at most %zu bytes", path,
			max);
		x402_wipe(text, max + 1);
	}
	free(text);
	return NULL;
}

static char *read_secret(
	void *user, const char *path, struct x402_errinfo *info)
{
	char *text = read_file(path, SECRET_MAX_BYTES, true, info);

	(void)user;
	if (text)
		text[strcspn(text, "\r\n")] = '\0';
	return text;
}

static enum x402_err read_config_file(
	const char *path, struct x402_errinfo *info, struct gw_config *config)
{
	const struct gw_config_files files = {read_secret, NULL};
	char *text = read_file(path, FILE_MAX_BYTES, false, info);
	enum x402_err err;

	if (!text)
		return X402_ERR_INVALID_ARGUMENT;
	err = gw_config_read(path, text, &files, info, config);
	free(text);
	return err;
}

/* ---- Environment. ---- */

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* What was not typed. */
static void fill(const char **field, const char *name)
{
	if (!*field)
		*field = env(name);
}

static void read_environment(struct gw_options *options)
{
	const char *facilitator = env("FACILITATOR_URL");

	fill(&options->upstream, "X402_UPSTREAM");
	fill(&options->price, "X402_PRICE");
	fill(&options->pay_to, "X402_PAY_TO");
	fill(&options->pay_to, "PAY_TO");
	fill(&options->pay_to, "EVM_ADDRESS");
	fill(&options->network, "X402_NETWORK");
	fill(&options->listen, "X402_LISTEN");
	fill(&options->public_origin, "X402_PUBLIC_ORIGIN");
	fill(&options->journal, "X402_JOURNAL");
	fill(&options->admin, "X402_ADMIN_LISTEN");
	fill(&options->tls_certificate, "X402_TLS_CERTIFICATE");
	fill(&options->tls_key, "X402_TLS_KEY");
	fill(&options->settle, "X402_SETTLE");
	if (facilitator && !options->facilitators_len)
		(void)add(options->facilitators, &options->facilitators_len,
			X402_PROVIDER_FACILITATORS_MAX, facilitator);
}

/* ---- Together. ---- */

/* Out of memory before anything is served: there is no use in going on. */
static char *copy(const char *text)
{
	char *own = strdup(text);

	if (!own)
		abort();
	return own;
}

static void set(char **field, const char *value)
{
	if (!value)
		return;
	free(*field);
	*field = copy(value);
}

static enum x402_err set_address(const char *name, const char *text,
	struct x402_errinfo *info, struct gw_address *address)
{
	if (!text || gw_address_read(text, address) == X402_OK)
		return X402_OK;
	x402_errinfo_set(info, "",
		"%s: expected host:port or :port with an address for a host, "
		"got %.60s",
		name, text);
	return X402_ERR_INVALID_ARGUMENT;
}

static enum x402_err set_settle(
	const char *text, struct x402_errinfo *info, struct gw_config *config)
{
	if (!text)
		return X402_OK;
	if (strcmp(text, "after") == 0) {
		config->settle = X402_PROVIDER_SETTLE_AFTER;
	} else if (strcmp(text, "before") == 0) {
		config->settle = X402_PROVIDER_SETTLE_BEFORE;
	} else if (strcmp(text, "reserve") == 0) {
		config->settle = X402_PROVIDER_SETTLE_RESERVE;
	} else {
		x402_errinfo_set(info, "",
			"--settle: expected after, before or reserve, got "
			"%.40s",
			text);
		return X402_ERR_INVALID_ARGUMENT;
	}
	return X402_OK;
}

/* In front of the file's routes: the first that matches counts. */
static void set_free(const struct gw_options *options, struct gw_config *config)
{
	size_t len = options->free_len + config->routes_len;
	struct gw_config_route *routes;

	if (!options->free_len)
		return;
	routes = calloc(len, sizeof(*routes));
	if (!routes)
		abort();
	for (size_t i = 0; i < options->free_len; i++) {
		routes[i].pattern = copy(options->free[i]);
		routes[i].free = true;
	}
	if (config->routes_len)
		memcpy(routes + options->free_len, config->routes,
			config->routes_len * sizeof(*routes));
	free(config->routes);
	config->routes = routes;
	config->routes_len = len;
}

static void set_lists(
	const struct gw_options *options, struct gw_config *config)
{
	struct gw_list *trusted = &config->trusted_proxies;
	size_t len = trusted->len + options->trusted_len;

	if (options->facilitators_len) {
		for (size_t i = 0; i < config->facilitators_len; i++)
			free(config->facilitators[i]);
		for (size_t i = 0; i < options->facilitators_len; i++)
			config->facilitators[i] = copy(
				options->facilitators[i]);
		config->facilitators_len = options->facilitators_len;
	}
	if (options->trusted_len) {
		trusted->list = realloc(
			trusted->list, len * sizeof(*trusted->list));
		if (!trusted->list)
			abort();
		for (size_t i = 0; i < options->trusted_len; i++)
			trusted->list[trusted->len++] = copy(
				options->trusted[i]);
	}
	set_free(options, config);
}

static void set_upstream(
	const struct gw_options *options, struct gw_config *config)
{
	struct gw_config_upstream *first = &config->upstreams[0];

	if (!options->upstream)
		return;
	if (!config->upstreams_len) {
		gw_config_upstream_init(first);
		first->name = copy("");
		config->upstreams_len = 1;
	}
	set(&first->url, options->upstream);
}

/* The file's own checks, for what came from elsewhere. */
static enum x402_err vet(const char *section, const char *name,
	const char *option, const char *text, struct x402_errinfo *info)
{
	const struct gw_key *key = gw_key_find(section, name);

	if (!text || !key || !key->good || key->good(text))
		return X402_OK;
	x402_errinfo_set(info, "", "%s: expected %s, got %.80s", option,
		key->expected, text);
	return X402_ERR_INVALID_ARGUMENT;
}

static enum x402_err vet_all(
	const struct gw_options *options, struct x402_errinfo *info)
{
	enum x402_err err = vet(
		"upstream", "url", "--upstream", options->upstream, info);

	if (err == X402_OK)
		err = vet("", "public_origin", "--public-origin",
			options->public_origin, info);
	for (size_t i = 0; err == X402_OK && i < options->facilitators_len; i++)
		err = vet("", "facilitators", "--facilitator",
			options->facilitators[i], info);
	for (size_t i = 0; err == X402_OK && i < options->trusted_len; i++)
		err = vet("", "trusted_proxies", "--trust-proxy",
			options->trusted[i], info);
	return err;
}

static enum x402_err apply(const struct gw_options *options,
	struct x402_errinfo *info, struct gw_config *config)
{
	enum x402_err err = vet_all(options, info);

	if (err == X402_OK)
		err = set_address(
			"--listen", options->listen, info, &config->listen);
	if (err == X402_OK)
		err = set_address(
			"--admin", options->admin, info, &config->admin);
	if (err == X402_OK)
		err = set_settle(options->settle, info, config);
	if (err != X402_OK)
		return err;
	if (options->admin)
		config->has_admin = true;
	set_upstream(options, config);
	set_lists(options, config);
	set(&config->price, options->price);
	set(&config->pay_to, options->pay_to);
	set(&config->network, options->network);
	if (!config->network && !options->config_path)
		set(&config->network, NETWORK_DEFAULT);
	set(&config->public_origin, options->public_origin);
	set(&config->journal, options->journal);
	set(&config->tls_certificate, options->tls_certificate);
	set(&config->tls_key, options->tls_key);
	if (options->quiet)
		config->access_log = false;
	return X402_OK;
}

enum x402_err gw_options_config(const struct gw_options *options,
	struct x402_errinfo *info, struct gw_config **ret_config)
{
	struct gw_options given = *options;
	struct gw_config *config = gw_config_new();
	char listen[80];
	enum x402_err err = X402_OK;

	if (!config)
		abort();
	if (given.config_path) {
		err = read_config_file(given.config_path, info, config);
	} else {
		read_environment(&given);
		if (!given.listen && env("PORT")) {
			snprintf(listen, sizeof(listen), ":%.60s", env("PORT"));
			given.listen = listen;
		}
	}
	if (err == X402_OK)
		err = apply(&given, info, config);
	if (err == X402_OK)
		err = gw_config_check(config, info);
	if (err != X402_OK) {
		gw_config_free(config);
		return err;
	}
	*ret_config = config;
	return X402_OK;
}
