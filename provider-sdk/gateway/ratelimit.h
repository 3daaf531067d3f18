/*
 * ratelimit.h: at most so many requests in a sliding window, for each address
 * or each key (an API key, a payer: any bytes).
 *
 * The window slides: what counts is this window's requests, and of the last
 * one's the share that is still within reach. Only granted requests count, so
 * who is refused waits and does not start anew.
 *
 * Memory is bounded. When there is no room for a newcomer the quietest one is
 * forgotten, and whoever comes next in that place begins with a count at least
 * as high as any that was forgotten there. So nobody's limit is reset by
 * flooding the table with other names: a flood makes newcomers wait, the
 * flooder among them.
 *
 * Not for: money, nor for who may come in. Pure: time comes from outside.
 * Thread rule: a limit belongs to one thread.
 */
#ifndef GATEWAY_RATELIMIT_H
#define GATEWAY_RATELIMIT_H

#include "x402/base.h"
#include "x402/error.h"

/* A day; what shall last longer belongs into a database. */
#define GW_RATE_WINDOW_MAX_MS 86400000
#define GW_RATE_REQUESTS_MAX  1000000000
/* 36 bytes each: at most 38 MB. */
#define GW_RATE_KEYS_MAX ((size_t)1024 * 1024)
#define GW_RATE_KEYS     ((size_t)64 * 1024)
/* An IPv4 address, or the /64 of an IPv6 one. */
#define GW_RATE_ADDRESS_SIZE 9

struct gw_rate; /* opaque */

struct gw_rate_options {
	uint32_t requests;  /* Required: 1 to GW_RATE_REQUESTS_MAX */
	uint32_t window_ms; /* Required: 1 to GW_RATE_WINDOW_MAX_MS */
	/* Optional, default GW_RATE_KEYS; rounded up to a power of two. */
	size_t keys_max;
	/* Required: random. Without a secret of ours a stranger could find
	 * names that share a place. */
	uint8_t secret32[32];
};

/* INVALID_ARGUMENT, NOMEM. Free with gw_rate_free. */
X402_MUST_USE enum x402_err gw_rate_new(
	const struct gw_rate_options *options, struct gw_rate **ret_rate);
/* NULL allowed. */
void gw_rate_free(struct gw_rate *rate);

/*
 * Count one more request of a key. False, and nothing is counted, when that
 * would be too many; *ret_retry_ms then says when one more fits, if nobody
 * else uses it up. now_ms is monotonic; a clock that steps back stands still.
 */
X402_MUST_USE bool gw_rate_take(struct gw_rate *rate, struct x402_span key,
	uint64_t now_ms, uint32_t *ret_retry_ms);

/*
 * The key of an address in text. IPv6 counts by its /64, which is what one
 * customer gets: by whole addresses he would have 2^64 of them. False for
 * what is no address.
 */
X402_MUST_USE bool gw_rate_address(
	const char *address, uint8_t ret_key[GW_RATE_ADDRESS_SIZE]);

#endif
