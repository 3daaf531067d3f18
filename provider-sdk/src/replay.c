/*
 * replay.c: a response that was bought under a name, as bytes, so that it can
 * be sent again to who repeats the purchase.
 *
 *   x402__replay_note()   the handler is done: what it said, kept in the gate
 *   x402__replay_store()  the money has moved: with the receipt, to whoever
 *                         remembers names
 *   x402__replay_answer() the same again, as an ANSWER
 *
 * Kept is: until when, 8 bytes; the receipt and NUL; then the byte 1, status 2
 * bytes, number of headers 1, name NUL value NUL for each, and the body to the
 * end.
 */
#include "gate_p.h"

#include <stdlib.h>
#include <strings.h>

#define FORMAT    1
#define TIME_SIZE 8
#define HEAD_SIZE 4 /* format, status, number of headers */
/* Longer ones are no names of types and files. */
#define VALUE_MAX 1024

/* What describes the content. Cookies and the like were for the first time. */
static bool is_kept(const struct x402_gate_header *header)
{
	static const char *const names[] = {"Content-Type", "Content-Encoding",
		"Content-Language", "Content-Disposition", "Content-Range",
		"Location", "ETag", "Last-Modified"};

	_Static_assert(sizeof(names) / sizeof(names[0]) ==
			X402_GATE_REPLAY_HEADERS_MAX,
		"the header says how many");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(header->name, names[i]) == 0)
			return strlen(header->value) <= VALUE_MAX;
	return false;
}

static void add_text(struct x402_buf *buf, const char *text)
{
	x402_buf_add(buf, x402_span(text, strlen(text) + 1));
}

void x402__replay_note(
	struct x402_gate *gate, const struct x402_gate_handler_result *result)
{
	struct x402_buf *buf = &gate->replay;
	uint8_t count = 0;

	x402_buf_clear(buf);
	if (gate->route->replay_s == 0 || !x402__identifier_given(gate) ||
		!result->has_body ||
		result->body.len > X402_GATE_REPLAY_BODY_MAX)
		return;
	x402_buf_add_byte(buf, FORMAT);
	x402_buf_add_byte(buf, (uint8_t)(result->status >> 8));
	x402_buf_add_byte(buf, (uint8_t)result->status);
	x402_buf_add_byte(buf, 0);
	for (size_t i = 0;
		i < result->headers_len && count < X402_GATE_REPLAY_HEADERS_MAX;
		i++) {
		if (!is_kept(&result->headers[i]))
			continue;
		add_text(buf, result->headers[i].name);
		add_text(buf, result->headers[i].value);
		count++;
	}
	x402_buf_add(buf, result->body);
	if (buf->failed)
		x402_buf_clear(buf);
	else
		buf->ptr[3] = count;
}

void x402__replay_store(struct x402_gate *gate)
{
	uint64_t until = gate->now_unix_s + gate->route->replay_s;
	struct x402_buf whole = {0};

	if (gate->replay.len == 0 || !gate->receipt)
		return;
	for (int i = TIME_SIZE - 1; i >= 0; i--)
		x402_buf_add_byte(&whole, (uint8_t)(until >> (8 * i)));
	add_text(&whole, gate->receipt);
	x402_buf_add(&whole, x402_buf_span(&gate->replay));
	if (!whole.failed)
		x402__identifier_keep(gate, x402_buf_span(&whole));
	x402_buf_clear(&whole);
	x402_buf_clear(&gate->replay);
}

/* What is kept, taken apart; all of it points into the bytes. */
struct parts {
	uint64_t until_unix_s;
	const char *receipt;
	unsigned status;
	struct x402_gate_header headers[X402_GATE_REPLAY_HEADERS_MAX];
	size_t headers_len;
	struct x402_span body;
};

/* One text and its NUL; NULL when there is none. */
static const char *next_text(struct x402_span *rest)
{
	const uint8_t *end = rest->len ? memchr(rest->ptr, 0, rest->len) : NULL;
	const char *text = (const char *)rest->ptr;

	if (!end)
		return NULL;
	*rest = x402_span(end + 1, rest->len - (size_t)(end + 1 - rest->ptr));
	return text;
}

static uint64_t read_number(const uint8_t *bytes, size_t len)
{
	uint64_t number = 0;

	for (size_t i = 0; i < len; i++)
		number = number << 8 | bytes[i];
	return number;
}

/* Whoever kept it may have lost a part: false then. */
static bool take_apart(struct x402_span kept, struct parts *ret_parts)
{
	struct x402_span rest;

	memset(ret_parts, 0, sizeof(*ret_parts));
	if (kept.len <= TIME_SIZE)
		return false;
	ret_parts->until_unix_s = read_number(kept.ptr, TIME_SIZE);
	rest = x402_span(kept.ptr + TIME_SIZE, kept.len - TIME_SIZE);
	ret_parts->receipt = next_text(&rest);
	if (!ret_parts->receipt || rest.len < HEAD_SIZE ||
		rest.ptr[0] != FORMAT ||
		rest.ptr[3] > X402_GATE_REPLAY_HEADERS_MAX)
		return false;
	ret_parts->status = (unsigned)read_number(rest.ptr + 1, 2);
	ret_parts->headers_len = rest.ptr[3];
	rest = x402_span(rest.ptr + HEAD_SIZE, rest.len - HEAD_SIZE);
	for (size_t i = 0; i < ret_parts->headers_len; i++) {
		struct x402_gate_header *header = &ret_parts->headers[i];

		header->name = next_text(&rest);
		header->value = header->name ? next_text(&rest) : NULL;
		if (!header->value)
			return false;
	}
	ret_parts->body = rest;
	return true;
}

bool x402__replay_is_fresh(
	const struct x402_gate *gate, struct x402_span response)
{
	struct parts parts;

	return take_apart(response, &parts) &&
		gate->now_unix_s <= parts.until_unix_s;
}

void x402__replay_answer(struct x402_gate *gate, struct x402_buf *response,
	struct x402_gate_decision *ret_decision)
{
	struct parts parts;

	x402_buf_clear(&gate->replay);
	gate->replay = *response; /* lives as long as the decision */
	*response = (struct x402_buf){0};
	if (!take_apart(x402_buf_span(&gate->replay), &parts)) {
		x402__gate_end_error(gate, 500,
			"the response that was kept cannot be read",
			ret_decision);
		return;
	}
	gate->state = X402__GATE_DONE;
	x402__gate_start(gate, X402_GATE_ANSWER, ret_decision);
	ret_decision->status = parts.status;
	ret_decision->body = parts.body;
	x402__gate_answer_replayed(gate, parts.receipt, ret_decision);
	for (size_t i = 0; i < parts.headers_len; i++)
		x402__gate_add(ret_decision, parts.headers[i].name,
			parts.headers[i].value);
}
