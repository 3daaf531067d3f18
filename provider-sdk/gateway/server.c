/*
 * server.c: the listener, the pump and the sweep. Everything that a client or
 * an origin starts ends in a callback of these, or in a deadline that the sweep
 * finds. After a drain nothing is left open and the loop runs out.
 */
#include "server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "exchange_p.h"

/* Deadlines are late by up to this much. */
#define SWEEP_MS 250
#define BACKLOG  1024
/* For one facilitator under load; more wait for a connection. */
#define FACILITATOR_CONNECTIONS 128L

const char *gw_server_date(struct gw_server *server)
{
	time_t now = time(NULL);
	struct tm utc;

	if (now != server->date_at && gmtime_r(&now, &utc)) {
		strftime(server->date, sizeof(server->date),
			"%a, %d %b %Y %H:%M:%S GMT", &utc);
		server->date_at = now;
	}
	return server->date;
}

void gw_server_event(void *user, const struct x402_gate *gate,
	enum x402_gate_event event, const char *reason)
{
	struct gw_server *server = user;

	(void)gate;
	if (!server->acting)
		return;
	gw_metrics_event(server->acting->site->metrics, event);
	gw_exchange_event(server->acting, event, reason);
}

/* ---- The pump. ---- */

static void on_idle(uv_idle_t *idle)
{
	(void)idle; /* its being there is all: the loop does not wait */
}

static void on_check(uv_check_t *check)
{
	struct gw_server *server = check->data;
	struct gw_exchange *exchange;

	/* Those who are woken meanwhile go on in the same turn. */
	while ((exchange = server->woken)) {
		server->woken = exchange->next_woken;
		exchange->next_woken = NULL;
		exchange->queued = false;
		gw_exchange_step(exchange);
	}
	server->woken_last = NULL;
	uv_idle_stop(&server->idle);
}

void gw_server_wake(struct gw_server *server, struct gw_exchange *exchange)
{
	if (exchange->queued)
		return;
	exchange->queued = true;
	if (server->woken)
		server->woken_last->next_woken = exchange;
	else
		server->woken = exchange;
	server->woken_last = exchange;
	uv_idle_start(&server->idle, on_idle);
}

/* ---- The disk. ---- */

static void begin_sync(struct gw_server *server);

static void sync_journal(uv_work_t *work)
{
	struct gw_server *server = work->data;

	server->sync_err = x402_provider_journal_sync(server->journal);
}

static void on_synced(uv_work_t *work, int status)
{
	struct gw_server *server = work->data;
	bool failed = status || server->sync_err != X402_OK;

	server->sync_busy = false;
	if (failed)
		gw_log_event("warning", "the journal could not be synced");
	while (server->syncing) {
		struct gw_exchange *exchange = server->syncing;

		server->syncing = exchange->next_syncing;
		exchange->synced = true;
		exchange->unsafe = failed;
		gw_server_wake(server, exchange);
	}
	if (server->unsynced || server->sync_wanted)
		begin_sync(server);
}

/* All that wait now; who comes meanwhile waits for the next. */
static void begin_sync(struct gw_server *server)
{
	server->syncing = server->unsynced;
	server->unsynced = NULL;
	server->sync_wanted = false;
	server->sync.data = server;
	server->sync_busy = true;
	/* It fails without a callback to run only. */
	if (uv_queue_work(server->loop, &server->sync, sync_journal, on_synced))
		abort();
}

void gw_server_sync(struct gw_server *server, struct gw_exchange *exchange)
{
	if (exchange) {
		exchange->next_syncing = server->unsynced;
		server->unsynced = exchange;
	} else {
		server->sync_wanted = true;
	}
	if (!server->sync_busy)
		begin_sync(server);
}

/* ---- Drain. ---- */

static void close_all(struct gw_server *server)
{
	server->closed = true;
	uv_close((uv_handle_t *)&server->sweep, NULL);
	uv_close((uv_handle_t *)&server->check, NULL);
	uv_close((uv_handle_t *)&server->idle, NULL);
	x402__transfers_close(server->facilitators);
	server->facilitators = NULL;
	gw_site_unref(server->site);
	server->site = NULL;
	if (server->drained)
		server->drained(server->user);
}

static void sweep_drain(struct gw_server *server, uint64_t now)
{
	struct gw_client *client = server->clients;

	while (client) {
		struct gw_client *next = gw_client_next(client);

		if (now > server->drain_until)
			gw_client_close(client);
		else
			gw_client_drain(client);
		client = next;
	}
	if (now > server->drain_until)
		for (struct gw_exchange *exchange = server->exchanges; exchange;
			exchange = exchange->next)
			gw_exchange_cut(exchange);
	if (!server->clients && !server->exchanges)
		close_all(server);
}

static void on_sweep(uv_timer_t *timer)
{
	struct gw_server *server = timer->data;
	uint64_t now = uv_now(server->loop);
	struct gw_client *client = server->clients;

	while (client) {
		struct gw_client *next = gw_client_next(client);

		gw_client_sweep(client, now);
		client = next;
	}
	for (struct gw_exchange *exchange = server->exchanges; exchange;
		exchange = exchange->next)
		gw_exchange_sweep(exchange, now);
	for (size_t i = 0; i < server->site->origins_len; i++)
		gw_origin_tick(&server->site->origins[i]);
	if (server->draining)
		sweep_drain(server, now);
}

/* Whoever waits for a token asks again. */
static void on_token(void *user)
{
	struct gw_server *server = user;

	for (struct gw_exchange *exchange = server->exchanges; exchange;
		exchange = exchange->next)
		if (exchange->awaits_token)
			gw_server_wake(server, exchange);
}

static void take_site(struct gw_server *server, struct gw_site *site)
{
	server->site = gw_site_ref(site);
	for (size_t i = 0; i < site->origins_len; i++) {
		site->origins[i].on_token = on_token;
		site->origins[i].user = server;
	}
}

void gw_server_hurry(struct gw_server *server)
{
	server->drain_until = 0;
}

void gw_server_drain(
	struct gw_server *server, void (*drained)(void *user), void *user)
{
	/* Also of one that never came so far as to have anything open. */
	if (server->draining || !server->site)
		return;
	server->draining = true;
	server->drained = drained;
	server->user = user;
	server->drain_until = uv_now(server->loop) +
		server->site->config->drain_timeout_ms;
	uv_close((uv_handle_t *)&server->listener, NULL);
	uv_timer_start(&server->sweep, on_sweep, 0, SWEEP_MS);
}

/* ---- Start. ---- */

static void on_connection(uv_stream_t *listener, int status)
{
	/* Out of descriptors: libuv sheds the connection without spinning. */
	if (status == 0)
		gw_client_accept(listener->data);
}

static int bind_address(
	struct gw_server *server, const struct gw_address *address)
{
	struct sockaddr_storage at;
	const char *host = *address->host ? address->host : "::";
	int rc = uv_ip6_addr(
		host, address->port, (struct sockaddr_in6 *)(void *)&at);

	if (rc)
		rc = uv_ip4_addr(
			host, address->port, (struct sockaddr_in *)(void *)&at);
	if (rc)
		return rc;
	rc = uv_tcp_bind(&server->listener,
		(const struct sockaddr *)(const void *)&at, 0);
	/* A machine without IPv6. */
	if (rc && !*address->host &&
		!uv_ip4_addr("0.0.0.0", address->port,
			(struct sockaddr_in *)(void *)&at))
		rc = uv_tcp_bind(&server->listener,
			(const struct sockaddr *)(const void *)&at, 0);
	return rc;
}

static int listen_on(struct gw_server *server, const struct gw_address *address)
{
	struct sockaddr_storage at;
	int len = sizeof(at);
	int rc = bind_address(server, address);

	if (!rc)
		rc = uv_listen((uv_stream_t *)&server->listener, BACKLOG,
			on_connection);
	if (!rc)
		rc = uv_tcp_getsockname(&server->listener,
			(struct sockaddr *)(void *)&at, &len);
	if (rc)
		return rc;
	/* The port is in the same place in both families. */
	server->port = ntohs(
		((const struct sockaddr_in *)(const void *)&at)->sin_port);
	return 0;
}

enum x402_err gw_server_start(struct gw_server *server, uv_loop_t *loop,
	struct gw_site *site, struct x402_errinfo *info)
{
	const struct gw_address *address = &site->config->listen;
	int rc;

	server->loop = loop;
	if (getrandom(&server->id_base, sizeof(server->id_base), 0) !=
		sizeof(server->id_base))
		return X402_ERR_INTERNAL;
	server->facilitators = x402__transfers_new(loop);
	if (!server->facilitators)
		return X402_ERR_NOMEM;
	x402__transfers_limit(server->facilitators, FACILITATOR_CONNECTIONS);
	take_site(server, site);
	uv_timer_init(loop, &server->sweep);
	uv_check_init(loop, &server->check);
	uv_idle_init(loop, &server->idle);
	uv_tcp_init(loop, &server->listener);
	server->sweep.data = server->check.data = server->listener.data =
		server;
	uv_timer_start(&server->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	uv_check_start(&server->check, on_check);
	rc = listen_on(server, address);
	if (rc == 0)
		return X402_OK;
	x402_errinfo_set(info, "listen", "cannot listen on %s port %u: %s",
		*address->host ? address->host : "every address", address->port,
		uv_strerror(rc));
	gw_server_drain(server, NULL, NULL);
	return X402_ERR_NETWORK;
}

void gw_server_change_site(struct gw_server *server, struct gw_site *site)
{
	struct gw_site *old = server->site;

	take_site(server, site);
	gw_site_unref(old);
}
