/*
 * Budgets and a wall clock that somebody sets: what was spent an hour ago was
 * spent an hour ago whatever it says. The machine's own clock, its boot and its
 * restart are played here; tests/system/clock.test.mjs sets a real one.
 */
#include "journal_house.h"

#define MINUTE UINT64_C(60000)
#define HOUR   (60 * MINUTE)
#define YEAR   (UINT64_C(8766) * HOUR)

static void limit(struct house *house, enum x402_budget_window window,
	uint64_t usd_micros)
{
	struct x402_budget budget = {
		.window = window, .max_usd_micros = usd_micros};

	assert_int_equal(
		x402_journal_budget_set(house->journal, &budget), X402_OK);
}

/* An hour and a day, of one purchase each. */
static int set_up_played(void **state)
{
	int failed = set_up(state);
	struct house *house = *state;

	house_elapsed_ms = 5 * MINUTE;
	play_clock(house->journal, "boot-1");
	limit(house, X402_BUDGET_HOUR, 1000);
	return failed;
}

static enum x402_client_cause cause_in(
	struct x402_journal *journal, struct house *house)
{
	struct x402__journal_grant grant = reserve_in(journal, &house->ask);

	if (grant.verdict == X402__JOURNAL_SIGN)
		assert_int_equal(
			sign_in(journal, grant.number, &house->terms), X402_OK);
	return grant.cause;
}

/* Another request each time: one that is open is not bought again. */
static enum x402_client_cause buys(struct house *house)
{
	static unsigned number;
	static char url[64];

	snprintf(url, sizeof(url), "https://shop.example/%u", number++);
	house->ask.url = url;
	return cause_in(house->journal, house);
}

#define PAYS(house)    assert_int_equal(buys(house), X402_CLIENT_CAUSE_NONE)
#define REFUSES(house) assert_int_equal(buys(house), X402_CLIENT_CAUSE_BUDGET)

static void test_clock_set_forwards_empties_no_window(void **state)
{
	static const uint64_t jumps[] = {
		MINUTE, 2 * HOUR, 26 * HOUR, YEAR, 10 * YEAR, 8 * HOUR};
	struct house *house = *state;

	limit(house, X402_BUDGET_DAY, 2000);
	PAYS(house);
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		house->ask.now_unix_ms = NOW + jumps[i];
		REFUSES(house);
		/* A clock that was wrong for a moment. */
		house->ask.now_unix_ms = NOW;
		REFUSES(house);
	}
	house_elapsed_ms += 59 * MINUTE;
	house->ask.now_unix_ms = NOW + 10 * YEAR;
	REFUSES(house);
	house_elapsed_ms += 3 * MINUTE;
	PAYS(house);
	house_elapsed_ms += 2 * HOUR;
	REFUSES(house);
	house_elapsed_ms += 26 * HOUR;
	PAYS(house);
}

/* What no window reaches is thrown away now and then: not because a clock says
 * so. 4096 ms is when. */
static void test_clock_set_forwards_throws_nothing_away(void **state)
{
	struct house *house = *state;

	house->ask.now_unix_ms = NOW - NOW % 4096;
	limit(house, X402_BUDGET_HOUR, 3000);
	limit(house, X402_BUDGET_DAY, 3000);
	PAYS(house);
	house->ask.now_unix_ms += 4096 * YEAR;
	PAYS(house);
	house->ask.now_unix_ms -= 4096 * YEAR;
	PAYS(house);
	REFUSES(house);
}

static void test_clock_set_back_neither_opens_nor_locks(void **state)
{
	struct house *house = *state;

	PAYS(house);
	house->ask.now_unix_ms = NOW - 10 * YEAR;
	REFUSES(house);
	house_elapsed_ms += 62 * MINUTE;
	PAYS(house);
	REFUSES(house);
	house->ask.now_unix_ms = NOW;
	REFUSES(house);
	house_elapsed_ms += 62 * MINUTE;
	PAYS(house);
}

/* Bought when the clock was years ahead: counted now, and over in an hour. */
static void test_clock_that_was_ahead_locks_nothing_for_years(void **state)
{
	struct house *house = *state;

	house->ask.now_unix_ms = NOW + 10 * YEAR;
	PAYS(house);
	house->ask.now_unix_ms = NOW;
	REFUSES(house);
	house_elapsed_ms += 62 * MINUTE;
	PAYS(house);
}

static void restart(struct house *house, const char *boot, uint64_t wall_ms)
{
	x402_journal_close(house->journal);
	house->journal = open_at(house->path);
	house_elapsed_ms = MINUTE;
	play_clock(house->journal, boot);
	house->ask.now_unix_ms = wall_ms;
}

static void test_clock_over_a_restart_counts_the_time_between(void **state)
{
	struct house *house = *state;

	PAYS(house);
	restart(house, "boot-2", NOW + 30 * MINUTE);
	REFUSES(house);
	/* It restarts with a clock that has lost the time. */
	restart(house, "boot-3", NOW - 40 * YEAR);
	REFUSES(house);
	/* Then it is set, while the machine runs. */
	house->ask.now_unix_ms = NOW + 31 * MINUTE;
	REFUSES(house);
	house_elapsed_ms += 32 * MINUTE;
	PAYS(house);
	restart(house, "boot-4", house->ask.now_unix_ms + 63 * MINUTE);
	PAYS(house);
	REFUSES(house);
}

/* A note that is old by then: the time since is in what the wall clock says. */
static void test_clock_is_noted_again(void **state)
{
	struct house *house = *state;

	PAYS(house);
	house_elapsed_ms += 50 * MINUTE;
	house->ask.now_unix_ms = NOW + 50 * MINUTE;
	REFUSES(house);
	restart(house, "boot-2", NOW + 62 * MINUTE);
	PAYS(house);
}

static void test_clock_without_a_boot_goes_forwards(void **state)
{
	struct house *house = *state;

	play_clock(house->journal, "");
	PAYS(house);
	house->ask.now_unix_ms = NOW - YEAR;
	REFUSES(house);
	house->ask.now_unix_ms = NOW + 62 * MINUTE;
	PAYS(house);
}

static void test_clock_is_one_for_all_processes(void **state)
{
	struct house *house = *state;
	struct x402_journal *other = open_at(house->path);

	play_clock(other, "boot-1");
	PAYS(house);
	house->ask.url = "https://shop.example/other";
	house->ask.now_unix_ms = NOW + YEAR;
	assert_int_equal(cause_in(other, house), X402_CLIENT_CAUSE_BUDGET);
	house_elapsed_ms += 62 * MINUTE;
	assert_int_equal(cause_in(other, house), X402_CLIENT_CAUSE_NONE);
	house->ask.now_unix_ms = NOW;
	REFUSES(house);
	x402_journal_close(other);
}

static uint64_t used_in_hour(struct house *house)
{
	struct x402_budget budget = {
		.window = X402_BUDGET_HOUR, .max_usd_micros = 1};
	struct x402_budget_use use;

	assert_int_equal(
		x402_journal_budget_used(house->journal, &budget, NULL, &use),
		X402_OK);
	return use.used_usd_micros;
}

/* It is taken out of the bucket that it was put in. */
static void test_clock_between_reserving_and_giving_up(void **state)
{
	struct house *house = *state;

	PAYS(house);
	house_elapsed_ms += 62 * MINUTE;
	house->ask.url = "https://shop.example/given-up";
	house->ask.now_unix_ms = NOW + YEAR;
	struct x402__journal_grant grant = reserve(house);
	assert_int_equal(grant.verdict, X402__JOURNAL_SIGN);
	assert_int_equal(used_in_hour(house), 1000);
	house_elapsed_ms += 2 * MINUTE;
	assert_int_equal(finish_as(house, grant.number,
				 X402_CLIENT_OUTCOME_NONE, 0, false),
		X402_OK);
	assert_int_equal(used_in_hour(house), 0);
	PAYS(house);
	assert_int_equal(used_in_hour(house), 1000);
}

static void test_clock_set_forwards_hides_no_loop(void **state)
{
	struct house *house = *state;

	limit(house, X402_BUDGET_HOUR, 1000000);
	house->ask.loop_max = 3;
	house->ask.url = "https://shop.example/again";
	for (unsigned i = 0; i < 3; i++) {
		int64_t number = buy(house);
		assert_int_equal(finish_as(house, number,
					 X402_CLIENT_OUTCOME_PAID, 200, true),
			X402_OK);
		house->ask.now_unix_ms += HOUR;
	}
	assert_int_equal(reserve(house).cause, X402_CLIENT_CAUSE_LOOP);
	house_elapsed_ms += 2 * MINUTE;
	assert_int_equal(reserve(house).cause, X402_CLIENT_CAUSE_NONE);
}

static void exec_sql(const char *path, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* As an older build has left it: with a purchase, and one that is given up. */
static void test_clock_of_an_older_journal_begins_with_the_wall(void **state)
{
	struct house *house = *state;

	limit(house, X402_BUDGET_HOUR, 2000);
	PAYS(house);
	house->ask.url = "https://shop.example/given-up";
	struct x402__journal_grant grant = reserve(house);
	assert_int_equal(grant.verdict, X402__JOURNAL_SIGN);
	x402_journal_close(house->journal);
	exec_sql(house->path,
		"ALTER TABLE purchases DROP COLUMN counted; DROP TABLE clock;"
		"UPDATE purchases SET held_until = 0; PRAGMA user_version = 1");
	house->journal = open_at(house->path);
	house_elapsed_ms = MINUTE;
	play_clock(house->journal, "boot-1");
	house->ask.now_unix_ms = NOW + MINUTE;
	REFUSES(house);
	assert_int_equal(x402__journal_begin(house->journal, false), X402_OK);
	assert_int_equal(x402__journal_end(house->journal,
				 x402__journal_release_dead(house->journal,
					 house->ask.now_unix_ms)),
		X402_OK);
	assert_int_equal(used_in_hour(house), 1000);
	PAYS(house);
	REFUSES(house);
}

#define HOUSE(test) \
	cmocka_unit_test_setup_teardown(test, set_up_played, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOUSE(test_clock_set_forwards_empties_no_window),
		HOUSE(test_clock_set_forwards_throws_nothing_away),
		HOUSE(test_clock_set_back_neither_opens_nor_locks),
		HOUSE(test_clock_that_was_ahead_locks_nothing_for_years),
		HOUSE(test_clock_over_a_restart_counts_the_time_between),
		HOUSE(test_clock_is_noted_again),
		HOUSE(test_clock_without_a_boot_goes_forwards),
		HOUSE(test_clock_is_one_for_all_processes),
		HOUSE(test_clock_between_reserving_and_giving_up),
		HOUSE(test_clock_set_forwards_hides_no_loop),
		HOUSE(test_clock_of_an_older_journal_begins_with_the_wall),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
