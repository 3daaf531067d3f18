/*
 * Every while a few rows at a time, so that payments never wait for it; sooner
 * again as long as there is more.
 */
#include "ops/retention.h"

#include <stdlib.h>
#include <time.h>

/* Rows of one go: a few milliseconds of the store's thread. */
#define GO_MAX   200
#define EVERY_MS 60000
#define MORE_MS  1000
#define DAY_S    UINT64_C(86400)

struct fac_retention {
	struct fac_loop *loop;
	struct fac_store *store;
	struct fac_timer *timer;
	uint64_t keep_s;
	bool stopped;
};

static void on_retired(void *user, const struct fac_store_reply *reply)
{
	struct fac_retention *retention = user;
	bool more = !reply->err && reply->number >= GO_MAX;

	if (!retention->stopped)
		fac_timer_start(retention->timer, more ? MORE_MS : EVERY_MS, 0);
}

static void on_timer(void *arg)
{
	struct fac_retention *retention = arg;
	uint64_t now_s = (uint64_t)time(NULL);

	fac_store_retire(retention->store, now_s - retention->keep_s, GO_MAX,
		(struct fac_store_to){retention->loop, on_retired, retention});
}

enum x402_err fac_retention_start(struct fac_loop *loop,
	struct fac_store *store, uint32_t days,
	struct fac_retention **ret_retention)
{
	struct fac_retention *retention = calloc(1, sizeof(*retention));
	enum x402_err err;

	if (!retention)
		return X402_ERR_NOMEM;
	*retention = (struct fac_retention){
		.loop = loop, .store = store, .keep_s = days * DAY_S};
	err = fac_timer_new(loop, on_timer, retention, &retention->timer);
	if (err) {
		free(retention);
		return err;
	}
	fac_timer_start(retention->timer, MORE_MS, 0);
	*ret_retention = retention;
	return X402_OK;
}

void fac_retention_stop(struct fac_retention *retention)
{
	if (!retention)
		return;
	retention->stopped = true;
	fac_timer_stop(retention->timer);
}

void fac_retention_free(struct fac_retention *retention)
{
	if (!retention)
		return;
	fac_timer_free(retention->timer);
	free(retention);
}
