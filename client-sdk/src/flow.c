/*
 * flow.c: one call from the first request to the verdict about the money, as
 * a state machine that never touches a socket.
 *
 *   1. x402__flow_init       checks the request and sends it unpaid
 *   2. receive_unpaid        follows redirects (flow_redirect.c), retries, or
 *                            meets a 402
 *   3. receive_challenge     reads it, chooses an offer, asks the hook
 *   4. x402__flow_sign       signs once, when the driver has reserved it;
 *      x402__flow_committed  sends, when the driver has written it down
 *   5. receive_paid          judges the receipt; presents the SAME header
 *                            again while it is pending (C-007) or once after
 *                            a lost reply; never signs again
 *   6. x402__flow_finish     fixes cause, error and outcome
 *
 * A request that came with a payment header starts at 5 (C-002).
 */
#include "challenge_p.h"
#include "pay_p.h"
#include "receipt_p.h"
#include "sign_in_p.h"
#include "text_p.h"

#include <stdlib.h>
#include <strings.h>

/* Longest wait that a Retry-After is believed for: a caller is waiting. */
#define WAIT_MAX_MS 30000
/* First wait of a backoff that doubles, and where it stops. */
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MAX_MS   8000
/* libx402 signs nothing that lives longer than a day. */
#define VALIDITY_MAX_S 86400
/* R7: after a lost reply the same header is presented this often again. */
#define REPRESENT_MAX 1

/* ---- 6. The end. ---- */

static enum x402_err cause_err(enum x402_client_cause cause)
{
	static const enum x402_err errs[] = {
#define X402__CAUSE_ERR(code, name, err, text) X402_ERR_##err,
		X402_CLIENT_CAUSE_MAP(X402__CAUSE_ERR)
#undef X402__CAUSE_ERR
	};
	return errs[cause];
}

void x402__flow_finish(struct x402__flow *flow, enum x402_client_cause cause)
{
	flow->step = X402__FLOW_DONE;
	flow->cause = cause;
	flow->err = cause_err(cause);
	if (cause != X402_CLIENT_CAUSE_NONE && !flow->error.text[0])
		x402_errinfo_set(&flow->error, flow->error.field, "%s",
			x402_client_cause_text(cause));
	x402__text_take(
		flow->error.text, sizeof(flow->error.text), flow->error.text);
	x402__text_take(flow->error.field, sizeof(flow->error.field),
		flow->error.field);
}

/* The same with the error that brought it about, which says more. */
static void finish_err(struct x402__flow *flow, enum x402_client_cause cause,
	enum x402_err err)
{
	x402__flow_finish(flow, cause);
	flow->err = err;
}

/* ---- 1. The beginning. ---- */

enum x402_err x402__options_resolve(const struct x402_client_options *options,
	struct x402_client_options *ret_options)
{
	struct x402_client_options out = X402_CLIENT_OPTIONS_INIT;
	if (options)
		out = *options;
	if ((out.key && out.signer) || (out.svm_key && out.svm_signer) ||
		(out.svm_key && !out.svm_rpc_url) ||
		(out.svm_signer &&
			(!out.svm_rpc_url || !out.svm_signer->sign)) ||
		(out.signer && !out.signer->sign) || out.timeout_ms < 0 ||
		out.connect_timeout_ms < 0 || out.breaker_open_ms < 0 ||
		(out.budgets_len && !out.journal) ||
		(out.send_transfers && (!out.journal || !out.evm_rpc_url)))
		return X402_ERR_INVALID_ARGUMENT;
	if (!out.max_usd_micros)
		out.max_usd_micros = X402_DEFAULT_MAX_USD_MICROS;
	if (!out.max_validity_s)
		out.max_validity_s = X402_CLIENT_VALIDITY_S;
	if (out.max_validity_s > VALIDITY_MAX_S)
		out.max_validity_s = VALIDITY_MAX_S;
	if (!out.timeout_ms)
		out.timeout_ms = X402_CLIENT_TIMEOUT_MS;
	if (!out.connect_timeout_ms)
		out.connect_timeout_ms = X402_CLIENT_CONNECT_TIMEOUT_MS;
	if (!out.max_redirects)
		out.max_redirects = X402_CLIENT_REDIRECTS;
	if (!out.pending_retries)
		out.pending_retries = X402_CLIENT_PENDING_RETRIES;
	if (!out.max_body_bytes)
		out.max_body_bytes = X402_CLIENT_BODY_BYTES;
	if (!out.loop_max)
		out.loop_max = X402_CLIENT_LOOP_MAX;
	if (!out.breaker_failures)
		out.breaker_failures = X402_CLIENT_BREAKER_FAILURES;
	if (!out.breaker_open_ms)
		out.breaker_open_ms = X402_CLIENT_BREAKER_OPEN_MS;
	if (!out.user_agent)
		out.user_agent = "x402/" X402_VERSION;
	*ret_options = out;
	return X402_OK;
}

static void refuse_request(
	struct x402__flow *flow, const char *field, const char *text)
{
	x402_errinfo_set(&flow->error, field, "%s", text);
	x402__flow_finish(flow, X402_CLIENT_CAUSE_BAD_REQUEST);
}

/* C-002: the caller's own payment header becomes the payment of the call. */
static bool adopt_payment(
	struct x402__flow *flow, const struct x402_client_header *header)
{
	struct x402_client_payment *payment = &flow->payment;
	if (payment->header_text || !header->value) {
		refuse_request(
			flow, header->name, "one payment header at most");
		return false;
	}
	payment->header_text = strdup(header->value);
	if (!payment->header_text) {
		finish_err(flow, X402_CLIENT_CAUSE_INTERNAL, X402_ERR_NOMEM);
		return false;
	}
	payment->header_name = strcasecmp(
				       header->name, X402_HEADER_X_PAYMENT) == 0
		? X402_HEADER_X_PAYMENT
		: X402_HEADER_PAYMENT_SIGNATURE;
	flow->brought = true;
	x402__pay_adopt(payment, header->value);
	return true;
}

static bool take_headers(struct x402__flow *flow)
{
	const struct x402_client_request *request = flow->request;
	for (size_t i = 0; i < request->headers_len; i++) {
		const struct x402_client_header *header = &request->headers[i];
		if (!x402__header_is_valid(header->name, header->value)) {
			refuse_request(flow,
				header->name ? header->name : "headers",
				"a header that may not be sent");
			return false;
		}
		if (x402__header_is_payment(header->name)) {
			if (!adopt_payment(flow, header))
				return false;
			continue;
		}
		enum x402_err err = x402__headers_add(&flow->headers,
			x402_span_str(header->name),
			x402_span_str(header->value));
		if (err) {
			finish_err(flow, X402_CLIENT_CAUSE_BAD_REQUEST, err);
			return false;
		}
	}
	return true;
}

static bool is_method(const char *method)
{
	size_t len = strlen(method);
	/* Registered methods are short; upper case keeps them one spelling. */
	if (len == 0 || len > 32)
		return false;
	for (; *method; method++)
		if (!((*method >= 'A' && *method <= 'Z') || *method == '-'))
			return false;
	return true;
}

static bool may_send_payment(
	const struct x402__flow *flow, const struct x402__http_url *url)
{
	return flow->options->allow_http || url->secure ||
		x402__http_url_is_loopback(url);
}

bool x402__flow_know_url(struct x402__flow *flow)
{
	const char *text = flow->unparsed ? flow->unparsed : flow->request->url;
	if (flow->asked.text)
		return true;
	enum x402_err err = x402__http_url_parse(text, &flow->asked);
	if (!err)
		err = x402__http_url_copy(&flow->asked, &flow->url);
	free(flow->unparsed);
	flow->unparsed = NULL;
	if (!err)
		return true;
	if (flow->step != X402__FLOW_DONE) {
		x402_errinfo_set(
			&flow->error, "url", "expected an http or https URL");
		finish_err(flow, X402_CLIENT_CAUSE_BAD_REQUEST, err);
	}
	return false;
}

static void begin(struct x402__flow *flow,
	const struct x402_client_options *options,
	const struct x402_client_signer *signer,
	const struct x402_client_request *request)
{
	*flow = (struct x402__flow){0};
	flow->options = options;
	flow->signer = signer;
	flow->request = request;
	flow->send_body = request->body.len > 0;
	flow->method = request->method ? request->method
		: flow->send_body      ? "POST"
				       : "GET";
}

/* The payer is told with every answer; its text is made when one is asked. */
static void name_payer(struct x402__flow *flow)
{
	if (flow->signer && !flow->payment.payer[0])
		x402_address_format(
			&flow->signer->address, flow->payment.payer);
}

void x402__flow_init(struct x402__flow *flow,
	const struct x402_client_options *options,
	const struct x402_client_signer *signer,
	const struct x402_client_request *request)
{
	begin(flow, options, signer, request);
	name_payer(flow);
	if (!is_method(flow->method)) {
		refuse_request(flow, "method", "not a method");
		return;
	}
	if (!x402__flow_know_url(flow) || !take_headers(flow))
		return;
	if (flow->brought && !may_send_payment(flow, &flow->url)) {
		x402__flow_finish(flow, X402_CLIENT_CAUSE_INSECURE);
		return;
	}
	flow->step = X402__FLOW_SEND;
}

void x402__flow_init_fixed(struct x402__flow *flow,
	const struct x402_client_options *options,
	const struct x402_client_signer *signer,
	const struct x402_client_request *request)
{
	begin(flow, options, signer, request);
	flow->fixed = true;
	flow->unparsed = request->url ? strdup(request->url) : NULL;
	if (!flow->unparsed) {
		refuse_request(flow, "url", "expected an http or https URL");
		return;
	}
	flow->step = X402__FLOW_SEND;
}

void x402__flow_clear(struct x402__flow *flow)
{
	free(flow->unparsed);
	x402__http_url_clear(&flow->url);
	x402__http_url_clear(&flow->asked);
	x402__headers_clear(&flow->headers);
	x402_payment_required_clear(&flow->challenge);
	x402_json_unref(flow->challenge_json);
	x402_json_unref(flow->offer_json);
	free(flow->payment.header_text);
	free(flow->payment.settle_response_json);
	flow->unparsed = NULL;
	flow->challenge_json = NULL;
	flow->offer_json = NULL;
	flow->payment.header_text = NULL;
	flow->payment.settle_response_json = NULL;
}

bool x402__flow_pays(const struct x402__flow *flow)
{
	return flow->payment.header_text != NULL;
}

/* ---- Waiting. ---- */

/* Retry-After in seconds; a date is left to the backoff. */
static bool read_retry_after(
	const struct x402__message *message, uint64_t *ret_ms)
{
	if (!message)
		return false;
	size_t count = 0;
	const char *text = x402__header_find(
		message->headers, message->headers_len, "Retry-After", &count);
	if (count != 1 || !text || !*text)
		return false;
	uint64_t seconds = 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		seconds = seconds * 10 + (uint64_t)(*text - '0');
		if (seconds > WAIT_MAX_MS / 1000)
			seconds = WAIT_MAX_MS / 1000;
	}
	*ret_ms = seconds * 1000;
	return true;
}

static void wait_before_retry(struct x402__flow *flow,
	const struct x402__message *message, unsigned attempt)
{
	uint64_t ms = BACKOFF_FIRST_MS;
	if (!read_retry_after(message, &ms)) {
		for (unsigned i = 0; i < attempt && ms < BACKOFF_MAX_MS; i++)
			ms *= 2;
	}
	flow->wait_ms = ms;
	flow->step = X402__FLOW_WAIT;
}

void x402__flow_waited(struct x402__flow *flow)
{
	if (flow->step == X402__FLOW_WAIT)
		flow->step = X402__FLOW_SEND;
}

/* ---- 2. Before paying. ---- */

static bool is_transient(long status)
{
	return status == 408 || status == 429 || status == 500 ||
		status == 502 || status == 503 || status == 504;
}

/* ---- 4. Paying. ---- */

static void pay(struct x402__flow *flow, size_t index)
{
	const struct x402_payment_requirements *offer =
		&flow->challenge.accepts[index];
	if (!x402__pay_delegates(offer) &&
		(x402__svm_is_offer(offer) ? !flow->svm : !flow->signer)) {
		x402__flow_finish(flow, X402_CLIENT_CAUSE_NO_SIGNER);
		return;
	}
	flow->error = (struct x402_errinfo){0};
	flow->offer_index = index;
	flow->step = X402__FLOW_RESERVE;
}

void x402__flow_sign(struct x402__flow *flow, const struct x402__inputs *inputs)
{
	if (flow->step != X402__FLOW_RESERVE)
		return;
	enum x402_err err = x402__pay_sign(flow, flow->offer_index, inputs);
	if (err) {
		finish_err(flow,
			inputs->send.poor ? X402_CLIENT_CAUSE_FUNDS
					  : X402_CLIENT_CAUSE_SIGNER,
			err);
		return;
	}
	flow->offer_json = x402_json_ref(
		flow->challenge.accepts[flow->offer_index].json);
	flow->step = X402__FLOW_COMMIT;
}

/*
 * It may have been presented before, and its reply lost: a refusal proves
 * nothing any more. What was signed is what counts, not this challenge.
 */
void x402__flow_present(struct x402__flow *flow, const char *header_name,
	const char *header_text)
{
	struct x402_client_payment *payment = &flow->payment;
	if (flow->step != X402__FLOW_RESERVE)
		return;
	payment->header_text = strdup(header_text);
	if (!payment->header_text) {
		finish_err(flow, X402_CLIENT_CAUSE_INTERNAL, X402_ERR_NOMEM);
		return;
	}
	payment->header_name = strcasecmp(header_name, X402_HEADER_X_PAYMENT) ==
			0
		? X402_HEADER_X_PAYMENT
		: X402_HEADER_PAYMENT_SIGNATURE;
	payment->resumed = true;
	/* By whom it was open before: that this call fails is no news of it. */
	payment->attempted = true;
	flow->resumed = true;
	flow->ambiguous = true;
	x402__pay_adopt(payment, header_text);
	flow->step = X402__FLOW_SEND;
}

/* Nobody has seen it, and now nobody will. */
static void discard_authorization(struct x402__flow *flow)
{
	free(flow->payment.header_text);
	flow->payment.header_text = NULL;
}

void x402__flow_refuse(struct x402__flow *flow, enum x402_client_cause cause,
	const struct x402_errinfo *info)
{
	if (flow->step != X402__FLOW_RESERVE && flow->step != X402__FLOW_COMMIT)
		return;
	discard_authorization(flow);
	flow->error = info ? *info : (struct x402_errinfo){0};
	x402__flow_finish(flow, cause);
}

void x402__flow_committed(struct x402__flow *flow)
{
	const struct x402_client_options *options = flow->options;
	if (flow->step != X402__FLOW_COMMIT)
		return;
	if (options->on_payment_signed) {
		enum x402_err err = options->on_payment_signed(
			options->user, &flow->payment);
		if (err) {
			discard_authorization(flow);
			finish_err(flow, X402_CLIENT_CAUSE_DECLINED, err);
			return;
		}
	}
	/* From here on the money may be gone, whatever is answered. */
	if (x402__send_is_scheme(flow->payment.scheme))
		flow->ambiguous = true;
	flow->step = X402__FLOW_SEND;
}

/* ---- 3. The challenge. ---- */

/* The hook's headers travel with the next request to the same URL. */
static bool take_extra(
	struct x402__flow *flow, const struct x402_client_headers *extra)
{
	for (size_t i = 0; i < extra->len; i++) {
		const struct x402_client_header *item = &extra->items[i];
		x402__headers_remove(&flow->headers, item->name);
		enum x402_err err = x402__headers_add(&flow->headers,
			x402_span_str(item->name), x402_span_str(item->value));
		if (err) {
			finish_err(flow, X402_CLIENT_CAUSE_INTERNAL, err);
			return false;
		}
	}
	return true;
}

/* True when the hook has decided; the step is set then. */
static bool ask_hook(struct x402__flow *flow, size_t index)
{
	const struct x402_client_options *options = flow->options;
	if (!options->on_payment_required)
		return false;
	struct x402_client_quote quote = {
		.url = flow->url.shown,
		.challenge = &flow->challenge,
		.offer = index < flow->challenge.accepts_len
			? &flow->challenge.accepts[index]
			: NULL,
		.payment = &flow->payment,
	};
	struct x402_client_headers extra = {0};
	bool decided = true;
	switch (options->on_payment_required(options->user, &quote, &extra)) {
	case X402_CLIENT_PROCEED:
		decided = false;
		break;
	case X402_CLIENT_DECLINE:
		flow->error = (struct x402_errinfo){0};
		x402__flow_finish(flow, X402_CLIENT_CAUSE_DECLINED);
		break;
	case X402_CLIENT_RESEND:
		/* C-003: once; a second challenge is then paid or refused. */
		decided = !flow->hook_resent;
		if (decided && take_extra(flow, &extra)) {
			flow->hook_resent = true;
			flow->step = X402__FLOW_SEND;
		}
		break;
	}
	x402__headers_clear(&extra);
	return decided;
}

#define SIGN_IN_HEADER "SIGN-IN-WITH-X"

/*
 * C-003, E-SIWX: once, before paying. True when the request is sent again
 * with the proof; a second 402 is then paid, or refused. A sign-in for
 * another site is not made, and the price stands as it is. index: the offer
 * that would be paid, if it is one.
 */
static bool try_sign_in(struct x402__flow *flow, size_t index)
{
	struct x402_errinfo info = {{0}};
	char *proof = NULL;
	bool own = flow->options->allow_other_origin ||
		x402__http_url_same_origin(&flow->asked, &flow->url) ||
		x402__http_url_is_upgrade(&flow->asked, &flow->url);
	if (!flow->options->sign_in || flow->signed_in || !own)
		return false;
	struct x402__sign_in_ask ask = {
		.required = &flow->challenge,
		.url = &flow->url,
		.signer = flow->signer,
		.svm_signer = flow->svm ? x402__svm_signer(flow->svm) : NULL,
	};
	if (index < flow->challenge.accepts_len)
		ask.network = x402_payment_requirements_caip2(
			&flow->challenge.accepts[index]);
	enum x402_err err = x402__sign_in(&ask, &info, &proof);
	if (!err) {
		flow->signed_in = true;
		err = x402__headers_add(&flow->headers,
			x402_span_str(SIGN_IN_HEADER), x402_span_str(proof));
	}
	free(proof);
	if (!err)
		flow->step = X402__FLOW_SEND;
	else if (info.text[0])
		flow->error = info;
	return !err;
}

static void keep_challenge(
	struct x402__flow *flow, struct x402_payment_required *required)
{
	x402_payment_required_clear(&flow->challenge);
	x402_json_unref(flow->challenge_json);
	flow->challenge = *required;
	flow->challenge_json = x402_json_ref(required->json);
}

/*
 * Nothing is chosen and nothing signed: whatever is asked now, what is open in
 * the journal is shown, to whom it was made for.
 */
static void present_again(
	struct x402__flow *flow, const struct x402__choice *choice)
{
	enum x402_client_cause cause = x402__challenge_origin(
		choice, &flow->error);
	if (cause != X402_CLIENT_CAUSE_NONE) {
		x402__flow_finish(flow, cause);
		return;
	}
	flow->step = X402__FLOW_RESERVE;
}

static void receive_challenge(
	struct x402__flow *flow, const struct x402__message *message)
{
	struct x402_payment_required required = {0};
	flow->error = (struct x402_errinfo){0};
	enum x402_err err = x402__challenge_read(
		message, &flow->error, &required);
	if (err) {
		finish_err(flow, X402_CLIENT_CAUSE_CHALLENGE, err);
		return;
	}
	keep_challenge(flow, &required);
	struct x402__choice choice = {
		.options = flow->options,
		.asked = &flow->asked,
		.current = &flow->url,
		.required = &flow->challenge,
		.no_evm = flow->svm && !flow->signer,
		.has_svm = flow->svm != NULL,
	};
	if (flow->present_only) {
		present_again(flow, &choice);
		return;
	}
	size_t index = X402_ACCEPTS_MAX;
	enum x402_client_cause cause = x402__challenge_choose(
		&choice, &flow->error, &index);
	if (index < flow->challenge.accepts_len)
		x402_client_payment_terms(
			&flow->challenge.accepts[index], &flow->payment);
	if (flow->request->dry_run) {
		x402__flow_finish(flow, cause);
		return;
	}
	if (try_sign_in(flow, index))
		return;
	bool payable = cause == X402_CLIENT_CAUSE_NONE;
	if (ask_hook(flow, payable ? index : X402_ACCEPTS_MAX))
		return;
	if (payable)
		pay(flow, index);
	else
		x402__flow_finish(flow, cause);
}

static void receive_unpaid(
	struct x402__flow *flow, const struct x402__message *message)
{
	const char *location = x402__flow_find_redirect(flow, message);
	if (location) {
		x402__flow_follow_redirect(flow, message->status, location);
		return;
	}
	if (message->status == 402) {
		receive_challenge(flow, message);
		return;
	}
	if (message->status == 412) {
		struct x402_payment_required required = {0};
		/* A plain 412 has nothing to do with payments. */
		if (!x402__challenge_read(message, NULL, &required)) {
			keep_challenge(flow, &required);
			x402__flow_finish(flow, X402_CLIENT_CAUSE_PERMIT2);
			return;
		}
	}
	if (is_transient(message->status) &&
		flow->retries_used < flow->options->retries) {
		wait_before_retry(flow, message, flow->retries_used++);
		return;
	}
	x402__flow_finish(flow, X402_CLIENT_CAUSE_NONE);
}

/* ---- 5. After paying. ---- */

/* May the server be asked the same once more? */
static bool may_represent(const struct x402__flow *flow)
{
	static const char *const idempotent[] = {
		"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
	if (flow->options->no_represent || flow->represented >= REPRESENT_MAX)
		return false;
	if (flow->options->represent_any_method)
		return true;
	for (size_t i = 0; i < sizeof(idempotent) / sizeof(idempotent[0]); i++)
		if (strcmp(flow->method, idempotent[i]) == 0)
			return true;
	return false;
}

static void represent(
	struct x402__flow *flow, const struct x402__message *message)
{
	wait_before_retry(flow, message, flow->represented++);
}

static void receive_pending(
	struct x402__flow *flow, const struct x402__message *message)
{
	flow->seen_pending = true;
	flow->ambiguous = true;
	if (flow->options->pending_retries > 0 &&
		flow->pending_used < (unsigned)flow->options->pending_retries) {
		wait_before_retry(flow, message, flow->pending_used++);
		return;
	}
	x402__flow_finish(flow, X402_CLIENT_CAUSE_PENDING);
}

/* The transfer is on its way: the same proof again, until the deadline. */
static bool waits_for_chain(const struct x402__flow *flow)
{
	enum x402_reason reason;
	return x402_reason_from_wire(flow->payment.reason, &reason) &&
		(reason == X402_REASON_PROOF_NOT_MINED ||
			reason == X402_REASON_PROOF_NOT_FINAL);
}

static void mark_presented(struct x402__flow *flow)
{
	flow->payment.attempted = true;
	flow->payment.presented++;
}

static void receive_paid(
	struct x402__flow *flow, const struct x402__message *message)
{
	mark_presented(flow);
	flow->error = (struct x402_errinfo){0};
	enum x402_client_cause cause = x402__receipt_judge(flow, message);
	switch (flow->payment.outcome) {
	case X402_CLIENT_OUTCOME_PENDING:
		/* What came with the word "pending" is delivered. */
		if (message->status < 400)
			break;
		receive_pending(flow, message);
		return;
	case X402_CLIENT_OUTCOME_UNKNOWN:
		if (waits_for_chain(flow)) {
			flow->seen_pending = true;
			flow->wait_ms = X402__SEND_WAIT_MS;
			flow->step = X402__FLOW_WAIT;
			return;
		}
		if (is_transient(message->status) && may_represent(flow)) {
			flow->ambiguous = true;
			represent(flow, message);
			return;
		}
		break;
	case X402_CLIENT_OUTCOME_NONE:
	case X402_CLIENT_OUTCOME_PAID:
	case X402_CLIENT_OUTCOME_REFUSED:
		break;
	}
	x402__flow_finish(flow, cause);
}

bool x402__flow_ends_with(const struct x402__flow *flow, long status)
{
	return !x402__flow_pays(flow) && status >= 200 && status != 402 &&
		status != 412 && !x402__flow_is_redirect(status) &&
		!(is_transient(status) &&
			flow->retries_used < flow->options->retries);
}

bool x402__flow_holds(
	const struct x402__flow *flow, const struct x402__message *head)
{
	long status = head->status;
	if (status == 402 || status == 412)
		return true;
	if (x402__flow_pays(flow))
		return is_transient(status) && may_represent(flow);
	return x402__flow_find_redirect(flow, head) ||
		(is_transient(status) &&
			flow->retries_used < flow->options->retries);
}

void x402__flow_received(
	struct x402__flow *flow, const struct x402__message *message)
{
	if (flow->step != X402__FLOW_SEND)
		return;
	if (x402__flow_ends_with(flow, message->status)) {
		x402__flow_finish(flow, X402_CLIENT_CAUSE_NONE);
		return;
	}
	if (!x402__flow_know_url(flow))
		return;
	name_payer(flow);
	if (x402__flow_pays(flow))
		receive_paid(flow, message);
	else
		receive_unpaid(flow, message);
}

/* What is known when the last word was not an answer. */
static void set_open_outcome(struct x402__flow *flow)
{
	if (!flow->payment.attempted)
		return;
	flow->payment.outcome = flow->seen_pending
		? X402_CLIENT_OUTCOME_PENDING
		: X402_CLIENT_OUTCOME_UNKNOWN;
}

/* Worth another try? Not when the caller has a part of the body. */
static bool is_passing(const struct x402__failure *failure)
{
	return !failure->streamed &&
		(failure->cause == X402_CLIENT_CAUSE_TRANSPORT ||
			failure->cause == X402_CLIENT_CAUSE_TIMEOUT);
}

static void fail_paid(
	struct x402__flow *flow, const struct x402__failure *failure)
{
	if (failure->sent) {
		mark_presented(flow);
		flow->ambiguous = true;
	}
	if (failure->head) {
		/* The receipt came, the rest did not. */
		struct x402_errinfo error = flow->error;
		(void)x402__receipt_judge(flow, failure->head);
		flow->error = error;
		if (flow->payment.outcome == X402_CLIENT_OUTCOME_PAID) {
			x402__flow_finish(flow, failure->cause);
			return;
		}
		flow->seen_pending |= flow->payment.outcome ==
			X402_CLIENT_OUTCOME_PENDING;
	}
	set_open_outcome(flow);
	bool again = is_passing(failure);
	if (again && may_represent(flow))
		represent(flow, NULL);
	else
		x402__flow_finish(flow, failure->cause);
}

void x402__flow_failed(
	struct x402__flow *flow, const struct x402__failure *failure)
{
	if (flow->step != X402__FLOW_SEND)
		return;
	x402_errinfo_set(&flow->error, "", "%s",
		failure->text ? failure->text
			      : x402_client_cause_text(failure->cause));
	if (x402__flow_pays(flow)) {
		fail_paid(flow, failure);
		return;
	}
	bool again = is_passing(failure);
	if (again && flow->retries_used < flow->options->retries)
		wait_before_retry(flow, NULL, flow->retries_used++);
	else
		x402__flow_finish(flow, failure->cause);
}

void x402__flow_give_up(struct x402__flow *flow, enum x402_client_cause cause)
{
	if (flow->step == X402__FLOW_DONE)
		return;
	set_open_outcome(flow);
	flow->error = (struct x402_errinfo){0};
	/* Waiting for a confirmation is no timeout of the exchange. */
	if (cause == X402_CLIENT_CAUSE_TIMEOUT && flow->seen_pending)
		cause = X402_CLIENT_CAUSE_PENDING;
	x402__flow_finish(flow, cause);
}
