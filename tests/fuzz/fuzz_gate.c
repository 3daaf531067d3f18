/*
 * Fuzzes the gate with a request and the facilitator's answers, all chosen by
 * the input. Input, in lines: method, target, payment header ("1" in front for
 * X-PAYMENT), first answer, second answer; each answer is a status in three
 * digits and a body. A payment line of "@" is a good payment for "/a".
 *
 * What must hold: no crash, every path ends, and nothing is delivered unless
 * the second answer was a success on our network with a transaction.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "x402/provider.h"

#define LINES  5
#define PAY_TO "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
/* Steps of the longest honest conversation, and room. */
#define STEPS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	struct x402_span line[LINES];
};

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

static const struct x402_provider_price price = {
	.network = "eip155:84532", .pay_to = PAY_TO, .price = "$0.01"};
static const struct x402_provider_route routes[] = {
	{.pattern = "GET /a", .prices = &price, .prices_len = 1, .v1 = true},
	{.pattern = "/b/*",
		.prices = &price,
		.prices_len = 1,
		.extensions_json = "{\"x\":{\"info\":{\"y\":[1]}}}"},
};

static struct x402_provider *open_provider(void)
{
	const struct x402_provider_options options = {
		.public_origin = "https://shop.example",
		.routes = routes,
		.routes_len = 2,
		.cors_origin = "*",
		.payments_max = 4,
	};
	struct x402_provider *provider;

	require(x402_provider_new(&options, NULL, &provider) == X402_OK);
	return provider;
}

struct headers {
	const char *name;
	struct x402_span value;
};

static bool header(
	void *user, const char *name, size_t index, struct x402_span *ret_value)
{
	const struct headers *headers = user;

	if (index > 0 || !headers->name || strcasecmp(headers->name, name) != 0)
		return false;
	*ret_value = headers->value;
	return true;
}

/* A payment that passes all offline checks; its signature need not be right:
 * an address with code decides otherwise, so the gate must ask. */
static char *good_payment(void)
{
	static const char json[] =
		"{\"x402Version\":2,\"payload\":{\"authorization\":{\"from\":"
		"\"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC\",\"to\":"
		"\"" PAY_TO "\",\"value\":\"10000\",\"validAfter\":\"0\","
		"\"validBefore\":\"2000\",\"nonce\":\"0x3e44ec2b5e187020ed9741"
		"d3666713eb40f1ef15d4de339bf005d508d9f25c81\"},\"signature\":"
		"\"0x01\"},\"accepted\":{\"scheme\":\"exact\",\"network\":"
		"\"eip155:84532\",\"amount\":\"10000\",\"asset\":"
		"\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\",\"payTo\":"
		"\"" PAY_TO "\",\"maxTimeoutSeconds\":300,\"extra\":{\"name\":"
		"\"USDC\",\"version\":\"2\"}}}";
	struct x402_buf text = {0};

	x402_base64_encode(x402_span_str(json), &text);
	return x402_buf_take_str(&text);
}

static struct x402_gate_facilitator_answer answer_of(struct x402_span line)
{
	struct x402_gate_facilitator_answer answer = {.now_unix_s = 1000};

	for (size_t i = 0; i < 3 && i < line.len; i++)
		answer.status = answer.status * 10 + (line.ptr[i] - '0') % 10u;
	if (line.len > 3)
		answer.body = x402_span(line.ptr + 3, line.len - 3);
	answer.location = answer.body;
	if (line.len == 0)
		answer.transport = X402_ERR_TIMEOUT;
	return answer;
}

/* Would anyone in his right mind call this a settlement? */
static bool is_proof(const struct x402_gate_facilitator_answer *answer)
{
	struct x402_json *json = NULL;
	struct x402_settle_response response;
	bool proof = false;

	if (answer->transport != X402_OK || answer->status < 200 ||
		answer->status > 299 ||
		x402_json_parse(answer->body, NULL, NULL, &json) != X402_OK)
		return false;
	if (x402_settle_response_read(json, NULL, &response) == X402_OK) {
		proof = response.success && *response.transaction &&
			response.network;
		x402_settle_response_clear(&response);
	}
	x402_json_unref(json);
	return proof;
}

static void converse(struct x402_gate *gate, const struct input *input,
	struct x402_gate_decision *decision)
{
	struct x402_gate_facilitator_answer answer = {0};
	const struct x402_gate_handler_result handled = {
		.status = 200, .cache_control = "public", .now_unix_s = 1000};
	size_t asked = 0;

	for (int step = 0; step < STEPS_MAX; step++) {
		switch (decision->action) {
		case X402_GATE_ASK:
			require(decision->ask.body.len > 0);
			answer = answer_of(input->line[asked++ ? 4 : 3]);
			x402_gate_on_facilitator(gate, &answer, decision);
			continue;
		case X402_GATE_RUN_HANDLER:
			x402_gate_on_handler(gate, &handled, decision);
			continue;
		case X402_GATE_DELIVER:
			require(asked >= 2 && is_proof(&answer));
			x402_gate_delivered(gate);
			return;
		case X402_GATE_PASS:
			require(x402_gate_route(gate) == SIZE_MAX);
			return;
		case X402_GATE_ANSWER:
		case X402_GATE_WITHHOLD:
			require(decision->status >= 200);
			return;
		}
	}
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_provider *provider = open_provider();
	struct x402_gate_decision decision;
	struct headers headers = {0};
	struct x402_gate *gate;
	struct input input;
	char method[16];
	char *payment = NULL;

	split(data, size, &input);
	snprintf(method, sizeof(method), "%.*s", (int)(input.line[0].len & 15),
		(const char *)input.line[0].ptr);
	headers.value = input.line[2];
	if (input.line[2].len == 1 && input.line[2].ptr[0] == '@') {
		payment = good_payment();
		headers.value = x402_span_str(payment);
	}
	if (headers.value.len && headers.value.ptr[0] == '1') {
		headers.name = X402_HEADER_X_PAYMENT;
		headers.value.ptr++;
		headers.value.len--;
	} else if (headers.value.len) {
		headers.name = X402_HEADER_PAYMENT_SIGNATURE;
	}
	{
		const struct x402_gate_request request = {
			.method = method,
			.target = input.line[1],
			.header = header,
			.header_user = &headers,
			.body = x402_span(data, size),
			.now_unix_s = 1000,
		};

		require(x402_gate_new(provider, &gate) == X402_OK);
		x402_gate_begin(gate, &request, &decision);
	}
	converse(gate, &input, &decision);
	x402_gate_free(gate);
	x402_provider_free(provider);
	free(payment);
	return 0;
}
