/*
 * Reading answers: quantities, blocks, fees, reads, sends and receipts.
 * Nodes word their refusals differently; the words of geth, erigon, reth,
 * anvil and besu are known here, and what is not known is no verdict.
 */
#include "chain/decode_p.h"
#include "x402/encoding.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* A block of 21,000 gas each holds 7,000 where blocks are large. */
#define BLOCK_HASHES_MAX 8192

bool fac_decode_quantity(
	const struct x402_json *json, struct x402_u256 *ret_value)
{
	const char *text = x402_json_string(json);
	struct x402_u256 value = {{0}};
	size_t len;

	if (!text || text[0] != '0' || text[1] != 'x')
		return false;
	text += 2;
	len = strlen(text);
	if (len < 1 || len > 64)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		size_t at = len - 1 - i;
		uint64_t digit;

		if (!isxdigit(c))
			return false;
		digit = (uint64_t)(c <= '9' ? c - '0' : tolower(c) - 'a' + 10);
		value.limb[at / 16] |= digit << (4 * (at % 16));
	}
	*ret_value = value;
	return true;
}

bool fac_decode_u64(const struct x402_json *json, uint64_t *ret_value)
{
	struct x402_u256 value;

	return fac_decode_quantity(json, &value) &&
		x402_u256_to_u64(&value, ret_value);
}

static bool decode_fixed(
	const struct x402_json *json, uint8_t *ret_bytes, size_t len)
{
	return x402_hex_decode_fixed(x402_json_string(json), ret_bytes, len) ==
		X402_OK;
}

bool fac_decode_block(
	const struct x402_json *json, struct fac_chain_block *ret_block)
{
	struct fac_chain_block block = {0};

	if (!fac_decode_u64(x402_json_get(json, "number"), &block.number) ||
		!fac_decode_u64(x402_json_get(json, "timestamp"),
			&block.timestamp_unix_s) ||
		!fac_decode_u64(
			x402_json_get(json, "gasLimit"), &block.gas_limit) ||
		!decode_fixed(x402_json_get(json, "hash"), block.hash32, 32))
		return false;
	/* Absent before EIP-1559. */
	if (x402_json_get(json, "baseFeePerGas") &&
		!fac_decode_quantity(x402_json_get(json, "baseFeePerGas"),
			&block.base_fee_per_gas))
		return false;
	*ret_block = block;
	return true;
}

void fac_decode_transactions(
	const struct x402_json *json, struct x402_buf *ret_hashes)
{
	const struct x402_json *hashes = x402_json_get(json, "transactions");
	size_t len = x402_json_size(hashes);
	uint8_t hash32[32];

	for (size_t i = 0; i < len && i < BLOCK_HASHES_MAX; i++)
		if (decode_fixed(x402_json_at(hashes, i), hash32, 32))
			x402_buf_add(ret_hashes, x402_span(hash32, 32));
	if (ret_hashes->failed)
		abort();
}

static int compare_u256(const void *a, const void *b)
{
	return x402_u256_cmp(a, b);
}

bool fac_decode_fee_history(
	const struct x402_json *json, struct x402_u256 *ret_priority)
{
	const struct x402_json *rewards = x402_json_get(json, "reward");
	struct x402_u256 values[16];
	size_t len = 0;

	for (size_t i = 0; i < x402_json_size(rewards) && len < 16; i++) {
		const struct x402_json *block = x402_json_at(rewards, i);

		if (fac_decode_quantity(x402_json_at(block, 0), &values[len]))
			len++;
	}
	if (!len)
		return false;
	qsort(values, len, sizeof(values[0]), compare_u256);
	*ret_priority = values[len / 2];
	return true;
}

static bool has_words(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcasestr(text, *words))
			return true;
	return false;
}

/* Appended where it belongs, without a buffer of its own. */
static bool append_hex(const char *text, struct x402_buf *buf)
{
	size_t digits = text ? strlen(text) : 0;
	size_t before = buf->len;
	uint8_t *bytes;

	if (digits < 2 || digits % 2)
		return false;
	bytes = x402_buf_add_zeros(buf, digits / 2 - 1);
	if (buf->failed)
		abort();
	if (digits == 2)
		return text[0] == '0' && text[1] == 'x';
	if (x402_hex_decode_fixed(text, bytes, digits / 2 - 1) == X402_OK)
		return true;
	buf->len = before;
	return false;
}

/* ---- Answers. ---- */

bool fac_decode_answer(
	const struct x402_json *json, struct fac_rpc_answer *ret_answer)
{
	const struct x402_json *error = x402_json_get(json, "error");
	struct fac_rpc_answer answer = {.message = ""};

	if (error) {
		const char *message = x402_json_get_string(error, "message");

		if (x402_json_type(error) != X402_JSON_OBJECT)
			return false;
		answer.status = FAC_RPC_ERROR;
		(void)x402_json_int64(
			x402_json_get(error, "code"), &answer.code);
		answer.message = message ? message : "";
		answer.data = x402_json_get(error, "data");
	} else if (x402_json_has(json, "result")) {
		answer.status = FAC_RPC_RESULT;
		answer.result = x402_json_get(json, "result");
	} else {
		return false;
	}
	*ret_answer = answer;
	return true;
}

/*
 * An execution that failed is the chain's word, also where a node gives it no
 * code of its own; a wallet that burns the gas of its check must not look
 * like a broken node.
 */
static bool is_execution_failure(const struct fac_rpc_answer *answer)
{
	static const char *const words[] = {"revert", "out of gas", "outofgas",
		"invalid opcode", "invalid jump", "invalidfeopcode",
		"stack underflow", "stack limit", NULL};

	/* Those with the first codes carry data too, about a quota say. */
	if (answer->code == 429 || answer->code == -32005 ||
		(answer->code <= -32600 && answer->code >= -32602))
		return false;
	return answer->code == 3 || answer->data ||
		has_words(answer->message, words);
}

enum fac_trouble fac_decode_trouble(const struct fac_rpc_answer *answer)
{
	static const char *const rate[] = {"rate limit", "ratelimit",
		"too many requests", "request limit", "requests per",
		"rate limited", "request count exceeded", "compute units",
		"daily limit", "quota", NULL};
	static const char *const lag[] = {"header not found", "block not found",
		"unknown block", "missing trie node", "state not available",
		NULL};

	/* What a contract says in its revert is not the endpoint's word. */
	if (answer->status != FAC_RPC_ERROR || is_execution_failure(answer))
		return FAC_TROUBLE_NONE;
	if (answer->code == 429 || has_words(answer->message, rate))
		return FAC_TROUBLE_RATE;
	/* Also said of a query that is too wide, which is no reason to rest. */
	if (answer->code == -32005 || has_words(answer->message, lag))
		return FAC_TROUBLE_LAG;
	return FAC_TROUBLE_NONE;
}

/* ---- Reads. ---- */

/* data of an execution error: hex, or hex inside an object or a text. */
static void decode_revert(
	const struct x402_json *data, struct x402_buf *ret_bytes)
{
	const char *text = x402_json_string(data);

	if (!text)
		text = x402_json_get_string(data, "data");
	if (text)
		text = strstr(text, "0x");
	/* Data that cannot be read leaves a revert without reason. */
	if (text)
		(void)append_hex(text, ret_bytes);
}

enum x402_answer_status fac_decode_read(
	const struct fac_rpc_answer *answer, struct x402_buf *ret_bytes)
{
	switch (answer->status) {
	case FAC_RPC_RESULT:
		return append_hex(x402_json_string(answer->result), ret_bytes)
			? X402_ANSWER_OK
			: X402_ANSWER_FAULT;
	case FAC_RPC_ERROR:
		if (!is_execution_failure(answer))
			return X402_ANSWER_FAULT;
		decode_revert(answer->data, ret_bytes);
		return X402_ANSWER_REVERTED;
	case FAC_RPC_FAULT:
	case FAC_RPC_CANCELLED:
		return X402_ANSWER_FAULT;
	}
	return X402_ANSWER_FAULT;
}

enum x402_answer_status fac_decode_number(
	const struct fac_rpc_answer *answer, struct x402_buf *ret_bytes)
{
	struct x402_u256 value;
	uint8_t word[32];

	if (answer->status != FAC_RPC_RESULT ||
		!fac_decode_quantity(answer->result, &value))
		return X402_ANSWER_FAULT;
	x402_u256_to_be32(&value, word);
	x402_buf_add(ret_bytes, x402_span(word, sizeof(word)));
	if (ret_bytes->failed)
		abort();
	return X402_ANSWER_OK;
}

/* ---- Sends. ---- */

static enum fac_send_status classify(int64_t code, const char *message)
{
	static const char *const known[] = {"already known", "alreadyknown",
		"already imported", "known transaction", "already exists",
		"already in mempool", NULL};
	static const char *const low[] = {"nonce too low", "nonce is too low",
		"oldnonce", "nonce has already been used", "old nonce", NULL};
	static const char *const under[] = {"underpriced", "fee too low",
		"fee cap less than", "less than block base fee",
		"feecap too low", "lower than the current base fee", NULL};
	static const char *const funds[] = {"insufficient funds",
		"insufficient balance", "sender doesn't have enough funds",
		"upfront cost exceeds", NULL};
	/* The node's own trouble says nothing about our bytes. */
	static const char *const trouble[] = {"timeout", "timed out", "limit",
		"too many", "try again", "pool is full", "internal error",
		"unavailable", "not synced", "nonce too high", "nonce gap",
		NULL};

	if (has_words(message, known))
		return FAC_SEND_ALREADY_KNOWN;
	if (has_words(message, low))
		return FAC_SEND_NONCE_TOO_LOW;
	if (has_words(message, under))
		return FAC_SEND_UNDERPRICED;
	if (has_words(message, funds))
		return FAC_SEND_INSUFFICIENT_FUNDS;
	/* "exceeds block gas limit" is about our bytes. */
	if (strcasestr(message, "gas limit") || strcasestr(message, "gas too"))
		return FAC_SEND_REJECTED;
	if (code == -32603 || code == -32005 || code == -32601 ||
		code == -32700 || code == 429 || has_words(message, trouble))
		return FAC_SEND_FAULT;
	return FAC_SEND_REJECTED;
}

static void clean_text(const char *from, char *ret_text, size_t size)
{
	size_t i = 0;

	for (; from[i] && i + 1 < size; i++)
		ret_text[i] = iscntrl((unsigned char)from[i]) ? ' ' : from[i];
	ret_text[i] = '\0';
}

void fac_decode_send(const struct fac_rpc_answer *answer,
	const uint8_t hash32[32], struct fac_send_outcome *ret_outcome)
{
	struct fac_send_outcome outcome = {.status = FAC_SEND_FAULT};
	uint8_t said32[32];

	if (answer->status == FAC_RPC_RESULT) {
		/* F-057: another hash means that it is not our answer. */
		if (decode_fixed(answer->result, said32, 32) &&
			memcmp(said32, hash32, 32) == 0)
			outcome.status = FAC_SEND_ACCEPTED;
		else
			snprintf(outcome.message, sizeof(outcome.message),
				"the endpoint answered another hash");
	} else if (answer->status == FAC_RPC_ERROR) {
		outcome.status = classify(answer->code, answer->message);
		clean_text(answer->message, outcome.message,
			sizeof(outcome.message));
	}
	*ret_outcome = outcome;
}

/* ---- Logs. ---- */

static bool decode_event(const struct x402_json *json,
	const struct fac_chain_logs_query *query, struct fac_chain_log *ret_log)
{
	const struct x402_json *topics = x402_json_get(json, "topics");
	struct x402_address address;
	uint8_t topic[32];

	if (!decode_fixed(x402_json_get(json, "address"), address.bytes, 20) ||
		!x402_address_equal(&address, &query->address) ||
		x402_json_type(topics) != X402_JSON_ARRAY ||
		x402_json_size(topics) < query->topics_len)
		return false;
	for (size_t i = 0; i < query->topics_len; i++)
		if (!decode_fixed(x402_json_at(topics, i), topic, 32) ||
			memcmp(topic, query->topics[i], 32) != 0)
			return false;
	return decode_fixed(x402_json_get(json, "transactionHash"),
		       ret_log->transaction_hash32, 32) &&
		decode_fixed(x402_json_get(json, "blockHash"),
			ret_log->block_hash32, 32) &&
		fac_decode_u64(x402_json_get(json, "blockNumber"),
			&ret_log->block_number) &&
		ret_log->block_number >= query->from_block &&
		ret_log->block_number <= query->to_block;
}

enum x402_err fac_decode_logs(const struct fac_rpc_answer *answer,
	const struct fac_chain_logs_query *query,
	struct fac_chain_log *ret_logs, size_t *ret_logs_len)
{
	size_t len = x402_json_size(answer->result);
	size_t taken = 0;

	if (answer->status == FAC_RPC_CANCELLED)
		return X402_ERR_CANCELLED;
	if (answer->status != FAC_RPC_RESULT ||
		x402_json_type(answer->result) != X402_JSON_ARRAY)
		return X402_ERR_CHAIN;
	if (len > FAC_CHAIN_LOGS_MAX)
		return X402_ERR_TOO_LARGE;
	for (size_t i = 0; i < len; i++) {
		const struct x402_json *log = x402_json_at(answer->result, i);
		bool removed = false;

		if (x402_json_get(log, "removed") &&
			!x402_json_bool(
				x402_json_get(log, "removed"), &removed))
			return X402_ERR_CHAIN;
		if (removed)
			continue;
		if (!decode_event(log, query, &ret_logs[taken]))
			return X402_ERR_CHAIN;
		taken++;
	}
	*ret_logs_len = taken;
	return X402_OK;
}

/* ---- Transactions. ---- */

enum x402_err fac_decode_sent(const struct fac_rpc_answer *answer,
	const uint8_t hash32[32], struct x402_buf *storage,
	struct fac_chain_sent *ret_sent)
{
	const struct x402_json *to = x402_json_get(answer->result, "to");
	struct fac_chain_sent sent = {0};
	uint8_t hash[32];

	if (answer->status == FAC_RPC_CANCELLED)
		return X402_ERR_CANCELLED;
	if (answer->status != FAC_RPC_RESULT ||
		!decode_fixed(
			x402_json_get(answer->result, "hash"), hash, 32) ||
		memcmp(hash, hash32, 32) != 0 ||
		!decode_fixed(x402_json_get(answer->result, "from"),
			sent.from.bytes, 20) ||
		(to && !decode_fixed(to, sent.to.bytes, 20)) ||
		!append_hex(
			x402_json_get_string(answer->result, "input"), storage))
		return X402_ERR_CHAIN;
	sent.input = x402_buf_span(storage);
	*ret_sent = sent;
	return X402_OK;
}

/* ---- Receipts. ---- */

/* data spans are offsets until all logs are in: the buffer moves. */
static bool decode_log(const struct x402_json *json,
	struct fac_receipt_storage *storage, struct x402_log *ret_log)
{
	const struct x402_json *topics = x402_json_get(json, "topics");
	struct x402_log log = {.topics_len = x402_json_size(topics)};
	size_t before = storage->data.len;

	if (x402_json_type(topics) != X402_JSON_ARRAY || log.topics_len > 4 ||
		!decode_fixed(
			x402_json_get(json, "address"), log.address.bytes, 20))
		return false;
	for (size_t i = 0; i < log.topics_len; i++)
		if (!decode_fixed(x402_json_at(topics, i), log.topics[i], 32))
			return false;
	if (!append_hex(x402_json_get_string(json, "data"), &storage->data))
		return false;
	log.data.len = storage->data.len - before;
	*ret_log = log;
	return true;
}

static bool decode_logs(const struct x402_json *json,
	struct fac_receipt_storage *storage, struct x402_receipt *receipt)
{
	size_t len = x402_json_size(json);
	size_t at = 0;

	if (x402_json_type(json) != X402_JSON_ARRAY ||
		len > FAC_RECEIPT_LOGS_MAX)
		return false;
	storage->logs = calloc(len ? len : 1, sizeof(*storage->logs));
	if (!storage->logs)
		abort();
	for (size_t i = 0; i < len; i++)
		if (!decode_log(
			    x402_json_at(json, i), storage, &storage->logs[i]))
			return false;
	for (size_t i = 0; i < len; i++) {
		storage->logs[i].data.ptr =
			storage->data.ptr ? storage->data.ptr + at : NULL;
		at += storage->logs[i].data.len;
	}
	receipt->logs = storage->logs;
	receipt->logs_len = len;
	return true;
}

static bool decode_fields(const struct x402_json *json,
	const uint8_t hash32[32], struct fac_chain_receipt *receipt)
{
	struct x402_receipt *fields = &receipt->receipt;
	uint64_t status;

	if (!decode_fixed(x402_json_get(json, "transactionHash"),
		    fields->transaction_hash32, 32) ||
		memcmp(fields->transaction_hash32, hash32, 32) != 0 ||
		!decode_fixed(x402_json_get(json, "blockHash"),
			receipt->block_hash32, 32) ||
		!fac_decode_u64(x402_json_get(json, "blockNumber"),
			&fields->block_number) ||
		!fac_decode_u64(
			x402_json_get(json, "gasUsed"), &fields->gas_used) ||
		!fac_decode_u64(x402_json_get(json, "status"), &status) ||
		status > 1)
		return false;
	/* Absent on some chains; it is told, never decided by. */
	if (x402_json_get(json, "effectiveGasPrice") &&
		!fac_decode_quantity(x402_json_get(json, "effectiveGasPrice"),
			&receipt->effective_gas_price))
		return false;
	fields->success = status == 1;
	return true;
}

void fac_decode_receipt(const struct fac_rpc_answer *answer,
	const uint8_t hash32[32], struct fac_receipt_storage *storage,
	struct fac_chain_receipt *ret_receipt)
{
	struct fac_chain_receipt receipt = {.status = FAC_RECEIPT_FAULT};

	if (answer->status == FAC_RPC_RESULT) {
		if (!answer->result)
			receipt.status = FAC_RECEIPT_NONE;
		else if (decode_fields(answer->result, hash32, &receipt) &&
			decode_logs(x402_json_get(answer->result, "logs"),
				storage, &receipt.receipt))
			receipt.status = FAC_RECEIPT_FOUND;
	}
	*ret_receipt = receipt;
}

void fac_receipt_storage_clear(struct fac_receipt_storage *storage)
{
	free(storage->logs);
	x402_buf_clear(&storage->data);
	*storage = (struct fac_receipt_storage){0};
}
