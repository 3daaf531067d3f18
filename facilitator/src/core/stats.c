/*
 * Looking into the engine: what the operator's metrics and readiness are made
 * of. Nothing is changed here.
 */
#include "core/engine_p.h"

#include <stdlib.h>

#define GWEI UINT64_C(1000000000)

bool fac_engine_lanes_are_ready(const struct fac_engine *engine)
{
	for (size_t i = 0; i < engine->lines_len; i++) {
		const struct fac_line *line = &engine->lines[i];

		for (size_t at = 0; at < line->config.signers_len; at++) {
			const struct fac_lane *lane = &line->lanes[at];

			/* What another instance has is not ours to wait for. */
			if (lane->step != FAC_LANE_READY &&
				!(engine->shared && engine->alive &&
					lane->step == FAC_LANE_LEASING))
				return false;
		}
	}
	return true;
}

static uint64_t runway_hours(
	const struct fac_engine *engine, const struct fac_lane *lane)
{
	uint64_t ran_ms = fac_engine_now(engine) - engine->started_ms;
	struct x402_u256 balance;
	uint64_t has;
	uint64_t spent = 0;

	/* A lane that rests now will share the work: the mean of all. */
	for (size_t i = 0; i < lane->line->config.signers_len; i++)
		spent += lane->line->lanes[i].spent_gwei;
	spent /= lane->line->config.signers_len;
	if (!spent ||
		!x402_u256_div_u64(&lane->balance, GWEI, &balance, NULL) ||
		!x402_u256_to_u64(&balance, &has))
		return UINT64_MAX;
	return (uint64_t)((__uint128_t)has * ran_ms / spent / 3600000);
}

static void lane_stats(
	const struct fac_lane *lane, struct fac_lane_stats *ret_stats)
{
	const struct fac_engine *engine = lane->line->engine;
	uint64_t now = fac_engine_now(engine);

	*ret_stats = (struct fac_lane_stats){
		.ready = lane->step == FAC_LANE_READY,
		.leased = lane->step != FAC_LANE_LEASING,
		.dry = lane->dry,
		.in_flight = lane->in_flight,
		.balance_known = lane->balance_known,
		.balance_wei = lane->balance,
		.runway_hours = runway_hours(engine, lane)};
	memcpy(ret_stats->signer, lane->text, sizeof(ret_stats->signer));
	for (const struct fac_tx *tx = lane->line->txs; tx; tx = tx->next) {
		uint64_t since = tx->transaction.created_ms;

		if (tx->lane == lane && !tx->dead && !tx->mined &&
			now > since && now - since > ret_stats->oldest_ms)
			ret_stats->oldest_ms = now - since;
	}
}

static void line_stats(
	const struct fac_line *line, struct fac_line_stats *ret_stats)
{
	uint64_t now = fac_engine_now(line->engine);

	memset(ret_stats, 0, sizeof(*ret_stats));
	memcpy(ret_stats->network, line->config.network.caip2,
		sizeof(ret_stats->network));
	ret_stats->head = line->head_known ? line->head.number : 0;
	ret_stats->head_age_ms = line->head_known ? now - line->head_ms : 0;
	ret_stats->queued = line->queued_len;
	ret_stats->base_fee_wei = line->fees.base_fee_per_gas;
	for (const struct fac_tx *tx = line->txs; tx; tx = tx->next) {
		ret_stats->in_flight += !tx->dead && !tx->mined;
		ret_stats->unfinal += !tx->dead && tx->mined;
	}
	ret_stats->lanes_len = line->config.signers_len;
	for (size_t i = 0; i < line->config.signers_len; i++)
		lane_stats(&line->lanes[i], &ret_stats->lanes[i]);
}

void fac_engine_stats(
	const struct fac_engine *engine, struct fac_engine_stats *ret_stats)
{
	*ret_stats = engine->stats;
	ret_stats->recovered = fac_engine_lanes_are_ready(engine);
	ret_stats->lines_len = engine->lines_len;
	for (size_t i = 0; i < engine->lines_len; i++) {
		struct fac_line_stats *line = &ret_stats->lines[i];

		line_stats(&engine->lines[i], line);
		ret_stats->in_flight += line->in_flight;
		for (size_t at = 0; at < line->lanes_len; at++)
			if (line->lanes[at].oldest_ms > ret_stats->oldest_ms)
				ret_stats->oldest_ms =
					line->lanes[at].oldest_ms;
	}
	for (const struct fac_waiter *w = engine->waiters; w; w = w->next)
		ret_stats->waiting++;
}
