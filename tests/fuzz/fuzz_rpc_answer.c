/*
 * What an RPC endpoint may say: one answer or a batch of them, each read as
 * everything that we ever ask for. Whatever is believed must be what was
 * asked, and the endpoint's own trouble is never a verdict.
 */
#include "fuzz_house.h"

#include "chain/decode_p.h"
#include "chain/svm_p.h"

static uint8_t hash32[32]; /* zeros: easy to hit for a fuzzer */

static void read_receipt(const struct fac_rpc_answer *answer)
{
	struct fac_receipt_storage storage = {0};
	struct fac_chain_receipt receipt;

	fac_decode_receipt(answer, hash32, &storage, &receipt);
	if (receipt.status == FAC_RECEIPT_FOUND) {
		must(memcmp(receipt.receipt.transaction_hash32, hash32, 32) ==
			0);
		must(receipt.receipt.logs_len <= FAC_RECEIPT_LOGS_MAX);
		for (size_t i = 0; i < receipt.receipt.logs_len; i++) {
			const struct x402_log *log = &receipt.receipt.logs[i];

			must(log->topics_len <= 4);
			must(!log->data.len ||
				(log->data.ptr >= storage.data.ptr &&
					log->data.ptr + log->data.len <=
						storage.data.ptr +
							storage.data.len));
		}
	}
	fac_receipt_storage_clear(&storage);
}

static void read_logs(const struct fac_rpc_answer *answer)
{
	static const struct fac_chain_logs_query query = {
		.topics_len = 1, .from_block = 16, .to_block = 32};
	struct fac_chain_log logs[FAC_CHAIN_LOGS_MAX];
	size_t len = 0;

	if (fac_decode_logs(answer, &query, logs, &len))
		return;
	must(len <= FAC_CHAIN_LOGS_MAX);
	for (size_t i = 0; i < len; i++)
		must(logs[i].block_number >= 16 && logs[i].block_number <= 32);
}

static void read_send(const struct fac_rpc_answer *answer)
{
	struct fac_send_outcome outcome;

	fac_decode_send(answer, hash32, &outcome);
	must(memchr(outcome.message, '\0', sizeof(outcome.message)) != NULL);
	if (answer->status == FAC_RPC_RESULT)
		must(outcome.status == FAC_SEND_ACCEPTED ||
			outcome.status == FAC_SEND_FAULT);
	else
		must(outcome.status != FAC_SEND_ACCEPTED);
}

/* A Solana node's: what is no status is neither landed nor absent. */
static void read_svm(const struct fac_rpc_answer *answer)
{
	static const uint8_t signatures[2][64];
	struct fac_chain_receipt statuses[2];
	struct fac_send_outcome outcome;
	struct fac_chain_block block;
	struct x402_buf bytes = {0};

	fac_svm_decode_statuses(answer, signatures, statuses, 2);
	if (answer->status != FAC_RPC_RESULT)
		must(statuses[0].status == FAC_RECEIPT_FAULT &&
			statuses[1].status == FAC_RECEIPT_FAULT);
	fac_svm_decode_send(answer, signatures[0], &outcome);
	must(memchr(outcome.message, '\0', sizeof(outcome.message)) != NULL);
	if (answer->status != FAC_RPC_RESULT)
		must(outcome.status != FAC_SEND_ACCEPTED);
	if (fac_svm_decode_account(answer, &bytes) == X402_ANSWER_OK)
		must(bytes.len >= 32);
	else
		must(bytes.len == 0);
	bytes.len = 0;
	if (fac_svm_decode_simulation(answer, &bytes) == X402_ANSWER_OK)
		must(answer->status == FAC_RPC_RESULT && bytes.len == 0);
	x402_buf_clear(&bytes);
	(void)!fac_svm_decode_latest(answer->result, &block);
	(void)!fac_svm_decode_epoch(answer->result, &block);
}

static void read_one(const struct x402_json *json)
{
	struct fac_rpc_answer answer;
	enum fac_trouble trouble;
	struct x402_buf bytes = {0};
	struct fac_chain_block block;
	struct x402_u256 value;
	enum x402_answer_status status;

	if (!fac_decode_answer(json, &answer))
		return;
	must(answer.message != NULL);
	trouble = fac_decode_trouble(&answer);
	status = fac_decode_read(&answer, &bytes);
	if (trouble != FAC_TROUBLE_NONE)
		must(status == X402_ANSWER_FAULT);
	if (answer.status == FAC_RPC_RESULT)
		must(status != X402_ANSWER_REVERTED);
	x402_buf_clear(&bytes);
	read_receipt(&answer);
	read_logs(&answer);
	read_send(&answer);
	read_svm(&answer);
	(void)!fac_decode_block(answer.result, &block);
	fac_decode_transactions(answer.result, &bytes);
	must(bytes.len % 32 == 0);
	x402_buf_clear(&bytes);
	(void)!fac_decode_fee_history(answer.result, &value);
	(void)!fac_decode_quantity(answer.result, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_json_limits limits = {1 << 20, FAC_ANSWER_DEPTH_MAX};
	struct x402_json *json;

	if (x402_json_parse(x402_span(data, size), &limits, NULL, &json))
		return 0;
	read_one(json);
	for (size_t i = 0; i < x402_json_size(json); i++)
		read_one(x402_json_at(json, i));
	x402_json_unref(json);
	return 0;
}
