/*
 * The checks of /readyz, one line each. See ready.h for what they decide.
 */
#include "ops/ready.h"

#include <stdio.h>

/* Returns ok. */
static bool tell(struct x402_buf *lines, bool ok, const char *what,
	const char *name, const char *text)
{
	x402_buf_printf(lines, "[%c]%s%s%s: %s\n", ok ? '+' : '-', what,
		*name ? " " : "", name, text);
	return ok;
}

static bool check_endpoints(
	const struct fac_ready_chain *chain, struct x402_buf *lines)
{
	const char *text = "unknown";

	switch (chain->health) {
	case FAC_CHAIN_UNSEEN:
		text = "not asked yet";
		break;
	case FAC_CHAIN_USABLE:
		text = "an endpoint answers";
		break;
	case FAC_CHAIN_DOWN:
		text = "no endpoint answers";
		break;
	case FAC_CHAIN_WRONG:
		text = "an endpoint serves another chain";
		break;
	}
	return tell(lines, chain->health == FAC_CHAIN_USABLE, "chain",
		chain->network, text);
}

static bool check_head(const struct fac_ready_chain *chain,
	const struct fac_line_stats *line, struct x402_buf *lines)
{
	char text[96] = "not heard of yet";

	if (line->head)
		snprintf(text, sizeof(text), "block %llu, for %llu s",
			(unsigned long long)line->head,
			(unsigned long long)line->head_age_ms / 1000);
	return tell(lines,
		line->head &&
			(!chain->max_head_age_ms ||
				line->head_age_ms <= chain->max_head_age_ms),
		"head", chain->network, text);
}

/* Seconds in flight are told; whether it stands still is decided. */
static bool check_lane(
	const struct fac_lane_stats *lane, struct x402_buf *lines)
{
	char text[160];
	bool stuck = lane->oldest_ms >= FAC_READY_LANE_STUCK_MS;
	const char *state = lane->dry ? "cannot pay gas"
		: !lane->leased       ? "another instance signs for it"
		: !lane->ready        ? "its journal is being read"
		: stuck               ? "does not move"
				      : "signs";

	int len = snprintf(text, sizeof(text),
		"%s; %llu in flight, the oldest for %llu s", state,
		(unsigned long long)lane->in_flight,
		(unsigned long long)lane->oldest_ms / 1000);
	if (lane->balance_known && lane->runway_hours != UINT64_MAX)
		snprintf(text + len, sizeof(text) - (size_t)len,
			"; gas for %llu h",
			(unsigned long long)lane->runway_hours);
	return tell(lines, !lane->dry && !stuck, "signer", lane->signer, text);
}

/* One signer that can pay is enough; another instance's will do. */
static bool check_line(const struct fac_ready_chain *chain,
	const struct fac_line_stats *line, struct x402_buf *lines)
{
	bool well = check_head(chain, line, lines);
	size_t able = 0;

	for (size_t i = 0; i < line->lanes_len; i++)
		able += check_lane(&line->lanes[i], lines);
	return well && able;
}

static bool check_chain(const struct fac_ready_chain *chain,
	const struct fac_engine_stats *engine, struct x402_buf *lines)
{
	bool well = check_endpoints(chain, lines);

	for (size_t i = 0; i < engine->lines_len; i++)
		if (!strcmp(engine->lines[i].network, chain->network))
			return check_line(chain, &engine->lines[i], lines) &&
				well;
	return false;
}

static bool check_journal(
	const struct fac_store_stats *stats, struct x402_buf *lines)
{
	char text[96];

	snprintf(text, sizeof(text), "%llu wait, the first for %llu ms",
		(unsigned long long)stats->queued,
		(unsigned long long)stats->oldest_ms);
	return tell(lines, stats->oldest_ms < FAC_READY_JOURNAL_LAG_MS,
		"journal", "", text);
}

bool fac_ready(const struct fac_ready_view *view, struct x402_buf *lines)
{
	size_t well = 0;
	bool ready = tell(lines, !view->draining, "daemon", "",
		view->draining ? "draining" : "serving");

	ready &= tell(lines, !view->store, "store", "",
		view->store ? "no row could be committed" : "writable");
	ready &= check_journal(view->stats, lines);
	ready &= tell(lines, view->engine->recovered, "recovery", "",
		view->engine->recovered ? "done" : "the journal is being read");
	for (size_t i = 0; i < view->chains_len; i++)
		well += check_chain(&view->chains[i], view->engine, lines);
	return ready && well;
}
