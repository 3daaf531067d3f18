/*
 * sign_in_p.h: sign-in-with-x (E-SIWX), private. Pure but for the signer.
 */
#ifndef X402_CLIENT_SIGN_IN_P_H
#define X402_CLIENT_SIGN_IN_P_H

#include "flow_p.h"

/* All borrowed. */
struct x402__sign_in_ask {
	const struct x402_payment_required *required;
	const struct x402__http_url *url;
	/* Who there is: either or both; NULL: not on this family. */
	const struct x402_client_signer *signer;
	const struct x402_client_svm_signer *svm_signer;
	/* Where the price would be paid, CAIP-2: its account signs in before
	 * another. NULL: nowhere. */
	const char *network;
};

/*
 * Answer the challenge's sign-in, if it has one for an account of ours that
 * belongs to the URL that was asked. NOT_FOUND: it has none; POLICY with info:
 * it is for somebody else, and nothing was signed; SCHEMA; the signer's error.
 */
X402_MUST_USE enum x402_err x402__sign_in(const struct x402__sign_in_ask *ask,
	struct x402_errinfo *info, char **ret_header);

#endif
