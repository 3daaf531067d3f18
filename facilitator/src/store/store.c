/*
 * The store's thread and its queue. A verb becomes a job; the thread takes
 * all jobs that wait, runs them in one transaction (each in a savepoint, so
 * that one failure does not sink the others), commits once, and posts the
 * replies only then. Callers that wait share one fsync.
 *
 * The verbs' SQL is in payments.c, transactions.c and resources.c.
 */
#include "store/db_p.h"
#include "run/loop.h"

#include <pthread.h>
#include <stdlib.h>

/* One commit holds at most so many jobs: bounds the wait of the first. */
#define GROUP_MAX 512

struct fac_store {
	struct fac_db db; /* the thread's, once it runs */
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t ready;
	struct fac_store_job *first;
	struct fac_store_job **last;
	bool stopping;
};

static void free_job(struct fac_store_job *job)
{
	fac_payment_clear(&job->payment);
	fac_transaction_clear(&job->transaction);
	if (job->resource) {
		fac_resource_clear(job->resource);
		free(job->resource);
	}
	for (size_t i = 0; i < sizeof(job->texts) / sizeof(job->texts[0]); i++)
		free(job->texts[i]);
	for (size_t i = 0; i < job->reply.payments_len; i++)
		fac_payment_clear(&job->payments[i]);
	for (size_t i = 0; i < job->reply.transactions_len; i++)
		fac_transaction_clear(&job->transactions[i]);
	for (size_t i = 0; i < job->reply.resources_len; i++)
		fac_resource_clear(&job->resources[i]);
	free(job->payments);
	free(job->transactions);
	free(job->events);
	free(job->resources);
	free(job);
}

static void deliver(void *arg)
{
	struct fac_store_job *job = arg;

	job->reply.payments = job->payments;
	job->reply.transactions = job->transactions;
	job->reply.events = job->events;
	job->reply.resources = job->resources;
	job->to.done(job->to.user, &job->reply);
	free_job(job);
}

static void fail_job(struct fac_store_job *job)
{
	job->reply.err = X402_ERR_STORE;
	job->reply.claimed = false;
}

/* False when SQLite gave the whole transaction up (disk full, I/O error). */
static bool run_job(struct fac_db *db, struct fac_store_job *job)
{
	enum x402_err err = fac_db_exec(db, "SAVEPOINT job");

	if (!err) {
		err = job->run(db, job);
		/* What the verb read stays in the reply. */
		if (err && fac_db_exec(db, "ROLLBACK TO job"))
			return false;
		if (fac_db_exec(db, "RELEASE job"))
			err = X402_ERR_STORE;
	}
	job->reply.err = err;
	if (err)
		job->reply.claimed = false;
	return !sqlite3_get_autocommit(db->sqlite);
}

static void run_group(struct fac_db *db, struct fac_store_job *jobs)
{
	bool alive = !fac_db_exec(db, "BEGIN IMMEDIATE");

	for (struct fac_store_job *job = jobs; job && alive; job = job->next)
		alive = run_job(db, job);
	if (alive && fac_db_exec(db, "COMMIT"))
		alive = false;
	if (alive)
		return;
	/* Should this fail too, the next BEGIN fails, and so do its jobs. */
	if (!sqlite3_get_autocommit(db->sqlite))
		(void)!fac_db_exec(db, "ROLLBACK");
	/* Nothing of this group is durable: fail closed, all of it. */
	for (struct fac_store_job *job = jobs; job; job = job->next)
		fail_job(job);
}

/* Up to GROUP_MAX jobs, or NULL when the store is closing and empty. */
static struct fac_store_job *take_group(struct fac_store *store)
{
	struct fac_store_job *jobs;
	struct fac_store_job *last;

	pthread_mutex_lock(&store->lock);
	while (!store->first && !store->stopping)
		pthread_cond_wait(&store->ready, &store->lock);
	jobs = last = store->first;
	for (size_t n = 1; last && last->next && n < GROUP_MAX; n++)
		last = last->next;
	store->first = last ? last->next : NULL;
	if (!store->first)
		store->last = &store->first;
	if (last)
		last->next = NULL;
	pthread_mutex_unlock(&store->lock);
	return jobs;
}

static void *run_thread(void *arg)
{
	struct fac_store *store = arg;
	struct fac_store_job *job;

	while ((job = take_group(store))) {
		run_group(&store->db, job);
		while (job) {
			struct fac_store_job *next = job->next;

			fac_loop_post(job->to.loop, deliver, job);
			job = next;
		}
	}
	return NULL;
}

enum x402_err fac_store_open(const struct fac_store_options *options,
	struct x402_errinfo *info, struct fac_store **ret_store)
{
	struct fac_store *store = calloc(1, sizeof(*store));
	enum x402_err err;

	if (!store)
		return X402_ERR_NOMEM;
	err = fac_db_open(options->path, info, &store->db);
	if (err) {
		free(store);
		return err;
	}
	store->last = &store->first;
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->ready, NULL);
	if (pthread_create(&store->thread, NULL, run_thread, store)) {
		fac_db_close(&store->db);
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
	pthread_join(store->thread, NULL);
	fac_db_close(&store->db);
	pthread_mutex_destroy(&store->lock);
	pthread_cond_destroy(&store->ready);
	free(store);
}

/* ---- Verbs: copy what was asked, queue it. ---- */

static struct fac_store_job *new_job(
	enum x402_err (*run)(struct fac_db *db, struct fac_store_job *job),
	struct fac_store_to to)
{
	struct fac_store_job *job = calloc(1, sizeof(*job));

	if (!job)
		abort();
	job->run = run;
	job->to = to;
	return job;
}

static char *copy_text(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		abort();
	return copy;
}

static void queue(struct fac_store *store, struct fac_store_job *job)
{
	pthread_mutex_lock(&store->lock);
	*store->last = job;
	store->last = &job->next;
	pthread_cond_signal(&store->ready);
	pthread_mutex_unlock(&store->lock);
}

void fac_store_reserve(struct fac_store *store,
	const struct fac_payment *payment, struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_reserve, to);

	fac_payment_copy(payment, &job->payment);
	queue(store, job);
}

void fac_store_release(struct fac_store *store, const uint8_t key32[32],
	const char *note, struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_release, to);

	memcpy(job->key32, key32, 32);
	job->texts[0] = copy_text(note);
	queue(store, job);
}

void fac_store_journal_signed(struct fac_store *store,
	const struct fac_transaction *transaction, struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_journal_signed, to);

	fac_transaction_copy(transaction, &job->transaction);
	queue(store, job);
}

void fac_store_mark_broadcast(struct fac_store *store, const uint8_t hash32[32],
	struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_mark_broadcast, to);

	memcpy(job->key32, hash32, 32);
	queue(store, job);
}

void fac_store_mark_replaced(struct fac_store *store, const uint8_t hash32[32],
	struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_mark_replaced, to);

	memcpy(job->key32, hash32, 32);
	queue(store, job);
}

void fac_store_mark_mined(struct fac_store *store, const uint8_t hash32[32],
	uint64_t block_number, struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_mark_mined, to);

	memcpy(job->key32, hash32, 32);
	job->number = block_number;
	queue(store, job);
}

void fac_store_finish(struct fac_store *store, const struct fac_store_end *end,
	struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_finish, to);

	job->end = *end;
	queue(store, job);
}

void fac_store_credit(struct fac_store *store, const uint8_t key32[32],
	const char *answer, struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_credit, to);

	memcpy(job->key32, key32, 32);
	job->texts[0] = copy_text(answer);
	queue(store, job);
}

void fac_store_load_unfinished(
	struct fac_store *store, const char *network, struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_load_unfinished, to);

	job->texts[0] = copy_text(network);
	queue(store, job);
}

void fac_store_next_nonce_floor(struct fac_store *store, const char *network,
	const struct x402_address *signer, struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_next_nonce_floor, to);

	job->texts[0] = copy_text(network);
	job->transaction.signer = *signer;
	queue(store, job);
}

void fac_store_revive(struct fac_store *store, const char *network,
	const struct x402_address *signer, uint64_t nonce,
	struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_revive, to);

	job->texts[0] = copy_text(network);
	job->transaction.signer = *signer;
	job->number = nonce;
	queue(store, job);
}

void fac_store_payment_get(struct fac_store *store,
	struct fac_payment_query query, struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_payment_get, to);

	job->texts[FAC_JOB_ID] = copy_text(query.id);
	job->texts[FAC_JOB_TRANSACTION] = copy_text(query.transaction);
	job->texts[FAC_JOB_SCOPE] = copy_text(query.idempotency_scope);
	job->texts[FAC_JOB_IDEMPOTENCY] = copy_text(query.idempotency_key);
	job->has_key32 = query.key32;
	if (query.key32)
		memcpy(job->key32, query.key32, 32);
	job->has_fingerprint32 = query.fingerprint32;
	if (query.fingerprint32)
		memcpy(job->fingerprint32, query.fingerprint32, 32);
	queue(store, job);
}

void fac_store_resource_put(struct fac_store *store,
	const struct fac_resource *resource, struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_resource_put, to);
	struct fac_resource *copy = malloc(sizeof(*copy));

	if (!copy)
		abort();
	*copy = *resource;
	copy->key = copy_text(resource->key);
	copy->url = copy_text(resource->url);
	copy->type = copy_text(resource->type);
	copy->accepts_json = copy_text(resource->accepts_json);
	copy->extensions_json = copy_text(resource->extensions_json);
	copy->metadata_json = copy_text(resource->metadata_json);
	job->resource = copy;
	queue(store, job);
}

void fac_store_resource_list(struct fac_store *store,
	const struct fac_resource_query *query, struct fac_store_to to)
{
	struct fac_store_job *job = new_job(fac_db_resource_list, to);

	job->texts[0] = copy_text(query->type);
	job->texts[1] = copy_text(query->pay_to);
	job->texts[2] = copy_text(query->scheme);
	job->texts[3] = copy_text(query->network);
	job->texts[4] = copy_text(query->extension);
	job->limit = query->limit;
	job->offset = query->offset;
	queue(store, job);
}

void fac_store_health(struct fac_store *store, struct fac_store_to to)
{
	queue(store, new_job(fac_db_health, to));
}
