/*
 * postgres_p.h: the store on PostgreSQL, for several daemons that share it.
 * Private to store/.
 *
 * Thread rule: the store's thread, but for fac_postgres_stop (any).
 */
#ifndef FAC_STORE_POSTGRES_P_H
#define FAC_STORE_POSTGRES_P_H

#include "store/verb.h"

struct fac_postgres;

/* See fac_store_open; options->path is a URI. */
X402_MUST_USE enum x402_err fac_postgres_open(
	const struct fac_store_options *options, struct x402_errinfo *info,
	struct fac_postgres **ret_postgres);
void fac_postgres_close(struct fac_postgres *postgres);
/* Stop waiting for a server that does not answer. */
void fac_postgres_stop(struct fac_postgres *postgres);
/*
 * Run a list of verbs and commit: each has its reply then. A long list takes
 * several transactions. False: some of it is not known to be durable, and
 * those verbs say STORE.
 */
bool fac_postgres_run_group(
	struct fac_postgres *postgres, struct fac_verb *verbs);

#endif
