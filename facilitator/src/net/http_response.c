/*
 * Answers as bytes: status line, our own framing headers, the caller's, body.
 */
#include "net/http_response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void http_bytes_add(struct http_bytes *bytes, const void *data, size_t len)
{
	if (bytes->failed || len == 0)
		return;
	if (bytes->len + len > bytes->cap) {
		size_t cap = bytes->cap ? bytes->cap : 512;
		char *ptr;

		while (cap < bytes->len + len)
			cap *= 2;
		ptr = realloc(bytes->ptr, cap);
		if (!ptr) {
			bytes->failed = true;
			return;
		}
		bytes->ptr = ptr;
		bytes->cap = cap;
	}
	memcpy(bytes->ptr + bytes->len, data, len);
	bytes->len += len;
}

void http_bytes_clear(struct http_bytes *bytes)
{
	free(bytes->ptr);
	memset(bytes, 0, sizeof(*bytes));
}

static void add_str(struct http_bytes *bytes, const char *text)
{
	http_bytes_add(bytes, text, strlen(text));
}

void http_response_init(struct http_response *response, int status)
{
	memset(response, 0, sizeof(*response));
	response->status = status;
}

/* RFC 9110 token. */
static bool is_token(const char *name)
{
	static const char others[] = "!#$%&'*+.^_`|~";

	if (!*name)
		return false;
	for (; *name; name++) {
		char c = *name;
		char lower = (char)(c | 0x20);

		if (!(lower >= 'a' && lower <= 'z') && c != '-' &&
			!(c >= '0' && c <= '9') && !strchr(others, c))
			return false;
	}
	return true;
}

void http_response_header(
	struct http_response *response, const char *name, const char *value)
{
	if (!is_token(name) || strpbrk(value, "\r\n")) {
		response->spoiled = true;
		return;
	}
	add_str(&response->headers, name);
	add_str(&response->headers, ": ");
	add_str(&response->headers, value);
	add_str(&response->headers, "\r\n");
}

void http_response_body(
	struct http_response *response, const void *body, size_t len)
{
	response->body = body;
	response->body_len = len;
}

void http_response_clear(struct http_response *response)
{
	http_bytes_clear(&response->headers);
	response->body = NULL;
	response->body_len = 0;
}

static const char *phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {{200, "OK"}, {201, "Created"}, {202, "Accepted"},
		{204, "No Content"}, {206, "Partial Content"},
		{301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"},
		{304, "Not Modified"}, {307, "Temporary Redirect"},
		{308, "Permanent Redirect"}, {400, "Bad Request"},
		{401, "Unauthorized"}, {402, "Payment Required"},
		{403, "Forbidden"}, {404, "Not Found"},
		{405, "Method Not Allowed"}, {408, "Request Timeout"},
		{409, "Conflict"}, {412, "Precondition Failed"},
		{413, "Content Too Large"}, {414, "URI Too Long"},
		{415, "Unsupported Media Type"}, {429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"}, {501, "Not Implemented"},
		{502, "Bad Gateway"}, {503, "Service Unavailable"},
		{504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"}};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Status";
}

static void add_number(struct http_bytes *bytes, size_t value)
{
	char text[20]; /* as many digits as 2^64 has */
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	http_bytes_add(bytes, text + at, sizeof(text) - at);
}

static void write_plain(const struct http_response *response,
	const struct http_response_framing *framing, struct http_bytes *out)
{
	bool bodiless = response->status == 204 || response->status == 304;

	add_str(out, "HTTP/1.1 ");
	add_number(out, (size_t)response->status);
	add_str(out, " ");
	add_str(out, phrase(response->status));
	add_str(out, "\r\n");
	if (framing->date) {
		add_str(out, "Date: ");
		add_str(out, framing->date);
		add_str(out, "\r\n");
	}
	if (framing->chunked)
		add_str(out, "Transfer-Encoding: chunked\r\n");
	else if (!framing->stream && !bodiless) {
		add_str(out, "Content-Length: ");
		add_number(out, response->body_len);
		add_str(out, "\r\n");
	}
	add_str(out,
		framing->keep_alive ? "Connection: keep-alive\r\n"
				    : "Connection: close\r\n");
	http_bytes_add(out, response->headers.ptr, response->headers.len);
	add_str(out, "\r\n");
	if (!framing->head && !framing->stream && !bodiless)
		http_bytes_add(out, response->body, response->body_len);
}

void http_response_write(const struct http_response *response,
	const struct http_response_framing *framing, struct http_bytes *out)
{
	static const char spoiled_body[] =
		"{\"error\":\"the answer could not be written as HTTP\"}";
	struct http_response_framing whole = *framing;
	struct http_response instead;

	if (!response->spoiled && !response->headers.failed) {
		write_plain(response, framing, out);
		return;
	}
	http_response_init(&instead, 500);
	http_response_body(&instead, spoiled_body, sizeof(spoiled_body) - 1);
	whole.stream = whole.chunked = false;
	write_plain(&instead, &whole, out);
}

void http_response_chunk(const void *data, size_t len, struct http_bytes *out)
{
	char size[24];

	if (!len)
		return;
	snprintf(size, sizeof(size), "%zx\r\n", len);
	add_str(out, size);
	http_bytes_add(out, data, len);
	add_str(out, "\r\n");
}

void http_response_chunks_end(struct http_bytes *out)
{
	add_str(out, "0\r\n\r\n");
}
