/*
 * What the journal tells: how long commits take, and who waits for one.
 */
#include "ops/metrics.h"

void fac_metrics_store(
	struct fac_page *page, const struct fac_store_stats *stats)
{
	static const uint64_t bounds[] = FAC_STORE_BUCKET_BOUNDS_MS;
	struct fac_histogram commits = {.bounds = bounds,
		.bounds_len = FAC_STORE_BUCKETS - 1,
		.buckets = stats->commit_buckets,
		.sum = stats->commit_ms,
		.in_ms = true};

	fac_page_family(page, FAC_METRIC_HISTOGRAM, "x402_store_commit_seconds",
		"Groups of the journal that were committed, by the time that "
		"took.");
	fac_page_histogram(page, NULL, &commits);
	fac_page_family(page, FAC_METRIC_COUNTER, "x402_store_failures_total",
		"Groups that could not be committed.");
	fac_page_u64(page, NULL, stats->failures);
	fac_page_family(page, FAC_METRIC_COUNTER, "x402_store_verbs_total",
		"What was asked of the journal; by commits: the group size.");
	fac_page_u64(page, NULL, stats->verbs);
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_store_queued",
		"What waits for the journal now.");
	fac_page_u64(page, NULL, stats->queued);
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_store_lag_seconds",
		"How long the first of that has waited.");
	fac_page_ms(page, NULL, stats->oldest_ms);
}
