/*
 * gate_questions.c: what handlers, hooks, memories and adapters may ask of a
 * gate, and which headers of a response are whose.
 */
#include "gate_p.h"

#include <strings.h>

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

const char *x402_gate_client(const struct x402_gate *gate)
{
	return gate->client;
}

const char *x402_gate_method(const struct x402_gate *gate)
{
	return gate->method ? gate->method : "";
}

const char *x402_gate_query(const struct x402_gate *gate)
{
	return gate->query ? gate->query : "";
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
	return gate->offer ? gate->amount : "";
}

const char *x402_gate_asset(const struct x402_gate *gate)
{
	return gate->offer ? gate->v2.asset : "";
}

const char *x402_gate_network(const struct x402_gate *gate)
{
	return gate->offer ? gate->v2.network : "";
}

const char *x402_gate_pattern(const struct x402_gate *gate)
{
	return gate->route ? gate->route->pattern.text : "";
}

const char *x402_gate_url(const struct x402_gate *gate)
{
	return gate->url ? gate->url : "";
}

enum x402_gate_access x402_gate_access_of(const struct x402_gate *gate)
{
	return gate->access;
}

bool x402_gate_header_adds_up(const char *name)
{
	return strcasecmp(name, "Vary") == 0 ||
		strcasecmp(name, "Set-Cookie") == 0;
}

bool x402_gate_header_is_ours(const char *name)
{
	static const char *const names[] = {X402_HEADER_PAYMENT_REQUIRED,
		X402_HEADER_PAYMENT_RESPONSE, X402_HEADER_X_PAYMENT_RESPONSE,
		X402_HEADER_EXTENSION_RESPONSES, "Settlement-Overrides",
		"X402-Pass"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

struct x402_span x402_gate_body(const struct x402_gate *gate)
{
	return gate->route && gate->route->price_by_body ? gate->body
							 : x402_span(NULL, 0);
}
