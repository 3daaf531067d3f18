/*
 * run.c: a whole program around server.c: a loop of its own, the price list,
 * and an end that finishes what was begun.
 */
#include "x402/provider_uv.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

struct running {
	struct x402_uv_server *server;
	uv_signal_t signals[2];
};

static void on_signal(uv_signal_t *handle, int number)
{
	struct running *running = handle->data;

	(void)number;
	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&running->signals[i], NULL);
	x402_uv_server_drain(running->server);
}

static void watch_signals(uv_loop_t *loop, struct running *running)
{
	static const int numbers[] = {SIGTERM, SIGINT};

	/* Who hangs up while he is written to. */
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		uv_signal_init(loop, &running->signals[i]);
		running->signals[i].data = running;
		uv_signal_start(&running->signals[i], on_signal, numbers[i]);
	}
}

/* Is this what buyers on this machine alone see? */
static bool is_local(const struct x402_uv_program *program)
{
	return !program->host || strcmp(program->host, "127.0.0.1") == 0;
}

/* Bound first: the price list may need the port's number. */
static enum x402_err open_shop(const struct x402_uv_program *program,
	uv_loop_t *loop, struct x402_errinfo *info, struct running *running,
	struct x402_provider **ret_provider)
{
	const struct x402_uv_options options = {.loop = loop,
		.host = program->host,
		.port = program->port,
		.body_max = program->body_max};
	struct x402_provider_options shop = *program->shop;
	char origin[64];
	enum x402_err err = x402_uv_server_new(
		&options, info, &running->server);

	if (err != X402_OK)
		return err;
	snprintf(origin, sizeof(origin), "http://127.0.0.1:%u",
		x402_uv_server_port(running->server));
	if (!shop.public_origin && !shop.trust_host &&
		!shop.trusted_proxies_len && is_local(program))
		shop.public_origin = origin;
	err = x402_provider_new(&shop, info, ret_provider);
	if (err == X402_OK)
		err = x402_uv_server_start(running->server, *ret_provider,
			program->handlers, shop.routes_len);
	return err;
}

enum x402_err x402_uv_run(
	const struct x402_uv_program *program, struct x402_errinfo *info)
{
	struct x402_provider *provider = NULL;
	struct running running = {.server = NULL};
	struct x402_errinfo unused = {{0}, {0}};
	uv_loop_t loop;
	enum x402_err err;

	if (!program->shop || !program->handlers)
		return X402_ERR_INVALID_ARGUMENT;
	if (uv_loop_init(&loop) != 0)
		return X402_ERR_NOMEM;
	info = info ? info : &unused;
	memset(info, 0, sizeof(*info));
	err = open_shop(program, &loop, info, &running, &provider);
	if (err == X402_OK) {
		watch_signals(&loop, &running);
		if (program->on_listening)
			program->on_listening(program->user,
				x402_uv_server_port(running.server));
	} else if (running.server) {
		x402_uv_server_drain(running.server);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	x402_uv_server_free(running.server);
	x402_provider_free(provider);
	uv_loop_close(&loop);
	return err;
}
