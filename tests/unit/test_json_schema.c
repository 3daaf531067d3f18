/*
 * The bounded JSON Schema validator and its patterns (L-057). Schemas come
 * from strangers: what cannot be applied is UNSUPPORTED, never skipped, and
 * no schema may cost more than its budget.
 */
#include "payment_house.h"
#include "x402/bazaar.h"

static enum x402_err validate(
	const char *schema, const char *instance, struct x402_errinfo *info)
{
	struct x402_json *s = json_of(schema);
	struct x402_json *i = json_of(instance);
	enum x402_err err = x402_json_schema_validate(s, i, info);

	x402_json_unref(s);
	x402_json_unref(i);
	return err;
}

struct schema_case {
	const char *schema;
	const char *instance;
	enum x402_err err;
};

static void run_cases(const struct schema_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct x402_errinfo info = {"", ""};
		enum x402_err err = validate(
			cases[i].schema, cases[i].instance, &info);

		if (err != cases[i].err)
			fail_msg("%s on %s: %s (%s)", cases[i].schema,
				cases[i].instance, x402_err_name(err),
				info.text);
		assert_int_equal(err != X402_OK, strlen(info.text) > 0);
		assert_int_equal(
			validate(cases[i].schema, cases[i].instance, NULL),
			cases[i].err);
	}
}

static void test_schema_types(void **state)
{
	static const struct schema_case cases[] = {
		{"true", "1", X402_OK},
		{"false", "1", X402_ERR_SCHEMA},
		{"{}", "null", X402_OK},
		{"{'type':'null'}", "null", X402_OK},
		{"{'type':'null'}", "0", X402_ERR_SCHEMA},
		{"{'type':'boolean'}", "false", X402_OK},
		{"{'type':'integer'}", "-3", X402_OK},
		{"{'type':'integer'}", "0.5", X402_ERR_SCHEMA},
		{"{'type':'number'}", "0.5", X402_OK},
		{"{'type':'number'}", "7", X402_OK},
		{"{'type':'number'}", "'7'", X402_ERR_SCHEMA},
		{"{'type':'string'}", "'7'", X402_OK},
		{"{'type':'array'}", "[]", X402_OK},
		{"{'type':'array'}", "{}", X402_ERR_SCHEMA},
		{"{'type':'object'}", "{}", X402_OK},
		{"{'type':['string','null']}", "null", X402_OK},
		{"{'type':['string','null']}", "1", X402_ERR_SCHEMA},
	};

	(void)state;
	run_cases(cases, ARRAY_LEN(cases));
}

static void test_schema_members(void **state)
{
	static const struct schema_case cases[] = {
		{"{'required':['a']}", "{'a':null}", X402_OK},
		{"{'required':['a']}", "{'b':1}", X402_ERR_SCHEMA},
		/* Members are asked of objects only. */
		{"{'required':['a']}", "7", X402_OK},
		{"{'properties':{'a':{'type':'string'}}}", "{'a':1}",
			X402_ERR_SCHEMA},
		{"{'properties':{'a':{'type':'string'}}}", "{'a':null}",
			X402_ERR_SCHEMA},
		{"{'properties':{'a':{'type':'string'}}}", "{'b':1}", X402_OK},
		{"{'properties':{'a':false}}", "{'a':1}", X402_ERR_SCHEMA},
		{"{'additionalProperties':false}", "{}", X402_OK},
		{"{'additionalProperties':false}", "{'a':1}", X402_ERR_SCHEMA},
		{"{'properties':{'a':{}},'additionalProperties':false}",
			"{'a':1}", X402_OK},
		{"{'additionalProperties':{'type':'string'}}", "{'a':'x'}",
			X402_OK},
		{"{'additionalProperties':{'type':'string'}}", "{'a':1}",
			X402_ERR_SCHEMA},
		{"{'items':{'type':'integer'}}", "[1,2]", X402_OK},
		{"{'items':{'type':'integer'}}", "[1,'2']", X402_ERR_SCHEMA},
		{"{'items':false}", "[]", X402_OK},
		{"{'items':false}", "[1]", X402_ERR_SCHEMA},
	};

	(void)state;
	run_cases(cases, ARRAY_LEN(cases));
}

static void test_schema_values_and_lengths(void **state)
{
	static const struct schema_case cases[] = {
		{"{'const':'http'}", "'http'", X402_OK},
		{"{'const':'http'}", "'HTTP'", X402_ERR_SCHEMA},
		{"{'const':null}", "null", X402_OK},
		{"{'const':null}", "0", X402_ERR_SCHEMA},
		{"{'const':{'a':1,'b':2}}", "{'b':2,'a':1}", X402_OK},
		{"{'enum':['a',1,null]}", "null", X402_OK},
		{"{'enum':['a',1,null]}", "1", X402_OK},
		{"{'enum':['a',1]}", "'1'", X402_ERR_SCHEMA},
		{"{'enum':[]}", "1", X402_ERR_SCHEMA},
		{"{'minLength':2}", "'ab'", X402_OK},
		{"{'minLength':2}", "'a'", X402_ERR_SCHEMA},
		{"{'maxLength':2}", "'abc'", X402_ERR_SCHEMA},
		/* Characters, not bytes. */
		{"{'maxLength':2}", "'\xc3\xa9\xf0\x9f\x98\x80'", X402_OK},
		{"{'minLength':3}", "'\xc3\xa9\xc3\xa9'", X402_ERR_SCHEMA},
		{"{'maxLength':1}", "123", X402_OK},
	};

	(void)state;
	run_cases(cases, ARRAY_LEN(cases));
}

static void test_schema_annotations_are_ignored(void **state)
{
	static const struct schema_case cases[] = {
		{"{'$schema':'https://json-schema.org/draft/2020-12/schema',"
		 "'title':1,'description':2,'examples':[],'default':0,"
		 "'format':'uri','$comment':'c','x-own':{}}",
			"1", X402_OK},
	};

	(void)state;
	run_cases(cases, ARRAY_LEN(cases));
}

static void test_schema_refuses_what_it_cannot_apply(void **state)
{
	static const struct schema_case cases[] = {
		{"7", "1", X402_ERR_UNSUPPORTED},
		{"null", "1", X402_ERR_UNSUPPORTED},
		{"[]", "1", X402_ERR_UNSUPPORTED},
		{"{'$ref':'#/$defs/a'}", "1", X402_ERR_UNSUPPORTED},
		{"{'$ref':'http://a.example/schema'}", "1",
			X402_ERR_UNSUPPORTED},
		{"{'$dynamicRef':'#a'}", "1", X402_ERR_UNSUPPORTED},
		{"{'anyOf':[]}", "1", X402_ERR_UNSUPPORTED},
		{"{'allOf':[]}", "1", X402_ERR_UNSUPPORTED},
		{"{'oneOf':[]}", "1", X402_ERR_UNSUPPORTED},
		{"{'not':{}}", "1", X402_ERR_UNSUPPORTED},
		{"{'if':{}}", "1", X402_ERR_UNSUPPORTED},
		{"{'minimum':1}", "1", X402_ERR_UNSUPPORTED},
		{"{'uniqueItems':true}", "[]", X402_ERR_UNSUPPORTED},
		{"{'patternProperties':{}}", "{}", X402_ERR_UNSUPPORTED},
		{"{'whatIsThis':1}", "1", X402_ERR_UNSUPPORTED},
		/* Also where the instance never gets there. */
		{"{'properties':{'a':{'items':{'anyOf':[]}}}}", "1",
			X402_ERR_UNSUPPORTED},
		{"{'type':'text'}", "1", X402_ERR_UNSUPPORTED},
		{"{'type':[]}", "1", X402_ERR_UNSUPPORTED},
		{"{'type':null}", "1", X402_ERR_UNSUPPORTED},
		{"{'type':['string',1]}", "1", X402_ERR_UNSUPPORTED},
		{"{'required':'a'}", "1", X402_ERR_UNSUPPORTED},
		{"{'required':[1]}", "{}", X402_ERR_UNSUPPORTED},
		{"{'properties':[]}", "1", X402_ERR_UNSUPPORTED},
		{"{'items':[]}", "1", X402_ERR_UNSUPPORTED},
		{"{'items':null}", "1", X402_ERR_UNSUPPORTED},
		{"{'enum':{}}", "1", X402_ERR_UNSUPPORTED},
		{"{'minLength':-1}", "1", X402_ERR_UNSUPPORTED},
		{"{'maxLength':'5'}", "1", X402_ERR_UNSUPPORTED},
		{"{'maxLength':1.5}", "1", X402_ERR_UNSUPPORTED},
		{"{'pattern':7}", "1", X402_ERR_UNSUPPORTED},
		{"{'pattern':'('}", "1", X402_ERR_UNSUPPORTED},
	};

	(void)state;
	run_cases(cases, ARRAY_LEN(cases));
	assert_int_equal(x402_json_schema_validate(NULL, NULL, NULL),
		X402_ERR_UNSUPPORTED);
}

static enum x402_err match(const char *pattern, const char *text)
{
	struct x402_json *schema = x402_json_new_object();
	struct x402_json *instance = x402_json_new_string(text);
	enum x402_err err;

	assert_int_equal(
		x402_json_set_string(schema, "pattern", pattern), X402_OK);
	err = x402_json_schema_validate(schema, instance, NULL);
	x402_json_unref(schema);
	x402_json_unref(instance);
	return err;
}

static void test_pattern_matches(void **state)
{
	static const struct {
		const char *pattern;
		const char *yes;
		const char *no;
	} cases[] = {
		{"b", "abc", "ac"},
		{"^b", "bc", "abc"},
		{"b$", "ab", "abc"},
		{"^$", "", "a"},
		{"^(a|bc|d)$", "bc", "b"},
		{"^(a|b|)c$", "c", "abc"},
		{"^a*b+c?$", "bbc", "ac"},
		{"^[a-f0-9]{4}$", "c0fe", "c0fg"},
		{"^[^a-c]+$", "xyz", "xay"},
		{"^a{2,3}$", "aaa", "aaaa"},
		{"^a{2,}$", "aaaaa", "a"},
		{"^(ab){2}$", "abab", "ab"},
		{"^(a{2}){2}$", "aaaa", "aaa"},
		{"^(a|b{2}){3}$", "abba", "aba"},
		{"^a{0}b$", "b", "ab"},
		{"^a{0,1}$", "", "aa"},
		{"^\\d+\\.\\d{2}$", "10.50", "10x50"},
		{"^\\w+$", "a_9", "a-9"},
		{"^\\W$", "-", "a"},
		{"^\\S+\\s\\S+$", "a b", "ab"},
		{"^\\D$", "x", "5"},
		{"^[\\w.-]+$", "a.b-c", "a b"},
		{"^[\\-\\]]+$", "-]", "a"},
		{"^[a-]$", "-", "b"},
		{"^0x[0-9a-fA-F]{40}$",
			"0x036CbD53842c5426634e7929541eC2318f3dCF7e",
			"0x036CbD53842c5426634e7929541eC2318f3dCF7"},
		{"^.$", "\xf0\x9f\x98\x80", "\n"},
		{"^\\u00e9\\x41$",
			"\xc3\xa9"
			"A",
			"eA"},
		{"^\xc3\xa9+$", "\xc3\xa9\xc3\xa9",
			"\xc3"
			"\xa8"},
		{"^(?:a|b)+?c$", "abac", "d"},
		{"^[^]$", "\n", ""},
		{"(^a|b$)", "xb", "xax"},
		{"^(a*)*$", "aaa", "b"},
		{"^(a|a)*$", "aaaa", "ab"},
		{"^\\t\\n\\/$", "\t\n/", "tn/"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (match(cases[i].pattern, cases[i].yes) != X402_OK)
			fail_msg("%s refuses '%s'", cases[i].pattern,
				cases[i].yes);
		if (match(cases[i].pattern, cases[i].no) != X402_ERR_SCHEMA)
			fail_msg(
				"%s takes '%s'", cases[i].pattern, cases[i].no);
	}
	assert_int_equal(match("^[]$", ""), X402_ERR_SCHEMA);
}

static void test_pattern_refuses_what_it_cannot_apply(void **state)
{
	static const char *const cases[] = {"(", ")", "a)", "(a", "[", "[a",
		"[b-a]", "[a-\\d]", "[\\w-x]", "[\\D]", "*", "+a", "?", "a**",
		"a{", "a{}", "a{,3}", "a{3,2}", "a{x}", "a{1", "a{513}",
		"a{99999999999999999999}", "\\", "\\1", "\\b", "\\B", "\\k<a>",
		"\\p{L}", "\\u12", "\\ud83d", "\\xg0", "\\q", "(?=a)", "(?!a)",
		"(?<=a)", "(?<n>a)", "(?i)a", "^*", "$+", "]", "}", "{",
		"((((((((((a))))))))))", "(a{512}){512}", "((a{30}){30}){30}",
		"[abcdefghijklmnopqrstuvwxyz0123456789]"
		"[abcdefghijklmnopqrstuvwxyz0123456789]"
		"[abcdefghijklmnopqrstuvwxyz0123456789]"
		"[abcdefghijklmnopqrstuvwxyz0123456789]"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (match(cases[i], "a") != X402_ERR_UNSUPPORTED)
			fail_msg("%s is taken", cases[i]);
	}
}

/* What backtracking engines die of. */
static void test_pattern_work_is_bounded(void **state)
{
	char *text = calloc(1, 200001);

	(void)state;
	memset(text, 'a', 2000);
	assert_int_equal(match("^(a+)+$", text), X402_OK);
	text[1999] = 'b';
	assert_int_equal(match("^(a+)+$", text), X402_ERR_SCHEMA);
	assert_int_equal(match("^(a|aa)+$", text), X402_ERR_SCHEMA);
	memset(text, 'a', 200000);
	assert_int_equal(match("(a?){100}b$", text), X402_ERR_UNSUPPORTED);
	free(text);
}

/* n copies of item, with commas, between head and tail. */
static char *repeated(
	const char *head, const char *item, size_t n, const char *tail)
{
	struct x402_buf buf = {0};

	x402_buf_add_str(&buf, head);
	for (size_t i = 0; i < n; i++) {
		x402_buf_add_str(&buf, i ? "," : "");
		x402_buf_add_str(&buf, item);
	}
	x402_buf_add_str(&buf, tail);
	return x402_buf_take_str(&buf);
}

/*
 * Work that multiplies: each of many values is held against much schema, and
 * fits only at its end.
 */
static void test_schema_work_is_bounded(void **state)
{
	char *values = repeated("[", "{'a':1}", 20000, "]");
	char *texts = repeated("[", "'x'", 30000, "]");
	char *schemas[] = {
		repeated("{'items':{'enum':[", "1", 20000, ",{'a':1}]}}"),
		repeated(
			"{'items':{'type':[", "'array'", 10000, ",'object']}}"),
		repeated("{'items':{'required':[", "'a'", 20000, "]}}"),
	};
	char *pattern = repeated(
		"{'items':{'pattern':'", "a|b|c|d|e|f|g|h", 15, "|x'}}");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
		assert_int_equal(
			validate(schemas[i], "[{'a':1}]", NULL), X402_OK);
		assert_int_equal(validate(schemas[i], values, NULL),
			X402_ERR_UNSUPPORTED);
		free(schemas[i]);
	}
	assert_int_equal(validate(pattern, "['x']", NULL), X402_OK);
	assert_int_equal(validate(pattern, texts, NULL), X402_ERR_UNSUPPORTED);
	/* As many values are fine with little schema. */
	assert_int_equal(
		validate("{'items':{'type':'object'}}", values, NULL), X402_OK);
	free(values);
	free(texts);
	free(pattern);
}

static void test_schema_depth_is_bounded(void **state)
{
	struct x402_json *schema = x402_json_new_object();
	struct x402_json *instance = x402_json_new_int(1);

	(void)state;
	/* Deeper than any text that the reader takes. */
	for (int i = 0; i < 1000; i++) {
		struct x402_json *outer = x402_json_new_object();

		assert_int_equal(
			x402_json_set_take(outer, "items", schema), X402_OK);
		schema = outer;
	}
	assert_int_equal(x402_json_schema_validate(schema, instance, NULL),
		X402_ERR_UNSUPPORTED);
	x402_json_unref(schema);
	x402_json_unref(instance);
}

static void test_schema_names_the_member(void **state)
{
	struct x402_errinfo info;

	(void)state;
	assert_int_equal(validate("{'properties':{'input':{'properties':{"
				  "'type':{'const':'http'}}}}}",
				 "{'input':{'type':'mcp'}}", &info),
		X402_ERR_SCHEMA);
	assert_string_equal(info.field, "type");
	assert_int_equal(
		validate("{'anyOf':[]}", "1", &info), X402_ERR_UNSUPPORTED);
	assert_string_equal(info.field, "schema");
	assert_non_null(strstr(info.text, "anyOf"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schema_types),
		cmocka_unit_test(test_schema_members),
		cmocka_unit_test(test_schema_values_and_lengths),
		cmocka_unit_test(test_schema_annotations_are_ignored),
		cmocka_unit_test(test_schema_refuses_what_it_cannot_apply),
		cmocka_unit_test(test_pattern_matches),
		cmocka_unit_test(test_pattern_refuses_what_it_cannot_apply),
		cmocka_unit_test(test_pattern_work_is_bounded),
		cmocka_unit_test(test_schema_work_is_bounded),
		cmocka_unit_test(test_schema_depth_is_bounded),
		cmocka_unit_test(test_schema_names_the_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
