/* Networks and who the client is: what a stranger writes into a forwarded
 * header must not make him somebody else. */
#include "cmocka_house.h"

#include "networks_p.h"

static const char *const ours[] = {"10.0.0.0/8", "192.0.2.7", "2001:db8::/33"};

static void open_list(struct x402__networks *list)
{
	assert_int_equal(x402__networks_read(ours, ARRAY_LEN(ours), NULL, list),
		X402_OK);
}

static void test_networks_have_by_prefix(void **state)
{
	static const struct {
		const char *ip;
		bool in;
	} rows[] = {{"10.0.0.1", true}, {"10.255.255.255", true},
		{"11.0.0.0", false}, {"9.255.255.255", false},
		{"192.0.2.7", true}, {"192.0.2.6", false},
		{"2001:db8:7fff::1", true}, {"2001:db8:8000::1", false},
		{"::ffff:10.1.2.3", true}, {"::10.1.2.3", false},
		{"10.1.2.3.4", false}, {"", false}, {"unix", false},
		{"10.1.2.3 ", false}};
	struct x402__networks list;

	(void)state;
	open_list(&list);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (x402__networks_have(&list, rows[i].ip) != rows[i].in)
			fail_msg("%s", rows[i].ip);
	assert_false(x402__networks_have(&list, NULL));
	x402__networks_clear(&list);
}

static void test_networks_read_refuses_nonsense(void **state)
{
	static const char *const bad[] = {"", "10.0.0.0/33", "10.0.0.0/",
		"10.0.0.0/a", "10.0.0/8", "::1/129", "example.com",
		"1.2.3.4/8x", "::1/0008"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402__networks list;

		if (x402__networks_read(&bad[i], 1, NULL, &list) !=
			X402_ERR_SYNTAX)
			fail_msg("%s", bad[i]);
	}
}

static void test_networks_client_is_the_last_that_ours_saw(void **state)
{
	static const struct {
		const char *peer;
		const char *forwarded;
		const char *client;
	} rows[] = {
		{"203.0.113.9", "", "203.0.113.9"},
		/* A stranger's own header is not believed. */
		{"203.0.113.9", "10.0.0.1", "203.0.113.9"},
		{"10.0.0.1", "203.0.113.9", "203.0.113.9"},
		{"10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"},
		{"10.0.0.1", "198.51.100.1,203.0.113.9 , 10.0.0.2",
			"203.0.113.9"},
		{"10.0.0.1", "2001:DB8:ffff::1", "2001:db8:ffff::1"},
		{"10.0.0.1", "", "10.0.0.1"},
		{"10.0.0.1", "unknown", "10.0.0.1"},
		{"10.0.0.1", "203.0.113.9, _hidden", "10.0.0.1"},
		{"10.0.0.1", ",,,", "10.0.0.1"},
		{"::ffff:203.0.113.9", "", "203.0.113.9"},
		{"255.100.10.1", "", "255.100.10.1"},
		{"0.9.99.109", "", "0.9.99.109"},
	};
	struct x402__networks list;
	char client[X402__IP_TEXT_SIZE];

	(void)state;
	open_list(&list);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(x402__networks_client(&list, rows[i].peer,
			x402_span_str(rows[i].forwarded), client));
		assert_string_equal(client, rows[i].client);
	}
	assert_false(x402__networks_client(
		&list, "unix", x402_span_str("1.2.3.4"), client));
	assert_false(x402__networks_client(
		&list, NULL, x402_span_str("1.2.3.4"), client));
	x402__networks_clear(&list);
}

static void test_household_is_an_address_or_a_64(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool same;
	} rows[] = {{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"2001:db8::1", "2001:db8:0:0:ffff:1:2:3", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false}};
	uint8_t a16[16];
	uint8_t b16[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(x402__networks_household(rows[i].a, a16));
		assert_true(x402__networks_household(rows[i].b, b16));
		assert_int_equal(memcmp(a16, b16, 16) == 0, rows[i].same);
	}
	assert_false(x402__networks_household("", a16));
	assert_false(x402__networks_household("unix", a16));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks_have_by_prefix),
		cmocka_unit_test(test_networks_read_refuses_nonsense),
		cmocka_unit_test(
			test_networks_client_is_the_last_that_ours_saw),
		cmocka_unit_test(test_household_is_an_address_or_a_64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
