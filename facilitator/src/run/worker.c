/*
 * A worker: made on the main thread, run on its own, told what to do by mail.
 *
 *   fac_worker_start    loop, chains, socket; then the thread
 *   fac_worker_drain    the server stops accepting and finishes
 *   fac_worker_close    connections and chains go; app.stopping is set, so
 *                       that no request asks rooms that are being closed
 *   fac_worker_finish   the loop stops once the last mail was delivered
 */
#include "run/worker.h"

#include "api/watch.h"
#include "net/http_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Pages of the catalogue that nobody reads: 20 of the largest. What is read
 * leaves at once and does not count.
 */
#define UNSENT_MAX_BYTES ((size_t)64 * 1024 * 1024)

/*
 * Of a batch of reads: some hundreds of bytes each, but for a receipt. With
 * this on each of 16 connections, and 4 workers, it is 256 MiB.
 */
#define READS_MAX_BYTES ((size_t)4 * 1024 * 1024)

struct end_mail;

struct fac_worker {
	struct fac_app app;
	struct fac_pace paces[FAC_ENGINE_CHAINS_MAX]; /* of app.chains */
	struct fac_loop *main_loop;
	struct http_server *server;
	uint16_t port;
	pthread_t thread;
	struct end_mail *draining; /* who waits for the drain */
};

/* ---- Start. ---- */

static void warn(void *user, const char *text)
{
	(void)user;
	fac_log_text(FAC_LOG_WARN, "rpc", text);
}

static enum x402_err make_chains(
	struct fac_app *app, const struct fac_worker_options *options)
{
	const struct fac_config *config = options->config;

	for (size_t i = 0; i < config->chains_len; i++) {
		const struct fac_config_chain *from = &config->chains[i];
		struct fac_app_chain *chain = &app->chains[i];
		struct fac_chain_options chain_options = {
			.loop = app->loop,
			.chain_id = from->network.chain_id,
			.svm_genesis = fac_chain_svm_genesis(&from->network),
			.rpc_urls = (const char *const *)from->rpc_urls,
			.rpc_urls_len = from->rpc_urls_len,
			.timeout_ms = from->rpc_timeout_ms,
			.head_lag_max = from->rpc_head_lag_max,
			.hedge_ms = from->rpc_hedge_ms,
			.rps = from->rpc_rps,
			.answer_max_bytes = READS_MAX_BYTES,
			.warn = warn,
		};
		chain->network = from->network;
		chain->status = &options->status[i];
		chain->factories = from->settling.factories;
		chain->factories_len = from->settling.factories_len;
		chain->managers = from->settling.managers;
		chain->managers_len = from->settling.managers_len;
		chain->delegation_gas = from->settling.delegation_gas;
		chain->builder_code = from->settling.builder_code[0]
			? from->settling.builder_code
			: NULL;
		chain->settling = &from->settling;
		chain->approvals = from->settling.sponsor_approvals;
		chain->gift_wei = x402_u256_from_u64(
			from->settling.gift_max_gwei);
		/* At most FAC_CONFIG_GIFT_MAX_GWEI: no overflow. */
		(void)!x402_u256_mul_u64(
			&chain->gift_wei, 1000000000, &chain->gift_wei);
		chain->proofs = from->settling.proofs;
		chain->proof_depth = from->settling.proof_depth;
		chain->signers_len = from->signers_len;
		chain->confirmations = from->settling.confirmations;
		memcpy(chain->signers, options->signers[i],
			sizeof(chain->signers));
		chain->max_compute_units = from->max_compute_units;
		chain->max_priority_lamports = from->max_priority_fee_lamports;
		for (size_t j = 0;
			from->svm_signers[0] && j < from->signers_len; j++)
			chain->fee_payers[j] = x402_svm_secret_pubkey(
				from->svm_signers[j]);
		enum x402_err err = fac_chain_new(
			&chain_options, &chain->chain);
		if (err)
			return err;
		app->chains_len++;
	}
	return X402_OK;
}

static void on_request(void *user, struct http_exchange *exchange)
{
	fac_api_dispatch(user, exchange);
}

static enum x402_err listen_on(struct fac_worker *worker,
	const struct fac_worker_options *options, struct x402_errinfo *info)
{
	const struct fac_config *config = options->config;
	struct http_server_options http = HTTP_SERVER_OPTIONS_INIT;

	http.loop = fac_loop_uv(worker->app.loop);
	http.host = config->host;
	http.port = options->port;
	http.reuse_port = true;
	http.max_body_bytes = config->max_body_bytes;
	/* Each worker takes its share; the kernel spreads connections. */
	http.max_connections = options->max_connections / config->workers;
	if (!http.max_connections)
		http.max_connections = 1;
	http.max_unsent_bytes = UNSENT_MAX_BYTES;
	http.on_request = on_request;
	http.user = &worker->app;
	int rc = http_server_start(&http, &worker->server);
	if (rc) {
		x402_errinfo_set(info, "listen", "cannot listen on %s:%u: %s",
			config->host, options->port, strerror(-rc));
		return X402_ERR_NETWORK;
	}
	worker->port = http_server_port(worker->server);
	return X402_OK;
}

static void *worker_main(void *arg)
{
	struct fac_worker *worker = arg;

	fac_loop_run(worker->app.loop);
	return NULL;
}

static void free_worker(struct fac_worker *worker)
{
	for (size_t i = 0; i < worker->app.chains_len; i++)
		fac_chain_free(worker->app.chains[i].chain);
	http_server_free(worker->server);
	fac_watch_free(&worker->app);
	fac_loop_free(worker->app.loop);
	free(worker);
}

enum x402_err fac_worker_start(const struct fac_worker_options *options,
	struct x402_errinfo *info, struct fac_worker **ret_worker)
{
	struct fac_worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return X402_ERR_NOMEM;
	worker->main_loop = options->main_loop;
	worker->app.store = options->store;
	worker->app.settler = options->settler;
	worker->app.settings = options->config->settings;
	worker->app.counts = options->counts;
	worker->app.worker = options->index;
	worker->app.boot_unix_ms = fac_unix_ms();
	for (size_t i = 0; i < FAC_ENGINE_CHAINS_MAX; i++)
		worker->app.chains[i].pace = &worker->paces[i];
	enum x402_err err = fac_loop_new(&worker->app.loop);
	if (!err)
		err = make_chains(&worker->app, options);
	if (!err)
		err = listen_on(worker, options, info);
	if (!err && pthread_create(&worker->thread, NULL, worker_main, worker))
		err = X402_ERR_NOMEM;
	if (err) {
		free_worker(worker);
		return err;
	}
	*ret_worker = worker;
	return X402_OK;
}

uint16_t fac_worker_port(const struct fac_worker *worker)
{
	return worker->port;
}

/* ---- Mail to the worker. ---- */

struct settings_mail {
	struct fac_worker *worker;
	struct fac_settings settings;
};

static void take_settings(void *arg)
{
	struct settings_mail *mail = arg;

	mail->worker->app.settings = mail->settings;
	free(mail);
}

void fac_worker_set(
	struct fac_worker *worker, const struct fac_settings *settings)
{
	struct settings_mail *mail = malloc(sizeof(*mail));

	if (!mail)
		abort();
	*mail = (struct settings_mail){worker, *settings};
	fac_loop_post(worker->app.loop, take_settings, mail);
}

struct stats_mail {
	struct fac_worker *worker;
	struct fac_chain_stats_to to;
};

static void do_chain_stats(void *arg)
{
	struct stats_mail *mail = arg;
	const struct fac_app *app = &mail->worker->app;
	struct fac_chain *chains[FAC_ENGINE_CHAINS_MAX];

	for (size_t i = 0; i < app->chains_len; i++)
		chains[i] = app->chains[i].chain;
	fac_chain_stats_mail(chains, app->chains_len, mail->to);
	free(mail);
}

void fac_worker_chain_stats(
	struct fac_worker *worker, struct fac_chain_stats_to to)
{
	struct stats_mail *mail = malloc(sizeof(*mail));

	if (!mail)
		abort();
	*mail = (struct stats_mail){worker, to};
	fac_loop_post(worker->app.loop, do_chain_stats, mail);
}

/* done runs on the main thread. */
struct end_mail {
	struct fac_worker *worker;
	void (*done)(void *user);
	void *user;
};

static void post_end(struct fac_worker *worker, void (*fn)(void *arg),
	void (*done)(void *user), void *user)
{
	struct end_mail *mail = malloc(sizeof(*mail));

	if (!mail)
		abort();
	*mail = (struct end_mail){worker, done, user};
	fac_loop_post(worker->app.loop, fn, mail);
}

static void tell_main(struct end_mail *mail)
{
	fac_loop_post(mail->worker->main_loop, mail->done, mail->user);
	free(mail);
}

static void on_drained(void *user)
{
	struct fac_worker *worker = user;
	struct end_mail *mail = worker->draining;

	worker->draining = NULL;
	if (mail)
		tell_main(mail);
}

static void begin_drain(void *arg)
{
	struct end_mail *mail = arg;

	mail->worker->draining = mail;
	mail->worker->app.draining = true;
	fac_watch_hurry(&mail->worker->app);
	http_server_drain(mail->worker->server, on_drained, mail->worker);
}

void fac_worker_drain(
	struct fac_worker *worker, void (*done)(void *user), void *user)
{
	post_end(worker, begin_drain, done, user);
}

static void begin_close(void *arg)
{
	struct end_mail *mail = arg;
	struct fac_worker *worker = mail->worker;
	struct fac_app *app = &worker->app;

	app->stopping = true;
	/* Unanswered exchanges keep what they need. */
	http_server_free(worker->server);
	worker->server = NULL;
	/* Their callbacks answer with a fault, to connections that are gone. */
	for (size_t i = 0; i < app->chains_len; i++) {
		struct fac_chain *chain = app->chains[i].chain;
		app->chains[i].chain = NULL;
		fac_chain_free(chain);
	}
	tell_main(mail);
}

void fac_worker_close(
	struct fac_worker *worker, void (*done)(void *user), void *user)
{
	post_end(worker, begin_close, done, user);
}

void fac_worker_finish(struct fac_worker *worker)
{
	fac_loop_stop(worker->app.loop);
	pthread_join(worker->thread, NULL);
	/* Settler and store have answered all that they owed. */
	if (worker->app.open_requests)
		fac_log_text(FAC_LOG_ERROR, "unanswered",
			"requests were left without an answer");
	free(worker->draining);
	free_worker(worker);
}
