/*
 * tunnel.h: an upgraded connection (WebSocket) to an origin: bytes in both
 * directions once the origin has agreed with 101.
 *
 *   gw_tunnel_begin()  connect, send the request's head
 *   on_head            its answer's head is here
 *   gw_tunnel_send()   bytes of the client
 *   on_data            bytes of the origin, until gw_tunnel_read(false)
 *   on_end             the origin is gone, or never was there
 *
 * Not for: what is in the frames.
 * Thread rule: the loop's thread. No callback comes from within a call.
 */
#ifndef GW_TUNNEL_H
#define GW_TUNNEL_H

#include "../src/uv/transfers_p.h"
#include "net/http_request.h"

struct gw_tunnel; /* opaque */

/* An origin's head of 101: the lines of a handshake and some cookies. */
#define GW_TUNNEL_HEAD_MAX ((size_t)16 * 1024)
/* More than this unsent to the origin is too much. */
#define GW_TUNNEL_UNSENT_MAX ((size_t)256 * 1024)

struct gw_tunnel_owner {
	/* Its status; 0: not HTTP. The tunnel reads on after gw_tunnel_read. */
	void (*on_head)(void *user, unsigned status);
	void (*on_data)(void *user, const char *data, size_t len);
	/* What was above GW_TUNNEL_UNSENT_MAX has left. */
	void (*on_writable)(void *user);
	void (*on_end)(void *user);
	void *user;
};

struct gw_tunnel_options {
	uv_loop_t *loop;
	struct x402__transfers *transfers;
	const char *origin_url;
	const char *ca_file; /* or NULL */
	long connect_timeout_ms;
	/* Copied: "GET / HTTP/1.1\r\n...\r\n\r\n". */
	struct x402_span head;
};

/* NULL when memory is out or libcurl refuses. */
struct gw_tunnel *gw_tunnel_begin(const struct gw_tunnel_options *options,
	const struct gw_tunnel_owner *owner);
/* At once; no callback comes afterwards. Let the loop run on. NULL allowed. */
void gw_tunnel_close(struct gw_tunnel *tunnel);

/* The index-th header of the answer; false behind the last. */
bool gw_tunnel_header(const struct gw_tunnel *tunnel, size_t index,
	struct http_header *ret_header);
void gw_tunnel_send(struct gw_tunnel *tunnel, const char *data, size_t len);
bool gw_tunnel_congested(const struct gw_tunnel *tunnel);
/* Not at first. */
void gw_tunnel_read(struct gw_tunnel *tunnel, bool reading);

#endif
