/*
 * request.c: the request in curl's words: -X -H -d -F -G -I -u --json, with
 * curl's meaning, turned into what the client sends. Forms are form.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "request.h"

/* Largest body read from a file: it is kept in memory to be sent again. */
#define DATA_MAX_BYTES ((size_t)64 * 1024 * 1024)
/* Largest file of headers. */
#define HEADER_FILE_MAX_BYTES ((size_t)64 * 1024)

static bool read_file(const char *path, size_t max, struct x402_buf *buf)
{
	bool std = strcmp(path, "-") == 0;
	FILE *file = std ? stdin : fopen(path, "rb");
	if (!file) {
		(void)cli_error(
			CLI_USAGE, "usage", "%s: %s", path, strerror(errno));
		return false;
	}
	char chunk[16384];
	size_t got;
	while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0 &&
		buf->len <= max)
		x402_buf_add(buf, x402_span(chunk, got));
	bool ok = !ferror(file) && buf->len <= max && !buf->failed;
	if (!std)
		(void)fclose(file);
	if (!ok)
		(void)cli_error(CLI_USAGE, "usage",
			"%s: expected a readable file of at most %zu bytes",
			path, max);
	return ok;
}

bool cli_request_read_file(const char *path, struct x402_buf *buf)
{
	return read_file(path, DATA_MAX_BYTES, buf);
}

bool cli_request_add_part(struct cli_request *request, struct x402_buf *part)
{
	struct x402_buf *parts = realloc(
		request->parts, (request->parts_len + 1) * sizeof(*parts));
	if (!parts)
		return false;
	request->parts = parts;
	parts[request->parts_len++] = *part;
	*part = (struct x402_buf){0};
	return !parts[request->parts_len - 1].failed;
}

static bool add_header(
	struct cli_request *request, struct x402_span name, const char *value)
{
	struct x402_client_header *headers = realloc(request->headers,
		(request->headers_len + 1) * sizeof(*headers));
	if (!headers)
		return false;
	request->headers = headers;
	char *copy = strndup((const char *)name.ptr, name.len);
	char *value_copy = value ? strdup(value) : NULL;
	if (!copy || (value && !value_copy)) {
		free(copy);
		free(value_copy);
		return false;
	}
	headers[request->headers_len++] = (struct x402_client_header){
		copy, value_copy};
	return true;
}

/* "Name: value", "Name:" (drop a default), "Name;" (send it empty). */
static bool header_line(struct cli_request *request, const char *line)
{
	size_t len = strcspn(line, ":;");
	if (line[len] == ';' && line[len + 1] == '\0')
		return add_header(request, x402_span(line, len), "");
	if (line[len] != ':') {
		(void)cli_error(CLI_USAGE, "usage",
			"-H: expected \"Name: value\", got \"%s\"", line);
		return false;
	}
	const char *value = line + len + 1;
	value += strspn(value, " \t");
	return add_header(request, x402_span(line, len), *value ? value : NULL);
}

bool cli_request_header(struct cli_request *request, const char *line)
{
	if (line[0] != '@')
		return header_line(request, line);
	struct x402_buf buf = {0};
	bool ok = read_file(line + 1, HEADER_FILE_MAX_BYTES, &buf);
	char *text = ok ? x402_buf_take_str(&buf) : NULL;
	x402_buf_clear(&buf);
	if (!text)
		return false;
	char *rest = text;
	for (char *one; ok && (one = strsep(&rest, "\n"));) {
		one[strcspn(one, "\r")] = '\0';
		if (*one)
			ok = header_line(request, one);
	}
	free(text);
	return ok;
}

static void strip_line_breaks(struct x402_buf *buf)
{
	size_t kept = 0;
	for (size_t i = 0; i < buf->len; i++) {
		uint8_t c = buf->ptr[i];
		if (c != '\r' && c != '\n' && c != '\0')
			buf->ptr[kept++] = c;
	}
	buf->len = kept;
}

bool cli_request_data(struct cli_request *request, const char *value, int key)
{
	bool json = key == CLI_KEY_JSON;
	if (request->has_data && !json)
		x402_buf_add_byte(&request->data, '&');
	request->has_data = true;
	request->json |= json;
	if (key == CLI_KEY_DATA_RAW || value[0] != '@') {
		x402_buf_add_str(&request->data, value);
		return !request->data.failed;
	}
	struct x402_buf buf = {0};
	bool ok = read_file(value + 1, DATA_MAX_BYTES, &buf);
	if (ok && key == 'd')
		strip_line_breaks(&buf);
	if (ok)
		x402_buf_add(&request->data, x402_buf_span(&buf));
	x402_buf_clear(&buf);
	return ok && !request->data.failed;
}

static bool has_header(const struct cli_request *request, const char *name)
{
	for (size_t i = 0; i < request->headers_len; i++)
		if (strcasecmp(request->headers[i].name, name) == 0)
			return true;
	return false;
}

static bool default_header(
	struct cli_request *request, const char *name, const char *value)
{
	return has_header(request, name) ||
		add_header(request, x402_span_str(name), value);
}

static bool add_basic_auth(struct cli_request *request)
{
	struct x402_buf pair = {0};
	struct x402_buf value = {0};
	x402_buf_add_str(&pair, request->user);
	if (!strchr(request->user, ':'))
		x402_buf_add_byte(&pair, ':');
	x402_buf_add_str(&value, "Basic ");
	x402_base64_encode(x402_buf_span(&pair), &value);
	x402_buf_clear(&pair);
	char *text = x402_buf_take_str(&value);
	bool ok = text && default_header(request, "Authorization", text);
	free(text);
	/* As curl does: a list of processes shows it no longer. */
	char *given = (char *)(uintptr_t)request->user;
	memset(given, ' ', strlen(given));
	return ok;
}

/* The URL with a scheme (https unless said) and, with -G, the data. */
static bool make_url(struct cli_request *request)
{
	struct x402_buf url = {0};
	const char *text = request->url;
	if (!strstr(text, "://"))
		x402_buf_add_str(&url, "https://");
	size_t len = strcspn(text, "#");
	x402_buf_add(&url, x402_span(text, len));
	if (request->query && request->has_data) {
		x402_buf_add_byte(&url, memchr(text, '?', len) ? '&' : '?');
		x402_buf_add(&url, x402_buf_span(&request->data));
	}
	request->final_url = x402_buf_take_str(&url);
	return request->final_url != NULL;
}

/* The body's type, and for a form the body itself. */
static bool set_type(struct cli_request *request)
{
	char *form = NULL;
	if (!request->parts_len)
		return default_header(request, "Content-Type",
			request->json ? "application/json"
				      : "application/x-www-form-urlencoded");
	bool ok = cli_request_finish_form(request, &form) &&
		default_header(request, "Content-Type", form);
	free(form);
	return ok;
}

static bool is_sound(const struct cli_request *request)
{
	bool ok = request->url != NULL;
	if (!ok)
		(void)cli_error(CLI_USAGE, "usage", "expected a URL");
	else if (request->parts_len && (request->has_data || request->query)) {
		ok = false;
		(void)cli_error(CLI_USAGE, "usage",
			"-F: expected no -d, --json or -G beside it");
	}
	return ok;
}

bool cli_request_finish(
	struct cli_request *request, struct x402_client_request *ret_request)
{
	if (!is_sound(request))
		return false;
	bool body = (request->has_data && !request->query) ||
		request->parts_len;
	bool ok = make_url(request);
	if (ok && body)
		ok = set_type(request);
	if (ok && body && request->json)
		ok = default_header(request, "Accept", "application/json");
	if (ok && request->user)
		ok = add_basic_auth(request);
	if (!ok) {
		(void)cli_error(CLI_GENERAL, "internal_error", "out of memory");
		return false;
	}
	const char *method = request->method;
	if (!method)
		method = request->head ? "HEAD" : body ? "POST" : "GET";
	*ret_request = (struct x402_client_request){
		.url = request->final_url,
		.method = method,
		.headers = request->headers,
		.headers_len = request->headers_len,
	};
	if (body)
		ret_request->body = x402_buf_span(&request->data);
	return true;
}

void cli_request_clear(struct cli_request *request)
{
	for (size_t i = 0; i < request->headers_len; i++) {
		free((char *)request->headers[i].name);
		free((char *)request->headers[i].value);
	}
	free(request->headers);
	free(request->final_url);
	x402_buf_clear(&request->data);
	for (size_t i = 0; i < request->parts_len; i++)
		x402_buf_clear(&request->parts[i]);
	free(request->parts);
	*request = (struct cli_request){0};
}
