/*
 * payments.h: how a payment of the journal looks in JSON.
 *
 * Not for: deciding. The state machine is core/payment.h.
 * Thread rule: pure functions.
 */
#ifndef FAC_API_PAYMENTS_H
#define FAC_API_PAYMENTS_H

#include "store/store.h"

/*
 * The whole of payments[0] with its history. NULL when memory is out; the
 * caller's.
 */
struct x402_json *fac_payment_json(const struct fac_store_reply *reply);
/*
 * One line of the history of payments[0], by its index there: what an event
 * of the stream carries. As above.
 */
struct x402_json *fac_payment_event_json(
	const struct fac_store_reply *reply, size_t index);

#endif
