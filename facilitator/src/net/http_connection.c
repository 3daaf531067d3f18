/*
 * One connection: bytes to the parser, requests to the handler, answers back
 * in order. Read it in this direction:
 *
 *   on_read -> take_input -> http_parser_feed -> open_exchange -> handler
 *   http_exchange_reply -> flush_soon -> flush -> write_out -> on_written
 *
 * Answers of one turn of the loop leave together, before it waits again: a
 * write on a socket costs as much as all the rest of a small request.
 *
 * A stream's bytes take the same way piece by piece; its exchange stays at
 * the head of the queue until the end. An exchange has two owners, the queue
 * and whoever answers, and goes when both have let go.
 *
 * A connection is in the server's list from accept until its handle begins
 * to close; its memory goes in the close callback.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_connection_p.h"

/*
 * Reading pauses while so many requests are unanswered: payments that wait for
 * a block are answered together, so a server that pipelines them on a few
 * connections should not wait for its own answers...
 */
#define PIPELINE_MAX 256
/*
 * ...or requests of so many bytes: the largest body a hundred times, on each of
 * thousands of connections, would be more than a machine has.
 */
#define UNANSWERED_MAX_BYTES ((size_t)512 * 1024)
/* ...or so many bytes of answers unsent. */
#define UNSENT_MAX_BYTES ((size_t)1024 * 1024)
/* After a refusal: time for the answer to arrive before the reset. */
#define LINGER_MS 1000

static void take_input(
	struct http_connection *connection, const char *data, size_t len);
static void gather_answers(struct http_connection *connection);
static int write_out(struct http_connection *connection);

/* ---- What is due at the end of the turn. ---- */

void http__connection_flush_soon(struct http_connection *connection)
{
	struct http_server *server = connection->server;

	/* take_input flushes when it is done. */
	if (connection->due || connection->corked || connection->closed)
		return;
	connection->due = true;
	connection->next_due = NULL;
	if (server->last_due)
		server->last_due->next_due = connection;
	else
		server->first_due = connection;
	server->last_due = connection;
	http__server_flush_soon(server);
}

/* Closing callbacks come before the turn's end: nothing freed stays listed. */
static void forget_due(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	struct http_connection *at = server->first_due;
	struct http_connection *before = NULL;

	if (!connection->due)
		return;
	while (at != connection) {
		before = at;
		at = at->next_due;
	}
	if (before)
		before->next_due = connection->next_due;
	else
		server->first_due = connection->next_due;
	if (server->last_due == connection)
		server->last_due = before;
	connection->due = false;
}

void http__connection_flush_due(struct http_server *server)
{
	struct http_connection *connection;

	while ((connection = server->first_due)) {
		forget_due(connection);
		http__connection_flush(connection);
	}
}

struct http_connection *http__connection_next(
	struct http_connection *connection)
{
	return connection->next;
}

static uint64_t in_ms(struct http_connection *connection, uint64_t ms)
{
	return uv_now(connection->server->options.loop) + ms;
}

/* ---- Closing. ---- */

static void on_closed(uv_handle_t *handle)
{
	struct http_connection *connection = handle->data;
	struct http_server *server = connection->server;

	forget_due(connection);
	http_parser_free(connection->parser);
	http_bytes_clear(&connection->input);
	http_bytes_clear(&connection->out);
	http_bytes_clear(&connection->writing);
	free(connection);
	http__server_connection_closed(server);
	http__server_unref(server);
}

static void forget_request(struct http_exchange *exchange)
{
	exchange->server->room.used -= exchange->request.memory_len;
	http_request_clear(&exchange->request);
}

void http__exchange_free(struct http_exchange *exchange)
{
	forget_request(exchange);
	http_bytes_clear(&exchange->answer);
	http__server_unref(exchange->server);
	free(exchange);
}

/* Its request counts no more: it is answered, or nobody waits for it. */
static void release_bytes(struct http_exchange *exchange)
{
	if (exchange->connection)
		exchange->connection->held_bytes -= exchange->held_bytes;
	exchange->held_bytes = 0;
}

void http__exchange_tell_cancelled(struct http_exchange *exchange)
{
	void (*tell)(void *user) = exchange->on_cancelled;

	exchange->on_cancelled = NULL;
	if (tell)
		tell(exchange->user);
}

/* Unanswered exchanges live on without a connection until their reply. */
static void abandon_exchanges(struct http_connection *connection)
{
	struct http_exchange *exchange = connection->first;

	connection->first = connection->last = NULL;
	while (exchange) {
		struct http_exchange *next = exchange->next;

		release_bytes(exchange);
		http__budget_take(connection, exchange->answer.len);
		exchange->connection = NULL;
		exchange->next = NULL;
		if (exchange->held)
			http__exchange_tell_cancelled(exchange);
		else
			http__exchange_free(exchange);
		exchange = next;
	}
}

/* What was answered in this very turn still goes, if the kernel takes it. */
static void say_last_words(struct http_connection *connection)
{
	if (connection->doomed || connection->write_under_way)
		return;
	gather_answers(connection);
	if (!connection->out.failed && connection->out.len > 0)
		(void)write_out(connection); /* it is closed in any case */
}

void http__connection_close(struct http_connection *connection)
{
	struct http_server *server = connection->server;

	if (connection->closed)
		return;
	if (connection->due)
		say_last_words(connection);
	connection->closed = true;
	http__idle_set(connection, false);
	if (connection->prev)
		connection->prev->next = connection->next;
	else
		server->connections = connection->next;
	if (connection->next)
		connection->next->prev = connection->prev;
	server->connections_len--;
	uv_close(&connection->io.handle, on_closed);
	abandon_exchanges(connection);
	http__budget_take(connection, connection->unsent);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
	(void)request;
	(void)status; /* the linger deadline closes it in any case */
}

/*
 * Everything is sent. Unread input would make the kernel reset the
 * connection and lose the answer, so after a refusal the client gets a moment
 * to read it.
 */
static void end_connection(struct http_connection *connection)
{
	if (!connection->lingering || connection->closed) {
		http__connection_close(connection);
		return;
	}
	connection->deadline = in_ms(connection, LINGER_MS);
	if (uv_shutdown(
		    &connection->shutdown, &connection->io.stream, on_shutdown))
		http__connection_close(connection);
}

/* ---- Deadlines. ---- */

/*
 * A deadline is set when its phase begins and not moved by bytes that
 * trickle in. While the handler works there is none: that wait is its own.
 */
static void set_deadline(struct http_connection *connection)
{
	const struct http_server_options *options =
		&connection->server->options;
	enum http_phase phase = http_parser_phase(connection->parser);
	bool same = phase == connection->phase && connection->deadline;

	connection->phase = phase;
	http__idle_set(connection,
		phase == HTTP_PHASE_IDLE && !connection->first &&
			!connection->write_under_way && !connection->closed &&
			!connection->lingering);
	if (connection->closed || connection->lingering ||
		connection->write_under_way)
		return;
	if (phase == HTTP_PHASE_IDLE && connection->first) {
		connection->deadline = 0;
		return;
	}
	if (same)
		return;
	switch (phase) {
	case HTTP_PHASE_IDLE:
		connection->deadline = in_ms(
			connection, options->idle_timeout_ms);
		break;
	case HTTP_PHASE_HEADERS:
		connection->deadline = in_ms(
			connection, options->headers_timeout_ms);
		break;
	case HTTP_PHASE_BODY:
		connection->deadline = in_ms(
			connection, options->body_timeout_ms);
		break;
	}
}

static void refuse(
	struct http_connection *connection, int status, const char *text);

void http__connection_sweep(struct http_connection *connection, uint64_t now)
{
	if (connection->doomed) {
		http__connection_close(connection);
		return;
	}
	if (connection->server->stopping && http__streams_end(connection))
		return;
	if (!connection->deadline || now < connection->deadline)
		return;
	if (!connection->write_under_way && !connection->lingering &&
		!connection->first &&
		http_parser_phase(connection->parser) != HTTP_PHASE_IDLE) {
		refuse(connection, 408, "the request took too long to arrive");
		return;
	}
	http__connection_close(connection);
}

/* ---- Writing. ---- */

static void on_written(uv_write_t *write, int status)
{
	struct http_connection *connection = write->data;

	connection->write_under_way = false;
	if (!connection->closed)
		http__budget_take(connection,
			connection->writing.len - connection->written);
	http_bytes_clear(&connection->writing);
	if (connection->closed)
		return;
	if (status) {
		http__connection_close(connection);
		return;
	}
	connection->deadline = 0;
	http__connection_flush(connection);
}

/* What the kernel takes at once needs no request; the rest waits in one. */
static int write_out(struct http_connection *connection)
{
	struct http_bytes *out = &connection->out;
	uv_buf_t buf = uv_buf_init(out->ptr, (unsigned)out->len);
	int n = uv_try_write(&connection->io.stream, &buf, 1);

	if (n < 0 && n != UV_EAGAIN)
		return n;
	if (n > 0)
		http__budget_take(connection, (size_t)n);
	if (n == (int)out->len) {
		out->len = 0;
		/* Idle connections should cost little. */
		if (out->cap > 8192)
			http_bytes_clear(out);
		return 0;
	}
	n = n > 0 ? n : 0;
	connection->writing = *out;
	connection->written = (size_t)n;
	memset(out, 0, sizeof(*out));
	connection->write.data = connection;
	connection->write_under_way = true;
	connection->deadline = in_ms(
		connection, connection->server->options.write_timeout_ms);
	buf = uv_buf_init(connection->writing.ptr + n,
		(unsigned)(connection->writing.len - (size_t)n));
	return uv_write(&connection->write, &connection->io.stream, &buf, 1,
		on_written);
}

/* Move the answers that are due to the output, oldest first. */
static void gather_answers(struct http_connection *connection)
{
	struct http_exchange *exchange;

	while ((exchange = connection->first) &&
		(exchange->replied || exchange->streaming)) {
		bool last = !exchange->keep_alive;

		if (exchange->answer.failed)
			connection->out.failed = true;
		http_bytes_add(&connection->out, exchange->answer.ptr,
			exchange->answer.len);
		exchange->answer.len = 0;
		if (!exchange->replied)
			break;
		connection->first = exchange->next;
		if (!connection->first)
			connection->last = NULL;
		connection->exchanges_len--;
		release_bytes(exchange);
		exchange->connection = NULL;
		if (!exchange->held)
			http__exchange_free(exchange);
		if (last) {
			connection->closing = true;
			/* Pipelined behind a close: never answered. */
			abandon_exchanges(connection);
			connection->exchanges_len = 0;
		}
	}
}

static bool may_read(const struct http_connection *connection)
{
	return !connection->closed && !connection->closing &&
		connection->exchanges_len < PIPELINE_MAX &&
		connection->held_bytes < UNANSWERED_MAX_BYTES &&
		connection->out.len + connection->writing.len <
		UNSENT_MAX_BYTES;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct http_connection *connection = handle->data;

	(void)suggested;
	*ret_buf = uv_buf_init(
		connection->server->read_buffer, HTTP_READ_BUFFER_BYTES);
}

static void set_reading(struct http_connection *connection, bool reading)
{
	if (connection->closed || reading == connection->reading)
		return;
	connection->reading = reading;
	if (!reading)
		uv_read_stop(&connection->io.stream);
	else if (uv_read_start(&connection->io.stream, on_alloc, on_read))
		http__connection_close(connection);
}

/* Take up what was left unparsed when reading paused. */
static void resume_input(struct http_connection *connection)
{
	struct http_bytes input = connection->input;

	if (input.len > 0 && may_read(connection)) {
		memset(&connection->input, 0, sizeof(connection->input));
		take_input(connection, input.ptr, input.len);
		http_bytes_clear(&input);
	}
}

void http__connection_flush(struct http_connection *connection)
{
	/*
	 * An answer may be given from anywhere, so nobody is told of a broken
	 * connection from here: that waits for the sweep.
	 */
	if (connection->closed || connection->corked || connection->doomed)
		return;
	gather_answers(connection);
	if (connection->out.failed ||
		(connection->out.len > 0 && !connection->write_under_way &&
			write_out(connection))) {
		connection->doomed = true;
		return;
	}
	http__budget_hold(connection);
	if (connection->doomed)
		return;
	if (connection->closing && !connection->first &&
		!connection->write_under_way && connection->out.len == 0) {
		end_connection(connection);
		return;
	}
	resume_input(connection);
	if (connection->closed)
		return;
	/* A lingering connection is read to be emptied. */
	set_reading(connection, may_read(connection) || connection->lingering);
	set_deadline(connection);
}

/* ---- Reading. ---- */

static struct http_exchange *open_exchange(
	struct http_connection *connection, struct http_request *request)
{
	struct http_exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange) {
		http_request_clear(request);
		return NULL;
	}
	exchange->server = connection->server;
	http__server_ref(connection->server);
	exchange->connection = connection;
	exchange->held = true;
	exchange->request = *request;
	connection->server->room.used += request->memory_len;
	exchange->held_bytes = request->memory_len;
	connection->held_bytes += exchange->held_bytes;
	exchange->keep_alive = request->keep_alive;
	exchange->head = strcmp(request->method, "HEAD") == 0;
	if (connection->last)
		connection->last->next = exchange;
	else
		connection->first = exchange;
	connection->last = exchange;
	connection->exchanges_len++;
	return exchange;
}

/* Text for a JSON string: ours, but it may quote a stranger's bytes. */
static void add_json_text(struct http_bytes *bytes, const char *text)
{
	for (; *text; text++) {
		bool plain = *text >= 0x20 && *text < 0x7f && *text != '"' &&
			*text != '\\';

		http_bytes_add(bytes, plain ? text : "?", 1);
	}
}

/* Answer in the request's place, in order, and close after it. */
static void refuse(
	struct http_connection *connection, int status, const char *text)
{
	struct http_request nothing = {.method = "", .keep_alive = false};
	struct http_exchange *exchange = open_exchange(connection, &nothing);
	struct http_bytes body = {0};
	struct http_response response;

	if (!exchange) {
		http__connection_close(connection);
		return;
	}
	http_bytes_add(&body, "{\"error\":\"", 10);
	add_json_text(&body, text);
	http_bytes_add(&body, "\"}", 2);
	http_response_init(&response, status);
	http_response_header(&response, "Content-Type", "application/json");
	http_response_body(&response, body.ptr, body.len);
	connection->lingering = true;
	http_exchange_reply(exchange, &response);
	http_response_clear(&response);
	http_bytes_clear(&body);
}

static void send_continue(struct http_connection *connection)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	/* Behind unanswered requests it would be out of order; the client
	 * sends its body anyway after a while. */
	if (http_parser_take_continue(connection->parser) &&
		!connection->first) {
		http_bytes_add(&connection->out, text, sizeof(text) - 1);
		http__budget_add(connection, sizeof(text) - 1);
	}
}

static void take_input(
	struct http_connection *connection, const char *data, size_t len)
{
	bool outermost = !connection->corked;

	connection->corked = true;
	while (len > 0 && may_read(connection)) {
		struct http_request request;
		struct http_exchange *exchange;
		size_t used = 0;
		enum http_parse parse = http_parser_feed(
			connection->parser, data, len, &used, &request);

		data += used;
		len -= used;
		switch (parse) {
		case HTTP_PARSE_MORE:
			send_continue(connection);
			break;
		case HTTP_PARSE_REFUSED:
			refuse(connection,
				http_parser_status(connection->parser),
				http_parser_text(connection->parser));
			connection->closing = true;
			len = 0;
			break;
		case HTTP_PARSE_REQUEST:
			exchange = open_exchange(connection, &request);
			if (!exchange) {
				http__connection_close(connection);
				break;
			}
			connection->server->options.on_request(
				connection->server->options.user, exchange);
			break;
		}
	}
	if (len > 0 && !connection->closed && !connection->closing)
		http_bytes_add(&connection->input, data, len);
	if (connection->input.failed)
		http__connection_close(connection);
	if (!outermost)
		return;
	connection->corked = false;
	http__connection_flush(connection);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct http_connection *connection = stream->data;

	if (n == 0)
		return;
	if (n < 0) {
		/* Gone, or going: whoever half-closes gets no answer, so that
		 * a payment is never told to nobody. */
		http__connection_close(connection);
		return;
	}
	if (connection->lingering || connection->closing)
		return;
	/* Answered within this turn or not, it is the last to go now. */
	http__idle_set(connection, false);
	take_input(connection, buf->base, (size_t)n);
}

/* ---- Accept and drain. ---- */

static void read_peer(struct http_connection *connection)
{
	struct sockaddr_storage address;
	int len = sizeof(address);

	if (connection->server->options.unix_path) {
		memcpy(connection->peer, "unix", sizeof("unix"));
		return;
	}
	if (uv_tcp_getpeername(&connection->io.tcp,
		    (struct sockaddr *)(void *)&address, &len))
		return;
	if (address.ss_family == AF_INET6)
		uv_ip6_name((struct sockaddr_in6 *)(void *)&address,
			connection->peer, sizeof(connection->peer));
	else
		uv_ip4_name((struct sockaddr_in *)(void *)&address,
			connection->peer, sizeof(connection->peer));
}

static void link_connection(
	struct http_server *server, struct http_connection *connection)
{
	connection->next = server->connections;
	if (connection->next)
		connection->next->prev = connection;
	server->connections = connection;
	server->connections_len++;
}

void http__connection_accept(struct http_server *server)
{
	struct http_connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return;
	connection->server = server;
	connection->parser = http_parser_new(server->options.max_body_bytes);
	if (connection->parser)
		http_parser_share(connection->parser, &server->room);
	if (!connection->parser ||
		http__server_stream_init(server, &connection->io)) {
		http_parser_free(connection->parser);
		free(connection);
		return;
	}
	http__server_ref(server);
	connection->io.handle.data = connection;
	link_connection(server, connection);
	if (uv_accept(&server->listener.stream, &connection->io.stream) ||
		server->stopping || !http__idle_make_room(server)) {
		http__connection_close(connection);
		return;
	}
	read_peer(connection);
	if (!server->options.unix_path) /* slower without */
		(void)uv_tcp_nodelay(&connection->io.tcp, 1);
	set_reading(connection, true);
	set_deadline(connection);
}

void http__connection_drain(struct http_connection *connection)
{
	if (http__streams_end(connection))
		return;
	/* Answered before the drain began: its answer does not end it. */
	if (connection->due)
		http__connection_flush(connection);
	if (!connection->first && !connection->write_under_way &&
		connection->out.len == 0)
		http__connection_close(connection);
}

/* ---- Exchanges. ---- */

const struct http_request *http_exchange_request(
	const struct http_exchange *exchange)
{
	return &exchange->request;
}

void http_exchange_drop_body(struct http_exchange *exchange)
{
	http_request_drop_body(&exchange->request);
}

const char *http_exchange_peer(const struct http_exchange *exchange)
{
	return exchange->connection ? exchange->connection->peer : "";
}

void http_exchange_on_cancelled(struct http_exchange *exchange,
	void (*on_cancelled)(void *user), void *user)
{
	exchange->on_cancelled = on_cancelled;
	exchange->user = user;
}

void http_exchange_reply(
	struct http_exchange *exchange, const struct http_response *response)
{
	struct http_connection *connection = exchange->connection;
	struct http_response_framing framing = {.head = exchange->head};

	/* A second answer is our own bug. */
	assert(exchange->held && !exchange->replied && !exchange->streaming);
	exchange->replied = true;
	exchange->held = false;
	exchange->on_cancelled = NULL;
	if (!connection) {
		http__exchange_free(exchange);
		return;
	}
	if (connection->server->stopping)
		exchange->keep_alive = false;
	framing.keep_alive = exchange->keep_alive;
	framing.date = http__server_date(exchange->server);
	http_response_write(response, &framing, &exchange->answer);
	http__budget_add(connection, exchange->answer.len);
	/* The request is done with; only its answer may have to wait. */
	release_bytes(exchange);
	forget_request(exchange);
	http__connection_flush_soon(connection);
}
