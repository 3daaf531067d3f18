/*
 * transfers.c: libcurl's multi interface on nginx's event loop. libcurl tells
 * on_socket() which sockets it watches and on_timer() when it wants to be
 * called; both become nginx events, and what those report goes back through
 * curl_multi_socket_action(). Names are looked up by libcurl in a thread of its
 * own, so nothing here blocks the worker.
 *
 * Each socket takes one of the worker's connections while it is busy. When
 * none is left the transfer fails, and the gate stays closed.
 */
#include "module.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "curl_ask_p.h"

/* Enough for one facilitator under load; more wait for a free connection. */
#define CONNECTIONS_PER_HOST 128L
/* Idle connections that are kept for the next payment. */
#define CONNECTIONS_KEPT 64L
/* Idle handles that are kept likewise, with their buffers of 32 KiB each. */
#define HANDLES_KEPT 32

struct x402_ngx_transfer {
	CURL *easy;
	struct x402__curl_ask ask;
	void (*done)(
		void *user, const struct x402_gate_facilitator_answer *answer);
	void *user;
};

/* One socket that libcurl watches, until it says that it does not. */
struct watched {
	ngx_queue_t queue;
	ngx_connection_t *c; /* NULL: closed, and its number is another's */
};

static struct {
	CURLM *multi;
	ngx_queue_t watched;
	ngx_event_t timer;
	ngx_event_t kick;   /* "at once" */
	ngx_connection_t c; /* what nginx prints of an event */
	CURL *idle[HANDLES_KEPT];
	size_t idle_len;
} transfers;

static CURL *take_handle(void)
{
	return transfers.idle_len ? transfers.idle[--transfers.idle_len]
				  : curl_easy_init();
}

/* One that has been reset, and is in no list of libcurl's. NULL allowed. */
static void give_handle(CURL *easy)
{
	if (easy && transfers.multi && transfers.idle_len < HANDLES_KEPT)
		transfers.idle[transfers.idle_len++] = easy;
	else
		curl_easy_cleanup(easy);
}

static void finish(void)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(transfers.multi, &left))) {
		struct x402_gate_facilitator_answer answer;
		struct x402_ngx_transfer *transfer = NULL;
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
		curl_multi_remove_handle(transfers.multi, easy);
		x402__curl_ask_answer(
			&transfer->ask, code, (uint64_t)ngx_time(), &answer);
		transfer->done(transfer->user, &answer);
		x402__curl_ask_clear(&transfer->ask);
		give_handle(easy);
		ngx_free(transfer);
	}
}

static void act(curl_socket_t socket, int flags)
{
	int running;

	curl_multi_socket_action(transfers.multi, socket, flags, &running);
	finish();
}

static void on_event(ngx_event_t *event)
{
	const ngx_connection_t *c = event->data;

	act(c->fd, event->write ? CURL_CSELECT_OUT : CURL_CSELECT_IN);
}

static void on_timeout(ngx_event_t *event)
{
	(void)event;
	act(CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
	(void)multi;
	(void)user;
	if (transfers.timer.timer_set)
		ngx_del_timer(&transfers.timer);
	if (timeout_ms == 0) {
		/* Not now: libcurl may not be called from its callback. */
		ngx_post_event(&transfers.kick, &ngx_posted_events);
	} else if (timeout_ms > 0) {
		ngx_add_timer(&transfers.timer, (ngx_msec_t)timeout_ms);
	}
	return 0;
}

/* Level-triggered: libcurl reads as much as it likes. */
static ngx_int_t watch(ngx_event_t *event, ngx_int_t kind, bool wanted)
{
	if (wanted && !event->active)
		return ngx_add_event(event, kind, 0);
	if (!wanted && event->active)
		return ngx_del_event(event, kind, 0);
	return NGX_OK;
}

/* Give nginx's connection back. open: the socket is what it was. */
static void unwatch(struct watched *watched, bool open)
{
	ngx_connection_t *c = watched->c;

	if (!c)
		return;
	watched->c = NULL;
	ngx_queue_remove(&watched->queue);
	/* The kernel forgets a closed socket by itself. */
	if (!open)
		c->read->active = c->write->active = 0;
	(void)watch(c->read, NGX_READ_EVENT, false);
	(void)watch(c->write, NGX_WRITE_EVENT, false);
	ngx_free_connection(c);
	c->fd = (ngx_socket_t)-1; /* the socket is libcurl's to close */
}

/*
 * libcurl 7.88 closes a socket that is not connected yet without a word, and
 * says later, if at all, that it watches it no more. Its number may be that of
 * a new one by then: here it is.
 */
static curl_socket_t on_open(
	void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	curl_socket_t fd = socket(
		address->family, address->socktype, address->protocol);

	(void)user;
	(void)purpose;
	for (ngx_queue_t *at = ngx_queue_head(&transfers.watched);
		at != ngx_queue_sentinel(&transfers.watched);
		at = ngx_queue_next(at)) {
		struct watched *watched = ngx_queue_data(
			at, struct watched, queue);

		if (watched->c->fd == fd) {
			unwatch(watched, false);
			break;
		}
	}
	return fd;
}

/* A connection of nginx's for the socket; false when there is none left. */
static bool attach(struct watched *watched, curl_socket_t socket)
{
	ngx_connection_t *c = ngx_get_connection(socket, ngx_cycle->log);

	if (!c)
		return false;
	c->data = &transfers;
	c->read->handler = c->write->handler = on_event;
	c->read->log = c->write->log = ngx_cycle->log;
	watched->c = c;
	ngx_queue_insert_head(&transfers.watched, &watched->queue);
	return true;
}

static int on_socket(
	CURL *easy, curl_socket_t socket, int what, void *user, void *before)
{
	struct watched *watched = before;

	(void)easy;
	(void)user;
	if (what == CURL_POLL_REMOVE) {
		if (watched)
			unwatch(watched, fcntl(socket, F_GETFD) >= 0);
		ngx_free(watched);
		return 0;
	}
	if (!watched) {
		watched = ngx_calloc(sizeof(*watched), ngx_cycle->log);
		if (!watched)
			return -1; /* libcurl fails the transfer */
		curl_multi_assign(transfers.multi, socket, watched);
	}
	if (!watched->c && !attach(watched, socket))
		return -1;
	if (watch(watched->c->read, NGX_READ_EVENT, what & CURL_POLL_IN) !=
			NGX_OK ||
		watch(watched->c->write, NGX_WRITE_EVENT,
			what & CURL_POLL_OUT) != NGX_OK)
		return -1;
	return 0;
}

ngx_int_t x402_ngx_transfers_open(ngx_cycle_t *cycle)
{
	ngx_memzero(&transfers, sizeof(transfers));
	ngx_queue_init(&transfers.watched);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NGX_ERROR;
	transfers.multi = curl_multi_init();
	if (!transfers.multi)
		return NGX_ERROR;
	transfers.c.fd = (ngx_socket_t)-1;
	transfers.timer.handler = transfers.kick.handler = on_timeout;
	transfers.timer.data = transfers.kick.data = &transfers.c;
	transfers.timer.log = transfers.kick.log = cycle->log;
	curl_multi_setopt(transfers.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(transfers.multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(transfers.multi, CURLMOPT_MAX_HOST_CONNECTIONS,
		CONNECTIONS_PER_HOST);
	curl_multi_setopt(
		transfers.multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	return NGX_OK;
}

void x402_ngx_transfers_close(void)
{
	if (!transfers.multi)
		return;
	while (transfers.idle_len)
		curl_easy_cleanup(transfers.idle[--transfers.idle_len]);
	/* Idle connections end here; on_socket is told of each. */
	curl_multi_cleanup(transfers.multi);
	transfers.multi = NULL;
	curl_global_cleanup();
}

static void transfer_free(struct x402_ngx_transfer *transfer)
{
	x402__curl_ask_clear(&transfer->ask);
	curl_easy_cleanup(transfer->easy);
	ngx_free(transfer);
}

struct x402_ngx_transfer *x402_ngx_transfer_begin(
	const struct x402_gate_ask *ask, const char *certificate,
	void (*done)(
		void *user, const struct x402_gate_facilitator_answer *answer),
	void *user)
{
	struct x402_ngx_transfer *transfer = NULL;

	if (transfers.multi)
		transfer = ngx_calloc(sizeof(*transfer), ngx_cycle->log);
	if (!transfer)
		return NULL;
	transfer->done = done;
	transfer->user = user;
	transfer->easy = take_handle();
	if (!transfer->easy ||
		x402__curl_ask_init(transfer->easy, ask, &transfer->ask) !=
			X402_OK ||
		curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer) !=
			CURLE_OK ||
		curl_easy_setopt(transfer->easy, CURLOPT_OPENSOCKETFUNCTION,
			on_open) != CURLE_OK ||
		(certificate &&
			curl_easy_setopt(transfer->easy, CURLOPT_CAINFO,
				certificate) != CURLE_OK) ||
		curl_multi_add_handle(transfers.multi, transfer->easy) !=
			CURLM_OK) {
		transfer_free(transfer);
		return NULL;
	}
	return transfer;
}

void x402_ngx_transfer_cancel(struct x402_ngx_transfer *transfer)
{
	curl_multi_remove_handle(transfers.multi, transfer->easy);
	transfer_free(transfer);
}
