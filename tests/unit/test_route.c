/*
 * Paths and patterns of the provider: the alias matrix of demands.md 33. A way
 * of writing a priced path must be gated by its route or refused; "free" for
 * any of them would be an open door.
 */
#include "cmocka_house.h"

#include "route_p.h"

static enum x402_err read_text(const char *target, struct x402__path *ret)
{
	return x402__path_read(x402_span_str(target), ret);
}

static void assert_strict(const char *target, const char *expected)
{
	struct x402__path path;

	assert_int_equal(read_text(target, &path), X402_OK);
	assert_string_equal(path.strict, expected);
	x402__path_clear(&path);
}

static bool is_other(void *user, const char *reading)
{
	return strcmp(user, reading) != 0;
}

/* One of the readings is that. */
static void assert_loose(const char *target, const char *expected)
{
	struct x402__path path;

	assert_int_equal(read_text(target, &path), X402_OK);
	if (x402__path_readings_agree(
		    &path, is_other, (void *)(uintptr_t)expected))
		fail_msg("%s: nobody reads %s", target, expected);
	x402__path_clear(&path);
}

static bool pattern_matches(const char *pattern_text, const char *path)
{
	struct x402__pattern pattern;
	bool matches;

	assert_int_equal(
		x402__pattern_compile(pattern_text, NULL, &pattern), X402_OK);
	matches = x402__pattern_matches(&pattern, path);
	x402__pattern_clear(&pattern);
	return matches;
}

struct same {
	const struct x402__pattern *pattern;
	bool matches;
};

static bool matches_alike(void *user, const char *reading)
{
	const struct same *same = user;

	return x402__pattern_matches(same->pattern, reading) == same->matches;
}

/* What the gate does with a target when only "/paid/a" costs money. */
enum fate { GATED, BAD_REQUEST, FREE };

static enum fate fate_of(const char *target, size_t len)
{
	struct x402__path path;
	struct x402__pattern pattern;
	struct same same = {.pattern = &pattern};
	enum fate fate = FREE;

	if (x402__path_read(x402_span(target, len), &path) != X402_OK)
		return BAD_REQUEST;
	assert_int_equal(
		x402__pattern_compile("GET /paid/a", NULL, &pattern), X402_OK);
	same.matches = x402__pattern_matches(&pattern, path.strict);
	if (!x402__path_readings_agree(&path, matches_alike, &same))
		fate = BAD_REQUEST;
	else if (same.matches)
		fate = GATED;
	x402__pattern_clear(&pattern);
	x402__path_clear(&path);
	return fate;
}

static void test_route_alias_of_priced_path_is_never_free(void **state)
{
	static const struct {
		const char *target;
		enum fate fate;
	} rows[] = {
		{"/paid/a", GATED},
		{"/paid/a?x=1", GATED},
		{"/paid/a?", GATED},
		{"/paid/a#f", GATED},
		{"/paid/a?x#/y", GATED},
		{"//paid/a", GATED},
		{"/paid//a", GATED},
		{"///paid///a///", GATED},
		{"/paid/a/", GATED},
		{"/./paid/a", GATED},
		{"/paid/./a", GATED},
		{"/paid/a/.", GATED},
		{"/x/../paid/a", GATED},
		{"/../../paid/a", GATED},
		{"/paid/b/../a", GATED},
		{"/paid/a/b/..", GATED},
		{"/%2e/paid/a", GATED},
		{"/x/%2e%2e/paid/a", GATED},
		{"/x/.%2E/paid/a", GATED},
		{"/PAID/A", GATED},
		{"/Paid/a", GATED},
		{"/p%61id/%61", GATED},
		{"/%70%61%69%64/a", GATED},
		{"http://other.example/paid/a", GATED},
		{"HTTP://other.example/paid/a?q", GATED},
		{"https://u:p@h:1/paid/a", GATED},
		{"/paid%2fa", BAD_REQUEST},
		{"/paid%2Fa", BAD_REQUEST},
		{"/%2fpaid/a", BAD_REQUEST},
		{"/x%2f..%2fpaid/a", BAD_REQUEST},
		{"/x/..%2fpaid/a", BAD_REQUEST},
		{"/paid\\a", BAD_REQUEST},
		{"\\paid\\a", BAD_REQUEST},
		{"/paid%5ca", BAD_REQUEST},
		{"/x\\..\\paid\\a", BAD_REQUEST},
		{"/paid/a;v=1", BAD_REQUEST},
		{"/paid;v=1/a", BAD_REQUEST},
		{"/paid/a%3bv=1", BAD_REQUEST},
		{"/x/..;/paid/a", BAD_REQUEST},
		{"/%2570aid/a", BAD_REQUEST},
		{"/paid/%2561", BAD_REQUEST},
		{"/paid%252fa", BAD_REQUEST},
		{"/%252e%252e/paid/a", BAD_REQUEST},
		{"/%25252570aid/a", BAD_REQUEST},
		{"/paid/a%0a", BAD_REQUEST},
		{"/paid/a%0d%0a", BAD_REQUEST},
		{"/%0apaid/a", BAD_REQUEST},
		{"/paid/a%20", BAD_REQUEST},
		{"/paid/a%09", BAD_REQUEST},
		{"/paid/a%7f", BAD_REQUEST},
		{"/paid/a%3f", BAD_REQUEST},
		{"/paid/a%23", BAD_REQUEST},
		{"/paid/a%00", BAD_REQUEST},
		{"/paid/a%00.html", BAD_REQUEST},
		{"/paid/a%2500", BAD_REQUEST},
		{"/paid%c0%afa", BAD_REQUEST},
		{"/paid%e0%80%afa", BAD_REQUEST},
		{"/paid/a%", BAD_REQUEST},
		{"/paid/%6", BAD_REQUEST},
		{"/paid/%zz", BAD_REQUEST},
		{"paid/a", BAD_REQUEST},
		{"?/paid/a", BAD_REQUEST},
		{"ftp://h/paid/a", BAD_REQUEST},
		{"http://h\\paid/a", BAD_REQUEST},
		{"http:/paid/a", BAD_REQUEST},
		{"*", BAD_REQUEST},
		{"h:443", BAD_REQUEST},
		{"", BAD_REQUEST},
		{" /paid/a", BAD_REQUEST},
		{"/paid/a ", BAD_REQUEST},
		{"/paid/a\n", BAD_REQUEST},
		{"/paid/a\t", BAD_REQUEST},
		{"/paid/\xc3\xa9", BAD_REQUEST},
		/* and what is another page stays one */
		{"/", FREE},
		{"/paid", FREE},
		{"/paid/ab", FREE},
		{"/paid/a/b", FREE},
		{"/free?next=/paid/a", FREE},
		{"/x/paid/a", FREE},
		{"/paid/%C3%A9", FREE},
		{"http://h", FREE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum fate fate = fate_of(
			rows[i].target, strlen(rows[i].target));

		if (fate != rows[i].fate)
			fail_msg("%s: expected %d, got %d", rows[i].target,
				rows[i].fate, fate);
	}
	assert_int_equal(fate_of("/paid/a\0", 8), BAD_REQUEST);
	assert_int_equal(fate_of("/paid\0/a", 8), BAD_REQUEST);
}

static void test_path_read_normalises_as_the_reference(void **state)
{
	(void)state;
	assert_strict("/", "/");
	assert_strict("//", "/");
	assert_strict("/a/b/", "/a/b");
	assert_strict("/a%20b", "/a b");
	assert_strict("/a%2Fb", "/a%2Fb");
	assert_strict("/a%2fb", "/a%2Fb");
	assert_strict("/a%5cb", "/a%5Cb");
	assert_strict("/a\\b", "/a%5Cb");
	assert_strict("/a%25b", "/a%b");
	assert_strict("/..", "/");
	assert_strict("/a/../..//b/.", "/b");
	assert_strict("/a?b/../c", "/a");
	assert_strict("/...", "/...");
	assert_strict("/..a/.b", "/..a/.b");
	assert_strict("http://h", "/");
}

static void test_path_read_loosely_is_as_forgiving_as_any(void **state)
{
	(void)state;
	assert_loose("/a%2Fb", "/a/b");
	assert_loose("/a\\b%5Cc", "/a/b/c");
	assert_loose("/a;x=/b;y", "/a/b");
	assert_loose("/a%25252fb", "/a/b");
	assert_loose("/a%2f%2e%2e%2fb", "/b");
	assert_loose("/a%20b%0a", "/ab");
	assert_loose("/a%3Fb", "/a");
	assert_loose("/%5c..%5c..%5c", "/");
	/* An escape that only appears after decoding may be broken. */
	assert_loose("/a%25zz", "/a%zz");
}

/* Is there a reading that is not under /free? */
static bool under_free(void *user, const char *reading)
{
	(void)user;
	return strncmp(reading, "/free", 5) == 0 &&
		(!reading[5] || reading[5] == '/');
}

static void test_path_readings_of_every_round_must_agree(void **state)
{
	static const struct {
		const char *target;
		bool agree;
	} rows[] = {
		{"/free/x", true},
		{"/free/a%20b/c%23-d;e=1?q=/../..", true},
		{"/free/100%25", true},
		{"/free", true},
		{"/free/..%2fpaid", false},
		{"/free/..;/paid", false},
		{"/free/%252e%252e/paid", false},
		{"/free/..%5cpaid", false},
		/* Ends at '#' or '?' for one, goes on for another. */
		{"/free/x/..;%23/..;%23/paid", false},
		{"/free/%3f/..;/..;/paid", false},
		{"/free/%23/..%2f..%2fpaid", false},
		{"/free/a%253f/..;/..;/paid", false},
		/* The last round undoes what the one before has read. */
		{"/free/..%252fpaid/x%252f%25252e%25252e%252f%25252e%25252e"
		 "%252ffree/y",
			false},
		{"/free/..%252fpaid%25253b/x%25252f..%25252f..%25252ffree",
			false},
		{"/free/a%2500", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct x402__path path;
		enum x402_err err = read_text(rows[i].target, &path);
		bool agree = err == X402_OK && under_free(NULL, path.strict) &&
			x402__path_readings_agree(&path, under_free, NULL);

		if (agree != rows[i].agree)
			fail_msg("%s", rows[i].target);
		if (err == X402_OK)
			x402__path_clear(&path);
	}
}

static void test_path_read_keeps_query_and_raw(void **state)
{
	struct x402__path path;

	(void)state;
	assert_int_equal(read_text("http://h/a%2f?x=1&y#z", &path), X402_OK);
	assert_int_equal(path.query_len, 5);
	assert_memory_equal(path.query, "x=1&y", 5);
	assert_int_equal(path.raw_len, 11);
	assert_memory_equal(path.raw, "/a%2f?x=1&y", 11);
	x402__path_clear(&path);
}

static void test_path_read_longest_target(void **state)
{
	static char target[X402__TARGET_MAX + 1];
	struct x402__path path;

	(void)state;
	memset(target, '\\', sizeof(target));
	target[0] = '/';
	assert_int_equal(
		x402__path_read(x402_span(target, X402__TARGET_MAX), &path),
		X402_OK);
	assert_int_equal(strlen(path.strict), 1 + 3 * (X402__TARGET_MAX - 1));
	assert_false(x402__path_readings_agree(
		&path, is_other, (void *)(uintptr_t) "/"));
	x402__path_clear(&path);
	assert_int_equal(
		x402__path_read(x402_span(target, sizeof(target)), &path),
		X402_ERR_TOO_LARGE);
}

static void test_pattern_matches_as_the_reference(void **state)
{
	static const struct {
		const char *pattern;
		const char *path;
		bool matches;
	} rows[] = {
		{"/a", "/a", true},
		{"/a", "/A", true},
		{"/A", "/a", true},
		{"/a", "/ab", false},
		{"/a", "/", false},
		{"/", "/", true},
		{"/[id]", "/x", true},
		{"/[id]", "/", false},
		{"/[id]", "/x/y", false},
		{"/[id]", "/x%2Fy", true},
		{"/[id]", "/x\ny", true},
		{"/:id", "/x", true},
		{"/:id/b", "/x/b", true},
		{"/:id/b", "/x/c", false},
		{"/a/[x]/b/[y]", "/a/1/b/2", true},
		{"/a/[x]/b/[y]", "/a/1/b", false},
		{"/v[n].json", "/v12.json", true},
		{"/v[n].json", "/v.json", false},
		{"/a:b", "/a:b", true},
		{"/a/*", "/a", true},
		{"/a/*", "/a/b", true},
		{"/a/*", "/a/b/c", true},
		{"/a/*", "/a/\n", true},
		{"/a/*", "/ab", false},
		{"/a*", "/ab", true},
		{"/a*", "/a", true},
		{"/*", "/", true},
		{"/*", "/x/y", true},
		{"/*/b", "/a/x/b", true},
		{"/*/b", "/b", false},
		{"/*.pdf", "/a/b.PDF", true},
		{"/*.pdf", "/a.pdf.html", false},
		{"/a**b", "/aXb", true},
		{"/[a]*", "/x", true},
		{"/[a]*", "/x/y", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (pattern_matches(rows[i].pattern, rows[i].path) !=
			rows[i].matches)
			fail_msg("%s on %s: expected %d", rows[i].pattern,
				rows[i].path, rows[i].matches);
}

static void test_pattern_many_stars_stay_cheap(void **state)
{
	char pattern[X402__PATTERN_MAX + 1];
	static char path[3 * X402__TARGET_MAX];

	(void)state;
	/* Backtracking would need longer than the sun has. */
	for (size_t i = 0; i + 2 < sizeof(pattern); i += 2)
		memcpy(pattern + i, "a*", 3);
	pattern[0] = '/';
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 2] = 'b';
	assert_true(pattern_matches(pattern, path));
	pattern[strlen(pattern) - 1] = 'c';
	assert_false(pattern_matches(pattern, path));
}

static void test_pattern_compile_refuses_what_never_matches(void **state)
{
	static const char *const bad[] = {"", "a", "GET", "GET ", "get /a",
		"GET  /a", "/a/", "//a", "/a/../b", "/./a", "/a?b", "/a#b",
		"/a b", "/a\\b", "/a;b", "/a%61", "/a%2f", "/[", "/[]", "/[a",
		"/[a b]", "/:", "/:/a", "/a\tb", "GET /a HTTP/1.1"};
	struct x402__pattern pattern;
	struct x402_errinfo info;
	char text[X402__PATTERN_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (x402__pattern_compile(bad[i], &info, &pattern) !=
			X402_ERR_SYNTAX)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(
		x402__pattern_compile(NULL, &info, &pattern), X402_ERR_SYNTAX);
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(x402__pattern_compile(text, &info, &pattern),
		X402_ERR_TOO_LARGE);
}

static void test_pattern_method_counts(void **state)
{
	struct x402__pattern get;
	struct x402__pattern any;

	(void)state;
	assert_int_equal(x402__pattern_compile("GET /a", NULL, &get), X402_OK);
	assert_int_equal(x402__pattern_compile("/a", NULL, &any), X402_OK);
	assert_true(x402__pattern_method_matches(&get, "GET"));
	assert_true(x402__pattern_method_matches(&get, "HEAD"));
	assert_false(x402__pattern_method_matches(&get, "POST"));
	assert_false(x402__pattern_method_matches(&get, "get"));
	assert_false(x402__pattern_method_matches(&get, ""));
	assert_true(x402__pattern_method_matches(&any, "BREW"));
	x402__pattern_clear(&get);
	x402__pattern_clear(&any);
}

static void assert_param(const char *pattern_text, const char *path,
	const char *name, const char *expected)
{
	struct x402__pattern pattern;
	struct x402_span value;
	bool found;

	assert_int_equal(
		x402__pattern_compile(pattern_text, NULL, &pattern), X402_OK);
	found = x402__pattern_param(&pattern, path, name, &value);
	assert_int_equal(found, expected != NULL);
	if (expected) {
		assert_int_equal(value.len, strlen(expected));
		assert_memory_equal(value.ptr, expected, value.len);
	}
	x402__pattern_clear(&pattern);
}

static void test_pattern_param_gives_the_segment(void **state)
{
	(void)state;
	assert_param("/a/[id]", "/a/x", "id", "x");
	assert_param("/a/:id/b", "/a/x/b", "id", "x");
	assert_param("/[a]/[b]", "/1/2", "b", "2");
	assert_param("/a/[id]", "/a/x%2Fy", "id", "x%2Fy");
	assert_param("/a/[id]", "/a/x", "i", NULL);
	assert_param("/a/[id]", "/a/x", "idx", NULL);
	assert_param("/a/[id]", "/a", "id", NULL);
	assert_param("/*/[id]", "/a/x", "id", NULL);
	assert_param("/v[id]", "/vx", "id", NULL);
	assert_param("/a", "/a", "a", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route_alias_of_priced_path_is_never_free),
		cmocka_unit_test(test_path_read_normalises_as_the_reference),
		cmocka_unit_test(test_path_read_loosely_is_as_forgiving_as_any),
		cmocka_unit_test(test_path_readings_of_every_round_must_agree),
		cmocka_unit_test(test_path_read_keeps_query_and_raw),
		cmocka_unit_test(test_path_read_longest_target),
		cmocka_unit_test(test_pattern_matches_as_the_reference),
		cmocka_unit_test(test_pattern_many_stars_stay_cheap),
		cmocka_unit_test(
			test_pattern_compile_refuses_what_never_matches),
		cmocka_unit_test(test_pattern_method_counts),
		cmocka_unit_test(test_pattern_param_gives_the_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
