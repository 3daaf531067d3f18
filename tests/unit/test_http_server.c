/*
 * The server on a real socket: order of pipelined answers, clients that leave,
 * deadlines, limits, drain. Each test scripts one client on a thread of its
 * own against a server on this thread's loop.
 */
#include <arpa/inet.h>
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
};

static void answer(struct http_exchange *exchange, const char *text)
{
	struct http_response response;

	http_response_init(&response, 200);
	http_response_body(&response, text, strlen(text));
	http_exchange_reply(exchange, &response);
	http_response_clear(&response);
}

static void on_cancelled(void *user)
{
	struct bench *bench = user;

	bench->cancelled++;
}

/* "/now" is answered at once; others are held for the test. */
static void on_request(void *user, struct http_exchange *exchange)
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
	http_exchange_on_cancelled(exchange, on_cancelled, bench);
	bench->held[bench->held_len++] = exchange;
}

/* ---- The client's side. ---- */

static int dial_unix(struct bench *bench)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		bench->unix_path);
	if (connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)))
		abort();
	return fd;
}

static int dial(struct bench *bench)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(http_server_port(bench->server))};
	struct timeval patience = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)))
		abort();
	return fd;
}

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return;
}

/* Read until the server closes, or n times pattern has been seen. */
static void hear(struct bench *bench, int fd, const char *pattern, int n)
{
	for (;;) {
		char *at = bench->seen;
		ssize_t got;
		int count = 0;

		while (pattern && (at = strstr(at, pattern)) && ++count < n)
			at++;
		if (pattern && count >= n)
			return;
		got = recv(fd, bench->seen + bench->seen_len,
			sizeof(bench->seen) - 1 - bench->seen_len, 0);
		if (got <= 0)
			return;
		bench->seen_len += (size_t)got;
		bench->seen[bench->seen_len] = '\0';
	}
}

static void *client_main(void *arg)
{
	struct bench *bench = arg;

	bench->script(bench);
	uv_async_send(&bench->client_done);
	return NULL;
}

/* ---- The bench. ---- */

static void on_client_done(uv_async_t *async)
{
	struct bench *bench = async->data;

	uv_stop(&bench->loop);
}

static void start(struct bench *bench, struct http_server_options *options,
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

static void run(struct bench *bench)
{
	assert_int_equal(
		pthread_create(&bench->client, NULL, client_main, bench), 0);
	uv_run(&bench->loop, UV_RUN_DEFAULT);
	pthread_join(bench->client, NULL);
}

/* Everything closes, and then nothing is left on the loop. */
static void finish(struct bench *bench)
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

static void answer_backwards(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (bench->held_len < 2)
		return;
	answer(bench->held[1], "second");
	answer(bench->held[0], "first");
	bench->held_len = 0;
	uv_timer_stop(timer);
}

static void script_pipeline(struct bench *bench)
{
	int fd = dial(bench);

	say(fd, GET("/a") GET("/b") GET("/now"));
	hear(bench, fd, "now", 1);
	close(fd);
}

static void test_pipelined_answers_leave_in_order(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;
	const char *first;
	const char *second;
	const char *now;

	(void)state;
	start(&bench, &options, script_pipeline);
	uv_timer_start(&bench.later, answer_backwards, 10, 10);
	run(&bench);
	first = strstr(bench.seen, "first");
	second = strstr(bench.seen, "second");
	now = strstr(bench.seen, "now");
	assert_true(first && second && now && first < second && second < now);
	finish(&bench);
}

static void script_flood(struct bench *bench)
{
	int fd = dial(bench);

	for (int i = 0; i < 200; i++)
		say(fd, GET("/now"));
	hear(bench, fd, "Content-Length: 3", 40);
	close(fd);
}

static void test_many_pipelined_requests_are_all_answered(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_flood);
	run(&bench);
	assert_non_null(strstr(bench.seen, "now"));
	assert_true(bench.requests >= 40);
	finish(&bench);
}

static void stop_when_cancelled(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (bench->cancelled > 0)
		uv_stop(&bench->loop);
}

static void script_leave(struct bench *bench)
{
	int fd = dial(bench);

	say(fd, GET("/held"));
	usleep(50000);
	close(fd);
	usleep(100000);
}

static void test_client_that_left_is_told_of_once(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_leave);
	uv_timer_start(&bench.later, stop_when_cancelled, 10, 10);
	run(&bench);
	assert_int_equal(bench.cancelled, 1);
	assert_int_equal(bench.held_len, 1);
	finish(&bench); /* replies to the exchange without a client */
	assert_int_equal(bench.cancelled, 1);
}

static void script_slow(struct bench *bench)
{
	int fd = dial(bench);

	/* A byte now and then must not move the deadline. */
	for (int i = 0; i < 20; i++) {
		say(fd, i == 0 ? "GET / HTTP/1.1\r\nHost: a\r\nX: " : "x");
		usleep(50000);
	}
	hear(bench, fd, NULL, 0);
	close(fd);
}

static void test_slow_header_is_ended(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	options.headers_timeout_ms = 200;
	start(&bench, &options, script_slow);
	run(&bench);
	assert_non_null(strstr(bench.seen, "HTTP/1.1 408 "));
	assert_int_equal(bench.requests, 0);
	finish(&bench);
}

static void script_smuggle(struct bench *bench)
{
	int fd = dial(bench);

	say(fd,
		GET("/now") "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5"
			    "\r\nContent-Length: 0\r\n\r\n" GET("/held"));
	hear(bench, fd, NULL, 0);
	close(fd);
}

static void test_refused_request_ends_the_connection(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_smuggle);
	run(&bench);
	assert_non_null(strstr(bench.seen, "now"));
	assert_non_null(strstr(bench.seen, "HTTP/1.1 400 "));
	assert_non_null(strstr(bench.seen, "Connection: close"));
	assert_int_equal(bench.requests, 1);
	finish(&bench);
}

static void script_continue(struct bench *bench)
{
	int fd = dial(bench);

	say(fd,
		"POST /now HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
		"Content-Length: 2\r\n\r\n");
	hear(bench, fd, "100 Continue", 1);
	say(fd, "ab");
	hear(bench, fd, "now", 1);
	close(fd);
}

static void test_expect_continue_is_met(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_continue);
	run(&bench);
	assert_non_null(strstr(bench.seen, "HTTP/1.1 100 Continue"));
	assert_non_null(strstr(bench.seen, "HTTP/1.1 200 OK"));
	finish(&bench);
}

static void on_drained(void *user)
{
	struct bench *bench = user;

	bench->drained = true;
}

static void drain_then_answer(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (bench->held_len == 0)
		return;
	http_server_drain(bench->server, on_drained, bench);
	assert_false(bench->drained);
	answer(bench->held[0], "last");
	bench->held_len = 0;
	uv_timer_stop(timer);
}

static void script_drain(struct bench *bench)
{
	int idle = dial(bench);
	int fd = dial(bench);

	say(fd, GET("/held"));
	hear(bench, fd, NULL, 0);
	close(fd);
	close(idle);
}

static void test_drain_finishes_what_was_begun(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_drain);
	uv_timer_start(&bench.later, drain_then_answer, 20, 10);
	run(&bench);
	assert_non_null(strstr(bench.seen, "last"));
	assert_non_null(strstr(bench.seen, "Connection: close"));
	uv_run(&bench.loop, UV_RUN_NOWAIT);
	assert_true(bench.drained);
	finish(&bench);
}

static void script_crowd(struct bench *bench)
{
	int first = dial(bench);
	int second;

	say(first, GET("/now"));
	hear(bench, first, "now", 1);
	second = dial(bench);
	say(second, GET("/now"));
	hear(bench, second, NULL, 0);
	close(first);
	close(second);
}

static void test_connections_above_the_limit_are_closed(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	options.max_connections = 1;
	start(&bench, &options, script_crowd);
	run(&bench);
	assert_int_equal(bench.requests, 1);
	finish(&bench);
}

/* ---- Streams. ---- */

static void stream_start(struct bench *bench, struct http_exchange *exchange)
{
	struct http_response head;

	http_response_init(&head, 200);
	http_response_header(&head, "Content-Type", "text/event-stream");
	bench->streamed = http_exchange_stream_start(exchange, &head);
	http_response_clear(&head);
}

static void stream_say(struct bench *bench, const char *text)
{
	bench->streamed = http_exchange_stream_write(
		bench->held[0], text, strlen(text));
}

static void stream_end(struct bench *bench)
{
	http_exchange_stream_end(bench->held[0]);
	bench->held[0] = NULL;
	uv_timer_stop(&bench->later);
}

/* Ten ms apart, so that the client sees them one by one. */
static void stream_two_parts(uv_timer_t *timer)
{
	struct bench *bench = timer->data;
	static int step;

	if (bench->held_len == 0)
		return;
	switch (step++) {
	case 0:
		stream_start(bench, bench->held[0]);
		assert_true(bench->streamed);
		break;
	case 1:
		stream_say(bench, "part one");
		stream_say(bench, "");
		break;
	case 2:
		stream_say(bench, "part two");
		assert_true(bench->streamed);
		break;
	default:
		step = 0;
		stream_end(bench);
		break;
	}
}

static void script_stream(struct bench *bench)
{
	int fd = dial(bench);

	say(fd, GET("/held") GET("/now"));
	hear(bench, fd, "now", 1);
	close(fd);
}

static void test_stream_sends_parts_and_next_answer_waits(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;
	const char *head;
	const char *body;

	(void)state;
	start(&bench, &options, script_stream);
	uv_timer_start(&bench.later, stream_two_parts, 10, 10);
	run(&bench);
	head = strstr(bench.seen, "Transfer-Encoding: chunked\r\n");
	body = strstr(bench.seen,
		"\r\n\r\n8\r\npart one\r\n8\r\npart two\r\n0\r\n\r\n"
		"HTTP/1.1 200 OK\r\n");
	assert_true(head && body && head < body);
	assert_null(strstr(bench.seen, "Content-Length: 0"));
	assert_int_equal(bench.cancelled, 0);
	finish(&bench);
}

static void script_stream_1_0(struct bench *bench)
{
	int fd = dial(bench);

	say(fd, "GET /held HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	hear(bench, fd, NULL, 0);
	close(fd);
}

static void test_stream_to_http_1_0_ends_with_the_connection(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_stream_1_0);
	uv_timer_start(&bench.later, stream_two_parts, 10, 10);
	run(&bench);
	assert_non_null(strstr(bench.seen, "Connection: close\r\n"));
	assert_non_null(strstr(bench.seen, "\r\n\r\npart onepart two"));
	assert_null(strstr(bench.seen, "chunked"));
	finish(&bench);
}

static void stream_to_nobody(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (bench->held_len == 0)
		return;
	stream_start(bench, bench->held[0]);
	assert_false(bench->streamed);
	stream_say(bench, "unseen");
	assert_false(bench->streamed);
	stream_end(bench);
}

static void script_head(struct bench *bench)
{
	int fd = dial(bench);

	say(fd, "HEAD /held HTTP/1.1\r\nHost: a\r\n\r\n" GET("/now"));
	hear(bench, fd, "now", 1);
	close(fd);
}

static void test_stream_for_head_has_no_body(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_head);
	uv_timer_start(&bench.later, stream_to_nobody, 10, 10);
	run(&bench);
	assert_non_null(strstr(bench.seen, "\r\n\r\nHTTP/1.1 200 OK"));
	assert_null(strstr(bench.seen, "unseen"));
	finish(&bench);
}

static void stream_until_left(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (bench->held_len == 0)
		return;
	if (bench->requests == 1) {
		stream_start(bench, bench->held[0]);
		bench->requests++;
	}
	stream_say(bench, ": still here\n\n");
	if (!bench->cancelled)
		return;
	assert_false(bench->streamed);
	stream_end(bench);
	uv_stop(&bench->loop);
}

static void test_stream_reader_that_left_is_told_of_once(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_leave);
	uv_timer_start(&bench.later, stream_until_left, 5, 5);
	run(&bench);
	/* The loop stops for the client's end as well; whichever is last. */
	while (!bench.cancelled || bench.held[0])
		uv_run(&bench.loop, UV_RUN_ONCE);
	assert_int_equal(bench.cancelled, 1);
	finish(&bench);
	assert_int_equal(bench.cancelled, 1);
}

static void stream_flood(uv_timer_t *timer)
{
	struct bench *bench = timer->data;
	static char block[16384];

	if (bench->held_len == 0)
		return;
	if (bench->requests == 1) {
		stream_start(bench, bench->held[0]);
		bench->requests++;
	}
	/* More than any socket buffer and the limit hold together. */
	for (int i = 0; i < 4096 && bench->streamed; i++) {
		int before = bench->cancelled;

		bench->streamed = http_exchange_stream_write(
			bench->held[0], block, sizeof(block));
		assert_int_equal(bench->cancelled, before);
	}
	assert_false(bench->streamed);
	if (!bench->cancelled)
		return;
	stream_end(bench);
	atomic_store(&bench->let_go, true);
}

static void script_read_nothing(struct bench *bench)
{
	int fd = dial(bench);

	say(fd, GET("/held"));
	while (!atomic_load(&bench->let_go))
		usleep(1000);
	close(fd);
}

static void test_stream_reader_that_is_too_slow_is_cut_off(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_read_nothing);
	uv_timer_start(&bench.later, stream_flood, 5, 5);
	run(&bench);
	assert_int_equal(bench.cancelled, 1);
	assert_null(bench.held[0]);
	finish(&bench);
}

static void stream_then_drain(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (bench->held_len == 0)
		return;
	stream_start(bench, bench->held[0]);
	stream_say(bench, "begun");
	assert_true(bench->streamed);
	http_server_drain(bench->server, on_drained, bench);
	assert_int_equal(bench->cancelled, 1);
	stream_say(bench, "too late");
	assert_false(bench->streamed);
	stream_end(bench);
}

static void script_stream_drain(struct bench *bench)
{
	int fd = dial(bench);

	say(fd, GET("/held"));
	hear(bench, fd, NULL, 0);
	close(fd);
}

static void test_drain_ends_streams(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_stream_drain);
	uv_timer_start(&bench.later, stream_then_drain, 10, 10);
	run(&bench);
	assert_non_null(strstr(bench.seen, "5\r\nbegun\r\n0\r\n\r\n"));
	assert_null(strstr(bench.seen, "too late"));
	uv_run(&bench.loop, UV_RUN_NOWAIT);
	assert_true(bench.drained);
	finish(&bench);
}

static void drain_then_stream(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (bench->held_len == 0)
		return;
	http_server_drain(bench->server, on_drained, bench);
	stream_start(bench, bench->held[0]);
	assert_false(bench->streamed);
	stream_say(bench, "what was ready");
	assert_true(bench->streamed);
	uv_timer_stop(timer); /* no end: the sweep gives it one */
}

static void test_stream_begun_while_draining_is_ended(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_stream_drain);
	uv_timer_start(&bench.later, drain_then_stream, 10, 10);
	run(&bench);
	assert_non_null(strstr(bench.seen, "what was ready\r\n0\r\n\r\n"));
	assert_non_null(strstr(bench.seen, "Connection: close\r\n"));
	assert_int_equal(bench.cancelled, 1);
	stream_end(&bench);
	finish(&bench);
}

static void stream_spoiled(uv_timer_t *timer)
{
	struct bench *bench = timer->data;
	struct http_response head;

	if (bench->held_len == 0)
		return;
	http_response_init(&head, 200);
	http_response_header(&head, "X-Bad", "a\r\nX-Smuggled: b");
	assert_false(http_exchange_stream_start(bench->held[0], &head));
	http_response_clear(&head);
	stream_say(bench, "behind a 500");
	assert_false(bench->streamed);
	stream_end(bench);
}

static void test_stream_with_spoiled_head_is_a_whole_500(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_stream);
	uv_timer_start(&bench.later, stream_spoiled, 10, 10);
	run(&bench);
	assert_non_null(strstr(bench.seen, "HTTP/1.1 500 "));
	assert_null(strstr(bench.seen, "Smuggled"));
	assert_null(strstr(bench.seen, "behind"));
	assert_null(strstr(bench.seen, "chunked"));
	finish(&bench);
}

/* ---- Socket files. ---- */

static void script_unix(struct bench *bench)
{
	int fd = dial_unix(bench);

	say(fd, GET("/now"));
	hear(bench, fd, "now", 1);
	close(fd);
}

/* A directory of the test's own. */
static const char *unix_path(void)
{
	static char path[64];
	char dir[] = "/tmp/x402-net-XXXXXX";

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/admin", dir);
	return path;
}

static void remove_directory_of(const char *path)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "%.*s", (int)strlen(path) - 6, path);
	assert_int_equal(rmdir(dir), 0); /* the socket file is gone */
}

static void test_socket_file_is_for_its_owner_and_goes_with_it(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;
	struct stat st;

	(void)state;
	options.unix_path = unix_path();
	start(&bench, &options, script_unix);
	assert_int_equal(lstat(options.unix_path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777 & ~0600u, 0);
	assert_int_equal(http_server_port(bench.server), 0);
	run(&bench);
	assert_non_null(strstr(bench.seen, "now"));
	finish(&bench);
	remove_directory_of(options.unix_path);
}

static void leave_socket_file(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(
		bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)),
		0);
	close(fd);
}

static void test_socket_file_left_by_the_dead_is_replaced(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct http_server *second = NULL;
	struct bench bench;

	(void)state;
	options.unix_path = unix_path();
	leave_socket_file(options.unix_path);
	start(&bench, &options, script_unix);
	/* But not one of the living. */
	assert_int_equal(http_server_start(&options, &second), UV_EADDRINUSE);
	assert_null(second);
	run(&bench);
	assert_non_null(strstr(bench.seen, "now"));
	finish(&bench);
	remove_directory_of(options.unix_path);
}

static void test_socket_file_replaces_no_other_file(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct http_server *server = NULL;
	uv_loop_t loop;
	FILE *file;

	(void)state;
	options.unix_path = unix_path();
	options.loop = &loop;
	options.on_request = on_request;
	file = fopen(options.unix_path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(http_server_start(&options, &server), UV_EADDRINUSE);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(unlink(options.unix_path), 0);
	remove_directory_of(options.unix_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipelined_answers_leave_in_order),
		cmocka_unit_test(test_many_pipelined_requests_are_all_answered),
		cmocka_unit_test(test_client_that_left_is_told_of_once),
		cmocka_unit_test(test_slow_header_is_ended),
		cmocka_unit_test(test_refused_request_ends_the_connection),
		cmocka_unit_test(test_expect_continue_is_met),
		cmocka_unit_test(test_drain_finishes_what_was_begun),
		cmocka_unit_test(test_connections_above_the_limit_are_closed),
		cmocka_unit_test(test_stream_sends_parts_and_next_answer_waits),
		cmocka_unit_test(
			test_stream_to_http_1_0_ends_with_the_connection),
		cmocka_unit_test(test_stream_for_head_has_no_body),
		cmocka_unit_test(test_stream_reader_that_left_is_told_of_once),
		cmocka_unit_test(
			test_stream_reader_that_is_too_slow_is_cut_off),
		cmocka_unit_test(test_drain_ends_streams),
		cmocka_unit_test(test_stream_begun_while_draining_is_ended),
		cmocka_unit_test(test_stream_with_spoiled_head_is_a_whole_500),
		cmocka_unit_test(
			test_socket_file_is_for_its_owner_and_goes_with_it),
		cmocka_unit_test(test_socket_file_left_by_the_dead_is_replaced),
		cmocka_unit_test(test_socket_file_replaces_no_other_file),
	};

	/* As every program around a server must: clients leave. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
