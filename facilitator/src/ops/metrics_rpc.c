/*
 * What the pools of RPC endpoints saw. An endpoint is named by its place in
 * rpc_urls and its host: two entries may share a host, and a path may hold a
 * secret.
 */
#include "ops/metrics.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define ENDPOINT_SIZE 96

static void name_endpoint(const struct fac_metrics_chain *chain, size_t index,
	char ret_name[ENDPOINT_SIZE])
{
	snprintf(ret_name, ENDPOINT_SIZE, "%zu:%s", index + 1,
		chain->rpc.endpoints[index].host);
}

/* A figure of each endpoint, by its place in the struct. */
static void tell_figure(struct fac_page *page,
	const struct fac_metrics_view *view, size_t offset)
{
	for (size_t i = 0; i < view->chains_len; i++) {
		const struct fac_metrics_chain *chain = &view->chains[i];
		for (size_t j = 0; j < chain->rpc.endpoints_len; j++) {
			char name[ENDPOINT_SIZE];
			uint64_t value;
			name_endpoint(chain, j, name);
			memcpy(&value,
				(const char *)&chain->rpc.endpoints[j] + offset,
				sizeof(value));
			fac_page_u64(page,
				LABELS({"network", chain->network},
					{"endpoint", name}),
				value);
		}
	}
}

static void tell_latency(
	struct fac_page *page, const struct fac_metrics_view *view)
{
	static const uint64_t bounds[] = FAC_CHAIN_LATENCY_BOUNDS_MS;

	fac_page_family(page, FAC_METRIC_HISTOGRAM, "x402_rpc_latency_seconds",
		"Requests that were answered, by the time that took.");
	for (size_t i = 0; i < view->chains_len; i++) {
		const struct fac_metrics_chain *chain = &view->chains[i];
		for (size_t j = 0; j < chain->rpc.endpoints_len; j++) {
			const struct fac_chain_endpoint_stats *endpoint =
				&chain->rpc.endpoints[j];
			struct fac_histogram histogram = {.bounds = bounds,
				.bounds_len = FAC_CHAIN_LATENCY_BUCKETS - 1,
				.buckets = endpoint->latency,
				.sum = endpoint->latency_sum_ms,
				.in_ms = true};
			char name[ENDPOINT_SIZE];
			name_endpoint(chain, j, name);
			fac_page_histogram(page,
				LABELS({"network", chain->network},
					{"endpoint", name}),
				&histogram);
		}
	}
}

#define FIGURE(member) offsetof(struct fac_chain_endpoint_stats, member)
static const struct {
	enum fac_metric_type type;
	const char *name;
	const char *help;
	size_t offset;
} figures[] = {
	{FAC_METRIC_COUNTER, "x402_rpc_requests_total",
		"HTTP requests to an endpoint; each may carry many calls.",
		FIGURE(requests)},
	{FAC_METRIC_COUNTER, "x402_rpc_faults_total",
		"Requests without a usable answer.", FIGURE(transport_faults)},
	{FAC_METRIC_COUNTER, "x402_rpc_rate_limited_total",
		"Faults by which the endpoint asked for fewer requests.",
		FIGURE(http_429)},
	{FAC_METRIC_COUNTER, "x402_rpc_errors_total",
		"Calls that the endpoint answered with an error.",
		FIGURE(rpc_errors)},
	{FAC_METRIC_COUNTER, "x402_rpc_hedges_total",
		"Requests sent here because another endpoint was slow.",
		FIGURE(hedges_sent)},
	{FAC_METRIC_COUNTER, "x402_rpc_hedges_won_total",
		"Of these, the ones that answered first.", FIGURE(hedges_won)},
	{FAC_METRIC_GAUGE, "x402_rpc_head",
		"Newest block that the endpoint told; 0: not known.",
		FIGURE(head)},
	{FAC_METRIC_GAUGE, "x402_rpc_lag_blocks",
		"Blocks behind the best endpoint.", FIGURE(lag)},
};

static void tell_resting(
	struct fac_page *page, const struct fac_metrics_view *view)
{
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_rpc_resting",
		"1 when a thread passes the endpoint over for now.");
	for (size_t i = 0; i < view->chains_len; i++) {
		const struct fac_metrics_chain *chain = &view->chains[i];
		for (size_t j = 0; j < chain->rpc.endpoints_len; j++) {
			char name[ENDPOINT_SIZE];
			name_endpoint(chain, j, name);
			fac_page_u64(page,
				LABELS({"network", chain->network},
					{"endpoint", name}),
				chain->rpc.endpoints[j].resting);
		}
	}
}

void fac_metrics_rpc(struct fac_page *page, const struct fac_metrics_view *view)
{
	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++) {
		fac_page_family(page, figures[i].type, figures[i].name,
			figures[i].help);
		tell_figure(page, view, figures[i].offset);
	}
	tell_resting(page, view);
	tell_latency(page, view);
}

/* ---- Adding up. ---- */

static void add_endpoint(struct fac_chain_endpoint_stats *sum,
	const struct fac_chain_endpoint_stats *stats)
{
	memcpy(sum->host, stats->host, sizeof(sum->host));
	sum->requests += stats->requests;
	sum->transport_faults += stats->transport_faults;
	sum->http_429 += stats->http_429;
	sum->rpc_errors += stats->rpc_errors;
	for (size_t i = 0; i < FAC_CHAIN_LATENCY_BUCKETS; i++)
		sum->latency[i] += stats->latency[i];
	sum->latency_sum_ms += stats->latency_sum_ms;
	sum->latency_count += stats->latency_count;
	sum->hedges_sent += stats->hedges_sent;
	sum->hedges_won += stats->hedges_won;
	sum->resting |= stats->resting;
	/* A thread without traffic knows an old head only. */
	if (stats->head > sum->head)
		sum->head = stats->head;
}

void fac_metrics_add_chain(
	struct fac_chain_stats *sum, const struct fac_chain_stats *stats)
{
	uint64_t best = 0;

	if (stats->endpoints_len > sum->endpoints_len)
		sum->endpoints_len = stats->endpoints_len;
	for (size_t i = 0; i < stats->endpoints_len; i++)
		add_endpoint(&sum->endpoints[i], &stats->endpoints[i]);
	for (size_t i = 0; i < sum->endpoints_len; i++)
		if (sum->endpoints[i].head > best)
			best = sum->endpoints[i].head;
	for (size_t i = 0; i < sum->endpoints_len; i++)
		sum->endpoints[i].lag = sum->endpoints[i].head
			? best - sum->endpoints[i].head
			: 0;
}
