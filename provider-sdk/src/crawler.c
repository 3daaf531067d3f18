/*
 * crawler.c: what a crawler may do.
 *
 *   find_entry()        which one it says it is, by its User-Agent
 *   known_by_place()    its address, or its confirmed name
 *   begin_proof()       Web Bot Auth; asks its directory for keys once an hour
 *   decide()            allow, charge or block
 *
 * A name in a User-Agent opens nothing: without a proof a crawler is one that
 * nobody knows, and pays (attack 42). Directories are those of the list alone,
 * so that no request makes us fetch a URL of its own.
 */
#include "crawler_p.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* How long a directory's keys are good, and how long a failure is. */
#define KEYS_LIFE_S    3600
#define KEYS_FAILURE_S 60
#define CRAWLERS_MAX   256
/* How long we wait for a directory. */
#define DIRECTORY_TIMEOUT_MS 5000
#define DIRECTORY_PATH       "/.well-known/http-message-signatures-directory"

/* ---- Lists. ---- */

static enum x402_err refuse(
	struct x402_errinfo *info, size_t index, const char *text)
{
	char field[32];

	snprintf(field, sizeof(field), "crawlers[%u]", (unsigned)index);
	x402_errinfo_set(info, field, "%s", text);
	return X402_ERR_INVALID_ARGUMENT;
}

static enum x402_err read_hosts(
	const struct x402_provider_crawler *from, struct x402__crawler *crawler)
{
	crawler->hosts = calloc(from->hosts_len + 1, sizeof(*crawler->hosts));
	if (!crawler->hosts)
		return X402_ERR_NOMEM;
	for (size_t i = 0; i < from->hosts_len; i++) {
		/* ".example.com" and not "example.com", which also ends
		 * "notexample.com". */
		if (!from->hosts[i] || from->hosts[i][0] != '.' ||
			!from->hosts[i][1])
			return X402_ERR_SYNTAX;
		crawler->hosts[crawler->hosts_len] = strdup(from->hosts[i]);
		if (!crawler->hosts[crawler->hosts_len++])
			return X402_ERR_NOMEM;
	}
	return X402_OK;
}

static enum x402_err read_crawler(const struct x402_provider_crawler *from,
	size_t index, struct x402_errinfo *info, struct x402__crawler *crawler)
{
	enum x402_err err;

	if (!from->user_agent || strlen(from->user_agent) < 3)
		return refuse(info, index,
			"expected user_agent, a word of three letters or more");
	if (from->policy == X402_PROVIDER_ALLOW && !from->networks_len &&
		!from->hosts_len && !from->directory)
		return refuse(info, index,
			"to be allowed it must be told by networks, hosts or "
			"directory: a User-Agent is what a stranger writes");
	if (from->directory &&
		(!x402__url_valid(from->directory, false) ||
			strncmp(from->directory, "http", 4) != 0))
		return refuse(info, index,
			"directory: expected https:// and a host, nothing "
			"after it");
	crawler->policy = from->policy;
	crawler->user_agent = strdup(from->user_agent);
	crawler->directory = from->directory ? strdup(from->directory) : NULL;
	if (!crawler->user_agent || (from->directory && !crawler->directory))
		return X402_ERR_NOMEM;
	err = x402__networks_read(
		from->networks, from->networks_len, NULL, &crawler->networks);
	if (err == X402_OK)
		err = read_hosts(from, crawler);
	if (err != X402_OK && err != X402_ERR_NOMEM)
		return refuse(info, index,
			"expected networks such as 192.0.2.0/24 and hosts such "
			"as .googlebot.com");
	return err;
}

enum x402_err x402__crawlers_read(const struct x402_provider_crawler *from,
	size_t len, struct x402_errinfo *info,
	struct x402__crawlers *ret_crawlers)
{
	enum x402_err err = X402_OK;

	if (len > CRAWLERS_MAX)
		return refuse(info, len, "more than 256");
	ret_crawlers->list = calloc(len + 1, sizeof(*ret_crawlers->list));
	if (!ret_crawlers->list)
		return X402_ERR_NOMEM;
	for (size_t i = 0; err == X402_OK && i < len; i++) {
		ret_crawlers->len++;
		err = read_crawler(&from[i], i, info, &ret_crawlers->list[i]);
	}
	return err;
}

void x402__crawlers_clear(struct x402__crawlers *crawlers)
{
	for (size_t i = 0; i < crawlers->len; i++) {
		struct x402__crawler *crawler = &crawlers->list[i];

		free(crawler->user_agent);
		free(crawler->directory);
		x402__networks_clear(&crawler->networks);
		for (size_t j = 0; j < crawler->hosts_len; j++)
			free(crawler->hosts[j]);
		free(crawler->hosts);
	}
	free(crawlers->list);
	memset(crawlers, 0, sizeof(*crawlers));
}

/* ---- Who is it? ---- */

static struct x402__crawler *find_entry(
	struct x402__crawlers *crawlers, struct x402_span agent)
{
	for (size_t i = 0; i < crawlers->len; i++)
		if (x402__value_has(agent, crawlers->list[i].user_agent))
			return &crawlers->list[i];
	return NULL;
}

/* One that does not hide it, but that nobody has listed. */
static bool says_crawler(
	const struct x402_gate_request *request, struct x402_span agent)
{
	static const char *const words[] = {"bot", "crawl", "spider", "slurp",
		"scrap", "curl/", "wget/", "python", "go-http"};
	struct x402_span value;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (x402__value_has(agent, words[i]))
			return true;
	return request->header(
		request->header_user, "Signature-Agent", 0, &value);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);
	size_t end_len = strlen(end);

	return len > end_len && strcasecmp(text + len - end_len, end) == 0;
}

static bool known_by_place(const struct x402_gate *gate,
	const struct x402__crawler *crawler, const char *peer_name)
{
	if (x402__networks_have(&crawler->networks, gate->client))
		return true;
	for (size_t i = 0; peer_name && i < crawler->hosts_len; i++)
		if (ends_with(peer_name, crawler->hosts[i]))
			return true;
	return false;
}

/* ---- What may it do? ---- */

static void block(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	x402__gate_say(gate, X402_GATE_EVENT_REFUSED, "CrawlerForbidden");
	x402__gate_end_error(
		gate, 403, "this crawler is not welcome here", ret_decision);
	x402__gate_add(ret_decision, "crawler-error", "CrawlerForbidden");
}

/* True when there is nothing left to decide. */
static bool decide(struct x402_gate *gate, enum x402_provider_policy policy,
	struct x402_gate_decision *ret_decision)
{
	switch (policy) {
	case X402_PROVIDER_CHARGE:
		return false;
	case X402_PROVIDER_ALLOW:
		x402__gate_answer_pass(
			gate, X402_GATE_ACCESS_CRAWLER, ret_decision);
		return true;
	case X402_PROVIDER_BLOCK:
		break;
	}
	block(gate, ret_decision);
	return true;
}

/* A signature opens once. */
static bool proof_taken(
	struct x402_gate *gate, const struct x402__bot_keys *keys)
{
	uint8_t key32[32];

	if (!x402__bot_proof_holds(gate->bot_proof, keys, gate->now_unix_s))
		return false;
	x402_keccak256(x402_span(gate->bot_proof->sig64, 64), key32);
	return x402__counters_take(gate->provider->counters, key32, 1,
		gate->bot_proof->expires_unix_s, gate->now_unix_s);
}

static bool ask_directory(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	struct x402_gate_ask *ask = &ret_decision->ask;
	char *url = NULL;

	x402__gate_start(gate, X402_GATE_ASK, ret_decision);
	if (asprintf(&url, "%s" DIRECTORY_PATH, gate->crawler->directory) < 0)
		return false;
	ask->method = "GET";
	ask->url = x402__gate_keep(gate, url);
	ask->timeout_ms = DIRECTORY_TIMEOUT_MS;
	ask->headers[ask->headers_len++] = (struct x402_gate_header){"Accept",
		"application/http-message-signatures-directory+json, "
		"application/json"};
	gate->state = X402__GATE_CRAWLER;
	return true;
}

/* True when the proof decides, or its keys are asked for. */
static bool begin_proof(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	struct x402__crawler *crawler = gate->crawler;
	const char *host = strstr(gate->url, "://") + 3;
	struct x402__bot_keys keys;
	bool asks;

	gate->bot_proof = x402__bot_proof_read(request, crawler->directory,
		x402_span(host, strcspn(host, "/?#")), gate->now_unix_s);
	if (!gate->bot_proof)
		return false;
	pthread_mutex_lock(&gate->provider->lock);
	keys = crawler->keys;
	/* A key that is new since; but not with each request that makes one
	 * up. */
	asks = keys.until_unix_s < gate->now_unix_s ||
		(!x402__bot_key_listed(gate->bot_proof, &keys) &&
			keys.asked_unix_s + KEYS_FAILURE_S <= gate->now_unix_s);
	if (asks)
		crawler->keys.asked_unix_s = gate->now_unix_s;
	pthread_mutex_unlock(&gate->provider->lock);
	if (asks)
		return ask_directory(gate, ret_decision);
	return proof_taken(gate, &keys) &&
		decide(gate, crawler->policy, ret_decision);
}

void x402__crawler_answered(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	struct x402_gate_decision *ret_decision)
{
	struct x402__bot_keys keys = {.len = 0};
	bool good = answer->transport == X402_OK && answer->status == 200;

	if (good)
		x402__bot_keys_read(answer->body, &keys);
	keys.asked_unix_s = gate->now_unix_s;
	keys.until_unix_s = gate->now_unix_s +
		(keys.len > 0 ? KEYS_LIFE_S : KEYS_FAILURE_S);
	pthread_mutex_lock(&gate->provider->lock);
	gate->crawler->keys = keys;
	pthread_mutex_unlock(&gate->provider->lock);
	/* Not proven: nobody in particular, who pays. */
	if (!proof_taken(gate, &keys) ||
		!decide(gate, gate->crawler->policy, ret_decision))
		x402__gate_end_challenge(
			gate, "Payment required", ret_decision);
}

bool x402__crawler_decides(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	struct x402__crawlers *crawlers = gate->route->crawlers.len
		? &gate->route->crawlers
		: &gate->provider->crawlers;
	struct x402_span agent = {NULL, 0};

	if (!crawlers->len && !gate->route->crawlers_only)
		return false;
	(void)x402__one_header(request, "User-Agent", &agent);
	gate->crawler = find_entry(crawlers, agent);
	if (!gate->crawler) {
		gate->is_crawler = says_crawler(request, agent);
		/* People, and who looks like them. */
		if (gate->is_crawler || !gate->route->crawlers_only)
			return false;
		x402__gate_answer_pass(
			gate, X402_GATE_ACCESS_PERSON, ret_decision);
		return true;
	}
	gate->is_crawler = true;
	/* Who is not welcome need not prove that it is the one. */
	if (gate->crawler->policy == X402_PROVIDER_BLOCK)
		return decide(gate, X402_PROVIDER_BLOCK, ret_decision);
	if (x402__gate_brings_payment(request) ||
		gate->crawler->policy == X402_PROVIDER_CHARGE)
		return false;
	if (known_by_place(gate, gate->crawler, request->peer_name))
		return decide(gate, gate->crawler->policy, ret_decision);
	return gate->crawler->directory &&
		begin_proof(gate, request, ret_decision);
}

_Static_assert(X402_PROVIDER_ADDRESS_SIZE == X402__IP_TEXT_SIZE,
	"an address is as long in both");

/* The entry that says its name, where only its own name can still open. */
static bool wants_name(const struct x402__crawlers *crawlers,
	struct x402_span agent, const char *client)
{
	for (size_t i = 0; i < crawlers->len; i++) {
		const struct x402__crawler *one = &crawlers->list[i];

		if (x402__value_has(agent, one->user_agent))
			return one->policy == X402_PROVIDER_ALLOW &&
				one->hosts_len &&
				!x402__networks_have(&one->networks, client);
	}
	return false;
}

bool x402_provider_wants_name(const struct x402_provider *provider,
	const struct x402_gate_request *request,
	char ret_address[X402_PROVIDER_ADDRESS_SIZE])
{
	struct x402_span agent = {NULL, 0};
	char client[X402__IP_TEXT_SIZE];
	bool wanted;

	if (!x402__one_header(request, "User-Agent", &agent) || !agent.len ||
		x402__gate_brings_payment(request) ||
		!x402__gate_client(provider, request, client))
		return false;
	/* Which route it is for is not known yet; any that lists it will do. */
	wanted = wants_name(&provider->crawlers, agent, client);
	for (size_t i = 0; !wanted && i < provider->routes_len; i++)
		wanted = wants_name(
			&provider->routes[i].crawlers, agent, client);
	if (wanted)
		memcpy(ret_address, client, sizeof(client));
	return wanted;
}

/* ---- The other family of headers. ---- */

void x402__crawler_add_price(struct x402_gate *gate, const char *name,
	struct x402_gate_decision *decision)
{
	const struct x402__offer *offer =
		gate->offer ? gate->offer : &gate->prices->offers[0];
	struct x402_json *terms = NULL;
	const struct x402_default_asset *asset = NULL;
	const char *amount = NULL;
	struct x402_u256 atomic;
	char dollars[160];
	char *text = NULL;

	if (!gate->is_crawler ||
		x402_json_parse(x402_span_str(offer->json), NULL, NULL,
			&terms) != X402_OK)
		return;
	asset = x402_known_asset(x402_json_get_string(terms, "network"),
		x402_json_get_string(terms, "asset"));
	amount = gate->offer ? gate->amount
			     : x402_json_get_string(terms, "amount");
	if (asset && asset->usd &&
		x402_u256_from_dec(amount, &atomic) == X402_OK &&
		x402_price_format(
			&atomic, asset->decimals, dollars, sizeof(dollars)) &&
		asprintf(&text, "USD %s", dollars) > 0)
		x402__gate_add(decision, name, x402__gate_keep(gate, text));
	x402_json_unref(terms);
}
