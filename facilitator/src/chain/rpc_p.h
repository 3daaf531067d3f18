/*
 * rpc_p.h: JSON-RPC over HTTP to a list of endpoints, in batches. Private to
 * chain/.
 *
 * Thread rule: the thread of the loop.
 */
#ifndef FAC_CHAIN_RPC_P_H
#define FAC_CHAIN_RPC_P_H

#include "chain/chain.h"
#include "x402/json.h"

struct fac_rpc;

enum fac_rpc_status {
	FAC_RPC_RESULT,   /* result is the member "result" */
	FAC_RPC_ERROR,    /* the chain answered with an error */
	FAC_RPC_FAULT,    /* nobody gave a usable answer in time */
	FAC_RPC_CANCELLED /* fac_rpc_free */
};
struct fac_rpc_answer {
	enum fac_rpc_status status;
	const struct x402_json *result; /* RESULT; JSON null is NULL */
	int64_t code;                   /* ERROR */
	const char *message;            /* ERROR; "" when absent */
	const struct x402_json *data;   /* ERROR; or NULL */
	size_t endpoint;                /* RESULT, ERROR: whose word it is */
};

X402_MUST_USE enum x402_err fac_rpc_new(
	const struct fac_chain_options *options, struct fac_rpc **ret_rpc);
void fac_rpc_free(struct fac_rpc *rpc);

/* A question and who waits for its answer. */
struct fac_rpc_question {
	const char *method;      /* a literal */
	struct x402_span params; /* JSON text of an array; copied */
	uint32_t timeout_ms;     /* 0: the default */
	void (*done)(void *user, const struct fac_rpc_answer *answer);
	void *user;
};
/* Queue it for this turn's batch. done runs once, later, in time. */
void fac_rpc_call(struct fac_rpc *rpc, const struct fac_rpc_question *question);
/*
 * To one endpoint only, also while it rests: with what else of this turn goes
 * to it alone, apart from the reads, never hedged and never repeated.
 */
void fac_rpc_call_endpoint(struct fac_rpc *rpc, size_t endpoint,
	const struct fac_rpc_question *question);

/* What a timeout of 0 means. */
uint32_t fac_rpc_timeout_ms(const struct fac_rpc *rpc, uint32_t timeout_ms);
size_t fac_rpc_endpoints(const struct fac_rpc *rpc);
struct fac_chain_stats fac_rpc_stats(const struct fac_rpc *rpc);

#endif
