/*
 * What a caller is told, and the duplicate rule (demands.md F2 and section 5):
 *
 * - another fingerprint on the same payment: duplicate_settlement
 * - same fingerprint while somebody waits: both get the same answer when
 *   scope, key and fingerprint are the same and the key is the caller's own,
 *   not the payer's; else a rival: duplicate_settlement once the other has its
 *   success, and in its place when the other leaves without one. Who asks
 *   again after a cut may meet its own request, which nobody hears any more:
 *   "duplicate" would be final, and then the payment given up (F-061)
 * - same fingerprint while nobody waits: the new waiter (F-061)
 * - success not claimed yet: this caller claims it, once and durably (R2)
 * - success claimed: duplicate_settlement, or the stored bytes again under
 *   the same scope, key and fingerprint, where the key is the caller's own
 * - an end without money: the same reason again
 */
#include "core/engine_p.h"

#include <stdio.h>
#include <stdlib.h>

/* More of them are no caller's own, and each of them is kept. */
#define RIVALS_MAX 8

/* ---- Lists of callers. ---- */

void fac_answer_detach(struct fac_waiter *waiter)
{
	struct fac_waiter **at = waiter->list;

	waiter->job = NULL;
	if (!at)
		return;
	while (*at != waiter)
		at = &(*at)->next_of_list;
	*at = waiter->next_of_list;
	waiter->next_of_list = NULL;
	waiter->list = NULL;
}

void fac_answer_join(struct fac_waiter *waiter, struct fac_job *job)
{
	waiter->next_of_list = job->waiters;
	job->waiters = waiter;
	waiter->list = &job->waiters;
	waiter->job = job;
}

static void line_up(struct fac_waiter *waiter, struct fac_job *job)
{
	struct fac_waiter **at = &job->rivals;

	while (*at)
		at = &(*at)->next_of_list;
	*at = waiter;
	waiter->list = &job->rivals;
	waiter->job = job;
}

static bool is_rival(const struct fac_waiter *waiter)
{
	return waiter->job && waiter->list == &waiter->job->rivals;
}

void fac_answer_succeed(struct fac_job *job)
{
	struct fac_waiter *rival = job->rivals;

	if (job->waiters || !rival)
		return;
	fac_answer_detach(rival);
	fac_answer_join(rival, job);
}

void fac_answer_anew(struct fac_engine *engine, struct fac_waiter **list)
{
	struct fac_waiter **at;

	if (!*list)
		return;
	for (at = list; *at; at = &(*at)->next_of_list) {
		(*at)->job = NULL;
		(*at)->list = &engine->anew;
	}
	*at = engine->anew;
	engine->anew = *list;
	*list = NULL;
	fac_engine_wake(engine, 0);
}

/* ---- One answer. ---- */

void fac_answer(struct fac_waiter *waiter, enum fac_settle_outcome outcome,
	enum x402_reason reason, const char *message,
	const struct fac_payment *payment)
{
	struct fac_settle_result *result = &waiter->result;

	*result = (struct fac_settle_result){
		.outcome = outcome, .reason = reason};
	snprintf(result->message, sizeof(result->message), "%s", message);
	memcpy(result->wire_network, waiter->asked.wire_network,
		sizeof(result->wire_network));
	if (payment || waiter->has_plan)
		x402_settle_proof_payer(
			payment ? &payment->proof : &waiter->asked.proof,
			result->payer);
	if (payment) {
		memcpy(result->payment_id, payment->id,
			sizeof(result->payment_id));
		fac_payment_transaction_text(payment, result->transaction);
		memcpy(result->wire_network, payment->wire_network,
			sizeof(result->wire_network));
	}
	waiter->engine->stats.outcomes[outcome]++;
	waiter->answered = true;
	fac_answer_detach(waiter);
	*waiter->slot = waiter->next;
	if (waiter->next)
		waiter->next->slot = waiter->slot;
	waiter->next = NULL;
	waiter->engine->waiters_len--;
	*waiter->engine->ready_last = waiter;
	waiter->engine->ready_last = &waiter->next;
	fac_engine_wake(waiter->engine, 0);
}

void fac_answer_all(struct fac_job *job, enum fac_settle_outcome outcome,
	enum x402_reason reason, const char *message)
{
	while (job->waiters)
		fac_answer(
			job->waiters, outcome, reason, message, &job->payment);
}

static void answer_duplicate(
	struct fac_waiter *waiter, const struct fac_payment *payment)
{
	fac_answer(waiter, FAC_SETTLE_DUPLICATE,
		X402_REASON_DUPLICATE_SETTLEMENT,
		fac_payment_is_final(payment->state)
			? "this authorization was settled before"
			: "this authorization is being settled",
		payment);
}

void fac_answer_unfinished(struct fac_waiter *waiter, const char *why)
{
	struct fac_job *job = waiter->job;
	char message[FAC_MESSAGE_SIZE];
	struct fac_payment shown;

	if (!job) {
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR, why, NULL);
		return;
	}
	shown = job->payment; /* borrowed pointers; only text is read */
	/* Its bytes exist: they may be durable, and will be sent if so. */
	if (job->phase == FAC_JOB_JOURNALLING && job->tx)
		fac_hash_text(
			fac_tx_newest(job->tx)->hash32, shown.transaction);
	/* Another caller has the claim on it. */
	if (shown.transaction[0] && is_rival(waiter)) {
		answer_duplicate(waiter, &shown);
		return;
	}
	if (shown.transaction[0]) {
		snprintf(message, sizeof(message),
			"%s; the transaction is on its way, ask again%s%.120s",
			why, job->trouble[0] ? ": " : "", job->trouble);
		fac_answer(waiter, FAC_SETTLE_PENDING,
			X402_REASON_SETTLEMENT_PENDING, message, &shown);
		return;
	}
	/* R3: another instance may be about to sign it: say nothing of it. */
	if (job->phase == FAC_JOB_FOREIGN) {
		snprintf(message, sizeof(message),
			"%s; another instance works on it, ask again", why);
		fac_answer(waiter, FAC_SETTLE_FAULT,
			X402_REASON_UNEXPECTED_SETTLE_ERROR, message, &shown);
		return;
	}
	snprintf(message, sizeof(message), "%s; nothing was sent%s%.150s", why,
		job->trouble[0] ? ": " : "", job->trouble);
	fac_answer(waiter, FAC_SETTLE_FAULT,
		X402_REASON_UNEXPECTED_SETTLE_ERROR, message, &shown);
}

/* ---- Success, once. ---- */

char *fac_answer_body(const struct fac_payment *payment)
{
	char payer[X402_ACCOUNT_TEXT_SIZE];
	char transaction[FAC_TRANSACTION_TEXT_SIZE];
	char amount[X402_U256_DEC_SIZE];
	struct x402_settle_response response = {.success = true,
		.payer = payer,
		.transaction = transaction,
		.network = payment->wire_network};
	struct x402_json *json;
	char *body;

	x402_settle_proof_payer(&payment->proof, payer);
	fac_payment_transaction_text(payment, transaction);
	x402_u256_to_dec(&payment->proof.value, amount);
	/* F-079: only there it is not what was offered. */
	if (!strcmp(payment->scheme, "upto"))
		response.amount = amount;
	if (x402_settle_response_to_json(&response, &json))
		abort();
	body = x402_json_dump(json);
	x402_json_unref(json);
	if (!body)
		abort();
	return body;
}

static bool is_same_idempotency(
	const struct fac_waiter *waiter, const struct fac_payment *payment)
{
	const struct fac_payment *asked = &waiter->asked;

	return asked->idempotency_key[0] &&
		strcmp(asked->idempotency_scope, payment->idempotency_scope) ==
		0 &&
		strcmp(asked->idempotency_key, payment->idempotency_key) == 0;
}

static bool is_same_request(
	const struct fac_waiter *waiter, const struct fac_payment *payment)
{
	return memcmp(waiter->asked.fingerprint32, payment->fingerprint32,
		       32) == 0;
}

void fac_answer_success(
	struct fac_waiter *waiter, const struct fac_payment *payment)
{
	waiter->answer = payment->answer ? strdup(payment->answer) : NULL;
	if (!waiter->answer)
		abort();
	fac_answer(waiter, FAC_SETTLE_SETTLED, X402_REASON_NONE, "", payment);
}

/* Somebody had the success before: the stored bytes for its own repeat. */
static void answer_credited(
	struct fac_waiter *waiter, const struct fac_payment *payment)
{
	if (waiter->may_repeat && is_same_request(waiter, payment) &&
		is_same_idempotency(waiter, payment) && payment->answer)
		fac_answer_success(waiter, payment);
	else
		answer_duplicate(waiter, payment);
}

/* Told when it was submitted, and failed after all. */
static void count_dropped(const struct fac_job *job)
{
	if (!job->payment.credited)
		return;
	job->engine->stats.credited_dropped++;
	fac_engine_note(job->engine, true,
		"payment %s was answered with success and then ended %s",
		job->payment.id, fac_payment_state_text(job->payment.state));
}

static void on_credited(void *arg, const struct fac_store_reply *reply)
{
	struct fac_job *job = arg;

	job->crediting = false;
	if (!fac_job_returned(job))
		return;
	if (reply->err == X402_ERR_STORE && job->waiters &&
		job->phase == FAC_JOB_CREDITING) {
		/* Perhaps recorded: by the same claim it is known to be ours */
		snprintf(job->trouble, sizeof(job->trouble),
			"settled, but the answer could not be recorded");
		fac_job_retry(job, FAC_RETRY_MIN_MS, FAC_RETRY_MAX_MS);
		return;
	}
	if (reply->err || !reply->payments_len) {
		/* The money moved; the success stays to be claimed. */
		fac_answer_all(job, FAC_SETTLE_PENDING,
			X402_REASON_SETTLEMENT_PENDING,
			"settled, but the answer could not be recorded; ask "
			"again");
	} else {
		fac_crash_point("after_credit");
		fac_job_set_payment(job, &reply->payments[0]);
		/* The callers of one claim share scope, key, fingerprint. */
		while (job->waiters) {
			if (reply->claimed)
				fac_answer_success(job->waiters, &job->payment);
			else
				answer_credited(job->waiters, &job->payment);
		}
		while (job->rivals)
			answer_credited(job->rivals, &job->payment);
	}
	/* One that was only submitted goes on. */
	if (job->phase == FAC_JOB_CREDITING)
		fac_job_end(job);
}

static void credit(struct fac_job *job)
{
	char *body = fac_answer_body(&job->payment);

	if (!job->has_claim)
		job->engine->ports.random(job->engine->ports.user, job->claim32,
			sizeof(job->claim32));
	job->has_claim = true;
	job->crediting = true;
	fac_crash_point("before_credit");
	fac_job_store(job,
		fac_verb_credit_claim(job->payment.key32, body, job->claim32),
		on_credited);
	free(body);
}

void fac_answer_credit_again(struct fac_job *job)
{
	if (job->waiters)
		credit(job);
	else
		fac_job_end(job);
}

void fac_answer_submitted(struct fac_job *job)
{
	if (job->phase == FAC_JOB_IN_FLIGHT && job->waiters &&
		!job->crediting && !job->payment.credited &&
		job->payment.state == FAC_PAYMENT_BROADCAST)
		credit(job);
}

void fac_answer_end(struct fac_job *job)
{
	switch (job->payment.state) {
	case FAC_PAYMENT_SETTLED:
	case FAC_PAYMENT_PROVISIONED:
		/* Nobody waits: the next caller claims it. */
		job->phase = FAC_JOB_CREDITING;
		if (job->crediting)
			return;
		if (job->waiters)
			credit(job);
		else
			fac_job_end(job);
		return;
	case FAC_PAYMENT_REVERTED:
	case FAC_PAYMENT_EXPIRED:
		count_dropped(job);
		fac_answer_all(job, FAC_SETTLE_REFUSED, job->payment.reason,
			job->payment.message);
		fac_job_end(job);
		return;
	case FAC_PAYMENT_RESERVED:
	case FAC_PAYMENT_SIGNED:
	case FAC_PAYMENT_BROADCAST:
	case FAC_PAYMENT_CANCELLED:
	case FAC_PAYMENT_REPLACED:
	case FAC_PAYMENT_STATE_COUNT:
		break;
	}
	fac_answer_all(job, FAC_SETTLE_FAULT,
		X402_REASON_UNEXPECTED_SETTLE_ERROR,
		"the payment's row is in another state");
	fac_job_end(job);
}

/* ---- Meeting a payment that is there. ---- */

/* False: answered already. */
static bool may_join(
	struct fac_waiter *waiter, const struct fac_payment *payment)
{
	if (is_same_idempotency(waiter, payment) &&
		!is_same_request(waiter, payment)) {
		fac_answer(waiter, FAC_SETTLE_CONFLICT,
			X402_REASON_DUPLICATE_SETTLEMENT,
			"this idempotency key was used for another request",
			payment);
		return false;
	}
	/* Also one that lost its block since: its success was told. */
	if (payment->credited) {
		answer_credited(waiter, payment);
		return false;
	}
	switch (payment->state) {
	case FAC_PAYMENT_REVERTED:
	case FAC_PAYMENT_EXPIRED:
		fac_answer(waiter, FAC_SETTLE_REFUSED, payment->reason,
			payment->message, payment);
		return false;
	case FAC_PAYMENT_SETTLED:
	case FAC_PAYMENT_PROVISIONED:
		break;
	case FAC_PAYMENT_CANCELLED:
		fac_answer(
			waiter, FAC_SETTLE_UNKNOWN, X402_REASON_NONE, "", NULL);
		return false;
	case FAC_PAYMENT_RESERVED:
	case FAC_PAYMENT_SIGNED:
	case FAC_PAYMENT_BROADCAST:
	case FAC_PAYMENT_REPLACED:
	case FAC_PAYMENT_STATE_COUNT:
		break;
	}
	if (is_same_request(waiter, payment))
		return true;
	answer_duplicate(waiter, payment);
	return false;
}

/* All of them are told the same. */
static bool may_share(
	const struct fac_waiter *waiter, const struct fac_job *job)
{
	return waiter->may_repeat && job->waiters->may_repeat &&
		is_same_idempotency(waiter, &job->payment) &&
		is_same_idempotency(job->waiters, &job->payment);
}

static bool has_many_rivals(const struct fac_job *job)
{
	size_t len = 0;

	for (const struct fac_waiter *w = job->rivals; w; w = w->next_of_list)
		len++;
	return len >= RIVALS_MAX;
}

void fac_answer_attach(struct fac_waiter *waiter, struct fac_job *job)
{
	if (!may_join(waiter, &job->payment))
		return;
	if (!job->waiters || may_share(waiter, job))
		fac_answer_join(waiter, job);
	else if (has_many_rivals(job))
		answer_duplicate(waiter, &job->payment);
	else
		line_up(waiter, job);
}

void fac_answer_row(
	struct fac_waiter *waiter, const struct fac_payment *payment)
{
	struct fac_line *line = fac_engine_line(
		waiter->engine, payment->network);
	struct fac_job *job = fac_job_find(waiter->engine, payment->key32);
	struct fac_payment copy;

	/* Somebody took it up while the store answered us. */
	if (job) {
		fac_answer_attach(waiter, job);
		return;
	}
	if (!may_join(waiter, payment))
		return;
	if (!line) {
		/* A chain that is no longer served: the journal keeps it. */
		fac_answer(waiter, FAC_SETTLE_PENDING,
			X402_REASON_SETTLEMENT_PENDING,
			"recorded, but not in work here", payment);
		return;
	}
	fac_payment_copy(payment, &copy);
	job = fac_job_new(line, &copy, FAC_JOB_CREDITING);
	fac_answer_join(waiter, job);
	if (fac_payment_is_final(payment->state))
		fac_answer_end(job);
	else if (fac_share_is_own(job))
		fac_lane_enqueue(job);
	/* Another instance's, or of a lane whose journal is being read. */
	else
		fac_share_watch(job);
}
