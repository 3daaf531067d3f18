/*
 * Captures of the reference packages (tests/vectors/wire): every header
 * decodes, agrees with its JSON, and is encoded to the same bytes again, also
 * when it is built from the fields alone. Every facilitator request is read.
 */
#include <dirent.h>
#include <stdio.h>

#include "cmocka_house.h"
#include "x402/codec.h"

#define FILE_MAX_BYTES (256 * 1024)

static struct x402_json *read_capture(const char *dir, const char *name)
{
	static char text[FILE_MAX_BYTES];
	struct x402_json *json = NULL;
	char path[4096];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "rb");
	assert_non_null(file);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	assert_true(len > 0 && len < sizeof(text));
	assert_int_equal(
		x402_json_parse(x402_span(text, len), NULL, NULL, &json),
		X402_OK);
	return json;
}

static void assert_same_text(const char *name, const char *what,
	const char *expected, const char *actual)
{
	if (strcmp(expected, actual) == 0)
		return;
	print_error("%s: %s is not written as it was read\n", name, what);
	assert_string_equal(actual, expected);
}

/*
 * Decode, compare with the JSON twin, encode; once as read and once from the
 * fields alone, which shows the order of the members.
 */
#define DEFINE_CHECK(object)                                                   \
	static void check_##object(const char *name, const char *header,       \
		const struct x402_json *twin)                                  \
	{                                                                      \
		struct x402_##object value;                                    \
		struct x402_json *tree;                                        \
		char *text = NULL;                                             \
                                                                               \
		assert_int_equal(x402_##object##_decode(                       \
					 x402_span_str(header), NULL, &value), \
			X402_OK);                                              \
		assert_true(x402_json_equal(value.json, twin));                \
		assert_int_equal(                                              \
			x402_##object##_encode(&value, &text), X402_OK);       \
		assert_same_text(name, #object, header, text);                 \
		free(text);                                                    \
		tree = value.json;                                             \
		value.json = NULL;                                             \
		assert_int_equal(                                              \
			x402_##object##_encode(&value, &text), X402_OK);       \
		assert_same_text(name, #object " from fields", header, text);  \
		free(text);                                                    \
		value.json = tree;                                             \
		x402_##object##_clear(&value);                                 \
	}

DEFINE_CHECK(payment_required)
DEFINE_CHECK(payment_payload)

/* Receipts come in two orders from the reference: compare as values. */
static void check_settle_response(
	const char *header, const struct x402_json *twin)
{
	struct x402_settle_response response;
	char *text = NULL;

	assert_int_equal(x402_settle_response_decode(
				 x402_span_str(header), NULL, &response),
		X402_OK);
	assert_true(x402_json_equal(response.json, twin));
	assert_int_equal(
		x402_settle_response_encode(&response, &text), X402_OK);
	assert_string_equal(text, header);
	free(text);
	x402_settle_response_clear(&response);
}

static void check_request(const struct x402_json *call)
{
	const struct x402_json *json = x402_json_get(call, "request");
	struct x402_facilitator_request request;
	struct x402_json *again = NULL;
	struct x402_json *tree;

	if (!json)
		return;
	assert_int_equal(
		x402_facilitator_request_read(json, NULL, &request), X402_OK);
	tree = request.json;
	request.json = NULL;
	assert_int_equal(
		x402_facilitator_request_to_json(&request, &again), X402_OK);
	assert_true(x402_json_equal(json, again));
	request.json = tree;
	x402_json_unref(again);
	x402_facilitator_request_clear(&request);
}

/* Returns how many headers the capture has. */
static int check_capture(const char *name, const struct x402_json *capture)
{
	const char *required = x402_json_get_string(
		capture, "paymentRequiredHeader");
	const char *payment = x402_json_get_string(capture, "paymentHeader");
	const char *receipt = x402_json_get_string(
		capture, "settleResponseHeader");

	if (required)
		check_payment_required(name, required,
			x402_json_get(capture, "paymentRequired"));
	if (payment)
		check_payment_payload(name, payment,
			x402_json_get(capture, "paymentPayload"));
	if (receipt)
		check_settle_response(
			receipt, x402_json_get(capture, "settleResponse"));
	check_request(x402_json_get(capture, "verify"));
	check_request(x402_json_get(capture, "settle"));
	return (required != NULL) + (payment != NULL) + (receipt != NULL);
}

static void test_captures_are_read_and_written_alike(void **state)
{
	const char *root = getenv("X402_VECTORS_DIR");
	struct dirent *entry;
	char dir[4096];
	int captures = 0;
	int headers = 0;
	DIR *handle;

	(void)state;
	assert_non_null(root);
	snprintf(dir, sizeof(dir), "%s/wire", root);
	handle = opendir(dir);
	assert_non_null(handle);
	while ((entry = readdir(handle))) {
		struct x402_json *capture;

		if (!strstr(entry->d_name, ".json"))
			continue;
		capture = read_capture(dir, entry->d_name);
		headers += check_capture(entry->d_name, capture);
		captures++;
		x402_json_unref(capture);
	}
	closedir(handle);
	/* What is there today; fewer would mean that nothing was read. */
	assert_true(captures >= 21);
	assert_true(headers >= 40);
}

/* Version 1 challenges are bodies. */
static void test_v1_challenge_is_read_from_its_body(void **state)
{
	struct x402_payment_required required;
	struct x402_json *capture;
	char dir[4096];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/wire", getenv("X402_VECTORS_DIR"));
	capture = read_capture(dir, "evm-v1-eip3009.json");
	assert_int_equal(x402_payment_required_read(
				 x402_json_get(capture, "paymentRequired"),
				 NULL, &required),
		X402_OK);
	assert_int_equal(required.x402_version, X402_V1);
	assert_int_equal(required.accepts_len, 1);
	assert_string_equal(required.accepts[0].amount, "1000");
	x402_payment_required_clear(&required);
	x402_json_unref(capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captures_are_read_and_written_alike),
		cmocka_unit_test(test_v1_challenge_is_read_from_its_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
