/*
 * gate_p.h: what a gate holds, shared by the files that make it up:
 *   gate.c          the flow, from begin to delivered
 *   gate_payment.c  is there a payment, and is it one for this route?
 *   gate_facilitator.c  what the facilitator says, and whether it counts
 *   gate_memory.c   who holds the payment, and what became of it
 *   gate_end.c      the ways out, each with its bookkeeping
 *   access.c        may it pass without paying?
 *   gate_call.c     reads of a chain, for access.c
 *   gate_questions.c  what others may ask
 *   gate_amount.c   what is charged, where the handler may say so
 *   gate_answer.c   what the client and the facilitator are told
 * Private to the provider SDK.
 */
#ifndef X402_PROVIDER_GATE_P_H
#define X402_PROVIDER_GATE_P_H

#include "provider_p.h"

/* Where a gate stands; each public function may be called in one of them. */
enum x402__gate_state {
	X402__GATE_NEW,
	X402__GATE_CRAWLER, /* asked for a crawler's keys */
	X402__GATE_SIWX,    /* asked a contract about a signature */
	X402__GATE_HOLDER,  /* asked for a balance */
	X402__GATE_VERIFYING,
	X402__GATE_SETTLING_FIRST, /* asked before; settle, then handler */
	X402__GATE_HANDLER,
	X402__GATE_SETTLING,
	X402__GATE_DELIVERING,
	X402__GATE_DONE
};

/* Strings of one decision: headers, body, URL, and some. */
#define X402__GATE_KEPT_MAX 16
/* x402 P-101: a moved facilitator is followed, a loop is not. */
#define X402__REDIRECTS_MAX 2
/* A reason is a word, sometimes with a text behind it (section 7.3). */
#define X402__REASON_MAX 256

struct x402__bot_proof;

struct x402_gate {
	struct x402_provider *provider;
	enum x402__gate_state state;

	/* The request. */
	char *method;
	struct x402__path path;
	char *query;               /* without '?' */
	struct x402__route *route; /* NULL: none matched */
	bool method_matches;
	char client[X402__IP_TEXT_SIZE]; /* "" while unknown */
	uint64_t now_unix_s;
	uint8_t resource32[32]; /* method, path and query, and some bodies */
	struct x402_span body;  /* while it begins: for a price */
	enum x402_gate_access access;
	bool is_crawler;               /* says so, or is known as one */
	struct x402__crawler *crawler; /* which one it says */
	struct x402__bot_proof *bot_proof;
	const char *siwx_reason;     /* a proof was refused for it, or NULL */
	size_t holder;               /* the rule that is asked about */
	bool must_hold;              /* paid at the price of holders */
	bool wants_page;             /* a browser asks, and there is a page */
	bool named;                  /* we hold its payment-identifier */
	bool failed;                 /* the handler did: no pass for it */
	struct x402__prices *prices; /* what this request is told */
	char *url;                   /* of the resource, as buyers see it */

	/* The payment: its version, what was sent, and which offer it takes. */
	int version;   /* 0 while there is none */
	bool v1_asked; /* the client speaks v1, whether or not it paid */
	bool by_proof; /* it came as X-Payment-Proof, without extensions */
	struct x402_facilitator_request request; /* payload owned */
	struct x402_payment_requirements v2;     /* our offer, owned tree */
	const struct x402__offer *offer;
	struct x402__prices *offer_prices; /* the set that it is in */
	char amount[X402_U256_DEC_SIZE];   /* what is charged for it */
	struct x402_address from;
	bool is_svm; /* payer is an account of Solana, and from is not set */
	char payer[X402_ACCOUNT_TEXT_SIZE];
	uint64_t expires_unix_s;

	/* The claim on it. */
	struct x402_claim_key key;
	bool claimed;
	bool settled;     /* money has moved for this claim */
	bool maybe_moved; /* asked to settle; outcome unknown */
	/* ... and asked before that: a no to the second question says nothing
	 * about the first. */
	bool asked_before;
	char *receipt; /* header text of the settlement */
	char *transaction;
	char *cache_control;    /* the handler's, until it is delivered */
	struct x402_buf replay; /* its response, where that is kept */
	uint8_t terms32[32];    /* what is bought, on which terms */

	/* The talk with the facilitator. */
	char *ask_body;
	char *ask_url; /* where a redirect led; NULL: as configured */
	size_t facilitator;
	unsigned asked; /* facilitators that were asked to verify, as bits */
	unsigned redirects;
	bool pending_retried;
	char idempotency_key[65];
	char hold_s[8];

	char *kept[X402__GATE_KEPT_MAX];
	size_t kept_len;
};

/* ---- gate.c ---- */

/* Claim a payment that is good as far as we know, and ask about it. */
void x402__gate_begin_claim(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision);

/* ---- gate_call.c ---- */

/* eth_call; calldata is cleared. False when memory is out. */
bool x402__gate_ask_call(struct x402_gate *gate, const char *url,
	const struct x402_address *to, struct x402_buf *calldata,
	uint32_t timeout_ms, struct x402_gate_decision *ret_decision);
/* The word that it returned; false for anything else. */
bool x402__gate_read_call(const struct x402_gate_facilitator_answer *answer,
	uint8_t ret_word32[32]);

/* ---- gate_payment.c ---- */

/* What reading the payment came to. */
enum x402__payment_outcome {
	X402__PAYMENT_NONE,     /* answer 402 with this reason */
	X402__PAYMENT_REFUSED,  /* likewise */
	X402__PAYMENT_SMUGGLED, /* answer 400 with this text */
	X402__PAYMENT_FAULT,    /* our own: answer 500 */
	X402__PAYMENT_GOOD      /* offline, that is */
};

/*
 * Find, decode and check the request's payment, all that needs nobody else.
 * *ret_reason is a constant.
 */
enum x402__payment_outcome x402__gate_read_payment(struct x402_gate *gate,
	const struct x402_gate_request *request, const char **ret_reason);

/* ---- gate_memory.c ---- */

/* The verbs of provider_memory.h, of the program's memory or our own. */
enum x402_claim x402__gate_remember_claim(
	struct x402_gate *gate, uint64_t now_unix_s, char **ret_receipt);
X402_MUST_USE bool x402__gate_remember_asking(struct x402_gate *gate);
bool x402__gate_recall(
	struct x402_gate *gate, struct x402_claim_note *ret_note);
/* Of a payment that had settled: its transaction, for who asks. */
void x402__gate_recall_receipt(struct x402_gate *gate);
void x402__gate_remember_settled(struct x402_gate *gate);
void x402__gate_remember_end(struct x402_gate *gate, enum x402_claim_end end);

/* ---- gate_amount.c ---- */

/*
 * What a handler asks for an offer of upto, as atomic units (L-037). False for
 * nonsense, more than was offered, or any other amount of another scheme.
 */
bool x402__charge_amount(const struct x402_payment_requirements *offer,
	unsigned decimals, const char *asked,
	char ret_amount[X402_U256_DEC_SIZE]);
/* A handler of upto may have used nothing (F-079). */
bool x402__charges_nothing(const struct x402_gate *gate);

/* ---- access.c ---- */

/* True when the request is decided without a payment. */
bool x402__gate_access(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision);
bool x402__gate_brings_payment(const struct x402_gate_request *request);
/* Who asks, behind proxies of our own. False when that is no address. */
bool x402__gate_client(const struct x402_provider *provider,
	const struct x402_gate_request *request,
	char ret_client[X402__IP_TEXT_SIZE]);
/* A wallet is proven: has it paid, or does it hold? */
void x402__gate_signed_in(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision);
/* None of it: a free request of the day, or the price. */
void x402__gate_unfavoured(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision);
/* Is needle in a header's value, without regard to case? */
bool x402__value_has(struct x402_span value, const char *needle);
/* The only value of a header. */
bool x402__one_header(const struct x402_gate_request *request, const char *name,
	struct x402_span *ret_value);

/* ---- pass.c ---- */

/* What a pass of the gate's route is good for. */
void x402__scope_write(const struct x402_gate *gate, uint8_t ret_scope16[16]);
/* Give who has just paid a pass, where the route has some. */
void x402__pass_give(
	struct x402_gate *gate, struct x402_gate_decision *decision);
/* Does the request bring a pass that is good here? Counts its use. */
bool x402__pass_taken(
	struct x402_gate *gate, const struct x402_gate_request *request);

/* ---- identifier.c ---- */

enum x402__identifier {
	X402__IDENTIFIER_GOOD,
	X402__IDENTIFIER_BAD,   /* answer 400 */
	X402__IDENTIFIER_TAKEN, /* answer 409 */
	X402__IDENTIFIER_HAD    /* bought before, and the response is there */
};
/* Append the member "payment-identifier" of a challenge's extensions. */
void x402__identifier_declare(
	const struct x402__route *route, struct x402_buf *buf);
/* Is there a name, where names count? False also for a malformed one. */
bool x402__identifier_given(const struct x402_gate *gate);
/* Of a payment that has been read. Of HAD the payment that has the name, and
 * the response that it bought; clear that in any case. */
enum x402__identifier x402__identifier_check(struct x402_gate *gate,
	struct x402_claim_name *ret_name, struct x402_buf *ret_response);
/* Have these very bytes bought a response that is still there? */
bool x402__identifier_had(struct x402_gate *gate);
/* Before it is asked to settle. False when the name is another payment's, or
 * cannot be remembered. */
bool x402__identifier_take(struct x402_gate *gate);
/* It was refused for good: the buyer may sign anew under the same name. */
void x402__identifier_give_back(struct x402_gate *gate);
/* Keep what was bought under the name. */
void x402__identifier_keep(struct x402_gate *gate, struct x402_span response);

/* ---- replay.c ---- */

/* A handler is done; its response may have to be sent again one day. */
void x402__replay_note(
	struct x402_gate *gate, const struct x402_gate_handler_result *result);
/* The money has moved: keep it. Before it leaves. */
void x402__replay_store(struct x402_gate *gate);
/* Is there a response that can be read, and is its time not over? */
bool x402__replay_is_fresh(
	const struct x402_gate *gate, struct x402_span response);
/* Send it again; response is taken over. */
void x402__replay_answer(struct x402_gate *gate, struct x402_buf *response,
	struct x402_gate_decision *ret_decision);

/* ---- gate_signed.c ---- */

/* Is the payment signed by the payer's own key, as far as that can be known
 * without a chain? Also false for contract wallets. */
bool x402__gate_payer_signed(const struct x402_gate *gate);

/* ---- proof.c ---- */

/* An offer with the reference that extra says, if that is one of ours for this
 * resource. NOT_FOUND for any other; NOMEM. */
X402_MUST_USE enum x402_err x402__proof_offer_read(const struct x402_gate *gate,
	const struct x402__offer *offer, const struct x402_json *extra,
	struct x402_payment_requirements *ret_req);
/* X-Payment-Proof into gate->request.payload, as v2 would have it. SYNTAX,
 * NOT_FOUND for a reference that is none of ours, NOMEM. */
X402_MUST_USE enum x402_err x402__proof_header_decode(
	struct x402_gate *gate, struct x402_span header);
/* Who paid, and the key of the payment: its transaction. */
X402_MUST_USE enum x402_err x402__proof_identify(
	struct x402_gate *gate, const struct x402_json *json);
/* The challenge again, in the words of the older habit. */
void x402__proof_add_headers(struct x402_gate *gate,
	const struct x402__stamp *stamp, struct x402_gate_decision *decision);

/* ---- sign.c ---- */

/* Append the member "offer-receipt" of a challenge's extensions. */
void x402__sign_offers(struct x402_gate *gate, struct x402_buf *buf);
/* Header text of a settlement with our receipt in it; caller frees. NULL when
 * memory is out or it would be too long. */
char *x402__sign_receipt(const struct x402_gate *gate,
	const struct x402_settle_response *response);

/* ---- page.c ---- */

/* The page and its policy, in place of a body. False when memory is out. */
bool x402__gate_page(struct x402_gate *gate, const char *header,
	const char *reason, struct x402_gate_decision *decision);

/* ---- gate_facilitator.c ---- */

/* The first that is not known to be down. */
size_t x402__gate_pick_facilitator(const struct x402_gate *gate);

/* ---- gate_end.c ---- */

/* Tell the program's hook. reason may be NULL. */
void x402__gate_say(const struct x402_gate *gate, enum x402_gate_event event,
	const char *reason);
/* End the claim, if there is one, as far as the money got. */
void x402__gate_end_claim(struct x402_gate *gate);
/* Ends with an error's status, a 502, a challenge, a receipt that says no. */
void x402__gate_end_error(struct x402_gate *gate, unsigned status,
	const char *text, struct x402_gate_decision *ret_decision);
void x402__gate_end_fault(struct x402_gate *gate, const char *what,
	struct x402_gate_decision *ret_decision);
void x402__gate_end_challenge(struct x402_gate *gate, const char *reason,
	struct x402_gate_decision *ret_decision);
void x402__gate_end_unsettled(struct x402_gate *gate, const char *reason,
	const struct x402_settle_response *response,
	struct x402_gate_decision *ret_decision);
/* P-126: ask a hook (may be NULL). True when it has ended the request. */
bool x402__gate_aborted(struct x402_gate *gate,
	const char *(*hook)(void *, const struct x402_gate *),
	struct x402_gate_decision *ret_decision);
/* What a stranger's reason may look like in our answer. */
const char *x402__reason_or(const char *reason, enum x402_reason fallback);
/* Header text of a settlement; caller frees, NULL without memory. */
char *x402__gate_receipt(const struct x402_settle_response *response);
/* Go on: ask the facilitator in this state, or run the handler. */
void x402__gate_post(struct x402_gate *gate, enum x402__gate_state state,
	struct x402_gate_decision *ret_decision);
void x402__gate_run_handler(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision);

/* ---- gate_answer.c ---- */

/* Drop the strings of the last decision and begin a new one. */
void x402__gate_start(struct x402_gate *gate, enum x402_gate_action action,
	struct x402_gate_decision *ret_decision);
/* Header with a value that must live as long (constants, gate members). */
void x402__gate_add(struct x402_gate_decision *decision, const char *name,
	const char *value);
/* Take a string over until the next decision; NULL gives NULL. */
const char *x402__gate_keep(struct x402_gate *gate, char *text);

/* {"error": text} with any status; never a cacheable one. */
void x402__gate_answer_error(struct x402_gate *gate,
	enum x402_gate_action action, unsigned status, const char *text,
	struct x402_gate_decision *ret_decision);
/* 402, or 412 for a missing allowance (P-121 to P-124), with the challenge. */
void x402__gate_answer_challenge(struct x402_gate *gate,
	enum x402_gate_action action, const char *reason,
	struct x402_gate_decision *ret_decision);
/* 402 with a receipt that says no (P-141). */
void x402__gate_answer_unsettled(struct x402_gate *gate,
	enum x402_gate_action action, const char *receipt, const char *reason,
	struct x402_gate_decision *ret_decision);
/* The preflight of a browser: says what may be sent, gives nothing. */
void x402__gate_answer_preflight(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision);
/* Let the handler's response out, with the receipt if there is one. */
void x402__gate_answer_deliver(struct x402_gate *gate,
	const char *cache_control, struct x402_gate_decision *ret_decision);
/* The headers of a response that was bought before. */
void x402__gate_answer_replayed(struct x402_gate *gate, const char *receipt,
	struct x402_gate_decision *decision);
/* Let the handler run for a reason that is no payment. */
void x402__gate_answer_pass(struct x402_gate *gate,
	enum x402_gate_access access, struct x402_gate_decision *ret_decision);
/* POST the payment to verify or settle. False when memory is out. */
bool x402__gate_ask(struct x402_gate *gate, bool settle,
	struct x402_gate_decision *ret_decision);
/* Follow a redirect (P-101). False when it leads nowhere we go. */
bool x402__gate_follow(
	struct x402_gate *gate, struct x402_span location, bool settle);
/* Cache-Control made private (P-130); caller frees, NULL without memory. */
char *x402__private_cache_control(const char *value);

#endif
