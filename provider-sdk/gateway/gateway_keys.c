/*
 * gateway_keys.c: every key of the file with its limits, and what makes a text
 * good. The limits are typing errors' limits: beyond them a figure is a slip.
 */
#include "gateway_config_p.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <strings.h>

#define MS_MAX          (3600L * 1000)
#define CONNECTIONS_MAX 100000L
#define BODY_MAX        (1L << 40)
#define YEAR_S          (366L * 86400)

/* ---- Texts. ---- */

static bool any_text(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static bool some_text(const char *text)
{
	return *text && any_text(text);
}

static bool address_good(const char *text)
{
	struct gw_address address;

	return gw_address_read(text, &address) == X402_OK;
}

static bool admin_good(const char *text)
{
	return !*text || address_good(text);
}

/* Bytes of "http://" or "https://", or 0. */
static size_t scheme_len(const char *text)
{
	if (strncmp(text, "https://", 8) == 0)
		return 8;
	return strncmp(text, "http://", 7) == 0 ? 7 : 0;
}

/* "host", "host:80", "[::1]:80"; nothing behind it but a path where allowed. */
static bool authority_good(const char *text, bool path_allowed)
{
	size_t len = strcspn(text, "/?#");
	size_t host = *text == '[' ? strcspn(text, "]") + 1
				   : strcspn(text, ":/?#");

	if (host == 0 || host > len || len > 255)
		return false;
	for (size_t i = 0; i < host; i++)
		if (!isalnum((unsigned char)text[i]) &&
			!strchr("-._[]:", text[i]))
			return false;
	if (*text == '[' && host < 4)
		return false;
	if (host < len) {
		size_t digits = strspn(text + host + 1, "0123456789");

		if (text[host] != ':' || digits < 1 || digits > 5 ||
			host + 1 + digits != len)
			return false;
	}
	return path_allowed ? any_text(text) && !strchr(text, ' ')
			    : text[len] == '\0';
}

static bool origin_good(const char *text)
{
	size_t scheme = scheme_len(text);

	return scheme && authority_good(text + scheme, false);
}

static bool url_good(const char *text)
{
	size_t scheme = scheme_len(text);

	return scheme && authority_good(text + scheme, true);
}

/* "eip155:8453=https://rpc.example"; its network is the provider's to read. */
static bool rpc_good(const char *text)
{
	const char *url = strchr(text, '=');

	return url && strncmp(text, "eip155:", 7) == 0 && url_good(url + 1);
}

/* A secret travels there: by https, or to this machine. */
static bool token_url_good(const char *text)
{
	static const char *const here[] = {"127.0.0.1", "[::1]", "localhost"};

	if (!url_good(text))
		return false;
	if (scheme_len(text) == 8)
		return true;
	for (size_t i = 0; i < sizeof(here) / sizeof(*here); i++) {
		size_t len = strlen(here[i]);

		if (strncasecmp(text + 7, here[i], len) == 0 &&
			(!text[7 + len] || strchr(":/?", text[7 + len])))
			return true;
	}
	return false;
}

static bool path_good(const char *text)
{
	return *text == '/' && some_text(text) && !strchr(text, ' ') &&
		!strchr(text, '#');
}

static bool host_good(const char *text)
{
	return strcmp(text, "$host") == 0 || authority_good(text, false);
}

static bool token_good(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) &&
			!strchr("!#$%&'*+-.^_`|~", text[i]))
			return false;
	return len > 0;
}

static bool name_good(const char *text)
{
	return token_good(text, strlen(text)) && strlen(text) < 64;
}

bool gw_header_good(const char *line)
{
	/* What the gateway says itself, or what would cut a message in two. */
	static const char *const ours[] = {"connection", "content-length",
		"expect", "forwarded", "host", "keep-alive",
		"payment-identifier", "payment-signature", "proxy-connection",
		"te", "trailer", "transfer-encoding", "upgrade", "x-payment",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"};
	size_t len = strcspn(line, ":");

	if (line[len] != ':' || !token_good(line, len) || !any_text(line))
		return false;
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (strlen(ours[i]) == len &&
			strncasecmp(line, ours[i], len) == 0)
			return false;
	return true;
}

static bool network_good(const char *text)
{
	char copy[INET6_ADDRSTRLEN + 1];
	uint8_t ip[16];
	size_t len = strcspn(text, "/");
	size_t digits = text[len] ? strspn(text + len + 1, "0123456789") : 0;

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET, copy, ip) != 1 &&
		inet_pton(AF_INET6, copy, ip) != 1)
		return false;
	return !text[len] || (digits > 0 && !text[len + 1 + digits]);
}

static bool host_end_good(const char *text)
{
	return text[0] == '.' && text[1] && authority_good(text + 1, false) &&
		!strchr(text, ':');
}

static bool accent_good(const char *text)
{
	size_t len = strlen(text);

	return text[0] == '#' && (len == 4 || len == 7) &&
		strspn(text + 1, "0123456789abcdefABCDEF") == len - 1;
}

/* ---- Words. ---- */

bool gw_settle_read(const char *text, enum x402_provider_settle *ret_settle)
{
	if (strcmp(text, "after") == 0)
		*ret_settle = X402_PROVIDER_SETTLE_AFTER;
	else if (strcmp(text, "before") == 0)
		*ret_settle = X402_PROVIDER_SETTLE_BEFORE;
	else if (strcmp(text, "reserve") == 0)
		*ret_settle = X402_PROVIDER_SETTLE_RESERVE;
	else
		return false;
	return true;
}

static bool settle_good(const char *text)
{
	enum x402_provider_settle settle;

	return gw_settle_read(text, &settle);
}

bool gw_policy_read(const char *text, enum x402_provider_policy *ret_policy)
{
	if (strcmp(text, "charge") == 0)
		*ret_policy = X402_PROVIDER_CHARGE;
	else if (strcmp(text, "allow") == 0)
		*ret_policy = X402_PROVIDER_ALLOW;
	else if (strcmp(text, "block") == 0)
		*ret_policy = X402_PROVIDER_BLOCK;
	else
		return false;
	return true;
}

static bool policy_good(const char *text)
{
	enum x402_provider_policy policy;

	return gw_policy_read(text, &policy);
}

bool gw_identifier_read(
	const char *text, enum x402_provider_identifier *ret_identifier)
{
	if (strcmp(text, "off") == 0)
		*ret_identifier = X402_PROVIDER_IDENTIFIER_OFF;
	else if (strcmp(text, "optional") == 0)
		*ret_identifier = X402_PROVIDER_IDENTIFIER_OPTIONAL;
	else if (strcmp(text, "required") == 0)
		*ret_identifier = X402_PROVIDER_IDENTIFIER_REQUIRED;
	else
		return false;
	return true;
}

static bool identifier_good(const char *text)
{
	enum x402_provider_identifier identifier;

	return gw_identifier_read(text, &identifier);
}

bool gw_scope_read(const char *text, enum x402_provider_scope *ret_scope)
{
	if (strcmp(text, "resource") == 0)
		*ret_scope = X402_PROVIDER_SCOPE_RESOURCE;
	else if (strcmp(text, "route") == 0)
		*ret_scope = X402_PROVIDER_SCOPE_ROUTE;
	else if (strcmp(text, "site") == 0)
		*ret_scope = X402_PROVIDER_SCOPE_SITE;
	else
		return false;
	return true;
}

static bool scope_good(const char *text)
{
	enum x402_provider_scope scope;

	return gw_scope_read(text, &scope);
}

/* ---- The table. ---- */

#define TOP(member)      offsetof(struct gw_config, member)
#define UPSTREAM(member) offsetof(struct gw_config_upstream, member)
#define OAUTH(member)    offsetof(struct gw_config_oauth, member)
#define ROUTE(member)    offsetof(struct gw_config_route, member)
#define HOLDER(member)   offsetof(struct gw_config_holder, member)
#define CRAWLER(member)  offsetof(struct gw_config_crawler, member)
#define RATE(member)     offsetof(struct gw_config_rate, member)

#define TEXT(section, name, offset, check, what)                             \
	{                                                                    \
		section, name, GW_KEY_TEXT, offset, 0, 0, check, what, false \
	}
#define LIST(section, name, offset, check, what)                             \
	{                                                                    \
		section, name, GW_KEY_LIST, offset, 0, 0, check, what, false \
	}
#define U32(section, name, offset, min, max)                                   \
	{                                                                      \
		section, name, GW_KEY_U32, offset, min, max, NULL, NULL, false \
	}
#define U64(section, name, offset, min, max)                                   \
	{                                                                      \
		section, name, GW_KEY_U64, offset, min, max, NULL, NULL, false \
	}
#define FLAG(section, name, offset)                                         \
	{                                                                   \
		section, name, GW_KEY_FLAG, offset, 0, 0, NULL, NULL, false \
	}
#define PRIVATE(section, name, offset)                               \
	{                                                            \
		section, name, GW_KEY_FILE, offset, 0, 0, some_text, \
			"a file's name", false                       \
	}
#define OTHER(section, name, check, what)                                \
	{                                                                \
		section, name, GW_KEY_OTHER, 0, 0, 0, check, what, false \
	}
#define OTHERS(section, name, check, what, secret)                         \
	{                                                                  \
		section, name, GW_KEY_OTHERS, 0, 0, 0, check, what, secret \
	}

#define URL      "http:// or https:// and a host"
#define ORIGIN   URL ", nothing after it"
#define A_TEXT   "a text"
#define NETWORKS "addresses and networks such as \"192.0.2.0/24\""

const struct gw_key gw_keys[] = {
	OTHER("", "listen", address_good, "\"host:port\" or \":port\""),
	OTHER("", "admin_listen", admin_good,
		"\"host:port\", or \"\" for none"),
	TEXT("", "tls_certificate", TOP(tls_certificate), some_text,
		"a file's name"),
	TEXT("", "tls_key", TOP(tls_key), some_text, "a file's name"),
	TEXT("", "public_origin", TOP(public_origin), origin_good, ORIGIN),
	LIST("", "trusted_proxies", TOP(trusted_proxies), network_good,
		NETWORKS),
	TEXT("", "price", TOP(price), some_text, "a price such as \"$0.01\""),
	TEXT("", "network", TOP(network), some_text,
		"a network such as \"eip155:8453\""),
	TEXT("", "pay_to", TOP(pay_to), some_text, "an address"),
	OTHER("", "settle", settle_good, "after, before or reserve"),
	OTHERS("", "facilitators", url_good, URL, false),
	PRIVATE("", "facilitator_authorization_file",
		TOP(facilitator_authorization)),
	TEXT("", "journal", TOP(journal), any_text, "a file's name"),
	LIST("", "rpcs", TOP(rpcs), rpc_good,
		"network=url such as \"eip155:8453=https://rpc.example\""),
	U32("", "journal_days", TOP(journal_days), 0, 36500),
	TEXT("", "cors_origin", TOP(cors_origin), any_text,
		"\"*\", an origin or \"\""),
	FLAG("", "v1", TOP(v1)),
	FLAG("", "page", TOP(page)),
	TEXT("", "page_name", TOP(page_name), some_text, A_TEXT),
	TEXT("", "page_accent", TOP(page_accent), accent_good,
		"a colour such as \"#2557d6\""),
	TEXT("", "resolver", TOP(resolver), address_good,
		"an address such as \"192.0.2.53:53\""),
	U32("", "connections_max", TOP(connections_max), 1, CONNECTIONS_MAX),
	U64("", "body_max", TOP(body_max), 0, BODY_MAX),
	U32("", "headers_timeout_ms", TOP(headers_timeout_ms), 1, MS_MAX),
	U32("", "body_timeout_ms", TOP(body_timeout_ms), 1, MS_MAX),
	U32("", "idle_timeout_ms", TOP(idle_timeout_ms), 1, MS_MAX),
	U32("", "write_timeout_ms", TOP(write_timeout_ms), 1, MS_MAX),
	U32("", "drain_timeout_ms", TOP(drain_timeout_ms), 1, MS_MAX),
	U32("", "verify_timeout_ms", TOP(verify_timeout_ms), 1, MS_MAX),
	U32("", "settle_timeout_ms", TOP(settle_timeout_ms), 1, MS_MAX),
	FLAG("", "access_log", TOP(access_log)),
	FLAG("", "manifest", TOP(manifest)),
	FLAG("", "robots", TOP(robots)),

	TEXT("upstream", "url", UPSTREAM(url), origin_good, ORIGIN),
	TEXT("upstream", "host", UPSTREAM(host), host_good,
		"a host, or \"$host\" for the client's"),
	TEXT("upstream", "ca_file", UPSTREAM(ca_file), some_text,
		"a file's name"),
	OTHERS("upstream", "headers", gw_header_good,
		"\"Name: value\" with a name that is not the gateway's own",
		true),
	OTHERS("upstream", "header_files", some_text, "a file's name", false),
	U32("upstream", "connect_timeout_ms", UPSTREAM(connect_timeout_ms), 1,
		MS_MAX),
	U32("upstream", "header_timeout_ms", UPSTREAM(header_timeout_ms), 1,
		MS_MAX),
	U32("upstream", "idle_timeout_ms", UPSTREAM(idle_timeout_ms), 1,
		MS_MAX),
	U32("upstream", "total_timeout_ms", UPSTREAM(total_timeout_ms), 0,
		24 * MS_MAX),
	U32("upstream", "connections_max", UPSTREAM(connections_max), 1,
		CONNECTIONS_MAX),
	TEXT("upstream", "health_path", UPSTREAM(health_path), path_good,
		"a path"),
	U32("upstream", "health_interval_ms", UPSTREAM(health_interval_ms), 100,
		MS_MAX),
	U32("upstream", "health_timeout_ms", UPSTREAM(health_timeout_ms), 1,
		MS_MAX),
	U32("upstream", "breaker_failures", UPSTREAM(breaker_failures), 0,
		1000000),
	U32("upstream", "breaker_open_ms", UPSTREAM(breaker_open_ms), 1,
		MS_MAX),

	TEXT("oauth", "token_url", OAUTH(token_url), token_url_good,
		"https:// and a host, or http:// to this machine"),
	TEXT("oauth", "client_id", OAUTH(client_id), some_text, A_TEXT),
	PRIVATE("oauth", "client_secret_file", OAUTH(client_secret)),
	TEXT("oauth", "scope", OAUTH(scope), some_text, A_TEXT),
	TEXT("oauth", "audience", OAUTH(audience), some_text, A_TEXT),
	FLAG("oauth", "secret_in_body", OAUTH(secret_in_body)),
	U32("oauth", "early_s", OAUTH(early_s), 1, 3600),

	TEXT("route", "upstream", ROUTE(upstream), some_text,
		"the title of an upstream section"),
	FLAG("route", "free", ROUTE(free)),
	TEXT("route", "price", ROUTE(price), some_text,
		"a price such as \"$0.01\""),
	TEXT("route", "network", ROUTE(network), some_text,
		"a network such as \"eip155:8453\""),
	TEXT("route", "pay_to", ROUTE(pay_to), some_text, "an address"),
	TEXT("route", "asset", ROUTE(asset), some_text, "an address"),
	TEXT("route", "amount", ROUTE(amount), some_text,
		"a number of atomic units"),
	TEXT("route", "extra_json", ROUTE(extra_json), some_text,
		"a JSON object"),
	TEXT("route", "scheme", ROUTE(scheme), some_text,
		"a scheme such as exact"),
	OTHER("route", "settle", settle_good, "after, before or reserve"),
	TEXT("route", "description", ROUTE(description), any_text, A_TEXT),
	TEXT("route", "mime_type", ROUTE(mime_type), any_text, A_TEXT),
	U32("route", "pass_s", ROUTE(pass_s), 0, YEAR_S),
	U32("route", "pass_uses", ROUTE(pass_uses), 0, 1000000000),
	OTHER("route", "pass_scope", scope_good, "resource, route or site"),
	U32("route", "siwx_s", ROUTE(siwx_s), 0, YEAR_S),
	U32("route", "free_per_day", ROUTE(free_per_day), 0, 1000000000),
	FLAG("route", "forward_payment", ROUTE(forward_payment)),
	FLAG("route", "crawlers_only", ROUTE(crawlers_only)),
	OTHER("route", "identifier", identifier_good,
		"off, optional or required"),

	TEXT("holder", "rpc_url", HOLDER(rpc_url), url_good, URL),
	TEXT("holder", "token", HOLDER(token), some_text, "an address"),
	TEXT("holder", "min", HOLDER(min), some_text,
		"a number of atomic units"),

	TEXT("holder", "price", HOLDER(price), some_text,
		"a price such as \"$0.001\""),

	OTHER("crawler", "policy", policy_good, "charge, allow or block"),
	LIST("crawler", "networks", CRAWLER(networks), network_good, NETWORKS),
	LIST("crawler", "hosts", CRAWLER(hosts), host_end_good,
		"ends of names such as \".googlebot.com\""),
	TEXT("crawler", "directory", CRAWLER(directory), origin_good, ORIGIN),

	U32("rate_address", "requests", RATE(requests), 1, 1000000000),
	U32("rate_address", "window_s", RATE(window_s), 1, 86400),
	U32("rate_key", "requests", RATE(requests), 1, 1000000000),
	U32("rate_key", "window_s", RATE(window_s), 1, 86400),
	OTHER("rate_key", "header", name_good, "a header's name"),
};
const size_t gw_keys_len = sizeof(gw_keys) / sizeof(gw_keys[0]);

const struct gw_key *gw_key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < gw_keys_len; i++)
		if (strcmp(gw_keys[i].section, section) == 0 &&
			strcmp(gw_keys[i].name, name) == 0)
			return &gw_keys[i];
	return NULL;
}
