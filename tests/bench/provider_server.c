/*
 * Two servers on one loop, for the cost of the gate:
 *
 *   bench-provider-server
 *
 * Says "gate=http://... plain=http://..." and serves until standard input ends.
 * The first is the provider's libuv adapter with a route that has a price. The
 * second is the same HTTP server without a gate; its answer to anything is, to
 * the byte, the 402 that the first gives to GET /paid.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <uv.h>

#include "net/http_server.h"
#include "x402/provider_uv.h"

/* An answer to copy, with room for the longest challenge. */
#define ANSWER_MAX_BYTES 65536

static struct {
	uv_loop_t loop;
	uv_tcp_t client; /* asks the first for the second's answer */
	uv_connect_t connect;
	uv_write_t write;
	uv_pipe_t input;
	char answer[ANSWER_MAX_BYTES];
	size_t len;
	struct http_server *plain;
	struct x402_uv_server *gate;
	struct http_response response; /* the plain one's, always */
} bench;

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "bench-provider-server: %s: %s\n", what, detail);
	exit(1);
}

/* ---- Plain. ---- */

static void on_request(void *user, struct http_exchange *exchange)
{
	(void)user;
	http_exchange_reply(exchange, &bench.response);
}

static void start_plain(void)
{
	struct http_server_options options = HTTP_SERVER_OPTIONS_INIT;

	options.loop = &bench.loop;
	options.host = "127.0.0.1";
	options.on_request = on_request;
	if (http_server_start(&options, &bench.plain) != 0)
		die("plain", "cannot listen");
	printf("gate=http://127.0.0.1:%u plain=http://127.0.0.1:%u\n",
		x402_uv_server_port(bench.gate), http_server_port(bench.plain));
	fflush(stdout);
}

/* Ours are the server's own (http_response.h). */
static bool is_the_servers(const char *line)
{
	static const char *const names[] = {
		"Date:", "Content-Length:", "Connection:"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncasecmp(line, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* The lines of the 402, as headers of a response that is always the same. */
static void copy_answer(char *end)
{
	char *line = strstr(bench.answer, "\r\n") + 2;

	http_response_init(&bench.response, 402);
	while (line < end) {
		char *stop = strstr(line, "\r\n");
		char *colon = strchr(line, ':');

		*stop = '\0';
		if (!colon || colon[1] != ' ')
			die("answer", line);
		if (!is_the_servers(line)) {
			*colon = '\0';
			http_response_header(&bench.response, line, colon + 2);
		}
		line = stop + 2;
	}
	http_response_body(&bench.response, end + 4,
		(size_t)(bench.answer + bench.len - (end + 4)));
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret_buf)
{
	(void)handle;
	(void)size;
	*ret_buf = uv_buf_init(bench.answer + bench.len,
		(unsigned)(sizeof(bench.answer) - 1 - bench.len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	char *end;

	(void)buf;
	if (n > 0) {
		bench.len += (size_t)n;
		return;
	}
	if (n == 0)
		return;
	uv_close((uv_handle_t *)stream, NULL);
	bench.answer[bench.len] = '\0';
	end = strstr(bench.answer, "\r\n\r\n");
	if (!end || strncmp(bench.answer, "HTTP/1.1 402 ", 13) != 0)
		die("the gate's answer", bench.answer);
	copy_answer(end);
	start_plain();
}

static void on_connected(uv_connect_t *connect, int status)
{
	static char request[] = "GET /paid HTTP/1.1\r\nHost: shop.test\r\n"
				"Connection: close\r\n\r\n";
	uv_buf_t buf = uv_buf_init(request, sizeof(request) - 1);

	if (status || uv_write(&bench.write, connect->handle, &buf, 1, NULL) ||
		uv_read_start(connect->handle, on_alloc, on_read))
		die("connect", "the gate does not answer");
}

/* ---- With a gate. ---- */

static void serve(void *user, struct x402_uv_request *request)
{
	const struct x402_uv_response response = {
		.status = 200, .body = x402_span_str("paid\n")};

	(void)user;
	x402_uv_reply(request, &response);
}

static void start_gate(void)
{
	static const struct x402_provider_price price = {
		.network = "eip155:84532",
		.pay_to = "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
		.price = "$0.01"};
	static const struct x402_provider_route route = {.pattern = "GET /paid",
		.prices = &price,
		.prices_len = 1,
		.description = "A page",
		.mime_type = "text/html"};
	static const struct x402_provider_options options = {
		.public_origin = "http://shop.test",
		.routes = &route,
		.routes_len = 1};
	const struct x402_uv_options listen = {.loop = &bench.loop};
	const struct x402_uv_handler handler = {.serve = serve};
	struct x402_provider *provider = NULL;
	struct x402_errinfo info = {0};

	if (x402_provider_new(&options, &info, &provider) != X402_OK ||
		x402_uv_server_new(&listen, &info, &bench.gate) != X402_OK ||
		x402_uv_server_start(bench.gate, provider, &handler, 1) !=
			X402_OK)
		die("gate", info.text);
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)stream;
	(void)buf;
	if (n < 0)
		exit(0);
}

static void on_input_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret_buf)
{
	static char ignored[64];

	(void)handle;
	(void)size;
	*ret_buf = uv_buf_init(ignored, sizeof(ignored));
}

int main(void)
{
	struct sockaddr_in address;

	uv_loop_init(&bench.loop);
	start_gate();
	uv_ip4_addr("127.0.0.1", x402_uv_server_port(bench.gate), &address);
	uv_tcp_init(&bench.loop, &bench.client);
	uv_pipe_init(&bench.loop, &bench.input, 0);
	if (uv_tcp_connect(&bench.connect, &bench.client,
		    (struct sockaddr *)&address, on_connected) ||
		uv_pipe_open(&bench.input, 0) ||
		uv_read_start(
			(uv_stream_t *)&bench.input, on_input_alloc, on_input))
		die("loop", "cannot begin");
	return uv_run(&bench.loop, UV_RUN_DEFAULT);
}
