/*
 * The engine's thread: a loop, one struct fac_chain for each chain, and the
 * engine with ports that lead to them and to the store.
 *
 *   fac_settler_settle (worker) -> do_settle (settler) -> engine
 *   engine -> on_result (settler) -> deliver_result (worker) -> done
 *
 * Only mail crosses threads: a request goes over whole, a result comes back
 * as a copy.
 */
#include "run/settler.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* While stopping, look so often whether the engine has come to rest. */
#define DRAIN_LOOK_MS 20
/* Giving the leases back is a courtesy: wait no longer for it. */
#define LEAVE_MS 2000

struct settle_mail;

struct fac_settler {
	struct fac_loop *loop;
	pthread_t thread;
	struct fac_timer *wake;
	struct fac_timer *drain;
	struct fac_engine *engine;
	struct x402_secp256k1 *secp;
	struct fac_chain *chains[FAC_ENGINE_CHAINS_MAX];
	struct x402_network networks[FAC_ENGINE_CHAINS_MAX];
	size_t chains_len;
	uint32_t timeouts_ms[FAC_ENGINE_CHAINS_MAX];
	struct fac_store *store;
	void (*note)(void *user, bool warning, const char *text);
	void *user;
	atomic_uint_fast64_t next_id; /* of tickets */
	/* The settler's thread. */
	struct settle_mail *mails; /* requests at work */
	bool closing;              /* requests are refused, ports are silent */
	bool wake_is_set;          /* for wake_at_ms */
	uint64_t wake_at_ms;
	char owner[FAC_OWNER_SIZE];
	uint64_t drain_until_ms;
	bool leaving; /* leases are being given back */
	uint64_t leave_until_ms;
	uint64_t owed; /* store replies on their way to this loop */
};

/* ---- Ports: clock, chance, log. ---- */

static uint64_t port_now(void *user)
{
	(void)user;
	return fac_steady_unix_ms();
}

static uint64_t port_wall(void *user)
{
	struct timespec now;

	(void)user;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void port_random(void *user, uint8_t *bytes, size_t len)
{
	(void)user;
	randombytes_buf(bytes, len);
}

/* The soonest of all wishes since the last tick. */
static void port_wake(void *user, uint64_t delay_ms)
{
	struct fac_settler *settler = user;
	uint64_t at_ms = port_now(settler) + delay_ms;

	if (settler->wake_is_set && settler->wake_at_ms <= at_ms)
		return;
	settler->wake_is_set = true;
	settler->wake_at_ms = at_ms;
	fac_timer_start(settler->wake, delay_ms, 0);
}

static void port_note(void *user, bool warning, const char *text)
{
	struct fac_settler *settler = user;

	if (settler->note)
		settler->note(settler->user, warning, text);
}

static void warn_chain(void *user, const char *text)
{
	port_note(user, true, text);
}

/* ---- Ports: the store. Replies count, so that stopping can wait. ---- */

struct store_call {
	struct fac_settler *settler;
	void (*done)(void *arg, const struct fac_store_reply *reply);
	void *arg;
};

static void on_store(void *user, const struct fac_store_reply *reply)
{
	struct store_call *call = user;
	struct fac_settler *settler = call->settler;

	settler->owed--;
	if (settler->engine)
		call->done(call->arg, reply);
	free(call);
}

static void port_store(void *user, struct fac_verb *verb,
	void (*done)(void *arg, const struct fac_store_reply *reply), void *arg)
{
	struct fac_settler *settler = user;
	struct store_call *call;

	if (settler->closing) {
		fac_verb_free(verb);
		return;
	}
	call = malloc(sizeof(*call));
	if (!call)
		abort();
	*call = (struct store_call){settler, done, arg};
	settler->owed++;
	fac_store_submit(settler->store, verb,
		(struct fac_store_to){settler->loop, on_store, call});
}

static uint64_t port_store_lag(void *user)
{
	struct fac_settler *settler = user;

	return fac_store_lag_ms(settler->store);
}

/* ---- Ports: the chains. ---- */

static void port_send(void *user, size_t chain, struct x402_span raw,
	const uint8_t hash32[32],
	void (*done)(void *arg, const struct fac_send_outcome *outcome),
	void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_send_raw(settler->chains[chain], raw, hash32,
		settler->timeouts_ms[chain], done, arg);
}

static void port_receipts(void *user, size_t chain,
	const uint8_t (*hashes32)[32], size_t hashes_len,
	void (*done)(void *arg, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_receipts(settler->chains[chain], hashes32, hashes_len,
		settler->timeouts_ms[chain], done, arg);
}

static void port_nonce(void *user, size_t chain,
	const struct fac_nonce_query *query,
	void (*done)(void *arg, enum x402_err err, uint64_t nonce), void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_nonce(settler->chains[chain], query,
		settler->timeouts_ms[chain], done, arg);
}

static void port_balance(void *user, size_t chain,
	const struct x402_address *address,
	void (*done)(void *arg, enum x402_err err, const struct x402_u256 *wei),
	void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_balance(settler->chains[chain], address,
		settler->timeouts_ms[chain], done, arg);
}

static void port_logs(void *user, size_t chain,
	const struct fac_chain_logs_query *query,
	void (*done)(void *arg, enum x402_err err,
		const struct fac_chain_log *logs, size_t logs_len),
	void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_logs(settler->chains[chain], query,
		settler->timeouts_ms[chain], done, arg);
}

static void port_sent(void *user, size_t chain, const uint8_t hash32[32],
	void (*done)(void *arg, enum x402_err err,
		const struct fac_chain_sent *sent),
	void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_sent(settler->chains[chain], hash32,
		settler->timeouts_ms[chain], done, arg);
}

static void port_block(void *user, size_t chain, uint64_t number,
	void (*done)(void *arg, enum x402_err err,
		const struct fac_chain_block *block),
	void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_head(settler->chains[chain], number,
		settler->timeouts_ms[chain], done, arg);
}

static void port_fees(void *user, size_t chain,
	void (*done)(void *arg, enum x402_err err,
		const struct fac_chain_fees *fees),
	void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_fees(
		settler->chains[chain], settler->timeouts_ms[chain], done, arg);
}

static void port_signatures(void *user, size_t chain,
	const uint8_t (*signatures64)[64], size_t signatures_len,
	void (*done)(void *arg, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_signatures(settler->chains[chain], signatures64,
		signatures_len, settler->timeouts_ms[chain], done, arg);
}

static void port_signature(void *user, size_t chain,
	const uint8_t signature64[64],
	void (*done)(void *arg, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_signature(settler->chains[chain], signature64,
		settler->timeouts_ms[chain], done, arg);
}

static void port_svm_balance(void *user, size_t chain,
	const struct x402_pubkey *key,
	void (*done)(void *arg, enum x402_err err, const struct x402_u256 *wei),
	void *arg)
{
	struct fac_settler *settler = user;

	if (settler->closing)
		return;
	fac_chain_svm_balance(settler->chains[chain], key,
		settler->timeouts_ms[chain], done, arg);
}

struct read_call {
	void (*done)(void *arg, const struct x402_chain_answer *answer);
	void *arg;
};

static void on_read(void *user, enum x402_err err,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	struct read_call *call = user;
	struct x402_chain_answer fault = {.status = X402_ANSWER_FAULT};

	(void)err; /* each answer says it itself */
	call->done(call->arg, answers_len ? &answers[0] : &fault);
	free(call);
}

static void port_call(void *user, size_t chain,
	const struct x402_address *call_to, struct x402_span calldata,
	uint64_t block,
	void (*done)(void *arg, const struct x402_chain_answer *answer),
	void *arg)
{
	struct fac_settler *settler = user;
	struct x402_chain_read read = {
		.kind = X402_READ_CALL, .to = *call_to, .data = calldata};
	struct fac_chain_read_options options = {.reads = &read,
		.reads_len = 1,
		.block = block,
		.timeout_ms = settler->timeouts_ms[chain]};
	struct read_call *call;

	if (settler->closing)
		return;
	call = malloc(sizeof(*call));
	if (!call)
		abort();
	*call = (struct read_call){done, arg};
	fac_chain_read(settler->chains[chain], &options, on_read, call);
}

/* ---- Requests from workers. ---- */

struct settle_mail {
	struct fac_settler *settler;
	struct fac_settle_request request; /* owns its texts, see own() */
	char *scope;
	char *key;
	char *caller;
	char *scheme;
	char *network;
	uint8_t key32[32];
	uint64_t id;              /* the worker's ticket */
	uint64_t ticket;          /* the engine's */
	struct settle_mail *next; /* of those at work */
	struct settle_mail **slot;
	struct fac_loop *reply_to;
	void (*done)(void *user, const struct fac_settle_result *result);
	void *user;
	struct fac_settle_result result;
	char *answer;
};

static char *own(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		abort();
	return copy;
}

static void free_mail(struct settle_mail *mail)
{
	x402_settle_plan_clear(&mail->request.plan);
	free(mail->scope);
	free(mail->key);
	free(mail->caller);
	free(mail->scheme);
	free(mail->network);
	free(mail->answer);
	free(mail);
}

static void deliver_result(void *arg)
{
	struct settle_mail *mail = arg;

	mail->done(mail->user, &mail->result);
	free_mail(mail);
}

static void on_result(void *user, const struct fac_settle_result *result)
{
	struct settle_mail *mail = user;

	mail->result = *result;
	mail->answer = own(result->answer);
	mail->result.answer = mail->answer;
	if (mail->slot) {
		*mail->slot = mail->next;
		if (mail->next)
			mail->next->slot = mail->slot;
	}
	fac_loop_post(mail->reply_to, deliver_result, mail);
}

static void refuse(struct settle_mail *mail)
{
	struct fac_settle_result result = {.outcome = FAC_SETTLE_FAULT,
		.reason = X402_REASON_UNEXPECTED_SETTLE_ERROR};

	snprintf(result.message, sizeof(result.message),
		"the daemon is stopping; ask again");
	memcpy(result.wire_network, mail->network ? mail->network : "",
		mail->network ? strnlen(mail->network,
					sizeof(result.wire_network) - 1)
			      : 0);
	on_result(mail, &result);
}

static void do_settle(void *arg)
{
	struct settle_mail *mail = arg;
	struct fac_settler *settler = mail->settler;

	if (settler->closing) {
		refuse(mail);
		return;
	}
	mail->slot = &settler->mails;
	mail->next = settler->mails;
	if (mail->next)
		mail->next->slot = &mail->next;
	settler->mails = mail;
	mail->ticket = fac_engine_settle(
		settler->engine, &mail->request, on_result, mail);
}

uint64_t fac_settler_settle(struct fac_settler *settler,
	struct fac_settle_request *request, struct fac_loop *reply_to,
	void (*done)(void *user, const struct fac_settle_result *result),
	void *user)
{
	struct settle_mail *mail = calloc(1, sizeof(*mail));
	uint64_t id = atomic_fetch_add(&settler->next_id, 1) + 1;

	if (!mail)
		abort();
	mail->settler = settler;
	mail->id = id;
	mail->request = *request;
	memset(&request->plan, 0, sizeof(request->plan)); /* taken */
	mail->scope = own(request->idempotency_scope);
	mail->key = own(request->idempotency_key);
	mail->caller = own(request->caller);
	mail->scheme = own(request->scheme);
	mail->network = own(request->wire_network);
	mail->request.idempotency_scope = mail->scope;
	mail->request.idempotency_key = mail->key;
	mail->request.caller = mail->caller;
	mail->request.scheme = mail->scheme;
	mail->request.wire_network = mail->network;
	if (request->key32) {
		memcpy(mail->key32, request->key32, 32);
		mail->request.key32 = mail->key32;
	}
	mail->reply_to = reply_to;
	mail->done = done;
	mail->user = user;
	fac_loop_post(settler->loop, do_settle, mail);
	return id;
}

struct leave_mail {
	struct fac_settler *settler;
	uint64_t id;
};

static void do_leave(void *arg)
{
	struct leave_mail *mail = arg;
	struct fac_settler *settler = mail->settler;

	for (const struct settle_mail *at = settler->mails; at; at = at->next) {
		if (settler->engine && at->id == mail->id) {
			fac_engine_leave(settler->engine, at->ticket);
			break;
		}
	}
	free(mail);
}

void fac_settler_leave(struct fac_settler *settler, uint64_t ticket)
{
	struct leave_mail *mail = malloc(sizeof(*mail));

	if (!mail)
		abort();
	*mail = (struct leave_mail){settler, ticket};
	fac_loop_post(settler->loop, do_leave, mail);
}

struct stats_mail {
	struct fac_settler *settler;
	struct fac_loop *reply_to;
	void (*done)(void *user, const struct fac_engine_stats *stats);
	void *user;
	struct fac_engine_stats stats;
};

static void deliver_stats(void *arg)
{
	struct stats_mail *mail = arg;

	mail->done(mail->user, &mail->stats);
	free(mail);
}

static void do_stats(void *arg)
{
	struct stats_mail *mail = arg;

	if (mail->settler->engine)
		fac_engine_stats(mail->settler->engine, &mail->stats);
	fac_loop_post(mail->reply_to, deliver_stats, mail);
}

void fac_settler_stats(struct fac_settler *settler, struct fac_loop *reply_to,
	void (*done)(void *user, const struct fac_engine_stats *stats),
	void *user)
{
	struct stats_mail *mail = calloc(1, sizeof(*mail));

	if (!mail)
		abort();
	mail->settler = settler;
	mail->reply_to = reply_to;
	mail->done = done;
	mail->user = user;
	fac_loop_post(settler->loop, do_stats, mail);
}

struct chain_stats_mail {
	struct fac_settler *settler;
	struct fac_chain_stats_to to;
};

static void do_chain_stats(void *arg)
{
	struct chain_stats_mail *mail = arg;

	fac_chain_stats_mail(
		mail->settler->chains, mail->settler->chains_len, mail->to);
	free(mail);
}

void fac_settler_chain_stats(
	struct fac_settler *settler, struct fac_chain_stats_to to)
{
	struct chain_stats_mail *mail = malloc(sizeof(*mail));

	if (!mail)
		abort();
	*mail = (struct chain_stats_mail){settler, to};
	fac_loop_post(settler->loop, do_chain_stats, mail);
}

/* ---- Stopping. ---- */

/*
 * The order matters: ports fall silent, then the chains answer what they owe,
 * then the engine answers its callers, then the store's replies run out.
 */
static void close_engine(struct fac_settler *settler)
{
	struct fac_engine *engine = settler->engine;

	settler->closing = true;
	for (size_t i = 0; i < settler->chains_len; i++) {
		fac_chain_free(settler->chains[i]);
		settler->chains[i] = NULL;
	}
	settler->engine = NULL;
	fac_engine_free(engine);
	fac_timer_stop(settler->wake);
}

static void on_lanes_released(void *user)
{
	close_engine(user);
}

static void on_drain(void *arg)
{
	struct fac_settler *settler = arg;
	uint64_t now = fac_loop_now_ms(settler->loop);

	if (settler->engine && !settler->leaving &&
		(fac_engine_is_idle(settler->engine) ||
			now >= settler->drain_until_ms)) {
		settler->leaving = true;
		settler->leave_until_ms = now + LEAVE_MS;
		fac_engine_release_lanes(
			settler->engine, on_lanes_released, settler);
	}
	/* A store that does not answer: the leases run out by themselves. */
	if (settler->engine && settler->leaving &&
		now >= settler->leave_until_ms)
		close_engine(settler);
	if (!settler->engine && !settler->owed) {
		fac_timer_stop(settler->drain);
		fac_loop_stop(settler->loop);
	}
}

struct stop_mail {
	struct fac_settler *settler;
	uint64_t drain_ms;
};

static void do_stop(void *arg)
{
	struct stop_mail *mail = arg;
	struct fac_settler *settler = mail->settler;

	settler->drain_until_ms = fac_loop_now_ms(settler->loop) +
		mail->drain_ms;
	fac_timer_start(settler->drain, 0, DRAIN_LOOK_MS);
	free(mail);
}

static void free_settler(struct fac_settler *settler)
{
	for (size_t i = 0; i < settler->chains_len; i++)
		fac_chain_free(settler->chains[i]);
	fac_engine_free(settler->engine);
	fac_timer_free(settler->wake);
	fac_timer_free(settler->drain);
	fac_loop_free(settler->loop);
	x402_secp256k1_free(settler->secp);
	free(settler);
}

void fac_settler_stop(struct fac_settler *settler, uint64_t drain_ms)
{
	struct stop_mail *mail;

	if (!settler)
		return;
	mail = malloc(sizeof(*mail));
	if (!mail)
		abort();
	*mail = (struct stop_mail){settler, drain_ms};
	fac_loop_post(settler->loop, do_stop, mail);
	pthread_join(settler->thread, NULL);
	free_settler(settler);
}

/* ---- Starting. ---- */

static void on_wake(void *arg)
{
	struct fac_settler *settler = arg;

	settler->wake_is_set = false;
	if (settler->engine)
		fac_engine_tick(settler->engine);
}

static void *run_thread(void *arg)
{
	struct fac_settler *settler = arg;

	fac_loop_run(settler->loop);
	return NULL;
}

static enum x402_err make_chains(struct fac_settler *settler,
	const struct fac_settler_options *options,
	struct fac_engine_chain *ret_chains)
{
	for (size_t i = 0; i < options->chains_len; i++) {
		const struct fac_settler_chain *chain = &options->chains[i];
		settler->networks[i] = chain->engine.network;
		struct fac_chain_options wanted = {.loop = settler->loop,
			.chain_id = chain->engine.network.chain_id,
			.svm_genesis = fac_chain_svm_genesis(
				&settler->networks[i]),
			.rpc_urls = chain->rpc_urls,
			.rpc_urls_len = chain->rpc_urls_len,
			.timeout_ms = chain->timeout_ms,
			.head_lag_max = chain->head_lag_max,
			.hedge_ms = chain->hedge_ms,
			.rps = chain->rps,
			.warn = warn_chain,
			.user = settler};
		enum x402_err err = fac_chain_new(&wanted, &settler->chains[i]);

		if (err)
			return err;
		settler->chains_len = i + 1;
		settler->timeouts_ms[i] = chain->timeout_ms;
		ret_chains[i] = chain->engine;
	}
	return X402_OK;
}

static enum x402_err make_engine(
	struct fac_settler *settler, const struct fac_engine_chain *chains)
{
	struct fac_engine_options options = {.chains = chains,
		.chains_len = settler->chains_len,
		.secp = settler->secp,
		.owner = settler->owner,
		.shared = fac_store_is_shared(settler->store),
		.ports = {.user = settler,
			.now_ms = port_now,
			.wall_ms = port_wall,
			.random = port_random,
			.wake = port_wake,
			.note = port_note,
			.store = port_store,
			.store_lag_ms = port_store_lag,
			.send_raw = port_send,
			.receipts = port_receipts,
			.nonce = port_nonce,
			.balance = port_balance,
			.block = port_block,
			.fees = port_fees,
			.call = port_call,
			.sent = port_sent,
			.logs = port_logs,
			.signatures = port_signatures,
			.signature = port_signature,
			.svm_balance = port_svm_balance}};

	return fac_engine_new(&options, &settler->engine);
}

static enum x402_err make_parts(
	struct fac_settler *settler, const struct fac_settler_options *options)
{
	struct fac_engine_chain chains[FAC_ENGINE_CHAINS_MAX];
	uint8_t seed32[32];
	enum x402_err err;

	randombytes_buf(seed32, sizeof(seed32));
	err = x402_secp256k1_new(seed32, &settler->secp);
	if (!err)
		err = fac_loop_new(&settler->loop);
	if (!err)
		err = fac_timer_new(
			settler->loop, on_wake, settler, &settler->wake);
	if (!err)
		err = fac_timer_new(
			settler->loop, on_drain, settler, &settler->drain);
	if (!err)
		err = make_chains(settler, options, chains);
	return err ? err : make_engine(settler, chains);
}

/*
 * A store in a file has one user, who finds its own work again by this name;
 * a shared one needs a name that nobody else has.
 */
static void name_instance(struct fac_settler *settler, const char *owner)
{
	uint8_t bytes[(FAC_OWNER_SIZE - 1) / 2];

	if (owner && *owner) {
		snprintf(settler->owner, sizeof(settler->owner), "%s", owner);
	} else if (fac_store_is_shared(settler->store)) {
		randombytes_buf(bytes, sizeof(bytes));
		(void)sodium_bin2hex(settler->owner, sizeof(settler->owner),
			bytes, sizeof(bytes));
	} else {
		snprintf(settler->owner, sizeof(settler->owner), "local");
	}
}

enum x402_err fac_settler_start(const struct fac_settler_options *options,
	struct fac_settler **ret_settler)
{
	struct fac_settler *settler;
	enum x402_err err;

	if (options->chains_len > FAC_ENGINE_CHAINS_MAX)
		return X402_ERR_INVALID_ARGUMENT;
	if (sodium_init() < 0)
		return X402_ERR_CRYPTO;
	settler = calloc(1, sizeof(*settler));
	if (!settler)
		return X402_ERR_NOMEM;
	settler->store = options->store;
	settler->note = options->note;
	settler->user = options->user;
	name_instance(settler, options->owner);
	err = make_parts(settler, options);
	if (!err && pthread_create(&settler->thread, NULL, run_thread, settler))
		err = X402_ERR_NOMEM;
	if (err) {
		free_settler(settler);
		return err;
	}
	*ret_settler = settler;
	return X402_OK;
}
