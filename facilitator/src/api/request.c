/*
 * A request from the moment it is complete to its answer: routes, the reading
 * of headers, query and body, and the only ways to answer. net/ is met here
 * and in run/worker.c, nowhere else in the daemon.
 */
#include "api/api.h"

#include "net/http_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

/* Seconds: whatever a crowd waits for moves on within one. */
#define BUSY_RETRY_AFTER "2"

static void count_open(struct fac_app *app)
{
	if (app->counts)
		atomic_store_explicit(&app->counts->open, app->open_requests,
			memory_order_relaxed);
}

static void free_request(struct fac_request *request)
{
	struct fac_app *app = request->app;

	app->open_requests--;
	fac_counts_answer(app->counts, request->route, request->status,
		fac_loop_now_ms(app->loop) - request->started_ms);
	count_open(app);
	if (request->state_free)
		request->state_free(request->state);
	for (size_t i = 0; i < request->headers_len; i++)
		free(request->headers[i].value);
	free(request);
}

uint64_t fac_unix_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void fac_iso_time(uint64_t unix_ms, char ret_text[FAC_ISO_TIME_SIZE])
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm utc;

	gmtime_r(&seconds, &utc);
	size_t len = strftime(
		ret_text, FAC_ISO_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(ret_text + len, FAC_ISO_TIME_SIZE - len, ".%03uZ",
		(unsigned)(unix_ms % 1000));
}

const struct fac_app_chain *fac_app_chain_find(
	const struct fac_app *app, const char *caip2)
{
	for (size_t i = 0; i < app->chains_len; i++)
		if (!strcmp(app->chains[i].network.caip2, caip2))
			return &app->chains[i];
	return NULL;
}

bool fac_app_chain_usable(const struct fac_app_chain *chain)
{
	return atomic_load(&chain->status->health) == FAC_CHAIN_USABLE;
}

/* ---- Reading. ---- */

const char *fac_request_header(
	const struct fac_request *request, const char *name)
{
	bool doubled = false;
	const char *value = http_request_header(request->http, name, &doubled);

	return doubled ? NULL : value;
}

void fac_request_caller(
	const struct fac_request *request, char ret_caller[FAC_CALLER_SIZE])
{
	const char *peer = http_exchange_peer(request->exchange);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (inet_pton(AF_INET6, peer, &address) != 1 ||
		IN6_IS_ADDR_V4MAPPED(&address)) {
		snprintf(ret_caller, FAC_CALLER_SIZE, "%s", peer);
		return;
	}
	memset(address.s6_addr + 8, 0, 8);
	(void)inet_ntop(AF_INET6, &address, text, sizeof(text));
	snprintf(ret_caller, FAC_CALLER_SIZE, "%s/64", text);
}

bool fac_request_body(struct fac_request *request, struct x402_json **ret_json,
	struct fac_step *ret_step)
{
	struct x402_errinfo info = {0};
	struct x402_json_limits limits = X402_JSON_LIMITS_INIT;
	struct x402_json *json = NULL;
	struct x402_span body = x402_span(
		request->http->body, request->http->body_len);

	/* net/ has held the body to the configured size already. */
	limits.max_bytes = body.len;
	enum x402_err err = x402_json_parse(body, &limits, &info, &json);
	bool empty = !body.len;
	http_exchange_drop_body(request->exchange);
	if (!err && x402_json_type(json) != X402_JSON_OBJECT) {
		x402_json_unref(json);
		*ret_step = fac_fail(request, 400,
			"expected a JSON object with paymentPayload and "
			"paymentRequirements");
		return false;
	}
	if (!err) {
		*ret_json = json;
		return true;
	}
	if (err == X402_ERR_NOMEM)
		*ret_step = fac_fail(request, 500, "out of memory");
	else
		*ret_step = fac_fail(request, x402_err_http_status(err),
			"expected a JSON object: %s",
			empty                  ? "the body is empty"
				: info.text[0] ? info.text
					       : x402_err_text(err));
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* NULL for a bad escape, an escaped NUL, or without memory. */
static char *percent_decode(const char *text, size_t len)
{
	char *out = malloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; out && i < len; i++) {
		char c = text[i] == '+' ? ' ' : text[i];
		if (c == '%') {
			bool whole = len - i > 2;
			int high = whole ? hex_digit(text[i + 1]) : -1;
			int low = whole ? hex_digit(text[i + 2]) : -1;
			if (high < 0 || low < 0 || (!high && !low)) {
				free(out);
				return NULL;
			}
			c = (char)(high * 16 + low);
			i += 2;
		}
		out[n++] = c;
	}
	if (out)
		out[n] = '\0';
	return out;
}

char *fac_request_query(
	const struct fac_request *request, const char *name, bool *ret_bad)
{
	const char *query = request->http->query;
	size_t name_len = strlen(name);
	char *found = NULL;

	for (const char *p = query; p && *p;) {
		size_t len = strcspn(p, "&");
		if (len > name_len && p[name_len] == '=' &&
			!strncmp(p, name, name_len)) {
			char *value = percent_decode(
				p + name_len + 1, len - name_len - 1);
			if (found || !value)
				*ret_bad = true;
			free(found);
			found = value;
		}
		p += len + (p[len] == '&');
	}
	return found;
}

const char *fac_request_path_rest(
	const struct fac_request *request, const char *prefix)
{
	const char *path = request->http->path;
	size_t len = strlen(prefix);

	return strncmp(path, prefix, len) ? NULL : path + len;
}

/* ---- Answering. ---- */

void fac_request_add_header(
	struct fac_request *request, const char *name, const char *value)
{
	assert(request->headers_len < FAC_REQUEST_HEADERS_MAX);
	char *copy = strdup(value);
	if (!copy)
		return; /* an answer without it beats no answer */
	request->headers[request->headers_len].name = name;
	request->headers[request->headers_len++].value = copy;
}

struct fac_step fac_wait(struct fac_request *request)
{
	return (struct fac_step){request};
}

static void fill_head(struct fac_request *request, int status,
	const char *content_type, struct http_response *ret_response)
{
	struct fac_header cors[FAC_CORS_HEADERS_MAX];
	size_t cors_len = fac_cors_headers(&request->app->settings, cors);

	request->status = status;
	http_response_init(ret_response, status);
	for (size_t i = 0; i < cors_len; i++)
		http_response_header(ret_response, cors[i].name, cors[i].value);
	for (size_t i = 0; i < request->headers_len; i++)
		http_response_header(ret_response, request->headers[i].name,
			request->headers[i].value);
	http_response_header(ret_response, "X-Request-Id", request->id);
	if (content_type)
		http_response_header(
			ret_response, "Content-Type", content_type);
}

/* The one place where a whole answer leaves. Frees the request. */
static struct fac_step send_as(struct fac_request *request, int status,
	const char *content_type, struct x402_span body)
{
	struct http_response response;

	fill_head(request, status, body.len ? content_type : NULL, &response);
	http_response_body(&response, body.ptr, body.len);
	http_exchange_reply(request->exchange, &response);
	http_response_clear(&response);
	free_request(request);
	return (struct fac_step){NULL};
}

static struct fac_step send_answer(
	struct fac_request *request, int status, struct x402_span body)
{
	return send_as(request, status, "application/json", body);
}

struct fac_step fac_reply_as(struct fac_request *request, int status,
	const char *content_type, const char *text)
{
	return send_as(request, status, content_type, x402_span_str(text));
}

bool fac_stream_begin(struct fac_request *request, const char *content_type)
{
	struct http_response head;

	fill_head(request, 200, content_type, &head);
	bool reads_on = http_exchange_stream_start(request->exchange, &head);
	http_response_clear(&head);
	return reads_on;
}

bool fac_stream_write(struct fac_request *request, struct x402_span bytes)
{
	return http_exchange_stream_write(
		request->exchange, bytes.ptr, bytes.len);
}

struct fac_step fac_stream_end(struct fac_request *request)
{
	http_exchange_stream_end(request->exchange);
	free_request(request);
	return (struct fac_step){NULL};
}

struct fac_step fac_reply_text(
	struct fac_request *request, int status, const char *text)
{
	return send_answer(request, status, x402_span_str(text));
}

struct fac_step fac_reply_empty(struct fac_request *request, int status)
{
	return send_answer(request, status, x402_span(NULL, 0));
}

struct fac_step fac_reply(
	struct fac_request *request, int status, struct x402_json *json)
{
	char *text = json ? x402_json_dump(json) : NULL;

	x402_json_unref(json);
	if (!text)
		return send_answer(request, 500,
			x402_span_str("{\"error\":\"out of memory\"}"));
	struct fac_step step = fac_reply_text(request, status, text);
	free(text);
	return step;
}

static struct fac_step reply_error(
	struct fac_request *request, int status, const char *text)
{
	struct x402_json *json = x402_json_new_object();

	if (json &&
		(x402_json_set_string(json, "error", text) ||
			x402_json_set_string(json, "requestId", request->id))) {
		x402_json_unref(json);
		json = NULL;
	}
	return fac_reply(request, status, json);
}

struct fac_step fac_fail(
	struct fac_request *request, int status, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (status >= 500) {
		struct fac_log_line line;
		fac_log_begin(&line, FAC_LOG_ERROR, "failed");
		fac_log_str(&line, "request", request->id);
		fac_log_blame(&line, X402_BLAME_US);
		fac_log_str(&line, "text", text);
		fac_log_end(&line);
	}
	return reply_error(request, status, text);
}

struct fac_step fac_busy(struct fac_request *request, const char *text)
{
	fac_request_add_header(request, "Retry-After", BUSY_RETRY_AFTER);
	return reply_error(request, 503, text);
}

static void go_on(void *arg)
{
	struct fac_request *request = arg;

	fac_end(request->next(request->next_user));
}

struct fac_step fac_go_on(struct fac_request *request,
	struct fac_step (*step)(void *user), void *user)
{
	request->next = step;
	request->next_user = user;
	fac_loop_stage(request->app->loop, &request->stage, go_on, request);
	return fac_wait(request);
}

/* ---- Routes. ---- */

static const struct fac_route public_routes[] = {
	{"/verify", false, FAC_ROUTE_VERIFY, NULL, fac_api_verify},
	{"/settle", false, FAC_ROUTE_SETTLE, NULL, fac_api_settle},
	{"/supported", false, FAC_ROUTE_SUPPORTED, fac_api_supported, NULL},
	{"/health", false, FAC_ROUTE_HEALTH, fac_api_health, NULL},
	{"/discovery/resources", false, FAC_ROUTE_RESOURCES,
		fac_api_discovery_list, fac_api_discovery_post},
	{"/payments/", true, FAC_ROUTE_PAYMENT, fac_api_payment, NULL},
};

static struct fac_step method_not_allowed(
	struct fac_request *request, bool get, bool post)
{
	fac_request_add_header(request, "Allow",
		get && post   ? "GET, HEAD, POST, OPTIONS"
			: get ? "GET, HEAD, OPTIONS"
			      : "POST, OPTIONS");
	return fac_fail(request, 405, "expected %s here, got %.20s",
		get && post   ? "GET or POST"
			: get ? "GET"
			      : "POST",
		request->http->method);
}

/* Says what there is: somebody who looks for a path is a person. */
static struct fac_step not_found(struct fac_request *request,
	const struct fac_route *routes, size_t routes_len)
{
	struct x402_buf paths = {0};

	for (size_t i = 0; i < routes_len; i++)
		x402_buf_printf(&paths, "%s%s%s", i ? ", " : "", routes[i].path,
			routes[i].prefix ? "{id}" : "");
	x402_buf_add_byte(&paths, '\0');
	struct fac_step step = fac_fail(request, 404,
		"no such path; expected one of %s",
		paths.failed ? "those in the manual" : (char *)paths.ptr);
	x402_buf_clear(&paths);
	return step;
}

static bool matches(const struct fac_route *route, const char *path)
{
	return route->prefix ? !strncmp(path, route->path, strlen(route->path))
			     : !strcmp(path, route->path);
}

static struct fac_step dispatch(struct fac_request *request)
{
	const struct fac_app *app = request->app;
	const struct fac_route *routes = app->routes ? app->routes
						     : public_routes;
	size_t routes_len = app->routes
		? app->routes_len
		: sizeof(public_routes) / sizeof(*public_routes);
	const char *method = request->http->method;
	bool is_get = !strcmp(method, "GET") || !strcmp(method, "HEAD");

	if (!strcmp(method, "OPTIONS"))
		return fac_api_preflight(request);
	for (size_t i = 0; i < routes_len; i++) {
		const struct fac_route *route = &routes[i];
		if (!matches(route, request->http->path))
			continue;
		request->route = route->name;
		if (is_get && route->get)
			return route->get(request);
		if (!strcmp(method, "POST") && route->post)
			return route->post(request);
		return method_not_allowed(request, route->get, route->post);
	}
	return not_found(request, routes, routes_len);
}

/* The exchange lives until it is answered, so request does too. */
static void on_gone(void *user)
{
	struct fac_request *request = user;

	request->gone = true;
	if (request->on_gone)
		request->on_gone(request);
}

static char *add_hex(char *to, uint64_t value)
{
	char digits[16];
	size_t n = 0;

	do
		digits[n++] = "0123456789abcdef"[value & 15];
	while (value >>= 4);
	while (n)
		*to++ = digits[--n];
	return to;
}

/* Daemon, worker, number: unlike any other's, and guessed by anybody. */
static void make_id(struct fac_app *app, char ret_id[FAC_REQUEST_ID_SIZE])
{
	static_assert(FAC_REQUEST_ID_SIZE >= 16 + 1 + 8 + 1 + 16 + 1,
		"64, 32 and 64 bits in hex");
	char *to = add_hex(ret_id, app->boot_unix_ms);

	*to++ = '-';
	to = add_hex(to, app->worker);
	*to++ = '-';
	to = add_hex(to, ++app->requests);
	*to = '\0';
}

void fac_api_dispatch(struct fac_app *app, struct http_exchange *exchange)
{
	struct fac_request *request = calloc(1, sizeof(*request));

	if (!request)
		abort(); /* style.md 5: the truth is in the database */
	request->app = app;
	request->exchange = exchange;
	request->http = http_exchange_request(exchange);
	request->started_ms = fac_loop_now_ms(app->loop);
	app->open_requests++;
	count_open(app);
	make_id(app, request->id);
	http_exchange_on_cancelled(exchange, on_gone, request);
	fac_end(dispatch(request));
}
