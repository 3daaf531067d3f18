/*
 * CAIP-2 ids, v1 names, and the tables of protocol.md section 8.
 */
#include "cmocka_house.h"
#include "x402/evm.h"
#include "x402/network.h"

#define SOLANA "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"

static void test_parse_tells_families_apart(void **state)
{
	struct x402_network network;

	(void)state;
	assert_int_equal(x402_network_parse("eip155:84532", &network), X402_OK);
	assert_int_equal(network.family, X402_FAMILY_EVM);
	assert_true(network.chain_id == 84532);
	assert_string_equal(network.caip2, "eip155:84532");
	assert_int_equal(x402_network_parse(SOLANA, &network), X402_OK);
	assert_int_equal(network.family, X402_FAMILY_SVM);
	assert_true(network.chain_id == 0);
	assert_int_equal(
		x402_network_parse("cosmos:cosmoshub-3", &network), X402_OK);
	assert_int_equal(network.family, X402_FAMILY_OTHER);
	assert_int_equal(
		x402_network_parse("eip155:18446744073709551615", &network),
		X402_OK);
	assert_true(network.chain_id == UINT64_MAX);
	assert_int_equal(
		x402_network_parse(
			"abcdefgh:01234567890123456789012345678901", &network),
		X402_OK);
}

static void test_parse_refuses(void **state)
{
	static const char *const cases[] = {"", ":", "eip155", "eip155:", ":1",
		"eip155:*", "eip155:01", "eip155:0", "eip155:-1", "eip155:1x",
		"eip155:0x1", "eip155: 1", "eip155:1 ", "EIP155:1", "ei:1",
		"abcdefghi:1", "eip155:1:2", "eip155:18446744073709551616",
		"abc:012345678901234567890123456789012", "base", "e p:1",
		"abc:a/b", "abc:\xc3\xa9", "abc:a.b"};
	struct x402_network network;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(x402_network_parse(cases[i], &network),
			X402_ERR_SYNTAX);
	assert_int_equal(x402_network_parse(NULL, &network), X402_ERR_SYNTAX);
}

static void test_v1_names_go_both_ways(void **state)
{
	static const char *const names[] = {"base", "base-sepolia", "ethereum",
		"sepolia", "avalanche", "avalanche-fuji", "abstract",
		"abstract-testnet", "iotex", "sei", "sei-testnet", "polygon",
		"polygon-amoy", "peaq", "story", "educhain",
		"skale-base-sepolia", "megaeth", "monad", "stable",
		"stable-testnet", "solana", "solana-devnet", "solana-testnet"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *caip2 = x402_network_from_v1_name(names[i]);
		struct x402_network network;

		assert_non_null(caip2);
		assert_int_equal(x402_network_parse(caip2, &network), X402_OK);
		assert_string_equal(x402_network_to_v1_name(caip2), names[i]);
	}
	assert_string_equal(
		x402_network_from_v1_name("base-sepolia"), "eip155:84532");
}

static void test_v1_names_without_official_entry_are_unknown(void **state)
{
	(void)state;
	assert_null(x402_network_from_v1_name("arbitrum"));
	assert_null(x402_network_from_v1_name("optimism"));
	assert_null(x402_network_from_v1_name("bsc"));
	assert_null(x402_network_from_v1_name("Base"));
	assert_null(x402_network_from_v1_name("base "));
	assert_null(x402_network_from_v1_name(""));
	assert_null(x402_network_from_v1_name("eip155:8453"));
	assert_null(x402_network_from_v1_name(NULL));
	assert_null(x402_network_to_v1_name("eip155:42161"));
	assert_null(x402_network_to_v1_name(NULL));
}

static void test_matches_patterns_and_itself(void **state)
{
	(void)state;
	assert_true(x402_network_matches("eip155:*", "eip155:1"));
	assert_true(x402_network_matches("eip155:1", "eip155:1"));
	assert_true(x402_network_matches("solana:*", SOLANA));
	assert_false(x402_network_matches("eip155:*", SOLANA));
	assert_false(x402_network_matches("eip155:*", "eip155:"));
	assert_false(x402_network_matches("eip155:1", "eip155:10"));
	assert_false(x402_network_matches("eip155:10", "eip155:1"));
	assert_false(x402_network_matches("*", "eip155:1"));
	assert_false(x402_network_matches("", "eip155:1"));
	assert_false(x402_network_matches("eip15*", "eip155:1"));
}

/* Every row: a network that parses, an address in its only spelling. */
static void test_asset_table_is_well_formed(void **state)
{
	const struct x402_default_asset *asset;
	size_t n = 0;
	size_t official = 0;

	(void)state;
	for (; (asset = x402_known_asset_at(n)); n++) {
		struct x402_network network;
		struct x402_asset_id id;

		assert_int_equal(
			x402_network_parse(asset->network, &network), X402_OK);
		assert_int_equal(
			x402_asset_id_init(asset->network, asset->address, &id),
			X402_OK);
		assert_non_null(asset->symbol);
		assert_true(asset->decimals == 6 || asset->decimals == 18);
		assert_true(asset->usd);
		if (asset->method == X402_TRANSFER_EIP3009)
			assert_true(asset->name && asset->version);
		assert_int_equal(asset->method == X402_TRANSFER_SPL,
			network.family == X402_FAMILY_SVM);
		assert_ptr_equal(
			x402_known_asset(asset->network, asset->address),
			asset);
		official += asset->official;
	}
	assert_int_equal(official, 27);
	assert_int_equal(n - official, 17);
	assert_null(x402_known_asset_at(SIZE_MAX));
}

static void test_default_asset_facts(void **state)
{
	const struct x402_default_asset *asset;

	(void)state;
	asset = x402_default_asset_of("eip155:84532");
	assert_string_equal(
		asset->address, "0x036CbD53842c5426634e7929541eC2318f3dCF7e");
	/* Base says USD Coin, its test network USDC: signatures hang on it. */
	assert_string_equal(asset->name, "USDC");
	assert_string_equal(
		x402_default_asset_of("eip155:8453")->name, "USD Coin");
	assert_string_equal(x402_default_asset_of("eip155:14")->name,
		"USD\xe2\x82\xae"
		"0");
	assert_int_equal(x402_default_asset_of("eip155:4326")->decimals, 18);
	assert_false(x402_default_asset_of("eip155:1")->official);
	/* BSC has no EIP-3009, and 18 decimals; its test network too. */
	for (size_t i = 0; i < 2; i++) {
		asset = x402_default_asset_of(i ? "eip155:97" : "eip155:56");
		assert_int_equal(asset->decimals, 18);
		assert_int_equal(asset->method, X402_TRANSFER_PERMIT2);
		assert_false(asset->eip2612);
	}
	assert_string_equal(
		x402_default_asset_of("eip155:11155111")->name, "USDC");
	assert_string_equal(
		x402_default_asset_of("eip155:11155420")->name, "USDC");
	assert_null(x402_default_asset_of("eip155:5"));
	assert_null(x402_default_asset_of("base"));
	assert_null(x402_default_asset_of(NULL));
}

static void test_known_asset_ignores_address_case_on_evm_only(void **state)
{
	(void)state;
	assert_non_null(x402_known_asset(
		"eip155:1", "0x8CCEDBAE4916B79DA7F3F612EFB2EB93A2BFD6CF"));
	assert_null(x402_known_asset(
		"eip155:8453", "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF"));
	assert_non_null(x402_known_asset(
		SOLANA, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"));
	assert_null(x402_known_asset(
		SOLANA, "epjfwdd5aufqssqem2qn1xzybapc8g4wegGkzwytdt1v"));
	assert_null(x402_known_asset("eip155:1", ""));
	assert_null(x402_known_asset("eip155:1", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_tells_families_apart),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_v1_names_go_both_ways),
		cmocka_unit_test(
			test_v1_names_without_official_entry_are_unknown),
		cmocka_unit_test(test_matches_patterns_and_itself),
		cmocka_unit_test(test_asset_table_is_well_formed),
		cmocka_unit_test(test_default_asset_facts),
		cmocka_unit_test(
			test_known_asset_ignores_address_case_on_evm_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
