/*
 * /readyz: each check, alone and together: what takes an instance out of
 * service, and what only a line.
 */
#include "cmocka_house.h"

#include "ops/ready.h"

static struct fac_engine_stats engine;
static struct fac_ready_chain chains[2];
static struct fac_ready_view view;
static char lines[4096];

static int setup(void **state)
{
	(void)state;
	engine = (struct fac_engine_stats){.recovered = true};
	chains[0] = (struct fac_ready_chain){"eip155:1", FAC_CHAIN_USABLE};
	chains[1] = (struct fac_ready_chain){"eip155:2", FAC_CHAIN_USABLE};
	view = (struct fac_ready_view){
		.engine = &engine, .chains = chains, .chains_len = 2};
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
	engine.in_flight = 3;
	engine.oldest_ms = FAC_READY_LANE_STUCK_MS - 1;
	assert_true(ready());
	assert_null(strstr(lines, "[-]"));
	assert_non_null(strstr(lines, "[+]store: writable\n"));
	assert_non_null(
		strstr(lines, "[+]lanes: 3 in flight, the oldest for 299 s\n"));
	assert_non_null(
		strstr(lines, "[+]chain eip155:2: an endpoint answers\n"));
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

static void not_ready_before_recovery(void **state)
{
	(void)state;
	engine.recovered = false;
	assert_false(ready());
	assert_non_null(strstr(lines, "[-]journal: "));
}

static void not_ready_with_a_lane_that_does_not_move(void **state)
{
	(void)state;
	engine.in_flight = 1;
	engine.oldest_ms = FAC_READY_LANE_STUCK_MS;
	assert_false(ready());
	assert_non_null(strstr(lines, "[-]lanes: 1 in flight"));
}

static void chain_that_fails_alone_costs_a_line_only(void **state)
{
	static const struct {
		enum fac_chain_health health;
		const char *line;
	} cases[] = {{FAC_CHAIN_UNSEEN, "[-]chain eip155:1: not asked yet\n"},
		{FAC_CHAIN_DOWN, "[-]chain eip155:1: no endpoint answers\n"},
		{FAC_CHAIN_WRONG,
			"[-]chain eip155:1: an endpoint serves another "
			"chain\n"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		chains[0].health = cases[i].health;
		chains[1].health = FAC_CHAIN_USABLE;
		assert_true(ready());
		assert_non_null(strstr(lines, cases[i].line));
		chains[1].health = FAC_CHAIN_DOWN;
		assert_false(ready());
	}
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
		READY_TEST(not_ready_before_recovery),
		READY_TEST(not_ready_with_a_lane_that_does_not_move),
		READY_TEST(chain_that_fails_alone_costs_a_line_only),
		READY_TEST(not_ready_without_a_chain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
