/*
 * transfer.c: the steps of one call: it joins the flow (what to do), the
 * exchange (how to send it) and the journal (what must be durable first).
 *
 * The journal works on lists, so that a thousand transfers on one thread wait
 * for one fsync and not for a thousand. What stands at RESERVE is checked
 * against every budget and reserved in one transaction; signed outside of it,
 * since a signer may take its time; then all authorizations are made durable
 * in a second one. Only then may any of them leave.
 */
#include "transfer_p.h"

#include "ask_p.h"
#include "journal_p.h"
#include "operate_p.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* A hold outlives its call by this: clocks, and the last write. */
#define HOLD_MARGIN_MS 10000

/* ---- The request. ---- */

static void request_of(
	struct x402__transfer *transfer, const struct x402_client_easy *easy)
{
	char *url = NULL;
	/* Before it has run, a handle says what it was given. */
	curl_easy_getinfo(easy->curl, CURLINFO_EFFECTIVE_URL, &url);
	transfer->request = (struct x402_client_request){
		.url = url,
		.method = "GET", /* until the handle has told it */
		.body = easy->body,
		.purchase_id = easy->purchase_id,
		.once = easy->once,
		.buy_again = easy->buy_again,
		.correlation = easy->correlation,
		.timeout_ms = easy->timeout_ms,
	};
}

/* A header of the caller's own that pays: C-002 is for fetch. */
static bool brings_payment(const struct curl_slist *line)
{
	for (; line; line = line->next) {
		char name[32];
		size_t len = strcspn(line->data, ":;");
		if (len >= sizeof(name))
			continue;
		memcpy(name, line->data, len);
		name[len] = '\0';
		if (x402__header_is_payment(name))
			return true;
	}
	return false;
}

static void refuse(struct x402__transfer *transfer,
	enum x402_client_cause cause, const char *field, const char *text)
{
	struct x402__flow *flow = &transfer->flow;
	if (flow->step == X402__FLOW_DONE)
		return;
	flow->step = X402__FLOW_RESERVE;
	struct x402_errinfo info = {{0}};
	x402_errinfo_set(&info, field, "%s", text);
	x402__flow_refuse(flow, cause, &info);
}

void x402__transfer_init(struct x402__transfer *transfer,
	struct x402_client *client, CURL *curl,
	const struct x402_client_easy *easy,
	const struct x402_client_request *request,
	struct x402_client_response *response)
{
	const struct x402_client_options *options = &client->options;
	/* Not as a whole: the flow is large, and begins itself. */
	transfer->client = client;
	transfer->response = response;
	transfer->method[0] = '\0';
	transfer->purchase = 0;
	transfer->signed_now = false;
	transfer->asked = false;
	transfer->sponsor.kind = X402__SPONSOR_NONE;
	transfer->send = (struct x402__send_facts){0};
	transfer->nonce32 = NULL;
	transfer->broadcast = false;
	transfer->whole = false;
	if (easy)
		request_of(transfer, easy);
	else
		transfer->request = *request;
	const struct x402_client_signer *signer =
		client->has_signer ? &client->signer : NULL;
	if (easy)
		x402__flow_init_fixed(
			&transfer->flow, options, signer, &transfer->request);
	else
		x402__flow_init(
			&transfer->flow, options, signer, &transfer->request);
	transfer->flow.svm = client->svm;
	transfer->flow.cache = &client->create_cache;
	transfer->exchange = (struct x402__exchange){
		.options = options,
		.easy = easy,
		.flow = &transfer->flow,
		.curl = easy ? easy->curl : curl,
	};
	long timeout_ms = transfer->request.timeout_ms > 0
		? transfer->request.timeout_ms
		: options->timeout_ms;
	transfer->begun_ms = x402__now_ms();
	transfer->deadline_ms = transfer->begun_ms + timeout_ms;
	client->operator_->counters.in_flight++;
	if (easy && brings_payment(easy->headers))
		refuse(transfer, X402_CLIENT_CAUSE_BAD_REQUEST, "headers",
			"a handle may not bring its own payment header");
	if (easy && easy->read && options->journal && !easy->purchase_id)
		refuse(transfer, X402_CLIENT_CAUSE_BAD_REQUEST, "purchase_id",
			"a streamed body needs one, with a journal");
	if (transfer->flow.step != X402__FLOW_DONE &&
		x402__exchange_prepare(&transfer->exchange))
		refuse(transfer, X402_CLIENT_CAUSE_BAD_REQUEST, "body",
			"it cannot be sent twice: give `seek`, or less of it");
}

static void name_host(
	const struct x402__http_url *url, char *ret_host, size_t size)
{
	bool usual = url->port == (url->secure ? 443u : 80u);
	if (usual)
		snprintf(ret_host, size, "%s", url->host);
	else
		snprintf(ret_host, size, "%s:%u", url->host, url->port);
	for (char *c = ret_host; *c; c++)
		*c = (char)tolower((unsigned char)*c);
}

/* Too many failures in a row, and nothing of ours is there yet. */
static bool is_left_alone(struct x402__transfer *transfer)
{
	const struct x402__flow *flow = &transfer->flow;
	char host[272];
	struct x402__breaker *breaker = &transfer->client->operator_->breaker;
	if (x402__flow_pays(flow) || !breaker->len)
		return false;
	if (!x402__flow_know_url(&transfer->flow))
		return false;
	name_host(&flow->url, host, sizeof(host));
	return !x402__breaker_allows(
		&transfer->client->operator_->breaker, host, x402__now_ms());
}

/* The host's circuit learns how it went. */
static void note_host(struct x402__transfer *transfer, CURLcode code)
{
	struct x402_client *client = transfer->client;
	const struct x402__exchange *exchange = &transfer->exchange;
	struct x402__breaker_rule rule = {client->options.breaker_failures,
		client->options.breaker_open_ms};
	char host[272];
	bool ours = exchange->cancelled || exchange->refused_by_caller;
	bool ok = ours || (exchange->status && exchange->status < 500);
	if (code != CURLE_OK && !ours && !exchange->status)
		ok = false;
	/* Only hosts that fail are remembered. */
	if (ok && !client->operator_->breaker.len)
		return;
	if (!x402__flow_know_url(&transfer->flow))
		return;
	name_host(&transfer->flow.url, host, sizeof(host));
	if (x402__breaker_note(&client->operator_->breaker, host, ok, &rule,
		    x402__now_ms())) {
		client->operator_->counters.circuits_opened++;
		x402__event_host(client, "circuit_opened", host);
	}
}

bool x402__transfer_send(struct x402__transfer *transfer)
{
	int64_t remaining_ms = transfer->deadline_ms - x402__now_ms();
	transfer->whole = false;
	if (remaining_ms <= 0) {
		x402__flow_give_up(&transfer->flow, X402_CLIENT_CAUSE_TIMEOUT);
		return false;
	}
	if (is_left_alone(transfer)) {
		x402__flow_give_up(&transfer->flow, X402_CLIENT_CAUSE_CIRCUIT);
		return false;
	}
	if (transfer->flow.step == X402__FLOW_DONE)
		return false;
	if (x402__exchange_begin(&transfer->exchange, remaining_ms)) {
		x402__flow_give_up(&transfer->flow, X402_CLIENT_CAUSE_INTERNAL);
		return false;
	}
	transfer->client->operator_->counters.requests++;
	return true;
}

void x402__transfer_sent(struct x402__transfer *transfer, CURLcode code)
{
	struct x402__flow *flow = &transfer->flow;
	if (flow->fixed && !transfer->method[0]) {
		char *method = NULL;
		curl_easy_getinfo(transfer->exchange.curl,
			CURLINFO_EFFECTIVE_METHOD, &method);
		snprintf(transfer->method, sizeof(transfer->method), "%s",
			method ? method : "GET");
		flow->method = transfer->method;
	}
	transfer->whole = code == CURLE_OK;
	curl_easy_getinfo(transfer->exchange.curl, CURLINFO_RESPONSE_CODE,
		&transfer->exchange.status);
	note_host(transfer, code);
	x402__exchange_end(&transfer->exchange, code);
	if (flow->step == X402__FLOW_WAIT) {
		/* So that a thousand clients do not come back at once. */
		flow->wait_ms = x402__jitter(flow->wait_ms);
		transfer->client->operator_->counters.retries++;
	}
}

/* ---- The journal. ---- */

static struct x402__inputs fresh_inputs(void)
{
	struct x402__inputs inputs = {.now_unix_s = x402__now_unix_ms() / 1000};
	x402__random(inputs.nonce32, sizeof(inputs.nonce32));
	return inputs;
}

static void sign_one(struct x402__transfer *transfer)
{
	struct x402__inputs inputs = fresh_inputs();
	inputs.svm = transfer->svm;
	inputs.sponsor = transfer->sponsor;
	inputs.send = transfer->send;
	if (transfer->nonce32)
		memcpy(inputs.nonce32, transfer->nonce32,
			sizeof(inputs.nonce32));
	transfer->signed_now = true;
	x402__flow_sign(&transfer->flow, &inputs);
	if (transfer->flow.step == X402__FLOW_COMMIT) {
		transfer->client->operator_->counters.signed_++;
		x402__event_signed(transfer);
	}
}

/* In the open transaction. */
static enum x402_err reserve_one(
	struct x402__transfer *transfer, struct x402__journal_grant *ret_grant)
{
	const struct x402_client_options *options = &transfer->client->options;
	const struct x402_client_request *request = &transfer->request;
	struct x402__flow *flow = &transfer->flow;
	char host[272];
	int64_t hold_ms = transfer->deadline_ms - x402__now_ms();
	name_host(&flow->asked, host, sizeof(host));
	struct x402__journal_ask ask = {
		.id = request->purchase_id,
		.session = options->session,
		.correlation = request->correlation ? request->correlation
						    : options->correlation,
		.method = flow->method,
		.url = flow->asked.shown,
		.host = host,
		.body = request->body,
		.terms = &flow->payment,
		.once = request->once,
		.buy_again = request->buy_again,
		.present_only = flow->present_only,
		.now_unix_ms = x402__now_unix_ms(),
		.hold_ms = (uint64_t)(hold_ms > 0 ? hold_ms : 0) +
			HOLD_MARGIN_MS,
		.loop_max = options->loop_max,
		.budgets = options->budgets,
		.budgets_len = options->budgets_len,
	};
	return x402__journal_reserve(options->journal, &ask, ret_grant);
}

static bool stands_at(
	const struct x402__transfer *transfer, enum x402__flow_step step)
{
	return transfer->flow.step == step;
}

/* Do what the journal has said. */
static void obey(
	struct x402__transfer *transfer, struct x402__journal_grant *grant)
{
	struct x402__flow *flow = &transfer->flow;
	flow->payment.purchase = grant->number;
	switch (grant->verdict) {
	case X402__JOURNAL_REFUSE:
		if (grant->cause == X402_CLIENT_CAUSE_UNRESOLVED &&
			!grant->number && transfer->client->operator_->paused)
			grant->cause = X402_CLIENT_CAUSE_PAUSED;
		x402__flow_refuse(flow, grant->cause, &grant->info);
		break;
	case X402__JOURNAL_PRESENT:
		transfer->purchase = grant->number;
		x402__flow_present(flow, grant->purchase.header_name,
			grant->purchase.header_text);
		break;
	case X402__JOURNAL_SIGN:
		transfer->purchase = grant->number;
		sign_one(transfer);
		break;
	}
	x402_purchase_clear(&grant->purchase);
}

/* The journal failed for all in the list: nobody pays. */
static void fail_all(struct x402__transfer *const *list, size_t len,
	enum x402__flow_step step, const struct x402_journal *journal)
{
	struct x402_errinfo info = {{0}};
	x402_errinfo_set(&info, "journal", "%s", x402_journal_error(journal));
	for (size_t i = 0; i < len; i++)
		if (stands_at(list[i], step))
			x402__flow_refuse(&list[i]->flow,
				X402_CLIENT_CAUSE_JOURNAL, &info);
}

static bool any_at(struct x402__transfer *const *list, size_t len,
	enum x402__flow_step step)
{
	for (size_t i = 0; i < len; i++)
		if (stands_at(list[i], step))
			return true;
	return false;
}

static void reserve_all(struct x402__transfer *const *list, size_t len,
	struct x402_journal *journal)
{
	struct x402__journal_grant *grants = calloc(len, sizeof(*grants));
	enum x402_err err = grants ? x402__journal_begin(journal, false)
				   : X402_ERR_NOMEM;
	if (!err) {
		for (size_t i = 0; !err && i < len; i++)
			if (stands_at(list[i], X402__FLOW_RESERVE))
				err = reserve_one(list[i], &grants[i]);
		err = x402__journal_end(journal, err);
	}
	if (err)
		fail_all(list, len, X402__FLOW_RESERVE, journal);
	for (size_t i = 0; grants && i < len; i++) {
		if (!err && stands_at(list[i], X402__FLOW_RESERVE))
			obey(list[i], &grants[i]);
		x402_purchase_clear(&grants[i].purchase);
	}
	free(grants);
}

static void commit_all(struct x402__transfer *const *list, size_t len,
	struct x402_journal *journal)
{
	uint64_t now_unix_ms = x402__now_unix_ms();
	enum x402_err err = x402__journal_begin(journal, true);
	if (!err) {
		for (size_t i = 0; !err && i < len; i++)
			if (stands_at(list[i], X402__FLOW_COMMIT))
				err = x402__journal_sign(journal,
					list[i]->purchase,
					&list[i]->flow.payment, now_unix_ms);
		err = x402__journal_end(journal, err);
	}
	if (err)
		fail_all(list, len, X402__FLOW_COMMIT, journal);
	for (size_t i = 0; i < len; i++)
		if (stands_at(list[i], X402__FLOW_COMMIT))
			x402__flow_committed(&list[i]->flow);
}

/* No memory but the caller's own hook. */
static void pass_all(struct x402__transfer *const *list, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (stands_at(list[i], X402__FLOW_RESERVE))
			sign_one(list[i]);
		if (stands_at(list[i], X402__FLOW_COMMIT))
			x402__flow_committed(&list[i]->flow);
	}
}

/* A pause is for new money: what is open in the journal may go on. */
static void refuse_paused(struct x402__transfer *const *list, size_t len)
{
	struct x402__operator *operator_ = list[0]->client->operator_;
	struct x402_errinfo info = {{0}};
	x402_errinfo_set(&info, "", "%s",
		operator_->pause_reason[0] ? operator_->pause_reason
					   : "paused by the program");
	for (size_t i = 0; i < len; i++) {
		if (!stands_at(list[i], X402__FLOW_RESERVE))
			continue;
		if (list[i]->client->options.journal)
			list[i]->flow.present_only = true;
		else
			x402__flow_refuse(&list[i]->flow,
				X402_CLIENT_CAUSE_PAUSED, &info);
	}
}

/* ---- What a node has to be asked. ---- */

static char *question_of_svm(
	struct x402__transfer *transfer, const char **ret_url)
{
	struct x402__flow *flow = &transfer->flow;
	struct x402_errinfo info = {{0}, {0}};
	char *question = NULL;
	*ret_url = x402__svm_rpc_url(flow->svm);
	if (x402__svm_question(flow->svm,
		    &flow->challenge.accepts[flow->offer_index], x402__now_ms(),
		    &info, &transfer->svm, &question))
		x402__flow_refuse(flow, X402_CLIENT_CAUSE_SIGNER, &info);
	return question;
}

/*
 * What is durable may leave: of this call, or of one that was killed before it
 * could, or right after. The same bytes twice are one transfer.
 */
static char *broadcast_of(struct x402__transfer *transfer, const char **ret_url)
{
	const struct x402_client_payment *payment = &transfer->flow.payment;
	struct x402_buf raw = {0};
	*ret_url = transfer->client->options.evm_rpc_url;
	if (transfer->broadcast || transfer->flow.brought || !*ret_url ||
		!payment->header_text ||
		!x402__send_is_scheme(payment->scheme) ||
		x402__send_raw_of(payment->header_text, &raw))
		return NULL;
	transfer->broadcast = true;
	/* The money may be gone, whether the purchase is ever shown it. */
	transfer->flow.payment.attempted = true;
	char *body = x402__send_broadcast(x402_buf_span(&raw));
	x402_buf_clear(&raw);
	return body;
}

char *x402__transfer_question(
	struct x402__transfer *transfer, const char **ret_url)
{
	struct x402__flow *flow = &transfer->flow;
	const struct x402_client *client = transfer->client;
	if (flow->step == X402__FLOW_SEND)
		return broadcast_of(transfer, ret_url);
	if (flow->step != X402__FLOW_RESERVE || flow->present_only ||
		transfer->asked || client->operator_->paused)
		return NULL;
	const struct x402_payment_requirements *offer =
		&flow->challenge.accepts[flow->offer_index];
	transfer->asked = true;
	if (x402__svm_is_offer(offer))
		return flow->svm ? question_of_svm(transfer, ret_url) : NULL;
	*ret_url = client->options.evm_rpc_url;
	if (x402__send_is_offer(offer))
		return *ret_url && flow->signer
			? x402__send_question(offer, &flow->signer->address)
			: NULL;
	struct x402__sponsor_offer what = x402__sponsor_offer(
		&flow->challenge, offer);
	return *ret_url && flow->signer && (what.permit || what.approval)
		? x402__sponsor_question(offer, &flow->signer->address, what)
		: NULL;
}

void x402__transfer_answered(
	struct x402__transfer *transfer, const struct x402_json *answers)
{
	struct x402__flow *flow = &transfer->flow;
	struct x402_errinfo info = {{0}, {0}};
	if (flow->step != X402__FLOW_RESERVE)
		return;
	const struct x402_payment_requirements *offer =
		&flow->challenge.accepts[flow->offer_index];
	if (x402__send_is_offer(offer))
		x402__send_answer(offer, answers, &transfer->send);
	else if (!x402__svm_is_offer(offer))
		x402__sponsor_answer(offer, answers,
			x402__sponsor_offer(&flow->challenge, offer),
			&transfer->sponsor);
	else if (x402__svm_answer(flow->svm, offer, x402__now_ms(), answers,
			 &info, &transfer->svm))
		x402__flow_refuse(flow, X402_CLIENT_CAUSE_SIGNER, &info);
}

void x402__transfer_ask(struct x402__transfer *transfer)
{
	struct x402__breaker *breaker = &transfer->client->operator_->breaker;
	struct x402__asker asker;
	struct x402_json *answers = NULL;
	const char *url = NULL;
	char *question = x402__transfer_question(transfer, &url);
	if (!question)
		return;
	if (!x402__asker_init(breaker, &asker)) {
		/* Nothing said is an answer too. */
		if (x402__ask(&asker, url, question, &answers))
			answers = NULL;
		x402__asker_clear(&asker);
	}
	free(question);
	x402__transfer_answered(transfer, answers);
	x402_json_unref(answers);
}

/* ---- All of the journal. ---- */

void x402__transfers_journal(struct x402__transfer *const *list, size_t len)
{
	if (!len)
		return;
	if (list[0]->client->operator_->paused)
		refuse_paused(list, len);
	struct x402_journal *journal = list[0]->client->options.journal;
	if (!journal) {
		pass_all(list, len);
		return;
	}
	if (any_at(list, len, X402__FLOW_RESERVE))
		reserve_all(list, len, journal);
	if (any_at(list, len, X402__FLOW_COMMIT))
		commit_all(list, len, journal);
}

static enum x402_err record_one(
	struct x402__transfer *transfer, struct x402_journal *journal)
{
	struct x402__journal_end_of end = {
		.payment = &transfer->flow.payment,
		.http_status = transfer->exchange.status,
		.delivered = transfer->whole,
		.signed_now = transfer->signed_now && !transfer->broadcast,
		.now_unix_ms = x402__now_unix_ms(),
	};
	enum x402_err err = x402__journal_finish(
		journal, transfer->purchase, &end);
	/* Taken over by another process, which will say what it finds. */
	return err == X402_ERR_CONFLICT ? X402_OK : err;
}

void x402__transfers_record(struct x402__transfer *const *list, size_t len)
{
	bool any = false;
	for (size_t i = 0; i < len; i++)
		any |= list[i]->purchase != 0;
	if (!any)
		return;
	struct x402_journal *journal = list[0]->client->options.journal;
	enum x402_err err = x402__journal_begin(journal, false);
	if (!err) {
		for (size_t i = 0; !err && i < len; i++)
			if (list[i]->purchase)
				err = record_one(list[i], journal);
		err = x402__journal_end(journal, err);
	}
	if (!err)
		return;
	/* What is not recorded stays open in the journal: never lost. */
	for (size_t i = 0; i < len; i++)
		if (list[i]->purchase && !list[i]->flow.err) {
			list[i]->flow.err = X402_ERR_STORE;
			list[i]->flow.cause = X402_CLIENT_CAUSE_JOURNAL;
			x402_errinfo_set(&list[i]->flow.error, "journal", "%s",
				x402_journal_error(journal));
		}
}

/* ---- The end. ---- */

static void keep_message(struct x402__transfer *transfer)
{
	struct x402_client_response *response = transfer->response;
	struct x402__exchange *exchange = &transfer->exchange;
	response->status = exchange->status;
	response->headers = exchange->headers.items;
	response->headers_len = exchange->headers.len;
	exchange->headers = (struct x402_client_headers){0};
	response->body = exchange->body;
	exchange->body = (struct x402_buf){0};
}

/* Where the last request went, without userinfo and fragment. */
static void take_url(struct x402__flow *flow, char **ret_url)
{
	if (flow->unparsed && !strchr(flow->unparsed, '@')) {
		flow->unparsed[strcspn(flow->unparsed, "#")] = '\0';
		*ret_url = flow->unparsed;
		flow->unparsed = NULL;
		return;
	}
	/* With userinfo, or after a failure: then it has to be read. */
	if (!flow->url.shown && flow->unparsed && !x402__flow_know_url(flow))
		return;
	*ret_url = flow->url.shown;
	flow->url.shown = NULL;
}

enum x402_err x402__transfer_finish(struct x402__transfer *transfer)
{
	struct x402__flow *flow = &transfer->flow;
	struct x402_client_response *response = transfer->response;
	x402__count_done(transfer);
	x402__event_done(transfer);
	transfer->client->operator_->counters.in_flight--;
	if (!flow->err)
		x402__exchange_deliver(&transfer->exchange);
	keep_message(transfer);
	response->payment = flow->payment;
	flow->payment.header_text = NULL;
	flow->payment.settle_response_json = NULL;
	response->challenge = flow->challenge_json;
	flow->challenge_json = NULL;
	take_url(flow, &response->url);
	response->cause = flow->cause;
	response->error = flow->error;
	enum x402_err err = flow->err;
	x402__exchange_restore(&transfer->exchange);
	x402__exchange_clear(&transfer->exchange);
	x402__flow_clear(flow);
	return err;
}
