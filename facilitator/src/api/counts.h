/*
 * counts.h: what was asked of one worker and answered by it, for metrics.
 *
 * Not for: deciding. Figures only go up, but for open.
 * Thread rule: one worker writes its own; any thread may read. A reader sees
 * each figure as it was at some moment, not all of them at the same one.
 */
#ifndef FAC_API_COUNTS_H
#define FAC_API_COUNTS_H

#include <stdatomic.h>
#include <stdint.h>

/* X(name, label): what a request is counted under. */
#define FAC_ROUTE_MAP(X)                                     \
	X(OTHER, "other") /* no such path, and preflights */ \
	X(VERIFY, "/verify")                                 \
	X(SETTLE, "/settle")                                 \
	X(SUPPORTED, "/supported")                           \
	X(HEALTH, "/health")                                 \
	X(RESOURCES, "/discovery/resources")                 \
	X(PAYMENT, "/payments/{id}")                         \
	X(ADMIN, "admin")

enum fac_route_name {
#define FAC__ROUTE_ENUM(name, label) FAC_ROUTE_##name,
	FAC_ROUTE_MAP(FAC__ROUTE_ENUM) FAC_ROUTE_COUNT
#undef FAC__ROUTE_ENUM
};

/* Statuses that have a figure of their own: a bounded label. 0: others. */
#define FAC_COUNTED_STATUSES                                                  \
	{                                                                     \
		200, 202, 204, 400, 403, 404, 405, 409, 413, 429, 500, 503, 0 \
	}
#define FAC_COUNTED_STATUSES_LEN 13

/* Upper bounds in ms; what takes longer is only in the count. */
#define FAC_DURATION_BOUNDS_MS                                               \
	{                                                                    \
		1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, \
			30000                                                \
	}
#define FAC_DURATION_BOUNDS_LEN 14

struct fac_http_counts {
	_Atomic uint64_t answers[FAC_ROUTE_COUNT][FAC_COUNTED_STATUSES_LEN];
	/* The last bucket: longer than every bound. */
	_Atomic uint64_t
		duration_buckets[FAC_ROUTE_COUNT][FAC_DURATION_BOUNDS_LEN + 1];
	_Atomic uint64_t duration_ms[FAC_ROUTE_COUNT]; /* sum */
	_Atomic uint64_t open; /* requests without an answer yet */
};

/* One answer. counts NULL: nobody counts. */
void fac_counts_answer(struct fac_http_counts *counts,
	enum fac_route_name route, int status, uint64_t duration_ms);

#endif
