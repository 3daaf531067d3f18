/*
 * EIP-3009 authorizations: reading and writing the payload of x402 L-012,
 * the digest that the payer signs, and the calldata that spends it.
 */
#include <stdlib.h>

#include "members_p.h"
#include "x402/abi.h"
#include "x402/eip3009.h"
#include "x402/eip712.h"
#include "x402/encoding.h"

static const uint8_t transfer_type_hash[32] = {0x7c, 0x7c, 0x6c, 0xdb, 0x67,
	0xa1, 0x87, 0x43, 0xf4, 0x9e, 0xc6, 0xfa, 0x9b, 0x35, 0xf5, 0x0d, 0x52,
	0xed, 0x05, 0xcb, 0xed, 0x4c, 0xc5, 0x92, 0xe1, 0x3b, 0x44, 0x50, 0x1c,
	0x1a, 0x22, 0x67};
static const uint8_t selector_transfer_vrs[4] = {0xe3, 0xee, 0x16, 0x0e};
static const uint8_t selector_transfer_bytes[4] = {0xcf, 0x09, 0x29, 0x95};
static const uint8_t selector_state[4] = {0xe9, 0x4a, 0x01, 0x02};

#define FIELD(name) "payload.authorization." name

static enum x402_err read_authorization(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_eip3009_authorization *ret_auth)
{
	const char *nonce = x402_json_get_string(json, "nonce");
	enum x402_err err;

	if (x402_json_type(json) != X402_JSON_OBJECT) {
		x402_errinfo_set(
			info, "payload.authorization", "expected an object");
		return X402_ERR_SCHEMA;
	}
	if ((err = x402__evm_read_address(
		     json, FIELD("from"), info, &ret_auth->from)) ||
		(err = x402__evm_read_address(
			 json, FIELD("to"), info, &ret_auth->to)) ||
		(err = x402__evm_read_number(
			 json, FIELD("value"), info, &ret_auth->value)) ||
		(err = x402__evm_read_number(json, FIELD("validAfter"), info,
			 &ret_auth->valid_after)) ||
		(err = x402__evm_read_number(json, FIELD("validBefore"), info,
			 &ret_auth->valid_before)))
		return err;
	if (nonce &&
		x402_hex_decode_fixed(nonce, ret_auth->nonce32, 32) == X402_OK)
		return X402_OK;
	x402_errinfo_set(info, FIELD("nonce"),
		"expected 0x and 64 hex digits, got %.90s",
		nonce ? nonce : "nothing or another type");
	return nonce ? X402_ERR_SYNTAX : X402_ERR_SCHEMA;
}

enum x402_err x402_eip3009_payload_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_eip3009_payload *ret_payload)
{
	struct x402_eip3009_payload payload = {0};
	enum x402_err err;

	err = read_authorization(x402_json_get(json, "authorization"), info,
		&payload.authorization);
	if (!err)
		err = x402__evm_read_signature(json, info, &payload.signature);
	if (err) {
		x402_eip3009_payload_clear(&payload);
		return err;
	}
	*ret_payload = payload;
	return X402_OK;
}

static enum x402_err fill_authorization(struct x402_json *object,
	const struct x402_eip3009_authorization *authorization,
	struct x402_address_cache *cache)
{
	enum x402_err err;

	if ((err = x402__evm_set_address_cached(
		     object, "from", &authorization->from, cache)) ||
		(err = x402__evm_set_address_cached(
			 object, "to", &authorization->to, cache)) ||
		(err = x402__evm_set_number(
			 object, "value", &authorization->value)) ||
		(err = x402__evm_set_number(
			 object, "validAfter", &authorization->valid_after)) ||
		(err = x402__evm_set_number(
			 object, "validBefore", &authorization->valid_before)))
		return err;
	return x402__evm_set_hex(
		object, "nonce", x402_span(authorization->nonce32, 32));
}

enum x402_err x402_eip3009_payload_to_json(
	const struct x402_eip3009_payload *payload, struct x402_json **ret_json)
{
	return x402__eip3009_payload_to_json(payload, NULL, ret_json);
}

enum x402_err x402__eip3009_payload_to_json(
	const struct x402_eip3009_payload *payload,
	struct x402_address_cache *cache, struct x402_json **ret_json)
{
	struct x402_json *object = x402_json_new_object();
	struct x402_json *authorization = x402_json_new_object();
	enum x402_err err = X402_ERR_NOMEM;

	if (!object || !authorization)
		goto out;
	err = fill_authorization(authorization, &payload->authorization, cache);
	if (err)
		goto out;
	err = x402_json_set_take(object, "authorization", authorization);
	authorization = NULL;
	if (!err)
		err = x402__evm_set_hex(object, "signature",
			x402_buf_span(&payload->signature));
	if (err)
		goto out;
	*ret_json = object;
	return X402_OK;
out:
	x402_json_unref(authorization);
	x402_json_unref(object);
	return err;
}

void x402_eip3009_payload_clear(struct x402_eip3009_payload *payload)
{
	if (payload)
		x402_buf_clear(&payload->signature);
}

void x402_eip3009_struct_hash(
	const struct x402_eip3009_authorization *authorization,
	uint8_t ret_hash32[32])
{
	struct x402_keccak keccak;

	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span(transfer_type_hash, 32));
	x402__evm_hash_address(&keccak, &authorization->from);
	x402__evm_hash_address(&keccak, &authorization->to);
	x402__evm_hash_u256(&keccak, &authorization->value);
	x402__evm_hash_u256(&keccak, &authorization->valid_after);
	x402__evm_hash_u256(&keccak, &authorization->valid_before);
	x402_keccak_update(&keccak, x402_span(authorization->nonce32, 32));
	x402_keccak_final(&keccak, ret_hash32);
}

void x402_eip3009_digest(const struct x402_eip3009_authorization *authorization,
	const uint8_t domain_separator32[32], uint8_t ret_hash32[32])
{
	uint8_t struct_hash[32];

	x402_eip3009_struct_hash(authorization, struct_hash);
	x402_eip712_digest(domain_separator32, struct_hash, ret_hash32);
}

void x402_eip3009_transfer_calldata(
	const struct x402_eip3009_authorization *authorization,
	struct x402_span signature, struct x402_buf *buf)
{
	bool vrs = signature.len == 65; /* F-040 */

	/* Selector, nine words or eight, and the signature's tail. */
	x402_buf_reserve(buf, 4 + 9 * 32 + (vrs ? 0 : signature.len + 31));
	x402_abi_add_selector(
		buf, vrs ? selector_transfer_vrs : selector_transfer_bytes);
	x402_abi_add_address(buf, &authorization->from);
	x402_abi_add_address(buf, &authorization->to);
	x402_abi_add_u256(buf, &authorization->value);
	x402_abi_add_u256(buf, &authorization->valid_after);
	x402_abi_add_u256(buf, &authorization->valid_before);
	x402_abi_add_word(buf, authorization->nonce32);
	if (vrs) {
		x402_abi_add_u64(buf, signature.ptr[64]);
		x402_abi_add_word(buf, signature.ptr);
		x402_abi_add_word(buf, signature.ptr + 32);
	} else {
		x402_abi_add_u64(buf, 7 * 32); /* head is seven words */
		x402_abi_add_bytes_tail(buf, signature);
	}
}

void x402_eip3009_state_calldata(const struct x402_address *authorizer,
	const uint8_t nonce32[32], struct x402_buf *buf)
{
	x402_buf_reserve(buf, 4 + 2 * 32);
	x402_abi_add_selector(buf, selector_state);
	x402_abi_add_address(buf, authorizer);
	x402_abi_add_word(buf, nonce32);
}
