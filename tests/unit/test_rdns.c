/* The name of an address, confirmed forward, step by step; and the memory of
 * names. */
#include "dns_house.h"
#include "rdns_p.h"

#include <stdio.h>

#define NOW 1700000000u

static struct x402__rdns begun(const char *address)
{
	struct x402__rdns lookup;

	assert_true(x402__rdns_begin(address, &lookup));
	return lookup;
}

static enum x402__rdns_step answer(struct x402__rdns *lookup, unsigned flags,
	const struct dns_record *records, size_t len)
{
	struct x402_buf buf = {0};
	enum x402__rdns_step step;

	dns_put_answer(
		&buf, 9, flags, lookup->asked, lookup->type, records, len);
	step = x402__rdns_answered(lookup, 9, x402_buf_span(&buf));
	x402_buf_clear(&buf);
	return step;
}

static enum x402__rdns_step names(
	struct x402__rdns *lookup, const char *first, const char *second)
{
	const struct dns_record records[] = {{"", X402__DNS_PTR, 600, first},
		{"", X402__DNS_PTR, 600, second}};

	return answer(lookup, 0x8180, records, second ? 2 : 1);
}

static enum x402__rdns_step address(struct x402__rdns *lookup, const char *ip)
{
	const struct dns_record record = {"", lookup->type, 120, ip};

	return answer(lookup, 0x8180, &record, 1);
}

static void test_rdns_name_with_the_address_is_confirmed(void **state)
{
	static const char *const ips[] = {"192.0.2.7", "2001:db8::7"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ips); i++) {
		struct x402__rdns lookup = begun(ips[i]);

		assert_int_equal(lookup.type, X402__DNS_PTR);
		assert_int_equal(
			names(&lookup, "a.good.example", NULL), X402__RDNS_ASK);
		assert_string_equal(lookup.asked, "a.good.example");
		assert_int_equal(address(&lookup, ips[i]), X402__RDNS_NAMED);
		assert_string_equal(lookup.name, "a.good.example");
		assert_int_equal(lookup.ttl_s, 120);
	}
}

/* Anybody can give his own address the name of somebody else. */
static void test_rdns_name_with_another_address_is_nobody(void **state)
{
	struct x402__rdns lookup = begun("198.51.100.66");

	(void)state;
	assert_int_equal(
		names(&lookup, "crawl.googlebot.com", NULL), X402__RDNS_ASK);
	assert_int_equal(address(&lookup, "66.249.66.1"), X402__RDNS_NAMELESS);
	assert_string_equal(lookup.name, "");
}

static void test_rdns_of_several_names_the_confirmed_one_counts(void **state)
{
	struct x402__rdns lookup = begun("192.0.2.7");

	(void)state;
	assert_int_equal(names(&lookup, "lie.example.org", "true.example.org"),
		X402__RDNS_ASK);
	assert_int_equal(address(&lookup, "192.0.2.8"), X402__RDNS_ASK);
	assert_string_equal(lookup.asked, "true.example.org");
	assert_int_equal(address(&lookup, "192.0.2.7"), X402__RDNS_NAMED);
	assert_string_equal(lookup.name, "true.example.org");
}

static void test_rdns_no_name_is_nameless(void **state)
{
	struct x402__rdns lookup = begun("192.0.2.7");

	(void)state;
	assert_int_equal(answer(&lookup, 0x8183, NULL, 0), X402__RDNS_NAMELESS);
	lookup = begun("192.0.2.7");
	assert_int_equal(answer(&lookup, 0x8180, NULL, 0), X402__RDNS_NAMELESS);
	lookup = begun("192.0.2.7");
	assert_int_equal(names(&lookup, "a.example", NULL), X402__RDNS_ASK);
	assert_int_equal(answer(&lookup, 0x8183, NULL, 0), X402__RDNS_NAMELESS);
}

static void test_rdns_a_server_that_fails_is_no_answer(void **state)
{
	struct x402__rdns lookup = begun("192.0.2.7");

	(void)state;
	assert_int_equal(answer(&lookup, 0x8182, NULL, 0), X402__RDNS_FAILED);
	lookup = begun("192.0.2.7");
	assert_int_equal(x402__rdns_unanswered(&lookup), X402__RDNS_FAILED);
	/* One of two names: what the other one says may still name it... */
	lookup = begun("192.0.2.7");
	assert_int_equal(
		names(&lookup, "a.example", "b.example"), X402__RDNS_ASK);
	assert_int_equal(x402__rdns_unanswered(&lookup), X402__RDNS_ASK);
	assert_int_equal(address(&lookup, "192.0.2.7"), X402__RDNS_NAMED);
	/* ...but cannot say that there is none. */
	lookup = begun("192.0.2.7");
	assert_int_equal(
		names(&lookup, "a.example", "b.example"), X402__RDNS_ASK);
	assert_int_equal(answer(&lookup, 0x8182, NULL, 0), X402__RDNS_ASK);
	assert_int_equal(address(&lookup, "192.0.2.9"), X402__RDNS_FAILED);
}

static void test_rdns_strays_are_waited_out(void **state)
{
	struct x402__rdns lookup = begun("192.0.2.7");
	struct x402_buf buf = {0};

	(void)state;
	dns_put_answer(&buf, 10, 0x8180, lookup.asked, X402__DNS_PTR, NULL, 0);
	assert_int_equal(x402__rdns_answered(&lookup, 9, x402_buf_span(&buf)),
		X402__RDNS_WAIT);
	assert_int_equal(x402__rdns_answered(&lookup, 9, x402_span("x", 1)),
		X402__RDNS_WAIT);
	x402_buf_clear(&buf);
	assert_int_equal(names(&lookup, "a.example", NULL), X402__RDNS_ASK);
}

static void test_rdns_every_question_can_be_written(void **state)
{
	static const char *const ips[] = {"255.255.255.255", "::", "::1",
		"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"};
	static const char *const bad[] = {
		"", "unix", "1.2.3", "1.2.3.4.5", "::g", "1.2.3.4 "};
	uint8_t message[X402__DNS_MESSAGE_SIZE];
	struct x402__rdns lookup;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ips); i++) {
		lookup = begun(ips[i]);
		assert_true(x402__rdns_question(&lookup, 1, message) > 12);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(x402__rdns_begin(bad[i], &lookup));
}

/* ---- The memory. ---- */

static const char *known(
	const struct x402__rdns_memory *list, const char *ip, uint64_t now)
{
	struct x402__rdns lookup = begun(ip);
	const char *name = NULL;

	return x402__rdns_memory_find(list, lookup.ip16, now, &name) ? name
								     : NULL;
}

static void keep(struct x402__rdns_memory *list, const char *ip,
	const char *name, uint32_t ttl_s, enum x402__rdns_step step)
{
	struct x402__rdns lookup = begun(ip);

	lookup.ttl_s = ttl_s;
	snprintf(lookup.name, sizeof(lookup.name), "%s", name);
	x402__rdns_memory_keep(list, &lookup, step, NOW);
}

static void test_names_are_kept_for_their_time(void **state)
{
	static const struct {
		uint32_t ttl_s;
		enum x402__rdns_step step;
		uint32_t life_s;
	} rows[] = {{600, X402__RDNS_NAMED, 600}, {0, X402__RDNS_NAMED, 60},
		{86400, X402__RDNS_NAMED, 3600}, {9, X402__RDNS_NAMELESS, 600},
		{9, X402__RDNS_FAILED, 30}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct x402__rdns_memory *list = x402__rdns_memory_new(7);

		keep(list, "192.0.2.7", "a.example", rows[i].ttl_s,
			rows[i].step);
		assert_string_equal(
			known(list, "192.0.2.7", NOW + rows[i].life_s - 1),
			rows[i].step == X402__RDNS_NAMED ? "a.example" : "");
		assert_null(known(list, "192.0.2.7", NOW + rows[i].life_s));
		assert_null(known(list, "192.0.2.8", NOW));
		x402__rdns_memory_free(list);
	}
	x402__rdns_memory_free(NULL);
}

static void test_names_a_later_lookup_replaces_the_earlier(void **state)
{
	struct x402__rdns_memory *list = x402__rdns_memory_new(7);

	(void)state;
	keep(list, "192.0.2.7", "a.example", 600, X402__RDNS_NAMED);
	keep(list, "192.0.2.7", "", 600, X402__RDNS_NAMELESS);
	assert_string_equal(known(list, "192.0.2.7", NOW), "");
	x402__rdns_memory_free(list);
}

static void test_names_are_bounded(void **state)
{
	struct x402__rdns_memory *list = x402__rdns_memory_new(7);
	size_t kept = 0;
	char ip[32];

	(void)state;
	for (unsigned i = 0; i < 3 * X402__RDNS_MEMORY_MAX; i++) {
		snprintf(ip, sizeof(ip), "10.%u.%u.%u", i >> 16, i >> 8 & 255,
			i & 255);
		keep(list, ip, "a.example", 600, X402__RDNS_NAMED);
		assert_string_equal(known(list, ip, NOW), "a.example");
	}
	for (unsigned i = 0; i < 3 * X402__RDNS_MEMORY_MAX; i++) {
		snprintf(ip, sizeof(ip), "10.%u.%u.%u", i >> 16, i >> 8 & 255,
			i & 255);
		kept += known(list, ip, NOW) != NULL;
	}
	assert_true(kept <= X402__RDNS_MEMORY_MAX);
	assert_true(kept > X402__RDNS_MEMORY_MAX / 2);
	x402__rdns_memory_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rdns_name_with_the_address_is_confirmed),
		cmocka_unit_test(test_rdns_name_with_another_address_is_nobody),
		cmocka_unit_test(
			test_rdns_of_several_names_the_confirmed_one_counts),
		cmocka_unit_test(test_rdns_no_name_is_nameless),
		cmocka_unit_test(test_rdns_a_server_that_fails_is_no_answer),
		cmocka_unit_test(test_rdns_strays_are_waited_out),
		cmocka_unit_test(test_rdns_every_question_can_be_written),
		cmocka_unit_test(test_names_are_kept_for_their_time),
		cmocka_unit_test(
			test_names_a_later_lookup_replaces_the_earlier),
		cmocka_unit_test(test_names_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
