/*
 * receipt.c: after the payment has left, every answer is a claim by somebody
 * who has an interest. A claim of success must fit what was signed (network,
 * payer, amount, a transaction id that can be one); a claim of failure is
 * taken as "refused" only where the reason says that nothing can have moved.
 * Everything else is unknown, and unknown is never rounded to no.
 */
#include "challenge_p.h"
#include "receipt_p.h"
#include "text_p.h"

#include <stdlib.h>
#include <strings.h>

/* An id as explorers and RPC endpoints take it; else it is worth nothing. */
static bool is_transaction(const char *network, const char *text)
{
	if (strncmp(network, "eip155:", 7) == 0) {
		uint8_t hash32[32];
		return !x402_hex_decode_fixed(text, hash32, sizeof(hash32));
	}
	if (strncmp(network, "solana:", 7) == 0) {
		uint8_t signature64[64];
		return !x402_base58_decode(text, signature64, 64);
	}
	size_t len = strlen(text);
	if (len == 0 || len >= X402_CLIENT_TRANSACTION_SIZE)
		return false;
	for (; *text; text++) {
		char c = *text;
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z')))
			return false;
	}
	return true;
}

static bool is_same_network(const char *caip2, const char *said)
{
	if (strcmp(caip2, said) == 0)
		return true;
	const char *mapped = x402_network_from_v1_name(said);
	return mapped && strcmp(mapped, caip2) == 0;
}

/* F-079: upto that took nothing has no transaction. */
static bool took_nothing(const struct x402_client_payment *payment,
	const struct x402_settle_response *settle)
{
	return strcmp(payment->scheme, "upto") == 0 && settle->amount &&
		strcmp(settle->amount, "0") == 0 && !settle->transaction[0];
}

/* "" when the receipt fits what was signed, else the field that does not. */
static const char *find_contradiction(const struct x402_client_payment *payment,
	const struct x402_settle_response *settle)
{
	if (payment->network[0] &&
		(!settle->network ||
			!is_same_network(payment->network, settle->network)))
		return "network";
	if (!is_transaction(payment->network, settle->transaction) &&
		!took_nothing(payment, settle))
		return "transaction";
	if (settle->payer && payment->payer[0] &&
		strcasecmp(settle->payer, payment->payer) != 0)
		return "payer";
	if (settle->amount && payment->amount[0]) {
		struct x402_u256 said;
		struct x402_u256 signed_for;
		if (x402_u256_from_dec(settle->amount, &said) ||
			x402_u256_from_dec(payment->amount, &signed_for) ||
			x402_u256_cmp(&said, &signed_for) > 0)
			return "amount";
	}
	return "";
}

/* Reasons that leave open whether money moved, or say that it did. */
static bool is_undecided(enum x402_reason reason)
{
	return reason == X402_REASON_DUPLICATE_SETTLEMENT ||
		reason == X402_REASON_EVM_NONCE_ALREADY_USED ||
		reason == X402_REASON_PERMIT2_INVALID_NONCE ||
		reason == X402_REASON_UNEXPECTED_SETTLE_ERROR ||
		reason == X402_REASON_INVALID_TRANSACTION_STATE ||
		reason == X402_REASON_EVM_TRANSFER_EVENT_MISMATCH;
}

/* A refusal for this reason. hash: a transaction was named with it. */
static enum x402_client_cause judge_refusal(struct x402__flow *flow, bool hash)
{
	struct x402_client_payment *payment = &flow->payment;
	enum x402_reason reason = X402_REASON_NONE;
	bool known = x402_reason_from_wire(payment->reason, &reason);
	if (known && reason == X402_REASON_SETTLEMENT_PENDING) {
		payment->outcome = X402_CLIENT_OUTCOME_PENDING;
		return X402_CLIENT_CAUSE_PENDING;
	}
	bool reverted = known &&
		(reason == X402_REASON_EVM_TRANSACTION_FAILED ||
			reason == X402_REASON_SVM_TRANSACTION_FAILED);
	/* F-062: a hash beside any other reason may still confirm. */
	if ((known && is_undecided(reason)) || (hash && !reverted)) {
		payment->outcome = X402_CLIENT_OUTCOME_UNKNOWN;
		return X402_CLIENT_CAUSE_UNPROVEN;
	}
	/* After a lost reply the first presentation may have been settled,
	 * and the second is refused for just that: only the chain's own
	 * "reverted" proves the contrary. */
	if (flow->ambiguous && !reverted) {
		payment->outcome = X402_CLIENT_OUTCOME_UNKNOWN;
		return X402_CLIENT_CAUSE_UNPROVEN;
	}
	payment->outcome = X402_CLIENT_OUTCOME_REFUSED;
	if (known &&
		(reason == X402_REASON_INSUFFICIENT_FUNDS ||
			reason == X402_REASON_EVM_INSUFFICIENT_BALANCE ||
			reason == X402_REASON_PERMIT2_INSUFFICIENT_BALANCE))
		return X402_CLIENT_CAUSE_FUNDS;
	if (known && reason == X402_REASON_PERMIT2_ALLOWANCE_REQUIRED)
		return X402_CLIENT_CAUSE_PERMIT2;
	return X402_CLIENT_CAUSE_REFUSED;
}

static enum x402_client_cause judge_settle(struct x402__flow *flow,
	const struct x402_settle_response *settle, long status)
{
	struct x402_client_payment *payment = &flow->payment;
	bool hash = is_transaction(payment->network, settle->transaction);
	if (hash)
		x402__text_take(payment->transaction,
			sizeof(payment->transaction), settle->transaction);
	if (settle->success) {
		const char *field = find_contradiction(payment, settle);
		payment->receipt = *field ? X402_CLIENT_RECEIPT_CONTRADICTS
					  : X402_CLIENT_RECEIPT_FITS;
		if (!*field) {
			payment->outcome = X402_CLIENT_OUTCOME_PAID;
			payment->reason[0] = '\0';
			x402__text_take_id(payment->charged,
				sizeof(payment->charged),
				settle->amount ? settle->amount
					       : payment->amount);
			return X402_CLIENT_CAUSE_NONE;
		}
		x402_errinfo_set(&flow->error, field,
			"the receipt's %s is not what was paid", field);
		payment->outcome = X402_CLIENT_OUTCOME_UNKNOWN;
		return X402_CLIENT_CAUSE_UNPROVEN;
	}
	payment->receipt = X402_CLIENT_RECEIPT_FITS;
	x402__text_take(payment->reason, sizeof(payment->reason),
		settle->error_reason ? settle->error_reason : "");
	enum x402_client_cause cause = judge_refusal(flow, hash);
	if (status < 400 && cause != X402_CLIENT_CAUSE_PENDING) {
		/* Delivered, and yet not paid: one of the two is untrue. */
		payment->receipt = X402_CLIENT_RECEIPT_CONTRADICTS;
		payment->outcome = X402_CLIENT_OUTCOME_UNKNOWN;
		cause = X402_CLIENT_CAUSE_UNPROVEN;
	}
	if (settle->error_message)
		x402__text_take(flow->error.text, sizeof(flow->error.text),
			settle->error_message);
	return cause;
}

/* Is what was signed for still on offer? Unknown for a brought header. */
static bool is_still_offered(const struct x402__flow *flow,
	const struct x402_payment_required *required)
{
	if (!flow->offer_json)
		return true;
	for (size_t i = 0; i < required->accepts_len; i++)
		if (x402_json_equal(
			    required->accepts[i].json, flow->offer_json))
			return true;
	return false;
}

/* A second challenge (C-008): its error is the reason. */
static enum x402_client_cause judge_challenge(
	struct x402__flow *flow, const struct x402__message *message)
{
	struct x402_payment_required required = {0};
	if (x402__challenge_read(message, NULL, &required)) {
		flow->payment.outcome = flow->ambiguous
			? X402_CLIENT_OUTCOME_UNKNOWN
			: X402_CLIENT_OUTCOME_REFUSED;
		return flow->ambiguous ? X402_CLIENT_CAUSE_UNPROVEN
				       : X402_CLIENT_CAUSE_REFUSED;
	}
	x402__text_take(flow->payment.reason, sizeof(flow->payment.reason),
		required.error ? required.error : "");
	enum x402_client_cause cause = judge_refusal(flow, false);
	if (cause == X402_CLIENT_CAUSE_REFUSED &&
		!is_still_offered(flow, &required))
		cause = X402_CLIENT_CAUSE_PRICE_CHANGED;
	x402_payment_required_clear(&required);
	return cause;
}

static enum x402_client_cause judge_without_receipt(
	struct x402__flow *flow, const struct x402__message *message)
{
	struct x402_client_payment *payment = &flow->payment;
	if (message->status == 402)
		return judge_challenge(flow, message);
	if (message->status == 412) {
		enum x402_client_cause cause = judge_challenge(flow, message);
		/* C-067: whatever it says, this is what 412 is for. */
		if (cause == X402_CLIENT_CAUSE_REFUSED)
			cause = X402_CLIENT_CAUSE_PERMIT2;
		return cause;
	}
	payment->outcome = X402_CLIENT_OUTCOME_UNKNOWN;
	return X402_CLIENT_CAUSE_UNPROVEN;
}

enum x402_client_cause x402__receipt_judge(
	struct x402__flow *flow, const struct x402__message *message)
{
	struct x402_client_payment *payment = &flow->payment;
	/* C-006: the v2 name first, then v1's. */
	static const char *const names[] = {
		X402_HEADER_PAYMENT_RESPONSE, X402_HEADER_X_PAYMENT_RESPONSE};
	const char *text = NULL;
	size_t count = 0;
	for (size_t i = 0; i < 2 && count == 0; i++)
		text = x402__header_find(message->headers, message->headers_len,
			names[i], &count);
	if (count == 0) {
		payment->receipt = X402_CLIENT_RECEIPT_NONE;
		return judge_without_receipt(flow, message);
	}
	struct x402_settle_response settle = {0};
	if (count > 1 ||
		x402_settle_response_decode(
			x402_span_str(text), &flow->error, &settle)) {
		payment->receipt = X402_CLIENT_RECEIPT_MALFORMED;
		if (message->status == 402 || message->status == 412)
			flow->ambiguous = true;
		return judge_without_receipt(flow, message);
	}
	free(payment->settle_response_json);
	payment->settle_response_json = x402_json_dump(settle.json);
	enum x402_client_cause cause = judge_settle(
		flow, &settle, message->status);
	x402_settle_response_clear(&settle);
	if (flow->options->on_payment_response)
		flow->options->on_payment_response(
			flow->options->user, payment);
	return cause;
}
