/*
 * operate.h: for clients that run for long: what they did, whether they can
 * still pay, and what to fetch first.
 *
 * Not for: what was bought; that is the journal's (x402/journal.h).
 *
 * Thread rule: as in client.h. x402_client_metrics_listen() starts a thread of
 * its own, which reads counters only; x402_client_metrics() may be called from
 * any thread while the client lives.
 */
#ifndef X402_OPERATE_H
#define X402_OPERATE_H

#include "x402/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Metrics. ---- */

/* Appends the counters in Prometheus' text form. NOMEM. */
X402_API X402_MUST_USE enum x402_err x402_client_metrics(
	const struct x402_client *client, struct x402_buf *ret_text);
/*
 * Answer GET /metrics on 127.0.0.1 until the client is freed. port 0 takes a
 * free one. NETWORK when it cannot be had, CONFLICT when it listens already.
 * Anybody on this machine can read it: it names no URL, address or key.
 */
X402_API X402_MUST_USE enum x402_err x402_client_metrics_listen(
	struct x402_client *client, uint16_t port, uint16_t *ret_port);

/* ---- Paying or not. ---- */

/*
 * Stop paying, or go on: a price then ends the call with PAUSED. What has
 * left is presented again all the same. reason is copied, "" is none.
 */
X402_API void x402_client_pause(
	struct x402_client *client, bool paused, const char *reason);
X402_API bool x402_client_is_paused(const struct x402_client *client);

/* One balance to look after. All borrowed for the call. */
struct x402_client_balance {
	const char *network; /* CAIP-2, eip155 */
	const char *asset;   /* the token's address */
	const char *rpc_url;
	/* Tell of it below this (atomic units, decimal). Optional. */
	const char *low;
	/* Pause paying below this, go on at or above. Optional. */
	const char *pause_below;
	/* Filled in by the call. */
	char units[X402_U256_DEC_SIZE]; /* "" when it could not be read */
	bool is_low;
};
/*
 * Ask the chains what the payer has. Events "low_balance" and "balance_ok" go
 * to on_event when that changes, as balances[].is_low tells from the call
 * before: keep the array. One that cannot be read changes nothing. KEY when
 * the client has no payer, INVALID_ARGUMENT for text that is no number.
 * Waits for the network, up to 10 seconds for each; on an event loop use
 * x402_client_multi_check_balances().
 */
X402_API X402_MUST_USE enum x402_err x402_client_check_balances(
	struct x402_client *client, struct x402_client_balance *balances,
	size_t len);

/* ---- What first? ---- */

/* A page that is known, or not yet. */
struct x402_client_worth {
	/* Seconds since the copy at hand was fetched; 0: there is none. */
	uint64_t age_s;
	/* Mean seconds between changes of the page; 0: a day. */
	uint64_t changes_s;
	/* Its price as it was last seen, millionths of a dollar. */
	uint64_t usd_micros;
};
/*
 * Freshness over cost: the chance, in thousandths, that a new copy differs
 * (age over changes, at most 1), for each thousandth of a dollar. A priority
 * for x402/client_curl.h: higher is fetched earlier.
 */
X402_API int64_t x402_client_score(const struct x402_client_worth *worth);

#ifdef __cplusplus
}
#endif
#endif
