/*
 * manifest.c: the price list for machines that look before they ask: an
 * OpenAPI document with x-payment-info, /.well-known/x402, and lines for
 * robots.txt. All from the routes themselves, so they cannot say anything else.
 */
#include "crawler_p.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* "/articles/[slug]" and "/api/:id" as OpenAPI writes them: {slug}. */
static void add_path(struct x402_buf *buf, const char *path)
{
	for (; *path; path++) {
		size_t len;

		if (*path == '[') {
			len = strcspn(path + 1, "]");
			x402_buf_add_byte(buf, '{');
			x402_buf_add(buf, x402_span(path + 1, len));
			x402_buf_add_byte(buf, '}');
			path += len + 1;
		} else if (*path == ':' && path[1] && buf->len > 0 &&
			buf->ptr[buf->len - 1] == '/') {
			len = strcspn(path + 1, "/");
			x402_buf_add_byte(buf, '{');
			x402_buf_add(buf, x402_span(path + 1, len));
			x402_buf_add_byte(buf, '}');
			path += len;
		} else {
			x402_buf_add_byte(buf, (uint8_t)*path);
		}
	}
}

static char *path_text(const struct x402__route *route)
{
	struct x402_buf buf = {0};

	add_path(&buf, route->pattern.path);
	return x402_buf_take_str(&buf);
}

/* The offers, or NULL when only a request has a price. A new reference. */
static struct x402_json *offers_of(
	struct x402_provider *provider, const struct x402__route *route)
{
	struct x402__prices *prices;
	struct x402_json *json = NULL;

	pthread_mutex_lock(&provider->lock);
	prices = x402__prices_ref(route->current);
	pthread_mutex_unlock(&provider->lock);
	if (prices &&
		x402_json_parse(x402_span_str(prices->accepts), NULL, NULL,
			&json) != X402_OK)
		json = NULL;
	x402__prices_unref(prices);
	return json;
}

/* "0.01" of the first offer in dollars; NULL when it has none. */
static struct x402_json *dollars_of(const struct x402_json *offers)
{
	const struct x402_json *first = x402_json_at(offers, 0);
	const struct x402_default_asset *asset = x402_known_asset(
		x402_json_get_string(first, "network"),
		x402_json_get_string(first, "asset"));
	const char *amount = x402_json_get_string(first, "amount");
	struct x402_u256 atomic;
	char text[160];

	if (!asset || !asset->usd || !amount ||
		x402_u256_from_dec(amount, &atomic) != X402_OK ||
		!x402_price_format(
			&atomic, asset->decimals, text, sizeof(text)))
		return NULL;
	return x402_json_new_string(text);
}

static struct x402_json *payment_info(
	struct x402_provider *provider, const struct x402__route *route)
{
	bool dynamic = x402__route_is_dynamic(route);
	struct x402_json *offers = offers_of(provider, route);
	struct x402_json *price = dynamic ? NULL : dollars_of(offers);
	struct x402_json *info = x402_json_new_object();
	struct x402_json *protocols = x402_json_new_array();
	bool whole = info && protocols &&
		x402_json_append_take(
			protocols, x402_json_new_string("x402")) == X402_OK;

	whole = x402_json_set_take(info, "protocols", protocols) == X402_OK &&
		whole;
	whole = whole &&
		x402_json_set_string(info, "pricingMode",
			dynamic ? "dynamic" : "fixed") == X402_OK;
	if (price)
		whole = x402_json_set_take(info, "price", price) == X402_OK &&
			whole;
	if (offers)
		whole = x402_json_set_take(info, "accepts", offers) ==
				X402_OK &&
			whole;
	if (whole)
		return info;
	x402_json_unref(info);
	return NULL;
}

/* ---- OpenAPI. ---- */

static struct x402_json *text_object(const char *key, const char *value)
{
	struct x402_json *json = x402_json_new_object();

	if (json && x402_json_set_string(json, key, value) == X402_OK)
		return json;
	x402_json_unref(json);
	return NULL;
}

static struct x402_json *responses(void)
{
	struct x402_json *json = x402_json_new_object();
	bool whole = json &&
		x402_json_set_take(json, "200",
			text_object("description", "What was paid for")) ==
			X402_OK &&
		x402_json_set_take(json, "402",
			text_object("description", "Payment required")) ==
			X402_OK;

	if (whole)
		return json;
	x402_json_unref(json);
	return NULL;
}

static struct x402_json *operation_of(
	struct x402_provider *provider, const struct x402__route *route)
{
	struct x402_json *json = text_object("summary",
		*route->description ? route->description : route->pattern.text);
	bool whole = json &&
		x402_json_set_take(json, "x-payment-info",
			payment_info(provider, route)) == X402_OK &&
		x402_json_set_take(json, "responses", responses()) == X402_OK;

	if (whole)
		return json;
	x402_json_unref(json);
	return NULL;
}

/* Under its path, which other methods may have made. */
static bool add_operation(struct x402_provider *provider,
	const struct x402__route *route, struct x402_json *paths)
{
	char *path = path_text(route);
	const struct x402_json *have = path ? x402_json_get(paths, path) : NULL;
	struct x402_json *item = have ? x402_json_copy(have)
				      : x402_json_new_object();
	char method[16] = "get";
	bool whole;

	for (size_t i = 0; route->pattern.method && i < sizeof(method) - 1;
		i++) {
		method[i] = (char)tolower(
			(unsigned char)route->pattern.method[i]);
		if (!method[i])
			break;
	}
	whole = path && item &&
		(x402_json_has(item, method) ||
			x402_json_set_take(item, method,
				operation_of(provider, route)) == X402_OK);
	if (whole)
		whole = x402_json_set_take(paths, path, item) == X402_OK;
	else
		x402_json_unref(item);
	free(path);
	return whole;
}

static char *dump_and_drop(struct x402_json *json, bool whole)
{
	char *text = whole ? x402_json_dump(json) : NULL;

	x402_json_unref(json);
	return text;
}

static struct x402_json *title_and_version(const char *title)
{
	struct x402_json *info = text_object("title", title);

	if (info && x402_json_set_string(info, "version", "1") == X402_OK)
		return info;
	x402_json_unref(info);
	return NULL;
}

char *x402_provider_openapi(struct x402_provider *provider, const char *title)
{
	struct x402_json *json = text_object("openapi", "3.1.0");
	struct x402_json *paths = x402_json_new_object();
	bool whole = json && paths &&
		x402_json_set_take(json, "info", title_and_version(title)) ==
			X402_OK;

	for (size_t i = 0; whole && i < provider->routes_len; i++)
		if (provider->routes[i].terms_len)
			whole = add_operation(
				provider, &provider->routes[i], paths);
	if (json)
		whole = x402_json_set_take(json, "paths", paths) == X402_OK &&
			whole;
	else
		x402_json_unref(paths);
	return dump_and_drop(json, whole);
}

/* ---- /.well-known/x402. ---- */

static struct x402_json *resource_of(
	struct x402_provider *provider, const struct x402__route *route)
{
	const char *origin = provider->public_origin;
	struct x402_buf url = {0};
	struct x402_json *json;
	char *text;
	bool whole;

	x402_buf_add_str(&url, origin ? origin : "");
	add_path(&url, route->pattern.path);
	text = x402_buf_take_str(&url);
	json = text ? text_object("url", text) : NULL;
	free(text);
	whole = json &&
		x402_json_set_string(json, "method",
			route->pattern.method ? route->pattern.method
					      : "GET") == X402_OK &&
		x402_json_set_string(json, "description", route->description) ==
			X402_OK &&
		x402_json_set_take(json, "payment",
			payment_info(provider, route)) == X402_OK;
	if (whole)
		return json;
	x402_json_unref(json);
	return NULL;
}

char *x402_provider_well_known(struct x402_provider *provider)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_json *list = x402_json_new_array();
	bool whole = json && list &&
		x402_json_set_int(json, "version", 1) == X402_OK &&
		x402_json_set_int(json, "x402Version", X402_V2) == X402_OK;

	for (size_t i = 0; whole && i < provider->routes_len; i++)
		if (provider->routes[i].terms_len)
			whole = x402_json_append_take(list,
					resource_of(provider,
						&provider->routes[i])) ==
				X402_OK;
	if (json)
		whole = x402_json_set_take(json, "resources", list) ==
				X402_OK &&
			whole;
	else
		x402_json_unref(list);
	return dump_and_drop(json, whole);
}

/* ---- robots.txt. ---- */

/* As far as a pattern is plain: what a crawler compares. */
static void add_prefix(struct x402_buf *buf, const struct x402__route *route)
{
	const char *path = route->pattern.path;

	x402_buf_add_str(buf, "Disallow: ");
	for (size_t i = 0; path[i] && path[i] != '[' && path[i] != '*' &&
		!(path[i] == ':' && i > 0 && path[i - 1] == '/');
		i++)
		x402_buf_add_byte(buf, (uint8_t)path[i]);
	x402_buf_add_byte(buf, '\n');
}

/* A name goes into a line of its own: no line break gets in. */
static void add_agent(struct x402_buf *buf, const char *name)
{
	x402_buf_add_str(buf, "User-agent: ");
	for (; *name; name++)
		if ((unsigned char)*name >= 0x20 && *name != 0x7f)
			x402_buf_add_byte(buf, (uint8_t)*name);
	x402_buf_add_byte(buf, '\n');
}

static bool blocked_on(const struct x402_provider *provider,
	const struct x402__route *route, const struct x402__crawler *crawler)
{
	const struct x402__crawlers *own = &route->crawlers;

	if (route->terms_len == 0)
		return false;
	if (!own->len)
		own = &provider->crawlers;
	for (size_t i = 0; i < own->len; i++)
		if (strcasecmp(own->list[i].user_agent, crawler->user_agent) ==
			0)
			return own->list[i].policy == X402_PROVIDER_BLOCK;
	return false;
}

static void add_group(struct x402_buf *buf,
	const struct x402_provider *provider,
	const struct x402__crawler *crawler)
{
	bool named = false;

	for (size_t i = 0; i < provider->routes_len; i++) {
		const struct x402__route *route = &provider->routes[i];

		if (!blocked_on(provider, route, crawler))
			continue;
		if (!named)
			add_agent(buf, crawler->user_agent);
		named = true;
		add_prefix(buf, route);
	}
	if (named)
		x402_buf_add_byte(buf, '\n');
}

char *x402_provider_robots(const struct x402_provider *provider)
{
	struct x402_buf buf = {0};

	for (size_t i = 0; i < provider->crawlers.len; i++)
		add_group(&buf, provider, &provider->crawlers.list[i]);
	for (size_t i = 0; i < provider->routes_len; i++)
		for (size_t j = 0; j < provider->routes[i].crawlers.len; j++)
			add_group(&buf, provider,
				&provider->routes[i].crawlers.list[j]);
	x402_buf_add_str(&buf,
		"# Prices for everyone else: /.well-known/x402\n"
		"User-agent: *\nAllow: /\n");
	return x402_buf_take_str(&buf);
}
