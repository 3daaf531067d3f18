/*
 * provider_p.h: the price list as the gate sees it. Private to the provider
 * SDK; see provider.c, which builds it, and gate.c, which uses it.
 *
 * The list is made of plain strings, not of JSON trees: trees are not shared
 * between threads (json.h), and the gate of an unpaid request needs text only.
 */
#ifndef X402_PROVIDER_PROVIDER_P_H
#define X402_PROVIDER_PROVIDER_P_H

#include "payments_p.h"
#include "route_p.h"
#include "x402/provider.h"

/* One way to pay, checked. */
struct x402__offer {
	char *json; /* v2 requirements, compact */
	/* Constant table; NULL when the network has no v1 name. */
	const char *v1_network;
	/* v1 requirements, compact, before and after the resource's URL; only
	 * of routes that sell to v1. */
	char *v1_head;
	char *v1_tail;
};

struct x402__route {
	struct x402__pattern pattern;
	struct x402__offer *offers; /* none: free by name */
	size_t offers_len;
	char *description;
	char *mime_type;
	/* Parts of the challenge after resource.url and after accepts. */
	char *resource_tail; /* ,"description":"...","mimeType":"..." */
	char *accepts;       /* [...] */
	char *extensions;    /* {...} or NULL */
	bool v1;
};

struct x402_provider {
	struct x402__route *routes;
	size_t routes_len;
	char *verify_url;
	char *settle_url;
	char *authorization; /* NULL: none */
	char *public_origin; /* NULL: from Host */
	char *cors_origin;
	uint32_t verify_timeout_ms;
	uint32_t settle_timeout_ms;
	struct x402_provider_hooks hooks;
	struct x402_provider_memory memory; /* claim NULL: our own */
	struct x402__payments *payments;    /* our own, else NULL */
	/* Keeps our idempotency keys apart from every other process's: the
	 * stored answer to a settlement is for the one that asked. */
	uint8_t secret32[32];
};

/* Append a JSON string with its quotes. */
void x402__json_string_add(struct x402_buf *buf, const char *text);

/*
 * Is text "http://host[:port]" or https, with a path when path_allowed? The
 * host is not looked up.
 */
bool x402__url_valid(const char *text, bool path_allowed);
/* Bytes of scheme and authority of a URL that is valid. */
size_t x402__url_origin_length(const char *url);

/* Fill v1_head and v1_tail. NOMEM, and whatever reading an offer can give. */
X402_MUST_USE enum x402_err x402__offer_write_v1(
	const struct x402__route *route, struct x402__offer *offer);

/* The challenge of a route as header text, x402 P-121. NOMEM, TOO_LARGE. */
X402_MUST_USE enum x402_err x402__challenge_header(
	const struct x402__route *route, const char *url, const char *error,
	char **ret_text);
/* The same as a v1 body (P-131); error as the v1 reference says it. */
X402_MUST_USE enum x402_err x402__challenge_v1_body(
	const struct x402__route *route, const char *url, const char *error,
	char **ret_text);
/* The v1 requirements of an offer; strings borrowed from v2, route and url. */
struct x402_payment_requirements x402__offer_v1(const struct x402__route *route,
	const struct x402__offer *offer,
	const struct x402_payment_requirements *v2, const char *url);

#endif
