/*
 * exact and upto through Permit2: the settlement's plan, one call of the proxy
 * with calldata of our own making (R4), and the one of a gift to a payer whose
 * approval wants gas. What proves them is in settle_proof.c.
 */
#include "permit2_p.h"

/*
 * What makes two payments one: network, owner and nonce (F2). Both schemes
 * share the nonces of one owner, and the token does not matter.
 */
static struct x402_settle_key key_of(const struct x402_settle_plan *plan)
{
	const struct x402_span parts[] = {
		x402_span(plan->payer.bytes, 20), x402_span(plan->nonce32, 32)};

	return x402__evm_settle_key("permit2", &plan->network, parts, 2);
}

enum x402_err x402__permit2_settle_plan(const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan)
{
	struct x402__permit2 *state = verified->state;
	const struct x402_permit2_authorization *auth =
		&state->payload.authorization;
	struct x402_settle_plan plan = {0};
	enum x402_err err = x402__evm_settle_begin(&state->evm, &plan);

	if (err)
		return err;
	plan.amount = state->taken;
	plan.nothing_to_send = auth->kind == X402_PERMIT2_UPTO &&
		state->phase == X402_PHASE_SETTLE &&
		x402_u256_is_zero(&state->taken);
	plan.payer = auth->from;
	plan.pay_to = auth->to;
	x402_u256_to_be32(&auth->nonce, plan.nonce32);
	if (!x402_u256_to_u64(&auth->deadline, &plan.valid_before_unix_s))
		plan.valid_before_unix_s = UINT64_MAX;
	plan.gas_limit = x402__permit2_gas(state);
	/* A contract wallet could burn the others' gas; upto has its sender. */
	plan.may_share = auth->kind == X402_PERMIT2_EXACT &&
		!state->evm.contract && !state->has_permit2612 &&
		!state->evm.suffix.len;
	plan.key = key_of(&plan);
	x402__permit2_call(state, &plan.call_to, &plan.calldata);
	x402_permit2_state_calldata(
		&auth->from, &auth->nonce, &plan.state_calldata);
	return x402__evm_settle_end(&plan, ret_plan);
}

/* ---- A gift (F-075). ---- */

static struct x402_settle_key gift_key(const struct x402_settle_plan *plan)
{
	const struct x402_span payer = x402_span(plan->payer.bytes, 20);

	return x402__evm_settle_key("gift", &plan->network, &payer, 1);
}

enum x402_err x402_settle_plan_gift(const struct x402_network *network,
	const struct x402_address *payer, const struct x402_u256 *wei,
	uint64_t valid_before_unix_s, struct x402_settle_plan *ret_plan)
{
	struct x402_settle_plan plan = {.network = *network,
		.amount = *wei,
		.payer = *payer,
		.pay_to = *payer,
		.valid_before_unix_s = valid_before_unix_s,
		.call_to = *payer,
		.gas_limit = X402__PERMIT2_GIFT_GAS};
	static const char zero[] = "0x0000000000000000000000000000000000000000";
	enum x402_err err = x402_asset_id_init(
		network->caip2, zero, &plan.asset);

	if (err)
		return err;
	plan.key = gift_key(&plan);
	*ret_plan = plan;
	return X402_OK;
}
