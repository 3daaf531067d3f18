/*
 * The store's thread. A verb is queued (queue.c); the thread takes what waits,
 * has the backend run them in one transaction and commit once, and
 * posts the replies only then. Callers that wait share one fsync.
 *
 * What the verbs do is in sqlite_*.c and postgres_*.c, twice, and held
 * together by one contract test.
 */
#include "store/postgres_p.h"
#include "store/queue.h"
#include "store/sqlite_p.h"
#include "run/loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct fac_store {
	/* The thread's, once it runs: one of the two. */
	struct fac_sqlite sqlite;
	struct fac_postgres *postgres;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t ready;
	struct fac_verb_queue queue;
	uint64_t running_ms; /* the oldest in work waits since; 0: none */
	bool stopping;
	struct fac_store_stats stats;
};

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void deliver(void *arg)
{
	struct fac_verb *verb = arg;

	verb->to.done(verb->to.user, fac_verb_reply(verb));
	fac_verb_free(verb);
}

/* The next group, or NULL when the store is closing and empty. */
static struct fac_verb *take_group(struct fac_store *store)
{
	struct fac_verb *verbs;
	size_t n = 0;

	pthread_mutex_lock(&store->lock);
	store->running_ms = 0;
	while (!(verbs = fac_verb_queue_take(&store->queue, &n)) &&
		!store->stopping)
		pthread_cond_wait(&store->ready, &store->lock);
	for (const struct fac_verb *verb = verbs; verb && !verb->browsing;
		verb = verb->next)
		if (!store->running_ms || verb->queued_ms < store->running_ms)
			store->running_ms = verb->queued_ms;
	store->stats.queued -= n;
	store->stats.verbs += n;
	pthread_mutex_unlock(&store->lock);
	return verbs;
}

static void count_commit(struct fac_store *store, uint64_t ms, bool committed)
{
	static const uint64_t bounds[] = FAC_STORE_BUCKET_BOUNDS_MS;
	size_t bucket = 0;

	while (bucket < FAC_STORE_BUCKETS - 1 && ms > bounds[bucket])
		bucket++;
	pthread_mutex_lock(&store->lock);
	store->stats.commit_buckets[bucket]++;
	store->stats.commit_ms += ms;
	store->stats.commits += committed;
	store->stats.failures += !committed;
	pthread_mutex_unlock(&store->lock);
}

static void *run_thread(void *arg)
{
	struct fac_store *store = arg;
	struct fac_verb *verb;

	while ((verb = take_group(store))) {
		uint64_t began_ms = monotonic_ms();
		bool committed = store->postgres
			? fac_postgres_run_group(store->postgres, verb)
			: fac_sqlite_run_group(&store->sqlite, verb);

		count_commit(store, monotonic_ms() - began_ms, committed);
		while (verb) {
			struct fac_verb *next = verb->next;

			fac_loop_post(verb->to.loop, deliver, verb);
			verb = next;
		}
	}
	return NULL;
}

static bool is_postgres(const char *path)
{
	return strncmp(path, "postgresql://", 13) == 0 ||
		strncmp(path, "postgres://", 11) == 0;
}

static enum x402_err open_backend(struct fac_store *store,
	const struct fac_store_options *options, struct x402_errinfo *info)
{
	if (is_postgres(options->path))
		return fac_postgres_open(options, info, &store->postgres);
	return fac_sqlite_open(options, info, &store->sqlite);
}

static void close_backend(struct fac_store *store)
{
	if (store->postgres)
		fac_postgres_close(store->postgres);
	else
		fac_sqlite_close(&store->sqlite);
}

enum x402_err fac_store_open(const struct fac_store_options *options,
	struct x402_errinfo *info, struct fac_store **ret_store)
{
	struct fac_store *store;
	enum x402_err err;

	if (options->hooks_len > FAC_HOOKS_MAX)
		return X402_ERR_INVALID_ARGUMENT;
	store = calloc(1, sizeof(*store));
	if (!store)
		return X402_ERR_NOMEM;
	err = open_backend(store, options, info);
	if (err) {
		free(store);
		return err;
	}
	fac_verb_queue_init(&store->queue);
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->ready, NULL);
	if (pthread_create(&store->thread, NULL, run_thread, store)) {
		close_backend(store);
		free(store);
		return X402_ERR_NOMEM;
	}
	*ret_store = store;
	return X402_OK;
}

void fac_store_close(struct fac_store *store)
{
	if (!store)
		return;
	pthread_mutex_lock(&store->lock);
	store->stopping = true;
	pthread_cond_signal(&store->ready);
	pthread_mutex_unlock(&store->lock);
	if (store->postgres)
		fac_postgres_stop(store->postgres);
	pthread_join(store->thread, NULL);
	close_backend(store);
	pthread_mutex_destroy(&store->lock);
	pthread_cond_destroy(&store->ready);
	free(store);
}

bool fac_store_is_shared(const struct fac_store *store)
{
	return store->postgres;
}

/* Strangers wait as long as they make each other wait. */
static uint64_t lag_locked(const struct fac_store *store)
{
	uint64_t since_ms = fac_verb_queue_since_ms(&store->queue);

	if (!since_ms || (store->running_ms && store->running_ms < since_ms))
		since_ms = store->running_ms;
	return since_ms ? monotonic_ms() - since_ms : 0;
}

struct fac_store_stats fac_store_stats(struct fac_store *store)
{
	struct fac_store_stats stats;

	pthread_mutex_lock(&store->lock);
	stats = store->stats;
	stats.oldest_ms = lag_locked(store);
	pthread_mutex_unlock(&store->lock);
	return stats;
}

uint64_t fac_store_lag_ms(struct fac_store *store)
{
	uint64_t lag_ms;

	pthread_mutex_lock(&store->lock);
	lag_ms = lag_locked(store);
	pthread_mutex_unlock(&store->lock);
	return lag_ms;
}

void fac_store_submit(
	struct fac_store *store, struct fac_verb *verb, struct fac_store_to to)
{
	bool taken;

	verb->to = to;
	verb->queued_ms = monotonic_ms();
	pthread_mutex_lock(&store->lock);
	taken = fac_verb_queue_add(&store->queue, verb);
	store->stats.queued += taken;
	pthread_cond_signal(&store->ready);
	pthread_mutex_unlock(&store->lock);
	if (taken)
		return;
	verb->reply.err = X402_ERR_STORE;
	fac_loop_post(to.loop, deliver, verb);
}

/* For those who only look, or tell: they wait behind money. */
static void submit_browsing(
	struct fac_store *store, struct fac_verb *verb, struct fac_store_to to)
{
	verb->browsing = true;
	fac_store_submit(store, verb, to);
}

/* ---- Verbs, for those who do not build them. ---- */

void fac_store_reserve(struct fac_store *store,
	const struct fac_payment *payment,
	const struct fac_spend_limits *limits, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_reserve(payment, limits), to);
}

void fac_store_release(struct fac_store *store, const uint8_t key32[32],
	const char *owner, const char *note, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_release(key32, owner, note), to);
}

void fac_store_hand_over(struct fac_store *store, const uint8_t key32[32],
	const char *owner, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_hand_over(key32, owner), to);
}

void fac_store_take_over(struct fac_store *store, const char *network,
	const char *owner, uint32_t limit, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_take_over(network, owner, limit), to);
}

void fac_store_heartbeat(struct fac_store *store, const char *owner,
	uint64_t ttl_ms, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_heartbeat(owner, ttl_ms), to);
}

void fac_store_finish(struct fac_store *store, const struct fac_store_end *end,
	const char *owner, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_finish(end, owner), to);
}

void fac_store_credit(struct fac_store *store, const uint8_t key32[32],
	const char *answer, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_credit(key32, answer), to);
}

void fac_store_grant(struct fac_store *store, const struct fac_payment *payment,
	const char *answer, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_grant(payment, answer), to);
}

void fac_store_payment_get(struct fac_store *store,
	struct fac_payment_query query, struct fac_store_to to)
{
	submit_browsing(store, fac_verb_payment_get(query), to);
}

void fac_store_hold(struct fac_store *store, const struct fac_store_hold *hold,
	struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_hold(hold), to);
}

void fac_store_hold_get(struct fac_store *store, const uint8_t key32[32],
	struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_hold_get(key32), to);
}

void fac_store_lane_acquire(struct fac_store *store, const char *network,
	const struct x402_address *signer, const char *owner, uint64_t ttl_ms,
	struct fac_store_to to)
{
	fac_store_submit(store,
		fac_verb_lane_acquire(network, signer, owner, ttl_ms), to);
}

void fac_store_lane_release(struct fac_store *store,
	const struct fac_store_lease *lease, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_lane_release(lease), to);
}

void fac_store_journal_signed(struct fac_store *store,
	const struct fac_transaction *transaction,
	const struct fac_store_lease *lease, struct fac_store_to to)
{
	fac_store_submit(
		store, fac_verb_journal_signed(transaction, lease), to);
}

void fac_store_journal_attempt(struct fac_store *store, const uint8_t id32[32],
	const struct fac_attempt *attempt, const struct fac_store_lease *lease,
	struct fac_store_to to)
{
	fac_store_submit(
		store, fac_verb_journal_attempt(id32, attempt, lease), to);
}

void fac_store_mark_broadcast(
	struct fac_store *store, const uint8_t id32[32], struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_mark_broadcast(id32), to);
}

void fac_store_mark_replaced(struct fac_store *store, const uint8_t id32[32],
	const struct fac_store_lease *lease, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_mark_replaced(id32, lease), to);
}

void fac_store_mark_mined(struct fac_store *store,
	const struct fac_store_mined *mined, struct fac_store_ends ends,
	const struct fac_store_lease *lease, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_mark_mined(mined, ends, lease), to);
}

void fac_store_mark_final(struct fac_store *store, const uint8_t id32[32],
	const struct fac_store_lease *lease, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_mark_final(id32, lease), to);
}

void fac_store_mark_dropped(struct fac_store *store, const uint8_t id32[32],
	const uint8_t block_hash32[32], const struct fac_store_lease *lease,
	struct fac_store_to to)
{
	fac_store_submit(
		store, fac_verb_mark_dropped(id32, block_hash32, lease), to);
}

void fac_store_revive(struct fac_store *store, const char *network,
	const struct x402_address *signer, uint64_t nonce,
	struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_revive(network, signer, nonce), to);
}

void fac_store_load_lane(struct fac_store *store, const char *network,
	const struct x402_address *signer, const char *owner,
	struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_load_lane(network, signer, owner), to);
}

void fac_store_next_nonce_floor(struct fac_store *store, const char *network,
	const struct x402_address *signer, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_next_nonce_floor(network, signer), to);
}

void fac_store_outbox_take(struct fac_store *store, uint32_t limit,
	uint64_t lease_ms, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_outbox_take(limit, lease_ms), to);
}

void fac_store_outbox_done(
	struct fac_store *store, uint64_t sequence, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_outbox_done(sequence), to);
}

void fac_store_outbox_fail(struct fac_store *store,
	const struct fac_outbox_failure *failure, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_outbox_fail(failure), to);
}

void fac_store_outbox_dead(
	struct fac_store *store, uint32_t limit, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_outbox_dead(limit), to);
}

void fac_store_outbox_revive(
	struct fac_store *store, uint64_t sequence, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_outbox_revive(sequence), to);
}

void fac_store_resource_put(struct fac_store *store,
	const struct fac_resource *resource, struct fac_store_to to)
{
	struct fac_verb *verb = fac_verb_resource_put(resource);

	/* A payment that settled waits for it with its answer. */
	verb->browsing = !resource->settled;
	fac_store_submit(store, verb, to);
}

void fac_store_resource_list(struct fac_store *store,
	const struct fac_resource_query *query, struct fac_store_to to)
{
	submit_browsing(store, fac_verb_resource_list(query), to);
}

void fac_store_health(struct fac_store *store, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_health(), to);
}

void fac_store_forget_claims(struct fac_store *store,
	uint64_t dead_before_unix_s, uint32_t limit, struct fac_store_to to)
{
	fac_store_submit(
		store, fac_verb_forget_claims(dead_before_unix_s, limit), to);
}

void fac_store_retire(struct fac_store *store, uint64_t dead_before_unix_s,
	uint32_t limit, struct fac_store_to to)
{
	fac_store_submit(store, fac_verb_retire(dead_before_unix_s, limit), to);
}
