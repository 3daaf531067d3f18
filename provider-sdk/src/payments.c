/*
 * payments.c: a bounded hash table of payments under one lock.
 *
 * An entry lives until its payment can no longer be settled, and is never
 * evicted to make room: a replay store that forgets under load is none
 * (demands.md F2). When all places are taken by living entries, new payments
 * are turned away before money moves.
 */
#include "payments_p.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * A payment valid for years must not hold its place that long: after a day the
 * chain's own record of its nonce is beyond any reorganisation.
 */
#define LIFE_MAX_S ((uint64_t)24 * 60 * 60)
/* Clocks of facilitator and chain may be behind ours. */
#define LIFE_MARGIN_S ((uint64_t)10 * 60)
/* Entries for each chain of the table when it is full. */
#define LOAD 4

enum state { FRESH, UNKNOWN, PAID, SPENT };

struct entry {
	struct entry *next;
	struct x402_claim_key key;
	uint64_t expires_unix_s;
	enum state state;
	bool busy; /* a request holds it; then it does not expire either */
	char *receipt;
	struct x402_claim_note *note; /* NULL: never asked to settle */
};

struct x402__payments {
	pthread_mutex_t lock;
	struct entry **chains;
	size_t chains_len; /* a power of two */
	size_t count;
	size_t max;
	uint64_t swept_unix_s;
};

struct x402__payments *x402__payments_new(size_t max)
{
	struct x402__payments *payments = calloc(1, sizeof(*payments));
	size_t chains = 16;

	if (!payments)
		return NULL;
	while (chains < max / LOAD)
		chains *= 2;
	payments->chains = calloc(chains, sizeof(*payments->chains));
	if (!payments->chains ||
		pthread_mutex_init(&payments->lock, NULL) != 0) {
		free(payments->chains);
		free(payments);
		return NULL;
	}
	payments->chains_len = chains;
	payments->max = max;
	return payments;
}

static void entry_free(struct entry *entry)
{
	free(entry->receipt);
	free(entry->note);
	free(entry);
}

void x402__payments_free(struct x402__payments *payments)
{
	if (!payments)
		return;
	for (size_t i = 0; i < payments->chains_len; i++)
		while (payments->chains[i]) {
			struct entry *entry = payments->chains[i];

			payments->chains[i] = entry->next;
			entry_free(entry);
		}
	pthread_mutex_destroy(&payments->lock);
	free(payments->chains);
	free(payments);
}

/* The key is a hash already. */
static struct entry **chain_of(
	struct x402__payments *payments, const struct x402_claim_key *key)
{
	size_t index;

	memcpy(&index, key->payment32, sizeof(index));
	return &payments->chains[index & (payments->chains_len - 1)];
}

static struct entry **find(
	struct x402__payments *payments, const struct x402_claim_key *key)
{
	struct entry **at = chain_of(payments, key);

	while (*at && memcmp((*at)->key.payment32, key->payment32, 32) != 0)
		at = &(*at)->next;
	return at;
}

static void drop(struct x402__payments *payments, struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	entry_free(entry);
	payments->count--;
}

static void drop_expired(
	struct x402__payments *payments, struct entry **at, uint64_t now)
{
	while (*at) {
		if (!(*at)->busy && (*at)->expires_unix_s < now)
			drop(payments, at);
		else
			at = &(*at)->next;
	}
}

/* A full table is walked once in a second at most, not for each request. */
static bool make_room(struct x402__payments *payments, uint64_t now)
{
	if (payments->count < payments->max)
		return true;
	if (payments->swept_unix_s == now)
		return false;
	payments->swept_unix_s = now;
	for (size_t i = 0; i < payments->chains_len; i++)
		drop_expired(payments, &payments->chains[i], now);
	return payments->count < payments->max;
}

static enum x402_claim claim_new(struct x402__payments *payments,
	const struct x402_claim_key *key, uint64_t expires, uint64_t now)
{
	struct entry **chain = chain_of(payments, key);
	struct entry *entry;

	if (!make_room(payments, now))
		return X402_CLAIM_FULL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return X402_CLAIM_FULL;
	entry->key = *key;
	if (expires > now + LIFE_MAX_S)
		expires = now + LIFE_MAX_S;
	entry->expires_unix_s = expires + LIFE_MARGIN_S;
	entry->state = FRESH;
	entry->busy = true;
	entry->next = *chain;
	*chain = entry;
	payments->count++;
	return X402_CLAIM_NEW;
}

static enum x402_claim claim_again(
	struct entry *entry, const struct x402_claim_key *key)
{
	bool same = memcmp(entry->key.request32, key->request32, 32) == 0;

	if (entry->busy)
		return X402_CLAIM_BUSY;
	/* One payment buys one request: the money of another is not for this
	 * one, whatever became of it (attack 37). */
	if (!same || entry->state == SPENT || entry->state == FRESH)
		return X402_CLAIM_SPENT;
	entry->busy = true;
	return entry->state == PAID ? X402_CLAIM_PAID : X402_CLAIM_UNKNOWN;
}

enum x402_claim x402__payments_claim(struct x402__payments *payments,
	const struct x402_claim_key *key, uint64_t expires_unix_s,
	uint64_t now_unix_s, char **ret_receipt)
{
	enum x402_claim claim;
	struct entry *entry;

	*ret_receipt = NULL;
	pthread_mutex_lock(&payments->lock);
	drop_expired(payments, chain_of(payments, key), now_unix_s);
	entry = *find(payments, key);
	claim = entry ? claim_again(entry, key)
		      : claim_new(payments, key, expires_unix_s, now_unix_s);
	if (entry && entry->receipt && !(claim == X402_CLAIM_BUSY) &&
		memcmp(entry->key.request32, key->request32, 32) == 0)
		*ret_receipt = strdup(entry->receipt);
	pthread_mutex_unlock(&payments->lock);
	return claim;
}

bool x402__payments_note(struct x402__payments *payments,
	const struct x402_claim_key *key, const struct x402_claim_note *note)
{
	struct x402_claim_note *copy = malloc(sizeof(*copy));
	struct entry *entry;

	if (!copy)
		return false;
	*copy = *note;
	pthread_mutex_lock(&payments->lock);
	entry = *find(payments, key);
	if (entry) {
		free(entry->note);
		entry->note = copy;
	} else {
		free(copy);
	}
	pthread_mutex_unlock(&payments->lock);
	return entry != NULL;
}

bool x402__payments_recall(struct x402__payments *payments,
	const struct x402_claim_key *key, struct x402_claim_note *ret_note)
{
	struct entry *entry;
	bool found;

	pthread_mutex_lock(&payments->lock);
	entry = *find(payments, key);
	found = entry && entry->note &&
		memcmp(entry->key.request32, key->request32, 32) == 0;
	if (found)
		*ret_note = *entry->note;
	pthread_mutex_unlock(&payments->lock);
	return found;
}

void x402__payments_end(struct x402__payments *payments,
	const struct x402_claim_key *key, enum x402_claim_end end,
	const char *receipt)
{
	struct entry **at;

	pthread_mutex_lock(&payments->lock);
	at = find(payments, key);
	if (*at && end == X402_CLAIM_END_FORGET) {
		drop(payments, at);
	} else if (*at) {
		struct entry *entry = *at;

		entry->busy = false;
		entry->state = end == X402_CLAIM_END_UNKNOWN ? UNKNOWN
			: end == X402_CLAIM_END_PAID         ? PAID
							     : SPENT;
		if (receipt && !entry->receipt)
			entry->receipt = strdup(receipt);
	}
	pthread_mutex_unlock(&payments->lock);
}
