/*
 * proof.h: paying first and showing the transaction: the scheme "proof".
 *
 * The older habit beside x402: the payer sends a plain token transfer by its
 * own account and shows its hash. A hash on a public chain is anybody's to
 * copy, so the challenge carries a one-time reference, and the payer's key
 * signs reference and hash together. Only a call of the token's own transfer,
 * sent by the payer itself, counts: whatever another scheme settles, an
 * authorization or a permit, is never such a call, so that one payment cannot
 * be shown twice under two schemes.
 *
 * Not for: deciding whether a hash was shown before; the facilitator's store
 * does that. Not for contract wallets, which send nothing themselves.
 * Thread rule: pure functions. Where next: src/scheme/proof_evm.c.
 */
#ifndef X402_PROOF_H
#define X402_PROOF_H

#include "x402/amount.h"
#include "x402/error.h"
#include "x402/evm.h"
#include "x402/payment.h"

#ifdef __cplusplus
extern "C" {
#endif

#define X402_PROOF_SCHEME "proof"

/*
 * A transaction older than this proves nothing any more, whatever the
 * challenge says; so what was shown need not be remembered for longer.
 */
#define X402_PROOF_LIFE_S ((uint64_t)86400)
/* The seller's clock may be ahead of the chain's by so much. */
#define X402_PROOF_SKEW_S ((uint64_t)15)
/* A URL in a challenge; longer ones are refused. */
#define X402_PROOF_RESOURCE_MAX 2048

/* What the payer's key signs. Text is borrowed. */
struct x402_proof_terms {
	uint64_t chain_id;
	struct x402_address asset;
	struct x402_address pay_to;
	struct x402_u256 amount;   /* the price that was asked */
	uint8_t reference32[32];   /* of the challenge */
	uint8_t transaction32[32]; /* hash of the transfer */
	const char *resource;      /* resource.url of the challenge, or "" */
};

/*
 * Read what the challenge asked for: network, asset, payTo, amount and
 * extra.reference. Leaves transaction32 and resource alone. SCHEMA, SYNTAX
 * with info->field naming the member; UNSUPPORTED for another network.
 */
X402_API X402_MUST_USE enum x402_err x402_proof_terms_read(
	const struct x402_payment_requirements *offer,
	struct x402_errinfo *info, struct x402_proof_terms *terms);

/*
 * The EIP-712 digest: domain "x402 transaction proof", version "1", the chain
 * and the token; TransactionProof(bytes32 reference,bytes32 transaction,
 * address payTo,uint256 amount,string resource). The resource is in it so
 * that a shop cannot pass another shop's challenge on as its own.
 */
X402_API void x402_proof_digest(
	const struct x402_proof_terms *terms, uint8_t ret_hash32[32]);

/* The payload on the wire, and what X-Payment-Proof says. */
struct x402_proof_payload {
	uint8_t transaction32[32];
	bool bound; /* payer and sig65 are there */
	struct x402_address payer;
	uint8_t sig65[65];
};
/* SCHEMA, SYNTAX with info->field. payer and signature: both or none. */
X402_API X402_MUST_USE enum x402_err x402_proof_payload_read(
	const struct x402_json *json, struct x402_errinfo *info,
	struct x402_proof_payload *ret_payload);
/* NOMEM. The caller owns *ret_json. */
X402_API X402_MUST_USE enum x402_err x402_proof_payload_to_json(
	const struct x402_proof_payload *payload, struct x402_json **ret_json);

/*
 * The header X-Payment-Proof, for those who know no x402:
 *
 *   0xHASH; reference=0x...; payer=0x...; signature=0x...
 *
 * in any order after the hash, without payer and signature where the route
 * takes unbound proofs. SYNTAX for anything else, a doubled or unknown
 * parameter included.
 */
X402_API X402_MUST_USE enum x402_err x402_proof_header_read(const char *text,
	uint8_t ret_reference32[32], struct x402_proof_payload *ret_payload);
/* Room for such a header with its NUL. */
#define X402_PROOF_HEADER_SIZE 384
X402_API void x402_proof_header_format(const uint8_t reference32[32],
	const struct x402_proof_payload *payload,
	char ret_text[X402_PROOF_HEADER_SIZE]);

#ifdef __cplusplus
}
#endif
#endif
