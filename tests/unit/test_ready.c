/*
 * /readyz: each check, alone and together: what takes an instance out of
 * service, and what costs a line only.
 */
#include <stdio.h>

#include "cmocka_house.h"

#include "ops/ready.h"

static struct fac_engine_stats engine;
static struct fac_store_stats store;
static struct fac_ready_chain chains[2];
static struct fac_ready_view view;
static char lines[4096];

static void set_line(struct fac_line_stats *line, const char *network)
{
	*line = (struct fac_line_stats){
		.head = 77, .head_age_ms = 3000, .lanes_len = 1};
	memcpy(line->network, network, strlen(network) + 1);
	line->lanes[0] = (struct fac_lane_stats){.ready = true,
		.leased = true,
		.in_flight = 3,
		.oldest_ms = 299999,
		.balance_known = true,
		.runway_hours = 41};
	snprintf(line->lanes[0].signer, sizeof(line->lanes[0].signer),
		"0x1111111111111111111111111111111111111111");
	line->lanes[1] = line->lanes[0];
	snprintf(line->lanes[1].signer, sizeof(line->lanes[1].signer),
		"0x2222222222222222222222222222222222222222");
}

static int setup(void **state)
{
	(void)state;
	memset(&engine, 0, sizeof(engine));
	memset(&store, 0, sizeof(store));
	engine.recovered = true;
	engine.lines_len = 2;
	set_line(&engine.lines[0], "eip155:1");
	set_line(&engine.lines[1], "eip155:2");
	chains[0] = (struct fac_ready_chain){
		"eip155:1", FAC_CHAIN_USABLE, 60000};
	chains[1] = (struct fac_ready_chain){
		"eip155:2", FAC_CHAIN_USABLE, 60000};
	view = (struct fac_ready_view){.engine = &engine,
		.stats = &store,
		.chains = chains,
		.chains_len = 2};
	return 0;
}

static bool ready(void)
{
	struct x402_buf buf = {0};
	bool good = fac_ready(&view, &buf);
	char *text = x402_buf_take_str(&buf);

	assert_non_null(text);
	assert_true(strlen(text) < sizeof(lines));
	memcpy(lines, text, strlen(text) + 1);
	free(text);
	return good;
}

static void ready_when_all_is_well(void **state)
{
	(void)state;
	store.queued = 2;
	store.oldest_ms = FAC_READY_JOURNAL_LAG_MS - 1;
	assert_true(ready());
	assert_null(strstr(lines, "[-]"));
	assert_non_null(strstr(lines, "[+]store: writable\n"));
	assert_non_null(
		strstr(lines, "[+]journal: 2 wait, the first for 4999 ms\n"));
	assert_non_null(strstr(lines, "[+]recovery: done\n"));
	assert_non_null(
		strstr(lines, "[+]chain eip155:2: an endpoint answers\n"));
	assert_non_null(strstr(lines, "[+]head eip155:2: block 77, for 3 s\n"));
	assert_non_null(strstr(lines,
		"[+]signer 0x1111111111111111111111111111111111111111: signs; "
		"3 in flight, the oldest for 299 s; gas for 41 h\n"));
}

static void not_ready_while_draining(void **state)
{
	(void)state;
	view.draining = true;
	assert_false(ready());
	assert_non_null(strstr(lines, "[-]daemon: draining\n"));
}

static void not_ready_without_a_store(void **state)
{
	(void)state;
	view.store = X402_ERR_STORE;
	assert_false(ready());
	assert_non_null(strstr(lines, "[-]store: "));
}

static void not_ready_while_the_journal_lags(void **state)
{
	(void)state;
	store.oldest_ms = FAC_READY_JOURNAL_LAG_MS;
	assert_false(ready());
	assert_non_null(strstr(lines, "[-]journal: "));
}

static void not_ready_before_recovery(void **state)
{
	(void)state;
	engine.recovered = false;
	assert_false(ready());
	assert_non_null(strstr(lines, "[-]recovery: "));
}

/* What a chain can suffer from: alone a line, in both no service. */
static void spoil(size_t chain, unsigned how)
{
	struct fac_line_stats *line = &engine.lines[chain];

	switch (how) {
	case 0:
		chains[chain].health = FAC_CHAIN_UNSEEN;
		break;
	case 1:
		chains[chain].health = FAC_CHAIN_DOWN;
		break;
	case 2:
		chains[chain].health = FAC_CHAIN_WRONG;
		break;
	case 3:
		line->head = 0;
		break;
	case 4:
		line->head_age_ms = 60001;
		break;
	case 5:
		line->lanes[0].dry = true;
		break;
	case 6:
		line->lanes[0].oldest_ms = FAC_READY_LANE_STUCK_MS;
		break;
	default:
		line->network[0] = '\0'; /* the engine does not know it */
		break;
	}
}

static void chain_that_fails_alone_costs_a_line_only(void **state)
{
	static const char *const said[] = {"[-]chain eip155:1: not asked yet\n",
		"[-]chain eip155:1: no endpoint answers\n",
		"[-]chain eip155:1: an endpoint serves another chain\n",
		"[-]head eip155:1: not heard of yet\n",
		"[-]head eip155:1: block 77, for 60 s\n",
		": cannot pay gas; 3 in flight", ": does not move; 3 in flight",
		"[+]chain eip155:1: an endpoint answers\n"};

	for (unsigned how = 0; how < ARRAY_LEN(said); how++) {
		setup(state);
		spoil(0, how);
		assert_true(ready());
		assert_non_null(strstr(lines, said[how]));
		spoil(1, how);
		assert_false(ready());
	}
}

static void head_age_may_be_left_unchecked(void **state)
{
	(void)state;
	chains[0].max_head_age_ms = chains[1].max_head_age_ms = 0;
	engine.lines[0].head_age_ms = engine.lines[1].head_age_ms = 86400000;
	assert_true(ready());
	assert_null(strstr(lines, "[-]"));
}

static void one_signer_that_can_pay_is_enough(void **state)
{
	(void)state;
	view.chains_len = 1;
	engine.lines[0].lanes_len = 2;
	engine.lines[0].lanes[0].dry = true;
	assert_true(ready());
	assert_non_null(strstr(lines,
		"[-]signer 0x1111111111111111111111111111111111111111: "));
	engine.lines[0].lanes[1].dry = true;
	assert_false(ready());
	engine.lines[0].lanes_len = 0;
	assert_false(ready());
}

static void signer_of_another_instance_is_no_failure(void **state)
{
	(void)state;
	view.chains_len = 1;
	engine.lines[0].lanes[0].leased = false;
	engine.lines[0].lanes[0].ready = false;
	engine.lines[0].lanes[0].runway_hours = UINT64_MAX;
	assert_true(ready());
	assert_non_null(strstr(lines, ": another instance signs for it; "));
	assert_null(strstr(lines, "gas for"));
}

static void not_ready_without_a_chain(void **state)
{
	(void)state;
	view.chains_len = 0;
	assert_false(ready());
}

#define READY_TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		READY_TEST(ready_when_all_is_well),
		READY_TEST(not_ready_while_draining),
		READY_TEST(not_ready_without_a_store),
		READY_TEST(not_ready_while_the_journal_lags),
		READY_TEST(not_ready_before_recovery),
		READY_TEST(chain_that_fails_alone_costs_a_line_only),
		READY_TEST(head_age_may_be_left_unchecked),
		READY_TEST(one_signer_that_can_pay_is_enough),
		READY_TEST(signer_of_another_instance_is_no_failure),
		READY_TEST(not_ready_without_a_chain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
