/*
 * gate_amount.c: what is charged for an offer of the scheme upto, where the
 * handler says how much of it was used (x402 L-037, P-142).
 */
#include "gate_p.h"

/* "33.33" with up to two places, as hundredths of a percent. */
static bool read_percent(const char *text, size_t len, uint64_t *ret_parts)
{
	struct x402_u256 parts;
	char copy[16];

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	/* The price reader truncates digits; here they would be a lie. */
	if (strchr(copy, '.') && strlen(strchr(copy, '.')) > 3)
		return false;
	return *copy != '$' && x402_price_parse(copy, 2, &parts) == X402_OK &&
		x402_u256_to_u64(&parts, ret_parts) && *ret_parts <= 10000;
}

static bool read_asked(const char *asked, const struct x402_u256 *most,
	unsigned decimals, struct x402_u256 *ret_amount)
{
	size_t len = strlen(asked);
	struct x402_u256 product;
	uint64_t parts;

	if (len > 0 && asked[len - 1] == '%')
		return read_percent(asked, len - 1, &parts) &&
			x402_u256_mul_u64(most, parts, &product) &&
			x402_u256_div_u64(&product, 10000, ret_amount, NULL);
	if (*asked == '$')
		return decimals > 0 &&
			x402_price_parse(asked, decimals, ret_amount) ==
			X402_OK;
	return x402_u256_from_dec(asked, ret_amount) == X402_OK;
}

bool x402__charge_amount(const struct x402_payment_requirements *offer,
	unsigned decimals, const char *asked,
	char ret_amount[X402_U256_DEC_SIZE])
{
	struct x402_u256 amount;
	struct x402_u256 most;

	if (x402_u256_from_dec(offer->amount, &most) != X402_OK)
		return false;
	if (!asked) {
		x402_u256_to_dec(&most, ret_amount);
		return true;
	}
	if (!read_asked(asked, &most, decimals, &amount) ||
		x402_u256_cmp(&amount, &most) > 0)
		return false;
	if (strcmp(offer->scheme, "upto") != 0 &&
		x402_u256_cmp(&amount, &most) != 0)
		return false;
	x402_u256_to_dec(&amount, ret_amount);
	return true;
}

bool x402__charges_nothing(const struct x402_gate *gate)
{
	return strcmp(gate->amount, "0") == 0;
}

void x402_gate_read_override(
	const char *header, char ret_amount[X402_PROVIDER_PRICE_SIZE])
{
	struct x402_json *json = NULL;
	const char *amount = NULL;

	if (x402_json_parse(x402_span_str(header), NULL, NULL, &json) ==
		X402_OK)
		amount = x402_json_get_string(json, "amount");
	ret_amount[0] = '\0';
	if (amount && strlen(amount) < X402_PROVIDER_PRICE_SIZE)
		memcpy(ret_amount, amount, strlen(amount) + 1);
	x402_json_unref(json);
}
