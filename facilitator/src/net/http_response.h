/*
 * http_response.h: an answer as one run of bytes. No I/O.
 *
 * A header that could smuggle another one in (CR, LF or NUL in its value, no
 * token as its name) spoils the whole answer: a 500 goes out in its place.
 *
 * Thread rule: a response belongs to one thread.
 */
#ifndef NET_HTTP_RESPONSE_H
#define NET_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that grow; failed is set when memory is out. */
struct http_bytes {
	char *ptr;
	size_t len;
	size_t cap;
	bool failed;
};
void http_bytes_add(struct http_bytes *bytes, const void *data, size_t len);
void http_bytes_clear(struct http_bytes *bytes);

struct http_response {
	int status;
	struct http_bytes headers;
	const void *body; /* borrowed until the reply */
	size_t body_len;
	bool spoiled;
};

void http_response_init(struct http_response *response, int status);
/*
 * Date, Content-Length, Transfer-Encoding and Connection are ours: do not add
 * them.
 */
void http_response_header(
	struct http_response *response, const char *name, const char *value);
/* body must live until http_exchange_reply has returned. */
void http_response_body(
	struct http_response *response, const void *body, size_t len);
void http_response_clear(struct http_response *response);

struct http_response_framing {
	const char *date; /* RFC 9110 date, or NULL to leave it out */
	bool keep_alive;
	bool head; /* answer to HEAD: length without bytes */
	/*
	 * The head alone of an answer whose length nobody knows yet: with
	 * chunked its end is a chunk, without it the end of the connection.
	 */
	bool stream;
	bool chunked;
};
/*
 * Append the whole answer to out; with framing->stream only its head. A
 * spoiled one becomes a whole 500 in either case.
 */
void http_response_write(const struct http_response *response,
	const struct http_response_framing *framing, struct http_bytes *out);
/* Append one chunk; nothing for no bytes, which would end the answer. */
void http_response_chunk(const void *data, size_t len, struct http_bytes *out);
/* Append the chunk that ends an answer. */
void http_response_chunks_end(struct http_bytes *out);

#endif
