/*
 * prices_p.h: what a route costs, as sets of offers that never change. A set
 * is shared by the requests that were told it, and dropped by the last; a new
 * price is a new set.
 *
 *   prices.c   from the options, and a price said later, to a set
 *   pricing.c  which set a request is told, and which ones it may answer
 *
 * Thread rule: a set is constant; counting its users is atomic. The rest is
 * under the provider's lock. Private to the provider SDK.
 */
#ifndef X402_PROVIDER_PRICES_P_H
#define X402_PROVIDER_PRICES_P_H

#include "x402/provider.h"

struct x402__route;

/* One way to pay, checked. */
struct x402__offer {
	char *json; /* v2 requirements, compact */
	/* Constant table; NULL when the network has no v1 name. */
	const char *v1_network;
	/* v1 requirements, compact, before and after the resource's URL; only
	 * of routes that sell to v1. */
	char *v1_head;
	char *v1_tail;
	unsigned decimals; /* of the asset; 0 when nobody has said */
	/* proof: where in json its reference goes; 0 for all others. */
	size_t fresh_at;
};

/* All the ways to pay for a route, at one price. */
struct x402__prices {
	int users; /* atomic */
	struct x402__offer *offers;
	size_t offers_len;
	char *accepts; /* [...]; proofs without their references */
	/* Said later; "" for what the options say. */
	char text[X402_PROVIDER_PRICE_SIZE];
};

/*
 * Build a set from the route's terms. text (may be NULL) is the price, "$0.01"
 * or "10000atomic", that takes the place of theirs. INVALID_ARGUMENT with info
 * about what is wrong below field; NOMEM.
 */
X402_MUST_USE enum x402_err x402__prices_new(const struct x402__route *route,
	const char *text, struct x402_errinfo *info, const char *field,
	struct x402__prices **ret_prices);
struct x402__prices *x402__prices_ref(struct x402__prices *prices);
/* NULL allowed. */
void x402__prices_unref(struct x402__prices *prices);

/* Does the buyer send the transfer and show it? */
bool x402__offer_is_proof(const struct x402__offer *offer);
bool x402__prices_have_proofs(const struct x402__prices *prices);

/* Does the route's price depend on the request? */
bool x402__route_is_dynamic(const struct x402__route *route);

#endif
