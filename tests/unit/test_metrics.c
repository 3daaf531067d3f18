/*
 * The page of metrics: its text form, and what it tells. A page is read back
 * line by line, as Prometheus would, so that a family that begins twice or a
 * histogram that does not add up fails here.
 */
#include "cmocka_house.h"

#include "ops/metrics.h"

#include <stdio.h>

static char *text_of(struct fac_page *page)
{
	char *text = x402_buf_take_str(&page->text);

	assert_non_null(text);
	return text;
}

static void assert_page(struct fac_page *page, const char *expected)
{
	char *text = text_of(page);

	assert_string_equal(text, expected);
	free(text);
}

/* ---- The text form. ---- */

static void family_begins_with_help_and_type(void **state)
{
	struct fac_page page = {0};

	(void)state;
	fac_page_family(&page, FAC_METRIC_COUNTER, "a_total", "What it is.");
	fac_page_u64(&page, NULL, 0);
	fac_page_family(&page, FAC_METRIC_GAUGE, "b", "Other.");
	fac_page_u64(&page, NULL, UINT64_MAX);
	assert_page(&page,
		"# HELP a_total What it is.\n# TYPE a_total counter\n"
		"a_total 0\n# HELP b Other.\n# TYPE b gauge\n"
		"b 18446744073709551615\n");
}

static void label_values_are_escaped(void **state)
{
	struct fac_labels labels = {.label = {{"x", "a\"b\\c\nd"}, {"y", ""}}};
	struct fac_page page = {.family = "f"};

	(void)state;
	fac_page_u64(&page, &labels, 1);
	assert_page(&page, "f{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 1\n");
}

static void times_are_told_in_seconds(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {{0, "f 0.000\n"}, {1, "f 0.001\n"}, {999, "f 0.999\n"},
		{1000, "f 1.000\n"}, {61234, "f 61.234\n"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fac_page page = {.family = "f"};
		fac_page_ms(&page, NULL, cases[i].ms);
		assert_page(&page, cases[i].text);
	}
}

static void amounts_are_told_whole(void **state)
{
	struct fac_page page = {.family = "f"};
	struct x402_u256 wei;

	(void)state;
	assert_int_equal(
		x402_u256_from_dec("123456789012345678901234567890", &wei), 0);
	fac_page_u256(&page, NULL, &wei);
	assert_page(&page, "f 123456789012345678901234567890\n");
}

static void histogram_sums_its_buckets_up_to_inf(void **state)
{
	static const uint64_t bounds[] = {5, 1500, 30000};
	static const uint64_t buckets[] = {2, 3, 0, 4};
	struct fac_histogram histogram = {.bounds = bounds,
		.bounds_len = 3,
		.buckets = buckets,
		.sum = 77};
	struct fac_labels labels = {.label = {{"x", "y"}}};
	struct fac_page page = {.family = "f"};

	(void)state;
	fac_page_histogram(&page, &labels, &histogram);
	assert_page(&page,
		"f_bucket{x=\"y\",le=\"5\"} 2\nf_bucket{x=\"y\",le=\"1500\"} "
		"5\n"
		"f_bucket{x=\"y\",le=\"30000\"} 5\n"
		"f_bucket{x=\"y\",le=\"+Inf\"} 9\nf_sum{x=\"y\"} 77\n"
		"f_count{x=\"y\"} 9\n");
	page = (struct fac_page){.family = "f"};
	histogram.in_ms = true;
	fac_page_histogram(&page, NULL, &histogram);
	assert_page(&page,
		"f_bucket{le=\"0.005\"} 2\nf_bucket{le=\"1.5\"} 5\n"
		"f_bucket{le=\"30\"} 5\n"
		"f_bucket{le=\"+Inf\"} 9\nf_sum 0.077\nf_count 9\n");
}

/* ---- Counting. ---- */

static void answers_are_counted_by_route_and_status(void **state)
{
	static struct fac_http_counts counts;

	(void)state;
	fac_counts_answer(NULL, FAC_ROUTE_VERIFY, 200, 1); /* nobody counts */
	fac_counts_answer(&counts, FAC_ROUTE_VERIFY, 200, 1);
	fac_counts_answer(&counts, FAC_ROUTE_VERIFY, 200, 30000);
	fac_counts_answer(&counts, FAC_ROUTE_VERIFY, 299, 30001);
	assert_int_equal(counts.answers[FAC_ROUTE_VERIFY][0], 2);
	/* A status that has no figure is one of the others. */
	assert_int_equal(
		counts.answers[FAC_ROUTE_VERIFY][FAC_COUNTED_STATUSES_LEN - 1],
		1);
	assert_int_equal(counts.answers[FAC_ROUTE_SETTLE][0], 0);
	assert_int_equal(counts.duration_buckets[FAC_ROUTE_VERIFY][0], 1);
	assert_int_equal(counts.duration_buckets[FAC_ROUTE_VERIFY]
						[FAC_DURATION_BOUNDS_LEN - 1],
		1);
	assert_int_equal(counts.duration_buckets[FAC_ROUTE_VERIFY]
						[FAC_DURATION_BOUNDS_LEN],
		1);
	assert_int_equal(counts.duration_ms[FAC_ROUTE_VERIFY], 60002);
}

/* ---- The whole page. ---- */

#define FAMILIES_MAX 128
struct reader {
	char names[FAMILIES_MAX][80];
	size_t len;
	char type[16];
	uint64_t last_bucket;
};

static void read_line(struct reader *reader, char *line)
{
	char name[80] = "";
	char *family = reader->names[reader->len ? reader->len - 1 : 0];

	if (sscanf(line, "# HELP %79s", name) == 1) {
		for (size_t i = 0; i < reader->len; i++)
			assert_string_not_equal(reader->names[i], name);
		assert_true(reader->len < FAMILIES_MAX);
		memcpy(reader->names[reader->len++], name, sizeof(name));
		assert_non_null(strchr(line + 7, ' ')); /* some help */
		return;
	}
	if (sscanf(line, "# TYPE %79s %15s", name, reader->type) == 2) {
		assert_string_equal(name, family);
		return;
	}
	/* A sample of the family that was begun, and of no other. */
	assert_int_equal(strncmp(line, family, strlen(family)), 0);
	char *rest = line + strlen(family);
	if (strcmp(reader->type, "histogram"))
		assert_non_null(strchr("{ ", *rest));
	else
		assert_int_equal(*rest, '_');
	if (!strcmp(reader->type, "counter")) {
		size_t len = strlen(family);
		assert_true(len > 6 && !strcmp(family + len - 6, "_total"));
	}
	char *value = strrchr(line, ' ');
	assert_non_null(value);
	assert_true(strlen(value + 1) &&
		strspn(value + 1, "0123456789.") == strlen(value + 1));
}

static char *write_page(const struct fac_metrics_view *view)
{
	struct fac_page page = {0};

	fac_metrics_write(view, &page.text);
	return text_of(&page);
}

static void read_page(const char *text)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	char *copy = strdup(text);
	char *rest = copy;
	char *line;

	assert_int_equal(text[strlen(text) - 1], '\n');
	while ((line = strsep(&rest, "\n")) && rest)
		read_line(reader, line);
	free(copy);
	free(reader);
}

static void fill_engine(struct fac_engine_stats *engine)
{
	struct fac_line_stats *line = &engine->lines[0];

	engine->recovered = true;
	engine->ends[FAC_PAYMENT_SETTLED] = 200;
	engine->ends[FAC_PAYMENT_REVERTED] = 1;
	engine->outcomes[FAC_SETTLE_PENDING] = 9;
	engine->batch_sizes[0] = 3;
	engine->batch_sizes[FAC_BATCH_BUCKETS - 1] = 1;
	engine->batches = 4;
	engine->batched_payments = 203;
	engine->gas_used = 9000000;
	engine->fee_raises = 2;
	engine->lines_len = 1;
	memcpy(line->network, "eip155:84532", 13);
	line->head = 77;
	line->head_age_ms = 1500;
	line->in_flight = 7;
	line->base_fee_wei = x402_u256_from_u64(1000000007);
	line->lanes_len = 2;
	for (size_t i = 0; i < 2; i++)
		line->lanes[i] = (struct fac_lane_stats){
			.ready = true, .leased = true, .oldest_ms = 2500};
	snprintf(line->lanes[0].signer, sizeof(line->lanes[0].signer),
		"0x1111111111111111111111111111111111111111");
	snprintf(line->lanes[1].signer, sizeof(line->lanes[1].signer),
		"0x2222222222222222222222222222222222222222");
	line->lanes[0].balance_known = true;
	line->lanes[0].runway_hours = 12;
	line->lanes[1].dry = true;
	assert_int_equal(x402_u256_from_dec("10000000000000000000000",
				 &line->lanes[0].balance_wei),
		X402_OK);
}

static void page_of_a_busy_daemon_reads_well(void **state)
{
	static struct fac_http_counts one;
	static struct fac_http_counts two;
	struct fac_http_counts *http[] = {&one, &two};
	static struct fac_engine_stats engine;
	struct fac_metrics_chain chains[] = {
		{.network = "eip155:84532", .usable = true},
		{.network = "eip155:8453"}};
	struct fac_metrics_view view = {.version = "1.2.3",
		.started_unix_ms = 1700000000123,
		.uptime_ms = 61000,
		.resident_bytes = 4096,
		.cpu_ms = 5,
		.http = http,
		.http_len = 2,
		.engine = &engine,
		.chains = chains,
		.chains_len = 2};
	char *text;

	(void)state;
	fill_engine(&engine);
	fac_counts_answer(&one, FAC_ROUTE_SETTLE, 200, 700);
	fac_counts_answer(&two, FAC_ROUTE_SETTLE, 200, 7);
	fac_counts_answer(&two, FAC_ROUTE_OTHER, 404, 0);
	atomic_store(&one.open, 3);
	atomic_store(&two.open, 4);
	text = write_page(&view);
	read_page(text);
	assert_non_null(
		strstr(text, "\nx402_build_info{version=\"1.2.3\"} 1\n"));
	assert_non_null(
		strstr(text, "\nprocess_start_time_seconds 1700000000.123\n"));
	assert_non_null(strstr(text,
		"\nx402_http_requests_total{route=\"/settle\",status=\"200\"} "
		"2\n"));
	assert_non_null(strstr(text,
		"\nx402_http_requests_total{route=\"other\",status=\"404\"} "
		"1\n"));
	assert_non_null(
		strstr(text, "_bucket{route=\"/settle\",le=\"+Inf\"} 2\n"));
	assert_non_null(strstr(text, "_sum{route=\"/settle\"} 0.707\n"));
	assert_non_null(strstr(text, "\nx402_http_requests_open 7\n"));
	assert_non_null(strstr(
		text, "\nx402_chain_usable{network=\"eip155:8453\"} 0\n"));
	/* What nobody asked for has no series. */
	assert_null(strstr(text, "route=\"/verify\""));
	free(text);
}

static void page_of_what_is_not_known_is_left_out(void **state)
{
	struct fac_metrics_view view = {.version = "0"};
	char *text = write_page(&view);

	(void)state;
	read_page(text);
	assert_null(strstr(text, "x402_http"));
	assert_null(strstr(text, "x402_engine"));
	assert_null(strstr(text, "x402_chain"));
	assert_null(strstr(text, "resident"));
	free(text);
}

static void hooks_are_told_by_result(void **state)
{
	struct fac_hook_stats hook = {.name = "shop",
		.delivered = 4,
		.failed = 3,
		.skipped = 2,
		.dead = 1};
	struct fac_metrics_view view = {
		.version = "0", .hooks = &hook, .hooks_len = 1};
	char *text = write_page(&view);

	(void)state;
	read_page(text);
	assert_non_null(strstr(text,
		"\nx402_webhook_deliveries_total{hook=\"shop\",result="
		"\"delivered\"} 4\n"));
	assert_non_null(strstr(text, "result=\"failed\"} 3\n"));
	assert_non_null(strstr(text, "result=\"put_off\"} 2\n"));
	assert_non_null(
		strstr(text, "\nx402_webhook_dead_total{hook=\"shop\"} 1\n"));
	free(text);
}

#define LANE(n)                                                               \
	"{network=\"eip155:84532\",signer=\"0x" n n n n n n n n n n n n n n n \
		n n n n n "\"} "

static void engine_is_told_by_chain_and_signer(void **state)
{
	static struct fac_engine_stats engine;
	struct fac_metrics_view view = {.version = "0", .engine = &engine};
	static const char *const lines[] = {
		"x402_payments_ended_total{state=\"settled\"} 200\n",
		"x402_payments_ended_total{state=\"expired\"} 0\n",
		"x402_settle_answers_total{outcome=\"pending\"} 9\n",
		"x402_batch_payments_bucket{le=\"1\"} 3\n",
		"x402_batch_payments_bucket{le=\"100\"} 3\n",
		"x402_batch_payments_bucket{le=\"+Inf\"} 4\n",
		"x402_batch_payments_sum 203\n",
		"x402_batch_payments_count 4\n",
		"x402_gas_used_total 9000000\n",
		"x402_fee_raises_total 2\n",
		"x402_chain_head{network=\"eip155:84532\"} 77\n",
		"x402_chain_head_age_seconds{network=\"eip155:84532\"} 1.500\n",
		"x402_chain_base_fee_wei{network=\"eip155:84532\"} "
		"1000000007\n",
		"x402_transactions_in_flight{network=\"eip155:84532\"} 7\n",
		"x402_lane_oldest_seconds" LANE("22") "2.500\n",
		"x402_signer_dry" LANE("11") "0\n",
		"x402_signer_dry" LANE("22") "1\n",
		"x402_signer_balance_wei" LANE(
			"11") "10000000000000000000000\n",
		"x402_signer_runway_hours" LANE("11") "12\n",
	};
	char *text;

	(void)state;
	fill_engine(&engine);
	text = write_page(&view);
	read_page(text);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("no line %s", lines[i]);
	/* What is not known is not made up. */
	assert_null(strstr(text, "x402_signer_balance_wei" LANE("22")));
	assert_null(strstr(text, "x402_signer_runway_hours" LANE("22")));
	/* States in between are no ends. */
	assert_null(strstr(text, "state=\"signed\""));
	free(text);
}

static void store_is_told_with_its_commits(void **state)
{
	struct fac_store_stats store = {.commits = 5,
		.failures = 1,
		.verbs = 500,
		.commit_ms = 90,
		.commit_buckets = {3, 1, [FAC_STORE_BUCKETS - 1] = 1},
		.queued = 7,
		.oldest_ms = 12};
	struct fac_metrics_view view = {.version = "0", .store = &store};
	static const char *const lines[] = {
		"x402_store_commit_seconds_bucket{le=\"0.001\"} 3\n",
		"x402_store_commit_seconds_bucket{le=\"2\"} 4\n",
		"x402_store_commit_seconds_bucket{le=\"+Inf\"} 5\n",
		"x402_store_commit_seconds_sum 0.090\n",
		"x402_store_failures_total 1\n",
		"x402_store_verbs_total 500\n",
		"x402_store_queued 7\n",
		"x402_store_lag_seconds 0.012\n",
	};
	char *text = write_page(&view);

	(void)state;
	read_page(text);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("no line %s", lines[i]);
	free(text);
}

/* ---- Endpoints. ---- */

static void endpoints_of_all_threads_add_up(void **state)
{
	struct fac_chain_stats one = {.endpoints_len = 2};
	struct fac_chain_stats two = {.endpoints_len = 2};
	struct fac_chain_stats closed = {0};
	struct fac_metrics_chain chain = {
		"eip155:1", true, {.endpoints_len = 0}};
	struct fac_metrics_view view = {
		.version = "0", .chains = &chain, .chains_len = 1};
	char *text;

	(void)state;
	memcpy(one.endpoints[0].host, "a.example", 10);
	memcpy(one.endpoints[1].host, "a.example", 10);
	two = one;
	one.endpoints[0].requests = 5;
	one.endpoints[0].latency[0] = 4;
	one.endpoints[0].latency[FAC_CHAIN_LATENCY_BUCKETS - 1] = 1;
	one.endpoints[0].latency_sum_ms = 7000;
	one.endpoints[0].head = 100;
	one.endpoints[1].head = 90;
	two.endpoints[0].requests = 2;
	two.endpoints[0].transport_faults = 1;
	/* This thread has not heard of a block for long. */
	two.endpoints[0].head = 50;
	two.endpoints[1].head = 98;
	two.endpoints[1].resting = true;
	fac_metrics_add_chain(&chain.rpc, &one);
	fac_metrics_add_chain(&chain.rpc, &closed);
	fac_metrics_add_chain(&chain.rpc, &two);
	text = write_page(&view);
	read_page(text);
#define FIRST  "{network=\"eip155:1\",endpoint=\"1:a.example\"} "
#define SECOND "{network=\"eip155:1\",endpoint=\"2:a.example\"} "
	assert_non_null(strstr(text, "\nx402_rpc_requests_total" FIRST "7\n"));
	assert_non_null(strstr(text, "\nx402_rpc_requests_total" SECOND "0\n"));
	assert_non_null(strstr(text, "\nx402_rpc_faults_total" FIRST "1\n"));
	assert_non_null(strstr(text, "\nx402_rpc_head" FIRST "100\n"));
	assert_non_null(strstr(text, "\nx402_rpc_lag_blocks" SECOND "2\n"));
	assert_non_null(strstr(text, "\nx402_rpc_resting" FIRST "0\n"));
	assert_non_null(strstr(text, "\nx402_rpc_resting" SECOND "1\n"));
	assert_non_null(
		strstr(text, "x402_rpc_latency_seconds_sum" FIRST "7.000\n"));
	assert_non_null(
		strstr(text, "x402_rpc_latency_seconds_count" FIRST "5\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(family_begins_with_help_and_type),
		cmocka_unit_test(label_values_are_escaped),
		cmocka_unit_test(times_are_told_in_seconds),
		cmocka_unit_test(amounts_are_told_whole),
		cmocka_unit_test(histogram_sums_its_buckets_up_to_inf),
		cmocka_unit_test(answers_are_counted_by_route_and_status),
		cmocka_unit_test(page_of_a_busy_daemon_reads_well),
		cmocka_unit_test(page_of_what_is_not_known_is_left_out),
		cmocka_unit_test(endpoints_of_all_threads_add_up),
		cmocka_unit_test(hooks_are_told_by_result),
		cmocka_unit_test(engine_is_told_by_chain_and_signer),
		cmocka_unit_test(store_is_told_with_its_commits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
