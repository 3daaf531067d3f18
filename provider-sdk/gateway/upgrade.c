/*
 * upgrade.c: a WebSocket through the gateway. The handshake is an exchange like
 * any other, so the gate decides about it; with the origin's 101 both sides
 * become plain bytes, and a connection that is paid for was settled before.
 *
 * Delivered is what was let through: a WebSocket has no end of its own that
 * could be waited for.
 */
#include "exchange_p.h"
#include "target.h"

#include <stdlib.h>

/* ---- What the tunnel tells. ---- */

static void on_head(void *user, unsigned status)
{
	struct gw_exchange *exchange = user;

	exchange->head_here = true;
	exchange->tunnel_status = status;
	exchange->moved_at = gw_exchange_now(exchange);
	exchange->head_ms = exchange->moved_at - exchange->call_at;
	gw_server_wake(exchange->server, exchange);
}

static void on_data(void *user, const char *data, size_t len)
{
	struct gw_exchange *exchange = user;

	exchange->moved_at = gw_exchange_now(exchange);
	if (!exchange->client)
		return; /* the step ends it */
	exchange->content_bytes += len;
	gw_client_send(exchange->client, data, len);
	if (gw_client_congested(exchange->client)) {
		exchange->slow = true;
		gw_tunnel_read(exchange->tunnel, false);
	}
}

static void on_writable(void *user)
{
	struct gw_exchange *exchange = user;

	if (exchange->client)
		gw_client_want_body(exchange->client, true);
}

static void on_end(void *user)
{
	struct gw_exchange *exchange = user;

	exchange->tunnel_ended = true;
	gw_server_wake(exchange->server, exchange);
}

/* ---- The handshake. ---- */

static bool take_header(void *user, const char *name, const char *value)
{
	x402_buf_printf(user, "%s: %s\r\n", name, value);
	return true;
}

bool gw_upgrade_begin(struct gw_exchange *exchange, const char *authorization)
{
	const struct gw_config_upstream *config = exchange->origin->config;
	const struct gw_tunnel_owner owner = {
		on_head, on_data, on_writable, on_end, exchange};
	struct gw_tunnel_options options = {
		.loop = exchange->server->loop,
		.transfers = exchange->origin->transfers,
		.origin_url = config->url,
		.ca_file = config->ca_file,
		.connect_timeout_ms = (long)config->connect_timeout_ms,
	};
	char *target = gw_target(x402_gate_path(exchange->gate),
		exchange->request.target, x402_gate_query(exchange->gate));
	struct x402_buf head = {0};

	if (target) {
		x402_buf_printf(&head, "GET %s HTTP/1.1\r\n", target);
		(void)gw_relay_headers(
			exchange, authorization, take_header, &head);
		x402_buf_add_str(&head,
			"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
		options.head = x402_buf_span(&head);
	}
	if (target && !head.failed)
		exchange->tunnel = gw_tunnel_begin(&options, &owner);
	x402_buf_clear(&head);
	free(target);
	return exchange->tunnel != NULL;
}

void gw_upgrade_answer(struct gw_exchange *exchange)
{
	if (!exchange->client) {
		gw_exchange_finish(exchange, "client_gone");
		return;
	}
	if (!gw_answer_upgrade(exchange)) {
		gw_relay_fail(exchange, 502, "the origin's answer is not HTTP");
		return;
	}
	exchange->answering = true;
	exchange->tunnel_open = true;
	gw_relay_deliver(exchange);
	gw_client_raw(exchange->client);
	gw_tunnel_read(exchange->tunnel, true);
}

static void tell_head(struct gw_exchange *exchange)
{
	unsigned status = exchange->tunnel_status;

	exchange->head_told = true;
	gw_relay_tell_state(exchange,
		status == 0 || status == 502 || status == 503 || status == 504
			? GW_UPSTREAM_BAD
			: GW_UPSTREAM_GOOD);
	if (status != 101)
		gw_relay_fail(exchange, status >= 400 ? status : 502,
			"the origin does not upgrade the connection");
	else if (exchange->decision.action == X402_GATE_PASS)
		gw_upgrade_answer(exchange);
	else
		gw_exchange_on_handler(exchange, 200);
}

void gw_upgrade_step(struct gw_exchange *exchange)
{
	if (exchange->head_here && !exchange->head_told) {
		tell_head(exchange);
		return;
	}
	if (exchange->tunnel_ended && !exchange->tunnel_open) {
		gw_relay_tell_state(exchange, GW_UPSTREAM_BAD);
		gw_relay_fail(exchange, 502, "the origin gave no answer");
	} else if (exchange->tunnel_ended) {
		exchange->keep = false;
		gw_exchange_finish(exchange, "");
	} else if (exchange->tunnel_open &&
		!gw_client_congested(exchange->client)) {
		gw_tunnel_read(exchange->tunnel, true);
	}
}
