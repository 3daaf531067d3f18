/*
 * The server: listening, the sweep that ends what took too long, drain and
 * stop. What happens on a connection is in http_connection.c.
 *
 * The server's memory is counted: each open handle, each unanswered exchange
 * and its owner hold one reference, so it does not matter in which order
 * libuv closes things.
 */
#include "net/http_server.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "net/http_server_p.h"

#define MAX_CONNECTIONS_DEFAULT    10000
#define HEADERS_TIMEOUT_MS_DEFAULT 10000
#define BODY_TIMEOUT_MS_DEFAULT    30000
#define IDLE_TIMEOUT_MS_DEFAULT    60000
#define WRITE_TIMEOUT_MS_DEFAULT   30000
/* Deadlines are late by up to this much. */
#define SWEEP_MS 250
#define BACKLOG  1024

void http__server_ref(struct http_server *server)
{
	server->refs++;
}

void http__server_unref(struct http_server *server)
{
	if (--server->refs == 0)
		free(server);
}

const char *http__server_date(struct http_server *server)
{
	time_t now = time(NULL);
	struct tm utc;

	if (now != server->date_at && gmtime_r(&now, &utc)) {
		strftime(server->date, sizeof(server->date),
			"%a, %d %b %Y %H:%M:%S GMT", &utc);
		server->date_at = now;
	}
	return server->date;
}

static void on_handle_closed(uv_handle_t *handle)
{
	http__server_unref(handle->data);
}

static void finish_drain(struct http_server *server)
{
	void (*drained)(void *user) = server->drained;

	if (!drained || !server->listener_closed || server->connections)
		return;
	server->drained = NULL;
	drained(server->drained_user);
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct http_server *server = handle->data;

	server->listener_closed = true;
	finish_drain(server);
	http__server_unref(server);
}

void http__server_connection_closed(struct http_server *server)
{
	finish_drain(server);
}

static void close_listener(struct http_server *server)
{
	if (server->unlink_path)
		(void)unlink(server->unlink_path); /* may be gone */
	free(server->unlink_path);
	server->unlink_path = NULL;
	if (!uv_is_closing(&server->listener.handle))
		uv_close(&server->listener.handle, on_listener_closed);
}

static void on_connection(uv_stream_t *listener, int status)
{
	/* Out of descriptors: libuv sheds the connection without spinning. */
	if (status == 0)
		http__connection_accept(listener->data);
}

static void on_sweep(uv_timer_t *timer)
{
	struct http_server *server = timer->data;
	uint64_t now = uv_now(server->options.loop);
	struct http_connection *connection = server->connections;

	while (connection) {
		struct http_connection *next = http__connection_next(
			connection);

		http__connection_sweep(connection, now);
		connection = next;
	}
}

/* ---- The end of a turn. ---- */

static void on_turn_end(uv_prepare_t *turn_end)
{
	struct http_server *server = turn_end->data;

	/* What is due from in here is flushed in here. */
	http__connection_flush_due(server);
	uv_prepare_stop(turn_end);
}

void http__server_flush_soon(struct http_server *server)
{
	/* Fails only without a callback. */
	(void)uv_prepare_start(&server->turn_end, on_turn_end);
}

/* ---- Start. ---- */

static void apply_defaults(struct http_server_options *options)
{
	if (!options->max_connections)
		options->max_connections = MAX_CONNECTIONS_DEFAULT;
	if (!options->max_unsent_bytes)
		options->max_unsent_bytes = SIZE_MAX;
	if (!options->max_gathered_bytes)
		options->max_gathered_bytes = SIZE_MAX;
	if (!options->headers_timeout_ms)
		options->headers_timeout_ms = HEADERS_TIMEOUT_MS_DEFAULT;
	if (!options->body_timeout_ms)
		options->body_timeout_ms = BODY_TIMEOUT_MS_DEFAULT;
	if (!options->idle_timeout_ms)
		options->idle_timeout_ms = IDLE_TIMEOUT_MS_DEFAULT;
	if (!options->write_timeout_ms)
		options->write_timeout_ms = WRITE_TIMEOUT_MS_DEFAULT;
}

static int parse_address(const struct http_server_options *options,
	struct sockaddr_storage *ret_address)
{
	int rc = uv_ip4_addr(options->host, options->port,
		(struct sockaddr_in *)(void *)ret_address);

	return rc ? uv_ip6_addr(options->host, options->port,
			    (struct sockaddr_in6 *)(void *)ret_address)
		  : 0;
}

/* libuv 1.44 has no flag for SO_REUSEPORT: the socket is made by hand. */
static int open_socket(
	struct http_server *server, const struct sockaddr_storage *address)
{
	int on = 1;
	int fd = socket(address->ss_family,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return uv_translate_sys_error(errno);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
		(server->options.reuse_port &&
			setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
				sizeof(on)))) {
		rc = uv_translate_sys_error(errno);
		close(fd);
		return rc;
	}
	rc = uv_tcp_open(&server->listener.tcp, fd);
	if (rc)
		close(fd);
	return rc;
}

static int read_port(struct http_server *server)
{
	struct sockaddr_storage address;
	int len = sizeof(address);
	int rc = uv_tcp_getsockname(&server->listener.tcp,
		(struct sockaddr *)(void *)&address, &len);

	if (rc)
		return rc;
	server->port = address.ss_family == AF_INET6
		? ntohs(((struct sockaddr_in6 *)(void *)&address)->sin6_port)
		: ntohs(((struct sockaddr_in *)(void *)&address)->sin_port);
	return 0;
}

int http__server_stream_init(
	struct http_server *server, union http_stream *stream)
{
	uv_loop_t *loop = server->options.loop;

	return server->options.unix_path ? uv_pipe_init(loop, &stream->pipe, 0)
					 : uv_tcp_init(loop, &stream->tcp);
}

/*
 * The mode of a socket before bind is the mode of its file (less the umask),
 * so there is no moment in which others could connect. What is in the way is
 * removed only when it is a socket of which nobody takes connections.
 */
static int bind_unix(struct http_server *server, int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = server->options.unix_path;
	const struct sockaddr *any = (const struct sockaddr *)(void *)&address;
	struct stat st;

	if (strlen(path) >= sizeof(address.sun_path))
		return UV_ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode)) {
		int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool dead = probe >= 0 &&
			connect(probe, any, sizeof(address)) &&
			errno == ECONNREFUSED;
		if (probe >= 0)
			close(probe);
		if (dead)
			(void)unlink(path); /* bind says why not */
	}
	if (fchmod(fd, S_IRUSR | S_IWUSR) || bind(fd, any, sizeof(address)))
		return uv_translate_sys_error(errno);
	return 0;
}

static int listen_unix(struct http_server *server)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc = fd < 0 ? uv_translate_sys_error(errno) : bind_unix(server, fd);

	if (fd >= 0 && rc) {
		close(fd);
	} else if (!rc) {
		server->unlink_path = strdup(server->options.unix_path);
		rc = uv_pipe_open(&server->listener.pipe, fd);
		if (rc)
			close(fd);
	}
	if (!rc)
		rc = uv_listen(
			&server->listener.stream, BACKLOG, on_connection);
	return rc;
}

static int listen_on(struct http_server *server)
{
	struct sockaddr_storage address;
	int rc;

	if (server->options.unix_path)
		return listen_unix(server);
	memset(&address, 0, sizeof(address));
	if ((rc = parse_address(&server->options, &address)) ||
		(rc = open_socket(server, &address)) ||
		(rc = uv_tcp_bind(&server->listener.tcp,
			 (const struct sockaddr *)(void *)&address, 0)) ||
		(rc = uv_listen(
			 &server->listener.stream, BACKLOG, on_connection)))
		return rc;
	return read_port(server);
}

int http_server_start(const struct http_server_options *options,
	struct http_server **ret_server)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int rc;

	if (!server)
		return UV_ENOMEM;
	server->options = *options;
	apply_defaults(&server->options);
	server->room.max = server->options.max_gathered_bytes;
	server->refs = 1;
	rc = http__server_stream_init(server, &server->listener);
	if (rc) {
		free(server);
		return rc;
	}
	http__server_ref(server);
	server->listener.handle.data = server;
	rc = uv_prepare_init(options->loop, &server->turn_end);
	if (!rc) {
		http__server_ref(server);
		server->turn_end.data = server;
		rc = uv_timer_init(options->loop, &server->sweep);
	}
	if (!rc) {
		http__server_ref(server);
		server->sweep.data = server;
		rc = listen_on(server);
	}
	if (!rc)
		rc = uv_timer_start(
			&server->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	if (rc) {
		http_server_free(server);
		return rc;
	}
	*ret_server = server;
	return 0;
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}

/* ---- End. ---- */

void http_server_drain(
	struct http_server *server, void (*done)(void *user), void *user)
{
	struct http_connection *connection = server->connections;

	server->stopping = true;
	server->drained = done;
	server->drained_user = user;
	close_listener(server);
	while (connection) {
		struct http_connection *next = http__connection_next(
			connection);

		http__connection_drain(connection);
		connection = next;
	}
}

void http_server_stop(struct http_server *server)
{
	server->stopping = true;
	close_listener(server);
	while (server->connections)
		http__connection_close(server->connections);
	if (server->turn_end.data &&
		!uv_is_closing((uv_handle_t *)&server->turn_end))
		uv_close((uv_handle_t *)&server->turn_end, on_handle_closed);
	if (server->sweep.data && !uv_is_closing((uv_handle_t *)&server->sweep))
		uv_close((uv_handle_t *)&server->sweep, on_handle_closed);
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	server->drained = NULL;
	http_server_stop(server);
	http__server_unref(server);
}
