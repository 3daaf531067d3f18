/*
 * The dead letters of the web hooks.
 *
 *   GET /webhooks/dead               1. fac_api_dead_list   2. on_list
 *   POST /webhooks/dead/{id}/retry   1. fac_api_dead_retry  2. on_revived
 */
#include "ops/dead.h"

#include <stdio.h>

/* A page; with more the receiver, not the row, needs looking at. */
#define LIST_MAX 100

static struct x402_json *row_json(
	const struct fac_outbox_row *row, const struct fac_payment *payment)
{
	struct x402_json *json = x402_json_new_object();
	char type[40];
	char at[FAC_ISO_TIME_SIZE];

	snprintf(type, sizeof(type), "payment.%s",
		fac_payment_state_text(row->state));
	fac_iso_time(row->at_ms, at);
	if (!json || x402_json_set_int(json, "id", (int64_t)row->sequence) ||
		x402_json_set_string(json, "hook", row->hook) ||
		x402_json_set_string(json, "type", type) ||
		x402_json_set_string(json, "createdAt", at) ||
		x402_json_set_int(json, "tries", row->tries) ||
		x402_json_set_string(json, "error", row->error) ||
		(payment &&
			x402_json_set_string(json, "paymentId", payment->id))) {
		x402_json_unref(json);
		return NULL;
	}
	return json;
}

static struct x402_json *list_json(const struct fac_store_reply *reply)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_json *items = x402_json_new_array();

	for (size_t i = 0; items && i < reply->outbox_len; i++) {
		struct x402_json *row = row_json(&reply->outbox[i],
			i < reply->payments_len ? &reply->payments[i] : NULL);
		if (!row || x402_json_append_take(items, row)) {
			x402_json_unref(items);
			items = NULL;
		}
	}
	if (!json || x402_json_set_take(json, "items", items)) {
		x402_json_unref(json);
		return NULL;
	}
	return json;
}

static void on_list(void *user, const struct fac_store_reply *reply)
{
	struct fac_request *request = user;

	if (reply->err)
		fac_end(fac_fail(request, 503, "the store did not answer"));
	else
		fac_end(fac_reply(request, 200, list_json(reply)));
}

struct fac_step fac_api_dead_list(struct fac_request *request)
{
	struct fac_app *app = request->app;

	if (app->stopping)
		return fac_fail(request, 503, "the daemon is stopping");
	fac_store_outbox_dead(app->store, LIST_MAX,
		(struct fac_store_to){app->loop, on_list, request});
	return fac_wait(request);
}

static void on_revived(void *user, const struct fac_store_reply *reply)
{
	struct fac_request *request = user;

	if (reply->err == X402_ERR_NOT_FOUND)
		fac_end(fac_fail(request, 404, "no such dead delivery"));
	else if (reply->err)
		fac_end(fac_fail(request, 503, "the store did not answer"));
	else
		fac_end(fac_reply_text(request, 202, "{\"status\":\"due\"}"));
}

/* "{id}/retry", a number that a row may have. */
static bool read_sequence(const char *rest, uint64_t *ret_sequence)
{
	char digits[24];
	size_t len = rest ? strcspn(rest, "/") : 0;
	struct x402_u256 value;

	if (!len || len >= sizeof(digits) || strcmp(rest + len, "/retry"))
		return false;
	memcpy(digits, rest, len);
	digits[len] = '\0';
	return !x402_u256_from_dec(digits, &value) &&
		x402_u256_to_u64(&value, ret_sequence) &&
		*ret_sequence <= INT64_MAX;
}

struct fac_step fac_api_dead_retry(struct fac_request *request)
{
	struct fac_app *app = request->app;
	uint64_t sequence;

	if (!read_sequence(fac_request_path_rest(request, "/webhooks/dead/"),
		    &sequence))
		return fac_fail(
			request, 404, "expected /webhooks/dead/{id}/retry");
	if (app->stopping)
		return fac_fail(request, 503, "the daemon is stopping");
	fac_store_outbox_revive(app->store, sequence,
		(struct fac_store_to){app->loop, on_revived, request});
	return fac_wait(request);
}
