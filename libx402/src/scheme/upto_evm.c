/*
 * upto on EVM (F-078, F-079, C-061): the payer permits a maximum, the seller
 * says at the end what is taken of it. The permit names who may take it, so
 * the transaction must come from that account; nothing else tells it from
 * exact through Permit2.
 */
#include "permit2_p.h"
#include "x402/negotiate.h"

static bool is_signer(const struct x402__permit2 *state)
{
	for (size_t i = 0; i < state->signers_len; i++)
		if (x402_address_equal(&state->signers[i],
			    &state->payload.authorization.facilitator))
			return true;
	return false;
}

/* F-078: an own signer; without knowing those, what the offer named. */
static bool check_facilitator(struct x402_verify_plan *plan)
{
	const struct x402__permit2 *state = plan->state;
	const struct x402_address *named =
		&state->payload.authorization.facilitator;
	struct x402_address offered;

	if (state->signers)
		return is_signer(state) ||
			x402__refuse_text(plan,
				X402_REASON_UPTO_FACILITATOR_MISMATCH,
				"witness.facilitator is no signer of this "
				"facilitator: see extra of GET /supported");
	if (state->facilitator_text &&
		(x402_address_parse(state->facilitator_text, &offered) !=
				X402_OK ||
			!x402_address_equal(&offered, named)))
		return x402__refuse_text(plan,
			X402_REASON_UPTO_FACILITATOR_MISMATCH,
			"expected witness.facilitator to be "
			"extra.facilitatorAddress");
	return true;
}

static const struct x402__permit2_rules rules = {
	.kind = X402_PERMIT2_UPTO,
	.name = "upto",
	.wrong_scheme = X402_REASON_UPTO_SCHEME,
	.wrong_network = X402_REASON_UPTO_NETWORK_MISMATCH,
	.check = check_facilitator,
};

static enum x402_err verify_plan(const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *plan)
{
	return x402__permit2_verify_plan(request, options, &rules, plan);
}

static enum x402_err create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_json **ret_payload)
{
	return x402__permit2_create_payload(
		offer, options, X402_PERMIT2_UPTO, info, ret_payload);
}

const struct x402_scheme x402__scheme_upto_evm = {
	.name = "upto",
	.family = X402_FAMILY_EVM,
	.network_pattern = "eip155:*",
	.payload_member = "permit2Authorization",
	.method = "permit2",
	.v2_only = true,
	.verify_plan = verify_plan,
	.verify_judge = x402__permit2_verify_judge,
	.verify_clear = x402__permit2_verify_clear,
	.settle_plan = x402__permit2_settle_plan,
	.create_payload = create_payload,
	/* L-064: what is taken is known only when the work is done. */
	.flows = 1u << X402_FLOW_AUTHORIZATION,
};
