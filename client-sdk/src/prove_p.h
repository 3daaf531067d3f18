/*
 * prove_p.h: was an authorization charged, or can it never be? Private.
 */
#ifndef X402_CLIENT_PROVE_P_H
#define X402_CLIENT_PROVE_P_H

#include "ask_p.h"
#include "x402/resume.h"

/* GET /payments/{hash} of the facilitator. */
enum x402_client_proof x402__prove_by_facilitator(struct x402__asker *asker,
	const char *facilitator_url, const struct x402_purchase *purchase,
	char ret_transaction[X402_CLIENT_TRANSACTION_SIZE]);
/*
 * The chain itself: authorizationState for EIP-3009, nonceBitmap for Permit2,
 * the receipt of a transfer, and on Solana the payer's signature among its
 * account's transactions.
 */
enum x402_client_proof x402__prove_by_chain(struct x402__asker *asker,
	const struct x402_client_endpoint *endpoint, const char *block_tag,
	const struct x402_purchase *purchase,
	char ret_transaction[X402_CLIENT_TRANSACTION_SIZE]);
enum x402_client_proof x402__prove_by_svm(struct x402__asker *asker,
	const char *url, const struct x402_purchase *purchase,
	char ret_transaction[X402_CLIENT_TRANSACTION_SIZE]);

/* The pure half for EVM: a node's answers about one authorization, judged. */
struct x402__prove_terms {
	bool is_permit2;
	struct x402_u256 nonce; /* of Permit2 */
	uint64_t valid_before_unix_s;
};
/* The same about a transfer; hash as the node writes it. */
enum x402_client_proof x402__prove_transfer_judge(
	const struct x402_json *answers, const char *hash, uint64_t nonce);
enum x402_client_proof x402__prove_judge(
	const struct x402_json *answers, const struct x402__prove_terms *terms);

#endif
