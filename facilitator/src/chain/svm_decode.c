/*
 * What Solana's JSON-RPC answers mean. A transaction counts as landed from
 * the commitment "confirmed" on; "processed" alone may be dropped with its
 * fork, so it is neither a success nor its absence.
 */
#include "chain/decode_p.h"
#include "chain/svm_p.h"
#include "x402/encoding.h"
#include "x402/svm.h"

#include <stdio.h>
#include <stdlib.h>

bool fac_svm_decode_u64(const struct x402_json *json, uint64_t *ret_value)
{
	int64_t value;

	if (!x402_json_int64(json, &value) || value < 0)
		return false;
	*ret_value = (uint64_t)value;
	return true;
}

static bool context_slot(const struct x402_json *json, uint64_t *ret_slot)
{
	return fac_svm_decode_u64(
		x402_json_get(x402_json_get(json, "context"), "slot"),
		ret_slot);
}

bool fac_svm_decode_latest(
	const struct x402_json *json, struct fac_chain_block *ret_block)
{
	const struct x402_json *value = x402_json_get(json, "value");
	struct fac_chain_block block = {0};

	if (!context_slot(json, &block.number) ||
		x402_base58_decode(x402_json_get_string(value, "blockhash"),
			block.hash32, 32) != X402_OK ||
		!fac_svm_decode_u64(
			x402_json_get(value, "lastValidBlockHeight"),
			&block.height))
		return false;
	*ret_block = block;
	return true;
}

bool fac_svm_decode_epoch(
	const struct x402_json *json, struct fac_chain_block *ret_block)
{
	struct fac_chain_block block = {0};

	if (!fac_svm_decode_u64(
		    x402_json_get(json, "absoluteSlot"), &block.number) ||
		!fac_svm_decode_u64(
			x402_json_get(json, "blockHeight"), &block.height))
		return false;
	*ret_block = block;
	return true;
}

/* ---- Statuses. ---- */

static enum fac_receipt_status decode_status(
	const struct x402_json *json, struct x402_receipt *receipt)
{
	const char *commitment = x402_json_get_string(
		json, "confirmationStatus");

	if (x402_json_type(json) == X402_JSON_NULL)
		return FAC_RECEIPT_NONE;
	if (!commitment ||
		(strcmp(commitment, "confirmed") != 0 &&
			strcmp(commitment, "finalized") != 0) ||
		!fac_svm_decode_u64(
			x402_json_get(json, "slot"), &receipt->block_number) ||
		!x402_json_has(json, "err"))
		return FAC_RECEIPT_FAULT;
	receipt->success = !x402_json_get(json, "err");
	return FAC_RECEIPT_FOUND;
}

void fac_svm_decode_statuses(const struct fac_rpc_answer *answer,
	const uint8_t (*signatures64)[64], struct fac_chain_receipt *ret,
	size_t len)
{
	const struct x402_json *value = x402_json_get(answer->result, "value");
	uint64_t slot = 0;
	bool usable = answer->status == FAC_RPC_RESULT &&
		x402_json_type(value) == X402_JSON_ARRAY &&
		x402_json_size(value) == len &&
		context_slot(answer->result, &slot);

	for (size_t i = 0; i < len; i++) {
		ret[i] = (struct fac_chain_receipt){
			.status = FAC_RECEIPT_FAULT, .context_slot = slot};
		if (!usable)
			continue;
		ret[i].status = decode_status(
			x402_json_at(value, i), &ret[i].receipt);
		x402_sha256(x402_span(signatures64[i], 64),
			ret[i].receipt.transaction_hash32);
	}
}

/* ---- Sends. ---- */

static enum fac_send_status classify(const struct fac_rpc_answer *answer)
{
	if (strstr(answer->message, "already been processed"))
		return FAC_SEND_ALREADY_KNOWN;
	/* Our bytes: they are malformed, or a signature is not good. */
	if (answer->code == -32602 || answer->code == -32003)
		return FAC_SEND_REJECTED;
	return FAC_SEND_FAULT;
}

void fac_svm_decode_send(const struct fac_rpc_answer *answer,
	const uint8_t signature64[64], struct fac_send_outcome *ret_outcome)
{
	struct fac_send_outcome outcome = {.status = FAC_SEND_FAULT};
	uint8_t said64[64];

	if (answer->status == FAC_RPC_RESULT) {
		/* F-057: another signature is not the answer to ours. */
		if (x402_base58_decode(x402_json_string(answer->result), said64,
			    64) == X402_OK &&
			memcmp(said64, signature64, 64) == 0)
			outcome.status = FAC_SEND_ACCEPTED;
		else
			snprintf(outcome.message, sizeof(outcome.message),
				"the endpoint answered another signature");
	} else if (answer->status == FAC_RPC_ERROR) {
		outcome.status = classify(answer);
		snprintf(outcome.message, sizeof(outcome.message), "%s",
			answer->message);
		for (char *p = outcome.message; *p; p++)
			if ((unsigned char)*p < ' ')
				*p = ' ';
	}
	*ret_outcome = outcome;
}

/* ---- Reads. ---- */

enum x402_answer_status fac_svm_decode_simulation(
	const struct fac_rpc_answer *answer, struct x402_buf *ret_bytes)
{
	const struct x402_json *value = x402_json_get(answer->result, "value");
	const struct x402_json *err;
	char *text;

	/* The node read the bytes, and they are no transaction to it. */
	if (answer->status == FAC_RPC_ERROR && answer->code == -32602) {
		x402_buf_add_str(ret_bytes, answer->message);
		return X402_ANSWER_REVERTED;
	}
	if (answer->status != FAC_RPC_RESULT || !x402_json_has(value, "err"))
		return X402_ANSWER_FAULT;
	err = x402_json_get(value, "err");
	if (!err)
		return X402_ANSWER_OK;
	text = x402_json_dump(err);
	if (!text)
		abort();
	x402_buf_add_str(ret_bytes, text);
	free(text);
	return X402_ANSWER_REVERTED;
}

enum x402_answer_status fac_svm_decode_account(
	const struct fac_rpc_answer *answer, struct x402_buf *ret_bytes)
{
	const struct x402_json *value = x402_json_get(answer->result, "value");
	const struct x402_json *data = x402_json_get(value, "data");
	const char *text = x402_json_string(x402_json_at(data, 0));
	const char *encoding = x402_json_string(x402_json_at(data, 1));
	struct x402_pubkey owner;
	struct x402_buf bytes = {0};

	if (answer->status != FAC_RPC_RESULT ||
		!x402_json_has(answer->result, "value"))
		return X402_ANSWER_FAULT;
	if (!value)
		return X402_ANSWER_REVERTED;
	if (!text || !encoding || strcmp(encoding, "base64") != 0 ||
		x402_pubkey_parse(x402_json_get_string(value, "owner"),
			&owner) != X402_OK ||
		x402_base64_decode(x402_span_str(text), &bytes) != X402_OK) {
		x402_buf_clear(&bytes);
		return X402_ANSWER_FAULT;
	}
	x402_buf_add(ret_bytes, x402_span(owner.bytes, 32));
	x402_buf_add(ret_bytes, x402_buf_span(&bytes));
	x402_buf_clear(&bytes);
	return X402_ANSWER_OK;
}
