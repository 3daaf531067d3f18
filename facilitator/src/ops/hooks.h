/*
 * hooks.h: tell web hooks how payments ended.
 *
 * The store writes a row for each end and hook in the transaction that ends
 * the payment; here they are sent, at least once, until the receiver says
 * 2xx. What it refuses FAC_HOOK_TRIES_MAX times is kept as dead, for the
 * operator to look at and send again. Several daemons on one store share the
 * work; order is not kept.
 *
 * Not for: deciding. A payment that nobody hears of has settled all the same.
 * Thread rule: the main thread, on its loop.
 */
#ifndef FAC_OPS_HOOKS_H
#define FAC_OPS_HOOKS_H

#include "ops/hook_message.h"

struct fac_hooks;

struct fac_hooks_options {
	/* Required; all must outlive the hooks. */
	struct fac_loop *loop;
	struct fac_store *store;
	const struct fac_config_hook *hooks;
	size_t hooks_len; /* at least one */
};

/* NOMEM. Begins at once. */
X402_MUST_USE enum x402_err fac_hooks_start(
	const struct fac_hooks_options *options, struct fac_hooks **ret_hooks);
/*
 * Break off what is under way; it is due again when its lease is over. Free
 * when the store owes no answer any more. NULL allowed.
 */
void fac_hooks_stop(struct fac_hooks *hooks);
void fac_hooks_free(struct fac_hooks *hooks);

/* Since the start. */
struct fac_hook_stats {
	const char *name;
	uint64_t delivered;
	uint64_t failed;  /* tries */
	uint64_t skipped; /* tries put off because the receiver fails */
	uint64_t dead;    /* deliveries */
};
/* NULL allowed: none. */
size_t fac_hooks_stats(const struct fac_hooks *hooks,
	struct fac_hook_stats ret_stats[FAC_HOOKS_MAX]);

#endif
