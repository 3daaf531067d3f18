/*
 * pricing.c: which price a request is told, and which ones it may answer.
 *
 *   x402__pricing_current()   callback, the caller's word, a parameter's
 *                             value, or what the route costs just now
 *   x402_provider_set_price() a new price; the old one is good for a grace
 *   x402__pricing_quote()     a price that depends on the request was quoted
 *   x402__pricing_quoted()    ... and may be answered for a while
 *
 * Quotes are held by method, path and query: a price quoted for a small file
 * does not buy a large one. Their table is bounded: who is displaced from it
 * is told the new price, nothing worse.
 */
#include <stdlib.h>
#include <strings.h>

#include "gate_p.h"

/* What the route's parameter costs; NULL when it is not listed. */
static const char *param_price(
	const struct x402__route *route, const struct x402_gate *gate)
{
	const char *in_other_case = NULL;
	struct x402_span value;

	if (!route->price_param ||
		!x402_gate_param(gate, route->price_param, &value))
		return NULL;
	for (size_t i = 0; i < route->param_prices_len; i++) {
		const struct x402__param_price *one = &route->param_prices[i];

		if (strlen(one->value) != value.len)
			continue;
		if (memcmp(one->value, value.ptr, value.len) == 0)
			return one->price;
		/* Paths match in any case: a handler may read them so, too,
		 * and REPORT must not be cheaper than report. */
		if (!in_other_case &&
			strncasecmp(one->value, (const char *)value.ptr,
				value.len) == 0)
			in_other_case = one->price;
	}
	return in_other_case;
}

static struct x402__prices *take_current(
	struct x402_provider *provider, struct x402__route *route)
{
	struct x402__prices *prices;

	pthread_mutex_lock(&provider->lock);
	prices = x402__prices_ref(route->current);
	pthread_mutex_unlock(&provider->lock);
	return prices;
}

enum x402_err x402__pricing_current(struct x402_provider *provider,
	struct x402__route *route, const struct x402_gate *gate,
	const char *request_price, struct x402__prices **ret_prices)
{
	char written[X402_PROVIDER_PRICE_SIZE] = "";
	const char *text = NULL;

	if (route->price) {
		if (!route->price(route->price_user, gate, written) ||
			!memchr(written, '\0', sizeof(written)))
			return X402_ERR_INVALID_ARGUMENT;
		text = written;
	} else if (route->price_at_request) {
		text = request_price ? request_price : "";
	} else {
		text = param_price(route, gate);
	}
	if (text)
		return x402__pricing_at(
			provider, route, text, NULL, ret_prices);
	*ret_prices = take_current(provider, route);
	return *ret_prices ? X402_OK : X402_ERR_INVALID_ARGUMENT;
}

static struct x402__prices *find_recent(
	const struct x402__route *route, const char *text)
{
	for (size_t i = 0; i < X402__RECENT_PRICES; i++)
		if (route->recent[i] &&
			strcmp(route->recent[i]->text, text) == 0)
			return x402__prices_ref(route->recent[i]);
	return NULL;
}

enum x402_err x402__pricing_at(struct x402_provider *provider,
	struct x402__route *route, const char *text, struct x402_errinfo *info,
	struct x402__prices **ret_prices)
{
	struct x402__prices *dropped;
	struct x402__prices *prices;
	enum x402_err err;

	pthread_mutex_lock(&provider->lock);
	prices = find_recent(route, text);
	pthread_mutex_unlock(&provider->lock);
	if (!prices) {
		err = x402__prices_new(route, text, info, "price", &prices);
		if (err != X402_OK)
			return err;
		pthread_mutex_lock(&provider->lock);
		dropped = route->recent[route->recent_next];
		route->recent[route->recent_next] = x402__prices_ref(prices);
		route->recent_next = (route->recent_next + 1) %
			X402__RECENT_PRICES;
		pthread_mutex_unlock(&provider->lock);
		x402__prices_unref(dropped);
	}
	*ret_prices = prices;
	return X402_OK;
}

struct x402__prices *x402__pricing_previous(struct x402_provider *provider,
	struct x402__route *route, uint64_t now_unix_s)
{
	struct x402__prices *prices = NULL;

	pthread_mutex_lock(&provider->lock);
	if (route->previous && now_unix_s <= route->previous_until_unix_s)
		prices = x402__prices_ref(route->previous);
	pthread_mutex_unlock(&provider->lock);
	return prices;
}

enum x402_err x402_provider_set_price(struct x402_provider *provider,
	size_t index, const char *price, uint64_t now_unix_s, uint32_t grace_s,
	struct x402_errinfo *info)
{
	struct x402__prices *prices = NULL;
	struct x402__prices *dropped;
	struct x402__route *route;
	enum x402_err err;

	if (index >= provider->routes_len || !price ||
		provider->routes[index].terms_len == 0) {
		x402_errinfo_set(info, "route",
			"expected the index of a route with prices, and one");
		return X402_ERR_INVALID_ARGUMENT;
	}
	route = &provider->routes[index];
	err = x402__pricing_at(provider, route, price, info, &prices);
	if (err != X402_OK)
		return err;
	pthread_mutex_lock(&provider->lock);
	dropped = route->previous;
	route->previous = route->current;
	route->previous_until_unix_s = now_unix_s + grace_s;
	if (grace_s == 0 && route->previous_until_unix_s > 0)
		route->previous_until_unix_s--; /* not for this second either */
	route->current = prices;
	pthread_mutex_unlock(&provider->lock);
	x402__prices_unref(dropped);
	return X402_OK;
}

/* ---- Quotes. ---- */

bool x402__route_is_dynamic(const struct x402__route *route)
{
	return route->price || route->price_at_request || route->price_param;
}

void x402__pricing_quote(struct x402_provider *provider,
	const struct x402__route *route, const uint8_t request32[32],
	const struct x402__prices *prices, uint64_t now_unix_s)
{
	struct x402__quote *quote;
	uint64_t slot;

	if (!provider->quotes || !route->quote_s || !*prices->text)
		return;
	/* A place of its own for each request and price: who asks the same
	 * again and again displaces nobody else. */
	memcpy(&slot, request32, sizeof(slot));
	for (const char *c = prices->text; *c; c++)
		slot = slot * 31 + (unsigned char)*c;
	pthread_mutex_lock(&provider->lock);
	quote = &provider->quotes[slot % X402__QUOTES_MAX];
	memcpy(quote->request32, request32, sizeof(quote->request32));
	memcpy(quote->text, prices->text, sizeof(quote->text));
	quote->until_unix_s = now_unix_s + route->quote_s;
	pthread_mutex_unlock(&provider->lock);
}

struct x402__prices *x402__pricing_quoted(struct x402_provider *provider,
	struct x402__route *route, const uint8_t request32[32], size_t index,
	uint64_t now_unix_s)
{
	char text[X402_PROVIDER_PRICE_SIZE] = "";
	struct x402__prices *prices = NULL;

	if (!provider->quotes || !route->quote_s)
		return NULL;
	pthread_mutex_lock(&provider->lock);
	for (size_t i = 0; i < X402__QUOTES_MAX; i++) {
		const struct x402__quote *quote = &provider->quotes[i];

		if (quote->until_unix_s >= now_unix_s &&
			memcmp(quote->request32, request32, 32) == 0 &&
			index-- == 0) {
			memcpy(text, quote->text, sizeof(text));
			break;
		}
	}
	pthread_mutex_unlock(&provider->lock);
	if (!*text ||
		x402__pricing_at(provider, route, text, NULL, &prices) !=
			X402_OK)
		return NULL;
	return prices;
}
