/*
 * Facts of assets in a ring, and accounts without code in a table where each
 * has a few places, by a hash that strangers cannot foresee.
 */
#include "chain/facts_p.h"

#include <sodium.h>
#include <stdlib.h>

/* How long facts of an asset are believed. */
#define ASSET_LIFETIME_MS ((uint64_t)10 * 60 * 1000)
/* Assets that one chain's payments use; the oldest makes room. */
#define ASSETS_MAX 64
/* An ABI string of up to 96 bytes; a longer name is asked every time. */
#define FACT_BYTES_MAX 160
/* Of so many accounts each worker knows that they had no code of late. */
#define ACCOUNTS            2048
#define PLACES              4 /* that one may have */
#define ACCOUNT_LIFETIME_MS ((uint64_t)10 * 60 * 1000)

struct asset {
	struct x402_address address;
	uint64_t until_ms[FAC_FACT_VERSION + 1];
	size_t len[FAC_FACT_VERSION + 1];
	uint8_t bytes[FAC_FACT_VERSION + 1][FACT_BYTES_MAX];
};

/* until_ms 0: nobody. */
struct account {
	struct x402_address address;
	uint64_t until_ms;
};

struct fac_facts {
	struct asset assets[ASSETS_MAX];
	size_t assets_len; /* counts on; the ring holds the last */
	struct account accounts[ACCOUNTS];
	uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];
};

struct fac_facts *fac_facts_new(void)
{
	struct fac_facts *facts = calloc(1, sizeof(*facts));

	if (facts)
		randombytes_buf(facts->key, sizeof(facts->key));
	return facts;
}

void fac_facts_free(struct fac_facts *facts)
{
	free(facts);
}

enum fac_fact fac_fact_of(const struct x402_chain_read *read,
	const struct fac_chain_read_options *options)
{
	static const uint8_t name[4] = {0x06, 0xfd, 0xde, 0x03};
	static const uint8_t version[4] = {0x54, 0xfd, 0x4d, 0x50};

	if (!options->cacheable || options->block != FAC_CHAIN_LATEST ||
		!x402_address_equal(options->cacheable, &read->to))
		return FAC_FACT_NONE;
	if (read->kind == X402_READ_CODE)
		return FAC_FACT_CODE;
	if (read->needs_sender || read->data.len != 4)
		return FAC_FACT_NONE;
	if (memcmp(read->data.ptr, name, 4) == 0)
		return FAC_FACT_NAME;
	return memcmp(read->data.ptr, version, 4) == 0 ? FAC_FACT_VERSION
						       : FAC_FACT_NONE;
}

/* ---- Assets. ---- */

/* Its place in the ring, or ASSETS_MAX. */
static size_t find(
	const struct fac_facts *facts, const struct x402_address *address)
{
	size_t len = facts->assets_len < ASSETS_MAX ? facts->assets_len
						    : ASSETS_MAX;

	for (size_t i = 0; i < len; i++)
		if (x402_address_equal(&facts->assets[i].address, address))
			return i;
	return ASSETS_MAX;
}

bool fac_facts_get(const struct fac_facts *facts,
	const struct x402_address *asset, enum fac_fact fact, uint64_t now_ms,
	struct x402_span *ret_bytes)
{
	size_t at = find(facts, asset);

	if (at == ASSETS_MAX || facts->assets[at].until_ms[fact] <= now_ms)
		return false;
	*ret_bytes = x402_span(
		facts->assets[at].bytes[fact], facts->assets[at].len[fact]);
	return true;
}

void fac_facts_put(struct fac_facts *facts, const struct x402_address *asset,
	enum fac_fact fact, struct x402_span bytes, uint64_t now_ms)
{
	size_t at = find(facts, asset);

	/* No code is no fact: it may come with the next block. */
	if (!bytes.len)
		return;
	if (fact == FAC_FACT_CODE)
		bytes = x402_span("", 1);
	if (bytes.len > FACT_BYTES_MAX)
		return;
	if (at == ASSETS_MAX) {
		at = facts->assets_len++ % ASSETS_MAX;
		facts->assets[at] = (struct asset){.address = *asset};
	}
	memcpy(facts->assets[at].bytes[fact], bytes.ptr, bytes.len);
	facts->assets[at].len[fact] = bytes.len;
	facts->assets[at].until_ms[fact] = now_ms + ASSET_LIFETIME_MS;
}

/* ---- Accounts. ---- */

/* The first of its places. */
static size_t places_of(
	const struct fac_facts *facts, const struct x402_address *account)
{
	uint8_t hash[crypto_shorthash_siphashx24_BYTES];

	(void)crypto_shorthash_siphashx24(
		hash, account->bytes, sizeof(account->bytes), facts->key);
	return PLACES *
		((hash[0] | (size_t)hash[1] << 8) % (ACCOUNTS / PLACES));
}

/* Where it stands, or ACCOUNTS. */
static size_t find_account(
	const struct fac_facts *facts, const struct x402_address *account)
{
	size_t first = places_of(facts, account);

	for (size_t i = first; i < first + PLACES; i++)
		if (facts->accounts[i].until_ms &&
			x402_address_equal(
				&facts->accounts[i].address, account))
			return i;
	return ACCOUNTS;
}

/* Of its places the one that is free, or was filled first. */
static size_t make_room(
	const struct fac_facts *facts, const struct x402_address *account)
{
	size_t first = places_of(facts, account);
	size_t oldest = first;

	for (size_t i = first; i < first + PLACES; i++)
		if (facts->accounts[i].until_ms <
			facts->accounts[oldest].until_ms)
			oldest = i;
	return oldest;
}

bool fac_facts_has_no_code(const struct fac_facts *facts,
	const struct x402_address *account, uint64_t now_ms)
{
	size_t at = find_account(facts, account);

	return at < ACCOUNTS && facts->accounts[at].until_ms > now_ms;
}

void fac_facts_put_code(struct fac_facts *facts,
	const struct x402_address *account, bool has_code, uint64_t now_ms)
{
	size_t at = find_account(facts, account);

	if (has_code && at < ACCOUNTS)
		facts->accounts[at].until_ms = 0;
	if (has_code)
		return;
	if (at == ACCOUNTS)
		at = make_room(facts, account);
	facts->accounts[at] = (struct account){
		*account, now_ms + ACCOUNT_LIFETIME_MS};
}
