/*
 * Headers across the gateway: what an origin sees of a request, and a client
 * of an answer. Each case is a request with headers, and the lines that must,
 * or must not, be in what the origin gets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "headers.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static bool take(void *user, const char *name, const char *value)
{
	struct x402_buf *text = user;

	x402_buf_printf(text, "%s: %s\n", name, value);
	return true;
}

static const struct gw_forward plain = {
	.peer = "192.0.2.7",
	.client = "192.0.2.7",
	.host = "origin:9000",
	.request_id = "id1",
	.access = "free",
};

/* What the origin gets, as lines behind a line break. */
static char *forwarded(const struct gw_forward *base,
	const struct http_header *headers, size_t len)
{
	const struct http_request request = {.method = "GET",
		.target = "/",
		.path = "/",
		.headers = headers,
		.headers_len = len};
	struct gw_forward forward = *base;
	struct x402_buf text = {0};

	forward.request = &request;
	x402_buf_add_byte(&text, '\n');
	assert_true(gw_headers_to_origin(&forward, take, &text));
	return x402_buf_take_str(&text);
}

static void assert_line(const char *text, const char *line)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (!strstr(text, whole)) {
		print_error("expected %s in:%s", line, text);
		fail();
	}
}

static void test_ordinary_headers_cross(void **state)
{
	static const struct http_header headers[] = {{"Host", "shop.example"},
		{"Accept", "text/html"}, {"X-Empty", ""},
		{"Cookie", "a=b; c=d"}, {"Authorization", "Basic x"},
		{"Range", "bytes=0-1"}};
	char *text = forwarded(&plain, headers, ARRAY_LEN(headers));

	(void)state;
	assert_line(text, "Host: origin:9000");
	assert_line(text, "Accept: text/html");
	assert_line(text, "X-Empty: ");
	assert_line(text, "Cookie: a=b; c=d");
	assert_line(text, "Authorization: Basic x");
	assert_line(text, "Range: bytes=0-1");
	assert_line(text, "X-Forwarded-For: 192.0.2.7");
	assert_line(text, "X-Forwarded-Proto: http");
	assert_line(text, "X-Forwarded-Host: shop.example");
	assert_line(text, "X-Real-IP: 192.0.2.7");
	assert_line(text, "X-Request-Id: id1");
	assert_line(text, "X402-Access: free");
	assert_null(strstr(text, "shop.example\nHost"));
	free(text);
}

static void test_passes_stay_with_the_gate(void **state)
{
	static const struct {
		const char *value;
		const char *line; /* NULL: no Cookie at all */
	} rows[] = {
		{"a=1; x402-pass-e0=01ab; b=2", "Cookie: a=1; b=2"},
		{"x402-pass-e0=01ab", NULL},
		{"X402-PASS-e0=01ab;", NULL},
		{";; x402-pass-a=1;x402-pass-b=2 ;c=3", "Cookie: c=3"},
		{"mine=x402-pass-1", "Cookie: mine=x402-pass-1"},
		{"a=1;b=2", "Cookie: a=1;b=2"},
		{"", "Cookie: "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct http_header headers[] = {
			{"Host", "h"}, {"Cookie", rows[i].value}};
		char *text = forwarded(&plain, headers, 2);

		if (rows[i].line)
			assert_line(text, rows[i].line);
		else
			assert_null(strstr(text, "Cookie"));
		free(text);
	}
}

static void test_methods_with_content_say_that_there_is_none(void **state)
{
	static const struct {
		const char *method;
		uint64_t length;
		bool chunked;
		bool says;
	} rows[] = {{"POST", 0, false, true}, {"PUT", 0, false, true},
		{"PATCH", 0, false, true}, {"GET", 0, false, false},
		{"DELETE", 0, false, false}, {"POST", 5, false, false},
		{"POST", 0, true, false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct http_header headers[] = {{"Host", "h"}};
		const struct http_request request = {.method = rows[i].method,
			.target = "/",
			.path = "/",
			.headers = headers,
			.headers_len = 1,
			.chunked = rows[i].chunked,
			.content_length = rows[i].length};
		struct gw_forward forward = plain;
		struct x402_buf text = {0};
		char *lines;

		forward.request = &request;
		assert_true(gw_headers_to_origin(&forward, take, &text));
		lines = x402_buf_take_str(&text);
		assert_int_equal(strstr(lines, "\nContent-Length: 0\n") != NULL,
			rows[i].says);
		free(lines);
	}
}

static void test_what_must_not_cross_does_not(void **state)
{
	static const char *const names[] = {"Connection", "connection",
		"Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "TE",
		"Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings",
		"Content-Length", "Expect", "Forwarded", "X-Forwarded-Port",
		"X-Forwarded-Prefix", "X-Client-IP", "True-Client-IP",
		"CF-Connecting-IP", "X-Original-URL", "x-rewrite-url",
		"X-HTTP-Method-Override", "x-http-method", "X-Method-Override",
		"X-Forwarded-Uri", "x-forwarded-method", "X-Original-Method",
		"X-Forwarded-Client-Cert", "X-Rewrite-Path", "X-Override-URL",
		"x-envoy-original-path", "X-Invoke-Path", "X-Matched-Path",
		"PAYMENT-SIGNATURE", "X-PAYMENT", "x-payment",
		"x-payment-proof", "SIGN-IN-WITH-X", "X402-Pass", "X402-Payer",
		"X_Forwarded_For", "X_Payment", "PAYMENT_SIGNATURE",
		"X.Forwarded.For", "X!", ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct http_header headers[] = {
			{"Host", "h"}, {names[i], "smuggled"}};
		char *text = forwarded(&plain, headers, 2);

		if (strstr(text, "smuggled")) {
			print_error("%s crossed:%s", names[i], text);
			fail();
		}
		free(text);
	}
}

static void test_connection_names_what_stays(void **state)
{
	static const struct http_header headers[] = {{"Host", "h"},
		{"Connection", "close, X-Secret"}, {"connection", "X-Two"},
		{"X-Secret", "1"}, {"x-two", "2"}, {"X-Three", "3"}};
	char *text = forwarded(&plain, headers, ARRAY_LEN(headers));

	(void)state;
	assert_null(strstr(text, "X-Secret"));
	assert_null(strstr(text, "x-two"));
	assert_line(text, "X-Three: 3");
	free(text);
}

/* Attack 35: named by Connection, a payment stays what the gate saw. */
static void test_payment_crosses_only_when_asked(void **state)
{
	static const struct http_header headers[] = {{"Host", "h"},
		{"Connection", "PAYMENT-SIGNATURE"},
		{"PAYMENT-SIGNATURE", "abc"}};
	struct gw_forward forward = plain;
	char *text = forwarded(&forward, headers, 3);

	(void)state;
	assert_null(strstr(text, "abc"));
	free(text);
	forward.forward_payment = true;
	text = forwarded(&forward, headers, 3);
	assert_line(text, "PAYMENT-SIGNATURE: abc");
	free(text);
}

static const struct http_header spoofed[] = {{"Host", "shop.example"},
	{"X-Forwarded-For", "203.0.113.9"}, {"X-Forwarded-Proto", "https"},
	{"X-Forwarded-Host", "evil.example"}, {"X-Real-IP", "203.0.113.9"}};

static void test_stranger_says_nothing_about_itself(void **state)
{
	char *text = forwarded(&plain, spoofed, ARRAY_LEN(spoofed));

	(void)state;
	assert_line(text, "X-Forwarded-For: 192.0.2.7");
	assert_line(text, "X-Forwarded-Proto: http");
	assert_line(text, "X-Forwarded-Host: shop.example");
	assert_null(strstr(text, "203.0.113.9"));
	assert_null(strstr(text, "evil"));
	free(text);
}

static void test_proxy_of_ours_says_who_the_client_is(void **state)
{
	struct gw_forward forward = plain;
	char *text;

	(void)state;
	forward.peer_trusted = true;
	forward.client = "203.0.113.9";
	text = forwarded(&forward, spoofed, ARRAY_LEN(spoofed));
	assert_line(text, "X-Forwarded-For: 203.0.113.9, 192.0.2.7");
	assert_line(text, "X-Forwarded-Proto: https");
	assert_line(text, "X-Forwarded-Host: evil.example");
	assert_line(text, "X-Real-IP: 203.0.113.9");
	free(text);
	/* The operator's word goes before the proxy's. */
	forward.public_origin = "https://shop.example";
	text = forwarded(&forward, spoofed, ARRAY_LEN(spoofed));
	assert_line(text, "X-Forwarded-Host: shop.example");
	free(text);
}

static void test_own_headers_replace_the_clients(void **state)
{
	static const struct http_header headers[] = {{"Host", "h"},
		{"x-api-key", "guessed"}, {"Authorization", "Bearer guessed"},
		{"X-Api-Key-Id", "mine"}};
	static char line[] = "X-Api-Key:  s3cret";
	char *own[] = {line};
	struct gw_forward forward = plain;
	char *text;

	(void)state;
	forward.own = own;
	forward.own_len = 1;
	forward.authorization = "Bearer token";
	text = forwarded(&forward, headers, ARRAY_LEN(headers));
	assert_line(text, "X-Api-Key: s3cret");
	assert_line(text, "Authorization: Bearer token");
	assert_line(text, "X-Api-Key-Id: mine");
	assert_null(strstr(text, "guessed"));
	free(text);
}

static bool refuse(void *user, const char *name, const char *value)
{
	size_t *left = user;

	(void)name;
	(void)value;
	return (*left)-- > 0;
}

static void test_refusal_ends_the_walk(void **state)
{
	const struct http_request request = {.method = "GET",

		.headers = spoofed,
		.headers_len = ARRAY_LEN(spoofed)};
	struct gw_forward forward = plain;

	(void)state;
	forward.request = &request;
	for (size_t n = 0; n < 6; n++) {
		size_t left = n;

		assert_false(gw_headers_to_origin(&forward, refuse, &left));
	}
}

static void test_answers_lose_what_is_not_theirs(void **state)
{
	static const char *const dropped[] = {"Connection", "keep-alive",
		"Transfer-Encoding", "Content-Length", "Trailer", "Upgrade",
		"Proxy-Authenticate", "PAYMENT-REQUIRED", "payment-response",
		"X-PAYMENT-RESPONSE", "Settlement-Overrides",
		"EXTENSION-RESPONSES", "X402-Pass", "X402-Payer", "X-Hop", ""};
	static const char *const kept[] = {"Content-Type", "Set-Cookie",
		"Cache-Control", "Vary", "ETag", "Location", "Server",
		"Content-Range", "X-Hopeless"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		assert_false(gw_header_to_client(dropped[i], "close, x-hop,"));
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		assert_true(gw_header_to_client(kept[i], "close, x-hop,"));
	assert_true(gw_header_to_client("X-Hop", NULL));
}

static void test_upgrade_needs_both_headers(void **state)
{
	static const struct {
		struct http_header headers[3];
		bool wants;
	} cases[] = {
		{{{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}, true},
		{{{"connection", "keep-alive, upgrade"},
			 {"upgrade", "h2c, WebSocket"}},
			true},
		{{{"Connection", "Upgrade"}, {"Upgrade", "h2c"}}, false},
		{{{"Connection", "close"}, {"Upgrade", "websocket"}}, false},
		{{{"Connection", "Upgrade"}, {"X", "websocket"}}, false},
		{{{"Connection", "Upgraded"}, {"Upgrade", "websocket"}}, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct http_request request = {
			.headers = cases[i].headers, .headers_len = 2};

		assert_int_equal(gw_wants_upgrade(&request, "websocket"),
			cases[i].wants);
	}
}

static void test_location_of_the_origin_becomes_public(void **state)
{
	static const struct {
		const char *location;
		const char *expected;
	} cases[] = {
		{"http://127.0.0.1:9000/a?b", "https://shop.example/a?b"},
		{"http://127.0.0.1:9000", "https://shop.example"},
		{"HTTP://127.0.0.1:9000#x", "https://shop.example#x"},
		{"http://127.0.0.1:90001/a", NULL},
		{"http://127.0.0.1:9000@evil/", NULL},
		{"http://other/a", NULL},
		{"/relative", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *text = gw_location(cases[i].location,
			"http://127.0.0.1:9000/", "https://shop.example");

		if (cases[i].expected)
			assert_string_equal(text, cases[i].expected);
		else
			assert_null(text);
		free(text);
	}
	assert_null(gw_location("http://a/", "http://a", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_headers_cross),
		cmocka_unit_test(test_passes_stay_with_the_gate),
		cmocka_unit_test(
			test_methods_with_content_say_that_there_is_none),
		cmocka_unit_test(test_what_must_not_cross_does_not),
		cmocka_unit_test(test_connection_names_what_stays),
		cmocka_unit_test(test_payment_crosses_only_when_asked),
		cmocka_unit_test(test_stranger_says_nothing_about_itself),
		cmocka_unit_test(test_proxy_of_ours_says_who_the_client_is),
		cmocka_unit_test(test_own_headers_replace_the_clients),
		cmocka_unit_test(test_refusal_ends_the_walk),
		cmocka_unit_test(test_answers_lose_what_is_not_theirs),
		cmocka_unit_test(test_upgrade_needs_both_headers),
		cmocka_unit_test(test_location_of_the_origin_becomes_public),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
