/*
 * Base58 without a checksum, as Solana writes keys and signatures. Both ways
 * are schoolbook arithmetic: what it is used for is 32 or 64 bytes.
 */
#include "x402/svm.h"

#define BYTES_MAX  64
#define DIGITS_MAX 88

static const char digits[] =
	"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

static int value_of(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* bytes = bytes * 58 + digit, big-endian; false when it does not fit. */
static bool append(uint8_t *bytes, size_t len, unsigned digit)
{
	unsigned carry = digit;

	for (size_t i = len; i-- > 0;) {
		carry += 58u * bytes[i];
		bytes[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return carry == 0;
}

enum x402_err x402_base58_decode(
	const char *text, uint8_t *ret_bytes, size_t len)
{
	uint8_t bytes[BYTES_MAX] = {0};
	size_t ones = 0;
	size_t zeros = 0;

	if (!text || len > BYTES_MAX)
		return X402_ERR_SYNTAX;
	while (text[ones] == '1')
		ones++;
	for (size_t i = 0; text[i]; i++) {
		int digit = value_of(text[i]);

		if (digit < 0 || i >= DIGITS_MAX ||
			!append(bytes, len, (unsigned)digit))
			return X402_ERR_SYNTAX;
	}
	/* Each leading 1 stands for one zero byte: one text for one key. */
	while (zeros < len && bytes[zeros] == 0)
		zeros++;
	if (zeros != ones)
		return X402_ERR_SYNTAX;
	memcpy(ret_bytes, bytes, len);
	return X402_OK;
}

void x402_base58_encode(const uint8_t *bytes, size_t len, char *ret_text)
{
	uint8_t number[BYTES_MAX];
	char text[DIGITS_MAX];
	size_t at = sizeof(text);
	size_t zeros = 0;

	if (len > BYTES_MAX)
		len = BYTES_MAX;
	memcpy(number, bytes, len);
	while (zeros < len && bytes[zeros] == 0)
		zeros++;
	for (size_t from = zeros; from < len;) {
		unsigned rest = 0;

		for (size_t i = from; i < len; i++) {
			rest = rest << 8 | number[i];
			number[i] = (uint8_t)(rest / 58);
			rest %= 58;
		}
		text[--at] = digits[rest];
		while (from < len && number[from] == 0)
			from++;
	}
	memset(ret_text, '1', zeros);
	memcpy(ret_text + zeros, text + at, sizeof(text) - at);
	ret_text[zeros + sizeof(text) - at] = '\0';
}

enum x402_err x402_pubkey_parse(const char *text, struct x402_pubkey *ret_key)
{
	return x402_base58_decode(text, ret_key->bytes, sizeof(ret_key->bytes));
}

void x402_pubkey_format(
	const struct x402_pubkey *key, char ret_text[X402_PUBKEY_TEXT_SIZE])
{
	x402_base58_encode(key->bytes, sizeof(key->bytes), ret_text);
}

bool x402_pubkey_equal(const struct x402_pubkey *a, const struct x402_pubkey *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool x402_pubkey_is_zero(const struct x402_pubkey *key)
{
	static const struct x402_pubkey zero;

	return x402_pubkey_equal(key, &zero);
}
