/*
 * exchange.c: one request on a libcurl handle, ours or the caller's. It sends
 * what the flow says and reports what came; it decides nothing about money.
 *
 * On a handle of the caller's, an answer that the flow may act upon is held
 * back: its header lines and body stay here, and reach the caller only if
 * nothing follows it. libcurl follows no redirect and knows no protocol but
 * HTTP here.
 */
#include "exchange_p.h"

#include "client_p.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/*
 * Most of a body that is held back: a v1 challenge with its schemas. Of an
 * error page that is tried again, nobody misses the rest.
 */
#define HOLD_MAX_BYTES ((size_t)1024 * 1024)

/* ---- Header lines. ---- */

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

static struct x402__message message_of(const struct x402__exchange *exchange)
{
	return (struct x402__message){
		.status = exchange->status,
		.headers = exchange->headers.items,
		.headers_len = exchange->headers.len,
		.body = x402_buf_span(&exchange->body),
	};
}

/* The head is whole: whose is the body? */
static void end_head(struct x402__exchange *exchange)
{
	exchange->headers_done = true;
	curl_easy_getinfo(
		exchange->curl, CURLINFO_RESPONSE_CODE, &exchange->status);
	struct x402__message head = message_of(exchange);
	exchange->hold = exchange->easy &&
		(!x402__flow_know_url(exchange->flow) ||
			x402__flow_holds(exchange->flow, &head));
}

static enum x402_err take_line(
	struct x402__exchange *exchange, struct x402_span line)
{
	struct x402_span text = trim(line);
	if (line.len > 5 && memcmp(line.ptr, "HTTP/", 5) == 0) {
		/* A new message: what came before was informational. */
		x402__headers_clear(&exchange->headers);
		x402_buf_clear(&exchange->raw);
		exchange->headers_done = false;
		return X402_OK;
	}
	if (exchange->headers_done)
		return X402_OK;
	if (text.len == 0) {
		end_head(exchange);
		return X402_OK;
	}
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

/* ---- To the caller. ---- */

static bool give_header(
	const struct x402_client_easy *easy, struct x402_span line)
{
	return !easy->on_header ||
		easy->on_header((char *)line.ptr, 1, line.len,
			easy->on_header_user) == line.len;
}

static bool give_held_headers(struct x402__exchange *exchange)
{
	struct x402_span rest = x402_buf_span(&exchange->raw);
	bool ok = true;
	while (ok && rest.len) {
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) + 1 : rest.len;
		ok = give_header(exchange->easy, x402_span(rest.ptr, len));
		rest = x402_span(rest.ptr + len, rest.len - len);
	}
	x402_buf_clear(&exchange->raw);
	return ok;
}

static size_t give_body(
	const struct x402_client_easy *easy, char *data, size_t len)
{
	if (easy->on_body)
		return easy->on_body(data, 1, len, easy->on_body_user);
	FILE *file = easy->on_body_user ? easy->on_body_user : stdout;
	return fwrite(data, 1, len, file);
}

void x402__exchange_deliver(struct x402__exchange *exchange)
{
	/* C-001: the body of a 402 is ours; the response has it. */
	bool ours = exchange->status == 402 || exchange->status == 412;
	if (!exchange->easy || !exchange->hold)
		return;
	exchange->hold = false;
	if (!give_held_headers(exchange) || ours || !exchange->body.len)
		return;
	/* There is no transfer left that it could end. */
	(void)give_body(
		exchange->easy, (char *)exchange->body.ptr, exchange->body.len);
	x402_buf_clear(&exchange->body);
}

/* ---- libcurl's callbacks. ---- */

/*
 * The first line says that nothing can follow: this answer is the caller's
 * from here on, and nobody keeps a line of it.
 */
static bool is_passed_through(
	struct x402__exchange *exchange, struct x402_span line)
{
	if (!exchange->easy || exchange->headers_done)
		return exchange->passes;
	if (line.len > 5 && memcmp(line.ptr, "HTTP/", 5) == 0) {
		curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE,
			&exchange->status);
		exchange->passes = x402__flow_ends_with(
			exchange->flow, exchange->status);
		/* A 1xx before it may have left its lines here. */
		if (exchange->passes)
			x402_buf_clear(&exchange->raw);
	}
	return exchange->passes;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	struct x402__exchange *exchange = user;
	struct x402_span line = x402_span(data, size * count);
	if (is_passed_through(exchange, line)) {
		exchange->refused_by_caller |= !give_header(
			exchange->easy, line);
		return exchange->refused_by_caller ? 0 : line.len;
	}
	bool trailer = exchange->headers_done && !exchange->hold &&
		!(line.len > 5 && memcmp(data, "HTTP/", 5) == 0);
	enum x402_err err = take_line(exchange, line);
	if (err) {
		exchange->out_of_memory = err == X402_ERR_NOMEM;
		exchange->too_large = !exchange->out_of_memory;
		return 0;
	}
	if (!exchange->easy)
		return line.len;
	if (trailer)
		return give_header(exchange->easy, line) ? line.len : 0;
	/* Bounded by the cap on what take_line() keeps, nearly: libcurl has
	 * one of its own for all header lines, 300 KiB. */
	x402_buf_add(&exchange->raw, line);
	if (exchange->raw.failed) {
		exchange->out_of_memory = true;
		return 0;
	}
	if (exchange->headers_done && !exchange->hold &&
		exchange->status >= 200 && !give_held_headers(exchange)) {
		exchange->refused_by_caller = true;
		return 0;
	}
	return line.len;
}

static size_t keep_body(
	struct x402__exchange *exchange, char *data, size_t len, size_t max)
{
	if (len > max - exchange->body.len) {
		exchange->too_large = true;
		return 0;
	}
	x402_buf_add(&exchange->body, x402_span(data, len));
	exchange->out_of_memory = exchange->body.failed;
	return exchange->body.failed ? 0 : len;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct x402__exchange *exchange = user;
	size_t len = size * count;
	if (!exchange->easy)
		return keep_body(
			exchange, data, len, exchange->options->max_body_bytes);
	if (exchange->hold) {
		bool needed = exchange->status == 402 ||
			exchange->status == 412;
		if (!needed && len > HOLD_MAX_BYTES - exchange->body.len)
			return len;
		return keep_body(exchange, data, len, HOLD_MAX_BYTES);
	}
	size_t taken = give_body(exchange->easy, data, len);
	if (taken == CURL_WRITEFUNC_PAUSE)
		return taken;
	exchange->streamed |= len > 0;
	exchange->refused_by_caller |= taken != len;
	return taken;
}

static int on_progress(void *user, curl_off_t dltotal, curl_off_t dlnow,
	curl_off_t ultotal, curl_off_t ulnow)
{
	(void)dltotal;
	(void)dlnow;
	(void)ultotal;
	(void)ulnow;
	struct x402__exchange *exchange = user;
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
	struct x402__exchange *exchange = user;
	exchange->resent = exchange->pays && exchange->sent;
	exchange->sent = true;
	return exchange->resent ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* Loopback, private, link-local, shared, multicast and the unspecified. */
static bool is_public_v4(uint32_t address)
{
	static const struct {
		uint32_t net;
		unsigned bits;
	} nets[] = {{0x00000000, 8}, {0x0a000000, 8}, {0x64400000, 10},
		{0x7f000000, 8}, {0xa9fe0000, 16}, {0xac100000, 12},
		{0xc0000000, 24}, {0xc0a80000, 16}, {0xc6120000, 15},
		{0xe0000000, 3}};
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if ((address ^ nets[i].net) >> (32 - nets[i].bits) == 0)
			return false;
	return true;
}

bool x402__address_is_public(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof(v4));
		return is_public_v4(ntohl(v4.sin_addr.s_addr));
	}
	if (address->sa_family != AF_INET6)
		return false;
	struct sockaddr_in6 v6;
	memcpy(&v6, address, sizeof(v6));
	const uint8_t *bytes = v6.sin6_addr.s6_addr;
	/* 2000::/3 is what is given out; 6to4 and Teredo hide a v4 in it, and
	 * NAT64 (64:ff9b::) lies outside. */
	return (bytes[0] & 0xe0) == 0x20 &&
		!(bytes[0] == 0x20 && bytes[1] == 0x02) &&
		!(bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0 &&
			bytes[3] == 0);
}

/*
 * After the name was resolved, so that no name and no second answer of a name
 * server leads inside.
 */
static curl_socket_t open_public(
	void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct x402__exchange *exchange = user;
	(void)purpose;
	if (!x402__address_is_public(&address->addr)) {
		exchange->private_address = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
		address->protocol);
}

/* ---- A body that is streamed. ---- */

static size_t read_upload(char *out, size_t size, size_t count, void *user)
{
	struct x402__exchange *exchange = user;
	size_t left = exchange->upload.len - exchange->upload_at;
	size_t len = size * count < left ? size * count : left;
	if (len)
		memcpy(out, exchange->upload.ptr + exchange->upload_at, len);
	exchange->upload_at += len;
	return len;
}

static int seek_upload(void *user, curl_off_t offset, int origin)
{
	struct x402__exchange *exchange = user;
	if (origin != SEEK_SET || offset < 0 ||
		(size_t)offset > exchange->upload.len)
		return CURL_SEEKFUNC_FAIL;
	exchange->upload_at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* No seek: it has to be in memory, since it may be sent a second time. */
static enum x402_err read_whole(struct x402__exchange *exchange)
{
	const struct x402_client_easy *easy = exchange->easy;
	char chunk[16384];
	for (;;) {
		size_t len = easy->read(
			chunk, 1, sizeof(chunk), easy->read_user);
		if (len == 0)
			break;
		if (len > sizeof(chunk))
			return X402_ERR_INVALID_ARGUMENT; /* abort, pause */
		if (len > X402_CLIENT_UPLOAD_BYTES - exchange->upload.len)
			return X402_ERR_TOO_LARGE;
		x402_buf_add(&exchange->upload, x402_span(chunk, len));
	}
	exchange->uploads = true;
	return exchange->upload.failed ? X402_ERR_NOMEM : X402_OK;
}

enum x402_err x402__exchange_prepare(struct x402__exchange *exchange)
{
	const struct x402_client_easy *easy = exchange->easy;
	if (!easy || !easy->read || easy->seek)
		return X402_OK;
	return read_whole(exchange);
}

static bool rewind_upload(struct x402__exchange *exchange)
{
	const struct x402_client_easy *easy = exchange->easy;
	exchange->upload_at = 0;
	return !easy || !easy->read || !easy->seek ||
		easy->seek(easy->seek_user, 0, SEEK_SET) == CURL_SEEKFUNC_OK;
}

/* ---- The request. ---- */

static bool append_text(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = text ? curl_slist_append(*list, text)
					 : NULL;
	if (!longer)
		return false;
	*list = longer;
	return true;
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
	else {
		/* Not by a format: an authorization is long. */
		x402_buf_add_str(&line, ": ");
		x402_buf_add_str(&line, header->value);
	}
	char *text = x402_buf_take_str(&line);
	bool ok = append_text(list, text);
	free(text);
	return ok;
}

/* What the flow wants to send: its headers, and the payment. */
static bool append_flow(const struct x402__flow *flow, struct curl_slist **list,
	bool *ret_typed)
{
	bool ok = true;
	for (size_t i = 0; ok && i < flow->headers.len; i++) {
		*ret_typed |= strcasecmp(flow->headers.items[i].name,
				      "Content-Type") == 0;
		ok = append_line(list, &flow->headers.items[i]);
	}
	if (ok && x402__flow_pays(flow)) {
		struct x402_client_header payment = {
			flow->payment.header_name, flow->payment.header_text};
		ok = append_line(list, &payment);
	}
	return ok;
}

static bool make_headers(struct x402__exchange *exchange)
{
	static const struct x402_client_header no_expect = {"Expect", NULL};
	static const struct x402_client_header no_type = {"Content-Type", NULL};
	const struct x402__flow *flow = exchange->flow;
	bool typed = false;
	bool ok = true;
	curl_slist_free_all(exchange->list);
	exchange->list = NULL;
	if (exchange->easy) {
		const struct curl_slist *line = exchange->easy->headers;
		for (; ok && line; line = line->next)
			ok = append_text(&exchange->list, line->data);
		return ok && append_flow(flow, &exchange->list, &typed);
	}
	ok = append_line(&exchange->list, &no_expect) &&
		append_flow(flow, &exchange->list, &typed);
	/* libcurl would call any body a form. */
	if (ok && flow->send_body && !typed)
		ok = append_line(&exchange->list, &no_type);
	return ok;
}

bool x402__exchange_list_unpaid(
	const struct x402__exchange *exchange, struct curl_slist **list)
{
	const struct curl_slist *line = exchange->list;
	curl_slist_free_all(*list);
	*list = NULL;
	for (; line; line = line->next) {
		if (strncasecmp(line->data, X402_HEADER_PAYMENT_SIGNATURE ":",
			    strlen(X402_HEADER_PAYMENT_SIGNATURE) + 1) == 0 ||
			strncasecmp(line->data, X402_HEADER_X_PAYMENT ":",
				strlen(X402_HEADER_X_PAYMENT) + 1) == 0)
			continue;
		if (!append_text(list, line->data))
			return false;
	}
	return true;
}

static void set_body(CURL *curl, struct x402_span body)
{
	curl_easy_setopt(
		curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
		body.len ? (const char *)body.ptr : "");
}

static void set_method(CURL *curl, const struct x402__flow *flow)
{
	const char *method = flow->method;
	if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		return;
	}
	if (flow->send_body || strcmp(method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		set_body(curl,
			flow->send_body ? flow->request->body
					: x402_span(NULL, 0));
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

/* A handle of ours: everything is set. */
static void set_own(struct x402__exchange *exchange)
{
	const struct x402_client_options *options = exchange->options;
	CURL *curl = exchange->curl;
	curl_easy_reset(curl); /* keeps connections */
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, options->user_agent);
	curl_easy_setopt(
		curl, CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms);
	if (options->is_cancelled) {
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
	}
	if (options->insecure_tls) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	set_method(curl, exchange->flow);
}

/* A handle of the caller's: what it sends, and nothing about how. */
static void set_theirs(struct x402__exchange *exchange)
{
	const struct x402_client_easy *easy = exchange->easy;
	CURL *curl = exchange->curl;
	if (easy->body.len)
		set_body(curl, easy->body);
	if (exchange->uploads) {
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_upload);
		curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
		curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, seek_upload);
		curl_easy_setopt(curl, CURLOPT_SEEKDATA, exchange);
	} else if (easy->read) {
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, easy->read);
		curl_easy_setopt(curl, CURLOPT_READDATA, easy->read_user);
		curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, easy->seek);
		curl_easy_setopt(curl, CURLOPT_SEEKDATA, easy->seek_user);
	}
}

static void reset_answer(struct x402__exchange *exchange)
{
	x402__headers_clear(&exchange->headers);
	x402_buf_clear(&exchange->body);
	x402_buf_clear(&exchange->raw);
	exchange->status = 0;
	exchange->headers_done = false;
	exchange->hold = false;
	exchange->sent = false;
	exchange->resent = false;
	exchange->private_address = false;
	exchange->passes = false;
	exchange->pays = x402__flow_pays(exchange->flow);
}

/* libcurl guesses a scheme that is missing, and not always HTTP. */
static bool says_http(const char *url)
{
	return strncasecmp(url, "http://", 7) == 0 ||
		strncasecmp(url, "https://", 8) == 0;
}

enum x402_err x402__exchange_begin(
	struct x402__exchange *exchange, int64_t remaining_ms)
{
	CURL *curl = exchange->curl;
	reset_answer(exchange);
	if (!make_headers(exchange))
		return X402_ERR_NOMEM;
	if (!rewind_upload(exchange))
		return X402_ERR_INVALID_ARGUMENT;
	if (exchange->easy)
		set_theirs(exchange);
	else
		set_own(exchange);
	if (!exchange->flow->unparsed)
		curl_easy_setopt(curl, CURLOPT_URL, exchange->flow->url.text);
	if (!exchange->flow->unparsed || !says_http(exchange->flow->unparsed))
		curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)remaining_ms);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, exchange);
	if (exchange->list || !exchange->easy)
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, exchange->list);
	if (exchange->options->public_only) {
		curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_public);
		curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, exchange);
		/* A proxy would connect where we do not see it. */
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	}
	return exchange->dress ? exchange->dress(exchange->user, exchange)
			       : X402_OK;
}

/* ---- The answer. ---- */

static enum x402_client_cause to_cause(
	CURLcode code, const struct x402__exchange *exchange)
{
	if (exchange->too_large)
		return X402_CLIENT_CAUSE_TOO_LARGE;
	if (exchange->out_of_memory || code == CURLE_OUT_OF_MEMORY)
		return X402_CLIENT_CAUSE_INTERNAL;
	if (exchange->cancelled || exchange->refused_by_caller ||
		code == CURLE_ABORTED_BY_CALLBACK)
		return exchange->resent ? X402_CLIENT_CAUSE_TRANSPORT
					: X402_CLIENT_CAUSE_CANCELLED;
	if (exchange->private_address)
		return X402_CLIENT_CAUSE_PRIVATE_ADDRESS;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return X402_CLIENT_CAUSE_TIMEOUT;
	return X402_CLIENT_CAUSE_TRANSPORT;
}

void x402__exchange_end(struct x402__exchange *exchange, CURLcode code)
{
	curl_easy_getinfo(
		exchange->curl, CURLINFO_RESPONSE_CODE, &exchange->status);
	struct x402__message message = message_of(exchange);
	if (code == CURLE_OK) {
		if (exchange->translate)
			exchange->translate(exchange->user, &message);
		x402__flow_received(exchange->flow, &message);
		return;
	}
	enum x402_client_cause cause = to_cause(code, exchange);
	struct x402__failure failure = {
		.cause = cause,
		.sent = exchange->sent,
		.streamed = exchange->streamed,
		.text = cause != X402_CLIENT_CAUSE_TRANSPORT ? NULL
			: exchange->resent
			? "the connection was closed without an answer"
			: curl_easy_strerror(code),
		.head = exchange->status && exchange->headers_done ? &message
								   : NULL,
	};
	x402__flow_failed(exchange->flow, &failure);
}

void x402__exchange_restore(struct x402__exchange *exchange)
{
	const struct x402_client_easy *easy = exchange->easy;
	CURL *curl = exchange->curl;
	if (!easy)
		return;
	if (exchange->flow->hops)
		curl_easy_setopt(curl, CURLOPT_URL, exchange->flow->asked.text);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, easy->on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, easy->on_header_user);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, easy->on_body);
	/* libcurl's own writer wants a FILE. */
	curl_easy_setopt(curl, CURLOPT_WRITEDATA,
		easy->on_body || easy->on_body_user ? easy->on_body_user
						    : (void *)stdout);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, NULL);
	if (exchange->options->public_only)
		curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, NULL);
	if (exchange->list)
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, easy->headers);
	if (easy->read) {
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, easy->read);
		curl_easy_setopt(curl, CURLOPT_READDATA, easy->read_user);
		curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, easy->seek);
		curl_easy_setopt(curl, CURLOPT_SEEKDATA, easy->seek_user);
	}
}

void x402__exchange_clear(struct x402__exchange *exchange)
{
	curl_slist_free_all(exchange->list);
	x402__headers_clear(&exchange->headers);
	x402_buf_clear(&exchange->body);
	x402_buf_clear(&exchange->raw);
	x402_buf_clear(&exchange->upload);
	*exchange = (struct x402__exchange){0};
}
