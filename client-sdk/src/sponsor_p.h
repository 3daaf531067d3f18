/*
 * sponsor_p.h: what a payment through Permit2 needs of the chain. Private.
 */
#ifndef X402_CLIENT_SPONSOR_P_H
#define X402_CLIENT_SPONSOR_P_H

#include "x402/scheme.h"

struct x402__sponsor_facts {
	bool wanted; /* no allowance: send an EIP-2612 permit along */
	struct x402_u256 nonce; /* nonces(payer) of the token */
};

/* C-064: by Permit2, declared by the server, with the token's domain. */
bool x402__sponsor_is_offered(const struct x402_payment_required *challenge,
	const struct x402_payment_requirements *offer);
/* What a node is asked for it, in one batch. Caller frees; NULL: no memory. */
char *x402__sponsor_question(const struct x402_payment_requirements *offer,
	const struct x402_address *payer);
/*
 * A node that does not answer (NULL), or is of another chain, leaves it
 * unwanted: the facilitator says then what is missing.
 */
void x402__sponsor_answer(const struct x402_payment_requirements *offer,
	const struct x402_json *answers, struct x402__sponsor_facts *ret_facts);

#endif
