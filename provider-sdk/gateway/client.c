/*
 * client.c: one connection of a client. Bytes go to the parser, which gives a
 * request's head and then its body, piece by piece; one request is under way
 * at a time, and what a client sends behind it waits here, unread as soon as
 * it is much.
 *
 *   on_data -> take_input -> http_parser_feed -> exchange
 *   exchange -> gw_client_send -> transport; gw_client_done -> next request
 */
#include <stdlib.h>
#include <string.h>

#include "server.h"

/* What a client may send ahead while its answer is being made. */
#define AHEAD_MAX_BYTES ((size_t)64 * 1024)
/* After a refusal: time for the answer to arrive before the reset. */
#define LINGER_MS 1000
/* A body that comes in slower than a byte in a millisecond is not a slow line
 * but an attack: so much more time each byte buys, up to the timeout. */
#define BODY_MS_PER_BYTE 1

struct gw_client {
	struct gw_server *server;
	struct gw_client *prev;
	struct gw_client *next;
	struct gw_transport *transport;
	struct http_parser *parser;
	struct gw_exchange *exchange; /* NULL between requests */
	struct http_bytes ahead;      /* read, not parsed */
	enum http_phase phase;
	uint64_t phase_at;   /* loop ms: when it began */
	uint64_t body_until; /* deadline of a body that is wanted */
	bool body_wanted;
	bool feeding; /* inside take_input */
	bool served;  /* a request has come */
	bool closing; /* no more requests; close when all is sent */
	bool ended;   /* everything is handed over; only the end is awaited */
	bool raw;     /* upgraded: no HTTP any more */
	bool tls;
	bool closed;
	char peer[64];
};

static void take_input(struct gw_client *client, const char *data, size_t len);

static uint64_t now_of(const struct gw_client *client)
{
	return uv_now(client->server->loop);
}

static const struct gw_config *config_of(const struct gw_client *client)
{
	return client->server->site->config;
}

struct gw_client *gw_client_next(struct gw_client *client)
{
	return client->next;
}

const char *gw_client_peer(const struct gw_client *client)
{
	return client->peer;
}

bool gw_client_tls(const struct gw_client *client)
{
	return client->tls;
}

/* ---- Closing. ---- */

static void client_free(struct gw_client *client)
{
	http_parser_free(client->parser);
	http_bytes_clear(&client->ahead);
	free(client);
}

void gw_client_close(struct gw_client *client)
{
	struct gw_server *server = client->server;
	struct gw_exchange *exchange = client->exchange;

	if (client->closed)
		return;
	client->closed = true;
	client->exchange = NULL;
	if (client->prev)
		client->prev->next = client->next;
	else
		server->clients = client->next;
	if (client->next)
		client->next->prev = client->prev;
	server->clients_len--;
	gw_transport_close(client->transport);
	if (exchange)
		gw_exchange_gone(exchange);
	/* take_input frees it, when we are inside of that. */
	if (!client->feeding)
		client_free(client);
}

/* Everything is said. Unread input would make the kernel reset the connection
 * and lose the answer, so it is read away for a moment. */
static void end_client(struct gw_client *client)
{
	client->closing = true;
	client->ended = true;
	client->phase_at = now_of(client);
	http_bytes_clear(&client->ahead);
	gw_transport_end(client->transport);
	gw_transport_read(client->transport, true);
}

void gw_client_drain(struct gw_client *client)
{
	/* Half a request is not one that was begun. A whole one is finished,
	 * and gw_client_done ends the connection then. */
	if (client->exchange || client->ended)
		return;
	/* The end of an answer may be on its way still, to a slow reader who
	 * has paid for it. */
	if (gw_transport_unsent(client->transport) > 0)
		end_client(client);
	else
		gw_client_close(client);
}

/* ---- Deadlines. ---- */

static void set_phase(struct gw_client *client)
{
	enum http_phase phase = http_parser_phase(client->parser);

	if (phase == client->phase)
		return;
	client->phase = phase;
	client->phase_at = now_of(client);
}

static bool body_late(const struct gw_client *client, uint64_t now)
{
	return client->phase == HTTP_PHASE_BODY && client->body_wanted &&
		now > client->body_until;
}

static void body_came(struct gw_client *client, size_t len)
{
	uint64_t most = now_of(client) + config_of(client)->body_timeout_ms;

	client->body_until += len * BODY_MS_PER_BYTE;
	if (client->body_until > most)
		client->body_until = most;
}

static bool late(const struct gw_client *client, uint64_t now)
{
	const struct gw_config *config = config_of(client);
	uint64_t waited = now - client->phase_at;

	if (client->ended)
		return waited > LINGER_MS;
	if (client->exchange)
		return body_late(client, now);
	/* With a handshake in it, too. */
	if (client->phase == HTTP_PHASE_HEADERS || !client->served)
		return waited > config->headers_timeout_ms;
	return waited > config->idle_timeout_ms;
}

void gw_client_sweep(struct gw_client *client, uint64_t now)
{
	bool unsent = gw_transport_unsent(client->transport) > 0;
	bool stuck = unsent &&
		now - gw_transport_progress(client->transport) >
			config_of(client)->write_timeout_ms;

	/* It lingers, or is idle, from the last byte on. */
	if (unsent && (client->ended || client->phase == HTTP_PHASE_IDLE))
		client->phase_at = now;
	if (stuck || gw_transport_broken(client->transport) ||
		late(client, now))
		gw_client_close(client);
}

/* ---- Answers. ---- */

void gw_client_send(struct gw_client *client, const void *data, size_t len)
{
	gw_transport_write(client->transport, data, len);
}

bool gw_client_unsent(const struct gw_client *client)
{
	return gw_transport_unsent(client->transport) > 0;
}

bool gw_client_congested(const struct gw_client *client)
{
	return gw_transport_unsent(client->transport) > GW_TRANSPORT_HIGH_BYTES;
}

void gw_client_continue(struct gw_client *client)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (http_parser_take_continue(client->parser))
		gw_client_send(client, text, sizeof(text) - 1);
}

static void update_reading(struct gw_client *client)
{
	bool body = client->phase == HTTP_PHASE_BODY && client->exchange;

	if (client->closed)
		return;
	/* Between bodies it is read on, to see the client leave. */
	gw_transport_read(client->transport,
		client->ended ||
			(body || client->raw
					? client->body_wanted
					: client->ahead.len < AHEAD_MAX_BYTES));
}

void gw_client_want_body(struct gw_client *client, bool wanted)
{
	if (wanted && !client->body_wanted)
		client->body_until = now_of(client) +
			config_of(client)->body_timeout_ms;
	client->body_wanted = wanted;
	update_reading(client);
}

static void answer_refusal(struct gw_client *client)
{
	struct http_response response;
	struct http_response_framing framing = {.keep_alive = false};
	struct x402_buf body = {0};
	struct http_bytes out = {0};
	const char *text = http_parser_text(client->parser);

	x402_buf_add_str(&body, "{\"error\":\"");
	for (; *text; text++) /* it may quote a stranger's bytes */
		x402_buf_add_byte(&body,
			*text < 0x20 || *text > 0x7e || *text == '"' ||
					*text == '\\'
				? '?'
				: (uint8_t)*text);
	x402_buf_add_str(&body, "\"}");
	http_response_init(&response, http_parser_status(client->parser));
	http_response_header(&response, "Content-Type", "application/json");
	http_response_header(&response, "Cache-Control", "no-store");
	http_response_body(&response, body.ptr, body.len);
	http_response_write(&response, &framing, &out);
	gw_client_send(client, out.ptr, out.len);
	http_response_clear(&response);
	http_bytes_clear(&out);
	x402_buf_clear(&body);
}

static void refuse(struct gw_client *client)
{
	struct gw_exchange *exchange = client->exchange;

	client->closing = true;
	if (exchange) {
		/* In its body; the answer is the exchange's. */
		gw_exchange_body_end(exchange, false);
		return;
	}
	gw_metrics_request(
		client->server->site->metrics, SIZE_MAX, GW_RESULT_REFUSED, 0);
	answer_refusal(client);
	end_client(client);
}

void gw_client_raw(struct gw_client *client)
{
	struct http_bytes ahead = client->ahead;

	memset(&client->ahead, 0, sizeof(client->ahead));
	client->raw = true;
	client->body_wanted = true;
	if (ahead.len > 0)
		gw_exchange_raw(client->exchange, ahead.ptr, ahead.len);
	http_bytes_clear(&ahead);
	update_reading(client);
}

void gw_client_done(struct gw_client *client, bool keep)
{
	struct http_bytes ahead = client->ahead;

	client->exchange = NULL;
	client->body_wanted = true;
	set_phase(client);
	if (!keep || client->closing || client->raw ||
		client->server->draining || client->phase == HTTP_PHASE_BODY) {
		end_client(client);
		return;
	}
	client->phase_at = now_of(client);
	memset(&client->ahead, 0, sizeof(client->ahead));
	take_input(client, ahead.ptr, ahead.len);
	http_bytes_clear(&ahead);
}

/* ---- Requests. ---- */

static bool on_body(void *user, const char *data, size_t len)
{
	struct gw_client *client = user;

	body_came(client, len);
	return client->exchange &&
		gw_exchange_body(client->exchange, data, len);
}

static void begin_request(
	struct gw_client *client, struct http_request *request)
{
	set_phase(client);
	client->served = true;
	client->phase_at = now_of(client);
	client->body_wanted = true;
	client->body_until = client->phase_at +
		config_of(client)->body_timeout_ms;
	client->exchange = gw_exchange_new_take(
		client, client->server, request);
	if (!client->exchange)
		gw_client_close(client);
}

/* One piece of input; gives the bytes used. */
static size_t feed(struct gw_client *client, const char *data, size_t len)
{
	struct http_request request;
	enum http_phase before = http_parser_phase(client->parser);
	size_t used = 0;

	switch (http_parser_feed(client->parser, data, len, &used, &request)) {
	case HTTP_PARSE_REQUEST:
		begin_request(client, &request);
		break;
	case HTTP_PARSE_REFUSED:
		refuse(client);
		break;
	case HTTP_PARSE_MORE:
		set_phase(client);
		if (before == HTTP_PHASE_BODY &&
			client->phase == HTTP_PHASE_IDLE && client->exchange)
			gw_exchange_body_end(client->exchange, true);
		break;
	}
	return used;
}

/* May the parser see more now? */
static bool hungry(const struct gw_client *client)
{
	return !client->closed && !client->closing &&
		(!client->exchange ||
			http_parser_phase(client->parser) == HTTP_PHASE_BODY);
}

static void take_input(struct gw_client *client, const char *data, size_t len)
{
	client->feeding = true;
	while (len > 0 && hungry(client)) {
		size_t used = feed(client, data, len);

		data += used;
		len -= used;
	}
	client->feeding = false;
	if (client->closed) {
		client_free(client);
		return;
	}
	if (len > 0 && !client->closing)
		http_bytes_add(&client->ahead, data, len);
	if (client->ahead.failed) {
		gw_client_close(client);
		return;
	}
	update_reading(client);
}

static void on_data(void *user, const char *data, size_t len)
{
	struct gw_client *client = user;

	if (client->ended)
		return;
	if (client->raw && client->exchange) {
		gw_exchange_raw(client->exchange, data, len);
		return;
	}
	take_input(client, data, len);
}

static void on_writable(void *user)
{
	struct gw_client *client = user;

	if (client->exchange)
		gw_exchange_writable(client->exchange);
}

/* Gone, or half of it: whoever half-closes gets no answer, so that a payment
 * is never told to nobody. */
static void on_ended(void *user)
{
	gw_client_close(user);
}

/* ---- Accept. ---- */

void gw_client_accept(struct gw_server *server)
{
	struct gw_client *client = calloc(1, sizeof(*client));
	const struct gw_transport_owner owner = {
		on_data, on_writable, on_ended, client};
	const struct gw_config *config = server->site->config;

	if (!client)
		return;
	client->server = server;
	client->tls = server->site->tls != NULL;
	client->body_wanted = true;
	client->phase_at = now_of(client);
	client->parser = http_parser_new_streaming(
		config->body_max ? config->body_max : 1, on_body, client);
	if (client->parser)
		client->transport = gw_transport_accept(
			(uv_stream_t *)&server->listener, server->site->tls,
			server->read_buffer, &owner);
	if (!client->transport) {
		client_free(client);
		return;
	}
	client->next = server->clients;
	if (client->next)
		client->next->prev = client;
	server->clients = client;
	server->clients_len++;
	if (server->clients_len > config->connections_max ||
		!gw_transport_peer(client->transport, client->peer,
			sizeof(client->peer))) {
		gw_client_close(client);
		return;
	}
	gw_transport_read(client->transport, true);
}
