/*
 * POST /settle (x402 F-002, F-012, F-050 to F-064).
 *
 *   1. fac_api_settle       read the idempotency key, start judging
 *   2. on_verdict           valid: go to 3; refused: go to 4
 *   2a. sponsor             valid once the payer's approval is mined: send
 *                           it (sponsor.c), and judge anew
 *   3. settle               hand the settle plan to the engine
 *   4. recall               perhaps this is a repeat of a payment that used
 *                           its own authorization: ask the engine's memory
 *   5. on_result            the engine's answer, now or at the deadline
 *   6. catalogue            list what the payment declared (F-080)
 *   7. answer               HTTP 200 with a SettleResponse (L-005)
 *
 * The payment is verified again however often /verify was asked (F-012).
 * Refusals are looked up only when verification refuses: a repeat costs one
 * read more, and a first payment none.
 */
#include "api/catalogue.h"
#include "api/judging.h"
#include "api/sponsor.h"
#include "net/http_server.h"

#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* Answer this long before the caller said it would give up. */
#define CALLER_MARGIN_MS 500
/* Shorter than this nothing can be asked of a chain. */
#define DEADLINE_MIN_MS 500
/* When to ask again after settlement_pending. */
#define PENDING_RETRY_AFTER "1"
/* E-PI: 16 to 128 characters; a header's key may be shorter. */
#define IDENTIFIER_MIN 16
#define IDENTIFIER_MAX 128

struct settling {
	struct fac_judging judging; /* first: the judging's done finds us */
	struct fac_sponsoring sponsoring;
	uint32_t timeout_ms;
	char scope[FAC_IDEMPOTENCY_SIZE];
	char key[FAC_IDEMPOTENCY_SIZE];
	bool may_repeat;
	char caller[FAC_CALLER_SIZE];
	uint8_t fingerprint32[32];
	uint8_t payload_hash32[32];
	uint64_t ticket; /* of the engine, while it works */
	struct fac_settle_result result;
	char *answer; /* copy of result.answer */
	struct fac_resource resource;
	bool has_resource;
};

static struct fac_step answer(struct settling *settling);

static void free_state(void *state)
{
	struct settling *settling = state;

	fac_sponsor_clear(&settling->sponsoring);
	fac_judging_clear(&settling->judging);
	free(settling->answer);
	if (settling->has_resource)
		fac_resource_clear(&settling->resource);
	free(settling);
}

/* ---- 1. The request's own members. ---- */

static bool is_identifier(const char *text, size_t min)
{
	size_t len = strlen(text);

	if (len < min || len > IDENTIFIER_MAX)
		return false;
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 127)
			return false;
	return true;
}

/* E-PI: the payload's payment-identifier, or the caller's own header. */
static bool read_identity(struct settling *settling, struct fac_step *ret_step)
{
	struct fac_request *request = settling->judging.request;
	const struct x402_payment_payload *payload =
		&settling->judging.question.payload;
	const struct x402_json *info = x402_json_get(
		x402_json_get(payload->extensions, "payment-identifier"),
		"info");
	const char *id = x402_json_get_string(info, "id");
	const char *header = fac_request_header(request, "Idempotency-Key");
	bool required = false;

	(void)x402_json_bool(x402_json_get(info, "required"), &required);
	if ((x402_json_has(info, "id") || required) &&
		(!id || !is_identifier(id, IDENTIFIER_MIN))) {
		*ret_step = fac_fail(request, 400,
			"payment-identifier: expected info.id of 16 to 128 "
			"printable characters");
		return false;
	}
	if (header && !is_identifier(header, 1)) {
		*ret_step = fac_fail(request, 400,
			"Idempotency-Key: expected 1 to 128 printable "
			"characters");
		return false;
	}
	if (!id && !header)
		return true;
	/*
	 * An id is one payee's: two shops may use the same one. The header
	 * goes first, and it alone may have a success repeated: the payer
	 * chooses the identifier, and would choose one for every request
	 * that it wants served for one payment (R2).
	 */
	settling->may_repeat = header;
	snprintf(settling->scope, sizeof(settling->scope), "%s:%.60s",
		header ? "header" : "identifier",
		settling->judging.question.requirements.pay_to);
	snprintf(settling->key, sizeof(settling->key), "%s",
		header ? header : id);
	return true;
}

/* What the caller meant, whatever the order of its members. */
static bool read_fingerprint(struct settling *settling)
{
	const struct x402_json *body = settling->judging.body;
	char *text = x402_json_dump_sorted(body);
	char *payload = x402_json_dump_sorted(
		x402_json_get(body, "paymentPayload"));

	if (text && payload) {
		x402_keccak256(x402_span_str(text), settling->fingerprint32);
		/* For GET /payments/{hash}: what anybody can compute. */
		(void)crypto_hash_sha256(settling->payload_hash32,
			(const unsigned char *)payload, strlen(payload));
	}
	free(text);
	free(payload);
	return text && payload;
}

/* X-Request-Timeout: seconds that the caller will wait. */
static uint32_t read_timeout(const struct fac_request *request)
{
	uint32_t timeout_ms = request->app->settings.response_deadline_ms;
	const char *text = fac_request_header(request, "X-Request-Timeout");
	struct x402_u256 value;
	uint64_t seconds;

	if (!text || x402_u256_from_dec(text, &value) ||
		!x402_u256_to_u64(&value, &seconds) ||
		seconds >= timeout_ms / 1000)
		return timeout_ms;
	uint32_t wanted_ms = (uint32_t)seconds * 1000;
	return wanted_ms < DEADLINE_MIN_MS + CALLER_MARGIN_MS
		? DEADLINE_MIN_MS
		: wanted_ms - CALLER_MARGIN_MS;
}

/* ---- 2a. The approval that it waits for. ---- */

static uint64_t end_ms_of(const struct settling *settling)
{
	return settling->judging.request->started_ms + settling->timeout_ms;
}

static struct fac_step on_sponsored(struct fac_sponsoring *sponsoring)
{
	struct settling *settling = (struct settling *)((char *)sponsoring -
		offsetof(struct settling, sponsoring));
	const struct fac_sponsor_end *end = &sponsoring->end;
	struct fac_settle_result *result = &settling->result;

	if (!end->reason)
		return fac_judging_again(
			&settling->judging, end_ms_of(settling));
	result->outcome = end->fault ? FAC_SETTLE_FAULT : FAC_SETTLE_REFUSED;
	result->reason = end->reason;
	memcpy(result->message, end->message, sizeof(result->message));
	snprintf(result->payer, sizeof(result->payer), "%.42s",
		settling->judging.verdict.payer);
	return answer(settling);
}

static struct fac_step sponsor(struct settling *settling)
{
	return fac_sponsor_start(&settling->sponsoring, &settling->judging,
		end_ms_of(settling), on_sponsored);
}

/* ---- 3, 4, 5. The engine. ---- */

static void copy_result(
	struct settling *settling, const struct fac_settle_result *result)
{
	settling->result = *result;
	if (result->answer)
		settling->answer = strdup(result->answer);
	settling->result.answer = settling->answer;
}

static void on_gone(struct fac_request *request)
{
	struct settling *settling = request->state;

	/* A success must not be credited to nobody (engine.h). */
	if (settling->ticket && !request->app->stopping)
		fac_settler_leave(request->app->settler, settling->ticket);
	/* Nor is anybody given what no payment follows. */
	if (settling->sponsoring.ticket && !request->app->stopping)
		fac_settler_leave(
			request->app->settler, settling->sponsoring.ticket);
}

static struct fac_settle_request engine_request(struct settling *settling)
{
	const struct fac_judging *judging = &settling->judging;
	uint64_t now_ms = fac_loop_now_ms(judging->request->app->loop);
	uint64_t end_ms = end_ms_of(settling);
	struct fac_settle_request request = {
		.x402_version = judging->question.x402_version,
		.scheme = judging->question.requirements.scheme,
		.wire_network = judging->question.requirements.network,
	};

	memcpy(request.fingerprint32, settling->fingerprint32, 32);
	memcpy(request.payload_hash32, settling->payload_hash32, 32);
	fac_request_caller(judging->request, settling->caller);
	request.caller = settling->caller;
	if (settling->key[0]) {
		request.idempotency_scope = settling->scope;
		request.idempotency_key = settling->key;
		request.may_repeat = settling->may_repeat;
	}
	request.deadline_unix_ms = fac_steady_unix_ms() +
		(end_ms > now_ms ? end_ms - now_ms : 0);
	return request;
}

static struct fac_step catalogue(struct settling *settling);

static void on_result(void *user, const struct fac_settle_result *result)
{
	struct settling *settling = user;

	settling->ticket = 0;
	/* A recall that knows nothing leaves the verdict as it is. */
	if (result->outcome != FAC_SETTLE_UNKNOWN)
		copy_result(settling, result);
	if (result->outcome == FAC_SETTLE_SETTLED)
		fac_end(catalogue(settling));
	else
		fac_end(answer(settling));
}

static struct fac_step ask_engine(
	struct settling *settling, struct fac_settle_request *engine)
{
	struct fac_request *request = settling->judging.request;

	settling->ticket = fac_settler_settle(request->app->settler, engine,
		request->app->loop, on_result, settling);
	if (request->gone)
		on_gone(request);
	return fac_wait(request);
}

/*
 * F-079: nothing is taken, so nothing is sent and nothing is spent; the permit
 * stays good until its deadline. Nothing to remember either: whoever asks
 * again is told the same, and has the seller's word that it costs nothing.
 */
static struct fac_step settle_nothing(struct settling *settling)
{
	const struct x402_verdict *verdict = &settling->judging.verdict;
	struct x402_settle_response response = {.success = true,
		.payer = verdict->payer,
		.transaction = "",
		.network = fac_judging_wire_network(&settling->judging),
		.amount = "0"};
	struct x402_json *json;

	if (x402_settle_response_to_json(&response, &json))
		return fac_fail(settling->judging.request, 500,
			"out of memory; nothing was sent");
	settling->answer = x402_json_dump(json);
	x402_json_unref(json);
	settling->result.outcome = FAC_SETTLE_SETTLED;
	snprintf(settling->result.payer, sizeof(settling->result.payer),
		"%.42s", verdict->payer);
	return catalogue(settling);
}

static struct fac_step settle(struct settling *settling)
{
	struct fac_settle_request engine = engine_request(settling);

	engine.has_plan = true;
	if (x402_settle_plan(&settling->judging.plan, &engine.plan))
		return fac_fail(settling->judging.request, 500,
			"out of memory; nothing was sent");
	if (engine.plan.nothing_to_send) {
		x402_settle_plan_clear(&engine.plan);
		return settle_nothing(settling);
	}
	return ask_engine(settling, &engine);
}

static struct fac_step recall(struct settling *settling)
{
	struct fac_settle_request engine = engine_request(settling);
	struct x402_settle_key key;

	/* The same authorization in other words: duplicate_settlement. */
	if (settling->judging.has_plan &&
		!x402_verify_plan_key(&settling->judging.plan, &key))
		engine.key32 = key.bytes;
	return ask_engine(settling, &engine);
}

static void refuse(struct settling *settling)
{
	const struct x402_verdict *verdict = &settling->judging.verdict;
	struct fac_settle_result *result = &settling->result;

	result->outcome = FAC_SETTLE_REFUSED;
	result->reason = verdict->reason;
	if (settling->judging.fault) {
		result->outcome = FAC_SETTLE_FAULT;
		result->reason = X402_REASON_UNEXPECTED_SETTLE_ERROR;
	}
	snprintf(result->message, sizeof(result->message), "%.230s%s",
		verdict->message,
		settling->judging.fault ? "; nothing was sent" : "");
	snprintf(result->payer, sizeof(result->payer), "%.42s", verdict->payer);
}

static struct fac_step on_verdict(struct fac_judging *judging)
{
	struct settling *settling = (struct settling *)judging;
	struct fac_step step;

	if (!judging->verdict.valid)
		refuse(settling);
	if (!judging->has_question)
		return answer(settling);
	if (!read_identity(settling, &step))
		return step;
	if (!read_fingerprint(settling))
		return fac_fail(judging->request, 500,
			"out of memory; nothing was sent");
	if (judging->request->app->stopping)
		return fac_fail(judging->request, 503,
			"the daemon is stopping; ask again");
	if (!judging->verdict.valid)
		return recall(settling);
	return judging->plan.approval ? sponsor(settling) : settle(settling);
}

/* ---- 6. F-080, F-086. ---- */

static void tell_catalogue(
	struct settling *settling, const char *status, const char *reason)
{
	char *text = fac_catalogue_response(status, reason);

	if (text)
		fac_request_add_header(
			settling->judging.request, "EXTENSION-RESPONSES", text);
	free(text);
}

static void on_listed(void *user, const struct fac_store_reply *reply)
{
	struct settling *settling = user;

	if (reply->err)
		tell_catalogue(settling, "rejected", "catalogue unavailable");
	else
		tell_catalogue(settling, "success", NULL);
	fac_end(answer(settling));
}

static struct fac_step catalogue(struct settling *settling)
{
	struct fac_request *request = settling->judging.request;
	struct x402_facilitator_request *question = &settling->judging.question;
	struct x402_errinfo info = {0};
	enum x402_err err = fac_catalogue_row(&question->payload,
		&question->requirements, NULL, &info, &settling->resource);

	settling->has_resource = !err;
	if (err == X402_ERR_NOT_FOUND || request->app->stopping)
		return answer(settling);
	if (err) {
		tell_catalogue(settling, "rejected",
			info.text[0] ? info.text : x402_err_text(err));
		return answer(settling);
	}
	settling->resource.settled = true;
	settling->resource.updated_ms = fac_unix_ms();
	fac_store_resource_put(request->app->store, &settling->resource,
		(struct fac_store_to){request->app->loop, on_listed, settling});
	return fac_wait(request);
}

/* ---- 7. The answer. ---- */

static struct x402_json *failure_json(const struct settling *settling)
{
	const struct fac_settle_result *result = &settling->result;
	const char *network = result->wire_network[0]
		? result->wire_network
		: fac_judging_wire_network(&settling->judging);
	const char *message = result->message[0]
		? result->message
		: x402_reason_text(result->reason);
	enum x402_retry retry = x402_reason_retry(result->reason);
	struct x402_json *json = x402_json_new_object();

	if (!json || x402_json_set_bool(json, "success", false) ||
		x402_json_set_string(json, "errorReason",
			x402_reason_wire(result->reason)) ||
		x402_json_set_string(json, "errorMessage", message) ||
		(result->payer[0] &&
			x402_json_set_string(json, "payer", result->payer)) ||
		x402_json_set_string(
			json, "transaction", result->transaction) ||
		x402_json_set_string(json, "network", network) ||
		x402_json_set_string(json, "retry", x402_retry_wire(retry)) ||
		(result->payment_id[0] &&
			x402_json_set_string(
				json, "paymentId", result->payment_id)) ||
		x402_json_set_string(
			json, "requestId", settling->judging.request->id)) {
		x402_json_unref(json);
		return NULL;
	}
	return json;
}

static enum fac_log_level level_of(enum fac_settle_outcome outcome)
{
	switch (outcome) {
	case FAC_SETTLE_SETTLED:
	case FAC_SETTLE_PENDING:
	case FAC_SETTLE_REFUSED:
	case FAC_SETTLE_UNKNOWN:
		return FAC_LOG_INFO;
	case FAC_SETTLE_DUPLICATE:
	case FAC_SETTLE_CONFLICT:
	case FAC_SETTLE_FAULT:
		return FAC_LOG_WARN;
	}
	return FAC_LOG_WARN;
}

static void log_result(const struct settling *settling)
{
	const struct fac_settle_result *result = &settling->result;
	const struct fac_request *request = settling->judging.request;
	struct fac_log_line line;

	fac_log_begin(&line, level_of(result->outcome),
		result->outcome == FAC_SETTLE_SETTLED ? "settled"
						      : "not_settled");
	fac_log_str(&line, "request", request->id);
	fac_log_str(&line, "payment", result->payment_id);
	fac_log_str(
		&line, "network", fac_judging_wire_network(&settling->judging));
	fac_log_str(&line, "payer", result->payer);
	if (result->outcome == FAC_SETTLE_SETTLED) {
		const struct x402_payment_requirements *requirements =
			&settling->judging.question.requirements;
		fac_log_str(&line, "pay_to", requirements->pay_to);
		fac_log_str(&line, "amount", requirements->amount);
		fac_log_str(&line, "asset", requirements->asset);
	}
	fac_log_str(&line, "transaction", result->transaction);
	fac_log_str(&line, "reason", x402_reason_wire(result->reason));
	fac_log_blame(&line, x402_reason_blame(result->reason));
	fac_log_str(&line, "text", result->message);
	fac_log_u64(&line, "ms",
		fac_loop_now_ms(request->app->loop) - request->started_ms);
	fac_log_end(&line);
}

static struct fac_step answer(struct settling *settling)
{
	struct fac_request *request = settling->judging.request;

	log_result(settling);
	switch (settling->result.outcome) {
	case FAC_SETTLE_SETTLED:
		if (!settling->answer)
			return fac_fail(request, 500,
				"settled, but out of memory for the answer: "
				"ask GET /payments/%s",
				settling->result.payment_id);
		return fac_reply_text(request, 200, settling->answer);
	case FAC_SETTLE_PENDING:
		fac_request_add_header(
			request, "Retry-After", PENDING_RETRY_AFTER);
		break;
	case FAC_SETTLE_CONFLICT:
		/* E-PI: the same identifier, another request. */
		return fac_reply(request, 409, failure_json(settling));
	case FAC_SETTLE_REFUSED:
	case FAC_SETTLE_DUPLICATE:
	case FAC_SETTLE_FAULT:
	case FAC_SETTLE_UNKNOWN:
		break;
	}
	return fac_reply(request, 200, failure_json(settling));
}

struct fac_step fac_api_settle(struct fac_request *request)
{
	struct settling *settling = calloc(1, sizeof(*settling));
	uint32_t verify_ms = request->app->settings.verify_deadline_ms;

	if (!settling)
		return fac_fail(
			request, 500, "out of memory; nothing was sent");
	request->state = settling;
	request->state_free = free_state;
	request->on_gone = on_gone;
	settling->judging.phase = X402_PHASE_SETTLE;
	settling->timeout_ms = read_timeout(request);
	if (verify_ms > settling->timeout_ms)
		verify_ms = settling->timeout_ms;
	return fac_judging_start(
		&settling->judging, request, verify_ms, on_verdict);
}
