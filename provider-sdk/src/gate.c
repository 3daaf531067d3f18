/*
 * gate.c: one request through the gate, in the order of x402 P-12A.
 *
 *   x402_gate_begin()           path, route, payment, claim
 *     choose_route()            strictly and loosely read, they must agree
 *     begin_paid()              402, or ask for verification
 *   x402_gate_on_facilitator()  the answer to an ASK
 *     on_verified()             handler, or 402 with the reason
 *     on_settled()              deliver, ask once more, or withhold
 *   x402_gate_on_handler()      a response is ready and kept back
 *   x402_gate_delivered()       it has left
 *
 * The claim (payments.c) is taken before anybody is asked and ended exactly
 * once, by end_claim(); what it ends as depends on how far the money got.
 *
 * A payment that was asked to settle before, without a known outcome, is
 * settled first and then served (SETTLING_FIRST): its money has probably moved
 * already, and the handler must not run again for nothing.
 */
#include "gate_p.h"

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

static void say(const struct x402_gate *gate, enum x402_gate_event event,
	const char *reason)
{
	const struct x402_provider_hooks *hooks = &gate->provider->hooks;

	if (hooks->event)
		hooks->event(hooks->user, gate, event, reason ? reason : "");
}

static void end_claim(struct x402_gate *gate)
{
	enum x402__claim_end end = gate->settled ? X402__CLAIM_END_PAID
		: gate->maybe_moved              ? X402__CLAIM_END_UNKNOWN
						 : X402__CLAIM_END_FORGET;

	if (!gate->claimed)
		return;
	gate->claimed = false;
	x402__payments_end(
		gate->provider->payments, &gate->key, end, gate->receipt);
	if (end == X402__CLAIM_END_PAID)
		say(gate, X402_GATE_EVENT_UNDELIVERED, "");
}

void x402_gate_free(struct x402_gate *gate)
{
	struct x402_gate_decision none;

	if (!gate)
		return;
	end_claim(gate);
	x402__gate_start(gate, X402_GATE_ANSWER, &none);
	free(gate->method);
	x402__path_clear(&gate->path);
	free(gate->url);
	x402_payment_payload_clear(&gate->request.payload);
	x402_payment_requirements_clear(&gate->v2);
	free(gate->receipt);
	free(gate->transaction);
	free(gate->cache_control);
	free(gate->ask_body);
	free(gate->ask_url);
	free(gate);
}

/* ---- Ends of the road. ---- */

/* Nothing runs and nothing leaves: before the handler an ANSWER, after it the
 * order to throw its response away. */
static enum x402_gate_action refusal(const struct x402_gate *gate)
{
	return gate->state == X402__GATE_SETTLING ||
			gate->state == X402__GATE_HANDLER
		? X402_GATE_WITHHOLD
		: X402_GATE_ANSWER;
}

static void answer_error(struct x402_gate *gate, unsigned status,
	const char *text, struct x402_gate_decision *ret_decision)
{
	enum x402_gate_action action = refusal(gate);

	end_claim(gate);
	gate->state = X402__GATE_DONE;
	x402__gate_answer_error(gate, action, status, text, ret_decision);
}

static void answer_challenge(struct x402_gate *gate, const char *reason,
	struct x402_gate_decision *ret_decision)
{
	enum x402_gate_action action = refusal(gate);

	end_claim(gate);
	gate->state = X402__GATE_DONE;
	x402__gate_answer_challenge(gate, action, reason, ret_decision);
}

/* P-127: down, slow, or not speaking sense. Details are for the log only. */
static void answer_fault(struct x402_gate *gate, const char *what,
	struct x402_gate_decision *ret_decision)
{
	say(gate, X402_GATE_EVENT_FAULT, what);
	answer_error(gate, 502, "the facilitator gave no usable answer",
		ret_decision);
}

/* P-126. True when the hook has ended the request. */
static bool aborted(struct x402_gate *gate,
	const char *(*hook)(void *, const struct x402_gate *),
	struct x402_gate_decision *ret_decision)
{
	const char *reason = hook ? hook(gate->provider->hooks.user, gate)
				  : NULL;

	if (!reason)
		return false;
	say(gate, X402_GATE_EVENT_REFUSED, reason);
	answer_error(gate, 403, reason, ret_decision);
	return true;
}

/* What a stranger's reason may look like in our answer. */
static const char *reason_or(const char *reason, enum x402_reason fallback)
{
	if (!reason || !*reason || strlen(reason) > X402__REASON_MAX)
		return x402_reason_wire(fallback);
	return reason;
}

/* The receipt as it came; an oversized one is cut to what the protocol names.
 */
static char *write_receipt(const struct x402_settle_response *response)
{
	struct x402_settle_response lean = {
		.success = response->success,
		.error_reason = reason_or(response->error_reason,
			X402_REASON_UNEXPECTED_SETTLE_ERROR),
		.transaction = response->transaction,
		.network = response->network,
		.payer = response->payer,
	};
	char *text = NULL;
	enum x402_err err = x402_settle_response_encode(response, &text);

	if (lean.success)
		lean.error_reason = NULL;
	if (err == X402_ERR_TOO_LARGE &&
		x402_settle_response_encode(&lean, &text) != X402_OK)
		return NULL;
	return text;
}

/* 402 with a settlement that did not happen, or not yet (P-141, P-160). */
static void answer_no(struct x402_gate *gate, const char *reason,
	const struct x402_settle_response *response,
	struct x402_gate_decision *ret_decision)
{
	enum x402_gate_action action = refusal(gate);
	char *receipt = write_receipt(response);

	if (!receipt) {
		answer_error(gate, 500, "out of memory", ret_decision);
		return;
	}
	end_claim(gate);
	gate->state = X402__GATE_DONE;
	x402__gate_answer_unsettled(
		gate, action, receipt, reason, ret_decision);
	(void)x402__gate_keep(gate, receipt);
}

/* ---- Begin. ---- */

static const struct x402__route *first_route(
	const struct x402_gate *gate, const char *path, bool *ret_method)
{
	const struct x402_provider *provider = gate->provider;
	const struct x402__route *gated = NULL;

	*ret_method = true;
	for (size_t i = 0; i < provider->routes_len; i++) {
		const struct x402__route *route = &provider->routes[i];

		if (!x402__pattern_matches(&route->pattern, path))
			continue;
		if (x402__pattern_method_matches(&route->pattern, gate->method))
			return route;
		/* R6: a method nobody thought of is a paid one. */
		if (!gated && route->offers_len)
			gated = route;
	}
	if (gated)
		*ret_method = false;
	return gated;
}

/* False when the two readings disagree; nothing may pass then. */
static bool choose_route(struct x402_gate *gate)
{
	bool method;

	gate->route = first_route(
		gate, gate->path.strict, &gate->method_matches);
	return first_route(gate, gate->path.loose, &method) == gate->route;
}

static bool one_header(const struct x402_gate_request *request,
	const char *name, struct x402_span *ret_value)
{
	struct x402_span second;

	return request->header(request->header_user, name, 0, ret_value) &&
		!request->header(request->header_user, name, 1, &second);
}

static bool is_preflight(
	const struct x402_gate *gate, const struct x402_gate_request *request)
{
	struct x402_span value;

	return gate->provider->cors_origin &&
		strcmp(request->method, "OPTIONS") == 0 &&
		one_header(request, "Origin", &value) &&
		one_header(request, "Access-Control-Request-Method", &value);
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

/* The resource's URL: our origin, and path and query as they were asked for
 * (demands.md P8). */
static enum x402_err write_url(
	struct x402_gate *gate, const struct x402_gate_request *request)
{
	const char *raw = gate->path.raw_len ? gate->path.raw : "/";
	int len = gate->path.raw_len ? (int)gate->path.raw_len : 1;
	const char *origin = gate->provider->public_origin;
	struct x402_span host;
	int n;

	if (origin) {
		n = asprintf(&gate->url, "%s%.*s", origin, len, raw);
	} else {
		if (!one_header(request, "Host", &host) || !host_valid(host))
			return X402_ERR_SYNTAX;
		n = asprintf(&gate->url, "http://%.*s%.*s", (int)host.len,
			(const char *)host.ptr, len, raw);
	}
	if (n < 0)
		gate->url = NULL;
	return n < 0 ? X402_ERR_NOMEM : X402_OK;
}

static void ask(struct x402_gate *gate, enum x402__gate_state state,
	struct x402_gate_decision *ret_decision)
{
	bool settle = state != X402__GATE_VERIFYING;

	if (!x402__gate_ask(gate, settle, ret_decision)) {
		answer_error(gate, 500, "out of memory", ret_decision);
		return;
	}
	/* From here on money may move without our knowing. */
	if (settle)
		gate->maybe_moved = true;
	gate->state = state;
}

static void run_handler(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	x402__gate_start(gate, X402_GATE_RUN_HANDLER, ret_decision);
	gate->state = X402__GATE_HANDLER;
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
	say(gate, X402_GATE_EVENT_REFUSED, reason);
	answer_no(gate, reason, &response, ret_decision);
	x402_settle_response_clear(&first);
}

static void begin_claim(struct x402_gate *gate, uint64_t now,
	struct x402_gate_decision *ret_decision)
{
	char *receipt = NULL;

	switch (x402__payments_claim(gate->provider->payments, &gate->key,
		gate->expires_unix_s, now, &receipt)) {
	case X402__CLAIM_NEW:
		gate->claimed = true;
		if (!aborted(gate, gate->provider->hooks.before_verify,
			    ret_decision))
			ask(gate, X402__GATE_VERIFYING, ret_decision);
		return;
	case X402__CLAIM_UNKNOWN:
		free(receipt);
		gate->claimed = true;
		gate->maybe_moved = true;
		ask(gate, X402__GATE_SETTLING_FIRST, ret_decision);
		return;
	case X402__CLAIM_PAID:
		gate->claimed = true;
		gate->settled = true;
		gate->receipt = receipt;
		run_handler(gate, ret_decision);
		return;
	case X402__CLAIM_BUSY:
	case X402__CLAIM_SPENT:
		answer_spent(gate, receipt, ret_decision);
		return;
	case X402__CLAIM_FULL:
		break;
	}
	say(gate, X402_GATE_EVENT_REFUSED, "too many payments in flight");
	answer_error(gate, 503, "too many payments in flight", ret_decision);
}

static void begin_paid(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	const char *reason = "";

	switch (x402__gate_read_payment(gate, request, &reason)) {
	case X402__PAYMENT_NONE:
		answer_challenge(gate, reason, ret_decision);
		return;
	case X402__PAYMENT_REFUSED:
		say(gate, X402_GATE_EVENT_REFUSED, reason);
		answer_challenge(gate, reason, ret_decision);
		return;
	case X402__PAYMENT_SMUGGLED:
		say(gate, X402_GATE_EVENT_REFUSED, reason);
		answer_error(gate, 400, reason, ret_decision);
		return;
	case X402__PAYMENT_GOOD:
		begin_claim(gate, request->now_unix_s, ret_decision);
		return;
	case X402__PAYMENT_FAULT:
		break;
	}
	answer_error(
		gate, 500, "the payment could not be checked", ret_decision);
}

void x402_gate_begin(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	enum x402_err err = x402__path_read(request->target, &gate->path);

	gate->method = strdup(request->method);
	if (err == X402_ERR_NOMEM || !gate->method) {
		answer_error(gate, 500, "out of memory", ret_decision);
		return;
	}
	if (err != X402_OK) {
		answer_error(gate, 400,
			"expected a path that can be "
			"normalised",
			ret_decision);
		return;
	}
	/* The raw target is the caller's: gone after this call. */
	err = write_url(gate, request);
	if (!choose_route(gate)) {
		answer_error(gate, 400, "expected a path with one meaning only",
			ret_decision);
	} else if (!gate->route || gate->route->offers_len == 0) {
		gate->state = X402__GATE_DONE;
		x402__gate_start(gate, X402_GATE_PASS, ret_decision);
	} else if (is_preflight(gate, request)) {
		gate->state = X402__GATE_DONE;
		x402__gate_answer_preflight(gate, ret_decision);
	} else if (err != X402_OK) {
		answer_error(gate, err == X402_ERR_NOMEM ? 500 : 400,
			"expected one Host header", ret_decision);
	} else {
		begin_paid(gate, request, ret_decision);
	}
	/* Borrowed from the request, which ends here. */
	gate->path.raw = NULL;
	gate->path.query = NULL;
	gate->path.raw_len = gate->path.query_len = 0;
}

/* ---- The facilitator has answered. ---- */

static bool is_success(unsigned status)
{
	return status >= 200 && status < 300;
}

/* The payer, where it is named, is the one who signed. */
static bool payer_agrees(const struct x402_gate *gate, const char *payer)
{
	struct x402_address address;

	return !payer || !*payer ||
		(x402_address_parse(payer, &address) == X402_OK &&
			x402_address_equal(&address, &gate->from));
}

static void on_verified(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	const struct x402_json *json, struct x402_gate_decision *ret_decision)
{
	struct x402_verify_response response = {0};
	const char *reason;

	if (x402_verify_response_read(json, NULL, &response) != X402_OK) {
		answer_fault(
			gate, "verify: not a VerifyResponse", ret_decision);
		return;
	}
	if (!response.is_valid) {
		reason = reason_or(response.invalid_reason,
			X402_REASON_UNEXPECTED_VERIFY_ERROR);
		say(gate, X402_GATE_EVENT_REFUSED, reason);
		answer_challenge(gate, reason, ret_decision);
	} else if (!is_success(answer->status) ||
		!payer_agrees(gate, response.payer) ||
		(response.invalid_reason && *response.invalid_reason)) {
		/* It says yes and no at once, or yes to somebody else. */
		answer_fault(gate, "verify: contradicts itself or the payment",
			ret_decision);
	} else {
		say(gate, X402_GATE_EVENT_VERIFIED, "");
		if (!aborted(gate, gate->provider->hooks.after_verify,
			    ret_decision))
			run_handler(gate, ret_decision);
	}
	x402_verify_response_clear(&response);
}

/* The network of the payment, as either version writes it. */
static bool network_agrees(const struct x402_gate *gate, const char *network)
{
	if (!network)
		return false;
	if (strcmp(network, gate->request.requirements.network) == 0)
		return true;
	return gate->version == X402_V1 &&
		strcmp(network, gate->v2.network) == 0;
}

/*
 * A yes that is worth content: this network, a transaction, this payer, this
 * amount, and no word of doubt (P-145; the facilitator may lie).
 */
static bool settlement_proven(const struct x402_gate *gate, unsigned status,
	const struct x402_settle_response *response)
{
	return is_success(status) && *response->transaction &&
		strlen(response->transaction) <= X402__REASON_MAX &&
		network_agrees(gate, response->network) &&
		payer_agrees(gate, response->payer) &&
		(!response->amount ||
			strcmp(response->amount, gate->v2.amount) == 0) &&
		(!response->error_reason || !*response->error_reason);
}

static void on_success(struct x402_gate *gate,
	const struct x402_settle_response *response,
	struct x402_gate_decision *ret_decision)
{
	bool first = gate->state == X402__GATE_SETTLING_FIRST;

	gate->settled = true;
	gate->receipt = write_receipt(response);
	gate->transaction = strdup(response->transaction);
	if (!gate->receipt) {
		/* Paid, and the buyer may come again for it. */
		answer_error(gate, 500, "out of memory", ret_decision);
		return;
	}
	say(gate, X402_GATE_EVENT_SETTLED, "");
	if (first) {
		run_handler(gate, ret_decision);
		return;
	}
	gate->state = X402__GATE_DELIVERING;
	x402__gate_answer_deliver(gate, gate->cache_control, ret_decision);
}

static void on_pending(struct x402_gate *gate,
	const struct x402_settle_response *response,
	struct x402_gate_decision *ret_decision)
{
	/* P-160: the same body once more; the facilitator waits as long
	 * again. */
	if (!gate->pending_retried) {
		gate->pending_retried = true;
		ask(gate, gate->state, ret_decision);
	} else if (!*response->transaction ||
		strlen(response->transaction) > X402__REASON_MAX) {
		answer_fault(gate, "settle: pending without a transaction",
			ret_decision);
	} else {
		say(gate, X402_GATE_EVENT_UNSETTLED,
			x402_reason_wire(X402_REASON_SETTLEMENT_PENDING));
		answer_no(gate,
			x402_reason_wire(X402_REASON_SETTLEMENT_PENDING),
			response, ret_decision);
	}
}

/* Does a refusal say that the money stays where it is? A fault of the
 * facilitator's own does not, nor does a word that nobody knows (R9). */
static bool is_final(const char *reason)
{
	enum x402_reason code;
	enum x402_retry retry;

	if (!x402_reason_from_wire(reason, &code))
		return false;
	retry = x402_reason_retry(code);
	return retry == X402_RETRY_NEVER || retry == X402_RETRY_FRESH;
}

static void on_settled(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	const struct x402_json *json, struct x402_gate_decision *ret_decision)
{
	struct x402_settle_response response = {0};
	const char *reason;

	if (x402_settle_response_read(json, NULL, &response) != X402_OK) {
		answer_fault(
			gate, "settle: not a SettleResponse", ret_decision);
		return;
	}
	reason = reason_or(
		response.error_reason, X402_REASON_UNEXPECTED_SETTLE_ERROR);
	if (response.success) {
		if (settlement_proven(gate, answer->status, &response))
			on_success(gate, &response, ret_decision);
		else
			answer_fault(gate,
				"settle: a success that proves "
				"nothing",
				ret_decision);
	} else if (strcmp(reason,
			   x402_reason_wire(X402_REASON_SETTLEMENT_PENDING)) ==
		0) {
		on_pending(gate, &response, ret_decision);
	} else {
		gate->maybe_moved = !is_final(reason);
		say(gate, X402_GATE_EVENT_UNSETTLED, reason);
		answer_no(gate, reason, &response, ret_decision);
	}
	x402_settle_response_clear(&response);
}

void x402_gate_on_facilitator(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	struct x402_gate_decision *ret_decision)
{
	bool verify = gate->state == X402__GATE_VERIFYING;
	struct x402_json *json = NULL;

	/* Called out of turn: closed, as everything else. */
	if (!verify && gate->state != X402__GATE_SETTLING &&
		gate->state != X402__GATE_SETTLING_FIRST) {
		answer_error(gate, 500, "out of turn", ret_decision);
		return;
	}
	if (answer->transport != X402_OK) {
		answer_fault(
			gate, x402_err_text(answer->transport), ret_decision);
		return;
	}
	/* P-101. Only these two keep method and body. */
	if ((answer->status == 307 || answer->status == 308) &&
		x402__gate_follow(gate, answer->location, !verify)) {
		ask(gate, gate->state, ret_decision);
		return;
	}
	if (answer->status >= 300 && answer->status < 400) {
		answer_fault(
			gate, "redirected where we do not go", ret_decision);
		return;
	}
	if (x402_json_parse(answer->body, NULL, NULL, &json) != X402_OK) {
		answer_fault(gate, "not JSON", ret_decision);
		return;
	}
	if (verify)
		on_verified(gate, answer, json, ret_decision);
	else
		on_settled(gate, answer, json, ret_decision);
	x402_json_unref(json);
}

/* ---- The handler is done. ---- */

/* P-129: no settlement; the same payment may be presented again. Where the
 * money has moved already (P-150), its receipt goes along. */
static void on_handler_failed(struct x402_gate *gate,
	const struct x402_gate_handler_result *result,
	struct x402_gate_decision *ret_decision)
{
	say(gate, X402_GATE_EVENT_CANCELLED,
		result->status ? "handler_failed" : "handler_threw");
	if (result->status == 0) {
		answer_error(gate, 500, "the handler failed", ret_decision);
		return;
	}
	end_claim(gate);
	gate->state = X402__GATE_DONE;
	x402__gate_answer_deliver(gate, result->cache_control, ret_decision);
}

void x402_gate_on_handler(struct x402_gate *gate,
	const struct x402_gate_handler_result *result,
	struct x402_gate_decision *ret_decision)
{
	if (gate->state != X402__GATE_HANDLER) {
		answer_error(gate, 500, "out of turn", ret_decision);
		return;
	}
	if (result->status == 0 || result->status >= 400) {
		on_handler_failed(gate, result, ret_decision);
		return;
	}
	if (gate->settled) {
		gate->state = X402__GATE_DELIVERING;
		x402__gate_answer_deliver(
			gate, result->cache_control, ret_decision);
		return;
	}
	if (aborted(gate, gate->provider->hooks.before_settle, ret_decision))
		return;
	free(gate->cache_control);
	gate->cache_control =
		result->cache_control ? strdup(result->cache_control) : NULL;
	/* Redirects were those of /verify; settle starts where configured. */
	free(gate->ask_url);
	gate->ask_url = NULL;
	gate->redirects = 0;
	ask(gate, X402__GATE_SETTLING, ret_decision);
}

void x402_gate_delivered(struct x402_gate *gate)
{
	if (gate->state != X402__GATE_DELIVERING || !gate->claimed)
		return;
	gate->claimed = false;
	gate->state = X402__GATE_DONE;
	x402__payments_end(gate->provider->payments, &gate->key,
		X402__CLAIM_END_SPENT, gate->receipt);
}

/* ---- Questions. ---- */

size_t x402_gate_route(const struct x402_gate *gate)
{
	return gate->route ? (size_t)(gate->route - gate->provider->routes)
			   : SIZE_MAX;
}

bool x402_gate_method_matches(const struct x402_gate *gate)
{
	return gate->method_matches;
}

const char *x402_gate_path(const struct x402_gate *gate)
{
	return gate->path.strict ? gate->path.strict : "";
}

bool x402_gate_param(const struct x402_gate *gate, const char *name,
	struct x402_span *ret_value)
{
	return gate->route && gate->path.strict &&
		x402__pattern_param(&gate->route->pattern, gate->path.strict,
			name, ret_value);
}

const char *x402_gate_payer(const struct x402_gate *gate)
{
	return gate->payer;
}

const char *x402_gate_transaction(const struct x402_gate *gate)
{
	return gate->transaction ? gate->transaction : "";
}

const char *x402_gate_amount(const struct x402_gate *gate)
{
	return gate->offer ? gate->v2.amount : "";
}

const char *x402_gate_asset(const struct x402_gate *gate)
{
	return gate->offer ? gate->v2.asset : "";
}

bool x402_gate_header_is_ours(const char *name)
{
	static const char *const names[] = {X402_HEADER_PAYMENT_REQUIRED,
		X402_HEADER_PAYMENT_RESPONSE, X402_HEADER_X_PAYMENT_RESPONSE,
		X402_HEADER_EXTENSION_RESPONSES, "Settlement-Overrides"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}
