/*
 * Payments that were made before we were asked (the scheme proof): nothing is
 * signed or sent, so there is no job and no lane. One commit of the store uses
 * the transaction up and grants (store.h: fac_store_grant), and whoever comes
 * second meets the row that is there, by the rules of answer.c.
 *
 * 1. fac_grant_start   the payment's one row, with the answer in it
 * 2. on_granted        ours: success. Another's: answer.c. Not known to be
 *                      durable: the same row again, whose id tells whether it
 *                      was ours after all
 *
 * A caller whose deadline comes in between is not answered before the store
 * has: a grant must not be told as a fault.
 */
#include "core/engine_p.h"

#include <stdlib.h>

/* The store itself waits for its database some seconds each time. */
#define TRIES_MAX 3

static void on_granted(void *arg, const struct fac_store_reply *reply);

static void send(struct fac_waiter *waiter)
{
	struct fac_payment payment;
	char *body = fac_answer_body(&waiter->asked);

	fac_payment_copy(&waiter->asked, &payment);
	memcpy(payment.owner, waiter->engine->owner, sizeof(payment.owner));
	waiter->busy++;
	waiter->granting = true;
	waiter->grants++;
	fac_crash_point("before_grant");
	fac_engine_store(waiter->engine, fac_verb_grant(&payment, body),
		on_granted, waiter);
	fac_payment_clear(&payment);
	free(body);
}

/* The row has the id that was made for this very request. */
static bool is_own(
	const struct fac_waiter *waiter, const struct fac_store_reply *reply)
{
	return reply->payments_len && reply->payments[0].credited &&
		strcmp(reply->payments[0].id, waiter->asked.id) == 0;
}

static void on_granted(void *arg, const struct fac_store_reply *reply)
{
	struct fac_waiter *waiter = arg;
	struct fac_engine *engine = waiter->engine;

	waiter->busy--;
	waiter->granting = false;
	engine->owed--;
	if (waiter->answered) { /* the engine is ending */
		if (!waiter->done)
			fac_waiter_free(waiter);
		return;
	}
	if (!reply->err && is_own(waiter, reply)) {
		fac_crash_point("after_grant");
		if (reply->claimed)
			engine->stats.ends[FAC_PAYMENT_SETTLED]++;
		fac_answer_success(waiter, &reply->payments[0]);
	} else if (!reply->err && reply->payments_len) {
		fac_answer_row(waiter, &reply->payments[0]);
	} else if (reply->err == X402_ERR_CONFLICT) {
		fac_answer(waiter, FAC_SETTLE_CONFLICT,
			X402_REASON_DUPLICATE_SETTLEMENT,
			"this idempotency key was used for another request",
			NULL);
	} else if (reply->err == X402_ERR_POLICY) {
		fac_answer(waiter, FAC_SETTLE_REFUSED,
			X402_REASON_PROOF_TOO_LATE, reply->message, NULL);
	} else if (waiter->grants < TRIES_MAX && !engine->ended) {
		send(waiter);
	} else {
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR,
			"the grant could not be recorded; show the same "
			"transaction again",
			NULL);
	}
}

void fac_grant_start(struct fac_waiter *waiter)
{
	send(waiter);
}
