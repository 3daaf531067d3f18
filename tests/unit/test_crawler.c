/*
 * Crawlers and holders: a name, an address in a header, or a signature made for
 * somebody else opens nothing. Signatures by node's own crypto, over the wire,
 * are in tests/system/provider_attacks.test.mjs.
 */
#include "crawler_p.h"
#include "gate_house.h"

#define DIRECTORY "https://crawler.example"

static const char *const networks[] = {"192.0.2.0/24"};
static const char *const hosts[] = {".good.example"};
static const struct x402_provider_crawler crawlers[] = {
	{.user_agent = "ListBot",
		.policy = X402_PROVIDER_ALLOW,
		.networks = networks,
		.networks_len = 1},
	{.user_agent = "NameBot",
		.policy = X402_PROVIDER_ALLOW,
		.hosts = hosts,
		.hosts_len = 1},
	{.user_agent = "KeyBot",
		.policy = X402_PROVIDER_ALLOW,
		.directory = DIRECTORY},
	{.user_agent = "BadBot", .policy = X402_PROVIDER_BLOCK},
	{.user_agent = "PayBot", .policy = X402_PROVIDER_CHARGE},
};
static const struct x402_provider_holder holders[] = {
	{.rpc_url = "https://rpc.example/one",
		.token = "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
		.min = "1000"},
	{.rpc_url = "https://rpc.example/two",
		.token = "0x5FbDB2315678afecb367f032d93F642f64180aa3"}};
static const struct x402_provider_holder cheaper = {
	.rpc_url = "https://rpc.example/three",
	.token = "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
	.price = "$0.001"};
static const struct x402_provider_crawler route_crawlers[] = {
	{.user_agent = "ListBot", .policy = X402_PROVIDER_BLOCK}};
static const struct x402_provider_route routes[] = {
	{.pattern = "GET /page/[slug]",
		.prices = &house_cent,
		.prices_len = 1,
		.description = "A page",
		.crawlers_only = true},
	{.pattern = "GET /all", .prices = &house_cent, .prices_len = 1},
	{.pattern = "GET /own/*",
		.prices = &house_cent,
		.prices_len = 1,
		.crawlers = route_crawlers,
		.crawlers_len = 1},
	{.pattern = "GET /held",
		.prices = &house_cent,
		.prices_len = 1,
		.holders = holders,
		.holders_len = 2},
	{.pattern = "GET /free"},
	{.pattern = "GET /less",
		.prices = &house_cent,
		.prices_len = 1,
		.holders = &cheaper,
		.holders_len = 1},
};

static void open_shop(struct house *house)
{
	struct x402_provider_options options = {
		.public_origin = "https://Shop.example",
		.routes = routes,
		.routes_len = ARRAY_LEN(routes),
		.crawlers = crawlers,
		.crawlers_len = ARRAY_LEN(crawlers),
	};

	house_open_with(house, &options);
}

struct visit {
	const char *target;
	const char *agent;
	const char *peer;
	const char *peer_name;
	struct house_request headers;
};

static enum x402_gate_action come(struct house *house, struct visit visit)
{
	size_t n = 0;
	struct x402_gate_request request = {.method = "GET",
		.target = x402_span_str(visit.target),
		.header = house_header,
		.header_user = &visit.headers,
		.now_unix_s = visit.headers.now ? visit.headers.now : NOW,
		.peer = visit.peer,
		.peer_name = visit.peer_name};

	while (visit.headers.names[n])
		n++;
	if (visit.agent) {
		visit.headers.names[n] = "User-Agent";
		visit.headers.values[n] = visit.agent;
	}
	x402_gate_free(house->gate);
	assert_int_equal(x402_gate_new(house->provider, &house->gate), X402_OK);
	x402_gate_begin(house->gate, &request, &house->decision);
	return house->decision.action;
}

static void test_crawler_people_go_free_where_only_crawlers_pay(void **state)
{
	struct house house;

	(void)state;
	open_shop(&house);
	assert_int_equal(come(&house,
				 (struct visit){.target = "/page/a",
					 .agent = "Mozilla/5.0 Firefox"}),
		X402_GATE_PASS);
	assert_int_equal(
		x402_gate_access_of(house.gate), X402_GATE_ACCESS_PERSON);
	assert_int_equal(come(&house,
				 (struct visit){.target = "/page/a",
					 .agent = "SomeBot/1.0"}),
		X402_GATE_ANSWER);
	assert_string_equal(
		decision_header(&house.decision, "crawler-price"), "USD 0.01");
	/* Where everybody pays, everybody pays. */
	assert_int_equal(come(&house,
				 (struct visit){.target = "/all",
					 .agent = "Mozilla/5.0 Firefox"}),
		X402_GATE_ANSWER);
	assert_null(decision_header(&house.decision, "crawler-price"));
	house_close(&house);
}

static void test_crawler_name_alone_opens_nothing(void **state)
{
	static const struct visit visits[] = {
		{.target = "/page/a", .agent = "ListBot"},
		{.target = "/page/a",
			.agent = "ListBot",
			.peer = "192.0.3.1",
			.peer_name = "x.good.example"},
		{.target = "/page/a", .agent = "NameBot", .peer = "192.0.2.1"},
		{.target = "/page/a",
			.agent = "NameBot",
			.peer_name = "notgood.example"},
		{.target = "/page/a",
			.agent = "NameBot",
			.peer_name = "good.example.evil.example"},
		{.target = "/page/a", .agent = "KeyBot", .peer = "192.0.2.1"},
		{.target = "/page/a", .agent = "PayBot", .peer = "192.0.2.1"}};
	struct house house;

	(void)state;
	open_shop(&house);
	for (size_t i = 0; i < ARRAY_LEN(visits); i++) {
		if (come(&house, visits[i]) != X402_GATE_ANSWER ||
			house.decision.status != 402)
			fail_msg("visit %zu", i);
	}
	house_close(&house);
}

static void test_crawler_known_by_place(void **state)
{
	struct house house;

	(void)state;
	open_shop(&house);
	assert_int_equal(come(&house,
				 (struct visit){.target = "/all",
					 .agent = "x listbot/2",
					 .peer = "192.0.2.9"}),
		X402_GATE_PASS);
	assert_int_equal(
		x402_gate_access_of(house.gate), X402_GATE_ACCESS_CRAWLER);
	assert_int_equal(come(&house,
				 (struct visit){.target = "/all",
					 .agent = "NameBot",
					 .peer = "203.0.113.1",
					 .peer_name = "crawl-1.Good.example"}),
		X402_GATE_PASS);
	/* The route's own list goes before the shop's. */
	come(&house,
		(struct visit){.target = "/own/a",
			.agent = "ListBot",
			.peer = "192.0.2.9"});
	assert_int_equal(house.decision.status, 403);
	house_close(&house);
}

static void test_crawler_blocked_also_with_money(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	open_shop(&house);
	payment = house_pay(&house, "/all");
	come(&house,
		(struct visit){.target = "/all",
			.agent = "BadBot",
			.headers = {.names = {X402_HEADER_PAYMENT_SIGNATURE},
				.values = {payment}}});
	assert_int_equal(house.decision.status, 403);
	assert_string_equal(decision_header(&house.decision, "crawler-error"),
		"CrawlerForbidden");
	free(payment);
	house_close(&house);
}

/* ---- Web Bot Auth. ---- */

struct bot {
	struct x402_svm_secret secret;
	char x[64];
	char keyid[64];
	char directory[256];
};

static void url64(struct x402_span bytes, char *out)
{
	struct x402_buf text = {0};
	size_t n = 0;

	x402_base64_encode(bytes, &text);
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] != '=')
			out[n++] = text.ptr[i] == '+' ? '-'
				: text.ptr[i] == '/'  ? '_'
						      : (char)text.ptr[i];
	out[n] = '\0';
	x402_buf_clear(&text);
}

static void bot_init(struct bot *bot, uint8_t seed)
{
	char canonical[160];
	uint8_t hash32[32];
	uint8_t seed32[32] = {seed};

	assert_int_equal(
		x402_svm_secret_from_seed(seed32, &bot->secret), X402_OK);
	url64(x402_span(bot->secret.seed_and_key64 + 32, 32), bot->x);
	snprintf(canonical, sizeof(canonical),
		"{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", bot->x);
	x402_sha256(x402_span_str(canonical), hash32);
	url64(x402_span(hash32, 32), bot->keyid);
	snprintf(bot->directory, sizeof(bot->directory),
		"{\"keys\":[{\"kty\":\"RSA\"},{\"kty\":\"OKP\",\"crv\":"
		"\"Ed25519\",\"x\":\"%s\"}]}",
		bot->x);
}

struct signing {
	const char *authority;
	const char *agent;
	const char *tag;
	const char *components;
	uint64_t created;
	uint64_t expires;
	const char *extra;
};

/* Headers of a signed visit; into caller's buffers. */
static struct visit sign_visit(const struct bot *bot, const struct signing *how,
	char input[512], char signature[160])
{
	const char *agent = how->agent ? how->agent : "\"" DIRECTORY "\"";
	const char *components = how->components
		? how->components
		: "(\"@authority\" \"signature-agent\")";
	struct x402_buf text = {0};
	char base[1024];
	uint8_t sig64[64];

	snprintf(input, 512,
		"sig1=%s;created=%llu;expires=%llu;keyid=\"%s\";"
		"alg=\"ed25519\";nonce=\"abc\";tag=\"%s\"%s",
		components,
		(unsigned long long)(how->created ? how->created : NOW - 10),
		(unsigned long long)(how->expires ? how->expires : NOW + 60),
		bot->keyid, how->tag ? how->tag : "web-bot-auth",
		how->extra ? how->extra : "");
	snprintf(base, sizeof(base),
		"\"@authority\": %s\n\"signature-agent\": %s\n"
		"\"@signature-params\": %s",
		how->authority ? how->authority : "shop.example", agent,
		input + 5);
	assert_int_equal(
		x402_ed25519_sign(&bot->secret, x402_span_str(base), sig64),
		X402_OK);
	x402_base64_encode(x402_span(sig64, 64), &text);
	snprintf(
		signature, 160, "sig1=:%.*s:", (int)text.len, (char *)text.ptr);
	x402_buf_clear(&text);
	return (struct visit){.target = "/all",
		.agent = "KeyBot/1.0",
		.headers = {.names = {"Signature-Input", "Signature",
				    "Signature-Agent"},
			.values = {input, signature, agent}}};
}

static void test_botauth_opens_once(void **state)
{
	struct bot bot;
	struct house house;
	char input[512];
	char signature[160];
	struct visit visit;

	(void)state;
	bot_init(&bot, 1);
	open_shop(&house);
	visit = sign_visit(&bot, &(struct signing){0}, input, signature);
	assert_int_equal(come(&house, visit), X402_GATE_ASK);
	assert_string_equal(house.decision.ask.method, "GET");
	assert_string_equal(house.decision.ask.url,
		DIRECTORY "/.well-known/http-message-signatures-directory");
	assert_int_equal(
		house_answer(&house, 200, bot.directory), X402_GATE_PASS);
	assert_int_equal(
		x402_gate_access_of(house.gate), X402_GATE_ACCESS_CRAWLER);
	/* The keys are known now; the signature is used. */
	assert_int_equal(come(&house, visit), X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 402);
	visit = sign_visit(
		&bot, &(struct signing){.created = NOW - 9}, input, signature);
	assert_int_equal(come(&house, visit), X402_GATE_PASS);
	house_close(&house);
}

static void test_botauth_refuses_what_is_not_for_us(void **state)
{
	static const struct signing bad[] = {{.authority = "other.example"},
		{.tag = "x402"}, {.created = NOW + 600}, {.expires = NOW},
		{.expires = NOW - 1},
		{.created = NOW - 100000, .expires = NOW + 60},
		{.agent = "\"https://evil.example\""},
		{.agent = "https://crawler.example"},
		{.components = "(\"signature-agent\")"},
		{.components = "(\"@authority\")"},
		{.components = ("(\"@authority\" \"signature-agent\" "
				"\"x-unknown\")")},
		{.components = "(\"@authority\";req \"signature-agent\")"},
		{.components = "("}, {.extra = ",sig2=(\"@authority\")"},
		{.extra = ";x"}, {.extra = ";alg=\"rsa-v1_5-sha256\""}};
	struct bot bot;
	struct house house;

	(void)state;
	bot_init(&bot, 1);
	open_shop(&house);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char input[512];
		char signature[160];
		enum x402_gate_action action = come(
			&house, sign_visit(&bot, &bad[i], input, signature));

		if (action == X402_GATE_ASK)
			action = house_answer(&house, 200, bot.directory);
		if (action != X402_GATE_ANSWER || house.decision.status != 402)
			fail_msg("signing %zu", i);
	}
	house_close(&house);
}

static void test_botauth_needs_a_listed_key(void **state)
{
	static const char *const directories[] = {"", "{}", "{\"keys\":[]}",
		"{\"keys\":{}}", "[1]",
		("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}"
		 "]"
		 "}")};
	struct bot bot;
	struct bot other;

	(void)state;
	bot_init(&bot, 1);
	bot_init(&other, 2);
	for (size_t i = 0; i < ARRAY_LEN(directories) + 2; i++) {
		struct house house;
		char input[512];
		char signature[160];
		bool listed = i < ARRAY_LEN(directories);

		open_shop(&house);
		assert_int_equal(come(&house,
					 sign_visit(&bot, &(struct signing){0},
						 input, signature)),
			X402_GATE_ASK);
		assert_int_equal(
			house_answer(&house,
				i == ARRAY_LEN(directories) ? 500 : 200,
				listed ? directories[i]
					: i == ARRAY_LEN(directories)
					? bot.directory
					: other.directory),
			X402_GATE_ANSWER);
		assert_int_equal(house.decision.status, 402);
		/* Nor is it asked again with the next request. */
		assert_int_equal(come(&house,
					 sign_visit(&bot, &(struct signing){0},
						 input, signature)),
			X402_GATE_ANSWER);
		house_close(&house);
	}
}

static void test_crawlers_are_checked(void **state)
{
	static const char *const bad_hosts[] = {"example.com"};
	static const char *const bad_networks[] = {"example.com"};
	static const struct x402_provider_crawler bad[] = {
		{.user_agent = "Bot", .policy = X402_PROVIDER_ALLOW},
		{.policy = X402_PROVIDER_BLOCK},
		{.user_agent = "B", .policy = X402_PROVIDER_BLOCK},
		{.user_agent = "Bot", .hosts = bad_hosts, .hosts_len = 1},
		{.user_agent = "Bot",
			.networks = bad_networks,
			.networks_len = 1},
		{.user_agent = "Bot", .directory = "crawler.example"},
		{.user_agent = "Bot", .directory = "https://a.example/x"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402_provider_options options = house_options();
		struct x402_provider *provider = NULL;

		options.crawlers = &bad[i];
		options.crawlers_len = 1;
		assert_int_equal(x402_provider_new(&options, NULL, &provider),
			X402_ERR_INVALID_ARGUMENT);
	}
}

/* ---- Holders. ---- */

/* A proof of the house's key for the challenge of a target; caller frees. */
static char *prove(struct house *house, const char *target)
{
	struct x402_payment_required required;
	const struct x402_json *info;
	struct x402_json *proof = x402_json_new_object();
	struct x402_buf message = {0};
	struct x402_buf whole = {0};
	struct x402_buf hex = {0};
	uint8_t hash32[32];
	uint8_t sig65[65];
	char *header = NULL;
	char *text;

	assert_int_equal(house_get(house, target), X402_GATE_ANSWER);
	house_challenge(house, &required);
	info = x402_json_get(
		x402_json_get(required.extensions, "sign-in-with-x"), "info");
	assert_non_null(info);
	x402_buf_printf(&message,
		"%s wants you to sign in with your Ethereum account:\n%s\n\n"
		"%s\n\nURI: %s\nVersion: 1\nChain ID: 84532\nNonce: %s\n"
		"Issued At: %s\nExpiration Time: %s\nResources:\n- %s",
		x402_json_get_string(info, "domain"), house->payer_text,
		x402_json_get_string(info, "statement"),
		x402_json_get_string(info, "uri"),
		x402_json_get_string(info, "nonce"),
		x402_json_get_string(info, "issuedAt"),
		x402_json_get_string(info, "expirationTime"),
		x402_json_get_string(info, "uri"));
	x402_buf_printf(
		&whole, "%cEthereum Signed Message:\n%zu", 0x19, message.len);
	x402_buf_add(&whole, x402_buf_span(&message));
	x402_keccak256(x402_buf_span(&whole), hash32);
	assert_int_equal(
		x402_sign_digest(house->secp, hash32, &house->secret, sig65),
		X402_OK);
	x402_hex_encode_0x(x402_span(sig65, 65), &hex);
	text = x402_buf_take_str(&hex);
	assert_int_equal(x402_json_set_string(proof, "nonce",
				 x402_json_get_string(info, "nonce")),
		X402_OK);
	assert_int_equal(x402_json_set_string(proof, "chainId", "eip155:84532"),
		X402_OK);
	assert_int_equal(
		x402_json_set_string(proof, "address", house->payer_text),
		X402_OK);
	assert_int_equal(
		x402_json_set_string(proof, "signature", text), X402_OK);
	assert_int_equal(x402_header_encode(proof, &header), X402_OK);
	free(text);
	x402_buf_clear(&message);
	x402_buf_clear(&whole);
	x402_json_unref(proof);
	x402_payment_required_clear(&required);
	return header;
}

static enum x402_gate_action sign_in(struct house *house)
{
	char *proof = prove(house, "/held");
	enum x402_gate_action action = house_begin(house,
		&(struct house_request){.target = "/held",
			.names = {"SIGN-IN-WITH-X"},
			.values = {proof}});

	free(proof);
	return action;
}

#define WORD(end)                                                           \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x00000000000000000000" \
	"0000000000000000000000000000000000000000" end "\"}"

static void test_holder_goes_free_for_a_while(void **state)
{
	struct house house;

	(void)state;
	open_shop(&house);
	assert_int_equal(sign_in(&house), X402_GATE_ASK);
	assert_string_equal(house.decision.ask.url, "https://rpc.example/one");
	/* 999 of 1000, then one of the other. */
	assert_int_equal(
		house_answer(&house, 200, WORD("03e7")), X402_GATE_ASK);
	assert_string_equal(house.decision.ask.url, "https://rpc.example/two");
	assert_int_equal(
		house_answer(&house, 200, WORD("0001")), X402_GATE_PASS);
	assert_int_equal(
		x402_gate_access_of(house.gate), X402_GATE_ACCESS_HOLDER);
	/* Known for a minute. */
	assert_int_equal(sign_in(&house), X402_GATE_PASS);
	house_close(&house);
}

static void test_holder_of_nothing_pays(void **state)
{
	static const char *const answers[] = {WORD("0000"), "{}", "<html>",
		"{\"error\":{\"code\":1}}", "{\"result\":\"0x1\"}",
		"{\"result\":\"0x\"}"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct house house;

		open_shop(&house);
		assert_int_equal(sign_in(&house), X402_GATE_ASK);
		assert_int_equal(
			house_answer(&house, 200, answers[i]), X402_GATE_ASK);
		assert_int_equal(house_transport(&house, X402_ERR_TIMEOUT),
			X402_GATE_ANSWER);
		assert_int_equal(house.decision.status, 402);
		house_close(&house);
	}
}

static void test_holder_address_in_a_header_is_nothing(void **state)
{
	struct house house;

	(void)state;
	open_shop(&house);
	assert_int_equal(
		house_begin(&house,
			&(struct house_request){.target = "/held",
				.names = {"SIGN-IN-WITH-X", "X-Address"},
				.values = {"e30=", PAY_TO}}),
		X402_GATE_ANSWER);
	assert_int_equal(house.decision.status, 402);
	house_close(&house);
}

/* ---- What is told to machines. ---- */

static void test_manifests_say_what_is_sold(void **state)
{
	struct x402_json *json = NULL;
	const struct x402_json *info;
	struct house house;
	char *text;

	(void)state;
	open_shop(&house);
	text = x402_provider_openapi(house.provider, "A \"shop\"");
	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	info = x402_json_get(
		x402_json_get(x402_json_get(x402_json_get(json, "paths"),
				      "/page/{slug}"),
			"get"),
		"x-payment-info");
	assert_string_equal(x402_json_get_string(info, "price"), "0.01");
	assert_null(x402_json_get(x402_json_get(json, "paths"), "/free"));
	x402_json_unref(json);
	free(text);
	text = x402_provider_well_known(house.provider);
	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	assert_int_equal(x402_json_size(x402_json_get(json, "resources")), 5);
	assert_string_equal(
		x402_json_get_string(
			x402_json_at(x402_json_get(json, "resources"), 0),
			"url"),
		"https://Shop.example/page/{slug}");
	x402_json_unref(json);
	free(text);
	text = x402_provider_robots(house.provider);
	assert_non_null(strstr(text,
		"User-agent: BadBot\nDisallow: /page/\nDisallow: /all\n"));
	assert_non_null(strstr(text, "User-agent: ListBot\nDisallow: /own/\n"));
	assert_null(strstr(text, "PayBot"));
	free(text);
	house_close(&house);
}

/* Only who could be opened by a name is looked up, and the client, not the
 * proxy in front. */
static void test_crawler_name_is_wanted_where_it_can_open(void **state)
{
	static const char *const proxies[] = {"10.0.0.0/8"};
	static const struct {
		const char *agent;
		const char *peer;
		const char *forwarded;
		const char *payment;
		const char *address; /* NULL: not wanted */
	} rows[] = {
		{"NameBot/1", "203.0.113.9", NULL, NULL, "203.0.113.9"},
		{"namebot", "::ffff:203.0.113.9", NULL, NULL, "203.0.113.9"},
		{"NameBot", "10.0.0.1", "203.0.113.9", NULL, "203.0.113.9"},
		{"NameBot", "203.0.113.9", "198.51.100.1", NULL, "203.0.113.9"},
		{"NameBot", "203.0.113.9", NULL, "x", NULL},
		{"NameBot", "unix", NULL, NULL, NULL},
		{"NameBot", NULL, NULL, NULL, NULL},
		{"ListBot", "203.0.113.9", NULL, NULL, NULL},
		{"KeyBot", "203.0.113.9", NULL, NULL, NULL},
		{"BadBot", "203.0.113.9", NULL, NULL, NULL},
		{"PayBot", "203.0.113.9", NULL, NULL, NULL},
		{"Mozilla/5.0", "203.0.113.9", NULL, NULL, NULL},
		{NULL, "203.0.113.9", NULL, NULL, NULL},
	};
	struct x402_provider_options options = {
		.public_origin = "https://shop.example",
		.routes = routes,
		.routes_len = ARRAY_LEN(routes),
		.crawlers = crawlers,
		.crawlers_len = ARRAY_LEN(crawlers),
		.trusted_proxies = proxies,
		.trusted_proxies_len = 1,
	};
	struct house house;

	(void)state;
	house_open_with(&house, &options);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct house_request headers = {.names = {NULL}};
		const struct x402_gate_request request = {.method = "GET",
			.target = x402_span_str("/all"),
			.header = house_header,
			.header_user = &headers,
			.now_unix_s = NOW,
			.peer = rows[i].peer};
		const char *const values[][2] = {{"User-Agent", rows[i].agent},
			{"X-Forwarded-For", rows[i].forwarded},
			{"PAYMENT-SIGNATURE", rows[i].payment}};
		char address[X402_PROVIDER_ADDRESS_SIZE] = "";
		bool wanted;
		size_t n = 0;

		for (size_t j = 0; j < ARRAY_LEN(values); j++)
			if (values[j][1]) {
				headers.names[n] = values[j][0];
				headers.values[n++] = values[j][1];
			}
		wanted = x402_provider_wants_name(
			house.provider, &request, address);
		if (wanted != (rows[i].address != NULL))
			fail_msg("row %zu", i);
		assert_string_equal(
			address, rows[i].address ? rows[i].address : "");
	}
	house_close(&house);
}

/* ---- Holders who pay less. ---- */

static enum x402_gate_action sign_in_at(struct house *house, const char *target)
{
	char *proof = prove(house, target);
	enum x402_gate_action action = house_begin(house,
		&(struct house_request){.target = target,
			.names = {"SIGN-IN-WITH-X"},
			.values = {proof}});

	free(proof);
	return action;
}

/* The last challenge's first offer, paid; caller frees. */
static char *pay_offered(struct house *house, const char *amount)
{
	struct x402_payment_required required;
	char *payment;

	assert_int_equal(house->decision.status, 402);
	house_challenge(house, &required);
	assert_string_equal(required.accepts[0].amount, amount);
	payment = house_pay_offer(house, &required, 0);
	x402_payment_required_clear(&required);
	return payment;
}

static void test_holder_is_told_and_pays_less(void **state)
{
	struct house house;
	char *payment;

	(void)state;
	open_shop(&house);
	assert_int_equal(sign_in_at(&house, "/less"), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, WORD("0001")), X402_GATE_ANSWER);
	payment = pay_offered(&house, "1000");
	/* Known to hold: nobody is asked but the facilitator. */
	assert_int_equal(house_send(&house, "/less", payment), X402_GATE_ASK);
	assert_non_null(strstr(house.decision.ask.url, "/verify"));
	assert_int_equal(
		house_answer(&house, 200, HOUSE_VALID), X402_GATE_RUN_HANDLER);
	assert_string_equal(x402_gate_amount(house.gate), "1000");
	assert_int_equal(house_handled(&house, 200), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	free(payment);
	/* The price of everyone else is as it was. */
	house_get(&house, "/less");
	payment = pay_offered(&house, "10000");
	assert_int_equal(house_send(&house, "/less", payment), X402_GATE_ASK);
	assert_non_null(strstr(house.decision.ask.url, "/verify"));
	free(payment);
	house_close(&house);
}

/* The price for holders, from who is none; what it costs is asked of a chain
 * before anybody is asked to verify. */
static void test_holders_price_is_not_for_others(void **state)
{
	static const char *const answers[] = {WORD("0000"), "{}"};
	struct house house;
	char *payment;

	(void)state;
	open_shop(&house);
	assert_int_equal(sign_in_at(&house, "/less"), X402_GATE_ASK);
	house_answer(&house, 200, WORD("0001"));
	payment = pay_offered(&house, "1000");
	house_close(&house);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		open_shop(&house);
		assert_int_equal(
			house_send(&house, "/less", payment), X402_GATE_ASK);
		assert_string_equal(
			house.decision.ask.url, "https://rpc.example/three");
		assert_int_equal(house_answer(&house, 200, answers[i]),
			X402_GATE_ANSWER);
		assert_challenge_error(
			&house, "No matching payment requirements");
		/* Paid once it does hold. */
		assert_int_equal(
			house_begin(&house,
				&(struct house_request){.target = "/less",
					.names = {"PAYMENT-SIGNATURE"},
					.values = {payment},
					.now = NOW + 20}),
			X402_GATE_ASK);
		assert_int_equal(
			house_answer(&house, 200, WORD("0001")), X402_GATE_ASK);
		assert_non_null(strstr(house.decision.ask.url, "/verify"));
		house_close(&house);
	}
	free(payment);
}

static void test_holders_are_checked(void **state)
{
	static const struct x402_provider_holder bad[] = {
		{.rpc_url = "https://rpc.example",
			.token = PAY_TO,
			.price = "0"},
		{.rpc_url = "https://rpc.example",
			.token = PAY_TO,
			.price = "cheap"},
		{.rpc_url = "rpc.example", .token = PAY_TO},
		{.rpc_url = "https://rpc.example", .token = "0x1"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402_provider_route route = {.pattern = "GET /x",
			.prices = &house_cent,
			.prices_len = 1,
			.holders = &bad[i],
			.holders_len = 1};
		struct x402_provider_options options = house_options();
		struct x402_provider *provider = NULL;

		options.routes = &route;
		options.routes_len = 1;
		assert_int_equal(x402_provider_new(&options, NULL, &provider),
			X402_ERR_INVALID_ARGUMENT);
	}
}

/* What the directory says about its keys' times (attack 42: expired key). */
static void test_botauth_key_has_its_time(void **state)
{
	static const struct {
		const char *times;
		bool good;
	} rows[] = {{"\"exp\":1795240001", true}, {"\"exp\":1795240000", false},
		{"\"exp\":1795240001000", true},
		{"\"exp\":1795239999999", false}, {"\"nbf\":1795240000", true},
		{"\"nbf\":1795240001", false}, {"\"exp\":\"never\"", false},
		{"\"nbf\":null", true}, {"\"use\":\"sig\"", true}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bot bot;
		struct house house;
		char input[512];
		char signature[160];
		char directory[400];

		bot_init(&bot, 1);
		open_shop(&house);
		snprintf(directory, sizeof(directory),
			"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
			"\"%s\",%s}]}",
			bot.x, rows[i].times);
		assert_int_equal(come(&house,
					 sign_visit(&bot, &(struct signing){0},
						 input, signature)),
			X402_GATE_ASK);
		if ((house_answer(&house, 200, directory) == X402_GATE_PASS) !=
			rows[i].good)
			fail_msg("%s", rows[i].times);
		house_close(&house);
	}
}

/* A crawler that has changed its keys is not charged for an hour. */
static void test_botauth_new_key_is_asked_for(void **state)
{
	struct bot old;
	struct bot new;
	struct house house;
	char input[512];
	char signature[160];
	struct visit visit;

	(void)state;
	bot_init(&old, 1);
	bot_init(&new, 2);
	open_shop(&house);
	visit = sign_visit(&old, &(struct signing){0}, input, signature);
	assert_int_equal(come(&house, visit), X402_GATE_ASK);
	house_answer(&house, 200, old.directory);
	visit = sign_visit(&new,
		&(struct signing){.created = NOW, .expires = NOW + 600}, input,
		signature);
	/* Not at once: who makes keys up would have us ask each time. */
	assert_int_equal(come(&house, visit), X402_GATE_ANSWER);
	visit.headers.now = NOW + 60;
	assert_int_equal(come(&house, visit), X402_GATE_ASK);
	assert_int_equal(
		house_answer(&house, 200, new.directory), X402_GATE_PASS);
	house_close(&house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_crawler_people_go_free_where_only_crawlers_pay),
		cmocka_unit_test(test_crawler_name_alone_opens_nothing),
		cmocka_unit_test(test_crawler_known_by_place),
		cmocka_unit_test(test_crawler_name_is_wanted_where_it_can_open),
		cmocka_unit_test(test_crawler_blocked_also_with_money),
		cmocka_unit_test(test_botauth_opens_once),
		cmocka_unit_test(test_botauth_refuses_what_is_not_for_us),
		cmocka_unit_test(test_botauth_needs_a_listed_key),
		cmocka_unit_test(test_crawlers_are_checked),
		cmocka_unit_test(test_holder_goes_free_for_a_while),
		cmocka_unit_test(test_holder_of_nothing_pays),
		cmocka_unit_test(test_holder_address_in_a_header_is_nothing),
		cmocka_unit_test(test_manifests_say_what_is_sold),
		cmocka_unit_test(test_holder_is_told_and_pays_less),
		cmocka_unit_test(test_holders_price_is_not_for_others),
		cmocka_unit_test(test_holders_are_checked),
		cmocka_unit_test(test_botauth_key_has_its_time),
		cmocka_unit_test(test_botauth_new_key_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
