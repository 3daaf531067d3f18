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
};

X402_MUST_USE enum x402_err fac_rpc_new(
	const struct fac_chain_options *options, struct fac_rpc **ret_rpc);
void fac_rpc_free(struct fac_rpc *rpc);

/*
 * Queue a call for this turn's batch. params is taken: JSON text of an array.
 * done runs once, later, by timeout_ms (0: the default).
 */
void fac_rpc_call(struct fac_rpc *rpc, const char *method,
	struct x402_buf *params, uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_rpc_answer *answer),
	void *user);

struct fac_chain_stats fac_rpc_stats(const struct fac_rpc *rpc);

/* One call to one endpoint only, apart from every batch. */
size_t fac_rpc_endpoints(const struct fac_rpc *rpc);
void fac_rpc_call_endpoint(struct fac_rpc *rpc, size_t endpoint,
	const char *method, uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_rpc_answer *answer),
	void *user);

#endif
