/*
 * admit.c: who is turned away before the gate is asked, and for whom nothing
 * could be served anyway: too many requests, an origin that is down, a method
 * that no proxy should pass on. What the gateway says by itself is said here,
 * too.
 */
#include "exchange_p.h"

#include <string.h>
#include <strings.h>

static void answer_retry(struct gw_exchange *exchange, unsigned status,
	const char *text, uint32_t retry_ms)
{
	exchange->retry_after_s = retry_ms / 1000 + 1;
	gw_answer_error(exchange, status, text);
}

/* Before anybody is asked about money: nobody shall pay for what cannot be
 * had. */
bool gw_admit_unavailable(struct gw_exchange *exchange)
{
	const struct gw_origin *origin = gw_site_origin(
		exchange->site, x402_gate_route(exchange->gate));
	uint32_t retry_ms = 0;

	if (gw_upstream_may(
		    &origin->state, gw_exchange_now(exchange), &retry_ms))
		return false;
	exchange->result = GW_RESULT_UNAVAILABLE;
	answer_retry(exchange, 503, "the origin is not well", retry_ms);
	return true;
}

/* Too many of one address? */
static bool address_limited(
	struct gw_exchange *exchange, uint32_t *ret_retry_ms)
{
	const struct gw_site *site = exchange->site;
	bool doubled = false;
	const char *forwarded = http_request_header(
		&exchange->request, "X-Forwarded-For", &doubled);
	char client[X402__IP_TEXT_SIZE];
	uint8_t address[GW_RATE_ADDRESS_SIZE];

	return site->by_address &&
		x402__networks_client(&site->proxies, exchange->peer,
			x402_span_str(doubled ? NULL : forwarded), client) &&
		gw_rate_address(client, address) &&
		!gw_rate_take(site->by_address,
			x402_span(address, sizeof(address)),
			gw_exchange_now(exchange), ret_retry_ms);
}

/* Too many of one address, or of one key? */
static bool limited(struct gw_exchange *exchange)
{
	const struct gw_site *site = exchange->site;
	const char *name = site->config->rate_key_header;
	bool doubled = false;
	const char *key = site->by_key && name
		? http_request_header(&exchange->request, name, &doubled)
		: NULL;
	uint32_t retry_ms = 0;

	/* One of them would be counted, and the other one might be used. */
	if (doubled) {
		gw_answer_error(exchange, 400, "expected one key, got more");
		return true;
	}
	if (!address_limited(exchange, &retry_ms) &&
		(!key || !*key ||
			gw_rate_take(site->by_key, x402_span_str(key),
				gw_exchange_now(exchange), &retry_ms)))
		return false;
	exchange->result = GW_RESULT_LIMITED;
	answer_retry(exchange, 429, "too many requests", retry_ms);
	return true;
}

/* A pass may count its uses, by being read: none of them shall be used up
 * while nothing can be served. */
static bool pass_in_vain(struct gw_exchange *exchange)
{
	const struct http_request *request = &exchange->request;
	struct gw_site *site = exchange->site;
	bool brings = http_request_header(request, "X402-Pass", NULL) != NULL;
	uint32_t retry_ms = 0;

	for (size_t i = 0; i < request->headers_len; i++)
		if (strcasecmp(request->headers[i].name, "Cookie") == 0 &&
			strstr(request->headers[i].value, "x402-pass"))
			brings = true;
	if (!brings)
		return false;
	for (size_t i = 0; i < site->origins_len; i++)
		if (gw_upstream_may(&site->origins[i].state,
			    gw_exchange_now(exchange), &retry_ms))
			return false;
	exchange->result = GW_RESULT_UNAVAILABLE;
	answer_retry(exchange, 503, "the origin is not well", retry_ms);
	return true;
}

bool gw_admit_turned_away(struct gw_exchange *exchange)
{
	const char *method = exchange->request.method;
	const struct gw_notice *notice = strcmp(method, "GET") == 0 ||
			strcmp(method, "HEAD") == 0
		? gw_site_notice(exchange->site, exchange->request.path)
		: NULL;

	if (strcmp(method, "TRACE") == 0) {
		gw_answer_error(exchange, 405, "TRACE is not served");
		return true;
	}
	if (limited(exchange))
		return true;
	if (notice) {
		gw_answer_notice(exchange, notice);
		return true;
	}
	if (pass_in_vain(exchange))
		return true;
	if (x402_gate_new(exchange->site->provider, &exchange->gate) == X402_OK)
		return false;
	gw_answer_error(exchange, 503, "out of memory");
	return true;
}
