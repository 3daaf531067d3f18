/*
 * x402-gateway: from the command line to a running proxy, and out again.
 *
 *   main       options, hardening, journal, site, server, signals
 *   on_signal  HUP reads the configuration anew, TERM and INT drain, QUIT
 * hurries on_drained the way out: the listener for operators, then the loop
 * runs out
 *
 * Standard output has a JSON line for each event and request; what keeps the
 * gateway from starting is said on standard error.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "admin.h"
#include "options.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_CONFIG = 1,
	EXIT_USAGE = 2, /* argp_err_exit_status */
	EXIT_STORE = 3,
	EXIT_LISTEN = 5,
	EXIT_INTERNAL = 6
};

/* How often the journal is looked through for what may be forgotten. */
#define PRUNE_EVERY_MS ((uint64_t)3600 * 1000)
#define DAY_S          ((uint64_t)86400)

enum { SIGNALS = 4 };
static const int signal_numbers[SIGNALS] = {SIGHUP, SIGTERM, SIGINT, SIGQUIT};

struct gateway {
	struct gw_options options;
	uv_loop_t loop;
	struct gw_server server;
	struct x402_provider_journal *journal; /* or NULL */
	struct gw_admin *admin;                /* or NULL */
	uv_signal_t signals[SIGNALS];
	uv_timer_t prune;
	bool ending;
};

static int complain(const struct x402_errinfo *info, enum exit_code code)
{
	fprintf(stderr, "x402-gateway: %s%s%s\n", info->field,
		*info->field ? ": " : "", info->text);
	return code;
}

/* R10: a key must not leave through a core dump or a debugger. */
static void harden(void)
{
	struct rlimit none = {0, 0};

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- The site. ---- */

/* config is taken. */
static enum x402_err make_site(struct gateway *gateway,
	struct gw_config *config, struct x402_errinfo *info,
	struct gw_site **ret_site)
{
	const struct gw_site_options options = {
		.loop = &gateway->loop,
		.memory = gateway->journal
			? x402_provider_journal_memory(gateway->journal)
			: NULL,
		.event = gw_server_event,
		.user = &gateway->server,
	};

	return gw_site_new_take(config, &options, info, ret_site);
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_address(const struct gw_address *a, const struct gw_address *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* What was opened at the start stays as it was. */
static bool may_become(
	const struct gw_config *old, const struct gw_config *config)
{
	return same_address(&old->listen, &config->listen) &&
		old->has_admin == config->has_admin &&
		same_address(&old->admin, &config->admin) &&
		same_text(old->journal, config->journal) &&
		!old->tls_certificate == !config->tls_certificate;
}

/* What is paid for is in the journal alone; a site without one would forget
 * it, and serve a payment twice. */
static void reload(struct gateway *gateway)
{
	struct x402_errinfo info = {{0}, {0}};
	struct gw_config *config = NULL;
	struct gw_site *site = NULL;
	enum x402_err err;

	if (!gateway->journal) {
		gw_log_event("not_reloaded", "a journal is needed for it");
		return;
	}
	err = gw_options_config(&gateway->options, &info, &config);
	if (err == X402_OK &&
		!may_become(gateway->server.site->config, config)) {
		gw_config_free(config);
		gw_log_event("not_reloaded",
			"listen, admin_listen, journal and whether there is "
			"TLS need a restart");
		return;
	}
	if (err == X402_OK)
		err = make_site(gateway, config, &info, &site);
	if (err != X402_OK) {
		gw_log_event("not_reloaded", info.text);
		return;
	}
	gw_server_change_site(&gateway->server, site);
	gw_site_unref(site);
	gw_log_event("reloaded", "");
}

static void on_prune(uv_timer_t *timer)
{
	struct gateway *gateway = timer->data;
	uint64_t days = gateway->server.site
		? gateway->server.site->config->journal_days
		: 0;
	uint64_t now = (uint64_t)time(NULL);

	/* Without days only the names of purchases go, which end by themselves.
	 */
	if (x402_provider_journal_prune(gateway->journal,
		    days && now > days * DAY_S ? now - days * DAY_S : 0,
		    now) != X402_OK)
		gw_log_event("warning", "the journal could not be pruned");
}

/* ---- Signals. ---- */

static void on_drained(void *user)
{
	struct gateway *gateway = user;

	gw_admin_close(gateway->admin);
	gateway->admin = NULL;
	for (int i = 0; i < SIGNALS; i++)
		uv_close((uv_handle_t *)&gateway->signals[i], NULL);
	uv_close((uv_handle_t *)&gateway->prune, NULL);
}

static void end(struct gateway *gateway)
{
	if (gateway->ending)
		return;
	gateway->ending = true;
	gw_log_event("draining", "");
	gw_server_drain(&gateway->server, on_drained, gateway);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct gateway *gateway = handle->data;

	if (number == SIGHUP) {
		if (!gateway->ending)
			reload(gateway);
		return;
	}
	end(gateway);
	if (number == SIGQUIT)
		gw_server_hurry(&gateway->server);
}

static void watch_signals(struct gateway *gateway)
{
	for (int i = 0; i < SIGNALS; i++) {
		uv_signal_init(&gateway->loop, &gateway->signals[i]);
		gateway->signals[i].data = gateway;
		uv_signal_start(
			&gateway->signals[i], on_signal, signal_numbers[i]);
	}
}

static void begin_pruning(struct gateway *gateway)
{
	uv_timer_init(&gateway->loop, &gateway->prune);
	gateway->prune.data = gateway;
	if (gateway->journal)
		uv_timer_start(&gateway->prune, on_prune, 0, PRUNE_EVERY_MS);
}

/* ---- Start. ---- */

static void say_listening(
	const struct gateway *gateway, const struct gw_config *config)
{
	const char *host = config->listen.host;
	char text[128];

	snprintf(text, sizeof(text), "%s://%s%s%s:%u",
		config->tls_certificate ? "https" : "http",
		strchr(host, ':') ? "[" : "", *host ? host : "0.0.0.0",
		strchr(host, ':') ? "]" : "", gateway->server.port);
	gw_log_event("listening", text);
	if (gateway->admin) {
		snprintf(text, sizeof(text), "http://%s:%u",
			*config->admin.host ? config->admin.host : "0.0.0.0",
			gw_admin_port(gateway->admin));
		gw_log_event("admin_listening", text);
	}
	if (!config->public_origin)
		gw_log_event("warning",
			"no public origin is given: buyers are told what Host "
			"says");
	if (!gateway->journal)
		gw_log_event("warning",
			"no journal is given: a crash forgets what is paid and "
			"not delivered");
}

static int serve(struct gateway *gateway, struct gw_site *site)
{
	struct x402_errinfo info = {{0}, {0}};
	const struct gw_config *config = site->config;
	enum x402_err err = gw_server_start(
		&gateway->server, &gateway->loop, site, &info);
	int code = EXIT_OK;

	if (err == X402_OK && config->has_admin)
		err = gw_admin_start(&gateway->server, &config->admin, &info,
			&gateway->admin);
	if (err != X402_OK) {
		code = complain(&info,
			err == X402_ERR_NETWORK ? EXIT_LISTEN : EXIT_INTERNAL);
		gw_server_drain(&gateway->server, NULL, NULL);
	} else {
		watch_signals(gateway);
		begin_pruning(gateway);
		say_listening(gateway, config);
	}
	gw_site_unref(site);
	uv_run(&gateway->loop, UV_RUN_DEFAULT);
	return code;
}

/* config is taken. */
static int run(struct gateway *gateway, struct gw_config *config)
{
	struct x402_errinfo info = {{0}, {0}};
	struct gw_site *site = NULL;
	enum x402_err err = X402_OK;

	if (config->journal && *config->journal && !gateway->options.check)
		err = x402_provider_journal_open(
			config->journal, false, &info, &gateway->journal);
	if (err == X402_OK && gateway->journal)
		err = x402_provider_journal_defer(gateway->journal, &info);
	gateway->server.journal = gateway->journal;
	if (err != X402_OK) {
		gw_config_free(config);
		return complain(&info, EXIT_STORE);
	}
	err = make_site(gateway, config, &info, &site);
	if (err != X402_OK)
		return complain(&info,
			err == X402_ERR_INVALID_ARGUMENT ? EXIT_CONFIG
							 : EXIT_INTERNAL);
	if (!gateway->options.check)
		return serve(gateway, site);
	gw_site_unref(site);
	printf("the configuration is good\n");
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	static struct gateway gateway; /* its server has a buffer */
	struct x402_errinfo info = {{0}, {0}};
	struct gw_config *config = NULL;
	int code;

	gw_options_parse(argc, argv, &gateway.options);
	harden();
	if (gw_options_config(&gateway.options, &info, &config) != X402_OK)
		return complain(&info, EXIT_CONFIG);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
		uv_loop_init(&gateway.loop)) {
		gw_config_free(config);
		return EXIT_INTERNAL;
	}
	code = run(&gateway, config);
	uv_run(&gateway.loop, UV_RUN_DEFAULT); /* what is closing still */
	uv_loop_close(&gateway.loop);
	x402_provider_journal_close(gateway.journal);
	curl_global_cleanup();
	return code;
}
