/*
 * What a contract said when it reverted: Error(string), Panic(uint256), or a
 * custom error by its selector (protocol.md 2.5). The text goes to people and
 * to the rules of F-054; it comes from a stranger's contract, so it is cut to
 * size and freed of control characters.
 */
#include "x402/abi.h"

static const struct {
	uint32_t selector;
	const char *name;
} custom_errors[] = {
	{0x050cda49, "Permit2612AmountMismatch()"},
	{0x2c5211c6, "InvalidAmount()"},
	{0x3728b83d, "InvalidAmount(uint256)"},
	{0xac6b05f5, "InvalidDestination()"},
	{0x49e27cff, "InvalidOwner()"},
	{0xa65539fa, "PaymentTooEarly()"},
	{0x8baa579f, "InvalidSignature()"},
	{0x815e1d64, "InvalidSigner()"},
	{0x4be6321b, "InvalidSignatureLength()"},
	{0xb0669cbc, "InvalidContractSignature()"},
	{0xcd21db4f, "SignatureExpired(uint256)"},
	{0x756688fe, "InvalidNonce()"},
	{0xfe64b4c7, "AmountExceedsPermitted()"},
	{0x0f6fae87, "UnauthorizedFacilitator()"},
	{0xe450d38c, "ERC20InsufficientBalance(address,uint256,uint256)"},
	{0xfb8f41b2, "ERC20InsufficientAllowance(address,uint256,uint256)"},
	{0x4e487b71, "Panic(uint256)"},
};

#define SELECTOR_ERROR_STRING 0x08c379a0

static void copy_clean(struct x402_span text, char *ret_text, size_t size)
{
	size_t n = text.len < size - 1 ? text.len : size - 1;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = text.ptr[i];

		ret_text[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
	ret_text[n] = '\0';
}

static void copy_hex(uint32_t selector, char *ret_text, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char text[11] = "0x";

	for (int i = 0; i < 8; i++)
		text[2 + i] = digits[selector >> 4 * (7 - i) & 15];
	text[10] = '\0';
	copy_clean(x402_span_str(text), ret_text, size);
}

void x402_abi_revert_text(
	struct x402_span revert_data, char *ret_text, size_t size)
{
	const uint8_t *p = revert_data.ptr;
	struct x402_span arguments;
	struct x402_span text;
	uint32_t selector;

	if (size == 0)
		return;
	ret_text[0] = '\0';
	if (revert_data.len < 4)
		return;
	selector = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		(uint32_t)p[2] << 8 | p[3];
	arguments = x402_span(p + 4, revert_data.len - 4);
	if (selector == SELECTOR_ERROR_STRING &&
		x402_abi_read_bytes(arguments, 0, &text) == X402_OK) {
		copy_clean(text, ret_text, size);
		return;
	}
	for (size_t i = 0; i < sizeof(custom_errors) / sizeof(custom_errors[0]);
		i++) {
		if (custom_errors[i].selector == selector) {
			copy_clean(x402_span_str(custom_errors[i].name),
				ret_text, size);
			return;
		}
	}
	copy_hex(selector, ret_text, size);
}
