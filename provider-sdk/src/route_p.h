/*
 * route_p.h: request paths in one canonical form, and the patterns they are
 * matched against. Private to the provider SDK.
 *
 * Every way round a paywall that the ecosystem has seen (demands.md P3, attack
 * 33) was a path that the gate read in one way and the server behind it in
 * another. So a path is read here strictly, as the protocol's rule has it (x402
 * P-112), and in every way in which more forgiving servers might. The gate lets
 * nothing through on which two readings choose different routes.
 *
 * Thread rule: pure functions; a compiled pattern is constant once made.
 */
#ifndef X402_PROVIDER_ROUTE_P_H
#define X402_PROVIDER_ROUTE_P_H

#include "x402/x402.h"

/* A request line of the servers we sit in is at most 8 KiB; so is a target. */
#define X402__TARGET_MAX 8192
/* Patterns are typed by people; matching costs pattern times path. */
#define X402__PATTERN_MAX 512
/* Rounds of percent-decoding in the other readings: what a chain of proxies,
 * server and framework could do, and some. */
#define X402__DECODE_ROUNDS 8

struct x402__path {
	char *strict;    /* owned: canonical path, "/" at least */
	const char *raw; /* borrowed from the target: path and query as sent */
	size_t raw_len;  /* up to '#', for the resource's URL */
	const char *query; /* borrowed, without '?'; NULL when there is none */
	size_t query_len;
};

/*
 * Read a raw request target (origin-form or absolute-form). SYNTAX when it
 * cannot be normalised: no path, a byte outside visible ASCII, a broken or
 * NUL escape, decoded bytes that are no UTF-8. TOO_LARGE, NOMEM. The target
 * must outlive the result; release with clear.
 */
X402_MUST_USE enum x402_err x402__path_read(
	struct x402_span target, struct x402__path *ret_path);
void x402__path_clear(struct x402__path *path);
/*
 * Does everything agree that a server may make of the path: after each round of
 * decoding, '\\' a '/', without ";parameters" and blanks, and with a decoded
 * '?' or '#' as a byte or as the end? False also when an escape turns out to be
 * a NUL, and when memory is out. The target must still be there.
 */
bool x402__path_readings_agree(const struct x402__path *path,
	bool (*agrees)(void *user, const char *reading), void *user);

struct x402__pattern {
	char *text;      /* owned, as it was given */
	char *method;    /* owned, "GET"; NULL for any */
	char *path;      /* owned, as written */
	uint16_t *items; /* owned: bytes and the two marks below */
	size_t items_len;
	bool plain; /* no wildcard: one comparison decides */
};
#define X402__ITEM_ANY   0x100 /* zero or more bytes, '/' too */
#define X402__ITEM_PARAM 0x101 /* one or more bytes other than '/' */

/*
 * "GET /articles/[slug]", "/api/:id", "/files/" and a star (P-110). SYNTAX with
 * a text in info, TOO_LARGE, NOMEM. Clear the result.
 */
X402_MUST_USE enum x402_err x402__pattern_compile(const char *text,
	struct x402_errinfo *info, struct x402__pattern *ret_pattern);
void x402__pattern_clear(struct x402__pattern *pattern);

/* Does the whole path match, ASCII case ignored (P-111)? Never recurses. */
bool x402__pattern_matches(
	const struct x402__pattern *pattern, const char *path);

/* HEAD counts as GET: it is the same resource. */
bool x402__pattern_method_matches(
	const struct x402__pattern *pattern, const char *method);

/*
 * The value of a parameter that fills a segment, as a span into path; false
 * when the pattern has no such parameter or a '*' stands before it.
 */
bool x402__pattern_param(const struct x402__pattern *pattern, const char *path,
	const char *name, struct x402_span *ret_value);

#endif
