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
#include "store/sqlite_p.h"
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
	uint64_t max_fee;
	uint64_t max_priority;
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
	bool fails; /* always, though its authorization stays unused */
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
	uint64_t forks[WORLD_FORKS]; /* blocks from which on it forked */
	size_t forks_len;
	uint64_t base_fee;
	uint64_t balance; /* wei, of every signer */
	bool has_multicall;
	bool mining;    /* a block each 100 ms */
	bool lies_logs;  /* receipts without logs */
	bool moves_none; /* authorizations are used, no Transfer comes */
	/* Faults, while positive. */
	int store_faults;
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

/* A block's hash: its number, and the forks that it came after. */
static inline void block_hash(
	const struct world *w, uint64_t number, uint8_t ret_hash32[32])
{
	uint64_t forks = 0;

	for (size_t i = 0; i < w->forks_len; i++)
		forks += w->forks[i] <= number;
	memset(ret_hash32, 0x5b, 32);
	memcpy(ret_hash32, &number, 8);
	memcpy(ret_hash32 + 8, &forks, 8);
}

static inline bool pay(
	struct world *w, const struct world_tx *tx, uint8_t index)
{
	struct world_payment *payment = &w->payments[index];

	if (payment->used || payment->fails ||
		(payment->fails_in_company && tx->batch) ||
		block_time(w, w->head) >= payment->valid_before)
		return false;
	payment->used = true;
	payment->used_block = w->head;
	payment->transfers++;
	return true;
}

static inline void execute(struct world *w, struct world_tx *tx)
{
	tx->mined = true;
	tx->block = w->head;
	tx->success = true;
	for (size_t i = 0; i < tx->payments_len; i++) {
		tx->paid[i] = pay(w, tx, tx->payments[i]);
		if (!tx->paid[i] && !tx->batch)
			tx->success = false;
	}
}

static inline void world_mine(struct world *w)
{
	bool again = true;

	w->head++;
	while (again) {
		again = false;
		for (size_t i = 0; i < w->txs_len; i++) {
			struct world_tx *tx = &w->txs[i];

			if (tx->mined || tx->gone ||
				tx->max_fee < w->base_fee ||
				tx->nonce !=
					chain_nonce(w, &tx->sender, w->head))
				continue;
			execute(w, tx);
			again = true;
		}
	}
}

/* The last blocks fall out; lost: their transactions leave the mempool too. */
static inline void world_reorg(struct world *w, uint64_t blocks, bool lost)
{
	uint64_t from = w->head - blocks + 1;

	assert_in_range(w->forks_len, 0, WORLD_FORKS - 1);
	w->forks[w->forks_len++] = from;
	for (size_t i = 0; i < w->txs_len; i++) {
		struct world_tx *tx = &w->txs[i];

		if (!tx->mined || tx->block < from)
			continue;
		tx->mined = false;
		tx->gone = lost;
		for (size_t at = 0; at < tx->payments_len; at++) {
			struct world_payment *payment =
				&w->payments[tx->payments[at]];

			if (!tx->paid[at])
				continue;
			payment->used = false;
			payment->transfers--;
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
	sqlite3_stmt *stmt = NULL;
	bool row;

	assert_int_equal(sqlite3_prepare_v2(w->db.sqlite,
				 "SELECT 1 FROM attempts WHERE hash = ?1", -1,
				 &stmt, NULL),
		SQLITE_OK);
	sqlite3_bind_blob(stmt, 1, hash32, 32, SQLITE_STATIC);
	row = sqlite3_step(stmt) == SQLITE_ROW;
	sqlite3_finalize(stmt);
	return row;
}

/* A stranger's transaction on a nonce of ours. */
static inline void world_steal_nonce(struct world *w, uint64_t nonce)
{
	struct world_tx *tx = &w->txs[w->txs_len++];

	*tx = (struct world_tx){.nonce = nonce, .max_fee = UINT64_MAX};
	memset(tx->hash32, 0xee, 32);
	assert_int_equal(x402_secret_address(w->secp, &w->keys[0], &tx->sender),
		X402_OK);
}

/* A stranger lands a payment; mined with the next block. */
static inline void world_preempt(struct world *w, uint8_t payment)
{
	struct world_tx *tx = &w->txs[w->txs_len++];

	*tx = (struct world_tx){.max_fee = UINT64_MAX,
		.payments = {payment},
		.payments_len = 1};
	memset(tx->hash32, 0xdd, 32);
	tx->hash32[0] = payment;
	memset(tx->sender.bytes, 0x99, 20);
	tx->nonce = 0;
	for (size_t i = 0; i + 1 < w->txs_len; i++)
		tx->nonce += x402_address_equal(&w->txs[i].sender, &tx->sender);
}

/* The payments of a call: calldata of payment i is i, twice. */
static inline void read_payments(
	const struct x402_transaction *plain, struct world_tx *tx)
{
	static const uint8_t aggregate3[4] = {0x82, 0xad, 0x56, 0xcb};
	const uint8_t *data = plain->data.ptr;
	size_t count;

	if (!plain->data.len)
		return;
	if (plain->data.len == 2) {
		tx->payments[tx->payments_len++] = data[0];
		return;
	}
	/* selector, offset, count, offsets; elements of five words. */
	assert_memory_equal(data, aggregate3, 4);
	count = data[4 + 63];
	assert_int_equal(plain->data.len, 4 + 64 + count * 32 + count * 160);
	tx->batch = true;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *call = data + 4 + 64 + count * 32 + i * 160;

		assert_int_equal(call[63], 1); /* allowed to fail alone */
		assert_int_equal(call[128], call[129]);
		tx->payments[tx->payments_len++] = call[128];
	}
}

/* Nodes take another on the same nonce for a tenth more. */
static inline enum fac_send_status replace(
	struct world *w, const struct world_tx *tx)
{
	for (size_t i = 0; i < w->txs_len; i++) {
		struct world_tx *there = &w->txs[i];

		if (there->mined || there->gone || there->nonce != tx->nonce ||
			!x402_address_equal(&there->sender, &tx->sender))
			continue;
		if (tx->max_fee * 10 < there->max_fee * 11 ||
			tx->max_priority * 10 < there->max_priority * 11)
			return FAC_SEND_UNDERPRICED;
		there->gone = true;
	}
	return FAC_SEND_ACCEPTED;
}

static inline enum fac_send_status take_tx(struct world *w, struct event *event)
{
	struct x402_transaction plain;
	struct world_tx tx = {0};
	struct world_tx *there;
	enum fac_send_status status;

	assert_int_equal(x402_transaction_decode(x402_buf_span(&event->raw),
				 &plain, &tx.sender, tx.hash32),
		X402_OK);
	assert_memory_equal(tx.hash32, event->hashes[0], 32);
	/* R1: nothing leaves that is not durable. */
	assert_true(is_journalled(w, tx.hash32));
	if (w->send_status >= 0)
		return (enum fac_send_status)w->send_status;
	there = find_tx(w, tx.hash32);
	if (there && there->gone && !there->mined) {
		there->gone = false; /* dropped once, and here again */
		return FAC_SEND_ACCEPTED;
	}
	if (there)
		return there->mined ? FAC_SEND_NONCE_TOO_LOW
				    : FAC_SEND_ALREADY_KNOWN;
	if (plain.nonce < chain_nonce(w, &tx.sender, w->head))
		return FAC_SEND_NONCE_TOO_LOW;
	tx.nonce = plain.nonce;
	assert_true(x402_u256_to_u64(&plain.max_fee_per_gas, &tx.max_fee));
	assert_true(x402_u256_to_u64(
		&plain.max_priority_fee_per_gas, &tx.max_priority));
	read_payments(&plain, &tx);
	status = replace(w, &tx);
	if (status != FAC_SEND_ACCEPTED)
		return status;
	assert_in_range(w->txs_len, 0, WORLD_TX_MAX - 1);
	w->txs[w->txs_len++] = tx;
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
	static struct x402_log logs[FAC_CHAIN_RECEIPTS_MAX][2 * WORLD_PAYMENTS];
	static uint8_t values[FAC_CHAIN_RECEIPTS_MAX][WORLD_PAYMENTS][32];
	struct world *w = event->world;

	memset(receipts, 0, sizeof(receipts));
	for (size_t i = 0; i < event->hashes_len; i++) {
		const struct world_tx *tx = find_tx(w, event->hashes[i]);
		struct x402_receipt *receipt = &receipts[i].receipt;

		if (w->receipt_faults > 0) {
			receipts[i].status = FAC_RECEIPT_FAULT;
			continue;
		}
		if (!tx || !tx->mined)
			continue;
		receipts[i].status = FAC_RECEIPT_FOUND;
		receipts[i].effective_gas_price = x402_u256_from_u64(
			UINT64_C(1000000000));
		block_hash(w, tx->block, receipts[i].block_hash32);
		receipt->success = tx->success;
		receipt->block_number = tx->block;
		receipt->gas_used = 50000 * (tx->payments_len + 1);
		memcpy(receipt->transaction_hash32, tx->hash32, 32);
		receipt->logs = logs[i];
		for (size_t at = 0; at < tx->payments_len; at++) {
			if (!tx->paid[at] || w->lies_logs)
				continue;
			make_logs(tx->payments[at], &logs[i][receipt->logs_len],
				values[i][at]);
			receipt->logs_len += w->moves_none ? 1 : 2;
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
	if (block.number == FAC_CHAIN_SAFE)
		block.number = w->head > 4 ? w->head - 4 : 0;
	if (block.number == FAC_CHAIN_FINALIZED)
		block.number = w->head > 8 ? w->head - 8 : 0;
	block.timestamp_unix_s = block_time(w, block.number);
	block_hash(w, block.number, block.hash32);
	block.base_fee_per_gas = x402_u256_from_u64(w->base_fee);
	block.gas_limit = 30000000;
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

/*
 * authorizationState: calldata is the payment's index; four bytes are a
 * selector, and ask whether Multicall3 is there.
 */
static inline void run_call(struct event *event)
{
	struct world *w = event->world;
	uint8_t word[32] = {0};
	struct x402_chain_answer answer = {.data = x402_span(word, 32)};

	if (chain_faults(w)) {
		answer.status = X402_ANSWER_FAULT;
	} else if (event->raw.len == 4) {
		answer.data.len = w->has_multicall ? 32 : 0;
	} else {
		const struct world_payment *payment =
			&w->payments[event->raw.ptr[0]];

		word[31] = payment->used &&
			(event->block == FAC_CHAIN_LATEST ||
				payment->used_block <= event->block);
	}
	event->call_done(event->arg, &answer);
}

static inline void run_logs(struct event *event)
{
	struct world *w = event->world;
	struct fac_chain_log log = {0};
	size_t len = 0;

	for (size_t i = 0; i < w->txs_len; i++) {
		const struct world_tx *tx = &w->txs[i];

		for (size_t at = 0; at < tx->payments_len; at++) {
			/* The nonce's bytes are the index and one. */
			if (!tx->mined || !tx->paid[at] ||
				tx->payments[at] + 1 != event->hashes[2][0] ||
				tx->block < event->block)
				continue;
			memcpy(log.transaction_hash32, tx->hash32, 32);
			log.block_number = tx->block;
			len = 1;
		}
	}
	event->logs_done(event->arg, chain_faults(w) ? X402_ERR_CHAIN : X402_OK,
		&log, len);
}

static inline void port_logs(void *user, size_t chain,
	const struct fac_chain_logs_query *query,
	void (*done)(void *arg, enum x402_err err,
		const struct fac_chain_log *logs, size_t logs_len),
	void *arg)
{
	struct event *event = event_new(user, run_logs, arg);

	(void)chain;
	assert_int_equal(query->topics_len, 3);
	memcpy(event->hashes, query->topics, 3 * 32);
	event->block = query->from_block;
	event->logs_done = done;
}

static inline void run_balance(struct event *event)
{
	struct x402_u256 wei = x402_u256_from_u64(event->world->balance);

	event->balance_done(event->arg,
		chain_faults(event->world) ? X402_ERR_CHAIN : X402_OK, &wei);
}

static inline void port_balance(void *user, size_t chain,
	const struct x402_address *address,
	void (*done)(void *arg, enum x402_err err, const struct x402_u256 *wei),
	void *arg)
{
	struct event *event = event_new(user, run_balance, arg);

	(void)chain;
	(void)address;
	event->balance_done = done;
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
		.owner = w->owner,
		.shared = w->shared,
		.ports = {.user = w,
			.now_ms = port_now,
			.random = port_random,
			.wake = port_wake,
			.store = port_store,
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
	w->send_status = -1;
	w->mining = true;
	w->keys_len = 1;
	memset(w->keys[0].bytes, 0x11, 32);
	memset(w->keys[1].bytes, 0x22, 32);
	snprintf(w->path, sizeof(w->path), "/tmp/x402-engine-%d-%u.sqlite",
		(int)getpid(), ++count);
	unlink(w->path);
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
	char name[80];

	world_crash(w);
	fac_sqlite_close(&w->db);
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
	bool alone;
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
