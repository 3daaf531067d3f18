/*
 * admin.c: four pages on net/'s server. Ready means: a request that came now
 * would be taken, and at least one origin may be asked.
 */
#include "admin.h"

#include <stdlib.h>

#include "net/http_server.h"

struct gw_admin {
	struct gw_server *server;
	struct http_server *http;
};

static void reply(struct http_exchange *exchange, int status, const char *type,
	struct x402_span body)
{
	struct http_response response;

	http_response_init(&response, status);
	http_response_header(&response, "Content-Type", type);
	http_response_header(&response, "Cache-Control", "no-store");
	http_response_body(&response, body.ptr, body.len);
	http_exchange_reply(exchange, &response);
	http_response_clear(&response);
}

static void reply_text(
	struct http_exchange *exchange, int status, const char *text)
{
	reply(exchange, status, "text/plain; charset=utf-8",
		x402_span_str(text));
}

static void on_ready(struct gw_admin *admin, struct http_exchange *exchange)
{
	struct gw_server *server = admin->server;
	const struct gw_site *site = server->site;
	struct x402_buf text = {0};
	size_t good = 0;
	bool ready;

	for (size_t i = 0; i < site->origins_len; i++) {
		const struct gw_origin *origin = &site->origins[i];
		uint32_t retry_ms;
		bool may = gw_upstream_may(
			&origin->state, uv_now(server->loop), &retry_ms);

		good += may;
		x402_buf_printf(&text, "upstream %s: %s\n", origin->config->url,
			may ? "ok" : "not ok");
	}
	ready = good > 0 && !server->draining && !text.failed;
	x402_buf_add_str(&text,
		server->draining ? "draining\n"
			: ready  ? "ready\n"
				 : "not ready\n");
	reply(exchange, ready ? 200 : 503, "text/plain; charset=utf-8",
		x402_buf_span(&text));
	x402_buf_clear(&text);
}

static void on_metrics(struct gw_admin *admin, struct http_exchange *exchange)
{
	struct gw_server *server = admin->server;
	const struct gw_site *site = server->site;
	struct gw_metrics_upstream upstreams[GW_UPSTREAMS_MAX];
	const struct gw_metrics_now now = {
		.connections = server->clients_len,
		.requests = server->exchanges_len,
		.upstreams = upstreams,
		.upstreams_len = site->origins_len,
	};
	struct x402_buf text = {0};

	for (size_t i = 0; i < site->origins_len; i++) {
		const struct gw_origin *origin = &site->origins[i];

		upstreams[i].name = *origin->config->name ? origin->config->name
							  : origin->config->url;
		upstreams[i].state = &origin->state;
	}
	gw_metrics_write(site->metrics, &now, &text);
	if (text.failed)
		reply_text(exchange, 503, "out of memory\n");
	else
		reply(exchange, 200, "text/plain; version=0.0.4",
			x402_buf_span(&text));
	x402_buf_clear(&text);
}

static void on_request(void *user, struct http_exchange *exchange)
{
	struct gw_admin *admin = user;
	const struct http_request *request = http_exchange_request(exchange);

	if (strcmp(request->method, "GET") != 0 &&
		strcmp(request->method, "HEAD") != 0)
		reply_text(exchange, 405, "expected GET\n");
	else if (!admin->server->site)
		reply_text(exchange, 503, "closing\n");
	else if (strcmp(request->path, "/livez") == 0 ||
		strcmp(request->path, "/healthz") == 0)
		reply_text(exchange, 200, "ok\n");
	else if (strcmp(request->path, "/readyz") == 0)
		on_ready(admin, exchange);
	else if (strcmp(request->path, "/metrics") == 0)
		on_metrics(admin, exchange);
	else
		reply_text(exchange, 404, "/livez /healthz /readyz /metrics\n");
}

enum x402_err gw_admin_start(struct gw_server *server,
	const struct gw_address *address, struct x402_errinfo *info,
	struct gw_admin **ret_admin)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct gw_admin *admin = calloc(1, sizeof(*admin));
	int rc;

	if (!admin)
		return X402_ERR_NOMEM;
	admin->server = server;
	options.loop = server->loop;
	options.host = *address->host ? address->host : "::";
	options.port = address->port;
	options.max_body_bytes = 1024; /* it takes none */
	options.max_connections = 64;
	options.on_request = on_request;
	options.user = admin;
	rc = http_server_start(&options, &admin->http);
	if (rc == 0) {
		*ret_admin = admin;
		return X402_OK;
	}
	x402_errinfo_set(info, "admin", "cannot listen on %s port %u: %s",
		options.host, address->port, uv_strerror(rc));
	free(admin);
	return X402_ERR_NETWORK;
}

uint16_t gw_admin_port(const struct gw_admin *admin)
{
	return http_server_port(admin->http);
}

void gw_admin_close(struct gw_admin *admin)
{
	if (!admin)
		return;
	http_server_free(admin->http);
	free(admin);
}
