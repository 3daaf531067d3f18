/*
 * Networks and default assets: the tables of protocol.md section 8, and the
 * CAIP-2 parser. Official rows are what the reference's clients trust by
 * default (C-031); the others must be allowed by the user.
 */
#include "x402/evm.h"
#include "x402/network.h"

static const struct {
	const char *name;
	const char *caip2;
} v1_names[] = {
	{"base", "eip155:8453"},
	{"base-sepolia", "eip155:84532"},
	{"ethereum", "eip155:1"},
	{"sepolia", "eip155:11155111"},
	{"avalanche", "eip155:43114"},
	{"avalanche-fuji", "eip155:43113"},
	{"abstract", "eip155:2741"},
	{"abstract-testnet", "eip155:11124"},
	{"iotex", "eip155:4689"},
	{"sei", "eip155:1329"},
	{"sei-testnet", "eip155:1328"},
	{"polygon", "eip155:137"},
	{"polygon-amoy", "eip155:80002"},
	{"peaq", "eip155:3338"},
	{"story", "eip155:1514"},
	{"educhain", "eip155:41923"},
	{"skale-base-sepolia", "eip155:324705682"},
	{"megaeth", "eip155:4326"},
	{"monad", "eip155:143"},
	{"stable", "eip155:988"},
	{"stable-testnet", "eip155:2201"},
	{"solana", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"},
	{"solana-devnet", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"},
	{"solana-testnet", "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z"},
};

#define E3009 X402_TRANSFER_EIP3009
#define P2    X402_TRANSFER_PERMIT2
#define SPL   X402_TRANSFER_SPL
/* network, address, symbol, name, version, decimals, method, eip2612 */
#define OFFICIAL(n, a, s, dn, dv, d, m, p)           \
	{                                            \
		n, a, s, dn, dv, d, m, p, true, true \
	}
#define UNOFFICIAL(n, a, s, dn, dv, d, m, p)          \
	{                                             \
		n, a, s, dn, dv, d, m, p, false, true \
	}

/* The first row of a network is its default asset. */
static const struct x402_default_asset assets[] = {
	/* 8.2 */
	OFFICIAL("eip155:8453", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
		"USDC", "USD Coin", "2", 6, E3009, true),
	OFFICIAL("eip155:84532", "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
		"USDC", "USDC", "2", 6, E3009, true),
	OFFICIAL("eip155:137", "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
		"USDC", "USD Coin", "2", 6, E3009, true),
	OFFICIAL("eip155:42161", "0xaf88d065e77c8cC2239327C5EDb3A432268e5831",
		"USDC", "USD Coin", "2", 6, E3009, true),
	OFFICIAL("eip155:421614", "0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d",
		"USDC", "USD Coin", "2", 6, E3009, true),
	OFFICIAL("eip155:143", "0x754704Bc059F8C67012fEd69BC8A327a5aafb603",
		"USDC", "USDC", "2", 6, E3009, true),
	OFFICIAL("eip155:4326", "0xFAfDdbb3FC7688494971a79cc65DCa3EF82079E7",
		"MegaUSD", "MegaUSD", "1", 18, P2, true),
	OFFICIAL("eip155:988", "0x779Ded0c9e1022225f8E0630b35a9b54bE713736",
		"USDT0", "USDT0", "1", 6, E3009, false),
	OFFICIAL("eip155:2201", "0x78Cf24370174180738C5B8E352B6D14c83a6c9A9",
		"USDT0", "USDT0", "1", 6, E3009, false),
	OFFICIAL("eip155:31612", "0xdD468A1DDc392dcdbEf6db6e34E89AA338F9F186",
		"MUSD", "Mezo USD", "1", 18, P2, true),
	OFFICIAL("eip155:31611", "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503",
		"MUSD", "Mezo USD", "1", 18, P2, true),
	OFFICIAL("eip155:723487", "0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb",
		"SBC", "Stable Coin", "1", 6, P2, true),
	OFFICIAL("eip155:72344", "0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb",
		"SBC", "Stable Coin", "1", 6, P2, true),
	OFFICIAL("eip155:36900", "0x9cb8142aEBBcdc60AF7c97Af897A67A8f3CA71C2",
		"USDC.e", "USDC.e", "2", 6, E3009, true),
	OFFICIAL("eip155:190415", "0x401eCb1D350407f13ba348573E5630B83638E30D",
		"USDC.e", "Bridged USDC", "2", 6, E3009, true),
	OFFICIAL("eip155:181228", "0x401eCb1D350407f13ba348573E5630B83638E30D",
		"USDC.e", "Bridged USDC", "2", 6, E3009, true),
	OFFICIAL("eip155:50", "0xfA2958CB79b0491CC627c1557F441eF849Ca8eb1",
		"USDC", "USDC", "2", 6, E3009, true),
	OFFICIAL("eip155:51", "0xb5AB69F7bBada22B28e79C8FFAECe55eF1c771D4",
		"USDC", "USDC", "2", 6, E3009, true),
	OFFICIAL("eip155:38833", "0xA5b8BF902b2844dA17d4506cc827F7F1681735E7",
		"USDC", "USDC", "1", 6, P2, false),
	OFFICIAL("eip155:14", "0xe7cd86e13AC4309349F30B3435a9d337750fC82D",
		"USDT0",
		"USD\xe2\x82\xae"
		"0",
		"1", 6, E3009, false),
	OFFICIAL("eip155:42220", "0xcebA9300f2b948710d2653dD7B07f33A8B32118C",
		"USDC", "USDC", "2", 6, E3009, true),
	OFFICIAL("eip155:11142220",
		"0x01C5C0122039549AD1493B8220cABEdD739BC44E", "USDC", "USDC",
		"2", 6, E3009, true),
	OFFICIAL("eip155:1329", "0xe15fC38F6D8c56aF07bbCBe3BAf5708A2Bf42392",
		"USDC", "USDC", "2", 6, E3009, true),
	OFFICIAL("eip155:1328", "0x4fCF1784B31630811181f670Aea7A7bEF803eaED",
		"USDC", "USDC", "2", 6, E3009, true),
	OFFICIAL("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
		"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "USDC", NULL,
		NULL, 6, SPL, false),
	OFFICIAL("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
		"4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", "USDC", NULL,
		NULL, 6, SPL, false),
	OFFICIAL("solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z",
		"4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", "USDC", NULL,
		NULL, 6, SPL, false),
	/* 8.3 */
	UNOFFICIAL("eip155:1", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
		"USDC", "USD Coin", "2", 6, E3009, true),
	UNOFFICIAL("eip155:10", "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85",
		"USDC", "USD Coin", "2", 6, E3009, true),
	UNOFFICIAL("eip155:43114", "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E",
		"USDC", "USD Coin", "2", 6, E3009, true),
	UNOFFICIAL("eip155:43113", "0x5425890298aed601595a70AB815c96711a31Bc65",
		"USDC", "USD Coin", "2", 6, E3009, true),
	UNOFFICIAL("eip155:80002", "0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582",
		"USDC", "USDC", "2", 6, E3009, true),
	/* Test networks that 8.3 has no row for: Circle's, and Binance's own.
	 */
	UNOFFICIAL("eip155:11155111",
		"0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238", "USDC", "USDC",
		"2", 6, E3009, true),
	UNOFFICIAL("eip155:11155420",
		"0x5fd84259d66Cd46123540766Be93DFE6D43130D7", "USDC", "USDC",
		"2", 6, E3009, true),
	UNOFFICIAL("eip155:97", "0x64544969ed7EBf5f083679233325356EbE738930",
		"USDC", NULL, NULL, 18, P2, false),
	UNOFFICIAL("eip155:4689", "0xcdf79194c6c285077a58da47641d4dbe51f63542",
		"USDC.e", "Bridged USDC", "2", 6, E3009, true),
	UNOFFICIAL("eip155:3338", "0xbbA60da06c2c5424f03f7434542280FCAd453d10",
		"USDC", "USDC", "2", 6, E3009, true),
	UNOFFICIAL("eip155:2741", "0x84a71ccd554cc1b02749b35d22f684cc8ec987e1",
		"USDC.e", "Bridged USDC", "2", 6, E3009, true),
	UNOFFICIAL("eip155:11124", "0xe4C7fBB0a626ed208021ccabA6Be1566905E2dFc",
		"USDC.e", "Bridged USDC", "2", 6, E3009, true),
	UNOFFICIAL("eip155:1514", "0xF1815bd50389c46847f0Bda824eC8da914045D14",
		"USDC.e", "Bridged USDC", "2", 6, E3009, true),
	UNOFFICIAL("eip155:41923", "0x12a272A581feE5577A5dFa371afEB4b2F3a8C2F8",
		"USDC.e", "Bridged USDC (Stargate)", "2", 6, E3009, true),
	UNOFFICIAL("eip155:324705682",
		"0x2e08028E3C4c2356572E096d8EF835cD5C6030bD", "USDC.e",
		"Bridged USDC (SKALE Bridge)", "2", 6, E3009, true),
	UNOFFICIAL("eip155:56", "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d",
		"USDC", NULL, NULL, 18, P2, false),
	UNOFFICIAL("eip155:1", "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF",
		"MNEE", NULL, NULL, 18, P2, false),
};
#define ASSETS_LEN (sizeof(assets) / sizeof(assets[0]))

const char *x402_network_from_v1_name(const char *name)
{
	for (size_t i = 0; name && i < sizeof(v1_names) / sizeof(v1_names[0]);
		i++) {
		if (strcmp(v1_names[i].name, name) == 0)
			return v1_names[i].caip2;
	}
	return NULL;
}

const char *x402_network_to_v1_name(const char *caip2)
{
	for (size_t i = 0; caip2 && i < sizeof(v1_names) / sizeof(v1_names[0]);
		i++) {
		if (strcmp(v1_names[i].caip2, caip2) == 0)
			return v1_names[i].name;
	}
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* [-a-z0-9]{3,8}; gives its length, or 0. */
static size_t namespace_length(const char *text)
{
	size_t n = 0;

	while (is_lower(text[n]) || is_digit(text[n]) || text[n] == '-')
		n++;
	return n >= 3 && n <= 8 && text[n] == ':' ? n : 0;
}

/* [-_a-zA-Z0-9]{1,32} to the end of the text. */
static bool is_reference(const char *text)
{
	size_t n = 0;

	while (is_lower(text[n]) || is_upper(text[n]) || is_digit(text[n]) ||
		text[n] == '-' || text[n] == '_')
		n++;
	return n >= 1 && n <= 32 && text[n] == '\0';
}

static enum x402_err chain_id_of(const char *reference, uint64_t *ret_id)
{
	struct x402_u256 value;
	enum x402_err err = x402_u256_from_dec(reference, &value);

	if (err || !x402_u256_to_u64(&value, ret_id) || *ret_id == 0)
		return X402_ERR_SYNTAX;
	return X402_OK;
}

enum x402_err x402_network_parse(
	const char *caip2, struct x402_network *ret_network)
{
	struct x402_network network = {.family = X402_FAMILY_OTHER};
	size_t len;

	if (!caip2)
		return X402_ERR_SYNTAX;
	len = namespace_length(caip2);
	if (len == 0 || !is_reference(caip2 + len + 1))
		return X402_ERR_SYNTAX;
	memcpy(network.caip2, caip2, strlen(caip2));
	if (len == 6 && memcmp(caip2, "eip155", 6) == 0) {
		network.family = X402_FAMILY_EVM;
		if (chain_id_of(caip2 + 7, &network.chain_id) != X402_OK)
			return X402_ERR_SYNTAX;
	} else if (len == 6 && memcmp(caip2, "solana", 6) == 0) {
		network.family = X402_FAMILY_SVM;
	}
	*ret_network = network;
	return X402_OK;
}

bool x402_network_matches(const char *pattern, const char *caip2)
{
	size_t len = strlen(pattern);

	if (len >= 2 && strcmp(pattern + len - 2, ":*") == 0)
		return strncmp(pattern, caip2, len - 1) == 0 &&
			caip2[len - 1] != '\0';
	return strcmp(pattern, caip2) == 0;
}

const struct x402_default_asset *x402_default_asset_of(const char *caip2)
{
	for (size_t i = 0; caip2 && i < ASSETS_LEN; i++) {
		if (strcmp(assets[i].network, caip2) == 0)
			return &assets[i];
	}
	return NULL;
}

static bool same_address(const char *a, const char *b)
{
	struct x402_address x;
	struct x402_address y;

	if (x402_address_parse(a, &x) == X402_OK &&
		x402_address_parse(b, &y) == X402_OK)
		return x402_address_equal(&x, &y);
	return strcmp(a, b) == 0;
}

const struct x402_default_asset *x402_known_asset(
	const char *caip2, const char *address)
{
	for (size_t i = 0; caip2 && address && i < ASSETS_LEN; i++) {
		if (strcmp(assets[i].network, caip2) == 0 &&
			same_address(assets[i].address, address))
			return &assets[i];
	}
	return NULL;
}

const struct x402_default_asset *x402_known_asset_at(size_t index)
{
	return index < ASSETS_LEN ? &assets[index] : NULL;
}
