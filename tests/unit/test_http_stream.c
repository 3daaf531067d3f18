/*
 * Streamed answers on a real socket: parts, readers that leave or are too slow,
 * drain.
 */
#include "http_house.h"

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
		atomic_store(&bench->let_go, true);
	}
	stream_say(bench, ": still here\n\n");
	if (!bench->cancelled)
		return;
	assert_false(bench->streamed);
	stream_end(bench);
}

static void test_stream_reader_that_left_is_told_of_once(void **state)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;
	struct bench bench;

	(void)state;
	start(&bench, &options, script_leave);
	uv_timer_start(&bench.later, stream_until_left, 5, 5);
	run(&bench);
	/* The loop stops for the client's end; the stream's may be later. */
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
	await_let_go(bench);
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
	turn_until_drained(&bench);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	/* As every program around a server must: clients leave. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
