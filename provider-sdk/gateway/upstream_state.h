/*
 * upstream_state.h: may a request go to an upstream? A circuit breaker and a
 * health check, for each upstream one struct gw_upstream_state.
 *
 *   CLOSED     requests go; so many failures in a row open it
 *   OPEN       none goes, until a pause is over
 *   HALF_OPEN  a few go as probes; all must be good to close it, one that
 *              fails opens it for a pause twice as long
 *
 * Ask before money moves: a request that gw_upstream_begin refuses must not be
 * verified, nor settled. The health check is apart: what it finds down gets no
 * request, whatever the breaker says.
 *
 * Pure: time comes from outside, monotonic, in milliseconds.
 * Thread rule: a state belongs to one thread.
 */
#ifndef GATEWAY_UPSTREAM_STATE_H
#define GATEWAY_UPSTREAM_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct gw_upstream_options {
	/* Failures in a row that open the breaker; 0: never. */
	uint32_t failures;
	/* The first pause, and the longest. */
	uint32_t open_ms;
	uint32_t open_max_ms;
	/* Probes that must be good; as many go at once at most. */
	uint32_t probes;
	/* Health check: 0 for none. */
	uint32_t health_interval_ms;
	/* Good checks in a row that bring it up, bad ones that take it down. */
	uint32_t health_rise;
	uint32_t health_fall;
};
#define GW_UPSTREAM_OPTIONS_INIT                                        \
	{                                                               \
		.failures = 5, .open_ms = 1000, .open_max_ms = 60000,   \
		.probes = 1, .health_interval_ms = 0, .health_rise = 2, \
		.health_fall = 3                                        \
	}

enum gw_breaker { GW_BREAKER_CLOSED, GW_BREAKER_OPEN, GW_BREAKER_HALF_OPEN };

/* Read freely; written by the functions below alone. */
struct gw_upstream_state {
	struct gw_upstream_options options;
	enum gw_breaker breaker;
	/* Counts every change of the breaker, so that the end of a request
	 * that began before a change is known as such. */
	uint32_t epoch;
	uint32_t failures; /* in a row, while closed */
	uint32_t pause_ms;
	uint64_t open_until_ms;
	uint32_t probing; /* on their way */
	uint32_t probed;  /* good ones */
	bool up;          /* as the health check has it */
	uint32_t streak;  /* checks in a row against what up says */
	bool checking;
	uint64_t check_at_ms;
	uint64_t opened; /* how often, for metrics */
};

/* A request on its way; give it back with gw_upstream_end, once. */
struct gw_upstream_ticket {
	uint32_t epoch;
	bool probe;
};

enum gw_upstream_outcome {
	GW_UPSTREAM_GOOD, /* it answered */
	/*
	 * No connection, no answer in time, cut short, 502, 503, 504. Not 500:
	 * one page with a fault would let anybody close the whole shop.
	 */
	GW_UPSTREAM_BAD,
	/* Says nothing about it: the client left, or we refused. */
	GW_UPSTREAM_NEUTRAL
};

/* Up and closed. options are copied; 0 where 1 is the least counts as 1. */
void gw_upstream_init(const struct gw_upstream_options *options,
	uint64_t now_ms, struct gw_upstream_state *ret_state);

/*
 * May a request go now? False: answer 503 with Retry-After; *ret_retry_ms is
 * when it is worth asking again.
 */
bool gw_upstream_begin(struct gw_upstream_state *state, uint64_t now_ms,
	struct gw_upstream_ticket *ret_ticket, uint32_t *ret_retry_ms);
void gw_upstream_end(struct gw_upstream_state *state,
	const struct gw_upstream_ticket *ticket,
	enum gw_upstream_outcome outcome, uint64_t now_ms);
/* As begin, without taking a ticket: for a look before the price is asked. */
bool gw_upstream_may(const struct gw_upstream_state *state, uint64_t now_ms,
	uint32_t *ret_retry_ms);

/* Is a check due? True once for each; tell what came of it. */
bool gw_upstream_check_due(struct gw_upstream_state *state, uint64_t now_ms);
void gw_upstream_checked(
	struct gw_upstream_state *state, bool good, uint64_t now_ms);

#endif
