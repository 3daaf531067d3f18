/*
 * exchange_p.h: one HTTP request of a flow on a libcurl handle, private.
 *
 *   x402__exchange_begin()  the handle is ready to run
 *   (curl_easy_perform, or a multi)
 *   x402__exchange_end()    the flow knows what came
 */
#ifndef X402_CLIENT_EXCHANGE_P_H
#define X402_CLIENT_EXCHANGE_P_H

#include "flow_p.h"
#include "x402/client_curl.h"

struct x402__exchange {
	const struct x402_client_options *options;
	const struct x402_client_easy *easy; /* NULL: into memory */
	struct x402__flow *flow;
	CURL *curl;
	/*
	 * For carriers that put things elsewhere (mcp_call.c): the handle is
	 * ready, change it; a whole answer came, say what it means. Optional.
	 */
	enum x402_err (*dress)(void *user, struct x402__exchange *exchange);
	void (*translate)(void *user, struct x402__message *message);
	void *user;
	struct curl_slist *list;
	struct x402_client_headers headers;
	struct x402_buf body; /* in memory, or held back */
	struct x402_buf raw;  /* header lines that are held back */
	/* A streamed body that cannot be rewound by its owner. */
	struct x402_buf upload;
	size_t upload_at;
	bool uploads; /* read from `upload` */
	long status;
	bool headers_done; /* what follows are trailers: not looked at */
	bool hold;         /* the caller does not get this answer, yet */
	bool passes;       /* its head is the caller's too, unread */
	bool streamed;     /* the caller has some of the body */
	bool pays;
	bool sent;
	bool resent; /* libcurl wanted to send it a second time */
	bool too_large;
	bool cancelled;
	bool out_of_memory;
	bool private_address;   /* and public_only */
	bool refused_by_caller; /* its write callback ended the transfer */
};

/*
 * Look at the handle once. TOO_LARGE or INVALID_ARGUMENT for a body that
 * cannot be sent twice; NOMEM.
 */
X402_MUST_USE enum x402_err x402__exchange_prepare(
	struct x402__exchange *exchange);
X402_MUST_USE enum x402_err x402__exchange_begin(
	struct x402__exchange *exchange, int64_t remaining_ms);
void x402__exchange_end(struct x402__exchange *exchange, CURLcode code);
/* May a client that is for public addresses only connect there? */
bool x402__address_is_public(const struct sockaddr *address);
/*
 * For dress(): every header line but the payment's, which travels in the body
 * instead. Replaces *list, which the caller frees. False: no memory.
 */
X402_MUST_USE bool x402__exchange_list_unpaid(
	const struct x402__exchange *exchange, struct curl_slist **list);
/* What was held back and is final after all goes to the caller. */
void x402__exchange_deliver(struct x402__exchange *exchange);
/* Give the handle back as it was. */
void x402__exchange_restore(struct x402__exchange *exchange);
void x402__exchange_clear(struct x402__exchange *exchange);

#endif
