/*
 * settler.h: the engine on its own thread, with its chains and the store.
 *
 * Workers call fac_settler_settle from their threads; the answer comes back
 * as mail on their own loop.
 *
 * Not for: verification; workers have their own struct fac_chain for that.
 * Thread rule: start and stop on the main thread; the rest from any thread.
 */
#ifndef FAC_RUN_SETTLER_H
#define FAC_RUN_SETTLER_H

#include "core/engine.h"
#include "run/chain_stats.h"
#include "run/loop.h"

struct fac_settler;

struct fac_settler_chain {
	/* Signer keys, ceilings: see core/engine.h. */
	struct fac_engine_chain engine;
	/* Required: as fac_chain_options. */
	const char *const *rpc_urls;
	size_t rpc_urls_len;
	uint32_t timeout_ms;
	uint32_t head_lag_max;
	int32_t hedge_ms;
	uint32_t rps;
};

struct fac_settler_options {
	/* Required, copied; keys are borrowed and must outlive the settler. */
	const struct fac_settler_chain *chains;
	size_t chains_len;
	/* Required; must outlive the settler: close it after stop. */
	struct fac_store *store;
	/*
	 * Optional: this instance's name in a shared store; a random one
	 * otherwise. With a fixed name a restarted daemon takes up its own
	 * reservations at once; two that run must never have the same.
	 */
	const char *owner;
	/* Optional: a line for the log, from the settler's thread. */
	void (*note)(void *user, bool warning, const char *text);
	void *user;
};

/*
 * Make the thread and start recovery. Errors of fac_engine_new and
 * fac_chain_new; NOMEM.
 */
X402_MUST_USE enum x402_err fac_settler_start(
	const struct fac_settler_options *options,
	struct fac_settler **ret_settler);
/*
 * Stop the thread: callers that wait are answered first, signed payments
 * resume at the next start. drain_ms: wait so long for what is in flight.
 * Worker loops must still run or exist. NULL allowed.
 */
void fac_settler_stop(struct fac_settler *settler, uint64_t drain_ms);

/*
 * fac_engine_settle from another thread. Takes request->plan; done runs on
 * reply_to's thread. The ticket is for fac_settler_leave.
 */
uint64_t fac_settler_settle(struct fac_settler *settler,
	struct fac_settle_request *request, struct fac_loop *reply_to,
	void (*done)(void *user, const struct fac_settle_result *result),
	void *user);
/* The HTTP caller has gone; done still runs. */
void fac_settler_leave(struct fac_settler *settler, uint64_t ticket);

/* done on reply_to's thread. */
void fac_settler_stats(struct fac_settler *settler, struct fac_loop *reply_to,
	void (*done)(void *user, const struct fac_engine_stats *stats),
	void *user);
/* What the settler's own pools saw. */
void fac_settler_chain_stats(
	struct fac_settler *settler, struct fac_chain_stats_to to);

#endif
