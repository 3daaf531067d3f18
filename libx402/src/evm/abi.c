/*
 * Solidity ABI: words and dynamic tails for writing, and a reader that trusts
 * neither the offsets nor the lengths in what a chain returned.
 */
#include "x402/abi.h"

void x402_abi_selector(const char *signature, uint8_t ret_selector4[4])
{
	uint8_t hash[32];

	x402_keccak256(x402_span_str(signature), hash);
	memcpy(ret_selector4, hash, 4);
}

void x402_abi_add_selector(struct x402_buf *buf, const uint8_t selector4[4])
{
	x402_buf_add(buf, x402_span(selector4, 4));
}

void x402_abi_add_word(struct x402_buf *buf, const uint8_t word32[32])
{
	x402_buf_add(buf, x402_span(word32, 32));
}

void x402_abi_add_u256(struct x402_buf *buf, const struct x402_u256 *value)
{
	uint8_t word[32];

	x402_u256_to_be32(value, word);
	x402_abi_add_word(buf, word);
}

void x402_abi_add_u64(struct x402_buf *buf, uint64_t value)
{
	uint8_t word[32] = {0};

	for (int i = 0; i < 8; i++)
		word[31 - i] = (uint8_t)(value >> 8 * i);
	x402_abi_add_word(buf, word);
}

void x402_abi_add_address(
	struct x402_buf *buf, const struct x402_address *address)
{
	uint8_t word[32] = {0};

	memcpy(word + 12, address->bytes, 20);
	x402_abi_add_word(buf, word);
}

void x402_abi_add_bytes_tail(struct x402_buf *buf, struct x402_span bytes)
{
	x402_abi_add_u64(buf, bytes.len);
	x402_buf_add(buf, bytes);
	(void)x402_buf_add_zeros(buf, (32 - bytes.len % 32) % 32);
}

enum x402_err x402_abi_read_word(
	struct x402_span data, size_t index, uint8_t ret_word32[32])
{
	if (index >= data.len / 32)
		return X402_ERR_SYNTAX;
	memcpy(ret_word32, data.ptr + 32 * index, 32);
	return X402_OK;
}

enum x402_err x402_abi_read_u256(
	struct x402_span data, size_t index, struct x402_u256 *ret_value)
{
	uint8_t word[32];
	enum x402_err err = x402_abi_read_word(data, index, word);

	if (!err)
		*ret_value = x402_u256_from_be32(word);
	return err;
}

enum x402_err x402_abi_read_address(
	struct x402_span data, size_t index, struct x402_address *ret_address)
{
	static const uint8_t zeros[12];
	uint8_t word[32];
	enum x402_err err = x402_abi_read_word(data, index, word);

	if (err)
		return err;
	if (memcmp(word, zeros, sizeof(zeros)) != 0)
		return X402_ERR_SYNTAX;
	memcpy(ret_address->bytes, word + 12, 20);
	return X402_OK;
}

enum x402_err x402_abi_read_bool(
	struct x402_span data, size_t index, bool *ret_value)
{
	struct x402_u256 value;
	uint64_t small;
	enum x402_err err = x402_abi_read_u256(data, index, &value);

	if (err)
		return err;
	if (!x402_u256_to_u64(&value, &small) || small > 1)
		return X402_ERR_SYNTAX;
	*ret_value = small == 1;
	return X402_OK;
}

/* A word that must be a size within data. */
static enum x402_err read_size(
	struct x402_span data, size_t index, size_t *ret_size)
{
	struct x402_u256 value;
	uint64_t small;
	enum x402_err err = x402_abi_read_u256(data, index, &value);

	if (err)
		return err;
	if (!x402_u256_to_u64(&value, &small) || small > data.len)
		return X402_ERR_SYNTAX;
	*ret_size = (size_t)small;
	return X402_OK;
}

enum x402_err x402_abi_read_bytes(
	struct x402_span data, size_t index, struct x402_span *ret_bytes)
{
	struct x402_span tail;
	size_t offset;
	size_t len;
	enum x402_err err = read_size(data, index, &offset);

	if (err)
		return err;
	tail = x402_span(data.ptr + offset, data.len - offset);
	err = read_size(tail, 0, &len);
	if (err)
		return err;
	if (len > tail.len - 32)
		return X402_ERR_SYNTAX;
	*ret_bytes = x402_span(tail.ptr + 32, len);
	return X402_OK;
}
