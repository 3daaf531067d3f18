/*
 * The catalogue's endpoint: its pages, its posts, and crowds that look at it.
 * The rooms behind it are played by api_house.h.
 */
#include "api_house.h"

static void discovery_list_reads_its_filters(void **state)
{
	(void)state;
	struct fac_resource row = {.url = (char *)"https://a.example/x",
		.type = (char *)"http",
		.x402_version = 2,
		.accepts_json = (char *)"[{\"scheme\":\"exact\"}]",
		.updated_ms = 1763710000123};
	struct fac_store_reply page = {
		.resources = &row, .resources_len = 1, .total = 41};
	ask("GET",
		"/discovery/resources?network=eip155%3A84532&limit=1&offset=40",
		NULL);
	assert_string_equal(world.query.network, "eip155:84532");
	assert_int_equal(world.query.limit, 1);
	assert_int_equal(world.query.offset, 40);
	assert_null(world.query.type);
	world.store_to.done(world.store_to.user, &page);
	assert_string_equal(world.body,
		"{\"x402Version\":2,\"items\":[{\"resource\":"
		"\"https://a.example/x\",\"type\":\"http\",\"x402Version\":2,"
		"\"accepts\":[{\"scheme\":\"exact\"}],\"lastUpdated\":"
		"\"2025-11-21T07:26:40.123Z\",\"metadata\":{\"settled\":false,"
		"\"provenance\":\"unproven\"}}],\"pagination\":{\"limit\":1,"
		"\"offset\":40,\"total\":41}}");
}

static void discovery_list_refuses_bad_pages(void **state)
{
	(void)state;
	static const char *const queries[] = {"limit=0", "limit=101",
		"limit=", "limit=+1", "limit=1&limit=1", "offset=-1",
		"offset=9223372036854775808", "type=%", "type=%2", "type=%zz",
		"type=%00", "payTo=a&payTo=b"};
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		char path[128];
		snprintf(path, sizeof(path), "/discovery/resources?%s",
			queries[i]);
		ask("GET", path, NULL);
		if (world.status != 400)
			fail_msg("%s: %d", queries[i], world.status);
	}
}

/* A page may have 3 MiB, and whoever settles has the same memory. */
static void discovery_lists_are_made_two_at_a_time(void **state)
{
	(void)state;
	struct fac_store_reply page = {.total = 0};
	for (unsigned i = 0; i < 2 + 128; i++)
		ask("GET", "/discovery/resources", NULL);
	assert_int_equal(world.lists, 2);
	assert_int_equal(app.open_requests, 130);
	ask("GET", "/discovery/resources", NULL);
	assert_int_equal(world.status, 503);
	assert_header("Retry-After: 2");
	for (unsigned i = 0; i < 130; i++) {
		/* Each that is made has the next one asked for. */
		assert_int_equal(world.lists, i + 2 < 130 ? i + 2 : 130);
		world.list_to[i].done(world.list_to[i].user, &page);
		assert_int_equal(world.status, 200);
	}
	ask("GET", "/discovery/resources", NULL);
	assert_int_equal(world.lists, 131);
	world.store_to.done(world.store_to.user, &page);
	assert_int_equal(world.status, 200);
}

static void discovery_lists_that_wait_end_with_the_daemon(void **state)
{
	(void)state;
	struct fac_store_reply bad = {.err = X402_ERR_STORE};
	for (unsigned i = 0; i < 3; i++)
		ask("GET", "/discovery/resources", NULL);
	app.stopping = true;
	for (unsigned i = 0; i < 2; i++)
		world.list_to[i].done(world.list_to[i].user, &bad);
	assert_int_equal(world.lists, 2);
	assert_int_equal(app.open_requests, 0);
}

static void discovery_post_lists_as_unproven(void **state)
{
	(void)state;
	struct fac_store_reply fresh = {.claimed = true};
	ask("POST", "/discovery/resources",
		"{\"x402Version\":2,\"resource\":{\"url\":"
		"\"https://a.example/x\"},\"accepts\":[" REQUIREMENTS
		"]," BAZAAR "}");
	assert_int_equal(world.puts, 1);
	assert_false(world.put_settled);
	world.store_to.done(world.store_to.user, &fresh);
	assert_int_equal(world.status, 201);
}

static void discovery_post_can_be_off(void **state)
{
	(void)state;
	app.settings.discovery_post = false;
	ask("POST", "/discovery/resources", "{}");
	assert_int_equal(world.status, 403);
	assert_int_equal(world.puts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		API_TEST(discovery_list_reads_its_filters),
		API_TEST(discovery_list_refuses_bad_pages),
		API_TEST(discovery_lists_are_made_two_at_a_time),
		API_TEST(discovery_lists_that_wait_end_with_the_daemon),
		API_TEST(discovery_post_lists_as_unproven),
		API_TEST(discovery_post_can_be_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
