/*
 * exact on EVM with EIP-3009: verification.
 *
 * plan: 1 shape (F-020) 2 scheme, domain, network (F-021 to F-023)
 *       3 signature offline (F-030) 4 terms (F-035 to F-038)
 *       5 the first round of chain reads
 * judge: an EOA whose signature matches needs one round (code at payer and
 *       asset, simulation). Anything else about the signature needs to know
 *       first whether there is code at the payer: code means ERC-1271 and
 *       nothing else (F-033), so EIP-7702 accounts go that way too.
 *       A reverted simulation costs one more round to say why (F-041).
 *
 * The first failure in the order of the rows is the one reported. Where next:
 * exact_evm_settle.c.
 */
#include <stdlib.h>

#include "exact_evm_p.h"
#include "x402/abi.h"
#include "x402/eip712.h"
#include "x402/negotiate.h"

static const uint8_t selector_name[4] = {0x06, 0xfd, 0xde, 0x03};
static const uint8_t selector_version[4] = {0x54, 0xfd, 0x4d, 0x50};

static struct x402__exact_evm *state_of(const struct x402_verify_plan *plan)
{
	return plan->state;
}

/* ---- Offline checks; each returns false after refusing. ---- */

/* F-020, L-016. */
static enum x402_err check_shape(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	const struct x402_json *payload = request->payload.payload;
	struct x402__exact_evm *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};
	enum x402_err err;

	if (!x402_json_get(payload, "authorization") ||
		x402_json_get(payload, "permit2Authorization")) {
		x402__refuse_text(plan, X402_REASON_UNSUPPORTED_PAYLOAD_TYPE,
			"expected an EIP-3009 payload: signature and "
			"authorization");
		return X402_OK;
	}
	err = x402_eip3009_payload_read(payload, &info, &state->payload);
	if (err == X402_ERR_NOMEM)
		return err;
	if (err) {
		struct x402_errinfo text = {{0}, {0}};

		x402_errinfo_set(&text, "", "%s: %s", info.field, info.text);
		x402__refuse(plan, X402_REASON_INVALID_PAYLOAD, &text);
		return X402_OK;
	}
	/* One place for the signature, whatever its wrapping. */
	state->evm.signature = state->payload.signature;
	state->payload.signature = (struct x402_buf){0};
	state->evm.payer = state->payload.authorization.from;
	x402_address_format(&state->evm.payer, plan->verdict.payer);
	return X402_OK;
}

/* F-021 to F-023, and requirements that cannot be an EVM payment. */
static bool check_requirements(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	const struct x402_payment_requirements *req = &request->requirements;
	struct x402__exact_evm *state = state_of(plan);

	if (strcmp(request->payload.scheme, "exact") != 0)
		return x402__refuse_text(plan, X402_REASON_EVM_SCHEME,
			"expected scheme exact in the payment");
	state->name = x402_json_get_string(req->extra, "name");
	state->version = x402_json_get_string(req->extra, "version");
	if (!state->name || !*state->name || !state->version ||
		!*state->version)
		return x402__refuse_text(plan,
			X402_REASON_EVM_MISSING_EIP712_DOMAIN,
			"expected extra.name and extra.version, the token's "
			"EIP-712 domain");
	state->may_be_silent = !x402_known_asset(
		x402_payment_requirements_caip2(req), req->asset);
	return x402__evm_same_network(
		       request, plan, X402_REASON_EVM_NETWORK_MISMATCH) &&
		x402__evm_read_requirements(req, plan);
}

/* F-035 to F-038. */
static bool check_terms(struct x402_verify_plan *plan)
{
	const struct x402__exact_evm *state = state_of(plan);
	const struct x402_eip3009_authorization *auth =
		&state->payload.authorization;
	struct x402_u256 now = x402_u256_from_u64(state->evm.now_unix_s);
	struct x402_u256 earliest = x402_u256_from_u64(
		state->evm.now_unix_s + X402__EVM_MARGIN_S);

	if (!x402_address_equal(&auth->to, &state->evm.pay_to))
		return x402__refuse_addresses(plan,
			X402_REASON_EVM_RECIPIENT_MISMATCH, "to",
			&state->evm.pay_to, &auth->to);
	if (x402_u256_cmp(&auth->valid_before, &earliest) < 0)
		return x402__refuse_numbers(plan, X402_REASON_EVM_VALID_BEFORE,
			"validBefore at or after", &earliest,
			&auth->valid_before);
	if (x402_u256_cmp(&auth->valid_after, &now) > 0)
		return x402__refuse_numbers(plan, X402_REASON_EVM_VALID_AFTER,
			"validAfter at or before", &now, &auth->valid_after);
	if (x402_u256_cmp(&auth->value, &state->evm.amount) != 0)
		return x402__refuse_numbers(plan,
			X402_REASON_EVM_VALUE_MISMATCH, "value",
			&state->evm.amount, &auth->value);
	return true;
}

/* ---- Chain reads of a round. ---- */

void x402__exact_evm_call(const struct x402__exact_evm *state,
	struct x402_address *ret_to, struct x402_buf *calldata)
{
	*ret_to = state->evm.asset;
	x402_eip3009_transfer_calldata(&state->payload.authorization,
		x402_buf_span(&state->evm.signature), calldata);
	if (state->evm.deploy)
		x402__evm_deploy_first(&state->evm, ret_to, calldata);
	x402__evm_add_codes(&state->evm, calldata);
}

uint64_t x402__exact_evm_gas(const struct x402__exact_evm *state)
{
	uint64_t codes = x402__evm_codes_gas(&state->evm);

	if (state->evm.deploy)
		return X402__EVM_GAS_CONTRACT + X402__EVM_GAS_DEPLOY + codes;
	return (state->evm.contract ? X402__EVM_GAS_CONTRACT
				    : X402__EVM_GAS_EOA) +
		codes;
}

static void add_state(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);
	const struct x402_eip3009_authorization *auth =
		&state->payload.authorization;
	struct x402_buf *calldata = x402__evm_add_call(
		plan, &state->evm.asset, 0);

	x402_eip3009_state_calldata(&auth->from, auth->nonce32, calldata);
}

/* F-040, F-042: the very calldata that settle sends, as its sender. */
static void add_simulation(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);
	size_t index = plan->reads_len;
	struct x402_buf *calldata = x402__evm_add_call(
		plan, &state->evm.asset, x402__exact_evm_gas(state));

	plan->reads[index].needs_sender = true;
	plan->reads[index].may_share = !state->may_be_silent &&
		!state->evm.contract;
	plan->reads[index].transfer_from = state->payload.authorization.from;
	plan->reads[index].transfer_to = state->payload.authorization.to;
	x402__exact_evm_call(state, &plan->reads[index].to, calldata);
	if (state->may_be_silent)
		add_state(plan);
}

static enum x402_err ask_as_eoa(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);

	x402__evm_begin_round(plan, X402__ROUND_EOA);
	x402__evm_add_code(plan, &state->evm.payer);
	x402__evm_add_code(plan, &state->evm.asset);
	add_simulation(plan);
	return x402__evm_end_round(plan);
}

/*
 * The signature is not the payer's by what extra says of the token's domain.
 * Whether the token says the same costs no extra round to find out.
 */
static enum x402_err ask_for_code(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);
	struct x402_buf *calldata;

	x402__evm_begin_round(plan, X402__ROUND_CODE);
	x402__evm_add_code(plan, &state->evm.payer);
	calldata = x402__evm_add_call(plan, &state->evm.asset, 0);
	x402_abi_add_selector(calldata, selector_name);
	calldata = x402__evm_add_call(plan, &state->evm.asset, 0);
	x402_abi_add_selector(calldata, selector_version);
	return x402__evm_end_round(plan);
}

static enum x402_err ask_as_contract(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);

	state->evm.contract = true;
	x402__evm_begin_round(plan, X402__ROUND_CONTRACT);
	x402__evm_add_wallet_check(plan);
	x402__evm_add_code(plan, &state->evm.asset);
	add_simulation(plan);
	return x402__evm_end_round(plan);
}

/*
 * F-034, F-040: the wallet does not exist yet, so that nobody can be asked
 * about the signature but the token, after the factory made the wallet.
 */
static enum x402_err ask_with_deployment(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);

	state->evm.contract = true;
	state->evm.deploy = true;
	x402__evm_begin_round(plan, X402__ROUND_DEPLOY);
	x402__evm_add_code(plan, &state->evm.asset);
	add_simulation(plan);
	return x402__evm_end_round(plan);
}

static enum x402_err ask_why(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);
	struct x402_buf *calldata;

	x402__evm_begin_round(plan, X402__ROUND_DIAGNOSE);
	add_state(plan);
	calldata = x402__evm_add_call(plan, &state->evm.asset, 0);
	x402_abi_add_selector(calldata, selector_name);
	calldata = x402__evm_add_call(plan, &state->evm.asset, 0);
	x402_abi_add_selector(calldata, selector_version);
	x402__evm_add_balance(plan);
	return x402__evm_end_round(plan);
}

/* ---- Plan. ---- */

static void compute_digest(
	struct x402__exact_evm *state, struct x402_eip712_cache *domains)
{
	struct x402_eip712_domain domain = {.name = state->name,
		.version = state->version,
		.chain_id = state->evm.network.chain_id,
		.verifying_contract = &state->evm.asset};
	uint8_t separator[32];

	x402_eip712_domain_separator_cached(domains, &domain, separator);
	x402_eip3009_digest(
		&state->payload.authorization, separator, state->evm.digest32);
}

static enum x402_err plan_signature_and_terms(
	struct x402_verify_plan *plan, struct x402_eip712_cache *domains)
{
	struct x402__exact_evm *state = state_of(plan);

	enum x402_err err;

	compute_digest(state, domains);
	err = x402__evm_unwrap(&state->evm);
	if (err == X402_ERR_NOMEM)
		return err;
	if (err) {
		x402__refuse_text(plan, X402_REASON_EVM_SIGNATURE,
			"malformed ERC-6492 wrapper");
		return X402_OK;
	}
	if (state->evm.wrapped || !x402__evm_recovers(&state->evm))
		return ask_for_code(plan);
	if (!check_terms(plan))
		return X402_OK;
	return ask_as_eoa(plan);
}

static enum x402_err verify_plan(const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = calloc(1, sizeof(*state));
	enum x402_err err;

	if (!state)
		return X402_ERR_NOMEM;
	plan->state = state;
	err = x402__evm_begin(&state->evm, options);
	if (!err)
		err = x402__evm_read_codes(&state->evm, request, options);
	if (!err)
		err = check_shape(request, plan);
	if (err || plan->decided)
		return err;
	if (!check_requirements(request, plan))
		return X402_OK;
	return plan_signature_and_terms(plan, options->domains);
}

/* ---- Judge. ---- */

/* True after refusing. */
static bool refuse_if_used(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answer)
{
	bool used;

	if (answer->status != X402_ANSWER_OK ||
		x402_abi_read_bool(answer->data, 0, &used) != X402_OK || !used)
		return false;
	x402__refuse_text(plan, X402_REASON_EVM_NONCE_ALREADY_USED,
		"the authorization's nonce was used or cancelled");
	return true;
}

/* answers: code at the asset, the simulation, and what add_state asked. */
static enum x402_err judge_simulation(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	const struct x402__exact_evm *state = state_of(plan);
	bool good;
	enum x402_err err = x402__evm_judge_asset(plan, &answers[0], &good);

	if (err || !good)
		return err;
	err = x402__evm_judge_simulation(plan, &answers[1], &good);
	if (err)
		return err;
	if (!good)
		return ask_why(plan);
	if (state->may_be_silent && answers[2].status == X402_ANSWER_FAULT)
		return X402_ERR_CHAIN;
	if (!state->may_be_silent || !refuse_if_used(plan, &answers[2]))
		x402__accept(plan);
	return X402_OK;
}

static enum x402_err judge_eoa(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	if (answers[0].status != X402_ANSWER_OK)
		return X402_ERR_CHAIN;
	if (answers[0].data.len > 0)
		return ask_as_contract(plan); /* F-033 */
	return judge_simulation(plan, &answers[1]);
}

/*
 * What the token says of itself, when that is not what extra says. An answer
 * that is no string says nothing: old tokens have no version().
 */
static bool says_other(const struct x402_chain_answer *answer,
	const char *expected, struct x402_errinfo *info)
{
	struct x402_span text;

	if (answer->status != X402_ANSWER_OK ||
		x402_abi_read_bytes(answer->data, 0, &text) != X402_OK)
		return false;
	if (text.len == strlen(expected) &&
		memcmp(text.ptr, expected, text.len) == 0)
		return false;
	x402_errinfo_set(info, "", "expected %.80s, the token says %.*s",
		expected, (int)(text.len < 80 ? text.len : 80),
		(const char *)text.ptr);
	return true;
}

/* Refuse when a string answer is not the expected one, and return true. */
static bool refuse_if_other(struct x402_verify_plan *plan,
	enum x402_reason reason, const struct x402_chain_answer *answer,
	const char *expected)
{
	struct x402_errinfo info = {{0}, {0}};

	if (!says_other(answer, expected, &info))
		return false;
	x402__refuse(plan, reason, &info);
	return true;
}

/* F-030: with the domain that does not fit, where that is the cause. */
static void refuse_signature(struct x402_verify_plan *plan,
	const struct x402_chain_answer *name,
	const struct x402_chain_answer *version)
{
	const struct x402__exact_evm *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};
	struct x402_errinfo text = {{0}, {0}};

	if (says_other(name, state->name, &info))
		x402_errinfo_set(&text, "",
			"signed over another EIP-712 domain? name: %.200s",
			info.text);
	else if (says_other(version, state->version, &info))
		x402_errinfo_set(&text, "",
			"signed over another EIP-712 domain? version: %.200s",
			info.text);
	else
		x402_errinfo_set(&text, "",
			"expected a 65-byte low-s signature by "
			"authorization.from over this token's domain");
	x402__refuse(plan, X402_REASON_EVM_SIGNATURE, &text);
}

/* F-030, F-032, F-034: no code at the payer, so nothing can accept it. */
static enum x402_err judge_code(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	const struct x402__exact_evm *state = state_of(plan);

	if (answers[0].status != X402_ANSWER_OK)
		return X402_ERR_CHAIN;
	if (answers[0].data.len > 0)
		return ask_as_contract(plan);
	if (state->evm.wrapped && x402__evm_factory_allowed(&state->evm))
		return check_terms(plan) ? ask_with_deployment(plan) : X402_OK;
	if (state->evm.wrapped)
		x402__refuse_text(plan,
			X402_REASON_EVM_6492_FACTORY_NOT_ALLOWED,
			"this facilitator does not call that wallet's factory");
	else if (state->evm.signature.len > 65)
		x402__refuse_text(plan, X402_REASON_EVM_UNDEPLOYED_SMART_WALLET,
			"expected a 65-byte signature from an address without "
			"code");
	else
		refuse_signature(plan, &answers[1], &answers[2]);
	return X402_OK;
}

static enum x402_err judge_contract(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	if (answers[0].status == X402_ANSWER_FAULT)
		return X402_ERR_CHAIN;
	if (!x402__evm_says_magic(&answers[0])) {
		x402__refuse_text(plan, X402_REASON_EVM_SIGNATURE,
			"the wallet's isValidSignature did not accept it");
		return X402_OK;
	}
	if (!check_terms(plan))
		return X402_OK;
	return judge_simulation(plan, &answers[1]);
}

/* F-041, in its order. */
static enum x402_err judge_diagnosis(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	const struct x402__exact_evm *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};
	struct x402_u256 balance;
	bool used;

	for (size_t i = 0; i < plan->reads_len; i++) {
		if (answers[i].status == X402_ANSWER_FAULT)
			return X402_ERR_CHAIN;
	}
	if (answers[0].status == X402_ANSWER_REVERTED ||
		x402_abi_read_bool(answers[0].data, 0, &used) != X402_OK)
		x402__refuse_text(plan, X402_REASON_EVM_EIP3009_NOT_SUPPORTED,
			"the asset has no authorizationState(address,bytes32)");
	else if (refuse_if_used(plan, &answers[0]))
		return X402_OK;
	else if (refuse_if_other(plan, X402_REASON_EVM_TOKEN_NAME_MISMATCH,
			 &answers[1], state->name) ||
		refuse_if_other(plan, X402_REASON_EVM_TOKEN_VERSION_MISMATCH,
			&answers[2], state->version))
		return X402_OK;
	else if (answers[3].status == X402_ANSWER_OK &&
		x402_abi_read_u256(answers[3].data, 0, &balance) == X402_OK &&
		x402_u256_cmp(&balance, &state->evm.amount) < 0)
		x402__refuse_numbers(plan, X402_REASON_EVM_INSUFFICIENT_BALANCE,
			"a balance of at least", &state->evm.amount, &balance);
	else {
		x402_errinfo_set(&info, "", "the transfer would revert: %s",
			state->evm.revert_text[0] ? state->evm.revert_text
						  : "no reason given");
		x402__refuse(plan, X402_REASON_EVM_SIMULATION_FAILED, &info);
	}
	return X402_OK;
}

static enum x402_err verify_judge(struct x402_verify_plan *plan,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	(void)answers_len; /* equals reads_len: x402_verify_judge checked */
	switch ((enum x402__exact_evm_round)plan->round) {
	case X402__ROUND_EOA:
		return judge_eoa(plan, answers);
	case X402__ROUND_CODE:
		return judge_code(plan, answers);
	case X402__ROUND_CONTRACT:
		return judge_contract(plan, answers);
	case X402__ROUND_DEPLOY:
		return judge_simulation(plan, answers);
	case X402__ROUND_DIAGNOSE:
		return judge_diagnosis(plan, answers);
	}
	return X402_ERR_INTERNAL;
}

static void verify_clear(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);

	x402_eip3009_payload_clear(&state->payload);
	x402__evm_clear(&state->evm);
	free(state);
	plan->state = NULL;
}

const struct x402_scheme x402__scheme_exact_evm = {
	.name = "exact",
	.family = X402_FAMILY_EVM,
	.network_pattern = "eip155:*",
	.payload_member = "authorization",
	.method = "eip3009",
	.verify_plan = verify_plan,
	.verify_judge = verify_judge,
	.verify_clear = verify_clear,
	.settle_plan = x402__exact_evm_settle_plan,
	.create_payload = x402__exact_evm_create_payload,
	/* L-064. The payer signs the same for both. */
	.flows = 1u << X402_FLOW_AUTHORIZATION | 1u << X402_FLOW_UPFRONT,
};
