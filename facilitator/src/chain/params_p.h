/*
 * params_p.h: the JSON of calls and their parameters. Private to chain/.
 *
 * Each appends; a failure stays in the buffer (struct x402_buf).
 */
#ifndef FAC_CHAIN_PARAMS_P_H
#define FAC_CHAIN_PARAMS_P_H

#include "chain/chain.h"

/* 0x and digits, quoted. */
void fac_params_hex(struct x402_buf *buf, struct x402_span bytes);
/* The same of a number, as a node wants it: without leading zeros. */
void fac_params_quantity(struct x402_buf *buf, uint64_t value);
/* In decimal, unquoted. */
void fac_params_number(struct x402_buf *buf, uint64_t value);
/* A number, or one of the names of chain.h. */
void fac_params_block(struct x402_buf *buf, uint64_t block);
/*
 * The first parameter of eth_call, open for the block: "[{...},". gas 0 and
 * sender NULL: the node's own.
 */
void fac_params_call(struct x402_buf *buf, const struct x402_address *to,
	struct x402_span data, uint64_t gas, const struct x402_address *sender);
/* All parameters of a read; sender as in fac_params_call. */
void fac_params_read(struct x402_buf *buf, const struct x402_chain_read *read,
	const struct x402_address *sender, uint64_t block);

#endif
