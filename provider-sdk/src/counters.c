/*
 * counters.c: open addressing over a fixed table, in windows of a few places:
 * a key lives in one of the PROBES places behind its hash, so that looking one
 * up and finding that there is no room cost the same.
 */
#include "counters_p.h"

#include <pthread.h>
#include <stdlib.h>

#define PROBES 16

struct x402__counters {
	struct x402_provider_memory memory; /* count NULL: our own table */
	pthread_mutex_t lock;
	struct x402__counter *places; /* X402__COUNTERS_MAX; NULL: theirs */
};

struct x402__counters *x402__counters_new(
	const struct x402_provider_memory *memory)
{
	struct x402__counters *counters = calloc(1, sizeof(*counters));

	if (!counters)
		return NULL;
	pthread_mutex_init(&counters->lock, NULL); /* never fails on Linux */
	if (memory && memory->count) {
		counters->memory = *memory;
		return counters;
	}
	/* Zero pages cost nothing until they are written to. */
	counters->places = calloc(
		X402__COUNTERS_MAX, sizeof(*counters->places));
	if (!counters->places) {
		x402__counters_free(counters);
		return NULL;
	}
	return counters;
}

void x402__counters_free(struct x402__counters *counters)
{
	if (!counters)
		return;
	pthread_mutex_destroy(&counters->lock);
	free(counters->places);
	free(counters);
}

/* ---- A table. ---- */

static void set_count(struct x402__counter *one, uint32_t count)
{
	__atomic_store_n(&one->count, count, __ATOMIC_RELEASE);
}

static struct x402__counter *find(struct x402__counter *places,
	const uint8_t key32[32], uint64_t now_unix_s)
{
	struct x402__counter *room = NULL;
	uint64_t at;

	memcpy(&at, key32, sizeof(at));
	at %= X402__COUNTERS_MAX;
	for (size_t i = 0; i < PROBES; i++) {
		struct x402__counter *one =
			&places[(at + i) % X402__COUNTERS_MAX];

		if (one->count && one->until_unix_s < now_unix_s)
			set_count(one, 0);
		if (one->count && memcmp(one->key32, key32, 32) == 0)
			return one;
		if (!one->count && !room)
			room = one;
	}
	return room;
}

bool x402__counter_take(struct x402__counter *places, const uint8_t key32[32],
	uint32_t limit, uint64_t until_unix_s, uint64_t now_unix_s)
{
	struct x402__counter *one = find(places, key32, now_unix_s);

	if (!one || one->count >= limit)
		return false;
	if (one->count == 0) {
		memcpy(one->key32, key32, sizeof(one->key32));
		one->until_unix_s = until_unix_s;
	}
	set_count(one, one->count + 1);
	return true;
}

bool x402__counter_have(struct x402__counter *places, const uint8_t key32[32],
	uint64_t now_unix_s)
{
	const struct x402__counter *one = find(places, key32, now_unix_s);

	return one && one->count > 0;
}

void x402__counter_drop(struct x402__counter *places, const uint8_t key32[32],
	uint64_t now_unix_s)
{
	struct x402__counter *one = find(places, key32, now_unix_s);

	/* find() may have given a free place. */
	if (one && one->count && memcmp(one->key32, key32, 32) == 0)
		set_count(one, 0);
}

/* ---- Ours, or theirs. ---- */

bool x402__counters_take(struct x402__counters *counters,
	const uint8_t key32[32], uint32_t limit, uint64_t until_unix_s,
	uint64_t now_unix_s)
{
	bool taken;

	if (!counters->places)
		return counters->memory.count(counters->memory.user, key32,
			limit, until_unix_s, now_unix_s);
	pthread_mutex_lock(&counters->lock);
	taken = x402__counter_take(
		counters->places, key32, limit, until_unix_s, now_unix_s);
	pthread_mutex_unlock(&counters->lock);
	return taken;
}

bool x402__counters_have(struct x402__counters *counters,
	const uint8_t key32[32], uint64_t now_unix_s)
{
	bool have;

	if (!counters->places)
		return counters->memory.counted(
			counters->memory.user, key32, now_unix_s);
	pthread_mutex_lock(&counters->lock);
	have = x402__counter_have(counters->places, key32, now_unix_s);
	pthread_mutex_unlock(&counters->lock);
	return have;
}

void x402__counters_drop(struct x402__counters *counters,
	const uint8_t key32[32], uint64_t now_unix_s)
{
	if (!counters->places) {
		counters->memory.uncount(
			counters->memory.user, key32, now_unix_s);
		return;
	}
	pthread_mutex_lock(&counters->lock);
	x402__counter_drop(counters->places, key32, now_unix_s);
	pthread_mutex_unlock(&counters->lock);
}
