/*
 * Three lines: what was signed, what else money waits for, and who only looks.
 */
#include "cmocka_house.h"

#include "store/queue.h"

#include <stdlib.h>

static struct fac_verb *verb_of(enum fac_verb_kind kind, bool browsing)
{
	struct fac_verb *verb = calloc(1, sizeof(*verb));

	assert_non_null(verb);
	verb->kind = kind;
	verb->browsing = browsing;
	return verb;
}

static void add(
	struct fac_verb_queue *queue, enum fac_verb_kind kind, bool browsing)
{
	assert_true(fac_verb_queue_add(queue, verb_of(kind, browsing)));
}

/* Frees the group; how many of each were in it. */
static size_t take(struct fac_verb_queue *queue, size_t *ret_browsing)
{
	size_t len = 99;
	size_t seen = 0;
	struct fac_verb *verb = fac_verb_queue_take(queue, &len);

	*ret_browsing = 0;
	while (verb) {
		struct fac_verb *next = verb->next;

		/* Money goes first. */
		assert_true(verb->browsing || !*ret_browsing);
		*ret_browsing += verb->browsing;
		seen++;
		free(verb);
		verb = next;
	}
	assert_int_equal(seen, len);
	return len;
}

static void test_queue_that_is_empty_gives_nothing(void **state)
{
	struct fac_verb_queue queue;
	size_t browsing;

	(void)state;
	fac_verb_queue_init(&queue);
	assert_int_equal(take(&queue, &browsing), 0);
	add(&queue, FAC_VERB_HEALTH, false);
	assert_int_equal(take(&queue, &browsing), 1);
	assert_int_equal(take(&queue, &browsing), 0);
	add(&queue, FAC_VERB_RESOURCE_LIST, true);
	assert_int_equal(take(&queue, &browsing), 1);
	assert_int_equal(browsing, 1);
	assert_int_equal(take(&queue, &browsing), 0);
}

static void test_queue_lets_money_pass_a_crowd_that_looks(void **state)
{
	struct fac_verb_queue queue;
	size_t browsing;

	(void)state;
	fac_verb_queue_init(&queue);
	for (int i = 0; i < 300; i++)
		add(&queue, FAC_VERB_RESOURCE_LIST, true);
	for (int i = 0; i < 20; i++)
		add(&queue, FAC_VERB_RESERVE, false);
	/* One page, behind all that pay. */
	assert_int_equal(take(&queue, &browsing), 21);
	assert_int_equal(browsing, 1);
	for (int i = 1; i < 300; i++) {
		assert_int_equal(take(&queue, &browsing), 1);
		assert_int_equal(browsing, 1);
	}
	assert_int_equal(take(&queue, &browsing), 0);
}

static void test_queue_bounds_what_strangers_cost_a_group(void **state)
{
	static const struct {
		enum fac_verb_kind kind;
		size_t len;
	} kinds[] = {{FAC_VERB_RESOURCE_LIST, 1}, {FAC_VERB_PAYMENT_GET, 8},
		{FAC_VERB_RESOURCE_PUT, 16}};
	struct fac_verb_queue queue;
	size_t browsing;

	(void)state;
	fac_verb_queue_init(&queue);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		for (size_t k = 0; k < 17; k++)
			add(&queue, kinds[i].kind, true);
		assert_int_equal(take(&queue, &browsing), kinds[i].len);
		while (take(&queue, &browsing))
			;
	}
}

/* What was signed is not sent before it is written. */
static void test_queue_lets_what_was_signed_pass_the_last_block(void **state)
{
	struct fac_verb_queue queue;
	struct fac_verb *verb;
	size_t len;

	(void)state;
	fac_verb_queue_init(&queue);
	add(&queue, FAC_VERB_MARK_MINED, false);
	add(&queue, FAC_VERB_RESERVE, false);
	add(&queue, FAC_VERB_JOURNAL_SIGNED, false);
	add(&queue, FAC_VERB_JOURNAL_ATTEMPT, false);
	verb = fac_verb_queue_take(&queue, &len);
	assert_int_equal(len, 4);
	for (size_t i = 0; verb; i++) {
		static const enum fac_verb_kind kinds[] = {
			FAC_VERB_JOURNAL_SIGNED, FAC_VERB_JOURNAL_ATTEMPT,
			FAC_VERB_MARK_MINED, FAC_VERB_RESERVE};
		struct fac_verb *next = verb->next;

		assert_int_equal(verb->kind, kinds[i]);
		free(verb);
		verb = next;
	}
}

/* A commit is as long as the payments in it are many. */
static void test_queue_counts_the_payments_that_a_verb_writes(void **state)
{
	struct fac_verb_queue queue;
	size_t browsing;

	(void)state;
	fac_verb_queue_init(&queue);
	for (size_t i = 0; i < 7; i++) {
		struct fac_verb *verb = verb_of(FAC_VERB_MARK_MINED, false);

		verb->ends_len = FAC_QUEUE_GROUP_MAX / 2;
		assert_true(fac_verb_queue_add(&queue, verb));
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(take(&queue, &browsing), 2);
	assert_int_equal(take(&queue, &browsing), 1);
	/* Those that name no payments step all of a transaction's. */
	for (size_t i = 0; i <= FAC_QUEUE_GROUP_MAX / FAC_QUEUE_STEP_WEIGHT;
		i++)
		add(&queue, FAC_VERB_MARK_BROADCAST, false);
	assert_int_equal(take(&queue, &browsing),
		FAC_QUEUE_GROUP_MAX / FAC_QUEUE_STEP_WEIGHT);
	assert_int_equal(take(&queue, &browsing), 1);
	/* One that is too large by itself goes all the same. */
	for (size_t i = 0; i < 2; i++) {
		struct fac_verb *verb = verb_of(FAC_VERB_JOURNAL_SIGNED, false);

		verb->transaction.keys_len = 3 * FAC_QUEUE_GROUP_MAX;
		assert_true(fac_verb_queue_add(&queue, verb));
	}
	assert_int_equal(take(&queue, &browsing), 1);
	assert_int_equal(take(&queue, &browsing), 1);
}

static void test_queue_says_since_when_the_first_waits(void **state)
{
	struct fac_verb_queue queue;
	struct fac_verb *verbs[3] = {verb_of(FAC_VERB_PAYMENT_GET, true),
		verb_of(FAC_VERB_RESERVE, false),
		verb_of(FAC_VERB_JOURNAL_SIGNED, false)};
	static const uint64_t since_ms[3] = {5, 20, 10};
	static const uint64_t says_ms[3] = {0, 20, 10};
	size_t browsing;

	(void)state;
	fac_verb_queue_init(&queue);
	assert_int_equal(fac_verb_queue_since_ms(&queue), 0);
	for (size_t i = 0; i < 3; i++) {
		verbs[i]->queued_ms = since_ms[i];
		assert_true(fac_verb_queue_add(&queue, verbs[i]));
		assert_int_equal(fac_verb_queue_since_ms(&queue), says_ms[i]);
	}
	assert_int_equal(take(&queue, &browsing), 3);
}

static void test_queue_starves_nobody_who_looks(void **state)
{
	struct fac_verb_queue queue;
	size_t browsing;

	(void)state;
	fac_verb_queue_init(&queue);
	for (size_t i = 0; i < 2 * FAC_QUEUE_GROUP_MAX; i++)
		add(&queue, FAC_VERB_RESERVE, false);
	add(&queue, FAC_VERB_PAYMENT_GET, true);
	assert_int_equal(take(&queue, &browsing), FAC_QUEUE_GROUP_MAX + 1);
	assert_int_equal(browsing, 1);
	assert_int_equal(take(&queue, &browsing), FAC_QUEUE_GROUP_MAX);
	assert_int_equal(take(&queue, &browsing), 0);
}

static void test_queue_refuses_strangers_and_never_money(void **state)
{
	struct fac_verb_queue queue;
	struct fac_verb *refused = verb_of(FAC_VERB_PAYMENT_GET, true);
	size_t browsing;

	(void)state;
	fac_verb_queue_init(&queue);
	for (size_t i = 0; i < FAC_QUEUE_BROWSING_MAX; i++)
		add(&queue, FAC_VERB_PAYMENT_GET, true);
	assert_false(fac_verb_queue_add(&queue, refused));
	for (size_t i = 0; i < 2 * FAC_QUEUE_BROWSING_MAX; i++)
		add(&queue, FAC_VERB_RESERVE, false);
	(void)take(&queue, &browsing);
	assert_true(fac_verb_queue_add(&queue, refused));
	while (take(&queue, &browsing))
		;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue_that_is_empty_gives_nothing),
		cmocka_unit_test(test_queue_lets_money_pass_a_crowd_that_looks),
		cmocka_unit_test(test_queue_bounds_what_strangers_cost_a_group),
		cmocka_unit_test(
			test_queue_lets_what_was_signed_pass_the_last_block),
		cmocka_unit_test(
			test_queue_counts_the_payments_that_a_verb_writes),
		cmocka_unit_test(test_queue_says_since_when_the_first_waits),
		cmocka_unit_test(test_queue_starves_nobody_who_looks),
		cmocka_unit_test(test_queue_refuses_strangers_and_never_money),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
