/*
 * origin.c: the two errands that the gateway runs for itself. Each is one
 * libcurl transfer with a deadline; its end goes to upstream_state.c or
 * oauth.c, which know what it means.
 */
#include "origin.h"

#include <stdlib.h>
#include <string.h>

#include "access_log.h"

/* A token endpoint that takes longer holds up everybody who waits. */
#define FETCH_TIMEOUT_MS 10000L
#define CONNECT_MS       5000L

static uint64_t now_ms(const struct gw_origin *origin)
{
	return uv_now(origin->loop);
}

/* ---- Errands. ---- */

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
	struct gw_errand *errand = user;
	size_t len = size * n;

	if (errand->body.len + len > GW_OAUTH_ANSWER_MAX)
		return 0; /* ends the transfer */
	x402_buf_add(&errand->body, x402_span(data, len));
	return errand->body.failed ? 0 : len;
}

/* What a check gives is not looked at, only that it comes. */
static size_t on_nothing(char *data, size_t size, size_t n, void *user)
{
	(void)data;
	(void)user;
	return size * n;
}

static void errand_clear(struct gw_errand *errand)
{
	curl_easy_cleanup(errand->easy);
	for (struct curl_slist *at = errand->headers; at; at = at->next)
		x402_wipe(at->data, strlen(at->data));
	curl_slist_free_all(errand->headers);
	gw_oauth_wipe(&errand->secret);
	gw_oauth_wipe(&errand->line);
	gw_oauth_wipe(&errand->body);
	memset(errand, 0, sizeof(*errand));
}

static bool add_line(struct gw_errand *errand, const char *line)
{
	struct curl_slist *longer = curl_slist_append(errand->headers, line);

	if (longer)
		errand->headers = longer;
	return longer != NULL;
}

static unsigned status_of(const struct gw_errand *errand)
{
	long status = 0;

	curl_easy_getinfo(errand->easy, CURLINFO_RESPONSE_CODE, &status);
	return (unsigned)status;
}

static CURLcode set_up(const struct gw_origin *origin,
	const struct gw_errand *errand, const char *url, long timeout_ms)
{
	CURLcode bad = CURLE_OK;

#define SET(option, value) \
	(bad = bad ? bad : curl_easy_setopt(errand->easy, (option), (value)))
	SET(CURLOPT_URL, url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_TIMEOUT_MS, timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	SET(CURLOPT_HTTPHEADER, errand->headers);
	SET(CURLOPT_USERAGENT, "x402-gateway/" X402_VERSION);
	if (origin->config->ca_file)
		SET(CURLOPT_CAINFO, origin->config->ca_file);
	return bad;
}

/* ---- Health. ---- */

static void on_checked(void *user, CURLcode code)
{
	struct gw_origin *origin = user;
	unsigned status = code == CURLE_OK ? status_of(&origin->check) : 0;
	bool was = origin->state.up;

	gw_upstream_checked(
		&origin->state, status >= 200 && status < 400, now_ms(origin));
	errand_clear(&origin->check);
	if (was != origin->state.up)
		gw_log_event(origin->state.up ? "upstream_up" : "upstream_down",
			origin->config->url);
}

static bool begin_check(struct gw_origin *origin)
{
	const struct gw_config_upstream *config = origin->config;
	struct gw_errand *errand = &origin->check;
	char *line = NULL;
	CURLcode bad;

	errand->easy = curl_easy_init();
	if (!errand->easy)
		return false;
	if (*origin->host && asprintf(&line, "Host: %s", origin->host) < 0)
		return false;
	if (line && !add_line(errand, line)) {
		free(line);
		return false;
	}
	free(line);
	bad = set_up(
		origin, errand, config->url, (long)config->health_timeout_ms);
	SET(CURLOPT_REQUEST_TARGET, config->health_path);
	SET(CURLOPT_WRITEFUNCTION, on_nothing);
	return !bad &&
		x402__transfers_begin(
			origin->transfers, errand->easy, on_checked, origin);
}

void gw_origin_tick(struct gw_origin *origin)
{
	if (!origin->config->health_path ||
		!gw_upstream_check_due(&origin->state, now_ms(origin)))
		return;
	if (begin_check(origin))
		return;
	errand_clear(&origin->check);
	gw_upstream_checked(&origin->state, false, now_ms(origin));
}

/* ---- Tokens. ---- */

static void on_fetched(void *user, CURLcode code)
{
	struct gw_origin *origin = user;
	struct gw_errand *errand = &origin->fetch;
	struct x402_errinfo info = {{0}, {0}};

	if (!gw_oauth_fetched(origin->oauth,
		    code == CURLE_OK ? X402_OK : X402_ERR_NETWORK,
		    status_of(errand), x402_buf_span(&errand->body),
		    now_ms(origin), &info))
		gw_log_event("token_failed", info.text);
	errand_clear(errand);
	if (origin->on_token)
		origin->on_token(origin->user);
}

static bool begin_fetch(struct gw_origin *origin)
{
	struct gw_errand *errand = &origin->fetch;
	struct x402_buf authorization = {0};
	CURLcode bad;
	bool good;

	errand->easy = curl_easy_init();
	/* The token comes in pieces: the same. */
	x402_buf_reserve(&errand->body, GW_OAUTH_ANSWER_MAX);
	good = errand->easy && !errand->body.failed &&
		gw_oauth_request(
			origin->oauth, &authorization, &errand->secret);
	if (good && authorization.len) {
		/* Beforehand: one that grows leaves the secret behind. */
		x402_buf_reserve(&errand->line,
			sizeof("Authorization: ") + authorization.len);
		x402_buf_add_str(&errand->line, "Authorization: ");
		x402_buf_add(&errand->line, x402_buf_span(&authorization));
		x402_buf_add_byte(&errand->line, 0);
		good = !errand->line.failed &&
			add_line(errand, (const char *)errand->line.ptr);
	}
	gw_oauth_wipe(&authorization);
	if (!good || !add_line(errand, "Accept: application/json"))
		return false;
	bad = set_up(origin, errand, origin->config->oauth.token_url,
		FETCH_TIMEOUT_MS);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDS, (const char *)errand->secret.ptr);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)errand->secret.len);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, errand);
	return !bad &&
		x402__transfers_begin(
			origin->transfers, errand->easy, on_fetched, origin);
}
#undef SET

enum gw_oauth_verdict gw_origin_token(struct gw_origin *origin,
	const char **ret_authorization, uint64_t *ret_serial)
{
	struct gw_oauth_answer answer = {.verdict = GW_OAUTH_TOKEN};
	struct x402_errinfo info = {{0}, {0}};

	*ret_authorization = NULL;
	*ret_serial = 0;
	if (!origin->oauth)
		return GW_OAUTH_TOKEN;
	gw_oauth_get(origin->oauth, now_ms(origin), &answer);
	if (answer.fetch && !begin_fetch(origin)) {
		errand_clear(&origin->fetch);
		(void)gw_oauth_fetched(origin->oauth, X402_ERR_NOMEM, 0,
			x402_span(NULL, 0), now_ms(origin), &info);
		gw_log_event("token_failed", "out of memory");
		gw_oauth_get(origin->oauth, now_ms(origin), &answer);
	}
	if (answer.verdict == GW_OAUTH_TOKEN) {
		*ret_authorization = answer.authorization;
		*ret_serial = answer.serial;
	}
	return answer.verdict;
}

void gw_origin_token_refused(struct gw_origin *origin, uint64_t serial)
{
	if (origin->oauth)
		gw_oauth_refused(origin->oauth, serial, now_ms(origin));
}

/* ---- Open and close. ---- */

/* "http://127.0.0.1:9000/" gives "127.0.0.1:9000". */
static char *host_of(const char *url)
{
	const char *at = strstr(url, "://");

	at = at ? at + 3 : url;
	return strndup(at, strcspn(at, "/"));
}

static enum x402_err open_oauth(
	struct gw_origin *origin, struct x402_errinfo *info)
{
	const struct gw_config_oauth *config = &origin->config->oauth;
	const struct gw_oauth_options options = {
		.client_id = config->client_id,
		.client_secret = config->client_secret,
		.scope = config->scope,
		.audience = config->audience,
		.secret_in_body = config->secret_in_body,
		.early_s = config->early_s,
	};

	return config->token_url ? gw_oauth_new(&options, info, &origin->oauth)
				 : X402_OK;
}

enum x402_err gw_origin_open(const struct gw_config_upstream *config,
	uv_loop_t *loop, struct x402_errinfo *info, struct gw_origin *origin)
{
	struct gw_upstream_options options = GW_UPSTREAM_OPTIONS_INIT;

	origin->config = config;
	origin->loop = loop;
	if (!config->host)
		origin->host = host_of(config->url);
	else if (strcmp(config->host, "$host") == 0)
		origin->host = strdup("");
	else
		origin->host = strdup(config->host);
	origin->transfers = x402__transfers_new(loop);
	if (!origin->host || !origin->transfers)
		return X402_ERR_NOMEM;
	x402__transfers_limit(origin->transfers, (long)config->connections_max);
	options.failures = config->breaker_failures;
	options.open_ms = config->breaker_open_ms;
	options.health_interval_ms =
		config->health_path ? config->health_interval_ms : 0;
	gw_upstream_init(&options, now_ms(origin), &origin->state);
	return open_oauth(origin, info);
}

static void errand_abort(struct gw_origin *origin, struct gw_errand *errand)
{
	if (errand->easy)
		x402__transfers_abort(origin->transfers, errand->easy);
	errand_clear(errand);
}

void gw_origin_close(struct gw_origin *origin)
{
	if (origin->transfers) {
		errand_abort(origin, &origin->check);
		errand_abort(origin, &origin->fetch);
	}
	x402__transfers_close(origin->transfers);
	gw_oauth_free(origin->oauth);
	free(origin->host);
}
