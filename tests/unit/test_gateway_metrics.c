/* The gateway's counters, and the page that Prometheus reads. */
#include "cmocka_house.h"

#include "gateway_metrics.h"

static const char *const patterns[] = {"GET /a/*", "/b\"\\\n"};

static char *page_of(const struct gw_metrics *metrics,
	const struct gw_metrics_upstream *upstreams, size_t len)
{
	const struct gw_metrics_now now = {.connections = 3,
		.requests = 2,
		.upstreams = upstreams,
		.upstreams_len = len};
	struct x402_buf text = {0};
	char *page;

	gw_metrics_write(metrics, &now, &text);
	page = x402_buf_take_str(&text);
	assert_non_null(page);
	return page;
}

static void has(const char *page, const char *line)
{
	const char *at = strstr(page, line);

	if (!at || (at != page && at[-1] != '\n') || at[strlen(line)] != '\n')
		fail_msg("no line %s in\n%s", line, page);
}

static void counts_stand_under_route_and_result(void **state)
{
	struct gw_metrics *metrics = gw_metrics_new(patterns, 2);
	char *page;

	(void)state;
	for (int i = 0; i < 3; i++)
		gw_metrics_request(metrics, 0, GW_RESULT_PAID, 1);
	gw_metrics_request(metrics, 1, GW_RESULT_CHALLENGED, 1);
	gw_metrics_request(metrics, SIZE_MAX, GW_RESULT_REFUSED, 1);
	gw_metrics_event(metrics, X402_GATE_EVENT_SETTLED);
	gw_metrics_bytes(metrics, 10, 20);
	gw_metrics_bytes(metrics, 1, 2);
	page = page_of(metrics, NULL, 0);
	has(page,
		"x402_gateway_requests_total{route=\"GET /a/*\","
		"result=\"paid\"} 3");
	has(page,
		"x402_gateway_requests_total{route=\"/b\\\"\\\\\\n\","
		"result=\"challenged\"} 1");
	has(page,
		"x402_gateway_requests_total{route=\"\","
		"result=\"refused\"} 1");
	has(page, "x402_gateway_payments_total{event=\"settled\"} 1");
	has(page, "x402_gateway_payments_total{event=\"undelivered\"} 0");
	has(page, "x402_gateway_received_bytes_total 11");
	has(page, "x402_gateway_sent_bytes_total 22");
	has(page, "x402_gateway_connections 3");
	has(page, "x402_gateway_requests_open 2");
	free(page);
	gw_metrics_free(metrics);
}

static void numbers_out_of_range_hurt_nobody(void **state)
{
	struct gw_metrics *metrics = gw_metrics_new(patterns, 2);
	char *page;

	(void)state;
	gw_metrics_request(metrics, 2, GW_RESULT_FREE, 1);
	gw_metrics_request(metrics, 3, GW_RESULT_FREE, 1);
	gw_metrics_request(metrics, 0, GW_RESULT_COUNT, 1);
	gw_metrics_event(metrics, (enum x402_gate_event)99);
	page = page_of(metrics, NULL, 0);
	has(page,
		"x402_gateway_requests_total{route=\"\","
		"result=\"free\"} 2");
	assert_null(strstr(page, "unknown"));
	free(page);
	gw_metrics_free(metrics);
	gw_metrics_free(NULL);
}

static void times_fall_into_their_buckets(void **state)
{
	struct gw_metrics *metrics = gw_metrics_new(NULL, 0);
	char *page;

	(void)state;
	gw_metrics_waited(metrics, 5);
	gw_metrics_waited(metrics, 6);
	gw_metrics_waited(metrics, 30000);
	gw_metrics_waited(metrics, 30001);
	page = page_of(metrics, NULL, 0);
	has(page, "x402_gateway_upstream_seconds_bucket{le=\"0.005\"} 1");
	has(page, "x402_gateway_upstream_seconds_bucket{le=\"0.01\"} 2");
	has(page, "x402_gateway_upstream_seconds_bucket{le=\"30\"} 3");
	has(page, "x402_gateway_upstream_seconds_bucket{le=\"+Inf\"} 4");
	has(page, "x402_gateway_upstream_seconds_sum 60.012");
	has(page, "x402_gateway_upstream_seconds_count 4");
	has(page, "x402_gateway_request_seconds_count 0");
	free(page);
	gw_metrics_free(metrics);
}

static void upstreams_show_their_state(void **state)
{
	struct gw_upstream_options options = GW_UPSTREAM_OPTIONS_INIT;
	struct gw_upstream_ticket ticket;
	struct gw_upstream_state one;
	struct gw_upstream_state two;
	const struct gw_metrics_upstream upstreams[] = {
		{"one", &one}, {"two", &two}};
	struct gw_metrics *metrics = gw_metrics_new(NULL, 0);
	uint32_t retry_ms;
	char *page;

	(void)state;
	options.failures = 1;
	gw_upstream_init(&options, 0, &one);
	gw_upstream_init(&options, 0, &two);
	assert_true(gw_upstream_begin(&two, 0, &ticket, &retry_ms));
	gw_upstream_end(&two, &ticket, GW_UPSTREAM_BAD, 0);
	page = page_of(metrics, upstreams, 2);
	has(page, "x402_gateway_upstream_up{upstream=\"one\"} 1");
	has(page, "x402_gateway_breaker{upstream=\"one\",state=\"closed\"} 1");
	has(page, "x402_gateway_breaker{upstream=\"one\",state=\"open\"} 0");
	has(page, "x402_gateway_breaker{upstream=\"two\",state=\"closed\"} 0");
	has(page, "x402_gateway_breaker{upstream=\"two\",state=\"open\"} 1");
	has(page, "x402_gateway_breaker_opened_total{upstream=\"two\"} 1");
	free(page);
	gw_metrics_free(metrics);
}

/* A family begins once, and its samples are together. */
static void every_family_begins_once(void **state)
{
	struct gw_metrics *metrics = gw_metrics_new(patterns, 2);
	char *page = page_of(metrics, NULL, 0);
	size_t families = 0;

	(void)state;
	for (const char *at = strstr(page, "# TYPE "); at;
		at = strstr(at + 1, "# TYPE ")) {
		char line[128];
		size_t len = strcspn(at, "\n");

		assert_true(len < sizeof(line));
		memcpy(line, at, len);
		line[len] = '\0';
		assert_null(strstr(at + 1, line));
		families++;
	}
	assert_int_equal(families, 11);
	free(page);
	gw_metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_stand_under_route_and_result),
		cmocka_unit_test(numbers_out_of_range_hurt_nobody),
		cmocka_unit_test(times_fall_into_their_buckets),
		cmocka_unit_test(upstreams_show_their_state),
		cmocka_unit_test(every_family_begins_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
