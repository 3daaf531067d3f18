/*
 * Counting answers (see counts.h). One writer for each set of figures, so
 * relaxed order is enough: nobody decides anything by them.
 */
#include "api/counts.h"

#include <stddef.h>

static void add(_Atomic uint64_t *figure, uint64_t amount)
{
	atomic_fetch_add_explicit(figure, amount, memory_order_relaxed);
}

static size_t status_index(int status)
{
	static const int statuses[] = FAC_COUNTED_STATUSES;
	size_t i = 0;

	while (i < FAC_COUNTED_STATUSES_LEN - 1 && statuses[i] != status)
		i++;
	return i;
}

void fac_counts_answer(struct fac_http_counts *counts,
	enum fac_route_name route, int status, uint64_t duration_ms)
{
	static const uint64_t bounds[] = FAC_DURATION_BOUNDS_MS;
	size_t bucket = 0;

	if (!counts)
		return;
	while (bucket < FAC_DURATION_BOUNDS_LEN && duration_ms > bounds[bucket])
		bucket++;
	add(&counts->answers[route][status_index(status)], 1);
	add(&counts->duration_buckets[route][bucket], 1);
	add(&counts->duration_ms[route], duration_ms);
}
