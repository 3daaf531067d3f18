/*
 * oauth.c: gw_oauth_get() decides by three times: until when the token is good,
 * from when on another is wanted, until when a failure keeps us quiet.
 * gw_oauth_request() writes the question, read_answer() takes the token out of
 * what comes back.
 *
 * A token's life counts from when it was asked for, so that a slow answer never
 * makes one last longer than its server thinks.
 */
#include "oauth.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "x402/encoding.h"
#include "x402/json.h"

#define ID_MAX     256
#define SECRET_MAX 1024
#define SCOPE_MAX  1024
#define EARLY_S    60
#define EARLY_MAX  3600
/* Pauses after failures. A server that says no says it again. */
#define PAUSE_MS     1000
#define PAUSE_MAX_MS 60000
/* A token that is refused sooner was never any good. */
#define REFUSED_MIN_MS 10000

struct gw_oauth {
	char id[ID_MAX + 1];
	char secret[SECRET_MAX + 1];
	char scope[SCOPE_MAX + 1];
	char audience[SCOPE_MAX + 1];
	bool secret_in_body;
	uint32_t early_s;
	char authorization[sizeof("Bearer ") + GW_OAUTH_TOKEN_MAX];
	bool have;
	uint64_t serial;
	uint64_t got_ms;
	uint64_t until_ms;
	uint64_t renew_ms;
	bool fetching;
	uint64_t asked_ms;
	uint64_t quiet_until_ms;
	uint32_t pause_ms;
};

static bool copy(char *to, size_t size, const char *from)
{
	size_t len = from ? strlen(from) : 0;

	if (len >= size)
		return false;
	memcpy(to, from ? from : "", len + 1);
	return true;
}

enum x402_err gw_oauth_new(const struct gw_oauth_options *options,
	struct x402_errinfo *info, struct gw_oauth **ret_oauth)
{
	struct gw_oauth *oauth;

	if (!options->client_id || !*options->client_id ||
		!options->client_secret || !*options->client_secret) {
		x402_errinfo_set(info, "oauth",
			"client_id and client_secret are both needed");
		return X402_ERR_INVALID_ARGUMENT;
	}
	if (options->early_s > EARLY_MAX) {
		x402_errinfo_set(info, "oauth.early",
			"expected at most %d seconds, got %u", EARLY_MAX,
			(unsigned)options->early_s);
		return X402_ERR_INVALID_ARGUMENT;
	}
	oauth = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*oauth));
	if (!oauth)
		return X402_ERR_NOMEM;
	memset(oauth, 0, sizeof(*oauth));
	oauth->secret_in_body = options->secret_in_body;
	oauth->early_s = options->early_s ? options->early_s : EARLY_S;
	if (copy(oauth->id, sizeof(oauth->id), options->client_id) &&
		copy(oauth->secret, sizeof(oauth->secret),
			options->client_secret) &&
		copy(oauth->scope, sizeof(oauth->scope), options->scope) &&
		copy(oauth->audience, sizeof(oauth->audience),
			options->audience)) {
		*ret_oauth = oauth;
		return X402_OK;
	}
	gw_oauth_free(oauth);
	x402_errinfo_set(info, "oauth",
		"longer than %d (client_id) or %d characters (others)", ID_MAX,
		SECRET_MAX);
	return X402_ERR_INVALID_ARGUMENT;
}

void gw_oauth_free(struct gw_oauth *oauth)
{
	sodium_free(oauth); /* wipes */
}

/* ---- What to do. ---- */

void gw_oauth_get(struct gw_oauth *oauth, uint64_t now_ms,
	struct gw_oauth_answer *ret_answer)
{
	bool quiet = now_ms < oauth->quiet_until_ms;

	memset(ret_answer, 0, sizeof(*ret_answer));
	if (oauth->have && now_ms < oauth->until_ms) {
		ret_answer->verdict = GW_OAUTH_TOKEN;
		ret_answer->authorization = oauth->authorization;
		ret_answer->serial = oauth->serial;
		ret_answer->fetch = !oauth->fetching && !quiet &&
			now_ms >= oauth->renew_ms;
	} else if (oauth->fetching || !quiet) {
		ret_answer->verdict = GW_OAUTH_WAIT;
		ret_answer->fetch = !oauth->fetching;
	} else {
		ret_answer->verdict = GW_OAUTH_FAILED;
		ret_answer->retry_ms =
			(uint32_t)(oauth->quiet_until_ms - now_ms);
	}
	if (!ret_answer->fetch)
		return;
	oauth->fetching = true;
	oauth->asked_ms = now_ms;
}

/* ---- The question. ---- */

/* application/x-www-form-urlencoded, without its '+'. */
static void add_form(struct x402_buf *buf, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *text; text++) {
		uint8_t byte = (uint8_t)*text;

		if ((byte >= 'a' && byte <= 'z') ||
			(byte >= 'A' && byte <= 'Z') ||
			(byte >= '0' && byte <= '9') || strchr("-._~", byte)) {
			x402_buf_add_byte(buf, byte);
			continue;
		}
		x402_buf_add_byte(buf, '%');
		x402_buf_add_byte(buf, (uint8_t)hex[byte >> 4]);
		x402_buf_add_byte(buf, (uint8_t)hex[byte & 15]);
	}
}

static void add_member(
	struct x402_buf *body, const char *name, const char *value)
{
	if (!*value)
		return;
	x402_buf_add_byte(body, '&');
	x402_buf_add_str(body, name);
	x402_buf_add_byte(body, '=');
	add_form(body, value);
}

/* RFC 6749, 2.3.1: both are form-encoded, then Basic. */
static bool add_basic(const struct gw_oauth *oauth, struct x402_buf *text)
{
	struct x402_buf both = {0};
	size_t len = 3 * (strlen(oauth->id) + strlen(oauth->secret)) + 1;
	bool good;

	/* Room beforehand: a buffer that grows leaves its old bytes behind. */
	x402_buf_reserve(&both, len);
	x402_buf_reserve(text, 2 * len + 16);
	good = !both.failed && !text->failed;
	if (good) {
		add_form(&both, oauth->id);
		x402_buf_add_byte(&both, ':');
		add_form(&both, oauth->secret);
		x402_buf_add_str(text, "Basic ");
		x402_base64_encode(x402_buf_span(&both), text);
	}
	gw_oauth_wipe(&both);
	return good && !text->failed;
}

bool gw_oauth_request(const struct gw_oauth *oauth,
	struct x402_buf *authorization, struct x402_buf *body)
{
	size_t len = strlen(oauth->id) + strlen(oauth->secret) +
		strlen(oauth->scope) + strlen(oauth->audience);

	x402_buf_reserve(body, 3 * len + 128);
	if (body->failed)
		return false;
	x402_buf_add_str(body, "grant_type=client_credentials");
	add_member(body, "scope", oauth->scope);
	add_member(body, "audience", oauth->audience);
	if (!oauth->secret_in_body)
		return add_basic(oauth, authorization) && !body->failed;
	add_member(body, "client_id", oauth->id);
	add_member(body, "client_secret", oauth->secret);
	return !body->failed;
}

void gw_oauth_wipe(struct x402_buf *buf)
{
	if (buf->ptr)
		x402_wipe(buf->ptr, buf->cap);
	x402_buf_clear(buf);
}

/* ---- The answer. ---- */

/* It goes into a header: visible characters alone. */
static bool token_ok(const char *token)
{
	size_t len = strlen(token);

	for (size_t i = 0; i < len; i++)
		if (token[i] <= ' ' || token[i] > '~')
			return false;
	return len > 0 && len <= GW_OAUTH_TOKEN_MAX;
}

/* Seconds, a number or its digits; false for one that is neither. */
static bool read_life(const struct x402_json *json, uint64_t *ret_life_s)
{
	const struct x402_json *member = x402_json_get(json, "expires_in");
	const char *text = x402_json_string(member);
	int64_t life = GW_OAUTH_LIFE_S;

	if (text) {
		size_t len = strspn(text, "0123456789");

		if (len == 0 || len > 9 || text[len])
			return false;
		life = strtol(text, NULL, 10);
	} else if (member && !x402_json_int64(member, &life)) {
		return false;
	}
	if (life <= 0)
		return false;
	*ret_life_s = life < GW_OAUTH_LIFE_MAX_S ? (uint64_t)life
						 : GW_OAUTH_LIFE_MAX_S;
	return true;
}

static void forget(struct gw_oauth *oauth)
{
	x402_wipe(oauth->authorization, sizeof(oauth->authorization));
	oauth->have = false;
}

static const char *take_token(struct gw_oauth *oauth,
	const struct x402_json *json, const char *token, uint64_t now_ms)
{
	const char *type = x402_json_get_string(json, "token_type");
	uint64_t life_s;
	uint64_t early_s = oauth->early_s;

	/* RFC 6749, 5.1 wants the type; RFC 6750 is the one we can use. */
	if (!type || strcasecmp(type, "bearer") != 0)
		return "token_type: expected Bearer";
	if (!token_ok(token))
		return "access_token: too long, or not fit for a header";
	if (!read_life(json, &life_s))
		return "expires_in: expected a number of seconds";
	if (early_s > life_s / 2)
		early_s = life_s / 2;
	forget(oauth);
	snprintf(oauth->authorization, sizeof(oauth->authorization),
		"Bearer %s", token);
	oauth->have = true;
	oauth->serial++;
	oauth->got_ms = now_ms;
	oauth->until_ms = oauth->asked_ms + life_s * 1000;
	oauth->renew_ms = oauth->until_ms - early_s * 1000;
	return NULL;
}

/* Is it one of RFC 6749's words, or at least of their shape? */
static const char *error_word(const struct x402_json *json)
{
	const char *word = x402_json_get_string(json, "error");

	if (!word || !*word || strlen(word) > 64 ||
		strspn(word, "abcdefghijklmnopqrstuvwxyz_") != strlen(word))
		return NULL;
	return word;
}

static bool read_answer(struct gw_oauth *oauth, unsigned status,
	struct x402_span body, uint64_t now_ms, struct x402_errinfo *info)
{
	const struct x402_json_limits limits = {
		.max_bytes = GW_OAUTH_ANSWER_MAX, .max_depth = 8};
	struct x402_json *json = NULL;
	const char *problem = "the answer is no JSON object";
	const char *word = NULL;
	const char *token = NULL;

	if (x402_json_parse(body, &limits, NULL, &json) == X402_OK) {
		word = error_word(json);
		token = x402_json_get_string(json, "access_token");
		problem = status == 200 ? "the answer has no access_token"
					: "expected 200";
	}
	if (status == 200 && token)
		problem = take_token(oauth, json, token, now_ms);
	if (problem)
		x402_errinfo_set(info, "oauth", "status %u: %s%s", status,
			word ? "the token endpoint says " : "",
			word ? word : problem);
	/* The tree is ours; its copy of the token must not stay. */
	if (token)
		x402_wipe((char *)(uintptr_t)token, strlen(token));
	x402_json_unref(json);
	return !problem;
}

bool gw_oauth_fetched(struct gw_oauth *oauth, enum x402_err transport,
	unsigned status, struct x402_span body, uint64_t now_ms,
	struct x402_errinfo *info)
{
	bool good = false;

	oauth->fetching = false;
	if (transport == X402_OK)
		good = read_answer(oauth, status, body, now_ms, info);
	else
		x402_errinfo_set(info, "oauth", "no answer: %s",
			x402_err_text(transport));
	if (good) {
		oauth->pause_ms = 0;
		oauth->quiet_until_ms = 0;
		return true;
	}
	/* 4xx: it will say the same until somebody mends it. */
	if (transport == X402_OK && status >= 400 && status < 500 &&
		status != 408 && status != 429)
		oauth->pause_ms = PAUSE_MAX_MS;
	else
		oauth->pause_ms = oauth->pause_ms ? oauth->pause_ms * 2
						  : PAUSE_MS;
	if (oauth->pause_ms > PAUSE_MAX_MS)
		oauth->pause_ms = PAUSE_MAX_MS;
	oauth->quiet_until_ms = now_ms + oauth->pause_ms;
	return false;
}

void gw_oauth_refused(struct gw_oauth *oauth, uint64_t serial, uint64_t now_ms)
{
	if (oauth->have && serial == oauth->serial &&
		now_ms >= oauth->got_ms + REFUSED_MIN_MS)
		forget(oauth);
}
