/*
 * curl_ask.c: sets a transfer up and reads its end. Certificates are checked
 * (libcurl's default), redirects are not followed here: the gate decides about
 * them (x402 P-101). An answer that is larger than any honest one is cut off
 * while it comes in.
 */
#include "curl_ask_p.h"

#include <stdlib.h>
#include <strings.h>

/* A host that does not even answer its port is down, not slow. */
#define CONNECT_TIMEOUT_MS 10000L

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
	struct x402__curl_ask *ask = user;
	size_t len = size * n;

	if (ask->body.len + len > X402_JSON_MAX_BYTES) {
		ask->too_large = true;
		return 0; /* ends the transfer */
	}
	x402_buf_add(&ask->body, x402_span(data, len));
	return ask->body.failed ? 0 : len;
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
	static const char name[] = "location:";
	struct x402__curl_ask *ask = user;
	size_t len = size * n;
	size_t at = sizeof(name) - 1;

	if (len <= at || strncasecmp(data, name, at) != 0)
		return len;
	while (at < len && strchr(" \t", data[at]))
		at++;
	while (len > at && strchr(" \t\r\n", data[len - 1]))
		len--;
	free(ask->location);
	ask->location = strndup(data + at, len - at);
	return size * n;
}

static bool add_headers(
	struct x402__curl_ask *ask, const struct x402_gate_ask *question)
{
	/* "Expect" costs a round trip against servers that ignore it. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	for (size_t i = 0; list && i < question->headers_len; i++) {
		const struct x402_gate_header *header = &question->headers[i];
		struct x402_buf line = {0};
		struct curl_slist *longer;
		char *text;

		x402_buf_add_str(&line, header->name);
		x402_buf_add_str(&line, ": ");
		x402_buf_add_str(&line, header->value);
		text = x402_buf_take_str(&line);
		longer = text ? curl_slist_append(list, text) : NULL;
		free(text);
		if (!longer) {
			curl_slist_free_all(list);
			return false;
		}
		list = longer;
	}
	ask->headers = list;
	return list;
}

enum x402_err x402__curl_ask_init(CURL *easy,
	const struct x402_gate_ask *question, struct x402__curl_ask *ret_ask)
{
	struct x402__curl_ask *ask = ret_ask;
	CURLcode bad = CURLE_OK;

	memset(ask, 0, sizeof(*ask));
	ask->easy = easy;
	if (!add_headers(ask, question))
		return X402_ERR_NOMEM;
#define SET(option, value) \
	(bad = bad ? bad : curl_easy_setopt(easy, (option), (value)))
	SET(CURLOPT_URL, question->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	if (strcmp(question->method, "GET") == 0) {
		SET(CURLOPT_HTTPGET, 1L);
	} else {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, (const char *)question->body.ptr);
		SET(CURLOPT_POSTFIELDSIZE_LARGE,
			(curl_off_t)question->body.len);
	}
	SET(CURLOPT_HTTPHEADER, ask->headers);
	SET(CURLOPT_USERAGENT, "x402-provider/" X402_VERSION);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_TIMEOUT_MS, (long)question->timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, ask);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, ask);
#undef SET
	if (bad == CURLE_OUT_OF_MEMORY)
		return X402_ERR_NOMEM;
	return bad ? X402_ERR_UNSUPPORTED : X402_OK;
}

static enum x402_err transport_of(
	const struct x402__curl_ask *ask, CURLcode code)
{
	if (ask->too_large)
		return X402_ERR_TOO_LARGE;
	if (ask->body.failed || code == CURLE_OUT_OF_MEMORY)
		return X402_ERR_NOMEM;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return X402_ERR_TIMEOUT;
	return code == CURLE_OK ? X402_OK : X402_ERR_NETWORK;
}

void x402__curl_ask_answer(const struct x402__curl_ask *ask, CURLcode code,
	uint64_t now_unix_s, struct x402_gate_facilitator_answer *ret_answer)
{
	long status = 0;
	long sent = 0;

	memset(ret_answer, 0, sizeof(*ret_answer));
	ret_answer->transport = transport_of(ask, code);
	ret_answer->now_unix_s = now_unix_s;
	if (ret_answer->transport != X402_OK) {
		/* Counted over libcurl's own repetitions, too. */
		ret_answer->unsent = curl_easy_getinfo(ask->easy,
					     CURLINFO_REQUEST_SIZE,
					     &sent) == CURLE_OK &&
			sent == 0;
		return;
	}
	curl_easy_getinfo(ask->easy, CURLINFO_RESPONSE_CODE, &status);
	ret_answer->status = (unsigned)status;
	ret_answer->body = x402_buf_span(&ask->body);
	ret_answer->location = x402_span_str(ask->location);
}

void x402__curl_ask_clear(struct x402__curl_ask *ask)
{
	if (!ask)
		return;
	if (ask->easy)
		curl_easy_reset(ask->easy);
	curl_slist_free_all(ask->headers);
	x402_buf_clear(&ask->body);
	free(ask->location);
	memset(ask, 0, sizeof(*ask));
}
