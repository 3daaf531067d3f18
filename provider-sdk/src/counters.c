/*
 * counters.c: open addressing over a fixed table, in windows of a few places:
 * a key lives in one of the PROBES places behind its hash, so that looking one
 * up and finding that there is no room cost the same.
 */
#include "counters_p.h"

#include <pthread.h>
#include <stdlib.h>

#define PROBES 16

struct counter {
	uint8_t key32[32];
	uint64_t until_unix_s;
	uint32_t count; /* 0: free */
};

struct x402__counters {
	pthread_mutex_t lock;
	struct counter places[X402__COUNTERS_MAX];
};

struct x402__counters *x402__counters_new(void)
{
	/* Zero pages cost nothing until they are written to. */
	struct x402__counters *counters = calloc(1, sizeof(*counters));

	if (counters && pthread_mutex_init(&counters->lock, NULL) != 0) {
		free(counters);
		return NULL;
	}
	return counters;
}

void x402__counters_free(struct x402__counters *counters)
{
	if (!counters)
		return;
	pthread_mutex_destroy(&counters->lock);
	free(counters);
}

static struct counter *find(struct x402__counters *counters,
	const uint8_t key32[32], uint64_t now_unix_s)
{
	struct counter *room = NULL;
	uint64_t at;

	memcpy(&at, key32, sizeof(at));
	for (size_t i = 0; i < PROBES; i++) {
		struct counter *one =
			&counters->places[(at + i) % X402__COUNTERS_MAX];

		if (one->count && one->until_unix_s < now_unix_s)
			one->count = 0;
		if (one->count && memcmp(one->key32, key32, 32) == 0)
			return one;
		if (!one->count && !room)
			room = one;
	}
	return room;
}

bool x402__counters_take(struct x402__counters *counters,
	const uint8_t key32[32], uint32_t limit, uint64_t until_unix_s,
	uint64_t now_unix_s)
{
	struct counter *one;
	bool taken;

	pthread_mutex_lock(&counters->lock);
	one = find(counters, key32, now_unix_s);
	taken = one && one->count < limit;
	if (taken && one->count == 0) {
		memcpy(one->key32, key32, sizeof(one->key32));
		one->until_unix_s = until_unix_s;
	}
	if (taken)
		one->count++;
	pthread_mutex_unlock(&counters->lock);
	return taken;
}

bool x402__counters_have(struct x402__counters *counters,
	const uint8_t key32[32], uint64_t now_unix_s)
{
	const struct counter *one;
	bool have;

	pthread_mutex_lock(&counters->lock);
	one = find(counters, key32, now_unix_s);
	have = one && one->count > 0;
	pthread_mutex_unlock(&counters->lock);
	return have;
}

void x402__counters_drop(struct x402__counters *counters,
	const uint8_t key32[32], uint64_t now_unix_s)
{
	struct counter *one;

	pthread_mutex_lock(&counters->lock);
	one = find(counters, key32, now_unix_s);
	/* find() may have given a free place. */
	if (one && one->count && memcmp(one->key32, key32, 32) == 0)
		one->count = 0;
	pthread_mutex_unlock(&counters->lock);
}
