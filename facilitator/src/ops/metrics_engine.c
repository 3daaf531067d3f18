/*
 * What the settlement engine tells about itself: callers, payments, batches,
 * gas, and each lane.
 */
#include "ops/metrics.h"

#include <stddef.h>
#include <string.h>

static const char *const outcome_labels[FAC_SETTLE_OUTCOMES] = {
	[FAC_SETTLE_SETTLED] = "settled",
	[FAC_SETTLE_REFUSED] = "refused",
	[FAC_SETTLE_PENDING] = "pending",
	[FAC_SETTLE_DUPLICATE] = "duplicate",
	[FAC_SETTLE_CONFLICT] = "conflict",
	[FAC_SETTLE_FAULT] = "fault",
	[FAC_SETTLE_UNKNOWN] = "unknown",
};

static void tell_payments(
	struct fac_page *page, const struct fac_engine_stats *stats)
{
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_engine_recovered",
		"1 when the journal was read and every lane may sign.");
	fac_page_u64(page, NULL, stats->recovered);
	fac_page_family(page, FAC_METRIC_GAUGE, "x402_settle_waiting",
		"Callers of /settle that wait for their answer.");
	fac_page_u64(page, NULL, stats->waiting);
	fac_page_family(page, FAC_METRIC_COUNTER, "x402_settle_answers_total",
		"Answers of the engine, by outcome.");
	for (size_t i = 0; i < FAC_SETTLE_OUTCOMES; i++)
		fac_page_u64(page, LABELS({"outcome", outcome_labels[i]}),
			stats->outcomes[i]);
	fac_page_family(page, FAC_METRIC_COUNTER, "x402_payments_ended_total",
		"Payments that came to an end here, by state.");
	for (unsigned i = 0; i < FAC_PAYMENT_STATE_COUNT; i++) {
		enum fac_payment_state state = (enum fac_payment_state)i;
		if (fac_payment_is_final(state) || stats->ends[i])
			fac_page_u64(page,
				LABELS({"state",
					fac_payment_state_text(state)}),
				stats->ends[i]);
	}
}

#define FIGURE(member) offsetof(struct fac_engine_stats, member)
static const struct {
	const char *name;
	const char *help;
	size_t offset;
} counters[] = {
	{"x402_gas_used_total", "Gas of transactions that were mined.",
		FIGURE(gas_used)},
	{"x402_gas_payments_total", "Payments that this gas was used for.",
		FIGURE(gas_payments)},
	{"x402_gas_cost_gwei_total", "What this gas cost.", FIGURE(cost_gwei)},
	{"x402_fee_raises_total",
		"Transactions that were signed again with a higher fee.",
		FIGURE(fee_raises)},
	{"x402_payments_over_ceiling_total",
		"Payments that were refused because of what their gas costs.",
		FIGURE(over_ceiling)},
	{"x402_transactions_reorged_total",
		"Transactions whose block fell out of the chain.",
		FIGURE(reorged)},
	{"x402_payments_preempted_total",
		"Payments that somebody else landed, credited here.",
		FIGURE(preempted)},
	{"x402_nonces_taken_total",
		"Nonces of our signers that somebody else has used.",
		FIGURE(nonces_taken)},
	{"x402_payments_credited_dropped_total",
		"Payments that were told as success and failed afterwards.",
		FIGURE(credited_dropped)},
};

static void tell_counters(
	struct fac_page *page, const struct fac_engine_stats *stats)
{
	static const uint64_t bounds[] = FAC_BATCH_BUCKET_BOUNDS;
	struct fac_histogram batches = {.bounds = bounds,
		.bounds_len = FAC_BATCH_BUCKETS - 1,
		.buckets = stats->batch_sizes,
		.sum = stats->batched_payments};

	fac_page_family(page, FAC_METRIC_HISTOGRAM, "x402_batch_payments",
		"Payments in one transaction.");
	fac_page_histogram(page, NULL, &batches);
	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
		uint64_t value;
		memcpy(&value, (const char *)stats + counters[i].offset,
			sizeof(value));
		fac_page_family(page, FAC_METRIC_COUNTER, counters[i].name,
			counters[i].help);
		fac_page_u64(page, NULL, value);
	}
}

/* ---- Chains. ---- */

enum line_figure {
	LINE_HEAD,
	LINE_HEAD_AGE,
	LINE_BASE_FEE,
	LINE_QUEUED,
	LINE_IN_FLIGHT,
	LINE_UNFINAL,
	LINE_FIGURES
};
static const char *const line_names[LINE_FIGURES][2] = {
	[LINE_HEAD] = {"x402_chain_head", "Newest block that is known."},
	[LINE_HEAD_AGE] = {"x402_chain_head_age_seconds",
		"Since a newer block was heard of."},
	[LINE_BASE_FEE] = {"x402_chain_base_fee_wei", "Of the newest block."},
	[LINE_QUEUED] = {"x402_payments_queued",
		"Payments that wait to be signed."},
	[LINE_IN_FLIGHT] = {"x402_transactions_in_flight",
		"Transactions without a receipt."},
	[LINE_UNFINAL] = {"x402_transactions_unfinal",
		"Mined transactions whose block may yet fall."},
};

static void tell_line(struct fac_page *page, enum line_figure figure,
	const struct fac_line_stats *line)
{
	const struct fac_labels *labels = LABELS({"network", line->network});

	switch (figure) {
	case LINE_HEAD:
		fac_page_u64(page, labels, line->head);
		break;
	case LINE_HEAD_AGE:
		fac_page_ms(page, labels, line->head_age_ms);
		break;
	case LINE_BASE_FEE:
		fac_page_u256(page, labels, &line->base_fee_wei);
		break;
	case LINE_QUEUED:
		fac_page_u64(page, labels, line->queued);
		break;
	case LINE_IN_FLIGHT:
		fac_page_u64(page, labels, line->in_flight);
		break;
	case LINE_UNFINAL:
		fac_page_u64(page, labels, line->unfinal);
		break;
	case LINE_FIGURES:
		break;
	}
}

/* ---- Lanes. ---- */

enum lane_figure {
	LANE_READY,
	LANE_LEASED,
	LANE_DRY,
	LANE_IN_FLIGHT,
	LANE_OLDEST,
	LANE_BALANCE,
	LANE_RUNWAY,
	LANE_FIGURES
};
static const char *const lane_names[LANE_FIGURES][2] = {
	[LANE_READY] = {"x402_lane_ready", "1 when this signer may sign."},
	[LANE_LEASED] = {"x402_lane_leased",
		"1 when this instance signs for it."},
	[LANE_DRY] = {"x402_signer_dry",
		"1 when it cannot pay for another transaction."},
	[LANE_IN_FLIGHT] = {"x402_lane_in_flight",
		"Its transactions without a receipt."},
	[LANE_OLDEST] = {"x402_lane_oldest_seconds",
		"Age of the oldest of them."},
	[LANE_BALANCE] = {"x402_signer_balance_wei",
		"What it has to pay gas with."},
	[LANE_RUNWAY] = {"x402_signer_runway_hours",
		"How long that lasts at the rate of spending since the "
		"start."},
};

static void tell_lane(struct fac_page *page, enum lane_figure figure,
	const char *network, const struct fac_lane_stats *lane)
{
	const struct fac_labels *labels = LABELS(
		{"network", network}, {"signer", lane->signer});

	switch (figure) {
	case LANE_READY:
		fac_page_u64(page, labels, lane->ready);
		break;
	case LANE_LEASED:
		fac_page_u64(page, labels, lane->leased);
		break;
	case LANE_DRY:
		fac_page_u64(page, labels, lane->dry);
		break;
	case LANE_IN_FLIGHT:
		fac_page_u64(page, labels, lane->in_flight);
		break;
	case LANE_OLDEST:
		fac_page_ms(page, labels, lane->oldest_ms);
		break;
	case LANE_BALANCE:
		if (lane->balance_known)
			fac_page_u256(page, labels, &lane->balance_wei);
		break;
	case LANE_RUNWAY:
		/* Nothing was spent: no figure is better than a made one. */
		if (lane->balance_known && lane->runway_hours != UINT64_MAX)
			fac_page_u64(page, labels, lane->runway_hours);
		break;
	case LANE_FIGURES:
		break;
	}
}

static void tell_lanes(struct fac_page *page, enum lane_figure figure,
	const struct fac_line_stats *line)
{
	for (size_t i = 0; i < line->lanes_len; i++)
		tell_lane(page, figure, line->network, &line->lanes[i]);
}

void fac_metrics_engine(
	struct fac_page *page, const struct fac_engine_stats *stats)
{
	tell_payments(page, stats);
	tell_counters(page, stats);
	for (unsigned f = 0; f < LINE_FIGURES; f++) {
		fac_page_family(page, FAC_METRIC_GAUGE, line_names[f][0],
			line_names[f][1]);
		for (size_t i = 0; i < stats->lines_len; i++)
			tell_line(page, (enum line_figure)f, &stats->lines[i]);
	}
	for (unsigned f = 0; f < LANE_FIGURES; f++) {
		fac_page_family(page, FAC_METRIC_GAUGE, lane_names[f][0],
			lane_names[f][1]);
		for (size_t i = 0; i < stats->lines_len; i++)
			tell_lanes(page, (enum lane_figure)f, &stats->lines[i]);
	}
}
