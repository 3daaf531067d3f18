/*
 * offer.c: what a location sells, and how, as a provider of the SDK.
 *
 *   x402_ngx_price_read()  what a price came to, as the SDK says prices
 *   x402_ngx_offer_make()  the location's configuration as options
 *   x402_ngx_offer_route() ... and as one route among others, for documents
 *     read_offer()         one network that takes the price
 *
 * The location is the route: nginx has chosen it on the path that it will
 * serve by, decoded and normalised, so no path can mean one thing here and
 * another there (x402 P-113).
 */
#include "module.h"

#include <stdlib.h>
#include <string.h>

/* "solana:..." and nothing else. */
static bool is_svm(const char *network)
{
	return strncmp(network, "solana:", 7) == 0;
}

/*
 * A bare number is no price: a slip between dollars and atomic units would sell
 * for a millionth.
 */
const char *x402_ngx_price_read(ngx_pool_t *pool, const char *said)
{
	size_t number = strspn(said, "0123456789.");
	ngx_str_t str = {number, (u_char *)(uintptr_t)said};

	if (said[0] == '$')
		return said;
	if (number > 0 && strcasecmp(said + number, "usd") == 0)
		return x402_ngx_str(pool, &str);
	if (number > 0 && strcmp(said + number, "atomic") == 0)
		return said;
	return NULL;
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

/* ---- One network. ---- */

/* What libx402 knows of the asset: its address, and the names of its domain.
 * Of one that it does not know the configuration says what it has said. */
static enum x402_err know_asset(ngx_pool_t *pool,
	struct x402_provider_price *price, struct x402_json **ret_extra)
{
	struct x402_payment_requirements known = {0};
	ngx_str_t asset;
	enum x402_err err = x402_requirements_from_price(
		"$1", price->network, price->asset, price->pay_to, 60, &known);

	if (err == X402_ERR_NOMEM)
		return err;
	if (err != X402_OK) {
		*ret_extra = x402_json_new_object();
		return *ret_extra ? X402_OK : X402_ERR_NOMEM;
	}
	asset.data = (u_char *)(uintptr_t)known.asset;
	asset.len = strlen(known.asset);
	price->asset = x402_ngx_str(pool, &asset);
	*ret_extra = known.extra ? x402_json_copy(known.extra)
				 : x402_json_new_object();
	x402_payment_requirements_clear(&known);
	return price->asset && *ret_extra ? X402_OK : X402_ERR_NOMEM;
}

static enum x402_err name_asset(ngx_pool_t *pool,
	const struct x402_ngx_offer *offer, struct x402_json **ret_extra)
{
	struct x402_json *extra = x402_json_new_object();
	const char *name = x402_ngx_str(pool, &offer->asset_name);
	const char *version = x402_ngx_str(pool, &offer->asset_version);

	if (!extra || !name || !version ||
		x402_json_set_string(extra, "name", name) != X402_OK ||
		x402_json_set_string(extra, "version", version) != X402_OK) {
		x402_json_unref(extra);
		return X402_ERR_NOMEM;
	}
	*ret_extra = extra;
	return X402_OK;
}

/* Who will settle, where the payment is bound to it (x402 P-103). */
static enum x402_err add_signer(ngx_pool_t *pool,
	const struct x402_ngx_offer *offer,
	const struct x402_provider_price *price, struct x402_errinfo *info,
	struct x402_json *extra)
{
	const char *name = is_svm(price->network) ? "feePayer"
		: price->scheme                   ? "facilitatorAddress"
						  : NULL;
	const char *signer = text(pool, &offer->signer);

	if (!name)
		return X402_OK;
	if (!signer) {
		x402_errinfo_set(info, "x402_facilitator_signer",
			"expected the facilitator's account that settles on "
			"%.48s (its /supported lists it)",
			price->network);
		return X402_ERR_INVALID_ARGUMENT;
	}
	return x402_json_set_string(extra, name, signer);
}

/* said may be NULL for a price that nobody has said yet. */
static enum x402_err say_price(
	ngx_pool_t *pool, const char *said, struct x402_provider_price *price)
{
	ngx_str_t digits;

	if (!said)
		return X402_OK;
	digits.data = (u_char *)(uintptr_t)said;
	digits.len = strspn(said, "0123456789");
	if (strcmp(said + digits.len, "atomic") != 0) {
		price->price = said;
		return X402_OK;
	}
	price->amount = x402_ngx_str(pool, &digits);
	return price->amount ? X402_OK : X402_ERR_NOMEM;
}

static enum x402_err read_offer(ngx_pool_t *pool,
	const struct x402_ngx_loc *lcf, const struct x402_ngx_offer *offer,
	const struct x402_ngx_said *said, struct x402_errinfo *info,
	struct x402_provider_price *ret_price)
{
	const char *network = x402_ngx_str(pool, &offer->network);
	const char *caip2 = network ? x402_network_from_v1_name(network) : NULL;
	const char *pay_to = text(pool, &offer->pay_to);
	struct x402_provider_price price = {
		.scheme = lcf->upto ? "upto" : NULL,
		.network = caip2 ? caip2 : network,
		.pay_to = pay_to ? pay_to : said->pay_to,
		.asset = text(pool, &offer->asset),
		.decimals = (unsigned)offer->asset_decimals,
		.max_timeout_seconds = lcf->payment_timeout,
	};
	struct x402_json *extra = NULL;
	ngx_str_t text_;
	enum x402_err err;
	char *json;

	if (!network)
		return X402_ERR_NOMEM;
	err = offer->asset_name.len ? name_asset(pool, offer, &extra)
				    : know_asset(pool, &price, &extra);
	if (err == X402_OK)
		err = add_signer(pool, offer, &price, info, extra);
	json = err == X402_OK ? x402_json_dump(extra) : NULL;
	x402_json_unref(extra);
	if (err != X402_OK)
		return err;
	if (!json)
		return X402_ERR_NOMEM;
	text_.data = (u_char *)json;
	text_.len = strlen(json);
	price.extra_json = x402_ngx_str(pool, &text_);
	free(json);
	*ret_price = price;
	return price.extra_json ? say_price(pool, said->price, ret_price)
				: X402_ERR_NOMEM;
}

/* The main one, then what x402_also has added. */
static enum x402_err read_offers(ngx_pool_t *pool,
	const struct x402_ngx_loc *lcf, const struct x402_ngx_said *said,
	struct x402_errinfo *info, struct x402_provider_route *route)
{
	size_t more = lcf->also ? lcf->also->nelts : 0;
	const struct x402_ngx_offer *also = more ? lcf->also->elts : NULL;
	struct x402_provider_price *prices = ngx_pcalloc(
		pool, (more + 1) * sizeof(*prices));
	enum x402_err err;

	if (!prices)
		return X402_ERR_NOMEM;
	err = read_offer(pool, lcf, &lcf->offer, said, info, &prices[0]);
	for (size_t i = 0; err == X402_OK && i < more; i++)
		err = read_offer(
			pool, lcf, &also[i], said, info, &prices[i + 1]);
	/* Units of one asset are another amount in the next. */
	if (err == X402_OK && more && prices[0].amount) {
		x402_errinfo_set(
			info, "x402_also", "expected x402_price in dollars");
		err = X402_ERR_INVALID_ARGUMENT;
	}
	route->prices = prices;
	route->prices_len = more + 1;
	for (size_t i = 0; err == X402_OK && i < route->prices_len; i++)
		route->v1 = route->v1 ||
			(lcf->v1 && x402_network_to_v1_name(prices[i].network));
	return err;
}

/* ---- The whole. ---- */

/* A sign-in is a wallet's of one of these chains. */
static bool sells_on_evm(const struct x402_provider_route *route)
{
	for (size_t i = 0; i < route->prices_len; i++)
		if (strncmp(route->prices[i].network, "eip155:", 7) == 0)
			return true;
	return false;
}

static void add_access(
	const struct x402_ngx_loc *lcf, struct x402_provider_route *route)
{
	/* For the path that was paid for, or all: locations have one and the
	 * same pattern, so a pass for a route would be one for the site. */
	route->pass_s = (uint32_t)lcf->pass;
	route->pass_uses = (uint32_t)lcf->pass_uses;
	route->pass_scope = lcf->pass_site ? X402_PROVIDER_SCOPE_SITE
					   : X402_PROVIDER_SCOPE_RESOURCE;
	route->free_per_day = (uint32_t)lcf->free_per_day;
	route->crawlers_only = lcf->crawlers_only;
	route->identifier =
		(enum x402_provider_identifier)lcf->payment_identifier;
	if (lcf->crawlers) {
		route->crawlers = lcf->crawlers->elts;
		route->crawlers_len = lcf->crawlers->nelts;
	}
	if (lcf->holders) {
		route->holders = lcf->holders->elts;
		route->holders_len = lcf->holders->nelts;
	}
}

enum x402_err x402_ngx_offer_route(ngx_pool_t *pool,
	const struct x402_ngx_loc *lcf, const struct x402_ngx_said *said,
	struct x402_errinfo *info, struct x402_provider_route *ret_route)
{
	struct x402_provider_route route = {
		.pattern = "/*",
		.description = text(pool, &lcf->description),
		.mime_type = text(pool, &lcf->mime_type),
		.settle = (enum x402_provider_settle)lcf->settle,
		/* Also where it never changes: what a payment was asked for is
		 * then on the ledger, and holds when the price has changed. */
		.price_at_request = true,
	};
	enum x402_err err = read_offers(pool, lcf, said, info, &route);

	if (err != X402_OK)
		return err;
	add_access(lcf, &route);
	if (route.holders_len && !sells_on_evm(&route)) {
		x402_errinfo_set(info, "x402_holder",
			"expected a network of EVM beside: holders sign in "
			"with its wallets");
		return X402_ERR_INVALID_ARGUMENT;
	}
	*ret_route = route;
	return X402_OK;
}

enum x402_err x402_ngx_offer_make(ngx_pool_t *pool,
	const struct x402_ngx_loc *lcf, const struct x402_ngx_said *said,
	const struct x402_provider_memory *memory, struct x402_errinfo *info,
	struct x402_provider **ret_provider)
{
	struct x402_provider_route route;
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
		.rpcs = lcf->rpcs ? lcf->rpcs->elts : NULL,
		.rpcs_len = lcf->rpcs ? lcf->rpcs->nelts : 0,
	};
	enum x402_err err = x402_ngx_offer_route(pool, lcf, said, info, &route);

	return err == X402_OK ? x402_provider_new(&options, info, ret_provider)
			      : err;
}
