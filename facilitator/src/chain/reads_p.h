/*
 * reads_p.h: the reads of a loop turn, brought together. Private to chain/.
 */
#ifndef FAC_CHAIN_READS_P_H
#define FAC_CHAIN_READS_P_H

#include "chain/rpc_p.h"

struct fac_reads;

/* rpc and loop must outlive it. */
X402_MUST_USE enum x402_err fac_reads_new(struct fac_loop *loop,
	struct fac_rpc *rpc, struct fac_reads **ret_reads);
/* After fac_rpc_free, which ends what was asked. NULL allowed. */
void fac_reads_free(struct fac_reads *reads);

/* As fac_chain_read. */
void fac_reads_ask(struct fac_reads *reads,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user);

#endif
