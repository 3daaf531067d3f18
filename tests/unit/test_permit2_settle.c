/*
 * exact and upto through Permit2: the settlement's plan and its proof, the
 * payload's values, and what a payer signs.
 */
#include "permit2_house.h"

/* ---- Settlement. ---- */

static struct x402_settle_plan settled(const struct payment *p)
{
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct x402_settle_plan settle;
	struct chain chain = good_chain();

	build(p, &request);
	assert_int_equal(run_plan(p, &request, &chain, &plan).err, X402_OK);
	assert_int_equal(x402_settle_plan(&plan, &settle), X402_OK);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
	return settle;
}

static void test_settle_plan_is_one_call_of_the_proxy(void **state)
{
	struct payment p = good(X402_PERMIT2_EXACT);
	struct x402_settle_plan plan = settled(&p);
	struct x402_settle_proof proof = x402_settle_plan_proof(&plan);
	struct x402_address sender;
	struct x402_address at = x402_settle_proof_state_at(&proof);

	(void)state;
	assert_true(x402_address_equal(
		&plan.call_to, x402_permit2_proxy(X402_PERMIT2_EXACT)));
	assert_true(x402_address_equal(&plan.asset_address, &p.auth.token));
	assert_true(plan.may_share);
	assert_false(plan.nothing_to_send);
	assert_int_equal(plan.valid_before_unix_s, NOW + 60);
	assert_int_equal(
		x402_settle_sender(&plan.call_to, x402_buf_span(&plan.calldata),
			x402_buf_span(&plan.state_calldata), &sender),
		X402_ERR_NOT_FOUND);
	assert_true(x402_settle_proof_is_permit2(&proof));
	assert_true(x402_address_equal(&at, x402_permit2_contract()));
	x402_settle_plan_clear(&plan);
}

static void test_upto_settle_plan_has_its_sender_and_amount(void **state)
{
	struct payment p = good(X402_PERMIT2_UPTO);
	struct x402_address facilitator = p.auth.facilitator;
	struct x402_settle_plan plan;
	struct x402_address sender;
	struct x402_u256 taken = x402_u256_from_u64(7);

	(void)state;
	p.phase = X402_PHASE_SETTLE;
	p.amount = "7";
	plan = settled(&p);
	assert_false(plan.may_share);
	assert_int_equal(x402_u256_cmp(&plan.amount, &taken), 0);
	assert_int_equal(
		x402_settle_sender(&plan.call_to, x402_buf_span(&plan.calldata),
			x402_buf_span(&plan.state_calldata), &sender),
		X402_OK);
	assert_true(x402_address_equal(&sender, &facilitator));
	/* The words behind the selector must all be there. */
	assert_int_equal(x402_settle_sender(&plan.call_to,
				 x402_span(plan.calldata.ptr, 4 + 7 * 32),
				 x402_buf_span(&plan.state_calldata), &sender),
		X402_ERR_SYNTAX);
	assert_int_equal(x402_settle_sender(&plan.call_to,
				 x402_span(plan.calldata.ptr, 3),
				 x402_buf_span(&plan.state_calldata), &sender),
		X402_ERR_SYNTAX);
	x402_settle_plan_clear(&plan);
	/* With a permit in front of it the sender is found too. */
	p.extensions = INFO(FROM, TOKEN, PERMIT2, "1000", LATER, SIG65);
	plan = settled(&p);
	assert_int_equal(
		x402_settle_sender(&plan.call_to, x402_buf_span(&plan.calldata),
			x402_buf_span(&plan.state_calldata), &sender),
		X402_OK);
	assert_true(x402_address_equal(&sender, &facilitator));
	x402_settle_plan_clear(&plan);
	p.amount = "0";
	plan = settled(&p);
	assert_true(plan.nothing_to_send);
	x402_settle_plan_clear(&plan);
}

/* F2: one nonce of one owner, whatever the scheme, token and amount. */
static void test_key_is_the_owners_nonce(void **state)
{
	struct payment p = good(X402_PERMIT2_EXACT);
	struct x402_settle_plan a = settled(&p);
	struct x402_settle_plan b;
	struct x402_settle_plan c;

	(void)state;
	p = good(X402_PERMIT2_UPTO);
	b = settled(&p);
	assert_key_is(a.key.bytes,
		"0xe2544e2ade65306ba4a10a5a12bab60d69ccc654daffa09a3f8a5b06e18d"
		"b803");
	assert_memory_equal(a.key.bytes, b.key.bytes, 32);
	/* Whatever the token: the nonce is of the owner alone. */
	p = good(X402_PERMIT2_EXACT);
	p.asset = OTHER_TOKEN;
	p.auth.token = address(OTHER_TOKEN);
	c = settled(&p);
	assert_memory_equal(a.key.bytes, c.key.bytes, 32);
	x402_settle_plan_clear(&c);
	p.auth.nonce = x402_u256_from_u64(0x1235);
	c = settled(&p);
	assert_memory_not_equal(a.key.bytes, c.key.bytes, 32);
	x402_settle_plan_clear(&a);
	x402_settle_plan_clear(&b);
	x402_settle_plan_clear(&c);
}

/* ---- Proof. ---- */

static const char transfer_topic[] =
	"0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

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
	struct x402_receipt receipt, const char *reason)
{
	struct x402_verdict verdict;

	x402_settle_judge(proof, &receipt, &verdict);
	assert_string_equal(x402_reason_wire(verdict.reason), reason);
	assert_int_equal(verdict.valid, reason[0] == '\0');
}

static void test_proof_is_exactly_one_transfer(void **state)
{
	struct payment p = good(X402_PERMIT2_UPTO);
	struct x402_settle_plan plan = settled(&p);
	struct x402_settle_proof proof = x402_settle_plan_proof(&plan);
	uint8_t words[2][32];
	struct x402_log logs[2];

	(void)state;
	logs[0] = transfer(&proof, 1000, words[0]);
	logs[1] = logs[0];
	assert_proof(&proof,
		(struct x402_receipt){
			.success = true, .logs = logs, .logs_len = 1},
		"");
	assert_proof(&proof, (struct x402_receipt){.logs = logs, .logs_len = 1},
		"invalid_upto_evm_transaction_failed");
	assert_proof(&proof, (struct x402_receipt){.success = true},
		"invalid_exact_evm_transfer_event_mismatch");
	/* One Transfer may prove one payment, so two prove none. */
	assert_proof(&proof,
		(struct x402_receipt){
			.success = true, .logs = logs, .logs_len = 2},
		"invalid_exact_evm_transfer_event_mismatch");
	logs[0] = transfer(&proof, 990, words[0]);
	assert_proof(&proof,
		(struct x402_receipt){
			.success = true, .logs = logs, .logs_len = 1},
		"invalid_exact_evm_transfer_event_mismatch");
	logs[0] = transfer(&proof, 1000, words[0]);
	logs[0].address = address(STRANGER);
	assert_proof(&proof,
		(struct x402_receipt){
			.success = true, .logs = logs, .logs_len = 1},
		"invalid_exact_evm_transfer_event_mismatch");
	x402_settle_plan_clear(&plan);
}

/* A call that somebody else made: only where its success means payment. */
static void test_only_the_proxys_own_call_spends_the_nonce(void **state)
{
	enum x402_permit2_kind kinds[] = {
		X402_PERMIT2_EXACT, X402_PERMIT2_UPTO};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct payment p = good(kinds[i]);
		struct x402_settle_plan plan = settled(&p);
		struct x402_settle_proof proof = x402_settle_plan_proof(&plan);
		struct x402_span input = x402_buf_span(&plan.calldata);
		struct x402_address stranger = address(STRANGER);
		const struct x402_address *multicall = x402_multicall3();
		struct x402_multicall_call calls[2] = {
			{.target = stranger, .calldata = input},
			{.target = plan.call_to, .calldata = input}};
		struct x402_buf batch = {0};

		assert_true(x402_settle_proof_spent_by(
			&proof, &plan.call_to, input, false));
		assert_false(x402_settle_proof_spent_by(
			&proof, multicall, input, false));
		x402_multicall_aggregate3_calldata(calls, 2, &batch);
		assert_false(x402_settle_proof_spent_by(
			&proof, multicall, x402_buf_span(&batch), false));
		/* Our own batches keep such payments apart. */
		assert_true(x402_settle_proof_spent_by(
			&proof, multicall, x402_buf_span(&batch), true));
		assert_false(x402_settle_proof_spent_by(
			&proof, &stranger, x402_buf_span(&batch), true));
		assert_false(x402_settle_proof_spent_by(&proof, &plan.call_to,
			x402_span(input.ptr, 4 + 5 * 32), true));
		batch.len = 0;
		x402_multicall_aggregate3_calldata(calls, 1, &batch);
		assert_false(x402_settle_proof_spent_by(
			&proof, multicall, x402_buf_span(&batch), true));
		proof.nonce32[31] ^= 1;
		assert_false(x402_settle_proof_spent_by(
			&proof, &plan.call_to, input, true));
		proof.nonce32[31] ^= 1;
		proof.to.bytes[0] ^= 1;
		assert_false(x402_settle_proof_spent_by(
			&proof, &plan.call_to, input, true));
		x402_buf_clear(&batch);
		x402_settle_plan_clear(&plan);
		/* With a permit in front of it too. */
		p.extensions = INFO(FROM, TOKEN, PERMIT2, "1000", LATER, SIG65);
		plan = settled(&p);
		proof = x402_settle_plan_proof(&plan);
		assert_true(x402_settle_proof_spent_by(&proof, &plan.call_to,
			x402_buf_span(&plan.calldata), false));
		x402_settle_plan_clear(&plan);
	}
}

/*
 * The signature, and what is called in front of a payment to deploy its wallet,
 * are bytes of the payer's choice: the terms of another payment may stand
 * there.
 */
static void test_terms_that_the_payer_hides_spend_nothing(void **state)
{
	struct payment p = good(X402_PERMIT2_EXACT);
	struct x402_settle_plan plan = settled(&p);
	struct x402_settle_proof proof = x402_settle_plan_proof(&plan);
	struct x402_address stranger = address(STRANGER);
	struct x402_buf other = {0};
	struct x402_buf batch = {0};
	struct x402_multicall_call calls[2] = {{.target = stranger,
		.calldata = x402_buf_span(&plan.calldata)}};

	(void)state;
	/* Its own call has another nonce; these terms follow as they are. */
	x402_buf_add(&other, x402_buf_span(&plan.calldata));
	other.ptr[4 + 3 * 32 - 1] ^= 1;
	x402_buf_add(&other, x402_buf_span(&plan.calldata));
	assert_false(x402_settle_proof_spent_by(
		&proof, &plan.call_to, x402_buf_span(&other), true));
	calls[1] = (struct x402_multicall_call){
		.target = plan.call_to, .calldata = x402_buf_span(&other)};
	x402_multicall_aggregate3_calldata(calls, 2, &batch);
	assert_false(x402_settle_proof_spent_by(
		&proof, x402_multicall3(), x402_buf_span(&batch), true));
	x402_buf_clear(&batch);
	x402_buf_clear(&other);
	x402_settle_plan_clear(&plan);
}

static void test_nonce_is_a_bit_of_a_word(void **state)
{
	struct x402_buf calldata = {0};
	struct x402_u256 nonce = x402_u256_from_u64(0x1ff);
	uint8_t word[32] = {0x80};
	uint8_t expected[4 + 64] = {0x4f, 0xe0, 0x2b, 0x44};
	bool used = false;

	(void)state;
	x402_permit2_state_calldata(&payer, &nonce, &calldata);
	memcpy(expected + 4 + 12, payer.bytes, 20);
	expected[4 + 63] = 1;
	assert_int_equal(calldata.len, sizeof(expected));
	assert_memory_equal(calldata.ptr, expected, sizeof(expected));
	x402_buf_clear(&calldata);
	assert_int_equal(
		x402_permit2_state_read(x402_span(word, 32), &nonce, &used),
		X402_OK);
	assert_true(used);
	nonce = x402_u256_from_u64(0x1fe);
	assert_int_equal(
		x402_permit2_state_read(x402_span(word, 32), &nonce, &used),
		X402_OK);
	assert_false(used);
	assert_int_equal(
		x402_permit2_state_read(x402_span(word, 31), &nonce, &used),
		X402_ERR_SYNTAX);
}

/* ---- Values, and the payer's side. ---- */

/* L-013: decimal, and hex as in the example of upto. */
static void test_nonce_may_be_hex(void **state)
{
	static const struct {
		const char *text;
		enum x402_err err;
		uint64_t value;
	} cases[] = {
		{"4660", X402_OK, 4660},
		{"0x1234", X402_OK, 4660},
		{"0x123", X402_OK, 0x123},
		{"0x", X402_ERR_RANGE, 0},
		{"0xzz", X402_ERR_SYNTAX, 0},
		{"-1", X402_ERR_SYNTAX, 0},
		{"1e3", X402_ERR_SYNTAX, 0},
		{"0x" SIG32 "11", X402_ERR_RANGE, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_permit2_payload payload = {0};
		struct x402_json *json = NULL;
		struct x402_buf buf = {0};
		struct x402_errinfo info = {{0}, {0}};
		enum x402_err err;

		x402_buf_printf(&buf,
			"{\"signature\":\"0x00\",\"permit2Authorization\":{"
			"\"from\":\"" FROM
			"\",\"permitted\":{\"token\":\"" TOKEN
			"\",\"amount\":\"1\"},\"spender\":\"" PERMIT2
			"\",\"nonce\":\"%s\",\"deadline\":\"1\",\"witness\":{"
			"\"to\":\"" PAYEE "\",\"validAfter\":\"0\"}}}",
			cases[i].text);
		assert_int_equal(
			x402_json_parse(x402_buf_span(&buf), NULL, NULL, &json),
			X402_OK);
		err = x402_permit2_payload_read(
			json, X402_PERMIT2_EXACT, &info, &payload);
		assert_int_equal(err, cases[i].err);
		if (err)
			assert_string_equal(info.field,
				"payload.permit2Authorization.nonce");
		else
			assert_int_equal(payload.authorization.nonce.limb[0],
				cases[i].value);
		/* upto's witness has one member more. */
		if (!err)
			assert_int_equal(
				x402_permit2_payload_read(json,
					X402_PERMIT2_UPTO, &info, &payload),
				X402_ERR_SCHEMA);
		x402_permit2_payload_clear(&payload);
		x402_json_unref(json);
		x402_buf_clear(&buf);
	}
}

static enum x402_err sign_cb(void *user, const struct x402_signable *signable,
	struct x402_buf *ret_signature)
{
	uint8_t sig[65];
	uint8_t digest[32];

	(void)user;
	assert_int_equal(signable->kind, X402_SIGNABLE_PERMIT2);
	assert_non_null(signable->permit2);
	assert_string_equal(signable->domain->name, "Permit2");
	assert_null(signable->domain->version);
	x402_permit2_digest(
		signable->permit2, signable->domain->chain_id, digest);
	assert_memory_equal(digest, signable->digest32, 32);
	assert_int_equal(x402_sign_digest(secp, digest, &key, sig), X402_OK);
	x402_buf_add(ret_signature, x402_span(sig, 65));
	return X402_OK;
}

/* What the client signs is what verification takes. */
static void test_created_payload_is_good(void **state)
{
	enum x402_permit2_kind kinds[] = {
		X402_PERMIT2_EXACT, X402_PERMIT2_UPTO};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct payment p = good(kinds[i]);
		struct chain chain = good_chain();
		struct x402_facilitator_request request;
		struct x402_create_options options = {
			.now_unix_s = NOW, .payer = payer, .sign = sign_cb};
		struct x402_json *json = NULL;
		char *text;

		memset(options.nonce32, 0x5a, 32);
		p.extra = "{\"assetTransferMethod\":\"permit2\","
			  "\"facilitatorAddress\":\"" SIGNER "\"}";
		build(&p, &request);
		assert_int_equal(x402_create_payload(&request.requirements,
					 &options, NULL, &json),
			X402_OK);
		text = x402_json_dump(json);
		p.payload = text;
		assert_reason(&p, &chain, "", 1);
		free(text);
		x402_json_unref(json);
		x402_facilitator_request_clear(&request);
	}
}

static void test_create_refuses_traps(void **state)
{
	static const struct {
		bool upto;
		int64_t timeout;
		const char *extra;
		const char *pay_to;
		enum x402_err err;
	} cases[] = {
		{true, 60, "{}", PAYEE, X402_ERR_SYNTAX},
		{true, 60, "{\"facilitatorAddress\":\"x\"}", PAYEE,
			X402_ERR_SYNTAX},
		{true, 60, "{\"assetTransferMethod\":\"eip3009\"}", PAYEE,
			X402_ERR_UNSUPPORTED},
		{false, 60, "{\"assetTransferMethod\":7}", PAYEE,
			X402_ERR_UNSUPPORTED},
		{false, 0, "{\"assetTransferMethod\":\"permit2\"}", PAYEE,
			X402_ERR_RANGE},
		{false, 86401, "{\"assetTransferMethod\":\"permit2\"}", PAYEE,
			X402_ERR_RANGE},
		{false, 60, "{\"assetTransferMethod\":\"permit2\"}",
			"0x0000000000000000000000000000000000000000",
			X402_ERR_SYNTAX},
		{false, 60, "{\"assetTransferMethod\":\"permit2\"}", "nobody",
			X402_ERR_SYNTAX},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct payment p = good(
			cases[i].upto ? X402_PERMIT2_UPTO : X402_PERMIT2_EXACT);
		struct x402_facilitator_request request;
		struct x402_create_options options = {
			.now_unix_s = NOW, .payer = payer, .sign = sign_cb};
		struct x402_json *json = NULL;

		p.extra = cases[i].extra;
		p.pay_to = cases[i].pay_to;
		build(&p, &request);
		request.requirements.max_timeout_seconds = cases[i].timeout;
		assert_int_equal(x402_create_payload(&request.requirements,
					 &options, NULL, &json),
			cases[i].err);
		assert_null(json);
		x402_facilitator_request_clear(&request);
	}
}

static enum x402_err sign_permit(void *user,
	const struct x402_signable *signable, struct x402_buf *ret_signature)
{
	uint8_t sig[65];
	uint8_t separator[32];
	uint8_t digest[32];

	assert_int_equal(signable->kind, X402_SIGNABLE_EIP2612);
	x402_eip712_domain_separator(signable->domain, separator);
	x402_permit2612_digest(signable->eip2612, separator, digest);
	assert_memory_equal(digest, signable->digest32, 32);
	assert_int_equal(x402_sign_digest(secp, digest, &key, sig), X402_OK);
	/* user: how many bytes of it. */
	x402_buf_add(ret_signature, x402_span(sig, *(const size_t *)user));
	return X402_OK;
}

/* C-064: the very amount, for Permit2, by the payer; as F-073 reads it. */
static void test_created_permit_is_good(void **state)
{
	struct payment p = good(X402_PERMIT2_EXACT);
	struct x402_facilitator_request request;
	size_t len = 65;
	struct x402_create_options options = {.now_unix_s = NOW,
		.payer = payer,
		.sign = sign_permit,
		.user = &len};
	struct x402_u256 nonce = x402_u256_from_u64(7);
	struct x402_u256 amount = x402_u256_from_u64(1000);
	struct x402_u256 deadline = x402_u256_from_u64(NOW + 60);
	struct x402_permit2612 permit;
	struct x402_json *json = NULL;
	struct x402_errinfo info = {{0}, {0}};

	(void)state;
	p.extra = "{\"name\":\"USDC\",\"version\":\"2\"}";
	build(&p, &request);
	assert_int_equal(x402_create_permit2612(&request.requirements, &options,
				 &nonce, NULL, &json),
		X402_OK);
	assert_int_equal(x402_permit2612_read(json, &info, &permit), X402_OK);
	assert_true(x402_address_equal(&permit.owner, &payer));
	assert_true(
		x402_address_equal(&permit.spender, x402_permit2_contract()));
	assert_int_equal(x402_u256_cmp(&permit.value, &amount), 0);
	assert_int_equal(x402_u256_cmp(&permit.nonce, &nonce), 0);
	assert_int_equal(x402_u256_cmp(&permit.deadline, &deadline), 0);
	x402_json_unref(json);
	/* A contract's signature is none that a permit takes. */
	json = NULL;
	len = 64;
	assert_int_equal(x402_create_permit2612(&request.requirements, &options,
				 &nonce, NULL, &json),
		X402_ERR_UNSUPPORTED);
	assert_null(json);
	x402_facilitator_request_clear(&request);
	/* Nobody guesses the token's domain. */
	p.extra = "{\"name\":\"USDC\"}";
	build(&p, &request);
	assert_int_equal(x402_create_permit2612(&request.requirements, &options,
				 &nonce, NULL, &json),
		X402_ERR_SCHEMA);
	assert_null(json);
	x402_facilitator_request_clear(&request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settle_plan_is_one_call_of_the_proxy),
		cmocka_unit_test(
			test_upto_settle_plan_has_its_sender_and_amount),
		cmocka_unit_test(test_key_is_the_owners_nonce),
		cmocka_unit_test(test_proof_is_exactly_one_transfer),
		cmocka_unit_test(
			test_only_the_proxys_own_call_spends_the_nonce),
		cmocka_unit_test(test_terms_that_the_payer_hides_spend_nothing),
		cmocka_unit_test(test_nonce_is_a_bit_of_a_word),
		cmocka_unit_test(test_nonce_may_be_hex),
		cmocka_unit_test(test_created_payload_is_good),
		cmocka_unit_test(test_create_refuses_traps),
		cmocka_unit_test(test_created_permit_is_good),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
