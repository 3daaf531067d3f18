/*
 * Which addresses a client that is for public ones only may connect to.
 */
#include "cmocka_house.h"
#include "exchange_p.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static bool is_public(const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return x402__address_is_public((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return x402__address_is_public((struct sockaddr *)&v6);
}

static void test_address_inside_is_refused(void **state)
{
	(void)state;
	static const char *const inside[] = {"127.0.0.1", "127.255.255.255",
		"0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
		"192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8",
		"198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1",
		"::ffff:127.0.0.1", "::ffff:8.8.8.8", "fe80::1", "fc00::1",
		"fd12::1", "ff02::1", "64:ff9b::7f00:1",
		"2002:7f00:1::", "2001:0:7f00:1::"};

	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		if (is_public(inside[i]))
			fail_msg("%s is public", inside[i]);
}

static void test_address_outside_is_taken(void **state)
{
	(void)state;
	static const char *const outside[] = {"8.8.8.8", "172.15.0.1",
		"172.32.0.1", "100.63.255.255", "100.128.0.0", "192.169.0.1",
		"198.20.0.1", "223.255.255.255", "2606:4700::1111",
		"2001:4860:4860::8888", "2a00:1450::1"};

	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		if (!is_public(outside[i]))
			fail_msg("%s is not public", outside[i]);
}

static void test_address_of_another_family_is_refused(void **state)
{
	(void)state;
	struct sockaddr other = {.sa_family = AF_UNIX};

	assert_false(x402__address_is_public(&other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_inside_is_refused),
		cmocka_unit_test(test_address_outside_is_taken),
		cmocka_unit_test(test_address_of_another_family_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
