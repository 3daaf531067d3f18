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
	static const char domain[] = "x402 settle key: eip3009";
	struct x402_settle_key key;
	struct x402_keccak keccak;

	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span(domain, sizeof(domain)));
	/* The NUL of the text ends it, so no two inputs run together. */
	x402_keccak_update(&keccak,
		x402_span(
			plan->network.caip2, strlen(plan->network.caip2) + 1));
	x402_keccak_update(&keccak, x402_span(plan->asset_address.bytes, 20));
	x402_keccak_update(&keccak, x402_span(plan->payer.bytes, 20));
	x402_keccak_update(&keccak, x402_span(plan->nonce32, 32));
	x402_keccak_final(&keccak, key.bytes);
	return key;
}

enum x402_err x402__exact_evm_settle_plan(
	const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan)
{
	const struct x402__exact_evm *state = verified->state;
	const struct x402_eip3009_authorization *auth =
		&state->payload.authorization;
	struct x402_settle_plan plan = {0};
	char asset[X402_ADDRESS_TEXT_SIZE];
	enum x402_err err;

	x402_address_format(&state->evm.asset, asset);
	err = x402_asset_id_init(state->evm.network.caip2, asset, &plan.asset);
	if (err)
		return err;
	plan.network = state->evm.network;
	plan.amount = auth->value;
	plan.payer = auth->from;
	plan.pay_to = auth->to;
	memcpy(plan.nonce32, auth->nonce32, 32);
	if (!x402_u256_to_u64(&auth->valid_before, &plan.valid_before_unix_s))
		plan.valid_before_unix_s = UINT64_MAX;
	plan.asset_address = state->evm.asset;
	plan.gas_limit = x402__exact_evm_gas(state);
	/* A contract wallet could burn the others' gas; codes stand last. */
	plan.may_share = !state->evm.contract && !state->evm.suffix.len;
	plan.key = key_of(&plan);
	x402__exact_evm_call(state, &plan.call_to, &plan.calldata);
	x402_eip3009_state_calldata(
		&auth->from, auth->nonce32, &plan.state_calldata);
	if (plan.calldata.failed || plan.state_calldata.failed) {
		x402_settle_plan_clear(&plan);
		return X402_ERR_NOMEM;
	}
	*ret_plan = plan;
	return X402_OK;
}
