/*
 * mcp_sse.c: a session of MCP over an event stream and posts beside it.
 *
 *   1. GET the stream           kept open on a libcurl multi of its own
 *   2. its event "endpoint"     where to post; of the same origin, or not at
 * all
 *   3. POST initialize, wait for answer 1, POST initialized
 *   4. a tool's call is posted by the flow, its answer is waited for here
 *
 * Whoever waits drives the multi: there is no thread, and what came while
 * nobody looked lies in the socket.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "exchange_p.h"
#include "mcp_call_p.h"
#include "mcp_sse_p.h"
#include "x402/mcp.h"

/* How often cancelling is asked for. */
#define SLICE_MS 100
/* Events that are no answer to us: notifications, answers to others. */
#define EVENTS_MAX 10000

struct x402__mcp_stream {
	const struct x402_client_options *options;
	CURLM *multi;
	CURL *curl; /* the stream */
	struct curl_slist *stream_headers;
	struct curl_slist *post_headers;
	struct x402_buf in; /* not taken apart yet */
	char *endpoint;
	bool ended;
	bool too_large;
};

/* ---- Events. ---- */

/* The end of a line and the begin of the next; NULL: it is not whole. */
static const uint8_t *end_of_line(
	const uint8_t *at, const uint8_t *end, const uint8_t **ret_next)
{
	const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
	if (!stop)
		return NULL;
	*ret_next = stop + 1;
	return stop > at && stop[-1] == '\r' ? stop - 1 : stop;
}

static void take_field(
	const uint8_t *at, size_t len, struct x402__sse_event *event)
{
	static const char data[] = "data:";
	static const char name[] = "event:";
	size_t head = len >= 5 && memcmp(at, data, 5) == 0 ? 5
		: len >= 6 && memcmp(at, name, 6) == 0     ? 6
							   : 0;
	if (!head)
		return;
	bool is_data = head == 5;
	at += head;
	len -= head;
	if (len && *at == ' ') {
		at++;
		len--;
	}
	if (!is_data) {
		bool fits = len < sizeof(event->name);
		memcpy(event->name, at, fits ? len : 0);
		event->name[fits ? len : 0] = '\0';
		return;
	}
	if (event->data.len)
		x402_buf_add_byte(&event->data, '\n');
	x402_buf_add(&event->data, x402_span(at, len));
}

bool x402__sse_take(struct x402_span text, struct x402__sse_event *ret_event)
{
	struct x402__sse_event event = {.len = 0};
	const uint8_t *at = text.ptr;
	const uint8_t *end = at + text.len;
	const uint8_t *next = at;
	while (at && at < end) {
		const uint8_t *stop = end_of_line(at, end, &next);
		if (!stop)
			break;
		if (stop == at) {
			event.len = (size_t)(next - text.ptr);
			*ret_event = event;
			return true;
		}
		take_field(at, (size_t)(stop - at), &event);
		at = next;
	}
	x402_buf_clear(&event.data);
	return false;
}

/* ---- libcurl. ---- */

static size_t keep(char *data, size_t size, size_t count, void *user)
{
	struct x402__mcp_stream *stream = user;
	size_t len = size * count;
	stream->too_large = len > X402_CLIENT_MCP_ANSWER_BYTES - stream->in.len;
	if (stream->too_large)
		return 0;
	x402_buf_add(&stream->in, x402_span(data, len));
	return stream->in.failed ? 0 : len;
}

static size_t drop(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	return size * count;
}

static curl_socket_t open_public(
	void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)user;
	(void)purpose;
	if (!x402__address_is_public(&address->addr))
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
		address->protocol);
}

/* What holds for every request of the client holds here. */
static void set_up(const struct x402__mcp_stream *stream, CURL *curl,
	const char *url, struct curl_slist *headers)
{
	const struct x402_client_options *options = stream->options;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, options->user_agent);
	curl_easy_setopt(
		curl, CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (options->insecure_tls) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (options->public_only) {
		curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_public);
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	}
}

/* Let things happen for a moment. *ret_done: this handle has ended. */
static enum x402_err turn(struct x402__mcp_stream *stream, const CURL *watched,
	int64_t deadline_ms, bool *ret_done)
{
	const struct x402_client_options *options = stream->options;
	int running = 0;
	int left = 0;
	CURLMsg *message;
	if (options->is_cancelled && options->is_cancelled(options->user))
		return X402_ERR_CANCELLED;
	if (x402__now_ms() >= deadline_ms)
		return X402_ERR_TIMEOUT;
	if (curl_multi_poll(stream->multi, NULL, 0, SLICE_MS, NULL) ||
		curl_multi_perform(stream->multi, &running))
		return X402_ERR_NETWORK;
	while ((message = curl_multi_info_read(stream->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		if (message->easy_handle == stream->curl)
			stream->ended = true;
		if (message->easy_handle == watched && ret_done)
			*ret_done = true;
	}
	return X402_OK;
}

/* ---- 2, 4. What is heard. ---- */

/* The next event; false when there is none in time. */
static bool next_event(struct x402__mcp_stream *stream, int64_t deadline_ms,
	struct x402__sse_event *ret_event)
{
	while (!x402__sse_take(x402_buf_span(&stream->in), ret_event)) {
		if (stream->ended || stream->too_large)
			return false;
		if (turn(stream, NULL, deadline_ms, NULL))
			return false;
	}
	size_t rest = stream->in.len - ret_event->len;
	memmove(stream->in.ptr, stream->in.ptr + ret_event->len, rest);
	stream->in.len = rest;
	return true;
}

static bool is_answer_to(const struct x402_json *json, int64_t id)
{
	int64_t said = 0;
	return (x402_json_has(json, "result") ||
		       x402_json_has(json, "error")) &&
		x402_json_int64(x402_json_get(json, "id"), &said) && said == id;
}

struct x402_json *x402__mcp_stream_answer(
	struct x402__mcp_stream *stream, int64_t id, int64_t deadline_ms)
{
	struct x402_json_limits limits = {
		.max_bytes = X402_CLIENT_MCP_ANSWER_BYTES};
	struct x402__sse_event event;
	for (unsigned i = 0; i < EVENTS_MAX; i++) {
		struct x402_json *json = NULL;
		if (!next_event(stream, deadline_ms, &event))
			return NULL;
		enum x402_err err = event.data.len && !event.data.failed
			? x402_json_parse(x402_buf_span(&event.data), &limits,
				  NULL, &json)
			: X402_ERR_SYNTAX;
		x402_buf_clear(&event.data);
		if (!err && is_answer_to(json, id))
			return json;
		x402_json_unref(err ? NULL : json);
	}
	return NULL;
}

/* Only where the stream comes from: payments are posted there. */
static enum x402_err take_endpoint(
	struct x402__mcp_stream *stream, const char *url, const char *reference)
{
	struct x402__http_url base = {0};
	struct x402__http_url endpoint = {0};
	enum x402_err err = x402__http_url_parse(url, &base);
	if (!err)
		err = x402__http_url_resolve(&base, reference, &endpoint);
	if (!err && !x402__http_url_same_origin(&base, &endpoint))
		err = X402_ERR_POLICY;
	if (!err) {
		stream->endpoint = strdup(endpoint.text);
		err = stream->endpoint ? X402_OK : X402_ERR_NOMEM;
	}
	x402__http_url_clear(&base);
	x402__http_url_clear(&endpoint);
	return err;
}

static enum x402_err wait_for_endpoint(struct x402__mcp_stream *stream,
	const struct x402__mcp_stream_options *options)
{
	struct x402__sse_event event;
	for (unsigned i = 0; i < EVENTS_MAX; i++) {
		if (!next_event(stream, options->deadline_ms, &event))
			return X402_ERR_NETWORK;
		bool named = strcmp(event.name, "endpoint") == 0;
		char *text = x402_buf_take_str(&event.data);
		enum x402_err err = X402_OK;
		if (named)
			err = text ? take_endpoint(stream, options->url, text)
				   : X402_ERR_NOMEM;
		free(text);
		if (named)
			return err;
	}
	return X402_ERR_NETWORK;
}

/* ---- 3. The session. ---- */

static enum x402_err post(
	struct x402__mcp_stream *stream, const char *body, int64_t deadline_ms)
{
	CURL *curl = curl_easy_init();
	long status = 0;
	bool done = false;
	if (!curl)
		return X402_ERR_NOMEM;
	set_up(stream, curl, stream->endpoint, stream->post_headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
	enum x402_err err = curl_multi_add_handle(stream->multi, curl)
		? X402_ERR_NETWORK
		: X402_OK;
	while (!err && !done)
		err = turn(stream, curl, deadline_ms, &done);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(stream->multi, curl);
	curl_easy_cleanup(curl);
	if (!err && (status < 200 || status > 299))
		err = X402_ERR_NETWORK;
	return err;
}

static enum x402_err begin_session(struct x402__mcp_stream *stream,
	const struct x402__mcp_stream_options *options)
{
	enum x402_err err = wait_for_endpoint(stream, options);
	if (!err)
		err = post(stream, options->initialize, options->deadline_ms);
	if (err)
		return err;
	struct x402_json *answer = x402__mcp_stream_answer(
		stream, 1, options->deadline_ms);
	bool ok = x402_json_has(answer, "result");
	x402_json_unref(answer);
	return ok ? post(stream, options->initialized, options->deadline_ms)
		  : X402_ERR_NETWORK;
}

static bool add_header(
	struct curl_slist **list, const char *name, const char *value)
{
	struct x402_buf line = {0};
	if (!value || !x402__header_is_valid(name, value) ||
		x402__header_is_payment(name))
		return false;
	x402_buf_printf(&line, "%s: %s", name, value);
	char *text = x402_buf_take_str(&line);
	struct curl_slist *more = text ? curl_slist_append(*list, text) : NULL;
	free(text);
	if (more)
		*list = more;
	return more != NULL;
}

static bool set_headers(struct x402__mcp_stream *stream,
	const struct x402__mcp_stream_options *options)
{
	bool ok = add_header(&stream->stream_headers, "Accept",
			  "text/event-stream") &&
		add_header(&stream->post_headers, "Content-Type",
			"application/json");
	for (size_t i = 0; ok && i < options->headers_len; i++)
		ok = add_header(&stream->stream_headers,
			     options->headers[i].name,
			     options->headers[i].value) &&
			add_header(&stream->post_headers,
				options->headers[i].name,
				options->headers[i].value);
	return ok;
}

enum x402_err x402__mcp_stream_new(
	const struct x402__mcp_stream_options *options,
	struct x402__mcp_stream **ret_stream)
{
	struct x402__mcp_stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return X402_ERR_NOMEM;
	stream->options = options->client;
	stream->multi = curl_multi_init();
	stream->curl = curl_easy_init();
	enum x402_err err = stream->multi && stream->curl &&
			set_headers(stream, options)
		? X402_OK
		: X402_ERR_NOMEM;
	if (!err) {
		set_up(stream, stream->curl, options->url,
			stream->stream_headers);
		curl_easy_setopt(stream->curl, CURLOPT_FAILONERROR, 1L);
		curl_easy_setopt(stream->curl, CURLOPT_WRITEFUNCTION, keep);
		curl_easy_setopt(stream->curl, CURLOPT_WRITEDATA, stream);
		if (curl_multi_add_handle(stream->multi, stream->curl))
			err = X402_ERR_NETWORK;
	}
	if (!err)
		err = begin_session(stream, options);
	if (err)
		x402__mcp_stream_free(stream);
	else
		*ret_stream = stream;
	return err;
}

void x402__mcp_stream_free(struct x402__mcp_stream *stream)
{
	if (!stream)
		return;
	if (stream->multi && stream->curl)
		curl_multi_remove_handle(stream->multi, stream->curl);
	curl_easy_cleanup(stream->curl);
	curl_multi_cleanup(stream->multi);
	curl_slist_free_all(stream->stream_headers);
	curl_slist_free_all(stream->post_headers);
	x402_buf_clear(&stream->in);
	free(stream->endpoint);
	free(stream);
}

const char *x402__mcp_stream_endpoint(const struct x402__mcp_stream *stream)
{
	return stream->endpoint;
}

bool x402__mcp_stream_has_ended(const struct x402__mcp_stream *stream)
{
	return stream->ended;
}
