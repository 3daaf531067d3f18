/*
 * http.c: `x402 mcp --http`: the server as streamable HTTP on the loopback
 * interface. Whoever may call spends money, and any process on the machine can
 * reach the port: so a token is wanted with every request, and requests of web
 * pages (a foreign Origin or Host) are refused.
 *
 *   1. on_request   the door: path, method, Host, Origin, token
 *   2. work         off the loop, a few at a time: mcp_answer()
 *   3. worked       the reply
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "mcp.h"
#include "net/http_server.h"

#define TOKEN_BYTES 24
#define PATH        "/mcp"

struct http {
	uv_loop_t loop;
	uv_signal_t terminate;
	uv_signal_t interrupt;
	struct http_server *server;
	char token[2 * TOKEN_BYTES + 1];
	unsigned pending;
	bool stopping;
};

struct job {
	uv_work_t work;
	struct http *http;
	struct http_exchange *exchange;
	char *answer;
};

static void reply(struct http_exchange *exchange, int status, const char *json)
{
	struct http_response response;
	http_response_init(&response, status);
	if (json)
		http_response_header(
			&response, "Content-Type", "application/json");
	if (status == 405)
		http_response_header(&response, "Allow", "POST");
	if (status == 401)
		http_response_header(&response, "WWW-Authenticate", "Bearer");
	if (json)
		http_response_body(&response, json, strlen(json));
	http_exchange_reply(exchange, &response);
	http_response_clear(&response);
}

/* ---- 1. The door. ---- */

/* "127.0.0.1", "localhost" or "[::1]", with any port. */
static bool is_loopback(const char *host)
{
	static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(names[i]);
		if (strncasecmp(host, names[i], len) == 0 &&
			(host[len] == '\0' || host[len] == ':'))
			return true;
	}
	return false;
}

static bool is_local_page(const char *origin)
{
	return strncmp(origin, "http://", 7) == 0 && is_loopback(origin + 7);
}

static bool has_token(
	const struct http *http, const struct http_request *request)
{
	bool doubled = false;
	size_t len = strlen(http->token);
	const char *value = http_request_header(
		request, "Authorization", &doubled);
	return value && !doubled && strncasecmp(value, "Bearer ", 7) == 0 &&
		strlen(value + 7) == len &&
		x402_equal_ct(value + 7, http->token, len);
}

/* 0: come in. */
static int judge(const struct http *http, const struct http_request *request)
{
	bool doubled = false;
	const char *host = http_request_header(request, "Host", &doubled);
	const char *origin = http_request_header(request, "Origin", NULL);
	if (!host || doubled || !is_loopback(host) ||
		(origin && !is_local_page(origin)))
		return 403;
	if (strcmp(request->path, PATH) != 0)
		return 404;
	if (!has_token(http, request))
		return 401;
	if (strcmp(request->method, "POST") != 0)
		return 405; /* no stream of our own, no session to delete */
	return 0;
}

/* ---- 2, 3. The call. ---- */

static void work(uv_work_t *request)
{
	struct job *job = request->data;
	const struct http_request *message = http_exchange_request(
		job->exchange);
	job->answer = mcp_answer(x402_span(message->body, message->body_len));
}

static void close_if_done(struct http *http)
{
	if (http->stopping && http->pending == 0 && http->server) {
		http_server_free(http->server);
		http->server = NULL;
	}
}

static void worked(uv_work_t *request, int status)
{
	struct job *job = request->data;
	struct http *http = job->http;
	(void)status;
	reply(job->exchange, job->answer ? 200 : 202, job->answer);
	free(job->answer);
	free(job);
	http->pending--;
	close_if_done(http);
}

static void on_request(void *user, struct http_exchange *exchange)
{
	struct http *http = user;
	int status = judge(http, http_exchange_request(exchange));
	struct job *job = status ? NULL : calloc(1, sizeof(*job));
	if (!job) {
		reply(exchange, status ? status : 503, NULL);
		return;
	}
	job->work.data = job;
	job->http = http;
	job->exchange = exchange;
	http->pending++;
	if (uv_queue_work(&http->loop, &job->work, work, worked)) {
		http->pending--;
		reply(exchange, 503, NULL);
		free(job);
	}
}

/* ---- The life of it. ---- */

static void on_signal(uv_signal_t *handle, int number)
{
	struct http *http = handle->data;
	(void)number;
	http->stopping = true;
	cli_interrupt();
	uv_close((uv_handle_t *)&http->terminate, NULL);
	uv_close((uv_handle_t *)&http->interrupt, NULL);
	close_if_done(http);
}

static void make_token(struct http *http)
{
	const char *given = getenv("X402_MCP_TOKEN");
	uint8_t bytes[TOKEN_BYTES];
	if (given && strlen(given) >= 16 &&
		strlen(given) < sizeof(http->token)) {
		memcpy(http->token, given, strlen(given) + 1);
		return;
	}
	randombytes_buf(bytes, sizeof(bytes));
	(void)sodium_bin2hex(
		http->token, sizeof(http->token), bytes, sizeof(bytes));
}

static int start(struct http *http, unsigned port)
{
	struct http_server_options options = {.loop = &http->loop,
		.host = "127.0.0.1",
		.port = (uint16_t)port,
		.max_body_bytes = MCP_MESSAGE_MAX_BYTES,
		/* A paid call may wait for its settlement. */
		.idle_timeout_ms = 300000,
		.max_connections = 64,
		.on_request = on_request,
		.user = http};
	int err = http_server_start(&options, &http->server);
	if (err)
		return cli_error(CLI_CONFIG, "mcp", "127.0.0.1:%u: %s", port,
			uv_strerror(err));
	http->terminate.data = http;
	http->interrupt.data = http;
	(void)uv_signal_init(&http->loop, &http->terminate);
	(void)uv_signal_init(&http->loop, &http->interrupt);
	(void)uv_signal_start(&http->terminate, on_signal, SIGTERM);
	(void)uv_signal_start(&http->interrupt, on_signal, SIGINT);
	printf("{\"url\":\"http://127.0.0.1:%u" PATH "\",\"token\":\"%s\"}\n",
		(unsigned)http_server_port(http->server), http->token);
	(void)fflush(stdout);
	return CLI_OK;
}

int mcp_http_run(unsigned port)
{
	static struct http http;
	if (sodium_init() < 0 || uv_loop_init(&http.loop))
		return cli_error(
			CLI_GENERAL, "internal_error", "no event loop");
	cli_own_signals();
	make_token(&http);
	int exit = start(&http, port);
	if (exit == CLI_OK)
		(void)uv_run(&http.loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&http.loop);
	x402_wipe(http.token, sizeof(http.token));
	return exit;
}
