/*
 * The verbs of a chain against real HTTP endpoints on the same loop: what is
 * asked, what is believed, and what is a fault.
 */
#include "chain_house.h"

#define HASH_A                               \
	"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B                               \
	"0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" \
	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ADDRESS "0x00000000000000000000000000000000000000cc"

/* ---- Blocks by name. ---- */

struct head {
	struct bench *bench;
	enum x402_err err;
	struct fac_chain_block block;
	uint8_t hashes[4][32]; /* block's own are gone afterwards */
};

static void on_head(
	void *user, enum x402_err err, const struct fac_chain_block *block)
{
	struct head *head = user;

	head->err = err;
	head->block = *block;
	for (size_t i = 0; i < block->transactions_len && i < 4; i++)
		memcpy(head->hashes[i], block->transactions32[i], 32);
	came(head->bench);
}

static void test_chain_head_asks_for_the_named_block(void **state)
{
	struct bench *bench = open_bench(1);
	struct head head = {.bench = bench};

	(void)state;
	rule(&bench->endpoints[0], "eth_getBlockByNumber",
		"\"result\":{\"number\":\"0x10\",\"timestamp\":\"0x5\","
		"\"gasLimit\":\"0x100\",\"hash\":\"" HASH_A "\"}");
	fac_chain_head(bench->chain, FAC_CHAIN_SAFE, 0, on_head, &head);
	wait_for(bench, 1);
	assert_int_equal(head.err, X402_OK);
	assert_int_equal(head.block.number, 16);
	assert_non_null(strstr(bench->endpoints[0].last, "[\"safe\",false]"));
	fac_chain_head(bench->chain, FAC_CHAIN_FINALIZED, 0, on_head, &head);
	wait_for(bench, 1);
	assert_non_null(
		strstr(bench->endpoints[0].last, "[\"finalized\",false]"));
	close_bench(bench);
}

static void test_chain_head_names_what_is_in_the_block(void **state)
{
	struct bench *bench = open_bench(1);
	struct head head = {.bench = bench};

	(void)state;
	/* What is no hash, as where whole transactions come, is left out. */
	rule(&bench->endpoints[0], "eth_getBlockByNumber",
		"\"result\":{\"number\":\"0x10\",\"timestamp\":\"0x5\","
		"\"gasLimit\":\"0x100\",\"hash\":\"" HASH_A
		"\",\"transactions\":[\"" HASH_B
		"\",\"0x12\",{\"hash\":\"" HASH_A "\"},null,\"" HASH_A "\"]}");
	fac_chain_head(bench->chain, FAC_CHAIN_LATEST, 0, on_head, &head);
	wait_for(bench, 1);
	assert_int_equal(head.err, X402_OK);
	assert_int_equal(head.block.transactions_len, 2);
	assert_hex(head.hashes[0], 32, HASH_B);
	assert_hex(head.hashes[1], 32, HASH_A);
	close_bench(bench);
}

static void test_chain_head_without_a_block_is_a_fault(void **state)
{
	static const char *const says[] = {
		"\"result\":null",
		"\"result\":[]",
		"\"result\":{\"number\":\"0x10\"}",
		"\"error\":{\"code\":-39001,\"message\":\"no final block\"}",
	};
	struct bench *bench = open_bench(1);
	struct head head = {.bench = bench};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		rule(&bench->endpoints[0], "eth_getBlockByNumber", says[i]);
		fac_chain_head(
			bench->chain, FAC_CHAIN_FINALIZED, 0, on_head, &head);
		wait_for(bench, 1);
		assert_int_equal(head.err, X402_ERR_CHAIN);
	}
	close_bench(bench);
}

/* ---- Logs. ---- */

struct logs {
	struct bench *bench;
	enum x402_err err;
	struct fac_chain_log logs[FAC_CHAIN_LOGS_MAX];
	size_t len;
};

static void on_logs(void *user, enum x402_err err,
	const struct fac_chain_log *logs, size_t logs_len)
{
	struct logs *seen = user;

	seen->err = err;
	seen->len = logs_len;
	for (size_t i = 0; i < logs_len; i++)
		seen->logs[i] = logs[i];
	came(seen->bench);
}

#define LOG(address, topic, block, more)                                     \
	"{\"address\":\"" address "\",\"topics\":[\"" topic                  \
	"\"],\"data\":\"0x\",\"transactionHash\":\"" HASH_A                  \
	"\",\"blockHash\":\"" HASH_B "\",\"blockNumber\":\"" block "\"" more \
	"}"

static void ask_logs(struct logs *seen, const char *says)
{
	struct fac_chain_logs_query query = {
		.topics_len = 1, .from_block = 16, .to_block = 32};

	hex_fixed(ADDRESS, query.address.bytes, 20);
	hex_fixed(HASH_B, query.topics[0], 32);
	rule(&seen->bench->endpoints[0], "eth_getLogs", says);
	fac_chain_logs(seen->bench->chain, &query, 0, on_logs, seen);
	wait_for(seen->bench, 1);
}

static void test_chain_logs_tells_transaction_and_block(void **state)
{
	struct logs seen = {.bench = open_bench(1)};

	(void)state;
	ask_logs(&seen,
		"\"result\":[" LOG(ADDRESS, HASH_B, "0x11", "") "," LOG(
			ADDRESS, HASH_B, "0x12", ",\"removed\":true") "]");
	assert_int_equal(seen.err, X402_OK);
	assert_int_equal(seen.len, 1);
	assert_int_equal(seen.logs[0].block_number, 17);
	assert_hex(seen.logs[0].transaction_hash32, 32, HASH_A);
	assert_hex(seen.logs[0].block_hash32, 32, HASH_B);
	assert_non_null(strstr(seen.bench->endpoints[0].last,
		"[{\"address\":\"" ADDRESS "\",\"topics\":[\"" HASH_B
		"\"],\"fromBlock\":\"0x10\",\"toBlock\":\"0x20\"}]"));
	ask_logs(&seen, "\"result\":[]");
	assert_int_equal(seen.err, X402_OK);
	assert_int_equal(seen.len, 0);
	close_bench(seen.bench);
}

static void test_chain_logs_refuses_what_was_not_asked_for(void **state)
{
	static const char *const says[] = {
		"\"result\":null",
		"\"result\":{}",
		"\"result\":[7]",
		"\"error\":{\"code\":-32000,\"message\":\"range too wide\"}",
		/* another contract, another topic, outside of the range */
		"\"result\":[" LOG("0x00000000000000000000000000000000000000cd",
			HASH_B, "0x11", "") "]",
		"\"result\":[" LOG(ADDRESS, HASH_A, "0x11", "") "]",
		"\"result\":[" LOG(ADDRESS, HASH_B, "0xf", "") "]",
		"\"result\":[" LOG(ADDRESS, HASH_B, "0x21", "") "]",
		"\"result\":[" LOG(
			ADDRESS, HASH_B, "0x11", ",\"removed\":1") "]",
		/* one good log does not save the other */
		"\"result\":[" LOG(ADDRESS, HASH_B, "0x11", "") ",{}]",
	};
	struct logs seen = {.bench = open_bench(1)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		ask_logs(&seen, says[i]);
		assert_int_equal(seen.err, X402_ERR_CHAIN);
		assert_int_equal(seen.len, 0);
	}
	close_bench(seen.bench);
}

static void test_chain_logs_beyond_the_limit_are_not_cut(void **state)
{
	struct logs seen = {.bench = open_bench(1)};
	struct x402_buf says = {0};
	char *text;

	(void)state;
	x402_buf_add_str(&says, "\"result\":[");
	for (size_t i = 0; i <= FAC_CHAIN_LOGS_MAX; i++) {
		if (i)
			x402_buf_add_byte(&says, ',');
		x402_buf_add_str(&says, LOG(ADDRESS, HASH_B, "0x11", ""));
	}
	x402_buf_add_str(&says, "]");
	text = x402_buf_take_str(&says);
	ask_logs(&seen, text);
	assert_int_equal(seen.err, X402_ERR_TOO_LARGE);
	free(text);
	close_bench(seen.bench);
}

/* ---- Receipts. ---- */

struct receipts {
	struct bench *bench;
	struct fac_chain_receipt one;
	size_t logs_len;
};

static void on_receipts(
	void *user, const struct fac_chain_receipt *receipts, size_t len)
{
	struct receipts *seen = user;

	assert_int_equal(len, 1);
	seen->one = receipts[0];
	seen->logs_len = receipts[0].receipt.logs_len;
	seen->one.receipt.logs = NULL; /* borrowed */
	came(seen->bench);
}

#define RECEIPT(hash, more)                                                    \
	"\"result\":{\"transactionHash\":\"" hash "\",\"blockHash\":\"" HASH_B \
	"\",\"blockNumber\":\"0x11\",\"gasUsed\":\"0x5208\","                  \
	"\"status\":\"0x1\",\"logs\":[{\"address\":\"" ADDRESS                 \
	"\",\"topics\":[],\"data\":\"0x0102\"}]" more "}"

static void ask_receipt(struct receipts *seen, const char *says)
{
	uint8_t hash32[1][32];

	hex_fixed(HASH_A, hash32[0], 32);
	rule(&seen->bench->endpoints[0], "eth_getTransactionReceipt", says);
	fac_chain_receipts(seen->bench->chain, hash32, 1, 0, on_receipts, seen);
	wait_for(seen->bench, 1);
}

static void test_chain_receipt_tells_the_gas_price(void **state)
{
	struct receipts seen = {.bench = open_bench(1)};
	uint64_t price;

	(void)state;
	ask_receipt(&seen, RECEIPT(HASH_A, ",\"effectiveGasPrice\":\"0x64\""));
	assert_int_equal(seen.one.status, FAC_RECEIPT_FOUND);
	assert_int_equal(seen.logs_len, 1);
	assert_hex(seen.one.block_hash32, 32, HASH_B);
	assert_true(x402_u256_to_u64(&seen.one.effective_gas_price, &price));
	assert_int_equal(price, 100);
	ask_receipt(&seen, RECEIPT(HASH_A, ""));
	assert_int_equal(seen.one.status, FAC_RECEIPT_FOUND);
	assert_true(x402_u256_to_u64(&seen.one.effective_gas_price, &price));
	assert_int_equal(price, 0);
	ask_receipt(&seen, "\"result\":null");
	assert_int_equal(seen.one.status, FAC_RECEIPT_NONE);
	close_bench(seen.bench);
}

static void test_chain_receipt_that_cannot_be_true_is_a_fault(void **state)
{
	static const char *const says[] = {
		RECEIPT(HASH_B, ""), /* of another transaction */
		RECEIPT(HASH_A, ",\"effectiveGasPrice\":\"100\""),
		"\"result\":{}",
		"\"result\":\"0x1\"",
		"\"error\":{\"code\":-32000,\"message\":\"indexing\"}",
		"",
	};
	struct receipts seen = {.bench = open_bench(1)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		ask_receipt(&seen, says[i]);
		assert_int_equal(seen.one.status, FAC_RECEIPT_FAULT);
	}
	close_bench(seen.bench);
}

/* ---- Counters. ---- */

static void test_chain_stats_count_what_happened(void **state)
{
	struct receipts seen = {.bench = open_bench(1)};
	struct fac_chain_stats stats;

	(void)state;
	ask_receipt(&seen, "\"result\":null");
	ask_receipt(&seen, "\"error\":{\"code\":1,\"message\":\"no\"}");
	seen.bench->endpoints[0].status = 429;
	ask_receipt(&seen, "\"result\":null");
	stats = fac_chain_stats(seen.bench->chain);
	assert_int_equal(stats.endpoints_len, 1);
	assert_string_equal(stats.endpoints[0].host, "127.0.0.1");
	assert_int_equal(
		stats.endpoints[0].requests, seen.bench->endpoints[0].posts);
	assert_int_equal(stats.endpoints[0].rpc_errors, 1);
	assert_int_equal(stats.endpoints[0].http_429, 1);
	assert_int_equal(stats.endpoints[0].transport_faults, 1);
	assert_int_equal(stats.endpoints[0].latency_count, 3);
	assert_true(stats.endpoints[0].resting);
	/* Whoever reads the log must not read the URL's secrets. */
	assert_int_equal(seen.bench->warnings, 1);
	assert_null(strstr(seen.bench->warning, "secret"));
	assert_null(strstr(seen.bench->warning, "key"));
	close_bench(seen.bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain_head_asks_for_the_named_block),
		cmocka_unit_test(test_chain_head_names_what_is_in_the_block),
		cmocka_unit_test(test_chain_head_without_a_block_is_a_fault),
		cmocka_unit_test(test_chain_logs_tells_transaction_and_block),
		cmocka_unit_test(
			test_chain_logs_refuses_what_was_not_asked_for),
		cmocka_unit_test(test_chain_logs_beyond_the_limit_are_not_cut),
		cmocka_unit_test(test_chain_receipt_tells_the_gas_price),
		cmocka_unit_test(
			test_chain_receipt_that_cannot_be_true_is_a_fault),
		cmocka_unit_test(test_chain_stats_count_what_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
