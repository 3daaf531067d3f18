/*
 * The RPC pool against several endpoints: who is asked, who is asked next,
 * whose word is final. Reads are in test_chain_reads.c.
 */
#include "chain_house.h"

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

#define TAKEN "\"result\":\"" HASH "\""

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
		cmocka_unit_test(
			test_pool_free_answers_what_waits_with_cancelled),
		cmocka_unit_test(test_pool_refuses_urls_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
