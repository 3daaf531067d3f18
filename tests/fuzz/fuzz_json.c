/* JSON: what was read is written, and read again as the same. */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_json *json = NULL;
	struct x402_json *again = NULL;
	char *text;

	if (x402_json_parse(x402_span(data, size), NULL, NULL, &json))
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
