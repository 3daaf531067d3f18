/*
 * The approval that a payment waits for (F-075), step by step: what is asked
 * of the chain and of the engine, what is given and what never is, and how it
 * ends, with every room behind it played by this file.
 */
#include "cmocka_house.h"

#include "api/sponsor.h"

#include <stdio.h>

#define COST UINT64_C(70000000000000) /* 70,000 gas at 1 gwei */

enum asked { NOTHING, FEES, BALANCE, NONCE, RECEIPT, SENT, GIFT };

static struct {
	enum asked asked; /* what waits for an answer */
	void (*fees)(void *, enum x402_err, const struct fac_chain_fees *);
	void (*balance)(void *, enum x402_err, const struct x402_u256 *);
	void (*nonce)(void *, enum x402_err, uint64_t);
	void (*receipts)(void *, const struct fac_chain_receipt *, size_t);
	void (*sent)(void *, const struct fac_send_outcome *);
	void (*given)(void *, const struct fac_settle_result *);
	void *user;
	unsigned sends;
	unsigned gifts;
	uint64_t gift_wei;
	char gift_caller[FAC_CALLER_SIZE];
	uint64_t gift_gas;
	size_t gift_calldata_len;
	struct x402_address gift_to;
	bool timer_set;
	uint64_t timer_ms;
	void (*timer)(void *);
	void *timer_arg;
	unsigned done;
	uint64_t now_ms;
} world;

/* ---- The rooms, played. ---- */

uint64_t fac_loop_now_ms(const struct fac_loop *loop)
{
	(void)loop;
	return world.now_ms;
}

static void ask(enum asked asked, void *user)
{
	assert_int_equal(world.asked, NOTHING); /* one thing at a time */
	world.asked = asked;
	world.user = user;
}

void fac_chain_fees(struct fac_chain *chain, uint32_t timeout_ms,
	void (*done)(void *, enum x402_err, const struct fac_chain_fees *),
	void *user)
{
	(void)chain;
	assert_true(timeout_ms > 0);
	world.fees = done;
	ask(FEES, user);
}

void fac_chain_balance(struct fac_chain *chain,
	const struct x402_address *address, uint32_t timeout_ms,
	void (*done)(void *, enum x402_err, const struct x402_u256 *),
	void *user)
{
	(void)chain;
	assert_true(timeout_ms > 0);
	assert_int_equal(address->bytes[0], 0x55);
	world.balance = done;
	ask(BALANCE, user);
}

void fac_chain_nonce(struct fac_chain *chain,
	const struct fac_nonce_query *query, uint32_t timeout_ms,
	void (*done)(void *, enum x402_err, uint64_t), void *user)
{
	(void)chain;
	assert_true(timeout_ms > 0);
	assert_int_equal(query->tag, FAC_NONCE_LATEST);
	world.nonce = done;
	ask(NONCE, user);
}

void fac_chain_receipts(struct fac_chain *chain, const uint8_t (*hashes32)[32],
	size_t hashes_len, uint32_t timeout_ms,
	void (*done)(void *, const struct fac_chain_receipt *, size_t),
	void *user)
{
	(void)chain;
	assert_true(timeout_ms > 0);
	assert_int_equal(hashes_len, 1);
	assert_int_equal(hashes32[0][0], 0x77);
	world.receipts = done;
	ask(RECEIPT, user);
}

void fac_chain_send_raw(struct fac_chain *chain, struct x402_span raw,
	const uint8_t hash32[32], uint32_t timeout_ms,
	void (*done)(void *, const struct fac_send_outcome *), void *user)
{
	(void)chain;
	assert_true(timeout_ms > 0);
	/* The payer's own bytes, and nothing else. */
	assert_int_equal(raw.len, 3);
	assert_memory_equal(raw.ptr, "raw", 3);
	assert_int_equal(hash32[0], 0x77);
	world.sends++;
	world.sent = done;
	ask(SENT, user);
}

uint64_t fac_settler_settle(struct fac_settler *settler,
	struct fac_settle_request *request, struct fac_loop *reply_to,
	void (*done)(void *user, const struct fac_settle_result *result),
	void *user)
{
	(void)settler;
	(void)reply_to;
	assert_true(request->has_plan);
	assert_true(x402_u256_to_u64(&request->plan.amount, &world.gift_wei));
	world.gift_gas = request->plan.gas_limit;
	world.gift_calldata_len = request->plan.calldata.len;
	world.gift_to = request->plan.call_to;
	snprintf(world.gift_caller, sizeof(world.gift_caller), "%s",
		request->caller);
	x402_settle_plan_clear(&request->plan);
	world.gifts++;
	world.given = done;
	ask(GIFT, user);
	return 9;
}

enum x402_err fac_timer_new(struct fac_loop *loop, void (*fn)(void *arg),
	void *arg, struct fac_timer **ret_timer)
{
	static int timer;

	(void)loop;
	world.timer = fn;
	world.timer_arg = arg;
	*ret_timer = (struct fac_timer *)(void *)&timer;
	return X402_OK;
}

void fac_timer_start(
	struct fac_timer *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
	assert_non_null(timer);
	assert_true(delay_ms > 0 && repeat_ms == 0);
	assert_int_equal(world.asked, NOTHING);
	world.timer_set = true;
	world.timer_ms = delay_ms;
}

void fac_timer_stop(struct fac_timer *timer)
{
	(void)timer;
	world.timer_set = false;
}

void fac_timer_free(struct fac_timer *timer)
{
	(void)timer;
	world.timer_set = false;
}

struct fac_step fac_wait(struct fac_request *request)
{
	return (struct fac_step){request};
}

struct fac_step fac_fail(
	struct fac_request *request, int status, const char *fmt, ...)
{
	(void)request;
	(void)status;
	fail_msg("%s", fmt);
	return (struct fac_step){NULL};
}

uint64_t fac_unix_ms(void)
{
	return UINT64_C(1800000000000);
}

uint64_t fac_steady_unix_ms(void)
{
	return fac_unix_ms();
}

/* ---- A payment that waits. ---- */

static struct fac_app app;
static struct fac_app_chain chain;
static struct fac_request request;
static struct fac_judging judging;
static struct x402_approval approval;
static struct fac_sponsoring sponsoring;

static struct fac_step on_done(struct fac_sponsoring *done)
{
	assert_ptr_equal(done, &sponsoring);
	assert_false(world.timer_set);
	world.done++;
	return fac_wait(&request);
}

static int setup(void **state)
{
	struct x402_transaction *tx = &approval.transaction.plain;

	(void)state;
	memset(&world, 0, sizeof(world));
	world.now_ms = 1000;
	memset(&app, 0, sizeof(app));
	memset(&chain, 0, sizeof(chain));
	memset(&request, 0, sizeof(request));
	memset(&judging, 0, sizeof(judging));
	memset(&approval, 0, sizeof(approval));
	memset(&sponsoring, 0, sizeof(sponsoring));
	chain.chain = (struct fac_chain *)(void *)&chain;
	chain.gift_wei = x402_u256_from_u64(COST);
	request.app = &app;
	judging.request = &request;
	judging.chain = &chain;
	judging.plan.approval = &approval;
	memset(approval.from.bytes, 0x55, 20);
	memset(approval.transaction.hash32, 0x77, 32);
	tx->nonce = 4;
	tx->gas_limit = 70000;
	tx->max_fee_per_gas = x402_u256_from_u64(1000000000);
	x402_buf_add_str(&approval.raw, "raw");
	return x402_network_parse("eip155:84532", &chain.network);
}

static int teardown(void **state)
{
	(void)state;
	fac_sponsor_clear(&sponsoring);
	x402_approval_clear(&approval);
	return 0;
}

static void start(void)
{
	fac_end(fac_sponsor_start(
		&sponsoring, &judging, world.now_ms + 20000, on_done));
}

static void expect(enum asked asked)
{
	assert_int_equal(world.asked, asked);
	assert_int_equal(world.done, 0);
	world.asked = NOTHING;
}

static void tell_fees(uint64_t base)
{
	struct fac_chain_fees fees = {
		.base_fee_per_gas = x402_u256_from_u64(base)};

	expect(FEES);
	world.fees(world.user, X402_OK, &fees);
}

static void tell_balance(uint64_t wei)
{
	struct x402_u256 balance = x402_u256_from_u64(wei);

	expect(BALANCE);
	world.balance(world.user, X402_OK, &balance);
}

static void tell_given(enum fac_settle_outcome outcome)
{
	struct fac_settle_result result = {.outcome = outcome,
		.reason = outcome == FAC_SETTLE_SETTLED
			? X402_REASON_NONE
			: X402_REASON_UNEXPECTED_SETTLE_ERROR};

	expect(GIFT);
	world.given(world.user, &result);
}

static void tell_sent(enum fac_send_status send_status)
{
	struct fac_send_outcome outcome = {
		.status = send_status, .message = "the node says so"};

	expect(SENT);
	world.sent(world.user, &outcome);
}

static void tell_receipt(enum fac_receipt_status found, bool success)
{
	struct fac_chain_receipt receipt = {
		.status = found, .receipt = {.success = success}};

	expect(RECEIPT);
	world.receipts(world.user, &receipt, 1);
}

static void tell_nonce(uint64_t nonce)
{
	expect(NONCE);
	world.nonce(world.user, X402_OK, nonce);
}

static void ring_after(uint64_t ms)
{
	assert_int_equal(world.asked, NOTHING);
	assert_int_equal(world.done, 0);
	assert_true(world.timer_set);
	world.timer_set = false;
	world.now_ms += ms;
	world.timer(world.timer_arg);
}

static void ring(void)
{
	ring_after(250);
}

static void assert_end(enum x402_reason reason, bool fault)
{
	assert_int_equal(world.done, 1);
	assert_int_equal(world.asked, NOTHING);
	assert_int_equal(sponsoring.end.reason, reason);
	assert_int_equal(sponsoring.end.fault, fault);
	if (reason)
		assert_true(sponsoring.end.message[0] != '\0');
}

/* ---- The way through. ---- */

static void who_has_the_gas_is_given_nothing(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	tell_balance(COST);
	tell_sent(FAC_SEND_ACCEPTED);
	ring();
	tell_receipt(FAC_RECEIPT_NONE, false);
	tell_nonce(4);
	ring();
	tell_receipt(FAC_RECEIPT_FOUND, true);
	assert_end(X402_REASON_NONE, false);
	assert_int_equal(world.gifts, 0);
	assert_int_equal(world.sends, 1);
}

/* A chain that mines at once is looked at as soon as that was seen. */
static void approvals_are_looked_for_as_soon_as_others_were_found(void **state)
{
	struct fac_pace pace = {0};

	(void)state;
	chain.pace = &pace;
	for (unsigned i = 0; i < 8; i++) {
		memset(&sponsoring, 0, sizeof(sponsoring));
		world.done = 0;
		start();
		tell_fees(1000);
		tell_balance(COST);
		tell_sent(FAC_SEND_ACCEPTED);
		assert_in_range(world.timer_ms, 1, FAC_PACE_STEP_MS - 1);
		ring_after(world.timer_ms);
		tell_receipt(FAC_RECEIPT_FOUND, true);
		fac_sponsor_clear(&sponsoring);
	}
	assert_true(fac_pace_is_quick(&pace));
	assert_true(fac_pace_first(&pace) <= 1);
}

/* Where blocks take seconds it is asked as often as ever, and no sooner. */
static void approvals_on_a_slow_chain_are_not_asked_after_more(void **state)
{
	struct fac_pace pace = {.known = true, .first_ms = FAC_PACE_STEP_MS};

	(void)state;
	chain.pace = &pace;
	start();
	tell_fees(1000);
	tell_balance(COST);
	tell_sent(FAC_SEND_ACCEPTED);
	for (unsigned i = 0; i < 10; i++) {
		assert_true(world.timer_ms == 250);
		ring();
		tell_receipt(FAC_RECEIPT_NONE, false);
		tell_nonce(4);
	}
	ring();
	tell_receipt(FAC_RECEIPT_FOUND, true);
	assert_end(X402_REASON_NONE, false);
	assert_false(fac_pace_is_quick(&pace));
}

static void what_lacks_is_given_and_no_more(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	tell_balance(COST - 5);
	assert_true(world.gift_wei == 5);
	assert_true(x402_address_equal(&world.gift_to, &approval.from));
	assert_int_equal(world.gift_calldata_len, 0);
	assert_true(world.gift_gas <= 100000);
	assert_string_equal(world.gift_caller, FAC_GIFT_CALLER);
	tell_given(FAC_SETTLE_SETTLED);
	/* Nothing is sent before the money is seen. */
	assert_int_equal(world.sends, 0);
	tell_balance(COST - 5);
	ring();
	tell_receipt(FAC_RECEIPT_NONE, false);
	tell_nonce(4);
	tell_balance(COST);
	tell_sent(FAC_SEND_ACCEPTED);
	ring();
	tell_receipt(FAC_RECEIPT_FOUND, true);
	assert_end(X402_REASON_NONE, false);
	assert_int_equal(world.gifts, 1);
}

/* A node that lags says no; it is asked again, and nothing is given twice. */
static void node_without_the_gift_is_waited_for(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	tell_balance(0);
	tell_given(FAC_SETTLE_SETTLED);
	tell_balance(COST);
	tell_sent(FAC_SEND_INSUFFICIENT_FUNDS);
	ring();
	tell_receipt(FAC_RECEIPT_NONE, false);
	tell_nonce(4);
	tell_balance(COST);
	tell_sent(FAC_SEND_ALREADY_KNOWN);
	ring();
	tell_receipt(FAC_RECEIPT_FOUND, true);
	assert_end(X402_REASON_NONE, false);
	assert_int_equal(world.gifts, 1);
	assert_int_equal(world.sends, 2);
}

static void bytes_are_sent_again_where_mempools_forget(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	tell_balance(COST);
	tell_sent(FAC_SEND_FAULT);
	for (int i = 0; i < 15; i++) {
		ring();
		tell_receipt(FAC_RECEIPT_NONE, false);
		tell_nonce(4);
	}
	ring();
	tell_sent(FAC_SEND_ALREADY_KNOWN);
	ring();
	tell_receipt(FAC_RECEIPT_FOUND, true);
	assert_end(X402_REASON_NONE, false);
	assert_int_equal(world.sends, 2);
}

/* ---- What ends it. ---- */

static void price_below_the_base_fee_gets_nothing(void **state)
{
	(void)state;
	start();
	tell_fees(1000000001);
	assert_end(X402_REASON_ERC20_APPROVAL_BROADCAST_FAILED, false);
	assert_int_equal(world.gifts, 0);
}

static void more_than_a_gift_may_be_is_not_given(void **state)
{
	(void)state;
	chain.gift_wei = x402_u256_from_u64(COST - 1);
	start();
	tell_fees(1000);
	tell_balance(0);
	assert_end(X402_REASON_ERC20_APPROVAL_INSUFFICIENT_ETH, false);
	assert_int_equal(world.gifts, 0);
	assert_int_equal(world.sends, 0);
}

static void ceiling_of_the_day_is_the_end(void **state)
{
	static const enum fac_settle_outcome outcomes[] = {FAC_SETTLE_FAULT,
		FAC_SETTLE_REFUSED, FAC_SETTLE_CONFLICT, FAC_SETTLE_UNKNOWN};

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		(void)teardown(state);
		(void)setup(state);
		start();
		tell_fees(1000);
		tell_balance(0);
		tell_given(outcomes[i]);
		assert_end(X402_REASON_ERC20_APPROVAL_INSUFFICIENT_ETH, false);
		assert_int_equal(world.sends, 0);
	}
}

/* Given today, and spent: there is no second one, and no long wait. */
static void gift_of_today_that_is_gone_is_not_given_again(void **state)
{
	unsigned rings = 0;

	(void)state;
	start();
	tell_fees(1000);
	tell_balance(0);
	tell_given(FAC_SETTLE_DUPLICATE);
	tell_balance(3);
	while (!world.done) {
		ring();
		tell_receipt(FAC_RECEIPT_NONE, false);
		tell_nonce(4);
		tell_balance(3);
		assert_true(++rings < 50);
	}
	assert_end(X402_REASON_ERC20_APPROVAL_INSUFFICIENT_ETH, false);
	assert_int_equal(world.gifts, 1);
	assert_int_equal(world.sends, 0);
	assert_true(world.now_ms < 1000 + 15000);
}

/* The gift went into the gas of this very approval, sent for another caller. */
static void gift_that_another_caller_used_is_no_loss(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	tell_balance(0);
	tell_given(FAC_SETTLE_DUPLICATE);
	tell_balance(3);
	ring();
	tell_receipt(FAC_RECEIPT_FOUND, true);
	assert_end(X402_REASON_NONE, false);
	assert_int_equal(world.sends, 0);
}

static void payer_that_moved_its_own_gas_is_told(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	tell_balance(COST);
	tell_sent(FAC_SEND_INSUFFICIENT_FUNDS);
	assert_end(X402_REASON_ERC20_APPROVAL_INSUFFICIENT_ETH, false);
	assert_int_equal(world.gifts, 0);
}

static void refused_bytes_are_told(void **state)
{
	static const enum fac_send_status statuses[] = {
		FAC_SEND_REJECTED, FAC_SEND_UNDERPRICED};

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		(void)teardown(state);
		(void)setup(state);
		start();
		tell_fees(1000);
		tell_balance(COST);
		tell_sent(statuses[i]);
		assert_end(X402_REASON_ERC20_APPROVAL_BROADCAST_FAILED, false);
		assert_non_null(
			strstr(sponsoring.end.message, "the node says so"));
	}
}

static void reverted_approval_is_told(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	tell_balance(COST);
	tell_sent(FAC_SEND_ACCEPTED);
	ring();
	tell_receipt(FAC_RECEIPT_FOUND, false);
	assert_end(X402_REASON_ERC20_APPROVAL_TX_FAILED, false);
}

/* Its nonce is over without it: verifying anew says what that means. */
static void replaced_approval_is_verified_anew(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	tell_balance(COST);
	tell_sent(FAC_SEND_NONCE_TOO_LOW);
	for (int i = 0; i < 4; i++) {
		ring();
		tell_receipt(FAC_RECEIPT_NONE, false);
		/* A node may know the nonce before it has the receipt. */
		tell_nonce(5);
	}
	assert_end(X402_REASON_NONE, false);
}

static void deadline_says_ask_again(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	tell_balance(COST);
	tell_sent(FAC_SEND_ACCEPTED);
	world.now_ms += 20000;
	ring();
	assert_end(X402_REASON_UNEXPECTED_SETTLE_ERROR, true);
}

static void stopping_daemon_gives_nothing_more(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	app.draining = true;
	tell_balance(0);
	assert_end(X402_REASON_UNEXPECTED_SETTLE_ERROR, true);
	assert_int_equal(world.gifts, 0);
}

static void caller_that_left_is_given_nothing(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	request.gone = true;
	tell_balance(0);
	assert_end(X402_REASON_UNEXPECTED_SETTLE_ERROR, true);
	assert_int_equal(world.gifts, 0);
}

static void silent_chain_is_no_word_about_the_payer(void **state)
{
	(void)state;
	start();
	expect(FEES);
	world.fees(world.user, X402_ERR_CHAIN, NULL);
	assert_end(X402_REASON_UNEXPECTED_SETTLE_ERROR, true);
	(void)teardown(state);
	(void)setup(state);
	start();
	tell_fees(1000);
	expect(BALANCE);
	world.balance(world.user, X402_ERR_CHAIN, NULL);
	assert_end(X402_REASON_UNEXPECTED_SETTLE_ERROR, true);
}

/* A node that lags says again that it is missing: no spinning, no new gift. */
static void coming_back_waits_first(void **state)
{
	(void)state;
	start();
	tell_fees(1000);
	tell_balance(0);
	tell_given(FAC_SETTLE_SETTLED);
	tell_balance(COST);
	tell_sent(FAC_SEND_ACCEPTED);
	ring();
	tell_receipt(FAC_RECEIPT_FOUND, true);
	assert_end(X402_REASON_NONE, false);
	world.done = 0;
	start();
	assert_int_equal(world.asked, NOTHING);
	ring();
	tell_receipt(FAC_RECEIPT_FOUND, true);
	assert_end(X402_REASON_NONE, false);
	assert_int_equal(world.gifts, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(who_has_the_gas_is_given_nothing),
		CASE(approvals_are_looked_for_as_soon_as_others_were_found),
		CASE(approvals_on_a_slow_chain_are_not_asked_after_more),
		CASE(what_lacks_is_given_and_no_more),
		CASE(node_without_the_gift_is_waited_for),
		CASE(bytes_are_sent_again_where_mempools_forget),
		CASE(price_below_the_base_fee_gets_nothing),
		CASE(more_than_a_gift_may_be_is_not_given),
		CASE(ceiling_of_the_day_is_the_end),
		CASE(gift_of_today_that_is_gone_is_not_given_again),
		CASE(gift_that_another_caller_used_is_no_loss),
		CASE(payer_that_moved_its_own_gas_is_told),
		CASE(refused_bytes_are_told),
		CASE(reverted_approval_is_told),
		CASE(replaced_approval_is_verified_anew),
		CASE(deadline_says_ask_again),
		CASE(stopping_daemon_gives_nothing_more),
		CASE(caller_that_left_is_given_nothing),
		CASE(silent_chain_is_no_word_about_the_payer),
		CASE(coming_back_waits_first),
	};

	return cmocka_run_group_tests_name("sponsor", tests, NULL, NULL);
}
