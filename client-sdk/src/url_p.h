/*
 * url_p.h: URLs and their origins, private to the client.
 *
 * libcurl's own parser is used, so what is judged here is what libcurl will
 * connect to: two parsers that disagree are how requests go astray.
 */
#ifndef X402_CLIENT_URL_P_H
#define X402_CLIENT_URL_P_H

#include "x402/x402.h"

/*
 * Longest URL taken from a caller or a Location header: what servers and
 * proxies accept in a request line is 8 KiB.
 */
#define X402__URL_MAX_BYTES ((size_t)8192)

struct x402__http_url {
	char *text;  /* to send: without fragment */
	char *shown; /* to show: without userinfo too */
	char *host;
	unsigned port;
	bool secure; /* https */
};

/* http or https only. INVALID_ARGUMENT, TOO_LARGE, NOMEM. */
X402_MUST_USE enum x402_err x402__http_url_parse(
	const char *text, struct x402__http_url *ret_url);
/* NOMEM. */
X402_MUST_USE enum x402_err x402__http_url_copy(
	const struct x402__http_url *url, struct x402__http_url *ret_url);
/* A reference (Location, resource.url) as seen from base. */
X402_MUST_USE enum x402_err x402__http_url_resolve(
	const struct x402__http_url *base, const char *reference,
	struct x402__http_url *ret_url);
/* Scheme, host and port equal. */
bool x402__http_url_same_origin(
	const struct x402__http_url *a, const struct x402__http_url *b);
/* to is from's host over TLS, both on their default ports. */
bool x402__http_url_is_upgrade(
	const struct x402__http_url *from, const struct x402__http_url *to);
/* 127.0.0.0/8, [::1], localhost: nobody is in the middle. */
bool x402__http_url_is_loopback(const struct x402__http_url *url);
void x402__http_url_clear(struct x402__http_url *url);

#endif
