/*
 * Many transfers on one thread, against a small shop in a thread of this
 * process: driven by the multi itself and by an event loop of the caller's,
 * with handles of both kinds, by priority, and ended in the middle.
 */
#include "journal_house.h"
#include "svm_house.h"
#include "transfer_p.h"
#include "x402/operate.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#define KEY   "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
#define PATHS 64

/* ---- The shop. ---- */

struct shop {
	pthread_t thread;
	int fd;
	uint16_t port;
	pthread_mutex_t lock;
	/* First requests, in the order in which they came. */
	char paths[PATHS][16];
	unsigned asked;
	unsigned paid;
};

static void put_base64(struct x402_buf *out, const char *text)
{
	x402_base64_encode(x402_span_str(text), out);
}

static void write_402(struct shop *shop, const char *path, struct x402_buf *out)
{
	char text[1024];

	if (strncmp(path, "/svm", 4) == 0)
		snprintf(text, sizeof(text),
			"{\"x402Version\":2,\"resource\":{\"url\":"
			"\"http://127.0.0.1:%u%s\"},\"accepts\":[{\"scheme\":"
			"\"exact\",\"network\":\"" SVM_NETWORK
			"\",\"amount\":\"1000\",\"asset\":\"" SVM_USDC
			"\",\"payTo\":\"" SVM_PAYEE
			"\",\"maxTimeoutSeconds\":60,\"extra\":{"
			"\"feePayer\":\"" SVM_SPONSOR "\"}}]}",
			shop->port, path);
	else
		snprintf(text, sizeof(text),
			"{\"x402Version\":2,\"error\":\"pay\",\"resource\":{"
			"\"url\":"
			"\"http://127.0.0.1:%u%s\"},\"accepts\":[{\"scheme\":"
			"\"exact\",\"network\":\"eip155:84532\",\"amount\":"
			"\"1000\","
			"\"asset\":\"" USDC "\",\"payTo\":\"" PAYEE "\","
			"\"maxTimeoutSeconds\":300,\"extra\":{\"name\":"
			"\"USDC\","
			"\"version\":\"2\"}}]}",
			shop->port, path);
	x402_buf_add_str(out,
		"HTTP/1.1 402 Payment Required\r\n"
		"Content-Length: 3\r\nPAYMENT-REQUIRED: ");
	put_base64(out, text);
	x402_buf_add_str(out, "\r\n\r\nno\n");
}

static void write_200(struct x402_buf *out)
{
	x402_buf_add_str(out,
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nPAYMENT-RESPONSE: ");
	put_base64(out,
		"{\"success\":true,\"transaction\":\"" TX
		"\",\"network\":\"eip155:84532\"}");
	x402_buf_add_str(out, "\r\n\r\npage");
}

static void answer(struct shop *shop, int fd)
{
	char head[8192];
	char path[16] = "";
	size_t len = 0;
	struct x402_buf out = {0};

	while (len + 1 < sizeof(head)) {
		ssize_t n = recv(fd, head + len, sizeof(head) - 1 - len, 0);

		if (n <= 0)
			return;
		len += (size_t)n;
		head[len] = '\0';
		if (strstr(head, "\r\n\r\n"))
			break;
	}
	(void)sscanf(head, "GET %15s", path);
	if (strcmp(path, "/silent") == 0) {
		/* Until the other side has had enough. */
		(void)recv(fd, head, sizeof(head), 0);
		return;
	}
	pthread_mutex_lock(&shop->lock);
	bool pays = strstr(head, "PAYMENT-SIGNATURE:") != NULL;
	if (pays)
		shop->paid++;
	else if (shop->asked < PATHS)
		memcpy(shop->paths[shop->asked++], path, sizeof(path));
	pthread_mutex_unlock(&shop->lock);
	if (pays)
		write_200(&out);
	else
		write_402(shop, path, &out);
	(void)send(fd, out.ptr, out.len, MSG_NOSIGNAL);
	x402_buf_clear(&out);
}

/* One connection at a time, so that the order is the client's. */
static void *serve(void *user)
{
	struct shop *shop = user;

	for (;;) {
		int fd = accept(shop->fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		answer(shop, fd);
		close(fd);
	}
}

static void open_shop(struct shop *shop)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);

	memset(shop, 0, sizeof(*shop));
	pthread_mutex_init(&shop->lock, NULL);
	shop->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(shop->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(shop->fd, 64), 0);
	assert_int_equal(
		getsockname(shop->fd, (struct sockaddr *)&address, &len), 0);
	shop->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&shop->thread, NULL, serve, shop), 0);
}

static void close_shop(struct shop *shop)
{
	shutdown(shop->fd, SHUT_RDWR);
	pthread_join(shop->thread, NULL);
	close(shop->fd);
	pthread_mutex_destroy(&shop->lock);
}

/* ---- The buyer. ---- */

struct buyer {
	struct house *house;
	struct shop shop;
	struct x402_client *client;
	char urls[PATHS][64];
	unsigned paid;
	unsigned refused;
	unsigned cancelled;
	unsigned done;
};

static void open_buyer(struct buyer *buyer, struct house *house,
	const struct x402_budget *budget)
{
	struct x402_secret key;
	struct x402_client_options options = {.key = &key,
		.journal = house->journal,
		.budgets = budget,
		.budgets_len = budget ? 1 : 0};

	memset(buyer, 0, sizeof(*buyer));
	buyer->house = house;
	open_shop(&buyer->shop);
	assert_int_equal(x402_secret_parse(KEY, &key), X402_OK);
	assert_int_equal(x402_client_new(&options, &buyer->client), X402_OK);
}

static void close_buyer(struct buyer *buyer)
{
	x402_client_free(buyer->client);
	close_shop(&buyer->shop);
}

static void on_done(
	void *user, enum x402_err err, struct x402_client_response *response)
{
	struct buyer *buyer = user;

	buyer->done++;
	if (response->payment.outcome == X402_CLIENT_OUTCOME_PAID && !err)
		buyer->paid++;
	if (response->cause == X402_CLIENT_CAUSE_BUDGET)
		buyer->refused++;
	if (response->cause == X402_CLIENT_CAUSE_CANCELLED)
		buyer->cancelled++;
}

static struct x402_client_request request_of(
	struct buyer *buyer, unsigned i, const char *path)
{
	snprintf(buyer->urls[i], sizeof(buyer->urls[i]),
		"http://127.0.0.1:%u%s", buyer->shop.port, path);
	return (struct x402_client_request){.url = buyer->urls[i]};
}

static void run(struct x402_client_multi *multi)
{
	while (x402_client_multi_pending(multi))
		assert_int_equal(x402_client_multi_run(multi, 1000), X402_OK);
}

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

/* ---- Nodes. ---- */

/*
 * A node that listens and, without a text, never answers; with one, it says
 * so to every question.
 */
struct node {
	pthread_t thread;
	int fd;
	char url[64];
	const char *text;
};

static void *serve_node(void *user)
{
	struct node *node = user;
	char in[4096];
	char out[1024];

	for (;;) {
		int fd = accept(node->fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		/* Head and body of a question come at once. */
		(void)recv(fd, in, sizeof(in), 0);
		int len = snprintf(out, sizeof(out),
			"HTTP/1.1 200 OK\r\nConnection: close\r\n"
			"Content-Length: %zu\r\n\r\n%s",
			strlen(node->text), node->text);
		(void)send(fd, out, (size_t)len, MSG_NOSIGNAL);
		close(fd);
	}
}

static void open_node(struct node *node, const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);

	node->text = text;
	node->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(node->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(node->fd, 64), 0);
	assert_int_equal(
		getsockname(node->fd, (struct sockaddr *)&address, &len), 0);
	snprintf(node->url, sizeof(node->url), "http://127.0.0.1:%u",
		ntohs(address.sin_port));
	if (text)
		assert_int_equal(
			pthread_create(&node->thread, NULL, serve_node, node),
			0);
}

static void close_node(struct node *node)
{
	shutdown(node->fd, SHUT_RDWR);
	if (node->text)
		pthread_join(node->thread, NULL);
	close(node->fd);
}

/* A client that pays on both families, asking this node. */
static void open_svm_buyer(
	struct buyer *buyer, struct house *house, const struct node *node)
{
	struct x402_secret key;
	struct x402_svm_secret svm = svm_secret(2);
	struct x402_client_options options = {.key = &key,
		.svm_key = &svm,
		.svm_rpc_url = node->url,
		.journal = house->journal};

	memset(buyer, 0, sizeof(*buyer));
	buyer->house = house;
	open_shop(&buyer->shop);
	assert_int_equal(x402_secret_parse(KEY, &key), X402_OK);
	assert_int_equal(x402_client_new(&options, &buyer->client), X402_OK);
}

static void test_multi_silent_node_holds_nobody_else_up(void **state)
{
	struct buyer buyer;
	struct node node;
	struct x402_client_multi *multi = NULL;
	struct x402_client_request requests[9];
	struct x402_client_done done = {on_done, &buyer};

	open_node(&node, NULL);
	open_svm_buyer(&buyer, *state, &node);
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	for (unsigned i = 0; i < 9; i++) {
		char path[16];

		snprintf(path, sizeof(path), i ? "/%u" : "/svm%u", i);
		requests[i] = request_of(&buyer, i, path);
		assert_int_equal(x402_client_multi_fetch(
					 multi, &requests[i], i ? 0 : 1, done),
			X402_OK);
	}
	int64_t begun_ms = x402__now_ms();
	while (buyer.paid < 8 && x402__now_ms() - begun_ms < 9000)
		assert_int_equal(x402_client_multi_run(multi, 100), X402_OK);
	assert_int_equal(buyer.paid, 8);
	assert_int_equal(x402_client_multi_pending(multi), 1);
	x402_client_multi_free(multi);
	assert_int_equal(buyer.cancelled, 1);
	assert_int_equal(buyer.done, 9);
	close_buyer(&buyer);
	close_node(&node);
}

/* An answer for both questions: a mint of six decimals needs 82 bytes. */
#define MINT_DATA                                                      \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAG" \
	"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
#define NODE_ANSWER                                                    \
	"[{\"id\":1,\"result\":{\"value\":{\"blockhash\":\"" SVM_PAYEE \
	"\"}}},{\"id\":2,\"result\":{\"value\":{\"owner\":"            \
	"\"TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA\",\"data\":["   \
	"\"" MINT_DATA "\",\"base64\"]}}}]"

static void test_multi_node_that_answers_is_asked_once_for_many(void **state)
{
	struct buyer buyer;
	struct node node;
	struct x402_client_multi *multi = NULL;
	struct x402_client_request requests[5];
	struct x402_client_done done = {on_done, &buyer};
	struct x402_client_multi_options options = {.max_in_flight = 1};

	open_node(&node, NODE_ANSWER);
	open_svm_buyer(&buyer, *state, &node);
	assert_int_equal(
		x402_client_multi_new(buyer.client, &options, &multi), X402_OK);
	for (unsigned i = 0; i < 5; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/svm%u", i);
		requests[i] = request_of(&buyer, i, path);
		assert_int_equal(
			x402_client_multi_fetch(multi, &requests[i], 0, done),
			X402_OK);
		/* The first has asked; the rest find what it learnt. */
		run(multi);
		node.text = i == 0 ? "[]" : node.text;
	}
	assert_int_equal(buyer.done, 5);
	assert_int_equal(buyer.shop.paid, 5);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
	close_node(&node);
}

static void test_multi_node_that_says_nothing_signs_nothing(void **state)
{
	struct buyer buyer;
	struct node node;
	struct x402_client_multi *multi = NULL;
	struct x402_client_done done = {on_done, &buyer};

	open_node(&node, "[]");
	open_svm_buyer(&buyer, *state, &node);
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	struct x402_client_request request = request_of(&buyer, 0, "/svm");
	assert_int_equal(
		x402_client_multi_fetch(multi, &request, 0, done), X402_OK);
	run(multi);
	assert_int_equal(buyer.done, 1);
	assert_int_equal(buyer.paid, 0);
	assert_int_equal(buyer.shop.paid, 0);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
	close_node(&node);
}

/* ---- Balances. ---- */

static void on_balances(void *user)
{
	bool *told = user;

	assert_false(*told);
	*told = true;
}

#define TEN_UNITS                                                          \
	"{\"id\":1,\"result\":"                                            \
	"\"0x000000000000000000000000000000000000000000000000000000000000" \
	"000a\"}"

static void test_multi_balances_are_read_while_others_are_fetched(void **state)
{
	struct buyer buyer;
	struct node rich;
	struct node silent;
	bool told = false;
	struct x402_client_multi *multi = NULL;
	struct x402_client_done done = {on_done, &buyer};
	struct x402_client_balances_done balances_done = {on_balances, &told};

	open_buyer(&buyer, *state, NULL);
	open_node(&rich, TEN_UNITS);
	open_node(&silent, NULL);
	struct x402_client_balance balances[2] = {{.network = "eip155:84532",
							  .asset = USDC,
							  .rpc_url = rich.url,
							  .low = "11",
							  .pause_below = "10"},
		{.network = "eip155:84532",
			.asset = USDC,
			.rpc_url = silent.url}};
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	assert_int_equal(x402_client_multi_check_balances(
				 multi, balances, 2, balances_done),
		X402_OK);
	assert_int_equal(x402_client_multi_pending(multi), 1);
	struct x402_client_request request = request_of(&buyer, 0, "/a");
	assert_int_equal(
		x402_client_multi_fetch(multi, &request, 0, done), X402_OK);
	int64_t begun_ms = x402__now_ms();
	while ((!buyer.paid || !balances[0].units[0]) &&
		x402__now_ms() - begun_ms < 9000)
		assert_int_equal(x402_client_multi_run(multi, 100), X402_OK);
	assert_int_equal(buyer.paid, 1);
	assert_string_equal(balances[0].units, "10");
	assert_true(balances[0].is_low);
	assert_false(told); /* one is still out */
	x402_client_multi_free(multi);
	assert_true(told);
	assert_string_equal(balances[1].units, "");
	/* Ten are not below ten. */
	assert_false(x402_client_is_paused(buyer.client));
	close_node(&silent);
	close_node(&rich);
	close_buyer(&buyer);
}

static void test_multi_balance_below_its_threshold_pauses(void **state)
{
	struct buyer buyer;
	struct node node;
	bool told = false;
	struct x402_client_multi *multi = NULL;
	struct x402_client_balances_done done = {on_balances, &told};

	open_buyer(&buyer, *state, NULL);
	open_node(&node, TEN_UNITS);
	struct x402_client_balance balance = {.network = "eip155:84532",
		.asset = USDC,
		.rpc_url = node.url,
		.pause_below = "11"};
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	assert_int_equal(
		x402_client_multi_check_balances(multi, &balance, 0, done),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(
		x402_client_multi_check_balances(multi, &balance, 1, done),
		X402_OK);
	run(multi);
	assert_true(told);
	assert_true(x402_client_is_paused(buyer.client));
	balance.pause_below = "ten";
	assert_int_equal(
		x402_client_multi_check_balances(multi, &balance, 1, done),
		X402_ERR_INVALID_ARGUMENT);
	x402_client_multi_free(multi);
	close_node(&node);
	close_buyer(&buyer);
}

/* ---- The caller's score. ---- */

static int64_t turned = 1;

static int64_t score(void *user, void *done_user, int64_t priority)
{
	assert_null(user);
	assert_non_null(done_user);
	return turned * priority;
}

static void test_multi_score_orders_and_orders_anew(void **state)
{
	struct buyer buyer;
	struct x402_client_multi *multi = NULL;
	struct x402_client_multi_options options = {
		.max_in_flight = 1, .score = score};
	static const char *const paths[] = {"/1", "/2", "/3", "/4"};
	static const char *const order[] = {"/1", "/2", "/3", "/4"};
	struct x402_client_request requests[4];

	open_buyer(&buyer, *state, NULL);
	assert_int_equal(
		x402_client_multi_new(buyer.client, &options, &multi), X402_OK);
	turned = 1; /* the last one first ... */
	for (unsigned i = 0; i < 4; i++) {
		struct x402_client_done done = {on_done, &buyer};

		requests[i] = request_of(&buyer, i, paths[i]);
		assert_int_equal(x402_client_multi_fetch(
					 multi, &requests[i], (int64_t)i, done),
			X402_OK);
	}
	turned = -1; /* ... until the score has changed its mind */
	x402_client_multi_rescore(multi);
	run(multi);
	for (unsigned i = 0; i < 4; i++)
		assert_string_equal(buyer.shop.paths[i], order[i]);
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
		TEST(test_multi_freed_in_the_middle_tells_everybody),
		TEST(test_multi_deadline_of_a_request_ends_it),
		TEST(test_fetch_journal_that_cannot_be_written_pays_nothing),
		TEST(test_fetch_paused_client_pays_nothing_new),
		TEST(test_fetch_declined_after_signing_is_not_paid),
		TEST(test_multi_lives_in_the_callers_loop),
		TEST(test_multi_half_a_loop_is_invalid),
		TEST(test_multi_silent_node_holds_nobody_else_up),
		TEST(test_multi_node_that_answers_is_asked_once_for_many),
		TEST(test_multi_node_that_says_nothing_signs_nothing),
		TEST(test_multi_balances_are_read_while_others_are_fetched),
		TEST(test_multi_balance_below_its_threshold_pauses),
		TEST(test_multi_score_orders_and_orders_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
