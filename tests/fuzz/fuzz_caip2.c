/* Networks: what parses matches itself and its own family's pattern. */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct x402_network network;
	struct x402_asset_id asset;

	if (!text)
		return 0;
	if (x402_network_parse(text, &network) == X402_OK) {
		must(strcmp(network.caip2, text) == 0);
		must(x402_network_matches(text, text));
		must((network.family == X402_FAMILY_EVM) ==
			x402_network_matches("eip155:*", text));
		must((network.family == X402_FAMILY_EVM) ==
			(network.chain_id != 0));
	}
	(void)x402_network_from_v1_name(text);
	(void)x402_network_to_v1_name(text);
	(void)x402_default_asset_of(text);
	if (x402_asset_id_init("eip155:1", text, &asset) == X402_OK)
		must(strlen(asset.address) == 42);
	free(text);
	return 0;
}
