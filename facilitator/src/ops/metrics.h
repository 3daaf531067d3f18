/*
 * metrics.h: everything that GET /metrics tells, from plain structs.
 *
 * Not for: gathering them; see admin.c. docs/facilitator.md lists the names.
 * Thread rule: pure, but for the atomics of struct fac_http_counts.
 */
#ifndef FAC_OPS_METRICS_H
#define FAC_OPS_METRICS_H

#include "api/counts.h"
#include "core/engine.h"
#include "ops/exposition.h"
#include "ops/hooks.h"

/* What was gathered. NULL members are left out of the page. */
struct fac_metrics_view {
	const char *version; /* Required */
	uint64_t started_unix_ms;
	uint64_t uptime_ms;
	uint64_t resident_bytes; /* 0: not known */
	uint64_t cpu_ms;
	/* One for each worker; the page tells their sum. */
	struct fac_http_counts *const *http;
	size_t http_len;
	const struct fac_engine_stats *engine;
	const struct fac_store_stats *store;
	/* Chains by the watch of the main thread. */
	const struct fac_metrics_chain {
		const char *network;
		bool usable;
		/* Of all threads together: fac_metrics_add_chain. */
		struct fac_chain_stats rpc;
	} * chains;
	size_t chains_len;
	const struct fac_hook_stats *hooks;
	size_t hooks_len;
};

/* Append the page; out->failed when memory was out. */
void fac_metrics_write(
	const struct fac_metrics_view *view, struct x402_buf *out);

/*
 * Add what one thread's pool of a chain saw. Counters add up; heads are the
 * newest that any thread was told.
 */
void fac_metrics_add_chain(
	struct fac_chain_stats *sum, const struct fac_chain_stats *stats);

/* metrics_rpc.c */
void fac_metrics_rpc(
	struct fac_page *page, const struct fac_metrics_view *view);
/* metrics_store.c */
void fac_metrics_store(
	struct fac_page *page, const struct fac_store_stats *stats);
/* metrics_engine.c */
void fac_metrics_engine(
	struct fac_page *page, const struct fac_engine_stats *stats);

#endif
