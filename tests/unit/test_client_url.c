/*
 * Origins, loopback and other people's text: small judgements that payment
 * headers and terminals depend on.
 */
#include "cmocka_house.h"
#include "text_p.h"
#include "url_p.h"

static struct x402__http_url parsed(const char *text)
{
	struct x402__http_url url = {0};

	assert_int_equal(x402__http_url_parse(text, &url), X402_OK);
	return url;
}

static bool same_origin(const char *left, const char *right)
{
	struct x402__http_url a = parsed(left);
	struct x402__http_url b = parsed(right);
	bool same = x402__http_url_same_origin(&a, &b);

	x402__http_url_clear(&a);
	x402__http_url_clear(&b);
	return same;
}

static void test_url_same_origin_is_scheme_host_and_port(void **state)
{
	(void)state;
	assert_true(
		same_origin("https://a.example/x", "https://A.example:443/y"));
	assert_true(same_origin("http://a.example", "http://a.example:80/?q"));
	assert_true(same_origin("http://127.0.0.1/", "http://0x7f.1/"));
	assert_false(same_origin("https://a.example", "http://a.example"));
	assert_false(same_origin("https://a.example", "https://a.example:444"));
	assert_false(same_origin("https://a.example", "https://b.a.example"));
	assert_false(same_origin("https://a.example", "https://a.example."));
	assert_false(same_origin(
		"https://a.example", "https://a.example@b.example/"));
	assert_false(
		same_origin("https://a.example", "https://\xd0\xb0.example"));
}

static void test_url_upgrade_is_same_host_on_default_ports(void **state)
{
	(void)state;
	static const struct {
		const char *from;
		const char *to;
		bool upgrade;
	} cases[] = {{"http://a.example/", "https://a.example/", true},
		{"https://a.example/", "http://a.example/", false},
		{"http://a.example/", "https://b.example/", false},
		{"http://a.example:8080/", "https://a.example/", false},
		{"http://a.example/", "https://a.example:8443/", false}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402__http_url from = parsed(cases[i].from);
		struct x402__http_url to = parsed(cases[i].to);

		assert_int_equal(x402__http_url_is_upgrade(&from, &to),
			cases[i].upgrade);
		x402__http_url_clear(&from);
		x402__http_url_clear(&to);
	}
}

static void test_url_loopback_is_judged_by_address(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		bool loopback;
	} cases[] = {{"http://127.0.0.1/", true}, {"http://127.9.9.9/", true},
		{"http://2130706433/", true}, {"http://[::1]:8080/", true},
		{"http://localhost/", true}, {"http://LOCALHOST/", true},
		{"http://localhost.example/", false},
		{"http://127.0.0.1.example/", false},
		{"http://128.0.0.1/", false}, {"http://[::2]/", false},
		{"http://10.0.0.1/", false}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402__http_url url = parsed(cases[i].url);

		assert_int_equal(
			x402__http_url_is_loopback(&url), cases[i].loopback);
		x402__http_url_clear(&url);
	}
}

static void test_url_resolve_follows_references(void **state)
{
	(void)state;
	static const struct {
		const char *reference;
		const char *expected;
	} cases[] = {{"/b", "https://a.example/b"},
		{"c", "https://a.example/x/c"},
		{"?q", "https://a.example/x/y?q"},
		{"//b.example/z", "https://b.example/z"},
		{"http://c.example/#f", "http://c.example/"}};
	struct x402__http_url base = parsed("https://me:pass@a.example/x/y");

	assert_string_equal(base.shown, "https://a.example/x/y");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402__http_url url = {0};

		assert_int_equal(
			x402__http_url_resolve(&base, cases[i].reference, &url),
			X402_OK);
		assert_string_equal(url.shown, cases[i].expected);
		x402__http_url_clear(&url);
	}
	x402__http_url_clear(&base);
}

static void test_url_bad_ones_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "http://", "ftp://a/",
		"file:///etc/passwd", "a.example", "http://a b/",
		"http://a.example/\r\nHost: b", "https://a:99999/",
		"http://[::1"};
	struct x402__http_url url = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (x402__http_url_parse(bad[i], &url) == X402_OK)
			fail_msg("accepted: %s", bad[i]);
	assert_true(x402__http_url_parse(NULL, &url) != X402_OK);
	char *text = malloc(X402__URL_MAX_BYTES + 20);
	assert_non_null(text);
	memset(text, 'a', X402__URL_MAX_BYTES + 19);
	text[X402__URL_MAX_BYTES + 19] = '\0';
	memcpy(text, "http://a/", 9);
	assert_int_equal(x402__http_url_parse(text, &url), X402_ERR_TOO_LARGE);
	free(text);
}

static void test_text_control_characters_are_replaced(void **state)
{
	(void)state;
	char out[16];

	x402__text_take(out, sizeof(out), "a\x1b[2J\x7f\n");
	assert_string_equal(out, "a?[2J??");
	x402__text_take(out, sizeof(out),
		"a\xc2\x9b"
		"b");
	assert_string_equal(out, "a?b");
	x402__text_take(out, sizeof(out), NULL);
	assert_string_equal(out, "");
}

static void test_text_cut_leaves_whole_characters(void **state)
{
	(void)state;
	char out[5];

	x402__text_take(out, sizeof(out), "abc\xe2\x82\xac");
	assert_string_equal(out, "abc");
	x402__text_take(out, sizeof(out), "abcdef");
	assert_string_equal(out, "abcd");
}

static void test_text_ids_are_whole_or_nothing(void **state)
{
	(void)state;
	char out[5];

	x402__text_take_id(out, sizeof(out), "abcd");
	assert_string_equal(out, "abcd");
	x402__text_take_id(out, sizeof(out), "abcde");
	assert_string_equal(out, "");
	x402__text_take_id(out, sizeof(out), "a b");
	assert_string_equal(out, "");
	x402__text_take_id(out, sizeof(out), "a\x1b");
	assert_string_equal(out, "");
	x402__text_take_id(out, sizeof(out), NULL);
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url_same_origin_is_scheme_host_and_port),
		cmocka_unit_test(
			test_url_upgrade_is_same_host_on_default_ports),
		cmocka_unit_test(test_url_loopback_is_judged_by_address),
		cmocka_unit_test(test_url_resolve_follows_references),
		cmocka_unit_test(test_url_bad_ones_are_refused),
		cmocka_unit_test(test_text_control_characters_are_replaced),
		cmocka_unit_test(test_text_cut_leaves_whole_characters),
		cmocka_unit_test(test_text_ids_are_whole_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
