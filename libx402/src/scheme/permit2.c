/*
 * exact and upto through Permit2: verification.
 *
 * plan: 1 shape 2 scheme and network 3 terms 4 the permit sent along (F-073)
 *       5 signature offline 6 the first round of chain reads
 *       (4b, where it was not a permit: permit2_approval.c)
 * judge: as for EIP-3009: an EOA whose signature matches needs one round (code
 *       at payer, proxy and asset, and the simulated settlement); anything
 *       else about the signature needs to know first whether there is code at
 *       the payer. A reverted simulation costs one more round to say why.
 *
 * Code is asked for at the proxy and the asset because a call to an address
 * without code succeeds: Permit2 itself would believe such a token.
 *
 * The first failure in the order of F-070 is the one reported. Where next:
 * permit2_settle.c.
 */
#include <stdlib.h>

#include "permit2_p.h"
#include "x402/abi.h"

static const uint8_t selector_allowance[4] = {0xdd, 0x62, 0xed, 0x3e};
static const uint8_t selector_permit2[4] = {0x6a, 0xfd, 0xd8, 0x50};

static struct x402__permit2 *state_of(const struct x402_verify_plan *plan)
{
	return plan->state;
}

/* ---- Offline checks; each returns false after refusing. ---- */

static enum x402_err check_shape(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	const struct x402_json *payload = request->payload.payload;
	struct x402__permit2 *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};
	struct x402_errinfo text = {{0}, {0}};
	enum x402_err err;

	if (!x402_json_get(payload, "permit2Authorization") ||
		x402_json_get(payload, "authorization")) {
		x402__refuse_text(plan, X402_REASON_UNSUPPORTED_PAYLOAD_TYPE,
			"expected a Permit2 payload: signature and "
			"permit2Authorization");
		return X402_OK;
	}
	err = x402_permit2_payload_read(
		payload, state->rules->kind, &info, &state->payload);
	if (err == X402_ERR_NOMEM)
		return err;
	if (err) {
		x402_errinfo_set(&text, "", "%s: %s", info.field, info.text);
		x402__refuse(plan, X402_REASON_INVALID_PAYLOAD, &text);
		return X402_OK;
	}
	state->evm.signature = state->payload.signature;
	state->payload.signature = (struct x402_buf){0};
	state->evm.payer = state->payload.authorization.from;
	x402_address_format(&state->evm.payer, plan->verdict.payer);
	return X402_OK;
}

static bool check_requirements(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = state_of(plan);

	if (strcmp(request->payload.scheme, state->rules->name) != 0) {
		struct x402_errinfo info = {{0}, {0}};

		x402_errinfo_set(&info, "",
			"expected scheme %s in the payment, got %.60s",
			state->rules->name, request->payload.scheme);
		x402__refuse(plan, state->rules->wrong_scheme, &info);
		return false;
	}
	return x402__evm_same_network(
		       request, plan, state->rules->wrong_network) &&
		x402__evm_read_requirements(&request->requirements, plan);
}

/*
 * F-079: what is to be taken may be less than was permitted, and nothing at
 * all. Before that, what is asked about is the whole of it.
 */
static bool check_amount(struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = state_of(plan);
	const struct x402_permit2_authorization *auth =
		&state->payload.authorization;

	state->taken = state->evm.amount;
	if (auth->kind == X402_PERMIT2_UPTO &&
		state->phase == X402_PHASE_SETTLE) {
		if (x402_u256_cmp(&state->taken, &auth->amount) > 0)
			return x402__refuse_numbers(plan,
				X402_REASON_UPTO_EXCEEDS_AMOUNT, "at most",
				&auth->amount, &state->taken);
		return true;
	}
	if (x402_u256_cmp(&auth->amount, &state->evm.amount) != 0)
		return x402__refuse_numbers(plan,
			X402_REASON_PERMIT2_AMOUNT_MISMATCH, "permitted.amount",
			&state->evm.amount, &auth->amount);
	return true;
}

static bool check_window(struct x402_verify_plan *plan)
{
	const struct x402__permit2 *state = state_of(plan);
	const struct x402_permit2_authorization *auth =
		&state->payload.authorization;
	struct x402_u256 now = x402_u256_from_u64(state->evm.now_unix_s);
	struct x402_u256 earliest = x402_u256_from_u64(
		state->evm.now_unix_s + X402__EVM_MARGIN_S);

	if (x402_u256_cmp(&auth->deadline, &earliest) < 0)
		return x402__refuse_numbers(plan,
			X402_REASON_PERMIT2_DEADLINE_EXPIRED,
			"a deadline at or after", &earliest, &auth->deadline);
	if (x402_u256_cmp(&auth->valid_after, &now) > 0)
		return x402__refuse_numbers(plan,
			X402_REASON_PERMIT2_NOT_YET_VALID,
			"validAfter at or before", &now, &auth->valid_after);
	return true;
}

/* F-070, in its order. */
static bool check_terms(struct x402_verify_plan *plan)
{
	const struct x402__permit2 *state = state_of(plan);
	const struct x402_permit2_authorization *auth =
		&state->payload.authorization;
	const struct x402_address *proxy = x402_permit2_proxy(auth->kind);

	if (!x402_address_equal(&auth->spender, proxy))
		return x402__refuse_addresses(plan, X402_REASON_PERMIT2_SPENDER,
			"spender", proxy, &auth->spender);
	if (!x402_address_equal(&auth->to, &state->evm.pay_to))
		return x402__refuse_addresses(plan,
			X402_REASON_PERMIT2_RECIPIENT_MISMATCH, "witness.to",
			&state->evm.pay_to, &auth->to);
	if (state->rules->check && !state->rules->check(plan))
		return false;
	if (!check_window(plan) || !check_amount(plan))
		return false;
	if (!x402_address_equal(&auth->token, &state->evm.asset))
		return x402__refuse_addresses(plan,
			X402_REASON_PERMIT2_TOKEN_MISMATCH, "permitted.token",
			&state->evm.asset, &auth->token);
	return true;
}

/*
 * F-073; that the permit is good the simulation tells. Its value the proxy
 * would refuse too, but by then an allowance would be missed first.
 */
static bool check_permit2612(struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = state_of(plan);
	const struct x402_permit2612 *permit = &state->permit2612;
	struct x402_u256 earliest = x402_u256_from_u64(
		state->evm.now_unix_s + X402__EVM_MARGIN_S);

	if (!x402_address_equal(&permit->owner, &state->evm.payer))
		return x402__refuse_addresses(plan,
			X402_REASON_EIP2612_FROM_MISMATCH, "from",
			&state->evm.payer, &permit->owner);
	if (!x402_address_equal(&permit->token, &state->evm.asset))
		return x402__refuse_addresses(plan,
			X402_REASON_EIP2612_ASSET_MISMATCH, "asset",
			&state->evm.asset, &permit->token);
	if (!x402_address_equal(&permit->spender, x402_permit2_contract()))
		return x402__refuse_addresses(plan,
			X402_REASON_EIP2612_SPENDER_NOT_PERMIT2, "spender",
			x402_permit2_contract(), &permit->spender);
	if (x402_u256_cmp(&permit->deadline, &earliest) < 0)
		return x402__refuse_numbers(plan,
			X402_REASON_EIP2612_DEADLINE_EXPIRED,
			"a deadline at or after", &earliest, &permit->deadline);
	if (x402_u256_cmp(&permit->value, &state->payload.authorization.amount))
		return x402__refuse_numbers(plan,
			X402_REASON_PERMIT2_2612_AMOUNT_MISMATCH, "amount",
			&state->payload.authorization.amount, &permit->value);
	return true;
}

static bool read_permit2612(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};
	struct x402_errinfo text = {{0}, {0}};
	enum x402_err err = x402_permit2612_read(
		request->payload.extensions, &info, &state->permit2612);

	if (err == X402_ERR_NOT_FOUND)
		return true;
	if (err) {
		x402_errinfo_set(&text, "", "%s: %s", info.field, info.text);
		x402__refuse(plan, X402_REASON_EIP2612_FORMAT, &text);
		return false;
	}
	state->has_permit2612 = true;
	return check_permit2612(plan);
}

/* ---- The call. ---- */

void x402__permit2_call(struct x402__permit2 *state,
	struct x402_address *ret_to, struct x402_buf *calldata)
{
	struct x402_permit2_payload payload = {
		.authorization = state->payload.authorization,
		.signature = state->evm.signature}; /* borrowed */

	*ret_to = *x402_permit2_proxy(state->rules->kind);
	x402_permit2_settle_calldata(&payload, &state->taken,
		state->has_permit2612 ? &state->permit2612 : NULL, calldata);
	if (state->evm.deploy)
		x402__evm_deploy_first(&state->evm, ret_to, calldata);
	x402__evm_add_codes(&state->evm, calldata);
}

uint64_t x402__permit2_gas(const struct x402__permit2 *state)
{
	uint64_t gas = state->evm.contract ? X402__PERMIT2_GAS_CONTRACT
					   : X402__PERMIT2_GAS_EOA;

	if (state->has_permit2612)
		gas += X402__PERMIT2_GAS_PERMIT;
	if (state->evm.deploy)
		gas += X402__EVM_GAS_DEPLOY;
	return gas + x402__evm_codes_gas(&state->evm);
}

/* ---- Chain reads of a round. ---- */

static bool takes_nothing(const struct x402__permit2 *state)
{
	return state->phase == X402_PHASE_SETTLE &&
		x402_u256_is_zero(&state->taken);
}

/* What every settlement is asked about: code at proxy and asset, and itself. */
static enum x402_err add_settlement(struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = state_of(plan);
	struct x402_buf *calldata;
	size_t index;

	x402__evm_add_code(plan, x402_permit2_proxy(state->rules->kind));
	x402__evm_add_code(plan, &state->evm.asset);
	index = plan->reads_len;
	calldata = x402__evm_add_call(
		plan, &state->evm.asset, x402__permit2_gas(state));
	/* F-042, F-079: as the very sender, where the payment names it. */
	plan->reads[index].needs_sender = true;
	if (state->rules->kind == X402_PERMIT2_UPTO) {
		plan->reads[index].has_sender = true;
		plan->reads[index].sender =
			state->payload.authorization.facilitator;
	}
	x402__permit2_call(state, &plan->reads[index].to, calldata);
	return x402__evm_end_round(plan);
}

enum x402_err x402__permit2_ask_as_eoa(struct x402_verify_plan *plan)
{
	x402__evm_begin_round(plan, X402__PERMIT2_EOA);
	x402__evm_add_code(plan, &state_of(plan)->evm.payer);
	if (takes_nothing(state_of(plan)))
		return X402_OK;
	return add_settlement(plan);
}

static enum x402_err ask_for_code(struct x402_verify_plan *plan)
{
	x402__evm_begin_round(plan, X402__PERMIT2_CODE);
	x402__evm_add_code(plan, &state_of(plan)->evm.payer);
	return X402_OK;
}

static enum x402_err ask_as_contract(struct x402_verify_plan *plan)
{
	state_of(plan)->evm.contract = true;
	x402__evm_begin_round(plan, X402__PERMIT2_CONTRACT);
	x402__evm_add_wallet_check(plan);
	if (takes_nothing(state_of(plan)))
		return x402__evm_end_round(plan);
	return add_settlement(plan);
}

static enum x402_err ask_with_deployment(struct x402_verify_plan *plan)
{
	state_of(plan)->evm.contract = true;
	state_of(plan)->evm.deploy = true;
	x402__evm_begin_round(plan, X402__PERMIT2_DEPLOY);
	return add_settlement(plan);
}

/* F-072: in the order in which the answers are looked at. */
static enum x402_err ask_why(struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = state_of(plan);
	struct x402_buf *calldata;

	x402__evm_begin_round(plan, X402__PERMIT2_DIAGNOSE);
	calldata = x402__evm_add_call(
		plan, x402_permit2_proxy(state->rules->kind), 0);
	x402_abi_add_selector(calldata, selector_permit2);
	x402__evm_add_balance(plan);
	calldata = x402__evm_add_call(plan, &state->evm.asset, 0);
	x402_abi_add_selector(calldata, selector_allowance);
	x402_abi_add_address(calldata, &state->evm.payer);
	x402_abi_add_address(calldata, x402_permit2_contract());
	return x402__evm_end_round(plan);
}

/* ---- Plan. ---- */

static enum x402_err plan_signature(struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = state_of(plan);
	enum x402_err err;

	x402_permit2_digest(&state->payload.authorization,
		state->evm.network.chain_id, state->evm.digest32);
	err = x402__evm_unwrap(&state->evm);
	if (err == X402_ERR_NOMEM)
		return err;
	if (err) {
		x402__refuse_text(plan, X402_REASON_PERMIT2_SIGNATURE,
			"malformed ERC-6492 wrapper");
		return X402_OK;
	}
	if (state->evm.wrapped || !x402__evm_recovers(&state->evm))
		return ask_for_code(plan);
	return x402__permit2_ask_as_eoa(plan);
}

enum x402_err x402__permit2_verify_plan(
	const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	const struct x402__permit2_rules *rules, struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = calloc(1, sizeof(*state));
	enum x402_err err;

	if (!state)
		return X402_ERR_NOMEM;
	plan->state = state;
	state->rules = rules;
	state->phase = options->phase;
	state->signers = options->signers;
	state->signers_len = options->signers_len;
	state->facilitator_text = x402_json_get_string(
		request->requirements.extra, "facilitatorAddress");
	err = x402__evm_begin(&state->evm, options);
	if (!err)
		err = x402__evm_read_codes(&state->evm, request, options);
	if (!err)
		err = check_shape(request, plan);
	if (err || plan->decided)
		return err;
	if (!check_requirements(request, plan) || !check_terms(plan) ||
		!read_permit2612(request, plan) ||
		!x402__permit2_read_approval(request, options, plan, &err))
		return err;
	return plan_signature(plan);
}

/* ---- Judge. ---- */

/* The three answers that add_settlement asked for. */
static enum x402_err judge_settlement(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	struct x402__permit2 *state = state_of(plan);
	bool good;
	enum x402_err err;

	if (takes_nothing(state)) {
		x402__accept(plan);
		return X402_OK;
	}
	err = x402__evm_judge_asset(plan, &answers[1], &good);
	if (err || !good)
		return err;
	if (answers[0].status != X402_ANSWER_OK)
		return X402_ERR_CHAIN;
	if (answers[0].data.len == 0) {
		x402__refuse_text(plan, X402_REASON_PERMIT2_PROXY_NOT_DEPLOYED,
			"no code at the proxy's address on this chain");
		return X402_OK;
	}
	err = x402__evm_judge_simulation(plan, &answers[2], &good);
	if (err)
		return err;
	if (!good)
		return ask_why(plan);
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
	return judge_settlement(plan, &answers[1]);
}

/* F-034: no code at the payer, so nothing can accept the signature. */
static enum x402_err judge_code(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	struct x402__evm *evm = &state_of(plan)->evm;

	if (answers[0].status != X402_ANSWER_OK)
		return X402_ERR_CHAIN;
	if (answers[0].data.len > 0)
		return ask_as_contract(plan);
	if (!evm->wrapped) {
		x402__refuse_text(plan, X402_REASON_PERMIT2_SIGNATURE,
			"expected a 65-byte low-s signature by "
			"permit2Authorization.from over Permit2's domain");
		return X402_OK;
	}
	/* Behind Multicall3 the sender is not the facilitator that upto names.
	 */
	if (state_of(plan)->rules->kind == X402_PERMIT2_EXACT &&
		x402__evm_factory_allowed(evm))
		return ask_with_deployment(plan);
	x402__refuse_text(plan, X402_REASON_EVM_6492_FACTORY_NOT_ALLOWED,
		"this facilitator does not call that wallet's factory");
	return X402_OK;
}

static enum x402_err judge_contract(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	if (answers[0].status == X402_ANSWER_FAULT)
		return X402_ERR_CHAIN;
	if (!x402__evm_says_magic(&answers[0])) {
		x402__refuse_text(plan, X402_REASON_PERMIT2_SIGNATURE,
			"the wallet's isValidSignature did not accept it");
		return X402_OK;
	}
	return judge_settlement(plan, &answers[1]);
}

static bool is_below(const struct x402_chain_answer *answer,
	const struct x402_u256 *limit, struct x402_u256 *ret_value)
{
	return answer->status == X402_ANSWER_OK &&
		x402_abi_read_u256(answer->data, 0, ret_value) == X402_OK &&
		x402_u256_cmp(ret_value, limit) < 0;
}

/*
 * Permit2 looks at nonce and signature before it asks the token, so a revert
 * that does not name them is about the allowance alone. A contract sends no
 * transaction of its own.
 */
static bool may_approve(
	const struct x402__permit2 *state, enum x402_reason reason)
{
	return state->has_approval && !state->evm.contract &&
		(reason == X402_REASON_NONE ||
			reason == X402_REASON_PERMIT2_ALLOWANCE_REQUIRED);
}

/*
 * Balance and allowance are looked at a block or more after what reverted for
 * want of them, perhaps: of two who ask for one payment, one may have had its
 * approval sent meanwhile. Told to pay afresh, the other would pay twice.
 */
static bool may_be_gone(
	const struct x402__permit2 *state, enum x402_reason reason)
{
	return !state->tried_again &&
		(reason == X402_REASON_NONE ||
			reason == X402_REASON_PERMIT2_ALLOWANCE_REQUIRED ||
			reason == X402_REASON_PERMIT2_INSUFFICIENT_BALANCE);
}

static enum x402_err try_again(struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = state_of(plan);

	state->tried_again = true;
	if (state->evm.deploy)
		return ask_with_deployment(plan);
	return state->evm.contract ? ask_as_contract(plan)
				   : x402__permit2_ask_as_eoa(plan);
}

/* F-072; where it knows nothing better, the revert's own name (2.5). */
static enum x402_err judge_diagnosis(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	const struct x402__permit2 *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};
	struct x402_address permit2;
	struct x402_u256 value;
	enum x402_reason reason;

	for (size_t i = 0; i < plan->reads_len; i++) {
		if (answers[i].status == X402_ANSWER_FAULT)
			return X402_ERR_CHAIN;
	}
	if (answers[0].status == X402_ANSWER_REVERTED ||
		x402_abi_read_address(answers[0].data, 0, &permit2)) {
		x402__refuse_text(plan, X402_REASON_PERMIT2_PROXY_NOT_DEPLOYED,
			"the proxy's address does not answer as the proxy");
		return X402_OK;
	}
	if (is_below(&answers[1], &state->taken, &value)) {
		x402__refuse_numbers(plan,
			X402_REASON_PERMIT2_INSUFFICIENT_BALANCE,
			"a balance of at least", &state->taken, &value);
		return X402_OK;
	}
	reason = x402_permit2_revert_reason(
		x402_buf_span(&state->evm.revert_data));
	if (is_below(&answers[2], &state->taken, &value)) {
		if (may_approve(state, reason))
			return x402__permit2_ask_approval(plan);
		x402__refuse_numbers(plan,
			X402_REASON_PERMIT2_ALLOWANCE_REQUIRED,
			"an allowance for Permit2 of at least", &state->taken,
			&value);
		return X402_OK;
	}
	if (may_be_gone(state, reason))
		return try_again(plan);
	x402_errinfo_set(&info, "", "the settlement would revert: %s",
		state->evm.revert_text[0] ? state->evm.revert_text
					  : "no reason given");
	x402__refuse(plan,
		reason ? reason : X402_REASON_PERMIT2_SIMULATION_FAILED, &info);
	return X402_OK;
}

enum x402_err x402__permit2_verify_judge(struct x402_verify_plan *plan,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	(void)answers_len; /* equals reads_len: x402_verify_judge checked */
	switch ((enum x402__permit2_round)plan->round) {
	case X402__PERMIT2_EOA:
		return judge_eoa(plan, answers);
	case X402__PERMIT2_CODE:
		return judge_code(plan, answers);
	case X402__PERMIT2_CONTRACT:
		return judge_contract(plan, answers);
	case X402__PERMIT2_DEPLOY:
		return judge_settlement(plan, answers);
	case X402__PERMIT2_DIAGNOSE:
		return judge_diagnosis(plan, answers);
	case X402__PERMIT2_APPROVAL:
		return x402__permit2_judge_approval(plan, answers);
	}
	return X402_ERR_INTERNAL;
}

void x402__permit2_verify_clear(struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = state_of(plan);

	x402_permit2_payload_clear(&state->payload);
	x402_approval_clear(&state->approval);
	x402__evm_clear(&state->evm);
	free(state);
	plan->state = NULL;
}
