/*
 * terms.c: the providers of a location. Payee and origin may come from
 * variables, so they are known only with a request: a location keeps a list of
 * providers by what they came to; most have one. The price is said with each
 * request. They all share the ledger, so which of them a payment went through
 * does not matter.
 */
#include "module.h"

#include <stdlib.h>
#include <string.h>

#define PRICE_LEN_MAX  (X402_PROVIDER_PRICE_SIZE - 1)
#define PAYEE_LEN_MAX  96
#define ORIGIN_LEN_MAX 300

static void terms_free(struct x402_ngx_terms *terms)
{
	x402_provider_free(terms->provider);
	free(terms->pay_to);
	free(terms->origin);
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

const char *x402_ngx_origin_of(
	ngx_http_request_t *r, const struct x402_ngx_loc *lcf)
{
	return lcf->public_origin
		? value_of(r, lcf->public_origin, ORIGIN_LEN_MAX)
		: origin_of(r, lcf);
}

/* A price, as the SDK says prices; NULL for what is none. */
static const char *price_of(
	ngx_http_request_t *r, ngx_http_complex_value_t *value)
{
	const char *said = value_of(r, value, PRICE_LEN_MAX);

	return said ? x402_ngx_price_read(r->pool, said) : NULL;
}

static struct x402_ngx_terms *find(
	struct x402_ngx_loc *lcf, const struct x402_ngx_said *said)
{
	for (struct x402_ngx_terms **at = &lcf->terms; *at; at = &(*at)->next) {
		struct x402_ngx_terms *terms = *at;

		if (strcmp(terms->pay_to, said->pay_to) != 0 ||
			strcmp(terms->origin, said->origin) != 0)
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
	struct x402_ngx_loc *lcf, const struct x402_ngx_said *said)
{
	struct x402_provider_memory memory = x402_ledger_memory(
		x402_ngx_ledger);
	struct x402_ngx_terms *terms = calloc(1, sizeof(*terms));
	struct x402_errinfo info = {0};
	enum x402_err err = X402_ERR_NOMEM;

	if (!terms)
		return NULL;
	terms->refs = 1; /* the list's */
	terms->pay_to = strdup(said->pay_to);
	terms->origin = strdup(said->origin);
	if (terms->pay_to && terms->origin)
		err = x402_ngx_offer_make(
			r->pool, lcf, said, &memory, &info, &terms->provider);
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

/* What it cost before, while that is taken; NULL otherwise. */
static const char *old_price_of(
	ngx_http_request_t *r, const struct x402_ngx_loc *lcf)
{
	ngx_str_t str;
	const char *price;

	if (!lcf->old_price ||
		(lcf->old_price_until && ngx_time() > lcf->old_price_until) ||
		ngx_http_complex_value(r, lcf->old_price, &str) != NGX_OK ||
		str.len == 0)
		return NULL;
	price = price_of(r, lcf->old_price);
	if (!price)
		ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
			"x402: x402_old_price is no price: \"%V\"", &str);
	return price;
}

bool x402_ngx_said_of(ngx_http_request_t *r, const struct x402_ngx_loc *lcf,
	struct x402_ngx_said *ret_said)
{
	ret_said->price = price_of(r, lcf->price);
	ret_said->old_price = old_price_of(r, lcf);
	ret_said->pay_to = value_of(r, lcf->pay_to, PAYEE_LEN_MAX);
	ret_said->origin = x402_ngx_origin_of(r, lcf);
	if (ret_said->price && ret_said->pay_to && ret_said->origin)
		return true;
	ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
		"x402: %s is empty, too long, or none",
		!ret_said->price            ? "x402_price"
			: !ret_said->pay_to ? "x402_pay_to"
					    : "x402_public_origin");
	return false;
}

struct x402_ngx_terms *x402_ngx_terms_of(ngx_http_request_t *r,
	struct x402_ngx_loc *lcf, const struct x402_ngx_said *said)
{
	struct x402_ngx_terms *terms = find(lcf, said);

	if (!terms)
		terms = terms_new(r, lcf, said);
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

const char *x402_ngx_payee_stand_in(const struct x402_ngx_loc *lcf)
{
	return ngx_strncmp(lcf->offer.network.data, "solana", 6) == 0
		? "So11111111111111111111111111111111111111112"
		: "0x0000000000000000000000000000000000000001";
}

static ngx_int_t check(
	ngx_conf_t *cf, struct x402_ngx_loc *lcf, const char *price)
{
	/* Stand-ins for what only a request can tell. */
	struct x402_ngx_said said = {
		.price = x402_ngx_price_read(cf->pool, price),
		.pay_to = literal(
			cf, lcf->pay_to, x402_ngx_payee_stand_in(lcf)),
		.origin = literal(
			cf, lcf->public_origin, "https://example.com"),
	};
	struct x402_errinfo info = {0};
	struct x402_provider *provider = NULL;
	enum x402_err err = X402_ERR_INVALID_ARGUMENT;

	if (said.price)
		err = x402_ngx_offer_make(
			cf->pool, lcf, &said, NULL, &info, &provider);
	else
		x402_errinfo_set(&info, "x402_price",
			"expected $0.01, 0.01usd or 10000atomic");
	x402_provider_free(provider);
	if (err == X402_OK)
		return NGX_OK;
	ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
		"x402: price \"%s\", pay_to \"%s\", origin \"%s\": %s %s",
		price, said.pay_to, said.origin, info.field,
		*info.text ? info.text : x402_err_text(err));
	return NGX_ERROR;
}

ngx_int_t x402_ngx_terms_check(ngx_conf_t *cf, struct x402_ngx_loc *lcf)
{
	/* Dollars of an asset that nobody knows cannot be told. */
	bool own_units = lcf->offer.asset_name.len &&
		!lcf->offer.asset_decimals;
	const char *some = own_units ? "1atomic" : "$1";

	if (check(cf, lcf, literal(cf, lcf->price, some)) != NGX_OK)
		return NGX_ERROR;
	return lcf->old_price
		? check(cf, lcf, literal(cf, lcf->old_price, some))
		: NGX_OK;
}
