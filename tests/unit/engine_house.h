/*
 * A world for the engine: the store's real SQL verbs, run one by one on a
 * scratch file, and a chain of a page. Every port call becomes events in one
 * queue (a store verb is two: it becomes durable, then it is answered), so a
 * test can stop the world between any two of them, drop what is queued, and
 * start another engine on the same store and chain: a crash.
 *
 * The chain checks R1 itself: bytes that are not in the journal fail the test.
 */
#ifndef ENGINE_HOUSE_H
#define ENGINE_HOUSE_H

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include "cmocka_house.h"
#include "sqlite_house.h"

#include "core/engine.h"
#include "x402/abi.h"
#include "x402/permit2.h"
#include "x402/transaction.h"

#include <stdio.h>
#include <unistd.h>

#define WORLD_NETWORK  "eip155:84532"
#define WORLD_TX_MAX   256
#define WORLD_PAYMENTS 64
#define WORLD_START_S  UINT64_C(1800000000)
#define WORLD_FORKS    8

struct event {
	struct event *next;
	void (*run)(struct event *event);
	struct world *world;
	struct fac_verb *verb;
	void (*store_done)(void *arg, const struct fac_store_reply *reply);
	/* Chain calls. */
	struct x402_buf raw;
	uint8_t hashes[FAC_CHAIN_RECEIPTS_MAX][32];
	size_t hashes_len;
	struct fac_nonce_query nonce;
	uint64_t block;
	void (*send_done)(void *arg, const struct fac_send_outcome *outcome);
	void (*receipts_done)(
		void *arg, const struct fac_chain_receipt *r, size_t len);
	void (*nonce_done)(void *arg, enum x402_err err, uint64_t nonce);
	void (*balance_done)(
		void *arg, enum x402_err err, const struct x402_u256 *wei);
	void (*block_done)(void *arg, enum x402_err err,
		const struct fac_chain_block *block);
	void (*fees_done)(void *arg, enum x402_err err,
		const struct fac_chain_fees *fees);
	void (*call_done)(void *arg, const struct x402_chain_answer *answer);
	void (*logs_done)(void *arg, enum x402_err err,
		const struct fac_chain_log *logs, size_t len);
	void *arg;
};

struct world_tx {
	uint8_t hash32[32];
	struct x402_address sender;
	uint64_t nonce;
	uint64_t gas_limit;
	uint64_t max_fee;
	uint64_t max_priority;
	uint64_t value;
	struct x402_address to;
	uint8_t payments[WORLD_PAYMENTS];
	bool paid[WORLD_PAYMENTS];
	size_t payments_len; /* 0: none of ours, a filler or a stranger's */
	bool batch;
	bool mined;
	bool success;
	bool gone; /* replaced in the mempool, or dropped from it */
	uint64_t block;
};

struct world_payment {
	bool used;
	uint64_t used_block;
	unsigned transfers; /* of its money */
	uint64_t valid_before;
	bool fails_in_company;
	bool fails;      /* always, though its authorization stays unused */
	bool delegation; /* pays as often as it is redeemed */
};

struct world {
	char path[64];
	struct fac_sqlite db;
	bool db_open;
	uint64_t now_ms;
	struct event *first;
	struct event **last;
	struct fac_engine *engine;
	const char *owner;
	bool shared;
	size_t max_waiters;
	uint64_t store_lag_ms; /* that the store says */
	struct x402_secp256k1 *secp;
	struct x402_secret keys[2];
	size_t keys_len;
	struct fac_engine_chain config;
	unsigned events_run;
	unsigned notes; /* warnings for the log, and the last of them */
	char note[256];
	unsigned sends; /* raw transactions that the node was given */
	unsigned calls; /* of its methods, as a public endpoint counts them */
	/* The chain. */
	struct world_tx txs[WORLD_TX_MAX];
	size_t txs_len;
	struct world_payment payments[WORLD_PAYMENTS];
	uint64_t head;
	uint64_t forks[WORLD_FORKS]; /* blocks from which on it forked */
	size_t forks_len;
	uint64_t base_fee;
	uint64_t gas_limit;   /* that blocks say they have */
	bool names;           /* blocks say what is in them */
	uint64_t balance;     /* wei, of every signer */
	uint64_t gas_each;    /* of a payment in a receipt */
	unsigned simulations; /* of a payment's own call */
	bool has_multicall;
	bool burns_gas;  /* receipts say that all of it was used */
	bool mining;     /* a block each 100 ms */
	bool lies_logs;  /* receipts without logs */
	bool moves_none; /* authorizations are used, no Transfer comes */
	/* Faults, while positive. */
	int store_faults;
	bool fault_is_durable; /* it is written, and STORE is said */
	uint64_t call_lag;     /* blocks that eth_call's node is behind */
	enum fac_verb_kind fault_verb; /* this one; 0: any */
	int send_faults;               /* taken, but the answer is lost */
	int send_status; /* -1: natural; else say this and drop the bytes */
	int receipt_faults;
	int chain_faults;
};

/* What a caller was told. */
struct told {
	unsigned times;
	struct fac_settle_result result;
	char answer[1024];
};

static inline void on_told(void *user, const struct fac_settle_result *result)
{
	struct told *told = user;

	told->times++;
	told->result = *result;
	snprintf(told->answer, sizeof(told->answer), "%s",
		result->answer ? result->answer : "");
}

/* ---- Events. ---- */

static inline struct event *event_new(
	struct world *w, void (*run)(struct event *event), void *arg)
{
	struct event *event = calloc(1, sizeof(*event));

	assert_non_null(event);
	event->run = run;
	event->world = w;
	event->arg = arg;
	*w->last = event;
	w->last = &event->next;
	return event;
}

static inline void event_free(struct event *event)
{
	fac_verb_free(event->verb);
	x402_buf_clear(&event->raw);
	free(event);
}

/* False when nothing is queued. */
static inline bool world_step(struct world *w)
{
	struct event *event = w->first;

	if (!event)
		return false;
	w->first = event->next;
	if (!w->first)
		w->last = &w->first;
	w->events_run++;
	event->run(event);
	event_free(event);
	return true;
}

/* ---- The store's port. ---- */

static inline void run_store_reply(struct event *event)
{
	event->store_done(event->arg, fac_verb_reply(event->verb));
}

static inline void run_store_verb(struct event *event)
{
	struct world *w = event->world;
	struct event *reply = event_new(w, run_store_reply, event->arg);

	reply->verb = event->verb;
	reply->store_done = event->store_done;
	event->verb = NULL;
	if (w->store_faults > 0 &&
		(!w->fault_verb || w->fault_verb == reply->verb->kind)) {
		w->store_faults--;
		if (w->fault_is_durable) {
			fac_sqlite_run(&w->db, reply->verb);
			fac_verb_reset(reply->verb);
		}
		reply->verb->reply.err = X402_ERR_STORE;
		return;
	}
	fac_sqlite_run(&w->db, reply->verb);
}

typedef void (*store_done_fn)(void *arg, const struct fac_store_reply *reply);

static inline void port_store(
	void *user, struct fac_verb *verb, store_done_fn done, void *arg)
{
	struct event *event = event_new(user, run_store_verb, arg);

	event->verb = verb;
	event->store_done = done;
}

#include "engine_chain.h"

/* ---- Clock, chance. ---- */

static inline uint64_t port_now(void *user)
{
	return ((struct world *)user)->now_ms;
}

static inline uint64_t port_store_lag(void *user)
{
	return ((struct world *)user)->store_lag_ms;
}

static inline void port_random(void *user, uint8_t *bytes, size_t len)
{
	static uint64_t count;

	(void)user;
	memset(bytes, 0, len);
	count++;
	memcpy(bytes, &count, len < 8 ? len : 8);
}

static inline void port_note(void *user, bool warning, const char *text)
{
	struct world *w = user;

	if (!warning)
		return;
	w->notes++;
	snprintf(w->note, sizeof(w->note), "%.255s", text);
}

static inline void port_wake(void *user, uint64_t delay_ms)
{
	(void)user; /* the test ticks all the time */
	(void)delay_ms;
}

/* ---- The world. ---- */

static inline void world_boot(struct world *w)
{
	const struct x402_secret *signers[2] = {&w->keys[0], &w->keys[1]};
	struct fac_engine_chain chain = w->config;
	struct fac_engine_options options = {.chains = &chain,
		.chains_len = 1,
		.secp = w->secp,
		.owner = w->owner,
		.shared = w->shared,
		.max_waiters = w->max_waiters,
		.ports = {.user = w,
			.now_ms = port_now,
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
			.logs = port_logs}};
	static const struct x402_secret *kept[2];

	/* The engine borrows the list of keys. */
	memcpy(kept, signers, sizeof(kept));
	chain.signers = kept;
	chain.signers_len = w->keys_len;
	assert_int_equal(fac_engine_new(&options, &w->engine), X402_OK);
}

/*
 * A call that will never be answered: what the engine keeps for its answer is
 * lost with the process, which LeakSanitizer cannot know.
 */
static inline void lose(const void *arg)
{
#if defined(__SANITIZE_ADDRESS__)
	__lsan_ignore_object(arg);
#else
	(void)arg;
#endif
}

static inline void world_drop_events(struct world *w)
{
	while (w->first) {
		struct event *next = w->first->next;

		lose(w->first->arg);
		event_free(w->first);
		w->first = next;
	}
	w->last = &w->first;
}

/* kill -9: what was not durable is gone, and so is who waited. */
static inline void world_crash(struct world *w)
{
	world_drop_events(w);
	fac_engine_free(w->engine);
	w->engine = NULL;
	world_drop_events(w);
}

static inline struct world *world_new(void)
{
	static unsigned count;
	struct world *w = calloc(1, sizeof(*w));
	struct x402_errinfo info;
	uint8_t seed[32] = {7};

	assert_non_null(w);
	w->last = &w->first;
	w->now_ms = WORLD_START_S * 1000;
	w->base_fee = 10;
	w->gas_limit = 30000000;
	w->gas_each = 50000;
	w->send_status = -1;
	w->mining = true;
	w->keys_len = 1;
	memset(w->keys[0].bytes, 0x11, 32);
	memset(w->keys[1].bytes, 0x22, 32);
	snprintf(w->path, sizeof(w->path), "%s/x402-engine-%d-%u.sqlite",
		scratch_root(), (int)getpid(), ++count);
	sqlite_house_make(w->path);
	assert_int_equal(
		fac_sqlite_open(&(struct fac_store_options){.path = w->path},
			&info, &w->db),
		X402_OK);
	/* A crash of the world is no crash of the machine. */
	assert_int_equal(sqlite3_exec(w->db.sqlite, "PRAGMA synchronous = OFF",
				 NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(x402_secp256k1_new(seed, &w->secp), X402_OK);
	assert_int_equal(
		x402_network_parse(WORLD_NETWORK, &w->config.network), X402_OK);
	w->owner = "local";
	w->balance = UINT64_C(1000000000000000000);
	w->config.proof_depth = 3;
	w->config.confirmations = 1;
	w->config.credit_preempted = true;
	for (size_t i = 0; i < WORLD_PAYMENTS; i++)
		w->payments[i].valid_before = WORLD_START_S + 600;
	return w;
}

/* Payments that may share transactions do. */
static inline void world_allow_batches(struct world *w)
{
	w->has_multicall = true;
	memset(w->config.tokens[0].bytes, 0xaa, 20);
	w->config.tokens_len = 1;
}

static inline void world_free(struct world *w)
{
	world_crash(w);
	fac_sqlite_close(&w->db);
	x402_secp256k1_free(w->secp);
	scratch_remove(w->path);
	free(w);
}

/* Let ms pass: 20 ms at a time, a block each 100 ms when mining. */
static inline void world_run(struct world *w, uint64_t ms)
{
	for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
		w->now_ms += 20;
		if (w->mining && w->now_ms % 100 == 0)
			world_mine(w);
		fac_engine_tick(w->engine);
		while (world_step(w))
			;
		fac_engine_tick(w->engine);
	}
}

/* The same, but a crash after that many events. False: it never came. */
static inline bool world_run_until_event(
	struct world *w, uint64_t ms, unsigned events)
{
	unsigned until = w->events_run + events;

	for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
		w->now_ms += 20;
		if (w->mining && w->now_ms % 100 == 0)
			world_mine(w);
		fac_engine_tick(w->engine);
		do {
			if (w->events_run >= until)
				return true;
		} while (world_step(w));
		fac_engine_tick(w->engine);
	}
	return false;
}

struct asking {
	unsigned payment;
	uint8_t fingerprint; /* 0: the payment's own */
	const char *key;     /* idempotency key, or NULL */
	uint64_t wait_ms;    /* 0: 10 s */
	bool recall;
	bool alone;
	uint64_t gas_limit; /* 0: 100,000 */
	bool permit2;       /* its state is a word of Permit2's */
	bool delegation;    /* bound to the signer of this index, ... */
	unsigned delegate;
	uint64_t send_within_s; /* ... and to a time; 0: 60 */
	size_t more_bytes;      /* of calldata */
};

/* As the scheme does: redeemDelegations' selector, the sender, a time. */
static inline void world_bind(
	struct world *w, struct asking asking, struct x402_settle_plan *plan)
{
	static const uint8_t selector[4] = {0xce, 0xf6, 0xd2, 0x09};
	struct x402_address delegate;

	assert_int_equal(x402_secret_address(
				 w->secp, &w->keys[asking.delegate], &delegate),
		X402_OK);
	memset(plan->call_to.bytes, 0xbb, 20);
	plan->valid_before_unix_s = UINT64_MAX;
	w->payments[asking.payment].valid_before = UINT64_MAX;
	w->payments[asking.payment].delegation = true;
	x402_abi_add_selector(&plan->state_calldata, selector);
	x402_abi_add_address(&plan->state_calldata, &delegate);
	x402_abi_add_u64(&plan->state_calldata,
		w->now_ms / 1000 +
			(asking.send_within_s ? asking.send_within_s : 60));
}

static inline uint64_t world_settle(
	struct world *w, struct asking asking, struct told *told)
{
	struct x402_settle_proof proof;
	struct fac_settle_request request = {.has_plan = !asking.recall,
		.x402_version = 2,
		.scheme = "exact",
		.wire_network = WORLD_NETWORK,
		.idempotency_scope = asking.key ? "caller" : NULL,
		.idempotency_key = asking.key,
		.may_repeat = asking.key,
		.deadline_unix_ms = w->now_ms +
			(asking.wait_ms ? asking.wait_ms : 10000)};
	uint8_t index = (uint8_t)asking.payment;
	struct x402_settle_plan *plan = &request.plan;

	memset(told, 0, sizeof(*told));
	memset(request.fingerprint32,
		asking.fingerprint ? asking.fingerprint : 0x80 + index, 32);
	memset(request.payload_hash32, 0xc0 + index, 32);
	if (asking.recall)
		return fac_engine_settle(w->engine, &request, on_told, told);
	payment_proof(index, &proof);
	memset(plan->key.bytes, 0x40 + index, 32);
	plan->network = w->config.network;
	plan->amount = proof.value;
	plan->payer = proof.from;
	plan->pay_to = proof.to;
	memcpy(plan->nonce32, proof.nonce32, 32);
	plan->valid_before_unix_s = w->payments[index].valid_before;
	plan->asset_address = proof.asset;
	plan->call_to = proof.asset;
	x402_buf_add_byte(&plan->calldata, index);
	x402_buf_add_byte(&plan->calldata, index);
	for (size_t i = 0; i < asking.more_bytes; i++)
		x402_buf_add_byte(&plan->calldata, 0);
	if (asking.permit2) {
		struct x402_u256 nonce = x402_u256_from_be32(proof.nonce32);

		plan->call_to = *x402_permit2_proxy(X402_PERMIT2_EXACT);
		x402_permit2_state_calldata(
			&proof.from, &nonce, &plan->state_calldata);
	} else if (asking.delegation) {
		world_bind(w, asking, plan);
	} else {
		x402_buf_add_byte(&plan->state_calldata, index);
	}
	plan->gas_limit = asking.gas_limit ? asking.gas_limit : 100000;
	plan->may_share = !asking.alone;
	return fac_engine_settle(w->engine, &request, on_told, told);
}

static inline void world_row(
	struct world *w, unsigned payment, struct fac_payment *ret_row)
{
	struct fac_verb *verb;
	uint8_t key32[32];

	memset(key32, 0x40 + (int)payment, 32);
	verb = fac_verb_payment_get((struct fac_payment_query){.key32 = key32});
	fac_sqlite_run(&w->db, verb);
	assert_int_equal(fac_verb_reply(verb)->err, X402_OK);
	fac_payment_copy(&fac_verb_reply(verb)->payments[0], ret_row);
	fac_verb_free(verb);
}

static inline enum fac_payment_state world_state(
	struct world *w, unsigned payment)
{
	struct fac_payment row;
	enum fac_payment_state state;

	world_row(w, payment, &row);
	state = row.state;
	fac_payment_clear(&row);
	return state;
}

static inline int world_count(struct world *w, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int count = -1;

	assert_int_equal(sqlite3_prepare_v2(w->db.sqlite, sql, -1, &stmt, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	count = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return count;
}

#endif
