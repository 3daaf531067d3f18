/*
 * sponsor_p.h: what a payment through Permit2 needs of the chain. Private.
 */
#ifndef X402_CLIENT_SPONSOR_P_H
#define X402_CLIENT_SPONSOR_P_H

#include "x402/scheme.h"

/* What goes along where Permit2 has no allowance (C-066: in this order). */
enum x402__sponsor_kind {
	X402__SPONSOR_NONE,
	X402__SPONSOR_PERMIT,  /* C-064: the token has nonces(payer) */
	X402__SPONSOR_APPROVAL /* C-065 */
};
struct x402__sponsor_facts {
	enum x402__sponsor_kind kind;
	struct x402_u256 nonce; /* PERMIT: nonces(payer) of the token */
	struct x402_approval_facts approval;
};

/* By Permit2, and declared by the server; a permit needs the domain too. */
struct x402__sponsor_offer {
	bool permit;
	bool approval;
};
struct x402__sponsor_offer x402__sponsor_offer(
	const struct x402_payment_required *challenge,
	const struct x402_payment_requirements *offer);
/* What a node is asked for it, in one batch. Caller frees; NULL: no memory. */
char *x402__sponsor_question(const struct x402_payment_requirements *offer,
	const struct x402_address *payer, struct x402__sponsor_offer what);
/*
 * A node that does not answer (NULL), or is of another chain, leaves it
 * at NONE: the facilitator says then what is missing.
 */
void x402__sponsor_answer(const struct x402_payment_requirements *offer,
	const struct x402_json *answers, struct x402__sponsor_offer what,
	struct x402__sponsor_facts *ret_facts);

#endif
