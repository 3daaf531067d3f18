/*
 * resolver_p.h: confirmed names of addresses (rdns_p.h) on a libuv loop, by
 * questions over UDP to one name server.
 *
 * Bounded in all: lookups at once, those who wait for one, tries, time. Beyond
 * a bound the answer is that there is no name, and who has none pays.
 *
 * Not for: names of other things; libuv and libcurl ask for those themselves.
 * Thread rule: the loop's thread. Private to the provider's libuv parts.
 */
#ifndef X402_PROVIDER_UV_RESOLVER_P_H
#define X402_PROVIDER_UV_RESOLVER_P_H

#include <uv.h>

#include "../rdns_p.h"

/* Addresses that are asked about at once: strangers begin lookups, by saying
 * that they are a crawler. */
#define X402__LOOKUPS_MAX 64

struct x402__resolver;

/*
 * server: "192.0.2.53:53" or "[::1]:53"; NULL: the first name server of
 * /etc/resolv.conf, or 127.0.0.1. SYNTAX, NOMEM, INTERNAL (no random bytes).
 */
X402_MUST_USE enum x402_err x402__resolver_new(uv_loop_t *loop,
	const char *server, struct x402__resolver **ret_resolver);
/* Who waits is called back with "", never from here; memory goes with the last
 * close callback. NULL allowed. */
void x402__resolver_close(struct x402__resolver *resolver);

/*
 * Call done with the confirmed name of an address, "" for none: once, never
 * within this call. The name is borrowed for the call. False when memory is
 * out; done is not called then.
 */
X402_MUST_USE bool x402__resolver_ask(struct x402__resolver *resolver,
	const char *address, void (*done)(void *user, const char *name),
	void *user);

#endif
