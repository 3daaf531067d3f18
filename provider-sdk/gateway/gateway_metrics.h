/*
 * gateway_metrics.h: what the gateway counts, and its page for Prometheus.
 *
 * Labels are the routes of the price list, the upstreams of the configuration
 * and the words below: nothing that a stranger writes becomes a label.
 *
 * Not for: money; sums by route and day are the journal's (x402-revenue).
 * Thread rule: one thread.
 */
#ifndef GW_GATEWAY_METRICS_H
#define GW_GATEWAY_METRICS_H

#include "upstream_state.h"
#include "x402/provider.h"

/* How a request ended. */
enum gw_result {
	GW_RESULT_FREE,        /* cost nothing */
	GW_RESULT_PAID,        /* with this request, and delivered */
	GW_RESULT_ADMITTED,    /* pass, sign-in, quota, holder, crawler */
	GW_RESULT_CHALLENGED,  /* 402 */
	GW_RESULT_REFUSED,     /* another 4xx of ours */
	GW_RESULT_LIMITED,     /* 429 */
	GW_RESULT_UNAVAILABLE, /* 503: no upstream to ask, or draining */
	GW_RESULT_UPSTREAM,    /* 502, 504: it failed on the way */
	GW_RESULT_FACILITATOR, /* 502: nobody to verify or settle */
	GW_RESULT_FAILED,      /* the origin's own 4xx or 5xx, not charged */
	GW_RESULT_GONE,        /* the client left */
	GW_RESULT_COUNT
};

struct gw_metrics; /* opaque */

/* The patterns of the price list are copied. NULL when memory is out. */
struct gw_metrics *gw_metrics_new(
	const char *const *patterns, size_t patterns_len);
/* NULL allowed. */
void gw_metrics_free(struct gw_metrics *metrics);

/* A request has ended. route: as x402_gate_route has it; SIZE_MAX for none. */
void gw_metrics_request(struct gw_metrics *metrics, size_t route,
	enum gw_result result, uint64_t took_ms);
/* From the gate's hook. */
void gw_metrics_event(struct gw_metrics *metrics, enum x402_gate_event event);
/* The upstream's first header came after so long. */
void gw_metrics_waited(struct gw_metrics *metrics, uint64_t waited_ms);
/* Bytes of bodies. */
void gw_metrics_bytes(
	struct gw_metrics *metrics, uint64_t received, uint64_t sent);

struct gw_metrics_upstream {
	const char *name;
	const struct gw_upstream_state *state;
};
struct gw_metrics_now {
	uint64_t connections;
	uint64_t requests; /* under way */
	const struct gw_metrics_upstream *upstreams;
	size_t upstreams_len;
};
/* Append the page; look at text->failed afterwards. */
void gw_metrics_write(const struct gw_metrics *metrics,
	const struct gw_metrics_now *now, struct x402_buf *text);

#endif
