/*
 * admin.h: the listener for operators: /livez, /healthz, /readyz, /metrics,
 * /webhooks/dead.
 *
 * On an address or a socket file of its own, never on the public port, and
 * off unless configured. Browsers are refused: a page must not reach it
 * through the machine of whoever looks at it.
 *
 * Not for: money. Nothing here can move any; a web hook may be sent again.
 * Thread rule: the main thread, whose loop it runs on.
 */
#ifndef FAC_OPS_ADMIN_H
#define FAC_OPS_ADMIN_H

#include "ops/gather.h"
#include "ops/hooks.h"

struct fac_admin;

struct fac_admin_options {
	/* Required; all must outlive the admin. */
	const struct fac_config *config;
	struct fac_store *store;
	struct fac_gather_sources sources;
	const struct fac_hooks *hooks;       /* Optional */
	struct fac_chain_status *status;     /* one for each chain of config */
	struct fac_http_counts *const *http; /* one for each worker */
	size_t http_len;
};

/*
 * Listen where config says. OK with *ret_admin NULL when it says nowhere.
 * NETWORK: cannot (info says why); NOMEM.
 */
X402_MUST_USE enum x402_err fac_admin_start(
	const struct fac_admin_options *options, struct x402_errinfo *info,
	struct fac_admin **ret_admin);
/* "host:port" or "unix:path", as it turned out; for the log. */
void fac_admin_url(const struct fac_admin *admin, struct x402_buf *buf);
/* The daemon drains: /readyz says 503 from now on. NULL allowed. */
void fac_admin_drain(struct fac_admin *admin);
/*
 * Close every connection and ask nobody any more. What the settler and the
 * store still owe comes as mail, so free it when the loop has run out. NULL
 * allowed.
 */
void fac_admin_close(struct fac_admin *admin);
void fac_admin_free(struct fac_admin *admin);

#endif
