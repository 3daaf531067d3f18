/*
 * transfers.c: libcurl tells on_socket() which sockets it watches and
 * on_timer() when it wants to be called; both become libuv handles, and what
 * those report goes back through curl_multi_socket_action(). Ends are read in
 * finish(), from the loop, never from the call that began a transfer.
 */
#include "transfers_p.h"

#include <stdlib.h>

/* Enough for one facilitator under load; more wait for a free connection. */
#define CONNECTIONS_PER_HOST 128L

struct x402__transfers {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
};

/* One socket of libcurl's. Freed by its close callback. */
struct watch {
	uv_poll_t poll;
	curl_socket_t socket;
	struct x402__transfers *transfers;
};

/* What a transfer calls when it ends; hangs on CURLOPT_PRIVATE. */
struct ending {
	void (*done)(void *user, CURLcode code);
	void *user;
	/* Its connection lives in the multi handle: it stays there. */
	bool stays;
};

static void finish(struct x402__transfers *transfers)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(transfers->multi, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;
		struct ending *ending = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &ending);
		if (ending->stays) {
			ending->done(ending->user, code);
			continue;
		}
		curl_multi_remove_handle(transfers->multi, easy);
		ending->done(ending->user, code);
		free(ending);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct x402__transfers *transfers = watch->transfers;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;
	int running;

	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(
		transfers->multi, watch->socket, flags, &running);
	finish(transfers);
}

static void on_timeout(uv_timer_t *timer)
{
	struct x402__transfers *transfers = timer->data;
	int running;

	curl_multi_socket_action(
		transfers->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish(transfers);
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
	struct x402__transfers *transfers = user;

	(void)multi;
	if (timeout_ms < 0)
		uv_timer_stop(&transfers->timer);
	else
		/* Also for 0: libcurl may not be called from its callback. */
		uv_timer_start(
			&transfers->timer, on_timeout, (uint64_t)timeout_ms, 0);
	return 0;
}

static void on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void unwatch(struct x402__transfers *transfers, struct watch *watch)
{
	if (!watch)
		return;
	uv_poll_stop(&watch->poll);
	uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
	curl_multi_assign(transfers->multi, watch->socket, NULL);
}

static struct watch *watch_new(
	struct x402__transfers *transfers, curl_socket_t socket)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	if (uv_poll_init_socket(transfers->loop, &watch->poll, socket) != 0) {
		free(watch);
		return NULL;
	}
	watch->poll.data = watch;
	watch->socket = socket;
	watch->transfers = transfers;
	curl_multi_assign(transfers->multi, socket, watch);
	return watch;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *user,
	void *socket_user)
{
	struct x402__transfers *transfers = user;
	struct watch *watch = socket_user;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		unwatch(transfers, watch);
		return 0;
	}
	if (!watch)
		watch = watch_new(transfers, socket);
	if (!watch)
		return -1; /* libcurl fails the transfer */
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&watch->poll, events, on_poll) ? -1 : 0;
}

struct x402__transfers *x402__transfers_new(uv_loop_t *loop)
{
	struct x402__transfers *transfers = calloc(1, sizeof(*transfers));

	if (!transfers)
		return NULL;
	transfers->loop = loop;
	transfers->multi = curl_multi_init();
	if (!transfers->multi) {
		free(transfers);
		return NULL;
	}
	uv_timer_init(loop, &transfers->timer);
	transfers->timer.data = transfers;
	curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
	curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
	curl_multi_setopt(transfers->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
		CONNECTIONS_PER_HOST);
	return transfers;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void x402__transfers_close(struct x402__transfers *transfers)
{
	if (!transfers)
		return;
	/* Idle connections end here; on_socket is told of each. */
	curl_multi_cleanup(transfers->multi);
	uv_timer_stop(&transfers->timer);
	uv_close((uv_handle_t *)&transfers->timer, on_closed);
}

static bool begin(struct x402__transfers *transfers, CURL *easy,
	const struct ending *given)
{
	struct ending *ending = malloc(sizeof(*ending));

	if (!ending)
		return false;
	*ending = *given;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, ending);
	if (curl_multi_add_handle(transfers->multi, easy) != CURLM_OK) {
		free(ending);
		return false;
	}
	return true;
}

bool x402__transfers_begin(struct x402__transfers *transfers, CURL *easy,
	void (*done)(void *user, CURLcode code), void *user)
{
	const struct ending ending = {.done = done, .user = user};

	return begin(transfers, easy, &ending);
}

bool x402__transfers_connect(struct x402__transfers *transfers, CURL *easy,
	void (*done)(void *user, CURLcode code), void *user)
{
	const struct ending ending = {
		.done = done, .user = user, .stays = true};

	return curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
		begin(transfers, easy, &ending);
}

void x402__transfers_abort(struct x402__transfers *transfers, CURL *easy)
{
	struct ending *ending = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &ending);
	curl_multi_remove_handle(transfers->multi, easy);
	free(ending);
}

void x402__transfers_limit(struct x402__transfers *transfers, long max)
{
	curl_multi_setopt(transfers->multi, CURLMOPT_MAX_HOST_CONNECTIONS, max);
	curl_multi_setopt(transfers->multi, CURLMOPT_MAXCONNECTS, max);
}
