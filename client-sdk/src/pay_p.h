/*
 * pay_p.h: making the one authorization of a call, and reading one that the
 * caller brought, private.
 */
#ifndef X402_CLIENT_PAY_P_H
#define X402_CLIENT_PAY_P_H

#include "flow_p.h"

/*
 * Sign for offer `index` of the flow's challenge and put the header into
 * flow->payment. INTERNAL when the call has an authorization already (R7).
 */
X402_MUST_USE enum x402_err x402__pay_sign(struct x402__flow *flow,
	size_t index, const struct x402__inputs *inputs);

/* Is it paid by delegation, for which no signer is asked? */
bool x402__pay_delegates(const struct x402_payment_requirements *offer);

/* Learn the terms of a header that the caller brought, as far as it says. */
void x402__pay_adopt(struct x402_client_payment *payment, const char *text);

#endif
