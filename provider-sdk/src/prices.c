/*
 * prices.c: turns a route's terms into a set of offers.
 *
 * x402__prices_new() goes through read_price() for each of the terms. Whatever
 * could make a sale go wrong later is refused here, with the path of the
 * option at fault (x402 P-104). The same road is taken by a price that is said
 * at request time, so that none gets round a check.
 */
#include "provider_p.h"

#include <stdio.h>
#include <stdlib.h>

static enum x402_err refuse(
	struct x402_errinfo *info, const char *field, const char *text)
{
	x402_errinfo_set(info, field, "%s", text);
	return X402_ERR_INVALID_ARGUMENT;
}

/* Lay the members of the caller's extra over what the asset says. */
static enum x402_err lay_extra(const struct x402_json *over,
	const struct x402_json *base, struct x402_json **ret_extra)
{
	struct x402_json *extra = base ? x402_json_copy(base)
				       : x402_json_new_object();
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;
	enum x402_err err = extra ? X402_OK : X402_ERR_NOMEM;

	while (err == X402_OK && x402_json_next(over, &iter, &key, &value))
		err = x402_json_set_take(extra, key, x402_json_copy(value));
	if (err != X402_OK) {
		x402_json_unref(extra);
		return err;
	}
	*ret_extra = extra;
	return X402_OK;
}

static bool is_upto(const struct x402_payment_requirements *req)
{
	return strcmp(req->scheme, "upto") == 0;
}

static bool is_delegation(const struct x402_scheme *scheme)
{
	return scheme->method && strcmp(scheme->method, "erc7710") == 0;
}

/*
 * upto is bound to the facilitator that will settle it (P-103), and a payer
 * delegates to it (F-07A).
 */
static enum x402_err check_settler(const struct x402_payment_requirements *req,
	struct x402_errinfo *info, const char *field)
{
	struct x402_address address;

	if (x402_address_parse(
		    x402_json_get_string(req->extra, "facilitatorAddress"),
		    &address) != X402_OK)
		return refuse(info, field,
			"missing_facilitator: upto and erc7710 need "
			"facilitatorAddress in extra_json");
	return X402_OK;
}

/* The message names who pays its fee: the facilitator that will settle it. */
static enum x402_err check_svm(const struct x402_payment_requirements *req,
	struct x402_errinfo *info, const char *field)
{
	struct x402_pubkey key;

	if (x402_pubkey_parse(x402_json_get_string(req->extra, "feePayer"),
		    &key) != X402_OK)
		return refuse(info, field,
			"missing_facilitator: Solana needs feePayer in "
			"extra_json");
	return X402_OK;
}

/* What the scheme table and this SDK can do of what extra asks for. */
static enum x402_err check_terms(const struct x402_payment_requirements *req,
	enum x402_payment_flow flow, bool holds, struct x402_errinfo *info,
	const char *field)
{
	const struct x402_scheme *scheme = x402_scheme_for_offer(req);

	if (!x402_scheme_find(req->scheme, req->network)) {
		x402_errinfo_set(info, field,
			"missing_scheme: none called %.32s on %.48s",
			req->scheme, req->network);
		return X402_ERR_INVALID_ARGUMENT;
	}
	if (!scheme)
		return refuse(info, field,
			"unsupported_asset_transfer_method: the scheme has "
			"none of that name");
	if (x402_payment_flow_of(req) != flow || !(scheme->flows & 1u << flow))
		return refuse(info, field,
			"unsupported_payment_flow: the route's settle says the "
			"flow, and the scheme must know it");
	if (is_upto(req) || is_delegation(scheme))
		return check_settler(req, info, field);
	if (scheme->family == X402_FAMILY_SVM && holds)
		return refuse(info, field,
			"unsupported_payment_flow: nobody holds an amount on "
			"Solana, so settle cannot reserve there");
	if (scheme->shows_transfer)
		return X402_OK; /* a plain transfer: no domain is signed */
	if (scheme->family == X402_FAMILY_SVM)
		return check_svm(req, info, field);
	/* Permit2 has a domain of its own. */
	if (scheme->method && strcmp(scheme->method, "permit2") == 0)
		return X402_OK;
	if (!x402_json_get_string(req->extra, "name") ||
		!x402_json_get_string(req->extra, "version"))
		return refuse(info, field,
			"expected extra_json with the name and version of the "
			"token's EIP-712 domain");
	return X402_OK;
}

static enum x402_err check_pay_to(const struct x402_provider_price *price,
	struct x402_errinfo *info, const char *field)
{
	struct x402_address address;

	if (!price->pay_to)
		return refuse(info, field, "expected pay_to");
	if (strncmp(price->network, "solana:", 7) == 0) {
		struct x402_pubkey key;

		if (x402_pubkey_parse(price->pay_to, &key) != X402_OK ||
			x402_pubkey_is_zero(&key))
			return refuse(info, field,
				"pay_to: expected an account of Solana, in "
				"base58");
		return X402_OK;
	}
	if (strncmp(price->network, "eip155:", 7) != 0)
		return X402_OK;
	if (x402_address_parse_checked(price->pay_to, &address) != X402_OK)
		return refuse(info, field,
			"pay_to: expected 0x and 40 hex digits with a right "
			"checksum");
	if (x402_address_is_zero(&address))
		return refuse(info, field,
			"pay_to: the zero address belongs to nobody");
	return X402_OK;
}

static const struct x402_default_asset *asset_of(
	const struct x402_provider_price *price)
{
	return price->asset ? x402_known_asset(price->network, price->asset)
			    : x402_default_asset_of(price->network);
}

/* Dollars in an asset that only the options know. */
static enum x402_err price_in_own_asset(const struct x402_provider_price *price,
	struct x402_errinfo *info, const char *field,
	char ret_amount[X402_U256_DEC_SIZE])
{
	struct x402_u256 atomic;

	if (!price->asset || !price->decimals)
		return refuse(info, field,
			"a price in dollars needs an asset that is known, or "
			"asset and decimals");
	if (x402_price_parse(price->price, price->decimals, &atomic) !=
			X402_OK ||
		x402_u256_is_zero(&atomic))
		return refuse(info, field,
			"price: expected dollars such as $0.01, more than 0");
	x402_u256_to_dec(&atomic, ret_amount);
	return X402_OK;
}

/* The terms' text for an amount; its address lives in ret_amount. */
static enum x402_err explicit_terms(const struct x402_provider_price *price,
	struct x402_errinfo *info, const char *field,
	char ret_amount[X402_U256_DEC_SIZE])
{
	struct x402_asset_id asset;
	struct x402_u256 amount;

	if (!price->asset ||
		x402_asset_id_init(price->network, price->asset, &asset) !=
			X402_OK)
		return refuse(info, field, "asset: expected an address");
	if (price->price)
		return price_in_own_asset(price, info, field, ret_amount);
	if (x402_u256_from_dec(price->amount, &amount) != X402_OK ||
		x402_u256_is_zero(&amount))
		return refuse(info, field,
			"amount: expected a positive decimal number");
	x402_u256_to_dec(&amount, ret_amount);
	return X402_OK;
}

/* price or amount, into requirements whose strings the caller keeps alive. */
static enum x402_err price_terms(const struct x402_provider_price *price,
	struct x402_errinfo *info, const char *field,
	char ret_amount[X402_U256_DEC_SIZE],
	struct x402_payment_requirements *ret_req)
{
	int64_t timeout = price->max_timeout_seconds
		? price->max_timeout_seconds
		: X402_PROVIDER_TIMEOUT_SECONDS;
	enum x402_err err;

	if (timeout < 1)
		return refuse(info, field, "max_timeout_seconds: expected > 0");
	if (!price->price == !price->amount)
		return refuse(info, field,
			"expected either price or amount and asset");
	if (price->price && !(price->asset && price->decimals)) {
		err = x402_requirements_from_price(price->price, price->network,
			price->asset, price->pay_to, timeout, ret_req);
		/* Free is a route without prices, never a payment of 0. */
		if (err == X402_OK && strcmp(ret_req->amount, "0") == 0) {
			x402_payment_requirements_clear(ret_req);
			err = X402_ERR_RANGE;
		}
		if (err == X402_OK || err == X402_ERR_NOMEM)
			return err;
		x402_errinfo_set(info, field, "price '%.32s' on %.48s: %s",
			price->price, price->network, x402_err_text(err));
		return X402_ERR_INVALID_ARGUMENT;
	}
	err = explicit_terms(price, info, field, ret_amount);
	if (err != X402_OK)
		return err;
	*ret_req = (struct x402_payment_requirements){
		.x402_version = X402_V2,
		.network = price->network,
		.amount = ret_amount,
		.asset = price->asset,
		.pay_to = price->pay_to,
		.max_timeout_seconds = timeout,
	};
	return X402_OK;
}

/* What the protocol itself keeps in extra (L-060, L-062). */
static enum x402_err lay_protocol(const struct x402__route *route,
	const struct x402_provider_price *price, struct x402_json *extra)
{
	const char *scheme = price->scheme ? price->scheme : "exact";
	enum x402_err err = X402_OK;

	if (strcmp(scheme, X402_PROOF_SCHEME) == 0)
		err = x402_json_set_bool(
			extra, "bound", !price->unbound_proofs);

	if (err == X402_OK && route->settle == X402_PROVIDER_SETTLE_BEFORE)
		err = x402_json_set_string(extra, "paymentFlow", "upfront");
	if (err == X402_OK && strcmp(scheme, "upto") == 0)
		err = x402_json_set_string(
			extra, "assetTransferMethod", "permit2");
	return err;
}

static enum x402_payment_flow flow_of(const struct x402__route *route)
{
	return route->settle == X402_PROVIDER_SETTLE_BEFORE
		? X402_FLOW_UPFRONT
		: X402_FLOW_AUTHORIZATION;
}

/* The offer with scheme and extra set, as text. */
static enum x402_err offer_text(const struct x402__route *route,
	const struct x402_provider_price *price,
	struct x402_payment_requirements *req, const struct x402_json *over,
	struct x402_errinfo *info, const char *field, char **ret_text)
{
	struct x402_json *extra = NULL;
	struct x402_json *json = NULL;
	enum x402_err err = lay_extra(over, req->extra, &extra);

	req->scheme = price->scheme ? price->scheme : "exact";
	if (err == X402_OK)
		err = lay_protocol(route, price, extra);
	req->extra = extra;
	req->json = NULL; /* build from the fields, not from the old tree */
	if (err == X402_OK)
		err = check_terms(req, flow_of(route),
			route->settle == X402_PROVIDER_SETTLE_RESERVE, info,
			field);
	if (err == X402_OK)
		err = x402_payment_requirements_to_json(req, &json);
	if (err == X402_OK) {
		*ret_text = x402_json_dump(json);
		err = *ret_text ? X402_OK : X402_ERR_NOMEM;
	}
	x402_json_unref(json);
	x402_json_unref(extra);
	return err;
}

enum x402_err x402__parse_object(const char *text, struct x402_errinfo *info,
	const char *field, struct x402_json **ret_json)
{
	struct x402_json *json = NULL;
	enum x402_err err = x402_json_parse(
		x402_span_str(text), NULL, NULL, &json);

	if (err == X402_ERR_NOMEM)
		return err;
	if (err != X402_OK || x402_json_type(json) != X402_JSON_OBJECT) {
		x402_json_unref(json);
		return refuse(info, field, "expected a JSON object");
	}
	*ret_json = json;
	return X402_OK;
}

/* Where a reference goes, right after the member's brace. */
static enum x402_err mark_proof(const struct x402__route *route,
	const struct x402_provider_price *price, struct x402_errinfo *info,
	const char *field, struct x402__offer *offer)
{
	static const char mark[] = "\"extra\":{";
	const char *at;

	if (!price->scheme || strcmp(price->scheme, X402_PROOF_SCHEME) != 0)
		return price->unbound_proofs
			? refuse(info, field,
				  "unbound_proofs: expected scheme proof")
			: X402_OK;
	if (route->settle == X402_PROVIDER_SETTLE_RESERVE)
		return refuse(info, field,
			"scheme proof: a transfer that was sent is not held; "
			"settle before or after");
	/* Quotes inside of values are escaped: the first is the member. */
	at = strstr(offer->json, mark);
	if (!at)
		return X402_ERR_INTERNAL;
	offer->fresh_at = (size_t)(at - offer->json) + sizeof(mark) - 1;
	return X402_OK;
}

static enum x402_err read_price(const struct x402__route *route,
	const struct x402_provider_price *price, struct x402_errinfo *info,
	const char *field, struct x402__offer *offer)
{
	const struct x402_default_asset *known;
	struct x402_payment_requirements terms = {0};
	struct x402_payment_requirements req;
	char amount[X402_U256_DEC_SIZE];
	struct x402_network network;
	struct x402_json *over = NULL;
	enum x402_err err;

	if (!price->network ||
		x402_network_parse(price->network, &network) != X402_OK)
		return refuse(info, field,
			"network: expected CAIP-2 such as eip155:8453");
	err = check_pay_to(price, info, field);
	if (err == X402_OK && price->extra_json)
		err = x402__parse_object(price->extra_json, info, field, &over);
	if (err == X402_OK)
		err = price_terms(price, info, field, amount, &terms);
	if (err == X402_OK) {
		req = terms;
		err = offer_text(
			route, price, &req, over, info, field, &offer->json);
		x402_payment_requirements_clear(&terms);
	}
	if (err == X402_OK)
		err = mark_proof(route, price, info, field, offer);
	x402_json_unref(over);
	known = asset_of(price);
	offer->decimals = price->decimals ? price->decimals
		: known                   ? known->decimals
					  : 0;
	offer->v1_network = x402__offer_is_proof(offer)
		? NULL
		: x402_network_to_v1_name(price->network);
	return err;
}

/* ---- Sets. ---- */

/* "10000atomic" is in each asset's own units; all else is dollars. amount is
 * where the digits go, and must live as long as price. */
static void say_price(const char *text, struct x402_provider_price *price,
	char amount[X402_PROVIDER_PRICE_SIZE])
{
	size_t digits = strspn(text, "0123456789");

	price->price = text;
	price->amount = NULL;
	if (digits == 0 || strcmp(text + digits, "atomic") != 0)
		return;
	memcpy(amount, text, digits);
	amount[digits] = '\0';
	price->price = NULL;
	price->amount = amount;
}

static enum x402_err read_offers(const struct x402__route *route,
	const char *text, struct x402_errinfo *info, const char *field,
	struct x402__prices *prices)
{
	bool v1_name = false;

	for (size_t i = 0; i < route->terms_len; i++) {
		struct x402_provider_price price = route->terms[i];
		struct x402__offer *offer = &prices->offers[i];
		char amount[X402_PROVIDER_PRICE_SIZE];
		enum x402_err err;
		char name[96];

		if (text)
			say_price(text, &price, amount);
		snprintf(name, sizeof(name), "%s.prices[%zu]", field, i);
		prices->offers_len++; /* unref frees it, also half built */
		err = read_price(route, &price, info, name, offer);
		if (err != X402_OK)
			return err;
		if (!route->v1 || !offer->v1_network)
			continue;
		v1_name = true;
		err = x402__offer_write_v1(route, offer);
		if (err != X402_OK)
			return err;
	}
	if (route->v1 && !v1_name)
		return refuse(
			info, field, "v1: none of the networks has a v1 name");
	return X402_OK;
}

static enum x402_err write_accepts(struct x402__prices *prices)
{
	struct x402_buf accepts = {0};

	for (size_t i = 0; i < prices->offers_len; i++) {
		x402_buf_add_byte(&accepts, i ? ',' : '[');
		x402_buf_add_str(&accepts, prices->offers[i].json);
	}
	x402_buf_add_byte(&accepts, ']');
	prices->accepts = x402_buf_take_str(&accepts);
	return prices->accepts ? X402_OK : X402_ERR_NOMEM;
}

enum x402_err x402__prices_new(const struct x402__route *route,
	const char *text, struct x402_errinfo *info, const char *field,
	struct x402__prices **ret_prices)
{
	struct x402__prices *prices = calloc(1, sizeof(*prices));
	enum x402_err err = X402_OK;

	if (!prices)
		return X402_ERR_NOMEM;
	prices->users = 1;
	prices->offers = calloc(route->terms_len, sizeof(*prices->offers));
	if (!prices->offers)
		err = X402_ERR_NOMEM;
	else if (text && strlen(text) >= sizeof(prices->text))
		err = refuse(info, field, "the price is too long");
	else if (text)
		memcpy(prices->text, text, strlen(text));
	if (err == X402_OK)
		err = read_offers(route, text, info, field, prices);
	if (err == X402_OK)
		err = write_accepts(prices);
	if (err != X402_OK) {
		x402__prices_unref(prices);
		return err;
	}
	*ret_prices = prices;
	return X402_OK;
}

bool x402__prices_have_proofs(const struct x402__prices *prices)
{
	for (size_t i = 0; i < prices->offers_len; i++)
		if (x402__offer_is_proof(&prices->offers[i]))
			return true;
	return false;
}

struct x402__prices *x402__prices_ref(struct x402__prices *prices)
{
	if (prices)
		__atomic_add_fetch(&prices->users, 1, __ATOMIC_RELAXED);
	return prices;
}

void x402__prices_unref(struct x402__prices *prices)
{
	if (!prices ||
		__atomic_sub_fetch(&prices->users, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < prices->offers_len; i++) {
		free(prices->offers[i].json);
		free(prices->offers[i].v1_head);
		free(prices->offers[i].v1_tail);
	}
	free(prices->offers);
	free(prices->accepts);
	free(prices);
}
