/* The loop: mail in order, from many threads, never inside the call. */
#include "cmocka_house.h"

#include "run/loop.h"

#include <pthread.h>

struct record {
	struct fac_loop *loop;
	unsigned len;
	unsigned numbers[64];
	bool inside;
};

struct note {
	struct record *record;
	unsigned number;
};

static void write_note(void *arg)
{
	struct note *note = arg;
	struct record *record = note->record;

	assert_false(record->inside);
	if (record->len < ARRAY_LEN(record->numbers))
		record->numbers[record->len] = note->number;
	record->len++;
}

static struct fac_loop *new_loop(void)
{
	struct fac_loop *loop;

	assert_int_equal(fac_loop_new(&loop), X402_OK);
	return loop;
}

static void test_loop_mail_keeps_its_order(void **state)
{
	struct record record = {.loop = new_loop()};
	struct note notes[10];

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		notes[i] = (struct note){&record, i};
		record.inside = true;
		fac_loop_post(record.loop, write_note, &notes[i]);
		record.inside = false;
	}
	fac_loop_stop(record.loop);
	fac_loop_run(record.loop);
	assert_int_equal(record.len, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(record.numbers[i], i);
	fac_loop_free(record.loop);
}

static void post_from_callback(void *arg)
{
	static struct note note;
	struct record *record = arg;

	note = (struct note){record, 7};
	record->inside = true;
	fac_loop_post(record->loop, write_note, &note);
	record->inside = false;
	fac_loop_stop(record->loop);
}

static void test_loop_callback_may_post(void **state)
{
	struct record record = {.loop = new_loop()};

	(void)state;
	fac_loop_post(record.loop, post_from_callback, &record);
	fac_loop_run(record.loop);
	assert_int_equal(record.len, 1);
	assert_int_equal(record.numbers[0], 7);
	fac_loop_free(record.loop);
}

#define POSTERS 4
#define POSTS   5000

struct poster {
	pthread_t thread;
	struct note note;
};

static void *post_many(void *arg)
{
	struct poster *poster = arg;

	for (unsigned i = 0; i < POSTS; i++)
		fac_loop_post(
			poster->note.record->loop, write_note, &poster->note);
	return NULL;
}

static void *run_loop(void *arg)
{
	fac_loop_run(arg);
	return NULL;
}

static void test_loop_takes_mail_of_many_threads(void **state)
{
	struct record record = {.loop = new_loop()};
	struct poster posters[POSTERS];
	pthread_t runner;

	(void)state;
	assert_int_equal(
		pthread_create(&runner, NULL, run_loop, record.loop), 0);
	for (unsigned i = 0; i < POSTERS; i++) {
		posters[i].note = (struct note){&record, i};
		assert_int_equal(pthread_create(&posters[i].thread, NULL,
					 post_many, &posters[i]),
			0);
	}
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	fac_loop_stop(record.loop);
	pthread_join(runner, NULL);
	assert_int_equal(record.len, POSTERS * POSTS);
	fac_loop_free(record.loop);
}

static void test_loop_stop_before_run_returns(void **state)
{
	struct fac_loop *loop = new_loop();

	(void)state;
	fac_loop_stop(loop);
	fac_loop_run(loop);
	/* And it can run again afterwards. */
	fac_loop_stop(loop);
	fac_loop_run(loop);
	fac_loop_free(loop);
}

static void test_loop_free_drops_what_was_not_delivered(void **state)
{
	struct record record = {.loop = new_loop()};
	struct note note = {&record, 1};

	(void)state;
	fac_loop_post(record.loop, write_note, &note);
	fac_loop_free(record.loop);
	assert_int_equal(record.len, 0);
	fac_loop_free(NULL);
}

/* Three that each take two steps: all the first ones, then all the second. */
struct walker {
	struct record *record;
	struct fac_stage stage;
	unsigned number;
};

static void take_second_step(void *arg)
{
	struct walker *walker = arg;

	walker->record->numbers[walker->record->len++] = 10 + walker->number;
}

static void take_first_step(void *arg)
{
	struct walker *walker = arg;
	struct record *record = walker->record;

	record->numbers[record->len++] = walker->number;
	/* Its own stage is free again. */
	fac_loop_stage(record->loop, &walker->stage, take_second_step, walker);
}

static void begin_walks(void *arg)
{
	struct walker *walkers = arg;

	for (unsigned i = 0; i < 3; i++)
		fac_loop_stage(walkers[i].record->loop, &walkers[i].stage,
			take_first_step, &walkers[i]);
	assert_int_equal(walkers->record->len, 0);
}

static void assert_walked(const struct record *record)
{
	static const unsigned expected[] = {0, 1, 2, 10, 11, 12};

	assert_int_equal(record->len, ARRAY_LEN(expected));
	assert_memory_equal(record->numbers, expected, sizeof(expected));
}

static void test_loop_stages_are_taken_by_all_before_the_next(void **state)
{
	struct record record = {.loop = new_loop()};
	struct walker walkers[3] = {{&record, .number = 0},
		{&record, .number = 1}, {&record, .number = 2}};

	(void)state;
	fac_loop_post(record.loop, begin_walks, walkers);
	/* Also of the turn that ends it. */
	fac_loop_stop(record.loop);
	fac_loop_run(record.loop);
	assert_walked(&record);
	fac_loop_free(record.loop);
}

struct from_timer {
	struct fac_timer *timer;
	struct fac_timer *late;
	struct walker walkers[3];
};

static void begin_by_timer(void *arg)
{
	struct from_timer *from = arg;

	begin_walks(from->walkers);
}

static void end_by_timer(void *arg)
{
	struct from_timer *from = arg;

	/* Long before this one: the loop did not wait for an event first. */
	assert_walked(from->walkers[0].record);
	fac_loop_stop(from->walkers[0].record->loop);
}

static void test_loop_does_not_wait_before_a_stage(void **state)
{
	struct record record = {.loop = new_loop()};
	struct from_timer from = {
		.walkers = {{&record, .number = 0}, {&record, .number = 1},
			{&record, .number = 2}}};

	(void)state;
	assert_int_equal(
		fac_timer_new(record.loop, begin_by_timer, &from, &from.timer),
		X402_OK);
	assert_int_equal(
		fac_timer_new(record.loop, end_by_timer, &from, &from.late),
		X402_OK);
	fac_timer_start(from.timer, 0, 0);
	fac_timer_start(from.late, 200, 0);
	fac_loop_run(record.loop);
	fac_timer_free(from.timer);
	fac_timer_free(from.late);
	fac_loop_free(record.loop);
}

struct ticking {
	struct fac_loop *loop;
	struct fac_timer *timer;
	struct fac_timer *other;
	unsigned ticks;
};

static void on_tick(void *arg)
{
	struct ticking *ticking = arg;

	if (++ticking->ticks == 3)
		fac_loop_stop(ticking->loop);
}

static void on_never(void *arg)
{
	(void)arg;
	fail();
}

static void test_loop_timer_repeats_and_a_freed_one_does_not_run(void **state)
{
	struct ticking ticking = {.loop = new_loop()};

	(void)state;
	assert_int_equal(
		fac_timer_new(ticking.loop, on_tick, &ticking, &ticking.timer),
		X402_OK);
	assert_int_equal(
		fac_timer_new(ticking.loop, on_never, NULL, &ticking.other),
		X402_OK);
	fac_timer_start(ticking.timer, 1, 1);
	fac_timer_start(ticking.other, 0, 0);
	fac_timer_free(ticking.other);
	fac_loop_run(ticking.loop);
	assert_int_equal(ticking.ticks, 3);
	fac_timer_free(ticking.timer);
	fac_timer_free(NULL);
	fac_loop_free(ticking.loop);
}

static void test_loop_stopped_timer_does_not_run(void **state)
{
	struct fac_loop *loop = new_loop();
	struct ticking ticking = {.loop = loop, .ticks = 2};
	struct fac_timer *never;

	(void)state;
	assert_int_equal(fac_timer_new(loop, on_never, NULL, &never), X402_OK);
	assert_int_equal(fac_timer_new(loop, on_tick, &ticking, &ticking.timer),
		X402_OK);
	fac_timer_start(never, 0, 1);
	fac_timer_stop(never);
	fac_timer_start(ticking.timer, 5, 0);
	fac_loop_run(loop);
	fac_timer_free(never);
	fac_timer_free(ticking.timer);
	fac_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loop_mail_keeps_its_order),
		cmocka_unit_test(test_loop_callback_may_post),
		cmocka_unit_test(test_loop_takes_mail_of_many_threads),
		cmocka_unit_test(test_loop_stop_before_run_returns),
		cmocka_unit_test(test_loop_free_drops_what_was_not_delivered),
		cmocka_unit_test(
			test_loop_stages_are_taken_by_all_before_the_next),
		cmocka_unit_test(test_loop_does_not_wait_before_a_stage),
		cmocka_unit_test(
			test_loop_timer_repeats_and_a_freed_one_does_not_run),
		cmocka_unit_test(test_loop_stopped_timer_does_not_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
