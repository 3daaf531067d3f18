/*
 * Verification of one payment.
 *
 *   1. read_body         JSON, or 400 (F-001)
 *   2. read_question     the protocol's objects; a malformed one is a verdict
 *   3. start_plan        offline checks of the scheme, F-005 to F-038
 *   4. ask               the reads that are still needed, in one batch
 *   5. on_answers        judge; more reads, or the verdict
 *   6. finish            done() answers /verify or goes on with /settle
 *
 * Steps 3 and 4, and 4 again or 6 after answers, are stages of a loop turn
 * (fac_go_on): all payments of the turn take one before any takes the next.
 *
 * A chain fault is never a verdict about the payment (design.md, /verify 4):
 * it ends as unexpected_verify_error with fault set.
 */
#include "api/judging.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* No scheme asks more often; more would be a loop. */
#define ROUNDS_MAX 8

static struct fac_step ask(void *user);

static struct fac_step finish(struct fac_judging *judging)
{
	return judging->done(judging);
}

static struct fac_step finish_with(struct fac_judging *judging,
	enum x402_reason reason, const char *fmt, ...) X402_PRINTF(3, 4);

static struct fac_step finish_with(struct fac_judging *judging,
	enum x402_reason reason, const char *fmt, ...)
{
	struct x402_verdict *verdict = &judging->verdict;
	va_list args;

	verdict->valid = false;
	verdict->reason = reason;
	va_start(args, fmt);
	vsnprintf(verdict->message, sizeof(verdict->message), fmt, args);
	va_end(args);
	return finish(judging);
}

static struct fac_step finish_fault(
	struct fac_judging *judging, const char *message)
{
	judging->fault = true;
	/* Who pays is known long before the chain is asked. */
	memcpy(judging->verdict.payer, judging->plan.verdict.payer,
		sizeof(judging->verdict.payer));
	return finish_with(
		judging, X402_REASON_UNEXPECTED_VERIFY_ERROR, "%s", message);
}

/* The payload names the payer even when nothing of it could be checked. */
static void note_payer(struct fac_judging *judging)
{
	const struct x402_json *payload = x402_json_get(
		x402_json_get(judging->body, "paymentPayload"), "payload");
	const struct x402_json *authorization = x402_json_get(
		payload, "authorization");
	const char *from = x402_json_get_string(authorization
			? authorization
			: x402_json_get(payload, "permit2Authorization"),
		"from");
	struct x402_address payer;

	if (!from)
		from = x402_json_get_string(payload, "delegator");
	if (x402_address_parse(from, &payer))
		return;
	char text[X402_ADDRESS_TEXT_SIZE];
	x402_address_format(&payer, text);
	snprintf(judging->verdict.payer, sizeof(judging->verdict.payer), "%s",
		text);
}

/*
 * F-006: also where the members cannot be read because the two versions say
 * different things about their form.
 */
static bool is_about_version(const struct x402_json *body, enum x402_err err,
	const struct x402_errinfo *info)
{
	static const char name[] = "x402Version";
	const struct x402_json *payload = x402_json_get(body, "paymentPayload");
	size_t len = strlen(info->field);
	int64_t outer;
	int64_t inner;

	if (err == X402_ERR_VERSION ||
		(len >= sizeof(name) - 1 &&
			!strcmp(info->field + len - (sizeof(name) - 1), name)))
		return true;
	return x402_json_int64(x402_json_get(body, name), &outer) &&
		x402_json_int64(x402_json_get(payload, name), &inner) &&
		outer != inner;
}

static enum x402_reason reason_of(const struct x402_json *body,
	enum x402_err err, const struct x402_errinfo *info)
{
	if (is_about_version(body, err, info))
		return X402_REASON_INVALID_X402_VERSION;
	if (!strncmp(info->field, "paymentRequirements", 19))
		return X402_REASON_INVALID_PAYMENT_REQUIREMENTS;
	return X402_REASON_INVALID_PAYLOAD;
}

static struct fac_step judge_unreadable(struct fac_judging *judging,
	enum x402_err err, const struct x402_errinfo *info)
{
	note_payer(judging);
	return finish_with(judging, reason_of(judging->body, err, info),
		"%s%s%s", info->field, info->field[0] ? ": " : "",
		info->text[0] ? info->text : x402_err_text(err));
}

/*
 * F-005: a scheme that we know on a network that we do not serve. The scheme
 * itself says unsupported_scheme where nobody knows it.
 */
static bool is_unserved(struct fac_judging *judging, const char **ret_network)
{
	const struct x402_payment_requirements *requirements =
		&judging->question.requirements;
	const char *caip2 = x402_payment_requirements_caip2(requirements);

	*ret_network = requirements->network;
	if (!caip2)
		return judging->question.x402_version == X402_V1;
	judging->chain = fac_app_chain_find(judging->request->app, caip2);
	return !judging->chain && x402_scheme_find(requirements->scheme, caip2);
}

static struct fac_step start_plan(void *user)
{
	struct fac_judging *judging = user;
	const char *network = NULL;

	if (is_unserved(judging, &network) &&
		judging->question.x402_version ==
			judging->question.payload.x402_version) {
		note_payer(judging);
		return finish_with(judging, X402_REASON_INVALID_NETWORK,
			"expected a network of GET /supported, got \"%.60s\"",
			network);
	}
	struct x402_verify_options options = {
		.now_unix_s = fac_unix_ms() / 1000,
		.phase = judging->phase,
		.domains = &judging->request->app->domains,
	};
	if (judging->chain &&
		judging->chain->network.family == X402_FAMILY_SVM) {
		options.fee_payers = judging->chain->fee_payers;
		options.fee_payers_len = judging->chain->signers_len;
		options.max_compute_units = judging->chain->max_compute_units;
		options.max_priority_lamports =
			judging->chain->max_priority_lamports;
	} else if (judging->chain) {
		options.signers = judging->chain->signers;
		options.signers_len = judging->chain->signers_len;
		options.factories_6492 = judging->chain->factories;
		options.factories_6492_len = judging->chain->factories_len;
		options.delegation_managers = judging->chain->managers;
		options.delegation_managers_len = judging->chain->managers_len;
		options.delegation_gas = judging->chain->delegation_gas;
		options.builder_code = judging->chain->builder_code;
		if (judging->chain->approvals &&
			fac_config_settling_knows(judging->chain->settling,
				judging->chain->network.caip2,
				judging->question.requirements.asset))
			options.approval_gift_wei = &judging->chain->gift_wei;
		options.proofs = judging->chain->proofs;
		options.proof_depth = judging->chain->proof_depth;
		/* Whoever waits for less to settle still wants it final. */
		options.proof_finalized = judging->chain->confirmations >=
			FAC_CONFIRM_SAFE;
	}
	if (x402_verify_plan(&judging->question, &options, &judging->plan))
		return fac_fail(judging->request, 500, "out of memory");
	judging->has_plan = true;
	if (!judging->plan.verdict.payer[0])
		note_payer(judging);
	return fac_go_on(judging->request, ask, judging);
}

static void on_answers(void *user, enum x402_err err,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	struct fac_judging *judging = user;

	if (err == X402_ERR_CANCELLED) {
		fac_end(finish_fault(judging, "the daemon is stopping"));
		return;
	}
	/* Some answers may be faults that judge can do without. */
	err = x402_verify_judge(&judging->plan, answers, answers_len);
	if (err == X402_ERR_NOMEM)
		fac_end(fac_fail(judging->request, 500, "out of memory"));
	else if (err)
		fac_end(finish_fault(judging,
			"the chain gave no usable answer; nothing is known "
			"about the payment"));
	else
		fac_end(fac_go_on(judging->request, ask, judging));
}

static struct fac_step ask(void *user)
{
	struct fac_judging *judging = user;
	struct fac_app *app = judging->request->app;
	struct x402_verify_plan *plan = &judging->plan;
	struct x402_address asset;

	if (plan->decided) {
		char payer[sizeof(plan->verdict.payer)];
		memcpy(payer, judging->verdict.payer, sizeof(payer));
		judging->verdict = plan->verdict;
		if (!judging->verdict.payer[0])
			memcpy(judging->verdict.payer, payer, sizeof(payer));
		return finish(judging);
	}
	uint64_t now_ms = fac_loop_now_ms(app->loop);
	if (judging->rounds++ == ROUNDS_MAX || now_ms >= judging->deadline_ms)
		return finish_fault(judging,
			"the chain did not answer before the deadline");
	if (app->stopping || !judging->chain)
		return finish_fault(judging, "the daemon is stopping");
	if (atomic_load(&judging->chain->status->health) == FAC_CHAIN_WRONG)
		return finish_fault(judging,
			"an RPC endpoint serves another chain than configured");
	struct fac_chain_read_options options = FAC_CHAIN_READ_INIT;
	options.reads = plan->reads;
	options.reads_len = plan->reads_len;
	options.sender = judging->chain->signers[0]; /* F-042 */
	options.timeout_ms = (uint32_t)(judging->deadline_ms - now_ms);
	if (!x402_address_parse(judging->question.requirements.asset, &asset))
		options.cacheable = &asset;
	fac_chain_read(judging->chain->chain, &options, on_answers, judging);
	return fac_wait(judging->request);
}

static struct fac_step read_question(struct fac_judging *judging)
{
	struct x402_errinfo info = {0};
	enum x402_err err = x402_facilitator_request_read(
		judging->body, &info, &judging->question);

	if (!err) {
		judging->has_question = true;
		return fac_go_on(judging->request, start_plan, judging);
	}
	if (err == X402_ERR_NOMEM)
		return fac_fail(judging->request, 500, "out of memory");
	return judge_unreadable(judging, err, &info);
}

struct fac_step fac_judging_start(struct fac_judging *judging,
	struct fac_request *request, uint32_t timeout_ms,
	struct fac_step (*done)(struct fac_judging *judging))
{
	struct fac_step step;

	judging->request = request;
	judging->done = done;
	judging->deadline_ms = request->started_ms + timeout_ms;
	if (!fac_request_body(request, &judging->body, &step))
		return step;
	/* F-001: these very words. */
	if (!x402_json_get(judging->body, "paymentPayload") ||
		!x402_json_get(judging->body, "paymentRequirements"))
		return fac_reply_text(request, 400,
			"{\"error\":\"Missing paymentPayload or "
			"paymentRequirements\"}");
	return read_question(judging);
}

struct fac_step fac_judging_again(
	struct fac_judging *judging, uint64_t deadline_ms)
{
	x402_verify_plan_clear(&judging->plan);
	judging->has_plan = false;
	judging->rounds = 0;
	judging->fault = false;
	judging->verdict = (struct x402_verdict){.valid = false};
	judging->deadline_ms = deadline_ms;
	return start_plan(judging);
}

void fac_judging_clear(struct fac_judging *judging)
{
	if (judging->has_plan)
		x402_verify_plan_clear(&judging->plan);
	if (judging->has_question)
		x402_facilitator_request_clear(&judging->question);
	x402_json_unref(judging->body);
}

const char *fac_judging_wire_network(const struct fac_judging *judging)
{
	const char *network = x402_json_get_string(
		x402_json_get(judging->body, "paymentRequirements"), "network");

	return network ? network : "";
}
