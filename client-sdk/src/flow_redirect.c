/*
 * flow_redirect.c: where the flow goes when it is sent on, before it has paid.
 * What was meant for one origin stays there (C-009, demands C4); a handle of
 * the caller's, whose credentials nobody can see, never leaves its own.
 */
#include "flow_p.h"

bool x402__flow_is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 ||
		status == 307 || status == 308;
}

/* Does this redirect turn the method into GET? */
static bool changes_method(const struct x402__flow *flow, long status)
{
	return (status == 303 && strcmp(flow->method, "HEAD") != 0 &&
		       strcmp(flow->method, "GET") != 0) ||
		((status == 301 || status == 302) &&
			strcmp(flow->method, "POST") == 0);
}

/* Fetch rules: a redirected POST becomes a GET, except with 307 and 308. */
static void redirect_method(struct x402__flow *flow, long status)
{
	if (!changes_method(flow, status))
		return;
	flow->method = "GET";
	flow->send_body = false;
	x402__headers_remove(&flow->headers, "Content-Type");
	x402__headers_remove(&flow->headers, "Content-Encoding");
}

/* C-009, demands C4: what was meant for one origin stays there. */
static void strip_credentials(struct x402__flow *flow)
{
	static const char *const names[] = {
		"Authorization", "Cookie", "Proxy-Authorization", "Host"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		x402__headers_remove(&flow->headers, names[i]);
}

void x402__flow_follow_redirect(
	struct x402__flow *flow, long status, const char *location)
{
	struct x402__http_url next = {0};
	if (flow->hops >= (unsigned)flow->options->max_redirects) {
		x402_errinfo_set(&flow->error, "Location",
			"more than %d redirects", flow->options->max_redirects);
		x402__flow_finish(flow, X402_CLIENT_CAUSE_REDIRECT);
		return;
	}
	if (x402__http_url_resolve(&flow->url, location, &next)) {
		x402_errinfo_set(&flow->error, "Location",
			"expected an http or https URL");
		x402__flow_finish(flow, X402_CLIENT_CAUSE_REDIRECT);
		return;
	}
	if (flow->url.secure && !next.secure) {
		x402_errinfo_set(&flow->error, "Location",
			"from https to plain http: %s", next.shown);
		x402__http_url_clear(&next);
		x402__flow_finish(flow, X402_CLIENT_CAUSE_REDIRECT);
		return;
	}
	if (!x402__http_url_same_origin(&flow->url, &next)) {
		strip_credentials(flow);
		/* What the hook added, nobody but the hook can name. */
		if (flow->hook_resent || flow->signed_in) {
			x402_errinfo_set(&flow->error, "Location",
				"to another origin after a sign-in: %s",
				next.shown);
			x402__http_url_clear(&next);
			x402__flow_finish(flow, X402_CLIENT_CAUSE_REDIRECT);
			return;
		}
	}
	redirect_method(flow, status);
	x402__http_url_clear(&flow->url);
	flow->url = next;
	flow->hops++;
	flow->step = X402__FLOW_SEND;
}

const char *x402__flow_find_redirect(
	const struct x402__flow *flow, const struct x402__message *message)
{
	size_t count = 0;
	const char *location = x402__header_find(
		message->headers, message->headers_len, "Location", &count);
	if (!x402__flow_is_redirect(message->status) || count != 1 ||
		flow->options->max_redirects <= 0)
		return NULL;
	if (!flow->fixed)
		return location;
	struct x402__http_url next = {0};
	bool ok = !changes_method(flow, message->status) &&
		flow->hops < (unsigned)flow->options->max_redirects &&
		!x402__http_url_resolve(&flow->url, location, &next) &&
		(x402__http_url_same_origin(&flow->url, &next) ||
			x402__http_url_is_upgrade(&flow->url, &next));
	x402__http_url_clear(&next);
	return ok ? location : NULL;
}
