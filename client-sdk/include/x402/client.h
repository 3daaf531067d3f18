/*
 * client.h: HTTP requests that pay for themselves.
 *
 * Give x402_client_fetch() a request. When the server answers 402 with a
 * price within your limits, one authorization is signed, the same request is
 * sent again with it, and the response says what became of the money.
 *
 * Three promises: nothing above the limits is signed; for one call at most
 * one authorization is signed, whatever the server or the network does; and
 * once it has left, its text is handed back to you, so that the same one can
 * be presented again.
 *
 * Not for: checking the chain (an outcome is what the server proved or said;
 * x402_client_resume() asks further), and memory: that is the journal's, in
 * x402/journal.h. Without one, limits are for each payment alone.
 *
 * Thread rule: one client may be used by one thread at a time; distinct
 * clients are independent. Callbacks run on the calling thread, inside
 * x402_client_fetch(), and must not use the client.
 * Where next: examples/pay.c, docs/client.md.
 */
#ifndef X402_CLIENT_H
#define X402_CLIENT_H

#include "x402/x402.h"

#ifdef __cplusplus
extern "C" {
#endif

struct x402_client;  /* opaque */
struct x402_journal; /* x402/journal.h */
struct x402_budget;

/* One header line. Names compare without case; no CR, LF or NUL in either. */
struct x402_client_header {
	const char *name;
	const char *value;
};

/* ---- What became of a call. ---- */

enum x402_client_outcome {
	/* No authorization left this process: nothing can be charged. */
	X402_CLIENT_OUTCOME_NONE,
	/* The server showed a receipt that fits what was asked for. */
	X402_CLIENT_OUTCOME_PAID,
	/*
	 * The server says that it did not take the payment. It still holds
	 * the authorization until payment.valid_before_unix_s.
	 */
	X402_CLIENT_OUTCOME_REFUSED,
	/* The server says: broadcast, not confirmed yet. */
	X402_CLIENT_OUTCOME_PENDING,
	/* It left and nothing shows what became of it. */
	X402_CLIENT_OUTCOME_UNKNOWN
};
/* "none", "paid", "refused", "pending", "unknown". Never NULL. */
X402_API const char *x402_client_outcome_name(enum x402_client_outcome outcome);

/* What the settle response was worth. */
enum x402_client_receipt {
	X402_CLIENT_RECEIPT_NONE,       /* not paid, or none came */
	X402_CLIENT_RECEIPT_FITS,       /* agrees with what was signed */
	X402_CLIENT_RECEIPT_MALFORMED,  /* came, and could not be read */
	X402_CLIENT_RECEIPT_CONTRADICTS /* another network, payer, amount ... */
};
X402_API const char *x402_client_receipt_name(enum x402_client_receipt receipt);

/*
 * Why a call ended as it did, where the HTTP status alone does not say it.
 * X(code, name for programs, error returned, text for people)
 */
#define X402_CLIENT_CAUSE_MAP(X)                                               \
	X(NONE, "none", OK, "nothing to report")                               \
	X(TRANSPORT, "network_error", NETWORK, "the connection failed")        \
	X(TIMEOUT, "timeout", TIMEOUT, "the deadline passed")                  \
	X(CANCELLED, "cancelled", CANCELLED, "cancelled by the caller")        \
	X(TOO_LARGE, "response_too_large", TOO_LARGE,                          \
		"the response exceeds a size limit")                           \
	X(BAD_REQUEST, "invalid_request", INVALID_ARGUMENT,                    \
		"the request cannot be sent")                                  \
	X(REDIRECT, "redirect_refused", POLICY,                                \
		"the redirect is not one to follow")                           \
	X(CHALLENGE, "malformed_challenge", SCHEMA,                            \
		"the 402 carries no challenge that can be read")               \
	X(AUTH_ONLY, "sign_in_required", UNSUPPORTED,                          \
		"the server wants a sign-in, not a payment")                   \
	X(NO_OFFER, "no_supported_offer", UNSUPPORTED,                         \
		"none of the offers can be paid with this client")             \
	X(OVER_LIMIT, "over_limit", POLICY, "the price is above the limit")    \
	X(UNKNOWN_ASSET, "asset_not_allowed", POLICY,                          \
		"the asset is not one that is paid by default")                \
	X(POLICY, "policy_denied", POLICY, "refused by the caller's policy")   \
	X(ORIGIN, "origin_mismatch", POLICY,                                   \
		"the payment is asked for by or for another origin")           \
	X(INSECURE, "insecure_url", POLICY, "no payment over plain HTTP")      \
	X(NO_SIGNER, "no_key", KEY, "a price was asked and there is no key")   \
	X(SIGNER, "signing_failed", CRYPTO, "the payment could not be signed") \
	X(DECLINED, "declined", CANCELLED, "the payment was declined")         \
	X(PERMIT2, "permit2_allowance_required", OK,                           \
		"the payer must approve Permit2 for this asset once")          \
	X(REFUSED, "payment_refused", OK, "the server refused the payment")    \
	X(FUNDS, "insufficient_funds", OK, "the payer does not hold enough")   \
	X(PRICE_CHANGED, "price_changed", OK,                                  \
		"the server no longer makes the offer that was paid")          \
	X(PENDING, "settlement_pending", OK,                                   \
		"the payment was broadcast and is not confirmed yet")          \
	X(UNPROVEN, "payment_unproven", OK,                                    \
		"nothing proves what became of the payment")                   \
	X(BUDGET, "budget_exceeded", POLICY, "a budget is used up")            \
	X(LOOP, "loop_detected", POLICY,                                       \
		"the same request is bought over and over")                    \
	X(BUSY, "purchase_in_progress", CONFLICT,                              \
		"another call is at work on this purchase")                    \
	X(UNRESOLVED, "unresolved_payment", CONFLICT,                          \
		"an earlier payment for this may have been charged: resume")   \
	X(ALREADY_PAID, "already_paid", CONFLICT,                              \
		"this was paid for and delivered before")                      \
	X(CONFLICT, "purchase_conflict", CONFLICT,                             \
		"the purchase's id was used for another request")              \
	X(JOURNAL, "journal_error", STORE,                                     \
		"the journal cannot be written, so nothing is paid")           \
	X(CIRCUIT, "circuit_open", NETWORK,                                    \
		"the host failed too often and is left alone for a while")     \
	X(PRIVATE_ADDRESS, "private_address", POLICY,                          \
		"the host is not at a public address")                         \
	X(QUEUE_FULL, "queue_full", TOO_LARGE, "the queue is full")            \
	X(PAUSED, "paying_paused", POLICY, "paying is paused")                 \
	X(INTERNAL, "internal_error", INTERNAL, "out of memory, or a fault")

enum x402_client_cause {
#define X402__CAUSE_ENUM(code, name, err, text) X402_CLIENT_CAUSE_##code,
	X402_CLIENT_CAUSE_MAP(X402__CAUSE_ENUM) X402_CLIENT_CAUSE_COUNT
#undef X402__CAUSE_ENUM
};
/* Never NULL, also for a number that is no cause. */
X402_API const char *x402_client_cause_name(enum x402_client_cause cause);
X402_API const char *x402_client_cause_text(enum x402_client_cause cause);

/* Longest transaction id that is taken from a receipt (Solana: 88). */
#define X402_CLIENT_TRANSACTION_SIZE 96
/* Longest reason kept of what a server says. */
#define X402_CLIENT_REASON_SIZE 256

/* Strings are "" and pointers NULL while unknown. */
struct x402_client_payment {
	/* An authorization left this process (or the caller brought one, or
	 * the journal had one that may have left before). */
	bool attempted;
	enum x402_client_outcome outcome;
	enum x402_client_receipt receipt;
	int x402_version;
	/* The terms: also set in a dry run, and before a refusal by policy. */
	char scheme[32];
	char network[X402_NETWORK_SIZE]; /* CAIP-2 */
	char asset[X402_ASSET_SIZE];
	char amount[X402_U256_DEC_SIZE]; /* atomic units; the most, for upto */
	/* What a receipt that fits says was taken; "" without one. */
	char charged[X402_U256_DEC_SIZE];
	char pay_to[64];
	char payer[64];
	/* As the server says; look it up before you believe it. */
	char transaction[X402_CLIENT_TRANSACTION_SIZE];
	/* The server's reason, control characters replaced. */
	char reason[X402_CLIENT_REASON_SIZE];
	/* After this the authorization can no longer be used. */
	uint64_t valid_before_unix_s;
	/*
	 * The header that was sent. To find out what became of an unknown or
	 * pending payment, send the same request with exactly this header:
	 * it can be charged once at most.
	 */
	const char *header_name; /* constant */
	char *header_text;
	char *settle_response_json; /* the last one that could be read */
	/* How often the request was sent with the header. */
	unsigned presented;
	/* Its number in the journal; 0 without one. */
	int64_t purchase;
	/* The authorization is one that the journal had open already. */
	bool resumed;
};

/*
 * Write an offer's terms into a payment (scheme to pay_to). What is too long
 * or not printable ASCII becomes "": it is no term anybody could pay by.
 */
X402_API void x402_client_payment_terms(
	const struct x402_payment_requirements *offer,
	struct x402_client_payment *payment);

struct x402_client_response {
	long status; /* 0: no response came */
	char *url;   /* where the last request went, without userinfo */
	struct x402_client_header *headers;
	size_t headers_len;
	struct x402_buf body;
	struct x402_client_payment payment;
	/* The challenge as it came (header or body), decoded. */
	struct x402_json *challenge;
	enum x402_client_cause cause;
	struct x402_errinfo error; /* text for people, what and where */
};
#define X402_CLIENT_RESPONSE_INIT \
	{                         \
		0                 \
	}
/* Frees what it holds and leaves it empty. NULL allowed. */
X402_API void x402_client_response_clear(struct x402_client_response *response);
/*
 * First header of that name, NULL if there is none. Valid until cleared.
 */
X402_API const char *x402_client_response_header(
	const struct x402_client_response *response, const char *name);

/* ---- How to pay. ---- */

/* What a signer is asked to sign, and what for: judge it, then sign. */
struct x402_client_signing {
	enum x402_family family;
	const uint8_t *digest32; /* EVM: the EIP-712 digest */
	/* The same, readable: hash it anew before you trust the digest. */
	const struct x402_signable *signable;
	const char *url; /* what is being bought */
	const struct x402_payment_requirements *offer;
	uint64_t valid_before_unix_s;
};

/*
 * A signer: your own wallet, process or device. Returns X402_OK and the
 * signature (65 bytes r, s, v; contract wallets up to
 * X402_SIGNATURE_MAX_BYTES); any other code ends the call with nothing sent.
 */
struct x402_client_signer {
	struct x402_address address; /* the payer */
	enum x402_err (*sign)(void *user,
		const struct x402_client_signing *signing,
		struct x402_buf *ret_signature);
	/*
	 * Optional: sign a sign-in text (EIP-191, "personal_sign"); the text
	 * says for which site. NULL: never signs in.
	 */
	enum x402_err (*sign_text)(
		void *user, const char *text, struct x402_buf *ret_signature);
	void *user; /* must outlive the client */
};

/*
 * A signer on Solana: signs signing->signable->svm_message by Ed25519, 64
 * bytes. Errors as above.
 */
struct x402_client_svm_signer {
	struct x402_pubkey address; /* the payer */
	enum x402_err (*sign)(void *user,
		const struct x402_client_signing *signing,
		struct x402_buf *ret_signature);
	/*
	 * Optional: sign a sign-in text, its bytes as they are, by Ed25519, 64
	 * bytes. Nothing in front keeps a text from being a transaction:
	 * refuse one that does not begin with a printable character. NULL:
	 * never signs in.
	 */
	enum x402_err (*sign_text)(
		void *user, const char *text, struct x402_buf *ret_signature);
	void *user; /* must outlive the client */
};

/* Headers that a hook adds to the next request. */
struct x402_client_headers;
/* Copies both. INVALID_ARGUMENT for what may not be in a header; NOMEM. */
X402_API X402_MUST_USE enum x402_err x402_client_headers_add(
	struct x402_client_headers *headers, const char *name,
	const char *value);

/* What a hook sees before anything is signed. */
struct x402_client_quote {
	const char *url;
	const struct x402_payment_required *challenge;
	/* The offer that will be paid, NULL when none can be. */
	const struct x402_payment_requirements *offer;
	const struct x402_client_payment *payment; /* terms, normalised */
};

enum x402_client_decision {
	X402_CLIENT_PROCEED, /* pay, or refuse as the limits say */
	X402_CLIENT_DECLINE, /* do not pay; cause DECLINED */
	X402_CLIENT_RESEND /* once: send again with the added headers, unpaid */
};

/* Defaults of the options below. */
#define X402_CLIENT_TIMEOUT_MS         120000
#define X402_CLIENT_CONNECT_TIMEOUT_MS 10000
#define X402_CLIENT_REDIRECTS          5
#define X402_CLIENT_BODY_BYTES         ((size_t)32 * 1024 * 1024)
#define X402_CLIENT_VALIDITY_S         900
#define X402_CLIENT_PENDING_RETRIES    6
#define X402_CLIENT_LOOP_MAX           10
#define X402_CLIENT_BREAKER_FAILURES   10
#define X402_CLIENT_BREAKER_OPEN_MS    30000

/*
 * Every field is optional; zero means the default. Pointers are borrowed and
 * must outlive the client, except where it says copied.
 */
struct x402_client_options {
	/* Who pays: a key (copied, kept in locked memory), or a signer
	 * (copied). Without either, a price ends the call (NO_SIGNER). */
	const struct x402_secret *key;
	const struct x402_client_signer *signer;
	/*
	 * Who pays on Solana: a key (copied, kept in locked memory) or a signer
	 * (copied); and the node that is asked for a blockhash and the mint.
	 * Without a payer and a node offers on Solana are passed over.
	 */
	const struct x402_svm_secret *svm_key;
	const struct x402_client_svm_signer *svm_signer;
	const char *svm_rpc_url;
	/*
	 * A node of an EVM chain. Where a server takes EIP-2612 permits or
	 * signed approvals, it is asked whether the payer has approved Permit2;
	 * if not, a permit for the price goes with the payment, or, where the
	 * token has none, a signed approve() of Permit2, whose gas the payer's
	 * account pays or is given. Without it, or with a node of another
	 * chain, such payments need an approval made before.
	 */
	const char *evm_rpc_url;
	/*
	 * Pay also where a server wants a transfer that the payer sends by
	 * itself and then shows (scheme "proof"): the payer pays the gas, and
	 * money that was sent is gone, whatever the server says. Needs
	 * evm_rpc_url, a key that may sign transactions, and a journal, which
	 * has the transfer before it leaves: a call that was killed goes on
	 * with the same bytes. Offers that anybody could take from us by
	 * copying the hash (extra.bound false) are not paid.
	 */
	bool send_transfers;
	/*
	 * Pay also by delegation (ERC-7710): a wallet is asked for a context
	 * that permits this one payment (delegation.h says what to bind). The
	 * payer is the delegator that it names; no other signer is asked. It
	 * is presented again like any authorization, and no second one is asked
	 * for while the first may still be redeemed. Any code but X402_OK ends
	 * the call with nothing sent.
	 */
	enum x402_err (*delegate)(void *user,
		const struct x402_delegation_terms *terms,
		struct x402_delegation_payload *ret_payload);
	void *delegate_user; /* must outlive the client */

	/* C-030: cap for each payment, millionths of a dollar; default $1. */
	uint64_t max_usd_micros;
	/* A cap in atomic units of whatever asset is paid, in addition. */
	const struct x402_u256 *max_atomic;
	/* C-031: assets beyond the default table, each with its own cap. */
	const struct x402_amount *allowed_assets;
	size_t allowed_assets_len;
	/* Only these networks: CAIP-2 ids or patterns ("eip155:*"). */
	const char *const *networks;
	size_t networks_len;
	/* Only this asset: an address. Without case on EVM. */
	const char *asset;
	/* Only these payees (EVM: any case), only these schemes ("exact"). */
	const char *const *payees;
	size_t payees_len;
	const char *const *schemes;
	size_t schemes_len;
	/* C-023: return false to drop an offer. */
	bool (*policy)(void *user, const struct x402_payment_required *required,
		const struct x402_payment_requirements *offer);
	/*
	 * Where each authorization is written down before it leaves, and what
	 * may be spent. Without a journal there is no memory: calling again
	 * after a lost reply buys again. x402/journal.h.
	 */
	struct x402_journal *journal;
	/* Limits of this process, beside the journal's own. Need a journal. */
	const struct x402_budget *budgets;
	size_t budgets_len;
	/* For session budgets, and for the costs of an agent or task. */
	const char *session;
	const char *correlation;
	/* Identical requests bought within a minute; default 10. */
	unsigned loop_max;

	/* Longest time, in seconds, that an authorization is made valid for,
	 * whatever the server's maxTimeoutSeconds; default 900. */
	uint64_t max_validity_s;

	/* C-003: before anything is signed. extra is for RESEND. */
	enum x402_client_decision (*on_payment_required)(void *user,
		const struct x402_client_quote *quote,
		struct x402_client_headers *extra);
	/*
	 * C-044, Optional: members for the payment's extensions, {"name":
	 * {"info": {...}}}; what the server declared is added to them and wins
	 * (builder_code.h has one ready). *ret_extensions NULL: nothing. Taken.
	 * Anything but X402_OK ends the call with nothing sent.
	 */
	enum x402_err (*enrich)(void *user,
		const struct x402_payment_required *required,
		const struct x402_payment_requirements *offer,
		struct x402_json **ret_extensions);
	/*
	 * The authorization exists and has not been sent: write it down here.
	 * Anything but X402_OK ends the call with nothing sent.
	 */
	enum x402_err (*on_payment_signed)(
		void *user, const struct x402_client_payment *payment);
	/* C-006: a settle response came. payment holds what it said. */
	void (*on_payment_response)(
		void *user, const struct x402_client_payment *payment);
	/* Asked several times a second; true ends the call (CANCELLED). */
	bool (*is_cancelled)(void *user);
	void *user; /* for all of the callbacks above */

	/*
	 * One line of JSON, without a newline, for each payment event: signed,
	 * done, paying refused, circuit opened. No key and no authorization is
	 * ever in it.
	 */
	void (*on_event)(void *user, const char *line);

	/*
	 * A host that fails so many times in a row (no answer, 5xx) is left
	 * alone for breaker_open_ms, then tried by one request. Payments that
	 * have left are shown again all the same. Default 10, 30 s; negative:
	 * never.
	 */
	int breaker_failures;
	long breaker_open_ms;

	/* For the whole call, waiting and every retry included. */
	long timeout_ms;
	long connect_timeout_ms;
	/* Redirects are followed before paying only. Negative: none. */
	int max_redirects;
	/* Attempts again after a failed or 408, 429, 5xx unpaid request. */
	unsigned retries;
	/* C-007: how often a pending payment is presented again.
	 * Negative: never. */
	int pending_retries;
	size_t max_body_bytes;
	const char *user_agent;

	/*
	 * After a lost reply the same payment is presented once more, when the
	 * method may be repeated (GET, HEAD, OPTIONS, PUT, DELETE). True:
	 * never.
	 */
	bool no_represent;
	/* The same for every method: the server may act twice on a POST. */
	bool represent_any_method;
	/* Pay over plain HTTP to hosts other than loopback. */
	bool allow_http;
	/* Pay for, or at, another origin than the one that was asked. */
	bool allow_other_origin;
	/*
	 * Where a 402 offers a sign-in (E-SIWX), try that first, and pay only
	 * when it was not enough. It tells the site the payer's address, that
	 * of the chain on which the price would be paid where there are two.
	 * Only for the very site that was asked.
	 */
	bool sign_in;
	/*
	 * Connect to public addresses only: not to loopback, private or
	 * link-local ones. For URLs that a stranger, or a language model, has
	 * chosen.
	 */
	bool public_only;
	/* Do not check TLS certificates. Whoever is in the middle gets paid. */
	bool insecure_tls;
};
#define X402_CLIENT_OPTIONS_INIT \
	{                        \
		0                \
	}

struct x402_client_request {
	/* Required: http or https. Anything else is refused. */
	const char *url;
	/* Default GET, or POST when there is a body. */
	const char *method;
	const struct x402_client_header *headers;
	size_t headers_len;
	/* Kept until the call returns: it may be sent more than once. */
	struct x402_span body;
	/*
	 * The purchase's name in the journal: bought once, whatever happens.
	 * Without one, method, URL and body are the name, and what was
	 * delivered may be bought again.
	 */
	const char *purchase_id;
	/* Do not buy what was delivered before (cause ALREADY_PAID). */
	bool once;
	/*
	 * Sign anew although an earlier authorization may still be charged:
	 * the one way to pay twice.
	 */
	bool buy_again;
	/* Instead of the options' correlation. */
	const char *correlation;
	/* Instead of the options' timeout. */
	long timeout_ms;
	/* Stop before signing: the response's payment says what would be
	 * paid. */
	bool dry_run;
};
#define X402_CLIENT_REQUEST_INIT \
	{                        \
		0                \
	}

/*
 * Make a client. options may be NULL. INVALID_ARGUMENT for options that
 * contradict each other, KEY, NOMEM, INTERNAL when libcurl or the random
 * generator cannot be had.
 */
X402_API X402_MUST_USE enum x402_err x402_client_new(
	const struct x402_client_options *options,
	struct x402_client **ret_client);
/* Wipes the key. NULL allowed. */
X402_API void x402_client_free(struct x402_client *client);
/* The payer's address; false when the client has neither key nor signer. */
X402_API bool x402_client_address(
	const struct x402_client *client, struct x402_address *ret_address);

/*
 * Send a request and pay for it if need be; the body is held in memory. For
 * a libcurl handle of your own, and for many at once: x402/client_curl.h.
 *
 * X402_OK: response holds the server's final answer, whatever its status,
 * also one that refuses the payment. Otherwise the error of the cause. In
 * both cases response->payment is what you must look at: once `attempted` is
 * true, money may have moved. Start with X402_CLIENT_RESPONSE_INIT and clear
 * it always: it is filled on failure too, as far as things got.
 *
 * A request that brings its own PAYMENT-SIGNATURE or X-PAYMENT header is
 * never paid again (C-002): this is how an unknown payment is resolved.
 * Without a journal, calling again without that header buys a second time;
 * with one, the journal presents the same authorization by itself.
 */
X402_API X402_MUST_USE enum x402_err x402_client_fetch(
	struct x402_client *client, const struct x402_client_request *request,
	struct x402_client_response *response);

#ifdef __cplusplus
}
#endif
#endif
