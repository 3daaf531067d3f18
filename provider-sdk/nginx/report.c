/*
 * report.c: what operators see. Variables for the access log, and a location
 * that tells the counters as Prometheus text or, at "?payments", every payment
 * that was paid or asked for and not delivered, one JSON object in a line.
 */
#include "module.h"

#include <string.h>

/* ---- Variables. ---- */

static const char *state_text(const struct x402_ngx_deal *deal)
{
	return deal->state;
}

static const char *payer_text(const struct x402_ngx_deal *deal)
{
	return deal->gate ? x402_gate_payer(deal->gate) : "";
}

static const char *tx_text(const struct x402_ngx_deal *deal)
{
	return deal->gate ? x402_gate_transaction(deal->gate) : "";
}

static const char *amount_text(const struct x402_ngx_deal *deal)
{
	return deal->gate ? x402_gate_amount(deal->gate) : "";
}

struct variable {
	ngx_str_t name;
	const char *(*text)(const struct x402_ngx_deal *deal);
};

static const struct variable variables[] = {
	{ngx_string("x402_state"), state_text},
	{ngx_string("x402_payer"), payer_text},
	{ngx_string("x402_tx"), tx_text},
	{ngx_string("x402_amount"), amount_text},
};

static ngx_int_t get(
	ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t data)
{
	const struct x402_ngx_deal *deal = x402_ngx_deal_of(r->main);
	const struct variable *variable = &variables[data];
	const char *text = deal ? variable->text(deal) : "";
	ngx_str_t copy = {strlen(text), (u_char *)(uintptr_t)text};

	/* What the gate says may be gone when it is printed. */
	value->data = ngx_pstrdup(r->pool, &copy);
	if (!value->data)
		return NGX_ERROR;
	value->len = (unsigned)copy.len & 0xfffffff;
	value->valid = 1;
	value->no_cacheable = 1;
	value->not_found = copy.len == 0;
	return NGX_OK;
}

ngx_int_t x402_ngx_variables(ngx_conf_t *cf)
{
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		ngx_str_t name = variables[i].name;
		ngx_http_variable_t *variable = ngx_http_add_variable(
			cf, &name, NGX_HTTP_VAR_NOCACHEABLE);

		if (!variable)
			return NGX_ERROR;
		variable->get_handler = get;
		variable->data = i;
	}
	return NGX_OK;
}

/* ---- The status location. ---- */

static void add_metrics(struct x402_buf *out)
{
	static const char *const names[X402_LEDGER_COUNTS] = {
		[X402_LEDGER_UNPAID] = "unpaid",
		[X402_LEDGER_REFUSED] = "refused",
		[X402_LEDGER_FAULT] = "fault",
		[X402_LEDGER_VERIFIED] = "verified",
		[X402_LEDGER_SETTLED] = "settled",
		[X402_LEDGER_UNSETTLED] = "unsettled",
		[X402_LEDGER_CANCELLED] = "cancelled",
		[X402_LEDGER_DELIVERED] = "delivered",
		[X402_LEDGER_UNDELIVERED] = "undelivered",
		[X402_LEDGER_EXEMPT] = "exempt",
		[X402_LEDGER_SHADOW] = "shadow",
		[X402_LEDGER_PASS] = "pass",
		[X402_LEDGER_QUOTA] = "quota",
		[X402_LEDGER_HOLDER] = "holder",
		[X402_LEDGER_CRAWLER] = "crawler",
		[X402_LEDGER_PERSON] = "person",
	};

	x402_buf_add_str(out,
		"# HELP x402_requests_total What became of requests that met "
		"a price.\n# TYPE x402_requests_total counter\n");
	for (size_t i = 0; i < X402_LEDGER_COUNTS; i++)
		x402_buf_printf(out, "x402_requests_total{event=\"%s\"} %llu\n",
			names[i],
			(unsigned long long)x402_ledger_count(
				x402_ngx_ledger, (enum x402_ledger_count)i));
}

static void add_payment(void *user, const struct x402_ledger_entry *entry)
{
	static const char *const states[] = {
		[X402_LEDGER_STATE_EMPTY] = "",
		[X402_LEDGER_STATE_GONE] = "",
		[X402_LEDGER_STATE_HELD] = "held",
		[X402_LEDGER_STATE_ASKED] = "unknown",
		[X402_LEDGER_STATE_PAID] = "undelivered",
		[X402_LEDGER_STATE_SPENT] = "delivered",
	};
	struct x402_json *json;
	struct x402_buf *out = user;
	char *text = NULL;

	if (entry->state != X402_LEDGER_STATE_ASKED &&
		entry->state != X402_LEDGER_STATE_PAID)
		return;
	json = x402_json_new_object();
	if (json &&
		x402_json_set_string(json, "state", states[entry->state]) ==
			X402_OK &&
		x402_json_set_bool(json, "busy", entry->busy) == X402_OK &&
		x402_json_set_int(json, "changed",
			(int64_t)entry->changed_unix_s) == X402_OK &&
		x402_json_set_string(json, "payer", entry->payer) == X402_OK &&
		x402_json_set_string(json, "network", entry->network) ==
			X402_OK &&
		x402_json_set_string(json, "asset", entry->asset) == X402_OK &&
		x402_json_set_string(json, "amount", entry->amount) ==
			X402_OK &&
		x402_json_set_string(json, "url", entry->url) == X402_OK &&
		x402_json_set_string(json, "receipt", entry->receipt) ==
			X402_OK)
		text = x402_json_dump(json);
	x402_json_unref(json);
	if (text) {
		x402_buf_add_str(out, text);
		x402_buf_add_byte(out, '\n');
	} else {
		out->failed = true;
	}
	free(text);
}

ngx_int_t x402_ngx_status(ngx_http_request_t *r)
{
	ngx_http_complex_value_t body = {0};
	ngx_str_t metrics = ngx_string("text/plain; version=0.0.4");
	ngx_str_t lines = ngx_string("application/x-ndjson");
	bool payments = r->args.len == 8 &&
		ngx_strncmp(r->args.data, "payments", 8) == 0;
	struct x402_buf out = {0};
	char *text;

	if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)))
		return NGX_HTTP_NOT_ALLOWED;
	if (!x402_ngx_ledger)
		return NGX_HTTP_SERVICE_UNAVAILABLE;
	if (payments)
		x402_ledger_each(x402_ngx_ledger, add_payment, &out);
	else
		add_metrics(&out);
	text = x402_buf_take_str(&out);
	if (!text)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	body.value.len = strlen(text);
	body.value.data = ngx_pnalloc(r->pool, body.value.len + 1);
	if (body.value.data)
		ngx_memcpy(body.value.data, text, body.value.len);
	free(text);
	if (!body.value.data)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	return ngx_http_send_response(
		r, NGX_HTTP_OK, payments ? &lines : &metrics, &body);
}
