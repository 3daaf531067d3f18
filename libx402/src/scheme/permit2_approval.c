/*
 * An approval that came along with a payment through Permit2 (F-071, F-074):
 * the payer signed a transaction that lets Permit2 take the token, and has no
 * gas to send it. Offline it is held against the payment, in the order of
 * F-074; on chain, its nonce must be the payer's next one, its call must
 * succeed, and what gas money is missing must be no more than a gift may be.
 *
 * What is verified here is verified again once the approval is mined: the
 * verdict says "valid, then", never "settle now".
 */
#include "permit2_p.h"
#include "x402/abi.h"

static struct x402__permit2 *state_of(const struct x402_verify_plan *plan)
{
	return plan->state;
}

/* ---- Offline. ---- */

static bool check_info(struct x402_verify_plan *plan)
{
	const struct x402__permit2 *state = state_of(plan);
	const struct x402_approval *approval = &state->approval;

	if (!x402_address_equal(&approval->from, &state->evm.payer))
		return x402__refuse_addresses(plan,
			X402_REASON_ERC20_APPROVAL_FROM_MISMATCH, "from",
			&state->evm.payer, &approval->from);
	if (!x402_address_equal(&approval->token, &state->evm.asset))
		return x402__refuse_addresses(plan,
			X402_REASON_ERC20_APPROVAL_ASSET_MISMATCH, "asset",
			&state->evm.asset, &approval->token);
	if (!x402_address_equal(&approval->spender, x402_permit2_contract()))
		return x402__refuse_addresses(plan,
			X402_REASON_ERC20_APPROVAL_SPENDER_NOT_PERMIT2,
			"spender", x402_permit2_contract(), &approval->spender);
	return true;
}

static bool check_call(struct x402_verify_plan *plan)
{
	const struct x402__permit2 *state = state_of(plan);
	const struct x402_transaction *tx = &state->approval.transaction.plain;
	const struct x402_u256 *least = &state->payload.authorization.amount;
	struct x402_address spender;
	struct x402_u256 amount;
	enum x402_err err;

	if (!x402_address_equal(&tx->to, &state->evm.asset))
		return x402__refuse_addresses(plan,
			X402_REASON_ERC20_APPROVAL_TX_WRONG_TARGET,
			"a transaction to", &state->evm.asset, &tx->to);
	err = x402_approval_calldata_read(tx->data, &spender, &amount);
	if (err == X402_ERR_NOT_FOUND)
		return x402__refuse_text(plan,
			X402_REASON_ERC20_APPROVAL_TX_WRONG_SELECTOR,
			"expected a call of approve(address,uint256)");
	if (err)
		return x402__refuse_text(plan,
			X402_REASON_ERC20_APPROVAL_TX_INVALID_CALLDATA,
			"expected an address and a number after approve");
	if (!x402_address_equal(&spender, x402_permit2_contract()))
		return x402__refuse_addresses(plan,
			X402_REASON_ERC20_APPROVAL_TX_WRONG_SPENDER,
			"an approval for", x402_permit2_contract(), &spender);
	if (x402_u256_cmp(&amount, least) < 0)
		return x402__refuse_numbers(plan,
			X402_REASON_ERC20_APPROVAL_TX_INVALID_CALLDATA,
			"an approval of at least", least, &amount);
	return true;
}

static bool check_signer(struct x402_verify_plan *plan)
{
	const struct x402__permit2 *state = state_of(plan);
	const struct x402_foreign_transaction *tx =
		&state->approval.transaction;
	struct x402_address signer;

	if (x402_recover_address(tx->signing_hash32, tx->sig65, &signer))
		return x402__refuse_text(plan,
			X402_REASON_ERC20_APPROVAL_TX_INVALID_SIGNATURE,
			"the transaction's signature is nobody's");
	if (!x402_address_equal(&signer, &state->evm.payer))
		return x402__refuse_addresses(plan,
			X402_REASON_ERC20_APPROVAL_TX_SIGNER_MISMATCH,
			"a transaction by", &state->evm.payer, &signer);
	return true;
}

/* What the reference does not ask: would it land on this chain, as it is? */
static bool check_terms(struct x402_verify_plan *plan)
{
	const struct x402__permit2 *state = state_of(plan);
	const struct x402_transaction *tx = &state->approval.transaction.plain;
	struct x402_u256 expected = x402_u256_from_u64(
		state->evm.network.chain_id);
	struct x402_u256 actual = x402_u256_from_u64(tx->chain_id);

	if (tx->chain_id != state->evm.network.chain_id)
		return x402__refuse_numbers(plan,
			X402_REASON_ERC20_APPROVAL_TX_FAILED,
			"a transaction for chain", &expected, &actual);
	expected = x402_u256_from_u64(0);
	if (!x402_u256_is_zero(&tx->value))
		return x402__refuse_numbers(plan,
			X402_REASON_ERC20_APPROVAL_TX_FAILED, "a value of",
			&expected, &tx->value);
	expected = x402_u256_from_u64(X402__PERMIT2_APPROVAL_GAS_MAX);
	actual = x402_u256_from_u64(tx->gas_limit);
	if (tx->gas_limit > X402__PERMIT2_APPROVAL_GAS_MAX)
		return x402__refuse_numbers(plan,
			X402_REASON_ERC20_APPROVAL_TX_FAILED,
			"a gas limit of at most", &expected, &actual);
	expected = x402_u256_from_u64(X402__PERMIT2_APPROVAL_GAS_MIN);
	if (tx->gas_limit < X402__PERMIT2_APPROVAL_GAS_MIN)
		return x402__refuse_numbers(plan,
			X402_REASON_ERC20_APPROVAL_TX_FAILED,
			"a gas limit of at least", &expected, &actual);
	/* Nodes refuse it, and its gas would be counted wrong. */
	if (x402_u256_cmp(&tx->max_priority_fee_per_gas, &tx->max_fee_per_gas) >
		0)
		return x402__refuse_numbers(plan,
			X402_REASON_ERC20_APPROVAL_TX_FAILED,
			"a priority fee of at most", &tx->max_fee_per_gas,
			&tx->max_priority_fee_per_gas);
	return true;
}

static bool refuse_format(
	struct x402_verify_plan *plan, const struct x402_errinfo *info)
{
	struct x402_errinfo text = {{0}, {0}};

	x402_errinfo_set(&text, "", "%s: %s", info->field, info->text);
	x402__refuse(plan, X402_REASON_ERC20_APPROVAL_FORMAT, &text);
	return false;
}

bool x402__permit2_read_approval(const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *plan, enum x402_err *ret_err)
{
	struct x402__permit2 *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};
	enum x402_err err;

	/* F-071: a permit goes before it. */
	if (!options->approval_gift_wei || state->has_permit2612)
		return true;
	err = x402_approval_read(
		request->payload.extensions, &info, &state->approval);
	if (err == X402_ERR_NOT_FOUND)
		return true;
	if (err == X402_ERR_NOMEM) {
		*ret_err = err;
		return false;
	}
	if (err)
		return refuse_format(plan, &info);
	state->has_approval = true;
	state->gift_wei = *options->approval_gift_wei;
	if (!check_info(plan))
		return false;
	err = x402_approval_decode(&state->approval);
	if (err == X402_ERR_NOMEM) {
		*ret_err = err;
		return false;
	}
	if (err)
		return x402__refuse_text(plan,
			X402_REASON_ERC20_APPROVAL_TX_PARSE_FAILED,
			"expected one signed call of EIP-1559, EIP-2930 or "
			"EIP-155, without an access list");
	return check_call(plan) && check_signer(plan) && check_terms(plan);
}

/* ---- On chain. ---- */

enum x402_err x402__permit2_ask_approval(struct x402_verify_plan *plan)
{
	struct x402__permit2 *state = state_of(plan);
	const struct x402_transaction *tx = &state->approval.transaction.plain;
	struct x402_chain_read *read;
	struct x402_buf *calldata;

	x402__evm_begin_round(plan, X402__PERMIT2_APPROVAL);
	x402__evm_add_account(plan, X402_READ_NONCE, &state->evm.payer);
	x402__evm_add_account(plan, X402_READ_BALANCE, &state->evm.payer);
	read = &plan->reads[plan->reads_len];
	calldata = x402__evm_add_call(plan, &state->evm.asset, tx->gas_limit);
	x402_buf_add(calldata, tx->data);
	read->needs_sender = true;
	read->has_sender = true;
	read->sender = state->evm.payer;
	return x402__evm_end_round(plan);
}

/* approve returns true, or nothing with old tokens. */
static bool says_yes(const struct x402_chain_answer *answer)
{
	bool yes = false;

	return answer->status == X402_ANSWER_OK &&
		(answer->data.len == 0 ||
			(x402_abi_read_bool(answer->data, 0, &yes) == X402_OK &&
				yes));
}

/* The most that would be given; more is the payer's own affair. */
static bool check_gas_money(
	struct x402_verify_plan *plan, const struct x402_u256 *balance)
{
	const struct x402__permit2 *state = state_of(plan);
	struct x402_u256 cost;
	struct x402_u256 covered;

	if (x402_approval_cost(&state->approval, &cost))
		return x402__refuse_text(plan,
			X402_REASON_ERC20_APPROVAL_INSUFFICIENT_ETH,
			"its gas costs more than there is");
	if (!x402_u256_add(balance, &state->gift_wei, &covered) ||
		x402_u256_cmp(&covered, &cost) >= 0)
		return true;
	return x402__refuse_numbers(plan,
		X402_REASON_ERC20_APPROVAL_INSUFFICIENT_ETH, "gas for at most",
		&covered, &cost);
}

enum x402_err x402__permit2_judge_approval(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	struct x402__permit2 *state = state_of(plan);
	struct x402_u256 expected = x402_u256_from_u64(
		state->approval.transaction.plain.nonce);
	struct x402_u256 nonce;
	struct x402_u256 balance;

	if (answers[0].status != X402_ANSWER_OK ||
		x402_abi_read_u256(answers[0].data, 0, &nonce) ||
		answers[1].status != X402_ANSWER_OK ||
		x402_abi_read_u256(answers[1].data, 0, &balance) ||
		answers[2].status == X402_ANSWER_FAULT)
		return X402_ERR_CHAIN;
	/*
	 * Its nonce is used: perhaps by the approval itself, mined since the
	 * allowance was looked at. Once, for a payer uses nonces at will.
	 */
	if (x402_u256_cmp(&nonce, &expected) > 0 && !state->began_again) {
		state->began_again = true;
		return x402__permit2_ask_as_eoa(plan);
	}
	if (x402_u256_cmp(&nonce, &expected) != 0) {
		x402__refuse_numbers(plan, X402_REASON_ERC20_APPROVAL_TX_FAILED,
			"a transaction of the payer's next nonce", &nonce,
			&expected);
		return X402_OK;
	}
	if (!says_yes(&answers[2])) {
		x402__refuse_text(plan, X402_REASON_ERC20_APPROVAL_TX_FAILED,
			"the token would not take the approval");
		return X402_OK;
	}
	if (!check_gas_money(plan, &balance))
		return X402_OK;
	x402__accept(plan);
	plan->approval = &state->approval;
	return X402_OK;
}
