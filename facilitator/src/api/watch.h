/*
 * watch.h: requests that wait until a payment changes.
 *
 * Instances of the daemon may share a store, and the one that is asked need
 * not be the one that settles. So a watched payment is read from the store
 * every FAC_WATCH_EVERY_MS, once for all who watch it.
 *
 * Not for: /settle, which waits for the engine itself.
 * Thread rule: as struct fac_app: one worker's thread.
 */
#ifndef FAC_API_WATCH_H
#define FAC_API_WATCH_H

#include "api/api.h"

/* Soon enough for a person, and little for a store. */
#define FAC_WATCH_EVERY_MS 200
/*
 * Requests of one worker that may wait: each may cost the store a read every
 * FAC_WATCH_EVERY_MS. Beyond it: 503 with Retry-After.
 */
#define FAC_WATCH_MAX 256
/* The longest long poll. */
#define FAC_WATCH_POLL_MAX_S 60
/* A stream ends by then; its reader comes again where it left off. */
#define FAC_WATCH_STREAM_MS 600000
/* A comment line so often, so that nobody takes the stream for dead. */
#define FAC_WATCH_KEEP_ALIVE_MS 15000

struct fac_watch_options {
	/* Server-sent events, rather than one answer. */
	bool events;
	/* Poll: wait while the state is this one; how long. */
	enum fac_payment_state seen;
	uint64_t wait_ms;
	/* Events: the first line of the history to send. */
	size_t next_event;
};

/*
 * Answer from reply (payments[0] and its history) if that is an answer
 * already, else wait for one. The request is answered sooner or later.
 */
struct fac_step fac_watch_begin(struct fac_request *request,
	const struct fac_watch_options *options,
	const struct fac_store_reply *reply);
/* Answer every long poll at once, for a drain. Streams end with net/. */
void fac_watch_hurry(struct fac_app *app);
/* Nobody waits any more; the store owes nothing. */
void fac_watch_free(struct fac_app *app);

#endif
