/*
 * Builder codes that strangers name: whatever the JSON, what is read are codes
 * by the rules, each once, and the suffix says its own length and ends with
 * the marker.
 */
#include "fuzz_house.h"

static void must_be_codes(const struct x402_builder_codes *codes)
{
	must(!codes->app[0] || x402_builder_code_is_valid(codes->app));
	must(codes->services_len <= X402_BUILDER_SERVICES_MAX);
	must(!codes->wallet[0]);
	for (size_t i = 0; i < codes->services_len; i++) {
		must(x402_builder_code_is_valid(codes->services[i]));
		for (size_t j = 0; j < i; j++)
			must(strcmp(codes->services[i], codes->services[j]) !=
				0);
	}
}

static void must_be_a_suffix(struct x402_span suffix, bool any)
{
	size_t cbor;

	if (!any) {
		must(suffix.len == 0);
		return;
	}
	must(suffix.len > 19);
	cbor = (size_t)suffix.ptr[suffix.len - 19] << 8 |
		suffix.ptr[suffix.len - 18];
	must(cbor == suffix.len - 19 && suffix.ptr[suffix.len - 17] == 2);
	for (size_t i = 0; i < 16; i++)
		must(suffix.ptr[suffix.len - 16 + i] == (i % 2 ? 0x21 : 0x80));
	must((suffix.ptr[0] & 0xe0) == 0xa0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_builder_codes codes = {0};
	struct x402_json *json = NULL;
	struct x402_buf suffix = {0};
	bool any;

	if (x402_json_parse(x402_span(data, size), NULL, NULL, &json))
		return 0;
	any = x402_builder_codes_read(json, &codes);
	must(any == (codes.app[0] || codes.services_len));
	must_be_codes(&codes);
	x402_builder_codes_suffix(&codes, &suffix);
	must(!suffix.failed);
	must_be_a_suffix(x402_buf_span(&suffix), any);
	x402_buf_clear(&suffix);
	x402_json_unref(json);
	return 0;
}
