/*
 * transfers_p.h: libcurl's multi interface on a libuv loop. Private to the
 * libuv adapter.
 *
 * Thread rule: the loop's thread.
 */
#ifndef X402_PROVIDER_UV_TRANSFERS_P_H
#define X402_PROVIDER_UV_TRANSFERS_P_H

#include <uv.h>

#include "../curl_ask_p.h"

struct x402__transfers;

/* NULL when memory is out or libcurl fails. */
struct x402__transfers *x402__transfers_new(uv_loop_t *loop);
/* Closes everything; memory goes with the last close callback, so the loop
 * must run on until then. No transfer may be under way. NULL allowed. */
void x402__transfers_close(struct x402__transfers *transfers);

/*
 * Run a transfer whose handle has been set up. done is called once, never
 * within this call. False when it cannot be begun; done is not called then.
 */
bool x402__transfers_begin(struct x402__transfers *transfers, CURL *easy,
	void (*done)(void *user, CURLcode code), void *user);
/*
 * Only connect (CURLOPT_CONNECT_ONLY). After done the connection is the
 * caller's, by curl_easy_send and curl_easy_recv, until x402__transfers_abort,
 * which is always wanted.
 */
bool x402__transfers_connect(struct x402__transfers *transfers, CURL *easy,
	void (*done)(void *user, CURLcode code), void *user);
/* End one that was begun and is not done: done is not called. Never from
 * within a callback of libcurl's. The handle stays the caller's. */
void x402__transfers_abort(struct x402__transfers *transfers, CURL *easy);
/* At most so many connections; more transfers wait for one. */
void x402__transfers_limit(struct x402__transfers *transfers, long max);

#endif
