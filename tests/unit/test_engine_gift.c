/*
 * Gifts of gas (F-075) in the engine: a transfer of the chain's own coin that
 * is journalled, claimed and followed like any payment, once for each payer,
 * below ceilings of its own. Against the scripted world of engine_house.h.
 */
#include "engine_house.h"

#define WEI UINT64_C(5000000000000)

static void give(
	struct world *w, uint8_t payer, uint64_t wei, struct told *told)
{
	struct fac_settle_request request = {.has_plan = true,
		.x402_version = 2,
		.scheme = "gift",
		.caller = FAC_GIFT_CALLER,
		.wire_network = WORLD_NETWORK,
		.deadline_unix_ms = w->now_ms + 10000};
	struct x402_u256 amount = x402_u256_from_u64(wei);
	struct x402_address address;

	memset(told, 0, sizeof(*told));
	memset(address.bytes, payer, 20);
	assert_int_equal(
		x402_settle_plan_gift(&w->config.network, &address, &amount,
			w->now_ms / 1000 + 86400, &request.plan),
		X402_OK);
	memcpy(request.fingerprint32, request.plan.key.bytes, 32);
	memcpy(request.payload_hash32, request.plan.key.bytes, 32);
	fac_engine_settle(w->engine, &request, on_told, told);
}

static uint64_t given(const struct world *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->txs_len; i++)
		if (w->txs[i].mined && w->txs[i].success)
			sum += w->txs[i].value;
	return sum;
}

static void test_gift_carries_its_value_to_the_payer(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	give(w, 0x55, WEI, &told);
	world_run(w, 2000);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(w->txs_len, 1);
	assert_true(w->txs[0].value == WEI);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(w->txs[0].to.bytes[i], 0x55);
	world_free(w);
}

static void test_payment_carries_none(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	world_boot(w);
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 2000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_true(w->txs[0].value == 0);
	world_free(w);
}

static void test_second_gift_to_a_payer_is_none(void **state)
{
	struct world *w = world_new();
	struct told told[3];

	(void)state;
	world_boot(w);
	give(w, 0x55, WEI, &told[0]);
	/* At the same moment, and for more; and when it is long settled. */
	give(w, 0x55, 2 * WEI, &told[1]);
	world_run(w, 2000);
	give(w, 0x55, WEI, &told[2]);
	world_run(w, 2000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_DUPLICATE);
	assert_int_equal(told[2].result.outcome, FAC_SETTLE_DUPLICATE);
	assert_true(given(w) == WEI);
	/* Another payer has its own. */
	give(w, 0x66, WEI, &told[0]);
	world_run(w, 2000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	assert_true(given(w) == 2 * WEI);
	world_free(w);
}

/* Killed between every two steps, it is given once. */
static void test_gift_survives_a_kill_and_is_one(void **state)
{
	(void)state;
	for (unsigned at = 0; at < 40; at++) {
		struct world *w = world_new();
		struct told told;

		world_boot(w);
		give(w, 0x55, WEI, &told);
		if (!world_run_until_event(w, 3000, at)) {
			world_free(w);
			continue;
		}
		world_crash(w);
		world_boot(w);
		world_run(w, 500);
		give(w, 0x55, WEI, &told);
		world_run(w, 4000);
		assert_int_equal(told.times, 1);
		assert_true(told.result.outcome == FAC_SETTLE_SETTLED ||
			told.result.outcome == FAC_SETTLE_DUPLICATE);
		assert_true(given(w) == WEI);
		world_free(w);
	}
}

/* The same bytes again, and the same value, at a higher fee. */
static void test_gift_that_sticks_is_raised_with_its_value(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->mining = false;
	w->config.stuck_ms = 1000;
	world_boot(w);
	give(w, 0x55, WEI, &told);
	world_run(w, 4000);
	assert_true(w->txs_len > 1);
	for (size_t i = 0; i < w->txs_len; i++)
		assert_true(w->txs[i].value == WEI);
	w->mining = true;
	world_run(w, 3000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_true(given(w) == WEI);
	world_free(w);
}

/* A stranger took the nonce: proven, and signed anew, still once. */
static void test_gift_whose_nonce_is_lost_is_given_once(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->mining = false;
	world_boot(w);
	give(w, 0x55, WEI, &told);
	world_run(w, 500);
	assert_int_equal(w->txs_len, 1);
	w->txs[0].gone = true;
	world_steal_nonce(w, w->txs[0].nonce);
	w->mining = true;
	world_run(w, 60000);
	assert_true(given(w) == WEI);
	world_free(w);
}

static void test_gifts_of_a_day_have_a_ceiling(void **state)
{
	struct world *w = world_new();
	struct told told;
	unsigned settled = 0;

	(void)state;
	/* Each is thought to cost 5,001 gwei, and its gas costs 50,000 more. */
	w->config.gift_limits.caller_gwei = 61000;
	world_boot(w);
	world_run(w, 1000); /* the fees are known */
	for (uint8_t i = 1; i <= 4; i++) {
		give(w, i, WEI, &told);
		world_run(w, 2000);
		settled += told.result.outcome == FAC_SETTLE_SETTLED;
		if (i > 2)
			assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
	}
	assert_int_equal(settled, 2);
	assert_true(given(w) == 2 * WEI);
	/* Payments go on. */
	world_settle(w, (struct asking){0}, &told);
	world_run(w, 2000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

/* What a signer does not have it does not give. */
static void test_gift_waits_for_a_signer_that_has_it(void **state)
{
	struct world *w = world_new();
	struct told told;

	(void)state;
	w->balance = WEI;
	world_boot(w);
	world_run(w, 500);
	give(w, 0x55, WEI, &told);
	world_run(w, 3000);
	assert_int_equal(w->txs_len, 0);
	w->balance = UINT64_C(1000000000000000000);
	world_run(w, 5000);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_true(given(w) == WEI);
	world_free(w);
}

/* One gift and a half: what is promised to one is not there for another. */
static void test_gift_on_its_way_is_not_given_to_a_second(void **state)
{
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	w->mining = false;
	w->balance = WEI + WEI / 2;
	world_boot(w);
	world_run(w, 500);
	give(w, 0x55, WEI, &told[0]);
	give(w, 0x66, WEI, &told[1]);
	world_run(w, 1000);
	assert_int_equal(w->txs_len, 1);
	w->balance = 3 * WEI;
	world_run(w, 5000);
	assert_int_equal(w->txs_len, 2);
	w->mining = true;
	world_run(w, 2000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	assert_int_equal(told[1].result.outcome, FAC_SETTLE_SETTLED);
	assert_true(given(w) == 2 * WEI);
	world_free(w);
}

/* The journal's bytes hold what they may cost, whoever signed them. */
static void test_gift_of_the_journal_is_not_given_to_a_second(void **state)
{
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	w->mining = false;
	w->balance = WEI + WEI / 2;
	world_boot(w);
	world_run(w, 500);
	give(w, 0x55, WEI, &told[0]);
	world_run(w, 1000);
	assert_int_equal(w->txs_len, 1);
	world_crash(w);
	world_boot(w);
	world_run(w, 500);
	give(w, 0x66, WEI, &told[1]);
	world_run(w, 1000);
	assert_int_equal(w->txs_len, 1);
	world_free(w);
}

/* Its money is gone, though the balance was heard of before. */
static void test_gift_that_was_mined_is_not_there_any_more(void **state)
{
	struct world *w = world_new();
	struct told told[2];

	(void)state;
	w->balance = WEI + WEI / 2;
	world_boot(w);
	world_run(w, 500);
	give(w, 0x55, WEI, &told[0]);
	world_run(w, 60);
	w->balance = WEI / 2;
	world_run(w, 1000);
	assert_int_equal(told[0].result.outcome, FAC_SETTLE_SETTLED);
	give(w, 0x66, WEI, &told[1]);
	world_run(w, 1000);
	assert_int_equal(w->txs_len, 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gift_carries_its_value_to_the_payer),
		cmocka_unit_test(test_payment_carries_none),
		cmocka_unit_test(test_second_gift_to_a_payer_is_none),
		cmocka_unit_test(test_gift_survives_a_kill_and_is_one),
		cmocka_unit_test(
			test_gift_that_sticks_is_raised_with_its_value),
		cmocka_unit_test(test_gift_whose_nonce_is_lost_is_given_once),
		cmocka_unit_test(test_gifts_of_a_day_have_a_ceiling),
		cmocka_unit_test(test_gift_waits_for_a_signer_that_has_it),
		cmocka_unit_test(test_gift_on_its_way_is_not_given_to_a_second),
		cmocka_unit_test(
			test_gift_of_the_journal_is_not_given_to_a_second),
		cmocka_unit_test(
			test_gift_that_was_mined_is_not_there_any_more),
	};

	return cmocka_run_group_tests_name("engine_gift", tests, NULL, NULL);
}
