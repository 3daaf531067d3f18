/*
 * The crawler's reading of robots.txt, after RFC 9309.
 */
#include "../../examples/crawler/robots.h"
#include "cmocka_house.h"

static bool allows(const char *text, const char *path)
{
	struct robots robots;
	bool allowed;

	assert_true(robots_parse(text, strlen(text), "x402-crawler", &robots));
	allowed = robots_allows(&robots, path);
	robots_clear(&robots);
	return allowed;
}

static void test_robots_own_group_wins_over_star(void **state)
{
	(void)state;
	const char *text = "User-agent: *\nDisallow: /\n\n"
			   "User-Agent: X402-Crawler\nDisallow: /private\n";

	assert_true(allows(text, "/open"));
	assert_false(allows(text, "/private/a"));
}

static void test_robots_star_group_binds_everybody_else(void **state)
{
	(void)state;
	const char *text = "User-agent: other\nDisallow: /\n"
			   "User-agent: *\nDisallow: /a # not this\r\n";

	assert_false(allows(text, "/a/b"));
	assert_true(allows(text, "/b"));
}

static void test_robots_several_names_share_a_group(void **state)
{
	(void)state;
	const char *text = "User-agent: x402-crawler\nUser-agent: other\n"
			   "Disallow: /x\n"
			   "User-agent: third\nDisallow: /y\n";

	assert_false(allows(text, "/x"));
	assert_true(allows(text, "/y"));
}

static void test_robots_longest_rule_wins(void **state)
{
	(void)state;
	const char *text = "User-agent: *\nDisallow: /a\nAllow: /a/b\n"
			   "Disallow: /a/b/c\nAllow: /t\nDisallow: /t\n";

	assert_false(allows(text, "/a/x"));
	assert_true(allows(text, "/a/b/x"));
	assert_false(allows(text, "/a/b/c"));
	assert_true(allows(text, "/t"));
}

static void test_robots_wildcards_match(void **state)
{
	(void)state;
	const char *text = "User-agent: *\nDisallow: /*.pdf$\n"
			   "Disallow: /q?*id=\n";

	assert_false(allows(text, "/a/b.pdf"));
	assert_true(allows(text, "/a/b.pdf?x"));
	assert_false(allows(text, "/q?x&id=3"));
	assert_true(allows(text, "/q?x"));
}

static void test_robots_nothing_forbids_nothing(void **state)
{
	(void)state;
	assert_true(allows("", "/"));
	assert_true(allows("User-agent: *\nDisallow:\n", "/x"));
	assert_true(allows("Disallow: /\n", "/x"));
	assert_true(allows(":::\n#\n\r\nUser-agent", "/x"));
}

static void test_robots_unread_forbids_all(void **state)
{
	(void)state;
	struct robots robots = {.forbidden = true};

	assert_false(robots_allows(&robots, "/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_robots_own_group_wins_over_star),
		cmocka_unit_test(test_robots_star_group_binds_everybody_else),
		cmocka_unit_test(test_robots_several_names_share_a_group),
		cmocka_unit_test(test_robots_longest_rule_wins),
		cmocka_unit_test(test_robots_wildcards_match),
		cmocka_unit_test(test_robots_nothing_forbids_nothing),
		cmocka_unit_test(test_robots_unread_forbids_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
