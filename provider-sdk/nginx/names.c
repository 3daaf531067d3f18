/*
 * names.c: the name of a crawler's address, confirmed forward: the address has
 * the name, and the name has the address. By nginx's own resolver, which
 * remembers answers.
 *
 *   x402_ngx_names_ask()  address to name, for who says to be a crawler that
 *                         may be allowed by its name, and for nobody else
 *   on_name()             ... and from the name to its addresses
 *   on_addresses()        is the one that asks among them?
 *
 * A name that cannot be found opens nothing: the crawler pays. The resolver may
 * answer inside of the call that asks it.
 */
#include "module.h"

#include <string.h>

ngx_int_t x402_ngx_names_check(ngx_conf_t *cf, const struct x402_ngx_loc *lcf)
{
	ngx_http_core_loc_conf_t *clcf = ngx_http_conf_get_module_loc_conf(
		cf, ngx_http_core_module);
	const struct x402_provider_crawler *list =
		lcf->crawlers ? lcf->crawlers->elts : NULL;

	for (ngx_uint_t i = 0; list && i < lcf->crawlers->nelts; i++)
		if (list[i].hosts_len &&
			(!clcf->resolver ||
				clcf->resolver->connections.nelts == 0)) {
			ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
				"x402_crawler %s: host= needs a \"resolver\"",
				list[i].user_agent);
			return NGX_ERROR;
		}
	return NGX_OK;
}

/* asking: inside of x402_ngx_names_ask, which goes on by itself. */
static bool asking;

static void over(struct x402_ngx_deal *deal)
{
	deal->named = true;
	if (!asking)
		x402_ngx_resume(deal->r);
}

static void on_addresses(ngx_resolver_ctx_t *lookup)
{
	struct x402_ngx_deal *deal = lookup->data;
	const ngx_connection_t *c = deal->r->connection;
	bool ours = false;

	for (ngx_uint_t i = 0; lookup->state == NGX_OK && i < lookup->naddrs;
		i++)
		ours = ours ||
			ngx_cmp_sockaddr(lookup->addrs[i].sockaddr,
				lookup->addrs[i].socklen, c->sockaddr,
				c->socklen, 0) == NGX_OK;
	if (ours)
		deal->peer_name = x402_ngx_str(deal->r->pool, &lookup->name);
	deal->lookup = NULL;
	ngx_resolve_name_done(lookup);
	over(deal);
}

/* False when it cannot begin. */
static bool ask_addresses(struct x402_ngx_deal *deal, const ngx_str_t *name)
{
	ngx_http_core_loc_conf_t *clcf = ngx_http_get_module_loc_conf(
		deal->r, ngx_http_core_module);
	ngx_resolver_ctx_t *lookup = ngx_resolve_start(clcf->resolver, NULL);

	if (!lookup || lookup == NGX_NO_RESOLVER)
		return false;
	lookup->name = *name;
	lookup->handler = on_addresses;
	lookup->data = deal;
	lookup->timeout = clcf->resolver_timeout;
	deal->lookup = lookup;
	deal->names_address = true;
	if (ngx_resolve_name(lookup) == NGX_OK)
		return true; /* and perhaps over: deal may be gone */
	deal->lookup = NULL; /* freed */
	return false;
}

static void on_name(ngx_resolver_ctx_t *lookup)
{
	struct x402_ngx_deal *deal = lookup->data;
	ngx_str_t name = ngx_null_string;

	/* The resolver's copy goes with the question. */
	if (lookup->state == NGX_OK) {
		name.data = ngx_pstrdup(deal->r->pool, &lookup->name);
		name.len = name.data ? lookup->name.len : 0;
	}
	deal->lookup = NULL;
	ngx_resolve_addr_done(lookup);
	if (!name.len || !ask_addresses(deal, &name))
		over(deal);
}

bool x402_ngx_names_ask(struct x402_ngx_deal *deal)
{
	ngx_http_core_loc_conf_t *clcf = ngx_http_get_module_loc_conf(
		deal->r, ngx_http_core_module);
	char address[X402_PROVIDER_ADDRESS_SIZE];
	struct x402_gate_request view;
	ngx_resolver_ctx_t *lookup;

	/* An address, too, as it must be one of a network. */
	if (!deal->lcf->crawlers || !x402_ngx_view(deal, &view) ||
		!x402_provider_wants_name(
			deal->terms->provider, &view, address))
		return false;
	lookup = ngx_resolve_start(clcf->resolver, NULL);
	if (!lookup || lookup == NGX_NO_RESOLVER)
		return false;
	lookup->addr.sockaddr = deal->r->connection->sockaddr;
	lookup->addr.socklen = deal->r->connection->socklen;
	lookup->handler = on_name;
	lookup->data = deal;
	lookup->timeout = clcf->resolver_timeout;
	deal->lookup = lookup;
	deal->names_address = false;
	asking = true;
	if (ngx_resolve_addr(lookup) != NGX_OK) {
		deal->lookup = NULL;
		deal->named = true;
	}
	asking = false;
	return !deal->named;
}

void x402_ngx_names_cancel(struct x402_ngx_deal *deal)
{
	ngx_resolver_ctx_t *lookup = deal->lookup;

	deal->lookup = NULL;
	if (!lookup)
		return;
	if (deal->names_address)
		ngx_resolve_name_done(lookup);
	else
		ngx_resolve_addr_done(lookup);
}
