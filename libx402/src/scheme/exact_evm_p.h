/*
 * exact on EVM with EIP-3009: what its three files share.
 *   exact_evm.c         verification: plan and judge (F-020 to F-042)
 *   exact_evm_settle.c  settlement: plan, proof and judge (F-050 to F-058)
 *   exact_evm_create.c  the payer's side (C-050 to C-054)
 */
#ifndef X402_EXACT_EVM_P_H
#define X402_EXACT_EVM_P_H

#include "evm_p.h"

/*
 * Absolute gas ceilings of one transfer (R4). A FiatToken transfer by an EOA
 * was measured at 73,500; double leaves room for proxies and first-time
 * payees. A contract wallet runs its own code inside the token's check.
 */
#define X402__EVM_GAS_EOA      ((uint64_t)200000)
#define X402__EVM_GAS_CONTRACT ((uint64_t)400000)

enum x402__exact_evm_round {
	X402__ROUND_EOA,      /* code(from), code(asset), simulate */
	X402__ROUND_CODE,     /* code(from) alone: no ECDSA match */
	X402__ROUND_CONTRACT, /* isValidSignature, code(asset), simulate */
	X402__ROUND_DEPLOY,   /* code(asset), simulate behind the factory */
	X402__ROUND_DIAGNOSE  /* F-041 */
};

struct x402__exact_evm {
	struct x402__evm evm; /* first: see evm_p.h */
	/* Its signature is in evm. */
	struct x402_eip3009_payload payload;
	const char *name;    /* of the token's domain; borrowed */
	const char *version; /* the same */
	/*
	 * A token that nobody knows may take a used nonce without a word and
	 * move nothing (F6): it is asked for the nonce, and not only to try.
	 */
	bool may_be_silent;
};

/* The call that settles, and its ceiling of gas. */
void x402__exact_evm_call(const struct x402__exact_evm *state,
	struct x402_address *ret_to, struct x402_buf *calldata);
uint64_t x402__exact_evm_gas(const struct x402__exact_evm *state);

enum x402_err x402__exact_evm_settle_plan(
	const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan);
enum x402_err x402__exact_evm_create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_json **ret_payload);

#endif
