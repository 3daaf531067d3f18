/*
 * Prices as people write them (L-035), to atomic units and back. Decimals are
 * shifted as digits; nothing is rounded up.
 */
#include "x402/amount.h"

/* 10^77 is the largest power of ten below 2^256. */
#define DECIMALS_MAX 77

struct digits {
	struct x402_u256 value;
	unsigned fraction; /* digits taken after the point */
	bool nonzero;      /* some digit was, also one that was cut off */
	bool any;
};

static enum x402_err take_digit(char c, struct digits *digits)
{
	struct x402_u256 digit = x402_u256_from_u64((uint64_t)(c - '0'));

	digits->any = true;
	digits->nonzero |= c != '0';
	if (!x402_u256_mul_u64(&digits->value, 10, &digits->value) ||
		!x402_u256_add(&digits->value, &digit, &digits->value))
		return X402_ERR_OVERFLOW;
	return X402_OK;
}

static enum x402_err take_fraction(
	const char *text, unsigned decimals, struct digits *digits)
{
	enum x402_err err = X402_OK;

	if (!*text)
		return X402_ERR_SYNTAX;
	for (; *text && !err; text++) {
		if (*text < '0' || *text > '9')
			return X402_ERR_SYNTAX;
		digits->nonzero |= *text != '0';
		if (digits->fraction == decimals)
			continue; /* truncated */
		err = take_digit(*text, digits);
		digits->fraction++;
	}
	return err;
}

enum x402_err x402_price_parse(
	const char *text, unsigned decimals, struct x402_u256 *ret_atomic)
{
	struct digits digits = {0};
	enum x402_err err = X402_OK;

	if (decimals > DECIMALS_MAX)
		return X402_ERR_RANGE;
	if (*text == '$')
		text++;
	for (; *text >= '0' && *text <= '9' && !err; text++)
		err = take_digit(*text, &digits);
	if (!err && !digits.any)
		return X402_ERR_SYNTAX;
	if (!err && *text == '.')
		err = take_fraction(text + 1, decimals, &digits);
	else if (!err && *text)
		return X402_ERR_SYNTAX;
	for (; !err && digits.fraction < decimals; digits.fraction++) {
		if (!x402_u256_mul_u64(&digits.value, 10, &digits.value))
			err = X402_ERR_OVERFLOW;
	}
	if (err)
		return err;
	if (digits.nonzero && x402_u256_is_zero(&digits.value))
		return X402_ERR_RANGE;
	*ret_atomic = digits.value;
	return X402_OK;
}

size_t x402_price_format(const struct x402_u256 *atomic, unsigned decimals,
	char *ret_text, size_t size)
{
	char digits[X402_U256_DEC_SIZE];
	char text[2 * X402_U256_DEC_SIZE + 2];
	size_t whole;
	size_t n = 0;
	size_t len;

	if (decimals > DECIMALS_MAX)
		return 0;
	x402_u256_to_dec(atomic, digits);
	len = strlen(digits);
	whole = len > decimals ? len - decimals : 0;
	if (whole == 0)
		text[n++] = '0';
	for (size_t i = 0; i < whole; i++)
		text[n++] = digits[i];
	if (decimals > 0) {
		text[n++] = '.';
		for (size_t i = len; whole == 0 && i < decimals; i++)
			text[n++] = '0';
		for (size_t i = whole; i < len; i++)
			text[n++] = digits[i];
		while (text[n - 1] == '0')
			n--;
		if (text[n - 1] == '.')
			n--;
	}
	if (n >= size)
		return 0;
	memcpy(ret_text, text, n);
	ret_text[n] = '\0';
	return n;
}
