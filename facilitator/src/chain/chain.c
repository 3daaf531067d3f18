/*
 * The verbs of chain.h as JSON-RPC calls. Each verb makes its calls in one
 * go, so they share a batch, and answers when the last of them is in.
 */
#include "chain/chain.h"
#include "chain/decode_p.h"
#include "chain/mined_p.h"
#include "chain/params_p.h"
#include "chain/reads_p.h"
#include "chain/svm_p.h"

#include <assert.h>
#include <stdlib.h>

struct fac_chain {
	struct fac_loop *loop;
	struct fac_rpc *rpc;
	struct fac_reads *reads;
	uint64_t chain_id;
	const char *svm_genesis; /* NULL: EVM */
	struct x402_buf params;
};

static void *must_calloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		abort();
	return memory;
}

/* One buffer for the params of all calls: they are copied at once. */
static struct x402_buf *params_of(struct fac_chain *chain, const char *text)
{
	chain->params.len = 0;
	x402_buf_add_str(&chain->params, text);
	return &chain->params;
}

/* With what params_of began. */
static void ask_chain(struct fac_chain *chain, const char *method,
	uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_rpc_answer *answer),
	void *user)
{
	struct fac_rpc_question question = {.method = method,
		.params = x402_buf_span(&chain->params),
		.timeout_ms = timeout_ms,
		.done = done,
		.user = user};

	if (chain->params.failed)
		abort();
	fac_rpc_call(chain->rpc, &question);
}

const char *fac_chain_svm_genesis(const struct x402_network *network)
{
	return network->family == X402_FAMILY_SVM
		? network->caip2 + strlen("solana:")
		: NULL;
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
	chain->svm_genesis = options->svm_genesis;
	err = fac_rpc_new(options, &chain->rpc);
	if (!err)
		err = fac_reads_new(chain->loop, chain->rpc, &chain->reads);
	if (err) {
		fac_chain_free(chain);
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
	fac_reads_free(chain->reads);
	x402_buf_clear(&chain->params);
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
	struct check *check;
	struct fac_rpc_question question = {.method = "eth_chainId",
		.params = x402_span_str("[]"),
		.timeout_ms = timeout_ms,
		.done = on_chain_id};

	if (chain->svm_genesis) {
		fac_svm_check(
			chain->rpc, chain->svm_genesis, timeout_ms, done, user);
		return;
	}
	check = must_calloc(1, sizeof(*check));
	question.user = check;
	check->expected = chain->chain_id;
	check->left = fac_rpc_endpoints(chain->rpc);
	check->done = done;
	check->user = user;
	for (size_t i = 0, n = check->left; i < n; i++)
		fac_rpc_call_endpoint(chain->rpc, i, &question);
}

/* ---- Reads: reads.c. ---- */

void fac_chain_read(struct fac_chain *chain,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user)
{
	if (chain->svm_genesis)
		fac_svm_read(chain->rpc, options, done, user);
	else if (options->reads_len &&
		options->reads[0].kind == X402_READ_MINED)
		fac_mined_read(chain->rpc, options, done, user);
	else
		fac_reads_ask(chain->reads, options, done, user);
}

/* ---- Sending: to every endpoint. ---- */

struct sending {
	bool is_svm;
	uint8_t signature64[64]; /* Solana */
	uint8_t hash32[32];
	size_t left;
	bool told;
	bool any;    /* best is filled */
	bool silent; /* an endpoint gave no answer */
	struct fac_send_outcome best;
	void (*done)(void *user, const struct fac_send_outcome *outcome);
	void *user;
};

/* The statuses stand in the order of what they tell. */
static void merge_outcome(
	struct sending *sending, const struct fac_send_outcome *outcome)
{
	if (outcome->status == FAC_SEND_FAULT)
		sending->silent = true;
	if (!sending->any || outcome->status < sending->best.status)
		sending->best = *outcome;
	sending->any = true;
}

static void on_sent(void *user, const struct fac_rpc_answer *answer)
{
	struct sending *sending = user;
	struct fac_send_outcome outcome;

	if (sending->is_svm)
		fac_svm_decode_send(answer, sending->signature64, &outcome);
	else
		fac_decode_send(answer, sending->hash32, &outcome);
	merge_outcome(sending, &outcome);
	sending->left--;
	if (!sending->told &&
		(!sending->left || outcome.status <= FAC_SEND_ALREADY_KNOWN)) {
		sending->told = true;
		/* The silent one may have taken what others refuse. */
		if (sending->best.status == FAC_SEND_REJECTED &&
			sending->silent)
			sending->best.status = FAC_SEND_FAULT;
		sending->done(sending->user, &sending->best);
	}
	if (!sending->left)
		free(sending);
}

void fac_chain_send_raw(struct fac_chain *chain, struct x402_span raw,
	const uint8_t hash32[32], uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_send_outcome *outcome),
	void *user)
{
	struct sending *sending = must_calloc(1, sizeof(*sending));
	struct x402_buf *params = params_of(chain, "");
	struct fac_rpc_question question = {.method = chain->svm_genesis
			? "sendTransaction"
			: "eth_sendRawTransaction",
		.timeout_ms = timeout_ms,
		.done = on_sent,
		.user = sending};

	memcpy(sending->hash32, hash32, 32);
	sending->left = fac_rpc_endpoints(chain->rpc);
	sending->done = done;
	sending->user = user;
	if (chain->svm_genesis) {
		assert(raw.len > 65); /* our own bytes */
		sending->is_svm = true;
		memcpy(sending->signature64, raw.ptr + 1, 64);
		fac_svm_send_params(raw, params);
	} else {
		x402_buf_add_byte(params, '[');
		fac_params_hex(params, raw);
		x402_buf_add_byte(params, ']');
	}
	if (params->failed)
		abort();
	question.params = x402_buf_span(params);
	for (size_t i = 0, n = sending->left; i < n; i++)
		fac_rpc_call_endpoint(chain->rpc, i, &question);
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
		struct x402_buf *params = params_of(chain, "[");

		receipts->asks[i].all = receipts;
		memcpy(receipts->asks[i].hash32, hashes32[i], 32);
		fac_params_hex(params, x402_span(hashes32[i], 32));
		x402_buf_add_byte(params, ']');
		ask_chain(chain, "eth_getTransactionReceipt", timeout_ms,
			on_receipt, &receipts->asks[i]);
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
	struct x402_buf *params = params_of(chain, "[");

	ask->nonce = done;
	ask->user = user;
	fac_params_hex(params, x402_span(query->address.bytes, 20));
	x402_buf_add_byte(params, ',');
	switch (query->tag) {
	case FAC_NONCE_LATEST:
		fac_params_block(params, FAC_CHAIN_LATEST);
		break;
	case FAC_NONCE_PENDING:
		x402_buf_add_str(params, "\"pending\"");
		break;
	case FAC_NONCE_AT_BLOCK:
		fac_params_block(params, query->block);
		break;
	}
	x402_buf_add_byte(params, ']');
	ask_chain(chain, "eth_getTransactionCount", timeout_ms, on_number, ask);
}

void fac_chain_balance(struct fac_chain *chain,
	const struct x402_address *address, uint32_t timeout_ms,
	void (*done)(
		void *user, enum x402_err err, const struct x402_u256 *balance),
	void *user)
{
	struct number_ask *ask = must_calloc(1, sizeof(*ask));
	struct x402_buf *params = params_of(chain, "[");

	ask->balance = done;
	ask->user = user;
	fac_params_hex(params, x402_span(address->bytes, 20));
	x402_buf_add_str(params, ",\"latest\"]");
	ask_chain(chain, "eth_getBalance", timeout_ms, on_number, ask);
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
	struct x402_buf hashes = {0};
	enum x402_err err = X402_OK;

	if (answer->status != FAC_RPC_RESULT)
		err = error_of(answer);
	else if (!fac_decode_block(answer->result, &block))
		err = X402_ERR_CHAIN;
	else
		fac_decode_transactions(answer->result, &hashes);
	block.transactions32 = (const uint8_t(*)[32])hashes.ptr;
	block.transactions_len = hashes.len / 32;
	ask->done(ask->user, err, &block);
	x402_buf_clear(&hashes);
	free(ask);
}

static void block_params(struct fac_chain *chain, uint64_t number)
{
	struct x402_buf *params = params_of(chain, "[");

	fac_params_block(params, number);
	x402_buf_add_str(params, ",false]");
}

void fac_chain_head(struct fac_chain *chain, uint64_t number,
	uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_block *block),
	void *user)
{
	struct block_ask *ask;

	if (chain->svm_genesis) {
		fac_svm_head(chain->rpc, number, timeout_ms, done, user);
		return;
	}
	ask = must_calloc(1, sizeof(*ask));
	ask->done = done;
	ask->user = user;
	block_params(chain, number);
	ask_chain(chain, "eth_getBlockByNumber", timeout_ms, on_block, ask);
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
	struct x402_buf *params = params_of(chain, "[{\"address\":");

	assert(query->topics_len <= 4);
	ask->query = *query;
	ask->done = done;
	ask->user = user;
	fac_params_hex(params, x402_span(query->address.bytes, 20));
	x402_buf_add_str(params, ",\"topics\":[");
	for (size_t i = 0; i < query->topics_len; i++) {
		if (i)
			x402_buf_add_byte(params, ',');
		fac_params_hex(params, x402_span(query->topics[i], 32));
	}
	x402_buf_add_str(params, "],\"fromBlock\":");
	fac_params_block(params, query->from_block);
	x402_buf_add_str(params, ",\"toBlock\":");
	fac_params_block(params, query->to_block);
	x402_buf_add_str(params, "}]");
	ask_chain(chain, "eth_getLogs", timeout_ms, on_logs, ask);
}

/* ---- A transaction as it was sent. ---- */

struct sent_ask {
	uint8_t hash32[32];
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_sent *sent);
	void *user;
};

static void on_found(void *user, const struct fac_rpc_answer *answer)
{
	struct sent_ask *ask = user;
	struct x402_buf storage = {0};
	struct fac_chain_sent sent = {0};
	enum x402_err err = fac_decode_sent(
		answer, ask->hash32, &storage, &sent);

	ask->done(ask->user, err, &sent);
	x402_buf_clear(&storage);
	free(ask);
}

void fac_chain_sent(struct fac_chain *chain, const uint8_t hash32[32],
	uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_sent *sent),
	void *user)
{
	struct sent_ask *ask = must_calloc(1, sizeof(*ask));
	struct x402_buf *params = params_of(chain, "[");

	memcpy(ask->hash32, hash32, 32);
	ask->done = done;
	ask->user = user;
	fac_params_hex(params, x402_span(hash32, 32));
	x402_buf_add_byte(params, ']');
	ask_chain(chain, "eth_getTransactionByHash", timeout_ms, on_found, ask);
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

	fees->left = 3;
	fees->done = done;
	fees->user = user;
	block_params(chain, FAC_CHAIN_LATEST);
	ask_chain(
		chain, "eth_getBlockByNumber", timeout_ms, on_fees_block, fees);
	(void)params_of(chain, "[]");
	ask_chain(chain, "eth_maxPriorityFeePerGas", timeout_ms, on_tip, fees);
	(void)params_of(chain, "[\"0x5\",\"latest\",[50]]");
	ask_chain(chain, "eth_feeHistory", timeout_ms, on_history, fees);
}

/* ---- Solana: statuses and lamports. ---- */

struct statuses {
	size_t len;
	uint8_t signatures64[FAC_CHAIN_RECEIPTS_MAX][64];
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len);
	void *user;
};

static void on_statuses(void *user, const struct fac_rpc_answer *answer)
{
	struct statuses *statuses = user;
	struct fac_chain_receipt receipts[FAC_CHAIN_RECEIPTS_MAX];

	fac_svm_decode_statuses(answer,
		(const uint8_t(*)[64])statuses->signatures64, receipts,
		statuses->len);
	statuses->done(statuses->user, receipts, statuses->len);
	free(statuses);
}

void fac_chain_signatures(struct fac_chain *chain,
	const uint8_t (*signatures64)[64], size_t signatures_len,
	uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *user)
{
	struct statuses *statuses = must_calloc(1, sizeof(*statuses));
	struct x402_buf *params = params_of(chain, "");

	assert(signatures_len && signatures_len <= FAC_CHAIN_RECEIPTS_MAX);
	statuses->len = signatures_len;
	memcpy(statuses->signatures64, signatures64, signatures_len * 64);
	statuses->done = done;
	statuses->user = user;
	fac_svm_status_params(signatures64, signatures_len, params);
	ask_chain(chain, "getSignatureStatuses", timeout_ms, on_statuses,
		statuses);
}

void fac_chain_signature(struct fac_chain *chain, const uint8_t signature64[64],
	uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *user)
{
	fac_svm_signature(chain->rpc, signature64, timeout_ms, done, user);
}

static void on_lamports(void *user, const struct fac_rpc_answer *answer)
{
	struct number_ask *ask = user;
	struct x402_u256 value = {{0}};
	uint64_t lamports = 0;
	enum x402_err err = X402_OK;

	if (answer->status != FAC_RPC_RESULT)
		err = error_of(answer);
	else if (!fac_svm_decode_u64(
			 x402_json_get(answer->result, "value"), &lamports))
		err = X402_ERR_CHAIN;
	value = x402_u256_from_u64(lamports);
	(void)!x402_u256_mul_u64(&value, 1000000000, &value); /* below 2^94 */
	ask->balance(ask->user, err, &value);
	free(ask);
}

void fac_chain_svm_balance(struct fac_chain *chain,
	const struct x402_pubkey *key, uint32_t timeout_ms,
	void (*done)(
		void *user, enum x402_err err, const struct x402_u256 *balance),
	void *user)
{
	struct number_ask *ask = must_calloc(1, sizeof(*ask));
	struct x402_buf *params = params_of(chain, "[");
	char text[X402_PUBKEY_TEXT_SIZE];

	ask->balance = done;
	ask->user = user;
	x402_pubkey_format(key, text);
	x402_buf_printf(params, "\"%s\",{\"commitment\":\"processed\"}]", text);
	ask_chain(chain, "getBalance", timeout_ms, on_lamports, ask);
}

struct fac_chain_stats fac_chain_stats(const struct fac_chain *chain)
{
	return fac_rpc_stats(chain->rpc);
}
