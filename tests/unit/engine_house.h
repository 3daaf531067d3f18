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

#include "core/engine.h"
#include "store/db_p.h"
#include "x402/transaction.h"

#include <stdio.h>
#include <unistd.h>

#define WORLD_NETWORK  "eip155:84532"
#define WORLD_TX_MAX   256
#define WORLD_PAYMENTS 64
#define WORLD_START_S  UINT64_C(1800000000)

struct event {
	struct event *next;
	void (*run)(struct event *event);
	struct world *world;
	struct fac_store_job *job;
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
	void (*block_done)(void *arg, enum x402_err err,
		const struct fac_chain_block *block);
	void (*fees_done)(void *arg, enum x402_err err,
		const struct fac_chain_fees *fees);
	void (*call_done)(void *arg, const struct x402_chain_answer *answer);
	void *arg;
};

struct world_tx {
	uint8_t hash32[32];
	struct x402_address sender;
	uint64_t nonce;
	int payment; /* -1: none of ours, a filler or a stranger's */
	bool mined;
	bool success;
	uint64_t block;
};

struct world_payment {
	bool used;
	uint64_t used_block;
	unsigned transfers; /* by our transactions */
	uint64_t valid_before;
};

struct world {
	char path[64];
	struct fac_db db;
	bool db_open;
	uint64_t now_ms;
	struct event *first;
	struct event **last;
	struct fac_engine *engine;
	struct x402_secp256k1 *secp;
	struct x402_secret keys[2];
	size_t keys_len;
	struct fac_engine_chain config;
	unsigned events_run;
	/* The chain. */
	struct world_tx txs[WORLD_TX_MAX];
	size_t txs_len;
	struct world_payment payments[WORLD_PAYMENTS];
	uint64_t head;
	uint64_t base_fee;
	bool mining;    /* a block each 100 ms */
	bool lies_logs; /* receipts without logs */
	/* Faults, while positive. */
	int store_faults;
	enum x402_err (*fault_verb)(struct fac_db *, struct fac_store_job *);
	int send_faults; /* taken, but the answer is lost */
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

static inline void job_free(struct fac_store_job *job)
{
	if (!job)
		return;
	fac_payment_clear(&job->payment);
	fac_transaction_clear(&job->transaction);
	for (size_t i = 0; i < 8; i++)
		free(job->texts[i]);
	for (size_t i = 0; i < job->reply.payments_len; i++)
		fac_payment_clear(&job->payments[i]);
	for (size_t i = 0; i < job->reply.transactions_len; i++)
		fac_transaction_clear(&job->transactions[i]);
	free(job->payments);
	free(job->transactions);
	free(job->events);
	free(job);
}

static inline void event_free(struct event *event)
{
	job_free(event->job);
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

/* ---- The store's ports. ---- */

static inline void run_store_reply(struct event *event)
{
	struct fac_store_job *job = event->job;

	job->reply.payments = job->payments;
	job->reply.transactions = job->transactions;
	job->reply.events = job->events;
	event->store_done(event->arg, &job->reply);
}

static inline void run_store_verb(struct event *event)
{
	struct world *w = event->world;
	struct fac_store_job *job = event->job;
	struct event *reply = event_new(w, run_store_reply, event->arg);

	reply->job = job;
	reply->store_done = event->store_done;
	event->job = NULL;
	if (w->store_faults > 0 &&
		(!w->fault_verb || w->fault_verb == job->run)) {
		w->store_faults--;
		job->reply.err = X402_ERR_STORE;
		return;
	}
	assert_int_equal(fac_db_exec(&w->db, "BEGIN IMMEDIATE"), X402_OK);
	job->reply.err = job->run(&w->db, job);
	assert_int_equal(
		fac_db_exec(&w->db, job->reply.err ? "ROLLBACK" : "COMMIT"),
		X402_OK);
}

typedef void (*store_done_fn)(void *arg, const struct fac_store_reply *reply);

static inline struct fac_store_job *store_event(struct world *w,
	enum x402_err (*run)(struct fac_db *, struct fac_store_job *),
	store_done_fn done, void *arg)
{
	struct event *event = event_new(w, run_store_verb, arg);

	event->job = calloc(1, sizeof(*event->job));
	assert_non_null(event->job);
	event->job->run = run;
	event->store_done = done;
	return event->job;
}

static inline void port_reserve(void *user, const struct fac_payment *payment,
	store_done_fn done, void *arg)
{
	fac_payment_copy(payment,
		&store_event(user, fac_db_reserve, done, arg)->payment);
}

static inline void port_release(void *user, const uint8_t key32[32],
	const char *note, store_done_fn done, void *arg)
{
	struct fac_store_job *job = store_event(
		user, fac_db_release, done, arg);

	memcpy(job->key32, key32, 32);
	job->texts[0] = strdup(note);
}

static inline void port_journal(void *user,
	const struct fac_transaction *transaction, store_done_fn done,
	void *arg)
{
	fac_transaction_copy(transaction,
		&store_event(user, fac_db_journal_signed, done, arg)
			 ->transaction);
}

static inline void port_hash(struct world *w, const uint8_t hash32[32],
	enum x402_err (*run)(struct fac_db *, struct fac_store_job *),
	store_done_fn done, void *arg)
{
	memcpy(store_event(w, run, done, arg)->key32, hash32, 32);
}

static inline void port_mark_broadcast(
	void *user, const uint8_t hash32[32], store_done_fn done, void *arg)
{
	port_hash(user, hash32, fac_db_mark_broadcast, done, arg);
}

static inline void port_mark_replaced(
	void *user, const uint8_t hash32[32], store_done_fn done, void *arg)
{
	port_hash(user, hash32, fac_db_mark_replaced, done, arg);
}

static inline void port_mark_mined(void *user, const uint8_t hash32[32],
	uint64_t block, store_done_fn done, void *arg)
{
	struct fac_store_job *job = store_event(
		user, fac_db_mark_mined, done, arg);

	memcpy(job->key32, hash32, 32);
	job->number = block;
}

static inline void port_finish(void *user, const struct fac_store_end *end,
	store_done_fn done, void *arg)
{
	store_event(user, fac_db_finish, done, arg)->end = *end;
}

static inline void port_credit(void *user, const uint8_t key32[32],
	const char *answer, store_done_fn done, void *arg)
{
	struct fac_store_job *job = store_event(user, fac_db_credit, done, arg);

	memcpy(job->key32, key32, 32);
	job->texts[0] = strdup(answer);
}

static inline void port_load(
	void *user, const char *network, store_done_fn done, void *arg)
{
	store_event(user, fac_db_load_unfinished, done, arg)->texts[0] = strdup(
		network);
}

static inline void port_floor(void *user, const char *network,
	const struct x402_address *signer, store_done_fn done, void *arg)
{
	struct fac_store_job *job = store_event(
		user, fac_db_next_nonce_floor, done, arg);

	job->texts[0] = strdup(network);
	job->transaction.signer = *signer;
}

static inline void port_revive(void *user, const char *network,
	const struct x402_address *signer, uint64_t nonce, store_done_fn done,
	void *arg)
{
	struct fac_store_job *job = store_event(user, fac_db_revive, done, arg);

	job->texts[0] = strdup(network);
	job->transaction.signer = *signer;
	job->number = nonce;
}

static inline char *maybe_dup(const char *text)
{
	return text ? strdup(text) : NULL;
}

static inline void port_get(void *user, struct fac_payment_query query,
	store_done_fn done, void *arg)
{
	struct fac_store_job *job = store_event(
		user, fac_db_payment_get, done, arg);

	job->texts[FAC_JOB_ID] = maybe_dup(query.id);
	job->texts[FAC_JOB_TRANSACTION] = maybe_dup(query.transaction);
	job->texts[FAC_JOB_SCOPE] = maybe_dup(query.idempotency_scope);
	job->texts[FAC_JOB_IDEMPOTENCY] = maybe_dup(query.idempotency_key);
	job->has_key32 = query.key32;
	if (query.key32)
		memcpy(job->key32, query.key32, 32);
	job->has_fingerprint32 = query.fingerprint32;
	if (query.fingerprint32)
		memcpy(job->fingerprint32, query.fingerprint32, 32);
}

/* ---- The chain. ---- */

static inline uint64_t chain_nonce(const struct world *w,
	const struct x402_address *sender, uint64_t block)
{
	uint64_t nonce = 0;

	for (size_t i = 0; i < w->txs_len; i++)
		if (w->txs[i].mined && w->txs[i].block <= block &&
			x402_address_equal(&w->txs[i].sender, sender))
			nonce++;
	return nonce;
}

static inline uint64_t block_time(const struct world *w, uint64_t number)
{
	(void)w;
	return WORLD_START_S + number;
}

static inline void execute(struct world *w, struct world_tx *tx)
{
	struct world_payment *payment;

	tx->mined = true;
	tx->block = w->head;
	tx->success = true;
	if (tx->payment < 0)
		return;
	payment = &w->payments[tx->payment];
	if (payment->used || block_time(w, w->head) >= payment->valid_before) {
		tx->success = false;
		return;
	}
	payment->used = true;
	payment->used_block = w->head;
	payment->transfers++;
}

static inline void world_mine(struct world *w)
{
	bool again = true;

	w->head++;
	while (again) {
		again = false;
		for (size_t i = 0; i < w->txs_len; i++) {
			struct world_tx *tx = &w->txs[i];

			if (tx->mined ||
				tx->nonce !=
					chain_nonce(w, &tx->sender, w->head))
				continue;
			execute(w, tx);
			again = true;
		}
	}
}

static inline struct world_tx *find_tx(
	struct world *w, const uint8_t hash32[32])
{
	for (size_t i = 0; i < w->txs_len; i++)
		if (memcmp(w->txs[i].hash32, hash32, 32) == 0)
			return &w->txs[i];
	return NULL;
}

static inline bool is_journalled(struct world *w, const uint8_t hash32[32])
{
	sqlite3_stmt *stmt = fac_db_prepare(
		&w->db, "SELECT 1 FROM transactions WHERE hash = ?1");
	bool row = false;

	fac_db_bind_bytes(stmt, 1, x402_span(hash32, 32));
	assert_int_equal(fac_db_row(&w->db, stmt, &row), X402_OK);
	sqlite3_reset(stmt);
	return row;
}

/* A stranger's transaction on a nonce of ours. */
static inline void world_steal_nonce(struct world *w, uint64_t nonce)
{
	struct world_tx *tx = &w->txs[w->txs_len++];

	*tx = (struct world_tx){.nonce = nonce, .payment = -1};
	memset(tx->hash32, 0xee, 32);
	assert_int_equal(x402_secret_address(w->secp, &w->keys[0], &tx->sender),
		X402_OK);
}

static inline enum fac_send_status take_tx(struct world *w, struct event *event)
{
	struct x402_transaction tx;
	struct x402_address sender;
	uint8_t hash32[32];
	struct world_tx *there;

	assert_int_equal(x402_transaction_decode(x402_buf_span(&event->raw),
				 &tx, &sender, hash32),
		X402_OK);
	assert_memory_equal(hash32, event->hashes[0], 32);
	/* R1: nothing leaves that is not durable. */
	assert_true(is_journalled(w, hash32));
	if (w->send_status >= 0)
		return (enum fac_send_status)w->send_status;
	if (find_tx(w, hash32))
		return find_tx(w, hash32)->mined ? FAC_SEND_NONCE_TOO_LOW
						 : FAC_SEND_ALREADY_KNOWN;
	if (tx.nonce < chain_nonce(w, &sender, w->head))
		return FAC_SEND_NONCE_TOO_LOW;
	assert_in_range(w->txs_len, 0, WORLD_TX_MAX - 1);
	there = &w->txs[w->txs_len++];
	*there = (struct world_tx){
		.sender = sender, .nonce = tx.nonce, .payment = -1};
	memcpy(there->hash32, hash32, 32);
	/* Calldata of payment i is i, twice. */
	if (tx.data.len == 2)
		there->payment = tx.data.ptr[0];
	else
		assert_int_equal(tx.data.len, 0);
	return FAC_SEND_ACCEPTED;
}

static inline void run_send(struct event *event)
{
	struct fac_send_outcome outcome = {.message = "said so"};
	struct world *w = event->world;

	outcome.status = take_tx(w, event);
	if (w->send_faults > 0) {
		w->send_faults--;
		outcome.status = FAC_SEND_FAULT;
	}
	event->send_done(event->arg, &outcome);
}

static inline void port_send(void *user, size_t chain, struct x402_span raw,
	const uint8_t hash32[32],
	void (*done)(void *arg, const struct fac_send_outcome *outcome),
	void *arg)
{
	struct event *event = event_new(user, run_send, arg);

	assert_int_equal(chain, 0);
	x402_buf_add(&event->raw, raw);
	memcpy(event->hashes[0], hash32, 32);
	event->send_done = done;
}

static inline void address_topic(
	const struct x402_address *address, uint8_t ret_topic[32])
{
	memset(ret_topic, 0, 12);
	memcpy(ret_topic + 12, address->bytes, 20);
}

static inline void payment_proof(
	unsigned index, struct x402_settle_proof *ret_proof)
{
	memset(ret_proof, 0, sizeof(*ret_proof));
	memset(ret_proof->asset.bytes, 0xaa, 20);
	memset(ret_proof->from.bytes, 0x10 + (int)index, 20);
	memset(ret_proof->to.bytes, 0x77, 20);
	ret_proof->value = x402_u256_from_u64(1000 + index);
	memset(ret_proof->nonce32, (int)index + 1, 32);
}

static inline void make_logs(
	unsigned index, struct x402_log logs[2], uint8_t value32[32])
{
	struct x402_settle_proof proof;

	payment_proof(index, &proof);
	x402_u256_to_be32(&proof.value, value32);
	memset(logs, 0, 2 * sizeof(*logs));
	logs[0].address = logs[1].address = proof.asset;
	logs[0].topics_len = logs[1].topics_len = 3;
	x402_keccak256(x402_span_str("AuthorizationUsed(address,bytes32)"),
		logs[0].topics[0]);
	address_topic(&proof.from, logs[0].topics[1]);
	memcpy(logs[0].topics[2], proof.nonce32, 32);
	x402_keccak256(x402_span_str("Transfer(address,address,uint256)"),
		logs[1].topics[0]);
	address_topic(&proof.from, logs[1].topics[1]);
	address_topic(&proof.to, logs[1].topics[2]);
	logs[1].data = x402_span(value32, 32);
}

static inline void run_receipts(struct event *event)
{
	static struct fac_chain_receipt receipts[FAC_CHAIN_RECEIPTS_MAX];
	static struct x402_log logs[FAC_CHAIN_RECEIPTS_MAX][2];
	static uint8_t values[FAC_CHAIN_RECEIPTS_MAX][32];
	struct world *w = event->world;

	memset(receipts, 0, sizeof(receipts));
	for (size_t i = 0; i < event->hashes_len; i++) {
		const struct world_tx *tx = find_tx(w, event->hashes[i]);

		if (w->receipt_faults > 0) {
			receipts[i].status = FAC_RECEIPT_FAULT;
			continue;
		}
		if (!tx || !tx->mined)
			continue;
		receipts[i].status = FAC_RECEIPT_FOUND;
		receipts[i].receipt.success = tx->success;
		receipts[i].receipt.block_number = tx->block;
		memcpy(receipts[i].receipt.transaction_hash32, tx->hash32, 32);
		if (tx->payment >= 0 && tx->success && !w->lies_logs) {
			make_logs((unsigned)tx->payment, logs[i], values[i]);
			receipts[i].receipt.logs = logs[i];
			receipts[i].receipt.logs_len = 2;
		}
	}
	if (w->receipt_faults > 0)
		w->receipt_faults--;
	event->receipts_done(event->arg, receipts, event->hashes_len);
}

static inline void port_receipts(void *user, size_t chain,
	const uint8_t (*hashes32)[32], size_t hashes_len,
	void (*done)(void *arg, const struct fac_chain_receipt *receipts,
		size_t len),
	void *arg)
{
	struct event *event = event_new(user, run_receipts, arg);

	(void)chain;
	memcpy(event->hashes, hashes32, hashes_len * 32);
	event->hashes_len = hashes_len;
	event->receipts_done = done;
}

static inline bool chain_faults(struct world *w)
{
	if (w->chain_faults <= 0)
		return false;
	w->chain_faults--;
	return true;
}

static inline void run_nonce(struct event *event)
{
	struct world *w = event->world;
	uint64_t block = event->nonce.tag == FAC_NONCE_AT_BLOCK
		? event->nonce.block
		: w->head;

	if (chain_faults(w))
		event->nonce_done(event->arg, X402_ERR_CHAIN, 0);
	else
		event->nonce_done(event->arg, X402_OK,
			chain_nonce(w, &event->nonce.address, block));
}

static inline void port_nonce(void *user, size_t chain,
	const struct fac_nonce_query *query,
	void (*done)(void *arg, enum x402_err err, uint64_t nonce), void *arg)
{
	struct event *event = event_new(user, run_nonce, arg);

	(void)chain;
	event->nonce = *query;
	event->nonce_done = done;
}

static inline void run_block(struct event *event)
{
	struct world *w = event->world;
	struct fac_chain_block block = {.number = event->block};

	if (block.number == FAC_CHAIN_LATEST)
		block.number = w->head;
	block.timestamp_unix_s = block_time(w, block.number);
	event->block_done(
		event->arg, chain_faults(w) ? X402_ERR_CHAIN : X402_OK, &block);
}

static inline void port_block(void *user, size_t chain, uint64_t number,
	void (*done)(void *arg, enum x402_err err,
		const struct fac_chain_block *block),
	void *arg)
{
	struct event *event = event_new(user, run_block, arg);

	(void)chain;
	event->block = number;
	event->block_done = done;
}

static inline void run_fees(struct event *event)
{
	struct fac_chain_fees fees = {
		.base_fee_per_gas = x402_u256_from_u64(event->world->base_fee),
		.max_priority_fee_per_gas = x402_u256_from_u64(1)};

	event->fees_done(event->arg,
		chain_faults(event->world) ? X402_ERR_CHAIN : X402_OK, &fees);
}

static inline void port_fees(void *user, size_t chain,
	void (*done)(void *arg, enum x402_err err,
		const struct fac_chain_fees *fees),
	void *arg)
{
	struct event *event = event_new(user, run_fees, arg);

	(void)chain;
	event->fees_done = done;
}

/* authorizationState: calldata is the payment's index. */
static inline void run_call(struct event *event)
{
	struct world *w = event->world;
	uint8_t word[32] = {0};
	struct x402_chain_answer answer = {.data = x402_span(word, 32)};
	const struct world_payment *payment = &w->payments[event->raw.ptr[0]];

	word[31] = payment->used &&
		(event->block == FAC_CHAIN_LATEST ||
			payment->used_block <= event->block);
	if (chain_faults(w))
		answer.status = X402_ANSWER_FAULT;
	event->call_done(event->arg, &answer);
}

static inline void port_call(void *user, size_t chain,
	const struct x402_address *to, struct x402_span calldata,
	uint64_t block,
	void (*done)(void *arg, const struct x402_chain_answer *answer),
	void *arg)
{
	struct event *event = event_new(user, run_call, arg);

	(void)chain;
	(void)to;
	x402_buf_add(&event->raw, calldata);
	event->block = block;
	event->call_done = done;
}

/* ---- Clock, chance. ---- */

static inline uint64_t port_now(void *user)
{
	return ((struct world *)user)->now_ms;
}

static inline void port_random(void *user, uint8_t *bytes, size_t len)
{
	static uint64_t count;

	(void)user;
	memset(bytes, 0, len);
	count++;
	memcpy(bytes, &count, len < 8 ? len : 8);
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
		.ports = {.user = w,
			.now_ms = port_now,
			.random = port_random,
			.wake = port_wake,
			.reserve = port_reserve,
			.release = port_release,
			.journal_signed = port_journal,
			.mark_broadcast = port_mark_broadcast,
			.mark_replaced = port_mark_replaced,
			.mark_mined = port_mark_mined,
			.finish = port_finish,
			.credit = port_credit,
			.load_unfinished = port_load,
			.next_nonce_floor = port_floor,
			.revive = port_revive,
			.payment_get = port_get,
			.send_raw = port_send,
			.receipts = port_receipts,
			.nonce = port_nonce,
			.block = port_block,
			.fees = port_fees,
			.call = port_call}};
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

		if (w->first->receipts_done)
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
	w->send_status = -1;
	w->mining = true;
	w->keys_len = 1;
	memset(w->keys[0].bytes, 0x11, 32);
	memset(w->keys[1].bytes, 0x22, 32);
	snprintf(w->path, sizeof(w->path), "/tmp/x402-engine-%d-%u.sqlite",
		(int)getpid(), ++count);
	unlink(w->path);
	assert_int_equal(fac_db_open(w->path, &info, &w->db), X402_OK);
	/* A crash of the world is no crash of the machine. */
	assert_int_equal(
		fac_db_exec(&w->db, "PRAGMA synchronous = OFF"), X402_OK);
	assert_int_equal(x402_secp256k1_new(seed, &w->secp), X402_OK);
	assert_int_equal(
		x402_network_parse(WORLD_NETWORK, &w->config.network), X402_OK);
	w->config.proof_depth = 3;
	for (size_t i = 0; i < WORLD_PAYMENTS; i++)
		w->payments[i].valid_before = WORLD_START_S + 600;
	return w;
}

static inline void world_free(struct world *w)
{
	char name[80];

	world_crash(w);
	fac_db_close(&w->db);
	x402_secp256k1_free(w->secp);
	unlink(w->path);
	snprintf(name, sizeof(name), "%s.lock", w->path);
	unlink(name);
	snprintf(name, sizeof(name), "%s-wal", w->path);
	unlink(name);
	snprintf(name, sizeof(name), "%s-shm", w->path);
	unlink(name);
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
};

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
	plan->call_to = proof.asset;
	x402_buf_add_byte(&plan->calldata, index);
	x402_buf_add_byte(&plan->calldata, index);
	x402_buf_add_byte(&plan->state_calldata, index);
	plan->gas_limit = 100000;
	return fac_engine_settle(w->engine, &request, on_told, told);
}

static inline void world_row(
	struct world *w, unsigned payment, struct fac_payment *ret_row)
{
	struct fac_store_job job = {0};
	uint8_t key32[32];

	memset(key32, 0x40 + (int)payment, 32);
	assert_int_equal(fac_db_load_payment(&w->db, key32, &job), X402_OK);
	*ret_row = job.payments[0];
	free(job.payments);
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
