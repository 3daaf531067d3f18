/*
 * identifier.c: E-PI, the payment-identifier: a buyer's own name for a
 * purchase. A name belongs to one payment, so that a buyer who signs anew for
 * the same purchase is not charged a second time: he gets the first response
 * again where that was kept (replay.c), and a 409 where it was not, or where it
 * is another purchase.
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
/* How long a name is kept at least: as long as the longest claim. */
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

/* The name, of this route and payer. */
static void hash_name(
	const struct x402_gate *gate, const char *id, uint8_t ret_name32[32])
{
	const char *pattern = gate->route->pattern.text;
	struct x402_keccak hash;

	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(gate->provider->secret32, 32));
	x402_keccak_update(&hash, x402_span(EXTENSION, sizeof(EXTENSION)));
	x402_keccak_update(&hash, x402_span(pattern, strlen(pattern) + 1));
	x402_keccak_update(
		&hash, x402_span(gate->payer, strlen(gate->payer) + 1));
	x402_keccak_update(&hash, x402_span_str(id));
	x402_keccak_final(&hash, ret_name32);
}

bool x402__identifier_given(const struct x402_gate *gate)
{
	const char *id = id_of(gate);

	return gate->route->identifier != X402_PROVIDER_IDENTIFIER_OFF &&
		gate->version == X402_V2 && id && id_valid(id);
}

static void write_name(
	const struct x402_gate *gate, struct x402_claim_name *ret_name)
{
	uint64_t life = gate->route->replay_s > LIFE_S ? gate->route->replay_s
						       : LIFE_S;

	hash_name(gate, id_of(gate), ret_name->name32);
	memcpy(ret_name->terms32, gate->terms32, 32);
	memcpy(ret_name->payment32, gate->key.payment32, 32);
	memcpy(ret_name->request32, gate->key.request32, 32);
	ret_name->until_unix_s = gate->now_unix_s + life;
}

/*
 * ---- Whoever remembers names. ----
 *
 * A memory's own verbs; or two of its counts, the name and the name with the
 * payment that has it, where it counts for several processes; or our table.
 */

static bool are_counted(const struct x402_provider *provider)
{
	return provider->memory.count && !provider->memory.name_take;
}

static void hash_owner(const struct x402_gate *gate, const uint8_t name32[32],
	uint8_t ret_owner32[32])
{
	struct x402_keccak hash;

	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(name32, 32));
	x402_keccak_update(&hash, x402_span(gate->key.payment32, 32));
	x402_keccak_final(&hash, ret_owner32);
}

/* A count does not say whose it is; but whether it is this payment's. */
static bool find_counted(const struct x402_gate *gate, const uint8_t name32[32],
	struct x402_claim_name *ret_name)
{
	struct x402__counters *counters = gate->provider->bought;
	uint8_t owner32[32];

	memset(ret_name, 0, sizeof(*ret_name));
	hash_owner(gate, name32, owner32);
	if (!x402__counters_have(counters, name32, gate->now_unix_s))
		return false;
	if (x402__counters_have(counters, owner32, gate->now_unix_s))
		memcpy(ret_name->payment32, gate->key.payment32, 32);
	return true;
}

static bool take_counted(
	const struct x402_gate *gate, const struct x402_claim_name *name)
{
	struct x402__counters *counters = gate->provider->bought;
	uint8_t owner32[32];

	hash_owner(gate, name->name32, owner32);
	return x402__counters_have(counters, owner32, gate->now_unix_s) ||
		(x402__counters_take(counters, name->name32, 1,
			 name->until_unix_s, gate->now_unix_s) &&
			x402__counters_take(counters, owner32, 1,
				name->until_unix_s, gate->now_unix_s));
}

static bool find(struct x402_gate *gate, const uint8_t name32[32],
	struct x402_claim_name *ret_name, struct x402_buf *ret_response)
{
	const struct x402_provider_memory *memory = &gate->provider->memory;

	if (are_counted(gate->provider))
		return find_counted(gate, name32, ret_name);
	return memory->name_find
		? memory->name_find(memory->user, gate, name32,
			  gate->now_unix_s, ret_name, ret_response)
		: x402__names_find(gate->provider->names, name32,
			  gate->now_unix_s, ret_name, ret_response);
}

static bool take(struct x402_gate *gate, const struct x402_claim_name *name)
{
	const struct x402_provider_memory *memory = &gate->provider->memory;

	if (are_counted(gate->provider))
		return take_counted(gate, name);
	return memory->name_take
		? memory->name_take(memory->user, gate, name, gate->now_unix_s)
		: x402__names_take(
			  gate->provider->names, name, gate->now_unix_s);
}

void x402__identifier_keep(struct x402_gate *gate, struct x402_span response)
{
	const struct x402_provider_memory *memory = &gate->provider->memory;
	uint8_t name32[32];

	/* Not named yet: paid for by a request before this one. */
	if (!x402__identifier_given(gate) ||
		(!gate->named && !x402__identifier_take(gate)) ||
		are_counted(gate->provider))
		return;
	hash_name(gate, id_of(gate), name32);
	if (memory->name_keep)
		memory->name_keep(memory->user, gate, name32, response);
	else
		x402__names_keep(gate->provider->names, name32, response);
}

static void drop(struct x402_gate *gate, const uint8_t name32[32])
{
	const struct x402_provider_memory *memory = &gate->provider->memory;
	struct x402__counters *counters = gate->provider->bought;
	uint8_t owner32[32];

	if (are_counted(gate->provider)) {
		hash_owner(gate, name32, owner32);
		x402__counters_drop(counters, name32, gate->now_unix_s);
		x402__counters_drop(counters, owner32, gate->now_unix_s);
	} else if (memory->name_drop) {
		memory->name_drop(memory->user, gate, name32);
	} else {
		x402__names_drop(gate->provider->names, name32);
	}
}

/* ---- What it means for a payment. ---- */

bool x402__identifier_had(struct x402_gate *gate)
{
	struct x402_claim_name name = {.until_unix_s = 0};
	struct x402_buf response = {0};
	uint8_t name32[32];
	bool had;

	if (!x402__identifier_given(gate))
		return false;
	hash_name(gate, id_of(gate), name32);
	had = find(gate, name32, &name, &response) &&
		x402__replay_is_fresh(gate, x402_buf_span(&response)) &&
		memcmp(name.request32, gate->key.request32, 32) == 0;
	x402_buf_clear(&response);
	return had;
}

/*
 * The same purchase, asked for by who made it: by the very bytes that bought
 * it, or with a new signature of the same key. A signature that only a
 * contract could judge proves nothing here.
 */
static bool may_replay(
	const struct x402_gate *gate, const struct x402_claim_name *name)
{
	return memcmp(name->terms32, gate->terms32, 32) == 0 &&
		(memcmp(name->request32, gate->key.request32, 32) == 0 ||
			x402__gate_payer_signed(gate));
}

enum x402__identifier x402__identifier_check(struct x402_gate *gate,
	struct x402_claim_name *ret_name, struct x402_buf *ret_response)
{
	const char *id = id_of(gate);
	uint8_t name32[32];

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
	hash_name(gate, id, name32);
	if (!find(gate, name32, ret_name, ret_response))
		return X402__IDENTIFIER_GOOD;
	if (x402__replay_is_fresh(gate, x402_buf_span(ret_response)) &&
		may_replay(gate, ret_name))
		return X402__IDENTIFIER_HAD;
	return memcmp(ret_name->payment32, gate->key.payment32, 32) == 0
		? X402__IDENTIFIER_GOOD
		: X402__IDENTIFIER_TAKEN;
}

bool x402__identifier_take(struct x402_gate *gate)
{
	struct x402_claim_name name;

	if (!x402__identifier_given(gate))
		return true;
	write_name(gate, &name);
	gate->named = take(gate, &name);
	return gate->named;
}

void x402__identifier_give_back(struct x402_gate *gate)
{
	uint8_t name32[32];

	if (!gate->named)
		return;
	hash_name(gate, id_of(gate), name32);
	drop(gate, name32);
	gate->named = false;
}
