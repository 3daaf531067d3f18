/*
 * GET /payments/{id} (demands.md F1): what the journal knows of a payment.
 *
 *   1. fac_api_payment    id: 32 hex digits (paymentId of an answer), the hash
 *                         of one of its transactions, or on Solana a
 *                         reference that it carries
 *   2. on_payment         state and history, or 404; of a batch's hash, the
 *                         first payment's, and all of them in "payments"
 *   3. fac_watch_begin    ?wait=SECONDS: once the state is another one;
 *                         /events or Accept: text/event-stream: each state
 *
 * An id cannot be guessed and was given to the caller of /settle only; a hash
 * is public together with everything that is told here.
 */
#include "api/payments.h"

#include "api/watch.h"
#include "x402/encoding.h"

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
	struct x402_settle_parties parties = x402_settle_proof_parties(
		&payment->proof);
	bool is_svm = payment->proof.family == X402_FAMILY_SVM;
	char amount[X402_U256_DEC_SIZE];
	char valid_before[24];

	x402_u256_to_dec(&payment->proof.value, amount);
	snprintf(valid_before, sizeof(valid_before), "%llu",
		(unsigned long long)payment->valid_before_unix_s);
	if (x402_json_set_string(json, "scheme", payment->scheme) ||
		x402_json_set_string(json, "network", payment->network) ||
		x402_json_set_string(json, "payer", parties.payer) ||
		x402_json_set_string(json, "payTo", parties.pay_to) ||
		x402_json_set_string(json, "asset", parties.asset) ||
		x402_json_set_string(json, "amount", amount) ||
		/* Solana: a blockhash ends it, at no known time. */
		(!is_svm &&
			x402_json_set_string(
				json, "validBefore", valid_before)))
		return X402_ERR_NOMEM;
	return X402_OK;
}

struct x402_json *fac_payment_event_json(
	const struct fac_store_reply *reply, size_t index)
{
	const struct fac_payment *payment = &reply->payments[0];
	const struct fac_payment_event *event = &reply->events[index];
	struct x402_json *json = x402_json_new_object();
	char transaction[FAC_TRANSACTION_TEXT_SIZE];

	fac_payment_transaction_text(payment, transaction);
	if (!json || x402_json_set_string(json, "paymentId", payment->id) ||
		x402_json_set_string(
			json, "state", fac_payment_state_text(event->state)) ||
		x402_json_set_bool(
			json, "final", fac_payment_is_final(event->state)) ||
		set_time(json, "at", event->at_ms) ||
		set_optional(json, "note", event->note) ||
		set_optional(json, "transaction", transaction)) {
		x402_json_unref(json);
		return NULL;
	}
	return json;
}

static struct x402_json *payment_json(const struct fac_payment *payment)
{
	struct x402_json *json = x402_json_new_object();
	char transaction[FAC_TRANSACTION_TEXT_SIZE];

	fac_payment_transaction_text(payment, transaction);
	if (!json || x402_json_set_string(json, "paymentId", payment->id) ||
		x402_json_set_string(json, "state",
			fac_payment_state_text(payment->state)) ||
		x402_json_set_bool(
			json, "final", fac_payment_is_final(payment->state)) ||
		x402_json_set_int(json, "x402Version", payment->x402_version) ||
		add_terms(json, payment) ||
		x402_json_set_string(json, "transaction", transaction) ||
		(payment->block_number &&
			x402_json_set_int(json, "blockNumber",
				(int64_t)payment->block_number)) ||
		set_optional(json, "errorReason",
			x402_reason_wire(payment->reason)) ||
		set_optional(json, "errorMessage", payment->message) ||
		set_time(json, "createdAt", payment->created_ms) ||
		set_time(json, "updatedAt", payment->updated_ms)) {
		x402_json_unref(json);
		return NULL;
	}
	return json;
}

/* All payments of a transaction, the first one too; without histories. */
static struct x402_json *batch_json(const struct fac_store_reply *reply)
{
	struct x402_json *array = x402_json_new_array();

	for (size_t i = 0; array && i < reply->payments_len; i++) {
		struct x402_json *json = payment_json(&reply->payments[i]);

		if (!json || x402_json_append_take(array, json)) {
			x402_json_unref(array);
			return NULL;
		}
	}
	return array;
}

struct x402_json *fac_payment_json(const struct fac_store_reply *reply)
{
	struct x402_json *json = payment_json(&reply->payments[0]);

	if (!json || x402_json_set_take(json, "history", history_json(reply)) ||
		(reply->payments_len > 1 &&
			x402_json_set_take(
				json, "payments", batch_json(reply)))) {
		x402_json_unref(json);
		return NULL;
	}
	return json;
}

/* ---- 2. Found, or not. ---- */

/* The request's state until the store has answered. */
struct asking {
	bool events;
	bool has_seen;
	enum fac_payment_state seen;
	uint64_t wait_ms;
	size_t next_event;
};

static void on_payment(void *user, const struct fac_store_reply *reply)
{
	struct fac_request *request = user;
	struct asking *asking = request->state;

	if (reply->err == X402_ERR_NOT_FOUND) {
		fac_end(fac_fail(request, 404, "no such payment here"));
		return;
	}
	if (reply->err || !reply->payments_len) {
		fac_end(fac_fail(request, 503, "the store did not answer"));
		return;
	}
	if (!asking->events && !asking->wait_ms) {
		fac_end(fac_reply(request, 200, fac_payment_json(reply)));
		return;
	}
	struct fac_watch_options options = {
		.events = asking->events,
		.seen = asking->has_seen ? asking->seen
					 : reply->payments[0].state,
		.wait_ms = asking->wait_ms,
		.next_event = asking->next_event,
	};
	request->state = NULL;
	free(asking);
	fac_end(fac_watch_begin(request, &options, reply));
}

/* ---- 1. What is asked. ---- */

#define BAD_ID                                                                \
	"expected /payments/ and a paymentId of 32 hex digits, a "            \
	"transaction (0x and 64, or a Solana signature), the SHA-256 of the " \
	"payment payload (64), or a Solana Pay reference"

/* Hex in lower case, and without the "/events" behind it. */
static bool read_id(const struct fac_request *request,
	char ret_id[FAC_TRANSACTION_TEXT_SIZE], bool *ret_events)
{
	static const char events[] = "/events";
	const char *rest = fac_request_path_rest(request, "/payments/");
	size_t len = rest ? strcspn(rest, "/") : 0;
	bool hex;

	if (!len || len >= FAC_TRANSACTION_TEXT_SIZE ||
		(rest[len] && strcmp(rest + len, events)))
		return false;
	*ret_events = rest[len];
	/* All else is base58, where case counts. */
	hex = strspn(rest, "x0123456789abcdefABCDEF") >= len;
	for (size_t i = 0; i < len; i++)
		ret_id[i] = hex && rest[i] >= 'A' && rest[i] <= 'F'
			? (char)(rest[i] + 32)
			: rest[i];
	ret_id[len] = '\0';
	return true;
}

static bool is_hex(const char *text, size_t len)
{
	return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

static bool read_hash(const char *id, uint8_t ret_hash32[32])
{
	char text[FAC_HASH_TEXT_SIZE] = "0x";

	if (!is_hex(id, 64))
		return false;
	memcpy(text + 2, id, 65);
	return x402_hex_decode_fixed(text, ret_hash32, 32) == X402_OK;
}

/* The hash is borrowed by the query. */
static bool read_query(const char *id, uint8_t ret_hash32[32],
	struct fac_payment_query *ret_query)
{
	if (is_hex(id, FAC_PAYMENT_ID_SIZE - 1))
		ret_query->id = id;
	else if (fac_transaction_text_hash(id, ret_hash32))
		ret_query->transaction32 = ret_hash32;
	else if (read_hash(id, ret_hash32))
		ret_query->payload_hash32 = ret_hash32;
	else if (!x402_base58_decode(id, ret_hash32, 32))
		ret_query->reference32 = ret_hash32;
	else
		return false;
	return true;
}

/* Decimal digits alone; false for all else, also for a number too large. */
static bool read_number(const char *text, uint64_t *ret_number)
{
	struct x402_u256 value;

	return !x402_u256_from_dec(text, &value) &&
		x402_u256_to_u64(&value, ret_number);
}

static bool read_wait(const struct fac_request *request, struct asking *asking)
{
	bool bad = false;
	char *wait = fac_request_query(request, "wait", &bad);
	char *state = fac_request_query(request, "state", &bad);
	uint64_t seconds = 0;

	if (wait &&
		(!read_number(wait, &seconds) || !seconds ||
			seconds > FAC_WATCH_POLL_MAX_S))
		bad = true;
	if (state && !fac_payment_state_parse(state, &asking->seen))
		bad = true;
	asking->has_seen = state;
	asking->wait_ms = seconds * 1000;
	free(wait);
	free(state);
	return !bad;
}

/* A browser says which event it saw last; another text means none. */
static void read_events(
	const struct fac_request *request, struct asking *asking)
{
	const char *accept = fac_request_header(request, "Accept");
	const char *last = fac_request_header(request, "Last-Event-ID");
	uint64_t index;

	if (accept && strstr(accept, "text/event-stream"))
		asking->events = true;
	if (last && read_number(last, &index) && index < UINT32_MAX)
		asking->next_event = (size_t)index + 1;
}

struct fac_step fac_api_payment(struct fac_request *request)
{
	struct fac_app *app = request->app;
	struct fac_payment_query query = {0};
	char id[FAC_TRANSACTION_TEXT_SIZE];
	uint8_t hash32[32];
	struct asking *asking = calloc(1, sizeof(*asking));

	if (!asking)
		return fac_fail(request, 500, "out of memory");
	request->state = asking;
	request->state_free = free;
	if (!read_id(request, id, &asking->events) ||
		!read_query(id, hash32, &query))
		return fac_fail(request, 400, BAD_ID);
	if (!read_wait(request, asking))
		return fac_fail(request, 400,
			"expected wait=1 to %d seconds, and state= a state of "
			"a payment",
			FAC_WATCH_POLL_MAX_S);
	read_events(request, asking);
	if (app->stopping)
		return fac_fail(request, 503, "the daemon is stopping");
	fac_store_payment_get(app->store, query,
		(struct fac_store_to){app->loop, on_payment, request});
	return fac_wait(request);
}
