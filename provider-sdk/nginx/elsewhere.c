/*
 * elsewhere.c: one request in several locations. An internal redirect
 * (try_files, X-Accel-Redirect, error_page) or a subrequest (SSI, addition)
 * leads it into another one that sells, and what it has paid, or why it goes
 * free, counts there only when both ask for the same.
 */
#include "module.h"

#include <string.h>

/* Do two locations ask for the same? */
static bool same_terms(const struct x402_ngx_deal *deal, ngx_http_request_t *r)
{
	struct x402_ngx_loc *lcf = x402_ngx_loc_of(r);
	struct x402_ngx_said said;

	if (lcf == deal->lcf)
		return true;
	return deal->terms && strcmp(lcf->same, deal->lcf->same) == 0 &&
		x402_ngx_said_of(r, lcf, &said) &&
		strcmp(said.price, deal->said.price) == 0 &&
		strcmp(said.pay_to, deal->said.pay_to) == 0;
}

/* What a pass has opened is open wherever the same is asked for; all other
 * favours are the location's own. */
static bool came_with_pass(const struct x402_ngx_deal *deal)
{
	return deal->gate &&
		x402_gate_access_of(deal->gate) == X402_GATE_ACCESS_PASS;
}

ngx_int_t x402_ngx_redirected(
	struct x402_ngx_deal *deal, struct x402_ngx_loc *lcf)
{
	ngx_http_request_t *r = deal->r;

	switch (deal->phase) {
	case X402_NGX_FREE:
		if (lcf == deal->lcf || x402_ngx_exempt(r, lcf) ||
			lcf->shadow ||
			(came_with_pass(deal) && same_terms(deal, r)))
			return NGX_OK;
		break; /* free there, not here */
	case X402_NGX_OPEN:
		if (same_terms(deal, r))
			return NGX_OK;
		ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
			"x402: paid for another location than the one that "
			"it was redirected to");
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	case X402_NGX_ANSWER:
		/* The page for our own 402 must be where x402 is off. */
		return (ngx_int_t)deal->decision.status;
	case X402_NGX_NAMING:
	case X402_NGX_BODY:
	case X402_NGX_ASKING:
	case X402_NGX_ASKED:
	case X402_NGX_HOLDING:
	case X402_NGX_RELEASED:
	case X402_NGX_REPLACED:
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	}
	return x402_ngx_begin(r, lcf);
}

ngx_int_t x402_ngx_preaccess(ngx_http_request_t *r)
{
	struct x402_ngx_loc *lcf = x402_ngx_loc_of(r);
	const struct x402_ngx_deal *deal;

	if (r == r->main || !lcf->enable || lcf->shadow ||
		x402_ngx_exempt(r, lcf))
		return NGX_DECLINED;
	deal = x402_ngx_deal_of(r->main);
	if (deal && deal->phase == X402_NGX_FREE &&
		(deal->lcf == lcf ||
			(came_with_pass(deal) && same_terms(deal, r))))
		return NGX_DECLINED;
	if (deal &&
		(deal->phase == X402_NGX_OPEN ||
			deal->phase == X402_NGX_RELEASED) &&
		same_terms(deal, r))
		return NGX_DECLINED;
	ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
		"x402: a subrequest into a location that its request has not "
		"paid for");
	return X402_NGX_PAYMENT_REQUIRED;
}
