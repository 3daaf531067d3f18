/*
 * What http_server.c (accepting, deadlines, life and death) and
 * http_connection.c (bytes and exchanges) know of each other.
 */
#ifndef NET_HTTP_SERVER_P_H
#define NET_HTTP_SERVER_P_H

#include <uv.h>

#include "net/http_server.h"

#define HTTP_READ_BUFFER_BYTES ((size_t)64 * 1024)
#define HTTP_PEER_SIZE         64

struct http_connection;

struct http_server {
	struct http_server_options options;
	uv_tcp_t listener;
	uv_timer_t sweep;
	struct http_connection *connections; /* doubly linked */
	size_t connections_len;
	uint16_t port;
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
/* The current Date, formatted once a second. */
const char *http__server_date(struct http_server *server);
/* A connection is closed: drain may be over. */
void http__server_connection_closed(struct http_server *server);

/* Accept from the listener. Failure closes quietly. */
void http__connection_accept(struct http_server *server);
/* Close at once; exchanges hear of it. */
void http__connection_close(struct http_connection *connection);
/* Draining: close if nothing is under way, else after the last answer. */
void http__connection_drain(struct http_connection *connection);
/* Deadlines. */
void http__connection_sweep(struct http_connection *connection, uint64_t now);
struct http_connection *http__connection_next(
	struct http_connection *connection);

#endif
