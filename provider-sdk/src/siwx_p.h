/*
 * siwx_p.h: signing in with a wallet (E-SIWX), so that who has paid, or holds a
 * token, comes back without paying: accounts of EVM and of Solana by their
 * key; contract wallets where the operator names an endpoint that can ask them
 * (ERC-1271).
 *
 *   siwx.c        challenges, their text, who has paid
 *   siwx_proof.c  proofs
 * Private to the provider SDK.
 */
#ifndef X402_PROVIDER_SIWX_P_H
#define X402_PROVIDER_SIWX_P_H

#include "gate_p.h"

#define X402__SIWX_HEADER "SIGN-IN-WITH-X"
/* E-SIWX: how long a challenge is good for. */
#define X402__SIWX_LIFE_S 300
/* 16 bytes in hex, and NUL. */
#define X402__SIWX_NONCE_SIZE 33

/* What a proof says about itself; all else is ours to say. */
struct x402__siwx_claim {
	char address[X402_ACCOUNT_TEXT_SIZE];
	const char *chain_id; /* the reference part */
	const char *nonce;
	bool is_svm;
};

/* Append the member "sign-in-with-x" of a challenge's extensions. */
void x402__siwx_challenge(struct x402_gate *gate, struct x402_buf *buf);
/* EIP-4361 and its Solana twin: order and blank lines as wallets show them. */
void x402__siwx_message(const struct x402_gate *gate,
	const struct x402__siwx_claim *claim, struct x402_buf *out);
/* Ours, for this resource, and not too old. */
bool x402__siwx_read_nonce(const struct x402_gate *gate, const char *nonce,
	uint64_t *ret_issued_unix_s);

enum x402__siwx {
	X402__SIWX_NONE,    /* nobody signs in */
	X402__SIWX_REFUSED, /* gate->siwx_reason says why */
	X402__SIWX_PROVEN,  /* gate->payer is there, and from on EVM */
	X402__SIWX_ASK      /* a decision was made: a contract is asked */
};
/* A proof is good once, for this very resource. */
enum x402__siwx x402__siwx_proof(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision);
/* What the contract said: the price, or what access.c makes of the wallet. */
void x402__siwx_answered(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	struct x402_gate_decision *ret_decision);

/* Remember that gate->payer has paid, and ask whether it has. */
void x402__siwx_remember(struct x402_gate *gate);
bool x402__siwx_has_paid(struct x402_gate *gate);

#endif
