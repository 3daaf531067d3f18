/*
 * A provider with a few routes, a payer with a key, and one call for each step
 * through the gate: what test_gate.c and test_provider.c have in common.
 */
#ifndef GATE_HOUSE_H
#define GATE_HOUSE_H

#include <stdio.h>

#include "cmocka_house.h"

#include "x402/provider.h"

#define NOW    ((uint64_t)1795240000)
#define PAY_TO "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define TX     "0xee47bc10d87526004e6f78583c6bab95a32cbda9db4c000ecad46bf4f244cfe3"
#define HOUSE_KEY \
	"0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
#define HOUSE_HEADERS_MAX 8

/* Everything a test may change before house_begin. */
struct house_request {
	const char *method;
	const char *target;
	const char *names[HOUSE_HEADERS_MAX];
	const char *values[HOUSE_HEADERS_MAX];
	const char *body;
	uint64_t now;
};

struct house {
	struct x402_provider *provider;
	struct x402_secp256k1 *secp;
	struct x402_secret secret;
	struct x402_address payer;
	char payer_text[X402_ADDRESS_TEXT_SIZE];
	struct x402_gate *gate;
	struct x402_gate_decision decision;
	uint8_t nonce;
};

static const struct x402_provider_price house_cent = {
	.network = "eip155:84532", .pay_to = PAY_TO, .price = "$0.01"};
static const struct x402_provider_price house_two[] = {
	{.network = "eip155:8453", .pay_to = PAY_TO, .price = "$0.02"},
	{.network = "eip155:84532", .pay_to = PAY_TO, .price = "$0.02"},
};
static const struct x402_provider_route house_routes[] = {
	{.pattern = "GET /articles/[slug]",
		.prices = &house_cent,
		.prices_len = 1,
		.description = "An article",
		.mime_type = "text/html"},
	{.pattern = "GET /v1",
		.prices = &house_cent,
		.prices_len = 1,
		.v1 = true},
	{.pattern = "GET /two", .prices = house_two, .prices_len = 2},
	{.pattern = "GET /listed",
		.prices = &house_cent,
		.prices_len = 1,
		.extensions_json = "{\"bazaar\":{\"info\":{\"input\":"
				   "{\"method\":\"GET\",\"n\":[1,2]}}}}"},
	{.pattern = "GET /paid/free"},
	{.pattern = "/paid/*", .prices = &house_cent, .prices_len = 1},
	{.pattern = "POST /paid-post", .prices = &house_cent, .prices_len = 1},
	{.pattern = "GET /both"},
	{.pattern = "POST /both", .prices = &house_cent, .prices_len = 1},
};

static inline struct x402_provider_options house_options(void)
{
	return (struct x402_provider_options){
		.facilitator_url = "https://facilitator.example/f/",
		.facilitator_authorization = "Bearer s3cret",
		.public_origin = "https://shop.example",
		.routes = house_routes,
		.routes_len = ARRAY_LEN(house_routes),
	};
}

static inline void house_open_with(
	struct house *house, const struct x402_provider_options *options)
{
	static const uint8_t seed[32] = {7};
	struct x402_errinfo info = {{0}, {0}};

	memset(house, 0, sizeof(*house));
	if (x402_provider_new(options, &info, &house->provider) != X402_OK)
		fail_msg("%s: %s", info.field, info.text);
	assert_int_equal(x402_secp256k1_new(seed, &house->secp), X402_OK);
	assert_int_equal(x402_secret_parse(HOUSE_KEY, &house->secret), X402_OK);
	assert_int_equal(
		x402_secret_address(house->secp, &house->secret, &house->payer),
		X402_OK);
	x402_address_format(&house->payer, house->payer_text);
}

static inline void house_open(struct house *house)
{
	struct x402_provider_options options = house_options();

	house_open_with(house, &options);
}

static inline void house_close(struct house *house)
{
	x402_gate_free(house->gate);
	x402_provider_free(house->provider);
	x402_secp256k1_free(house->secp);
}

static inline bool house_header(
	void *user, const char *name, size_t index, struct x402_span *ret_value)
{
	const struct house_request *request = user;

	for (size_t i = 0; i < HOUSE_HEADERS_MAX && request->names[i]; i++)
		if (strcasecmp(request->names[i], name) == 0 && index-- == 0) {
			*ret_value = x402_span_str(request->values[i]);
			return true;
		}
	return false;
}

static inline enum x402_gate_action house_begin(
	struct house *house, const struct house_request *from)
{
	struct house_request copy = *from;
	struct x402_gate_request request = {
		.method = from->method ? from->method : "GET",
		.target = x402_span_str(from->target),
		.header = house_header,
		.header_user = &copy,
		.body = x402_span_str(from->body),
		.now_unix_s = from->now ? from->now : NOW,
	};

	x402_gate_free(house->gate);
	assert_int_equal(x402_gate_new(house->provider, &house->gate), X402_OK);
	x402_gate_begin(house->gate, &request, &house->decision);
	return house->decision.action;
}

/* A plain GET without any header. */
static inline enum x402_gate_action house_get(
	struct house *house, const char *target)
{
	return house_begin(house, &(struct house_request){.target = target});
}

static inline const char *decision_header(
	const struct x402_gate_decision *decision, const char *name)
{
	for (size_t i = 0; i < decision->headers_len; i++)
		if (strcmp(decision->headers[i].name, name) == 0)
			return decision->headers[i].value;
	return NULL;
}

static inline const char *ask_header(
	const struct x402_gate_ask *ask, const char *name)
{
	for (size_t i = 0; i < ask->headers_len; i++)
		if (strcmp(ask->headers[i].name, name) == 0)
			return ask->headers[i].value;
	return NULL;
}

/* The challenge of the last decision, decoded. */
static inline void house_challenge(
	struct house *house, struct x402_payment_required *ret_required)
{
	const char *text = decision_header(
		&house->decision, X402_HEADER_PAYMENT_REQUIRED);

	assert_non_null(text);
	assert_int_equal(x402_payment_required_decode(
				 x402_span_str(text), NULL, ret_required),
		X402_OK);
}

static inline enum x402_err house_sign(void *user,
	const struct x402_signable *signable, struct x402_buf *ret_signature)
{
	struct house *house = user;
	uint8_t sig65[65];
	enum x402_err err = x402_sign_digest(
		house->secp, signable->digest32, &house->secret, sig65);

	x402_buf_add(ret_signature, x402_span(sig65, 65));
	return err;
}

/*
 * Answer an offer with an authorization over terms that may be others, as of
 * a time that may be another; a new nonce for each. Caller frees the text.
 */
static inline char *house_pay_terms(struct house *house,
	const struct x402_payment_required *required, size_t index,
	const struct x402_payment_requirements *terms, uint64_t now)
{
	struct x402_create_options options = {
		.now_unix_s = now,
		.payer = house->payer,
		.sign = house_sign,
		.user = house,
	};
	struct x402_payment_payload payload;
	struct x402_json *scheme_payload;
	char *text = NULL;

	options.nonce32[0] = ++house->nonce;
	assert_int_equal(
		x402_create_payload(terms, &options, NULL, &scheme_payload),
		X402_OK);
	assert_int_equal(x402_payment_payload_build(required, index,
				 scheme_payload, NULL, &payload),
		X402_OK);
	assert_int_equal(x402_payment_payload_encode(&payload, &text), X402_OK);
	x402_payment_payload_clear(&payload);
	x402_json_unref(scheme_payload);
	return text;
}

static inline char *house_pay_offer(struct house *house,
	const struct x402_payment_required *required, size_t index)
{
	return house_pay_terms(
		house, required, index, &required->accepts[index], NOW);
}

/* Ask for target, get its challenge, pay its first offer. */
static inline char *house_pay(struct house *house, const char *target)
{
	struct x402_payment_required required;
	char *text;

	assert_int_equal(house_get(house, target), X402_GATE_ANSWER);
	assert_int_equal(house->decision.status, 402);
	house_challenge(house, &required);
	text = house_pay_offer(house, &required, 0);
	x402_payment_required_clear(&required);
	return text;
}

static inline enum x402_gate_action house_send(
	struct house *house, const char *target, const char *payment)
{
	return house_begin(house,
		&(struct house_request){.target = target,
			.names = {X402_HEADER_PAYMENT_SIGNATURE},
			.values = {payment}});
}

static inline enum x402_gate_action house_answer(
	struct house *house, unsigned status, const char *body)
{
	struct x402_gate_facilitator_answer answer = {
		.status = status,
		.body = x402_span_str(body),
		.now_unix_s = NOW,
	};

	x402_gate_on_facilitator(house->gate, &answer, &house->decision);
	return house->decision.action;
}

static inline enum x402_gate_action house_transport(
	struct house *house, enum x402_err err)
{
	struct x402_gate_facilitator_answer answer = {
		.transport = err, .now_unix_s = NOW};

	x402_gate_on_facilitator(house->gate, &answer, &house->decision);
	return house->decision.action;
}

static inline enum x402_gate_action house_handled(
	struct house *house, unsigned status)
{
	struct x402_gate_handler_result result = {
		.status = status, .now_unix_s = NOW};

	x402_gate_on_handler(house->gate, &result, &house->decision);
	return house->decision.action;
}

#define HOUSE_VALID "{\"isValid\":true}"
#define HOUSE_SETTLED                                \
	"{\"success\":true,\"transaction\":\"" TX    \
	"\",\"network\":\"eip155:84532\",\"payer\":" \
	"\"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC\"}"
#define HOUSE_PENDING                                                \
	"{\"success\":false,\"errorReason\":\"settlement_pending\"," \
	"\"transaction\":\"" TX "\",\"network\":\"eip155:84532\"}"

/* The receipt of the last decision, decoded. */
static inline void house_receipt(struct house *house, const char *name,
	struct x402_settle_response *ret_response)
{
	const char *text = decision_header(&house->decision, name);

	assert_non_null(text);
	assert_int_equal(x402_settle_response_decode(
				 x402_span_str(text), NULL, ret_response),
		X402_OK);
}

/* The error that the last decision's challenge gives. */
static inline void assert_challenge_error(
	struct house *house, const char *expected)
{
	struct x402_payment_required required;

	assert_int_equal(house->decision.status, 402);
	house_challenge(house, &required);
	assert_string_equal(required.error, expected);
	x402_payment_required_clear(&required);
}

static inline void assert_body(struct house *house, const char *expected)
{
	assert_int_equal(house->decision.body.len, strlen(expected));
	assert_memory_equal(
		house->decision.body.ptr, expected, strlen(expected));
}

/* Bring a request to where its settlement is asked for. */
static inline void to_settlement(struct house *house, const char *payment)
{
	assert_int_equal(
		house_send(house, "/articles/a", payment), X402_GATE_ASK);
	assert_int_equal(
		house_answer(house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(house, 200), X402_GATE_ASK);
}

#endif
