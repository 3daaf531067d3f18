/*
 * Header blocks of an origin's word on an upgrade: what is one, and what is
 * not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "head.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define OK           "HTTP/1.1 101 Switching Protocols\r\n"

static void test_head_gives_status_and_headers(void **state)
{
	char text[] = OK
		"Upgrade: websocket\r\nX-Empty:\r\nx-two: \t a  b\t \r\n"
		"Colon: a:b\r\n";
	struct gw_head head;

	(void)state;
	assert_true(gw_head_read(text, sizeof(text) - 1, &head));
	assert_int_equal(head.status, 101);
	assert_int_equal(head.headers_len, 4);
	assert_string_equal(head.headers[0].name, "Upgrade");
	assert_string_equal(head.headers[0].value, "websocket");
	assert_string_equal(head.headers[1].value, "");
	assert_string_equal(head.headers[2].name, "x-two");
	assert_string_equal(head.headers[2].value, "a  b");
	assert_string_equal(head.headers[3].value, "a:b");
}

static const struct {
	const char *text;
	unsigned status; /* 0: refused */
} cases[] = {
	{OK, 101},
	{"HTTP/1.1 403 \r\n", 403},
	{"HTTP/1.1 200\r\n", 200},
	{"HTTP/1.1 999 x\r\nA: b\r\n", 999},
	{"", 0},
	{"\r\n", 0},
	{"HTTP/1.1 101", 0},
	{"HTTP/1.0 101 x\r\n", 0},
	{"HTTP/2 101 x\r\n", 0},
	{"HTTP/1.1 10 x\r\n", 0},
	{"HTTP/1.1 1011\r\n", 0},
	{"HTTP/1.1 1a1 x\r\n", 0},
	{"HTTP/1.1 099 x\r\n", 0},
	{"HTTP/1.1  101 x\r\n", 0},
	{"SMTP ready\r\n", 0},
	{OK "no colon\r\n", 0},
	{OK ": no name\r\n", 0},
	{OK " folded: a\r\n", 0},
	{OK "A: b\r\n c: d\r\n", 0},
	{OK "A : b\r\n", 0},
	{OK "A\nB: c\r\n", 0},
	{OK "A: b\rC: d\r\n", 0},
	{OK "A: b\nC: d\r\n", 0},
	{OK "\r\n", 0},
	{OK "A: b", 0},
};

static void test_every_case_has_its_outcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *text = strdup(cases[i].text);
		struct gw_head head;
		bool good = gw_head_read(text, strlen(text), &head);

		if (good != (cases[i].status != 0) ||
			(good && head.status != cases[i].status)) {
			print_error("%s\n", cases[i].text);
			fail();
		}
		free(text);
	}
}

static void test_nul_is_refused(void **state)
{
	char text[] = OK "A: b\0c\r\n";
	struct gw_head head;

	(void)state;
	assert_false(gw_head_read(text, sizeof(text) - 1, &head));
}

static void test_headers_are_counted(void **state)
{
	char text[4096] = OK;
	struct gw_head head;

	(void)state;
	for (int i = 0; i < GW_HEAD_HEADERS_MAX; i++)
		strncat(text, "A: b\r\n", sizeof(text) - strlen(text) - 1);
	{
		char *copy = strdup(text);

		assert_true(gw_head_read(copy, strlen(copy), &head));
		assert_int_equal(head.headers_len, GW_HEAD_HEADERS_MAX);
		free(copy);
	}
	strncat(text, "A: b\r\n", sizeof(text) - strlen(text) - 1);
	assert_false(gw_head_read(text, strlen(text), &head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head_gives_status_and_headers),
		cmocka_unit_test(test_every_case_has_its_outcome),
		cmocka_unit_test(test_nul_is_refused),
		cmocka_unit_test(test_headers_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
