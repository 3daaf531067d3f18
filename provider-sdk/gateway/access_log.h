/*
 * access_log.h: one JSON object in one line of standard output for each
 * request, and for what happens to the gateway itself.
 *
 * Values are escaped, so a stranger's text cannot forge a line. No header, no
 * query and no payment is ever written: they hold secrets.
 *
 * Thread rule: one thread.
 */
#ifndef GW_ACCESS_LOG_H
#define GW_ACCESS_LOG_H

#include "x402/provider.h"

struct gw_access_line {
	const char *id;
	const char *client;
	const char *method;
	const char *path; /* canonical, or as it came without its query */
	unsigned status;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t ms;
	const char *upstream; /* or NULL: none was asked */
	uint64_t upstream_ms; /* to its first header */
	/* Of the gate; or NULL where it never began. */
	const struct x402_gate *gate;
	const char *reason; /* of the gate's last refusal or fault; or "" */
	/* How it ended: "" well, "client_gone", "origin_broke", ... */
	const char *ended;
	/* Money has moved, and the content has not left. */
	bool undelivered;
};
void gw_access_log(const struct gw_access_line *line);

/* {"event":..., "text":...} */
void gw_log_event(const char *event, const char *text);

/* "paid", "pass", ...: for logs and for the origin. */
const char *gw_access_text(enum x402_gate_access access);

#endif
