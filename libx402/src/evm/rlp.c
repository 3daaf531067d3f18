/*
 * RLP: the shortest form is written and only the shortest form is read, so
 * that one value has one encoding. The reader walks a span item by item and
 * never recurses: the caller decides which lists to enter.
 */
#include "x402/transaction.h"

/* Significant bytes of a length or integer, big-endian, at the end of be8. */
static size_t be_bytes(uint64_t value, uint8_t be8[8])
{
	size_t n = 0;

	for (int i = 0; i < 8; i++)
		be8[7 - i] = (uint8_t)(value >> 8 * i);
	while (n < 8 && value >> 8 * n)
		n++;
	return n;
}

/* short_base is 0x80 for bytes and 0xc0 for lists. */
static void add_header(struct x402_buf *buf, uint8_t short_base, size_t len)
{
	uint8_t be8[8];
	size_t n;

	if (len <= 55) {
		x402_buf_add_byte(buf, (uint8_t)(short_base + len));
		return;
	}
	n = be_bytes(len, be8);
	x402_buf_add_byte(buf, (uint8_t)(short_base + 55 + n));
	x402_buf_add(buf, x402_span(be8 + 8 - n, n));
}

void x402_rlp_add_bytes(struct x402_buf *buf, struct x402_span bytes)
{
	if (bytes.len != 1 || bytes.ptr[0] >= 0x80)
		add_header(buf, 0x80, bytes.len);
	x402_buf_add(buf, bytes);
}

void x402_rlp_add_u64(struct x402_buf *buf, uint64_t value)
{
	uint8_t be8[8];
	size_t n = be_bytes(value, be8);

	x402_rlp_add_bytes(buf, x402_span(be8 + 8 - n, n));
}

void x402_rlp_add_u256(struct x402_buf *buf, const struct x402_u256 *value)
{
	uint8_t be32[32];
	size_t skip = 0;

	x402_u256_to_be32(value, be32);
	while (skip < 32 && be32[skip] == 0)
		skip++;
	x402_rlp_add_bytes(buf, x402_span(be32 + skip, 32 - skip));
}

void x402_rlp_add_list(struct x402_buf *buf, struct x402_span items)
{
	add_header(buf, 0xc0, items.len);
	x402_buf_add(buf, items);
}

/* The length that stands in n bytes; must need them all and exceed 55. */
static enum x402_err read_length(
	const uint8_t *p, size_t n, size_t available, size_t *ret_len)
{
	uint64_t len = 0;

	if (n > available || n > 8 || p[0] == 0)
		return X402_ERR_SYNTAX;
	for (size_t i = 0; i < n; i++)
		len = len << 8 | p[i];
	if (len <= 55 || len > available - n)
		return X402_ERR_SYNTAX;
	*ret_len = (size_t)len;
	return X402_OK;
}

enum x402_err x402_rlp_next(
	struct x402_span *input, bool *ret_is_list, struct x402_span *ret_item)
{
	const uint8_t *p = input->ptr;
	size_t header = 1;
	size_t len;
	uint8_t first;
	bool is_list;

	if (input->len == 0)
		return X402_ERR_SYNTAX;
	first = p[0];
	is_list = first >= 0xc0;
	if (first < 0x80) {
		header = 0;
		len = 1;
	} else {
		uint8_t form = (uint8_t)(first - (is_list ? 0xc0 : 0x80));

		len = form;
		if (form > 55) {
			size_t n = form - 55u;
			enum x402_err err = read_length(
				p + 1, n, input->len - 1, &len);

			if (err)
				return err;
			header += n;
		}
		if (len > input->len - header)
			return X402_ERR_SYNTAX;
		if (!is_list && len == 1 && p[header] < 0x80)
			return X402_ERR_SYNTAX;
	}
	*ret_is_list = is_list;
	*ret_item = x402_span(p + header, len);
	*input = x402_span(p + header + len, input->len - header - len);
	return X402_OK;
}

enum x402_err x402_rlp_read_u64(struct x402_span item, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (item.len > 8 || (item.len > 0 && item.ptr[0] == 0))
		return X402_ERR_SYNTAX;
	for (size_t i = 0; i < item.len; i++)
		value = value << 8 | item.ptr[i];
	*ret_value = value;
	return X402_OK;
}

enum x402_err x402_rlp_read_u256(
	struct x402_span item, struct x402_u256 *ret_value)
{
	uint8_t be32[32] = {0};

	if (item.len > 32 || (item.len > 0 && item.ptr[0] == 0))
		return X402_ERR_SYNTAX;
	if (item.len > 0)
		memcpy(be32 + 32 - item.len, item.ptr, item.len);
	*ret_value = x402_u256_from_be32(be32);
	return X402_OK;
}
