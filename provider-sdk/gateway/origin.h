/*
 * origin.h: an origin as it runs: its connections, whether it is well, and the
 * token that it wants to see.
 *
 * Not for: requests to it (relay.c).
 * Thread rule: the loop's thread.
 */
#ifndef GW_ORIGIN_H
#define GW_ORIGIN_H

#include "../src/uv/transfers_p.h"
#include "gateway_config.h"
#include "oauth.h"
#include "upstream_state.h"

/* A transfer of the gateway's own, a health check or the fetch of a token. */
struct gw_errand {
	CURL *easy; /* NULL: none under way */
	struct curl_slist *headers;
	struct x402_buf secret; /* sent, and wiped afterwards */
	struct x402_buf line;
	struct x402_buf body;
};

struct gw_origin {
	const struct gw_config_upstream *config; /* borrowed */
	uv_loop_t *loop;
	struct x402__transfers *transfers;
	char *host; /* for the Host header; "" is the client's */
	struct gw_upstream_state state;
	struct gw_errand check;
	struct gw_oauth *oauth; /* NULL: none wanted */
	struct gw_errand fetch;
	/* A token has come, or none: who waits may ask again. */
	void (*on_token)(void *user);
	void *user;
};

/* config must outlive it. NOMEM, INVALID_ARGUMENT with info. Close it also
 * after a failure. */
X402_MUST_USE enum x402_err gw_origin_open(
	const struct gw_config_upstream *config, uv_loop_t *loop,
	struct x402_errinfo *info, struct gw_origin *origin);
/* No request may be under way. */
void gw_origin_close(struct gw_origin *origin);
/* Begin what is due: a health check. */
void gw_origin_tick(struct gw_origin *origin);

/*
 * The Authorization for a request. WAIT: on_token will come. FAILED: there is
 * none. NULL token with TOKEN: the origin wants none.
 */
enum gw_oauth_verdict gw_origin_token(struct gw_origin *origin,
	const char **ret_authorization, uint64_t *ret_serial);
/* The origin has answered 401 to that one. */
void gw_origin_token_refused(struct gw_origin *origin, uint64_t serial);

#endif
