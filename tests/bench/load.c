/*
 * A load of distinct payments against /verify or /settle, closed loop:
 *
 *   bench-load --url http://127.0.0.1:PORT/verify --devnet FILE
 *       [--connections N] [--requests M] [--pipeline P]
 *   bench-load --url URL --bodies FILE [--connections N] [--pipeline P]
 *
 * Signs all M payments before the clock starts (so the client's own work is
 * not measured), then keeps P requests (one unless said) in flight on each of
 * N keep-alive connections, each sent without waiting for those before it.
 * Answers must come in the order of the requests: each must name its payer.
 * With --bodies, what to send stands in a file that was made before: a line for
 * each request, its payer's address, a space and the body.
 * Prints one line of JSON: requests, ok, failed, reasons, seconds, per_second,
 * p50_ms, p95_ms, p99_ms. Latencies count from the moment of sending.
 *
 * It is a program of its own and in C because a load generator in a script
 * takes more of two cores than the daemon under test.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "x402/x402.h"

#define CONNECTIONS_MAX  4096
#define PIPELINE_MAX     256
#define ANSWER_MAX_BYTES 16384
#define REASONS_MAX      16
#define AMOUNT           "1000"
#define STALL_TIMEOUT_MS 60000

struct payer {
	struct x402_secret key;
	struct x402_address address;
	char text[X402_ADDRESS_TEXT_SIZE];
};

struct flight {
	size_t request;
	uint64_t started_ns;
};

struct connection {
	int fd;
	struct flight flights[PIPELINE_MAX]; /* a ring */
	size_t first;                        /* the oldest without answer */
	size_t len;                          /* in flight */
	size_t unsent;                       /* the newest of them */
	size_t sent;                         /* bytes of the oldest unsent */
	size_t got;
	char answer[ANSWER_MAX_BYTES + 1];
};

struct reason {
	char text[80];
	size_t count;
};

static struct {
	char host[64];
	uint16_t port;
	char path[256];
	size_t connections;
	size_t requests;
	size_t pipeline;
	struct x402_address token;
	struct x402_address payee;
	struct payer *payers;
	size_t payers_len;
	char **bodies;         /* whole HTTP requests */
	const char **expected; /* for each, whom its answer must name */
	uint64_t *latencies_ns;
	size_t started;
	size_t finished;
	size_t ok;
	struct reason reasons[REASONS_MAX];
	size_t reasons_len;
} load = {.connections = 8, .requests = 1000, .pipeline = 1};

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "bench-load: %s: %s\n", what, detail);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- What to send. ---- */

static struct x402_json *read_json(const char *path)
{
	struct x402_json_limits limits = {(size_t)64 * 1024 * 1024, 0};
	struct x402_json *json = NULL;
	struct x402_buf buf = {0};
	FILE *file = fopen(path, "rb");
	char chunk[65536];
	size_t n;

	if (!file)
		die(path, strerror(errno));
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		x402_buf_add(&buf, x402_span(chunk, n));
	fclose(file);
	if (x402_json_parse(x402_buf_span(&buf), &limits, NULL, &json))
		die(path, "expected the JSON that devnet.mjs prints");
	x402_buf_clear(&buf);
	return json;
}

static void read_payer(const struct x402_secp256k1 *secp,
	const struct x402_json *json, struct payer *payer)
{
	if (x402_secret_parse(x402_json_get_string(json, "privateKey"),
		    &payer->key) != X402_OK ||
		x402_secret_address(secp, &payer->key, &payer->address) !=
			X402_OK)
		die("devnet", "a payer without a good privateKey");
	x402_address_format(&payer->address, payer->text);
}

static void read_devnet(const struct x402_secp256k1 *secp, const char *path)
{
	struct x402_json *json = read_json(path);
	const struct x402_json *accounts = x402_json_get(json, "accounts");
	const struct x402_json *extra = x402_json_get(json, "extra");
	size_t n = x402_json_size(extra);

	if (x402_address_parse(x402_json_get_string(json, "token"),
		    &load.token) != X402_OK ||
		x402_address_parse(
			x402_json_get_string(
				x402_json_get(accounts, "payee"), "address"),
			&load.payee) != X402_OK)
		die("devnet", "expected token and accounts.payee.address");
	load.payers_len = n ? n : 1;
	load.payers = calloc(load.payers_len, sizeof(*load.payers));
	if (!load.payers)
		die("memory", "out of it");
	for (size_t i = 0; i < load.payers_len; i++)
		read_payer(secp,
			n ? x402_json_at(extra, i)
			  : x402_json_get(accounts, "payer"),
			&load.payers[i]);
	x402_json_unref(json);
}

static char *payment_body(const struct x402_secp256k1 *secp,
	const struct payer *payer, const uint8_t separator[32])
{
	static const char form[] =
		"{\"x402Version\":2,\"paymentPayload\":{\"x402Version\":2,"
		"\"payload\":%s,\"resource\":{\"url\":\"http://127.0.0.1/"
		"bench\"},\"accepted\":%s},\"paymentRequirements\":%s}";
	struct x402_eip3009_payload payload = {0};
	struct x402_eip3009_authorization *auth = &payload.authorization;
	struct x402_json *json = NULL;
	struct x402_buf terms = {0};
	struct x402_buf body = {0};
	char token[X402_ADDRESS_TEXT_SIZE];
	char payee[X402_ADDRESS_TEXT_SIZE];
	uint8_t digest[32];
	uint8_t sig[65];
	uint64_t now = (uint64_t)time(NULL);
	char *text;

	auth->from = payer->address;
	auth->to = load.payee;
	if (x402_u256_from_dec(AMOUNT, &auth->value) != X402_OK)
		die("amount", AMOUNT);
	auth->valid_after = x402_u256_from_u64(now - 600);
	auth->valid_before = x402_u256_from_u64(now + 3600);
	if (getrandom(auth->nonce32, 32, 0) != 32)
		die("random", strerror(errno));
	x402_eip3009_digest(auth, separator, digest);
	if (x402_sign_digest(secp, digest, &payer->key, sig) != X402_OK)
		die("signing", "failed");
	x402_buf_add(&payload.signature, x402_span(sig, 65));
	if (x402_eip3009_payload_to_json(&payload, &json) != X402_OK)
		die("memory", "out of it");
	text = x402_json_dump(json);
	x402_address_format(&load.token, token);
	x402_address_format(&load.payee, payee);
	x402_buf_printf(&terms,
		"{\"scheme\":\"exact\",\"network\":\"eip155:84532\","
		"\"amount\":\"" AMOUNT "\",\"asset\":\"%s\",\"payTo\":\"%s\","
		"\"maxTimeoutSeconds\":3600,\"extra\":{\"name\":\"USDC\","
		"\"version\":\"2\"}}",
		token, payee);
	x402_buf_add_byte(&terms, 0);
	x402_buf_printf(
		&body, form, text, (char *)terms.ptr, (char *)terms.ptr);
	free(text);
	x402_json_unref(json);
	x402_eip3009_payload_clear(&payload);
	x402_buf_clear(&terms);
	return x402_buf_take_str(&body);
}

static void make_room(void)
{
	load.bodies = calloc(load.requests, sizeof(*load.bodies));
	load.expected = calloc(load.requests, sizeof(*load.expected));
	load.latencies_ns = calloc(load.requests, sizeof(*load.latencies_ns));
	if (!load.bodies || !load.expected || !load.latencies_ns)
		die("memory", "out of it");
}

static void set_request(size_t index, const char *body)
{
	struct x402_buf request = {0};

	x402_buf_printf(&request,
		"POST %s HTTP/1.1\r\nHost: %s:%u\r\nContent-Type: "
		"application/json\r\nContent-Length: %zu\r\n\r\n%s",
		load.path, load.host, load.port, strlen(body), body);
	load.bodies[index] = x402_buf_take_str(&request);
	if (!load.bodies[index])
		die("memory", "out of it");
}

/* Lines of an address, a space and a body; the text is kept. */
static void read_bodies(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	if (!file)
		die(path, strerror(errno));
	load.requests = 0;
	while (getline(&line, &size, file) > 0)
		load.requests++;
	rewind(file);
	if (!load.requests)
		die(path, "no requests in it");
	make_room();
	for (size_t i = 0; (len = getline(&line, &size, file)) > 0; i++) {
		char *body = strchr(line, ' ');

		if (!body)
			die(path, "expected an address, a space and a body");
		*body++ = '\0';
		body[strcspn(body, "\n")] = '\0';
		load.expected[i] = strdup(line);
		set_request(i, body);
	}
	free(line);
	fclose(file);
}

static void sign_all(const struct x402_secp256k1 *secp)
{
	struct x402_eip712_domain domain = {.name = "USDC",
		.version = "2",
		.chain_id = 84532,
		.verifying_contract = &load.token};
	uint8_t separator[32];

	x402_eip712_domain_separator(&domain, separator);
	make_room();
	for (size_t i = 0; i < load.requests; i++) {
		struct payer *payer = &load.payers[i % load.payers_len];
		char *body = payment_body(secp, payer, separator);

		load.expected[i] = payer->text;
		set_request(i, body);
		free(body);
	}
}

/* ---- The loop. ---- */

static void dial(struct connection *connection, int epoll)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(load.port)};
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
		.data = {.ptr = connection}};
	int on = 1;

	inet_pton(AF_INET, load.host, &address.sin_addr);
	connection->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connection->fd < 0 ||
		connect(connection->fd, (struct sockaddr *)(void *)&address,
			sizeof(address)))
		die("connect", strerror(errno));
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fcntl(connection->fd, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event))
		die("epoll", strerror(errno));
}

static void count_reason(const char *body)
{
	char text[80] = "no reason";
	const char *at = strstr(body, "Reason\":\"");

	if (at) {
		at += strlen("Reason\":\"");
		snprintf(
			text, sizeof(text), "%.*s", (int)strcspn(at, "\""), at);
	} else {
		snprintf(text, sizeof(text), "%.60s", body);
	}
	for (size_t i = 0; i < load.reasons_len; i++) {
		if (strcmp(load.reasons[i].text, text) == 0) {
			load.reasons[i].count++;
			return;
		}
	}
	if (load.reasons_len < REASONS_MAX) {
		struct reason *reason = &load.reasons[load.reasons_len++];

		snprintf(reason->text, sizeof(reason->text), "%s", text);
		reason->count = 1;
	}
}

static void send_more(struct connection *connection)
{
	while (connection->unsent > 0) {
		size_t at = connection->first + connection->len -
			connection->unsent;
		const char *text =
			load.bodies[connection->flights[at % PIPELINE_MAX]
					    .request];
		size_t len = strlen(text);
		ssize_t n = send(connection->fd, text + connection->sent,
			len - connection->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			die("send", strerror(errno));
		connection->sent += (size_t)n;
		if (connection->sent == len) {
			connection->sent = 0;
			connection->unsent--;
		}
	}
}

/* As many in flight as there may be. */
static void start_next(struct connection *connection)
{
	while (connection->len < load.pipeline &&
		load.started < load.requests) {
		size_t at = connection->first + connection->len++;

		connection->flights[at % PIPELINE_MAX] = (struct flight){
			load.started++, now_ns()};
		connection->unsent++;
	}
	send_more(connection);
}

/* The first answer's body, once it is whole; NULL before that. */
static char *whole_body(struct connection *connection, size_t *ret_len)
{
	char *end = strstr(connection->answer, "\r\n\r\n");
	char *length;

	if (!end)
		return NULL;
	length = strcasestr(connection->answer, "content-length:");
	if (!length || length > end)
		die("answer", "no Content-Length");
	*ret_len = strtoul(length + 15, NULL, 10);
	if (connection->got < (size_t)(end + 4 - connection->answer) + *ret_len)
		return NULL;
	return end + 4;
}

static void judge(size_t request, const char *body)
{
	const char *payer = load.expected[request];

	if (!strstr(body, "\"isValid\":true") &&
		!strstr(body, "\"success\":true"))
		count_reason(body);
	else if (!strcasestr(body, payer))
		count_reason("Reason\":\"answer to another request\"");
	else
		load.ok++;
}

/* Take the answers that are whole. */
static void take_answers(struct connection *connection)
{
	size_t len = 0;
	char *body;

	while (connection->len > 0 && (body = whole_body(connection, &len))) {
		const struct flight *flight =
			&connection->flights[connection->first % PIPELINE_MAX];
		char after = body[len];
		size_t used = (size_t)(body + len - connection->answer);

		body[len] = '\0';
		load.latencies_ns[load.finished++] = now_ns() -
			flight->started_ns;
		judge(flight->request, body);
		body[len] = after;
		connection->got -= used;
		memmove(connection->answer, connection->answer + used,
			connection->got + 1);
		connection->first++;
		connection->len--;
	}
}

static void on_event(struct connection *connection, uint32_t events)
{
	if (events & EPOLLOUT)
		send_more(connection);
	while (connection->len > 0) {
		ssize_t n = recv(connection->fd,
			connection->answer + connection->got,
			ANSWER_MAX_BYTES - connection->got, 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			die("connection", n ? strerror(errno) : "closed");
		connection->got += (size_t)n;
		connection->answer[connection->got] = '\0';
		take_answers(connection);
		start_next(connection);
		if (connection->got == ANSWER_MAX_BYTES)
			die("answer", "too large");
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Raw: a latency, not money. */
static double percentile_ms(unsigned percent) /* Raw: a latency */
{
	size_t index = load.finished * percent / 100;

	if (!load.finished)
		return 0;
	if (index >= load.finished)
		index = load.finished - 1;
	return (double)load.latencies_ns[index] / 1e6; /* Raw: a latency */
}

static void report(uint64_t elapsed_ns)
{
	double seconds = (double)elapsed_ns / 1e9; /* Raw: a duration */

	qsort(load.latencies_ns, load.finished, sizeof(uint64_t), by_value);
	printf("{\"requests\":%zu,\"ok\":%zu,\"failed\":%zu,\"reasons\":{",
		load.requests, load.ok, load.requests - load.ok);
	for (size_t i = 0; i < load.reasons_len; i++)
		printf("%s\"%s\":%zu", i ? "," : "", load.reasons[i].text,
			load.reasons[i].count);
	printf("},\"seconds\":%.3f,\"per_second\":%.1f,\"p50_ms\":%.2f,"
	       "\"p95_ms\":%.2f,\"p99_ms\":%.2f}\n",
		seconds, (double)load.finished / seconds, /* Raw: a rate */
		percentile_ms(50), percentile_ms(95), percentile_ms(99));
}

/* What is not answered by now failed; those that were answered still count. */
static void give_up(void)
{
	for (size_t i = load.finished; i < load.requests; i++)
		count_reason("Reason\":\"no answer for a minute\"");
}

static void run(void)
{
	struct connection *connections = calloc(
		load.connections, sizeof(*connections));
	struct epoll_event events[256];
	int epoll = epoll_create1(0);
	uint64_t start;

	if (!connections || epoll < 0)
		die("memory", "out of it");
	for (size_t i = 0; i < load.connections; i++)
		dial(&connections[i], epoll);
	start = now_ns();
	for (size_t i = 0; i < load.connections; i++)
		start_next(&connections[i]);
	while (load.finished < load.requests) {
		int n = epoll_wait(epoll, events, 256, STALL_TIMEOUT_MS);

		if (n == 0) {
			give_up();
			break;
		}
		for (int i = 0; i < n; i++)
			on_event(events[i].data.ptr, events[i].events);
	}
	report(now_ns() - start);
	close(epoll);
	free(connections);
}

static void parse_url(const char *url)
{
	unsigned port = 0;

	if (sscanf(url, "http://%63[0-9.]:%u%255s", load.host, &port,
		    load.path) != 3 ||
		port == 0 || port > 65535)
		die(url, "expected http://ADDRESS:PORT/PATH");
	load.port = (uint16_t)port;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"url", required_argument, NULL, 'u'},
		{"devnet", required_argument, NULL, 'd'},
		{"connections", required_argument, NULL, 'c'},
		{"requests", required_argument, NULL, 'r'},
		{"pipeline", required_argument, NULL, 'p'},
		{"bodies", required_argument, NULL, 'b'}, {0}};
	struct x402_secp256k1 *secp;
	const char *devnet = NULL;
	const char *bodies = NULL;
	uint8_t seed[32] = {1};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'u')
			parse_url(optarg);
		else if (option == 'd')
			devnet = optarg;
		else if (option == 'b')
			bodies = optarg;
		else if (option == 'c')
			load.connections = strtoul(optarg, NULL, 10);
		else if (option == 'r')
			load.requests = strtoul(optarg, NULL, 10);
		else if (option == 'p')
			load.pipeline = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (!devnet == !bodies || !load.port || !load.requests ||
		!load.connections || load.connections > CONNECTIONS_MAX ||
		!load.pipeline || load.pipeline > PIPELINE_MAX)
		die("usage",
			"--url URL --devnet FILE or --bodies FILE "
			"[--connections N] [--requests M] [--pipeline P]");
	if (x402_secp256k1_new(seed, &secp) != X402_OK)
		die("memory", "out of it");
	if (bodies) {
		read_bodies(bodies);
	} else {
		read_devnet(secp, devnet);
		sign_all(secp);
	}
	run();
	x402_secp256k1_free(secp);
	return 0;
}
