/*
 * The resolver against a name server of the test's on loopback, which answers,
 * is silent, lies, or is slow, as each test has it. No time passes for that: a
 * question's timer runs out when the server has been silent on it, and not
 * otherwise, however slow the machine is.
 */
#include "dns_house.h"
#include "uv/resolver_p.h"

#include <stdio.h>

#define GUARD_MS   30000
#define FOREVER_MS 86400000

struct server {
	uv_udp_t udp;
	struct sockaddr_storage address;
	char text[64]; /* "127.0.0.1:port" */
	unsigned asked;
	/* So many questions go unanswered first. */
	unsigned silent;
	/* An answer to another question goes before each. */
	bool strays;
	/* The name of every address, and the address of every name; "" for
	 * none. */
	const char *name;
	const char *ip;
};

struct house {
	uv_loop_t loop;
	struct server server;
	struct x402__resolver *resolver;
	unsigned told;
	char last[X402__DNS_NAME_SIZE];
	unsigned wanted; /* how many ends to wait for */
	uv_timer_t guard;
};

/* The resolver's, of the question that was asked last. */
static struct {
	uv_timer_t *timer;
	uv_timer_cb cb;
} asked_last;

int __real_uv_timer_start(
	uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(
	uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);

int __wrap_uv_timer_start(
	uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
	/* The end of what is known already. */
	if (timeout == 0)
		return __real_uv_timer_start(timer, cb, timeout, repeat);
	asked_last.timer = timer;
	asked_last.cb = cb;
	return __real_uv_timer_start(timer, cb, FOREVER_MS, repeat);
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	static char room[X402__DNS_MESSAGE_SIZE];

	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(room, sizeof(room));
}

/* The question's name, as text. */
static void question_name(const uint8_t *message, char *ret_name)
{
	const uint8_t *at = message + 12;
	size_t len = 0;

	for (; *at; at += *at + 1) {
		memcpy(ret_name + len, at + 1, *at);
		len += *at;
		ret_name[len++] = '.';
	}
	ret_name[len - 1] = '\0';
}

static void reply(struct server *server, const struct sockaddr *to, uint16_t id,
	const char *name, enum x402__dns_type type)
{
	const char *data = type == X402__DNS_PTR ? server->name : server->ip;
	const struct dns_record record = {"", type, 300, data};
	struct x402_buf buf = {0};
	uv_buf_t out;

	dns_put_answer(&buf, id, *data ? 0x8180 : 0x8183, name, type, &record,
		*data ? 1 : 0);
	out = uv_buf_init((char *)buf.ptr, (unsigned)buf.len);
	assert_int_equal(
		uv_udp_try_send(&server->udp, &out, 1, to), (int)buf.len);
	x402_buf_clear(&buf);
}

static void on_question(uv_udp_t *udp, ssize_t len, const uv_buf_t *buf,
	const struct sockaddr *from, unsigned flags)
{
	struct server *server = udp->data;
	const uint8_t *message = (const uint8_t *)buf->base;
	char name[300];
	uint16_t id;
	enum x402__dns_type type;

	(void)flags;
	if (len < 17 || !from)
		return;
	server->asked++;
	if (server->silent) {
		server->silent--;
		__real_uv_timer_start(asked_last.timer, asked_last.cb, 1, 0);
		return;
	}
	question_name(message, name);
	id = (uint16_t)(message[0] << 8 | message[1]);
	type = (enum x402__dns_type)message[len - 3];
	if (server->strays) {
		reply(server, from, (uint16_t)(id + 1), name, type);
		reply(server, from, id, "stray.example", type);
	}
	reply(server, from, id, name, type);
}

static void on_guard(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("nobody was told");
}

static void open_house(struct house *house, const char *name, const char *ip)
{
	struct sockaddr_in any;
	int size = sizeof(house->server.address);
	struct sockaddr_in *bound =
		(struct sockaddr_in *)&house->server.address;

	memset(house, 0, sizeof(*house));
	house->server.name = name;
	house->server.ip = ip;
	assert_int_equal(uv_loop_init(&house->loop), 0);
	assert_int_equal(uv_udp_init(&house->loop, &house->server.udp), 0);
	house->server.udp.data = &house->server;
	assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &any), 0);
	assert_int_equal(uv_udp_bind(&house->server.udp,
				 (const struct sockaddr *)&any, 0),
		0);
	assert_int_equal(uv_udp_getsockname(&house->server.udp,
				 (struct sockaddr *)bound, &size),
		0);
	assert_int_equal(
		uv_udp_recv_start(&house->server.udp, on_buffer, on_question),
		0);
	snprintf(house->server.text, sizeof(house->server.text), "127.0.0.1:%u",
		ntohs(bound->sin_port));
	assert_int_equal(x402__resolver_new(&house->loop, house->server.text,
				 &house->resolver),
		X402_OK);
	uv_timer_init(&house->loop, &house->guard);
	__real_uv_timer_start(&house->guard, on_guard, GUARD_MS, 0);
}

static void close_house(struct house *house)
{
	x402__resolver_close(house->resolver);
	uv_close((uv_handle_t *)&house->server.udp, NULL);
	uv_close((uv_handle_t *)&house->guard, NULL);
	assert_int_equal(uv_run(&house->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&house->loop), 0);
}

static void on_told(void *user, const char *name)
{
	struct house *house = user;

	house->told++;
	snprintf(house->last, sizeof(house->last), "%s", name);
	if (house->told >= house->wanted)
		uv_stop(&house->loop);
}

static void ask(struct house *house, const char *address)
{
	unsigned before = house->told;

	assert_true(
		x402__resolver_ask(house->resolver, address, on_told, house));
	/* Never within the call. */
	assert_int_equal(house->told, before);
	house->wanted++;
}

static void wait_all(struct house *house)
{
	if (house->told < house->wanted)
		uv_run(&house->loop, UV_RUN_DEFAULT);
	assert_int_equal(house->told, house->wanted);
}

static void test_resolver_tells_a_confirmed_name_and_keeps_it(void **state)
{
	struct house house;

	(void)state;
	open_house(&house, "a.good.example", "192.0.2.7");
	ask(&house, "192.0.2.7");
	wait_all(&house);
	assert_string_equal(house.last, "a.good.example");
	assert_int_equal(house.server.asked, 2);
	ask(&house, "192.0.2.7");
	wait_all(&house);
	assert_string_equal(house.last, "a.good.example");
	assert_int_equal(house.server.asked, 2);
	close_house(&house);
}

static void test_resolver_believes_no_name_of_another_address(void **state)
{
	struct house house;

	(void)state;
	open_house(&house, "crawl.googlebot.com", "66.249.66.1");
	ask(&house, "198.51.100.66");
	wait_all(&house);
	assert_string_equal(house.last, "");
	close_house(&house);
}

static void test_resolver_asks_once_for_all_who_wait(void **state)
{
	struct house house;

	(void)state;
	open_house(&house, "a.good.example", "192.0.2.7");
	for (int i = 0; i < 100; i++)
		ask(&house, "192.0.2.7");
	wait_all(&house);
	assert_int_equal(house.server.asked, 2);
	close_house(&house);
}

static void test_resolver_asks_again_when_nobody_answers(void **state)
{
	struct house house;

	(void)state;
	open_house(&house, "a.good.example", "192.0.2.7");
	house.server.silent = 1;
	ask(&house, "192.0.2.7");
	wait_all(&house);
	assert_string_equal(house.last, "a.good.example");
	assert_int_equal(house.server.asked, 3);
	close_house(&house);
}

static void test_resolver_gives_up_on_a_dead_server(void **state)
{
	struct house house;

	(void)state;
	open_house(&house, "a.good.example", "192.0.2.7");
	house.server.silent = 1000;
	ask(&house, "192.0.2.7");
	wait_all(&house);
	assert_string_equal(house.last, "");
	assert_int_equal(house.server.asked, 2);
	close_house(&house);
}

static void test_resolver_waits_strays_out(void **state)
{
	struct house house;

	(void)state;
	open_house(&house, "a.good.example", "192.0.2.7");
	house.server.strays = true;
	ask(&house, "192.0.2.7");
	wait_all(&house);
	assert_string_equal(house.last, "a.good.example");
	close_house(&house);
}

static void test_resolver_what_is_no_address_has_no_name(void **state)
{
	static const char *const bad[] = {"", "unix", "a.good.example"};
	struct house house;

	(void)state;
	open_house(&house, "a.good.example", "192.0.2.7");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ask(&house, bad[i]);
		wait_all(&house);
		assert_string_equal(house.last, "");
	}
	assert_int_equal(house.server.asked, 0);
	close_house(&house);
}

/* Strangers who say that they are a crawler, from many addresses. */
static void test_resolver_lookups_at_once_are_bounded(void **state)
{
	struct house house;
	char ip[32];

	(void)state;
	open_house(&house, "a.good.example", "192.0.2.7");
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(ip, sizeof(ip), "10.0.%u.%u", i >> 8, i & 255);
		ask(&house, ip);
	}
	wait_all(&house);
	assert_true(house.server.asked <= 2 * X402__LOOKUPS_MAX);
	/* Those beyond were not asked, and so nothing is known of them. */
	house.server.ip = "10.0.3.231";
	ask(&house, "10.0.3.231");
	wait_all(&house);
	assert_string_equal(house.last, "a.good.example");
	close_house(&house);
}

static void test_resolver_close_tells_who_waits(void **state)
{
	struct house house;

	(void)state;
	open_house(&house, "a.good.example", "192.0.2.7");
	house.server.silent = 1000;
	ask(&house, "192.0.2.7");
	ask(&house, "192.0.2.8");
	close_house(&house);
	assert_int_equal(house.told, 2);
	assert_string_equal(house.last, "");
}

static void test_resolver_servers_are_read(void **state)
{
	static const char *const bad[] = {"", "127.0.0.1", ":53", "a:53",
		"127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:5x",
		"::1:53:", "[::1]"};
	static const char *const good[] = {"127.0.0.1:53", "[::1]:5353"};
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402__resolver *resolver = NULL;

		if (x402__resolver_new(&loop, bad[i], &resolver) !=
			X402_ERR_SYNTAX)
			fail_msg("%s", bad[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct x402__resolver *resolver = NULL;

		assert_int_equal(
			x402__resolver_new(&loop, good[i], &resolver), X402_OK);
		x402__resolver_close(resolver);
	}
	x402__resolver_close(NULL);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_resolver_tells_a_confirmed_name_and_keeps_it),
		cmocka_unit_test(
			test_resolver_believes_no_name_of_another_address),
		cmocka_unit_test(test_resolver_asks_once_for_all_who_wait),
		cmocka_unit_test(test_resolver_asks_again_when_nobody_answers),
		cmocka_unit_test(test_resolver_gives_up_on_a_dead_server),
		cmocka_unit_test(test_resolver_waits_strays_out),
		cmocka_unit_test(test_resolver_what_is_no_address_has_no_name),
		cmocka_unit_test(test_resolver_lookups_at_once_are_bounded),
		cmocka_unit_test(test_resolver_close_tells_who_waits),
		cmocka_unit_test(test_resolver_servers_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
