/*
 * exact by delegation (ERC-7710, F-07A): every check of the plan on recorded
 * answers, the call, what binds it, and what proves it. A case takes a good
 * payment, changes one thing, and says what must come out.
 */
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

static struct x402_address address(const char *text)
{
	struct x402_address value;

	assert_int_equal(x402_address_parse(text, &value), X402_OK);
	return value;
}

static struct x402_address signer(unsigned index)
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

static struct payment good(void)
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

static void add_terms(struct x402_buf *buf, const struct payment *p)
{
	x402_buf_printf(buf,
		"\"amount\":\"%s\",\"asset\":\"%s\",\"payTo\":\"%s\","
		"\"maxTimeoutSeconds\":%lld,\"extra\":%s",
		p->amount, p->asset, p->pay_to, p->timeout_s, p->extra);
}

static void build(
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

static struct chain good_chain(void)
{
	return (struct chain){.balance = 1000};
}

static struct x402_chain_answer simulate(struct chain *chain,
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

static struct x402_chain_answer answer_read(struct chain *chain,
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

static enum x402_err run_rounds(
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

static enum x402_err run_plan(const struct payment *p,
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

static void assert_reason(const struct payment *p, struct chain *chain,
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

static void assert_offline(const struct payment *p, const char *expected)
{
	struct chain chain = good_chain();

	assert_reason(p, &chain, expected, 0);
}

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

static struct x402_settle_plan settled(
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

static struct x402_address sender_of(const struct x402_settle_plan *plan)
{
	struct x402_address sender;

	assert_int_equal(x402_settle_sender(&plan->call_to,
				 x402_buf_span(&plan->calldata),
				 x402_buf_span(&plan->state_calldata), &sender),
		X402_OK);
	return sender;
}

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

/* ---- The settlement's plan. ---- */

/* redeemDelegations([0x00112233], [0], [token, 0, transfer(PAYEE, 1000)]). */
static const char redeem[] =
	"0xcef6d209"
	"0000000000000000000000000000000000000000000000000000000000000060"
	"00000000000000000000000000000000000000000000000000000000000000e0"
	"0000000000000000000000000000000000000000000000000000000000000120"
	"0000000000000000000000000000000000000000000000000000000000000001"
	"0000000000000000000000000000000000000000000000000000000000000020"
	"0000000000000000000000000000000000000000000000000000000000000004"
	"0011223300000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000001"
	"0000000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000001"
	"0000000000000000000000000000000000000000000000000000000000000020"
	"0000000000000000000000000000000000000000000000000000000000000078"
	"036cbd53842c5426634e7929541ec2318f3dcf7e"
	"0000000000000000000000000000000000000000000000000000000000000000"
	"a9059cbb"
	"00000000000000000000000090f79bf6eb2c4f870365e785982e1f101e93b906"
	"00000000000000000000000000000000000000000000000000000000000003e8"
	"0000000000000000";

static void test_call_is_ours_alone(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(&p, &chain);
	struct x402_address manager = address(MANAGER);
	struct x402_address delegator = address(DELEGATOR);

	(void)state;
	assert_hex(plan.calldata.ptr, plan.calldata.len, redeem);
	assert_true(x402_address_equal(&plan.call_to, &manager));
	assert_true(x402_address_equal(&plan.payer, &delegator));
	assert_false(plan.may_share);
	assert_int_equal(plan.gas_limit, X402_DELEGATION_GAS);
	/* No end of its own, and an end to being sent. */
	assert_true(plan.valid_before_unix_s == UINT64_MAX);
	assert_true(x402_settle_send_before(
			    x402_buf_span(&plan.state_calldata)) == NOW + 60);
	x402_settle_plan_clear(&plan);
}

static void test_time_to_be_sent_is_bounded(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan;
	struct x402_span state_calldata;

	(void)state;
	p.timeout_s = 1000000000;
	plan = settled(&p, &chain);
	state_calldata = x402_buf_span(&plan.state_calldata);
	assert_true(x402_settle_send_before(state_calldata) == NOW + 86400);
	/* Cut short in a store it is over, and has no sender. */
	state_calldata.len -= 1;
	assert_true(x402_settle_send_before(state_calldata) == 0);
	state_calldata.len = 4;
	assert_true(x402_settle_send_before(state_calldata) == 0);
	struct x402_address sender;
	assert_int_equal(
		x402_settle_sender(&plan.call_to, x402_buf_span(&plan.calldata),
			state_calldata, &sender),
		X402_ERR_SYNTAX);
	/* Others end by their own time. */
	assert_true(x402_settle_send_before(x402_span("", 0)) == UINT64_MAX);
	x402_settle_plan_clear(&plan);
}

static void assert_key(
	const struct payment *p, const uint8_t key[32], bool same)
{
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(p, &chain);

	assert_int_equal(memcmp(plan.key.bytes, key, 32) == 0, same);
	x402_settle_plan_clear(&plan);
}

/* One context pays once, whatever stands beside it. */
static void test_key_is_manager_and_context(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(&p, &chain);

	(void)state;
	chain = good_chain();
	p.amount = "1";
	assert_key(&p, plan.key.bytes, true);
	p = good();
	p.pay_to = STRANGER;
	assert_key(&p, plan.key.bytes, true);
	p = good();
	p.delegator = STRANGER;
	assert_key(&p, plan.key.bytes, true);
	p = good();
	p.extra = "{\"assetTransferMethod\":\"erc7710\",\"name\":\"USDC\"}";
	assert_key(&p, plan.key.bytes, true);
	p = good();
	p.context = "0x00112234";
	assert_key(&p, plan.key.bytes, false);
	p.context = "0x0011223300";
	assert_key(&p, plan.key.bytes, false);
	x402_settle_plan_clear(&plan);
}

/* The second time it may well be refused: its first run is found all the same.
 */
static void test_key_of_a_refused_payment_is_found(void **state)
{
	static const struct {
		uint64_t balance;
		int delegate;
		const char *allowed;
		enum x402_err err;
	} cases[] = {
		{1000, 0, MANAGER, X402_OK},
		{1000, -1, MANAGER, X402_OK},
		{0, 0, MANAGER, X402_OK},
		{1000, 0, STRANGER, X402_ERR_INVALID_ARGUMENT},
	};
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan first = settled(&p, &chain);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_facilitator_request request;
		struct x402_verify_plan plan;
		struct x402_settle_key key;
		int rounds;

		chain = good_chain();
		chain.balance = cases[i].balance;
		chain.delegate = cases[i].delegate;
		p.allowed = cases[i].allowed;
		build(&p, &request);
		assert_int_equal(run_plan(&p, &request, &chain, &plan, &rounds),
			X402_OK);
		assert_int_equal(
			x402_verify_plan_key(&plan, &key), cases[i].err);
		if (!cases[i].err)
			assert_memory_equal(key.bytes, first.key.bytes, 32);
		x402_verify_plan_clear(&plan);
		x402_facilitator_request_clear(&request);
	}
	x402_settle_plan_clear(&first);
}

static void test_builder_codes_stand_behind_the_call(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan;

	(void)state;
	p.builder_code = "ours";
	p.extensions = "{\"builder-code\":{\"info\":{\"a\":\"app_1\"}}}";
	plan = settled(&p, &chain);
	assert_true(plan.calldata.len > (sizeof(redeem) - 3) / 2);
	/* The cap is the cap. */
	assert_int_equal(plan.gas_limit, X402_DELEGATION_GAS);
	x402_settle_plan_clear(&plan);
}

/* ---- Proof. ---- */

static const char transfer_topic[] =
	"0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
static const char used_topic[] =
	"0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5";

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
	const struct x402_log *logs, size_t logs_len, const char *reason)
{
	struct x402_receipt receipt = {
		.success = true, .logs = logs, .logs_len = logs_len};
	struct x402_verdict verdict;

	x402_settle_judge(proof, &receipt, &verdict);
	assert_string_equal(x402_reason_wire(verdict.reason), reason);
	assert_int_equal(verdict.valid, reason[0] == '\0');
}

#define MISMATCH "invalid_exact_evm_transfer_event_mismatch"

static void test_proof_is_exactly_one_transfer(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(&p, &chain);
	struct x402_settle_proof proof = x402_settle_plan_proof(&plan);
	struct x402_receipt reverted = {.success = false};
	struct x402_verdict verdict;
	struct x402_log logs[2];
	uint8_t words[2][32];

	(void)state;
	assert_true(x402_settle_proof_is_delegation(&proof));
	assert_false(x402_settle_proof_is_permit2(&proof));
	logs[0] = transfer(&proof, 1000, words[0]);
	logs[1] = logs[0];
	assert_proof(&proof, logs, 1, "");
	/* A manager that does nothing, and one that does it twice. */
	assert_proof(&proof, logs, 0, MISMATCH);
	assert_proof(&proof, logs, 2, MISMATCH);
	logs[0] = transfer(&proof, 999, words[0]);
	assert_proof(&proof, logs, 1, MISMATCH);
	logs[0] = transfer(&proof, 1000, words[0]);
	logs[0].address = plan.call_to;
	assert_proof(&proof, logs, 1, MISMATCH);
	logs[0] = transfer(&proof, 1000, words[0]);
	logs[0].topics[1][31] ^= 1;
	assert_proof(&proof, logs, 1, MISMATCH);
	logs[0] = transfer(&proof, 1000, words[0]);
	logs[0].topics[2][31] ^= 1;
	assert_proof(&proof, logs, 1, MISMATCH);
	x402_settle_judge(&proof, &reverted, &verdict);
	assert_string_equal(x402_reason_wire(verdict.reason),
		"invalid_exact_evm_transaction_failed");
	x402_settle_plan_clear(&plan);
}

/*
 * The payer's account is any contract: on the way it may spend another of the
 * payer's payments, whose Transfer must not count for two.
 */
static void test_authorization_used_on_the_way_is_another_payments(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(&p, &chain);
	struct x402_settle_proof proof = x402_settle_plan_proof(&plan);
	struct x402_log logs[2];
	uint8_t word[32];

	(void)state;
	logs[0] = transfer(&proof, 1000, word);
	logs[1] = logs[0];
	logs[1].data = x402_span("", 0);
	hex_fixed(used_topic, logs[1].topics[0], 32);
	memset(logs[1].topics[2], 7, 32);
	assert_proof(&proof, logs, 2, MISMATCH);
	/* Another payer's does not matter. */
	logs[1].topics[1][31] ^= 1;
	assert_proof(&proof, logs, 2, "");
	x402_settle_plan_clear(&plan);
}

/* From the parts that a store keeps. */
static void test_stored_parts_say_what_it_is(void **state)
{
	struct payment p = good();
	struct chain chain = good_chain();
	struct x402_settle_plan plan = settled(&p, &chain);
	struct x402_settle_proof proof = {.asset = plan.asset_address};

	(void)state;
	x402_settle_proof_set_call(
		&proof, &plan.call_to, x402_buf_span(&plan.state_calldata));
	assert_true(x402_settle_proof_is_delegation(&proof));
	assert_true(x402_address_equal(&proof.call_to, &plan.call_to));
	x402_settle_proof_set_call(&proof, &plan.call_to, x402_span("", 0));
	assert_false(x402_settle_proof_is_delegation(&proof));
	x402_settle_plan_clear(&plan);
}

/* ---- The payload. ---- */

static void test_payload_comes_back(void **state)
{
	struct x402_delegation_payload payload = {
		.manager = address(MANAGER), .delegator = address(DELEGATOR)};
	struct x402_delegation_payload again;
	struct x402_json *json = NULL;

	(void)state;
	x402_buf_add(&payload.context, x402_span("\x01\x02\xff", 3));
	assert_int_equal(
		x402_delegation_payload_to_json(&payload, &json), X402_OK);
	assert_string_equal(
		x402_json_get_string(json, "permissionContext"), "0x0102ff");
	assert_int_equal(
		x402_delegation_payload_read(json, NULL, &again), X402_OK);
	assert_true(x402_address_equal(&again.manager, &payload.manager));
	assert_true(x402_address_equal(&again.delegator, &payload.delegator));
	assert_int_equal(again.context.len, 3);
	x402_delegation_payload_clear(&again);
	x402_delegation_payload_clear(&payload);
	x402_delegation_payload_clear(NULL);
	x402_json_unref(json);
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
		cmocka_unit_test(test_call_is_ours_alone),
		cmocka_unit_test(test_time_to_be_sent_is_bounded),
		cmocka_unit_test(test_key_is_manager_and_context),
		cmocka_unit_test(test_key_of_a_refused_payment_is_found),
		cmocka_unit_test(test_builder_codes_stand_behind_the_call),
		cmocka_unit_test(test_proof_is_exactly_one_transfer),
		cmocka_unit_test(
			test_authorization_used_on_the_way_is_another_payments),
		cmocka_unit_test(test_stored_parts_say_what_it_is),
		cmocka_unit_test(test_payload_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
