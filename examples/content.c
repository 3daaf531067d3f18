/*
 * content.c: two articles at a cent each and a quotation at a tenth of one.
 * The price list is the table in content_provider_new(); content_answer() is
 * an ordinary handler that knows nothing of payments.
 */
#include "content.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DEFAULT_PORT 4022

struct article {
	const char *slug;
	const char *title;
	const char *text;
};

static const struct article articles[] = {
	{"the-long-wait-of-402", "The long wait of 402",
		"Every table of HTTP status codes has a line that reads like a "
		"promise: 402, Payment Required, reserved for future use. It "
		"has stood there since the first drafts, between 401 and 403, "
		"like a chair kept free at a table for a guest who is late.\n\n"
		"The guest was late because paying needed an account first, "
		"and an account needed a person with a card. A program that "
		"wanted one page for one cent could not have it at any price. "
		"So pages were paid for with attention instead, and programs, "
		"which have none to give, took them for nothing.\n\n"
		"What has changed is small. A signature over a dozen fields, "
		"made without asking anybody, can now move a cent from one "
		"address to another, once, before a deadline. That fits into "
		"a header. The server says its price, the client signs, the "
		"page is served, and neither of them has to know the other "
		"tomorrow. The chair is taken.\n"},
	{"reading-a-price-tag", "How a machine reads a price tag",
		"A person who sees $0.01 on a page reads three things at once: "
		"a number, a currency, and that it is not worth thinking "
		"about. "
		"A machine has to be told all of it.\n\n"
		"The number comes as atomic units: 10000, no decimal point, "
		"because a point in the wrong place is a hundred times the "
		"price. The currency comes as a contract's address on a named "
		"chain, because two coins may share a name and only one of "
		"them is money. Whether it is worth thinking about is for the "
		"reader's owner to say beforehand: so much for one page, so "
		"much for a day, these coins and no others.\n\n"
		"A careful reader checks one thing more. The tag says for "
		"which page it is; when that is not the page that was asked "
		"for, somebody is holding another shop's tag in front of the "
		"door.\n"},
};
#define ARTICLES_LEN (sizeof(articles) / sizeof(articles[0]))

static const char *const quotations[] = {
	"A price nobody can read is a locked door with no keyhole.",
	"The cheapest call is the one that does not have to be made twice.",
	"Count the money before the door opens, and the goods after.",
	"A receipt is a promise about the past; keep it anyway.",
	"Small sums, kept exactly, are a large sum.",
	"When in doubt about a payment, ask the ledger, not your memory.",
};
#define QUOTATIONS_LEN (sizeof(quotations) / sizeof(quotations[0]))

/* What a catalogue may say about /api/quote: its input, its output, and a
 * schema that both satisfy. */
static const char quote_extensions[] =
	"{\"bazaar\":{\"info\":{\"input\":{\"type\":\"http\",\"method\":"
	"\"GET\"},\"output\":{\"type\":\"json\",\"example\":{\"day\":1,"
	"\"quote\":\"Small sums, kept exactly, are a large sum.\"}}},"
	"\"schema\":{\"$schema\":\"https://json-schema.org/draft/2020-12/"
	"schema\",\"type\":\"object\",\"properties\":{\"input\":{\"type\":"
	"\"object\",\"properties\":{\"type\":{\"type\":\"string\",\"const\":"
	"\"http\"},\"method\":{\"type\":\"string\",\"enum\":[\"GET\"]}},"
	"\"required\":[\"type\",\"method\"],\"additionalProperties\":false},"
	"\"output\":{\"type\":\"object\",\"properties\":{\"type\":{\"type\":"
	"\"string\"},\"example\":{\"type\":\"object\"}},\"required\":"
	"[\"type\"]}},\"required\":[\"input\"]}}}";

/* The n-th route of the price list; the last ones are the interoperability
 * tests'. */
enum content_route {
	INDEX,
	HEALTH,
	ARTICLE,
	QUOTE,
	COMPONENT,
	EMBED,
	ROBOTS,
	WELL_KNOWN,
	OPENAPI,
	PAID,
	PAID_POST,
	FAIL,
	WEIGHED,
	UPFRONT,
	PERMIT2,
	PERMIT2_APPROVAL,
	UPTO,
	UPTO_ZERO,
	UPTO_APPROVAL
};
#define ROUTES_LEN         PAID
#define ROUTES_LEN_INTEROP (UPTO_APPROVAL + 1)
/* What is told to machines; written once, from the price list. */
static char *robots;
static char *well_known;
static char *openapi;
/* Who has paid for an article may come back to it for a day. */
#define ARTICLE_PASS_S (24 * 60 * 60)
#define QUOTE_REPLAY_S (60 * 60)

/* A page of the site's own, with a price in it. */
static const char embed_page[] =
	"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n"
	"<title>The quotation of the day</title>\n"
	"<h1>The quotation of the day</h1>\n"
	"<x402-pay src=\"/api/quote\">Read it for</x402-pay>\n"
	"<script src=\"/x402-pay.js\"></script>\n";

size_t content_routes_len(const struct content_config *config)
{
	if (!config->interop)
		return ROUTES_LEN;
	/* upto is bound to a facilitator: without its address none is sold. */
	return *config->facilitator ? ROUTES_LEN_INTEROP : UPTO;
}

/* All prices of the shop, as long as the list is being made. */
struct prices {
	struct x402_provider_price cent;
	struct x402_provider_price tenth;
	/* Through Permit2, and of that a part: for the tests. */
	struct x402_provider_price permit2;
	struct x402_provider_price upto;
	char upto_extra[128];
	char svm_extra[128];
};

static void write_prices(
	const struct content_config *config, struct prices *prices)
{
	prices->cent = (struct x402_provider_price){.network = config->network,
		.pay_to = config->pay_to,
		.price = "$0.01"};
	/* Solana's payers sign who pays the fee: the facilitator. */
	snprintf(prices->svm_extra, sizeof(prices->svm_extra),
		"{\"feePayer\":\"%.44s\"}", config->fee_payer);
	if (strncmp(config->network, "solana:", 7) == 0)
		prices->cent.extra_json = prices->svm_extra;
	prices->tenth = prices->cent;
	prices->tenth.price = "$0.001";
	prices->permit2 = prices->tenth;
	prices->permit2.extra_json = "{\"assetTransferMethod\":\"permit2\"}";
	prices->upto = prices->tenth;
	prices->upto.scheme = "upto";
	prices->upto.extra_json = prices->upto_extra;
	snprintf(prices->upto_extra, sizeof(prices->upto_extra),
		"{\"facilitatorAddress\":\"%.42s\"}", config->facilitator);
}

static struct x402_provider_route sold(const char *pattern,
	const struct x402_provider_price *price, const char *description,
	bool v1)
{
	return (struct x402_provider_route){.pattern = pattern,
		.prices = price,
		.prices_len = 1,
		.description = description,
		.v1 = v1};
}

/* A tenth of a cent for each byte, to 999 of them. */
static bool price_of_body(void *user, const struct x402_gate *gate, char *price)
{
	size_t bytes = x402_gate_body(gate).len;

	(void)user;
	snprintf(price, X402_PROVIDER_PRICE_SIZE, "$0.%03zu", bytes);
	return bytes > 0 && bytes < 1000;
}

static void write_routes(const struct prices *prices, bool v1,
	struct x402_provider_route routes[ROUTES_LEN_INTEROP])
{
	static const char *const free_ones[] = {[INDEX] = "GET /",
		[HEALTH] = "GET /health",
		[COMPONENT] = "GET /x402-pay.js",
		[EMBED] = "GET /embed",
		[ROBOTS] = "GET /robots.txt",
		[WELL_KNOWN] = "GET /.well-known/x402",
		[OPENAPI] = "GET /openapi.json"};

	memset(routes, 0, ROUTES_LEN_INTEROP * sizeof(*routes));
	for (size_t i = 0; i < sizeof(free_ones) / sizeof(free_ones[0]); i++)
		routes[i].pattern = free_ones[i];
	routes[ARTICLE] = sold(
		"GET /articles/[slug]", &prices->cent, "An article", v1);
	routes[ARTICLE].mime_type = "text/plain";
	routes[ARTICLE].pass_s = ARTICLE_PASS_S;
	routes[ARTICLE].siwx_s = ARTICLE_PASS_S;
	routes[QUOTE] = sold("GET /api/quote", &prices->tenth,
		"The quotation of the day", v1);
	routes[QUOTE].mime_type = "application/json";
	routes[QUOTE].extensions_json = quote_extensions;
	/* Who lost the answer asks again under his name for it. */
	routes[QUOTE].identifier = X402_PROVIDER_IDENTIFIER_OPTIONAL;
	routes[QUOTE].replay_s = QUOTE_REPLAY_S;
	routes[PAID] = sold("GET /paid", &prices->tenth, "interop", v1);
	routes[PAID_POST] = sold(
		"POST /paid-post", &prices->tenth, "interop", v1);
	routes[FAIL] = sold("GET /fail", &prices->tenth, "interop", v1);
	routes[WEIGHED] = sold(
		"POST /weighed", &prices->tenth, "interop", false);
	routes[WEIGHED].price = price_of_body;
	routes[WEIGHED].price_by_body = true;
	routes[UPFRONT] = sold(
		"GET /upfront", &prices->tenth, "interop", false);
	routes[UPFRONT].settle = X402_PROVIDER_SETTLE_BEFORE;
	routes[PERMIT2] = sold(
		"GET /permit2", &prices->permit2, "interop", false);
	routes[PERMIT2_APPROVAL] = sold(
		"GET /permit2-approval", &prices->permit2, "interop", false);
	routes[UPTO] = sold("GET /upto", &prices->upto, "interop", false);
	routes[UPTO_ZERO] = sold(
		"GET /upto-zero", &prices->upto, "interop", false);
	routes[UPTO_APPROVAL] = sold(
		"GET /upto-approval", &prices->upto, "interop", false);
	/* Payers who have approved nothing pay all the same. */
	routes[PERMIT2].extensions_json = routes[UPTO].extensions_json =
		x402_sponsoring_declaration(true, false);
	routes[PERMIT2_APPROVAL].extensions_json =
		routes[UPTO_APPROVAL].extensions_json =
			x402_sponsoring_declaration(false, true);
}

/* False after saying why. */
static bool read_signing_key(
	const struct content_config *config, struct x402_secret *ret_key)
{
	enum x402_err err = x402_secret_parse(config->signing_key, ret_key);

	if (err != X402_OK)
		fprintf(stderr, "content-site: X402_SIGNING_KEY: %s\n",
			x402_err_text(err));
	return err == X402_OK;
}

static bool write_manifests(struct x402_provider *provider)
{
	robots = x402_provider_robots(provider);
	well_known = x402_provider_well_known(provider);
	openapi = x402_provider_openapi(provider, "Paid with x402");
	return robots && well_known && openapi;
}

struct x402_provider *content_provider_new(
	const struct content_config *config, uint16_t port)
{
	struct x402_provider_route routes[ROUTES_LEN_INTEROP];
	struct prices prices;
	/* Browsers get a page that pays with their wallet. */
	const struct x402_provider_page page = {
		.name = "Paid with x402, a cent at a time"};
	/* One that may not read at all, and two that may read for nothing:
	 * when it signs its requests, when the DNS confirms its name. */
	struct x402_provider_crawler crawlers[3] = {
		{.user_agent = "GreedyBot", .policy = X402_PROVIDER_BLOCK}};
	size_t crawlers_len = 1;
	struct x402_secret signing_key = {{0}};
	char origin[64];
	struct x402_provider_options options = {
		.facilitator_url = config->facilitator_url,
		.public_origin = config->public_origin,
		.routes = routes,
		.routes_len = content_routes_len(config),
		.cors_origin = "*",
		.page = &page,
		.crawlers = crawlers,
		.memory = config->journal
			? x402_provider_journal_memory(config->journal)
			: NULL,
	};
	struct x402_errinfo info = {{0}, {0}};
	struct x402_provider *provider = NULL;
	enum x402_err err;

	if (config->crawler_directory)
		crawlers[crawlers_len++] = (struct x402_provider_crawler){
			.user_agent = "SignedBot",
			.policy = X402_PROVIDER_ALLOW,
			.directory = config->crawler_directory};
	if (config->crawler_host)
		crawlers[crawlers_len++] = (struct x402_provider_crawler){
			.user_agent = "NamedBot",
			.policy = X402_PROVIDER_ALLOW,
			.hosts = &config->crawler_host,
			.hosts_len = 1};
	options.crawlers_len = crawlers_len;
	write_prices(config, &prices);
	/* Old buyers know networks by name only. */
	write_routes(&prices, x402_network_to_v1_name(config->network) != NULL,
		routes);
	if (config->signing_key) {
		if (!read_signing_key(config, &signing_key))
			return NULL;
		options.signing_key = &signing_key;
	}
	snprintf(origin, sizeof(origin), "http://127.0.0.1:%u", port);
	if (!options.public_origin)
		options.public_origin = origin;
	err = x402_provider_new(&options, &info, &provider);
	x402_secret_clear(&signing_key);
	if (err != X402_OK || !write_manifests(provider))
		fprintf(stderr, "content-site: %s: %s: %s\n",
			x402_err_text(err), info.field, info.text);
	return provider;
}

static const char *env_or(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

static bool open_journal(const char *path, struct content_config *config)
{
	struct x402_errinfo info = {{0}, {0}};

	if (!path)
		return true;
	if (x402_provider_journal_open(path, false, &info, &config->journal) ==
		X402_OK)
		return true;
	fprintf(stderr, "content-site: X402_JOURNAL: %s\n", info.text);
	return false;
}

void content_config_clear(struct content_config *config)
{
	x402_provider_journal_close(config->journal);
	config->journal = NULL;
	free(robots);
	free(well_known);
	free(openapi);
	robots = well_known = openapi = NULL;
}

bool content_config_read(struct content_config *ret_config)
{
	const char *port = env_or("PORT", NULL);
	char *end = NULL;
	long number = port ? strtol(port, &end, 10) : DEFAULT_PORT;

	if (port && (*end || number < 0 || number > 65535)) {
		fprintf(stderr, "content-site: PORT: expected 0 to 65535\n");
		return false;
	}
	*ret_config = (struct content_config){
		.pay_to = env_or("PAY_TO",
			env_or("EVM_ADDRESS", env_or("SVM_ADDRESS", NULL))),
		.fee_payer = env_or("SVM_FEE_PAYER", ""),
		.network = env_or("X402_NETWORK", "eip155:84532"),
		.facilitator_url = env_or("FACILITATOR_URL", NULL),
		.public_origin = env_or("PUBLIC_ORIGIN", NULL),
		.port = (uint16_t)number,
		.signing_key = env_or("X402_SIGNING_KEY", NULL),
		.crawler_directory = env_or("X402_CRAWLER_DIRECTORY", NULL),
		.crawler_host = env_or("X402_CRAWLER_HOST", NULL),
		.resolver = env_or("X402_RESOLVER", NULL),
		.interop = strcmp(env_or("X402_INTEROP", ""), "1") == 0,
		.facilitator = env_or("X402_INTEROP_FACILITATOR", ""),
	};
	if (!ret_config->pay_to)
		fprintf(stderr,
			"content-site: PAY_TO: expected the address "
			"that is paid\n");
	return ret_config->pay_to != NULL &&
		open_journal(env_or("X402_JOURNAL", NULL), ret_config);
}

/* ---- Serving. ---- */

static void answer(struct content_answer *ret_answer, unsigned status,
	const char *type, struct x402_buf *body)
{
	ret_answer->status = status;
	ret_answer->type = type;
	ret_answer->body = x402_buf_take_str(body);
	if (!ret_answer->body)
		ret_answer->status = 500;
}

static void answer_json(
	struct content_answer *ret_answer, unsigned status, const char *json)
{
	struct x402_buf body = {0};

	x402_buf_add_str(&body, json);
	answer(ret_answer, status, "application/json", &body);
}

static void answer_text(
	struct content_answer *ret_answer, const char *type, const char *text)
{
	struct x402_buf body = {0};

	x402_buf_add_str(&body, text);
	answer(ret_answer, 200, type, &body);
}

static void answer_index(struct content_answer *ret_answer)
{
	struct x402_buf body = {0};

	x402_buf_add_str(&body, "Paid with x402, a cent at a time:\n\n");
	for (size_t i = 0; i < ARTICLES_LEN; i++)
		x402_buf_printf(&body, "$0.01   /articles/%s\n        %s\n",
			articles[i].slug, articles[i].title);
	x402_buf_add_str(
		&body, "$0.001  /api/quote\n        A quotation a day\n");
	answer(ret_answer, 200, "text/plain; charset=utf-8", &body);
}

/* No such article is a 404, and a 404 is not charged. */
static void answer_article(
	struct x402_span slug, struct content_answer *ret_answer)
{
	struct x402_buf body = {0};

	for (size_t i = 0; i < ARTICLES_LEN; i++) {
		const struct article *article = &articles[i];

		if (slug.len != strlen(article->slug) ||
			memcmp(slug.ptr, article->slug, slug.len) != 0)
			continue;
		x402_buf_printf(
			&body, "%s\n\n%s", article->title, article->text);
		answer(ret_answer, 200, "text/plain; charset=utf-8", &body);
		return;
	}
	answer_json(ret_answer, 404, "{\"error\":\"no such article\"}");
}

static void answer_quote(struct content_answer *ret_answer)
{
	unsigned long day = (unsigned long)(time(NULL) / (24L * 60 * 60));
	struct x402_buf body = {0};

	x402_buf_printf(&body, "{\"day\":%lu,\"quote\":\"%s\"}", day,
		quotations[day % QUOTATIONS_LEN]);
	answer(ret_answer, 200, "application/json", &body);
}

void content_answer(
	const struct x402_gate *gate, struct content_answer *ret_answer)
{
	struct x402_span slug;

	ret_answer->override = NULL;
	/* An answer of 400 and above is not charged. */
	if (!x402_gate_method_matches(gate)) {
		answer_json(ret_answer, 405, "{\"error\":\"no such method\"}");
		return;
	}
	switch (x402_gate_route(gate)) {
	case INDEX:
		answer_index(ret_answer);
		return;
	case HEALTH:
		answer_json(ret_answer, 200, "{\"status\":\"ok\"}");
		return;
	case ARTICLE:
		if (x402_gate_param(gate, "slug", &slug))
			answer_article(slug, ret_answer);
		else
			answer_json(ret_answer, 404, "{}");
		return;
	case QUOTE:
		answer_quote(ret_answer);
		return;
	case COMPONENT:
		answer_text(ret_answer, "text/javascript; charset=utf-8",
			x402_provider_component());
		return;
	case EMBED:
		answer_text(ret_answer, "text/html; charset=utf-8", embed_page);
		return;
	case ROBOTS:
		answer_text(ret_answer, "text/plain; charset=utf-8", robots);
		return;
	case WELL_KNOWN:
		answer_text(ret_answer, "application/json", well_known);
		return;
	case OPENAPI:
		answer_text(ret_answer, "application/json", openapi);
		return;
	case PAID:
	case PAID_POST:
	case WEIGHED:
		answer_json(ret_answer, 200, "{\"message\":\"paid\"}");
		return;
	case FAIL:
		answer_json(ret_answer, 500, "{\"error\":\"handler failed\"}");
		return;
	case UPFRONT:
	case PERMIT2:
	case PERMIT2_APPROVAL:
		answer_json(ret_answer, 200, "{\"message\":\"paid\"}");
		return;
	case UPTO:
	case UPTO_APPROVAL:
		answer_json(ret_answer, 200, "{\"message\":\"paid\"}");
		ret_answer->override = "{\"amount\":\"400\"}";
		return;
	case UPTO_ZERO:
		answer_json(ret_answer, 200, "{\"message\":\"paid\"}");
		ret_answer->override = "{\"amount\":\"0\"}";
		return;
	}
	answer_json(ret_answer, 404, "{\"error\":\"not found\"}");
}
