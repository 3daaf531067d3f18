/*
 * A facilitator's request through everything that happens offline: reading,
 * planning, negotiation. Never valid without a chain.
 */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_facilitator_request request;
	struct x402_verify_options options = {.now_unix_s = 1795239000};
	struct x402_verify_plan plan;
	struct x402_errinfo info = {{0}, {0}};
	struct x402_json *json = NULL;

	if (x402_json_parse(x402_span(data, size), NULL, NULL, &json))
		return 0;
	if (x402_facilitator_request_read(json, &info, &request) == X402_OK) {
		must(x402_verify_plan(&request, &options, &plan) == X402_OK);
		must(!plan.verdict.valid);
		must(plan.decided == (plan.reads_len == 0));
		x402_verify_plan_clear(&plan);
		(void)x402_requirements_match(
			&request.requirements, &request.payload);
		x402_facilitator_request_clear(&request);
	} else {
		must(info.text[0] != '\0');
	}
	x402_json_unref(json);
	return 0;
}
