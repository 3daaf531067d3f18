/*
 * JSON: our reader takes exactly what jansson, an independent strict reader,
 * takes within our limits, and reads the same out of it; what was read is
 * written, and read again as the same.
 */
#include <jansson.h>

#include "fuzz_house.h"

static json_t *by_jansson(const void *data, size_t size)
{
	return json_loadb(
		data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
}

/* text, as jansson reads it, is what jansson read from the input. */
static void must_mean(const char *text, const json_t *expected)
{
	json_t *read = by_jansson(text, strlen(text));

	must(read != NULL);
	must(json_equal(read, expected));
	json_decref(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_json *json = NULL;
	struct x402_json *again = NULL;
	enum x402_err err = x402_json_parse(
		x402_span(data, size), NULL, NULL, &json);
	json_t *expected;
	char *text;

	must(err == X402_OK || err == X402_ERR_SYNTAX ||
		err == X402_ERR_TOO_LARGE);
	if (err == X402_ERR_TOO_LARGE)
		return 0;
	expected = by_jansson(data, size);
	/* jansson swallows a NUL behind a number or a word; we do not. */
	if (memchr(data, 0, size))
		must(err == X402_ERR_SYNTAX);
	else
		must((err == X402_OK) == (expected != NULL));
	if (err) {
		json_decref(expected);
		return 0;
	}
	text = x402_json_dump(json);
	must(text != NULL);
	must_mean(text, expected);
	must(x402_json_parse(x402_span_str(text), NULL, NULL, &again) ==
		X402_OK);
	must(x402_json_equal(json, again));
	free(text);
	text = x402_json_dump_sorted(again);
	must(text != NULL);
	must_mean(text, expected);
	free(text);
	json_decref(expected);
	x402_json_unref(json);
	x402_json_unref(again);
	return 0;
}
