/*
 * exact by delegation (ERC-7710, F-07A): the call that is sent, what binds it
 * to its sender and its time, what makes two payments one, and what proves it.
 * Verification: test_delegation.c.
 */
#include "delegation_house.h"

/* ---- The settlement's plan. ---- */

/* redeemDelegations([0x00112233], [0], [token, 0, transfer(PAYEE, 1000)]). */
static const char redeem[] =
	"0xcef6d209"
	"0000000000000000000000000000000000000000000000000000000000000060"
	"00000000000000000000000000000000000000000000000000000000000000e0"
	"0000000000000000000000000000000000000000000000000000000000000120"
	"0000000000000000000000000000000000000000000000000000000000000001"
	"0000000000000000000000000000000000000000000000000000000000000020"
	"0000000000000000000000000000000000000000000000000000000000000004"
	"0011223300000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000001"
	"0000000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000001"
	"0000000000000000000000000000000000000000000000000000000000000020"
	"0000000000000000000000000000000000000000000000000000000000000078"
	"036cbd53842c5426634e7929541ec2318f3dcf7e"
	"0000000000000000000000000000000000000000000000000000000000000000"
	"a9059cbb"
	"00000000000000000000000090f79bf6eb2c4f870365e785982e1f101e93b906"
	"00000000000000000000000000000000000000000000000000000000000003e8"
	"0000000000000000";

static void test_call_is_ours_alone(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(&p, &chain);
	struct x402_address manager = address(MANAGER);
	struct x402_address delegator = address(DELEGATOR);

	(void)state;
	assert_hex(plan.calldata.ptr, plan.calldata.len, redeem);
	assert_true(x402_address_equal(&plan.call_to, &manager));
	assert_true(x402_address_equal(&plan.payer, &delegator));
	assert_false(plan.may_share);
	assert_int_equal(plan.gas_limit, X402_DELEGATION_GAS);
	/* No end of its own, and an end to being sent. */
	assert_true(plan.valid_before_unix_s == UINT64_MAX);
	assert_true(x402_settle_send_before(
			    x402_buf_span(&plan.state_calldata)) == NOW + 60);
	x402_settle_plan_clear(&plan);
}

static void test_time_to_be_sent_is_bounded(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan;
	struct x402_span state_calldata;

	(void)state;
	p.timeout_s = 1000000000;
	plan = settled(&p, &chain);
	state_calldata = x402_buf_span(&plan.state_calldata);
	assert_true(x402_settle_send_before(state_calldata) == NOW + 86400);
	/* Cut short in a store it is over, and has no sender. */
	state_calldata.len -= 1;
	assert_true(x402_settle_send_before(state_calldata) == 0);
	state_calldata.len = 4;
	assert_true(x402_settle_send_before(state_calldata) == 0);
	struct x402_address sender;
	assert_int_equal(
		x402_settle_sender(&plan.call_to, x402_buf_span(&plan.calldata),
			state_calldata, &sender),
		X402_ERR_SYNTAX);
	/* Others end by their own time. */
	assert_true(x402_settle_send_before(x402_span("", 0)) == UINT64_MAX);
	x402_settle_plan_clear(&plan);
}

static void assert_key(
	const struct payment *p, const uint8_t key[32], bool same)
{
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(p, &chain);

	assert_int_equal(memcmp(plan.key.bytes, key, 32) == 0, same);
	x402_settle_plan_clear(&plan);
}

/* One context pays once, whatever stands beside it. */
static void test_key_is_manager_and_context(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(&p, &chain);

	(void)state;
	assert_key_is(plan.key.bytes,
		"0x3f37dbbb6a5e9b53f459fc3152d2d100166bc14066065d5859d9ebfa7da0"
		"78e6");
	chain = good_chain();
	p.amount = "1";
	assert_key(&p, plan.key.bytes, true);
	p = good();
	p.pay_to = STRANGER;
	assert_key(&p, plan.key.bytes, true);
	p = good();
	p.delegator = STRANGER;
	assert_key(&p, plan.key.bytes, true);
	p = good();
	p.extra = "{\"assetTransferMethod\":\"erc7710\",\"name\":\"USDC\"}";
	assert_key(&p, plan.key.bytes, true);
	p = good();
	p.context = "0x00112234";
	assert_key(&p, plan.key.bytes, false);
	p.context = "0x0011223300";
	assert_key(&p, plan.key.bytes, false);
	x402_settle_plan_clear(&plan);
}

/* The second time it may well be refused: its first run is found all the same.
 */
static void test_key_of_a_refused_payment_is_found(void **state)
{
	static const struct {
		uint64_t balance;
		int delegate;
		const char *allowed;
		enum x402_err err;
	} cases[] = {
		{1000, 0, MANAGER, X402_OK},
		{1000, -1, MANAGER, X402_OK},
		{0, 0, MANAGER, X402_OK},
		{1000, 0, STRANGER, X402_ERR_INVALID_ARGUMENT},
	};
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan first = settled(&p, &chain);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_facilitator_request request;
		struct x402_verify_plan plan;
		struct x402_settle_key key;
		int rounds;

		chain = good_chain();
		chain.balance = cases[i].balance;
		chain.delegate = cases[i].delegate;
		p.allowed = cases[i].allowed;
		build(&p, &request);
		assert_int_equal(run_plan(&p, &request, &chain, &plan, &rounds),
			X402_OK);
		assert_int_equal(
			x402_verify_plan_key(&plan, &key), cases[i].err);
		if (!cases[i].err)
			assert_memory_equal(key.bytes, first.key.bytes, 32);
		x402_verify_plan_clear(&plan);
		x402_facilitator_request_clear(&request);
	}
	x402_settle_plan_clear(&first);
}

static void test_builder_codes_stand_behind_the_call(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan;

	(void)state;
	p.builder_code = "ours";
	p.extensions = "{\"builder-code\":{\"info\":{\"a\":\"app_1\"}}}";
	plan = settled(&p, &chain);
	assert_true(plan.calldata.len > (sizeof(redeem) - 3) / 2);
	/* The cap is the cap. */
	assert_int_equal(plan.gas_limit, X402_DELEGATION_GAS);
	x402_settle_plan_clear(&plan);
}

/* ---- Proof. ---- */

static const char transfer_topic[] =
	"0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
static const char used_topic[] =
	"0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5";

static struct x402_log transfer(
	const struct x402_settle_proof *proof, uint64_t value, uint8_t word[32])
{
	struct x402_u256 number = x402_u256_from_u64(value);
	struct x402_log log = {.address = proof->asset, .topics_len = 3};

	x402_u256_to_be32(&number, word);
	hex_fixed(transfer_topic, log.topics[0], 32);
	memcpy(log.topics[1] + 12, proof->from.bytes, 20);
	memcpy(log.topics[2] + 12, proof->to.bytes, 20);
	log.data = x402_span(word, 32);
	return log;
}

static void assert_proof(const struct x402_settle_proof *proof,
	const struct x402_log *logs, size_t logs_len, const char *reason)
{
	struct x402_receipt receipt = {
		.success = true, .logs = logs, .logs_len = logs_len};
	struct x402_verdict verdict;

	x402_settle_judge(proof, &receipt, &verdict);
	assert_string_equal(x402_reason_wire(verdict.reason), reason);
	assert_int_equal(verdict.valid, reason[0] == '\0');
}

#define MISMATCH "invalid_exact_evm_transfer_event_mismatch"

static void test_proof_is_exactly_one_transfer(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(&p, &chain);
	struct x402_settle_proof proof = x402_settle_plan_proof(&plan);
	struct x402_receipt reverted = {.success = false};
	struct x402_verdict verdict;
	struct x402_log logs[2];
	uint8_t words[2][32];

	(void)state;
	assert_true(x402_settle_proof_is_delegation(&proof));
	assert_false(x402_settle_proof_is_permit2(&proof));
	logs[0] = transfer(&proof, 1000, words[0]);
	logs[1] = logs[0];
	assert_proof(&proof, logs, 1, "");
	/* A manager that does nothing, and one that does it twice. */
	assert_proof(&proof, logs, 0, MISMATCH);
	assert_proof(&proof, logs, 2, MISMATCH);
	logs[0] = transfer(&proof, 999, words[0]);
	assert_proof(&proof, logs, 1, MISMATCH);
	logs[0] = transfer(&proof, 1000, words[0]);
	logs[0].address = plan.call_to;
	assert_proof(&proof, logs, 1, MISMATCH);
	logs[0] = transfer(&proof, 1000, words[0]);
	logs[0].topics[1][31] ^= 1;
	assert_proof(&proof, logs, 1, MISMATCH);
	logs[0] = transfer(&proof, 1000, words[0]);
	logs[0].topics[2][31] ^= 1;
	assert_proof(&proof, logs, 1, MISMATCH);
	x402_settle_judge(&proof, &reverted, &verdict);
	assert_string_equal(x402_reason_wire(verdict.reason),
		"invalid_exact_evm_transaction_failed");
	x402_settle_plan_clear(&plan);
}

/*
 * The payer's account is any contract: on the way it may spend another of the
 * payer's payments, whose Transfer must not count for two.
 */
static void test_authorization_used_on_the_way_is_another_payments(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(&p, &chain);
	struct x402_settle_proof proof = x402_settle_plan_proof(&plan);
	struct x402_log logs[2];
	uint8_t word[32];

	(void)state;
	logs[0] = transfer(&proof, 1000, word);
	logs[1] = logs[0];
	logs[1].data = x402_span("", 0);
	hex_fixed(used_topic, logs[1].topics[0], 32);
	memset(logs[1].topics[2], 7, 32);
	assert_proof(&proof, logs, 2, MISMATCH);
	/* Another payer's does not matter. */
	logs[1].topics[1][31] ^= 1;
	assert_proof(&proof, logs, 2, "");
	x402_settle_plan_clear(&plan);
}

/* From the parts that a store keeps. */
static void test_stored_parts_say_what_it_is(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(&p, &chain);
	struct x402_settle_proof proof = {.asset = plan.asset_address};

	(void)state;
	x402_settle_proof_set_call(
		&proof, &plan.call_to, x402_buf_span(&plan.state_calldata));
	assert_true(x402_settle_proof_is_delegation(&proof));
	assert_true(x402_address_equal(&proof.call_to, &plan.call_to));
	x402_settle_proof_set_call(&proof, &plan.call_to, x402_span("", 0));
	assert_false(x402_settle_proof_is_delegation(&proof));
	x402_settle_plan_clear(&plan);
}

/* ---- The payload. ---- */

static void test_payload_comes_back(void **state)
{
	struct x402_delegation_payload payload = {
		.manager = address(MANAGER), .delegator = address(DELEGATOR)};
	struct x402_delegation_payload again;
	struct x402_json *json = NULL;

	(void)state;
	x402_buf_add(&payload.context, x402_span("\x01\x02\xff", 3));
	assert_int_equal(
		x402_delegation_payload_to_json(&payload, &json), X402_OK);
	assert_string_equal(
		x402_json_get_string(json, "permissionContext"), "0x0102ff");
	assert_int_equal(
		x402_delegation_payload_read(json, NULL, &again), X402_OK);
	assert_true(x402_address_equal(&again.manager, &payload.manager));
	assert_true(x402_address_equal(&again.delegator, &payload.delegator));
	assert_int_equal(again.context.len, 3);
	x402_delegation_payload_clear(&again);
	x402_delegation_payload_clear(&payload);
	x402_delegation_payload_clear(NULL);
	x402_json_unref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call_is_ours_alone),
		cmocka_unit_test(test_time_to_be_sent_is_bounded),
		cmocka_unit_test(test_key_is_manager_and_context),
		cmocka_unit_test(test_key_of_a_refused_payment_is_found),
		cmocka_unit_test(test_builder_codes_stand_behind_the_call),
		cmocka_unit_test(test_proof_is_exactly_one_transfer),
		cmocka_unit_test(
			test_authorization_used_on_the_way_is_another_payments),
		cmocka_unit_test(test_stored_parts_say_what_it_is),
		cmocka_unit_test(test_payload_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
