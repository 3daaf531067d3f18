/*
 * Fuzzes the ways past the price that are no payment: passes, sign-in proofs,
 * crawlers' signatures and their directories, forwarded addresses, and the
 * page that a browser is shown. Input, in lines: target, then the values of the
 * headers below in their order, then the answer to what is asked.
 *
 * What must hold: no crash, and nobody passes who has nothing to show.
 */
#include <stdlib.h>
#include <strings.h>

#include "x402/provider.h"

#define PAY_TO "0x90F79bf6EB2c4f870365E785982E1f101E93b906"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"Cookie", "X402-Pass", "SIGN-IN-WITH-X",
	"Signature-Input", "Signature", "Signature-Agent", "User-Agent",
	"X-Forwarded-For", "X-Forwarded-Host", "Accept"};
#define NAMES (sizeof(names) / sizeof(names[0]))
#define LINES (NAMES + 2)

struct input {
	struct x402_span line[LINES];
};

static const struct x402_provider_price price = {
	.network = "eip155:84532", .pay_to = PAY_TO, .price = "$0.01"};
/* Asked whether a contract has signed: with that alone nobody has paid. */
static const struct x402_provider_rpc rpc = {
	"eip155:84532", "https://rpc.example"};
static const struct x402_provider_route route = {.pattern = "/*",
	.prices = &price,
	.prices_len = 1,
	.description = "<b>\"a\"",
	.pass_s = 100,
	.pass_uses = 2,
	.siwx_s = 100};
static const char *const proxies[] = {"10.0.0.0/8", "::1"};
static const char *const hosts[] = {".bot.example"};
static const struct x402_provider_crawler crawlers[] = {
	{.user_agent = "Bot",
		.policy = X402_PROVIDER_ALLOW,
		.directory = "https://bot.example"},
	{.user_agent = "Place",
		.policy = X402_PROVIDER_ALLOW,
		.hosts = hosts,
		.hosts_len = 1}};
static const struct x402_provider_page page = {.name = "Shop"};
static const uint8_t secret[32] = {1};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void split(const uint8_t *data, size_t size, struct input *ret_input)
{
	memset(ret_input, 0, sizeof(*ret_input));
	for (size_t i = 0; i < LINES; i++) {
		const uint8_t *end =
			i + 1 < LINES && size ? memchr(data, '\n', size) : NULL;
		size_t len = end ? (size_t)(end - data) : size;

		ret_input->line[i] = x402_span(data, len);
		data += len + (end != NULL);
		size -= len + (end != NULL);
	}
}

static bool header(
	void *user, const char *name, size_t index, struct x402_span *ret_value)
{
	const struct input *input = user;

	for (size_t i = 0; i < NAMES; i++)
		if (strcasecmp(names[i], name) == 0 && index == 0 &&
			input->line[i + 1].len > 0) {
			*ret_value = input->line[i + 1];
			return true;
		}
	return false;
}

static struct x402_provider *open_provider(void)
{
	const struct x402_provider_options options = {
		.routes = &route,
		.routes_len = 1,
		.public_origin = "https://shop.example",
		.trusted_proxies = proxies,
		.trusted_proxies_len = 2,
		.rpcs = &rpc,
		.rpcs_len = 1,
		.crawlers = crawlers,
		.crawlers_len = 2,
		.page = &page,
		.secret32 = secret,
	};
	struct x402_provider *provider;

	require(x402_provider_new(&options, NULL, &provider) == X402_OK);
	return provider;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct x402_provider *provider;
	struct x402_gate_decision decision;
	struct x402_gate *gate;
	struct input input;
	struct x402_gate_request request = {.method = "GET",
		.header = header,
		.header_user = &input,
		.now_unix_s = 1795240000,
		.peer = "10.0.0.1",
		.peer_name = "bot.example.evil.example"};

	if (!provider)
		provider = open_provider();
	split(data, size, &input);
	request.target = input.line[0];
	require(x402_gate_new(provider, &gate) == X402_OK);
	x402_gate_begin(gate, &request, &decision);
	for (int steps = 0; decision.action == X402_GATE_ASK; steps++) {
		const struct x402_gate_facilitator_answer answer = {
			.status = 200,
			.body = input.line[LINES - 1],
			.now_unix_s = request.now_unix_s};

		require(steps < 4);
		x402_gate_on_facilitator(gate, &answer, &decision);
	}
	/* Every path has a price, and nobody here has paid. */
	require(decision.action == X402_GATE_ANSWER);
	require(decision.status >= 400);
	x402_gate_free(gate);
	return 0;
}
