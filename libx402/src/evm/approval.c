/*
 * A signed approve() for Permit2 that travels with a payment (E-20): the
 * extension's members, and the call in the transaction.
 */
#include "members_p.h"
#include "x402/abi.h"
#include "x402/approval.h"
#include "x402/encoding.h"

static const uint8_t selector_approve[4] = {0x09, 0x5e, 0xa7, 0xb3};

/* Spender and amount, and nothing behind them. */
#define APPROVE_BYTES (4 + 2 * 32)

#define INFO(name) "extensions.erc20ApprovalGasSponsoring.info." name

static enum x402_err read_raw(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_buf *ret_raw)
{
	const char *text = x402_json_get_string(json, "signedTransaction");
	enum x402_err err = X402_ERR_SCHEMA;

	if (text && strlen(text) > 2 + 2 * X402_APPROVAL_RAW_MAX)
		err = X402_ERR_TOO_LARGE;
	else if (text)
		err = x402_hex_decode(text, ret_raw);
	if (!err && ret_raw->len == 0)
		err = X402_ERR_SCHEMA;
	if (err && err != X402_ERR_NOMEM)
		x402_errinfo_set(info, INFO("signedTransaction"),
			"expected 1 to %d bytes as 0x hex",
			X402_APPROVAL_RAW_MAX);
	return err;
}

enum x402_err x402_approval_read(const struct x402_json *extensions,
	struct x402_errinfo *info, struct x402_approval *ret_approval)
{
	const struct x402_json *json = x402_json_get(
		x402_json_get(extensions, "erc20ApprovalGasSponsoring"),
		"info");
	struct x402_approval approval = {0};
	enum x402_err err;

	/* A bare echo of what the server declared asks for nothing. */
	if (!x402_json_has(json, "from") &&
		!x402_json_has(json, "signedTransaction"))
		return X402_ERR_NOT_FOUND;
	if (!x402_json_get_string(json, "version")) {
		x402_errinfo_set(info, INFO("version"), "expected a string");
		return X402_ERR_SCHEMA;
	}
	if ((err = x402__evm_read_address(
		     json, INFO("from"), info, &approval.from)) ||
		(err = x402__evm_read_address(
			 json, INFO("asset"), info, &approval.token)) ||
		(err = x402__evm_read_address(
			 json, INFO("spender"), info, &approval.spender)) ||
		(err = x402__evm_read_number(
			 json, INFO("amount"), info, &approval.amount)) ||
		(err = read_raw(json, info, &approval.raw))) {
		x402_approval_clear(&approval);
		return err;
	}
	*ret_approval = approval;
	return X402_OK;
}

enum x402_err x402_approval_decode(struct x402_approval *approval)
{
	return x402_transaction_decode_foreign(
		x402_buf_span(&approval->raw), &approval->transaction);
}

enum x402_err x402_approval_to_json(
	const struct x402_approval *approval, struct x402_json **ret_info)
{
	struct x402_json *json = x402_json_new_object();
	enum x402_err err = json ? X402_OK : X402_ERR_NOMEM;

	if (!err &&
		!(err = x402__evm_set_address(json, "from", &approval->from)) &&
		!(err = x402__evm_set_address(
			  json, "asset", &approval->token)) &&
		!(err = x402__evm_set_address(
			  json, "spender", &approval->spender)) &&
		!(err = x402__evm_set_number(
			  json, "amount", &approval->amount)) &&
		!(err = x402__evm_set_hex(json, "signedTransaction",
			  x402_buf_span(&approval->raw))))
		err = x402_json_set_string(json, "version", "1");
	if (err) {
		x402_json_unref(json);
		return err;
	}
	*ret_info = json;
	return X402_OK;
}

void x402_approval_clear(struct x402_approval *approval)
{
	if (approval)
		x402_buf_clear(&approval->raw);
}

void x402_approval_calldata(const struct x402_address *spender,
	const struct x402_u256 *amount, struct x402_buf *buf)
{
	x402_abi_add_selector(buf, selector_approve);
	x402_abi_add_address(buf, spender);
	x402_abi_add_u256(buf, amount);
}

enum x402_err x402_approval_calldata_read(struct x402_span calldata,
	struct x402_address *ret_spender, struct x402_u256 *ret_amount)
{
	struct x402_address spender;
	struct x402_span words;
	enum x402_err err;

	if (calldata.len < 4 || memcmp(calldata.ptr, selector_approve, 4) != 0)
		return X402_ERR_NOT_FOUND;
	if (calldata.len != APPROVE_BYTES)
		return X402_ERR_SYNTAX;
	words = x402_span(calldata.ptr + 4, calldata.len - 4);
	err = x402_abi_read_address(words, 0, &spender);
	if (!err)
		err = x402_abi_read_u256(words, 1, ret_amount);
	if (!err)
		*ret_spender = spender;
	return err;
}

enum x402_err x402_approval_cost(
	const struct x402_approval *approval, struct x402_u256 *ret_wei)
{
	const struct x402_transaction *tx = &approval->transaction.plain;
	struct x402_u256 wei;

	if (!x402_u256_mul_u64(&tx->max_fee_per_gas, tx->gas_limit, &wei) ||
		!x402_u256_add(&wei, &tx->value, &wei))
		return X402_ERR_RANGE;
	*ret_wei = wei;
	return X402_OK;
}
