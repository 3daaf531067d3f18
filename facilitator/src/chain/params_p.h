/*
 * params_p.h: pieces of JSON-RPC parameters. Private to chain/.
 */
#ifndef FAC_CHAIN_PARAMS_P_H
#define FAC_CHAIN_PARAMS_P_H

#include "chain/chain.h"
#include "x402/encoding.h"

static inline void fac_params_hex(struct x402_buf *buf, struct x402_span bytes)
{
	x402_buf_add_byte(buf, '"');
	x402_hex_encode_0x(bytes, buf);
	x402_buf_add_byte(buf, '"');
}

/* A number, or one of the names of chain.h. */
static inline void fac_params_block(struct x402_buf *buf, uint64_t block)
{
	if (block == FAC_CHAIN_LATEST)
		x402_buf_add_str(buf, "\"latest\"");
	else if (block == FAC_CHAIN_SAFE)
		x402_buf_add_str(buf, "\"safe\"");
	else if (block == FAC_CHAIN_FINALIZED)
		x402_buf_add_str(buf, "\"finalized\"");
	else
		x402_buf_printf(buf, "\"0x%llx\"", (unsigned long long)block);
}

#endif
