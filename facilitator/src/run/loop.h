/*
 * loop.h: one thread's event loop, its mailbox, its stages and its timers.
 *
 * Every thread of the daemon owns one struct fac_loop. Another thread talks
 * to it by posting mail; nothing else crosses a thread, so nothing else needs
 * a lock.
 *
 * Not for: sockets. net/ and chain/ take the libuv loop underneath
 * (fac_loop_uv) and put their own handles on it.
 *
 * Thread rule: fac_loop_post and fac_loop_stop may be called from any thread
 * while the loop exists; everything else belongs to the loop's own thread.
 */
#ifndef FAC_RUN_LOOP_H
#define FAC_RUN_LOOP_H

#include "x402/error.h"

struct uv_loop_s;
struct fac_loop;
struct fac_timer;

/* NOMEM when memory or file descriptors are out. Free with fac_loop_free. */
X402_MUST_USE enum x402_err fac_loop_new(struct fac_loop **ret_loop);
/*
 * Closes what still stands on the loop and frees it. Call it when no thread
 * can post any more. Mail that was never delivered is dropped, so stop the
 * senders first. NULL allowed.
 */
void fac_loop_free(struct fac_loop *loop);

/*
 * Run on the calling thread, which becomes the loop's, until fac_loop_stop.
 * Mail posted before the stop is delivered before it returns.
 */
void fac_loop_run(struct fac_loop *loop);
/* Any thread; also before fac_loop_run, which then returns at once. */
void fac_loop_stop(struct fac_loop *loop);

/*
 * Any thread: run fn(arg) later on the loop's thread, in the order of
 * posting, never inside this call. arg passes to the loop's thread: do not
 * touch it afterwards. Out of memory aborts the process (style.md 5: the
 * truth is in the database, and restart is the tested recovery).
 */
void fac_loop_post(struct fac_loop *loop, void (*fn)(void *arg), void *arg);

/*
 * Something to go on with in this turn of the loop, behind what was put here
 * before it. Where many take the same steps, each step put here is taken by
 * all of them before the next, so that its code stays in the processor's
 * nearest cache meanwhile.
 */
struct fac_stage {
	struct fac_stage *next;
	void (*fn)(void *arg);
	void *arg;
};

/*
 * Run fn(arg) when the turn's events have been seen, never inside this call
 * and before the loop waits. stage stays the caller's, and untouched until fn
 * begins; from then on it may be put here again.
 */
void fac_loop_stage(struct fac_loop *loop, struct fac_stage *stage,
	void (*fn)(void *arg), void *arg);

/* The loop's clock in ms, monotonic, cached for one turn. */
uint64_t fac_loop_now_ms(const struct fac_loop *loop);
/*
 * Unix ms as they were when this was first asked, and what has passed since,
 * by a clock that nobody sets and that counts sleep: for deadlines, waits and
 * leases, which must neither stand still nor end at once when the time of day
 * is set. Any thread. Not for comparing with what others say of the time.
 */
uint64_t fac_steady_unix_ms(void);
/* For net/ and chain/ only. */
struct uv_loop_s *fac_loop_uv(struct fac_loop *loop);

/*
 * A timer, made stopped. fn runs on the loop's thread, never inside
 * fac_timer_start. Starting a running timer sets it anew.
 */
X402_MUST_USE enum x402_err fac_timer_new(struct fac_loop *loop,
	void (*fn)(void *arg), void *arg, struct fac_timer **ret_timer);
/* Once after delay_ms; then every repeat_ms unless that is 0. */
void fac_timer_start(
	struct fac_timer *timer, uint64_t delay_ms, uint64_t repeat_ms);
void fac_timer_stop(struct fac_timer *timer);
/* fn will not run any more, whatever was due. NULL allowed. */
void fac_timer_free(struct fac_timer *timer);

#endif
