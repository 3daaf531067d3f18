/*
 * The protocol's objects: what must be there, what may be, what survives, and
 * that a wrong member is named.
 */
#include "payment_house.h"

static enum x402_err read_requirements(
	const char *text, int version, struct x402_errinfo *info)
{
	struct x402_json *json = json_of(text);
	struct x402_payment_requirements req;
	enum x402_err err = x402_payment_requirements_read(
		json, version, info, &req);

	if (!err)
		x402_payment_requirements_clear(&req);
	x402_json_unref(json);
	return err;
}

static void test_requirements_read_v2_fills_fields(void **state)
{
	struct x402_json *json = json_of("{" OFFER_V2 "}");
	struct x402_payment_requirements req;

	(void)state;
	assert_int_equal(
		x402_payment_requirements_read(json, X402_V2, NULL, &req),
		X402_OK);
	x402_json_unref(json); /* req holds its own reference */
	assert_string_equal(req.scheme, "exact");
	assert_string_equal(req.network, "eip155:84532");
	assert_string_equal(req.amount, "1000");
	assert_string_equal(req.pay_to, PAYEE);
	assert_int_equal(req.max_timeout_seconds, 300);
	assert_string_equal(x402_json_get_string(req.extra, "name"), "USDC");
	assert_null(req.resource);
	assert_string_equal(
		x402_payment_requirements_caip2(&req), "eip155:84532");
	x402_payment_requirements_clear(&req);
	assert_null(req.scheme);
	x402_payment_requirements_clear(NULL);
}

static void test_requirements_read_v1_fills_fields(void **state)
{
	struct x402_json *json = json_of("{" OFFER_V1 "}");
	struct x402_payment_requirements req;

	(void)state;
	assert_int_equal(
		x402_payment_requirements_read(json, X402_V1, NULL, &req),
		X402_OK);
	x402_json_unref(json);
	assert_string_equal(req.amount, "1000");
	assert_string_equal(req.resource, "http://a.example/x");
	assert_string_equal(
		x402_payment_requirements_caip2(&req), "eip155:84532");
	req.network = "arbitrum";
	assert_null(x402_payment_requirements_caip2(&req));
	x402_payment_requirements_clear(&req);
}

/* Each change to a good offer, and the member that is blamed for it. */
static void test_requirements_read_names_wrong_member(void **state)
{
#define WITHOUT_AMOUNT                                        \
	"{'scheme':'exact','network':'eip155:1','asset':'a'," \
	"'payTo':'p','maxTimeoutSeconds':1,'amount':"
	static const struct {
		const char *text;
		const char *field;
		enum x402_err err;
	} cases[] = {
		{"[]", "", X402_ERR_SCHEMA},
		{"null", "", X402_ERR_SCHEMA},
		{"{}", "scheme", X402_ERR_SCHEMA},
		{"{'scheme':1}", "scheme", X402_ERR_SCHEMA},
		{"{'scheme':null}", "scheme", X402_ERR_SCHEMA},
		{"{'scheme':'exact'}", "network", X402_ERR_SCHEMA},
		{"{'scheme':'exact','network':'eip155:1'}", "asset",
			X402_ERR_SCHEMA},
		{"{'scheme':'exact','network':'eip155:1','asset':'a'}", "payTo",
			X402_ERR_SCHEMA},
		{"{'scheme':'exact','network':'eip155:1','asset':'a',"
		 "'payTo':'p'}",
			"maxTimeoutSeconds", X402_ERR_SCHEMA},
		{"{'scheme':'exact','network':'eip155:1','asset':'a',"
		 "'payTo':'p','maxTimeoutSeconds':'300'}",
			"maxTimeoutSeconds", X402_ERR_SCHEMA},
		{"{'scheme':'exact','network':'eip155:1','asset':'a',"
		 "'payTo':'p','maxTimeoutSeconds':1.5}",
			"maxTimeoutSeconds", X402_ERR_SCHEMA},
		{"{'scheme':'exact','network':'eip155:1','asset':'a',"
		 "'payTo':'p','maxTimeoutSeconds':0}",
			"maxTimeoutSeconds", X402_ERR_RANGE},
		{"{'scheme':'exact','network':'eip155:1','asset':'a',"
		 "'payTo':'p','maxTimeoutSeconds':-1}",
			"maxTimeoutSeconds", X402_ERR_RANGE},
		{"{'scheme':'exact','network':'base','asset':'a',"
		 "'payTo':'p','maxTimeoutSeconds':1,'amount':'1'}",
			"network", X402_ERR_SCHEMA},
		{"{'scheme':'exact','network':'a:','asset':'a',"
		 "'payTo':'p','maxTimeoutSeconds':1,'amount':'1'}",
			"network", X402_ERR_SCHEMA},
		{WITHOUT_AMOUNT "null}", "amount", X402_ERR_SCHEMA},
		{WITHOUT_AMOUNT "1000}", "amount", X402_ERR_SCHEMA},
		{WITHOUT_AMOUNT "''}", "amount", X402_ERR_RANGE},
		{WITHOUT_AMOUNT "'-1'}", "amount", X402_ERR_RANGE},
		{WITHOUT_AMOUNT "'1.0'}", "amount", X402_ERR_RANGE},
		{WITHOUT_AMOUNT "'1e6'}", "amount", X402_ERR_RANGE},
		{WITHOUT_AMOUNT "'0x10'}", "amount", X402_ERR_RANGE},
		{WITHOUT_AMOUNT "' 1'}", "amount", X402_ERR_RANGE},
		{WITHOUT_AMOUNT
			"'1157920892373161954235709850086879078532699846656405"
			"64039457584007913129639936'}",
			"amount", X402_ERR_RANGE},
		{WITHOUT_AMOUNT "'1','extra':[]}", "extra", X402_ERR_SCHEMA},
		{WITHOUT_AMOUNT "'1','extra':'x'}", "extra", X402_ERR_SCHEMA},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_errinfo info = {"untouched", ""};

		assert_int_equal(
			read_requirements(cases[i].text, X402_V2, &info),
			cases[i].err);
		assert_string_equal(info.field, cases[i].field);
		assert_true(strlen(info.text) > 0);
		/* info may be left out. */
		assert_int_equal(
			read_requirements(cases[i].text, X402_V2, NULL),
			cases[i].err);
	}
}

static void test_requirements_read_takes_null_for_absent(void **state)
{
	(void)state;
	assert_int_equal(read_requirements(WITHOUT_AMOUNT "'0','extra':null}",
				 X402_V2, NULL),
		X402_OK);
	assert_int_equal(
		read_requirements(WITHOUT_AMOUNT
			"'1157920892373161954235709850086879078532699846656405"
			"64039457584007913129639935'}",
			X402_V2, NULL),
		X402_OK);
}

static void test_requirements_read_refuses_other_versions(void **state)
{
	struct x402_errinfo info;

	(void)state;
	assert_int_equal(read_requirements("{" OFFER_V2 "}", 0, &info),
		X402_ERR_VERSION);
	assert_int_equal(
		read_requirements("{" OFFER_V2 "}", 3, NULL), X402_ERR_VERSION);
	/* Each version's amount has its own name. */
	assert_int_equal(read_requirements("{" OFFER_V2 "}", X402_V1, &info),
		X402_ERR_SCHEMA);
	assert_string_equal(info.field, "maxAmountRequired");
	assert_int_equal(read_requirements("{" OFFER_V1 "}", X402_V2, &info),
		X402_ERR_SCHEMA);
}

static void test_requirements_to_json_builds_in_wire_order(void **state)
{
	struct x402_json *extra = json_of("{'name':'USDC','version':'2'}");
	struct x402_payment_requirements req = {
		.x402_version = X402_V2,
		.scheme = "exact",
		.network = "eip155:84532",
		.amount = "1000",
		.asset = USDC,
		.pay_to = PAYEE,
		.max_timeout_seconds = 300,
		.extra = extra,
	};
	struct x402_json *json = NULL;

	(void)state;
	assert_int_equal(
		x402_payment_requirements_to_json(&req, &json), X402_OK);
	assert_json_take(json, "{" OFFER_V2 "}");
	req.x402_version = X402_V1;
	req.network = "base-sepolia";
	req.resource = "http://a.example/x";
	req.mime_type = "";
	assert_int_equal(
		x402_payment_requirements_to_json(&req, &json), X402_OK);
	assert_json_take(json, "{" OFFER_V1 "}");
	x402_json_unref(extra);
}

static enum x402_err read_required(const char *text, struct x402_errinfo *info,
	struct x402_payment_required *ret_required)
{
	struct x402_json *json = json_of(text);
	enum x402_err err = x402_payment_required_read(
		json, info, ret_required);

	x402_json_unref(json);
	return err;
}

static void test_required_keeps_what_it_does_not_know(void **state)
{
	static const char text[] =
		"{'x402Version':2,'new':[1],'error':'e','resource':{'url':'u',"
		"'odd':null},'accepts':[{" OFFER_V2
		",'more':true}],'extensions':{'x':{}}}";
	struct x402_payment_required required;
	struct x402_json *json = NULL;

	(void)state;
	assert_int_equal(read_required(text, NULL, &required), X402_OK);
	assert_string_equal(required.error, "e");
	assert_string_equal(required.resource.url, "u");
	assert_int_equal(required.accepts_len, 1);
	assert_non_null(x402_json_get(required.extensions, "x"));
	assert_int_equal(
		x402_payment_required_to_json(&required, &json), X402_OK);
	assert_json_take(json, text);
	x402_payment_required_clear(&required);
	x402_payment_required_clear(NULL);
}

static void test_required_skips_odd_offers(void **state)
{
	struct x402_payment_required required;
	struct x402_errinfo info = {"untouched", ""};

	(void)state;
	assert_int_equal(read_required("{'x402Version':2,'accepts':[7,{'scheme'"
				       ":'x'},{" OFFER_V2 "},null]}",
				 &info, &required),
		X402_OK);
	assert_int_equal(required.accepts_len, 1);
	assert_string_equal(info.field, "untouched");
	x402_payment_required_clear(&required);
}

static void test_required_may_offer_nothing(void **state)
{
	struct x402_payment_required required;

	(void)state;
	assert_int_equal(read_required("{'x402Version':2,'accepts':[]}", NULL,
				 &required),
		X402_OK);
	assert_int_equal(required.accepts_len, 0);
	x402_payment_required_clear(&required);
}

static void test_required_read_refuses(void **state)
{
	static const struct {
		const char *text;
		const char *field;
		enum x402_err err;
	} cases[] = {
		{"[]", "", X402_ERR_SCHEMA},
		{"{}", "x402Version", X402_ERR_SCHEMA},
		{"{'x402Version':3,'accepts':[]}", "x402Version",
			X402_ERR_VERSION},
		{"{'x402Version':0,'accepts':[]}", "x402Version",
			X402_ERR_VERSION},
		{"{'x402Version':'3','accepts':[]}", "x402Version",
			X402_ERR_SCHEMA},
		{"{'x402Version':true,'accepts':[]}", "x402Version",
			X402_ERR_SCHEMA},
		{"{'x402Version':2.0,'accepts':[]}", "x402Version",
			X402_ERR_SCHEMA},
		{"{'x402Version':2}", "accepts", X402_ERR_SCHEMA},
		{"{'x402Version':2,'accepts':{}}", "accepts", X402_ERR_SCHEMA},
		{"{'x402Version':2,'accepts':[{}]}", "accepts.scheme",
			X402_ERR_SCHEMA},
		{"{'x402Version':2,'accepts':[],'error':1}", "error",
			X402_ERR_SCHEMA},
		{"{'x402Version':2,'accepts':[],'resource':'u'}", "resource",
			X402_ERR_SCHEMA},
		{"{'x402Version':2,'accepts':[],'resource':{'url':1}}",
			"resource.url", X402_ERR_SCHEMA},
		{"{'x402Version':2,'accepts':[],'extensions':[]}", "extensions",
			X402_ERR_SCHEMA},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_payment_required required;
		struct x402_errinfo info = {"untouched", ""};

		assert_int_equal(read_required(cases[i].text, &info, &required),
			cases[i].err);
		assert_string_equal(info.field, cases[i].field);
	}
}

static void test_required_caps_the_offers(void **state)
{
	struct x402_buf buf = {0};
	struct x402_payment_required required;
	struct x402_errinfo info;
	char *text;

	(void)state;
	x402_buf_add_str(&buf, "{'x402Version':2,'accepts':[");
	for (int i = 0; i < X402_ACCEPTS_MAX; i++)
		x402_buf_add_str(&buf, "{" OFFER_V2 "},");
	x402_buf_add_str(&buf, "{" OFFER_V2 "}]}");
	text = x402_buf_take_str(&buf);
	assert_int_equal(
		read_required(text, &info, &required), X402_ERR_TOO_LARGE);
	assert_string_equal(info.field, "accepts");
	free(text);
}

static void test_version_is_also_read_from_string(void **state)
{
	struct x402_payment_required required;

	(void)state;
	assert_int_equal(read_required("{'x402Version':'2','accepts':[]}", NULL,
				 &required),
		X402_OK);
	assert_int_equal(required.x402_version, X402_V2);
	x402_payment_required_clear(&required);
	assert_int_equal(read_required("{'x402Version':'1','accepts':[]}", NULL,
				 &required),
		X402_OK);
	assert_int_equal(required.x402_version, X402_V1);
	x402_payment_required_clear(&required);
}

static enum x402_err read_payload(const char *text, struct x402_errinfo *info,
	struct x402_payment_payload *ret_payload)
{
	struct x402_json *json = json_of(text);
	enum x402_err err = x402_payment_payload_read(json, info, ret_payload);

	x402_json_unref(json);
	return err;
}

static void test_payload_reads_both_versions(void **state)
{
	struct x402_payment_payload payload;

	(void)state;
	assert_int_equal(read_payload("{'x402Version':2,'payload':{},"
				      "'accepted':{" OFFER_V2 "}}",
				 NULL, &payload),
		X402_OK);
	assert_string_equal(payload.scheme, "exact");
	assert_string_equal(payload.network, "eip155:84532");
	assert_string_equal(payload.accepted.amount, "1000");
	x402_payment_payload_clear(&payload);
	assert_int_equal(read_payload("{'x402Version':1,'scheme':'exact',"
				      "'network':'base','payload':{'a':1}}",
				 NULL, &payload),
		X402_OK);
	assert_string_equal(payload.network, "base");
	assert_null(payload.accepted.scheme);
	x402_payment_payload_clear(&payload);
	x402_payment_payload_clear(NULL);
}

static void test_payload_read_refuses(void **state)
{
	static const struct {
		const char *text;
		const char *field;
		enum x402_err err;
	} cases[] = {
		{"'x'", "", X402_ERR_SCHEMA},
		{"{}", "x402Version", X402_ERR_SCHEMA},
		{"{'x402Version':4}", "x402Version", X402_ERR_VERSION},
		{"{'x402Version':2}", "payload", X402_ERR_SCHEMA},
		{"{'x402Version':2,'payload':null}", "payload",
			X402_ERR_SCHEMA},
		{"{'x402Version':2,'payload':[]}", "payload", X402_ERR_SCHEMA},
		{"{'x402Version':2,'payload':{}}", "accepted", X402_ERR_SCHEMA},
		{"{'x402Version':2,'payload':{},'accepted':{}}",
			"accepted.scheme", X402_ERR_SCHEMA},
		{"{'x402Version':2,'payload':{},'accepted':{" OFFER_V2
		 "},'extensions':7}",
			"extensions", X402_ERR_SCHEMA},
		{"{'x402Version':2,'payload':{},'accepted':{" OFFER_V2
		 "},'resource':'u'}",
			"resource", X402_ERR_SCHEMA},
		{"{'x402Version':1,'payload':{}}", "scheme", X402_ERR_SCHEMA},
		{"{'x402Version':1,'payload':{},'scheme':'exact'}", "network",
			X402_ERR_SCHEMA},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_payment_payload payload;
		struct x402_errinfo info = {"untouched", ""};

		assert_int_equal(read_payload(cases[i].text, &info, &payload),
			cases[i].err);
		assert_string_equal(info.field, cases[i].field);
	}
}

static void test_verify_response_both_ways(void **state)
{
	struct x402_verify_response response = {
		.invalid_reason = "insufficient_funds", .payer = PAYEE};
	struct x402_json *json = NULL;

	(void)state;
	assert_int_equal(
		x402_verify_response_to_json(&response, &json), X402_OK);
	memset(&response, 0, sizeof(response));
	assert_int_equal(
		x402_verify_response_read(json, NULL, &response), X402_OK);
	assert_false(response.is_valid);
	assert_string_equal(response.invalid_reason, "insufficient_funds");
	assert_null(response.invalid_message);
	x402_verify_response_clear(&response);
	x402_verify_response_clear(NULL);
	assert_json_take(json,
		"{'isValid':false,'invalidReason':'insufficient_funds',"
		"'payer':'" PAYEE "'}");
}

static void test_verify_response_needs_a_verdict(void **state)
{
	static const char *const cases[] = {"[]", "{}", "{'isValid':null}",
		"{'isValid':1}", "{'isValid':'true'}",
		"{'isValid':true,'payer':7}", "{'isValid':true,'extra':[]}",
		"{'isValid':false,'invalidReason':{}}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *json = json_of(cases[i]);
		struct x402_verify_response response;

		assert_int_equal(
			x402_verify_response_read(json, NULL, &response),
			X402_ERR_SCHEMA);
		x402_json_unref(json);
	}
}

static void test_settle_response_transaction_is_never_null(void **state)
{
	struct x402_json *json = json_of(
		"{'success':false,'errorReason':'r','network':'eip155:1'}");
	struct x402_settle_response response;

	(void)state;
	assert_int_equal(
		x402_settle_response_read(json, NULL, &response), X402_OK);
	assert_string_equal(response.transaction, "");
	x402_settle_response_clear(&response);
	x402_settle_response_clear(NULL);
	x402_json_unref(json);
	memset(&response, 0, sizeof(response));
	response.network = "eip155:1";
	response.error_reason = "settlement_pending";
	assert_int_equal(
		x402_settle_response_to_json(&response, &json), X402_OK);
	assert_json_take(json,
		"{'success':false,'errorReason':'settlement_pending',"
		"'transaction':'','network':'eip155:1'}");
}

static void test_settle_response_needs_a_result(void **state)
{
	static const char *const cases[] = {"null", "{}", "{'success':1}",
		"{'success':'yes'}", "{'success':true,'transaction':1}",
		"{'success':true,'network':false}",
		"{'success':true,'amount':5}",
		"{'success':true,'extensions':[]}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *json = json_of(cases[i]);
		struct x402_settle_response response;

		assert_int_equal(
			x402_settle_response_read(json, NULL, &response),
			X402_ERR_SCHEMA);
		x402_json_unref(json);
	}
}

static void test_supported_passes_over_odd_kinds(void **state)
{
	struct x402_json *json = json_of(
		"{'kinds':[{'x402Version':2,'scheme':'exact',"
		"'network':'eip155:1','extra':{'a':1}},7,{'x402Version':9,"
		"'scheme':'s','network':'n'},{'x402Version':1,"
		"'scheme':'exact','network':'base'}],"
		"'extensions':7,'signers':[]}");
	struct x402_supported_response response;

	(void)state;
	assert_int_equal(
		x402_supported_response_read(json, NULL, &response), X402_OK);
	assert_int_equal(response.kinds_len, 2);
	assert_string_equal(response.kinds[1].network, "base");
	assert_null(response.extensions);
	assert_null(response.signers);
	x402_supported_response_clear(&response);
	x402_supported_response_clear(NULL);
	x402_json_unref(json);
}

static void test_supported_read_refuses(void **state)
{
	static const char *const cases[] = {
		"[]", "{}", "{'kinds':{}}", "{'kinds':null}", "7"};
	struct x402_buf buf = {0};
	struct x402_supported_response response;
	struct x402_json *json;
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json = json_of(cases[i]);
		assert_int_equal(
			x402_supported_response_read(json, NULL, &response),
			X402_ERR_SCHEMA);
		x402_json_unref(json);
	}
	x402_buf_add_str(&buf, "{'kinds':[");
	for (int i = 0; i < X402_KINDS_MAX; i++)
		x402_buf_add_str(&buf, "1,");
	x402_buf_add_str(&buf, "1]}");
	text = x402_buf_take_str(&buf);
	json = json_of(text);
	assert_int_equal(x402_supported_response_read(json, NULL, &response),
		X402_ERR_TOO_LARGE);
	x402_json_unref(json);
	free(text);
}

static void test_supported_lists_are_always_written(void **state)
{
	struct x402_supported_response response;
	struct x402_json *json = NULL;

	(void)state;
	memset(&response, 0, sizeof(response));
	response.kinds_len = 1;
	response.kinds[0].x402_version = 2;
	response.kinds[0].scheme = "exact";
	response.kinds[0].network = "eip155:1";
	assert_int_equal(
		x402_supported_response_to_json(&response, &json), X402_OK);
	assert_json_take(json,
		"{'kinds':[{'x402Version':2,'scheme':'exact',"
		"'network':'eip155:1'}],'extensions':[],'signers':{}}");
}

static void test_facilitator_request_blames_the_right_part(void **state)
{
#define PAYLOAD_V2 "{'x402Version':2,'payload':{},'accepted':{" OFFER_V2 "}}"
	static const struct {
		const char *text;
		const char *field;
		enum x402_err err;
	} cases[] = {
		{"[]", "", X402_ERR_SCHEMA},
		{"{}", "paymentPayload", X402_ERR_SCHEMA},
		{"{'paymentPayload':1}", "paymentPayload", X402_ERR_SCHEMA},
		{"{'paymentPayload':{}}", "paymentRequirements",
			X402_ERR_SCHEMA},
		{"{'paymentPayload':{},'paymentRequirements':null}",
			"paymentRequirements", X402_ERR_SCHEMA},
		{"{'paymentPayload':{},'paymentRequirements':{}}",
			"x402Version", X402_ERR_SCHEMA},
		{"{'x402Version':5,'paymentPayload':{},"
		 "'paymentRequirements':{}}",
			"x402Version", X402_ERR_VERSION},
		{"{'x402Version':2,'paymentPayload':{'x402Version':2},"
		 "'paymentRequirements':{}}",
			"paymentPayload.payload", X402_ERR_SCHEMA},
		{"{'x402Version':2,'paymentPayload':" PAYLOAD_V2
		 ",'paymentRequirements':{}}",
			"paymentRequirements.scheme", X402_ERR_SCHEMA},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *json = json_of(cases[i].text);
		struct x402_facilitator_request request;
		struct x402_errinfo info = {"untouched", ""};

		assert_int_equal(
			x402_facilitator_request_read(json, &info, &request),
			cases[i].err);
		assert_string_equal(info.field, cases[i].field);
		x402_json_unref(json);
	}
}

static void test_facilitator_request_goes_round(void **state)
{
	static const char text[] =
		"{'x402Version':2,'paymentPayload':" PAYLOAD_V2
		",'paymentRequirements':{" OFFER_V2 "}}";
	struct x402_json *json = json_of(text);
	struct x402_facilitator_request request;
	struct x402_json *tree;

	(void)state;
	assert_int_equal(
		x402_facilitator_request_read(json, NULL, &request), X402_OK);
	x402_json_unref(json);
	/* Build it again from its parts. */
	tree = request.json;
	request.json = NULL;
	assert_int_equal(
		x402_facilitator_request_to_json(&request, &json), X402_OK);
	assert_json_take(json, text);
	request.json = tree;
	x402_facilitator_request_clear(&request);
	x402_facilitator_request_clear(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requirements_read_v2_fills_fields),
		cmocka_unit_test(test_requirements_read_v1_fills_fields),
		cmocka_unit_test(test_requirements_read_names_wrong_member),
		cmocka_unit_test(test_requirements_read_takes_null_for_absent),
		cmocka_unit_test(test_requirements_read_refuses_other_versions),
		cmocka_unit_test(
			test_requirements_to_json_builds_in_wire_order),
		cmocka_unit_test(test_required_keeps_what_it_does_not_know),
		cmocka_unit_test(test_required_skips_odd_offers),
		cmocka_unit_test(test_required_may_offer_nothing),
		cmocka_unit_test(test_required_read_refuses),
		cmocka_unit_test(test_required_caps_the_offers),
		cmocka_unit_test(test_version_is_also_read_from_string),
		cmocka_unit_test(test_payload_reads_both_versions),
		cmocka_unit_test(test_payload_read_refuses),
		cmocka_unit_test(test_verify_response_both_ways),
		cmocka_unit_test(test_verify_response_needs_a_verdict),
		cmocka_unit_test(
			test_settle_response_transaction_is_never_null),
		cmocka_unit_test(test_settle_response_needs_a_result),
		cmocka_unit_test(test_supported_passes_over_odd_kinds),
		cmocka_unit_test(test_supported_read_refuses),
		cmocka_unit_test(test_supported_lists_are_always_written),
		cmocka_unit_test(
			test_facilitator_request_blames_the_right_part),
		cmocka_unit_test(test_facilitator_request_goes_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
