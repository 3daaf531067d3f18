/*
 * Many transfers on one thread, against a small shop in a thread of this
 * process: driven by the multi itself and by an event loop of the caller's,
 * with handles of both kinds, by priority, and ended in the middle.
 */
#include "shop_house.h"

static void test_multi_pays_many_and_journals_each(void **state)
{
	struct buyer buyer;
	struct x402_client_multi *multi = NULL;
	struct x402_client_request requests[30];

	open_buyer(&buyer, *state, NULL);
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	for (unsigned i = 0; i < 30; i++) {
		char path[16];
		struct x402_client_done done = {on_done, &buyer};

		snprintf(path, sizeof(path), "/%u", i);
		requests[i] = request_of(&buyer, i, path);
		assert_int_equal(
			x402_client_multi_fetch(multi, &requests[i], 0, done),
			X402_OK);
	}
	/* Nothing happens inside add. */
	assert_int_equal(buyer.shop.asked, 0);
	run(multi);
	assert_int_equal(buyer.paid, 30);
	assert_int_equal(buyer.shop.paid, 30);
	assert_int_equal(spent(buyer.house), 30000);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
}

static void test_multi_budget_holds_within_one_turn(void **state)
{
	struct buyer buyer;
	struct x402_client_multi *multi = NULL;
	struct x402_client_request requests[20];
	struct x402_budget budget = {
		.window = X402_BUDGET_TOTAL, .max_usd_micros = 7500};

	open_buyer(&buyer, *state, &budget);
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	for (unsigned i = 0; i < 20; i++) {
		char path[16];
		struct x402_client_done done = {on_done, &buyer};

		snprintf(path, sizeof(path), "/%u", i);
		requests[i] = request_of(&buyer, i, path);
		assert_int_equal(
			x402_client_multi_fetch(multi, &requests[i], 0, done),
			X402_OK);
	}
	run(multi);
	assert_int_equal(buyer.paid, 7);
	assert_int_equal(buyer.refused, 13);
	assert_int_equal(buyer.shop.paid, 7);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
}

static void test_multi_same_purchase_twice_is_paid_once(void **state)
{
	struct buyer buyer;
	struct x402_client_multi *multi = NULL;
	struct x402_client_request requests[2];

	open_buyer(&buyer, *state, NULL);
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	for (unsigned i = 0; i < 2; i++) {
		struct x402_client_done done = {on_done, &buyer};

		requests[i] = request_of(&buyer, i, "/same");
		requests[i].once = true;
		assert_int_equal(
			x402_client_multi_fetch(multi, &requests[i], 0, done),
			X402_OK);
	}
	run(multi);
	assert_int_equal(buyer.done, 2);
	assert_int_equal(buyer.paid, 1);
	assert_int_equal(buyer.shop.paid, 1);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
}

static int64_t ask_journal(struct house *house, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	assert_int_equal(sqlite3_prepare_v2(
				 house->journal->sqlite, sql, -1, &stmt, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int64_t value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

/* As a disk that is full is to SQLite: no page more than there are. */
static void limit_pages(struct house *house, int64_t pages)
{
	char sql[64];
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %lld",
		(long long)pages);
	assert_int_equal(ask_journal(house, sql), pages);
}

/* Wherever it fills up, what left was durable, and nothing is bought twice. */
static void test_multi_full_disk_sends_no_payment(void **state)
{
	struct house *house = *state;
	struct buyer buyer;
	struct x402_client_multi *multi = NULL;
	struct x402_client_multi_options options = {.max_in_flight = 1};
	struct x402_client_request requests[24];

	open_buyer(&buyer, house, NULL);
	assert_int_equal(
		x402_client_multi_new(buyer.client, &options, &multi), X402_OK);
	for (unsigned round = 0; round < 2; round++) {
		int64_t pages = ask_journal(house, "PRAGMA page_count");
		for (unsigned i = 0; i < 24; i++) {
			struct x402_client_done done = {on_done, &buyer};
			char path[16];

			/* Less and less room, then plenty. */
			limit_pages(house,
				round ? 100000 : pages + (int64_t)(i / 4));
			snprintf(path, sizeof(path), "/%u", i);
			requests[i] = request_of(&buyer, i, path);
			requests[i].once = true;
			assert_int_equal(x402_client_multi_fetch(
						 multi, &requests[i], 0, done),
				X402_OK);
			run(multi);
			assert_true(ask_journal(house,
					    "SELECT coalesce(sum(presented),0)"
					    " + sum(state = 1) FROM purchases"
					    " WHERE header_text <> ''") >=
				buyer.shop.paid);
		}
		assert_true(round || buyer.paid < 24);
	}
	assert_int_equal(ask_journal(house,
				 "SELECT count(*) FROM purchases"
				 " WHERE state = 2"),
		24);
	assert_int_equal(ask_journal(house,
				 "SELECT count(*) FROM (SELECT url FROM"
				 " purchases WHERE state <> 4 GROUP BY url"
				 " HAVING count(*) > 1)"),
		0);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
}

static void test_multi_higher_priority_begins_earlier(void **state)
{
	struct buyer buyer;
	struct x402_client_multi *multi = NULL;
	struct x402_client_multi_options options = {.max_in_flight = 1};
	static const char *const paths[] = {"/low", "/high", "/mid", "/mid2"};
	static const int64_t priorities[] = {-5, 9, 3, 3};
	static const char *const order[] = {"/high", "/mid", "/mid2", "/low"};
	struct x402_client_request requests[4];

	open_buyer(&buyer, *state, NULL);
	assert_int_equal(
		x402_client_multi_new(buyer.client, &options, &multi), X402_OK);
	for (unsigned i = 0; i < 4; i++) {
		struct x402_client_done done = {on_done, &buyer};

		requests[i] = request_of(&buyer, i, paths[i]);
		assert_int_equal(x402_client_multi_fetch(multi, &requests[i],
					 priorities[i], done),
			X402_OK);
	}
	run(multi);
	for (unsigned i = 0; i < 4; i++)
		assert_string_equal(buyer.shop.paths[i], order[i]);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
}

static void test_multi_full_queue_refuses(void **state)
{
	struct buyer buyer;
	struct x402_client_multi *multi = NULL;
	struct x402_client_multi_options options = {.max_queue = 2};
	struct x402_client_done done = {on_done, &buyer};
	struct x402_client_request request;

	open_buyer(&buyer, *state, NULL);
	request = request_of(&buyer, 0, "/a");
	assert_int_equal(
		x402_client_multi_new(buyer.client, &options, &multi), X402_OK);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			x402_client_multi_fetch(multi, &request, 0, done),
			X402_OK);
	assert_int_equal(x402_client_multi_fetch(multi, &request, 0, done),
		X402_ERR_TOO_LARGE);
	assert_int_equal(buyer.done, 0);
	/* What is queued is told at the end. */
	x402_client_multi_free(multi);
	assert_int_equal(buyer.cancelled, 2);
	assert_int_equal(buyer.shop.asked, 0);
	close_buyer(&buyer);
}

static void test_multi_freed_in_the_middle_tells_everybody(void **state)
{
	struct buyer buyer;
	struct x402_client_multi *multi = NULL;
	struct x402_client_done done = {on_done, &buyer};
	struct x402_client_request request;

	open_buyer(&buyer, *state, NULL);
	request = request_of(&buyer, 0, "/silent");
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	assert_int_equal(
		x402_client_multi_fetch(multi, &request, 0, done), X402_OK);
	for (int i = 0; i < 5; i++)
		assert_int_equal(x402_client_multi_run(multi, 10), X402_OK);
	assert_int_equal(buyer.done, 0);
	x402_client_multi_free(multi);
	assert_int_equal(buyer.done, 1);
	assert_int_equal(buyer.cancelled, 1);
	close_buyer(&buyer);
}

static void test_multi_deadline_of_a_request_ends_it(void **state)
{
	struct buyer buyer;
	struct x402_client_multi *multi = NULL;
	struct x402_client_done done = {on_done, &buyer};
	struct x402_client_request request;

	open_buyer(&buyer, *state, NULL);
	request = request_of(&buyer, 0, "/silent");
	request.timeout_ms = 50;
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	assert_int_equal(
		x402_client_multi_fetch(multi, &request, 0, done), X402_OK);
	run(multi);
	assert_int_equal(buyer.done, 1);
	assert_int_equal(buyer.paid, 0);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
}

/* What cannot be written down is not paid, and not signed for later. */
static void test_fetch_journal_that_cannot_be_written_pays_nothing(void **state)
{
	struct house *house = *state;
	struct x402_journal_options options = {
		.path = house->path, .busy_timeout_ms = 50};
	struct x402_journal *other = open_at(house->path);
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct x402_client_request request;
	struct buyer buyer;

	x402_journal_close(house->journal);
	assert_int_equal(
		x402_journal_open(&options, NULL, &house->journal), X402_OK);
	open_buyer(&buyer, house, NULL);
	request = request_of(&buyer, 0, "/a");
	assert_int_equal(x402__journal_begin(other, false), X402_OK);
	assert_int_equal(x402_client_fetch(buyer.client, &request, &response),
		X402_ERR_STORE);
	assert_int_equal(response.cause, X402_CLIENT_CAUSE_JOURNAL);
	assert_false(response.payment.attempted);
	assert_null(response.payment.header_text);
	assert_int_equal(buyer.shop.paid, 0);
	assert_int_equal(x402__journal_end(other, X402_OK), X402_OK);
	/* Once it can be, it is. */
	assert_int_equal(
		x402_client_fetch(buyer.client, &request, &response), X402_OK);
	assert_int_equal(buyer.shop.paid, 1);
	x402_client_response_clear(&response);
	x402_journal_close(other);
	close_buyer(&buyer);
}

static void test_fetch_paused_client_pays_nothing_new(void **state)
{
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct x402_client_request request;
	struct buyer buyer;

	open_buyer(&buyer, *state, NULL);
	request = request_of(&buyer, 0, "/a");
	x402_client_pause(buyer.client, true, "night");
	assert_true(x402_client_is_paused(buyer.client));
	assert_int_equal(x402_client_fetch(buyer.client, &request, &response),
		X402_ERR_POLICY);
	assert_int_equal(response.cause, X402_CLIENT_CAUSE_PAUSED);
	assert_int_equal(buyer.shop.paid, 0);
	x402_client_pause(buyer.client, false, "");
	assert_int_equal(
		x402_client_fetch(buyer.client, &request, &response), X402_OK);
	assert_int_equal(buyer.shop.paid, 1);
	x402_client_response_clear(&response);
	close_buyer(&buyer);
}

/* The caller's word at the last moment gives the money back. */
static enum x402_err decline(
	void *user, const struct x402_client_payment *payment)
{
	(void)user;
	(void)payment;
	return X402_ERR_POLICY;
}

static void test_fetch_declined_after_signing_is_not_paid(void **state)
{
	struct house *house = *state;
	struct x402_secret key;
	struct x402_client_options options = {.key = &key,
		.journal = house->journal,
		.on_payment_signed = decline};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct x402_client_request request;
	struct x402_client *client = NULL;
	struct buyer buyer;

	open_buyer(&buyer, house, NULL);
	request = request_of(&buyer, 0, "/a");
	assert_int_equal(x402_secret_parse(KEY, &key), X402_OK);
	assert_int_equal(x402_client_new(&options, &client), X402_OK);
	assert_int_equal(x402_client_fetch(client, &request, &response),
		X402_ERR_POLICY);
	assert_int_equal(response.cause, X402_CLIENT_CAUSE_DECLINED);
	assert_int_equal(buyer.shop.paid, 0);
	assert_int_equal(spent(house), 0);
	assert_int_equal(state_of(house, response.payment.purchase),
		X402_PURCHASE_UNPAID);
	x402_client_response_clear(&response);
	x402_client_free(client);
	close_buyer(&buyer);
}

/* ---- In an event loop of the caller's: poll(). ---- */

struct loop {
	struct pollfd fds[64];
	size_t len;
	int64_t timer_ms; /* when, -1: no timer */
};

static void on_socket(void *user, curl_socket_t fd, int what)
{
	struct loop *loop = user;
	size_t i = 0;

	while (i < loop->len && loop->fds[i].fd != fd)
		i++;
	if (what == CURL_POLL_REMOVE) {
		if (i < loop->len)
			loop->fds[i] = loop->fds[--loop->len];
		return;
	}
	assert_true(i < 64);
	if (i == loop->len)
		loop->len++;
	loop->fds[i] = (struct pollfd){.fd = fd,
		.events = (short)((what & CURL_POLL_IN ? POLLIN : 0) |
			(what & CURL_POLL_OUT ? POLLOUT : 0))};
}

static void on_timer(void *user, long timeout_ms)
{
	struct loop *loop = user;

	loop->timer_ms = timeout_ms < 0 ? -1 : x402__now_ms() + timeout_ms;
}

static void turn(struct loop *loop, struct x402_client_multi *multi)
{
	int64_t wait_ms = loop->timer_ms < 0 ? 1000
					     : loop->timer_ms - x402__now_ms();
	struct pollfd fds[64];
	size_t len = loop->len;

	memcpy(fds, loop->fds, sizeof(fds));
	assert_true(poll(fds, len, wait_ms < 0 ? 0 : (int)wait_ms) >= 0);
	for (size_t i = 0; i < len; i++) {
		int events = (fds[i].revents & POLLIN ? CURL_CSELECT_IN : 0) |
			(fds[i].revents & POLLOUT ? CURL_CSELECT_OUT : 0) |
			(fds[i].revents & (POLLERR | POLLHUP) ? CURL_CSELECT_ERR
							      : 0);

		if (events)
			assert_int_equal(x402_client_multi_action(
						 multi, fds[i].fd, events),
				X402_OK);
	}
	if (loop->timer_ms >= 0 && loop->timer_ms <= x402__now_ms()) {
		loop->timer_ms = -1;
		assert_int_equal(
			x402_client_multi_action(multi, CURL_SOCKET_TIMEOUT, 0),
			X402_OK);
	}
}

struct text {
	char bytes[64];
	size_t len;
};

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct text *text = user;

	assert_true(text->len + size * count < sizeof(text->bytes));
	memcpy(text->bytes + text->len, data, size * count);
	text->len += size * count;
	return size * count;
}

static void test_multi_lives_in_the_callers_loop(void **state)
{
	struct buyer buyer;
	struct loop loop = {.timer_ms = -1};
	struct x402_client_multi_options options = {
		.on_socket = on_socket, .on_timer = on_timer, .user = &loop};
	struct x402_client_multi *multi = NULL;
	struct text texts[8] = {{{0}, 0}};
	struct x402_client_easy easies[8];
	int mark = 7;

	open_buyer(&buyer, *state, NULL);
	assert_int_equal(
		x402_client_multi_new(buyer.client, &options, &multi), X402_OK);
	for (unsigned i = 0; i < 8; i++) {
		struct x402_client_done done = {on_done, &buyer};

		snprintf(buyer.urls[i], sizeof(buyer.urls[i]),
			"http://127.0.0.1:%u/e%u", buyer.shop.port, i);
		easies[i] = (struct x402_client_easy){.curl = curl_easy_init(),
			.on_body = on_body,
			.on_body_user = &texts[i]};
		curl_easy_setopt(easies[i].curl, CURLOPT_URL, buyer.urls[i]);
		curl_easy_setopt(easies[i].curl, CURLOPT_PRIVATE, &mark);
		assert_int_equal(x402_client_multi_add(multi, &easies[i], done),
			X402_OK);
	}
	assert_int_equal(
		x402_client_multi_run(multi, 0), X402_ERR_INVALID_ARGUMENT);
	while (x402_client_multi_pending(multi))
		turn(&loop, multi);
	assert_int_equal(buyer.paid, 8);
	assert_int_equal(buyer.shop.paid, 8);
	for (unsigned i = 0; i < 8; i++) {
		void *kept = NULL;

		assert_string_equal(texts[i].bytes, "page");
		curl_easy_getinfo(easies[i].curl, CURLINFO_PRIVATE, &kept);
		assert_ptr_equal(kept, &mark);
		curl_easy_cleanup(easies[i].curl);
	}
	x402_client_multi_free(multi);
	close_buyer(&buyer);
}

static void test_multi_half_a_loop_is_invalid(void **state)
{
	struct buyer buyer;
	struct x402_client_multi_options options = {.on_timer = on_timer};
	struct x402_client_multi *multi = NULL;

	open_buyer(&buyer, *state, NULL);
	assert_int_equal(x402_client_multi_new(buyer.client, &options, &multi),
		X402_ERR_INVALID_ARGUMENT);
	assert_null(multi);
	close_buyer(&buyer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_multi_pays_many_and_journals_each),
		TEST(test_multi_budget_holds_within_one_turn),
		TEST(test_multi_same_purchase_twice_is_paid_once),
		TEST(test_multi_higher_priority_begins_earlier),
		TEST(test_multi_full_queue_refuses),
		TEST(test_multi_full_disk_sends_no_payment),
		TEST(test_multi_freed_in_the_middle_tells_everybody),
		TEST(test_multi_deadline_of_a_request_ends_it),
		TEST(test_fetch_journal_that_cannot_be_written_pays_nothing),
		TEST(test_fetch_paused_client_pays_nothing_new),
		TEST(test_fetch_declined_after_signing_is_not_paid),
		TEST(test_multi_lives_in_the_callers_loop),
		TEST(test_multi_half_a_loop_is_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
