/*
 * Delivery of web hooks.
 *
 *   1. on_tick      ask the store for rows that are due
 *   2. on_taken     each of them: send, or put off, or not wanted
 *   3. send_row     sign with the time of this try, post
 *   4. on_answer    2xx: done; else fail: due again later, or dead
 *
 * A row that is taken is leased: should this daemon die, it is due again when
 * the lease is over, and so is sent at least once. A receiver that fails is
 * sent one row at a time until it answers, so that it cannot hold up the
 * others with its timeouts.
 */
#include "ops/hooks.h"

#include "api/api.h"
#include "chain/http_p.h"
#include "run/loop.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* How often the store is asked, when nothing says that there is more. */
#define TICK_MS 1000
/* Deliveries under way at once: each may take TIMEOUT_MS. */
#define FLIGHT_MAX 32
#define TIMEOUT_MS 10000
/* Longer than a delivery can take. */
#define LEASE_MS 30000
/* Receivers answer with little; what is more is not read. */
#define ANSWER_MAX_BYTES ((size_t)64 * 1024)
/* So many failures in a row, and a receiver is sent one row at a time. */
#define FAILING 3

struct target {
	const struct fac_config_hook *config;
	struct fac_hook_stats stats;
	unsigned failures; /* in a row */
	size_t in_flight;
};

struct delivery {
	struct fac_hooks *hooks;
	struct target *target;
	uint64_t sequence;
	uint32_t tries;
	char *body;
	/* "Name: value" */
	char timestamp[64];
	char signature[FAC_HOOK_SIGNATURE_SIZE + 32];
	char id[FAC_HOOK_ID_SIZE + 32];
};

struct fac_hooks {
	struct fac_hooks_options options;
	struct fac_http *http;
	struct fac_timer *timer;
	struct target targets[FAC_HOOKS_MAX];
	size_t in_flight;
	size_t asked; /* rows that the store owes; 0: it was not asked */
	bool stopping;
};

/* ---- Ends of a try. ---- */

static void on_recorded(void *user, const struct fac_store_reply *reply)
{
	struct fac_hooks *hooks = user;

	/* Not recorded: sent again after the lease, which is allowed. */
	if (reply->err && !hooks->stopping)
		fac_log_text(FAC_LOG_WARN, "hook_not_recorded",
			x402_err_text(reply->err));
}

static struct fac_store_to to_hooks(struct fac_hooks *hooks)
{
	return (struct fac_store_to){hooks->options.loop, on_recorded, hooks};
}

static void log_trouble(const struct target *target,
	const struct fac_outbox_failure *failure, uint32_t tries)
{
	struct fac_log_line line;

	fac_log_begin(&line, failure->dead ? FAC_LOG_ERROR : FAC_LOG_WARN,
		failure->dead ? "hook_dead" : "hook_failed");
	fac_log_str(&line, "hook", target->config->name);
	fac_log_u64(&line, "sequence", failure->sequence);
	fac_log_u64(&line, "tries", tries);
	fac_log_blame(&line, X402_BLAME_PEER);
	fac_log_str(&line, "text", failure->error);
	fac_log_end(&line);
}

static void record_failure(struct fac_hooks *hooks, struct target *target,
	struct fac_outbox_failure *failure, uint32_t tries)
{
	failure->dead = tries >= FAC_HOOK_TRIES_MAX;
	if (target && failure->dead)
		target->stats.dead++;
	/* A receiver that is down is one line, not one for each row. */
	if (target && (failure->dead || target->failures == 1))
		log_trouble(target, failure, tries);
	fac_store_outbox_fail(hooks->options.store, failure, to_hooks(hooks));
}

static void free_delivery(struct delivery *delivery)
{
	delivery->target->in_flight--;
	delivery->hooks->in_flight--;
	free(delivery->body);
	free(delivery);
}

/* ---- 4. The receiver's answer. ---- */

static void take_success(struct delivery *delivery)
{
	struct target *target = delivery->target;

	target->stats.delivered++;
	if (target->failures) {
		target->failures = 0;
		fac_log_text(
			FAC_LOG_INFO, "hook_recovered", target->config->name);
		/* What was put off may go now. */
		fac_timer_start(delivery->hooks->timer, 0, TICK_MS);
	}
	fac_store_outbox_done(delivery->hooks->options.store,
		delivery->sequence, to_hooks(delivery->hooks));
}

static void take_failure(
	struct delivery *delivery, const struct fac_http_answer *answer)
{
	struct target *target = delivery->target;
	char text[64];
	struct fac_outbox_failure failure = {.sequence = delivery->sequence,
		.delay_ms = fac_hook_delay_ms(
			delivery->tries, randombytes_random()),
		.error = answer->error};

	if (answer->status) {
		snprintf(text, sizeof(text), "answered %ld", answer->status);
		failure.error = text;
	}
	uint64_t asked_ms = (uint64_t)answer->retry_after_s * 1000;
	if (asked_ms > failure.delay_ms)
		failure.delay_ms = asked_ms; /* bounded by http.c: an hour */
	target->stats.failed++;
	target->failures++;
	record_failure(delivery->hooks, target, &failure, delivery->tries);
}

static void on_answer(void *user, const struct fac_http_answer *answer)
{
	struct delivery *delivery = user;
	bool full = delivery->hooks->in_flight == FLIGHT_MAX;

	if (!answer->cancelled && !delivery->hooks->stopping) {
		if (answer->status >= 200 && answer->status < 300)
			take_success(delivery);
		else
			take_failure(delivery, answer);
		if (full) /* rows may have been left for want of room */
			fac_timer_start(delivery->hooks->timer, 0, TICK_MS);
	}
	free_delivery(delivery);
}

/* ---- 3. One try. ---- */

static void send_row(struct fac_hooks *hooks, struct target *target,
	const struct fac_outbox_row *row, const struct fac_payment *payment)
{
	struct delivery *delivery = calloc(1, sizeof(*delivery));
	char signature[FAC_HOOK_SIGNATURE_SIZE];
	char id[FAC_HOOK_ID_SIZE];
	char now[24];

	if (!delivery || !(delivery->body = fac_hook_body(row, payment)))
		abort(); /* style.md 5 */
	delivery->hooks = hooks;
	delivery->target = target;
	delivery->sequence = row->sequence;
	delivery->tries = row->tries;
	snprintf(now, sizeof(now), "%llu",
		(unsigned long long)fac_unix_ms() / 1000);
	fac_hook_sign(target->config->secret, now, delivery->body, signature);
	fac_hook_id(row, payment, id);
	snprintf(delivery->timestamp, sizeof(delivery->timestamp),
		"X-X402-Timestamp: %s", now);
	snprintf(delivery->signature, sizeof(delivery->signature),
		"X-X402-Signature: %s", signature);
	snprintf(delivery->id, sizeof(delivery->id), "X-X402-Delivery: %s", id);
	target->in_flight++;
	hooks->in_flight++;
	struct fac_http_request request = {.url = target->config->url,
		.body = x402_span_str(delivery->body),
		.timeout_ms = TIMEOUT_MS,
		.answer_max = ANSWER_MAX_BYTES,
		.headers = {delivery->timestamp, delivery->signature,
			delivery->id}};
	(void)fac_http_send(hooks->http, &request, on_answer, delivery);
}

/* ---- 2. What is due. ---- */

static struct target *find_target(struct fac_hooks *hooks, const char *name)
{
	for (size_t i = 0; i < hooks->options.hooks_len; i++)
		if (!strcmp(hooks->targets[i].config->name, name))
			return &hooks->targets[i];
	return NULL;
}

static void put_off(struct fac_hooks *hooks, struct target *target,
	const struct fac_outbox_row *row, const char *why)
{
	struct fac_outbox_failure failure = {.sequence = row->sequence,
		.delay_ms = fac_hook_delay_ms(row->tries, randombytes_random()),
		.error = why};

	if (target)
		target->stats.skipped++;
	record_failure(hooks, target, &failure, row->tries);
}

static void take_row(struct fac_hooks *hooks, const struct fac_outbox_row *row,
	const struct fac_payment *payment)
{
	struct target *target = find_target(hooks, row->hook);

	if (!target)
		/* Another instance may know it, or did. */
		put_off(hooks, NULL, row, "no such webhook is configured here");
	else if (!(target->config->events & 1u << row->state))
		fac_store_outbox_done(
			hooks->options.store, row->sequence, to_hooks(hooks));
	else if (target->failures >= FAILING && target->in_flight)
		put_off(hooks, target, row, "put off: the receiver fails");
	else
		send_row(hooks, target, row, payment);
}

static void on_taken(void *user, const struct fac_store_reply *reply)
{
	struct fac_hooks *hooks = user;
	size_t asked = hooks->asked;

	hooks->asked = 0;
	if (hooks->stopping || reply->err)
		return; /* due again when the lease is over */
	for (size_t i = 0; i < reply->outbox_len; i++)
		take_row(hooks, &reply->outbox[i], &reply->payments[i]);
	if (reply->outbox_len == asked && hooks->in_flight < FLIGHT_MAX)
		fac_timer_start(hooks->timer, 0, TICK_MS);
}

/* ---- 1. The clock. ---- */

static void on_tick(void *user)
{
	struct fac_hooks *hooks = user;

	if (hooks->stopping || hooks->asked || hooks->in_flight >= FLIGHT_MAX)
		return;
	hooks->asked = FLIGHT_MAX - hooks->in_flight;
	fac_store_outbox_take(hooks->options.store, (uint32_t)hooks->asked,
		LEASE_MS,
		(struct fac_store_to){hooks->options.loop, on_taken, hooks});
}

enum x402_err fac_hooks_start(
	const struct fac_hooks_options *options, struct fac_hooks **ret_hooks)
{
	struct fac_hooks *hooks = calloc(1, sizeof(*hooks));

	if (!hooks)
		return X402_ERR_NOMEM;
	hooks->options = *options;
	for (size_t i = 0; i < options->hooks_len; i++) {
		hooks->targets[i].config = &options->hooks[i];
		hooks->targets[i].stats.name = options->hooks[i].name;
	}
	if (fac_http_new(options->loop, &hooks->http) ||
		fac_timer_new(options->loop, on_tick, hooks, &hooks->timer)) {
		fac_hooks_free(hooks);
		return X402_ERR_NOMEM;
	}
	fac_timer_start(hooks->timer, 0, TICK_MS);
	*ret_hooks = hooks;
	return X402_OK;
}

void fac_hooks_stop(struct fac_hooks *hooks)
{
	if (!hooks || hooks->stopping)
		return;
	hooks->stopping = true;
	if (hooks->timer)
		fac_timer_stop(hooks->timer);
	fac_http_free(hooks->http); /* answers with cancelled */
	hooks->http = NULL;
}

void fac_hooks_free(struct fac_hooks *hooks)
{
	if (!hooks)
		return;
	fac_hooks_stop(hooks);
	fac_timer_free(hooks->timer);
	free(hooks);
}

size_t fac_hooks_stats(const struct fac_hooks *hooks,
	struct fac_hook_stats ret_stats[FAC_HOOKS_MAX])
{
	size_t len = hooks ? hooks->options.hooks_len : 0;

	for (size_t i = 0; i < len; i++)
		ret_stats[i] = hooks->targets[i].stats;
	return len;
}
