/*
 * Transfers by delegation (ERC-7710): the payload's members, and the one call
 * that redeems it. The context is bytes; its form is the manager's.
 */
#include "members_p.h"
#include "x402/abi.h"
#include "x402/delegation.h"
#include "x402/encoding.h"

static const uint8_t selector_redeem[4] = {0xce, 0xf6, 0xd2, 0x09};
static const uint8_t selector_transfer[4] = {0xa9, 0x05, 0x9c, 0xbb};

#define CONTEXT_FIELD "payload.permissionContext"

static enum x402_err read_context(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_buf *ret_context)
{
	const char *text = x402_json_get_string(json, "permissionContext");
	enum x402_err err;

	if (!text) {
		x402_errinfo_set(info, CONTEXT_FIELD,
			"expected a 0x hex string, got nothing or another "
			"type");
		return X402_ERR_SCHEMA;
	}
	if (strlen(text) > 2 + 2 * (size_t)X402_PERMISSION_CONTEXT_MAX) {
		x402_errinfo_set(info, CONTEXT_FIELD,
			"expected at most %d bytes",
			X402_PERMISSION_CONTEXT_MAX);
		return X402_ERR_TOO_LARGE;
	}
	err = x402_hex_decode(text, ret_context);
	/* Nothing would tell two payments of it apart. */
	if (!err && !ret_context->len)
		err = X402_ERR_SYNTAX;
	if (err && err != X402_ERR_NOMEM)
		x402_errinfo_set(info, CONTEXT_FIELD,
			"expected 0x and an even number of hex digits, at "
			"least two");
	return err;
}

enum x402_err x402_delegation_payload_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_delegation_payload *ret_payload)
{
	struct x402_delegation_payload payload = {0};
	enum x402_err err = x402__evm_read_address(
		json, "payload.delegationManager", info, &payload.manager);

	if (!err)
		err = x402__evm_read_address(
			json, "payload.delegator", info, &payload.delegator);
	if (!err)
		err = read_context(json, info, &payload.context);
	if (err) {
		x402_delegation_payload_clear(&payload);
		return err;
	}
	*ret_payload = payload;
	return X402_OK;
}

enum x402_err x402_delegation_payload_to_json(
	const struct x402_delegation_payload *payload,
	struct x402_json **ret_json)
{
	struct x402_json *object = x402_json_new_object();
	enum x402_err err = object ? X402_OK : X402_ERR_NOMEM;

	if (!err)
		err = x402__evm_set_address(
			object, "delegationManager", &payload->manager);
	if (!err)
		err = x402__evm_set_hex(object, "permissionContext",
			x402_buf_span(&payload->context));
	if (!err)
		err = x402__evm_set_address(
			object, "delegator", &payload->delegator);
	if (err) {
		x402_json_unref(object);
		return err;
	}
	*ret_json = object;
	return X402_OK;
}

void x402_delegation_payload_clear(struct x402_delegation_payload *payload)
{
	if (!payload)
		return;
	x402_buf_clear(&payload->context);
	memset(payload, 0, sizeof(*payload));
}

/* ERC-7579, a single call: target, value and calldata, packed. */
static void add_execution(struct x402_buf *buf,
	const struct x402_address *asset, const struct x402_address *to,
	const struct x402_u256 *amount)
{
	x402_buf_add(buf, x402_span(asset->bytes, 20));
	x402_abi_add_u64(buf, 0);
	x402_abi_add_selector(buf, selector_transfer);
	x402_abi_add_address(buf, to);
	x402_abi_add_u256(buf, amount);
}

/* An array of one dynamic bytes: length, offset, and its tail. */
static void add_bytes_array(struct x402_buf *buf, struct x402_span bytes)
{
	x402_abi_add_u64(buf, 1);
	x402_abi_add_u64(buf, 32);
	x402_abi_add_bytes_tail(buf, bytes);
}

static uint64_t bytes_array_size(size_t len)
{
	return 3 * 32 + ((uint64_t)len + 31) / 32 * 32;
}

void x402_delegation_redeem_calldata(
	const struct x402_delegation_payload *payload,
	const struct x402_address *asset, const struct x402_address *to,
	const struct x402_u256 *amount, struct x402_buf *buf)
{
	/* One call, and it must not fail: all of the mode is zero. */
	static const uint8_t mode[32];
	struct x402_buf execution = {0};
	uint64_t modes_at = 3 * 32 + bytes_array_size(payload->context.len);

	add_execution(&execution, asset, to, amount);
	x402_abi_add_selector(buf, selector_redeem);
	x402_abi_add_u64(buf, 3 * 32);
	x402_abi_add_u64(buf, modes_at);
	x402_abi_add_u64(buf, modes_at + 2 * 32);
	add_bytes_array(buf, x402_buf_span(&payload->context));
	x402_abi_add_u64(buf, 1);
	x402_abi_add_word(buf, mode);
	add_bytes_array(buf, x402_buf_span(&execution));
	if (execution.failed)
		buf->failed = true;
	x402_buf_clear(&execution);
}
