/*
 * retention.h: forget claims of authorizations that are dead, and payments that
 * ended long ago where the operator wants it. An authorization is never
 * forgotten while it could be spent: what is dropped ended, and its
 * validBefore lies the whole retention time back.
 *
 * Thread rule: the main thread, on its loop.
 */
#ifndef FAC_OPS_RETENTION_H
#define FAC_OPS_RETENTION_H

#include "run/loop.h"
#include "store/store.h"

struct fac_retention;

/* days 0: payments are kept. loop and store must outlive it. NOMEM. */
X402_MUST_USE enum x402_err fac_retention_start(struct fac_loop *loop,
	struct fac_store *store, uint32_t days,
	struct fac_retention **ret_retention);
/* Asks nothing more. Free when the store owes no answer. NULL allowed. */
void fac_retention_stop(struct fac_retention *retention);
void fac_retention_free(struct fac_retention *retention);

#endif
