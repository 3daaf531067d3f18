/*
 * A client that runs for long: circuits, jitter, scores, counters and their
 * listener.
 */
#include "cmocka_house.h"
#include "operate_p.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct x402__breaker_rule rule = {.failures = 3, .open_ms = 1000};

static bool note_failure(
	struct x402__breaker *breaker, const char *host, int64_t now)
{
	return x402__breaker_note(breaker, host, false, &rule, now);
}

static void test_breaker_opens_after_failures_in_a_row(void **state)
{
	(void)state;
	struct x402__breaker breaker = {0};

	assert_false(note_failure(&breaker, "a", 0));
	assert_false(note_failure(&breaker, "a", 1));
	/* Not in a row. */
	assert_false(x402__breaker_note(&breaker, "a", true, &rule, 2));
	assert_false(note_failure(&breaker, "a", 3));
	assert_false(note_failure(&breaker, "a", 4));
	assert_true(x402__breaker_allows(&breaker, "a", 5));
	assert_true(note_failure(&breaker, "a", 5));
	assert_false(x402__breaker_allows(&breaker, "a", 6));
	assert_true(x402__breaker_allows(&breaker, "b", 6));
}

static void test_breaker_lets_one_request_find_out(void **state)
{
	(void)state;
	struct x402__breaker breaker = {0};

	for (int i = 0; i < 3; i++)
		(void)note_failure(&breaker, "a", i);
	assert_false(x402__breaker_allows(&breaker, "a", 1001));
	assert_true(x402__breaker_allows(&breaker, "a", 1002));
	assert_false(x402__breaker_allows(&breaker, "a", 1003));
	assert_true(note_failure(&breaker, "a", 1004));
	assert_false(x402__breaker_allows(&breaker, "a", 2003));
	assert_true(x402__breaker_allows(&breaker, "a", 2004));
	assert_false(x402__breaker_note(&breaker, "a", true, &rule, 2005));
	assert_true(x402__breaker_allows(&breaker, "a", 2006));
	assert_true(x402__breaker_allows(&breaker, "a", 2006));
}

static void test_breaker_negative_rule_never_opens(void **state)
{
	(void)state;
	struct x402__breaker breaker = {0};
	struct x402__breaker_rule never = {.failures = -1, .open_ms = 1000};

	for (int i = 0; i < 100; i++)
		assert_false(
			x402__breaker_note(&breaker, "a", false, &never, i));
	assert_true(x402__breaker_allows(&breaker, "a", 101));
}

static void test_breaker_many_hosts_forget_the_oldest(void **state)
{
	(void)state;
	struct x402__breaker breaker = {0};
	char host[32];

	for (int i = 0; i < 3; i++)
		(void)note_failure(&breaker, "first", 0);
	for (int i = 0; i < X402__BREAKER_HOSTS; i++) {
		snprintf(host, sizeof(host), "h%d", i);
		(void)note_failure(&breaker, host, 10 + i);
	}
	assert_int_equal(breaker.len, X402__BREAKER_HOSTS);
	assert_true(x402__breaker_allows(&breaker, "first", 20));
}

static void test_jitter_is_never_shorter(void **state)
{
	(void)state;
	bool longer = false;

	for (int i = 0; i < 200; i++) {
		uint64_t ms = x402__jitter(1000);

		assert_true(ms >= 1000 && ms <= 1500);
		longer |= ms > 1000;
	}
	assert_true(longer);
	assert_int_equal(x402__jitter(0), 0);
}

static void test_score_prefers_fresh_and_cheap(void **state)
{
	(void)state;
	struct x402_client_worth unknown = {.usd_micros = 1000};
	struct x402_client_worth fresh = {.age_s = 60, .usd_micros = 1000};
	struct x402_client_worth stale = {.age_s = 86400, .usd_micros = 1000};
	struct x402_client_worth dear = {.age_s = 86400, .usd_micros = 90000};
	struct x402_client_worth absurd = {.age_s = UINT64_MAX,
		.changes_s = UINT64_MAX,
		.usd_micros = UINT64_MAX};

	assert_int_equal(
		x402_client_score(&unknown), x402_client_score(&stale));
	assert_true(x402_client_score(&stale) > x402_client_score(&fresh));
	assert_true(x402_client_score(&stale) > x402_client_score(&dear));
	assert_true(x402_client_score(&absurd) >= 0);
}

static struct x402_client *make_client(void)
{
	struct x402_client *client = NULL;

	assert_int_equal(x402_client_new(NULL, &client), X402_OK);
	return client;
}

static void test_metrics_text_counts_calls(void **state)
{
	(void)state;
	struct x402_client *client = make_client();
	struct x402_client_request request = {.url = "ftp://a.example/"};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct x402_buf buf = {0};
	char *text;

	assert_int_not_equal(
		x402_client_fetch(client, &request, &response), X402_OK);
	x402_client_response_clear(&response);
	assert_int_equal(x402_client_metrics(client, &buf), X402_OK);
	text = x402_buf_take_str(&buf);
	assert_non_null(strstr(text,
		"x402_client_causes_total{cause=\"invalid_request\"} 1\n"));
	assert_non_null(strstr(text, "x402_client_in_flight 0\n"));
	assert_non_null(strstr(text, "x402_client_requests_total 0\n"));
	free(text);
	x402_client_free(client);
}

/* What the listener answers to these bytes, in static memory. */
static const char *scrape(uint16_t port, const char *request)
{
	static char text[16384];
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	size_t len = 0;
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL),
		strlen(request));
	while ((n = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fd);
	return text;
}

static void test_metrics_listener_answers_metrics_only(void **state)
{
	(void)state;
	struct x402_client *client = make_client();
	uint16_t port = 0;
	uint16_t again = 0;

	assert_int_equal(x402_client_metrics_listen(client, 0, &port), X402_OK);
	assert_int_not_equal(port, 0);
	assert_int_equal(x402_client_metrics_listen(client, 0, &again),
		X402_ERR_CONFLICT);
	assert_non_null(
		strstr(scrape(port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
			"200 OK"));
	assert_non_null(strstr(scrape(port, "GET / HTTP/1.1\r\n\r\n"), "404"));
	assert_non_null(
		strstr(scrape(port, "POST /metrics HTTP/1.1\r\n\r\n"), "404"));
	/* Its end does not wait for anybody. */
	x402_client_free(client);
}

static void test_metrics_port_in_use_is_an_error(void **state)
{
	(void)state;
	struct x402_client *a = make_client();
	struct x402_client *b = make_client();
	uint16_t port = 0;
	uint16_t none = 0;

	assert_int_equal(x402_client_metrics_listen(a, 0, &port), X402_OK);
	assert_int_equal(
		x402_client_metrics_listen(b, port, &none), X402_ERR_NETWORK);
	assert_int_equal(none, 0);
	x402_client_free(a);
	x402_client_free(b);
}

static void test_balances_need_a_payer_and_numbers(void **state)
{
	(void)state;
	struct x402_client *client = make_client();
	struct x402_client_balance balance = {.network = "eip155:84532"};

	assert_int_equal(
		x402_client_check_balances(client, &balance, 1), X402_ERR_KEY);
	x402_client_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_breaker_opens_after_failures_in_a_row),
		cmocka_unit_test(test_breaker_lets_one_request_find_out),
		cmocka_unit_test(test_breaker_negative_rule_never_opens),
		cmocka_unit_test(test_breaker_many_hosts_forget_the_oldest),
		cmocka_unit_test(test_jitter_is_never_shorter),
		cmocka_unit_test(test_score_prefers_fresh_and_cheap),
		cmocka_unit_test(test_metrics_text_counts_calls),
		cmocka_unit_test(test_metrics_listener_answers_metrics_only),
		cmocka_unit_test(test_metrics_port_in_use_is_an_error),
		cmocka_unit_test(test_balances_need_a_payer_and_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
