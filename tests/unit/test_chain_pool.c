/*
 * The RPC pool against several endpoints: who is asked, who is asked next,
 * whose word is final. And the reads of a turn: what is asked once, what
 * travels together, what is remembered.
 */
#include "chain_house.h"

#include "x402/abi.h"

#define ASSET "0x00000000000000000000000000000000000000cc"
#define MULTI "0xca11bde05977b3631167028862be2a173976ca11"
#define NAME  "0x06fdde03"
#define HASH                                 \
	"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER_HASH                           \
	"0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" \
	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void test_pool_asks_the_first_while_it_is_well(void **state)
{
	struct bench *bench = balance_bench(3, NULL);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(balance_of(bench), 1);
	assert_int_equal(bench->endpoints[0].calls, 3);
	assert_int_equal(bench->endpoints[1].calls, 0);
	assert_int_equal(bench->endpoints[2].calls, 0);
	assert_int_equal(bench->warnings, 0);
	close_bench(bench);
}

static void test_pool_fails_over_when_the_transport_does(void **state)
{
	static const struct {
		int status;
		const char *raw;
	} faults[] = {{500, NULL}, {429, NULL}, {404, "{}"}, {200, "<html>"},
		{200, ""}, {200, "[]"}, {200, "{\"id\":1}"},
		{200, "{\"jsonrpc\":\"2.0\",\"id\":999999,\"result\":\"0x9\"}"},
		{200,
			"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":"
			"1}}"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct bench *bench = balance_bench(2, NULL);

		bench->endpoints[0].status = faults[i].status;
		bench->endpoints[0].raw = faults[i].raw;
		assert_int_equal(balance_of(bench), 2);
		assert_int_equal(bench->warnings, 1);
		/* It rests: the next read does not go there. */
		assert_int_equal(balance_of(bench), 2);
		assert_true(fac_chain_stats(bench->chain).endpoints[0].resting);
		assert_false(
			fac_chain_stats(bench->chain).endpoints[1].resting);
		close_bench(bench);
	}
}

static void test_pool_takes_a_fault_of_all_for_no_answer(void **state)
{
	struct bench *bench = balance_bench(2, NULL);
	struct balance seen = {.bench = bench};

	(void)state;
	bench->endpoints[0].status = 502;
	bench->endpoints[1].raw = "nonsense";
	ask_balance(&seen, 0);
	wait_for(bench, 1);
	assert_int_equal(seen.err, X402_ERR_CHAIN);
	/* And asks them again all the same: nobody else is left. */
	bench->endpoints[0].status = 200;
	assert_int_equal(balance_of(bench), 1);
	close_bench(bench);
}

static void test_pool_tries_another_for_trouble_in_disguise(void **state)
{
	static const char *const says[] = {
		("\"error\":{\"code\":-32005,\"message\":\"over quota\","
		 "\"data\":{}}"),
		"\"error\":{\"code\":429,\"message\":\"slow down\"}",
		"\"error\":{\"code\":-32000,\"message\":\"Too Many Requests\"}",
		"\"error\":{\"code\":-32000,\"message\":\"header not found\"}",
		"", /* left out of the answer */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		struct bench *bench = balance_bench(2, NULL);

		rule(&bench->endpoints[0], "eth_getBalance", says[i]);
		assert_int_equal(balance_of(bench), 2);
		close_bench(bench);
	}
}

static void on_nonce(void *user, enum x402_err err, uint64_t nonce)
{
	struct balance *seen = user;

	seen->err = err;
	seen->wei = nonce;
	came(seen->bench);
}

static void test_pool_repeats_only_what_was_left_open(void **state)
{
	struct bench *bench = balance_bench(2, NULL);
	struct balance balance = {.bench = bench};
	struct balance nonce = {.bench = bench};
	struct fac_nonce_query query = {.tag = FAC_NONCE_LATEST};

	(void)state;
	rule(&bench->endpoints[0], "eth_getBalance",
		"\"error\":{\"code\":-32000,\"message\":\"header not found\"}");
	rule(&bench->endpoints[0], "eth_getTransactionCount",
		"\"result\":\"0x7\"");
	ask_balance(&balance, 0);
	fac_chain_nonce(bench->chain, &query, 0, on_nonce, &nonce);
	wait_for(bench, 2);
	assert_int_equal(balance.wei, 2);
	assert_int_equal(nonce.wei, 7);
	assert_string_equal(bench->endpoints[1].methods, "eth_getBalance,");
	close_bench(bench);
}

static void test_pool_never_repeats_an_error_of_the_chain(void **state)
{
	static const char *const says[] = {
		"\"error\":{\"code\":-32000,\"message\":\"no such account\"}",
		"\"error\":{\"code\":-32602,\"message\":\"invalid params\"}",
		"\"error\":{\"code\":-32603,\"message\":\"internal error\"}",
		"\"result\":null",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		struct bench *bench = balance_bench(2, NULL);
		struct balance seen = {.bench = bench};

		rule(&bench->endpoints[0], "eth_getBalance", says[i]);
		ask_balance(&seen, 0);
		wait_for(bench, 1);
		assert_int_equal(seen.err, X402_ERR_CHAIN);
		assert_int_equal(bench->endpoints[1].calls, 0);
		close_bench(bench);
	}
}

static void test_pool_passes_over_who_lags_behind(void **state)
{
	struct fac_chain_options options = FAC_CHAIN_OPTIONS_INIT;
	struct bench *bench;
	struct fac_chain_stats stats;
	uint64_t begun_ms;

	(void)state;
	options.head_lag_max = 5;
	bench = balance_bench(2, &options);
	begun_ms = fac_loop_now_ms(bench->loop);
	rule(&bench->endpoints[0], "eth_blockNumber", "\"result\":\"0x5e\"");
	assert_int_equal(balance_of(bench), 1); /* not known yet */
	turn_until_heads(bench);
	assert_int_equal(balance_of(bench), 2);
	stats = fac_chain_stats(bench->chain);
	assert_int_equal(stats.endpoints[0].head, 94);
	assert_int_equal(stats.endpoints[0].lag, 6);
	assert_int_equal(stats.endpoints[1].lag, 0);
	/* At most one question about heads in two seconds. */
	assert_in_range(bench->endpoints[0].heads, 1,
		1 + (fac_loop_now_ms(bench->loop) - begun_ms) / 2000);
	/* Better the one that lags than none. */
	bench->endpoints[1].status = 500;
	assert_int_equal(balance_of(bench), 1);
	close_bench(bench);
}

static void test_pool_lag_within_the_limit_is_no_reason(void **state)
{
	struct bench *bench = balance_bench(2, NULL);

	(void)state;
	rule(&bench->endpoints[0], "eth_blockNumber", "\"result\":\"0x61\"");
	(void)balance_of(bench);
	turn_until_heads(bench);
	assert_int_equal(fac_chain_stats(bench->chain).endpoints[0].lag, 3);
	assert_int_equal(balance_of(bench), 1);
	close_bench(bench);
}

/* ---- Hedges. ---- */

static void test_pool_hedge_wins_when_the_first_is_slow(void **state)
{
	struct fac_chain_options options = FAC_CHAIN_OPTIONS_INIT;
	struct fac_chain_stats stats;
	struct bench *bench;

	(void)state;
	options.hedge_ms = 20;
	bench = balance_bench(3, &options);
	bench->endpoints[0].hold = true;
	assert_int_equal(balance_of(bench), 2);
	stats = fac_chain_stats(bench->chain);
	assert_int_equal(stats.endpoints[1].hedges_sent, 1);
	assert_int_equal(stats.endpoints[1].hedges_won, 1);
	assert_int_equal(stats.endpoints[2].hedges_sent, 0);
	/* Slow is not broken. */
	assert_false(stats.endpoints[0].resting);
	close_bench(bench);
}

static void on_let_go(void *arg)
{
	let_go(arg);
}

static void test_pool_hedge_loses_when_the_first_comes(void **state)
{
	struct fac_chain_options options = FAC_CHAIN_OPTIONS_INIT;
	struct fac_chain_stats stats;
	struct fac_timer *timer;
	struct bench *bench;

	(void)state;
	options.hedge_ms = 20;
	bench = balance_bench(2, &options);
	bench->endpoints[0].hold = bench->endpoints[1].hold = true;
	assert_int_equal(fac_timer_new(bench->loop, on_let_go,
				 &bench->endpoints[0], &timer),
		X402_OK);
	fac_timer_start(timer, 200, 0);
	assert_int_equal(balance_of(bench), 1);
	stats = fac_chain_stats(bench->chain);
	assert_int_equal(stats.endpoints[1].hedges_sent, 1);
	assert_int_equal(stats.endpoints[1].hedges_won, 0);
	fac_timer_free(timer);
	close_bench(bench);
}

static void test_pool_hedges_neither_when_off_nor_to_the_unwell(void **state)
{
	(void)state;
	for (int unwell = 0; unwell < 2; unwell++) {
		struct fac_chain_options options = FAC_CHAIN_OPTIONS_INIT;
		struct fac_timer *timer;
		struct bench *bench;

		options.hedge_ms = unwell ? 20 : -1;
		bench = balance_bench(2, &options);
		if (unwell) {
			rule(&bench->endpoints[1], "eth_blockNumber",
				"\"result\":\"0x1\"");
			(void)balance_of(bench);
			turn_until_heads(bench);
		}
		bench->endpoints[0].hold = true;
		assert_int_equal(fac_timer_new(bench->loop, on_let_go,
					 &bench->endpoints[0], &timer),
			X402_OK);
		fac_timer_start(timer, 700, 0);
		assert_int_equal(balance_of(bench), 1);
		assert_int_equal(bench->endpoints[1].calls, 0);
		fac_timer_free(timer);
		close_bench(bench);
	}
}

/* ---- Limits. ---- */

static void test_pool_waits_as_long_as_it_was_told(void **state)
{
	struct bench *bench = balance_bench(1, NULL);
	struct balance seen = {.bench = bench};
	unsigned posts;

	(void)state;
	bench->endpoints[0].status = 429;
	bench->endpoints[0].retry_after = "1";
	ask_balance(&seen, 300);
	wait_for(bench, 1);
	assert_int_equal(seen.err, X402_ERR_CHAIN);
	posts = bench->endpoints[0].posts;
	assert_int_equal(posts, 1);
	bench->endpoints[0].status = 200;
	assert_int_equal(balance_of(bench), 1);
	assert_int_equal(bench->endpoints[0].posts, 2);
	close_bench(bench);
}

static void test_pool_rate_spills_over_and_then_waits(void **state)
{
	struct fac_chain_options options = FAC_CHAIN_OPTIONS_INIT;
	struct bench *bench;

	(void)state;
	options.rps = 2;
	options.hedge_ms = -1;
	for (bool in_time = false; !in_time;) {
		uint64_t begun_ms;

		bench = balance_bench(2, &options);
		begun_ms = fac_loop_now_ms(bench->loop);
		/* One goes for the question about the head. */
		for (int i = 0; i < 4; i++)
			(void)balance_of(bench);
		/* Or another one was due, and this shows nothing. */
		in_time = fac_loop_now_ms(bench->loop) - begun_ms < 500;
		if (in_time) {
			assert_true(bench->endpoints[0].calls <= 3);
			assert_true(bench->endpoints[1].calls >= 1);
		}
		close_bench(bench);
	}
}

/* ---- Broadcast. ---- */

struct sent {
	struct bench *bench;
	struct fac_send_outcome outcome;
};

static void on_sent(void *user, const struct fac_send_outcome *outcome)
{
	struct sent *sent = user;

	sent->outcome = *outcome;
	came(sent->bench);
}

static void send_one(struct sent *sent, uint32_t timeout_ms)
{
	static const uint8_t raw[] = {2, 1};
	uint8_t hash32[32];

	hex_fixed(HASH, hash32, 32);
	fac_chain_send_raw(sent->bench->chain, x402_span(raw, 2), hash32,
		timeout_ms, on_sent, sent);
}

#define SAYS(message) "\"error\":{\"code\":-32000,\"message\":\"" message "\"}"
#define TAKEN         "\"result\":\"" HASH "\""

static void test_pool_send_goes_to_every_endpoint(void **state)
{
	struct bench *bench = open_bench(3);
	struct sent sent = {.bench = bench};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		rule(&bench->endpoints[i], "eth_sendRawTransaction", TAKEN);
	send_one(&sent, 0);
	send_one(&sent, 0);
	wait_for(bench, 2);
	assert_int_equal(sent.outcome.status, FAC_SEND_ACCEPTED);
	turn_until_called(bench, 2);
	for (size_t i = 0; i < 3; i++) {
		/* Both of the turn in one batch, without any read in it. */
		assert_int_equal(bench->endpoints[i].calls, 2);
		assert_string_equal(bench->endpoints[i].methods,
			"eth_sendRawTransaction,eth_sendRawTransaction,");
	}
	close_bench(bench);
}

static void test_pool_send_merges_what_the_endpoints_say(void **state)
{
	static const struct {
		const char *says[2];
		enum fac_send_status status;
	} table[] = {
		{{TAKEN, SAYS("nonce too low")}, FAC_SEND_ACCEPTED},
		{{SAYS("exec failed"), SAYS("already known")},
			FAC_SEND_ALREADY_KNOWN},
		{{SAYS("nonce too low"), SAYS("underpriced")},
			FAC_SEND_NONCE_TOO_LOW},
		{{SAYS("insufficient funds"), SAYS("underpriced")},
			FAC_SEND_UNDERPRICED},
		{{SAYS("bad type"), SAYS("insufficient funds")},
			FAC_SEND_INSUFFICIENT_FUNDS},
		{{SAYS("bad type"), SAYS("bad type")}, FAC_SEND_REJECTED},
		/* A silent one may have taken it: never REJECTED. */
		{{SAYS("bad type"), "\"result\":\"" OTHER_HASH "\""},
			FAC_SEND_FAULT},
		{{SAYS("bad type"), "\"result\":null"}, FAC_SEND_FAULT},
		{{"", SAYS("bad type")}, FAC_SEND_FAULT},
		{{SAYS("bad type"), SAYS("request timed out")}, FAC_SEND_FAULT},
		{{"", ""}, FAC_SEND_FAULT},
		{{"", TAKEN}, FAC_SEND_ACCEPTED},
		{{"", SAYS("nonce too low")}, FAC_SEND_NONCE_TOO_LOW},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct bench *bench = open_bench(2);
		struct sent sent = {.bench = bench};

		for (size_t j = 0; j < 2; j++)
			rule(&bench->endpoints[j], "eth_sendRawTransaction",
				table[i].says[j]);
		send_one(&sent, 0);
		wait_for(bench, 1);
		assert_int_equal(sent.outcome.status, table[i].status);
		/* Broadcast is no read: nobody is asked twice. */
		turn_until_called(bench, 1);
		turn_for(bench, 20);
		assert_int_equal(bench->endpoints[0].calls, 1);
		assert_int_equal(bench->endpoints[1].calls, 1);
		close_bench(bench);
	}
}

static void test_pool_send_does_not_wait_for_the_silent(void **state)
{
	struct bench *bench = open_bench(2);
	struct sent sent = {.bench = bench};

	(void)state;
	bench->endpoints[0].hold = true;
	rule(&bench->endpoints[1], "eth_sendRawTransaction", TAKEN);
	send_one(&sent, 5000);
	wait_for(bench, 1);
	assert_int_equal(sent.outcome.status, FAC_SEND_ACCEPTED);
	assert_true(bench->endpoints[0].held_len > 0);
	close_bench(bench);
}

static void test_pool_send_refused_while_one_is_silent_is_a_fault(void **state)
{
	struct bench *bench = open_bench(2);
	struct sent sent = {.bench = bench};

	(void)state;
	bench->endpoints[0].hold = true;
	rule(&bench->endpoints[1], "eth_sendRawTransaction", SAYS("bad type"));
	send_one(&sent, 200);
	wait_for(bench, 1);
	assert_int_equal(sent.outcome.status, FAC_SEND_FAULT);
	close_bench(bench);
}

/* ---- Reads of a turn. ---- */

struct read_seen {
	struct bench *bench;
	enum x402_err err;
	size_t len;
	enum x402_answer_status status[X402_PLAN_READS_MAX];
	uint8_t last_byte[X402_PLAN_READS_MAX];
	size_t data_len[X402_PLAN_READS_MAX];
};

static void on_read(void *user, enum x402_err err,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	struct read_seen *seen = user;

	seen->err = err;
	seen->len = answers_len;
	for (size_t i = 0; i < answers_len; i++) {
		seen->status[i] = answers[i].status;
		seen->data_len[i] = answers[i].data.len;
		seen->last_byte[i] = answers[i].data.len
			? answers[i].data.ptr[answers[i].data.len - 1]
			: 0;
	}
	came(seen->bench);
}

static struct x402_chain_read code_of(const char *address)
{
	struct x402_chain_read read = {.kind = X402_READ_CODE};

	hex_fixed(address, read.to.bytes, 20);
	return read;
}

static struct x402_chain_read call_to(const char *address, const uint8_t *data)
{
	struct x402_chain_read read = {.kind = X402_READ_CALL};

	hex_fixed(address, read.to.bytes, 20);
	read.data = x402_span(data, 4);
	return read;
}

static void ask_reads(
	struct read_seen *seen, const struct x402_chain_read *reads, size_t len)
{
	struct fac_chain_read_options options = FAC_CHAIN_READ_INIT;
	struct x402_address asset;

	hex_fixed(ASSET, asset.bytes, 20);
	options.reads = reads;
	options.reads_len = len;
	options.cacheable = &asset;
	fac_chain_read(seen->bench->chain, &options, on_read, seen);
}

static const uint8_t name_data[] = {0x06, 0xfd, 0xde, 0x03};
static const uint8_t one_data[] = {1, 1, 1, 1};
static const uint8_t two_data[] = {2, 2, 2, 2};

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
	bool second_fails;
	unsigned multicalls;
	unsigned alone;
};
static struct multi_says multi;

static void add_word(struct x402_buf *buf, unsigned value)
{
	uint8_t word[32] = {0};

	word[30] = (uint8_t)(value >> 8);
	word[31] = (uint8_t)value;
	x402_buf_add(buf, x402_span(word, 32));
}

static bool say_multi(struct endpoint *endpoint, const char *method,
	const struct x402_json *params, struct x402_buf *ret_says)
{
	const char *to = x402_json_get_string(x402_json_at(params, 0), "to");
	struct x402_buf bytes = {0};

	(void)endpoint;
	if (strcmp(method, "eth_call") != 0)
		return false;
	if (strcmp(to, MULTI) != 0) {
		multi.alone++;
		x402_buf_add_str(ret_says, "\"result\":\"0x0b\"");
		return true;
	}
	multi.multicalls++;
	if (multi.whole_fails) {
		x402_buf_add_str(ret_says, SAYS("out of gas"));
		return true;
	}
	/* Two results of one byte each. */
	add_word(&bytes, 32);
	add_word(&bytes, 2);
	add_word(&bytes, 64);
	add_word(&bytes, 64 + 128);
	for (unsigned i = 0; i < 2; i++) {
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

/* ---- The end. ---- */

static void on_stop(void *arg)
{
	fac_loop_stop(arg);
}

static void test_pool_free_answers_what_waits_with_cancelled(void **state)
{
	struct fac_chain_options options = FAC_CHAIN_OPTIONS_INIT;
	struct bench *bench;
	struct balance posted = {0};
	struct balance queued = {0};
	struct read_seen plain = {0};
	struct sent sent = {0};
	struct fac_timer *timer;
	struct x402_chain_read reads[2] = {
		call_to(ASSET, one_data), call_to(ASSET, two_data)};

	(void)state;
	options.hedge_ms = 10;
	bench = balance_bench(2, &options);
	posted.bench = queued.bench = plain.bench = sent.bench = bench;
	bench->endpoints[0].hold = bench->endpoints[1].hold = true;
	ask_balance(&posted, 0);
	send_one(&sent, 0);
	assert_int_equal(
		fac_timer_new(bench->loop, on_stop, bench->loop, &timer),
		X402_OK);
	fac_timer_start(timer, 100, 0); /* both of the hedge under way */
	fac_loop_run(bench->loop);
	ask_balance(&queued, 0);
	ask_reads(&plain, reads, 2);
	bench->waiting = 4;
	fac_chain_free(bench->chain);
	bench->chain = NULL;
	assert_int_equal(bench->waiting, 0);
	assert_int_equal(posted.err, X402_ERR_CANCELLED);
	assert_int_equal(queued.err, X402_ERR_CANCELLED);
	assert_int_equal(plain.err, X402_ERR_CANCELLED);
	assert_int_equal(sent.outcome.status, FAC_SEND_FAULT);
	fac_timer_free(timer);
	close_bench(bench);
}

static void test_pool_refuses_urls_that_are_none(void **state)
{
	static const char *const bad[] = {"", "ftp://x", "file:///etc/passwd"};
	struct bench *bench = new_bench(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct fac_chain_options options = {.loop = bench->loop,
			.rpc_urls = &bad[i],
			.rpc_urls_len = 1};
		struct fac_chain *chain = NULL;

		assert_int_equal(
			fac_chain_new(&options, &chain), X402_ERR_POLICY);
		assert_null(chain);
		options.rpc_urls_len = 0;
		assert_int_equal(fac_chain_new(&options, &chain),
			X402_ERR_INVALID_ARGUMENT);
	}
	close_bench(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool_asks_the_first_while_it_is_well),
		cmocka_unit_test(test_pool_fails_over_when_the_transport_does),
		cmocka_unit_test(test_pool_takes_a_fault_of_all_for_no_answer),
		cmocka_unit_test(
			test_pool_tries_another_for_trouble_in_disguise),
		cmocka_unit_test(test_pool_repeats_only_what_was_left_open),
		cmocka_unit_test(test_pool_never_repeats_an_error_of_the_chain),
		cmocka_unit_test(test_pool_passes_over_who_lags_behind),
		cmocka_unit_test(test_pool_lag_within_the_limit_is_no_reason),
		cmocka_unit_test(test_pool_hedge_wins_when_the_first_is_slow),
		cmocka_unit_test(test_pool_hedge_loses_when_the_first_comes),
		cmocka_unit_test(
			test_pool_hedges_neither_when_off_nor_to_the_unwell),
		cmocka_unit_test(test_pool_waits_as_long_as_it_was_told),
		cmocka_unit_test(test_pool_rate_spills_over_and_then_waits),
		cmocka_unit_test(test_pool_send_goes_to_every_endpoint),
		cmocka_unit_test(test_pool_send_merges_what_the_endpoints_say),
		cmocka_unit_test(test_pool_send_does_not_wait_for_the_silent),
		cmocka_unit_test(
			test_pool_send_refused_while_one_is_silent_is_a_fault),
		cmocka_unit_test(test_reads_of_a_turn_are_asked_once),
		cmocka_unit_test(test_reads_that_differ_are_not_taken_for_one),
		cmocka_unit_test(test_reads_of_an_asset_are_remembered),
		cmocka_unit_test(test_reads_plain_ones_travel_in_one_multicall),
		cmocka_unit_test(test_reads_that_need_more_stay_out_of_it),
		cmocka_unit_test(test_reads_a_failed_element_is_asked_alone),
		cmocka_unit_test(
			test_reads_a_failed_multicall_is_asked_one_by_one),
		cmocka_unit_test(test_reads_without_multicall3_go_one_by_one),
		cmocka_unit_test(
			test_reads_revert_is_final_and_a_quota_is_a_fault),
		cmocka_unit_test(
			test_pool_free_answers_what_waits_with_cancelled),
		cmocka_unit_test(test_pool_refuses_urls_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
