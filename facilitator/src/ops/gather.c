/*
 * Ask the settler, every worker and our own watch; the last answer calls
 * done.
 */
#include "ops/gather.h"

#include "ops/metrics.h"

#include <stdlib.h>

struct gathering {
	struct fac_gathered gathered;
	size_t owed; /* answers */
	void (*done)(void *user, const struct fac_gathered *gathered);
	void *user;
};

static void got_one(struct gathering *gathering)
{
	if (--gathering->owed)
		return;
	gathering->done(gathering->user, &gathering->gathered);
	free(gathering);
}

static void on_engine(void *user, const struct fac_engine_stats *stats)
{
	struct gathering *gathering = user;

	gathering->gathered.engine = *stats;
	got_one(gathering);
}

static void on_chains(
	void *user, const struct fac_chain_stats *stats, size_t stats_len)
{
	struct gathering *gathering = user;

	for (size_t i = 0; i < stats_len; i++)
		fac_metrics_add_chain(
			&gathering->gathered.chains[i], &stats[i]);
	got_one(gathering);
}

void fac_gather(const struct fac_gather_sources *sources,
	void (*done)(void *user, const struct fac_gathered *gathered),
	void *user)
{
	struct gathering *gathering = calloc(1, sizeof(*gathering));
	struct fac_chain_stats_to to = {sources->loop, on_chains, gathering};

	if (!gathering)
		abort(); /* style.md 5 */
	gathering->done = done;
	gathering->user = user;
	/* Engine, settler's pools, our own, and each worker's. */
	gathering->owed = 3 + sources->workers_len;
	fac_settler_stats(
		sources->settler, sources->loop, on_engine, gathering);
	fac_settler_chain_stats(sources->settler, to);
	fac_chain_stats_mail(sources->watch, sources->chains_len, to);
	for (size_t i = 0; i < sources->workers_len; i++)
		fac_worker_chain_stats(sources->workers[i], to);
}
