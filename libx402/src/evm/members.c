/*
 * Members of EVM payloads: addresses, numbers and bytes out of JSON and into
 * it, and as words of a hash. A field is named by its path, so that a refusal
 * says which one; the member is the path's last part.
 */
#include <stdlib.h>

#include "members_p.h"
#include "x402/encoding.h"

static const char *member_of(const char *field)
{
	return strrchr(field, '.') + 1;
}

enum x402_err x402__evm_read_address(const struct x402_json *json,
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

enum x402_err x402__evm_read_number(const struct x402_json *json,
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

enum x402_err x402__evm_read_signature(const struct x402_json *json,
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

enum x402_err x402__evm_set_address_cached(struct x402_json *object,
	const char *key, const struct x402_address *address,
	struct x402_address_cache *cache)
{
	char text[X402_ADDRESS_TEXT_SIZE];

	x402_address_format_cached(cache, address, text);
	return x402_json_set_string(object, key, text);
}

enum x402_err x402__evm_set_address(struct x402_json *object, const char *key,
	const struct x402_address *address)
{
	return x402__evm_set_address_cached(object, key, address, NULL);
}

enum x402_err x402__evm_set_number(struct x402_json *object, const char *key,
	const struct x402_u256 *value)
{
	char text[X402_U256_DEC_SIZE];

	x402_u256_to_dec(value, text);
	return x402_json_set_string(object, key, text);
}

/* What is no longer than a signature needs no block of its own. */
#define SHORT_BYTES 65

static enum x402_err set_short_hex(
	struct x402_json *object, const char *key, struct x402_span bytes)
{
	char text[2 + 2 * SHORT_BYTES + 1] = "0x";

	/* By arithmetic, which compilers turn into vectors. */
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t high = bytes.ptr[i] >> 4;
		uint8_t low = bytes.ptr[i] & 15;

		text[2 + 2 * i] =
			(char)(high + '0' + (high > 9 ? 'a' - '0' - 10 : 0));
		text[3 + 2 * i] =
			(char)(low + '0' + (low > 9 ? 'a' - '0' - 10 : 0));
	}
	text[2 + 2 * bytes.len] = '\0';
	return x402_json_set_string(object, key, text);
}

enum x402_err x402__evm_set_hex(
	struct x402_json *object, const char *key, struct x402_span bytes)
{
	struct x402_buf buf = {0};
	char *text;
	enum x402_err err;

	if (bytes.len <= SHORT_BYTES)
		return set_short_hex(object, key, bytes);
	x402_hex_encode_0x(bytes, &buf);
	text = x402_buf_take_str(&buf);
	err = text ? x402_json_set_string(object, key, text) : X402_ERR_NOMEM;
	free(text);
	return err;
}

void x402__evm_hash_address(
	struct x402_keccak *keccak, const struct x402_address *address)
{
	uint8_t word[32] = {0};

	memcpy(word + 12, address->bytes, 20);
	x402_keccak_update(keccak, x402_span(word, 32));
}

void x402__evm_hash_u256(
	struct x402_keccak *keccak, const struct x402_u256 *value)
{
	uint8_t word[32];

	x402_u256_to_be32(value, word);
	x402_keccak_update(keccak, x402_span(word, 32));
}
