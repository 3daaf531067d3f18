/*
 * paid-first.c: a shop for buyers that send a transfer by themselves and then
 * show its hash, beside those that sign an authorization. /shown takes such
 * proofs alone, /either takes both, and /loose takes a hash from whoever
 * brings it first: only where it is cheaper to be robbed than to ask.
 *
 *   PAY_TO=0x... SHOP_SECRET=<64 hex digits> ./paid-first
 *   curl -i http://127.0.0.1:4022/shown     (X-Payment-... and X-Accept-...)
 *
 * SHOP_SECRET makes the references in the challenges; it must be the same
 * after a restart, or who has paid meanwhile has paid for nothing. See site.h
 * for the rest.
 */
#include <stdio.h>
#include <string.h>

#include "site.h"

#define PRICE "$0.01"

static void serve(void *user, struct x402_uv_request *request)
{
	site_reply(request, 200, "text/plain", user, NULL);
}

static bool read_secret(uint8_t ret_secret32[32])
{
	const char *hex = site_env("SHOP_SECRET", "");
	char text[67];

	if (strlen(hex) != 64)
		return false;
	snprintf(text, sizeof(text), "0x%s", hex);
	return x402_hex_decode_fixed(text, ret_secret32, 32) == X402_OK;
}

int main(void)
{
	static char shown[] = "Shown, and served.\n";
	static char served[] = "Either way.\n";
	static char taken[] = "Taken by the first who came.\n";
	static const struct x402_uv_handler handlers[] = {
		{serve, shown}, {serve, served}, {serve, taken}};
	struct site_config config;
	uint8_t secret32[32];
	struct x402_provider_price proof;
	struct x402_provider_price loose;
	struct x402_provider_price either[2];

	if (!site_config_read(&config) || !read_secret(secret32)) {
		fprintf(stderr,
			"paid-first: expected PAY_TO, and SHOP_SECRET of 64 "
			"hex digits\n");
		return 2;
	}
	proof = (struct x402_provider_price){.scheme = "proof",
		.network = config.network,
		.pay_to = config.pay_to,
		.price = PRICE};
	loose = proof;
	loose.unbound_proofs = true;
	either[0] = (struct x402_provider_price){.network = config.network,
		.pay_to = config.pay_to,
		.price = PRICE};
	either[1] = proof;
	struct x402_provider_route routes[] = {
		{.pattern = "GET /shown", .prices = &proof, .prices_len = 1},
		{.pattern = "GET /either", .prices = either, .prices_len = 2},
		{.pattern = "GET /loose", .prices = &loose, .prices_len = 1}};
	struct x402_provider_options options = {.routes = routes,
		.routes_len = sizeof(routes) / sizeof(routes[0]),
		.secret32 = secret32};

	return site_run("paid-first", &options, handlers);
}
