/*
 * call.c: an easy handle set up as a proxy needs it. libcurl writes the request
 * line and frames both bodies itself, from values in which no line break can
 * be (net/ refuses them), so what the origin reads is what was meant.
 *
 * libcurl repeats a request by itself when a kept connection turns out to be
 * dead before an answer came. A body cannot be repeated, which libcurl sees
 * (there is no seek function); a request of a method that may not be done
 * twice gets a fresh connection.
 */
#include "call.h"

#include <stdlib.h>
#include <strings.h>

/* An origin's header block; the widest cookies fit. */
#define HEAD_MAX_BYTES ((size_t)128 * 1024)
#define BUFFER_BYTES   (64L * 1024)
/* Node and Apache close a connection that has been idle for five seconds; a
 * request that meets the end of one is lost, or must be sent twice. */
#define IDLE_MAX_S 4L

struct gw_call {
	struct x402__transfers *transfers;
	struct gw_call_owner owner;
	CURL *easy;
	struct curl_slist *headers;
	size_t head_bytes;
	bool head; /* told */
	bool content_paused;
	bool want_paused;
	bool under_way;
};

bool gw_call_add_header(
	struct curl_slist **headers, const char *name, const char *value)
{
	struct x402_buf line = {0};
	struct curl_slist *longer;
	char *text;

	x402_buf_add_str(&line, name);
	/* libcurl's way to say that a header is there and empty. */
	x402_buf_add_str(&line, *value ? ": " : ";");
	x402_buf_add_str(&line, value);
	text = x402_buf_take_str(&line);
	longer = text ? curl_slist_append(*headers, text) : NULL;
	free(text);
	if (longer)
		*headers = longer;
	return longer != NULL;
}

/* ---- What libcurl calls. ---- */

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
	struct gw_call *call = user;
	size_t len = size * n;
	long status = 0;

	call->head_bytes += len;
	if (call->head_bytes > HEAD_MAX_BYTES)
		return 0; /* ends the transfer */
	if (call->head || len > 2 || data[0] != '\r')
		return len;
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return len; /* 100 Continue and the like: the real one comes */
	call->head = true;
	call->owner.on_head(call->owner.user);
	return len;
}

static size_t on_write(char *data, size_t size, size_t n, void *user)
{
	struct gw_call *call = user;

	if (call->owner.on_content(call->owner.user, data, size * n)) {
		call->content_paused = false;
		return size * n;
	}
	call->content_paused = true;
	return CURL_WRITEFUNC_PAUSE;
}

static size_t on_read(char *data, size_t size, size_t n, void *user)
{
	struct gw_call *call = user;
	ptrdiff_t got = call->owner.on_want(call->owner.user, data, size * n);

	call->want_paused = got == GW_WANT_NONE_YET;
	if (got == GW_WANT_NONE_YET)
		return CURL_READFUNC_PAUSE;
	return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static void on_done(void *user, CURLcode code)
{
	struct gw_call *call = user;

	call->under_way = false;
	call->owner.on_end(call->owner.user, code);
}

/* ---- Begin and end. ---- */

static bool repeatable(const char *method)
{
	static const char *const methods[] = {
		"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i], method) == 0)
			return true;
	return false;
}

static CURLcode set_up_body(
	CURL *easy, const struct gw_call_options *options, struct gw_call *call)
{
	CURLcode bad = CURLE_OK;

#define SET(option, value) \
	(bad = bad ? bad : curl_easy_setopt(easy, (option), (value)))
	if (options->has_body) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_READFUNCTION, on_read);
		SET(CURLOPT_READDATA, call);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)options->body_length);
		SET(CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
	} else if (strcmp(options->method, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
	} else {
		SET(CURLOPT_HTTPGET, 1L);
		if (!repeatable(options->method))
			SET(CURLOPT_FRESH_CONNECT, 1L);
	}
	if (options->has_body || strcmp(options->method, "HEAD") != 0)
		SET(CURLOPT_CUSTOMREQUEST, options->method);
	return bad;
}

static CURLcode set_up(
	CURL *easy, const struct gw_call_options *options, struct gw_call *call)
{
	CURLcode bad = set_up_body(easy, options, call);

	SET(CURLOPT_URL, options->origin_url);
	SET(CURLOPT_REQUEST_TARGET, options->target);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* The origin is where the operator says, whatever the environment. */
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_HTTPHEADER, call->headers);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms);
	SET(CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	SET(CURLOPT_MAXAGE_CONN, IDLE_MAX_S);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, call);
	SET(CURLOPT_WRITEFUNCTION, on_write);
	SET(CURLOPT_WRITEDATA, call);
	if (options->ca_file)
		SET(CURLOPT_CAINFO, options->ca_file);
#undef SET
	return bad;
}

/* What libcurl would say by itself where the client did not. */
static bool silence(struct curl_slist **headers)
{
	bool accept = false;
	struct curl_slist *longer;

	for (const struct curl_slist *at = *headers; at; at = at->next)
		if (strncasecmp(at->data, "Accept:", 7) == 0 ||
			strncasecmp(at->data, "Accept;", 7) == 0)
			accept = true;
	longer = curl_slist_append(*headers, "Expect:");
	if (!longer)
		return false;
	*headers = longer;
	if (accept)
		return true;
	longer = curl_slist_append(*headers, "Accept:");
	if (longer)
		*headers = longer;
	return longer != NULL;
}

struct gw_call *gw_call_begin(struct x402__transfers *transfers,
	const struct gw_call_options *options,
	const struct gw_call_owner *owner)
{
	struct gw_call *call = calloc(1, sizeof(*call));

	if (!call) {
		curl_slist_free_all(options->headers);
		return NULL;
	}
	call->transfers = transfers;
	call->owner = *owner;
	call->headers = options->headers;
	call->easy = curl_easy_init();
	if (call->easy && silence(&call->headers) &&
		set_up(call->easy, options, call) == CURLE_OK)
		call->under_way = x402__transfers_begin(
			transfers, call->easy, on_done, call);
	if (call->under_way)
		return call;
	gw_call_free(call);
	return NULL;
}

void gw_call_free(struct gw_call *call)
{
	if (!call)
		return;
	if (call->under_way)
		x402__transfers_abort(call->transfers, call->easy);
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	free(call);
}

/* ---- Pauses. ---- */

static void resume(struct gw_call *call)
{
	int paused = (call->content_paused ? CURLPAUSE_RECV : 0) |
		(call->want_paused ? CURLPAUSE_SEND : 0);

	if (call->under_way)
		(void)curl_easy_pause(call->easy, paused); /* ends in on_end */
}

void gw_call_resume_content(struct gw_call *call)
{
	if (!call->content_paused)
		return;
	call->content_paused = false;
	resume(call);
}

void gw_call_resume_want(struct gw_call *call)
{
	if (!call->want_paused)
		return;
	call->want_paused = false;
	resume(call);
}

bool gw_call_content_paused(const struct gw_call *call)
{
	return call->content_paused;
}

/* ---- The answer. ---- */

unsigned gw_call_status(const struct gw_call *call)
{
	long status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	return status >= 200 && status <= 999 ? (unsigned)status : 502;
}

int64_t gw_call_length(const struct gw_call *call)
{
	curl_off_t length = -1;

	curl_easy_getinfo(
		call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	return length;
}

struct curl_header *gw_call_header(
	const struct gw_call *call, struct curl_header *previous)
{
	return curl_easy_nextheader(call->easy, CURLH_HEADER, -1, previous);
}

const char *gw_call_header_named(const struct gw_call *call, const char *name)
{
	struct curl_header *header = NULL;

	if (curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) !=
		CURLHE_OK)
		return NULL;
	return header->value;
}
