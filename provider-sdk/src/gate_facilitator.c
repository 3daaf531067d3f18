/*
 * gate_facilitator.c: what the facilitator says, and how far it is believed.
 *
 *   x402_gate_on_facilitator()  transport, redirects, JSON
 *     on_verified()             handler, or 402 with the reason
 *     on_settled()              settlement_proven(): deliver
 *                               on_pending(): once more, then 402 (P-160)
 *                               a no: 402 with the receipt (P-141)
 *
 * A yes must name our payment and must not contradict itself; anything else is
 * a 502 and nothing is given away (P-127, P-145).
 */
#include "crawler_p.h"
#include "siwx_p.h"

#include <stdlib.h>
#include <strings.h>

static bool is_success(unsigned status)
{
	return status >= 200 && status < 300;
}

/* The payer, where it is named, is the one who signed. */
static bool payer_agrees(const struct x402_gate *gate, const char *payer)
{
	struct x402_address address;

	/* A proof that nobody signed: who paid is the chain's to say. */
	if (!*gate->payer)
		return true;
	if (gate->is_svm)
		return !payer || !*payer || strcmp(payer, gate->payer) == 0;
	return !payer || !*payer ||
		(x402_address_parse(payer, &address) == X402_OK &&
			x402_address_equal(&address, &gate->from));
}

/* How long a facilitator that was down is asked last. */
#define SHUNNED_S 15

size_t x402__gate_pick_facilitator(const struct x402_gate *gate)
{
	const struct x402_provider *provider = gate->provider;

	for (size_t i = 0; i < provider->facilitators_len; i++)
		if (!(gate->asked >> i & 1) &&
			__atomic_load_n(
				&provider->facilitators[i].shunned_until_s,
				__ATOMIC_RELAXED) <= gate->now_unix_s)
			return i;
	/* All are shunned: in order. */
	for (size_t i = 0; i < provider->facilitators_len; i++)
		if (!(gate->asked >> i & 1))
			return i;
	return 0;
}

/*
 * No usable answer. Nothing can have moved while it was asked to verify, so
 * the next one may be asked (demands.md P13); never when it was asked to
 * settle.
 */
static void on_fault(struct x402_gate *gate, const char *what,
	struct x402_gate_decision *ret_decision)
{
	struct x402_provider *provider = gate->provider;

	__atomic_store_n(
		&provider->facilitators[gate->facilitator].shunned_until_s,
		gate->now_unix_s + SHUNNED_S, __ATOMIC_RELAXED);
	gate->asked |= 1u << gate->facilitator;
	if (gate->state != X402__GATE_VERIFYING ||
		gate->asked == (1u << provider->facilitators_len) - 1) {
		x402__gate_end_fault(gate, what, ret_decision);
		return;
	}
	x402__gate_say(gate, X402_GATE_EVENT_FAULT, what);
	gate->facilitator = x402__gate_pick_facilitator(gate);
	free(gate->ask_url);
	gate->ask_url = NULL;
	gate->redirects = 0;
	x402__gate_post(gate, X402__GATE_VERIFYING, ret_decision);
}

/* Not about the payment: this facilitator cannot, another one may. */
static bool is_incapable(const char *reason)
{
	static const enum x402_reason incapable[] = {
		X402_REASON_UNEXPECTED_VERIFY_ERROR,
		X402_REASON_UNSUPPORTED_SCHEME, X402_REASON_INVALID_NETWORK};

	for (size_t i = 0; i < sizeof(incapable) / sizeof(incapable[0]); i++)
		if (strcmp(reason, x402_reason_wire(incapable[i])) == 0)
			return true;
	return false;
}

static void on_verified(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	const struct x402_json *json, struct x402_gate_decision *ret_decision)
{
	struct x402_verify_response response = {0};
	const char *reason;

	if (x402_verify_response_read(json, NULL, &response) != X402_OK) {
		on_fault(gate, "verify: not a VerifyResponse", ret_decision);
		return;
	}
	if (!response.is_valid) {
		reason = x402__reason_or(response.invalid_reason,
			X402_REASON_UNEXPECTED_VERIFY_ERROR);
		gate->asked |= 1u << gate->facilitator;
		if (is_incapable(reason) &&
			gate->asked !=
				(1u << gate->provider->facilitators_len) - 1) {
			on_fault(gate, reason, ret_decision);
		} else {
			x402__gate_say(gate, X402_GATE_EVENT_REFUSED, reason);
			x402__gate_end_challenge(gate, reason, ret_decision);
		}
	} else if (!is_success(answer->status) ||
		!payer_agrees(gate, response.payer) ||
		(response.invalid_reason && *response.invalid_reason)) {
		/* It says yes and no at once, or yes to somebody else. */
		on_fault(gate, "verify: contradicts itself or the payment",
			ret_decision);
	} else if (gate->route->settle == X402_PROVIDER_SETTLE_RESERVE &&
		!x402_json_get_string(json, "heldUntil")) {
		on_fault(gate, "verify: the amount is not held for us",
			ret_decision);
	} else {
		x402__gate_say(gate, X402_GATE_EVENT_VERIFIED, "");
		if (!x402__gate_aborted(gate,
			    gate->provider->hooks.after_verify, ret_decision))
			x402__gate_run_handler(gate, ret_decision);
	}
	x402_verify_response_clear(&response);
}

/* The network of the payment, as either version writes it. */
static bool network_agrees(const struct x402_gate *gate, const char *network)
{
	if (!network)
		return false;
	if (strcmp(network, gate->request.requirements.network) == 0)
		return true;
	return gate->version == X402_V1 &&
		strcmp(network, gate->v2.network) == 0;
}

/*
 * A yes that is worth content: this network, a transaction, this payer, this
 * amount, and no word of doubt (P-145; the facilitator may lie).
 */
static bool settlement_proven(const struct x402_gate *gate, unsigned status,
	const struct x402_settle_response *response)
{
	/* F-079: nothing used, nothing sent. */
	bool nothing = x402__charges_nothing(gate);

	return is_success(status) && (nothing || *response->transaction) &&
		strlen(response->transaction) <= X402__REASON_MAX &&
		network_agrees(gate, response->network) &&
		payer_agrees(gate, response->payer) &&
		(!response->amount ||
			strcmp(response->amount, gate->amount) == 0) &&
		(!response->error_reason || !*response->error_reason);
}

static void on_success(struct x402_gate *gate,
	const struct x402_settle_response *response,
	struct x402_gate_decision *ret_decision)
{
	bool first = gate->state == X402__GATE_SETTLING_FIRST;

	gate->settled = true;
	/* Without room for ours the settlement's own is still a receipt. */
	if (gate->provider->secp)
		gate->receipt = x402__sign_receipt(gate, response);
	if (!gate->receipt)
		gate->receipt = x402__gate_receipt(response);
	gate->transaction = strdup(response->transaction);
	if (!gate->receipt) {
		/* Paid, and the buyer may come again for it. */
		x402__gate_end_error(gate, 500, "out of memory", ret_decision);
		return;
	}
	x402__gate_remember_settled(gate);
	x402__gate_say(gate, X402_GATE_EVENT_SETTLED, "");
	if (first) {
		x402__gate_run_handler(gate, ret_decision);
		return;
	}
	x402__replay_store(gate);
	gate->state = X402__GATE_DELIVERING;
	x402__gate_answer_deliver(gate, gate->cache_control, ret_decision);
}

static void on_pending(struct x402_gate *gate,
	const struct x402_settle_response *response,
	struct x402_gate_decision *ret_decision)
{
	/* P-160: the same body once more; the facilitator waits as long
	 * again. */
	if (!gate->pending_retried) {
		gate->pending_retried = true;
		gate->asked_before = true;
		x402__gate_post(gate, gate->state, ret_decision);
	} else if (!*response->transaction ||
		strlen(response->transaction) > X402__REASON_MAX) {
		x402__gate_end_fault(gate,
			"settle: pending without a transaction", ret_decision);
	} else {
		x402__gate_say(gate, X402_GATE_EVENT_UNSETTLED,
			x402_reason_wire(X402_REASON_SETTLEMENT_PENDING));
		x402__gate_end_unsettled(gate,
			x402_reason_wire(X402_REASON_SETTLEMENT_PENDING),
			response, ret_decision);
	}
}

/* Does a refusal say that the money stays where it is? A fault of the
 * facilitator's own does not, nor does a word that nobody knows (R9). */
static bool is_final(const char *reason)
{
	enum x402_reason code;
	enum x402_retry retry;

	if (!x402_reason_from_wire(reason, &code))
		return false;
	retry = x402_reason_retry(code);
	return retry == X402_RETRY_NEVER || retry == X402_RETRY_FRESH;
}

static void on_settled(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	const struct x402_json *json, struct x402_gate_decision *ret_decision)
{
	struct x402_settle_response response = {0};
	const char *reason;

	if (x402_settle_response_read(json, NULL, &response) != X402_OK) {
		x402__gate_end_fault(
			gate, "settle: not a SettleResponse", ret_decision);
		return;
	}
	reason = x402__reason_or(
		response.error_reason, X402_REASON_UNEXPECTED_SETTLE_ERROR);
	if (response.success) {
		gate->maybe_moved = true; /* whatever its status says */
		if (settlement_proven(gate, answer->status, &response))
			on_success(gate, &response, ret_decision);
		else
			x402__gate_end_fault(gate,
				"settle: a success that proves "
				"nothing",
				ret_decision);
	} else if (strcmp(reason,
			   x402_reason_wire(X402_REASON_SETTLEMENT_PENDING)) ==
		0) {
		on_pending(gate, &response, ret_decision);
	} else {
		/* Who was asked twice may call his own first try a duplicate,
		 * or its money a lack of funds: not forgotten. */
		gate->maybe_moved = gate->asked_before || !is_final(reason);
		x402__gate_say(gate, X402_GATE_EVENT_UNSETTLED, reason);
		x402__gate_end_unsettled(gate, reason, &response, ret_decision);
	}
	x402_settle_response_clear(&response);
}

/*
 * Who was asked to settle has not heard of it, or has turned it away unread
 * (429): the money is where it was. Else every payment that a stranger signs
 * while a facilitator is down would have to be remembered, and what remembers
 * has an end. Not when it was sent before, nor when a redirect has led on.
 */
static bool cannot_have_moved(const struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer)
{
	if (gate->asked_before || gate->redirects > 0)
		return false;
	return answer->transport != X402_OK ? answer->unsent
					    : answer->status == 429;
}

void x402_gate_on_facilitator(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	struct x402_gate_decision *ret_decision)
{
	bool verify = gate->state == X402__GATE_VERIFYING;
	struct x402_json *json = NULL;

	if (answer->now_unix_s)
		gate->now_unix_s = answer->now_unix_s;
	if (gate->state == X402__GATE_CRAWLER) {
		x402__crawler_answered(gate, answer, ret_decision);
		return;
	}
	if (gate->state == X402__GATE_SIWX) {
		x402__siwx_answered(gate, answer, ret_decision);
		return;
	}
	if (gate->state == X402__GATE_HOLDER) {
		x402__holder_answered(gate, answer, ret_decision);
		return;
	}
	/* Called out of turn: closed, as everything else. */
	if (!verify && gate->state != X402__GATE_SETTLING &&
		gate->state != X402__GATE_SETTLING_FIRST) {
		x402__gate_end_error(gate, 500, "out of turn", ret_decision);
		return;
	}
	if (!verify && cannot_have_moved(gate, answer))
		gate->maybe_moved = false;
	if (answer->transport != X402_OK) {
		on_fault(gate, x402_err_text(answer->transport), ret_decision);
		return;
	}
	/* P-101. Only these two keep method and body. */
	if ((answer->status == 307 || answer->status == 308) &&
		x402__gate_follow(gate, answer->location, !verify)) {
		x402__gate_post(gate, gate->state, ret_decision);
		return;
	}
	if (answer->status >= 300 && answer->status < 400) {
		on_fault(gate, "redirected where we do not go", ret_decision);
		return;
	}
	if (x402_json_parse(answer->body, NULL, NULL, &json) != X402_OK) {
		on_fault(gate, "not JSON", ret_decision);
		return;
	}
	if (verify)
		on_verified(gate, answer, json, ret_decision);
	else
		on_settled(gate, answer, json, ret_decision);
	x402_json_unref(json);
}
