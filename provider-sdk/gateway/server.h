/*
 * server.h: the gateway on its loop: the listener, its clients, what they have
 * under way, and the clocks that end what takes too long.
 *
 *   server.c    listening, the pump, the sweep, drain
 *   client.c    a connection: requests in, answers out, in turn
 *   exchange.c  a request through the gate and back from the origin
 *
 * The pump: libcurl and the transport call back in the midst of their own work,
 * so their callbacks set flags and wake the exchange; what follows happens
 * when the loop has come round, in gw_exchange_step.
 *
 * Thread rule: the loop's thread.
 */
#ifndef GW_SERVER_H
#define GW_SERVER_H

#include <time.h>

#include "access_log.h"
#include "net/http_request.h"
#include "site.h"
#include "transport.h"

struct gw_client;
struct gw_exchange;

struct gw_server {
	uv_loop_t *loop;
	struct gw_site *site; /* the current one; counted */
	struct x402__transfers *facilitators;
	uv_tcp_t listener;
	uv_timer_t sweep;
	uv_check_t check;
	uv_idle_t idle; /* keeps the loop from waiting while it is woken */
	uint16_t port;
	struct gw_client *clients; /* doubly linked */
	size_t clients_len;
	struct gw_exchange *exchanges; /* all of them, doubly linked */
	size_t exchanges_len;
	/* Whose gate is being asked, for its events. */
	struct gw_exchange *acting;
	/* Payments wait for the disk together: one sync at a time. */
	struct x402_provider_journal *journal; /* NULL: none */
	struct gw_exchange *unsynced;          /* for the next sync */
	struct gw_exchange *syncing;           /* for the one under way */
	uv_work_t sync;
	bool sync_busy;
	bool sync_wanted; /* also when nobody waits */
	enum x402_err sync_err;
	struct gw_exchange *woken; /* a queue */
	struct gw_exchange *woken_last;
	bool draining;
	uint64_t drain_until; /* loop ms */
	bool closed;
	void (*drained)(void *user);
	void *user;
	uint64_t id_base; /* random: request ids differ between runs */
	uint64_t id_next;
	char date[40]; /* of this second */
	time_t date_at;
	char read_buffer[GW_TRANSPORT_READ_BYTES];
};

/* For gw_site_options: user is the server. */
void gw_server_event(void *user, const struct x402_gate *gate,
	enum x402_gate_event event, const char *reason);

/*
 * Bind and listen as the site says; NETWORK with info. Close with
 * gw_server_drain; the loop runs out then. server is zeroed by it and must
 * not move.
 */
X402_MUST_USE enum x402_err gw_server_start(struct gw_server *server,
	uv_loop_t *loop, struct gw_site *site, struct x402_errinfo *info);
/* From the next request on; takes a reference. Where it listens stays. */
void gw_server_change_site(struct gw_server *server, struct gw_site *site);
/*
 * Accept no more, let what is under way end, then close everything and call
 * drained. What has not ended after the site's drain_timeout_ms is cut off,
 * but no settlement: each of those has a deadline of its own.
 */
void gw_server_drain(
	struct gw_server *server, void (*drained)(void *user), void *user);

/* In a drain: its time is over. */
void gw_server_hurry(struct gw_server *server);

/* ---- client.c ---- */

void gw_client_accept(struct gw_server *server);
/* Deadlines. */
void gw_client_sweep(struct gw_client *client, uint64_t now);
/* Draining: close between requests. */
void gw_client_drain(struct gw_client *client);
/* At once; its exchange hears of it. */
void gw_client_close(struct gw_client *client);
struct gw_client *gw_client_next(struct gw_client *client);
/* The address at the other end. */
const char *gw_client_peer(const struct gw_client *client);
bool gw_client_tls(const struct gw_client *client);

/* For the exchange: bytes of its answer. */
void gw_client_send(struct gw_client *client, const void *data, size_t len);
/* Is so much unsent that more should wait for gw_exchange_writable? */
bool gw_client_congested(const struct gw_client *client);
/* Is there anything that the kernel has not taken yet? */
bool gw_client_unsent(const struct gw_client *client);
/* Send "100 Continue" if the client waits for it. */
void gw_client_continue(struct gw_client *client);
/* The exchange has room for more of the request's body. */
void gw_client_want_body(struct gw_client *client, bool wanted);
/* From now on bytes go to gw_exchange_raw, what is here already at once. */
void gw_client_raw(struct gw_client *client);
/* The answer is complete; keep: the connection may go on. The exchange is no
 * longer the client's. */
void gw_client_done(struct gw_client *client, bool keep);

/* ---- exchange.c ---- */

/* A request has come; takes it. Nothing is answered from within this call.
 * NULL when memory is out. */
struct gw_exchange *gw_exchange_new_take(struct gw_client *client,
	struct gw_server *server, struct http_request *request);
/* Bytes of its body; false when they cannot be taken. */
bool gw_exchange_body(
	struct gw_exchange *exchange, const char *data, size_t len);
/* That was all of it; or what came was not HTTP. */
void gw_exchange_body_end(struct gw_exchange *exchange, bool whole);
/* Bytes of a client that is no longer one of HTTP. */
void gw_exchange_raw(
	struct gw_exchange *exchange, const char *data, size_t len);
/* The client has left, or can be written to again. */
void gw_exchange_gone(struct gw_exchange *exchange);
void gw_exchange_writable(struct gw_exchange *exchange);
/* What has been woken goes on. It may be gone afterwards. */
void gw_exchange_step(struct gw_exchange *exchange);
void gw_exchange_sweep(struct gw_exchange *exchange, uint64_t now);
/* The drain's time is over. */
void gw_exchange_cut(struct gw_exchange *exchange);

/* What the gate says happened. */
void gw_exchange_event(struct gw_exchange *exchange, enum x402_gate_event event,
	const char *reason);

/* Wake it, synced, when what it wrote is on the disk; NULL: see that it gets
 * there. */
void gw_server_sync(struct gw_server *server, struct gw_exchange *exchange);
/* RFC 9110, made once a second. */
const char *gw_server_date(struct gw_server *server);
void gw_server_wake(struct gw_server *server, struct gw_exchange *exchange);

#endif
