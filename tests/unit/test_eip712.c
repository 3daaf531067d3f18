/* Domains with and without version and contract, against golden values. */
#include "cmocka_house.h"
#include "x402/eip712.h"

static const struct {
	const char *name;
	const char *version;
	uint64_t chain_id;
	const char *contract;
	const char *separator;
} domains[] = {
	{"USDC", "2", 84532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
		"0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c"
		"9818"},
	{"USD Coin", "2", 8453, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
		"0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7"
		"834f"},
	{"Permit2", NULL, 1, "0x000000000022D473030F116dDEE9F6B43aC78BA3",
		"0x866a5aba21966af95d6c7ab78eb2b2fc913915c28be3b9aa07cc04ff903e"
		"3f28"},
	{"Permit2", NULL, 84532, "0x000000000022D473030F116dDEE9F6B43aC78BA3",
		"0x010f27a92fb9a32622f44f001dc4d15706a85b33499cfc2ce9033113ab26"
		"592c"},
	{"x402 offer", "1", 1, NULL,
		"0x5dc92544087ab60aa57c539b9543f9282416b0dcf2c2ae0d4d0051052a9e"
		"61b6"},
};

static void test_domain_separator_equals_golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(domains); i++) {
		struct x402_address contract;
		struct x402_eip712_domain domain = {.name = domains[i].name,
			.version = domains[i].version,
			.chain_id = domains[i].chain_id};
		uint8_t separator[32];

		if (domains[i].contract) {
			hex_fixed(domains[i].contract, contract.bytes, 20);
			domain.verifying_contract = &contract;
		}
		x402_eip712_domain_separator(&domain, separator);
		assert_hex(separator, 32, domains[i].separator);
	}
}

static void test_domain_separator_depends_on_every_member(void **state)
{
	struct x402_address contract = {{1}};
	struct x402_address other = {{2}};
	struct x402_eip712_domain base = {.name = "USDC",
		.version = "2",
		.chain_id = 84532,
		.verifying_contract = &contract};
	struct x402_eip712_domain changed[5] = {base, base, base, base, base};
	uint8_t expected[32];
	uint8_t separator[32];

	(void)state;
	changed[0].name = "USD Coin";
	changed[1].version = "1";
	changed[2].chain_id = 8453;
	changed[3].verifying_contract = &other;
	changed[4].version = NULL;
	x402_eip712_domain_separator(&base, expected);
	for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
		x402_eip712_domain_separator(&changed[i], separator);
		assert_memory_not_equal(separator, expected, 32);
	}
}

/* Twice through a cache that is too small for all, so hits and misses mix. */
static void test_cached_separator_is_the_same(void **state)
{
	struct x402_eip712_cache cache = {0};
	struct x402_address contract = {{7}};
	struct x402_eip712_domain domain = {.name = "USDC",
		.version = "2",
		.verifying_contract = &contract};
	uint8_t expected[32];
	uint8_t separator[32];

	(void)state;
	for (uint64_t i = 0; i < 4 * X402_EIP712_CACHE_MAX; i++) {
		domain.chain_id = i % (X402_EIP712_CACHE_MAX + 1);
		x402_eip712_domain_separator(&domain, expected);
		for (int round = 0; round < 2; round++) {
			memset(separator, 0, 32);
			x402_eip712_domain_separator_cached(
				&cache, &domain, separator);
			assert_memory_equal(separator, expected, 32);
		}
	}
	x402_eip712_domain_separator_cached(NULL, &domain, separator);
	assert_memory_equal(separator, expected, 32);
}

/* A neighbour of what is cached is not what is cached. */
static void test_cached_separator_depends_on_every_member(void **state)
{
	struct x402_eip712_cache cache = {0};
	struct x402_address contract = {{1}};
	struct x402_address other = {{2}};
	struct x402_eip712_domain base = {.name = "USDC",
		.version = "2",
		.chain_id = 84532,
		.verifying_contract = &contract};
	struct x402_eip712_domain changed[8] = {
		base, base, base, base, base, base, base, base};
	uint8_t expected[32];
	uint8_t separator[32];

	(void)state;
	changed[0].name = "USDCx";
	changed[1].version = "20";
	changed[2].chain_id = 8453;
	changed[3].verifying_contract = &other;
	changed[4].version = NULL;
	changed[5].verifying_contract = NULL;
	changed[6].name =
		"a name that is much longer than what the cache keeps";
	changed[7].name = "USD";
	x402_eip712_domain_separator_cached(&cache, &base, separator);
	for (size_t i = 0; i < 2 * ARRAY_LEN(changed); i++) {
		const struct x402_eip712_domain *domain =
			&changed[i % ARRAY_LEN(changed)];

		x402_eip712_domain_separator(domain, expected);
		x402_eip712_domain_separator_cached(&cache, domain, separator);
		assert_memory_equal(separator, expected, 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domain_separator_equals_golden),
		cmocka_unit_test(test_domain_separator_depends_on_every_member),
		cmocka_unit_test(test_cached_separator_is_the_same),
		cmocka_unit_test(test_cached_separator_depends_on_every_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
