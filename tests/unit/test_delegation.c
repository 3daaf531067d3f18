/*
 * exact by delegation (ERC-7710, F-07A): every check of the plan on recorded
 * answers, and who sends it. A case takes a good payment, changes one thing,
 * and says what must come out. What is sent: test_delegation_settle.c.
 */
#include "delegation_house.h"

/* ---- Verification. ---- */

static void test_good_payment_takes_one_round(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_address own = signer(0);

	(void)state;
	assert_reason(&p, &chain, "", 1);
	assert_int_equal(chain.simulations, 1);
	assert_int_equal(chain.first_simulated.gas, X402_DELEGATION_GAS);
	assert_true(chain.first_simulated.has_sender);
	assert_true(x402_address_equal(&chain.first_simulated.sender, &own));
	/* A payee that cannot know the manager leaves it to who sends. */
	p.allowed = NULL;
	p.any_manager = true;
	p.signers = 0;
	chain = good_chain();
	assert_reason(&p, &chain, "", 1);
	assert_false(chain.first_simulated.has_sender);
}

static void test_gas_cap_is_the_simulations_gas(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();

	(void)state;
	p.gas = 123456;
	assert_reason(&p, &chain, "", 1);
	assert_int_equal(chain.first_simulated.gas, 123456);
}

/* L-014, L-016. */
static void test_shapes_are_refused_offline(void **state)
{
	static const char *const unsupported[] = {
		"{\"delegationManager\":\"" MANAGER
		"\",\"delegator\":\"" DELEGATOR
		"\",\"permissionContext\":\"0x00\","
		"\"authorization\":{}}",
		"{\"delegationManager\":\"" MANAGER
		"\",\"delegator\":\"" DELEGATOR
		"\",\"permissionContext\":\"0x00\","
		"\"permit2Authorization\":{}}",
		"{}",
		"{\"permissionContext\":\"0x00\",\"delegator\":\"" DELEGATOR
		"\"}",
	};
	static const char *const invalid[] = {
		"{\"delegationManager\":\"" MANAGER "\"}",
		"{\"delegationManager\":7}",
		"{\"delegationManager\":\"0x12\",\"delegator\":\"" DELEGATOR
		"\",\"permissionContext\":\"0x00\"}",
		"{\"delegationManager\":\"" MANAGER "\",\"delegator\":\"me\","
		"\"permissionContext\":\"0x00\"}",
		"{\"delegationManager\":\"" MANAGER
		"\",\"permissionContext\":\"0x00\"}",
		"{\"delegationManager\":\"" MANAGER
		"\",\"delegator\":\"" DELEGATOR "\",\"permissionContext\":[]}",
	};
	static const char *const contexts[] = {
		"0x", "", "00", "0x0", "0x0g", "0x00 "};
	struct payment p = good();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(unsupported); i++) {
		p.payload = unsupported[i];
		assert_offline(&p, "unsupported_payload_type");
	}
	for (size_t i = 0; i < ARRAY_LEN(invalid); i++) {
		p.payload = invalid[i];
		assert_offline(&p, "invalid_payload");
	}
	p.payload = NULL;
	for (size_t i = 0; i < ARRAY_LEN(contexts); i++) {
		p.context = contexts[i];
		assert_offline(&p, "invalid_payload");
	}
}

static char *long_context(size_t len, char digit)
{
	char *text = malloc(2 + 2 * len + 1);

	assert_non_null(text);
	memset(text, digit, 2 + 2 * len);
	memcpy(text, "0x", 2);
	text[2 + 2 * len] = '\0';
	return text;
}

static void test_context_is_bounded(void **state)
{
	char *most = long_context(X402_PERMISSION_CONTEXT_MAX, '0');
	char *more = long_context(X402_PERMISSION_CONTEXT_MAX + 1, '0');
	struct payment p = good();
	struct chain chain = good_chain();

	(void)state;
	p.context = most;
	assert_reason(&p, &chain, "", 1);
	p.context = more;
	assert_offline(&p, "invalid_payload");
	free(most);
	free(more);
}

/* Nodes would not take it at all, and its lane would wait for it. */
static void test_bytes_alone_must_not_take_the_gas(void **state)
{
	/* 21,000 + 40 for each of these, 10 or 40 for each of the others. */
	char *context = long_context(2000, 'f');
	struct payment p = good();
	struct chain chain = good_chain();

	(void)state;
	p.context = context;
	p.gas = 100000;
	assert_offline(&p, "invalid_exact_evm_transaction_simulation_failed");
	p.gas = 120000;
	assert_reason(&p, &chain, "", 1);
	free(context);
}

static void test_terms_are_refused_offline(void **state)
{
	struct payment p = good();

	(void)state;
	p.accepted_scheme = "upto";
	assert_offline(&p, "invalid_exact_evm_scheme");
	p = good();
	p.accepted_network = "eip155:8453";
	assert_offline(&p, "invalid_exact_evm_network_mismatch");
	p = good();
	p.extra = "{}";
	assert_offline(&p, "unsupported_payload_type");
	p.extra = "{\"assetTransferMethod\":\"eip3009\",\"name\":\"USDC\","
		  "\"version\":\"2\"}";
	assert_offline(&p, "unsupported_payload_type");
	p.extra = "{\"assetTransferMethod\":7710}";
	assert_offline(&p, "unsupported_payload_type");
	p = good();
	p.asset = "0x12";
	assert_offline(&p, "invalid_payment_requirements");
	p = good();
	p.pay_to = "nobody";
	assert_offline(&p, "invalid_payment_requirements");
}

static void test_manager_must_be_allowed(void **state)
{
	struct payment p = good();

	(void)state;
	p.allowed = NULL;
	assert_offline(&p, "unsupported_payload_type");
	p.allowed = STRANGER;
	assert_offline(&p, "unsupported_payload_type");
	p = good();
	p.manager = STRANGER;
	assert_offline(&p, "unsupported_payload_type");
	p.manager = TOKEN;
	assert_offline(&p, "unsupported_payload_type");
}

static void test_chain_refuses(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();

	(void)state;
	chain.asset_has_no_code = true;
	assert_reason(&p, &chain, "asset_not_deployed_contract", 1);
	chain = good_chain();
	chain.manager_has_no_code = true;
	assert_reason(&p, &chain,
		"invalid_exact_evm_transaction_simulation_failed", 1);
	chain = good_chain();
	chain.balance = 999;
	assert_reason(&p, &chain, "invalid_exact_evm_insufficient_balance", 1);
	chain.balance_reverts = true;
	assert_reason(&p, &chain,
		"invalid_exact_evm_transaction_simulation_failed", 1);
	chain = good_chain();
	chain.balance_is_short = true;
	assert_reason(&p, &chain,
		"invalid_exact_evm_transaction_simulation_failed", 1);
	chain = good_chain();
	chain.delegate = -1;
	assert_reason(&p, &chain,
		"invalid_exact_evm_transaction_simulation_failed", 1);
}

/* A fault is no verdict, and the same answers may come again. */
static void test_fault_decides_nothing(void **state)
{
	struct payment p = good();

	(void)state;
	for (int at = 1; at <= 5; at++) {
		struct x402_facilitator_request request;
		struct x402_verify_plan plan;
		struct chain chain = good_chain();
		int rounds;

		chain.fault_at = at;
		build(&p, &request);
		assert_int_equal(run_plan(&p, &request, &chain, &plan, &rounds),
			X402_ERR_CHAIN);
		assert_false(plan.decided);
		chain.fault_at = 0;
		assert_int_equal(run_rounds(&chain, &plan, &rounds), X402_OK);
		assert_true(plan.verdict.valid);
		x402_verify_plan_clear(&plan);
		x402_facilitator_request_clear(&request);
	}
}

/* ---- Who sends it. ---- */

static void test_each_signer_is_tried_and_the_one_that_passed_sends(
	void **state)
{
	(void)state;
	for (int delegate = 0; delegate < SIGNERS; delegate++) {
		struct payment p = good();
		struct chain chain = good_chain();
		struct x402_address expected = signer((unsigned)delegate);
		struct x402_address sender;
		struct x402_settle_plan plan;

		p.signers = SIGNERS;
		chain.delegate = delegate;
		plan = settled(&p, &chain);
		sender = sender_of(&plan);
		assert_true(x402_address_equal(&sender, &expected));
		assert_true(chain.simulations <= SIGNERS);
		x402_settle_plan_clear(&plan);
	}
}

static void test_no_signer_passes(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();

	(void)state;
	p.signers = SIGNERS;
	chain.delegate = -1;
	assert_reason(&p, &chain,
		"invalid_exact_evm_transaction_simulation_failed", 4);
	assert_int_equal(chain.simulations, SIGNERS);
}

/*
 * To a manager, a context without a delegation is what the sender itself wants:
 * an account of ours that has code would pay.
 */
static void test_signer_with_code_sends_nothing(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_address second = signer(1);
	struct x402_address sender;
	struct x402_settle_plan plan;

	(void)state;
	chain.with_code = 1;
	assert_reason(&p, &chain,
		"invalid_exact_evm_transaction_simulation_failed", 1);
	p.signers = 2;
	assert_reason(&p, &chain,
		"invalid_exact_evm_transaction_simulation_failed", 2);
	chain.delegate = 1;
	plan = settled(&p, &chain);
	sender = sender_of(&plan);
	assert_true(x402_address_equal(&sender, &second));
	x402_settle_plan_clear(&plan);
	chain.with_code = SIGNERS;
	assert_reason(&p, &chain,
		"invalid_exact_evm_transaction_simulation_failed", 2);
}

static void test_signer_that_the_context_names_is_asked_first(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();

	(void)state;
	p.signers = SIGNERS;
	p.context = "0x0011a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a722";
	chain.delegate = 7;
	assert_reason(&p, &chain, "", 1);
	assert_int_equal(chain.simulations, 1);
	/* It is no more than the order. */
	chain.delegate = 3;
	assert_reason(&p, &chain, "", 2);
}

static void test_unknown_sender_settles_nothing(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct x402_settle_plan settle;
	int rounds;

	(void)state;
	p.signers = 0;
	build(&p, &request);
	assert_int_equal(
		run_plan(&p, &request, &chain, &plan, &rounds), X402_OK);
	assert_true(plan.verdict.valid);
	assert_int_equal(
		x402_settle_plan(&plan, &settle), X402_ERR_INVALID_ARGUMENT);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_payment_takes_one_round),
		cmocka_unit_test(test_gas_cap_is_the_simulations_gas),
		cmocka_unit_test(test_shapes_are_refused_offline),
		cmocka_unit_test(test_context_is_bounded),
		cmocka_unit_test(test_bytes_alone_must_not_take_the_gas),
		cmocka_unit_test(test_terms_are_refused_offline),
		cmocka_unit_test(test_manager_must_be_allowed),
		cmocka_unit_test(test_chain_refuses),
		cmocka_unit_test(test_fault_decides_nothing),
		cmocka_unit_test(
			test_each_signer_is_tried_and_the_one_that_passed_sends),
		cmocka_unit_test(test_no_signer_passes),
		cmocka_unit_test(test_signer_with_code_sends_nothing),
		cmocka_unit_test(
			test_signer_that_the_context_names_is_asked_first),
		cmocka_unit_test(test_unknown_sender_settles_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
