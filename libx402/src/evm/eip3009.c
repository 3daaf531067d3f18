/*
 * EIP-3009 authorizations: reading and writing the payload of x402 L-012,
 * the digest that the payer signs, and the calldata that spends it.
 */
#include <stdlib.h>

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

/* Fields are named by their path; the member is its last part. */
#define FIELD(name) "payload.authorization." name
static const char *member_of(const char *field)
{
	return strrchr(field, '.') + 1;
}

static enum x402_err read_address(const struct x402_json *json,
	const char *field, struct x402_errinfo *info,
	struct x402_address *ret_address)
{
	const char *text = x402_json_get_string(json, member_of(field));

	if (text && x402_address_parse(text, ret_address) == X402_OK)
		return X402_OK;
	x402_errinfo_set(info, field,
		"expected an address (0x and 40 hex digits), got %.60s",
		text ? text : "nothing or another type");
	return text ? X402_ERR_SYNTAX : X402_ERR_SCHEMA;
}

static enum x402_err read_number(const struct x402_json *json,
	const char *field, struct x402_errinfo *info,
	struct x402_u256 *ret_value)
{
	const char *text = x402_json_get_string(json, member_of(field));
	enum x402_err err = text ? x402_u256_from_dec(text, ret_value)
				 : X402_ERR_SCHEMA;

	if (err)
		x402_errinfo_set(info, field,
			"expected a decimal string below 2^256, got %.90s",
			text ? text : "nothing or another type");
	return err;
}

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
	if ((err = read_address(json, FIELD("from"), info, &ret_auth->from)) ||
		(err = read_address(json, FIELD("to"), info, &ret_auth->to)) ||
		(err = read_number(
			 json, FIELD("value"), info, &ret_auth->value)) ||
		(err = read_number(json, FIELD("validAfter"), info,
			 &ret_auth->valid_after)) ||
		(err = read_number(json, FIELD("validBefore"), info,
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

static enum x402_err read_signature(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_buf *ret_signature)
{
	const char *text = x402_json_get_string(json, "signature");
	enum x402_err err;

	if (!text) {
		x402_errinfo_set(info, "payload.signature",
			"expected a 0x hex string, got nothing or another "
			"type");
		return X402_ERR_SCHEMA;
	}
	if (strlen(text) > 2 + 2 * (size_t)X402_SIGNATURE_MAX_BYTES) {
		x402_errinfo_set(info, "payload.signature",
			"expected at most %d bytes", X402_SIGNATURE_MAX_BYTES);
		return X402_ERR_TOO_LARGE;
	}
	err = x402_hex_decode(text, ret_signature);
	if (err)
		x402_errinfo_set(info, "payload.signature",
			"expected 0x and an even number of hex digits");
	return err;
}

enum x402_err x402_eip3009_payload_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_eip3009_payload *ret_payload)
{
	struct x402_eip3009_payload payload = {0};
	enum x402_err err;

	err = read_authorization(x402_json_get(json, "authorization"), info,
		&payload.authorization);
	if (!err)
		err = read_signature(json, info, &payload.signature);
	if (err) {
		x402_eip3009_payload_clear(&payload);
		return err;
	}
	*ret_payload = payload;
	return X402_OK;
}

static enum x402_err set_address(struct x402_json *object, const char *key,
	const struct x402_address *address)
{
	char text[X402_ADDRESS_TEXT_SIZE];

	x402_address_format(address, text);
	return x402_json_set_string(object, key, text);
}

static enum x402_err set_number(struct x402_json *object, const char *key,
	const struct x402_u256 *value)
{
	char text[X402_U256_DEC_SIZE];

	x402_u256_to_dec(value, text);
	return x402_json_set_string(object, key, text);
}

static enum x402_err set_hex(
	struct x402_json *object, const char *key, struct x402_span bytes)
{
	struct x402_buf buf = {0};
	char *text;
	enum x402_err err;

	x402_hex_encode_0x(bytes, &buf);
	text = x402_buf_take_str(&buf);
	err = text ? x402_json_set_string(object, key, text) : X402_ERR_NOMEM;
	free(text);
	return err;
}

static enum x402_err fill_authorization(struct x402_json *object,
	const struct x402_eip3009_authorization *authorization)
{
	enum x402_err err;

	if ((err = set_address(object, "from", &authorization->from)) ||
		(err = set_address(object, "to", &authorization->to)) ||
		(err = set_number(object, "value", &authorization->value)) ||
		(err = set_number(
			 object, "validAfter", &authorization->valid_after)) ||
		(err = set_number(
			 object, "validBefore", &authorization->valid_before)))
		return err;
	return set_hex(object, "nonce", x402_span(authorization->nonce32, 32));
}

enum x402_err x402_eip3009_payload_to_json(
	const struct x402_eip3009_payload *payload, struct x402_json **ret_json)
{
	struct x402_json *object = x402_json_new_object();
	struct x402_json *authorization = x402_json_new_object();
	enum x402_err err = X402_ERR_NOMEM;

	if (!object || !authorization)
		goto out;
	err = fill_authorization(authorization, &payload->authorization);
	if (err)
		goto out;
	err = x402_json_set_take(object, "authorization", authorization);
	authorization = NULL;
	if (!err)
		err = set_hex(object, "signature",
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

static void add_address(
	struct x402_keccak *keccak, const struct x402_address *address)
{
	uint8_t word[32] = {0};

	memcpy(word + 12, address->bytes, 20);
	x402_keccak_update(keccak, x402_span(word, 32));
}

static void add_u256(struct x402_keccak *keccak, const struct x402_u256 *value)
{
	uint8_t word[32];

	x402_u256_to_be32(value, word);
	x402_keccak_update(keccak, x402_span(word, 32));
}

void x402_eip3009_struct_hash(
	const struct x402_eip3009_authorization *authorization,
	uint8_t ret_hash32[32])
{
	struct x402_keccak keccak;

	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span(transfer_type_hash, 32));
	add_address(&keccak, &authorization->from);
	add_address(&keccak, &authorization->to);
	add_u256(&keccak, &authorization->value);
	add_u256(&keccak, &authorization->valid_after);
	add_u256(&keccak, &authorization->valid_before);
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
	x402_abi_add_selector(buf, selector_state);
	x402_abi_add_address(buf, authorizer);
	x402_abi_add_word(buf, nonce32);
}
