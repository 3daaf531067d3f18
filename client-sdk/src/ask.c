/*
 * ask.c: questions to nodes and facilitators: JSON there, JSON back, bounded
 * in bytes and time, with a circuit for each origin.
 */
#include "ask_p.h"

#include <stdio.h>
#include <stdlib.h>

#include "operate_p.h"

/* The receipt of a batch of a thousand payments is the most there is to say. */
#define ANSWER_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define ASK_TIMEOUT_MS   10000L

/* A resume asks about many purchases: ten seconds for each is too long. */
static const struct x402__breaker_rule ask_rule = {
	.failures = 3, .open_ms = 30000};

static size_t keep(char *data, size_t size, size_t count, void *user)
{
	struct x402_buf *buf = user;
	size_t len = size * count;
	if (len > ANSWER_MAX_BYTES - buf->len)
		return 0;
	x402_buf_add(buf, x402_span(data, len));
	return buf->failed ? 0 : len;
}

/* "http://host:port" of a URL. */
static void name_origin(const char *url, char *ret_name, size_t size)
{
	const char *host = strstr(url, "://");
	size_t len = host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#")
			  : strlen(url);
	snprintf(ret_name, size, "%.*s", (int)(len < size ? len : size - 1),
		url);
}

static void set_up(struct x402__ask *ask, const char *url)
{
	CURL *curl = ask->curl;
	curl_easy_reset(curl); /* keeps connections */
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ASK_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &ask->answer);
	if (!ask->body)
		return;
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, ask->headers);
}

/* curl is taken, also on failure. */
static enum x402_err begin(CURL *curl, struct x402__breaker *breaker,
	const char *url, char *body_taken, struct x402__ask *ask)
{
	*ask = (struct x402__ask){
		.curl = curl, .breaker = breaker, .body = body_taken};
	name_origin(url, ask->origin, sizeof(ask->origin));
	ask->headers = curl_slist_append(
		NULL, "Content-Type: application/json");
	enum x402_err err = curl && ask->headers ? X402_OK : X402_ERR_NOMEM;
	if (!err && !x402__breaker_allows(breaker, ask->origin, x402__now_ms()))
		err = X402_ERR_NETWORK;
	if (err)
		x402__ask_clear(ask);
	return err;
}

enum x402_err x402__ask_begin(struct x402__breaker *breaker, const char *url,
	char *body_taken, struct x402__ask *ret_ask)
{
	enum x402_err err = begin(
		curl_easy_init(), breaker, url, body_taken, ret_ask);
	if (!err)
		set_up(ret_ask, url);
	return err;
}

enum x402_err x402__ask_end(
	struct x402__ask *ask, CURLcode code, struct x402_json **ret_json)
{
	static const struct x402_json_limits limits = {
		.max_bytes = ANSWER_MAX_BYTES};
	long status = 0;
	enum x402_err err = X402_ERR_NETWORK;
	curl_easy_getinfo(ask->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK && status == 404)
		err = X402_ERR_NOT_FOUND;
	else if (code == CURLE_OK && status == 200 &&
		!x402_json_parse(
			x402_buf_span(&ask->answer), &limits, NULL, ret_json))
		err = X402_OK;
	(void)x402__breaker_note(ask->breaker, ask->origin,
		err != X402_ERR_NETWORK, &ask_rule, x402__now_ms());
	return err;
}

void x402__ask_clear(struct x402__ask *ask)
{
	curl_easy_cleanup(ask->curl);
	curl_slist_free_all(ask->headers);
	free(ask->body);
	x402_buf_clear(&ask->answer);
	*ask = (struct x402__ask){0};
}

/* ---- Waiting for it. ---- */

enum x402_err x402__asker_init(
	struct x402__breaker *breaker, struct x402__asker *ret_asker)
{
	*ret_asker = (struct x402__asker){
		.curl = curl_easy_init(), .breaker = breaker};
	return ret_asker->curl ? X402_OK : X402_ERR_NOMEM;
}

void x402__asker_clear(struct x402__asker *asker)
{
	curl_easy_cleanup(asker->curl);
	asker->curl = NULL;
}

enum x402_err x402__ask(struct x402__asker *asker, const char *url,
	const char *body, struct x402_json **ret_json)
{
	struct x402__ask ask;
	char *copy = body ? strdup(body) : NULL;
	CURL *curl = asker->curl ? asker->curl : curl_easy_init();
	asker->curl = NULL;
	if (body && !copy) {
		curl_easy_cleanup(curl);
		return X402_ERR_NOMEM;
	}
	enum x402_err err = begin(curl, asker->breaker, url, copy, &ask);
	if (err)
		return err;
	set_up(&ask, url);
	err = x402__ask_end(&ask, curl_easy_perform(ask.curl), ret_json);
	asker->curl = ask.curl;
	ask.curl = NULL;
	x402__ask_clear(&ask);
	return err;
}

const struct x402_json *x402__ask_result(
	const struct x402_json *answers, int64_t id)
{
	for (size_t i = 0; i < x402_json_size(answers); i++) {
		const struct x402_json *answer = x402_json_at(answers, i);
		int64_t said = 0;
		if (x402_json_int64(x402_json_get(answer, "id"), &said) &&
			said == id)
			return x402_json_get(answer, "result");
	}
	return NULL;
}

bool x402__ask_quantity(const char *text, uint64_t *ret_value)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t value = 0;
	if (!text || strncmp(text, "0x", 2) != 0 || !text[2] ||
		strlen(text) > 18)
		return false;
	for (text += 2; *text; text++) {
		char lower = (char)(*text >= 'A' && *text <= 'F' ? *text | 0x20
								 : *text);
		const char *at = strchr(digits, lower);
		if (!at)
			return false;
		value = value << 4 | (uint64_t)(at - digits);
	}
	*ret_value = value;
	return true;
}
