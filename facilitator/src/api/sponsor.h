/*
 * sponsor.h: the approval that a payment waits for (x402 F-075): the payer's
 * gas money if it has too little, the broadcast, the wait for its block.
 *
 * Not for: judging the approval; that was the scheme's (permit2_approval.c).
 * Whoever comes back from here verifies anew: nothing here says that the
 * payment is good.
 * Thread rule: one worker's thread.
 */
#ifndef FAC_API_SPONSOR_H
#define FAC_API_SPONSOR_H

#include "api/judging.h"

/* How it ended: reason NONE where the approval is mined, or another's is. */
struct fac_sponsor_end {
	enum x402_reason reason;
	/* Nothing is known against the payer: ask again. */
	bool fault;
	char message[FAC_MESSAGE_SIZE];
};

struct fac_sponsoring {
	struct fac_judging *judging;
	struct fac_step (*done)(struct fac_sponsoring *sponsoring);
	struct fac_sponsor_end end; /* for done */
	/* Private from here on. */
	struct fac_timer *timer;
	uint64_t deadline_ms; /* the loop's clock */
	uint64_t gift_until_ms;
	unsigned starts;
	unsigned polls;
	uint64_t sent_ms;  /* a node took it; 0: it was found since */
	uint64_t pause_ms; /* between looks for it */
	unsigned looks;    /* for it */
	unsigned misses;
	uint64_t ticket; /* of the engine, while it gives */
	bool gift_asked;
	bool funds_late; /* the node does not see the gift yet */
	struct x402_address payer;
	struct x402_u256 cost_wei;
	struct x402_u256 gift_wei; /* what is given, once it was asked */
	struct x402_u256 max_fee_per_gas;
	uint64_t nonce;
	struct x402_buf raw;
	uint8_t hash32[32];
};

/*
 * The judging's plan has an approval. done runs once, before deadline_ms or
 * soon after. May be started again after it ended. sponsoring is zeroed memory
 * that lives as long as the request.
 */
struct fac_step fac_sponsor_start(struct fac_sponsoring *sponsoring,
	struct fac_judging *judging, uint64_t deadline_ms,
	struct fac_step (*done)(struct fac_sponsoring *sponsoring));
void fac_sponsor_clear(struct fac_sponsoring *sponsoring);

#endif
