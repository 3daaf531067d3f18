/*
 * watchdog.h: tell the service manager, as often as it wants to hear it, that
 * this daemon still works: that its loop turns and that the thread which
 * settles answers. When that stops it is started anew, and the journal says
 * what was under way.
 *
 * Not for: a chain or a database that does not answer. A restart mends
 * neither; /readyz speaks of them.
 * Thread rule: the main thread, on its loop.
 */
#ifndef FAC_OPS_WATCHDOG_H
#define FAC_OPS_WATCHDOG_H

#include "run/loop.h"
#include "run/settler.h"

struct fac_watchdog;

/*
 * *ret_watchdog NULL and OK when WATCHDOG_USEC is not in the environment, or
 * speaks of another process. notify gets "WATCHDOG=1". loop and settler must
 * outlive it. NOMEM.
 */
X402_MUST_USE enum x402_err fac_watchdog_start(struct fac_loop *loop,
	struct fac_settler *settler, void (*notify)(const char *text),
	struct fac_watchdog **ret_watchdog);
/* Asks nothing more. Free when the settler owes no answer. NULL allowed. */
void fac_watchdog_stop(struct fac_watchdog *watchdog);
void fac_watchdog_free(struct fac_watchdog *watchdog);

#endif
