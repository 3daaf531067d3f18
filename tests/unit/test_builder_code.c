/*
 * builder-code (E-BC): the suffix to the byte of the vectors in protocol.md
 * 2.7, what is read of strangers' codes, how a payer's are added to a
 * seller's, and where they stand in a settlement.
 */
#include "permit2_house.h"
#include "x402/builder_code.h"
#include "x402/negotiate.h"

#define MARKER "80218021802180218021802180218021"

static void read_codes(
	const char *text, bool found, struct x402_builder_codes *ret)
{
	struct x402_json *json = NULL;

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	assert_int_equal(x402_builder_codes_read(json, ret), found);
	x402_json_unref(json);
}

static void assert_suffix(
	const struct x402_builder_codes *codes, const char *hex)
{
	struct x402_buf buf = {0};

	x402_builder_codes_suffix(codes, &buf);
	assert_hex(buf.ptr, buf.len, hex);
	x402_buf_clear(&buf);
}

static void test_suffix_equals_the_vectors(void **state)
{
	struct x402_builder_codes codes;

	(void)state;
	read_codes("{\"builder-code\":{\"info\":{\"a\":\"bc_myapp\"}}}", true,
		&codes);
	assert_suffix(&codes,
		"0xa161616862635f6d79617070"
		"000c02" MARKER);
	memcpy(codes.wallet, "bc_myfacilitator", 17);
	assert_suffix(&codes,
		"0xa261616862635f6d7961707061777062635f6d79666163696c697461"
		"746f72001f02" MARKER);
}

static void test_services_stand_between(void **state)
{
	struct x402_builder_codes codes;

	(void)state;
	read_codes("{\"builder-code\":{\"info\":{\"a\":\"x\",\"s\":"
		   "[\"y\",\"z\"]}}}",
		true, &codes);
	memcpy(codes.wallet, "w", 2);
	assert_suffix(
		&codes, "0xa3616161786173826179617a61776177001002" MARKER);
	/* 24 letters and more have their length in a byte of its own. */
	read_codes("{\"builder-code\":{\"a\":\"abcdefghijklmnopqrstuvwx\"}}",
		true, &codes);
	assert_suffix(&codes,
		"0xa161617818616263646566676869"
		"6a6b6c6d6e6f7071727374757677"
		"78001d02" MARKER);
}

static void test_both_forms_are_read(void **state)
{
	static const char *const texts[] = {
		"{\"builder-code\":{\"a\":\"app\",\"s\":\"one\"}}",
		"{\"builder-code\":{\"a\":\"app\",\"s\":[\"one\"]}}",
		"{\"builder-code\":{\"info\":{\"a\":\"app\",\"s\":\"one\"}}}",
		("{\"builder-code\":{\"info\":{\"a\":\"app\",\"s\":[\"one\","
		 "\"one\",\"No!\",\"\",7,null,[\"two\"]]}}}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct x402_builder_codes codes;

		read_codes(texts[i], true, &codes);
		assert_string_equal(codes.app, "app");
		assert_int_equal(codes.services_len, 1);
		assert_string_equal(codes.services[0], "one");
		assert_string_equal(codes.wallet, "");
	}
}

static void test_nothing_is_made_of_nonsense(void **state)
{
	static const char *const texts[] = {"{}", "{\"builder-code\":{}}",
		"{\"builder-code\":null}", "{\"builder-code\":\"app\"}",
		"{\"builder-code\":[\"app\"]}",
		"{\"builder-code\":{\"a\":\"App\"}}",
		"{\"builder-code\":{\"a\":\"\"}}",
		"{\"builder-code\":{\"a\":7,\"s\":{\"x\":\"y\"}}}",
		("{\"builder-code\":{\"a\":"
		 "\"abcdefghijklmnopqrstuvwxyz0123456\"}}"),
		"{\"builder-code\":{\"info\":{\"a\":\"a-b\",\"s\":[]}}}"};
	struct x402_builder_codes none = {0};
	struct x402_buf buf = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct x402_builder_codes codes;

		read_codes(texts[i], false, &codes);
	}
	x402_builder_codes_suffix(&none, &buf);
	assert_int_equal(buf.len, 0);
}

static void test_more_services_than_ten_are_dropped(void **state)
{
	struct x402_builder_codes codes;

	(void)state;
	read_codes("{\"builder-code\":{\"s\":[\"a\",\"b\",\"c\",\"d\",\"e\","
		   "\"f\",\"g\",\"h\",\"i\",\"j\",\"k\"]}}",
		true, &codes);
	assert_int_equal(codes.services_len, X402_BUILDER_SERVICES_MAX);
	assert_string_equal(codes.services[9], "j");
}

/* ---- C-042: the client's first, the server's all kept. ---- */

#define REQUIRED(extensions)                                               \
	"{\"x402Version\":2,\"resource\":{\"url\":\"http://a/\"},"         \
	"\"accepts\":[{\"scheme\":\"exact\",\"network\":\"eip155:84532\"," \
	"\"amount\":\"1\",\"asset\":\"" TOKEN "\",\"payTo\":\"" PAYEE      \
	"\",\"maxTimeoutSeconds\":60}],\"extensions\":" extensions "}"

static void assert_merged(const char *server, const char *const *client,
	size_t len, const char *s)
{
	struct x402_payment_required required;
	struct x402_payment_payload payload;
	struct x402_json *json = NULL;
	struct x402_json *ours = NULL;
	struct x402_json *scheme = x402_json_new_object();
	char *text;

	assert_int_equal(
		x402_json_parse(x402_span_str(server), NULL, NULL, &json),
		X402_OK);
	assert_int_equal(
		x402_payment_required_read(json, NULL, &required), X402_OK);
	assert_int_equal(
		x402_builder_codes_create(client, len, &ours), X402_OK);
	assert_int_equal(x402_payment_payload_build(
				 &required, 0, scheme, ours, &payload),
		X402_OK);
	text = x402_json_dump(
		x402_json_get(payload.extensions, "builder-code"));
	assert_string_equal(text, s);
	free(text);
	x402_payment_payload_clear(&payload);
	x402_payment_required_clear(&required);
	x402_json_unref(scheme);
	x402_json_unref(ours);
	x402_json_unref(json);
}

static void test_client_services_go_before_the_servers(void **state)
{
	static const char *const ours[] = {"one", "two"};

	(void)state;
	assert_merged(REQUIRED("{\"builder-code\":{\"info\":{\"a\":\"app\","
			       "\"s\":[\"two\",\"three\"]}}}"),
		ours, 2,
		"{\"info\":{\"a\":\"app\",\"s\":[\"one\",\"two\","
		"\"three\"]}}");
	assert_merged(REQUIRED("{\"builder-code\":{\"info\":{\"a\":\"app\","
			       "\"s\":\"three\"}}}"),
		ours, 1,
		"{\"info\":{\"a\":\"app\",\"s\":[\"one\",\"three\"]}}");
	assert_merged(REQUIRED("{\"builder-code\":{\"info\":{\"a\":\"app\"}}}"),
		ours, 1, "{\"info\":{\"a\":\"app\",\"s\":[\"one\"]}}");
}

static void test_create_refuses_what_is_no_code(void **state)
{
	static const char *const bad[] = {"One"};
	static const char *const many[] = {"a", "b", "c", "d", "e", "f"};
	struct x402_json *json = NULL;

	(void)state;
	assert_int_equal(x402_builder_codes_create(bad, 1, &json),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(x402_builder_codes_create(many, 6, &json),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(x402_builder_codes_create(many, 0, &json),
		X402_ERR_INVALID_ARGUMENT);
	assert_null(json);
}

/* ---- Settled with them, and simulated with them (R5). ---- */

static void settle(const struct payment *p, struct x402_settle_plan *ret_plan,
	struct x402_buf *ret_simulated)
{
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	struct x402_verify_options options = {
		.now_unix_s = NOW, .builder_code = p->builder_code};

	build(p, &request);
	assert_int_equal(x402_verify_plan(&request, &options, &plan), X402_OK);
	/* The last read of the round is the simulation. */
	x402_buf_add(ret_simulated, plan.reads[plan.reads_len - 1].data);
	x402_verify_plan_clear(&plan);
	struct chain chain = good_chain();
	assert_int_equal(run_plan(p, &request, &chain, &plan).err, X402_OK);
	assert_true(plan.verdict.valid);
	assert_int_equal(x402_settle_plan(&plan, ret_plan), X402_OK);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

static void test_codes_stand_behind_the_calldata(void **state)
{
	struct payment p = good(X402_PERMIT2_EXACT);
	struct x402_settle_plan plain;
	struct x402_settle_plan coded;
	struct x402_buf plain_call = {0};
	struct x402_buf call = {0};
	struct x402_buf suffix = {0};
	size_t len;

	(void)state;
	p.builder_code = "bc_myfacilitator";
	settle(&p, &plain, &plain_call);
	assert_true(plain.may_share);
	p.extensions = "{\"builder-code\":{\"info\":{\"a\":\"bc_myapp\"}}}";
	settle(&p, &coded, &call);
	/* It is simulated as it is sent. */
	assert_int_equal(call.len, coded.calldata.len);
	assert_memory_equal(call.ptr, coded.calldata.ptr, call.len);
	put_hex(&suffix,
		"0xa261616862635f6d7961707061777062635f6d79666163696c697461"
		"746f72001f02" MARKER);
	len = plain.calldata.len;
	assert_int_equal(coded.calldata.len, len + suffix.len);
	assert_memory_equal(coded.calldata.ptr, plain.calldata.ptr, len);
	assert_memory_equal(coded.calldata.ptr + len, suffix.ptr, suffix.len);
	/* Behind another's call nobody would find them. */
	assert_false(coded.may_share);
	assert_true(coded.gas_limit > plain.gas_limit);
	assert_memory_equal(coded.key.bytes, plain.key.bytes, 32);
	x402_settle_plan_clear(&plain);
	x402_settle_plan_clear(&coded);
	x402_buf_clear(&plain_call);
	x402_buf_clear(&call);
	x402_buf_clear(&suffix);
}

static void test_codes_are_not_written_unasked(void **state)
{
	struct payment p = good(X402_PERMIT2_UPTO);
	struct x402_settle_plan plan;
	struct chain chain = good_chain();
	struct x402_buf call = {0};
	size_t len;

	(void)state;
	settle(&p, &plan, &call);
	len = plan.calldata.len;
	x402_settle_plan_clear(&plan);
	p.extensions = "{\"builder-code\":{\"info\":{\"a\":\"bc_myapp\"}}}";
	assert_reason(&p, &chain, "", 1);
	settle(&p, &plan, &call);
	assert_int_equal(plan.calldata.len, len);
	x402_settle_plan_clear(&plan);
	x402_buf_clear(&call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suffix_equals_the_vectors),
		cmocka_unit_test(test_services_stand_between),
		cmocka_unit_test(test_both_forms_are_read),
		cmocka_unit_test(test_nothing_is_made_of_nonsense),
		cmocka_unit_test(test_more_services_than_ten_are_dropped),
		cmocka_unit_test(test_client_services_go_before_the_servers),
		cmocka_unit_test(test_create_refuses_what_is_no_code),
		cmocka_unit_test(test_codes_stand_behind_the_calldata),
		cmocka_unit_test(test_codes_are_not_written_unasked),
	};

	return cmocka_run_group_tests_name(
		"builder_code", tests, setup, teardown);
}
