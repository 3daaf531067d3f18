/*
 * crawler_p.h: who is a crawler, which one, and what it may do; and the holders
 * of a token. Private to the provider SDK.
 *
 *   crawler.c   lists, identities, the crawler-price headers
 *   botauth.c   Web Bot Auth: RFC 9421 signatures with Ed25519
 *   holder.c    a balance of a token, read from a chain
 */
#ifndef X402_PROVIDER_CRAWLER_P_H
#define X402_PROVIDER_CRAWLER_P_H

#include "gate_p.h"
#include "x402/svm.h"

/* A signature base is some lines; header blocks are bounded likewise. */
#define X402__BOT_TEXT_MAX 4096

/* What a signature says, taken from the request while it is there. */
struct x402__bot_proof {
	char *base; /* what was signed */
	uint8_t sig64[64];
	char keyid[64]; /* thumbprint in base64url */
	uint64_t expires_unix_s;
};

/* Read a proof for an authority. NULL when there is none that could hold. */
struct x402__bot_proof *x402__bot_proof_read(
	const struct x402_gate_request *request, const char *directory,
	struct x402_span authority, uint64_t now_unix_s);
void x402__bot_proof_free(struct x402__bot_proof *proof);

/* From the directory's JSON: those that are for us. */
void x402__bot_keys_read(
	struct x402_span json, struct x402__bot_keys *ret_keys);
bool x402__bot_proof_holds(const struct x402__bot_proof *proof,
	const struct x402__bot_keys *keys, uint64_t now_unix_s);
/* Is its key among them, whether or not it is good just now? */
bool x402__bot_key_listed(
	const struct x402__bot_proof *proof, const struct x402__bot_keys *keys);

/* True when the request is decided, or an ASK was made. */
bool x402__crawler_decides(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision);
void x402__crawler_answered(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	struct x402_gate_decision *ret_decision);
/* crawler-price or crawler-charged, where they are wanted. */
void x402__crawler_add_price(struct x402_gate *gate, const char *name,
	struct x402_gate_decision *decision);

X402_MUST_USE enum x402_err x402__holders_read(
	const struct x402_provider_holder *from, size_t len,
	struct x402_errinfo *info, const char *field,
	struct x402__holder **ret_holders);
void x402__holders_free(struct x402__holder *holders, size_t len);
/* Does gate->from hold what it needs? An ASK, or what follows from it. */
void x402__holder_decides(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision);
void x402__holder_answered(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	struct x402_gate_decision *ret_decision);

#endif
