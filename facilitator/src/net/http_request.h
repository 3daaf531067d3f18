/*
 * http_request.h: bytes in, complete HTTP/1.1 requests out. No I/O.
 *
 * Strict on purpose: what two parsers could read differently is refused
 * (folded headers, bare CR or LF, two lengths, two Hosts, trailers). Not for
 * responses, and not for HTTP/2.
 *
 * Thread rule: a parser belongs to one thread; so does a request.
 */
#ifndef NET_HTTP_REQUEST_H
#define NET_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A payment header of 16 KiB and the usual ones fit into the block. */
#define HTTP_TARGET_MAX_BYTES ((size_t)8 * 1024)
#define HTTP_HEADER_MAX_BYTES ((size_t)32 * 1024)
#define HTTP_HEADERS_MAX      100
/* A facilitator request with two of the largest payment headers fits. */
#define HTTP_BODY_MAX_BYTES ((size_t)256 * 1024)

struct http_header {
	const char *name;
	const char *value;
};

/* Strings and body live as long as the request. */
struct http_request {
	const char *method;
	const char *target; /* as it came */
	const char *path;   /* of the target, not decoded */
	const char *query;  /* behind '?', or NULL */
	const struct http_header *headers;
	size_t headers_len;
	const uint8_t *body;
	size_t body_len;
	bool keep_alive; /* what the client wants */
	bool http_1_0;   /* knows no chunked answers */
	/* How the body was announced; body_len is what is here of it. */
	bool chunked;
	uint64_t content_length; /* 0 with chunked */
	/* Private: the block behind all but the body, and the body's own. */
	void *memory;
	void *body_memory;
	size_t memory_len; /* of both as they came */
};

/*
 * The value of a header, without regard to case; NULL when absent.
 * *ret_doubled (may be NULL) is set when there is more than one: treat that
 * as an attack on anything that decides about money.
 */
const char *http_request_header(const struct http_request *request,
	const char *name, bool *ret_doubled);
/* The body is not needed any more; what is left says that it had none. */
void http_request_drop_body(struct http_request *request);
void http_request_clear(struct http_request *request);

enum http_parse {
	HTTP_PARSE_MORE,    /* all input taken, more is needed */
	HTTP_PARSE_REQUEST, /* a request is complete */
	HTTP_PARSE_REFUSED  /* answer with the refusal and close */
};

enum http_phase {
	HTTP_PHASE_IDLE, /* between requests */
	HTTP_PHASE_HEADERS,
	HTTP_PHASE_BODY
};

struct http_parser;

/* max_body_bytes 0: the default. NULL when memory is out. */
struct http_parser *http_parser_new(size_t max_body_bytes);

/*
 * Memory that parsers share for their bodies, of one thread. Above max a body
 * of more than HTTP_BODY_FAIR_BYTES is refused with 503, so that a few who
 * send much cannot keep out those who send little.
 */
struct http_room {
	size_t used;
	size_t max;
};
#define HTTP_BODY_FAIR_BYTES ((size_t)16 * 1024)
/* Before the first byte; room must outlive the parser. */
void http_parser_share(struct http_parser *parser, struct http_room *room);
/*
 * A parser that keeps no bodies: HTTP_PARSE_REQUEST comes with the header
 * block, and while the phase is BODY the bytes of the body go to on_body from
 * within http_parser_feed, until HTTP_PARSE_MORE comes with the phase IDLE;
 * what is behind the body is then not taken. on_body: false refuses the rest
 * (503).
 */
struct http_parser *http_parser_new_streaming(uint64_t max_body_bytes,
	bool (*on_body)(void *user, const char *data, size_t len), void *user);
void http_parser_free(struct http_parser *parser);
/*
 * Feed bytes; *ret_used says how many were taken: all of them unless a
 * request is complete. ret_request is written on HTTP_PARSE_REQUEST and then
 * the caller's to clear.
 */
enum http_parse http_parser_feed(struct http_parser *parser, const char *data,
	size_t len, size_t *ret_used, struct http_request *ret_request);
enum http_phase http_parser_phase(const struct http_parser *parser);
/* True once for each request that waits for "100 Continue". */
bool http_parser_take_continue(struct http_parser *parser);
/* After HTTP_PARSE_REFUSED: what to answer. text is for people. */
int http_parser_status(const struct http_parser *parser);
const char *http_parser_text(const struct http_parser *parser);

#endif
