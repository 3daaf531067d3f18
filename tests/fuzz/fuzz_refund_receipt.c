/*
 * A node's receipt: whatever it says, what is chosen in it is a transfer of
 * something by somebody else to us, in its place; and without one there is a
 * text that says why.
 */
#include "fuzz_house.h"
#include "refund_p.h"

static void choose(const struct x402_json *receipt, size_t nth)
{
	struct x402__refund_transfer transfer = {.twin = UINT64_MAX};
	struct x402__refund_ask ask = {.nth = nth};
	char text[X402_CLIENT_REFUND_TEXT_SIZE] = "";
	uint8_t nonce32[32];

	memset(ask.hash32, 0xab, sizeof(ask.hash32));
	memset(ask.us.bytes, 0x11, sizeof(ask.us.bytes));
	if (x402__refund_choose(receipt, &ask, text, &transfer)) {
		must(text[0] && memchr(text, '\0', sizeof(text)));
		return;
	}
	must(transfer.twin < x402_json_size(x402_json_get(receipt, "logs")));
	must(!x402_address_equal(&transfer.from, &ask.us));
	must(!x402_address_is_zero(&transfer.from));
	must(!x402_u256_is_zero(&transfer.value));
	(void)!x402__refund_nonce(1, &ask, &transfer, nonce32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_json *receipt = NULL;
	char name[X402__REFUND_NAME_SIZE];
	char *text = fuzz_text(data, size);

	if (text && x402__refund_read_name(text, name))
		must(name[0] && memchr(name, '\0', sizeof(name)));
	free(text);
	if (x402_json_parse(x402_span(data, size), NULL, NULL, &receipt))
		return 0;
	for (size_t nth = 0; nth < 3; nth++)
		choose(receipt, nth);
	x402_json_unref(receipt);
	return 0;
}
