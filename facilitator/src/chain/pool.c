/*
 * Which endpoint to ask. An endpoint that is up costs nothing; one that lags
 * behind the best or failed last time costs as much as a wait of its penalty,
 * one that has to wait (Retry-After, an empty token bucket) costs that wait.
 * The cheapest is asked, in the order of the configuration among equals. So a
 * bad endpoint is passed over while a better one is there, and still asked
 * when there is nobody else.
 *
 * One that serves another chain is not chosen, and one that has not said so
 * yet, or failed since, is asked that first: its nonces and states would be
 * taken for ours. rpc.c waits for its word.
 *
 * Heads are asked for in rounds, all endpoints at the same moment: numbers of
 * different moments say nothing about who lags.
 */
#include "chain/pool_p.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

/* What an endpoint's trouble is worth in waiting for another. */
#define LAG_PENALTY_MS   1000
#define FAULT_PENALTY_MS 5000
/* The rest after a fault doubles with each, up to the second figure. */
#define REST_MS     2000
#define REST_MAX_MS 60000
/* A dead endpoint fills no log. */
#define WARN_MS 60000
/* Heads are asked for at most so often, and only while there is traffic. */
#define ROUND_MS 2000
/* One of another chain is asked so often whether it was mended. */
#define OTHER_AGAIN_MS 10000
/* Hedging sooner would double the load for jitter of the network. */
#define HEDGE_MIN_MS 50
/* The automatic hedge until enough answers were timed. */
#define HEDGE_FIRST_MS 500
/* Fewer samples than this have no 95th percentile worth the name. */
#define SAMPLES_MIN 20

/* Scheme and host only: paths and users hold the secrets of RPC URLs. */
enum x402_err fac_pool_add(struct fac_pool *pool, const char *url)
{
	struct fac_endpoint *endpoint = &pool->endpoints[pool->len];
	CURLU *parts = curl_url();
	char *scheme = NULL;
	char *host = NULL;
	enum x402_err err = X402_ERR_POLICY;

	if (!parts)
		return X402_ERR_NOMEM;
	if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) ==
			CURLUE_OK &&
		curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0)) {
		snprintf(endpoint->stats.host, sizeof(endpoint->stats.host),
			"%s", host);
		endpoint->tokens = (int64_t)pool->rps * 1000;
		endpoint->url = strdup(url);
		err = endpoint->url ? X402_OK : X402_ERR_NOMEM;
	}
	if (!err)
		pool->len++;
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(parts);
	return err;
}

void fac_pool_clear(struct fac_pool *pool)
{
	for (size_t i = 0; i < pool->len; i++) {
		x402_wipe(
			pool->endpoints[i].url, strlen(pool->endpoints[i].url));
		free(pool->endpoints[i].url);
	}
	pool->len = 0;
}

/* ---- Choosing. ---- */

static void fill_bucket(const struct fac_pool *pool,
	struct fac_endpoint *endpoint, uint64_t now_ms)
{
	int64_t full = (int64_t)pool->rps * 1000;
	uint64_t passed_ms = now_ms - endpoint->tokens_ms;

	endpoint->tokens_ms = now_ms;
	/* A day fills every bucket, and keeps the product small. */
	if (passed_ms > (uint64_t)86400 * 1000)
		endpoint->tokens = full;
	else
		endpoint->tokens += (int64_t)passed_ms * (int64_t)pool->rps;
	if (endpoint->tokens > full)
		endpoint->tokens = full;
}

uint64_t fac_pool_wait_ms(struct fac_pool *pool, size_t index, uint64_t now_ms)
{
	struct fac_endpoint *endpoint = &pool->endpoints[index];
	uint64_t wait_ms = 0;

	if (endpoint->asked && endpoint->rest_until_ms > now_ms)
		wait_ms = endpoint->rest_until_ms - now_ms;
	if (!pool->rps)
		return wait_ms;
	fill_bucket(pool, endpoint, now_ms);
	if (endpoint->tokens <= 0) {
		uint64_t tokens_ms = (uint64_t)-endpoint->tokens / pool->rps +
			1;

		if (tokens_ms > wait_ms)
			wait_ms = tokens_ms;
	}
	return wait_ms;
}

static bool lags(const struct fac_pool *pool, const struct fac_endpoint *one)
{
	return one->stats.lag > pool->head_lag_max;
}

bool fac_pool_choose(struct fac_pool *pool, unsigned tried,
	enum fac_pool_use use, uint64_t now_ms, size_t *ret_index,
	uint64_t *ret_wait_ms)
{
	uint64_t best = UINT64_MAX;

	for (size_t i = 0; i < pool->len; i++) {
		const struct fac_endpoint *endpoint = &pool->endpoints[i];
		uint64_t wait_ms;
		uint64_t cost;

		if ((tried >> i) & 1 ||
			(pool->identified &&
				(endpoint->identity == FAC_IDENTITY_OTHER ||
					(use == FAC_POOL_HEDGE &&
						!fac_pool_is_ours(pool, i)))))
			continue;
		wait_ms = fac_pool_wait_ms(pool, i, now_ms);
		cost = wait_ms;
		if (lags(pool, endpoint))
			cost += LAG_PENALTY_MS;
		if (endpoint->faults)
			cost += FAULT_PENALTY_MS;
		if (cost >= best || (use == FAC_POOL_HEDGE && cost))
			continue;
		best = cost;
		*ret_index = i;
		*ret_wait_ms = wait_ms;
	}
	return best != UINT64_MAX;
}

/* ---- What happened. ---- */

void fac_pool_posted(
	struct fac_pool *pool, size_t index, size_t calls, uint64_t now_ms)
{
	struct fac_endpoint *endpoint = &pool->endpoints[index];

	endpoint->stats.requests++;
	if (!pool->rps)
		return;
	fill_bucket(pool, endpoint, now_ms);
	endpoint->tokens -= (int64_t)calls * 1000;
}

static int compare_ms(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void fac_pool_was_slow(struct fac_pool *pool, size_t index, uint64_t ms)
{
	struct fac_endpoint *endpoint = &pool->endpoints[index];
	uint32_t sorted[FAC_POOL_SAMPLES];
	size_t len;

	endpoint->samples_ms[endpoint->samples_len++ % FAC_POOL_SAMPLES] =
		ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
	len = endpoint->samples_len < FAC_POOL_SAMPLES ? endpoint->samples_len
						       : FAC_POOL_SAMPLES;
	/* Sorting now and then is enough. */
	if (len < SAMPLES_MIN || endpoint->samples_len % 8)
		return;
	memcpy(sorted, endpoint->samples_ms, len * sizeof(sorted[0]));
	qsort(sorted, len, sizeof(sorted[0]), compare_ms);
	endpoint->slow_ms = sorted[len * 95 / 100];
	if (endpoint->slow_ms < HEDGE_MIN_MS)
		endpoint->slow_ms = HEDGE_MIN_MS;
}

void fac_pool_took(struct fac_pool *pool, size_t index, uint64_t ms)
{
	static const uint64_t bounds[] = FAC_CHAIN_LATENCY_BOUNDS_MS;
	struct fac_chain_endpoint_stats *stats = &pool->endpoints[index].stats;
	size_t bucket = 0;

	while (bucket + 1 < FAC_CHAIN_LATENCY_BUCKETS && ms > bounds[bucket])
		bucket++;
	stats->latency[bucket]++;
	stats->latency_sum_ms += ms;
	stats->latency_count++;
	fac_pool_was_slow(pool, index, ms);
}

void fac_pool_well(struct fac_pool *pool, size_t index)
{
	struct fac_endpoint *endpoint = &pool->endpoints[index];

	endpoint->faults = 0;
	/* An earlier Retry-After still holds. */
	if (!endpoint->asked)
		endpoint->rest_until_ms = 0;
}

bool fac_pool_fault(struct fac_pool *pool, size_t index, long status,
	long retry_after_s, uint64_t now_ms)
{
	struct fac_endpoint *endpoint = &pool->endpoints[index];
	unsigned doublings = endpoint->faults < 5 ? endpoint->faults : 5;
	uint64_t rest_ms = (uint64_t)REST_MS << doublings;
	bool tell = !endpoint->faults ||
		now_ms - endpoint->warned_ms >= WARN_MS;

	if (rest_ms > REST_MAX_MS)
		rest_ms = REST_MAX_MS;
	endpoint->faults++;
	/* Who comes back may be another. */
	if (status != 429 && endpoint->identity == FAC_IDENTITY_OURS)
		endpoint->identity = FAC_IDENTITY_UNKNOWN;
	endpoint->stats.transport_faults++;
	if (status == 429)
		endpoint->stats.http_429++;
	endpoint->asked = (status == 429 || status == 503) && retry_after_s > 0;
	if (endpoint->asked)
		rest_ms = (uint64_t)retry_after_s * 1000;
	endpoint->rest_until_ms = now_ms + rest_ms;
	if (tell)
		endpoint->warned_ms = now_ms;
	return tell;
}

uint64_t fac_pool_hedge_ms(const struct fac_pool *pool, size_t index)
{
	const struct fac_endpoint *endpoint = &pool->endpoints[index];

	if (pool->hedge_ms < 0 || pool->len < 2)
		return 0;
	if (pool->hedge_ms > 0)
		return (uint64_t)pool->hedge_ms;
	return endpoint->slow_ms ? endpoint->slow_ms : HEDGE_FIRST_MS;
}

/* ---- Identities. ---- */

bool fac_pool_is_ours(const struct fac_pool *pool, size_t index)
{
	return !pool->identified ||
		pool->endpoints[index].identity == FAC_IDENTITY_OURS;
}

unsigned fac_pool_identify(struct fac_pool *pool, size_t index, uint64_t now_ms)
{
	unsigned asks = 0;

	for (size_t i = 0; pool->identified && i < pool->len; i++) {
		struct fac_endpoint *endpoint = &pool->endpoints[i];

		if (endpoint->identity_asking || fac_pool_is_ours(pool, i) ||
			(i != index && endpoint->rest_until_ms > now_ms) ||
			(endpoint->identity == FAC_IDENTITY_OTHER &&
				now_ms - endpoint->identity_ms <
					OTHER_AGAIN_MS))
			continue;
		endpoint->identity_asking = true;
		asks |= 1u << i;
	}
	return asks;
}

void fac_pool_identified(struct fac_pool *pool, size_t index,
	enum fac_identity identity, uint64_t now_ms)
{
	struct fac_endpoint *endpoint = &pool->endpoints[index];

	endpoint->identity_asking = false;
	/* Silence is no word that it was mended. */
	if (identity == FAC_IDENTITY_UNKNOWN &&
		endpoint->identity == FAC_IDENTITY_OTHER)
		identity = FAC_IDENTITY_OTHER;
	endpoint->identity = identity;
	endpoint->identity_ms = now_ms;
}

/* ---- Heads. ---- */

unsigned fac_pool_round(struct fac_pool *pool, uint64_t now_ms)
{
	unsigned asks = 0;

	/* Alone, nobody can be behind. */
	if (pool->len < 2 || pool->round_left ||
		(pool->round_ms && now_ms - pool->round_ms < ROUND_MS))
		return 0;
	pool->round_ms = now_ms ? now_ms : 1;
	for (size_t i = 0; i < pool->len; i++) {
		pool->endpoints[i].told_head = false;
		if (pool->endpoints[i].rest_until_ms > now_ms ||
			pool->endpoints[i].identity == FAC_IDENTITY_OTHER)
			continue;
		asks |= 1u << i;
		pool->round_left++;
	}
	return asks;
}

void fac_pool_round_told(struct fac_pool *pool, size_t index, uint64_t head)
{
	uint64_t best = 0;

	if (head) {
		pool->endpoints[index].told_head = true;
		pool->endpoints[index].stats.head = head;
	}
	if (--pool->round_left)
		return;
	for (size_t i = 0; i < pool->len; i++)
		if (pool->endpoints[i].told_head &&
			pool->endpoints[i].identity != FAC_IDENTITY_OTHER &&
			pool->endpoints[i].stats.head > best)
			best = pool->endpoints[i].stats.head;
	for (size_t i = 0; i < pool->len; i++)
		if (pool->endpoints[i].told_head &&
			pool->endpoints[i].identity != FAC_IDENTITY_OTHER)
			pool->endpoints[i].stats.lag = best -
				pool->endpoints[i].stats.head;
}
