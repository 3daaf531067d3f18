/*
 * The client's flow against a table of server behaviours, without a socket:
 * what was signed, how often it was presented, and what the caller is told.
 * run_play() itself holds for every row that at most one authorization was
 * made and that it never went to another host.
 */
#include "client_house.h"
#include "client_p.h"

#define PAYS                                     \
	{                                        \
		.status = 402, .required = PRICE \
	}
#define DELIVERS                                       \
	{                                              \
		.status = 200, .response = SETTLED("") \
	}
#define REFUSES(r)                                       \
	{                                                \
		.status = 402, .response = FAILED(r, "") \
	}
#define PENDS                                                               \
	{                                                                   \
		.status = 402, .response = FAILED("settlement_pending", TX) \
	}
#define BREAKS                                       \
	{                                            \
		.cause = X402_CLIENT_CAUSE_TRANSPORT \
	}
#define OFFERS(amount, asset, extra)                                           \
	{                                                                      \
		.status = 402,                                                 \
		.required = CHALLENGE("pay", URL, OFFER(amount, asset, extra)) \
	}

struct row {
	const char *name;
	struct answer answers[STEPS]; /* ends at status and cause 0 */
	enum x402_client_cause cause;
	enum x402_client_outcome outcome;
	unsigned sends;
	unsigned paid_sends;
	const char *method;
};

#define NONE     X402_CLIENT_OUTCOME_NONE
#define PAID     X402_CLIENT_OUTCOME_PAID
#define REFUSED  X402_CLIENT_OUTCOME_REFUSED
#define PENDING  X402_CLIENT_OUTCOME_PENDING
#define UNKNOWN  X402_CLIENT_OUTCOME_UNKNOWN
#define CAUSE(c) X402_CLIENT_CAUSE_##c

static const struct row rows[] = {
	{"a free page", {{.status = 200}}, CAUSE(NONE), NONE, 1, 0},
	{"an error page", {{.status = 500}}, CAUSE(NONE), NONE, 1, 0},
	{"v2", {PAYS, DELIVERS}, CAUSE(NONE), PAID, 2, 1},
	{"v1", {{.status = 402, .body = PRICE_V1("1000", URL)}, DELIVERS},
		CAUSE(NONE), PAID, 2, 1},
	{"both: the header wins",
		{{.status = 402,
			 .required = PRICE,
			 .body = PRICE_V1("9999999", URL)},
			DELIVERS},
		CAUSE(NONE), PAID, 2, 1},
	/* Challenges that are not paid. */
	{"402 without a challenge", {{.status = 402, .body = "pay"}},
		CAUSE(CHALLENGE), NONE, 1, 0},
	{"a header that is no base64",
		{{.status = 402,
			.raw_name = "PAYMENT-REQUIRED",
			.raw_value = "%%"}},
		CAUSE(CHALLENGE), NONE, 1, 0},
	{"a bad header beside a good v1 body",
		{{.status = 402,
			.raw_name = "PAYMENT-REQUIRED",
			.raw_value = "e30=",
			.body = PRICE_V1("1000", URL)}},
		CAUSE(CHALLENGE), NONE, 1, 0},
	{"two challenges",
		{{.status = 402,
			.required = PRICE,
			.raw_name = "PAYMENT-REQUIRED",
			.raw_value = "e30="}},
		CAUSE(CHALLENGE), NONE, 1, 0},
	{"v1 in v2's header",
		{{.status = 402, .required = PRICE_V1("1000", URL)}},
		CAUSE(CHALLENGE), NONE, 1, 0},
	{"v2 in a body", {{.status = 402, .body = PRICE}}, CAUSE(CHALLENGE),
		NONE, 1, 0},
	{"no offers", {{.status = 402, .required = CHALLENGE("", URL, "")}},
		CAUSE(AUTH_ONLY), NONE, 1, 0},
	{"one atomic unit above a dollar",
		{OFFERS("1000001", USDC, DOMAIN_JSON)}, CAUSE(OVER_LIMIT), NONE,
		1, 0},
	{"exactly a dollar", {OFFERS("1000000", USDC, DOMAIN_JSON), DELIVERS},
		CAUSE(NONE), PAID, 2, 1},
	{"an asset nobody knows", {OFFERS("1", PAYEE, DOMAIN_JSON)},
		CAUSE(UNKNOWN_ASSET), NONE, 1, 0},
	{"no EIP-712 domain", {OFFERS("1", USDC, "{}")}, CAUSE(NO_OFFER), NONE,
		1, 0},
	{"Permit2 only",
		{OFFERS("1", USDC,
			 "{\"name\":\"USDC\",\"version\":\"2\","
			 "\"assetTransferMethod\":\"permit2\"}"),
			DELIVERS},
		CAUSE(NONE), PAID, 2, 1},
	{"a transfer method that nobody knows",
		{OFFERS("1", USDC,
			"{\"name\":\"USDC\",\"version\":\"2\","
			"\"assetTransferMethod\":\"erc7710\"}")},
		CAUSE(NO_OFFER), NONE, 1, 0},
	{"somebody else's resource",
		{{.status = 402,
			.required = CHALLENGE("", "http://127.0.0.1:8081/x",
				OFFER("1", USDC, DOMAIN_JSON))}},
		CAUSE(ORIGIN), NONE, 1, 0},
	{"somebody else's resource in v1",
		{{.status = 402,
			.body = PRICE_V1("1", "https://other.example")}},
		CAUSE(ORIGIN), NONE, 1, 0},
	{"412 before paying",
		{{.status = 412,
			.required = CHALLENGE("permit2_allowance_required", URL,
				OFFER("1", USDC, DOMAIN_JSON))}},
		CAUSE(PERMIT2), NONE, 1, 0},
	{"412 of HTTP's own", {{.status = 412}}, CAUSE(NONE), NONE, 1, 0},
	/* Answers to a payment. */
	{"refused by verify", {PAYS, PAYS}, CAUSE(REFUSED), REFUSED, 2, 1},
	{"refused by settle", {PAYS, REFUSES("insufficient_funds")},
		CAUSE(FUNDS), REFUSED, 2, 1},
	{"another price the second time",
		{PAYS, OFFERS("2000", USDC, DOMAIN_JSON)}, CAUSE(PRICE_CHANGED),
		REFUSED, 2, 1},
	{"412 after paying", {PAYS, {.status = 412, .required = PRICE}},
		CAUSE(PERMIT2), REFUSED, 2, 1},
	{"reverted on chain",
		{PAYS,
			{.status = 402,
				.response = FAILED(
					"invalid_exact_evm_transaction_failed",
					TX)}},
		CAUSE(REFUSED), REFUSED, 2, 1},
	{"a hash beside a vague reason",
		{PAYS,
			{.status = 402,
				.response = FAILED("invalid_payload", TX)}},
		CAUSE(UNPROVEN), UNKNOWN, 2, 1},
	{"somebody settled it", {PAYS, REFUSES("duplicate_settlement")},
		CAUSE(UNPROVEN), UNKNOWN, 2, 1},
	{"a fault while settling", {PAYS, REFUSES("unexpected_settle_error")},
		CAUSE(UNPROVEN), UNKNOWN, 2, 1},
	{"delivered and refused at once",
		{PAYS, {.status = 200, .response = FAILED("x", "")}},
		CAUSE(UNPROVEN), UNKNOWN, 2, 1},
	{"paid, handler failed",
		{PAYS, {.status = 500, .response = SETTLED("")}}, CAUSE(NONE),
		PAID, 2, 1},
	{"pending, then paid", {PAYS, PENDS, PENDS, DELIVERS}, CAUSE(NONE),
		PAID, 4, 3},
	{"pending for ever", {PAYS, PENDS}, CAUSE(PENDING), PENDING, 8, 7},
	{"pending, then refused", {PAYS, PENDS, REFUSES("insufficient_funds")},
		CAUSE(UNPROVEN), UNKNOWN, 3, 2},
	{"pending, then reverted",
		{PAYS, PENDS,
			{.status = 402,
				.response = FAILED(
					"invalid_exact_evm_transaction_failed",
					TX)}},
		CAUSE(REFUSED), REFUSED, 3, 2},
	{"pending, then silence", {PAYS, PENDS, BREAKS}, CAUSE(TRANSPORT),
		PENDING, 4, 3},
	{"5xx, then paid", {PAYS, {.status = 503}, DELIVERS}, CAUSE(NONE), PAID,
		3, 2},
	{"5xx for ever", {PAYS, {.status = 503}}, CAUSE(UNPROVEN), UNKNOWN, 3,
		2},
	{"5xx to a POST is not repeated", {PAYS, {.status = 503}, DELIVERS},
		CAUSE(UNPROVEN), UNKNOWN, 2, 1, "POST"},
	{"5xx, then refused", {PAYS, {.status = 500}, PAYS}, CAUSE(UNPROVEN),
		UNKNOWN, 3, 2},
	{"silence, then paid", {PAYS, BREAKS, DELIVERS}, CAUSE(NONE), PAID, 3,
		2},
	{"silence", {PAYS, BREAKS}, CAUSE(TRANSPORT), UNKNOWN, 3, 2},
	{"silence, then nonce used",
		{PAYS, BREAKS,
			{.status = 402,
				.required = CHALLENGE(
					"invalid_exact_evm_nonce_already_used",
					URL,
					OFFER("1000", USDC, DOMAIN_JSON))}},
		CAUSE(UNPROVEN), UNKNOWN, 3, 2},
	{"a receipt without a body",
		{PAYS,
			{.status = 200,
				.response = SETTLED(""),
				.cause = X402_CLIENT_CAUSE_TRANSPORT}},
		CAUSE(TRANSPORT), PAID, 2, 1},
	{"too large, with a receipt",
		{PAYS,
			{.status = 200,
				.response = SETTLED(""),
				.cause = X402_CLIENT_CAUSE_TOO_LARGE}},
		CAUSE(TOO_LARGE), PAID, 2, 1},
	{"cancelled after paying",
		{PAYS, {.cause = X402_CLIENT_CAUSE_CANCELLED}},
		CAUSE(CANCELLED), UNKNOWN, 2, 1},
	{"never connected again: it never left",
		{PAYS, {.cause = X402_CLIENT_CAUSE_TRANSPORT, .unsent = true}},
		CAUSE(TRANSPORT), NONE, 3, 2},
	/* Receipts. */
	{"no receipt", {PAYS, {.status = 200}}, CAUSE(UNPROVEN), UNKNOWN, 2, 1},
	{"a receipt that is no base64",
		{PAYS,
			{.status = 200,
				.raw_name = "PAYMENT-RESPONSE",
				.raw_value = "%"}},
		CAUSE(UNPROVEN), UNKNOWN, 2, 1},
	{"two receipts",
		{PAYS,
			{.status = 200,
				.response = SETTLED(""),
				.raw_name = "PAYMENT-RESPONSE",
				.raw_value = "e30="}},
		CAUSE(UNPROVEN), UNKNOWN, 2, 1},
	{"a receipt for another payer",
		{PAYS,
			{.status = 200,
				.response = SETTLED(
					",\"payer\":\"" PAYEE "\"")}},
		CAUSE(UNPROVEN), UNKNOWN, 2, 1},
	{"a receipt for more",
		{PAYS,
			{.status = 200,
				.response = SETTLED(",\"amount\":\"1001\"")}},
		CAUSE(UNPROVEN), UNKNOWN, 2, 1},
	{"a receipt for less (upto)",
		{PAYS,
			{.status = 200,
				.response = SETTLED(",\"amount\":\"999\"")}},
		CAUSE(NONE), PAID, 2, 1},
	/* Redirects. */
	{"a redirect, then a price",
		{{.status = 301, .raw_name = "Location", .raw_value = "/b"},
			PAYS, DELIVERS},
		CAUSE(NONE), PAID, 3, 1},
	{"a redirect to another origin that wants money",
		{{.status = 302,
			 .raw_name = "Location",
			 .raw_value = "https://other.example/"},
			PAYS},
		CAUSE(ORIGIN), NONE, 2, 0},
	{"a redirect to another origin that sells what is its own",
		{{.status = 302,
			 .raw_name = "Location",
			 .raw_value = "https://other.example/"},
			{.status = 402,
				.required = CHALLENGE("pay",
					"https://other.example/",
					OFFER("1000", USDC, DOMAIN_JSON))}},
		CAUSE(ORIGIN), NONE, 2, 0},
	{"a redirect to a file",
		{{.status = 302,
			.raw_name = "Location",
			.raw_value = "file:///etc/passwd"}},
		CAUSE(REDIRECT), NONE, 1, 0},
	{"redirects for ever",
		{{.status = 302, .raw_name = "Location", .raw_value = "/a"}},
		CAUSE(REDIRECT), NONE, 6, 0},
	{"a redirect after paying",
		{PAYS,
			{.status = 307,
				.raw_name = "Location",
				.raw_value = "https://other.example/"}},
		CAUSE(UNPROVEN), UNKNOWN, 2, 1},
};

static size_t answers_of(const struct row *row)
{
	size_t len = 0;

	while (len < STEPS &&
		(row->answers[len].status || row->answers[len].cause))
		len++;
	return len;
}

static void test_flow_server_behaviour_gives_the_outcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct play play = {.answers = row->answers,
			.answers_len = answers_of(row),
			.request.method = row->method};

		run_play(&play);
		if (play.flow.cause != row->cause ||
			play.flow.payment.outcome != row->outcome ||
			play.sends != row->sends ||
			play.paid_sends != row->paid_sends)
			fail_msg("%s: %s (%s), %s, %u sends, %u paid",
				row->name,
				x402_client_cause_name(play.flow.cause),
				play.flow.error.text,
				x402_client_outcome_name(
					play.flow.payment.outcome),
				play.sends, play.paid_sends);
		assert_int_equal(play.signatures, row->paid_sends ? 1 : 0);
		end_play(&play);
	}
}

/* A whole run with the usual price and these options. */
static struct play play_price(const struct x402_client_options *options)
{
	static const struct answer answers[] = {PAYS, DELIVERS};
	struct play play = {.answers = answers, .answers_len = 2};

	if (options)
		play.options = *options;
	return play;
}

static void test_flow_own_header_is_presented_and_never_paid_again(void **state)
{
	(void)state;
	static const struct answer answers[] = {PAYS};
	const char *const names[] = {"PAYMENT-SIGNATURE", "x-payment"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct x402_client_header header = {names[i], "e30="};
		struct play play = {.answers = answers,
			.answers_len = 1,
			.request = {.headers = &header, .headers_len = 1}};

		run_play(&play);
		assert_int_equal(play.signatures, 0);
		assert_int_equal(play.sends, 1);
		assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_REFUSED);
		assert_true(play.flow.payment.attempted);
		end_play(&play);
	}
}

static void test_flow_two_own_headers_are_refused(void **state)
{
	(void)state;
	struct x402_client_header headers[] = {
		{"PAYMENT-SIGNATURE", "e30="}, {"X-PAYMENT", "e30="}};
	struct play play = play_price(NULL);

	play.request.headers = headers;
	play.request.headers_len = 2;
	run_play(&play);
	assert_int_equal(play.sends, 0);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_BAD_REQUEST);
	end_play(&play);
}

static void test_flow_own_header_over_plain_http_stays_here(void **state)
{
	(void)state;
	struct x402_client_header header = {"PAYMENT-SIGNATURE", "e30="};
	struct play play = play_price(NULL);

	play.request.url = "http://shop.example/";
	play.request.headers = &header;
	play.request.headers_len = 1;
	run_play(&play);
	assert_int_equal(play.sends, 0);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_INSECURE);
	end_play(&play);
}

static void test_flow_plain_http_is_paid_when_allowed_only(void **state)
{
	(void)state;
	static const struct answer answers[] = {
		{.status = 402,
			.required = CHALLENGE("", "http://shop.example/",
				OFFER("1", USDC, DOMAIN_JSON))},
		DELIVERS};

	for (int allowed = 0; allowed < 2; allowed++) {
		struct play play = {.answers = answers,
			.answers_len = 2,
			.options.allow_http = allowed,
			.request.url = "http://shop.example/"};

		run_play(&play);
		assert_int_equal(play.paid_sends, allowed);
		assert_int_equal(play.flow.cause,
			allowed ? X402_CLIENT_CAUSE_NONE
				: X402_CLIENT_CAUSE_INSECURE);
		end_play(&play);
	}
}

static void test_flow_https_to_http_redirect_is_refused(void **state)
{
	(void)state;
	static const struct answer answers[] = {{.status = 302,
		.raw_name = "Location",
		.raw_value = "http://shop.example/"}};
	struct play play = {.answers = answers,
		.answers_len = 1,
		.request.url = "https://shop.example/"};

	run_play(&play);
	assert_int_equal(play.sends, 1);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_REDIRECT);
	end_play(&play);
}

static void test_flow_cross_origin_redirect_strips_credentials(void **state)
{
	(void)state;
	static const struct answer answers[] = {
		{.status = 307,
			.raw_name = "Location",
			.raw_value = "https://other.example/"},
		{.status = 200}};
	struct x402_client_header headers[] = {{"authorization", "Basic x"},
		{"Cookie", "a=1"}, {"Accept", "text/plain"}};
	struct play play = {.answers = answers,
		.answers_len = 2,
		.request = {.headers = headers, .headers_len = 3}};

	run_play(&play);
	assert_int_equal(play.flow.headers.len, 1);
	assert_string_equal(play.flow.headers.items[0].name, "Accept");
	end_play(&play);
}

static void test_flow_redirected_post_becomes_a_get(void **state)
{
	(void)state;
	static const long statuses[] = {301, 302, 303, 307, 308};

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct answer answers[] = {{.status = statuses[i],
						   .raw_name = "Location",
						   .raw_value = "/b"},
			{.status = 200}};
		struct play play = {.answers = answers,
			.answers_len = 2,
			.request = {.body = x402_span_str("x")}};

		run_play(&play);
		assert_string_equal(
			play.flow.method, statuses[i] < 307 ? "GET" : "POST");
		assert_int_equal(play.flow.send_body, statuses[i] >= 307);
		end_play(&play);
	}
}

static void test_flow_dry_run_stops_before_signing(void **state)
{
	(void)state;
	struct play play = play_price(NULL);

	play.request.dry_run = true;
	run_play(&play);
	assert_int_equal(play.signatures, 0);
	assert_int_equal(play.sends, 1);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_NONE);
	assert_string_equal(play.flow.payment.amount, "1000");
	assert_string_equal(play.flow.payment.pay_to, PAYEE);
	assert_false(play.flow.payment.attempted);
	end_play(&play);
}

static void test_flow_without_signer_says_no_key(void **state)
{
	(void)state;
	struct x402_client_options options;
	struct x402_client_request request = {.url = URL};
	struct x402__flow flow;
	char *text = encoded(PRICE);
	struct x402_client_header header = {"PAYMENT-REQUIRED", text};
	struct x402__message message = {402, &header, 1, {NULL, 0}};

	assert_int_equal(x402__options_resolve(NULL, &options), X402_OK);
	x402__flow_init(&flow, &options, NULL, &request);
	x402__flow_received(&flow, &message);
	assert_int_equal(flow.step, X402__FLOW_DONE);
	assert_int_equal(flow.err, X402_ERR_KEY);
	assert_int_equal(flow.cause, X402_CLIENT_CAUSE_NO_SIGNER);
	x402__flow_clear(&flow);
	free(text);
}

static void test_flow_atomic_cap_binds(void **state)
{
	(void)state;
	const uint64_t caps[] = {999, 1000};

	for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
		struct x402_u256 cap = x402_u256_from_u64(caps[i]);
		struct play play = play_price(&(struct x402_client_options){
			.max_atomic = &cap /* Raw: a plain number */});

		run_play(&play);
		assert_int_equal(play.flow.cause,
			caps[i] < 1000 ? X402_CLIENT_CAUSE_OVER_LIMIT
				       : X402_CLIENT_CAUSE_NONE);
		end_play(&play);
	}
}

static bool refuse_all(void *user, const struct x402_payment_required *required,
	const struct x402_payment_requirements *offer)
{
	(void)user;
	(void)required;
	(void)offer;
	return false;
}

static void test_flow_policy_and_filters_bind(void **state)
{
	(void)state;
	static const char *const networks[] = {"eip155:8453"};
	const struct x402_client_options cases[] = {{.policy = refuse_all},
		{.asset = PAYEE}, {.networks = networks, .networks_len = 1}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct play play = play_price(&cases[i]);

		run_play(&play);
		assert_int_equal(play.signatures, 0);
		assert_true(play.flow.err != X402_OK);
		end_play(&play);
	}
}

static enum x402_err fail_to_write(
	void *user, const struct x402_client_payment *payment)
{
	(void)user;
	assert_non_null(payment->header_text);
	return X402_ERR_STORE;
}

static void test_flow_unwritten_authorization_is_not_sent(void **state)
{
	(void)state;
	struct play play = play_price(&(struct x402_client_options){
		.on_payment_signed = fail_to_write});

	run_play(&play);
	assert_int_equal(play.signatures, 1);
	assert_int_equal(play.paid_sends, 0);
	assert_int_equal(play.flow.err, X402_ERR_STORE);
	assert_int_equal(play.flow.payment.outcome, X402_CLIENT_OUTCOME_NONE);
	assert_null(play.flow.payment.header_text);
	end_play(&play);
}

static enum x402_client_decision sign_in(void *user,
	const struct x402_client_quote *quote,
	struct x402_client_headers *extra)
{
	(void)user;
	assert_non_null(quote->challenge);
	assert_int_equal(
		x402_client_headers_add(extra, "PAYMENT-SIGNATURE", "x"),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(x402_client_headers_add(extra, "A", "b\r\nC: d"),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(
		x402_client_headers_add(extra, "Sign-In", "me"), X402_OK);
	return X402_CLIENT_RESEND;
}

static void test_flow_hook_resends_once_then_pays(void **state)
{
	(void)state;
	static const struct answer answers[] = {PAYS, PAYS, DELIVERS};
	struct play play = {.answers = answers,
		.answers_len = 3,
		.options.on_payment_required = sign_in};

	run_play(&play);
	assert_int_equal(play.sends, 3);
	assert_int_equal(play.paid_sends, 1);
	assert_int_equal(play.flow.headers.len, 1);
	end_play(&play);
}

static void test_flow_hook_resend_may_make_it_free(void **state)
{
	(void)state;
	static const struct answer answers[] = {PAYS, {.status = 200}};
	struct play play = {.answers = answers,
		.answers_len = 2,
		.options.on_payment_required = sign_in};

	run_play(&play);
	assert_int_equal(play.signatures, 0);
	assert_int_equal(play.flow.payment.outcome, X402_CLIENT_OUTCOME_NONE);
	end_play(&play);
}

static void test_flow_sign_in_does_not_follow_to_another_origin(void **state)
{
	(void)state;
	static const struct answer answers[] = {PAYS,
		{.status = 302,
			.raw_name = "Location",
			.raw_value = "https://other.example/"},
		{.status = 200}};
	struct play play = {.answers = answers,
		.answers_len = 3,
		.options.on_payment_required = sign_in};

	run_play(&play);
	assert_int_equal(play.sends, 2);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_REDIRECT);
	end_play(&play);
}

static enum x402_client_decision decline(void *user,
	const struct x402_client_quote *quote,
	struct x402_client_headers *extra)
{
	(void)user;
	(void)extra;
	assert_string_equal(quote->payment->amount, "1000");
	return X402_CLIENT_DECLINE;
}

static void test_flow_declined_payment_signs_nothing(void **state)
{
	(void)state;
	struct play play = play_price(
		&(struct x402_client_options){.on_payment_required = decline});

	run_play(&play);
	assert_int_equal(play.signatures, 0);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_DECLINED);
	end_play(&play);
}

static void test_flow_signature_lives_no_longer_than_allowed(void **state)
{
	(void)state;
	struct play play = play_price(
		&(struct x402_client_options){.max_validity_s = 60});
	struct x402_payment_payload payload = {0};

	run_play(&play);
	assert_int_equal(play.flow.payment.valid_before_unix_s, NOW + 60);
	assert_int_equal(
		x402_payment_payload_decode(
			x402_span_str(play.first_header), NULL, &payload),
		X402_OK);
	const struct x402_json *auth = x402_json_get(
		payload.payload, "authorization");
	assert_string_equal(
		x402_json_get_string(auth, "validBefore"), "1795239060");
	/* C-041: the server's own words go back to it. */
	assert_int_equal(payload.accepted.max_timeout_seconds, 300);
	x402_payment_payload_clear(&payload);
	end_play(&play);
}

static void test_flow_retry_after_is_believed_within_bounds(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		uint64_t wait_ms;
	} cases[] = {{"0", 0}, {"7", 7000}, {"99999999999999999999", 30000},
		{"-1", 1000}, {"soon", 1000}, {"", 1000}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct answer answers[] = {{.status = 503,
						   .raw_name = "Retry-After",
						   .raw_value = cases[i].value},
			{.status = 200}};
		struct play play = {.answers = answers,
			.answers_len = 2,
			.options.retries = 1};

		run_play(&play);
		assert_int_equal(play.sends, 2);
		assert_int_equal(play.waited_ms, cases[i].wait_ms);
		end_play(&play);
	}
}

static void test_flow_give_up_keeps_what_is_open(void **state)
{
	(void)state;
	static const struct answer answers[] = {PAYS, PENDS};
	struct play play = {.answers = answers, .answers_len = 2};

	assert_int_equal(x402__options_resolve(NULL, &play.options), X402_OK);
	play.request.url = URL;
	play.signer.sign = count_signature;
	play.signer.user = &play;
	x402__flow_init(&play.flow, &play.options, &play.signer, &play.request);
	give(&play, &answers[0]);
	sign_for(&play.flow, 1);
	give(&play, &answers[1]);
	assert_int_equal(play.flow.step, X402__FLOW_WAIT);
	x402__flow_give_up(&play.flow, X402_CLIENT_CAUSE_TIMEOUT);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_PENDING);
	assert_int_equal(
		play.flow.payment.outcome, X402_CLIENT_OUTCOME_PENDING);
	assert_string_equal(play.flow.payment.transaction, TX);
	assert_non_null(play.flow.payment.header_text);
	end_play(&play);
}

/* What was open stays open, though no byte of this call has left. */
static void test_flow_resumed_and_unreachable_is_unknown(void **state)
{
	(void)state;
	static const struct answer answers[] = {
		PAYS, {.cause = X402_CLIENT_CAUSE_TRANSPORT, .unsent = true}};
	struct play play = {.answers = answers, .answers_len = 2};

	assert_int_equal(x402__options_resolve(NULL, &play.options), X402_OK);
	play.request.url = URL;
	play.signer.sign = count_signature;
	play.signer.user = &play;
	x402__flow_init(&play.flow, &play.options, &play.signer, &play.request);
	give(&play, &answers[0]);
	assert_int_equal(play.flow.step, X402__FLOW_RESERVE);
	x402__flow_present(&play.flow, "PAYMENT-SIGNATURE", "e30=");
	while (play.flow.step != X402__FLOW_DONE) {
		give(&play, &answers[1]);
		x402__flow_waited(&play.flow);
	}
	assert_int_equal(play.signatures, 0);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_TRANSPORT);
	assert_true(play.flow.payment.attempted);
	assert_int_equal(play.flow.payment.presented, 0);
	assert_int_equal(
		play.flow.payment.outcome, X402_CLIENT_OUTCOME_UNKNOWN);
	end_play(&play);
}

/* It may be refused for having been paid with before. */
static void test_flow_resumed_and_refused_is_unknown(void **state)
{
	(void)state;
	static const struct answer answers[] = {PAYS};
	struct play play = {.answers = answers, .answers_len = 1};

	assert_int_equal(x402__options_resolve(NULL, &play.options), X402_OK);
	play.request.url = URL;
	play.signer.sign = count_signature;
	play.signer.user = &play;
	x402__flow_init(&play.flow, &play.options, &play.signer, &play.request);
	give(&play, &answers[0]);
	x402__flow_present(&play.flow, "PAYMENT-SIGNATURE", "e30=");
	give(&play, &answers[0]);
	assert_int_equal(play.flow.step, X402__FLOW_DONE);
	assert_int_equal(play.signatures, 0);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_UNPROVEN);
	assert_int_equal(
		play.flow.payment.outcome, X402_CLIENT_OUTCOME_UNKNOWN);
	end_play(&play);
}

static void test_flow_unsendable_requests_send_nothing(void **state)
{
	(void)state;
	static const struct x402_client_header bad[] = {{"A b", "c"}, {"", "c"},
		{"A", "b\nC: d"}, {"Content-Length", "1"},
		{"Transfer-Encoding", "chunked"}, {NULL, "x"}};
	static const char *const urls[] = {"", "ftp://a/", "file:///a",
		"http://", "gopher://a/", "javascript:1", "/relative"};
	static const char *const methods[] = {"", "get", "GET ", "G\r\nT"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct play play = play_price(NULL);
		play.request.headers = &bad[i];
		play.request.headers_len = 1;
		run_play(&play);
		assert_int_equal(play.sends, 0);
		end_play(&play);
	}
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct play play = play_price(NULL);
		play.request.url = urls[i];
		run_play(&play);
		assert_int_equal(play.sends, 0);
		assert_true(play.flow.err != X402_OK);
		end_play(&play);
	}
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct play play = play_price(NULL);
		play.request.method = methods[i];
		run_play(&play);
		assert_int_equal(play.sends, 0);
		end_play(&play);
	}
}

static void test_flow_contradicting_options_are_refused(void **state)
{
	(void)state;
	struct x402_secret key = {{1}};
	struct x402_client_signer signer = {.sign = count_signature};
	struct x402_client_signer mute = {.sign = NULL};
	struct x402_client_options out;
	const struct x402_client_options cases[] = {
		{.key = &key, .signer = &signer}, {.signer = &mute},
		{.timeout_ms = -1}, {.connect_timeout_ms = -1},
		/* A transfer that nobody remembers might be sent twice. */
		{.send_transfers = true, .evm_rpc_url = "http://127.0.0.1:1"}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(x402__options_resolve(&cases[i], &out),
			X402_ERR_INVALID_ARGUMENT);
}

/* What the facilitator would say of it before it asks the chain. */
static void assert_verifies(const char *header, const char *offer)
{
	struct x402_payment_payload payload = {0};
	struct x402_facilitator_request request = {.x402_version = X402_V2};
	struct x402_verify_options options = {.now_unix_s = NOW};
	struct x402_verify_plan plan;
	struct x402_json *json = NULL;

	assert_int_equal(x402_payment_payload_decode(
				 x402_span_str(header), NULL, &payload),
		X402_OK);
	assert_int_equal(
		x402_json_parse(x402_span_str(offer), NULL, NULL, &json),
		X402_OK);
	assert_int_equal(x402_payment_requirements_read(
				 json, X402_V2, NULL, &request.requirements),
		X402_OK);
	request.payload = payload;
	assert_int_equal(x402_verify_plan(&request, &options, &plan), X402_OK);
	if (plan.decided)
		fail_msg("%s: %s", x402_reason_wire(plan.verdict.reason),
			plan.verdict.message);
	assert_true(plan.reads_len > 0);
	x402_verify_plan_clear(&plan);
	x402_payment_requirements_clear(&request.requirements);
	x402_json_unref(json);
	x402_payment_payload_clear(&payload);
}

static void test_flow_signed_payment_passes_every_offline_check(void **state)
{
	(void)state;
	static const struct answer answers[] = {PAYS, DELIVERS};
	struct x402_secret key = {{[31] = 7}};
	struct x402__keyring *keyring = NULL;
	struct play play = {.answers = answers, .answers_len = 2};

	assert_true(x402__random_init());
	assert_int_equal(
		x402__keyring_new(&key, &keyring, &play.signer), X402_OK);
	play.real_signer = true;
	run_play(&play);
	assert_int_equal(play.flow.payment.outcome, X402_CLIENT_OUTCOME_PAID);
	assert_verifies(play.first_header, OFFER("1000", USDC, DOMAIN_JSON));
	end_play(&play);
	x402__keyring_free(keyring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow_server_behaviour_gives_the_outcome),
		cmocka_unit_test(
			test_flow_own_header_is_presented_and_never_paid_again),
		cmocka_unit_test(test_flow_two_own_headers_are_refused),
		cmocka_unit_test(
			test_flow_own_header_over_plain_http_stays_here),
		cmocka_unit_test(
			test_flow_plain_http_is_paid_when_allowed_only),
		cmocka_unit_test(test_flow_https_to_http_redirect_is_refused),
		cmocka_unit_test(
			test_flow_cross_origin_redirect_strips_credentials),
		cmocka_unit_test(test_flow_redirected_post_becomes_a_get),
		cmocka_unit_test(test_flow_dry_run_stops_before_signing),
		cmocka_unit_test(test_flow_without_signer_says_no_key),
		cmocka_unit_test(test_flow_atomic_cap_binds),
		cmocka_unit_test(test_flow_policy_and_filters_bind),
		cmocka_unit_test(test_flow_unwritten_authorization_is_not_sent),
		cmocka_unit_test(test_flow_hook_resends_once_then_pays),
		cmocka_unit_test(test_flow_hook_resend_may_make_it_free),
		cmocka_unit_test(
			test_flow_sign_in_does_not_follow_to_another_origin),
		cmocka_unit_test(test_flow_declined_payment_signs_nothing),
		cmocka_unit_test(
			test_flow_signature_lives_no_longer_than_allowed),
		cmocka_unit_test(
			test_flow_retry_after_is_believed_within_bounds),
		cmocka_unit_test(test_flow_give_up_keeps_what_is_open),
		cmocka_unit_test(test_flow_resumed_and_unreachable_is_unknown),
		cmocka_unit_test(test_flow_resumed_and_refused_is_unknown),
		cmocka_unit_test(test_flow_unsendable_requests_send_nothing),
		cmocka_unit_test(
			test_flow_signed_payment_passes_every_offline_check),
		cmocka_unit_test(test_flow_contradicting_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
