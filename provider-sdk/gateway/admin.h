/*
 * admin.h: the listener for operators: is it alive, is it ready, what has it
 * done. Never reachable from outside: it asks nobody who they are.
 * Thread rule: the loop's thread.
 */
#ifndef GW_ADMIN_H
#define GW_ADMIN_H

#include "server.h"

struct gw_admin; /* opaque */

/* NETWORK with info, NOMEM. server must outlive it. */
X402_MUST_USE enum x402_err gw_admin_start(struct gw_server *server,
	const struct gw_address *address, struct x402_errinfo *info,
	struct gw_admin **ret_admin);
uint16_t gw_admin_port(const struct gw_admin *admin);
/* NULL allowed. The loop must run once more. */
void gw_admin_close(struct gw_admin *admin);

#endif
