/*
 * svm_p.h: a payer on Solana, private to the client.
 */
#ifndef X402_CLIENT_SVM_P_H
#define X402_CLIENT_SVM_P_H

#include <curl/curl.h>

#include "x402/scheme.h"

struct x402__svm; /* a key in locked memory, and a node to ask */

/* What a payment needs of the chain. */
struct x402__svm_facts {
	struct x402_svm_mint mint;
	uint8_t blockhash32[32];
};

/* key is copied; rpc_url must outlive it. NOMEM. */
X402_MUST_USE enum x402_err x402__svm_new(const struct x402_svm_secret *key,
	const char *rpc_url, struct x402__svm **ret_svm);
void x402__svm_free(struct x402__svm *svm);
const struct x402_pubkey *x402__svm_address(const struct x402__svm *svm);
bool x402__svm_is_offer(const struct x402_payment_requirements *offer);
/* Waits for the node, up to ten seconds. SCHEMA, CHAIN; info says why. */
X402_MUST_USE enum x402_err x402__svm_ask(struct x402__svm *svm,
	const struct x402_payment_requirements *offer,
	struct x402_errinfo *info, struct x402__svm_facts *ret_facts);
X402_MUST_USE enum x402_err x402__svm_sign(const struct x402__svm *svm,
	struct x402_span message, struct x402_buf *ret_signature);

#endif
