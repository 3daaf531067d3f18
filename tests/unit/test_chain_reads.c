/*
 * The reads of a turn: what is asked once, what travels together in a call of
 * Multicall3, what is remembered.
 */
#include "chain_house.h"

#include "chain/facts_p.h"
#include "x402/abi.h"

#define MULTI "0xca11bde05977b3631167028862be2a173976ca11"
#define NAME  "0x06fdde03"

static void test_reads_of_a_turn_are_asked_once(void **state)
{
	struct bench *bench = open_bench(1);
	struct read_seen a = {.bench = bench};
	struct read_seen b = {.bench = bench};
	struct x402_chain_read reads[3] = {
		code_of(PAYER), code_of(PAYER), call_to(PAYER, one_data)};

	(void)state;
	rule(&bench->endpoints[0], "eth_getCode", "\"result\":\"0x0405\"");
	rule(&bench->endpoints[0], "eth_call", "\"result\":\"0x07\"");
	ask_reads(&a, reads, 3);
	ask_reads(&b, reads, 1);
	wait_for(bench, 2);
	assert_string_equal(
		bench->endpoints[0].methods, "eth_getCode,eth_call,");
	assert_int_equal(bench->endpoints[0].posts, 1);
	assert_int_equal(a.err, X402_OK);
	assert_int_equal(a.last_byte[0], 5);
	assert_int_equal(a.last_byte[1], 5);
	assert_int_equal(a.last_byte[2], 7);
	assert_int_equal(b.last_byte[0], 5);
	/* A payer's code is asked again in every turn. */
	ask_reads(&b, reads, 1);
	wait_for(bench, 1);
	assert_int_equal(bench->endpoints[0].posts, 2);
	close_bench(bench);
}

static void test_reads_that_differ_are_not_taken_for_one(void **state)
{
	struct bench *bench = open_bench(1);
	struct read_seen seen = {.bench = bench};
	struct x402_chain_read reads[5] = {call_to(PAYER, one_data),
		call_to(PAYER, two_data), call_to(ASSET, one_data),
		call_to(PAYER, one_data), call_to(PAYER, one_data)};

	(void)state;
	reads[3].needs_sender = true;
	reads[4].gas = 100000;
	rule(&bench->endpoints[0], "eth_call", "\"result\":\"0x07\"");
	ask_reads(&seen, reads, 5);
	wait_for(bench, 1);
	assert_int_equal(bench->endpoints[0].calls, 5);
	close_bench(bench);
}

/* What they ask is all the same but for the kind, the sender or the block. */
static void test_reads_by_kind_sender_and_block_are_not_taken_for_one(
	void **state)
{
	struct bench *bench = open_bench(1);
	struct read_seen seen = {.bench = bench};
	struct read_seen other = {.bench = bench};
	struct x402_chain_read reads[5] = {code_of(PAYER), code_of(PAYER),
		code_of(PAYER), call_to(PAYER, one_data),
		call_to(PAYER, one_data)};
	struct fac_chain_read_options options = FAC_CHAIN_READ_INIT;

	(void)state;
	reads[1].kind = X402_READ_NONCE;
	reads[2].kind = X402_READ_BALANCE;
	reads[3].needs_sender = reads[4].needs_sender = true;
	reads[3].has_sender = reads[4].has_sender = true;
	reads[4].sender.bytes[19] = 1;
	rule(&bench->endpoints[0], "eth_getCode", "\"result\":\"0x01\"");
	rule(&bench->endpoints[0], "eth_getTransactionCount",
		"\"result\":\"0x2\"");
	rule(&bench->endpoints[0], "eth_getBalance", "\"result\":\"0x3\"");
	rule(&bench->endpoints[0], "eth_call", "\"result\":\"0x04\"");
	ask_reads(&seen, reads, 5);
	options.reads = reads;
	options.reads_len = 1;
	options.block = 7;
	fac_chain_read(bench->chain, &options, on_read, &other);
	wait_for(bench, 2);
	assert_int_equal(bench->endpoints[0].calls, 6);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(seen.last_byte[i], i + 1);
	assert_int_equal(seen.last_byte[4], 4);
	assert_int_equal(other.last_byte[0], 1);
	close_bench(bench);
}

static void test_reads_of_an_asset_are_remembered(void **state)
{
	struct bench *bench = open_bench(1);
	struct read_seen seen = {.bench = bench};
	struct x402_chain_read reads[2] = {
		code_of(ASSET), call_to(ASSET, name_data)};

	(void)state;
	/* Neither "no code" nor a fault is a fact. */
	rule(&bench->endpoints[0], "eth_getCode", "\"result\":\"0x\"");
	rule(&bench->endpoints[0], "eth_call", SAYS("execution reverted"));
	for (int i = 0; i < 2; i++) {
		ask_reads(&seen, reads, 2);
		wait_for(bench, 1);
		assert_int_equal(seen.data_len[0], 0);
		assert_int_equal(seen.status[1], X402_ANSWER_REVERTED);
	}
	assert_int_equal(bench->endpoints[0].calls, 4);
	rule(&bench->endpoints[0], "eth_getCode", "\"result\":\"0x0405\"");
	rule(&bench->endpoints[0], "eth_call", "\"result\":\"0x0807\"");
	for (int i = 0; i < 3; i++) {
		ask_reads(&seen, reads, 2);
		wait_for(bench, 1);
		assert_int_equal(seen.err, X402_OK);
		assert_true(seen.data_len[0] > 0);
		assert_int_equal(seen.status[1], X402_ANSWER_OK);
		assert_int_equal(seen.last_byte[1], 7);
	}
	assert_int_equal(bench->endpoints[0].calls, 6);
	close_bench(bench);
}

/* A chain with Multicall3, whose answer the test makes. */
struct multi_says {
	bool whole_fails;
	bool is_silent; /* it answers what nobody can read */
	bool second_fails;
	bool payers_have_code;
	unsigned multicalls;
	unsigned alone;
	/* Of the last of each. */
	unsigned in_multicall;
	char multi_from[64];
	char multi_gas[24];
	char alone_from[64];
	char alone_gas[24];
};
static struct multi_says multi;

static void add_word(struct x402_buf *buf, unsigned value)
{
	uint8_t word[32] = {0};

	word[30] = (uint8_t)(value >> 8);
	word[31] = (uint8_t)value;
	x402_buf_add(buf, x402_span(word, 32));
}

static void keep_text(const struct x402_json *call, const char *key,
	char *ret_text, size_t size)
{
	const char *text = x402_json_get_string(call, key);

	snprintf(ret_text, size, "%s", text ? text : "");
}

/* How many calls the calldata of aggregate3 has. */
static unsigned calls_in(const struct x402_json *call)
{
	const char *data = x402_json_get_string(call, "data");
	char word[17] = "";

	assert_true(strlen(data) > 2 + 8 + 2 * 64);
	memcpy(word, data + 2 + 8 + 2 * 64 - 16, 16);
	return (unsigned)strtoul(word, NULL, 16);
}

/* Of the few that the tests of transfers know by their last byte. */
static bool is_payer(const struct x402_json *address)
{
	const char *text = x402_json_string(address);

	return strncmp(text, "0x00000000000000000000000000000000000000", 40) ==
		0 &&
		text[40] == '0';
}

static bool say_multi(struct endpoint *endpoint, const char *method,
	const struct x402_json *params, struct x402_buf *ret_says)
{
	const struct x402_json *call = x402_json_at(params, 0);
	struct x402_buf bytes = {0};
	unsigned len;

	(void)endpoint;
	if (strcmp(method, "eth_getCode") == 0 && is_payer(call)) {
		x402_buf_add_str(ret_says,
			multi.payers_have_code ? "\"result\":\"0xef01\""
					       : "\"result\":\"0x\"");
		return true;
	}
	if (strcmp(method, "eth_call") != 0)
		return false;
	if (strcmp(x402_json_get_string(call, "to"), MULTI) != 0) {
		multi.alone++;
		keep_text(call, "from", multi.alone_from,
			sizeof(multi.alone_from));
		keep_text(
			call, "gas", multi.alone_gas, sizeof(multi.alone_gas));
		x402_buf_add_str(ret_says, "\"result\":\"0x0b\"");
		return true;
	}
	multi.multicalls++;
	multi.in_multicall = len = calls_in(call);
	keep_text(call, "from", multi.multi_from, sizeof(multi.multi_from));
	keep_text(call, "gas", multi.multi_gas, sizeof(multi.multi_gas));
	if (multi.whole_fails || multi.is_silent) {
		x402_buf_add_str(ret_says,
			multi.is_silent ? "\"result\":\"0x01\""
					: SAYS("out of gas"));
		return true;
	}
	/* Results of one byte each. */
	add_word(&bytes, 32);
	add_word(&bytes, len);
	for (unsigned i = 0; i < len; i++)
		add_word(&bytes, 32 * len + 128 * i);
	for (unsigned i = 0; i < len; i++) {
		add_word(&bytes, !(i == 1 && multi.second_fails));
		add_word(&bytes, 64);
		add_word(&bytes, 1);
		add_word(&bytes, 0);
		bytes.ptr[bytes.len - 32] = (uint8_t)(0x21 + i);
	}
	x402_buf_add_str(ret_says, "\"result\":\"");
	x402_hex_encode_0x(x402_buf_span(&bytes), ret_says);
	x402_buf_add_byte(ret_says, '"');
	x402_buf_clear(&bytes);
	return true;
}

/* A bench that knows the asset's code and has looked for Multicall3. */
static struct bench *multi_bench(struct read_seen *seen, const char *code)
{
	struct bench *bench = open_bench(1);
	struct x402_chain_read reads[2] = {
		call_to(ASSET, one_data), call_to(ASSET, two_data)};
	struct x402_chain_read first = code_of(ASSET);

	multi = (struct multi_says){0};
	*seen = (struct read_seen){.bench = bench};
	rule(&bench->endpoints[0], "eth_getCode", "\"result\":\"0x01\"");
	ask_reads(seen, &first, 1);
	wait_for(bench, 1);
	rule(&bench->endpoints[0], "eth_getCode", code);
	bench->endpoints[0].say = say_multi;
	ask_reads(seen, reads, 2);
	wait_for(bench, 1);
	assert_int_equal(multi.alone, 2);
	assert_non_null(strstr(bench->endpoints[0].last, MULTI));
	multi.alone = 0;
	return bench;
}

static void test_reads_plain_ones_travel_in_one_multicall(void **state)
{
	struct read_seen seen;
	struct bench *bench = multi_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read reads[2] = {
		call_to(ASSET, one_data), call_to(ASSET, two_data)};

	(void)state;
	ask_reads(&seen, reads, 2);
	wait_for(bench, 1);
	assert_int_equal(seen.err, X402_OK);
	assert_int_equal(multi.multicalls, 1);
	assert_int_equal(multi.alone, 0);
	assert_int_equal(seen.last_byte[0], 0x21);
	assert_int_equal(seen.last_byte[1], 0x22);
	/* One alone needs no multicall. */
	ask_reads(&seen, reads, 1);
	wait_for(bench, 1);
	assert_int_equal(multi.multicalls, 1);
	assert_int_equal(multi.alone, 1);
	close_bench(bench);
}

static void test_reads_that_need_more_stay_out_of_it(void **state)
{
	struct read_seen seen;
	struct bench *bench = multi_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read reads[3] = {call_to(ASSET, one_data),
		call_to(ASSET, two_data), call_to(PAYER, one_data)};

	(void)state;
	reads[0].needs_sender = true;
	reads[1].gas = 50000;
	ask_reads(&seen, reads, 3);
	wait_for(bench, 1);
	assert_int_equal(multi.multicalls, 0);
	assert_int_equal(multi.alone, 3);
	close_bench(bench);
}

static void test_reads_a_failed_element_is_asked_alone(void **state)
{
	struct read_seen seen;
	struct bench *bench = multi_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read reads[2] = {
		call_to(ASSET, one_data), call_to(ASSET, two_data)};

	(void)state;
	multi.second_fails = true;
	ask_reads(&seen, reads, 2);
	wait_for(bench, 1);
	assert_int_equal(multi.multicalls, 1);
	assert_int_equal(multi.alone, 1);
	assert_int_equal(seen.last_byte[0], 0x21);
	assert_int_equal(seen.last_byte[1], 0x0b);
	close_bench(bench);
}

static void test_reads_a_failed_multicall_is_asked_one_by_one(void **state)
{
	struct read_seen seen;
	struct bench *bench = multi_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read reads[2] = {
		call_to(ASSET, one_data), call_to(ASSET, two_data)};

	(void)state;
	multi.whole_fails = true;
	ask_reads(&seen, reads, 2);
	wait_for(bench, 1);
	assert_int_equal(seen.err, X402_OK);
	assert_int_equal(multi.multicalls, 1);
	assert_int_equal(multi.alone, 2);
	assert_int_equal(seen.last_byte[0], 0x0b);
	close_bench(bench);
}

static void test_reads_without_multicall3_go_one_by_one(void **state)
{
	struct read_seen seen;
	struct bench *bench = multi_bench(&seen, "\"result\":\"0x\"");
	struct x402_chain_read reads[2] = {
		call_to(ASSET, one_data), call_to(ASSET, two_data)};

	(void)state;
	ask_reads(&seen, reads, 2);
	wait_for(bench, 1);
	assert_int_equal(multi.multicalls, 0);
	assert_int_equal(multi.alone, 2);
	/* And it is not looked for again so soon. */
	assert_null(strstr(bench->endpoints[0].last, MULTI));
	close_bench(bench);
}

/* ---- Simulated transfers. ---- */

/* Of a known token, from one of these to another. */
enum { ALICE = 1, BOB, CAROL, SHOP, OTHER_SHOP };

static struct x402_chain_read transfer(uint8_t from, uint8_t to)
{
	struct x402_chain_read read = call_to(ASSET, one_data);

	read.needs_sender = true;
	read.may_share = true;
	read.gas = 70000;
	read.transfer_from.bytes[19] = from;
	read.transfer_to.bytes[19] = to;
	return read;
}

/* Each its own question: they must differ in what they call. */
static void ask_transfers(
	struct read_seen *seen, struct x402_chain_read *reads, size_t len)
{
	static uint8_t data[X402_PLAN_READS_MAX][4];
	struct fac_chain_read_options options = FAC_CHAIN_READ_INIT;

	for (size_t i = 0; i < len; i++) {
		data[i][3] = (uint8_t)i;
		reads[i].data = x402_span(data[i], 4);
	}
	options.reads = reads;
	options.reads_len = len;
	options.sender.bytes[19] = 0x77;
	fac_chain_read(seen->bench->chain, &options, on_read, seen);
	wait_for(seen->bench, 1);
}

static void ask_code_of_payers(struct read_seen *seen)
{
	struct x402_chain_read reads[3];

	for (uint8_t i = 0; i < 3; i++) {
		reads[i] = code_of(ASSET);
		memset(reads[i].to.bytes, 0, 20);
		reads[i].to.bytes[19] = (uint8_t)(ALICE + i);
	}
	ask_reads(seen, reads, 3);
	wait_for(seen->bench, 1);
}

/* The payers have been seen, and none has code. */
static struct bench *transfer_bench(struct read_seen *seen, const char *code)
{
	struct bench *bench = multi_bench(seen, code);

	ask_code_of_payers(seen);
	return bench;
}

#define SENDER "0x0000000000000000000000000000000000000077"

static void test_reads_transfers_travel_in_one_multicall(void **state)
{
	struct read_seen seen;
	struct bench *bench = transfer_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read reads[3] = {transfer(ALICE, SHOP),
		transfer(BOB, SHOP), transfer(ALICE, OTHER_SHOP)};

	(void)state;
	ask_transfers(&seen, reads, 3);
	assert_int_equal(seen.err, X402_OK);
	assert_int_equal(multi.multicalls, 1);
	assert_int_equal(multi.in_multicall, 3);
	assert_int_equal(multi.alone, 0);
	assert_string_equal(multi.multi_from, SENDER);
	/* 120,000 for each of them. */
	assert_string_equal(multi.multi_gas, "0x57e40");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(seen.status[i], X402_ANSWER_OK);
		assert_int_equal(seen.last_byte[i], 0x21 + i);
	}
	close_bench(bench);
}

static void test_reads_transfer_alone_needs_no_multicall(void **state)
{
	struct read_seen seen;
	struct bench *bench = transfer_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read read = transfer(ALICE, SHOP);

	(void)state;
	ask_transfers(&seen, &read, 1);
	assert_int_equal(multi.multicalls, 0);
	assert_int_equal(multi.alone, 1);
	assert_string_equal(multi.alone_from, SENDER);
	assert_string_equal(multi.alone_gas, "0x11170");
	close_bench(bench);
}

/* It would pass with money that it has only when the other one moves. */
static void test_reads_transfer_by_who_is_paid_there_goes_alone(void **state)
{
	struct read_seen seen;
	struct bench *bench = transfer_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read after[3] = {transfer(ALICE, BOB),
		transfer(BOB, SHOP), transfer(CAROL, SHOP)};
	struct x402_chain_read before[3] = {transfer(BOB, SHOP),
		transfer(CAROL, SHOP), transfer(ALICE, BOB)};
	struct x402_chain_read self[3] = {transfer(ALICE, ALICE),
		transfer(BOB, SHOP), transfer(CAROL, SHOP)};
	struct x402_chain_read *all[3] = {after, before, self};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		multi = (struct multi_says){0};
		ask_transfers(&seen, all[i], 3);
		assert_int_equal(seen.err, X402_OK);
		assert_int_equal(multi.multicalls, 1);
		assert_int_equal(multi.in_multicall, 2);
		assert_int_equal(multi.alone, 1);
		assert_string_equal(multi.alone_from, SENDER);
	}
	/* Two that may not stand together: no multicall of one. */
	multi = (struct multi_says){0};
	ask_transfers(&seen, after, 2);
	assert_int_equal(multi.multicalls, 0);
	assert_int_equal(multi.alone, 2);
	close_bench(bench);
}

static void test_reads_transfer_that_fails_in_company_is_tried_alone(
	void **state)
{
	struct read_seen seen;
	struct bench *bench = transfer_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read reads[2] = {
		transfer(ALICE, SHOP), transfer(BOB, SHOP)};

	(void)state;
	multi.second_fails = true;
	ask_transfers(&seen, reads, 2);
	assert_int_equal(multi.multicalls, 1);
	assert_int_equal(multi.alone, 1);
	assert_string_equal(multi.alone_from, SENDER);
	assert_string_equal(multi.alone_gas, "0x11170");
	assert_int_equal(seen.last_byte[0], 0x21);
	assert_int_equal(seen.last_byte[1], 0x0b);
	close_bench(bench);
}

static void test_reads_transfers_share_with_nothing_else(void **state)
{
	struct read_seen seen;
	struct bench *bench = transfer_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read reads[5] = {transfer(ALICE, SHOP),
		transfer(BOB, SHOP), transfer(CAROL, SHOP),
		transfer(CAROL, OTHER_SHOP), transfer(CAROL, SHOP)};

	(void)state;
	reads[2].may_share = false; /* an unknown token, a contract's wallet */
	reads[3].has_sender = true; /* by this sender only */
	reads[4].needs_sender = false; /* plain, but with a ceiling of gas */
	ask_transfers(&seen, reads, 5);
	assert_int_equal(multi.multicalls, 1);
	assert_int_equal(multi.in_multicall, 2);
	assert_int_equal(multi.alone, 3);
	close_bench(bench);
}

static void test_reads_transfers_without_multicall3_go_one_by_one(void **state)
{
	struct read_seen seen;
	struct bench *bench = transfer_bench(&seen, "\"result\":\"0x\"");
	struct x402_chain_read reads[2] = {
		transfer(ALICE, SHOP), transfer(BOB, SHOP)};

	(void)state;
	ask_transfers(&seen, reads, 2);
	assert_int_equal(multi.multicalls, 0);
	assert_int_equal(multi.alone, 2);
	assert_string_equal(multi.alone_from, SENDER);
	close_bench(bench);
}

/* Its wallet could burn what the others need. */
static void test_reads_transfer_of_who_may_have_code_goes_alone(void **state)
{
	struct read_seen seen;
	struct bench *bench = multi_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read reads[2] = {
		transfer(ALICE, SHOP), transfer(BOB, SHOP)};

	(void)state;
	/* Nobody has looked yet. */
	ask_transfers(&seen, reads, 2);
	assert_int_equal(multi.multicalls, 0);
	ask_code_of_payers(&seen);
	ask_transfers(&seen, reads, 2);
	assert_int_equal(multi.multicalls, 1);
	/* A delegation, made since. */
	multi.payers_have_code = true;
	ask_code_of_payers(&seen);
	ask_transfers(&seen, reads, 2);
	assert_int_equal(multi.multicalls, 1);
	close_bench(bench);
}

static void test_reads_transfer_that_failed_in_company_has_none_again(
	void **state)
{
	struct read_seen seen;
	struct bench *bench = transfer_bench(&seen, "\"result\":\"0x01\"");
	struct x402_chain_read reads[3] = {transfer(ALICE, SHOP),
		transfer(BOB, SHOP), transfer(CAROL, SHOP)};

	(void)state;
	multi.second_fails = true;
	ask_transfers(&seen, reads, 3);
	assert_int_equal(multi.in_multicall, 3);
	multi.second_fails = false;
	multi.alone = 0;
	ask_transfers(&seen, reads, 3);
	assert_int_equal(multi.in_multicall, 2);
	assert_int_equal(multi.alone, 1);
	close_bench(bench);
}

/* Some nodes allow a call less gas than so many need. */
static void test_reads_transfers_that_a_node_refuses_go_alone(void **state)
{
	struct x402_chain_read plain[2] = {
		call_to(ASSET, one_data), call_to(ASSET, two_data)};
	struct x402_chain_read reads[2] = {
		transfer(ALICE, SHOP), transfer(BOB, SHOP)};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct read_seen seen;
		struct bench *bench = transfer_bench(
			&seen, "\"result\":\"0x01\"");

		multi.whole_fails = i == 0;
		multi.is_silent = i == 1;
		for (unsigned k = 0; k < 3; k++) {
			ask_transfers(&seen, reads, 2);
			assert_int_equal(seen.err, X402_OK);
		}
		assert_int_equal(multi.multicalls, 1);
		assert_int_equal(multi.alone, 6);
		/* What needs little gas goes on as before. */
		multi.whole_fails = multi.is_silent = false;
		ask_reads(&seen, plain, 2);
		wait_for(bench, 1);
		assert_int_equal(multi.multicalls, 2);
		close_bench(bench);
	}
}

/* ---- What a node says. ---- */

/* Wherever chance puts them: four never make room for one another. */
static void test_facts_accounts_do_not_displace_each_other(void **state)
{
	(void)state;
	for (uint64_t round = 0; round < 2000; round++) {
		struct fac_facts *facts = fac_facts_new();
		struct x402_address accounts[4] = {{{0}}};

		assert_non_null(facts);
		for (uint8_t i = 0; i < 4; i++) {
			accounts[i].bytes[0] = i;
			fac_facts_put_code(facts, &accounts[i], false, 1000);
		}
		for (uint8_t i = 0; i < 4; i++)
			assert_true(fac_facts_has_no_code(
				facts, &accounts[i], 1001));
		fac_facts_put_code(facts, &accounts[2], true, 1002);
		assert_false(fac_facts_has_no_code(facts, &accounts[2], 1002));
		assert_true(fac_facts_has_no_code(facts, &accounts[3], 1002));
		assert_false(fac_facts_has_no_code(
			facts, &accounts[3], 1000 + 600000));
		fac_facts_free(facts);
	}
}

static void test_reads_revert_is_final_and_a_quota_is_a_fault(void **state)
{
	struct bench *bench = open_bench(2);
	struct read_seen seen = {.bench = bench};
	struct x402_chain_read read = call_to(PAYER, one_data);

	(void)state;
	rule(&bench->endpoints[1], "eth_call", "\"result\":\"0x09\"");
	/* The contract chose these words; the code is the node's. */
	rule(&bench->endpoints[0], "eth_call",
		"\"error\":{\"code\":3,\"message\":\"execution reverted: too "
		"many requests\",\"data\":\"0x0102\"}");
	ask_reads(&seen, &read, 1);
	wait_for(bench, 1);
	assert_int_equal(seen.status[0], X402_ANSWER_REVERTED);
	assert_int_equal(seen.last_byte[0], 2);
	assert_int_equal(bench->endpoints[1].calls, 0);
	/* A quota with data beside it, from both, reverts nothing. */
	for (size_t i = 0; i < 2; i++)
		rule(&bench->endpoints[i], "eth_call",
			"\"error\":{\"code\":-32005,\"message\":\"project ID "
			"request rate exceeded\",\"data\":{\"see\":\"0x\"}}");
	ask_reads(&seen, &read, 1);
	wait_for(bench, 1);
	assert_int_equal(seen.status[0], X402_ANSWER_FAULT);
	assert_int_equal(seen.err, X402_ERR_CHAIN);
	close_bench(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_of_a_turn_are_asked_once),
		cmocka_unit_test(test_reads_that_differ_are_not_taken_for_one),
		cmocka_unit_test(
			test_reads_by_kind_sender_and_block_are_not_taken_for_one),
		cmocka_unit_test(test_reads_of_an_asset_are_remembered),
		cmocka_unit_test(test_reads_plain_ones_travel_in_one_multicall),
		cmocka_unit_test(test_reads_that_need_more_stay_out_of_it),
		cmocka_unit_test(test_reads_a_failed_element_is_asked_alone),
		cmocka_unit_test(
			test_reads_a_failed_multicall_is_asked_one_by_one),
		cmocka_unit_test(test_reads_without_multicall3_go_one_by_one),
		cmocka_unit_test(
			test_reads_revert_is_final_and_a_quota_is_a_fault),
		cmocka_unit_test(test_reads_transfers_travel_in_one_multicall),
		cmocka_unit_test(test_reads_transfer_alone_needs_no_multicall),
		cmocka_unit_test(
			test_reads_transfer_by_who_is_paid_there_goes_alone),
		cmocka_unit_test(
			test_reads_transfer_that_fails_in_company_is_tried_alone),
		cmocka_unit_test(
			test_facts_accounts_do_not_displace_each_other),
		cmocka_unit_test(test_reads_transfers_share_with_nothing_else),
		cmocka_unit_test(
			test_reads_transfer_of_who_may_have_code_goes_alone),
		cmocka_unit_test(
			test_reads_transfer_that_failed_in_company_has_none_again),
		cmocka_unit_test(
			test_reads_transfers_that_a_node_refuses_go_alone),
		cmocka_unit_test(
			test_reads_transfers_without_multicall3_go_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
