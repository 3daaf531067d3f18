/*
 * Requests from bytes: what is read, and everything that is refused because
 * two parsers could read it differently. Each text is fed whole and one byte
 * at a time; both must agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_request.h"
#include "net/http_response.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define H            "Host: a\r\n"

/* Feed in pieces; stops at the first request or refusal. */
static enum http_parse feed(struct http_parser *parser, const char *text,
	size_t len, size_t piece, struct http_request *ret_request)
{
	enum http_parse parse = HTTP_PARSE_MORE;

	for (size_t at = 0; at < len && parse == HTTP_PARSE_MORE;) {
		size_t n = len - at < piece ? len - at : piece;
		size_t used = 0;

		parse = http_parser_feed(
			parser, text + at, n, &used, ret_request);
		at += used;
	}
	return parse;
}

/* The status a text is refused with; 0 when it is a request, 1 when open. */
static int outcome(const char *text, size_t len, size_t piece)
{
	struct http_parser *parser = http_parser_new(64);
	struct http_request request;
	int result = 1;

	switch (feed(parser, text, len, piece, &request)) {
	case HTTP_PARSE_MORE:
		break;
	case HTTP_PARSE_REQUEST:
		http_request_clear(&request);
		result = 0;
		break;
	case HTTP_PARSE_REFUSED:
		result = http_parser_status(parser);
		assert_true(strlen(http_parser_text(parser)) > 0);
		break;
	}
	http_parser_free(parser);
	return result;
}

/* One that has taken the head and the first len bytes of its body. */
static struct http_parser *gathering(struct http_room *room, size_t len)
{
	static const char head[] =
		"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n";
	struct http_parser *parser = http_parser_new(0);
	struct http_request request;
	char *body = calloc(1, len + 1);

	assert_non_null(body);
	http_parser_share(parser, room);
	assert_int_equal(feed(parser, head, strlen(head), 99, &request),
		HTTP_PARSE_MORE);
	(void)feed(parser, body, len, len, &request);
	free(body);
	return parser;
}

static void test_http_bodies_share_their_room(void **state)
{
	struct http_room room = {.max = 50000};
	struct http_parser *parsers[3];

	(void)state;
	parsers[0] = gathering(&room, 30000);
	parsers[1] = gathering(&room, 17000);
	parsers[2] = gathering(&room, 16000);
	assert_int_equal(http_parser_status(parsers[0]), 0);
	assert_int_equal(http_parser_status(parsers[1]), 503);
	assert_int_equal(http_parser_status(parsers[2]), 0);
	for (int i = 0; i < 3; i++)
		http_parser_free(parsers[i]);
	assert_int_equal(room.used, 0);
	parsers[0] = gathering(&room, 32000);
	assert_int_equal(http_parser_status(parsers[0]), 0);
	assert_in_range(room.used, 32000, 50000);
	http_parser_free(parsers[0]);
	assert_int_equal(room.used, 0);
}

struct streamed {
	size_t requests;
	struct http_bytes body;
	bool taking;
};

static bool take_body(void *user, const char *data, size_t len)
{
	struct streamed *streamed = user;

	http_bytes_add(&streamed->body, data, len);
	return streamed->taking;
}

/* The same of a parser that keeps no bodies. */
static int outcome_streaming(
	const char *text, size_t len, size_t piece, struct streamed *streamed)
{
	struct http_parser *parser = http_parser_new_streaming(
		64, take_body, streamed);
	struct http_request request;
	int status = 0;

	for (size_t at = 0; at < len && !status;) {
		size_t n = len - at < piece ? len - at : piece;
		size_t used = 0;

		switch (http_parser_feed(
			parser, text + at, n, &used, &request)) {
		case HTTP_PARSE_MORE:
			break;
		case HTTP_PARSE_REQUEST:
			streamed->requests++;
			assert_int_equal(request.body_len, 0);
			assert_int_equal(http_parser_phase(parser),
				request.chunked || request.content_length
					? HTTP_PHASE_BODY
					: HTTP_PHASE_IDLE);
			http_request_clear(&request);
			break;
		case HTTP_PARSE_REFUSED:
			status = http_parser_status(parser);
			break;
		}
		at += used;
	}
	if (!status && http_parser_phase(parser) != HTTP_PHASE_IDLE)
		status = 1;
	http_parser_free(parser);
	return status;
}

static const struct {
	const char *name;
	const char *text;
	int status;
} cases[] = {
	{"plain", "GET / HTTP/1.1\r\n" H "\r\n", 0},
	{"empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 0},
	{"1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 0},
	{"body", "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab", 0},
	{"chunked",
		"POST / HTTP/1.1\r\n" H
		"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
		0},
	{"unfinished", "GET / HTTP/1.1\r\n" H, 1},
	{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
	{"two Hosts", "GET / HTTP/1.1\r\n" H H "\r\n", 400},
	{"folded header", "GET / HTTP/1.1\r\n" H "X: b\r\n c\r\n\r\n", 400},
	{"folded length",
		"POST / HTTP/1.1\r\n" H "X: b\r\n Content-Length: 2\r\n\r\nab",
		400},
	{"folded after empty value", "GET / HTTP/1.1\r\n" H "X:\r\n\tb\r\n\r\n",
		400},
	{"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
	{"bare LF after header", "GET / HTTP/1.1\r\n" H "X: y\n\r\n", 400},
	{"bare CR",
		"GET / HTTP/1.1\r\n" H "X:\rTransfer-Encoding: chunked\r\n"
		"\r\n",
		400},
	{"space in name", "GET / HTTP/1.1\r\n" H "X y: z\r\n\r\n", 400},
	{"space before colon", "GET / HTTP/1.1\r\n" H "X : z\r\n\r\n", 400},
	{"two lengths",
		"POST / HTTP/1.1\r\n" H
		"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
		400},
	{"length and encoding",
		"POST / HTTP/1.1\r\n" H
		"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
		400},
	{"negative length",
		"POST / HTTP/1.1\r\n" H "Content-Length: -2\r\n\r\n", 400},
	{"length with sign",
		"POST / HTTP/1.1\r\n" H "Content-Length: +2\r\n\r\nab", 400},
	{"length list",
		"POST / HTTP/1.1\r\n" H "Content-Length: 2, 2\r\n\r\nab", 400},
	{"length beyond 64 bits",
		"POST / HTTP/1.1\r\n" H
		"Content-Length: 99999999999999999999999\r\n\r\n",
		400},
	{"too large", "POST / HTTP/1.1\r\n" H "Content-Length: 65\r\n\r\n",
		413},
	{"too large in chunks",
		"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n41\r"
		"\n01234567890123456789012345678901234567890123456789012345678"
		"901234\r\n",
		413},
	{"gzip then chunked",
		"POST / HTTP/1.1\r\n" H
		"Transfer-Encoding: gzip, chunked\r\n\r\n",
		501},
	{"bad chunk size",
		"POST / HTTP/1.1\r\n" H
		"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		400},
	{"bad chunk end",
		"POST / HTTP/1.1\r\n" H
		"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
		400},
	{"trailer",
		"POST / HTTP/1.1\r\n" H
		"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
		400},
	{"bare LF behind the last chunk",
		"POST / HTTP/1.1\r\n" H
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\n",
		400},
	{"chunk extension",
		"POST / HTTP/1.1\r\n" H
		"Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n",
		0},
	{"HTTP/2 preamble", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	{"HTTP/0.9", "GET /\r\n\r\n", 505},
	{"HTTP/1.2", "GET / HTTP/1.2\r\n" H "\r\n", 505},
	{"unknown method", "PAY / HTTP/1.1\r\n" H "\r\n", 501},
	{"SOURCE", "SOURCE / ICE/1.0\r\n\r\n", 501},
	{"CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501},
	{"control in target", "GET /\x01 HTTP/1.1\r\n" H "\r\n", 400},
	{"TLS hello", "\x16\x03\x01\x02", 501},
};

static void test_every_case_has_its_outcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = strlen(cases[i].text);
		int whole = outcome(cases[i].text, len, len);
		int bytewise = outcome(cases[i].text, len, 1);

		if (whole != cases[i].status || bytewise != cases[i].status) {
			print_error("%s: whole %d, bytewise %d, expected %d\n",
				cases[i].name, whole, bytewise,
				cases[i].status);
			fail();
		}
	}
}

static void test_streaming_has_the_same_outcomes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = strlen(cases[i].text);
		struct streamed streamed = {.taking = true};
		int whole = outcome_streaming(
			cases[i].text, len, len, &streamed);
		int bytewise = outcome_streaming(
			cases[i].text, len, 1, &streamed);

		if (whole != cases[i].status || bytewise != cases[i].status) {
			print_error("%s: whole %d, bytewise %d, expected %d\n",
				cases[i].name, whole, bytewise,
				cases[i].status);
			fail();
		}
		http_bytes_clear(&streamed.body);
	}
}

static const char pipelined[] =
	"POST /a HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nfirst"
	"GET /b HTTP/1.1\r\n" H "\r\n"
	"POST /c HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	"2\r\nse\r\n4\r\ncond\r\n0\r\n\r\n"
	"POST /d HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n"
	"GET /e HTTP/1.1\r\n" H "\r\n";

static void test_streaming_gives_bodies_in_order(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < sizeof(pipelined); piece++) {
		struct streamed streamed = {.taking = true};

		assert_int_equal(
			outcome_streaming(pipelined, sizeof(pipelined) - 1,
				piece, &streamed),
			0);
		assert_int_equal(streamed.requests, 5);
		assert_int_equal(streamed.body.len, 11);
		assert_memory_equal(streamed.body.ptr, "firstsecond", 11);
		http_bytes_clear(&streamed.body);
	}
}

static void test_streaming_ends_where_the_body_is_not_taken(void **state)
{
	struct streamed streamed = {.taking = false};

	(void)state;
	assert_int_equal(outcome_streaming(pipelined, sizeof(pipelined) - 1, 7,
				 &streamed),
		503);
	assert_int_equal(streamed.requests, 1);
	http_bytes_clear(&streamed.body);
}

static void test_nul_in_header_is_refused(void **state)
{
	static const char text[] =
		"GET / HTTP/1.1\r\nHost: a\r\nX: \0y\r\n\r\n";

	(void)state;
	assert_int_equal(outcome(text, sizeof(text) - 1, 100), 400);
}

static void test_upgrade_is_an_ordinary_request(void **state)
{
	static const char text[] =
		"GET /ws HTTP/1.1\r\n" H
		"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /next "
		"HTTP/1.1\r\n" H "\r\n";
	struct http_parser *parser = http_parser_new(0);
	struct http_request request;
	size_t used;

	(void)state;
	assert_int_equal(http_parser_feed(parser, text, sizeof(text) - 1, &used,
				 &request),
		HTTP_PARSE_REQUEST);
	assert_string_equal(request.path, "/ws");
	http_request_clear(&request);
	assert_int_equal(http_parser_feed(parser, text + used,
				 sizeof(text) - 1 - used, &used, &request),
		HTTP_PARSE_REQUEST);
	assert_string_equal(request.path, "/next");
	http_request_clear(&request);
	http_parser_free(parser);
}

static void test_request_has_its_parts(void **state)
{
	static const char text[] =
		"POST /a/b?c=d&e HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n"
		"X-Two: 1\r\nx-two: 2\r\nContent-Length: 3\r\n\r\nxyz";

	(void)state;
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct http_parser *parser = http_parser_new(0);
		struct http_request request;
		bool doubled = false;

		assert_int_equal(
			feed(parser, text, sizeof(text) - 1, piece, &request),
			HTTP_PARSE_REQUEST);
		assert_string_equal(request.method, "POST");
		assert_string_equal(request.target, "/a/b?c=d&e");
		assert_string_equal(request.path, "/a/b");
		assert_string_equal(request.query, "c=d&e");
		assert_int_equal(request.headers_len, 5);
		assert_string_equal(
			http_request_header(&request, "x-empty", &doubled), "");
		assert_false(doubled);
		assert_string_equal(
			http_request_header(&request, "X-TWO", &doubled), "1");
		assert_true(doubled);
		assert_null(http_request_header(&request, "X", NULL));
		assert_int_equal(request.body_len, 3);
		assert_memory_equal(request.body, "xyz", 3);
		assert_true(request.keep_alive);
		http_request_clear(&request);
		http_parser_free(parser);
	}
}

/* It may not point into what the next read overwrites. */
static void test_body_is_its_own(void **state)
{
	static const char text[] = "POST / HTTP/1.1\r\n" H
				   "Content-Length: 5\r\n\r\nhello";
	size_t len = sizeof(text) - 1;

	(void)state;
	for (size_t piece = 1; piece <= len; piece++) {
		struct http_parser *parser = http_parser_new(64);
		struct http_request request;
		char *copy = malloc(len);

		memcpy(copy, text, len);
		assert_int_equal(feed(parser, copy, len, piece, &request),
			HTTP_PARSE_REQUEST);
		memset(copy, 'x', len);
		free(copy);
		http_parser_free(parser);
		assert_int_equal(request.body_len, 5);
		assert_memory_equal(request.body, "hello", 5);
		http_request_drop_body(&request);
		assert_int_equal(request.body_len, 0);
		assert_null(request.body);
		assert_string_equal(request.path, "/");
		http_request_clear(&request);
	}
}

static void test_absolute_target_gives_its_path(void **state)
{
	static const struct {
		const char *target;
		const char *path;
		const char *query;
	} targets[] = {
		{"http://a/b?c", "/b", "c"},
		{"http://a", "/", NULL},
		{"http://a?x", "/", "x"},
		{"*", "*", NULL},
		{"/?", "/", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		struct http_parser *parser = http_parser_new(0);
		struct http_request request;
		char text[256];
		int len = snprintf(text, sizeof(text),
			"OPTIONS %s HTTP/1.1\r\n" H "\r\n", targets[i].target);

		assert_int_equal(
			feed(parser, text, (size_t)len, 1000, &request),
			HTTP_PARSE_REQUEST);
		assert_string_equal(request.path, targets[i].path);
		if (targets[i].query)
			assert_string_equal(request.query, targets[i].query);
		else
			assert_null(request.query);
		http_request_clear(&request);
		http_parser_free(parser);
	}
}

/* A text of the given form grown until it is refused. */
static int grown(const char *start, const char *unit, size_t times)
{
	struct http_bytes text = {0};
	int status;

	http_bytes_add(&text, start, strlen(start));
	for (size_t i = 0; i < times; i++)
		http_bytes_add(&text, unit, strlen(unit));
	status = outcome(text.ptr, text.len, 4096);
	http_bytes_clear(&text);
	return status;
}

static void test_limits_are_held(void **state)
{
	(void)state;
	assert_int_equal(grown("GET /", "a", HTTP_TARGET_MAX_BYTES + 1), 414);
	assert_int_equal(
		grown("GET / HTTP/1.1\r\n" H "X: ", "a", HTTP_HEADER_MAX_BYTES),
		431);
	assert_int_equal(
		grown("GET / HTTP/1.1\r\n" H, "A: b\r\n", HTTP_HEADERS_MAX),
		431);
	/* Never-ending chunk extensions. */
	assert_int_equal(grown("POST / HTTP/1.1\r\n" H
			       "Transfer-Encoding: chunked\r\n\r\n1;",
				 "x", 100000),
		413);
}

static void test_response_refuses_header_injection(void **state)
{
	static const struct {
		const char *name;
		const char *value;
	} bad[] = {{"X", "a\r\nSet-Cookie: b"}, {"X", "a\nb"}, {"X: y", "z"},
		{"", "a"}, {"X\r\nY", "a"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct http_response response;
		struct http_response_framing framing = {.keep_alive = true};
		struct http_bytes out = {0};

		http_response_init(&response, 200);
		http_response_header(&response, bad[i].name, bad[i].value);
		http_response_body(&response, "secret", 6);
		http_response_write(&response, &framing, &out);
		http_bytes_add(&out, "", 1);
		assert_non_null(strstr(out.ptr, "HTTP/1.1 500 "));
		assert_null(strstr(out.ptr, "Set-Cookie"));
		assert_null(strstr(out.ptr, "secret"));
		http_bytes_clear(&out);
		http_response_clear(&response);
	}
}

static void test_head_has_length_without_body(void **state)
{
	struct http_response response;
	struct http_response_framing framing = {.head = true};
	struct http_bytes out = {0};

	(void)state;
	http_response_init(&response, 200);
	http_response_body(&response, "body", 4);
	http_response_write(&response, &framing, &out);
	http_bytes_add(&out, "", 1);
	assert_non_null(strstr(out.ptr, "Content-Length: 4\r\n"));
	assert_null(strstr(out.ptr, "body"));
	http_bytes_clear(&out);
	http_response_clear(&response);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_bodies_share_their_room),
		cmocka_unit_test(test_every_case_has_its_outcome),
		cmocka_unit_test(test_streaming_has_the_same_outcomes),
		cmocka_unit_test(test_streaming_gives_bodies_in_order),
		cmocka_unit_test(
			test_streaming_ends_where_the_body_is_not_taken),
		cmocka_unit_test(test_nul_in_header_is_refused),
		cmocka_unit_test(test_upgrade_is_an_ordinary_request),
		cmocka_unit_test(test_request_has_its_parts),
		cmocka_unit_test(test_body_is_its_own),
		cmocka_unit_test(test_absolute_target_gives_its_path),
		cmocka_unit_test(test_limits_are_held),
		cmocka_unit_test(test_response_refuses_header_injection),
		cmocka_unit_test(test_head_has_length_without_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
