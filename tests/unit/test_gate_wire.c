/*
 * The gate's 402 beside those that the reference servers have sent
 * (tests/vectors/wire): a route that is set up with what a capture offers
 * answers the same bytes, and v1 buyers find every member that they read.
 */
#include <dirent.h>
#include <stdlib.h>

#include "gate_house.h"

/* Captures are at most 22 KB each. */
#define CAPTURE_MAX_BYTES (256 * 1024)
#define CAPTURES_V2       16
#define CAPTURES_V1       4
#define ORIGIN_MAX_BYTES  64

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

/* "http://host:port/path": where the path begins. */
static const char *path_of(const char *url)
{
	const char *path = strstr(url, "://");

	assert_non_null(path);
	path = strchr(path + 3, '/');
	assert_non_null(path);
	return path;
}

/* Ask for what the capture was asked for, of a shop that offers the same. */
static void ask_same(struct house *house, const struct x402_json *capture,
	const struct x402_payment_required *want)
{
	struct x402_provider_price prices[X402_ACCEPTS_MAX] = {{0}};
	char *extras[X402_ACCEPTS_MAX] = {NULL};
	const struct x402_payment_requirements *first = &want->accepts[0];
	bool v1 = want->x402_version == X402_V1;
	const char *url = v1 ? first->resource : want->resource.url;
	const char *request = x402_json_get_string(capture, "request");
	char origin[ORIGIN_MAX_BYTES];
	struct x402_provider_route route = {
		.pattern = path_of(url),
		.prices = prices,
		.prices_len = want->accepts_len,
		.description = v1 ? first->description
				  : want->resource.description,
		.mime_type = v1 ? first->mime_type : want->resource.mime_type,
		.v1 = v1,
	};
	struct x402_provider_options options = {
		.facilitator_url = "https://facilitator.example",
		.public_origin = origin,
		.routes = &route,
		.routes_len = 1,
	};

	snprintf(origin, sizeof(origin), "%.*s", (int)(route.pattern - url),
		url);
	for (size_t i = 0; i < want->accepts_len; i++) {
		const struct x402_payment_requirements *offer =
			&want->accepts[i];

		extras[i] = x402_json_dump(offer->extra);
		prices[i] = (struct x402_provider_price){
			.scheme = offer->scheme,
			.network = x402_payment_requirements_caip2(offer),
			.pay_to = offer->pay_to,
			.amount = offer->amount,
			.asset = offer->asset,
			.extra_json = extras[i],
			.max_timeout_seconds = offer->max_timeout_seconds,
		};
	}
	if (want->extensions)
		route.extensions_json = x402_json_dump(want->extensions);
	house_open_with(house, &options);
	assert_int_equal(
		house_begin(house,
			&(struct house_request){
				.method = request && *request == 'P' ? "POST"
								     : "GET",
				.target = route.pattern}),
		X402_GATE_ANSWER);
	assert_int_equal(house->decision.status, 402);
	for (size_t i = 0; i < want->accepts_len; i++)
		free(extras[i]);
	free((char *)route.extensions_json);
}

static void check_v2(const struct x402_json *capture,
	const struct x402_payment_required *want)
{
	const char *header = x402_json_get_string(
		capture, "paymentRequiredHeader");
	struct house house;
	char *text;

	ask_same(&house, capture, want);
	/* Captures on Solana have the text, and not the header it was in. */
	text = header ? strdup(header) : NULL;
	if (!text)
		assert_int_equal(
			x402_payment_required_encode(want, &text), X402_OK);
	assert_string_equal(
		decision_header(&house.decision, X402_HEADER_PAYMENT_REQUIRED),
		text);
	assert_body(&house, "{}");
	free(text);
	house_close(&house);
}

static void check_v1(const struct x402_json *capture,
	const struct x402_payment_required *want)
{
	static const char *const members[] = {"scheme", "network",
		"maxAmountRequired", "resource", "description", "mimeType",
		"payTo", "maxTimeoutSeconds", "asset", "extra"};
	const struct x402_json *offer = x402_json_at(
		x402_json_get(want->json, "accepts"), 0);
	struct x402_json *json;
	struct house house;

	ask_same(&house, capture, want);
	assert_int_equal(
		x402_json_parse(house.decision.body, NULL, NULL, &json),
		X402_OK);
	assert_string_equal(x402_json_get_string(json, "error"), want->error);
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		assert_true(x402_json_equal(x402_json_get(offer, members[i]),
			x402_json_get(
				x402_json_at(x402_json_get(json, "accepts"), 0),
				members[i])));
	x402_json_unref(json);
	house_close(&house);
}

static void test_gate_answers_402_as_the_reference_did(void **state)
{
	const char *root = getenv("X402_VECTORS_DIR");
	size_t v1 = 0;
	size_t v2 = 0;
	char path[4096];
	struct dirent *entry;
	DIR *dir;

	(void)state;
	assert_non_null(root);
	snprintf(path, sizeof(path), "%s/wire", root);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		struct x402_payment_required want;
		const struct x402_json *required;
		struct x402_json *capture;

		if (!strstr(entry->d_name, ".json"))
			continue;
		print_message("%s\n", entry->d_name);
		snprintf(path, sizeof(path), "%s/wire/%s", root, entry->d_name);
		capture = read_capture(path);
		required = x402_json_get(capture, "paymentRequired");
		if (required) {
			assert_int_equal(x402_payment_required_read(
						 required, NULL, &want),
				X402_OK);
			if (want.x402_version == X402_V2 && ++v2)
				check_v2(capture, &want);
			else if (++v1)
				check_v1(capture, &want);
			x402_payment_required_clear(&want);
		}
		x402_json_unref(capture);
	}
	(void)closedir(dir); /* only read */
	/* Fewer would mean that some were skipped. */
	assert_int_equal(v2, CAPTURES_V2);
	assert_int_equal(v1, CAPTURES_V1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate_answers_402_as_the_reference_did),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
