/*
 * site.c: bind, make the price list, serve, and end when every request under
 * way has been answered.
 */
#include "site.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT 4022

struct site {
	struct x402_uv_server *server;
	uv_signal_t signals[2];
};

const char *site_env(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

bool site_config_read(struct site_config *ret_config)
{
	ret_config->pay_to = site_env("PAY_TO", NULL);
	ret_config->network = site_env("X402_NETWORK", "eip155:84532");
	if (!ret_config->pay_to)
		fprintf(stderr, "PAY_TO: expected the address that is paid\n");
	return ret_config->pay_to != NULL;
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct site *site = handle->data;

	(void)number;
	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&site->signals[i], NULL);
	x402_uv_server_drain(site->server);
}

static void watch_signals(uv_loop_t *loop, struct site *site)
{
	static const int numbers[] = {SIGTERM, SIGINT};

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		uv_signal_init(loop, &site->signals[i]);
		site->signals[i].data = site;
		uv_signal_start_oneshot(
			&site->signals[i], on_signal, numbers[i]);
	}
}

/* Bound first: the price list needs the port's number. */
static bool open_site(const char *name, struct x402_provider_options *options,
	const struct x402_uv_handler *handlers, uv_loop_t *loop,
	struct site *site, struct x402_provider **ret_provider)
{
	const char *port = site_env("PORT", NULL);
	const struct x402_uv_options server = {.loop = loop,
		.port = port ? (uint16_t)strtoul(port, NULL, 10)
			     : DEFAULT_PORT};
	struct x402_errinfo info = {{0}, {0}};
	char origin[64];
	enum x402_err err = x402_uv_server_new(&server, &info, &site->server);

	if (err == X402_OK) {
		snprintf(origin, sizeof(origin), "http://127.0.0.1:%u",
			x402_uv_server_port(site->server));
		options->public_origin = site_env("PUBLIC_ORIGIN", origin);
		options->facilitator_url = site_env("FACILITATOR_URL", NULL);
		err = x402_provider_new(options, &info, ret_provider);
	}
	if (err == X402_OK)
		err = x402_uv_server_start(site->server, *ret_provider,
			handlers, options->routes_len);
	if (err != X402_OK)
		fprintf(stderr, "%s: %s: %s\n", name, info.field, info.text);
	return err == X402_OK;
}

int site_run(const char *name, struct x402_provider_options *options,
	const struct x402_uv_handler *handlers)
{
	struct x402_provider *provider = NULL;
	struct site site = {.server = NULL};
	uv_loop_t loop;
	bool open;

	uv_loop_init(&loop);
	open = open_site(name, options, handlers, &loop, &site, &provider);
	if (open) {
		watch_signals(&loop, &site);
		printf("listening url=http://127.0.0.1:%u\n",
			x402_uv_server_port(site.server));
		fflush(stdout);
	} else if (site.server) {
		x402_uv_server_drain(site.server);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	x402_uv_server_free(site.server);
	x402_provider_free(provider);
	uv_loop_close(&loop);
	return open ? 0 : 2;
}

void site_reply(struct x402_uv_request *request, unsigned status,
	const char *type, const char *body, const char *amount)
{
	char override[128];
	const struct x402_gate_header headers[] = {
		{"Content-Type", type}, {"Settlement-Overrides", override}};
	const struct x402_uv_response response = {
		.status = status,
		.headers = headers,
		.headers_len = amount ? 2 : 1,
		.body = x402_span_str(body),
	};

	snprintf(override, sizeof(override), "{\"amount\":\"%s\"}",
		amount ? amount : "");
	x402_uv_reply(request, &response);
}
