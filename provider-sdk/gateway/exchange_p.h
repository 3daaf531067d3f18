/*
 * exchange_p.h: one request on its way through the gateway, as its files share
 * it:
 *   exchange.c  from the request to the gate's decisions, and the end
 *   admit.c     who is turned away before it
 *   relay.c     the origin: its request, its answer, its content
 *   upgrade.c   the same for a connection that becomes a WebSocket
 *   answer.c    what is written to the client
 * Private to the gateway.
 */
#ifndef GW_EXCHANGE_P_H
#define GW_EXCHANGE_P_H

#include "call.h"
#include "headers.h"
#include "net/http_response.h"
#include "server.h"
#include "tunnel.h"

/* A body up to this is read before the gate is asked, so that it counts when a
 * payment is presented again (P5); longer ones stream, and do not. */
#define GW_BODY_KEPT_BYTES ((size_t)64 * 1024)
/* More of a request's body than this is not read ahead of the origin. */
#define GW_BODY_AHEAD_BYTES ((size_t)64 * 1024)

struct gw_exchange {
	struct gw_server *server;
	struct gw_client *client; /* NULL: the client has left */
	struct gw_site *site;     /* counted: a reload does not change it */
	struct gw_exchange *prev;
	struct gw_exchange *next;
	struct gw_exchange *next_woken;
	bool queued;
	bool done; /* freed at the end of the step */

	struct http_request request;
	char peer[64];
	char id[65];
	bool tls;
	uint64_t began_at; /* loop ms */

	/* The request's body, between the client and the origin. */
	struct http_bytes body;
	size_t body_at; /* handed on so far */
	uint64_t body_bytes;
	bool has_body;
	bool body_whole;
	bool body_broken;

	/* The gate. */
	struct x402_gate *gate;
	struct x402_gate_decision decision;
	bool again;  /* paid before, and owed since */
	bool naming; /* the DNS is asked about the peer */
	char peer_name[256];
	bool begun;
	/* A payment was written down, and must be on the disk before it is
	 * sent. */
	uint64_t written; /* before the gate was called */
	bool must_sync;
	bool synced;
	bool unsafe; /* it is not there */
	struct gw_exchange *next_syncing;
	bool asking; /* the disk, or the facilitator */
	bool asked;  /* it has answered */
	CURLcode ask_code;
	CURL *ask_easy;
	struct x402__curl_ask ask;
	char reason[128];

	/* The origin. */
	struct gw_origin *origin; /* NULL: not asked yet */
	struct gw_upstream_ticket ticket;
	bool ticketed;
	bool awaits_token;
	uint64_t token_serial;
	struct gw_call *call;
	uint64_t call_at;
	uint64_t moved_at; /* the last byte to or from it */
	uint64_t head_ms;
	bool head_here;
	bool head_told;
	bool call_ended;
	CURLcode call_code;
	bool timed_out;
	/* In place of a call, where the client wants a WebSocket. */
	bool upgrade;
	struct gw_tunnel *tunnel;
	unsigned tunnel_status;
	bool tunnel_ended;
	bool tunnel_open; /* bytes flow in both directions */
	bool cut;         /* the drain's time is over */

	/* The answer. */
	bool answering; /* content may flow */
	bool head_sent;
	bool chunked;
	bool bodiless;
	uint32_t retry_after_s; /* 0: none */
	bool keep;
	bool slow;     /* the client was, at least once */
	bool flushing; /* all is said; its end is on its way */
	bool aborted;  /* begun, and cannot be finished */
	bool failed;   /* the origin did: nothing to be delivered */
	bool delivered;
	bool owed; /* the gate says so */
	unsigned status;
	enum gw_result result; /* GW_RESULT_COUNT: from what happened */
	uint64_t content_bytes;
	struct http_bytes frame; /* scratch */
	const char *ended;
};

/* ---- exchange.c ---- */

uint64_t gw_exchange_now(const struct gw_exchange *exchange);
/* The end, in log and books. Nothing may be done with it afterwards. */
void gw_exchange_finish(struct gw_exchange *exchange, const char *ended);
/* Go where the decision leads. */
void gw_exchange_decide(struct gw_exchange *exchange);
/* What came of the origin, for the gate; then decide. */
void gw_exchange_on_handler(struct gw_exchange *exchange, unsigned status);

/* ---- admit.c ---- */

/* True when the request has been answered without the gate, which is made
 * otherwise. */
bool gw_admit_turned_away(struct gw_exchange *exchange);
/* Before anybody is asked about money: nobody shall pay for what cannot be
 * had. True when it has been answered. */
bool gw_admit_unavailable(struct gw_exchange *exchange);

/* ---- relay.c ---- */

/* Ask the origin. */
void gw_relay_begin(struct gw_exchange *exchange);
/* Something has happened: to the call, to the client, to the body. */
void gw_relay_step(struct gw_exchange *exchange);
/* The gate lets the answer go. */
void gw_relay_answer(struct gw_exchange *exchange);
/* Let go of the origin, at any time but from within libcurl. */
void gw_relay_close(struct gw_exchange *exchange);
/* Is one of its waits over? */
bool gw_relay_late(const struct gw_exchange *exchange, uint64_t now);

/* The origin's request headers, in order; false when take was. */
bool gw_relay_headers(const struct gw_exchange *exchange,
	const char *authorization, gw_take_header *take, void *user);
/* The origin gave nothing that could be sent. */
void gw_relay_fail(
	struct gw_exchange *exchange, unsigned status, const char *text);
/* It has broken off, or has been cut off, after the head had left. */
void gw_relay_truncate(struct gw_exchange *exchange, const char *ended);
/* What was paid for has left. */
void gw_relay_deliver(struct gw_exchange *exchange);
void gw_relay_tell_state(
	struct gw_exchange *exchange, enum gw_upstream_outcome outcome);

/* ---- upgrade.c ---- */

/* False when memory is out. */
bool gw_upgrade_begin(struct gw_exchange *exchange, const char *authorization);
void gw_upgrade_step(struct gw_exchange *exchange);
/* The gate lets the origin's 101 go. */
void gw_upgrade_answer(struct gw_exchange *exchange);

/* ---- answer.c ---- */

/* The gate's own answer, and the end. */
void gw_answer_decision(struct gw_exchange *exchange);
/* An error of ours as JSON, with the headers of a decision to DELIVER or PASS;
 * and the end. */
void gw_answer_error(
	struct gw_exchange *exchange, unsigned status, const char *text);
/* 101, with the origin's headers; false when they cannot be written. */
bool gw_answer_upgrade(struct gw_exchange *exchange);
/* A page of the gateway's own, and the end. */
void gw_answer_notice(
	struct gw_exchange *exchange, const struct gw_notice *notice);
/* The origin's header block. */
void gw_answer_head(struct gw_exchange *exchange);
void gw_answer_content(
	struct gw_exchange *exchange, const char *data, size_t len);
/* All content is sent. */
void gw_answer_end(struct gw_exchange *exchange);

#endif
