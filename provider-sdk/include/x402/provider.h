/*
 * provider.h: sell HTTP resources. A gate that decides for each request, and
 * performs no I/O of its own.
 *
 *   decision = x402_gate_begin(gate, request)
 *   while decision is ASK:   the caller performs decision.ask and calls
 *                            x402_gate_on_facilitator()
 *   PASS:                    free; run the handler, deliver what it says
 *                            with the decision's headers, where it has some
 *   ANSWER:                  send this answer; run nothing
 *   RUN_HANDLER:             paid; run the handler, keep its whole response
 *                            back, and call x402_gate_on_handler()
 *   DELIVER:                 send the handler's response with these headers
 *   WITHHOLD:                throw the handler's response away; send this
 *
 * The gate fails closed (R6): whatever is not a proven payment is an ANSWER or
 * a WITHHOLD. It needs no network at start and never asks anybody about a
 * request without a payment, or with one that is bad by itself.
 *
 * Not for: sockets. provider_microhttpd.h and provider_uv.h are complete
 * servers around this gate; any other server can do what they do.
 *
 * Thread rule: one struct x402_provider may be used by any number of threads;
 * a gate belongs to one thread at a time. The provider must outlive its gates.
 */
#ifndef X402_PROVIDER_H
#define X402_PROVIDER_H

#include "x402/provider_memory.h"
#include "x402/x402.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x402 P-101. */
#define X402_PROVIDER_FACILITATOR_URL "https://x402.org/facilitator"
/* x402 P-105: what a buyer has between the 402 and the end of settlement. */
#define X402_PROVIDER_TIMEOUT_SECONDS 300
/* x402 P-106: deadline of one call to the facilitator. */
#define X402_PROVIDER_CALL_TIMEOUT_MS 30000
/* A table of more routes than this is a site map, not a price list. */
#define X402_PROVIDER_ROUTES_MAX 1024
/* "$" and the digits of a uint256 with its point fit. */
#define X402_PROVIDER_PRICE_SIZE 96
/* Facilitators in order of preference; a longer list is never reached. */
#define X402_PROVIDER_FACILITATORS_MAX 8

struct x402_provider; /* opaque: the price list and the memory of payments */
struct x402_gate;     /* opaque: one request */

/* One way to pay for a route. All strings are copied. */
struct x402_provider_price {
	/*
	 * Optional, default "exact". "upto" needs extra_json with the
	 * facilitatorAddress that will settle (P-103); the price is then the
	 * most that the handler can ask for. On Solana extra_json needs the
	 * feePayer of the facilitator that will settle, and may have a memo.
	 * To be paid by delegation (ERC-7710), extra_json needs
	 * "assetTransferMethod":"erc7710" and the facilitatorAddress to which
	 * the payer delegates: a signer of that facilitator, which must list
	 * delegationManagers (GET /supported). Offer it beside another way:
	 * few wallets can.
	 * "proof" (EVM) is for buyers that send a transfer themselves and then
	 * show its hash, in PAYMENT-SIGNATURE or as X-Payment-Proof: the
	 * challenge then also has X-Payment-Address, -Amount, -Network,
	 * -Contract and X-Accept-Payment. It needs secret32, or a memory: a
	 * reference must outlive the process, or who has paid pays for
	 * nothing. Not with RESERVE.
	 */
	const char *scheme;
	/* Required: CAIP-2, "eip155:8453", "solana:5eykt4UsFv8P8NJd...". */
	const char *network;
	/* Required: who is paid. Checked with its checksum; on Solana the
	 * owner of the token account, which must exist. */
	const char *pay_to;
	/*
	 * Required, one of two: a price in dollars of the network's default
	 * asset, "$0.01" (L-035); or amount and asset in atomic units, with
	 * extra_json {"name", "version"} for the token's EIP-712 domain.
	 * Neither where the route's price is said at request time.
	 */
	const char *price;
	const char *amount;
	const char *asset;
	/*
	 * Optional: decimals of an asset that is not in libx402's table, so
	 * that a price in dollars can be said in it. 0: as the table has it.
	 */
	unsigned decimals;
	/* Optional with price, then laid over the asset's own. */
	const char *extra_json;
	/* Optional, default X402_PROVIDER_TIMEOUT_SECONDS. */
	int64_t max_timeout_seconds;
	/*
	 * Optional, "proof" only: take a hash from whoever brings it first,
	 * without the signature of the key that paid. Anybody who watches the
	 * chain can then take what another has paid for; and the facilitator
	 * must have been told to take such proofs.
	 */
	bool unbound_proofs;
};

/* When the money moves. */
enum x402_provider_settle {
	/* The handler runs on a verified payment; its response leaves when
	 * the payment has settled. */
	X402_PROVIDER_SETTLE_AFTER,
	/* Settled before the handler runs (P-150): for work that is dear, or
	 * a response that streams. A handler that fails keeps the money; the
	 * buyer may present the payment again. */
	X402_PROVIDER_SETTLE_BEFORE,
	/* As AFTER, but the facilitator must promise at /verify to hold the
	 * amount (header X402-Hold), so that two requests cannot both be
	 * served on a balance that covers one. One without holds is a 502. */
	X402_PROVIDER_SETTLE_RESERVE
};

/* What a crawler may do with a route that has a price. */
enum x402_provider_policy {
	X402_PROVIDER_CHARGE,
	X402_PROVIDER_ALLOW, /* free, when it proves who it is */
	X402_PROVIDER_BLOCK  /* 403, also when somebody only says its name */
};

/* One crawler; the first whose user_agent is in the User-Agent counts. */
struct x402_provider_crawler {
	const char *user_agent; /* Required: "GPTBot", in any case */
	enum x402_provider_policy policy;
	/* One of these proves it; ALLOW needs one at least. */
	const char *const *networks; /* its addresses: "192.0.2.0/24" */
	size_t networks_len;
	/* Ends of its names, ".googlebot.com": the request's peer_name. */
	const char *const *hosts;
	size_t hosts_len;
	/*
	 * Web Bot Auth: the origin in its Signature-Agent, whose directory of
	 * keys is asked for once an hour (an ASK with method GET).
	 */
	const char *directory;
};

/* Who holds a token goes free or pays less, after signing in with the wallet
 * (E-SIWX). Of several the first that is held counts: the best one first. */
struct x402_provider_holder {
	const char *rpc_url; /* Required: of the token's chain, your own */
	const char *token;   /* Required: ERC-20 or ERC-721 */
	const char *min;     /* Optional, default "1": atomic units */
	/* Optional: what holders pay, "$0.001"; NULL: nothing. Who has signed
	 * in is told this price, and must hold when the payment comes. */
	const char *price;
};

/* An endpoint of your own for a chain. */
struct x402_provider_rpc {
	const char *network; /* Required: "eip155:8453" */
	const char *url;     /* Required: JSON-RPC over HTTP */
};

/*
 * E-PI: may, or must, a buyer name the purchase? A name belongs to one payment.
 * Another one under it is 409 before money moves, or, where replay_s is given
 * and it is the same purchase by the same wallet, the first response again.
 */
enum x402_provider_identifier {
	X402_PROVIDER_IDENTIFIER_OFF,
	X402_PROVIDER_IDENTIFIER_OPTIONAL,
	X402_PROVIDER_IDENTIFIER_REQUIRED /* without one: 400; v2 only */
};

/* For what a pass is good. */
enum x402_provider_scope {
	X402_PROVIDER_SCOPE_RESOURCE, /* the path and query that was paid for */
	X402_PROVIDER_SCOPE_ROUTE,    /* whatever its pattern matches */
	X402_PROVIDER_SCOPE_SITE      /* every route that gives site passes */
};

/* What one value of a path parameter costs. */
struct x402_provider_param_price {
	const char *value; /* compared exactly, as x402_gate_param gives it */
	const char *price; /* "$0.05" */
};

/* One route; the first that matches path and method wins. */
struct x402_provider_route {
	/* Required: "GET /articles/[slug]", "/api/:id" (any method), star for
	 * anything. Case does not matter in paths (P-110, P-111). */
	const char *pattern;
	/* Optional: none makes the route free by name. */
	const struct x402_provider_price *prices;
	size_t prices_len;
	/* Optional, default "". */
	const char *description;
	const char *mime_type;
	/* Optional: an object for the challenge's extensions, for example
	 * {"bazaar": {"info": ..., "schema": ...}}. */
	const char *extensions_json;
	/* Optional: also sell to v1 buyers (P-131). At least one of the
	 * networks must then have a v1 name. */
	bool v1;
	/* Optional, default AFTER. */
	enum x402_provider_settle settle;
	/*
	 * Optional: a price by the value of a path parameter. Values that are
	 * not listed cost what prices say.
	 */
	const char *price_param;
	const struct x402_provider_param_price *param_prices;
	size_t param_prices_len;
	/*
	 * Optional: write what this request costs ("$0.05") and return true;
	 * false is answered 500. Goes before price_param. Called inside
	 * x402_gate_begin; may ask for route, path, parameters, method, query,
	 * and for the body where price_by_body says so.
	 */
	bool (*price)(void *user, const struct x402_gate *gate,
		char ret_price[X402_PROVIDER_PRICE_SIZE]);
	void *price_user;
	/* Optional: price looks at x402_gate_body(), so that who asks unpaid
	 * sends his body all the same (x402_provider_prices_body). */
	bool price_by_body;
	/* Optional: the caller of x402_gate_begin says the price; a request
	 * without one is answered 500. */
	bool price_at_request;
	/*
	 * Optional, for those above: seconds for which a price that was quoted
	 * to a request stays good for that very method, path and query, and
	 * body where that may have made the price.
	 * 0: a challenge is good for the price of the moment only.
	 */
	uint32_t quote_s;
	/*
	 * Optional: who has paid gets a pass, signed by the provider's secret,
	 * as a cookie and as the header X402-Pass, and comes back with either
	 * without paying: for so many seconds, and where pass_uses is given,
	 * so many requests. 0 seconds: no pass. Uses are counted by this
	 * process, from its start.
	 */
	uint32_t pass_s;
	uint32_t pass_uses;
	enum x402_provider_scope pass_scope;
	/*
	 * Optional: who has paid for what pass_scope says comes back for so
	 * many seconds by signing in with the paying wallet (E-SIWX), where a
	 * pass was lost. By the process's own memory, and by
	 * x402_provider_options.memory where that can say who has paid.
	 */
	uint32_t siwx_s;
	/* Optional: holders of one of these tokens go free. Sign-in is then
	 * offered, also without siwx_s. */
	const struct x402_provider_holder *holders;
	size_t holders_len;
	/* Optional, default OFF. */
	enum x402_provider_identifier identifier;
	/*
	 * Optional, with identifier: for so many seconds the response to a
	 * named purchase is kept, and sent again to who repeats it under its
	 * name: with the very same payment, or with a new one of the same
	 * wallet's key, which is then not charged. Needs the response in
	 * x402_gate_handler_result. 0: it is not kept.
	 */
	uint32_t replay_s;
	/* Optional: only who says to be a crawler pays; people go free. */
	bool crawlers_only;
	/* Optional, in place of the options' list for this route. */
	const struct x402_provider_crawler *crawlers;
	size_t crawlers_len;
	/* Optional: so many requests a day free for each client address
	 * (x402_gate_client); needs the peer of the request. */
	uint32_t free_per_day;
};

/*
 * A page for people: a browser that meets a 402 (P-128: Accept has text/html,
 * User-Agent has Mozilla) gets it as the body. It loads nothing from
 * elsewhere, has a policy with a nonce (CSP), and pays with the wallet in the
 * browser. Every value is escaped.
 */
struct x402_provider_page {
	/* Optional, default "Payment required": the heading of a route that
	 * has no description. */
	const char *name;
	/* Optional, default "#2557d6": #rgb or #rrggbb, on which white is
	 * readable. */
	const char *accent;
	/*
	 * Optional: a page of your own. {{title}} {{description}} {{legend}}
	 * {{offers}} {{url}} {{payee}} {{required}} {{error}} {{qr}} are
	 * filled in escaped; {{style}} and {{script}} become the page's own,
	 * {{nonce}} and {{accent}} can be used for others. Keep the ids that
	 * provider-sdk/paywall/page.html has.
	 */
	const char *template_html;
};

/* One facilitator. */
struct x402_provider_facilitator {
	const char *url;           /* Required */
	const char *authorization; /* Optional */
};

/* What happened, for logs and counters. */
enum x402_gate_event {
	X402_GATE_EVENT_VERIFIED,
	X402_GATE_EVENT_REFUSED,   /* the payment was refused; see reason */
	X402_GATE_EVENT_FAULT,     /* facilitator down or lying; answered 502 */
	X402_GATE_EVENT_SETTLED,   /* money has moved */
	X402_GATE_EVENT_UNSETTLED, /* settlement failed or is not known */
	X402_GATE_EVENT_CANCELLED, /* the handler failed; nothing was settled */
	X402_GATE_EVENT_UNDELIVERED /* money has moved, content has not */
};

/*
 * Optional hooks (P-126). The first three return NULL to go on, or a reason:
 * the request is then answered 403 with it. Called inside gate functions.
 */
struct x402_provider_hooks {
	const char *(*before_verify)(void *user, const struct x402_gate *gate);
	const char *(*after_verify)(void *user, const struct x402_gate *gate);
	const char *(*before_settle)(void *user, const struct x402_gate *gate);
	void (*event)(void *user, const struct x402_gate *gate,
		enum x402_gate_event event, const char *reason);
	void *user;
};

/* Everything is copied. */
struct x402_provider_options {
	/* Optional, default X402_PROVIDER_FACILITATOR_URL. */
	const char *facilitator_url;
	/* Optional: value of an Authorization header for the facilitator. It
	 * is not sent on when the facilitator redirects elsewhere. */
	const char *facilitator_authorization;
	/*
	 * Optional, in place of the two above: several, in order. The next one
	 * is asked to verify when one is down or talks nonsense. Whom a payment
	 * was sent to for settling is the only one ever asked to settle it: a
	 * second one might settle it, too (demands.md P13).
	 */
	const struct x402_provider_facilitator *facilitators;
	size_t facilitators_len;
	/*
	 * Required unless trust_host: "https://example.com", what buyers see
	 * in front of the path. A Host header can be anything a stranger
	 * wants (demands.md P8).
	 */
	const char *public_origin;
	/* Optional: take the origin from Host, with http. For development. */
	bool trust_host;
	/*
	 * Optional: networks of our own reverse proxies, "10.0.0.0/8", "::1".
	 * Of a request whose peer is in one of them X-Forwarded-For says who
	 * the client is and, unless public_origin is given,
	 * X-Forwarded-Proto and -Host say the origin. Nobody else's do.
	 */
	const char *const *trusted_proxies;
	size_t trusted_proxies_len;
	/* Required. */
	const struct x402_provider_route *routes;
	size_t routes_len;
	/*
	 * Optional: of the chains that are named here contract wallets may sign
	 * in as well (ERC-1271): the wallet is asked, by an ASK. Without one
	 * only accounts with a key of their own can.
	 */
	const struct x402_provider_rpc *rpcs;
	size_t rpcs_len;
	/* Optional: value of Access-Control-Allow-Origin, "*" for all; NULL
	 * leaves CORS to the program. */
	const char *cors_origin;
	/* Optional: what crawlers may do. Those that are not listed, and those
	 * that do not prove who they are, pay. */
	const struct x402_provider_crawler *crawlers;
	size_t crawlers_len;
	/* Optional: NULL gives browsers the same answer as programs. */
	const struct x402_provider_page *page;
	/*
	 * Optional: 32 random bytes that sign passes and make idempotency keys;
	 * NULL draws them anew with every start, and passes end with the
	 * process. A memory brings its own, and this must be NULL then.
	 */
	const uint8_t *secret32;
	/*
	 * Optional: signs offers and receipts (E-OR), as EIP-712. Buyers can
	 * show them to others; they are worth something to who knows that this
	 * key is the seller's, and to anybody when its address is pay_to.
	 * Copied.
	 */
	const struct x402_secret *signing_key;
	/* Optional: passes given out under a lower number are not taken any
	 * more. */
	uint32_t pass_epoch;
	/* Optional, default X402_PROVIDER_CALL_TIMEOUT_MS each. */
	uint32_t verify_timeout_ms;
	uint32_t settle_timeout_ms;
	/*
	 * Optional, default 65536: payments remembered at once. When all are
	 * in use new payments are answered 503 before money moves; a payment
	 * is never forgotten to make room.
	 */
	size_t payments_max;
	/* Optional, in place of payments_max: a memory of the program's own,
	 * shared by processes or durable. What its user points to must outlive
	 * the provider and its gates. */
	const struct x402_provider_memory *memory;
	/* Optional. */
	struct x402_provider_hooks hooks;
};
#define X402_PROVIDER_OPTIONS_INIT \
	{                          \
		0                  \
	}

/*
 * Check the options and build the price list (P-104). Performs no I/O but to
 * draw 32 random bytes. INVALID_ARGUMENT with info->field such as
 * "routes[2].prices[0].network" and a text that begins with missing_scheme,
 * missing_facilitator, unsupported_asset_transfer_method or
 * unsupported_payment_flow where the protocol has a word for it; NOMEM;
 * INTERNAL when no random bytes were to be had. info may be NULL. Free with
 * x402_provider_free.
 */
X402_API X402_MUST_USE enum x402_err x402_provider_new(
	const struct x402_provider_options *options, struct x402_errinfo *info,
	struct x402_provider **ret_provider);
X402_API void x402_provider_free(struct x402_provider *provider);
/* How many routes the options had. */
X402_API size_t x402_provider_routes_len(const struct x402_provider *provider);

/* ---- One request. ---- */

struct x402_gate_request {
	/* Required: verbatim, "GET". */
	const char *method;
	/* Required: the request target as it came, before any decoding. */
	struct x402_span target;
	/*
	 * Required: the index-th value of a header (name in any case); false
	 * when there are fewer. All values must be shown: the gate refuses
	 * doubled payment headers. The value must live until the call ends.
	 */
	bool (*header)(void *user, const char *name, size_t index,
		struct x402_span *ret_value);
	void *header_user;
	/* Optional: the request's body where it is at hand already. It then
	 * counts when a payment is presented again (see x402_gate_on_handler).
	 */
	struct x402_span body;
	/* Required: unix seconds. */
	uint64_t now_unix_s;
	/* Optional: address of the other end of the connection, as text. */
	const char *peer;
	/*
	 * Optional: the name of the client's address that was confirmed
	 * forward: the address has that name, and the name has that address.
	 * See x402_provider_wants_name.
	 */
	const char *peer_name;
	/*
	 * For routes with price_at_request: "$0.01", or "10000atomic" in the
	 * units of the route's asset. Borrowed for the call.
	 */
	const char *price;
	/* Optional, beside it: what this request cost before, and is still
	 * taken. Nobody is told it. */
	const char *old_price;
};

enum x402_gate_action {
	X402_GATE_PASS,
	X402_GATE_ANSWER,
	X402_GATE_ASK,
	X402_GATE_RUN_HANDLER,
	X402_GATE_DELIVER,
	X402_GATE_WITHHOLD
};

struct x402_gate_header {
	const char *name;
	const char *value;
};
#define X402_GATE_HEADERS_MAX 20
/* What is left of them beside the gate's own. */
#define X402_GATE_REPLAY_HEADERS_MAX 8

/* An HTTP request to the facilitator, or where the options name others to a
 * crawler's directory or an RPC endpoint; to be sent as it is. */
struct x402_gate_ask {
	const char *method; /* "POST", of directories "GET" */
	const char *url;
	struct x402_gate_header headers[X402_GATE_HEADERS_MAX];
	size_t headers_len;
	struct x402_span body;
	uint32_t timeout_ms; /* for the whole exchange */
};

/* What to do next. Strings live until the gate's next call or its end. */
struct x402_gate_decision {
	enum x402_gate_action action;
	/* ANSWER, WITHHOLD: the whole answer. PASS, DELIVER: only headers, to
	 * be added to the handler's; they replace its own of the same name,
	 * save Vary and Set-Cookie, which add up
	 * (x402_gate_header_adds_up). */
	unsigned status;
	struct x402_gate_header headers[X402_GATE_HEADERS_MAX];
	size_t headers_len;
	struct x402_span body;
	/* ASK */
	struct x402_gate_ask ask;
};

/* NOMEM. Free with x402_gate_free, whatever has happened in between. */
X402_API X402_MUST_USE enum x402_err x402_gate_new(
	struct x402_provider *provider, struct x402_gate **ret_gate);
/*
 * A gate that is dropped between settlement and delivery is remembered as
 * paid but undelivered. NULL allowed.
 */
X402_API void x402_gate_free(struct x402_gate *gate);

/*
 * Decide about a request; once for each gate. Always gives a decision: faults
 * of memory are a 500 to the client, never an open gate. The request is
 * borrowed for the call.
 */
X402_API void x402_gate_begin(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision);

/* An IPv6 address with room for an IPv4 one inside, and its NUL. */
#define X402_PROVIDER_ADDRESS_SIZE 46
/*
 * Would a confirmed name open this request, one of a listed crawler with hosts?
 * Then *ret_address is the client's address, behind trusted proxies, too; find
 * its name, within seconds, and give it as peer_name; none is as good as "".
 * Any thread. Without this question every page would cost a look into the DNS.
 */
X402_API bool x402_provider_wants_name(const struct x402_provider *provider,
	const struct x402_gate_request *request,
	char ret_address[X402_PROVIDER_ADDRESS_SIZE]);

/* What came of an ASK. */
struct x402_gate_facilitator_answer {
	/* X402_OK when a whole HTTP response was read; else TIMEOUT, NETWORK,
	 * TOO_LARGE (answers above X402_JSON_MAX_BYTES), CANCELLED... */
	enum x402_err transport;
	unsigned status;
	struct x402_span body;     /* borrowed for the call */
	struct x402_span location; /* the Location header; may be empty */
	uint64_t now_unix_s;       /* Required */
	/*
	 * Optional, with an error in transport: not one byte of the question
	 * has left, so nothing can have come of it. A payment is then not kept
	 * as one that may have been settled. Say it of nothing else: a payment
	 * that moved would not be known.
	 */
	bool unsent;
};
/* After ASK, and only then. */
X402_API void x402_gate_on_facilitator(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	struct x402_gate_decision *ret_decision);

/* What came of RUN_HANDLER. */
struct x402_gate_handler_result {
	/* HTTP status; 0 when the handler failed without one. */
	unsigned status;
	/* The handler's own Cache-Control, or NULL. */
	const char *cache_control;
	/*
	 * Optional, for an offer of the scheme upto: what is to be charged, as
	 * atomic units "1000", a share "50%" or a price "$0.05" (L-037). More
	 * than was authorized is a 500 and settles nothing. NULL: all of it.
	 * On other schemes it must be NULL or the whole amount.
	 */
	const char *amount;
	uint64_t now_unix_s; /* Required */
	/*
	 * Optional: the response itself, for replay_s; borrowed for the call.
	 * Kept are the headers that describe its content, up to
	 * X402_GATE_REPLAY_HEADERS_MAX, and bodies of up to
	 * X402_GATE_REPLAY_BODY_MAX bytes; a longer one is not kept at all.
	 */
	bool has_body;
	struct x402_span body;
	const struct x402_gate_header *headers;
	size_t headers_len;
};
/* Larger ones are files: cheap to make again, dear to keep. */
#define X402_GATE_REPLAY_BODY_MAX ((size_t)256 * 1024)
/*
 * After RUN_HANDLER, and only then. A status of 400 and above is not settled
 * (P-129): DELIVER, and the same payment may be presented again. Never send a
 * byte of the response before the gate says DELIVER.
 */
X402_API void x402_gate_on_handler(struct x402_gate *gate,
	const struct x402_gate_handler_result *result,
	struct x402_gate_decision *ret_decision);

/*
 * The amount in a handler's Settlement-Overrides header, {"amount": "..."}, as
 * handlers of the reference say it (P-142). "" for a header that says nothing
 * of the kind, which charges nothing and delivers nothing: a 500.
 */
X402_API void x402_gate_read_override(
	const char *header, char ret_amount[X402_PROVIDER_PRICE_SIZE]);

/*
 * After DELIVER: the whole response was handed to the connection. Without it
 * the payment counts as undelivered, and the buyer may present it again for
 * the same request: so say it as soon as a byte of content has left, or a
 * buyer who hangs up in time reads for nothing, again and again.
 */
X402_API void x402_gate_delivered(struct x402_gate *gate);

/* ---- Prices that change. ---- */

/*
 * What a route costs from now on, in all of its offers: "$0.02". Challenges
 * that were given out before stay good for grace_s seconds more; a change
 * within the grace of the last one ends that grace. INVALID_ARGUMENT (info
 * says why; the old price stays), NOMEM. Any thread.
 */
X402_API X402_MUST_USE enum x402_err x402_provider_set_price(
	struct x402_provider *provider, size_t route, const char *price,
	uint64_t now_unix_s, uint32_t grace_s, struct x402_errinfo *info);

/* ---- What handlers and hooks may ask. ---- */

/* Index into the options' routes; SIZE_MAX when none matched. */
X402_API size_t x402_gate_route(const struct x402_gate *gate);
/* Is the request's method the route's? A handler that serves GET only should
 * answer 405 otherwise: it is not settled then. */
X402_API bool x402_gate_method_matches(const struct x402_gate *gate);
/* The canonical path that was matched: serve by this one. "" before begin. */
X402_API const char *x402_gate_path(const struct x402_gate *gate);
/*
 * Value of [name] or :name, where it fills a segment before any star; an
 * escaped '/' or '\' in it stays escaped. False when there is none.
 */
X402_API bool x402_gate_param(const struct x402_gate *gate, const char *name,
	struct x402_span *ret_value);
/* EIP-55 address of the payer, "" while unknown. */
X402_API const char *x402_gate_payer(const struct x402_gate *gate);
/* The client's address as text; "" when begin was not told a peer. Behind a
 * trusted proxy it is the one that the proxy saw. */
X402_API const char *x402_gate_client(const struct x402_gate *gate);
/* Of a route with price_by_body, and inside its price: the request's body. */
X402_API struct x402_span x402_gate_body(const struct x402_gate *gate);
/*
 * Does the price of such a request depend on its body? An adapter that begins
 * without one, to say no before it is sent, must wait for it then.
 */
X402_API bool x402_provider_prices_body(const struct x402_provider *provider,
	const char *method, struct x402_span target);
/* As the request had them; the query without '?', "" when there is none. */
X402_API const char *x402_gate_method(const struct x402_gate *gate);
X402_API const char *x402_gate_query(const struct x402_gate *gate);
/* Transaction of the settlement, "" while there is none. */
X402_API const char *x402_gate_transaction(const struct x402_gate *gate);
/* Atomic amount that is charged and its asset, "" while unknown. */
X402_API const char *x402_gate_amount(const struct x402_gate *gate);
X402_API const char *x402_gate_asset(const struct x402_gate *gate);

X402_API const char *x402_gate_network(const struct x402_gate *gate);
/* How it is asked to settle; for a memory (provider_memory.h). */
X402_API void x402_gate_note(
	const struct x402_gate *gate, struct x402_claim_note *ret_note);
/* The route as the options have it, "GET /articles/[slug]"; "" for none. */
X402_API const char *x402_gate_pattern(const struct x402_gate *gate);
/* The resource as buyers see it, "" before begin. */
X402_API const char *x402_gate_url(const struct x402_gate *gate);

/* Why a request may pass. */
enum x402_gate_access {
	X402_GATE_ACCESS_NONE,      /* it may not, or not yet */
	X402_GATE_ACCESS_FREE,      /* the route costs nothing */
	X402_GATE_ACCESS_PAID,      /* with this request */
	X402_GATE_ACCESS_PASS,      /* paid before; it has a pass */
	X402_GATE_ACCESS_SIGNED_IN, /* paid before; the wallet says so */
	X402_GATE_ACCESS_QUOTA,     /* free_per_day */
	X402_GATE_ACCESS_HOLDER,    /* of a token */
	X402_GATE_ACCESS_CRAWLER,   /* one that is allowed, and proved it */
	X402_GATE_ACCESS_PERSON     /* no crawler, where only those pay */
};
X402_API enum x402_gate_access x402_gate_access_of(
	const struct x402_gate *gate);

/*
 * The price list for machines, to be served as you like; caller frees, NULL
 * when memory is out. OpenAPI 3.1 with x-payment-info (application/json, at
 * /openapi.json); /.well-known/x402 (application/json); robots.txt, with lines
 * for who is blocked.
 */
X402_API char *x402_provider_openapi(
	struct x402_provider *provider, const char *title);
X402_API char *x402_provider_well_known(struct x402_provider *provider);
X402_API char *x402_provider_robots(const struct x402_provider *provider);

/* The source of the element <x402-pay>, to be served as text/javascript. */
X402_API const char *x402_provider_component(void);

/* True for Vary and Set-Cookie: the gate's stands beside the handler's. */
X402_API bool x402_gate_header_adds_up(const char *name);
/*
 * True for a header that a handler may not send to the buyer: internal ones
 * (P-143, P-147) and those that speak for the gate.
 */
X402_API bool x402_gate_header_is_ours(const char *name);

#ifdef __cplusplus
}
#endif
#endif
