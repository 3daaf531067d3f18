/*
 * The endpoints: what they ask of the rooms behind them, and what they answer
 * when those answer, fail, or stop. The rooms are played by api_house.h.
 */
#include "api_house.h"

#include "x402/eip712.h"

/*
 * The example of the specification (protocol.md 2.7) with its real signature
 * does not fit a test clock, so this one is signed here.
 */
static char *payment(const char *extensions)
{
	static char text[8192];
	static const char key[] = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68"
				  "ca870fc3fb9a804cdab365a";
	struct x402_secp256k1 *secp = NULL;
	struct x402_secret secret;
	struct x402_address payer;
	struct x402_address asset;
	struct x402_eip3009_authorization auth = {0};
	uint8_t seed[32] = {1};
	uint8_t separator[32];
	uint8_t digest[32];
	uint8_t sig65[65];
	char from[X402_ADDRESS_TEXT_SIZE];
	struct x402_buf hex = {0};
	uint64_t before = fac_unix_ms() / 1000 + 600;

	assert_int_equal(x402_secp256k1_new(seed, &secp), X402_OK);
	assert_int_equal(x402_secret_parse(key, &secret), X402_OK);
	assert_int_equal(x402_secret_address(secp, &secret, &payer), X402_OK);
	assert_int_equal(
		x402_address_parse(
			"0x036CbD53842c5426634e7929541eC2318f3dCF7e", &asset),
		X402_OK);
	auth.from = payer;
	assert_int_equal(
		x402_address_parse(
			"0x90F79bf6EB2c4f870365E785982E1f101E93b906", &auth.to),
		X402_OK);
	auth.value = x402_u256_from_u64(10000);
	auth.valid_before = x402_u256_from_u64(before);
	memset(auth.nonce32, 0x11, 32);
	struct x402_eip712_domain domain = {.name = "USDC",
		.version = "2",
		.chain_id = 84532,
		.verifying_contract = &asset};
	x402_eip712_domain_separator(&domain, separator);
	x402_eip3009_digest(&auth, separator, digest);
	assert_int_equal(
		x402_sign_digest(secp, digest, &secret, sig65), X402_OK);
	x402_hex_encode(x402_span(sig65, 65), &hex);
	x402_address_format(&payer, from);

	snprintf(text, sizeof(text),
		"{\"x402Version\":2,\"paymentPayload\":{\"x402Version\":2,"
		"\"resource\":{\"url\":\"https://shop.example/a\"},"
		"\"accepted\":" REQUIREMENTS
		",\"payload\":{\"signature\":\"0x%.*s\",\"authorization\":{"
		"\"from\":\"%s\",\"to\":"
		"\"0x90F79bf6EB2c4f870365E785982E1f101E93b906\","
		"\"value\":\"10000\",\"validAfter\":\"0\",\"validBefore\":"
		"\"%llu\",\"nonce\":\"0x11111111111111111111111111111111"
		"11111111111111111111111111111111\"}}%s%s},"
		"\"paymentRequirements\":" REQUIREMENTS "}",
		(int)hex.len, (char *)hex.ptr, from, (unsigned long long)before,
		*extensions ? "," : "", extensions);
	x402_buf_clear(&hex);
	x402_secp256k1_free(secp);
	return text;
}

/* Answer the reads of a good payment by an account without code. */
static void answer_reads_well(void)
{
	struct x402_chain_answer answers[X402_PLAN_READS_MAX] = {0};
	uint8_t code[1] = {0x60};

	for (size_t i = 0; i < world.read_len; i++)
		answers[i].status = X402_ANSWER_OK;
	/* Payer, asset, simulation: exact_evm's first round. */
	assert_int_equal(world.read_len, 3);
	answers[1].data = x402_span(code, 1);
	world.read_done(world.read_user, X402_OK, answers, world.read_len);
	end_turn();
}

static void answer_reads_by_fault(enum x402_err err)
{
	struct x402_chain_answer answers[X402_PLAN_READS_MAX] = {0};

	for (size_t i = 0; i < world.read_len; i++)
		answers[i].status = X402_ANSWER_FAULT;
	world.read_done(world.read_user, err, answers, world.read_len);
	end_turn();
}

/* ---- /verify ---- */

static void verify_good_answers_after_one_batch(void **state)
{
	(void)state;
	ask("POST", "/verify", payment(""));
	assert_true(world.open);
	assert_int_equal(world.reads, 1);
	/* F-042: simulated as the signer that will send it. */
	assert_int_equal(world.sender.bytes[0], 0x51);
	answer_reads_well();
	assert_int_equal(world.status, 200);
	assert_string_equal(world.body,
		"{\"isValid\":true,\"payer\":"
		"\"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC\"}");
	assert_header("X-Request-Id: ");
	assert_header("Access-Control-Allow-Origin: *");
}

static void verify_fault_is_no_verdict_about_the_payment(void **state)
{
	(void)state;
	ask("POST", "/verify", payment(""));
	answer_reads_by_fault(X402_ERR_CHAIN);
	assert_int_equal(world.status, 200);
	assert_body_has("\"isValid\":false,\"invalidReason\":"
			"\"unexpected_verify_error\"");
	assert_body_has("\"payer\":\"0x3C44");
	assert_body_has("\"retry\":\"retry_same\"");
}

static void verify_on_a_wrong_chain_asks_nothing(void **state)
{
	(void)state;
	atomic_store(&status.health, FAC_CHAIN_WRONG);
	ask("POST", "/verify", payment(""));
	assert_int_equal(world.reads, 0);
	assert_body_has("unexpected_verify_error");
}

static void verify_while_stopping_asks_nothing(void **state)
{
	(void)state;
	app.stopping = true;
	ask("POST", "/verify", payment(""));
	assert_int_equal(world.reads, 0);
	assert_body_has("unexpected_verify_error");
}

static void verify_missing_member_has_the_exact_body(void **state)
{
	(void)state;
	ask("POST", "/verify", "{\"paymentPayload\":{}}");
	assert_int_equal(world.status, 400);
	assert_string_equal(world.body,
		"{\"error\":\"Missing paymentPayload or "
		"paymentRequirements\"}");
}

static const struct {
	const char *body;
	int status;
} bad_bodies[] = {
	{"", 400},
	{"x", 400},
	{"[]", 400},
	{"\"a\"", 400},
	{"{\"a\":1,\"a\":2}", 400},
	{"{\"a\":\"\\u0000\"}", 400},
	{"{} {}", 400},
	{"{}", 400},
};

static void body_that_is_no_question_is_400(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_bodies); i++) {
		ask("POST", "/verify", bad_bodies[i].body);
		assert_int_equal(world.status, bad_bodies[i].status);
		assert_body_has("\"error\":\"");
		ask("POST", "/settle", bad_bodies[i].body);
		assert_int_equal(world.status, bad_bodies[i].status);
		ask("POST", "/discovery/resources", bad_bodies[i].body);
		assert_int_equal(world.status, bad_bodies[i].status);
	}
	assert_int_equal(world.settles + world.recalls + world.puts, 0);
}

/* ---- /settle ---- */

static struct fac_settle_result settled_result(void)
{
	struct fac_settle_result result = {
		.outcome = FAC_SETTLE_SETTLED,
		.answer = "{\"success\":true,\"transaction\":\"0xaa\"}",
	};

	return result;
}

static void settle_good_sends_the_stored_bytes(void **state)
{
	(void)state;
	struct fac_settle_result result = settled_result();
	ask("POST", "/settle", payment(""));
	answer_reads_well();
	assert_int_equal(world.settles, 1);
	assert_int_equal(world.recalls, 0);
	assert_string_equal(world.key, "");
	world.settle_done(world.settle_user, &result);
	assert_int_equal(world.status, 200);
	assert_string_equal(world.body, result.answer);
	assert_int_equal(world.puts, 0);
}

static void settle_refused_asks_the_memory_first(void **state)
{
	(void)state;
	struct fac_settle_result unknown = {.outcome = FAC_SETTLE_UNKNOWN};
	char *body = payment("");
	/* One unit less than was signed: refused offline. */
	memcpy(strstr(body, "\"value\":\"10000\""), "\"value\":\"10001\"", 15);
	ask("POST", "/settle", body);
	/* The signature no longer fits, so the payer's code is asked. */
	struct x402_chain_answer none[3] = {{.status = X402_ANSWER_OK}};
	world.read_done(world.read_user, X402_OK, none, 3);
	end_turn();
	assert_int_equal(world.settles, 0);
	assert_int_equal(world.recalls, 1);
	world.settle_done(world.settle_user, &unknown);
	assert_int_equal(world.status, 200);
	assert_body_has("\"success\":false,\"errorReason\":"
			"\"invalid_exact_evm_signature\"");
	assert_body_has("\"transaction\":\"\",\"network\":\"eip155:84532\"");
}

static void settle_fault_that_is_remembered_tells_the_outcome(void **state)
{
	(void)state;
	struct fac_settle_result result = settled_result();
	ask("POST", "/settle", payment(""));
	answer_reads_by_fault(X402_ERR_CHAIN);
	assert_int_equal(world.recalls, 1);
	world.settle_done(world.settle_user, &result);
	assert_string_equal(world.body, result.answer);
}

static void settle_fault_says_nothing_was_sent(void **state)
{
	(void)state;
	struct fac_settle_result unknown = {.outcome = FAC_SETTLE_UNKNOWN};
	ask("POST", "/settle", payment(""));
	answer_reads_by_fault(X402_ERR_CHAIN);
	world.settle_done(world.settle_user, &unknown);
	assert_body_has("\"errorReason\":\"unexpected_settle_error\"");
	assert_body_has("nothing was sent");
}

static void settle_pending_has_hash_and_retry_after(void **state)
{
	(void)state;
	struct fac_settle_result result = {
		.outcome = FAC_SETTLE_PENDING,
		.reason = X402_REASON_SETTLEMENT_PENDING,
		.transaction = "0xbb",
		.payment_id = "0123",
	};
	ask("POST", "/settle", payment(""));
	answer_reads_well();
	world.settle_done(world.settle_user, &result);
	assert_int_equal(world.status, 200);
	assert_body_has("\"errorReason\":\"settlement_pending\"");
	assert_body_has("\"transaction\":\"0xbb\"");
	assert_body_has("\"retry\":\"wait\"");
	assert_body_has("\"paymentId\":\"0123\"");
	assert_header("Retry-After: ");
}

static void settle_conflict_is_409(void **state)
{
	(void)state;
	struct fac_settle_result result = {
		.outcome = FAC_SETTLE_CONFLICT,
		.reason = X402_REASON_DUPLICATE_SETTLEMENT,
	};
	header("Idempotency-Key", "k1");
	ask("POST", "/settle", payment(""));
	answer_reads_well();
	assert_string_equal(world.key, "k1");
	assert_string_equal(world.scope,
		"header:0x90F79bf6EB2c4f870365E785982E1f101E93b906");
	world.settle_done(world.settle_user, &result);
	assert_int_equal(world.status, 409);
}

static void settle_header_wins_over_the_identifier(void **state)
{
	(void)state;
	struct fac_settle_result result = settled_result();
	static const char identifier[] =
		"\"extensions\":{\"payment-identifier\":{\"info\":{"
		"\"id\":\"pay_0123456789abcdef\"}}}";
	ask("POST", "/settle", payment(identifier));
	answer_reads_well();
	assert_string_equal(world.key, "pay_0123456789abcdef");
	/* The payer's own choice repeats no success (R2). */
	assert_false(world.may_repeat);
	world.settle_done(world.settle_user, &result);
	header("Idempotency-Key", "k1");
	ask("POST", "/settle", payment(identifier));
	answer_reads_well();
	assert_string_equal(world.key, "k1");
	assert_true(world.may_repeat);
	world.settle_done(world.settle_user, &result);
}

static void settle_bad_identifier_is_400_and_sends_nothing(void **state)
{
	(void)state;
	static const char *const infos[] = {"\"id\":\"short\"", "\"id\":7",
		"\"required\":true", "\"id\":\"0123456789 0123456789\""};
	for (size_t i = 0; i < ARRAY_LEN(infos); i++) {
		char extensions[256];
		snprintf(extensions, sizeof(extensions),
			"\"extensions\":{\"payment-identifier\":{\"info\":{"
			"%s}}}",
			infos[i]);
		ask("POST", "/settle", payment(extensions));
		answer_reads_well();
		assert_int_equal(world.status, 400);
	}
	assert_int_equal(world.settles, 0);
}

static void settle_fingerprint_ignores_the_order_of_members(void **state)
{
	(void)state;
	uint8_t first[32];
	struct fac_settle_result result = settled_result();
	static char turned[9000];
	char *body = payment("");
	ask("POST", "/settle", body);
	answer_reads_well();
	memcpy(first, world.fingerprint32, 32);
	world.settle_done(world.settle_user, &result);
	/* {"x402Version":2,REST} to {REST,"x402Version":2} */
	snprintf(turned, sizeof(turned), "{ %.*s ,\"x402Version\":2}",
		(int)strlen(body) - 18, body + 17);
	ask("POST", "/settle", turned);
	answer_reads_well();
	assert_memory_equal(first, world.fingerprint32, 32);
	world.settle_done(world.settle_user, &result);
}

static void settle_gone_caller_leaves_the_engine(void **state)
{
	(void)state;
	struct fac_settle_result result = {
		.outcome = FAC_SETTLE_PENDING,
		.reason = X402_REASON_SETTLEMENT_PENDING,
		.transaction = "0xbb",
	};
	ask("POST", "/settle", payment(""));
	answer_reads_well();
	world.gone(world.gone_user);
	assert_int_equal(world.leaves, 1);
	world.settle_done(world.settle_user, &result);
}

static void settle_gone_while_verifying_leaves_at_once(void **state)
{
	(void)state;
	struct fac_settle_result result = {
		.outcome = FAC_SETTLE_PENDING,
		.reason = X402_REASON_SETTLEMENT_PENDING,
		.transaction = "0xbb",
	};
	ask("POST", "/settle", payment(""));
	world.gone(world.gone_user);
	assert_int_equal(world.leaves, 0);
	answer_reads_well();
	assert_int_equal(world.leaves, 1);
	world.settle_done(world.settle_user, &result);
}

static void settle_cancelled_while_stopping_sends_nothing(void **state)
{
	(void)state;
	ask("POST", "/settle", payment(""));
	app.stopping = true;
	answer_reads_by_fault(X402_ERR_CANCELLED);
	assert_int_equal(world.status, 503);
	assert_int_equal(world.settles + world.recalls, 0);
}

static void settle_timeout_of_the_caller_shortens_ours(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		uint64_t ms;
	} cases[] = {{"5", 4500}, {"1", 500}, {"0", 500}, {"25", 25000},
		{"900", 25000}, {"x", 25000}, {"-1", 25000}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fac_settle_result result = settled_result();
		world.http.headers_len = 0;
		header("X-Request-Timeout", cases[i].value);
		uint64_t before = fac_unix_ms();
		ask("POST", "/settle", payment(""));
		answer_reads_well();
		uint64_t after = fac_unix_ms();
		assert_in_range(world.deadline_unix_ms, before + cases[i].ms,
			after + cases[i].ms);
		world.settle_done(world.settle_user, &result);
	}
}

static void settle_declared_resource_is_listed_then_answered(void **state)
{
	(void)state;
	struct fac_settle_result result = settled_result();
	struct fac_store_reply good = {.err = X402_OK, .claimed = true};
	ask("POST", "/settle", payment(BAZAAR));
	answer_reads_well();
	world.settle_done(world.settle_user, &result);
	assert_true(world.open);
	assert_int_equal(world.puts, 1);
	assert_true(world.put_settled);
	world.store_to.done(world.store_to.user, &good);
	assert_string_equal(world.body, result.answer);
	/* {"bazaar":{"status":"success"}} */
	assert_header("EXTENSION-RESPONSES: "
		      "eyJiYXphYXIiOnsic3RhdHVzIjoic3VjY2VzcyJ9fQ==");
}

static void settle_catalogue_fault_does_not_hide_the_success(void **state)
{
	(void)state;
	struct fac_settle_result result = settled_result();
	struct fac_store_reply bad = {.err = X402_ERR_STORE};
	ask("POST", "/settle", payment(BAZAAR));
	answer_reads_well();
	world.settle_done(world.settle_user, &result);
	world.store_to.done(world.store_to.user, &bad);
	assert_string_equal(world.body, result.answer);
	assert_header("EXTENSION-RESPONSES: ");
}

/* ---- The rest. ---- */

static void supported_leaves_out_a_chain_that_is_down(void **state)
{
	(void)state;
	ask("GET", "/supported", NULL);
	assert_body_has("{\"x402Version\":2,\"scheme\":\"exact\",\"network\":"
			"\"eip155:84532\",\"confirmations\":\"3\"}");
	assert_body_has("{\"x402Version\":1,\"scheme\":\"exact\",\"network\":"
			"\"base-sepolia\",\"confirmations\":\"3\"}");
	atomic_store(&status.health, FAC_CHAIN_DOWN);
	ask("GET", "/supported", NULL);
	assert_body_has("\"kinds\":[]");
}

static void supported_says_what_a_success_means(void **state)
{
	static const struct {
		uint32_t confirmations;
		const char *text;
	} cases[] = {{FAC_CONFIRM_SUBMITTED, "\"submitted\""}, {1, "\"1\""},
		{FAC_CONFIRM_SAFE, "\"safe\""},
		{FAC_CONFIRM_FINALIZED, "\"finalized\""}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char wanted[64];

		app.chains[0].confirmations = cases[i].confirmations;
		snprintf(wanted, sizeof(wanted), "\"confirmations\":%s",
			cases[i].text);
		ask("GET", "/supported", NULL);
		assert_body_has(wanted);
	}
}

static void health_fails_with_the_store_or_every_chain(void **state)
{
	(void)state;
	struct fac_store_reply good = {.err = X402_OK};
	struct fac_store_reply bad = {.err = X402_ERR_STORE};
	ask("GET", "/health", NULL);
	world.store_to.done(world.store_to.user, &good);
	assert_int_equal(world.status, 200);
	assert_body_has("\"status\":\"ok\"");
	assert_body_has("\"inFlight\":3");
	atomic_store(&status.health, FAC_CHAIN_DOWN);
	ask("GET", "/health", NULL); /* within a second: the store is known */
	assert_int_equal(world.status, 503);
	atomic_store(&status.health, FAC_CHAIN_USABLE);
	world.now_ms += 2000;
	ask("GET", "/health", NULL);
	world.store_to.done(world.store_to.user, &bad);
	assert_int_equal(world.status, 503);
	assert_body_has("\"store\":\"failed\"");
}

/* However many ask: each question costs an fsync, and the engine its time. */
static void health_is_asked_once_for_all_who_wait(void **state)
{
	(void)state;
	struct fac_store_reply good = {.err = X402_OK};
	for (int i = 0; i < 100; i++)
		ask("GET", "/health", NULL);
	assert_int_equal(world.healths, 1);
	assert_int_equal(world.open, 100);
	world.store_to.done(world.store_to.user, &good);
	assert_int_equal(world.open, 0);
	assert_int_equal(world.status, 200);
	assert_body_has("\"recovered\":true");
	ask("GET", "/health", NULL);
	assert_int_equal(world.status, 200);
	assert_int_equal(world.healths, 1);
	world.now_ms += 1000;
	ask("GET", "/health", NULL);
	assert_int_equal(world.healths, 2);
	/* Who still waits when the rooms are closed hears of it. */
	app.stopping = true;
	world.store_to.done(world.store_to.user, &good);
	assert_int_equal(world.status, 503);
}

static void payment_lookup_reads_ids_and_hashes_only(void **state)
{
	(void)state;
	struct fac_store_reply none = {.err = X402_ERR_NOT_FOUND};
	struct fac_store_reply bad = {.err = X402_ERR_STORE};
	static const char *const wrong[] = {"/payments/", "/payments/1",
		"/payments/zz0000000000000000000000000000zz", "/payments/0x12",
		"/payments/..%2fhealth"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		ask("GET", wrong[i], NULL);
		assert_int_equal(world.status, 400);
	}
	ask("GET", "/payments/ABCDEF00000000000000000000000001", NULL);
	assert_string_equal(world.query_id, "abcdef00000000000000000000000001");
	world.store_to.done(world.store_to.user, &none);
	assert_int_equal(world.status, 404);
	ask("GET", "/payments/abcdef00000000000000000000000001", NULL);
	world.store_to.done(world.store_to.user, &bad);
	assert_int_equal(world.status, 503);
}

static void route_refuses_other_paths_and_methods(void **state)
{
	(void)state;
	static const struct {
		const char *method;
		const char *path;
		int status;
	} cases[] = {{"GET", "/", 404}, {"GET", "/verify", 405},
		{"POST", "/verify/", 404}, {"POST", "//verify", 404},
		{"PUT", "/settle", 405}, {"POST", "/supported", 405},
		{"post", "/settle", 405}, {"TRACE", "/health", 405},
		{"OPTIONS", "/settle", 204}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ask(cases[i].method, cases[i].path, NULL);
		assert_int_equal(world.status, cases[i].status);
		if (cases[i].status == 405)
			assert_header("Allow: ");
	}
	assert_header("Access-Control-Allow-Methods: GET, POST, OPTIONS");
}

static void cors_can_be_off_or_for_one_origin(void **state)
{
	(void)state;
	app.settings.cors_origin[0] = '\0';
	ask("GET", "/supported", NULL);
	assert_null(strstr(world.headers_text, "Access-Control"));
	snprintf(app.settings.cors_origin, sizeof(app.settings.cors_origin),
		"%s", "https://a.example");
	ask("GET", "/supported", NULL);
	assert_header("Access-Control-Allow-Origin: https://a.example");
	assert_header("Vary: Origin");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		API_TEST(verify_good_answers_after_one_batch),
		API_TEST(verify_fault_is_no_verdict_about_the_payment),
		API_TEST(verify_on_a_wrong_chain_asks_nothing),
		API_TEST(verify_while_stopping_asks_nothing),
		API_TEST(verify_missing_member_has_the_exact_body),
		API_TEST(body_that_is_no_question_is_400),
		API_TEST(settle_good_sends_the_stored_bytes),
		API_TEST(settle_refused_asks_the_memory_first),
		API_TEST(settle_fault_that_is_remembered_tells_the_outcome),
		API_TEST(settle_fault_says_nothing_was_sent),
		API_TEST(settle_pending_has_hash_and_retry_after),
		API_TEST(settle_conflict_is_409),
		API_TEST(settle_header_wins_over_the_identifier),
		API_TEST(settle_bad_identifier_is_400_and_sends_nothing),
		API_TEST(settle_fingerprint_ignores_the_order_of_members),
		API_TEST(settle_gone_caller_leaves_the_engine),
		API_TEST(settle_gone_while_verifying_leaves_at_once),
		API_TEST(settle_cancelled_while_stopping_sends_nothing),
		API_TEST(settle_timeout_of_the_caller_shortens_ours),
		API_TEST(settle_declared_resource_is_listed_then_answered),
		API_TEST(settle_catalogue_fault_does_not_hide_the_success),
		API_TEST(supported_leaves_out_a_chain_that_is_down),
		API_TEST(supported_says_what_a_success_means),
		API_TEST(health_fails_with_the_store_or_every_chain),
		API_TEST(health_is_asked_once_for_all_who_wait),
		API_TEST(payment_lookup_reads_ids_and_hashes_only),
		API_TEST(route_refuses_other_paths_and_methods),
		API_TEST(cors_can_be_off_or_for_one_origin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
