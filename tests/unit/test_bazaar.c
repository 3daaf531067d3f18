/*
 * What a payment declares for discovery (E-BZ, F-080 to F-083): named in one
 * way, validated against its own schema, and without anything that a reader
 * of the catalogue should not be shown.
 */
#include "payment_house.h"
#include "x402/bazaar.h"

#define INFO_GET "{'input':{'type':'http','method':'GET'}}"
#define BAZAAR(info, more) \
	"{'bazaar':{'info':" info ",'schema':{'type':'object'}" more "}}"
#define INFO_MCP(tool) \
	"{'input':{'type':'mcp','toolName':'" tool "','inputSchema':{}}}"

/* Reads a v2 payment with this resource and these extensions. */
static enum x402_err read_v2(const char *resource, const char *extensions,
	struct x402_errinfo *info, struct x402_bazaar_entry *ret_entry)
{
	struct x402_payment_payload payload;
	struct x402_buf buf = {0};
	struct x402_json *json;
	enum x402_err err;
	char *text;

	x402_buf_printf(&buf,
		"{'x402Version':2,'payload':{},'resource':%s,"
		"'extensions':%s,'accepted':{" OFFER_V2 "}}",
		resource, extensions);
	text = x402_buf_take_str(&buf);
	json = json_of(text);
	assert_int_equal(
		x402_payment_payload_read(json, NULL, &payload), X402_OK);
	err = x402_bazaar_read(&payload, &payload.accepted, info, ret_entry);
	x402_payment_payload_clear(&payload);
	x402_json_unref(json);
	free(text);
	return err;
}

static void assert_key(
	const char *url, const char *extensions, const char *expected)
{
	struct x402_bazaar_entry entry;
	struct x402_errinfo info = {"", ""};
	struct x402_buf buf = {0};
	char *resource;

	x402_buf_printf(&buf, "{'url':'%s'}", url);
	resource = x402_buf_take_str(&buf);
	if (read_v2(resource, extensions, &info, &entry) != X402_OK)
		fail_msg("%s: %s %s", url, info.field, info.text);
	assert_string_equal(entry.key, expected);
	assert_true(strlen(entry.key) <= X402_BAZAAR_KEY_MAX);
	x402_bazaar_entry_clear(&entry);
	free(resource);
}

static void test_bazaar_http_entry(void **state)
{
	struct x402_bazaar_entry entry;

	(void)state;
	assert_int_equal(
		read_v2("{'url':'https://A.example/b?c=1','description':'d',"
			"'mimeType':'text/html'}",
			BAZAAR(INFO_GET, ""), NULL, &entry),
		X402_OK);
	assert_string_equal(entry.type, "http");
	assert_string_equal(entry.key, "https://a.example/b");
	assert_string_equal(entry.resource, "https://a.example/b");
	assert_null(entry.tool);
	assert_json_take(x402_json_ref(entry.info), INFO_GET);
	assert_json_take(x402_json_ref(entry.metadata),
		"{'description':'d','mimeType':'text/html'}");
	x402_bazaar_entry_clear(&entry);
	assert_null(entry.key);
	x402_bazaar_entry_clear(NULL);
}

static void test_bazaar_mcp_entry(void **state)
{
	struct x402_bazaar_entry entry;

	(void)state;
	assert_int_equal(read_v2("{'url':'mcp://tool/weather'}",
				 BAZAAR(INFO_MCP("weather"), ""), NULL, &entry),
		X402_OK);
	assert_string_equal(entry.type, "mcp");
	assert_string_equal(entry.tool, "weather");
	assert_string_equal(entry.resource, "mcp://tool/weather");
	assert_string_equal(entry.key, "mcp://tool/weather#weather");
	assert_null(entry.metadata);
	x402_bazaar_entry_clear(&entry);
}

static void test_bazaar_v1_entry_needs_discoverable(void **state)
{
	static const struct {
		const char *schema;
		enum x402_err err;
	} cases[] = {
		{"{'input':{'type':'http','method':'GET',"
		 "'discoverable':true}}",
			X402_OK},
		{"{'input':{'type':'http','discoverable':false}}",
			X402_ERR_NOT_FOUND},
		{"{'input':{'type':'http','discoverable':'true'}}",
			X402_ERR_NOT_FOUND},
		{"{'input':{'type':'http'}}", X402_ERR_NOT_FOUND},
		{"{}", X402_ERR_NOT_FOUND},
		{"{'input':{'type':'ftp','discoverable':true}}",
			X402_ERR_SCHEMA},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_json *schema = json_of(cases[i].schema);
		struct x402_payment_payload payload;
		struct x402_payment_requirements req = {
			.x402_version = X402_V1,
			.resource = "http://a.example/x?y",
			.description = "text",
			.output_schema = schema,
		};
		struct x402_bazaar_entry entry;

		memset(&payload, 0, sizeof(payload));
		payload.x402_version = X402_V1;
		assert_int_equal(x402_bazaar_read(&payload, &req, NULL, &entry),
			cases[i].err);
		if (cases[i].err == X402_OK) {
			assert_string_equal(entry.key, "http://a.example/x");
			assert_json_take(x402_json_ref(entry.metadata),
				"{'description':'text'}");
			x402_bazaar_entry_clear(&entry);
		}
		x402_json_unref(schema);
	}
}

static void test_bazaar_names_a_place_in_one_way(void **state)
{
	static const char plain[] = BAZAAR(INFO_GET, "");

	(void)state;
	assert_key("HTTP://A.Example", plain, "http://a.example/");
	assert_key("http://a.example?q", plain, "http://a.example/");
	assert_key("http://a.example#f", plain, "http://a.example/");
	assert_key(
		"http://a.example:8080/P#f", plain, "http://a.example:8080/P");
	assert_key("http://127.0.0.1:1/x", plain, "http://127.0.0.1:1/x");
	assert_key("http://[::1]:80/x", plain, "http://[::1]:80/x");
	assert_key("http://a.example/u/7?q=1",
		BAZAAR(INFO_GET, ",'routeTemplate':'/u/:id'"),
		"http://a.example/u/:id");
	/* F-082: a bad template is as none. */
	assert_key("http://a.example/u/7",
		BAZAAR(INFO_GET, ",'routeTemplate':'/../x'"),
		"http://a.example/u/7");
	assert_key("http://a.example/u/7",
		BAZAAR(INFO_GET, ",'routeTemplate':7"), "http://a.example/u/7");
	assert_key("https://m.example/sse?x=1#y", BAZAAR(INFO_MCP("t"), ""),
		"https://m.example/sse?x=1#t");
}

static void test_bazaar_nothing_declared_is_not_found(void **state)
{
	struct x402_bazaar_entry entry;
	static const char *const cases[] = {
		"null", "{}", "{'bazaar':null}", "{'other':{}}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(read_v2("{'url':'http://a.example/'}",
					 cases[i], NULL, &entry),
			X402_ERR_NOT_FOUND);
}

static void test_bazaar_refuses_and_says_why(void **state)
{
#define GOOD_URL "{'url':'http://a.example/'}"
	static const struct {
		const char *resource;
		const char *extensions;
		const char *field;
	} cases[] = {
		{GOOD_URL, "{'bazaar':7}", "info"},
		{GOOD_URL, "{'bazaar':{}}", "info"},
		{GOOD_URL, "{'bazaar':{'info':{}}}", "schema"},
		{GOOD_URL, "{'bazaar':{'info':{},'schema':true}}", "schema"},
		{GOOD_URL, "{'bazaar':{'info':{},'schema':{'$ref':'x'}}}",
			"schema"},
		{GOOD_URL,
			"{'bazaar':{'info':{},'schema':{'required':["
			"'input']}}}",
			"input"},
		{GOOD_URL, BAZAAR("{}", ""), "info.input.type"},
		{GOOD_URL, BAZAAR("{'input':{'type':'ftp'}}", ""),
			"info.input.type"},
		{GOOD_URL,
			BAZAAR("{'input':{'type':'http','method':'PAY'}}", ""),
			"info.input.method"},
		{GOOD_URL, BAZAAR("{'input':{'type':'http','method':7}}", ""),
			"info.input.method"},
		{GOOD_URL, BAZAAR("{'input':{'type':'mcp'}}", ""),
			"info.input.toolName"},
		{GOOD_URL, BAZAAR(INFO_MCP(""), ""), "info.input.toolName"},
		{GOOD_URL, BAZAAR(INFO_MCP("a\\nb"), ""),
			"info.input.toolName"},
		{GOOD_URL, BAZAAR(INFO_MCP("t\xc3\xa9"), ""),
			"info.input.toolName"},
		{GOOD_URL,
			BAZAAR("{'input':{'type':'mcp','toolName':'t'}}", ""),
			"info.input.inputSchema"},
		{"null", BAZAAR(INFO_GET, ""), "resource.url"},
		{"{}", BAZAAR(INFO_GET, ""), "resource.url"},
		{"{'url':7}", BAZAAR(INFO_GET, ""), "resource.url"},
		{"{'url':''}", BAZAAR(INFO_GET, ""), "resource.url"},
		{"{'url':'/x'}", BAZAAR(INFO_GET, ""), "resource.url"},
		{"{'url':'//a.example/'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'javascript:alert(1)'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'javascript://a.example/'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'file:///etc/passwd'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'http:///x'}", BAZAAR(INFO_GET, ""), "resource.url"},
		{"{'url':'http://u@a.example/'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'http://a.example:b@c/'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'http://a.example:99999/'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'http://a.example:/'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'http://[::1/'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'http://a.example/ x'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'http://a.example/\\n'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'http://a.example\\\\b/'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'http://a.example/<b>'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'http://b\xc3\xbc.example/'}", BAZAAR(INFO_GET, ""),
			"resource.url"},
		{"{'url':'mcp://u@tool/x'}", BAZAAR(INFO_MCP("t"), ""),
			"resource.url"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_bazaar_entry entry;
		struct x402_errinfo info = {"untouched", ""};

		assert_int_equal(read_v2(cases[i].resource, cases[i].extensions,
					 &info, &entry),
			X402_ERR_SCHEMA);
		assert_string_equal(info.field, cases[i].field);
		assert_true(strlen(info.text) > 0);
		assert_int_equal(read_v2(cases[i].resource, cases[i].extensions,
					 NULL, &entry),
			X402_ERR_SCHEMA);
	}
}

static void test_bazaar_url_cap_is_exact(void **state)
{
	struct x402_bazaar_entry entry;
	struct x402_buf buf = {0};
	char *resource;

	(void)state;
	for (size_t max = 2048; max <= 2049; max++) {
		x402_buf_add_str(&buf, "{'url':'http://a.example/");
		for (size_t i = strlen("http://a.example/"); i < max; i++)
			x402_buf_add_byte(&buf, 'a');
		x402_buf_add_str(&buf, "'}");
		resource = x402_buf_take_str(&buf);
		assert_int_equal(
			read_v2(resource, BAZAAR(INFO_GET, ""), NULL, &entry),
			max == 2048 ? X402_OK : X402_ERR_SCHEMA);
		if (max == 2048)
			x402_bazaar_entry_clear(&entry);
		free(resource);
	}
}

static void test_route_template_rules(void **state)
{
	static const char *const good[] = {"/a", "/users/:id", "/a/b.c-d_e~f",
		"/%41", "/a:b", "/a.b", "/%7Bx%7D"};
	static const char *const bad[] = {"", "/", "a", "users/:id", "/..",
		"/a/../b", "/%2e%2e", "/.%2E", "/a://b", "/a%3A%2F%2Fb", "/a b",
		"/a?b", "/a#b", "/a{b}", "/a*", "/%", "/%4", "/%zz", "/%00",
		"/%0a", "/a\\b", "/\xc3\xa9", "/a\n", "/a,b", "/@a"};
	char long_one[2100];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(x402_bazaar_route_template_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (x402_bazaar_route_template_valid(bad[i]))
			fail_msg("%s is taken", bad[i]);
	}
	assert_false(x402_bazaar_route_template_valid(NULL));
	memset(long_one, 'a', sizeof(long_one));
	long_one[0] = '/';
	long_one[sizeof(long_one) - 1] = '\0';
	assert_false(x402_bazaar_route_template_valid(long_one));
}

/* Reads the metadata of a resource with these members. */
static void assert_metadata(const char *members, const char *expected)
{
	struct x402_bazaar_entry entry;
	struct x402_buf buf = {0};
	char *resource;

	x402_buf_printf(&buf, "{'url':'http://a.example/',%s}", members);
	resource = x402_buf_take_str(&buf);
	assert_int_equal(
		read_v2(resource, BAZAAR(INFO_GET, ""), NULL, &entry), X402_OK);
	if (expected)
		assert_json_take(x402_json_ref(entry.metadata), expected);
	else
		assert_null(entry.metadata);
	x402_bazaar_entry_clear(&entry);
	free(resource);
}

static void test_metadata_keeps_what_holds(void **state)
{
	(void)state;
	assert_metadata("'serviceName':'Weather','tags':['A','b','a',7,'',"
			"'c','d','e','f'],'iconUrl':'https://a.example/i.png'",
		"{'serviceName':'Weather','tags':['A','b','c','d','e'],"
		"'iconUrl':'https://a.example/i.png'}");
	assert_metadata("'description':'a\\nb \xc3\xa9'",
		"{'description':'a\\nb \xc3\xa9'}");
	assert_metadata("'serviceName':'12345678901234567890123456789012'",
		"{'serviceName':'12345678901234567890123456789012'}");
}

static void test_metadata_drops_the_rest(void **state)
{
	static const char *const cases[] = {
		"'serviceName':'123456789012345678901234567890123'",
		"'serviceName':''",
		"'serviceName':'caf\xc3\xa9'",
		"'serviceName':'a\\u0007'",
		"'serviceName':{}",
		"'tags':'a'",
		"'tags':[]",
		"'tags':['123456789012345678901234567890123']",
		"'tags':['\xc3\xa9']",
		"'description':''",
		"'description':'a\\u001b[2J'",
		"'description':'\xc2\x9b'",
		"'description':7",
		"'mimeType':''",
		"'mimeType':'a\\r\\nb'",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_metadata(cases[i], NULL);
}

static void test_icon_must_be_on_a_named_host(void **state)
{
	static const char *const good[] = {"http://a.example/i.png",
		"https://xn--bcher-kva.example/", "https://a.example:8443/i",
		"https://1.a.example/", "https://a.example./",
		"https://0x.example/"};
	static const char *const bad[] = {"", "i.png", "//a.example/i",
		"ftp://a.example/i", "data:image/png;base64,AA",
		"javascript://a.example/", "http://u@a.example/",
		"http://u:p@a.example/", "http://127.0.0.1/",
		"http://127.0.0.1./", "http://[::1]/", "http://2130706433/",
		"http://0x7f000001/", "http://0x7f.1/", "http://127.1/",
		"http://0177.0.0.1/", "http://a.example.1/", "http://a.0x7F/",
		"http://a.0x/", "http://localhost/", "http://LocalHost/",
		"http://localhost./", "http://a.localhost/",
		"http://%6cocalhost/", "http://127%2e0.0.1/", "http://a..b/",
		"http://.a/", "http://a_b.example/", "http:///i",
		"http://\xef\xbc\x91.example/", "http://b\xc3\xbc.example/",
		"http://a.example/\xc3\xa9"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct x402_buf member = {0};
		struct x402_buf expected = {0};

		x402_buf_printf(&member, "'iconUrl':'%s'%c", good[i], 0);
		x402_buf_printf(&expected, "{'iconUrl':'%s'}%c", good[i], 0);
		assert_metadata((char *)member.ptr, (char *)expected.ptr);
		x402_buf_clear(&member);
		x402_buf_clear(&expected);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402_buf member = {0};

		print_message("%s\n", bad[i]);
		x402_buf_printf(&member, "'iconUrl':'%s'%c", bad[i], 0);
		assert_metadata((char *)member.ptr, NULL);
		x402_buf_clear(&member);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bazaar_http_entry),
		cmocka_unit_test(test_bazaar_mcp_entry),
		cmocka_unit_test(test_bazaar_v1_entry_needs_discoverable),
		cmocka_unit_test(test_bazaar_names_a_place_in_one_way),
		cmocka_unit_test(test_bazaar_nothing_declared_is_not_found),
		cmocka_unit_test(test_bazaar_refuses_and_says_why),
		cmocka_unit_test(test_bazaar_url_cap_is_exact),
		cmocka_unit_test(test_route_template_rules),
		cmocka_unit_test(test_metadata_keeps_what_holds),
		cmocka_unit_test(test_metadata_drops_the_rest),
		cmocka_unit_test(test_icon_must_be_on_a_named_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
