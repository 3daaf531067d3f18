/*
 * pool_p.h: the endpoints of one chain and what is known of their health.
 * Pure book-keeping: it sends nothing and takes the time as an argument.
 * Private to chain/.
 */
#ifndef FAC_CHAIN_POOL_P_H
#define FAC_CHAIN_POOL_P_H

#include "chain/chain.h"

/* Answer times that the automatic hedge looks back on. */
#define FAC_POOL_SAMPLES 64

/* Does it serve the chain that it is configured for? */
enum fac_identity {
	FAC_IDENTITY_UNKNOWN,
	FAC_IDENTITY_OURS,
	FAC_IDENTITY_OTHER
};

struct fac_endpoint {
	char *url;
	struct fac_chain_endpoint_stats stats;
	/* Transport faults since the last usable answer; 0: it is up. */
	unsigned faults;
	uint64_t rest_until_ms;
	uint64_t warned_ms; /* when a person was told of a fault */
	bool asked;         /* it said Retry-After: do not come sooner */
	/* Tokens in thousandths of a call; below zero is a debt. */
	int64_t tokens;
	uint64_t tokens_ms;
	uint32_t samples_ms[FAC_POOL_SAMPLES];
	size_t samples_len; /* counts on; the ring holds the last */
	uint32_t slow_ms;   /* p95 of the samples; 0: too few */
	bool told_head;     /* in this round */
	enum fac_identity identity;
	bool identity_asking;
	uint64_t identity_ms; /* when it was last told */
};

struct fac_pool {
	struct fac_endpoint endpoints[FAC_CHAIN_URLS_MAX];
	size_t len;
	uint32_t head_lag_max;
	int32_t hedge_ms;
	uint32_t rps;
	bool identified;     /* endpoints of other chains are not asked */
	uint64_t round_ms;   /* when heads were last asked for */
	unsigned round_left; /* answers that are still to come */
};

enum fac_pool_use {
	FAC_POOL_READ, /* the best one now, or soon */
	FAC_POOL_HEDGE /* only one that is well, and now */
};

/* POLICY, NOMEM. */
X402_MUST_USE enum x402_err fac_pool_add(
	struct fac_pool *pool, const char *url);
void fac_pool_clear(struct fac_pool *pool);

/*
 * The endpoint to ask among those not in the bits of tried, and how long to
 * wait before. False when there is none.
 */
X402_MUST_USE bool fac_pool_choose(struct fac_pool *pool, unsigned tried,
	enum fac_pool_use use, uint64_t now_ms, size_t *ret_index,
	uint64_t *ret_wait_ms);
/* How long to wait before this very endpoint may be asked. */
uint64_t fac_pool_wait_ms(struct fac_pool *pool, size_t index, uint64_t now_ms);

/* A POST with so many calls leaves. */
void fac_pool_posted(
	struct fac_pool *pool, size_t index, size_t calls, uint64_t now_ms);
/* It was answered after ms, well or not. */
void fac_pool_took(struct fac_pool *pool, size_t index, uint64_t ms);
/* It gave up after ms because another was faster. */
void fac_pool_was_slow(struct fac_pool *pool, size_t index, uint64_t ms);
/* The answer was a JSON-RPC answer. */
void fac_pool_well(struct fac_pool *pool, size_t index);
/*
 * It was not; status 0: no HTTP answer. True: a person should be told, which
 * is for the first fault in a row and then once a minute.
 */
bool fac_pool_fault(struct fac_pool *pool, size_t index, long status,
	long retry_after_s, uint64_t now_ms);

/* When to ask another endpoint as well; 0: never. */
uint64_t fac_pool_hedge_ms(const struct fac_pool *pool, size_t index);

/*
 * Begin a round of head questions when one is due: the bits of the endpoints
 * to ask, each of which must be told of; 0 when none is due.
 */
unsigned fac_pool_round(struct fac_pool *pool, uint64_t now_ms);
/*
 * The bits of the endpoints to ask which chain they serve, each of which must
 * be told of: unknown and not at rest, or this one in any case; and now and
 * then those of another chain.
 */
unsigned fac_pool_identify(
	struct fac_pool *pool, size_t index, uint64_t now_ms);
/* UNKNOWN: it did not say. */
void fac_pool_identified(struct fac_pool *pool, size_t index,
	enum fac_identity identity, uint64_t now_ms);
bool fac_pool_is_ours(const struct fac_pool *pool, size_t index);
/* One answer of the round; head 0: none. The last one compares them. */
void fac_pool_round_told(struct fac_pool *pool, size_t index, uint64_t head);

#endif
