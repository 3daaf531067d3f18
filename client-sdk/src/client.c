/*
 * client.c: drives the flow (flow.c) over libcurl's easy interface and owns
 * what a client has: options, signer, connections. It decides nothing about
 * money; it sends what the flow says and reports what came.
 *
 *   x402_client_perform -> run: SEND -> exchange -> report; WAIT -> pause
 *
 * libcurl follows no redirect and knows no protocol but HTTP here, and one
 * easy handle is kept for its connections.
 */
#include "client_p.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

struct x402_client {
	struct x402_client_options options;
	struct x402_client_signer signer;
	bool has_signer;
	struct x402__keyring *keyring;
	CURL *curl;
};

/* One request and what has come of it so far. */
struct exchange {
	const struct x402_client_options *options;
	struct x402_client_headers headers;
	struct x402_buf body;
	bool headers_done; /* what follows are trailers: not looked at */
	bool pays;
	bool sent;
	bool resent; /* libcurl wanted to send it a second time */
	bool too_large;
	bool cancelled;
	bool out_of_memory;
};

static void clear_exchange(struct exchange *exchange)
{
	x402__headers_clear(&exchange->headers);
	x402_buf_clear(&exchange->body);
}

/* ---- libcurl's callbacks. ---- */

/* An obs-fold line continues the one before it (RFC 9112, 5.2). */
static enum x402_err append_fold(
	struct x402_client_headers *headers, struct x402_span line)
{
	if (headers->len == 0)
		return X402_OK;
	struct x402_client_header *last = &headers->items[headers->len - 1];
	struct x402_buf joined = {0};
	if (headers->bytes + line.len > X402__HEADERS_MAX_BYTES)
		return X402_ERR_TOO_LARGE;
	headers->bytes += line.len;
	x402_buf_add_str(&joined, last->value);
	x402_buf_add_byte(&joined, ' ');
	x402_buf_add(&joined, line);
	char *value = x402_buf_take_str(&joined);
	if (!value)
		return X402_ERR_NOMEM;
	free((char *)last->value);
	last->value = value;
	return X402_OK;
}

static struct x402_span trim(struct x402_span text)
{
	while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
		text.ptr++;
		text.len--;
	}
	while (text.len && strchr(" \t\r\n", text.ptr[text.len - 1]))
		text.len--;
	return text;
}

static enum x402_err take_line(struct exchange *exchange, struct x402_span line)
{
	struct x402_span text = trim(line);
	if (line.len > 5 && memcmp(line.ptr, "HTTP/", 5) == 0) {
		/* A new message: what came before was informational. */
		x402__headers_clear(&exchange->headers);
		exchange->headers_done = false;
		return X402_OK;
	}
	if (text.len == 0) {
		exchange->headers_done = true;
		return X402_OK;
	}
	if (exchange->headers_done)
		return X402_OK;
	if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
		return append_fold(&exchange->headers, text);
	const uint8_t *colon = memchr(text.ptr, ':', text.len);
	if (!colon)
		return X402_OK;
	size_t name_len = (size_t)(colon - text.ptr);
	return x402__headers_add(&exchange->headers,
		x402_span(text.ptr, name_len),
		trim(x402_span(colon + 1, text.len - name_len - 1)));
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	struct exchange *exchange = user;
	enum x402_err err = take_line(exchange, x402_span(data, size * count));
	if (err) {
		exchange->out_of_memory = err == X402_ERR_NOMEM;
		exchange->too_large = !exchange->out_of_memory;
		return 0;
	}
	return size * count;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct exchange *exchange = user;
	size_t len = size * count;
	if (len > exchange->options->max_body_bytes - exchange->body.len) {
		exchange->too_large = true;
		return 0;
	}
	x402_buf_add(&exchange->body, x402_span(data, len));
	exchange->out_of_memory = exchange->body.failed;
	return exchange->body.failed ? 0 : len;
}

static int on_progress(void *user, curl_off_t dltotal, curl_off_t dlnow,
	curl_off_t ultotal, curl_off_t ulnow)
{
	(void)dltotal;
	(void)dlnow;
	(void)ultotal;
	(void)ulnow;
	struct exchange *exchange = user;
	const struct x402_client_options *options = exchange->options;
	exchange->cancelled = options->is_cancelled &&
		options->is_cancelled(options->user);
	return exchange->cancelled;
}

/*
 * Connected, and the next thing libcurl does is to write the request. When a
 * kept connection dies without an answer, libcurl repeats the request on a new
 * one by itself. A payment that was sent is repeated by the flow or not at
 * all: it must be counted, and a POST may not be repeated.
 */
static int on_connected(void *user, char *primary_ip, char *local_ip,
	int primary_port, int local_port)
{
	(void)primary_ip;
	(void)local_ip;
	(void)primary_port;
	(void)local_port;
	struct exchange *exchange = user;
	exchange->resent = exchange->pays && exchange->sent;
	exchange->sent = true;
	return exchange->resent ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* ---- One exchange. ---- */

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool append_line(
	struct curl_slist **list, const struct x402_client_header *header)
{
	struct x402_buf line = {0};
	x402_buf_add_str(&line, header->name);
	/* libcurl's forms: "Name:" drops a default, "Name;" sends it empty. */
	if (!header->value)
		x402_buf_add_str(&line, ":");
	else if (!*header->value)
		x402_buf_add_str(&line, ";");
	else
		x402_buf_printf(&line, ": %s", header->value);
	char *text = x402_buf_take_str(&line);
	struct curl_slist *longer = text ? curl_slist_append(*list, text)
					 : NULL;
	free(text);
	if (!longer)
		return false;
	*list = longer;
	return true;
}

static bool make_headers(
	const struct x402__flow *flow, struct curl_slist **ret_list)
{
	static const struct x402_client_header no_expect = {"Expect", NULL};
	static const struct x402_client_header no_type = {"Content-Type", NULL};
	struct curl_slist *list = NULL;
	bool ok = append_line(&list, &no_expect);
	bool typed = false;
	for (size_t i = 0; ok && i < flow->headers.len; i++) {
		typed |= strcasecmp(flow->headers.items[i].name,
				 "Content-Type") == 0;
		ok = append_line(&list, &flow->headers.items[i]);
	}
	/* libcurl would call any body a form. */
	if (ok && flow->send_body && !typed)
		ok = append_line(&list, &no_type);
	if (ok && x402__flow_pays(flow)) {
		struct x402_client_header payment = {
			flow->payment.header_name, flow->payment.header_text};
		ok = append_line(&list, &payment);
	}
	if (ok)
		*ret_list = list;
	else
		curl_slist_free_all(list);
	return ok;
}

static void set_method(CURL *curl, const struct x402__flow *flow)
{
	const char *method = flow->method;
	if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		return;
	}
	if (flow->send_body || strcmp(method, "POST") == 0) {
		const struct x402_span *body = &flow->request->body;
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
			(curl_off_t)(flow->send_body ? body->len : 0));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
			flow->send_body ? (const char *)body->ptr : "");
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

static void set_options(struct x402_client *client,
	const struct x402__flow *flow, struct exchange *exchange,
	int64_t remaining_ms)
{
	const struct x402_client_options *options = &client->options;
	CURL *curl = client->curl;
	curl_easy_reset(curl); /* keeps connections */
	curl_easy_setopt(curl, CURLOPT_URL, flow->url.text);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, options->user_agent);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)remaining_ms);
	curl_easy_setopt(
		curl, CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, exchange);
	if (options->insecure_tls) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	set_method(curl, flow);
}

static enum x402_client_cause to_cause(
	CURLcode code, const struct exchange *exchange)
{
	if (exchange->too_large)
		return X402_CLIENT_CAUSE_TOO_LARGE;
	if (exchange->out_of_memory || code == CURLE_OUT_OF_MEMORY)
		return X402_CLIENT_CAUSE_INTERNAL;
	if (exchange->cancelled)
		return X402_CLIENT_CAUSE_CANCELLED;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return X402_CLIENT_CAUSE_TIMEOUT;
	return X402_CLIENT_CAUSE_TRANSPORT;
}

/* Tell the flow how it went. */
static void report(struct x402__flow *flow, const struct exchange *exchange,
	CURLcode code, long status)
{
	struct x402__message message = {
		.status = status,
		.headers = exchange->headers.items,
		.headers_len = exchange->headers.len,
		.body = x402_buf_span(&exchange->body),
	};
	if (code == CURLE_OK) {
		struct x402__inputs inputs = {
			.now_unix_s = (uint64_t)time(NULL)};
		x402__random(inputs.nonce32, sizeof(inputs.nonce32));
		x402__flow_received(flow, &message, &inputs);
		return;
	}
	enum x402_client_cause cause = to_cause(code, exchange);
	struct x402__failure failure = {
		.cause = cause,
		.sent = exchange->sent,
		.text = cause != X402_CLIENT_CAUSE_TRANSPORT ? NULL
			: exchange->resent
			? "the connection was closed without an answer"
			: curl_easy_strerror(code),
		.head = status && exchange->headers_done ? &message : NULL,
	};
	x402__flow_failed(flow, &failure);
}

static long exchange_status(CURL *curl)
{
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* ---- The call. ---- */

/* Move what came into the response; the last exchange is what is returned. */
static void keep_message(struct x402_client_response *response,
	struct exchange *exchange, long status)
{
	struct x402_client_headers old = {
		.items = response->headers, .len = response->headers_len};
	x402__headers_clear(&old);
	x402_buf_clear(&response->body);
	response->status = status;
	response->headers = exchange->headers.items;
	response->headers_len = exchange->headers.len;
	response->body = exchange->body;
	exchange->headers = (struct x402_client_headers){0};
	exchange->body = (struct x402_buf){0};
}

static void send_once(struct x402_client *client, struct x402__flow *flow,
	int64_t deadline_ms, struct x402_client_response *response)
{
	int64_t remaining_ms = deadline_ms - now_ms();
	struct curl_slist *list = NULL;
	if (remaining_ms <= 0) {
		x402__flow_give_up(flow, X402_CLIENT_CAUSE_TIMEOUT);
		return;
	}
	if (!make_headers(flow, &list)) {
		x402__flow_give_up(flow, X402_CLIENT_CAUSE_INTERNAL);
		return;
	}
	struct exchange exchange = {
		.options = &client->options, .pays = x402__flow_pays(flow)};
	set_options(client, flow, &exchange, remaining_ms);
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, list);
	CURLcode code = curl_easy_perform(client->curl);
	long status = exchange_status(client->curl);
	report(flow, &exchange, code, status);
	keep_message(response, &exchange, status);
	curl_slist_free_all(list);
	clear_exchange(&exchange);
}

/* Sleep in slices, so that a caller can cancel within a tenth of a second. */
static void pause_flow(struct x402_client *client, struct x402__flow *flow,
	int64_t deadline_ms)
{
	const struct x402_client_options *options = &client->options;
	int64_t until_ms = now_ms() + (int64_t)flow->wait_ms;
	while (now_ms() < until_ms) {
		if (options->is_cancelled &&
			options->is_cancelled(options->user)) {
			x402__flow_give_up(flow, X402_CLIENT_CAUSE_CANCELLED);
			return;
		}
		if (until_ms > deadline_ms) {
			x402__flow_give_up(flow, X402_CLIENT_CAUSE_TIMEOUT);
			return;
		}
		int64_t left_ms = until_ms - now_ms();
		struct timespec slice = {
			.tv_nsec = (left_ms < 100 ? left_ms : 100) * 1000000L};
		if (left_ms > 0)
			nanosleep(&slice, NULL);
	}
	x402__flow_waited(flow);
}

/* Hand the flow's findings over to the caller. */
static void fill_response(
	struct x402__flow *flow, struct x402_client_response *response)
{
	response->payment = flow->payment;
	flow->payment.header_text = NULL;
	flow->payment.settle_response_json = NULL;
	response->challenge = flow->challenge_json;
	flow->challenge_json = NULL;
	response->url = flow->url.shown;
	flow->url.shown = NULL;
	response->cause = flow->cause;
	response->error = flow->error;
}

enum x402_err x402_client_perform(struct x402_client *client,
	const struct x402_client_request *request,
	struct x402_client_response *response)
{
	struct x402__flow flow;
	x402_client_response_clear(response);
	x402__flow_init(&flow, &client->options,
		client->has_signer ? &client->signer : NULL, request);
	int64_t deadline_ms = now_ms() + client->options.timeout_ms;
	while (flow.step != X402__FLOW_DONE) {
		if (flow.step == X402__FLOW_SEND)
			send_once(client, &flow, deadline_ms, response);
		else
			pause_flow(client, &flow, deadline_ms);
	}
	enum x402_err err = flow.err;
	fill_response(&flow, response);
	x402__flow_clear(&flow);
	return err;
}

/* ---- Clients and responses. ---- */

enum x402_err x402_client_new(const struct x402_client_options *options,
	struct x402_client **ret_client)
{
	struct x402_client_options resolved;
	enum x402_err err = x402__options_resolve(options, &resolved);
	if (err)
		return err;
	if (!x402__random_init() ||
		curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return X402_ERR_INTERNAL;
	struct x402_client *client = calloc(1, sizeof(*client));
	if (!client) {
		curl_global_cleanup();
		return X402_ERR_NOMEM;
	}
	client->options = resolved;
	client->curl = curl_easy_init();
	if (!client->curl)
		err = X402_ERR_INTERNAL;
	if (!err && resolved.key) {
		err = x402__keyring_new(
			resolved.key, &client->keyring, &client->signer);
		client->has_signer = !err;
	}
	if (!err && resolved.signer) {
		client->signer = *resolved.signer;
		client->has_signer = true;
	}
	client->options.key = NULL;
	client->options.signer = NULL;
	if (err) {
		x402_client_free(client);
		return err;
	}
	*ret_client = client;
	return X402_OK;
}

void x402_client_free(struct x402_client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	x402__keyring_free(client->keyring);
	free(client);
	curl_global_cleanup();
}

bool x402_client_address(
	const struct x402_client *client, struct x402_address *ret_address)
{
	if (client->has_signer)
		*ret_address = client->signer.address;
	return client->has_signer;
}
