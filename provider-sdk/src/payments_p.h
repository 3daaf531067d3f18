/*
 * payments_p.h: the payments this process has seen, so that none is granted
 * twice (demands.md F2). Private to the provider SDK.
 *
 * The facilitator and the chain settle a payment once; this table closes the
 * window before they know of it (many requests with one payment pass
 * verification before the first settles), and remembers whose outcome is not
 * known or whose content never left, so that the same request may be repeated
 * with the same payment.
 *
 * Thread rule: any thread; it has its own lock.
 */
#ifndef X402_PROVIDER_PAYMENTS_P_H
#define X402_PROVIDER_PAYMENTS_P_H

#include "x402/x402.h"

struct x402__payments;

/* What a request with this payment may do. */
enum x402__claim {
	X402__CLAIM_NEW,     /* first sight: verify, handler, settle */
	X402__CLAIM_UNKNOWN, /* asked to settle before; ask again first */
	X402__CLAIM_PAID,    /* settled, never delivered: only the handler */
	X402__CLAIM_BUSY,    /* another request holds it right now */
	X402__CLAIM_SPENT,   /* settled and delivered, or for another request */
	X402__CLAIM_FULL     /* no room; nothing may begin */
};

/* How a claim of the first three kinds ends. */
enum x402__claim_end {
	X402__CLAIM_END_FORGET, /* nothing was asked to be settled, or refused
				 */
	X402__CLAIM_END_UNKNOWN,
	X402__CLAIM_END_PAID,
	X402__CLAIM_END_SPENT
};

struct x402__payments *x402__payments_new(size_t max);
void x402__payments_free(struct x402__payments *payments);

struct x402__claim_key {
	uint8_t payment32[32]; /* which payment (network, asset, payer, nonce)
				*/
	uint8_t request32[32]; /* for which request, with which bytes */
};

/*
 * Claim a payment for a request. expires_unix_s: when the payment can no
 * longer be settled by anyone. *ret_receipt is a copy of the receipt of PAID
 * and of SPENT for the same request, else NULL; caller frees. FULL also when
 * memory is out.
 */
enum x402__claim x402__payments_claim(struct x402__payments *payments,
	const struct x402__claim_key *key, uint64_t expires_unix_s,
	uint64_t now_unix_s, char **ret_receipt);
/* End a claim. receipt (copied, may be NULL) is kept for PAID and SPENT. */
void x402__payments_end(struct x402__payments *payments,
	const struct x402__claim_key *key, enum x402__claim_end end,
	const char *receipt);

#endif
