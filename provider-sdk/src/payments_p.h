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

#include "x402/provider_memory.h"

struct x402__payments;

struct x402__payments *x402__payments_new(size_t max);
void x402__payments_free(struct x402__payments *payments);

/*
 * Claim a payment for a request. expires_unix_s: when the payment can no
 * longer be settled by anyone. *ret_receipt is a copy of the receipt of PAID
 * and of SPENT for the same request, else NULL; caller frees. FULL also when
 * memory is out.
 */
enum x402_claim x402__payments_claim(struct x402__payments *payments,
	const struct x402_claim_key *key, uint64_t expires_unix_s,
	uint64_t now_unix_s, char **ret_receipt);
/* End a claim. receipt (copied, may be NULL) is kept for PAID and SPENT. */
void x402__payments_end(struct x402__payments *payments,
	const struct x402_claim_key *key, enum x402_claim_end end,
	const char *receipt);

/* Before it is asked to settle, by the one who holds the claim. False when
 * memory is out: then do not ask. */
bool x402__payments_note(struct x402__payments *payments,
	const struct x402_claim_key *key, const struct x402_claim_note *note);
/* The note of the same payment for the same request. */
bool x402__payments_recall(struct x402__payments *payments,
	const struct x402_claim_key *key, struct x402_claim_note *ret_note);

#endif
