/*
 * exact on EVM after verification: the settlement's plan and key, what a
 * receipt must hold to prove it, what a revert says, and the payer's side.
 * Verification: test_exact_evm.c.
 */
#include "exact_evm_house.h"

/* ---- Settlement. ---- */

static void settle(const struct payment *p, struct x402_settle_plan *ret_plan)
{
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct chain chain = good_chain();

	build_request(p, &request);
	(void)run_plan(&request, &chain, &plan);
	assert_int_equal(x402_settle_plan(&plan, ret_plan), X402_OK);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

static void test_settle_plan_needs_a_valid_verdict(void **state)
{
	struct payment p = good_payment();
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct x402_settle_plan settle_plan;
	struct chain chain = good_chain();

	(void)state;
	chain.simulation = X402_ANSWER_REVERTED;
	build_request(&p, &request);
	(void)run_plan(&request, &chain, &plan);
	assert_int_equal(x402_settle_plan(&plan, &settle_plan),
		X402_ERR_INVALID_ARGUMENT);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

static void test_settle_key_depends_on_payer_and_nonce_only(void **state)
{
	struct payment p = good_payment();
	struct x402_settle_plan a;
	struct x402_settle_plan b;

	(void)state;
	settle(&p, &a);
	assert_key_is(a.key.bytes,
		"0x744eadf2236c7eef2b9629d380c26702dda0d6c550d315937a2d9dc3e3a0"
		"374f");
	assert_true(a.may_share);
	assert_int_equal(a.valid_before_unix_s, NOW + 60);
	p.version = 1;
	p.network = p.accepted_network = "base-sepolia";
	settle(&p, &b);
	assert_memory_equal(a.key.bytes, b.key.bytes, 32);
	assert_memory_equal(a.calldata.ptr, b.calldata.ptr, a.calldata.len);
	x402_settle_plan_clear(&b);
	p.auth.nonce32[0] ^= 1;
	settle(&p, &b);
	assert_memory_not_equal(a.key.bytes, b.key.bytes, 32);
	x402_settle_plan_clear(&a);
	x402_settle_plan_clear(&b);
}

static void set_topic(struct x402_log *log, size_t i, const char *hex)
{
	hex_fixed(hex, log->topics[i], 32);
}

static void set_topic_address(
	struct x402_log *log, size_t i, const struct x402_address *address)
{
	memset(log->topics[i], 0, 12);
	memcpy(log->topics[i] + 12, address->bytes, 20);
}

/* logs[0] AuthorizationUsed, logs[1] Transfer, as the token emits them. */
static void good_logs(const struct x402_settle_proof *proof, uint8_t value[32],
	struct x402_log logs[2])
{
	memset(logs, 0, 2 * sizeof(logs[0]));
	logs[0].address = logs[1].address = proof->asset;
	logs[0].topics_len = logs[1].topics_len = 3;
	set_topic(&logs[0], 0,
		"0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b"
		"10a5");
	set_topic_address(&logs[0], 1, &proof->from);
	memcpy(logs[0].topics[2], proof->nonce32, 32);
	set_topic(&logs[1], 0,
		"0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523"
		"b3ef");
	set_topic_address(&logs[1], 1, &proof->from);
	set_topic_address(&logs[1], 2, &proof->to);
	x402_u256_to_be32(&proof->value, value);
	logs[1].data = x402_span(value, 32);
}

static const char *judge(const struct x402_settle_proof *proof,
	const struct x402_log *logs, size_t logs_len, bool success)
{
	struct x402_receipt receipt = {
		.success = success, .logs = logs, .logs_len = logs_len};
	struct x402_verdict verdict;

	x402_settle_judge(proof, &receipt, &verdict);
	assert_int_equal(verdict.valid, verdict.reason == X402_REASON_NONE);
	return x402_reason_wire(verdict.reason);
}

static void test_receipt_without_its_own_logs_proves_nothing(void **state)
{
	static const char mismatch[] =
		"invalid_exact_evm_transfer_event_mismatch";
	struct payment p = good_payment();
	struct x402_settle_plan plan;
	struct x402_settle_proof proof;
	struct x402_log logs[3];
	uint8_t value[32];

	(void)state;
	settle(&p, &plan);
	proof = x402_settle_plan_proof(&plan);
	x402_settle_plan_clear(&plan);
	good_logs(&proof, value, logs);
	assert_string_equal(judge(&proof, logs, 2, true), "");
	assert_string_equal(judge(&proof, logs, 2, false),
		"invalid_exact_evm_transaction_failed");
	assert_string_equal(judge(&proof, logs, 0, true), mismatch);
	assert_string_equal(judge(&proof, logs, 1, true), mismatch);
	assert_string_equal(judge(&proof, logs + 1, 1, true), mismatch);
	logs[2] = logs[1]; /* the Transfer twice */
	assert_string_equal(judge(&proof, logs, 3, true), mismatch);
	logs[1].address.bytes[0] ^= 1; /* emitted by another contract */
	assert_string_equal(judge(&proof, logs, 2, true), mismatch);
	good_logs(&proof, value, logs);
	value[31] ^= 1; /* a fee was taken */
	assert_string_equal(judge(&proof, logs, 2, true), mismatch);
	good_logs(&proof, value, logs);
	logs[1].topics_len = 2;
	assert_string_equal(judge(&proof, logs, 2, true), mismatch);
	good_logs(&proof, value, logs);
	logs[1].data.len = 31;
	assert_string_equal(judge(&proof, logs, 2, true), mismatch);
	good_logs(&proof, value, logs);
	logs[1].topics[1][0] = 1; /* dirty upper bytes */
	assert_string_equal(judge(&proof, logs, 2, true), mismatch);
	good_logs(&proof, value, logs);
	logs[0].topics[2][5] ^= 1; /* another nonce */
	assert_string_equal(judge(&proof, logs, 2, true), mismatch);
}

/*
 * Two authorizations of one payer in one receipt. What each nonce moved stands
 * next to it, so that one Transfer pays one of them, whoever sent them.
 */
static void test_receipt_of_two_nonces_proves_what_each_moved(void **state)
{
	static const char mismatch[] =
		"invalid_exact_evm_transfer_event_mismatch";
	struct payment p = good_payment();
	struct x402_settle_plan plan;
	struct x402_settle_proof proofs[2];
	struct x402_log pairs[2][2]; /* AuthorizationUsed, Transfer */
	struct x402_log logs[4];
	uint8_t values[2][32];

	(void)state;
	settle(&p, &plan);
	proofs[0] = proofs[1] = x402_settle_plan_proof(&plan);
	x402_settle_plan_clear(&plan);
	proofs[1].nonce32[0] ^= 1;
	for (size_t i = 0; i < 2; i++)
		good_logs(&proofs[i], values[i], pairs[i]);
	memcpy(logs, pairs, sizeof(logs));
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(judge(&proofs[i], logs, 4, true), "");
	/* The second one went to somebody else, in either order. */
	pairs[1][1].topics[2][31] ^= 1;
	memcpy(logs, pairs, sizeof(logs));
	assert_string_equal(judge(&proofs[0], logs, 4, true), "");
	assert_string_equal(judge(&proofs[1], logs, 4, true), mismatch);
	memcpy(logs, pairs[1], sizeof(pairs[1]));
	memcpy(logs + 2, pairs[0], sizeof(pairs[0]));
	assert_string_equal(judge(&proofs[0], logs, 4, true), "");
	assert_string_equal(judge(&proofs[1], logs, 4, true), mismatch);
	/* It moved nothing at all. */
	memcpy(logs, pairs, sizeof(logs));
	assert_string_equal(judge(&proofs[1], logs, 3, true), mismatch);
	logs[0] = pairs[1][0];
	logs[1] = pairs[0][0];
	logs[2] = pairs[0][1];
	assert_string_equal(judge(&proofs[1], logs, 3, true), mismatch);
	assert_string_equal(judge(&proofs[0], logs, 3, true), "");
}

/* A token may write its Transfer first: then that is what belongs to it. */
static void test_receipt_of_a_token_that_transfers_first(void **state)
{
	struct payment p = good_payment();
	struct x402_settle_plan plan;
	struct x402_settle_proof proofs[2];
	struct x402_log pairs[2][2];
	struct x402_log logs[4];
	uint8_t values[2][32];

	(void)state;
	settle(&p, &plan);
	proofs[0] = proofs[1] = x402_settle_plan_proof(&plan);
	x402_settle_plan_clear(&plan);
	proofs[1].nonce32[0] ^= 1;
	for (size_t i = 0; i < 2; i++) {
		good_logs(&proofs[i], values[i], pairs[i]);
		logs[2 * i] = pairs[i][1];
		logs[2 * i + 1] = pairs[i][0];
	}
	assert_string_equal(judge(&proofs[0], logs, 2, true), "");
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(judge(&proofs[i], logs, 4, true), "");
	logs[0].topics[2][31] ^= 1;
	assert_string_equal(judge(&proofs[0], logs, 4, true),
		"invalid_exact_evm_transfer_event_mismatch");
	assert_string_equal(judge(&proofs[1], logs, 4, true), "");
}

static void test_revert_text_gives_reason(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
	} cases[] = {
		{"FiatTokenV2: authorization is expired",
			"invalid_exact_evm_payload_authorization_valid_before"},
		{"FiatTokenV2: authorization is not yet valid",
			"invalid_exact_evm_payload_authorization_valid_after"},
		{"FiatTokenV2: authorization is used or canceled",
			"invalid_exact_evm_nonce_already_used"},
		{"FiatTokenV2: invalid signature",
			"invalid_exact_evm_signature"},
		{"ERC20: transfer amount exceeds balance",
			"invalid_exact_evm_insufficient_balance"},
		{"Pausable: paused", "invalid_exact_evm_transaction_failed"},
		{"UsedOrCanceled", "invalid_exact_evm_nonce_already_used"},
		/* The first rule that matches wins, and it matches whole. */
		{"authorization expired: not valid",
			"invalid_exact_evm_payload_authorization_valid_before"},
		{"authorization not valid: used",
			"invalid_exact_evm_payload_authorization_valid_after"},
		{"not valid: authorization not",
			"invalid_exact_evm_transaction_failed"},
		{"ERC20: transfer amount exceeds allowance",
			"invalid_exact_evm_transaction_failed"},
		{"", "invalid_exact_evm_transaction_failed"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		static const uint8_t selector[4] = {0x08, 0xc3, 0x79, 0xa0};
		struct x402_buf buf = {0};

		x402_abi_add_selector(&buf, selector);
		put_string(&buf, cases[i].text);
		assert_string_equal(x402_reason_wire(x402_settle_revert_reason(
					    x402_buf_span(&buf))),
			cases[i].reason);
		x402_buf_clear(&buf);
	}
	assert_int_equal(x402_settle_revert_reason(x402_span(NULL, 0)),
		X402_REASON_EVM_TRANSACTION_FAILED);
}

/* ---- The payer's side. ---- */

/* What is signed can be hashed anew by who signs it. */
static enum x402_err sign_cb(void *user, const struct x402_signable *signable,
	struct x402_buf *ret_signature)
{
	uint8_t sig[65];
	uint8_t separator[32];
	uint8_t digest[32];

	(void)user;
	assert_int_equal(signable->kind, X402_SIGNABLE_EIP3009);
	x402_eip712_domain_separator(signable->domain, separator);
	x402_eip3009_digest(signable->eip3009, separator, digest);
	assert_memory_equal(digest, signable->digest32, 32);
	enum x402_err err = x402_sign_digest(secp, digest, &key, sig);
	if (!err)
		x402_buf_add(ret_signature, x402_span(sig, 65));
	return err;
}

static void test_created_payload_verifies(void **state)
{
	struct payment p = good_payment();
	struct chain chain = good_chain();
	struct x402_facilitator_request request;
	struct x402_create_options options = {
		.now_unix_s = NOW, .payer = payer, .sign = sign_cb};
	struct x402_json *json = NULL;
	struct x402_eip3009_payload payload;
	char *text;

	(void)state;
	build_request(&p, &request);
	memset(options.nonce32, 7, 32);
	assert_int_equal(x402_create_payload(
				 &request.requirements, &options, NULL, &json),
		X402_OK);
	assert_int_equal(
		x402_eip3009_payload_read(json, NULL, &payload), X402_OK);
	assert_int_equal(payload.authorization.valid_after.limb[0], NOW - 600);
	assert_int_equal(payload.authorization.valid_before.limb[0], NOW + 60);
	x402_eip3009_payload_clear(&payload);
	text = x402_json_dump(json);
	x402_json_unref(json);
	x402_facilitator_request_clear(&request);
	p.payload = text;
	assert_reason(&p, &chain, "", 1);
	free(text);
}

static void test_create_payload_refuses_traps(void **state)
{
	static const struct {
		int64_t timeout;
		const char *extra;
		const char *pay_to;
		enum x402_err err;
	} cases[] = {
		{60, "{\"name\":\"USDC\"}", PAYEE, X402_ERR_SCHEMA},
		{60, "null", PAYEE, X402_ERR_SCHEMA},
		{86401, "{\"name\":\"USDC\",\"version\":\"2\"}", PAYEE,
			X402_ERR_RANGE},
		{60, "{\"name\":\"USDC\",\"version\":\"2\"}",
			"0x0000000000000000000000000000000000000000",
			X402_ERR_SYNTAX},
		{60,
			"{\"name\":\"USDC\",\"version\":\"2\","
			"\"assetTransferMethod\":\"erc7710\"}",
			PAYEE, X402_ERR_UNSUPPORTED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct payment p = good_payment();
		struct x402_facilitator_request request;
		struct x402_create_options options = {
			.now_unix_s = NOW, .payer = payer, .sign = sign_cb};
		struct x402_json *json = NULL;

		p.extra = cases[i].extra;
		p.pay_to = cases[i].pay_to;
		build_request(&p, &request);
		request.requirements.max_timeout_seconds = cases[i].timeout;
		assert_int_equal(x402_create_payload(&request.requirements,
					 &options, NULL, &json),
			cases[i].err);
		assert_null(json);
		x402_facilitator_request_clear(&request);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settle_plan_needs_a_valid_verdict),
		cmocka_unit_test(
			test_settle_key_depends_on_payer_and_nonce_only),
		cmocka_unit_test(
			test_receipt_without_its_own_logs_proves_nothing),
		cmocka_unit_test(
			test_receipt_of_two_nonces_proves_what_each_moved),
		cmocka_unit_test(test_receipt_of_a_token_that_transfers_first),
		cmocka_unit_test(test_revert_text_gives_reason),
		cmocka_unit_test(test_created_payload_verifies),
		cmocka_unit_test(test_create_payload_refuses_traps),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
