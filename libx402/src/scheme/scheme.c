/*
 * The table of schemes and the generic half of plan-then-judge: which scheme
 * serves a payment, and the refusals that need no scheme. To add one, write
 * its file and add a line to `table` (docs/architecture.md).
 */
#include "scheme_p.h"

static const struct x402_scheme *const table[] = {
	&x402__scheme_exact_evm,
	&x402__scheme_exact_svm,
	&x402__scheme_exact_permit2,
	&x402__scheme_exact_delegation,
	&x402__scheme_upto_evm,
	&x402__scheme_proof_evm,
};
#define TABLE_LEN (sizeof(table) / sizeof(table[0]))

const struct x402_scheme *x402_scheme_at(size_t index)
{
	return index < TABLE_LEN ? table[index] : NULL;
}

const struct x402_scheme *x402_scheme_find(
	const char *scheme, const char *caip2)
{
	if (!scheme || !caip2)
		return NULL;
	for (size_t i = 0; i < TABLE_LEN; i++) {
		if (strcmp(table[i]->name, scheme) == 0 &&
			x402_network_matches(table[i]->network_pattern, caip2))
			return table[i];
	}
	return NULL;
}

static bool serves(const struct x402_scheme *scheme, const char *name,
	const char *caip2, int version)
{
	return strcmp(scheme->name, name) == 0 &&
		x402_network_matches(scheme->network_pattern, caip2) &&
		(version == X402_V2 || !scheme->v2_only);
}

const struct x402_scheme *x402_scheme_for_offer(
	const struct x402_payment_requirements *offer)
{
	const char *caip2 = x402_payment_requirements_caip2(offer);
	const struct x402_json *member = x402_json_get(
		offer->extra, "assetTransferMethod");
	const char *method = x402_json_string(member);

	if (!caip2 || (member && !method))
		return NULL;
	for (size_t i = 0; i < TABLE_LEN; i++) {
		if (serves(table[i], offer->scheme, caip2,
			    offer->x402_version) &&
			(!method ||
				(table[i]->method &&
					strcmp(table[i]->method, method) == 0)))
			return table[i];
	}
	return NULL;
}

/*
 * L-016: which row reads this payload. Where it has the members of two, the
 * later row is asked; where it has none, the first one says so.
 */
static const struct x402_scheme *scheme_for_payload(
	const struct x402_facilitator_request *request)
{
	const struct x402_payment_requirements *req = &request->requirements;
	const char *caip2 = x402_payment_requirements_caip2(req);
	const struct x402_scheme *found = NULL;

	for (size_t i = 0; caip2 && i < TABLE_LEN; i++) {
		if (!serves(table[i], req->scheme, caip2, req->x402_version))
			continue;
		if (!found ||
			(table[i]->payload_member &&
				x402_json_has(request->payload.payload,
					table[i]->payload_member)))
			found = table[i];
	}
	return found;
}

static bool scheme_name_known(const char *scheme)
{
	for (size_t i = 0; i < TABLE_LEN; i++) {
		if (strcmp(table[i]->name, scheme) == 0)
			return true;
	}
	return false;
}

void x402__refuse(struct x402_verify_plan *plan, enum x402_reason reason,
	const struct x402_errinfo *info)
{
	plan->decided = true;
	plan->reads_len = 0;
	plan->verdict.valid = false;
	plan->verdict.reason = reason;
	memcpy(plan->verdict.message, info->text,
		sizeof(plan->verdict.message));
}

void x402__accept(struct x402_verify_plan *plan)
{
	plan->decided = true;
	plan->reads_len = 0;
	plan->verdict.valid = true;
	plan->verdict.reason = X402_REASON_NONE;
	plan->verdict.message[0] = '\0';
}

/* F-005, F-006: what can be said before a scheme is known. */
static const struct x402_scheme *choose_scheme(
	const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	const struct x402_payment_requirements *req = &request->requirements;
	const struct x402_scheme *scheme = scheme_for_payload(request);
	struct x402_errinfo info = {{0}, {0}};

	if (request->x402_version != request->payload.x402_version) {
		x402_errinfo_set(&info, "x402Version",
			"expected the payload's version %d, got %d",
			request->payload.x402_version, request->x402_version);
		x402__refuse(plan, X402_REASON_INVALID_X402_VERSION, &info);
		return NULL;
	}
	if (scheme)
		return scheme;
	if (!scheme_name_known(req->scheme)) {
		x402_errinfo_set(&info, "scheme",
			"scheme %.60s is not served here", req->scheme);
		x402__refuse(plan, X402_REASON_UNSUPPORTED_SCHEME, &info);
	} else {
		x402_errinfo_set(&info, "network",
			"network %.60s is not served here", req->network);
		x402__refuse(plan, X402_REASON_INVALID_NETWORK, &info);
	}
	return NULL;
}

/* Reads are set one by one, as far as reads_len. */
static void empty_plan(struct x402_verify_plan *plan)
{
	memset(plan, 0, offsetof(struct x402_verify_plan, reads));
}

enum x402_err x402_verify_plan(const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *ret_plan)
{
	enum x402_err err;

	empty_plan(ret_plan);
	ret_plan->scheme = choose_scheme(request, ret_plan);
	if (!ret_plan->scheme)
		return X402_OK;
	err = ret_plan->scheme->verify_plan(request, options, ret_plan);
	if (err)
		x402_verify_plan_clear(ret_plan);
	return err;
}

enum x402_err x402_verify_judge(struct x402_verify_plan *plan,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	if (plan->decided || !plan->scheme || answers_len != plan->reads_len)
		return X402_ERR_INVALID_ARGUMENT;
	return plan->scheme->verify_judge(plan, answers, answers_len);
}

void x402_verify_plan_clear(struct x402_verify_plan *plan)
{
	if (!plan)
		return;
	if (plan->scheme && plan->state)
		plan->scheme->verify_clear(plan);
	empty_plan(plan);
}

enum x402_err x402_settle_plan(const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan)
{
	if (!verified->decided || !verified->verdict.valid ||
		!verified->scheme || verified->approval)
		return X402_ERR_INVALID_ARGUMENT;
	return verified->scheme->settle_plan(verified, ret_plan);
}

void x402_settle_plan_clear(struct x402_settle_plan *plan)
{
	if (!plan)
		return;
	x402_buf_clear(&plan->calldata);
	x402_buf_clear(&plan->state_calldata);
}

/* Refused for what its own first run may have done. */
static bool may_be_used(const struct x402_verify_plan *plan)
{
	enum x402_reason reason = plan->verdict.reason;

	/* What a delegation permits is used up, or what the payer had. */
	if (plan->scheme == &x402__scheme_exact_delegation)
		return reason == X402_REASON_EVM_SIMULATION_FAILED ||
			reason == X402_REASON_EVM_INSUFFICIENT_BALANCE;
	/* A transaction that was processed is refused by its simulation. */
	return reason == X402_REASON_EVM_NONCE_ALREADY_USED ||
		reason == X402_REASON_SVM_SIMULATION_FAILED ||
		reason == X402_REASON_PERMIT2_INVALID_NONCE;
}

enum x402_err x402_verify_plan_key(
	const struct x402_verify_plan *plan, struct x402_settle_key *ret_key)
{
	struct x402_settle_plan settle;

	if (!plan->decided || !plan->scheme || !plan->state ||
		(!plan->verdict.valid && !may_be_used(plan)))
		return X402_ERR_INVALID_ARGUMENT;
	enum x402_err err = plan->scheme->settle_plan(plan, &settle);
	if (err)
		return err;
	*ret_key = settle.key;
	x402_settle_plan_clear(&settle);
	return X402_OK;
}

enum x402_err x402_create_payload(const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_json **ret_payload)
{
	const struct x402_scheme *scheme = x402_scheme_for_offer(offer);

	if (!scheme) {
		const char *method = x402_json_get_string(
			offer->extra, "assetTransferMethod");

		x402_errinfo_set(info, "scheme",
			"cannot pay %.60s on %.60s%s%.60s", offer->scheme,
			offer->network, method ? " by " : "",
			method ? method : "");
		return X402_ERR_UNSUPPORTED;
	}
	return scheme->create_payload(offer, options, info, ret_payload);
}
