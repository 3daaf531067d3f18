/*
 * transport.h: a client's bytes, clear or through TLS, on a libuv loop.
 *
 * Not for: HTTP (client.c).
 * Thread rule: the loop's thread. TLS handshakes run on libuv's pool.
 */
#ifndef GW_TRANSPORT_H
#define GW_TRANSPORT_H

#include <uv.h>

#include "tls.h"

/* More than this unsent is too much: the sender should pause... */
#define GW_TRANSPORT_HIGH_BYTES ((size_t)256 * 1024)
/* ...until so much is left. */
#define GW_TRANSPORT_LOW_BYTES ((size_t)64 * 1024)
/* One buffer serves all reads of a loop. */
#define GW_TRANSPORT_READ_BYTES ((size_t)64 * 1024)

struct gw_transport; /* opaque */

/* None of them comes from within gw_transport_write. After on_ended, which
 * comes once, none comes any more; gw_transport_close is still wanted. */
struct gw_transport_owner {
	void (*on_data)(void *user, const char *data, size_t len);
	/* What was above HIGH is below LOW. */
	void (*on_writable)(void *user);
	/* The client has gone, or half of it, or broke the protocol. */
	void (*on_ended)(void *user);
	void *user;
};

/*
 * Accept one connection; it does not read yet. tls: NULL for none.
 * read_buffer is the loop's, of GW_TRANSPORT_READ_BYTES. NULL when it cannot
 * be accepted.
 */
struct gw_transport *gw_transport_accept(uv_stream_t *listener,
	struct gw_tls *tls, char *read_buffer,
	const struct gw_transport_owner *owner);
/* At once, whatever is unsent; no callback comes afterwards. */
void gw_transport_close(struct gw_transport *transport);

/* May call on_data with what is there already: not from where that would be a
 * surprise. */
void gw_transport_read(struct gw_transport *transport, bool reading);
/* Bytes are copied, or sent at once. */
void gw_transport_write(
	struct gw_transport *transport, const void *data, size_t len);
/* Nothing more will be written: send the rest, then say so to the client. The
 * owner still closes. */
void gw_transport_end(struct gw_transport *transport);
/* What the client has left with us. */
size_t gw_transport_unsent(const struct gw_transport *transport);
/* Loop time at which bytes last left, or were first in the way. */
uint64_t gw_transport_progress(struct gw_transport *transport);
/* A write has failed; on_ended will not say so by itself. */
bool gw_transport_broken(const struct gw_transport *transport);
/* The other end's address as text, without a port. */
bool gw_transport_peer(
	const struct gw_transport *transport, char *text, size_t size);

#endif
