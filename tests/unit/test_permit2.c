/*
 * exact and upto through Permit2: every check of F-070 to F-079 on recorded
 * answers, without a socket. A case takes a good signed payment, changes one
 * thing, signs again, and says what must come out.
 */
#include "permit2_house.h"

/* ---- Verification. ---- */

static void assert_offline(const struct payment *p, const char *expected)
{
	struct chain chain = good_chain();

	assert_reason(p, &chain, expected, 0);
}

static void test_good_payments_take_one_round(void **state)
{
	struct chain chain = good_chain();
	struct payment p = good(X402_PERMIT2_EXACT);

	(void)state;
	assert_reason(&p, &chain, "", 1);
	assert_memory_equal(chain.simulated_selector, "\x13\xcd\x3b\x53", 4);
	assert_false(chain.simulated.has_sender);
	p = good(X402_PERMIT2_UPTO);
	assert_reason(&p, &chain, "", 1);
	assert_memory_equal(chain.simulated_selector, "\xff\x11\xe7\xb4", 4);
	/* F-079: as its own sender, or the proxy would refuse it. */
	assert_true(chain.simulated.has_sender);
	assert_true(x402_address_equal(
		&chain.simulated.sender, &p.auth.facilitator));
}

/* F-070 and F-078: each case changes one thing; the chain is never asked. */
static void test_terms_are_refused_offline(void **state)
{
	enum x402_permit2_kind kinds[] = {
		X402_PERMIT2_EXACT, X402_PERMIT2_UPTO};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		bool upto = kinds[i] == X402_PERMIT2_UPTO;
		struct payment p = good(kinds[i]);

		p.accepted_scheme = upto ? "exact" : "upto";
		assert_offline(&p,
			upto ? "invalid_upto_evm_scheme"
			     : "unsupported_payload_type");
		p = good(kinds[i]);
		p.accepted_network = "eip155:8453";
		assert_offline(&p,
			upto ? "invalid_upto_evm_network_mismatch"
			     : "invalid_exact_evm_network_mismatch");
		p = good(kinds[i]);
		p.auth.spender = *x402_permit2_proxy(
			upto ? X402_PERMIT2_EXACT : X402_PERMIT2_UPTO);
		assert_offline(&p, "invalid_permit2_spender");
		p = good(kinds[i]);
		p.auth.spender = *x402_permit2_contract();
		assert_offline(&p, "invalid_permit2_spender");
		p = good(kinds[i]);
		p.auth.to = address(STRANGER);
		assert_offline(&p, "invalid_permit2_recipient_mismatch");
		p = good(kinds[i]);
		p.auth.deadline = x402_u256_from_u64(NOW + 5);
		assert_offline(&p, "permit2_deadline_expired");
		p = good(kinds[i]);
		p.auth.valid_after = x402_u256_from_u64(NOW + 1);
		assert_offline(&p, "permit2_not_yet_valid");
		p = good(kinds[i]);
		p.auth.amount = x402_u256_from_u64(999);
		assert_offline(&p, "permit2_amount_mismatch");
		p = good(kinds[i]);
		p.auth.amount = x402_u256_from_u64(1001);
		assert_offline(&p, "permit2_amount_mismatch");
		p = good(kinds[i]);
		p.auth.token = address(STRANGER);
		assert_offline(&p, "permit2_token_mismatch");
		p = good(kinds[i]);
		p.asset = "0x12";
		assert_offline(&p, "invalid_payment_requirements");
		p = good(kinds[i]);
		p.payload = "{\"signature\":\"0x\"}";
		assert_offline(&p, "unsupported_payload_type");
		p.payload = "{\"signature\":\"0x\",\"authorization\":{},"
			    "\"permit2Authorization\":{}}";
		assert_offline(&p, "unsupported_payload_type");
		p.payload = "{\"signature\":\"0x\","
			    "\"permit2Authorization\":{}}";
		assert_offline(&p, "invalid_payload");
		p.payload = "{\"signature\":\"0x\","
			    "\"permit2Authorization\":7}";
		assert_offline(&p, "invalid_payload");
	}
}

/* F-078: who may take it. */
static void test_upto_is_bound_to_its_facilitator(void **state)
{
	struct payment p = good(X402_PERMIT2_UPTO);
	struct chain chain = good_chain();

	(void)state;
	p.own_signer = STRANGER;
	assert_offline(&p, "upto_facilitator_mismatch");
	/* A seller does not know the signers, but what it offered. */
	p.own_signer = NULL;
	assert_reason(&p, &chain, "", 1);
	p.extra = "{\"facilitatorAddress\":\"" SIGNER "\"}";
	assert_reason(&p, &chain, "", 1);
	p.extra = "{\"facilitatorAddress\":\"" STRANGER "\"}";
	assert_offline(&p, "upto_facilitator_mismatch");
	p.extra = "{\"facilitatorAddress\":\"somebody\"}";
	assert_offline(&p, "upto_facilitator_mismatch");
}

/* F-079: at /settle the amount is what is taken. */
static void test_upto_settles_at_most_what_was_permitted(void **state)
{
	struct payment p = good(X402_PERMIT2_UPTO);
	struct chain chain = good_chain();

	(void)state;
	p.phase = X402_PHASE_SETTLE;
	p.amount = "1001";
	assert_offline(
		&p, "invalid_upto_evm_payload_settlement_exceeds_amount");
	p.amount = "400";
	/* What cannot cover the maximum may cover this. */
	chain.balance = 400;
	assert_reason(&p, &chain, "", 1);
	chain.simulation = X402_ANSWER_REVERTED;
	chain.balance = 399;
	assert_reason(&p, &chain, "permit2_insufficient_balance", 2);
	/* For exact nothing changes. */
	p = good(X402_PERMIT2_EXACT);
	p.phase = X402_PHASE_SETTLE;
	p.amount = "400";
	assert_offline(&p, "permit2_amount_mismatch");
}

/* Nothing is simulated, but it must be the payer's own all the same. */
static void test_upto_of_nothing_needs_a_signature_all_the_same(void **state)
{
	struct payment p = good(X402_PERMIT2_UPTO);
	struct chain chain = good_chain();

	(void)state;
	p.phase = X402_PHASE_SETTLE;
	p.amount = "0";
	chain.simulation = X402_ANSWER_REVERTED;
	assert_reason(&p, &chain, "", 1);
	chain.payer_has_code = true;
	assert_reason(&p, &chain, "invalid_permit2_signature", 2);
	chain.wallet_answer = "0x" MAGIC ZEROS28;
	assert_reason(&p, &chain, "", 2);
	chain.payer_has_code = false;
	p.chain_id = 8453;
	assert_reason(&p, &chain, "invalid_permit2_signature", 1);
}

static void test_signature_is_the_payers_or_its_contracts(void **state)
{
	static const char *const answers[] = {NULL, "0x", "0x" MAGIC,
		"0xffffffff" ZEROS28, "0x" MAGIC ZEROS28 "00"};
	struct payment p = good(X402_PERMIT2_EXACT);
	struct chain chain = good_chain();

	(void)state;
	p.chain_id = 8453;
	assert_reason(&p, &chain, "invalid_permit2_signature", 1);
	p = good(X402_PERMIT2_EXACT);
	p.signature = "0x1234";
	assert_reason(&p, &chain, "invalid_permit2_signature", 1);
	/* F-033: code means ERC-1271, also for a good ECDSA signature. */
	p = good(X402_PERMIT2_EXACT);
	chain.payer_has_code = true;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		chain.wallet_answer = answers[i];
		assert_reason(&p, &chain, "invalid_permit2_signature", 2);
	}
	chain.wallet_answer = "0x" MAGIC ZEROS28;
	assert_reason(&p, &chain, "", 2);
	assert_true(chain.simulated.gas > 300000);
}

/* A call to an address without code succeeds: both are asked for. */
static void test_missing_contracts_are_not_believed(void **state)
{
	struct payment p = good(X402_PERMIT2_EXACT);
	struct chain chain = good_chain();

	(void)state;
	chain.asset_has_no_code = true;
	assert_reason(&p, &chain, "asset_not_deployed_contract", 1);
	chain = good_chain();
	chain.proxy_has_no_code = true;
	assert_reason(&p, &chain, "permit2_proxy_not_deployed", 1);
	chain = good_chain();
	chain.simulation = X402_ANSWER_REVERTED;
	chain.proxy_is_other = true;
	assert_reason(&p, &chain, "permit2_proxy_not_deployed", 2);
}

/* F-072, and behind it the names of protocol.md 2.5. */
static void test_reverted_simulation_is_explained(void **state)
{
	static const struct {
		const char *revert;
		const char *reason;
		int rounds;
	} cases[] = {
		/* Nothing explains it: it is tried once more. */
		{NULL, "permit2_simulation_failed", 4},
		{"0xdeadbeef", "permit2_simulation_failed", 4},
		{"0x050cda49", "permit2_2612_amount_mismatch", 2},
		{"0x2c5211c6", "permit2_invalid_amount", 2},
		{"0xac6b05f5", "permit2_invalid_destination", 2},
		{"0x49e27cff", "permit2_invalid_owner", 2},
		{"0xa65539fa", "permit2_payment_too_early", 2},
		{"0x815e1d64", "invalid_permit2_signature", 2},
		{"0x756688fe", "permit2_invalid_nonce", 2},
		{"0xfe64b4c7", "upto_amount_exceeds_permitted", 2},
		{"0x0f6fae87", "upto_unauthorized_facilitator", 2},
	};
	struct payment p = good(X402_PERMIT2_EXACT);
	struct chain chain = good_chain();

	(void)state;
	chain.simulation = X402_ANSWER_REVERTED;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		chain.revert = cases[i].revert;
		assert_reason(&p, &chain, cases[i].reason, cases[i].rounds);
	}
	chain.allowance = 999;
	assert_reason(&p, &chain, "permit2_allowance_required", 2);
	chain.balance = 999;
	assert_reason(&p, &chain, "permit2_insufficient_balance", 2);
}

/* An allowance or a balance that came between simulation and diagnosis. */
static void test_revert_whose_cause_is_gone_is_none(void **state)
{
	struct payment p = good(X402_PERMIT2_EXACT);
	struct chain chain = good_chain();

	(void)state;
	chain.simulation = X402_ANSWER_REVERTED;
	chain.cause_goes = true;
	assert_reason(&p, &chain, "", 3);
	/* What Permit2 itself says does not go away. */
	chain.simulation = X402_ANSWER_REVERTED;
	chain.revert = "0x756688fe";
	assert_reason(&p, &chain, "permit2_invalid_nonce", 2);
	/* The same of a wallet's. */
	chain = good_chain();
	chain.simulation = X402_ANSWER_REVERTED;
	chain.cause_goes = true;
	chain.payer_has_code = true;
	chain.wallet_answer = "0x" MAGIC ZEROS28;
	assert_reason(&p, &chain, "", 4);
}

static void test_fault_is_no_verdict(void **state)
{
	struct payment p = good(X402_PERMIT2_EXACT);

	(void)state;
	for (int at = 1; at <= 7; at++) {
		struct chain chain = good_chain();
		struct x402_facilitator_request request;
		struct x402_verify_plan plan;
		struct outcome outcome;

		chain.fault_at = at;
		chain.simulation = X402_ANSWER_REVERTED;
		build(&p, &request);
		outcome = run_plan(&p, &request, &chain, &plan);
		assert_int_equal(outcome.err, X402_ERR_CHAIN);
		assert_false(plan.decided);
		x402_verify_plan_clear(&plan);
		x402_facilitator_request_clear(&request);
	}
}

/* F-034: only where the factory is allowed, and only for exact. */
static void test_undeployed_wallet_needs_an_allowed_factory(void **state)
{
	/* aggregate3's answer: two calls, of which the first failed. */
#define W0 "0000000000000000000000000000000000000000000000000000000000000000"
#define WORD(digits)                                                    \
	"0000000000000000000000000000000000000000000000000000000000000" \
	"0" digits
	static const char answer[] = "0x" WORD("20") WORD("02") WORD("40")
		WORD("a0") W0 WORD("40") W0 WORD("01") WORD("40") W0;
	struct payment p = good(X402_PERMIT2_EXACT);
	struct chain chain = good_chain();

	(void)state;
	p.wrap = true;
	assert_reason(&p, &chain, "eip6492_factory_not_allowed", 1);
	p.factory_allowed = true;
	/* An address without code says yes, in no words. */
	assert_reason(&p, &chain, "permit2_simulation_failed", 5);
	chain.answer = answer;
	assert_reason(&p, &chain, "", 2);
	assert_memory_equal(chain.simulated_selector, "\x82\xad\x56\xcb", 4);
	/* With code at the payer the wrapper's inner signature counts. */
	chain.answer = NULL;
	chain.payer_has_code = true;
	chain.wallet_answer = "0x" MAGIC ZEROS28;
	assert_reason(&p, &chain, "", 2);
	p = good(X402_PERMIT2_UPTO);
	p.wrap = true;
	p.factory_allowed = true;
	chain = good_chain();
	assert_reason(&p, &chain, "eip6492_factory_not_allowed", 1);
}

/* ---- The permit sent along (F-073). ---- */

static void test_permit_sent_along_is_checked(void **state)
{
	static const struct {
		const char *extensions;
		const char *reason;
	} cases[] = {
		{INFO(STRANGER, TOKEN, PERMIT2, "1000", LATER, SIG65),
			"eip2612_from_mismatch"},
		{INFO(FROM, STRANGER, PERMIT2, "1000", LATER, SIG65),
			"eip2612_asset_mismatch"},
		{INFO(FROM, TOKEN, STRANGER, "1000", LATER, SIG65),
			"eip2612_spender_not_permit2"},
		{INFO(FROM, TOKEN, PERMIT2, "1000", "1800000005", SIG65),
			"eip2612_deadline_expired"},
		{INFO(FROM, TOKEN, PERMIT2, "1001", LATER, SIG65),
			"permit2_2612_amount_mismatch"},
		{INFO(FROM, TOKEN, PERMIT2, "1000", LATER, "0x1234"),
			"invalid_eip2612_extension_format"},
		{INFO(FROM, TOKEN, PERMIT2, "-1", LATER, SIG65),
			"invalid_eip2612_extension_format"},
		{INFO(FROM, TOKEN, PERMIT2, "1000", "soon", SIG65),
			"invalid_eip2612_extension_format"},
		{INFO("0x12", TOKEN, PERMIT2, "1000", LATER, SIG65),
			"invalid_eip2612_extension_format"},
		{"{\"eip2612GasSponsoring\":{\"info\":{\"from\":\"" FROM
		 "\"}}}",
			"invalid_eip2612_extension_format"},
	};
	struct payment p = good(X402_PERMIT2_EXACT);
	struct chain chain = good_chain();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		p.extensions = cases[i].extensions;
		assert_offline(&p, cases[i].reason);
	}
	p.extensions = INFO(FROM, TOKEN, PERMIT2, "1000", LATER, SIG65);
	assert_reason(&p, &chain, "", 1);
	assert_memory_equal(chain.simulated_selector, "\xfa\x34\x03\x78", 4);
	/* A bare echo of the server's declaration asks for nothing. */
	p.extensions = "{\"eip2612GasSponsoring\":{\"info\":{\"version\":"
		       "\"1\",\"description\":\"\"}}}";
	assert_reason(&p, &chain, "", 1);
	assert_memory_equal(chain.simulated_selector, "\x13\xcd\x3b\x53", 4);
	p = good(X402_PERMIT2_UPTO);
	p.extensions = INFO(FROM, TOKEN, PERMIT2, "1000", LATER, SIG65);
	assert_reason(&p, &chain, "", 1);
	assert_memory_equal(chain.simulated_selector, "\x01\x6c\x17\x48", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_payments_take_one_round),
		cmocka_unit_test(test_terms_are_refused_offline),
		cmocka_unit_test(test_upto_is_bound_to_its_facilitator),
		cmocka_unit_test(test_upto_settles_at_most_what_was_permitted),
		cmocka_unit_test(
			test_upto_of_nothing_needs_a_signature_all_the_same),
		cmocka_unit_test(test_signature_is_the_payers_or_its_contracts),
		cmocka_unit_test(test_missing_contracts_are_not_believed),
		cmocka_unit_test(test_reverted_simulation_is_explained),
		cmocka_unit_test(test_revert_whose_cause_is_gone_is_none),
		cmocka_unit_test(test_fault_is_no_verdict),
		cmocka_unit_test(
			test_undeployed_wallet_needs_an_allowed_factory),
		cmocka_unit_test(test_permit_sent_along_is_checked),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
