/*
 * proof.c: selling to those who pay first and show the transaction (proof.h of
 * libx402). A challenge is made without being remembered: its reference holds
 * the second it was made in, eight bytes that never come twice, and a mac over
 * both, the URL and the terms. So what a buyer sends back says by itself that
 * it was asked by us, when, for what and for how much.
 *
 * That a transaction is shown once is kept elsewhere: by the facilitator's
 * store, and by our own memory of payments, under the transaction alone.
 */
#include "gate_p.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "x402/encoding.h"

#define NUMBER_AT 8
#define MAC_AT    16
#define MAC_SIZE  16

bool x402__offer_is_proof(const struct x402__offer *offer)
{
	return offer->fresh_at > 0;
}

/* ---- References. ---- */

static void write_mac(const struct x402_provider *provider,
	const struct x402__offer *offer, const char *url,
	const uint8_t head16[MAC_AT], uint8_t ret_mac16[MAC_SIZE])
{
	static const char domain[] = "x402 proof reference";
	struct x402_keccak hash;
	uint8_t hash32[32];

	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(provider->secret32, 32));
	x402_keccak_update(&hash, x402_span(domain, sizeof(domain)));
	x402_keccak_update(&hash, x402_span(head16, MAC_AT));
	/* The NUL of the URL ends it. */
	x402_keccak_update(&hash, x402_span(url, strlen(url) + 1));
	x402_keccak_update(&hash, x402_span_str(offer->json));
	x402_keccak_final(&hash, hash32);
	memcpy(ret_mac16, hash32, MAC_SIZE);
}

static uint64_t issued_of(const uint8_t reference32[32])
{
	uint64_t issued = 0;

	for (size_t i = 0; i < NUMBER_AT; i++)
		issued = issued << 8 | reference32[i];
	return issued;
}

struct x402__stamp x402__stamp_new(struct x402_provider *provider,
	const struct x402__prices *prices, const char *url, uint64_t now_unix_s)
{
	struct x402__stamp stamp = {
		.provider = provider, .url = url, .now_unix_s = now_unix_s};
	struct x402_keccak hash;
	uint8_t hash32[32];
	uint64_t number;

	if (!x402__prices_have_proofs(prices))
		return stamp;
	/* Of this process and no other, though they share the secret. */
	number = __atomic_add_fetch(&provider->nonces, 1, __ATOMIC_RELAXED);
	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(provider->salt32, 32));
	x402_keccak_update(&hash, x402_span(&number, sizeof(number)));
	x402_keccak_final(&hash, hash32);
	memcpy(stamp.number8, hash32, sizeof(stamp.number8));
	return stamp;
}

void x402__stamp_reference(const struct x402__stamp *stamp,
	const struct x402__offer *offer, uint8_t ret_reference32[32])
{
	for (size_t i = 0; i < NUMBER_AT; i++)
		ret_reference32[i] =
			(uint8_t)(stamp->now_unix_s >> (56 - 8 * i));
	memcpy(ret_reference32 + NUMBER_AT, stamp->number8,
		sizeof(stamp->number8));
	write_mac(stamp->provider, offer, stamp->url, ret_reference32,
		ret_reference32 + MAC_AT);
}

static bool is_ours(const struct x402_gate *gate,
	const struct x402__offer *offer, const uint8_t reference32[32])
{
	uint8_t mac16[MAC_SIZE];

	write_mac(gate->provider, offer, gate->url, reference32, mac16);
	return x402_equal_ct(mac16, reference32 + MAC_AT, MAC_SIZE);
}

void x402__offer_add_fresh(const struct x402__offer *offer,
	const uint8_t reference32[32], struct x402_buf *buf)
{
	x402_buf_add(buf, x402_span(offer->json, offer->fresh_at));
	x402_buf_add_str(buf, "\"reference\":\"");
	x402_hex_encode_0x(x402_span(reference32, 32), buf);
	x402_buf_printf(buf, "\",\"issuedAt\":%llu,",
		(unsigned long long)issued_of(reference32));
	x402_buf_add_str(buf, offer->json + offer->fresh_at);
}

/* ---- What comes back. ---- */

enum x402_err x402__proof_offer_read(const struct x402_gate *gate,
	const struct x402__offer *offer, const struct x402_json *extra,
	struct x402_payment_requirements *ret_req)
{
	uint8_t reference32[32];
	struct x402_buf text = {0};
	struct x402_json *tree = NULL;
	enum x402_err err;

	if (x402_hex_decode_fixed(x402_json_get_string(extra, "reference"),
		    reference32, 32) ||
		!is_ours(gate, offer, reference32))
		return X402_ERR_NOT_FOUND;
	x402__offer_add_fresh(offer, reference32, &text);
	err = text.failed
		? X402_ERR_NOMEM
		: x402_json_parse(x402_buf_span(&text), NULL, NULL, &tree);
	if (!err)
		err = x402_payment_requirements_read(
			tree, X402_V2, NULL, ret_req);
	x402_json_unref(tree);
	x402_buf_clear(&text);
	return err;
}

static const struct x402__offer *find_in(const struct x402_gate *gate,
	const struct x402__prices *prices, const uint8_t reference32[32])
{
	for (size_t i = 0; prices && i < prices->offers_len; i++)
		if (x402__offer_is_proof(&prices->offers[i]) &&
			is_ours(gate, &prices->offers[i], reference32))
			return &prices->offers[i];
	return NULL;
}

/* In a set that another holds, or in one that is dropped here. */
static bool write_accepted(const struct x402_gate *gate,
	struct x402__prices *prices, bool take, const uint8_t reference32[32],
	struct x402_buf *buf)
{
	const struct x402__offer *offer = find_in(gate, prices, reference32);

	if (offer)
		x402__offer_add_fresh(offer, reference32, buf);
	if (take)
		x402__prices_unref(prices);
	return offer;
}

/* The offer that this reference was made for, as the buyer was told it. */
static bool find_accepted(const struct x402_gate *gate,
	const uint8_t reference32[32], struct x402_buf *buf)
{
	struct x402__prices *quoted;

	if (write_accepted(gate, gate->prices, false, reference32, buf) ||
		write_accepted(gate,
			x402__pricing_previous(
				gate->provider, gate->route, gate->now_unix_s),
			true, reference32, buf))
		return true;
	for (size_t i = 0;
		(quoted = x402__pricing_quoted(gate->provider, gate->route,
			 gate->resource32, i, gate->now_unix_s));
		i++)
		if (write_accepted(gate, quoted, true, reference32, buf))
			return true;
	return false;
}

static enum x402_err write_envelope(const struct x402_gate *gate,
	struct x402_span accepted, const struct x402_proof_payload *payload,
	struct x402_payment_payload *ret_payload)
{
	struct x402_json *inner = NULL;
	struct x402_json *tree = NULL;
	struct x402_buf text = {0};
	enum x402_err err = x402_proof_payload_to_json(payload, &inner);
	char *dumped = err ? NULL : x402_json_dump(inner);

	x402_json_unref(inner);
	if (!dumped)
		return X402_ERR_NOMEM;
	x402_buf_add_str(&text, "{\"x402Version\":2,\"resource\":{\"url\":");
	x402__json_string_add(&text, gate->url);
	x402_buf_add_str(&text, "},\"accepted\":");
	x402_buf_add(&text, accepted);
	x402_buf_add_str(&text, ",\"payload\":");
	x402_buf_add_str(&text, dumped);
	x402_buf_add_byte(&text, '}');
	free(dumped);
	err = text.failed
		? X402_ERR_NOMEM
		: x402_json_parse(x402_buf_span(&text), NULL, NULL, &tree);
	if (!err)
		err = x402_payment_payload_read(tree, NULL, ret_payload);
	x402_json_unref(tree);
	x402_buf_clear(&text);
	return err;
}

enum x402_err x402__proof_header_decode(
	struct x402_gate *gate, struct x402_span header)
{
	char text[X402_PROOF_HEADER_SIZE];
	struct x402_proof_payload payload;
	struct x402_buf accepted = {0};
	uint8_t reference32[32];
	enum x402_err err;

	if (header.len >= sizeof(text) || memchr(header.ptr, 0, header.len))
		return X402_ERR_SYNTAX;
	memcpy(text, header.ptr, header.len);
	text[header.len] = '\0';
	err = x402_proof_header_read(text, reference32, &payload);
	if (err)
		return err;
	if (!find_accepted(gate, reference32, &accepted))
		return X402_ERR_NOT_FOUND;
	err = accepted.failed ? X402_ERR_NOMEM
			      : write_envelope(gate, x402_buf_span(&accepted),
					&payload, &gate->request.payload);
	x402_buf_clear(&accepted);
	return err;
}

enum x402_err x402__proof_identify(
	struct x402_gate *gate, const struct x402_json *json)
{
	static const char domain[] = "proof";
	struct x402_proof_payload payload;
	struct x402_keccak hash;
	enum x402_err err = x402_proof_payload_read(json, NULL, &payload);

	if (err)
		return err;
	gate->from = payload.payer; /* zeros: the facilitator will say */
	gate->payer[0] = '\0';
	if (payload.bound)
		x402_address_format(&payload.payer, gate->payer);
	/* No facilitator takes it later, whatever the clocks say. */
	gate->expires_unix_s = gate->now_unix_s + X402_PROOF_LIFE_S + 60;
	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(domain, sizeof(domain)));
	x402_keccak_update(&hash,
		x402_span(gate->v2.network, strlen(gate->v2.network) + 1));
	x402_keccak_update(&hash, x402_span(payload.transaction32, 32));
	x402_keccak_final(&hash, gate->key.payment32);
	return X402_OK;
}

/* ---- The headers of the habit. ---- */

static const char *keep_fmt(struct x402_gate *gate, const char *fmt, ...)
	X402_PRINTF(2, 3);

static const char *keep_fmt(struct x402_gate *gate, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	return x402__gate_keep(gate, text);
}

/* Of the first such offer; a buyer that knows x402 reads the others. */
void x402__proof_add_headers(struct x402_gate *gate,
	const struct x402__stamp *stamp, struct x402_gate_decision *decision)
{
	const struct x402__offer *offer = NULL;
	struct x402_payment_requirements req = {0};
	struct x402_json *tree = NULL;
	struct x402_buf hex = {0};
	uint8_t reference32[32];
	bool bound = true;

	for (size_t i = 0; i < gate->prices->offers_len && !offer; i++)
		if (x402__offer_is_proof(&gate->prices->offers[i]))
			offer = &gate->prices->offers[i];
	if (!offer ||
		x402_json_parse(x402_span_str(offer->json), NULL, NULL, &tree))
		return;
	if (x402_payment_requirements_read(tree, X402_V2, NULL, &req)) {
		x402_json_unref(tree);
		return;
	}
	x402__stamp_reference(stamp, offer, reference32);
	x402_hex_encode_0x(x402_span(reference32, 32), &hex);
	x402_buf_add_byte(&hex, 0);
	(void)x402_json_bool(x402_json_get(req.extra, "bound"), &bound);
	if (!hex.failed) {
		x402__gate_add(decision, "X-Payment-Address",
			keep_fmt(gate, "%s", req.pay_to));
		x402__gate_add(decision, "X-Payment-Amount",
			keep_fmt(gate, "%s", req.amount));
		x402__gate_add(decision, "X-Payment-Network",
			keep_fmt(gate, "%s", req.network));
		x402__gate_add(decision, "X-Payment-Contract",
			keep_fmt(gate, "%s", req.asset));
		x402__gate_add(decision, "X-Accept-Payment",
			keep_fmt(gate, "proof; reference=%s; bound=%d",
				(const char *)hex.ptr, bound));
	}
	x402_buf_clear(&hex);
	x402_payment_requirements_clear(&req);
	x402_json_unref(tree);
}
