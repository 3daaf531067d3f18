/*
 * exact and upto through Permit2 against a hostile payer and a hostile chain:
 * a request in JSON, a zero byte, and the answers to whatever the scheme asks
 * for, each a status byte, a length byte and so many bytes. When the answers
 * run out, the rest are faults.
 *
 * A payment is never valid unless its signer is the payer, or the payer's own
 * contract said the magic word, on the terms that were asked; and what is
 * settled then is the proxy's call with these very terms. Payloads that can be
 * read come back as they were.
 */
#include "fuzz_house.h"

/* The captured payments of the corpus are valid at this time. */
#define NOW 1795239000
/* No path is longer than four rounds; more would be a loop. */
#define ROUNDS_MAX 5

struct input {
	const uint8_t *ptr;
	size_t len;
};

static struct x402_chain_answer next_answer(struct input *input)
{
	static const enum x402_answer_status kinds[3] = {
		X402_ANSWER_OK, X402_ANSWER_REVERTED, X402_ANSWER_FAULT};
	struct x402_chain_answer answer = {.status = X402_ANSWER_FAULT};
	size_t len;

	if (input->len < 2)
		return answer;
	answer.status = kinds[input->ptr[0] % 3];
	len = input->ptr[1];
	input->ptr += 2;
	input->len -= 2;
	len = len < input->len ? len : input->len;
	answer.data = x402_span(input->ptr, len);
	input->ptr += len;
	input->len -= len;
	return answer;
}

/* What the target itself noted of the answers. */
struct witness {
	bool magic;
	bool payer_has_code;
	bool simulated;
	bool approved;
};

static void note(const struct x402_chain_read *read,
	const struct x402_chain_answer *answer,
	const struct x402_permit2_authorization *auth, struct witness *witness)
{
	static const uint8_t word[32] = {0x16, 0x26, 0xba, 0x7e};
	static const uint8_t approve[4] = {0x09, 0x5e, 0xa7, 0xb3};
	bool ok = answer->status == X402_ANSWER_OK;

	if (read->kind == X402_READ_CODE) {
		if (x402_address_equal(&read->to, &auth->from) && ok &&
			answer->data.len > 0)
			witness->payer_has_code = true;
		return;
	}
	if (read->kind == X402_READ_NONCE || read->kind == X402_READ_BALANCE) {
		must(x402_address_equal(&read->to, &auth->from));
		return;
	}
	must(read->data.len >= 4 && (read->data.len - 4) % 32 == 0);
	/* The payer's own approval, as the payer, and of this token alone. */
	if (memcmp(read->data.ptr, approve, 4) == 0) {
		must(read->has_sender && read->gas > 0 &&
			x402_address_equal(&read->to, &auth->token) &&
			x402_address_equal(&read->sender, &auth->from));
		witness->approved = ok;
		return;
	}
	if (x402_address_equal(&read->to, &auth->from) && ok &&
		answer->data.len == 32 &&
		memcmp(answer->data.ptr, word, 32) == 0)
		witness->magic = true;
	if (!read->needs_sender)
		return;
	must(read->gas > 0);
	must(x402_address_equal(&read->to, x402_permit2_proxy(auth->kind)));
	if (auth->kind == X402_PERMIT2_UPTO)
		must(read->has_sender &&
			x402_address_equal(&read->sender, &auth->facilitator));
	witness->simulated = ok;
}

static void run_rounds(struct x402_verify_plan *plan, struct input *input,
	const struct x402_permit2_authorization *auth, struct witness *witness)
{
	for (int round = 0; !plan->decided; round++) {
		struct x402_chain_answer answers[X402_PLAN_READS_MAX];
		size_t n = plan->reads_len;
		enum x402_err err;

		must(round < ROUNDS_MAX);
		must(n > 0 && n <= X402_PLAN_READS_MAX);
		for (size_t i = 0; i < n; i++) {
			answers[i] = next_answer(input);
			note(&plan->reads[i], &answers[i], auth, witness);
		}
		err = x402_verify_judge(plan, answers, n);
		if (err == X402_ERR_CHAIN) {
			/* No verdict, and the plan is where it was. */
			must(!plan->decided && plan->reads_len == n);
			return;
		}
		must(err == X402_OK);
	}
}

static bool signed_by_payer(
	const struct x402_permit2_payload *payload, uint64_t chain_id)
{
	struct x402_address signer;
	uint8_t digest[32];

	if (payload->signature.len != 65)
		return false;
	x402_permit2_digest(&payload->authorization, chain_id, digest);
	return x402_recover_address(digest, payload->signature.ptr, &signer) ==
		X402_OK &&
		x402_address_equal(&signer, &payload->authorization.from);
}

static void must_be_rightly_valid(
	const struct x402_facilitator_request *request,
	const struct x402_permit2_payload *payload,
	const struct witness *witness, enum x402_phase phase)
{
	const struct x402_payment_requirements *req = &request->requirements;
	const struct x402_permit2_authorization *auth = &payload->authorization;
	struct x402_u256 now = x402_u256_from_u64(NOW);
	struct x402_network network;
	struct x402_address address;
	struct x402_u256 amount;

	must(x402_network_parse(x402_payment_requirements_caip2(req),
		     &network) == X402_OK);
	if (witness->payer_has_code)
		must(witness->magic);
	else
		must(signed_by_payer(payload, network.chain_id));
	must(x402_address_parse(req->pay_to, &address) == X402_OK &&
		x402_address_equal(&address, &auth->to));
	must(x402_address_parse(req->asset, &address) == X402_OK &&
		x402_address_equal(&address, &auth->token));
	must(x402_address_equal(
		&auth->spender, x402_permit2_proxy(auth->kind)));
	must(x402_u256_cmp(&auth->deadline, &now) > 0);
	must(x402_u256_cmp(&auth->valid_after, &now) <= 0);
	must(x402_u256_from_dec(req->amount, &amount) == X402_OK);
	if (auth->kind == X402_PERMIT2_UPTO && phase == X402_PHASE_SETTLE)
		must(x402_u256_cmp(&amount, &auth->amount) <= 0);
	else
		must(x402_u256_cmp(&amount, &auth->amount) == 0);
	must(witness->simulated || witness->approved ||
		(phase == X402_PHASE_SETTLE && x402_u256_is_zero(&amount)));
}

/* The proxy's words, where the payment's terms must be. */
static void must_settle_as_verified(const struct x402_verify_plan *plan,
	const struct x402_permit2_authorization *auth)
{
	struct x402_settle_plan settle;
	struct x402_settle_key key;
	struct x402_address sender;
	enum x402_err err;

	must(x402_settle_plan(plan, &settle) == X402_OK);
	must(x402_verify_plan_key(plan, &key) == X402_OK);
	must(memcmp(key.bytes, settle.key.bytes, 32) == 0);
	must(x402_address_equal(
		&settle.call_to, x402_permit2_proxy(auth->kind)));
	must(x402_address_equal(&settle.payer, &auth->from));
	must(x402_address_equal(&settle.pay_to, &auth->to));
	must(x402_u256_cmp(&settle.amount, &auth->amount) <= 0);
	must(settle.gas_limit > 0);
	err = x402_settle_sender(&settle.call_to,
		x402_buf_span(&settle.calldata),
		x402_buf_span(&settle.state_calldata), &sender);
	if (auth->kind == X402_PERMIT2_UPTO)
		must(err == X402_OK &&
			x402_address_equal(&sender, &auth->facilitator) &&
			!settle.may_share);
	else
		must(err == X402_ERR_NOT_FOUND);
	x402_settle_plan_clear(&settle);
}

static void must_come_back(const struct x402_permit2_payload *payload)
{
	struct x402_permit2_payload again;
	struct x402_json *json = NULL;
	uint8_t digest[32];
	uint8_t digest_again[32];

	if (x402_permit2_payload_to_json(payload, &json) != X402_OK)
		return;
	must(x402_permit2_payload_read(json, payload->authorization.kind, NULL,
		     &again) == X402_OK);
	must(payload->signature.len == again.signature.len);
	must(x402_address_equal(
		&payload->authorization.from, &again.authorization.from));
	x402_permit2_digest(&payload->authorization, 1, digest);
	x402_permit2_digest(&again.authorization, 1, digest_again);
	must(memcmp(digest, digest_again, 32) == 0);
	x402_permit2_payload_clear(&again);
	x402_json_unref(json);
}

/* Good once the approval is mined: there is nothing to settle before. */
static void must_wait_for_approval(const struct x402_verify_plan *plan,
	const struct x402_permit2_payload *payload,
	const struct witness *witness)
{
	const struct x402_permit2_authorization *auth = &payload->authorization;
	const struct x402_foreign_transaction *tx =
		&plan->approval->transaction;
	struct x402_settle_plan settle;
	struct x402_address address;
	struct x402_u256 amount;

	must(witness->approved && !witness->payer_has_code);
	must(x402_settle_plan(plan, &settle) == X402_ERR_INVALID_ARGUMENT);
	must(x402_recover_address(tx->signing_hash32, tx->sig65, &address) ==
			X402_OK &&
		x402_address_equal(&address, &auth->from));
	must(x402_address_equal(&tx->plain.to, &auth->token));
	must(x402_u256_is_zero(&tx->plain.value));
	must(x402_approval_calldata_read(tx->plain.data, &address, &amount) ==
			X402_OK &&
		x402_address_equal(&address, x402_permit2_contract()) &&
		x402_u256_cmp(&amount, &auth->amount) >= 0);
}

static void verify(const struct x402_facilitator_request *request,
	const struct x402_permit2_payload *payload, struct input input,
	enum x402_phase phase)
{
	struct x402_u256 gift = x402_u256_from_u64(UINT64_C(100000000000000));
	struct x402_verify_options options = {
		.now_unix_s = NOW, .phase = phase, .approval_gift_wei = &gift};
	struct witness witness = {0};
	struct x402_verify_plan plan;

	must(x402_verify_plan(request, &options, &plan) == X402_OK);
	must(!plan.verdict.valid); /* not before the chain was asked */
	run_rounds(&plan, &input, &payload->authorization, &witness);
	must(plan.verdict.valid ==
		(plan.decided && plan.verdict.reason == X402_REASON_NONE));
	if (plan.verdict.valid) {
		must_be_rightly_valid(request, payload, &witness, phase);
		if (plan.approval)
			must_wait_for_approval(&plan, payload, &witness);
		else
			must_settle_as_verified(&plan, &payload->authorization);
	}
	x402_verify_plan_clear(&plan);
}

static void try_request(
	const struct x402_facilitator_request *request, struct input input)
{
	enum x402_permit2_kind kind =
		strcmp(request->requirements.scheme, "upto") == 0
		? X402_PERMIT2_UPTO
		: X402_PERMIT2_EXACT;
	struct x402_permit2_payload payload;

	if (x402_permit2_payload_read(
		    request->payload.payload, kind, NULL, &payload) != X402_OK)
		return;
	must_come_back(&payload);
	/* In an ERC-6492 wrapper the signature is another. */
	if (payload.signature.len <= 65) {
		verify(request, &payload, input, X402_PHASE_VERIFY);
		verify(request, &payload, input, X402_PHASE_SETTLE);
	}
	x402_permit2_payload_clear(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	size_t len = zero ? (size_t)(zero - data) : size;
	struct input input = {data + len, size - len};
	struct x402_facilitator_request request;
	struct x402_json *json = NULL;

	if (input.len > 0) {
		input.ptr++;
		input.len--;
	}
	if (x402_json_parse(x402_span(data, len), NULL, NULL, &json))
		return 0;
	if (x402_facilitator_request_read(json, NULL, &request) == X402_OK) {
		try_request(&request, input);
		x402_facilitator_request_clear(&request);
	}
	x402_json_unref(json);
	return 0;
}
