/*
 * Hex and base64. Both decoders are strict, so that one byte string has one
 * text: a second spelling of a payment would be a second key in some cache.
 */
#include "x402/encoding.h"

/* A signature is 65 bytes: of what comes with each payment, nothing is longer.
 */
#define SMALL_BYTES 65

/* By arithmetic and not from a table: sixteen at a time, in vectors. */
static uint8_t hex_digit(uint8_t value)
{
	return (uint8_t)(value + '0' + (value > 9 ? 'a' - '0' - 10 : 0));
}

static void add_hex(struct x402_span bytes, struct x402_buf *buf)
{
	const uint8_t *restrict from = bytes.ptr;
	uint8_t *restrict to = x402_buf_add_zeros(buf, 2 * bytes.len);

	if (!to)
		return;
	for (size_t i = 0; i < bytes.len; i++) {
		to[2 * i] = hex_digit(from[i] >> 4);
		to[2 * i + 1] = hex_digit(from[i] & 15);
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

/* A digit's value plus one; what is no digit is 0. */
static const uint8_t hex_digits[256] = {['0'] = 1,
	['1'] = 2,
	['2'] = 3,
	['3'] = 4,
	['4'] = 5,
	['5'] = 6,
	['6'] = 7,
	['7'] = 8,
	['8'] = 9,
	['9'] = 10,
	['a'] = 11,
	['b'] = 12,
	['c'] = 13,
	['d'] = 14,
	['e'] = 15,
	['f'] = 16,
	['A'] = 11,
	['B'] = 12,
	['C'] = 13,
	['D'] = 14,
	['E'] = 15,
	['F'] = 16};

/* Exactly 2 * len digits; false when one is none. */
static bool decode_digits(const char *text, uint8_t *bytes, size_t len)
{
	bool good = true;

	for (size_t i = 0; i < len; i++) {
		unsigned high = hex_digits[(uint8_t)text[2 * i]];
		unsigned low = hex_digits[(uint8_t)text[2 * i + 1]];

		good &= high && low;
		bytes[i] = (uint8_t)((high - 1) << 4 | (low - 1));
	}
	return good;
}

enum x402_err x402_hex_decode(const char *text, struct x402_buf *ret_buf)
{
	struct x402_buf buf = {0};
	uint8_t *bytes;
	size_t len;

	if (!text || text[0] != '0' || text[1] != 'x')
		return X402_ERR_SYNTAX;
	len = strlen(text + 2);
	if (len % 2)
		return X402_ERR_SYNTAX;
	if (len) {
		bytes = x402_buf_add_zeros(&buf, len / 2);
		if (!bytes)
			return X402_ERR_NOMEM;
		if (!decode_digits(text + 2, bytes, len / 2)) {
			x402_buf_clear(&buf);
			return X402_ERR_SYNTAX;
		}
	}
	x402_buf_clear(ret_buf);
	*ret_buf = buf;
	return X402_OK;
}

enum x402_err x402_hex_decode_fixed(
	const char *text, uint8_t *ret_bytes, size_t len)
{
	uint8_t small[SMALL_BYTES];
	const char *digits;
	bool good = true;

	if (!text || text[0] != '0' || text[1] != 'x')
		return X402_ERR_SYNTAX;
	digits = text + 2;
	if (strlen(digits) != 2 * len)
		return X402_ERR_SYNTAX;
	/* Addresses and hashes, at every step: digits are read once. */
	if (len <= sizeof(small)) {
		if (!decode_digits(digits, small, len))
			return X402_ERR_SYNTAX;
		memcpy(ret_bytes, small, len);
		return X402_OK;
	}
	/* Outputs are set on success only, so look before writing. */
	for (size_t i = 0; i < 2 * len; i++)
		good &= hex_digits[(uint8_t)digits[i]] != 0;
	if (!good)
		return X402_ERR_SYNTAX;
	(void)decode_digits(digits, ret_bytes, len); /* seen to be good */
	return X402_OK;
}

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Two digits for each twelve bits. Macros without semicolons, as in keccak.c.
 */
/* clang-format off */
#define SECOND(a) \
	{a, 'A'}, {a, 'B'}, {a, 'C'}, {a, 'D'}, {a, 'E'}, {a, 'F'}, {a, 'G'}, \
	{a, 'H'}, {a, 'I'}, {a, 'J'}, {a, 'K'}, {a, 'L'}, {a, 'M'}, {a, 'N'}, \
	{a, 'O'}, {a, 'P'}, {a, 'Q'}, {a, 'R'}, {a, 'S'}, {a, 'T'}, {a, 'U'}, \
	{a, 'V'}, {a, 'W'}, {a, 'X'}, {a, 'Y'}, {a, 'Z'}, {a, 'a'}, {a, 'b'}, \
	{a, 'c'}, {a, 'd'}, {a, 'e'}, {a, 'f'}, {a, 'g'}, {a, 'h'}, {a, 'i'}, \
	{a, 'j'}, {a, 'k'}, {a, 'l'}, {a, 'm'}, {a, 'n'}, {a, 'o'}, {a, 'p'}, \
	{a, 'q'}, {a, 'r'}, {a, 's'}, {a, 't'}, {a, 'u'}, {a, 'v'}, {a, 'w'}, \
	{a, 'x'}, {a, 'y'}, {a, 'z'}, {a, '0'}, {a, '1'}, {a, '2'}, {a, '3'}, \
	{a, '4'}, {a, '5'}, {a, '6'}, {a, '7'}, {a, '8'}, {a, '9'}, {a, '+'}, \
	{a, '/'},
static const uint8_t pairs[4096][2] = {
	SECOND('A') SECOND('B') SECOND('C') SECOND('D') SECOND('E') SECOND('F')
	SECOND('G') SECOND('H') SECOND('I') SECOND('J') SECOND('K') SECOND('L')
	SECOND('M') SECOND('N') SECOND('O') SECOND('P') SECOND('Q') SECOND('R')
	SECOND('S') SECOND('T') SECOND('U') SECOND('V') SECOND('W') SECOND('X')
	SECOND('Y') SECOND('Z') SECOND('a') SECOND('b') SECOND('c') SECOND('d')
	SECOND('e') SECOND('f') SECOND('g') SECOND('h') SECOND('i') SECOND('j')
	SECOND('k') SECOND('l') SECOND('m') SECOND('n') SECOND('o') SECOND('p')
	SECOND('q') SECOND('r') SECOND('s') SECOND('t') SECOND('u') SECOND('v')
	SECOND('w') SECOND('x') SECOND('y') SECOND('z') SECOND('0') SECOND('1')
	SECOND('2') SECOND('3') SECOND('4') SECOND('5') SECOND('6') SECOND('7')
	SECOND('8') SECOND('9') SECOND('+') SECOND('/')};
/* clang-format on */

void x402_base64_encode(struct x402_span bytes, struct x402_buf *buf)
{
	uint8_t *out = x402_buf_add_zeros(buf, (bytes.len + 2) / 3 * 4);
	size_t i = 0;

	/* Whole groups: six bytes of eight that are read, two digits at once.
	 */
	for (; out && i + 8 <= bytes.len; i += 6) {
		uint64_t word;

		memcpy(&word, bytes.ptr + i, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		word = __builtin_bswap64(word);
#endif
		memcpy(out, pairs[word >> 52], 2);
		memcpy(out + 2, pairs[word >> 40 & 0xfff], 2);
		memcpy(out + 4, pairs[word >> 28 & 0xfff], 2);
		memcpy(out + 6, pairs[word >> 16 & 0xfff], 2);
		out += 8;
	}
	for (; out && i < bytes.len; i += 3) {
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
