/*
 * pass.c: who has paid comes back without paying, on a token that the provider
 * signed itself. There is one form of token and one way to sign it, so nothing
 * in a token chooses how it is checked (attack 43):
 *
 *   version 1, uses 4, expires 8, epoch 4, id 8, scope 16, family 1,
 *   payer 32, mac 16
 *
 * in hex. The mac is over the provider's secret, what the token is for, its
 * origin and the fields before it. Id is the payment's, so that a second copy
 * of a token shares its count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gate_p.h"

#define VERSION     2
#define FIELDS_SIZE 74
#define MAC_SIZE    16
#define TOKEN_SIZE  (FIELDS_SIZE + MAC_SIZE)
#define TEXT_LEN    (2 * (size_t)TOKEN_SIZE)
/* Cookies of one name that are tried; a browser sends one for each path. */
#define COOKIES_MAX 8

struct pass {
	uint32_t uses; /* 0: as many as there is time for */
	uint64_t expires_unix_s;
	uint32_t epoch;
	uint8_t id8[8];
	uint8_t scope16[16];
	bool is_svm;
	uint8_t payer32[32]; /* of EVM its last 20 bytes */
};

static void put(uint8_t **at, uint64_t value, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		*(*at)++ = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t **at, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | *(*at)++;
	return value;
}

static void sign(const struct x402_provider *provider, const uint8_t *fields,
	uint8_t ret_mac16[MAC_SIZE])
{
	static const char purpose[] = "x402 pass";
	const char *origin = provider->public_origin;
	struct x402_keccak hash;
	uint8_t hash32[32];

	/* Keccak's sponge needs no second pass to be a mac. */
	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(provider->secret32, 32));
	x402_keccak_update(&hash, x402_span(purpose, sizeof(purpose)));
	x402_keccak_update(&hash, x402_span_str(origin ? origin : ""));
	x402_keccak_update(&hash, x402_span(fields, FIELDS_SIZE));
	x402_keccak_final(&hash, hash32);
	memcpy(ret_mac16, hash32, MAC_SIZE);
}

static void write_token(const struct x402_provider *provider,
	const struct pass *pass, uint8_t token[TOKEN_SIZE])
{
	uint8_t *at = token;

	put(&at, VERSION, 1);
	put(&at, pass->uses, 4);
	put(&at, pass->expires_unix_s, 8);
	put(&at, pass->epoch, 4);
	memcpy(at, pass->id8, 8);
	memcpy(at + 8, pass->scope16, 16);
	at[24] = pass->is_svm;
	memcpy(at + 25, pass->payer32, 32);
	sign(provider, token, token + FIELDS_SIZE);
}

static bool read_token(const struct x402_provider *provider,
	struct x402_span text, struct pass *ret_pass)
{
	char hex[2 + 2 * TOKEN_SIZE + 1] = "0x";
	uint8_t token[TOKEN_SIZE];
	uint8_t mac[MAC_SIZE];
	const uint8_t *at = token;

	if (text.len != TEXT_LEN)
		return false;
	memcpy(hex + 2, text.ptr, TEXT_LEN);
	hex[2 + TEXT_LEN] = '\0';
	if (x402_hex_decode_fixed(hex, token, TOKEN_SIZE) != X402_OK)
		return false;
	sign(provider, token, mac);
	if (!x402_equal_ct(mac, token + FIELDS_SIZE, MAC_SIZE) ||
		get(&at, 1) != VERSION)
		return false;
	ret_pass->uses = (uint32_t)get(&at, 4);
	ret_pass->expires_unix_s = get(&at, 8);
	ret_pass->epoch = (uint32_t)get(&at, 4);
	memcpy(ret_pass->id8, at, 8);
	memcpy(ret_pass->scope16, at + 8, 16);
	ret_pass->is_svm = at[24];
	memcpy(ret_pass->payer32, at + 25, 32);
	return true;
}

static void add_word(struct x402_keccak *hash, const char *word)
{
	x402_keccak_update(hash, x402_span(word, strlen(word) + 1));
}

/* What a pass of this route is good for, as 16 bytes. */
void x402__scope_write(const struct x402_gate *gate, uint8_t ret_scope16[16])
{
	const struct x402__route *route = gate->route;
	struct x402_keccak hash;
	uint8_t hash32[32];
	uint8_t kind = (uint8_t)route->pass_scope;

	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(&kind, 1));
	switch (route->pass_scope) {
	case X402_PROVIDER_SCOPE_RESOURCE:
		/* With its route: another method of the same path may be
		 * another route, at another price (P5). */
		add_word(&hash, route->pattern.text);
		add_word(&hash, gate->path.strict);
		add_word(&hash, gate->query);
		break;
	case X402_PROVIDER_SCOPE_ROUTE:
		add_word(&hash, route->pattern.text);
		break;
	case X402_PROVIDER_SCOPE_SITE:
		break;
	}
	x402_keccak_final(&hash, hash32);
	memcpy(ret_scope16, hash32, 16);
}

static void write_hex(struct x402_buf *buf, const uint8_t *bytes, size_t len)
{
	x402_hex_encode(x402_span(bytes, len), buf);
}

/* "x402-pass-" and the scope: a pass for one page leaves the others alone. */
static void write_cookie_name(struct x402_buf *buf, const uint8_t scope16[16])
{
	x402_buf_add_str(buf, "x402-pass-");
	write_hex(buf, scope16, 4);
}

static bool over_https(const struct x402_gate *gate)
{
	return strncmp(gate->url, "https:", 6) == 0;
}

static void write_payer(const struct x402_gate *gate, struct pass *pass)
{
	struct x402_pubkey key;

	if (!gate->is_svm)
		memcpy(pass->payer32 + 12, gate->from.bytes, 20);
	else if (x402_pubkey_parse(gate->payer, &key) == X402_OK)
		memcpy(pass->payer32, key.bytes, 32);
}

static void read_payer(struct x402_gate *gate, const struct pass *pass)
{
	struct x402_pubkey key;

	gate->is_svm = pass->is_svm;
	if (pass->is_svm) {
		memcpy(key.bytes, pass->payer32, 32);
		x402_pubkey_format(&key, gate->payer);
		return;
	}
	memcpy(gate->from.bytes, pass->payer32 + 12, 20);
	x402_address_format(&gate->from, gate->payer);
}

void x402__pass_give(
	struct x402_gate *gate, struct x402_gate_decision *decision)
{
	const struct x402__route *route = gate->route;
	struct pass pass = {
		.uses = route->pass_uses,
		.expires_unix_s = gate->now_unix_s + route->pass_s,
		.epoch = gate->provider->pass_epoch,
		.is_svm = gate->is_svm,
	};
	uint8_t token[TOKEN_SIZE];
	struct x402_buf text = {0};
	struct x402_buf cookie = {0};

	if (route->pass_s == 0)
		return;
	memcpy(pass.id8, gate->key.payment32, 8);
	write_payer(gate, &pass);
	x402__scope_write(gate, pass.scope16);
	write_token(gate->provider, &pass, token);
	write_hex(&text, token, TOKEN_SIZE);
	write_cookie_name(&cookie, pass.scope16);
	x402_buf_add_byte(&cookie, '=');
	write_hex(&cookie, token, TOKEN_SIZE);
	/* Not for scripts, nor for other sites' forms. */
	x402_buf_printf(&cookie,
		"; Path=/; Max-Age=%u; HttpOnly; SameSite=Lax%s",
		(unsigned)route->pass_s, over_https(gate) ? "; Secure" : "");
	x402__gate_add(decision, "X402-Pass",
		x402__gate_keep(gate, x402_buf_take_str(&text)));
	x402__gate_add(decision, "Set-Cookie",
		x402__gate_keep(gate, x402_buf_take_str(&cookie)));
}

static bool good_here(struct x402_gate *gate, struct x402_span text)
{
	struct x402_provider *provider = gate->provider;
	uint8_t scope16[16];
	uint8_t key32[32] = {0};
	struct pass pass;

	if (!read_token(provider, text, &pass))
		return false;
	x402__scope_write(gate, scope16);
	if (memcmp(pass.scope16, scope16, sizeof(scope16)) != 0 ||
		pass.expires_unix_s < gate->now_unix_s ||
		pass.epoch < provider->pass_epoch)
		return false;
	if (pass.uses > 0) {
		/* Under the payment's id, which is a hash already. */
		memcpy(key32, pass.id8, 8);
		memcpy(key32 + 8, pass.scope16, 16);
		if (!x402__counters_take(provider->bought, key32, pass.uses,
			    pass.expires_unix_s, gate->now_unix_s))
			return false;
	}
	read_payer(gate, &pass);
	return true;
}

/* One "name=value" of a Cookie header; advances *list. */
static bool next_cookie(struct x402_span *list, struct x402_span *ret_name,
	struct x402_span *ret_value)
{
	const char *at = (const char *)list->ptr;
	const char *end = at + list->len;
	const char *stop;
	const char *equals;

	while (at < end && (*at == ' ' || *at == '\t' || *at == ';'))
		at++;
	if (at == end)
		return false;
	stop = memchr(at, ';', (size_t)(end - at));
	stop = stop ? stop : end;
	equals = memchr(at, '=', (size_t)(stop - at));
	*ret_name = x402_span(at, (size_t)((equals ? equals : stop) - at));
	*ret_value = equals ? x402_span(equals + 1, (size_t)(stop - equals - 1))
			    : x402_span(NULL, 0);
	*list = x402_span(stop, (size_t)(end - stop));
	return true;
}

static bool cookie_taken(struct x402_gate *gate, struct x402_span list,
	const char *name, int *tries)
{
	struct x402_span found;
	struct x402_span value;

	while (*tries > 0 && next_cookie(&list, &found, &value)) {
		if (found.len != strlen(name) ||
			memcmp(found.ptr, name, found.len) != 0)
			continue;
		(*tries)--;
		if (good_here(gate, value))
			return true;
	}
	return false;
}

bool x402__pass_taken(
	struct x402_gate *gate, const struct x402_gate_request *request)
{
	uint8_t scope16[16];
	struct x402_buf buf = {0};
	struct x402_span value;
	int tries = COOKIES_MAX;
	bool taken = false;
	char *name;

	if (gate->route->pass_s == 0)
		return false;
	if (x402__one_header(request, "X402-Pass", &value) &&
		good_here(gate, value))
		return true;
	x402__scope_write(gate, scope16);
	write_cookie_name(&buf, scope16);
	name = x402_buf_take_str(&buf);
	for (size_t i = 0; name && !taken &&
		request->header(request->header_user, "Cookie", i, &value);
		i++)
		taken = cookie_taken(gate, value, name, &tries);
	free(name);
	return taken;
}
