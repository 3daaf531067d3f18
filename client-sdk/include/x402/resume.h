/*
 * resume.h: find out what became of purchases that are open in the journal.
 *
 * After a crash, a lost reply or a refusal, an authorization may have been
 * charged and may still be. In this order, whoever can tell is asked: the
 * facilitator that you name, the chain, and the server itself, which is shown
 * the same authorization again. Nothing is ever signed here.
 *
 * A purchase is proven paid when the chain says that its authorization is
 * used; it is proven dead when it is unused in a block past its validBefore.
 * On Solana: paid when the transaction is there, dead when its blockhash is
 * over in a finalized block 15 minutes later and the payer's transactions,
 * looked through after that, hold none with its signature. Everything else
 * stays unknown. An upto payment that only the chain proves counts its most.
 *
 * Thread rule: as in client.h; it uses the client and its journal.
 */
#ifndef X402_RESUME_H
#define X402_RESUME_H

#include "x402/client.h"
#include "x402/journal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A chain that can be asked. */
struct x402_client_endpoint {
	const char *network; /* CAIP-2 */
	const char *url;     /* JSON-RPC over http or https */
};

enum x402_client_proof {
	X402_CLIENT_PROOF_NONE, /* it cannot be told, or not yet */
	X402_CLIENT_PROOF_PAID,
	X402_CLIENT_PROOF_DEAD /* it can never be charged any more */
};

struct x402_client_resume_options {
	/* Optional: one for each network; borrowed for the call. */
	const struct x402_client_endpoint *endpoints;
	size_t endpoints_len;
	/*
	 * The block that "dead" is proven at; default "finalized". "latest"
	 * is for chains without reorganisation.
	 */
	const char *block_tag;
	/*
	 * Optional: a facilitator that has GET /payments/{hash}. You trust
	 * its word as much as the chain's.
	 */
	const char *facilitator_url;
	/*
	 * Optional: your own proof, asked first. NONE asks further.
	 * ret_transaction is "" or a text of at most 95 bytes.
	 */
	enum x402_client_proof (*prove)(void *user,
		const struct x402_purchase *purchase,
		char ret_transaction[X402_CLIENT_TRANSACTION_SIZE]);
	/*
	 * Optional: present the authorization again where the request was a
	 * GET (its body is not in the journal otherwise), and hand over the
	 * answer. Without it the server is not asked.
	 */
	void (*on_response)(void *user, const struct x402_purchase *purchase,
		enum x402_err err, struct x402_client_response *response);
	/* Optional: told of each purchase as it stands afterwards. */
	void (*on_purchase)(void *user, const struct x402_purchase *purchase);
	void *user;
};
#define X402_CLIENT_RESUME_OPTIONS_INIT \
	{                               \
		0                       \
	}

struct x402_client_resumed {
	uint64_t looked_at;
	uint64_t delivered;
	uint64_t undelivered;
	uint64_t unpaid;
	uint64_t unknown; /* still */
};

/*
 * Look at every purchase that is open and that no living process works on.
 * options may be NULL: then only reservations without a signature are let go.
 * INVALID_ARGUMENT when the client has no journal, STORE, NOMEM. An endpoint
 * that does not answer is no error: its purchases stay unknown.
 */
X402_API X402_MUST_USE enum x402_err x402_client_resume(
	struct x402_client *client,
	const struct x402_client_resume_options *options,
	struct x402_client_resumed *ret_resumed);

#ifdef __cplusplus
}
#endif
#endif
