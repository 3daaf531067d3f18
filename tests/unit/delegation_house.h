/*
 * A payment by delegation (ERC-7710) that a test changes, and the answers of a
 * chain to whichever read asks for them. Shared by the tests of verification
 * and of what comes after it.
 */
#ifndef DELEGATION_HOUSE_H
#define DELEGATION_HOUSE_H

#include "cmocka_house.h"
#include "x402/abi.h"
#include "x402/scheme.h"

#define NOW       1800000000
#define TOKEN     "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define PAYEE     "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define MANAGER   "0xdb9B1e94B5b69Df7e401DDbedE43491141047dB3"
#define DELEGATOR "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
#define STRANGER  "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"
#define CONTEXT   "0x00112233"
#define SIGNERS   12

static const uint8_t some_code[] = {0x60, 0x80};

static inline struct x402_address address(const char *text)
{
	struct x402_address value;

	assert_int_equal(x402_address_parse(text, &value), X402_OK);
	return value;
}

static inline struct x402_address signer(unsigned index)
{
	struct x402_address value;

	memset(value.bytes, 0xa0 + (int)index, sizeof(value.bytes));
	return value;
}

/* ---- A payment. ---- */

struct payment {
	const char *accepted_scheme;
	const char *accepted_network;
	const char *amount;
	const char *asset;
	const char *pay_to;
	const char *extra;      /* JSON */
	const char *extensions; /* JSON */
	const char *payload;    /* JSON instead of the members below */
	const char *manager;
	const char *delegator;
	const char *context;
	long long timeout_s;
	/* Of the facilitator. */
	const char *allowed; /* NULL: none */
	bool any_manager;
	unsigned signers;
	uint64_t gas;
	const char *builder_code;
};

static inline struct payment good(void)
{
	return (struct payment){.accepted_scheme = "exact",
		.accepted_network = "eip155:84532",
		.amount = "1000",
		.asset = TOKEN,
		.pay_to = PAYEE,
		.extra = "{\"assetTransferMethod\":\"erc7710\"}",
		.extensions = "{}",
		.manager = MANAGER,
		.delegator = DELEGATOR,
		.context = CONTEXT,
		.timeout_s = 60,
		.allowed = MANAGER,
		.signers = 1};
}

static inline void add_terms(struct x402_buf *buf, const struct payment *p)
{
	x402_buf_printf(buf,
		"\"amount\":\"%s\",\"asset\":\"%s\",\"payTo\":\"%s\","
		"\"maxTimeoutSeconds\":%lld,\"extra\":%s",
		p->amount, p->asset, p->pay_to, p->timeout_s, p->extra);
}

static inline void build(
	const struct payment *p, struct x402_facilitator_request *ret_request)
{
	struct x402_buf buf = {0};
	struct x402_json *json = NULL;
	struct x402_errinfo info = {{0}, {0}};

	x402_buf_add_str(&buf,
		"{\"x402Version\":2,\"paymentPayload\":{\"x402Version\":2,"
		"\"payload\":");
	if (p->payload)
		x402_buf_add_str(&buf, p->payload);
	else
		x402_buf_printf(&buf,
			"{\"delegationManager\":\"%s\",\"delegator\":\"%s\","
			"\"permissionContext\":\"%s\"}",
			p->manager, p->delegator, p->context);
	x402_buf_printf(&buf,
		",\"extensions\":%s,\"accepted\":{\"scheme\":\"%s\","
		"\"network\":\"%s\",",
		p->extensions, p->accepted_scheme, p->accepted_network);
	add_terms(&buf, p);
	x402_buf_add_str(&buf,
		"}},\"paymentRequirements\":{\"scheme\":\"exact\","
		"\"network\":\"eip155:84532\",");
	add_terms(&buf, p);
	x402_buf_add_str(&buf, "}}");
	assert_int_equal(
		x402_json_parse(x402_buf_span(&buf), NULL, &info, &json),
		X402_OK);
	assert_int_equal(
		x402_facilitator_request_read(json, &info, ret_request),
		X402_OK);
	x402_json_unref(json);
	x402_buf_clear(&buf);
}

/* ---- What the chain says, to whichever read asks for it. ---- */

struct chain {
	bool asset_has_no_code;
	bool manager_has_no_code;
	uint64_t balance;
	bool balance_reverts;
	bool balance_is_short; /* three bytes of it */
	int delegate;          /* the signer whose simulation passes; -1 */
	unsigned with_code;    /* so many signers are accounts with code */
	const char *revert;    /* hex of the others' revert data */
	int fault_at;          /* 1-based number of the read that faults */
	/* Noted. */
	unsigned simulations;
	struct x402_chain_read first_simulated;
};

static inline struct chain good_chain(void)
{
	return (struct chain){.balance = 1000};
}

static inline struct x402_chain_answer simulate(struct chain *chain,
	const struct x402_chain_read *read, struct x402_buf *buf)
{
	struct x402_address delegate;
	struct x402_chain_answer answer = {.status = X402_ANSWER_REVERTED};

	assert_true(read->needs_sender && read->gas > 0);
	if (!chain->simulations++)
		chain->first_simulated = *read;
	delegate = signer(chain->delegate < 0 ? 99 : (unsigned)chain->delegate);
	if (!read->has_sender || x402_address_equal(&read->sender, &delegate))
		answer.status = X402_ANSWER_OK;
	else if (chain->revert)
		assert_int_equal(x402_hex_decode(chain->revert, buf), X402_OK);
	return answer;
}

static inline struct x402_chain_answer answer_read(struct chain *chain,
	const struct x402_chain_read *read, struct x402_buf *buf)
{
	struct x402_chain_answer answer = {.status = X402_ANSWER_OK};
	struct x402_address token = address(TOKEN);
	struct x402_address manager = address(MANAGER);

	if (read->kind == X402_READ_CODE) {
		bool is_token = x402_address_equal(&read->to, &token);

		for (unsigned i = 0; i < SIGNERS; i++) {
			struct x402_address own = signer(i);

			if (!x402_address_equal(&read->to, &own))
				continue;
			if (i < chain->with_code)
				answer.data = x402_span(
					some_code, sizeof(some_code));
			return answer;
		}
		assert_true(
			is_token || x402_address_equal(&read->to, &manager));
		if (is_token ? !chain->asset_has_no_code
			     : !chain->manager_has_no_code)
			answer.data = x402_span(some_code, sizeof(some_code));
		return answer;
	}
	assert_int_equal(read->kind, X402_READ_CALL);
	if (x402_address_equal(&read->to, &token)) {
		assert_false(read->needs_sender);
		x402_abi_add_u64(buf, chain->balance);
		if (chain->balance_is_short)
			buf->len = 3;
		if (chain->balance_reverts)
			answer.status = X402_ANSWER_REVERTED;
	} else {
		assert_true(x402_address_equal(&read->to, &manager));
		answer = simulate(chain, read, buf);
	}
	answer.data = x402_buf_span(buf);
	return answer;
}

static inline enum x402_err run_rounds(
	struct chain *chain, struct x402_verify_plan *plan, int *ret_rounds)
{
	enum x402_err err = X402_OK;
	int reads = 0;

	*ret_rounds = 0;
	while (!plan->decided && !err) {
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
		err = x402_verify_judge(plan, answers, n);
		++*ret_rounds;
		for (size_t i = 0; i < n; i++)
			x402_buf_clear(&bufs[i]);
	}
	return err;
}

static inline enum x402_err run_plan(const struct payment *p,
	const struct x402_facilitator_request *request, struct chain *chain,
	struct x402_verify_plan *plan, int *ret_rounds)
{
	struct x402_address signers[SIGNERS];
	struct x402_address allowed = address(
		p->allowed ? p->allowed : STRANGER);
	struct x402_verify_options options = {.now_unix_s = NOW,
		.delegation_gas = p->gas,
		.any_delegation_manager = p->any_manager,
		.builder_code = p->builder_code,
		.signers_len = p->signers};

	for (unsigned i = 0; i < p->signers; i++)
		signers[i] = signer(i);
	if (p->signers)
		options.signers = signers;
	if (p->allowed) {
		options.delegation_managers = &allowed;
		options.delegation_managers_len = 1;
	}
	assert_int_equal(x402_verify_plan(request, &options, plan), X402_OK);
	/* What was borrowed is gone by the time the chain has answered. */
	memset(signers, 0xee, sizeof(signers));
	memset(&allowed, 0xee, sizeof(allowed));
	return run_rounds(chain, plan, ret_rounds);
}

static inline void assert_reason(const struct payment *p, struct chain *chain,
	const char *expected, int rounds)
{
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	int took;

	build(p, &request);
	assert_int_equal(run_plan(p, &request, chain, &plan, &took), X402_OK);
	assert_string_equal(x402_reason_wire(plan.verdict.reason), expected);
	assert_int_equal(plan.verdict.valid, expected[0] == '\0');
	if (!plan.verdict.valid)
		assert_true(plan.verdict.message[0] != '\0');
	assert_int_equal(took, rounds);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

static inline void assert_offline(const struct payment *p, const char *expected)
{
	struct chain chain = good_chain();

	assert_reason(p, &chain, expected, 0);
}

/* ---- What is sent. ---- */

static inline struct x402_settle_plan settled(
	const struct payment *p, struct chain *chain)
{
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct x402_settle_plan settle;
	int rounds;

	build(p, &request);
	assert_int_equal(run_plan(p, &request, chain, &plan, &rounds), X402_OK);
	assert_true(plan.verdict.valid);
	assert_true(plan.may_repeat);
	assert_int_equal(x402_settle_plan(&plan, &settle), X402_OK);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
	return settle;
}

static inline struct x402_address sender_of(const struct x402_settle_plan *plan)
{
	struct x402_address sender;

	assert_int_equal(x402_settle_sender(&plan->call_to,
				 x402_buf_span(&plan->calldata),
				 x402_buf_span(&plan->state_calldata), &sender),
		X402_OK);
	return sender;
}

#endif
