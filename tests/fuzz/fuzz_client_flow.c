/*
 * Fuzzes the client's whole flow: the input is what a hostile server says.
 * Answers are separated by newlines, fields of an answer by tabs: status
 * ('-' for a lost reply), PAYMENT-REQUIRED as JSON ('=' first: as it is),
 * PAYMENT-RESPONSE the same, Location, Retry-After, body.
 * What must hold: it ends; at most one signature was made, of at most a
 * dollar; one header was presented, and only to the host that was asked;
 * money is "not attempted" if and only if nothing was presented.
 */
#include <stdlib.h>

#include "flow_p.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define URL "http://127.0.0.1:8080/article"
/* Redirects, retries and pending together stay far below this. */
#define STEPS_MAX 64
#define FIELDS    6

static void require(bool holds)
{
	if (!holds)
		abort();
}

struct server {
	struct x402_span rest;
	unsigned signatures;
	char *header;
};

static enum x402_err sign(void *user, const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	struct server *server = user;
	static const uint8_t sig65[65] = {1, [32] = 1, [64] = 27};
	struct x402_u256 amount;
	struct x402_u256 dollar = x402_u256_from_u64(1000000);
	const struct x402_default_asset *asset = x402_known_asset(
		x402_payment_requirements_caip2(signing->offer),
		signing->offer->asset);

	require(++server->signatures == 1);
	require(asset && asset->official);
	require(x402_u256_from_dec(signing->offer->amount, &amount) == X402_OK);
	/* Every official dollar asset has six decimals or more. */
	if (asset->decimals == 6)
		require(x402_u256_cmp(&amount, &dollar) <= 0);
	x402_buf_add(ret_signature, x402_span(sig65, sizeof(sig65)));
	return ret_signature->failed ? X402_ERR_NOMEM : X402_OK;
}

static struct x402_span cut(struct x402_span *rest, uint8_t at)
{
	const uint8_t *end = rest->len ? memchr(rest->ptr, at, rest->len)
				       : NULL;
	size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
	struct x402_span field = x402_span(rest->ptr, len);

	rest->ptr += end ? len + 1 : len;
	rest->len -= end ? len + 1 : len;
	return field;
}

/* A header's value: encoded JSON, or after '=' the bytes themselves. */
static char *value_of(struct x402_span field, bool encode)
{
	struct x402_buf buf = {0};

	if (encode && field.ptr[0] != '=')
		x402_base64_encode(field, &buf);
	else
		for (size_t i = encode; i < field.len; i++)
			if (field.ptr[i] >= 0x20)
				x402_buf_add_byte(&buf, field.ptr[i]);
	char *text = x402_buf_take_str(&buf);
	require(text != NULL);
	return text;
}

static void answer(struct x402__flow *flow, struct server *server)
{
	static const char *const names[FIELDS] = {NULL, "PAYMENT-REQUIRED",
		"PAYMENT-RESPONSE", "Location", "Retry-After", NULL};
	struct x402_span line = cut(&server->rest, '\n');
	struct x402_span fields[FIELDS];
	struct x402_client_header headers[FIELDS];
	struct x402__message message = {.headers = headers};

	for (size_t i = 0; i < FIELDS; i++)
		fields[i] = cut(&line, '\t');
	for (size_t i = 0; i < 3 && i < fields[0].len; i++)
		message.status = message.status * 10 + fields[0].ptr[i] % 10;
	for (size_t i = 1; i < FIELDS; i++)
		if (names[i] && fields[i].len)
			headers[message.headers_len++] =
				(struct x402_client_header){
					names[i], value_of(fields[i], i < 3)};
	message.body = fields[5];
	if (fields[0].len && fields[0].ptr[0] == '-') {
		struct x402__failure failure = {
			.cause = X402_CLIENT_CAUSE_TRANSPORT,
			.sent = true,
			.head = fields[0].len > 1 ? &message : NULL};
		x402__flow_failed(flow, &failure);
	} else {
		x402__flow_received(flow, &message);
	}
	for (size_t i = 0; i < message.headers_len; i++)
		free((char *)headers[i].value);
}

static void check_send(const struct x402__flow *flow, struct server *server)
{
	if (!x402__flow_pays(flow))
		return;
	require(strcmp(flow->url.host, flow->asked.host) == 0);
	require(flow->url.port == flow->asked.port);
	if (!server->header)
		server->header = strdup(flow->payment.header_text);
	require(server->header &&
		strcmp(server->header, flow->payment.header_text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct server server = {.rest = x402_span(data, size)};
	struct x402_client_signer signer = {.sign = sign, .user = &server};
	struct x402_client_options options = {.retries = 2};
	struct x402_client_request request = {.url = URL};
	struct x402__flow flow;

	require(x402__options_resolve(&options, &options) == X402_OK);
	x402__flow_init(&flow, &options, &signer, &request);
	for (unsigned i = 0; flow.step != X402__FLOW_DONE; i++) {
		require(i < STEPS_MAX);
		if (flow.step == X402__FLOW_WAIT) {
			require(flow.wait_ms <= 30000);
			x402__flow_waited(&flow);
			continue;
		}
		if (flow.step == X402__FLOW_RESERVE) {
			struct x402__inputs inputs = {.now_unix_s = 1795239000};
			x402__flow_sign(&flow, &inputs);
			x402__flow_committed(&flow);
			continue;
		}
		check_send(&flow, &server);
		answer(&flow, &server);
	}
	require(flow.payment.attempted == (flow.payment.presented > 0));
	require(flow.payment.attempted ||
		flow.payment.outcome == X402_CLIENT_OUTCOME_NONE);
	require(!flow.payment.attempted ||
		flow.payment.outcome != X402_CLIENT_OUTCOME_NONE);
	x402__flow_clear(&flow);
	free(server.header);
	return 0;
}
