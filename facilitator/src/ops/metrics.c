/*
 * The page of metrics: process and HTTP here, the engine in metrics_engine.c,
 * the endpoints of the chains in metrics_rpc.c.
 * Every label has a bounded number of values: routes, statuses, and what the
 * configuration names.
 */
#include "ops/metrics.h"

#include <stdio.h>
#include <string.h>

static void tell_process(
	struct fac_page *page, const struct fac_metrics_view *view)
{
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_build_info",
		"Always 1; its labels say what runs.");
	fac_page_u64(page, LABELS({"version", view->version}), 1);
	fac_page_family(page, FAC_METRIC_GAUGE, "process_start_time_seconds",
		"When this process began, as unix time.");
	fac_page_ms(page, NULL, view->started_unix_ms);
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_uptime_seconds",
		"How long this process has run.");
	fac_page_ms(page, NULL, view->uptime_ms);
	fac_page_family(page, FAC_METRIC_COUNTER, "process_cpu_seconds_total",
		"Processor time that was used.");
	fac_page_ms(page, NULL, view->cpu_ms);
	if (!view->resident_bytes)
		return;
	fac_page_family(page, FAC_METRIC_GAUGE, "process_resident_memory_bytes",
		"Memory that is resident.");
	fac_page_u64(page, NULL, view->resident_bytes);
}

/* ---- HTTP. ---- */

static uint64_t read_figure(const _Atomic uint64_t *figure)
{
	/* C11 forgot const in the first parameter of atomic_load. */
	return atomic_load_explicit(
		(_Atomic uint64_t *)figure, memory_order_relaxed);
}

static const char *const route_labels[FAC_ROUTE_COUNT] = {
#define ROUTE_LABEL(name, label) label,
	FAC_ROUTE_MAP(ROUTE_LABEL)
#undef ROUTE_LABEL
};

static void tell_answers(
	struct fac_page *page, const struct fac_metrics_view *view)
{
	static const int statuses[] = FAC_COUNTED_STATUSES;

	fac_page_family(page, FAC_METRIC_COUNTER, "x402_http_requests_total",
		"Requests that were answered, by route and status.");
	for (size_t r = 0; r < FAC_ROUTE_COUNT; r++)
		for (size_t s = 0; s < FAC_COUNTED_STATUSES_LEN; s++) {
			uint64_t sum = 0;
			char status[12] = "other";
			for (size_t i = 0; i < view->http_len; i++)
				sum += read_figure(
					&view->http[i]->answers[r][s]);
			if (!sum)
				continue;
			if (statuses[s])
				snprintf(status, sizeof(status), "%d",
					statuses[s]);
			fac_page_u64(page,
				LABELS({"route", route_labels[r]},
					{"status", status}),
				sum);
		}
}

static void tell_durations(
	struct fac_page *page, const struct fac_metrics_view *view)
{
	static const uint64_t bounds[] = FAC_DURATION_BOUNDS_MS;

	fac_page_family(page, FAC_METRIC_HISTOGRAM,
		"x402_http_request_duration_seconds",
		"From a whole request to its answer.");
	for (size_t r = 0; r < FAC_ROUTE_COUNT; r++) {
		uint64_t buckets[FAC_DURATION_BOUNDS_LEN + 1] = {0};
		struct fac_histogram histogram = {.bounds = bounds,
			.bounds_len = FAC_DURATION_BOUNDS_LEN,
			.buckets = buckets,
			.in_ms = true};
		uint64_t count = 0;
		for (size_t i = 0; i < view->http_len; i++) {
			const struct fac_http_counts *http = view->http[i];
			for (size_t b = 0; b <= FAC_DURATION_BOUNDS_LEN; b++) {
				uint64_t n = read_figure(
					&http->duration_buckets[r][b]);
				buckets[b] += n;
				count += n;
			}
			histogram.sum += read_figure(&http->duration_ms[r]);
		}
		if (count)
			fac_page_histogram(page,
				LABELS({"route", route_labels[r]}), &histogram);
	}
}

static void tell_http(
	struct fac_page *page, const struct fac_metrics_view *view)
{
	uint64_t open = 0;

	for (size_t i = 0; i < view->http_len; i++)
		open += read_figure(&view->http[i]->open);
	tell_answers(page, view);
	tell_durations(page, view);
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_http_requests_open",
		"Requests without an answer yet.");
	fac_page_u64(page, NULL, open);
}

/* ---- Chains. ---- */

static void tell_chains(
	struct fac_page *page, const struct fac_metrics_view *view)
{
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_chain_usable",
		"1 when an endpoint answers and serves this chain.");
	for (size_t i = 0; i < view->chains_len; i++)
		fac_page_u64(page, LABELS({"network", view->chains[i].network}),
			view->chains[i].usable);
}

/* ---- Web hooks. ---- */

static void tell_hooks(
	struct fac_page *page, const struct fac_metrics_view *view)
{
	fac_page_family(page, FAC_METRIC_COUNTER,
		"x402_webhook_deliveries_total",
		"Tries to tell a web hook, by how they ended.");
	for (size_t i = 0; i < view->hooks_len; i++) {
		const struct fac_hook_stats *hook = &view->hooks[i];
		const struct {
			const char *result;
			uint64_t value;
		} results[] = {
			{"delivered", hook->delivered},
			{"failed", hook->failed},
			{"put_off", hook->skipped},
		};
		for (size_t r = 0; r < sizeof(results) / sizeof(*results); r++)
			fac_page_u64(page,
				LABELS({"hook", hook->name},
					{"result", results[r].result}),
				results[r].value);
	}
	fac_page_family(page, FAC_METRIC_COUNTER, "x402_webhook_dead_total",
		"Deliveries that were given up.");
	for (size_t i = 0; i < view->hooks_len; i++)
		fac_page_u64(page, LABELS({"hook", view->hooks[i].name}),
			view->hooks[i].dead);
}

void fac_metrics_write(
	const struct fac_metrics_view *view, struct x402_buf *out)
{
	struct fac_page page = {.text = *out};

	tell_process(&page, view);
	if (view->http)
		tell_http(&page, view);
	if (view->chains) {
		tell_chains(&page, view);
		fac_metrics_rpc(&page, view);
	}
	if (view->hooks_len)
		tell_hooks(&page, view);
	if (view->store)
		fac_metrics_store(&page, view->store);
	if (view->engine)
		fac_metrics_engine(&page, view->engine);
	*out = page.text;
}
