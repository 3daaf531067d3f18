/*
 * gateway_config.h: what the operator of x402-gateway decided, in one struct,
 * made of a file (libconfuse), of the environment, or of the command line.
 *
 *   gw_config_new()       defaults
 *   gw_config_read()      a file's text into it; unknown keys are refused
 *   gw_config_check()     what only the whole can show (no upstream, ...)
 *
 * Strings are owned and may be NULL where "or NULL" stands. Secrets come from
 * files and are wiped by gw_config_free.
 *
 * Not for: I/O. The caller reads the file; secret files are read through a
 * callback.
 * Thread rule: made and freed on one thread; constant in between.
 */
#ifndef GW_GATEWAY_CONFIG_H
#define GW_GATEWAY_CONFIG_H

#include "x402/provider.h"

/* More origins than this belong into a service mesh. */
#define GW_UPSTREAMS_MAX 32
/* Headers that the operator adds for one origin. */
#define GW_UPSTREAM_HEADERS_MAX 16
/* Tokens whose holders go free on one route. */
#define GW_HOLDERS_MAX 4
/* Networks or names of one crawler; trusted proxies. */
#define GW_LIST_MAX     256
#define GW_CRAWLERS_MAX 256

/* "host:port", "[::1]:8402", ":8402" (every address). */
struct gw_address {
	char host[64]; /* "" is every address; else one, not a name */
	uint16_t port; /* 0 takes a free one */
};

/* Where the gateway fetches a token that it shows to an origin (RFC 6749,
 * 4.4). token_url NULL: no OAuth. */
struct gw_config_oauth {
	char *token_url;
	char *client_id;
	char *client_secret; /* a secret; wiped */
	char *scope;         /* or NULL */
	char *audience;      /* or NULL */
	bool secret_in_body; /* false: Basic, as RFC 6749 wants it */
	uint32_t early_s;    /* 60: fetched anew so long before its end */
};

/* One origin. */
struct gw_config_upstream {
	int line;      /* of the file; 0: of the command line */
	char *name;    /* "" for the one of the command line */
	char *url;     /* "http://127.0.0.1:9000" or https; no path */
	char *host;    /* Host header; NULL: as in url. "$host": the client's */
	char *ca_file; /* or NULL: the system's authorities */
	/* "Name: value", added to every request; may hold secrets, wiped. */
	char *headers[GW_UPSTREAM_HEADERS_MAX];
	size_t headers_len;
	struct gw_config_oauth oauth;
	uint32_t connect_timeout_ms; /* 5,000 */
	uint32_t header_timeout_ms;  /* 60,000: sent to first header */
	uint32_t idle_timeout_ms;    /* 60,000: between bytes */
	uint32_t total_timeout_ms;   /* 0: none */
	uint32_t connections_max;    /* 128 at once */
	/* Health check: GET of a path; NULL: none. */
	char *health_path;
	uint32_t health_interval_ms; /* 5,000 */
	uint32_t health_timeout_ms;  /* 2,000 */
	/* Circuit breaker: so many failures in a row open it, for so long;
	 * 0 failures: none. */
	uint32_t breaker_failures; /* 5 */
	uint32_t breaker_open_ms;  /* 10,000 */
};

/* A list of texts. */
struct gw_list {
	char **list; /* or NULL */
	size_t len;
};

/* See struct x402_provider_holder. */
struct gw_config_holder {
	char *rpc_url;
	char *token;
	char *min;   /* or NULL */
	char *price; /* what holders pay; NULL: nothing */
};

/* See struct x402_provider_crawler. */
struct gw_config_crawler {
	int line;
	char *user_agent;
	enum x402_provider_policy policy; /* CHARGE */
	struct gw_list networks;
	struct gw_list hosts; /* ends of names, confirmed by the DNS */
	char *directory;      /* or NULL */
};

/* One entry of the price list; the first that matches counts. */
struct gw_config_route {
	int line;
	char *pattern;  /* "GET /articles/[slug]", "/api/" and a star */
	char *upstream; /* name; NULL: the first */
	bool free;      /* costs nothing */
	char *price;    /* "$0.01"; NULL: the default's */
	char *network;  /* these three likewise */
	char *pay_to;
	char *asset;      /* with amount, in place of price */
	char *amount;     /* atomic units */
	char *extra_json; /* or NULL */
	char *scheme;     /* NULL: "exact" */
	enum x402_provider_settle settle;
	bool has_settle;   /* false: the default's */
	char *description; /* or NULL */
	char *mime_type;   /* or NULL */
	uint32_t pass_s;
	uint32_t pass_uses;
	uint32_t siwx_s;
	uint32_t free_per_day;
	/* The origin is shown PAYMENT-SIGNATURE and X-PAYMENT. */
	bool forward_payment;
	bool crawlers_only; /* people go free */
	enum x402_provider_identifier identifier;
	enum x402_provider_scope pass_scope;
	struct gw_config_holder holders[GW_HOLDERS_MAX];
	size_t holders_len;
};

/* Requests in a window that slides; requests 0: no limit. */
struct gw_config_rate {
	uint32_t requests;
	uint32_t window_s;
};

struct gw_config {
	char *source;             /* name of the file; NULL: the command line */
	struct gw_address listen; /* 127.0.0.1:8402 */
	char *tls_certificate;    /* PEM chain, a file; NULL: no TLS */
	char *tls_key;            /* PEM, a file for its owner alone */
	struct gw_address admin;  /* 127.0.0.1, port 9402 */
	bool has_admin;           /* false: no such listener */
	char *public_origin;      /* "https://shop.example" */
	struct gw_list trusted_proxies; /* "10.0.0.0/8" */

	struct gw_config_upstream upstreams[GW_UPSTREAMS_MAX];
	size_t upstreams_len;

	/* For routes that do not say otherwise. price NULL: what matches no
	 * route is 404; else what matches no route costs it. */
	char *price;
	char *network; /* "eip155:84532" */
	char *pay_to;
	enum x402_provider_settle settle; /* AFTER */
	struct gw_config_route *routes;
	size_t routes_len;

	char *facilitators[X402_PROVIDER_FACILITATORS_MAX];
	size_t facilitators_len;
	char *facilitator_authorization; /* for the first; a secret; or NULL */
	char *journal; /* a file; NULL: payments are remembered in memory */
	/* "eip155:8453=https://rpc.example": nodes of our own, by which wallets
	 * that are contracts sign in. */
	struct gw_list rpcs;
	/* Days after which a payment that was delivered is forgotten; 0: never.
	 */
	uint32_t journal_days;
	char *cors_origin; /* or NULL */
	bool v1;           /* true: sell to v1 buyers as well */
	bool page;         /* true: browsers get a page */
	char *page_name;   /* or NULL */
	char *page_accent; /* "#2557d6", or NULL */
	struct gw_config_crawler *crawlers;
	size_t crawlers_len;
	/* "192.0.2.53:53" or "[::1]:53", who is asked for the names of
	 * crawlers' addresses; NULL: those of /etc/resolv.conf. */
	char *resolver;

	/* Per client address; and per value of rate_key_header. */
	struct gw_config_rate rate_address;
	struct gw_config_rate rate_key;
	char *rate_key_header; /* or NULL */

	uint32_t connections_max;    /* 4,096 */
	uint64_t body_max;           /* 1 GiB: longest request body */
	uint32_t headers_timeout_ms; /* 10,000 */
	uint32_t body_timeout_ms;    /* 30,000 without a byte */
	uint32_t idle_timeout_ms;    /* 60,000 between requests */
	uint32_t write_timeout_ms;   /* 30,000 without progress */
	uint32_t drain_timeout_ms;   /* 30,000 */
	uint32_t verify_timeout_ms;  /* 10,000 */
	uint32_t settle_timeout_ms;  /* 30,000 */
	bool access_log;             /* true: a line for each request */
	/* Answer these ourselves, from the price list. */
	bool manifest; /* true: /.well-known/x402 and /openapi.json */
	bool robots;   /* false: /robots.txt */
};

/* The defaults of one. */
void gw_config_upstream_init(struct gw_config_upstream *upstream);
/* NULL when memory is out. Free with gw_config_free. */
struct gw_config *gw_config_new(void);
/* NULL allowed. */
void gw_config_free(struct gw_config *config);

/* The whole of a file that holds a secret, without its last line break; NULL
 * with info when it cannot be read or others may read it. From malloc. */
struct gw_config_files {
	char *(*read_secret)(
		void *user, const char *path, struct x402_errinfo *info);
	void *user;
};

/*
 * Read a file's text into config, which has defaults. INVALID_ARGUMENT with
 * "file:line: ..." in info->text, NOMEM. config may be half filled then; free
 * it. Call gw_config_check afterwards.
 */
X402_MUST_USE enum x402_err gw_config_read(const char *name, const char *text,
	const struct gw_config_files *files, struct x402_errinfo *info,
	struct gw_config *config);
/* INVALID_ARGUMENT, with what is missing in info->text. */
X402_MUST_USE enum x402_err gw_config_check(
	const struct gw_config *config, struct x402_errinfo *info);
/*
 * What x402_provider_new said about "routes[2]..." or "crawlers[0]..." of the
 * n-th route or crawler here, as "file:line: route "GET /x": ...".
 */
void gw_config_locate(
	const struct gw_config *config, struct x402_errinfo *info);
/* SYNTAX when text is no address of the forms above. */
X402_MUST_USE enum x402_err gw_address_read(
	const char *text, struct gw_address *ret_address);

#endif
