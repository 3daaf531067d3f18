/*
 * oauth.h: a token of OAuth's client-credentials grant (RFC 6749, 4.4) for an
 * upstream that wants one: fetched once, kept for its lifetime, fetched again
 * a little before its end while the old one still serves.
 *
 *   gw_oauth_get()      what to do for a request
 *   gw_oauth_request()  the text of the question, where get says so
 *   gw_oauth_fetched()  what came back
 *   gw_oauth_refused()  the upstream did not take the token
 *
 * One question is on its way at a time; whoever comes meanwhile and has no
 * token waits for that one. After a failure there is a pause, which grows.
 *
 * Not for: sending; the token endpoint must be https, or on this machine.
 * Pure: time comes from outside, monotonic, in milliseconds.
 * Thread rule: one belongs to one thread. Secrets are in locked memory and
 * wiped with it; what gw_oauth_request writes is the caller's to wipe.
 */
#ifndef GATEWAY_OAUTH_H
#define GATEWAY_OAUTH_H

#include "x402/base.h"
#include "x402/error.h"

/* A JWT with many claims; header lines end at 8 KB in most servers. */
#define GW_OAUTH_TOKEN_MAX 6144
/* A fetch asks for a token once, an answer is a small object. */
#define GW_OAUTH_ANSWER_MAX ((size_t)64 * 1024)
/* RFC 6749 leaves it open what no expires_in means. */
#define GW_OAUTH_LIFE_S 300
/* What servers call for ever is asked for anew each day. */
#define GW_OAUTH_LIFE_MAX_S 86400

struct gw_oauth; /* opaque */

/* Copied; the secret into locked memory. */
struct gw_oauth_options {
	const char *client_id;     /* Required */
	const char *client_secret; /* Required */
	const char *scope;         /* Optional */
	/* Optional: the parameter of that name, which some servers want. */
	const char *audience;
	/* Where id and secret stand: the Authorization header, as RFC 6749
	 * wants it, or the body for servers that know only that. */
	bool secret_in_body;
	/* Optional, default 60: so long before its end it is fetched anew, at
	 * most half of its life. */
	uint32_t early_s;
};

/* INVALID_ARGUMENT (info says what), NOMEM. Free with gw_oauth_free. */
X402_MUST_USE enum x402_err gw_oauth_new(const struct gw_oauth_options *options,
	struct x402_errinfo *info, struct gw_oauth **ret_oauth);
/* Wipes. NULL allowed. */
void gw_oauth_free(struct gw_oauth *oauth);

enum gw_oauth_verdict {
	GW_OAUTH_TOKEN, /* use it */
	GW_OAUTH_WAIT,  /* one is being fetched; ask again when it has come */
	GW_OAUTH_FAILED /* there is none, and no hope before retry_ms */
};

struct gw_oauth_answer {
	enum gw_oauth_verdict verdict;
	/* The caller must begin a fetch now: gw_oauth_request(), and in the
	 * end gw_oauth_fetched(), always. With TOKEN, too. */
	bool fetch;
	/* TOKEN: "Bearer ..."; borrowed until the next fetched or refused. */
	const char *authorization;
	/* TOKEN: names it in gw_oauth_refused. */
	uint64_t serial;
	uint32_t retry_ms; /* FAILED */
};
void gw_oauth_get(struct gw_oauth *oauth, uint64_t now_ms,
	struct gw_oauth_answer *ret_answer);

/*
 * The question, for a POST with application/x-www-form-urlencoded. Appends the
 * value of Authorization (nothing with secret_in_body) and the body, in memory
 * reserved beforehand so that no copy is left behind. Call gw_oauth_wipe on
 * both. False when memory is out.
 */
X402_MUST_USE bool gw_oauth_request(const struct gw_oauth *oauth,
	struct x402_buf *authorization, struct x402_buf *body);
void gw_oauth_wipe(struct x402_buf *buf);

/*
 * What came back. transport other than X402_OK: nothing did. The body is
 * borrowed; wipe it. False when it is no token: info->text then says why, fit
 * for a log (no secret, no token, one line).
 */
bool gw_oauth_fetched(struct gw_oauth *oauth, enum x402_err transport,
	unsigned status, struct x402_span body, uint64_t now_ms,
	struct x402_errinfo *info);

/*
 * The upstream answered 401 to this token. It is dropped, if it still is the
 * one in use and is not brand new: a token that is refused at once will be
 * refused anew, and asking for another with each request would be a flood.
 */
void gw_oauth_refused(struct gw_oauth *oauth, uint64_t serial, uint64_t now_ms);

#endif
