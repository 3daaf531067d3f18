/*
 * token-gate.c: a page that is free for who holds a token, and a cent for
 * everyone else. Holders prove their wallet by signing in; what they hold is
 * read from the chain.
 *
 *   PAY_TO=0x... RPC_URL=http://127.0.0.1:8545 TOKEN=0x... ./token-gate
 *
 * TOKEN is an ERC-20 or ERC-721; MIN how much of it, default 1 atomic unit.
 * With HOLDERS_PRICE ("$0.001") holders pay that in place of nothing. A wallet
 * that is a contract signs in as well: RPC_URL is asked about its signature.
 * See site.h for the rest.
 */
#include <stdio.h>

#include "site.h"

static void serve_club(void *user, struct x402_uv_request *request)
{
	const struct x402_gate *gate = x402_uv_request_gate(request);
	bool holder = x402_gate_access_of(gate) == X402_GATE_ACCESS_HOLDER;
	char text[160];

	(void)user;
	snprintf(text, sizeof(text), "Welcome, %s %s.\n",
		holder ? "member" : "guest", x402_gate_payer(gate));
	site_reply(request, 200, "text/plain; charset=utf-8", text, NULL);
}

int main(void)
{
	struct site_config config;
	const struct x402_provider_holder holder = {
		.rpc_url = site_env("RPC_URL", NULL),
		.token = site_env("TOKEN", NULL),
		.min = site_env("MIN", "1"),
		.price = site_env("HOLDERS_PRICE", NULL)};
	struct x402_provider_rpc rpc = {.url = site_env("RPC_URL", NULL)};
	struct x402_provider_price price;
	struct x402_provider_route route;
	/* Members sign in, and guests pay, in a browser as well. */
	const struct x402_provider_page page = {.name = "The club"};
	struct x402_provider_options options = {
		.routes = &route, .routes_len = 1, .page = &page};
	const struct x402_uv_handler handler = {serve_club, NULL};

	if (!site_config_read(&config) || !holder.rpc_url || !holder.token) {
		fprintf(stderr,
			"token-gate: expected PAY_TO, RPC_URL and TOKEN\n");
		return 2;
	}
	price = (struct x402_provider_price){.network = config.network,
		.pay_to = config.pay_to,
		.price = "$0.01"};
	route = (struct x402_provider_route){.pattern = "GET /club",
		.prices = &price,
		.prices_len = 1,
		.description = "The club",
		.holders = &holder,
		.holders_len = 1};
	rpc.network = config.network;
	options.rpcs = &rpc;
	options.rpcs_len = 1;
	return site_run("token-gate", &options, &handler);
}
