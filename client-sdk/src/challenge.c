/*
 * challenge.c: a 402 is a stranger's request for money, and nothing in it is
 * believed. Who asks must be whom the caller asked, over TLS; what is asked
 * must be an offer that our schemes serve, in an asset of our own table and
 * below the caller's limits. The decimals that turn atomic units into dollars
 * come from libx402's table, never from the server (demands C3).
 */
#include "challenge_p.h"
#include "text_p.h"

#include <stdlib.h>
#include <strings.h>

static enum x402_err read_header(struct x402_span text,
	struct x402_errinfo *info, struct x402_payment_required *ret_required)
{
	struct x402_payment_required required = {0};
	enum x402_err err = x402_payment_required_decode(text, info, &required);
	if (err)
		return err;
	/* The header is v2's own: a v1 object in it is a confusion that
	 * would end with the payment in the wrong header. */
	if (required.x402_version != X402_V2) {
		x402_errinfo_set(info, "x402Version",
			"expected 2 in " X402_HEADER_PAYMENT_REQUIRED);
		x402_payment_required_clear(&required);
		return X402_ERR_VERSION;
	}
	*ret_required = required;
	return X402_OK;
}

static enum x402_err read_body(struct x402_span body, struct x402_errinfo *info,
	struct x402_payment_required *ret_required)
{
	struct x402_json *json = NULL;
	enum x402_err err = x402_json_parse(body, NULL, info, &json);
	if (err) {
		x402_errinfo_set(info, "",
			"neither a " X402_HEADER_PAYMENT_REQUIRED
			" header nor a JSON body");
		return err;
	}
	struct x402_payment_required required = {0};
	err = x402_payment_required_read(json, info, &required);
	x402_json_unref(json);
	if (err)
		return err;
	if (required.x402_version != X402_V1) {
		x402_errinfo_set(info, "x402Version",
			"expected 1 in a body without a header");
		x402_payment_required_clear(&required);
		return X402_ERR_VERSION;
	}
	*ret_required = required;
	return X402_OK;
}

enum x402_err x402__challenge_read(const struct x402__message *message,
	struct x402_errinfo *info, struct x402_payment_required *ret_required)
{
	size_t count = 0;
	const char *text = x402__header_find(message->headers,
		message->headers_len, X402_HEADER_PAYMENT_REQUIRED, &count);
	if (count > 1) {
		x402_errinfo_set(info, X402_HEADER_PAYMENT_REQUIRED,
			"the header came %zu times", count);
		return X402_ERR_SCHEMA;
	}
	if (count == 1)
		return read_header(x402_span_str(text), info, ret_required);
	return read_body(message->body, info, ret_required);
}

/* ---- Whom to pay. ---- */

/*
 * resource.url names what is sold. Its host must be the one asked, so that a
 * site cannot pass on another one's price. A server behind a TLS terminator
 * often says http for itself: the same host on default ports is the same.
 */
static bool is_own_resource(
	const struct x402__http_url *current, const char *resource)
{
	if (!resource || !*resource)
		return true;
	struct x402__http_url url = {0};
	if (x402__http_url_resolve(current, resource, &url))
		return false;
	bool own = x402__http_url_same_origin(current, &url) ||
		x402__http_url_is_upgrade(&url, current);
	x402__http_url_clear(&url);
	return own;
}

enum x402_client_cause x402__challenge_origin(
	const struct x402__choice *choice, struct x402_errinfo *info)
{
	const struct x402__http_url *current = choice->current;
	if (!choice->options->allow_http && !current->secure &&
		!x402__http_url_is_loopback(current)) {
		x402_errinfo_set(info, "url",
			"expected https, got %s: no payment over plain HTTP",
			current->shown);
		return X402_CLIENT_CAUSE_INSECURE;
	}
	if (choice->options->allow_other_origin)
		return X402_CLIENT_CAUSE_NONE;
	if (!x402__http_url_same_origin(choice->asked, current) &&
		!x402__http_url_is_upgrade(choice->asked, current)) {
		x402_errinfo_set(info, "url",
			"%s was asked, and after a redirect %s wants the money",
			choice->asked->shown, current->shown);
		return X402_CLIENT_CAUSE_ORIGIN;
	}
	const char *resource = choice->required->resource.url;
	if (!is_own_resource(current, resource)) {
		x402_errinfo_set(info, "resource.url",
			"expected a resource of %s, got %s", current->shown,
			resource);
		return X402_CLIENT_CAUSE_ORIGIN;
	}
	return X402_CLIENT_CAUSE_NONE;
}

/* ---- What to pay. ---- */

/* Our filters in front of the caller's policy, within x402_select(). */
struct filter {
	const struct x402__choice *choice;
	const struct x402_payment_requirements *unsupported;
	const struct x402_payment_requirements *over;
	const struct x402_payment_requirements *foreign;
};

/* A hash that nobody signs is the first comer's, and that may be another. */
static bool can_send(const struct x402_payment_requirements *offer)
{
	struct x402_proof_terms terms;
	bool bound = true;
	if (x402_json_has(offer->extra, "bound") &&
		!x402_json_bool(x402_json_get(offer->extra, "bound"), &bound))
		return false;
	return bound && !x402_proof_terms_read(offer, NULL, &terms);
}

/* C-050, C-060: can it be signed for with what is in extra? */
static bool can_sign(const struct x402__choice *choice,
	const struct x402_payment_requirements *offer)
{
	const char *caip2 = x402_payment_requirements_caip2(offer);
	struct x402_network network;
	if (!caip2 || x402_network_parse(caip2, &network))
		return false;
	if (network.family == X402_FAMILY_SVM) {
		struct x402_pubkey fee_payer;
		return choice->has_svm &&
			!x402_pubkey_parse(
				x402_json_get_string(offer->extra, "feePayer"),
				&fee_payer);
	}
	const struct x402_scheme *scheme = x402_scheme_for_offer(offer);
	struct x402_address address;
	if (network.family != X402_FAMILY_EVM || !scheme ||
		x402_address_parse(offer->pay_to, &address) ||
		x402_address_is_zero(&address))
		return false;
	if (scheme->delegates ? !choice->options->delegate : choice->no_evm)
		return false; /* no key or wallet for it here */
	if (scheme->shows_transfer)
		return can_send(offer);
	/* Both are bound to who will settle. */
	if (strcmp(offer->scheme, "upto") == 0 || scheme->delegates)
		return !x402_address_parse(x402_json_get_string(offer->extra,
						   "facilitatorAddress"),
			&address);
	/* Permit2 has a domain of its own. */
	return (scheme->method && strcmp(scheme->method, "permit2") == 0) ||
		(x402_json_get_string(offer->extra, "name") &&
			x402_json_get_string(offer->extra, "version"));
}

static bool is_over_atomic(const struct x402_client_options *options,
	const struct x402_payment_requirements *offer)
{
	struct x402_u256 amount;
	if (!options->max_atomic)
		return false;
	return x402_u256_from_dec(offer->amount, &amount) ||
		x402_u256_cmp(&amount, options->max_atomic) > 0;
}

/* An empty list admits all. base58 has two cases, hex only seems to. */
static bool is_listed(const char *const *list, size_t len, const char *text)
{
	bool hex = strncasecmp(text, "0x", 2) == 0;
	for (size_t i = 0; i < len; i++)
		if (hex ? strcasecmp(list[i], text) == 0
			: strcmp(list[i], text) == 0)
			return true;
	return len == 0;
}

static bool admit(void *user, const struct x402_payment_required *required,
	const struct x402_payment_requirements *offer)
{
	struct filter *filter = user;
	const struct x402_client_options *options = filter->choice->options;
	if (!can_sign(filter->choice, offer)) {
		filter->unsupported = offer;
		return false;
	}
	if (is_over_atomic(options, offer)) {
		filter->over = offer;
		return false;
	}
	/* v1 names the resource in each offer. */
	if (!options->allow_other_origin &&
		!is_own_resource(filter->choice->current, offer->resource)) {
		filter->foreign = offer;
		return false;
	}
	if (options->asset && strcasecmp(options->asset, offer->asset) != 0)
		return false;
	if (!is_listed(options->payees, options->payees_len, offer->pay_to) ||
		!is_listed(
			options->schemes, options->schemes_len, offer->scheme))
		return false;
	return !options->policy ||
		options->policy(options->user, required, offer);
}

static bool is_outcome(const struct x402_selection *selection, size_t len,
	enum x402_selection_outcome outcome, size_t *ret_index)
{
	for (size_t i = 0; i < len; i++) {
		if (selection->outcomes[i] == outcome) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static size_t index_of(const struct x402_payment_required *required,
	const struct x402_payment_requirements *offer)
{
	return (size_t)(offer - required->accepts);
}

/* Nothing was selected: name the reason that a person can act on. */
static enum x402_client_cause explain(const struct filter *filter,
	const struct x402_selection *selection, struct x402_errinfo *info,
	size_t *ret_index)
{
	const struct x402_payment_required *required = filter->choice->required;
	size_t len = required->accepts_len;
	char *text = NULL;
	if (!x402_selection_explain(required, selection, &text))
		x402_errinfo_set(info, "accepts", "%s", text);
	free(text);
	if (filter->foreign) {
		*ret_index = index_of(required, filter->foreign);
		x402_errinfo_set(info, "resource",
			"expected a resource of %s, got %s",
			filter->choice->current->shown,
			filter->foreign->resource);
		return X402_CLIENT_CAUSE_ORIGIN;
	}
	if (is_outcome(selection, len, X402_SELECTION_OVER_LIMIT, ret_index))
		return X402_CLIENT_CAUSE_OVER_LIMIT;
	if (filter->over) {
		*ret_index = index_of(required, filter->over);
		return X402_CLIENT_CAUSE_OVER_LIMIT;
	}
	if (is_outcome(selection, len, X402_SELECTION_UNKNOWN_ASSET, ret_index))
		return X402_CLIENT_CAUSE_UNKNOWN_ASSET;
	if (filter->unsupported) {
		*ret_index = index_of(required, filter->unsupported);
		return X402_CLIENT_CAUSE_NO_OFFER;
	}
	if (is_outcome(selection, len, X402_SELECTION_POLICY, ret_index))
		return X402_CLIENT_CAUSE_POLICY;
	return X402_CLIENT_CAUSE_NO_OFFER;
}

enum x402_client_cause x402__challenge_choose(const struct x402__choice *choice,
	struct x402_errinfo *info, size_t *ret_index)
{
	const struct x402_payment_required *required = choice->required;
	*ret_index = X402_ACCEPTS_MAX;
	if (required->accepts_len == 0) {
		x402_errinfo_set(
			info, "accepts", "no offer: sign-in is wanted");
		return X402_CLIENT_CAUSE_AUTH_ONLY;
	}
	enum x402_client_cause cause = x402__challenge_origin(choice, info);
	if (cause != X402_CLIENT_CAUSE_NONE)
		return cause;
	struct filter filter = {.choice = choice};
	const struct x402_client_options *options = choice->options;
	struct x402_selection_options rules = {
		/* To libx402 an empty list is "none at all". */
		.networks = options->networks_len ? options->networks : NULL,
		.networks_len = options->networks_len,
		.max_usd_micros = options->max_usd_micros,
		.allowed_assets = options->allowed_assets,
		.allowed_assets_len = options->allowed_assets_len,
		.sends_transfers = options->send_transfers,
		.delegates = options->delegate != NULL,
		.policy = admit,
		.user = &filter,
	};
	struct x402_selection selection = {0};
	if (x402_select(required, &rules, &selection)) {
		x402_errinfo_set(info, "accepts", "no selection possible");
		return X402_CLIENT_CAUSE_INTERNAL;
	}
	if (!selection.found)
		return explain(&filter, &selection, info, ret_index);
	*ret_index = selection.index;
	return X402_CLIENT_CAUSE_NONE;
}

void x402_client_payment_terms(const struct x402_payment_requirements *offer,
	struct x402_client_payment *payment)
{
	payment->x402_version = offer->x402_version;
	x402__text_take_id(
		payment->scheme, sizeof(payment->scheme), offer->scheme);
	x402__text_take_id(payment->network, sizeof(payment->network),
		x402_payment_requirements_caip2(offer));
	x402__text_take_id(
		payment->asset, sizeof(payment->asset), offer->asset);
	x402__text_take_id(
		payment->amount, sizeof(payment->amount), offer->amount);
	x402__text_take_id(
		payment->pay_to, sizeof(payment->pay_to), offer->pay_to);
}
