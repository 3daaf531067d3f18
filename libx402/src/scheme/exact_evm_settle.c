/*
 * exact on EVM with EIP-3009: settlement. The plan is one call of the token
 * with calldata of our own making (R4), behind the factory's where the wallet
 * does not exist yet. What proves it is in settle_proof.c.
 */
#include "exact_evm_p.h"
#include "x402/abi.h"

/* What makes two payments one: network, asset, payer and nonce (F2). */
static struct x402_settle_key key_of(const struct x402_settle_plan *plan)
{
	const struct x402_span parts[] = {
		x402_span(plan->asset_address.bytes, 20),
		x402_span(plan->payer.bytes, 20), x402_span(plan->nonce32, 32)};

	return x402__evm_settle_key("eip3009", &plan->network, parts, 3);
}

enum x402_err x402__exact_evm_settle_plan(
	const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan)
{
	const struct x402__exact_evm *state = verified->state;
	const struct x402_eip3009_authorization *auth =
		&state->payload.authorization;
	struct x402_settle_plan plan = {0};
	enum x402_err err = x402__evm_settle_begin(&state->evm, &plan);

	if (err)
		return err;
	plan.amount = auth->value;
	plan.payer = auth->from;
	plan.pay_to = auth->to;
	memcpy(plan.nonce32, auth->nonce32, 32);
	if (!x402_u256_to_u64(&auth->valid_before, &plan.valid_before_unix_s))
		plan.valid_before_unix_s = UINT64_MAX;
	plan.gas_limit = x402__exact_evm_gas(state);
	/* A contract wallet could burn the others' gas; codes stand last. */
	plan.may_share = !state->evm.contract && !state->evm.suffix.len;
	plan.key = key_of(&plan);
	x402__exact_evm_call(state, &plan.call_to, &plan.calldata);
	x402_eip3009_state_calldata(
		&auth->from, auth->nonce32, &plan.state_calldata);
	return x402__evm_settle_end(&plan, ret_plan);
}
