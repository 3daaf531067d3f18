/*
 * What the schemes on EVM share: see evm_p.h. The order of things is theirs.
 */
#include <stdlib.h>

#include "evm_p.h"
#include "x402/abi.h"
#include "x402/builder_code.h"

/* The most that a byte of calldata costs (EIP-7623). */
#define GAS_PER_BYTE 40

static const uint8_t magic_1271[4] = {0x16, 0x26, 0xba, 0x7e};
static const uint8_t magic_6492[32] = {0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64,
	0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64,
	0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64,
	0x92};
static const uint8_t selector_is_valid[4] = {0x16, 0x26, 0xba, 0x7e};
static const uint8_t selector_balance_of[4] = {0x70, 0xa0, 0x82, 0x31};

static struct x402__evm *evm_of(const struct x402_verify_plan *plan)
{
	return plan->state;
}

void x402__evm_clear(struct x402__evm *evm)
{
	x402_buf_clear(&evm->signature);
	x402_buf_clear(&evm->factory_calldata);
	x402_buf_clear(&evm->revert_data);
	x402_buf_clear(&evm->suffix);
	free(evm->factories);
	for (size_t i = 0; i < X402_PLAN_READS_MAX; i++)
		x402_buf_clear(&evm->calldata[i]);
}

/* ---- Refusing. ---- */

bool x402__refuse_text(struct x402_verify_plan *plan, enum x402_reason reason,
	const char *text)
{
	struct x402_errinfo info = {{0}, {0}};

	x402_errinfo_set(&info, "", "%s", text);
	x402__refuse(plan, reason, &info);
	return false;
}

bool x402__refuse_numbers(struct x402_verify_plan *plan,
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

bool x402__refuse_addresses(struct x402_verify_plan *plan,
	enum x402_reason reason, const char *member,
	const struct x402_address *expected, const struct x402_address *actual)
{
	char expected_text[X402_ADDRESS_TEXT_SIZE];
	char actual_text[X402_ADDRESS_TEXT_SIZE];
	struct x402_errinfo info = {{0}, {0}};

	x402_address_format(expected, expected_text);
	x402_address_format(actual, actual_text);
	x402_errinfo_set(&info, "", "expected %s %s, got %s", member,
		expected_text, actual_text);
	x402__refuse(plan, reason, &info);
	return false;
}

/* ---- Offline. ---- */

enum x402_err x402__evm_begin(
	struct x402__evm *evm, const struct x402_verify_options *options)
{
	evm->now_unix_s = options->now_unix_s;
	if (!options->factories_6492_len)
		return X402_OK;
	evm->factories = calloc(
		options->factories_6492_len, sizeof(*evm->factories));
	if (!evm->factories)
		return X402_ERR_NOMEM;
	memcpy(evm->factories, options->factories_6492,
		options->factories_6492_len * sizeof(*evm->factories));
	evm->factories_len = options->factories_6492_len;
	return X402_OK;
}

enum x402_err x402__evm_read_codes(struct x402__evm *evm,
	const struct x402_facilitator_request *request,
	const struct x402_verify_options *options)
{
	struct x402_builder_codes codes;

	if (!options->builder_code ||
		!x402_builder_codes_read(request->payload.extensions, &codes))
		return X402_OK;
	if (x402_builder_code_is_valid(options->builder_code))
		memcpy(codes.wallet, options->builder_code,
			strlen(options->builder_code) + 1);
	x402_builder_codes_suffix(&codes, &evm->suffix);
	return evm->suffix.failed ? X402_ERR_NOMEM : X402_OK;
}

void x402__evm_add_codes(const struct x402__evm *evm, struct x402_buf *calldata)
{
	x402_buf_add(calldata, x402_buf_span(&evm->suffix));
}

uint64_t x402__evm_codes_gas(const struct x402__evm *evm)
{
	return GAS_PER_BYTE * (uint64_t)evm->suffix.len;
}

bool x402__evm_same_network(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan, enum x402_reason reason)
{
	struct x402_errinfo info = {{0}, {0}};

	if (strcmp(request->payload.network, request->requirements.network) ==
		0)
		return true;
	x402_errinfo_set(&info, "", "expected network %.60s, got %.60s",
		request->requirements.network, request->payload.network);
	x402__refuse(plan, reason, &info);
	return false;
}

bool x402__evm_read_requirements(const struct x402_payment_requirements *req,
	struct x402_verify_plan *plan)
{
	struct x402__evm *evm = evm_of(plan);

	if (x402_network_parse(x402_payment_requirements_caip2(req),
		    &evm->network) != X402_OK)
		return x402__refuse_text(plan, X402_REASON_INVALID_NETWORK,
			"expected eip155:<chain id>");
	if (x402_address_parse(req->asset, &evm->asset) != X402_OK ||
		x402_address_parse(req->pay_to, &evm->pay_to) != X402_OK ||
		x402_u256_from_dec(req->amount, &evm->amount) != X402_OK)
		return x402__refuse_text(plan,
			X402_REASON_INVALID_PAYMENT_REQUIREMENTS,
			"expected addresses in asset and payTo and a decimal "
			"amount below 2^256");
	return true;
}

bool x402__evm_recovers(struct x402__evm *evm)
{
	struct x402_buf *signature = &evm->signature;
	struct x402_address signer;

	if (signature->len != 65 ||
		x402_recover_address(evm->digest32, signature->ptr, &signer) !=
			X402_OK ||
		!x402_address_equal(&signer, &evm->payer))
		return false;
	/* The contracts' ecrecover knows 27 and 28 only. */
	if (signature->ptr[64] < 27)
		signature->ptr[64] = (uint8_t)(signature->ptr[64] + 27);
	return true;
}

static bool is_wrapped(struct x402_span signature)
{
	return signature.len > 32 &&
		memcmp(signature.ptr + signature.len - 32, magic_6492, 32) == 0;
}

/* The wrapper is abi.encode(factory, calldata, signature) and the magic. */
enum x402_err x402__evm_unwrap(struct x402__evm *evm)
{
	struct x402_buf *signature = &evm->signature;
	struct x402_buf inner_copy = {0};
	struct x402_span body;
	struct x402_span inner;
	struct x402_span factory_calldata;

	if (!is_wrapped(x402_buf_span(signature)))
		return X402_OK;
	body = x402_span(signature->ptr, signature->len - 32);
	if (x402_abi_read_address(body, 0, &evm->factory) != X402_OK ||
		x402_abi_read_bytes(body, 1, &factory_calldata) != X402_OK ||
		x402_abi_read_bytes(body, 2, &inner) != X402_OK)
		return X402_ERR_SYNTAX;
	x402_buf_add(&inner_copy, inner);
	x402_buf_add(&evm->factory_calldata, factory_calldata);
	if (inner_copy.failed || evm->factory_calldata.failed) {
		x402_buf_clear(&inner_copy);
		return X402_ERR_NOMEM;
	}
	x402_buf_clear(signature);
	*signature = inner_copy;
	evm->wrapped = true;
	return X402_OK;
}

bool x402__evm_factory_allowed(const struct x402__evm *evm)
{
	for (size_t i = 0; i < evm->factories_len; i++)
		if (x402_address_equal(&evm->factories[i], &evm->factory))
			return true;
	return false;
}

/* ---- Rounds of reads. ---- */

void x402__evm_begin_round(struct x402_verify_plan *plan, unsigned round)
{
	plan->round = round;
	plan->reads_len = 0;
}

void x402__evm_add_account(struct x402_verify_plan *plan,
	enum x402_read_kind kind, const struct x402_address *address)
{
	struct x402_chain_read *read = &plan->reads[plan->reads_len++];

	memset(read, 0, sizeof(*read));
	read->kind = kind;
	read->to = *address;
}

void x402__evm_add_code(
	struct x402_verify_plan *plan, const struct x402_address *address)
{
	x402__evm_add_account(plan, X402_READ_CODE, address);
}

struct x402_buf *x402__evm_add_call(struct x402_verify_plan *plan,
	const struct x402_address *to, uint64_t gas)
{
	struct x402_chain_read *read = &plan->reads[plan->reads_len];
	struct x402_buf *calldata = &evm_of(plan)->calldata[plan->reads_len++];

	memset(read, 0, sizeof(*read));
	read->kind = X402_READ_CALL;
	read->to = *to;
	read->gas = gas;
	x402_buf_clear(calldata);
	return calldata;
}

void x402__evm_add_balance(struct x402_verify_plan *plan)
{
	struct x402__evm *evm = evm_of(plan);
	struct x402_buf *calldata = x402__evm_add_call(plan, &evm->asset, 0);

	x402_abi_add_selector(calldata, selector_balance_of);
	x402_abi_add_address(calldata, &evm->payer);
}

void x402__evm_add_wallet_check(struct x402_verify_plan *plan)
{
	struct x402__evm *evm = evm_of(plan);
	struct x402_buf *calldata = x402__evm_add_call(
		plan, &evm->payer, X402__EVM_WALLET_CHECK_GAS);

	x402_abi_add_selector(calldata, selector_is_valid);
	x402_abi_add_word(calldata, evm->digest32);
	x402_abi_add_u64(calldata, 2 * 32);
	x402_abi_add_bytes_tail(calldata, x402_buf_span(&evm->signature));
}

enum x402_err x402__evm_end_round(struct x402_verify_plan *plan)
{
	struct x402__evm *evm = evm_of(plan);

	for (size_t i = 0; i < plan->reads_len; i++) {
		if (plan->reads[i].kind != X402_READ_CALL)
			continue;
		if (evm->calldata[i].failed)
			return X402_ERR_NOMEM;
		plan->reads[i].data = x402_buf_span(&evm->calldata[i]);
	}
	return X402_OK;
}

bool x402__evm_says_magic(const struct x402_chain_answer *answer)
{
	static const uint8_t padding[28];

	return answer->status == X402_ANSWER_OK && answer->data.len == 32 &&
		memcmp(answer->data.ptr, magic_1271, 4) == 0 &&
		memcmp(answer->data.ptr + 4, padding, sizeof(padding)) == 0;
}

enum x402_err x402__evm_judge_asset(struct x402_verify_plan *plan,
	const struct x402_chain_answer *code, bool *ret_there)
{
	char asset[X402_ADDRESS_TEXT_SIZE];
	struct x402_errinfo info = {{0}, {0}};

	if (code->status != X402_ANSWER_OK)
		return X402_ERR_CHAIN;
	*ret_there = code->data.len > 0;
	if (*ret_there)
		return X402_OK;
	x402_address_format(&evm_of(plan)->asset, asset);
	x402_errinfo_set(&info, "", "no code at %s", asset);
	x402__refuse(plan, X402_REASON_EVM_ASSET_NOT_DEPLOYED, &info);
	return X402_OK;
}

enum x402_err x402__evm_judge_simulation(struct x402_verify_plan *plan,
	const struct x402_chain_answer *simulation, bool *ret_passed)
{
	struct x402__evm *evm = evm_of(plan);
	struct x402_multicall_result results[2];

	if (simulation->status == X402_ANSWER_FAULT)
		return X402_ERR_CHAIN;
	*ret_passed = simulation->status == X402_ANSWER_OK;
	/* An address without code says yes to everything: look for words. */
	if (*ret_passed && evm->deploy)
		*ret_passed = x402_multicall_aggregate3_read(simulation->data,
				      results, 2) == X402_OK &&
			results[1].success;
	if (*ret_passed)
		return X402_OK;
	x402_abi_revert_text(
		simulation->data, evm->revert_text, sizeof(evm->revert_text));
	x402_buf_clear(&evm->revert_data);
	x402_buf_add(&evm->revert_data, simulation->data);
	return evm->revert_data.failed ? X402_ERR_NOMEM : X402_OK;
}

void x402__evm_deploy_first(const struct x402__evm *evm,
	struct x402_address *call_to, struct x402_buf *calldata)
{
	struct x402_buf inner = *calldata;
	struct x402_multicall_call calls[2] = {
		{.target = evm->factory,
			.calldata = x402_buf_span(&evm->factory_calldata),
			.allow_failure = true},
		{.target = *call_to, .calldata = x402_buf_span(&inner)}};

	*calldata = (struct x402_buf){0};
	x402_multicall_aggregate3_calldata(calls, 2, calldata);
	if (inner.failed)
		calldata->failed = true;
	x402_buf_clear(&inner);
	*call_to = *x402_multicall3();
}

/* ---- Settlement. ---- */

enum x402_err x402__evm_settle_begin(
	const struct x402__evm *evm, struct x402_settle_plan *plan)
{
	char asset[X402_ADDRESS_TEXT_SIZE];

	plan->network = evm->network;
	plan->asset_address = evm->asset;
	x402_address_format(&evm->asset, asset);
	return x402_asset_id_init(evm->network.caip2, asset, &plan->asset);
}

enum x402_err x402__evm_settle_end(
	struct x402_settle_plan *plan, struct x402_settle_plan *ret_plan)
{
	if (plan->calldata.failed || plan->state_calldata.failed) {
		x402_settle_plan_clear(plan);
		return X402_ERR_NOMEM;
	}
	*ret_plan = *plan;
	return X402_OK;
}

struct x402_settle_key x402__evm_settle_key(const char *kind,
	const struct x402_network *network, const struct x402_span *parts,
	size_t parts_len)
{
	static const char domain[] = "x402 settle key: ";
	struct x402_settle_key key;
	struct x402_keccak keccak;

	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span_str(domain));
	/* The NUL of each text ends it, so no two inputs run together. */
	x402_keccak_update(&keccak, x402_span(kind, strlen(kind) + 1));
	x402_keccak_update(
		&keccak, x402_span(network->caip2, strlen(network->caip2) + 1));
	for (size_t i = 0; i < parts_len; i++)
		x402_keccak_update(&keccak, parts[i]);
	x402_keccak_final(&keccak, key.bytes);
	return key;
}
