/*
 * names.c: a hash table of names under one lock. Entries whose time is over
 * are dropped when their chain is looked at, and all of them when the table is
 * full, once a second at most.
 */
#include "names_p.h"

#include <pthread.h>
#include <stdlib.h>

#define CHAINS 4096 /* a power of two */

struct entry {
	struct entry *next;
	struct x402_claim_name name;
	struct x402_buf response;
};

struct x402__names {
	pthread_mutex_t lock;
	struct entry *chains[CHAINS];
	size_t count;
	size_t max;
	size_t bytes;
	size_t bytes_max;
	uint64_t swept_unix_s;
};

struct x402__names *x402__names_new(size_t max, size_t bytes_max)
{
	struct x402__names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	pthread_mutex_init(&names->lock, NULL); /* never fails on Linux */
	names->max = max;
	names->bytes_max = bytes_max;
	return names;
}

static void drop(struct x402__names *names, struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	names->count--;
	names->bytes -= entry->response.len;
	x402_buf_clear(&entry->response);
	free(entry);
}

void x402__names_free(struct x402__names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < CHAINS; i++)
		while (names->chains[i])
			drop(names, &names->chains[i]);
	pthread_mutex_destroy(&names->lock);
	free(names);
}

/* The name is a hash already. */
static struct entry **chain_of(
	struct x402__names *names, const uint8_t name32[32])
{
	uint32_t index;

	memcpy(&index, name32, sizeof(index));
	return &names->chains[index & (CHAINS - 1)];
}

static void drop_expired(
	struct x402__names *names, struct entry **at, uint64_t now)
{
	while (*at) {
		if ((*at)->name.until_unix_s < now)
			drop(names, at);
		else
			at = &(*at)->next;
	}
}

static struct entry **find(struct x402__names *names, const uint8_t name32[32])
{
	struct entry **at = chain_of(names, name32);

	while (*at && memcmp((*at)->name.name32, name32, 32) != 0)
		at = &(*at)->next;
	return at;
}

static bool make_room(struct x402__names *names, uint64_t now)
{
	if (names->count < names->max)
		return true;
	if (names->swept_unix_s == now)
		return false;
	names->swept_unix_s = now;
	for (size_t i = 0; i < CHAINS; i++)
		drop_expired(names, &names->chains[i], now);
	return names->count < names->max;
}

bool x402__names_take(struct x402__names *names,
	const struct x402_claim_name *name, uint64_t now_unix_s)
{
	struct entry *entry;
	bool taken = false;

	pthread_mutex_lock(&names->lock);
	drop_expired(names, chain_of(names, name->name32), now_unix_s);
	entry = *find(names, name->name32);
	if (entry) {
		taken = memcmp(entry->name.payment32, name->payment32, 32) == 0;
	} else if (make_room(names, now_unix_s)) {
		entry = calloc(1, sizeof(*entry));
		if (entry) {
			struct entry **chain = chain_of(names, name->name32);

			entry->name = *name;
			entry->next = *chain;
			*chain = entry;
			names->count++;
			taken = true;
		}
	}
	pthread_mutex_unlock(&names->lock);
	return taken;
}

bool x402__names_find(struct x402__names *names, const uint8_t name32[32],
	uint64_t now_unix_s, struct x402_claim_name *ret_name,
	struct x402_buf *ret_response)
{
	const struct entry *entry;

	pthread_mutex_lock(&names->lock);
	drop_expired(names, chain_of(names, name32), now_unix_s);
	entry = *find(names, name32);
	if (entry) {
		*ret_name = entry->name;
		x402_buf_add(ret_response, x402_buf_span(&entry->response));
	}
	pthread_mutex_unlock(&names->lock);
	return entry != NULL;
}

void x402__names_keep(struct x402__names *names, const uint8_t name32[32],
	struct x402_span response)
{
	struct entry *entry;

	pthread_mutex_lock(&names->lock);
	entry = *find(names, name32);
	if (entry && entry->response.len == 0 &&
		names->bytes + response.len <= names->bytes_max) {
		x402_buf_add(&entry->response, response);
		/* Half a response is none. */
		if (entry->response.failed)
			x402_buf_clear(&entry->response);
		names->bytes += entry->response.len;
	}
	pthread_mutex_unlock(&names->lock);
}

void x402__names_drop(struct x402__names *names, const uint8_t name32[32])
{
	struct entry **at;

	pthread_mutex_lock(&names->lock);
	at = find(names, name32);
	if (*at)
		drop(names, at);
	pthread_mutex_unlock(&names->lock);
}
