/*
 * postgres_link_p.h: one connection to PostgreSQL that never waits without a
 * deadline: connecting, schema, session, and waiting for either a socket or
 * the store's end. Private to the store's postgres*.c.
 *
 * Thread rule: the store's thread, but for fac_postgres_link_stop (any).
 */
#ifndef FAC_STORE_POSTGRES_LINK_P_H
#define FAC_STORE_POSTGRES_LINK_P_H

#include "x402/error.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct fac_postgres_link {
	char *uri;    /* holds the password: never printed */
	PGconn *conn; /* NULL or in pipeline mode, nothing pending */
	int stop_fd;  /* readable: the store closes */
};

/* uri is copied. NOMEM when a descriptor is lacking. */
X402_MUST_USE enum x402_err fac_postgres_link_init(
	struct fac_postgres_link *link, const char *uri);
void fac_postgres_link_clear(struct fac_postgres_link *link);
void fac_postgres_link_stop(struct fac_postgres_link *link);
bool fac_postgres_link_is_stopped(const struct fac_postgres_link *link);

/*
 * Connect, migrate, prepare. STORE or VERSION; info says why, without the
 * password. A connection that stands is closed first.
 */
X402_MUST_USE enum x402_err fac_postgres_connect(struct fac_postgres_link *link,
	uint64_t deadline_ms, struct x402_errinfo *info);
void fac_postgres_disconnect(struct fac_postgres_link *link);
/* False: the server has closed it meanwhile. */
bool fac_postgres_is_alive(struct fac_postgres_link *link);

/* Flush and read until a result can be taken; false: lost or too late. */
X402_MUST_USE bool fac_postgres_wait(
	struct fac_postgres_link *link, uint64_t deadline_ms);
/* Sleep; true: the store closes. */
bool fac_postgres_pause(struct fac_postgres_link *link, uint64_t ms);

/* Monotonic. */
uint64_t fac_postgres_clock_ms(void);

#endif
