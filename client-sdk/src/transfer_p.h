/*
 * transfer_p.h: one call, driven step by step, private. Who drives waits for
 * one transfer (client.c) or for thousands (multi.c); what a step does is the
 * same.
 *
 *   x402__transfer_init()
 *   SEND     x402__transfer_send(), run the handle, x402__transfer_sent()
 *   WAIT     flow.wait_ms, then x402__flow_waited()
 *   RESERVE, SEND  x402__transfer_question(), once; then
 *   RESERVE, COMMIT   x402__transfers_journal(), for all that stand there
 *   DONE     x402__transfers_record(), then x402__transfer_finish()
 */
#ifndef X402_CLIENT_TRANSFER_P_H
#define X402_CLIENT_TRANSFER_P_H

#include "client_p.h"
#include "exchange_p.h"

struct x402__transfer {
	struct x402_client *client;
	struct x402_client_request request; /* borrows from the caller */
	struct x402__flow flow;
	struct x402__exchange exchange;
	struct x402_client_response *response;
	char method[33]; /* of a handle of the caller's */
	int64_t begun_ms;
	int64_t deadline_ms;
	int64_t purchase; /* held in the journal; 0: none */
	bool signed_now;
	bool asked;                         /* a node, or it need not be */
	struct x402__svm_facts svm;         /* asked before RESERVE */
	struct x402__sponsor_facts sponsor; /* as well */
	struct x402__send_facts send;       /* as well */
	const uint8_t *nonce32; /* NULL: random. A refund's says what for. */
	bool broadcast;         /* by this call */
	bool whole;             /* the last answer came to its end */
};

/*
 * easy NULL: request is sent on curl, a handle of ours. Else request is made
 * of easy. A request that cannot be sent is DONE at once.
 */
void x402__transfer_init(struct x402__transfer *transfer,
	struct x402_client *client, CURL *curl,
	const struct x402_client_easy *easy,
	const struct x402_client_request *request,
	struct x402_client_response *response);
/* False: nothing to run, look at the flow. */
X402_MUST_USE bool x402__transfer_send(struct x402__transfer *transfer);
void x402__transfer_sent(struct x402__transfer *transfer, CURLcode code);
/*
 * At RESERVE, before the journal: has a node to be asked first? At SEND: has it
 * to be given a transfer of ours first? Then its question and where it goes;
 * caller frees. NULL: no (look at the flow, which may have been refused). Asks
 * once.
 */
char *x402__transfer_question(
	struct x402__transfer *transfer, const char **ret_url);
/* answers NULL: none came. The flow stands as before, or is refused. */
void x402__transfer_answered(
	struct x402__transfer *transfer, const struct x402_json *answers);
/* Both, waiting for the node. */
void x402__transfer_ask(struct x402__transfer *transfer);
/*
 * Everything that stands at RESERVE and then at COMMIT, in two transactions
 * for all of them; the second is durable before this returns.
 */
void x402__transfers_journal(struct x402__transfer *const *list, size_t len);
/* Write the ends of those that hold a purchase, in one transaction. */
void x402__transfers_record(struct x402__transfer *const *list, size_t len);
/* Fill the response and let go of everything. The error of the call. */
X402_MUST_USE enum x402_err x402__transfer_finish(
	struct x402__transfer *transfer);

/* All of the above until its end, waiting on this thread. */
X402_MUST_USE enum x402_err x402__transfer_run(struct x402__transfer *transfer);

#endif
