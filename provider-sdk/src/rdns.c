/*
 * rdns.c: first the names of the address, then each of them for the address,
 * until one has it. Then x402__rdns_memory, a table of sets of a few places, in
 * which what ends first gives way.
 */
#include "rdns_p.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

/* How long a name is believed, whatever its TTL: no query for each request of
 * a crawler whose TTL is 0, and not for ever. */
#define LIFE_MIN_S     60
#define LIFE_MAX_S     3600
#define LIFE_NONE_S    600
#define LIFE_FAILURE_S 30
#define WAYS           8

bool x402__rdns_begin(const char *address, struct x402__rdns *ret_lookup)
{
	memset(ret_lookup, 0, sizeof(*ret_lookup));
	ret_lookup->type = X402__DNS_PTR;
	ret_lookup->ttl_s = LIFE_MAX_S;
	if (inet_pton(AF_INET, address, ret_lookup->ip16 + 12) == 1)
		memset(ret_lookup->ip16 + 10, 0xff, 2);
	else if (inet_pton(AF_INET6, address, ret_lookup->ip16) != 1)
		return false;
	x402__dns_reverse(ret_lookup->ip16, ret_lookup->asked);
	return true;
}

size_t x402__rdns_question(const struct x402__rdns *lookup, uint16_t id,
	uint8_t ret_message[X402__DNS_MESSAGE_SIZE])
{
	return x402__dns_write(id, lookup->asked, lookup->type, ret_message);
}

/* The next name of the address, or the end. */
static enum x402__rdns_step ask_next(struct x402__rdns *lookup)
{
	uint8_t scratch[X402__DNS_MESSAGE_SIZE];

	for (; lookup->at < lookup->names_len; lookup->at++) {
		const char *name = lookup->names[lookup->at];

		if (!x402__dns_write(0, name, lookup->type, scratch))
			continue; /* no name that can be asked for */
		snprintf(lookup->asked, sizeof(lookup->asked), "%s", name);
		return X402__RDNS_ASK;
	}
	return lookup->failed ? X402__RDNS_FAILED : X402__RDNS_NAMELESS;
}

static enum x402__rdns_step take_names(
	struct x402__rdns *lookup, const struct x402__dns_answer *answer)
{
	memcpy(lookup->names, answer->names, sizeof(lookup->names));
	lookup->names_len = answer->names_len;
	lookup->type = x402__dns_is_v4(lookup->ip16) ? X402__DNS_A
						     : X402__DNS_AAAA;
	return ask_next(lookup);
}

static bool has_address(
	const struct x402__rdns *lookup, const struct x402__dns_answer *answer)
{
	for (size_t i = 0; i < answer->addresses_len; i++)
		if (memcmp(answer->addresses[i], lookup->ip16, 16) == 0)
			return true;
	return false;
}

static enum x402__rdns_step next_after_failure(struct x402__rdns *lookup)
{
	if (lookup->type == X402__DNS_PTR)
		return X402__RDNS_FAILED;
	lookup->failed = true;
	lookup->at++;
	return ask_next(lookup);
}

enum x402__rdns_step x402__rdns_answered(
	struct x402__rdns *lookup, uint16_t id, struct x402_span message)
{
	struct x402__dns_answer answer;

	switch (x402__dns_read(
		message, id, lookup->asked, lookup->type, &answer)) {
	case X402__DNS_STRAY:
		return X402__RDNS_WAIT;
	case X402__DNS_FAILED:
		return next_after_failure(lookup);
	case X402__DNS_NOTHING:
		if (lookup->type == X402__DNS_PTR)
			return X402__RDNS_NAMELESS;
		lookup->at++;
		return ask_next(lookup);
	case X402__DNS_FOUND:
		break;
	}
	if (answer.ttl_s < lookup->ttl_s)
		lookup->ttl_s = answer.ttl_s;
	if (lookup->type == X402__DNS_PTR)
		return take_names(lookup, &answer);
	if (!has_address(lookup, &answer)) {
		lookup->at++;
		return ask_next(lookup);
	}
	memcpy(lookup->name, lookup->names[lookup->at], sizeof(lookup->name));
	return X402__RDNS_NAMED;
}

enum x402__rdns_step x402__rdns_unanswered(struct x402__rdns *lookup)
{
	return next_after_failure(lookup);
}

/* ---- The memory. ---- */

struct place {
	uint8_t ip16[16];
	uint64_t until_unix_s; /* 0: free */
	char name[X402__DNS_NAME_SIZE];
};

struct x402__rdns_memory {
	uint64_t seed;
	struct place places[X402__RDNS_MEMORY_MAX];
};

struct x402__rdns_memory *x402__rdns_memory_new(uint64_t seed)
{
	struct x402__rdns_memory *names = calloc(1, sizeof(*names));

	if (names)
		names->seed = seed;
	return names;
}

void x402__rdns_memory_free(struct x402__rdns_memory *names)
{
	free(names);
}

/* Where the set of an address begins: FNV-1a, begun at the seed, whose upper
 * half is then mixed into the lower one. */
static size_t set_of(
	const struct x402__rdns_memory *names, const uint8_t ip16[16])
{
	uint64_t hash = names->seed ^ 0xcbf29ce484222325u;

	for (size_t i = 0; i < 16; i++)
		hash = (hash ^ ip16[i]) * 0x100000001b3u;
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
	return (hash >> 33) % (X402__RDNS_MEMORY_MAX / WAYS) * WAYS;
}

bool x402__rdns_memory_find(const struct x402__rdns_memory *names,
	const uint8_t ip16[16], uint64_t now_unix_s, const char **ret_name)
{
	const struct place *set = names->places + set_of(names, ip16);

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].until_unix_s > now_unix_s &&
			memcmp(set[i].ip16, ip16, 16) == 0) {
			*ret_name = set[i].name;
			return true;
		}
	return false;
}

static uint64_t life_s(
	const struct x402__rdns *lookup, enum x402__rdns_step step)
{
	if (step != X402__RDNS_NAMED)
		return step == X402__RDNS_NAMELESS ? LIFE_NONE_S
						   : LIFE_FAILURE_S;
	if (lookup->ttl_s < LIFE_MIN_S)
		return LIFE_MIN_S;
	return lookup->ttl_s < LIFE_MAX_S ? lookup->ttl_s : LIFE_MAX_S;
}

void x402__rdns_memory_keep(struct x402__rdns_memory *names,
	const struct x402__rdns *lookup, enum x402__rdns_step step,
	uint64_t now_unix_s)
{
	struct place *set = names->places + set_of(names, lookup->ip16);
	struct place *place = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (memcmp(set[i].ip16, lookup->ip16, 16) == 0) {
			place = &set[i];
			break;
		}
		if (set[i].until_unix_s < place->until_unix_s)
			place = &set[i];
	}
	memcpy(place->ip16, lookup->ip16, 16);
	memcpy(place->name, step == X402__RDNS_NAMED ? lookup->name : "",
		step == X402__RDNS_NAMED ? sizeof(place->name) : 1);
	place->until_unix_s = now_unix_s + life_s(lookup, step);
}
