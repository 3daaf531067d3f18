/*
 * A shop that takes any payment at once: the server under the benchmark in
 * which the payer alone is to be measured. It checks nothing and settles
 * nothing.
 *
 *   bench-null-shop
 *
 * Says "url=http://127.0.0.1:PORT" and serves until standard input ends. A GET
 * without PAYMENT-SIGNATURE is answered with 402 and a price of 1,000 atomic
 * units on eip155:84532, one with it with a page and a receipt.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "x402/x402.h"

/* A request with a payment header is below 3 KiB. */
#define INPUT_MAX_BYTES 16384
#define EVENTS_MAX      64
#define PAGE            "A page that was paid for.\n"

struct client {
	int fd;
	size_t len;
	char input[INPUT_MAX_BYTES];
};

static int epoll_fd;
static unsigned port;

static void die(const char *what)
{
	fprintf(stderr, "bench-null-shop: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put_header(struct x402_buf *out, const char *name, const char *json)
{
	x402_buf_printf(out, "%s: ", name);
	x402_base64_encode(x402_span_str(json), out);
	x402_buf_add_str(out, "\r\n");
}

static void write_402(struct x402_buf *out, const char *path, size_t len)
{
	char json[1024];

	snprintf(json, sizeof(json),
		"{\"x402Version\":2,\"error\":\"Payment required\","
		"\"resource\":{\"url\":\"http://127.0.0.1:%u%.*s\","
		"\"description\":\"A page\",\"mimeType\":\"text/plain\"},"
		"\"accepts\":[{\"scheme\":\"exact\",\"network\":"
		"\"eip155:84532\",\"amount\":\"1000\",\"asset\":"
		"\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\",\"payTo\":"
		"\"0x90F79bf6EB2c4f870365E785982E1f101E93b906\","
		"\"maxTimeoutSeconds\":300,\"extra\":{\"name\":\"USDC\","
		"\"version\":\"2\"}}]}",
		port, (int)len, path);
	x402_buf_add_str(out,
		"HTTP/1.1 402 Payment Required\r\nContent-Length: 2\r\n"
		"Content-Type: application/json\r\n");
	put_header(out, "PAYMENT-REQUIRED", json);
	x402_buf_add_str(out, "\r\n{}");
}

static void write_200(struct x402_buf *out)
{
	x402_buf_printf(out,
		"HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n"
		"Content-Type: text/plain\r\n",
		strlen(PAGE));
	put_header(out, "PAYMENT-RESPONSE",
		"{\"success\":true,\"network\":\"eip155:84532\","
		"\"transaction\":"
		"\"0xabababababababababababababababababababababa"
		"babababababababababab\"}");
	x402_buf_add_str(out, "\r\n" PAGE);
}

static void answer(struct client *client)
{
	struct x402_buf out = {0};
	const char *path = strchr(client->input, ' ');
	const char *end = path ? strchr(path + 1, ' ') : NULL;

	if (!end || end - path > 512)
		die("a request it does not know");
	if (strncmp(client->input, "GET /robots.txt ", 16) == 0)
		x402_buf_add_str(&out,
			"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	else if (strcasestr(client->input, "\r\npayment-signature:"))
		write_200(&out);
	else
		write_402(&out, path + 1, (size_t)(end - path - 1));
	if (out.failed ||
		send(client->fd, out.ptr, out.len, MSG_NOSIGNAL) !=
			(ssize_t)out.len)
		client->len = 0; /* gone; its next read says so */
	x402_buf_clear(&out);
}

static void on_readable(struct client *client)
{
	ssize_t n = recv(client->fd, client->input + client->len,
		INPUT_MAX_BYTES - 1 - client->len, 0);

	if (n <= 0) {
		close(client->fd);
		free(client);
		return;
	}
	client->len += (size_t)n;
	client->input[client->len] = '\0';
	if (client->len == INPUT_MAX_BYTES - 1)
		die("a request that is too large");
	/* No pipelining: what ends in a blank line is one request. */
	if (!strstr(client->input, "\r\n\r\n"))
		return;
	answer(client);
	client->len = 0;
}

static void watch(int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = what}};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		die("epoll");
}

static void on_connection(int listener)
{
	struct client *client = calloc(1, sizeof(*client));
	int on = 1;
	int fd = accept(listener, NULL, NULL);

	if (fd < 0 || !client) {
		free(client);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	client->fd = fd;
	watch(fd, client);
}

static int listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) ||
		listen(fd, 512) ||
		getsockname(fd, (struct sockaddr *)&address, &len))
		die("listen");
	port = ntohs(address.sin_port);
	printf("url=http://127.0.0.1:%u\n", port);
	fflush(stdout);
	return fd;
}

int main(void)
{
	struct epoll_event events[EVENTS_MAX];
	int listener;

	epoll_fd = epoll_create1(0);
	listener = listen_somewhere();
	watch(listener, &listener);
	watch(STDIN_FILENO, NULL);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			if (!events[i].data.ptr)
				return 0;
			if (events[i].data.ptr == &listener)
				on_connection(listener);
			else
				on_readable(events[i].data.ptr);
		}
	}
}
