/*
 * module.h: what the files of the nginx module share:
 *   module.c     directives, their inheritance, the life of master and worker
 *   directives.c those that are more than a word
 *   offer.c      what a location sells, as a provider of the SDK
 *   terms.c      the providers of a location, by payee and origin
 *   deal.c       one request through the gate, up to its content
 *   elsewhere.c  internal redirects and subrequests into locations that sell
 *   names.c      the confirmed name of a crawler's address
 *   filter.c     its response: held back, let out, or replaced
 *   transfers.c  libcurl on nginx's event loop
 *   report.c     variables for logs, and the status location
 *   document.c   the price list for machines that look before they ask
 *   ledger.c     what became of each payment, on file
 *
 * Thread rule: nginx's; one thread in each worker.
 */
#ifndef X402_NGINX_MODULE_H
#define X402_NGINX_MODULE_H

/* nginx wants its own first. */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ledger.h"
#include "x402/provider.h"

extern ngx_module_t ngx_http_x402_module;

/* ---- Configuration. ---- */

struct x402_ngx_main {
	ngx_str_t state_path;
	ngx_uint_t state_slots;
	ngx_flag_t state_sync; /* wait for the disk before settling */
	ngx_flag_t used;       /* some location sells */
	ngx_array_t *sold;     /* of struct x402_ngx_sold */
};

struct x402_ngx_loc;

/* A location that sells, as documents show it. */
struct x402_ngx_sold {
	const ngx_http_core_srv_conf_t *server;
	const struct x402_ngx_loc *lcf;
	const char *pattern; /* as the SDK writes them */
};

enum x402_ngx_document {
	X402_NGX_OPENAPI,
	X402_NGX_WELL_KNOWN,
	X402_NGX_ROBOTS
};

/* Networks beside the main one; the SDK reads no longer lists from clients. */
#define X402_NGX_ALSO_MAX 7
/* Crawlers of one list, as in the SDK. */
#define X402_NGX_CRAWLERS_MAX 256
/* Networks, or names, of one crawler. A search engine lists some hundreds. */
#define X402_NGX_PLACES_MAX 1024

/* One network on which a location takes its price. */
struct x402_ngx_offer {
	ngx_str_t network;
	ngx_str_t pay_to; /* empty: as x402_pay_to says */
	ngx_str_t asset;
	ngx_str_t asset_name;
	ngx_str_t asset_version;
	ngx_uint_t asset_decimals; /* 0: as libx402 knows it */
	ngx_str_t signer;          /* the facilitator's account */
};

/* What a request's variables came to, as C strings in its pool. */
struct x402_ngx_said {
	const char *price;     /* as the SDK says prices */
	const char *old_price; /* NULL: none is taken any more */
	const char *pay_to;
	const char *origin;
};

/* Providers of one location, by payee and origin. A site that has more of them
 * than this at once for one location pays with a new list each. */
#define X402_NGX_TERMS_MAX 64

struct x402_ngx_terms {
	struct x402_ngx_terms *next; /* most lately used first */
	char *pay_to;                /* owned: what makes two the same */
	char *origin;
	struct x402_provider *provider;
	ngx_uint_t refs; /* deals under way */
};

struct x402_ngx_loc {
	ngx_flag_t enable;
	ngx_flag_t shadow;
	ngx_flag_t v1;
	ngx_flag_t page;
	ngx_flag_t crawlers_only;
	ngx_http_complex_value_t *price;
	ngx_http_complex_value_t *old_price;
	time_t old_price_until; /* 0: as long as it stands there */
	ngx_http_complex_value_t *pay_to;
	ngx_http_complex_value_t *public_origin;
	ngx_http_complex_value_t *exempt;
	ngx_http_complex_value_t *charge; /* for upto: what was used */
	struct x402_ngx_offer offer;
	ngx_array_t *also;         /* of struct x402_ngx_offer */
	ngx_array_t *facilitators; /* of ngx_str_t, in order */
	ngx_str_t facilitator_authorization;
	ngx_str_t facilitator_certificate;
	ngx_str_t description;
	ngx_str_t mime_type;
	ngx_str_t cors_origin;
	ngx_uint_t upto;   /* 0: exact */
	ngx_uint_t settle; /* enum x402_provider_settle */
	ngx_msec_t verify_timeout;
	ngx_msec_t settle_timeout;
	ngx_int_t payment_timeout; /* seconds */
	time_t pass;               /* seconds; 0: none */
	ngx_uint_t pass_uses;      /* 0: as many as there is time for */
	ngx_uint_t pass_site;      /* good wherever this is said */
	ngx_int_t free_per_day;
	ngx_uint_t payment_identifier; /* enum x402_provider_identifier */
	ngx_array_t *crawlers;         /* of struct x402_provider_crawler */
	ngx_array_t *holders;          /* of struct x402_provider_holder */
	ngx_array_t *rpcs;             /* of struct x402_provider_rpc */
	ngx_str_t server_name;         /* for the origin where none is given */
	const char *same; /* all that makes two locations ask for the same */

	struct x402_ngx_terms *terms;
	ngx_uint_t terms_len;

	ngx_uint_t document; /* enum x402_ngx_document; never inherited */
	char *document_text; /* owned: the last one, and for which origin */
	char *document_origin;
};

/* ---- directives.c ---- */

char *x402_ngx_set_price(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *x402_ngx_set_old_price(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *x402_ngx_set_asset(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *x402_ngx_set_also(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *x402_ngx_set_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *x402_ngx_set_holder(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *x402_ngx_set_rpc(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *x402_ngx_set_crawler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *x402_ngx_set_facilitators(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *x402_ngx_set_state(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* ---- offer.c ---- */

/* "$0.01", "0.01usd" or "10000atomic" as the SDK says it; NULL for what is
 * none, or without memory. */
const char *x402_ngx_price_read(ngx_pool_t *pool, const char *said);
/* One route with the location's terms, in the pool. said->price may be NULL.
 * NOMEM; INVALID_ARGUMENT with info about the directive at fault. */
X402_MUST_USE enum x402_err x402_ngx_offer_route(ngx_pool_t *pool,
	const struct x402_ngx_loc *lcf, const struct x402_ngx_said *said,
	struct x402_errinfo *info, struct x402_provider_route *ret_route);
/* The same as a provider. memory may be NULL for one that will not be used. */
X402_MUST_USE enum x402_err x402_ngx_offer_make(ngx_pool_t *pool,
	const struct x402_ngx_loc *lcf, const struct x402_ngx_said *said,
	const struct x402_provider_memory *memory, struct x402_errinfo *info,
	struct x402_provider **ret_provider);

/* ---- terms.c ---- */

/* False when price, payee or origin came to nothing (logged). */
bool x402_ngx_said_of(ngx_http_request_t *r, const struct x402_ngx_loc *lcf,
	struct x402_ngx_said *ret_said);
/*
 * The provider for this request; NULL when what was said makes no offer
 * (logged). Give it back with x402_ngx_terms_unref.
 */
struct x402_ngx_terms *x402_ngx_terms_of(ngx_http_request_t *r,
	struct x402_ngx_loc *lcf, const struct x402_ngx_said *said);
/* An address for checks, where only a request knows the payee. Never offered.
 */
const char *x402_ngx_payee_stand_in(const struct x402_ngx_loc *lcf);
/* What buyers see before the path; NULL when it came to nothing. */
const char *x402_ngx_origin_of(
	ngx_http_request_t *r, const struct x402_ngx_loc *lcf);
void x402_ngx_terms_unref(struct x402_ngx_terms *terms);
void x402_ngx_terms_clear(struct x402_ngx_loc *lcf);
/* What can be known before there is a request. NGX_ERROR when it is wrong. */
ngx_int_t x402_ngx_terms_check(ngx_conf_t *cf, struct x402_ngx_loc *lcf);

/* ---- transfers.c ---- */

ngx_int_t x402_ngx_transfers_open(ngx_cycle_t *cycle);
void x402_ngx_transfers_close(void);

struct x402_ngx_transfer; /* opaque: one question to a facilitator */
/*
 * Send what the gate asks; done is called once, later, from the event loop. The
 * gate's strings must live until then. certificate: a file of the authorities
 * to trust, or NULL for the system's. NULL when it cannot begin.
 */
struct x402_ngx_transfer *x402_ngx_transfer_begin(
	const struct x402_gate_ask *ask, const char *certificate,
	void (*done)(
		void *user, const struct x402_gate_facilitator_answer *answer),
	void *user);
/* Without calling done. */
void x402_ngx_transfer_cancel(struct x402_ngx_transfer *transfer);

/* ---- deal.c ---- */

/* nginx 1.22 has the page for it, but not the name. */
#define X402_NGX_PAYMENT_REQUIRED 402

/* Where a request that meets a price stands. */
enum x402_ngx_phase {
	X402_NGX_NAMING,   /* the name of its address is looked up */
	X402_NGX_BODY,     /* its body is being read, for the claim */
	X402_NGX_ASKING,   /* the facilitator is asked; no content yet */
	X402_NGX_ASKED,    /* it has answered; the access phase goes on */
	X402_NGX_ANSWER,   /* the gate's own answer is what it gets */
	X402_NGX_FREE,     /* exempt, in shadow mode, or with a pass */
	X402_NGX_OPEN,     /* paid as far as the gate wants it for content */
	X402_NGX_HOLDING,  /* content is there, kept back; settling */
	X402_NGX_RELEASED, /* content may leave */
	X402_NGX_REPLACED  /* content is thrown away, the answer was sent */
};

/* On the heap: it outlives its request while a settlement is under way. */
struct x402_ngx_deal {
	ngx_http_request_t *r; /* NULL: gone */
	struct x402_ngx_loc *lcf;
	struct x402_ngx_terms *terms; /* NULL: exempt */
	struct x402_ngx_said said;    /* in the request's pool */
	struct x402_gate *gate;
	struct x402_gate_decision decision;
	enum x402_ngx_phase phase;
	struct x402_ngx_transfer *transfer;
	ngx_resolver_ctx_t *lookup; /* of a name, or of its addresses */
	bool names_address;         /* the latter */
	bool named;                 /* it is over */
	const char *peer_name;      /* what came of it; NULL: none */
#if (NGX_THREADS)
	ngx_thread_task_t sync; /* of the ledger, before it is sent to settle */
#endif
	bool syncing;
	bool synced;    /* and how that went */
	bool settling;  /* money may be moving: never cancel */
	bool verified;  /* the facilitator has said yes to it */
	bool paid;      /* money has moved for it, now or before */
	bool content;   /* what was let out is what was paid for */
	bool delivered; /* a byte of it has left */
	bool has_body;  /* a byte of it has come to the filter */
	bool whole;     /* and its last */
	bool has_payment;
	bool body_read;
	const char *state; /* for $x402_state; constant */
	off_t sent_before; /* by the connection, when content was let out */
	ngx_chain_t *held; /* what the content handler has said so far */
	ngx_chain_t **held_last;
};

/* The request's deal, also after an internal redirect; NULL when none. */
struct x402_ngx_deal *x402_ngx_deal_of(ngx_http_request_t *r);
ngx_int_t x402_ngx_access(ngx_http_request_t *r);
/* A new deal, from the start. */
ngx_int_t x402_ngx_begin(ngx_http_request_t *r, struct x402_ngx_loc *lcf);
/* Does x402_exempt let it through? */
bool x402_ngx_exempt(ngx_http_request_t *r, const struct x402_ngx_loc *lcf);
/* On with a request that has waited. */
void x402_ngx_resume(ngx_http_request_t *r);
/* The request as a gate sees it, without its body; in the pool. False without
 * memory. */
bool x402_ngx_view(
	struct x402_ngx_deal *deal, struct x402_gate_request *ret_view);
/*
 * Perform ASK after ASK. True when an answer is awaited: done is called with
 * the deal when the next decision is another one. False: it is there.
 */
bool x402_ngx_deal_ask(struct x402_ngx_deal *deal);
/* Note that content has left, as soon as it has. */
void x402_ngx_deal_sent(struct x402_ngx_deal *deal);
/* Run a gate's function with $x402_state following its events. */
#define X402_NGX_GATE(deal, call)    \
	do {                         \
		x402_ngx_now = deal; \
		call;                \
		x402_ngx_now = NULL; \
	} while (0)
extern struct x402_ngx_deal *x402_ngx_now;
void x402_ngx_event(void *user, const struct x402_gate *gate,
	enum x402_gate_event event, const char *reason);

/* ---- elsewhere.c ---- */

/* An internal redirect has led a deal into a location that sells. */
ngx_int_t x402_ngx_redirected(
	struct x402_ngx_deal *deal, struct x402_ngx_loc *lcf);
/* Subrequests do not go through the access phase. */
ngx_int_t x402_ngx_preaccess(ngx_http_request_t *r);

/* ---- names.c ---- */

/* NGX_ERROR when names are asked for and nobody can look them up. */
ngx_int_t x402_ngx_names_check(ngx_conf_t *cf, const struct x402_ngx_loc *lcf);
/* True when an answer is awaited: the request is resumed with deal->named. */
bool x402_ngx_names_ask(struct x402_ngx_deal *deal);
/* Without an answer. */
void x402_ngx_names_cancel(struct x402_ngx_deal *deal);

/* ---- filter.c ---- */

void x402_ngx_filters(void);
/* The settlement of a deal whose response is held back has ended. */
void x402_ngx_filter_settled(struct x402_ngx_deal *deal);

/* ---- report.c ---- */

ngx_int_t x402_ngx_variables(ngx_conf_t *cf);
ngx_int_t x402_ngx_status(ngx_http_request_t *r);

/* ---- document.c ---- */

/* Note that a location sells. NGX_ERROR without memory. */
ngx_int_t x402_ngx_document_note(
	ngx_conf_t *cf, const struct x402_ngx_loc *lcf);
char *x402_ngx_set_document(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void x402_ngx_document_clear(struct x402_ngx_loc *lcf);

/* ---- module.c ---- */

/* The worker's; NULL in a process that serves nothing. */
extern struct x402_ledger *x402_ngx_ledger;

static inline struct x402_ngx_loc *x402_ngx_loc_of(ngx_http_request_t *r)
{
	return ngx_http_get_module_loc_conf(r, ngx_http_x402_module);
}

/* A copy with a NUL behind it; NULL without memory. */
char *x402_ngx_str(ngx_pool_t *pool, const ngx_str_t *str);

#endif
