/*
 * Requests: the input is fed whole and cut in two at a point taken from it.
 * Both must see the same requests and the same refusal.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_parser *whole = http_parser_new(1024);
	struct http_parser *parts = http_parser_new(1024);
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
	http_parser_free(whole);
	http_parser_free(parts);
	return 0;
}
