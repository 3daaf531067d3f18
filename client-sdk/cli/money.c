/*
 * money.c: limits as people type them. The unit is part of the text: a bare
 * number is refused, because 50000 may be meant as atomic units and would be
 * fifty thousand dollars.
 */
#include <string.h>
#include <strings.h>

#include "cli.h"

/* Long enough for a uint256 in decimal, its point and its unit. */
#define AMOUNT_TEXT_SIZE 100
/* A dollar has a million micro-dollars. */
#define USD_DECIMALS 6

static bool cut_suffix(char *text, const char *suffix)
{
	size_t len = strlen(text);
	size_t cut = strlen(suffix);
	if (len <= cut || strcasecmp(text + len - cut, suffix) != 0)
		return false;
	text[len - cut] = '\0';
	if (text[len - cut - 1] == ' ')
		text[len - cut - 1] = '\0';
	return true;
}

enum x402_err cli_limit_parse(const char *text, struct cli_limit *ret_limit)
{
	char copy[AMOUNT_TEXT_SIZE];
	if (strlen(text) >= sizeof(copy))
		return X402_ERR_SYNTAX;
	memcpy(copy, text, strlen(text) + 1);
	struct cli_limit limit = {0};
	enum x402_err err;
	if (cut_suffix(copy, "atomic")) {
		err = x402_u256_from_dec(copy, &limit.units);
		if (err)
			return err;
		limit.has_atomic = true;
		/* The explicit cap takes the place of the default one. */
		limit.usd_micros = UINT64_MAX;
		*ret_limit = limit;
		return X402_OK;
	}
	bool usd = cut_suffix(copy, "usd");
	if (!usd && copy[0] != '$')
		return X402_ERR_SYNTAX;
	struct x402_u256 micros;
	err = x402_price_parse(copy, USD_DECIMALS, &micros);
	if (err)
		return err;
	if (!x402_u256_to_u64(&micros, &limit.usd_micros))
		return X402_ERR_OVERFLOW;
	/* Zero would mean the default to the library: the opposite. */
	if (limit.usd_micros == 0)
		return X402_ERR_RANGE;
	*ret_limit = limit;
	return X402_OK;
}
