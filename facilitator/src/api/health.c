/*
 * GET /health (x402 F-008).
 *
 *   1. fac_api_health     what was learnt within a second: answer by it
 *   2. ask                else wait; the first one asks the store to write,
 *   3. on_store           ... and the engine how it stands
 *   4. on_stats           all who wait: 200 "ok" or "degraded", or 503
 *
 * Strangers ask as often as they like, pipelined: each answer of the store
 * costs an fsync, and each of the engine its time and some 70 KiB on the way.
 * So a worker asks once a second.
 *
 * Unavailable: the store cannot commit, or no chain is usable. Degraded: some
 * chain is not. Which chains are usable is the main thread's watch.
 */
#include "api/api.h"

#include <stdlib.h>

#define ASK_EVERY_MS 1000

struct fac_health_wait {
	struct fac_request *request;
	struct fac_health_wait *next;
};

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

static struct fac_step answer(struct fac_request *request)
{
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
		x402_json_set_bool(json, "recovered", app->health_recovered) ||
		x402_json_set_int(
			json, "inFlight", (int64_t)app->health_in_flight)) {
		x402_json_unref(json);
		json = NULL;
	}
	x402_json_unref(chains);
	return fac_reply(request, available ? 200 : 503, json);
}

/* ---- 3, 4. What the rooms said. ---- */

static void answer_all(struct fac_app *app)
{
	struct fac_health_wait *wait = app->health_waiting;

	app->health_asking = false;
	app->health_waiting = NULL;
	while (wait) {
		/* Its request's own: gone with the answer. */
		struct fac_health_wait *next = wait->next;

		fac_end(app->stopping ? fac_busy(wait->request,
						"the daemon is stopping")
				      : answer(wait->request));
		wait = next;
	}
}

static void on_stats(void *user, const struct fac_engine_stats *stats)
{
	struct fac_app *app = user;

	app->health_recovered = stats->recovered;
	app->health_in_flight = stats->in_flight;
	app->health_told_ms = fac_loop_now_ms(app->loop);
	answer_all(app);
}

static void on_store(void *user, const struct fac_store_reply *reply)
{
	struct fac_app *app = user;

	app->health_err = reply->err;
	if (app->stopping)
		answer_all(app);
	else
		fac_settler_stats(app->settler, app->loop, on_stats, app);
}

/* ---- 1, 2. ---- */

static struct fac_step ask(struct fac_request *request)
{
	struct fac_app *app = request->app;
	struct fac_health_wait *wait = calloc(1, sizeof(*wait));

	if (!wait)
		return fac_fail(request, 500, "out of memory");
	request->state = wait;
	request->state_free = free;
	*wait = (struct fac_health_wait){request, app->health_waiting};
	app->health_waiting = wait;
	if (!app->health_asking)
		fac_store_health(app->store,
			(struct fac_store_to){app->loop, on_store, app});
	app->health_asking = true;
	return fac_wait(request);
}

struct fac_step fac_api_health(struct fac_request *request)
{
	struct fac_app *app = request->app;
	uint64_t now_ms = fac_loop_now_ms(app->loop);

	if (app->stopping)
		return fac_busy(request, "the daemon is stopping");
	if (app->health_told_ms && now_ms - app->health_told_ms < ASK_EVERY_MS)
		return answer(request);
	return ask(request);
}
