/*
 * The chain of the engine's world: accounts' nonces, a mempool that takes a
 * higher fee for the same nonce, blocks, forks, receipts and logs. Part of
 * engine_house.h, which says what the world is, and of nothing else.
 */
#ifndef ENGINE_CHAIN_H
#define ENGINE_CHAIN_H

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

	if ((payment->used && !payment->delegation) || payment->fails ||
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
	if (memcmp(data, aggregate3, plain->data.len < 4 ? 1 : 4) != 0) {
		assert_int_equal(data[0], data[1]);
		tx->payments[tx->payments_len++] = data[0];
		return;
	}
	/* selector, offset, count, offsets; elements of five words and more. */
	count = data[4 + 63];
	tx->batch = true;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *offsets = data + 4 + 64;
		const uint8_t *offset = offsets + i * 32 + 28;
		const uint8_t *call = offsets +
			((size_t)offset[1] << 16 | (size_t)offset[2] << 8 |
				offset[3]);

		assert_true(call + 130 <= data + plain->data.len);
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
	tx.gas_limit = plain.gas_limit;
	tx.to = plain.to;
	assert_true(x402_u256_to_u64(&plain.value, &tx.value));
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
	struct world *world = user;

	assert_int_equal(chain, 0);
	world->sends++;
	world->calls++;
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

/* EIP-3009's two; a delegation has the second alone. */
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
		receipt->gas_used = w->burns_gas
			? tx->gas_limit
			: w->gas_each * (tx->payments_len + 1);
		memcpy(receipt->transaction_hash32, tx->hash32, 32);
		receipt->logs = logs[i];
		for (size_t at = 0; at < tx->payments_len; at++) {
			if (!tx->paid[at] || w->lies_logs)
				continue;
			make_logs(tx->payments[at], &logs[i][receipt->logs_len],
				values[i][at]);
			if (w->payments[tx->payments[at]].delegation) {
				logs[i][0] = logs[i][1];
				receipt->logs_len = !w->moves_none;
				continue;
			}
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
	event->world->calls += (unsigned)hashes_len;
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
	event->world->calls++;
	event->nonce = *query;
	event->nonce_done = done;
}

static inline void run_block(struct event *event)
{
	struct world *w = event->world;
	struct fac_chain_block block = {.number = event->block};
	uint8_t hashes[WORLD_TX_MAX][32];

	if (block.number == FAC_CHAIN_LATEST)
		block.number = w->head;
	if (block.number == FAC_CHAIN_SAFE)
		block.number = w->head > 4 ? w->head - 4 : 0;
	if (block.number == FAC_CHAIN_FINALIZED)
		block.number = w->head > 8 ? w->head - 8 : 0;
	block.timestamp_unix_s = block_time(w, block.number);
	block_hash(w, block.number, block.hash32);
	block.base_fee_per_gas = x402_u256_from_u64(w->base_fee);
	block.gas_limit = w->gas_limit;
	for (size_t i = 0; w->names && i < w->txs_len; i++)
		if (w->txs[i].mined && w->txs[i].block == block.number)
			memcpy(hashes[block.transactions_len++],
				w->txs[i].hash32, 32);
	block.transactions32 = (const uint8_t(*)[32])hashes;
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
	event->world->calls++;
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
	event->world->calls++;
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

	uint64_t seen = w->head > w->call_lag ? w->head - w->call_lag : 0;

	if (chain_faults(w) ||
		(event->block != FAC_CHAIN_LATEST && event->block > seen)) {
		answer.status = X402_ANSWER_FAULT;
	} else if (event->raw.len == 0) {
		answer.data.len = 0; /* nobody's code answers */
	} else if (event->raw.len == 4) {
		answer.data.len = w->has_multicall ? 32 : 0;
	} else if (event->raw.len == 2) {
		/* The payment's own call, by itself. */
		const struct world_payment *payment =
			&w->payments[event->raw.ptr[0]];

		w->simulations++;
		if (payment->used || payment->fails ||
			block_time(w, seen) >= payment->valid_before)
			answer.status = X402_ANSWER_REVERTED;
	} else {
		/* Permit2's asks by the payer, whose bytes are 0x10 and more */
		bool permit2 = event->raw.len > 4;
		uint8_t index = permit2 ? event->raw.ptr[16] - 0x10
					: event->raw.ptr[0];
		const struct world_payment *payment = &w->payments[index];

		assert_in_range(index, 0, WORLD_PAYMENTS - 1);
		memset(word, permit2 && payment->used ? 0xff : 0, 31);
		word[31] = payment->used &&
			payment->used_block <= (event->block == FAC_CHAIN_LATEST
							       ? seen
							       : event->block);
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
	event->world->calls++;
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
	event->world->calls++;
	(void)to;
	x402_buf_add(&event->raw, calldata);
	event->block = block;
	event->call_done = done;
}

#endif
