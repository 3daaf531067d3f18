/* What strangers declare for discovery, and a schema against itself. */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_facilitator_request request;
	struct x402_bazaar_entry entry;
	struct x402_json *json = NULL;
	char *text = fuzz_text(data, size);

	if (text)
		(void)x402_bazaar_route_template_valid(text);
	free(text);
	if (x402_json_parse(x402_span(data, size), NULL, NULL, &json))
		return 0;
	if (x402_json_schema_validate(x402_json_get(json, "schema"),
		    x402_json_get(json, "instance"), NULL) == X402_ERR_NOMEM)
		abort();
	if (x402_facilitator_request_read(json, NULL, &request) == X402_OK) {
		if (x402_bazaar_read(&request.payload, &request.requirements,
			    NULL, &entry) == X402_OK) {
			must(entry.key &&
				strlen(entry.key) < X402_BAZAAR_KEY_MAX);
			must(entry.type && entry.resource);
			x402_bazaar_entry_clear(&entry);
		}
		x402_facilitator_request_clear(&request);
	}
	x402_json_unref(json);
	return 0;
}
