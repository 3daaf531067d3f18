/*
 * A payment through Permit2 that a test changes, signs and holds against
 * recorded answers of a chain. Shared by the tests of verification and of
 * what comes after it.
 */
#ifndef PERMIT2_HOUSE_H
#define PERMIT2_HOUSE_H

#include "payer_house.h"
#include "x402/abi.h"
#include "x402/scheme.h"

#define SIGNER      "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
#define OTHER_TOKEN "0x000000000000000000000000000000000070ce20"
#define STRANGER    "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"
#define FACTORY     "0x00000000000000000000000000000000000fac70"
#define MAGIC       "1626ba7e"
#define ZEROS28     "00000000000000000000000000000000000000000000000000000000"

static struct x402_address address(const char *text)
{
	struct x402_address value;

	assert_int_equal(x402_address_parse(text, &value), X402_OK);
	return value;
}

/* ---- A payment, before it is written down and signed. ---- */

struct payment {
	const char *scheme;
	const char *accepted_scheme;
	const char *accepted_network;
	const char *amount; /* of the requirements */
	const char *asset;
	const char *pay_to;
	const char *extra;      /* JSON */
	const char *extensions; /* JSON */
	const char *payload;    /* JSON instead of a signed permit */
	struct x402_permit2_authorization auth;
	uint64_t chain_id;
	const char *signature; /* hex instead of a true one */
	bool wrap;             /* into ERC-6492, by FACTORY */
	enum x402_phase phase;
	const char *own_signer; /* of the facilitator; NULL: not known */
	bool factory_allowed;
	const char *builder_code; /* the facilitator's */
	bool approvals;           /* the facilitator sends them, ... */
	uint64_t gift_wei;        /* ... and gives so much */
};

static struct payment good(enum x402_permit2_kind kind)
{
	struct payment p = {.amount = "1000",
		.accepted_network = "eip155:84532",
		.asset = TOKEN,
		.pay_to = PAYEE,
		.extra = "{}",
		.extensions = "{}",
		.chain_id = 84532,
		.own_signer = SIGNER};

	p.scheme = kind == X402_PERMIT2_UPTO ? "upto" : "exact";
	p.accepted_scheme = p.scheme;
	p.auth.kind = kind;
	p.auth.from = payer;
	p.auth.token = address(TOKEN);
	p.auth.amount = x402_u256_from_u64(1000);
	p.auth.spender = *x402_permit2_proxy(kind);
	p.auth.nonce = x402_u256_from_u64(0x1234);
	p.auth.deadline = x402_u256_from_u64(NOW + 60);
	p.auth.to = address(PAYEE);
	p.auth.facilitator = address(SIGNER);
	p.auth.valid_after = x402_u256_from_u64(NOW - 600);
	return p;
}

/* abi.encode(FACTORY, 0xabcd, signature) and the magic. */
static void wrap(struct x402_buf *signature)
{
	static const uint8_t magic[2] = {0x64, 0x92};
	static const uint8_t call[2] = {0xab, 0xcd};
	struct x402_address factory = address(FACTORY);
	struct x402_buf out = {0};

	x402_abi_add_address(&out, &factory);
	x402_abi_add_u64(&out, 96);
	x402_abi_add_u64(&out, 160);
	x402_abi_add_bytes_tail(&out, x402_span(call, 2));
	x402_abi_add_bytes_tail(&out, x402_buf_span(signature));
	for (int i = 0; i < 16; i++)
		x402_buf_add(&out, x402_span(magic, 2));
	x402_buf_clear(signature);
	*signature = out;
}

static char *payload_text(const struct payment *p)
{
	struct x402_permit2_payload payload = {.authorization = p->auth};
	struct x402_json *json = NULL;
	uint8_t digest[32];
	uint8_t sig[65];
	char *text;

	if (p->payload)
		return strdup(p->payload);
	x402_permit2_digest(&p->auth, p->chain_id, digest);
	assert_int_equal(x402_sign_digest(secp, digest, &key, sig), X402_OK);
	if (p->signature)
		assert_int_equal(
			x402_hex_decode(p->signature, &payload.signature),
			X402_OK);
	else
		x402_buf_add(&payload.signature, x402_span(sig, 65));
	if (p->wrap)
		wrap(&payload.signature);
	assert_int_equal(
		x402_permit2_payload_to_json(&payload, &json), X402_OK);
	text = x402_json_dump(json);
	x402_json_unref(json);
	x402_permit2_payload_clear(&payload);
	return text;
}

static void build(
	const struct payment *p, struct x402_facilitator_request *ret_request)
{
	static const char terms[] =
		"\"amount\":\"%s\",\"asset\":\"%s\",\"payTo\":\"%s\","
		"\"maxTimeoutSeconds\":60,\"extra\":%s";
	struct x402_buf buf = {0};
	struct x402_json *json = NULL;
	struct x402_errinfo info = {{0}, {0}};
	char *payload = payload_text(p);

	x402_buf_printf(&buf,
		"{\"x402Version\":2,\"paymentPayload\":{\"x402Version\":2,"
		"\"payload\":%s,\"extensions\":%s,\"accepted\":{\"scheme\":"
		"\"%s\",\"network\":\"%s\",",
		payload, p->extensions, p->accepted_scheme,
		p->accepted_network);
	x402_buf_printf(&buf, terms, p->amount, p->asset, p->pay_to, p->extra);
	x402_buf_printf(&buf,
		"}},\"paymentRequirements\":{\"scheme\":\"%s\","
		"\"network\":\"eip155:84532\",",
		p->scheme);
	x402_buf_printf(&buf, terms, p->amount, p->asset, p->pay_to, p->extra);
	x402_buf_add_str(&buf, "}}");
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

/* ---- What the chain says, to whichever read asks for it. ---- */

struct chain {
	bool payer_has_code;
	bool asset_has_no_code;
	bool proxy_has_no_code;
	const char *wallet_answer; /* hex; NULL reverts */
	enum x402_answer_status simulation;
	const char *revert; /* hex of the simulation's revert data */
	const char *answer; /* hex of its result */
	bool proxy_is_other;
	uint64_t balance;
	uint64_t allowance;
	int fault_at; /* 1-based number of the read that faults */
	uint64_t payer_nonce;
	uint64_t payer_wei;
	const char *approve_answer; /* hex; NULL reverts */
	bool approval_lands;        /* before the nonce is read */
	bool cause_goes;            /* of the revert: before it is looked for */
	/* Noted: the simulation as it was asked for. */
	struct x402_chain_read simulated;
	uint8_t simulated_selector[4];
};

static struct chain good_chain(void)
{
	struct chain chain = {.balance = 1000,
		.allowance = 1000,
		.simulation = X402_ANSWER_OK};

	return chain;
}

static bool begins_with(struct x402_span data, const char *selector)
{
	uint8_t bytes[4];

	hex_fixed(selector, bytes, 4);
	return data.len >= 4 && memcmp(data.ptr, bytes, 4) == 0;
}

static void put_hex(struct x402_buf *buf, const char *text)
{
	if (text)
		assert_int_equal(x402_hex_decode(text, buf), X402_OK);
}

static bool has_code(struct chain *chain, const struct x402_address *at)
{
	struct x402_address token = address(TOKEN);
	struct x402_address other = address(OTHER_TOKEN);

	if (x402_address_equal(at, &token) || x402_address_equal(at, &other))
		return !chain->asset_has_no_code;
	if (x402_address_equal(at, x402_permit2_proxy(X402_PERMIT2_EXACT)) ||
		x402_address_equal(at, x402_permit2_proxy(X402_PERMIT2_UPTO)))
		return !chain->proxy_has_no_code;
	assert_true(x402_address_equal(at, &payer));
	return chain->payer_has_code;
}

static void note_simulation(
	struct chain *chain, const struct x402_chain_read *read)
{
	assert_true(read->needs_sender);
	chain->simulated = *read;
	memcpy(chain->simulated_selector, read->data.ptr, 4);
}

/* Fill one answer; bytes live in buf. */
static struct x402_chain_answer answer_read(struct chain *chain,
	const struct x402_chain_read *read, struct x402_buf *buf)
{
	struct x402_chain_answer answer = {.status = X402_ANSWER_OK};

	if (read->kind == X402_READ_CODE) {
		if (has_code(chain, &read->to))
			answer.data = x402_span(some_code, sizeof(some_code));
		return answer;
	}
	if (read->kind == X402_READ_NONCE || read->kind == X402_READ_BALANCE) {
		assert_true(x402_address_equal(&read->to, &payer));
		if (chain->approval_lands) {
			chain->allowance = 1000;
			chain->simulation = X402_ANSWER_OK;
		}
		x402_abi_add_u64(buf,
			read->kind == X402_READ_NONCE ? chain->payer_nonce
						      : chain->payer_wei);
	} else if (begins_with(read->data, "0x095ea7b3")) {
		/* As the payer itself, with no more gas than it signed for. */
		assert_true(read->has_sender && read->gas > 0);
		assert_true(x402_address_equal(&read->sender, &payer));
		if (chain->approve_answer)
			put_hex(buf, chain->approve_answer);
		else
			answer.status = X402_ANSWER_REVERTED;
	} else if (begins_with(read->data, "0x1626ba7e")) {
		if (chain->wallet_answer)
			put_hex(buf, chain->wallet_answer);
		else
			answer.status = X402_ANSWER_REVERTED;
	} else if (begins_with(read->data, "0x6afdd850")) {
		if (!chain->proxy_is_other)
			x402_abi_add_address(buf, x402_permit2_contract());
	} else if (begins_with(read->data, "0x70a08231")) {
		x402_abi_add_u64(buf, chain->balance);
	} else if (begins_with(read->data, "0xdd62ed3e")) {
		if (chain->cause_goes)
			chain->simulation = X402_ANSWER_OK;
		x402_abi_add_u64(buf, chain->allowance);
	} else {
		note_simulation(chain, read);
		answer.status = chain->simulation;
		put_hex(buf,
			answer.status == X402_ANSWER_OK ? chain->answer
							: chain->revert);
	}
	answer.data = x402_buf_span(buf);
	return answer;
}

struct outcome {
	enum x402_err err;
	int rounds;
};

static struct outcome run_plan(const struct payment *p,
	const struct x402_facilitator_request *request, struct chain *chain,
	struct x402_verify_plan *plan)
{
	struct x402_address factory = address(FACTORY);
	struct x402_address signer;
	struct x402_verify_options options = {
		.now_unix_s = NOW, .phase = p->phase};
	struct x402_u256 gift_wei = x402_u256_from_u64(p->gift_wei);
	struct outcome outcome = {0};
	int reads = 0;

	options.builder_code = p->builder_code;
	if (p->approvals)
		options.approval_gift_wei = &gift_wei;

	if (p->own_signer) {
		signer = address(p->own_signer);
		options.signers = &signer;
		options.signers_len = 1;
	}
	if (p->factory_allowed) {
		options.factories_6492 = &factory;
		options.factories_6492_len = 1;
	}
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
	return outcome;
}

static void assert_reason(const struct payment *p, struct chain *chain,
	const char *expected, int rounds)
{
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct outcome outcome;

	build(p, &request);
	outcome = run_plan(p, &request, chain, &plan);
	assert_int_equal(outcome.err, X402_OK);
	assert_string_equal(x402_reason_wire(plan.verdict.reason), expected);
	assert_int_equal(plan.verdict.valid, expected[0] == '\0');
	if (!plan.verdict.valid)
		assert_true(plan.verdict.message[0] != '\0');
	assert_int_equal(outcome.rounds, rounds);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

#define INFO(from, asset, spender, amount, deadline, signature)         \
	"{\"eip2612GasSponsoring\":{\"info\":{\"version\":\"1\","       \
	"\"description\":\"\",\"from\":\"" from "\",\"asset\":\"" asset \
	"\",\"spender\":\"" spender "\",\"amount\":\"" amount           \
	"\",\"nonce\":\"0\",\"deadline\":\"" deadline                   \
	"\",\"signature\":\"" signature "\"}}}"
#define FROM    "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
#define PERMIT2 "0x000000000022D473030F116dDEE9F6B43aC78BA3"
#define SIG32   "1111111111111111111111111111111111111111111111111111111111111111"
#define SIG65   "0x" SIG32 SIG32 "00"
#define LATER   "1800000060"

#endif
