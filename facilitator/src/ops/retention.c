/*
 * Two chores, a few rows at a time, so that payments never wait for them; and
 * sooner again as long as there is more:
 *
 *   claims     forgotten once their authorizations are dead, whatever the
 *              operator keeps
 *   payments   retired after the days that the operator set, or never
 */
#include "ops/retention.h"

#include <stdlib.h>
#include <time.h>

/* Rows of one go: a few milliseconds of the store's thread. */
#define GO_MAX     200
#define CLAIMS_MAX 400
/* How often, and while there is more: 8,000 claims a second. */
#define EVERY_MS        60000
#define MORE_MS         1000
#define CLAIMS_EVERY_MS 5000
#define CLAIMS_MORE_MS  50
#define DAY_S           UINT64_C(86400)
/*
 * Past validBefore by our clock; the chain's may be behind by seconds. What
 * was mined is not forgotten before its block is final anyway.
 */
#define CLAIMS_KEEP_S 120

struct fac_retention {
	struct fac_loop *loop;
	struct fac_store *store;
	struct fac_timer *payments; /* NULL: they are kept for ever */
	struct fac_timer *claims;
	uint64_t keep_s;
	bool stopped;
};

static void on_retired(void *user, const struct fac_store_reply *reply)
{
	struct fac_retention *retention = user;
	bool more = !reply->err && reply->number >= GO_MAX;

	if (!retention->stopped)
		fac_timer_start(
			retention->payments, more ? MORE_MS : EVERY_MS, 0);
}

static void retire(void *arg)
{
	struct fac_retention *retention = arg;
	uint64_t now_s = (uint64_t)time(NULL);

	fac_store_retire(retention->store, now_s - retention->keep_s, GO_MAX,
		(struct fac_store_to){retention->loop, on_retired, retention});
}

static void on_forgotten(void *user, const struct fac_store_reply *reply)
{
	struct fac_retention *retention = user;
	bool more = !reply->err && reply->number >= CLAIMS_MAX;

	if (!retention->stopped)
		fac_timer_start(retention->claims,
			more ? CLAIMS_MORE_MS : CLAIMS_EVERY_MS, 0);
}

static void forget_claims(void *arg)
{
	struct fac_retention *retention = arg;
	uint64_t now_s = (uint64_t)time(NULL);

	fac_store_forget_claims(retention->store, now_s - CLAIMS_KEEP_S,
		CLAIMS_MAX,
		(struct fac_store_to){
			retention->loop, on_forgotten, retention});
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
	err = fac_timer_new(loop, forget_claims, retention, &retention->claims);
	if (!err && days)
		err = fac_timer_new(
			loop, retire, retention, &retention->payments);
	if (err) {
		fac_retention_free(retention);
		return err;
	}
	fac_timer_start(retention->claims, CLAIMS_EVERY_MS, 0);
	if (days)
		fac_timer_start(retention->payments, MORE_MS, 0);
	*ret_retention = retention;
	return X402_OK;
}

void fac_retention_stop(struct fac_retention *retention)
{
	if (!retention)
		return;
	retention->stopped = true;
	fac_timer_stop(retention->claims);
	if (retention->payments)
		fac_timer_stop(retention->payments);
}

void fac_retention_free(struct fac_retention *retention)
{
	if (!retention)
		return;
	fac_timer_free(retention->claims);
	fac_timer_free(retention->payments);
	free(retention);
}
