/*
 * The order in which the journal lists payments, over restarts of the shop, and
 * what becomes of a file of an earlier version, which knew it to the second.
 */
#include <sqlite3.h>

#include "journal_shop.h"

#define PURCHASES 9

/* The last letters of the articles, as they were listed or offered. */
struct order {
	char text[PURCHASES + 1];
	size_t len;
};

static void buy_letter(struct shop *shop, char letter, enum reach reach)
{
	char target[] = {
		'/', 'a', 'r', 't', 'i', 'c', 'l', 'e', 's', '/', letter, '\0'};
	char *payment = house_pay(&shop->house, target);

	go_for(shop, target, payment, reach);
	free(payment);
}

static void see_letter(void *user, const struct x402_journal_entry *entry)
{
	struct order *order = user;

	assert_true(order->len < PURCHASES);
	order->text[order->len++] = entry->url[strlen(entry->url) - 1];
}

static bool offer_letter(
	void *user, const struct x402_journal_entry *entry, bool confirm)
{
	if (!confirm)
		see_letter(user, entry);
	return false;
}

static void check_order(struct x402_provider_journal *journal,
	enum x402_journal_state state, const char *expected)
{
	struct order order = {{0}, 0};

	assert_int_equal(
		x402_provider_journal_each(journal, state, see_letter, &order),
		X402_OK);
	assert_string_equal(order.text, expected);
}

/* Three in each of three processes: one asked, one owed, one delivered. */
static void fill(struct shop *shop)
{
	static const enum reach reaches[] = {DELIVERED, SETTLED, ASKED};

	for (int i = 0; i < PURCHASES; i++) {
		if (i > 0 && i % 3 == 0)
			reopen(shop);
		buy_letter(shop, (char)('a' + i), reaches[i % 3]);
	}
}

static void test_journal_lists_in_the_order_of_asking(void **state)
{
	struct x402_provider_journal *reader = NULL;
	struct order order = {{0}, 0};
	struct shop shop;

	(void)state;
	open_shop(&shop);
	fill(&shop);
	check_order(shop.journal, 0, "abcdefghi");
	check_order(shop.journal, X402_JOURNAL_DELIVERED, "adg");
	check_order(shop.journal, X402_JOURNAL_OWED, "beh");
	check_order(shop.journal, X402_JOURNAL_UNKNOWN, "cfi");
	assert_int_equal(
		x402_provider_journal_open(shop.path, true, NULL, &reader),
		X402_OK);
	check_order(reader, 0, "abcdefghi");
	x402_provider_journal_close(reader);
	/* What is owed is offered in that order, once each. */
	reopen(&shop);
	assert_int_equal(x402_provider_journal_compensate(shop.journal,
				 UINT32_MAX, offer_letter, &order),
		X402_OK);
	assert_string_equal(order.text, "beh");
	close_shop(&shop);
	scratch_remove(shop.path);
}

/* ---- Files of earlier versions. ---- */

/* As version 2 made it, with seconds of our choice. */
#define AS_OF_2                                                              \
	"UPDATE payments SET asked = 1700000000 + number;"                   \
	"DROP INDEX payments_by_state; ALTER TABLE payments DROP COLUMN"     \
	" number; CREATE INDEX payments_by_state ON payments(state, asked);" \
	"PRAGMA user_version = 2"

static void change(const struct shop *shop, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(shop->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_journal_of_version_2_keeps_its_order(void **state)
{
	struct shop shop;

	(void)state;
	open_shop(&shop);
	fill(&shop);
	close_shop(&shop);
	change(&shop, AS_OF_2);
	/* Reports read it as it is. */
	assert_int_equal(x402_provider_journal_open(
				 shop.path, true, NULL, &shop.journal),
		X402_OK);
	check_order(shop.journal, 0, "abcdefghi");
	x402_provider_journal_close(shop.journal);
	open_at(&shop);
	check_order(shop.journal, 0, "abcdefghi");
	assert_int_equal(x402_provider_journal_prune(
				 shop.journal, UINT32_MAX, UINT32_MAX),
		X402_OK);
	shop.house.nonce = PURCHASES;
	/* Behind all of them; what nobody answered went with the rest. */
	buy_letter(&shop, 'z', ASKED);
	buy_letter(&shop, 'y', DELIVERED);
	check_order(shop.journal, 0, "behzy");
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_of_version_1_is_taken_over(void **state)
{
	struct shop shop;
	char *payment;

	(void)state;
	open_shop(&shop);
	payment = house_pay(&shop.house, "/articles/a");
	go(&shop, payment, DELIVERED);
	close_shop(&shop);
	change(&shop, AS_OF_2);
	change(&shop,
		"ALTER TABLE payments DROP COLUMN scope;"
		"DROP TABLE names; PRAGMA user_version = 1");
	assert_int_equal(x402_provider_journal_open(
				 shop.path, true, NULL, &shop.journal),
		X402_OK);
	check_order(shop.journal, 0, "a");
	x402_provider_journal_close(shop.journal);
	open_at(&shop);
	shop.house.nonce = 1;
	house_send(&shop.house, "/articles/a", payment);
	assert_int_equal(shop.house.decision.status, 402);
	assert_non_null(decision_header(
		&shop.house.decision, X402_HEADER_PAYMENT_RESPONSE));
	buy_letter(&shop, 'b', DELIVERED);
	check_order(shop.journal, X402_JOURNAL_DELIVERED, "ab");
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_of_another_version_is_refused(void **state)
{
	static const char *const changes[] = {"PRAGMA user_version = 4",
		"PRAGMA user_version = 0", "PRAGMA user_version = -1"};
	struct x402_errinfo info = {{0}, {0}};
	struct shop shop;

	(void)state;
	open_shop(&shop);
	close_shop(&shop);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		change(&shop, changes[i]);
		for (int only = 0; only < 2; only++) {
			shop.journal = NULL;
			assert_int_equal(x402_provider_journal_open(shop.path,
						 only, &info, &shop.journal),
				X402_ERR_STORE);
			assert_non_null(strstr(info.text, "expected 3"));
			assert_null(shop.journal);
		}
	}
	scratch_remove(shop.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_journal_lists_in_the_order_of_asking),
		cmocka_unit_test(test_journal_of_version_2_keeps_its_order),
		cmocka_unit_test(test_journal_of_version_1_is_taken_over),
		cmocka_unit_test(test_journal_of_another_version_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
