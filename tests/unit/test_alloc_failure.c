/*
 * Memory runs out, at every single allocation in turn, once for that one and
 * once from there on. Each entry point must say NOMEM, or succeed with the
 * right result; it must not crash, leak (LeakSanitizer looks), or blame the
 * peer. The linker wraps the library's malloc.
 */
#include "payment_house.h"
#include "x402/bazaar.h"
#include "x402/codec.h"
#include "x402/negotiate.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *ptr, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
char *__wrap_strdup(const char *text);

static bool armed;
static bool for_ever;   /* all from the n-th on, or the n-th alone */
static size_t fail_at;  /* counted from 1 */
static size_t attempts; /* allocations asked for while armed */

static bool fails_now(void)
{
	if (!armed)
		return false;
	attempts++;
	return for_ever ? attempts >= fail_at : attempts == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
	return fails_now() ? NULL : __real_realloc(ptr, size);
}

char *__wrap_strdup(const char *text)
{
	return fails_now() ? NULL : __real_strdup(text);
}

/* Inputs, made before anything fails. */
static char *required_text;
static char *required_header;
static char *payload_header;
static struct x402_json *request_json;
static struct x402_json *scheme_payload;
static struct x402_json *client_extensions;
static struct x402_payment_required required;
static struct x402_payment_payload payload;

static int setup(void **state)
{
	static const char challenge[] =
		"{'x402Version':2,'error':'Payment required',"
		"'resource':{'url':'http://a.example/a?b',"
		"'serviceName':'name','tags':['a','b'],"
		"'description':'a text that does not fit in sixteen bytes'},"
		"'accepts':[{" OFFER_V2 "},{" OFFER_V2 ",'k':[0.5,-7,true]}],"
		"'extensions':{'bazaar':{'info':{'input':{'type':'http',"
		"'method':'GET'}},'schema':{'type':'object','properties':{"
		"'input':{'required':['type']}}},"
		"'routeTemplate':'/a/:id'}}}";
	struct x402_json *json = json_of(challenge);
	struct x402_facilitator_request request;

	(void)state;
	required_text = double_quoted(challenge);
	scheme_payload = json_of("{'signature':'0x00'}");
	client_extensions = json_of(
		"{'bazaar':{'info':{'mine':1}},'own':{'info':{}}}");
	if (x402_payment_required_read(json, NULL, &required) ||
		x402_header_encode(json, &required_header) ||
		x402_payment_payload_build(&required, 1, scheme_payload,
			client_extensions, &payload) ||
		x402_payment_payload_encode(&payload, &payload_header))
		return -1;
	memset(&request, 0, sizeof(request));
	request.x402_version = X402_V2;
	request.payload = payload;
	request.requirements = required.accepts[0];
	x402_json_unref(json);
	return x402_facilitator_request_to_json(&request, &request_json) ? -1
									 : 0;
}

static int teardown(void **state)
{
	(void)state;
	x402_payment_required_clear(&required);
	x402_payment_payload_clear(&payload);
	x402_json_unref(request_json);
	x402_json_unref(scheme_payload);
	x402_json_unref(client_extensions);
	free(required_text);
	free(required_header);
	free(payload_header);
	return 0;
}

/* What a scenario made, for comparison; never fails itself. */
static char *dump(const struct x402_json *json)
{
	armed = false;
	return x402_json_dump(json);
}

static enum x402_err run_parse(char **ret_text)
{
	struct x402_json *json = NULL;
	enum x402_err err = x402_json_parse(
		x402_span_str(required_text), NULL, NULL, &json);

	if (!err)
		*ret_text = dump(json);
	x402_json_unref(json);
	return err;
}

static enum x402_err run_dump(char **ret_text)
{
	*ret_text = x402_json_dump_sorted(required.json);
	return *ret_text ? X402_OK : X402_ERR_NOMEM;
}

static enum x402_err run_decode_required(char **ret_text)
{
	struct x402_payment_required decoded;
	enum x402_err err = x402_payment_required_decode(
		x402_span_str(required_header), NULL, &decoded);

	if (err)
		return err;
	*ret_text = dump(decoded.json);
	assert_int_equal(decoded.accepts_len, 2);
	x402_payment_required_clear(&decoded);
	return X402_OK;
}

static enum x402_err run_decode_payload(char **ret_text)
{
	struct x402_payment_payload decoded;
	enum x402_err err = x402_payment_payload_decode(
		x402_span_str(payload_header), NULL, &decoded);

	if (err)
		return err;
	*ret_text = dump(decoded.json);
	x402_payment_payload_clear(&decoded);
	return X402_OK;
}

static enum x402_err run_encode(char **ret_text)
{
	return x402_payment_required_encode(&required, ret_text);
}

/* From fields alone: every member is set anew. */
static enum x402_err run_encode_fields(char **ret_text)
{
	struct x402_payment_required bare = required;

	bare.json = NULL;
	bare.accepts[0].json = NULL;
	return x402_payment_required_encode(&bare, ret_text);
}

static enum x402_err run_request_read(char **ret_text)
{
	struct x402_facilitator_request request;
	struct x402_errinfo info;
	enum x402_err err = x402_facilitator_request_read(
		request_json, &info, &request);

	if (err)
		return err;
	*ret_text = dump(request.json);
	x402_facilitator_request_clear(&request);
	return X402_OK;
}

static enum x402_err run_request_build(char **ret_text)
{
	struct x402_facilitator_request request;
	struct x402_json *json = NULL;
	enum x402_err err;

	memset(&request, 0, sizeof(request));
	request.x402_version = X402_V2;
	request.payload = payload;
	request.payload.json = NULL;
	request.requirements = required.accepts[0];
	err = x402_facilitator_request_to_json(&request, &json);
	if (!err)
		*ret_text = dump(json);
	x402_json_unref(json);
	return err;
}

static enum x402_err run_responses(char **ret_text)
{
	struct x402_settle_response settle = {.error_reason = "r",
		.transaction = "0x1",
		.network = "n",
		.amount = "1"};
	struct x402_verify_response verify = {.invalid_reason = "r"};
	struct x402_json *json = NULL;
	enum x402_err err = x402_verify_response_to_json(&verify, &json);

	x402_json_unref(json);
	return err ? err : x402_settle_response_encode(&settle, ret_text);
}

static enum x402_err run_supported(char **ret_text)
{
	struct x402_supported_response response;
	struct x402_json *json = NULL;
	enum x402_err err;

	memset(&response, 0, sizeof(response));
	response.kinds_len = 2;
	for (size_t i = 0; i < 2; i++) {
		response.kinds[i].x402_version = 2;
		response.kinds[i].scheme = "exact";
		response.kinds[i].network = "eip155:1";
	}
	err = x402_supported_response_to_json(&response, &json);
	if (!err)
		*ret_text = dump(json);
	x402_json_unref(json);
	return err;
}

static enum x402_err run_select(char **ret_text)
{
	struct x402_selection selection;
	enum x402_err err = x402_select(&required, NULL, &selection);

	return err ? err
		   : x402_selection_explain(&required, &selection, ret_text);
}

static enum x402_err run_build(char **ret_text)
{
	struct x402_payment_payload built;
	enum x402_err err = x402_payment_payload_build(
		&required, 0, scheme_payload, client_extensions, &built);

	if (err)
		return err;
	*ret_text = dump(built.json);
	x402_payment_payload_clear(&built);
	return X402_OK;
}

static enum x402_err run_price(char **ret_text)
{
	struct x402_payment_requirements req;
	enum x402_err err = x402_requirements_from_price(
		"$0.01", "eip155:4326", NULL, PAYEE, 60, &req);

	if (err)
		return err;
	*ret_text = dump(req.json);
	x402_payment_requirements_clear(&req);
	return X402_OK;
}

static enum x402_err run_bazaar(char **ret_text)
{
	struct x402_bazaar_entry entry;
	enum x402_err err = x402_bazaar_read(
		&payload, &payload.accepted, NULL, &entry);

	if (err)
		return err;
	*ret_text = dump(entry.metadata);
	assert_string_equal(entry.key, "http://a.example/a/:id");
	x402_bazaar_entry_clear(&entry);
	return X402_OK;
}

static enum x402_err run_hex(char **ret_text)
{
	struct x402_buf bytes = {0};
	struct x402_buf text = {0};
	enum x402_err err = x402_hex_decode(PAYEE, &bytes);

	if (!err) {
		x402_hex_encode_0x(x402_buf_span(&bytes), &text);
		*ret_text = x402_buf_take_str(&text);
		err = *ret_text ? X402_OK : X402_ERR_NOMEM;
	}
	x402_buf_clear(&bytes);
	return err;
}

static const struct scenario {
	const char *name;
	enum x402_err (*run)(char **ret_text);
} scenarios[] = {
	{"parse", run_parse},
	{"dump", run_dump},
	{"decode required", run_decode_required},
	{"decode payload", run_decode_payload},
	{"encode", run_encode},
	{"encode fields", run_encode_fields},
	{"request read", run_request_read},
	{"request build", run_request_build},
	{"responses", run_responses},
	{"supported", run_supported},
	{"select", run_select},
	{"build", run_build},
	{"price", run_price},
	{"bazaar", run_bazaar},
	{"hex", run_hex},
};

static enum x402_err run_failing(
	const struct scenario *scenario, size_t n, char **ret_text)
{
	enum x402_err err;

	*ret_text = NULL;
	fail_at = n;
	attempts = 0;
	armed = true;
	err = scenario->run(ret_text);
	armed = false;
	return err;
}

/* Returns how many allocations the scenario makes. */
static size_t fail_each(const struct scenario *scenario)
{
	char *expected = NULL;
	size_t n = 1;

	/* With nothing failing, to know what is right. */
	assert_int_equal(run_failing(scenario, SIZE_MAX, &expected), X402_OK);
	assert_non_null(expected);
	for (;; n++) {
		char *text;
		enum x402_err err = run_failing(scenario, n, &text);

		if (err != X402_OK && err != X402_ERR_NOMEM)
			fail_msg("%s: failing allocation %zu gives %s",
				scenario->name, n, x402_err_name(err));
		if (err == X402_OK && strcmp(text, expected) != 0)
			fail_msg("%s: failing allocation %zu gives %s",
				scenario->name, n, text);
		free(text);
		if (attempts < n)
			break;
	}
	free(expected);
	return n - 1;
}

static void test_one_failed_allocation_is_nomem_or_success(void **state)
{
	(void)state;
	for_ever = false;
	for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
		size_t n = fail_each(&scenarios[i]);

		print_message("%s: %zu allocations\n", scenarios[i].name, n);
	}
}

static void test_no_memory_from_some_point_on_is_nomem(void **state)
{
	(void)state;
	for_ever = true;
	for (size_t i = 0; i < ARRAY_LEN(scenarios); i++)
		(void)fail_each(&scenarios[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_one_failed_allocation_is_nomem_or_success),
		cmocka_unit_test(test_no_memory_from_some_point_on_is_nomem),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
