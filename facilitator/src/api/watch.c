/*
 * Waiting for a payment (see watch.h).
 *
 *   1. fac_watch_begin   answer at once, or join
 *   2. on_tick           read each watched payment from the store
 *   3. on_read           take_news: send what is new to each watcher;
 *                        end_due: answer those whose wait is over
 *
 * An answer may make net/ cancel another request of the same connection, and
 * so remove a watcher: lists are walked for sending first, and for ending
 * from the front again after each end.
 */
#include "api/watch.h"

#include "api/payments.h"

#include <stdio.h>
#include <stdlib.h>

/* A request that waits; also its request's state. */
struct watcher {
	struct watcher *next;
	struct watched *watched;
	struct fac_request *request;
	struct fac_watch_options options;
	uint64_t until_ms; /* loop clock, as the next */
	uint64_t said_ms;  /* when the stream was last written to */
	bool due;          /* end it */
};

/* A payment that somebody waits for. */
struct watched {
	struct watched *next;
	struct fac_app *app;
	char id[FAC_PAYMENT_ID_SIZE];
	struct watcher *watchers;
	bool asking; /* the store owes an answer */
};

struct fac_watches {
	struct fac_timer *timer;
	struct watched *watched;
	size_t watchers;
};

/* ---- Lists. ---- */

static void leave(struct watcher *watcher)
{
	struct watcher **slot = &watcher->watched->watchers;

	while (*slot != watcher)
		slot = &(*slot)->next;
	*slot = watcher->next;
	watcher->request->app->watches->watchers--;
}

static void on_gone(struct fac_request *request)
{
	struct watcher *watcher = request->state;

	leave(watcher);
	fac_end(watcher->options.events ? fac_stream_end(request)
					: fac_reply_empty(request, 503));
}

/* Forget payments that nobody waits for and the store owes nothing about. */
static void sweep(struct fac_watches *watches)
{
	struct watched **slot = &watches->watched;

	while (*slot) {
		struct watched *watched = *slot;
		if (watched->watchers || watched->asking) {
			slot = &watched->next;
			continue;
		}
		*slot = watched->next;
		free(watched);
	}
	if (!watches->watched)
		fac_timer_stop(watches->timer);
}

/* ---- 3. News. ---- */

static void say(struct watcher *watcher, const char *text)
{
	struct fac_request *request = watcher->request;

	watcher->said_ms = fac_loop_now_ms(request->app->loop);
	if (!fac_stream_write(request, x402_span_str(text)))
		watcher->due = true;
}

static void say_event(
	struct watcher *watcher, const struct fac_store_reply *reply)
{
	size_t index = watcher->options.next_event;
	struct x402_json *json = fac_payment_event_json(reply, index);
	char *data = json ? x402_json_dump(json) : NULL;
	struct x402_buf text = {0};

	x402_json_unref(json);
	/* JSON text has no line break, so it is one data line. */
	if (data)
		x402_buf_printf(&text, "id: %zu\ndata: %s\n\n", index, data);
	free(data);
	x402_buf_add_byte(&text, '\0');
	if (!data || text.failed)
		watcher->due = true; /* its reader comes again */
	else
		say(watcher, (const char *)text.ptr);
	x402_buf_clear(&text);
	watcher->options.next_event++;
}

static void stream_news(
	struct watcher *watcher, const struct fac_store_reply *reply)
{
	uint64_t now_ms = fac_loop_now_ms(watcher->request->app->loop);

	while (!watcher->due && !reply->err &&
		watcher->options.next_event < reply->events_len)
		say_event(watcher, reply);
	if (!reply->err && fac_payment_is_final(reply->payments[0].state))
		watcher->due = true;
	else if (!watcher->due &&
		now_ms - watcher->said_ms >= FAC_WATCH_KEEP_ALIVE_MS)
		say(watcher, ":\n\n");
}

static void take_news(
	struct watcher *watcher, const struct fac_store_reply *reply)
{
	uint64_t now_ms = fac_loop_now_ms(watcher->request->app->loop);

	if (now_ms >= watcher->until_ms)
		watcher->due = true;
	if (watcher->options.events)
		stream_news(watcher, reply);
	else if (!reply->err &&
		(fac_payment_is_final(reply->payments[0].state) ||
			reply->payments[0].state != watcher->options.seen))
		watcher->due = true;
}

static void end(struct watcher *watcher, const struct fac_store_reply *reply)
{
	struct fac_request *request = watcher->request;

	leave(watcher);
	request->on_gone = NULL;
	if (watcher->options.events)
		fac_end(fac_stream_end(request));
	else if (reply->err)
		fac_end(fac_fail(request, 503, "the store did not answer"));
	else
		fac_end(fac_reply(request, 200, fac_payment_json(reply)));
}

static void end_due(
	struct watched *watched, const struct fac_store_reply *reply)
{
	struct watcher *watcher = watched->watchers;

	while (watcher) {
		if (!watcher->due) {
			watcher = watcher->next;
			continue;
		}
		end(watcher, reply);
		watcher = watched->watchers;
	}
}

static void on_read(void *user, const struct fac_store_reply *reply)
{
	struct watched *watched = user;
	struct fac_store_reply checked = *reply;

	watched->asking = false;
	/* Gone from the journal while somebody waits: as good as no answer. */
	if (!checked.err && !checked.payments_len)
		checked.err = X402_ERR_NOT_FOUND;
	for (struct watcher *w = watched->watchers; w; w = w->next)
		take_news(w, &checked);
	end_due(watched, &checked);
	sweep(watched->app->watches);
}

/* ---- 2. The clock. ---- */

static void on_tick(void *user)
{
	struct fac_app *app = user;

	sweep(app->watches);
	if (app->stopping)
		return; /* the connections are gone, and so are watchers */
	for (struct watched *w = app->watches->watched; w; w = w->next) {
		struct fac_payment_query query = {.id = w->id};
		if (w->asking)
			continue;
		w->asking = true;
		fac_store_payment_get(app->store, query,
			(struct fac_store_to){app->loop, on_read, w});
	}
}

/* ---- 1. Joining. ---- */

static struct fac_watches *watches_of(struct fac_app *app)
{
	struct fac_watches *watches = app->watches;

	if (watches)
		return watches;
	watches = calloc(1, sizeof(*watches));
	if (!watches || fac_timer_new(app->loop, on_tick, app, &watches->timer))
		abort(); /* style.md 5 */
	app->watches = watches;
	return watches;
}

static struct watched *find_or_add(struct fac_app *app, const char *id)
{
	struct fac_watches *watches = app->watches;
	struct watched *watched = watches->watched;

	while (watched && strcmp(watched->id, id))
		watched = watched->next;
	if (watched)
		return watched;
	watched = calloc(1, sizeof(*watched));
	if (!watched)
		abort(); /* style.md 5 */
	watched->app = app;
	snprintf(watched->id, sizeof(watched->id), "%s", id);
	if (!watches->watched)
		fac_timer_start(
			watches->timer, FAC_WATCH_EVERY_MS, FAC_WATCH_EVERY_MS);
	watched->next = watches->watched;
	watches->watched = watched;
	return watched;
}

static void join(struct watcher *watcher, const char *id)
{
	struct fac_request *request = watcher->request;
	struct fac_app *app = request->app;
	struct watched *watched = find_or_add(app, id);

	watcher->watched = watched;
	watcher->next = watched->watchers;
	watched->watchers = watcher;
	app->watches->watchers++;
	request->on_gone = on_gone;
}

static struct fac_step begin_stream(
	struct watcher *watcher, const struct fac_store_reply *reply)
{
	struct fac_request *request = watcher->request;

	/* 204 is how a reader is told not to come again. */
	if (fac_payment_is_final(reply->payments[0].state) &&
		watcher->options.next_event >= reply->events_len)
		return fac_reply_empty(request, 204);
	fac_request_add_header(request, "Cache-Control", "no-store");
	/* nginx gathers an answer otherwise. */
	fac_request_add_header(request, "X-Accel-Buffering", "no");
	if (!fac_stream_begin(request, "text/event-stream"))
		watcher->due = true;
	take_news(watcher, reply);
	if (watcher->due)
		return fac_stream_end(request);
	join(watcher, reply->payments[0].id);
	return fac_wait(request);
}

struct fac_step fac_watch_begin(struct fac_request *request,
	const struct fac_watch_options *options,
	const struct fac_store_reply *reply)
{
	uint64_t now_ms = fac_loop_now_ms(request->app->loop);
	uint64_t wait_ms = options->events ? FAC_WATCH_STREAM_MS
					   : options->wait_ms;

	if (watches_of(request->app)->watchers >= FAC_WATCH_MAX)
		return fac_busy(request,
			"too many requests wait for a payment; ask again "
			"without waiting");
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	if (!watcher)
		abort(); /* style.md 5 */
	watcher->request = request;
	watcher->options = *options;
	watcher->until_ms = now_ms + wait_ms;
	watcher->said_ms = now_ms;
	request->state = watcher;
	request->state_free = free;
	/* A reader that has left hears nothing; nothing would remove it. */
	if (request->gone || request->app->draining)
		watcher->until_ms = now_ms;
	if (options->events)
		return begin_stream(watcher, reply);
	take_news(watcher, reply);
	if (watcher->due)
		return fac_reply(request, 200, fac_payment_json(reply));
	join(watcher, reply->payments[0].id);
	return fac_wait(request);
}

void fac_watch_hurry(struct fac_app *app)
{
	struct fac_watches *watches = app->watches;

	if (!watches)
		return;
	for (struct watched *w = watches->watched; w; w = w->next)
		for (struct watcher *x = w->watchers; x; x = x->next)
			x->until_ms = 0;
	fac_timer_start(watches->timer, 0, FAC_WATCH_EVERY_MS);
}

void fac_watch_free(struct fac_app *app)
{
	struct fac_watches *watches = app->watches;

	if (!watches)
		return;
	while (watches->watched) {
		struct watched *watched = watches->watched;
		watches->watched = watched->next;
		free(watched);
	}
	fac_timer_free(watches->timer);
	free(watches);
	app->watches = NULL;
}
