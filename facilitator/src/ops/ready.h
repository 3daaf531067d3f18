/*
 * ready.h: may this instance be sent payments? The judgement behind /readyz.
 *
 * Not for: gathering; see admin.c.
 * Thread rule: pure.
 */
#ifndef FAC_OPS_READY_H
#define FAC_OPS_READY_H

#include "api/api.h"

/* A transaction without a receipt for so long: its lane does not move. */
#define FAC_READY_LANE_STUCK_MS 300000
/* Callers wait for the journal so long: it does not keep up. */
#define FAC_READY_JOURNAL_LAG_MS 5000

struct fac_ready_view {
	bool draining;
	/* A row could be committed just now. */
	enum x402_err store;
	const struct fac_engine_stats *engine; /* Required */
	const struct fac_store_stats *stats;   /* Required; the store's */
	const struct fac_ready_chain {
		const char *network;
		enum fac_chain_health health;
		uint64_t max_head_age_ms; /* 0: not checked */
	} * chains;
	size_t chains_len;
};

/*
 * True when payments can be verified and settled: nothing common to all
 * chains fails, and one chain at least is well: an endpoint answers, its head
 * moves, and a signer can pay gas. A chain that fails alone costs its lines
 * only. Appends one line for each check to lines,
 * beginning with "[+]" or "[-]".
 */
bool fac_ready(const struct fac_ready_view *view, struct x402_buf *lines);

#endif
