/*
 * exchange.c: one request.
 *
 *   gw_exchange_new_take  it has come; a short body is waited for
 *   gw_exchange_step      everything happens in here, when it is woken
 *     ask_name            the DNS about a crawler, which wakes us in on_named
 *     begin               the gate is asked about it
 *     gw_exchange_decide  the loop of provider.h; leaves it to wait for
 *       ask               the facilitator, which wakes us in on_asked
 *       gw_relay_begin    the origin (relay.c)
 *     gw_exchange_finish  log, books, and the client's next request
 *
 * When the client leaves, a request that was not asked to settle is dropped
 * and costs nothing; a settlement under way is finished, so that the gate, and
 * the journal behind it, know what became of the money.
 */
#include "exchange_p.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "headers.h"

uint64_t gw_exchange_now(const struct gw_exchange *exchange)
{
	return uv_now(exchange->server->loop);
}

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

/* ---- It comes... ---- */

static void name_exchange(struct gw_exchange *exchange)
{
	struct gw_server *server = exchange->server;
	bool doubled = false;
	const char *given = http_request_header(
		&exchange->request, "X-Request-Id", &doubled);

	/* A proxy of ours has named it already. */
	if (given && !doubled && *given && strlen(given) <= 64 &&
		given[strspn(given,
			"0123456789abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.")] == 0 &&
		x402__networks_have(&exchange->site->proxies, exchange->peer))
		memcpy(exchange->id, given, strlen(given) + 1);
	else
		snprintf(exchange->id, sizeof(exchange->id), "%016llx",
			(unsigned long long)(server->id_base +
				server->id_next++));
}

/* By what was announced, not by what happens to be here: the same request
 * must be the same one when it is sent again. */
static bool body_counts(const struct gw_exchange *exchange)
{
	return !exchange->request.chunked &&
		exchange->request.content_length <= GW_BODY_KEPT_BYTES;
}

static bool pays(const struct http_request *request)
{
	return http_request_header(
		       request, X402_HEADER_PAYMENT_SIGNATURE, NULL) ||
		http_request_header(request, X402_HEADER_X_PAYMENT, NULL) ||
		http_request_header(request, X402_HEADER_X_PAYMENT_PROOF, NULL);
}

struct gw_exchange *gw_exchange_new_take(struct gw_client *client,
	struct gw_server *server, struct http_request *request)
{
	struct gw_exchange *exchange = calloc(1, sizeof(*exchange));
	const char *peer = gw_client_peer(client);

	if (!exchange) {
		http_request_clear(request);
		return NULL;
	}
	exchange->server = server;
	exchange->client = client;
	exchange->site = gw_site_ref(server->site);
	exchange->request = *request;
	snprintf(exchange->peer, sizeof(exchange->peer), "%s", peer);
	name_exchange(exchange);
	exchange->tls = gw_client_tls(client);
	exchange->keep = request->keep_alive;
	exchange->began_at = gw_exchange_now(exchange);
	exchange->has_body = request->chunked || request->content_length > 0;
	exchange->body_whole = !exchange->has_body;
	exchange->ended = "";
	exchange->result = GW_RESULT_COUNT;
	exchange->next = server->exchanges;
	if (exchange->next)
		exchange->next->prev = exchange;
	server->exchanges = exchange;
	server->exchanges_len++;
	gw_server_wake(server, exchange);
	return exchange;
}

bool gw_exchange_body(
	struct gw_exchange *exchange, const char *data, size_t len)
{
	if (exchange->body_at > 0) {
		exchange->body.len -= exchange->body_at;
		memmove(exchange->body.ptr,
			exchange->body.ptr + exchange->body_at,
			exchange->body.len);
		exchange->body_at = 0;
	}
	http_bytes_add(&exchange->body, data, len);
	exchange->body_bytes += len;
	/* Until the origin has taken some: relay.c says when. */
	if (exchange->body.len >= GW_BODY_AHEAD_BYTES && exchange->client)
		gw_client_want_body(exchange->client, false);
	gw_server_wake(exchange->server, exchange);
	return !exchange->body.failed;
}

void gw_exchange_body_end(struct gw_exchange *exchange, bool whole)
{
	exchange->body_whole = whole;
	exchange->body_broken = !whole;
	gw_server_wake(exchange->server, exchange);
}

void gw_exchange_raw(struct gw_exchange *exchange, const char *data, size_t len)
{
	exchange->body_bytes += len;
	exchange->moved_at = gw_exchange_now(exchange);
	gw_tunnel_send(exchange->tunnel, data, len);
	if (gw_tunnel_congested(exchange->tunnel))
		gw_client_want_body(exchange->client, false);
}

void gw_exchange_gone(struct gw_exchange *exchange)
{
	exchange->client = NULL;
	gw_server_wake(exchange->server, exchange);
}

void gw_exchange_writable(struct gw_exchange *exchange)
{
	gw_server_wake(exchange->server, exchange);
}

void gw_exchange_event(struct gw_exchange *exchange, enum x402_gate_event event,
	const char *reason)
{
	if (event == X402_GATE_EVENT_UNDELIVERED)
		exchange->owed = true;
	if (!*reason)
		return;
	snprintf(exchange->reason, sizeof(exchange->reason), "%s", reason);
}

/* ---- ...and goes. ---- */

static void write_log(const struct gw_exchange *exchange, bool undelivered)
{
	const char *client = exchange->gate ? x402_gate_client(exchange->gate)
					    : "";
	const char *path = exchange->gate ? x402_gate_path(exchange->gate) : "";
	const char *name = exchange->origin ? exchange->origin->config->name
					    : NULL;
	const struct gw_access_line line = {
		.id = exchange->id,
		.client = *client ? client : exchange->peer,
		.method = exchange->request.method,
		.path = *path ? path : exchange->request.path,
		.status = exchange->status,
		.bytes_in = exchange->body_bytes,
		.bytes_out = exchange->content_bytes,
		.ms = gw_exchange_now(exchange) - exchange->began_at,
		.upstream = name && !*name ? exchange->origin->config->url
					   : name,
		.upstream_ms = exchange->head_ms,
		.gate = exchange->begun ? exchange->gate : NULL,
		.reason = exchange->reason,
		.ended = exchange->ended,
		.undelivered = undelivered,
	};

	gw_access_log(&line);
}

static enum gw_result result_of(const struct gw_exchange *exchange)
{
	if (!exchange->client)
		return GW_RESULT_GONE;
	if (exchange->result != GW_RESULT_COUNT)
		return exchange->result;
	switch (exchange->decision.action) {
	case X402_GATE_PASS:
		return x402_gate_access_of(exchange->gate) ==
				X402_GATE_ACCESS_FREE
			? GW_RESULT_FREE
			: GW_RESULT_ADMITTED;
	case X402_GATE_DELIVER:
		return exchange->failed ? GW_RESULT_FAILED : GW_RESULT_PAID;
	case X402_GATE_ASK:
	case X402_GATE_RUN_HANDLER:
		return GW_RESULT_REFUSED;
	case X402_GATE_ANSWER:
	case X402_GATE_WITHHOLD:
		break;
	}
	if (exchange->status == 402 || exchange->status == 412)
		return GW_RESULT_CHALLENGED;
	return exchange->status >= 500 ? GW_RESULT_FACILITATOR
				       : GW_RESULT_REFUSED;
}

static void count(const struct gw_exchange *exchange)
{
	struct gw_metrics *metrics = exchange->site->metrics;

	gw_metrics_request(metrics,
		exchange->begun ? x402_gate_route(exchange->gate) : SIZE_MAX,
		exchange->begun ? result_of(exchange)
			: exchange->result != GW_RESULT_COUNT
			? exchange->result
			: GW_RESULT_REFUSED,
		gw_exchange_now(exchange) - exchange->began_at);
	gw_metrics_bytes(
		metrics, exchange->body_bytes, exchange->content_bytes);
}

void gw_exchange_finish(struct gw_exchange *exchange, const char *ended)
{
	struct gw_client *client = exchange->client;
	bool owed;

	if (exchange->done)
		return;
	exchange->done = true;
	exchange->ended = ended;
	owed = exchange->owed ||
		(exchange->begun && !exchange->failed && !exchange->delivered &&
			exchange->decision.action == X402_GATE_DELIVER);
	count(exchange);
	if (exchange->site->config->access_log)
		write_log(exchange, owed);
	exchange->client = NULL;
	if (!client)
		return;
	/* What is unfinished must not look finished. */
	if (exchange->aborted)
		gw_client_close(client);
	else
		gw_client_done(client, exchange->keep);
}

static void exchange_free(struct gw_exchange *exchange)
{
	struct gw_server *server = exchange->server;

	if (exchange->prev)
		exchange->prev->next = exchange->next;
	else
		server->exchanges = exchange->next;
	if (exchange->next)
		exchange->next->prev = exchange->prev;
	server->exchanges_len--;
	gw_relay_close(exchange);
	server->acting = exchange;
	x402_gate_free(exchange->gate);
	server->acting = NULL;
	http_request_clear(&exchange->request);
	http_bytes_clear(&exchange->body);
	http_bytes_clear(&exchange->frame);
	gw_site_unref(exchange->site);
	free(exchange);
}

/* ---- The facilitator. ---- */

/* Around every call of the gate that may write to the journal. */
static void enter(struct gw_exchange *exchange)
{
	struct gw_server *server = exchange->server;

	server->acting = exchange;
	if (server->journal)
		exchange->written = x402_provider_journal_asked(
			server->journal);
}

static void leave(struct gw_exchange *exchange)
{
	struct gw_server *server = exchange->server;

	server->acting = NULL;
	if (server->journal &&
		x402_provider_journal_asked(server->journal) !=
			exchange->written)
		exchange->must_sync = true;
}

/* What could not be sent is an answer of the facilitator's, too. */
static void answer_with(struct gw_exchange *exchange, enum x402_err transport)
{
	const struct x402_gate_facilitator_answer answer = {
		.transport = transport, .now_unix_s = now_s(), .unsent = true};

	enter(exchange);
	x402_gate_on_facilitator(exchange->gate, &answer, &exchange->decision);
	leave(exchange);
}

static void on_asked(void *user, CURLcode code)
{
	struct gw_exchange *exchange = user;

	exchange->asked = true;
	exchange->ask_code = code;
	gw_server_wake(exchange->server, exchange);
}

/* True when on_asked will come; otherwise the next decision is there. */
static bool ask(struct gw_exchange *exchange)
{
	exchange->ask_easy = curl_easy_init();
	exchange->asking = exchange->ask_easy &&
		x402__curl_ask_init(exchange->ask_easy, &exchange->decision.ask,
			&exchange->ask) == X402_OK &&
		x402__transfers_begin(exchange->server->facilitators,
			exchange->ask_easy, on_asked, exchange);
	if (exchange->asking)
		return true;
	x402__curl_ask_clear(&exchange->ask);
	curl_easy_cleanup(exchange->ask_easy);
	exchange->ask_easy = NULL;
	answer_with(exchange, X402_ERR_NOMEM);
	return false;
}

/* What was written is on the disk, or it is not: then nothing is sent. */
static void take_synced(struct gw_exchange *exchange)
{
	exchange->synced = exchange->asking = false;
	if (exchange->unsafe)
		answer_with(exchange, X402_ERR_STORE);
	else if (ask(exchange))
		return;
	gw_exchange_decide(exchange);
}

static void take_answer(struct gw_exchange *exchange)
{
	struct x402_gate_facilitator_answer answer;

	exchange->asking = exchange->asked = false;
	x402__curl_ask_answer(
		&exchange->ask, exchange->ask_code, now_s(), &answer);
	enter(exchange);
	x402_gate_on_facilitator(exchange->gate, &answer, &exchange->decision);
	leave(exchange);
	x402__curl_ask_clear(&exchange->ask);
	curl_easy_cleanup(exchange->ask_easy);
	exchange->ask_easy = NULL;
}

/* ---- The gate. ---- */

static bool nth_header(
	void *user, const char *name, size_t index, struct x402_span *ret_value)
{
	const struct http_request *http = user;

	for (size_t i = 0; i < http->headers_len; i++)
		if (strcasecmp(http->headers[i].name, name) == 0 &&
			index-- == 0) {
			*ret_value = x402_span_str(http->headers[i].value);
			return true;
		}
	return false;
}

static struct x402_gate_request view_of(struct gw_exchange *exchange)
{
	return (struct x402_gate_request){
		.method = exchange->request.method,
		.target = x402_span_str(exchange->request.target),
		.header = nth_header,
		.header_user = &exchange->request,
		.body = body_counts(exchange)
			? x402_span(exchange->body.ptr, exchange->body.len)
			: x402_span(NULL, 0),
		.now_unix_s = now_s(),
		.peer = exchange->peer,
		.peer_name = *exchange->peer_name ? exchange->peer_name : NULL,
	};
}

static void begin(struct gw_exchange *exchange)
{
	const struct x402_gate_request view = view_of(exchange);

	enter(exchange);
	x402_gate_begin(exchange->gate, &view, &exchange->decision);
	leave(exchange);
	exchange->begun = true;
}

/* Is it refused for what it is, before anybody is asked? */
static bool refused(struct gw_exchange *exchange)
{
	enum x402_gate_action action = exchange->decision.action;

	/* The gate's own word goes first: a 402 also where nothing could be
	 * upgraded. */
	if (action == X402_GATE_ANSWER)
		return false;
	if (!gw_site_serves(exchange->site, x402_gate_route(exchange->gate))) {
		gw_answer_error(exchange, 404, "not found");
		return true;
	}
	exchange->upgrade = gw_wants_upgrade(&exchange->request, "websocket") &&
		strcmp(exchange->request.method, "GET") == 0;
	/* It has no end at which it could be settled. */
	if (exchange->upgrade && action == X402_GATE_ASK &&
		!gw_site_settles_first(
			exchange->site, x402_gate_route(exchange->gate))) {
		gw_answer_error(exchange, 501,
			"WebSocket connections are sold with settle before "
			"only");
		return true;
	}
	return gw_admit_unavailable(exchange);
}

static void on_named(void *user, const char *name)
{
	struct gw_exchange *exchange = user;

	exchange->naming = false;
	if (strlen(name) < sizeof(exchange->peer_name))
		memcpy(exchange->peer_name, name, strlen(name) + 1);
	gw_server_wake(exchange->server, exchange);
}

/* Says to be a crawler whose name the DNS knows: true when on_named comes. */
static bool ask_name(struct gw_exchange *exchange)
{
	const struct x402_gate_request view = view_of(exchange);
	char address[X402_PROVIDER_ADDRESS_SIZE];

	exchange->naming = x402_provider_wants_name(
				   exchange->site->provider, &view, address) &&
		x402__resolver_ask(
			exchange->site->resolver, address, on_named, exchange);
	return exchange->naming;
}

static void open_gate(struct gw_exchange *exchange)
{
	begin(exchange);
	/* Nobody needs to be asked: its money has moved. */
	exchange->again = exchange->decision.action == X402_GATE_RUN_HANDLER;
	if (!refused(exchange))
		gw_exchange_decide(exchange);
}

void gw_exchange_on_handler(struct gw_exchange *exchange, unsigned status)
{
	const struct gw_call *call = exchange->call;
	const char *override = call && exchange->head_here
		? gw_call_header_named(call, "Settlement-Overrides")
		: NULL;
	char amount[X402_PROVIDER_PRICE_SIZE];
	const struct x402_gate_handler_result result = {
		.status = status,
		.cache_control = call && exchange->head_here
			? gw_call_header_named(call, "Cache-Control")
			: NULL,
		.amount = override ? amount : NULL,
		.now_unix_s = now_s(),
	};

	if (override)
		x402_gate_read_override(override, amount);
	exchange->failed = status == 0 || status >= 400;
	enter(exchange);
	x402_gate_on_handler(exchange->gate, &result, &exchange->decision);
	leave(exchange);
	gw_exchange_decide(exchange);
}

void gw_exchange_decide(struct gw_exchange *exchange)
{
	for (;;) {
		switch (exchange->decision.action) {
		case X402_GATE_ASK:
			if (exchange->must_sync) {
				exchange->must_sync = false;
				exchange->asking = true;
				gw_server_sync(exchange->server, exchange);
				return;
			}
			if (ask(exchange))
				return;
			continue;
		case X402_GATE_RUN_HANDLER:
		case X402_GATE_PASS:
			/* Nobody is there to be served, nor charged. */
			if (!exchange->client)
				gw_exchange_finish(exchange, "client_gone");
			else
				gw_relay_begin(exchange);
			return;
		case X402_GATE_DELIVER:
			gw_relay_answer(exchange);
			return;
		case X402_GATE_ANSWER:
		case X402_GATE_WITHHOLD:
			break;
		}
		gw_answer_decision(exchange);
		return;
	}
}

/* ---- Steps. ---- */

/* A payment is bound to its request's body where that is short. */
static bool awaits_body(const struct gw_exchange *exchange)
{
	return exchange->client && !exchange->body_whole &&
		!exchange->body_broken && body_counts(exchange) &&
		pays(&exchange->request);
}

static void first_step(struct gw_exchange *exchange)
{
	if (awaits_body(exchange)) {
		gw_client_continue(exchange->client);
		return;
	}
	if (!exchange->client) {
		gw_exchange_finish(exchange, "client_gone");
	} else if (exchange->body_broken) {
		exchange->keep = false;
		gw_answer_error(exchange, 400, "the body is not HTTP");
	} else if (exchange->gate) {
		open_gate(exchange); /* its peer has been named */
	} else if (!gw_admit_turned_away(exchange) && !ask_name(exchange)) {
		open_gate(exchange);
	}
}

void gw_exchange_step(struct gw_exchange *exchange)
{
	if (exchange->done) {
		exchange_free(exchange);
		return;
	}
	if (exchange->synced) {
		take_synced(exchange);
	} else if (exchange->asked) {
		take_answer(exchange);
		gw_exchange_decide(exchange);
	} else if (!exchange->begun && !exchange->naming) {
		first_step(exchange);
	}
	if (!exchange->done && exchange->origin && !exchange->asking)
		gw_relay_step(exchange);
	/* Woken once more in the meantime: the pump brings us here again. */
	if (exchange->done && !exchange->queued)
		exchange_free(exchange);
}

void gw_exchange_sweep(struct gw_exchange *exchange, uint64_t now)
{
	if (exchange->flushing) {
		gw_server_wake(exchange->server, exchange);
		return;
	}
	if (exchange->timed_out || !gw_relay_late(exchange, now))
		return;
	exchange->timed_out = true;
	gw_server_wake(exchange->server, exchange);
}

void gw_exchange_cut(struct gw_exchange *exchange)
{
	exchange->cut = true;
	gw_server_wake(exchange->server, exchange);
}
