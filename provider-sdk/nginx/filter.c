/*
 * filter.c: the response of a request that meets a price.
 *
 *   header_filter()   the content handler has a response: its status decides
 *     open_response() ask the gate; settle, and hold the response back
 *   body_filter()     what comes while it is held is kept, unread
 *   x402_ngx_filter_settled()
 *     release()       header, then what was kept, with the receipt
 *     replace()       none of it: the gate's answer
 *
 * Nothing is copied while a response is held: its buffers stay with whoever
 * filled them (file, proxy), which sees them as not yet sent and stops at its
 * own limits, as it does for a slow client.
 *
 * The filters run after nginx's own for add_header and expires, so that what
 * they say about caches is the last word, and before those for ssi, gzip and
 * ranges.
 */
#include "module.h"

#include <string.h>

/* A bit of c->buffered that nginx leaves to modules: "there is more to send",
 * so that the request is not ended while its response is held. */
#define BUFFERED 0x40

static ngx_http_output_header_filter_pt next_header;
static ngx_http_output_body_filter_pt next_body;

/* ---- Headers. ---- */

static bool is_named(const ngx_table_elt_t *header, const char *name)
{
	size_t len = strlen(name);

	return header->hash != 0 && header->key.len == len &&
		ngx_strncasecmp(
			header->key.data, (u_char *)(uintptr_t)name, len) == 0;
}

/* Strike every header that the predicate names. */
static void strike(ngx_http_request_t *r,
	bool (*bad)(const ngx_table_elt_t *header, const void *user),
	const void *user)
{
	for (ngx_list_part_t *part = &r->headers_out.headers.part; part;
		part = part->next) {
		ngx_table_elt_t *headers = part->elts;

		for (ngx_uint_t i = 0; i < part->nelts; i++)
			if (bad(&headers[i], user))
				headers[i].hash = 0;
	}
}

static bool has_name(const ngx_table_elt_t *header, const void *name)
{
	return is_named(header, name);
}

/* What speaks for the gate, and what tells a shared cache to keep a response
 * whatever Cache-Control says (demands.md, attack 39). */
static bool is_not_the_handlers(const ngx_table_elt_t *header, const void *user)
{
	char name[64];

	(void)user;
	if (header->hash == 0 || header->key.len >= sizeof(name))
		return false;
	ngx_memcpy(name, header->key.data, header->key.len);
	name[header->key.len] = '\0';
	return x402_gate_header_is_ours(name) ||
		strcasecmp(name, "X-Accel-Expires") == 0 ||
		strcasecmp(name, "CDN-Cache-Control") == 0 ||
		strcasecmp(name, "Surrogate-Control") == 0;
}

static ngx_int_t add_header(
	ngx_http_request_t *r, const char *name, const char *value)
{
	ngx_table_elt_t *header = ngx_list_push(&r->headers_out.headers);
	size_t name_len = strlen(name);
	size_t value_len = strlen(value);
	u_char *copy = ngx_pnalloc(r->pool, name_len + value_len);

	if (!header)
		return NGX_ERROR;
	header->hash = 0;
	if (!copy)
		return NGX_ERROR;
	ngx_memcpy(copy, name, name_len);
	ngx_memcpy(copy + name_len, value, value_len);
	header->hash = 1;
	header->key.len = name_len;
	header->key.data = copy;
	header->lowcase_key = copy; /* nobody hashes it any more */
	header->value.len = value_len;
	header->value.data = copy + name_len;
	return NGX_OK;
}

/* The decision's headers, in place of the response's own. */
static ngx_int_t add_headers(struct x402_ngx_deal *deal)
{
	const struct x402_gate_decision *decision = &deal->decision;

	strike(deal->r, is_not_the_handlers, NULL);
	for (size_t i = 0; i < decision->headers_len; i++) {
		const struct x402_gate_header *header = &decision->headers[i];

		if (strcasecmp(header->name, "Content-Type") == 0)
			continue;
		if (!x402_gate_header_adds_up(header->name))
			strike(deal->r, has_name, header->name);
		if (add_header(deal->r, header->name, header->value) != NGX_OK)
			return NGX_ERROR;
	}
	return NGX_OK;
}

/* The handler's Cache-Control, all of it; "" without, NULL without memory. */
static const char *cache_control_of(ngx_http_request_t *r)
{
	struct x402_buf text = {0};
	char *copy;
	const char *in_pool;
	ngx_str_t str;

	for (ngx_list_part_t *part = &r->headers_out.headers.part; part;
		part = part->next) {
		const ngx_table_elt_t *headers = part->elts;

		for (ngx_uint_t i = 0; i < part->nelts; i++) {
			if (!is_named(&headers[i], "Cache-Control"))
				continue;
			if (text.len)
				x402_buf_add_str(&text, ", ");
			x402_buf_add(&text,
				x402_span(headers[i].value.data,
					headers[i].value.len));
		}
	}
	copy = x402_buf_take_str(&text);
	if (!copy)
		return NULL;
	str.data = (u_char *)copy;
	str.len = strlen(copy);
	in_pool = x402_ngx_str(r->pool, &str);
	free(copy);
	return in_pool;
}

/* ---- Out. ---- */

static ngx_int_t release(struct x402_ngx_deal *deal)
{
	ngx_http_request_t *r = deal->r;
	ngx_int_t rc;

	deal->phase = X402_NGX_RELEASED;
	deal->content = r->headers_out.status < NGX_HTTP_BAD_REQUEST;
	deal->sent_before = r->connection->sent;
	if (add_headers(deal) != NGX_OK)
		return NGX_ERROR;
	rc = next_header(r);
	x402_ngx_deal_sent(deal);
	return rc;
}

/* The whole of the gate's answer, and nothing of the handler's. */
static ngx_int_t replace(struct x402_ngx_deal *deal)
{
	const struct x402_gate_decision *decision = &deal->decision;
	ngx_http_request_t *r = deal->r;
	ngx_buf_t *buf = ngx_create_temp_buf(r->pool, decision->body.len + 1);
	ngx_chain_t out = {.buf = buf};
	ngx_int_t rc;

	deal->phase = X402_NGX_REPLACED;
	deal->held = NULL;
	if (!buf)
		return NGX_ERROR;
	ngx_http_clean_header(r);
	r->headers_out.status = decision->status;
	r->headers_out.content_length_n = (off_t)decision->body.len;
	ngx_str_set(&r->headers_out.content_type, "application/json");
	r->headers_out.content_type_len = r->headers_out.content_type.len;
	r->headers_out.content_type_lowcase = NULL;
	r->allow_ranges = 0;
	if (add_headers(deal) != NGX_OK)
		return NGX_ERROR;
	rc = next_header(r);
	if (rc == NGX_ERROR || rc > NGX_OK || r->header_only)
		return rc;
	if (decision->body.len)
		buf->last = ngx_cpymem(
			buf->last, decision->body.ptr, decision->body.len);
	buf->last_buf = 1;
	buf->last_in_chain = 1;
	return next_body(r, &out);
}

/* ---- In. ---- */

static ngx_uint_t status_for_gate(const struct x402_ngx_deal *deal)
{
	const ngx_http_request_t *r = deal->r;
	ngx_uint_t status = r->headers_out.status;

	/* "You have it already" is no content, so it is not charged. Nor is
	 * nginx's own way from a directory to the same with a slash; where an
	 * origin or a script redirects to may be all that was wanted. */
	if (status == NGX_HTTP_NOT_MODIFIED ||
		(status == NGX_HTTP_MOVED_PERMANENTLY && !r->upstream &&
			!r->content_handler))
		return NGX_HTTP_PRECONDITION_FAILED;
	return status;
}

/* What the upstream says in Settlement-Overrides (x402 P-142). */
static const char *override_of(
	ngx_http_request_t *r, char amount[X402_PROVIDER_PRICE_SIZE])
{
	for (ngx_list_part_t *part = &r->headers_out.headers.part; part;
		part = part->next) {
		const ngx_table_elt_t *headers = part->elts;

		for (ngx_uint_t i = 0; i < part->nelts; i++) {
			const char *json;

			if (!is_named(&headers[i], "Settlement-Overrides"))
				continue;
			json = x402_ngx_str(r->pool, &headers[i].value);
			x402_gate_read_override(json ? json : "", amount);
			return amount;
		}
	}
	return NULL;
}

/*
 * What is charged of an offer of upto; NULL for all of it. A directive that
 * comes to nothing is no amount, so that nothing is charged and nothing leaves.
 */
static const char *charge_of(
	const struct x402_ngx_deal *deal, char amount[X402_PROVIDER_PRICE_SIZE])
{
	ngx_str_t said;

	if (!deal->lcf->upto || !deal->lcf->charge)
		return override_of(deal->r, amount);
	amount[0] = '\0';
	if (ngx_http_complex_value(deal->r, deal->lcf->charge, &said) ==
			NGX_OK &&
		said.len > 0 && said.len < X402_PROVIDER_PRICE_SIZE &&
		!memchr(said.data, '\0', said.len)) {
		ngx_memcpy(amount, said.data, said.len);
		amount[said.len] = '\0';
	}
	return amount;
}

static ngx_int_t open_response(struct x402_ngx_deal *deal)
{
	ngx_http_request_t *r = deal->r;
	struct x402_gate_handler_result result = {
		.now_unix_s = (uint64_t)ngx_time()};
	char amount[X402_PROVIDER_PRICE_SIZE];

	result.amount = charge_of(deal, amount);
	result.cache_control = cache_control_of(r);
	if (!result.cache_control)
		return NGX_ERROR;
	if (!*result.cache_control)
		result.cache_control = NULL;
	result.status = (unsigned)status_for_gate(deal);
	/* What follows is no HTTP any more, and no filter sees it: there is
	 * nothing that could be held back until the money has moved. */
	if (r->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS &&
		!deal->paid) {
		ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
			"x402: an upgrade needs \"x402_settle before\"");
		result.status = 0;
	}
	X402_NGX_GATE(deal,
		x402_gate_on_handler(deal->gate, &result, &deal->decision));
	if (x402_ngx_deal_ask(deal)) {
		deal->phase = X402_NGX_HOLDING;
		r->connection->buffered |= BUFFERED;
		/* nginx's own last filter would say so; handlers look. */
		if (r->method == NGX_HTTP_HEAD)
			r->header_only = 1;
		return NGX_OK;
	}
	if (deal->decision.action == X402_GATE_DELIVER)
		return release(deal);
	return replace(deal);
}

/*
 * Nobody has asked the gate about this request, and it answers with content
 * all the same: a "return" in the location, or a module that answers before
 * the access phase. "satisfy any" is the operator's own word.
 */
static bool went_round_the_gate(ngx_http_request_t *r)
{
	ngx_http_core_loc_conf_t *clcf = ngx_http_get_module_loc_conf(
		r, ngx_http_core_module);
	ngx_uint_t status = r->headers_out.status;

	return !x402_ngx_loc_of(r)->shadow && !r->error_page &&
		clcf->satisfy == NGX_HTTP_SATISFY_ALL &&
		status >= NGX_HTTP_OK && status < NGX_HTTP_SPECIAL_RESPONSE &&
		status != NGX_HTTP_NO_CONTENT;
}

static ngx_int_t header_filter(ngx_http_request_t *r)
{
	struct x402_ngx_deal *deal;

	if (r != r->main)
		return next_header(r);
	deal = x402_ngx_deal_of(r);
	if (!deal) {
		if (!x402_ngx_loc_of(r)->enable || !went_round_the_gate(r))
			return next_header(r);
		ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
			"x402: \"%V\" was answered before the access phase, "
			"where its price is asked: refused",
			&r->uri);
		return ngx_http_filter_finalize_request(r,
			&ngx_http_x402_module, NGX_HTTP_INTERNAL_SERVER_ERROR);
	}
	switch (deal->phase) {
	case X402_NGX_OPEN:
		return open_response(deal);
	case X402_NGX_ANSWER:
	case X402_NGX_RELEASED: /* a later filter has found fault with it */
		if (deal->phase == X402_NGX_RELEASED)
			deal->content = r->headers_out.status <
				NGX_HTTP_BAD_REQUEST;
		if (add_headers(deal) != NGX_OK)
			return NGX_ERROR;
		return next_header(r);
	case X402_NGX_NAMING:
	case X402_NGX_BODY:
	case X402_NGX_ASKING:
	case X402_NGX_ASKED:
		/* An error of nginx's own, on the way to the gate. */
		if (r->headers_out.status < NGX_HTTP_BAD_REQUEST)
			return NGX_ERROR;
		return next_header(r);
	case X402_NGX_FREE:
		/* With a pass there are headers: it is not for a cache. */
		if (!deal->gate)
			strike(r, is_not_the_handlers, NULL);
		else if (add_headers(deal) != NGX_OK)
			return NGX_ERROR;
		return next_header(r);
	case X402_NGX_REPLACED:
	case X402_NGX_HOLDING:
		break;
	}
	return NGX_ERROR;
}

static ngx_int_t keep(struct x402_ngx_deal *deal, ngx_chain_t *in)
{
	ngx_http_request_t *r = deal->r;

	for (; in; in = in->next) {
		ngx_chain_t *link = ngx_alloc_chain_link(r->pool);

		if (!link)
			return NGX_ERROR;
		link->buf = in->buf;
		link->next = NULL;
		*deal->held_last = link;
		deal->held_last = &link->next;
	}
	r->connection->buffered |= BUFFERED;
	return NGX_AGAIN;
}

/* The handler goes on as if its response was being sent, until it has said all
 * of it; one that may go on for ever is ended. */
static ngx_int_t discard(struct x402_ngx_deal *deal, ngx_chain_t *in)
{
	bool last = false;

	for (; in; in = in->next) {
		in->buf->pos = in->buf->last;
		in->buf->file_pos = in->buf->file_last;
		last = last || in->buf->last_buf;
	}
	return last || !deal->r->upstream ? NGX_OK : NGX_ERROR;
}

static void note_body(struct x402_ngx_deal *deal, const ngx_chain_t *in)
{
	for (; in; in = in->next) {
		deal->has_body = deal->has_body || ngx_buf_size(in->buf) > 0;
		deal->whole = deal->whole || in->buf->last_buf;
	}
}

static ngx_int_t body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
	struct x402_ngx_deal *deal;
	ngx_int_t rc;

	if (r != r->main)
		return next_body(r, in);
	deal = x402_ngx_deal_of(r);
	if (!deal)
		return next_body(r, in);
	switch (deal->phase) {
	case X402_NGX_HOLDING:
		return keep(deal, in);
	case X402_NGX_REPLACED:
		return in ? discard(deal, in) : next_body(r, NULL);
	case X402_NGX_RELEASED:
		note_body(deal, in);
		rc = next_body(r, in);
		x402_ngx_deal_sent(deal);
		return rc;
	case X402_NGX_OPEN:
		/* A body without its header. */
		return NGX_ERROR;
	case X402_NGX_NAMING:
	case X402_NGX_BODY:
	case X402_NGX_ASKING:
	case X402_NGX_ASKED:
	case X402_NGX_ANSWER:
	case X402_NGX_FREE:
		break;
	}
	return next_body(r, in);
}

void x402_ngx_filter_settled(struct x402_ngx_deal *deal)
{
	ngx_http_request_t *r = deal->r;
	ngx_connection_t *c = r->connection;
	ngx_chain_t *held = deal->held;
	ngx_int_t rc;

	ngx_http_set_log_request(c->log, r);
	c->buffered &= ~BUFFERED;
	deal->held = NULL;
	if (deal->decision.action == X402_GATE_DELIVER) {
		rc = release(deal);
		if (r->header_only && held) {
			(void)discard(deal, held);
		} else if (rc == NGX_OK || rc == NGX_AGAIN) {
			note_body(deal, held);
			rc = next_body(r, held);
		}
		x402_ngx_deal_sent(deal);
	} else {
		rc = replace(deal);
		if (held && discard(deal, held) != NGX_OK)
			rc = NGX_ERROR;
	}
	/* Whoever made the response ends it, or finds that it cannot. */
	if (rc == NGX_ERROR || rc > NGX_OK)
		c->error = 1;
	r->write_event_handler(r);
	ngx_http_run_posted_requests(c);
}

void x402_ngx_filters(void)
{
	next_header = ngx_http_top_header_filter;
	ngx_http_top_header_filter = header_filter;
	next_body = ngx_http_top_body_filter;
	ngx_http_top_body_filter = body_filter;
}
