/*
 * prove_p.h: was an authorization charged, or can it never be? Private.
 */
#ifndef X402_CLIENT_PROVE_P_H
#define X402_CLIENT_PROVE_P_H

#include "x402/resume.h"

struct x402__breaker;

/* Small JSON questions to a facilitator or a node; one handle for all. */
struct x402__asker {
	void *curl; /* CURL *, owned */
	/* Who fails three times in a row is not asked for half a minute. */
	struct x402__breaker *breaker; /* borrowed, the client's */
};
X402_MUST_USE enum x402_err x402__asker_init(
	struct x402__breaker *breaker, struct x402__asker *ret_asker);
void x402__asker_clear(struct x402__asker *asker);

/*
 * body NULL: GET. NETWORK for anything but a 200 with JSON in it, NOT_FOUND
 * for a 404.
 */
X402_MUST_USE enum x402_err x402__ask(struct x402__asker *asker,
	const char *url, const char *body, struct x402_json **ret_json);

/* GET /payments/{hash} of the facilitator. */
enum x402_client_proof x402__prove_by_facilitator(struct x402__asker *asker,
	const char *facilitator_url, const struct x402_purchase *purchase,
	char ret_transaction[X402_CLIENT_TRANSACTION_SIZE]);
/* authorizationState on the chain; EIP-3009 only. */
enum x402_client_proof x402__prove_by_chain(struct x402__asker *asker,
	const struct x402_client_endpoint *endpoint, const char *block_tag,
	const struct x402_purchase *purchase);

/* The pure half: the answer of a node to chain_question(), judged. */
enum x402_client_proof x402__prove_judge(
	const struct x402_json *answers, uint64_t valid_before_unix_s);

#endif
