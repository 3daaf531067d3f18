/*
 * provider.c: turns the options of a program into a checked price list.
 *
 * x402_provider_new() goes through read_urls(), then read_route() for each
 * route; prices.c reads its prices. Whatever could make a sale go
 * wrong later is refused here, with the path of the option at fault (x402
 * P-104); nothing is looked up on a network, so a facilitator that is down
 * cannot open the gate (demands.md P2).
 */
#include "crawler_p.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>

#define FREE_STR __attribute__((cleanup(free_str)))
static void free_str(char **text)
{
	free(*text);
}

static enum x402_err refuse(
	struct x402_errinfo *info, const char *field, const char *text)
{
	x402_errinfo_set(info, field, "%s", text);
	return X402_ERR_INVALID_ARGUMENT;
}

/* NULL stays NULL; false when memory is out. */
static bool copy_str(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return !text || *ret_copy;
}

/* ---- URLs. ---- */

size_t x402__url_origin_length(const char *url)
{
	const char *authority = strstr(url, "://") + 3;

	return (size_t)(authority - url) + strcspn(authority, "/?#");
}

bool x402__url_valid(const char *text, bool path_allowed)
{
	size_t origin;
	size_t scheme;

	if (strncmp(text, "https://", 8) == 0)
		scheme = 8;
	else if (strncmp(text, "http://", 7) == 0)
		scheme = 7;
	else
		return false;
	for (const char *s = text; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f || strchr("\"<>\\^`{|}", *s))
			return false;
	origin = x402__url_origin_length(text);
	/* "user@host" shows one host and goes to another. */
	if (origin == scheme || memchr(text, '@', origin))
		return false;
	if (!isalnum((unsigned char)text[scheme]) && text[scheme] != '[')
		return false;
	return path_allowed || text[origin] == '\0';
}

/* A copy without trailing slashes, P-101. */
static char *without_slashes(const char *text)
{
	size_t len = strlen(text);

	while (len > 0 && text[len - 1] == '/')
		len--;
	return strndup(text, len);
}

static bool header_value_valid(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static enum x402_err read_facilitator(
	const struct x402_provider_facilitator *from, struct x402_errinfo *info,
	const char *field, struct x402__facilitator *facilitator)
{
	FREE_STR char *url = NULL;

	if (!from->url)
		return refuse(info, field, "missing_facilitator: expected url");
	url = without_slashes(from->url);
	if (!url)
		return X402_ERR_NOMEM;
	if (!x402__url_valid(url, true) || strpbrk(url, "?#"))
		return refuse(info, field,
			"missing_facilitator: expected http:// or https:// and "
			"a host, without query");
	if (from->authorization && !header_value_valid(from->authorization))
		return refuse(info, "facilitator_authorization",
			"expected a header value without line breaks");
	if (asprintf(&facilitator->verify_url, "%s/verify", url) < 0)
		facilitator->verify_url = NULL;
	if (asprintf(&facilitator->settle_url, "%s/settle", url) < 0)
		facilitator->settle_url = NULL;
	if (!copy_str(from->authorization, &facilitator->authorization))
		return X402_ERR_NOMEM;
	return facilitator->verify_url && facilitator->settle_url
		? X402_OK
		: X402_ERR_NOMEM;
}

static enum x402_err read_facilitators(
	const struct x402_provider_options *options, struct x402_errinfo *info,
	struct x402_provider *provider)
{
	const struct x402_provider_facilitator one = {
		.url = options->facilitator_url ? options->facilitator_url
						: X402_PROVIDER_FACILITATOR_URL,
		.authorization = options->facilitator_authorization};
	const struct x402_provider_facilitator *list = &one;
	size_t len = 1;
	enum x402_err err = X402_OK;

	if (options->facilitators_len > 0) {
		list = options->facilitators;
		len = options->facilitators_len;
		if (options->facilitator_url)
			return refuse(info, "facilitators",
				"expected this or facilitator_url, not both");
	}
	if (len > X402_PROVIDER_FACILITATORS_MAX)
		return refuse(info, "facilitators", "more than are allowed");
	provider->facilitators = calloc(len, sizeof(*provider->facilitators));
	if (!provider->facilitators)
		return X402_ERR_NOMEM;
	for (size_t i = 0; err == X402_OK && i < len; i++) {
		char field[64] = "facilitator_url";

		if (options->facilitators_len > 0)
			snprintf(field, sizeof(field), "facilitators[%zu]", i);
		provider->facilitators_len++;
		err = read_facilitator(
			&list[i], info, field, &provider->facilitators[i]);
	}
	return err;
}

static enum x402_err read_origin(const struct x402_provider_options *options,
	struct x402_errinfo *info, struct x402_provider *provider)
{
	enum x402_err err = x402__networks_read(options->trusted_proxies,
		options->trusted_proxies_len, info, &provider->proxies);

	if (err == X402_ERR_NOMEM)
		return err;
	if (err != X402_OK)
		return refuse(info, "trusted_proxies",
			"expected networks such as 10.0.0.0/8");
	provider->trust_host = options->trust_host;
	if (!options->public_origin && !options->trust_host &&
		options->trusted_proxies_len == 0)
		return refuse(info, "public_origin",
			"expected the origin that buyers see, such as "
			"https://example.com (or trust_host for development)");
	if (!options->public_origin)
		return X402_OK;
	provider->public_origin = without_slashes(options->public_origin);
	if (!provider->public_origin)
		return X402_ERR_NOMEM;
	if (!x402__url_valid(provider->public_origin, false))
		return refuse(info, "public_origin",
			"expected http:// or https:// and a host, nothing "
			"after it");
	return X402_OK;
}

static enum x402_err read_urls(const struct x402_provider_options *options,
	struct x402_errinfo *info, struct x402_provider *provider)
{
	enum x402_err err = read_facilitators(options, info, provider);

	if (err == X402_OK)
		err = read_origin(options, info, provider);
	if (err != X402_OK)
		return err;
	if (options->cors_origin &&
		(!*options->cors_origin ||
			!header_value_valid(options->cors_origin)))
		return refuse(info, "cors_origin", "expected an origin or *");
	return copy_str(options->cors_origin, &provider->cors_origin)
		? X402_OK
		: X402_ERR_NOMEM;
}

/* ---- Routes. ---- */

/* What every challenge of the route has in common, P-121. */
static enum x402_err write_common(
	struct x402__route *route, struct x402_errinfo *info, const char *field)
{
	struct x402_buf tail = {0};
	FREE_STR char *probe = NULL;
	/* Of the right length, which is all that is asked. */
	struct x402_provider nobody = {.nonces = 0};
	struct x402__stamp stamp = {.provider = &nobody, .url = ""};
	enum x402_err err;

	x402_buf_add_str(&tail, ",\"description\":");
	x402__json_string_add(&tail, route->description);
	x402_buf_add_str(&tail, ",\"mimeType\":");
	x402__json_string_add(&tail, route->mime_type);
	route->resource_tail = x402_buf_take_str(&tail);
	if (!route->resource_tail)
		return refuse(info, field,
			"description and mime_type: "
			"expected UTF-8");
	if (!route->current)
		return X402_OK;
	err = x402__challenge_header(
		route, route->current, &stamp, "", x402_span(NULL, 0), &probe);
	if (err == X402_ERR_TOO_LARGE)
		return refuse(info, field,
			"the challenge exceeds what clients read in a header");
	return err;
}

/* ---- The terms, kept for prices that are said later. ---- */

static bool copy_terms(
	const struct x402_provider_price *from, struct x402_provider_price *to)
{
	const char *const sources[] = {from->scheme, from->network,
		from->pay_to, from->price, from->amount, from->asset,
		from->extra_json};
	const char **const targets[] = {&to->scheme, &to->network, &to->pay_to,
		&to->price, &to->amount, &to->asset, &to->extra_json};
	bool whole = true;

	*to = *from;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		char *copy = NULL;

		whole = copy_str(sources[i], &copy) && whole;
		*targets[i] = copy;
	}
	return whole;
}

static void terms_clear(struct x402_provider_price *terms)
{
	const char *const owned[] = {terms->scheme, terms->network,
		terms->pay_to, terms->price, terms->amount, terms->asset,
		terms->extra_json};

	for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
		free((char *)(uintptr_t)owned[i]);
}

static enum x402_err read_param_prices(const struct x402_provider_route *from,
	struct x402_errinfo *info, const char *field, struct x402__route *route)
{
	route->param_prices = calloc(
		from->param_prices_len, sizeof(*route->param_prices));
	if (!route->param_prices ||
		!copy_str(from->price_param, &route->price_param))
		return X402_ERR_NOMEM;
	for (size_t i = 0; i < from->param_prices_len; i++) {
		const struct x402_provider_param_price *one =
			&from->param_prices[i];
		struct x402__prices *probe = NULL;
		enum x402_err err;

		if (!one->value || !one->price)
			return refuse(info, field,
				"param_prices: expected value and price");
		route->param_prices_len++;
		if (!copy_str(one->value, &route->param_prices[i].value) ||
			!copy_str(one->price, &route->param_prices[i].price))
			return X402_ERR_NOMEM;
		err = x402__prices_new(route, one->price, info, field, &probe);
		x402__prices_unref(probe);
		if (err != X402_OK)
			return err;
	}
	return X402_OK;
}

/* Is there a price to begin with, or is it said with every request? */
static bool fixed_price(const struct x402_provider_route *from)
{
	for (size_t i = 0; i < from->prices_len; i++)
		if (!from->prices[i].price && !from->prices[i].amount)
			return !from->price && !from->price_at_request;
	return true;
}

/* A price that no request would be given, to check the rest of the terms. */
#define PROBE_PRICE "$1"

static enum x402_err read_terms(const struct x402_provider_route *from,
	struct x402_errinfo *info, const char *field, struct x402__route *route)
{
	struct x402__prices *probe = NULL;
	bool whole = true;
	enum x402_err err;

	if (from->prices_len > X402_ACCEPTS_MAX)
		return refuse(info, field, "more prices than a client reads");
	route->terms = calloc(from->prices_len, sizeof(*route->terms));
	if (!route->terms)
		return X402_ERR_NOMEM;
	route->terms_len = from->prices_len;
	for (size_t i = 0; i < from->prices_len; i++)
		whole = copy_terms(&from->prices[i], &route->terms[i]) && whole;
	if (!whole)
		return X402_ERR_NOMEM;
	route->price = from->price;
	route->price_user = from->price_user;
	route->price_at_request = from->price_at_request;
	route->price_by_body = from->price && from->price_by_body;
	route->quote_s = from->quote_s;
	route->pass_s = from->pass_s;
	route->pass_uses = from->pass_uses;
	route->pass_scope = from->pass_scope;
	route->free_per_day = from->free_per_day;
	route->siwx_s = from->siwx_s;
	route->identifier = from->identifier;
	route->replay_s = from->replay_s;
	route->crawlers_only = from->crawlers_only;
	if (from->replay_s && from->identifier == X402_PROVIDER_IDENTIFIER_OFF)
		return refuse(info, field,
			"replay_s: expected identifier as well: what is "
			"repeated has a name");
	if (from->pass_uses && !from->pass_s)
		return refuse(info, field,
			"pass_uses: expected pass_s as well: a pass ends");
	if (fixed_price(from)) {
		err = x402__prices_new(
			route, NULL, info, field, &route->listed);
		if (err == X402_OK)
			route->current = x402__prices_ref(route->listed);
		return err;
	}
	err = x402__prices_new(route, PROBE_PRICE, info, field, &probe);
	x402__prices_unref(probe);
	return err;
}

static enum x402_err read_texts(const struct x402_provider_route *from,
	struct x402_errinfo *info, const char *field, struct x402__route *route)
{
	struct x402_json *extensions = NULL;
	enum x402_err err;

	if (!copy_str(from->description ? from->description : "",
		    &route->description) ||
		!copy_str(from->mime_type ? from->mime_type : "",
			&route->mime_type))
		return X402_ERR_NOMEM;
	route->v1 = from->v1;
	route->settle = from->settle;
	if (!from->extensions_json)
		return X402_OK;
	err = x402__parse_object(
		from->extensions_json, info, field, &extensions);
	if (err != X402_OK)
		return err;
	route->extensions = x402_json_dump(extensions);
	x402_json_unref(extensions);
	return route->extensions ? X402_OK : X402_ERR_NOMEM;
}

static enum x402_err check_holder_prices(const struct x402__route *route,
	struct x402_errinfo *info, const char *field)
{
	enum x402_err err = X402_OK;

	for (size_t i = 0; err == X402_OK && i < route->holders_len; i++) {
		struct x402__prices *probe = NULL;

		if (route->holders[i].price)
			err = x402__prices_new(route, route->holders[i].price,
				info, field, &probe);
		x402__prices_unref(probe);
	}
	return err;
}

static enum x402_err read_route(const struct x402_provider_route *from,
	size_t index, struct x402_errinfo *info, struct x402__route *route)
{
	struct x402_errinfo why = {0};
	char field[64];
	enum x402_err err;

	snprintf(field, sizeof(field), "routes[%zu]", index);
	err = x402__pattern_compile(from->pattern, &why, &route->pattern);
	if (err == X402_ERR_NOMEM)
		return err;
	if (err != X402_OK)
		return refuse(info, field, why.text);
	err = read_texts(from, info, field, route);
	if (err != X402_OK || from->prices_len == 0)
		return err;
	err = read_terms(from, info, field, route);
	if (err == X402_OK && from->holders_len) {
		err = x402__holders_read(from->holders, from->holders_len, info,
			field, &route->holders);
		route->holders_len = err == X402_OK ? from->holders_len : 0;
	}
	if (err == X402_OK)
		err = check_holder_prices(route, info, field);
	if (err == X402_OK)
		err = x402__crawlers_read(from->crawlers, from->crawlers_len,
			info, &route->crawlers);
	if (err == X402_OK && from->price_param)
		err = read_param_prices(from, info, field, route);
	return err == X402_OK ? write_common(route, info, field) : err;
}

static enum x402_err read_routes(const struct x402_provider_options *options,
	struct x402_errinfo *info, struct x402_provider *provider)
{
	if (options->routes_len == 0 || !options->routes)
		return refuse(info, "routes", "expected at least one route");
	if (options->routes_len > X402_PROVIDER_ROUTES_MAX)
		return refuse(info, "routes", "more routes than allowed");
	provider->routes = calloc(
		options->routes_len, sizeof(*provider->routes));
	if (!provider->routes)
		return X402_ERR_NOMEM;
	provider->routes_len = options->routes_len;
	for (size_t i = 0; i < options->routes_len; i++) {
		enum x402_err err = read_route(
			&options->routes[i], i, info, &provider->routes[i]);

		if (err != X402_OK)
			return err;
		/* E-SIWX: a text with a stranger's Host in it would be signed
		 * on his site and opened here. */
		if (!provider->public_origin &&
			(options->routes[i].siwx_s ||
				options->routes[i].holders_len))
			return refuse(info, "public_origin",
				"expected, where wallets sign in: what they "
				"sign must name our origin, and not the Host "
				"of a request");
		if (!provider->quotes && provider->routes[i].quote_s) {
			provider->quotes = calloc(
				X402__QUOTES_MAX, sizeof(*provider->quotes));
			if (!provider->quotes)
				return X402_ERR_NOMEM;
		}
	}
	return X402_OK;
}

static enum x402_err read_memory(const struct x402_provider_memory *memory,
	struct x402_errinfo *info, struct x402_provider *provider)
{
	if (!memory->claim || !memory->asking || !memory->settled ||
		!memory->end || !memory->secret32)
		return refuse(info, "memory", "expected all of its members");
	if (!memory->count != !memory->counted ||
		!memory->count != !memory->uncount)
		return refuse(info, "memory",
			"expected count, counted and uncount, or none of them");
	if (!memory->name_take != !memory->name_find ||
		!memory->name_take != !memory->name_keep ||
		!memory->name_take != !memory->name_drop)
		return refuse(info, "memory",
			"expected all verbs about names, or none");
	for (size_t i = 0; i < provider->routes_len; i++)
		if (provider->routes[i].replay_s && memory->count &&
			!memory->name_take)
			return refuse(info, "memory",
				"expected verbs about names, for replay_s");
	if (!memory->recall && provider->facilitators_len > 1)
		return refuse(info, "memory",
			"expected recall, since there are several "
			"facilitators");
	provider->memory = *memory;
	memcpy(provider->secret32, memory->secret32, 32);
	/* The caller's copy may be gone tomorrow. */
	provider->memory.secret32 = NULL;
	return X402_OK;
}

static enum x402_err read_rpcs(const struct x402_provider_options *options,
	struct x402_errinfo *info, struct x402_provider *provider)
{
	if (options->rpcs_len > X402__RPCS_MAX)
		return refuse(info, "rpcs", "more than 32");
	for (size_t i = 0; i < options->rpcs_len; i++) {
		const struct x402_provider_rpc *from = &options->rpcs[i];
		struct x402__rpc *rpc = &provider->rpcs[i];
		struct x402_network network;

		if (!from->network || !from->url ||
			strncmp(from->network, "eip155:", 7) != 0 ||
			x402_network_parse(from->network, &network) !=
				X402_OK ||
			!x402__url_valid(from->url, true))
			return refuse(info, "rpcs",
				"expected networks such as eip155:8453, each "
				"with an http:// or https:// url");
		provider->rpcs_len++;
		if (!copy_str(from->network, &rpc->network) ||
			!copy_str(from->url, &rpc->url))
			return X402_ERR_NOMEM;
	}
	return X402_OK;
}

static enum x402_err read_extras(const struct x402_provider_options *options,
	struct x402_errinfo *info, struct x402_provider *provider)
{
	enum x402_err err;

	if (options->secret32 && options->memory)
		return refuse(info, "secret32", "the memory brings its own");
	/* Still the drawn one: processes that share a secret count nonces from
	 * different numbers. */
	memcpy(&provider->nonces, provider->secret32, sizeof(uint64_t));
	if (options->secret32)
		memcpy(provider->secret32, options->secret32, 32);
	provider->pass_epoch = options->pass_epoch;
	provider->counters = x402__counters_new(options->memory);
	provider->bought = x402__counters_new(options->memory);
	provider->names = x402__names_new(
		X402__NAMES_MAX, X402__NAMES_BYTES_MAX);
	if (!provider->counters || !provider->bought || !provider->names)
		return X402_ERR_NOMEM;
	err = x402__crawlers_read(options->crawlers, options->crawlers_len,
		info, &provider->crawlers);
	if (err == X402_OK)
		err = read_rpcs(options, info, provider);
	if (err != X402_OK)
		return err;
	if (options->signing_key) {
		err = x402_secp256k1_new(provider->secret32, &provider->secp);

		if (err != X402_OK)
			return err;
		provider->signing_key = *options->signing_key;
	}
	return options->page
		? x402__page_new(options->page, info, &provider->page)
		: X402_OK;
}

/* Who has sent money for a reference must not meet a process without it. */
static enum x402_err check_secret(
	struct x402_errinfo *info, const struct x402_provider *provider)
{
	for (size_t i = 0; i < provider->routes_len; i++) {
		const struct x402__route *route = &provider->routes[i];

		for (size_t j = 0; j < route->terms_len; j++)
			if (route->terms[j].scheme &&
				strcmp(route->terms[j].scheme,
					X402_PROOF_SCHEME) == 0)
				return refuse(info, "secret32",
					"scheme proof needs it, or a memory: "
					"references must outlive the process");
	}
	return X402_OK;
}

enum x402_err x402_provider_new(const struct x402_provider_options *options,
	struct x402_errinfo *info, struct x402_provider **ret_provider)
{
	struct x402_provider *provider = calloc(1, sizeof(*provider));
	enum x402_err err;

	if (!provider)
		return X402_ERR_NOMEM;
	pthread_mutex_init(&provider->lock, NULL); /* never fails on Linux */
	provider->hooks = options->hooks;
	provider->verify_timeout_ms = options->verify_timeout_ms
		? options->verify_timeout_ms
		: X402_PROVIDER_CALL_TIMEOUT_MS;
	provider->settle_timeout_ms = options->settle_timeout_ms
		? options->settle_timeout_ms
		: X402_PROVIDER_CALL_TIMEOUT_MS;
	err = read_urls(options, info, provider);
	if (err == X402_OK)
		err = read_routes(options, info, provider);
	if (err == X402_OK && !options->secret32 && !options->memory)
		err = check_secret(info, provider);
	if (err == X402_OK &&
		(getrandom(provider->secret32, 32, 0) != 32 ||
			getrandom(provider->salt32, 32, 0) != 32))
		err = X402_ERR_INTERNAL;
	if (err == X402_OK)
		err = read_extras(options, info, provider);
	if (err == X402_OK && options->memory)
		err = read_memory(options->memory, info, provider);
	if (err == X402_OK && !options->memory) {
		provider->payments = x402__payments_new(
			options->payments_max ? options->payments_max : 65536);
		err = provider->payments ? X402_OK : X402_ERR_NOMEM;
	}
	if (err != X402_OK) {
		x402_provider_free(provider);
		return err;
	}
	*ret_provider = provider;
	return X402_OK;
}

size_t x402_provider_routes_len(const struct x402_provider *provider)
{
	return provider->routes_len;
}

static void route_clear(struct x402__route *route)
{
	x402__pattern_clear(&route->pattern);
	for (size_t i = 0; route->terms && i < route->terms_len; i++)
		terms_clear(&route->terms[i]);
	free(route->terms);
	for (size_t i = 0; i < route->param_prices_len; i++) {
		free(route->param_prices[i].value);
		free(route->param_prices[i].price);
	}
	free(route->param_prices);
	x402__holders_free(route->holders, route->holders_len);
	x402__crawlers_clear(&route->crawlers);
	free(route->price_param);
	for (size_t i = 0; i < X402__RECENT_PRICES; i++)
		x402__prices_unref(route->recent[i]);
	x402__prices_unref(route->listed);
	x402__prices_unref(route->current);
	x402__prices_unref(route->previous);
	free(route->description);
	free(route->mime_type);
	free(route->resource_tail);
	free(route->extensions);
}

static void facilitator_clear(struct x402__facilitator *facilitator)
{
	free(facilitator->verify_url);
	free(facilitator->settle_url);
	if (facilitator->authorization)
		x402_wipe(facilitator->authorization,
			strlen(facilitator->authorization));
	free(facilitator->authorization);
}

void x402_provider_free(struct x402_provider *provider)
{
	if (!provider)
		return;
	for (size_t i = 0; provider->routes && i < provider->routes_len; i++)
		route_clear(&provider->routes[i]);
	free(provider->routes);
	for (size_t i = 0; i < provider->facilitators_len; i++)
		facilitator_clear(&provider->facilitators[i]);
	free(provider->facilitators);
	x402__networks_clear(&provider->proxies);
	for (size_t i = 0; i < provider->rpcs_len; i++) {
		free(provider->rpcs[i].network);
		free(provider->rpcs[i].url);
	}
	free(provider->quotes);
	free(provider->public_origin);
	free(provider->cors_origin);
	x402__payments_free(provider->payments);
	x402__crawlers_clear(&provider->crawlers);
	x402__counters_free(provider->counters);
	x402__counters_free(provider->bought);
	x402__names_free(provider->names);
	x402_secp256k1_free(provider->secp);
	x402_secret_clear(&provider->signing_key);
	x402__page_free(provider->page);
	x402_wipe(provider->secret32, sizeof(provider->secret32));
	pthread_mutex_destroy(&provider->lock);
	free(provider);
}
