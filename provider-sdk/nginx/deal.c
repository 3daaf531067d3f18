/*
 * deal.c: one request that meets a price, up to its content.
 *
 *   x402_ngx_access()     the access phase, again and again until it is through
 *     x402_ngx_begin()    exempt; else the offer, and a crawler's name
 *     enter()             the body of who pays
 *     start()             x402_gate_begin()
 *     act()               answer, ask, or let the content handler run
 *   on_answered()         the facilitator has spoken
 *   on_request_end()      the request is over; a settlement goes on without it
 *
 * The response is filter.c's. A deal lives in the request's pool by its cleanup
 * only: an internal redirect wipes the module's context, and the deal must not
 * be lost with it.
 */
#include "module.h"

#include <string.h>

/* Of a longer body the claim holds the first part: whoever changes the rest
 * gets the answer to another request of the same location and price, once. */
#define BODY_BOUND_MAX ((size_t)1024 * 1024)

/* Longer reasons are cut in the log. */
#define REASON_SIZE 257

struct x402_ngx_deal *x402_ngx_now;

/* ---- The life of a deal. ---- */

static void deal_free(struct x402_ngx_deal *deal)
{
	if (deal->transfer)
		x402_ngx_transfer_cancel(deal->transfer);
	x402_ngx_names_cancel(deal);
	X402_NGX_GATE(deal, x402_gate_free(deal->gate));
	x402_ngx_terms_unref(deal->terms);
	ngx_free(deal);
}

static void on_request_end(void *data)
{
	struct x402_ngx_deal *deal = data;

	x402_ngx_deal_sent(deal);
	deal->r = NULL;
	deal->held = NULL;
	/* Its end must be known, or a paid request would be an unknown one. */
	if (!deal->syncing && (!deal->transfer || !deal->settling))
		deal_free(deal);
}

struct x402_ngx_deal *x402_ngx_deal_of(ngx_http_request_t *r)
{
	struct x402_ngx_deal *deal = ngx_http_get_module_ctx(
		r, ngx_http_x402_module);

	/* Only these lose the context. */
	if (deal || (!r->internal && !r->filter_finalize))
		return deal;
	for (ngx_pool_cleanup_t *cln = r->pool->cleanup; cln; cln = cln->next)
		if (cln->handler == on_request_end) {
			ngx_http_set_ctx(r, cln->data, ngx_http_x402_module);
			return cln->data;
		}
	return NULL;
}

static struct x402_ngx_deal *deal_new(
	ngx_http_request_t *r, struct x402_ngx_loc *lcf)
{
	ngx_pool_cleanup_t *cln = ngx_pool_cleanup_add(r->pool, 0);
	struct x402_ngx_deal *deal;

	if (!cln)
		return NULL;
	deal = ngx_calloc(sizeof(*deal), r->connection->log);
	if (!deal)
		return NULL;
	deal->r = r;
	deal->lcf = lcf;
	deal->held_last = &deal->held;
	deal->state = "";
	cln->handler = on_request_end;
	cln->data = deal;
	ngx_http_set_ctx(r, deal, ngx_http_x402_module);
	return deal;
}

/* A byte of what was bought: one behind the header, where there are any. An
 * upstream may die when its header has left. */
static bool has_left(const struct x402_ngx_deal *deal)
{
	const ngx_http_request_t *r = deal->r;
	ngx_uint_t status = r->headers_out.status;
	bool empty = r->header_only || (deal->whole && !deal->has_body) ||
		status == NGX_HTTP_NO_CONTENT ||
		status == NGX_HTTP_SWITCHING_PROTOCOLS;

	return r->connection->sent - deal->sent_before >
		(empty ? 0 : (off_t)r->header_size);
}

void x402_ngx_deal_sent(struct x402_ngx_deal *deal)
{
	if (deal->phase != X402_NGX_RELEASED || deal->delivered ||
		!deal->content || !deal->r || !has_left(deal))
		return;
	deal->delivered = true;
	X402_NGX_GATE(deal, x402_gate_delivered(deal->gate));
	if (!deal->paid)
		return;
	deal->state = "delivered";
	x402_ledger_add(x402_ngx_ledger, X402_LEDGER_DELIVERED);
}

/* A reason may be the facilitator's own words; a log has lines. */
static const char *one_line(const char *reason, char text[REASON_SIZE])
{
	size_t len = strnlen(reason, REASON_SIZE - 1);

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)reason[i];

		text[i] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
	}
	text[len] = '\0';
	return text;
}

void x402_ngx_event(void *user, const struct x402_gate *gate,
	enum x402_gate_event event, const char *reason)
{
	static const struct {
		enum x402_ledger_count count;
		ngx_uint_t level;
		const char *state;
	} rows[] = {
		[X402_GATE_EVENT_VERIFIED] = {X402_LEDGER_VERIFIED,
			NGX_LOG_DEBUG, "verified"},
		[X402_GATE_EVENT_REFUSED] = {X402_LEDGER_REFUSED, NGX_LOG_INFO,
			"refused"},
		[X402_GATE_EVENT_FAULT] = {X402_LEDGER_FAULT, NGX_LOG_ERR,
			"fault"},
		[X402_GATE_EVENT_SETTLED] = {X402_LEDGER_SETTLED, NGX_LOG_INFO,
			"settled"},
		[X402_GATE_EVENT_UNSETTLED] = {X402_LEDGER_UNSETTLED,
			NGX_LOG_WARN, "unsettled"},
		[X402_GATE_EVENT_CANCELLED] = {X402_LEDGER_CANCELLED,
			NGX_LOG_INFO, "cancelled"},
		[X402_GATE_EVENT_UNDELIVERED] = {X402_LEDGER_UNDELIVERED,
			NGX_LOG_WARN, "undelivered"},
	};
	ngx_log_t *log = ngx_cycle->log;
	char words[REASON_SIZE];

	(void)user;
	if (x402_ngx_ledger)
		x402_ledger_add(x402_ngx_ledger, rows[event].count);
	if (x402_ngx_now) {
		x402_ngx_now->state = rows[event].state;
		if (event == X402_GATE_EVENT_SETTLED)
			x402_ngx_now->paid = true;
		if (event == X402_GATE_EVENT_VERIFIED)
			x402_ngx_now->verified = true;
		if (x402_ngx_now->r)
			log = x402_ngx_now->r->connection->log;
	}
	ngx_log_error(rows[event].level, log, 0,
		"x402: %s%s%s payer=%s amount=%s tx=%s", rows[event].state,
		*reason ? ": " : "", one_line(reason, words),
		x402_gate_payer(gate), x402_gate_amount(gate),
		x402_gate_transaction(gate));
}

/* ---- The facilitator. ---- */

/* The gate sends this header with settlements and nothing else. */
static bool is_settlement(const struct x402_gate_ask *ask)
{
	for (size_t i = 0; i < ask->headers_len; i++)
		if (strcmp(ask->headers[i].name, "Idempotency-Key") == 0)
			return true;
	return false;
}

void x402_ngx_resume(ngx_http_request_t *r)
{
	ngx_connection_t *c = r->connection;

	ngx_http_set_log_request(c->log, r);
	r->read_event_handler = ngx_http_block_reading;
	r->write_event_handler = ngx_http_core_run_phases;
	ngx_http_core_run_phases(r);
	ngx_http_run_posted_requests(c);
}

/* A decision that is no question any more: on with the request. */
static void go_on(struct x402_ngx_deal *deal)
{
	deal->settling = false;
	if (!deal->r) {
		deal_free(deal);
	} else if (deal->phase == X402_NGX_HOLDING) {
		x402_ngx_filter_settled(deal);
	} else {
		deal->phase = X402_NGX_ASKED;
		x402_ngx_resume(deal->r);
	}
}

static void on_answered(
	void *user, const struct x402_gate_facilitator_answer *answer)
{
	struct x402_ngx_deal *deal = user;

	deal->transfer = NULL;
	X402_NGX_GATE(deal,
		x402_gate_on_facilitator(deal->gate, answer, &deal->decision));
	if (!x402_ngx_deal_ask(deal))
		go_on(deal);
}

/* As if the facilitator was down: nothing was sent, and all stays closed. */
static void not_sent(struct x402_ngx_deal *deal)
{
	struct x402_gate_facilitator_answer answer = {
		.transport = X402_ERR_NETWORK,
		.now_unix_s = (uint64_t)ngx_time(),
		.unsent = true};

	X402_NGX_GATE(deal,
		x402_gate_on_facilitator(deal->gate, &answer, &deal->decision));
}

/* Whom a certificate of its own is for; directories of crawlers and chains are
 * other people's. */
static bool asks_facilitator(const struct x402_ngx_deal *deal)
{
	const struct x402_gate_ask *ask = &deal->decision.ask;
	const ngx_array_t *holders = deal->lcf->holders;
	const ngx_array_t *rpcs = deal->lcf->rpcs;
	const struct x402_provider_holder *holder = holders ? holders->elts
							    : NULL;
	const struct x402_provider_rpc *rpc = rpcs ? rpcs->elts : NULL;

	for (ngx_uint_t i = 0; holder && i < holders->nelts; i++)
		if (strcmp(ask->url, holder[i].rpc_url) == 0)
			return false;
	for (ngx_uint_t i = 0; rpc && i < rpcs->nelts; i++)
		if (strcmp(ask->url, rpc[i].url) == 0)
			return false;
	return strcmp(ask->method, "GET") != 0;
}

static bool send_ask(struct x402_ngx_deal *deal)
{
	const char *certificate =
		(const char *)deal->lcf->facilitator_certificate.data;

	deal->transfer = x402_ngx_transfer_begin(&deal->decision.ask,
		asks_facilitator(deal) ? certificate : NULL, on_answered, deal);
	return deal->transfer;
}

#if (NGX_THREADS)
/* In a thread of the pool; touches nothing but these two. */
static void sync_ledger(void *data, ngx_log_t *log)
{
	struct x402_ngx_deal *deal = data;

	(void)log;
	deal->synced = x402_ledger_sync(x402_ngx_ledger);
}

static void on_synced(ngx_event_t *event)
{
	struct x402_ngx_deal *deal = event->data;

	deal->syncing = false;
	/* The buyer has left before anything was sent: nobody is charged. */
	if (!deal->r) {
		deal_free(deal);
		return;
	}
	if (deal->synced && send_ask(deal))
		return;
	not_sent(deal);
	if (!x402_ngx_deal_ask(deal))
		go_on(deal);
}

/* What is written down must be on the disk before money can move. */
static bool sync_first(struct x402_ngx_deal *deal)
{
	const struct x402_ngx_main *mcf = ngx_http_cycle_get_module_main_conf(
		ngx_cycle, ngx_http_x402_module);
	ngx_str_t name = ngx_string("default");
	ngx_thread_pool_t *pool;

	/* A repetition of what was sent before changes nothing. */
	if (!mcf->state_sync || deal->synced)
		return false;
	pool = ngx_thread_pool_get((ngx_cycle_t *)ngx_cycle, &name);
	ngx_memzero(&deal->sync, sizeof(deal->sync));
	deal->sync.ctx = deal;
	deal->sync.handler = sync_ledger;
	deal->sync.event.handler = on_synced;
	deal->sync.event.data = deal;
	deal->syncing = pool &&
		ngx_thread_task_post(pool, &deal->sync) == NGX_OK;
	return true;
}
#endif

bool x402_ngx_deal_ask(struct x402_ngx_deal *deal)
{
	while (deal->decision.action == X402_GATE_ASK) {
		deal->settling = is_settlement(&deal->decision.ask);
#if (NGX_THREADS)
		if (deal->settling && sync_first(deal)) {
			if (deal->syncing)
				return true;
			not_sent(deal);
			continue;
		}
#endif
		if (send_ask(deal))
			return true;
		not_sent(deal);
	}
	return false;
}

/* ---- What the gate decides before there is content. ---- */

static bool has_error_page(ngx_http_request_t *r, ngx_uint_t status)
{
	ngx_http_core_loc_conf_t *clcf = ngx_http_get_module_loc_conf(
		r, ngx_http_core_module);
	const ngx_http_err_page_t *pages;

	if (!clcf->error_pages || r->error_page)
		return false;
	pages = clcf->error_pages->elts;
	for (ngx_uint_t i = 0; i < clcf->error_pages->nelts; i++)
		if (pages[i].status == (ngx_int_t)status)
			return true;
	return false;
}

/* The gate's headers are added by the filter, whatever page goes with them. */
static ngx_int_t answer(struct x402_ngx_deal *deal)
{
	const struct x402_gate_decision *decision = &deal->decision;
	ngx_http_request_t *r = deal->r;
	ngx_http_complex_value_t body = {0};
	ngx_str_t type = ngx_string("application/json");
	ngx_int_t rc;

	deal->phase = X402_NGX_ANSWER;
	if (!deal->has_payment) {
		deal->state = decision->status == 402 ? "unpaid"
			: decision->status < 400      ? "preflight"
						      : "refused";
		if (decision->status == 402)
			x402_ledger_add(x402_ngx_ledger, X402_LEDGER_UNPAID);
	}
	if (has_error_page(r, decision->status))
		return (ngx_int_t)decision->status;
	for (size_t i = 0; i < decision->headers_len; i++)
		if (strcasecmp(decision->headers[i].name, "Content-Type") ==
			0) {
			type.len = strlen(decision->headers[i].value);
			type.data = ngx_pnalloc(r->pool, type.len);
			if (!type.data)
				return NGX_HTTP_INTERNAL_SERVER_ERROR;
			ngx_memcpy(type.data, decision->headers[i].value,
				type.len);
		}
	body.value.len = decision->body.len;
	body.value.data = ngx_pnalloc(r->pool, decision->body.len + 1);
	if (!body.value.data)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	if (decision->body.len)
		ngx_memcpy(body.value.data, decision->body.ptr,
			decision->body.len);
	rc = ngx_http_send_response(r, decision->status, &type, &body);
	ngx_http_finalize_request(r, rc);
	return NGX_DONE;
}

static ngx_int_t let_in(struct x402_ngx_deal *deal)
{
	ngx_http_request_t *r = deal->r;

	deal->phase = X402_NGX_OPEN;
	/* Paid before, and not delivered: then nobody was asked to verify. */
	deal->paid = deal->paid || !deal->verified;
	/* Who pays gets the whole of it: a part, or "you have it already",
	 * would be found out after the money has moved. */
	r->headers_in.range = NULL;
	r->disable_not_modified = 1;
	return NGX_OK;
}

/* Free, for a reason that the location has given. */
static bool let_pass(struct x402_ngx_deal *deal)
{
	enum x402_ledger_count count = X402_LEDGER_COUNTS;

	switch (x402_gate_access_of(deal->gate)) {
	case X402_GATE_ACCESS_NONE:
	case X402_GATE_ACCESS_FREE: /* every path of a location is sold */
	case X402_GATE_ACCESS_PAID:
	case X402_GATE_ACCESS_SIGNED_IN:
		return false;
	case X402_GATE_ACCESS_PASS:
		deal->state = "pass";
		count = X402_LEDGER_PASS;
		break;
	case X402_GATE_ACCESS_QUOTA:
		deal->state = "quota";
		count = X402_LEDGER_QUOTA;
		break;
	case X402_GATE_ACCESS_HOLDER:
		deal->state = "holder";
		count = X402_LEDGER_HOLDER;
		break;
	case X402_GATE_ACCESS_CRAWLER:
		deal->state = "crawler";
		count = X402_LEDGER_CRAWLER;
		break;
	case X402_GATE_ACCESS_PERSON:
		deal->state = "person";
		count = X402_LEDGER_PERSON;
		break;
	}
	deal->phase = X402_NGX_FREE;
	x402_ledger_add(x402_ngx_ledger, count);
	return true;
}

static ngx_int_t act(struct x402_ngx_deal *deal)
{
	switch (deal->decision.action) {
	case X402_GATE_ASK:
		deal->phase = X402_NGX_ASKING;
		if (x402_ngx_deal_ask(deal)) {
			/* A buyer who hangs up now is not charged. */
			deal->r->read_event_handler = ngx_http_test_reading;
			return NGX_AGAIN;
		}
		return act(deal);
	case X402_GATE_RUN_HANDLER:
		return let_in(deal);
	case X402_GATE_ANSWER:
	case X402_GATE_WITHHOLD:
		return answer(deal);
	case X402_GATE_PASS:
		if (let_pass(deal))
			return NGX_OK;
		break;
	case X402_GATE_DELIVER:
		break;
	}
	ngx_log_error(NGX_LOG_ERR, deal->r->connection->log, 0,
		"x402: the gate says %d for a location that sells",
		(int)deal->decision.action);
	return NGX_HTTP_INTERNAL_SERVER_ERROR;
}

/* Nothing is asked, nothing is charged, everything passes. */
static ngx_int_t shadow(struct x402_ngx_deal *deal)
{
	bool refused = deal->decision.action == X402_GATE_ANSWER;
	bool free_ = deal->decision.action == X402_GATE_PASS;

	X402_NGX_GATE(deal, x402_gate_free(deal->gate));
	deal->gate = NULL;
	deal->phase = X402_NGX_FREE;
	if (deal->has_payment)
		deal->state = refused ? "shadow_refused" : "shadow_paid";
	else
		deal->state = free_ ? "shadow_free" : "shadow_unpaid";
	x402_ledger_add(x402_ngx_ledger, X402_LEDGER_SHADOW);
	return NGX_OK;
}

/* ---- Begin. ---- */

static bool nth_header(
	void *user, const char *name, size_t index, struct x402_span *ret_value)
{
	ngx_http_request_t *r = user;
	size_t len = strlen(name);

	for (ngx_list_part_t *part = &r->headers_in.headers.part; part;
		part = part->next) {
		const ngx_table_elt_t *headers = part->elts;

		for (ngx_uint_t i = 0; i < part->nelts; i++)
			if (headers[i].key.len == len &&
				ngx_strncasecmp(headers[i].key.data,
					(u_char *)(uintptr_t)name, len) == 0 &&
				index-- == 0) {
				*ret_value = x402_span(headers[i].value.data,
					headers[i].value.len);
				return true;
			}
	}
	return false;
}

static bool pays(ngx_http_request_t *r)
{
	struct x402_span value;

	return nth_header(r, X402_HEADER_PAYMENT_SIGNATURE, 0, &value) ||
		nth_header(r, X402_HEADER_X_PAYMENT, 0, &value);
}

/* The bytes of a buffer, at most max, appended. */
static void add_buf(ngx_http_request_t *r, struct x402_buf *body,
	ngx_buf_t *buf, size_t max)
{
	size_t len = (size_t)ngx_buf_size(buf);
	uint8_t *to;

	if (len > max)
		len = max;
	if (len == 0)
		return;
	if (!buf->in_file || ngx_buf_in_memory(buf)) {
		x402_buf_add(body, x402_span(buf->pos, len));
		return;
	}
	to = x402_buf_add_zeros(body, len);
	if (to &&
		ngx_read_file(buf->file, to, len, buf->file_pos) !=
			(ssize_t)len) {
		ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
			"x402: cannot read the request's body");
		body->failed = true;
	}
}

static bool body_of(ngx_http_request_t *r, struct x402_buf *body)
{
	if (!r->request_body)
		return true;
	for (ngx_chain_t *cl = r->request_body->bufs; cl; cl = cl->next)
		if (body->len < BODY_BOUND_MAX)
			add_buf(r, body, cl->buf, BODY_BOUND_MAX - body->len);
	return !body->failed;
}

bool x402_ngx_view(
	struct x402_ngx_deal *deal, struct x402_gate_request *ret_view)
{
	ngx_http_request_t *r = deal->r;
	char *method = x402_ngx_str(r->pool, &r->method_name);
	char *peer = x402_ngx_str(r->pool, &r->connection->addr_text);

	*ret_view = (struct x402_gate_request){
		.method = method,
		.target = x402_span(r->unparsed_uri.data, r->unparsed_uri.len),
		.header = nth_header,
		.header_user = r,
		.now_unix_s = (uint64_t)ngx_time(),
		/* Behind proxies realip has said who it is. */
		.peer = peer,
		.peer_name = deal->peer_name,
		.price = deal->said.price,
		.old_price = deal->said.old_price,
	};
	return method && peer;
}

static ngx_int_t start(struct x402_ngx_deal *deal)
{
	struct x402_buf body = {0};
	struct x402_gate_request view;

	if (!x402_ngx_view(deal, &view) || !body_of(deal->r, &body)) {
		x402_buf_clear(&body);
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	}
	view.body = x402_buf_span(&body);
	X402_NGX_GATE(
		deal, x402_gate_begin(deal->gate, &view, &deal->decision));
	x402_buf_clear(&body);
	if (deal->lcf->shadow)
		return shadow(deal);
	return act(deal);
}

static void on_body(ngx_http_request_t *r)
{
	struct x402_ngx_deal *deal = x402_ngx_deal_of(r);

	deal->body_read = true;
	r->write_event_handler = ngx_http_core_run_phases;
	ngx_http_core_run_phases(r);
}

static bool has_body(ngx_http_request_t *r)
{
#if (NGX_HTTP_V2)
	if (r->stream && !r->stream->in_closed)
		return true;
#endif
	return r->headers_in.content_length_n > 0 || r->headers_in.chunked;
}

/* A variable that is empty or "0" says no, as nginx has it elsewhere. */
bool x402_ngx_exempt(ngx_http_request_t *r, const struct x402_ngx_loc *lcf)
{
	ngx_str_t value;

	return lcf->exempt &&
		ngx_http_complex_value(r, lcf->exempt, &value) == NGX_OK &&
		value.len > 0 && !(value.len == 1 && value.data[0] == '0');
}

/* An upload that nginx itself stores (dav_methods) must be a file of its own
 * from the start; who reads the body first says so. */
static void want_file(ngx_http_request_t *r)
{
	if (r->method != NGX_HTTP_PUT || r->content_handler)
		return;
	r->request_body_in_file_only = 1;
	r->request_body_in_persistent_file = 1;
	r->request_body_in_clean_file = 1;
	r->request_body_file_group_access = 1;
	r->request_body_file_log_level = 0;
}

/* All is known of it but its body. */
static ngx_int_t enter(struct x402_ngx_deal *deal)
{
	ngx_http_request_t *r = deal->r;
	ngx_int_t rc;

	/* Who does not pay gets the 402 before the body is sent. */
	if (!deal->has_payment || !has_body(r) || deal->lcf->shadow)
		return start(deal);
	deal->phase = X402_NGX_BODY;
	want_file(r);
	rc = ngx_http_read_client_request_body(r, on_body);
	if (rc >= NGX_HTTP_SPECIAL_RESPONSE)
		return rc;
	ngx_http_finalize_request(r, NGX_DONE);
	return NGX_DONE;
}

ngx_int_t x402_ngx_begin(ngx_http_request_t *r, struct x402_ngx_loc *lcf)
{
	struct x402_ngx_deal *deal = deal_new(r, lcf);

	if (!deal || !x402_ngx_ledger)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	if (x402_ngx_exempt(r, lcf)) {
		deal->phase = X402_NGX_FREE;
		deal->state = "exempt";
		x402_ledger_add(x402_ngx_ledger, X402_LEDGER_EXEMPT);
		return NGX_OK;
	}
	if (!x402_ngx_said_of(r, lcf, &deal->said))
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	deal->terms = x402_ngx_terms_of(r, lcf, &deal->said);
	if (!deal->terms ||
		x402_gate_new(deal->terms->provider, &deal->gate) != X402_OK)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	deal->has_payment = pays(r);
	deal->phase = X402_NGX_NAMING;
	if (!x402_ngx_names_ask(deal))
		return enter(deal);
	r->read_event_handler = ngx_http_test_reading;
	return NGX_AGAIN;
}

ngx_int_t x402_ngx_access(ngx_http_request_t *r)
{
	struct x402_ngx_loc *lcf = x402_ngx_loc_of(r);
	struct x402_ngx_deal *deal;

	if (!lcf->enable)
		return NGX_DECLINED;
	deal = x402_ngx_deal_of(r);
	if (!deal)
		return x402_ngx_begin(r, lcf);
	switch (deal->phase) {
	case X402_NGX_NAMING:
		return deal->named ? enter(deal) : NGX_AGAIN;
	case X402_NGX_BODY:
		return deal->body_read ? start(deal) : NGX_DONE;
	case X402_NGX_ASKING:
		return NGX_AGAIN;
	case X402_NGX_ASKED:
		return act(deal);
	case X402_NGX_ANSWER:
	case X402_NGX_FREE:
	case X402_NGX_OPEN:
	case X402_NGX_HOLDING:
	case X402_NGX_RELEASED:
	case X402_NGX_REPLACED:
		break;
	}
	return x402_ngx_redirected(deal, lcf);
}
