/*
 * exact on Solana: settlement. What is sent is the payer's own transaction
 * with our signature on top: the static path allowed nothing in it but the
 * transfer, so a transaction that succeeded has paid.
 */
#include "exact_svm_p.h"

/*
 * Two payments are one when their messages are (F2). Not their bytes: whoever
 * fills the empty signature makes a second string of the same payment.
 */
static struct x402_settle_key key_of(
	const struct x402_network *network, const uint8_t message_hash32[32])
{
	static const char domain[] = "x402 settle key: svm";
	uint8_t input[sizeof(domain) + X402_NETWORK_SIZE + 32] = {0};
	struct x402_settle_key key;

	memcpy(input, domain, sizeof(domain));
	memcpy(input + sizeof(domain), network->caip2, X402_NETWORK_SIZE);
	memcpy(input + sizeof(domain) + X402_NETWORK_SIZE, message_hash32, 32);
	x402_sha256(x402_span(input, sizeof(input)), key.bytes);
	return key;
}

/* The accounts behind TransferChecked's four: see is_transfer(). */
static void take_references(const struct x402_svm_transaction *transaction,
	struct x402_svm_parties *parties)
{
	struct x402_span accounts = transaction->instructions[2].accounts;

	for (size_t i = 4; i < accounts.len &&
		parties->references_len < X402_SVM_REFERENCES_MAX;
		i++)
		parties->references[parties->references_len++] =
			transaction->keys[accounts.ptr[i]];
}

enum x402_err x402__exact_svm_settle_plan(
	const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan)
{
	const struct x402__exact_svm *state = verified->state;
	struct x402_settle_plan plan = {
		.valid_before_unix_s = state->now_unix_s + X402__SVM_CLAIM_S};
	char asset[X402_PUBKEY_TEXT_SIZE];
	enum x402_err err;

	x402_pubkey_format(&state->mint, asset);
	err = x402_asset_id_init(state->network.caip2, asset, &plan.asset);
	if (err)
		return err;
	plan.network = state->network;
	plan.amount = x402_u256_from_u64(state->amount);
	plan.svm.mint = state->mint;
	plan.svm.payer = state->payer;
	plan.svm.pay_to = state->pay_to;
	plan.svm.fee_payer = state->fee_payer;
	take_references(&state->transaction, &plan.svm);
	plan.gas_limit = state->fee_lamports;
	x402_sha256(state->transaction.message, plan.nonce32);
	plan.key = key_of(&plan.network, plan.nonce32);
	x402_buf_add(&plan.calldata, x402_buf_span(&state->wire));
	if (plan.calldata.failed) {
		x402_settle_plan_clear(&plan);
		return X402_ERR_NOMEM;
	}
	/* The first signature is ours to give, whatever stood there. */
	memset(plan.calldata.ptr + 1, 0, 64);
	*ret_plan = plan;
	return X402_OK;
}

void x402__exact_svm_settle_judge(const struct x402_settle_proof *proof,
	const struct x402_receipt *receipt, struct x402_verdict *verdict)
{
	struct x402_errinfo info = {{0}, {0}};

	x402_pubkey_format(&proof->svm_from, verdict->payer);
	verdict->valid = receipt->success;
	if (!receipt->success) {
		verdict->reason = X402_REASON_SVM_TRANSACTION_FAILED;
		x402_errinfo_set(&info, "", "the transaction failed on chain");
	}
	memcpy(verdict->message, info.text, sizeof(info.text));
}
