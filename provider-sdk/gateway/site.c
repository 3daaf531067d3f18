/*
 * site.c: a configuration into a price list. The n-th route of the file is the
 * n-th of the price list; where there is a price for everything else, a last
 * route of ours, "any path", carries it.
 */
#include "site.h"

#include <stdlib.h>
#include <sys/random.h>

#define ANY_PATH "/*"

struct price_list {
	struct x402_provider_route *routes;
	struct x402_provider_price *prices; /* one for each */
	struct x402_provider_holder (*holders)[GW_HOLDERS_MAX]; /* likewise */
	struct x402_provider_crawler *crawlers;
	struct x402_provider_rpc *rpcs;
	size_t len;
};

static const char *or_default(const char *value, const char *fallback)
{
	return value ? value : fallback;
}

static void list_holders(const struct gw_config_route *from,
	struct x402_provider_holder *holders, struct x402_provider_route *route)
{
	for (size_t i = 0; i < from->holders_len; i++) {
		holders[i].rpc_url = from->holders[i].rpc_url;
		holders[i].token = from->holders[i].token;
		holders[i].min = from->holders[i].min;
		holders[i].price = from->holders[i].price;
	}
	route->holders = holders;
	route->holders_len = from->holders_len;
}

static void list_route(const struct gw_config *config,
	const struct gw_config_route *from, struct x402_provider_route *route,
	struct x402_provider_price *price)
{
	price->scheme = from->scheme;
	price->network = or_default(from->network, config->network);
	price->pay_to = or_default(from->pay_to, config->pay_to);
	price->amount = from->amount;
	price->asset = from->asset;
	price->extra_json = from->extra_json;
	if (!from->amount)
		price->price = or_default(from->price, config->price);
	route->pattern = from->pattern;
	route->prices = price;
	route->prices_len = from->free ? 0 : 1;
	route->description = from->description;
	route->mime_type = from->mime_type;
	route->settle = from->has_settle ? from->settle : config->settle;
	route->pass_s = from->pass_s;
	route->pass_uses = from->pass_uses;
	route->siwx_s = from->siwx_s;
	route->pass_scope = from->pass_scope;
	route->free_per_day = from->free_per_day;
	route->crawlers_only = from->crawlers_only;
	route->identifier = from->identifier;
}

static void list_crawlers(
	const struct gw_config *config, struct x402_provider_crawler *crawlers)
{
	for (size_t i = 0; i < config->crawlers_len; i++) {
		const struct gw_config_crawler *from = &config->crawlers[i];

		crawlers[i].user_agent = from->user_agent;
		crawlers[i].policy = from->policy;
		crawlers[i].networks = (const char *const *)from->networks.list;
		crawlers[i].networks_len = from->networks.len;
		crawlers[i].hosts = (const char *const *)from->hosts.list;
		crawlers[i].hosts_len = from->hosts.len;
		crawlers[i].directory = from->directory;
	}
}

static void list_rest(const struct gw_config *config,
	struct x402_provider_route *route, struct x402_provider_price *price)
{
	price->network = config->network;
	price->pay_to = config->pay_to;
	price->price = config->price;
	route->pattern = ANY_PATH;
	route->prices = price;
	route->prices_len = 1;
	route->settle = config->settle;
}

/* "network=url", cut in two; the networks are the list's to free. */
static bool list_rpcs(
	const struct gw_config *config, struct x402_provider_rpc *rpcs)
{
	for (size_t i = 0; i < config->rpcs.len; i++) {
		const char *text = config->rpcs.list[i];
		size_t len = strcspn(text, "=");

		rpcs[i].network = strndup(text, len);
		rpcs[i].url = text + len + (text[len] == '=');
		if (!rpcs[i].network)
			return false;
	}
	return true;
}

static void price_list_clear(
	const struct gw_config *config, struct price_list *list)
{
	for (size_t i = 0; list->rpcs && i < config->rpcs.len; i++)
		free((char *)(uintptr_t)list->rpcs[i].network);
	free(list->rpcs);
	free(list->routes);
	free(list->prices);
	free(list->holders);
	free(list->crawlers);
}

static enum x402_err list_prices(
	const struct gw_config *config, struct price_list *list)
{
	size_t len = config->routes_len + 1;

	list->routes = calloc(len, sizeof(*list->routes));
	list->prices = calloc(len, sizeof(*list->prices));
	list->holders = calloc(len, sizeof(*list->holders));
	list->crawlers = calloc(
		config->crawlers_len + 1, sizeof(*list->crawlers));
	list->rpcs = calloc(config->rpcs.len + 1, sizeof(*list->rpcs));
	if (!list->routes || !list->prices || !list->holders ||
		!list->crawlers || !list->rpcs ||
		!list_rpcs(config, list->rpcs))
		return X402_ERR_NOMEM;
	for (size_t i = 0; i < config->routes_len; i++) {
		list_route(config, &config->routes[i], &list->routes[i],
			&list->prices[i]);
		list_holders(
			&config->routes[i], list->holders[i], &list->routes[i]);
	}
	list_crawlers(config, list->crawlers);
	list->len = config->routes_len;
	if (config->price) {
		list_rest(config, &list->routes[list->len],
			&list->prices[list->len]);
		list->len++;
	}
	/* P-131: only where v1 has a name for the network. */
	for (size_t i = 0; i < list->len; i++)
		list->routes[i].v1 = config->v1 &&
			list->routes[i].prices_len > 0 &&
			list->prices[i].network &&
			x402_network_to_v1_name(list->prices[i].network);
	return X402_OK;
}

static enum x402_err make_provider(struct gw_site *site,
	const struct gw_site_options *options, struct x402_errinfo *info)
{
	const struct gw_config *config = site->config;
	const struct x402_provider_page page = {
		.name = config->page_name, .accent = config->page_accent};
	struct x402_provider_facilitator
		facilitators[X402_PROVIDER_FACILITATORS_MAX] = {{0}};
	struct price_list list = {0};
	struct x402_provider_options provider = X402_PROVIDER_OPTIONS_INIT;
	enum x402_err err = list_prices(config, &list);

	for (size_t i = 0; i < config->facilitators_len; i++)
		facilitators[i].url = config->facilitators[i];
	if (config->facilitators_len) {
		facilitators[0].authorization =
			config->facilitator_authorization;
		provider.facilitators = facilitators;
		provider.facilitators_len = config->facilitators_len;
	}
	provider.public_origin = config->public_origin;
	provider.trust_host = !config->public_origin;
	provider.trusted_proxies =
		(const char *const *)config->trusted_proxies.list;
	provider.trusted_proxies_len = config->trusted_proxies.len;
	provider.routes = list.routes;
	provider.routes_len = list.len;
	provider.crawlers = list.crawlers;
	provider.crawlers_len = config->crawlers_len;
	provider.rpcs = list.rpcs;
	provider.rpcs_len = config->rpcs.len;
	if (config->cors_origin && *config->cors_origin)
		provider.cors_origin = config->cors_origin;
	provider.page = config->page ? &page : NULL;
	provider.verify_timeout_ms = config->verify_timeout_ms;
	provider.settle_timeout_ms = config->settle_timeout_ms;
	provider.memory = options->memory;
	provider.hooks.event = options->event;
	provider.hooks.user = options->user;
	if (err == X402_OK)
		err = x402_provider_new(&provider, info, &site->provider);
	if (err == X402_ERR_INVALID_ARGUMENT)
		gw_config_locate(config, info);
	price_list_clear(config, &list);
	return err;
}

/* ---- The site. ---- */

static bool add_notice(
	struct gw_site *site, const char *path, const char *type, char *text)
{
	struct gw_notice *notice = &site->notices[site->notices_len++];

	notice->path = path;
	notice->type = type;
	notice->text = text;
	return text != NULL;
}

static enum x402_err make_notices(struct gw_site *site)
{
	static const char json[] = "application/json";
	const struct gw_config *config = site->config;
	bool good = true;

	if (config->manifest)
		good = add_notice(site, "/.well-known/x402", json,
			       x402_provider_well_known(site->provider)) &&
			add_notice(site, "/openapi.json", json,
				x402_provider_openapi(site->provider,
					config->page_name ? config->page_name
							  : "x402"));
	if (good && config->robots)
		good = add_notice(site, "/robots.txt",
			"text/plain; charset=utf-8",
			x402_provider_robots(site->provider));
	return good ? X402_OK : X402_ERR_NOMEM;
}

/* The price list's patterns, as metrics name them. */
static enum x402_err make_metrics(struct gw_site *site)
{
	const struct gw_config *config = site->config;
	const char **patterns = calloc(
		config->routes_len + 1, sizeof(*patterns));
	size_t len = x402_provider_routes_len(site->provider);

	if (!patterns)
		return X402_ERR_NOMEM;
	for (size_t i = 0; i < len; i++)
		patterns[i] = i < config->routes_len ? config->routes[i].pattern
						     : ANY_PATH;
	site->metrics = gw_metrics_new(patterns, len);
	free(patterns);
	return site->metrics ? X402_OK : X402_ERR_NOMEM;
}

static enum x402_err make_rate(
	const struct gw_config_rate *config, struct gw_rate **ret_rate)
{
	struct gw_rate_options options = {
		.requests = config->requests,
		.window_ms = config->window_s * 1000,
	};

	if (!config->requests)
		return X402_OK;
	if (getrandom(options.secret32, sizeof(options.secret32), 0) !=
		sizeof(options.secret32))
		return X402_ERR_INTERNAL;
	return gw_rate_new(&options, ret_rate);
}

static enum x402_err open_site(struct gw_site *site,
	const struct gw_site_options *options, struct x402_errinfo *info)
{
	struct gw_config *config = site->config;
	enum x402_err err = gw_config_check(config, info);

	if (err == X402_OK)
		err = x402__networks_read(
			(const char *const *)config->trusted_proxies.list,
			config->trusted_proxies.len, info, &site->proxies);
	if (err == X402_OK && config->tls_certificate)
		err = gw_tls_new(config->tls_certificate, config->tls_key, info,
			&site->tls);
	if (err == X402_OK)
		err = make_provider(site, options, info);
	if (err == X402_OK)
		err = x402__resolver_new(
			options->loop, config->resolver, &site->resolver);
	if (err == X402_OK)
		err = make_notices(site);
	if (err == X402_OK)
		err = make_metrics(site);
	if (err == X402_OK)
		err = make_rate(&config->rate_address, &site->by_address);
	if (err == X402_OK)
		err = make_rate(&config->rate_key, &site->by_key);
	for (size_t i = 0; err == X402_OK && i < config->upstreams_len; i++) {
		site->origins_len = i + 1; /* also a half-open one is closed */
		err = gw_origin_open(&config->upstreams[i], options->loop, info,
			&site->origins[i]);
	}
	return err;
}

enum x402_err gw_site_new_take(struct gw_config *config,
	const struct gw_site_options *options, struct x402_errinfo *info,
	struct gw_site **ret_site)
{
	struct gw_site *site = calloc(1, sizeof(*site));
	enum x402_err err;

	if (!site) {
		gw_config_free(config);
		return X402_ERR_NOMEM;
	}
	site->refs = 1;
	site->config = config;
	err = open_site(site, options, info);
	if (err != X402_OK) {
		gw_site_unref(site);
		return err;
	}
	*ret_site = site;
	return X402_OK;
}

struct gw_site *gw_site_ref(struct gw_site *site)
{
	site->refs++;
	return site;
}

void gw_site_unref(struct gw_site *site)
{
	if (!site || --site->refs > 0)
		return;
	for (size_t i = 0; i < site->origins_len; i++)
		gw_origin_close(&site->origins[i]);
	for (size_t i = 0; i < site->notices_len; i++)
		free(site->notices[i].text);
	x402__resolver_close(site->resolver);
	x402_provider_free(site->provider);
	gw_metrics_free(site->metrics);
	gw_rate_free(site->by_address);
	gw_rate_free(site->by_key);
	x402__networks_clear(&site->proxies);
	gw_tls_unref(site->tls);
	gw_config_free(site->config);
	free(site);
}

const struct gw_config_route *gw_site_route(
	const struct gw_site *site, size_t route)
{
	return route < site->config->routes_len ? &site->config->routes[route]
						: NULL;
}

bool gw_site_serves(const struct gw_site *site, size_t route)
{
	return route < x402_provider_routes_len(site->provider);
}

bool gw_site_settles_first(const struct gw_site *site, size_t route)
{
	const struct gw_config_route *from = gw_site_route(site, route);

	return (from && from->has_settle ? from->settle
					 : site->config->settle) ==
		X402_PROVIDER_SETTLE_BEFORE;
}

const struct gw_notice *gw_site_notice(
	const struct gw_site *site, const char *path)
{
	for (size_t i = 0; i < site->notices_len; i++)
		if (strcmp(site->notices[i].path, path) == 0)
			return &site->notices[i];
	return NULL;
}

struct gw_origin *gw_site_origin(struct gw_site *site, size_t route)
{
	const struct gw_config_route *from = gw_site_route(site, route);

	for (size_t i = 0; from && from->upstream && i < site->origins_len; i++)
		if (strcmp(site->origins[i].config->name, from->upstream) == 0)
			return &site->origins[i];
	/* gw_config_check has seen that every name is an upstream's. */
	return &site->origins[0];
}
