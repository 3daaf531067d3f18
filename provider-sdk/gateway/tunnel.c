/*
 * tunnel.c: libcurl connects, with TLS where the origin has it, and then gives
 * us its connection to read and write (curl_easy_recv, curl_easy_send). The
 * socket is watched through a copy of its descriptor, because libcurl watches
 * the original one. TLS may have bytes that the socket no longer has, so what
 * can be read is read until there is nothing, and going on after a pause begins
 * with a look.
 */
#include "tunnel.h"

#include "head.h"

#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define PIECE_BYTES 16384
/* An origin that sends on and on does not keep the loop from others. */
#define PIECES_AT_ONCE 16

struct gw_tunnel {
	struct gw_tunnel_owner owner;
	struct x402__transfers *transfers;
	CURL *easy;
	uv_poll_t poll;
	uv_timer_t again; /* a look without an event of the socket */
	int fd;           /* -1: not connected */
	int events;
	bool in_multi;
	bool has_poll;
	bool reading;
	bool head_told;
	bool full;
	bool ended;
	bool closed;
	unsigned handles; /* that have not closed yet */
	struct x402_buf out;
	size_t out_at;
	struct x402_buf head; /* of the answer, NUL-separated once it is read */
	struct gw_head fields;
	size_t rest_at; /* behind the head: bytes of the tunnel already */
};

static void watch(struct gw_tunnel *tunnel);
static void on_again(uv_timer_t *timer);

/* ---- Life and death. ---- */

static void on_closed(uv_handle_t *handle)
{
	struct gw_tunnel *tunnel = handle->data;

	if (--tunnel->handles > 0)
		return;
	if (tunnel->fd >= 0)
		close(tunnel->fd);
	x402_buf_clear(&tunnel->out);
	x402_buf_clear(&tunnel->head);
	free(tunnel);
}

void gw_tunnel_close(struct gw_tunnel *tunnel)
{
	if (!tunnel || tunnel->closed)
		return;
	tunnel->closed = true;
	if (tunnel->in_multi)
		x402__transfers_abort(tunnel->transfers, tunnel->easy);
	curl_easy_cleanup(tunnel->easy);
	tunnel->easy = NULL;
	if (tunnel->has_poll)
		uv_close((uv_handle_t *)&tunnel->poll, on_closed);
	uv_close((uv_handle_t *)&tunnel->again, on_closed);
}

static void end(struct gw_tunnel *tunnel)
{
	if (tunnel->ended || tunnel->closed)
		return;
	tunnel->ended = true;
	if (tunnel->has_poll)
		uv_poll_stop(&tunnel->poll);
	uv_timer_stop(&tunnel->again);
	tunnel->owner.on_end(tunnel->owner.user);
}

/* ---- Out. ---- */

bool gw_tunnel_congested(const struct gw_tunnel *tunnel)
{
	return tunnel->out.len - tunnel->out_at > GW_TUNNEL_UNSENT_MAX;
}

/* False when the connection is broken. */
static bool send_out(struct gw_tunnel *tunnel)
{
	while (tunnel->out_at < tunnel->out.len) {
		size_t n = 0;
		CURLcode code = curl_easy_send(tunnel->easy,
			tunnel->out.ptr + tunnel->out_at,
			tunnel->out.len - tunnel->out_at, &n);

		if (code == CURLE_AGAIN)
			return true;
		if (code != CURLE_OK)
			return false;
		tunnel->out_at += n;
	}
	tunnel->out.len = tunnel->out_at = 0;
	return true;
}

void gw_tunnel_send(struct gw_tunnel *tunnel, const char *data, size_t len)
{
	if (tunnel->ended || tunnel->closed)
		return;
	if (tunnel->out_at > 0) {
		tunnel->out.len -= tunnel->out_at;
		memmove(tunnel->out.ptr, tunnel->out.ptr + tunnel->out_at,
			tunnel->out.len);
		tunnel->out_at = 0;
	}
	x402_buf_add(&tunnel->out, x402_span(data, len));
	if (gw_tunnel_congested(tunnel))
		tunnel->full = true;
	watch(tunnel);
}

/* ---- The answer's head. ---- */

bool gw_tunnel_header(const struct gw_tunnel *tunnel, size_t index,
	struct http_header *ret_header)
{
	if (index >= tunnel->fields.headers_len)
		return false;
	*ret_header = tunnel->fields.headers[index];
	return true;
}

static void take_head(struct gw_tunnel *tunnel, const char *data, size_t len)
{
	char *stop;
	size_t at;

	x402_buf_add(&tunnel->head, x402_span(data, len));
	if (tunnel->head.failed) {
		end(tunnel);
		return;
	}
	stop = memmem(tunnel->head.ptr, tunnel->head.len, "\r\n\r\n", 4);
	if (!stop && tunnel->head.len <= GW_TUNNEL_HEAD_MAX)
		return;
	tunnel->head_told = true;
	if (!stop) {
		tunnel->owner.on_head(tunnel->owner.user, 0);
		return;
	}
	at = (size_t)(stop - (char *)tunnel->head.ptr);
	tunnel->rest_at = at + 4;
	tunnel->owner.on_head(tunnel->owner.user,
		gw_head_read(stop - at, at + 2, &tunnel->fields)
			? tunnel->fields.status
			: 0);
}

/* ---- In. ---- */

/* What came together with the head. */
static void pass_rest(struct gw_tunnel *tunnel)
{
	size_t at = tunnel->rest_at;

	if (!tunnel->head_told || at == 0 || at >= tunnel->head.len ||
		!tunnel->reading)
		return;
	tunnel->rest_at = tunnel->head.len;
	tunnel->owner.on_data(tunnel->owner.user,
		(const char *)tunnel->head.ptr + at, tunnel->head.len - at);
}

/* False when the connection is over. */
static bool read_in(struct gw_tunnel *tunnel)
{
	char piece[PIECE_BYTES];

	pass_rest(tunnel);
	for (int i = 0; i < PIECES_AT_ONCE; i++) {
		size_t n = 0;
		CURLcode code;

		if (tunnel->closed || (tunnel->head_told && !tunnel->reading))
			return true;
		code = curl_easy_recv(tunnel->easy, piece, sizeof(piece), &n);
		if (code == CURLE_AGAIN)
			return true;
		if (code != CURLE_OK || n == 0)
			return false;
		if (tunnel->head_told)
			tunnel->owner.on_data(tunnel->owner.user, piece, n);
		else
			take_head(tunnel, piece, n);
	}
	/* There may be more that the socket does not tell of. */
	uv_timer_start(&tunnel->again, on_again, 0, 0);
	return true;
}

static void look(struct gw_tunnel *tunnel)
{
	if (tunnel->closed || tunnel->ended || tunnel->fd < 0)
		return;
	if (!send_out(tunnel) || !read_in(tunnel)) {
		end(tunnel);
		return;
	}
	if (tunnel->closed || tunnel->ended)
		return;
	if (tunnel->full && !gw_tunnel_congested(tunnel)) {
		tunnel->full = false;
		tunnel->owner.on_writable(tunnel->owner.user);
	}
	if (!tunnel->closed)
		watch(tunnel);
}

static void on_again(uv_timer_t *timer)
{
	look(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status; /* the next read or write says what is wrong */
	(void)events;
	look(poll->data);
}

/* Watch for what we wait for. */
static void watch(struct gw_tunnel *tunnel)
{
	int events = 0;

	if (tunnel->closed || tunnel->ended || !tunnel->has_poll)
		return;
	if (tunnel->reading || !tunnel->head_told)
		events |= UV_READABLE;
	if (tunnel->out_at < tunnel->out.len)
		events |= UV_WRITABLE;
	if (events == tunnel->events)
		return;
	tunnel->events = events;
	if (events)
		uv_poll_start(&tunnel->poll, events, on_poll);
	else
		uv_poll_stop(&tunnel->poll);
}

void gw_tunnel_read(struct gw_tunnel *tunnel, bool reading)
{
	if (tunnel->reading == reading || tunnel->closed || tunnel->ended)
		return;
	tunnel->reading = reading;
	watch(tunnel);
	/* Not from within this call. */
	if (reading)
		uv_timer_start(&tunnel->again, on_again, 0, 0);
}

/* ---- Begin. ---- */

static void on_connected(void *user, CURLcode code)
{
	struct gw_tunnel *tunnel = user;
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (code == CURLE_OK)
		curl_easy_getinfo(tunnel->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd != CURL_SOCKET_BAD)
		tunnel->fd = dup(fd);
	if (tunnel->fd < 0 ||
		uv_poll_init(tunnel->again.loop, &tunnel->poll, tunnel->fd) !=
			0) {
		end(tunnel);
		return;
	}
	tunnel->poll.data = tunnel;
	tunnel->has_poll = true;
	tunnel->handles++;
	watch(tunnel);
	/* From the loop: libcurl is still telling us. */
	uv_timer_start(&tunnel->again, on_again, 0, 0);
}

static CURLcode set_up(CURL *easy, const struct gw_tunnel_options *options)
{
	CURLcode bad = CURLE_OK;

#define SET(option, value) \
	(bad = bad ? bad : curl_easy_setopt(easy, (option), (value)))
	SET(CURLOPT_URL, options->origin_url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms);
	/* libcurl gives a connection of this kind to nobody else. */
	SET(CURLOPT_FRESH_CONNECT, 1L);
	if (options->ca_file)
		SET(CURLOPT_CAINFO, options->ca_file);
#undef SET
	return bad;
}

struct gw_tunnel *gw_tunnel_begin(const struct gw_tunnel_options *options,
	const struct gw_tunnel_owner *owner)
{
	struct gw_tunnel *tunnel = calloc(1, sizeof(*tunnel));

	if (!tunnel)
		return NULL;
	tunnel->owner = *owner;
	tunnel->transfers = options->transfers;
	tunnel->fd = -1;
	tunnel->handles = 1;
	uv_timer_init(options->loop, &tunnel->again);
	tunnel->again.data = tunnel;
	x402_buf_add(&tunnel->out, options->head);
	tunnel->easy = curl_easy_init();
	tunnel->in_multi = tunnel->easy && !tunnel->out.failed &&
		set_up(tunnel->easy, options) == CURLE_OK &&
		x402__transfers_connect(
			options->transfers, tunnel->easy, on_connected, tunnel);
	if (tunnel->in_multi)
		return tunnel;
	gw_tunnel_close(tunnel);
	return NULL;
}
