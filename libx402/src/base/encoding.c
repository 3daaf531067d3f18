/*
 * Hex and base64. Both decoders are strict, so that one byte string has one
 * text: a second spelling of a payment would be a second key in some cache.
 */
#include "x402/encoding.h"

static void add_hex(struct x402_span bytes, struct x402_buf *buf)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *out = x402_buf_add_zeros(buf, 2 * bytes.len);

	for (size_t i = 0; out && i < bytes.len; i++) {
		out[2 * i] = (uint8_t)digits[bytes.ptr[i] >> 4];
		out[2 * i + 1] = (uint8_t)digits[bytes.ptr[i] & 15];
	}
}

void x402_hex_encode(struct x402_span bytes, struct x402_buf *buf)
{
	add_hex(bytes, buf);
}

void x402_hex_encode_0x(struct x402_span bytes, struct x402_buf *buf)
{
	x402_buf_add_str(buf, "0x");
	add_hex(bytes, buf);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Both digits of a byte, or -1. A NUL is no digit, so text is not overrun. */
static int hex_byte(const char *text)
{
	int high = hex_digit(text[0]);
	int low = high < 0 ? -1 : hex_digit(text[1]);

	return low < 0 ? -1 : high << 4 | low;
}

enum x402_err x402_hex_decode(const char *text, struct x402_buf *ret_buf)
{
	struct x402_buf buf = {0};

	if (!text || text[0] != '0' || text[1] != 'x')
		return X402_ERR_SYNTAX;
	for (text += 2; *text; text += 2) {
		int byte = hex_byte(text);

		if (byte < 0) {
			x402_buf_clear(&buf);
			return X402_ERR_SYNTAX;
		}
		x402_buf_add_byte(&buf, (uint8_t)byte);
	}
	if (buf.failed) {
		x402_buf_clear(&buf);
		return X402_ERR_NOMEM;
	}
	x402_buf_clear(ret_buf);
	*ret_buf = buf;
	return X402_OK;
}

enum x402_err x402_hex_decode_fixed(
	const char *text, uint8_t *ret_bytes, size_t len)
{
	const char *digits;

	if (!text || text[0] != '0' || text[1] != 'x')
		return X402_ERR_SYNTAX;
	digits = text + 2;
	if (strlen(digits) != 2 * len)
		return X402_ERR_SYNTAX;
	for (size_t i = 0; i < len; i++) {
		if (hex_byte(digits + 2 * i) < 0)
			return X402_ERR_SYNTAX;
	}
	for (size_t i = 0; i < len; i++)
		ret_bytes[i] = (uint8_t)hex_byte(digits + 2 * i);
	return X402_OK;
}

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void x402_base64_encode(struct x402_span bytes, struct x402_buf *buf)
{
	uint8_t *out = x402_buf_add_zeros(buf, (bytes.len + 2) / 3 * 4);

	for (size_t i = 0; out && i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		uint32_t group = (uint32_t)bytes.ptr[i] << 16;

		if (left > 1)
			group |= (uint32_t)bytes.ptr[i + 1] << 8;
		if (left > 2)
			group |= bytes.ptr[i + 2];
		*out++ = (uint8_t)alphabet[group >> 18];
		*out++ = (uint8_t)alphabet[group >> 12 & 63];
		*out++ = left > 1 ? (uint8_t)alphabet[group >> 6 & 63] : '=';
		*out++ = left > 2 ? (uint8_t)alphabet[group & 63] : '=';
	}
}

static int base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* The four digits of a group; padding counts as zero. -1 if one is none. */
static int64_t base64_group(const uint8_t *p, size_t padding)
{
	int64_t group = 0;

	for (size_t i = 0; i < 4; i++) {
		int digit = i < 4 - padding ? base64_digit(p[i]) : 0;

		if (digit < 0)
			return -1;
		group = group << 6 | digit;
	}
	return group;
}

enum x402_err x402_base64_decode(
	struct x402_span text, struct x402_buf *ret_buf)
{
	struct x402_buf buf = {0};
	size_t padding = 0;

	if (text.len % 4 != 0)
		return X402_ERR_SYNTAX;
	while (padding < 2 && padding < text.len &&
		text.ptr[text.len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text.len; i += 4) {
		bool last = i + 4 == text.len;
		int64_t group = base64_group(text.ptr + i, last ? padding : 0);
		size_t n = last ? 3 - padding : 3;
		uint8_t bytes[3];

		bytes[0] = (uint8_t)(group >> 16);
		bytes[1] = (uint8_t)(group >> 8);
		bytes[2] = (uint8_t)group;
		/* What padding cuts off must be zero. */
		if (group < 0 || (n < 3 && bytes[2] != 0) ||
			(n < 2 && bytes[1] != 0)) {
			x402_buf_clear(&buf);
			return X402_ERR_SYNTAX;
		}
		x402_buf_add(&buf, x402_span(bytes, n));
	}
	if (buf.failed) {
		x402_buf_clear(&buf);
		return X402_ERR_NOMEM;
	}
	x402_buf_clear(ret_buf);
	*ret_buf = buf;
	return X402_OK;
}
