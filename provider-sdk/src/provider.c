/*
 * provider.c: turns the options of a program into a checked price list.
 *
 * x402_provider_new() goes through read_urls(), then read_route() for each
 * route and read_price() for each of its prices. Whatever could make a sale go
 * wrong later is refused here, with the path of the option at fault (x402
 * P-104); nothing is looked up on a network, so a facilitator that is down
 * cannot open the gate (demands.md P2).
 */
#include "provider_p.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>

#define FREE_STR __attribute__((cleanup(free_str)))
static void free_str(char **text)
{
	free(*text);
}

static enum x402_err refuse(
	struct x402_errinfo *info, const char *field, const char *text)
{
	x402_errinfo_set(info, field, "%s", text);
	return X402_ERR_INVALID_ARGUMENT;
}

/* NULL stays NULL; false when memory is out. */
static bool copy_str(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return !text || *ret_copy;
}

/* ---- URLs. ---- */

size_t x402__url_origin_length(const char *url)
{
	const char *authority = strstr(url, "://") + 3;

	return (size_t)(authority - url) + strcspn(authority, "/?#");
}

bool x402__url_valid(const char *text, bool path_allowed)
{
	size_t origin;
	size_t scheme;

	if (strncmp(text, "https://", 8) == 0)
		scheme = 8;
	else if (strncmp(text, "http://", 7) == 0)
		scheme = 7;
	else
		return false;
	for (const char *s = text; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f || strchr("\"<>\\^`{|}", *s))
			return false;
	origin = x402__url_origin_length(text);
	/* "user@host" shows one host and goes to another. */
	if (origin == scheme || memchr(text, '@', origin))
		return false;
	if (!isalnum((unsigned char)text[scheme]) && text[scheme] != '[')
		return false;
	return path_allowed || text[origin] == '\0';
}

/* A copy without trailing slashes, P-101. */
static char *without_slashes(const char *text)
{
	size_t len = strlen(text);

	while (len > 0 && text[len - 1] == '/')
		len--;
	return strndup(text, len);
}

static bool header_value_valid(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static enum x402_err read_facilitator(
	const struct x402_provider_options *options, struct x402_errinfo *info,
	struct x402_provider *provider)
{
	FREE_STR char *url = without_slashes(options->facilitator_url
			? options->facilitator_url
			: X402_PROVIDER_FACILITATOR_URL);

	if (!url)
		return X402_ERR_NOMEM;
	if (!x402__url_valid(url, true) || strpbrk(url, "?#"))
		return refuse(info, "facilitator_url",
			"missing_facilitator: expected http:// or https:// and "
			"a host, without query");
	if (asprintf(&provider->verify_url, "%s/verify", url) < 0)
		provider->verify_url = NULL;
	if (asprintf(&provider->settle_url, "%s/settle", url) < 0)
		provider->settle_url = NULL;
	return provider->verify_url && provider->settle_url ? X402_OK
							    : X402_ERR_NOMEM;
}

static enum x402_err read_urls(const struct x402_provider_options *options,
	struct x402_errinfo *info, struct x402_provider *provider)
{
	enum x402_err err = read_facilitator(options, info, provider);

	if (err != X402_OK)
		return err;
	if (options->public_origin) {
		provider->public_origin = without_slashes(
			options->public_origin);
		if (!provider->public_origin)
			return X402_ERR_NOMEM;
		if (!x402__url_valid(provider->public_origin, false))
			return refuse(info, "public_origin",
				"expected http:// or https:// and a host, "
				"nothing after it");
	} else if (!options->trust_host) {
		return refuse(info, "public_origin",
			"expected the origin that buyers see, such as "
			"https://example.com (or trust_host for development)");
	}
	if (options->cors_origin &&
		(!*options->cors_origin ||
			!header_value_valid(options->cors_origin)))
		return refuse(info, "cors_origin", "expected an origin or *");
	if (options->facilitator_authorization &&
		!header_value_valid(options->facilitator_authorization))
		return refuse(info, "facilitator_authorization",
			"expected a header value without line breaks");
	if (!copy_str(options->cors_origin, &provider->cors_origin) ||
		!copy_str(options->facilitator_authorization,
			&provider->authorization))
		return X402_ERR_NOMEM;
	return X402_OK;
}

/* ---- Prices. ---- */

/* Lay the members of the caller's extra over what the asset says. */
static enum x402_err lay_extra(const struct x402_json *over,
	const struct x402_json *base, struct x402_json **ret_extra)
{
	struct x402_json *extra = base ? x402_json_copy(base)
				       : x402_json_new_object();
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;
	enum x402_err err = extra ? X402_OK : X402_ERR_NOMEM;

	while (err == X402_OK && x402_json_next(over, &iter, &key, &value))
		err = x402_json_set_take(extra, key, x402_json_copy(value));
	if (err != X402_OK) {
		x402_json_unref(extra);
		return err;
	}
	*ret_extra = extra;
	return X402_OK;
}

/* What the scheme table and this SDK can do of what extra asks for. */
static enum x402_err check_terms(const struct x402_payment_requirements *req,
	struct x402_errinfo *info, const char *field)
{
	const char *method = x402_json_get_string(
		req->extra, "assetTransferMethod");

	if (!x402_scheme_find(req->scheme, req->network)) {
		x402_errinfo_set(info, field,
			"missing_scheme: none called %.32s on %.48s",
			req->scheme, req->network);
		return X402_ERR_INVALID_ARGUMENT;
	}
	if (x402_payment_flow_of(req) != X402_FLOW_AUTHORIZATION)
		return refuse(info, field,
			"unsupported_payment_flow: expected authorization");
	if (method && strcmp(method, "eip3009") != 0)
		return refuse(info, field,
			"unsupported_asset_transfer_method: expected eip3009");
	if (!x402_json_get_string(req->extra, "name") ||
		!x402_json_get_string(req->extra, "version"))
		return refuse(info, field,
			"expected extra_json with the name and version of the "
			"token's EIP-712 domain");
	return X402_OK;
}

static enum x402_err check_pay_to(const struct x402_provider_price *price,
	struct x402_errinfo *info, const char *field)
{
	struct x402_address address;

	if (!price->pay_to)
		return refuse(info, field, "expected pay_to");
	if (strncmp(price->network, "eip155:", 7) != 0)
		return X402_OK;
	if (x402_address_parse_checked(price->pay_to, &address) != X402_OK)
		return refuse(info, field,
			"pay_to: expected 0x and 40 hex digits with a right "
			"checksum");
	if (x402_address_is_zero(&address))
		return refuse(info, field,
			"pay_to: the zero address belongs to nobody");
	return X402_OK;
}

/* price or amount, into requirements whose strings the caller keeps alive. */
static enum x402_err price_terms(const struct x402_provider_price *price,
	struct x402_errinfo *info, const char *field,
	struct x402_payment_requirements *ret_req)
{
	int64_t timeout = price->max_timeout_seconds
		? price->max_timeout_seconds
		: X402_PROVIDER_TIMEOUT_SECONDS;
	struct x402_asset_id asset;
	struct x402_u256 amount;
	enum x402_err err;

	if (timeout < 1)
		return refuse(info, field, "max_timeout_seconds: expected > 0");
	if (!price->price == !price->amount)
		return refuse(info, field,
			"expected either price or amount and asset");
	if (price->price) {
		err = x402_requirements_from_price(price->price, price->network,
			price->asset, price->pay_to, timeout, ret_req);
		if (err == X402_OK || err == X402_ERR_NOMEM)
			return err;
		x402_errinfo_set(info, field, "price '%.32s' on %.48s: %s",
			price->price, price->network, x402_err_text(err));
		return X402_ERR_INVALID_ARGUMENT;
	}
	if (x402_u256_from_dec(price->amount, &amount) != X402_OK ||
		x402_u256_is_zero(&amount))
		return refuse(info, field,
			"amount: expected a positive decimal number");
	if (!price->asset ||
		x402_asset_id_init(price->network, price->asset, &asset) !=
			X402_OK)
		return refuse(info, field, "asset: expected an address");
	*ret_req = (struct x402_payment_requirements){
		.x402_version = X402_V2,
		.network = price->network,
		.amount = price->amount,
		.asset = price->asset,
		.pay_to = price->pay_to,
		.max_timeout_seconds = timeout,
	};
	return X402_OK;
}

/* The offer with scheme and extra set, as text. */
static enum x402_err offer_text(const struct x402_provider_price *price,
	const struct x402_payment_requirements *terms,
	const struct x402_json *over, struct x402_errinfo *info,
	const char *field, char **ret_text)
{
	struct x402_payment_requirements req = *terms;
	struct x402_json *extra = NULL;
	struct x402_json *json = NULL;
	enum x402_err err = lay_extra(over, terms->extra, &extra);

	req.scheme = price->scheme ? price->scheme : "exact";
	req.extra = extra;
	req.json = NULL; /* build from the fields, not from the old tree */
	if (err == X402_OK)
		err = check_terms(&req, info, field);
	if (err == X402_OK)
		err = x402_payment_requirements_to_json(&req, &json);
	if (err == X402_OK) {
		*ret_text = x402_json_dump(json);
		err = *ret_text ? X402_OK : X402_ERR_NOMEM;
	}
	x402_json_unref(json);
	x402_json_unref(extra);
	return err;
}

static enum x402_err parse_object(const char *text, struct x402_errinfo *info,
	const char *field, struct x402_json **ret_json)
{
	struct x402_json *json = NULL;
	enum x402_err err = x402_json_parse(
		x402_span_str(text), NULL, NULL, &json);

	if (err == X402_ERR_NOMEM)
		return err;
	if (err != X402_OK || x402_json_type(json) != X402_JSON_OBJECT) {
		x402_json_unref(json);
		return refuse(info, field, "expected a JSON object");
	}
	*ret_json = json;
	return X402_OK;
}

static enum x402_err read_price(const struct x402_provider_price *price,
	struct x402_errinfo *info, const char *field, struct x402__offer *offer)
{
	struct x402_payment_requirements terms = {0};
	struct x402_network network;
	struct x402_json *over = NULL;
	enum x402_err err;

	if (!price->network ||
		x402_network_parse(price->network, &network) != X402_OK)
		return refuse(info, field,
			"network: expected CAIP-2 such as eip155:8453");
	err = check_pay_to(price, info, field);
	if (err == X402_OK && price->extra_json)
		err = parse_object(price->extra_json, info, field, &over);
	if (err == X402_OK)
		err = price_terms(price, info, field, &terms);
	if (err == X402_OK) {
		err = offer_text(
			price, &terms, over, info, field, &offer->json);
		x402_payment_requirements_clear(&terms);
	}
	x402_json_unref(over);
	offer->v1_network = x402_network_to_v1_name(price->network);
	return err;
}

/* ---- Routes. ---- */

/* What every challenge of the route has in common, P-121. */
static enum x402_err write_common(
	struct x402__route *route, struct x402_errinfo *info, const char *field)
{
	struct x402_buf tail = {0};
	struct x402_buf accepts = {0};
	FREE_STR char *probe = NULL;
	enum x402_err err;

	x402_buf_add_str(&tail, ",\"description\":");
	x402__json_string_add(&tail, route->description);
	x402_buf_add_str(&tail, ",\"mimeType\":");
	x402__json_string_add(&tail, route->mime_type);
	route->resource_tail = x402_buf_take_str(&tail);
	for (size_t i = 0; i < route->offers_len; i++) {
		x402_buf_add_byte(&accepts, i ? ',' : '[');
		x402_buf_add_str(&accepts, route->offers[i].json);
	}
	x402_buf_add_byte(&accepts, ']');
	route->accepts = x402_buf_take_str(&accepts);
	if (!route->resource_tail || !route->accepts)
		return refuse(info, field,
			"description and mime_type: "
			"expected UTF-8");
	err = x402__challenge_header(route, "", "", &probe);
	if (err == X402_ERR_TOO_LARGE)
		return refuse(info, field,
			"the challenge exceeds what clients read in a header");
	return err;
}

static enum x402_err read_texts(const struct x402_provider_route *from,
	struct x402_errinfo *info, const char *field, struct x402__route *route)
{
	struct x402_json *extensions = NULL;
	enum x402_err err;

	if (!copy_str(from->description ? from->description : "",
		    &route->description) ||
		!copy_str(from->mime_type ? from->mime_type : "",
			&route->mime_type))
		return X402_ERR_NOMEM;
	route->v1 = from->v1;
	if (!from->extensions_json)
		return X402_OK;
	err = parse_object(from->extensions_json, info, field, &extensions);
	if (err != X402_OK)
		return err;
	route->extensions = x402_json_dump(extensions);
	x402_json_unref(extensions);
	return route->extensions ? X402_OK : X402_ERR_NOMEM;
}

static enum x402_err read_prices(const struct x402_provider_route *from,
	struct x402_errinfo *info, const char *field, struct x402__route *route)
{
	bool v1_name = false;

	if (from->prices_len > X402_ACCEPTS_MAX)
		return refuse(info, field, "more prices than a client reads");
	route->offers = calloc(from->prices_len, sizeof(*route->offers));
	if (!route->offers)
		return X402_ERR_NOMEM;
	for (size_t i = 0; i < from->prices_len; i++) {
		char name[96];
		enum x402_err err;

		snprintf(name, sizeof(name), "%s.prices[%zu]", field, i);
		err = read_price(
			&from->prices[i], info, name, &route->offers[i]);
		if (err != X402_OK)
			return err;
		route->offers_len++;
		if (!route->v1 || !route->offers[i].v1_network)
			continue;
		v1_name = true;
		err = x402__offer_write_v1(route, &route->offers[i]);
		if (err != X402_OK)
			return err;
	}
	if (route->v1 && !v1_name)
		return refuse(
			info, field, "v1: none of the networks has a v1 name");
	return X402_OK;
}

static enum x402_err read_route(const struct x402_provider_route *from,
	size_t index, struct x402_errinfo *info, struct x402__route *route)
{
	struct x402_errinfo why = {0};
	char field[64];
	enum x402_err err;

	snprintf(field, sizeof(field), "routes[%zu]", index);
	err = x402__pattern_compile(from->pattern, &why, &route->pattern);
	if (err == X402_ERR_NOMEM)
		return err;
	if (err != X402_OK)
		return refuse(info, field, why.text);
	err = read_texts(from, info, field, route);
	if (err != X402_OK || from->prices_len == 0)
		return err;
	err = read_prices(from, info, field, route);
	return err == X402_OK ? write_common(route, info, field) : err;
}

static enum x402_err read_routes(const struct x402_provider_options *options,
	struct x402_errinfo *info, struct x402_provider *provider)
{
	if (options->routes_len == 0 || !options->routes)
		return refuse(info, "routes", "expected at least one route");
	if (options->routes_len > X402_PROVIDER_ROUTES_MAX)
		return refuse(info, "routes", "more routes than allowed");
	provider->routes = calloc(
		options->routes_len, sizeof(*provider->routes));
	if (!provider->routes)
		return X402_ERR_NOMEM;
	provider->routes_len = options->routes_len;
	for (size_t i = 0; i < options->routes_len; i++) {
		enum x402_err err = read_route(
			&options->routes[i], i, info, &provider->routes[i]);

		if (err != X402_OK)
			return err;
	}
	return X402_OK;
}

static enum x402_err read_memory(const struct x402_provider_memory *memory,
	struct x402_errinfo *info, struct x402_provider *provider)
{
	if (!memory->claim || !memory->asking || !memory->settled ||
		!memory->end || !memory->secret32)
		return refuse(info, "memory", "expected all of its members");
	provider->memory = *memory;
	memcpy(provider->secret32, memory->secret32, 32);
	/* The caller's copy may be gone tomorrow. */
	provider->memory.secret32 = NULL;
	return X402_OK;
}

enum x402_err x402_provider_new(const struct x402_provider_options *options,
	struct x402_errinfo *info, struct x402_provider **ret_provider)
{
	struct x402_provider *provider = calloc(1, sizeof(*provider));
	enum x402_err err;

	if (!provider)
		return X402_ERR_NOMEM;
	provider->hooks = options->hooks;
	provider->verify_timeout_ms = options->verify_timeout_ms
		? options->verify_timeout_ms
		: X402_PROVIDER_CALL_TIMEOUT_MS;
	provider->settle_timeout_ms = options->settle_timeout_ms
		? options->settle_timeout_ms
		: X402_PROVIDER_CALL_TIMEOUT_MS;
	err = read_urls(options, info, provider);
	if (err == X402_OK)
		err = read_routes(options, info, provider);
	if (err == X402_OK && getrandom(provider->secret32, 32, 0) != 32)
		err = X402_ERR_INTERNAL;
	if (err == X402_OK && options->memory)
		err = read_memory(options->memory, info, provider);
	if (err == X402_OK && !options->memory) {
		provider->payments = x402__payments_new(
			options->payments_max ? options->payments_max : 65536);
		err = provider->payments ? X402_OK : X402_ERR_NOMEM;
	}
	if (err != X402_OK) {
		x402_provider_free(provider);
		return err;
	}
	*ret_provider = provider;
	return X402_OK;
}

size_t x402_provider_routes_len(const struct x402_provider *provider)
{
	return provider->routes_len;
}

static void route_clear(struct x402__route *route)
{
	x402__pattern_clear(&route->pattern);
	/* offers_len counts the complete ones; one more may be half built. */
	for (size_t i = 0; route->offers && i < route->offers_len; i++) {
		free(route->offers[i].json);
		free(route->offers[i].v1_head);
		free(route->offers[i].v1_tail);
	}
	free(route->offers);
	free(route->description);
	free(route->mime_type);
	free(route->resource_tail);
	free(route->accepts);
	free(route->extensions);
}

void x402_provider_free(struct x402_provider *provider)
{
	if (!provider)
		return;
	for (size_t i = 0; provider->routes && i < provider->routes_len; i++)
		route_clear(&provider->routes[i]);
	free(provider->routes);
	free(provider->verify_url);
	free(provider->settle_url);
	if (provider->authorization)
		x402_wipe(provider->authorization,
			strlen(provider->authorization));
	free(provider->authorization);
	free(provider->public_origin);
	free(provider->cors_origin);
	x402__payments_free(provider->payments);
	x402_wipe(provider->secret32, sizeof(provider->secret32));
	free(provider);
}
