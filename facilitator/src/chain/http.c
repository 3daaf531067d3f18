/*
 * libcurl's multi interface on a libuv loop: curl says which sockets to watch
 * and when to wake it; we do both and tell it what happened. Connections are
 * kept alive by curl between posts.
 *
 * Redirects are not followed and only http and https are spoken: an endpoint
 * cannot send us elsewhere, where the URL's secret would go along.
 */
#include "chain/http_p.h"
#include "run/loop.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

/* One endpoint gets at most so many connections from one thread. */
#define CONNECTIONS_MAX 16L
/* How exactly a deadline is kept, where curl does not keep it. */
#define LATE_MS 50
/* A dead endpoint must not eat the whole deadline. */
#define CONNECT_TIMEOUT_MS 3000L
/* Idle connections that are kept, over all endpoints of a chain. */
#define CONNECTIONS_KEPT 64L
/* Ended posts that wait to be used again, their curl handles set up. */
#define SPARE_MAX 32
/* A spare's buffer above this is given back: most answers are far smaller. */
#define SPARE_BYTES_MAX ((size_t)64 * 1024)

struct fac_http_post {
	struct fac_http_post *next;
	struct fac_http_post **slot; /* where the list points at us */
	struct fac_http *http;
	CURL *easy;
	struct curl_slist *headers; /* of its own; NULL: those of all */
	size_t answer_max;
	struct x402_buf body;
	bool too_large;
	CURLcode code;
	bool added;
	uint64_t deadline_ms; /* the loop's clock */
	void (*done)(void *user, const struct fac_http_answer *answer);
	void *user;
};

struct watch {
	uv_poll_t poll;
	struct fac_http *http;
	curl_socket_t socket;
};

struct fac_http {
	struct fac_loop *loop;
	CURLM *multi;
	struct curl_slist *headers;
	struct fac_timer *timer;  /* curl's wish to be woken */
	struct fac_timer *refuse; /* answers posts that could not start */
	struct fac_timer *late;   /* ... and those that curl holds back */
	bool late_runs;
	struct fac_http_post *posts;
	struct fac_http_post *spare; /* linked by next */
	size_t spare_len;
	bool closing;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
	/* Fails only when memory is out; every later call then fails. */
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- Ends. ---- */

static void unlink_post(struct fac_http_post *post)
{
	*post->slot = post->next;
	if (post->next)
		post->next->slot = post->slot;
}

/* Kept for the next post, or given up. */
static void drop_post(struct fac_http_post *post)
{
	struct fac_http *http = post->http;

	curl_slist_free_all(post->headers);
	post->headers = NULL;
	if (http->closing || http->spare_len == SPARE_MAX ||
		post->body.cap > SPARE_BYTES_MAX) {
		curl_easy_cleanup(post->easy);
		x402_buf_clear(&post->body);
		free(post);
		return;
	}
	post->body.len = 0;
	post->next = http->spare;
	http->spare = post;
	http->spare_len++;
}

static void leave_multi(struct fac_http_post *post)
{
	unlink_post(post);
	if (post->added)
		(void)curl_multi_remove_handle(post->http->multi, post->easy);
}

static void end_post(struct fac_http_post *post, bool cancelled)
{
	struct fac_http_answer answer = {.cancelled = cancelled, .error = ""};
	curl_off_t retry_after = 0;

	leave_multi(post);
	if (!cancelled && !post->code && post->added) {
		curl_easy_getinfo(
			post->easy, CURLINFO_RESPONSE_CODE, &answer.status);
		curl_easy_getinfo(
			post->easy, CURLINFO_RETRY_AFTER, &retry_after);
		answer.retry_after_s = retry_after > 3600 ? 3600
							  : (long)retry_after;
		answer.body = x402_buf_span(&post->body);
	} else if (post->too_large) {
		answer.too_large = true;
		answer.error = "answer exceeds the size limit";
	} else if (!post->added) {
		answer.error = "cannot start a request";
	} else {
		/* curl's own text can quote the URL; its class cannot. */
		answer.error = curl_easy_strerror(post->code);
		answer.timed_out = post->code == CURLE_OPERATION_TIMEDOUT;
	}
	post->done(post->user, &answer);
	drop_post(post);
}

void fac_http_cancel(struct fac_http_post *post)
{
	leave_multi(post);
	drop_post(post);
}

static void take_messages(struct fac_http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct fac_http_post *post = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(
			message->easy_handle, CURLINFO_PRIVATE, &post);
		post->code = message->data.result;
		end_post(post, false);
	}
}

/* ---- Sockets and time. ---- */

static void on_socket_event(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct fac_http *http = watch->http;
	int flags = 0;
	int running;

	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	(void)curl_multi_socket_action(
		http->multi, watch->socket, flags, &running);
	take_messages(http);
}

static void on_curl_timer(void *arg)
{
	struct fac_http *http = arg;
	int running;

	(void)curl_multi_socket_action(
		http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_messages(http);
}

static int set_timer(CURLM *multi, long timeout_ms, void *user)
{
	struct fac_http *http = user;

	(void)multi;
	if (http->closing)
		return 0;
	/* Never inside curl's call: 0 means the next turn. */
	if (timeout_ms < 0)
		fac_timer_stop(http->timer);
	else
		fac_timer_start(http->timer, (uint64_t)timeout_ms, 0);
	return 0;
}

static void on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static int set_socket(
	CURL *easy, curl_socket_t socket, int what, void *user, void *slot)
{
	struct fac_http *http = user;
	struct watch *watch = slot;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch) {
			(void)curl_multi_assign(http->multi, socket, NULL);
			uv_poll_stop(&watch->poll);
			uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
		}
		return 0;
	}
	if (!watch) {
		watch = calloc(1, sizeof(*watch));
		if (!watch)
			abort();
		watch->http = http;
		watch->socket = socket;
		if (uv_poll_init_socket(
			    fac_loop_uv(http->loop), &watch->poll, socket)) {
			free(watch);
			return -1;
		}
		watch->poll.data = watch;
		(void)curl_multi_assign(http->multi, socket, watch);
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= UV_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&watch->poll, events, on_socket_event) ? -1 : 0;
}

/* ---- Posting. ---- */

static size_t take_body(char *bytes, size_t size, size_t count, void *user)
{
	struct fac_http_post *post = user;
	size_t len = size * count;

	if (len > post->answer_max - post->body.len) {
		post->too_large = true;
		return 0;
	}
	x402_buf_add(&post->body, x402_span(bytes, len));
	return post->body.failed ? 0 : len;
}

static void on_refuse(void *arg)
{
	struct fac_http *http = arg;
	struct fac_http_post *post = http->posts;

	/* From the start after each: its done may have cancelled others. */
	while (post) {
		if (post->added) {
			post = post->next;
			continue;
		}
		end_post(post, false);
		post = http->posts;
	}
}

/*
 * curl counts a request's time from when it has a connection: one that waits
 * for one would be answered long after its deadline.
 */
static void on_late(void *arg)
{
	struct fac_http *http = arg;
	struct fac_http_post *post = http->posts;
	uint64_t now_ms = fac_loop_now_ms(http->loop);

	while (post) {
		if (now_ms < post->deadline_ms) {
			post = post->next;
			continue;
		}
		post->code = CURLE_OPERATION_TIMEDOUT;
		end_post(post, false);
		post = http->posts; /* its done may have ended others */
	}
	http->late_runs = http->posts;
	if (!http->late_runs)
		fac_timer_stop(http->late);
}

/* The headers of all posts, and the request's own behind them. */
static void set_headers(
	struct fac_http_post *post, const struct fac_http_request *request)
{
	const struct curl_slist *shared = post->http->headers;

	for (; request->headers[0] && shared; shared = shared->next)
		post->headers = curl_slist_append(post->headers, shared->data);
	for (size_t i = 0; i < FAC_HTTP_HEADERS_MAX && request->headers[i]; i++)
		post->headers = curl_slist_append(
			post->headers, request->headers[i]);
	if (request->headers[0] && !post->headers)
		abort();
	curl_easy_setopt(post->easy, CURLOPT_HTTPHEADER,
		post->headers ? post->headers : post->http->headers);
}

/* What is the same for all posts, set once in the life of a handle. */
static void set_constants(struct fac_http_post *post)
{
	CURL *easy = post->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, post);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, post);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(
		easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

static void set_request(
	struct fac_http_post *post, const struct fac_http_request *request)
{
	CURL *easy = post->easy;
	long timeout_ms = request->timeout_ms ? (long)request->timeout_ms : 1;

	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
		(curl_off_t)request->body.len);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.ptr);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	set_headers(post, request);
}

static struct fac_http_post *take_post(struct fac_http *http)
{
	struct fac_http_post *post = http->spare;

	if (post) {
		http->spare = post->next;
		http->spare_len--;
		post->too_large = false;
		post->code = CURLE_OK;
	} else {
		post = calloc(1, sizeof(*post));
		if (!post)
			abort();
		post->http = http;
		post->easy = curl_easy_init();
		if (!post->easy)
			abort();
		set_constants(post);
	}
	post->slot = &http->posts;
	post->next = http->posts;
	if (post->next)
		post->next->slot = &post->next;
	http->posts = post;
	return post;
}

struct fac_http_post *fac_http_post(struct fac_http *http, const char *url,
	struct x402_span body, uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_http_answer *answer),
	void *user)
{
	struct fac_http_request request = {
		.url = url, .body = body, .timeout_ms = timeout_ms};

	return fac_http_send(http, &request, done, user);
}

struct fac_http_post *fac_http_send(struct fac_http *http,
	const struct fac_http_request *request,
	void (*done)(void *user, const struct fac_http_answer *answer),
	void *user)
{
	struct fac_http_post *post = take_post(http);

	post->done = done;
	post->user = user;
	post->answer_max = request->answer_max ? request->answer_max
					       : FAC_HTTP_ANSWER_MAX;
	set_request(post, request);
	post->deadline_ms = fac_loop_now_ms(http->loop) + request->timeout_ms +
		LATE_MS;
	if (!http->late_runs)
		fac_timer_start(http->late, LATE_MS, LATE_MS);
	http->late_runs = true;
	post->added = curl_multi_add_handle(http->multi, post->easy) ==
		CURLM_OK;
	if (!post->added)
		fac_timer_start(http->refuse, 0, 0);
	return post;
}

enum x402_err fac_http_new(struct fac_loop *loop, struct fac_http **ret_http)
{
	struct fac_http *http = calloc(1, sizeof(*http));

	(void)pthread_once(&curl_once, init_curl);
	if (!http)
		return X402_ERR_NOMEM;
	http->loop = loop;
	http->multi = curl_multi_init();
	http->headers = curl_slist_append(
		NULL, "content-type: application/json");
	/* No waiting for 100-continue: the body is what matters. */
	if (http->headers)
		(void)curl_slist_append(http->headers, "expect:");
	if (!http->multi || !http->headers ||
		fac_timer_new(loop, on_curl_timer, http, &http->timer) ||
		fac_timer_new(loop, on_refuse, http, &http->refuse) ||
		fac_timer_new(loop, on_late, http, &http->late)) {
		fac_http_free(http);
		return X402_ERR_NOMEM;
	}
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(
		http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, CONNECTIONS_MAX);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	*ret_http = http;
	return X402_OK;
}

void fac_http_free(struct fac_http *http)
{
	if (!http)
		return;
	http->closing = true;
	while (http->posts)
		end_post(http->posts, true);
	while (http->spare) {
		struct fac_http_post *post = http->spare;

		http->spare = post->next;
		http->spare_len--;
		drop_post(post);
	}
	/* Closes kept connections, and so removes their watches. */
	curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->headers);
	fac_timer_free(http->timer);
	fac_timer_free(http->refuse);
	fac_timer_free(http->late);
	free(http);
}
