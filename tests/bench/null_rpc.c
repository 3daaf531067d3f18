/*
 * A chain that answers at once: the JSON-RPC endpoint under the benchmarks in
 * which the facilitator alone is to be measured.
 *
 *   bench-null-rpc --asset 0x... [--chain-id N]
 *
 * Says "url=http://127.0.0.1:PORT" and serves until standard input ends.
 * Every asset call succeeds with the word true, in a multicall with nothing;
 * the asset and Multicall3 have code and nobody else has, the signer is rich
 * and its nonce is 0. Nothing can be sent.
 *
 * It reads only what our daemon and viem write: "id" before "method" before
 * "params", no escapes. Scanning for these three keeps it out of the way of
 * what is measured: it shares the machine.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The daemon's largest post is 512 KiB; the head comes on top. */
#define INPUT_MAX_BYTES  ((size_t)1024 * 1024)
#define OUTPUT_MAX_BYTES ((size_t)256 * 1024)
/* Room that one answer may need. */
#define ANSWER_MAX_BYTES 1024
#define HEAD_MAX_BYTES   96
#define EVENTS_MAX       64
#define MULTICALL3       "0xca11bde05977b3631167028862be2a173976ca11"
#define AGGREGATE3       "82ad56cb"
/* More calls than this in one of it are none of our daemon's. */
#define CALLS_MAX 64

struct client {
	int fd;
	size_t len;
	char *input; /* INPUT_MAX_BYTES and a NUL */
};

static struct {
	char asset[43];
	uint64_t chain_id;
	int epoll;
	size_t out_len;
	char out[OUTPUT_MAX_BYTES];
} rpc = {.chain_id = 84532};

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "bench-null-rpc: %s: %s\n", what, detail);
	exit(1);
}

/* ---- Answers. ---- */

static void add(const char *text, size_t len)
{
	if (len > OUTPUT_MAX_BYTES - rpc.out_len)
		die("answer", "too large");
	memcpy(rpc.out + rpc.out_len, text, len);
	rpc.out_len += len;
}

static void add_text(const char *text)
{
	add(text, strlen(text));
}

static void add_block(void)
{
	char text[512];
	uint64_t now = (uint64_t)time(NULL);

	snprintf(text, sizeof(text),
		"{\"number\":\"0x10\",\"hash\":\"0x%064x\",\"parentHash\":"
		"\"0x%064x\",\"timestamp\":\"0x%llx\",\"gasLimit\":"
		"\"0x1c9c380\",\"gasUsed\":\"0x0\",\"baseFeePerGas\":"
		"\"0x3b9aca00\",\"transactions\":[]}",
		16, 15, (unsigned long long)now);
	add_text(text);
}

static void add_chain_id(void)
{
	char text[32];

	snprintf(text, sizeof(text), "\"0x%llx\"",
		(unsigned long long)rpc.chain_id);
	add_text(text);
}

static bool is_address(const char *text, const char *address)
{
	return strncasecmp(text, address, 42) == 0;
}

/* params as text: [ and the quoted address come first. */
static void add_code(const char *params)
{
	bool has_code = strncasecmp(params, "[\"", 2) == 0 &&
		(is_address(params + 2, rpc.asset) ||
			is_address(params + 2, MULTICALL3));

	add_text(has_code ? "\"0x6001\"" : "\"0x\"");
}

static void add_word(unsigned value)
{
	char text[65];

	add(text, (size_t)snprintf(text, sizeof(text), "%064x", value));
}

/*
 * aggregate3's results: for each call true and no bytes. How many there were
 * stands in the calldata behind the selector and an offset.
 */
static void add_multicall(const char *data)
{
	char count[9] = "";
	unsigned calls;

	if (strlen(data) < 8 + 2 * 64)
		die("aggregate3", "no calldata");
	memcpy(count, data + 8 + 2 * 64 - 8, 8);
	calls = (unsigned)strtoul(count, NULL, 16);
	if (!calls || calls > CALLS_MAX)
		die("aggregate3", count);
	add_text("\"0x");
	add_word(32);
	add_word(calls);
	for (unsigned i = 0; i < calls; i++)
		add_word(32 * calls + 96 * i);
	for (unsigned i = 0; i < calls; i++) {
		add_word(1);
		add_word(64);
		add_word(0);
	}
	add_text("\"");
}

/* params as text: [{"to": and the quoted address come first. */
static void add_call(const char *params)
{
	static const char word_true[] = "\"0x00000000000000000000000000000000"
					"00000000000000000000000000000001\"";
	static const char to_key[] = "[{\"to\":\"";
	static const char data_key[] = "\"data\":\"0x";
	const char *data = strstr(params, data_key);

	if (data && strncmp(params, to_key, sizeof(to_key) - 1) == 0 &&
		is_address(params + sizeof(to_key) - 1, MULTICALL3) &&
		strncmp(data + sizeof(data_key) - 1, AGGREGATE3, 8) == 0)
		add_multicall(data + sizeof(data_key) - 1);
	else
		add(word_true, sizeof(word_true) - 1);
}

static bool is(const char *method, size_t len, const char *name)
{
	return len == strlen(name) && memcmp(method, name, len) == 0;
}

static void add_result(const char *method, size_t len, const char *params)
{
	static const char rich[] = "\"0x56bc75e2d63100000\"";

	add_text(",\"result\":");
	if (is(method, len, "eth_call"))
		add_call(params);
	else if (is(method, len, "eth_getCode"))
		add_code(params);
	else if (is(method, len, "eth_chainId"))
		add_chain_id();
	else if (is(method, len, "eth_blockNumber"))
		add_text("\"0x10\"");
	else if (is(method, len, "eth_getBlockByNumber"))
		add_block();
	else if (is(method, len, "eth_getBalance"))
		add_text(rich);
	else if (is(method, len, "eth_getTransactionCount"))
		add_text("\"0x0\"");
	else if (is(method, len, "eth_gasPrice") ||
		is(method, len, "eth_maxPriorityFeePerGas"))
		add_text("\"0x3b9aca00\"");
	else if (is(method, len, "eth_feeHistory"))
		add_text("{\"oldestBlock\":\"0xc\",\"baseFeePerGas\":["
			 "\"0x3b9aca00\",\"0x3b9aca00\"],\"gasUsedRatio\":"
			 "[0.5],\"reward\":[[\"0x3b9aca00\"]]}");
	else
		add_text("null");
}

/* One call from at; the text behind its params' beginning, or NULL. */
static const char *answer_call(const char *at, bool first)
{
	static const char id_key[] = "\"id\":";
	static const char method_key[] = "\"method\":\"";
	static const char params_key[] = "\"params\":";
	const char *id = strstr(at, id_key);
	const char *method = id ? strstr(id, method_key) : NULL;
	const char *params = method ? strstr(method, params_key) : NULL;
	size_t method_len;

	if (!params)
		return NULL;
	id += sizeof(id_key) - 1;
	method += sizeof(method_key) - 1;
	params += sizeof(params_key) - 1;
	method_len = strcspn(method, "\"");
	if (!first)
		add(",", 1);
	add_text("{\"jsonrpc\":\"2.0\",\"id\":");
	add(id, strspn(id, "0123456789"));
	add_result(method, method_len, params);
	add("}", 1);
	return params;
}

static void write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* the reader of this socket sees it close */
		bytes += n;
		len -= (size_t)n;
	}
}

/* body is NUL-terminated; the head is put in front of what was collected. */
static void answer(int fd, const char *body)
{
	bool batch = *body == '[';
	char head[HEAD_MAX_BYTES];
	bool first = true;
	int head_len;

	rpc.out_len = HEAD_MAX_BYTES;
	if (batch)
		add("[", 1);
	for (const char *at = body; (at = answer_call(at, first));)
		first = false;
	if (batch)
		add("]", 1);
	head_len = snprintf(head, sizeof(head),
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\n\r\n",
		rpc.out_len - HEAD_MAX_BYTES);
	memcpy(rpc.out + HEAD_MAX_BYTES - head_len, head, (size_t)head_len);
	write_all(fd, rpc.out + HEAD_MAX_BYTES - head_len,
		rpc.out_len - HEAD_MAX_BYTES + (size_t)head_len);
}

/* ---- Connections. ---- */

static void close_client(struct client *client)
{
	close(client->fd);
	free(client->input);
	free(client);
}

/* Bytes of the first whole request, or 0 when it is not all there. */
static size_t whole_request(const struct client *client, size_t *ret_body)
{
	const char *end = strstr(client->input, "\r\n\r\n");
	const char *length;
	size_t body_len;

	if (!end)
		return 0;
	length = strcasestr(client->input, "content-length:");
	if (!length || length > end)
		die("request", "no Content-Length");
	body_len = strtoul(length + 15, NULL, 10);
	*ret_body = (size_t)(end + 4 - client->input);
	if (body_len > client->len - *ret_body)
		return 0;
	return *ret_body + body_len;
}

static void take_requests(struct client *client)
{
	size_t body = 0;
	size_t len;

	while ((len = whole_request(client, &body)) > 0) {
		char after = client->input[len];

		client->input[len] = '\0';
		answer(client->fd, client->input + body);
		client->input[len] = after;
		client->len -= len;
		memmove(client->input, client->input + len, client->len + 1);
	}
	if (client->len == INPUT_MAX_BYTES)
		die("request", "too large");
}

static void on_readable(struct client *client)
{
	for (;;) {
		ssize_t n = recv(client->fd, client->input + client->len,
			INPUT_MAX_BYTES - client->len, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close_client(client);
			return;
		}
		client->len += (size_t)n;
		client->input[client->len] = '\0';
		take_requests(client);
	}
}

static void watch(int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = what}};

	if (epoll_ctl(rpc.epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll", strerror(errno));
}

static void on_connection(int listener)
{
	int fd = accept(listener, NULL, NULL);
	struct client *client;
	int on = 1;

	if (fd < 0)
		return;
	client = calloc(1, sizeof(*client));
	if (!client || !(client->input = malloc(INPUT_MAX_BYTES + 1)))
		die("memory", "out of it");
	client->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	watch(fd, client);
}

static int listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 ||
		bind(fd, (struct sockaddr *)(void *)&address,
			sizeof(address)) ||
		listen(fd, 128) ||
		getsockname(fd, (struct sockaddr *)(void *)&address, &len))
		die("listen", strerror(errno));
	printf("url=http://127.0.0.1:%u\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void serve(int listener)
{
	struct epoll_event events[EVENTS_MAX];
	char drop[64];

	for (;;) {
		int n = epoll_wait(rpc.epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			void *what = events[i].data.ptr;

			if (what == &rpc)
				on_connection(listener);
			else if (what)
				on_readable(what);
			else if (read(STDIN_FILENO, drop, sizeof(drop)) <= 0)
				return; /* whoever started us is gone */
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"asset", required_argument, NULL, 'a'},
		{"chain-id", required_argument, NULL, 'c'}, {0}};
	int listener;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'a')
			snprintf(rpc.asset, sizeof(rpc.asset), "%s", optarg);
		else if (option == 'c')
			rpc.chain_id = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	if (strlen(rpc.asset) != 42)
		die("usage", "--asset 0x... [--chain-id N]");
	rpc.epoll = epoll_create1(0);
	listener = listen_somewhere();
	watch(listener, &rpc);
	watch(STDIN_FILENO, NULL);
	serve(listener);
	return 0;
}
