/*
 * gate_end.c: the ways a request leaves the gate, and the bookkeeping that
 * each of them owes. Whoever refuses, for whatever reason, comes through here,
 * so that the claim on a payment is always ended and the right one of ANSWER
 * and WITHHOLD is said.
 */
#include "gate_p.h"

#include <stdlib.h>

void x402__gate_say(const struct x402_gate *gate, enum x402_gate_event event,
	const char *reason)
{
	const struct x402_provider_hooks *hooks = &gate->provider->hooks;

	if (hooks->event)
		hooks->event(hooks->user, gate, event, reason ? reason : "");
}

void x402__gate_end_claim(struct x402_gate *gate)
{
	enum x402_claim_end end = gate->settled ? X402_CLAIM_END_PAID
		: gate->maybe_moved             ? X402_CLAIM_END_UNKNOWN
						: X402_CLAIM_END_FORGET;

	if (!gate->claimed)
		return;
	gate->claimed = false;
	x402__gate_remember_end(gate, end);
	if (end == X402_CLAIM_END_FORGET)
		x402__identifier_give_back(gate);
	if (end == X402_CLAIM_END_PAID)
		x402__gate_say(gate, X402_GATE_EVENT_UNDELIVERED, "");
}

/* Nothing runs and nothing leaves: before the handler an ANSWER, after it the
 * order to throw its response away. */
static enum x402_gate_action refusal(const struct x402_gate *gate)
{
	return gate->state == X402__GATE_SETTLING ||
			gate->state == X402__GATE_HANDLER
		? X402_GATE_WITHHOLD
		: X402_GATE_ANSWER;
}

void x402__gate_end_error(struct x402_gate *gate, unsigned status,
	const char *text, struct x402_gate_decision *ret_decision)
{
	enum x402_gate_action action = refusal(gate);

	x402__gate_end_claim(gate);
	gate->state = X402__GATE_DONE;
	x402__gate_answer_error(gate, action, status, text, ret_decision);
}

void x402__gate_end_challenge(struct x402_gate *gate, const char *reason,
	struct x402_gate_decision *ret_decision)
{
	enum x402_gate_action action = refusal(gate);

	x402__gate_end_claim(gate);
	gate->state = X402__GATE_DONE;
	x402__gate_answer_challenge(gate, action, reason, ret_decision);
}

/* P-127: down, slow, or not speaking sense. Details are for the log only. */
void x402__gate_end_fault(struct x402_gate *gate, const char *what,
	struct x402_gate_decision *ret_decision)
{
	x402__gate_say(gate, X402_GATE_EVENT_FAULT, what);
	x402__gate_end_error(gate, 502, "the facilitator gave no usable answer",
		ret_decision);
}

/* P-126. True when the hook has ended the request. */
bool x402__gate_aborted(struct x402_gate *gate,
	const char *(*hook)(void *, const struct x402_gate *),
	struct x402_gate_decision *ret_decision)
{
	const char *reason = hook ? hook(gate->provider->hooks.user, gate)
				  : NULL;

	if (!reason)
		return false;
	x402__gate_say(gate, X402_GATE_EVENT_REFUSED, reason);
	x402__gate_end_error(gate, 403, reason, ret_decision);
	return true;
}

/* What a stranger's reason may look like in our answer. */
const char *x402__reason_or(const char *reason, enum x402_reason fallback)
{
	if (!reason || !*reason || strlen(reason) > X402__REASON_MAX)
		return x402_reason_wire(fallback);
	return reason;
}

/* The receipt as it came; an oversized one is cut to what the protocol names.
 */
char *x402__gate_receipt(const struct x402_settle_response *response)
{
	struct x402_settle_response lean = {
		.success = response->success,
		.error_reason = x402__reason_or(response->error_reason,
			X402_REASON_UNEXPECTED_SETTLE_ERROR),
		.transaction = response->transaction,
		.network = response->network,
		.payer = response->payer,
	};
	char *text = NULL;
	enum x402_err err = x402_settle_response_encode(response, &text);

	if (lean.success)
		lean.error_reason = NULL;
	if (err == X402_ERR_TOO_LARGE &&
		x402_settle_response_encode(&lean, &text) != X402_OK)
		return NULL;
	return text;
}

/* 402 with a settlement that did not happen, or not yet (P-141, P-160). */
void x402__gate_end_unsettled(struct x402_gate *gate, const char *reason,
	const struct x402_settle_response *response,
	struct x402_gate_decision *ret_decision)
{
	enum x402_gate_action action = refusal(gate);
	char *receipt = x402__gate_receipt(response);

	if (!receipt) {
		x402__gate_end_error(gate, 500, "out of memory", ret_decision);
		return;
	}
	x402__gate_end_claim(gate);
	gate->state = X402__GATE_DONE;
	x402__gate_answer_unsettled(
		gate, action, receipt, reason, ret_decision);
	(void)x402__gate_keep(gate, receipt);
}

void x402__gate_post(struct x402_gate *gate, enum x402__gate_state state,
	struct x402_gate_decision *ret_decision)
{
	bool settle = state != X402__GATE_VERIFYING;

	/* Asked before under this name, perhaps; a repetition keeps it. */
	if (settle && !x402__identifier_take(gate)) {
		x402__gate_end_error(gate, 409,
			"this payment-identifier is another payment's",
			ret_decision);
		return;
	}
	if (settle && !x402__gate_remember_asking(gate)) {
		x402__gate_end_error(gate, 503,
			"the payment could not be written down", ret_decision);
		return;
	}
	/* The body of /verify said what was offered. */
	if (settle && strcmp(gate->amount, gate->v2.amount) != 0) {
		free(gate->ask_body);
		gate->ask_body = NULL;
	}
	if (!x402__gate_ask(gate, settle, ret_decision)) {
		x402__gate_end_error(gate, 500, "out of memory", ret_decision);
		return;
	}
	/* From here on money may move without our knowing. */
	if (settle)
		gate->maybe_moved = true;
	gate->state = state;
}

void x402__gate_run_handler(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	x402__gate_start(gate, X402_GATE_RUN_HANDLER, ret_decision);
	gate->state = X402__GATE_HANDLER;
	gate->access = X402_GATE_ACCESS_PAID;
}
