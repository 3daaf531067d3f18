/*
 * The approval that a payment waits for (x402 F-075).
 *
 *   1. fac_sponsor_start   copy it: the plan is gone when we come back
 *   2. ask_fees            a price below the base fee is never mined
 *   3. ask_balance         enough for its gas: go to 5
 *   4. give                the deficit, by the engine: journalled like any
 *                          payment, one for each payer and day, below ceilings
 *   5. send                the payer's own bytes, to every endpoint
 *   6. wait                for its receipt, or for its nonce to be over
 *   7. finish              done() verifies anew
 *
 * What is given can be taken and not used: the payer's account is the payer's.
 * So the gift is the deficit and no more, no account gets a second one for a
 * day, all of a day's are bounded, and it is given to those alone who have the
 * money that they are about to pay (the plan says so).
 *
 * A crash loses nothing: the gift is a row of the journal, the payment has
 * none yet, and the approval is good whenever somebody sends it. Who asks
 * again is verified anew, and finds the gift claimed and the account funded.
 */
#include "api/sponsor.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * How often a chain is asked for what is on its way, and sooner where what was
 * sent was found sooner (core/pace.h).
 */
#define POLL_MS 250
/* Mempools forget: the same bytes again, after so many polls. */
#define SEND_AGAIN_POLLS 16
/* A node may know the nonce before it has the receipt. */
#define MISSES_MAX 4
/* A gift that was given before, and is not there, does not come any more. */
#define GIFT_WAIT_MS 10000
/* One gift for each payer in so many seconds. */
#define GIFT_EVERY_S 86400

static struct fac_step ask_balance(struct fac_sponsoring *s);
static struct fac_step ask_receipt(struct fac_sponsoring *s);
static struct fac_step send(struct fac_sponsoring *s);

static struct fac_app *app_of(const struct fac_sponsoring *s)
{
	return s->judging->request->app;
}

/* ---- Ends. ---- */

static struct fac_step finish(struct fac_sponsoring *s)
{
	fac_timer_stop(s->timer);
	return s->done(s);
}

static struct fac_step refuse(
	struct fac_sponsoring *s, enum x402_reason reason, const char *message)
{
	s->end.reason = reason;
	snprintf(s->end.message, sizeof(s->end.message), "%s", message);
	return finish(s);
}

static struct fac_step fail(struct fac_sponsoring *s, const char *message)
{
	s->end.fault = true;
	return refuse(s, X402_REASON_UNEXPECTED_SETTLE_ERROR, message);
}

/* True: *ret_step is the end, because nobody waits or nothing may be asked. */
static bool is_over(struct fac_sponsoring *s, struct fac_step *ret_step)
{
	const struct fac_app *app = app_of(s);

	if (app->stopping || app->draining || !s->judging->chain->chain)
		*ret_step = fail(s, "the daemon is stopping; ask again");
	else if (s->judging->request->gone)
		*ret_step = fail(s, "the caller is gone");
	else if (fac_loop_now_ms(app->loop) >= s->deadline_ms)
		*ret_step = fail(s,
			"the deadline came before the approval was mined; the "
			"payment was not sent, ask again");
	else
		return false;
	return true;
}

static uint32_t left_ms(const struct fac_sponsoring *s)
{
	return (uint32_t)(s->deadline_ms - fac_loop_now_ms(app_of(s)->loop));
}

static struct fac_step later(struct fac_sponsoring *s)
{
	fac_timer_start(s->timer, POLL_MS, 0);
	return fac_wait(s->judging->request);
}

/* ---- 6. The wait. ---- */

static uint64_t first_pause(const struct fac_sponsoring *s)
{
	const struct fac_pace *pace = s->judging->chain->pace;
	uint64_t first = pace ? fac_pace_first(pace) : POLL_MS;

	if (first >= FAC_PACE_STEP_MS)
		return POLL_MS;
	return first ? first : 1;
}

static struct fac_step look_later(struct fac_sponsoring *s)
{
	fac_timer_start(s->timer, s->pause_ms, 0);
	s->pause_ms = fac_pace_next(s->pause_ms, POLL_MS);
	return fac_wait(s->judging->request);
}

/* Sent again: it is looked for as before, and its time goes on. */
static struct fac_step begin_to_look(struct fac_sponsoring *s)
{
	if (s->sent_ms)
		return look_later(s);
	s->sent_ms = fac_loop_now_ms(app_of(s)->loop);
	s->looks = 0;
	s->pause_ms = first_pause(s);
	return look_later(s);
}

static void learn_pace(struct fac_sponsoring *s)
{
	struct fac_pace *pace = s->judging->chain->pace;

	if (pace && s->sent_ms)
		fac_pace_found(pace, s->looks,
			fac_loop_now_ms(app_of(s)->loop) - s->sent_ms, POLL_MS);
	s->sent_ms = 0;
}

static void on_nonce(void *user, enum x402_err err, uint64_t nonce)
{
	struct fac_sponsoring *s = user;

	struct fac_step step;

	/* Another transaction took it: verifying says what became of it. */
	if (!err && nonce > s->nonce)
		s->misses++;
	/* One that lags gets time for the receipt, whatever the pace. */
	if (s->misses > 1)
		s->pause_ms = POLL_MS;
	if (s->misses >= MISSES_MAX)
		fac_end(finish(s));
	else if (is_over(s, &step))
		fac_end(step);
	/* Not mined, so what it was given must come before it is sent. */
	else if (s->funds_late && (err || nonce <= s->nonce))
		fac_end(ask_balance(s));
	else
		fac_end(look_later(s));
}

static void on_receipt(void *user, const struct fac_chain_receipt *receipts,
	size_t receipts_len)
{
	struct fac_sponsoring *s = user;
	struct fac_nonce_query query = {
		.address = s->payer, .tag = FAC_NONCE_LATEST};
	struct fac_step step;

	if (receipts_len == 1 && receipts[0].status == FAC_RECEIPT_FOUND) {
		learn_pace(s);
		fac_end(receipts[0].receipt.success
				? finish(s)
				: refuse(s,
					  X402_REASON_ERC20_APPROVAL_TX_FAILED,
					  "the approval was mined and "
					  "reverted"));
		return;
	}
	if (is_over(s, &step)) {
		fac_end(step);
		return;
	}
	fac_chain_nonce(
		s->judging->chain->chain, &query, left_ms(s), on_nonce, s);
}

static struct fac_step ask_receipt(struct fac_sponsoring *s)
{
	uint8_t hashes32[1][32];

	s->looks++;
	memcpy(hashes32[0], s->hash32, 32);
	fac_chain_receipts(s->judging->chain->chain,
		(const uint8_t(*)[32])hashes32, 1, left_ms(s), on_receipt, s);
	return fac_wait(s->judging->request);
}

static void on_timer(void *arg)
{
	struct fac_sponsoring *s = arg;
	struct fac_step step;

	/* Who else asks for it may have had it mined with this gift. */
	if (is_over(s, &step))
		fac_end(step);
	else if (s->funds_late)
		fac_end(ask_receipt(s));
	else if (s->pause_ms >= POLL_MS && ++s->polls % SEND_AGAIN_POLLS == 0)
		fac_end(send(s));
	else
		fac_end(ask_receipt(s));
}

/* ---- 5. The broadcast. ---- */

static void on_sent(void *user, const struct fac_send_outcome *outcome)
{
	struct fac_sponsoring *s = user;
	char message[FAC_MESSAGE_SIZE];

	s->funds_late = false;
	switch (outcome->status) {
	case FAC_SEND_ACCEPTED:
	case FAC_SEND_ALREADY_KNOWN:
		fac_end(begin_to_look(s));
		return;
	case FAC_SEND_NONCE_TOO_LOW: /* mined, or overtaken: see 6 */
	case FAC_SEND_FAULT:         /* it may have been taken */
		s->sent_ms = 0;
		s->pause_ms = POLL_MS;
		fac_end(look_later(s));
		return;
	case FAC_SEND_INSUFFICIENT_FUNDS:
		/* That node does not have the gift's block yet. */
		if (s->gift_asked) {
			s->funds_late = true;
			fac_end(later(s));
			return;
		}
		fac_end(refuse(s, X402_REASON_ERC20_APPROVAL_INSUFFICIENT_ETH,
			"the payer's account moved its gas money"));
		return;
	case FAC_SEND_UNDERPRICED:
	case FAC_SEND_REJECTED:
		break;
	}
	snprintf(message, sizeof(message), "no node takes the approval: %.180s",
		outcome->message);
	fac_end(refuse(
		s, X402_REASON_ERC20_APPROVAL_BROADCAST_FAILED, message));
}

static struct fac_step send(struct fac_sponsoring *s)
{
	struct fac_step step;

	if (is_over(s, &step))
		return step;
	fac_chain_send_raw(s->judging->chain->chain, x402_buf_span(&s->raw),
		s->hash32, left_ms(s), on_sent, s);
	return fac_wait(s->judging->request);
}

/* ---- 4. The gift. ---- */

static void log_gift(
	const struct fac_sponsoring *s, const struct fac_settle_result *result)
{
	char wei[X402_U256_DEC_SIZE];
	char payer[X402_ADDRESS_TEXT_SIZE];
	struct fac_log_line line;

	x402_u256_to_dec(&s->gift_wei, wei);
	x402_address_format(&s->payer, payer);
	fac_log_begin(&line, FAC_LOG_INFO,
		result->outcome == FAC_SETTLE_SETTLED ? "gift_given" : "gift");
	fac_log_str(&line, "request", s->judging->request->id);
	fac_log_str(&line, "payment", result->payment_id);
	fac_log_str(&line, "network", s->judging->chain->network.caip2);
	fac_log_str(&line, "payer", payer);
	fac_log_str(&line, "wei", wei);
	fac_log_str(&line, "transaction", result->transaction);
	fac_log_str(&line, "reason", x402_reason_wire(result->reason));
	fac_log_str(&line, "text", result->message);
	fac_log_end(&line);
}

static void on_given(void *user, const struct fac_settle_result *result)
{
	struct fac_sponsoring *s = user;
	char message[FAC_MESSAGE_SIZE];

	s->ticket = 0;
	log_gift(s, result);
	switch (result->outcome) {
	case FAC_SETTLE_SETTLED:
	case FAC_SETTLE_PENDING:
	case FAC_SETTLE_DUPLICATE: /* given today, or on its way */
		s->gift_until_ms = fac_loop_now_ms(app_of(s)->loop) +
			GIFT_WAIT_MS;
		fac_end(ask_balance(s));
		return;
	case FAC_SETTLE_REFUSED:
	case FAC_SETTLE_CONFLICT:
	case FAC_SETTLE_FAULT:
	case FAC_SETTLE_UNKNOWN:
		break;
	}
	snprintf(message, sizeof(message), "no gas was given: %.200s",
		result->message);
	fac_end(refuse(
		s, X402_REASON_ERC20_APPROVAL_INSUFFICIENT_ETH, message));
}

static struct fac_step give(
	struct fac_sponsoring *s, const struct x402_u256 *balance)
{
	struct fac_app *app = app_of(s);
	const struct fac_app_chain *chain = s->judging->chain;
	struct fac_settle_request request = {.has_plan = true,
		.x402_version = X402_V2,
		.scheme = "gift",
		.caller = FAC_GIFT_CALLER,
		.wire_network = chain->network.caip2,
		.deadline_unix_ms = fac_steady_unix_ms() + left_ms(s)};

	if (!x402_u256_sub(&s->cost_wei, balance, &s->gift_wei) ||
		x402_u256_cmp(&s->gift_wei, &chain->gift_wei) > 0)
		return refuse(s, X402_REASON_ERC20_APPROVAL_INSUFFICIENT_ETH,
			"the payer has too little for the gas, and more is "
			"missing than is given here");
	if (x402_settle_plan_gift(&chain->network, &s->payer, &s->gift_wei,
		    fac_unix_ms() / 1000 + GIFT_EVERY_S, &request.plan))
		return fail(s, "out of memory; nothing was sent");
	/* One gift, whatever asks for it. */
	memcpy(request.fingerprint32, request.plan.key.bytes, 32);
	memcpy(request.payload_hash32, request.plan.key.bytes, 32);
	s->gift_asked = true;
	s->ticket = fac_settler_settle(
		app->settler, &request, app->loop, on_given, s);
	return fac_wait(s->judging->request);
}

/* ---- 2, 3. ---- */

static void on_balance(
	void *user, enum x402_err err, const struct x402_u256 *balance)
{
	struct fac_sponsoring *s = user;
	struct fac_step step;

	if (is_over(s, &step)) {
		fac_end(step);
		return;
	}
	if (err) {
		fac_end(fail(s, "the chain did not tell the payer's balance"));
		return;
	}
	if (x402_u256_cmp(balance, &s->cost_wei) >= 0) {
		s->funds_late = false;
		fac_end(send(s));
	} else if (!s->gift_asked) {
		fac_end(give(s, balance));
	} else if (fac_loop_now_ms(app_of(s)->loop) < s->gift_until_ms) {
		s->funds_late = true;
		fac_end(later(s));
	} else {
		fac_end(refuse(s, X402_REASON_ERC20_APPROVAL_INSUFFICIENT_ETH,
			"the payer was given gas today, and has not enough "
			"any more"));
	}
}

static struct fac_step ask_balance(struct fac_sponsoring *s)
{
	struct fac_step step;

	if (is_over(s, &step))
		return step;
	fac_chain_balance(
		s->judging->chain->chain, &s->payer, left_ms(s), on_balance, s);
	return fac_wait(s->judging->request);
}

static void on_fees(
	void *user, enum x402_err err, const struct fac_chain_fees *fees)
{
	struct fac_sponsoring *s = user;

	if (err)
		fac_end(fail(s, "the chain's fees are unknown"));
	else if (x402_u256_cmp(&s->max_fee_per_gas, &fees->base_fee_per_gas) <
		0)
		fac_end(refuse(s, X402_REASON_ERC20_APPROVAL_BROADCAST_FAILED,
			"its highest price is below the chain's base fee: it "
			"would not be mined"));
	else
		fac_end(ask_balance(s));
}

static struct fac_step ask_fees(struct fac_sponsoring *s)
{
	struct fac_step step;

	if (is_over(s, &step))
		return step;
	fac_chain_fees(s->judging->chain->chain, left_ms(s), on_fees, s);
	return fac_wait(s->judging->request);
}

/* ---- 1. ---- */

static bool copy_approval(
	struct fac_sponsoring *s, const struct x402_approval *approval)
{
	s->payer = approval->from;
	s->nonce = approval->transaction.plain.nonce;
	s->max_fee_per_gas = approval->transaction.plain.max_fee_per_gas;
	memcpy(s->hash32, approval->transaction.hash32, 32);
	x402_buf_clear(&s->raw);
	x402_buf_add(&s->raw, x402_buf_span(&approval->raw));
	return !s->raw.failed &&
		x402_approval_cost(approval, &s->cost_wei) == X402_OK;
}

struct fac_step fac_sponsor_start(struct fac_sponsoring *sponsoring,
	struct fac_judging *judging, uint64_t deadline_ms,
	struct fac_step (*done)(struct fac_sponsoring *sponsoring))
{
	struct fac_sponsoring *s = sponsoring;

	s->judging = judging;
	s->done = done;
	s->deadline_ms = deadline_ms;
	s->end = (struct fac_sponsor_end){.reason = X402_REASON_NONE};
	s->misses = 0;
	s->sent_ms = 0;
	s->pause_ms = POLL_MS;
	if (!s->timer &&
		fac_timer_new(
			judging->request->app->loop, on_timer, s, &s->timer))
		return fac_fail(judging->request, 500,
			"out of memory; nothing was sent");
	if (!copy_approval(s, judging->plan.approval))
		return fail(s, "out of memory; nothing was sent");
	/* Come back: a node that lags said that it is still missing. */
	if (s->starts++)
		return later(s);
	return ask_fees(s);
}

void fac_sponsor_clear(struct fac_sponsoring *sponsoring)
{
	fac_timer_free(sponsoring->timer);
	x402_buf_clear(&sponsoring->raw);
}
