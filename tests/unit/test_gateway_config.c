/* The gateway's configuration: what is right is read, what is wrong is named
 * with file, line, what was expected and what came. */
#include "cmocka_house.h"

#include <stdio.h>

#include "gateway_config_p.h"

/* Files that hold secrets, by name. */
static char *read_secret(
	void *user, const char *path, struct x402_errinfo *info)
{
	(void)user;
	if (strcmp(path, "secret") == 0)
		return strdup("hush");
	if (strcmp(path, "header") == 0)
		return strdup("X-Api-Key: hush");
	if (strcmp(path, "no-header") == 0)
		return strdup("hush");
	x402_errinfo_set(info, "", "others may read it");
	return NULL;
}

static const struct gw_config_files files = {.read_secret = read_secret};

static enum x402_err read_text(const char *text, struct x402_errinfo *info,
	struct gw_config **ret_config)
{
	struct gw_config *config = gw_config_new();
	enum x402_err err;

	assert_non_null(config);
	memset(info, 0, sizeof(*info));
	err = gw_config_read("shop.conf", text, &files, info, config);
	if (err == X402_OK)
		err = gw_config_check(config, info);
	if (err == X402_OK)
		*ret_config = config;
	else
		gw_config_free(config);
	return err;
}

static struct gw_config *good(const char *text)
{
	struct gw_config *config = NULL;
	struct x402_errinfo info;

	if (read_text(text, &info, &config) != X402_OK)
		fail_msg("%s", info.text);
	return config;
}

#define UPSTREAM "upstream \"app\" { url = \"http://127.0.0.1:9000\" }\n"
#define MONEY                                             \
	"price = \"$0.01\"\nnetwork = \"eip155:84532\"\n" \
	"pay_to = \"0x90F79bf6EB2c4f870365E785982E1f101E93b906\"\n"

static void a_small_file_gets_the_defaults(void **state)
{
	struct gw_config *config = good(UPSTREAM MONEY);
	const struct gw_config_upstream *upstream = &config->upstreams[0];

	(void)state;
	assert_string_equal(config->listen.host, "127.0.0.1");
	assert_int_equal(config->listen.port, 8402);
	assert_false(config->has_admin);
	assert_int_equal(config->settle, X402_PROVIDER_SETTLE_AFTER);
	assert_true(config->v1);
	assert_int_equal(config->body_max, 1 << 30);
	assert_int_equal(config->upstreams_len, 1);
	assert_string_equal(upstream->name, "app");
	assert_string_equal(upstream->url, "http://127.0.0.1:9000");
	assert_int_equal(upstream->breaker_failures, 5);
	assert_null(upstream->oauth.token_url);
	assert_null(upstream->health_path);
	assert_string_equal(config->price, "$0.01");
	gw_config_free(config);
}

static const char whole[] =
	"# everything\n"
	"listen = \"[::1]:443\"\n"
	"admin_listen = \"127.0.0.1:9402\"\n"
	"tls_certificate = \"cert.pem\" tls_key = \"key.pem\"\n"
	"public_origin = \"https://shop.example\"\n"
	"trusted_proxies = {\"10.0.0.0/8\", \"::1\"}\n"
	"facilitators = {\"https://f.example/x402\", "
	"\"http://127.0.0.1:4022\"}\n"
	"facilitator_authorization_file = \"secret\"\n"
	"journal = \"/var/lib/x402/gateway.sqlite\"\n"
	"cors_origin = \"*\" v1 = false page = true page_name = 'Shop'\n"
	"page_accent = \"#a0f\" resolver = \"127.0.0.1:53\"\n"
	"settle = before\n"
	"body_max = 1000000 access_log = false\n"
	"upstream \"app\" {\n"
	"  url = \"https://app.internal:8443\" host = \"app.example\"\n"
	"  headers = {\"X-Shop: one\", \"X-Other: two\"}\n"
	"  header_files = {\"header\"}\n"
	"  health_path = \"/health?deep=1\" health_interval_ms = 250\n"
	"  breaker_failures = 0\n"
	"  oauth { token_url = \"https://id.example/token\"\n"
	"    client_id = \"shop\" client_secret_file = \"secret\"\n"
	"    scope = \"a b\" secret_in_body = true early_s = 5 }\n"
	"}\n"
	"upstream \"other\" { url = \"http://[::1]\" }\n"
	"route \"GET /free/*\" { free = true }\n"
	"route \"GET /articles/[slug]\" {\n"
	"  upstream = \"other\" description = \"An article\"\n"
	"  pass_s = 600 pass_scope = site siwx_s = 60 free_per_day = 3\n"
	"  crawlers_only = true identifier = required settle = reserve\n"
	"  holder { rpc_url = \"https://rpc.example\" token = \"0x1\" }\n"
	"  holder { rpc_url = \"https://rpc.example\" token = \"0x2\" "
	"min = \"5\" }\n"
	"}\n"
	"route \"/api/*\" { amount = \"1000\" asset = \"0x3\" "
	"extra_json = '{\"name\":\"Coin\",\"version\":\"2\"}' }\n"
	"crawler \"GPTBot\" { policy = block }\n"
	"crawler \"Googlebot\" { policy = allow hosts = {\".googlebot.com\"}\n"
	"  networks = {\"192.0.2.0/24\"} }\n"
	"crawler \"SignedBot\" { directory = \"https://bot.example\" }\n"
	"rate_address { requests = 100 window_s = 60 }\n"
	"rate_key { header = X-Api-Key requests = 10 window_s = 1 }\n" MONEY;

static void a_whole_file_is_read(void **state)
{
	struct gw_config *config = good(whole);
	const struct gw_config_upstream *app = &config->upstreams[0];
	const struct gw_config_route *route = &config->routes[1];

	(void)state;
	assert_string_equal(config->listen.host, "::1");
	assert_int_equal(config->listen.port, 443);
	assert_true(config->has_admin);
	assert_string_equal(config->tls_key, "key.pem");
	assert_int_equal(config->trusted_proxies.len, 2);
	assert_string_equal(config->trusted_proxies.list[1], "::1");
	assert_int_equal(config->facilitators_len, 2);
	assert_string_equal(config->facilitator_authorization, "hush");
	assert_false(config->v1);
	assert_string_equal(config->page_accent, "#a0f");
	assert_int_equal(config->settle, X402_PROVIDER_SETTLE_BEFORE);
	assert_false(config->access_log);

	assert_int_equal(app->headers_len, 3);
	assert_string_equal(app->headers[2], "X-Api-Key: hush");
	assert_int_equal(app->health_interval_ms, 250);
	assert_int_equal(app->breaker_failures, 0);
	assert_string_equal(app->oauth.client_secret, "hush");
	assert_string_equal(app->oauth.scope, "a b");
	assert_true(app->oauth.secret_in_body);
	assert_int_equal(app->oauth.early_s, 5);
	assert_string_equal(config->upstreams[1].url, "http://[::1]");

	assert_int_equal(config->routes_len, 3);
	assert_true(config->routes[0].free);
	assert_string_equal(route->pattern, "GET /articles/[slug]");
	assert_string_equal(route->upstream, "other");
	assert_int_equal(route->pass_s, 600);
	assert_int_equal(route->pass_scope, X402_PROVIDER_SCOPE_SITE);
	assert_int_equal(route->identifier, X402_PROVIDER_IDENTIFIER_REQUIRED);
	assert_true(route->has_settle);
	assert_int_equal(route->settle, X402_PROVIDER_SETTLE_RESERVE);
	assert_int_equal(route->holders_len, 2);
	assert_string_equal(route->holders[1].min, "5");
	assert_false(config->routes[2].has_settle);
	assert_string_equal(config->routes[2].extra_json,
		"{\"name\":\"Coin\",\"version\":\"2\"}");

	assert_int_equal(config->crawlers_len, 3);
	assert_int_equal(config->crawlers[0].policy, X402_PROVIDER_BLOCK);
	assert_string_equal(
		config->crawlers[1].hosts.list[0], ".googlebot.com");
	assert_int_equal(config->crawlers[2].policy, X402_PROVIDER_CHARGE);
	assert_int_equal(config->rate_address.requests, 100);
	assert_int_equal(config->rate_key.window_s, 1);
	assert_string_equal(config->rate_key_header, "X-Api-Key");
	gw_config_free(config);
}

static void environment_is_put_in(void **state)
{
	struct gw_config *config;

	(void)state;
	assert_int_equal(setenv("X402_TEST_URL", "http://127.0.0.1:1", 1), 0);
	config = good(MONEY "upstream \"a\" { url = \"${X402_TEST_URL}\" }");
	assert_string_equal(config->upstreams[0].url, "http://127.0.0.1:1");
	gw_config_free(config);
}

/* Each is wrong in one place; the line and what is expected must be said. */
static const struct {
	const char *text;
	const char *says;
} wrong[] = {
	{"lisen = \":1\"\n" UPSTREAM MONEY, "shop.conf:1: no such option"},
	{UPSTREAM MONEY "\nprize = 1", "shop.conf:6: no such option"},
	{"listen = \"localhost:80\"",
		"shop.conf:1: listen: expected \"host:port\" or \":port\", got "
		"\"localhost:80\""},
	{"\n\nlisten = \"127.0.0.1:65536\"", "shop.conf:3: listen: expected"},
	{"listen = \"127.0.0.1\"", "listen: expected"},
	{"listen = \"[127.0.0.1]:1\"", "listen: expected"},
	{"listen = \"::1:80\"", "listen: expected"},
	{"listen = \"[]:80\"", "listen: expected"},
	{"listen = \"\"", "listen: expected"},
	{"listen = {\":1\"}", "shop.conf:1:"},
	{"connections_max = 0",
		"shop.conf:1: connections_max: expected a number from 1 to "
		"100000, got 0"},
	{"connections_max = -1", "connections_max: expected"},
	{"connections_max = 100001", "connections_max: expected"},
	{"connections_max = many", "shop.conf:1:"},
	{"connections_max = 99999999999999999999", "shop.conf:1:"},
	{"body_max = 1.5", "shop.conf:1:"},
	{"v1 = perhaps", "shop.conf:1:"},
	{"settle = later", "settle: expected after, before or reserve, got"},
	{"public_origin = \"shop.example\"", "public_origin: expected"},
	{"public_origin = \"https://shop.example/\"",
		"public_origin: expected"},
	{"public_origin = \"https://a@b\"", "public_origin: expected"},
	{"public_origin = \"ftp://a\"", "public_origin: expected"},
	{"public_origin = \"https://a:b\"", "public_origin: expected"},
	{"public_origin = \"https://:80\"", "public_origin: expected"},
	{"trusted_proxies = {\"10.0.0.0/8\", \"proxy\"}",
		"trusted_proxies: expected addresses and networks such as "
		"\"192.0.2.0/24\", got \"proxy\""},
	{"trusted_proxies = {\"10.0.0.0/\"}", "trusted_proxies: expected"},
	{"facilitators = {\"f.example\"}", "facilitators: expected"},
	{"\nfacilitator_authorization_file = \"open\"\nfacilitators = "
	 "{\"http://a\"}",
		"shop.conf:2: open: others may read it"},
	{"page_accent = \"red\"", "page_accent: expected"},
	{"upstream \"a\" {\n url = \"http://127.0.0.1:9000/path\" }",
		"shop.conf:2: url: expected http:// or https:// and a host, "
		"nothing after it, got"},
	{"upstream \"a\" { url = \"unix:/x\" }", "url: expected"},
	{"upstream { url = \"http://a\" }", "shop.conf:1:"},
	{"upstream \"\" { url = \"http://a\" }", "expected a title"},
	{"upstream \"a\" {}" MONEY, "upstream \"a\": url is missing"},
	{UPSTREAM UPSTREAM, "shop.conf:2:"},
	{"upstream \"a\" { headers = {\"X: a\", \"hush\"} }",
		"headers: expected \"Name: value\" with a name that is not the "
		"gateway's own, in entry 2"},
	{"upstream \"a\" { headers = {\"Host: a\"} }", "headers: expected"},
	{"upstream \"a\" { headers = {\"content-LENGTH: 1\"} }",
		"headers: expected"},
	{"upstream \"a\" { headers = {\"X-PAYMENT: 1\"} }",
		"headers: expected"},
	{"upstream \"a\" { headers = {\"A B: 1\"} }", "headers: expected"},
	{"upstream \"a\" { headers = {\"A: b\\r\\nC: d\"} }",
		"headers: expected"},
	{"upstream \"a\" { headers = {\": b\"} }", "headers: expected"},
	{"upstream \"a\" { header_files = {\"no-header\"} }",
		"no-header: expected \"Name: value\""},
	{"upstream \"a\" { health_path = \"health\" }",
		"health_path: expected a path"},
	{"upstream \"a\" { oauth { token_url = \"http://id.example/t\" } }",
		"token_url: expected https:// and a host, or http:// to this "
		"machine"},
	{"upstream \"a\" { oauth { token_url = \"http://127.0.0.1.evil/t\" } }",
		"token_url: expected"},
	{"upstream \"a\" { oauth { token_url = \"http://localhost@evil/\" } }",
		"token_url: expected"},
	{"upstream \"a\" { url = \"http://a\" oauth { token_url = "
	 "\"http://localhost/t\" client_id = \"i\" } }" MONEY,
		"upstream \"a\": oauth: expected token_url, client_id and "
		"client_secret_file, all three"},
	{"upstream \"a\" { oauth { } oauth { } }", "expected one oauth"},
	{"upstream \"a\" { oauth { client_secret = \"x\" } }",
		"no such option 'client_secret'"},
	{MONEY, "shop.conf: expected an upstream section"},
	{UPSTREAM, "shop.conf: expected price or a route section"},
	{UPSTREAM "price = \"$1\"", "price: expected network and pay_to"},
	{UPSTREAM MONEY "tls_key = \"k\"",
		"expected tls_certificate and tls_key, both"},
	{UPSTREAM MONEY "facilitator_authorization_file = \"secret\"",
		"expected facilitators"},
	{UPSTREAM "route \"/a\" { }",
		"shop.conf:2: route \"/a\": expected "
		"price, or free = true"},
	{UPSTREAM "route \"/a\" { price = \"$1\" }",
		"route \"/a\": network is missing"},
	{UPSTREAM "route \"/a\" { price = \"$1\" network = \"eip155:1\" }",
		"route \"/a\": pay_to is missing"},
	{UPSTREAM MONEY "route \"/a\" { free = true price = \"$1\" }",
		"expected a price or free = true, got both"},
	{UPSTREAM MONEY "route \"/a\" { amount = \"1\" }",
		"expected amount and asset, both"},
	{UPSTREAM MONEY "route \"/a\" { price = \"$1\" amount = \"1\" asset = "
			"\"0x1\" }",
		"expected price or amount, got both"},
	{UPSTREAM MONEY "route \"/a\" { upstream = \"b\" }",
		"no upstream section \"b\""},
	{UPSTREAM MONEY "route \"/a\" { free = true }\nroute \"/a\" { }",
		"shop.conf:6:"},
	{UPSTREAM MONEY "route \"/a\" { holder { token = \"0x1\" } }",
		"holder: expected rpc_url and token, both"},
	{UPSTREAM MONEY "route \"/a\" { holder {} holder {} holder {} "
			"holder {} holder {} }",
		"route: expected at most 4 holders, got 5"},
	{"route \"/a\" { identifier = maybe }", "identifier: expected off"},
	{"route \"/a\" { pass_scope = all }", "pass_scope: expected resource"},
	{"crawler \"A\" { policy = welcome }",
		"policy: expected charge, allow or block, got \"welcome\""},
	{"crawler \"A\" { hosts = {\"googlebot.com\"} }", "hosts: expected"},
	{"crawler \"A\" { networks = {\"here\"} }", "networks: expected"},
	{"rate_address { requests = 1 }",
		"rate_address: expected requests and window_s, both"},
	{"rate_address { requests = 1 window_s = 1 }\n"
	 "rate_address { requests = 1 window_s = 1 }",
		"expected one rate_address section"},
	{"rate_key { requests = 1 window_s = 1 }", "rate_key: expected header"},
	{"rate_key { header = \"a b\" }", "header: expected a header's name"},
	{"price = \"$0.01", "premature end of file"},
	{"upstream \"a\" {", "shop.conf:2: expected }, got the end"},
	{UPSTREAM MONEY "route \"/a\" { free = true",
		"expected }, got the end"},
	{UPSTREAM MONEY "/* {", "expected the end of a comment"},
	{"}", "shop.conf:1:"},
	{"=", "shop.conf:1:"},
};

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct gw_config *config = NULL;
		struct x402_errinfo info;
		enum x402_err err = read_text(wrong[i].text, &info, &config);

		if (err != X402_ERR_INVALID_ARGUMENT ||
			strncmp(info.text, "shop.conf:", 10) != 0 ||
			!strstr(info.text, wrong[i].says))
			fail_msg("%s\nsays %d: %s\nexpected %s", wrong[i].text,
				(int)err, info.text, wrong[i].says);
	}
}

static void secrets_are_never_said(void **state)
{
	static const char *const texts[] = {
		"upstream \"a\" { headers = {\"Authorization hush\"} }",
		"upstream \"a\" { header_files = {\"no-header\"} }",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct gw_config *config = NULL;
		struct x402_errinfo info;

		assert_int_equal(read_text(texts[i], &info, &config),
			X402_ERR_INVALID_ARGUMENT);
		assert_null(strstr(info.text, "hush"));
	}
}

static void without_files_no_secret_is_read(void **state)
{
	struct gw_config *config = gw_config_new();
	struct x402_errinfo info = {.text = ""};

	(void)state;
	assert_int_equal(gw_config_read("a",
				 "upstream \"a\" { header_files = "
				 "{\"header\"} }",
				 NULL, &info, config),
		X402_ERR_INVALID_ARGUMENT);
	gw_config_free(config);
}

static void command_line_is_checked_without_a_file(void **state)
{
	struct gw_config *config = gw_config_new();
	struct x402_errinfo info = {.text = ""};

	(void)state;
	assert_int_equal(
		gw_config_check(config, &info), X402_ERR_INVALID_ARGUMENT);
	assert_string_equal(
		info.text, "expected an upstream section, or --upstream URL");
	gw_config_free(config);
	gw_config_free(NULL);
}

static void what_the_provider_says_gets_its_line(void **state)
{
	struct gw_config *config = good(
		UPSTREAM MONEY "route \"/a\" { free = true }\n"
			       "route \"/b\" { }\ncrawler \"Bot\" { }\n");
	struct x402_errinfo info;

	(void)state;
	x402_errinfo_set(&info, "routes[1].prices[0].network", "expected CAIP");
	gw_config_locate(config, &info);
	assert_string_equal(
		info.text, "shop.conf:6: route \"/b\": expected CAIP");
	x402_errinfo_set(&info, "crawlers[0]", "no");
	gw_config_locate(config, &info);
	assert_string_equal(info.text, "shop.conf:7: crawler \"Bot\": no");
	x402_errinfo_set(&info, "routes[2].prices[0]", "pay_to: expected 0x");
	gw_config_locate(config, &info);
	assert_string_equal(info.text, "shop.conf: pay_to: expected 0x");
	x402_errinfo_set(&info, "routes[9]", "no");
	gw_config_locate(config, &info);
	assert_string_equal(info.text, "shop.conf: routes[9]: no");
	x402_errinfo_set(&info, "public_origin", "no");
	gw_config_locate(config, &info);
	assert_string_equal(info.text, "shop.conf: public_origin: no");
	gw_config_free(config);
}

static void every_key_of_the_table_is_read(void **state)
{
	(void)state;
	assert_true(gw_keys_len <= 128);
	for (size_t i = 0; i < gw_keys_len; i++) {
		const struct gw_key *key = &gw_keys[i];

		assert_ptr_equal(gw_key_find(key->section, key->name), key);
		if (key->kind == GW_KEY_U32 || key->kind == GW_KEY_U64)
			assert_true(key->min <= key->max);
		else if (key->kind != GW_KEY_FLAG)
			assert_true(key->good && key->expected);
	}
	assert_null(gw_key_find("upstream", "listen"));
	assert_null(gw_key_find("", "url"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_file_gets_the_defaults),
		cmocka_unit_test(a_whole_file_is_read),
		cmocka_unit_test(environment_is_put_in),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(secrets_are_never_said),
		cmocka_unit_test(without_files_no_secret_is_read),
		cmocka_unit_test(command_line_is_checked_without_a_file),
		cmocka_unit_test(what_the_provider_says_gets_its_line),
		cmocka_unit_test(every_key_of_the_table_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
