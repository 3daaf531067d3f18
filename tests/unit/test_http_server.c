/*
 * The server on a real socket: order of pipelined answers, clients that leave,
 * deadlines, limits, drain, socket files. Streams are in test_http_stream.c.
 */
#include "http_house.h"

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

/*
 * tcpi_data_segs_in of the kernel's struct tcp_info; glibc 2.36 declares a
 * shorter one, and <linux/tcp.h> cannot be included beside it.
 */
#define DATA_SEGMENTS_IN_AT 152

static void script_one_turn(struct bench *bench)
{
	uint8_t info[DATA_SEGMENTS_IN_AT + 4] = {0};
	socklen_t len = sizeof(info);
	int fd = dial(bench);

	say(fd, GET("/a") GET("/b") GET("/c"));
	hear(bench, fd, "third", 1);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) ||
		len < sizeof(info))
		abort();
	memcpy(&bench->data_segments, info + DATA_SEGMENTS_IN_AT, 4);
	close(fd);
}

static void answer_three(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (bench->held_len < 3)
		return;
	answer(bench->held[0], "first");
	answer(bench->held[1], "second");
	answer(bench->held[2], "third");
	bench->held_len = 0;
	uv_timer_stop(timer);
}

static void test_answers_of_one_turn_leave_together(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_one_turn);
	uv_timer_start(&bench.later, answer_three, 10, 10);
	run(&bench);
	assert_non_null(strstr(bench.seen, "first"));
	assert_non_null(strstr(bench.seen, "second"));
	assert_int_equal(bench.data_segments, 1);
	finish(&bench);
}

static void script_hear_end(struct bench *bench)
{
	int fd = dial(bench);

	say(fd, GET("/held"));
	hear(bench, fd, NULL, 0);
	close(fd);
}

static void answer_then_stop(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (bench->held_len == 0)
		return;
	answer(bench->held[0], "last words");
	bench->held_len = 0;
	http_server_stop(bench->server);
	uv_timer_stop(timer);
}

static void test_answer_before_a_stop_still_leaves(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_hear_end);
	uv_timer_start(&bench.later, answer_then_stop, 10, 10);
	run(&bench);
	assert_non_null(strstr(bench.seen, "last words"));
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

#define LARGE_LEN  100000
#define LARGE_MANY 12

static void script_large(struct bench *bench)
{
	static char body[LARGE_LEN + 1];
	int fd = dial(bench);

	memset(body, 'x', LARGE_LEN);
	for (int i = 0; i < LARGE_MANY; i++) {
		say(fd,
			"POST /held HTTP/1.1\r\nHost: a\r\n"
			"Content-Length: 100000\r\n\r\n");
		say(fd, body);
	}
	hear(bench, fd, "Content-Length: 4", LARGE_MANY);
	close(fd);
}

/* What is held when nothing more has come for a while, and then answered. */
static void answer_when_quiet(uv_timer_t *timer)
{
	struct bench *bench = timer->data;
	static int before;

	if (bench->held_len != before || !bench->held_len) {
		before = bench->held_len;
		return;
	}
	assert_in_range(bench->held_len, 1, 7);
	before = 0;
	while (bench->held_len)
		answer(bench->held[--bench->held_len], "then");
}

/* Few of the largest bodies are held, and all of them answered in the end. */
static void test_pipelined_bodies_are_held_a_few_at_a_time(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_large);
	uv_timer_start(&bench.later, answer_when_quiet, 50, 50);
	run(&bench);
	assert_int_equal(bench.requests, LARGE_MANY);
	finish(&bench);
}

static void let_go_when_held(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	atomic_store(&bench->let_go, bench->held_len > 0);
}

static void test_client_that_left_is_told_of_once(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_leave);
	uv_timer_start(&bench.later, let_go_when_held, 1, 1);
	run(&bench);
	turn_until_cancelled(&bench);
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

static void answer_then_drain(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (bench->held_len == 0)
		return;
	answer(bench->held[0], "kept alive");
	bench->held_len = 0;
	http_server_drain(bench->server, on_drained, bench);
	uv_timer_stop(timer);
}

static void test_drain_waits_for_no_answered_client(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_hear_end);
	uv_timer_start(&bench.later, answer_then_drain, 10, 10);
	run(&bench);
	turn_until_drained(&bench);
	assert_non_null(strstr(bench.seen, "kept alive"));
	finish(&bench);
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
	turn_until_drained(&bench);
	finish(&bench);
}

static void script_crowd(struct bench *bench)
{
	int first = dial(bench);
	int second;

	say(first, GET("/held"));
	await_let_go(bench);
	second = dial(bench);
	say(second, GET("/now"));
	hear(bench, second, NULL, 0);
	close(first);
	close(second);
}

/* Nobody who waits for an answer makes room for others. */
static void test_connections_above_the_limit_are_closed(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	options.max_connections = 1;
	start(&bench, &options, script_crowd);
	uv_timer_start(&bench.later, let_go_when_held, 1, 1);
	run(&bench);
	assert_int_equal(bench.requests, 1);
	assert_string_equal(bench.seen, "");
	finish(&bench);
}

static void script_idlers(struct bench *bench)
{
	int idle[3];
	int last;

	for (int i = 0; i < 3; i++) {
		idle[i] = dial(bench);
		say(idle[i], GET("/now"));
		hear(bench, idle[i], "now", i + 1);
	}
	/* The first has asked again since: the second is idle for longest. */
	say(idle[0], GET("/now"));
	hear(bench, idle[0], "now", 4);
	last = dial(bench);
	say(last, GET("/now"));
	hear(bench, last, "now", 5);
	bench->streamed = receive(idle[1], bench->seen, 1) == 0;
	say(idle[0], GET("/now"));
	say(idle[2], GET("/now"));
	hear(bench, idle[0], "now", 6);
	hear(bench, idle[2], "now", 7);
	for (int i = 0; i < 3; i++)
		close(idle[i]);
	close(last);
}

static void test_connections_that_idle_make_room(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	options.max_connections = 3;
	start(&bench, &options, script_idlers);
	run(&bench);
	assert_int_equal(bench.requests, 7);
	assert_true(bench.streamed);
	finish(&bench);
}

/* A body of so many bytes; the first digit of the status that it gets. */
static char post(struct bench *bench, const char *path, size_t len)
{
	int fd = dial(bench);
	char status[sizeof("HTTP/1.1 2")];
	size_t had = 0;
	char text[52000];

	snprintf(text, sizeof(text),
		"POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
		"Content-Length: %zu\r\n\r\n",
		path, len);
	say(fd, text);
	memset(text, 'x', len);
	text[len] = '\0';
	say(fd, text);
	if (strcmp(path, "/held") == 0)
		return '\0'; /* open until the process ends */
	while (had < 10) {
		ssize_t got = receive(fd, status + had, 10 - had);

		if (got <= 0)
			abort();
		had += (size_t)got;
	}
	/* To the end, or the rest would be reset. */
	while (receive(fd, text, sizeof(text)) > 0)
		;
	close(fd);
	return status[9];
}

/* Room for one of the larger bodies; small ones need none. */
static void script_gathered(struct bench *bench)
{
	char *seen = bench->seen;

	for (int i = 0; i < 5; i++)
		*seen++ = post(bench, "/now", 30000);
	*seen++ = post(bench, "/now", 51000);
	(void)post(bench, "/held", 25000);
	/* Until it has arrived there is room for another one. */
	while (post(bench, "/now", 30000) != '5')
		;
	*seen++ = post(bench, "/now", 10000);
	atomic_store(&bench->let_go, true);
	while (post(bench, "/now", 30000) != '2')
		;
}

static void answer_when_let_go(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	if (atomic_load(&bench->let_go) && bench->held_len)
		answer(bench->held[--bench->held_len], "at last");
}

static void test_bodies_that_wait_have_a_budget(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	options.max_gathered_bytes = 50000;
	start(&bench, &options, script_gathered);
	uv_timer_start(&bench.later, answer_when_let_go, 10, 10);
	run(&bench);
	/* The sixth is larger by itself. */
	assert_string_equal(bench.seen, "2222252");
	finish(&bench);
}

/* How many bytes come until the server closes. */
static size_t swallow(int fd)
{
	static char bytes[65536];
	size_t len = 0;
	ssize_t got;

	while ((got = receive(fd, bytes, sizeof(bytes))) > 0)
		len += (size_t)got;
	close(fd);
	return len;
}

static size_t greedy_bytes;
static size_t reader_bytes[3];

static void script_unread(struct bench *bench)
{
	int fd = dial(bench);

	/* No kernel keeps that much: the rest is the server's to keep. */
	say(fd, GET("/big") GET("/big"));
	await_let_go(bench); /* who reads is kept */
	greedy_bytes = swallow(fd);
	for (size_t i = 0; i < 3; i++) {
		fd = dial(bench);
		say(fd,
			"GET /big HTTP/1.1\r\nHost: a\r\n"
			"Connection: close\r\n\r\n");
		reader_bytes[i] = swallow(fd);
	}
}

static void count_open_sockets(uv_handle_t *handle, void *arg)
{
	int *sockets = arg;

	if (handle->type == UV_TCP && !uv_is_closing(handle))
		(*sockets)++;
}

static void let_go_when_shed(uv_timer_t *timer)
{
	struct bench *bench = timer->data;
	int sockets = 0;

	uv_walk(&bench->loop, count_open_sockets, &sockets);
	if (bench->requests == 2 && sockets == 1) /* the server's own */
		atomic_store(&bench->let_go, true);
}

/* What was cut off counts no more, nor does what was read. */
static void test_answers_that_wait_to_be_read_have_a_budget(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	options.max_unsent_bytes = BIG_LEN + 1024 * 1024;
	start(&bench, &options, script_unread);
	uv_timer_start(&bench.later, let_go_when_shed, 10, 10);
	run(&bench);
	assert_int_equal(bench.requests, 5);
	assert_true(greedy_bytes < 2 * BIG_LEN);
	for (size_t i = 0; i < 3; i++)
		assert_true(reader_bytes[i] > BIG_LEN);
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
		cmocka_unit_test(test_answers_of_one_turn_leave_together),
		cmocka_unit_test(test_answer_before_a_stop_still_leaves),
		cmocka_unit_test(test_many_pipelined_requests_are_all_answered),
		cmocka_unit_test(
			test_pipelined_bodies_are_held_a_few_at_a_time),
		cmocka_unit_test(test_client_that_left_is_told_of_once),
		cmocka_unit_test(test_slow_header_is_ended),
		cmocka_unit_test(test_refused_request_ends_the_connection),
		cmocka_unit_test(test_expect_continue_is_met),
		cmocka_unit_test(test_drain_finishes_what_was_begun),
		cmocka_unit_test(test_drain_waits_for_no_answered_client),
		cmocka_unit_test(test_connections_above_the_limit_are_closed),
		cmocka_unit_test(test_bodies_that_wait_have_a_budget),
		cmocka_unit_test(test_connections_that_idle_make_room),
		cmocka_unit_test(
			test_answers_that_wait_to_be_read_have_a_budget),
		cmocka_unit_test(
			test_socket_file_is_for_its_owner_and_goes_with_it),
		cmocka_unit_test(test_socket_file_left_by_the_dead_is_replaced),
		cmocka_unit_test(test_socket_file_replaces_no_other_file),
	};

	/* As every program around a server must: clients leave. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
