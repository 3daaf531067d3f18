/*
 * exact by delegation against a hostile payer and a hostile chain: a request
 * in JSON, a zero byte, how many signers there are, and the answers to what
 * the scheme asks for, each a status byte, a length byte and so many bytes.
 * When the answers run out, the rest are faults.
 *
 * A payment is never valid unless there is code at manager and asset, the
 * balance covers it, and a simulation passed of the very call that is settled,
 * as the very signer that must send it, with the very gas. Payloads that can
 * be read come back as they were.
 */
#include "fuzz_house.h"

#define NOW         1795239000
#define SIGNERS_MAX 20
/* The first round, and the signers that are left, four at a time. */
#define ROUNDS_MAX 6
#define GAS_MAX    400000

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
	bool manager_has_code;
	bool asset_has_code;
	struct x402_u256 balance;
	bool signer_has_code; /* the one that was asked about last */
	bool simulated;
	struct x402_address sender; /* of the first that passed */
	struct x402_buf calldata;   /* of it */
};

static void note_call(const struct x402_chain_read *read,
	const struct x402_chain_answer *answer, struct witness *witness)
{
	if (!read->needs_sender) {
		if (answer->status == X402_ANSWER_OK &&
			x402_abi_read_u256(
				answer->data, 0, &witness->balance) != X402_OK)
			witness->balance = x402_u256_from_u64(0);
		return;
	}
	must(read->gas == GAS_MAX && read->has_sender);
	if (answer->status != X402_ANSWER_OK || witness->simulated ||
		witness->signer_has_code)
		return;
	witness->simulated = true;
	witness->sender = read->sender;
	x402_buf_add(&witness->calldata, read->data);
}

static void note(const struct x402_chain_read *read,
	const struct x402_chain_answer *answer,
	const struct x402_delegation_payload *payload, struct witness *witness)
{
	bool there = answer->status == X402_ANSWER_OK && answer->data.len > 0;

	if (read->kind == X402_READ_CALL) {
		note_call(read, answer, witness);
		return;
	}
	must(read->kind == X402_READ_CODE);
	if (read->to.bytes[0] == read->to.bytes[19] && read->to.bytes[0] &&
		read->to.bytes[0] <= SIGNERS_MAX) {
		witness->signer_has_code = there;
		return;
	}
	/* The first is the manager's; an asset may be of the same address. */
	if (x402_address_equal(&read->to, &payload->manager) &&
		!witness->manager_has_code)
		witness->manager_has_code = there;
	else
		witness->asset_has_code = there;
}

static void run_rounds(struct x402_verify_plan *plan, struct input *input,
	const struct x402_delegation_payload *payload, struct witness *witness)
{
	for (int round = 0; !plan->decided; round++) {
		struct x402_chain_answer answers[X402_PLAN_READS_MAX];
		size_t n = plan->reads_len;
		enum x402_err err;

		must(round < ROUNDS_MAX);
		must(n > 0 && n <= X402_PLAN_READS_MAX);
		for (size_t i = 0; i < n; i++) {
			answers[i] = next_answer(input);
			note(&plan->reads[i], &answers[i], payload, witness);
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

static void must_settle_as_verified(const struct x402_verify_plan *plan,
	const struct x402_delegation_payload *payload,
	const struct witness *witness)
{
	struct x402_settle_plan settle;
	struct x402_settle_proof proof;
	struct x402_settle_key key;
	struct x402_address sender;

	must(x402_settle_plan(plan, &settle) == X402_OK);
	must(x402_verify_plan_key(plan, &key) == X402_OK);
	must(memcmp(key.bytes, settle.key.bytes, 32) == 0);
	must(x402_address_equal(&settle.call_to, &payload->manager));
	must(x402_address_equal(&settle.payer, &payload->delegator));
	must(settle.gas_limit == GAS_MAX && !settle.may_share);
	must(settle.calldata.len == witness->calldata.len &&
		memcmp(settle.calldata.ptr, witness->calldata.ptr,
			settle.calldata.len) == 0);
	must(x402_settle_sender(&settle.call_to,
		     x402_buf_span(&settle.calldata),
		     x402_buf_span(&settle.state_calldata),
		     &sender) == X402_OK);
	must(x402_address_equal(&sender, &witness->sender));
	must(settle.valid_before_unix_s == UINT64_MAX);
	must(x402_settle_send_before(x402_buf_span(&settle.state_calldata)) >
		NOW);
	proof = x402_settle_plan_proof(&settle);
	must(x402_settle_proof_is_delegation(&proof));
	x402_settle_plan_clear(&settle);
}

static void must_come_back(const struct x402_delegation_payload *payload)
{
	struct x402_delegation_payload again;
	struct x402_json *json = NULL;

	if (x402_delegation_payload_to_json(payload, &json) != X402_OK)
		return;
	must(x402_delegation_payload_read(json, NULL, &again) == X402_OK);
	must(x402_address_equal(&payload->manager, &again.manager));
	must(x402_address_equal(&payload->delegator, &again.delegator));
	must(payload->context.len == again.context.len &&
		memcmp(payload->context.ptr, again.context.ptr,
			again.context.len) == 0);
	x402_delegation_payload_clear(&again);
	x402_json_unref(json);
}

static void verify(const struct x402_facilitator_request *request,
	const struct x402_delegation_payload *payload, struct input input,
	size_t signers_len)
{
	struct x402_address signers[SIGNERS_MAX];
	struct x402_verify_options options = {.now_unix_s = NOW,
		.delegation_gas = GAS_MAX,
		.delegation_managers = &payload->manager,
		.delegation_managers_len = 1,
		.signers = signers,
		.signers_len = signers_len};
	struct witness witness = {0};
	struct x402_verify_plan plan;
	struct x402_u256 amount;

	for (size_t i = 0; i < signers_len; i++)
		memset(signers[i].bytes, (int)i + 1, 20);
	must(x402_verify_plan(request, &options, &plan) == X402_OK);
	must(!plan.verdict.valid); /* not before the chain was asked */
	run_rounds(&plan, &input, payload, &witness);
	must(plan.verdict.valid ==
		(plan.decided && plan.verdict.reason == X402_REASON_NONE));
	if (plan.verdict.valid) {
		must(witness.manager_has_code && witness.simulated);
		must(witness.asset_has_code);
		must(x402_u256_from_dec(
			     request->requirements.amount, &amount) == X402_OK);
		must(x402_u256_cmp(&witness.balance, &amount) >= 0);
		must(plan.may_repeat);
		must_settle_as_verified(&plan, payload, &witness);
	}
	x402_buf_clear(&witness.calldata);
	x402_verify_plan_clear(&plan);
	/* Nobody allowed it: nobody is asked. */
	options.delegation_managers_len = 0;
	must(x402_verify_plan(request, &options, &plan) == X402_OK);
	must(plan.decided && !plan.verdict.valid);
	x402_verify_plan_clear(&plan);
}

static void try_request(
	const struct x402_facilitator_request *request, struct input input)
{
	const struct x402_json *json = request->payload.payload;
	struct x402_delegation_payload payload;
	size_t signers_len = 1;

	/* Other kinds have targets of their own. */
	if (strcmp(request->requirements.scheme, "exact") != 0 ||
		x402_json_has(json, "authorization") ||
		x402_json_has(json, "permit2Authorization") ||
		x402_delegation_payload_read(json, NULL, &payload) != X402_OK)
		return;
	if (input.len > 0) {
		signers_len = 1 + input.ptr[0] % SIGNERS_MAX;
		input.ptr++;
		input.len--;
	}
	must(payload.context.len > 0 &&
		payload.context.len <= X402_PERMISSION_CONTEXT_MAX);
	must_come_back(&payload);
	verify(request, &payload, input, signers_len);
	x402_delegation_payload_clear(&payload);
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
