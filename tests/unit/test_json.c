/*
 * The strict reader, its caps, and the value tree: what a lax reader would
 * let pass is refused, what is unknown survives.
 */
#include <stdio.h>

#include "cmocka_house.h"
#include "x402/json.h"

static struct x402_json *parsed(const char *text)
{
	struct x402_json *json = NULL;

	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	return json;
}

static void assert_dump(const struct x402_json *json, const char *expected)
{
	char *text = x402_json_dump(json);

	assert_string_equal(text, expected);
	free(text);
}

static void test_parse_keeps_order_and_unknown(void **state)
{
	static const char text[] = "{\"z\":1,\"a\":[true,null,\"\xc3\xa9\"],"
				   "\"m\":{\"k\":-5}}";
	struct x402_json *json = parsed(text);

	(void)state;
	assert_dump(json, text);
	x402_json_unref(json);
}

static void test_parse_takes_any_value(void **state)
{
	static const struct {
		const char *text;
		enum x402_json_type type;
	} cases[] = {{"null", X402_JSON_NULL}, {"true", X402_JSON_BOOL},
		{"-7", X402_JSON_INTEGER}, {"0.5", X402_JSON_REAL},
		{"\"x\"", X402_JSON_STRING}, {" [ ] ", X402_JSON_ARRAY},
		{"{}", X402_JSON_OBJECT}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *json = parsed(cases[i].text);

		assert_int_equal(x402_json_type(json), cases[i].type);
		x402_json_unref(json);
	}
}

static void test_parse_refuses_what_is_not_strict(void **state)
{
	static const char *const cases[] = {"", " ", "{", "}", "[1,]", "{,}",
		"{\"a\":1,}", "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":1}}",
		"{} {}", "{}x", "01", "-", "+1", "1.", ".5", "1e", "0x10",
		"NaN", "Infinity", "'a'", "{a:1}", "\"\\u0000\"",
		"\"a\\u0000b\"", "{\"\\u0000\":1}", "\"\x01\"", "\"\t\"",
		"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\\ud800\"",
		"\"\\udc00\"", "\"\\x\"", "\"abc", "/*c*/1", "//\n1",
		"\xef\xbb\xbf{}", "tru", "nul", "[1 2]", "{\"a\" 1}",
		"9223372036854775808", "-9223372036854775809",
		"99999999999999999999999999", "1e999", "[\"\\ud83d\"]"};
	struct x402_errinfo info;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *json = NULL;

		info.text[0] = '\0';
		assert_int_equal(x402_json_parse(x402_span_str(cases[i]), NULL,
					 &info, &json),
			X402_ERR_SYNTAX);
		assert_null(json);
		assert_true(strlen(info.text) > 0);
	}
}

static void test_parse_says_where(void **state)
{
	struct x402_errinfo info;
	struct x402_json *json = NULL;

	(void)state;
	assert_int_equal(x402_json_parse(x402_span_str("{\"a\":1,\"a\":2}"),
				 NULL, &info, &json),
		X402_ERR_SYNTAX);
	assert_non_null(strstr(info.text, "duplicate"));
	assert_int_equal(x402_json_parse(x402_span_str("9223372036854775808"),
				 NULL, &info, &json),
		X402_ERR_SYNTAX);
	assert_non_null(strstr(info.text, "too big"));
}

static void test_parse_refuses_raw_nul(void **state)
{
	struct x402_json *json = NULL;

	(void)state;
	assert_int_equal(
		x402_json_parse(x402_span("\"a\0b\"", 5), NULL, NULL, &json),
		X402_ERR_SYNTAX);
	assert_int_equal(
		x402_json_parse(x402_span("{}\0", 3), NULL, NULL, &json),
		X402_ERR_SYNTAX);
	assert_int_equal(
		x402_json_parse(x402_span("[17\0,1]", 7), NULL, NULL, &json),
		X402_ERR_SYNTAX);
	assert_int_equal(
		x402_json_parse(x402_span("[true\0]", 7), NULL, NULL, &json),
		X402_ERR_SYNTAX);
}

/* n opening brackets and as many closing ones. */
static enum x402_err parse_nested(size_t n, size_t max_depth)
{
	struct x402_json_limits limits = X402_JSON_LIMITS_INIT;
	struct x402_buf buf = {0};
	struct x402_json *json = NULL;
	enum x402_err err;

	limits.max_depth = max_depth;
	for (size_t i = 0; i < n; i++)
		x402_buf_add_byte(&buf, '[');
	for (size_t i = 0; i < n; i++)
		x402_buf_add_byte(&buf, ']');
	err = x402_json_parse(x402_buf_span(&buf), &limits, NULL, &json);
	x402_json_unref(json);
	x402_buf_clear(&buf);
	return err;
}

static void test_parse_depth_cap_is_exact(void **state)
{
	(void)state;
	assert_int_equal(parse_nested(X402_JSON_MAX_DEPTH, 0), X402_OK);
	assert_int_equal(
		parse_nested(X402_JSON_MAX_DEPTH + 1, 0), X402_ERR_TOO_LARGE);
	assert_int_equal(parse_nested(100000, 0), X402_ERR_TOO_LARGE);
	assert_int_equal(parse_nested(3, 3), X402_OK);
	assert_int_equal(parse_nested(4, 3), X402_ERR_TOO_LARGE);
}

static void test_parse_brackets_in_strings_do_not_nest(void **state)
{
	struct x402_json *json = parsed(
		"[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[\"]");

	(void)state;
	x402_json_unref(json);
}

static void test_parse_size_cap_is_exact(void **state)
{
	struct x402_json_limits limits = {4, 0};
	struct x402_json *json = NULL;

	(void)state;
	assert_int_equal(
		x402_json_parse(x402_span_str("[1] "), &limits, NULL, &json),
		X402_OK);
	x402_json_unref(json);
	assert_int_equal(
		x402_json_parse(x402_span_str("[1]  "), &limits, NULL, &json),
		X402_ERR_TOO_LARGE);
}

static void test_get_treats_null_as_absent(void **state)
{
	struct x402_json *json = parsed("{\"n\":null,\"s\":\"v\",\"i\":3}");
	int64_t number = 0;
	bool flag = false;

	(void)state;
	assert_null(x402_json_get(json, "n"));
	assert_true(x402_json_has(json, "n"));
	assert_false(x402_json_has(json, "x"));
	assert_string_equal(x402_json_get_string(json, "s"), "v");
	assert_null(x402_json_get_string(json, "i"));
	assert_true(x402_json_int64(x402_json_get(json, "i"), &number));
	assert_int_equal(number, 3);
	assert_false(x402_json_int64(x402_json_get(json, "s"), &number));
	assert_false(x402_json_bool(x402_json_get(json, "i"), &flag));
	x402_json_unref(json);
}

static void test_reading_null_is_safe(void **state)
{
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;
	int64_t number;

	(void)state;
	assert_int_equal(x402_json_type(NULL), X402_JSON_NULL);
	assert_null(x402_json_get(NULL, "a"));
	assert_false(x402_json_has(NULL, "a"));
	assert_int_equal(x402_json_size(NULL), 0);
	assert_null(x402_json_at(NULL, 0));
	assert_null(x402_json_string(NULL));
	assert_false(x402_json_int64(NULL, &number));
	assert_false(x402_json_next(NULL, &iter, &key, &value));
	assert_null(x402_json_copy(NULL));
	assert_null(x402_json_ref(NULL));
	x402_json_unref(NULL);
	assert_dump(NULL, "null");
}

static void test_at_past_the_end_is_null(void **state)
{
	struct x402_json *json = parsed("[1,2]");

	(void)state;
	assert_int_equal(x402_json_size(json), 2);
	assert_non_null(x402_json_at(json, 1));
	assert_null(x402_json_at(json, 2));
	assert_null(x402_json_get(json, "a"));
	x402_json_unref(json);
}

static void test_next_walks_in_order(void **state)
{
	struct x402_json *json = parsed("{\"b\":1,\"a\":2}");
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;

	(void)state;
	assert_true(x402_json_next(json, &iter, &key, &value));
	assert_string_equal(key, "b");
	assert_true(x402_json_next(json, &iter, &key, &value));
	assert_string_equal(key, "a");
	assert_false(x402_json_next(json, &iter, &key, &value));
	x402_json_unref(json);
}

static void test_equal_ignores_order_only(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool equal;
	} cases[] = {
		{"{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2],\"a\":1}", true},
		{"[1,2]", "[2,1]", false},
		{"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
		{"\"0xAB\"", "\"0xab\"", false},
		{"1", "\"1\"", false},
		{"null", "null", true},
		{"null", "false", false},
		{"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\"}}", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *a = parsed(cases[i].a);
		struct x402_json *b = parsed(cases[i].b);

		assert_int_equal(x402_json_equal(a, b), cases[i].equal);
		assert_int_equal(x402_json_equal(b, a), cases[i].equal);
		x402_json_unref(a);
		x402_json_unref(b);
	}
}

static void test_building_consumes_also_on_failure(void **state)
{
	struct x402_json *array = x402_json_new_array();
	struct x402_json *object = x402_json_new_object();

	(void)state;
	/* Neither leaks: the sanitizer would say so. */
	assert_int_not_equal(
		x402_json_set_take(array, "k", x402_json_new_string("v")),
		X402_OK);
	assert_int_equal(x402_json_set_take(object, "k", NULL), X402_ERR_NOMEM);
	assert_int_not_equal(
		x402_json_append_take(object, x402_json_new_int(1)), X402_OK);
	assert_int_equal(x402_json_set_string(object, "s", NULL), X402_OK);
	assert_false(x402_json_has(object, "s"));
	assert_null(x402_json_new_string("\xff"));
	x402_json_unref(array);
	x402_json_unref(object);
}

static void test_copy_is_independent(void **state)
{
	struct x402_json *json = parsed("{\"a\":{\"b\":1}}");
	struct x402_json *copy = x402_json_copy(json);

	(void)state;
	x402_json_remove(json, "a");
	x402_json_remove(json, "never there");
	assert_dump(copy, "{\"a\":{\"b\":1}}");
	assert_dump(json, "{}");
	x402_json_unref(json);
	x402_json_unref(copy);
}

static void test_dump_sorted_is_one_form(void **state)
{
	struct x402_json *json = parsed("{\"b\":{\"z\":1,\"y\":2},\"a\":[]}");
	char *text = x402_json_dump_sorted(json);

	(void)state;
	assert_string_equal(text, "{\"a\":[],\"b\":{\"y\":2,\"z\":1}}");
	free(text);
	x402_json_unref(json);
}

static void test_real_survives_two_rounds(void **state)
{
	struct x402_json *json = parsed("[0.1,1e30,-2.5]");
	char *once = x402_json_dump(json);
	struct x402_json *again = parsed(once);

	(void)state;
	assert_true(x402_json_equal(json, again));
	assert_dump(again, once);
	free(once);
	x402_json_unref(json);
	x402_json_unref(again);
}

static void test_real_leaves_as_it_came(void **state)
{
	static const char text[] = "[0.10,1E+2,-0.0,1e-400,12.50e-3,"
				   "0.00000000000000000000000000000000001]";
	struct x402_json *json = parsed(text);
	struct x402_json *copy = x402_json_copy(json);

	(void)state;
	assert_dump(json, text);
	assert_dump(copy, text);
	x402_json_unref(json);
	x402_json_unref(copy);
}

static void test_real_equal_by_value(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool equal;
	} cases[] = {{"1.0", "1.00", true}, {"1e2", "100.0", true},
		{"-0.5", "-5e-1", true}, {"0.5", "-0.5", false},
		{"1.5", "1.25", false}, {"1e308", "10e307", true},
		{"1.0", "1", false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *a = parsed(cases[i].a);
		struct x402_json *b = parsed(cases[i].b);

		assert_int_equal(x402_json_equal(a, b), cases[i].equal);
		x402_json_unref(a);
		x402_json_unref(b);
	}
}

static void test_parse_number_bounds_are_exact(void **state)
{
	static const char *const good[] = {"9223372036854775807",
		"-9223372036854775808", "-0", "1.7976931348623157e308",
		"0.00000000017976931348623157e318", "5e-324", "1e-999"};
	static const char *const bad[] = {"9223372036854775808",
		"-9223372036854775809", "1.7976931348623159e308", "1e309",
		"-1e99999999999999999999999999", "10e308"};
	struct x402_json *json = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		x402_json_unref(parsed(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(x402_json_parse(x402_span_str(bad[i]), NULL,
					 NULL, &json),
			X402_ERR_SYNTAX);
}

static void test_parse_decodes_escapes_in_place(void **state)
{
	struct x402_json *json = parsed(
		"{\"\\u0061\\n\":\"12345678\\\"\\\\\\/\\b\\f\\n\\r\\t"
		"\\u00e9\\u20AC\\ud83d\\ude00 end\"}");

	(void)state;
	assert_string_equal(x402_json_get_string(json, "a\n"),
		"12345678\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac"
		"\xf0\x9f\x98\x80 end");
	assert_dump(json,
		"{\"a\\n\":\"12345678\\\"\\\\/\\b\\f\\n\\r\\t\xc3\xa9"
		"\xe2\x82\xac\xf0\x9f\x98\x80 end\"}");
	x402_json_unref(json);
}

/* At every place of a string, so that looking ahead by eight is covered. */
static void test_parse_refuses_bad_bytes_at_every_offset(void **state)
{
	static const uint8_t bad[] = {0, 1, '\n', 0x1f, 0x80, 0xc1, 0xf5, 0xff};

	(void)state;
	for (size_t i = 1; i < 20; i++) {
		for (size_t j = 0; j < sizeof(bad); j++) {
			char text[] = "\"abcdefghijklmnopqrstuv\"";
			struct x402_json *json = NULL;

			text[i] = (char)bad[j];
			assert_int_equal(
				x402_json_parse(
					x402_span(text, sizeof(text) - 1), NULL,
					NULL, &json),
				X402_ERR_SYNTAX);
		}
	}
}

/* An object of n members "k<number>", last first; also the text of one. */
static void add_members(struct x402_buf *text, unsigned n)
{
	x402_buf_add_byte(text, '{');
	for (unsigned i = n; i-- > 0;)
		x402_buf_printf(text, "\"k%u\":%u%s", i, i, i ? "," : "");
	x402_buf_add_byte(text, '}');
	x402_buf_add_byte(text, 0);
}

static void assert_members(const struct x402_json *json, unsigned n)
{
	char key[16];
	int64_t number;

	assert_int_equal(x402_json_size(json), n);
	for (unsigned i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_true(x402_json_int64(x402_json_get(json, key), &number));
		assert_int_equal(number, i);
	}
	assert_false(x402_json_has(json, "k"));
	assert_false(x402_json_has(json, "kk"));
}

static void test_large_objects_are_as_small_ones(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 40; n++) {
		struct x402_buf text = {0};
		struct x402_json *json;
		struct x402_json *built = x402_json_new_object();
		struct x402_json *copy;
		char key[16];

		add_members(&text, n);
		json = parsed((char *)text.ptr);
		assert_dump(json, (char *)text.ptr);
		assert_members(json, n);
		for (unsigned i = 0; i < n; i++) {
			snprintf(key, sizeof(key), "k%u", i);
			assert_int_equal(
				x402_json_set_int(built, key, 0), X402_OK);
			assert_int_equal(
				x402_json_set_int(built, key, i), X402_OK);
		}
		assert_members(built, n);
		assert_true(x402_json_equal(json, built));
		/* What was read may grow and shrink as what was built. */
		assert_int_equal(x402_json_set_int(json, "more", 1), X402_OK);
		x402_json_remove(json, "more");
		assert_members(json, n);
		copy = x402_json_copy(json);
		snprintf(key, sizeof(key), "k%u", n - 1);
		x402_json_remove(copy, key);
		assert_members(copy, n - 1);
		assert_false(x402_json_equal(copy, json));
		x402_json_unref(json);
		x402_json_unref(built);
		x402_json_unref(copy);
		x402_buf_clear(&text);
	}
}

static void test_parse_refuses_twins_in_large_objects(void **state)
{
	(void)state;
	for (unsigned n = 15; n < 20; n++) {
		struct x402_buf text = {0};
		struct x402_json *json = NULL;

		add_members(&text, n);
		/* "k0" once more, behind all others. */
		text.len -= 2;
		x402_buf_add_str(&text, ",\"k0\":1}");
		assert_int_equal(x402_json_parse(x402_buf_span(&text), NULL,
					 NULL, &json),
			X402_ERR_SYNTAX);
		x402_buf_clear(&text);
	}
}

static void test_part_outlives_its_text(void **state)
{
	struct x402_json *json = parsed("{\"a\":{\"b\":[\"text\"]},\"c\":1}");
	struct x402_json *part = x402_json_ref(x402_json_get(json, "a"));
	struct x402_json *other = x402_json_new_object();

	(void)state;
	x402_json_unref(json);
	assert_dump(part, "{\"b\":[\"text\"]}");
	assert_int_equal(x402_json_set_take(other, "p", part), X402_OK);
	assert_dump(other, "{\"p\":{\"b\":[\"text\"]}}");
	x402_json_unref(other);
}

static void test_removed_part_outlives_its_text(void **state)
{
	struct x402_json *json = parsed("{\"a\":{\"b\":[\"text\"]},\"c\":1}");
	struct x402_json *part = x402_json_ref(x402_json_get(json, "a"));

	(void)state;
	x402_json_remove(json, "a");
	x402_json_unref(json);
	assert_dump(part, "{\"b\":[\"text\"]}");
	x402_json_unref(part);
}

/* Whatever order references go in, all is freed once: ASan looks. */
static void test_parts_are_freed_in_any_order(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 6; order++) {
		struct x402_json *json = parsed(
			"{\"a\":[{\"b\":{}}],\"c\":[]}");
		struct x402_json *held[3] = {json,
			x402_json_ref(x402_json_get(json, "a")),
			x402_json_ref(x402_json_get(json, "c"))};
		size_t first = order % 3;
		size_t second = (first + 1 + order / 3) % 3;

		/* Values of another text and of none, in between. */
		assert_int_equal(
			x402_json_append_take(held[1], parsed("[1]")), X402_OK);
		assert_int_equal(
			x402_json_append_take(held[2], x402_json_ref(held[1])),
			X402_OK);
		x402_json_remove(json, "a");
		x402_json_unref(held[first]);
		x402_json_unref(held[second]);
		x402_json_unref(held[3 - first - second]);
	}
}

static void test_set_replaces_in_place(void **state)
{
	struct x402_json *json = parsed("{\"a\":1,\"b\":[2]}");
	struct x402_json *array = x402_json_ref(x402_json_get(json, "b"));

	(void)state;
	assert_int_equal(
		x402_json_append_take(array, x402_json_new_null()), X402_OK);
	assert_int_equal(x402_json_set_string(json, "a", "new"), X402_OK);
	assert_dump(json, "{\"a\":\"new\",\"b\":[2,null]}");
	/* Nothing may hold itself: that would never be freed. */
	assert_int_not_equal(
		x402_json_append_take(array, x402_json_ref(array)), X402_OK);
	x402_json_unref(array);
	x402_json_unref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_keeps_order_and_unknown),
		cmocka_unit_test(test_parse_takes_any_value),
		cmocka_unit_test(test_parse_refuses_what_is_not_strict),
		cmocka_unit_test(test_parse_says_where),
		cmocka_unit_test(test_parse_refuses_raw_nul),
		cmocka_unit_test(test_parse_depth_cap_is_exact),
		cmocka_unit_test(test_parse_brackets_in_strings_do_not_nest),
		cmocka_unit_test(test_parse_size_cap_is_exact),
		cmocka_unit_test(test_get_treats_null_as_absent),
		cmocka_unit_test(test_reading_null_is_safe),
		cmocka_unit_test(test_at_past_the_end_is_null),
		cmocka_unit_test(test_next_walks_in_order),
		cmocka_unit_test(test_equal_ignores_order_only),
		cmocka_unit_test(test_building_consumes_also_on_failure),
		cmocka_unit_test(test_copy_is_independent),
		cmocka_unit_test(test_dump_sorted_is_one_form),
		cmocka_unit_test(test_real_survives_two_rounds),
		cmocka_unit_test(test_real_leaves_as_it_came),
		cmocka_unit_test(test_real_equal_by_value),
		cmocka_unit_test(test_parse_number_bounds_are_exact),
		cmocka_unit_test(test_parse_decodes_escapes_in_place),
		cmocka_unit_test(test_parse_refuses_bad_bytes_at_every_offset),
		cmocka_unit_test(test_large_objects_are_as_small_ones),
		cmocka_unit_test(test_parse_refuses_twins_in_large_objects),
		cmocka_unit_test(test_part_outlives_its_text),
		cmocka_unit_test(test_removed_part_outlives_its_text),
		cmocka_unit_test(test_parts_are_freed_in_any_order),
		cmocka_unit_test(test_set_replaces_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
