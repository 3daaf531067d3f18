/*
 * http_p.h: POST a body and get a bounded answer, on libcurl's multi
 * interface over a libuv loop. For chain/ and for ops/hooks.c.
 */
#ifndef FAC_CHAIN_HTTP_P_H
#define FAC_CHAIN_HTTP_P_H

#include "x402/base.h"
#include "x402/error.h"

struct fac_loop;
struct fac_http;
struct fac_http_post; /* one request under way */

/* A batch of 100 receipts of full multicalls stays far below. */
#define FAC_HTTP_ANSWER_MAX ((size_t)16 * 1024 * 1024)

struct fac_http_answer {
	bool cancelled;
	long status;           /* 0: no HTTP answer at all */
	long retry_after_s;    /* 0: not said */
	struct x402_span body; /* borrowed */
	const char *error;     /* why status is 0; "" otherwise */
	bool too_large;        /* ... it exceeded answer_max */
	bool timed_out;        /* ... its time was over */
};

X402_MUST_USE enum x402_err fac_http_new(
	struct fac_loop *loop, struct fac_http **ret_http);
/* Posts under way are answered with cancelled. */
void fac_http_free(struct fac_http *http);
/*
 * url and body are borrowed until done has run, or until the cancel. done
 * runs later, once. What is returned is for fac_http_cancel only.
 */
struct fac_http_post *fac_http_post(struct fac_http *http, const char *url,
	struct x402_span body, uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_http_answer *answer),
	void *user);

/* A post with more to say. Strings and body: borrowed until done has run. */
#define FAC_HTTP_HEADERS_MAX 4
struct fac_http_request {
	const char *url;                           /* Required */
	struct x402_span body;                     /* JSON */
	uint32_t timeout_ms;                       /* Required */
	size_t answer_max;                         /* 0: FAC_HTTP_ANSWER_MAX */
	const char *headers[FAC_HTTP_HEADERS_MAX]; /* "Name: value", or NULL */
};
struct fac_http_post *fac_http_send(struct fac_http *http,
	const struct fac_http_request *request,
	void (*done)(void *user, const struct fac_http_answer *answer),
	void *user);
/* done will not run. Only before it has run, or from inside another's. */
void fac_http_cancel(struct fac_http_post *post);

#endif
