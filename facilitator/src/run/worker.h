/*
 * worker.h: one thread that serves HTTP: a loop, a listening socket shared
 * by SO_REUSEPORT, its own connections to the chains, and the endpoints.
 *
 * Not for: money; that is the settler's thread.
 * Thread rule: main thread, but for fac_worker_set (any).
 */
#ifndef FAC_RUN_WORKER_H
#define FAC_RUN_WORKER_H

#include "api/api.h"
#include "run/chain_stats.h"

struct fac_worker;

struct fac_worker_options {
	/* Required; must outlive the worker. */
	const struct fac_config *config;
	/* Required: one for each chain of config; outlive the worker. */
	struct fac_chain_status *status;
	const struct x402_address (*signers)[FAC_ENGINE_SIGNERS_MAX];
	struct fac_store *store;
	struct fac_settler *settler;
	/* Required: of all workers together; each takes its share. */
	uint32_t max_connections;
	/* Optional: where this worker counts; outlives the worker. */
	struct fac_http_counts *counts;
	/* Required: where done callbacks of drain and close run. */
	struct fac_loop *main_loop;
	unsigned index;
	/* The port to bind; 0 lets the system choose (first worker). */
	uint16_t port;
};

/*
 * Bind and start serving. NETWORK when it cannot listen (info says why);
 * NOMEM; errors of fac_chain_new.
 */
X402_MUST_USE enum x402_err fac_worker_start(
	const struct fac_worker_options *options, struct x402_errinfo *info,
	struct fac_worker **ret_worker);
uint16_t fac_worker_port(const struct fac_worker *worker);
/* Settings for requests that come from now on. Copied. */
void fac_worker_set(
	struct fac_worker *worker, const struct fac_settings *settings);
/* What the worker's own pools saw. */
void fac_worker_chain_stats(
	struct fac_worker *worker, struct fac_chain_stats_to to);
/* Stop accepting, answer what was asked, then done on the main loop. */
void fac_worker_drain(
	struct fac_worker *worker, void (*done)(void *user), void *user);
/*
 * Close every connection and chain now; start nothing new. Afterwards the
 * worker only waits for answers that the settler and the store still owe.
 */
void fac_worker_close(
	struct fac_worker *worker, void (*done)(void *user), void *user);
/* After close, and after settler and store were stopped: end the thread. */
void fac_worker_finish(struct fac_worker *worker);

#endif
