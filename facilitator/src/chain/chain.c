/*
 * The verbs of chain.h as JSON-RPC calls. Each verb makes its calls in one
 * go, so they share a batch, and answers when the last of them is in.
 */
#include "chain/chain.h"
#include "chain/decode_p.h"
#include "run/loop.h"
#include "x402/encoding.h"

#include <assert.h>
#include <stdlib.h>

/* How long "has code" of an asset is believed. */
#define CODE_LIFETIME_MS ((uint64_t)10 * 60 * 1000)
/* Assets that one chain's payments use; the oldest makes room. */
#define CODE_CACHE_MAX 64

struct fac_chain {
	struct fac_loop *loop;
	struct fac_rpc *rpc;
	uint64_t chain_id;
	struct {
		struct x402_address address;
		uint64_t until_ms;
	} code[CODE_CACHE_MAX];
	size_t code_next;
	/* Reads that the cache answered: told in the next turn. */
	struct reads *cached;
	struct fac_timer *tell;
};

static void on_tell(void *arg);
static void tell_cached(struct fac_chain *chain, bool cancelled);

static void *must_calloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		abort();
	return memory;
}

static struct x402_buf params_of(const char *text)
{
	struct x402_buf params = {0};

	x402_buf_add_str(&params, text);
	return params;
}

static void add_quoted_hex(struct x402_buf *buf, struct x402_span bytes)
{
	x402_buf_add_byte(buf, '"');
	x402_hex_encode_0x(bytes, buf);
	x402_buf_add_byte(buf, '"');
}

static void add_block(struct x402_buf *buf, uint64_t block)
{
	if (block == FAC_CHAIN_LATEST)
		x402_buf_add_str(buf, "\"latest\"");
	else if (block == FAC_CHAIN_SAFE)
		x402_buf_add_str(buf, "\"safe\"");
	else if (block == FAC_CHAIN_FINALIZED)
		x402_buf_add_str(buf, "\"finalized\"");
	else
		x402_buf_printf(buf, "\"0x%llx\"", (unsigned long long)block);
}

enum x402_err fac_chain_new(
	const struct fac_chain_options *options, struct fac_chain **ret_chain)
{
	struct fac_chain *chain = calloc(1, sizeof(*chain));
	enum x402_err err;

	if (!chain)
		return X402_ERR_NOMEM;
	chain->loop = options->loop;
	chain->chain_id = options->chain_id;
	err = fac_rpc_new(options, &chain->rpc);
	if (!err)
		err = fac_timer_new(chain->loop, on_tell, chain, &chain->tell);
	if (err) {
		fac_rpc_free(chain->rpc);
		free(chain);
		return err;
	}
	*ret_chain = chain;
	return X402_OK;
}

void fac_chain_free(struct fac_chain *chain)
{
	if (!chain)
		return;
	fac_rpc_free(chain->rpc);
	tell_cached(chain, true);
	fac_timer_free(chain->tell);
	free(chain);
}

static enum x402_err error_of(const struct fac_rpc_answer *answer)
{
	return answer->status == FAC_RPC_CANCELLED ? X402_ERR_CANCELLED
						   : X402_ERR_CHAIN;
}

/* ---- Chain id. ---- */

struct check {
	uint64_t expected;
	uint64_t said;
	size_t left;
	bool any;
	bool other;
	bool cancelled;
	void (*done)(void *user, enum x402_err err, uint64_t chain_id);
	void *user;
};

static void on_chain_id(void *user, const struct fac_rpc_answer *answer)
{
	struct check *check = user;
	enum x402_err err = X402_OK;
	uint64_t id;

	if (answer->status == FAC_RPC_CANCELLED)
		check->cancelled = true;
	if (answer->status == FAC_RPC_RESULT &&
		fac_decode_u64(answer->result, &id)) {
		uint64_t expected = check->expected;

		if (!expected && check->any)
			expected = check->said;
		check->any = true;
		if (expected && id != expected)
			check->other = true;
		if (!check->other || id != expected)
			check->said = id;
	}
	if (--check->left)
		return;
	if (check->other)
		err = X402_ERR_CONFLICT;
	else if (!check->any)
		err = check->cancelled ? X402_ERR_CANCELLED : X402_ERR_CHAIN;
	check->done(check->user, err, check->said);
	free(check);
}

void fac_chain_check(struct fac_chain *chain, uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err, uint64_t chain_id),
	void *user)
{
	struct check *check = must_calloc(1, sizeof(*check));

	check->expected = chain->chain_id;
	check->left = fac_rpc_endpoints(chain->rpc);
	check->done = done;
	check->user = user;
	for (size_t i = 0, n = check->left; i < n; i++)
		fac_rpc_call_endpoint(chain->rpc, i, "eth_chainId", timeout_ms,
			on_chain_id, check);
}

/* ---- Reads. ---- */

struct reads {
	struct reads *next; /* of the cached */
	struct fac_chain *chain;
	size_t len;
	size_t left;
	struct read {
		struct reads *all;
		bool is_code;
		bool cacheable;
		struct x402_address to;
		struct x402_buf bytes;
	} each[X402_PLAN_READS_MAX];
	struct x402_chain_answer answers[X402_PLAN_READS_MAX];
	bool cancelled;
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len);
	void *user;
};

static bool code_is_known(
	const struct fac_chain *chain, const struct x402_address *address)
{
	uint64_t now_ms = fac_loop_now_ms(chain->loop);

	for (size_t i = 0; i < CODE_CACHE_MAX; i++)
		if (chain->code[i].until_ms > now_ms &&
			x402_address_equal(&chain->code[i].address, address))
			return true;
	return false;
}

static void remember_code(
	struct fac_chain *chain, const struct x402_address *address)
{
	if (code_is_known(chain, address))
		return;
	chain->code[chain->code_next].address = *address;
	chain->code[chain->code_next].until_ms = fac_loop_now_ms(chain->loop) +
		CODE_LIFETIME_MS;
	chain->code_next = (chain->code_next + 1) % CODE_CACHE_MAX;
}

static void end_reads(struct reads *reads)
{
	enum x402_err err = X402_OK;

	for (size_t i = 0; i < reads->len; i++) {
		reads->answers[i].data = x402_buf_span(&reads->each[i].bytes);
		if (reads->answers[i].status == X402_ANSWER_FAULT)
			err = X402_ERR_CHAIN;
	}
	if (reads->cancelled)
		err = X402_ERR_CANCELLED;
	reads->done(reads->user, err, reads->answers, reads->len);
	for (size_t i = 0; i < reads->len; i++)
		x402_buf_clear(&reads->each[i].bytes);
	free(reads);
}

static void on_read(void *user, const struct fac_rpc_answer *answer)
{
	struct read *read = user;
	struct reads *reads = read->all;
	size_t index = (size_t)(read - reads->each);

	reads->answers[index].status = fac_decode_read(answer, &read->bytes);
	if (read->bytes.failed)
		abort();
	if (answer->status == FAC_RPC_CANCELLED)
		reads->cancelled = true;
	/* A read of code cannot revert. */
	if (read->is_code &&
		reads->answers[index].status == X402_ANSWER_REVERTED)
		reads->answers[index].status = X402_ANSWER_FAULT;
	if (read->cacheable && read->bytes.len &&
		reads->answers[index].status == X402_ANSWER_OK)
		remember_code(reads->chain, &read->to);
	if (--reads->left == 0)
		end_reads(reads);
}

static struct x402_buf read_params(const struct x402_chain_read *read,
	const struct fac_chain_read_options *options)
{
	struct x402_buf params = params_of("[");

	if (read->kind == X402_READ_CODE) {
		add_quoted_hex(&params, x402_span(read->to.bytes, 20));
	} else {
		x402_buf_add_str(&params, "{\"to\":");
		add_quoted_hex(&params, x402_span(read->to.bytes, 20));
		if (read->needs_sender) {
			x402_buf_add_str(&params, ",\"from\":");
			add_quoted_hex(
				&params, x402_span(options->sender.bytes, 20));
		}
		if (read->gas)
			x402_buf_printf(&params, ",\"gas\":\"0x%llx\"",
				(unsigned long long)read->gas);
		x402_buf_add_str(&params, ",\"data\":");
		add_quoted_hex(&params, read->data);
		x402_buf_add_byte(&params, '}');
	}
	x402_buf_add_byte(&params, ',');
	add_block(&params, options->block);
	x402_buf_add_byte(&params, ']');
	return params;
}

static void tell_cached(struct fac_chain *chain, bool cancelled)
{
	struct reads *reads = chain->cached;

	chain->cached = NULL;
	while (reads) {
		struct reads *next = reads->next;

		reads->cancelled = cancelled;
		end_reads(reads);
		reads = next;
	}
}

static void on_tell(void *arg)
{
	tell_cached(arg, false);
}

void fac_chain_read(struct fac_chain *chain,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user)
{
	struct reads *reads = must_calloc(1, sizeof(*reads));
	size_t len = options->reads_len < X402_PLAN_READS_MAX
		? options->reads_len
		: X402_PLAN_READS_MAX;

	reads->chain = chain;
	reads->len = reads->left = len;
	reads->done = done;
	reads->user = user;
	for (size_t i = 0; i < len; i++) {
		const struct x402_chain_read *read = &options->reads[i];
		struct x402_buf params;

		reads->each[i].all = reads;
		reads->each[i].to = read->to;
		reads->each[i].is_code = read->kind == X402_READ_CODE;
		reads->each[i].cacheable = reads->each[i].is_code &&
			options->cacheable &&
			options->block == FAC_CHAIN_LATEST &&
			x402_address_equal(options->cacheable, &read->to);
		if (reads->each[i].cacheable &&
			code_is_known(chain, &read->to)) {
			x402_buf_add_byte(&reads->each[i].bytes, 0);
			reads->left--;
			continue;
		}
		params = read_params(read, options);
		fac_rpc_call(chain->rpc,
			reads->each[i].is_code ? "eth_getCode" : "eth_call",
			&params, options->timeout_ms, on_read, &reads->each[i]);
	}
	/* Never inside the call, also when nothing had to be asked. */
	if (!reads->left) {
		reads->next = chain->cached;
		chain->cached = reads;
		fac_timer_start(chain->tell, 0, 0);
	}
}

/* ---- Sending. ---- */

struct sending {
	uint8_t hash32[32];
	void (*done)(void *user, const struct fac_send_outcome *outcome);
	void *user;
};

static void on_sent(void *user, const struct fac_rpc_answer *answer)
{
	struct sending *sending = user;
	struct fac_send_outcome outcome;

	fac_decode_send(answer, sending->hash32, &outcome);
	sending->done(sending->user, &outcome);
	free(sending);
}

void fac_chain_send_raw(struct fac_chain *chain, struct x402_span raw,
	const uint8_t hash32[32], uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_send_outcome *outcome),
	void *user)
{
	struct sending *sending = must_calloc(1, sizeof(*sending));
	struct x402_buf params = params_of("[");

	memcpy(sending->hash32, hash32, 32);
	sending->done = done;
	sending->user = user;
	add_quoted_hex(&params, raw);
	x402_buf_add_byte(&params, ']');
	fac_rpc_call(chain->rpc, "eth_sendRawTransaction", &params, timeout_ms,
		on_sent, sending);
}

/* ---- Receipts. ---- */

struct receipts {
	size_t len;
	size_t left;
	struct receipt_ask {
		struct receipts *all;
		uint8_t hash32[32];
		struct fac_receipt_storage storage;
	} * asks;
	struct fac_chain_receipt *receipts;
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len);
	void *user;
};

static void end_receipts(struct receipts *receipts)
{
	receipts->done(receipts->user, receipts->receipts, receipts->len);
	for (size_t i = 0; i < receipts->len; i++)
		fac_receipt_storage_clear(&receipts->asks[i].storage);
	free(receipts->asks);
	free(receipts->receipts);
	free(receipts);
}

static void on_receipt(void *user, const struct fac_rpc_answer *answer)
{
	struct receipt_ask *ask = user;
	struct receipts *receipts = ask->all;

	fac_decode_receipt(answer, ask->hash32, &ask->storage,
		&receipts->receipts[ask - receipts->asks]);
	if (--receipts->left == 0)
		end_receipts(receipts);
}

void fac_chain_receipts(struct fac_chain *chain, const uint8_t (*hashes32)[32],
	size_t hashes_len, uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *user)
{
	struct receipts *receipts;

	assert(hashes_len); /* our own engine asks; nothing is no question */
	receipts = must_calloc(1, sizeof(*receipts));
	if (hashes_len > FAC_CHAIN_RECEIPTS_MAX)
		hashes_len = FAC_CHAIN_RECEIPTS_MAX;
	receipts->len = receipts->left = hashes_len;
	receipts->asks = must_calloc(hashes_len, sizeof(*receipts->asks));
	receipts->receipts = must_calloc(
		hashes_len, sizeof(*receipts->receipts));
	receipts->done = done;
	receipts->user = user;
	for (size_t i = 0; i < hashes_len; i++) {
		struct x402_buf params = params_of("[");

		receipts->asks[i].all = receipts;
		memcpy(receipts->asks[i].hash32, hashes32[i], 32);
		add_quoted_hex(&params, x402_span(hashes32[i], 32));
		x402_buf_add_byte(&params, ']');
		fac_rpc_call(chain->rpc, "eth_getTransactionReceipt", &params,
			timeout_ms, on_receipt, &receipts->asks[i]);
	}
}

/* ---- Nonce, balance, blocks. ---- */

struct number_ask {
	void (*nonce)(void *user, enum x402_err err, uint64_t nonce);
	void (*balance)(
		void *user, enum x402_err err, const struct x402_u256 *balance);
	void *user;
};

static void on_number(void *user, const struct fac_rpc_answer *answer)
{
	struct number_ask *ask = user;
	struct x402_u256 value = {{0}};
	uint64_t nonce = 0;
	enum x402_err err = X402_OK;

	if (answer->status != FAC_RPC_RESULT)
		err = error_of(answer);
	else if (!fac_decode_quantity(answer->result, &value) ||
		(ask->nonce && !x402_u256_to_u64(&value, &nonce)))
		err = X402_ERR_CHAIN;
	if (ask->nonce)
		ask->nonce(ask->user, err, nonce);
	else
		ask->balance(ask->user, err, &value);
	free(ask);
}

void fac_chain_nonce(struct fac_chain *chain,
	const struct fac_nonce_query *query, uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err, uint64_t nonce), void *user)
{
	struct number_ask *ask = must_calloc(1, sizeof(*ask));
	struct x402_buf params = params_of("[");

	ask->nonce = done;
	ask->user = user;
	add_quoted_hex(&params, x402_span(query->address.bytes, 20));
	x402_buf_add_byte(&params, ',');
	switch (query->tag) {
	case FAC_NONCE_LATEST:
		add_block(&params, FAC_CHAIN_LATEST);
		break;
	case FAC_NONCE_PENDING:
		x402_buf_add_str(&params, "\"pending\"");
		break;
	case FAC_NONCE_AT_BLOCK:
		add_block(&params, query->block);
		break;
	}
	x402_buf_add_byte(&params, ']');
	fac_rpc_call(chain->rpc, "eth_getTransactionCount", &params, timeout_ms,
		on_number, ask);
}

void fac_chain_balance(struct fac_chain *chain,
	const struct x402_address *address, uint32_t timeout_ms,
	void (*done)(
		void *user, enum x402_err err, const struct x402_u256 *balance),
	void *user)
{
	struct number_ask *ask = must_calloc(1, sizeof(*ask));
	struct x402_buf params = params_of("[");

	ask->balance = done;
	ask->user = user;
	add_quoted_hex(&params, x402_span(address->bytes, 20));
	x402_buf_add_str(&params, ",\"latest\"]");
	fac_rpc_call(chain->rpc, "eth_getBalance", &params, timeout_ms,
		on_number, ask);
}

struct block_ask {
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_block *block);
	void *user;
};

static void on_block(void *user, const struct fac_rpc_answer *answer)
{
	struct block_ask *ask = user;
	struct fac_chain_block block = {0};
	enum x402_err err = X402_OK;

	if (answer->status != FAC_RPC_RESULT)
		err = error_of(answer);
	else if (!fac_decode_block(answer->result, &block))
		err = X402_ERR_CHAIN;
	ask->done(ask->user, err, &block);
	free(ask);
}

static struct x402_buf block_params(uint64_t number)
{
	struct x402_buf params = params_of("[");

	add_block(&params, number);
	x402_buf_add_str(&params, ",false]");
	return params;
}

void fac_chain_head(struct fac_chain *chain, uint64_t number,
	uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_block *block),
	void *user)
{
	struct block_ask *ask = must_calloc(1, sizeof(*ask));
	struct x402_buf params = block_params(number);

	ask->done = done;
	ask->user = user;
	fac_rpc_call(chain->rpc, "eth_getBlockByNumber", &params, timeout_ms,
		on_block, ask);
}

/* ---- Logs. ---- */

struct logs_ask {
	struct fac_chain_logs_query query;
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_log *logs, size_t logs_len);
	void *user;
};

static void on_logs(void *user, const struct fac_rpc_answer *answer)
{
	struct logs_ask *ask = user;
	struct fac_chain_log logs[FAC_CHAIN_LOGS_MAX];
	size_t len = 0;
	enum x402_err err = fac_decode_logs(answer, &ask->query, logs, &len);

	ask->done(ask->user, err, logs, len);
	free(ask);
}

void fac_chain_logs(struct fac_chain *chain,
	const struct fac_chain_logs_query *query, uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_log *logs, size_t logs_len),
	void *user)
{
	struct logs_ask *ask = must_calloc(1, sizeof(*ask));
	struct x402_buf params = params_of("[{\"address\":");

	assert(query->topics_len <= 4);
	ask->query = *query;
	ask->done = done;
	ask->user = user;
	add_quoted_hex(&params, x402_span(query->address.bytes, 20));
	x402_buf_add_str(&params, ",\"topics\":[");
	for (size_t i = 0; i < query->topics_len; i++) {
		if (i)
			x402_buf_add_byte(&params, ',');
		add_quoted_hex(&params, x402_span(query->topics[i], 32));
	}
	x402_buf_add_str(&params, "],\"fromBlock\":");
	add_block(&params, query->from_block);
	x402_buf_add_str(&params, ",\"toBlock\":");
	add_block(&params, query->to_block);
	x402_buf_add_str(&params, "}]");
	fac_rpc_call(
		chain->rpc, "eth_getLogs", &params, timeout_ms, on_logs, ask);
}

/* ---- Fees: the head's base fee, and one of two opinions on the tip. ---- */

struct fees {
	size_t left;
	bool has_base;
	bool has_tip;
	bool has_history;
	bool cancelled;
	struct x402_u256 history;
	struct fac_chain_fees fees;
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_fees *fees);
	void *user;
};

static void end_fees(struct fees *fees, const struct fac_rpc_answer *answer)
{
	enum x402_err err = X402_OK;

	if (answer->status == FAC_RPC_CANCELLED)
		fees->cancelled = true;
	if (--fees->left)
		return;
	if (!fees->has_tip && fees->has_history)
		fees->fees.max_priority_fee_per_gas = fees->history;
	if (fees->cancelled)
		err = X402_ERR_CANCELLED;
	else if (!fees->has_base || !(fees->has_tip || fees->has_history))
		err = X402_ERR_CHAIN;
	fees->done(fees->user, err, &fees->fees);
	free(fees);
}

static void on_fees_block(void *user, const struct fac_rpc_answer *answer)
{
	struct fees *fees = user;
	struct fac_chain_block block;

	if (answer->status == FAC_RPC_RESULT &&
		fac_decode_block(answer->result, &block)) {
		fees->has_base = true;
		fees->fees.base_fee_per_gas = block.base_fee_per_gas;
	}
	end_fees(fees, answer);
}

static void on_tip(void *user, const struct fac_rpc_answer *answer)
{
	struct fees *fees = user;

	fees->has_tip = answer->status == FAC_RPC_RESULT &&
		fac_decode_quantity(
			answer->result, &fees->fees.max_priority_fee_per_gas);
	end_fees(fees, answer);
}

static void on_history(void *user, const struct fac_rpc_answer *answer)
{
	struct fees *fees = user;

	fees->has_history = answer->status == FAC_RPC_RESULT &&
		fac_decode_fee_history(answer->result, &fees->history);
	end_fees(fees, answer);
}

void fac_chain_fees(struct fac_chain *chain, uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_fees *fees),
	void *user)
{
	struct fees *fees = must_calloc(1, sizeof(*fees));
	struct x402_buf params = block_params(FAC_CHAIN_LATEST);

	fees->left = 3;
	fees->done = done;
	fees->user = user;
	fac_rpc_call(chain->rpc, "eth_getBlockByNumber", &params, timeout_ms,
		on_fees_block, fees);
	params = params_of("[]");
	fac_rpc_call(chain->rpc, "eth_maxPriorityFeePerGas", &params,
		timeout_ms, on_tip, fees);
	params = params_of("[\"0x5\",\"latest\",[50]]");
	fac_rpc_call(chain->rpc, "eth_feeHistory", &params, timeout_ms,
		on_history, fees);
}

struct fac_chain_stats fac_chain_stats(const struct fac_chain *chain)
{
	return fac_rpc_stats(chain->rpc);
}
