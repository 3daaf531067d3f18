/*
 * An approval that comes along with a payment through Permit2 (F-071, F-074,
 * C-065): what is read, what is refused offline with which code, what the
 * chain is asked, and that nothing is settled before it is mined. The raw
 * transactions are viem 2.57.1's, by the payer of the house.
 */
#include "permit2_house.h"

#define CALL                                                                 \
	"095ea7b3000000000000000000000000000000000022d473030f116ddee9f6b43a" \
	"c78ba3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" \
	"ffff"
#define RAW_1559                                                             \
	"0x02f8b283014a34078405f5e100843b9aca008301117094036cbd53842c542663" \
	"4e7929541ec2318f3dcf7e80b844" CALL                                  \
	"c0809fa4786a19fc1ac577a764ab3c2818de998648ea26997809c60de8612fab0c" \
	"80a006310e4050a7b66dedd394559ff92bcb59a9c1a9bbedd65673e3dca322c68d" \
	"e2"
#define RAW_2930                                                             \
	"0x01f8ae83014a3407843b9aca008301117094036cbd53842c5426634e7929541e" \
	"c2318f3dcf7e80b844" CALL                                            \
	"c080a0c55a6b0ee4ce873603b02c39256e80348c9492473a99745f92d5a2a89bd3" \
	"c1f4a0337ecfb35f683528c08920a9ce7a76e76362cf4ea6fdb5addaa3b629188a" \
	"bfa5"
#define RAW_LEGACY                                                           \
	"0xf8ac07843b9aca008301117094036cbd53842c5426634e7929541ec2318f3dcf" \
	"7e80b844" CALL                                                      \
	"8302948ca0b7a29b044ce3ed554fc7b69a21f6a3ae7489d026d52c7ea40110f1da" \
	"1ae41bc0a03470b3b5f73804f9ff71264761afd1a7f9da718ad8cdc392a777fb0d" \
	"959386f6"
/* Without EIP-155: good on every chain. */
#define RAW_ANY_CHAIN                                                        \
	"0xf8a907843b9aca008301117094036cbd53842c5426634e7929541ec2318f3dcf" \
	"7e80b844" CALL                                                      \
	"1ca0cbad584a0bec539cf6c9cf0657bfa9392c3f820b33e25d5e8e26d67431040d" \
	"29a03bd2151fa740255c355b36de62f1232f173b1ec920065eed7b39a1a691a7d5" \
	"43"
#define RAW_ACCESS_LIST                                                      \
	"0x01f8c583014a3407843b9aca008301117094036cbd53842c5426634e7929541e" \
	"c2318f3dcf7e80b844" CALL                                            \
	"d7d694036cbd53842c5426634e7929541ec2318f3dcf7ec001a02d07a4b7a07819" \
	"2f5cd94055a51942cb944b22f2cc6bd69e2dc78cf12a8f0e3aa059ca793351ea47" \
	"b9c84361f0ff90bc0dacd678ceb3f6af7c741af8192b5559c2"

/* 70,000 gas at 1 gwei. */
#define COST UINT64_C(70000000000000)

#define ALL                                                                   \
	"1157920892373161954235709850086879078532699846656405640394575840079" \
	"13129639935"
#define MEMBERS(from, asset, spender, amount, raw, version)                    \
	"{\"erc20ApprovalGasSponsoring\":{\"info\":{\"description\":\"\","     \
	"\"from\":\"" from "\",\"asset\":\"" asset "\",\"spender\":\"" spender \
	"\",\"amount\":\"" amount "\",\"signedTransaction\":\"" raw            \
	"\"" version "}}}"
#define WITH(raw) MEMBERS(FROM, TOKEN, PERMIT2, ALL, raw, ",\"version\":\"1\"")

static struct payment sponsored(enum x402_permit2_kind kind)
{
	struct payment p = good(kind);

	p.extensions = WITH(RAW_1559);
	p.approvals = true;
	p.gift_wei = COST;
	return p;
}

/* No allowance, so that the settlement would revert in the token. */
static struct chain poor_chain(void)
{
	struct chain chain = good_chain();

	chain.allowance = 0;
	chain.simulation = X402_ANSWER_REVERTED;
	chain.payer_nonce = 7;
	chain.approve_answer = "0x" ZEROS28 "00000001";
	return chain;
}

/* ---- The transaction. ---- */

static void test_every_form_says_the_same(void **state)
{
	static const struct {
		const char *raw;
		const char *hash;
		uint64_t priority;
	} cases[] = {
		{RAW_1559,
			"0x5845d7aa34a1a94d0f57fbbc210256b02957a1734833652bef8"
			"5134279ddc935",
			100000000},
		{RAW_2930,
			"0x8a0341cdea37bfcb03b7e566d09fb0e9aac056444fa91c9cc81"
			"1aa4dd3acdd9e",
			1000000000},
		{RAW_LEGACY,
			"0x3718974b72aa7ada3a2d68fe7b5dd8494477b67d8fd48c9ba81"
			"c2b668cbbf362",
			1000000000},
	};
	struct x402_address token = address(TOKEN);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_u256 max = x402_u256_from_u64(1000000000);
		struct x402_u256 priority = x402_u256_from_u64(
			cases[i].priority);
		struct x402_approval approval = {.from = payer};
		const struct x402_transaction *tx = &approval.transaction.plain;
		struct x402_address signer;
		struct x402_u256 cost;
		struct x402_u256 expected = x402_u256_from_u64(COST);

		put_hex(&approval.raw, cases[i].raw);
		assert_int_equal(x402_approval_decode(&approval), X402_OK);
		assert_hex(approval.transaction.hash32, 32, cases[i].hash);
		assert_int_equal(x402_recover_address(
					 approval.transaction.signing_hash32,
					 approval.transaction.sig65, &signer),
			X402_OK);
		assert_true(x402_address_equal(&signer, &payer));
		assert_int_equal(tx->chain_id, 84532);
		assert_int_equal(tx->nonce, 7);
		assert_int_equal(tx->gas_limit, 70000);
		assert_true(x402_address_equal(&tx->to, &token));
		assert_int_equal(x402_u256_cmp(&tx->max_fee_per_gas, &max), 0);
		assert_int_equal(
			x402_u256_cmp(&tx->max_priority_fee_per_gas, &priority),
			0);
		assert_int_equal(x402_approval_cost(&approval, &cost), X402_OK);
		assert_int_equal(x402_u256_cmp(&cost, &expected), 0);
		x402_approval_clear(&approval);
	}
}

static void test_other_forms_are_none(void **state)
{
	static const struct {
		const char *raw;
		enum x402_err err;
	} cases[] = {
		{RAW_ANY_CHAIN, X402_ERR_UNSUPPORTED},
		{RAW_ACCESS_LIST, X402_ERR_UNSUPPORTED},
		{"0x03c0", X402_ERR_UNSUPPORTED},
		{"0x04c0", X402_ERR_UNSUPPORTED},
		{"0x00c0", X402_ERR_UNSUPPORTED},
		{"0x02", X402_ERR_SYNTAX},
		{"0x02c0", X402_ERR_SYNTAX},
		{"0x0280", X402_ERR_SYNTAX},
		{"0xc0", X402_ERR_SYNTAX},
		{"0xff", X402_ERR_SYNTAX},
		{RAW_1559 "00", X402_ERR_SYNTAX},
		{RAW_LEGACY "00", X402_ERR_SYNTAX},
		{"0x" CALL, X402_ERR_UNSUPPORTED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_approval approval = {.from = payer};

		put_hex(&approval.raw, cases[i].raw);
		assert_int_equal(x402_approval_decode(&approval), cases[i].err);
		x402_approval_clear(&approval);
	}
}

/* Cut anywhere, it is no transaction. */
static void test_cut_transactions_are_none(void **state)
{
	static const char *const raws[] = {RAW_1559, RAW_2930, RAW_LEGACY};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		struct x402_foreign_transaction foreign;
		struct x402_buf raw = {0};

		put_hex(&raw, raws[i]);
		for (size_t len = 0; len < raw.len; len++)
			assert_int_not_equal(
				x402_transaction_decode_foreign(
					x402_span(raw.ptr, len), &foreign),
				X402_OK);
		x402_buf_clear(&raw);
	}
}

/* ---- Verification. ---- */

static void test_missing_allowance_waits_for_the_approval(void **state)
{
	enum x402_permit2_kind kinds[] = {
		X402_PERMIT2_EXACT, X402_PERMIT2_UPTO};
	static const char *const raws[] = {
		WITH(RAW_1559), WITH(RAW_2930), WITH(RAW_LEGACY)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds) * ARRAY_LEN(raws); i++) {
		struct payment p = sponsored(kinds[i % 2]);
		struct chain chain = poor_chain();
		struct x402_facilitator_request request;
		struct x402_verify_plan plan;
		struct x402_settle_plan settle;
		struct outcome outcome;

		p.extensions = raws[i / 2];
		build(&p, &request);
		outcome = run_plan(&p, &request, &chain, &plan);
		assert_int_equal(outcome.err, X402_OK);
		assert_int_equal(outcome.rounds, 3);
		assert_true(plan.verdict.valid);
		assert_non_null(plan.approval);
		/* There is nothing to settle yet. */
		assert_int_equal(x402_settle_plan(&plan, &settle),
			X402_ERR_INVALID_ARGUMENT);
		x402_verify_plan_clear(&plan);
		x402_facilitator_request_clear(&request);
	}
}

static void test_approval_is_no_matter_where_the_allowance_stands(void **state)
{
	struct payment p = sponsored(X402_PERMIT2_EXACT);
	struct chain chain = good_chain();
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct x402_settle_plan settle;

	(void)state;
	build(&p, &request);
	assert_int_equal(run_plan(&p, &request, &chain, &plan).rounds, 1);
	assert_true(plan.verdict.valid);
	assert_null(plan.approval);
	assert_int_equal(x402_settle_plan(&plan, &settle), X402_OK);
	x402_settle_plan_clear(&settle);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

static void test_nobody_sends_it_where_it_is_not_served(void **state)
{
	struct payment p = sponsored(X402_PERMIT2_EXACT);
	struct chain chain = poor_chain();

	(void)state;
	p.approvals = false;
	assert_reason(&p, &chain, "permit2_allowance_required", 2);
	/* Nor is it looked at. */
	p.extensions = WITH("0x12");
	assert_reason(&p, &chain, "permit2_allowance_required", 2);
}

static void test_members_are_refused_offline(void **state)
{
	static const struct {
		const char *extensions;
		const char *reason;
	} cases[] = {
		{MEMBERS(STRANGER, TOKEN, PERMIT2, ALL, RAW_1559,
			 ",\"version\":\"1\""),
			"erc20_approval_from_mismatch"},
		{MEMBERS(FROM, STRANGER, PERMIT2, ALL, RAW_1559,
			 ",\"version\":\"1\""),
			"erc20_approval_asset_mismatch"},
		{MEMBERS(FROM, TOKEN, STRANGER, ALL, RAW_1559,
			 ",\"version\":\"1\""),
			"erc20_approval_spender_not_permit2"},
		{MEMBERS(FROM, TOKEN, PERMIT2, ALL, RAW_1559, ""),
			"invalid_erc20_approval_extension_format"},
		{MEMBERS(FROM, TOKEN, PERMIT2, ALL, RAW_1559, ",\"version\":1"),
			"invalid_erc20_approval_extension_format"},
		{MEMBERS(FROM, TOKEN, PERMIT2, "-1", RAW_1559,
			 ",\"version\":\"1\""),
			"invalid_erc20_approval_extension_format"},
		{MEMBERS("0x12", TOKEN, PERMIT2, ALL, RAW_1559,
			 ",\"version\":\"1\""),
			"invalid_erc20_approval_extension_format"},
		{WITH(""), "invalid_erc20_approval_extension_format"},
		{WITH("0x"), "invalid_erc20_approval_extension_format"},
		{WITH("0x123"), "invalid_erc20_approval_extension_format"},
		{WITH("02f8"), "invalid_erc20_approval_extension_format"},
		{"{\"erc20ApprovalGasSponsoring\":{\"info\":{\"from\":\"" FROM
		 "\"}}}",
			"invalid_erc20_approval_extension_format"},
		{WITH(RAW_ANY_CHAIN), "erc20_approval_tx_parse_failed"},
		{WITH(RAW_ACCESS_LIST), "erc20_approval_tx_parse_failed"},
		{WITH("0x1234"), "erc20_approval_tx_parse_failed"},
		{WITH(RAW_1559 "00"), "erc20_approval_tx_parse_failed"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct payment p = sponsored(X402_PERMIT2_EXACT);
		struct chain chain = poor_chain();

		p.extensions = cases[i].extensions;
		assert_reason(&p, &chain, cases[i].reason, 0);
	}
}

/* A transaction that a case changes before it is signed. */
struct change {
	uint64_t chain_id;
	const char *to;
	const char *calldata;
	uint64_t value;
	uint64_t gas;
	bool greedy; /* a priority fee above the fee */
	bool other_key;
	bool no_signature;
	const char *reason;
};

static char *approval_text(const struct change *change)
{
	struct x402_transaction tx = {.chain_id = change->chain_id,
		.nonce = 7,
		.gas_limit = change->gas,
		.to = address(change->to),
		.value = x402_u256_from_u64(change->value),
		.max_fee_per_gas = x402_u256_from_u64(1000000000),
		.max_priority_fee_per_gas = x402_u256_from_u64(
			change->greedy ? 1000000001 : 1)};
	struct x402_secret signer = key;
	struct x402_buf calldata = {0};
	struct x402_buf raw = {0};
	struct x402_buf text = {0};
	uint8_t hash[32];

	if (change->other_key)
		signer.bytes[31] ^= 1;
	put_hex(&calldata, change->calldata);
	tx.data = x402_buf_span(&calldata);
	assert_int_equal(
		x402_transaction_sign(secp, &tx, &signer, &raw, hash), X402_OK);
	/* s of zeros: nobody's. */
	if (change->no_signature)
		memset(raw.ptr + raw.len - 31, 0, 31);
	x402_buf_add_str(&text,
		"{\"erc20ApprovalGasSponsoring\":{\"info\":{\"from\":\"" FROM
		"\",\"asset\":\"" TOKEN "\",\"spender\":\"" PERMIT2
		"\",\"amount\":\"" ALL
		"\",\"version\":\"1\",\"signedTransaction\":\"");
	x402_hex_encode_0x(x402_buf_span(&raw), &text);
	x402_buf_add_str(&text, "\"}}}");
	x402_buf_clear(&raw);
	x402_buf_clear(&calldata);
	return x402_buf_take_str(&text);
}

#define APPROVE_FOR(spender20, amount64) \
	"0x095ea7b3000000000000000000000000" spender20 amount64
#define PERMIT2_20 "000000000022d473030f116ddee9f6b43ac78ba3"
#define AMOUNT_999 \
	"00000000000000000000000000000000000000000000000000000000000003e7"
#define AMOUNT_1000 \
	"00000000000000000000000000000000000000000000000000000000000003e8"

static void test_transactions_are_refused_offline(void **state)
{
	static const struct change cases[] = {
		{84532, STRANGER, "0x" CALL, 0, 70000,
			.reason = "erc20_approval_tx_wrong_target"},
		{84532, TOKEN, "0x", 0, 70000,
			.reason = "erc20_approval_tx_wrong_selector"},
		{84532, TOKEN, "0xa9059cbb", 0, 70000,
			.reason = "erc20_approval_tx_wrong_selector"},
		/* increaseAllowance, transfer: not what was asked for. */
		{84532, TOKEN,
			"0x39509351000000000000000000000000" PERMIT2_20
				AMOUNT_1000,
			0, 70000, .reason = "erc20_approval_tx_wrong_selector"},
		{84532, TOKEN, "0x095ea7b3", 0, 70000,
			.reason = "erc20_approval_tx_invalid_calldata"},
		{84532, TOKEN, "0x" CALL "00", 0, 70000,
			.reason = "erc20_approval_tx_invalid_calldata"},
		{84532, TOKEN,
			"0x095ea7b3010000000000000000000000" PERMIT2_20
				AMOUNT_1000,
			0, 70000,
			.reason = "erc20_approval_tx_invalid_calldata"},
		{84532, TOKEN, APPROVE_FOR(PERMIT2_20, AMOUNT_999), 0, 70000,
			.reason = "erc20_approval_tx_invalid_calldata"},
		{84532, TOKEN,
			APPROVE_FOR("15d34aaf54267db7d7c367839aaf71a00a2c6a65",
				AMOUNT_1000),
			0, 70000, .reason = "erc20_approval_tx_wrong_spender"},
		{84532, TOKEN, "0x" CALL, 0, 70000, .other_key = true,
			.reason = "erc20_approval_tx_signer_mismatch"},
		{84532, TOKEN, "0x" CALL, 0, 70000, .no_signature = true,
			.reason = "erc20_approval_tx_signer_mismatch"},
		/* What the reference does not look at. */
		{8453, TOKEN, "0x" CALL, 0, 70000,
			.reason = "erc20_approval_tx_failed"},
		{84532, TOKEN, "0x" CALL, 1, 70000,
			.reason = "erc20_approval_tx_failed"},
		{84532, TOKEN, "0x" CALL, 0, 24999,
			.reason = "erc20_approval_tx_failed"},
		{84532, TOKEN, "0x" CALL, 0, 150001,
			.reason = "erc20_approval_tx_failed"},
		{84532, TOKEN, "0x" CALL, 0, 70000, .greedy = true,
			.reason = "erc20_approval_tx_failed"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct payment p = sponsored(X402_PERMIT2_EXACT);
		struct chain chain = poor_chain();
		char *text = approval_text(&cases[i]);

		p.extensions = text;
		assert_reason(&p, &chain, cases[i].reason, 0);
		free(text);
	}
}

/* The smallest approval that covers it is one. */
static void test_approval_of_the_amount_is_enough(void **state)
{
	struct change change = {.chain_id = 84532,
		.to = TOKEN,
		.calldata = APPROVE_FOR(PERMIT2_20, AMOUNT_1000),
		.gas = 150000};
	struct payment p = sponsored(X402_PERMIT2_EXACT);
	struct chain chain = poor_chain();
	char *text = approval_text(&change);

	(void)state;
	p.extensions = text;
	p.gift_wei = COST * 3;
	assert_reason(&p, &chain, "", 3);
	free(text);
}

static void test_chain_says_whether_it_would_help(void **state)
{
	static const struct {
		uint64_t nonce;
		uint64_t wei;
		uint64_t gift;
		const char *answer;
		const char *reason;
		int rounds;
	} cases[] = {
		{7, COST, 0, "0x", "", 3},
		{7, COST - 1, 1, "0x", "", 3},
		{7, COST - 1, 0, "0x",
			"erc20_approval_insufficient_eth_for_gas", 3},
		{7, 0, COST - 1, "0x",
			"erc20_approval_insufficient_eth_for_gas", 3},
		/* Mined meanwhile? The allowance is looked at again. */
		{8, 0, COST, "0x", "erc20_approval_tx_failed", 6},
		{6, 0, COST, "0x", "erc20_approval_tx_failed", 3},
		{7, 0, COST, NULL, "erc20_approval_tx_failed", 3},
		{7, 0, COST, "0x" ZEROS28 "00000000",
			"erc20_approval_tx_failed", 3},
		{7, 0, COST, "0x" ZEROS28 "00000002",
			"erc20_approval_tx_failed", 3},
		{7, 0, COST, "0x01", "erc20_approval_tx_failed", 3},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct payment p = sponsored(X402_PERMIT2_EXACT);
		struct chain chain = poor_chain();

		p.gift_wei = cases[i].gift;
		chain.payer_nonce = cases[i].nonce;
		chain.payer_wei = cases[i].wei;
		chain.approve_answer = cases[i].answer;
		assert_reason(&p, &chain, cases[i].reason, cases[i].rounds);
	}
}

/* Another caller had it sent: there is no approval to wait for any more. */
static void test_approval_mined_between_two_rounds_is_seen(void **state)
{
	struct payment p = sponsored(X402_PERMIT2_EXACT);
	struct chain chain = poor_chain();
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct x402_settle_plan settle;

	(void)state;
	chain.payer_nonce = 8;
	chain.approval_lands = true;
	build(&p, &request);
	assert_int_equal(run_plan(&p, &request, &chain, &plan).rounds, 4);
	assert_true(plan.verdict.valid);
	assert_null(plan.approval);
	assert_int_equal(x402_settle_plan(&plan, &settle), X402_OK);
	x402_settle_plan_clear(&settle);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

/* Permit2 says it before it asks the token: an approval would not help. */
static void test_other_faults_are_not_mended_by_it(void **state)
{
	static const struct {
		const char *revert;
		const char *reason;
	} cases[] = {
		{"0x756688fe", "permit2_allowance_required"},
		{"0x8baa579f", "permit2_allowance_required"},
		{"0xcd21db4f", "permit2_allowance_required"},
	};
	struct payment p = sponsored(X402_PERMIT2_EXACT);
	struct chain chain;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		chain = poor_chain();
		chain.revert = cases[i].revert;
		assert_reason(&p, &chain, cases[i].reason, 2);
	}
	chain = poor_chain();
	chain.balance = 999;
	assert_reason(&p, &chain, "permit2_insufficient_balance", 2);
	chain = poor_chain();
	chain.proxy_is_other = true;
	assert_reason(&p, &chain, "permit2_proxy_not_deployed", 2);
}

/* Who has code sends no transaction of its own. */
static void test_contract_cannot_approve(void **state)
{
	struct payment p = sponsored(X402_PERMIT2_EXACT);
	struct chain chain = poor_chain();

	(void)state;
	chain.payer_has_code = true;
	chain.wallet_answer = "0x" MAGIC ZEROS28;
	assert_reason(&p, &chain, "permit2_allowance_required", 3);
}

static void test_faults_are_no_verdict(void **state)
{
	(void)state;
	/* 4 reads, 3 of the diagnosis, 3 of the approval. */
	for (int at = 8; at <= 10; at++) {
		struct payment p = sponsored(X402_PERMIT2_EXACT);
		struct chain chain = poor_chain();
		struct x402_facilitator_request request;
		struct x402_verify_plan plan;

		chain.fault_at = at;
		build(&p, &request);
		assert_int_equal(run_plan(&p, &request, &chain, &plan).err,
			X402_ERR_CHAIN);
		assert_false(plan.decided);
		assert_null(plan.approval);
		x402_verify_plan_clear(&plan);
		x402_facilitator_request_clear(&request);
	}
}

/* ---- The gift. ---- */

static void test_gift_is_one_for_each_payer_and_chain(void **state)
{
	struct x402_network networks[2];
	struct x402_address payers[2] = {payer, address(STRANGER)};
	struct x402_u256 wei = x402_u256_from_u64(5);
	struct x402_settle_plan plans[4];

	(void)state;
	assert_int_equal(
		x402_network_parse("eip155:8453", &networks[0]), X402_OK);
	assert_int_equal(
		x402_network_parse("eip155:84532", &networks[1]), X402_OK);
	for (size_t i = 0; i < 4; i++) {
		struct x402_settle_proof proof;
		struct x402_receipt receipt = {.success = true};
		struct x402_verdict verdict;
		struct x402_u256 value;

		assert_int_equal(
			x402_settle_plan_gift(&networks[i % 2], &payers[i / 2],
				&wei, NOW + 60, &plans[i]),
			X402_OK);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(
				plans[i].key.bytes, plans[j].key.bytes, 32);
		if (i == 1)
			assert_key_is(plans[i].key.bytes,
				"0xd750711edf233913c49ae2671a26af5f1f36a842ace5"
				"dcd4607dc7d83d459c38");
		assert_int_equal(plans[i].calldata.len, 0);
		assert_false(plans[i].may_share);
		assert_true(
			x402_address_equal(&plans[i].call_to, &payers[i / 2]));
		proof = x402_settle_plan_proof(&plans[i]);
		value = x402_settle_proof_value(&proof);
		assert_int_equal(x402_u256_cmp(&value, &wei), 0);
		x402_settle_judge(&proof, &receipt, &verdict);
		assert_true(verdict.valid);
		receipt.success = false;
		x402_settle_judge(&proof, &receipt, &verdict);
		assert_false(verdict.valid);
	}
}

/* No payment moves the chain's own coin. */
static void test_payments_carry_no_value(void **state)
{
	struct payment p = good(X402_PERMIT2_EXACT);
	struct chain chain = good_chain();
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct x402_settle_plan settle;
	struct x402_settle_proof proof;
	struct x402_u256 value;

	(void)state;
	build(&p, &request);
	(void)run_plan(&p, &request, &chain, &plan);
	assert_int_equal(x402_settle_plan(&plan, &settle), X402_OK);
	proof = x402_settle_plan_proof(&settle);
	value = x402_settle_proof_value(&proof);
	assert_true(x402_u256_is_zero(&value));
	x402_settle_plan_clear(&settle);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

/* ---- The payer's side. ---- */

struct signing {
	size_t len;
	bool old_v;
};

static enum x402_err sign_cb(void *user, const struct x402_signable *signable,
	struct x402_buf *ret_signature)
{
	const struct signing *signing = user;
	uint8_t digest[32];
	uint8_t sig[65];

	assert_int_equal(signable->kind, X402_SIGNABLE_APPROVAL);
	assert_int_equal(
		x402_transaction_signing_hash(signable->approval, digest),
		X402_OK);
	assert_memory_equal(digest, signable->digest32, 32);
	assert_int_equal(x402_sign_digest(secp, digest, &key, sig), X402_OK);
	if (signing->old_v)
		sig[64] -= 27;
	x402_buf_add(ret_signature, x402_span(sig, signing->len));
	return X402_OK;
}

/* What the client signs is what verification takes, to the byte of viem's. */
static void test_created_approval_is_good(void **state)
{
	struct payment p = sponsored(X402_PERMIT2_EXACT);
	struct chain chain = poor_chain();
	struct x402_facilitator_request request;
	struct signing signing = {.len = 65};
	struct x402_create_options options = {.now_unix_s = NOW,
		.payer = payer,
		.sign = sign_cb,
		.user = &signing};
	struct x402_approval_facts facts = {.nonce = 7};
	struct x402_json *json = NULL;
	char *text;

	(void)state;
	build(&p, &request);
	for (int i = 0; i < 2; i++) {
		signing.old_v = i == 1;
		assert_int_equal(x402_create_approval(&request.requirements,
					 &options, &facts, NULL, &json),
			X402_OK);
		text = x402_json_dump(json);
		/* The fallback fees are those of RAW_1559. */
		assert_non_null(strstr(text, RAW_1559));
		p.extensions = text;
		assert_reason(&p, &chain, "", 3);
		free(text);
		x402_json_unref(json);
	}
	x402_facilitator_request_clear(&request);
}

static void test_create_refuses_what_cannot_be_sent(void **state)
{
	struct payment p = sponsored(X402_PERMIT2_EXACT);
	struct x402_facilitator_request request;
	struct signing signing = {.len = 64};
	struct x402_create_options options = {.now_unix_s = NOW,
		.payer = payer,
		.sign = sign_cb,
		.user = &signing};
	struct x402_approval_facts facts = {.nonce = 7};
	struct x402_json *json = NULL;

	(void)state;
	build(&p, &request);
	/* A contract's signature sends nothing. */
	assert_int_equal(x402_create_approval(&request.requirements, &options,
				 &facts, NULL, &json),
		X402_ERR_UNSUPPORTED);
	assert_null(json);
	x402_facilitator_request_clear(&request);
	signing.len = 65;
	p.asset = "0x0000000000000000000000000000000000000000";
	build(&p, &request);
	assert_int_equal(x402_create_approval(&request.requirements, &options,
				 &facts, NULL, &json),
		X402_ERR_SYNTAX);
	assert_null(json);
	x402_facilitator_request_clear(&request);
}

static void test_fees_keep_their_order(void **state)
{
	struct payment p = sponsored(X402_PERMIT2_EXACT);
	struct chain chain = poor_chain();
	struct x402_facilitator_request request;
	struct signing signing = {.len = 65};
	struct x402_create_options options = {.now_unix_s = NOW,
		.payer = payer,
		.sign = sign_cb,
		.user = &signing};
	/* A node that suggests a tip above the price. */
	struct x402_approval_facts facts = {.nonce = 7,
		.max_fee_per_gas = x402_u256_from_u64(10),
		.max_priority_fee_per_gas = x402_u256_from_u64(11)};
	struct x402_json *json = NULL;
	char *text;

	(void)state;
	build(&p, &request);
	assert_int_equal(x402_create_approval(&request.requirements, &options,
				 &facts, NULL, &json),
		X402_OK);
	text = x402_json_dump(json);
	p.extensions = text;
	p.gift_wei = 700000;
	assert_reason(&p, &chain, "", 3);
	p.gift_wei = 699999;
	assert_reason(&p, &chain, "erc20_approval_insufficient_eth_for_gas", 3);
	free(text);
	x402_json_unref(json);
	x402_facilitator_request_clear(&request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form_says_the_same),
		cmocka_unit_test(test_other_forms_are_none),
		cmocka_unit_test(test_cut_transactions_are_none),
		cmocka_unit_test(test_missing_allowance_waits_for_the_approval),
		cmocka_unit_test(
			test_approval_is_no_matter_where_the_allowance_stands),
		cmocka_unit_test(test_nobody_sends_it_where_it_is_not_served),
		cmocka_unit_test(test_members_are_refused_offline),
		cmocka_unit_test(test_transactions_are_refused_offline),
		cmocka_unit_test(test_approval_of_the_amount_is_enough),
		cmocka_unit_test(test_chain_says_whether_it_would_help),
		cmocka_unit_test(
			test_approval_mined_between_two_rounds_is_seen),
		cmocka_unit_test(test_other_faults_are_not_mended_by_it),
		cmocka_unit_test(test_contract_cannot_approve),
		cmocka_unit_test(test_faults_are_no_verdict),
		cmocka_unit_test(test_gift_is_one_for_each_payer_and_chain),
		cmocka_unit_test(test_payments_carry_no_value),
		cmocka_unit_test(test_created_approval_is_good),
		cmocka_unit_test(test_create_refuses_what_cannot_be_sent),
		cmocka_unit_test(test_fees_keep_their_order),
	};

	return cmocka_run_group_tests_name("approval", tests, setup, teardown);
}
