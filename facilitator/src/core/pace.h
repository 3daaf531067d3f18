/*
 * pace.h: when to look for a transaction that a node has taken. Chains differ
 * by four orders of magnitude: a development chain mines at once, Ethereum
 * every twelve seconds. Nobody says which; what was found, and when, does.
 *
 * A struct fac_pace remembers how soon the last ones were found. While first
 * looks find them the next first look comes sooner; when one is found late,
 * first looks go back to FAC_PACE_STEP_MS and beyond. Below that step they come
 * by a few finds in a row only: where blocks take seconds the first look finds
 * something now and then by chance, and must not cause more questions.
 *
 * Not for: how long company is waited for (batch.c), and sending again.
 * Thread rule: one thread for each struct fac_pace. No call fails.
 */
#ifndef FAC_CORE_PACE_H
#define FAC_CORE_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Sooner than this a look has to be earned by what was found before. */
#define FAC_PACE_STEP_MS 100

/* All zero: nothing was found yet. */
struct fac_pace {
	bool known;
	unsigned in_a_row; /* first looks that found something */
	uint64_t first_ms; /* from a node's yes to the first look */
};

/* The pause before the first look. */
uint64_t fac_pace_first(const struct fac_pace *pace);
/*
 * The pause after one of pause_ms that found nothing: twice as long below the
 * step, a quarter longer above, never more than most_ms.
 */
uint64_t fac_pace_next(uint64_t pause_ms, uint64_t most_ms);
/*
 * One was found, by look number looks (from 1), elapsed_ms after a node took
 * it. most_ms: no first look is later.
 */
void fac_pace_found(struct fac_pace *pace, unsigned looks, uint64_t elapsed_ms,
	uint64_t most_ms);
/* The next looks are soon ones: what is sent is mined at once here. */
bool fac_pace_is_quick(const struct fac_pace *pace);

#endif
