/*
 * Written piece by piece: a batch of reads is some ten thousand bytes, and is
 * written for each turn of the loop.
 */
#include "chain/params_p.h"
#include "x402/encoding.h"

void fac_params_hex(struct x402_buf *buf, struct x402_span bytes)
{
	x402_buf_add_byte(buf, '"');
	x402_hex_encode_0x(bytes, buf);
	x402_buf_add_byte(buf, '"');
}

void fac_params_quantity(struct x402_buf *buf, uint64_t value)
{
	char text[20]; /* the quotes, 0x and 16 digits */
	size_t at = sizeof(text);

	text[--at] = '"';
	do
		text[--at] = "0123456789abcdef"[value & 15];
	while (value >>= 4);
	text[--at] = 'x';
	text[--at] = '0';
	text[--at] = '"';
	x402_buf_add(buf, x402_span(text + at, sizeof(text) - at));
}

void fac_params_number(struct x402_buf *buf, uint64_t value)
{
	char text[20]; /* as many digits as 2^64 has */
	size_t at = sizeof(text);

	do
		text[--at] = (char)('0' + value % 10);
	while (value /= 10);
	x402_buf_add(buf, x402_span(text + at, sizeof(text) - at));
}

void fac_params_block(struct x402_buf *buf, uint64_t block)
{
	if (block == FAC_CHAIN_LATEST)
		x402_buf_add_str(buf, "\"latest\"");
	else if (block == FAC_CHAIN_SAFE)
		x402_buf_add_str(buf, "\"safe\"");
	else if (block == FAC_CHAIN_FINALIZED)
		x402_buf_add_str(buf, "\"finalized\"");
	else
		fac_params_quantity(buf, block);
}

void fac_params_call(struct x402_buf *buf, const struct x402_address *to,
	struct x402_span data, uint64_t gas, const struct x402_address *sender)
{
	x402_buf_add_str(buf, "[{\"to\":");
	fac_params_hex(buf, x402_span(to->bytes, 20));
	if (sender) {
		x402_buf_add_str(buf, ",\"from\":");
		fac_params_hex(buf, x402_span(sender->bytes, 20));
	}
	if (gas) {
		x402_buf_add_str(buf, ",\"gas\":");
		fac_params_quantity(buf, gas);
	}
	x402_buf_add_str(buf, ",\"data\":");
	fac_params_hex(buf, data);
	x402_buf_add_str(buf, "},");
}

void fac_params_read(struct x402_buf *buf, const struct x402_chain_read *read,
	const struct x402_address *sender, uint64_t block)
{
	if (read->kind == X402_READ_CALL) {
		fac_params_call(buf, &read->to, read->data, read->gas, sender);
	} else {
		x402_buf_add_byte(buf, '[');
		fac_params_hex(buf, x402_span(read->to.bytes, 20));
		x402_buf_add_byte(buf, ',');
	}
	fac_params_block(buf, block);
	x402_buf_add_byte(buf, ']');
}
