/*
 * JSON: our reader takes exactly what jansson, asked directly, takes within
 * our limits; and what was read is written, and read again as the same.
 */
#include <jansson.h>

#include "fuzz_house.h"

/* Is this text one value for jansson, depth aside? */
static bool jansson_takes(const uint8_t *data, size_t size)
{
	json_t *json = json_loadb((const char *)data, size,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);

	json_decref(json);
	return json != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_json *json = NULL;
	struct x402_json *again = NULL;
	enum x402_err err = x402_json_parse(
		x402_span(data, size), NULL, NULL, &json);
	char *text;

	must(err == X402_OK || err == X402_ERR_SYNTAX ||
		err == X402_ERR_TOO_LARGE);
	if (err != X402_ERR_TOO_LARGE)
		must((err == X402_OK) == jansson_takes(data, size));
	if (err)
		return 0;
	text = x402_json_dump(json);
	must(text != NULL);
	must(x402_json_parse(x402_span_str(text), NULL, NULL, &again) ==
		X402_OK);
	must(x402_json_equal(json, again));
	free(text);
	text = x402_json_dump_sorted(again);
	must(text != NULL);
	free(text);
	x402_json_unref(json);
	x402_json_unref(again);
	return 0;
}
