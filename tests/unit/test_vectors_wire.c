/*
 * The captured wire (tests/vectors/wire): messages of the reference packages.
 * Each header must decode, come back byte for byte, and equal its JSON twin;
 * each body must be readable; and what our client would build for the same
 * challenge must be what the reference's client sent.
 */
#include <dirent.h>
#include <stdio.h>

#include "payment_house.h"
#include "x402/codec.h"
#include "x402/negotiate.h"

/* Captures are at most 22 KB each. */
#define CAPTURE_MAX_BYTES (256 * 1024)

static int captures;
static int headers;
static int bodies;
static int builds;

static struct x402_json *read_capture(const char *path)
{
	char *text = malloc(CAPTURE_MAX_BYTES);
	FILE *file = fopen(path, "rb");
	struct x402_json *json = NULL;
	size_t len;

	assert_non_null(text);
	assert_non_null(file);
	len = fread(text, 1, CAPTURE_MAX_BYTES, file);
	(void)fclose(file); /* only read */
	assert_int_equal(
		x402_json_parse(x402_span(text, len), NULL, NULL, &json),
		X402_OK);
	free(text);
	return json;
}

/* Runs check on every capture; the cases say what is in them. */
static void each_capture(void (*check)(const struct x402_json *capture))
{
	const char *root = getenv("X402_VECTORS_DIR");
	char path[4096];
	struct dirent *entry;
	DIR *dir;

	assert_non_null(root);
	snprintf(path, sizeof(path), "%s/wire", root);
	dir = opendir(path);
	assert_non_null(dir);
	captures = 0;
	while ((entry = readdir(dir))) {
		struct x402_json *capture;

		if (!strstr(entry->d_name, ".json"))
			continue;
		snprintf(path, sizeof(path), "%s/wire/%s", root, entry->d_name);
		capture = read_capture(path);
		print_message("%s\n", entry->d_name);
		check(capture);
		x402_json_unref(capture);
		captures++;
	}
	(void)closedir(dir); /* only read */
	assert_int_equal(captures, 21);
}

/*
 * Both texts decode to the same and are the same. v1 captures come from two
 * generations of packages with two member orders, so there only values count.
 */
static void assert_same_header(const char *got, const char *want, bool bytes)
{
	struct x402_json *a = NULL;
	struct x402_json *b = NULL;

	if (bytes)
		assert_string_equal(got, want);
	assert_int_equal(
		x402_header_decode(x402_span_str(got), NULL, &a), X402_OK);
	assert_int_equal(
		x402_header_decode(x402_span_str(want), NULL, &b), X402_OK);
	assert_true(x402_json_equal(a, b));
	x402_json_unref(a);
	x402_json_unref(b);
}

/* Take the trees away, so that encoding builds from the fields alone. */
#define ENCODE_FROM_FIELDS(name, object, ret_text)                        \
	do {                                                              \
		struct x402_json *tree = (object)->json;                  \
		(object)->json = NULL;                                    \
		assert_int_equal(                                         \
			x402_##name##_encode(object, ret_text), X402_OK); \
		(object)->json = tree;                                    \
	} while (0)

static void check_required_header(const struct x402_json *capture)
{
	const char *header = x402_json_get_string(
		capture, "paymentRequiredHeader");
	struct x402_json *offers[X402_ACCEPTS_MAX];
	struct x402_payment_required required;
	char *text = NULL;

	if (!header)
		return;
	headers++;
	assert_int_equal(x402_payment_required_decode(
				 x402_span_str(header), NULL, &required),
		X402_OK);
	assert_true(x402_json_equal(
		required.json, x402_json_get(capture, "paymentRequired")));
	assert_int_equal(
		x402_payment_required_encode(&required, &text), X402_OK);
	assert_string_equal(text, header);
	free(text);
	for (size_t i = 0; i < required.accepts_len; i++) {
		offers[i] = required.accepts[i].json;
		required.accepts[i].json = NULL;
	}
	ENCODE_FROM_FIELDS(payment_required, &required, &text);
	assert_same_header(text, header, true);
	for (size_t i = 0; i < required.accepts_len; i++)
		required.accepts[i].json = offers[i];
	free(text);
	x402_payment_required_clear(&required);
}

static void check_payment_header(const struct x402_json *capture)
{
	const char *header = x402_json_get_string(capture, "paymentHeader");
	struct x402_payment_payload payload;
	struct x402_json *accepted;
	char *text = NULL;

	if (!header)
		return;
	headers++;
	assert_int_equal(x402_payment_payload_decode(
				 x402_span_str(header), NULL, &payload),
		X402_OK);
	assert_true(x402_json_equal(
		payload.json, x402_json_get(capture, "paymentPayload")));
	assert_int_equal(x402_payment_payload_encode(&payload, &text), X402_OK);
	assert_string_equal(text, header);
	free(text);
	accepted = payload.accepted.json;
	payload.accepted.json = NULL;
	ENCODE_FROM_FIELDS(payment_payload, &payload, &text);
	assert_same_header(text, header, true);
	payload.accepted.json = accepted;
	free(text);
	x402_payment_payload_clear(&payload);
}

static void check_settle_header(const struct x402_json *capture)
{
	const char *header = x402_json_get_string(
		capture, "settleResponseHeader");
	const char *name = x402_json_get_string(
		capture, "settleResponseHeaderName");
	struct x402_settle_response response;
	char *text = NULL;

	if (!header)
		return;
	headers++;
	assert_int_equal(x402_settle_response_decode(
				 x402_span_str(header), NULL, &response),
		X402_OK);
	assert_true(x402_json_equal(
		response.json, x402_json_get(capture, "settleResponse")));
	assert_int_equal(
		x402_settle_response_encode(&response, &text), X402_OK);
	assert_string_equal(text, header);
	free(text);
	ENCODE_FROM_FIELDS(settle_response, &response, &text);
	assert_same_header(
		text, header, strcasecmp(name, "PAYMENT-RESPONSE") == 0);
	free(text);
	x402_settle_response_clear(&response);
}

static void check_headers(const struct x402_json *capture)
{
	check_required_header(capture);
	check_payment_header(capture);
	check_settle_header(capture);
}

static void test_wire_headers_come_back_byte_for_byte(void **state)
{
	(void)state;
	headers = 0;
	each_capture(check_headers);
	/* So many headers are in the captures; fewer means skipped ones. */
	assert_int_equal(headers, 42);
}

/* What settle asks may be less than was offered (P-142: upto). */
static void check_request(const struct x402_json *json, bool verify)
{
	struct x402_facilitator_request request;
	struct x402_json *tree;
	struct x402_json *built = NULL;
	char *text = NULL;
	char *want = NULL;

	if (!json)
		return;
	bodies++;
	assert_int_equal(
		x402_facilitator_request_read(json, NULL, &request), X402_OK);
	tree = request.json;
	request.json = NULL;
	assert_int_equal(
		x402_facilitator_request_to_json(&request, &built), X402_OK);
	request.json = tree;
	text = x402_json_dump(built);
	want = x402_json_dump(json);
	assert_string_equal(text, want);
	/* P-120 holds for what the reference matched. */
	if (verify)
		assert_true(x402_requirements_match(
			&request.requirements, &request.payload));
	free(text);
	free(want);
	x402_json_unref(built);
	x402_facilitator_request_clear(&request);
}

static void check_verify_answer(const struct x402_json *json)
{
	struct x402_verify_response response;
	struct x402_json *built = NULL;
	struct x402_json *tree;

	if (!json)
		return;
	bodies++;
	assert_int_equal(
		x402_verify_response_read(json, NULL, &response), X402_OK);
	assert_true(response.is_valid);
	tree = response.json;
	response.json = NULL;
	assert_int_equal(
		x402_verify_response_to_json(&response, &built), X402_OK);
	assert_true(x402_json_equal(json, built));
	response.json = tree;
	x402_json_unref(built);
	x402_verify_response_clear(&response);
}

static void check_settle_answer(const struct x402_json *json)
{
	struct x402_settle_response response;
	struct x402_json *built = NULL;
	struct x402_json *tree;

	if (!json)
		return;
	bodies++;
	assert_int_equal(
		x402_settle_response_read(json, NULL, &response), X402_OK);
	assert_true(response.success);
	tree = response.json;
	response.json = NULL;
	assert_int_equal(
		x402_settle_response_to_json(&response, &built), X402_OK);
	assert_true(x402_json_equal(json, built));
	response.json = tree;
	x402_json_unref(built);
	x402_settle_response_clear(&response);
}

static void check_challenge(const struct x402_json *json)
{
	struct x402_payment_required required;

	if (!json)
		return;
	bodies++;
	assert_int_equal(
		x402_payment_required_read(json, NULL, &required), X402_OK);
	assert_int_equal(required.accepts_len,
		x402_json_size(x402_json_get(json, "accepts")));
	x402_payment_required_clear(&required);
}

static void check_bodies(const struct x402_json *capture)
{
	const struct x402_json *verify = x402_json_get(capture, "verify");
	const struct x402_json *settle = x402_json_get(capture, "settle");

	check_challenge(x402_json_get(capture, "paymentRequired"));
	check_request(x402_json_get(verify, "request"), true);
	check_request(x402_json_get(settle, "request"), false);
	check_verify_answer(x402_json_get(verify, "response"));
	check_settle_answer(x402_json_get(settle, "response"));
}

static void test_wire_bodies_are_read_and_rebuilt(void **state)
{
	(void)state;
	bodies = 0;
	each_capture(check_bodies);
	assert_int_equal(bodies, 98);
}

/*
 * The offer that was paid is found among those made, and the envelope that
 * we would build is the one that was sent. What the client added to the
 * extensions is given to our builder as its own additions.
 */
static void check_build(const struct x402_json *capture)
{
	const struct x402_json *challenge = x402_json_get(
		capture, "paymentRequired");
	const struct x402_json *sent = x402_json_get(capture, "paymentPayload");
	struct x402_payment_required required;
	struct x402_payment_payload payload;
	struct x402_payment_payload built;
	size_t matching = SIZE_MAX;
	size_t chosen = 0;
	char *text = NULL;
	char *want = NULL;

	if (!challenge || !sent)
		return;
	assert_int_equal(x402_payment_required_read(challenge, NULL, &required),
		X402_OK);
	assert_int_equal(
		x402_payment_payload_read(sent, NULL, &payload), X402_OK);
	for (size_t i = 0; i < required.accepts_len; i++) {
		if (x402_requirements_match(&required.accepts[i], &payload) &&
			matching == SIZE_MAX)
			matching = i;
	}
	assert_true(matching < required.accepts_len);
	chosen = matching;
	assert_int_equal(x402_payment_payload_build(&required, chosen,
				 payload.payload, payload.extensions, &built),
		X402_OK);
	builds++;
	text = x402_json_dump(built.json);
	want = x402_json_dump(sent);
	/* Sponsoring replaces members of the server's info: C-042 does not. */
	if (!x402_json_get(payload.extensions, "eip2612GasSponsoring") &&
		!x402_json_get(
			payload.extensions, "erc20ApprovalGasSponsoring"))
		assert_string_equal(text, want);
	free(text);
	free(want);
	x402_payment_payload_clear(&built);
	x402_payment_payload_clear(&payload);
	x402_payment_required_clear(&required);
}

static void test_wire_payments_are_what_we_would_send(void **state)
{
	(void)state;
	builds = 0;
	each_capture(check_build);
	assert_int_equal(builds, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wire_headers_come_back_byte_for_byte),
		cmocka_unit_test(test_wire_bodies_are_read_and_rebuilt),
		cmocka_unit_test(test_wire_payments_are_what_we_would_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
