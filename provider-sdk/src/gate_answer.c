/*
 * gate_answer.c: the words of the gate. Every answer of its own is JSON, never
 * cacheable (x402 P-130), and carries CORS headers when those are on, since a
 * browser that cannot read a 402 cannot pay it (demands.md P7).
 */
#include "crawler_p.h"
#include "siwx_p.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* A shared cache must not give a paid answer to an unpaid request. */
#define VARY_TEXT                                                    \
	"PAYMENT-SIGNATURE, X-PAYMENT, Accept, User-Agent, Cookie, " \
	"X402-Pass, "                                                \
	"SIGN-IN-WITH-X"
/* Only where a route takes proofs. */
#define VARY_PROOF_TEXT VARY_TEXT ", " X402_HEADER_X_PAYMENT_PROOF
/* The reference's browser client sends the last one as a request header. */
#define CORS_REQUEST_HEADERS                                          \
	"Authorization, Content-Type, PAYMENT-SIGNATURE, X-PAYMENT, " \
	"X402-Pass, SIGN-IN-WITH-X, X-Payment-Proof, "                \
	"Access-Control-Expose-Headers"
#define CORS_EXPOSED_HEADERS                                                  \
	"PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, X402-Pass, " \
	"X-Payment-Address, X-Payment-Amount, X-Payment-Network, "            \
	"X-Payment-Contract, X-Accept-Payment"
/* docs/facilitator.md: the longest hold that /verify grants. */
#define HOLD_MAX_S 600
/* No client reads a Location longer than this either. */
#define LOCATION_MAX 2048

void x402__gate_start(struct x402_gate *gate, enum x402_gate_action action,
	struct x402_gate_decision *ret_decision)
{
	while (gate->kept_len > 0)
		free(gate->kept[--gate->kept_len]);
	memset(ret_decision, 0, sizeof(*ret_decision));
	ret_decision->action = action;
}

void x402__gate_add(struct x402_gate_decision *decision, const char *name,
	const char *value)
{
	struct x402_gate_header *header;

	if (!value || decision->headers_len == X402_GATE_HEADERS_MAX)
		return;
	header = &decision->headers[decision->headers_len++];
	header->name = name;
	header->value = value;
}

const char *x402__gate_keep(struct x402_gate *gate, char *text)
{
	if (!text)
		return NULL;
	if (gate->kept_len == X402__GATE_KEPT_MAX) {
		free(text);
		return NULL;
	}
	gate->kept[gate->kept_len++] = text;
	return text;
}

static const char *vary_text(const struct x402_gate *gate)
{
	return gate->prices && x402__prices_have_proofs(gate->prices)
		? VARY_PROOF_TEXT
		: VARY_TEXT;
}

static void add_cors(
	struct x402_gate *gate, struct x402_gate_decision *decision)
{
	const char *origin = gate->provider->cors_origin;

	if (!origin)
		return;
	x402__gate_add(decision, "Access-Control-Allow-Origin", origin);
	x402__gate_add(decision, "Access-Control-Expose-Headers",
		CORS_EXPOSED_HEADERS);
}

static void finish_answer(struct x402_gate *gate, unsigned status,
	const char *body, struct x402_gate_decision *decision)
{
	decision->status = status;
	decision->body = x402_span_str(body);
	x402__gate_add(decision, "Content-Type", "application/json");
	x402__gate_add(decision, "Cache-Control", "no-store");
	x402__gate_add(decision, "Vary", vary_text(gate));
	add_cors(gate, decision);
}

static const char *receipt_name(const struct x402_gate *gate)
{
	return gate->version == X402_V1 ? X402_HEADER_X_PAYMENT_RESPONSE
					: X402_HEADER_PAYMENT_RESPONSE;
}

void x402__gate_answer_error(struct x402_gate *gate,
	enum x402_gate_action action, unsigned status, const char *text,
	struct x402_gate_decision *ret_decision)
{
	struct x402_buf buf = {0};
	const char *body;

	x402__gate_start(gate, action, ret_decision);
	x402_buf_add_str(&buf, "{\"error\":");
	x402__json_string_add(&buf, text);
	x402_buf_add_byte(&buf, '}');
	body = x402__gate_keep(gate, x402_buf_take_str(&buf));
	finish_answer(gate, status,
		body ? body : "{\"error\":\"out of memory\"}", ret_decision);
	/* P-150: whose money has moved is told so, whatever went wrong. */
	if (gate->settled)
		x402__gate_add(ret_decision, receipt_name(gate), gate->receipt);
}

/* A v1 client reads the body; the v2 header goes along (P-131). */
static const char *challenge_body(struct x402_gate *gate, const char *reason)
{
	char *text = NULL;

	if (!gate->route->v1)
		return "{}";
	if (strcmp(reason, "Payment required") == 0)
		reason = "X-PAYMENT header is required";
	if (x402__challenge_v1_body(gate->prices, gate->url, reason, &text) !=
		X402_OK)
		return NULL;
	return x402__gate_keep(gate, text);
}

/* What is new in each challenge. */
static void write_extensions(struct x402_gate *gate, struct x402_buf *buf)
{
	if (gate->route->siwx_s || gate->route->holders_len)
		x402__siwx_challenge(gate, buf);
	if (gate->provider->secp) {
		if (buf->len)
			x402_buf_add_byte(buf, ',');
		x402__sign_offers(gate, buf);
	}
	if (gate->route->identifier != X402_PROVIDER_IDENTIFIER_OFF) {
		if (buf->len)
			x402_buf_add_byte(buf, ',');
		x402__identifier_declare(gate->route, buf);
	}
}

/* P-128: the page for people; the header goes along for extensions that pay. */
static void challenge_page(struct x402_gate *gate, enum x402_gate_action action,
	const char *header, const char *reason,
	struct x402_gate_decision *ret_decision)
{
	x402__pricing_quote(gate->provider, gate->route, gate->resource32,
		gate->prices, gate->now_unix_s);
	if (!x402__gate_page(gate, header, reason, ret_decision)) {
		x402__gate_answer_error(
			gate, action, 500, "out of memory", ret_decision);
		return;
	}
	ret_decision->status = 402;
	x402__gate_add(ret_decision, X402_HEADER_PAYMENT_REQUIRED, header);
	x402__gate_add(ret_decision, "Cache-Control", "no-store");
	x402__gate_add(ret_decision, "Vary", vary_text(gate));
	add_cors(gate, ret_decision);
}

void x402__gate_answer_challenge(struct x402_gate *gate,
	enum x402_gate_action action, const char *reason,
	struct x402_gate_decision *ret_decision)
{
	/* P-124 */
	bool allowance =
		strcmp(reason,
			x402_reason_wire(
				X402_REASON_PERMIT2_ALLOWANCE_REQUIRED)) == 0;
	struct x402__stamp stamp = x402__stamp_new(
		gate->provider, gate->prices, gate->url, gate->now_unix_s);
	struct x402_buf more = {0};
	char *text = NULL;
	const char *header;
	const char *body;
	enum x402_err err;

	x402__gate_start(gate, action, ret_decision);
	write_extensions(gate, &more);
	err = more.failed
		? X402_ERR_NOMEM
		: x402__challenge_header(gate->route, gate->prices, &stamp,
			  reason, x402_buf_span(&more), &text);
	x402_buf_clear(&more);
	if (err == X402_ERR_TOO_LARGE) {
		x402__gate_answer_error(gate, action, 414,
			"the URL is too long to be offered in a header",
			ret_decision);
		return;
	}
	header = x402__gate_keep(gate, text);
	if (gate->wants_page && header && !allowance) {
		challenge_page(gate, action, header, reason, ret_decision);
		return;
	}
	body = challenge_body(gate, reason);
	if (!header || !body) {
		x402__gate_answer_error(
			gate, action, 500, "out of memory", ret_decision);
		return;
	}
	x402__pricing_quote(gate->provider, gate->route, gate->resource32,
		gate->prices, gate->now_unix_s);
	x402__gate_add(ret_decision, X402_HEADER_PAYMENT_REQUIRED, header);
	finish_answer(gate, allowance ? 412 : 402, body, ret_decision);
	x402__crawler_add_price(gate, "crawler-price", ret_decision);
	x402__proof_add_headers(gate, &stamp, ret_decision);
}

void x402__gate_answer_unsettled(struct x402_gate *gate,
	enum x402_gate_action action, const char *receipt, const char *reason,
	struct x402_gate_decision *ret_decision)
{
	const char *body = "{}";

	x402__gate_start(gate, action, ret_decision);
	if (gate->version == X402_V1)
		body = challenge_body(gate, reason);
	if (!body) {
		x402__gate_answer_error(
			gate, action, 500, "out of memory", ret_decision);
		return;
	}
	x402__gate_add(ret_decision, receipt_name(gate), receipt);
	finish_answer(gate, 402, body, ret_decision);
}

void x402__gate_answer_preflight(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	x402__gate_start(gate, X402_GATE_ANSWER, ret_decision);
	ret_decision->status = 204;
	add_cors(gate, ret_decision);
	x402__gate_add(ret_decision, "Access-Control-Allow-Methods",
		"GET, HEAD, POST, PUT, PATCH, DELETE");
	x402__gate_add(ret_decision, "Access-Control-Allow-Headers",
		CORS_REQUEST_HEADERS);
	x402__gate_add(ret_decision, "Access-Control-Max-Age", "600");
	x402__gate_add(ret_decision, "Vary", "Origin");
}

static bool token_is(const char *token, size_t len, const char *name)
{
	return len == strlen(name) && strncasecmp(token, name, len) == 0;
}

/*
 * "public, max-age=60" becomes "max-age=60, private": what the handler knows
 * about freshness stays, what lets a shared cache keep it goes.
 */
char *x402__private_cache_control(const char *value)
{
	struct x402_buf out = {0};
	bool closed = false;

	/* Quoted lists of field names: rare, and not worth reading wrongly. */
	if (value && strchr(value, '"'))
		return strdup("private, no-store");
	while (value && *value) {
		size_t len = strcspn(value, ",");
		const char *token = value;
		size_t size = len;

		value += len + (value[len] == ',');
		while (size && strchr(" \t", *token)) {
			token++;
			size--;
		}
		while (size && strchr(" \t", token[size - 1]))
			size--;
		if (size == 0 || token_is(token, size, "public") ||
			strncasecmp(token, "s-maxage",
				size < 8 ? size + 1 : 8) == 0)
			continue;
		closed = closed || token_is(token, size, "private") ||
			token_is(token, size, "no-store");
		if (out.len)
			x402_buf_add_str(&out, ", ");
		x402_buf_add(&out, x402_span(token, size));
	}
	if (!closed) {
		if (out.len)
			x402_buf_add_str(&out, ", ");
		x402_buf_add_str(&out, "private");
	}
	return x402_buf_take_str(&out);
}

void x402__gate_answer_deliver(struct x402_gate *gate,
	const char *cache_control, struct x402_gate_decision *ret_decision)
{
	const char *cache;

	x402__gate_start(gate, X402_GATE_DELIVER, ret_decision);
	cache = x402__gate_keep(
		gate, x402__private_cache_control(cache_control));
	x402__gate_add(ret_decision, receipt_name(gate), gate->receipt);
	x402__gate_add(ret_decision, "Cache-Control",
		cache ? cache : "private, no-store");
	x402__gate_add(ret_decision, "Vary", vary_text(gate));
	add_cors(gate, ret_decision);
	if (gate->settled && gate->offer)
		x402__crawler_add_price(gate, "crawler-charged", ret_decision);
	/* What cost nothing is no key for later (upto, F-079). */
	if (gate->settled && !gate->failed && !x402__charges_nothing(gate)) {
		x402__siwx_remember(gate);
		x402__pass_give(gate, ret_decision);
	}
}

void x402__gate_answer_replayed(struct x402_gate *gate, const char *receipt,
	struct x402_gate_decision *decision)
{
	x402__gate_add(decision, receipt_name(gate), receipt);
	x402__gate_add(decision, "Cache-Control", "private, no-store");
	x402__gate_add(decision, "Vary", VARY_TEXT);
	add_cors(gate, decision);
}

/* Nothing of it is for a shared cache: the next one may have no pass. */
void x402__gate_answer_pass(struct x402_gate *gate,
	enum x402_gate_access access, struct x402_gate_decision *ret_decision)
{
	gate->state = X402__GATE_DONE;
	gate->access = access;
	x402__gate_start(gate, X402_GATE_PASS, ret_decision);
	x402__gate_add(ret_decision, "Cache-Control", "private, no-store");
	x402__gate_add(ret_decision, "Vary", vary_text(gate));
	add_cors(gate, ret_decision);
}

/* ---- Asking. ---- */

static bool same_origin(const char *a, const char *b)
{
	size_t len = x402__url_origin_length(a);

	return len == x402__url_origin_length(b) && strncasecmp(a, b, len) == 0;
}

/* The body is the same for verify and settle, and for a repetition: that is
 * what lets the facilitator see that it is one. */
static bool write_ask_body(struct x402_gate *gate)
{
	struct x402_facilitator_request request = gate->request;
	struct x402_json *json = NULL;

	if (gate->ask_body)
		return true;
	/* P-142: what is asked for is what was used. The tree says what was
	 * offered; without it the fields are written. */
	if (strcmp(request.requirements.amount, gate->amount) != 0) {
		request.requirements.json = NULL;
		request.requirements.amount = gate->amount;
	}
	if (x402_facilitator_request_to_json(&request, &json) != X402_OK)
		return false;
	gate->ask_body = x402_json_dump(json);
	x402_json_unref(json);
	return gate->ask_body;
}

/*
 * One key for one payment of one request by this process: our own repetition
 * joins the first call, and nobody else's does. A key made of the payment
 * alone would let a second server be told of the first one's success.
 */
static void write_idempotency_key(struct x402_gate *gate)
{
	static const char digits[] = "0123456789abcdef";
	struct x402_keccak hash;
	uint8_t hash32[32];

	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(gate->provider->secret32, 32));
	x402_keccak_update(&hash, x402_span(&gate->key, sizeof(gate->key)));
	x402_keccak_final(&hash, hash32);
	for (size_t i = 0; i < 32; i++) {
		gate->idempotency_key[2 * i] = digits[hash32[i] >> 4];
		gate->idempotency_key[2 * i + 1] = digits[hash32[i] & 15];
	}
}

/* How long the facilitator must keep the money for us: as long as the offer
 * stands, within what it grants. */
static const char *hold_s(struct x402_gate *gate)
{
	int64_t seconds = gate->v2.max_timeout_seconds;

	if (seconds > HOLD_MAX_S)
		seconds = HOLD_MAX_S;
	snprintf(gate->hold_s, sizeof(gate->hold_s), "%d", (int)seconds);
	return gate->hold_s;
}

bool x402__gate_ask(struct x402_gate *gate, bool settle,
	struct x402_gate_decision *ret_decision)
{
	const struct x402_provider *provider = gate->provider;
	const struct x402__facilitator *facilitator =
		&provider->facilitators[gate->facilitator];
	const char *url = settle ? facilitator->settle_url
				 : facilitator->verify_url;
	struct x402_gate_ask *ask = &ret_decision->ask;

	x402__gate_start(gate, X402_GATE_ASK, ret_decision);
	if (!write_ask_body(gate))
		return false;
	write_idempotency_key(gate);
	ask->method = "POST";
	ask->url = gate->ask_url ? gate->ask_url : url;
	ask->body = x402_span_str(gate->ask_body);
	ask->timeout_ms = settle ? provider->settle_timeout_ms
				 : provider->verify_timeout_ms;
	ask->headers[ask->headers_len++] = (struct x402_gate_header){
		"Content-Type", "application/json"};
	ask->headers[ask->headers_len++] = (struct x402_gate_header){
		"Accept", "application/json"};
	if (settle)
		ask->headers[ask->headers_len++] = (struct x402_gate_header){
			"Idempotency-Key", gate->idempotency_key};
	if (!settle && gate->route->settle == X402_PROVIDER_SETTLE_RESERVE)
		ask->headers[ask->headers_len++] = (struct x402_gate_header){
			"X402-Hold", hold_s(gate)};
	if (facilitator->authorization && same_origin(ask->url, url))
		ask->headers[ask->headers_len++] = (struct x402_gate_header){
			"Authorization", facilitator->authorization};
	return true;
}

bool x402__gate_follow(
	struct x402_gate *gate, struct x402_span location, bool settle)
{
	const struct x402__facilitator *facilitator =
		&gate->provider->facilitators[gate->facilitator];
	const char *from = gate->ask_url ? gate->ask_url
		: settle                 ? facilitator->settle_url
					 : facilitator->verify_url;
	const char *at = (const char *)location.ptr;
	char *url = NULL;

	if (gate->redirects >= X402__REDIRECTS_MAX || location.len == 0 ||
		location.len > LOCATION_MAX || memchr(at, '\0', location.len))
		return false;
	if (at[0] == '/' && (location.len < 2 || at[1] != '/')) {
		if (asprintf(&url, "%.*s%.*s",
			    (int)x402__url_origin_length(from), from,
			    (int)location.len, at) < 0)
			return false;
	} else {
		url = strndup(at, location.len);
	}
	/* Never down from https: what comes back decides about money. */
	if (!url || !x402__url_valid(url, true) ||
		(strncmp(from, "https:", 6) == 0 &&
			strncmp(url, "https:", 6) != 0)) {
		free(url);
		return false;
	}
	free(gate->ask_url);
	gate->ask_url = url;
	gate->redirects++;
	return true;
}
