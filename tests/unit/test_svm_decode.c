/*
 * What answers of a Solana node mean, and which of them are no answers: a
 * fault must never pass for a status, nor a status for its absence.
 */
#include "chain/svm_p.h"
#include "payment_house.h"

#define KEY "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"

static struct fac_rpc_answer answer_of(struct x402_json *json)
{
	return (struct fac_rpc_answer){
		.status = FAC_RPC_RESULT, .result = json, .message = ""};
}

/* ---- Heads. ---- */

static void test_latest_says_slot_hash_and_last_height(void **state)
{
	struct x402_json *json = json_of(
		"{'context':{'slot':447552001},'value':{'blockhash':"
		"'" KEY "','lastValidBlockHeight':427552151}}");
	struct fac_chain_block block;

	(void)state;
	assert_true(fac_svm_decode_latest(json, &block));
	assert_int_equal(block.number, 447552001);
	assert_int_equal(block.height, 427552151);
	x402_json_unref(json);
}

static void test_heads_that_cannot_be_are_refused(void **state)
{
	static const char *const texts[] = {"null", "[]", "{}",
		"{'context':{'slot':1}}",
		"{'value':{'blockhash':'" KEY "','lastValidBlockHeight':1}}",
		"{'context':{'slot':-1},'value':{'blockhash':'" KEY
		"','lastValidBlockHeight':1}}",
		"{'context':{'slot':1},'value':{'blockhash':'x',"
		"'lastValidBlockHeight':1}}",
		"{'context':{'slot':1},'value':{'blockhash':'" KEY
		"','lastValidBlockHeight':'1'}}",
		"{'absoluteSlot':1}", "{'absoluteSlot':1.5,'blockHeight':1}"};
	struct fac_chain_block block;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct x402_json *json = json_of(texts[i]);

		assert_false(fac_svm_decode_latest(json, &block));
		assert_false(fac_svm_decode_epoch(json, &block));
		x402_json_unref(json);
	}
}

static void test_epoch_says_slot_and_height(void **state)
{
	struct x402_json *json = json_of(
		"{'absoluteSlot':447552001,'blockHeight':427552001,'epoch':1}");
	struct fac_chain_block block;

	(void)state;
	assert_true(fac_svm_decode_epoch(json, &block));
	assert_int_equal(block.number, 447552001);
	assert_int_equal(block.height, 427552001);
	x402_json_unref(json);
}

/* ---- Statuses. ---- */

static const uint8_t signatures[4][64] = {{1}, {2}, {3}, {4}};

static void test_statuses_are_told_apart(void **state)
{
	struct x402_json *json = json_of(
		"{'context':{'slot':9},'value':[null,"
		"{'slot':5,'err':null,'confirmationStatus':'confirmed'},"
		"{'slot':6,'err':{'InstructionError':[2,{'Custom':1}]},"
		"'confirmationStatus':'finalized'},"
		"{'slot':9,'err':null,'confirmationStatus':'processed'}]}");
	struct fac_rpc_answer answer = answer_of(json);
	struct fac_chain_receipt got[4];
	uint8_t hash[32];

	(void)state;
	fac_svm_decode_statuses(&answer, signatures, got, 4);
	assert_int_equal(got[0].status, FAC_RECEIPT_NONE);
	assert_int_equal(got[0].context_slot, 9);
	assert_int_equal(got[1].status, FAC_RECEIPT_FOUND);
	assert_true(got[1].receipt.success);
	assert_int_equal(got[1].receipt.block_number, 5);
	x402_sha256(x402_span(signatures[1], 64), hash);
	assert_memory_equal(got[1].receipt.transaction_hash32, hash, 32);
	assert_int_equal(got[2].status, FAC_RECEIPT_FOUND);
	assert_false(got[2].receipt.success);
	/* It may be dropped with its fork: neither landed nor absent. */
	assert_int_equal(got[3].status, FAC_RECEIPT_FAULT);
	x402_json_unref(json);
}

static void test_statuses_that_are_none_are_faults(void **state)
{
	static const char *const texts[] = {"null", "{}", "[null]",
		"{'value':[null]}", "{'context':{'slot':1},'value':[]}",
		"{'context':{'slot':1},'value':[null,null]}",
		"{'context':{'slot':1},'value':null}",
		"{'context':{'slot':1},'value':[{}]}",
		"{'context':{'slot':1},'value':[7]}",
		"{'context':{'slot':1},'value':[{'slot':1,'err':null}]}",
		"{'context':{'slot':1},'value':"
		"[{'slot':1,'confirmationStatus':'confirmed'}]}",
		"{'context':{'slot':1},'value':"
		"[{'err':null,'confirmationStatus':'confirmed'}]}"};
	struct fac_rpc_answer error = {
		.status = FAC_RPC_ERROR, .code = -32005, .message = "behind"};
	struct fac_chain_receipt got[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct x402_json *json = json_of(texts[i]);
		struct fac_rpc_answer answer = answer_of(json);

		fac_svm_decode_statuses(&answer, signatures, got, 1);
		assert_int_equal(got[0].status, FAC_RECEIPT_FAULT);
		x402_json_unref(json);
	}
	fac_svm_decode_statuses(&error, signatures, got, 1);
	assert_int_equal(got[0].status, FAC_RECEIPT_FAULT);
}

/* ---- Sends. ---- */

static enum fac_send_status send_error(int64_t code, const char *message)
{
	struct fac_rpc_answer answer = {
		.status = FAC_RPC_ERROR, .code = code, .message = message};
	struct fac_send_outcome outcome;

	fac_svm_decode_send(&answer, signatures[0], &outcome);
	return outcome.status;
}

static void test_send_answers_are_told_apart(void **state)
{
	char text[X402_SVM_SIGNATURE_TEXT_SIZE];
	struct fac_send_outcome outcome;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct x402_json *json;
		struct fac_rpc_answer answer;

		x402_base58_encode(signatures[i], 64, text);
		json = x402_json_new_string(text);
		answer = answer_of(json);
		fac_svm_decode_send(&answer, signatures[0], &outcome);
		/* F-057: another's signature says nothing about ours. */
		assert_int_equal(outcome.status,
			i == 0 ? FAC_SEND_ACCEPTED : FAC_SEND_FAULT);
		x402_json_unref(json);
	}
	assert_int_equal(send_error(-32002,
				 "This transaction has already been processed"),
		FAC_SEND_ALREADY_KNOWN);
	assert_int_equal(send_error(-32003,
				 "Transaction signature verification failure"),
		FAC_SEND_REJECTED);
	assert_int_equal(
		send_error(-32602, "failed to deserialize"), FAC_SEND_REJECTED);
	assert_int_equal(send_error(-32005, "Node is behind by 42 slots"),
		FAC_SEND_FAULT);
	assert_int_equal(
		send_error(-32002, "Blockhash not found"), FAC_SEND_FAULT);
}

/* ---- Reads. ---- */

static void test_simulation_success_and_failure(void **state)
{
	static const struct {
		const char *text;
		enum x402_answer_status status;
		const char *said;
	} cases[] = {
		{"{'value':{'err':null,'logs':[]}}", X402_ANSWER_OK, ""},
		{"{'value':{'err':'BlockhashNotFound'}}", X402_ANSWER_REVERTED,
			"\"BlockhashNotFound\""},
		{"{'value':{'err':{'InstructionError':[2,{'Custom':1}]}}}",
			X402_ANSWER_REVERTED,
			"{\"InstructionError\":[2,{\"Custom\":1}]}"},
		{"{'value':{'logs':[]}}", X402_ANSWER_FAULT, ""},
		{"{'value':null}", X402_ANSWER_FAULT, ""},
		{"{}", X402_ANSWER_FAULT, ""},
		{"[]", X402_ANSWER_FAULT, ""},
		{"null", X402_ANSWER_FAULT, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *json = json_of(cases[i].text);
		struct fac_rpc_answer answer = answer_of(json);
		struct x402_buf bytes = {0};

		assert_int_equal(fac_svm_decode_simulation(&answer, &bytes),
			cases[i].status);
		x402_buf_add_byte(&bytes, 0);
		assert_string_equal((char *)bytes.ptr, cases[i].said);
		x402_buf_clear(&bytes);
		x402_json_unref(json);
	}
}

static void test_account_owner_and_data_or_nothing(void **state)
{
	static const struct {
		const char *text;
		enum x402_answer_status status;
		size_t len;
	} cases[] = {
		{"{'value':{'owner':'" KEY "','data':['AQI=','base64']}}",
			X402_ANSWER_OK, 34},
		{"{'value':null}", X402_ANSWER_REVERTED, 0},
		{"{}", X402_ANSWER_FAULT, 0},
		{"null", X402_ANSWER_FAULT, 0},
		{"{'value':{'owner':'x','data':['AQI=','base64']}}",
			X402_ANSWER_FAULT, 0},
		{"{'value':{'owner':'" KEY "','data':['AQI','base64']}}",
			X402_ANSWER_FAULT, 0},
		{"{'value':{'owner':'" KEY "','data':['AQI=','base58']}}",
			X402_ANSWER_FAULT, 0},
		{"{'value':{'owner':'" KEY "','data':{'parsed':1}}}",
			X402_ANSWER_FAULT, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *json = json_of(cases[i].text);
		struct fac_rpc_answer answer = answer_of(json);
		struct x402_buf bytes = {0};

		assert_int_equal(fac_svm_decode_account(&answer, &bytes),
			cases[i].status);
		assert_int_equal(bytes.len, cases[i].len);
		x402_buf_clear(&bytes);
		x402_json_unref(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latest_says_slot_hash_and_last_height),
		cmocka_unit_test(test_heads_that_cannot_be_are_refused),
		cmocka_unit_test(test_epoch_says_slot_and_height),
		cmocka_unit_test(test_statuses_are_told_apart),
		cmocka_unit_test(test_statuses_that_are_none_are_faults),
		cmocka_unit_test(test_send_answers_are_told_apart),
		cmocka_unit_test(test_simulation_success_and_failure),
		cmocka_unit_test(test_account_owner_and_data_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
