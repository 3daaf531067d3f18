/*
 * What the client's flow tests share: a server as a list of answers, a signer
 * that counts, and a loop that plays one against the other.
 */
#ifndef CLIENT_HOUSE_H
#define CLIENT_HOUSE_H

#include <stdio.h>

#include "cmocka_house.h"
#include "flow_p.h"

#define URL   "http://127.0.0.1:8080/article"
#define USDC  "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define PAYEE "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define PAYER "0x1111111111111111111111111111111111111111"
#define TX    "0xabababababababababababababababababababababababababababababababab"
#define NOW   1795239000u
#define STEPS 12 /* more than any script needs */
#define OFFER(amount, asset, extra)                                      \
	"{\"scheme\":\"exact\",\"network\":\"eip155:84532\",\"amount\":" \
	"\"" amount "\",\"asset\":\"" asset "\",\"payTo\":\"" PAYEE      \
	"\",\"maxTimeoutSeconds\":300,\"extra\":" extra "}"
#define DOMAIN_JSON "{\"name\":\"USDC\",\"version\":\"2\"}"
#define CHALLENGE(error, url, accepts)          \
	"{\"x402Version\":2,\"error\":\"" error \
	"\",\"resource\":{\"url\":\"" url "\"},\"accepts\":[" accepts "]}"
#define PRICE \
	CHALLENGE("Payment required", URL, OFFER("1000", USDC, DOMAIN_JSON))
#define PRICE_V1(amount, url)                                                 \
	"{\"x402Version\":1,\"error\":\"pay\",\"accepts\":[{\"scheme\":"      \
	"\"exact\",\"network\":\"base-sepolia\",\"maxAmountRequired\":"       \
	"\"" amount "\",\"resource\":\"" url "\",\"description\":\"\","       \
	"\"mimeType\":\"\",\"payTo\":\"" PAYEE "\",\"maxTimeoutSeconds\":60," \
	"\"asset\":\"" USDC "\",\"extra\":" DOMAIN_JSON "}]}"
#define SETTLED(fields)                           \
	"{\"success\":true,\"transaction\":\"" TX \
	"\",\"network\":\"eip155:84532\"" fields "}"
#define FAILED(reason, tx)                             \
	"{\"success\":false,\"errorReason\":\"" reason \
	"\",\"transaction\":\"" tx "\",\"network\":\"eip155:84532\"}"

/* One answer. JSON of payment headers is encoded when it is played. */
struct answer {
	long status;          /* 0: no answer, `cause` says why */
	const char *required; /* PAYMENT-REQUIRED */
	const char *response; /* PAYMENT-RESPONSE */
	const char *raw_name; /* any other header, as it is */
	const char *raw_value;
	const char *body;
	enum x402_client_cause cause;
	bool unsent; /* the connection was never made */
};

struct play {
	const struct answer *answers; /* the last one repeats */
	size_t answers_len;
	struct x402_client_options options;
	struct x402_client_request request;
	/* What happened. */
	unsigned signatures;
	unsigned sends;
	unsigned paid_sends;
	uint64_t waited_ms;
	char *first_header;
	bool two_headers;
	char sent_to_other[64]; /* host that got a payment and is not ours */
	struct x402_client_signer signer;
	bool real_signer; /* set by the test; else it is counted */
	struct x402__flow flow;
};

static inline enum x402_err count_signature(void *user,
	const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	struct play *play = user;
	static const uint8_t sig65[65] = {1, [32] = 1, [64] = 27};

	play->signatures++;
	assert_int_equal(signing->family, X402_FAMILY_EVM);
	assert_non_null(signing->offer);
	x402_buf_add(ret_signature, x402_span(sig65, sizeof(sig65)));
	return X402_OK;
}

static inline char *encoded(const char *json)
{
	struct x402_buf buf = {0};
	char *text;

	x402_base64_encode(x402_span_str(json), &buf);
	text = x402_buf_take_str(&buf);
	assert_non_null(text);
	return text;
}

static inline void note_send(struct play *play)
{
	const struct x402__flow *flow = &play->flow;

	play->sends++;
	if (!x402__flow_pays(flow))
		return;
	play->paid_sends++;
	if (strcmp(flow->url.host, flow->asked.host) != 0)
		snprintf(play->sent_to_other, sizeof(play->sent_to_other), "%s",
			flow->url.host);
	if (!play->first_header)
		play->first_header = strdup(flow->payment.header_text);
	else if (strcmp(play->first_header, flow->payment.header_text) != 0)
		play->two_headers = true;
}

static inline void give(struct play *play, const struct answer *answer)
{
	struct x402_client_header headers[3];
	size_t len = 0;
	char *required = answer->required ? encoded(answer->required) : NULL;
	char *response = answer->response ? encoded(answer->response) : NULL;

	if (required)
		headers[len++] = (struct x402_client_header){
			"payment-required", required};
	if (response)
		headers[len++] = (struct x402_client_header){
			"Payment-Response", response};
	if (answer->raw_name)
		headers[len++] = (struct x402_client_header){
			answer->raw_name, answer->raw_value};
	struct x402__message message = {
		answer->status, headers, len, x402_span_str(answer->body)};
	if (answer->cause != X402_CLIENT_CAUSE_NONE) {
		struct x402__failure failure = {.cause = answer->cause,
			.sent = !answer->unsent,
			.head = answer->status ? &message : NULL};
		x402__flow_failed(&play->flow, &failure);
	} else {
		x402__flow_received(&play->flow, &message);
	}
	free(required);
	free(response);
}

/* What a driver without a journal does. */
static inline void sign_for(struct x402__flow *flow, unsigned salt)
{
	struct x402__inputs inputs = {.now_unix_s = NOW};

	memset(inputs.nonce32, (int)salt, 32);
	x402__flow_sign(flow, &inputs);
	x402__flow_committed(flow);
}

/* Play to the end. Resolved options stay in play->options. */
static inline void run_play(struct play *play)
{
	struct x402_client_options given = play->options;
	size_t at = 0;

	assert_int_equal(
		x402__options_resolve(&given, &play->options), X402_OK);
	if (!play->request.url)
		play->request.url = URL;
	if (!play->real_signer) {
		play->signer.sign = count_signature;
		play->signer.user = play;
		assert_int_equal(
			x402_address_parse(PAYER, &play->signer.address),
			X402_OK);
	}
	x402__flow_init(
		&play->flow, &play->options, &play->signer, &play->request);
	for (unsigned i = 0; play->flow.step != X402__FLOW_DONE; i++) {
		assert_true(i < 4 * STEPS); /* it must end */
		if (play->flow.step == X402__FLOW_WAIT) {
			play->waited_ms += play->flow.wait_ms;
			x402__flow_waited(&play->flow);
			continue;
		}
		if (play->flow.step == X402__FLOW_RESERVE) {
			sign_for(&play->flow, play->sends);
			continue;
		}
		note_send(play);
		give(play, &play->answers[at]);
		if (at + 1 < play->answers_len)
			at++;
	}
	/* R7, whatever else a test looks at. */
	assert_true(play->signatures <= 1);
	assert_false(play->two_headers);
	assert_string_equal(play->sent_to_other, "");
}

static inline void end_play(struct play *play)
{
	x402__flow_clear(&play->flow);
	free(play->first_header);
	play->first_header = NULL;
}

#endif
