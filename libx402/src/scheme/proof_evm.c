/*
 * proof on EVM: the payer has sent a plain transfer itself and shows its hash.
 *
 * plan: 1 shape 2 terms of the challenge 3 who may show it: the key that paid,
 *       by its signature over reference and hash
 *       4 one chain read: the transaction, mined, with its receipt
 * judge: 5 it is a call of the token's transfer to payTo by the payer's own
 *       account 6 the token's log says that the money moved, once
 *       7 after the challenge, in time 8 deep enough not to fall out again
 *
 * Check 5 is what keeps one payment from being shown twice. Every other scheme
 * moves money by another call (an authorization, a permit, a batch), so no
 * transaction that settled one of those passes here, whoever landed it. A
 * contract wallet sends no transactions and cannot pay this way.
 *
 * One transaction pays one purchase, however many logs it has: with check 5
 * there is one Transfer from payer to payTo in it, or it is refused.
 *
 * That a hash is used up is the caller's to keep: settle_plan says paid, and
 * names the transaction by its key.
 */
#include <stdlib.h>

#include "evm_p.h"
#include "x402/abi.h"
#include "x402/negotiate.h"

/* A wallet that shows a hash at once is not refused for the time it takes. */
#define TIMEOUT_MAX_S X402_PROOF_LIFE_S

static const uint8_t selector_transfer[4] = {0xa9, 0x05, 0x9c, 0xbb};
static const uint8_t topic_transfer[32] = {0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2,
	0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa, 0x95, 0x2b,
	0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23,
	0xb3, 0xef};
/* AuthorizationUsed(address,bytes32) of EIP-3009. */
static const uint8_t topic_used[32] = {0x98, 0xde, 0x50, 0x35, 0x28, 0xee, 0x59,
	0xb5, 0x75, 0xef, 0x0c, 0x0a, 0x25, 0x76, 0xa8, 0x24, 0x97, 0xbf, 0xc0,
	0x29, 0xa5, 0x68, 0x5b, 0x20, 0x9e, 0x9e, 0xc3, 0x33, 0x47, 0x9b, 0x10,
	0xa5};

struct proof {
	struct x402__evm evm; /* first: evm.c finds it there */
	struct x402_proof_payload payload;
	struct x402_proof_terms terms;
	uint64_t issued_unix_s;
	uint64_t paid_before_unix_s;
	uint32_t depth;
	/* Of the chain's answer. */
	struct x402_u256 moved;
	uint64_t block_number;
	uint64_t block_unix_s;
};

static struct proof *state_of(const struct x402_verify_plan *plan)
{
	return plan->state;
}

static void verify_clear(struct x402_verify_plan *plan)
{
	struct proof *state = state_of(plan);

	x402__evm_clear(&state->evm);
	free(state);
}

/* ---- 1 to 4. Offline; each returns false after refusing. ---- */

static bool refuse_member(struct x402_verify_plan *plan,
	enum x402_reason reason, const struct x402_errinfo *info)
{
	struct x402_errinfo text = {{0}, {0}};

	x402_errinfo_set(&text, "", "%s: %s", info->field, info->text);
	x402__refuse(plan, reason, &text);
	return false;
}

static bool check_shape(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	struct proof *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};

	if (x402_proof_payload_read(
		    request->payload.payload, &info, &state->payload))
		return refuse_member(plan, X402_REASON_INVALID_PAYLOAD, &info);
	if (!state->payload.bound)
		return true;
	state->evm.payer = state->payload.payer;
	x402_address_format(&state->evm.payer, plan->verdict.payer);
	return true;
}

/* When the challenge was made, and until when it may be paid. */
static bool read_times(const struct x402_payment_requirements *req,
	struct x402_verify_plan *plan)
{
	struct proof *state = state_of(plan);
	int64_t issued;

	if (!x402_json_int64(x402_json_get(req->extra, "issuedAt"), &issued) ||
		issued <= 0 || req->max_timeout_seconds <= 0)
		return x402__refuse_text(plan,
			X402_REASON_INVALID_PAYMENT_REQUIREMENTS,
			"expected extra.issuedAt, unix seconds, and a positive "
			"maxTimeoutSeconds");
	state->issued_unix_s = (uint64_t)issued;
	state->paid_before_unix_s = state->issued_unix_s +
		((uint64_t)req->max_timeout_seconds < TIMEOUT_MAX_S
				? (uint64_t)req->max_timeout_seconds
				: TIMEOUT_MAX_S);
	/* A challenge of the future would let the past pay for it. */
	if (state->issued_unix_s > state->evm.now_unix_s + X402_PROOF_SKEW_S)
		return x402__refuse_text(plan,
			X402_REASON_INVALID_PAYMENT_REQUIREMENTS,
			"expected extra.issuedAt to be in the past");
	return true;
}

static bool check_requirements(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	const struct x402_payment_requirements *req = &request->requirements;
	struct proof *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};

	if (strcmp(request->payload.scheme, X402_PROOF_SCHEME) != 0)
		return x402__refuse_text(plan, X402_REASON_PROOF_SCHEME,
			"expected scheme proof in the payment");
	if (!x402__evm_same_network(
		    request, plan, X402_REASON_PROOF_NETWORK_MISMATCH) ||
		!x402__evm_read_requirements(req, plan) ||
		!read_times(req, plan))
		return false;
	if (x402_u256_is_zero(&state->evm.amount))
		return x402__refuse_text(plan,
			X402_REASON_INVALID_PAYMENT_REQUIREMENTS,
			"expected an amount above zero: nothing proves "
			"nothing");
	if (x402_proof_terms_read(req, &info, &state->terms))
		return refuse_member(
			plan, X402_REASON_INVALID_PAYMENT_REQUIREMENTS, &info);
	return true;
}

/* The URL that the payer was shown is under its signature. */
static bool read_resource(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	struct proof *state = state_of(plan);
	const char *url = x402_json_get_string(
		request->payload.resource, "url");

	state->terms.resource = url ? url : "";
	return strlen(state->terms.resource) <= X402_PROOF_RESOURCE_MAX ||
		x402__refuse_text(plan, X402_REASON_INVALID_PAYLOAD,
			"expected a shorter resource.url");
}

static bool check_binding(const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *plan)
{
	const struct x402_json *extra = request->requirements.extra;
	struct proof *state = state_of(plan);
	struct x402_address signer;
	bool must_bind = true;

	/* What is not said is bound; what is said must be a boolean. */
	if (x402_json_has(extra, "bound") &&
		!x402_json_bool(x402_json_get(extra, "bound"), &must_bind))
		return x402__refuse_text(plan,
			X402_REASON_INVALID_PAYMENT_REQUIREMENTS,
			"expected extra.bound to be a boolean");
	if (options->proofs == X402_PROOFS_OFF)
		return x402__refuse_text(plan, X402_REASON_PROOF_NOT_TAKEN,
			"this facilitator takes no proofs of transactions");
	if (options->proofs == X402_PROOFS_BOUND && !must_bind)
		return x402__refuse_text(plan, X402_REASON_PROOF_NOT_TAKEN,
			"this facilitator takes no unbound proofs: a hash is "
			"anybody's to copy");
	if (!state->payload.bound)
		return !must_bind ||
			x402__refuse_text(plan, X402_REASON_PROOF_SIGNATURE,
				"expected payer and signature: the key that "
				"paid signs reference and transaction");
	memcpy(state->terms.transaction32, state->payload.transaction32, 32);
	x402_proof_digest(&state->terms, state->evm.digest32);
	if (x402_recover_address(state->evm.digest32, state->payload.sig65,
		    &signer) != X402_OK ||
		!x402_address_equal(&signer, &state->evm.payer))
		return x402__refuse_text(plan, X402_REASON_PROOF_SIGNATURE,
			"the signature over reference, transaction, payTo, "
			"amount and resource is not the payer's");
	return true;
}

static enum x402_err verify_plan(const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *plan)
{
	struct proof *state = calloc(1, sizeof(*state));
	enum x402_err err;

	if (!state)
		return X402_ERR_NOMEM;
	plan->state = state;
	err = x402__evm_begin(&state->evm, options);
	if (err)
		return err;
	state->depth = options->proof_depth ? options->proof_depth
					    : X402_PROOF_DEPTH;
	if (options->proof_finalized)
		state->depth = 0;
	if (!check_shape(request, plan) || !check_requirements(request, plan) ||
		!read_resource(request, plan) ||
		!check_binding(request, options, plan))
		return X402_OK;
	plan->reads[0] = (struct x402_chain_read){.kind = X402_READ_MINED,
		.data = x402_span(state->payload.transaction32, 32),
		.finalized = options->proof_finalized};
	plan->reads_len = 1;
	return X402_OK;
}

/* ---- 5 to 8. What the chain says; each returns false after refusing. ---- */

static bool is_account(
	const uint8_t word[32], const struct x402_address *address)
{
	static const uint8_t zeros[12];

	return memcmp(word, zeros, sizeof(zeros)) == 0 &&
		memcmp(word + 12, address->bytes, 20) == 0;
}

static bool check_call(
	const struct x402_mined *mined, struct x402_verify_plan *plan)
{
	struct proof *state = state_of(plan);

	if (state->payload.bound &&
		!x402_address_equal(&mined->from, &state->evm.payer))
		return x402__refuse_addresses(plan,
			X402_REASON_PROOF_PAYER_MISMATCH, "its sender",
			&state->evm.payer, &mined->from);
	state->evm.payer = mined->from;
	x402_address_format(&state->evm.payer, plan->verdict.payer);
	if (!mined->receipt.success)
		return x402__refuse_text(plan,
			X402_REASON_PROOF_TRANSACTION_FAILED,
			"the transaction was mined and reverted");
	if (!x402_address_equal(&mined->to, &state->evm.asset) ||
		mined->input.len < 4 + 2 * 32 ||
		memcmp(mined->input.ptr, selector_transfer, 4) != 0 ||
		!is_account(mined->input.ptr + 4, &state->evm.pay_to))
		return x402__refuse_text(plan, X402_REASON_PROOF_NOT_A_TRANSFER,
			"expected a call of the asset's own transfer to payTo, "
			"sent by the payer's account");
	if (x402_address_equal(&mined->from, &state->evm.pay_to))
		return x402__refuse_text(plan, X402_REASON_PROOF_NOT_A_TRANSFER,
			"the payee cannot pay itself");
	return true;
}

/*
 * The token's own word for what moved. A token that calls its holders back
 * could let a payer spend an authorization inside its transfer: then there are
 * two Transfers, or AuthorizationUsed, and it is refused.
 */
static bool check_logs(
	const struct x402_mined *mined, struct x402_verify_plan *plan)
{
	struct proof *state = state_of(plan);
	size_t transfers = 0;
	size_t others = 0;

	for (size_t i = 0; i < mined->receipt.logs_len; i++) {
		const struct x402_log *log = &mined->receipt.logs[i];

		if (!x402_address_equal(&log->address, &state->evm.asset) ||
			!log->topics_len)
			continue;
		if (memcmp(log->topics[0], topic_used, 32) == 0)
			others++;
		if (memcmp(log->topics[0], topic_transfer, 32) != 0 ||
			log->topics_len != 3 || log->data.len != 32 ||
			!is_account(log->topics[1], &state->evm.payer) ||
			!is_account(log->topics[2], &state->evm.pay_to))
			continue;
		transfers++;
		state->moved = x402_u256_from_be32(log->data.ptr);
	}
	if (transfers != 1 || others)
		return x402__refuse_text(plan,
			X402_REASON_PROOF_TRANSFER_EVENT_MISMATCH,
			"expected exactly one Transfer from payer to payTo, "
			"emitted by the asset, and no authorization");
	if (x402_u256_cmp(&state->moved, &state->evm.amount) < 0)
		return x402__refuse_numbers(plan,
			X402_REASON_PROOF_AMOUNT_TOO_LOW, "at least",
			&state->evm.amount, &state->moved);
	return true;
}

static bool check_time(
	const struct x402_mined *mined, struct x402_verify_plan *plan)
{
	struct proof *state = state_of(plan);
	struct x402_u256 at = x402_u256_from_u64(mined->timestamp_unix_s);
	struct x402_u256 limit = x402_u256_from_u64(state->issued_unix_s);

	if (mined->timestamp_unix_s + X402_PROOF_SKEW_S < state->issued_unix_s)
		return x402__refuse_numbers(plan,
			X402_REASON_PROOF_OLDER_THAN_CHALLENGE,
			"a block at or after", &limit, &at);
	limit = x402_u256_from_u64(state->paid_before_unix_s);
	if (mined->timestamp_unix_s > state->paid_before_unix_s)
		return x402__refuse_numbers(plan, X402_REASON_PROOF_TOO_LATE,
			"a block at or before", &limit, &at);
	/* Past this its key may be forgotten. */
	if (state->evm.now_unix_s > mined->timestamp_unix_s + X402_PROOF_LIFE_S)
		return x402__refuse_text(plan, X402_REASON_PROOF_TOO_LATE,
			"the transaction is more than a day old");
	return true;
}

static bool check_depth(
	const struct x402_mined *mined, struct x402_verify_plan *plan)
{
	struct proof *state = state_of(plan);
	uint64_t block = mined->receipt.block_number;
	struct x402_errinfo info = {{0}, {0}};

	if (block <= UINT64_MAX - state->depth &&
		block + state->depth <= mined->head_number)
		return true;
	x402_errinfo_set(&info, "",
		"it is in block %llu, and the chain at %llu: show it again "
		"when %u blocks are on top",
		(unsigned long long)block,
		(unsigned long long)mined->head_number, state->depth);
	x402__refuse(plan, X402_REASON_PROOF_NOT_FINAL, &info);
	return false;
}

static enum x402_err verify_judge(struct x402_verify_plan *plan,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	const struct x402_mined *mined = answers[0].mined;
	struct proof *state = state_of(plan);

	(void)answers_len;
	if (answers[0].status != X402_ANSWER_OK || !mined)
		return X402_ERR_CHAIN;
	if (!mined->found) {
		x402__refuse_text(plan, X402_REASON_PROOF_NOT_MINED,
			"the chain has no such transaction in a block yet");
		return X402_OK;
	}
	state->block_number = mined->receipt.block_number;
	state->block_unix_s = mined->timestamp_unix_s;
	if (check_call(mined, plan) && check_logs(mined, plan) &&
		check_time(mined, plan) && check_depth(mined, plan)) {
		plan->paid = true;
		x402__accept(plan);
	}
	return X402_OK;
}

/* ---- Using it up. ---- */

/*
 * The transaction and nothing else: whatever reference, offer or shop it is
 * shown for, bound or not.
 */
static struct x402_settle_key key_of(const struct x402_settle_plan *plan)
{
	const struct x402_span transaction = x402_span(plan->nonce32, 32);

	return x402__evm_settle_key(
		"transaction proof", &plan->network, &transaction, 1);
}

static enum x402_err settle_plan(const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan)
{
	const struct proof *state = verified->state;
	struct x402_settle_plan plan = {.amount = state->moved,
		.payer = state->evm.payer,
		.pay_to = state->evm.pay_to,
		.call_to = state->evm.asset,
		.paid = true,
		.paid_block_number = state->block_number,
		.valid_before_unix_s = state->block_unix_s + X402_PROOF_LIFE_S};
	enum x402_err err = x402__evm_settle_begin(&state->evm, &plan);

	if (err)
		return err;
	memcpy(plan.nonce32, state->payload.transaction32, 32);
	plan.key = key_of(&plan);
	return x402__evm_settle_end(&plan, ret_plan);
}

/* ---- The payer's side: the transfer was sent already. ---- */

static enum x402_err create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_json **ret_payload)
{
	struct x402_proof_payload payload = {
		.bound = true, .payer = options->payer};
	struct x402_proof_terms terms = {
		.resource = options->resource ? options->resource : ""};
	struct x402_signable signable = {
		.kind = X402_SIGNABLE_PROOF, .proof = &terms};
	struct x402_buf signature = {0};
	enum x402_err err;

	/* Without its transfer there is nothing to prove. */
	if (!options->transaction32) {
		x402_errinfo_set(info, "scheme",
			"a proof is made of a transfer that was sent before");
		return X402_ERR_UNSUPPORTED;
	}
	err = x402_proof_terms_read(offer, info, &terms);
	if (err)
		return err;
	memcpy(terms.transaction32, options->transaction32, 32);
	memcpy(payload.transaction32, options->transaction32, 32);
	x402_proof_digest(&terms, signable.digest32);
	err = options->sign(options->user, &signable, &signature);
	if (!err && signature.failed)
		err = X402_ERR_NOMEM;
	if (!err && signature.len != 65)
		err = X402_ERR_UNSUPPORTED;
	if (!err) {
		memcpy(payload.sig65, signature.ptr, 65);
		err = x402_proof_payload_to_json(&payload, ret_payload);
	}
	x402_buf_clear(&signature);
	return err;
}

const struct x402_scheme x402__scheme_proof_evm = {
	.name = X402_PROOF_SCHEME,
	.family = X402_FAMILY_EVM,
	.network_pattern = "eip155:*",
	.payload_member = "transaction",
	.v2_only = true,
	.shows_transfer = true,
	.verify_plan = verify_plan,
	.verify_judge = verify_judge,
	.verify_clear = verify_clear,
	.settle_plan = settle_plan,
	.create_payload = create_payload,
	/* The money has moved before anything is delivered, either way. */
	.flows = 1u << X402_FLOW_AUTHORIZATION | 1u << X402_FLOW_UPFRONT,
};
