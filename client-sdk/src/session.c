/*
 * session.c: scopes, and the grants that carry them. A grant is JSON; what is
 * signed is its text with sorted keys, without the signature, behind a prefix
 * that no other text of ours begins with (EIP-191, so that any wallet can
 * issue one).
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "url_p.h"
#include "x402/encoding.h"
#include "x402/json.h"
#include "x402/network.h"
#include "x402/session.h"

#define GRANT_PREFIX  "x402 session grant 1\n"
#define GRANT_VERSION 1

/* ---- Scopes. ---- */

enum x402_err x402_session_scope_host(
	struct x402_session_scope *scope, const char *host)
{
	const char *name = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
	size_t len = strlen(name);
	if (len == 0 || strlen(host) >= X402_SESSION_HOST_SIZE ||
		strspn(name,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			"abcdefghijklmnopqrstuvwxyz0123456789-.:[]_") != len)
		return X402_ERR_SYNTAX;
	if (scope->hosts_len >= X402_SESSION_LIST_MAX)
		return X402_ERR_RANGE;
	memcpy(scope->hosts[scope->hosts_len++], host, strlen(host) + 1);
	return X402_OK;
}

enum x402_err x402_session_scope_network(
	struct x402_session_scope *scope, const char *network)
{
	const char *caip2 = x402_network_from_v1_name(network);
	struct x402_network parsed;
	if (!caip2)
		caip2 = network;
	size_t len = strlen(caip2);
	bool pattern = len > 2 && strcmp(caip2 + len - 2, ":*") == 0;
	if (len >= X402_NETWORK_SIZE ||
		(!pattern && x402_network_parse(caip2, &parsed)))
		return X402_ERR_SYNTAX;
	if (scope->networks_len >= X402_SESSION_LIST_MAX)
		return X402_ERR_RANGE;
	memcpy(scope->networks[scope->networks_len++], caip2, len + 1);
	return X402_OK;
}

enum x402_err x402_session_scope_payee(
	struct x402_session_scope *scope, const char *address)
{
	if (strncmp(address, "0x", 2) != 0) {
		if (scope->svm_payees_len >= X402_SESSION_LIST_MAX)
			return X402_ERR_RANGE;
		enum x402_err svm = x402_pubkey_parse(
			address, &scope->svm_payees[scope->svm_payees_len]);
		if (!svm)
			scope->svm_payees_len++;
		return svm;
	}
	if (scope->payees_len >= X402_SESSION_LIST_MAX)
		return X402_ERR_RANGE;
	enum x402_err err = x402_address_parse_checked(
		address, &scope->payees[scope->payees_len]);
	if (!err)
		scope->payees_len++;
	return err;
}

static enum x402_err deny(
	struct x402_errinfo *info, const char *field, const char *text)
{
	x402_errinfo_set(info, field, "%s", text);
	return X402_ERR_POLICY;
}

static bool host_matches(const char *pattern, const char *host)
{
	if (strncmp(pattern, "*.", 2) != 0)
		return strcasecmp(pattern, host) == 0;
	size_t tail = strlen(pattern) - 1; /* with its dot */
	size_t len = strlen(host);
	return len > tail && strcasecmp(host + len - tail, pattern + 1) == 0;
}

static enum x402_err judge_host(const struct x402_session_scope *scope,
	const char *url, struct x402_errinfo *info)
{
	struct x402__http_url parsed = {0};
	if (!scope->hosts_len)
		return X402_OK;
	bool found = false;
	if (url && x402__http_url_parse(url, &parsed) == X402_OK)
		for (size_t i = 0; i < scope->hosts_len && !found; i++)
			found = host_matches(scope->hosts[i], parsed.host);
	x402__http_url_clear(&parsed);
	return found ? X402_OK
		     : deny(info, "hosts", "this host is not in the scope");
}

static bool is_payee(const struct x402_session_scope *scope,
	const struct x402_session_ask *ask)
{
	if (ask->no_payee || (!scope->payees_len && !scope->svm_payees_len))
		return true;
	for (size_t i = 0; ask->svm_pay_to && i < scope->svm_payees_len; i++)
		if (x402_pubkey_equal(&scope->svm_payees[i], ask->svm_pay_to))
			return true;
	for (size_t i = 0; !ask->svm_pay_to && i < scope->payees_len; i++)
		if (x402_address_equal(&scope->payees[i], &ask->pay_to))
			return true;
	return false;
}

/* Worth in micro-dollars, rounded up: a fraction must not be free. */
static bool usd_worth(
	const struct x402_session_ask *ask, uint64_t *ret_usd_micros)
{
	const struct x402_default_asset *asset = x402_known_asset(
		ask->network, ask->asset);
	struct x402_u256 value = ask->value;
	uint64_t rest = 0;
	uint64_t divided = 0;
	if (!asset || !asset->usd || asset->decimals > 36)
		return false;
	for (unsigned d = 6; d < asset->decimals; d++) {
		if (!x402_u256_div_u64(&value, 10, &value, &rest))
			return false;
		divided |= rest;
	}
	for (unsigned d = asset->decimals; d < 6; d++)
		if (!x402_u256_mul_u64(&value, 10, &value))
			return false;
	if (!x402_u256_to_u64(&value, ret_usd_micros))
		return false;
	if (divided && *ret_usd_micros < UINT64_MAX)
		(*ret_usd_micros)++;
	return true;
}

/* Until when, and on which chain. */
static enum x402_err judge_reach(const struct x402_session_scope *scope,
	const char *network, uint64_t now_unix_s, struct x402_errinfo *info)
{
	bool found = scope->networks_len == 0;
	if (scope->expires_unix_s && now_unix_s >= scope->expires_unix_s)
		return deny(info, "expires", "the session has expired");
	for (size_t i = 0; i < scope->networks_len && !found; i++)
		found = x402_network_matches(scope->networks[i], network);
	return found
		? X402_OK
		: deny(info, "networks", "this network is not in the scope");
}

enum x402_err x402_session_judge_sign_in(const struct x402_session_scope *scope,
	const char *url, const char *network, uint64_t now_unix_s,
	struct x402_errinfo *info)
{
	if (!scope->sign_in)
		return deny(info, "signIn", "sign-ins are not in the scope");
	enum x402_err err = judge_reach(scope, network, now_unix_s, info);
	return err ? err : judge_host(scope, url, info);
}

enum x402_err x402_session_judge(const struct x402_session_scope *scope,
	const struct x402_session_ask *ask, struct x402_errinfo *info,
	uint64_t *ret_usd_micros)
{
	uint64_t usd_micros = 0;
	enum x402_err err = judge_reach(
		scope, ask->network, ask->now_unix_s, info);
	if (err)
		return err;
	if (!is_payee(scope, ask))
		return deny(info, "payees", "this payee is not in the scope");
	err = judge_host(scope, ask->url, info);
	if (err)
		return err;
	if (!usd_worth(ask, &usd_micros))
		return deny(info, "asset",
			"the worth of this asset is not known here");
	if (scope->max_usd_micros && usd_micros > scope->max_usd_micros)
		return deny(info, "maxAmount",
			"the amount is above the cap for one payment");
	*ret_usd_micros = usd_micros;
	return X402_OK;
}

/* ---- Grants. ---- */

void x402_session_text_digest(
	const char *prefix, struct x402_span text, uint8_t ret_digest32[32])
{
	char head[64];
	struct x402_keccak keccak;
	(void)snprintf(head, sizeof(head),
		"\x19"
		"Ethereum Signed Message:\n%zu",
		strlen(prefix) + text.len);
	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span_str(head));
	x402_keccak_update(&keccak, x402_span_str(prefix));
	x402_keccak_update(&keccak, text);
	x402_keccak_final(&keccak, ret_digest32);
}

static enum x402_err set_address(struct x402_json *json, const char *key,
	const struct x402_address *address)
{
	char text[X402_ADDRESS_TEXT_SIZE];
	x402_address_format(address, text);
	return x402_json_set_string(json, key, text);
}

static enum x402_err set_list(struct x402_json *json, const char *key,
	const char *items, size_t size, size_t len)
{
	struct x402_json *list = x402_json_new_array();
	enum x402_err err = list ? X402_OK : X402_ERR_NOMEM;
	for (size_t i = 0; i < len && !err; i++)
		err = x402_json_append_take(
			list, x402_json_new_string(items + i * size));
	enum x402_err taken = x402_json_set_take(json, key, list);
	return err ? err : taken;
}

static enum x402_err set_payees(
	struct x402_json *json, const struct x402_session_scope *scope)
{
	char texts[2 * X402_SESSION_LIST_MAX][X402_PUBKEY_TEXT_SIZE];
	size_t len = 0;
	for (size_t i = 0; i < scope->payees_len; i++)
		x402_address_format(&scope->payees[i], texts[len++]);
	for (size_t i = 0; i < scope->svm_payees_len; i++)
		x402_pubkey_format(&scope->svm_payees[i], texts[len++]);
	return set_list(json, "payees", texts[0], X402_PUBKEY_TEXT_SIZE, len);
}

/* Numbers that may be above 2^53 are strings, as everywhere in x402. */
static enum x402_err set_number(
	struct x402_json *json, const char *key, uint64_t value)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	return x402_json_set_string(json, key, text);
}

static enum x402_err grant_to_json(
	const struct x402_session_grant *grant, struct x402_json **ret_json)
{
	const struct x402_session_scope *scope = &grant->scope;
	struct x402_json *json = x402_json_new_object();
	enum x402_err err = json
		? x402_json_set_int(json, "x402Session", GRANT_VERSION)
		: X402_ERR_NOMEM;
	if (!err)
		err = x402_json_set_string(json, "id", grant->id);
	if (!err)
		err = set_address(json, "wallet", &grant->wallet);
	if (!err)
		err = set_address(json, "key", &grant->key);
	if (!err)
		err = set_number(json, "issuedAt", grant->issued_unix_s);
	if (!err)
		err = set_number(json, "expires", scope->expires_unix_s);
	if (!err)
		err = set_number(json, "maxCount", scope->max_count);
	if (!err)
		err = set_number(json, "maxUsdMicros", scope->max_usd_micros);
	if (!err)
		err = set_number(
			json, "totalUsdMicros", scope->total_usd_micros);
	if (!err)
		err = set_list(json, "hosts", scope->hosts[0],
			X402_SESSION_HOST_SIZE, scope->hosts_len);
	if (!err)
		err = set_list(json, "networks", scope->networks[0],
			X402_NETWORK_SIZE, scope->networks_len);
	if (!err)
		err = set_payees(json, scope);
	/* Left out where it is not granted, as in grants of old. */
	if (!err && scope->sign_in)
		err = x402_json_set_bool(json, "signIn", true);
	if (err)
		x402_json_unref(json);
	else
		*ret_json = json;
	return err;
}

static enum x402_err grant_digest(
	const struct x402_json *json, uint8_t ret_digest32[32])
{
	struct x402_json *unsigned_json = x402_json_copy(json);
	if (!unsigned_json)
		return X402_ERR_NOMEM;
	x402_json_remove(unsigned_json, "signature");
	char *text = x402_json_dump_sorted(unsigned_json);
	x402_json_unref(unsigned_json);
	if (!text)
		return X402_ERR_NOMEM;
	x402_session_text_digest(
		GRANT_PREFIX, x402_span_str(text), ret_digest32);
	free(text);
	return X402_OK;
}

static enum x402_err sign_grant(
	const struct x402_secret *wallet, struct x402_json *json)
{
	struct x402_secp256k1 *secp = NULL;
	uint8_t seed32[32];
	uint8_t digest32[32];
	uint8_t sig65[65];
	struct x402_buf hex = {0};
	randombytes_buf(seed32, sizeof(seed32));
	enum x402_err err = x402_secp256k1_new(seed32, &secp);
	if (!err)
		err = grant_digest(json, digest32);
	if (!err)
		err = x402_sign_digest(secp, digest32, wallet, sig65);
	x402_secp256k1_free(secp);
	if (err)
		return err;
	x402_hex_encode_0x(x402_span(sig65, sizeof(sig65)), &hex);
	char *text = x402_buf_take_str(&hex);
	err = text ? x402_json_set_string(json, "signature", text)
		   : X402_ERR_NOMEM;
	free(text);
	return err;
}

static void write_session_file(const char *grant, const struct x402_secret *key,
	struct x402_locked *file)
{
	static const char head[] = "{\"grant\":";
	static const char middle[] = ",\"key\":\"0x";
	static const char digits[] = "0123456789abcdef";
	uint8_t *at = file->ptr;
	memcpy(at, head, strlen(head));
	at += strlen(head);
	memcpy(at, grant, strlen(grant));
	at += strlen(grant);
	memcpy(at, middle, strlen(middle));
	at += strlen(middle);
	for (size_t i = 0; i < 32; i++) {
		*at++ = (uint8_t)digits[key->bytes[i] >> 4];
		*at++ = (uint8_t)digits[key->bytes[i] & 15];
	}
	memcpy(at, "\"}\n", 3);
	file->len = (size_t)(at + 3 - file->ptr);
}

enum x402_err x402_session_issue(const struct x402_secret *wallet,
	struct x402_session_grant *grant, struct x402_locked *ret_file)
{
	struct x402_secret key = {{0}};
	struct x402_json *json = NULL;
	char *text = NULL;
	uint8_t id16[16];
	if (!grant->scope.expires_unix_s || !grant->scope.total_usd_micros ||
		(grant->scope.sign_in && !grant->scope.hosts_len) ||
		grant->scope.expires_unix_s <= grant->issued_unix_s)
		return X402_ERR_RANGE;
	enum x402_err err = x402_wallet_generate(&key);
	if (!err)
		err = x402_wallet_address(&key, &grant->key);
	if (!err)
		err = x402_wallet_address(wallet, &grant->wallet);
	randombytes_buf(id16, sizeof(id16));
	(void)sodium_bin2hex(grant->id, sizeof(grant->id), id16, sizeof(id16));
	if (!err)
		err = grant_to_json(grant, &json);
	if (!err)
		err = sign_grant(wallet, json);
	if (!err) {
		text = x402_json_dump_sorted(json);
		err = text ? X402_OK : X402_ERR_NOMEM;
	}
	if (!err)
		err = x402_locked_new(strlen(text) + 128, ret_file);
	if (!err)
		write_session_file(text, &key, ret_file);
	free(text);
	x402_json_unref(json);
	x402_secret_clear(&key);
	return err;
}

/* ---- Reading. ---- */

static enum x402_err refuse(
	struct x402_errinfo *info, const char *field, const char *expected)
{
	x402_errinfo_set(info, field, "%s: expected %s", field, expected);
	return X402_ERR_SCHEMA;
}

static bool read_number(
	const struct x402_json *json, const char *key, uint64_t *ret_value)
{
	struct x402_u256 value;
	const char *text = x402_json_get_string(json, key);
	return text && !x402_u256_from_dec(text, &value) &&
		x402_u256_to_u64(&value, ret_value);
}

static bool read_list(const struct x402_json *json, const char *key,
	struct x402_session_scope *scope,
	enum x402_err (*add)(struct x402_session_scope *, const char *))
{
	const struct x402_json *list = x402_json_get(json, key);
	if (x402_json_type(list) != X402_JSON_ARRAY)
		return false;
	for (size_t i = 0; i < x402_json_size(list); i++) {
		const char *text = x402_json_string(x402_json_at(list, i));
		if (!text || add(scope, text) != X402_OK)
			return false;
	}
	return true;
}

static enum x402_err read_scope(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_session_scope *scope)
{
	if (!read_number(json, "expires", &scope->expires_unix_s) ||
		!read_number(json, "maxCount", &scope->max_count) ||
		!read_number(json, "maxUsdMicros", &scope->max_usd_micros) ||
		!read_number(json, "totalUsdMicros", &scope->total_usd_micros))
		return refuse(info,
			"expires, maxCount, maxUsdMicros, "
			"totalUsdMicros",
			"decimal strings");
	if (!scope->expires_unix_s || !scope->total_usd_micros)
		return refuse(info, "expires, totalUsdMicros",
			"both to be "
			"limited");
	if (!read_list(json, "hosts", scope, x402_session_scope_host))
		return refuse(info, "hosts", "a list of host names");
	if (!read_list(json, "networks", scope, x402_session_scope_network))
		return refuse(info, "networks", "a list of CAIP-2 networks");
	if (!read_list(json, "payees", scope, x402_session_scope_payee))
		return refuse(info, "payees", "a list of accounts");
	if (x402_json_has(json, "signIn") &&
		(!x402_json_bool(
			 x402_json_get(json, "signIn"), &scope->sign_in) ||
			(scope->sign_in && !scope->hosts_len)))
		return refuse(info, "signIn", "true or false, with hosts");
	return X402_OK;
}

static enum x402_err check_signature(const struct x402_json *json,
	const struct x402_session_grant *grant, struct x402_errinfo *info)
{
	uint8_t sig65[65];
	uint8_t digest32[32];
	struct x402_address signer;
	if (x402_hex_decode_fixed(x402_json_get_string(json, "signature"),
		    sig65, sizeof(sig65)))
		return refuse(info, "signature", "65 bytes in hex");
	enum x402_err err = grant_digest(json, digest32);
	if (err)
		return err;
	if (x402_recover_address(digest32, sig65, &signer) ||
		!x402_address_equal(&signer, &grant->wallet)) {
		x402_errinfo_set(info, "signature",
			"the grant was not signed by the wallet it names");
		return X402_ERR_CRYPTO;
	}
	return X402_OK;
}

enum x402_err x402_session_grant_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_session_grant *ret_grant)
{
	struct x402_session_grant grant = {.id = ""};
	int64_t version = 0;
	const char *id = x402_json_get_string(json, "id");
	if (!x402_json_int64(x402_json_get(json, "x402Session"), &version) ||
		version != GRANT_VERSION) {
		(void)refuse(info, "x402Session", "1");
		return X402_ERR_VERSION;
	}
	/* It becomes a file name. */
	if (!id || strlen(id) != X402_SESSION_ID_SIZE - 1 ||
		strspn(id, "0123456789abcdef") != strlen(id))
		return refuse(info, "id", "32 lower-case hex digits");
	memcpy(grant.id, id, X402_SESSION_ID_SIZE);
	if (x402_address_parse(
		    x402_json_get_string(json, "wallet"), &grant.wallet) ||
		x402_address_parse(
			x402_json_get_string(json, "key"), &grant.key))
		return refuse(info, "wallet, key", "addresses");
	if (!read_number(json, "issuedAt", &grant.issued_unix_s))
		return refuse(info, "issuedAt", "a decimal string");
	enum x402_err err = read_scope(json, info, &grant.scope);
	if (!err)
		err = check_signature(json, &grant, info);
	if (!err)
		*ret_grant = grant;
	return err;
}

enum x402_err x402_session_file_read(struct x402_span text,
	struct x402_errinfo *info, struct x402_session_grant *ret_grant,
	struct x402_json **ret_json, struct x402_secret *ret_key)
{
	struct x402_json_limits limits = {.max_bytes = X402_SESSION_MAX_BYTES};
	struct x402_json *file = NULL;
	struct x402_secret key = {{0}};
	struct x402_address address;
	enum x402_err err = x402_json_parse(text, &limits, info, &file);
	const struct x402_json *json = x402_json_get(file, "grant");
	if (!err)
		err = x402_session_grant_read(json, info, ret_grant);
	if (!err && x402_secret_parse(x402_json_get_string(file, "key"), &key))
		err = refuse(info, "key", "a key in hex");
	if (!err)
		err = x402_wallet_address(&key, &address);
	if (!err && !x402_address_equal(&address, &ret_grant->key))
		err = refuse(info, "key", "the key that the grant names");
	if (!err) {
		*ret_key = key;
		*ret_json = x402_json_ref(json);
	}
	x402_secret_clear(&key);
	x402_json_unref(file);
	return err;
}
