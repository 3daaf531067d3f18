/*
 * How soon to look: see pace.h. Until something was found FIRST_MS is tried: a
 * chain with slow blocks pays a few questions for it, once in a daemon's life.
 */
#include "core/pace.h"

/* Before anything was found: most development chains have mined by then. */
#define FIRST_MS 10
/* Blocks of a second give three such finds once in a thousand times. */
#define IN_A_ROW 3

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t fac_pace_first(const struct fac_pace *pace)
{
	return pace->known ? pace->first_ms : FIRST_MS;
}

uint64_t fac_pace_next(uint64_t pause_ms, uint64_t most_ms)
{
	uint64_t next = pause_ms + pause_ms / 4;

	if (pause_ms < FAC_PACE_STEP_MS)
		next = pause_ms ? least(2 * pause_ms, FAC_PACE_STEP_MS) : 1;
	return least(next, most_ms);
}

void fac_pace_found(struct fac_pace *pace, unsigned looks, uint64_t elapsed_ms,
	uint64_t most_ms)
{
	uint64_t first = fac_pace_first(pace);

	pace->known = true;
	pace->in_a_row = looks <= 1 ? pace->in_a_row + 1 : 0;
	if (looks <= 1) {
		if (first < FAC_PACE_STEP_MS || pace->in_a_row >= IN_A_ROW)
			pace->first_ms = least(first, FAC_PACE_STEP_MS) / 2;
	} else if (elapsed_ms < FAC_PACE_STEP_MS) {
		/* Just missed: not so soon again. */
		pace->first_ms = elapsed_ms;
	} else {
		if (first < FAC_PACE_STEP_MS)
			first = FAC_PACE_STEP_MS;
		pace->first_ms = fac_pace_next(first,
			most_ms > FAC_PACE_STEP_MS ? most_ms
						   : FAC_PACE_STEP_MS);
	}
}

bool fac_pace_is_quick(const struct fac_pace *pace)
{
	return pace->known && pace->first_ms < FAC_PACE_STEP_MS;
}
