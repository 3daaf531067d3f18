/*
 * Choosing an offer (C-020 to C-032), matching a payment to an offer (P-120),
 * and building the envelope of a payment (C-040 to C-043).
 */
#include <stdlib.h>

#include "fields_p.h"
#include "x402/negotiate.h"
#include "x402/scheme.h"

enum x402_payment_flow x402_payment_flow_of(
	const struct x402_payment_requirements *req)
{
	const char *flow = x402_json_get_string(req->extra, "paymentFlow");

	if (!x402_json_get(req->extra, "paymentFlow"))
		return X402_FLOW_AUTHORIZATION;
	if (!flow)
		return X402_FLOW_UNKNOWN;
	if (strcmp(flow, "authorization") == 0)
		return X402_FLOW_AUTHORIZATION;
	if (strcmp(flow, "upfront") == 0)
		return X402_FLOW_UPFRONT;
	if (strcmp(flow, "escrow") == 0)
		return X402_FLOW_ESCROW;
	return X402_FLOW_UNKNOWN;
}

static bool network_wanted(
	const struct x402_selection_options *options, const char *caip2)
{
	if (!options->networks)
		return true;
	for (size_t i = 0; i < options->networks_len; i++) {
		if (x402_network_matches(options->networks[i], caip2))
			return true;
	}
	return false;
}

/*
 * Millionths of a dollar, rounded up so that nothing slips under the cap.
 * False when it does not fit 256 bits, which is above every cap.
 */
static bool usd_micros(const struct x402_u256 *atomic, unsigned decimals,
	struct x402_u256 *ret_micros)
{
	struct x402_u256 one = x402_u256_from_u64(1);
	struct x402_u256 value = *atomic;

	for (; decimals < 6; decimals++) {
		if (!x402_u256_mul_u64(&value, 10, &value))
			return false;
	}
	for (; decimals > 6; decimals--) {
		uint64_t rest = 0;

		if (!x402_u256_div_u64(&value, 10, &value, &rest) ||
			(rest > 0 && !x402_u256_add(&value, &one, &value)))
			return false;
	}
	*ret_micros = value;
	return true;
}

/* The caller's own entry for this asset, or NULL. */
static const struct x402_amount *allowed_entry(
	const struct x402_selection_options *options,
	const struct x402_asset_id *asset)
{
	for (size_t i = 0; i < options->allowed_assets_len; i++) {
		const struct x402_amount *entry = &options->allowed_assets[i];

		if (x402_asset_id_equal(x402_amount_asset(entry), asset))
			return entry;
	}
	return NULL;
}

/* C-030, C-031: what the amount may be. */
static enum x402_selection_outcome check_spending(
	const struct x402_payment_requirements *offer, const char *caip2,
	const struct x402_selection_options *options)
{
	uint64_t max = options->max_usd_micros ? options->max_usd_micros
					       : X402_DEFAULT_MAX_USD_MICROS;
	const struct x402_default_asset *known = x402_known_asset(
		caip2, offer->asset);
	const struct x402_amount *entry;
	struct x402_u256 cap = x402_u256_from_u64(max);
	struct x402_asset_id asset;
	struct x402_amount amount;
	struct x402_u256 value;
	struct x402_u256 micros;
	int order;

	if (x402_asset_id_init(caip2, offer->asset, &asset) != X402_OK ||
		x402_amount_from_atomic(offer->amount, &asset, &amount) !=
			X402_OK)
		return X402_SELECTION_UNSUPPORTED;
	entry = allowed_entry(options, &asset);
	if (entry)
		return x402_amount_cmp(&amount, entry, &order) && order <= 0
			? X402_SELECTION_OK
			: X402_SELECTION_OVER_LIMIT;
	if (!known || !known->official || !known->usd)
		return X402_SELECTION_UNKNOWN_ASSET;
	value = x402_amount_value(&amount);
	return usd_micros(&value, known->decimals, &micros) &&
			x402_u256_cmp(&micros, &cap) <= 0
		? X402_SELECTION_OK
		: X402_SELECTION_OVER_LIMIT;
}

/* One offer through the steps C-020 to C-023, in that order. */
static enum x402_selection_outcome judge_offer(
	const struct x402_payment_required *required,
	const struct x402_payment_requirements *offer,
	const struct x402_selection_options *options)
{
	const char *caip2 = x402_payment_requirements_caip2(offer);
	/* L-062: the method that is asked for, or what none means. */
	const struct x402_scheme *scheme = x402_scheme_for_offer(offer);
	enum x402_payment_flow flow = x402_payment_flow_of(offer);
	enum x402_selection_outcome outcome;

	if (!scheme || !scheme->create_payload ||
		(scheme->shows_transfer && !options->sends_transfers) ||
		(scheme->delegates && !options->delegates) ||
		!network_wanted(options, caip2))
		return X402_SELECTION_UNSUPPORTED;
	if (flow == X402_FLOW_UNKNOWN || !(scheme->flows & 1u << flow))
		return X402_SELECTION_FLOW;
	outcome = check_spending(offer, caip2, options);
	if (outcome == X402_SELECTION_OK && options->policy &&
		!options->policy(options->user, required, offer))
		return X402_SELECTION_POLICY;
	return outcome;
}

enum x402_err x402_select(const struct x402_payment_required *required,
	const struct x402_selection_options *options,
	struct x402_selection *ret_selection)
{
	static const struct x402_selection_options defaults =
		X402_SELECTION_OPTIONS_INIT;
	struct x402_selection selection;
	bool found_authorization = false;

	memset(&selection, 0, sizeof(selection));
	if (!options)
		options = &defaults;
	if ((options->networks_len && !options->networks) ||
		(options->allowed_assets_len && !options->allowed_assets))
		return X402_ERR_INVALID_ARGUMENT;
	for (size_t i = 0; i < required->accepts_len; i++) {
		const struct x402_payment_requirements *offer =
			&required->accepts[i];
		bool authorization = x402_payment_flow_of(offer) ==
			X402_FLOW_AUTHORIZATION;

		selection.outcomes[i] = judge_offer(required, offer, options);
		if (selection.outcomes[i] != X402_SELECTION_OK)
			continue;
		/* C-024, C-025: the first, but authorization goes first. */
		if (!selection.found ||
			(authorization && !found_authorization)) {
			selection.index = i;
			selection.found = true;
			found_authorization = authorization;
		}
	}
	*ret_selection = selection;
	return X402_OK;
}

static const char *outcome_text(enum x402_selection_outcome outcome)
{
	switch (outcome) {
	case X402_SELECTION_OK:
		return "acceptable";
	case X402_SELECTION_UNSUPPORTED:
		return "not a kind of payment this client can make";
	case X402_SELECTION_FLOW:
		return "unsupported payment flow";
	case X402_SELECTION_OVER_LIMIT:
		return "above the limit per payment";
	case X402_SELECTION_UNKNOWN_ASSET:
		return "asset is not a default one and was not allowed";
	case X402_SELECTION_POLICY:
		return "refused by policy";
	}
	return "?";
}

/*
 * The server's words in a line for a person's terminal: cut, and without the
 * bytes that would move its cursor. Honest identifiers are ASCII.
 */
static void add_plain(struct x402_buf *buf, const char *text, size_t max)
{
	for (size_t i = 0; text[i] && i < max; i++) {
		bool plain = text[i] >= ' ' && text[i] <= '~';

		x402_buf_add_byte(buf, plain ? (uint8_t)text[i] : '?');
	}
}

enum x402_err x402_selection_explain(
	const struct x402_payment_required *required,
	const struct x402_selection *selection, char **ret_text)
{
	struct x402_buf buf = {0};
	char *text;

	if (required->accepts_len == 0)
		x402_buf_add_str(&buf, "nothing was offered");
	for (size_t i = 0; i < required->accepts_len; i++) {
		const struct x402_payment_requirements *offer =
			&required->accepts[i];

		x402_buf_add_str(&buf, i ? "; " : "");
		add_plain(&buf, offer->scheme, 32);
		x402_buf_add_str(&buf, " on ");
		add_plain(&buf, offer->network, 64);
		x402_buf_printf(&buf, ", %.78s of ", offer->amount);
		add_plain(&buf, offer->asset, 64);
		x402_buf_printf(
			&buf, ": %s", outcome_text(selection->outcomes[i]));
	}
	text = x402_buf_take_str(&buf);
	if (!text)
		return X402_ERR_NOMEM;
	*ret_text = text;
	return X402_OK;
}

/* Every key of the offer's extra is in the other, and equal (P-120). */
static bool extra_contains(
	const struct x402_json *offer, const struct x402_json *accepted)
{
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;

	while (x402_json_next(offer, &iter, &key, &value)) {
		if (!x402_json_equal(value, x402_json_get(accepted, key)))
			return false;
	}
	return true;
}

bool x402_requirements_match(const struct x402_payment_requirements *offer,
	const struct x402_payment_payload *payload)
{
	const struct x402_payment_requirements *accepted = &payload->accepted;

	if (offer->x402_version != payload->x402_version ||
		strcmp(offer->scheme, payload->scheme) != 0 ||
		strcmp(offer->network, payload->network) != 0)
		return false;
	if (payload->x402_version == X402_V1)
		return true;
	return strcmp(offer->amount, accepted->amount) == 0 &&
		strcmp(offer->asset, accepted->asset) == 0 &&
		strcmp(offer->pay_to, accepted->pay_to) == 0 &&
		offer->max_timeout_seconds == accepted->max_timeout_seconds &&
		extra_contains(offer->extra, accepted->extra);
}

/*
 * C-042: the server's extensions, with what the client adds inside each.
 * Server values win at every level that both declare.
 */
static enum x402_err merge_into(
	struct x402_json *target, const struct x402_json *additions)
{
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;
	enum x402_err err = X402_OK;

	while (!err && x402_json_next(additions, &iter, &key, &value)) {
		if (!x402_json_has(target, key))
			err = x402_json_set_take(
				target, key, x402_json_copy(value));
	}
	return err;
}

static bool has_text(const struct x402_json *list, const char *text)
{
	for (size_t i = 0; i < x402_json_size(list); i++) {
		const char *one = x402_json_string(x402_json_at(list, i));

		if (one && strcmp(one, text) == 0)
			return true;
	}
	return false;
}

/* A text, or a list of them. */
static enum x402_err add_texts(
	struct x402_json *list, const struct x402_json *more)
{
	const char *text = x402_json_string(more);
	enum x402_err err = X402_OK;

	if (text && !has_text(list, text))
		return x402_json_append_take(list, x402_json_copy(more));
	for (size_t i = 0; !err && i < x402_json_size(more); i++)
		if (x402_json_string(x402_json_at(more, i)))
			err = add_texts(list, x402_json_at(more, i));
	return err;
}

/* E-BC: services are added up, the client's first. */
static enum x402_err merge_services(
	struct x402_json *server, const struct x402_json *client)
{
	const struct x402_json *ours = x402_json_get(client, "s");
	struct x402_json *list;
	enum x402_err err;

	if (!ours)
		return X402_OK;
	list = x402_json_new_array();
	err = list ? add_texts(list, ours) : X402_ERR_NOMEM;
	if (!err)
		err = add_texts(list, x402_json_get(server, "s"));
	if (err) {
		x402_json_unref(list);
		return err;
	}
	return x402_json_set_take(server, "s", list);
}

/* Inside an extension: its own members, then those of its info. */
static enum x402_err merge_extension(const char *name, struct x402_json *server,
	const struct x402_json *client)
{
	/* Found in a tree that we own and are building. */
	struct x402_json *info = (struct x402_json *)(uintptr_t)x402_json_get(
		server, "info");
	enum x402_err err = merge_into(server, client);

	if (!err && x402_json_type(info) == X402_JSON_OBJECT &&
		strcmp(name, "builder-code") == 0)
		err = merge_services(info, x402_json_get(client, "info"));
	if (!err && x402_json_type(info) == X402_JSON_OBJECT)
		err = merge_into(info, x402_json_get(client, "info"));
	return err;
}

static enum x402_err merge_extensions(const struct x402_json *server,
	const struct x402_json *client, struct x402_json **ret_merged)
{
	struct x402_json *merged = NULL;
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;
	enum x402_err err = X402_OK;

	*ret_merged = NULL;
	if (!server && !client)
		return X402_OK;
	merged = server ? x402_json_copy(server) : x402_json_new_object();
	if (!merged)
		return X402_ERR_NOMEM;
	while (!err && x402_json_next(client, &iter, &key, &value)) {
		struct x402_json *own =
			(struct x402_json *)(uintptr_t)x402_json_get(
				merged, key);

		if (x402_json_type(own) == X402_JSON_OBJECT)
			err = merge_extension(key, own, value);
	}
	if (!err)
		err = merge_into(merged, client);
	if (err) {
		x402_json_unref(merged);
		return err;
	}
	*ret_merged = merged;
	return X402_OK;
}

/* The server's object as it came, or made of a hand-built challenge. */
static enum x402_err copy_resource(const struct x402_payment_required *required,
	struct x402_json **ret_resource)
{
	*ret_resource = NULL;
	if (required->json)
		*ret_resource = x402_json_ref(
			x402_json_get(required->json, "resource"));
	else if (required->resource.url)
		return x402__resource_to_json(
			&required->resource, ret_resource);
	return X402_OK;
}

enum x402_err x402_payment_payload_build(
	const struct x402_payment_required *required, size_t index,
	const struct x402_json *scheme_payload,
	const struct x402_json *client_extensions,
	struct x402_payment_payload *ret_payload)
{
	const struct x402_payment_requirements *offer;
	struct x402_payment_payload draft;
	struct x402_json *extensions = NULL;
	struct x402_json *resource = NULL;
	struct x402_json *json = NULL;
	enum x402_err err = X402_OK;

	if (index >= required->accepts_len)
		return X402_ERR_INVALID_ARGUMENT;
	offer = &required->accepts[index];
	memset(&draft, 0, sizeof(draft));
	draft.x402_version = required->x402_version;
	draft.scheme = offer->scheme;
	draft.network = offer->network;
	draft.payload = scheme_payload;
	draft.accepted = *offer; /* borrowed: draft is never cleared */
	if (required->x402_version == X402_V2) {
		err = copy_resource(required, &resource);
		draft.resource = resource;
		if (!err)
			err = merge_extensions(required->extensions,
				client_extensions, &extensions);
		draft.extensions = extensions;
	}
	if (!err)
		err = x402_payment_payload_to_json(&draft, &json);
	if (!err)
		err = x402_payment_payload_read(json, NULL, ret_payload);
	x402_json_unref(resource);
	x402_json_unref(extensions);
	x402_json_unref(json);
	return err;
}

static enum x402_err fill_priced(struct x402_json *json, const char *price,
	const struct x402_default_asset *asset, const char *pay_to,
	int64_t max_timeout_seconds)
{
	struct x402_json *extra;
	struct x402_u256 atomic;
	char amount[X402_U256_DEC_SIZE];
	enum x402_err err = x402_price_parse(price, asset->decimals, &atomic);

	if (err)
		return err;
	x402_u256_to_dec(&atomic, amount);
	if ((err = x402_json_set_string(json, "scheme", "exact")) ||
		(err = x402_json_set_string(json, "network", asset->network)) ||
		(err = x402_json_set_string(json, "amount", amount)) ||
		(err = x402_json_set_string(json, "asset", asset->address)) ||
		(err = x402_json_set_string(json, "payTo", pay_to)) ||
		(err = x402_json_set_int(
			 json, "maxTimeoutSeconds", max_timeout_seconds)))
		return err;
	extra = x402_json_new_object();
	if (!extra)
		return X402_ERR_NOMEM;
	if ((err = x402_json_set_string(extra, "name", asset->name)) ||
		(err = x402_json_set_string(
			 extra, "version", asset->version)) ||
		(asset->method == X402_TRANSFER_PERMIT2 &&
			(err = x402_json_set_string(
				 extra, "assetTransferMethod", "permit2")))) {
		x402_json_unref(extra);
		return err;
	}
	return x402_json_set_take(json, "extra", extra);
}

enum x402_err x402_requirements_from_price(const char *price, const char *caip2,
	const char *asset_address, const char *pay_to,
	int64_t max_timeout_seconds, struct x402_payment_requirements *ret_req)
{
	const struct x402_default_asset *asset = asset_address
		? x402_known_asset(caip2, asset_address)
		: x402_default_asset_of(caip2);
	struct x402_json *json;
	enum x402_err err;

	if (!asset)
		return X402_ERR_NOT_FOUND;
	json = x402_json_new_object();
	if (!json)
		return X402_ERR_NOMEM;
	err = fill_priced(json, price, asset, pay_to, max_timeout_seconds);
	if (!err)
		err = x402_payment_requirements_read(
			json, X402_V2, NULL, ret_req);
	x402_json_unref(json);
	return err;
}
