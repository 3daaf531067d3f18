/*
 * botauth.c: Web Bot Auth, the server's side: an RFC 9421 signature over our
 * own name, made with an Ed25519 key that the crawler's directory lists.
 *
 *   x402__bot_proof_read()   the headers, and the text that was signed
 *     read_label()           one signature, under one label
 *     read_params()          tag, times, key
 *     write_base()           a line for each covered component
 *   x402__bot_keys_read()    the directory: a JSON Web Key Set
 *   x402__bot_proof_holds()  the key by its thumbprint, the signature
 *
 * The authority must be covered and is ours, so a signature for another site is
 * none (attack 42); the times must be there and short; one use for each
 * signature is counted by the caller.
 */
#include "crawler_p.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#define TAG "web-bot-auth"
/* Longest life of a signature; the drafts advise less than a day. */
#define LIFE_MAX_S ((uint64_t)24 * 60 * 60)
/* Another machine's clock. */
#define CLOCK_MARGIN_S 60

struct params {
	const char *tag;
	size_t tag_len;
	const char *keyid;
	size_t keyid_len;
	uint64_t created;
	uint64_t expires;
};

/* base64url without padding (RFC 7515) into fixed bytes. */
static bool decode_url(const char *text, size_t len, uint8_t *out, size_t size)
{
	struct x402_buf plain = {0};
	struct x402_buf bytes = {0};
	bool good;

	for (size_t i = 0; i < len; i++)
		x402_buf_add_byte(&plain,
			(uint8_t)(text[i] == '-'         ? '+'
					: text[i] == '_' ? '/'
							 : text[i]));
	while (plain.len % 4)
		x402_buf_add_byte(&plain, '=');
	good = !plain.failed &&
		x402_base64_decode(x402_buf_span(&plain), &bytes) == X402_OK &&
		bytes.len == size;
	if (good)
		memcpy(out, bytes.ptr, size);
	x402_buf_clear(&plain);
	x402_buf_clear(&bytes);
	return good;
}

/* base64url of 32 bytes: 43 characters and NUL. */
static void encode_url(const uint8_t bytes32[32], char ret_text[64])
{
	struct x402_buf text = {0};

	x402_base64_encode(x402_span(bytes32, 32), &text);
	memset(ret_text, 0, 64);
	for (size_t i = 0; !text.failed && i < 43; i++)
		ret_text[i] = text.ptr[i] == '+' ? '-'
			: text.ptr[i] == '/'     ? '_'
						 : (char)text.ptr[i];
	x402_buf_clear(&text);
}

/* ---- The headers. ---- */

static char *copy_header(
	const struct x402_gate_request *request, const char *name)
{
	struct x402_span value;
	const char *at;
	size_t len;

	if (!x402__one_header(request, name, &value) || value.len == 0 ||
		value.len > X402__BOT_TEXT_MAX)
		return NULL;
	at = (const char *)value.ptr;
	len = value.len;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)at[i] < 0x20 || (unsigned char)at[i] > 0x7e)
			return NULL;
	while (len > 0 && (*at == ' ' || *at == '\t')) {
		at++;
		len--;
	}
	while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	return strndup(at, len);
}

/* "label=rest", a single one; where rest begins. */
static const char *read_label(const char *text, size_t *ret_len)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-.*");

	if (len == 0 || text[len] != '=')
		return NULL;
	*ret_len = len;
	return text + len + 1;
}

static bool read_integer(const char **at, uint64_t *ret_value)
{
	uint64_t value = 0;
	int digits = 0;

	for (; isdigit((unsigned char)**at) && digits < 15; digits++)
		value = value * 10 + (uint64_t)(*(*at)++ - '0');
	*ret_value = value;
	return digits > 0 && !isdigit((unsigned char)**at);
}

/* A quoted string without escapes; *at stands behind it afterwards. */
static bool read_quoted(const char **at, const char **ret_text, size_t *ret_len)
{
	const char *end;

	if (**at != '"')
		return false;
	*ret_text = *at + 1;
	end = strpbrk(*ret_text, "\"\\");
	if (!end || *end != '"')
		return false;
	*ret_len = (size_t)(end - *ret_text);
	*at = end + 1;
	return true;
}

static bool read_param(const char *name, size_t name_len, const char **at,
	struct params *params)
{
	const char *text = NULL;
	size_t len = 0;
	uint64_t number = 0;
	bool quoted = **at == '"';

	if (!(quoted ? read_quoted(at, &text, &len)
		     : read_integer(at, &number)))
		return false;
	if (name_len == 7 && strncmp(name, "created", 7) == 0) {
		params->created = number;
	} else if (name_len == 7 && strncmp(name, "expires", 7) == 0) {
		params->expires = number;
	} else if (name_len == 5 && strncmp(name, "keyid", 5) == 0) {
		params->keyid = text;
		params->keyid_len = len;
	} else if (name_len == 3 && strncmp(name, "tag", 3) == 0) {
		params->tag = text;
		params->tag_len = len;
	} else if (name_len == 3 && strncmp(name, "alg", 3) == 0) {
		return quoted && len == 7 && strncmp(text, "ed25519", 7) == 0;
	}
	return true;
}

/* ;name=value;... to the end of the text: a second signature is not read. */
static bool read_params(const char *at, struct params *params)
{
	while (*at == ';') {
		const char *name = ++at;
		size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz");

		at += len;
		if (len == 0 || *at++ != '=' ||
			!read_param(name, len, &at, params))
			return false;
	}
	return *at == '\0';
}

static bool times_good(const struct params *params, uint64_t now)
{
	return params->created && params->expires > params->created &&
		params->created <= now + CLOCK_MARGIN_S &&
		params->expires > now &&
		params->expires - params->created <= LIFE_MAX_S;
}

/* ---- What was signed. ---- */

/* The member of a Signature-Agent dictionary that a component names. */
static bool agent_member(
	const char *agent, const char *key, size_t len, struct x402_buf *out)
{
	const char *text;
	size_t text_len;

	if (strncmp(agent, key, len) != 0 || agent[len] != '=')
		return false;
	agent += len + 1;
	x402_buf_add_str(out, agent);
	return read_quoted(&agent, &text, &text_len) && *agent == '\0';
}

/* One covered component, and its line. False for any that we do not know. */
static bool write_component(const char **at, const char *agent,
	struct x402_span authority, struct x402_buf *base, unsigned *covered)
{
	const char *name;
	const char *key;
	size_t len;
	size_t key_len;

	if (!read_quoted(at, &name, &len))
		return false;
	x402_buf_add_byte(base, '"');
	x402_buf_add(base, x402_span(name, len));
	x402_buf_add_byte(base, '"');
	if (len == 10 && strncmp(name, "@authority", 10) == 0) {
		x402_buf_add_str(base, ": ");
		for (size_t i = 0; i < authority.len; i++)
			x402_buf_add_byte(
				base, (uint8_t)tolower(authority.ptr[i]));
		*covered |= 1;
	} else if (len == 15 && strncmp(name, "signature-agent", 15) == 0) {
		*covered |= 2;
		if (strncmp(*at, ";key=", 5) == 0) {
			*at += 5;
			if (!read_quoted(at, &key, &key_len))
				return false;
			x402_buf_add_str(base, ";key=\"");
			x402_buf_add(base, x402_span(key, key_len));
			x402_buf_add_str(base, "\": ");
			if (!agent_member(agent, key, key_len, base))
				return false;
		} else {
			x402_buf_add_str(base, ": ");
			x402_buf_add_str(base, agent);
		}
	} else {
		return false;
	}
	x402_buf_add_byte(base, '\n');
	return **at == ' ' || **at == ')';
}

/* The whole base; *ret_params is where the parameters begin. */
static bool write_base(const char *input, const char *agent,
	struct x402_span authority, struct x402_buf *base,
	const char **ret_params)
{
	const char *at = input;
	unsigned covered = 0;

	if (*at++ != '(')
		return false;
	while (*at != ')') {
		while (*at == ' ')
			at++;
		if (!write_component(&at, agent, authority, base, &covered))
			return false;
	}
	*ret_params = at + 1;
	x402_buf_add_str(base, "\"@signature-params\": ");
	x402_buf_add_str(base, input);
	/* Both: our name, and whose key it is. */
	return covered == 3 && !base->failed;
}

/* Does the header name this directory, as a string or in a dictionary? */
static bool agent_is(const char *agent, const char *directory)
{
	const char *at = agent;
	const char *text;
	size_t len;

	if (*at != '"') {
		at = read_label(agent, &len);
		if (!at)
			return false;
	}
	return read_quoted(&at, &text, &len) && *at == '\0' &&
		len == strlen(directory) && strncmp(text, directory, len) == 0;
}

/* label=:base64: under the same label. */
static bool read_signature(
	const char *header, const char *label, size_t label_len, uint8_t *sig64)
{
	struct x402_buf bytes = {0};
	size_t len;
	const char *at = read_label(header, &len);
	size_t text_len = at ? strlen(at) : 0;
	bool good;

	if (!at || len != label_len || strncmp(header, label, len) != 0 ||
		text_len < 2 || at[0] != ':' || at[text_len - 1] != ':')
		return false;
	good = x402_base64_decode(x402_span(at + 1, text_len - 2), &bytes) ==
			X402_OK &&
		bytes.len == 64;
	if (good)
		memcpy(sig64, bytes.ptr, 64);
	x402_buf_clear(&bytes);
	return good;
}

static bool read_proof(const char *input, const char *signature,
	const char *agent, struct x402_span authority, uint64_t now,
	struct x402__bot_proof *proof)
{
	struct params params = {0};
	struct x402_buf base = {0};
	const char *at = NULL;
	size_t label_len;
	const char *value = read_label(input, &label_len);
	bool good = value &&
		read_signature(signature, input, label_len, proof->sig64) &&
		write_base(value, agent, authority, &base, &at) &&
		read_params(at, &params) && times_good(&params, now) &&
		params.tag_len == strlen(TAG) &&
		strncmp(params.tag, TAG, params.tag_len) == 0 && params.keyid &&
		params.keyid_len < sizeof(proof->keyid);

	if (good) {
		memcpy(proof->keyid, params.keyid, params.keyid_len);
		proof->expires_unix_s = params.expires;
		proof->base = x402_buf_take_str(&base);
	}
	x402_buf_clear(&base);
	return good && proof->base;
}

struct x402__bot_proof *x402__bot_proof_read(
	const struct x402_gate_request *request, const char *directory,
	struct x402_span authority, uint64_t now_unix_s)
{
	char *input = copy_header(request, "Signature-Input");
	char *signature = copy_header(request, "Signature");
	char *agent = copy_header(request, "Signature-Agent");
	struct x402__bot_proof *proof = NULL;

	if (input && signature && agent && agent_is(agent, directory))
		proof = calloc(1, sizeof(*proof));
	if (proof &&
		!read_proof(input, signature, agent, authority, now_unix_s,
			proof)) {
		x402__bot_proof_free(proof);
		proof = NULL;
	}
	free(input);
	free(signature);
	free(agent);
	return proof;
}

void x402__bot_proof_free(struct x402__bot_proof *proof)
{
	if (!proof)
		return;
	free(proof->base);
	free(proof);
}

/* ---- Keys. ---- */

/* More than this is no second of this millennium: milliseconds then. */
#define SECONDS_MAX ((int64_t)100000000000)

/* nbf and exp of a key, where it has them; other things than numbers: false. */
static bool read_time(const struct x402_json *jwk, const char *name,
	uint64_t missing, uint64_t *ret_unix_s)
{
	int64_t value;

	*ret_unix_s = missing;
	if (!x402_json_get(jwk, name))
		return true;
	if (!x402_json_int64(x402_json_get(jwk, name), &value) || value < 0)
		return false;
	*ret_unix_s = (uint64_t)(value > SECONDS_MAX ? value / 1000 : value);
	return true;
}

static bool read_key(const struct x402_json *jwk, struct x402__bot_key *ret_key)
{
	const char *kty = x402_json_get_string(jwk, "kty");
	const char *crv = x402_json_get_string(jwk, "crv");
	const char *x = x402_json_get_string(jwk, "x");
	struct x402_buf canonical = {0};
	uint8_t hash32[32];

	if (!kty || !crv || !x || strcmp(kty, "OKP") != 0 ||
		strcmp(crv, "Ed25519") != 0 ||
		!decode_url(x, strlen(x), ret_key->key.bytes, 32) ||
		!read_time(jwk, "nbf", 0, &ret_key->from_unix_s) ||
		!read_time(jwk, "exp", UINT64_MAX, &ret_key->to_unix_s))
		return false;
	/* RFC 8037 A.3: the thumbprint is over these members, so written. */
	x402_buf_printf(&canonical,
		"{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", x);
	x402_sha256(x402_buf_span(&canonical), hash32);
	encode_url(hash32, ret_key->id);
	x402_buf_clear(&canonical);
	return true;
}

void x402__bot_keys_read(struct x402_span text, struct x402__bot_keys *ret_keys)
{
	struct x402_json *json = NULL;
	const struct x402_json *list;

	ret_keys->len = 0;
	if (x402_json_parse(text, NULL, NULL, &json) != X402_OK)
		return;
	list = x402_json_get(json, "keys");
	for (size_t i = 0;
		i < x402_json_size(list) && ret_keys->len < X402__BOT_KEYS_MAX;
		i++)
		if (read_key(x402_json_at(list, i),
			    &ret_keys->keys[ret_keys->len]))
			ret_keys->len++;
	x402_json_unref(json);
}

static const struct x402__bot_key *find_key(
	const struct x402__bot_proof *proof, const struct x402__bot_keys *keys)
{
	for (size_t i = 0; i < keys->len; i++)
		if (strcmp(keys->keys[i].id, proof->keyid) == 0)
			return &keys->keys[i];
	return NULL;
}

bool x402__bot_key_listed(
	const struct x402__bot_proof *proof, const struct x402__bot_keys *keys)
{
	return find_key(proof, keys) != NULL;
}

bool x402__bot_proof_holds(const struct x402__bot_proof *proof,
	const struct x402__bot_keys *keys, uint64_t now_unix_s)
{
	const struct x402__bot_key *key = find_key(proof, keys);

	return key && key->from_unix_s <= now_unix_s &&
		now_unix_s < key->to_unix_s &&
		x402_ed25519_verify(
			proof->sig64, x402_span_str(proof->base), &key->key);
}
