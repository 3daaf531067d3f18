/*
 * flow_p.h: the client's flow without I/O, private to the client.
 *
 *   x402__flow_init()      -> look at flow->step
 *   SEND: send flow->url, flow->method, flow->headers (and flow->payment's
 *         header when x402__flow_pays()), the body when flow->send_body;
 *         then x402__flow_received() or x402__flow_failed()
 *   WAIT: let flow->wait_ms pass, then x402__flow_waited()
 *   RESERVE: may flow->payment's terms be bought? x402__flow_sign() for a new
 *         authorization, x402__flow_present() for one that is open already,
 *         x402__flow_refuse()
 *   COMMIT: an authorization exists; make it durable, x402__flow_committed()
 *   DONE: flow->err, flow->cause, flow->payment
 *
 * x402__flow_give_up() ends it from any step. Time and nonce are arguments,
 * so every test is exact and the whole of it can be fuzzed.
 */
#ifndef X402_CLIENT_FLOW_P_H
#define X402_CLIENT_FLOW_P_H

#include "headers_p.h"
#include "send_p.h"
#include "sponsor_p.h"
#include "svm_p.h"
#include "url_p.h"

/* One answer of the server, borrowed. */
struct x402__message {
	long status;
	const struct x402_client_header *headers;
	size_t headers_len;
	struct x402_span body;
};

/* What the pure core cannot have by itself. */
struct x402__inputs {
	uint64_t now_unix_s;
	uint8_t nonce32[32];                /* fresh for every call */
	struct x402__svm_facts svm;         /* for an offer on Solana */
	struct x402__sponsor_facts sponsor; /* for one through Permit2 */
	struct x402__send_facts send;       /* for one by a transfer of ours */
};

enum x402__flow_step {
	X402__FLOW_SEND,
	X402__FLOW_WAIT,
	X402__FLOW_RESERVE,
	X402__FLOW_COMMIT,
	X402__FLOW_DONE
};

struct x402__flow {
	/* Borrowed; options has its defaults filled in. */
	const struct x402_client_options *options;
	const struct x402_client_signer *signer; /* NULL: cannot pay */
	struct x402__svm *svm;                   /* NULL: not on Solana */
	struct x402_create_cache *cache;         /* or NULL */
	const struct x402_client_request *request;

	enum x402__flow_step step;
	uint64_t wait_ms;

	/* What to send. */
	const char *method;
	struct x402__http_url url;
	struct x402_client_headers headers;
	bool send_body;

	/*
	 * A handle's own URL, not looked at yet: most requests cost nothing,
	 * and then nobody has to know its parts. NULL once it is known.
	 */
	char *unparsed;

	/* Where it stands. */
	struct x402__http_url asked; /* the URL of the request */
	struct x402_client_payment payment;
	struct x402_payment_required challenge; /* of the offer, owned */
	struct x402_json *challenge_json;
	struct x402_json *offer_json; /* what was signed for */
	bool brought;                 /* the caller's own payment header */
	bool resumed;                 /* the journal's */
	/*
	 * The handle is the caller's: its method and credentials cannot be
	 * changed, so only redirects that need neither are followed.
	 */
	bool fixed;
	bool present_only;  /* never sign: limits have nothing to say */
	size_t offer_index; /* of the challenge, from RESERVE on */
	bool hook_resent;
	bool signed_in;    /* tried it, once */
	bool ambiguous;    /* a reply to the payment was lost or undecided */
	bool seen_pending; /* the server has said settlement_pending */
	unsigned hops;
	unsigned retries_used;
	unsigned pending_used;
	unsigned represented;

	/* The end. */
	enum x402_err err;
	enum x402_client_cause cause;
	struct x402_errinfo error;
};

/* Fill in the defaults. INVALID_ARGUMENT for values that cannot be. */
X402_MUST_USE enum x402_err x402__options_resolve(
	const struct x402_client_options *options,
	struct x402_client_options *ret_options);

/*
 * Begin. Never fails as a call: a request that cannot be sent is DONE with
 * its error. Clear always.
 */
void x402__flow_init(struct x402__flow *flow,
	const struct x402_client_options *options,
	const struct x402_client_signer *signer,
	const struct x402_client_request *request);
void x402__flow_clear(struct x402__flow *flow);

/*
 * The same for a handle that has its URL and method already: the URL is read
 * when it is needed.
 */
void x402__flow_init_fixed(struct x402__flow *flow,
	const struct x402_client_options *options,
	const struct x402_client_signer *signer,
	const struct x402_client_request *request);
/* Make flow->url and flow->asked known. False: DONE, it is no URL. */
X402_MUST_USE bool x402__flow_know_url(struct x402__flow *flow);
/* Is an answer with this status the last one, whatever its headers say? */
bool x402__flow_ends_with(const struct x402__flow *flow, long status);

/* Does the next request carry the payment header? */
bool x402__flow_pays(const struct x402__flow *flow);

void x402__flow_received(
	struct x402__flow *flow, const struct x402__message *message);

/* DONE, for this cause: its error and texts are set. */
void x402__flow_finish(struct x402__flow *flow, enum x402_client_cause cause);

/* ---- flow_redirect.c, before paying. ---- */

bool x402__flow_is_redirect(long status);
/* The place to follow, NULL when the redirect is the answer. */
const char *x402__flow_find_redirect(
	const struct x402__flow *flow, const struct x402__message *message);
/* SEND at the new place, or DONE: it is not gone to. */
void x402__flow_follow_redirect(
	struct x402__flow *flow, long status, const char *location);

/* ---- flow.c ---- */

/* How a request ended without a whole answer. */
struct x402__failure {
	enum x402_client_cause cause; /* TRANSPORT, TIMEOUT, TOO_LARGE, ... */
	bool sent;     /* some byte of the request may have left */
	bool streamed; /* some of the body is the caller's already */
	const char *text;
	/* Status and headers when they came whole; NULL otherwise. */
	const struct x402__message *head;
};
void x402__flow_failed(
	struct x402__flow *flow, const struct x402__failure *failure);
void x402__flow_waited(struct x402__flow *flow);

/* From RESERVE: sign. The step is then COMMIT, or DONE with an error. */
void x402__flow_sign(
	struct x402__flow *flow, const struct x402__inputs *inputs);
/* From RESERVE: present this header (copied) and no other. */
void x402__flow_present(struct x402__flow *flow, const char *header_name,
	const char *header_text);
/* From RESERVE or COMMIT: not paid. info may be NULL. */
void x402__flow_refuse(struct x402__flow *flow, enum x402_client_cause cause,
	const struct x402_errinfo *info);
/* From COMMIT: it is durable. The caller's hook is asked, then it is sent. */
void x402__flow_committed(struct x402__flow *flow);

/*
 * May the flow go on after an answer that begins like this? Then its body is
 * not the caller's.
 */
bool x402__flow_holds(
	const struct x402__flow *flow, const struct x402__message *head);
/* The deadline passed or the caller has had enough. */
void x402__flow_give_up(struct x402__flow *flow, enum x402_client_cause cause);

#endif
