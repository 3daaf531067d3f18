/*
 * mined_p.h: one transaction as a block has it (X402_READ_MINED): how it was
 * sent, what came of it, when, and how deep it lies. Private to chain/.
 */
#ifndef FAC_CHAIN_MINED_P_H
#define FAC_CHAIN_MINED_P_H

#include "chain/rpc_p.h"

/* As fac_chain_read, of one read of that kind. */
void fac_mined_read(struct fac_rpc *rpc,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user);

#endif
