/*
 * exact on EVM by delegation (ERC-7710, F-07A, L-014): the payer's account has
 * delegated to the facilitator, and a delegation manager has it call transfer.
 * No signature can be checked here: the simulation decides.
 *
 * plan:  1 shape 2 scheme, network, terms 3 is the manager allowed? 4 the call,
 *        whose bytes alone must not take the gas 5 the first round of reads
 * judge: 6 code at asset and manager 7 the payer's balance 8 the simulation,
 *        as each signer that could send it, until one passes: the delegate is
 *        checked against the sender, so it is sent by that one and no other.
 *        Never by a signer with code: to a manager, a context without any
 *        delegation is the sender's own wish, and makes its account pay
 * settle: the one call, alone, with the same ceiling of gas
 *
 * What a simulation cannot say is whether money moves: a manager that does
 * nothing simulates well. So managers are named by the operator, and the
 * receipt must hold the asset's own Transfer (settle_proof.c).
 *
 * What makes two payments one is the manager and the context, for ever. Not
 * the delegator: the call does not name it, so that one context would pay again
 * for whoever names another. A context has no end of its own, so neither has
 * what is remembered of it.
 */
#include <stdlib.h>

#include "evm_p.h"
#include "x402/abi.h"
#include "x402/delegation.h"
#include "x402/negotiate.h"

/* EIP-7623: what a call's bytes cost at least, and the transaction itself. */
#define GAS_TRANSACTION ((uint64_t)21000)
#define GAS_ZERO_BYTE   ((uint64_t)10)
#define GAS_OTHER_BYTE  ((uint64_t)40)
/* The longest that one may wait to be sent, whatever the seller allows. */
#define SEND_WITHIN_MAX_S 86400

enum delegation_round {
	ROUND_FIRST, /* code(manager, asset), balance; the likeliest sender */
	ROUND_OTHERS /* the senders that are left */
};

struct delegation {
	struct x402__evm evm; /* first: see evm_p.h */
	struct x402_delegation_payload payload;
	struct x402_buf calldata;
	uint64_t gas;
	uint64_t send_before_unix_s;
	/* Who may send: the likeliest first; NULL: not known here. Owned. */
	struct x402_address *signers;
	size_t signers_len;
	size_t asked; /* of them, so far */
	bool has_sender;
	struct x402_address sender; /* whose simulation passed */
};

static struct delegation *state_of(const struct x402_verify_plan *plan)
{
	return plan->state;
}

/* ---- Offline checks; each returns false after refusing. ---- */

/* L-016. */
static enum x402_err check_shape(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	const struct x402_json *payload = request->payload.payload;
	struct delegation *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};
	struct x402_errinfo text = {{0}, {0}};
	enum x402_err err;

	if (x402_json_has(payload, "authorization") ||
		x402_json_has(payload, "permit2Authorization")) {
		x402__refuse_text(plan, X402_REASON_UNSUPPORTED_PAYLOAD_TYPE,
			"expected an ERC-7710 payload: delegationManager, "
			"permissionContext and delegator");
		return X402_OK;
	}
	err = x402_delegation_payload_read(payload, &info, &state->payload);
	if (err == X402_ERR_NOMEM)
		return err;
	if (err) {
		x402_errinfo_set(&text, "", "%s: %s", info.field, info.text);
		x402__refuse(plan, X402_REASON_INVALID_PAYLOAD, &text);
		return X402_OK;
	}
	state->evm.payer = state->payload.delegator;
	x402_address_format(&state->evm.payer, plan->verdict.payer);
	return X402_OK;
}

static bool check_requirements(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	const struct x402_payment_requirements *req = &request->requirements;
	const char *method = x402_json_get_string(
		req->extra, "assetTransferMethod");
	struct delegation *state = state_of(plan);
	int64_t within_s = req->max_timeout_seconds;

	if (strcmp(request->payload.scheme, "exact") != 0)
		return x402__refuse_text(plan, X402_REASON_EVM_SCHEME,
			"expected scheme exact in the payment");
	/* A seller that did not ask for it cannot judge what it is given. */
	if (!method || strcmp(method, "erc7710") != 0)
		return x402__refuse_text(plan,
			X402_REASON_UNSUPPORTED_PAYLOAD_TYPE,
			"the offer's extra.assetTransferMethod is not erc7710");
	if (within_s < 1)
		return x402__refuse_text(plan,
			X402_REASON_INVALID_PAYMENT_REQUIREMENTS,
			"expected maxTimeoutSeconds above 0");
	if (within_s > SEND_WITHIN_MAX_S)
		within_s = SEND_WITHIN_MAX_S;
	state->send_before_unix_s = state->evm.now_unix_s + (uint64_t)within_s;
	return x402__evm_same_network(
		       request, plan, X402_REASON_EVM_NETWORK_MISMATCH) &&
		x402__evm_read_requirements(req, plan);
}

static bool check_manager(struct x402_verify_plan *plan,
	const struct x402_verify_options *options)
{
	const struct x402_address *manager = &state_of(plan)->payload.manager;

	if (options->any_delegation_manager)
		return true;
	for (size_t i = 0; i < options->delegation_managers_len; i++)
		if (x402_address_equal(
			    &options->delegation_managers[i], manager))
			return true;
	return x402__refuse_text(plan, X402_REASON_UNSUPPORTED_PAYLOAD_TYPE,
		"this facilitator does not call that delegation manager");
}

/*
 * A node refuses a transaction whose bytes take more than its gas, and would
 * never take it: its nonce would hold up the lane.
 */
static bool check_gas(struct x402_verify_plan *plan)
{
	const struct delegation *state = state_of(plan);
	struct x402_u256 limit = x402_u256_from_u64(state->gas);
	uint64_t floor = GAS_TRANSACTION;

	for (size_t i = 0; i < state->calldata.len; i++)
		floor += state->calldata.ptr[i] ? GAS_OTHER_BYTE
						: GAS_ZERO_BYTE;
	struct x402_u256 least = x402_u256_from_u64(floor);
	return floor <= state->gas ||
		x402__refuse_numbers(plan, X402_REASON_EVM_SIMULATION_FAILED,
			"a call whose bytes take less gas than", &limit,
			&least);
}

/* ---- Chain reads of a round. ---- */

static bool names(struct x402_span context, const struct x402_address *signer)
{
	return memmem(context.ptr, context.len, signer->bytes, 20) != NULL;
}

/* A context mostly names its delegate: ask that one first. Only the order. */
static enum x402_err take_signers(
	struct delegation *state, const struct x402_verify_options *options)
{
	struct x402_span context = x402_buf_span(&state->payload.context);

	if (!options->signers_len)
		return X402_OK;
	state->signers = calloc(options->signers_len, sizeof(*state->signers));
	if (!state->signers)
		return X402_ERR_NOMEM;
	for (int named = 1; named >= 0; named--)
		for (size_t i = 0; i < options->signers_len; i++)
			if (names(context, &options->signers[i]) == named)
				state->signers[state->signers_len++] =
					options->signers[i];
	return X402_OK;
}

/*
 * F-042: the very call that settle sends, as who would send it, behind the code
 * of that account, where it is known.
 */
static void add_simulation(
	struct x402_verify_plan *plan, const struct x402_address *sender)
{
	struct delegation *state = state_of(plan);
	struct x402_buf *calldata;
	size_t index;

	if (sender)
		x402__evm_add_code(plan, sender);
	index = plan->reads_len;
	calldata = x402__evm_add_call(
		plan, &state->payload.manager, state->gas);
	x402_buf_add(calldata, x402_buf_span(&state->calldata));
	plan->reads[index].needs_sender = true;
	if (!sender)
		return;
	plan->reads[index].has_sender = true;
	plan->reads[index].sender = *sender;
}

static enum x402_err ask_first(struct x402_verify_plan *plan)
{
	struct delegation *state = state_of(plan);

	x402__evm_begin_round(plan, ROUND_FIRST);
	x402__evm_add_code(plan, &state->payload.manager);
	x402__evm_add_code(plan, &state->evm.asset);
	x402__evm_add_balance(plan);
	add_simulation(plan, state->signers);
	state->asked = 1;
	return x402__evm_end_round(plan);
}

static enum x402_err ask_others(struct x402_verify_plan *plan)
{
	struct delegation *state = state_of(plan);

	x402__evm_begin_round(plan, ROUND_OTHERS);
	while (plan->reads_len + 2 <= X402_PLAN_READS_MAX &&
		state->asked < state->signers_len)
		add_simulation(plan, &state->signers[state->asked++]);
	return x402__evm_end_round(plan);
}

/* ---- Plan. ---- */

static enum x402_err make_call(
	struct delegation *state, const struct x402_verify_options *options)
{
	state->gas = options->delegation_gas ? options->delegation_gas
					     : X402_DELEGATION_GAS;
	x402_delegation_redeem_calldata(&state->payload, &state->evm.asset,
		&state->evm.pay_to, &state->evm.amount, &state->calldata);
	x402__evm_add_codes(&state->evm, &state->calldata);
	return state->calldata.failed ? X402_ERR_NOMEM : X402_OK;
}

static enum x402_err verify_plan(const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *plan)
{
	struct delegation *state = calloc(1, sizeof(*state));
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
	if (!check_requirements(request, plan) || !check_manager(plan, options))
		return X402_OK;
	err = take_signers(state, options);
	if (!err)
		err = make_call(state, options);
	if (err || !check_gas(plan))
		return err;
	return ask_first(plan);
}

/* ---- Judge. ---- */

/* 8: the first that passes. The revert of the likeliest is what is told. */
static enum x402_err judge_senders(struct x402_verify_plan *plan,
	const struct x402_chain_answer *answers, size_t first_read)
{
	struct delegation *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};
	char told[sizeof(state->evm.revert_text)];

	for (size_t i = first_read; i < plan->reads_len; i++)
		if (answers[i].status == X402_ANSWER_FAULT ||
			(plan->reads[i].kind == X402_READ_CODE &&
				answers[i].status != X402_ANSWER_OK))
			return X402_ERR_CHAIN;
	for (size_t i = first_read; i < plan->reads_len; i++) {
		bool passed;
		enum x402_err err;

		if (plan->reads[i].kind == X402_READ_CODE) {
			/* An account of its own: see the tour. */
			if (answers[i].data.len)
				i++;
			continue;
		}
		memcpy(told, state->evm.revert_text, sizeof(told));
		err = x402__evm_judge_simulation(plan, &answers[i], &passed);
		if (err)
			return err;
		if (plan->round != ROUND_FIRST)
			memcpy(state->evm.revert_text, told, sizeof(told));
		if (!passed)
			continue;
		state->has_sender = plan->reads[i].has_sender;
		state->sender = plan->reads[i].sender;
		plan->may_repeat = true;
		x402__accept(plan);
		return X402_OK;
	}
	if (state->asked < state->signers_len)
		return ask_others(plan);
	x402_errinfo_set(&info, "", "the manager would not redeem it: %s",
		state->evm.revert_text[0] ? state->evm.revert_text
					  : "no reason given");
	x402__refuse(plan, X402_REASON_EVM_SIMULATION_FAILED, &info);
	return X402_OK;
}

static enum x402_err judge_first(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	const struct delegation *state = state_of(plan);
	struct x402_u256 balance;
	bool good;
	enum x402_err err;

	for (size_t i = 0; i < plan->reads_len; i++)
		if (answers[i].status == X402_ANSWER_FAULT)
			return X402_ERR_CHAIN;
	err = x402__evm_judge_asset(plan, &answers[1], &good);
	if (err || !good)
		return err;
	/* 6: a call to an address without code succeeds. */
	if (answers[0].status != X402_ANSWER_OK)
		return X402_ERR_CHAIN;
	if (!answers[0].data.len)
		x402__refuse_text(plan, X402_REASON_EVM_SIMULATION_FAILED,
			"no code at delegationManager");
	else if (answers[2].status != X402_ANSWER_OK ||
		x402_abi_read_u256(answers[2].data, 0, &balance))
		x402__refuse_text(plan, X402_REASON_EVM_SIMULATION_FAILED,
			"the asset has no balanceOf(address)");
	else if (x402_u256_cmp(&balance, &state->evm.amount) < 0)
		x402__refuse_numbers(plan, X402_REASON_EVM_INSUFFICIENT_BALANCE,
			"a balance of at least", &state->evm.amount, &balance);
	else
		return judge_senders(plan, answers, 3);
	return X402_OK;
}

static enum x402_err verify_judge(struct x402_verify_plan *plan,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	(void)answers_len; /* equals reads_len: x402_verify_judge checked */
	switch ((enum delegation_round)plan->round) {
	case ROUND_FIRST:
		return judge_first(plan, answers);
	case ROUND_OTHERS:
		return judge_senders(plan, answers, 0);
	}
	return X402_ERR_INTERNAL;
}

static void verify_clear(struct x402_verify_plan *plan)
{
	struct delegation *state = state_of(plan);

	x402_delegation_payload_clear(&state->payload);
	x402_buf_clear(&state->calldata);
	x402__evm_clear(&state->evm);
	free(state->signers);
	free(state);
	plan->state = NULL;
}

/* ---- Settlement. ---- */

static struct x402_settle_key key_of(
	const struct delegation *state, const uint8_t context32[32])
{
	const struct x402_span parts[] = {
		x402_span(state->payload.manager.bytes, 20),
		x402_span(context32, 32)};

	return x402__evm_settle_key("erc7710", &state->evm.network, parts, 2);
}

static enum x402_err settle_plan(const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan)
{
	const struct delegation *state = verified->state;
	struct x402_settle_plan plan = {0};
	enum x402_err err;

	/* Its key is asked for also when it was refused. */
	if (verified->verdict.valid && !state->has_sender)
		return X402_ERR_INVALID_ARGUMENT;
	err = x402__evm_settle_begin(&state->evm, &plan);
	if (err)
		return err;
	plan.amount = state->evm.amount;
	plan.payer = state->evm.payer;
	plan.pay_to = state->evm.pay_to;
	x402_keccak256(x402_buf_span(&state->payload.context), plan.nonce32);
	plan.valid_before_unix_s = UINT64_MAX;
	plan.gas_limit = state->gas;
	plan.key = key_of(state, plan.nonce32);
	plan.call_to = state->payload.manager;
	x402_buf_add(&plan.calldata, x402_buf_span(&state->calldata));
	x402__settle_bind(&plan.state_calldata, &state->sender,
		state->send_before_unix_s);
	return x402__evm_settle_end(&plan, ret_plan);
}

const struct x402_scheme x402__scheme_exact_delegation = {
	.name = "exact",
	.family = X402_FAMILY_EVM,
	.network_pattern = "eip155:*",
	.payload_member = "delegationManager",
	.method = "erc7710",
	.v2_only = true,
	.verify_plan = verify_plan,
	.verify_judge = verify_judge,
	.verify_clear = verify_clear,
	.settle_plan = settle_plan,
	.delegates = true,
	.create_payload = x402__delegation_create_payload,
	/* L-064. The context is the same for both. */
	.flows = 1u << X402_FLOW_AUTHORIZATION | 1u << X402_FLOW_UPFRONT,
};
