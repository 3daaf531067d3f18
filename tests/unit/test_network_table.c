/*
 * Networks and their assets, row by row as protocol.md section 8 has them: a
 * wrong address takes somebody's money elsewhere, a wrong name or version makes
 * signatures that no token takes, wrong decimals another price.
 */
#include "cmocka_house.h"
#include "x402/network.h"

#define E3009 X402_TRANSFER_EIP3009
#define P2    X402_TRANSFER_PERMIT2
#define SPL   X402_TRANSFER_SPL

static const struct {
	const char *network;
	const char *address;
	const char *name;
	const char *version;
	unsigned decimals;
	enum x402_transfer_method method;
	bool official;
} rows[] = {
	{"eip155:8453", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
		"USD Coin", "2", 6, E3009, true},
	{"eip155:84532", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC",
		"2", 6, E3009, true},
	{"eip155:137", "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", "USD Coin",
		"2", 6, E3009, true},
	{"eip155:42161", "0xaf88d065e77c8cC2239327C5EDb3A432268e5831",
		"USD Coin", "2", 6, E3009, true},
	{"eip155:421614", "0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d",
		"USD Coin", "2", 6, E3009, true},
	{"eip155:143", "0x754704Bc059F8C67012fEd69BC8A327a5aafb603", "USDC",
		"2", 6, E3009, true},
	{"eip155:4326", "0xFAfDdbb3FC7688494971a79cc65DCa3EF82079E7", "MegaUSD",
		"1", 18, P2, true},
	{"eip155:988", "0x779Ded0c9e1022225f8E0630b35a9b54bE713736", "USDT0",
		"1", 6, E3009, true},
	{"eip155:2201", "0x78Cf24370174180738C5B8E352B6D14c83a6c9A9", "USDT0",
		"1", 6, E3009, true},
	{"eip155:31612", "0xdD468A1DDc392dcdbEf6db6e34E89AA338F9F186",
		"Mezo USD", "1", 18, P2, true},
	{"eip155:31611", "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503",
		"Mezo USD", "1", 18, P2, true},
	{"eip155:723487", "0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb",
		"Stable Coin", "1", 6, P2, true},
	{"eip155:72344", "0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb",
		"Stable Coin", "1", 6, P2, true},
	{"eip155:36900", "0x9cb8142aEBBcdc60AF7c97Af897A67A8f3CA71C2", "USDC.e",
		"2", 6, E3009, true},
	{"eip155:190415", "0x401eCb1D350407f13ba348573E5630B83638E30D",
		"Bridged USDC", "2", 6, E3009, true},
	{"eip155:181228", "0x401eCb1D350407f13ba348573E5630B83638E30D",
		"Bridged USDC", "2", 6, E3009, true},
	{"eip155:50", "0xfA2958CB79b0491CC627c1557F441eF849Ca8eb1", "USDC", "2",
		6, E3009, true},
	{"eip155:51", "0xb5AB69F7bBada22B28e79C8FFAECe55eF1c771D4", "USDC", "2",
		6, E3009, true},
	{"eip155:38833", "0xA5b8BF902b2844dA17d4506cc827F7F1681735E7", "USDC",
		"1", 6, P2, true},
	{"eip155:14", "0xe7cd86e13AC4309349F30B3435a9d337750fC82D",
		"USD\xe2\x82\xae"
		"0",
		"1", 6, E3009, true},
	{"eip155:42220", "0xcebA9300f2b948710d2653dD7B07f33A8B32118C", "USDC",
		"2", 6, E3009, true},
	{"eip155:11142220", "0x01C5C0122039549AD1493B8220cABEdD739BC44E",
		"USDC", "2", 6, E3009, true},
	{"eip155:1329", "0xe15fC38F6D8c56aF07bbCBe3BAf5708A2Bf42392", "USDC",
		"2", 6, E3009, true},
	{"eip155:1328", "0x4fCF1784B31630811181f670Aea7A7bEF803eaED", "USDC",
		"2", 6, E3009, true},
	{"eip155:1", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USD Coin",
		"2", 6, E3009, false},
	{"eip155:10", "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85", "USD Coin",
		"2", 6, E3009, false},
	{"eip155:43114", "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E",
		"USD Coin", "2", 6, E3009, false},
	{"eip155:43113", "0x5425890298aed601595a70AB815c96711a31Bc65",
		"USD Coin", "2", 6, E3009, false},
	{"eip155:80002", "0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582", "USDC",
		"2", 6, E3009, false},
	{"eip155:4689", "0xcdf79194c6c285077a58da47641d4dbe51f63542",
		"Bridged USDC", "2", 6, E3009, false},
	{"eip155:3338", "0xbbA60da06c2c5424f03f7434542280FCAd453d10", "USDC",
		"2", 6, E3009, false},
	{"eip155:2741", "0x84a71ccd554cc1b02749b35d22f684cc8ec987e1",
		"Bridged USDC", "2", 6, E3009, false},
	{"eip155:11124", "0xe4C7fBB0a626ed208021ccabA6Be1566905E2dFc",
		"Bridged USDC", "2", 6, E3009, false},
	{"eip155:1514", "0xF1815bd50389c46847f0Bda824eC8da914045D14",
		"Bridged USDC", "2", 6, E3009, false},
	{"eip155:41923", "0x12a272A581feE5577A5dFa371afEB4b2F3a8C2F8",
		"Bridged USDC (Stargate)", "2", 6, E3009, false},
	{"eip155:324705682", "0x2e08028E3C4c2356572E096d8EF835cD5C6030bD",
		"Bridged USDC (SKALE Bridge)", "2", 6, E3009, false},
	{"eip155:56", "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d", NULL, NULL,
		18, P2, false},
	{"eip155:1", "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF", NULL, NULL,
		18, P2, false},
	{"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
		"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", NULL, NULL, 6,
		SPL, true},
	{"solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
		"4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", NULL, NULL, 6,
		SPL, true},
	{"solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z",
		"4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", NULL, NULL, 6,
		SPL, true},
	/* Test networks that 8.3 has no row for: Circle's, and Binance's own.
	 */
	{"eip155:11155111", "0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238",
		"USDC", "2", 6, E3009, false},
	{"eip155:11155420", "0x5fd84259d66Cd46123540766Be93DFE6D43130D7",
		"USDC", "2", 6, E3009, false},
	{"eip155:97", "0x64544969ed7EBf5f083679233325356EbE738930", NULL, NULL,
		18, P2, false},
};

static const struct {
	const char *name;
	const char *caip2;
} names[] = {
	{"base", "eip155:8453"},
	{"polygon", "eip155:137"},
	{"base-sepolia", "eip155:84532"},
	{"polygon-amoy", "eip155:80002"},
	{"ethereum", "eip155:1"},
	{"peaq", "eip155:3338"},
	{"sepolia", "eip155:11155111"},
	{"story", "eip155:1514"},
	{"avalanche", "eip155:43114"},
	{"educhain", "eip155:41923"},
	{"avalanche-fuji", "eip155:43113"},
	{"skale-base-sepolia", "eip155:324705682"},
	{"abstract", "eip155:2741"},
	{"megaeth", "eip155:4326"},
	{"abstract-testnet", "eip155:11124"},
	{"monad", "eip155:143"},
	{"iotex", "eip155:4689"},
	{"stable", "eip155:988"},
	{"sei", "eip155:1329"},
	{"stable-testnet", "eip155:2201"},
	{"sei-testnet", "eip155:1328"},
	{"solana", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"},
	{"solana-devnet", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"},
	{"solana-testnet", "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z"},
};

static void assert_text(const char *actual, const char *expected)
{
	assert_int_equal(actual == NULL, expected == NULL);
	if (expected)
		assert_string_equal(actual, expected);
}

static void test_each_asset_is_as_the_protocol_has_it(void **state)
{
	size_t known = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct x402_default_asset *asset = x402_known_asset(
			rows[i].network, rows[i].address);

		assert_non_null(asset);
		assert_string_equal(asset->address, rows[i].address);
		assert_text(asset->name, rows[i].name);
		assert_text(asset->version, rows[i].version);
		assert_int_equal(asset->decimals, rows[i].decimals);
		assert_int_equal(asset->method, rows[i].method);
		assert_int_equal(asset->official, rows[i].official);
	}
	while (x402_known_asset_at(known))
		known++;
	assert_int_equal(known, ARRAY_LEN(rows));
}

/* What a price in dollars means there: the first row of the network. */
static void test_default_is_the_first_of_a_network(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t first = 0;

		while (strcmp(rows[first].network, rows[i].network) != 0)
			first++;
		assert_string_equal(
			x402_default_asset_of(rows[i].network)->address,
			rows[first].address);
	}
}

static void test_each_v1_name_goes_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_text(x402_network_from_v1_name(names[i].name),
			names[i].caip2);
		assert_text(
			x402_network_to_v1_name(names[i].caip2), names[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_asset_is_as_the_protocol_has_it),
		cmocka_unit_test(test_default_is_the_first_of_a_network),
		cmocka_unit_test(test_each_v1_name_goes_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
