/*
 * judging.h: one verification, from the body to the verdict. /verify answers
 * with it and /settle starts with it: the same code, the same sender, the
 * same block tag (R5, x402 F-042).
 *
 * Thread rule: one worker's thread.
 */
#ifndef FAC_API_JUDGING_H
#define FAC_API_JUDGING_H

#include "api/api.h"

struct fac_judging {
	struct fac_request *request;
	struct x402_json *body;
	struct x402_facilitator_request question;
	bool has_question; /* question was read; else verdict says why not */
	struct x402_verify_plan plan;
	bool has_plan;
	const struct fac_app_chain *chain;
	uint64_t deadline_ms; /* the loop's clock */
	unsigned rounds;
	enum x402_phase phase; /* set before the start */
	/* The result. fault: no verdict could be reached, verdict tells. */
	bool fault;
	struct x402_verdict verdict;
	struct fac_step (*done)(struct fac_judging *judging);
};

/*
 * Read the body of the request and judge the payment in it; done goes on
 * with the verdict. Answers by itself (400, 413) what is no question at all.
 * judging is zeroed memory that lives as long as the request.
 */
struct fac_step fac_judging_start(struct fac_judging *judging,
	struct fac_request *request, uint32_t timeout_ms,
	struct fac_step (*done)(struct fac_judging *judging));
/*
 * Judge the same payment anew, until a time of the loop's clock: something
 * was done about what the last verdict said. Its done runs again.
 */
struct fac_step fac_judging_again(
	struct fac_judging *judging, uint64_t deadline_ms);
void fac_judging_clear(struct fac_judging *judging);
/* The network as the caller spelled it, or "". */
const char *fac_judging_wire_network(const struct fac_judging *judging);

#endif
