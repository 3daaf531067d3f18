/*
 * What tests of many transfers share: a small shop in a thread of this process,
 * a buyer, and a journal.
 */
#ifndef SHOP_HOUSE_H
#define SHOP_HOUSE_H

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

static inline void put_base64(struct x402_buf *out, const char *text)
{
	x402_base64_encode(x402_span_str(text), out);
}

static inline void write_402(
	struct shop *shop, const char *path, struct x402_buf *out)
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
			"\"feePayer\":\"" SVM_SPONSOR "\"%s}}]}",
			shop->port, path,
			strncmp(path, "/svm/memo", 9) == 0
				? ",\"memo\":\"order 7\""
				: "");
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

static inline void write_200(struct x402_buf *out)
{
	x402_buf_add_str(out,
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nPAYMENT-RESPONSE: ");
	put_base64(out,
		"{\"success\":true,\"transaction\":\"" TX
		"\",\"network\":\"eip155:84532\"}");
	x402_buf_add_str(out, "\r\n\r\npage");
}

static inline void answer(struct shop *shop, int fd)
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
static inline void *serve(void *user)
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

static inline void open_shop(struct shop *shop)
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

static inline void close_shop(struct shop *shop)
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

static inline void open_buyer(struct buyer *buyer, struct house *house,
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

static inline void close_buyer(struct buyer *buyer)
{
	x402_client_free(buyer->client);
	close_shop(&buyer->shop);
}

static inline void on_done(
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

static inline struct x402_client_request request_of(
	struct buyer *buyer, unsigned i, const char *path)
{
	snprintf(buyer->urls[i], sizeof(buyer->urls[i]),
		"http://127.0.0.1:%u%s", buyer->shop.port, path);
	return (struct x402_client_request){.url = buyer->urls[i]};
}

static inline void run(struct x402_client_multi *multi)
{
	while (x402_client_multi_pending(multi))
		assert_int_equal(x402_client_multi_run(multi, 1000), X402_OK);
}

#endif
