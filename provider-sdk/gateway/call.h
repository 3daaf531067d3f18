/*
 * call.h: one request to an origin, by libcurl, with both bodies streaming.
 *
 *   gw_call_begin()   the request leaves; its body is asked for piece by piece
 *   on_head           the answer's header block is there
 *   on_content        its content, until somebody says false: not now
 *   gw_call_resume()  now
 *   on_end            over, well or not; gw_call_free() is still wanted
 *
 * Not for: deciding about requests (exchange.c), HTTP/2, redirects: what the
 * origin says is handed on as it is.
 * Thread rule: the loop's thread.
 */
#ifndef GW_CALL_H
#define GW_CALL_H

#include "../src/uv/transfers_p.h"

struct gw_call; /* opaque */

/* What gw_call's owner may say in on_want. */
#define GW_WANT_NONE_YET (-1) /* pause until gw_call_resume */
#define GW_WANT_BROKEN   (-2) /* there will be no more, and it was not all */

/* on_head, on_content and on_want come from within libcurl: set flags, copy
 * bytes, and call nothing of this header. */
struct gw_call_owner {
	void (*on_head)(void *user);
	/* False: take the same bytes back later. */
	bool (*on_content)(void *user, const char *data, size_t len);
	/* Write up to len bytes of the request's body; 0 is its end. */
	ptrdiff_t (*on_want)(void *user, char *data, size_t len);
	/* From the loop. */
	void (*on_end)(void *user, CURLcode code);
	void *user;
};

struct gw_call_options {
	const char *origin_url; /* Required: "http://127.0.0.1:9000" */
	const char *target;     /* Required: "/path?query" */
	const char *method;     /* Required */
	/* Required: Host and the rest; taken, also on failure. */
	struct curl_slist *headers;
	bool has_body;
	int64_t body_length; /* -1: in chunks */
	const char *ca_file; /* or NULL */
	long connect_timeout_ms;
};

/* Append "name: value". False when memory is out; the list stays. */
X402_MUST_USE bool gw_call_add_header(
	struct curl_slist **headers, const char *name, const char *value);

/* NULL when memory is out or libcurl refuses; nothing is called back then. */
struct gw_call *gw_call_begin(struct x402__transfers *transfers,
	const struct gw_call_options *options,
	const struct gw_call_owner *owner);
/* Not from within a callback; ends it when it is under way. NULL allowed. */
void gw_call_free(struct gw_call *call);

/* Go on with what was refused or not there yet. May call on_content and
 * on_want at once. */
void gw_call_resume_content(struct gw_call *call);
void gw_call_resume_want(struct gw_call *call);
/* Is content held back? */
bool gw_call_content_paused(const struct gw_call *call);

/* After on_head. */
unsigned gw_call_status(const struct gw_call *call);
/* Content-Length; -1 when it did not say. */
int64_t gw_call_length(const struct gw_call *call);
/* Each header, previous NULL for the first; NULL after the last. */
struct curl_header *gw_call_header(
	const struct gw_call *call, struct curl_header *previous);
/* The first of a name, or NULL. */
const char *gw_call_header_named(const struct gw_call *call, const char *name);

#endif
