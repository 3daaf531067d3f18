/*
 * POST /verify (x402 F-001, F-005, F-006, F-020 to F-042).
 *
 *   1. fac_api_verify      make room, start judging (api/judging.c)
 *   2. answer              HTTP 200 with the verdict, whatever it says
 *
 * Read-only (L-063): nothing is reserved, nothing is written.
 */
#include "api/judging.h"

#include <stdlib.h>

static void free_state(void *state)
{
	fac_judging_clear(state);
	free(state);
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
	if (bad) {
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

static struct fac_step answer(struct fac_judging *judging)
{
	log_verdict(judging);
	return fac_reply(judging->request, 200, verdict_json(judging));
}

struct fac_step fac_api_verify(struct fac_request *request)
{
	struct fac_judging *judging = calloc(1, sizeof(*judging));

	if (!judging)
		return fac_fail(request, 500, "out of memory");
	request->state = judging;
	request->state_free = free_state;
	return fac_judging_start(judging, request,
		request->app->settings.verify_deadline_ms, answer);
}
