/*
 * EIP-712 hashing of a domain and of the final digest. The type string of a
 * domain names only the members it has, so it is put together here; structs
 * hash themselves (eip3009.c).
 */
#include "x402/eip712.h"

static void add_word_u64(struct x402_keccak *keccak, uint64_t value)
{
	uint8_t word[32] = {0};

	for (int i = 0; i < 8; i++)
		word[31 - i] = (uint8_t)(value >> 8 * i);
	x402_keccak_update(keccak, x402_span(word, 32));
}

static void add_string_hash(struct x402_keccak *keccak, const char *text)
{
	uint8_t hash[32];

	x402_keccak256(x402_span_str(text), hash);
	x402_keccak_update(keccak, x402_span(hash, 32));
}

static void type_hash(
	const struct x402_eip712_domain *domain, uint8_t ret_hash32[32])
{
	struct x402_keccak keccak;

	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span_str("EIP712Domain(string name,"));
	if (domain->version)
		x402_keccak_update(&keccak, x402_span_str("string version,"));
	x402_keccak_update(&keccak, x402_span_str("uint256 chainId"));
	if (domain->verifying_contract)
		x402_keccak_update(
			&keccak, x402_span_str(",address verifyingContract"));
	x402_keccak_update(&keccak, x402_span_str(")"));
	x402_keccak_final(&keccak, ret_hash32);
}

void x402_eip712_domain_separator(
	const struct x402_eip712_domain *domain, uint8_t ret_hash32[32])
{
	struct x402_keccak keccak;
	uint8_t word[32];

	type_hash(domain, word);
	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span(word, 32));
	add_string_hash(&keccak, domain->name);
	if (domain->version)
		add_string_hash(&keccak, domain->version);
	add_word_u64(&keccak, domain->chain_id);
	if (domain->verifying_contract) {
		memset(word, 0, 12);
		memcpy(word + 12, domain->verifying_contract->bytes, 20);
		x402_keccak_update(&keccak, x402_span(word, 32));
	}
	x402_keccak_final(&keccak, ret_hash32);
}

/*
 * The whole domain is compared, so a hit is the separator of this very
 * domain and of no other. Domains without a version or a contract, or with
 * long texts, are not kept.
 */
static bool fits_cache(const struct x402_eip712_domain *domain)
{
	return domain->version && domain->verifying_contract &&
		strlen(domain->name) < X402_EIP712_CACHE_TEXT_SIZE &&
		strlen(domain->version) < X402_EIP712_CACHE_TEXT_SIZE;
}

static bool find_cached(const struct x402_eip712_cache *cache,
	const struct x402_eip712_domain *domain, uint8_t ret_hash32[32])
{
	for (size_t i = 0; i < X402_EIP712_CACHE_MAX; i++) {
		if (!cache->entries[i].used ||
			cache->entries[i].chain_id != domain->chain_id ||
			!x402_address_equal(
				&cache->entries[i].verifying_contract,
				domain->verifying_contract) ||
			strcmp(cache->entries[i].name, domain->name) != 0 ||
			strcmp(cache->entries[i].version, domain->version) != 0)
			continue;
		memcpy(ret_hash32, cache->entries[i].separator32, 32);
		return true;
	}
	return false;
}

static void remember(struct x402_eip712_cache *cache,
	const struct x402_eip712_domain *domain, const uint8_t hash32[32])
{
	size_t i = cache->next;

	memcpy(cache->entries[i].name, domain->name, strlen(domain->name) + 1);
	memcpy(cache->entries[i].version, domain->version,
		strlen(domain->version) + 1);
	cache->entries[i].chain_id = domain->chain_id;
	cache->entries[i].verifying_contract = *domain->verifying_contract;
	memcpy(cache->entries[i].separator32, hash32, 32);
	cache->entries[i].used = true;
	cache->next = (i + 1) % X402_EIP712_CACHE_MAX;
}

void x402_eip712_domain_separator_cached(struct x402_eip712_cache *cache,
	const struct x402_eip712_domain *domain, uint8_t ret_hash32[32])
{
	bool keep = cache && fits_cache(domain);

	if (keep && find_cached(cache, domain, ret_hash32))
		return;
	x402_eip712_domain_separator(domain, ret_hash32);
	if (keep)
		remember(cache, domain, ret_hash32);
}

void x402_eip712_digest(const uint8_t domain_separator32[32],
	const uint8_t struct_hash32[32], uint8_t ret_hash32[32])
{
	uint8_t preimage[66] = {0x19, 0x01};

	memcpy(preimage + 2, domain_separator32, 32);
	memcpy(preimage + 34, struct_hash32, 32);
	x402_keccak256(x402_span(preimage, sizeof(preimage)), ret_hash32);
}
