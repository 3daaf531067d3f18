/*
 * Open files: strangers' connections leave some for our own.
 */
#include "cmocka_house.h"

#include "run/files.h"

#include <sys/resource.h>

static struct fac_config config_of(unsigned workers, uint32_t max_connections)
{
	struct fac_config config = {.workers = workers,
		.max_connections = max_connections,
		.chains_len = 2};

	config.chains[0].rpc_urls_len = 2;
	config.chains[1].rpc_urls_len = 1;
	return config;
}

static void test_files_connections_are_as_configured_where_there_is_room(
	void **state)
{
	struct fac_config config = config_of(4, 4096);

	(void)state;
	assert_int_equal(fac_files_connections(&config, 65536), 4096);
}

static void test_files_connections_leave_room_for_our_own(void **state)
{
	/* 64, and 16 to each of 3 endpoints from each of 6 threads. */
	const uint64_t own = 64 + 16 * 3 * 6;
	struct fac_config config = config_of(4, 4096);

	(void)state;
	assert_int_equal(fac_files_connections(&config, 1024), 1024 - own);
	assert_int_equal(fac_files_connections(&config, own + 4096), 4096);
	assert_int_equal(fac_files_connections(&config, own + 4095), 4095);
}

static void test_files_connections_are_one_for_each_worker_at_least(
	void **state)
{
	struct fac_config config = config_of(4, 4096);

	(void)state;
	assert_int_equal(fac_files_connections(&config, 0), 4);
	assert_int_equal(fac_files_connections(&config, 353), 4);
	assert_int_equal(fac_files_connections(&config, 64 + 288 + 5), 5);
}

static void test_files_raise_takes_what_the_system_gives(void **state)
{
	struct rlimit before;
	struct rlimit low;
	struct rlimit after;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_true(fac_files_raise() > 64);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_true(after.rlim_cur > 64);
	assert_int_equal(after.rlim_max, before.rlim_max);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_files_connections_are_as_configured_where_there_is_room),
		cmocka_unit_test(test_files_connections_leave_room_for_our_own),
		cmocka_unit_test(
			test_files_connections_are_one_for_each_worker_at_least),
		cmocka_unit_test(test_files_raise_takes_what_the_system_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
