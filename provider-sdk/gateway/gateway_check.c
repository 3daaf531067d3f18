/*
 * gateway_check.c: what only the whole configuration can show, whether it came
 * from a file or from the command line. Each finding names the section.
 */
#include "gateway_config.h"

#include <stdarg.h>
#include <stdio.h>

/* One finding: "file:line: " where there is a file, what, and the text. */
__attribute__((format(printf, 4, 5))) static bool bad(
	const struct gw_config *config, int line, struct x402_errinfo *info,
	const char *fmt, ...)
{
	char where[160] = "";
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (config->source && line)
		snprintf(where, sizeof(where), "%.100s:%d: ", config->source,
			line);
	else if (config->source)
		snprintf(where, sizeof(where), "%.100s: ", config->source);
	x402_errinfo_set(info, "", "%s%s", where, text);
	return false;
}

static const struct gw_config_upstream *find_upstream(
	const struct gw_config *config, const char *name)
{
	for (size_t i = 0; i < config->upstreams_len; i++)
		if (config->upstreams[i].name &&
			strcmp(config->upstreams[i].name, name) == 0)
			return &config->upstreams[i];
	return NULL;
}

static bool upstream_ok(const struct gw_config *config,
	const struct gw_config_upstream *upstream, struct x402_errinfo *info)
{
	const struct gw_config_oauth *oauth = &upstream->oauth;
	const char *name = upstream->name ? upstream->name : "";

	if (!upstream->url)
		return bad(config, upstream->line, info,
			"upstream \"%.40s\": url is missing", name);
	if ((oauth->token_url || oauth->client_id || oauth->client_secret) &&
		!(oauth->token_url && oauth->client_id && oauth->client_secret))
		return bad(config, upstream->line, info,
			"upstream \"%.40s\": oauth: expected token_url, "
			"client_id and client_secret_file, all three",
			name);
	return true;
}

static bool price_ok(const struct gw_config *config,
	const struct gw_config_route *route, struct x402_errinfo *info)
{
	const char *name = route->pattern ? route->pattern : "";

	if (route->price && route->amount)
		return bad(config, route->line, info,
			"route \"%.60s\": expected price or amount, got both",
			name);
	if (!route->price && !route->amount && !config->price)
		return bad(config, route->line, info,
			"route \"%.60s\": expected price, or free = true",
			name);
	if (!route->amount != !route->asset)
		return bad(config, route->line, info,
			"route \"%.60s\": expected amount and asset, both",
			name);
	if (!route->network && !config->network)
		return bad(config, route->line, info,
			"route \"%.60s\": network is missing", name);
	if (!route->pay_to && !config->pay_to)
		return bad(config, route->line, info,
			"route \"%.60s\": pay_to is missing: nobody would be "
			"paid",
			name);
	return true;
}

static bool route_ok(const struct gw_config *config,
	const struct gw_config_route *route, struct x402_errinfo *info)
{
	const char *name = route->pattern ? route->pattern : "";

	if (route->upstream && !find_upstream(config, route->upstream))
		return bad(config, route->line, info,
			"route \"%.60s\": no upstream section \"%.40s\"", name,
			route->upstream);
	for (size_t i = 0; i < route->holders_len; i++)
		if (!route->holders[i].rpc_url || !route->holders[i].token)
			return bad(config, route->line, info,
				"route \"%.60s\": holder: expected rpc_url and "
				"token, both",
				name);
	if (!route->free)
		return price_ok(config, route, info);
	/* One of the two is a mistake, and one of them gives it away. */
	if (route->price || route->amount)
		return bad(config, route->line, info,
			"route \"%.60s\": expected a price or free = true, got "
			"both",
			name);
	return true;
}

static bool top_ok(const struct gw_config *config, struct x402_errinfo *info)
{
	if (!config->upstreams_len)
		return bad(config, 0, info,
			"expected an upstream section, or --upstream URL");
	if (!config->routes_len && !config->price)
		return bad(config, 0, info,
			"expected price or a route section: nothing would be "
			"sold");
	if (config->price && (!config->network || !config->pay_to))
		return bad(config, 0, info,
			"price: expected network and pay_to beside it");
	if (!config->tls_certificate != !config->tls_key)
		return bad(config, 0, info,
			"expected tls_certificate and tls_key, both");
	if (config->facilitator_authorization && !config->facilitators_len)
		return bad(config, 0, info,
			"facilitator_authorization_file: expected facilitators "
			"beside it");
	return true;
}

enum x402_err gw_config_check(
	const struct gw_config *config, struct x402_errinfo *info)
{
	if (!top_ok(config, info))
		return X402_ERR_INVALID_ARGUMENT;
	for (size_t i = 0; i < config->upstreams_len; i++)
		if (!upstream_ok(config, &config->upstreams[i], info))
			return X402_ERR_INVALID_ARGUMENT;
	for (size_t i = 0; i < config->routes_len; i++)
		if (!route_ok(config, &config->routes[i], info))
			return X402_ERR_INVALID_ARGUMENT;
	return X402_OK;
}

void gw_config_locate(const struct gw_config *config, struct x402_errinfo *info)
{
	char text[256];
	char what[120];
	unsigned n;
	int line = 0;

	if (sscanf(info->field, "routes[%u]", &n) == 1 &&
		n < config->routes_len) {
		line = config->routes[n].line;
		snprintf(what, sizeof(what), "route \"%.60s\"",
			config->routes[n].pattern);
	} else if (sscanf(info->field, "crawlers[%u]", &n) == 1 &&
		n < config->crawlers_len) {
		line = config->crawlers[n].line;
		snprintf(what, sizeof(what), "crawler \"%.60s\"",
			config->crawlers[n].user_agent);
	} else if (sscanf(info->field, "routes[%u]", &n) == 1 &&
		n == config->routes_len) {
		what[0] = '\0'; /* the top's own price, under no route */
	} else {
		snprintf(what, sizeof(what), "%.96s", info->field);
	}
	snprintf(text, sizeof(text), "%s", info->text);
	(void)bad(config, line, info, "%s%s%.180s", what, *what ? ": " : "",
		text);
}
