/*
 * A server on this thread's loop, and one client on a thread of its own that
 * follows a script: what test_http_server.c and test_http_stream.c share.
 */
#ifndef HTTP_HOUSE_H
#define HTTP_HOUSE_H

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "net/http_server.h"

#define HELD_MAX 32

struct bench {
	uv_loop_t loop;
	uv_async_t client_done;
	uv_timer_t later;
	struct http_server *server;
	void (*script)(struct bench *bench);
	pthread_t client;
	struct http_exchange *held[HELD_MAX];
	int held_len;
	int cancelled;
	int requests;
	char unix_path[64];
	bool streamed; /* what the last stream call said */
	bool drained;
	atomic_bool let_go; /* the client may leave */
	/* What the client thread saw; read after the join. */
	char seen[8192];
	size_t seen_len;
	uint32_t data_segments;
};

static inline void answer(struct http_exchange *exchange, const char *text)
{
	struct http_response response;

	http_response_init(&response, 200);
	http_response_body(&response, text, strlen(text));
	http_exchange_reply(exchange, &response);
	http_response_clear(&response);
}

static inline void on_cancelled(void *user)
{
	struct bench *bench = user;

	bench->cancelled++;
}

/* More than a kernel keeps for a client that reads nothing. */
#define BIG_LEN ((size_t)24 * 1024 * 1024)

static inline void answer_big(struct http_exchange *exchange)
{
	struct http_response response;
	char *body = malloc(BIG_LEN);

	assert_non_null(body);
	memset(body, 'x', BIG_LEN);
	http_response_init(&response, 200);
	http_response_body(&response, body, BIG_LEN);
	http_exchange_reply(exchange, &response);
	http_response_clear(&response);
	free(body);
}

/*
 * "/now" is answered at once, "/big" with much; others are held for the test.
 */
static inline void on_request(void *user, struct http_exchange *exchange)
{
	struct bench *bench = user;
	const char *path = http_exchange_request(exchange)->path;

	bench->requests++;
	assert_string_equal(http_exchange_peer(exchange),
		bench->unix_path[0] ? "unix" : "127.0.0.1");
	if (strcmp(path, "/now") == 0) {
		answer(exchange, "now");
		return;
	}
	if (strcmp(path, "/big") == 0) {
		answer_big(exchange);
		return;
	}
	http_exchange_on_cancelled(exchange, on_cancelled, bench);
	bench->held[bench->held_len++] = exchange;
}

/* ---- The client's side. ---- */

static inline int dial_unix(struct bench *bench)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		bench->unix_path);
	if (connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)))
		abort();
	return fd;
}

static inline int dial(struct bench *bench)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(http_server_port(bench->server))};
	struct timeval patience = {.tv_sec = 30};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)))
		abort();
	return fd;
}

static inline void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return;
}

/* A patient recv() ends with EINTR when the process was stopped for a while. */
static inline ssize_t receive(int fd, void *bytes, size_t len)
{
	ssize_t got;

	do
		got = recv(fd, bytes, len, 0);
	while (got < 0 && errno == EINTR);
	return got;
}

/* Read until the server closes, or n times pattern has been seen. */
static inline void hear(struct bench *bench, int fd, const char *pattern, int n)
{
	for (;;) {
		char *at = bench->seen;
		ssize_t got;
		int count = 0;

		while (pattern && (at = strstr(at, pattern)) && ++count < n)
			at++;
		if (pattern && count >= n)
			return;
		got = receive(fd, bench->seen + bench->seen_len,
			sizeof(bench->seen) - 1 - bench->seen_len);
		if (got <= 0)
			return;
		bench->seen_len += (size_t)got;
		bench->seen[bench->seen_len] = '\0';
	}
}

static inline void *client_main(void *arg)
{
	struct bench *bench = arg;

	bench->script(bench);
	uv_async_send(&bench->client_done);
	return NULL;
}

/* ---- The bench. ---- */

static inline void on_client_done(uv_async_t *async)
{
	struct bench *bench = async->data;

	uv_stop(&bench->loop);
}

static inline void start(struct bench *bench,
	struct http_server_options *options,
	void (*script)(struct bench *bench))
{
	memset(bench, 0, sizeof(*bench));
	bench->script = script;
	assert_int_equal(uv_loop_init(&bench->loop), 0);
	uv_async_init(&bench->loop, &bench->client_done, on_client_done);
	bench->client_done.data = bench;
	uv_timer_init(&bench->loop, &bench->later);
	bench->later.data = bench;
	options->loop = &bench->loop;
	if (options->unix_path)
		snprintf(bench->unix_path, sizeof(bench->unix_path), "%s",
			options->unix_path);
	else
		options->host = "127.0.0.1";
	options->on_request = on_request;
	options->user = bench;
	assert_int_equal(http_server_start(options, &bench->server), 0);
}

static inline void run(struct bench *bench)
{
	assert_int_equal(
		pthread_create(&bench->client, NULL, client_main, bench), 0);
	uv_run(&bench->loop, UV_RUN_DEFAULT);
	pthread_join(bench->client, NULL);
}

/* Everything closes, and then nothing is left on the loop. */
static inline void finish(struct bench *bench)
{
	http_server_free(bench->server);
	uv_close((uv_handle_t *)&bench->client_done, NULL);
	uv_close((uv_handle_t *)&bench->later, NULL);
	uv_run(&bench->loop, UV_RUN_DEFAULT);
	for (int i = 0; i < bench->held_len; i++) {
		if (bench->held[i])
			answer(bench->held[i], "to nobody");
	}
	assert_int_equal(uv_loop_close(&bench->loop), 0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static inline void on_drained(void *user)
{
	struct bench *bench = user;

	bench->drained = true;
}

/* The connections end a turn or two after their client has. */
static inline void turn_until_drained(struct bench *bench)
{
	while (!bench->drained)
		uv_run(&bench->loop, UV_RUN_ONCE);
}

static inline void await_let_go(struct bench *bench)
{
	while (!atomic_load(&bench->let_go))
		usleep(1000);
}

/* Asks, and leaves when the test has let it go. */
static inline void script_leave(struct bench *bench)
{
	int fd = dial(bench);

	say(fd, GET("/held"));
	await_let_go(bench);
	close(fd);
}

/* The loop stops for the client's end, which the server may hear of later. */
static inline void turn_until_cancelled(struct bench *bench)
{
	while (!bench->cancelled)
		uv_run(&bench->loop, UV_RUN_ONCE);
}

#endif
