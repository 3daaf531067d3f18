/*
 * relay.c: between the origin and the client.
 *
 *   gw_relay_begin   the request, as the origin shall see it
 *   on_want          libcurl takes the body out of our buffer
 *   on_head          the answer's headers are here: the gate is told
 *   on_content       not before the gate says so, nor faster than the client
 *   gw_relay_answer  the gate says so
 *   on_end           the origin is done, well or not
 *
 * The header block leaves together with the first content, or when it is
 * certain that there is none yet to be had: an origin that breaks off before
 * can still be told as a 502 then, with the receipt.
 *
 * Delivered is a payment when the whole content was handed to the kernel, or
 * when the client itself broke off after the first byte of it. An origin that
 * breaks off by itself leaves the payment owed: its buyer may come again, once.
 */
#include "exchange_p.h"

#include <stdlib.h>
#include <string.h>

#include "headers.h"
#include "target.h"

/* ---- Callbacks from within libcurl: flags and bytes only. ---- */

static void on_head(void *user)
{
	struct gw_exchange *exchange = user;

	exchange->head_here = true;
	exchange->moved_at = gw_exchange_now(exchange);
	exchange->head_ms = exchange->moved_at - exchange->call_at;
	gw_server_wake(exchange->server, exchange);
}

static bool on_content(void *user, const char *data, size_t len)
{
	struct gw_exchange *exchange = user;

	if (!exchange->answering)
		return false;
	exchange->moved_at = gw_exchange_now(exchange);
	if (!exchange->client)
		return true; /* to nobody; the step will end it */
	if (gw_client_congested(exchange->client)) {
		exchange->slow = true;
		return false;
	}
	if (!exchange->head_sent)
		gw_answer_head(exchange);
	gw_answer_content(exchange, data, len);
	if (exchange->aborted)
		gw_server_wake(exchange->server, exchange);
	return true;
}

static ptrdiff_t on_want(void *user, char *data, size_t len)
{
	struct gw_exchange *exchange = user;
	size_t left = exchange->body.len - exchange->body_at;

	if (exchange->body_broken || !exchange->client)
		return GW_WANT_BROKEN;
	if (left == 0)
		return exchange->body_whole ? 0 : GW_WANT_NONE_YET;
	if (len > left)
		len = left;
	memcpy(data, exchange->body.ptr + exchange->body_at, len);
	exchange->body_at += len;
	exchange->moved_at = gw_exchange_now(exchange);
	/* The buffer has room: the client may be read again. */
	gw_server_wake(exchange->server, exchange);
	return (ptrdiff_t)len;
}

static void on_end(void *user, CURLcode code)
{
	struct gw_exchange *exchange = user;

	exchange->call_ended = true;
	exchange->call_code = code;
	gw_server_wake(exchange->server, exchange);
}

/* ---- What the breaker learns; the first word counts. ---- */

void gw_relay_tell_state(
	struct gw_exchange *exchange, enum gw_upstream_outcome outcome)
{
	if (!exchange->ticketed)
		return;
	exchange->ticketed = false;
	gw_upstream_end(&exchange->origin->state, &exchange->ticket, outcome,
		gw_exchange_now(exchange));
}

/*
 * The origin has broken off. While the request's body was on its way it may
 * have had enough of that body, which nobody can tell from a crash; then it
 * counts for nothing, or strangers could shut the shop with their uploads.
 */
static void tell_broken(struct gw_exchange *exchange)
{
	CURLcode code = exchange->call_code;
	bool connected = code != CURLE_COULDNT_CONNECT &&
		code != CURLE_COULDNT_RESOLVE_HOST;
	bool uploading = exchange->has_body &&
		(!exchange->body_whole || code == CURLE_SEND_ERROR ||
			exchange->body_at < exchange->body.len);

	gw_relay_tell_state(exchange,
		connected && uploading ? GW_UPSTREAM_NEUTRAL : GW_UPSTREAM_BAD);
}

void gw_relay_close(struct gw_exchange *exchange)
{
	gw_relay_tell_state(exchange, GW_UPSTREAM_NEUTRAL);
	gw_call_free(exchange->call);
	exchange->call = NULL;
	gw_tunnel_close(exchange->tunnel);
	exchange->tunnel = NULL;
}

/* ---- The request. ---- */

static bool take_header(void *user, const char *name, const char *value)
{
	return gw_call_add_header(user, name, value);
}

static const char *host_for(const struct gw_exchange *exchange)
{
	const char *host = NULL;

	if (!*exchange->origin->host)
		host = http_request_header(&exchange->request, "Host", NULL);
	return host ? host : exchange->origin->host;
}

bool gw_relay_headers(const struct gw_exchange *exchange,
	const char *authorization, gw_take_header *take, void *user)
{
	const struct gw_config_upstream *config = exchange->origin->config;
	const struct gw_config_route *route = gw_site_route(
		exchange->site, x402_gate_route(exchange->gate));
	enum x402_gate_access access = x402_gate_access_of(exchange->gate);
	const struct gw_forward forward = {
		.request = &exchange->request,
		.peer = exchange->peer,
		.peer_trusted = x402__networks_have(
			&exchange->site->proxies, exchange->peer),
		.client = x402_gate_client(exchange->gate),
		.public_origin = exchange->site->config->public_origin,
		.tls = exchange->tls,
		.host = host_for(exchange),
		.forward_payment = route && route->forward_payment,
		.request_id = exchange->id,
		.access = gw_access_text(access),
		.payer = x402_gate_payer(exchange->gate),
		.own = config->headers,
		.own_len = config->headers_len,
		.authorization = authorization,
	};

	return gw_headers_to_origin(&forward, take, user);
}

static struct curl_slist *write_headers(
	const struct gw_exchange *exchange, const char *authorization)
{
	struct curl_slist *headers = NULL;

	if (gw_relay_headers(exchange, authorization, take_header, &headers))
		return headers;
	curl_slist_free_all(headers);
	return NULL;
}

static bool start_call(struct gw_exchange *exchange, const char *authorization)
{
	const struct gw_config_upstream *config = exchange->origin->config;
	const struct gw_call_owner owner = {
		on_head, on_content, on_want, on_end, exchange};
	struct gw_call_options options = {
		.origin_url = config->url,
		.method = exchange->request.method,
		.has_body = exchange->has_body,
		.body_length = exchange->request.chunked
			? -1
			: (int64_t)exchange->request.content_length,
		.ca_file = config->ca_file,
		.connect_timeout_ms = (long)config->connect_timeout_ms,
	};
	char *target = gw_target(x402_gate_path(exchange->gate),
		exchange->request.target, x402_gate_query(exchange->gate));

	options.target = target;
	options.headers = target ? write_headers(exchange, authorization)
				 : NULL;
	if (options.headers)
		exchange->call = gw_call_begin(
			exchange->origin->transfers, &options, &owner);
	free(target);
	return exchange->call != NULL;
}

/* The origin gave nothing that could be sent: for the gate a handler that
 * failed, which is not charged where it has not been. */
void gw_relay_fail(
	struct gw_exchange *exchange, unsigned status, const char *text)
{
	gw_relay_close(exchange);
	exchange->head_here = false;
	exchange->result = status == 503 ? GW_RESULT_UNAVAILABLE
		: status >= 500          ? GW_RESULT_UPSTREAM
					 : GW_RESULT_REFUSED;
	if (exchange->decision.action == X402_GATE_RUN_HANDLER)
		gw_exchange_on_handler(exchange, status);
	if (!exchange->done)
		gw_answer_error(exchange, status, text);
}

/* The token, where the origin wants one; then the request. */
static void ask_origin(struct gw_exchange *exchange)
{
	const char *authorization = NULL;

	exchange->awaits_token = false;
	switch (gw_origin_token(
		exchange->origin, &authorization, &exchange->token_serial)) {
	case GW_OAUTH_WAIT:
		exchange->awaits_token = true;
		return;
	case GW_OAUTH_FAILED:
		gw_relay_fail(exchange, 502, "no token for the origin");
		return;
	case GW_OAUTH_TOKEN:
		break;
	}
	exchange->call_at = exchange->moved_at = gw_exchange_now(exchange);
	if (exchange->upgrade ? gw_upgrade_begin(exchange, authorization)
			      : start_call(exchange, authorization))
		gw_client_continue(exchange->client);
	else
		gw_relay_fail(exchange, 503, "out of memory");
}

void gw_relay_begin(struct gw_exchange *exchange)
{
	struct gw_origin *origin = gw_site_origin(
		exchange->site, x402_gate_route(exchange->gate));
	uint32_t retry_ms;

	exchange->origin = origin;
	exchange->ticketed = gw_upstream_begin(&origin->state,
		gw_exchange_now(exchange), &exchange->ticket, &retry_ms);
	if (exchange->ticketed)
		ask_origin(exchange);
	else
		gw_relay_fail(exchange, 503, "the origin is not well");
}

/* ---- The answer. ---- */

/* Settled, and the content is lost: the journal keeps the payment as owed. */
static void lose(struct gw_exchange *exchange)
{
	gw_relay_tell_state(exchange, GW_UPSTREAM_BAD);
	exchange->result = GW_RESULT_UPSTREAM;
	gw_answer_error(exchange, 502,
		exchange->decision.action == X402_GATE_DELIVER
			? "paid, but the origin broke off: send this request "
			  "again with the same payment"
			: "the origin broke off");
}

void gw_relay_deliver(struct gw_exchange *exchange)
{
	if (exchange->delivered ||
		exchange->decision.action != X402_GATE_DELIVER)
		return;
	exchange->delivered = true;
	x402_gate_delivered(exchange->gate);
}

/* What has been paid for and waits in this process is lost with it: so long as
 * the kernel has not taken it all, the journal does not call it delivered. */
static void end_flushed(struct gw_exchange *exchange)
{
	if (!exchange->aborted && exchange->client &&
		exchange->content_bytes > 0 &&
		exchange->decision.action == X402_GATE_DELIVER &&
		gw_client_unsent(exchange->client))
		return;
	if (!exchange->aborted)
		gw_relay_deliver(exchange);
	gw_exchange_finish(exchange, exchange->aborted ? "unwritable" : "");
}

/* The origin has said everything. */
static void complete(struct gw_exchange *exchange)
{
	if (!exchange->head_sent)
		gw_answer_head(exchange);
	gw_answer_end(exchange);
	gw_relay_tell_state(exchange, GW_UPSTREAM_GOOD);
	exchange->flushing = true;
	end_flushed(exchange);
}

/* It has said less, and the client has some of it already. */
void gw_relay_truncate(struct gw_exchange *exchange, const char *ended)
{
	/* A client that takes its time until the origin's patience ends would
	 * else read for nothing, again and again. So would everybody, of an
	 * origin whose answers never end well: who was owed it before, and has
	 * some of it now, has had it. */
	if ((exchange->slow || exchange->again) && exchange->content_bytes > 0)
		gw_relay_deliver(exchange);
	exchange->aborted = true;
	gw_exchange_finish(exchange, ended);
}

void gw_relay_answer(struct gw_exchange *exchange)
{
	if (exchange->tunnel) {
		gw_upgrade_answer(exchange);
		return;
	}
	/* What the gate delivers without the origin's answer is an error that
	 * gw_relay_fail() is about to write. */
	if (!exchange->call || !exchange->head_here)
		return;
	if (!exchange->client) {
		gw_exchange_finish(exchange, "client_gone");
		return;
	}
	exchange->answering = true;
	gw_server_wake(exchange->server, exchange);
	if (exchange->call_ended)
		return;
	/* Held back content brings the head along. */
	if (gw_call_content_paused(exchange->call))
		gw_call_resume_content(exchange->call);
	else
		gw_answer_head(exchange);
}

/* The head is here: pass it on, or let the gate decide. */
static void tell_head(struct gw_exchange *exchange)
{
	unsigned status = gw_call_status(exchange->call);

	exchange->head_told = true;
	gw_metrics_waited(exchange->site->metrics, exchange->head_ms);
	if (status == 502 || status == 503 || status == 504)
		gw_relay_tell_state(exchange, GW_UPSTREAM_BAD);
	if (status == 401)
		gw_origin_token_refused(
			exchange->origin, exchange->token_serial);
	if (exchange->decision.action == X402_GATE_PASS) {
		gw_relay_answer(exchange);
		return;
	}
	/* It may have broken off already; that is not to be charged. */
	if (exchange->call_ended && exchange->call_code != CURLE_OK) {
		gw_relay_tell_state(exchange, GW_UPSTREAM_BAD);
		gw_relay_fail(exchange, 502, "the origin broke off");
		return;
	}
	/* "You have it already" is no content, and is not charged. */
	gw_exchange_on_handler(exchange, status == 304 ? 400 : status);
}

static void on_call_ended(struct gw_exchange *exchange)
{
	bool well = exchange->call_code == CURLE_OK && exchange->head_told;

	if (!exchange->head_told) {
		tell_broken(exchange);
		gw_relay_fail(exchange, 502, "the origin gave no answer");
	} else if (!exchange->answering) {
		return; /* the gate has the word; gw_relay_answer looks here */
	} else if (well) {
		complete(exchange);
	} else if (!exchange->head_sent) {
		lose(exchange);
	} else {
		tell_broken(exchange);
		exchange->result = GW_RESULT_UPSTREAM;
		gw_relay_truncate(exchange, "origin_broke");
	}
}

/* ---- Steps. ---- */

/* True when nobody wants the answer any more. */
static bool step_gone(struct gw_exchange *exchange)
{
	if (exchange->client || exchange->asking)
		return false;
	if (exchange->answering && exchange->content_bytes > 0)
		gw_relay_deliver(exchange);
	gw_exchange_finish(exchange, "client_gone");
	return true;
}

static bool step_broken_body(struct gw_exchange *exchange)
{
	if (!exchange->body_broken || exchange->asking || exchange->head_sent)
		return false;
	exchange->keep = false;
	gw_relay_fail(exchange, 400, "the body is not HTTP");
	return true;
}

static bool step_cut(struct gw_exchange *exchange)
{
	if ((!exchange->cut && !exchange->timed_out) || exchange->asking ||
		exchange->call_ended)
		return false;
	if (exchange->timed_out)
		gw_relay_tell_state(exchange, GW_UPSTREAM_BAD);
	if (exchange->head_sent) {
		gw_relay_truncate(exchange, exchange->cut ? "drained" : "late");
		return true;
	}
	exchange->keep = false;
	if (exchange->answering)
		lose(exchange);
	else if (exchange->cut)
		gw_relay_fail(exchange, 503, "the gateway is shutting down");
	else
		gw_relay_fail(
			exchange, 504, "the origin did not answer in time");
	return true;
}

static void move_body(struct gw_exchange *exchange)
{
	size_t left = exchange->body.len - exchange->body_at;

	if (!exchange->has_body || !exchange->call || exchange->call_ended)
		return;
	if (left > 0 || exchange->body_whole)
		gw_call_resume_want(exchange->call);
	left = exchange->body.len - exchange->body_at;
	if (exchange->client && !exchange->body_whole)
		gw_client_want_body(
			exchange->client, left < GW_BODY_AHEAD_BYTES);
}

void gw_relay_step(struct gw_exchange *exchange)
{
	if (exchange->awaits_token && exchange->client && !exchange->cut) {
		ask_origin(exchange);
		return;
	}
	if (step_gone(exchange) || step_broken_body(exchange) ||
		step_cut(exchange))
		return;
	if (exchange->flushing) {
		end_flushed(exchange);
		return;
	}
	if (exchange->tunnel) {
		gw_upgrade_step(exchange);
		return;
	}
	move_body(exchange);
	if (exchange->head_here && !exchange->head_told)
		tell_head(exchange);
	if (exchange->done || !exchange->call)
		return;
	if (exchange->answering && exchange->client && !exchange->call_ended &&
		gw_call_content_paused(exchange->call) &&
		!gw_client_congested(exchange->client))
		gw_call_resume_content(exchange->call);
	if (exchange->aborted)
		gw_relay_truncate(exchange, "unwritable");
	else if (exchange->call_ended && !exchange->done)
		on_call_ended(exchange);
}

bool gw_relay_late(const struct gw_exchange *exchange, uint64_t now)
{
	const struct gw_config_upstream *config;
	uint64_t waited = now - exchange->moved_at;

	if ((!exchange->call && !exchange->tunnel) || exchange->call_ended ||
		exchange->asking)
		return false;
	config = exchange->origin->config;
	if (exchange->tunnel_open)
		return waited > config->idle_timeout_ms;
	if (config->total_timeout_ms &&
		now - exchange->call_at > config->total_timeout_ms)
		return true;
	/* Waiting for the client, who has deadlines of its own. */
	if (!exchange->head_here)
		return waited > config->header_timeout_ms &&
			(exchange->body_whole ||
				exchange->body.len > exchange->body_at);
	return exchange->answering && !gw_call_content_paused(exchange->call) &&
		waited > config->idle_timeout_ms;
}
