/*
 * content-site.c: the example shop on the project's own server. Start here to
 * sell from a C program:
 *
 *   PAY_TO=0x... PORT=4022 ./content-site
 *
 * See content.h for the environment. TERM or INT ends it when every request
 * that is under way has been answered.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "content.h"
#include "x402/provider_uv.h"

/* More than the price list has. */
#define HANDLERS_MAX 24

struct site {
	struct x402_uv_server *server;
	uv_signal_t term;
	uv_signal_t interrupt;
};

static void serve(void *user, struct x402_uv_request *request)
{
	struct content_answer answer;

	(void)user;
	content_answer(x402_uv_request_gate(request), &answer);
	{
		const struct x402_gate_header headers[2] = {
			{"Content-Type", answer.type},
			{"Settlement-Overrides", answer.override}};
		const struct x402_uv_response response = {
			.status = answer.status,
			.headers = headers,
			.headers_len = answer.override ? 2 : 1,
			.body = x402_span_str(answer.body),
		};

		x402_uv_reply(request, &response);
	}
	free(answer.body);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct site *site = handle->data;

	(void)number;
	uv_close((uv_handle_t *)&site->term, NULL);
	uv_close((uv_handle_t *)&site->interrupt, NULL);
	x402_uv_server_drain(site->server);
}

static void watch_signals(uv_loop_t *loop, struct site *site)
{
	signal(SIGPIPE, SIG_IGN);
	uv_signal_init(loop, &site->term);
	uv_signal_init(loop, &site->interrupt);
	site->term.data = site;
	site->interrupt.data = site;
	uv_signal_start_oneshot(&site->term, on_signal, SIGTERM);
	uv_signal_start_oneshot(&site->interrupt, on_signal, SIGINT);
}

/* Bound first: the price list needs the port's number. */
static enum x402_err open_shop(const struct content_config *config,
	uv_loop_t *loop, struct site *site, struct x402_provider **ret_provider)
{
	const struct x402_uv_options options = {.loop = loop,
		.port = config->port,
		.resolver = config->resolver};
	struct x402_uv_handler handlers[HANDLERS_MAX];
	struct x402_errinfo info = {{0}, {0}};
	enum x402_err err;

	for (size_t i = 0; i < HANDLERS_MAX; i++)
		handlers[i] = (struct x402_uv_handler){serve, NULL};
	err = x402_uv_server_new(&options, &info, &site->server);
	if (err != X402_OK) {
		fprintf(stderr, "content-site: %s\n", info.text);
		return err;
	}
	*ret_provider = content_provider_new(
		config, x402_uv_server_port(site->server));
	if (!*ret_provider)
		return X402_ERR_INVALID_ARGUMENT;
	return x402_uv_server_start(site->server, *ret_provider, handlers,
		content_routes_len(config));
}

int main(void)
{
	struct content_config config;
	struct x402_provider *provider = NULL;
	struct site site = {.server = NULL};
	uv_loop_t loop;
	enum x402_err err;

	if (!content_config_read(&config))
		return 2;
	uv_loop_init(&loop);
	err = open_shop(&config, &loop, &site, &provider);
	if (err == X402_OK) {
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
	content_config_clear(&config);
	uv_loop_close(&loop);
	return err == X402_OK ? 0 : 2;
}
