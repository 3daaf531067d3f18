/*
 * gateway_metrics.c: counters in plain arrays, written out by the daemon's
 * writer of the text format (ops/exposition.h). A counter that is still zero is
 * there all the same, but for routes: a route appears with its first request.
 */
#include "gateway_metrics.h"

#include <stdlib.h>

#include "ops/exposition.h"

#define EVENTS ((size_t)X402_GATE_EVENT_UNDELIVERED + 1)

static const uint64_t bounds_ms[] = {
	5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000};
#define BOUNDS (sizeof(bounds_ms) / sizeof(bounds_ms[0]))

struct times {
	uint64_t buckets[BOUNDS + 1];
	uint64_t sum_ms;
};

struct gw_metrics {
	char **patterns;
	size_t patterns_len;
	/* One more than patterns: requests without a route. */
	uint64_t (*requests)[GW_RESULT_COUNT];
	uint64_t events[EVENTS];
	struct times took;
	struct times waited;
	uint64_t received;
	uint64_t sent;
};

static const char *result_text(enum gw_result result)
{
	switch (result) {
	case GW_RESULT_FREE:
		return "free";
	case GW_RESULT_PAID:
		return "paid";
	case GW_RESULT_ADMITTED:
		return "admitted";
	case GW_RESULT_CHALLENGED:
		return "challenged";
	case GW_RESULT_REFUSED:
		return "refused";
	case GW_RESULT_LIMITED:
		return "limited";
	case GW_RESULT_UNAVAILABLE:
		return "unavailable";
	case GW_RESULT_UPSTREAM:
		return "upstream";
	case GW_RESULT_FACILITATOR:
		return "facilitator";
	case GW_RESULT_FAILED:
		return "failed";
	case GW_RESULT_GONE:
		return "gone";
	case GW_RESULT_COUNT:
		break;
	}
	return "unknown";
}

static const char *event_text(enum x402_gate_event event)
{
	switch (event) {
	case X402_GATE_EVENT_VERIFIED:
		return "verified";
	case X402_GATE_EVENT_REFUSED:
		return "refused";
	case X402_GATE_EVENT_FAULT:
		return "fault";
	case X402_GATE_EVENT_SETTLED:
		return "settled";
	case X402_GATE_EVENT_UNSETTLED:
		return "unsettled";
	case X402_GATE_EVENT_CANCELLED:
		return "cancelled";
	case X402_GATE_EVENT_UNDELIVERED:
		return "undelivered";
	}
	return "unknown";
}

static const char *breaker_text(enum gw_breaker breaker)
{
	switch (breaker) {
	case GW_BREAKER_CLOSED:
		return "closed";
	case GW_BREAKER_OPEN:
		return "open";
	case GW_BREAKER_HALF_OPEN:
		return "half_open";
	}
	return "unknown";
}

struct gw_metrics *gw_metrics_new(
	const char *const *patterns, size_t patterns_len)
{
	struct gw_metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return NULL;
	metrics->patterns = calloc(
		patterns_len + 1, sizeof(*metrics->patterns));
	metrics->requests = calloc(
		patterns_len + 1, sizeof(*metrics->requests));
	while (metrics->patterns && metrics->patterns_len < patterns_len) {
		char *copy = strdup(patterns[metrics->patterns_len]);

		if (!copy)
			break;
		metrics->patterns[metrics->patterns_len++] = copy;
	}
	if (metrics->requests && metrics->patterns &&
		metrics->patterns_len == patterns_len)
		return metrics;
	gw_metrics_free(metrics);
	return NULL;
}

void gw_metrics_free(struct gw_metrics *metrics)
{
	if (!metrics)
		return;
	for (size_t i = 0; i < metrics->patterns_len; i++)
		free(metrics->patterns[i]);
	free(metrics->patterns);
	free(metrics->requests);
	free(metrics);
}

/* ---- Counting. ---- */

static void add_time(struct times *times, uint64_t ms)
{
	size_t i = 0;

	while (i < BOUNDS && ms > bounds_ms[i])
		i++;
	times->buckets[i]++;
	times->sum_ms += ms;
}

void gw_metrics_request(struct gw_metrics *metrics, size_t route,
	enum gw_result result, uint64_t took_ms)
{
	if (route > metrics->patterns_len)
		route = metrics->patterns_len;
	if ((size_t)result < GW_RESULT_COUNT)
		metrics->requests[route][result]++;
	add_time(&metrics->took, took_ms);
}

void gw_metrics_event(struct gw_metrics *metrics, enum x402_gate_event event)
{
	if ((size_t)event < EVENTS)
		metrics->events[event]++;
}

void gw_metrics_waited(struct gw_metrics *metrics, uint64_t waited_ms)
{
	add_time(&metrics->waited, waited_ms);
}

void gw_metrics_bytes(
	struct gw_metrics *metrics, uint64_t received, uint64_t sent)
{
	metrics->received += received;
	metrics->sent += sent;
}

/* ---- The page. ---- */

static void write_route(struct fac_page *page, const char *pattern,
	const uint64_t counts[GW_RESULT_COUNT])
{
	for (size_t i = 0; i < GW_RESULT_COUNT; i++) {
		const char *result = result_text((enum gw_result)i);

		if (counts[i])
			fac_page_u64(page,
				LABELS({"route", pattern}, {"result", result}),
				counts[i]);
	}
}

static void write_requests(
	const struct gw_metrics *metrics, struct fac_page *page)
{
	fac_page_family(page, FAC_METRIC_COUNTER, "x402_gateway_requests_total",
		"Requests that ended, by route and how.");
	for (size_t i = 0; i < metrics->patterns_len; i++)
		write_route(page, metrics->patterns[i], metrics->requests[i]);
	write_route(page, "", metrics->requests[metrics->patterns_len]);
	fac_page_family(page, FAC_METRIC_COUNTER, "x402_gateway_payments_total",
		"What happened to payments, step by step.");
	for (size_t i = 0; i < EVENTS; i++)
		fac_page_u64(page,
			LABELS({"event", event_text((enum x402_gate_event)i)}),
			metrics->events[i]);
}

static void write_times(struct fac_page *page, const char *name,
	const char *help, const struct times *times)
{
	const struct fac_histogram histogram = {.bounds = bounds_ms,
		.bounds_len = BOUNDS,
		.buckets = times->buckets,
		.sum = times->sum_ms,
		.in_ms = true};

	fac_page_family(page, FAC_METRIC_HISTOGRAM, name, help);
	fac_page_histogram(page, NULL, &histogram);
}

static void write_one(struct fac_page *page, enum fac_metric_type type,
	const char *name, const char *help, uint64_t value)
{
	fac_page_family(page, type, name, help);
	fac_page_u64(page, NULL, value);
}

static void write_breaker(
	const struct gw_metrics_upstream *upstream, struct fac_page *page)
{
	for (int i = GW_BREAKER_CLOSED; i <= GW_BREAKER_HALF_OPEN; i++) {
		enum gw_breaker breaker = (enum gw_breaker)i;

		fac_page_u64(page,
			LABELS({"upstream", upstream->name},
				{"state", breaker_text(breaker)}),
			upstream->state->breaker == breaker);
	}
}

static void write_upstreams(
	const struct gw_metrics_now *now, struct fac_page *page)
{
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_gateway_upstream_up",
		"1 where the health check has the upstream up.");
	for (size_t i = 0; i < now->upstreams_len; i++)
		fac_page_u64(page, LABELS({"upstream", now->upstreams[i].name}),
			now->upstreams[i].state->up);
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_gateway_breaker",
		"1 for the state that the upstream's circuit breaker is in.");
	for (size_t i = 0; i < now->upstreams_len; i++)
		write_breaker(&now->upstreams[i], page);
	fac_page_family(page, FAC_METRIC_COUNTER,
		"x402_gateway_breaker_opened_total",
		"How often the upstream's circuit breaker opened.");
	for (size_t i = 0; i < now->upstreams_len; i++)
		fac_page_u64(page, LABELS({"upstream", now->upstreams[i].name}),
			now->upstreams[i].state->opened);
}

void gw_metrics_write(const struct gw_metrics *metrics,
	const struct gw_metrics_now *now, struct x402_buf *text)
{
	struct fac_page page = {.text = *text};

	write_requests(metrics, &page);
	write_times(&page, "x402_gateway_request_seconds",
		"From a request's first byte to its answer's last.",
		&metrics->took);
	write_times(&page, "x402_gateway_upstream_seconds",
		"From asking an upstream to its first header.",
		&metrics->waited);
	write_one(&page, FAC_METRIC_COUNTER,
		"x402_gateway_received_bytes_total", "Bytes of request bodies.",
		metrics->received);
	write_one(&page, FAC_METRIC_COUNTER, "x402_gateway_sent_bytes_total",
		"Bytes of response bodies.", metrics->sent);
	write_one(&page, FAC_METRIC_GAUGE, "x402_gateway_connections",
		"Connections of clients.", now->connections);
	write_one(&page, FAC_METRIC_GAUGE, "x402_gateway_requests_open",
		"Requests under way.", now->requests);
	write_upstreams(now, &page);
	*text = page.text;
}
