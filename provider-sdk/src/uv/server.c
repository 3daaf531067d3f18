/*
 * server.c: the gate inside the project's own HTTP server.
 *
 *   on_request()        a request is complete
 *   on_named()          the name of a crawler that says who it is
 *   begin()             begin the gate
 *   decide()            the loop of provider.h; leaves it to wait for
 *     ask()             the facilitator, which comes back in on_asked()
 *     serve()           the handler, which comes back in x402_uv_reply()
 *   keep_response()     what the handler said, copied, until it may leave
 *   open_stream()       or its head alone; the rest comes in parts
 *   send_answer(), send_kept()
 *
 * When the buyer hangs up, on_gone() notes it and nothing else: before
 * settlement the request then ends without a charge, and a settlement under
 * way is finished, so that the gate knows what became of the money.
 */
#include "x402/provider_uv.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "net/http_server.h"
#include "resolver_p.h"
#include "transfers_p.h"

#define BODY_MAX_DEFAULT        ((size_t)256 * 1024)
#define CONNECTIONS_MAX_DEFAULT 4096
/* A body is here before the gate is asked, and most of those who send one have
 * not paid: all of them together fill no more than this (attack 45). */
#define GATHERED_MAX_BYTES ((size_t)64 * 1024 * 1024)

struct x402_uv_server {
	uv_loop_t *loop;
	struct http_server *http;
	struct x402__transfers *transfers;
	struct x402__resolver *resolver;
	struct x402_provider *provider; /* NULL until started */
	struct x402_uv_handler *handlers;
	size_t handlers_len;
	size_t open; /* requests that are not answered yet */
	size_t streams;
	bool draining;
	bool drain_begun; /* no stream was left: nothing is cut off */
	bool drained;     /* the HTTP server is done */
};

/* The handler's response while it waits. */
struct kept {
	unsigned status;
	struct x402_gate_header *headers; /* owned strings */
	size_t headers_len;
	struct x402_buf body;
};

struct x402_uv_request {
	struct x402_uv_server *server;
	struct http_exchange *exchange;
	const struct http_request *http;
	struct x402_gate *gate;
	struct x402_gate_decision decision;
	bool gone; /* the client has left */
	bool streaming;
	void (*on_open)(void *user, struct x402_uv_request *request);
	void *on_open_user;
	struct kept kept;
	struct x402__curl_ask ask;
	CURL *easy;
};

static void decide(struct x402_uv_request *request);

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

/* ---- Requests come and go. ---- */

static void close_if_done(struct x402_uv_server *server)
{
	if (!server->drained || server->open > 0 || !server->transfers)
		return;
	x402__transfers_close(server->transfers);
	server->transfers = NULL;
	x402__resolver_close(server->resolver);
	server->resolver = NULL;
}

static void kept_clear(struct kept *kept)
{
	for (size_t i = 0; i < kept->headers_len; i++) {
		free((char *)(uintptr_t)kept->headers[i].name);
		free((char *)(uintptr_t)kept->headers[i].value);
	}
	free(kept->headers);
	x402_buf_clear(&kept->body);
	memset(kept, 0, sizeof(*kept));
}

/* The exchange has been replied to: nothing refers to the request any more. */
static void request_free(struct x402_uv_request *request)
{
	struct x402_uv_server *server = request->server;

	x402_gate_free(request->gate);
	kept_clear(&request->kept);
	free(request);
	server->open--;
	close_if_done(server);
}

static void reply(struct x402_uv_request *request,
	struct http_response *response, struct x402_span body)
{
	http_response_body(response, body.ptr, body.len);
	http_exchange_reply(request->exchange, response);
	http_response_clear(response);
	request_free(request);
}

static void tell_nothing_is_sold(const struct x402_uv_request *request);

/* An answer of the gate's, as it is. */
static void send_answer(struct x402_uv_request *request)
{
	const struct x402_gate_decision *decision = &request->decision;
	struct http_response response;

	tell_nothing_is_sold(request);
	http_response_init(&response, (int)decision->status);
	for (size_t i = 0; i < decision->headers_len; i++)
		http_response_header(&response, decision->headers[i].name,
			decision->headers[i].value);
	reply(request, &response, decision->body);
}

static void tell_nothing_is_sold(const struct x402_uv_request *request);

static void send_error(
	struct x402_uv_request *request, int status, const char *json)
{
	struct http_response response;

	tell_nothing_is_sold(request);
	http_response_init(&response, status);
	http_response_header(&response, "Content-Type", "application/json");
	reply(request, &response, x402_span_str(json));
}

/* Does the gate say this header itself? Vary adds up. */
static bool overridden(
	const struct x402_gate_decision *decision, const char *name)
{
	if (x402_gate_header_adds_up(name))
		return false;
	for (size_t i = 0; i < decision->headers_len; i++)
		if (strcasecmp(decision->headers[i].name, name) == 0)
			return true;
	return x402_gate_header_is_ours(name);
}

/* The handler's head, with what the gate adds; PASS adds nothing. */
static void write_head(
	const struct x402_uv_request *request, struct http_response *response)
{
	const struct x402_gate_decision *decision = &request->decision;
	const struct kept *kept = &request->kept;

	http_response_init(response, (int)kept->status);
	for (size_t i = 0; i < kept->headers_len; i++)
		if (!overridden(decision, kept->headers[i].name))
			http_response_header(response, kept->headers[i].name,
				kept->headers[i].value);
	for (size_t i = 0; i < decision->headers_len; i++)
		http_response_header(response, decision->headers[i].name,
			decision->headers[i].value);
}

/*
 * Callbacks never run inside the call that started the work: on_open comes in
 * a turn of the loop of its own.
 */
struct opening {
	uv_timer_t timer;
	void (*on_open)(void *user, struct x402_uv_request *request);
	void *user;
	struct x402_uv_request *request; /* NULL: nothing was sold */
};

static void on_opening_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_opening(uv_timer_t *timer)
{
	struct opening *opening = timer->data;

	uv_close((uv_handle_t *)timer, on_opening_closed);
	opening->on_open(opening->user, opening->request);
}

static bool call_open(
	const struct x402_uv_request *from, struct x402_uv_request *request)
{
	struct opening *opening = calloc(1, sizeof(*opening));

	if (!opening)
		return false;
	opening->on_open = from->on_open;
	opening->user = from->on_open_user;
	opening->request = request;
	opening->timer.data = opening;
	/* Neither fails on a loop that runs. */
	(void)uv_timer_init(from->server->loop, &opening->timer);
	(void)uv_timer_start(&opening->timer, on_opening, 0, 0);
	return true;
}

/* Of a stream that its handler is waiting to write. */
static void tell_nothing_is_sold(const struct x402_uv_request *request)
{
	/* Without memory for it the handler waits in vain, as it would for a
	 * client that never reads. */
	if (request->on_open)
		(void)call_open(request, NULL);
}

static void open_stream(struct x402_uv_request *request)
{
	struct http_response head;

	if (request->gone || !call_open(request, request)) {
		/* Paid, perhaps, and to be had again. */
		send_error(request, 499, "{\"error\":\"nobody is there\"}");
		return;
	}
	write_head(request, &head);
	request->streaming = true;
	request->server->streams++;
	if (request->decision.action == X402_GATE_DELIVER)
		x402_gate_delivered(request->gate);
	(void)http_exchange_stream_start(request->exchange, &head);
	http_response_clear(&head);
}

static void send_kept(struct x402_uv_request *request)
{
	const struct x402_gate_decision *decision = &request->decision;
	const struct kept *kept = &request->kept;
	struct http_response response;

	if (request->on_open) {
		open_stream(request);
		return;
	}
	write_head(request, &response);
	/* A client that left before the first byte has read nothing: the gate
	 * then remembers the payment as undelivered. */
	if (decision->action == X402_GATE_DELIVER && !request->gone)
		x402_gate_delivered(request->gate);
	reply(request, &response, x402_buf_span(&kept->body));
}

/* ---- The facilitator. ---- */

static void on_asked(void *user, CURLcode code)
{
	struct x402_uv_request *request = user;
	struct x402_gate_facilitator_answer answer;

	x402__curl_ask_answer(&request->ask, code, now_s(), &answer);
	x402_gate_on_facilitator(request->gate, &answer, &request->decision);
	x402__curl_ask_clear(&request->ask);
	curl_easy_cleanup(request->easy);
	request->easy = NULL;
	decide(request);
}

/* True when on_asked will come; otherwise the next decision is there. */
static bool ask(struct x402_uv_request *request)
{
	struct x402_gate_facilitator_answer answer = {
		.transport = X402_ERR_NOMEM,
		.now_unix_s = now_s(),
		.unsent = true};

	request->easy = curl_easy_init();
	if (request->easy &&
		x402__curl_ask_init(request->easy, &request->decision.ask,
			&request->ask) == X402_OK &&
		x402__transfers_begin(request->server->transfers, request->easy,
			on_asked, request))
		return true;
	x402__curl_ask_clear(&request->ask);
	curl_easy_cleanup(request->easy);
	request->easy = NULL;
	x402_gate_on_facilitator(request->gate, &answer, &request->decision);
	return false;
}

/* ---- Handlers. ---- */

static void serve(struct x402_uv_request *request)
{
	const struct x402_uv_server *server = request->server;
	size_t route = x402_gate_route(request->gate);

	if (route >= server->handlers_len) {
		send_error(request, 404, "{\"error\":\"not found\"}");
		return;
	}
	server->handlers[route].serve(server->handlers[route].user, request);
}

/* Nobody is there to be served, nor to be charged. */
static void drop(struct x402_uv_request *request)
{
	send_error(request, 499, "{\"error\":\"the client has left\"}");
}

static void decide(struct x402_uv_request *request)
{
	for (;;) {
		switch (request->decision.action) {
		case X402_GATE_ASK:
			if (ask(request))
				return;
			continue;
		case X402_GATE_RUN_HANDLER:
			if (request->gone)
				drop(request);
			else
				serve(request);
			return;
		case X402_GATE_PASS:
			serve(request);
			return;
		case X402_GATE_DELIVER:
			send_kept(request);
			return;
		case X402_GATE_ANSWER:
		case X402_GATE_WITHHOLD:
			break;
		}
		send_answer(request);
		return;
	}
}

static bool keep_header(struct kept *kept, const char *name, const char *value)
{
	struct x402_gate_header *header = &kept->headers[kept->headers_len];

	header->name = strdup(name);
	header->value = strdup(value);
	kept->headers_len++; /* clear frees both, also when one is missing */
	return header->name && header->value;
}

static bool keep_response(
	struct kept *kept, const struct x402_uv_response *response)
{
	kept->status = response->status;
	kept->headers = calloc(
		response->headers_len + 1, sizeof(*kept->headers));
	if (!kept->headers)
		return false;
	for (size_t i = 0; i < response->headers_len; i++)
		if (!keep_header(kept, response->headers[i].name,
			    response->headers[i].value))
			return false;
	x402_buf_add(&kept->body, response->body);
	return !kept->body.failed;
}

static const char *kept_header(const struct kept *kept, const char *name)
{
	for (size_t i = 0; i < kept->headers_len; i++)
		if (strcasecmp(kept->headers[i].name, name) == 0)
			return kept->headers[i].value;
	return NULL;
}

static void answer_with(struct x402_uv_request *request,
	const struct x402_uv_response *response)
{
	struct x402_gate_handler_result result = {.now_unix_s = now_s()};
	char amount[X402_PROVIDER_PRICE_SIZE];
	const char *override;
	bool whole = keep_response(&request->kept, response);

	if (request->decision.action == X402_GATE_PASS) {
		if (whole && response->status)
			send_kept(request);
		else
			send_error(request, 500,
				"{\"error\":\"the handler failed\"}");
		return;
	}
	if (request->gone) {
		drop(request);
		return;
	}
	result.status = whole ? response->status : 0;
	if (whole)
		result.cache_control = kept_header(
			&request->kept, "Cache-Control");
	override = whole ? kept_header(&request->kept, "Settlement-Overrides")
			 : NULL;
	if (override) {
		x402_gate_read_override(override, amount);
		result.amount = amount;
	}
	result.headers = request->kept.headers;
	result.headers_len = whole ? request->kept.headers_len : 0;
	/* A stream is gone when it is over: nothing to send again. */
	result.has_body = whole && !request->on_open;
	result.body = x402_buf_span(&request->kept.body);
	x402_gate_on_handler(request->gate, &result, &request->decision);
	decide(request);
}

void x402_uv_reply(struct x402_uv_request *request,
	const struct x402_uv_response *response)
{
	answer_with(request, response);
}

void x402_uv_reply_stream(struct x402_uv_request *request,
	const struct x402_uv_response *head,
	void (*on_open)(void *user, struct x402_uv_request *request),
	void *user)
{
	request->on_open = on_open;
	request->on_open_user = user;
	answer_with(request, head);
}

bool x402_uv_stream_write(
	struct x402_uv_request *request, struct x402_span bytes)
{
	/* An empty chunk would be the end of it. */
	return bytes.len == 0 ||
		http_exchange_stream_write(
			request->exchange, bytes.ptr, bytes.len);
}

static void drain_if_quiet(struct x402_uv_server *server);

void x402_uv_stream_end(struct x402_uv_request *request)
{
	struct x402_uv_server *server = request->server;

	http_exchange_stream_end(request->exchange);
	server->streams--;
	request_free(request);
	drain_if_quiet(server);
}

/* ---- What the HTTP server tells. ---- */

static bool nth_header(
	void *user, const char *name, size_t index, struct x402_span *ret_value)
{
	const struct http_request *http = user;

	for (size_t i = 0; i < http->headers_len; i++)
		if (strcasecmp(http->headers[i].name, name) == 0 &&
			index-- == 0) {
			*ret_value = x402_span_str(http->headers[i].value);
			return true;
		}
	return false;
}

static void on_gone(void *user)
{
	struct x402_uv_request *request = user;

	request->gone = true;
}

static struct x402_gate_request view_of(const struct x402_uv_request *request)
{
	return (struct x402_gate_request){
		.method = request->http->method,
		.target = x402_span_str(request->http->target),
		.header = nth_header,
		.header_user = (void *)(uintptr_t)request->http,
		.body = x402_span(request->http->body, request->http->body_len),
		.now_unix_s = now_s(),
		.peer = http_exchange_peer(request->exchange),
	};
}

/* peer_name may be NULL. */
static void begin(struct x402_uv_request *request, const char *peer_name)
{
	struct x402_gate_request view = view_of(request);

	view.peer_name = peer_name;
	x402_gate_begin(request->gate, &view, &request->decision);
	decide(request);
}

static void on_named(void *user, const char *name)
{
	struct x402_uv_request *request = user;

	begin(request, *name ? name : NULL);
}

static void on_request(void *user, struct http_exchange *exchange)
{
	struct x402_uv_server *server = user;
	struct x402_uv_request *request = calloc(1, sizeof(*request));
	struct x402_gate_request view;
	char address[X402_PROVIDER_ADDRESS_SIZE];
	struct http_response response;

	/* Draining waits for streams: who comes now comes too late. */
	if (!request || !server->provider ||
		(server->draining && !server->drain_begun) ||
		x402_gate_new(server->provider, &request->gate) != X402_OK) {
		free(request);
		http_response_init(&response, 503);
		http_exchange_reply(exchange, &response);
		http_response_clear(&response);
		return;
	}
	request->server = server;
	request->exchange = exchange;
	request->http = http_exchange_request(exchange);
	server->open++;
	http_exchange_on_cancelled(exchange, on_gone, request);
	view = view_of(request);
	if (!x402_provider_wants_name(server->provider, &view, address) ||
		!x402__resolver_ask(
			server->resolver, address, on_named, request))
		begin(request, NULL);
}

/* ---- The server. ---- */

static enum x402_err listen_on(const struct x402_uv_options *options,
	struct x402_errinfo *info, struct x402_uv_server *server)
{
	struct http_server_options http = HTTP_SERVER_OPTIONS_INIT;
	const char *host = options->host ? options->host : "127.0.0.1";
	int rc;

	http.loop = options->loop;
	http.host = host;
	http.port = options->port;
	http.max_body_bytes = options->body_max ? options->body_max
						: BODY_MAX_DEFAULT;
	http.max_gathered_bytes = GATHERED_MAX_BYTES;
	http.max_connections = options->connections_max
		? options->connections_max
		: CONNECTIONS_MAX_DEFAULT;
	http.on_request = on_request;
	http.user = server;
	rc = http_server_start(&http, &server->http);
	if (rc == 0)
		return X402_OK;
	x402_errinfo_set(info, "port", "cannot listen on %.64s port %u: %s",
		host, options->port, uv_strerror(rc));
	return X402_ERR_NETWORK;
}

static enum x402_err open_resolver(const struct x402_uv_options *options,
	struct x402_errinfo *info, struct x402_uv_server *server)
{
	enum x402_err err = x402__resolver_new(
		options->loop, options->resolver, &server->resolver);

	if (err != X402_ERR_SYNTAX)
		return err;
	x402_errinfo_set(info, "resolver",
		"expected an address such as 192.0.2.53:53, got %.64s",
		options->resolver);
	return X402_ERR_INVALID_ARGUMENT;
}

enum x402_err x402_uv_server_new(const struct x402_uv_options *options,
	struct x402_errinfo *info, struct x402_uv_server **ret_server)
{
	struct x402_uv_server *server;
	enum x402_err err;

	if (!options->loop)
		return X402_ERR_INVALID_ARGUMENT;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return X402_ERR_INTERNAL;
	server = calloc(1, sizeof(*server));
	if (server) {
		server->loop = options->loop;
		server->transfers = x402__transfers_new(options->loop);
	}
	err = server && server->transfers ? open_resolver(options, info, server)
					  : X402_ERR_NOMEM;
	if (err == X402_OK)
		err = listen_on(options, info, server);
	if (err == X402_OK) {
		*ret_server = server;
		return X402_OK;
	}
	if (server) {
		x402__transfers_close(server->transfers);
		x402__resolver_close(server->resolver);
	}
	free(server);
	curl_global_cleanup();
	return err;
}

uint16_t x402_uv_server_port(const struct x402_uv_server *server)
{
	return http_server_port(server->http);
}

enum x402_err x402_uv_server_start(struct x402_uv_server *server,
	struct x402_provider *provider, const struct x402_uv_handler *handlers,
	size_t handlers_len)
{
	if (handlers_len != x402_provider_routes_len(provider))
		return X402_ERR_INVALID_ARGUMENT;
	for (size_t i = 0; i < handlers_len; i++)
		if (!handlers[i].serve)
			return X402_ERR_INVALID_ARGUMENT;
	server->handlers = calloc(handlers_len, sizeof(*handlers));
	if (!server->handlers)
		return X402_ERR_NOMEM;
	memcpy(server->handlers, handlers, handlers_len * sizeof(*handlers));
	server->handlers_len = handlers_len;
	server->provider = provider;
	return X402_OK;
}

static void on_drained(void *user)
{
	struct x402_uv_server *server = user;

	server->drained = true;
	http_server_stop(server->http);
	close_if_done(server);
}

/* The HTTP server ends streams by itself when it drains; these are paid for,
 * so it is not told before the last one is over. */
static void drain_if_quiet(struct x402_uv_server *server)
{
	if (!server->draining || server->drain_begun || server->streams > 0)
		return;
	server->drain_begun = true;
	http_server_drain(server->http, on_drained, server);
}

void x402_uv_server_drain(struct x402_uv_server *server)
{
	server->draining = true;
	drain_if_quiet(server);
}

void x402_uv_server_free(struct x402_uv_server *server)
{
	if (!server)
		return;
	http_server_free(server->http);
	free(server->handlers);
	free(server);
	curl_global_cleanup();
}

/* ---- For handlers. ---- */

const char *x402_uv_request_method(const struct x402_uv_request *request)
{
	return request->http->method;
}

const char *x402_uv_request_path(const struct x402_uv_request *request)
{
	return x402_gate_path(request->gate);
}

const char *x402_uv_request_query(const struct x402_uv_request *request)
{
	return request->http->query ? request->http->query : "";
}

struct x402_span x402_uv_request_body(const struct x402_uv_request *request)
{
	return x402_span(request->http->body, request->http->body_len);
}

const char *x402_uv_request_header(
	const struct x402_uv_request *request, const char *name)
{
	bool doubled = false;
	const char *value = http_request_header(request->http, name, &doubled);

	return doubled ? NULL : value;
}

uv_loop_t *x402_uv_request_loop(const struct x402_uv_request *request)
{
	return request->server->loop;
}

const struct x402_gate *x402_uv_request_gate(
	const struct x402_uv_request *request)
{
	return request->gate;
}
