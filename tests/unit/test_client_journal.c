/*
 * The purchase journal: which authorization may be signed, presented again or
 * forgotten, and what a second process on the same file may do meanwhile.
 */
#include "journal_house.h"

#include <sys/wait.h>

static void assert_refused(
	struct x402__journal_grant grant, enum x402_client_cause cause)
{
	assert_int_equal(grant.verdict, X402__JOURNAL_REFUSE);
	assert_int_equal(grant.cause, cause);
}

static void test_journal_file_is_private(void **state)
{
	struct house *house = *state;
	struct stat stat_;

	assert_int_equal(stat(house->path, &stat_), 0);
	assert_int_equal(stat_.st_mode & 0777, 0600);
}

static void test_journal_others_may_read_refused(void **state)
{
	struct house *house = *state;
	struct x402_journal_options options = {.path = house->path};
	struct x402_errinfo info = {{0}};
	struct x402_journal *journal = NULL;

	assert_int_equal(chmod(house->path, 0640), 0);
	assert_int_equal(
		x402_journal_open(&options, &info, &journal), X402_ERR_POLICY);
	assert_null(journal);
	assert_non_null(strstr(info.text, "0640"));
}

static void test_journal_symlink_refused(void **state)
{
	struct house *house = *state;
	char path[128];
	struct x402_journal_options options = {.path = path};
	struct x402_journal *journal = NULL;

	snprintf(path, sizeof(path), "%s/link", house->directory);
	assert_int_equal(symlink(house->path, path), 0);
	assert_int_equal(
		x402_journal_open(&options, NULL, &journal), X402_ERR_STORE);
	assert_int_equal(unlink(path), 0);
}

static void test_journal_where_others_may_write_refused(void **state)
{
	struct house *house = *state;
	struct x402_journal_options options = {.path = house->path};
	struct x402_errinfo info = {{0}};
	struct x402_journal *journal = NULL;
	char directory[96];

	snprintf(directory, sizeof(directory), "%s/a", house->directory);
	/* A sticky one too: another's "-wal" may be there already. */
	assert_int_equal(chmod(directory, 01777), 0);
	assert_int_equal(
		x402_journal_open(&options, &info, &journal), X402_ERR_POLICY);
	assert_null(journal);
	assert_non_null(strstr(info.text, "directory"));
	assert_int_equal(chmod(directory, 0700), 0);
	assert_int_equal(x402_journal_open(&options, &info, &journal), X402_OK);
	x402_journal_close(journal);
}

static void test_journal_default_place_is_the_users(void **state)
{
	struct house *house = *state;
	struct x402_journal *journal = NULL;
	struct stat stat_;
	char path[160];

	/* The file of the house, by each of the three names. */
	assert_int_equal(setenv("X402_JOURNAL", house->path, 1), 0);
	assert_int_equal(x402_journal_open(NULL, NULL, &journal), X402_OK);
	x402_journal_close(journal);
	assert_int_equal(unsetenv("X402_JOURNAL"), 0);
	assert_int_equal(setenv("XDG_DATA_HOME", house->directory, 1), 0);
	assert_int_equal(x402_journal_open(NULL, NULL, &journal), X402_OK);
	x402_journal_close(journal);
	snprintf(path, sizeof(path), "%s/x402", house->directory);
	assert_int_equal(stat(path, &stat_), 0);
	assert_int_equal(stat_.st_mode & 0777, 0700);
	snprintf(
		path, sizeof(path), "%s/x402/journal.sqlite", house->directory);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/x402", house->directory);
	assert_int_equal(rmdir(path), 0);
	/* Relative paths are nobody's home. */
	assert_int_equal(setenv("XDG_DATA_HOME", "relative", 1), 0);
	assert_int_equal(unsetenv("HOME"), 0);
	journal = NULL;
	assert_int_equal(
		x402_journal_open(NULL, NULL, &journal), X402_ERR_STORE);
	assert_null(journal);
	assert_int_equal(unsetenv("XDG_DATA_HOME"), 0);
}

static void test_journal_newer_schema_refused(void **state)
{
	struct house *house = *state;
	struct x402_journal_options options = {.path = house->path};
	struct x402_journal *journal = NULL;

	assert_int_equal(sqlite3_exec(house->journal->sqlite,
				 "PRAGMA user_version = 99", NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(
		x402_journal_open(&options, NULL, &journal), X402_ERR_VERSION);
}

static void test_reserve_unsigned_is_never_presented(void **state)
{
	struct house *house = *state;
	struct x402__journal_grant grant = reserve(house);

	assert_int_equal(grant.verdict, X402__JOURNAL_SIGN);
	assert_int_equal(state_of(house, grant.number), X402_PURCHASE_RESERVED);
	/* Its own process is still at work. */
	assert_refused(reserve(house), X402_CLIENT_CAUSE_BUSY);
	assert_int_equal(spent(house), 1000);
}

/* What the code looks for first, the file holds as well. */
static void test_journal_file_keeps_one_open_purchase_of_a_name(void **state)
{
	struct house *house = *state;
	int64_t one = buy(house);
	house->ask.id = "another";
	int64_t two = buy(house);
	char sql[160];

	assert_int_not_equal(one, two);
	snprintf(sql, sizeof(sql),
		"UPDATE purchases SET key = (SELECT key FROM purchases WHERE"
		" number = %lld) WHERE number = %lld",
		(long long)one, (long long)two);
	assert_int_equal(
		sqlite3_exec(house->journal->sqlite, sql, NULL, NULL, NULL) &
			0xff,
		SQLITE_CONSTRAINT);
}

static void test_reserve_open_purchase_gives_the_same_header(void **state)
{
	struct house *house = *state;
	int64_t number = buy(house);
	struct x402__journal_grant grant;

	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_UNKNOWN, 0, false),
		X402_OK);
	assert_int_equal(state_of(house, number), X402_PURCHASE_UNKNOWN);
	grant = reserve(house);
	assert_int_equal(grant.verdict, X402__JOURNAL_PRESENT);
	assert_int_equal(grant.number, number);
	assert_string_equal(grant.purchase.header_text, "c2lnbmVk");
	assert_int_equal(spent(house), 1000);
	x402_purchase_clear(&grant.purchase);
}

static void test_reserve_refused_purchase_is_still_open(void **state)
{
	struct house *house = *state;
	int64_t number = buy(house);
	struct x402__journal_grant grant;

	assert_int_equal(finish_as(house, number, X402_CLIENT_OUTCOME_REFUSED,
				 402, true),
		X402_OK);
	assert_int_equal(state_of(house, number), X402_PURCHASE_UNKNOWN);
	grant = reserve(house);
	assert_int_equal(grant.verdict, X402__JOURNAL_PRESENT);
	x402_purchase_clear(&grant.purchase);
}

static void test_reserve_expired_purchase_is_unresolved(void **state)
{
	struct house *house = *state;
	int64_t number = buy(house);
	struct x402__journal_grant grant;

	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_UNKNOWN, 0, false),
		X402_OK);
	house->ask.now_unix_ms = NOW + 301000;
	grant = reserve(house);
	assert_refused(grant, X402_CLIENT_CAUSE_UNRESOLVED);
	assert_int_equal(grant.number, number);
	/* The caller's word, and only that, signs anew; the money is still
	 * counted. */
	house->ask.buy_again = true;
	grant = reserve(house);
	assert_int_equal(grant.verdict, X402__JOURNAL_SIGN);
	assert_int_not_equal(grant.number, number);
	assert_int_equal(spent(house), 2000);
}

static void test_reserve_body_and_method_are_part_of_the_name(void **state)
{
	struct house *house = *state;
	int64_t first = buy(house);
	struct x402__journal_grant grant;

	house->ask.method = "POST";
	grant = reserve(house);
	assert_int_equal(grant.verdict, X402__JOURNAL_SIGN);
	assert_int_not_equal(grant.number, first);
	house->ask.body = x402_span_str("{}");
	grant = reserve(house);
	assert_int_equal(grant.verdict, X402__JOURNAL_SIGN);
	assert_refused(reserve(house), X402_CLIENT_CAUSE_BUSY);
}

static void test_reserve_id_is_bought_once(void **state)
{
	struct house *house = *state;
	int64_t number;

	house->ask.id = "order-7";
	number = buy(house);
	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_PAID, 200, true),
		X402_OK);
	assert_int_equal(state_of(house, number), X402_PURCHASE_DELIVERED);
	assert_refused(reserve(house), X402_CLIENT_CAUSE_ALREADY_PAID);
	house->ask.url = "https://shop.example/b";
	assert_refused(reserve(house), X402_CLIENT_CAUSE_CONFLICT);
	/* Another id for the same request is another purchase. */
	house->ask.id = "order-8";
	assert_int_equal(reserve(house).verdict, X402__JOURNAL_SIGN);
}

static void test_reserve_delivered_without_id_is_bought_again(void **state)
{
	struct house *house = *state;
	int64_t number = buy(house);

	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_PAID, 200, true),
		X402_OK);
	house->ask.once = true;
	assert_refused(reserve(house), X402_CLIENT_CAUSE_ALREADY_PAID);
	house->ask.once = false;
	assert_int_equal(reserve(house).verdict, X402__JOURNAL_SIGN);
}

static void test_reserve_undelivered_is_presented_never_signed(void **state)
{
	struct house *house = *state;
	int64_t number = buy(house);
	struct x402__journal_grant grant;

	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_PAID, 500, true),
		X402_OK);
	assert_int_equal(state_of(house, number), X402_PURCHASE_UNDELIVERED);
	house->ask.now_unix_ms = NOW + 3600000;
	grant = reserve(house);
	assert_int_equal(grant.verdict, X402__JOURNAL_PRESENT);
	x402_purchase_clear(&grant.purchase);
	/* Now it came: a refusal later would not take that back. */
	assert_int_equal(finish_as(house, number, X402_CLIENT_OUTCOME_UNKNOWN,
				 200, true),
		X402_OK);
	assert_int_equal(state_of(house, number), X402_PURCHASE_DELIVERED);
}

static void test_reserve_present_only_never_reserves(void **state)
{
	struct house *house = *state;

	house->ask.present_only = true;
	assert_refused(reserve(house), X402_CLIENT_CAUSE_UNRESOLVED);
	assert_int_equal(spent(house), 0);
}

static void test_reserve_loop_is_stopped(void **state)
{
	struct house *house = *state;

	play_clock(house->journal, "boot");
	house_elapsed_ms = 1000;
	house->ask.loop_max = 3;
	for (int i = 0; i < 3; i++)
		assert_int_equal(finish_as(house, buy(house),
					 X402_CLIENT_OUTCOME_PAID, 200, true),
			X402_OK);
	assert_refused(reserve(house), X402_CLIENT_CAUSE_LOOP);
	/* Other ids do not hide it. */
	house->ask.id = "another";
	assert_refused(reserve(house), X402_CLIENT_CAUSE_LOOP);
	house_elapsed_ms += 61000;
	assert_int_equal(reserve(house).verdict, X402__JOURNAL_SIGN);
}

static void test_sign_without_reservation_conflicts(void **state)
{
	struct house *house = *state;
	struct x402__journal_grant grant = reserve(house);
	struct x402_journal *other = open_at(house->path);

	/* Another handle cannot sign for ours, nor twice, nor for none. */
	assert_int_equal(
		sign_in(other, grant.number, &house->terms), X402_ERR_CONFLICT);
	assert_int_equal(
		sign_in(house->journal, 99, &house->terms), X402_ERR_CONFLICT);
	assert_int_equal(
		sign_in(house->journal, grant.number, &house->terms), X402_OK);
	assert_int_equal(sign_in(house->journal, grant.number, &house->terms),
		X402_ERR_CONFLICT);
	x402_journal_close(other);
}

static void test_finish_unsent_gives_the_money_back(void **state)
{
	struct house *house = *state;
	int64_t number = buy(house);

	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_NONE, 0, false),
		X402_OK);
	assert_int_equal(state_of(house, number), X402_PURCHASE_UNPAID);
	assert_int_equal(spent(house), 0);
	assert_int_equal(reserve(house).verdict, X402__JOURNAL_SIGN);
}

static void test_finish_of_a_lost_hold_changes_nothing(void **state)
{
	struct house *house = *state;
	int64_t number = buy(house);
	struct x402_journal *other = open_at(house->path);
	struct x402__journal_grant grant;

	/* Its time is over; another process presents the same header. */
	house->ask.now_unix_ms = NOW + 61000;
	grant = reserve_in(other, &house->ask);
	assert_int_equal(grant.verdict, X402__JOURNAL_PRESENT);
	assert_int_equal(grant.number, number);
	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_NONE, 0, false),
		X402_ERR_CONFLICT);
	assert_int_equal(state_of(house, number), X402_PURCHASE_UNKNOWN);
	x402_purchase_clear(&grant.purchase);
	x402_journal_close(other);
}

/* A child reserves (and signs), then dies without a word. */
static int64_t die_holding(struct house *house, bool sign)
{
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct x402_journal *journal = open_at(house->path);
		struct x402__journal_grant grant = reserve_in(
			journal, &house->ask);
		bool ok = grant.verdict == X402__JOURNAL_SIGN &&
			(!sign ||
				!sign_in(journal, grant.number, &house->terms));
		_exit(ok ? (int)grant.number : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) > 0);
	return WEXITSTATUS(status);
}

static void test_reserve_dead_holder_unsigned_is_released(void **state)
{
	struct house *house = *state;
	int64_t number = die_holding(house, false);
	struct x402__journal_grant grant;

	assert_int_equal(spent(house), 1000);
	grant = reserve(house);
	assert_int_equal(grant.verdict, X402__JOURNAL_SIGN);
	assert_int_equal(state_of(house, number), X402_PURCHASE_UNPAID);
	assert_int_equal(spent(house), 1000);
}

static void test_reserve_dead_holder_signed_is_presented(void **state)
{
	struct house *house = *state;
	int64_t number = die_holding(house, true);
	struct x402__journal_grant grant = reserve(house);

	assert_int_equal(grant.verdict, X402__JOURNAL_PRESENT);
	assert_int_equal(grant.number, number);
	x402_purchase_clear(&grant.purchase);
}

static void test_release_dead_leaves_the_living(void **state)
{
	struct house *house = *state;
	int64_t dead = die_holding(house, false);
	int64_t living;
	enum x402_err err;

	house->ask.url = "https://shop.example/mine";
	living = reserve(house).number;
	assert_int_equal(x402__journal_begin(house->journal, false), X402_OK);
	err = x402__journal_release_dead(house->journal, NOW);
	assert_int_equal(x402__journal_end(house->journal, err), X402_OK);
	assert_int_equal(state_of(house, dead), X402_PURCHASE_UNPAID);
	assert_int_equal(state_of(house, living), X402_PURCHASE_RESERVED);
	assert_int_equal(spent(house), 1000);
}

static enum x402_err resolve(
	struct house *house, int64_t number, enum x402__journal_proof proof)
{
	enum x402_err err;

	assert_int_equal(x402__journal_begin(house->journal, true), X402_OK);
	err = x402__journal_resolve(
		house->journal, number, proof, TX, NOW + 2000);
	return x402__journal_end(house->journal, err);
}

static void test_resolve_by_proof_ends_an_unknown(void **state)
{
	struct house *house = *state;
	int64_t dead = buy(house);
	int64_t paid;

	/* Held: its process may still hear of it. */
	assert_int_equal(resolve(house, dead, X402__JOURNAL_PROOF_DEAD),
		X402_ERR_NOT_FOUND);
	assert_int_equal(
		finish_as(house, dead, X402_CLIENT_OUTCOME_UNKNOWN, 0, false),
		X402_OK);
	assert_int_equal(
		resolve(house, dead, X402__JOURNAL_PROOF_NONE), X402_OK);
	assert_int_equal(state_of(house, dead), X402_PURCHASE_UNKNOWN);
	assert_int_equal(
		resolve(house, dead, X402__JOURNAL_PROOF_DEAD), X402_OK);
	assert_int_equal(state_of(house, dead), X402_PURCHASE_UNPAID);
	assert_int_equal(spent(house), 0);
	assert_int_equal(resolve(house, dead, X402__JOURNAL_PROOF_PAID),
		X402_ERR_NOT_FOUND);
	paid = buy(house);
	assert_int_equal(
		finish_as(house, paid, X402_CLIENT_OUTCOME_UNKNOWN, 0, false),
		X402_OK);
	assert_int_equal(
		resolve(house, paid, X402__JOURNAL_PROOF_PAID), X402_OK);
	assert_int_equal(state_of(house, paid), X402_PURCHASE_UNDELIVERED);
	assert_int_equal(spent(house), 1000);
}

static void test_abandon_frees_the_name_and_keeps_the_cost(void **state)
{
	struct house *house = *state;
	int64_t number = buy(house);

	assert_int_equal(
		finish_as(house, number, X402_CLIENT_OUTCOME_UNKNOWN, 0, false),
		X402_OK);
	assert_int_equal(
		x402_journal_abandon(house->journal, 77), X402_ERR_NOT_FOUND);
	assert_int_equal(x402_journal_abandon(house->journal, number), X402_OK);
	assert_int_equal(x402_journal_abandon(house->journal, number),
		X402_ERR_CONFLICT);
	assert_int_equal(reserve(house).verdict, X402__JOURNAL_SIGN);
	assert_int_equal(spent(house), 2000);
}

static bool count(void *user, const struct x402_purchase *purchase)
{
	int64_t *numbers = user;

	numbers[0]++;
	numbers[numbers[0]] = purchase->number;
	return true;
}

static void test_list_filters_and_pages(void **state)
{
	struct house *house = *state;
	int64_t numbers[8] = {0};
	struct x402_journal_filter filter = {.open_only = true};
	int64_t a = buy(house);
	int64_t b;

	assert_int_equal(
		finish_as(house, a, X402_CLIENT_OUTCOME_PAID, 200, true),
		X402_OK);
	house->ask.correlation = "task";
	b = buy(house);
	assert_int_equal(
		x402_journal_list(house->journal, &filter, count, numbers),
		X402_OK);
	assert_int_equal(numbers[0], 1);
	assert_int_equal(numbers[1], b);
	numbers[0] = 0;
	filter = (struct x402_journal_filter){.newest_first = true, .limit = 1};
	assert_int_equal(
		x402_journal_list(house->journal, &filter, count, numbers),
		X402_OK);
	assert_int_equal(numbers[0], 1);
	assert_int_equal(numbers[1], b);
	numbers[0] = 0;
	filter.after_number = b;
	assert_int_equal(
		x402_journal_list(house->journal, &filter, count, numbers),
		X402_OK);
	assert_int_equal(numbers[1], a);
	numbers[0] = 0;
	filter = (struct x402_journal_filter){.correlation = "nobody"};
	assert_int_equal(
		x402_journal_list(house->journal, &filter, count, numbers),
		X402_OK);
	assert_int_equal(numbers[0], 0);
}

static void test_export_has_no_authorization_and_no_formula(void **state)
{
	struct house *house = *state;
	struct x402_buf csv = {0};
	struct x402_buf lines = {0};
	char *text;

	house->ask.url = "=cmd|' /C \"calc\"'!A0";
	(void)buy(house);
	assert_int_equal(x402_journal_export(
				 house->journal, NULL, X402_JOURNAL_CSV, &csv),
		X402_OK);
	text = x402_buf_take_str(&csv);
	assert_null(strstr(text, "c2lnbmVk"));
	assert_non_null(strstr(text, "\"'=cmd|' /C \"\"calc\"\"'!A0\""));
	assert_memory_equal(text, "number,created,", 15);
	free(text);
	assert_int_equal(x402_journal_export(house->journal, NULL,
				 X402_JOURNAL_NDJSON, &lines),
		X402_OK);
	text = x402_buf_take_str(&lines);
	assert_null(strstr(text, "c2lnbmVk"));
	assert_non_null(strstr(text, "\"usdMicros\":1000"));
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#define OPENERS 6

/* In a process of its own, as crawlers are, when the gate is opened. */
static pid_t open_when(const char *path, const int gate[2])
{
	struct x402_journal_options options = {.path = path};
	struct x402_journal *journal = NULL;
	struct x402_errinfo info = {{0}, {0}};
	pid_t child = fork();
	char byte;

	if (child != 0)
		return child;
	(void)close(gate[1]);
	while (read(gate[0], &byte, 1) > 0)
		;
	_exit(x402_journal_open(&options, &info, &journal) != X402_OK);
}

static void test_journal_that_many_make_at_once_opens_for_all(void **state)
{
	struct house *house = *state;

	for (unsigned round = 0; round < 20; round++) {
		char path[128];
		pid_t children[OPENERS];
		int gate[2];

		snprintf(path, sizeof(path), "%s/new-%u.sqlite",
			house->directory, round);
		assert_int_equal(pipe(gate), 0);
		for (unsigned i = 0; i < OPENERS; i++)
			children[i] = open_when(path, gate);
		(void)close(gate[0]);
		(void)close(gate[1]);
		for (unsigned i = 0; i < OPENERS; i++) {
			int status = -1;

			assert_int_equal(
				waitpid(children[i], &status, 0), children[i]);
			assert_int_equal(status, 0);
		}
		scratch_remove(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_journal_file_is_private),
		TEST(test_journal_others_may_read_refused),
		TEST(test_journal_symlink_refused),
		TEST(test_journal_where_others_may_write_refused),
		TEST(test_journal_default_place_is_the_users),
		TEST(test_journal_newer_schema_refused),
		TEST(test_journal_that_many_make_at_once_opens_for_all),
		TEST(test_reserve_unsigned_is_never_presented),
		TEST(test_journal_file_keeps_one_open_purchase_of_a_name),
		TEST(test_reserve_open_purchase_gives_the_same_header),
		TEST(test_reserve_refused_purchase_is_still_open),
		TEST(test_reserve_expired_purchase_is_unresolved),
		TEST(test_reserve_body_and_method_are_part_of_the_name),
		TEST(test_reserve_id_is_bought_once),
		TEST(test_reserve_delivered_without_id_is_bought_again),
		TEST(test_reserve_undelivered_is_presented_never_signed),
		TEST(test_reserve_present_only_never_reserves),
		TEST(test_reserve_loop_is_stopped),
		TEST(test_sign_without_reservation_conflicts),
		TEST(test_finish_unsent_gives_the_money_back),
		TEST(test_finish_of_a_lost_hold_changes_nothing),
		TEST(test_reserve_dead_holder_unsigned_is_released),
		TEST(test_reserve_dead_holder_signed_is_presented),
		TEST(test_release_dead_leaves_the_living),
		TEST(test_resolve_by_proof_ends_an_unknown),
		TEST(test_abandon_frees_the_name_and_keeps_the_cost),
		TEST(test_list_filters_and_pages),
		TEST(test_export_has_no_authorization_and_no_formula),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
