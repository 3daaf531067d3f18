/*
 * A payment by EIP-3009 that a test changes, signs again and holds against
 * recorded answers of a chain. Shared by the tests of verification and of what
 * comes after it.
 */
#ifndef EXACT_EVM_HOUSE_H
#define EXACT_EVM_HOUSE_H

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

static inline struct payment good_payment(void)
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

static inline void sign_payment(const struct payment *p, uint8_t ret_sig[65])
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

static inline char *payload_text(const struct payment *p)
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

static inline void build_request(
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
	/* Optional: the simulation, whose data is gone afterwards. */
	struct x402_chain_read *tried;
};

static inline struct chain good_chain(void)
{
	struct chain chain = {.name = "USDC",
		.version = "2",
		.balance = 1000000,
		.simulation = X402_ANSWER_OK};

	return chain;
}

static inline bool begins_with(struct x402_span data, const char *selector)
{
	uint8_t bytes[4];

	hex_fixed(selector, bytes, 4);
	return data.len >= 4 && memcmp(data.ptr, bytes, 4) == 0;
}

static inline void put_string(struct x402_buf *buf, const char *text)
{
	x402_abi_add_u64(buf, 32);
	x402_abi_add_bytes_tail(buf, x402_span_str(text));
}

/* Fill one answer; bytes live in buf. */
static inline struct x402_chain_answer answer_read(const struct chain *chain,
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
		if (chain->tried)
			*chain->tried = *read;
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

static inline struct outcome run_plan(
	const struct x402_facilitator_request *request,
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

static inline struct outcome run(
	const struct payment *p, const struct chain *chain)
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

static inline void assert_reason(const struct payment *p,
	const struct chain *chain, const char *expected, int rounds)
{
	struct outcome outcome = run(p, chain);

	assert_int_equal(outcome.err, X402_OK);
	assert_string_equal(x402_reason_wire(outcome.verdict.reason), expected);
	assert_int_equal(outcome.verdict.valid, expected[0] == '\0');
	assert_int_equal(outcome.rounds, rounds);
}

#endif
