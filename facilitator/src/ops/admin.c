/*
 * The operators' listener. Its endpoints are made as those of the public one
 * (api/api.h), with routes of their own and a struct fac_app that has no
 * chains to ask.
 *
 *   GET /livez     200 while the main loop turns
 *   GET /healthz   as the public GET /health
 *   GET /readyz    1. api_readyz   ask the store to write, once a second
 *                  2. ask_engine   ask the engine how it stands
 *                  3. on_ready     200 or 503; a line each with ?verbose
 *   /webhooks/dead ops/dead.c
 *   GET /metrics   1. api_metrics  ask every thread (gather.c)
 *                  2. on_gathered  write the page
 */
#include "ops/admin.h"

#include "net/http_server.h"
#include "ops/dead.h"
#include "ops/metrics.h"
#include "ops/ready.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* A commit costs an fsync; a probe that asks more often gets the last word. */
#define STORE_ASK_EVERY_MS 1000
#define TEXT_PLAIN         "text/plain; charset=utf-8"
/* Operators and their tools; more is a mistake somewhere. */
#define CONNECTIONS_MAX 256
#define BODY_MAX_BYTES  4096

struct fac_admin {
	struct fac_app app; /* first: a request's app finds us */
	struct fac_admin_options options;
	struct http_server *server;
	uint64_t started_unix_ms;
};

static struct fac_admin *admin_of(struct fac_request *request)
{
	return (struct fac_admin *)request->app;
}

/* ---- /livez. ---- */

static struct fac_step api_livez(struct fac_request *request)
{
	return fac_reply_as(request, 200, TEXT_PLAIN, "ok\n");
}

/* ---- /readyz. ---- */

static void on_ready(void *user, const struct fac_engine_stats *stats)
{
	struct fac_request *request = user;
	const struct fac_app *app = request->app;
	const struct fac_config *config = admin_of(request)->options.config;
	struct fac_store_stats store = fac_store_stats(app->store);
	struct fac_ready_chain chains[FAC_ENGINE_CHAINS_MAX];
	struct fac_ready_view view = {
		.draining = app->draining,
		.store = app->health_err,
		.engine = stats,
		.stats = &store,
		.chains = chains,
		.chains_len = app->chains_len,
	};
	const char *query = request->http->query;
	struct x402_buf lines = {0};

	for (size_t i = 0; i < app->chains_len; i++) {
		int health = atomic_load(&app->chains[i].status->health);
		chains[i] = (struct fac_ready_chain){
			.network = app->chains[i].network.caip2,
			.health = (enum fac_chain_health)health,
			.max_head_age_ms =
				(uint64_t)config->chains[i].ready_head_age_s *
				1000,
		};
	}
	bool ready = fac_ready(&view, &lines);
	if (!query || strncmp(query, "verbose", 7))
		x402_buf_clear(&lines);
	x402_buf_add_str(&lines, ready ? "ready\n" : "not ready\n");
	x402_buf_add_byte(&lines, '\0');
	fac_end(fac_reply_as(request, ready ? 200 : 503, TEXT_PLAIN,
		lines.failed ? "out of memory\n" : (const char *)lines.ptr));
	x402_buf_clear(&lines);
}

static struct fac_step ask_engine(struct fac_request *request)
{
	struct fac_app *app = request->app;

	if (app->stopping)
		return fac_fail(request, 503, "the daemon is stopping");
	fac_settler_stats(app->settler, app->loop, on_ready, request);
	return fac_wait(request);
}

static void on_store(void *user, const struct fac_store_reply *reply)
{
	struct fac_request *request = user;

	request->app->health_err = reply->err;
	request->app->health_at_ms = fac_loop_now_ms(request->app->loop);
	fac_end(ask_engine(request));
}

static struct fac_step api_readyz(struct fac_request *request)
{
	struct fac_app *app = request->app;
	uint64_t now_ms = fac_loop_now_ms(app->loop);

	if (app->stopping)
		return fac_fail(request, 503, "the daemon is stopping");
	if (app->health_at_ms &&
		now_ms - app->health_at_ms < STORE_ASK_EVERY_MS)
		return ask_engine(request);
	fac_store_health(app->store,
		(struct fac_store_to){app->loop, on_store, request});
	return fac_wait(request);
}

/* ---- /metrics. ---- */

static uint64_t resident_bytes(void)
{
	unsigned long long size = 0;
	unsigned long long resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t cpu_ms(void)
{
	struct rusage usage = {0};

	(void)getrusage(RUSAGE_SELF, &usage); /* zeros are no lie worth a 500 */
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) *
		1000 +
		(uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) /
		1000;
}

static void on_gathered(void *user, const struct fac_gathered *gathered)
{
	struct fac_request *request = user;
	const struct fac_admin *admin = admin_of(request);
	struct fac_store_stats store = fac_store_stats(request->app->store);
	struct fac_metrics_chain chains[FAC_ENGINE_CHAINS_MAX];
	struct fac_metrics_view view = {
		.version = X402_VERSION,
		.started_unix_ms = admin->started_unix_ms,
		.uptime_ms = fac_unix_ms() - admin->started_unix_ms,
		.resident_bytes = resident_bytes(),
		.cpu_ms = cpu_ms(),
		.http = admin->options.http,
		.http_len = admin->options.http_len,
		.engine = &gathered->engine,
		.store = &store,
		.chains = chains,
		.chains_len = admin->app.chains_len,
	};
	struct fac_hook_stats hooks[FAC_HOOKS_MAX];
	struct x402_buf page = {0};

	view.hooks = hooks;
	view.hooks_len = fac_hooks_stats(admin->options.hooks, hooks);

	for (size_t i = 0; i < admin->app.chains_len; i++) {
		const struct fac_app_chain *chain = &admin->app.chains[i];
		chains[i] = (struct fac_metrics_chain){chain->network.caip2,
			fac_app_chain_usable(chain), gathered->chains[i]};
	}
	fac_metrics_write(&view, &page);
	x402_buf_add_byte(&page, '\0');
	if (page.failed)
		fac_end(fac_fail(request, 500, "out of memory"));
	else
		fac_end(fac_reply_as(request, 200, FAC_METRICS_CONTENT_TYPE,
			(const char *)page.ptr));
	x402_buf_clear(&page);
}

static struct fac_step api_metrics(struct fac_request *request)
{
	struct fac_admin *admin = admin_of(request);

	if (request->app->stopping)
		return fac_fail(request, 503, "the daemon is stopping");
	fac_gather(&admin->options.sources, on_gathered, request);
	return fac_wait(request);
}

/* ---- The listener. ---- */

static const struct fac_route routes[] = {
	{"/livez", false, FAC_ROUTE_ADMIN, api_livez, NULL},
	{"/healthz", false, FAC_ROUTE_ADMIN, fac_api_health, NULL},
	{"/readyz", false, FAC_ROUTE_ADMIN, api_readyz, NULL},
	{"/metrics", false, FAC_ROUTE_ADMIN, api_metrics, NULL},
	{"/webhooks/dead", false, FAC_ROUTE_ADMIN, fac_api_dead_list, NULL},
	{"/webhooks/dead/", true, FAC_ROUTE_ADMIN, NULL, fac_api_dead_retry},
};

/*
 * A page that somebody looks at could send requests to 127.0.0.1. Browsers
 * say so by one of these headers; tools send neither.
 */
static bool is_from_a_page(const struct http_request *http)
{
	const char *site = http_request_header(http, "Sec-Fetch-Site", NULL);

	return http_request_header(http, "Origin", NULL) ||
		(site && strcmp(site, "none") != 0);
}

static void on_request(void *user, struct http_exchange *exchange)
{
	static const char refusal[] =
		"{\"error\":\"not for requests of web pages\"}";
	struct fac_admin *admin = user;
	struct http_response response;

	if (!is_from_a_page(http_exchange_request(exchange))) {
		fac_api_dispatch(&admin->app, exchange);
		return;
	}
	http_response_init(&response, 403);
	http_response_header(&response, "Content-Type", "application/json");
	http_response_body(&response, refusal, sizeof(refusal) - 1);
	http_exchange_reply(exchange, &response);
	http_response_clear(&response);
}

static void fill_app(struct fac_admin *admin)
{
	const struct fac_config *config = admin->options.config;
	struct fac_app *app = &admin->app;

	app->loop = admin->options.sources.loop;
	app->store = admin->options.store;
	app->settler = admin->options.sources.settler;
	app->settings = config->settings;
	app->settings.cors_origin[0] = '\0'; /* no page may read it */
	app->routes = routes;
	app->routes_len = sizeof(routes) / sizeof(*routes);
	app->worker = FAC_CONFIG_WORKERS_MAX; /* as none of the workers */
	app->boot_unix_ms = admin->started_unix_ms;
	app->chains_len = config->chains_len;
	for (size_t i = 0; i < config->chains_len; i++) {
		app->chains[i].network = config->chains[i].network;
		app->chains[i].status = &admin->options.status[i];
	}
}

enum x402_err fac_admin_start(const struct fac_admin_options *options,
	struct x402_errinfo *info, struct fac_admin **ret_admin)
{
	const struct fac_config *config = options->config;
	struct http_server_options http = HTTP_SERVER_OPTIONS_INIT;
	struct fac_admin *admin;

	if (!config->admin_unix && !config->admin_host[0]) {
		*ret_admin = NULL;
		return X402_OK;
	}
	admin = calloc(1, sizeof(*admin));
	if (!admin)
		return X402_ERR_NOMEM;
	admin->options = *options;
	admin->started_unix_ms = fac_unix_ms();
	fill_app(admin);
	http.loop = fac_loop_uv(options->sources.loop);
	http.host = config->admin_host;
	http.port = config->admin_port;
	http.unix_path = config->admin_unix;
	http.max_connections = CONNECTIONS_MAX;
	http.max_body_bytes = BODY_MAX_BYTES;
	http.on_request = on_request;
	http.user = admin;
	int rc = http_server_start(&http, &admin->server);
	if (rc) {
		x402_errinfo_set(info, "admin_listen",
			"cannot listen for admin on %s: %s",
			config->admin_unix ? config->admin_unix
					   : config->admin_host,
			strerror(-rc));
		free(admin);
		return X402_ERR_NETWORK;
	}
	*ret_admin = admin;
	return X402_OK;
}

void fac_admin_url(const struct fac_admin *admin, struct x402_buf *buf)
{
	const struct fac_config *config = admin->options.config;

	if (config->admin_unix)
		x402_buf_printf(buf, "unix:%s", config->admin_unix);
	else
		x402_buf_printf(buf,
			strchr(config->admin_host, ':') ? "http://[%s]:%u"
							: "http://%s:%u",
			config->admin_host, http_server_port(admin->server));
	x402_buf_add_byte(buf, '\0');
}

void fac_admin_drain(struct fac_admin *admin)
{
	if (admin)
		admin->app.draining = true;
}

void fac_admin_close(struct fac_admin *admin)
{
	if (!admin)
		return;
	admin->app.stopping = true;
	http_server_free(admin->server);
	admin->server = NULL;
}

void fac_admin_free(struct fac_admin *admin)
{
	if (!admin)
		return;
	fac_admin_close(admin);
	free(admin);
}
