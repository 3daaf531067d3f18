/*
 * One libuv loop, a locked list of mail, and one async handle that wakes the
 * loop when the list was empty. The list is taken whole and run without the
 * lock, so posting never waits for a callback and a callback may post.
 *
 * Stages run behind the poll for events (uv_check). An idle handle keeps the
 * loop from waiting there when they were put in before it.
 */
#include "run/loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

struct mail {
	struct mail *next;
	void (*fn)(void *arg);
	void *arg;
};

struct fac_loop {
	uv_loop_t uv;
	uv_async_t wake;
	pthread_mutex_t lock; /* guards first and last */
	struct mail *first;
	struct mail **last;
	/* The loop's thread only. */
	bool stopping;
	uv_check_t events_seen;
	uv_idle_t no_waiting;
	struct fac_stage *first_stage;
	struct fac_stage **last_stage;
};

struct fac_timer {
	uv_timer_t uv;
	void (*fn)(void *arg);
	void *arg;
};

static struct mail *take_mail(struct fac_loop *loop)
{
	struct mail *mail;

	pthread_mutex_lock(&loop->lock);
	mail = loop->first;
	loop->first = NULL;
	loop->last = &loop->first;
	pthread_mutex_unlock(&loop->lock);
	return mail;
}

static void on_wake(uv_async_t *wake)
{
	struct fac_loop *loop = wake->data;
	struct mail *mail = take_mail(loop);

	while (mail) {
		struct mail *next = mail->next;

		mail->fn(mail->arg);
		free(mail);
		mail = next;
	}
}

enum x402_err fac_loop_new(struct fac_loop **ret_loop)
{
	struct fac_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return X402_ERR_NOMEM;
	if (uv_loop_init(&loop->uv)) {
		free(loop);
		return X402_ERR_NOMEM;
	}
	if (uv_async_init(&loop->uv, &loop->wake, on_wake)) {
		(void)uv_loop_close(&loop->uv); /* nothing stands on it */
		free(loop);
		return X402_ERR_NOMEM;
	}
	loop->wake.data = loop;
	loop->last = &loop->first;
	/* These two cannot fail. */
	(void)uv_check_init(&loop->uv, &loop->events_seen);
	(void)uv_idle_init(&loop->uv, &loop->no_waiting);
	loop->events_seen.data = loop;
	loop->last_stage = &loop->first_stage;
	pthread_mutex_init(&loop->lock, NULL);
	*ret_loop = loop;
	return X402_OK;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void fac_loop_free(struct fac_loop *loop)
{
	if (!loop)
		return;
	/* First let those finish closing that have begun to. */
	uv_close((uv_handle_t *)&loop->wake, NULL);
	(void)uv_run(&loop->uv, UV_RUN_NOWAIT);
	uv_walk(&loop->uv, close_handle, NULL);
	while (uv_loop_close(&loop->uv) == UV_EBUSY)
		(void)uv_run(&loop->uv, UV_RUN_ONCE);
	for (struct mail *mail = loop->first; mail;) {
		struct mail *next = mail->next;

		free(mail);
		mail = next;
	}
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

void fac_loop_run(struct fac_loop *loop)
{
	while (!loop->stopping)
		(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
	loop->stopping = false;
}

static void do_stop(void *arg)
{
	struct fac_loop *loop = arg;

	loop->stopping = true;
	uv_stop(&loop->uv);
}

void fac_loop_stop(struct fac_loop *loop)
{
	/* As mail: everything posted before is run before. */
	fac_loop_post(loop, do_stop, loop);
}

void fac_loop_post(struct fac_loop *loop, void (*fn)(void *arg), void *arg)
{
	struct mail *mail = malloc(sizeof(*mail));
	bool was_empty;

	if (!mail)
		abort();
	*mail = (struct mail){NULL, fn, arg};
	pthread_mutex_lock(&loop->lock);
	was_empty = !loop->first;
	*loop->last = mail;
	loop->last = &mail->next;
	/* Under the lock: the loop cannot be freed between list and wake. */
	if (was_empty)
		(void)uv_async_send(&loop->wake); /* fails only on misuse */
	pthread_mutex_unlock(&loop->lock);
}

/* What is put in meanwhile is run as well. */
static void run_stages(uv_check_t *events_seen)
{
	struct fac_loop *loop = events_seen->data;
	struct fac_stage *stage;

	while ((stage = loop->first_stage)) {
		loop->first_stage = stage->next;
		if (!loop->first_stage)
			loop->last_stage = &loop->first_stage;
		stage->fn(stage->arg);
	}
	(void)uv_check_stop(&loop->events_seen);
	(void)uv_idle_stop(&loop->no_waiting);
}

static void on_idle(uv_idle_t *no_waiting)
{
	(void)no_waiting;
}

void fac_loop_stage(struct fac_loop *loop, struct fac_stage *stage,
	void (*fn)(void *arg), void *arg)
{
	*stage = (struct fac_stage){NULL, fn, arg};
	/* Both fail only without a callback, and do nothing when started. */
	if (!loop->first_stage) {
		(void)uv_check_start(&loop->events_seen, run_stages);
		(void)uv_idle_start(&loop->no_waiting, on_idle);
	}
	*loop->last_stage = stage;
	loop->last_stage = &stage->next;
}

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What to add to the time since the machine booted; set once. */
static uint64_t steady_offset_ms;

static void set_steady_offset(void)
{
	steady_offset_ms = clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_BOOTTIME);
}

uint64_t fac_steady_unix_ms(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, set_steady_offset);
	return clock_ms(CLOCK_BOOTTIME) + steady_offset_ms;
}

uint64_t fac_loop_now_ms(const struct fac_loop *loop)
{
	return uv_now(&loop->uv);
}

struct uv_loop_s *fac_loop_uv(struct fac_loop *loop)
{
	return &loop->uv;
}

static void on_timer(uv_timer_t *uv)
{
	struct fac_timer *timer = uv->data;

	timer->fn(timer->arg);
}

enum x402_err fac_timer_new(struct fac_loop *loop, void (*fn)(void *arg),
	void *arg, struct fac_timer **ret_timer)
{
	struct fac_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return X402_ERR_NOMEM;
	(void)uv_timer_init(&loop->uv, &timer->uv); /* cannot fail */
	timer->uv.data = timer;
	timer->fn = fn;
	timer->arg = arg;
	*ret_timer = timer;
	return X402_OK;
}

void fac_timer_start(
	struct fac_timer *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
	/* The loop's clock may be old when a long callback calls us. */
	uv_update_time(timer->uv.loop);
	(void)uv_timer_start(&timer->uv, on_timer, delay_ms, repeat_ms);
}

void fac_timer_stop(struct fac_timer *timer)
{
	(void)uv_timer_stop(&timer->uv);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void fac_timer_free(struct fac_timer *timer)
{
	if (timer)
		uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}
