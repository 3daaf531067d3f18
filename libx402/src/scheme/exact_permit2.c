/*
 * exact on EVM through Permit2 (F-070 to F-077, C-060): the row of the table,
 * for tokens that have no EIP-3009. The payer signs for the exact proxy, and
 * has approved Permit2 for the token once, or sends an EIP-2612 permit along.
 */
#include "permit2_p.h"
#include "x402/negotiate.h"

static const struct x402__permit2_rules rules = {
	.kind = X402_PERMIT2_EXACT,
	.name = "exact",
	.wrong_scheme = X402_REASON_UNSUPPORTED_PAYLOAD_TYPE,
	.wrong_network = X402_REASON_EVM_NETWORK_MISMATCH,
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
		offer, options, X402_PERMIT2_EXACT, info, ret_payload);
}

const struct x402_scheme x402__scheme_exact_permit2 = {
	.name = "exact",
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
	/* L-064. The payer signs the same for both. */
	.flows = 1u << X402_FLOW_AUTHORIZATION | 1u << X402_FLOW_UPFRONT,
};
