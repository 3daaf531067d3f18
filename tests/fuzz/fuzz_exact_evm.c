/*
 * exact on EVM against a hostile payer and a hostile chain: a request in JSON,
 * a zero byte, and the answers to whatever the scheme asks for, each a status
 * byte, a length byte and so many bytes. When the answers run out, the rest
 * are faults.
 *
 * A payment is never valid unless its signer is the payer, or the payer's own
 * contract said the magic word; and then only on the terms that were asked,
 * with code at the asset and a transfer that would go through.
 */
#include "fuzz_house.h"

/* The captured payments of the corpus are valid at this time. */
#define NOW 1795239000
/* No path is longer than three rounds; more would be a loop. */
#define ROUNDS_MAX 4

/* What the target itself noted of the answers. */
struct witness {
	bool magic;
	bool payer_has_code;
	bool asset_has_code;
	bool transfer_went_through;
};

struct input {
	const uint8_t *ptr;
	size_t len;
};

static struct x402_chain_answer next_answer(struct input *input)
{
	struct x402_chain_answer answer = {.status = X402_ANSWER_FAULT};
	size_t len;

	if (input->len < 2)
		return answer;
	switch (input->ptr[0] % 3) {
	case 0:
		answer.status = X402_ANSWER_OK;
		break;
	case 1:
		answer.status = X402_ANSWER_REVERTED;
		break;
	}
	len = input->ptr[1];
	input->ptr += 2;
	input->len -= 2;
	len = len < input->len ? len : input->len;
	answer.data = x402_span(input->ptr, len);
	input->ptr += len;
	input->len -= len;
	return answer;
}

static bool begins_with(struct x402_span data, uint32_t selector)
{
	const uint8_t *p = data.ptr;

	return data.len >= 4 &&
		((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
			(uint32_t)p[2] << 8 | p[3]) == selector;
}

static bool is_magic_word(struct x402_span data)
{
	static const uint8_t word[32] = {0x16, 0x26, 0xba, 0x7e};

	return data.len == 32 && memcmp(data.ptr, word, 32) == 0;
}

/* The parts of the request that matter here, read without the scheme. */
struct terms {
	struct x402_eip3009_payload payload;
	struct x402_address asset;
	struct x402_address pay_to;
	struct x402_u256 amount;
	struct x402_network network;
};

static void note(const struct x402_chain_read *read,
	const struct x402_chain_answer *answer, const struct terms *terms,
	struct witness *witness)
{
	bool ok = answer->status == X402_ANSWER_OK;

	if (read->kind == X402_READ_CODE) {
		if (x402_address_equal(
			    &read->to, &terms->payload.authorization.from) &&
			ok && answer->data.len > 0)
			witness->payer_has_code = true;
		if (x402_address_equal(&read->to, &terms->asset) && ok &&
			answer->data.len > 0)
			witness->asset_has_code = true;
		return;
	}
	must(read->data.len >= 4 && (read->data.len - 4) % 32 == 0);
	if (begins_with(read->data, 0x1626ba7e) &&
		x402_address_equal(
			&read->to, &terms->payload.authorization.from) &&
		ok && is_magic_word(answer->data))
		witness->magic = true;
	if ((begins_with(read->data, 0xe3ee160e) ||
		    begins_with(read->data, 0xcf092995)) &&
		x402_address_equal(&read->to, &terms->asset)) {
		must(read->needs_sender && read->gas > 0);
		if (ok)
			witness->transfer_went_through = true;
	}
}

/* Rounds until it is decided or the chain fails. */
static void run_rounds(struct x402_verify_plan *plan, struct input *input,
	const struct terms *terms, struct witness *witness)
{
	for (int round = 0; !plan->decided; round++) {
		struct x402_chain_answer answers[X402_PLAN_READS_MAX];
		size_t n = plan->reads_len;
		enum x402_err err;

		must(round < ROUNDS_MAX);
		must(n > 0 && n <= X402_PLAN_READS_MAX);
		for (size_t i = 0; i < n; i++) {
			answers[i] = next_answer(input);
			note(&plan->reads[i], &answers[i], terms, witness);
		}
		must(x402_verify_judge(plan, answers, n + 1) ==
			X402_ERR_INVALID_ARGUMENT);
		err = x402_verify_judge(plan, answers, n);
		if (err == X402_ERR_CHAIN) {
			/* No verdict, and the plan is where it was. */
			must(!plan->decided && plan->reads_len == n);
			must(!plan->verdict.valid);
			return;
		}
		must(err == X402_OK);
	}
}

static bool signed_by_payer(const struct x402_facilitator_request *request,
	const struct terms *terms)
{
	const struct x402_json *extra = request->requirements.extra;
	struct x402_eip712_domain domain = {
		.name = x402_json_get_string(extra, "name"),
		.version = x402_json_get_string(extra, "version"),
		.chain_id = terms->network.chain_id,
		.verifying_contract = &terms->asset};
	struct x402_address signer;
	uint8_t separator[32];
	uint8_t digest[32];

	must(domain.name && domain.version);
	if (terms->payload.signature.len != 65)
		return false;
	x402_eip712_domain_separator(&domain, separator);
	x402_eip3009_digest(&terms->payload.authorization, separator, digest);
	return x402_recover_address(digest, terms->payload.signature.ptr,
		       &signer) == X402_OK &&
		x402_address_equal(&signer, &terms->payload.authorization.from);
}

static void must_be_rightly_valid(
	const struct x402_facilitator_request *request,
	const struct terms *terms, const struct witness *witness)
{
	const struct x402_eip3009_authorization *auth =
		&terms->payload.authorization;
	struct x402_u256 now = x402_u256_from_u64(NOW);
	bool by_payer = signed_by_payer(request, terms);

	/* Code at the payer leaves the magic word only (F-033). */
	if (witness->payer_has_code)
		must(witness->magic);
	else
		must(by_payer);
	must(witness->asset_has_code && witness->transfer_went_through);
	must(x402_address_equal(&auth->to, &terms->pay_to));
	must(x402_u256_cmp(&auth->value, &terms->amount) == 0);
	must(x402_u256_cmp(&auth->valid_before, &now) > 0);
	must(x402_u256_cmp(&auth->valid_after, &now) <= 0);
}

/* Does the receipt hold this transfer, and this nonce's use? */
static bool is_in_receipt(const struct x402_settle_proof *proof,
	const struct x402_receipt *receipt)
{
	uint8_t value[32];
	bool moved = false;
	bool used = false;

	x402_u256_to_be32(&proof->value, value);
	for (size_t i = 0; i < receipt->logs_len; i++) {
		const struct x402_log *log = &receipt->logs[i];

		if (log->topics_len != 3 ||
			!x402_address_equal(&log->address, &proof->asset) ||
			memcmp(log->topics[1] + 12, proof->from.bytes, 20) != 0)
			continue;
		if (memcmp(log->topics[2], proof->nonce32, 32) == 0)
			used = true;
		if (memcmp(log->topics[2] + 12, proof->to.bytes, 20) == 0 &&
			log->data.len == 32 &&
			memcmp(log->data.ptr, value, 32) == 0)
			moved = true;
	}
	return moved && used;
}

/* Logs as the answers come: what is left of the input. */
static void judge_receipts(
	const struct x402_settle_plan *plan, struct input *input)
{
	struct x402_settle_proof proof = x402_settle_plan_proof(plan);
	struct x402_log logs[4];
	struct x402_receipt receipt = {.success = true, .logs = logs};
	struct x402_verdict verdict;

	memset(logs, 0, sizeof(logs));
	while (receipt.logs_len < 4 && input->len >= 2) {
		struct x402_log *log = &logs[receipt.logs_len++];
		struct x402_chain_answer words = next_answer(input);

		if (words.status == X402_ANSWER_OK)
			log->address = proof.asset;
		while (log->topics_len < 3 && words.data.len >= 32) {
			memcpy(log->topics[log->topics_len++], words.data.ptr,
				32);
			words.data = x402_span(
				words.data.ptr + 32, words.data.len - 32);
		}
		log->data = words.data;
	}
	x402_settle_judge(&proof, &receipt, &verdict);
	must(!verdict.valid || is_in_receipt(&proof, &receipt));
	must(verdict.valid == (verdict.reason == X402_REASON_NONE));
	receipt.success = false;
	x402_settle_judge(&proof, &receipt, &verdict);
	must(!verdict.valid);
}

static void must_settle_as_verified(const struct x402_verify_plan *plan,
	const struct terms *terms, struct input *input)
{
	const struct x402_eip3009_authorization *auth =
		&terms->payload.authorization;
	struct x402_settle_plan settle;
	struct x402_settle_key key;
	struct x402_address address;
	struct x402_u256 value;
	struct x402_span words;

	must(x402_settle_plan(plan, &settle) == X402_OK);
	must(x402_verify_plan_key(plan, &key) == X402_OK);
	must(memcmp(key.bytes, settle.key.bytes, 32) == 0);
	must(x402_address_equal(&settle.call_to, &terms->asset));
	must(settle.gas_limit > 0);
	must(begins_with(x402_buf_span(&settle.calldata), 0xe3ee160e) ||
		begins_with(x402_buf_span(&settle.calldata), 0xcf092995));
	words = x402_span(settle.calldata.ptr + 4, settle.calldata.len - 4);
	must(x402_abi_read_address(words, 0, &address) == X402_OK);
	must(x402_address_equal(&address, &auth->from));
	must(x402_abi_read_address(words, 1, &address) == X402_OK);
	must(x402_address_equal(&address, &terms->pay_to));
	must(x402_abi_read_u256(words, 2, &value) == X402_OK);
	must(x402_u256_cmp(&value, &terms->amount) == 0);
	judge_receipts(&settle, input);
	x402_settle_plan_clear(&settle);
}

static void must_not_settle(const struct x402_verify_plan *plan)
{
	struct x402_settle_plan settle;
	struct x402_settle_key key;

	must(x402_settle_plan(plan, &settle) == X402_ERR_INVALID_ARGUMENT);
	if (!plan->decided)
		must(x402_verify_plan_key(plan, &key) ==
			X402_ERR_INVALID_ARGUMENT);
}

/* False when the request cannot be an EVM payment: it is refused then. */
static bool read_terms(
	const struct x402_facilitator_request *request, struct terms *ret_terms)
{
	const struct x402_payment_requirements *req = &request->requirements;

	memset(ret_terms, 0, sizeof(*ret_terms));
	return x402_network_parse(x402_payment_requirements_caip2(req),
		       &ret_terms->network) == X402_OK &&
		x402_address_parse(req->asset, &ret_terms->asset) == X402_OK &&
		x402_address_parse(req->pay_to, &ret_terms->pay_to) ==
		X402_OK &&
		x402_u256_from_dec(req->amount, &ret_terms->amount) ==
		X402_OK &&
		x402_eip3009_payload_read(request->payload.payload, NULL,
			&ret_terms->payload) == X402_OK;
}

static void verify(
	const struct x402_facilitator_request *request, struct input *input)
{
	struct x402_verify_options options = {.now_unix_s = NOW};
	struct witness witness = {0};
	struct x402_verify_plan plan;
	struct terms terms;
	bool readable = read_terms(request, &terms);

	must(x402_verify_plan(request, &options, &plan) == X402_OK);
	must(!plan.verdict.valid); /* not before the chain was asked */
	must(readable || plan.decided);
	run_rounds(&plan, input, &terms, &witness);
	must(plan.verdict.valid ==
		(plan.decided && plan.verdict.reason == X402_REASON_NONE));
	if (plan.verdict.valid) {
		must_be_rightly_valid(request, &terms, &witness);
		must_settle_as_verified(&plan, &terms, input);
	} else {
		must_not_settle(&plan);
	}
	x402_verify_plan_clear(&plan);
	x402_eip3009_payload_clear(&terms.payload);
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
		/* fuzz_permit2 has the others. */
		if (!x402_json_has(
			    request.payload.payload, "permit2Authorization"))
			verify(&request, &input);
		x402_facilitator_request_clear(&request);
	}
	x402_json_unref(json);
	return 0;
}
