/*
 * answer.c: bytes for the client, framed by net/ from what the gate or the
 * origin says. The origin's answer is framed anew: its Content-Length where it
 * gave one that libcurl has held it to, chunks otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "exchange_p.h"
#include "headers.h"

static void send_response(struct gw_exchange *exchange,
	const struct http_response *response,
	struct http_response_framing *framing)
{
	struct http_bytes out = {0};

	framing->keep_alive = exchange->keep;
	framing->head = strcmp(exchange->request.method, "HEAD") == 0;
	http_response_write(response, framing, &out);
	exchange->status = (unsigned)response->status;
	exchange->head_sent = true;
	if (out.failed)
		exchange->aborted = true;
	else if (exchange->client)
		gw_client_send(exchange->client, out.ptr, out.len);
	http_bytes_clear(&out);
}

static void add_decision_headers(
	const struct gw_exchange *exchange, struct http_response *response)
{
	const struct x402_gate_decision *decision = &exchange->decision;

	for (size_t i = 0; i < decision->headers_len; i++)
		http_response_header(response, decision->headers[i].name,
			decision->headers[i].value);
}

void gw_answer_decision(struct gw_exchange *exchange)
{
	const struct x402_gate_decision *decision = &exchange->decision;
	struct http_response response;
	struct http_response_framing framing = {
		.date = gw_server_date(exchange->server)};

	http_response_init(&response, (int)decision->status);
	add_decision_headers(exchange, &response);
	http_response_body(&response, decision->body.ptr, decision->body.len);
	send_response(exchange, &response, &framing);
	http_response_clear(&response);
	gw_exchange_finish(exchange, "");
}

/* Does the gate say this header itself? */
static bool decision_says(const struct gw_exchange *exchange, const char *name)
{
	const struct x402_gate_decision *decision = &exchange->decision;

	if (x402_gate_header_adds_up(name))
		return false;
	for (size_t i = 0; i < decision->headers_len; i++)
		if (strcasecmp(decision->headers[i].name, name) == 0)
			return true;
	return false;
}

/* Does the decision stand beside an answer that is not the gate's? */
static bool accompanies(const struct gw_exchange *exchange)
{
	return exchange->begun &&
		(exchange->decision.action == X402_GATE_DELIVER ||
			exchange->decision.action == X402_GATE_PASS);
}

void gw_answer_error(
	struct gw_exchange *exchange, unsigned status, const char *text)
{
	struct http_response response;
	struct http_response_framing framing = {
		.date = gw_server_date(exchange->server)};
	char body[256];
	char retry[16];
	int len = snprintf(body, sizeof(body), "{\"error\":\"%s\"}", text);

	http_response_init(&response, (int)status);
	http_response_header(&response, "Content-Type", "application/json");
	if (accompanies(exchange))
		add_decision_headers(exchange, &response);
	if (!accompanies(exchange) || !decision_says(exchange, "Cache-Control"))
		http_response_header(&response, "Cache-Control", "no-store");
	if (exchange->retry_after_s) {
		snprintf(retry, sizeof(retry), "%u", exchange->retry_after_s);
		http_response_header(&response, "Retry-After", retry);
	}
	http_response_body(&response, body, len > 0 ? (size_t)len : 0);
	send_response(exchange, &response, &framing);
	http_response_clear(&response);
	gw_exchange_finish(exchange, "");
}

void gw_answer_notice(
	struct gw_exchange *exchange, const struct gw_notice *notice)
{
	struct http_response response;
	struct http_response_framing framing = {
		.date = gw_server_date(exchange->server)};

	http_response_init(&response, 200);
	http_response_header(&response, "Content-Type", notice->type);
	/* It is for everybody, and prices change. */
	http_response_header(&response, "Access-Control-Allow-Origin", "*");
	http_response_header(&response, "Cache-Control", "max-age=60");
	http_response_body(&response, notice->text, strlen(notice->text));
	send_response(exchange, &response, &framing);
	http_response_clear(&response);
	exchange->result = GW_RESULT_FREE;
	gw_exchange_finish(exchange, "");
}

/* ---- The origin's answer. ---- */

/* Connection may come in several headers, each with a list. */
static char *connection_of(const struct gw_call *call)
{
	struct x402_buf list = {0};
	struct curl_header *header = NULL;

	while ((header = gw_call_header(call, header))) {
		if (strcasecmp(header->name, "Connection") != 0)
			continue;
		x402_buf_add_str(&list, header->value);
		x402_buf_add_byte(&list, ',');
	}
	return x402_buf_take_str(&list);
}

static bool is_token(const char *name)
{
	return *name &&
		name[strspn(name,
			"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static void add_header(const struct gw_exchange *exchange, const char *name,
	const char *value, struct http_response *response)
{
	char *moved = NULL;

	if (strcasecmp(name, "Location") == 0)
		moved = gw_location(value, exchange->origin->config->url,
			exchange->site->config->public_origin);
	http_response_header(response, name, moved ? moved : value);
	free(moved);
}

/* True when the origin said Date. */
static bool add_origin_headers(
	const struct gw_exchange *exchange, struct http_response *response)
{
	char *connection = connection_of(exchange->call);
	struct curl_header *header = NULL;
	bool dated = false;

	while ((header = gw_call_header(exchange->call, header))) {
		if (!is_token(header->name) ||
			!gw_header_to_client(header->name, connection) ||
			decision_says(exchange, header->name))
			continue;
		if (strcasecmp(header->name, "Date") == 0)
			dated = true;
		add_header(exchange, header->name, header->value, response);
	}
	free(connection);
	return dated;
}

bool gw_answer_upgrade(struct gw_exchange *exchange)
{
	static const char line[] =
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
		"Upgrade: websocket\r\n";
	struct http_response response;
	struct http_header header;
	bool good;

	http_response_init(&response, 101);
	for (size_t i = 0; gw_tunnel_header(exchange->tunnel, i, &header); i++)
		if (is_token(header.name) &&
			gw_header_to_client(header.name, NULL) &&
			!decision_says(exchange, header.name))
			http_response_header(
				&response, header.name, header.value);
	add_decision_headers(exchange, &response);
	good = !response.spoiled && !response.headers.failed;
	if (good) {
		gw_client_send(exchange->client, line, sizeof(line) - 1);
		gw_client_send(exchange->client, response.headers.ptr,
			response.headers.len);
		gw_client_send(exchange->client, "\r\n", 2);
		exchange->status = 101;
		exchange->head_sent = true;
	}
	http_response_clear(&response);
	return good;
}

/* How the client knows where the content ends. */
static void frame(struct gw_exchange *exchange, unsigned status,
	struct http_response *response, struct http_response_framing *framing)
{
	bool head = strcmp(exchange->request.method, "HEAD") == 0;
	int64_t length = gw_call_length(exchange->call);
	char text[24];

	framing->stream = true;
	exchange->bodiless = head || status == 204 || status == 304;
	if (length >= 0 && status != 204 && status != 304) {
		snprintf(text, sizeof(text), "%lld", (long long)length);
		http_response_header(response, "Content-Length", text);
	} else if (!exchange->bodiless && exchange->request.http_1_0) {
		exchange->keep = false; /* the end of the connection says it */
	} else if (!exchange->bodiless) {
		framing->chunked = true;
	}
	exchange->chunked = framing->chunked;
}

void gw_answer_head(struct gw_exchange *exchange)
{
	unsigned status = gw_call_status(exchange->call);
	struct http_response response;
	struct http_response_framing framing = {0};

	http_response_init(&response, (int)status);
	if (!add_origin_headers(exchange, &response))
		framing.date = gw_server_date(exchange->server);
	add_decision_headers(exchange, &response);
	frame(exchange, status, &response, &framing);
	/* What cannot be written as HTTP becomes a whole 500: no content may
	 * follow it. */
	if (response.spoiled || response.headers.failed) {
		exchange->aborted = true;
		exchange->keep = false;
	}
	send_response(exchange, &response, &framing);
	http_response_clear(&response);
}

void gw_answer_content(
	struct gw_exchange *exchange, const char *data, size_t len)
{
	if (exchange->bodiless || exchange->aborted)
		return;
	exchange->content_bytes += len;
	if (!exchange->chunked) {
		gw_client_send(exchange->client, data, len);
		return;
	}
	exchange->frame.len = 0;
	http_response_chunk(data, len, &exchange->frame);
	if (exchange->frame.failed)
		exchange->aborted = true;
	else
		gw_client_send(exchange->client, exchange->frame.ptr,
			exchange->frame.len);
}

void gw_answer_end(struct gw_exchange *exchange)
{
	exchange->frame.len = 0;
	if (!exchange->chunked || exchange->aborted || !exchange->client)
		return;
	http_response_chunks_end(&exchange->frame);
	if (exchange->frame.failed)
		exchange->aborted = true;
	else
		gw_client_send(exchange->client, exchange->frame.ptr,
			exchange->frame.len);
}
