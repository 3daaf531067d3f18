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
	uint8_t *restrict to;

	x402_buf_reserve(buf, 2 * bytes.len);
	if (buf->failed)
		return;
	to = buf->ptr + buf->len;
	buf->len += 2 * bytes.len;
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

/* A vector of digits, and what they say. */
#define DIGITS 16
#define BYTES  (DIGITS / 2)
typedef uint8_t digits __attribute__((vector_size(DIGITS)));
typedef uint16_t pairs16 __attribute__((vector_size(DIGITS)));
typedef uint8_t bytes8 __attribute__((vector_size(BYTES)));

/*
 * Digits to bytes, also by arithmetic: c is a digit if it lies within ten of
 * '0', or in either case within six of 'a'. Returns bytes that are not zero
 * where one is none.
 */
static inline digits decode_vector(const char *text, uint8_t ret_bytes[BYTES])
{
	digits c;
	digits number;
	digits letter;
	digits is_number;
	digits values;
	pairs16 joined;
	bytes8 said;

	memcpy(&c, text, sizeof(c));
	number = c - '0';
	letter = (c | 0x20) - 'a';
	is_number = (digits)(number < 10);
	values = (number & is_number) | ((letter + 10) & ~is_number);
	memcpy(&joined, &values, sizeof(joined));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	joined = (joined << 4 | joined >> 8) & 0xff;
#else
	joined = (joined >> 4 | joined) & 0xff;
#endif
	said = __builtin_convertvector(joined, bytes8);
	memcpy(ret_bytes, &said, BYTES);
	return ~is_number & (digits)(letter >= 6);
}

static bool any(digits v)
{
	uint64_t halves[2];

	memcpy(halves, &v, sizeof(halves));
	return halves[0] | halves[1];
}

/* Fewer than a vector. */
static bool decode_few(const char *text, uint8_t *bytes, size_t len)
{
	char padded[DIGITS + 1] = "0000000000000000";
	uint8_t all[BYTES];

	memcpy(padded, text, 2 * len);
	if (any(decode_vector(padded, all)))
		return false;
	memcpy(bytes, all, len);
	return true;
}

/* Exactly 2 * len digits, a vector or more; false when one is none. */
static bool are_digits(const char *text, size_t len)
{
	uint8_t ignored[BYTES];
	digits bad = decode_vector(text + 2 * (len - BYTES), ignored);

	for (size_t i = 0; i + BYTES <= len; i += BYTES)
		bad |= decode_vector(text + 2 * i, ignored);
	return !any(bad);
}

/* The same of any number, with what they say. */
static bool decode_digits(const char *text, uint8_t *bytes, size_t len)
{
	digits bad = {0};
	size_t i = 0;

	if (len < BYTES)
		return decode_few(text, bytes, len);
	for (; i + BYTES <= len; i += BYTES)
		bad |= decode_vector(text + 2 * i, bytes + i);
	/* The last vector's worth, some of them once more. */
	if (i < len)
		bad |= decode_vector(
			text + 2 * (len - BYTES), bytes + len - BYTES);
	return !any(bad);
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

	if (!text || text[0] != '0' || text[1] != 'x')
		return X402_ERR_SYNTAX;
	text += 2;
	if (strlen(text) != 2 * len)
		return X402_ERR_SYNTAX;
	/* Outputs are set on success only. */
	if (len <= sizeof(small)) {
		if (!decode_digits(text, small, len))
			return X402_ERR_SYNTAX;
		memcpy(ret_bytes, small, len);
		return X402_OK;
	}
	if (!are_digits(text, len))
		return X402_ERR_SYNTAX;
	(void)decode_digits(text, ret_bytes, len); /* seen to be good */
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
