/*
 * provider_uv.h: a whole HTTP/1.1 server that sells, on a libuv loop of the
 * program's: the gate (provider.h), the project's own server, and libcurl's
 * multi interface for the facilitator. Nothing in it blocks the loop.
 *
 *   x402_uv_server_new()    binds; the port is known from here on
 *   x402_uv_server_start()  price list and handlers; requests may come
 *   uv_run()
 *   x402_uv_server_drain()  no new requests; those under way are finished
 *   x402_uv_server_free()   after the loop has nothing left to do
 *
 * or all of it in one call, x402_uv_run().
 *
 * The n-th handler serves the n-th route of the price list, and only that, so
 * that what is served is what was matched and paid for.
 *
 * Not for: other servers on the same loop; use the gate there.
 * Thread rule: everything here belongs to the loop's thread.
 */
#ifndef X402_PROVIDER_UV_H
#define X402_PROVIDER_UV_H

#include <uv.h>

#include "x402/provider.h"

#ifdef __cplusplus
extern "C" {
#endif

struct x402_uv_server;  /* opaque */
struct x402_uv_request; /* opaque: valid until it is replied to */

struct x402_uv_options {
	/* Required: must outlive the server. */
	uv_loop_t *loop;
	/* Optional, default "127.0.0.1"; an address, not a name. */
	const char *host;
	/* 0 takes a free one. */
	uint16_t port;
	/*
	 * Optional, default 262144: longest request body; above it 413. All
	 * that are here at once fill 64 MiB at most; then a body of more than
	 * 16 KiB gets 503.
	 */
	size_t body_max;
	/* Optional, default 4096 connections at once. */
	size_t connections_max;
	/*
	 * Optional: the name server that is asked for the names of crawlers
	 * with hosts (x402_provider_crawler), "192.0.2.53:53" or "[::1]:53";
	 * NULL: the first one of /etc/resolv.conf. Asked over UDP, and only
	 * about who says to be such a crawler.
	 */
	const char *resolver;
};

/* How a route is served. */
struct x402_uv_handler {
	/*
	 * Required: answer with x402_uv_reply, at once or later, once. Also
	 * asked for methods that the route does not name: see
	 * x402_gate_method_matches.
	 */
	void (*serve)(void *user, struct x402_uv_request *request);
	void *user;
};

/* INVALID_ARGUMENT, NOMEM, NETWORK (info says why it cannot listen), INTERNAL
 * (libcurl). info may be NULL. Run the loop once more after a failure too: what
 * was opened is closed by it. */
X402_API X402_MUST_USE enum x402_err x402_uv_server_new(
	const struct x402_uv_options *options, struct x402_errinfo *info,
	struct x402_uv_server **ret_server);
/* The port it is bound to. */
X402_API uint16_t x402_uv_server_port(const struct x402_uv_server *server);
/*
 * handlers is copied, one for each route of the provider's options;
 * INVALID_ARGUMENT when their numbers differ or one is missing, NOMEM. The
 * provider must outlive the server. What matches no route is a 404.
 */
X402_API X402_MUST_USE enum x402_err x402_uv_server_start(
	struct x402_uv_server *server, struct x402_provider *provider,
	const struct x402_uv_handler *handlers, size_t handlers_len);
/*
 * Stop accepting, finish every request, a settlement under way above all, and
 * let the loop run out. While a stream goes on, which has been paid for, new
 * requests get 503. Calling it again does nothing.
 */
X402_API void x402_uv_server_drain(struct x402_uv_server *server);
/* Only before start, or when the loop has run out after drain. NULL allowed. */
X402_API void x402_uv_server_free(struct x402_uv_server *server);

/* ---- A whole program. ---- */

struct x402_uv_program {
	const char *host; /* as in x402_uv_options */
	uint16_t port;
	size_t body_max;
	/* Required. Without a public_origin buyers on this machine see
	 * http://127.0.0.1 and the port; where host is another address, a
	 * public_origin is required as ever. */
	const struct x402_provider_options *shop;
	/* Required: one for each of its routes. */
	const struct x402_uv_handler *handlers;
	/* Optional: it listens. */
	void (*on_listening)(void *user, uint16_t port);
	void *user;
};

/*
 * Sell until TERM or INT, then finish what was begun: a loop, a server, a price
 * list, and this call returns. What those can give; info (may be NULL) says
 * what is wrong and where. The process ignores SIGPIPE from here on. Not for
 * programs that have a loop of their own: see above.
 */
X402_API X402_MUST_USE enum x402_err x402_uv_run(
	const struct x402_uv_program *program, struct x402_errinfo *info);

/* ---- For handlers. ---- */

X402_API const char *x402_uv_request_method(
	const struct x402_uv_request *request);
/* The canonical path that was matched. */
X402_API const char *x402_uv_request_path(
	const struct x402_uv_request *request);
/* Without '?', as it was sent; "" when there is none. */
X402_API const char *x402_uv_request_query(
	const struct x402_uv_request *request);
/* The whole body. */
X402_API struct x402_span x402_uv_request_body(
	const struct x402_uv_request *request);
/* A header's only value; NULL when it is absent or came twice. */
X402_API const char *x402_uv_request_header(
	const struct x402_uv_request *request, const char *name);
/* The server's, for timers and the like. */
X402_API uv_loop_t *x402_uv_request_loop(const struct x402_uv_request *request);
/* Parameters, payer, amount: see provider.h. */
X402_API const struct x402_gate *x402_uv_request_gate(
	const struct x402_uv_request *request);

struct x402_uv_response {
	/* Required; 0 is a failure (500, nothing is settled). */
	unsigned status;
	/* Optional; names in any case. Content-Length and Connection are the
	 * server's own. Settlement-Overrides: {"amount": "..."} says what is
	 * charged for an offer of upto, and is not sent. */
	const struct x402_gate_header *headers;
	size_t headers_len;
	struct x402_span body;
};

/*
 * Answer. Everything is copied; of a sold route it is kept back until the
 * money has moved, and thrown away when it does not. The request is gone
 * afterwards.
 */
X402_API void x402_uv_reply(struct x402_uv_request *request,
	const struct x402_uv_response *response);

/*
 * Answer in parts, where the end is not known yet: in place of x402_uv_reply.
 * head is a response without its body. The money moves first (P-144), so for
 * an offer of upto the head must say all that the stream will cost: what a
 * handler finds out while it writes cannot be charged any more.
 *
 * on_open is called once, never within this call: with the request when the
 * head has left, for as many writes as there are and one end; with NULL when
 * nothing was sold, or nobody is there any more: the request is gone then.
 */
X402_API void x402_uv_reply_stream(struct x402_uv_request *request,
	const struct x402_uv_response *head,
	void (*on_open)(void *user, struct x402_uv_request *request),
	void *user);
/*
 * Some bytes, copied. False: nobody reads them; go on to the end. A client that
 * leaves more than 64 KiB unread is cut off.
 */
X402_API bool x402_uv_stream_write(
	struct x402_uv_request *request, struct x402_span bytes);
/* The request is gone afterwards. */
X402_API void x402_uv_stream_end(struct x402_uv_request *request);

#ifdef __cplusplus
}
#endif
#endif
