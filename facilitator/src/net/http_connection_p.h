/*
 * http_connection_p.h: a connection and its exchanges, as the files know them
 * that work on one. Private to net/:
 *   http_connection.c  its bytes, its requests and their answers
 *   http_stream.c      answers that come in pieces
 *   http_idle.c        who idles makes room
 *   http_budget.c      what readers leave unread is bounded
 *
 * Thread rule: the loop's thread.
 */
#ifndef NET_HTTP_CONNECTION_P_H
#define NET_HTTP_CONNECTION_P_H

#include "net/http_server_p.h"

struct http_exchange {
	struct http_server *server;         /* counted */
	struct http_connection *connection; /* NULL: the client is gone */
	struct http_exchange *next;         /* in order of arrival */
	struct http_request request;
	size_t held_bytes; /* of the request, in connection->held_bytes */
	struct http_bytes answer;
	bool held;      /* its user will still answer, or end the stream */
	bool streaming; /* begun; parts of the answer may leave */
	bool replied;   /* the answer is complete */
	bool chunked;
	bool keep_alive;
	bool head;
	void (*on_cancelled)(void *user);
	void *user;
};

struct http_connection {
	struct http_server *server;
	struct http_connection *prev;
	struct http_connection *next;
	struct http_connection *next_due; /* in the server's list of these */
	struct http_connection *prev_idle;
	struct http_connection *next_idle;
	bool idle; /* between requests; in the server's list of these */
	bool due;  /* has answers to flush */
	union http_stream io;
	struct http_parser *parser;
	enum http_phase phase;
	struct http_exchange *first; /* oldest unanswered */
	struct http_exchange *last;
	size_t exchanges_len;
	size_t held_bytes;       /* of requests that are not answered */
	struct http_bytes input; /* read, but not parsed while paused */
	struct http_bytes out;   /* answers, not yet given to the kernel */
	struct http_bytes writing;
	size_t written; /* bytes of writing that the kernel took at once */
	size_t unsent;  /* of all its answers, begun or not */
	uv_write_t write;
	uv_shutdown_t shutdown;
	bool write_under_way;
	bool reading;
	bool corked;  /* inside take_input: answers are gathered */
	bool closing; /* no more requests; close when all is sent */
	bool lingering;
	/* Broken, or its reader too slow: the sweep closes it. */
	bool doomed;
	bool closed;
	uint64_t deadline; /* loop ms; 0: none */
	char peer[HTTP_PEER_SIZE];
};

/* ---- http_connection.c ---- */

/* Send what is due, or do so at the end of the turn. */
void http__connection_flush(struct http_connection *connection);
void http__connection_flush_soon(struct http_connection *connection);
/* Its user learns that nobody reads on; at most once. */
void http__exchange_tell_cancelled(struct http_exchange *exchange);
/* When queue and user have both let go. */
void http__exchange_free(struct http_exchange *exchange);

/* ---- http_stream.c ---- */

/*
 * Draining: a stream has no end of its own, so it is given one and its user
 * told. True when there was any: the connection may be closed then.
 */
bool http__streams_end(struct http_connection *connection);

/* ---- http_idle.c ---- */

/*
 * Begin or end its being idle. One that ends and begins anew is the last to go;
 * one that was idle before stays in its place.
 */
void http__idle_set(struct http_connection *connection, bool idle);
/*
 * Is there room for the connections there are? Where there is not, the one that
 * was idle for longest is closed first.
 */
bool http__idle_make_room(struct http_server *server);

/* ---- http_budget.c ---- */

/* Bytes for the client were made. Nothing calls back in here. */
void http__budget_add(struct http_connection *connection, size_t len);
/* The kernel took them, or nobody will. No more than were added. */
void http__budget_take(struct http_connection *connection, size_t len);
/* Doom it when all have left too much unread and it more than its share. */
void http__budget_hold(struct http_connection *connection);

#endif
