/*
 * svm_p.h: a payer on Solana, private to the client.
 */
#ifndef X402_CLIENT_SVM_P_H
#define X402_CLIENT_SVM_P_H

#include <curl/curl.h>

#include "x402/client.h"

struct x402__svm; /* who signs, and a node to ask */

/* What a payment needs of the chain. */
struct x402__svm_facts {
	struct x402_svm_mint mint;
	uint8_t blockhash32[32];
};

/* signer is copied; rpc_url must outlive it. NOMEM. */
X402_MUST_USE enum x402_err x402__svm_new(
	const struct x402_client_svm_signer *signer, const char *rpc_url,
	struct x402__svm **ret_svm);
void x402__svm_free(struct x402__svm *svm);
const struct x402_client_svm_signer *x402__svm_signer(
	const struct x402__svm *svm);
const char *x402__svm_rpc_url(const struct x402__svm *svm);
bool x402__svm_is_offer(const struct x402_payment_requirements *offer);

/*
 * What the node has to be asked for this offer; *ret_question NULL: nothing,
 * the facts are known. Caller frees. SCHEMA with info for an asset that is no
 * mint, NOMEM.
 */
X402_MUST_USE enum x402_err x402__svm_question(const struct x402__svm *svm,
	const struct x402_payment_requirements *offer, int64_t now_ms,
	struct x402_errinfo *info, struct x402__svm_facts *ret_facts,
	char **ret_question);
/*
 * What the node said; answers NULL: nothing. Remembers it. CHAIN with info
 * when it is not enough to sign by.
 */
X402_MUST_USE enum x402_err x402__svm_answer(struct x402__svm *svm,
	const struct x402_payment_requirements *offer, int64_t now_ms,
	const struct x402_json *answers, struct x402_errinfo *info,
	struct x402__svm_facts *facts);

#endif
