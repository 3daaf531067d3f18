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

/* isValidSignature of a stranger's contract: bounded (F4). */
#define WALLET_CHECK_GAS ((uint64_t)300000)
/* The settle transaction must still be valid when it is mined (F-036). */
#define VALID_BEFORE_MARGIN_S 6

static const uint8_t magic_1271[4] = {0x16, 0x26, 0xba, 0x7e};
static const uint8_t magic_6492[32] = {0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64,
	0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64,
	0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64,
	0x92};
static const uint8_t selector_is_valid[4] = {0x16, 0x26, 0xba, 0x7e};
static const uint8_t selector_balance_of[4] = {0x70, 0xa0, 0x82, 0x31};
static const uint8_t selector_name[4] = {0x06, 0xfd, 0xde, 0x03};
static const uint8_t selector_version[4] = {0x54, 0xfd, 0x4d, 0x50};

static struct x402__exact_evm *state_of(const struct x402_verify_plan *plan)
{
	return plan->state;
}

/* ---- Offline checks; each returns false after refusing. ---- */

static bool refuse_with(struct x402_verify_plan *plan, enum x402_reason reason,
	const char *text)
{
	struct x402_errinfo info = {{0}, {0}};

	x402_errinfo_set(&info, "", "%s", text);
	x402__refuse(plan, reason, &info);
	return false;
}

static bool refuse_numbers(struct x402_verify_plan *plan,
	enum x402_reason reason, const char *expected,
	const struct x402_u256 *limit, const struct x402_u256 *actual)
{
	char limit_text[X402_U256_DEC_SIZE];
	char actual_text[X402_U256_DEC_SIZE];
	struct x402_errinfo info = {{0}, {0}};

	x402_u256_to_dec(limit, limit_text);
	x402_u256_to_dec(actual, actual_text);
	x402_errinfo_set(&info, "", "expected %s %s, got %s", expected,
		limit_text, actual_text);
	x402__refuse(plan, reason, &info);
	return false;
}

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
		refuse_with(plan, X402_REASON_UNSUPPORTED_PAYLOAD_TYPE,
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
	x402_address_format(
		&state->payload.authorization.from, plan->verdict.payer);
	return X402_OK;
}

/* F-021 to F-023, and requirements that cannot be an EVM payment. */
static bool check_requirements(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	const struct x402_payment_requirements *req = &request->requirements;
	const struct x402_payment_payload *payload = &request->payload;
	struct x402__exact_evm *state = state_of(plan);

	if (strcmp(payload->scheme, "exact") != 0)
		return refuse_with(plan, X402_REASON_EVM_SCHEME,
			"expected scheme exact in the payment");
	state->name = x402_json_get_string(req->extra, "name");
	state->version = x402_json_get_string(req->extra, "version");
	if (!state->name || !*state->name || !state->version ||
		!*state->version)
		return refuse_with(plan, X402_REASON_EVM_MISSING_EIP712_DOMAIN,
			"expected extra.name and extra.version, the token's "
			"EIP-712 domain");
	if (strcmp(payload->network, req->network) != 0) {
		struct x402_errinfo info = {{0}, {0}};

		x402_errinfo_set(&info, "", "expected network %.60s, got %.60s",
			req->network, payload->network);
		x402__refuse(plan, X402_REASON_EVM_NETWORK_MISMATCH, &info);
		return false;
	}
	if (x402_network_parse(x402_payment_requirements_caip2(req),
		    &state->network) != X402_OK)
		return refuse_with(plan, X402_REASON_INVALID_NETWORK,
			"expected eip155:<chain id>");
	if (x402_address_parse(req->asset, &state->asset) != X402_OK ||
		x402_address_parse(req->pay_to, &state->pay_to) != X402_OK ||
		x402_u256_from_dec(req->amount, &state->amount) != X402_OK)
		return refuse_with(plan,
			X402_REASON_INVALID_PAYMENT_REQUIREMENTS,
			"expected addresses in asset and payTo and a decimal "
			"amount below 2^256");
	return true;
}

static bool is_wrapped(struct x402_span signature)
{
	return signature.len > 32 &&
		memcmp(signature.ptr + signature.len - 32, magic_6492, 32) == 0;
}

/*
 * Take the inner signature out of abi.encode(factory, calldata, signature)
 * followed by the magic: it is what a deployed wallet must accept.
 */
static enum x402_err unwrap(struct x402_buf *signature)
{
	struct x402_span body = x402_span(signature->ptr, signature->len - 32);
	struct x402_buf inner_copy = {0};
	struct x402_span inner;
	enum x402_err err = x402_abi_read_bytes(body, 2, &inner);

	if (err)
		return err;
	x402_buf_add(&inner_copy, inner);
	if (inner_copy.failed)
		return X402_ERR_NOMEM;
	x402_buf_clear(signature);
	*signature = inner_copy;
	return X402_OK;
}

/* F-030: does the signature recover to from? Makes v 27 or 28 if it does. */
static bool recovers_to_payer(struct x402__exact_evm *state)
{
	struct x402_buf *signature = &state->payload.signature;
	struct x402_address signer;

	if (signature->len != 65 ||
		x402_recover_address(
			state->digest32, signature->ptr, &signer) != X402_OK ||
		!x402_address_equal(
			&signer, &state->payload.authorization.from))
		return false;
	/* The token's ecrecover knows 27 and 28 only. */
	if (signature->ptr[64] < 27)
		signature->ptr[64] = (uint8_t)(signature->ptr[64] + 27);
	return true;
}

/* F-035 to F-038. */
static bool check_terms(struct x402_verify_plan *plan)
{
	const struct x402__exact_evm *state = state_of(plan);
	const struct x402_eip3009_authorization *auth =
		&state->payload.authorization;
	struct x402_u256 now = x402_u256_from_u64(state->now_unix_s);
	struct x402_u256 earliest = x402_u256_from_u64(
		state->now_unix_s + VALID_BEFORE_MARGIN_S);

	if (!x402_address_equal(&auth->to, &state->pay_to)) {
		char to[X402_ADDRESS_TEXT_SIZE];
		char pay_to[X402_ADDRESS_TEXT_SIZE];
		struct x402_errinfo info = {{0}, {0}};

		x402_address_format(&auth->to, to);
		x402_address_format(&state->pay_to, pay_to);
		x402_errinfo_set(
			&info, "", "expected to %s, got %s", pay_to, to);
		x402__refuse(plan, X402_REASON_EVM_RECIPIENT_MISMATCH, &info);
		return false;
	}
	if (x402_u256_cmp(&auth->valid_before, &earliest) < 0)
		return refuse_numbers(plan, X402_REASON_EVM_VALID_BEFORE,
			"validBefore at or after", &earliest,
			&auth->valid_before);
	if (x402_u256_cmp(&auth->valid_after, &now) > 0)
		return refuse_numbers(plan, X402_REASON_EVM_VALID_AFTER,
			"validAfter at or before", &now, &auth->valid_after);
	if (x402_u256_cmp(&auth->value, &state->amount) != 0)
		return refuse_numbers(plan, X402_REASON_EVM_VALUE_MISMATCH,
			"value", &state->amount, &auth->value);
	return true;
}

/* ---- Chain reads of a round. ---- */

static void begin_round(
	struct x402_verify_plan *plan, enum x402__exact_evm_round round)
{
	plan->round = round;
	plan->reads_len = 0;
}

static void add_code_read(
	struct x402_verify_plan *plan, const struct x402_address *address)
{
	struct x402_chain_read *read = &plan->reads[plan->reads_len++];

	memset(read, 0, sizeof(*read));
	read->kind = X402_READ_CODE;
	read->to = *address;
}

/* Start a call; the caller appends to the returned calldata. */
static struct x402_buf *add_call(struct x402_verify_plan *plan,
	const struct x402_address *to, uint64_t gas)
{
	struct x402_chain_read *read = &plan->reads[plan->reads_len];
	struct x402_buf *calldata =
		&state_of(plan)->calldata[plan->reads_len++];

	memset(read, 0, sizeof(*read));
	read->kind = X402_READ_CALL;
	read->to = *to;
	read->gas = gas;
	x402_buf_clear(calldata);
	return calldata;
}

/* F-040, F-042: the very calldata that settle sends, as its sender. */
static void add_simulation(struct x402_verify_plan *plan, uint64_t gas)
{
	struct x402__exact_evm *state = state_of(plan);
	size_t index = plan->reads_len;
	struct x402_buf *calldata = add_call(plan, &state->asset, gas);

	plan->reads[index].needs_sender = true;
	x402_eip3009_transfer_calldata(&state->payload.authorization,
		x402_buf_span(&state->payload.signature), calldata);
}

/* Point the reads at their calldata, now that it no longer moves. */
static enum x402_err end_round(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);

	for (size_t i = 0; i < plan->reads_len; i++) {
		if (plan->reads[i].kind != X402_READ_CALL)
			continue;
		if (state->calldata[i].failed)
			return X402_ERR_NOMEM;
		plan->reads[i].data = x402_buf_span(&state->calldata[i]);
	}
	return X402_OK;
}

static enum x402_err ask_as_eoa(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);

	begin_round(plan, X402__ROUND_EOA);
	add_code_read(plan, &state->payload.authorization.from);
	add_code_read(plan, &state->asset);
	add_simulation(plan, X402__EVM_GAS_EOA);
	return end_round(plan);
}

/*
 * The signature is not the payer's by what extra says of the token's domain.
 * Whether the token says the same costs no extra round to find out.
 */
static enum x402_err ask_for_code(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);
	struct x402_buf *calldata;

	begin_round(plan, X402__ROUND_CODE);
	add_code_read(plan, &state->payload.authorization.from);
	calldata = add_call(plan, &state->asset, 0);
	x402_abi_add_selector(calldata, selector_name);
	calldata = add_call(plan, &state->asset, 0);
	x402_abi_add_selector(calldata, selector_version);
	return end_round(plan);
}

static enum x402_err ask_as_contract(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);
	struct x402_buf *calldata;

	state->contract = true;
	begin_round(plan, X402__ROUND_CONTRACT);
	calldata = add_call(
		plan, &state->payload.authorization.from, WALLET_CHECK_GAS);
	x402_abi_add_selector(calldata, selector_is_valid);
	x402_abi_add_word(calldata, state->digest32);
	x402_abi_add_u64(calldata, 2 * 32);
	x402_abi_add_bytes_tail(
		calldata, x402_buf_span(&state->payload.signature));
	add_code_read(plan, &state->asset);
	add_simulation(plan, X402__EVM_GAS_CONTRACT);
	return end_round(plan);
}

static enum x402_err ask_why(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);
	const struct x402_eip3009_authorization *auth =
		&state->payload.authorization;
	struct x402_buf *calldata;

	begin_round(plan, X402__ROUND_DIAGNOSE);
	calldata = add_call(plan, &state->asset, 0);
	x402_eip3009_state_calldata(&auth->from, auth->nonce32, calldata);
	calldata = add_call(plan, &state->asset, 0);
	x402_abi_add_selector(calldata, selector_name);
	calldata = add_call(plan, &state->asset, 0);
	x402_abi_add_selector(calldata, selector_version);
	calldata = add_call(plan, &state->asset, 0);
	x402_abi_add_selector(calldata, selector_balance_of);
	x402_abi_add_address(calldata, &auth->from);
	return end_round(plan);
}

/* ---- Plan. ---- */

static void compute_digest(
	struct x402__exact_evm *state, struct x402_eip712_cache *domains)
{
	struct x402_eip712_domain domain = {.name = state->name,
		.version = state->version,
		.chain_id = state->network.chain_id,
		.verifying_contract = &state->asset};
	uint8_t separator[32];

	x402_eip712_domain_separator_cached(domains, &domain, separator);
	x402_eip3009_digest(
		&state->payload.authorization, separator, state->digest32);
}

static enum x402_err plan_signature_and_terms(
	struct x402_verify_plan *plan, struct x402_eip712_cache *domains)
{
	struct x402__exact_evm *state = state_of(plan);

	compute_digest(state, domains);
	if (is_wrapped(x402_buf_span(&state->payload.signature))) {
		enum x402_err err = unwrap(&state->payload.signature);

		if (err == X402_ERR_NOMEM)
			return err;
		if (err) {
			refuse_with(plan, X402_REASON_EVM_SIGNATURE,
				"malformed ERC-6492 wrapper");
			return X402_OK;
		}
		state->wrapped_6492 = true;
		return ask_for_code(plan);
	}
	if (!recovers_to_payer(state))
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
	state->now_unix_s = options->now_unix_s;
	err = check_shape(request, plan);
	if (err || plan->decided)
		return err;
	if (!check_requirements(request, plan))
		return X402_OK;
	return plan_signature_and_terms(plan, options->domains);
}

/* ---- Judge. ---- */

static enum x402_err judge_simulation(struct x402_verify_plan *plan,
	const struct x402_chain_answer *asset_code,
	const struct x402_chain_answer *simulation)
{
	struct x402__exact_evm *state = state_of(plan);

	if (asset_code->status != X402_ANSWER_OK)
		return X402_ERR_CHAIN;
	if (asset_code->data.len == 0) {
		char asset[X402_ADDRESS_TEXT_SIZE];
		struct x402_errinfo info = {{0}, {0}};

		x402_address_format(&state->asset, asset);
		x402_errinfo_set(&info, "", "no code at %s", asset);
		x402__refuse(plan, X402_REASON_EVM_ASSET_NOT_DEPLOYED, &info);
		return X402_OK;
	}
	switch (simulation->status) {
	case X402_ANSWER_FAULT:
		return X402_ERR_CHAIN;
	case X402_ANSWER_OK:
		x402__accept(plan);
		return X402_OK;
	case X402_ANSWER_REVERTED:
		break;
	}
	x402_abi_revert_text(simulation->data, state->revert_text,
		sizeof(state->revert_text));
	return ask_why(plan);
}

static enum x402_err judge_eoa(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	if (answers[0].status != X402_ANSWER_OK)
		return X402_ERR_CHAIN;
	if (answers[0].data.len > 0)
		return ask_as_contract(plan); /* F-033 */
	return judge_simulation(plan, &answers[1], &answers[2]);
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
	if (state->wrapped_6492)
		refuse_with(plan, X402_REASON_EVM_6492_FACTORY_NOT_ALLOWED,
			"this facilitator deploys no wallets");
	else if (state->payload.signature.len > 65)
		refuse_with(plan, X402_REASON_EVM_UNDEPLOYED_SMART_WALLET,
			"expected a 65-byte signature from an address without "
			"code");
	else
		refuse_signature(plan, &answers[1], &answers[2]);
	return X402_OK;
}

/* F-031: the answer is bytes4 padded to a word, and nothing else. */
static bool says_magic(struct x402_span data)
{
	static const uint8_t padding[28];

	return data.len == 32 && memcmp(data.ptr, magic_1271, 4) == 0 &&
		memcmp(data.ptr + 4, padding, sizeof(padding)) == 0;
}

static enum x402_err judge_contract(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	if (answers[0].status == X402_ANSWER_FAULT)
		return X402_ERR_CHAIN;
	if (answers[0].status == X402_ANSWER_REVERTED ||
		!says_magic(answers[0].data)) {
		refuse_with(plan, X402_REASON_EVM_SIGNATURE,
			"the wallet's isValidSignature did not accept it");
		return X402_OK;
	}
	if (!check_terms(plan))
		return X402_OK;
	return judge_simulation(plan, &answers[1], &answers[2]);
}

/* F-041, in its order. */
static enum x402_err judge_diagnosis(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answers)
{
	const struct x402__exact_evm *state = state_of(plan);
	struct x402_errinfo info = {{0}, {0}};
	struct x402_u256 balance;
	bool used = false;

	for (size_t i = 0; i < plan->reads_len; i++) {
		if (answers[i].status == X402_ANSWER_FAULT)
			return X402_ERR_CHAIN;
	}
	if (answers[0].status == X402_ANSWER_REVERTED ||
		x402_abi_read_bool(answers[0].data, 0, &used) != X402_OK)
		refuse_with(plan, X402_REASON_EVM_EIP3009_NOT_SUPPORTED,
			"the asset has no authorizationState(address,bytes32)");
	else if (used)
		refuse_with(plan, X402_REASON_EVM_NONCE_ALREADY_USED,
			"the authorization's nonce was used or cancelled");
	else if (refuse_if_other(plan, X402_REASON_EVM_TOKEN_NAME_MISMATCH,
			 &answers[1], state->name) ||
		refuse_if_other(plan, X402_REASON_EVM_TOKEN_VERSION_MISMATCH,
			&answers[2], state->version))
		return X402_OK;
	else if (answers[3].status == X402_ANSWER_OK &&
		x402_abi_read_u256(answers[3].data, 0, &balance) == X402_OK &&
		x402_u256_cmp(&balance, &state->amount) < 0)
		refuse_numbers(plan, X402_REASON_EVM_INSUFFICIENT_BALANCE,
			"a balance of at least", &state->amount, &balance);
	else {
		x402_errinfo_set(&info, "", "the transfer would revert: %s",
			state->revert_text[0] ? state->revert_text
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
	case X402__ROUND_DIAGNOSE:
		return judge_diagnosis(plan, answers);
	}
	return X402_ERR_INTERNAL;
}

static void verify_clear(struct x402_verify_plan *plan)
{
	struct x402__exact_evm *state = state_of(plan);

	x402_eip3009_payload_clear(&state->payload);
	for (size_t i = 0; i < X402_PLAN_READS_MAX; i++)
		x402_buf_clear(&state->calldata[i]);
	free(state);
	plan->state = NULL;
}

const struct x402_scheme x402__scheme_exact_evm = {
	.name = "exact",
	.family = X402_FAMILY_EVM,
	.network_pattern = "eip155:*",
	.verify_plan = verify_plan,
	.verify_judge = verify_judge,
	.verify_clear = verify_clear,
	.settle_plan = x402__exact_evm_settle_plan,
	.create_payload = x402__exact_evm_create_payload,
	/* L-064. The payer signs the same for both. */
	.flows = 1u << X402_FLOW_AUTHORIZATION | 1u << X402_FLOW_UPFRONT,
};
