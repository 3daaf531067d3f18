/*
 * access.c: may a request for a priced route pass without paying? In order:
 *
 *   x402__crawler_decides()    a crawler that is blocked, or allowed
 *   a payment that it brings   is dealt with as one, whatever else it has
 *   x402__pass_taken()         it was paid before (pass.c)
 *   x402__siwx_proof()         a wallet signs in (siwx_proof.c); then
 *     x402__siwx_has_paid()    it has paid before
 *     x402__holder_decides()   it holds a token (holder.c)
 *   quota_taken()              the first requests of a day are free
 *
 * What is granted here is never for a shared cache.
 */
#include <strings.h>

#include "crawler_p.h"
#include "siwx_p.h"

#define DAY_S ((uint64_t)24 * 60 * 60)

bool x402__one_header(const struct x402_gate_request *request, const char *name,
	struct x402_span *ret_value)
{
	struct x402_span second;

	return request->header(request->header_user, name, 0, ret_value) &&
		!request->header(request->header_user, name, 1, &second);
}

bool x402__gate_brings_payment(const struct x402_gate_request *request)
{
	struct x402_span value;

	return request->header(request->header_user,
		       X402_HEADER_PAYMENT_SIGNATURE, 0, &value) ||
		request->header(request->header_user, X402_HEADER_X_PAYMENT, 0,
			&value) ||
		request->header(request->header_user,
			X402_HEADER_X_PAYMENT_PROOF, 0, &value);
}

/* Is needle in a header's value, without regard to case? */
bool x402__value_has(struct x402_span value, const char *needle)
{
	size_t len = strlen(needle);

	for (size_t i = 0; i + len <= value.len; i++)
		if (strncasecmp((const char *)value.ptr + i, needle, len) == 0)
			return true;
	return false;
}

/* P-128 */
static bool from_browser(const struct x402_gate_request *request)
{
	struct x402_span accept;
	struct x402_span agent;

	return (strcmp(request->method, "GET") == 0 ||
		       strcmp(request->method, "HEAD") == 0) &&
		x402__one_header(request, "Accept", &accept) &&
		x402__one_header(request, "User-Agent", &agent) &&
		x402__value_has(accept, "text/html") &&
		x402__value_has(agent, "mozilla");
}

static bool quota_taken(struct x402_gate *gate)
{
	uint64_t day = gate->now_unix_s / DAY_S;
	size_t route = x402_gate_route(gate);
	struct x402_keccak hash;
	uint8_t household16[16];
	uint8_t key32[32];

	if (gate->route->free_per_day == 0 ||
		!x402__networks_household(gate->client, household16))
		return false;
	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(gate->provider->secret32, 32));
	x402_keccak_update(&hash, x402_span(&day, sizeof(day)));
	x402_keccak_update(&hash, x402_span(&route, sizeof(route)));
	x402_keccak_update(&hash, x402_span(household16, 16));
	x402_keccak_final(&hash, key32);
	return x402__counters_take(gate->provider->counters, key32,
		gate->route->free_per_day, (day + 1) * DAY_S, gate->now_unix_s);
}

void x402__gate_unfavoured(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	if (quota_taken(gate))
		x402__gate_answer_pass(
			gate, X402_GATE_ACCESS_QUOTA, ret_decision);
	else
		x402__gate_end_challenge(
			gate, "Payment required", ret_decision);
}

void x402__gate_signed_in(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	if (x402__siwx_has_paid(gate))
		x402__gate_answer_pass(
			gate, X402_GATE_ACCESS_SIGNED_IN, ret_decision);
	else if (gate->route->holders_len)
		x402__holder_decides(gate, ret_decision);
	else
		x402__gate_unfavoured(gate, ret_decision);
}

/* True when a wallet signs in, or a contract is asked whether it does. */
static bool signs_in(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	if (!gate->route->siwx_s && !gate->route->holders_len)
		return false;
	switch (x402__siwx_proof(gate, request, ret_decision)) {
	case X402__SIWX_NONE:
	case X402__SIWX_REFUSED:
		return false;
	case X402__SIWX_PROVEN:
		x402__gate_signed_in(gate, ret_decision);
		return true;
	case X402__SIWX_ASK:
		break;
	}
	return true;
}

bool x402__gate_access(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	gate->wants_page = gate->provider->page && from_browser(request);
	if (x402__crawler_decides(gate, request, ret_decision))
		return true;
	if (x402__gate_brings_payment(request))
		return false;
	if (x402__pass_taken(gate, request)) {
		x402__gate_answer_pass(
			gate, X402_GATE_ACCESS_PASS, ret_decision);
		return true;
	}
	if (signs_in(gate, request, ret_decision))
		return true;
	if (quota_taken(gate)) {
		x402__gate_answer_pass(
			gate, X402_GATE_ACCESS_QUOTA, ret_decision);
		return true;
	}
	return false;
}
