/*
 * upstream_state.c: begin() and end() around every request, change() where the
 * breaker moves. A request that began before the last change ends unheard: what
 * was known then has been judged already, and a late failure must not open what
 * has just been proven good.
 */
#include "upstream_state.h"

static uint32_t at_least_one(uint32_t value)
{
	return value ? value : 1;
}

void gw_upstream_init(const struct gw_upstream_options *options,
	uint64_t now_ms, struct gw_upstream_state *ret_state)
{
	*ret_state = (struct gw_upstream_state){.options = *options,
		.breaker = GW_BREAKER_CLOSED,
		.up = true,
		.check_at_ms = now_ms};
	ret_state->options.open_ms = at_least_one(options->open_ms);
	if (ret_state->options.open_max_ms < ret_state->options.open_ms)
		ret_state->options.open_max_ms = ret_state->options.open_ms;
	ret_state->options.probes = at_least_one(options->probes);
	ret_state->options.health_rise = at_least_one(options->health_rise);
	ret_state->options.health_fall = at_least_one(options->health_fall);
}

/* ---- The breaker. ---- */

static void change(struct gw_upstream_state *state, enum gw_breaker breaker)
{
	state->breaker = breaker;
	state->epoch++;
	state->failures = 0;
	state->probing = 0;
	state->probed = 0;
}

static void trip(struct gw_upstream_state *state, uint64_t now_ms)
{
	uint32_t max = state->options.open_max_ms;

	if (state->breaker == GW_BREAKER_CLOSED)
		state->pause_ms = state->options.open_ms;
	else
		state->pause_ms =
			state->pause_ms > max / 2 ? max : state->pause_ms * 2;
	change(state, GW_BREAKER_OPEN);
	state->open_until_ms = now_ms + state->pause_ms;
	state->opened++;
}

/* What is left until a time, at least a millisecond. */
static uint32_t left_ms(uint64_t until_ms, uint64_t now_ms)
{
	uint64_t left = until_ms > now_ms ? until_ms - now_ms : 1;

	return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

bool gw_upstream_may(const struct gw_upstream_state *state, uint64_t now_ms,
	uint32_t *ret_retry_ms)
{
	if (!state->up) {
		*ret_retry_ms = left_ms(state->check_at_ms, now_ms);
		return false;
	}
	switch (state->breaker) {
	case GW_BREAKER_CLOSED:
		return true;
	case GW_BREAKER_OPEN:
		if (now_ms >= state->open_until_ms)
			return true;
		*ret_retry_ms = left_ms(state->open_until_ms, now_ms);
		return false;
	case GW_BREAKER_HALF_OPEN:
		break;
	}
	if (state->probing + state->probed < state->options.probes)
		return true;
	/* The probes decide; how long they take nobody knows. */
	*ret_retry_ms = state->pause_ms;
	return false;
}

bool gw_upstream_begin(struct gw_upstream_state *state, uint64_t now_ms,
	struct gw_upstream_ticket *ret_ticket, uint32_t *ret_retry_ms)
{
	if (!gw_upstream_may(state, now_ms, ret_retry_ms))
		return false;
	if (state->breaker == GW_BREAKER_OPEN)
		change(state, GW_BREAKER_HALF_OPEN);
	ret_ticket->epoch = state->epoch;
	ret_ticket->probe = state->breaker == GW_BREAKER_HALF_OPEN;
	if (ret_ticket->probe)
		state->probing++;
	return true;
}

static void end_probe(struct gw_upstream_state *state,
	enum gw_upstream_outcome outcome, uint64_t now_ms)
{
	state->probing--;
	switch (outcome) {
	case GW_UPSTREAM_GOOD:
		if (++state->probed >= state->options.probes)
			change(state, GW_BREAKER_CLOSED);
		return;
	case GW_UPSTREAM_BAD:
		trip(state, now_ms);
		return;
	case GW_UPSTREAM_NEUTRAL:
		/* Its place is free again for another probe. */
		return;
	}
}

void gw_upstream_end(struct gw_upstream_state *state,
	const struct gw_upstream_ticket *ticket,
	enum gw_upstream_outcome outcome, uint64_t now_ms)
{
	if (ticket->epoch != state->epoch)
		return;
	if (ticket->probe) {
		end_probe(state, outcome, now_ms);
		return;
	}
	switch (outcome) {
	case GW_UPSTREAM_GOOD:
		state->failures = 0;
		return;
	case GW_UPSTREAM_BAD:
		if (state->options.failures &&
			++state->failures >= state->options.failures)
			trip(state, now_ms);
		return;
	case GW_UPSTREAM_NEUTRAL:
		return;
	}
}

/* ---- The health check. ---- */

bool gw_upstream_check_due(struct gw_upstream_state *state, uint64_t now_ms)
{
	if (!state->options.health_interval_ms || state->checking ||
		now_ms < state->check_at_ms)
		return false;
	state->checking = true;
	state->check_at_ms = now_ms + state->options.health_interval_ms;
	return true;
}

void gw_upstream_checked(
	struct gw_upstream_state *state, bool good, uint64_t now_ms)
{
	state->checking = false;
	/* A check that took longer than the interval: not two at once. */
	if (state->check_at_ms < now_ms)
		state->check_at_ms = now_ms;
	if (good == state->up) {
		state->streak = 0;
		return;
	}
	state->streak++;
	if (state->streak < (state->up ? state->options.health_fall
				       : state->options.health_rise))
		return;
	state->streak = 0;
	state->up = good;
}
