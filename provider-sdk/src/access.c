/*
 * access.c: may a request for a priced route pass without paying? In order:
 *
 *   x402__crawler_decides()    a crawler that is blocked, or allowed
 *   a payment that it brings   is dealt with as one, whatever else it has
 *   x402__pass_taken()         it was paid before (pass.c)
 *   x402__siwx_has_paid()      likewise, and the wallet proves it (siwx.c)
 *   x402__holder_decides()     it holds a token (holder.c)
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
		request->header(
			request->header_user, X402_HEADER_X_PAYMENT, 0, &value);
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

/* An address may have a whole network of IPv6 ones: they count as one. */
static size_t client_part(const char *client)
{
	size_t len = strlen(client);
	int colons = 0;

	for (size_t i = 0; i < len; i++)
		if (client[i] == ':' && ++colons == 4)
			return i;
	return len;
}

static bool quota_taken(struct x402_gate *gate)
{
	uint64_t day = gate->now_unix_s / DAY_S;
	size_t route = x402_gate_route(gate);
	struct x402_keccak hash;
	uint8_t key32[32];

	if (gate->route->free_per_day == 0 || !*gate->client)
		return false;
	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(gate->provider->secret32, 32));
	x402_keccak_update(&hash, x402_span(&day, sizeof(day)));
	x402_keccak_update(&hash, x402_span(&route, sizeof(route)));
	x402_keccak_update(
		&hash, x402_span(gate->client, client_part(gate->client)));
	x402_keccak_final(&hash, key32);
	return x402__counters_take(gate->provider->counters, key32,
		gate->route->free_per_day, (day + 1) * DAY_S, gate->now_unix_s);
}

/* The wallet is proven: has it paid, or does it hold? */
static bool signed_in(struct x402_gate *gate,
	const struct x402_address *address,
	struct x402_gate_decision *ret_decision)
{
	if (gate->route->siwx_s && x402__siwx_has_paid(gate, address)) {
		gate->from = *address;
		x402_address_format(&gate->from, gate->payer);
		x402__gate_answer_pass(
			gate, X402_GATE_ACCESS_SIGNED_IN, ret_decision);
		return true;
	}
	if (gate->route->holders_len == 0)
		return false;
	x402__holder_decides(gate, address, ret_decision);
	return true;
}

bool x402__gate_access(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	struct x402_address address;

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
	if ((gate->route->siwx_s || gate->route->holders_len) &&
		x402__siwx_proven(gate, request, &address) &&
		signed_in(gate, &address, ret_decision))
		return true;
	if (quota_taken(gate)) {
		x402__gate_answer_pass(
			gate, X402_GATE_ACCESS_QUOTA, ret_decision);
		return true;
	}
	return false;
}
