/* Receipts: what was read from a header is written again, and reads the same.
 */
#include "fuzz_house.h"

static void try_json(const uint8_t *data, size_t size)
{
	struct x402_json *json = NULL;
	struct x402_settle_response object;
	struct x402_errinfo info = {{0}, {0}};

	if (x402_json_parse(x402_span(data, size), NULL, NULL, &json))
		return;
	if (x402_settle_response_read(json, &info, &object) == X402_OK) {
		struct x402_json *again = NULL;

		must(x402_settle_response_to_json(&object, &again) == X402_OK);
		must(x402_json_equal(json, again));
		x402_json_unref(again);
		/* The fields alone must give a good object as well. */
		x402_json_unref(object.json);
		object.json = NULL;
		must(x402_settle_response_to_json(&object, &again) == X402_OK);
		object.json = x402_json_ref(json);
		x402_json_unref(again);
		x402_settle_response_clear(&object);
	} else {
		must(info.text[0] != '\0');
	}
	x402_json_unref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_settle_response object;
	char *text = NULL;

	try_json(data, size);
	if (x402_settle_response_decode(x402_span(data, size), NULL, &object))
		return 0;
	if (x402_settle_response_encode(&object, &text) == X402_OK)
		free(text);
	x402_settle_response_clear(&object);
	return 0;
}
