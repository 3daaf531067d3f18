/*
 * Requests from bytes: llhttp in strict mode reads the grammar; a guard over
 * the raw bytes refuses what it lets through (dependencies: obs-fold, bare
 * LF), and headers are checked for everything that could hide a length.
 */
#include "net/http_request.h"

#include <llhttp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Chunk sizes and extensions cost bytes too: at most this much around a
 * body, or a stranger could send overhead for ever. */
#define CHUNK_OVERHEAD_FACTOR 8
#define CHUNK_OVERHEAD_BASE   ((size_t)64 * 1024)

/* Offsets into the text of the request under construction. */
struct slot {
	size_t name;
	size_t value;
};

struct http_parser {
	llhttp_t llhttp;
	size_t max_body_bytes;
	/* Where bodies go that are not kept; NULL: they are. */
	bool (*take_body)(void *user, const char *data, size_t len);
	void *user;
	enum http_phase phase;
	/* All of the request's text, each part NUL-terminated. */
	char *text;
	size_t text_len;
	size_t text_cap;
	size_t method;
	size_t target;
	struct slot slots[HTTP_HEADERS_MAX];
	size_t slots_len;
	/* What came of the body: kept, or all of it where it was read. */
	uint8_t *body;
	const uint8_t *borrowed; /* within one feed; body is NULL */
	size_t body_len;
	size_t body_cap;
	struct http_room *room; /* NULL: without a limit */
	size_t body_bytes_seen; /* with chunk overhead */
	uint64_t announced;     /* Content-Length; 0 without */
	bool wants_continue;
	bool keep_alive;
	bool head_complete; /* and nobody has been told yet */
	bool complete;
	/* Bytes of the CRLF behind the last chunk that are still to come. */
	unsigned end_bytes;
	/* The guard. */
	bool guard_started;
	bool guard_cr;
	size_t guard_line_bytes;
	size_t guard_lines;
	size_t guard_bytes;
	int status;
	char refusal[160];
};

static int refuse(struct http_parser *parser, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct http_parser *parser, int status, const char *fmt, ...)
{
	va_list args;

	if (parser->status)
		return HPE_USER; /* the first reason is the one to tell */
	parser->status = status;
	va_start(args, fmt);
	vsnprintf(parser->refusal, sizeof(parser->refusal), fmt, args);
	va_end(args);
	return HPE_USER;
}

/* ---- Text under construction. ---- */

static int add_text(struct http_parser *parser, const char *at, size_t len)
{
	if (parser->text_len + len + 1 > parser->text_cap) {
		size_t cap = parser->text_cap ? parser->text_cap : 1024;
		char *text;

		while (cap < parser->text_len + len + 1)
			cap *= 2;
		text = realloc(parser->text, cap);
		if (!text)
			return refuse(parser, 503, "out of memory");
		parser->text = text;
		parser->text_cap = cap;
	}
	if (len > 0)
		memcpy(parser->text + parser->text_len, at, len);
	parser->text_len += len;
	return 0;
}

static int end_text(struct http_parser *parser)
{
	return add_text(parser, "", 1);
}

static struct http_parser *parser_of(llhttp_t *llhttp)
{
	return llhttp->data;
}

static int on_method(llhttp_t *llhttp, const char *at, size_t len)
{
	return add_text(parser_of(llhttp), at, len);
}

static int on_method_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = parser_of(llhttp);
	int rc = end_text(parser);

	parser->target = parser->text_len;
	return rc;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
	struct http_parser *parser = parser_of(llhttp);

	if (parser->text_len - parser->target + len > HTTP_TARGET_MAX_BYTES)
		return refuse(parser, 414,
			"expected a target of at most %zu bytes",
			HTTP_TARGET_MAX_BYTES);
	return add_text(parser, at, len);
}

static int on_text_complete(llhttp_t *llhttp)
{
	return end_text(parser_of(llhttp));
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
	struct http_parser *parser = parser_of(llhttp);

	/* A field may come in pieces: the slot opens with the first. */
	if (parser->slots_len == 0 ||
		parser->slots[parser->slots_len - 1].value) {
		if (parser->slots_len == HTTP_HEADERS_MAX)
			return refuse(parser, 431,
				"expected at most %d headers",
				HTTP_HEADERS_MAX);
		parser->slots[parser->slots_len].name = parser->text_len;
		parser->slots[parser->slots_len].value = 0;
		parser->slots_len++;
	}
	return add_text(parser, at, len);
}

static int on_header_field_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = parser_of(llhttp);
	int rc = end_text(parser);

	if (parser->slots_len > 0)
		parser->slots[parser->slots_len - 1].value = parser->text_len;
	return rc;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
	return add_text(parser_of(llhttp), at, len);
}

/* ---- Checks when the header block is complete. ---- */

static const char *value_of(const struct http_parser *parser, size_t i)
{
	return parser->text + parser->slots[i].value;
}

/* How often a header is there; the last one's value in *ret_value. */
static size_t count_header(const struct http_parser *parser, const char *name,
	const char **ret_value)
{
	size_t n = 0;

	for (size_t i = 0; i < parser->slots_len; i++) {
		const char *its = parser->text + parser->slots[i].name;

		/* The first letter tells most of them apart. */
		if (((*its ^ *name) & ~0x20) || strcasecmp(its, name))
			continue;
		*ret_value = value_of(parser, i);
		n++;
	}
	return n;
}

static int check_framing(struct http_parser *parser)
{
	const char *value = NULL;
	size_t encodings = count_header(parser, "Transfer-Encoding", &value);
	const char *length = NULL;
	size_t lengths = count_header(parser, "Content-Length", &length);

	if (encodings > 1 || lengths > 1 || (encodings && lengths))
		return refuse(parser, 400,
			"expected one Content-Length or one Transfer-Encoding");
	if (encodings &&
		(strcasecmp(value, "chunked") ||
			llhttp_get_http_minor(&parser->llhttp) == 0))
		return refuse(parser, 501,
			"expected Transfer-Encoding: chunked in HTTP/1.1");
	if (lengths && parser->llhttp.content_length > parser->max_body_bytes)
		return refuse(parser, 413,
			"expected a body of at most %zu bytes, got %llu",
			parser->max_body_bytes,
			(unsigned long long)parser->llhttp.content_length);
	/* llhttp counts its own down. */
	parser->announced = lengths ? parser->llhttp.content_length : 0;
	return 0;
}

static int check_head(struct http_parser *parser)
{
	int minor = llhttp_get_http_minor(&parser->llhttp);
	const char *method = parser->text + parser->method;
	const char *value = NULL;
	size_t hosts = count_header(parser, "Host", &value);

	if (llhttp_get_http_major(&parser->llhttp) != 1 || minor > 1)
		return refuse(parser, 505, "expected HTTP/1.1 or HTTP/1.0");
	if (!strcmp(method, "SOURCE") || !strcmp(method, "PRI") ||
		!strcmp(method, "CONNECT"))
		return refuse(parser, 501, "method %s is not served", method);
	if (hosts > 1 || (hosts == 0 && minor == 1))
		return refuse(parser, 400, "expected one Host header, got %zu",
			hosts);
	return check_framing(parser);
}

static int on_headers_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = parser_of(llhttp);
	const char *expect = NULL;

	/* Upgrades are not served: the request is an ordinary one. */
	llhttp->upgrade = 0;
	if (check_head(parser))
		return -1;
	if (count_header(parser, "Expect", &expect) == 1 &&
		!strcasecmp(expect, "100-continue"))
		parser->wants_continue = true;
	parser->keep_alive = llhttp_should_keep_alive(llhttp);
	parser->phase = HTTP_PHASE_BODY;
	parser->head_complete = parser->take_body != NULL;
	return parser->head_complete ? HPE_PAUSED : 0;
}

/* Nothing is kept but the count. */
static int pass_body(struct http_parser *parser, const char *at, size_t len)
{
	parser->body_len += len;
	return parser->take_body(parser->user, at, len)
		? 0
		: refuse(parser, 503, "the body is not taken");
}

static void free_body(struct http_parser *parser)
{
	free(parser->body);
	if (parser->room)
		parser->room->used -= parser->body_cap;
	parser->body = NULL;
	parser->borrowed = NULL;
	parser->body_len = 0;
	parser->body_cap = 0;
}

/* The request's from here on; NULL where memory is out, or nothing came. */
static void *claim_body(struct http_parser *parser, size_t *ret_memory_len)
{
	void *body = parser->body;

	*ret_memory_len = body ? parser->body_cap : parser->body_len;
	if (!parser->borrowed) {
		parser->body = NULL;
		return body;
	}
	body = malloc(parser->body_len);
	if (body)
		memcpy(body, parser->borrowed, parser->body_len);
	return body;
}

static bool has_room(const struct http_parser *parser, size_t cap)
{
	const struct http_room *room = parser->room;

	return !room || cap <= HTTP_BODY_FAIR_BYTES ||
		room->used + (cap - parser->body_cap) <= room->max;
}

static int keep_body(struct http_parser *parser, const void *at, size_t len)
{
	if (parser->body_len + len > parser->body_cap) {
		size_t cap = parser->body_cap ? parser->body_cap : 2048;
		uint8_t *body;

		while (cap < parser->body_len + len)
			cap *= 2;
		if (!has_room(parser, cap))
			return refuse(parser, 503, "too many bodies at once");
		body = realloc(parser->body, cap);
		if (!body)
			return refuse(parser, 503, "out of memory");
		parser->body = body;
		if (parser->room)
			parser->room->used += cap - parser->body_cap;
		parser->body_cap = cap;
	}
	memcpy(parser->body + parser->body_len, at, len);
	parser->body_len += len;
	return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
	struct http_parser *parser = parser_of(llhttp);

	if (len > parser->max_body_bytes - parser->body_len)
		return refuse(parser, 413,
			"expected a body of at most %zu bytes",
			parser->max_body_bytes);
	if (parser->take_body)
		return pass_body(parser, at, len);
	if (len != parser->announced || !has_room(parser, len))
		return keep_body(parser, at, len);
	/* The request is complete with it, and takes it from where it is. */
	parser->borrowed = (const uint8_t *)at;
	parser->body_len = len;
	return 0;
}

/* The feed ends, and the request did not. */
static bool own_body(struct http_parser *parser)
{
	const uint8_t *borrowed = parser->borrowed;
	size_t len = parser->body_len;

	if (!borrowed)
		return true;
	parser->borrowed = NULL;
	parser->body_len = 0;
	return !keep_body(parser, borrowed, len);
}

/*
 * Behind the last chunk llhttp would take trailers, and a bare LF for the end.
 * Neither is accepted here: it stops, and the two bytes are read by hand.
 */
static int on_chunk_header(llhttp_t *llhttp)
{
	if (llhttp->content_length != 0)
		return 0;
	parser_of(llhttp)->end_bytes = 2;
	return HPE_PAUSED;
}

/* Stop here: the bytes behind it are the next request's. */
static int on_message_complete(llhttp_t *llhttp)
{
	parser_of(llhttp)->complete = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_method = on_method,
	.on_method_complete = on_method_complete,
	.on_url = on_url,
	.on_url_complete = on_text_complete,
	.on_header_field = on_header_field,
	.on_header_field_complete = on_header_field_complete,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_text_complete,
	.on_headers_complete = on_headers_complete,
	.on_chunk_header = on_chunk_header,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

/* ---- The guard. ---- */

static int guard_line_end(struct http_parser *parser)
{
	/* Empty lines before a request are skipped, as everyone does. */
	if (parser->guard_lines > 0 || parser->guard_line_bytes > 0)
		parser->guard_lines++;
	parser->guard_line_bytes = 0;
	parser->guard_cr = false;
	return 0;
}

/* One that is not plain. */
static int guard_byte(struct http_parser *parser, char c)
{
	if (c == '\n')
		return parser->guard_cr
			? guard_line_end(parser)
			: refuse(parser, 400, "expected CR before LF");
	if (parser->guard_cr)
		return refuse(parser, 400, "expected LF after CR");
	if (c == '\r') {
		parser->guard_cr = true;
		return 0;
	}
	return refuse(parser, 400, "NUL in the header block");
}

static bool is_plain(char c)
{
	return c != '\n' && c != '\r' && c != '\0';
}

/* Bytes of one line, of which none ends it. */
static int guard_text(struct http_parser *parser, const char *text, size_t len)
{
	if (parser->guard_cr)
		return refuse(parser, 400, "expected LF after CR");
	/*
	 * A line that begins with white space continues the one before it for
	 * some parsers and not for others: the classic way to hide a length.
	 */
	if (parser->guard_line_bytes == 0 && (*text == ' ' || *text == '\t'))
		return refuse(parser, 400, "folded headers are not accepted");
	parser->guard_line_bytes += len;
	parser->guard_bytes += len;
	if (parser->guard_bytes > HTTP_HEADER_MAX_BYTES)
		return refuse(parser, parser->guard_lines ? 431 : 414,
			"expected at most %zu bytes of headers",
			HTTP_HEADER_MAX_BYTES);
	return 0;
}

/* Look at bytes until the header block ends; nonzero when refused. */
static int guard(struct http_parser *parser, const char *data, size_t len)
{
	size_t i = 0;

	while (i < len && parser->guard_started) {
		size_t start = i;
		bool empty_line;

		while (i < len && is_plain(data[i]))
			i++;
		if (i > start && guard_text(parser, data + start, i - start))
			return -1;
		if (i == len)
			return 0;
		empty_line = parser->guard_lines > 0 &&
			parser->guard_line_bytes == 0 && parser->guard_cr &&
			data[i] == '\n';
		if (guard_byte(parser, data[i++]))
			return -1;
		if (empty_line)
			parser->guard_started = false;
	}
	return 0;
}

/* ---- Requests. ---- */

static void reset(struct http_parser *parser)
{
	parser->phase = HTTP_PHASE_IDLE;
	parser->text_len = 0;
	parser->method = 0;
	parser->target = 0;
	parser->slots_len = 0;
	free_body(parser);
	parser->body_bytes_seen = 0;
	parser->announced = 0;
	parser->wants_continue = false;
	parser->keep_alive = false;
	parser->head_complete = false;
	parser->complete = false;
	parser->end_bytes = 0;
	parser->guard_started = true;
	parser->guard_cr = false;
	parser->guard_line_bytes = 0;
	parser->guard_lines = 0;
	parser->guard_bytes = 0;
}

struct http_parser *http_parser_new(size_t max_body_bytes)
{
	struct http_parser *parser = calloc(1, sizeof(*parser));

	if (!parser)
		return NULL;
	parser->max_body_bytes = max_body_bytes ? max_body_bytes
						: HTTP_BODY_MAX_BYTES;
	llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
	parser->llhttp.data = parser;
	reset(parser);
	return parser;
}

struct http_parser *http_parser_new_streaming(uint64_t max_body_bytes,
	bool (*take_body)(void *user, const char *data, size_t len), void *user)
{
	struct http_parser *parser = http_parser_new(max_body_bytes);

	if (!parser)
		return NULL;
	parser->take_body = take_body;
	parser->user = user;
	return parser;
}

void http_parser_share(struct http_parser *parser, struct http_room *room)
{
	parser->room = room;
}

void http_parser_free(struct http_parser *parser)
{
	if (!parser)
		return;
	free(parser->text);
	free_body(parser);
	free(parser);
}

/* Path and query out of "/p?q", "http://host/p?q" or "*". */
static void split_target(char *target, char *copy, struct http_request *request)
{
	char *path = copy;
	char *question;

	if (*target != '/' && *target != '*') {
		char *slashes = strstr(copy, "://");

		path = slashes ? slashes + 3 : copy;
		path += strcspn(path, "/?");
	}
	question = strchr(path, '?');
	request->query = question ? question + 1 : NULL;
	if (question)
		*question = '\0';
	/* "http://host" and "http://host?q" ask for the root. */
	request->path = *path ? path : "/";
	request->target = target;
}

static void next_request(struct http_parser *parser)
{
	reset(parser);
	llhttp_reset(&parser->llhttp);
}

/* After the head of a body that streams; the body itself is still to come. */
static void next_body(struct http_parser *parser)
{
	parser->head_complete = false;
	parser->text_len = 0;
	parser->slots_len = 0;
	llhttp_resume(&parser->llhttp);
}

/* One block: header array, text, a second copy of the target. */
static enum http_parse take_request(
	struct http_parser *parser, struct http_request *ret_request)
{
	size_t array = parser->slots_len * sizeof(struct http_header);
	size_t target_len = strlen(parser->text + parser->target) + 1;
	size_t block_len = array + parser->text_len + target_len;
	size_t body_memory_len;
	void *body = claim_body(parser, &body_memory_len);
	char *block = malloc(block_len);
	struct http_header *headers = (struct http_header *)(void *)block;
	char *text = block + array;
	char *copy = text + parser->text_len;
	const char *value = NULL;

	if (!block || (parser->body_len && !body)) {
		free(block);
		free(body);
		(void)refuse(parser, 503, "out of memory");
		return HTTP_PARSE_REFUSED;
	}
	memcpy(text, parser->text, parser->text_len);
	memcpy(copy, text + parser->target, target_len);
	for (size_t i = 0; i < parser->slots_len; i++) {
		headers[i].name = text + parser->slots[i].name;
		headers[i].value = text + parser->slots[i].value;
	}
	memset(ret_request, 0, sizeof(*ret_request));
	ret_request->method = text + parser->method;
	split_target(text + parser->target, copy, ret_request);
	ret_request->headers = headers;
	ret_request->headers_len = parser->slots_len;
	ret_request->body = body;
	ret_request->body_len = body ? parser->body_len : 0;
	ret_request->keep_alive = parser->keep_alive;
	ret_request->http_1_0 = llhttp_get_http_minor(&parser->llhttp) == 0;
	ret_request->memory = block;
	ret_request->body_memory = body;
	ret_request->memory_len = block_len + body_memory_len;
	ret_request->chunked = count_header(
				       parser, "Transfer-Encoding", &value) > 0;
	if (!ret_request->chunked)
		ret_request->content_length = parser->announced;
	free_body(parser);
	if (parser->head_complete &&
		(ret_request->chunked || ret_request->content_length > 0))
		next_body(parser);
	else
		next_request(parser);
	return HTTP_PARSE_REQUEST;
}

static int status_of(llhttp_errno_t code)
{
	if (code == HPE_INVALID_METHOD)
		return 501;
	if (code == HPE_INVALID_VERSION || code == HPE_PAUSED_H2_UPGRADE)
		return 505;
	return 400;
}

static bool overhead_exceeded(struct http_parser *parser, size_t len)
{
	if (parser->phase != HTTP_PHASE_BODY)
		return false;
	parser->body_bytes_seen += len;
	return parser->body_bytes_seen >
		CHUNK_OVERHEAD_FACTOR * parser->max_body_bytes +
		CHUNK_OVERHEAD_BASE;
}

/* The last byte is there. */
static enum http_parse end_request(
	struct http_parser *parser, struct http_request *ret_request)
{
	if (!parser->take_body)
		return take_request(parser, ret_request);
	next_request(parser);
	return HTTP_PARSE_MORE;
}

/* Exactly CRLF; *ret_used grows by what was read. */
static enum http_parse feed_end(struct http_parser *parser, const char *data,
	size_t len, size_t *ret_used, struct http_request *ret_request)
{
	while (parser->end_bytes > 0 && len > 0) {
		if (*data != (parser->end_bytes == 2 ? '\r' : '\n')) {
			(void)refuse(parser, 400,
				"expected CRLF behind the last chunk; "
				"trailers are not accepted");
			return HTTP_PARSE_REFUSED;
		}
		parser->end_bytes--;
		(*ret_used)++;
		data++;
		len--;
	}
	return parser->end_bytes > 0 ? HTTP_PARSE_MORE
				     : end_request(parser, ret_request);
}

static enum http_parse refuse_grammar(
	struct http_parser *parser, llhttp_errno_t code)
{
	const char *why = llhttp_get_error_reason(&parser->llhttp);

	(void)refuse(parser, status_of(code), "not HTTP/1.1: %s",
		why && *why ? why : llhttp_errno_name(code));
	return HTTP_PARSE_REFUSED;
}

enum http_parse http_parser_feed(struct http_parser *parser, const char *data,
	size_t len, size_t *ret_used, struct http_request *ret_request)
{
	llhttp_errno_t code;

	*ret_used = len;
	if (parser->status)
		return HTTP_PARSE_REFUSED;
	if (len == 0)
		return HTTP_PARSE_MORE;
	if (parser->end_bytes > 0) {
		*ret_used = 0;
		return feed_end(parser, data, len, ret_used, ret_request);
	}
	if (guard(parser, data, len))
		return HTTP_PARSE_REFUSED;
	if (parser->phase == HTTP_PHASE_IDLE && parser->guard_bytes > 0)
		parser->phase = HTTP_PHASE_HEADERS;
	code = llhttp_execute(&parser->llhttp, data, len);
	if (parser->status)
		return HTTP_PARSE_REFUSED;
	if (code == HPE_PAUSED) {
		*ret_used =
			(size_t)(llhttp_get_error_pos(&parser->llhttp) - data);
		if (parser->head_complete)
			return take_request(parser, ret_request);
		if (parser->complete)
			return end_request(parser, ret_request);
		return feed_end(parser, data + *ret_used, len - *ret_used,
			ret_used, ret_request);
	}
	if (code != HPE_OK)
		return refuse_grammar(parser, code);
	if (!own_body(parser))
		return HTTP_PARSE_REFUSED;
	if (overhead_exceeded(parser, len)) {
		(void)refuse(parser, 413, "too many bytes around the body");
		return HTTP_PARSE_REFUSED;
	}
	return HTTP_PARSE_MORE;
}

enum http_phase http_parser_phase(const struct http_parser *parser)
{
	return parser->phase;
}

bool http_parser_take_continue(struct http_parser *parser)
{
	bool wants = parser->wants_continue;

	parser->wants_continue = false;
	return wants;
}

int http_parser_status(const struct http_parser *parser)
{
	return parser->status;
}

const char *http_parser_text(const struct http_parser *parser)
{
	return parser->refusal;
}

const char *http_request_header(
	const struct http_request *request, const char *name, bool *ret_doubled)
{
	const char *value = NULL;

	for (size_t i = 0; i < request->headers_len; i++) {
		if (strcasecmp(request->headers[i].name, name))
			continue;
		if (value && ret_doubled)
			*ret_doubled = true;
		if (!value)
			value = request->headers[i].value;
	}
	return value;
}

void http_request_drop_body(struct http_request *request)
{
	free(request->body_memory);
	request->body_memory = NULL;
	request->body = NULL;
	request->body_len = 0;
}

void http_request_clear(struct http_request *request)
{
	if (!request)
		return;
	free(request->memory);
	free(request->body_memory);
	memset(request, 0, sizeof(*request));
}
