/*
 * headers.c: the tables of names, and the walk over a request's headers. A
 * name with other characters than letters, digits and '-' is dropped: CGI and
 * its heirs read X_Forwarded_For as X-Forwarded-For, and what the gate has not
 * read nobody behind it should.
 */
#include "headers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* RFC 9110, 7.6.1, and what older clients send as such. */
static const char *const hop_by_hop[] = {"Connection", "Keep-Alive",
	"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE",
	"Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings"};

/* For the gate, or for nobody behind it. */
static const char *const payments[] = {X402_HEADER_PAYMENT_SIGNATURE,
	X402_HEADER_X_PAYMENT, "X-Payment-Proof"};
static const char *const ours[] = {"SIGN-IN-WITH-X", "X402-Pass", "X402-Access",
	"X402-Payer", "X-Request-Id"};

/*
 * Written anew: only a proxy of ours may say them, and then they were read.
 * The last ones make some servers serve another path or method than the one
 * that was paid for.
 */
static const char *const rewritten[] = {"Host", "Content-Length", "Expect",
	"Forwarded", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP",
	"True-Client-IP", "CF-Connecting-IP", "X-HTTP-Method",
	"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Path-Override",
	"X-Override-URL", "X-Waws-Unencoded-URL", "X-Matched-Path",
	"X-Invoke-Path"};
/* ...whatever follows: -For, -Uri, -Method, -Client-Cert, ... */
static const char *const rewritten_kin[] = {
	"X-Forwarded-", "X-Original-", "X-Rewrite-", "X-Envoy-Original-"};

static bool among(const char *const *names, size_t len, const char *name)
{
	for (size_t i = 0; i < len; i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

static bool is_rewritten(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rewritten_kin); i++)
		if (strncasecmp(name, rewritten_kin[i],
			    strlen(rewritten_kin[i])) == 0)
			return true;
	return among(rewritten, ARRAY_LEN(rewritten), name);
}

static bool plain_name(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '-')
			return false;
	return true;
}

bool gw_list_has(const char *list, const char *token)
{
	size_t len = strlen(token);

	while (list && *list) {
		list += strspn(list, " \t,");
		if (strncasecmp(list, token, len) == 0 &&
			strchr(" \t,", list[len]))
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

/* Any of several Connection headers may name it. */
static bool named_by_connection(
	const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->headers_len; i++)
		if (strcasecmp(request->headers[i].name, "Connection") == 0 &&
			gw_list_has(request->headers[i].value, name))
			return true;
	return false;
}

bool gw_wants_upgrade(const struct http_request *request, const char *protocol)
{
	if (!named_by_connection(request, "Upgrade"))
		return false;
	for (size_t i = 0; i < request->headers_len; i++)
		if (strcasecmp(request->headers[i].name, "Upgrade") == 0 &&
			gw_list_has(request->headers[i].value, protocol))
			return true;
	return false;
}

/* Does the operator's own line "Name: value" set this header? */
static bool own_sets(const struct gw_forward *forward, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < forward->own_len; i++)
		if (strncasecmp(forward->own[i], name, len) == 0 &&
			forward->own[i][len] == ':')
			return true;
	return forward->authorization && strcasecmp(name, "Authorization") == 0;
}

/* The gate's own cookies, which admit whoever has them (X402-Pass). */
static bool is_pass(const char *cookie)
{
	return strncasecmp(cookie, "x402-pass-", strlen("x402-pass-")) == 0;
}

/* A Cookie without passes; NULL when nothing is left, or no memory is. */
static char *without_passes(const char *value, bool *ret_failed)
{
	struct x402_buf text = {0};
	char *left;

	while (*value) {
		size_t len;

		value += strspn(value, " \t;");
		len = strcspn(value, ";");
		if (len > 0 && !is_pass(value)) {
			x402_buf_add_str(&text, text.len ? "; " : "");
			x402_buf_add(&text, x402_span(value, len));
		}
		value += len;
	}
	*ret_failed = text.failed;
	left = text.len ? x402_buf_take_str(&text) : NULL;
	x402_buf_clear(&text);
	return left;
}

/* As it came, where there is no pass in it. */
static bool take_cookie(const char *value, gw_take_header *take, void *user)
{
	bool failed = false;
	char *left;
	bool taken;

	if (!strcasestr(value, "x402-pass-"))
		return take(user, "Cookie", value);
	left = without_passes(value, &failed);
	taken = !failed && (!left || take(user, "Cookie", left));
	free(left);
	return taken;
}

/* RFC 9110, 8.6: some servers answer 411 to one of these without a length. */
static bool says_no_length(const struct http_request *request)
{
	static const char *const methods[] = {"POST", "PUT", "PATCH"};

	if (request->chunked || request->content_length > 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strcmp(request->method, methods[i]) == 0)
			return true;
	return false;
}

static bool take_crossing(
	const struct http_header *header, gw_take_header *take, void *user)
{
	if (strcasecmp(header->name, "Cookie") == 0)
		return take_cookie(header->value, take, user);
	return take(user, header->name, header->value);
}

static bool crosses(const struct gw_forward *forward, const char *name)
{
	if (!plain_name(name) ||
		among(hop_by_hop, ARRAY_LEN(hop_by_hop), name) ||
		is_rewritten(name) || among(ours, ARRAY_LEN(ours), name) ||
		own_sets(forward, name))
		return false;
	/* Connection may not strip what the gate has read: a payment would
	 * then be one thing here and another there. */
	if (among(payments, ARRAY_LEN(payments), name))
		return forward->forward_payment;
	return !named_by_connection(forward->request, name);
}

/* ---- Who the client is. ---- */

/* "https://shop.example" gives "shop.example". */
static const char *authority(const char *origin)
{
	const char *at = strstr(origin, "://");

	return at ? at + 3 : origin;
}

static const char *only(const struct gw_forward *forward, const char *name)
{
	bool doubled = false;
	const char *value = http_request_header(
		forward->request, name, &doubled);

	return doubled ? NULL : value;
}

static const char *forwarded_proto(const struct gw_forward *forward)
{
	const char *said = forward->peer_trusted
		? only(forward, "X-Forwarded-Proto")
		: NULL;

	if (forward->public_origin)
		return strncasecmp(forward->public_origin, "https:", 6) == 0
			? "https"
			: "http";
	if (said)
		return strcasecmp(said, "https") == 0 ? "https" : "http";
	return forward->tls ? "https" : "http";
}

static const char *forwarded_host(const struct gw_forward *forward)
{
	const char *said = forward->peer_trusted
		? only(forward, "X-Forwarded-Host")
		: NULL;

	if (forward->public_origin)
		return authority(forward->public_origin);
	if (!said)
		said = only(forward, "Host");
	return said ? said : "";
}

/* Of a proxy of ours: its list and its own address; else the peer alone. */
static bool take_forwarded_for(
	const struct gw_forward *forward, gw_take_header *take, void *user)
{
	const char *said =
		forward->peer_trusted ? only(forward, "X-Forwarded-For") : NULL;
	char *list;
	bool taken;

	if (!said || !*said)
		return take(user, "X-Forwarded-For", forward->peer);
	if (asprintf(&list, "%s, %s", said, forward->peer) < 0)
		return false;
	taken = take(user, "X-Forwarded-For", list);
	free(list);
	return taken;
}

static bool take_own(
	const struct gw_forward *forward, gw_take_header *take, void *user)
{
	for (size_t i = 0; i < forward->own_len; i++) {
		const char *colon = strchr(forward->own[i], ':');
		char *name;
		bool taken;

		if (!colon)
			continue;
		name = strndup(
			forward->own[i], (size_t)(colon - forward->own[i]));
		if (!name)
			return false;
		colon++;
		taken = take(user, name, colon + strspn(colon, " \t"));
		free(name);
		if (!taken)
			return false;
	}
	return !forward->authorization ||
		take(user, "Authorization", forward->authorization);
}

bool gw_headers_to_origin(
	const struct gw_forward *forward, gw_take_header *take, void *user)
{
	const struct http_request *request = forward->request;

	if (!take(user, "Host", forward->host) ||
		(says_no_length(request) && !take(user, "Content-Length", "0")))
		return false;
	for (size_t i = 0; i < request->headers_len; i++)
		if (crosses(forward, request->headers[i].name) &&
			!take_crossing(&request->headers[i], take, user))
			return false;
	if (!take_forwarded_for(forward, take, user) ||
		!take(user, "X-Forwarded-Proto", forwarded_proto(forward)) ||
		!take(user, "X-Forwarded-Host", forwarded_host(forward)))
		return false;
	if (*forward->client && !take(user, "X-Real-IP", forward->client))
		return false;
	if (forward->request_id &&
		!take(user, "X-Request-Id", forward->request_id))
		return false;
	if (forward->access && !take(user, "X402-Access", forward->access))
		return false;
	if (forward->payer && *forward->payer &&
		!take(user, "X402-Payer", forward->payer))
		return false;
	return take_own(forward, take, user);
}

/* ---- Back. ---- */

bool gw_header_to_client(const char *name, const char *connection)
{
	/* Framed anew, and our own words. */
	static const char *const dropped[] = {
		"Content-Length", "X402-Access", "X402-Payer"};

	return *name && !among(hop_by_hop, ARRAY_LEN(hop_by_hop), name) &&
		!among(dropped, ARRAY_LEN(dropped), name) &&
		!x402_gate_header_is_ours(name) &&
		!gw_list_has(connection, name);
}

char *gw_location(
	const char *location, const char *origin_url, const char *public_origin)
{
	size_t len = strlen(origin_url);
	char *text;

	while (len > 0 && origin_url[len - 1] == '/')
		len--;
	if (!public_origin || strncasecmp(location, origin_url, len) != 0 ||
		!strchr("/?#", location[len]))
		return NULL;
	return asprintf(&text, "%s%s", public_origin, location + len) < 0
		? NULL
		: text;
}
