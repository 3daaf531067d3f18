/*
 * Every third of the time that the service manager allows, the settler is
 * asked for its figures; its answer is passed on. One question at a time: a
 * thread that hangs owes one answer, and the manager hears nothing.
 */
#include "ops/watchdog.h"

#include <stdlib.h>
#include <unistd.h>

/* A late or lost beat must not be the end. */
#define BEATS 3
/* Less cannot be kept by a loop that also works. */
#define EVERY_MIN_MS 10

struct fac_watchdog {
	struct fac_loop *loop;
	struct fac_settler *settler;
	void (*notify)(const char *text);
	struct fac_timer *timer;
	bool asking;
	bool stopped;
};

static void on_stats(void *user, const struct fac_engine_stats *stats)
{
	struct fac_watchdog *watchdog = user;

	(void)stats; /* that it came is what counts */
	watchdog->asking = false;
	if (!watchdog->stopped)
		watchdog->notify("WATCHDOG=1");
}

static void on_timer(void *arg)
{
	struct fac_watchdog *watchdog = arg;

	if (watchdog->asking)
		return;
	watchdog->asking = true;
	fac_settler_stats(
		watchdog->settler, watchdog->loop, on_stats, watchdog);
}

/* Digits alone; 0 for all else. */
static uint64_t read_number(const char *text)
{
	uint64_t number = 0;

	for (; text && *text; text++) {
		if (*text < '0' || *text > '9' || number > UINT64_MAX / 20)
			return 0;
		number = number * 10 + (uint64_t)(*text - '0');
	}
	return number;
}

enum x402_err fac_watchdog_start(struct fac_loop *loop,
	struct fac_settler *settler, void (*notify)(const char *text),
	struct fac_watchdog **ret_watchdog)
{
	uint64_t every_ms = read_number(getenv("WATCHDOG_USEC")) / 1000 / BEATS;
	const char *pid = getenv("WATCHDOG_PID");
	struct fac_watchdog *watchdog;
	enum x402_err err;

	*ret_watchdog = NULL;
	if (!every_ms || (pid && read_number(pid) != (uint64_t)getpid()))
		return X402_OK;
	if (every_ms < EVERY_MIN_MS)
		every_ms = EVERY_MIN_MS;
	watchdog = calloc(1, sizeof(*watchdog));
	if (!watchdog)
		return X402_ERR_NOMEM;
	*watchdog = (struct fac_watchdog){
		.loop = loop, .settler = settler, .notify = notify};
	err = fac_timer_new(loop, on_timer, watchdog, &watchdog->timer);
	if (err) {
		free(watchdog);
		return err;
	}
	fac_timer_start(watchdog->timer, 0, every_ms);
	*ret_watchdog = watchdog;
	return X402_OK;
}

void fac_watchdog_stop(struct fac_watchdog *watchdog)
{
	if (!watchdog)
		return;
	watchdog->stopped = true;
	fac_timer_stop(watchdog->timer);
}

void fac_watchdog_free(struct fac_watchdog *watchdog)
{
	if (!watchdog)
		return;
	fac_timer_free(watchdog->timer);
	free(watchdog);
}
