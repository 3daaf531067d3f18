/*
 * gateway_config.c: libconfuse reads the text, check_key() holds each value
 * against the table of gateway_keys.c while it is read, so that a line is
 * named, and fill() moves what is good into struct gw_config.
 *
 * What only several keys together can get wrong is gw_config_check()'s, which
 * is also for what came from the command line.
 */
#include "gateway_config_p.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A price list of the longest kind; more is no text that a person wrote. */
#define FILE_MAX_BYTES ((size_t)4 * 1024 * 1024)

/*
 * libconfuse takes a file that ends inside a section, or a comment, for a whole
 * one: half of a price list. So a key that exists at the top alone is put
 * behind it, and must arrive.
 */
#define END_KEY "end_of_file"

/* Entries of gw_keys, with room. */
#define KEYS_MAX 128

/* What libconfuse's callbacks, which carry no pointer of ours, write to. */
struct reading {
	const char *name;
	const struct gw_config_files *files;
	struct x402_errinfo *info;
	enum x402_err err; /* the first counts */
	/* Of each key at the top, where it stood; sections keep their own. */
	int lines[KEYS_MAX];
};
static _Thread_local struct reading *reading;

__attribute__((format(printf, 2, 3))) static void problem(
	int line, const char *fmt, ...)
{
	char text[256];
	va_list args;

	if (reading->err)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	reading->err = X402_ERR_INVALID_ARGUMENT;
	x402_errinfo_set(
		reading->info, "", "%s:%d: %s", reading->name, line, text);
}

__attribute__((format(printf, 2, 0))) static void on_problem(
	cfg_t *cfg, const char *fmt, va_list args)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, args);
	if (strstr(text, "'" END_KEY "'"))
		snprintf(text, sizeof(text), "expected }, got the end");
	problem(cfg ? cfg->line : 0, "%s", text);
}

/* Memory ran out: no line is to blame. */
static void no_memory(void)
{
	if (!reading->err)
		reading->err = X402_ERR_NOMEM;
}

/* ---- Addresses. ---- */

enum x402_err gw_address_read(const char *text, struct gw_address *ret_address)
{
	struct gw_address address = {.port = 0};
	const char *colon = strrchr(text, ':');
	const char *host = text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint8_t ip[16];
	char *end;
	long port;

	if (!colon || !colon[1] || strspn(colon + 1, "0123456789") > 5)
		return X402_ERR_SYNTAX;
	port = strtol(colon + 1, &end, 10);
	if (*end || port > UINT16_MAX || colon[1] < '0' || colon[1] > '9')
		return X402_ERR_SYNTAX;
	address.port = (uint16_t)port;
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
		if (!memchr(host, ':', len))
			return X402_ERR_SYNTAX;
	} else if (memchr(host, ':', len)) {
		return X402_ERR_SYNTAX;
	}
	if (len >= sizeof(address.host))
		return X402_ERR_SYNTAX;
	memcpy(address.host, host, len);
	if ((len || host != text) &&
		inet_pton(AF_INET, address.host, ip) != 1 &&
		inet_pton(AF_INET6, address.host, ip) != 1)
		return X402_ERR_SYNTAX;
	*ret_address = address;
	return X402_OK;
}

/* ---- Validators. ---- */

/* The top's own name in libconfuse is "root". */
static const char *section_of(cfg_t *cfg)
{
	const char *name = cfg_name(cfg);

	return strcmp(name, "root") == 0 ? "" : name;
}

static int check_number(cfg_t *cfg, cfg_opt_t *opt, const struct gw_key *key)
{
	long value = cfg_opt_getnint(opt, cfg_opt_size(opt) - 1);

	if (value >= key->min && value <= key->max)
		return 0;
	cfg_error(cfg, "%s: expected a number from %ld to %ld, got %ld",
		key->name, key->min, key->max, value);
	return -1;
}

static int check_text(cfg_t *cfg, cfg_opt_t *opt, const struct gw_key *key)
{
	const char *text = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);

	if (cfg_opt_size(opt) > GW_LIST_MAX) {
		cfg_error(cfg, "%s: expected at most %d entries, got more",
			key->name, GW_LIST_MAX);
		return -1;
	}
	if (text && key->good(text))
		return 0;
	if (key->secret)
		cfg_error(cfg, "%s: expected %s, in entry %u", key->name,
			key->expected, cfg_opt_size(opt));
	else
		cfg_error(cfg, "%s: expected %s, got \"%.60s\"", key->name,
			key->expected, text ? text : "");
	return -1;
}

static int check_key(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct gw_key *key = gw_key_find(
		section_of(cfg), cfg_opt_name(opt));

	if (!key)
		return 0;
	reading->lines[key - gw_keys] = cfg->line;
	switch (key->kind) {
	case GW_KEY_U32:
	case GW_KEY_U64:
		return check_number(cfg, opt, key);
	case GW_KEY_FLAG:
		return 0;
	case GW_KEY_TEXT:
	case GW_KEY_LIST:
	case GW_KEY_FILE:
	case GW_KEY_OTHER:
	case GW_KEY_OTHERS:
		break;
	}
	return check_text(cfg, opt, key);
}

/* ---- libconfuse's options, from the table. ---- */

/* Keys of one section, its sections, and the end. */
#define OPTIONS_MAX 48

static cfg_opt_t option_of(const struct gw_key *key)
{
	switch (key->kind) {
	case GW_KEY_LIST:
	case GW_KEY_OTHERS:
		return (cfg_opt_t)CFG_STR_LIST(key->name, NULL, CFGF_NODEFAULT);
	case GW_KEY_U32:
	case GW_KEY_U64:
		return (cfg_opt_t)CFG_INT(key->name, 0, CFGF_NODEFAULT);
	case GW_KEY_FLAG:
		return (cfg_opt_t)CFG_BOOL(
			key->name, cfg_false, CFGF_NODEFAULT);
	case GW_KEY_TEXT:
	case GW_KEY_FILE:
	case GW_KEY_OTHER:
		break;
	}
	return (cfg_opt_t)CFG_STR(key->name, NULL, CFGF_NODEFAULT);
}

/* The end must be set by the caller, behind *len. */
static void add_options(
	cfg_opt_t options[OPTIONS_MAX], size_t *len, const char *section)
{
	*len = 0;
	for (size_t i = 0; i < gw_keys_len; i++) {
		if (strcmp(gw_keys[i].section, section) != 0)
			continue;
		options[*len] = option_of(&gw_keys[i]);
		options[(*len)++].validcb = check_key;
	}
	options[*len] = (cfg_opt_t)CFG_END();
}

static void add_section(cfg_opt_t options[OPTIONS_MAX], size_t *len,
	const char *name, cfg_opt_t *inner, int flags)
{
	options[(*len)++] = (cfg_opt_t)CFG_SEC(name, inner, CFGF_MULTI | flags);
	options[*len] = (cfg_opt_t)CFG_END();
}

static cfg_t *make_reader(void)
{
	/* cfg_init copies them. */
	cfg_opt_t top[OPTIONS_MAX], upstream[OPTIONS_MAX], oauth[OPTIONS_MAX],
		route[OPTIONS_MAX], holder[OPTIONS_MAX], crawler[OPTIONS_MAX],
		by_address[OPTIONS_MAX], by_key[OPTIONS_MAX];
	size_t len;
	cfg_t *cfg;

	add_options(oauth, &len, "oauth");
	add_options(holder, &len, "holder");
	add_options(crawler, &len, "crawler");
	add_options(by_address, &len, "rate_address");
	add_options(by_key, &len, "rate_key");
	add_options(upstream, &len, "upstream");
	add_section(upstream, &len, "oauth", oauth, CFGF_NONE);
	add_options(route, &len, "route");
	add_section(route, &len, "holder", holder, CFGF_NONE);
	add_options(top, &len, "");
	top[len++] = (cfg_opt_t)CFG_BOOL(END_KEY, cfg_false, CFGF_NODEFAULT);
	add_section(top, &len, "upstream", upstream,
		CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	add_section(
		top, &len, "route", route, CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	add_section(top, &len, "crawler", crawler,
		CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	add_section(top, &len, "rate_address", by_address, CFGF_NONE);
	add_section(top, &len, "rate_key", by_key, CFGF_NONE);
	cfg = cfg_init(top, CFGF_NONE);
	if (cfg)
		cfg_set_error_function(cfg, on_problem);
	return cfg;
}

/* ---- From libconfuse into our structs. ---- */

static void set_text(char **place, const char *text)
{
	free(*place);
	/* "" is none. */
	*place = *text ? strdup(text) : NULL;
	if (*text && !*place)
		no_memory();
}

static void read_secret(int line, const char *path, char **place)
{
	struct x402_errinfo why = {.text = ""};
	char *text = reading->files && reading->files->read_secret
		? reading->files->read_secret(reading->files->user, path, &why)
		: NULL;

	if (*place)
		x402_wipe(*place, strlen(*place));
	free(*place);
	*place = text;
	if (!text)
		problem(line, "%.100s: %.100s", path,
			why.text[0] ? why.text : "cannot be read");
}

static void set_list(cfg_t *cfg, const char *name, struct gw_list *list)
{
	unsigned len = cfg_size(cfg, name);

	list->list = calloc(len + 1, sizeof(*list->list));
	if (!list->list) {
		no_memory();
		return;
	}
	for (unsigned i = 0; i < len; i++) {
		list->list[i] = strdup(cfg_getnstr(cfg, name, i));
		if (!list->list[i])
			no_memory();
		list->len++;
	}
}

static void set_member(cfg_t *cfg, const struct gw_key *key, void *place)
{
	uint32_t small;
	uint64_t large;
	bool flag;

	switch (key->kind) {
	case GW_KEY_TEXT:
		set_text(place, cfg_getstr(cfg, key->name));
		return;
	case GW_KEY_FILE:
		read_secret(*key->section ? cfg->line
					  : reading->lines[key - gw_keys],
			cfg_getstr(cfg, key->name), place);
		return;
	case GW_KEY_LIST:
		set_list(cfg, key->name, place);
		return;
	case GW_KEY_U32:
		small = (uint32_t)cfg_getint(cfg, key->name);
		memcpy(place, &small, sizeof(small));
		return;
	case GW_KEY_U64:
		large = (uint64_t)cfg_getint(cfg, key->name);
		memcpy(place, &large, sizeof(large));
		return;
	case GW_KEY_FLAG:
		flag = cfg_getbool(cfg, key->name);
		memcpy(place, &flag, sizeof(flag));
		return;
	case GW_KEY_OTHER:
	case GW_KEY_OTHERS:
		return;
	}
}

/* All of a section that the table knows. */
static void fill_members(cfg_t *cfg, const char *section, void *base)
{
	for (size_t i = 0; i < gw_keys_len; i++)
		if (strcmp(gw_keys[i].section, section) == 0 &&
			cfg_size(cfg, gw_keys[i].name) > 0)
			set_member(cfg, &gw_keys[i],
				(char *)base + gw_keys[i].offset);
}

static void clear_members(const char *section, void *base)
{
	for (size_t i = 0; i < gw_keys_len; i++) {
		char **text =
			(char **)(void *)((char *)base + gw_keys[i].offset);
		struct gw_list *list = (struct gw_list *)(void *)text;

		if (strcmp(gw_keys[i].section, section) != 0)
			continue;
		if (gw_keys[i].kind == GW_KEY_FILE && *text)
			x402_wipe(*text, strlen(*text));
		if (gw_keys[i].kind == GW_KEY_FILE ||
			gw_keys[i].kind == GW_KEY_TEXT)
			free(*text);
		if (gw_keys[i].kind != GW_KEY_LIST)
			continue;
		for (size_t j = 0; j < list->len; j++)
			free(list->list[j]);
		free(list->list);
	}
}

/* A text that OTHER keys have, NULL when it is not given. */
static const char *other(cfg_t *cfg, const char *name)
{
	return cfg_size(cfg, name) ? cfg_getstr(cfg, name) : NULL;
}

static void add_header(cfg_t *cfg, struct gw_config_upstream *upstream,
	const char *line, const char *path)
{
	char **place = &upstream->headers[upstream->headers_len];

	if (upstream->headers_len == GW_UPSTREAM_HEADERS_MAX) {
		problem(cfg->line,
			"upstream \"%.60s\": expected at most %d headers",
			upstream->name, GW_UPSTREAM_HEADERS_MAX);
		return;
	}
	if (line)
		set_text(place, line);
	else
		read_secret(cfg->line, path, place);
	if (!*place)
		return;
	upstream->headers_len++;
	/* What a file holds was not seen by the validator. */
	if (path && !gw_header_good(*place))
		problem(cfg->line,
			"%.100s: expected \"Name: value\" with a name that is "
			"not the gateway's own",
			path);
}

static void fill_upstream(cfg_t *cfg, struct gw_config_upstream *upstream)
{
	gw_config_upstream_init(upstream);
	upstream->line = cfg->line;
	set_text(&upstream->name, cfg_title(cfg));
	if (!upstream->name)
		problem(cfg->line, "upstream: expected a title, got \"\"");
	fill_members(cfg, "upstream", upstream);
	for (unsigned i = 0; i < cfg_size(cfg, "headers"); i++)
		add_header(cfg, upstream, cfg_getnstr(cfg, "headers", i), NULL);
	for (unsigned i = 0; i < cfg_size(cfg, "header_files"); i++)
		add_header(cfg, upstream, NULL,
			cfg_getnstr(cfg, "header_files", i));
	if (cfg_size(cfg, "oauth") > 1)
		problem(cfg->line, "upstream: expected one oauth section");
	else if (cfg_size(cfg, "oauth"))
		fill_members(cfg_getnsec(cfg, "oauth", 0), "oauth",
			&upstream->oauth);
}

static void fill_route(cfg_t *cfg, struct gw_config_route *route)
{
	const char *settle = other(cfg, "settle");
	const char *scope = other(cfg, "pass_scope");
	const char *identifier = other(cfg, "identifier");
	unsigned holders = cfg_size(cfg, "holder");

	route->line = cfg->line;
	set_text(&route->pattern, cfg_title(cfg));
	fill_members(cfg, "route", route);
	/* The validators have seen them. */
	route->has_settle = settle && gw_settle_read(settle, &route->settle);
	if (scope)
		(void)gw_scope_read(scope, &route->pass_scope);
	if (identifier)
		(void)gw_identifier_read(identifier, &route->identifier);
	if (holders > GW_HOLDERS_MAX) {
		problem(cfg->line, "route: expected at most %d holders, got %u",
			GW_HOLDERS_MAX, holders);
		return;
	}
	for (unsigned i = 0; i < holders; i++)
		fill_members(cfg_getnsec(cfg, "holder", i), "holder",
			&route->holders[route->holders_len++]);
}

static void fill_crawler(cfg_t *cfg, struct gw_config_crawler *crawler)
{
	const char *policy = other(cfg, "policy");

	crawler->line = cfg->line;
	set_text(&crawler->user_agent, cfg_title(cfg));
	fill_members(cfg, "crawler", crawler);
	if (policy)
		(void)gw_policy_read(policy, &crawler->policy);
}

static void fill_rate(cfg_t *cfg, const char *name, struct gw_config_rate *rate)
{
	cfg_t *section;

	if (!cfg_size(cfg, name))
		return;
	section = cfg_getnsec(cfg, name, 0);
	if (cfg_size(cfg, name) > 1)
		problem(section->line, "expected one %s section", name);
	fill_members(section, name, rate);
	if (!rate->requests || !rate->window_s)
		problem(section->line,
			"%s: expected requests and window_s, both", name);
}

static void fill_facilitators(cfg_t *cfg, struct gw_config *config)
{
	unsigned len = cfg_size(cfg, "facilitators");

	if (len > X402_PROVIDER_FACILITATORS_MAX) {
		problem(reading->lines[gw_key_find("", "facilitators") -
				gw_keys],
			"facilitators: expected at most %d, got %u",
			X402_PROVIDER_FACILITATORS_MAX, len);
		return;
	}
	for (unsigned i = 0; i < len; i++)
		set_text(&config->facilitators[config->facilitators_len++],
			cfg_getnstr(cfg, "facilitators", i));
}

/* How many there are; 0 after saying that there are too many. */
static unsigned count(cfg_t *cfg, const char *name, unsigned max)
{
	unsigned len = cfg_size(cfg, name);

	if (len <= max)
		return len;
	problem(cfg->line, "%s: expected at most %u sections, got %u", name,
		max, len);
	return 0;
}

static void fill_sections(cfg_t *cfg, struct gw_config *config)
{
	unsigned upstreams = count(cfg, "upstream",
		GW_UPSTREAMS_MAX - (unsigned)config->upstreams_len);
	unsigned routes = count(cfg, "route", X402_PROVIDER_ROUTES_MAX);
	unsigned crawlers = count(cfg, "crawler", GW_CRAWLERS_MAX);

	config->routes = calloc(routes + 1, sizeof(*config->routes));
	config->crawlers = calloc(crawlers + 1, sizeof(*config->crawlers));
	if (!config->routes || !config->crawlers) {
		no_memory();
		return;
	}
	for (unsigned i = 0; i < upstreams; i++)
		fill_upstream(cfg_getnsec(cfg, "upstream", i),
			&config->upstreams[config->upstreams_len++]);
	for (unsigned i = 0; i < routes; i++)
		fill_route(cfg_getnsec(cfg, "route", i),
			&config->routes[config->routes_len++]);
	for (unsigned i = 0; i < crawlers; i++)
		fill_crawler(cfg_getnsec(cfg, "crawler", i),
			&config->crawlers[config->crawlers_len++]);
}

static void fill(cfg_t *cfg, struct gw_config *config)
{
	const char *listen = other(cfg, "listen");
	const char *admin = other(cfg, "admin_listen");
	const char *settle = other(cfg, "settle");

	fill_members(cfg, "", config);
	if (listen)
		(void)!gw_address_read(listen, &config->listen);
	if (admin)
		config->has_admin = *admin &&
			gw_address_read(admin, &config->admin) == X402_OK;
	if (settle)
		(void)gw_settle_read(settle, &config->settle);
	fill_facilitators(cfg, config);
	fill_sections(cfg, config);
	fill_rate(cfg, "rate_address", &config->rate_address);
	fill_rate(cfg, "rate_key", &config->rate_key);
	if (cfg_size(cfg, "rate_key")) {
		cfg_t *section = cfg_getnsec(cfg, "rate_key", 0);
		const char *header = other(section, "header");

		set_text(&config->rate_key_header, header ? header : "");
		if (!header)
			problem(section->line, "rate_key: expected header");
	}
}

static void read_with(cfg_t *cfg, const char *text, struct gw_config *config)
{
	struct x402_buf whole = {0};
	char *copy;

	x402_buf_add_str(&whole, text);
	x402_buf_add_str(&whole, "\n" END_KEY " = true\n");
	copy = x402_buf_take_str(&whole);
	if (!copy) {
		no_memory();
		return;
	}
	if (cfg_parse_buf(cfg, copy) != CFG_SUCCESS)
		problem(cfg->line, "malformed");
	else if (!cfg_size(cfg, END_KEY))
		problem(cfg->line, "expected the end of a comment or section");
	else
		fill(cfg, config);
	free(copy);
}

enum x402_err gw_config_read(const char *name, const char *text,
	const struct gw_config_files *files, struct x402_errinfo *info,
	struct gw_config *config)
{
	struct reading now = {
		.name = name, .files = files, .info = info, .err = X402_OK};
	cfg_t *cfg;

	if (config->routes || strlen(text) > FILE_MAX_BYTES) {
		x402_errinfo_set(info, "",
			"%s:1: expected one file of at most %u MB", name,
			(unsigned)(FILE_MAX_BYTES >> 20));
		return X402_ERR_INVALID_ARGUMENT;
	}
	cfg = make_reader();
	config->source = strdup(name);
	if (!cfg || !config->source) {
		cfg_free(cfg);
		return X402_ERR_NOMEM;
	}
	reading = &now;
	read_with(cfg, text, config);
	cfg_free(cfg);
	reading = NULL;
	return now.err;
}

/* ---- Made and freed. ---- */

void gw_config_upstream_init(struct gw_config_upstream *upstream)
{
	memset(upstream, 0, sizeof(*upstream));
	upstream->oauth.early_s = 60;
	upstream->connect_timeout_ms = 5000;
	upstream->header_timeout_ms = 60000;
	upstream->idle_timeout_ms = 60000;
	upstream->connections_max = 128;
	upstream->health_interval_ms = 5000;
	upstream->health_timeout_ms = 2000;
	upstream->breaker_failures = 5;
	upstream->breaker_open_ms = 10000;
}

struct gw_config *gw_config_new(void)
{
	struct gw_config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	(void)!gw_address_read("127.0.0.1:8402", &config->listen);
	(void)!gw_address_read("127.0.0.1:9402", &config->admin);
	config->settle = X402_PROVIDER_SETTLE_AFTER;
	config->v1 = true;
	config->page = true;
	config->connections_max = 4096;
	config->body_max = (uint64_t)1 << 30;
	config->headers_timeout_ms = 10000;
	config->body_timeout_ms = 30000;
	config->idle_timeout_ms = 60000;
	config->write_timeout_ms = 30000;
	config->drain_timeout_ms = 30000;
	config->verify_timeout_ms = 10000;
	config->settle_timeout_ms = 30000;
	config->access_log = true;
	config->manifest = true;
	return config;
}

static void clear_upstream(struct gw_config_upstream *upstream)
{
	for (size_t i = 0; i < upstream->headers_len; i++) {
		x402_wipe(upstream->headers[i], strlen(upstream->headers[i]));
		free(upstream->headers[i]);
	}
	free(upstream->name);
	clear_members("oauth", &upstream->oauth);
	clear_members("upstream", upstream);
}

static void clear_route(struct gw_config_route *route)
{
	for (size_t i = 0; i < route->holders_len; i++)
		clear_members("holder", &route->holders[i]);
	free(route->pattern);
	clear_members("route", route);
}

void gw_config_free(struct gw_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->upstreams_len; i++)
		clear_upstream(&config->upstreams[i]);
	for (size_t i = 0; i < config->routes_len; i++)
		clear_route(&config->routes[i]);
	for (size_t i = 0; i < config->crawlers_len; i++) {
		free(config->crawlers[i].user_agent);
		clear_members("crawler", &config->crawlers[i]);
	}
	for (size_t i = 0; i < config->facilitators_len; i++)
		free(config->facilitators[i]);
	free(config->routes);
	free(config->crawlers);
	free(config->rate_key_header);
	free(config->source);
	clear_members("", config);
	free(config);
}
