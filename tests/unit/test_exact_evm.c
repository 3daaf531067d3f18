/*
 * exact on EVM: every check of F-020 to F-041 on recorded answers, without a
 * socket. A case takes a good signed payment, changes one thing, signs again
 * where the change is under the signature, and says what must come out. What
 * comes after it: test_exact_evm_settle.c.
 */
#include "exact_evm_house.h"

static void test_good_payment_takes_one_round(void **state)
{
	struct payment p = good_payment();
	struct chain chain = good_chain();

	(void)state;
	assert_reason(&p, &chain, "", 1);
	p.version = 1;
	p.network = p.accepted_network = "base-sepolia";
	assert_reason(&p, &chain, "", 1);
	/* v as parity is the payer's signature too; the calldata says 27. */
	p.v_minus = 27;
	assert_reason(&p, &chain, "", 1);
}

/* Each case changes the payment; the chain is never asked. */
static void test_offline_checks_refuse_without_reads(void **state)
{
	struct chain chain = good_chain();
	struct payment p;

	(void)state;
	p = good_payment();
	p.payload = "{\"signature\":\"0x\",\"permit2Authorization\":{},"
		    "\"authorization\":{}}";
	assert_reason(&p, &chain, "unsupported_payload_type", 0);
	p = good_payment();
	p.payload = "{}";
	assert_reason(&p, &chain, "unsupported_payload_type", 0);
	p = good_payment();
	p.payload = "{\"authorization\":{\"from\":1},\"signature\":\"0x\"}";
	assert_reason(&p, &chain, "invalid_payload", 0);
	p = good_payment();
	p.scheme = "upwards";
	assert_reason(&p, &chain, "unsupported_scheme", 0);
	p = good_payment();
	p.accepted_scheme = "upto";
	assert_reason(&p, &chain, "invalid_exact_evm_scheme", 0);
	p = good_payment();
	p.network = "cosmos:hub";
	assert_reason(&p, &chain, "invalid_network", 0);
	p = good_payment();
	p.accepted_network = "eip155:8453";
	assert_reason(&p, &chain, "invalid_exact_evm_network_mismatch", 0);
	p = good_payment();
	p.extra = "{\"name\":\"USDC\"}";
	assert_reason(&p, &chain, "invalid_exact_evm_missing_eip712_domain", 0);
	p = good_payment();
	p.extra = "null";
	assert_reason(&p, &chain, "invalid_exact_evm_missing_eip712_domain", 0);
	p = good_payment();
	p.extra = "{\"name\":\"\",\"version\":\"2\"}";
	assert_reason(&p, &chain, "invalid_exact_evm_missing_eip712_domain", 0);
	p = good_payment();
	p.asset = "USDC";
	assert_reason(&p, &chain, "invalid_payment_requirements", 0);
	p = good_payment();
	p.version = 1;
	p.network = p.accepted_network = "no-such-net";
	assert_reason(&p, &chain, "invalid_network", 0);
}

static void test_terms_refuse_without_reads(void **state)
{
	struct chain chain = good_chain();
	struct payment p;

	(void)state;
	p = good_payment();
	p.pay_to = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
	assert_reason(&p, &chain, "invalid_exact_evm_recipient_mismatch", 0);
	p = good_payment();
	p.auth.valid_before = x402_u256_from_u64(NOW + 5);
	assert_reason(&p, &chain,
		"invalid_exact_evm_payload_authorization_valid_before", 0);
	p.auth.valid_before = x402_u256_from_u64(NOW + 6);
	assert_reason(&p, &chain, "", 1);
	p = good_payment();
	p.auth.valid_after = x402_u256_from_u64(NOW + 1);
	assert_reason(&p, &chain,
		"invalid_exact_evm_payload_authorization_valid_after", 0);
	p.auth.valid_after = x402_u256_from_u64(NOW);
	assert_reason(&p, &chain, "", 1);
	p = good_payment();
	p.auth.value = x402_u256_from_u64(999);
	assert_reason(&p, &chain,
		"invalid_exact_evm_payload_authorization_value_mismatch", 0);
	p.auth.value = x402_u256_from_u64(1001);
	assert_reason(&p, &chain,
		"invalid_exact_evm_payload_authorization_value_mismatch", 0);
	p = good_payment();
	memset(&p.auth.valid_before, 0xff, sizeof(p.auth.valid_before));
	assert_reason(&p, &chain, "", 1);
}

#define ZERO_WORD \
	"0000000000000000000000000000000000000000000000000000000000000000"

static void test_signature_of_eoa_is_judged_by_recovery(void **state)
{
	struct chain chain = good_chain();
	struct payment p;

	(void)state;
	p = good_payment();
	p.domain_name = "USD Coin"; /* signed for another domain */
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 1);
	p = good_payment();
	p.chain_id = 8453;
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 1);
	p = good_payment();
	p.auth.from.bytes[0] ^= 1; /* somebody else's money */
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 1);
	p = good_payment();
	p.signature = "0x";
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 1);
	p = good_payment();
	p.signature = "0x0102";
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 1);
	p.signature = "0x" ZERO_WORD ZERO_WORD "0000";
	assert_reason(&p, &chain,
		"invalid_exact_evm_payload_undeployed_smart_wallet", 1);
	/* Signature comes before terms in the rows (F-030, F-035). */
	p = good_payment();
	p.domain_name = "USD Coin";
	p.pay_to = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 1);
}

/* F12: the loudest cause of a bad signature is said with both sides. */
static void test_wrong_domain_is_named_with_both_sides(void **state)
{
	struct chain chain = good_chain();
	struct payment p = good_payment();
	struct outcome outcome;

	(void)state;
	/* The payer signed the token's true domain; extra is wrong. */
	p.domain_name = "USD Coin";
	chain.name = "USD Coin";
	outcome = run(&p, &chain);
	assert_string_equal(x402_reason_wire(outcome.verdict.reason),
		"invalid_exact_evm_signature");
	assert_non_null(strstr(outcome.verdict.message,
		"name: expected USDC, the token says USD Coin"));
	chain = good_chain();
	chain.version = "7";
	outcome = run(&p, &chain);
	assert_non_null(strstr(outcome.verdict.message,
		"version: expected 2, the token says 7"));
	/* The domain fits: then it is not the cause, and not spoken of. */
	chain = good_chain();
	outcome = run(&p, &chain);
	assert_null(strstr(outcome.verdict.message, "the token says"));
}

#define MAGIC \
	"0x1626ba7e00000000000000000000000000000000000000000000000000000000"

static void test_code_at_payer_means_erc1271_only(void **state)
{
	struct chain chain = good_chain();
	struct payment p = good_payment();

	(void)state;
	chain.payer_has_code = true;
	/* F-033: a good ECDSA signature does not help a contract. */
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 2);
	chain.wallet_answer =
		"0xffffffff00000000000000000000000000000000000000000000000000"
		"000000";
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 2);
	chain.wallet_answer = "0x1626ba7e";
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 2);
	chain.wallet_answer =
		"0x1626ba7e00000000000000000000000000000000000000000000000000"
		"000001";
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 2);
	chain.wallet_answer = MAGIC;
	assert_reason(&p, &chain, "", 2);
	p.signature = "0x010203";
	assert_reason(&p, &chain, "", 2);
	p.auth.value = x402_u256_from_u64(1);
	assert_reason(&p, &chain,
		"invalid_exact_evm_payload_authorization_value_mismatch", 2);
}

#define WRAPPED_6492                                                         \
	"0x"                                                                 \
	"000000000000000000000000111111111111111111111111111111111111111100" \
	"000000000000000000000000000000000000000000000000000000000000600000" \
	"0000000000000000000000000000000000000000000000000000000000800000"   \
	"0000000000000000000000000000000000000000000000000000000000000000"   \
	"0000000000000000000000000000000000000000000000000000000000020102"   \
	"000000000000000000000000000000000000000000000000000000000000"       \
	"6492649264926492649264926492649264926492649264926492649264926492"

static void test_wrapped_signature_without_code_is_refused(void **state)
{
	struct chain chain = good_chain();
	struct payment p = good_payment();

	(void)state;
	p.signature = WRAPPED_6492;
	assert_reason(&p, &chain, "eip6492_factory_not_allowed", 1);
	/* Deployed in the meantime: the inner signature counts. */
	chain.payer_has_code = true;
	chain.wallet_answer = MAGIC;
	assert_reason(&p, &chain, "", 2);
	p.signature =
		"0x00649264926492649264926492649264926492649264926492649264926"
		"4926492";
	assert_reason(&p, &chain, "invalid_exact_evm_signature", 0);
}

static void test_simulation_failure_is_diagnosed_in_order(void **state)
{
	struct payment p = good_payment();
	struct chain chain = good_chain();

	(void)state;
	chain.asset_has_no_code = true;
	assert_reason(&p, &chain, "asset_not_deployed_contract", 1);
	chain = good_chain();
	chain.simulation = X402_ANSWER_REVERTED;
	assert_reason(&p, &chain,
		"invalid_exact_evm_transaction_simulation_failed", 2);
	chain.balance = 999;
	assert_reason(&p, &chain, "invalid_exact_evm_insufficient_balance", 2);
	chain.version = "1";
	assert_reason(
		&p, &chain, "invalid_exact_evm_token_version_mismatch", 2);
	chain.name = "USD Coin";
	assert_reason(&p, &chain, "invalid_exact_evm_token_name_mismatch", 2);
	chain.nonce_used = true;
	assert_reason(&p, &chain, "invalid_exact_evm_nonce_already_used", 2);
	chain.no_eip3009 = true;
	assert_reason(&p, &chain, "invalid_exact_evm_eip3009_not_supported", 2);
}

static void test_chain_fault_is_never_a_verdict(void **state)
{
	struct payment p = good_payment();
	struct chain chain = good_chain();

	(void)state;
	chain.simulation = X402_ANSWER_REVERTED;
	for (chain.fault_at = 1; chain.fault_at <= 7; chain.fault_at++) {
		struct outcome outcome = run(&p, &chain);

		assert_int_equal(outcome.err, X402_ERR_CHAIN);
		assert_false(outcome.verdict.valid);
		assert_int_equal(outcome.verdict.reason, X402_REASON_NONE);
	}
}

/* F6: nothing reverts, and nothing would move. */
static void test_unknown_token_is_asked_for_the_nonce(void **state)
{
	struct payment p = good_payment();
	struct chain chain = good_chain();

	(void)state;
	chain.nonce_used = true;
	/* This one is known to revert. */
	assert_reason(&p, &chain, "", 1);
	p.network = p.accepted_network = "eip155:31337";
	p.chain_id = 31337;
	assert_reason(&p, &chain, "invalid_exact_evm_nonce_already_used", 1);
	chain.nonce_used = false;
	assert_reason(&p, &chain, "", 1);
	/* One that does not say is tried as any other. */
	chain.no_eip3009 = true;
	assert_reason(&p, &chain, "", 1);
	chain.no_eip3009 = false;
	chain.fault_at = 4;
	assert_int_equal(run(&p, &chain).err, X402_ERR_CHAIN);
}

/* Only what is sure to move this money and nothing else. */
static void test_simulation_shares_a_call_in_known_tokens_alone(void **state)
{
	struct payment p = good_payment();
	struct chain chain = good_chain();
	struct x402_chain_read tried;

	(void)state;
	chain.tried = &tried;
	assert_reason(&p, &chain, "", 1);
	assert_true(tried.may_share);
	assert_true(x402_address_equal(&tried.transfer_from, &p.auth.from));
	assert_true(x402_address_equal(&tried.transfer_to, &p.auth.to));
	/* A wallet that is a contract does what it likes. */
	chain.payer_has_code = true;
	chain.wallet_answer = MAGIC;
	assert_reason(&p, &chain, "", 2);
	assert_false(tried.may_share);
	chain.payer_has_code = false;
	p.network = p.accepted_network = "eip155:31337";
	p.chain_id = 31337;
	assert_reason(&p, &chain, "", 1);
	assert_false(tried.may_share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_payment_takes_one_round),
		cmocka_unit_test(test_offline_checks_refuse_without_reads),
		cmocka_unit_test(test_terms_refuse_without_reads),
		cmocka_unit_test(test_signature_of_eoa_is_judged_by_recovery),
		cmocka_unit_test(test_wrong_domain_is_named_with_both_sides),
		cmocka_unit_test(test_code_at_payer_means_erc1271_only),
		cmocka_unit_test(
			test_wrapped_signature_without_code_is_refused),
		cmocka_unit_test(test_simulation_failure_is_diagnosed_in_order),
		cmocka_unit_test(test_chain_fault_is_never_a_verdict),
		cmocka_unit_test(test_unknown_token_is_asked_for_the_nonce),
		cmocka_unit_test(
			test_simulation_shares_a_call_in_known_tokens_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
