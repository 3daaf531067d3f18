/*
 * GET /health (x402 F-008).
 *
 *   1. fac_api_health     ask the store to write, at most once a second
 *   2. on_store           ask the engine how it stands
 *   3. on_stats           200 "ok" or "degraded", else 503 "unavailable"
 *
 * Unavailable: the store cannot commit, or no chain is usable. Degraded: some
 * chain is not. Which chains are usable is the main thread's watch.
 */
#include "api/api.h"

#include <stdlib.h>

/* A commit costs an fsync; strangers may ask as often as they like. */
#define STORE_ASK_EVERY_MS 1000

static const char *health_text(enum fac_chain_health health)
{
	switch (health) {
	case FAC_CHAIN_UNSEEN:
		return "unknown";
	case FAC_CHAIN_USABLE:
		return "ok";
	case FAC_CHAIN_DOWN:
		return "down";
	case FAC_CHAIN_WRONG:
		return "wrong chain";
	}
	return "unknown";
}

static struct x402_json *chains_json(const struct fac_app *app, size_t *ret_ok)
{
	struct x402_json *array = x402_json_new_array();

	for (size_t i = 0; i < app->chains_len; i++) {
		int health = atomic_load(&app->chains[i].status->health);
		struct x402_json *chain = x402_json_new_object();
		if (!array || !chain ||
			x402_json_set_string(chain, "network",
				app->chains[i].network.caip2) ||
			x402_json_set_string(chain, "status",
				health_text((enum fac_chain_health)health))) {
			x402_json_unref(chain);
			x402_json_unref(array);
			return NULL;
		}
		if (x402_json_append_take(array, chain)) {
			x402_json_unref(array);
			return NULL;
		}
		*ret_ok += health == FAC_CHAIN_USABLE;
	}
	return array;
}

static void on_stats(void *user, const struct fac_engine_stats *stats)
{
	struct fac_request *request = user;
	const struct fac_app *app = request->app;
	size_t usable = 0;
	struct x402_json *chains = chains_json(app, &usable);
	struct x402_json *json = x402_json_new_object();
	bool store_ok = !app->health_err;
	bool available = store_ok && usable;
	const char *status = !available    ? "unavailable"
		: usable < app->chains_len ? "degraded"
					   : "ok";

	if (!chains || !json || x402_json_set_string(json, "status", status) ||
		x402_json_set_string(json, "version", X402_VERSION) ||
		x402_json_set_string(
			json, "store", store_ok ? "ok" : "failed") ||
		x402_json_set_take(json, "chains", x402_json_ref(chains)) ||
		x402_json_set_bool(json, "recovered", stats->recovered) ||
		x402_json_set_int(
			json, "inFlight", (int64_t)stats->in_flight)) {
		x402_json_unref(json);
		json = NULL;
	}
	x402_json_unref(chains);
	fac_end(fac_reply(request, available ? 200 : 503, json));
}

static struct fac_step ask_engine(struct fac_request *request)
{
	struct fac_app *app = request->app;

	if (app->stopping)
		return fac_fail(request, 503, "the daemon is stopping");
	fac_settler_stats(app->settler, app->loop, on_stats, request);
	return fac_wait(request);
}

static void on_store(void *user, const struct fac_store_reply *reply)
{
	struct fac_request *request = user;

	request->app->health_err = reply->err;
	request->app->health_at_ms = fac_loop_now_ms(request->app->loop);
	fac_end(ask_engine(request));
}

struct fac_step fac_api_health(struct fac_request *request)
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
