/*
 * GET /payments/{id} (demands.md F1): what the journal knows of a payment.
 *
 *   1. fac_api_payment    id: 32 hex digits (paymentId of an answer), or a
 *                         transaction hash
 *   2. on_payment         state and history, or 404
 *
 * An id is random and was given to the caller of /settle only; a hash is
 * public together with everything that is told here.
 */
#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>

static enum x402_err set_time(
	struct x402_json *json, const char *key, uint64_t unix_ms)
{
	char text[FAC_ISO_TIME_SIZE];

	fac_iso_time(unix_ms, text);
	return x402_json_set_string(json, key, text);
}

static enum x402_err set_optional(
	struct x402_json *json, const char *key, const char *text)
{
	return text && *text ? x402_json_set_string(json, key, text) : X402_OK;
}

static struct x402_json *history_json(const struct fac_store_reply *reply)
{
	struct x402_json *array = x402_json_new_array();

	for (size_t i = 0; array && i < reply->events_len; i++) {
		const struct fac_payment_event *event = &reply->events[i];
		struct x402_json *json = x402_json_new_object();
		if (!json ||
			x402_json_set_string(json, "state",
				fac_payment_state_text(event->state)) ||
			set_time(json, "at", event->at_ms) ||
			set_optional(json, "note", event->note)) {
			x402_json_unref(json);
			x402_json_unref(array);
			return NULL;
		}
		if (x402_json_append_take(array, json)) {
			x402_json_unref(array);
			return NULL;
		}
	}
	return array;
}

static enum x402_err add_terms(
	struct x402_json *json, const struct fac_payment *payment)
{
	char payer[X402_ADDRESS_TEXT_SIZE];
	char pay_to[X402_ADDRESS_TEXT_SIZE];
	char asset[X402_ADDRESS_TEXT_SIZE];
	char amount[X402_U256_DEC_SIZE];
	char valid_before[24];

	x402_address_format(&payment->proof.from, payer);
	x402_address_format(&payment->proof.to, pay_to);
	x402_address_format(&payment->proof.asset, asset);
	x402_u256_to_dec(&payment->proof.value, amount);
	snprintf(valid_before, sizeof(valid_before), "%llu",
		(unsigned long long)payment->valid_before_unix_s);
	if (x402_json_set_string(json, "scheme", payment->scheme) ||
		x402_json_set_string(json, "network", payment->network) ||
		x402_json_set_string(json, "payer", payer) ||
		x402_json_set_string(json, "payTo", pay_to) ||
		x402_json_set_string(json, "asset", asset) ||
		x402_json_set_string(json, "amount", amount) ||
		x402_json_set_string(json, "validBefore", valid_before))
		return X402_ERR_NOMEM;
	return X402_OK;
}

static struct x402_json *payment_json(const struct fac_store_reply *reply)
{
	const struct fac_payment *payment = &reply->payments[0];
	struct x402_json *json = x402_json_new_object();

	if (!json || x402_json_set_string(json, "paymentId", payment->id) ||
		x402_json_set_string(json, "state",
			fac_payment_state_text(payment->state)) ||
		x402_json_set_bool(
			json, "final", fac_payment_is_final(payment->state)) ||
		x402_json_set_int(json, "x402Version", payment->x402_version) ||
		add_terms(json, payment) ||
		x402_json_set_string(
			json, "transaction", payment->transaction) ||
		(payment->block_number &&
			x402_json_set_int(json, "blockNumber",
				(int64_t)payment->block_number)) ||
		set_optional(json, "errorReason",
			x402_reason_wire(payment->reason)) ||
		set_optional(json, "errorMessage", payment->message) ||
		set_time(json, "createdAt", payment->created_ms) ||
		set_time(json, "updatedAt", payment->updated_ms) ||
		x402_json_set_take(json, "history", history_json(reply))) {
		x402_json_unref(json);
		return NULL;
	}
	return json;
}

static void on_payment(void *user, const struct fac_store_reply *reply)
{
	struct fac_request *request = user;

	if (reply->err == X402_ERR_NOT_FOUND)
		fac_end(fac_fail(request, 404, "no such payment here"));
	else if (reply->err || !reply->payments_len)
		fac_end(fac_fail(request, 503, "the store did not answer"));
	else
		fac_end(fac_reply(request, 200, payment_json(reply)));
}

static bool is_hex(const char *text, size_t len)
{
	return strlen(text) == len &&
		strspn(text, "0123456789abcdefABCDEF") == len;
}

struct fac_step fac_api_payment(struct fac_request *request)
{
	struct fac_app *app = request->app;
	const char *id = fac_request_path_rest(request, "/payments/");
	struct fac_payment_query query = {0};
	char lower[FAC_HASH_TEXT_SIZE];

	if (id && is_hex(id, FAC_PAYMENT_ID_SIZE - 1))
		query.id = lower;
	else if (id && !strncmp(id, "0x", 2) && is_hex(id + 2, 64))
		query.transaction = lower;
	else
		return fac_fail(request, 400,
			"expected /payments/ and a paymentId of 32 hex digits "
			"or a transaction hash");
	if (app->stopping)
		return fac_fail(request, 503, "the daemon is stopping");
	size_t len = strlen(id);
	for (size_t i = 0; i <= len; i++)
		lower[i] = id[i] >= 'A' && id[i] <= 'F' ? (char)(id[i] + 32)
							: id[i];
	fac_store_payment_get(app->store, query,
		(struct fac_store_to){app->loop, on_payment, request});
	return fac_wait(request);
}
