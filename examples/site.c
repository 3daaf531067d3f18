/*
 * site.c: what the environment says, into x402_uv_run().
 */
#include "site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT 4022

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

static void on_listening(void *user, uint16_t port)
{
	(void)user;
	printf("listening url=http://127.0.0.1:%u\n", port);
	fflush(stdout);
}

int site_run(const char *name, struct x402_provider_options *options,
	const struct x402_uv_handler *handlers)
{
	const char *port = site_env("PORT", NULL);
	const struct x402_uv_program program = {
		.port = port ? (uint16_t)strtoul(port, NULL, 10) : DEFAULT_PORT,
		.shop = options,
		.handlers = handlers,
		.on_listening = on_listening,
	};
	struct x402_errinfo info;
	enum x402_err err;

	options->public_origin = site_env("PUBLIC_ORIGIN", NULL);
	options->facilitator_url = site_env("FACILITATOR_URL", NULL);
	err = x402_uv_run(&program, &info);
	if (err != X402_OK)
		fprintf(stderr, "%s: %s: %s\n", name, info.field, info.text);
	return err == X402_OK ? 0 : 2;
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
