/*
 * EVM addresses: reading with and without the EIP-55 checksum, writing with.
 * The checksum is carried by letter case: digit i is upper case when nibble i
 * of keccak256(lower-case hex) is 8 or more.
 */
#include "x402/encoding.h"
#include "x402/evm.h"

enum x402_err x402_address_parse(
	const char *text, struct x402_address *ret_address)
{
	if (!text)
		return X402_ERR_SYNTAX;
	return x402_hex_decode_fixed(
		text, ret_address->bytes, sizeof(ret_address->bytes));
}

static bool is_one_case(const char *digits)
{
	bool upper = false;
	bool lower = false;

	for (; *digits; digits++) {
		upper |= *digits >= 'A' && *digits <= 'F';
		lower |= *digits >= 'a' && *digits <= 'f';
	}
	return !(upper && lower);
}

enum x402_err x402_address_parse_checked(
	const char *text, struct x402_address *ret_address)
{
	struct x402_address address;
	char expected[X402_ADDRESS_TEXT_SIZE];
	enum x402_err err = x402_address_parse(text, &address);

	if (err)
		return err;
	x402_address_format(&address, expected);
	if (!is_one_case(text + 2) && strcmp(text + 2, expected + 2) != 0)
		return X402_ERR_SYNTAX;
	*ret_address = address;
	return X402_OK;
}

void x402_address_format(const struct x402_address *address,
	char ret_text[X402_ADDRESS_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hash[32];

	ret_text[0] = '0';
	ret_text[1] = 'x';
	for (int i = 0; i < 40; i++) {
		uint8_t byte = address->bytes[i / 2];

		ret_text[2 + i] = digits[i % 2 ? byte & 15 : byte >> 4];
	}
	ret_text[42] = '\0';
	x402_keccak256(x402_span(ret_text + 2, 40), hash);
	for (int i = 0; i < 40; i++) {
		uint8_t nibble = i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4;

		if (nibble >= 8 && ret_text[2 + i] >= 'a')
			ret_text[2 + i] = (char)(ret_text[2 + i] - 'a' + 'A');
	}
}

void x402_address_format_cached(struct x402_address_cache *cache,
	const struct x402_address *address,
	char ret_text[X402_ADDRESS_TEXT_SIZE])
{
	for (size_t i = 0; cache && i < X402_ADDRESS_CACHE_MAX; i++) {
		if (!cache->entries[i].text[0] ||
			!x402_address_equal(
				&cache->entries[i].address, address))
			continue;
		memcpy(ret_text, cache->entries[i].text,
			X402_ADDRESS_TEXT_SIZE);
		return;
	}
	x402_address_format(address, ret_text);
	if (!cache)
		return;
	cache->entries[cache->next].address = *address;
	memcpy(cache->entries[cache->next].text, ret_text,
		X402_ADDRESS_TEXT_SIZE);
	cache->next = (cache->next + 1) % X402_ADDRESS_CACHE_MAX;
}

bool x402_address_equal(
	const struct x402_address *a, const struct x402_address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool x402_address_is_zero(const struct x402_address *address)
{
	static const struct x402_address zero;

	return x402_address_equal(address, &zero);
}
