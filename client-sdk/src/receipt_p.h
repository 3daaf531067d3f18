/*
 * receipt_p.h: what an answer to a payment says about the money, private.
 */
#ifndef X402_CLIENT_RECEIPT_P_H
#define X402_CLIENT_RECEIPT_P_H

#include "flow_p.h"

/*
 * Read an answer to a request that carried the payment header: write the
 * outcome, receipt, transaction and reason into flow->payment and return the
 * cause. Only this one answer is judged; x402__flow_received() weighs it
 * against what came before.
 */
enum x402_client_cause x402__receipt_judge(
	struct x402__flow *flow, const struct x402__message *message);

#endif
