/*
 * exact on EVM with EIP-3009: settlement. The plan is one call of the token
 * with calldata of our own making (R4); the proof is what the receipt must
 * show. A receipt's status alone proves nothing: tokens exist that take a
 * fee, return without moving anything, or accept a used nonce (F6).
 */
#include "exact_evm_p.h"
#include "exact_svm_p.h"
#include "x402/abi.h"

static const uint8_t topic_transfer[32] = {0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2,
	0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa, 0x95, 0x2b,
	0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23,
	0xb3, 0xef};
static const uint8_t topic_used[32] = {0x98, 0xde, 0x50, 0x35, 0x28, 0xee, 0x59,
	0xb5, 0x75, 0xef, 0x0c, 0x0a, 0x25, 0x76, 0xa8, 0x24, 0x97, 0xbf, 0xc0,
	0x29, 0xa5, 0x68, 0x5b, 0x20, 0x9e, 0x9e, 0xc3, 0x33, 0x47, 0x9b, 0x10,
	0xa5};

/* What makes two payments one: network, asset, payer and nonce (F2). */
static struct x402_settle_key key_of(const struct x402_settle_plan *plan)
{
	static const char domain[] = "x402 settle key: eip3009";
	struct x402_settle_key key;
	struct x402_keccak keccak;

	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span(domain, sizeof(domain)));
	/* The NUL of the text ends it, so no two inputs run together. */
	x402_keccak_update(&keccak,
		x402_span(
			plan->network.caip2, strlen(plan->network.caip2) + 1));
	x402_keccak_update(&keccak, x402_span(plan->call_to.bytes, 20));
	x402_keccak_update(&keccak, x402_span(plan->payer.bytes, 20));
	x402_keccak_update(&keccak, x402_span(plan->nonce32, 32));
	x402_keccak_final(&keccak, key.bytes);
	return key;
}

enum x402_err x402__exact_evm_settle_plan(
	const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan)
{
	const struct x402__exact_evm *state = verified->state;
	const struct x402_eip3009_authorization *auth =
		&state->payload.authorization;
	struct x402_settle_plan plan = {0};
	char asset[X402_ADDRESS_TEXT_SIZE];
	enum x402_err err;

	x402_address_format(&state->asset, asset);
	err = x402_asset_id_init(state->network.caip2, asset, &plan.asset);
	if (err)
		return err;
	plan.network = state->network;
	plan.amount = auth->value;
	plan.payer = auth->from;
	plan.pay_to = auth->to;
	memcpy(plan.nonce32, auth->nonce32, 32);
	if (!x402_u256_to_u64(&auth->valid_before, &plan.valid_before_unix_s))
		plan.valid_before_unix_s = UINT64_MAX;
	plan.call_to = state->asset;
	plan.gas_limit = state->contract ? X402__EVM_GAS_CONTRACT
					 : X402__EVM_GAS_EOA;
	/* A contract wallet could burn the others' gas. */
	plan.may_share = !state->contract;
	plan.key = key_of(&plan);
	x402_eip3009_transfer_calldata(
		auth, x402_buf_span(&state->payload.signature), &plan.calldata);
	x402_eip3009_state_calldata(
		&auth->from, auth->nonce32, &plan.state_calldata);
	if (plan.calldata.failed || plan.state_calldata.failed) {
		x402_settle_plan_clear(&plan);
		return X402_ERR_NOMEM;
	}
	*ret_plan = plan;
	return X402_OK;
}

struct x402_settle_proof x402_settle_plan_proof(
	const struct x402_settle_plan *plan)
{
	struct x402_settle_proof proof = {.asset = plan->call_to,
		.from = plan->payer,
		.to = plan->pay_to,
		.value = plan->amount,
		.family = plan->network.family,
		.svm_asset = plan->svm.mint,
		.svm_from = plan->svm.payer,
		.svm_to = plan->svm.pay_to};

	memcpy(proof.nonce32, plan->nonce32, 32);
	return proof;
}

struct x402_settle_parties x402_settle_proof_parties(
	const struct x402_settle_proof *proof)
{
	struct x402_settle_parties parties;

	if (proof->family == X402_FAMILY_SVM) {
		x402_pubkey_format(&proof->svm_asset, parties.asset);
		x402_pubkey_format(&proof->svm_from, parties.payer);
		x402_pubkey_format(&proof->svm_to, parties.pay_to);
	} else {
		x402_address_format(&proof->asset, parties.asset);
		x402_address_format(&proof->from, parties.payer);
		x402_address_format(&proof->to, parties.pay_to);
	}
	return parties;
}

void x402_settle_proof_topics(
	const struct x402_settle_proof *proof, uint8_t ret_topics[3][32])
{
	memcpy(ret_topics[0], topic_used, 32);
	memset(ret_topics[1], 0, 12);
	memcpy(ret_topics[1] + 12, proof->from.bytes, 20);
	memcpy(ret_topics[2], proof->nonce32, 32);
}

static bool topic_is_address(
	const uint8_t topic[32], const struct x402_address *address)
{
	static const uint8_t zeros[12];

	return memcmp(topic, zeros, sizeof(zeros)) == 0 &&
		memcmp(topic + 12, address->bytes, 20) == 0;
}

static bool is_expected_transfer(
	const struct x402_log *log, const struct x402_settle_proof *proof)
{
	uint8_t value[32];

	x402_u256_to_be32(&proof->value, value);
	return log->topics_len == 3 &&
		memcmp(log->topics[0], topic_transfer, 32) == 0 &&
		topic_is_address(log->topics[1], &proof->from) &&
		topic_is_address(log->topics[2], &proof->to) &&
		log->data.len == 32 && memcmp(log->data.ptr, value, 32) == 0;
}

static bool is_used_by_payer(
	const struct x402_log *log, const struct x402_settle_proof *proof)
{
	return log->topics_len == 3 &&
		memcmp(log->topics[0], topic_used, 32) == 0 &&
		topic_is_address(log->topics[1], &proof->from);
}

/*
 * A payment is proven by its own AuthorizationUsed, once, and by Transfers of
 * its exact terms that are no more than the payer's authorizations in this
 * receipt: in a lone transaction that is exactly one.
 */
static bool proves(const struct x402_settle_proof *proof,
	const struct x402_receipt *receipt)
{
	size_t transfers = 0;
	size_t payers_authorizations = 0;
	size_t this_authorization = 0;

	for (size_t i = 0; i < receipt->logs_len; i++) {
		const struct x402_log *log = &receipt->logs[i];

		if (!x402_address_equal(&log->address, &proof->asset))
			continue;
		if (is_expected_transfer(log, proof))
			transfers++;
		if (!is_used_by_payer(log, proof))
			continue;
		payers_authorizations++;
		if (memcmp(log->topics[2], proof->nonce32, 32) == 0)
			this_authorization++;
	}
	return this_authorization == 1 && transfers >= 1 &&
		transfers <= payers_authorizations;
}

void x402_settle_judge(const struct x402_settle_proof *proof,
	const struct x402_receipt *receipt, struct x402_verdict *ret_verdict)
{
	struct x402_errinfo info = {{0}, {0}};

	memset(ret_verdict, 0, sizeof(*ret_verdict));
	if (proof->family == X402_FAMILY_SVM) {
		x402__exact_svm_settle_judge(proof, receipt, ret_verdict);
		return;
	}
	x402_address_format(&proof->from, ret_verdict->payer);
	if (!receipt->success) {
		ret_verdict->reason = X402_REASON_EVM_TRANSACTION_FAILED;
		x402_errinfo_set(
			&info, "", "the transaction was mined and reverted");
	} else if (!proves(proof, receipt)) {
		ret_verdict->reason = X402_REASON_EVM_TRANSFER_EVENT_MISMATCH;
		x402_errinfo_set(&info, "",
			"expected exactly one Transfer of these terms and "
			"this nonce's AuthorizationUsed, emitted by the asset");
	} else {
		ret_verdict->valid = true;
	}
	memcpy(ret_verdict->message, info.text, sizeof(info.text));
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Does text hold these lower-case parts, in this order, apart or not? */
static bool has_parts(const char *text, const char *const parts[3])
{
	for (size_t part = 0; part < 3 && parts[part]; part++) {
		size_t len = strlen(parts[part]);
		const char *at = text;

		for (;; at++) {
			size_t i = 0;

			while (i < len && at[i] &&
				lower(at[i]) == parts[part][i])
				i++;
			if (i == len)
				break;
			if (!*at)
				return false;
		}
		text = at + len;
	}
	return true;
}

enum x402_reason x402_settle_revert_reason(struct x402_span revert_data)
{
	static const struct {
		const char *parts[3];
		enum x402_reason reason;
	} rules[] = {
		/* In the order of F-054: the first that matches wins. */
		{{"authorization", "expired"}, X402_REASON_EVM_VALID_BEFORE},
		{{"authorization", "valid before"},
			X402_REASON_EVM_VALID_BEFORE},
		{{"authorization", "not", "valid"},
			X402_REASON_EVM_VALID_AFTER},
		{{"authorization", "used"}, X402_REASON_EVM_NONCE_ALREADY_USED},
		{{"usedorcanceled"}, X402_REASON_EVM_NONCE_ALREADY_USED},
		/* An allowance can be exceeded too: that is no balance. */
		{{"transfer", "exceeds", "balance"},
			X402_REASON_EVM_INSUFFICIENT_BALANCE},
		{{"insufficient", "balance"},
			X402_REASON_EVM_INSUFFICIENT_BALANCE},
		{{"invalid", "signature"}, X402_REASON_EVM_SIGNATURE},
		{{"signermismatch"}, X402_REASON_EVM_SIGNATURE},
	};
	char text[256];

	x402_abi_revert_text(revert_data, text, sizeof(text));
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (has_parts(text, rules[i].parts))
			return rules[i].reason;
	}
	return X402_REASON_EVM_TRANSACTION_FAILED;
}
