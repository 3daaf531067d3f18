/*
 * document.c: the price list of a server for machines that look before they
 * ask: OpenAPI with x-payment-info, /.well-known/x402, and lines of robots.txt.
 * It is written by the SDK from the very locations that sell, so it cannot say
 * anything else.
 *
 *   x402_ngx_document_note()  each location that sells, while nginx reads
 *   handler()                 the list of the request's server, made once
 *
 * A location by regular expression, a named one, and what is inside of an "if"
 * have no path that could be written down, and are left out. So is the price
 * where it, or the payee, is known only with a request.
 */
#include "module.h"

#include <stdlib.h>
#include <string.h>

/* As many as the SDK takes. */
#define DOCUMENT_ROUTES_MAX X402_PROVIDER_ROUTES_MAX

static const struct {
	const char *word;
	enum x402_ngx_document document;
	ngx_str_t type;
} documents[] = {
	{"openapi", X402_NGX_OPENAPI, ngx_string("application/json")},
	{"well-known", X402_NGX_WELL_KNOWN, ngx_string("application/json")},
	{"robots", X402_NGX_ROBOTS, ngx_string("text/plain")},
};

/* ---- While nginx reads its configuration. ---- */

/* "/articles/" with a star behind it, which is anything; NULL for a name that
 * would have a meaning in patterns. */
static const char *pattern_of(
	ngx_conf_t *cf, const ngx_http_core_loc_conf_t *clcf)
{
	const ngx_str_t *name = &clcf->name;
	char *pattern;

	if (name->len == 0 || name->data[0] != '/')
		return NULL;
	for (size_t i = 0; i < name->len; i++)
		if (strchr("[]*:? ", name->data[i]))
			return NULL;
	pattern = ngx_pnalloc(cf->pool, name->len + 2);
	if (!pattern)
		return NULL;
	ngx_memcpy(pattern, name->data, name->len);
	pattern[name->len] = clcf->exact_match ? '\0' : '*';
	pattern[name->len + 1] = '\0';
	return pattern;
}

ngx_int_t x402_ngx_document_note(ngx_conf_t *cf, const struct x402_ngx_loc *lcf)
{
	const ngx_http_core_loc_conf_t *clcf =
		ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
	struct x402_ngx_main *mcf = ngx_http_conf_get_module_main_conf(
		cf, ngx_http_x402_module);
	const char *pattern = pattern_of(cf, clcf);
	struct x402_ngx_sold *sold;

	if (!pattern || clcf->noname || clcf->named || clcf->internal ||
#if (NGX_PCRE)
		clcf->regex ||
#endif
		lcf->shadow)
		return NGX_OK;
	if (!mcf->sold)
		mcf->sold = ngx_array_create(cf->pool, 16, sizeof(*sold));
	sold = mcf->sold ? ngx_array_push(mcf->sold) : NULL;
	if (!sold)
		return NGX_ERROR;
	sold->server = ngx_http_conf_get_module_srv_conf(
		cf, ngx_http_core_module);
	sold->lcf = lcf;
	sold->pattern = pattern;
	return NGX_OK;
}

/* ---- With a request. ---- */

static bool is_literal(const ngx_http_complex_value_t *value)
{
	return !value->lengths;
}

/* One location as a route; false when it makes none. */
static bool add_route(ngx_http_request_t *r, const struct x402_ngx_sold *sold,
	const char *origin, struct x402_provider_route *ret_route)
{
	const struct x402_ngx_loc *lcf = sold->lcf;
	struct x402_ngx_said said = {.origin = origin};
	bool known = is_literal(lcf->price) && is_literal(lcf->pay_to);
	struct x402_errinfo info = {0};

	/* Of what is not known the SDK shows neither price nor payee. */
	said.pay_to = is_literal(lcf->pay_to)
		? x402_ngx_str(r->pool, &lcf->pay_to->value)
		: x402_ngx_payee_stand_in(lcf);
	if (known) {
		said.price = x402_ngx_str(r->pool, &lcf->price->value);
		said.price = said.price
			? x402_ngx_price_read(r->pool, said.price)
			: NULL;
	}
	if (!said.pay_to || (known && !said.price) ||
		x402_ngx_offer_route(r->pool, lcf, &said, &info, ret_route) !=
			X402_OK)
		return false;
	ret_route->pattern = sold->pattern;
	ret_route->price_at_request = !known;
	return true;
}

static struct x402_provider *make(ngx_http_request_t *r, const char *origin)
{
	const struct x402_ngx_main *mcf = ngx_http_get_module_main_conf(
		r, ngx_http_x402_module);
	const ngx_http_core_srv_conf_t *server = ngx_http_get_module_srv_conf(
		r, ngx_http_core_module);
	const struct x402_ngx_sold *sold = mcf->sold ? mcf->sold->elts : NULL;
	size_t len = mcf->sold ? mcf->sold->nelts : 0;
	struct x402_provider_route *routes = ngx_pcalloc(
		r->pool, (len + 1) * sizeof(*routes));
	struct x402_provider_options options = {
		.public_origin = origin, .payments_max = 1, .routes = routes};
	struct x402_provider *provider = NULL;
	struct x402_errinfo info = {0};

	for (size_t i = 0;
		routes && i < len && options.routes_len < DOCUMENT_ROUTES_MAX;
		i++)
		if (sold[i].server == server &&
			add_route(r, &sold[i], origin,
				&routes[options.routes_len]))
			options.routes_len++;
	/* A list of nothing is one as well. */
	if (routes && options.routes_len == 0)
		routes[options.routes_len++].pattern = "/*";
	if (!routes ||
		x402_provider_new(&options, &info, &provider) != X402_OK) {
		ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
			"x402: no document can be made: %s %s", info.field,
			info.text);
		return NULL;
	}
	return provider;
}

static char *write_text(ngx_http_request_t *r, const struct x402_ngx_loc *lcf,
	const char *origin)
{
	struct x402_provider *provider = make(r, origin);
	char *text = NULL;

	if (!provider)
		return NULL;
	switch ((enum x402_ngx_document)lcf->document) {
	case X402_NGX_OPENAPI:
		text = x402_provider_openapi(provider, origin);
		break;
	case X402_NGX_WELL_KNOWN:
		text = x402_provider_well_known(provider);
		break;
	case X402_NGX_ROBOTS:
		text = x402_provider_robots(provider);
		break;
	}
	x402_provider_free(provider);
	return text;
}

void x402_ngx_document_clear(struct x402_ngx_loc *lcf)
{
	free(lcf->document_text);
	free(lcf->document_origin);
	lcf->document_text = lcf->document_origin = NULL;
}

/* The text, which changes with the origin only: made when that does. */
static const char *text_of(ngx_http_request_t *r, struct x402_ngx_loc *lcf)
{
	const char *origin = x402_ngx_origin_of(r, lcf);

	if (!origin)
		return NULL;
	if (lcf->document_text && strcmp(lcf->document_origin, origin) == 0)
		return lcf->document_text;
	x402_ngx_document_clear(lcf);
	lcf->document_origin = strdup(origin);
	if (lcf->document_origin)
		lcf->document_text = write_text(r, lcf, origin);
	return lcf->document_text;
}

static ngx_int_t handler(ngx_http_request_t *r)
{
	struct x402_ngx_loc *lcf = x402_ngx_loc_of(r);
	ngx_http_complex_value_t body = {0};
	ngx_str_t type = documents[lcf->document].type;
	const char *text;

	if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)))
		return NGX_HTTP_NOT_ALLOWED;
	text = text_of(r, lcf);
	if (!text)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	/* Its own copy: another origin may come while it is being sent. */
	body.value.len = strlen(text);
	body.value.data = ngx_pnalloc(r->pool, body.value.len);
	if (!body.value.data)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	ngx_memcpy(body.value.data, text, body.value.len);
	return ngx_http_send_response(r, NGX_HTTP_OK, &type, &body);
}

/* x402_document openapi|well-known|robots */
char *x402_ngx_set_document(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	const ngx_str_t *args = cf->args->elts;
	ngx_http_core_loc_conf_t *clcf = ngx_http_conf_get_module_loc_conf(
		cf, ngx_http_core_module);

	(void)cmd;
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
		if (strcmp((const char *)args[1].data, documents[i].word) ==
			0) {
			lcf->document = documents[i].document;
			clcf->handler = handler;
			return NGX_CONF_OK;
		}
	return "expected openapi, well-known or robots";
}
