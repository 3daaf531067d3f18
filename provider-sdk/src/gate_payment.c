/*
 * gate_payment.c: everything about a payment that can be known without asking
 * anybody. In order:
 *
 *   find_header()     one payment header, once (demands.md, attack 35)
 *   decode()          header text to payload, version as the header says
 *   match_offer()     which of our offers it takes (P-120)
 *   check_echo()      resource and extensions as we declared them (P-125)
 *   verify_offline()  the scheme's plan: window, terms, shape, signature
 *   identify()        who pays, and the key that stands for this payment
 *
 * The facilitator never hears of a payment that fails here.
 */
#include "gate_p.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "x402/encoding.h"
#include "x402/svm_transaction.h"

#define PAYMENT_NONE_TEXT    "Payment required"
#define PAYMENT_NONE_V1_TEXT "X-PAYMENT header is required"

struct found {
	struct x402_span v2;
	struct x402_span v1;
	struct x402_span proof;
	size_t v2_count;
	size_t v1_count;
	size_t proof_count;
};

/* Does a comma-separated list name a payment header? */
static bool list_names_payment(struct x402_span list)
{
	static const char *const names[] = {X402_HEADER_PAYMENT_SIGNATURE,
		X402_HEADER_X_PAYMENT, X402_HEADER_X_PAYMENT_PROOF};
	size_t i = 0;

	while (i < list.len) {
		size_t start;

		while (i < list.len && strchr(" \t,", list.ptr[i]))
			i++;
		start = i;
		while (i < list.len && !strchr(" \t,", list.ptr[i]))
			i++;
		for (size_t n = 0; n < 3; n++)
			if (i - start == strlen(names[n]) &&
				strncasecmp((const char *)list.ptr + start,
					names[n], i - start) == 0)
				return true;
	}
	return false;
}

/*
 * A payment that one server on the way sees and another does not is how
 * requests are smuggled: doubled, both versions at once, or listed as
 * hop-by-hop.
 */
static const char *find_header(
	const struct x402_gate_request *request, struct found *ret_found)
{
	struct x402_span value;

	while (request->header(request->header_user,
		X402_HEADER_PAYMENT_SIGNATURE, ret_found->v2_count, &value)) {
		ret_found->v2 = value;
		if (++ret_found->v2_count > 1)
			return "expected one PAYMENT-SIGNATURE header";
	}
	while (request->header(request->header_user, X402_HEADER_X_PAYMENT,
		ret_found->v1_count, &value)) {
		ret_found->v1 = value;
		if (++ret_found->v1_count > 1)
			return "expected one X-PAYMENT header";
	}
	while (request->header(request->header_user,
		X402_HEADER_X_PAYMENT_PROOF, ret_found->proof_count, &value)) {
		ret_found->proof = value;
		if (++ret_found->proof_count > 1)
			return "expected one X-Payment-Proof header";
	}
	if (ret_found->v1_count + ret_found->v2_count + ret_found->proof_count >
		1)
		return "expected PAYMENT-SIGNATURE or X-PAYMENT, not both";
	if (!ret_found->v1_count && !ret_found->v2_count &&
		!ret_found->proof_count)
		return NULL;
	for (size_t i = 0;
		request->header(request->header_user, "Connection", i, &value);
		i++)
		if (list_names_payment(value))
			return "a payment header is not hop-by-hop";
	return NULL;
}

/* The text that stands for "unpaid" in each version. */
static const char *none_text(const struct x402_gate *gate)
{
	return gate->v1_asked ? PAYMENT_NONE_V1_TEXT : PAYMENT_NONE_TEXT;
}

static enum x402__payment_outcome decode(struct x402_gate *gate,
	struct x402_span text, int version, const char **ret_reason)
{
	enum x402_err err = x402_payment_payload_decode(
		text, NULL, &gate->request.payload);

	/* P-122: what cannot be read is no payment. */
	*ret_reason = none_text(gate);
	if (err == X402_ERR_NOMEM)
		return X402__PAYMENT_FAULT;
	if (err == X402_ERR_VERSION) {
		*ret_reason = x402_reason_wire(
			X402_REASON_INVALID_X402_VERSION);
		return X402__PAYMENT_REFUSED;
	}
	if (err != X402_OK)
		return X402__PAYMENT_NONE;
	/* Each version has its own header; one in the other's is a confusion
	 * that somebody might profit from (attack 11). */
	if (gate->request.payload.x402_version != version) {
		*ret_reason = x402_reason_wire(
			X402_REASON_INVALID_X402_VERSION);
		return X402__PAYMENT_REFUSED;
	}
	gate->version = version;
	gate->request.x402_version = version;
	return X402__PAYMENT_GOOD;
}

/* P-122 likewise: what cannot be read is no payment. */
static enum x402__payment_outcome decode_proof(
	struct x402_gate *gate, struct x402_span text, const char **ret_reason)
{
	enum x402_err err = x402__proof_header_decode(gate, text);

	*ret_reason = none_text(gate);
	if (err == X402_ERR_NOMEM)
		return X402__PAYMENT_FAULT;
	if (err == X402_ERR_NOT_FOUND) {
		*ret_reason = x402_reason_wire(
			X402_REASON_NO_MATCHING_REQUIREMENTS);
		return X402__PAYMENT_REFUSED;
	}
	if (err != X402_OK)
		return X402__PAYMENT_NONE;
	gate->by_proof = true;
	gate->version = X402_V2;
	gate->request.x402_version = X402_V2;
	return X402__PAYMENT_GOOD;
}

static enum x402_err read_offer(const struct x402__offer *offer,
	struct x402_payment_requirements *ret_req)
{
	struct x402_json *tree = NULL;
	enum x402_err err = x402_json_parse(
		x402_span_str(offer->json), NULL, NULL, &tree);

	if (err == X402_OK)
		err = x402_payment_requirements_read(
			tree, X402_V2, NULL, ret_req);
	x402_json_unref(tree);
	return err;
}

/* v1 names scheme and network only: of two prices the one that was signed for
 * is meant. */
static bool v1_value_differs(const struct x402_gate *gate,
	const struct x402_payment_requirements *used)
{
	const char *value;

	if (gate->version != X402_V1)
		return false;
	value = x402_json_get_string(
		x402_json_get(gate->request.payload.payload, "authorization"),
		"value");
	return value && strcmp(value, used->amount) != 0;
}

/* What is asked of the facilitator are our terms, never the client's copy. */
static enum x402__payment_outcome match_in(
	struct x402_gate *gate, struct x402__prices *prices, bool any_value)
{
	const struct x402_payment_payload *payload = &gate->request.payload;

	for (size_t i = 0; i < prices->offers_len; i++) {
		const struct x402__offer *offer = &prices->offers[i];
		struct x402_payment_requirements *used =
			&gate->request.requirements;

		if (gate->version == X402_V1 && !offer->v1_network)
			continue;
		enum x402_err err = x402__offer_is_proof(offer)
			? x402__proof_offer_read(gate, offer,
				  payload->accepted.extra, &gate->v2)
			: read_offer(offer, &gate->v2);
		if (err == X402_ERR_NOT_FOUND)
			continue;
		if (err != X402_OK)
			return X402__PAYMENT_FAULT;
		if (gate->version == X402_V1) {
			*used = x402__offer_v1(
				gate->route, offer, &gate->v2, gate->url);
		} else {
			*used = gate->v2;
			/* One owner: the tree belongs to gate->v2. */
		}
		if (x402_requirements_match(used, payload) &&
			(any_value || !v1_value_differs(gate, used))) {
			gate->offer = offer;
			gate->offer_prices = x402__prices_ref(prices);
			snprintf(gate->amount, sizeof(gate->amount), "%s",
				gate->v2.amount);
			return X402__PAYMENT_GOOD;
		}
		x402_payment_requirements_clear(&gate->v2);
		memset(used, 0, sizeof(*used));
	}
	return X402__PAYMENT_NONE;
}

static void hash_part(struct x402_keccak *hash, struct x402_span part)
{
	uint8_t len8[8];
	uint64_t len = part.len;

	/* Lengths in front, so that no two lists of parts hash alike. */
	for (int i = 0; i < 8; i++)
		len8[i] = (uint8_t)(len >> (8 * i));
	x402_keccak_update(hash, x402_span(len8, 8));
	x402_keccak_update(hash, part);
}

/*
 * What is paid for, down to the bytes of the payment: a signature that was
 * never verified must not pass as the one that was.
 */
static void hash_request(
	struct x402_gate *gate, struct x402_span body, struct x402_span payment)
{
	struct x402_keccak hash;

	x402_keccak_init(&hash);
	hash_part(&hash, x402_span_str(gate->method));
	hash_part(&hash, x402_span_str(gate->path.strict));
	hash_part(&hash, x402_span(gate->path.query, gate->path.query_len));
	hash_part(&hash, body);
	hash_part(&hash, payment);
	x402_keccak_final(&hash, gate->key.request32);
}

/* Whose money, which authorization, until when. */
struct signed_by {
	struct x402_address from;
	uint8_t nonce32[32];
	struct x402_u256 until;
};

/* L-012 */
static enum x402_err read_eip3009(
	const struct x402_json *json, struct signed_by *ret_by)
{
	struct x402_eip3009_payload payload = {0};
	enum x402_err err = x402_eip3009_payload_read(json, NULL, &payload);

	if (err != X402_OK)
		return err;
	ret_by->from = payload.authorization.from;
	ret_by->until = payload.authorization.valid_before;
	memcpy(ret_by->nonce32, payload.authorization.nonce32, 32);
	x402_eip3009_payload_clear(&payload);
	return X402_OK;
}

/* L-013 */
static enum x402_err read_permit2(
	const struct x402_json *json, bool upto, struct signed_by *ret_by)
{
	struct x402_permit2_payload payload = {0};
	enum x402_err err = x402_permit2_payload_read(json,
		upto ? X402_PERMIT2_UPTO : X402_PERMIT2_EXACT, NULL, &payload);

	if (err != X402_OK)
		return err;
	ret_by->from = payload.authorization.from;
	ret_by->until = payload.authorization.deadline;
	x402_u256_to_be32(&payload.authorization.nonce, ret_by->nonce32);
	x402_permit2_payload_clear(&payload);
	return X402_OK;
}

/* Solana's blockhash is dead by then, however slow its blocks were. */
#define SVM_OPEN_S 900

/*
 * L-015: the payment is its message, whatever stands beside it (F2). Its
 * second key signs; that this is the one that pays is checked by the scheme.
 */
static enum x402__payment_outcome identify_svm(
	struct x402_gate *gate, const char *text, const char **ret_reason)
{
	struct x402_svm_transaction transaction;
	struct x402_buf wire = {0};
	struct x402_keccak hash;
	enum x402_err err = x402_base64_decode(x402_span_str(text), &wire);

	if (err == X402_OK)
		err = x402_svm_transaction_read(
			x402_buf_span(&wire), &transaction);
	if (err == X402_OK && transaction.required_signatures == 2) {
		gate->expires_unix_s = gate->now_unix_s + SVM_OPEN_S;
		x402_pubkey_format(&transaction.keys[1], gate->payer);
		x402_keccak_init(&hash);
		hash_part(&hash, x402_span_str(gate->v2.network));
		hash_part(&hash, x402_span_str("svm"));
		hash_part(&hash, transaction.message);
		x402_keccak_final(&hash, gate->key.payment32);
	} else if (err != X402_ERR_NOMEM) {
		*ret_reason = x402_reason_wire(X402_REASON_SVM_UNDECODABLE);
		x402_buf_clear(&wire);
		return X402__PAYMENT_REFUSED;
	}
	x402_buf_clear(&wire);
	return err == X402_OK ? X402__PAYMENT_GOOD : X402__PAYMENT_FAULT;
}

/*
 * L-014: the payment is its context, which has no end of its own, as the
 * facilitator has it (exact_delegation.c).
 */
static enum x402__payment_outcome identify_delegation(
	struct x402_gate *gate, const char **ret_reason)
{
	struct x402_delegation_payload payload;
	struct x402_keccak hash;
	enum x402_err err = x402_delegation_payload_read(
		gate->request.payload.payload, NULL, &payload);

	if (err == X402_ERR_NOMEM)
		return X402__PAYMENT_FAULT;
	if (err != X402_OK) {
		*ret_reason = x402_reason_wire(
			X402_REASON_UNSUPPORTED_PAYLOAD_TYPE);
		return X402__PAYMENT_REFUSED;
	}
	gate->from = payload.delegator;
	x402_address_format(&gate->from, gate->payer);
	gate->expires_unix_s = UINT64_MAX;
	x402_keccak_init(&hash);
	hash_part(&hash, x402_span_str(gate->v2.network));
	hash_part(&hash, x402_span_str("erc7710"));
	hash_part(&hash, x402_span(payload.manager.bytes, 20));
	hash_part(&hash, x402_buf_span(&payload.context));
	x402_keccak_final(&hash, gate->key.payment32);
	x402_delegation_payload_clear(&payload);
	return X402__PAYMENT_GOOD;
}

static enum x402__payment_outcome identify_proof(
	struct x402_gate *gate, const char **ret_reason)
{
	enum x402_err err = x402__proof_identify(
		gate, gate->request.payload.payload);

	if (err == X402_OK)
		return X402__PAYMENT_GOOD;
	*ret_reason = x402_reason_wire(X402_REASON_UNSUPPORTED_PAYLOAD_TYPE);
	return err == X402_ERR_NOMEM ? X402__PAYMENT_FAULT
				     : X402__PAYMENT_REFUSED;
}

/* P-154: what the offer does not name is not taken. */
static enum x402__payment_outcome identify(
	struct x402_gate *gate, const char **ret_reason)
{
	const struct x402_json *json = gate->request.payload.payload;
	bool upto = strcmp(gate->v2.scheme ? gate->v2.scheme : "", "upto") == 0;
	bool permit2 = x402_json_has(json, "permit2Authorization");
	struct x402_asset_id asset = {0};
	struct signed_by by = {0};
	struct x402_keccak hash;
	const char *transaction = x402_json_get_string(json, "transaction");
	enum x402_err err;

	gate->is_svm = gate->v2.network &&
		strncmp(gate->v2.network, "solana:", 7) == 0;
	if (gate->is_svm)
		return identify_svm(
			gate, transaction ? transaction : "", ret_reason);
	if (strcmp(gate->v2.scheme ? gate->v2.scheme : "", X402_PROOF_SCHEME) ==
		0)
		return identify_proof(gate, ret_reason);
	if (x402_json_has(json, "delegationManager"))
		return identify_delegation(gate, ret_reason);
	err = permit2 ? read_permit2(json, upto, &by) : read_eip3009(json, &by);

	if (err == X402_ERR_NOMEM)
		return X402__PAYMENT_FAULT;
	if (err != X402_OK) {
		*ret_reason = x402_reason_wire(
			X402_REASON_UNSUPPORTED_PAYLOAD_TYPE);
		return X402__PAYMENT_REFUSED;
	}
	gate->from = by.from;
	x402_address_format(&gate->from, gate->payer);
	if (!x402_u256_to_u64(&by.until, &gate->expires_unix_s))
		gate->expires_unix_s = UINT64_MAX;
	err = x402_asset_id_init(gate->v2.network, gate->v2.asset, &asset);
	x402_keccak_init(&hash);
	hash_part(&hash, x402_span_str(asset.network));
	/* Permit2's nonces are one row for all of a payer's tokens (F2). */
	hash_part(&hash, x402_span_str(permit2 ? "permit2" : asset.address));
	hash_part(&hash, x402_span(gate->from.bytes, 20));
	hash_part(&hash, x402_span(by.nonce32, 32));
	x402_keccak_final(&hash, gate->key.payment32);
	return err == X402_OK ? X402__PAYMENT_GOOD : X402__PAYMENT_FAULT;
}

/* A set that is taken over, and matched. NULL matches nothing. */
static enum x402__payment_outcome match_take(
	struct x402_gate *gate, struct x402__prices *prices)
{
	enum x402__payment_outcome outcome =
		prices ? match_in(gate, prices, false) : X402__PAYMENT_NONE;

	x402__prices_unref(prices);
	return outcome;
}

/*
 * The price at which this very payment was asked to settle before. A price
 * that has changed since must not cost the buyer what is paid already.
 */
static struct x402__prices *remembered(
	struct x402_gate *gate, struct x402_span body, struct x402_span text)
{
	const struct x402_payment_payload *payload = &gate->request.payload;
	struct x402__prices *prices = NULL;
	struct x402_claim_note note;
	const char *unused;

	/* As the client says it; the key is found only if it is right. */
	gate->v2 = payload->accepted;
	if (gate->version == X402_V2 &&
		identify(gate, &unused) == X402__PAYMENT_GOOD) {
		hash_request(gate, body, text);
		if (x402__gate_recall(gate, &note)) {
			if (!*note.price)
				prices = x402__prices_ref(gate->route->listed);
			else if (x402__pricing_at(gate->provider, gate->route,
					 note.price, NULL, &prices) != X402_OK)
				prices = NULL;
		}
	}
	memset(&gate->v2, 0, sizeof(gate->v2));
	return prices;
}

/* What the caller says that the request cost before. One that makes no offer
 * matches nothing. */
static enum x402__payment_outcome match_old(
	struct x402_gate *gate, const char *old_price)
{
	struct x402__prices *prices = NULL;

	if (!old_price || !gate->route->price_at_request ||
		x402__pricing_at(gate->provider, gate->route, old_price, NULL,
			&prices) != X402_OK)
		return X402__PAYMENT_NONE;
	return match_take(gate, prices);
}

/* What holders pay. That the payer is one is found out before the claim. */
static enum x402__payment_outcome match_holders(struct x402_gate *gate)
{
	const struct x402__route *route = gate->route;
	enum x402__payment_outcome outcome = X402__PAYMENT_NONE;

	for (size_t i = 0;
		outcome == X402__PAYMENT_NONE && i < route->holders_len; i++) {
		struct x402__prices *prices = NULL;

		if (!route->holders[i].price)
			continue;
		if (x402__pricing_at(gate->provider, gate->route,
			    route->holders[i].price, NULL, &prices) == X402_OK)
			outcome = match_take(gate, prices);
		gate->must_hold = outcome == X402__PAYMENT_GOOD;
	}
	return outcome;
}

/* Today's price, yesterday's, one that was quoted, one that was paid, and that
 * of holders. */
static enum x402__payment_outcome match_offer(struct x402_gate *gate,
	const struct x402_gate_request *request, struct x402_span text,
	const char **ret_reason)
{
	struct x402_provider *provider = gate->provider;
	enum x402__payment_outcome outcome = match_in(
		gate, gate->prices, false);
	struct x402__prices *quoted;

	if (outcome == X402__PAYMENT_NONE)
		outcome = match_take(gate,
			x402__pricing_previous(
				provider, gate->route, gate->now_unix_s));
	if (outcome == X402__PAYMENT_NONE)
		outcome = match_old(gate, request->old_price);
	for (size_t i = 0; outcome == X402__PAYMENT_NONE &&
		(quoted = x402__pricing_quoted(provider, gate->route,
			 gate->resource32, i, gate->now_unix_s));
		i++)
		outcome = match_take(gate, quoted);
	if (outcome == X402__PAYMENT_NONE)
		outcome = match_take(
			gate, remembered(gate, request->body, text));
	if (outcome == X402__PAYMENT_NONE)
		outcome = match_holders(gate);
	/* A wrong value has its own reason, which the scheme says. */
	if (outcome == X402__PAYMENT_NONE)
		outcome = match_in(gate, gate->prices, true);
	if (outcome != X402__PAYMENT_NONE)
		return outcome;
	/* P-123 */
	*ret_reason = x402_reason_wire(X402_REASON_NO_MATCHING_REQUIREMENTS);
	return X402__PAYMENT_REFUSED;
}

/* Does what was sent back hold all that was declared? Depth is bounded by the
 * parser (X402_JSON_MAX_DEPTH). */
static bool contains(
	const struct x402_json *sent, const struct x402_json *declared)
{
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;

	if (x402_json_type(declared) != X402_JSON_OBJECT)
		return x402_json_equal(sent, declared);
	if (x402_json_type(sent) != X402_JSON_OBJECT)
		return false;
	while (x402_json_next(declared, &iter, &key, &value))
		if (x402_json_type(value) != X402_JSON_NULL &&
			!contains(x402_json_get(sent, key), value))
			return false;
	return true;
}

/*
 * E-BC: a payer adds its services to ours, up to ten in all; each of ours is
 * still there, as a text or in a list.
 */
static bool services_echoed(
	const struct x402_json *sent, const struct x402_json *declared)
{
	const char *text = x402_json_string(declared);
	bool found = false;

	for (size_t i = 0; i < x402_json_size(declared); i++)
		if (!services_echoed(sent, x402_json_at(declared, i)))
			return false;
	if (!text)
		return true;
	for (size_t i = 0; !found && i < x402_json_size(sent); i++) {
		const char *one = x402_json_string(x402_json_at(sent, i));

		found = one && strcmp(one, text) == 0;
	}
	return found ||
		(x402_json_string(sent) &&
			strcmp(x402_json_string(sent), text) == 0);
}

static bool codes_echoed(
	const struct x402_json *sent, const struct x402_json *declared)
{
	const struct x402_json *services = x402_json_get(sent, "s");
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;

	if (x402_json_size(services) > X402_BUILDER_SERVICES_MAX)
		return false;
	while (x402_json_next(declared, &iter, &key, &value))
		if (strcmp(key, "s") == 0
				? !services_echoed(services, value)
				: !contains(x402_json_get(sent, key), value))
			return false;
	return true;
}

static bool extensions_echoed(
	const struct x402_json *declared, const struct x402_json *sent)
{
	const struct x402_json *extension;
	const char *key;
	void *iter = NULL;

	while (x402_json_next(declared, &iter, &key, &extension)) {
		const struct x402_json *info = x402_json_get(extension, "info");
		const struct x402_json *echo = x402_json_get(
			x402_json_get(sent, key), "info");

		if (info &&
			!(strcmp(key, "builder-code") == 0
					? codes_echoed(echo, info)
					: contains(echo, info)))
			return false;
	}
	return true;
}

static enum x402__payment_outcome check_echo(
	struct x402_gate *gate, const char **ret_reason)
{
	const struct x402_payment_payload *payload = &gate->request.payload;
	const char *url = x402_json_get_string(payload->resource, "url");
	struct x402_json *declared = NULL;
	bool echoed;

	if (gate->version != X402_V2)
		return X402__PAYMENT_GOOD;
	/* Not signed, so no proof; but a payment that says it is for another
	 * page is not for this one (demands.md P5). */
	if (url && strcmp(url, gate->url) != 0) {
		*ret_reason = x402_reason_wire(
			X402_REASON_NO_MATCHING_REQUIREMENTS);
		return X402__PAYMENT_REFUSED;
	}
	if (!gate->route->extensions || gate->by_proof)
		return X402__PAYMENT_GOOD;
	if (x402_json_parse(x402_span_str(gate->route->extensions), NULL, NULL,
		    &declared) != X402_OK)
		return X402__PAYMENT_FAULT;
	echoed = extensions_echoed(declared, payload->extensions);
	x402_json_unref(declared);
	*ret_reason = x402_reason_wire(X402_REASON_EXTENSION_ECHO_MISMATCH);
	return echoed ? X402__PAYMENT_GOOD : X402__PAYMENT_REFUSED;
}

/* What a purchase is, whoever signs for it and when (E-PI). */
static void hash_terms(struct x402_gate *gate, struct x402_span body)
{
	const char *const words[] = {gate->method, gate->path.strict,
		gate->query, gate->v2.scheme, gate->v2.network, gate->v2.asset,
		gate->v2.amount, gate->v2.pay_to};
	struct x402_keccak hash;

	x402_keccak_init(&hash);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		hash_part(&hash, x402_span_str(words[i]));
	hash_part(&hash, body);
	x402_keccak_final(&hash, gate->terms32);
}

static enum x402__payment_outcome verify_offline(
	struct x402_gate *gate, uint64_t now, const char **ret_reason)
{
	/* Which managers are called is the facilitator's to say. */
	struct x402_verify_options options = {
		.now_unix_s = now, .any_delegation_manager = true};
	struct x402_verify_plan plan = {0};
	enum x402__payment_outcome outcome = X402__PAYMENT_GOOD;
	const struct x402_scheme *scheme = x402_scheme_for_offer(
		&gate->request.requirements);

	/* P-154: paid by the method that was offered, not by another. */
	if (!scheme ||
		(scheme->payload_member &&
			!x402_json_has(gate->request.payload.payload,
				scheme->payload_member))) {
		*ret_reason = x402_reason_wire(
			X402_REASON_UNSUPPORTED_PAYLOAD_TYPE);
		return X402__PAYMENT_REFUSED;
	}
	if (x402_verify_plan(&gate->request, &options, &plan) != X402_OK)
		return X402__PAYMENT_FAULT;
	/* Which wallet factories are welcome is the facilitator's to say. */
	if (plan.decided && !plan.verdict.valid &&
		plan.verdict.reason !=
			X402_REASON_EVM_6492_FACTORY_NOT_ALLOWED) {
		*ret_reason = x402_reason_wire(plan.verdict.reason);
		outcome = X402__PAYMENT_REFUSED;
	}
	x402_verify_plan_clear(&plan);
	return outcome;
}

static bool was_asked_for(
	struct x402_gate *gate, struct x402_span body, struct x402_span text)
{
	struct x402_claim_note note;
	const char *unused;

	if (identify(gate, &unused) != X402__PAYMENT_GOOD)
		return false;
	hash_request(gate, body, text);
	return x402__gate_recall(gate, &note) || x402__identifier_had(gate);
}

enum x402__payment_outcome x402__gate_read_payment(struct x402_gate *gate,
	const struct x402_gate_request *request, const char **ret_reason)
{
	enum x402__payment_outcome outcome;
	struct found found = {0};
	struct x402_span text;

	*ret_reason = find_header(request, &found);
	if (*ret_reason)
		return X402__PAYMENT_SMUGGLED;
	gate->v1_asked = found.v1_count > 0 && gate->route->v1;
	text = gate->v1_asked       ? found.v1
		: found.proof_count ? found.proof
				    : found.v2;
	*ret_reason = none_text(gate);
	/* A v1 payment for a route that does not sell to v1 is none. */
	if (!found.v2_count && !found.proof_count && !gate->v1_asked)
		return X402__PAYMENT_NONE;
	outcome = found.proof_count
		? decode_proof(gate, text, ret_reason)
		: decode(gate, text, gate->v1_asked ? X402_V1 : X402_V2,
			  ret_reason);
	if (outcome == X402__PAYMENT_GOOD)
		outcome = match_offer(gate, request, text, ret_reason);
	if (outcome == X402__PAYMENT_GOOD)
		outcome = check_echo(gate, ret_reason);
	/* These very bytes were good when money was asked for; what they have
	 * bought is owed, also when their time has passed since. */
	if (outcome == X402__PAYMENT_GOOD &&
		!was_asked_for(gate, request->body, text))
		outcome = verify_offline(gate, request->now_unix_s, ret_reason);
	if (outcome == X402__PAYMENT_GOOD)
		outcome = identify(gate, ret_reason);
	if (outcome == X402__PAYMENT_GOOD) {
		hash_request(gate, request->body, text);
		hash_terms(gate, request->body);
	}
	return outcome;
}
