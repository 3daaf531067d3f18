/*
 * metrics.c: counters, their text in Prometheus' form, and a small listener
 * for them on the loopback. The listener is a thread of its own, so that a
 * client that is busy, or stuck, can still be looked at; it reads nothing but
 * atomic counters.
 */
#include "operate_p.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A scraper's request line and headers. */
#define REQUEST_MAX_BYTES 4096
/* One that does not speak is not waited for. */
#define CLIENT_TIMEOUT_S 2
/* Before a place for its connection is looked for again. */
#define FULL_US 100000

enum x402_err x402__operator_new(struct x402__operator **ret_operator)
{
	struct x402__operator *operator_ = calloc(1, sizeof(*operator_));
	if (!operator_)
		return X402_ERR_NOMEM;
	operator_->listen_fd = -1;
	*ret_operator = operator_;
	return X402_OK;
}

void x402__operator_free(struct x402__operator *operator_)
{
	if (!operator_)
		return;
	if (operator_->listens) {
		/* accept() returns, and the thread with it. */
		(void)shutdown(operator_->listen_fd, SHUT_RDWR);
		(void)pthread_join(operator_->thread, NULL);
		close(operator_->listen_fd);
	}
	free(operator_);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void put(struct x402_buf *buf, const char *name, const char *type,
	const char *help, uint64_t value)
{
	x402_buf_printf(buf,
		"# HELP x402_client_%s %s\n# TYPE x402_client_%s %s\n"
		"x402_client_%s %" PRIu64 "\n",
		name, help, name, type, name, value);
}

enum x402_err x402_client_metrics(
	const struct x402_client *client, struct x402_buf *ret_text)
{
	const struct x402__counters *counters = &client->operator_->counters;
	put(ret_text, "requests_total", "counter", "HTTP requests sent.",
		get(&counters->requests));
	put(ret_text, "retries_total", "counter",
		"Waits before the same request is sent again.",
		get(&counters->retries));
	put(ret_text, "signed_total", "counter", "Authorizations signed.",
		get(&counters->signed_));
	put(ret_text, "resumed_total", "counter",
		"Calls that presented an earlier authorization.",
		get(&counters->resumed));
	put(ret_text, "spent_usd_micros_total", "counter",
		"Paid, in millionths of a dollar, of assets with a known "
		"value.",
		get(&counters->spent_usd_micros));
	put(ret_text, "in_flight", "gauge", "Calls begun and not done.",
		get(&counters->in_flight));
	put(ret_text, "circuits_opened_total", "counter",
		"Times that a host was left alone.",
		get(&counters->circuits_opened));
	x402_buf_add_str(ret_text,
		"# HELP x402_client_calls_total Calls by what became of the "
		"payment.\n# TYPE x402_client_calls_total counter\n");
	for (int i = 0; i <= X402_CLIENT_OUTCOME_UNKNOWN; i++)
		x402_buf_printf(ret_text,
			"x402_client_calls_total{outcome=\"%s\"} %" PRIu64 "\n",
			x402_client_outcome_name((enum x402_client_outcome)i),
			get(&counters->outcomes[i]));
	x402_buf_add_str(ret_text,
		"# HELP x402_client_causes_total Calls by why they ended.\n"
		"# TYPE x402_client_causes_total counter\n");
	for (int i = 0; i < X402_CLIENT_CAUSE_COUNT; i++)
		x402_buf_printf(ret_text,
			"x402_client_causes_total{cause=\"%s\"} %" PRIu64 "\n",
			x402_client_cause_name((enum x402_client_cause)i),
			get(&counters->causes[i]));
	return ret_text->failed ? X402_ERR_NOMEM : X402_OK;
}

/* ---- The listener. ---- */

/* The request's head, or as much as fits. */
static bool read_head(int fd, char *head, size_t size)
{
	size_t len = 0;
	while (len + 1 < size) {
		ssize_t n = recv(fd, head + len, size - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		head[len] = '\0';
		if (strstr(head, "\r\n\r\n"))
			return true;
	}
	return false;
}

static void write_all(int fd, struct x402_span bytes)
{
	while (bytes.len) {
		ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		bytes = x402_span(bytes.ptr + n, bytes.len - (size_t)n);
	}
}

static void answer(const struct x402_client *client, int fd)
{
	char head[REQUEST_MAX_BYTES];
	struct x402_buf body = {0};
	struct x402_buf out = {0};
	bool known = read_head(fd, head, sizeof(head)) &&
		(strncmp(head, "GET /metrics ", 13) == 0 ||
			strncmp(head, "GET /metrics?", 13) == 0);
	bool ok = known && x402_client_metrics(client, &body) == X402_OK;
	x402_buf_printf(&out,
		"HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4\r\n"
		"Connection: close\r\nContent-Length: %zu\r\n\r\n",
		ok ? "200 OK" : "404 Not Found", ok ? body.len : (size_t)0);
	if (ok)
		x402_buf_add(&out, x402_buf_span(&body));
	if (!out.failed)
		write_all(fd, x402_buf_span(&out));
	x402_buf_clear(&body);
	x402_buf_clear(&out);
}

static void *listen_thread(void *user)
{
	const struct x402_client *client = user;
	const struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_S};
	for (;;) {
		int fd = accept4(
			client->operator_->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && errno == EINVAL)
			return NULL; /* shut down */
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			(void)usleep(FULL_US); /* a crawl has all of them */
		if (fd < 0)
			continue;
		(void)setsockopt(
			fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
		(void)setsockopt(
			fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
		answer(client, fd);
		close(fd);
	}
}

enum x402_err x402_client_metrics_listen(
	struct x402_client *client, uint16_t port, uint16_t *ret_port)
{
	struct x402__operator *operator_ = client->operator_;
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int on = 1;
	if (operator_->listens)
		return X402_ERR_CONFLICT;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return X402_ERR_NETWORK;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, 16) ||
		getsockname(fd, (struct sockaddr *)&address, &len)) {
		close(fd);
		return X402_ERR_NETWORK;
	}
	operator_->listen_fd = fd;
	if (pthread_create(&operator_->thread, NULL, listen_thread, client)) {
		close(fd);
		operator_->listen_fd = -1;
		return X402_ERR_INTERNAL;
	}
	operator_->listens = true;
	*ret_port = ntohs(address.sin_port);
	return X402_OK;
}

/* ---- Counting. ---- */

static void more(_Atomic uint64_t *counter, uint64_t by)
{
	atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

void x402__count_done(struct x402__transfer *transfer)
{
	struct x402__counters *counters =
		&transfer->client->operator_->counters;
	const struct x402__flow *flow = &transfer->flow;
	const struct x402_client_payment *payment = &flow->payment;
	more(&counters->outcomes[payment->outcome], 1);
	more(&counters->causes[flow->cause], 1);
	if (payment->resumed)
		more(&counters->resumed, 1);
	if (payment->outcome != X402_CLIENT_OUTCOME_PAID || payment->resumed)
		return;
	int64_t usd = x402__usd_micros(payment->network, payment->asset,
		payment->charged[0] ? payment->charged : payment->amount);
	if (usd > 0)
		more(&counters->spent_usd_micros, (uint64_t)usd);
}
