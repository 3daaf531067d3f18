/*
 * Requests: the input is fed whole, cut in two at a point taken from it, and to
 * a parser that keeps no bodies. All must see the same requests and the same
 * refusal.
 */
#include <stdlib.h>
#include <string.h>

#include "net/http_request.h"

struct seen {
	size_t requests;
	size_t bytes; /* of everything that was read */
	int status;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(struct seen *seen, struct http_request *request)
{
	seen->requests++;
	seen->bytes += strlen(request->method) + strlen(request->target) +
		strlen(request->path) + request->body_len;
	for (size_t i = 0; i < request->headers_len; i++)
		seen->bytes += strlen(request->headers[i].name) +
			strlen(request->headers[i].value);
	http_request_clear(request);
}

static void feed(struct http_parser *parser, const uint8_t *data, size_t size,
	struct seen *seen)
{
	while (size > 0 && !seen->status) {
		struct http_request request;
		size_t used = 0;

		switch (http_parser_feed(
			parser, (const char *)data, size, &used, &request)) {
		case HTTP_PARSE_MORE:
			break;
		case HTTP_PARSE_REQUEST:
			note(seen, &request);
			break;
		case HTTP_PARSE_REFUSED:
			seen->status = http_parser_status(parser);
			break;
		}
		data += used;
		size -= used;
	}
}

/* A streaming parser tells of a request before its body, so only whole ones
 * and what they had are compared. */
static bool take_body(void *user, const char *bytes, size_t len)
{
	size_t *taken = user;

	(void)bytes;
	*taken += len;
	return true;
}

static void feed_streaming(const uint8_t *data, size_t size, struct seen *seen)
{
	size_t taken = 0;
	struct http_parser *parser = http_parser_new_streaming(
		1024, take_body, &taken);
	struct http_request request;
	struct seen open = {0};
	size_t used;

	if (!parser)
		abort();
	for (; size > 0 && !seen->status; data += used, size -= used) {
		enum http_parse parse = http_parser_feed(
			parser, (const char *)data, size, &used, &request);

		if (parse == HTTP_PARSE_REQUEST) {
			taken = 0;
			note(&open, &request);
		}
		if (parse == HTTP_PARSE_REFUSED)
			seen->status = http_parser_status(parser);
		else if (open.requests > 0 &&
			http_parser_phase(parser) != HTTP_PHASE_BODY) {
			seen->requests++;
			seen->bytes += open.bytes + taken;
			memset(&open, 0, sizeof(open));
		}
	}
	http_parser_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_parser *whole = http_parser_new(1024);
	struct http_parser *parts = http_parser_new(1024);
	struct seen c = {0};
	struct seen a = {0};
	struct seen b = {0};
	size_t cut = size > 0 ? data[size / 2] % (size + 1) : 0;

	if (!whole || !parts)
		abort();
	feed(whole, data, size, &a);
	feed(parts, data, cut, &b);
	feed(parts, data + cut, size - cut, &b);
	if (a.requests != b.requests || a.bytes != b.bytes ||
		!a.status != !b.status)
		abort();
	feed_streaming(data, size, &c);
	if (a.requests != c.requests || a.bytes != c.bytes ||
		!a.status != !c.status)
		abort();
	http_parser_free(whole);
	http_parser_free(parts);
	return 0;
}
