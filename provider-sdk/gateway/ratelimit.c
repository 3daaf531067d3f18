/*
 * ratelimit.c: a table of sets, of a few places each. A key's hash says its
 * set, find() its place there, make_room() forgets the quietest one.
 *
 * Counting is by two windows, the current one and the one before, of which the
 * share counts that the sliding window still covers: fits().
 *
 * The set's floor is what keeps forgetting honest. It is, for both windows, the
 * highest count that was forgotten in this set; newcomers begin there. So a key
 * that was forgotten and comes back is never counted lower than it was.
 */
#include "ratelimit.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "x402/evm.h"

#define WAYS 8

/* Counts of two windows; window is the number of the current one. */
struct counts {
	uint64_t window;
	uint32_t now;
	uint32_t before;
};

struct place {
	uint8_t id[16]; /* hash of the key */
	struct counts counts;
};

struct set {
	struct counts floor;
	struct place places[WAYS];
};

struct gw_rate {
	uint32_t requests;
	uint32_t window_ms;
	uint64_t last_ms; /* the latest time seen */
	uint8_t secret32[32];
	size_t sets_len; /* a power of two */
	struct set sets[];
};

enum x402_err gw_rate_new(
	const struct gw_rate_options *options, struct gw_rate **ret_rate)
{
	size_t wanted = options->keys_max ? options->keys_max : GW_RATE_KEYS;
	size_t sets = 1;
	struct gw_rate *rate;

	if (options->requests < 1 || options->requests > GW_RATE_REQUESTS_MAX ||
		options->window_ms < 1 ||
		options->window_ms > GW_RATE_WINDOW_MAX_MS ||
		wanted > GW_RATE_KEYS_MAX)
		return X402_ERR_INVALID_ARGUMENT;
	while (sets * WAYS < wanted)
		sets *= 2;
	/* Zero pages cost nothing until they are written to. */
	rate = calloc(1, sizeof(*rate) + sets * sizeof(rate->sets[0]));
	if (!rate)
		return X402_ERR_NOMEM;
	rate->requests = options->requests;
	rate->window_ms = options->window_ms;
	memcpy(rate->secret32, options->secret32, sizeof(rate->secret32));
	rate->sets_len = sets;
	*ret_rate = rate;
	return X402_OK;
}

void gw_rate_free(struct gw_rate *rate)
{
	free(rate);
}

/* ---- Windows. ---- */

static void advance(struct counts *counts, uint64_t window)
{
	if (window <= counts->window)
		return;
	counts->before = window == counts->window + 1 ? counts->now : 0;
	counts->now = 0;
	counts->window = window;
}

static void raise_to(struct counts *counts, const struct counts *other)
{
	if (counts->now < other->now)
		counts->now = other->now;
	if (counts->before < other->before)
		counts->before = other->before;
}

/* What the sliding window holds, rounded up. left_ms: of the window before,
 * still within reach. */
static uint64_t weight(const struct gw_rate *rate, const struct counts *counts,
	uint64_t left_ms)
{
	/* Both below 2^32: no overflow. */
	uint64_t share = (uint64_t)counts->before * left_ms;

	return counts->now + (share + rate->window_ms - 1) / rate->window_ms;
}

/* How much of a window's reach must be gone for count requests of it to leave
 * room for one more, beside others. */
static uint64_t wait_for_share(
	const struct gw_rate *rate, uint64_t count, uint64_t others)
{
	uint64_t room = rate->requests - 1 - others;

	if (count <= room)
		return 0;
	return rate->window_ms - room * rate->window_ms / count;
}

static uint32_t retry_ms(const struct gw_rate *rate,
	const struct counts *counts, uint64_t gone_ms)
{
	uint64_t at;

	if (counts->now < rate->requests)
		at = wait_for_share(rate, counts->before, counts->now);
	else
		/* Not in this window; this one is the next one's before. */
		at = rate->window_ms + wait_for_share(rate, counts->now, 0);
	return at > gone_ms ? (uint32_t)(at - gone_ms) : 1;
}

/* ---- Places. ---- */

static void hash_key(const struct gw_rate *rate, struct x402_span key,
	uint8_t ret_hash32[32])
{
	uint8_t both[64];

	memcpy(both, rate->secret32, 32);
	x402_keccak256(key, both + 32);
	x402_keccak256(x402_span(both, sizeof(both)), ret_hash32);
}

static bool is_free(const struct place *place)
{
	return !place->counts.now && !place->counts.before;
}

static struct place *make_room(
	const struct gw_rate *rate, struct set *set, uint64_t left_ms)
{
	struct place *quietest = &set->places[0];

	for (size_t i = 0; i < WAYS; i++) {
		struct place *place = &set->places[i];

		if (is_free(place))
			return place;
		if (weight(rate, &place->counts, left_ms) <
			weight(rate, &quietest->counts, left_ms))
			quietest = place;
	}
	raise_to(&set->floor, &quietest->counts);
	return quietest;
}

static struct place *find(struct set *set, const uint8_t *id, uint64_t window)
{
	struct place *found = NULL;

	advance(&set->floor, window);
	for (size_t i = 0; i < WAYS; i++) {
		struct place *place = &set->places[i];

		advance(&place->counts, window);
		/* A free place keeps the name of who had it. */
		if (!is_free(place) &&
			memcmp(place->id, id, sizeof(place->id)) == 0)
			found = place;
	}
	return found;
}

bool gw_rate_take(struct gw_rate *rate, struct x402_span key, uint64_t now_ms,
	uint32_t *ret_retry_ms)
{
	uint8_t hash32[32];
	struct set *set;
	struct place *place;
	struct counts counts;
	uint64_t at;
	uint64_t gone_ms;
	uint64_t window;

	if (now_ms > rate->last_ms)
		rate->last_ms = now_ms;
	window = rate->last_ms / rate->window_ms;
	gone_ms = rate->last_ms % rate->window_ms;
	hash_key(rate, key, hash32);
	memcpy(&at, hash32 + 16, sizeof(at));
	set = &rate->sets[at & (rate->sets_len - 1)];
	place = find(set, hash32, window);
	counts = place ? place->counts : set->floor;
	if (weight(rate, &counts, rate->window_ms - gone_ms) + 1 >
		rate->requests) {
		*ret_retry_ms = retry_ms(rate, &counts, gone_ms);
		return false;
	}
	if (!place) {
		place = make_room(rate, set, rate->window_ms - gone_ms);
		memcpy(place->id, hash32, sizeof(place->id));
		place->counts = set->floor;
		place->counts.window = window;
	}
	place->counts.now++;
	return true;
}

bool gw_rate_address(const char *address, uint8_t ret_key[GW_RATE_ADDRESS_SIZE])
{
	static const uint8_t mapped[12] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	uint8_t ip[16];

	memset(ret_key, 0, GW_RATE_ADDRESS_SIZE);
	if (inet_pton(AF_INET, address, ip) == 1) {
		ret_key[0] = 4;
		memcpy(ret_key + 1, ip, 4);
		return true;
	}
	if (inet_pton(AF_INET6, address, ip) != 1)
		return false;
	/* Two spellings of one IPv4 address. */
	if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
		ret_key[0] = 4;
		memcpy(ret_key + 1, ip + 12, 4);
		return true;
	}
	ret_key[0] = 6;
	memcpy(ret_key + 1, ip, 8);
	return true;
}
