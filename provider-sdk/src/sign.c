/*
 * sign.c: offers and receipts that the seller has signed (E-OR, the EIP-712
 * form), so that a buyer can show later what was asked and what was paid.
 */
#include "gate_p.h"

#include <stdlib.h>

static const char offer_type[] =
	"Offer(uint256 version,string resourceUrl,string scheme,string network,"
	"string asset,string payTo,string amount,uint256 validUntil)";
static const char receipt_type[] =
	"Receipt(uint256 version,string network,string resourceUrl,"
	"string payer,uint256 issuedAt,string transaction)";
#define OBJECT_VERSION 1

static void add_number(struct x402_keccak *hash, uint64_t value)
{
	struct x402_u256 number = x402_u256_from_u64(value);
	uint8_t be[32];

	x402_u256_to_be32(&number, be);
	x402_keccak_update(hash, x402_span(be, 32));
}

static void add_text(struct x402_keccak *hash, const char *text)
{
	uint8_t hash32[32];

	x402_keccak256(x402_span_str(text), hash32);
	x402_keccak_update(hash, x402_span(hash32, 32));
}

/* Domain {name, "1", chain 1}, no contract. NULL when signing failed. */
static struct x402_json *sign(const struct x402_provider *provider,
	const char *domain_name, struct x402_keccak *fields)
{
	const struct x402_eip712_domain domain = {
		.name = domain_name, .version = "1", .chain_id = 1};
	struct x402_buf hex = {0};
	struct x402_json *json;
	uint8_t separator32[32];
	uint8_t struct32[32];
	uint8_t digest32[32];
	uint8_t sig65[65];
	char *text;

	x402_keccak_final(fields, struct32);
	x402_eip712_domain_separator(&domain, separator32);
	x402_eip712_digest(separator32, struct32, digest32);
	if (x402_sign_digest(provider->secp, digest32, &provider->signing_key,
		    sig65) != X402_OK)
		return NULL;
	x402_hex_encode_0x(x402_span(sig65, sizeof(sig65)), &hex);
	text = x402_buf_take_str(&hex);
	json = text ? x402_json_new_string(text) : NULL;
	free(text);
	return json;
}

/* {"format":"eip712","payload":...,"signature":...}; takes the payload. */
static struct x402_json *wrap(
	struct x402_json *payload, struct x402_json *signature)
{
	struct x402_json *json = x402_json_new_object();
	enum x402_err err = json ? X402_OK : X402_ERR_NOMEM;

	if (err == X402_OK)
		err = x402_json_set_string(json, "format", "eip712");
	if (err == X402_OK)
		err = x402_json_set_take(json, "payload", payload);
	else
		x402_json_unref(payload);
	if (err == X402_OK)
		err = x402_json_set_take(json, "signature", signature);
	else
		x402_json_unref(signature);
	if (err == X402_OK)
		return json;
	x402_json_unref(json);
	return NULL;
}

static struct x402_json *offer_object(const struct x402_gate *gate,
	const struct x402_json *terms, uint64_t until)
{
	static const char *const names[] = {
		"scheme", "network", "asset", "payTo", "amount"};
	const struct x402_provider *provider = gate->provider;
	struct x402_json *payload = x402_json_new_object();
	struct x402_keccak fields;
	uint8_t type32[32];
	enum x402_err err = payload ? X402_OK : X402_ERR_NOMEM;

	x402_keccak256(x402_span_str(offer_type), type32);
	x402_keccak_init(&fields);
	x402_keccak_update(&fields, x402_span(type32, 32));
	add_number(&fields, OBJECT_VERSION);
	add_text(&fields, gate->url);
	if (err == X402_OK)
		err = x402_json_set_int(payload, "version", OBJECT_VERSION);
	if (err == X402_OK)
		err = x402_json_set_string(payload, "resourceUrl", gate->url);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = x402_json_get_string(terms, names[i]);

		add_text(&fields, value);
		if (err == X402_OK)
			err = x402_json_set_string(payload, names[i], value);
	}
	add_number(&fields, until);
	if (err == X402_OK)
		err = x402_json_set_int(payload, "validUntil", (int64_t)until);
	if (err != X402_OK) {
		x402_json_unref(payload);
		return NULL;
	}
	return wrap(payload, sign(provider, "x402 offer", &fields));
}

static void add_json(struct x402_buf *buf, struct x402_json *json)
{
	char *text = json ? x402_json_dump(json) : NULL;

	if (text)
		x402_buf_add_str(buf, text);
	else
		buf->failed = true;
	free(text);
	x402_json_unref(json);
}

void x402__sign_offers(struct x402_gate *gate, struct x402_buf *buf)
{
	const struct x402__prices *prices = gate->prices;

	x402_buf_add_str(buf, "\"offer-receipt\":{\"info\":{\"offers\":[");
	for (size_t i = 0; i < prices->offers_len; i++) {
		struct x402_json *terms = NULL;
		struct x402_json *offer = NULL;
		int64_t timeout = X402_PROVIDER_TIMEOUT_SECONDS;

		if (x402_json_parse(x402_span_str(prices->offers[i].json), NULL,
			    NULL, &terms) == X402_OK) {
			(void)x402_json_int64(
				x402_json_get(terms, "maxTimeoutSeconds"),
				&timeout); /* or the default */
			offer = offer_object(gate, terms,
				gate->now_unix_s + (uint64_t)timeout);
		}
		x402_json_unref(terms);
		if (offer &&
			x402_json_set_int(offer, "acceptIndex", (int64_t)i) !=
				X402_OK)
			buf->failed = true;
		if (i > 0)
			x402_buf_add_byte(buf, ',');
		add_json(buf, offer);
	}
	x402_buf_add_str(buf, "]}}");
}

static struct x402_json *receipt_object(const struct x402_gate *gate)
{
	struct x402_json *payload = x402_json_new_object();
	struct x402_keccak fields;
	uint8_t type32[32];
	enum x402_err err = payload ? X402_OK : X402_ERR_NOMEM;

	x402_keccak256(x402_span_str(receipt_type), type32);
	x402_keccak_init(&fields);
	x402_keccak_update(&fields, x402_span(type32, 32));
	add_number(&fields, OBJECT_VERSION);
	add_text(&fields, gate->v2.network);
	add_text(&fields, gate->url);
	add_text(&fields, gate->payer);
	add_number(&fields, gate->now_unix_s);
	/* Left out for privacy: who shows a receipt need not show a chain. */
	add_text(&fields, "");
	if (err == X402_OK)
		err = x402_json_set_int(payload, "version", OBJECT_VERSION);
	if (err == X402_OK)
		err = x402_json_set_string(
			payload, "network", gate->v2.network);
	if (err == X402_OK)
		err = x402_json_set_string(payload, "resourceUrl", gate->url);
	if (err == X402_OK)
		err = x402_json_set_string(payload, "payer", gate->payer);
	if (err == X402_OK)
		err = x402_json_set_int(
			payload, "issuedAt", (int64_t)gate->now_unix_s);
	if (err == X402_OK)
		err = x402_json_set_string(payload, "transaction", "");
	if (err != X402_OK) {
		x402_json_unref(payload);
		return NULL;
	}
	return wrap(payload, sign(gate->provider, "x402 receipt", &fields));
}

/* {"offer-receipt":{"info":{"receipt":...}}} over what the facilitator said
 * under other names. NULL when memory is out. */
static struct x402_json *with_receipt(
	const struct x402_gate *gate, const struct x402_json *said)
{
	struct x402_json *all = said && x402_json_type(said) == X402_JSON_OBJECT
		? x402_json_copy(said)
		: x402_json_new_object();
	struct x402_json *info = x402_json_new_object();
	struct x402_json *extension = x402_json_new_object();
	bool whole = all && info && extension &&
		x402_json_set_take(info, "receipt", receipt_object(gate)) ==
			X402_OK;

	if (whole) {
		whole = x402_json_set_take(extension, "info", info) == X402_OK;
		info = NULL;
	}
	if (whole) {
		whole = x402_json_set_take(all, "offer-receipt", extension) ==
			X402_OK;
		extension = NULL;
	}
	x402_json_unref(info);
	x402_json_unref(extension);
	if (whole)
		return all;
	x402_json_unref(all);
	return NULL;
}

char *x402__sign_receipt(const struct x402_gate *gate,
	const struct x402_settle_response *response)
{
	struct x402_json *json = NULL;
	struct x402_json *whole = NULL;
	char *text = NULL;

	if (x402_settle_response_to_json(response, &json) != X402_OK)
		return NULL;
	whole = x402_json_copy(json);
	x402_json_unref(json);
	if (whole &&
		x402_json_set_take(whole, "extensions",
			with_receipt(gate, response->extensions)) == X402_OK &&
		x402_header_encode(whole, &text) != X402_OK)
		text = NULL;
	x402_json_unref(whole);
	return text;
}
