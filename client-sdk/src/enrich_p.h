/*
 * enrich_p.h: what a payment says beside its authorization. Private.
 */
#ifndef X402_CLIENT_ENRICH_P_H
#define X402_CLIENT_ENRICH_P_H

#include "flow_p.h"

/*
 * C-044: everything that goes into the payment's extensions from our side;
 * NULL where that is nothing. NOMEM; POLICY when the caller's own hook wants
 * no payment.
 */
X402_MUST_USE enum x402_err x402__enrich(const struct x402__flow *flow,
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *create,
	const struct x402__sponsor_facts *sponsor,
	struct x402_json **ret_extensions);

#endif
