/*
 * gather.h: figures of every thread, brought together on the main one.
 *
 * Each thread is asked by mail and answers when it comes to it, so figures
 * are of slightly different moments.
 *
 * Thread rule: the main thread.
 */
#ifndef FAC_OPS_GATHER_H
#define FAC_OPS_GATHER_H

#include "run/settler.h"
#include "run/worker.h"

/* Who is asked. All must live until done has run. */
struct fac_gather_sources {
	struct fac_loop *loop; /* the main thread's */
	struct fac_settler *settler;
	struct fac_worker *const *workers;
	size_t workers_len;
	/* The main thread's own watch; entries may be NULL. */
	struct fac_chain *const *watch;
	size_t chains_len;
};

struct fac_gathered {
	struct fac_engine_stats engine;
	struct fac_chain_stats chains[FAC_ENGINE_CHAINS_MAX];
};

/* done runs once, later; what it gets is borrowed. */
void fac_gather(const struct fac_gather_sources *sources,
	void (*done)(void *user, const struct fac_gathered *gathered),
	void *user);

#endif
