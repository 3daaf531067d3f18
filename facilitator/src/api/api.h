/*
 * api.h: what every endpoint file shares: a request, the world it may use,
 * and the token that says that it was answered.
 *
 * A step of an endpoint returns struct fac_step, and only fac_reply...(),
 * fac_fail() and fac_wait() make one: a path that forgets to answer does not
 * compile. A request has at most one thing under way; its callback goes on
 * with the next step and ends with fac_end().
 *
 * Not for: sockets (net/), money (core/), SQL (store/).
 * Thread rule: everything here belongs to one worker's thread, but for
 * struct fac_chain_status, which is atomic.
 */
#ifndef FAC_API_API_H
#define FAC_API_API_H

#include <stdatomic.h>

#include "api/counts.h"
#include "config.h"
#include "core/pace.h"
#include "run/loop.h"
#include "run/settler.h"
#include "store/store.h"

struct http_exchange;
struct http_request;
struct fac_request;
struct fac_page;
struct fac_health_wait;

/* What the main thread's watch last saw of a chain. */
enum fac_chain_health {
	FAC_CHAIN_UNSEEN, /* not asked yet */
	FAC_CHAIN_USABLE,
	FAC_CHAIN_DOWN, /* no endpoint answers */
	FAC_CHAIN_WRONG /* an endpoint serves another chain */
};
struct fac_chain_status {
	_Atomic int health; /* enum fac_chain_health */
};

/* A chain as one worker sees it. */
struct fac_app_chain {
	struct x402_network network;
	struct fac_chain *chain; /* this worker's own */
	struct fac_pace *pace;   /* of approvals there; so is this */
	struct x402_address signers[FAC_ENGINE_SIGNERS_MAX];
	/* Solana: who pays fees, in their place, and what they may pay. */
	struct x402_pubkey fee_payers[FAC_ENGINE_SIGNERS_MAX];
	uint32_t max_compute_units;
	uint64_t max_priority_lamports;
	uint32_t confirmations; /* as the engine's; FAC_CONFIRM_... */
	size_t signers_len;     /* of whichever */
	/* F-034: borrowed; they outlive the worker. */
	const struct x402_address *factories;
	size_t factories_len;
	/* F-07A: the same. */
	const struct x402_address *managers;
	size_t managers_len;
	uint64_t delegation_gas;
	const char *builder_code; /* NULL: none; it outlives the worker */
	/*
	 * F-075: approvals are sent, with so much given for their gas, in
	 * tokens that settling knows (borrowed; it outlives the worker).
	 */
	bool approvals;
	struct x402_u256 gift_wei;
	const struct fac_config_settling *settling;
	enum x402_proof_policy proofs;
	uint32_t proof_depth;
	struct fac_chain_status *status; /* shared */
};

/* One worker's world. */
struct fac_app {
	struct fac_loop *loop;
	struct fac_store *store;
	struct fac_settler *settler;
	struct fac_settings settings; /* replaced on HUP, by mail */
	struct fac_app_chain chains[FAC_ENGINE_CHAINS_MAX];
	size_t chains_len;
	/* Optional; NULL: the public endpoints. */
	const struct fac_route *routes;
	size_t routes_len;
	struct fac_http_counts *counts;   /* Optional */
	struct x402_eip712_cache domains; /* of the tokens that were seen */
	uint32_t worker;                  /* for request ids */
	uint64_t boot_unix_ms;            /* for request ids */
	uint64_t requests;                /* counted here */
	uint64_t open_requests;           /* not answered yet */
	struct fac_watches *watches;      /* requests that wait; watch.h */
	/* Pages of the catalogue, asked of the store and not: discovery.c. */
	unsigned pages_open;
	struct fac_page *pages_waiting;
	unsigned pages_waiting_len;
	uint64_t health_at_ms; /* when health_err was learnt */
	enum x402_err health_err;
	/* What the engine said, and who waits to hear it: health.c. */
	uint64_t health_told_ms;
	bool health_asking;
	bool health_recovered;
	uint64_t health_in_flight;
	struct fac_health_wait *health_waiting;
	/*
	 * Nothing new is accepted; what was asked is still answered, but
	 * without waiting for anything that may take its time.
	 */
	bool draining;
	/*
	 * Set when the daemon stops: nothing new may be started, because the
	 * rooms that would answer are being closed.
	 */
	bool stopping;
};

/* Proof of an answer, or of something under way that will bring one. */
struct fac_step {
	struct fac_request *private_only;
};

#define FAC_REQUEST_ID_SIZE     48
#define FAC_REQUEST_HEADERS_MAX 4
struct fac_request {
	struct fac_app *app;
	struct http_exchange *exchange;
	const struct http_request *http;
	char id[FAC_REQUEST_ID_SIZE];
	uint64_t started_ms; /* the loop's clock */
	enum fac_route_name route;
	int status; /* answered; 0: not yet */
	/* The client closed the connection; the answer goes nowhere. */
	bool gone;
	/* Optional: called once when that happens. */
	void (*on_gone)(struct fac_request *request);
	/* The endpoint's own; freed after the answer was written. */
	void *state;
	void (*state_free)(void *state);
	/* Added to the answer; values are copied. */
	struct {
		const char *name;
		char *value;
	} headers[FAC_REQUEST_HEADERS_MAX];
	size_t headers_len;
	/* fac_go_on's. */
	struct fac_stage stage;
	struct fac_step (*next)(void *user);
	void *next_user;
};

/* An endpoint. At least one of get and post. */
struct fac_route {
	const char *path;
	bool prefix; /* what follows the path belongs to the endpoint */
	enum fac_route_name name;
	struct fac_step (*get)(struct fac_request *request);
	struct fac_step (*post)(struct fac_request *request);
};

/* ---- Answers. Each frees the request. ---- */

/* json is taken; NULL (memory was out) becomes a 500. */
struct fac_step fac_reply(
	struct fac_request *request, int status, struct x402_json *json);
/* Text that is JSON already. */
struct fac_step fac_reply_text(
	struct fac_request *request, int status, const char *text);
/* Text of another kind. */
struct fac_step fac_reply_as(struct fac_request *request, int status,
	const char *content_type, const char *text);
/* No body. */
struct fac_step fac_reply_empty(struct fac_request *request, int status);
/* {"error": text, "requestId": ...}: what was expected, and what came. */
struct fac_step fac_fail(struct fac_request *request, int status,
	const char *fmt, ...) X402_PRINTF(3, 4);
/*
 * 503 with Retry-After. Not logged: a crowd of strangers is no fault of ours,
 * and would fill the disk.
 */
struct fac_step fac_busy(struct fac_request *request, const char *text);
/*
 * An answer in pieces: begin, write, end; net/http_server.h has the rules.
 * Begin uses the headers added so far. False: nobody reads on, so write what
 * is ready and end. Only the end frees the request.
 */
bool fac_stream_begin(struct fac_request *request, const char *content_type);
bool fac_stream_write(struct fac_request *request, struct x402_span bytes);
struct fac_step fac_stream_end(struct fac_request *request);
/* Something is under way; its callback will answer. */
struct fac_step fac_wait(struct fac_request *request);
/*
 * Go on with a step in this turn of the loop, once its other requests have come
 * as far (fac_loop_stage). user lives as long as the request, or longer.
 */
struct fac_step fac_go_on(struct fac_request *request,
	struct fac_step (*step)(void *user), void *user);
/* The end of a callback. */
static inline void fac_end(struct fac_step step)
{
	(void)step;
}

/* ---- Reading. ---- */

/* A header that may come once: NULL when absent or doubled. Borrowed. */
const char *fac_request_header(
	const struct fac_request *request, const char *name);
/*
 * Who asks, for ceilings: an address. Of IPv6 the network of 2^64 that whoever
 * has one address has all of. "" when it has left.
 */
void fac_request_caller(
	const struct fac_request *request, char ret_caller[FAC_CALLER_SIZE]);
/*
 * The body, as JSON object; its text is gone afterwards, so ask once. False: an
 * answer was sent (ret_step).
 */
bool fac_request_body(struct fac_request *request, struct x402_json **ret_json,
	struct fac_step *ret_step);
/*
 * A query parameter, percent-decoded; caller frees. NULL when absent, and
 * *ret_bad when it is malformed or doubled.
 */
char *fac_request_query(
	const struct fac_request *request, const char *name, bool *ret_bad);
/* The path behind a prefix. Borrowed. */
const char *fac_request_path_rest(
	const struct fac_request *request, const char *prefix);
/* Add a header to the answer; name must be constant text. */
void fac_request_add_header(
	struct fac_request *request, const char *name, const char *value);

uint64_t fac_unix_ms(void);
#define FAC_ISO_TIME_SIZE 32
/* "2026-11-21T07:30:34.123Z" */
void fac_iso_time(uint64_t unix_ms, char ret_text[FAC_ISO_TIME_SIZE]);
/* The chain of a network that is served here, or NULL. */
const struct fac_app_chain *fac_app_chain_find(
	const struct fac_app *app, const char *caip2);
bool fac_app_chain_usable(const struct fac_app_chain *chain);

/* ---- Endpoints. ---- */

struct fac_step fac_api_verify(struct fac_request *request);
struct fac_step fac_api_settle(struct fac_request *request);
struct fac_step fac_api_supported(struct fac_request *request);
struct fac_step fac_api_health(struct fac_request *request);
struct fac_step fac_api_discovery_list(struct fac_request *request);
struct fac_step fac_api_discovery_post(struct fac_request *request);
struct fac_step fac_api_payment(struct fac_request *request);
/* OPTIONS on any path. */
struct fac_step fac_api_preflight(struct fac_request *request);

/* cors.c: the headers that go on every answer. */
struct fac_header {
	const char *name;
	const char *value;
};
#define FAC_CORS_HEADERS_MAX 3
size_t fac_cors_headers(const struct fac_settings *settings,
	struct fac_header ret_headers[FAC_CORS_HEADERS_MAX]);

/* Called by the worker for each request of its server. */
void fac_api_dispatch(struct fac_app *app, struct http_exchange *exchange);

#endif
