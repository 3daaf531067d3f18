/*
 * X402_READ_MINED in two steps:
 *
 * 1. fac_mined_read asks for the transaction, its receipt and the head, in one
 *    batch of one endpoint.
 * 2. on_first: in no block is an answer. Else ask_block asks for the block of
 *    that number, whose hash must be the receipt's: a receipt of a block that
 *    fell out of the chain is a fault, and the caller asks again.
 *
 * Whatever does not fit together is a fault, never "not found".
 */
#include "chain/mined_p.h"

#include "chain/decode_p.h"
#include "chain/params_p.h"

#include <stdlib.h>

enum part { PART_SENT, PART_RECEIPT, PART_HEAD, PART_COUNT };

struct mined_ask {
	struct fac_rpc *rpc;
	uint8_t hash32[32];
	uint32_t timeout_ms;
	struct ask_part {
		struct mined_ask *ask;
		enum part part;
	} parts[PART_COUNT];
	size_t left;
	bool fault;
	bool cancelled;
	bool unknown; /* the node has no such transaction */
	struct x402_buf input;
	struct fac_receipt_storage storage;
	struct fac_chain_receipt receipt;
	struct x402_mined mined;
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len);
	void *user;
};

static void end_ask(struct mined_ask *ask)
{
	struct x402_chain_answer answer = {
		.status = ask->fault ? X402_ANSWER_FAULT : X402_ANSWER_OK,
		.mined = ask->fault ? NULL : &ask->mined};
	enum x402_err err = ask->cancelled ? X402_ERR_CANCELLED
		: ask->fault               ? X402_ERR_CHAIN
					   : X402_OK;

	ask->done(ask->user, err, &answer, 1);
	x402_buf_clear(&ask->input);
	fac_receipt_storage_clear(&ask->storage);
	free(ask);
}

static void call(struct mined_ask *ask, const char *method,
	struct x402_buf *params,
	void (*done)(void *user, const struct fac_rpc_answer *answer),
	void *user)
{
	struct fac_rpc_question question = {.method = method,
		.timeout_ms = ask->timeout_ms,
		.done = done,
		.user = user};

	if (params->failed)
		abort();
	question.params = x402_buf_span(params);
	fac_rpc_call(ask->rpc, &question);
	x402_buf_clear(params);
}

/* ---- 2. The block. ---- */

static void on_own_block(void *user, const struct fac_rpc_answer *answer)
{
	struct mined_ask *ask = user;
	struct fac_chain_block block = {0};

	ask->cancelled = answer->status == FAC_RPC_CANCELLED;
	if (answer->status != FAC_RPC_RESULT ||
		!fac_decode_block(answer->result, &block) ||
		block.number != ask->mined.receipt.block_number ||
		memcmp(block.hash32, ask->receipt.block_hash32, 32) != 0)
		ask->fault = true;
	ask->mined.timestamp_unix_s = block.timestamp_unix_s;
	ask->mined.found = true;
	end_ask(ask);
}

static void ask_block(struct mined_ask *ask)
{
	struct x402_buf params = {0};

	x402_buf_add_byte(&params, '[');
	fac_params_block(&params, ask->receipt.receipt.block_number);
	x402_buf_add_str(&params, ",false]");
	call(ask, "eth_getBlockByNumber", &params, on_own_block, ask);
}

/* ---- 1. What is known of it. ---- */

static void take_sent(
	struct mined_ask *ask, const struct fac_rpc_answer *answer)
{
	struct fac_chain_sent sent = {0};

	/* null: the node knows of none, which is no fault. */
	if (answer->status == FAC_RPC_RESULT && !answer->result) {
		ask->unknown = true;
	} else if (fac_decode_sent(answer, ask->hash32, &ask->input, &sent)) {
		ask->fault = true;
	} else {
		ask->mined.from = sent.from;
		ask->mined.to = sent.to;
		ask->mined.input = sent.input;
	}
}

static void take_receipt(
	struct mined_ask *ask, const struct fac_rpc_answer *answer)
{
	fac_decode_receipt(answer, ask->hash32, &ask->storage, &ask->receipt);
	if (ask->receipt.status == FAC_RECEIPT_FAULT)
		ask->fault = true;
	ask->mined.receipt = ask->receipt.receipt;
}

static void take_head(
	struct mined_ask *ask, const struct fac_rpc_answer *answer)
{
	struct fac_chain_block block = {0};

	if (answer->status != FAC_RPC_RESULT ||
		!fac_decode_block(answer->result, &block))
		ask->fault = true;
	ask->mined.head_number = block.number;
}

static void on_first(void *user, const struct fac_rpc_answer *answer)
{
	struct ask_part *part = user;
	struct mined_ask *ask = part->ask;

	if (answer->status == FAC_RPC_CANCELLED)
		ask->cancelled = ask->fault = true;
	switch (part->part) {
	case PART_SENT:
		take_sent(ask, answer);
		break;
	case PART_RECEIPT:
		take_receipt(ask, answer);
		break;
	case PART_HEAD:
		take_head(ask, answer);
		break;
	case PART_COUNT:
		break;
	}
	if (--ask->left)
		return;
	/* Mined, and unknown: two nodes, or one that is confused. */
	if (ask->unknown && ask->receipt.status == FAC_RECEIPT_FOUND)
		ask->fault = true;
	if (!ask->fault && ask->receipt.status == FAC_RECEIPT_FOUND) {
		ask_block(ask);
		return;
	}
	if (!ask->fault)
		ask->mined = (struct x402_mined){
			.head_number = ask->mined.head_number};
	end_ask(ask);
}

void fac_mined_read(struct fac_rpc *rpc,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user)
{
	static const char *const methods[PART_COUNT] = {
		[PART_SENT] = "eth_getTransactionByHash",
		[PART_RECEIPT] = "eth_getTransactionReceipt",
		[PART_HEAD] = "eth_getBlockByNumber"};
	const struct x402_chain_read *read = &options->reads[0];
	struct mined_ask *ask = calloc(1, sizeof(*ask));

	if (!ask || read->data.len != 32)
		abort(); /* our own schemes ask */
	memcpy(ask->hash32, read->data.ptr, 32);
	ask->rpc = rpc;
	ask->timeout_ms = options->timeout_ms;
	ask->left = PART_COUNT;
	ask->done = done;
	ask->user = user;
	for (size_t i = 0; i < PART_COUNT; i++) {
		struct x402_buf params = {0};

		ask->parts[i] = (struct ask_part){ask, (enum part)i};
		x402_buf_add_byte(&params, '[');
		if (i == PART_HEAD)
			fac_params_block(&params,
				read->finalized ? FAC_CHAIN_FINALIZED
						: FAC_CHAIN_LATEST);
		else
			fac_params_hex(&params, read->data);
		x402_buf_add_str(&params, i == PART_HEAD ? ",false]" : "]");
		call(ask, methods[i], &params, on_first, &ask->parts[i]);
	}
}
