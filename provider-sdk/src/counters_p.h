/*
 * counters_p.h: small counts that end by themselves: uses of a pass, free
 * requests of a day, proofs that were seen.
 *
 * The table is bounded. When every place is taken by a living count a new one
 * cannot begin, and the caller refuses the favour: who floods the table makes
 * others pay, and gets nothing himself.
 *
 * A memory that the program brings may keep the table in its place, for all who
 * share it (provider_memory.h).
 *
 * Thread rule: any thread; it has its own lock. Private to the provider SDK.
 */
#ifndef X402_PROVIDER_COUNTERS_P_H
#define X402_PROVIDER_COUNTERS_P_H

#include "x402/provider_memory.h"

/* 48 bytes each. As many addresses as a busy site sees in a day; a bigger one
 * charges from the first request on. */
#define X402__COUNTERS_MAX 65536

struct x402__counters;

/* memory: who counts in our place, when he can; NULL allowed. Borrowed. */
struct x402__counters *x402__counters_new(
	const struct x402_provider_memory *memory);
void x402__counters_free(struct x402__counters *counters);

/*
 * Count one more under a key, until a time; the first one sets it. False, and
 * nothing is counted, when there are limit already or there is no room.
 */
bool x402__counters_take(struct x402__counters *counters,
	const uint8_t key32[32], uint32_t limit, uint64_t until_unix_s,
	uint64_t now_unix_s);

/* Is there a living count under this key? */
bool x402__counters_have(struct x402__counters *counters,
	const uint8_t key32[32], uint64_t now_unix_s);

/* Forget it, whatever it is. */
void x402__counters_drop(struct x402__counters *counters,
	const uint8_t key32[32], uint64_t now_unix_s);

/* ---- The same over a table that somebody else keeps, and locks. ---- */

/* All zero is a free place. The count is written last: who is killed while
 * writing a place leaves a free one, or one that is whole. */
struct x402__counter {
	uint8_t key32[32];
	uint64_t until_unix_s;
	uint32_t count; /* 0: free */
};

bool x402__counter_take(struct x402__counter *places, const uint8_t key32[32],
	uint32_t limit, uint64_t until_unix_s, uint64_t now_unix_s);
bool x402__counter_have(struct x402__counter *places, const uint8_t key32[32],
	uint64_t now_unix_s);
void x402__counter_drop(struct x402__counter *places, const uint8_t key32[32],
	uint64_t now_unix_s);

#endif
