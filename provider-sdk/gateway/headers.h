/*
 * headers.h: which headers cross the gateway, and as what. Pure.
 *
 * To the origin: what the client sent, without what is for one hop, what is
 * for the gate, and what could make an origin read another request than the
 * gate did; then who the client is (X-Forwarded-*), and the operator's own.
 * To the client: what the origin answered, without what is for one hop and
 * what speaks for the gate.
 *
 * Not for: the bytes of a message, which libcurl and net/ frame anew.
 * Thread rule: pure functions.
 */
#ifndef GW_HEADERS_H
#define GW_HEADERS_H

#include "net/http_request.h"
#include "x402/provider.h"

/* "Name: value" lines; the value may be empty. */
typedef bool gw_take_header(void *user, const char *name, const char *value);

struct gw_forward {
	const struct http_request *request; /* Required */
	const char *peer;                   /* Required: address, as text */
	/* The peer is a proxy of ours: its X-Forwarded-* count. */
	bool peer_trusted;
	const char *client; /* Required: who the gate takes it for; may be "" */
	/* "https://shop.example" or NULL: from the peer, or from Host. */
	const char *public_origin;
	bool tls;         /* the client came through TLS */
	const char *host; /* Required: for the origin's Host */
	/* The origin is shown payments. */
	bool forward_payment;
	const char *request_id; /* or NULL */
	/* What the gate found out, for X402-Access and X402-Payer; or NULL. */
	const char *access;
	const char *payer;
	/* The operator's own, "Name: value"; they replace the client's. */
	char *const *own;
	size_t own_len;
	/* "Bearer ..." in place of the client's Authorization; or NULL. */
	const char *authorization;
};

/* Give every header for the origin to take, in order. False when take was. */
bool gw_headers_to_origin(
	const struct gw_forward *forward, gw_take_header *take, void *user);

/*
 * May this header of an origin's answer go to the client? connection is the
 * answer's Connection header(s) joined by commas, or NULL.
 */
bool gw_header_to_client(const char *name, const char *connection);

/* Is token, without regard to case, one of a comma-separated list? */
bool gw_list_has(const char *list, const char *token);
/* Does a request ask for a protocol of another kind, "websocket"? */
bool gw_wants_upgrade(const struct http_request *request, const char *protocol);

/*
 * An origin's Location as buyers can follow it: what begins with the origin's
 * own address begins with the public one then. NULL: it can go as it is; else
 * from malloc.
 */
char *gw_location(const char *location, const char *origin_url,
	const char *public_origin);

#endif
