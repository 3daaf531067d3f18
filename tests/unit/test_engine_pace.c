/*
 * How soon the engine learns that a chain has mined what it sent, and how often
 * it asks for that. Against the scripted world of engine_house.h, in steps of
 * 5 ms: chains that mine at once, and chains with blocks of seconds, where a
 * public endpoint must not be asked more than it was by a fixed pause.
 */
#include "engine_house.h"

#define STEP_MS 5

struct pace_world {
	struct world *w;
	uint64_t block_ms; /* 0: what is sent is mined at once */
	uint64_t next_block_ms;
};

static void let_pass(struct pace_world *p, uint64_t ms)
{
	struct world *w = p->w;

	for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
		size_t sent = w->txs_len;

		w->now_ms += STEP_MS;
		if (p->block_ms && w->now_ms >= p->next_block_ms) {
			p->next_block_ms += p->block_ms;
			world_mine(w);
		}
		fac_engine_tick(w->engine);
		while (world_step(w))
			if (!p->block_ms && w->txs_len > sent) {
				sent = w->txs_len;
				world_mine(w);
			}
		fac_engine_tick(w->engine);
	}
}

static struct pace_world begin(uint64_t block_ms)
{
	struct pace_world p = {.w = world_new(), .block_ms = block_ms};

	p.w->mining = false;
	p.next_block_ms = p.w->now_ms + block_ms;
	for (size_t i = 0; i < WORLD_PAYMENTS; i++)
		p.w->payments[i].valid_before = WORLD_START_S + 86400;
	world_allow_batches(p.w);
	world_boot(p.w);
	let_pass(&p, 5 * block_ms + 1000);
	return p;
}

/* From the question to its answer, in steps. */
static uint64_t settle_one(struct pace_world *p, unsigned payment)
{
	uint64_t begun = p->w->now_ms;
	struct told told;

	world_settle(p->w,
		(struct asking){.payment = payment, .wait_ms = 60000}, &told);
	while (!told.times) {
		let_pass(p, STEP_MS);
		assert_true(p->w->now_ms < begun + 30000);
	}
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	return p->w->now_ms - begun;
}

static void test_pace_of_a_chain_that_mines_at_once_is_learned(void **state)
{
	struct pace_world p = begin(0);
	uint64_t last = 0;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		last = settle_one(&p, i);
		let_pass(&p, 3000);
	}
	assert_in_range(last, STEP_MS, 4 * STEP_MS);
	world_free(p.w);
}

/* It stands still between payments, which says nothing of its blocks. */
static void test_pace_stays_quick_after_a_long_rest(void **state)
{
	struct pace_world p = begin(0);

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		(void)settle_one(&p, i);
	let_pass(&p, 120000);
	assert_in_range(settle_one(&p, 6), STEP_MS, 4 * STEP_MS);
	world_free(p.w);
}

/* With one mined the next ones go, all that wait together. */
static void test_pace_of_batches_is_that_of_blocks(void **state)
{
	struct pace_world p = begin(0);
	struct told told[40];
	uint64_t begun;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		(void)settle_one(&p, i);
	begun = p.w->now_ms;
	for (unsigned i = 4; i < 40; i++) {
		world_settle(p.w, (struct asking){.payment = i}, &told[i]);
		if (i % 4 == 3)
			let_pass(&p, STEP_MS);
	}
	while (!told[39].times)
		let_pass(&p, STEP_MS);
	assert_in_range(p.w->now_ms - begun, STEP_MS, 100);
	/* Nine groups of four, none split. */
	assert_in_range(p.w->txs_len, 5, 13);
	world_free(p.w);
}

/* One of ten blocks a second is not waited for with a window for seconds. */
static void test_pace_of_fast_blocks_bounds_the_window(void **state)
{
	struct pace_world p = begin(100);
	struct told told[50];
	uint64_t begun;

	(void)state;
	p.w->config.batch_window_ms = 200;
	for (unsigned i = 0; i < 30; i++)
		world_settle(p.w, (struct asking){.payment = i}, &told[i]);
	while (!p.w->txs_len)
		let_pass(&p, STEP_MS);
	assert_int_equal(p.w->txs[0].payments_len, 30);
	begun = p.w->now_ms;
	world_settle(p.w, (struct asking){.payment = 30}, &told[30]);
	while (!told[30].times)
		let_pass(&p, STEP_MS);
	/* A window, a block, and a quarter of one to see it. */
	assert_in_range(p.w->now_ms - begun, STEP_MS, 230);
	world_free(p.w);
}

/* Calls for twenty lone payments, over all the time between them. */
static unsigned calls_each(uint64_t block_ms)
{
	struct pace_world p = begin(block_ms);
	unsigned calls = p.w->calls;

	for (unsigned i = 0; i < 20; i++) {
		(void)settle_one(&p, i);
		/* Another phase of the block each time. */
		let_pass(&p, 2 * block_ms + (i * 7 + 1) * block_ms / 20);
	}
	calls = p.w->calls - calls;
	print_message("blocks of %llu ms: %u.%u calls for each payment\n",
		(unsigned long long)block_ms, calls / 20, calls % 20 / 2);
	world_free(p.w);
	return calls;
}

/*
 * The ceilings are what a pause of 100 ms after each sending took: 18.8, 24.6
 * and 73.9 calls for each payment, all that is asked between them included.
 */
static void test_pace_asks_no_more_where_blocks_take_seconds(void **state)
{
	(void)state;
	assert_in_range(calls_each(1000), 20, 376);
	assert_in_range(calls_each(2000), 20, 492);
	assert_in_range(calls_each(12000), 20, 1478);
}

/* Nothing that is sent is mined: the chain has stopped. */
static void test_pace_slows_down_while_no_block_comes(void **state)
{
	struct pace_world p = begin(0);
	struct told told;
	unsigned calls;

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		(void)settle_one(&p, i);
	p.block_ms = 3600000;
	p.next_block_ms = p.w->now_ms + p.block_ms;
	world_settle(
		p.w, (struct asking){.payment = 6, .wait_ms = 60000}, &told);
	let_pass(&p, 10000);
	calls = p.w->calls;
	let_pass(&p, 10000);
	assert_in_range(p.w->calls - calls, 1, 60);
	world_free(p.w);
}

static void test_pace_leaves_half_of_an_endpoints_ceiling(void **state)
{
	struct pace_world p = {.w = world_new()};
	struct told told;
	unsigned calls;

	(void)state;
	p.w->mining = false;
	p.w->config.rps = 4;
	world_boot(p.w);
	let_pass(&p, 1000);
	for (unsigned i = 0; i < 6; i++)
		(void)settle_one(&p, i);
	p.block_ms = 3600000;
	p.next_block_ms = p.w->now_ms + p.block_ms;
	world_settle(
		p.w, (struct asking){.payment = 6, .wait_ms = 60000}, &told);
	calls = p.w->calls;
	let_pass(&p, 2000);
	/* Sending, the fees; and two calls a second and a half. */
	assert_in_range(p.w->calls - calls, 2, 10);
	world_free(p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_pace_of_a_chain_that_mines_at_once_is_learned),
		cmocka_unit_test(test_pace_stays_quick_after_a_long_rest),
		cmocka_unit_test(test_pace_of_batches_is_that_of_blocks),
		cmocka_unit_test(test_pace_of_fast_blocks_bounds_the_window),
		cmocka_unit_test(
			test_pace_asks_no_more_where_blocks_take_seconds),
		cmocka_unit_test(test_pace_slows_down_while_no_block_comes),
		cmocka_unit_test(test_pace_leaves_half_of_an_endpoints_ceiling),
	};

	return cmocka_run_group_tests_name("engine_pace", tests, NULL, NULL);
}
