/*
 * 256-bit integers, money and prices, at their edges: the last value that
 * fits, the first that does not, and every spelling that is no amount.
 */
#include "cmocka_house.h"
#include "x402/amount.h"

/* 2^256 - 1, and one more. */
#define MAX_TEXT                                                       \
	"115792089237316195423570985008687907853269984665640564039457" \
	"584007913129639935"
#define OVER_TEXT                                                      \
	"115792089237316195423570985008687907853269984665640564039457" \
	"584007913129639936"
#define USDC "0x036CbD53842c5426634e7929541eC2318f3dCF7e"

static struct x402_u256 number(const char *text)
{
	struct x402_u256 value;

	assert_int_equal(x402_u256_from_dec(text, &value), X402_OK);
	return value;
}

static void assert_number(const struct x402_u256 *value, const char *expected)
{
	char text[X402_U256_DEC_SIZE];

	x402_u256_to_dec(value, text);
	assert_string_equal(text, expected);
}

static void test_dec_round_trips(void **state)
{
	static const char *const cases[] = {"0", "1", "9", "10",
		"18446744073709551615", "18446744073709551616",
		"340282366920938463463374607431768211456", MAX_TEXT};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_u256 value = number(cases[i]);

		assert_number(&value, cases[i]);
	}
}

static void test_dec_refuses(void **state)
{
	static const char *const cases[] = {"", "00", "01", "-1", "+1", " 1",
		"1 ", "1.0", "1e3", "0x10", "1,000", "a", "1a", "\xd9\xa1",
		OVER_TEXT "x"};
	struct x402_u256 value = {{7, 7, 7, 7}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(
			x402_u256_from_dec(cases[i], &value), X402_ERR_SYNTAX);
	assert_int_equal(
		x402_u256_from_dec(OVER_TEXT, &value), X402_ERR_OVERFLOW);
	assert_int_equal(
		x402_u256_from_dec(MAX_TEXT "0", &value), X402_ERR_OVERFLOW);
	assert_int_equal(value.limb[3], 7);
}

static void test_be32_round_trips(void **state)
{
	uint8_t be[32];
	uint8_t back[32];
	struct x402_u256 value;

	(void)state;
	for (int i = 0; i < 32; i++)
		be[i] = (uint8_t)(i + 1);
	value = x402_u256_from_be32(be);
	assert_int_equal(value.limb[0], 0x191a1b1c1d1e1f20);
	x402_u256_to_be32(&value, back);
	assert_memory_equal(be, back, 32);
}

static void test_to_u64_is_exact_at_the_edge(void **state)
{
	struct x402_u256 fits = number("18446744073709551615");
	struct x402_u256 over = number("18446744073709551616");
	uint64_t value = 5;

	(void)state;
	assert_true(x402_u256_to_u64(&fits, &value));
	assert_true(value == UINT64_MAX);
	assert_false(x402_u256_to_u64(&over, &value));
	assert_true(value == UINT64_MAX);
}

static void test_arithmetic_carries_through_all_limbs(void **state)
{
	struct x402_u256 max = number(MAX_TEXT);
	struct x402_u256 one = x402_u256_from_u64(1);
	struct x402_u256 low = number("18446744073709551615");
	struct x402_u256 result;

	(void)state;
	assert_true(x402_u256_sub(&max, &one, &result));
	assert_true(x402_u256_add(&result, &one, &result));
	assert_int_equal(x402_u256_cmp(&result, &max), 0);
	assert_true(x402_u256_add(&low, &one, &result));
	assert_number(&result, "18446744073709551616");
	assert_true(x402_u256_sub(&result, &one, &result));
	assert_int_equal(x402_u256_cmp(&result, &low), 0);
	assert_true(x402_u256_mul_u64(&low, UINT64_MAX, &result));
	assert_number(&result, "340282366920938463426481119284349108225");
}

static void test_arithmetic_refuses_to_wrap(void **state)
{
	struct x402_u256 max = number(MAX_TEXT);
	struct x402_u256 zero = x402_u256_from_u64(0);
	struct x402_u256 one = x402_u256_from_u64(1);
	struct x402_u256 result = {{3, 3, 3, 3}};

	(void)state;
	assert_false(x402_u256_add(&max, &one, &result));
	assert_false(x402_u256_add(&max, &max, &result));
	assert_false(x402_u256_sub(&zero, &one, &result));
	assert_false(x402_u256_mul_u64(&max, 2, &result));
	assert_false(x402_u256_div_u64(&max, 0, &result, NULL));
	assert_int_equal(result.limb[0], 3);
	assert_true(x402_u256_mul_u64(&max, 1, &result));
	assert_true(x402_u256_mul_u64(&max, 0, &result));
	assert_true(x402_u256_is_zero(&result));
}

static void test_div_gives_quotient_and_rest(void **state)
{
	struct x402_u256 max = number(MAX_TEXT);
	struct x402_u256 quotient;
	uint64_t rest = 0;

	(void)state;
	assert_true(x402_u256_div_u64(&max, 1000000007, &quotient, &rest));
	assert_true(x402_u256_mul_u64(&quotient, 1000000007, &quotient));
	{
		struct x402_u256 rest256 = x402_u256_from_u64(rest);

		assert_true(x402_u256_add(&quotient, &rest256, &quotient));
	}
	assert_int_equal(x402_u256_cmp(&quotient, &max), 0);
}

static void test_cmp_looks_at_high_limbs_first(void **state)
{
	struct x402_u256 small = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, 0}};
	struct x402_u256 big = {{0, 0, 0, 1}};

	(void)state;
	assert_true(x402_u256_cmp(&small, &big) < 0);
	assert_true(x402_u256_cmp(&big, &small) > 0);
	assert_int_equal(x402_u256_cmp(&big, &big), 0);
}

static void test_asset_id_has_one_spelling(void **state)
{
	struct x402_asset_id a;
	struct x402_asset_id b;

	(void)state;
	assert_int_equal(
		x402_asset_id_init("eip155:84532",
			"0x036cbd53842c5426634e7929541ec2318f3dcf7e", &a),
		X402_OK);
	assert_int_equal(x402_asset_id_init("eip155:84532", USDC, &b), X402_OK);
	assert_string_equal(a.address, USDC);
	assert_true(x402_asset_id_equal(&a, &b));
	assert_int_equal(x402_asset_id_init("eip155:8453", USDC, &b), X402_OK);
	assert_false(x402_asset_id_equal(&a, &b));
	assert_int_equal(
		x402_asset_id_init("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
			"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", &a),
		X402_OK);
}

static void test_asset_id_refuses(void **state)
{
	static const struct {
		const char *network;
		const char *address;
		enum x402_err err;
	} cases[] = {
		{"base", USDC, X402_ERR_SYNTAX},
		{"eip155:*", USDC, X402_ERR_SYNTAX},
		{"eip155:01", USDC, X402_ERR_SYNTAX},
		{"eip155:1", "", X402_ERR_SYNTAX},
		{"eip155:1", "0x036CbD53842c5426634e7929541eC2318f3dCF",
			X402_ERR_SYNTAX},
		{"eip155:1", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
			X402_ERR_SYNTAX},
		{"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", USDC,
			X402_ERR_SYNTAX},
		{"eip155:1",
			"0x036CbD53842c5426634e7929541eC2318f3dCF7e000000000",
			X402_ERR_RANGE},
	};
	struct x402_asset_id asset;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(x402_asset_id_init(cases[i].network,
					 cases[i].address, &asset),
			cases[i].err);
}

static void test_amount_refuses_to_mix_assets(void **state)
{
	struct x402_asset_id base;
	struct x402_asset_id sepolia;
	struct x402_amount a;
	struct x402_amount b;
	struct x402_amount sum;
	int order = 9;

	(void)state;
	assert_int_equal(
		x402_asset_id_init("eip155:8453", USDC, &base), X402_OK);
	assert_int_equal(
		x402_asset_id_init("eip155:84532", USDC, &sepolia), X402_OK);
	assert_int_equal(x402_amount_from_atomic("5", &base, &a), X402_OK);
	assert_int_equal(x402_amount_from_atomic("5", &sepolia, &b), X402_OK);
	assert_false(x402_amount_add(&a, &b, &sum));
	assert_false(x402_amount_sub(&a, &b, &sum));
	assert_false(x402_amount_cmp(&a, &b, &order));
	assert_int_equal(order, 9);
	assert_int_equal(
		x402_amount_from_atomic("-5", &base, &a), X402_ERR_SYNTAX);
}

static void test_amount_arithmetic(void **state)
{
	struct x402_asset_id asset;
	struct x402_amount a;
	struct x402_amount b;
	struct x402_amount result;
	char text[X402_U256_DEC_SIZE];
	int order = 0;

	(void)state;
	assert_int_equal(
		x402_asset_id_init("eip155:8453", USDC, &asset), X402_OK);
	assert_int_equal(x402_amount_from_atomic("7", &asset, &a), X402_OK);
	assert_int_equal(x402_amount_from_atomic("5", &asset, &b), X402_OK);
	assert_true(x402_amount_add(&a, &b, &result));
	x402_amount_to_atomic(&result, text);
	assert_string_equal(text, "12");
	assert_true(x402_asset_id_equal(x402_amount_asset(&result), &asset));
	assert_true(x402_amount_sub(&a, &b, &result));
	assert_false(x402_amount_sub(&b, &a, &result));
	x402_amount_to_atomic(&result, text);
	assert_string_equal(text, "2");
	assert_true(x402_amount_cmp(&a, &b, &order));
	assert_true(order > 0);
	assert_int_equal(
		x402_amount_from_atomic(MAX_TEXT, &asset, &b), X402_OK);
	assert_false(x402_amount_add(&a, &b, &result));
}

static void test_price_parse_truncates(void **state)
{
	static const struct {
		const char *text;
		unsigned decimals;
		const char *atomic;
	} cases[] = {
		{"$0.001", 6, "1000"},
		{"0.001", 6, "1000"},
		{"1", 6, "1000000"},
		{"$1", 0, "1"},
		{"0", 6, "0"},
		{"$0.00", 6, "0"},
		{"0.0000019", 6, "1"},
		{"1.9999999", 6, "1999999"},
		{"1.5", 18, "1500000000000000000"},
		{"007.10", 2, "710"},
		{"0.01", 18, "10000000000000000"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_u256 atomic;

		assert_int_equal(x402_price_parse(cases[i].text,
					 cases[i].decimals, &atomic),
			X402_OK);
		assert_number(&atomic, cases[i].atomic);
	}
}

static void test_price_parse_refuses(void **state)
{
	static const struct {
		const char *text;
		unsigned decimals;
		enum x402_err err;
	} cases[] = {
		{"", 6, X402_ERR_SYNTAX},
		{"$", 6, X402_ERR_SYNTAX},
		{"$$1", 6, X402_ERR_SYNTAX},
		{".5", 6, X402_ERR_SYNTAX},
		{"1.", 6, X402_ERR_SYNTAX},
		{"-1", 6, X402_ERR_SYNTAX},
		{"+1", 6, X402_ERR_SYNTAX},
		{"1e-3", 6, X402_ERR_SYNTAX},
		{"1,000", 6, X402_ERR_SYNTAX},
		{"1.2.3", 6, X402_ERR_SYNTAX},
		{"0.1 ", 6, X402_ERR_SYNTAX},
		{" 0.1", 6, X402_ERR_SYNTAX},
		{"0x1", 6, X402_ERR_SYNTAX},
		{"1 USD", 6, X402_ERR_SYNTAX},
		{"0.0000001", 6, X402_ERR_RANGE},
		{"0.5", 0, X402_ERR_RANGE},
		{"1", 78, X402_ERR_RANGE},
		{"2", 77, X402_ERR_OVERFLOW},
		{OVER_TEXT, 0, X402_ERR_OVERFLOW},
		{MAX_TEXT, 1, X402_ERR_OVERFLOW},
	};
	struct x402_u256 atomic;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(x402_price_parse(cases[i].text,
					 cases[i].decimals, &atomic),
			cases[i].err);
}

static void test_price_format_cuts_zeros(void **state)
{
	static const struct {
		const char *atomic;
		unsigned decimals;
		const char *text;
	} cases[] = {
		{"1000", 6, "0.001"},
		{"1000000", 6, "1"},
		{"0", 6, "0"},
		{"0", 0, "0"},
		{"1", 18, "0.000000000000000001"},
		{"1230000", 6, "1.23"},
		{"100", 0, "100"},
		{"10", 1, "1"},
	};
	char text[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_u256 atomic = number(cases[i].atomic);

		assert_int_equal(x402_price_format(&atomic, cases[i].decimals,
					 text, sizeof(text)),
			strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
	}
}

static void test_price_format_never_overruns(void **state)
{
	struct x402_u256 max = number(MAX_TEXT);
	char text[160];

	(void)state;
	assert_int_equal(x402_price_format(&max, 77, text, 160), 79);
	assert_int_equal(x402_price_format(&max, 77, text, 79), 0);
	assert_int_equal(x402_price_format(&max, 77, text, 80), 79);
	assert_int_equal(x402_price_format(&max, 78, text, 160), 0);
	assert_int_equal(x402_price_format(&max, 0, text, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dec_round_trips),
		cmocka_unit_test(test_dec_refuses),
		cmocka_unit_test(test_be32_round_trips),
		cmocka_unit_test(test_to_u64_is_exact_at_the_edge),
		cmocka_unit_test(test_arithmetic_carries_through_all_limbs),
		cmocka_unit_test(test_arithmetic_refuses_to_wrap),
		cmocka_unit_test(test_div_gives_quotient_and_rest),
		cmocka_unit_test(test_cmp_looks_at_high_limbs_first),
		cmocka_unit_test(test_asset_id_has_one_spelling),
		cmocka_unit_test(test_asset_id_refuses),
		cmocka_unit_test(test_amount_refuses_to_mix_assets),
		cmocka_unit_test(test_amount_arithmetic),
		cmocka_unit_test(test_price_parse_truncates),
		cmocka_unit_test(test_price_parse_refuses),
		cmocka_unit_test(test_price_format_cuts_zeros),
		cmocka_unit_test(test_price_format_never_overruns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
