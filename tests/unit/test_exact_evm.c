/*
 * exact on EVM: every check of F-020 to F-041 on recorded answers, without a
 * socket. A case takes a good signed payment, changes one thing, signs again
 * where the change is under the signature, and says what must come out.
 */
#include "payer_house.h"
#include "x402/abi.h"
#include "x402/eip712.h"
#include "x402/scheme.h"

/* What a payment says, before it is written down and signed. */
struct payment {
	int version;
	const char *scheme;
	const char *accepted_scheme;
	const char *network;
	const char *accepted_network;
	const char *amount;
	const char *asset;
	const char *pay_to;
	const char *extra; /* JSON */
	const char *domain_name;
	uint64_t chain_id;
	struct x402_eip3009_authorization auth;
	const char *payload;   /* JSON instead of a signed authorization */
	const char *signature; /* hex instead of a true one */
	int v_minus;           /* subtracted from v */
};

static struct payment good_payment(void)
{
	struct payment p = {.version = 2,
		.scheme = "exact",
		.accepted_scheme = "exact",
		.network = "eip155:84532",
		.accepted_network = "eip155:84532",
		.amount = "1000",
		.asset = TOKEN,
		.pay_to = PAYEE,
		.extra = "{\"name\":\"USDC\",\"version\":\"2\"}",
		.domain_name = "USDC",
		.chain_id = 84532};

	p.auth.from = payer;
	hex_fixed(PAYEE, p.auth.to.bytes, 20);
	p.auth.value = x402_u256_from_u64(1000);
	p.auth.valid_after = x402_u256_from_u64(NOW - 600);
	p.auth.valid_before = x402_u256_from_u64(NOW + 60);
	memset(p.auth.nonce32, 0x5a, 32);
	return p;
}

static void sign_payment(const struct payment *p, uint8_t ret_sig[65])
{
	struct x402_address token;
	struct x402_eip712_domain domain = {.name = p->domain_name,
		.version = "2",
		.chain_id = p->chain_id,
		.verifying_contract = &token};
	uint8_t separator[32];
	uint8_t digest[32];

	hex_fixed(TOKEN, token.bytes, 20);
	x402_eip712_domain_separator(&domain, separator);
	x402_eip3009_digest(&p->auth, separator, digest);
	assert_int_equal(
		x402_sign_digest(secp, digest, &key, ret_sig), X402_OK);
	ret_sig[64] = (uint8_t)(ret_sig[64] - p->v_minus);
}

static char *payload_text(const struct payment *p)
{
	struct x402_eip3009_payload payload = {.authorization = p->auth};
	struct x402_json *json = NULL;
	uint8_t sig[65];
	char *text;

	if (p->payload)
		return strdup(p->payload);
	sign_payment(p, sig);
	if (p->signature)
		assert_int_equal(
			x402_hex_decode(p->signature, &payload.signature),
			X402_OK);
	else
		x402_buf_add(&payload.signature, x402_span(sig, 65));
	assert_int_equal(
		x402_eip3009_payload_to_json(&payload, &json), X402_OK);
	text = x402_json_dump(json);
	x402_json_unref(json);
	x402_eip3009_payload_clear(&payload);
	return text;
}

static void build_request(
	const struct payment *p, struct x402_facilitator_request *ret_request)
{
	static const char v2[] =
		"{\"x402Version\":2,\"paymentPayload\":{\"x402Version\":2,"
		"\"payload\":%s,\"accepted\":{\"scheme\":\"%s\",\"network\":"
		"\"%s\",\"amount\":\"%s\",\"asset\":\"%s\",\"payTo\":\"%s\","
		"\"maxTimeoutSeconds\":60,\"extra\":%s}},"
		"\"paymentRequirements\":{\"scheme\":\"%s\",\"network\":"
		"\"%s\",\"amount\":\"%s\",\"asset\":\"%s\",\"payTo\":\"%s\","
		"\"maxTimeoutSeconds\":60,\"extra\":%s}}";
	static const char v1[] =
		"{\"x402Version\":1,\"paymentPayload\":{\"x402Version\":1,"
		"\"scheme\":\"%s\",\"network\":\"%s\",\"payload\":%s},"
		"\"paymentRequirements\":{\"scheme\":\"%s\",\"network\":"
		"\"%s\",\"maxAmountRequired\":\"%s\",\"resource\":\"r\","
		"\"description\":\"\",\"asset\":\"%s\",\"payTo\":\"%s\","
		"\"maxTimeoutSeconds\":60,\"extra\":%s}}";
	struct x402_buf buf = {0};
	struct x402_json *json = NULL;
	struct x402_errinfo info = {{0}, {0}};
	char *payload = payload_text(p);

	if (p->version == 2)
		x402_buf_printf(&buf, v2, payload, p->accepted_scheme,
			p->accepted_network, p->amount, p->asset, p->pay_to,
			p->extra, p->scheme, p->network, p->amount, p->asset,
			p->pay_to, p->extra);
	else
		x402_buf_printf(&buf, v1, p->accepted_scheme,
			p->accepted_network, payload, p->scheme, p->network,
			p->amount, p->asset, p->pay_to, p->extra);
	assert_int_equal(
		x402_json_parse(x402_buf_span(&buf), NULL, &info, &json),
		X402_OK);
	assert_int_equal(
		x402_facilitator_request_read(json, &info, ret_request),
		X402_OK);
	x402_json_unref(json);
	x402_buf_clear(&buf);
	free(payload);
}

/* What the chain says, to whichever read asks for it. */
struct chain {
	bool payer_has_code;
	bool asset_has_no_code;
	const char *wallet_answer; /* hex; NULL reverts */
	enum x402_answer_status simulation;
	bool nonce_used;
	bool no_eip3009;
	const char *name;
	const char *version;
	uint64_t balance;
	int fault_at; /* 1-based number of the read that faults */
};

static struct chain good_chain(void)
{
	struct chain chain = {.name = "USDC",
		.version = "2",
		.balance = 1000000,
		.simulation = X402_ANSWER_OK};

	return chain;
}

static bool begins_with(struct x402_span data, const char *selector)
{
	uint8_t bytes[4];

	hex_fixed(selector, bytes, 4);
	return data.len >= 4 && memcmp(data.ptr, bytes, 4) == 0;
}

static void put_string(struct x402_buf *buf, const char *text)
{
	x402_abi_add_u64(buf, 32);
	x402_abi_add_bytes_tail(buf, x402_span_str(text));
}

/* Fill one answer; bytes live in buf. */
static struct x402_chain_answer answer_read(const struct chain *chain,
	const struct x402_chain_read *read, struct x402_buf *buf)
{
	struct x402_chain_answer answer = {.status = X402_ANSWER_OK};
	struct x402_address token;

	hex_fixed(TOKEN, token.bytes, 20);
	if (read->kind == X402_READ_CODE) {
		bool is_asset = x402_address_equal(&read->to, &token);

		if (is_asset ? !chain->asset_has_no_code
			     : chain->payer_has_code)
			answer.data = x402_span(some_code, sizeof(some_code));
		return answer;
	}
	if (begins_with(read->data, "0x1626ba7e")) {
		if (chain->wallet_answer)
			assert_int_equal(
				x402_hex_decode(chain->wallet_answer, buf),
				X402_OK);
		else
			answer.status = X402_ANSWER_REVERTED;
	} else if (begins_with(read->data, "0xe3ee160e") ||
		begins_with(read->data, "0xcf092995")) {
		assert_true(read->needs_sender);
		answer.status = chain->simulation;
	} else if (begins_with(read->data, "0xe94a0102")) {
		if (chain->no_eip3009)
			answer.status = X402_ANSWER_REVERTED;
		else
			x402_abi_add_u64(buf, chain->nonce_used);
	} else if (begins_with(read->data, "0x06fdde03")) {
		put_string(buf, chain->name);
	} else if (begins_with(read->data, "0x54fd4d50")) {
		put_string(buf, chain->version);
	} else if (begins_with(read->data, "0x70a08231")) {
		x402_abi_add_u64(buf, chain->balance);
	} else {
		fail_msg("unexpected call");
	}
	answer.data = x402_buf_span(buf);
	return answer;
}

struct outcome {
	enum x402_err err;
	struct x402_verdict verdict;
	int rounds;
};

static struct outcome run_plan(const struct x402_facilitator_request *request,
	const struct chain *chain, struct x402_verify_plan *plan)
{
	struct x402_verify_options options = {.now_unix_s = NOW};
	struct outcome outcome = {0};
	int reads = 0;

	assert_int_equal(x402_verify_plan(request, &options, plan), X402_OK);
	while (!plan->decided && !outcome.err) {
		struct x402_chain_answer answers[X402_PLAN_READS_MAX];
		struct x402_buf bufs[X402_PLAN_READS_MAX] = {{0}};
		size_t n = plan->reads_len;

		assert_true(n > 0);
		for (size_t i = 0; i < n; i++) {
			answers[i] = answer_read(
				chain, &plan->reads[i], &bufs[i]);
			if (++reads == chain->fault_at)
				answers[i].status = X402_ANSWER_FAULT;
		}
		outcome.err = x402_verify_judge(plan, answers, n);
		outcome.rounds++;
		for (size_t i = 0; i < n; i++)
			x402_buf_clear(&bufs[i]);
	}
	outcome.verdict = plan->verdict;
	return outcome;
}

static struct outcome run(const struct payment *p, const struct chain *chain)
{
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct outcome outcome;

	build_request(p, &request);
	outcome = run_plan(&request, chain, &plan);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
	return outcome;
}

static void assert_reason(const struct payment *p, const struct chain *chain,
	const char *expected, int rounds)
{
	struct outcome outcome = run(p, chain);

	assert_int_equal(outcome.err, X402_OK);
	assert_string_equal(x402_reason_wire(outcome.verdict.reason), expected);
	assert_int_equal(outcome.verdict.valid, expected[0] == '\0');
	assert_int_equal(outcome.rounds, rounds);
}

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
