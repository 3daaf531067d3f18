/*
 * chain_stats.h: what the pools of one thread saw, carried to another.
 *
 * Thread rule: fac_chain_stats_mail on the thread of the chains; done runs on
 * reply_to's.
 */
#ifndef FAC_RUN_CHAIN_STATS_H
#define FAC_RUN_CHAIN_STATS_H

#include "chain/chain.h"
#include "run/loop.h"

struct fac_chain_stats_to {
	struct fac_loop *loop;
	/* stats: one for each chain, in the order of the configuration. */
	void (*done)(void *user, const struct fac_chain_stats *stats,
		size_t stats_len);
	void *user;
};

/* A chain that is NULL (closed) has no endpoints. */
void fac_chain_stats_mail(struct fac_chain *const *chains, size_t chains_len,
	struct fac_chain_stats_to to);

#endif
