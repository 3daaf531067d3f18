/*
 * POST /verify (x402 F-001, F-005, F-006, F-020 to F-042).
 *
 *   1. fac_api_verify      make room, start judging (api/judging.c)
 *   2. on_verdict          no hold asked for, or refused: answer
 *   3. ask_balance         a hold: what does the payer have?
 *   4. on_balance          hold the amount, if all that is promised fits
 *   5. on_held             the verdict, with the hold or without
 *   6. answer              HTTP 200 with the verdict, whatever it says
 *
 * A transaction that paid already (proof) is looked for in the journal instead
 * (ask_journal, on_row): one that was shown before would not settle again. It
 * needs no hold, because nobody can spend it but by showing it. A delegation is
 * looked for first: the chain need not say that its context has paid.
 *
 * Read-only (L-063), but for a hold that the caller asked for by the header
 * X402-Hold: SECONDS: until then the payer's unsettled payments and other
 * holds leave room for this one (demands.md F2).
 */
#include "api/judging.h"
#include "x402/abi.h"

#include <stdio.h>
#include <stdlib.h>

/* A seller's handler that takes longer asks again. */
#define HOLD_MAX_S 600

struct verifying {
	struct fac_judging judging; /* first: the judging's done finds us */
	uint64_t hold_s;            /* 0: none was asked for */
	struct fac_store_hold hold;
	struct x402_buf calldata;
	bool held;
};

static void free_state(void *state)
{
	struct verifying *verifying = state;

	fac_judging_clear(&verifying->judging);
	x402_buf_clear(&verifying->calldata);
	free(verifying);
}

static enum x402_err add_hold(
	struct x402_json *json, const struct verifying *verifying)
{
	char until[FAC_ISO_TIME_SIZE];

	if (!verifying->held)
		return X402_OK;
	fac_iso_time(verifying->hold.until_ms, until);
	return x402_json_set_string(json, "heldUntil", until);
}

static struct x402_json *verdict_json(const struct fac_judging *judging)
{
	const struct x402_verdict *verdict = &judging->verdict;
	enum x402_retry retry = x402_reason_retry(verdict->reason);
	struct x402_json *json = x402_json_new_object();
	bool bad = !json || x402_json_set_bool(json, "isValid", verdict->valid);

	if (!bad && !verdict->valid) {
		const char *message = verdict->message[0]
			? verdict->message
			: x402_reason_text(verdict->reason);
		bad = x402_json_set_string(json, "invalidReason",
			      x402_reason_wire(verdict->reason)) ||
			x402_json_set_string(json, "invalidMessage", message);
	}
	if (!bad && verdict->payer[0])
		bad = x402_json_set_string(json, "payer", verdict->payer);
	if (!bad && !verdict->valid)
		bad = x402_json_set_string(
			      json, "retry", x402_retry_wire(retry)) ||
			x402_json_set_string(
				json, "requestId", judging->request->id);
	if (bad || add_hold(json, (const struct verifying *)judging)) {
		x402_json_unref(json);
		return NULL;
	}
	return json;
}

static void log_verdict(const struct fac_judging *judging)
{
	const struct x402_verdict *verdict = &judging->verdict;
	struct fac_log_line line;

	fac_log_begin(&line, judging->fault ? FAC_LOG_WARN : FAC_LOG_DEBUG,
		judging->fault ? "verify_fault" : "verified");
	fac_log_str(&line, "request", judging->request->id);
	fac_log_str(&line, "network", fac_judging_wire_network(judging));
	fac_log_str(&line, "payer", verdict->payer);
	fac_log_str(&line, "reason", x402_reason_wire(verdict->reason));
	fac_log_blame(&line, x402_reason_blame(verdict->reason));
	fac_log_str(&line, "text", verdict->message);
	fac_log_end(&line);
}

/* Most answers, so without a tree: a payer's address needs no escapes. */
static struct fac_step answer_valid(struct fac_judging *judging)
{
	static const char before[] = "{\"isValid\":true,\"payer\":\"";
	static const char after[] = "\"}";
	char text[sizeof(before) + sizeof(judging->verdict.payer) +
		sizeof(after)];

	stpcpy(stpcpy(stpcpy(text, before), judging->verdict.payer), after);
	return fac_reply_text(judging->request, 200, text);
}

static struct fac_step answer(struct fac_judging *judging)
{
	const struct verifying *verifying = (const void *)judging;

	log_verdict(judging);
	if (judging->verdict.valid && judging->verdict.payer[0] &&
		!verifying->held)
		return answer_valid(judging);
	return fac_reply(judging->request, 200, verdict_json(judging));
}

/* ---- 3 to 5. The hold. ---- */

static struct fac_step refuse_hold(struct verifying *verifying,
	enum x402_reason reason, const char *message)
{
	struct x402_verdict *verdict = &verifying->judging.verdict;

	verdict->valid = false;
	verdict->reason = reason;
	snprintf(verdict->message, sizeof(verdict->message), "%s", message);
	verifying->judging.fault = reason ==
		X402_REASON_UNEXPECTED_VERIFY_ERROR;
	return answer(&verifying->judging);
}

static void on_held(void *user, const struct fac_store_reply *reply)
{
	struct verifying *verifying = user;

	if (reply->err == X402_ERR_CONFLICT) {
		fac_end(refuse_hold(verifying, X402_REASON_DUPLICATE_SETTLEMENT,
			"this payment is in settlement, or was settled"));
	} else if (reply->err) {
		fac_end(refuse_hold(verifying,
			X402_REASON_UNEXPECTED_VERIFY_ERROR,
			"the hold could not be recorded"));
	} else if (!reply->claimed) {
		fac_end(refuse_hold(verifying,
			X402_REASON_EVM_INSUFFICIENT_BALANCE, reply->message));
	} else {
		verifying->held = true;
		fac_end(answer(&verifying->judging));
	}
}

static void on_balance(void *user, enum x402_err err,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	struct verifying *verifying = user;
	struct fac_request *request = verifying->judging.request;

	if (err || answers_len != 1 || answers[0].status != X402_ANSWER_OK ||
		x402_abi_read_u256(
			answers[0].data, 0, &verifying->hold.balance) ||
		request->app->stopping) {
		fac_end(refuse_hold(verifying,
			X402_REASON_UNEXPECTED_VERIFY_ERROR,
			"the payer's balance could not be read; nothing is "
			"held"));
		return;
	}
	fac_store_hold(request->app->store, &verifying->hold,
		(struct fac_store_to){request->app->loop, on_held, verifying});
}

static struct fac_step ask_balance(struct verifying *verifying)
{
	static const uint8_t balance_of[4] = {0x70, 0xa0, 0x82, 0x31};
	struct fac_judging *judging = &verifying->judging;
	struct fac_app *app = judging->request->app;
	uint64_t now_ms = fac_loop_now_ms(app->loop);
	struct x402_chain_read read = {
		.kind = X402_READ_CALL, .to = verifying->hold.asset};
	struct fac_chain_read_options options = FAC_CHAIN_READ_INIT;

	x402_abi_add_selector(&verifying->calldata, balance_of);
	x402_abi_add_address(&verifying->calldata, &verifying->hold.payer);
	if (verifying->calldata.failed)
		return fac_fail(judging->request, 500, "out of memory");
	read.data = x402_buf_span(&verifying->calldata);
	options.reads = &read;
	options.reads_len = 1;
	options.timeout_ms = judging->deadline_ms > now_ms
		? (uint32_t)(judging->deadline_ms - now_ms)
		: 1;
	fac_chain_read(judging->chain->chain, &options, on_balance, verifying);
	return fac_wait(judging->request);
}

/* What is held, and until when: never past the payment's own end. */
static enum x402_err fill_hold(struct verifying *verifying)
{
	struct fac_store_hold *hold = &verifying->hold;
	struct x402_settle_plan plan;
	uint64_t now_s = fac_unix_ms() / 1000;
	uint64_t end_s;
	enum x402_err err = x402_settle_plan(&verifying->judging.plan, &plan);

	if (err)
		return err;
	memcpy(hold->key32, plan.key.bytes, 32);
	memcpy(hold->network, plan.network.caip2, sizeof(hold->network));
	hold->asset = plan.asset_address;
	hold->payer = plan.payer;
	hold->amount = plan.amount;
	end_s = now_s + verifying->hold_s;
	if (plan.valid_before_unix_s < end_s)
		end_s = plan.valid_before_unix_s;
	hold->until_ms = end_s * 1000;
	x402_settle_plan_clear(&plan);
	return X402_OK;
}

/* ---- What was used here before, though the chain does not say so. ---- */

static struct fac_step go_on(struct verifying *verifying);

/*
 * A redemption that is on its way, or whose success nobody was told, may still
 * be asked for by /settle; one that was given up was never sent.
 */
static bool is_over(const struct fac_payment *payment)
{
	return payment->credited ||
		(fac_payment_is_final(payment->state) &&
			payment->state != FAC_PAYMENT_SETTLED &&
			payment->state != FAC_PAYMENT_PROVISIONED &&
			payment->state != FAC_PAYMENT_CANCELLED);
}

static void on_row(void *user, const struct fac_store_reply *reply)
{
	struct verifying *verifying = user;
	bool paid = verifying->judging.plan.paid;

	if (!reply->err && paid)
		fac_end(refuse_hold(verifying, X402_REASON_DUPLICATE_SETTLEMENT,
			"this transaction has paid for a purchase already"));
	else if (!reply->err && reply->payments_len &&
		is_over(&reply->payments[0]))
		fac_end(refuse_hold(verifying, X402_REASON_DUPLICATE_SETTLEMENT,
			"this permissionContext was used here before: each "
			"payment needs one of its own"));
	else if (!reply->err || reply->err == X402_ERR_NOT_FOUND)
		fac_end(paid ? answer(&verifying->judging) : go_on(verifying));
	else
		fac_end(refuse_hold(verifying,
			X402_REASON_UNEXPECTED_VERIFY_ERROR,
			"the journal did not answer; nothing is known about "
			"the payment"));
}

static struct fac_step ask_journal(struct verifying *verifying)
{
	struct fac_request *request = verifying->judging.request;
	struct x402_settle_key key;

	if (x402_verify_plan_key(&verifying->judging.plan, &key))
		return fac_fail(request, 500, "out of memory");
	fac_store_payment_get(request->app->store,
		(struct fac_payment_query){.key32 = key.bytes},
		(struct fac_store_to){request->app->loop, on_row, verifying});
	return fac_wait(request);
}

/* ---- 1 and 2. ---- */

static struct fac_step go_on(struct verifying *verifying)
{
	struct fac_judging *judging = &verifying->judging;

	if (!verifying->hold_s || judging->request->app->stopping)
		return answer(judging);
	if (judging->chain->network.family == X402_FAMILY_SVM)
		return fac_fail(judging->request, 400,
			"X402-Hold: payments on Solana are not held: a "
			"blockhash is gone before a hold would help");
	if (judging->plan.approval)
		return fac_fail(judging->request, 400,
			"X402-Hold: a payment that waits for its approval is "
			"not held");
	if (fill_hold(verifying))
		return fac_fail(judging->request, 500, "out of memory");
	return ask_balance(verifying);
}

static struct fac_step on_verdict(struct fac_judging *judging)
{
	struct verifying *verifying = (struct verifying *)judging;

	if (!judging->verdict.valid || judging->request->app->stopping ||
		!judging->chain)
		return answer(judging);
	return judging->plan.paid || judging->plan.may_repeat
		? ask_journal(verifying)
		: go_on(verifying);
}

/* False for a header that is there and is no number of seconds. */
static bool read_hold(const struct fac_request *request, uint64_t *ret_hold_s)
{
	const char *text = fac_request_header(request, "X402-Hold");
	struct x402_u256 value;

	*ret_hold_s = 0;
	return !text ||
		(!x402_u256_from_dec(text, &value) &&
			x402_u256_to_u64(&value, ret_hold_s) && *ret_hold_s &&
			*ret_hold_s <= HOLD_MAX_S);
}

struct fac_step fac_api_verify(struct fac_request *request)
{
	struct verifying *verifying = calloc(1, sizeof(*verifying));

	if (!verifying)
		return fac_fail(request, 500, "out of memory");
	request->state = verifying;
	request->state_free = free_state;
	if (!read_hold(request, &verifying->hold_s))
		return fac_fail(request, 400,
			"X402-Hold: expected a number of seconds from 1 to %d",
			HOLD_MAX_S);
	return fac_judging_start(&verifying->judging, request,
		request->app->settings.verify_deadline_ms, on_verdict);
}
