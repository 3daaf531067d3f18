/*
 * provider_microhttpd.h: the gate (provider.h) around a libmicrohttpd access
 * handler.
 *
 *   struct MHD_Daemon *daemon = MHD_start_daemon(
 *           MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD |
 *                   MHD_USE_THREAD_PER_CONNECTION,
 *           port, NULL, NULL, x402_microhttpd_access, adapter,
 *           MHD_OPTION_ARRAY, x402_microhttpd_options(adapter),
 *           MHD_OPTION_END);
 *
 * The handler returns its response instead of queueing it: what was not
 * settled must not leave. Calls to the facilitator are made with libcurl in
 * the thread that serves the connection and block it, up to the provider's
 * timeouts. So run the daemon with MHD_USE_THREAD_PER_CONNECTION, or with
 * MHD_OPTION_THREAD_POOL_SIZE and a thread for each payment that shall be in
 * flight at once; with one thread only, one payment waits for another. Not
 * for MHD_USE_EPOLL loops of the program's own: use the gate there.
 *
 * Thread rule: one adapter serves all threads of its daemon. Stop the daemon
 * before freeing the adapter, and that before freeing the provider.
 */
#ifndef X402_PROVIDER_MICROHTTPD_H
#define X402_PROVIDER_MICROHTTPD_H

#include <microhttpd.h>

#include "x402/provider.h"

#ifdef __cplusplus
extern "C" {
#endif

struct x402_microhttpd; /* opaque */

struct x402_microhttpd_request {
	struct MHD_Connection *connection;
	/* For a sold route the canonical path that was matched; serve by this
	 * one. For a free one libmicrohttpd's own, decoded. */
	const char *path;
	const char *method;
	struct x402_span body; /* whole */
	/* Which route, parameters, payer: see provider.h. */
	const struct x402_gate *gate;
};

struct x402_microhttpd_config {
	/* Required: must outlive the adapter. */
	struct x402_provider *provider;
	/*
	 * Required: make the response, return its status; 0 or a NULL response
	 * is a failure (500, nothing is settled). *ret_response is taken over
	 * and changed, so it must be a new one for each request. Called in the
	 * connection's thread, possibly several at once.
	 */
	unsigned (*handler)(void *user,
		const struct x402_microhttpd_request *request,
		struct MHD_Response **ret_response);
	void *user;
	/* Optional, default 262144: longest request body; above it 413. */
	size_t body_max;
};

/* INVALID_ARGUMENT, NOMEM, INTERNAL (libcurl). Calls curl_global_init. */
X402_API X402_MUST_USE enum x402_err x402_microhttpd_new(
	const struct x402_microhttpd_config *config,
	struct x402_microhttpd **ret_adapter);
X402_API void x402_microhttpd_free(struct x402_microhttpd *adapter);

/*
 * For MHD_OPTION_ARRAY. Without it the adapter does not see paths as they
 * were sent and answers every request 500. Lives as long as the adapter.
 */
X402_API struct MHD_OptionItem *x402_microhttpd_options(
	struct x402_microhttpd *adapter);

/* The access handler; its cls is the adapter. */
X402_API enum MHD_Result x402_microhttpd_access(void *adapter,
	struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *upload_data, size_t *upload_data_size,
	void **request_state);

#ifdef __cplusplus
}
#endif
#endif
