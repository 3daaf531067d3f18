/*
 * identifier.c: E-PI, the payment-identifier: a buyer's own name for a
 * purchase. Here a name belongs to one payment: that payment may be presented
 * again under it, and any other one is a 409, so that a buyer who signs anew
 * for the same purchase is not charged a second time.
 *
 *   x402__identifier_declare()  in the challenge
 *   x402__identifier_check()    while the payment is read: nobody is asked yet
 *   x402__identifier_take()     before it is asked to settle: from here on the
 *                               name is taken, also if two came at once
 *
 * Names count for a route and a payer, so that nobody can take another's.
 */
#include "gate_p.h"

#include <ctype.h>

#define EXTENSION "payment-identifier"
#define ID_MIN    16
#define ID_MAX    128
/* How long a name is kept: as long as the longest claim. */
#define LIFE_S ((uint64_t)24 * 60 * 60)

#define SCHEMA                                                           \
	"{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"," \
	"\"type\":\"object\",\"properties\":{\"required\":{\"type\":"    \
	"\"boolean\"},\"id\":{\"type\":\"string\",\"minLength\":16,"     \
	"\"maxLength\":128,\"pattern\":\"^[a-zA-Z0-9_-]+$\"}},"          \
	"\"required\":[\"required\"]}"

void x402__identifier_declare(
	const struct x402__route *route, struct x402_buf *buf)
{
	x402_buf_printf(buf,
		"\"" EXTENSION "\":{\"info\":{\"required\":%s},\"schema\":",
		route->identifier == X402_PROVIDER_IDENTIFIER_REQUIRED
			? "true"
			: "false");
	x402_buf_add_str(buf, SCHEMA);
	x402_buf_add_byte(buf, '}');
}

static bool id_valid(const char *id)
{
	size_t len = strlen(id);

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)id[i]) && id[i] != '_' &&
			id[i] != '-')
			return false;
	return len >= ID_MIN && len <= ID_MAX;
}

static const char *id_of(const struct x402_gate *gate)
{
	return x402_json_get_string(
		x402_json_get(x402_json_get(gate->request.payload.extensions,
				      EXTENSION),
			"info"),
		"id");
}

/* The name alone, and the name with the payment that has it. */
static void keys_of(const struct x402_gate *gate, const char *id,
	uint8_t ret_name32[32], uint8_t ret_owner32[32])
{
	size_t route = x402_gate_route(gate);
	struct x402_keccak hash;

	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(gate->provider->secret32, 32));
	x402_keccak_update(&hash, x402_span(EXTENSION, sizeof(EXTENSION)));
	x402_keccak_update(&hash, x402_span(&route, sizeof(route)));
	x402_keccak_update(&hash, x402_span(gate->from.bytes, 20));
	x402_keccak_update(&hash, x402_span_str(id));
	x402_keccak_final(&hash, ret_name32);
	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(ret_name32, 32));
	x402_keccak_update(&hash, x402_span(&gate->key, sizeof(gate->key)));
	x402_keccak_final(&hash, ret_owner32);
}

/* Is the name somebody else's: another payment's? */
static bool taken_by_other(const struct x402_gate *gate,
	const uint8_t name32[32], const uint8_t owner32[32])
{
	struct x402__counters *counters = gate->provider->counters;

	return x402__counters_have(counters, name32, gate->now_unix_s) &&
		!x402__counters_have(counters, owner32, gate->now_unix_s);
}

enum x402__identifier x402__identifier_check(const struct x402_gate *gate)
{
	const char *id = id_of(gate);
	uint8_t name32[32];
	uint8_t owner32[32];

	if (gate->route->identifier == X402_PROVIDER_IDENTIFIER_OFF ||
		gate->version != X402_V2)
		return X402__IDENTIFIER_GOOD;
	if (!id)
		return gate->route->identifier ==
				X402_PROVIDER_IDENTIFIER_REQUIRED
			? X402__IDENTIFIER_BAD
			: X402__IDENTIFIER_GOOD;
	if (!id_valid(id))
		return X402__IDENTIFIER_BAD;
	keys_of(gate, id, name32, owner32);
	return taken_by_other(gate, name32, owner32) ? X402__IDENTIFIER_TAKEN
						     : X402__IDENTIFIER_GOOD;
}

bool x402__identifier_take(struct x402_gate *gate)
{
	struct x402__counters *counters = gate->provider->counters;
	uint64_t until = gate->now_unix_s + LIFE_S;
	const char *id = id_of(gate);
	uint8_t name32[32];
	uint8_t owner32[32];

	if (gate->route->identifier == X402_PROVIDER_IDENTIFIER_OFF ||
		gate->version != X402_V2 || !id)
		return true;
	keys_of(gate, id, name32, owner32);
	/* The same payment, asked again. */
	gate->named = x402__counters_have(
			      counters, owner32, gate->now_unix_s) ||
		(x402__counters_take(
			 counters, name32, 1, until, gate->now_unix_s) &&
			x402__counters_take(
				counters, owner32, 1, until, gate->now_unix_s));
	return gate->named;
}

void x402__identifier_give_back(struct x402_gate *gate)
{
	struct x402__counters *counters = gate->provider->counters;
	uint8_t name32[32];
	uint8_t owner32[32];

	if (!gate->named)
		return;
	keys_of(gate, id_of(gate), name32, owner32);
	x402__counters_drop(counters, name32, gate->now_unix_s);
	x402__counters_drop(counters, owner32, gate->now_unix_s);
	gate->named = false;
}
