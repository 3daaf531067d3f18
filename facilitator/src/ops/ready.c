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

static bool check_chain(
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

static bool check_lanes(
	const struct fac_engine_stats *engine, struct x402_buf *lines)
{
	char text[96] = "nothing in flight";

	if (engine->in_flight)
		snprintf(text, sizeof(text),
			"%llu in flight, the oldest for %llu s",
			(unsigned long long)engine->in_flight,
			(unsigned long long)engine->oldest_ms / 1000);
	return tell(lines, engine->oldest_ms < FAC_READY_LANE_STUCK_MS, "lanes",
		"", text);
}

bool fac_ready(const struct fac_ready_view *view, struct x402_buf *lines)
{
	size_t well = 0;
	bool ready = tell(lines, !view->draining, "daemon", "",
		view->draining ? "draining" : "serving");

	ready &= tell(lines, !view->store, "store", "",
		view->store ? "no row could be committed" : "writable");
	ready &= tell(lines, view->engine->recovered, "journal", "",
		view->engine->recovered ? "read; every lane may sign"
					: "being read");
	ready &= check_lanes(view->engine, lines);
	for (size_t i = 0; i < view->chains_len; i++)
		well += check_chain(&view->chains[i], lines);
	return ready && well;
}
