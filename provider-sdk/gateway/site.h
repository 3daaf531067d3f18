/*
 * site.h: what the gateway sells and where it comes from, made of one
 * configuration: the provider's price list, and the origins. A reload makes a
 * new one; the old one lives until its last request has ended.
 *
 * Thread rule: the loop's thread.
 */
#ifndef GW_SITE_H
#define GW_SITE_H

#include "../src/networks_p.h"
#include "../src/uv/resolver_p.h"
#include "gateway_metrics.h"
#include "origin.h"
#include "ratelimit.h"
#include "tls.h"
#include "x402/provider_journal.h"

/* What is told of the price list to who asks by itself. */
struct gw_notice {
	const char *path;
	const char *type;
	char *text;
};
#define GW_NOTICES_MAX 3

struct gw_site {
	size_t refs;
	struct gw_config *config;
	struct x402_provider *provider;
	struct x402__networks proxies;
	struct gw_tls *tls; /* or NULL */
	struct x402__resolver *resolver;
	struct gw_notice notices[GW_NOTICES_MAX];
	size_t notices_len;
	struct gw_metrics *metrics;
	struct gw_rate *by_address; /* NULL: no limit */
	struct gw_rate *by_key;
	struct gw_origin origins[GW_UPSTREAMS_MAX];
	size_t origins_len;
};

/* What the site's events go to; see x402_provider_hooks. */
struct gw_site_options {
	uv_loop_t *loop; /* Required */
	/* Optional: what was paid; must outlive the site. */
	const struct x402_provider_memory *memory;
	/* Optional. */
	void (*event)(void *user, const struct x402_gate *gate,
		enum x402_gate_event event, const char *reason);
	void *user;
};

/* config is taken, also on failure. INVALID_ARGUMENT with info, NOMEM. Free
 * with gw_site_unref; let the loop run once more after that. */
X402_MUST_USE enum x402_err gw_site_new_take(struct gw_config *config,
	const struct gw_site_options *options, struct x402_errinfo *info,
	struct gw_site **ret_site);
struct gw_site *gw_site_ref(struct gw_site *site);
/* NULL allowed. */
void gw_site_unref(struct gw_site *site);

/* The configured route behind an index of the price list; NULL for the one
 * that covers what no route names, and for SIZE_MAX. */
const struct gw_config_route *gw_site_route(
	const struct gw_site *site, size_t route);
/* Is the index one of the price list at all? Else: not found. */
bool gw_site_serves(const struct gw_site *site, size_t route);
/* Does a payment for the route settle before the origin is asked? */
bool gw_site_settles_first(const struct gw_site *site, size_t route);
/* What is at a path, of our own; or NULL. */
const struct gw_notice *gw_site_notice(
	const struct gw_site *site, const char *path);
/* Where a route is served from. */
struct gw_origin *gw_site_origin(struct gw_site *site, size_t route);

#endif
