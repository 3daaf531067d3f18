/*
 * transport.c: reads go up to the owner, writes go down to the kernel, and TLS
 * stands in between where there is one:
 *
 *   on_read -> take_wire -> [handshake on the pool | decrypt] -> owner
 *   gw_transport_write -> [encrypt] -> send_out -> on_written -> owner
 *
 * What the kernel takes at once is never copied. Memory goes when the handle
 * has closed and no handshake is under way on the pool.
 */
#include "transport.h"

#include <stdlib.h>
#include <string.h>

/* A record of TLS. */
#define CLEAR_BYTES 16384

struct gw_transport {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
	} io;
	struct gw_transport_owner owner;
	char *read_buffer;
	struct http_bytes out;     /* for the wire, not with libuv yet */
	struct http_bytes writing; /* with libuv */
	uv_write_t write;
	uv_shutdown_t shutdown;
	uv_work_t work; /* a step of the handshake */
	struct gw_tls_session *tls;
	enum gw_tls_step step;
	bool write_under_way;
	bool working;
	bool wanted;  /* the owner wants to read */
	bool reading; /* libuv does */
	bool passing; /* inside pass_clear */
	bool full;    /* was above HIGH */
	bool ending;
	bool shut;
	bool broken;
	bool told; /* on_ended has come */
	bool closed;
	bool handle_closed;
	size_t queued_seen;
	uint64_t progress_at;
};

static void set_reading(struct gw_transport *transport);
static void take_wire(struct gw_transport *transport);

static uint64_t now_of(const struct gw_transport *transport)
{
	return uv_now(transport->io.handle.loop);
}

/* ---- Life and death. ---- */

static void release(struct gw_transport *transport)
{
	if (!transport->handle_closed || transport->working)
		return;
	gw_tls_session_free(transport->tls);
	http_bytes_clear(&transport->out);
	http_bytes_clear(&transport->writing);
	free(transport);
}

static void on_closed(uv_handle_t *handle)
{
	struct gw_transport *transport = handle->data;

	transport->handle_closed = true;
	release(transport);
}

void gw_transport_close(struct gw_transport *transport)
{
	if (transport->closed)
		return;
	transport->closed = true;
	uv_close(&transport->io.handle, on_closed);
}

static void tell_ended(struct gw_transport *transport)
{
	if (transport->told || transport->closed)
		return;
	transport->told = true;
	transport->owner.on_ended(transport->owner.user);
}

struct gw_transport *gw_transport_accept(uv_stream_t *listener,
	struct gw_tls *tls, char *read_buffer,
	const struct gw_transport_owner *owner)
{
	struct gw_transport *transport = calloc(1, sizeof(*transport));

	if (!transport)
		return NULL;
	if (uv_tcp_init(listener->loop, &transport->io.tcp)) {
		free(transport);
		return NULL;
	}
	transport->io.handle.data = transport;
	transport->owner = *owner;
	transport->read_buffer = read_buffer;
	transport->step = GW_TLS_MORE;
	transport->progress_at = now_of(transport);
	if (tls)
		transport->tls = gw_tls_session_new(tls);
	if (uv_accept(listener, &transport->io.stream) ||
		(tls && !transport->tls)) {
		gw_transport_close(transport);
		return NULL;
	}
	(void)uv_tcp_nodelay(&transport->io.tcp, 1); /* slower without */
	return transport;
}

bool gw_transport_peer(
	const struct gw_transport *transport, char *text, size_t size)
{
	struct sockaddr_storage address;
	int len = sizeof(address);

	if (uv_tcp_getpeername(&transport->io.tcp,
		    (struct sockaddr *)(void *)&address, &len))
		return false;
	if (address.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 =
			(const struct sockaddr_in6 *)(const void *)&address;

		/* ":8402" takes both families on one socket; whoever came by
		 * IPv4 is known by that address, here and behind us. */
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			return uv_inet_ntop(AF_INET,
				       in6->sin6_addr.s6_addr + 12, text,
				       size) == 0;
		return uv_ip6_name(in6, text, size) == 0;
	}
	return uv_ip4_name(
		       (struct sockaddr_in *)(void *)&address, text, size) == 0;
}

/* ---- Out. ---- */

static void send_out(struct gw_transport *transport);

size_t gw_transport_unsent(const struct gw_transport *transport)
{
	return transport->out.len +
		(transport->write_under_way ? uv_stream_get_write_queue_size(
						      &transport->io.stream)
					    : 0);
}

bool gw_transport_broken(const struct gw_transport *transport)
{
	return transport->broken;
}

uint64_t gw_transport_progress(struct gw_transport *transport)
{
	size_t queued = uv_stream_get_write_queue_size(&transport->io.stream);

	if (queued != transport->queued_seen) {
		transport->queued_seen = queued;
		transport->progress_at = now_of(transport);
	}
	return transport->progress_at;
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
	(void)request;
	(void)status; /* the owner's deadline closes it in any case */
}

static void on_written(uv_write_t *write, int status)
{
	struct gw_transport *transport = write->data;

	transport->write_under_way = false;
	http_bytes_clear(&transport->writing);
	if (transport->closed)
		return;
	if (status) {
		transport->broken = true;
		tell_ended(transport);
		return;
	}
	transport->progress_at = now_of(transport);
	send_out(transport);
	if (transport->full &&
		gw_transport_unsent(transport) <= GW_TRANSPORT_LOW_BYTES) {
		transport->full = false;
		transport->owner.on_writable(transport->owner.user);
	}
}

/* Give libuv what waits; then, where asked for, the end. */
static void send_out(struct gw_transport *transport)
{
	uv_buf_t buf;

	if (transport->write_under_way || transport->broken)
		return;
	if (transport->out.len == 0) {
		if (transport->ending && !transport->shut) {
			transport->shut = true;
			(void)uv_shutdown(&transport->shutdown,
				&transport->io.stream, on_shutdown);
		}
		return;
	}
	transport->writing = transport->out;
	memset(&transport->out, 0, sizeof(transport->out));
	transport->write.data = transport;
	buf = uv_buf_init(
		transport->writing.ptr, (unsigned)transport->writing.len);
	transport->write_under_way = true;
	if (uv_write(&transport->write, &transport->io.stream, &buf, 1,
		    on_written)) {
		transport->write_under_way = false;
		transport->broken = true;
	}
}

/* Bytes of the wire: at once as far as the kernel takes them. */
static void write_wire(
	struct gw_transport *transport, const char *data, size_t len)
{
	if (!transport->write_under_way && transport->out.len == 0) {
		uv_buf_t buf = uv_buf_init(
			(char *)(uintptr_t)data, (unsigned)len);
		int n = uv_try_write(&transport->io.stream, &buf, 1);

		if (n < 0 && n != UV_EAGAIN) {
			transport->broken = true;
			return;
		}
		n = n > 0 ? n : 0;
		data += n;
		len -= (size_t)n;
		transport->progress_at = now_of(transport);
	}
	http_bytes_add(&transport->out, data, len);
	if (transport->out.failed)
		transport->broken = true;
	else
		send_out(transport);
	if (gw_transport_unsent(transport) > GW_TRANSPORT_HIGH_BYTES)
		transport->full = true;
}

/* What TLS has made for the wire. */
static void drain_tls(struct gw_transport *transport)
{
	struct http_bytes *wire = gw_tls_session_wire(transport->tls);

	if (wire->len > 0)
		write_wire(transport, wire->ptr, wire->len);
	wire->len = 0;
	if (wire->cap > CLEAR_BYTES * 2)
		http_bytes_clear(wire);
}

void gw_transport_write(
	struct gw_transport *transport, const void *data, size_t len)
{
	if (transport->broken || transport->closed || len == 0)
		return;
	if (!transport->tls) {
		write_wire(transport, data, len);
		return;
	}
	if (!gw_tls_session_write(transport->tls, data, len))
		transport->broken = true;
	drain_tls(transport);
}

void gw_transport_end(struct gw_transport *transport)
{
	if (transport->ending || transport->broken || transport->closed)
		return;
	if (transport->tls && transport->step == GW_TLS_DONE) {
		gw_tls_session_end(transport->tls);
		drain_tls(transport);
	}
	transport->ending = true;
	send_out(transport);
}

/* ---- In. ---- */

/* Decrypt as long as the owner wants it. */
static void pass_clear(struct gw_transport *transport)
{
	char clear[CLEAR_BYTES];

	if (transport->passing)
		return;
	transport->passing = true;
	while (transport->wanted && !transport->closed && !transport->told) {
		int n = gw_tls_session_read(
			transport->tls, clear, sizeof(clear));

		if (n == 0)
			break;
		if (n < 0) {
			tell_ended(transport);
			break;
		}
		transport->owner.on_data(
			transport->owner.user, clear, (size_t)n);
	}
	transport->passing = false;
	if (!transport->closed)
		drain_tls(transport);
}

static void handshake(uv_work_t *work)
{
	struct gw_transport *transport = work->data;

	transport->step = gw_tls_session_handshake(transport->tls);
}

static void on_handshake(uv_work_t *work, int status)
{
	struct gw_transport *transport = work->data;

	transport->working = false;
	if (transport->closed) {
		release(transport);
		return;
	}
	drain_tls(transport); /* also what says that it failed */
	if (status || transport->step == GW_TLS_FAILED) {
		tell_ended(transport);
		return;
	}
	set_reading(transport);
	if (transport->step == GW_TLS_DONE)
		pass_clear(transport);
}

static void take_wire(struct gw_transport *transport)
{
	if (transport->step == GW_TLS_DONE) {
		pass_clear(transport);
		return;
	}
	transport->work.data = transport;
	transport->working = uv_queue_work(transport->io.handle.loop,
				     &transport->work, handshake,
				     on_handshake) == 0;
	if (transport->working)
		set_reading(transport);
	else
		tell_ended(transport);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct gw_transport *transport = handle->data;

	(void)suggested;
	*ret_buf = uv_buf_init(
		transport->read_buffer, (unsigned)GW_TRANSPORT_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct gw_transport *transport = stream->data;

	if (n == 0)
		return;
	if (n < 0) {
		tell_ended(transport);
		return;
	}
	if (!transport->tls)
		transport->owner.on_data(
			transport->owner.user, buf->base, (size_t)n);
	else if (gw_tls_session_feed(transport->tls, buf->base, (size_t)n))
		take_wire(transport);
	else
		tell_ended(transport);
}

/* While a handshake runs on the pool its session is not ours to feed. */
static void set_reading(struct gw_transport *transport)
{
	bool reading = transport->wanted && !transport->working &&
		!transport->closed && !transport->told;

	if (transport->closed || reading == transport->reading)
		return;
	transport->reading = reading;
	if (!reading)
		uv_read_stop(&transport->io.stream);
	else if (uv_read_start(&transport->io.stream, on_alloc, on_read))
		transport->broken = true;
}

void gw_transport_read(struct gw_transport *transport, bool reading)
{
	if (transport->wanted == reading)
		return;
	transport->wanted = reading;
	set_reading(transport);
	if (reading && transport->tls && transport->step == GW_TLS_DONE &&
		!transport->working)
		pass_clear(transport);
}
