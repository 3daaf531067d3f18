/*
 * Targets for the origin: whatever spelling a client chose, the origin gets the
 * path that the gate has matched, in one spelling.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "route_p.h"
#include "target.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* What the origin is asked for when a client asks for raw; NULL: nothing. */
static char *through(const char *raw)
{
	struct x402__path path;
	char *query;
	char *target;

	if (x402__path_read(x402_span_str(raw), &path) != X402_OK)
		return NULL;
	query = strndup(path.query ? path.query : "", path.query_len);
	target = gw_target(path.strict, raw, query);
	free(query);
	x402__path_clear(&path);
	return target;
}

static const struct {
	const char *raw;
	const char *target;
} cases[] = {
	{"/", "/"},
	{"/a/b", "/a/b"},
	{"/a?b=c&d", "/a?b=c&d"},
	{"/a?b?c=%2F", "/a?b?c=%2F"},
	{"/a?", "/a"},
	{"/a/", "/a/"},
	{"/a/?x", "/a/?x"},
	{"/a/.", "/a/"},
	{"/a/b/..", "/a/"},
	{"/a/b/%2e%2E", "/a/"},
	{"/a/%2e", "/a/"},
	{"/a/...", "/a/..."},
	{"/a/.b", "/a/.b"},
	{"//a//b", "/a/b"},
	{"/./a/../b", "/b"},
	{"/../../a", "/a"},
	{"/%61", "/a"},
	{"/a%20b", "/a%20b"},
	{"/a%3Fb", "/a%3Fb"},
	{"/a%23b", "/a%23b"},
	{"/a%25b", "/a%25b"},
	{"/a%2fb", "/a%2Fb"},
	{"/a%5cb", "/a%5Cb"},
	{"/a\\b", "/a%5Cb"},
	{"/a%0d%0aX:y", "/a%0D%0AX:y"},
	{"/a%22%3C%3e", "/a%22%3C%3E"},
	{"/caf%C3%A9", "/caf%C3%A9"},
	{"/a;b=c", "/a;b=c"},
	{"/a+b,c@d:e!", "/a+b,c@d:e!"},
	{"http://other.example/a/", "/a/"},
	{"http://other.example", "/"},
	{"/a#/b/", "/a"},
	{"/a%00b", NULL},
	{"/a%zz", NULL},
	{"/%c0%af", NULL},
	{"a", NULL},
	{"*", NULL},
	{"", NULL},
};

static void test_origin_gets_one_spelling(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *target = through(cases[i].raw);

		if (!target != !cases[i].target ||
			(target && strcmp(target, cases[i].target) != 0)) {
			print_error("%s: got %s, expected %s\n", cases[i].raw,
				target ? target : "nothing",
				cases[i].target ? cases[i].target : "nothing");
			fail();
		}
		free(target);
	}
}

/* A second gateway behind this one asks for the same. */
static void test_target_is_its_own_target(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *again;

		if (!cases[i].target)
			continue;
		again = through(cases[i].target);
		assert_string_equal(again, cases[i].target);
		free(again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_origin_gets_one_spelling),
		cmocka_unit_test(test_target_is_its_own_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
