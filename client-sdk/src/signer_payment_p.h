/*
 * signer_payment_p.h: what a signer is asked to sign, as it reads it itself;
 * and the other side, which asks. Private.
 *
 *   eip3009  a transfer of a token
 *   permit2  a transfer through Permit2 and a proxy of x402, exact or upto
 *   eip2612  an allowance of a token for Permit2: moves nothing by itself
 *   solana   a transfer of a mint, by the one template that payers sign
 *
 * Whoever asks names the terms. Contracts, spenders and programs are constants
 * here, and every byte that is signed is made, or made again, from the terms.
 */
#ifndef X402_CLIENT_SIGNER_PAYMENT_P_H
#define X402_CLIENT_SIGNER_PAYMENT_P_H

#include "x402/client.h"
#include "x402/session.h"

/* Points into itself: read it where it stays. */
struct x402__signer_payment {
	struct x402_signable signable;
	/* As a scope looks at it; texts point here or into the body. */
	struct x402_session_ask ask;
	/* Unix seconds; 0: a blockhash ends it, in a minute or two. */
	uint64_t valid_before;
	/* Its name in the ledgers: the same payment has the same. */
	uint8_t key32[32];

	struct x402_eip712_domain domain;
	struct x402_address contract;
	struct x402_eip3009_authorization eip3009;
	struct x402_permit2_authorization permit2;
	struct x402_permit2612 eip2612;
	struct x402_buf message; /* of Solana */
	struct x402_pubkey svm_pay_to;
	char network[X402_NETWORK_SIZE];
	char asset[X402_ASSET_SIZE];
	char pay_to[64]; /* "" for a permit */
};

/* Whose money it may be. svm NULL: none of Solana. */
struct x402__signer_wallets {
	const struct x402_address *evm;
	const struct x402_pubkey *svm;
};

/*
 * Read a body into a payment that is zero; body must outlive it. SCHEMA,
 * SYNTAX, UNSUPPORTED for a kind that is not known, POLICY for money of
 * another wallet, NOMEM; info says which member. Clear it always.
 */
X402_MUST_USE enum x402_err x402__signer_payment_read(
	const struct x402_json *body,
	const struct x402__signer_wallets *wallets, struct x402_errinfo *info,
	struct x402__signer_payment *payment);
void x402__signer_payment_clear(struct x402__signer_payment *payment);

/*
 * The body that asks for this signature; session NULL: none. Caller frees.
 * INVALID_ARGUMENT without what the kind needs, RANGE, NOMEM.
 */
X402_MUST_USE enum x402_err x402__signer_body(
	const struct x402_client_signing *signing, const char *session,
	char **ret_body);

#endif
