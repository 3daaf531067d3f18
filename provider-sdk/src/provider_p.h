/*
 * provider_p.h: the price list as the gate sees it. Private to the provider
 * SDK; see provider.c, which builds it, and gate.c, which uses it.
 *
 * The list is made of plain strings, not of JSON trees: trees are not shared
 * between threads (json.h), and the gate of an unpaid request needs text only.
 */
#ifndef X402_PROVIDER_PROVIDER_P_H
#define X402_PROVIDER_PROVIDER_P_H

#include <pthread.h>

#include "counters_p.h"
#include "crawlers_p.h"
#include "names_p.h"
#include "networks_p.h"
#include "page_p.h"
#include "payments_p.h"
#include "prices_p.h"
#include "route_p.h"
#include "x402/provider.h"

/* Sets that were built for a price at request time and are kept: as many as
 * a route with sizes or tiers has, or a site whose front says each price. */
#define X402__RECENT_PRICES 64
/* Quotes that stay good for a while; a newer one may displace an older one,
 * whose buyer is then told the new price. */
#define X402__QUOTES_MAX 4096

struct x402__param_price {
	char *value;
	char *price;
};

struct x402__route {
	struct x402__pattern pattern;
	struct x402_provider_price *terms; /* owned strings */
	size_t terms_len;                  /* none: free by name */
	enum x402_provider_settle settle;
	char *description;
	char *mime_type;
	/* Part of the challenge after resource.url. */
	char *resource_tail; /* ,"description":"...","mimeType":"..." */
	char *extensions;    /* {...} or NULL */
	bool v1;

	/* Where the price comes from at request time. */
	bool (*price)(void *user, const struct x402_gate *gate, char *);
	void *price_user;
	bool price_at_request;
	bool price_by_body;
	char *price_param;
	struct x402__param_price *param_prices;
	size_t param_prices_len;
	uint32_t quote_s;
	uint32_t pass_s;
	uint32_t pass_uses;
	enum x402_provider_scope pass_scope;
	uint32_t free_per_day;
	uint32_t siwx_s;
	struct x402__holder *holders;
	size_t holders_len;
	enum x402_provider_identifier identifier;
	uint32_t replay_s;
	bool crawlers_only;
	struct x402__crawlers crawlers; /* none: the provider's */

	/* Under the provider's lock. */
	struct x402__prices *listed;  /* as the options say; NULL likewise */
	struct x402__prices *current; /* NULL: only said at request time */
	struct x402__prices *previous;
	uint64_t previous_until_unix_s;
	struct x402__prices *recent[X402__RECENT_PRICES];
	size_t recent_next;
};

struct x402__facilitator {
	char *verify_url;
	char *settle_url;
	char *authorization;      /* NULL: none */
	uint64_t shunned_until_s; /* atomic: was down, ask others first */
};

/* As many chains as one shop sells on. */
#define X402__RPCS_MAX 32
struct x402__rpc {
	char *network;
	char *url;
};

/* Which price was told to which request. */
struct x402__quote {
	uint8_t request32[32];
	uint64_t until_unix_s;
	char text[X402_PROVIDER_PRICE_SIZE];
};

struct x402_provider {
	struct x402__route *routes;
	size_t routes_len;
	struct x402__facilitator *facilitators;
	size_t facilitators_len;
	char *public_origin; /* NULL: from a proxy we trust, or from Host */
	bool trust_host;
	struct x402__networks proxies;
	struct x402__rpc rpcs[X402__RPCS_MAX];
	size_t rpcs_len;
	char *cors_origin;
	uint32_t verify_timeout_ms;
	uint32_t settle_timeout_ms;
	struct x402_provider_hooks hooks;
	struct x402_provider_memory memory; /* claim NULL: our own */
	struct x402__payments *payments;    /* our own, else NULL */
	/* Keeps our idempotency keys apart from every other process's: the
	 * stored answer to a settlement is for the one that asked. */
	uint8_t secret32[32];

	uint32_t pass_epoch;
	uint64_t nonces;    /* atomic: challenges so far */
	uint8_t salt32[32]; /* this process's: no two make one reference */
	struct x402_secp256k1 *secp; /* NULL: nothing is signed */
	struct x402_secret signing_key;
	struct x402__crawlers crawlers;
	/* Two tables: favours for strangers, who could fill one, and what
	 * buyers have paid for. */
	struct x402__counters *counters;
	struct x402__counters *bought;
	struct x402__names *names; /* where the memory knows none */
	struct x402__page *page;   /* NULL: none */

	pthread_mutex_t lock;
	struct x402__quote *quotes; /* NULL: no route quotes */
};

/* ---- pricing.c ---- */

/*
 * The set that a request is told. INVALID_ARGUMENT when its price cannot be
 * said (fails closed), NOMEM. Unref the result.
 */
X402_MUST_USE enum x402_err x402__pricing_current(
	struct x402_provider *provider, struct x402__route *route,
	const struct x402_gate *gate, const char *request_price,
	struct x402__prices **ret_prices);
/* A set that another price made, kept for the next one to ask. */
X402_MUST_USE enum x402_err x402__pricing_at(struct x402_provider *provider,
	struct x402__route *route, const char *text, struct x402_errinfo *info,
	struct x402__prices **ret_prices);
/* What the route cost before, while that is still good; NULL otherwise. */
struct x402__prices *x402__pricing_previous(struct x402_provider *provider,
	struct x402__route *route, uint64_t now_unix_s);
/* Remember what a request was quoted, and find quotes of it: index counts
 * from 0; NULL when there are no more, or on exhausted memory. */
void x402__pricing_quote(struct x402_provider *provider,
	const struct x402__route *route, const uint8_t request32[32],
	const struct x402__prices *prices, uint64_t now_unix_s);
struct x402__prices *x402__pricing_quoted(struct x402_provider *provider,
	struct x402__route *route, const uint8_t request32[32], size_t index,
	uint64_t now_unix_s);

/* ---- prices.c ---- */

/* SYNTAX and the like become INVALID_ARGUMENT about field. */
X402_MUST_USE enum x402_err x402__parse_object(const char *text,
	struct x402_errinfo *info, const char *field,
	struct x402_json **ret_json);

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

/* What is new in a challenge that may be answered by a proof. */
struct x402__stamp {
	const struct x402_provider *provider;
	const char *url;
	uint64_t now_unix_s;
	uint8_t number8[8];
};
/* ---- proof.c ---- */
struct x402__stamp x402__stamp_new(struct x402_provider *provider,
	const struct x402__prices *prices, const char *url,
	uint64_t now_unix_s);
void x402__stamp_reference(const struct x402__stamp *stamp,
	const struct x402__offer *offer, uint8_t ret_reference32[32]);
/* The offer with this reference in it. */
void x402__offer_add_fresh(const struct x402__offer *offer,
	const uint8_t reference32[32], struct x402_buf *buf);

/* ---- challenge.c ---- */

/* The challenge of a route as header text, x402 P-121; more are members of its
 * extensions. NOMEM, TOO_LARGE. */
X402_MUST_USE enum x402_err x402__challenge_header(
	const struct x402__route *route, const struct x402__prices *prices,
	const struct x402__stamp *stamp, const char *error,
	struct x402_span more, char **ret_text);
/* The same as a v1 body (P-131); error as the v1 reference says it. */
X402_MUST_USE enum x402_err x402__challenge_v1_body(
	const struct x402__prices *prices, const char *url, const char *error,
	char **ret_text);
/* The v1 requirements of an offer; strings borrowed from v2, route and url. */
struct x402_payment_requirements x402__offer_v1(const struct x402__route *route,
	const struct x402__offer *offer,
	const struct x402_payment_requirements *v2, const char *url);

#endif
