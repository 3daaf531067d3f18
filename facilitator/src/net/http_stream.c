/*
 * Answers without a known length: begun, written piece by piece, ended by
 * their user or by a drain. The bytes take the way of any answer
 * (http_connection.c); a stream's exchange stays at the head of its queue until
 * the end.
 */
#include <assert.h>

#include "net/http_connection_p.h"

/* The answer is complete. Its exchange may be gone afterwards. */
static void finish_stream(struct http_exchange *exchange)
{
	size_t before = exchange->answer.len;

	exchange->replied = true;
	if (exchange->chunked && !exchange->head)
		http_response_chunks_end(&exchange->answer);
	http__budget_add(exchange->connection, exchange->answer.len - before);
	http__connection_flush_soon(exchange->connection);
}

bool http__streams_end(struct http_connection *connection)
{
	bool ended = false;
	struct http_exchange *exchange = connection->first;

	while (exchange && !connection->closed) {
		if (!exchange->streaming || exchange->replied) {
			exchange = exchange->next;
			continue;
		}
		/* Held by its user still, so it outlives finish_stream. */
		exchange->keep_alive = false;
		ended = true;
		finish_stream(exchange);
		http__exchange_tell_cancelled(exchange);
		exchange = connection->closed ? NULL : connection->first;
	}
	return ended;
}

bool http_exchange_stream_start(
	struct http_exchange *exchange, const struct http_response *head)
{
	struct http_connection *connection = exchange->connection;
	struct http_response_framing framing = {
		.head = exchange->head, .stream = true};

	assert(exchange->held && !exchange->replied && !exchange->streaming);
	exchange->streaming = true;
	if (!connection)
		return false;
	exchange->chunked = !exchange->request.http_1_0;
	if (connection->server->stopping || !exchange->chunked)
		exchange->keep_alive = false;
	framing.chunked = exchange->chunked;
	framing.keep_alive = exchange->keep_alive;
	framing.date = http__server_date(exchange->server);
	http_response_write(head, &framing, &exchange->answer);
	http__budget_add(connection, exchange->answer.len);
	/* A whole 500 went out in its place: nothing may follow. */
	if (head->spoiled || head->headers.failed) {
		exchange->chunked = false;
		exchange->replied = true;
	}
	http__connection_flush_soon(connection);
	return !exchange->replied && !exchange->head && exchange->connection &&
		!exchange->server->stopping;
}

/* How much of a stream its reader has left with us. */
static size_t unread(const struct http_exchange *exchange)
{
	const struct http_connection *connection = exchange->connection;

	return exchange->answer.len + connection->out.len +
		connection->writing.len;
}

bool http_exchange_stream_write(
	struct http_exchange *exchange, const void *data, size_t len)
{
	struct http_connection *connection = exchange->connection;
	size_t before;

	assert(exchange->held && exchange->streaming);
	if (!connection || exchange->replied || exchange->head ||
		connection->doomed)
		return false;
	if (unread(exchange) + len > HTTP_STREAM_UNSENT_MAX_BYTES)
		http__connection_flush(
			connection); /* it may be this turn's own */
	if (unread(exchange) + len > HTTP_STREAM_UNSENT_MAX_BYTES) {
		/* The sweep closes it: nothing calls back in here. */
		connection->doomed = true;
		return false;
	}
	before = exchange->answer.len;
	if (exchange->chunked)
		http_response_chunk(data, len, &exchange->answer);
	else
		http_bytes_add(&exchange->answer, data, len);
	http__budget_add(connection, exchange->answer.len - before);
	http__connection_flush_soon(connection);
	return true;
}

void http_exchange_stream_end(struct http_exchange *exchange)
{
	assert(exchange->held && exchange->streaming);
	exchange->held = false;
	exchange->on_cancelled = NULL;
	if (!exchange->connection)
		http__exchange_free(exchange);
	else if (!exchange->replied)
		finish_stream(exchange);
}
