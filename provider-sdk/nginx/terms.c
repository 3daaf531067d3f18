/*
 * terms.c: the offer of a location as a provider of the SDK. What comes from
 * variables (price, payee, origin) is known only with a request, so a location
 * keeps a list of providers by what they came to; most have one. They all share
 * the ledger, so which of them a payment went through does not matter.
 *
 * The location is the route: nginx has chosen it on the path that it will
 * serve by, decoded and normalised, so no path can mean one thing here and
 * another there (x402 P-113).
 */
#include "module.h"

#include <stdlib.h>
#include <string.h>

#define PRICE_LEN_MAX  96
#define ORIGIN_LEN_MAX 300

/* What a request's variables came to, as C strings in its pool. */
struct said {
	const char *price;
	const char *pay_to;
	const char *origin;
};

static void terms_free(struct x402_ngx_terms *terms)
{
	x402_provider_free(terms->provider);
	free(terms->key);
	free(terms);
}

void x402_ngx_terms_unref(struct x402_ngx_terms *terms)
{
	if (terms && --terms->refs == 0)
		terms_free(terms);
}

void x402_ngx_terms_clear(struct x402_ngx_loc *lcf)
{
	struct x402_ngx_terms *terms;

	while ((terms = lcf->terms)) {
		lcf->terms = terms->next;
		x402_ngx_terms_unref(terms);
	}
	lcf->terms_len = 0;
}

/* {"name": ..., "version": ...} of an asset that libx402 does not know. */
static char *extra_of(const char *name, const char *version)
{
	struct x402_json *extra = x402_json_new_object();
	char *text = NULL;

	if (extra && x402_json_set_string(extra, "name", name) == X402_OK &&
		x402_json_set_string(extra, "version", version) == X402_OK)
		text = x402_json_dump(extra);
	x402_json_unref(extra);
	return text;
}

/* Atomic units of an asset that libx402 knows: its address and names. */
static enum x402_err know_asset(
	ngx_pool_t *pool, struct x402_provider_price *price, char **ret_extra)
{
	struct x402_payment_requirements known = {0};
	ngx_str_t asset;
	enum x402_err err = x402_requirements_from_price(
		"$1", price->network, price->asset, price->pay_to, 60, &known);

	if (err != X402_OK)
		return err;
	asset.data = (u_char *)(uintptr_t)known.asset;
	asset.len = strlen(known.asset);
	price->asset = x402_ngx_str(pool, &asset);
	*ret_extra = x402_json_dump(known.extra);
	x402_payment_requirements_clear(&known);
	return price->asset && *ret_extra ? X402_OK : X402_ERR_NOMEM;
}

/*
 * "$0.01", or "0.01usd" for map and geo, where nginx takes "$0" for a variable;
 * "10000atomic" is in the asset's own units. A bare number is neither: a slip
 * between the two would sell for a millionth. False when it is none of them.
 */
static bool read_price(
	ngx_pool_t *pool, const char *said, struct x402_provider_price *price)
{
	size_t number = strspn(said, "0123456789.");
	ngx_str_t str = {number, (u_char *)(uintptr_t)said};
	char *copy;

	if (said[0] == '$') {
		price->price = said;
		return true;
	}
	copy = x402_ngx_str(pool, &str);
	if (number == 0 || !copy)
		return false;
	if (strcasecmp(said + number, "atomic") == 0)
		price->amount = copy;
	else if (strcasecmp(said + number, "usd") == 0)
		price->price = copy;
	else
		return false;
	return true;
}

static const char *text(ngx_pool_t *pool, const ngx_str_t *str)
{
	return str->len ? x402_ngx_str(pool, str) : NULL;
}

static size_t list_facilitators(ngx_pool_t *pool,
	const struct x402_ngx_loc *lcf,
	struct x402_provider_facilitator list[X402_PROVIDER_FACILITATORS_MAX])
{
	const char *key = text(pool, &lcf->facilitator_authorization);
	const ngx_str_t *urls;

	list[0].url = X402_PROVIDER_FACILITATOR_URL;
	list[0].authorization = key;
	if (!lcf->facilitators)
		return 1;
	urls = lcf->facilitators->elts;
	for (ngx_uint_t i = 0; i < lcf->facilitators->nelts; i++) {
		list[i].url = x402_ngx_str(pool, &urls[i]);
		/* One key is one facilitator's: the others never see it. */
		list[i].authorization = i == 0 ? key : NULL;
	}
	return lcf->facilitators->nelts;
}

static enum x402_err make(ngx_pool_t *pool, const struct x402_ngx_loc *lcf,
	const struct said *said, const struct x402_provider_memory *memory,
	struct x402_errinfo *info, struct x402_provider **ret_provider)
{
	const char *network = x402_ngx_str(pool, &lcf->network);
	const char *caip2 = x402_network_from_v1_name(network);
	struct x402_provider_price price = {
		.network = caip2 ? caip2 : network,
		.pay_to = said->pay_to,
		.asset = text(pool, &lcf->asset),
		.decimals = (unsigned)lcf->asset_decimals,
		.max_timeout_seconds = lcf->payment_timeout,
	};
	struct x402_provider_route route = {
		.pattern = "/*",
		.prices = &price,
		.prices_len = 1,
		.description = text(pool, &lcf->description),
		.mime_type = text(pool, &lcf->mime_type),
		.v1 = lcf->v1 && x402_network_to_v1_name(price.network),
		.settle = (enum x402_provider_settle)lcf->settle,
		/* For the path that was paid for: all locations have the same
		 * pattern, so a pass for a route would be one for all. */
		.pass_s = (uint32_t)lcf->pass,
		.pass_scope = X402_PROVIDER_SCOPE_RESOURCE,
	};
	struct x402_provider_facilitator
		facilitators[X402_PROVIDER_FACILITATORS_MAX];
	const struct x402_provider_page page = {0};
	struct x402_provider_options options = {
		.facilitators = facilitators,
		.facilitators_len = list_facilitators(pool, lcf, facilitators),
		.page = lcf->page ? &page : NULL,
		.public_origin = said->origin,
		.routes = &route,
		.routes_len = 1,
		.cors_origin = text(pool, &lcf->cors_origin),
		.verify_timeout_ms = (uint32_t)lcf->verify_timeout,
		.settle_timeout_ms = (uint32_t)lcf->settle_timeout,
		.payments_max = 1, /* a memory of its own is never used */
		.memory = memory,
		.hooks = {.event = x402_ngx_event},
	};
	char *extra = NULL;
	enum x402_err err;

	if (!read_price(pool, said->price, &price)) {
		x402_errinfo_set(info, "x402_price",
			"expected $0.01, 0.01usd or 10000atomic");
		return X402_ERR_INVALID_ARGUMENT;
	}
	if (lcf->asset_name.len) {
		extra = extra_of(x402_ngx_str(pool, &lcf->asset_name),
			x402_ngx_str(pool, &lcf->asset_version));
		if (!extra)
			return X402_ERR_NOMEM;
	} else if (price.amount) {
		err = know_asset(pool, &price, &extra);
		if (err != X402_OK) {
			x402_errinfo_set(info, "x402_asset",
				"expected a known one, or name= and version=");
			return err;
		}
	}
	price.extra_json = extra;
	err = x402_provider_new(&options, info, ret_provider);
	free(extra);
	return err;
}

/* ---- With a request. ---- */

/* The origin from what the configuration and the connection say; a stranger
 * writes neither (demands.md P8). */
static const char *origin_of(
	ngx_http_request_t *r, const struct x402_ngx_loc *lcf)
{
	bool tls = false;
	in_port_t port;
	u_char *end;
	u_char *origin = ngx_pnalloc(r->pool, ORIGIN_LEN_MAX + 1);

	if (!origin ||
		ngx_connection_local_sockaddr(r->connection, NULL, 0) != NGX_OK)
		return NULL;
#if (NGX_HTTP_SSL)
	tls = r->connection->ssl;
#if (NGX_HTTP_V2)
	if (r->stream)
		tls = r->stream->connection->connection->ssl;
#endif
#endif
	port = ngx_inet_get_port(r->connection->local_sockaddr);
	end = ngx_snprintf(origin, ORIGIN_LEN_MAX, "%s://%V",
		tls ? "https" : "http", &lcf->server_name);
	if (port != (tls ? 443 : 80))
		end = ngx_snprintf(end, (size_t)(origin + ORIGIN_LEN_MAX - end),
			":%ui", (ngx_uint_t)port);
	*end = '\0';
	return (const char *)origin;
}

static const char *value_of(
	ngx_http_request_t *r, ngx_http_complex_value_t *value, size_t max)
{
	ngx_str_t str;

	if (ngx_http_complex_value(r, value, &str) != NGX_OK || str.len == 0 ||
		str.len > max || memchr(str.data, '\0', str.len))
		return NULL;
	return x402_ngx_str(r->pool, &str);
}

static struct x402_ngx_terms *find(
	struct x402_ngx_loc *lcf, const struct said *said)
{
	size_t price = strlen(said->price) + 1;
	size_t pay_to = strlen(said->pay_to) + 1;

	for (struct x402_ngx_terms **at = &lcf->terms; *at; at = &(*at)->next) {
		struct x402_ngx_terms *terms = *at;

		if (strcmp(terms->key, said->price) != 0 ||
			strcmp(terms->key + price, said->pay_to) != 0 ||
			strcmp(terms->key + price + pay_to, said->origin) != 0)
			continue;
		*at = terms->next;
		terms->next = lcf->terms;
		lcf->terms = terms;
		return terms;
	}
	return NULL;
}

static void forget_last(struct x402_ngx_loc *lcf)
{
	struct x402_ngx_terms **at = &lcf->terms;
	struct x402_ngx_terms *last;

	while ((*at)->next)
		at = &(*at)->next;
	last = *at;
	*at = NULL;
	lcf->terms_len--;
	x402_ngx_terms_unref(last);
}

static struct x402_ngx_terms *terms_new(ngx_http_request_t *r,
	struct x402_ngx_loc *lcf, const struct said *said)
{
	size_t price = strlen(said->price) + 1;
	size_t pay_to = strlen(said->pay_to) + 1;
	size_t origin = strlen(said->origin) + 1;
	struct x402_provider_memory memory = x402_ledger_memory(
		x402_ngx_ledger);
	struct x402_ngx_terms *terms = calloc(1, sizeof(*terms));
	struct x402_errinfo info = {0};
	enum x402_err err = X402_ERR_NOMEM;

	if (!terms)
		return NULL;
	terms->refs = 1; /* the list's */
	terms->key = malloc(price + pay_to + origin);
	if (terms->key) {
		memcpy(terms->key, said->price, price);
		memcpy(terms->key + price, said->pay_to, pay_to);
		memcpy(terms->key + price + pay_to, said->origin, origin);
		err = make(
			r->pool, lcf, said, &memory, &info, &terms->provider);
	}
	if (err != X402_OK) {
		ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
			"x402: no offer can be made: %s %s", info.field,
			*info.text ? info.text : x402_err_text(err));
		terms_free(terms);
		return NULL;
	}
	if (lcf->terms_len == X402_NGX_TERMS_MAX)
		forget_last(lcf);
	terms->next = lcf->terms;
	lcf->terms = terms;
	lcf->terms_len++;
	return terms;
}

struct x402_ngx_terms *x402_ngx_terms_of(
	ngx_http_request_t *r, struct x402_ngx_loc *lcf)
{
	struct said said = {
		.price = value_of(r, lcf->price, PRICE_LEN_MAX),
		.pay_to = value_of(r, lcf->pay_to, PRICE_LEN_MAX),
	};
	struct x402_ngx_terms *terms;

	said.origin = lcf->public_origin
		? value_of(r, lcf->public_origin, ORIGIN_LEN_MAX)
		: origin_of(r, lcf);
	if (!said.price || !said.pay_to || !said.origin || !x402_ngx_ledger) {
		ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
			"x402: %s is empty or too long",
			!said.price            ? "x402_price"
				: !said.pay_to ? "x402_pay_to"
					       : "x402_public_origin");
		return NULL;
	}
	terms = find(lcf, &said);
	if (!terms)
		terms = terms_new(r, lcf, &said);
	if (terms)
		terms->refs++;
	return terms;
}

/* ---- Without one. ---- */

static const char *literal(ngx_conf_t *cf,
	const ngx_http_complex_value_t *value, const char *else_)
{
	return !value || value->lengths ? else_
					: x402_ngx_str(cf->pool, &value->value);
}

ngx_int_t x402_ngx_terms_check(ngx_conf_t *cf, struct x402_ngx_loc *lcf)
{
	/* Stand-ins for what only a request can tell. */
	struct said said = {
		.price = literal(cf, lcf->price, "$1"),
		.pay_to = literal(cf, lcf->pay_to,
			"0x0000000000000000000000000000000000000001"),
		.origin = literal(
			cf, lcf->public_origin, "https://example.com"),
	};
	struct x402_errinfo info = {0};
	struct x402_provider *provider = NULL;
	enum x402_err err = make(cf->pool, lcf, &said, NULL, &info, &provider);

	x402_provider_free(provider);
	if (err == X402_OK)
		return NGX_OK;
	ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
		"x402: price \"%s\", pay_to \"%s\", origin \"%s\": %s %s",
		said.price, said.pay_to, said.origin, info.field,
		*info.text ? info.text : x402_err_text(err));
	return NGX_ERROR;
}
