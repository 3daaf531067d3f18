/*
 * http_server.h: an HTTP/1.1 server on one libuv loop.
 *
 * Keep-alive and pipelining: answers leave in the order of their requests,
 * whenever they are made. A connection that has too much unanswered or unsent
 * is not read from. Every wait has a deadline.
 *
 * Not for: TLS (a connection reads and writes through one place,
 * http_connection.c), routing (its users do that).
 *
 * Thread rule: a server and its exchanges belong to the loop's thread. For
 * several threads, one server each on the same port with reuse_port.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "net/http_request.h"
#include "net/http_response.h"

struct uv_loop_s;
struct http_server;
struct http_exchange; /* one request and the place for its answer */

struct http_server_options {
	struct uv_loop_s *loop; /* Required, must outlive the server */
	const char *host;       /* an IPv4 or IPv6 address, or... */
	const char *unix_path;  /* ...a socket file, for this user alone */
	uint16_t port;          /* 0 takes a free one */
	bool reuse_port;        /* several servers on one port */
	size_t max_body_bytes;  /* 0: HTTP_BODY_MAX_BYTES */
	/* 0: 10,000. Beyond it the one that was idle for longest is closed. */
	size_t max_connections;
	/*
	 * Answers that all clients together leave unread. Above it who leaves
	 * much of them is closed. 0: no limit, for those whose answers are
	 * what was paid for.
	 */
	size_t max_unsent_bytes;
	/*
	 * Requests that are arriving or not answered yet, of all clients
	 * together. Above it a body of more than HTTP_BODY_FAIR_BYTES gets 503.
	 * 0: no limit.
	 */
	size_t max_gathered_bytes;
	/* Deadlines in ms; 0 takes the default. */
	uint64_t headers_timeout_ms; /* 10,000: first byte to header end */
	uint64_t body_timeout_ms;    /* 30,000: header end to last byte */
	uint64_t idle_timeout_ms;    /* 60,000: between requests */
	uint64_t write_timeout_ms;   /* 30,000: without any progress */
	/*
	 * Required. Answer now or later, exactly once; never answering keeps
	 * the connection and its memory.
	 */
	void (*on_request)(void *user, struct http_exchange *exchange);
	void *user;
};
#define HTTP_SERVER_OPTIONS_INIT \
	{                        \
		0                \
	}

/*
 * Bind and listen. 0, or a negative libuv error (ret_server untouched). A
 * socket file that nobody listens on any more is replaced; it is removed by
 * http_server_stop. Free with http_server_free.
 */
int http_server_start(const struct http_server_options *options,
	struct http_server **ret_server);
/* 0 on a socket file. */
uint16_t http_server_port(const struct http_server *server);
/* Stop accepting, finish what was begun, then call done, never from here. */
void http_server_drain(
	struct http_server *server, void (*done)(void *user), void *user);
/*
 * Close everything. Exchanges that are unanswered stay valid until they are
 * replied to; the reply goes nowhere.
 */
void http_server_stop(struct http_server *server);
/*
 * Stop and give up the handle; memory goes when the loop has closed the last
 * connection and the last exchange was replied to. NULL allowed.
 */
void http_server_free(struct http_server *server);

/*
 * Valid until the reply, or the end of a stream; the body until it is dropped.
 */
const struct http_request *http_exchange_request(
	const struct http_exchange *exchange);
/*
 * Its body has been read and is not needed any more. It still counts among what
 * is unanswered, because what was made of it is there.
 */
void http_exchange_drop_body(struct http_exchange *exchange);
/* The client's address as text, or "unix"; "" when it is gone. */
const char *http_exchange_peer(const struct http_exchange *exchange);
/*
 * Called at most once when the client goes away before the reply. The
 * exchange stays valid and still wants its one reply, which goes nowhere.
 */
void http_exchange_on_cancelled(struct http_exchange *exchange,
	void (*on_cancelled)(void *user), void *user);
/*
 * Answer. The exchange and its request are gone when this returns. response
 * stays the caller's to clear.
 */
void http_exchange_reply(
	struct http_exchange *exchange, const struct http_response *response);

/*
 * Answers without a known length, such as server-sent events: start, any
 * number of writes, end. In place of http_exchange_reply, not beside it.
 *
 * Nothing here calls back. Between start and end the exchange is the
 * caller's, whatever happens to the client; on_cancelled says so once: the
 * client has left, read too slowly, or the server is draining and has ended
 * the answer by itself. Forgetting the end keeps the exchange's memory.
 *
 * What a client may leave unread before it is cut off: more than that and
 * many slow readers would fill the memory.
 */
#define HTTP_STREAM_UNSENT_MAX_BYTES ((size_t)64 * 1024)

/*
 * Send the head; its body member is not used. True when somebody reads on.
 * False: nobody will (the client has left, asked HEAD, or the server is
 * stopping), so write at most what is ready and end it.
 */
bool http_exchange_stream_start(
	struct http_exchange *exchange, const struct http_response *head);
/*
 * Send some bytes; they are copied. An idle connection that should not be
 * taken for a dead one is kept up by the caller (SSE: a comment line). False:
 * they went nowhere, and so will all others.
 */
bool http_exchange_stream_write(
	struct http_exchange *exchange, const void *data, size_t len);
/* The exchange and its request are gone when this returns. */
void http_exchange_stream_end(struct http_exchange *exchange);

#endif
