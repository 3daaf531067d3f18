/*
 * 256-bit unsigned integers in four 64-bit limbs. Every operation that could
 * wrap says so instead.
 */
#include "x402/amount.h"

X402_MUST_USE static bool add_limb(
	uint64_t a, uint64_t b, uint64_t carry_in, uint64_t *ret_sum)
{
	uint64_t sum = a + b;
	bool carry = sum < a;

	*ret_sum = sum + carry_in;
	return carry || *ret_sum < sum;
}

struct x402_u256 x402_u256_from_u64(uint64_t value)
{
	struct x402_u256 result = {{value, 0, 0, 0}};

	return result;
}

struct x402_u256 x402_u256_from_be32(const uint8_t be[32])
{
	struct x402_u256 result;

	for (int i = 0; i < 4; i++) {
		uint64_t limb;

		memcpy(&limb, be + 8 * i, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		limb = __builtin_bswap64(limb);
#endif
		result.limb[3 - i] = limb;
	}
	return result;
}

void x402_u256_to_be32(const struct x402_u256 *value, uint8_t ret_be[32])
{
	for (int i = 0; i < 4; i++) {
		uint64_t limb = value->limb[3 - i];

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		limb = __builtin_bswap64(limb);
#endif
		memcpy(ret_be + 8 * i, &limb, 8);
	}
}

bool x402_u256_to_u64(const struct x402_u256 *value, uint64_t *ret_value)
{
	if (value->limb[1] | value->limb[2] | value->limb[3])
		return false;
	*ret_value = value->limb[0];
	return true;
}

enum x402_err x402_u256_from_dec(const char *text, struct x402_u256 *ret_value)
{
	struct x402_u256 value = {{0}};

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return X402_ERR_SYNTAX;
	/* Look at all digits first: junk is junk, however long. */
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return X402_ERR_SYNTAX;
	}
	/* As many digits at a time as a limb holds for certain. */
	for (const char *p = text; *p;) {
		struct x402_u256 part;
		uint64_t digits = 0;
		uint64_t power = 1;

		for (int i = 0; i < 19 && *p; i++, p++) {
			digits = digits * 10 + (uint64_t)(*p - '0');
			power *= 10;
		}
		part = x402_u256_from_u64(digits);
		if (!x402_u256_mul_u64(&value, power, &value) ||
			!x402_u256_add(&value, &part, &value))
			return X402_ERR_OVERFLOW;
	}
	*ret_value = value;
	return X402_OK;
}

void x402_u256_to_dec(
	const struct x402_u256 *value, char ret_text[X402_U256_DEC_SIZE])
{
	char digits[X402_U256_DEC_SIZE];
	struct x402_u256 rest = *value;
	size_t n = 0;

	while (rest.limb[1] | rest.limb[2] | rest.limb[3]) {
		uint64_t digit = 0;

		(void)!x402_u256_div_u64(&rest, 10, &rest, &digit);
		digits[n++] = (char)('0' + digit);
	}
	/* Amounts and times are of one limb, and that is quick. */
	do {
		digits[n++] = (char)('0' + rest.limb[0] % 10);
		rest.limb[0] /= 10;
	} while (rest.limb[0]);
	for (size_t i = 0; i < n; i++)
		ret_text[i] = digits[n - 1 - i];
	ret_text[n] = '\0';
}

int x402_u256_cmp(const struct x402_u256 *a, const struct x402_u256 *b)
{
	for (int i = 3; i >= 0; i--) {
		if (a->limb[i] != b->limb[i])
			return a->limb[i] < b->limb[i] ? -1 : 1;
	}
	return 0;
}

bool x402_u256_is_zero(const struct x402_u256 *value)
{
	return !(value->limb[0] | value->limb[1] | value->limb[2] |
		value->limb[3]);
}

bool x402_u256_add(const struct x402_u256 *a, const struct x402_u256 *b,
	struct x402_u256 *ret_sum)
{
	struct x402_u256 sum;
	uint64_t carry = 0;

	for (int i = 0; i < 4; i++)
		carry = add_limb(a->limb[i], b->limb[i], carry, &sum.limb[i]);
	if (carry)
		return false;
	*ret_sum = sum;
	return true;
}

bool x402_u256_sub(const struct x402_u256 *a, const struct x402_u256 *b,
	struct x402_u256 *ret_difference)
{
	struct x402_u256 difference;
	uint64_t borrow = 0;

	if (x402_u256_cmp(a, b) < 0)
		return false;
	for (int i = 0; i < 4; i++) {
		uint64_t left = a->limb[i];
		uint64_t right = b->limb[i];

		difference.limb[i] = left - right - borrow;
		borrow = left < right || (left == right && borrow);
	}
	*ret_difference = difference;
	return true;
}

bool x402_u256_mul_u64(
	const struct x402_u256 *a, uint64_t b, struct x402_u256 *ret_product)
{
	struct x402_u256 product;
	uint64_t carry = 0;

	for (int i = 0; i < 4; i++) {
		__extension__ unsigned __int128 wide =
			(unsigned __int128)a->limb[i] * b + carry;

		product.limb[i] = (uint64_t)wide;
		carry = (uint64_t)(wide >> 64);
	}
	if (carry)
		return false;
	*ret_product = product;
	return true;
}

bool x402_u256_div_u64(const struct x402_u256 *a, uint64_t b,
	struct x402_u256 *ret_quotient, uint64_t *ret_rest)
{
	struct x402_u256 quotient;
	uint64_t rest = 0;

	if (b == 0)
		return false;
	for (int i = 3; i >= 0; i--) {
		__extension__ unsigned __int128 wide =
			(unsigned __int128)rest << 64 | a->limb[i];

		quotient.limb[i] = (uint64_t)(wide / b);
		rest = (uint64_t)(wide % b);
	}
	*ret_quotient = quotient;
	if (ret_rest)
		*ret_rest = rest;
	return true;
}
