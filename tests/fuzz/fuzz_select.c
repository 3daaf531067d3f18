/* A challenge through selection: nothing above the cap is ever chosen. */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_payment_required required;
	struct x402_selection selection;
	struct x402_json *json = NULL;
	char *text = NULL;

	if (x402_json_parse(x402_span(data, size), NULL, NULL, &json))
		return 0;
	if (x402_payment_required_read(json, NULL, &required) == X402_OK) {
		must(x402_select(&required, NULL, &selection) == X402_OK);
		if (selection.found) {
			const struct x402_payment_requirements *offer =
				&required.accepts[selection.index];
			const struct x402_default_asset *asset =
				x402_known_asset(
					x402_payment_requirements_caip2(offer),
					offer->asset);

			must(asset && asset->official);
			/* A dollar of six decimals, or of eighteen. */
			must(strlen(offer->amount) <= asset->decimals + 1u);
		}
		must(x402_selection_explain(&required, &selection, &text) ==
			X402_OK);
		free(text);
		x402_payment_required_clear(&required);
	}
	x402_json_unref(json);
	return 0;
}
