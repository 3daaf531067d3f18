/*
 * What the settlement engine tells about itself: callers, payments, lanes.
 */
#include "ops/metrics.h"

void fac_metrics_engine(
	struct fac_page *page, const struct fac_engine_stats *stats)
{
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_engine_recovered",
		"1 when the journal was read and every lane may sign.");
	fac_page_u64(page, NULL, stats->recovered);
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_settle_waiting",
		"Callers of /settle that wait for their answer.");
	fac_page_u64(page, NULL, stats->waiting);
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_transactions_in_flight",
		"Transactions without a receipt.");
	fac_page_u64(page, NULL, stats->in_flight);
	fac_page_family(page, FAC_METRIC_GAUGE,
		"x402_transactions_oldest_seconds",
		"Age of the oldest transaction without a receipt.");
	fac_page_ms(page, NULL, stats->oldest_ms);
}
