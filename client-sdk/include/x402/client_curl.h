/*
 * client_curl.h: paying around libcurl handles of your own, one at a time or
 * thousands on one thread.
 *
 * Set up a handle as you always do, and call x402_client_perform() where you
 * called curl_easy_perform(). libcurl does not tell what callbacks and headers
 * a handle has, so those are said once more in struct x402_client_easy; it
 * replaces them while it works and puts them back at the end.
 *
 * Your write callback sees the body of the final answer only: never that of a
 * 402, of a redirect that is followed, or of an answer that is tried again.
 *
 * The client sets these on your handle and leaves them set: CURLOPT_TIMEOUT_MS
 * (the deadline of the call), CURLOPT_FOLLOWLOCATION 0, CURLOPT_PROTOCOLS_STR
 * "http,https", CURLOPT_NOSIGNAL. It uses CURLOPT_PREREQFUNCTION, and resets
 * it. All else is yours: proxy, TLS, cookies, HTTP version.
 *
 * Redirects: followed before paying, up to max_redirects, within one origin
 * and to its https form, when the method stays the same. Any other redirect
 * is the final answer: the handle may carry credentials that the client
 * cannot see.
 *
 * Thread rule: as in client.h; a multi belongs to the thread of its client.
 * Where next: examples/crawler/crawler.c.
 */
#ifndef X402_CLIENT_CURL_H
#define X402_CLIENT_CURL_H

#include <curl/curl.h>

#include "x402/client.h"
#include "x402/operate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A request body without `seek` is read into memory up to this. */
#define X402_CLIENT_UPLOAD_BYTES ((size_t)8 * 1024 * 1024)

/* Everything is borrowed until the call, or the transfer, is done. */
struct x402_client_easy {
	/* Required: with its URL and method set. */
	CURL *curl;
	/* What you gave, or would give, to CURLOPT_HTTPHEADER. */
	const struct curl_slist *headers;
	/* CURLOPT_WRITEFUNCTION and WRITEDATA. NULL: fwrite() to the FILE that
	 * is the data, or to stdout. */
	curl_write_callback on_body;
	void *on_body_user;
	/* CURLOPT_HEADERFUNCTION and HEADERDATA, of the final answer only. */
	curl_write_callback on_header;
	void *on_header_user;
	/* CURLOPT_READFUNCTION and READDATA, when a body is streamed. */
	curl_read_callback read;
	void *read_user;
	/* CURLOPT_SEEKFUNCTION and SEEKDATA: to read it once more. */
	curl_seek_callback seek;
	void *seek_user;
	/* A body that is in memory: instead of CURLOPT_POSTFIELDS. */
	struct x402_span body;
	/*
	 * The request for the journal, as in struct x402_client_request. A
	 * streamed body cannot be part of a name: with a journal, such a
	 * request needs a purchase_id.
	 */
	const char *purchase_id;
	const char *correlation;
	bool once;
	bool buy_again;
	long timeout_ms;
	/* In a multi: higher begins earlier; equal ones as they were added. */
	int64_t priority;
};

/*
 * Perform the handle's request and pay for it if need be. As
 * x402_client_fetch(); response->body holds only what was kept from your
 * callback, the final 402, and response->headers those of an answer that the
 * client had to look at. INVALID_ARGUMENT also for a handle without a URL.
 * Headers that are set on the handle and not said in `headers` are lost when
 * it pays.
 */
X402_API X402_MUST_USE enum x402_err x402_client_perform(
	struct x402_client *client, const struct x402_client_easy *easy,
	struct x402_client_response *response);

/* ---- Many at once. ---- */

struct x402_client_multi; /* opaque */

/* How many requests are in flight, how many may wait for a place. */
#define X402_CLIENT_IN_FLIGHT 200
#define X402_CLIENT_QUEUE     100000

struct x402_client_multi_options {
	unsigned max_in_flight;        /* default X402_CLIENT_IN_FLIGHT */
	unsigned max_queue;            /* default X402_CLIENT_QUEUE */
	unsigned max_host_connections; /* default: no limit */
	/*
	 * Optional: what is worth fetching first; higher begins earlier.
	 * Asked when a transfer is queued, with the priority that it was added
	 * with and the user pointer of its struct x402_client_done; asked again
	 * for all that wait by x402_client_multi_rescore(), since freshness
	 * changes with time. x402_client_score() is one. May not call the
	 * multi.
	 */
	int64_t (*score)(void *user, void *done_user, int64_t priority);
	/*
	 * To live in an event loop of yours, set both, as with libcurl:
	 * watch fd for what (CURL_POLL_IN, _OUT, _INOUT, _REMOVE) and call
	 * x402_client_multi_action(); call it with CURL_SOCKET_TIMEOUT after
	 * timeout_ms (-1: no timer). Neither may call the multi. Without
	 * them, use x402_client_multi_run().
	 */
	void (*on_socket)(void *user, curl_socket_t fd, int what);
	void (*on_timer)(void *user, long timeout_ms);
	void *user;
};
#define X402_CLIENT_MULTI_OPTIONS_INIT \
	{                              \
		0                      \
	}

/* options may be NULL. client is borrowed. INVALID_ARGUMENT, NOMEM. */
X402_API X402_MUST_USE enum x402_err x402_client_multi_new(
	struct x402_client *client,
	const struct x402_client_multi_options *options,
	struct x402_client_multi **ret_multi);
/*
 * Ends every transfer (CANCELLED, each is still told) and frees. Not from a
 * callback. NULL allowed.
 */
X402_API void x402_client_multi_free(struct x402_client_multi *multi);

/*
 * A transfer is done: err and response as the synchronous calls give them.
 * response is cleared after the call; steal what you keep. New transfers may
 * be added from here.
 */
struct x402_client_done {
	void (*call)(void *user, enum x402_err err,
		struct x402_client_response *response);
	void *user;
};

/*
 * Queue a transfer; nothing happens inside this call. TOO_LARGE when the
 * queue is full: then it is yours again and `done` is not called. NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_client_multi_add(
	struct x402_client_multi *multi, const struct x402_client_easy *easy,
	struct x402_client_done done);
/* The same with the body in memory. request is borrowed until done. */
X402_API X402_MUST_USE enum x402_err x402_client_multi_fetch(
	struct x402_client_multi *multi,
	const struct x402_client_request *request, int64_t priority,
	struct x402_client_done done);

/* Ask the options' score anew for everything that is still queued. */
X402_API void x402_client_multi_rescore(struct x402_client_multi *multi);

/*
 * x402_client_check_balances() of x402/operate.h without waiting: done is
 * called from a later turn, when all were asked; `done.call` may be NULL.
 * balances must stay until then. KEY, INVALID_ARGUMENT (also for none at
 * all), NOMEM; NETWORK when none of them can be asked now: done is not called.
 */
struct x402_client_balances_done {
	void (*call)(void *user);
	void *user;
};
X402_API X402_MUST_USE enum x402_err x402_client_multi_check_balances(
	struct x402_client_multi *multi, struct x402_client_balance *balances,
	size_t len, struct x402_client_balances_done done);

/* Transfers that are queued, in flight or waiting; balances too. */
X402_API size_t x402_client_multi_pending(
	const struct x402_client_multi *multi);
/*
 * Without an event loop: wait at most timeout_ms for something to happen and
 * handle it. Call it while something is pending. NETWORK when the system can
 * watch no more sockets.
 */
X402_API X402_MUST_USE enum x402_err x402_client_multi_run(
	struct x402_client_multi *multi, int timeout_ms);
/* From your loop: events is CURL_CSELECT_IN, _OUT, _ERR; as libcurl's. */
X402_API X402_MUST_USE enum x402_err x402_client_multi_action(
	struct x402_client_multi *multi, curl_socket_t fd, int events);

#ifdef __cplusplus
}
#endif
#endif
