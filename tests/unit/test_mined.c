/*
 * X402_READ_MINED against a scripted endpoint: what fits together is an
 * answer, what does not is a fault, and nothing is ever half believed.
 */
#include "chain_house.h"

#define HASH \
	"0xab00000000000000000000000000000000000000000000000000000000000001"
#define BLOCK \
	"0xbb00000000000000000000000000000000000000000000000000000000000002"
#define OTHER \
	"0xcc00000000000000000000000000000000000000000000000000000000000003"
#define FROM  "0x857b06519e91e3a54538791bdbb0e22373e36b66"
#define TOKEN "0x036cbd53842c5426634e7929541ec2318f3dcf7e"
#define TX                                                   \
	"\"result\":{\"hash\":\"" HASH "\",\"from\":\"" FROM \
	"\",\"to\":\"" TOKEN "\",\"input\":\"0xa9059cbb\"}"
#define RECEIPT                                                                \
	"\"result\":{\"transactionHash\":\"" HASH "\",\"blockHash\":\"" BLOCK  \
	"\",\"blockNumber\":\"0x64\",\"gasUsed\":\"0x5208\","                  \
	"\"status\":\"0x1\",\"logs\":[{\"address\":\"" TOKEN "\",\"topics\":[" \
	"\"" OTHER "\"],\"data\":\"0x07\"}]}"

struct seen {
	struct bench *bench;
	unsigned times;
	enum x402_err err;
	enum x402_answer_status status;
	bool has_mined;
	struct x402_mined mined;
	uint8_t input4[4];
	uint8_t log_byte;
};

static void on_seen(void *user, enum x402_err err,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	struct seen *seen = user;

	assert_int_equal(answers_len, 1);
	seen->times++;
	seen->err = err;
	seen->status = answers[0].status;
	seen->has_mined = answers[0].mined;
	if (answers[0].mined) {
		seen->mined = *answers[0].mined;
		if (seen->mined.input.len == 4)
			memcpy(seen->input4, seen->mined.input.ptr, 4);
		if (seen->mined.receipt.logs_len)
			seen->log_byte =
				seen->mined.receipt.logs[0].data.ptr[0];
	}
	came(seen->bench);
}

/* The block of a number: its own, or the head. */
static const char *own_hash = BLOCK;
static const char *own_number = "0x64";
static bool says_head;
static bool saw_finalized;

static bool say_blocks(struct endpoint *endpoint, const char *method,
	const struct x402_json *params, struct x402_buf *ret_says)
{
	const char *name = x402_json_string(x402_json_at(params, 0));
	bool head = name && strcmp(name, "0x64") != 0;

	(void)endpoint;
	if (strcmp(method, "eth_getBlockByNumber") != 0)
		return false;
	saw_finalized |= name && !strcmp(name, "finalized");
	if (head && !says_head) {
		x402_buf_add_str(ret_says,
			"\"error\":{\"code\":-32000,\"message\":\"no\"}");
		return true;
	}
	x402_buf_printf(ret_says,
		"\"result\":{\"number\":\"%s\",\"timestamp\":\"0x6b49d200\","
		"\"hash\":\"%s\",\"gasLimit\":\"0x1c9c380\","
		"\"baseFeePerGas\":\"0x7\"}",
		head ? "0x70" : own_number, head ? OTHER : own_hash);
	return true;
}

static struct seen read_mined(const char *tx, const char *receipt)
{
	struct bench *bench = open_bench(1);
	struct seen seen = {.bench = bench};
	struct fac_chain_read_options options = FAC_CHAIN_READ_INIT;
	struct x402_chain_read read = {
		.kind = X402_READ_MINED, .finalized = saw_finalized};
	uint8_t hash32[32];

	hex_fixed(HASH, hash32, 32);
	read.data = x402_span(hash32, 32);
	saw_finalized = false;
	rule(&bench->endpoints[0], "eth_getTransactionByHash", tx);
	rule(&bench->endpoints[0], "eth_getTransactionReceipt", receipt);
	bench->endpoints[0].say = say_blocks;
	options.reads = &read;
	options.reads_len = 1;
	options.timeout_ms = 2000;
	fac_chain_read(bench->chain, &options, on_seen, &seen);
	wait_for(bench, 1);
	assert_int_equal(seen.times, 1);
	close_bench(bench);
	return seen;
}

static int reset(void **state)
{
	(void)state;
	own_hash = BLOCK;
	own_number = "0x64";
	says_head = true;
	saw_finalized = false;
	return 0;
}

static void test_mined_transaction_is_told_whole(void **state)
{
	struct seen seen = read_mined(TX, RECEIPT);

	(void)state;
	assert_int_equal(seen.err, X402_OK);
	assert_int_equal(seen.status, X402_ANSWER_OK);
	assert_true(seen.mined.found);
	assert_int_equal(seen.mined.from.bytes[0], 0x85);
	assert_int_equal(seen.mined.to.bytes[0], 0x03);
	assert_memory_equal(seen.input4, "\xa9\x05\x9c\xbb", 4);
	assert_true(seen.mined.receipt.success);
	assert_int_equal(seen.mined.receipt.block_number, 100);
	assert_int_equal(seen.log_byte, 7);
	assert_int_equal(seen.mined.timestamp_unix_s, 0x6b49d200);
	assert_int_equal(seen.mined.head_number, 0x70);
	assert_false(saw_finalized);
}

static void test_mined_head_is_the_finalized_one_where_asked(void **state)
{
	(void)state;
	saw_finalized = true; /* read_mined asks so */
	read_mined(TX, RECEIPT);
	assert_true(saw_finalized);
}

static void test_mined_unknown_or_pending_is_an_answer(void **state)
{
	struct seen seen = read_mined("\"result\":null", "\"result\":null");

	(void)state;
	assert_int_equal(seen.err, X402_OK);
	assert_true(seen.has_mined);
	assert_false(seen.mined.found);
	seen = read_mined(TX, "\"result\":null");
	assert_int_equal(seen.err, X402_OK);
	assert_false(seen.mined.found);
	assert_int_equal(seen.mined.input.len, 0);
}

static void test_mined_that_does_not_fit_together_is_a_fault(void **state)
{
	static const char *const cases[][2] = {
		/* A receipt without its transaction. */
		{"\"result\":null", RECEIPT},
		/* Another transaction than was asked for. */
		{"\"result\":{\"hash\":\"" OTHER "\",\"from\":\"" FROM
		 "\",\"to\":\"" TOKEN "\",\"input\":\"0x\"}",
			RECEIPT},
		{TX, "\"result\":{\"transactionHash\":\"" OTHER "\"}"},
		{TX, "\"error\":{\"code\":-32000,\"message\":\"no\"}"},
		{"\"error\":{\"code\":-32000,\"message\":\"no\"}", RECEIPT},
		{TX, "\"result\":7"}};
	struct seen seen;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		seen = read_mined(cases[i][0], cases[i][1]);
		assert_int_equal(seen.err, X402_ERR_CHAIN);
		assert_int_equal(seen.status, X402_ANSWER_FAULT);
		assert_false(seen.has_mined);
	}
	/* Its block fell out of the chain. */
	own_hash = OTHER;
	assert_int_equal(read_mined(TX, RECEIPT).err, X402_ERR_CHAIN);
	own_hash = BLOCK;
	own_number = "0x65";
	assert_int_equal(read_mined(TX, RECEIPT).err, X402_ERR_CHAIN);
	own_number = "0x64";
	says_head = false;
	assert_int_equal(read_mined(TX, RECEIPT).err, X402_ERR_CHAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			test_mined_transaction_is_told_whole, reset),
		cmocka_unit_test_setup(
			test_mined_head_is_the_finalized_one_where_asked,
			reset),
		cmocka_unit_test_setup(
			test_mined_unknown_or_pending_is_an_answer, reset),
		cmocka_unit_test_setup(
			test_mined_that_does_not_fit_together_is_a_fault,
			reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
