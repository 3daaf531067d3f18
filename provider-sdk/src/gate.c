/*
 * gate.c: one request through the gate, in the order of x402 P-12A.
 *
 *   x402_gate_begin()           path, route, payment, claim
 *     choose_route()            whatever a path may be read as must agree
 *     begin_paid()              402, or ask for verification
 *   x402_gate_on_facilitator()  the answer to an ASK: gate_facilitator.c
 *   x402_gate_on_handler()      a response is ready and kept back
 *   x402_gate_delivered()       it has left
 *
 * The claim (gate_memory.c) is taken before anybody is asked and ended exactly
 * once, by x402__gate_end_claim(); what it ends as depends on how far the money
 * got.
 *
 * A payment that was asked to settle before, without a known outcome, is
 * settled first and then served (SETTLING_FIRST): its money has probably moved
 * already, and the handler must not run again for nothing.
 */
#include "crawler_p.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum x402_err x402_gate_new(
	struct x402_provider *provider, struct x402_gate **ret_gate)
{
	struct x402_gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return X402_ERR_NOMEM;
	gate->provider = provider;
	*ret_gate = gate;
	return X402_OK;
}

void x402_gate_free(struct x402_gate *gate)
{
	struct x402_gate_decision none;

	if (!gate)
		return;
	x402__gate_end_claim(gate);
	x402__gate_start(gate, X402_GATE_ANSWER, &none);
	free(gate->method);
	x402__path_clear(&gate->path);
	free(gate->url);
	free(gate->query);
	x402_payment_payload_clear(&gate->request.payload);
	x402_payment_requirements_clear(&gate->v2);
	free(gate->receipt);
	free(gate->transaction);
	free(gate->cache_control);
	x402_buf_clear(&gate->replay);
	free(gate->ask_body);
	free(gate->ask_url);
	x402__bot_proof_free(gate->bot_proof);
	x402__prices_unref(gate->prices);
	x402__prices_unref(gate->offer_prices);
	free(gate);
}

/* ---- Begin. ---- */

static struct x402__route *first_route(const struct x402_provider *provider,
	const char *method, const char *path, bool *ret_method)
{
	struct x402__route *gated = NULL;

	*ret_method = true;
	for (size_t i = 0; i < provider->routes_len; i++) {
		struct x402__route *route = &provider->routes[i];

		if (!x402__pattern_matches(&route->pattern, path))
			continue;
		if (x402__pattern_method_matches(&route->pattern, method))
			return route;
		/* R6: a method nobody thought of is a paid one. */
		if (!gated && route->terms_len)
			gated = route;
	}
	if (gated)
		*ret_method = false;
	return gated;
}

static bool same_route(void *user, const char *reading)
{
	const struct x402_gate *gate = user;
	bool method;

	/* The usual one, and the cheapest. */
	if (strcmp(reading, gate->path.strict) == 0)
		return true;
	return first_route(gate->provider, gate->method, reading, &method) ==
		gate->route;
}

/* False when two readings disagree; nothing may pass then. */
static bool choose_route(struct x402_gate *gate)
{
	gate->route = first_route(gate->provider, gate->method,
		gate->path.strict, &gate->method_matches);
	return x402__path_readings_agree(&gate->path, same_route, gate);
}

bool x402_provider_prices_body(const struct x402_provider *provider,
	const char *method, struct x402_span target)
{
	const struct x402__route *route = NULL;
	struct x402__path path;
	bool matches;

	if (x402__path_read(target, &path) != X402_OK)
		return false;
	route = first_route(provider, method, path.strict, &matches);
	x402__path_clear(&path);
	return route && route->price_by_body;
}

static bool is_preflight(
	const struct x402_gate *gate, const struct x402_gate_request *request)
{
	struct x402_span value;

	return gate->provider->cors_origin &&
		strcmp(request->method, "OPTIONS") == 0 &&
		x402__one_header(request, "Origin", &value) &&
		x402__one_header(
			request, "Access-Control-Request-Method", &value);
}

/* Host, when the program trusts it: a name and a port, nothing else. */
static bool host_valid(struct x402_span host)
{
	if (host.len == 0 || host.len > 255)
		return false;
	for (size_t i = 0; i < host.len; i++) {
		uint8_t c = host.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || strchr("-.:[]", c)) ||
			c == 0)
			return false;
	}
	return true;
}

/* What a proxy of ours, or else Host, says that the origin is. */
static bool read_origin(const struct x402_gate *gate,
	const struct x402_gate_request *request, bool *ret_tls,
	struct x402_span *ret_host)
{
	struct x402_span proto;

	*ret_tls = false;
	if (x402__networks_have(&gate->provider->proxies, request->peer) &&
		x402__one_header(request, "X-Forwarded-Host", ret_host)) {
		*ret_tls = x402__one_header(
				   request, "X-Forwarded-Proto", &proto) &&
			proto.len == 5 &&
			strncasecmp((const char *)proto.ptr, "https", 5) == 0;
		return host_valid(*ret_host);
	}
	return gate->provider->trust_host &&
		x402__one_header(request, "Host", ret_host) &&
		host_valid(*ret_host);
}

/* The resource's URL: our origin, and path and query as they were asked for
 * (demands.md P8). */
static enum x402_err write_url(
	struct x402_gate *gate, const struct x402_gate_request *request)
{
	const char *raw = gate->path.raw_len ? gate->path.raw : "/";
	int len = gate->path.raw_len ? (int)gate->path.raw_len : 1;
	const char *origin = gate->provider->public_origin;
	struct x402_buf url = {0};
	struct x402_span host;
	bool tls;

	if (origin) {
		x402_buf_add_str(&url, origin);
	} else {
		if (!read_origin(gate, request, &tls, &host))
			return X402_ERR_SYNTAX;
		x402_buf_add_str(&url, tls ? "https://" : "http://");
		x402_buf_add(&url, host);
	}
	x402_buf_add(&url, x402_span(raw, (size_t)len));
	gate->url = x402_buf_take_str(&url);
	return gate->url ? X402_OK : X402_ERR_NOMEM;
}

bool x402__gate_client(const struct x402_provider *provider,
	const struct x402_gate_request *request,
	char ret_client[X402__IP_TEXT_SIZE])
{
	struct x402_span forwarded = {0};

	/* Two lists: which of them our proxy wrote nobody can tell. */
	if (!x402__one_header(request, "X-Forwarded-For", &forwarded))
		forwarded = x402_span(NULL, 0);
	return x402__networks_client(
		&provider->proxies, request->peer, forwarded, ret_client);
}

/*
 * Method, path and query: what a price was quoted for. The body as well, where
 * the caller says the price and may have made it from the body: a price quoted
 * for a small upload does not buy a large one.
 */
static void hash_resource(struct x402_gate *gate, struct x402_span body)
{
	const char *const parts[] = {
		gate->method, gate->path.strict, gate->query};
	struct x402_keccak hash;

	x402_keccak_init(&hash);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		x402_keccak_update(
			&hash, x402_span(parts[i], strlen(parts[i]) + 1));
	if (gate->route &&
		(gate->route->price_at_request || gate->route->price_by_body))
		x402_keccak_update(&hash, body);
	x402_keccak_final(&hash, gate->resource32);
}

/*
 * A payment that has had its turn, or is having it: content for nobody, and no
 * new offer, which a client might pay a second time. Who repeats the very
 * request is told the transaction (F2). receipt is taken.
 */
static void answer_spent(struct x402_gate *gate, char *receipt,
	struct x402_gate_decision *ret_decision)
{
	const char *reason = x402_reason_wire(X402_REASON_DUPLICATE_SETTLEMENT);
	struct x402_settle_response first = {0};
	struct x402_settle_response response = {
		.error_reason = reason,
		.payer = gate->payer,
		.transaction = "",
		.network = gate->request.requirements.network,
	};

	if (receipt &&
		x402_settle_response_decode(
			x402_span_str(receipt), NULL, &first) == X402_OK)
		response.transaction = first.transaction;
	free(receipt);
	x402__gate_say(gate, X402_GATE_EVENT_REFUSED, reason);
	x402__gate_end_unsettled(gate, reason, &response, ret_decision);
	x402_settle_response_clear(&first);
}

/* The same facilitator, the same amount: anything else could settle twice. */
static void recall(struct x402_gate *gate)
{
	struct x402_claim_note note;

	if (!x402__gate_recall(gate, &note))
		return;
	gate->facilitator = note.facilitator;
	memcpy(gate->amount, note.amount, sizeof(gate->amount));
}

/* P-150: upfront is settled without being verified first. */
static void begin_new(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	const struct x402_provider_hooks *hooks = &gate->provider->hooks;

	gate->facilitator = x402__gate_pick_facilitator(gate);
	if (x402__gate_aborted(gate, hooks->before_verify, ret_decision))
		return;
	if (gate->route->settle != X402_PROVIDER_SETTLE_BEFORE)
		x402__gate_post(gate, X402__GATE_VERIFYING, ret_decision);
	else if (!x402__gate_aborted(gate, hooks->before_settle, ret_decision))
		x402__gate_post(gate, X402__GATE_SETTLING_FIRST, ret_decision);
}

void x402__gate_begin_claim(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	char *receipt = NULL;

	switch (x402__gate_remember_claim(gate, gate->now_unix_s, &receipt)) {
	case X402_CLAIM_NEW:
		gate->claimed = true;
		begin_new(gate, ret_decision);
		return;
	case X402_CLAIM_UNKNOWN:
		free(receipt);
		gate->claimed = true;
		gate->maybe_moved = true;
		gate->asked_before = true;
		recall(gate);
		x402__gate_post(gate, X402__GATE_SETTLING_FIRST, ret_decision);
		return;
	case X402_CLAIM_PAID:
		gate->claimed = true;
		gate->settled = true;
		gate->receipt = receipt;
		recall(gate);
		x402__gate_recall_receipt(gate);
		x402__gate_run_handler(gate, ret_decision);
		return;
	case X402_CLAIM_BUSY:
	case X402_CLAIM_SPENT:
		answer_spent(gate, receipt, ret_decision);
		return;
	case X402_CLAIM_FULL:
		break;
	}
	x402__gate_say(
		gate, X402_GATE_EVENT_REFUSED, "too many payments in flight");
	x402__gate_end_error(
		gate, 503, "too many payments in flight", ret_decision);
}

/* What the request is told; without a price nothing may pass (R6). */
static bool find_price(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	if (x402__pricing_current(gate->provider, gate->route, gate,
		    request->price, &gate->prices) == X402_OK)
		return true;
	x402__gate_say(gate, X402_GATE_EVENT_FAULT,
		"no price could be made for this request");
	x402__gate_end_error(gate, 500,
		"no price could be made for this request", ret_decision);
	return false;
}

/*
 * The response that a payment has bought, again; this one is not charged. The
 * first one is delivered by it, if it was not: it must not be served, nor made
 * good, a second time.
 */
static void replay(struct x402_gate *gate, const struct x402_claim_name *name,
	struct x402_buf *response, struct x402_gate_decision *ret_decision)
{
	char *receipt = NULL;

	memcpy(gate->key.payment32, name->payment32, 32);
	memcpy(gate->key.request32, name->request32, 32);
	switch (x402__gate_remember_claim(gate, gate->now_unix_s, &receipt)) {
	case X402_CLAIM_NEW: /* forgotten meanwhile */
		x402__gate_remember_end(gate, X402_CLAIM_END_FORGET);
		break;
	case X402_CLAIM_UNKNOWN: /* its settlement could not be written down */
		x402__gate_remember_end(gate, X402_CLAIM_END_UNKNOWN);
		break;
	case X402_CLAIM_PAID:
		x402__gate_remember_end(gate, X402_CLAIM_END_SPENT);
		break;
	case X402_CLAIM_SPENT:
		break;
	case X402_CLAIM_BUSY:
		answer_spent(gate, receipt, ret_decision);
		return;
	case X402_CLAIM_FULL:
		free(receipt);
		x402__gate_end_error(gate, 503,
			"the payment could not be looked up", ret_decision);
		return;
	}
	free(receipt);
	x402__replay_answer(gate, response, ret_decision);
}

/* E-PI */
static bool identifier_good(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	struct x402_claim_name name = {.until_unix_s = 0};
	struct x402_buf response = {0};
	enum x402__identifier outcome = x402__identifier_check(
		gate, &name, &response);

	if (outcome == X402__IDENTIFIER_HAD)
		replay(gate, &name, &response, ret_decision);
	x402_buf_clear(&response);
	switch (outcome) {
	case X402__IDENTIFIER_GOOD:
		return true;
	case X402__IDENTIFIER_HAD:
		return false;
	case X402__IDENTIFIER_BAD:
		x402__gate_end_error(gate, 400,
			"expected a payment-identifier of 16 to 128 letters, "
			"digits, - and _",
			ret_decision);
		return false;
	case X402__IDENTIFIER_TAKEN:
		break;
	}
	x402__gate_say(
		gate, X402_GATE_EVENT_REFUSED, "payment-identifier conflict");
	x402__gate_end_error(gate, 409,
		"this payment-identifier is another payment's", ret_decision);
	return false;
}

static void begin_paid(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	const char *reason = "";

	switch (x402__gate_read_payment(gate, request, &reason)) {
	case X402__PAYMENT_NONE:
		/* Who could not sign in is told why, and what it costs. */
		x402__gate_end_challenge(gate,
			gate->siwx_reason ? gate->siwx_reason : reason,
			ret_decision);
		return;
	case X402__PAYMENT_REFUSED:
		x402__gate_say(gate, X402_GATE_EVENT_REFUSED, reason);
		x402__gate_end_challenge(gate, reason, ret_decision);
		return;
	case X402__PAYMENT_SMUGGLED:
		x402__gate_say(gate, X402_GATE_EVENT_REFUSED, reason);
		x402__gate_end_error(gate, 400, reason, ret_decision);
		return;
	case X402__PAYMENT_GOOD:
		if (!identifier_good(gate, ret_decision))
			return;
		if (gate->must_hold)
			x402__holder_decides(gate, ret_decision);
		else
			x402__gate_begin_claim(gate, ret_decision);
		return;
	case X402__PAYMENT_FAULT:
		break;
	}
	x402__gate_end_error(
		gate, 500, "the payment could not be checked", ret_decision);
}

void x402_gate_begin(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	enum x402_err err = x402__path_read(request->target, &gate->path);
	bool one_meaning;

	gate->method = strdup(request->method);
	gate->query = strndup(
		err == X402_OK && gate->path.query ? gate->path.query : "",
		err == X402_OK ? gate->path.query_len : 0);
	gate->now_unix_s = request->now_unix_s;
	if (err == X402_ERR_NOMEM || !gate->method || !gate->query) {
		x402__gate_end_error(gate, 500, "out of memory", ret_decision);
		return;
	}
	if (err != X402_OK) {
		x402__gate_end_error(gate, 400,
			"expected a path that can be "
			"normalised",
			ret_decision);
		return;
	}
	/* Unknown stays "". */
	(void)x402__gate_client(gate->provider, request, gate->client);
	/* The raw target is the caller's: gone after this call. */
	err = write_url(gate, request);
	one_meaning = choose_route(gate);
	/* Nobody else looks at it. */
	if (gate->route && gate->route->quote_s)
		hash_resource(gate, request->body);
	gate->body = request->body;
	if (!one_meaning) {
		x402__gate_end_error(gate, 400,
			"expected a path with one meaning only", ret_decision);
	} else if (!gate->route || gate->route->terms_len == 0) {
		gate->state = X402__GATE_DONE;
		gate->access = X402_GATE_ACCESS_FREE;
		x402__gate_start(gate, X402_GATE_PASS, ret_decision);
	} else if (is_preflight(gate, request)) {
		gate->state = X402__GATE_DONE;
		x402__gate_answer_preflight(gate, ret_decision);
	} else if (err != X402_OK) {
		x402__gate_end_error(gate, err == X402_ERR_NOMEM ? 500 : 400,
			"expected one Host header, from a proxy of ours",
			ret_decision);
	} else if (find_price(gate, request, ret_decision) &&
		!x402__gate_access(gate, request, ret_decision)) {
		begin_paid(gate, request, ret_decision);
	}
	/* Borrowed from the request, which ends here. */
	gate->body = x402_span(NULL, 0);
	gate->path.raw = NULL;
	gate->path.query = NULL;
	gate->path.raw_len = gate->path.query_len = 0;
}

/* ---- The handler is done. ---- */

/* P-129: no settlement; the same payment may be presented again. Where the
 * money has moved already (P-150), its receipt goes along. */
static void on_handler_failed(struct x402_gate *gate,
	const struct x402_gate_handler_result *result,
	struct x402_gate_decision *ret_decision)
{
	x402__gate_say(gate, X402_GATE_EVENT_CANCELLED,
		result->status ? "handler_failed" : "handler_threw");
	if (result->status == 0) {
		x402__gate_end_error(
			gate, 500, "the handler failed", ret_decision);
		return;
	}
	gate->failed = true;
	x402__gate_end_claim(gate);
	gate->state = X402__GATE_DONE;
	x402__gate_answer_deliver(gate, result->cache_control, ret_decision);
}

void x402_gate_on_handler(struct x402_gate *gate,
	const struct x402_gate_handler_result *result,
	struct x402_gate_decision *ret_decision)
{
	if (gate->state != X402__GATE_HANDLER) {
		x402__gate_end_error(gate, 500, "out of turn", ret_decision);
		return;
	}
	if (result->status == 0 || result->status >= 400) {
		on_handler_failed(gate, result, ret_decision);
		return;
	}
	x402__replay_note(gate, result);
	if (gate->settled) {
		x402__replay_store(gate);
		gate->state = X402__GATE_DELIVERING;
		x402__gate_answer_deliver(
			gate, result->cache_control, ret_decision);
		return;
	}
	if (!x402__charge_amount(&gate->v2, gate->offer->decimals,
		    result->amount, gate->amount)) {
		x402__gate_say(gate, X402_GATE_EVENT_FAULT,
			"the handler asks for an amount that was not offered");
		x402__gate_end_error(gate, 500,
			"the amount to charge was not what was offered",
			ret_decision);
		return;
	}
	if (x402__gate_aborted(
		    gate, gate->provider->hooks.before_settle, ret_decision))
		return;
	free(gate->cache_control);
	gate->cache_control =
		result->cache_control ? strdup(result->cache_control) : NULL;
	/* Redirects were those of /verify; settle starts where configured. */
	free(gate->ask_url);
	gate->ask_url = NULL;
	gate->redirects = 0;
	x402__gate_post(gate, X402__GATE_SETTLING, ret_decision);
}

void x402_gate_delivered(struct x402_gate *gate)
{
	if (gate->state != X402__GATE_DELIVERING || !gate->claimed)
		return;
	gate->claimed = false;
	gate->state = X402__GATE_DONE;
	x402__gate_remember_end(gate, X402_CLAIM_END_SPENT);
}
