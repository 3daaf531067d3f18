/*
 * What http_server.c (accepting, deadlines, life and death) and
 * http_connection.c (bytes and exchanges) know of each other. What the files of
 * one connection share is in http_connection_p.h.
 */
#ifndef NET_HTTP_SERVER_P_H
#define NET_HTTP_SERVER_P_H

#include <uv.h>

#include "net/http_server.h"

#define HTTP_READ_BUFFER_BYTES ((size_t)64 * 1024)
#define HTTP_PEER_SIZE         64

struct http_connection;

/* A listener or a connection: of either family, a stream all the same. */
union http_stream {
	uv_handle_t handle;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
};

struct http_server {
	struct http_server_options options;
	union http_stream listener;
	uv_timer_t sweep;
	uv_prepare_t turn_end; /* runs while anything is due */
	struct http_connection *first_due;
	struct http_connection *last_due;
	struct http_connection *connections; /* doubly linked */
	struct http_connection *first_idle;  /* the longest idle one */
	struct http_connection *last_idle;
	size_t connections_len;
	size_t unsent;         /* bytes of answers, of all connections */
	struct http_room room; /* requests that arrive or wait */
	uint16_t port;
	char *unlink_path; /* our socket file */
	bool stopping;
	bool listener_closed;
	void (*drained)(void *user);
	void *drained_user;
	/* Open handles, live exchanges, and one for the owner. */
	size_t refs;
	/* One buffer serves all: a read is parsed before the next begins. */
	char read_buffer[HTTP_READ_BUFFER_BYTES];
	char date[40];
	time_t date_at;
};

void http__server_ref(struct http_server *server);
void http__server_unref(struct http_server *server);
/* Make a handle of the family that the server listens on. */
int http__server_stream_init(
	struct http_server *server, union http_stream *stream);
/* Have http__connection_flush_due called before the loop waits. */
void http__server_flush_soon(struct http_server *server);
/* The current Date, formatted once a second. */
const char *http__server_date(struct http_server *server);
/* A connection is closed: drain may be over. */
void http__server_connection_closed(struct http_server *server);

/* Accept from the listener. Failure closes quietly. */
void http__connection_accept(struct http_server *server);
/* Close at once; exchanges hear of it. */
void http__connection_close(struct http_connection *connection);
/* Write the answers that are due, connection by connection. */
void http__connection_flush_due(struct http_server *server);
/* Draining: close if nothing is under way, else after the last answer. */
void http__connection_drain(struct http_connection *connection);
/* Deadlines. */
void http__connection_sweep(struct http_connection *connection, uint64_t now);
struct http_connection *http__connection_next(
	struct http_connection *connection);

#endif
